
/*
 * AWS Signature Version 4 for S3, in three stages that can be looked at one
 * by one:
 *
 *     canonical request -> string to sign -> signature
 *
 * Signing and verifying share them.  Amazon S3 API Reference, "Authenticating
 * Requests (AWS Signature Version 4)", with S3's own rules: the path is
 * encoded once and not normalised.
 *
 * Functions that return int return 0, or -1 when OpenSSL failed; their output
 * is then not to be used.
 */


#ifndef _S3_SIGV4_H_INCLUDED_
#define _S3_SIGV4_H_INCLUDED_


#include <openssl/evp.h>

#include "s3_string.h"


#define S3_SIGV4_TIME_LEN   (sizeof("YYYYMMDDTHHMMSSZ") - 1)
#define S3_SIGV4_DATE_LEN   (sizeof("YYYYMMDD") - 1)
#define S3_SHA256_LEN       32
#define S3_SHA256_HEX_LEN   64
#define S3_SHA256_BLOCK     64

#define S3_SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define S3_SIGV4_TERMINATOR "aws4_request"

#define S3_SHA256_OF_EMPTY                                                   \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


/* what a process needs to hash: fetched and allocated once */

typedef struct {
    EVP_MD      *sha256;
    EVP_MD_CTX  *ctx;
    u_char       hex[256][2];     /* the digits of a byte */
} s3_sigv4_t;

int s3_sigv4_init(s3_sigv4_t *s);
void s3_sigv4_cleanup(s3_sigv4_t *s);


/* stage 1 */

typedef struct {
    s3_str_t   name;              /* lower-case */
    s3_str_t   value;             /* as sent */
} s3_sigv4_header_t;

typedef struct {
    s3_str_t            method;
    s3_str_t            uri;      /* encoded once */
    s3_str_t            query;    /* encoded, sorted */
    s3_sigv4_header_t  *headers;  /* the signed ones, sorted by name */
    size_t              nheaders;
    s3_str_t            payload_hash;
} s3_sigv4_request_t;


/* the first is an upper bound of what the second writes; the second returns
 * the byte behind the canonical request */

size_t s3_sigv4_canonical_request_len(const s3_sigv4_request_t *req);
u_char *s3_sigv4_canonical_request(u_char *dst, const s3_sigv4_request_t *req);


/* stage 2; "time" is S3_SIGV4_TIME_LEN bytes, "scope" is
 * YYYYMMDD/region/service/aws4_request */

#define s3_sigv4_string_to_sign_len(scope)                                   \
    (sizeof(S3_SIGV4_ALGORITHM "\n\n\n") - 1 + S3_SIGV4_TIME_LEN             \
     + (scope).len + S3_SHA256_HEX_LEN)

int s3_sigv4_string_to_sign(s3_sigv4_t *s, u_char *dst, s3_str_t time,
    s3_str_t scope, s3_str_t canonical_request);


/*
 * Stage 3.  A signing key is good for one secret, date, region and service.
 * It is kept as the two blocks that HMAC (RFC 2104) begins with, in memory of
 * the caller's choice: between signatures, OpenSSL holds nothing of a key.
 */

typedef struct {
    u_char       inner[S3_SHA256_BLOCK];
    u_char       outer[S3_SHA256_BLOCK];
} s3_sigv4_key_t;

int s3_sigv4_signing_key(s3_sigv4_t *s, s3_sigv4_key_t *k, s3_str_t secret,
    s3_str_t date, s3_str_t region, s3_str_t service);

int s3_sigv4_signature(s3_sigv4_t *s, const s3_sigv4_key_t *k,
    s3_str_t string_to_sign, u_char hex[S3_SHA256_HEX_LEN]);


#endif /* _S3_SIGV4_H_INCLUDED_ */
