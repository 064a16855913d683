
/*
 * Input: lines: a secret, a region and a service, the names of the signed
 * headers (";" between), then a request's head.
 *
 * The three stages, of the request as a client sent it, give the signature
 * that the AWS documentation and OpenSSL's HMAC() give.
 */


#include "http.h"
#include "s3_authorization.h"
#include "s3_sigv4.h"
#include "s3_uri.h"


static int is_ours(s3_str_t query);
static void sign(const fuzz_request_t *r, s3_sigv4_request_t *req,
    s3_str_t signed_headers, s3_str_t secret, s3_str_t region,
    s3_str_t service);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               i;
    s3_str_t             text, input, secret, region, service;
    s3_str_t             signed_headers, list, name;
    fuzz_request_t       r;
    s3_sigv4_header_t    headers[S3_SIGNED_HEADERS_MAX];
    s3_sigv4_request_t   req;

    text = fuzz_copy(data, size);
    input = text;

    secret = fuzz_line(&input);
    service = fuzz_line(&input);
    region = fuzz_cut(&service, ' ');
    signed_headers = fuzz_line(&input);

    if (!fuzz_read_request(&r, input) || !is_ours(r.query)
        || memchr(region.data, '/', region.len)
        || memchr(service.data, '/', service.len)
        || (signed_headers.len
            && signed_headers.data[signed_headers.len - 1] == ';'))
    {
        goto done;
    }

    memset(&req, 0, sizeof(req));
    req.headers = headers;
    list = signed_headers;

    while (s3_authorization_next_signed(&list, &name)) {

        for (i = 0; i < r.nheaders; i++) {
            if (fuzz_caseeq(r.headers[i].name, name)) {
                break;
            }
        }

        if (i == r.nheaders || req.nheaders == S3_SIGNED_HEADERS_MAX) {
            goto done;
        }

        headers[req.nheaders].name = name;
        headers[req.nheaders++].value = r.headers[i].value;
    }

    sign(&r, &req, signed_headers, secret, region, service);

done:

    fuzz_free(text.data, text.len);

    return 0;
}


/* what s3_request_parse() lets through: plain names, each once, no
 * signature without "=", and no bad escapes */

static int
is_ours(s3_str_t query)
{
    long      k;
    size_t    i, n;
    u_char   *buf;
    s3_str_t  param, names[S3_PARAMETERS_MAX];

    for (n = 0; query.len; n++) {

        if (n == S3_PARAMETERS_MAX) {
            return 0;
        }

        param = fuzz_cut(&query, '&');
        names[n] = fuzz_cut(&param, '=');

        if (names[n].len == 0
            || s3_uri_span(names[n], 0, S3_URI_QUERY) != names[n].len
            || (s3_str_eq(names[n], fuzz_str("X-Amz-Signature"))
                && param.data == names[n].data + names[n].len))
        {
            return 0;
        }

        buf = fuzz_alloc(param.len);
        k = fuzz_decode(buf, param);
        fuzz_free(buf, param.len);

        if (k == -1) {
            return 0;
        }

        for (i = 0; i < n; i++) {
            if (s3_str_eq(names[i], names[n])) {
                return 0;
            }
        }
    }

    return 1;
}


static void
sign(const fuzz_request_t *r, s3_sigv4_request_t *req,
    s3_str_t signed_headers, s3_str_t secret, s3_str_t region,
    s3_str_t service)
{
    int              rc;
    long             n;
    char             hex[65];
    u_char          *p, *uri, *query, *canonical, *naive, *to_sign, out[64];
    size_t           len, room;
    s3_str_t         scope, s;
    s3_sigv4_key_t   key;

    static s3_sigv4_t      sigv4;
    static const s3_str_t  date = s3_string("20170318");
    static const s3_str_t  time = s3_string("20170318T035641Z");
    static const s3_str_t  hash = s3_string("UNSIGNED-PAYLOAD");

    if (sigv4.sha256 == NULL) {
        fuzz_assert(s3_sigv4_init(&sigv4) == 0);
    }

    room = 3 * r->target.len + FUZZ_PARAMETERS_MAX + r->method.len + 1024;

    for (len = 0; len < req->nheaders; len++) {
        room += req->headers[len].name.len * 2 + req->headers[len].value.len
                + 4;
    }

    naive = malloc(room);
    fuzz_assert(naive);
    n = fuzz_canonical_request(naive, r, signed_headers, hash);

    if (n == -1) {
        free(naive);
        return;
    }

    /* stage 1 */

    req->method = r->method;
    req->payload_hash = hash;

    req->uri.len = s3_uri_recoded_len(r->path, S3_URI_PATH);
    uri = fuzz_alloc(req->uri.len);
    req->uri.data = uri;
    fuzz_assert(s3_uri_recode(uri, r->path, S3_URI_PATH)
                == uri + req->uri.len);

    len = s3_authorization_query_len(r->query);
    query = fuzz_alloc(len);
    req->query.data = query;
    req->query.len = (size_t) (s3_authorization_query(query, r->query)
                               - query);
    fuzz_assert(req->query.len <= len);

    room = s3_sigv4_canonical_request_len(req);
    canonical = fuzz_alloc(room);
    p = s3_sigv4_canonical_request(canonical, req);

    s.data = canonical;
    s.len = (size_t) (p - canonical);

    fuzz_assert(s.len <= room);
    fuzz_assert(s.len == (size_t) n && memcmp(canonical, naive, s.len) == 0);

    /* stages 2 and 3 */

    scope.len = date.len + region.len + service.len
                + sizeof("///aws4_request") - 1;
    scope.data = fuzz_alloc(scope.len);
    p = s3_put(scope.data, date);
    *p++ = '/';
    p = s3_put(p, region);
    *p++ = '/';
    p = s3_put(p, service);
    (void) s3_put(p, fuzz_str("/aws4_request"));

    len = s3_sigv4_string_to_sign_len(scope);
    to_sign = fuzz_alloc(len);

    fuzz_assert(s3_sigv4_string_to_sign(&sigv4, to_sign, time, scope, s)
                == 0);

    rc = s3_sigv4_signing_key(&sigv4, &key, secret, date, region, service);

    fuzz_assert(rc == 0 || secret.len > 256);

    if (rc == 0) {
        fuzz_signature(hex, s, time, scope, secret);

        s.data = to_sign;
        s.len = len;

        fuzz_assert(s3_sigv4_signature(&sigv4, &key, s, out) == 0);
        fuzz_assert(memcmp(out, hex, 64) == 0);
    }

    fuzz_free(to_sign, len);
    fuzz_free(scope.data, scope.len);
    fuzz_free(canonical, room);
    fuzz_free(query, s3_authorization_query_len(r->query));
    fuzz_free(uri, req->uri.len);
    free(naive);
}
