
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "s3_sigv4.h"
#include "s3_uri.h"
#include "unit.h"


#define AKID        "AKIDEXAMPLE"
#define SECRET      "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DOCUMENTED  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TIME        "20170318T035641Z"
#define SCOPE       "20170318/kr-standard/s3/aws4_request"
#define HOST        "kr.object.ncloudstorage.com"
#define ID          "0000015a-df89-51d0-2790-dee1ac994053"
#define TOKEN       "TOKENEXAMPLE+/="


static void test_vectors(void);
static void test_documented(void);
static void test_header_values(void);
static void test_signing_key(void);
static void test_failure(void);
static void test_keys(void);
static void test_random(void);


static s3_sigv4_t  sigv4;


int
main(void)
{
    if (!is_int(s3_sigv4_init(&sigv4), 0, "init")) {
        return done();
    }

    test_vectors();
    test_documented();
    test_header_values();
    test_signing_key();
    test_failure();
    test_keys();
    test_random();

    s3_sigv4_cleanup(&sigv4);

    return done();
}


/* the three stages; all that is written is what was promised */

typedef struct {
    s3_str_t   canonical;
    u_char     hash[S3_SHA256_HEX_LEN + 1];
    s3_str_t   string;
    s3_str_t   signature;
} stages_t;


static s3_str_t
canonical(const s3_sigv4_request_t *req)
{
    size_t    len;
    s3_str_t  s;

    len = s3_sigv4_canonical_request_len(req);
    s.data = guard_room(len);
    s.len = (size_t) (s3_sigv4_canonical_request(s.data, req) - s.data);

    if (s.len > len) {
        ok(0, "the canonical request is longer than its bound");
    }

    return s;
}


static int
sign(stages_t *st, const s3_sigv4_request_t *req, s3_str_t secret,
    s3_str_t time, s3_str_t date, s3_str_t region, s3_str_t service)
{
    u_char           md[SHA256_DIGEST_LENGTH];
    size_t           i;
    s3_str_t         scope;
    s3_sigv4_key_t   k;

    st->canonical = canonical(req);

    SHA256(st->canonical.data, st->canonical.len, md);

    for (i = 0; i < sizeof(md); i++) {
        sprintf((char *) st->hash + 2 * i, "%02x", md[i]);
    }

    scope = guard_f("%.*s/%.*s/%.*s/aws4_request", (int) date.len, date.data,
                    (int) region.len, region.data, (int) service.len,
                    service.data);

    st->string.len = s3_sigv4_string_to_sign_len(scope);
    st->string.data = guard_room(st->string.len);

    if (s3_sigv4_string_to_sign(&sigv4, st->string.data, time, scope,
                                st->canonical)
        != 0
        || s3_sigv4_signing_key(&sigv4, &k, secret, date, region, service)
           != 0)
    {
        return -1;
    }

    st->signature.len = S3_SHA256_HEX_LEN;
    st->signature.data = guard_room(S3_SHA256_HEX_LEN);

    return s3_sigv4_signature(&sigv4, &k, st->string, st->signature.data);
}


/* this operation, as two independent signers have it */

