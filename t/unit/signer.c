
/*
 * The signer and the verifier of the pure files, for a comparison with other
 * implementations.  Reads requests, one a line, of fields in hexadecimal
 * ("-" is an empty one), and answers each with a line:
 *
 *     sign SECRET TIME REGION SERVICE BUCKET KEY ID {NAME VALUE}
 *     presign SECRET TIME REGION SERVICE BUCKET KEY ID HOST ACCESSKEY
 *             EXPIRES TOKEN
 *         the signature.  BUCKET is empty for a virtual host; the headers
 *         are sorted, and x-amz-content-sha256 is among them.
 *
 *     verify NOW REGION SERVICE ACCESSKEY SECRET TARGET AUTHORIZATION
 *            {NAME VALUE}
 *         "ok", or the code of an error.  AUTHORIZATION is empty for a
 *         presigned URL; the headers are those that were sent.
 *
 * The word in front is plain text.
 */


#include <stdio.h>
#include <stdlib.h>

#include "s3_authorization.h"
#include "s3_error.h"
#include "s3_request.h"
#include "s3_sigv4.h"
#include "s3_uri.h"


#define FIELDS_MAX  160
#define BUFFER      32768


typedef struct {
    s3_str_t   fields[FIELDS_MAX];
    size_t     n;
} line_t;


static int line_parse(line_t *l, char *text, u_char *buf);
static s3_str_t field(const line_t *l, size_t n);
static int sign(const line_t *l, u_char *hex);
static int presign(const line_t *l, u_char *hex);
static s3_error_t verify(const line_t *l);
static int signature(u_char *hex, const s3_sigv4_request_t *req,
    s3_str_t secret, s3_str_t time, s3_str_t region, s3_str_t service);
static s3_str_t encoded(u_char **p, s3_str_t s, s3_uri_part_t part);
static s3_str_t put(u_char **p, const char *text);


static s3_sigv4_t  sigv4;
static u_char      memory[16 * BUFFER];


int
main(void)
{
    int           rc;
    char         *text = NULL;
    size_t        size = 0;
    line_t        l;
    u_char        hex[S3_SHA256_HEX_LEN], *buf;
    s3_str_t      code;
    s3_error_t    e;

    if (s3_sigv4_init(&sigv4) != 0) {
        return 1;
    }

    while (getline(&text, &size, stdin) > 0) {

        buf = malloc(size);

        if (buf == NULL || line_parse(&l, text, buf) != 0) {
            fprintf(stderr, "signer: bad line\n");
            return 1;
        }

        if (strcmp(text, "verify") == 0) {
            e = verify(&l);

            if (e == S3_OK || e == S3_DECLINED) {
                printf("%s\n", e == S3_OK ? "ok" : "declined");

            } else {
                code = s3_error_code(e);
                printf("%.*s\n", (int) code.len, code.data);
            }

        } else {
            rc = strcmp(text, "sign") == 0 ? sign(&l, hex)
                                           : presign(&l, hex);

            if (rc != 0) {
                fprintf(stderr, "signer: no signature\n");
                return 1;
            }

            printf("%.*s\n", (int) sizeof(hex), hex);
        }

        free(buf);
    }

    free(text);
    s3_sigv4_cleanup(&sigv4);

    return 0;
}


static int
line_parse(line_t *l, char *text, u_char *buf)
{
    char      *p;
    unsigned   byte;

    l->n = 0;

    for (p = strtok(text, " \n"), p = strtok(NULL, " \n"); p;
         p = strtok(NULL, " \n"))
    {
        if (l->n == FIELDS_MAX) {
            return -1;
        }

        l->fields[l->n].data = buf;

        for ( /* void */ ; *p && *p != '-'; p += 2) {
            if (sscanf(p, "%2x", &byte) != 1) {
                return -1;
            }

            *buf++ = (u_char) byte;
        }

        l->fields[l->n].len = (size_t) (buf - l->fields[l->n].data);
        l->n++;
    }

    return 0;
}


static s3_str_t
field(const line_t *l, size_t n)
{
    s3_str_t  none = { 0, NULL };

    return n < l->n ? l->fields[n] : none;
}


