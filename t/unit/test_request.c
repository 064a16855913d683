
#include "s3_request.h"
#include "s3_uri.h"
#include "unit.h"


#define ID  "0000015a-df89-51d0-2790-dee1ac994053"


static void test_abort_like(void);
static void test_good(void);
static void test_bad(void);
static void test_parameters(void);
static void test_many_parameters(void);
static void test_lengths(void);
static void test_bytes(void);
static void test_virtual_host(void);
static void test_base_path(void);
static void test_presigned(void);
static void test_checks(void);
static void test_port(void);
static void test_redact(void);


int
main(void)
{
    test_abort_like();
    test_good();
    test_bad();
    test_parameters();
    test_many_parameters();
    test_lengths();
    test_bytes();
    test_virtual_host();
    test_base_path();
    test_presigned();
    test_checks();
    test_port();
    test_redact();

    return done();
}


static s3_error_t
parse_conf(s3_request_t *req, s3_str_t target, s3_str_t host,
    const s3_request_conf_t *conf)
{
    memset(req, 0xff, sizeof(s3_request_t));

    return s3_request_parse(req, target, host, conf, guard_room(target.len));
}


static s3_error_t
parse(s3_request_t *req, s3_str_t target)
{
    s3_request_conf_t  conf;

    memset(&conf, 0, sizeof(conf));

    return parse_conf(req, target, S("gw"), &conf);
}


static void
is_error(s3_error_t e, const char *code, const char *name)
{
    if (e == S3_OK || e == S3_DECLINED) {
        ok(0, "%s: %s", name, e == S3_OK ? "accepted" : "declined");
        return;
    }

    is_text(s3_error_code(e), code, "%s", name);
    is_int(s3_error_status(e), 400, "%s: 400", name);
}


static void
test_abort_like(void)
{
    size_t     i, n;
    s3_str_t   s;

    static const struct {
        const char  *target;
        int          like;
    } cases[] = {
        { "/b/k?uploadId=X", 1 },
        { "/b/k?uploadId=", 1 },
        { "/b/k?uploadId", 1 },
        { "/b/k?uploadid=X", 1 },
        { "/b/k?UploadId=X", 1 },
        { "/b/k?UPLOADID=X", 1 },
        { "/b/k?uploadID", 1 },
        { "/b/k?%75ploadId=X", 1 },
        { "/b/k?upload%49d=X", 1 },
        { "/b/k?uploadI%64=X", 1 },
        { "/b/k?%75%70%6c%6F%61%64%69%64", 1 },
        { "/b/k?%55%50%4C%4F%41%44%49%44=", 1 },
        { "/b/k?a=b&uploadId=X", 1 },
        { "/b/k?a=b;uploadId=X", 1 },
        { "/b/k?a=b?uploadId=X", 1 },
        { "/b/k?x?uploadId=A", 1 },
        { "/b/k??uploadId=A", 1 },
        { "/b/k?&&uploadId", 1 },
        { "/b/k?;;uploadId&", 1 },
        { "/b/k?uploadId;", 1 },
        { "/b/k?uploadId?", 1 },
        { "/b/k?uploadId=A&uploadId=B", 1 },
        { "/b/k?a&uploadId=A#x", 1 },
        { "/b/k#frag?uploadId=A", 1 },
        { "/b/k?%zz&uploadId=X", 1 },
        { "/b/k?uploadId=%zz", 1 },
        { "?uploadId=X", 1 },
        { "?uploadId", 1 },
        { "*?uploadId", 1 },
        { "/?uploadId=X", 1 },
        { "/b?uploadId=X", 1 },
        { "/b/k?x-id=AbortMultipartUpload&uploadId=X", 1 },
        { "/b/k?uploadId==", 1 },
        { "/b/k?a=&=&uploadId", 1 },

        { "", 0 },
        { "/", 0 },
        { "/b/k", 0 },
        { "/b/k?", 0 },
        { "/b/k?=", 0 },
        { "/b/k?=uploadId", 0 },
        { "/b/uploadId", 0 },
        { "/b/uploadId=X", 0 },
        { "/b/k&uploadId=X", 0 },
        { "/b/k;uploadId=X", 0 },
        { "/b/k%3FuploadId=X", 0 },
        { "/b/k?a=uploadId", 0 },
        { "/b/k?a=uploadId=X", 0 },
        { "/b/k?uploadIds=X", 0 },
        { "/b/k?xuploadId=X", 0 },
        { "/b/k?uploads", 0 },
        { "/b/k?uploadI", 0 },
        { "/b/k?upload-id=X", 0 },
        { "/b/k?upload_id=X", 0 },
        { "/b/k?uploadId%3DX", 0 },
        { "/b/k?a%26uploadId=X", 0 },
        { "/b/k?a%3BuploadId=X", 0 },
        { "/b/k?upload%2549d=X", 0 },
        { "/b/k?versionId=X", 0 }
    };

    n = 0;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = guard_z(cases[i].target);

        is_int(!!s3_request_is_abort_like(s), cases[i].like,
               "abort-like: \"%s\"", cases[i].target);

        while (s.len && *s.data++ != '?') {
            s.len--;
        }

        if (s.len) {
            s.len--;
        }

        is_int(!!s3_request_query_is_abort_like(s), cases[i].like,
               "abort-like query: \"%s\"", cases[i].target);
    }

    s = S("/b/k?uploadId");

    for (i = 0; i < s.len; i++) {
        n += s3_request_is_abort_like(guard(s.data, i));
    }

    is_int(n, 0, "no part of the name is the name");

    /* each letter in both cases and both escapes */

    n = 0;

    for (i = 0; i < 2000; i++) {
        char      text[64], *p;
        unsigned  j;

        p = text + sprintf(text, "/b?");

        for (j = 0; j < 8; j++) {
            int  c = "uploadid"[j] ^ (unit_random() & 1 ? 0x20 : 0);

            switch (unit_random() % 3) {
            case 0:
                p += sprintf(p, "%c", c);
                break;
            case 1:
                p += sprintf(p, "%%%02x", c);
                break;
            default:
                p += sprintf(p, "%%%02X", c);
            }
        }

        n += !s3_request_is_abort_like(guard_z(text));
    }

    is_int(n, 0, "abort-like: all spellings of the name");

    /* far behind */

    s = guard_f("/b/k?%0*d&uploadId=X", 60000, 0);
    ok(s3_request_is_abort_like(s), "abort-like: behind 60,000 bytes");
}


