
/*
 * A second, simple reader of HTTP requests, and SigV4 as the AWS documentation
 * words it, over OpenSSL's HMAC(): what the targets compare the module with.
 * It shares no line with it.
 */


#ifndef _FUZZ_HTTP_H_INCLUDED_
#define _FUZZ_HTTP_H_INCLUDED_


#include <ctype.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fuzz.h"


#define FUZZ_HEADERS_MAX     64
#define FUZZ_PARAMETERS_MAX  64


typedef struct {
    s3_str_t   name;
    s3_str_t   value;
} fuzz_pair_t;


typedef struct {
    s3_str_t      method;
    s3_str_t      target;
    s3_str_t      path;
    s3_str_t      query;
    s3_str_t      version;
    fuzz_pair_t   headers[FUZZ_HEADERS_MAX];
    size_t        nheaders;
    s3_str_t      rest;               /* what is behind the head */
} fuzz_request_t;


/* cuts what is before the first "c", and "c", off the front of *s */

static inline s3_str_t
fuzz_cut(s3_str_t *s, int c)
{
    u_char    *p;
    s3_str_t   part;

    part = *s;
    p = s->len ? memchr(s->data, c, s->len) : NULL;

    if (p == NULL) {
        s->data = s->len ? s->data + s->len : s->data;
        s->len = 0;
        return part;
    }

    part.len = (size_t) (p - s->data);

    s->data = p + 1;
    s->len -= part.len + 1;

    return part;
}


/* a line that ends in LF or CRLF */

static inline s3_str_t
fuzz_crlf_line(s3_str_t *s)
{
    s3_str_t  line;

    line = fuzz_cut(s, '\n');

    if (line.len && line.data[line.len - 1] == '\r') {
        line.len--;
    }

    return line;
}


