
/*
 * What a client that signs with SigV4 says of itself: the Authorization
 * header, or the X-Amz-* parameters of a presigned URL.  Amazon S3 API
 * Reference, "Authenticating Requests: Using the Authorization Header" and
 * "Using Query Parameters".
 */


#ifndef _S3_AUTHORIZATION_H_INCLUDED_
#define _S3_AUTHORIZATION_H_INCLUDED_


#include <stdint.h>

#include "s3_error.h"
#include "s3_request.h"
#include "s3_string.h"


#define S3_SIGNED_HEADERS_MAX   64
#define S3_EXPIRES_MAX          604800


typedef struct {
    s3_str_t   access_key;
    s3_str_t   scope;             /* date/region/service/aws4_request */
    s3_str_t   date;              /* the parts of the scope */
    s3_str_t   region;
    s3_str_t   service;
    s3_str_t   signed_headers;    /* lower-case, sorted, ";" between */
    s3_str_t   signature;         /* 64 lower-case hexadecimal digits */
    s3_str_t   time;              /* YYYYMMDDTHHMMSSZ; presigned only */
    s3_str_t   payload_hash;      /* presigned only; UNSIGNED-PAYLOAD if it
                                   * was not sent */
    unsigned   expires;           /* seconds; presigned only */
    unsigned   presigned;
} s3_authorization_t;


/*
 * Parse and check the form.  Results of the first point into "value"; those
 * of the second into "buf", which has room for req->query.len bytes.  An
 * X-Amz-Security-Token is an error: the gateway issues none.
 */

s3_error_t s3_authorization_parse_header(s3_authorization_t *a,
    s3_str_t value);
s3_error_t s3_authorization_parse_query(s3_authorization_t *a,
    const s3_request_t *req, u_char *buf);


/*
 * Cuts the next name off the front of *list.  Returns 0 at the end.
 */

int s3_authorization_next_signed(s3_str_t *list, s3_str_t *name);


/* Unix seconds of YYYYMMDDTHHMMSSZ in the years 1970 to 9999, or -1 if it is
 * not exactly of that form or no such time exists (leap seconds neither) */

int64_t s3_authorization_time(s3_str_t time);


/*
 * Checks the scope against the gateway's region and service, its date
 * against "time", and "time" against the clock "now" (Unix seconds): within
 * "skew" seconds for a header; for a presigned URL not older than its expiry
 * and not from beyond "skew" in the future.
 */

s3_error_t s3_authorization_check(const s3_authorization_t *a, s3_str_t time,
    s3_str_t region, s3_str_t service, int64_t now, int64_t skew);


/* S3_OK if "hash" is a legal x-amz-content-sha256 of an empty body */

s3_error_t s3_authorization_check_payload_hash(s3_str_t hash);


/*
 * The canonical query string of "query" (at most S3_PARAMETERS_MAX
 * parameters, names without escapes, no bad escape in a value, as
 * s3_request_parse() lets through): recoded, sorted by name, then value,
 * without X-Amz-Signature.  "dst" has room for s3_authorization_query_len() bytes;
 * returns the byte behind the last one.
 */

size_t s3_authorization_query_len(s3_str_t query);
u_char *s3_authorization_query(u_char *dst, s3_str_t query);


#endif /* _S3_AUTHORIZATION_H_INCLUDED_ */