static void
test_good(void)
{
    size_t        i, n;
    s3_str_t      path, target;
    s3_request_t  req;

    static const struct {
        const char  *target;
        const char  *bucket;
        const char  *key;
        const char  *id;
        const char  *name;
    } cases[] = {
        { "/some-bucket/multipart-object-123?uploadId=" ID, "some-bucket",
          "multipart-object-123", ID, "NAVER's example" },
        { "/b-1.x/k?uploadId=X", "b-1.x", "k", "X", "a short one" },
        { "/bkt/k?uploadId=X&x-id=AbortMultipartUpload", "bkt", "k", "X",
          "the JavaScript SDK" },
        { "/bkt/k?x-id=AbortMultipartUpload&uploadId=X", "bkt", "k", "X",
          "x-id first" },
        { "/bkt/k?uploadId=2~AbC-_id%2B1%3D", "bkt", "k", "2~AbC-_id+1=",
          "an encoded upload id" },
        { "/bkt/k?uploadId=2~AbC-_id+1=", "bkt", "k", "2~AbC-_id+1=",
          "minio-js's raw upload id" },
        { "/bkt/k?uploadId=A=", "bkt", "k", "A=", "an equals sign" },
        { "/bkt/k?uploadId==", "bkt", "k", "=", "an equals sign alone" },
        { "/bkt/k?uploadId=...", "bkt", "k", "...", "three dots" },
        { "/bkt/k?uploadId=%41%2e.b", "bkt", "k", "A..b", "needless escapes" },
        { "/bkt/a%2Fb?uploadId=X", "bkt", "a/b", "X", "an encoded slash" },
        { "/bkt/a//b?uploadId=X", "bkt", "a//b", "X", "an empty segment" },
        { "/bkt//k?uploadId=X", "bkt", "/k", "X", "a slash first" },
        { "/bkt///k//?uploadId=X", "bkt", "//k//", "X", "slashes around" },
        { "/bkt/k/?uploadId=X", "bkt", "k/", "X", "a slash last" },
        { "/bkt/a%252Fb?uploadId=X", "bkt", "a%2Fb", "X",
          "doubly encoded, decoded once" },
        { "/bkt/%25%32%65?uploadId=X", "bkt", "%2e", "X",
          "doubly encoded, digit by digit" },
        { "/bkt/a+b?uploadId=X", "bkt", "a+b", "X", "a plus" },
        { "/bkt/a%2Bb?uploadId=X", "bkt", "a+b", "X", "an encoded plus" },
        { "/bkt/a%20b?uploadId=X", "bkt", "a b", "X", "a space" },
        { "/bkt/mac@2x.png?uploadId=X", "bkt", "mac@2x.png", "X",
          "an at sign" },
        { "/bkt/!*'()~;:,$&=?uploadId=X", "bkt", "!*'()~;:,$&=", "X",
          "reserved bytes" },
        { "/bkt/a%20b/%EA%B0%80%EB%82%98.bin?uploadId=X", "bkt",
          "a b/\xea\xb0\x80\xeb\x82\x98.bin", "X", "Korean" },
        { "/bkt/%ea%b0%80?uploadId=X", "bkt", "\xea\xb0\x80", "X",
          "lower-case escapes" },
        { "/bkt/%e1%84%80%e1%85%a1?uploadId=X", "bkt",
          "\xe1\x84\x80\xe1\x85\xa1", "X", "decomposed, kept so" },
        { "/bkt/\xea\xb0\x80?uploadId=X", "bkt", "\xea\xb0\x80", "X",
          "raw UTF-8" },
        { "/bkt/%7e~?uploadId=X", "bkt", "~~", "X", "tildes" },
        { "/bkt/a\\b\"<>^|`{}?uploadId=X", "bkt", "a\\b\"<>^|`{}", "X",
          "bytes that should be encoded" },
        { "/bkt/k.?uploadId=X", "bkt", "k.", "X", "a dot last" },
        { "/bkt/k%20?uploadId=X", "bkt", "k ", "X", "a space last" },
        { "/bkt/.hidden/..x/...?uploadId=X", "bkt", ".hidden/..x/...", "X",
          "dots that are no dot segments" },
        { "/bkt/k%3Fx=y%23z?uploadId=X", "bkt", "k?x=y#z", "X",
          "encoded separators" },
        { "/bkt/uploadId=Y?uploadId=X", "bkt", "uploadId=Y", "X",
          "a key like a query" },
        { "/bkt/b2/k?uploadId=X", "bkt", "b2/k", "X",
          "a key like a bucket's" },
        { "/1.2.3.4.5/k?uploadId=X", "1.2.3.4.5", "k", "X",
          "five numbers for a bucket" },
        { "/1.2.3/k?uploadId=X", "1.2.3", "k", "X",
          "three numbers for a bucket" },
        { "/1.2.3.a/k?uploadId=X", "1.2.3.a", "k", "X",
          "three numbers and a letter" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        target = guard_z(cases[i].target);

        if (!is_int(parse(&req, target), S3_OK, "accepted: %s",
                    cases[i].name))
        {
            continue;
        }

        is_text(req.bucket, cases[i].bucket, "bucket: %s", cases[i].name);
        is_text(req.key, cases[i].key, "key: %s", cases[i].name);
        is_text(req.upload_id, cases[i].id, "upload id: %s", cases[i].name);

        for (n = 0; n < target.len && target.data[n] != '?'; n++) {
            /* void */
        }

        path = target;
        path.len = n;
        is_str(req.path, path, "path as sent: %s", cases[i].name);

        path.data = target.data + n + 1;
        path.len = target.len - n - 1;
        is_str(req.query, path, "query as sent: %s", cases[i].name);

        ok(!req.presigned, "not presigned: %s", cases[i].name);

        for (n = 0; n < S3_NAMZ; n++) {
            if (req.amz[n].data != NULL) {
                ok(0, "an X-Amz-* parameter of nothing: %s", cases[i].name);
            }
        }
    }
}


static void
test_bad(void)
{
    size_t        i;
    s3_str_t      target;
    s3_request_t  req;

    static const struct {
        const char  *target;
        const char  *code;
        const char  *name;
    } cases[] = {

        /* upload ids */

        { "/bkt/k?uploadId", "InvalidArgument", "no equals sign" },
        { "/bkt/k?uploadId=", "InvalidArgument", "empty" },
        { "/bkt/k?uploadId&x-id=AbortMultipartUpload", "InvalidArgument",
          "no equals sign, x-id" },
        { "/bkt/k?uploadId=&x-id=AbortMultipartUpload", "InvalidArgument",
          "empty, x-id" },
        { "/bkt/k?uploadId=%20", "InvalidArgument", "a space" },
        { "/bkt/k?uploadId=A%20", "InvalidArgument", "a space behind" },
        { "/bkt/k?uploadId=.", "InvalidArgument", "a dot" },
        { "/bkt/k?uploadId=..", "InvalidArgument", "two dots" },
        { "/bkt/k?uploadId=%2e%2E", "InvalidArgument", "two dots, encoded" },
        { "/bkt/k?uploadId=a/b", "InvalidArgument", "a slash" },
        { "/bkt/k?uploadId=a%2Fb", "InvalidArgument", "an encoded slash" },
        { "/bkt/k?uploadId=a\\b", "InvalidArgument", "a backslash" },
        { "/bkt/k?uploadId=a%26b", "InvalidArgument", "an ampersand" },
        { "/bkt/k?uploadId=a%3Fb", "InvalidArgument", "a question mark" },
        { "/bkt/k?uploadId=a%23b", "InvalidArgument", "a number sign" },
        { "/bkt/k?uploadId=a%25b", "InvalidArgument", "a percent sign" },
        { "/bkt/k?uploadId=a%3Bb", "InvalidArgument", "a semicolon" },
        { "/bkt/k?uploadId=a,b", "InvalidArgument", "a comma" },
        { "/bkt/k?uploadId=a%EA%B0%80", "InvalidArgument", "beyond ASCII" },
        { "/bkt/k?uploadId=A&uploadId=B", "InvalidArgument", "two" },
        { "/bkt/k?uploadId=A&uploadId=A", "InvalidArgument", "two alike" },
        { "/bkt/k?uploadId=A&uploadId=", "InvalidArgument", "an empty too" },
        { "/bkt/k?uploadId=A&uploadId", "InvalidArgument", "a bare one too" },
        { "/bkt/k?uploadId=&uploadId=A", "InvalidArgument",
          "an empty one first" },
        { "/bkt/k?uploadId=A&UploadId=B", "InvalidArgument",
          "another in another case" },
        { "/bkt/k?uploadId=A&upload%49d=A", "InvalidArgument",
          "another one, encoded" },

        /* names */

        { "/bkt/k?uploadID=X", "InvalidArgument", "uploadID" },
        { "/bkt/k?UploadId=X", "InvalidArgument", "UploadId" },
        { "/bkt/k?uploadid=X", "InvalidArgument", "uploadid" },
        { "/bkt/k?UPLOADID=X", "InvalidArgument", "UPLOADID" },
        { "/bkt/k?%75ploadId=X", "InvalidArgument", "%75ploadId" },
        { "/bkt/k?upload%49d=X", "InvalidArgument", "upload%49d" },
        { "/bkt/k?uploadI%64=X", "InvalidArgument", "uploadI%64" },
        { "/bkt/k?x-id=DeleteObject&uploadId=A", "InvalidArgument",
          "x-id=DeleteObject" },
        { "/bkt/k?x-id&uploadId=A", "InvalidArgument", "x-id" },
        { "/bkt/k?x-id=&uploadId=A", "InvalidArgument", "x-id=" },
        { "/bkt/k?x-id=abortmultipartupload&uploadId=A", "InvalidArgument",
          "x-id in another case" },
        { "/bkt/k?X-Id=AbortMultipartUpload&uploadId=A", "InvalidArgument",
          "X-Id" },
        { "/bkt/k?x%2Did=AbortMultipartUpload&uploadId=A", "InvalidArgument",
          "x%2Did" },
        { "/bkt/k?uploadId=A&b;uploadId=A", "InvalidArgument",
          "a semicolon" },
        { "/bkt/k?uploadId=A;x-id=AbortMultipartUpload", "InvalidArgument",
          "a semicolon for an ampersand" },
        { "/bkt/k?uploadId=A;", "InvalidArgument", "a semicolon last" },
        { "/bkt/k?x?uploadId=A", "InvalidArgument", "?x?uploadId" },
        { "/bkt/k?a=1?uploadId=A", "InvalidArgument", "?a=1?uploadId" },
        { "/bkt/k??uploadId=A", "InvalidArgument", "??uploadId" },
        { "/bkt/k?uploadId=A?", "InvalidArgument", "a question mark last" },
        { "/bkt/k?uploadId=A&X-Amz-Foo=1", "InvalidArgument", "X-Amz-Foo" },
        { "/bkt/k?uploadId=A&x-amz-date=1", "InvalidArgument",
          "x-amz-date" },
        { "/bkt/k?uploadId=A&X%2DAmz-Date=1", "InvalidArgument",
          "X%2DAmz-Date" },
        { "/bkt/k?uploadId=A?x-id=AbortMultipartUpload", "InvalidArgument",
          "a question mark for an ampersand" },
        { "/bkt/k?uploadId=A&AWSAccessKeyId=a&Signature=b&Expires=1",
          "InvalidRequest", "SigV2" },

        /* buckets */

        { "/B-1/k?uploadId=A", "InvalidBucketName", "upper case" },
        { "/ab/k?uploadId=A", "InvalidBucketName", "two bytes" },
        { "/a_b/k?uploadId=A", "InvalidBucketName", "an underscore" },
        { "/-ab/k?uploadId=A", "InvalidBucketName", "a dash first" },
        { "/ab-/k?uploadId=A", "InvalidBucketName", "a dash last" },
        { "/.ab/k?uploadId=A", "InvalidBucketName", "a dot first" },
        { "/ab./k?uploadId=A", "InvalidBucketName", "a dot last" },
        { "/192.168.1.1/k?uploadId=A", "InvalidBucketName", "an address" },
        { "/127.0.0.1/k?uploadId=A", "InvalidBucketName", "another one" },
        { "/1.2.3.4/k?uploadId=A", "InvalidBucketName", "a short address" },
        { "/b%2Dt/k?uploadId=A", "InvalidBucketName", "a dash, encoded" },
        { "/%62kt/k?uploadId=A", "InvalidBucketName", "a letter, encoded" },
        { "/bkt%2Fk/x?uploadId=A", "InvalidBucketName",
          "a slash, encoded" },
        { "/bkt%20/k?uploadId=A", "InvalidBucketName", "a space" },
        { "/b+t/k?uploadId=A", "InvalidBucketName", "a plus" },
        { "/b:t/k?uploadId=A", "InvalidBucketName", "a colon" },
        { "/b@t/k?uploadId=A", "InvalidBucketName", "an at sign" },
        { "//k?uploadId=A", "InvalidBucketName", "an empty bucket" },

        /* keys */

        { "/bkt/?uploadId=A", "InvalidRequest", "an empty key" },
        { "/bkt?uploadId=A", "InvalidRequest", "no key" },
        { "/bkt//?uploadId=A", "InvalidRequest", "a slash alone" },
        { "/bkt/%2F?uploadId=A", "InvalidRequest", "an encoded slash alone" },
        { "/bkt//%2f/?uploadId=A", "InvalidRequest", "slashes alone" },

        /* paths */

        { "/bkt/..?uploadId=A", "InvalidURI", "two dots alone" },
        { "/bkt/.?uploadId=A", "InvalidURI", "a dot alone" },
        { "/bkt/a/../b?uploadId=A", "InvalidURI", "two dots between" },
        { "/bkt/a/./b?uploadId=A", "InvalidURI", "a dot between" },
        { "/bkt/a/%2e%2e/b?uploadId=A", "InvalidURI", "two dots, encoded" },
        { "/bkt/a/.%2e/b?uploadId=A", "InvalidURI", "one of two encoded" },
        { "/bkt/a/%2e/b?uploadId=A", "InvalidURI", "a dot, encoded" },
        { "/bkt/a/..%2fb?uploadId=A", "InvalidURI",
          "two dots and an encoded slash" },
        { "/bkt/a%2f..%2fb?uploadId=A", "InvalidURI",
          "two dots between encoded slashes" },
        { "/bkt/a/..?uploadId=A", "InvalidURI", "two dots last" },
        { "/bkt/../other/k?uploadId=A", "InvalidURI",
          "two dots behind the bucket" },
        { "/bkt/%?uploadId=A", "InvalidURI", "a percent sign" },
        { "/bkt/%1?uploadId=A", "InvalidURI", "half an escape" },
        { "/bkt/%zz?uploadId=A", "InvalidURI", "no escape" },
        { "/bkt/%00k?uploadId=A", "InvalidURI", "a NUL first" },
        { "/bkt/k%00.txt?uploadId=A", "InvalidURI", "a NUL" },
        { "/bkt/k%0d%0aHost:x?uploadId=A", "InvalidURI", "CR and LF" },
        { "/bkt/k%09?uploadId=A", "InvalidURI", "a tab" },
        { "/bkt/k%1f?uploadId=A", "InvalidURI", "a control byte" },
        { "/bkt/k%7f?uploadId=A", "InvalidURI", "DEL" },
        { "/bkt/k\r\nx?uploadId=A", "InvalidURI", "raw CR and LF" },
        { "/bkt/k\tx?uploadId=A", "InvalidURI", "a raw tab" },
        { "/bkt/%c0%ae%c0%ae%c0%af?uploadId=A", "InvalidURI",
          "overlong UTF-8" },
        { "/bkt/%e0%80%af?uploadId=A", "InvalidURI",
          "overlong UTF-8 of three bytes" },
        { "/bkt/%ed%a0%80?uploadId=A", "InvalidURI", "a surrogate" },
        { "/bkt/%ff?uploadId=A", "InvalidURI", "FF" },
        { "/bkt/\xff?uploadId=A", "InvalidURI", "a raw FF" },
        { "/bkt/k#frag?uploadId=A", "InvalidURI", "a fragment" },
        { "/bkt/k?uploadId=A#x", "InvalidURI", "a fragment last" },
        { "/bkt/k?x-id=AbortMultipartUpload#&uploadId=A", "InvalidURI",
          "a fragment in the query" },
        { "/bkt/k?uploadId=A&X-Amz-Date=%4", "InvalidURI",
          "half an escape in a date" },
        { "/bkt/k?X-Amz-Signature=%zz&uploadId=A", "InvalidURI",
          "no escape in a signature" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        target = guard_z(cases[i].target);
        is_error(parse(&req, target), cases[i].code, cases[i].name);

        ok(req.path.data == target.data, "path is set: %s", cases[i].name);
        ok(req.query.data > target.data
           && req.query.data + req.query.len == target.data + target.len,
           "query is set: %s", cases[i].name);
    }

    /* refused, by whichever of two rules comes first */

    static const char *refused[] = {
        "/?uploadId=A", "//?uploadId=A", "*?uploadId=A", "?uploadId=A",
        "///?uploadId=A", "/bkt/k?uploadId=%zz", "/bkt/k?uploadId=A%",
        "/bkt/k?uploadId=A%4", "/bkt/k?uploadId=%4&x-id=AbortMultipartUpload",
        "/bkt/k?uploadId=%00", "/bkt/k?uploadId=A%0d%0a",
        "/bkt/k?uploadId=+%0a", "/bkt%2Fk?uploadId=A", "/..?uploadId=A",
        "/../bkt/k?uploadId=A", "/./k?uploadId=A", "bkt/k?uploadId=A",
        "http://gw/bkt/k?uploadId=A", "/bkt/k ?uploadId=A",
        "/bkt/k?uploadId=A ", "/bkt/k?uploadId=A\r\n", "/%zz/k?uploadId=A",
        "/bkt/k?uploadId=A&%zz", "/bkt/k?uploadId=A&x-id=%zz",
        "/%00/k?uploadId=A", "/bk\xff/k?uploadId=A", "/b#t/k?uploadId=A",
        "/bkt/k"
    };

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        s3_error_t  e = parse(&req, guard_z(refused[i]));

        ok(e > S3_DECLINED && s3_error_status(e) == 400, "refused: %s",
           refused[i]);
    }

    for (i = 0; i < 2; i++) {
        target = i ? S("/bkt/k?uploadId=A\0") : S("/bkt/k\0?uploadId=A");
        ok(s3_error_status(parse(&req, target)) == 400, "a raw NUL");
    }
}


/* parameters that make another operation of it */

static void
test_parameters(void)
{
    size_t        i;
    s3_request_t  req;

    static const char  *names[] = {
        "tagging", "versionId=V", "versionId", "acl", "delete", "cors",
        "lifecycle", "policy", "torrent", "uploads", "uploads=",
        "partNumber=1", "legal-hold", "retention", "website", "versions",
        "versioning", "location", "logging", "notification", "replication",
        "encryption", "object-lock", "publicAccessBlock", "ownershipControls",
        "intelligent-tiering", "inventory", "analytics", "metrics",
        "accelerate", "requestPayment", "restore", "select", "attributes",
        "append", "position=0", "max-parts=1", "part-number-marker=1",
        "encoding-type=url", "response-content-type=a", "prefix=",
        "list-type=2", "force", "extension", "bypass", "a", "a=b", "%20",
        "uploadId2=A", "upload", "X-Amz-Bypass-Governance-Retention=true"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        is_error(parse(&req, guard_f("/bkt/k?uploadId=A&%s", names[i])),
                 "InvalidArgument", names[i]);
        is_error(parse(&req, guard_f("/bkt/k?%s&uploadId=A", names[i])),
                 "InvalidArgument", names[i]);
    }

    is_error(parse(&req, S("/bkt/k?uploadId=A&x-id=AbortMultipartUpload"
                           "&x-id=AbortMultipartUpload")),
             "InvalidArgument", "x-id twice");
}


static void
test_many_parameters(void)
{
    int            i, n;
    char          *p;
    size_t         rest;
    s3_str_t       s;
    s3_request_t   req;
    static char    text[20000];

    static const int  counts[] = { 31, 32, 33, 5000 };

    for (i = 0; i < 4; i++) {
        p = text + sprintf(text, "/bkt/k?");

        for (n = 1; n < counts[i]; n++) {
            p += sprintf(p, "a&");
        }

        p += sprintf(p, "uploadId=A");
        rest = (size_t) (p - text);

        s = guard(text, rest);

        ok(s3_request_is_abort_like(s), "abort-like behind %d parameters",
           counts[i] - 1);
        is_error(parse(&req, s), "InvalidArgument", "too many parameters");
    }

    p = text + sprintf(text, "/bkt/k?uploadId=A");

    for (n = 0; n < 5000; n++) {
        *p++ = '&';
    }

    s = guard(text, (size_t) (p - text));
    is_error(parse(&req, s), "InvalidArgument", "5,000 empty parameters");
}


static void
test_lengths(void)
{
    s3_str_t      id;
    s3_request_t  req;

    static char   text[4096];
    char         *p;
    int           i;

    is_int(parse(&req, guard_f("/bkt/%01024d?uploadId=A", 0)), S3_OK,
           "a key of 1024 bytes");
    is_int(req.key.len, 1024, "all of them");
    is_error(parse(&req, guard_f("/bkt/%01025d?uploadId=A", 0)),
             "KeyTooLongError", "a key of 1025 bytes");
    is_error(parse(&req, guard_f("/bkt/%060000d?uploadId=A", 0)),
             "KeyTooLongError", "a key of 60,000 bytes");

    for (i = 0, p = text; i < 1024; i++) {
        p += sprintf(p, "%%41");
    }

    is_int(parse(&req, guard_f("/bkt/%s?uploadId=A", text)), S3_OK,
           "a key of 1024 escapes");
    is_int(req.key.len, 1024, "1024 bytes");
    is_error(parse(&req, guard_f("/bkt/%sA?uploadId=A", text)),
             "KeyTooLongError", "a key of 1024 escapes and a byte");

    is_int(parse(&req, guard_f("/bkt/k?uploadId=%s", text)), S3_OK,
           "an upload id of 1024 escapes");
    id = guard_fill('A', 1024);
    is_str(req.upload_id, id, "1024 bytes");
    is_error(parse(&req, guard_f("/bkt/k?uploadId=%sA", text)),
             "InvalidArgument", "an upload id of 1024 escapes and a byte");

    is_int(parse(&req, guard_f("/bkt/k?uploadId=%01024d", 0)), S3_OK,
           "an upload id of 1024 bytes");
    is_error(parse(&req, guard_f("/bkt/k?uploadId=%01025d", 0)),
             "InvalidArgument", "an upload id of 1025 bytes");
    is_error(parse(&req, guard_f("/bkt/k?uploadId=%08192d", 0)),
             "InvalidArgument", "an upload id of 8 KB");

    is_int(parse(&req, guard_f("/%063d/k?uploadId=A", 0)), S3_OK,
           "a bucket of 63 bytes");
    is_error(parse(&req, guard_f("/%064d/k?uploadId=A", 0)),
             "InvalidBucketName", "a bucket of 64 bytes");
    is_int(parse(&req, S("/abc/k?uploadId=A")), S3_OK,
           "a bucket of 3 bytes");
}


/* every raw byte in the upload id and in the key */

static void
test_bytes(void)
{
    int           c, n, good;
    s3_error_t    e;
    s3_str_t      s;
    s3_request_t  req;

    s = S("/bkt/k?uploadId=AxB");

    for (c = 0, n = 0; c < 256; c++) {
        s.data[s.len - 2] = (u_char) c;

        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
               || (c >= 'A' && c <= 'Z') || (c && strchr("._~+=-", c));

        e = parse(&req, s);

        if (good) {
            n += e != S3_OK || req.upload_id.len != 3
                 || req.upload_id.data[1] != c;

        } else {
            n += e <= S3_DECLINED || s3_error_status(e) != 400;
        }
    }

    is_int(n, 0, "every byte in an upload id");

    for (c = 0, n = 0; c < 256; c++) {
        s = guard_f("/bkt/k?uploadId=A%%%02xB", c);

        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
               || (c >= 'A' && c <= 'Z') || (c && strchr("._~+=-", c));

        e = parse(&req, s);

        if (good) {
            n += e != S3_OK || req.upload_id.len != 3
                 || req.upload_id.data[1] != c;

        } else {
            n += e <= S3_DECLINED || s3_error_status(e) != 400;
        }
    }

    is_int(n, 0, "every escape in an upload id");

    for (c = 0, n = 0; c < 256; c++) {
        s = guard_f("/bkt/A%%%02xB?uploadId=A", c);
        e = parse(&req, s);

        if (c >= 0x20 && c < 0x7f) {
            n += e != S3_OK || req.key.len != 3 || req.key.data[1] != c;

        } else {
            n += e != S3_INVALID_URI;
        }
    }

    is_int(n, 0, "every escape in a key");

    s = S("/bkt/AxB?uploadId=A");

    for (c = 0, n = 0; c < 256; c++) {

        if (c == '%' || c == '?' || c == ' ') {
            continue;
        }

        s.data[6] = (u_char) c;
        e = parse(&req, s);

        if (c > 0x20 && c < 0x7f && c != '#') {
            n += e != S3_OK || req.key.len != 3 || req.key.data[1] != c;

        } else {
            n += e != S3_INVALID_URI;
        }
    }

    is_int(n, 0, "every byte in a key");
}


static void
test_virtual_host(void)
{
    size_t             i;
    s3_error_t         e;
    s3_request_t       req;
    s3_request_conf_t  conf;

    static s3_str_t  domains[] = {
        s3_string("eu.s3.example.com"),
        s3_string("s3.example.com"),
        s3_string("gw")
    };

    static const struct {
        const char  *host;
        const char  *target;
        const char  *bucket;
        const char  *key;
        const char  *error;
        const char  *name;
    } cases[] = {
        { "media.s3.example.com", "/a/k?uploadId=X", "media", "a/k", NULL,
          "a virtual host" },
        { "media.gw", "/k?uploadId=X", "media", "k", NULL, "the last name" },
        { "b.c-d.s3.example.com", "/k?uploadId=X", "b.c-d", "k", NULL,
          "a bucket with a dot" },
        { "media.eu.s3.example.com", "/k?uploadId=X", "media", "k", NULL,
          "the longest name wins" },
        { "eu.s3.example.com", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "the longest name itself" },
        { "s3.example.com", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "the name itself" },
        { "other.example.com", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "another host" },
        { "media.s3.example.com.evil", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "a longer host" },
        { "evils3.example.com", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "no dot before the name" },
        { "media-gw", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "a dash before the name" },
        { "", "/bkt/k?uploadId=X", "bkt", "k", NULL, "no host" },
        { "w", "/bkt/k?uploadId=X", "bkt", "k", NULL, "a short host" },
        { "169.254.169.254", "/bkt/k?uploadId=X", "bkt", "k", NULL,
          "an address" },
        { "media.gw", "/other/k?uploadId=X", "media", "other/k", NULL,
          "the path is all key" },
        { "media.gw", "/B_%41/k?uploadId=X", "media", "B_A/k", NULL,
          "which need not be a bucket" },
        { "media.gw", "//k?uploadId=X", "media", "/k", NULL,
          "a slash first" },
        { "media.gw", "/?uploadId=X", NULL, NULL, "InvalidRequest",
          "an empty key" },
        { "media.gw", "/..?uploadId=X", NULL, NULL, "InvalidURI",
          "a dot segment" },
        { "ab.gw", "/k?uploadId=X", NULL, NULL, "InvalidBucketName",
          "a short bucket" },
        { "a_b.gw", "/k?uploadId=X", NULL, NULL, "InvalidBucketName",
          "an underscore" },
        { "-ab.gw", "/k?uploadId=X", NULL, NULL, "InvalidBucketName",
          "a dash" },
        { "10.0.0.1.gw", "/k?uploadId=X", NULL, NULL, "InvalidBucketName",
          "an address for a bucket" },
        { ".gw", "/bkt/k?uploadId=X", NULL, NULL, "InvalidBucketName",
          "nothing for a bucket" }
    };

    memset(&conf, 0, sizeof(conf));
    conf.domains = domains;
    conf.ndomains = 3;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        e = parse_conf(&req, guard_z(cases[i].target), guard_z(cases[i].host),
                       &conf);

        if (cases[i].error) {
            is_error(e, cases[i].error, cases[i].name);
            continue;
        }

        if (is_int(e, S3_OK, "virtual host: %s", cases[i].name)) {
            is_text(req.bucket, cases[i].bucket, "bucket: %s", cases[i].name);
            is_text(req.key, cases[i].key, "key: %s", cases[i].name);
            is_text(req.upload_id, "X", "upload id: %s", cases[i].name);
        }
    }

    conf.ndomains = 0;

    e = parse_conf(&req, S("/bkt/k?uploadId=X"), S("media.gw"), &conf);

    is_int(e, S3_OK, "without a name all is path style");
    is_text(req.bucket, "bkt", "its bucket");
    is_text(req.key, "k", "its key");
}


