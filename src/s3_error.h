
/*
 * S3 error codes: what a tenant is told, what the storage said, and the XML
 * that carries the former.
 *
 * The codes, their statuses and the document's form are those of the
 * "Error Responses" page of the Amazon S3 API Reference (2006-03-01).
 */


#ifndef _S3_ERROR_H_INCLUDED_
#define _S3_ERROR_H_INCLUDED_


#include "s3_string.h"


typedef enum {
    S3_OK = 0,
    S3_DECLINED,                  /* not an error: the request is not ours */

    S3_ACCESS_DENIED,
    S3_ACCESS_DENIED_EXPIRED,
    S3_ACCESS_DENIED_FUTURE,
    S3_ACCESS_DENIED_NO_DATE,
    S3_ACCESS_DENIED_UNSIGNED_HOST,
    S3_ACCESS_DENIED_UNSIGNED_HEADER,
    S3_ACCESS_DENIED_TOKEN,
    S3_AUTHORIZATION_MALFORMED,
    S3_AUTHORIZATION_BAD_DATE,
    S3_AUTHORIZATION_BAD_REGION,
    S3_AUTHORIZATION_NOT_SIGV4,
    S3_AUTHORIZATION_TWICE,
    S3_BAD_GATEWAY,
    S3_BAD_PAYLOAD_HASH,
    S3_BODY,
    S3_EMPTY_KEY,
    S3_ENTITY_TOO_LARGE,
    S3_GATEWAY_TIMEOUT,
    S3_HEADER_NOT_ALLOWED,
    S3_INTERNAL_ERROR,
    S3_INVALID_ACCESS_KEY_ID,
    S3_INVALID_ARGUMENT,
    S3_INVALID_BUCKET_NAME,
    S3_INVALID_EXPIRES,
    S3_INVALID_HOST,
    S3_INVALID_PARAMETER,
    S3_INVALID_REQUEST,
    S3_INVALID_UPLOAD_ID,
    S3_INVALID_URI,
    S3_KEY_TOO_LONG,
    S3_METHOD_NOT_ALLOWED,
    S3_NOT_FOUND,
    S3_NO_SUCH_BUCKET,
    S3_NO_SUCH_UPLOAD,
    S3_NOT_IMPLEMENTED,
    S3_OPERATION_ABORTED,
    S3_PRECONDITION_FAILED,
    S3_REQUEST_TIMEOUT,
    S3_REQUEST_TIME_TOO_SKEWED,
    S3_SIGNATURE_DOES_NOT_MATCH,
    S3_SLOW_DOWN,

    S3_NERRORS
} s3_error_t;


/* the <Code>, the <Message> (never empty: awscli 2.9 fails on one) and the
 * HTTP status of an error; "e" is none of S3_OK and S3_DECLINED */

s3_str_t s3_error_code(s3_error_t e);
s3_str_t s3_error_message(s3_error_t e);
unsigned s3_error_status(s3_error_t e);


/* the error for a response of "status" (400 to 599) that another module, or
 * nginx itself, raised: the <Code> that SDKs understand the status by */

s3_error_t s3_error_from_status(unsigned status);


/* what a response of the storage means */

typedef enum {
    S3_STORAGE_ABORTED,           /* the upload is gone by this request */
    S3_STORAGE_GONE,              /* there is no such upload */
    S3_STORAGE_REFUSED,           /* the storage refuses, for a good reason */
    S3_STORAGE_UNAUTHORIZED,      /* the gateway's own credentials or clock */
    S3_STORAGE_BUSY,              /* 429 or 503 */
    S3_STORAGE_FAILED             /* 5xx, or nonsense */
} s3_storage_t;

typedef struct {
    s3_storage_t   verdict;
    s3_error_t     error;         /* for the tenant; S3_OK if ABORTED */
} s3_answer_t;


/* maps the storage's status (200 to 599, no 1xx) and <Code> (empty where it
 * sent none) to what it means and what the tenant is told */

s3_answer_t s3_error_from_storage(unsigned status, s3_str_t code);


/*
 * Finds the text of the <Code> that is a child of the document's <Error>.
 * Returns a part of "body", or an empty string if there is none, if it is
 * longer than 64 bytes or has bytes outside A-Za-z0-9._-.  This is no XML
 * parser: CDATA, comments before <Code>, and other encodings yield "none".
 */

s3_str_t s3_error_find_code(s3_str_t body);


/*
 * What an answer to ListParts says: whether the document's <ListPartsResult>
 * has a child <Part>.  REMAIN needs no more of "body" than that element's
 * tag, NONE all of the document.  Whatever else there is - another document,
 * comments, CDATA, other encodings - is UNKNOWN.
 */

typedef enum {
    S3_PARTS_UNKNOWN = 0,
    S3_PARTS_NONE,
    S3_PARTS_REMAIN
} s3_parts_t;

s3_parts_t s3_error_find_parts(s3_str_t body);


/*
 * The document, in two passes: its length, then its bytes; s3_error_xml()
 * returns the byte behind the last.  "resource" is UTF-8 or arbitrary bytes;
 * what XML 1.0 cannot carry becomes "?".  "region" is empty but for
 * S3_AUTHORIZATION_BAD_REGION.
 */

typedef struct {
    s3_error_t   error;
    s3_str_t     resource;
    s3_str_t     region;
    s3_str_t     request_id;
} s3_error_xml_t;

size_t s3_error_xml_len(const s3_error_xml_t *x);
u_char *s3_error_xml(u_char *dst, const s3_error_xml_t *x);


#endif /* _S3_ERROR_H_INCLUDED_ */