static inline s3_str_t
fuzz_trim(s3_str_t s)
{
    while (s.len && (*s.data == ' ' || *s.data == '\t')) {
        s.data++;
        s.len--;
    }

    while (s.len
           && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
    {
        s.len--;
    }

    return s;
}


static inline int
fuzz_caseeq(s3_str_t a, s3_str_t b)
{
    size_t  i;

    /* strncasecmp() would stop at a NUL */

    for (i = 0; a.len == b.len && i < a.len; i++) {
        if (tolower(a.data[i]) != tolower(b.data[i])) {
            return 0;
        }
    }

    return a.len == b.len;
}


static inline int
fuzz_has(s3_str_t s, const char *text)
{
    return s.len && memmem(s.data, s.len, text, strlen(text)) != NULL;
}


/* a request's head, with the empty line; 0 if it is not of the form */

static inline int
fuzz_read_request(fuzz_request_t *r, s3_str_t head)
{
    s3_str_t      line, rest;
    fuzz_pair_t  *h;

    memset(r, 0, sizeof(fuzz_request_t));

    line = fuzz_crlf_line(&head);

    r->method = fuzz_cut(&line, ' ');
    r->target = fuzz_cut(&line, ' ');
    r->version = line;

    rest = r->target;
    r->path = fuzz_cut(&rest, '?');
    r->query = rest;

    if (r->method.len == 0 || r->path.len == 0 || *r->path.data != '/') {
        return 0;
    }

    while (head.len) {
        line = fuzz_crlf_line(&head);

        if (line.len == 0) {
            r->rest = head;
            return 1;
        }

        if (r->nheaders == FUZZ_HEADERS_MAX
            || memchr(line.data, ':', line.len) == NULL)
        {
            return 0;
        }

        h = &r->headers[r->nheaders++];
        h->name = fuzz_cut(&line, ':');
        h->value = line;
    }

    return 0;
}


/* the value of the first header of the name; data is NULL if there is none */

static inline s3_str_t
fuzz_header(const fuzz_request_t *r, s3_str_t name)
{
    size_t    i;
    s3_str_t  none = { 0, NULL };

    for (i = 0; i < r->nheaders; i++) {
        if (fuzz_caseeq(r->headers[i].name, name)) {
            return fuzz_trim(r->headers[i].value);
        }
    }

    return none;
}


/* the value, as sent, of the first parameter of the name */

static inline s3_str_t
fuzz_parameter(s3_str_t query, const char *name)
{
    s3_str_t  param, none = { 0, NULL };

    while (query.len) {
        param = fuzz_cut(&query, '&');

        if (s3_str_eq(fuzz_cut(&param, '='), fuzz_str(name))) {
            return param;
        }
    }

    return none;
}


static inline int
fuzz_compare(s3_str_t a, s3_str_t b)
{
    int     rc;
    size_t  len;

    len = a.len < b.len ? a.len : b.len;
    rc = len ? memcmp(a.data, b.data, len) : 0;

    return rc ? rc : (a.len > b.len) - (a.len < b.len);
}


static inline int
fuzz_compare_pairs(const void *one, const void *two)
{
    int                 rc;
    const fuzz_pair_t  *a = one, *b = two;

    rc = fuzz_compare(a->name, b->name);

    return rc ? rc : fuzz_compare(a->value, b->value);
}


/* decodes, then encodes; the result is malloc()ed; 0 on a bad escape */

static inline int
fuzz_recode(s3_str_t *dst, s3_str_t src, int slash)
{
    long       n;
    u_char    *buf;
    s3_str_t   s;

    buf = fuzz_alloc(src.len);
    n = fuzz_decode(buf, src);

    if (n == -1) {
        fuzz_free(buf, src.len);
        return 0;
    }

    s.data = buf;
    s.len = (size_t) n;

    dst->data = malloc(3 * s.len + 1);
    fuzz_assert(dst->data);
    dst->len = fuzz_encode(dst->data, s, slash);

    fuzz_free(buf, src.len);

    return 1;
}


/*
 * The canonical query, into room for 3 * query.len + FUZZ_PARAMETERS_MAX
 * bytes: the length, or -1 on too many parameters or a bad escape.
 */

static inline long
fuzz_canonical_query(u_char *dst, s3_str_t query)
{
    u_char       *p;
    size_t        i, n;
    s3_str_t      param, name;
    fuzz_pair_t   pairs[FUZZ_PARAMETERS_MAX];

    n = 0;
    p = dst;

    while (query.len && p) {
        param = fuzz_cut(&query, '&');
        name = fuzz_cut(&param, '=');

        if (s3_str_eq(name, fuzz_str("X-Amz-Signature"))) {
            continue;
        }

        if (n == FUZZ_PARAMETERS_MAX
            || !fuzz_recode(&pairs[n].name, name, 0))
        {
            p = NULL;
            break;
        }

        if (!fuzz_recode(&pairs[n].value, param, 0)) {
            free(pairs[n].name.data);
            p = NULL;
            break;
        }

        n++;
    }

    qsort(pairs, n, sizeof(fuzz_pair_t), fuzz_compare_pairs);

    for (i = 0; i < n; i++) {

        if (p) {
            if (i) {
                *p++ = '&';
            }

            p = s3_put(p, pairs[i].name);
            *p++ = '=';
            p = s3_put(p, pairs[i].value);
        }

        free(pairs[i].name.data);
        free(pairs[i].value.data);
    }

    return p ? p - dst : -1;
}


/* "trim, and convert sequential spaces to a single space" */

static inline u_char *
fuzz_put_folded(u_char *p, s3_str_t value)
{
    size_t  i;

    value = fuzz_trim(value);

    for (i = 0; i < value.len; i++) {
        if (value.data[i] != ' ' || value.data[i - 1] != ' ') {
            *p++ = value.data[i];
        }
    }

    return p;
}


/*
 * The canonical request, into room for 3 * (target) + 2 * (headers) + 1024
 * bytes at least: the length, or -1 if the request is not of the form, or the
 * names are not in order.
 */

static inline long
fuzz_canonical_request(u_char *dst, const fuzz_request_t *r,
    s3_str_t signed_headers, s3_str_t payload_hash)
{
    long       n;
    u_char    *p;
    s3_str_t   path, list, name, value, previous = { 0, NULL };

    if (!fuzz_recode(&path, r->path, 1)) {
        return -1;
    }

    p = s3_put(dst, r->method);
    *p++ = '\n';
    p = s3_put(p, path);
    *p++ = '\n';

    free(path.data);

    n = fuzz_canonical_query(p, r->query);

    if (n == -1) {
        return -1;
    }

    p += n;
    *p++ = '\n';

    list = signed_headers;

    while (list.len) {
        name = fuzz_cut(&list, ';');
        value = fuzz_header(r, name);

        if (value.data == NULL || fuzz_compare(previous, name) >= 0) {
            return -1;
        }

        previous = name;

        p = s3_put(p, name);
        *p++ = ':';
        p = fuzz_put_folded(p, value);
        *p++ = '\n';
    }

    *p++ = '\n';
    p = s3_put(p, signed_headers);
    *p++ = '\n';
    p = s3_put(p, payload_hash);

    return p - dst;
}


static inline void
fuzz_hex_of(char *dst, const u_char *src, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        snprintf(dst + 2 * i, 3, "%02x", src[i]);
    }
}