static const struct {
    const char  *name;
    const char  *path;
    const char  *query;
    const char  *host;
    const char  *signed_headers;
    const char  *payload_hash;
    const char  *token;
    const char  *canonical_hash;
    const char  *signature;
} vectors[] = {

    { "path style", "/some-bucket/multipart-object-123", "uploadId=" ID,
      HOST, "host;x-amz-content-sha256;x-amz-date", S3_SHA256_OF_EMPTY, "",
      "e5260d0683a21a1a63b9091ef568cb878c6ec1a18cd657c4b5c0f835e2f383ff",
      "581da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6" },

    { "virtual host", "/multipart-object-123", "uploadId=" ID,
      "some-bucket." HOST, "host;x-amz-content-sha256;x-amz-date",
      S3_SHA256_OF_EMPTY, "", NULL,
      "5ec3b6e2b681a021f1c9d657e93a7041f7756e686a3dc07884a8254b6023559f" },

    { "Korean", "/some-bucket/a%20b/%EA%B0%80%EB%82%98.bin",
      "uploadId=" ID, HOST, "host;x-amz-content-sha256;x-amz-date",
      S3_SHA256_OF_EMPTY, "", NULL,
      "ac279cf91ae26946a5feb340b75738586f89997fc0b2db6a3d730d0cd5ef0bc5" },

    { "a hard key", "/some-bucket/a%2Bb%26c%3Dd%25e~_-.%28x%29%21%2A%27",
      "uploadId=" ID, HOST, "host;x-amz-content-sha256;x-amz-date",
      S3_SHA256_OF_EMPTY, "", NULL,
      "cd813493a401a2a8c7fca465628719e7c1ae6adf67f4d6dbf8688d413ddaa910" },

    { "a session token", "/some-bucket/multipart-object-123",
      "uploadId=" ID, HOST,
      "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
      S3_SHA256_OF_EMPTY, TOKEN, NULL,
      "7d3461a38badce64f4619c3c21cddeabd2b02edd7873850a701cdffcc3f4932e" },

    { "presigned", "/some-bucket/multipart-object-123",
      "X-Amz-Algorithm=AWS4-HMAC-SHA256"
      "&X-Amz-Credential=" AKID "%2F20170318%2Fkr-standard%2Fs3%2Faws4_request"
      "&X-Amz-Date=" TIME "&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
      "&uploadId=" ID, HOST, "host", "UNSIGNED-PAYLOAD", "", NULL,
      "95267932a9c9be91aea81f87fc10825f656f40b70e9670ab7d2547c3310d0761" },

    { "two signed headers", "/some-bucket/multipart-object-123",
      "uploadId=" ID, HOST, "host;x-amz-date", S3_SHA256_OF_EMPTY, "", NULL,
      "ef68778ee7e9c83f3a183a6e432f660d8f899d6ef8515d3bb53277bc55b0fc78" }
};


static void
test_vectors(void)
{
    char                 *p, text[4096];
    size_t                i, n;
    stages_t              st;
    s3_sigv4_header_t     headers[4];
    s3_sigv4_request_t    req;

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {

        n = 0;

        headers[n].name = S("host");
        headers[n++].value = guard_z(vectors[i].host);

        if (strstr(vectors[i].signed_headers, "sha256")) {
            headers[n].name = S("x-amz-content-sha256");
            headers[n++].value = guard_z(vectors[i].payload_hash);
        }

        if (strstr(vectors[i].signed_headers, "date")) {
            headers[n].name = S("x-amz-date");
            headers[n++].value = S(TIME);
        }

        if (vectors[i].token[0]) {
            headers[n].name = S("x-amz-security-token");
            headers[n++].value = guard_z(vectors[i].token);
        }

        req.method = S("DELETE");
        req.uri = guard_z(vectors[i].path);
        req.query = guard_z(vectors[i].query);
        req.headers = headers;
        req.nheaders = n;
        req.payload_hash = guard_z(vectors[i].payload_hash);

        if (!is_int(sign(&st, &req, S(SECRET), S(TIME), S("20170318"),
                         S("kr-standard"), S("s3")),
                    0, "%s: signed", vectors[i].name))
        {
            continue;
        }

        /* stage 1 */

        p = text + sprintf(text, "DELETE\n%s\n%s\nhost:%s\n",
                           vectors[i].path, vectors[i].query,
                           vectors[i].host);

        if (strstr(vectors[i].signed_headers, "sha256")) {
            p += sprintf(p, "x-amz-content-sha256:%s\n",
                         vectors[i].payload_hash);
        }

        if (strstr(vectors[i].signed_headers, "date")) {
            p += sprintf(p, "x-amz-date:%s\n", TIME);
        }

        if (vectors[i].token[0]) {
            p += sprintf(p, "x-amz-security-token:%s\n", vectors[i].token);
        }

        (void) sprintf(p, "\n%s\n%s", vectors[i].signed_headers,
                       vectors[i].payload_hash);

        is_text(st.canonical, text, "%s: canonical request",
                vectors[i].name);

        if (vectors[i].canonical_hash) {
            is_text(guard(st.hash, 64), vectors[i].canonical_hash,
                    "%s: its hash", vectors[i].name);
        }

        /* stage 2 */

        (void) sprintf(text, "AWS4-HMAC-SHA256\n" TIME "\n" SCOPE "\n%s",
                       st.hash);

        is_text(st.string, text, "%s: string to sign", vectors[i].name);

        /* stage 3 */

        is_text(st.signature, vectors[i].signature, "%s: signature",
                vectors[i].name);
    }
}


