
/*
 * Input: a host, a line feed, a request target.
 *
 * A simple second reader finds the same bucket, key and upload id, or refuses
 * what is refused; they can be written in one way only, which is parsed to the
 * same again.
 */


#include "http.h"
#include "s3_request.h"
#include "s3_uri.h"


/* what a second, simple reader makes of a target */

typedef struct {
    s3_str_t   bucket;
    s3_str_t   key;
    s3_str_t   upload_id;
    u_char    *buf;
    size_t     size;
} naive_t;


static void parse(s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf);
static void check(const s3_request_t *req, s3_str_t target);
static void again(const s3_request_t *req);
static s3_error_t naive_parse(naive_t *n, s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf);
static s3_error_t naive_base_path(s3_str_t *path, s3_str_t base,
    u_char *buf);
static s3_error_t naive_query(naive_t *n, s3_str_t query, u_char *buf);
static int naive_bucket(s3_str_t bucket);
static int naive_upload_id(s3_str_t id);
static int naive_port(s3_str_t host);
static void redact(s3_str_t target);


static s3_str_t  domains[] = {
    s3_string("eu.s3.example.com"),
    s3_string("s3.example.com"),
    s3_string("gw")
};

static const s3_request_conf_t  confs[] = {
    { NULL, 0, s3_string("") },
    { domains, 3, s3_string("") },
    { domains, 3, s3_string("/s3/x") }
};


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    i;
    s3_str_t  input, line, host, target;

    input.data = (u_char *) data;
    input.len = size;

    line = fuzz_line(&input);
    host = fuzz_copy(line.data, line.len);
    target = fuzz_copy(input.data, input.len);

    fuzz_assert(!s3_request_host_port_valid(host) == !naive_port(host));

    line = target;
    (void) fuzz_cut(&line, '?');
    fuzz_assert(!s3_request_is_abort_like(target)
                == (fuzz_count_upload_ids(line) == 0));

    for (i = 0; i < host.len; i++) {
        if (host.data[i] >= 'A' && host.data[i] <= 'Z') {
            host.data[i] |= 0x20;
        }
    }

    for (i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
        parse(target, host, &confs[i]);
    }

    redact(target);

    fuzz_free(target.data, target.len);
    fuzz_free(host.data, host.len);

    return 0;
}


static void
parse(s3_str_t target, s3_str_t host, const s3_request_conf_t *conf)
{
    u_char        *buf;
    naive_t        n;
    s3_error_t     e, naive;
    s3_request_t   req;

    buf = fuzz_alloc(target.len);
    e = s3_request_parse(&req, target, host, conf, buf);

    n.size = 2 * target.len;
    n.buf = fuzz_alloc(n.size);
    naive = naive_parse(&n, target, host, conf);

    fuzz_assert((e == S3_OK) == (naive == S3_OK));
    fuzz_assert((e == S3_DECLINED) == (naive == S3_DECLINED));

    if (e == S3_OK) {
        fuzz_assert(s3_str_eq(req.bucket, n.bucket));
        fuzz_assert(s3_str_eq(req.key, n.key));
        fuzz_assert(s3_str_eq(req.upload_id, n.upload_id));
    }

    fuzz_free(n.buf, n.size);

    if (e == S3_OK) {
        check(&req, target);
        again(&req);

    } else if (e == S3_DECLINED) {
        fuzz_assert(conf->base_path.len != 0);

    } else {
        fuzz_assert(e < S3_NERRORS && s3_error_status(e) == 400);
    }

    fuzz_free(buf, target.len);
}


static void
check(const s3_request_t *req, s3_str_t target)
{
    size_t    i;
    unsigned  presigned;
    s3_str_t  s;

    fuzz_assert(s3_request_is_abort_like(target));

    for (i = 0, presigned = 0; i < S3_NAMZ; i++) {

        if (req->amz[i].data == NULL) {
            continue;
        }

        presigned = 1;
        s = req->amz[i];
        fuzz_assert(s.data > req->query.data
                    && s.data + s.len <= req->query.data + req->query.len);

        fuzz_assert(s3_uri_recoded_len(s, S3_URI_QUERY) <= 3 * s.len);
    }

    fuzz_assert(!presigned == !req->presigned);
}


/* written as the module does, and read again */