static void
test_base_path(void)
{
    size_t             i;
    s3_error_t         e;
    s3_request_t       req;
    s3_request_conf_t  conf;

    static s3_str_t  domains[] = { s3_string("gw") };

    static const struct {
        const char  *host;
        const char  *target;
        const char  *bucket;
        const char  *key;
        const char  *name;
    } cases[] = {
        { "gw", "/s3/x/bkt/k?uploadId=X", "bkt", "k", "path style" },
        { "gw", "/s3/x/bkt//k?uploadId=X", "bkt", "/k", "an empty segment" },
        { "gw", "/s3/x/bkt/s3/x?uploadId=X", "bkt", "s3/x",
          "a key like the base" },
        { "media.gw", "/s3/x/a/k?uploadId=X", "media", "a/k",
          "a virtual host" },
        { "gw", "/s3/xy/bkt/k?uploadId=X", NULL, NULL, "a longer segment" },
        { "gw", "/s3/bkt/k?uploadId=X", NULL, NULL, "a part of it" },
        { "gw", "/bkt/k?uploadId=X", NULL, NULL, "another path" },
        { "gw", "/S3/x/bkt/k?uploadId=X", NULL, NULL, "another case" },
        { "gw", "/?uploadId=X", NULL, NULL, "the root" },
        { "gw", "/s3?uploadId=X", NULL, NULL, "its start" },
        { "media.gw", "/k?uploadId=X", NULL, NULL, "a virtual host's key" }
    };

    memset(&conf, 0, sizeof(conf));
    conf.domains = domains;
    conf.ndomains = 1;
    conf.base_path = S("/s3/x");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s3_str_t  target = guard_z(cases[i].target);

        e = parse_conf(&req, target, guard_z(cases[i].host), &conf);

        if (cases[i].bucket == NULL) {
            is_int(e, S3_DECLINED, "outside of the base path: %s",
                   cases[i].name);
            continue;
        }

        if (is_int(e, S3_OK, "base path: %s", cases[i].name)) {
            is_text(req.bucket, cases[i].bucket, "bucket: %s", cases[i].name);
            is_text(req.key, cases[i].key, "key: %s", cases[i].name);
            ok(req.path.data == target.data, "the path has the base: %s",
               cases[i].name);
        }
    }

    e = parse_conf(&req, S("/s3/x/?uploadId=X"), S("gw"), &conf);
    ok(e > S3_DECLINED, "the base path alone is an error");

    e = parse_conf(&req, S("/s3/x/bkt/?uploadId=X"), S("gw"), &conf);
    is_error(e, "InvalidRequest", "an empty key behind the base path");

    /* nginx, and others, might take these to lie under the base path */

    static const char  *doubtful[] = {
        "//s3/x/bkt/k?uploadId=X", "/s3//x/bkt/k?uploadId=X",
        "/s3/./x/bkt/k?uploadId=X", "/a/../s3/x/bkt/k?uploadId=X",
        "/s3/x/../bkt/k?uploadId=X", "/%733/x/bkt/k?uploadId=X",
        "/s3%2Fx/bkt/k?uploadId=X", "/s3/%78/bkt/k?uploadId=X",
        "/s3/x%2Fbkt/k?uploadId=X", "/%2e/s3/x/bkt/k?uploadId=X",
        "/%2Fs3/x/bkt/k?uploadId=X", "/a%2F..%2Fs3/x/bkt/k?uploadId=X",
        "/s3/%zz?uploadId=X", "/bkt//s3/x/bkt/k?uploadId=X",
        "/bkt/%2Fs3/x/bkt/k?uploadId=X", "/s3a//x/bkt/k?uploadId=X"
    };

    for (i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
        e = parse_conf(&req, guard_z(doubtful[i]), S("gw"), &conf);

        ok(e > S3_DECLINED && s3_error_status(e) == 400,
           "neither ours nor handed on: %s", doubtful[i]);
    }
}