static int
sign(const line_t *l, u_char *hex)
{
    size_t               i;
    u_char              *p;
    s3_str_t             part;
    s3_sigv4_header_t    headers[FIELDS_MAX];
    s3_sigv4_request_t   req;

    static const s3_str_t  method = s3_string("DELETE");
    static const s3_str_t  sha256 = s3_string("x-amz-content-sha256");

    p = memory;
    memset(&req, 0, sizeof(req));

    req.method = method;
    req.headers = headers;

    req.uri = put(&p, "/");

    if (field(l, 4).len) {
        (void) encoded(&p, field(l, 4), S3_URI_PATH);
        (void) put(&p, "/");
    }

    (void) encoded(&p, field(l, 5), S3_URI_PATH);
    req.uri.len = (size_t) (p - req.uri.data);

    req.query = put(&p, "uploadId=");
    part = encoded(&p, field(l, 6), S3_URI_QUERY);
    req.query.len += part.len;

    for (i = 7; i + 1 < l->n; i += 2) {
        headers[req.nheaders].name = field(l, i);
        headers[req.nheaders].value = field(l, i + 1);

        if (s3_str_eq(field(l, i), sha256)) {
            req.payload_hash = field(l, i + 1);
        }

        req.nheaders++;
    }

    return signature(hex, &req, field(l, 0), field(l, 1), field(l, 2),
                     field(l, 3));
}


static int
presign(const line_t *l, u_char *hex)
{
    u_char              *p;
    s3_str_t             query;
    s3_sigv4_header_t    host;
    s3_sigv4_request_t   req;

    static const s3_str_t  method = s3_string("DELETE");
    static const s3_str_t  unsigned_payload = s3_string("UNSIGNED-PAYLOAD");
    static const s3_str_t  name_host = s3_string("host");
    static const s3_str_t  slash = s3_string("/");
    static const s3_str_t  terminator = s3_string(S3_SIGV4_TERMINATOR);

    p = memory;
    memset(&req, 0, sizeof(req));

    host.name = name_host;
    host.value = field(l, 7);

    req.method = method;
    req.payload_hash = unsigned_payload;
    req.headers = &host;
    req.nheaders = 1;

    req.uri = put(&p, "/");

    if (field(l, 4).len) {
        (void) encoded(&p, field(l, 4), S3_URI_PATH);
        (void) put(&p, "/");
    }

    (void) encoded(&p, field(l, 5), S3_URI_PATH);
    req.uri.len = (size_t) (p - req.uri.data);

    /* not sorted */

    query = put(&p, "uploadId=");
    (void) encoded(&p, field(l, 6), S3_URI_QUERY);
    (void) put(&p, "&X-Amz-SignedHeaders=host&X-Amz-Expires=");
    (void) encoded(&p, field(l, 9), S3_URI_QUERY);
    (void) put(&p, "&X-Amz-Date=");
    (void) encoded(&p, field(l, 1), S3_URI_QUERY);
    (void) put(&p, "&X-Amz-Algorithm=" S3_SIGV4_ALGORITHM
                   "&X-Amz-Credential=");
    (void) encoded(&p, field(l, 8), S3_URI_QUERY);
    (void) encoded(&p, slash, S3_URI_QUERY);
    p = s3_put(p, field(l, 1));
    p -= S3_SIGV4_TIME_LEN - S3_SIGV4_DATE_LEN;
    (void) encoded(&p, slash, S3_URI_QUERY);
    (void) encoded(&p, field(l, 2), S3_URI_QUERY);
    (void) encoded(&p, slash, S3_URI_QUERY);
    (void) encoded(&p, field(l, 3), S3_URI_QUERY);
    (void) encoded(&p, slash, S3_URI_QUERY);
    (void) encoded(&p, terminator, S3_URI_QUERY);

    if (field(l, 10).len) {
        (void) put(&p, "&X-Amz-Security-Token=");
        (void) encoded(&p, field(l, 10), S3_URI_QUERY);
    }

    query.len = (size_t) (p - query.data);

    req.query.data = p;
    req.query.len = (size_t) (s3_authorization_query(p, query) - p);

    return signature(hex, &req, field(l, 0), field(l, 1), field(l, 2),
                     field(l, 3));
}


/* what the module does with a tenant's request, in short */