static void
again(const s3_request_t *req)
{
    u_char              *p, *buf;
    size_t               len;
    s3_str_t             target;
    s3_error_t           e;
    s3_request_t         r;
    s3_request_conf_t    c;

    static const s3_str_t  slash = s3_string("/");
    static const s3_str_t  query = s3_string("?uploadId=");
    static const s3_str_t  host = s3_string("");

    len = 2 + req->bucket.len + s3_uri_encoded_len(req->key, S3_URI_PATH)
          + query.len + s3_uri_encoded_len(req->upload_id, S3_URI_QUERY);

    target.data = fuzz_alloc(len);
    p = s3_put(target.data, slash);
    p = s3_put(p, req->bucket);
    p = s3_put(p, slash);
    p = s3_uri_encode(p, req->key, S3_URI_PATH);
    p = s3_put(p, query);
    p = s3_uri_encode(p, req->upload_id, S3_URI_QUERY);

    target.len = len;
    fuzz_assert(p == target.data + len);

    /* nobody else reads it in another way */

    fuzz_assert(memchr(target.data, ';', len) == NULL);
    fuzz_assert(memchr(target.data, '&', len) == NULL);
    fuzz_assert(memchr(target.data, '+', len) == NULL);

    memset(&c, 0, sizeof(c));
    buf = fuzz_alloc(len);

    e = s3_request_parse(&r, target, host, &c, buf);

    fuzz_assert(e == S3_OK);
    fuzz_assert(s3_str_eq(r.bucket, req->bucket));
    fuzz_assert(s3_str_eq(r.key, req->key));
    fuzz_assert(s3_str_eq(r.upload_id, req->upload_id));
    fuzz_assert(!r.presigned);

    fuzz_free(buf, len);
    fuzz_free(target.data, len);
}


/* S3_OK, S3_DECLINED, or any other error */

static s3_error_t
naive_parse(naive_t *n, s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf)
{
    long        k;
    size_t      i, longest;
    u_char     *p;
    s3_str_t    path, query, domain;
    s3_error_t  e;

    for (i = 0; i < target.len; i++) {
        if (target.data[i] <= 0x20 || target.data[i] == 0x7f
            || target.data[i] == '#')
        {
            return S3_INVALID_URI;
        }
    }

    query = target;
    path = fuzz_cut(&query, '?');

    e = naive_base_path(&path, conf->base_path, n->buf);
    if (e != S3_OK) {
        return e;
    }

    if (path.len == 0 || *path.data != '/') {
        return S3_INVALID_URI;
    }

    (void) fuzz_cut(&path, '/');

    /* the bucket: in the host, or in the path */

    longest = 0;
    n->bucket.data = NULL;

    for (i = 0; i < conf->ndomains; i++) {
        domain = conf->domains[i];
        p = host.data + host.len - domain.len;

        if (domain.len <= longest || host.len < domain.len
            || memcmp(p, domain.data, domain.len) != 0)
        {
            continue;
        }

        if (host.len == domain.len) {
            longest = domain.len;
            n->bucket.data = NULL;

        } else if (p[-1] == '.') {
            longest = domain.len;
            n->bucket.data = host.data;
            n->bucket.len = host.len - domain.len - 1;
        }
    }

    if (n->bucket.data == NULL) {
        n->bucket = fuzz_cut(&path, '/');
    }

    k = fuzz_decode(n->buf, path);

    if (k == -1) {
        return S3_INVALID_URI;
    }

    n->key.data = n->buf;
    n->key.len = (size_t) k;

    e = naive_query(n, query, n->buf + target.len);

    if (e != S3_OK || !naive_bucket(n->bucket) || k > 1024
        || fuzz_is_slashes(n->key) || !fuzz_is_text(n->key)
        || fuzz_has_dot_segment(n->key))
    {
        return S3_INVALID_REQUEST;
    }

    return S3_OK;
}


static int
naive_is_below(s3_str_t path, s3_str_t base)
{
    return path.len >= base.len && memcmp(path.data, base.data, base.len) == 0
           && (path.len == base.len || path.data[base.len] == '/');
}


/* a path that decodes to one below, or that may do so somewhere, is refused */

static s3_error_t
naive_base_path(s3_str_t *path, s3_str_t base, u_char *buf)
{
    long      k;
    s3_str_t  s;

    if (base.len == 0) {
        return S3_OK;
    }

    if (naive_is_below(*path, base)) {
        path->data += base.len;
        path->len -= base.len;
        return S3_OK;
    }

    k = fuzz_decode(buf, *path);
    s.data = buf;
    s.len = k > 0 ? (size_t) k : 0;

    return k == -1 || fuzz_has_dot_segment(s) || fuzz_has(s, "//")
           || naive_is_below(s, base) ? S3_INVALID_URI : S3_DECLINED;
}


