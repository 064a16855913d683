
#include "s3_error.h"
#include "s3_uri.h"
#include "unit.h"


static void test_codes(void);
static void test_from_status(void);
static void test_from_storage(void);
static void test_all_answers(void);
static void test_find_code(void);
static void test_no_code(void);
static void test_find_parts(void);
static void test_cut_parts(void);
static void test_xml(void);
static void test_xml_bytes(void);


int
main(void)
{
    test_codes();
    test_from_status();
    test_from_storage();
    test_all_answers();
    test_find_code();
    test_no_code();
    test_find_parts();
    test_cut_parts();
    test_xml();
    test_xml_bytes();

    return done();
}


static void
test_codes(void)
{
    int       e;
    size_t    i;
    s3_str_t  s;

    static const struct {
        s3_error_t   error;
        const char  *code;
        unsigned     status;
    } cases[] = {
        { S3_ACCESS_DENIED, "AccessDenied", 403 },
        { S3_ACCESS_DENIED_EXPIRED, "AccessDenied", 403 },
        { S3_ACCESS_DENIED_FUTURE, "AccessDenied", 403 },
        { S3_ACCESS_DENIED_NO_DATE, "AccessDenied", 403 },
        { S3_ACCESS_DENIED_UNSIGNED_HOST, "AccessDenied", 403 },
        { S3_ACCESS_DENIED_UNSIGNED_HEADER, "AccessDenied", 403 },
        { S3_ACCESS_DENIED_TOKEN, "AccessDenied", 403 },
        { S3_AUTHORIZATION_MALFORMED, "AuthorizationHeaderMalformed", 400 },
        { S3_AUTHORIZATION_BAD_DATE, "AuthorizationHeaderMalformed", 400 },
        { S3_AUTHORIZATION_BAD_REGION, "AuthorizationHeaderMalformed", 400 },
        { S3_AUTHORIZATION_NOT_SIGV4, "InvalidRequest", 400 },
        { S3_AUTHORIZATION_TWICE, "InvalidArgument", 400 },
        { S3_BODY, "InvalidRequest", 400 },
        { S3_EMPTY_KEY, "InvalidRequest", 400 },
        { S3_HEADER_NOT_ALLOWED, "InvalidRequest", 400 },
        { S3_INTERNAL_ERROR, "InternalError", 500 },
        { S3_INVALID_ACCESS_KEY_ID, "InvalidAccessKeyId", 403 },
        { S3_INVALID_ARGUMENT, "InvalidArgument", 400 },
        { S3_INVALID_BUCKET_NAME, "InvalidBucketName", 400 },
        { S3_INVALID_PARAMETER, "InvalidArgument", 400 },
        { S3_INVALID_REQUEST, "InvalidRequest", 400 },
        { S3_INVALID_UPLOAD_ID, "InvalidArgument", 400 },
        { S3_INVALID_URI, "InvalidURI", 400 },
        { S3_KEY_TOO_LONG, "KeyTooLongError", 400 },
        { S3_METHOD_NOT_ALLOWED, "MethodNotAllowed", 405 },
        { S3_NO_SUCH_BUCKET, "NoSuchBucket", 404 },
        { S3_NO_SUCH_UPLOAD, "NoSuchUpload", 404 },
        { S3_NOT_IMPLEMENTED, "NotImplemented", 501 },
        { S3_OPERATION_ABORTED, "OperationAborted", 409 },
        { S3_PRECONDITION_FAILED, "PreconditionFailed", 412 },
        { S3_REQUEST_TIME_TOO_SKEWED, "RequestTimeTooSkewed", 403 },
        { S3_BAD_GATEWAY, "ServiceUnavailable", 502 },
        { S3_GATEWAY_TIMEOUT, "ServiceUnavailable", 504 },
        { S3_SIGNATURE_DOES_NOT_MATCH, "SignatureDoesNotMatch", 403 },
        { S3_SLOW_DOWN, "SlowDown", 503 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_text(s3_error_code(cases[i].error), cases[i].code, "code: %s",
                cases[i].code);
        is_int(s3_error_status(cases[i].error), cases[i].status,
               "status: %s", cases[i].code);
    }

    is_int(s3_error_status(S3_BAD_PAYLOAD_HASH), 400, "a bad payload hash");
    is_int(s3_error_status(S3_INVALID_EXPIRES), 400, "a bad expiry");
    is_int(s3_error_status(S3_INVALID_HOST), 400, "a bad host");

    is_text(s3_error_message(S3_EMPTY_KEY), "A key must be specified",
            "an empty key's message");

    /* every error there is has all three, and none needs escaping */

    for (e = S3_DECLINED + 1; e < S3_NERRORS; e++) {
        s = s3_error_code((s3_error_t) e);

        ok(s.len > 0 && s.len <= 64, "error %d has a code", e);

        for (i = 0; i < s.len; i++) {
            if ((s.data[i] | 0x20) < 'a' || (s.data[i] | 0x20) > 'z') {
                ok(0, "a code is made of letters");
            }
        }

        s = s3_error_message((s3_error_t) e);

        ok(s.len > 0, "error %d has a message", e);

        for (i = 0; i < s.len; i++) {
            if (s.data[i] < 0x20 || s.data[i] > 0x7e
                || strchr("&<>", s.data[i]))
            {
                ok(0, "a message is plain text");
            }
        }

        ok(s3_error_status((s3_error_t) e) >= 400
           && s3_error_status((s3_error_t) e) <= 599,
           "error %d has a status", e);
    }
}


static void
test_from_status(void)
{
    size_t      i;
    unsigned    status;
    s3_error_t  e;

    static const struct {
        unsigned     status;
        const char  *code;
    } cases[] = {
        { 401, "AccessDenied" },
        { 403, "AccessDenied" },
        { 405, "MethodNotAllowed" },
        { 412, "PreconditionFailed" },
        { 429, "SlowDown" },
        { 500, "InternalError" },
        { 501, "NotImplemented" },
        { 502, "ServiceUnavailable" },
        { 503, "SlowDown" },
        { 504, "ServiceUnavailable" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        e = s3_error_from_status(cases[i].status);

        if (ok(e > S3_DECLINED && e < S3_NERRORS, "an error for %u",
               cases[i].status))
        {
            is_text(s3_error_code(e), cases[i].code, "the code for %u",
                    cases[i].status);
        }
    }

    for (status = 400; status < 600; status++) {
        e = s3_error_from_status(status);

        if (e <= S3_DECLINED || e >= S3_NERRORS) {
            ok(0, "no error for %u", status);
            continue;
        }

        /* an SDK retries by the class of the code */

        if (status != 429 && s3_error_status(e) / 100 != status / 100) {
            ok(0, "%u is an error of another class", status);
        }

        if (e == S3_NO_SUCH_UPLOAD || e == S3_NO_SUCH_BUCKET) {
            ok(0, "%u is an answer of the storage", status);
        }
    }
}


static void
test_from_storage(void)
{
    size_t       i;
    s3_answer_t  a;

    static const struct {
        unsigned       status;
        const char    *code;
        s3_storage_t   verdict;
        const char    *error;
    } cases[] = {
        { 204, "", S3_STORAGE_ABORTED, NULL },

        { 404, "NoSuchUpload", S3_STORAGE_GONE, "NoSuchUpload" },
        { 404, "", S3_STORAGE_GONE, "NoSuchUpload" },
        { 404, "NoSuchBucket", S3_STORAGE_REFUSED, "NoSuchBucket" },

        { 403, "AccessDenied", S3_STORAGE_REFUSED, "AccessDenied" },
        { 403, "", S3_STORAGE_REFUSED, "AccessDenied" },
        { 409, "OperationAborted", S3_STORAGE_REFUSED, "OperationAborted" },
        { 412, "PreconditionFailed", S3_STORAGE_REFUSED,
          "PreconditionFailed" },
        { 400, "InvalidArgument", S3_STORAGE_REFUSED, "InvalidArgument" },
        { 400, "InvalidBucketName", S3_STORAGE_REFUSED,
          "InvalidBucketName" },
        { 400, "InvalidRequest", S3_STORAGE_REFUSED, "InvalidRequest" },
        { 400, "InvalidURI", S3_STORAGE_REFUSED, "InvalidURI" },
        { 400, "KeyTooLong", S3_STORAGE_REFUSED, "KeyTooLongError" },
        { 400, "KeyTooLongError", S3_STORAGE_REFUSED, "KeyTooLongError" },

        { 403, "SignatureDoesNotMatch", S3_STORAGE_UNAUTHORIZED,
          "InternalError" },
        { 403, "InvalidAccessKeyId", S3_STORAGE_UNAUTHORIZED,
          "InternalError" },
        { 403, "RequestTimeTooSkewed", S3_STORAGE_UNAUTHORIZED,
          "InternalError" },
        { 403, "ExpiredToken", S3_STORAGE_UNAUTHORIZED, "InternalError" },
        { 403, "InvalidTokenId", S3_STORAGE_UNAUTHORIZED, "InternalError" },
        { 400, "ExpiredToken", S3_STORAGE_UNAUTHORIZED, "InternalError" },
        { 403, "InvalidToken", S3_STORAGE_UNAUTHORIZED, "InternalError" },
        { 400, "InvalidToken", S3_STORAGE_UNAUTHORIZED, "InternalError" },
        { 400, "AuthorizationHeaderMalformed", S3_STORAGE_UNAUTHORIZED,
          "InternalError" },

        { 429, "", S3_STORAGE_BUSY, "SlowDown" },
        { 429, "SlowDown", S3_STORAGE_BUSY, "SlowDown" },
        { 503, "", S3_STORAGE_BUSY, "SlowDown" },
        { 503, "SlowDown", S3_STORAGE_BUSY, "SlowDown" },
        { 503, "ServiceUnavailable", S3_STORAGE_BUSY, "SlowDown" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        a = s3_error_from_storage(cases[i].status, guard_z(cases[i].code));

        is_int(a.verdict, cases[i].verdict, "verdict of %u %s",
               cases[i].status, cases[i].code);

        if (cases[i].error == NULL) {
            is_int(a.error, S3_OK, "%u is no error", cases[i].status);
            continue;
        }

        if (ok(a.error > S3_DECLINED && a.error < S3_NERRORS,
               "an error of %u %s", cases[i].status, cases[i].code))
        {
            is_text(s3_error_code(a.error), cases[i].error,
                    "code of %u %s", cases[i].status, cases[i].code);
        }
    }
}


/* what must hold for anything a storage may say */

static void
test_all_answers(void)
{
    int          n[6];
    size_t       i;
    unsigned     status, sent;
    s3_answer_t  a;

    static const char  *codes[] = {
        "", "NoSuchUpload", "NoSuchBucket", "NoSuchKey", "AccessDenied",
        "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken",
        "RequestTimeTooSkewed", "SlowDown", "InternalError", "Success",
        "PermanentRedirect", "nosuchupload", "InvalidArgument", "x"
    };

    memset(n, 0, sizeof(n));

    for (status = 200; status < 600; status++) {
        for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {

            a = s3_error_from_storage(status, guard_z(codes[i]));

            if ((a.verdict == S3_STORAGE_ABORTED) != (a.error == S3_OK)
                || (int) a.verdict < 0 || a.verdict > S3_STORAGE_FAILED
                || a.error == S3_DECLINED || a.error >= S3_NERRORS)
            {
                ok(0, "%u %s: verdict and error", status, codes[i]);
                continue;
            }

            sent = a.error == S3_OK ? 204 : s3_error_status(a.error);

            /* only the storage's own success is one, only its 404 is one */

            n[0] += sent == 204 && status >= 300;
            n[1] += sent == 404 && status != 404;
            n[2] += a.verdict == S3_STORAGE_GONE && status != 404;

            /* what is no answer to an abort is the storage's fault */

            n[3] += status >= 300 && status < 400
                    && (a.verdict != S3_STORAGE_FAILED || sent < 500);
            n[4] += status >= 500 && sent < 500;
            n[5] += status != 200 && status != 204 && status < 300
                    && sent < 500;
        }
    }

    is_int(n[0], 0, "a success is a 2xx");
    is_int(n[1], 0, "a 404 is a 404");
    is_int(n[2], 0, "gone is a 404");
    is_int(n[3], 0, "a redirection is nonsense");
    is_int(n[4], 0, "a 5xx is a 5xx");
    is_int(n[5], 0, "another 2xx is nonsense");
}


static void
test_find_code(void)
{
    size_t    i;
    s3_str_t  body, code;

    static const struct {
        const char  *body;
        const char  *code;
        const char  *name;
    } cases[] = {
        { "<Error><Code>NoSuchUpload</Code></Error>", "NoSuchUpload",
          "nothing else" },
        { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<Error><Code>NoSuchUpload</Code><Message>The specified upload does "
          "not exist.</Message><UploadId>x</UploadId><RequestId>r</RequestId>"
          "<HostId>h</HostId></Error>", "NoSuchUpload", "AWS's" },
        { "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>"
          "<Error>\n  <Code>AccessDenied</Code>\n  <Message>Access Denied"
          "</Message>\n  <Resource>/bucket/key</Resource>\n  <RequestId>"
          "9d8806c9</RequestId>\n  <httpStatusCode>403</httpStatusCode>\n"
          "</Error>\n", "AccessDenied", "NAVER's" },
        { "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>"
          "SignatureDoesNotMatch</Code><Message></Message><RequestId>tx0"
          "</RequestId><HostId>1-default</HostId></Error>",
          "SignatureDoesNotMatch", "Ceph's" },
        { "<Error><Message/><Code>SlowDown</Code></Error>", "SlowDown",
          "behind an empty element" },
        { "<Error><Message>m</Message><RequestId>r</RequestId><Code>SlowDown"
          "</Code></Error>", "SlowDown", "behind others" },
        { "<Error a=\"/>\" b='\"'><Code>SlowDown</Code></Error>", "SlowDown",
          "attributes with a quote and an end" },
        { "<Error><Details><Code>Fake</Code></Details><Code>Real</Code>"
          "</Error>", "Real", "behind a nested one" },
        { "<Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Code>"
          "InternalError</Code></Error>", "InternalError", "a namespace" },
        { " \n\t<Error>\r\n\t<Code>InternalError</Code>\r\n</Error>",
          "InternalError", "white space" },
        { "<Error><Code>A.b_c-9</Code></Error>", "A.b_c-9",
          "all kinds of bytes" },
        { "<Error><Code>0123456789012345678901234567890123456789012345678901"
          "234567890123</Code></Error>",
          "012345678901234567890123456789012345678901234567890123456789"
          "0123", "64 bytes" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        body = guard_z(cases[i].body);
        code = s3_error_find_code(body);

        is_text(code, cases[i].code, "find code: %s", cases[i].name);
        ok(code.len && code.data > body.data
           && code.data + code.len < body.data + body.len,
           "it is a part of the body: %s", cases[i].name);
    }

    /* whole or not at all */

    body = S("<?xml version=\"1.0\"?>\n<Error><Code>NoSuchUpload</Code>"
             "<Message>a &lt; b</Message></Error>");

    for (i = 0; i < body.len; i++) {
        code = s3_error_find_code(guard(body.data, i));

        if (code.len && !s3_str_eq(code, S("NoSuchUpload"))) {
            ok(0, "a code of a cut body");
        }

        if (code.len && i < 36) {
            ok(0, "a code before it is there");
        }
    }
}


static void
test_no_code(void)
{
    size_t    i, j;
    s3_str_t  body;

    static const struct {
        const char  *body;
        const char  *name;
    } cases[] = {
        { "", "nothing" },
        { "x", "text" },
        { "<", "an open tag" },
        { "<>", "an empty tag" },
        { "< >", "a blank tag" },
        { "</>", "an empty end tag" },
        { "<Error>", "an Error alone" },
        { "<Error><Code>", "an open Code" },
        { "<Error><Code></Code></Error>", "an empty Code" },
        { "<Error><Code/></Error>", "an empty element" },
        { "<Error><Code>Abc", "a cut code" },
        { "<Error><Code>Abc<", "a code cut at its end" },
        { "<Error><Code>Abc</Code", "a code cut in its end" },
        { "<Error><Code>Abc</Cod></Error>", "another end" },
        { "<Error><Code>a b</Code></Error>", "a space" },
        { "<Error><Code> Abc</Code></Error>", "a space first" },
        { "<Error><Code>Abc\n</Code></Error>", "a line feed" },
        { "<Error><Code>A&amp;b</Code></Error>", "an entity" },
        { "<Error><Code>A\"b</Code></Error>", "a quote" },
        { "<Error><Code>A/b</Code></Error>", "a slash" },
        { "<Error><Code>\xea\xb0\x80</Code></Error>", "beyond ASCII" },
        { "<Error><Code><![CDATA[NoSuchUpload]]></Code></Error>", "CDATA" },
        { "<Error><Code><b>NoSuchUpload</b></Code></Error>", "an element" },
        { "<Error><!-- x --><Code>NoSuchUpload</Code></Error>",
          "behind a comment" },
        { "<Error><!-- <Code>NoSuchUpload</Code> --></Error>",
          "in a comment" },
        { "<Error><![CDATA[<Code>NoSuchUpload</Code>]]></Error>",
          "in CDATA" },
        { "<Error><!--/><Code>NoSuchUpload</Code>--></Error>",
          "in a comment that ends like an element" },
        { "<Error><a b=\"/><Code>NoSuchUpload</Code></Error>",
          "an attribute without an end" },
        { "<Error a=\"><Code>NoSuchUpload</Code>\"></Error>",
          "in an attribute" },
        { "<Error><><Code>NoSuchUpload</Code></Error>",
          "behind an empty tag" },
        { "<!DOCTYPE Error [<!ENTITY a \"b\">]><Error><Code>NoSuchUpload"
          "</Code></Error>", "behind a document type" },
        { "<Error><Code>012345678901234567890123456789012345678901234567890"
          "12345678901234</Code></Error>", "65 bytes" },
        { "<Code>NoSuchUpload</Code>", "no Error" },
        { "<Errors><Code>NoSuchUpload</Code></Errors>", "Errors" },
        { "<error><Code>NoSuchUpload</Code></error>", "error" },
        { "<Error><code>NoSuchUpload</code></Error>", "code" },
        { "<Error><Codex>NoSuchUpload</Codex></Error>", "Codex" },
        { "<a><Error><Code>NoSuchUpload</Code></Error></a>",
          "an Error that is not the document's" },
        { "<a/><Error><Code>NoSuchUpload</Code></Error><a>", NULL },
        { "<Error></Error><Code>NoSuchUpload</Code>", "behind the Error" },
        { "<Error></Error><Error><Code>NoSuchUpload</Code></Error>",
          "in a second Error" },
        { "</Error><Code>NoSuchUpload</Code>", "an end first" },
        { "<Error><Message><Code>NoSuchUpload</Code></Message></Error>",
          "in a Message" },
        { "<Error><Error><Code>NoSuchUpload</Code></Error></Error>",
          "in an inner Error" },
        { "<Error><a><b></b><Code>NoSuchUpload</Code></a></Error>",
          "beside an inner element" },
        { "{\"Code\":\"NoSuchUpload\"}", "JSON" },
        { "<html><body><h1>404</h1><Code>NoSuchUpload</Code></body></html>",
          "HTML" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].name) {
            is_text(s3_error_find_code(guard_z(cases[i].body)), "",
                    "no code: %s", cases[i].name);
        }
    }

    /* UTF-16, both ways; NULs */

    for (j = 0; j < 2; j++) {
        static const char  text[] =
            "<Error><Code>NoSuchUpload</Code></Error>";

        body = guard_fill('\0', 2 * (sizeof(text) - 1));

        for (i = 0; i < sizeof(text) - 1; i++) {
            body.data[2 * i + j] = (u_char) text[i];
        }

        is_text(s3_error_find_code(body), "", "no code: UTF-16");
    }

    is_text(s3_error_find_code(S("<Error><Code>A\0b</Code></Error>")), "",
            "no code: a NUL");

    /* a megabyte of elements, of depth, of text */

    body = guard_fill('x', 1 << 20);
    is_text(s3_error_find_code(body), "", "no code: a megabyte of text");

    memset(body.data, '<', body.len);
    is_text(s3_error_find_code(body), "", "no code: a megabyte of brackets");

    for (i = 0; i + 3 <= body.len; i += 3) {
        memcpy(body.data + i, "<a>", 3);
    }

    is_text(s3_error_find_code(body), "", "no code: a megabyte of depth");

    memcpy(body.data, "<Error>", 7);

    for (i = 7; i + 4 <= body.len; i += 4) {
        memcpy(body.data + i, "<a/>", 4);
    }

    is_text(s3_error_find_code(body), "", "no code: a megabyte of elements");
}


static s3_str_t
xml(s3_error_t e, s3_str_t resource, s3_str_t region, s3_str_t request_id)
{
    size_t          len;
    s3_str_t        s;
    s3_error_xml_t  x;

    x.error = e;
    x.resource = resource;
    x.region = region;
    x.request_id = request_id;

    len = s3_error_xml_len(&x);
    s.data = guard_room(len);
    s.len = (size_t) (s3_error_xml(s.data, &x) - s.data);

    if (s.len != len) {
        ok(0, "the document's length: %zu, wrote %zu", len, s.len);
    }

    return s;
}


static s3_str_t
between(s3_str_t s, const char *start, const char *end)
{
    u_char    *p, *q;
    s3_str_t   none = { 0, NULL };

    p = memmem(s.data, s.len, start, strlen(start));

    if (p == NULL) {
        return none;
    }

    p += strlen(start);
    q = memmem(p, (size_t) (s.data + s.len - p), end, strlen(end));

    return q ? unit_str(p, q) : none;
}


static void
test_find_parts(void)
{
    size_t    i;
    s3_str_t  body;

    static const struct {
        s3_parts_t   parts;
        const char  *body;
        const char  *name;
    } cases[] = {
        { S3_PARTS_REMAIN, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
          "<Bucket>b</Bucket><Key>k</Key><UploadId>x</UploadId><Initiator>"
          "<ID>i</ID><DisplayName>n</DisplayName></Initiator><Owner><ID>i</ID>"
          "<DisplayName>n</DisplayName></Owner><StorageClass>STANDARD"
          "</StorageClass><PartNumberMarker>0</PartNumberMarker>"
          "<NextPartNumberMarker>1</NextPartNumberMarker><MaxParts>1</MaxParts>"
          "<IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>"
          "<LastModified>2010-11-10T20:48:34.000Z</LastModified>"
          "<ETag>\"7778aef83f66abc1fa1e8477f296d394\"</ETag><Size>1</Size>"
          "</Part></ListPartsResult>", "AWS's" },
        { S3_PARTS_NONE, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
          "<Bucket>b</Bucket><Key>k</Key><Owner><ID>i</ID></Owner>"
          "<IsTruncated>false</IsTruncated></ListPartsResult>\n",
          "AWS's, none" },
        { S3_PARTS_NONE, "<ListPartsResult></ListPartsResult>", "nothing" },
        { S3_PARTS_NONE, "<ListPartsResult\n>\n</ListPartsResult\n>",
          "white space" },
        { S3_PARTS_NONE, "<ListPartsResult><Key/><Owner><ID/></Owner>"
          "</ListPartsResult>", "empty elements" },
        { S3_PARTS_REMAIN, "<ListPartsResult><Key/><Part a='1'></Part>"
          "</ListPartsResult>", "with an attribute" },
        { S3_PARTS_REMAIN, "<ListPartsResult><Part/></ListPartsResult>",
          "an empty part" },
        { S3_PARTS_REMAIN, "<ListPartsResult><Part>", "no more than it takes" },
        { S3_PARTS_NONE, "<ListPartsResult><a b='/>Part'/></ListPartsResult>",
          "in an attribute" },
        { S3_PARTS_NONE, "<ListPartsResult><Key>&lt;Part></Key>"
          "</ListPartsResult>", "a key like a part" },
        { S3_PARTS_NONE, "<ListPartsResult><Owner><Part></Part></Owner>"
          "</ListPartsResult>", "in another element" },
        { S3_PARTS_NONE, "<ListPartsResult><Parts></Parts><part></part>"
          "<PartNumberMarker>0</PartNumberMarker></ListPartsResult>",
          "other names" },
        { S3_PARTS_NONE, "<ListPartsResult></ListPartsResult><Part></Part>",
          "behind the document" },

        { S3_PARTS_UNKNOWN, "", "nothing at all" },
        { S3_PARTS_UNKNOWN, "Part", "text" },
        { S3_PARTS_UNKNOWN, "<Part></Part>", "no document" },
        { S3_PARTS_UNKNOWN, "</ListPartsResult>", "an end alone" },
        { S3_PARTS_UNKNOWN, "</ListPartsResult><ListPartsResult><Part>",
          "an end first" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult/>", "an empty document" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult>", "a cut document" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult></Key>", "another end" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult><Key></ListPartsResult>",
          "an element without an end" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult><Part", "half a tag" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult><Part a='>", "a cut attribute" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult><!-- <Part> --></ListPartsResult>",
          "a comment" },
        { S3_PARTS_UNKNOWN, "<!-- --><ListPartsResult><Part></Part>"
          "</ListPartsResult>", "behind a comment" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult><Key><![CDATA[</Key><Part>]]>"
          "</Key></ListPartsResult>", "CDATA" },
        { S3_PARTS_UNKNOWN, "<!DOCTYPE a><ListPartsResult></ListPartsResult>",
          "a document type" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult><?x ?></ListPartsResult>",
          "an instruction in it" },
        { S3_PARTS_UNKNOWN, "<Error><Code>NoSuchUpload</Code></Error>",
          "an error" },
        { S3_PARTS_UNKNOWN, "<a:ListPartsResult><a:Part></a:Part>"
          "</a:ListPartsResult>", "prefixes" },
        { S3_PARTS_UNKNOWN, "<ListBucketResult><Part></Part>"
          "</ListBucketResult>", "another list" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult2><Part></Part>"
          "</ListPartsResult2>", "a longer name" },
        { S3_PARTS_UNKNOWN, "<ListPartsResult a='<Part>'></ListPartsResult>",
          "a tag in an attribute" },
        { S3_PARTS_UNKNOWN, "{\"Part\":[]}", "JSON" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(s3_error_find_parts(guard_z(cases[i].body)), cases[i].parts,
               "parts: %s", cases[i].name);
    }

    body = guard_fill('<', 1 << 20);
    is_int(s3_error_find_parts(body), S3_PARTS_UNKNOWN,
           "parts: a megabyte of brackets");

    memcpy(body.data, "<ListPartsResult>", 17);

    for (i = 17; i + 3 <= body.len; i += 3) {
        memcpy(body.data + i, "<a>", 3);
    }

    is_int(s3_error_find_parts(body), S3_PARTS_UNKNOWN,
           "parts: a megabyte of depth");
}


/* a cut answer says that parts remain, or nothing; never that none do */

static void
test_cut_parts(void)
{
    size_t      i, seen;
    s3_str_t    body;
    s3_parts_t  parts;

    body = S("<?xml version=\"1.0\"?>\n<ListPartsResult xmlns='x'><Key>a</Key>"
             "<Part><ETag>\"e\"</ETag></Part></ListPartsResult>");
    seen = sizeof("<?xml version=\"1.0\"?>\n<ListPartsResult xmlns='x'>"
                  "<Key>a</Key><Part>") - 1;

    for (i = 0; i <= body.len; i++) {
        parts = s3_error_find_parts(guard(body.data, i));

        if (parts != (i < seen ? S3_PARTS_UNKNOWN : S3_PARTS_REMAIN)) {
            ok(0, "parts: cut after %zu bytes", i);
        }
    }

    body = S("<ListPartsResult><Key>a</Key><Owner/></ListPartsResult>");

    for (i = 0; i < body.len; i++) {
        is_int(s3_error_find_parts(guard(body.data, i)), S3_PARTS_UNKNOWN,
               "parts: none, cut after %zu bytes", i);
    }
}


static void
test_xml(void)
{
    int       e;
    char      text[1024];
    s3_str_t  s;

    s = xml(S3_ACCESS_DENIED, S("/media/a/b"), S(""), S("abc123"));

    (void) snprintf(text, sizeof(text),
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<Error><Code>AccessDenied</Code><Message>%.*s</Message>"
                    "<Resource>/media/a/b</Resource><RequestId>abc123"
                    "</RequestId></Error>",
                    (int) s3_error_message(S3_ACCESS_DENIED).len,
                    s3_error_message(S3_ACCESS_DENIED).data);

    is_text(s, text, "a document");

    s = xml(S3_AUTHORIZATION_BAD_REGION, S("/media/a"), S("kr-standard"),
            S("r"));
    is_text(between(s, "<Region>", "</Region>"), "kr-standard",
            "the right region");
    is_text(between(s, "<Code>", "</Code>"), "AuthorizationHeaderMalformed",
            "its code");
    is_text(between(s, "<Resource>", "</Resource>"), "/media/a",
            "its resource");

    s = xml(S3_AUTHORIZATION_MALFORMED, S(""), S(""), S(""));
    ok(memmem(s.data, s.len, "Region", 6) == NULL, "no region");

    for (e = S3_DECLINED + 1; e < S3_NERRORS; e++) {
        s = xml((s3_error_t) e, S("/b/k"), S(""), S("id"));

        ok(s3_str_eq(between(s, "<Code>", "</Code>"),
                     s3_error_code((s3_error_t) e))
           && s3_str_eq(between(s, "<Message>", "</Message>"),
                        s3_error_message((s3_error_t) e))
           && s3_str_eq(between(s, "<RequestId>", "</RequestId>"), S("id")),
           "a document of error %d", e);

        ok(s3_str_eq(s3_error_find_code(s), s3_error_code((s3_error_t) e)),
           "its code is found by our own reader, %d", e);
    }

    /* resources */

    static const struct {
        const char  *resource;
        const char  *xml;
        const char  *name;
    } cases[] = {
        { "", "", "nothing" },
        { "/b/a b", "/b/a b", "a space" },
        { "/b/<x>", "/b/&lt;x&gt;", "brackets" },
        { "/b/a&b", "/b/a&amp;b", "an ampersand" },
        { "/b/&amp;", "/b/&amp;amp;", "an entity" },
        { "/b/]]>", "/b/]]&gt;", "the end of CDATA" },
        { "</Resource><Code>", "&lt;/Resource&gt;&lt;Code&gt;", "elements" },
        { "/b/\xea\xb0\x80\xeb\x82\x98", "/b/\xea\xb0\x80\xeb\x82\x98",
          "Korean" },
        { "/b/\xf0\x9f\x98\x80", "/b/\xf0\x9f\x98\x80", "an emoji" },
        { "/b/\xef\xbf\xbd", "/b/\xef\xbf\xbd", "U+FFFD" },
        { "/b/\xef\xbe\xbf", "/b/\xef\xbe\xbf", "U+FFBF" },
        { "/b/\xee\x80\x80", "/b/\xee\x80\x80", "U+E000" },
        { "/b/\x01", "/b/?", "U+0001" },
        { "/b/\x1f\x08", "/b/??", "two control characters" }
    };

    for (e = 0; (size_t) e < sizeof(cases) / sizeof(cases[0]); e++) {
        s = xml(S3_ACCESS_DENIED, guard_z(cases[e].resource), S(""), S("r"));

        is_text(between(s, "<Resource>", "</Resource>"), cases[e].xml,
                "resource: %s", cases[e].name);
    }

    s = xml(S3_ACCESS_DENIED, S("/\0/"), S(""), S("r"));
    is_text(between(s, "<Resource>", "</Resource>"), "/?/", "a NUL");
}


/* the bytes are characters of XML 1.0, and no markup */

static int
is_xml_text(s3_str_t s)
{
    size_t    i;
    s3_str_t  c;

    for (i = 0; i < s.len; /* void */ ) {

        if (s.data[i] == '&') {
            c = s;
            c.data += i;
            c.len -= i;

            if (c.len >= 5 && memcmp(c.data, "&amp;", 5) == 0) {
                i += 5;

            } else if (c.len >= 4 && (memcmp(c.data, "&lt;", 4) == 0
                                      || memcmp(c.data, "&gt;", 4) == 0))
            {
                i += 4;

            } else if (c.len >= 6 && (memcmp(c.data, "&quot;", 6) == 0
                                      || memcmp(c.data, "&apos;", 6) == 0))
            {
                i += 6;

            } else {
                return 0;
            }

            continue;
        }

        if (s.data[i] == '<' || s.data[i] == '>') {
            return 0;
        }

        if (s.data[i] < 0x80) {
            if (s.data[i] < 0x20 && !strchr("\t\n\r", s.data[i])) {
                return 0;
            }

            i++;
            continue;
        }

        c.data = s.data + i;
        c.len = s.data[i] < 0xe0 ? 2 : s.data[i] < 0xf0 ? 3 : 4;

        if (c.len > s.len - i || !s3_uri_is_text(c)
            || (c.len == 3 && memcmp(c.data, "\xef\xbf\xbe", 3) == 0)
            || (c.len == 3 && memcmp(c.data, "\xef\xbf\xbf", 3) == 0))
        {
            return 0;
        }

        i += c.len;
    }

    return 1;
}


static void
test_xml_bytes(void)
{
    int       c, n;
    size_t    i, j;
    s3_str_t  r, s;

    static const char  *bad[] = {
        "\x80", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xef\xbf\xbe", "\xef\xbf\xbf", "\xea\xb0", "\xef\xbf", "\xef",
        "\xea\xb0\x80\xff", "\xff\xea\xb0\x80", "a\xc3", "\xf0\x9f\x98"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s = xml(S3_INVALID_URI, guard_z(bad[i]), S(""), S("r"));
        r = between(s, "<Resource>", "</Resource>");

        ok(is_xml_text(r) && memchr(r.data, '?', r.len),
           "what XML cannot carry becomes a question mark, %zu", i);
    }

    n = 0;

    for (c = 0; c < 256; c++) {
        s = xml(S3_INVALID_URI, guard_fill(c, 3), S(""), S("r"));
        n += !is_xml_text(between(s, "<Resource>", "</Resource>"));
    }

    is_int(n, 0, "every byte makes a well-formed document");

    n = 0;

    for (i = 0; i < 5000; i++) {
        r = guard_fill('x', 1 + unit_random() % 24);

        for (j = 0; j < r.len; j++) {
            static const u_char  mix[] =
                "<>&;/\"'\x01\x0a\x7f\x80\xbe\xbf\xc2\xea\xb0\xef\xbf\xf0\x9f";

            r.data[j] = unit_random() & 1
                        ? mix[unit_random() % (sizeof(mix) - 1)]
                        : (u_char) (unit_random() >> 8);
        }

        s = xml(S3_INVALID_URI, r, S(""), S("r"));
        s = between(s, "<Resource>", "</Resource>");
        n += s.data == NULL || !is_xml_text(s);
    }

    is_int(n, 0, "random bytes make a well-formed document");
}
