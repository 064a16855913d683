
/*
 * Input: an Authorization header's value, a line feed, a query, a line feed,
 * a time; each may be missing.  What is accepted is of the form that the
 * header promises, and the canonical query is that of a simple second
 * implementation.
 */


#include <time.h>

#include "fuzz.h"
#include "s3_authorization.h"
#include "s3_request.h"


static void header(s3_str_t value);
static void query(s3_str_t text);
static void check(const s3_authorization_t *a);
static void check_query(const s3_request_t *req);
static void check_time(s3_str_t s);
static int compare(const void *one, const void *two);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3_str_t  input, line, s;

    input.data = (u_char *) data;
    input.len = size;

    line = fuzz_line(&input);
    s = fuzz_copy(line.data, line.len);
    header(s);
    (void) s3_authorization_check_payload_hash(s);
    fuzz_free(s.data, s.len);

    line = fuzz_line(&input);
    query(line);

    line = fuzz_line(&input);
    s = fuzz_copy(line.data, line.len);
    check_time(s);
    fuzz_free(s.data, s.len);

    return 0;
}


static void
header(s3_str_t value)
{
    s3_error_t          e;
    s3_authorization_t  a;

    e = s3_authorization_parse_header(&a, value);

    if (e == S3_OK) {
        fuzz_assert(!a.presigned);
        fuzz_assert(a.access_key.data > value.data
                    && a.access_key.data < value.data + value.len);
        check(&a);

    } else {
        fuzz_assert(e != S3_DECLINED && e < S3_NERRORS);
        fuzz_assert(s3_error_status(e) == 400 || s3_error_status(e) == 403);
    }
}


static void
query(s3_str_t text)
{
    u_char              *p, *buf, *abuf;
    s3_str_t             target;
    s3_error_t           e;
    s3_request_t         req;
    s3_request_conf_t    conf;
    s3_authorization_t   a;

    static const s3_str_t  start = s3_string("/bkt/k?");
    static const s3_str_t  host = s3_string("");

    memset(&conf, 0, sizeof(conf));

    target.len = start.len + text.len;
    target.data = fuzz_alloc(target.len);
    p = s3_put(target.data, start);
    (void) s3_put(p, text);

    buf = fuzz_alloc(target.len);

    if (s3_request_parse(&req, target, host, &conf, buf) == S3_OK) {

        check_query(&req);

        abuf = fuzz_alloc(req.query.len);
        e = s3_authorization_parse_query(&a, &req, abuf);

        if (e == S3_OK) {
            fuzz_assert(req.presigned && a.presigned);
            fuzz_assert(a.expires >= 1 && a.expires <= S3_EXPIRES_MAX);
            fuzz_assert(req.amz[S3_AMZ_SECURITY_TOKEN].data == NULL);
            check(&a);

        } else {
            fuzz_assert(e != S3_DECLINED && e < S3_NERRORS);
            fuzz_assert(s3_error_status(e) == 400
                        || s3_error_status(e) == 403);
        }

        fuzz_free(abuf, req.query.len);
    }

    fuzz_free(buf, target.len);
    fuzz_free(target.data, target.len);
}


static void
check(const s3_authorization_t *a)
{
    int         host;
    size_t      i, len;
    s3_str_t    list, name, previous, s;
    unsigned    n;
    char        scope[1024];

    fuzz_assert(a->access_key.len > 0);
    fuzz_assert(memchr(a->access_key.data, '/', a->access_key.len) == NULL);

    fuzz_assert(a->date.len == 8 && a->region.len && a->service.len);

    for (i = 0; i < 8; i++) {
        fuzz_assert(a->date.data[i] >= '0' && a->date.data[i] <= '9');
    }

    if (a->scope.len < sizeof(scope)) {
        len = (size_t) snprintf(scope, sizeof(scope), "%.*s/", 8,
                                a->date.data);
        memcpy(scope + len, a->region.data, a->region.len);
        len += a->region.len;
        scope[len++] = '/';
        memcpy(scope + len, a->service.data, a->service.len);
        len += a->service.len;
        memcpy(scope + len, "/aws4_request", 13);
        len += 13;

        fuzz_assert(a->scope.len == len
                    && memcmp(a->scope.data, scope, len) == 0);
    }

    fuzz_assert(a->signature.len == 64);

    for (i = 0; i < 64; i++) {
        fuzz_assert(a->signature.data[i]
                    && strchr("0123456789abcdef", a->signature.data[i]));
    }

    list = a->signed_headers;
    previous.data = NULL;
    previous.len = 0;
    host = 0;

    for (n = 0; s3_authorization_next_signed(&list, &name); n++) {

        fuzz_assert(name.len > 0);

        for (i = 0; i < name.len; i++) {
            fuzz_assert((name.data[i] < 'A' || name.data[i] > 'Z')
                        && name.data[i] != ';' && name.data[i] > 0x20);
        }

        if (previous.data) {
            len = name.len < previous.len ? name.len : previous.len;
            i = (size_t) memcmp(previous.data, name.data, len);
            fuzz_assert((int) i < 0
                        || (i == 0 && previous.len < name.len));
        }

        s = fuzz_str("host");
        host |= s3_str_eq(name, s);
        previous = name;
    }

    fuzz_assert(host && n <= S3_SIGNED_HEADERS_MAX);

    /* the checks that follow never accept another scope */

    s = fuzz_str("20170318T035641Z");

    if (s3_authorization_check(a, s, a->region, a->service, 1489809401, 900)
        == S3_OK)
    {
        fuzz_assert(memcmp(a->date.data, "20170318", 8) == 0);
    }

    fuzz_assert(s3_authorization_check(a, s, fuzz_str("nowhere"), a->service,
                                       1489809401, 900)
                != S3_OK
                || s3_str_eq(a->region, fuzz_str("nowhere")));
    fuzz_assert(s3_authorization_check(a, s, a->region, a->service,
                                       1489809401 + 700000, 900)
                != S3_OK);
    fuzz_assert(s3_authorization_check(a, s, a->region, a->service,
                                       1489809401 - 901, 900)
                != S3_OK);
}


