
#include "s3_request.h"
#include "s3_uri.h"


static s3_str_t s3_request_query(s3_str_t target);
static int s3_request_next_parameter(s3_str_t *query, s3_str_t *name,
    s3_str_t *value);
static int s3_request_name_is_upload_id(s3_str_t name);
static s3_error_t s3_request_check_target(s3_str_t target);
static s3_error_t s3_request_strip_base_path(s3_str_t *path,
    const s3_request_conf_t *conf, u_char *buf);
static s3_str_t s3_request_virtual_bucket(s3_str_t host,
    const s3_request_conf_t *conf);
static s3_error_t s3_request_parse_query(s3_request_t *req, u_char *buf);
static int s3_request_amz(s3_str_t name);
static s3_error_t s3_request_decode(s3_str_t *s, u_char **buf);


static const s3_str_t  s3_request_amz_names[S3_NAMZ] = {
    [S3_AMZ_ALGORITHM] = s3_string("X-Amz-Algorithm"),
    [S3_AMZ_CREDENTIAL] = s3_string("X-Amz-Credential"),
    [S3_AMZ_DATE] = s3_string("X-Amz-Date"),
    [S3_AMZ_EXPIRES] = s3_string("X-Amz-Expires"),
    [S3_AMZ_SIGNED_HEADERS] = s3_string("X-Amz-SignedHeaders"),
    [S3_AMZ_SIGNATURE] = s3_string("X-Amz-Signature"),
    [S3_AMZ_SECURITY_TOKEN] = s3_string("X-Amz-Security-Token"),
    [S3_AMZ_CONTENT_SHA256] = s3_string("X-Amz-Content-Sha256")
};


/* of SigV4 and SigV2, in lower case */

static const s3_str_t  s3_request_secret_names[] = {
    s3_string("x-amz-signature"),
    s3_string("x-amz-security-token"),
    s3_string("signature")
};


int
s3_request_is_abort_like(s3_str_t target)
{
    return s3_request_query_is_abort_like(s3_request_query(target));
}


int
s3_request_query_is_abort_like(s3_str_t query)
{
    s3_str_t  name, value;

    while (s3_request_next_parameter(&query, &name, &value)) {
        if (s3_request_name_is_upload_id(name)) {
            return 1;
        }
    }

    return 0;
}


s3_error_t
s3_request_parse(s3_request_t *req, s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf, u_char *buf)
{
    u_char      *p;
    s3_str_t     path;
    s3_error_t   rc;

    memset(req, 0, sizeof(s3_request_t));

    req->query = s3_request_query(target);
    req->path = target;

    if (req->query.data) {
        req->path.len = (size_t) (req->query.data - 1 - target.data);
    }

    rc = s3_request_check_target(target);
    if (rc != S3_OK) {
        return rc;
    }

    path = req->path;

    rc = s3_request_strip_base_path(&path, conf, buf);
    if (rc != S3_OK) {
        return rc;
    }

    if (path.len == 0 || path.data[0] != '/') {
        return S3_INVALID_URI;
    }

    path.data++;
    path.len--;

    req->bucket = s3_request_virtual_bucket(host, conf);

    if (req->bucket.data == NULL) {
        req->bucket = path;

        p = path.len ? memchr(path.data, '/', path.len) : NULL;

        if (p) {
            req->bucket.len = (size_t) (p - path.data);
            p++;

        } else {
            p = path.data + path.len;
        }

        path.len -= (size_t) (p - path.data);
        path.data = p;
    }

    req->key = path;

    rc = s3_request_decode(&req->key, &buf);
    if (rc != S3_OK) {
        return rc;
    }

    rc = s3_request_parse_query(req, buf);
    if (rc != S3_OK) {
        return rc;
    }

    /* "//" and "/" have no key either, and that is the better answer */

    if (req->key.len == 0) {
        return S3_EMPTY_KEY;
    }

    rc = s3_request_check_bucket(req->bucket);
    if (rc != S3_OK) {
        return rc;
    }

    return s3_request_check_key(req->key);
}


