
/*
 * Input: a host, a line feed, a request target.
 *
 * What is parsed is an abort of a valid bucket, key and upload id, and can be
 * written in one way only that is parsed to the same again.
 */


#include <strings.h>

#include "fuzz.h"
#include "s3_request.h"
#include "s3_uri.h"


static void parse(s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf);
static void check(const s3_request_t *req, s3_str_t target);
static void again(const s3_request_t *req);
static unsigned count(s3_str_t query, const char *name);
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

    (void) s3_request_host_port_valid(host);

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
    s3_error_t     e;
    s3_request_t   req;

    buf = fuzz_alloc(target.len);
    e = s3_request_parse(&req, target, host, conf, buf);

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

    /* one upload id, in one way */

    fuzz_assert(count(req->query, "uploadid") == 1);

    for (i = 0; i < target.len; i++) {
        fuzz_assert(target.data[i] > 0x20 && target.data[i] != 0x7f
                    && target.data[i] != '#');
    }

    for (i = 0; i < req->query.len; i++) {
        fuzz_assert(req->query.data[i] != ';' && req->query.data[i] != '?');
    }

    s = req->bucket;
    fuzz_assert(s.len >= 3 && s.len <= 63);

    for (i = 0; i < s.len; i++) {
        fuzz_assert((s.data[i] >= 'a' && s.data[i] <= 'z')
                    || (s.data[i] >= '0' && s.data[i] <= '9')
                    || (i > 0 && i + 1 < s.len
                        && (s.data[i] == '-' || s.data[i] == '.')));
    }

    s = req->key;
    fuzz_assert(s.len >= 1 && s.len <= 1024);
    fuzz_assert(fuzz_is_text(s) && !fuzz_has_dot_segment(s));

    s = req->upload_id;
    fuzz_assert(s.len >= 1 && s.len <= 1024 && !fuzz_has_dot_segment(s));

    for (i = 0; i < s.len; i++) {
        fuzz_assert((s.data[i] >= 'a' && s.data[i] <= 'z')
                    || (s.data[i] >= 'A' && s.data[i] <= 'Z')
                    || (s.data[i] >= '0' && s.data[i] <= '9')
                    || (s.data[i] && strchr("._~+=-", s.data[i])));
    }

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


/* how many parameters have the name, decoded and in lower case */

static unsigned
count(s3_str_t query, const char *name)
{
    long      k;
    u_char   *buf;
    size_t    i, j, start;
    unsigned  n;
    s3_str_t  s;

    n = 0;
    start = 0;
    buf = fuzz_alloc(query.len);

    for (i = 0; i <= query.len; i++) {

        if (i < query.len && query.data[i] != '&' && query.data[i] != ';'
            && query.data[i] != '?')
        {
            continue;
        }

        s.data = query.data + start;

        for (s.len = 0; start + s.len < i && s.data[s.len] != '='; s.len++) {
            /* void */
        }

        k = fuzz_decode(buf, s);

        for (j = 0; k > 0 && j < (size_t) k; j++) {
            if (buf[j] >= 'A' && buf[j] <= 'Z') {
                buf[j] |= 0x20;
            }
        }

        n += k == (long) strlen(name) && memcmp(buf, name, (size_t) k) == 0;
        start = i + 1;
    }

    fuzz_free(buf, query.len);

    return n;
}


static void
redact(s3_str_t target)
{
    u_char    *dst, *twice, *buf;
    size_t     i, j, start, len;
    long       k;
    s3_str_t   s, name, value;

    static const char  *secrets[] = {
        "x-amz-signature", "x-amz-security-token", "signature"
    };

    dst = fuzz_alloc(target.len);
    buf = fuzz_alloc(target.len);
    twice = fuzz_alloc(target.len);

    len = s3_request_redact(dst, target);
    fuzz_assert(len <= target.len);

    s.data = dst;
    s.len = len;

    fuzz_assert(s3_request_redact(twice, s) == len);
    fuzz_assert(memcmp(twice, dst, len) == 0);

    for (start = 0; start < len && dst[start] != '?'; start++) { /* void */ }

    start++;

    for (i = start; i <= len; i++) {

        if (i < len && dst[i] != '&' && dst[i] != ';' && dst[i] != '?') {
            continue;
        }

        name.data = dst + start;

        for (name.len = 0; start + name.len < i; name.len++) {
            if (name.data[name.len] == '=') {
                break;
            }
        }

        value.data = name.data + name.len;
        value.len = i - start - name.len;

        k = fuzz_decode(buf, name);

        for (j = 0; k > 0 && j < sizeof(secrets) / sizeof(secrets[0]); j++) {
            if (strlen(secrets[j]) == (size_t) k
                && strncasecmp((char *) buf, secrets[j], (size_t) k) == 0)
            {
                fuzz_assert(value.len <= 1 || value.data[1] == ' ');
            }
        }

        start = i + 1;
    }

    fuzz_free(twice, target.len);
    fuzz_free(buf, target.len);
    fuzz_free(dst, target.len);
}