typedef struct {
    u_char  *name;
    size_t   name_len;
    u_char  *value;
    size_t   value_len;
} param_t;


static void
check_query(const s3_request_t *req)
{
    u_char    *dst, *out, *p, *decoded;
    size_t     i, start, len, bound, n;
    param_t    params[S3_PARAMETERS_MAX];
    s3_str_t   query, name, value;

    query = req->query;

    bound = s3_authorization_query_len(query);
    dst = fuzz_alloc(bound);
    len = (size_t) (s3_authorization_query(dst, query) - dst);

    fuzz_assert(len <= bound);

    n = 0;
    start = 0;
    decoded = fuzz_alloc(query.len);

    for (i = 0; i <= query.len; i++) {

        if (i < query.len && query.data[i] != '&') {
            continue;
        }

        name.data = query.data + start;
        name.len = i - start;
        start = i + 1;

        p = memchr(name.data, '=', name.len);
        value.data = p ? p + 1 : NULL;
        value.len = p ? (size_t) (name.data + name.len - p - 1) : 0;

        if (p) {
            name.len = (size_t) (p - name.data);
        }

        if (s3_str_eq(name, fuzz_str("X-Amz-Signature"))) {
            continue;
        }

        fuzz_assert(n < S3_PARAMETERS_MAX);

        name.len = (size_t) fuzz_decode(decoded, name);
        name.data = decoded;
        params[n].name = fuzz_alloc(3 * query.len);
        params[n].name_len = fuzz_encode(params[n].name, name, 0);

        value.len = (size_t) fuzz_decode(decoded, value);
        value.data = decoded;
        params[n].value = fuzz_alloc(3 * query.len);
        params[n].value_len = fuzz_encode(params[n].value, value, 0);
        n++;
    }

    qsort(params, n, sizeof(param_t), compare);

    out = fuzz_alloc(3 * query.len + n);
    p = out;

    for (i = 0; i < n; i++) {
        if (i) {
            *p++ = '&';
        }

        memcpy(p, params[i].name, params[i].name_len);
        p += params[i].name_len;
        *p++ = '=';
        memcpy(p, params[i].value, params[i].value_len);
        p += params[i].value_len;

        fuzz_free(params[i].name, 3 * query.len);
        fuzz_free(params[i].value, 3 * query.len);
    }

    fuzz_assert((size_t) (p - out) == len && memcmp(out, dst, len) == 0);

    fuzz_free(out, 3 * query.len + n);
    fuzz_free(decoded, query.len);
    fuzz_free(dst, bound);
}


static int
compare(const void *one, const void *two)
{
    int             rc;
    size_t          len;
    const param_t  *a = one, *b = two;

    len = a->name_len < b->name_len ? a->name_len : b->name_len;
    rc = memcmp(a->name, b->name, len);

    if (rc == 0 && a->name_len != b->name_len) {
        return a->name_len < b->name_len ? -1 : 1;
    }

    if (rc) {
        return rc;
    }

    len = a->value_len < b->value_len ? a->value_len : b->value_len;
    rc = memcmp(a->value, b->value, len);

    return rc ? rc : (a->value_len > b->value_len)
                     - (a->value_len < b->value_len);
}


static void
check_time(s3_str_t s)
{
    char       text[64];
    time_t     t;
    int64_t    unix_time;
    struct tm  tm;

    unix_time = s3_authorization_time(s);

    if (unix_time == -1) {
        return;
    }

    t = (time_t) unix_time;

    fuzz_assert(s.len == 16 && unix_time >= 0);
    fuzz_assert(gmtime_r(&t, &tm) != NULL);
    fuzz_assert(strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm) == 16);
    fuzz_assert(memcmp(text, s.data, 16) == 0);
}
