
#include "s3_authorization.h"
#include "s3_sigv4.h"
#include "s3_uri.h"


static int s3_authorization_skip(s3_str_t *s, const char *prefix);
static s3_str_t s3_authorization_part(s3_str_t *s, u_char separator);
static s3_error_t s3_authorization_credential(s3_authorization_t *a,
    s3_str_t value);
static s3_error_t s3_authorization_signed_headers(s3_authorization_t *a,
    s3_str_t value);
static s3_error_t s3_authorization_signature(s3_authorization_t *a,
    s3_str_t value);
static s3_error_t s3_authorization_expires(s3_authorization_t *a,
    s3_str_t value);
static int s3_authorization_digits(const u_char *p, size_t n);
static size_t s3_authorization_parameters(s3_str_t query, s3_str_t *params);
static int s3_authorization_compare(s3_str_t a, s3_str_t b);
static int s3_authorization_compare_parameters(s3_str_t a, s3_str_t b);
static u_char *s3_authorization_put_parameter(u_char *dst, s3_str_t param);


/* parts of the header's value, in any order, each once */

static const struct {
    const char    *name;
    s3_error_t   (*handler)(s3_authorization_t *a, s3_str_t value);
} s3_authorization_parts[] = {
    { "Credential=", s3_authorization_credential },
    { "SignedHeaders=", s3_authorization_signed_headers },
    { "Signature=", s3_authorization_signature }
};


s3_error_t
s3_authorization_parse_header(s3_authorization_t *a, s3_str_t value)
{
    size_t       i, n;
    unsigned     seen;
    s3_str_t     part;
    s3_error_t   rc;

    memset(a, 0, sizeof(s3_authorization_t));

    if (!s3_authorization_skip(&value, S3_SIGV4_ALGORITHM " ")) {
        return S3_AUTHORIZATION_NOT_SIGV4;
    }

    n = sizeof(s3_authorization_parts) / sizeof(s3_authorization_parts[0]);
    seen = 0;

    if (value.len && value.data[value.len - 1] == ',') {
        return S3_AUTHORIZATION_MALFORMED;
    }

    while (value.len) {

        part = s3_authorization_part(&value, ',');

        while (part.len && part.data[0] == ' ') {
            part.data++;
            part.len--;
        }

        while (part.len && part.data[part.len - 1] == ' ') {
            part.len--;
        }

        for (i = 0; i < n; i++) {
            if (s3_authorization_skip(&part,
                                      s3_authorization_parts[i].name))
            {
                break;
            }
        }

        if (i == n || seen & 1u << i) {
            return S3_AUTHORIZATION_MALFORMED;
        }

        seen |= 1u << i;

        rc = s3_authorization_parts[i].handler(a, part);
        if (rc != S3_OK) {
            return rc;
        }
    }

    return seen == (1u << n) - 1 ? S3_OK : S3_AUTHORIZATION_MALFORMED;
}


s3_error_t
s3_authorization_parse_query(s3_authorization_t *a, const s3_request_t *req,
    u_char *buf)
{
    int                     i;
    s3_str_t                amz[S3_NAMZ];
    s3_error_t              rc;
    static const s3_str_t   algorithm = s3_string(S3_SIGV4_ALGORITHM);
    static const s3_str_t   unsigned_payload = s3_string("UNSIGNED-PAYLOAD");

    memset(a, 0, sizeof(s3_authorization_t));

    a->presigned = 1;

    for (i = 0; i < S3_NAMZ; i++) {
        amz[i] = req->amz[i];

        if (amz[i].data == NULL) {
            continue;
        }

        amz[i].len = s3_uri_decode(buf, amz[i]);

        if (amz[i].len == S3_URI_INVALID) {
            return S3_AUTHORIZATION_MALFORMED;
        }

        amz[i].data = buf;
        buf += amz[i].len;
    }

    if (amz[S3_AMZ_SECURITY_TOKEN].data) {
        return S3_ACCESS_DENIED_TOKEN;
    }

    if (!s3_str_eq(amz[S3_AMZ_ALGORITHM], algorithm)) {
        return S3_AUTHORIZATION_NOT_SIGV4;
    }

    rc = s3_authorization_credential(a, amz[S3_AMZ_CREDENTIAL]);

    if (rc == S3_OK) {
        rc = s3_authorization_signed_headers(a, amz[S3_AMZ_SIGNED_HEADERS]);
    }

    if (rc == S3_OK) {
        rc = s3_authorization_signature(a, amz[S3_AMZ_SIGNATURE]);
    }

    if (rc == S3_OK) {
        rc = s3_authorization_expires(a, amz[S3_AMZ_EXPIRES]);
    }

    a->time = amz[S3_AMZ_DATE];

    a->payload_hash = amz[S3_AMZ_CONTENT_SHA256].data
                      ? amz[S3_AMZ_CONTENT_SHA256] : unsigned_payload;

    return rc;
}


int
s3_authorization_next_signed(s3_str_t *list, s3_str_t *name)
{
    if (list->len == 0) {
        return 0;
    }

    *name = s3_authorization_part(list, ';');

    return 1;
}


