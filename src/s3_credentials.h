
/*
 * The two file formats that hold secrets.  Results point into the text.
 *
 * Credentials: the AWS shared credentials file (AWS SDKs and Tools Reference
 * Guide, "Shared config and credentials files"), an INI file of profiles with
 * aws_access_key_id, aws_secret_access_key and, optionally,
 * aws_session_token; or NAVER's names, ncloud_access_key_id and
 * ncloud_secret_access_key.  As AWS's SDKs read it:
 *
 *  - blank lines, and lines whose first byte but blanks is "#" or ";", are
 *    skipped; there are no comments behind a value;
 *  - a profile starts with its name in brackets; what may follow on that
 *    line is a comment;
 *  - all else is "name = value" inside of a profile, blanks around both
 *    trimmed, the name without regard to case; a line that is indented more
 *    than the one of the name continues its value.
 *
 * Names of one profile are all AWS's or all NAVER's.  Other names, and what
 * other profiles say, are ignored.  Errors are a line of another form, the
 * profile or one of its names given twice, a value that is empty, on several
 * lines, too long, or has a byte that it must not have, and a profile's name
 * that is indented so that it would continue an ignored value.
 *
 * Tenant keys: one key a line, "tenant access_key_id secret_access_key",
 * separated by spaces or tabs; "#" starts a comment line; blank lines are
 * skipped.
 *
 * Both: LF or CRLF is a choice that is not offered - a CR, a NUL, another
 * control byte but TAB, or a byte order mark is an error, so that no secret
 * silently gets one byte more.  So is a last line without its LF, so that none
 * that is still being written gets one byte less.
 */


#ifndef _S3_CREDENTIALS_H_INCLUDED_
#define _S3_CREDENTIALS_H_INCLUDED_


#include "s3_string.h"


#define S3_TENANT_MAX         128
#define S3_ACCESS_KEY_MAX     128
#define S3_SECRET_MAX         256
#define S3_SESSION_TOKEN_MAX  4096


typedef struct {
    s3_str_t   access_key;        /* printable ASCII but "/", ",", "=", " " */
    s3_str_t   secret;            /* printable ASCII without space */
    s3_str_t   session_token;     /* the same; empty if there is none */
} s3_credentials_t;


/*
 * Reads one profile.  Returns NULL, or a static message that says what is
 * wrong, with the number of the line, from 1, in *line (0: no line in
 * particular).  A message never has a byte of the text.  On an error, *cred
 * is not to be used.
 */

const char *s3_credentials_parse(s3_credentials_t *cred, s3_str_t text,
    s3_str_t profile, unsigned *line);


typedef struct {
    s3_str_t   tenant;
    s3_str_t   access_key;        /* as above */
    s3_str_t   secret;
} s3_tenant_key_t;


/*
 * Reads the next key, cutting what was read off the front of *text.  *line
 * is 0 before the first call; it counts the lines read so far.  Returns
 * S3_KEY_NEXT with a key, S3_KEY_END at the end of the text, or S3_KEY_ERROR
 * with *message, static and without a byte of the text, *line being the line
 * at fault.  After an error there is no next call.
 */

typedef enum {
    S3_KEY_NEXT,
    S3_KEY_END,
    S3_KEY_ERROR
} s3_key_t;

s3_key_t s3_credentials_next_key(s3_tenant_key_t *key, s3_str_t *text,
    unsigned *line, const char **message);


/* true for 1 to 128 of A-Za-z0-9._@:+=- */

int s3_credentials_is_tenant(s3_str_t s);


#endif /* _S3_CREDENTIALS_H_INCLUDED_ */