s3_error_t
s3_request_check_bucket(s3_str_t bucket)
{
    u_char    c;
    size_t    i;
    unsigned  dots, digits;

    if (bucket.len < 3 || bucket.len > 63) {
        return S3_INVALID_BUCKET_NAME;
    }

    dots = 0;
    digits = 0;

    for (i = 0; i < bucket.len; i++) {
        c = bucket.data[i];

        if (c >= '0' && c <= '9') {
            digits++;
            continue;
        }

        if (c >= 'a' && c <= 'z') {
            continue;
        }

        if (c == '.') {
            dots++;

        } else if (c != '-') {
            return S3_INVALID_BUCKET_NAME;
        }

        if (i == 0 || i == bucket.len - 1) {
            return S3_INVALID_BUCKET_NAME;
        }
    }

    /* digits and three dots: an IP address, or as good as one */

    if (dots == 3 && digits + dots == bucket.len) {
        return S3_INVALID_BUCKET_NAME;
    }

    return S3_OK;
}


s3_error_t
s3_request_check_key(s3_str_t key)
{
    size_t  i;

    /*
     * some storages cut off the slashes in front of a key: of these nothing
     * would be left, as of DeleteBucket
     */

    for (i = 0; i < key.len && key.data[i] == '/'; i++) { /* void */ }

    if (i == key.len) {
        return S3_EMPTY_KEY;
    }

    if (key.len > S3_KEY_MAX) {
        return S3_KEY_TOO_LONG;
    }

    if (!s3_uri_is_text(key) || s3_uri_has_dot_segment(key)) {
        return S3_INVALID_URI;
    }

    return S3_OK;
}


s3_error_t
s3_request_check_upload_id(s3_str_t id)
{
    size_t  i;

    if (id.len == 0 || id.len > S3_UPLOAD_ID_MAX
        || (id.len <= 2 && s3_uri_has_dot_segment(id)))
    {
        return S3_INVALID_UPLOAD_ID;
    }

    for (i = s3_uri_span(id, 0, S3_URI_QUERY);
         i < id.len;
         i = s3_uri_span(id, i + 1, S3_URI_QUERY))
    {
        if (id.data[i] != '+' && id.data[i] != '=') {
            return S3_INVALID_UPLOAD_ID;
        }
    }

    return S3_OK;
}


int
s3_request_host_port_valid(s3_str_t host)
{
    u_char    *p, *last;
    unsigned   port;

    last = host.data + host.len;
    p = host.data;

    if (host.len && *p == '[') {
        p = memchr(p, ']', host.len);

        if (p == NULL) {
            return 0;
        }

        p++;

        if (p < last && *p != ':') {
            return 0;
        }
    }

    p = p < last ? memchr(p, ':', (size_t) (last - p)) : NULL;

    if (p == NULL) {
        return 1;
    }

    port = 0;

    for (p++; p < last; p++) {
        if (*p < '0' || *p > '9') {
            return 0;
        }

        port = port * 10 + (*p - '0');

        if (port > 65535) {
            return 0;
        }
    }

    return 1;
}


int
s3_request_host_is(s3_str_t host, s3_str_t name)
{
    size_t    i;
    s3_str_t  start;

    i = name.len;

    if (host.len < i) {
        return 0;
    }

    start.data = host.data;
    start.len = i;

    if (!s3_str_caseeq(start, name)) {
        return 0;
    }

    if (i < host.len && host.data[i] == '.') {
        i++;
    }

    return i == host.len || host.data[i] == ':';
}