int64_t
s3_authorization_time(s3_str_t time)
{
    int                      i, n, year, month, day, hour, min, sec, leap;
    u_char                  *p;
    int64_t                  days;
    static const u_char      digits[] = { 4, 2, 2, 2, 2, 2 };
    static const int         limits[][2] = {
        { 1970, 9999 }, { 1, 12 }, { 1, 31 }, { 0, 23 }, { 0, 59 }, { 0, 59 }
    };
    static const int         before[] = {
        0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365
    };
    int                      values[6];

    if (time.len != S3_SIGV4_TIME_LEN
        || time.data[8] != 'T' || time.data[15] != 'Z')
    {
        return -1;
    }

    p = time.data;

    for (i = 0; i < 6; i++) {
        n = s3_authorization_digits(p, digits[i]);

        if (n < limits[i][0] || n > limits[i][1]) {
            return -1;
        }

        values[i] = n;
        p += digits[i] + (i == 2);
    }

    year = values[0];
    month = values[1];
    day = values[2];
    hour = values[3];
    min = values[4];
    sec = values[5];

    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (day > before[month] - before[month - 1] + (leap && month == 2)) {
        return -1;
    }

    /* leap days are counted in the years before this one */

    n = year - 1;

    days = (int64_t) (year - 1970) * 365
           + (n / 4 - n / 100 + n / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
           + before[month - 1] + (leap && month > 2) + day - 1;

    return ((days * 24 + hour) * 60 + min) * 60 + sec;
}


s3_error_t
s3_authorization_check(const s3_authorization_t *a, s3_str_t time,
    s3_str_t region, s3_str_t service, int64_t now, int64_t skew)
{
    int64_t  t;

    t = s3_authorization_time(time);

    if (t == -1) {
        return S3_ACCESS_DENIED_NO_DATE;
    }

    if (memcmp(a->date.data, time.data, S3_SIGV4_DATE_LEN) != 0) {
        return S3_AUTHORIZATION_BAD_DATE;
    }

    if (!s3_str_eq(a->service, service)) {
        return S3_AUTHORIZATION_MALFORMED;
    }

    if (!s3_str_eq(a->region, region)) {
        return S3_AUTHORIZATION_BAD_REGION;
    }

    if (!a->presigned) {
        return (t > now + skew || t < now - skew)
               ? S3_REQUEST_TIME_TOO_SKEWED : S3_OK;
    }

    if (t > now + skew) {
        return S3_ACCESS_DENIED_FUTURE;
    }

    return t + (int64_t) a->expires < now ? S3_ACCESS_DENIED_EXPIRED : S3_OK;
}


s3_error_t
s3_authorization_check_payload_hash(s3_str_t hash)
{
    size_t                  i;
    static const s3_str_t   legal[] = {
        s3_string(S3_SHA256_OF_EMPTY),
        s3_string("UNSIGNED-PAYLOAD")
    };

    for (i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        if (s3_str_eq(hash, legal[i])) {
            return S3_OK;
        }
    }

    return S3_BAD_PAYLOAD_HASH;
}


size_t
s3_authorization_query_len(s3_str_t query)
{
    /* a parameter without "=" gets one */

    return s3_uri_recoded_len(query, S3_URI_QUERY) + S3_PARAMETERS_MAX;
}


u_char *
s3_authorization_query(u_char *dst, s3_str_t query)
{
    size_t    i, j, n;
    s3_str_t  params[S3_PARAMETERS_MAX], param;

    n = s3_authorization_parameters(query, params);

    for (i = 1; i < n; i++) {
        param = params[i];

        for (j = i; j; j--) {

            if (s3_authorization_compare_parameters(params[j - 1], param)
                <= 0)
            {
                break;
            }

            params[j] = params[j - 1];
        }

        params[j] = param;
    }

    for (i = 0; i < n; i++) {
        if (i) {
            *dst++ = '&';
        }

        dst = s3_authorization_put_parameter(dst, params[i]);
    }

    return dst;
}


static int
s3_authorization_skip(s3_str_t *s, const char *prefix)
{
    size_t  len;

    len = strlen(prefix);

    if (s->len < len || memcmp(s->data, prefix, len) != 0) {
        return 0;
    }

    s->data += len;
    s->len -= len;

    return 1;
}


/* cuts what is before the separator, and the separator, off the front */

static s3_str_t
s3_authorization_part(s3_str_t *s, u_char separator)
{
    u_char    *p;
    s3_str_t   part;

    part = *s;

    p = s->len ? memchr(s->data, separator, s->len) : NULL;

    if (p == NULL) {
        s->len = 0;
        return part;
    }

    part.len = (size_t) (p - part.data);

    s->len -= part.len + 1;
    s->data = p + 1;

    return part;
}


/* KEY/YYYYMMDD/region/service/aws4_request */

static s3_error_t
s3_authorization_credential(s3_authorization_t *a, s3_str_t value)
{
    s3_str_t                part[4];
    static const s3_str_t   terminator = s3_string(S3_SIGV4_TERMINATOR);

    a->access_key = s3_authorization_part(&value, '/');
    a->scope = value;

    part[0] = s3_authorization_part(&value, '/');
    part[1] = s3_authorization_part(&value, '/');
    part[2] = s3_authorization_part(&value, '/');
    part[3] = value;

    if (a->access_key.len == 0
        || part[0].len != S3_SIGV4_DATE_LEN
        || s3_authorization_digits(part[0].data, S3_SIGV4_DATE_LEN) < 0
        || part[1].len == 0
        || part[2].len == 0
        || !s3_str_eq(part[3], terminator))
    {
        return S3_AUTHORIZATION_MALFORMED;
    }

    a->date = part[0];
    a->region = part[1];
    a->service = part[2];

    return S3_OK;
}


static s3_error_t
s3_authorization_signed_headers(s3_authorization_t *a, s3_str_t value)
{
    u_char                  c;
    size_t                  i, n;
    s3_str_t                name, previous = s3_string("");
    unsigned                signs_host;
    static const s3_str_t   host = s3_string("host");

    if (value.len == 0 || value.data[value.len - 1] == ';') {
        return S3_AUTHORIZATION_MALFORMED;
    }

    a->signed_headers = value;

    signs_host = 0;

    for (n = 0; s3_authorization_next_signed(&value, &name); n++) {

        if (n == S3_SIGNED_HEADERS_MAX) {
            return S3_AUTHORIZATION_MALFORMED;
        }

        for (i = 0; i < name.len; i++) {
            c = name.data[i];

            if (c <= 0x20 || c >= 0x7f || c == ':' || c == ','
                || (c >= 'A' && c <= 'Z'))
            {
                return S3_AUTHORIZATION_MALFORMED;
            }
        }

        /* the order is strict: none is empty, and none is there twice */

        if (s3_str_eq(name, previous)) {
            return name.len ? S3_AUTHORIZATION_TWICE
                            : S3_AUTHORIZATION_MALFORMED;
        }

        if (s3_authorization_compare(previous, name) > 0) {
            return S3_AUTHORIZATION_MALFORMED;
        }

        previous = name;

        if (s3_str_eq(name, host)) {
            signs_host = 1;
        }
    }

    return signs_host ? S3_OK : S3_ACCESS_DENIED_UNSIGNED_HOST;
}


static s3_error_t
s3_authorization_signature(s3_authorization_t *a, s3_str_t value)
{
    u_char  c;
    size_t  i;

    if (value.len != S3_SHA256_HEX_LEN) {
        return S3_SIGNATURE_DOES_NOT_MATCH;
    }

    for (i = 0; i < value.len; i++) {
        c = value.data[i];

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return S3_SIGNATURE_DOES_NOT_MATCH;
        }
    }

    a->signature = value;

    return S3_OK;
}