static inline unsigned
fuzz_hmac(u_char *dst, const void *key, size_t key_len, s3_str_t s)
{
    unsigned  len;

    fuzz_assert(HMAC(EVP_sha256(), key, (int) key_len, s.data, s.len, dst,
                     &len));

    return len;
}


/* "scope" is DATE/REGION/SERVICE/aws4_request; its four parts make the key */

static inline void
fuzz_signature(char hex[65], s3_str_t canonical, s3_str_t time,
    s3_str_t scope, s3_str_t secret)
{
    int        i;
    char       hash[65];
    u_char    *p, md[EVP_MAX_MD_SIZE], *to_sign;
    size_t     len;
    unsigned   n;
    s3_str_t   rest, s;

    fuzz_assert(EVP_Digest(canonical.data, canonical.len, md, &n,
                           EVP_sha256(), NULL));
    fuzz_hex_of(hash, md, n);

    to_sign = malloc(time.len + scope.len + 128);
    p = malloc(secret.len + 4);
    fuzz_assert(to_sign && p);

    memcpy(p, "AWS4", 4);
    (void) s3_put(p + 4, secret);

    rest = scope;
    s = fuzz_cut(&rest, '/');
    len = fuzz_hmac(md, p, secret.len + 4, s);
    free(p);

    for (i = 0; i < 3; i++) {
        s = fuzz_cut(&rest, '/');
        len = fuzz_hmac(md, md, len, s);
    }

    p = s3_put(to_sign, fuzz_str("AWS4-HMAC-SHA256\n"));
    p = s3_put(p, time);
    *p++ = '\n';
    p = s3_put(p, scope);
    *p++ = '\n';
    p = s3_put(p, fuzz_str(hash));

    s.data = to_sign;
    s.len = (size_t) (p - to_sign);
    len = fuzz_hmac(md, md, len, s);
    free(to_sign);

    fuzz_hex_of(hex, md, len);
}


/* how many parameters, split at all that may split, are named uploadId */

static inline unsigned
fuzz_count_upload_ids(s3_str_t query)
{
    long       k;
    u_char    *buf;
    size_t     i, start;
    unsigned   n;
    s3_str_t   s, param;

    n = 0;
    buf = fuzz_alloc(query.len);

    for (i = 0, start = 0; i <= query.len; i++) {

        if (i < query.len && !memchr("&;?", query.data[i], 3)) {
            continue;
        }

        param.data = query.data + start;
        param.len = i - start;
        start = i + 1;

        k = fuzz_decode(buf, fuzz_cut(&param, '='));

        s.data = buf;
        s.len = k > 0 ? (size_t) k : 0;
        n += fuzz_caseeq(s, fuzz_str("uploadid"));
    }

    fuzz_free(buf, query.len);

    return n;
}


/* SigV4 of a client or of the module: finds out what was signed, and how */

typedef struct {
    s3_str_t   credential;
    s3_str_t   signed_headers;
    s3_str_t   signature;
    s3_str_t   time;
    s3_str_t   payload_hash;
} fuzz_authorization_t;


static inline int
fuzz_read_authorization(fuzz_authorization_t *a, const fuzz_request_t *r)
{
    s3_str_t  value, part, name;

    memset(a, 0, sizeof(fuzz_authorization_t));

    value = fuzz_header(r, fuzz_str("authorization"));
    a->time = fuzz_header(r, fuzz_str("x-amz-date"));
    a->payload_hash = fuzz_header(r, fuzz_str("x-amz-content-sha256"));

    if (a->payload_hash.data == NULL) {
        a->payload_hash = fuzz_str("e3b0c44298fc1c149afbf4c8996fb92427ae41e4"
                                   "649b934ca495991b7852b855");
    }

    if (!s3_str_eq(fuzz_cut(&value, ' '), fuzz_str("AWS4-HMAC-SHA256"))) {
        return 0;
    }

    while (value.len) {
        part = fuzz_trim(fuzz_cut(&value, ','));
        name = fuzz_cut(&part, '=');

        if (s3_str_eq(name, fuzz_str("Credential"))) {
            a->credential = part;

        } else if (s3_str_eq(name, fuzz_str("SignedHeaders"))) {
            a->signed_headers = part;

        } else if (s3_str_eq(name, fuzz_str("Signature"))) {
            a->signature = part;

        } else {
            return 0;
        }
    }

    return a->credential.len && a->signed_headers.len && a->time.len;
}


#endif /* _FUZZ_HTTP_H_INCLUDED_ */
