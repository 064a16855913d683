
#include <openssl/crypto.h>

#include "s3_sigv4.h"


static u_char *s3_sigv4_put_value(u_char *dst, s3_str_t value);
static int s3_sigv4_hash(s3_sigv4_t *s, s3_str_t data,
    u_char hash[S3_SHA256_LEN]);
static int s3_sigv4_key(s3_sigv4_t *s, s3_sigv4_key_t *k, s3_str_t key);
static int s3_sigv4_hmac(s3_sigv4_t *s, const s3_sigv4_key_t *k,
    s3_str_t data, u_char mac[S3_SHA256_LEN]);
static void s3_sigv4_hex(s3_sigv4_t *s, u_char hex[S3_SHA256_HEX_LEN],
    const u_char hash[S3_SHA256_LEN]);


int
s3_sigv4_init(s3_sigv4_t *s)
{
    int                  i;
    static const u_char  digits[] = "0123456789abcdef";

    for (i = 0; i < 256; i++) {
        s->hex[i][0] = digits[i >> 4];
        s->hex[i][1] = digits[i & 0xf];
    }

    s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    s->ctx = EVP_MD_CTX_new();

    if (s->sha256 == NULL || s->ctx == NULL) {
        s3_sigv4_cleanup(s);
        return -1;
    }

    return 0;
}


void
s3_sigv4_cleanup(s3_sigv4_t *s)
{
    EVP_MD_CTX_free(s->ctx);
    EVP_MD_free(s->sha256);

    s->ctx = NULL;
    s->sha256 = NULL;
}


size_t
s3_sigv4_canonical_request_len(const s3_sigv4_request_t *req)
{
    size_t  i, len;

    len = req->method.len + req->uri.len + req->query.len
          + req->payload_hash.len + sizeof("\n\n\n\n\n") - 1;

    for (i = 0; i < req->nheaders; i++) {
        len += 2 * req->headers[i].name.len + req->headers[i].value.len
               + sizeof(":\n;") - 1;
    }

    return len;
}


u_char *
s3_sigv4_canonical_request(u_char *dst, const s3_sigv4_request_t *req)
{
    size_t  i;

    dst = s3_put(dst, req->method);
    *dst++ = '\n';
    dst = s3_put(dst, req->uri);
    *dst++ = '\n';
    dst = s3_put(dst, req->query);
    *dst++ = '\n';

    for (i = 0; i < req->nheaders; i++) {
        dst = s3_put(dst, req->headers[i].name);
        *dst++ = ':';
        dst = s3_sigv4_put_value(dst, req->headers[i].value);
        *dst++ = '\n';
    }

    *dst++ = '\n';

    for (i = 0; i < req->nheaders; i++) {
        if (i) {
            *dst++ = ';';
        }

        dst = s3_put(dst, req->headers[i].name);
    }

    *dst++ = '\n';

    return s3_put(dst, req->payload_hash);
}


int
s3_sigv4_string_to_sign(s3_sigv4_t *s, u_char *dst, s3_str_t time,
    s3_str_t scope, s3_str_t canonical_request)
{
    u_char                  hash[S3_SHA256_LEN];
    static const s3_str_t   algorithm = s3_string(S3_SIGV4_ALGORITHM "\n");

    if (s3_sigv4_hash(s, canonical_request, hash) != 0) {
        return -1;
    }

    dst = s3_put(dst, algorithm);
    dst = s3_put(dst, time);
    *dst++ = '\n';
    dst = s3_put(dst, scope);
    *dst++ = '\n';

    s3_sigv4_hex(s, dst, hash);

    return 0;
}


int
s3_sigv4_signing_key(s3_sigv4_t *s, s3_sigv4_key_t *k, s3_str_t secret,
    s3_str_t date, s3_str_t region, s3_str_t service)
{
    int                     rc;
    size_t                  i;
    s3_str_t                key;
    u_char                  buf[S3_SHA256_BLOCK * 8], mac[S3_SHA256_LEN];
    static const s3_str_t   terminator = s3_string(S3_SIGV4_TERMINATOR);
    const s3_str_t          data[] = { date, region, service, terminator };

    if (secret.len > sizeof(buf) - 4) {
        return -1;
    }

    memcpy(buf, "AWS4", 4);

    key.data = buf;
    key.len = (size_t) (s3_put(buf + 4, secret) - buf);

    rc = 0;

    for (i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        rc |= s3_sigv4_key(s, k, key);
        rc |= s3_sigv4_hmac(s, k, data[i], mac);

        key.data = mac;
        key.len = S3_SHA256_LEN;
    }

    rc |= s3_sigv4_key(s, k, key);

    /* the last hash was the key: the context begins another one */

    rc |= EVP_DigestInit_ex2(s->ctx, s->sha256, NULL) != 1;

    OPENSSL_cleanse(buf, sizeof(buf));
    OPENSSL_cleanse(mac, sizeof(mac));

    if (rc != 0) {
        OPENSSL_cleanse(k, sizeof(s3_sigv4_key_t));
        return -1;
    }

    return 0;
}


