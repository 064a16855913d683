
/*
 * Percent-encoding (RFC 3986, section 2.1) as SigV4 for S3 wants it, and the
 * checks that make a decoded object key safe to judge, to sign and to send.
 */


#ifndef _S3_URI_H_INCLUDED_
#define _S3_URI_H_INCLUDED_


#include "s3_string.h"


#define S3_URI_INVALID  ((size_t) -1)


/*
 * A-Za-z0-9-._~, the unreserved characters of RFC 3986, are never encoded.  A
 * class has the bits of the s3_uri_part_t in which its bytes are kept.
 */

#define S3_URI_UNRESERVED  3
#define S3_URI_SLASH       2

extern const u_char  s3_uri_class[256];

#define s3_uri_is_unreserved(c)  (s3_uri_class[c] == S3_URI_UNRESERVED)


/*
 * Decodes %XX once; "+" stays a plus.  "dst" has room for src.len bytes and
 * may be src.data.  Returns the length, or S3_URI_INVALID on a bad escape.
 */

size_t s3_uri_decode(u_char *dst, s3_str_t src);


/*
 * Encodes all bytes but A-Za-z0-9-._~ as %XX with upper-case digits; "/" is
 * kept with S3_URI_PATH and encoded with S3_URI_QUERY.  s3_uri_encode() writes
 * s3_uri_encoded_len() bytes and returns the byte behind them.  s3_uri_span()
 * returns the offset of the first byte from "i" on that is encoded, or s.len:
 * most strings have none.
 */

typedef enum {
    S3_URI_QUERY = 1,
    S3_URI_PATH = 2
} s3_uri_part_t;

size_t s3_uri_span(s3_str_t s, size_t i, s3_uri_part_t part);
size_t s3_uri_encoded_len(s3_str_t src, s3_uri_part_t part);
u_char *s3_uri_encode(u_char *dst, s3_str_t src, s3_uri_part_t part);


/*
 * The same for a string that may already hold escapes: each %XX is decoded,
 * then everything is encoded once, so that all spellings of one string give
 * one result.  "src" has no bad escape.
 */

size_t s3_uri_recoded_len(s3_str_t src, s3_uri_part_t part);
u_char *s3_uri_recode(u_char *dst, s3_str_t src, s3_uri_part_t part);


/* true if "s" is UTF-8 (RFC 3629: no overlong forms, surrogates, > U+10FFFF)
 * without control characters (U+0000 to U+001F, U+007F) */

int s3_uri_is_text(s3_str_t s);


/* true if a "/"-separated segment of "s" is "." or ".." */

int s3_uri_has_dot_segment(s3_str_t s);


#endif /* _S3_URI_H_INCLUDED_ */
