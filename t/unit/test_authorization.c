
#include "s3_authorization.h"
#include "s3_uri.h"
#include "unit.h"


#define SCOPE  "20170318/kr-standard/s3/aws4_request"
#define SIG                                                                  \
    "581da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6"

#define HEADER                                                               \
    "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE ", "                           \
    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" SIG

#define QCREDENTIAL                                                          \
    "X-Amz-Credential=AKID%2F20170318%2Fkr-standard%2Fs3%2Faws4_request"

/* 2017-03-18T03:56:41Z */

#define TIME   "20170318T035641Z"
#define UNIX   1489809401


static void test_header(void);
static void test_bad_header(void);
static void test_signed_headers(void);
static void test_signature(void);
static void test_query(void);
static void test_bad_query(void);
static void test_expires(void);
static void test_next_signed(void);
static void test_time(void);
static void test_check(void);
static void test_payload_hash(void);
static void test_canonical_query(void);


int
main(void)
{
    test_header();
    test_bad_header();
    test_signed_headers();
    test_signature();
    test_query();
    test_bad_query();
    test_expires();
    test_next_signed();
    test_time();
    test_check();
    test_payload_hash();
    test_canonical_query();

    return done();
}


static s3_error_t
header(s3_authorization_t *a, const char *value)
{
    memset(a, 0xff, sizeof(s3_authorization_t));

    return s3_authorization_parse_header(a, guard_z(value));
}


/* parses the target first, as the module does; "query" lacks the uploadId */

static s3_error_t
query(s3_authorization_t *a, const char *text)
{
    s3_str_t                 target;
    s3_error_t               e;
    static s3_request_t      req;
    static s3_request_conf_t conf;

    target = guard_f("/bkt/k?uploadId=A&%s", text);

    e = s3_request_parse(&req, target, S("gw"), &conf,
                         guard_room(target.len));

    if (e != S3_OK) {
        return e;
    }

    if (!req.presigned) {
        printf("Bail out! not presigned: %s\n", text);
        exit(1);
    }

    memset(a, 0xff, sizeof(s3_authorization_t));

    return s3_authorization_parse_query(a, &req, guard_room(req.query.len));
}


static void
is_status(s3_error_t e, unsigned status, const char *name)
{
    if (e == S3_OK || e == S3_DECLINED) {
        ok(0, "%s: accepted", name);
        return;
    }

    is_int(s3_error_status(e), status, "%s: %u", name, status);
}


/* 400 or 403 by a code that says it is about the signature */

static void
is_refused(s3_error_t e, const char *name)
{
    s3_str_t  code;

    if (e == S3_OK || e == S3_DECLINED) {
        ok(0, "%s: accepted", name);
        return;
    }

    code = s3_error_code(e);

    ok(s3_str_eq(code, S("AuthorizationHeaderMalformed"))
       || s3_str_eq(code, S("AuthorizationQueryParametersError"))
       || s3_str_eq(code, S("InvalidRequest"))
       || s3_str_eq(code, S("InvalidArgument"))
       || s3_str_eq(code, S("InvalidURI"))
       || s3_str_eq(code, S("SignatureDoesNotMatch"))
       || s3_str_eq(code, S("AccessDenied")), "%s: refused", name);
    ok(s3_error_status(e) == 400 || s3_error_status(e) == 403,
       "%s: 400 or 403", name);
}