/* the examples of the Amazon S3 API Reference, "Signature Calculations for
 * the Authorization Header" and "Using Query Parameters" */

static void
test_documented(void)
{
    stages_t             st;
    s3_sigv4_header_t    h[5];
    s3_sigv4_request_t   req;

    h[0].name = S("host");
    h[0].value = S("examplebucket.s3.amazonaws.com");
    h[1].name = S("range");
    h[1].value = S("bytes=0-9");
    h[2].name = S("x-amz-content-sha256");
    h[2].value = S(S3_SHA256_OF_EMPTY);
    h[3].name = S("x-amz-date");
    h[3].value = S("20130524T000000Z");

    req.method = S("GET");
    req.uri = S("/test.txt");
    req.query = S("");
    req.headers = h;
    req.nheaders = 4;
    req.payload_hash = S(S3_SHA256_OF_EMPTY);

    is_int(sign(&st, &req, S(DOCUMENTED), h[3].value, S("20130524"),
                S("us-east-1"), S("s3")), 0, "GET Object");
    is_text(guard(st.hash, 64),
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
            "GET Object: canonical request");
    is_text(st.signature,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            "GET Object: signature");

    h[1].name = S("x-amz-content-sha256");
    h[1].value = S(S3_SHA256_OF_EMPTY);
    h[2].name = S("x-amz-date");
    h[2].value = S("20130524T000000Z");

    req.uri = S("/");
    req.query = S("max-keys=2&prefix=J");
    req.nheaders = 3;

    is_int(sign(&st, &req, S(DOCUMENTED), h[2].value, S("20130524"),
                S("us-east-1"), S("s3")), 0, "List Objects");
    is_text(st.signature,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            "List Objects: signature");

    req.query = S("lifecycle=");

    is_int(sign(&st, &req, S(DOCUMENTED), h[2].value, S("20130524"),
                S("us-east-1"), S("s3")), 0, "GET Bucket Lifecycle");
    is_text(st.signature,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            "GET Bucket Lifecycle: signature");

    req.uri = S("/test.txt");
    req.query = S("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
                  "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
                  "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires="
                  "86400&X-Amz-SignedHeaders=host");
    req.nheaders = 1;
    req.payload_hash = S("UNSIGNED-PAYLOAD");

    is_int(sign(&st, &req, S(DOCUMENTED), h[2].value, S("20130524"),
                S("us-east-1"), S("s3")), 0, "a presigned URL");
    is_text(st.signature,
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            "a presigned URL: signature");
}