static s3_error_t
verify(const line_t *l)
{
    size_t                i, nheaders;
    u_char               *p, hex[S3_SHA256_HEX_LEN];
    int64_t               now;
    s3_str_t              time, hash, list, name, host, none = { 0, NULL };
    s3_error_t            e;
    s3_request_t          r;
    s3_request_conf_t     conf;
    s3_sigv4_header_t     headers[FIELDS_MAX];
    s3_sigv4_request_t    req;
    s3_authorization_t    a;

    static s3_str_t         domains[] = { s3_string("s3.example.com") };
    static const s3_str_t   method = s3_string("DELETE");
    static const s3_str_t   name_host = s3_string("host");
    static const s3_str_t   name_date = s3_string("x-amz-date");
    static const s3_str_t   name_hash = s3_string("x-amz-content-sha256");

    p = memory;
    memset(&req, 0, sizeof(req));
    memset(&conf, 0, sizeof(conf));

    conf.domains = domains;
    conf.ndomains = 1;

    time = none;
    hash = none;
    host = none;
    now = s3_authorization_time(field(l, 0));

    for (i = 7; i + 1 < l->n; i += 2) {
        if (s3_str_eq(field(l, i), name_host)) {
            host = field(l, i + 1);
        }

        if (s3_str_eq(field(l, i), name_date)) {
            time = field(l, i + 1);
        }

        if (s3_str_eq(field(l, i), name_hash)) {
            hash = field(l, i + 1);
        }
    }

    for (i = 0; i < host.len && host.data[i] != ':'; i++) { /* void */ }

    host.len = i;

    e = s3_request_parse(&r, field(l, 5), host, &conf, p);
    if (e != S3_OK) {
        return e;
    }

    p += field(l, 5).len;

    if (r.presigned) {
        if (field(l, 6).len) {
            return S3_AUTHORIZATION_TWICE;
        }

        e = s3_authorization_parse_query(&a, &r, p);
        p += r.query.len;

        time = a.time;
        hash = a.payload_hash;

    } else {
        e = s3_authorization_parse_header(&a, field(l, 6));
    }

    if (e == S3_OK) {
        e = s3_authorization_check(&a, time, field(l, 1), field(l, 2), now,
                                   900);
    }

    if (e == S3_OK && !r.presigned) {
        e = s3_authorization_check_payload_hash(hash);
    }

    if (e != S3_OK) {
        return e;
    }

    if (!s3_str_eq(a.access_key, field(l, 3))) {
        return S3_INVALID_ACCESS_KEY_ID;
    }

    list = a.signed_headers;
    nheaders = 0;

    while (s3_authorization_next_signed(&list, &name)) {

        for (i = 7; i + 1 < l->n; i += 2) {
            if (s3_str_eq(field(l, i), name)) {
                break;
            }
        }

        if (i + 1 >= l->n) {
            return S3_SIGNATURE_DOES_NOT_MATCH;
        }

        headers[nheaders].name = name;
        headers[nheaders++].value = field(l, i + 1);
    }

    req.method = method;
    req.headers = headers;
    req.nheaders = nheaders;
    req.payload_hash = hash;

    req.uri.data = p;
    req.uri.len = s3_uri_recoded_len(r.path, S3_URI_PATH);
    p = s3_uri_recode(p, r.path, S3_URI_PATH);

    req.query.data = p;
    p = s3_authorization_query(p, r.query);
    req.query.len = (size_t) (p - req.query.data);

    if (signature(hex, &req, field(l, 4), time, field(l, 1), field(l, 2))
        != 0)
    {
        return S3_INTERNAL_ERROR;
    }

    return memcmp(hex, a.signature.data, sizeof(hex)) == 0
           ? S3_OK : S3_SIGNATURE_DOES_NOT_MATCH;
}


static int
signature(u_char *hex, const s3_sigv4_request_t *req, s3_str_t secret,
    s3_str_t time, s3_str_t region, s3_str_t service)
{
    int              rc;
    u_char          *p;
    s3_str_t         canonical, scope, string, date;
    s3_sigv4_key_t   k;
    u_char          *buf;

    buf = malloc(s3_sigv4_canonical_request_len(req) + BUFFER);

    if (buf == NULL) {
        return -1;
    }

    date = time;
    date.len = S3_SIGV4_DATE_LEN;

    p = buf;

    canonical.data = p;
    p = s3_sigv4_canonical_request(p, req);
    canonical.len = (size_t) (p - canonical.data);

    scope.data = p;
    p = s3_put(p, date);
    *p++ = '/';
    p = s3_put(p, region);
    *p++ = '/';
    p = s3_put(p, service);
    (void) put(&p, "/" S3_SIGV4_TERMINATOR);
    scope.len = (size_t) (p - scope.data);

    string.data = p;
    string.len = s3_sigv4_string_to_sign_len(scope);

    rc = s3_sigv4_string_to_sign(&sigv4, p, time, scope, canonical) != 0
         || s3_sigv4_signing_key(&sigv4, &k, secret, date, region, service)
            != 0
         || s3_sigv4_signature(&sigv4, &k, string, hex) != 0;

    free(buf);

    return rc;
}


static s3_str_t
encoded(u_char **p, s3_str_t s, s3_uri_part_t part)
{
    s3_str_t  e;

    e.data = *p;
    *p = s3_uri_encode(*p, s, part);
    e.len = (size_t) (*p - e.data);

    return e;
}


static s3_str_t
put(u_char **p, const char *text)
{
    s3_str_t  s;

    s.data = *p;
    s.len = strlen(text);

    memcpy(*p, text, s.len);
    *p += s.len;

    return s;
}
