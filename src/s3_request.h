
/*
 * Recognises and parses AbortMultipartUpload from the raw request target.
 *
 * Amazon S3 API Reference, AbortMultipartUpload:
 *     DELETE /{bucket}/{key}?uploadId={id}             path style
 *     DELETE /{key}?uploadId={id}, Host: {bucket}.NAME virtual-host style
 *
 * A storage takes a request that is nearly an abort for a DeleteObject or a
 * DeleteBucket.  Hence two steps: s3_request_is_abort_like() says, in doubt
 * with yes, whether a target might be meant as an abort; such a request is
 * then a perfect abort or an error, never something else.
 */


#ifndef _S3_REQUEST_H_INCLUDED_
#define _S3_REQUEST_H_INCLUDED_


#include "s3_error.h"
#include "s3_string.h"


#define S3_KEY_MAX          1024
#define S3_UPLOAD_ID_MAX    1024
#define S3_PARAMETERS_MAX   32


/* the X-Amz-* parameters of a presigned URL; values are as sent, encoded */

typedef enum {
    S3_AMZ_ALGORITHM,
    S3_AMZ_CREDENTIAL,
    S3_AMZ_DATE,
    S3_AMZ_EXPIRES,
    S3_AMZ_SIGNED_HEADERS,
    S3_AMZ_SIGNATURE,
    S3_AMZ_SECURITY_TOKEN,
    S3_AMZ_CONTENT_SHA256,

    S3_NAMZ
} s3_amz_t;


typedef struct {
    s3_str_t    bucket;               /* decoded, checked */
    s3_str_t    key;                  /* decoded, checked */
    s3_str_t    upload_id;            /* decoded, checked */

    s3_str_t    path;                 /* as sent, with the base path */
    s3_str_t    query;                /* as sent */

    s3_str_t    amz[S3_NAMZ];         /* data is NULL where not sent */
    unsigned    presigned;            /* any of them was sent */
} s3_request_t;


typedef struct {
    s3_str_t   *domains;              /* lower-case, longest first */
    size_t      ndomains;
    s3_str_t    base_path;            /* "" or "/prefix" without a last "/" */
} s3_request_conf_t;


/*
 * True if the query part of "target" (all behind its first "?") has, split at
 * "&", ";" and "?", a parameter whose name decodes, in any case, to uploadid.
 */

int s3_request_is_abort_like(s3_str_t target);
int s3_request_query_is_abort_like(s3_str_t query);


/*
 * Parses an abort-like "target" (origin form, as on the wire).  "host" is the
 * request's host in lower case without port and trailing dot, or empty.
 * "buf" has room for target.len bytes; the results point into it, into
 * "target" and into "host".
 *
 * Returns S3_OK, the error to answer, or S3_DECLINED for a path that lies
 * outside conf->base_path.  On an error, path and query are set and the rest
 * is as far as it was parsed.
 */

s3_error_t s3_request_parse(s3_request_t *req, s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf, u_char *buf);


/* S3_OK or the error; for what a tenant asks and, again, for what the target
 * templates made of it.  A key that is nothing but slashes is an empty one */

s3_error_t s3_request_check_bucket(s3_str_t bucket);
s3_error_t s3_request_check_key(s3_str_t key);
s3_error_t s3_request_check_upload_id(s3_str_t id);


/* true if "host", a Host header's value, ends in no port, an empty one or
 * one of 0 to 65535 */

int s3_request_host_port_valid(s3_str_t host);


/* true if "host", a Host header's value, is "name" without regard to case, a
 * trailing dot and a port; "name" is lower-case and has neither */

int s3_request_host_is(s3_str_t host, s3_str_t name);


/*
 * Copies a target, or a request line with one, without the values of the
 * parameters that a log must not hold: signatures and session tokens of
 * SigV4 and SigV2.  "dst" has room for target.len bytes; returns the length.
 */

size_t s3_request_redact(u_char *dst, s3_str_t target);


#endif /* _S3_REQUEST_H_INCLUDED_ */