static void
test_presigned(void)
{
    size_t        i;
    s3_str_t      s;
    s3_request_t  req;

    static const struct {
        const char  *name;
        const char  *value;
    } amz[S3_NAMZ] = {
        { "X-Amz-Algorithm", "AWS4-HMAC-SHA256" },
        { "X-Amz-Credential",
          "AKID%2F20170318%2Fkr-standard%2Fs3%2Faws4_request" },
        { "X-Amz-Date", "20170318T035641Z" },
        { "X-Amz-Expires", "900" },
        { "X-Amz-SignedHeaders", "host" },
        { "X-Amz-Signature", "95267932a9c9be91aea81f87fc10825f656f40b70e9670ab"
          "7d2547c3310d0761" },
        { "X-Amz-Security-Token", "TOKEN%2B%2F%3D" },
        { "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD" }
    };

    s = guard_f("/bkt/k?%s=%s&%s=%s&%s=%s&%s=%s&%s=%s&%s=%s&%s=%s&%s=%s"
                "&uploadId=" ID "&x-id=AbortMultipartUpload",
                amz[7].name, amz[7].value, amz[0].name, amz[0].value,
                amz[1].name, amz[1].value, amz[2].name, amz[2].value,
                amz[3].name, amz[3].value, amz[4].name, amz[4].value,
                amz[5].name, amz[5].value, amz[6].name, amz[6].value);

    is_int(parse(&req, s), S3_OK, "a presigned URL");
    ok(req.presigned, "it is presigned");
    is_text(req.upload_id, ID, "its upload id");

    for (i = 0; i < S3_NAMZ; i++) {
        is_text(req.amz[i], amz[i].value, "%s as sent", amz[i].name);
    }

    for (i = 0; i < S3_NAMZ; i++) {
        is_int(parse(&req, guard_f("/bkt/k?uploadId=X&%s=%s", amz[i].name,
                                   amz[i].value)),
               S3_OK, "%s alone", amz[i].name);
        ok(req.presigned, "%s alone makes it presigned", amz[i].name);
        is_text(req.amz[i], amz[i].value, "%s alone, as sent", amz[i].name);

        is_int(parse(&req, guard_f("/bkt/k?%s=&uploadId=X", amz[i].name)),
               S3_OK, "%s empty", amz[i].name);
        ok(req.presigned && req.amz[i].data && req.amz[i].len == 0,
           "%s empty was sent", amz[i].name);

        is_error(parse(&req, guard_f("/bkt/k?%s=%s&uploadId=X&%s=%s",
                                     amz[i].name, amz[i].value, amz[i].name,
                                     amz[i].value)),
                 "InvalidArgument", "twice");
    }
}