int
s3_sigv4_signature(s3_sigv4_t *s, const s3_sigv4_key_t *k,
    s3_str_t string_to_sign, u_char hex[S3_SHA256_HEX_LEN])
{
    u_char  mac[S3_SHA256_LEN];

    if (s3_sigv4_hmac(s, k, string_to_sign, mac) != 0) {
        return -1;
    }

    s3_sigv4_hex(s, hex, mac);

    return 0;
}


/* trims spaces and tabs and folds inner runs of spaces into one */

static u_char *
s3_sigv4_put_value(u_char *dst, s3_str_t value)
{
    u_char  *p, *last;

    p = value.data;
    last = value.data + value.len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < last && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    /* most values have no space inside */

    if (p == last || memchr(p, ' ', (size_t) (last - p)) == NULL) {
        value.data = p;
        value.len = (size_t) (last - p);

        return s3_put(dst, value);
    }

    for ( /* void */ ; p < last; p++) {
        if (*p != ' ' || p[-1] != ' ') {
            *dst++ = *p;
        }
    }

    return dst;
}


static int
s3_sigv4_hash(s3_sigv4_t *s, s3_str_t data, u_char hash[S3_SHA256_LEN])
{
    if (EVP_DigestInit_ex2(s->ctx, s->sha256, NULL) != 1
        || EVP_DigestUpdate(s->ctx, data.data, data.len) != 1
        || EVP_DigestFinal_ex(s->ctx, hash, NULL) != 1)
    {
        return -1;
    }

    return 0;
}


/* the part of HMAC that depends on the key alone */

static int
s3_sigv4_key(s3_sigv4_t *s, s3_sigv4_key_t *k, s3_str_t key)
{
    int     rc;
    size_t  i;
    u_char  block[S3_SHA256_BLOCK];

    memset(block, 0, S3_SHA256_BLOCK);

    rc = 0;

    if (key.len > S3_SHA256_BLOCK) {
        rc = s3_sigv4_hash(s, key, block);

    } else {
        (void) s3_put(block, key);
    }

    for (i = 0; i < S3_SHA256_BLOCK; i++) {
        k->inner[i] = block[i] ^ 0x36;
        k->outer[i] = block[i] ^ 0x5c;
    }

    OPENSSL_cleanse(block, sizeof(block));

    return rc;
}


static int
s3_sigv4_hmac(s3_sigv4_t *s, const s3_sigv4_key_t *k, s3_str_t data,
    u_char mac[S3_SHA256_LEN])
{
    if (EVP_DigestInit_ex2(s->ctx, s->sha256, NULL) != 1
        || EVP_DigestUpdate(s->ctx, k->inner, S3_SHA256_BLOCK) != 1
        || EVP_DigestUpdate(s->ctx, data.data, data.len) != 1
        || EVP_DigestFinal_ex(s->ctx, mac, NULL) != 1
        || EVP_DigestInit_ex2(s->ctx, s->sha256, NULL) != 1
        || EVP_DigestUpdate(s->ctx, k->outer, S3_SHA256_BLOCK) != 1
        || EVP_DigestUpdate(s->ctx, mac, S3_SHA256_LEN) != 1
        || EVP_DigestFinal_ex(s->ctx, mac, NULL) != 1)
    {
        return -1;
    }

    return 0;
}


static void
s3_sigv4_hex(s3_sigv4_t *s, u_char hex[S3_SHA256_HEX_LEN],
    const u_char hash[S3_SHA256_LEN])
{
    int  i;

    for (i = 0; i < S3_SHA256_LEN; i++) {
        memcpy(hex + 2 * i, s->hex[hash[i]], 2);
    }
}