static void
test_header_values(void)
{
    size_t               i;
    char                 text[512];
    s3_sigv4_header_t    h[3];
    s3_sigv4_request_t   req;

    static const struct {
        const char  *value;
        const char  *canonical;
        const char  *name;
    } cases[] = {
        { "", "", "empty" },
        { " ", "", "a space" },
        { "   ", "", "spaces" },
        { "a", "a", "one byte" },
        { "a b", "a b", "a space between" },
        { "a  b", "a b", "two spaces between" },
        { "a     b   c", "a b c", "runs of spaces" },
        { "  a b", "a b", "spaces before" },
        { "a b  ", "a b", "spaces behind" },
        { "  a   b  ", "a b", "spaces everywhere" },
        { "\ta\t", "a", "tabs around" },
        { " \t a \t ", "a", "tabs and spaces around" },
        { "\"a   b\"", "\"a b\"", "quoted" },
        { "a,b , c", "a,b , c", "commas" },
        { "\xea\xb0\x80", "\xea\xb0\x80", "beyond ASCII" }
    };

    h[0].name = S("host");
    h[0].value = S("gw:9000");
    h[1].name = S("x-a");
    h[2].name = S("x-amz-b");
    h[2].value = S(" z ");

    req.method = S("DELETE");
    req.uri = S("/");
    req.query = S("");
    req.headers = h;
    req.nheaders = 3;
    req.payload_hash = S("UNSIGNED-PAYLOAD");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        h[1].value = guard_z(cases[i].value);

        (void) sprintf(text, "DELETE\n/\n\nhost:gw:9000\nx-a:%s\nx-amz-b:z\n"
                       "\nhost;x-a;x-amz-b\nUNSIGNED-PAYLOAD",
                       cases[i].canonical);

        is_text(canonical(&req), text, "header value: %s", cases[i].name);
    }
}


static void
test_signing_key(void)
{
    size_t          i;
    char            hex[65];
    s3_sigv4_key_t  k;

    /* AWS General Reference, "Deriving the signing key" */

    is_int(s3_sigv4_signing_key(&sigv4, &k, S(SECRET), S("20150830"),
                                S("us-east-1"), S("iam")), 0,
           "a signing key");

    for (i = 0; i < S3_SHA256_LEN; i++) {
        (void) sprintf(hex + 2 * i, "%02x", k.inner[i] ^ 0x36);
    }

    is_text(guard_z(hex),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9",
            "as documented");
}


/* what OpenSSL cannot do is no signature, and no key is left behind */

static void
test_failure(void)
{
    size_t          i;
    u_char          buf[256], zero[S3_SHA256_BLOCK];
    s3_str_t        secret;
    s3_sigv4_t      broken;
    s3_sigv4_key_t  k;

    secret = guard_fill('x', S3_SHA256_BLOCK * 8 - 3);

    is_int(s3_sigv4_signing_key(&sigv4, &k, secret, S("20150830"),
                                S("kr-standard"), S("s3")), -1,
           "a secret that is too long");

    /* a context without a digest */

    broken = sigv4;
    broken.sha256 = NULL;
    broken.ctx = EVP_MD_CTX_new();

    memset(&k, 0x5a, sizeof(k));
    memset(zero, 0, sizeof(zero));

    is_int(s3_sigv4_string_to_sign(&broken, buf, S("20150830T000000Z"),
                                   S("scope"), S("request")), -1,
           "no digest, no string to sign");
    is_int(s3_sigv4_signature(&broken, &k, S("string"), buf), -1,
           "no digest, no signature");
    is_int(s3_sigv4_signing_key(&broken, &k, S(SECRET), S("20150830"),
                                S("kr-standard"), S("s3")), -1,
           "no digest, no signing key");

    for (i = 0; i < 2; i++) {
        ok(memcmp(i ? k.outer : k.inner, zero, S3_SHA256_BLOCK) == 0,
           "and nothing is left of one");
    }

    EVP_MD_CTX_free(broken.ctx);
}


/* a second opinion, with another interface of OpenSSL */

static void
naive_hmac(u_char *md, const u_char *key, size_t len, s3_str_t data)
{
    unsigned  n;

    (void) HMAC(EVP_sha256(), key, (int) len, data.data, data.len, md, &n);
}