size_t
s3_request_redact(u_char *dst, s3_str_t target)
{
    size_t     i;
    u_char    *p, *start, *space;
    s3_str_t   query, name, value, decoded;
    u_char     buf[sizeof("x-amz-security-token") * 3];

    if (target.len == 0) {
        return 0;
    }

    start = dst;

    query = s3_request_query(target);
    p = target.data;

    while (s3_request_next_parameter(&query, &name, &value)) {

        if (value.len == 0 || name.len > sizeof(buf)) {
            continue;
        }

        decoded.data = buf;
        decoded.len = s3_uri_decode(buf, name);

        if (decoded.len == S3_URI_INVALID) {
            continue;
        }

        /* a request line has more behind its target */

        space = memchr(value.data, ' ', value.len);

        if (space) {
            value.len = (size_t) (space - value.data);
        }

        for (i = 0; i < sizeof(s3_request_secret_names) / sizeof(s3_str_t);
             i++)
        {
            if (s3_str_caseeq(decoded, s3_request_secret_names[i])) {
                memcpy(dst, p, (size_t) (value.data - p));
                dst += value.data - p;
                p = value.data + value.len;
                break;
            }
        }
    }

    memcpy(dst, p, (size_t) (target.data + target.len - p));
    dst += target.data + target.len - p;

    return (size_t) (dst - start);
}


/* data is NULL if there is no "?" */

static s3_str_t
s3_request_query(s3_str_t target)
{
    s3_str_t  query = { 0, NULL };

    query.data = target.len ? memchr(target.data, '?', target.len) : NULL;

    if (query.data) {
        query.data++;
        query.len = (size_t) (target.data + target.len - query.data);
    }

    return query;
}


/*
 * Cuts a parameter off the front of *query: "&" separates by the standard,
 * ";" and "?" at some storage perhaps.  A value's data is NULL without "=".
 */

static int
s3_request_next_parameter(s3_str_t *query, s3_str_t *name, s3_str_t *value)
{
    u_char  c;
    size_t  i;

    if (query->len == 0) {
        return 0;
    }

    name->data = query->data;
    value->data = NULL;
    value->len = 0;

    for (i = s3_uri_span(*query, 0, S3_URI_PATH);
         i < query->len;
         i = s3_uri_span(*query, i + 1, S3_URI_PATH))
    {
        c = query->data[i];

        if (c == '&' || c == ';' || c == '?') {
            break;
        }

        if (c == '=' && value->data == NULL) {
            name->len = i;
            value->data = query->data + i + 1;
        }
    }

    if (value->data) {
        value->len = (size_t) (query->data + i - value->data);

    } else {
        name->len = i;
    }

    if (i < query->len) {
        i++;
    }

    query->data += i;
    query->len -= i;

    return 1;
}


static int
s3_request_name_is_upload_id(s3_str_t name)
{
    s3_str_t                decoded;
    static const s3_str_t   upload_id = s3_string("uploadid");
    u_char                  buf[sizeof("uploadid") * 3];

    /* every byte of a name this long would have to be an escape */

    if (name.len < upload_id.len || name.len > upload_id.len * 3) {
        return 0;
    }

    decoded.data = buf;
    decoded.len = s3_uri_decode(buf, name);

    return decoded.len != S3_URI_INVALID
           && s3_str_caseeq(decoded, upload_id);
}


static s3_error_t
s3_request_check_target(s3_str_t target)
{
    u_char  c;
    size_t  i;

    for (i = s3_uri_span(target, 0, S3_URI_PATH);
         i < target.len;
         i = s3_uri_span(target, i + 1, S3_URI_PATH))
    {
        c = target.data[i];

        if (c <= 0x20 || c == 0x7f || c == '#') {
            return S3_INVALID_URI;
        }
    }

    return S3_OK;
}


/*
 * nginx selects a location by the normalised path; a path that others might
 * take to lie under the prefix, but that does not spell it, is an error.
 */

static s3_error_t
s3_request_strip_base_path(s3_str_t *path, const s3_request_conf_t *conf,
    u_char *buf)
{
    size_t     i;
    s3_str_t   base, decoded;

    base = conf->base_path;

    if (base.len == 0) {
        return S3_OK;
    }

    if (path->len >= base.len
        && memcmp(path->data, base.data, base.len) == 0
        && (path->len == base.len || path->data[base.len] == '/'))
    {
        path->data += base.len;
        path->len -= base.len;

        return S3_OK;
    }

    decoded.data = buf;
    decoded.len = s3_uri_decode(buf, *path);

    if (decoded.len == S3_URI_INVALID || s3_uri_has_dot_segment(decoded)) {
        return S3_INVALID_URI;
    }

    for (i = 1; i < decoded.len; i++) {
        if (decoded.data[i] == '/' && decoded.data[i - 1] == '/') {
            return S3_INVALID_URI;
        }
    }

    if (decoded.len >= base.len
        && memcmp(decoded.data, base.data, base.len) == 0
        && (decoded.len == base.len || decoded.data[base.len] == '/'))
    {
        return S3_INVALID_URI;
    }

    return S3_DECLINED;
}