static void
test_header(void)
{
    size_t              i;
    s3_str_t            value;
    s3_authorization_t  a;

    static const struct {
        const char  *value;
        const char  *name;
    } cases[] = {
        { HEADER, "awscli's" },
        { "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE
          ",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
          SIG, "s3cmd's" },
        { "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE
          ",   SignedHeaders=host;x-amz-content-sha256;x-amz-date,  Signature="
          SIG, "with more spaces" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        if (!is_int(header(&a, cases[i].value), S3_OK, "header: %s",
                    cases[i].name))
        {
            continue;
        }

        is_text(a.access_key, "AKID", "access key: %s", cases[i].name);
        is_text(a.scope, SCOPE, "scope: %s", cases[i].name);
        is_text(a.date, "20170318", "date: %s", cases[i].name);
        is_text(a.region, "kr-standard", "region: %s", cases[i].name);
        is_text(a.service, "s3", "service: %s", cases[i].name);
        is_text(a.signed_headers, "host;x-amz-content-sha256;x-amz-date",
                "signed headers: %s", cases[i].name);
        is_text(a.signature, SIG, "signature: %s", cases[i].name);
        is_int(a.presigned, 0, "not presigned: %s", cases[i].name);
    }

    value = S(HEADER);
    (void) s3_authorization_parse_header(&a, value);

    ok(a.access_key.data > value.data
       && a.signature.data + a.signature.len == value.data + value.len,
       "results point into the value");

    is_int(header(&a, "AWS4-HMAC-SHA256 Credential=ncp_iam_x-1.y/20260101/"
                      "us-standard/s3/aws4_request, SignedHeaders="
                      "amz-sdk-invocation-id;amz-sdk-request;content-type;"
                      "host;x-amz-content-sha256;x-amz-date;"
                      "x-amz-user-agent, Signature=" SIG),
           S3_OK, "the JavaScript SDK's");
    is_text(a.access_key, "ncp_iam_x-1.y", "its access key");
    is_text(a.region, "us-standard", "its region");
}


static void
test_bad_header(void)
{
    size_t              i;
    s3_str_t            s;
    s3_authorization_t  a;

    static const struct {
        const char  *value;
        const char  *name;
    } cases[] = {
        { "", "nothing" },
        { " ", "a space" },
        { "AWS AKID:frJIUN8DYpKDtOLCwo//yllqDzg=", "SigV2" },
        { "Bearer abc", "Bearer" },
        { "Basic YTpi", "Basic" },
        { "AWS4-HMAC-SHA256", "the algorithm alone" },
        { "AWS4-HMAC-SHA256 ", "the algorithm and a space" },
        { "AWS4-HMAC-SHA256 ,", "a comma" },
        { "AWS4-HMAC-SHA256 x", "a word" },
        { "AWS4-HMAC-SHA256 " SIG, "a signature" },

#define REST  " Credential=AKID/" SCOPE                                      \
              ", SignedHeaders=host, Signature=" SIG

        { "aws4-hmac-sha256" REST, "the algorithm in lower case" },
        { "AWS4-HMAC-SHA1" REST, "SHA1" },
        { "AWS4-HMAC-SHA512" REST, "SHA512" },
        { "AWS4-ECDSA-P256-SHA256" REST, "ECDSA" },
        { "AWS4-HMAC-SHA256-PAYLOAD" REST, "PAYLOAD" },
        { "AWS4-HMAC-SHA2567" REST, "a longer algorithm" },
        { " AWS4-HMAC-SHA256" REST, "a space first" },
        { "AWS4-HMAC-SHA256," REST, "a comma behind the algorithm" },
        { "AWS4-HMAC-SHA256" REST ",", "a comma last" },
        { "AWS4-HMAC-SHA256" REST ", ", "a comma and a space last" },
        { "AWS4-HMAC-SHA256" REST ",,", "commas last" },
        { "AWS4-HMAC-SHA256 ," REST, "a comma first" },
        { "AWS4-HMAC-SHA256" REST " x", "a word last" },
        { "AWS4-HMAC-SHA256" REST ", x", "a part without a value" },
        { "AWS4-HMAC-SHA256" REST ", x=y", "a fourth part" },
        { "AWS4-HMAC-SHA256" REST ", Signature=" SIG, "two signatures" },
        { "AWS4-HMAC-SHA256" REST ", Credential=B/" SCOPE,
          "two credentials" },
        { "AWS4-HMAC-SHA256" REST ", SignedHeaders=host",
          "two lists of headers" },
        { "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=" SIG,
          "no credential" },
        { "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE ", Signature=" SIG,
          "no signed headers" },
        { "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE ", SignedHeaders=host",
          "no signature" },
        { "AWS4-HMAC-SHA256 credential=AKID/" SCOPE
          ", SignedHeaders=host, Signature=" SIG,
          "a name in another case" },
        { "AWS4-HMAC-SHA256 Credential = AKID/" SCOPE
          ", SignedHeaders=host, Signature=" SIG,
          "spaces around an equals sign" },
        { "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE
          " SignedHeaders=host Signature=" SIG, "no commas" },
        { "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE
          "; SignedHeaders=host; Signature=" SIG, "semicolons" },

#define CREDENTIAL(c)  "AWS4-HMAC-SHA256 Credential=" c                      \
                       ", SignedHeaders=host, Signature=" SIG

        { CREDENTIAL(""), "an empty credential" },
        { CREDENTIAL("AKID"), "an access key alone" },
        { CREDENTIAL("AKID/20170318/kr-standard/s3"), "four parts" },
        { CREDENTIAL("AKID/20170318/kr-standard/aws4_request"),
          "four parts, no service" },
        { CREDENTIAL("AKID/x/" SCOPE), "a slash in the access key" },
        { CREDENTIAL("AKID/" SCOPE "/"), "a slash last" },
        { CREDENTIAL("AKID/" SCOPE "/x"), "six parts" },
        { CREDENTIAL("/" SCOPE), "an empty access key" },
        { CREDENTIAL("AKID//kr-standard/s3/aws4_request"), "no date" },
        { CREDENTIAL("AKID/20170318//s3/aws4_request"), "no region" },
        { CREDENTIAL("AKID/20170318/kr-standard//aws4_request"),
          "no service" },
        { CREDENTIAL("AKID/20170318/kr-standard/s3/"), "no terminator" },
        { CREDENTIAL("AKID/20170318/kr-standard/s3/aws5_request"),
          "another terminator" },
        { CREDENTIAL("AKID/20170318/kr-standard/s3/AWS4_REQUEST"),
          "a terminator in another case" },
        { CREDENTIAL("AKID/20170318/kr-standard/s3/aws4_request2"),
          "a longer terminator" },
        { CREDENTIAL("AKID/2017031/kr-standard/s3/aws4_request"),
          "a short date" },
        { CREDENTIAL("AKID/201703181/kr-standard/s3/aws4_request"),
          "a long date" },
        { CREDENTIAL("AKID/2017031x/kr-standard/s3/aws4_request"),
          "a date with a letter" },
        { CREDENTIAL("AKID/-2017031/kr-standard/s3/aws4_request"),
          "a negative date" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_refused(header(&a, cases[i].value), cases[i].name);
    }

    is_status(header(&a, "AWS AKID:frJIUN8DYpKDtOLCwo//yllqDzg="), 400,
              "SigV2");
    is_status(header(&a, "Bearer abc"), 400, "Bearer");
    is_status(header(&a, CREDENTIAL("AKID/x/" SCOPE)), 400, "six parts");

    s = S("AWS4-HMAC-SHA256 Credential=AK\0ID/" SCOPE
          ", SignedHeaders=ho\0st, Signature=" SIG);
    is_refused(s3_authorization_parse_header(&a, s), "a NUL");

    /* all starts of a good one; the guard page sees an over-read */

    s = S(HEADER);

    for (i = 0; i < s.len; i++) {
        s3_error_t  e = s3_authorization_parse_header(&a, guard(s.data, i));

        if (e == S3_OK || e == S3_DECLINED) {
            ok(0, "%zu bytes of a header are accepted", i);
        }
    }
}


static void
test_signed_headers(void)
{
    int                 i;
    char                text[4096], *p;
    size_t              n;
    s3_authorization_t  a;

    static const struct {
        const char  *list;
        const char  *name;
    } bad[] = {
        { "", "an empty list" },
        { ";", "a semicolon" },
        { "host;", "a semicolon last" },
        { ";host", "a semicolon first" },
        { "host;;x-amz-date", "an empty element" },
        { "x-amz-date;host", "not sorted" },
        { "host;x-amz-date;x-amz-content-sha256", "not sorted at the end" },
        { "Host;x-amz-date", "upper case" },
        { "host;X-Amz-Date", "upper case at the end" },
        { "host;host", "host twice" },
        { "a;host;host;x", "host twice between" },
        { "host;x-amz-date;x-amz-date", "a date twice" },
        { "host x-amz-date", "a space" },
        { "host; x-amz-date", "a space behind a semicolon" },
        { "host:x", "a colon" },
        { "host;x y", "a space in a name" },
        { "host;x:y", "a colon in a name" },
        { "host;x,y", "a comma in a name" },
        { "host;x\ty", "a tab" },
        { "host;x\x7f", "a DEL" },
        { "host;x\xc3\xa4", "beyond ASCII" }
    };

#define LIST  "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE                      \
              ", SignedHeaders=%s, Signature=" SIG

    for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        (void) sprintf(text, LIST, bad[n].list);
        is_refused(header(&a, text), bad[n].name);

        (void) sprintf(text, "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                       "&X-Amz-Credential=AKID/" SCOPE "&X-Amz-Date=" TIME
                       "&X-Amz-Expires=900"
                       "&X-Amz-Signature=" SIG "&X-Amz-SignedHeaders=");

        for (i = 0; bad[n].list[i]; i++) {
            (void) sprintf(text + strlen(text), "%%%02X",
                           (unsigned char) bad[n].list[i]);
        }

        is_refused(query(&a, text), bad[n].name);
    }

    (void) sprintf(text, LIST, "x-amz-date");
    is_status(header(&a, text), 403, "host is not signed");

    (void) sprintf(text, LIST, "hos;host2;x-host");
    is_status(header(&a, text), 403, "names like host");

    (void) sprintf(text, LIST, "a;a-b;ab;host;hostx;x_y");
    is_int(header(&a, text), S3_OK, "sorted by bytes, a prefix first");

    (void) sprintf(text, LIST, "host");
    is_int(header(&a, text), S3_OK, "host alone is of good form");

    for (i = 0; i < 2; i++) {
        char  list[1024];

        for (p = list, n = 0; n + 1 < S3_SIGNED_HEADERS_MAX + (size_t) i; n++)
        {
            p += sprintf(p, "a%02zu;", n);
        }

        (void) sprintf(p, "host");
        (void) sprintf(text, LIST, list);

        if (i == 0) {
            is_int(header(&a, text), S3_OK, "64 signed headers");

        } else {
            is_refused(header(&a, text), "65 signed headers");
        }
    }
}


static void
test_signature(void)
{
    size_t              i;
    char                text[512];
    s3_authorization_t  a;

    static const struct {
        const char  *signature;
        const char  *name;
    } cases[] = {
        { "", "an empty signature" },
        { "5", "one digit" },
        { "581da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc",
          "63 digits" },
        { SIG "0", "65 digits" },
        { SIG SIG, "128 digits" },
        { "581DA340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6",
          "upper case" },
        { "581ga340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6",
          "a g" },
        { " 81da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6",
          "a space" },
        { "0x1da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6",
          "an x" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void) sprintf(text, "AWS4-HMAC-SHA256 Credential=AKID/" SCOPE
                       ", SignedHeaders=host, Signature=%s",
                       cases[i].signature);
        is_refused(header(&a, text), cases[i].name);

        if (strchr(cases[i].signature, ' ')) {
            continue;
        }

        (void) sprintf(text, "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                       "&X-Amz-Credential=AKID/" SCOPE "&X-Amz-Date=" TIME
                       "&X-Amz-Expires=900"
                       "&X-Amz-SignedHeaders=host&X-Amz-Signature=%s",
                       cases[i].signature);
        is_refused(query(&a, text), cases[i].name);
    }
}


#define PRESIGNED                                                            \
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&" QCREDENTIAL "&X-Amz-Date=" TIME      \
    "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIG

static void
test_query(void)
{
    s3_authorization_t  a;

    if (!is_int(query(&a, PRESIGNED), S3_OK, "a presigned URL")) {
        return;
    }

    is_text(a.access_key, "AKID", "its access key");
    is_text(a.scope, SCOPE, "its scope");
    is_text(a.date, "20170318", "its date");
    is_text(a.region, "kr-standard", "its region");
    is_text(a.service, "s3", "its service");
    is_text(a.signed_headers, "host", "its signed headers");
    is_text(a.signature, SIG, "its signature");
    is_text(a.time, TIME, "its time");
    is_text(a.payload_hash, "UNSIGNED-PAYLOAD", "its payload hash");
    is_int(a.expires, 900, "its expiry");
    ok(a.presigned, "it is presigned");

    is_int(query(&a, PRESIGNED "&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD"),
           S3_OK, "the JavaScript presigner's");
    is_text(a.payload_hash, "UNSIGNED-PAYLOAD", "its payload hash");

    is_int(query(&a, PRESIGNED "&X-Amz-Content-Sha256=e3b0c44298fc1c149afbf4c8"
                     "996fb92427ae41e4649b934ca495991b7852b855"),
           S3_OK, "the payload's own hash");
    is_text(a.payload_hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca"
            "495991b7852b855", "it is taken");

    is_int(query(&a, "X-Amz-Algorithm=AWS4%2DHMAC-SHA256&X-Amz-Credential="
                     "AKID/" SCOPE "&X-Amz-Date=" TIME "&X-Amz-Expires=%39%30"
                     "&X-Amz-SignedHeaders=content-type%3bhost%3Bx-amz-date"
                     "&X-Amz-Signature=" SIG),
           S3_OK, "other spellings");
    is_text(a.access_key, "AKID", "its access key");
    is_text(a.signed_headers, "content-type;host;x-amz-date",
            "its signed headers");
    is_int(a.expires, 90, "its expiry");
}


static void
test_bad_query(void)
{
    int                  i;
    size_t               n;
    char                 text[1024];
    s3_request_t         req;
    s3_authorization_t   a;

    static const char  *parts[] = {
        "X-Amz-Algorithm=AWS4-HMAC-SHA256", QCREDENTIAL, "X-Amz-Date=" TIME,
        "X-Amz-Expires=900", "X-Amz-SignedHeaders=host",
        "X-Amz-Signature=" SIG
    };

    static const struct {
        const char  *query;
        const char  *name;
    } cases[] = {
        { "X-Amz-Algorithm=AWS4-HMAC-SHA1&" QCREDENTIAL "&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIG,
          "SHA1" },
        { "X-Amz-Algorithm=aws4-hmac-sha256&" QCREDENTIAL "&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIG,
          "the algorithm in lower case" },
        { "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID&X-Amz-Date="
          TIME "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature="
          SIG, "an access key alone" },
        { "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20170318"
          "%2Fkr-standard%2Fs3%2Faws5_request&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIG,
          "another terminator" },
        { "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%252F20170318"
          "%252Fkr-standard%252Fs3%252Faws4_request&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIG,
          "doubly encoded" }
    };

    for (n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        is_refused(query(&a, cases[n].query), cases[n].name);
    }

    /* each part missing, and each empty; a date may be missed later */

    for (i = 0; i < 6; i++) {
        text[0] = '\0';

        for (n = 0; n < 6; n++) {
            if (n != (size_t) i) {
                (void) sprintf(text + strlen(text), "%s%s",
                               text[0] ? "&" : "", parts[n]);
            }
        }

        if (i == 2) {
            s3_error_t  e = query(&a, text);

            if (e == S3_OK) {
                e = s3_authorization_check(&a, a.time, S("kr-standard"),
                                           S("s3"), UNIX, 900);
            }

            is_refused(e, "no date");
            continue;
        }

        (void) snprintf(text + 700, 64, "no %.*s",
                        (int) strcspn(parts[i], "="), parts[i]);
        is_refused(query(&a, text), text + 700);

        (void) sprintf(text + strlen(text), "&%.*s",
                       (int) strcspn(parts[i], "=") + 1, parts[i]);
        is_refused(query(&a, text), "an empty part");
    }

    is_status(query(&a, PRESIGNED "&X-Amz-Security-Token=TOKEN"), 403,
              "a session token");
    is_status(query(&a, PRESIGNED "&X-Amz-Security-Token="), 403,
              "an empty session token");

    /* one parameter alone makes it presigned, and incomplete */

    for (i = 0; i < S3_NAMZ; i++) {
        memset(&req, 0, sizeof(req));
        req.presigned = 1;
        req.query = S("X-Amz-Date=20170318T035641Z");
        req.amz[i] = req.query;
        req.amz[i].data += sizeof("X-Amz-Date=") - 1;
        req.amz[i].len -= sizeof("X-Amz-Date=") - 1;

        is_refused(s3_authorization_parse_query(&a, &req,
                                                guard_room(req.query.len)),
                   "one parameter alone");

        req.query = S("X=%zz");
        req.amz[i] = req.query;
        req.amz[i].data += 2;
        req.amz[i].len -= 2;

        is_refused(s3_authorization_parse_query(&a, &req,
                                                guard_room(req.query.len)),
                   "a bad escape");
    }
}


static void
test_expires(void)
{
    size_t              i;
    char                text[512];
    s3_error_t          e;
    s3_authorization_t  a;

    static const struct {
        const char  *text;
        unsigned     expires;     /* or 0, if it is an error */
    } cases[] = {
        { "1", 1 }, { "60", 60 }, { "604800", 604800 },

        { "0", 0 }, { "000", 0 }, { "-7", 0 }, { "-0", 0 }, { "604801", 0 },
        { "609901", 0 }, { "1e3", 0 }, { "%2060", 0 }, { "60%20", 0 },
        { "+60", 0 }, { "%2B60", 0 }, { "2147483648", 0 },
        { "4294967297", 0 }, { "4294967296900", 0 },
        { "9223372036854775808", 0 }, { "18446744073709551617", 0 },
        { "18446744073709552516", 0 },
        { "99999999999999999999999999999999999999999", 0 }, { "", 0 },
        { "0x10", 0 }, { "9.0", 0 }, { "900,", 0 }, { "a", 0 }, { "%00", 0 },
        { "900%00", 0 }, { "%EF%BC%91", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void) sprintf(text, "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                       "&X-Amz-Credential=AKID/" SCOPE "&X-Amz-Date=" TIME
                       "&X-Amz-Expires=%s"
                       "&X-Amz-SignedHeaders=host&X-Amz-Signature=" SIG,
                       cases[i].text);
        e = query(&a, text);

        if (cases[i].expires) {
            is_int(e, S3_OK, "expires: %s", cases[i].text);
            is_int(a.expires, cases[i].expires, "as a number: %s",
                   cases[i].text);

        } else {
            is_refused(e, cases[i].text);
        }
    }
}


static void
test_next_signed(void)
{
    s3_str_t  list, name;

    list = S("host;x-amz-content-sha256;x-amz-date");

    is_int(!!s3_authorization_next_signed(&list, &name), 1, "a name");
    is_text(name, "host", "the first");
    is_int(!!s3_authorization_next_signed(&list, &name), 1, "another name");
    is_text(name, "x-amz-content-sha256", "the second");
    is_int(!!s3_authorization_next_signed(&list, &name), 1, "a last name");
    is_text(name, "x-amz-date", "the third");
    is_int(s3_authorization_next_signed(&list, &name), 0, "the end");
    is_int(s3_authorization_next_signed(&list, &name), 0, "still the end");

    list = S("host");
    is_int(!!s3_authorization_next_signed(&list, &name), 1, "one name");
    is_text(name, "host", "it");
    is_int(s3_authorization_next_signed(&list, &name), 0, "and the end");
}


static void
test_time(void)
{
    int        n, c;
    size_t     i;
    int64_t    t;
    s3_str_t   s;
    char       text[64];

    static const struct {
        const char  *text;
        int64_t      unix;
    } cases[] = {
        { "19700101T000000Z", 0 },
        { "19700101T000001Z", 1 },
        { TIME, UNIX },
        { "20000229T235959Z", 951868799 },
        { "20260101T000000Z", 1767225600 },
        { "20240229T120000Z", 1709208000 },
        { "20380119T031407Z", 2147483647 },
        { "20380119T031408Z", 2147483648 },
        { "21060207T062815Z", 4294967295 },
        { "21060207T062816Z", 4294967296 },
        { "21000228T235959Z", 4107542399 },
        { "21000301T000000Z", 4107542400 },
        { "24000229T000000Z", 13574563200 },
        { "99991231T235959Z", 253402300799 },

        { "", -1 }, { "2017", -1 },
        { "20170318T035641", -1 }, { "20170318T035641ZZ", -1 },
        { "20170318T035641z", -1 }, { "20170318t035641Z", -1 },
        { "20170318 035641Z", -1 }, { "20170318T035641 ", -1 },
        { " 0170318T035641Z", -1 }, { "20170318T035641+0900", -1 },
        { "20170318T0356410900", -1 }, { "2017-03-18T03:56:41Z", -1 },
        { "Sat, 18 Mar 2017", -1 }, { "+0170318T035641Z", -1 },
        { "-0170318T035641Z", -1 }, { "0x170318T035641Z", -1 },
        { "20171318T035641Z", -1 }, { "20170018T035641Z", -1 },
        { "20170300T035641Z", -1 }, { "20170332T035641Z", -1 },
        { "20170431T000000Z", -1 }, { "20170631T000000Z", -1 },
        { "20170931T000000Z", -1 }, { "20171131T000000Z", -1 },
        { "20170229T000000Z", -1 }, { "20170230T000000Z", -1 },
        { "20170231T000000Z", -1 }, { "20240230T000000Z", -1 },
        { "21000229T000000Z", -1 }, { "19000229T000000Z", -1 },
        { "20170318T240000Z", -1 }, { "20170318T036041Z", -1 },
        { "20170318T035660Z", -1 }, { "20161231T235960Z", -1 },
        { "20170318T035661Z", -1 }, { "20170318T250000Z", -1 },
        { "19691231T235959Z", -1 }, { "19000101T000000Z", -1 },
        { "00000101T000000Z", -1 }, { "20170318T03564.Z", -1 },
        { "20170318T0356 1Z", -1 }, { "20170318T03-641Z", -1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(s3_authorization_time(guard_z(cases[i].text)), cases[i].unix,
               "time \"%s\"", cases[i].text);
    }

    /* every day, counted */

    n = 0;
    t = 0;

    for (i = 1970; i < 10000; i++) {
        int  month, day, days;

        static const int  lengths[] = {
            31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
        };

        for (month = 1; month <= 12; month++) {
            days = lengths[month - 1];

            if (month == 2 && i % 4 == 0 && (i % 100 != 0 || i % 400 == 0)) {
                days = 29;
            }

            for (day = 1; day <= 31; day++) {
                (void) sprintf(text, "%04zu%02d%02dT235958Z", i, month, day);
                s.data = (u_char *) text;
                s.len = 16;

                if (day > days) {
                    n += s3_authorization_time(s) != -1;
                    continue;
                }

                n += s3_authorization_time(s) != t + 86398;
                t += 86400;
            }
        }
    }

    is_int(n, 0, "every day from 1970 to 9999");

    /* any other byte in any place */

    n = 0;
    s = S(TIME);

    for (i = 0; i < s.len; i++) {
        u_char  was = s.data[i];

        for (c = 0; c < 256; c++) {
            s.data[i] = (u_char) c;

            n += c != was && (c < '0' || c > '9')
                 && s3_authorization_time(s) != -1;
        }

        s.data[i] = was;
    }

    is_int(n, 0, "every byte in every place");
}


static void
test_check(void)
{
    size_t              i;
    s3_error_t          e;
    s3_authorization_t  a;

    static const struct {
        int          presigned;
        unsigned     expires;
        const char  *time;
        int64_t      now;
        s3_error_t   error;
        const char  *name;
    } cases[] = {
        { 0, 0, TIME, UNIX, S3_OK, "now" },
        { 0, 0, TIME, UNIX + 900, S3_OK, "900 s ago" },
        { 0, 0, TIME, UNIX + 901, S3_REQUEST_TIME_TOO_SKEWED, "901 s ago" },
        { 0, 0, TIME, UNIX - 900, S3_OK, "900 s ahead" },
        { 0, 0, TIME, UNIX - 901, S3_REQUEST_TIME_TOO_SKEWED, "901 s ahead" },
        { 0, 0, TIME, 0, S3_REQUEST_TIME_TOO_SKEWED, "a clock at 0" },
        { 0, 0, TIME, 253402300799, S3_REQUEST_TIME_TOO_SKEWED,
          "a clock in the year 9999" },
        { 0, 0, TIME, -1, S3_REQUEST_TIME_TOO_SKEWED, "a clock before 1970" },

        { 1, 900, TIME, UNIX, S3_OK, "presigned: now" },
        { 1, 900, TIME, UNIX + 900, S3_OK, "presigned: at its expiry" },
        { 1, 900, TIME, UNIX + 901, S3_ACCESS_DENIED_EXPIRED,
          "presigned: a second later" },
        { 1, 1, TIME, UNIX + 1, S3_OK, "presigned: 1 s" },
        { 1, 1, TIME, UNIX + 2, S3_ACCESS_DENIED_EXPIRED,
          "presigned: 1 s, 2 s ago" },
        { 1, 604800, TIME, UNIX + 604800, S3_OK, "presigned: 7 days" },
        { 1, 604800, TIME, UNIX + 604801, S3_ACCESS_DENIED_EXPIRED,
          "presigned: 7 days and a second" },
        { 1, 604800, TIME, UNIX + 5000, S3_OK,
          "presigned: older than the skew" },
        { 1, 900, TIME, UNIX - 900, S3_OK, "presigned: 900 s ahead" },
        { 1, 900, TIME, UNIX - 901, S3_ACCESS_DENIED_FUTURE,
          "presigned: 901 s ahead" },
        { 1, 604800, TIME, 253402300799, S3_ACCESS_DENIED_EXPIRED,
          "presigned: a clock in the year 9999" },
        { 1, 900, TIME, 0, S3_ACCESS_DENIED_FUTURE,
          "presigned: a clock at 0" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        e = header(&a, HEADER);

        if (cases[i].presigned) {
            a.presigned = 1;
            a.expires = cases[i].expires;
            a.time = guard_z(cases[i].time);
        }

        is_int(s3_authorization_check(&a, guard_z(cases[i].time),
                                      S("kr-standard"), S("s3"),
                                      cases[i].now, 900),
               cases[i].error, "check: %s", cases[i].name);
    }

    (void) header(&a, HEADER);

    e = s3_authorization_check(&a, S(TIME), S("us-standard"), S("s3"), UNIX,
                               900);
    is_int(e, S3_AUTHORIZATION_BAD_REGION, "another region");
    is_text(s3_error_code(e), "AuthorizationHeaderMalformed", "its code");
    is_status(e, 400, "another region");

    e = s3_authorization_check(&a, S(TIME), S("kr-standard2"), S("s3"), UNIX,
                               900);
    is_int(e, S3_AUTHORIZATION_BAD_REGION, "a longer region");

    e = s3_authorization_check(&a, S(TIME), S("kr-standar"), S("s3"), UNIX,
                               900);
    is_int(e, S3_AUTHORIZATION_BAD_REGION, "a shorter region");

    e = s3_authorization_check(&a, S(TIME), S("KR-standard"), S("s3"), UNIX,
                               900);
    is_int(e, S3_AUTHORIZATION_BAD_REGION, "a region in another case");

    e = s3_authorization_check(&a, S(TIME), S("kr-standard"),
                               S("s3-outposts"), UNIX, 900);
    is_status(e, 400, "another service");
    is_text(s3_error_code(e), "AuthorizationHeaderMalformed", "its code");

    (void) header(&a, "AWS4-HMAC-SHA256 Credential=AKID/20170318/kr-standard/"
                      "sts/aws4_request, SignedHeaders=host, Signature="
                      SIG);
    is_status(s3_authorization_check(&a, S(TIME), S("kr-standard"), S("s3"),
                                     UNIX, 900), 400, "sts");

    (void) header(&a, HEADER);

    is_refused(s3_authorization_check(&a, S("20170319T000000Z"),
                                      S("kr-standard"), S("s3"),
                                      1489881600, 900),
               "a scope of the day before");
    is_refused(s3_authorization_check(&a, S("20170317T235959Z"),
                                      S("kr-standard"), S("s3"),
                                      1489795199, 900),
               "a scope of the day after");
    is_refused(s3_authorization_check(&a, S("20160318T035641Z"),
                                      S("kr-standard"), S("s3"),
                                      UNIX, 900),
               "a scope of another year");

    /* around midnight, the scope's date goes with the request's time */

    is_int(s3_authorization_check(&a, S("20170318T235959Z"),
                                  S("kr-standard"), S("s3"),
                                  1489881600 + 60, 900),
           S3_OK, "yesterday's scope and time, a minute later");

    is_status(s3_authorization_check(&a, S(""), S("kr-standard"), S("s3"),
                                     UNIX, 900), 403, "no time");
    is_status(s3_authorization_check(&a, S("20170318T035641"),
                                     S("kr-standard"), S("s3"), UNIX, 900),
              403, "no Z");
    is_status(s3_authorization_check(&a, S("20170318"), S("kr-standard"),
                                     S("s3"), UNIX, 900), 403, "a date");
    is_status(s3_authorization_check(&a, S("20170318T235960Z"),
                                     S("kr-standard"), S("s3"), UNIX, 900),
              403, "a leap second");
    is_status(s3_authorization_check(&a, S("Sat, 18 Mar 2017 03:56:41 GMT"),
                                     S("kr-standard"), S("s3"), UNIX, 900),
              403, "an HTTP date");

    is_int(s3_authorization_check(&a, S(TIME), S("kr-standard"), S("s3"),
                                  UNIX + 1, 0),
           S3_REQUEST_TIME_TOO_SKEWED, "no skew");
    is_int(s3_authorization_check(&a, S(TIME), S("kr-standard"), S("s3"),
                                  UNIX, 0), S3_OK, "no skew, the same second");
}


static void
test_payload_hash(void)
{
    size_t  i;

    static const char  *bad[] = {
        "", " ", "e3b0", "unsigned-payload", "UNSIGNED-PAYLOAD ",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "garbage"
    };

    is_int(s3_authorization_check_payload_hash(S("UNSIGNED-PAYLOAD")), S3_OK,
           "an unsigned payload");
    is_int(s3_authorization_check_payload_hash(
               S("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852"
                 "b855")),
           S3_OK, "the hash of nothing");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_status(s3_authorization_check_payload_hash(guard_z(bad[i])), 400,
                  bad[i]);
    }
}


static void
test_canonical_query(void)
{
    size_t     i, len;
    s3_str_t   s, dst;
    char       text[512], *p;

    static const struct {
        const char  *query;
        const char  *canonical;
        const char  *name;
    } cases[] = {
        { "", "", "nothing" },
        { "uploadId=A", "uploadId=A", "one parameter" },
        { "uploadId", "uploadId=", "no equals sign" },
        { "uploadId=", "uploadId=", "an empty value" },
        { "x-id=AbortMultipartUpload&uploadId=A",
          "uploadId=A&x-id=AbortMultipartUpload", "sorted by name" },
        { "uploadId=2~AbC-_id+1=", "uploadId=2~AbC-_id%2B1%3D",
          "minio-js's raw id" },
        { "uploadId=2~AbC-_id%2b1%3d", "uploadId=2~AbC-_id%2B1%3D",
          "lower-case escapes" },
        { "uploadId=%7e%41", "uploadId=~A", "needless escapes" },
        { "uploadId=a%20b+c", "uploadId=a%20b%2Bc",
          "a space and a plus" },
        { "uploadId=a%252Fb", "uploadId=a%252Fb", "decoded once" },
        { "uploadId=a=b=", "uploadId=a%3Db%3D",
          "equals signs in a value" },
        { "uploadId=a/b", "uploadId=a%2Fb", "a slash" },
        { "uploadId=\xea\xb0\x80", "uploadId=%EA%B0%80", "beyond ASCII" },
        { "b=2&a=1&B=3&A=4", "A=4&B=3&a=1&b=2", "upper case first" },
        { "a=2&a=1&a=&a", "a=&a=&a=1&a=2", "then by value" },
        { "a-b=1&a=2&ab=3&a.b=4", "a=2&a-b=1&a.b=4&ab=3",
          "a name before one that it starts" },
        { "X-Amz-Signature=secret", "", "the signature alone" },
        { "X-Amz-Signature=secret&uploadId=A", "uploadId=A",
          "the signature first" },
        { "uploadId=A&X-Amz-Signature=secret", "uploadId=A",
          "the signature last" },
        { "uploadId=A&X-Amz-Signature=secret&x-id=B", "uploadId=A&x-id=B",
          "the signature between" },
        { "X-Amz-SignatureX=a&X-Amz-Signatur=b",
          "X-Amz-Signatur=b&X-Amz-SignatureX=a", "names like it" },
        { "X-Amz-Algorithm=AWS4-HMAC-SHA256&" QCREDENTIAL "&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&uploadId=A"
          "&X-Amz-Signature=" SIG,
          "X-Amz-Algorithm=AWS4-HMAC-SHA256&" QCREDENTIAL "&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&uploadId=A",
          "boto3's presigned URL" },
        { "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-"
          "PAYLOAD&X-Amz-Credential=AKID/" SCOPE "&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type;host"
          "&X-Amz-Signature=" SIG "&uploadId=A&x-id=AbortMultipartUpload",
          "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-"
          "PAYLOAD&" QCREDENTIAL "&X-Amz-Date=" TIME
          "&X-Amz-Expires=900&X-Amz-SignedHeaders=content-type%3Bhost"
          "&uploadId=A&x-id=AbortMultipartUpload",
          "raw slashes and semicolons" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = guard_z(cases[i].query);
        len = s3_authorization_query_len(s);
        dst.data = guard_room(len);
        dst.len = (size_t) (s3_authorization_query(dst.data, s) - dst.data);

        ok(dst.len <= len, "canonical query: room for %s", cases[i].name);
        is_text(dst, cases[i].canonical, "canonical query: %s",
                cases[i].name);
    }

    /* as many parameters as there may be, without equals signs */

    for (p = text, i = 0; i < S3_PARAMETERS_MAX; i++) {
        p += sprintf(p, "%sp%02zu", i ? "&" : "", S3_PARAMETERS_MAX - i);
    }

    s = guard_z(text);
    len = s3_authorization_query_len(s);
    dst.data = guard_room(len);
    dst.len = (size_t) (s3_authorization_query(dst.data, s) - dst.data);

    for (p = text, i = 1; i <= S3_PARAMETERS_MAX; i++) {
        p += sprintf(p, "%sp%02zu=", i > 1 ? "&" : "", i);
    }

    is_text(dst, text, "canonical query: 32 parameters");
}
