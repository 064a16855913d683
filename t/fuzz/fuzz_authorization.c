
/*
 * Input: an Authorization header's value, a line feed, a query, a line feed,
 * a time; each may be missing.  A simple second reader accepts the same
 * headers, what is accepted is of the form that s3_authorization.h promises,
 * and the canonical query is that of a second implementation.
 */


#include <time.h>

#include "http.h"
#include "s3_authorization.h"
#include "s3_request.h"


static void header(s3_str_t value);
static int naive_header(s3_str_t value);
static int naive_credential(s3_str_t s);
static int naive_signed_headers(s3_str_t s);
static int naive_hex(s3_str_t s);
static void query(s3_str_t text);
static void check(const s3_authorization_t *a);
static void check_query(const s3_request_t *req);
static void check_time(s3_str_t s);


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

    fuzz_assert((e == S3_OK) == naive_header(value));

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


/* "AWS4-HMAC-SHA256 ", then three parts, in any order, with commas between */

static int
naive_header(s3_str_t value)
{
    int       ok, last;
    unsigned  credential, signed_headers, signature;
    s3_str_t  part, name;

    if (!s3_str_eq(fuzz_cut(&value, ' '), fuzz_str("AWS4-HMAC-SHA256"))) {
        return 0;
    }

    credential = 0;
    signed_headers = 0;
    signature = 0;

    do {
        last = !fuzz_has(value, ",");
        part = fuzz_cut(&value, ',');

        while (part.len && *part.data == ' ') {
            part.data++;
            part.len--;
        }

        while (part.len && part.data[part.len - 1] == ' ') {
            part.len--;
        }

        name = fuzz_cut(&part, '=');

        if (s3_str_eq(name, fuzz_str("Credential"))) {
            ok = naive_credential(part) && credential++ == 0;

        } else if (s3_str_eq(name, fuzz_str("SignedHeaders"))) {
            ok = naive_signed_headers(part) && signed_headers++ == 0;

        } else if (s3_str_eq(name, fuzz_str("Signature"))) {
            ok = naive_hex(part) && signature++ == 0;

        } else {
            ok = 0;
        }

    } while (ok && !last);

    return ok && credential && signed_headers && signature;
}


static int
naive_credential(s3_str_t s)
{
    size_t    i;
    s3_str_t  part[5];

    for (i = 0; i < 4; i++) {
        part[i] = fuzz_cut(&s, '/');
    }

    for (i = 0; i < part[1].len; i++) {
        if (part[1].data[i] < '0' || part[1].data[i] > '9') {
            return 0;
        }
    }

    return part[0].len && part[1].len == 8 && part[2].len && part[3].len
           && s3_str_eq(s, fuzz_str("aws4_request"));
}


static int
naive_signed_headers(s3_str_t s)
{
    int       last, host;
    size_t    i, n;
    s3_str_t  name, previous = { 0, NULL };

    host = 0;
    n = 0;

    do {
        last = !fuzz_has(s, ";");
        name = fuzz_cut(&s, ';');

        for (i = 0; i < name.len; i++) {
            if (!isgraph(name.data[i]) || isupper(name.data[i])
                || strchr(":,", name.data[i]))
            {
                return 0;
            }
        }

        if (fuzz_compare(previous, name) >= 0 || ++n > 64) {
            return 0;
        }

        host |= s3_str_eq(name, fuzz_str("host"));
        previous = name;

    } while (!last);

    return host;
}


static int
naive_hex(s3_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (fuzz_hex(s.data[i]) < 0 || isupper(s.data[i])) {
            return 0;
        }
    }

    return s.len == 64;
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
    size_t      i, len;
    s3_str_t    list, name, s;
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

    fuzz_assert(naive_hex(a->signature));
    fuzz_assert(naive_signed_headers(a->signed_headers));

    list = a->signed_headers;

    for (n = 0; s3_authorization_next_signed(&list, &name); n++) {
        fuzz_assert(name.len > 0);
    }

    fuzz_assert(n >= 1 && n <= S3_SIGNED_HEADERS_MAX);

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


static void
check_query(const s3_request_t *req)
{
    long     n;
    u_char  *dst, *naive;
    size_t   len, bound;

    bound = s3_authorization_query_len(req->query);
    dst = fuzz_alloc(bound);
    len = (size_t) (s3_authorization_query(dst, req->query) - dst);

    naive = malloc(3 * req->query.len + FUZZ_PARAMETERS_MAX);
    fuzz_assert(naive);
    n = fuzz_canonical_query(naive, req->query);

    fuzz_assert(len <= bound);
    fuzz_assert(n == (long) len && memcmp(naive, dst, len) == 0);

    free(naive);
    fuzz_free(dst, bound);
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