static s3_error_t
s3_authorization_expires(s3_authorization_t *a, s3_str_t value)
{
    int  n;

    if (value.len == 0 || value.len > sizeof("604800") - 1) {
        return S3_INVALID_EXPIRES;
    }

    n = s3_authorization_digits(value.data, value.len);

    if (n < 1 || n > S3_EXPIRES_MAX) {
        return S3_INVALID_EXPIRES;
    }

    a->expires = (unsigned) n;

    return S3_OK;
}


/* at most 9 digits, or -1 */

static int
s3_authorization_digits(const u_char *p, size_t n)
{
    int  value;

    value = 0;

    while (n--) {
        if (*p < '0' || *p > '9') {
            return -1;
        }

        value = value * 10 + (*p++ - '0');
    }

    return value;
}


/* the parameters that are signed: all but the signature */

static size_t
s3_authorization_parameters(s3_str_t query, s3_str_t *params)
{
    size_t    n;
    s3_str_t  param, rest;

    n = 0;

    while (query.len && n < S3_PARAMETERS_MAX) {

        param = s3_authorization_part(&query, '&');
        rest = param;

        if (s3_authorization_skip(&rest, "X-Amz-Signature=")) {
            continue;
        }

        params[n++] = param;
    }

    return n;
}


static int
s3_authorization_compare(s3_str_t a, s3_str_t b)
{
    int     rc;
    size_t  len;

    len = a.len < b.len ? a.len : b.len;

    rc = len ? memcmp(a.data, b.data, len) : 0;

    if (rc != 0) {
        return rc;
    }

    return (a.len > b.len) - (a.len < b.len);
}


/* by name, then by value: "a=" sorts before "a-b=", though "=" does not */

static int
s3_authorization_compare_parameters(s3_str_t a, s3_str_t b)
{
    int       rc;
    s3_str_t  name_a, name_b;

    name_a = s3_authorization_part(&a, '=');
    name_b = s3_authorization_part(&b, '=');

    rc = s3_authorization_compare(name_a, name_b);

    return rc ? rc : s3_authorization_compare(a, b);
}


static u_char *
s3_authorization_put_parameter(u_char *dst, s3_str_t param)
{
    s3_str_t  name;

    name = s3_authorization_part(&param, '=');

    dst = s3_uri_recode(dst, name, S3_URI_QUERY);
    *dst++ = '=';

    return s3_uri_recode(dst, param, S3_URI_QUERY);
}