/* data is NULL if the request is path style, as it is for a name itself */

static s3_str_t
s3_request_virtual_bucket(s3_str_t host, const s3_request_conf_t *conf)
{
    size_t     i, len;
    s3_str_t   domain, bucket = { 0, NULL };

    for (i = 0; i < conf->ndomains; i++) {
        domain = conf->domains[i];

        if (s3_str_eq(host, domain)) {
            break;
        }

        if (host.len <= domain.len) {
            continue;
        }

        len = host.len - domain.len;

        if (host.data[len - 1] == '.'
            && memcmp(host.data + len, domain.data, domain.len) == 0)
        {
            bucket.data = host.data;
            bucket.len = len - 1;

            break;
        }
    }

    return bucket;
}


/* stops at the first parameter that is unknown or repeated: after 10, that is */

static s3_error_t
s3_request_parse_query(s3_request_t *req, u_char *buf)
{
    int                     n;
    unsigned                upload_id, x_id;
    s3_str_t                query, name, value;
    static const s3_str_t   name_upload_id = s3_string("uploadId");
    static const s3_str_t   name_sigv2 = s3_string("AWSAccessKeyId");
    static const s3_str_t   name_x_id = s3_string("x-id");
    static const s3_str_t   operation = s3_string("AbortMultipartUpload");

    query = req->query;

    if (query.len == 0) {
        return S3_INVALID_UPLOAD_ID;
    }

    if (query.data[query.len - 1] == '&'
        || memchr(query.data, ';', query.len)
        || memchr(query.data, '?', query.len))
    {
        return S3_INVALID_PARAMETER;
    }

    upload_id = 0;
    x_id = 0;

    while (s3_request_next_parameter(&query, &name, &value)) {

        if (s3_str_eq(name, name_upload_id)) {

            if (upload_id++) {
                return S3_INVALID_UPLOAD_ID;
            }

            req->upload_id = value;
            continue;
        }

        if (s3_str_eq(name, name_x_id)) {

            if (x_id++ || !s3_str_eq(value, operation)) {
                return S3_INVALID_PARAMETER;
            }

            continue;
        }

        if (s3_str_eq(name, name_sigv2)) {
            return S3_AUTHORIZATION_NOT_SIGV4;
        }

        n = s3_request_amz(name);

        if (n == -1 || value.data == NULL || req->amz[n].data) {
            return S3_INVALID_PARAMETER;
        }

        if (s3_uri_decode(buf, value) == S3_URI_INVALID) {
            return S3_INVALID_URI;
        }

        req->amz[n] = value;
        req->presigned = 1;
    }

    if (s3_request_decode(&req->upload_id, &buf) != S3_OK) {
        return S3_INVALID_UPLOAD_ID;
    }

    return s3_request_check_upload_id(req->upload_id);
}


static int
s3_request_amz(s3_str_t name)
{
    int  i;

    for (i = 0; i < S3_NAMZ; i++) {
        if (s3_str_eq(name, s3_request_amz_names[i])) {
            return i;
        }
    }

    return -1;
}


/* most strings have no escape: those stay where they are */

static s3_error_t
s3_request_decode(s3_str_t *s, u_char **buf)
{
    size_t  len;

    if (s->len == 0 || memchr(s->data, '%', s->len) == NULL) {
        return S3_OK;
    }

    len = s3_uri_decode(*buf, *s);

    if (len == S3_URI_INVALID) {
        return S3_INVALID_URI;
    }

    s->data = *buf;
    s->len = len;
    *buf += len;

    return S3_OK;
}