static void
test_checks(void)
{
    int       c, n, good;
    size_t    i;
    s3_str_t  s;

    static const struct {
        const char  *bucket;
        int          valid;
    } buckets[] = {
        { "", 0 }, { "a", 0 }, { "ab", 0 }, { "abc", 1 }, { "a-c", 1 },
        { "a.c", 1 }, { "000", 1 }, { "-bc", 0 }, { "ab-", 0 }, { ".bc", 0 },
        { "ab.", 0 }, { "Abc", 0 }, { "aBc", 0 }, { "abC", 0 }, { "a_c", 0 },
        { "a/c", 0 }, { "a%c", 0 }, { "a c", 0 }, { "...", 0 }, { "..", 0 },
        { ".", 0 }, { "a\xea\xb0\x80" "c", 0 }, { "192.168.0.1", 0 },
        { "0.0.0.0", 0 }, { "255.255.255.255", 0 }, { "192.168.0", 1 },
        { "192.168.0.1.2", 1 }, { "192.168.0.x", 1 }, { "192-168-0-1", 1 }
    };

    for (i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
        is_int(s3_request_check_bucket(guard_z(buckets[i].bucket)),
               buckets[i].valid ? S3_OK : S3_INVALID_BUCKET_NAME,
               "bucket \"%s\"", buckets[i].bucket);
    }

    is_int(s3_request_check_bucket(guard_fill('a', 63)), S3_OK,
           "a bucket of 63");
    is_int(s3_request_check_bucket(guard_fill('a', 64)),
           S3_INVALID_BUCKET_NAME, "a bucket of 64");

    s = S("axc");

    for (c = 0, n = 0; c < 256; c++) {
        s.data[1] = (u_char) c;
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
               || c == '.';
        n += (s3_request_check_bucket(s) == S3_OK) != good;
    }

    is_int(n, 0, "every byte in a bucket");

    is_int(s3_request_check_key(S("")), S3_EMPTY_KEY, "an empty key");
    is_int(s3_request_check_key(S("k")), S3_OK, "a key");
    is_int(s3_request_check_key(S("/")), S3_EMPTY_KEY, "a slash");
    is_int(s3_request_check_key(S("//")), S3_EMPTY_KEY, "two slashes");
    is_int(s3_request_check_key(S("//k")), S3_OK, "slashes and a letter");
    is_int(s3_request_check_key(S("k/")), S3_OK, "a letter and a slash");
    is_int(s3_request_check_key(S(" ")), S3_OK, "a space");
    is_int(s3_request_check_key(S("%2e%2e")), S3_OK, "not decoded again");
    is_int(s3_request_check_key(guard_fill('k', 1024)), S3_OK,
           "a key of 1024");
    is_int(s3_request_check_key(guard_fill('k', 1025)), S3_KEY_TOO_LONG,
           "a key of 1025");
    is_int(s3_request_check_key(S("a/../b")), S3_INVALID_URI, "two dots");
    is_int(s3_request_check_key(S("a/.")), S3_INVALID_URI, "a dot");
    is_int(s3_request_check_key(S("a\nb")), S3_INVALID_URI, "a line feed");
    is_int(s3_request_check_key(S("a\0b")), S3_INVALID_URI, "a NUL");
    is_int(s3_request_check_key(S("a\xff")), S3_INVALID_URI, "no UTF-8");

    is_int(s3_request_check_upload_id(S("")), S3_INVALID_UPLOAD_ID, "no id");
    is_int(s3_request_check_upload_id(S(ID)), S3_OK, "an id");
    is_int(s3_request_check_upload_id(S(".")), S3_INVALID_UPLOAD_ID, "a dot");
    is_int(s3_request_check_upload_id(S("..")), S3_INVALID_UPLOAD_ID,
           "two dots");
    is_int(s3_request_check_upload_id(S("...")), S3_OK, "three dots");
    is_int(s3_request_check_upload_id(guard_fill('i', 1024)), S3_OK,
           "an id of 1024");
    is_int(s3_request_check_upload_id(guard_fill('i', 1025)),
           S3_INVALID_UPLOAD_ID, "an id of 1025");

    s = S("axc");

    for (c = 0, n = 0; c < 256; c++) {
        s.data[1] = (u_char) c;
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
               || (c >= 'A' && c <= 'Z') || (c && strchr("._~+=-", c));
        n += (s3_request_check_upload_id(s) == S3_OK) != good;
    }

    is_int(n, 0, "every byte in an upload id");
}