static s3_error_t
naive_query(naive_t *n, s3_str_t query, u_char *buf)
{
    int       i;
    long      k;
    unsigned  seen;
    s3_str_t  param, name, rest;

    static const char  *names[] = {
        "uploadId", "x-id", "X-Amz-Algorithm", "X-Amz-Credential",
        "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
        "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256"
    };

    if (fuzz_has(query, ";") || fuzz_has(query, "?")
        || (query.len && query.data[query.len - 1] == '&'))
    {
        return S3_INVALID_PARAMETER;
    }

    seen = 0;

    for (rest = query; rest.len; /* void */ ) {
        param = fuzz_cut(&rest, '&');
        name = fuzz_cut(&param, '=');

        for (i = 0; i < 10 && !s3_str_eq(name, fuzz_str(names[i])); i++) {
            /* void */
        }

        if (i == 10 || seen & 1u << i) {
            return S3_INVALID_PARAMETER;
        }

        seen |= 1u << i;

        /* "=" was there if what is behind it does not follow the name */

        if (param.data == name.data + name.len
            || (i == 1 && !s3_str_eq(param,
                                     fuzz_str("AbortMultipartUpload"))))
        {
            return S3_INVALID_PARAMETER;
        }

        k = fuzz_decode(buf, param);

        if (k == -1) {
            return S3_INVALID_PARAMETER;
        }

        if (i == 0) {
            n->upload_id.data = buf;
            n->upload_id.len = (size_t) k;
            buf += k;
        }
    }

    return (seen & 1) && naive_upload_id(n->upload_id) ? S3_OK
                                                       : S3_INVALID_UPLOAD_ID;
}


static int
naive_bucket(s3_str_t s)
{
    size_t    i;
    unsigned  dots, letters;

    dots = 0;
    letters = 0;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '\0'
            || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", s.data[i]))
        {
            return 0;
        }

        dots += s.data[i] == '.';
        letters += s.data[i] >= 'a' || s.data[i] == '-';
    }

    return s.len >= 3 && s.len <= 63 && !strchr("-.", s.data[0])
           && !strchr("-.", s.data[s.len - 1]) && (dots != 3 || letters);
}


static int
naive_upload_id(s3_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '\0'
            || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                       "0123456789._~+=-", s.data[i]))
        {
            return 0;
        }
    }

    return s.len >= 1 && s.len <= 1024 && !s3_str_eq(s, fuzz_str("."))
           && !s3_str_eq(s, fuzz_str(".."));
}


static int
naive_port(s3_str_t host)
{
    size_t  i;

    if (host.len && *host.data == '[') {

        if (!fuzz_has(host, "]")) {
            return 0;
        }

        (void) fuzz_cut(&host, ']');

        if (host.len && *host.data != ':') {
            return 0;
        }
    }

    (void) fuzz_cut(&host, ':');

    while (host.len && *host.data == '0') {
        host.data++;
        host.len--;
    }

    for (i = 0; i < host.len; i++) {
        if (host.data[i] < '0' || host.data[i] > '9') {
            return 0;
        }
    }

    return host.len < 5
           || (host.len == 5 && memcmp(host.data, "65535", 5) <= 0);
}


/* all of it, but for the values that are secret */

static void
redact(s3_str_t target)
{
    long      k;
    size_t    i, j, start, end, len;
    u_char   *dst, *twice, *naive, *buf, *p;
    s3_str_t  s, name, plain;

    static const char  *secrets[] = {
        "x-amz-signature", "x-amz-security-token", "signature"
    };

    dst = fuzz_alloc(target.len);
    buf = fuzz_alloc(target.len);
    twice = fuzz_alloc(target.len);
    naive = fuzz_alloc(target.len);

    len = s3_request_redact(dst, target);
    fuzz_assert(len <= target.len);

    s.data = dst;
    s.len = len;

    fuzz_assert(s3_request_redact(twice, s) == len);
    fuzz_assert(memcmp(twice, dst, len) == 0);

    s = target;
    s = fuzz_cut(&s, '?');

    p = s3_put(naive, s);

    for (i = s.len; i < target.len; i = end) {

        /* a separator and a parameter */

        *p++ = target.data[i];
        start = i + 1;

        for (end = start; end < target.len; end++) {
            if (memchr("&;?", target.data[end], 3)) {
                break;
            }
        }

        s.data = target.data + start;
        s.len = end - start;

        name = s;
        name = fuzz_cut(&name, '=');
        k = fuzz_decode(buf, name);

        plain.data = buf;
        plain.len = k > 0 ? (size_t) k : 0;

        for (j = 0; j < sizeof(secrets) / sizeof(secrets[0]); j++) {
            if (name.len < s.len
                && fuzz_caseeq(plain, fuzz_str(secrets[j])))
            {
                p = s3_put(p, name);
                *p++ = '=';

                s.data += name.len + 1;
                s.len -= name.len + 1;

                while (s.len && *s.data != ' ') {
                    s.data++;
                    s.len--;
                }
            }
        }

        p = s3_put(p, s);
    }

    fuzz_assert((size_t) (p - naive) == len);
    fuzz_assert(memcmp(naive, dst, len) == 0);

    fuzz_free(naive, target.len);
    fuzz_free(twice, target.len);
    fuzz_free(buf, target.len);
    fuzz_free(dst, target.len);
}
