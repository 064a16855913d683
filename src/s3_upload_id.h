
/*
 * The age of an upload, from an upload id of the form that IBM COS, and so
 * NAVER Cloud Object Storage, gives out:
 *
 *     VVVVTTTT-TTTT-TTTT-RRRR-RRRRRRRRRRRR
 *
 * hexadecimal digits of either case: 16 bits of version, 48 bits of Unix
 * milliseconds, 64 random bits.  The form is undocumented; elsewhere an id
 * is opaque, and one that is a random UUID has a meaningless time.
 */


#ifndef _S3_UPLOAD_ID_H_INCLUDED_
#define _S3_UPLOAD_ID_H_INCLUDED_


#include <stdint.h>

#include "s3_string.h"


/* Unix milliseconds of the upload's start, or -1 if the id is not of the
 * form or its time is 0 */

int64_t s3_upload_id_msec(s3_str_t id);


#endif /* _S3_UPLOAD_ID_H_INCLUDED_ */