static void
test_port(void)
{
    size_t  i;

    static const struct {
        const char  *host;
        int          valid;
    } cases[] = {
        { "gw", 1 }, { "gw.", 1 }, { "gw:", 1 }, { "gw.:80", 1 },
        { "gw:80", 1 }, { "gw:443", 1 }, { "gw:0443", 1 }, { "gw:0", 1 },
        { "gw:65535", 1 }, { "gw:65536", 0 }, { "gw:65540", 0 },
        { "gw:99999", 0 }, { "gw:100000", 0 }, { "gw:4294967376", 0 },
        { "gw:18446744073709551696", 0 }, { "gw:8a", 0 }, { "gw:a", 0 },
        { "gw:+80", 0 }, { "gw:-1", 0 }, { "gw: 80", 0 }, { "gw:80 ", 0 },
        { "gw:0x50", 0 }, { "gw:/80", 0 }, { "gw:8/", 0 },
        { "10.0.0.1", 1 }, { "10.0.0.1:9000", 1 }, { "10.0.0.1:90000", 0 },
        { "[::1]", 1 }, { "[::1]:", 1 }, { "[::1]:80", 1 },
        { "[::1]:65535", 1 }, { "[::1]:65536", 0 }, { "[::1]:x", 0 },
        { "[2001:db8::99999]", 1 }, { "[::1", 0 }, { "[::1]80", 0 }
    };

    static const struct {
        const char  *host;
        const char  *name;
        int          same;
    } names[] = {
        { "gw.test", "gw.test", 1 }, { "GW.Test", "gw.test", 1 },
        { "gw.test.", "gw.test", 1 }, { "gw.test:80", "gw.test", 1 },
        { "gw.test.:80", "gw.test", 1 }, { "gw.test:", "gw.test", 1 },
        { "[::1]:80", "[::1]", 1 }, { "", "", 1 },
        { "gw.test", "w.gw.test", 0 }, { "w.gw.test", "gw.test", 0 },
        { "gw.test..", "gw.test", 0 }, { "gw.test.x", "gw.test", 0 },
        { "gw.testx", "gw.test", 0 }, { "gw.tesu", "gw.test", 0 },
        { "gw.test", "", 0 }, { "", "gw.test", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(!!s3_request_host_port_valid(guard_z(cases[i].host)),
               cases[i].valid, "port in \"%s\"", cases[i].host);
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        is_int(!!s3_request_host_is(guard_z(names[i].host),
                                    guard_z(names[i].name)),
               names[i].same, "\"%s\" is \"%s\"", names[i].host,
               names[i].name);
    }
}


static void
test_redact(void)
{
    size_t    i, n;
    s3_str_t  s, dst;

    static const struct {
        const char  *target;
        const char  *redacted;
    } cases[] = {
        { "", "" },
        { "/", "/" },
        { "/b/k", "/b/k" },
        { "/b/k?", "/b/k?" },
        { "/b/k?uploadId=X", "/b/k?uploadId=X" },
        { "/b/k?uploadId=X&X-Amz-Signature=secret",
          "/b/k?uploadId=X&X-Amz-Signature=" },
        { "/b/k?X-Amz-Signature=secret&uploadId=X",
          "/b/k?X-Amz-Signature=&uploadId=X" },
        { "/b/k?X-Amz-Security-Token=secret%2F&uploadId=X",
          "/b/k?X-Amz-Security-Token=&uploadId=X" },
        { "/b/k?X-Amz-Credential=AKID%2F20170318&X-Amz-Signature=secret&a=b",
          "/b/k?X-Amz-Credential=AKID%2F20170318&X-Amz-Signature=&a=b" },
        { "/b/k?AWSAccessKeyId=AKID&Signature=secret%3D&Expires=1",
          "/b/k?AWSAccessKeyId=AKID&Signature=&Expires=1" },
        { "/b/k?Signature=secret", "/b/k?Signature=" },
        { "/b/k?x-amz-security-token=secret&Signature=secret",
          "/b/k?x-amz-security-token=&Signature=" },
        { "/b/k?X-Amz-Signature=a=secret", "/b/k?X-Amz-Signature=" },
        { "/b/k?X-Amz-Signature=secret&X-Amz-Signature=secret",
          "/b/k?X-Amz-Signature=&X-Amz-Signature=" },
        { "/b/k?X-Amz-Signature=", "/b/k?X-Amz-Signature=" },
        { "/b/k?X-Amz-Signature", "/b/k?X-Amz-Signature" },
        { "/b/k?a=X-Amz-Signature&b=c", "/b/k?a=X-Amz-Signature&b=c" },
        { "/X-Amz-Signature=k?a", "/X-Amz-Signature=k?a" },
        { "/b/k?X-Amz-SignedHeaders=host", "/b/k?X-Amz-SignedHeaders=host" },

        /* request lines */

        { "DELETE /b/k?uploadId=X HTTP/1.1",
          "DELETE /b/k?uploadId=X HTTP/1.1" },
        { "DELETE /b/k?X-Amz-Signature=secret HTTP/1.1",
          "DELETE /b/k?X-Amz-Signature= HTTP/1.1" },
        { "DELETE /b/k?X-Amz-Signature=secret&uploadId=X HTTP/1.1",
          "DELETE /b/k?X-Amz-Signature=&uploadId=X HTTP/1.1" },
        { "DELETE /b/k?Signature=secret&X-Amz-Security-Token=secret HTTP/1.0",
          "DELETE /b/k?Signature=&X-Amz-Security-Token= HTTP/1.0" }
    };

    /* spellings that a storage, or a log's reader, may take for the name */

    static const char *secret[] = {
        "/b/k?x-amz-signature=secret", "/b/k?X-AMZ-SIGNATURE=secret",
        "/b/k?signature=secret", "/b/k?X-Amz-%53ignature=secret",
        "/b/k?%58%2d%41mz-Signature=secret&a=b",
        "/b/k?X%2DAmz%2DSecurity%2dToken=secret",
        "/b/k?%53ignature=secret", "/b/k?a;X-Amz-Signature=secret",
        "/b/k?a?X-Amz-Signature=secret", "/b/k??Signature=secret",
        "/b/k?&&X-Amz-Signature=secret&&", "/b/k?a=%zz&Signature=secret",
        "/b/k?a=1;Signature=secret;b", "?X-Amz-Signature=secret",
        "/b/k#?X-Amz-Signature=secret"
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = guard_z(cases[i].target);
        dst.data = guard_room(s.len);
        dst.len = s3_request_redact(dst.data, s);

        is_text(dst, cases[i].redacted, "redact: %s", cases[i].target);
    }

    for (i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
        s = guard_z(secret[i]);
        dst.data = guard_room(s.len);
        dst.len = s3_request_redact(dst.data, s);

        ok(dst.len <= s.len && memmem(dst.data, dst.len, "secret", 6) == NULL,
           "no secret is left of: %s", secret[i]);
    }

    /* what has none of the names stays as it is */

    n = 0;

    for (i = 0; i < 2000; i++) {
        size_t  j;

        s = guard_fill('x', unit_random() % 40);

        for (j = 0; j < s.len; j++) {
            s.data[j] = (u_char) "?&;=#%abcX-/"[unit_random() % 12];
        }

        dst.data = guard_room(s.len);
        dst.len = s3_request_redact(dst.data, s);

        n += !s3_str_eq(s, dst);
    }

    is_int(n, 0, "redact: other targets are copied");
}