static void
naive_signing_key(u_char *md, s3_str_t secret, s3_str_t date, s3_str_t region,
    s3_str_t service)
{
    s3_str_t  start;

    start = guard_f("AWS4%.*s", (int) secret.len, secret.data);

    naive_hmac(md, start.data, start.len, date);
    naive_hmac(md, md, 32, region);
    naive_hmac(md, md, 32, service);
    naive_hmac(md, md, 32, S("aws4_request"));
}


static void
naive_signature(u_char *hex, const u_char *key, s3_str_t string)
{
    size_t  i;
    u_char  md[32];

    naive_hmac(md, key, 32, string);

    for (i = 0; i < 32; i++) {
        (void) sprintf((char *) hex + 2 * i, "%02x", md[i]);
    }
}


/* a key signs any number of strings; keys do not know each other */

static void
test_keys(void)
{
    int              i, j, n;
    u_char           key[2][S3_SHA256_LEN], hex[64], expected[65];
    s3_str_t         s;
    s3_sigv4_key_t   k[2];

    n = 0;

    for (i = 0; i < 2; i++) {
        n |= s3_sigv4_signing_key(&sigv4, &k[i], i ? S("one") : S("two"),
                                  S("20170318"), S("kr-standard"), S("s3"));

        for (j = 0; j < S3_SHA256_LEN; j++) {
            key[i][j] = k[i].inner[j] ^ 0x36;
            n |= key[i][j] != (k[i].outer[j] ^ 0x5c);
        }

        for (/* void */; j < S3_SHA256_BLOCK; j++) {
            n |= k[i].inner[j] != 0x36 || k[i].outer[j] != 0x5c;
        }
    }

    is_int(n, 0, "two keys, as HMAC pads them");

    for (i = 0, n = 0; i < 200; i++) {
        s = guard_fill('a' + i % 26, (size_t) i);

        n += s3_sigv4_signature(&sigv4, &k[i & 1], s, hex) != 0;
        naive_signature(expected, key[i & 1], s);

        n += memcmp(hex, expected, 64) != 0;
    }

    is_int(n, 0, "and sign in turn");
}


static void
test_random(void)
{
    int                  i, n;
    u_char               md[32], hex[65];
    size_t               j;
    stages_t             st;
    s3_str_t             secret, region, string;
    s3_sigv4_key_t       k;
    s3_sigv4_header_t    h[8];
    s3_sigv4_request_t   req;

    n = 0;

    for (i = 0; i < 500; i++) {

        /* beyond 60 bytes the secret is longer than a block of SHA-256 */

        secret = guard_fill('s', 1 + unit_random() % 256);
        region = guard_fill('r', 1 + unit_random() % 40);

        req.method = S("DELETE");
        req.uri = guard_fill('/', 1 + unit_random() % 3000);
        req.query = guard_fill('q', unit_random() % 3000);
        req.headers = h;
        req.nheaders = 1 + unit_random() % 8;
        req.payload_hash = S(S3_SHA256_OF_EMPTY);

        for (j = 0; j < req.nheaders; j++) {
            h[j].name = guard_fill('a' + (int) j, 1 + unit_random() % 20);
            h[j].value = guard_fill("x "[unit_random() % 2],
                                    unit_random() % 200);
        }

        if (sign(&st, &req, secret, S(TIME), S("20170318"), region, S("s3"))
            != 0)
        {
            n++;
            continue;
        }

        naive_signing_key(md, secret, S("20170318"), region, S("s3"));

        n += s3_sigv4_signing_key(&sigv4, &k, secret, S("20170318"), region,
                                  S("s3")) != 0;

        for (j = 0; j < 32; j++) {
            n += (k.inner[j] ^ 0x36) != md[j];
        }

        string = guard_f("AWS4-HMAC-SHA256\n" TIME "\n20170318/%.*s/s3/"
                         "aws4_request\n%s", (int) region.len, region.data,
                         st.hash);

        naive_signature(hex, md, string);

        n += !s3_str_eq(st.string, string)
             || memcmp(st.signature.data, hex, 64) != 0;
    }

    is_int(n, 0, "as HMAC() has it");
}
