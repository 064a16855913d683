
#include <openssl/crypto.h>

#include "s3_sigv4.h"


#define S3_SHA256_BLOCK  64


static u_char *s3_sigv4_put_value(u_char *dst, s3_str_t value);
static int s3_sigv4_hash(s3_sigv4_t *s, s3_str_t data,
    u_char hash[S3_SHA256_LEN]);
static int s3_sigv4_hmac(s3_sigv4_t *s, u_char mac[S3_SHA256_LEN],
    s3_str_t key, s3_str_t data);
static int s3_sigv4_pad(s3_sigv4_t *s, EVP_MD_CTX *ctx, s3_str_t key,
    u_char byte);
static u_char *s3_sigv4_hex(u_char *dst, const u_char *src, size_t len);


int
s3_sigv4_init(s3_sigv4_t *s)
{
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

    (void) s3_sigv4_hex(dst, hash, S3_SHA256_LEN);

    return 0;
}


int
s3_sigv4_signing_key(s3_sigv4_t *s, u_char key[S3_SHA256_LEN],
    s3_str_t secret, s3_str_t date, s3_str_t region, s3_str_t service)
{
    int                     rc;
    s3_str_t                k;
    u_char                  buf[S3_SHA256_BLOCK * 8];
    static const s3_str_t   terminator = s3_string(S3_SIGV4_TERMINATOR);

    if (secret.len > sizeof(buf) - 4) {
        return -1;
    }

    memcpy(buf, "AWS4", 4);

    k.data = buf;
    k.len = (size_t) (s3_put(buf + 4, secret) - buf);

    rc = s3_sigv4_hmac(s, key, k, date);

    OPENSSL_cleanse(buf, sizeof(buf));

    k.data = key;
    k.len = S3_SHA256_LEN;

    if (rc != 0
        || s3_sigv4_hmac(s, key, k, region) != 0
        || s3_sigv4_hmac(s, key, k, service) != 0
        || s3_sigv4_hmac(s, key, k, terminator) != 0)
    {
        OPENSSL_cleanse(key, S3_SHA256_LEN);
        return -1;
    }

    return 0;
}


int
s3_sigv4_key_init(s3_sigv4_key_t *k)
{
    k->inner = EVP_MD_CTX_new();
    k->outer = EVP_MD_CTX_new();

    if (k->inner == NULL || k->outer == NULL) {
        s3_sigv4_key_cleanup(k);
        return -1;
    }

    return 0;
}


int
s3_sigv4_key_prepare(s3_sigv4_t *s, s3_sigv4_key_t *k,
    const u_char key[S3_SHA256_LEN])
{
    s3_str_t  secret = { S3_SHA256_LEN, (u_char *) key };

    if (s3_sigv4_pad(s, k->inner, secret, 0x36) != 0
        || s3_sigv4_pad(s, k->outer, secret, 0x5c) != 0)
    {
        return -1;
    }

    return 0;
}


/* OpenSSL cleanses what a digest context held */

void
s3_sigv4_key_wipe(s3_sigv4_key_t *k)
{
    (void) EVP_MD_CTX_reset(k->inner);
    (void) EVP_MD_CTX_reset(k->outer);
}


void
s3_sigv4_key_cleanup(s3_sigv4_key_t *k)
{
    EVP_MD_CTX_free(k->inner);
    EVP_MD_CTX_free(k->outer);

    k->inner = NULL;
    k->outer = NULL;
}


int
s3_sigv4_signature(s3_sigv4_t *s, const s3_sigv4_key_t *k,
    s3_str_t string_to_sign, u_char hex[S3_SHA256_HEX_LEN])
{
    u_char  mac[S3_SHA256_LEN];

    if (EVP_MD_CTX_copy_ex(s->ctx, k->inner) != 1
        || EVP_DigestUpdate(s->ctx, string_to_sign.data, string_to_sign.len)
           != 1
        || EVP_DigestFinal_ex(s->ctx, mac, NULL) != 1
        || EVP_MD_CTX_copy_ex(s->ctx, k->outer) != 1
        || EVP_DigestUpdate(s->ctx, mac, S3_SHA256_LEN) != 1
        || EVP_DigestFinal_ex(s->ctx, mac, NULL) != 1)
    {
        return -1;
    }

    (void) s3_sigv4_hex(hex, mac, S3_SHA256_LEN);

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


/* RFC 2104; "mac" may be the key */

static int
s3_sigv4_hmac(s3_sigv4_t *s, u_char mac[S3_SHA256_LEN], s3_str_t key,
    s3_str_t data)
{
    int       rc;
    u_char    hash[S3_SHA256_LEN], inner[S3_SHA256_LEN];
    s3_str_t  k;

    k = key;
    rc = 0;

    if (key.len > S3_SHA256_BLOCK) {
        k.data = hash;
        k.len = S3_SHA256_LEN;

        rc = s3_sigv4_hash(s, key, hash);
    }

    if (rc != 0
        || s3_sigv4_pad(s, s->ctx, k, 0x36) != 0
        || EVP_DigestUpdate(s->ctx, data.data, data.len) != 1
        || EVP_DigestFinal_ex(s->ctx, inner, NULL) != 1
        || s3_sigv4_pad(s, s->ctx, k, 0x5c) != 0
        || EVP_DigestUpdate(s->ctx, inner, S3_SHA256_LEN) != 1
        || EVP_DigestFinal_ex(s->ctx, mac, NULL) != 1)
    {
        rc = -1;
    }

    OPENSSL_cleanse(hash, sizeof(hash));
    OPENSSL_cleanse(inner, sizeof(inner));

    return rc;
}


/* starts "ctx" with the key, padded to a block; key.len <= a block */

static int
s3_sigv4_pad(s3_sigv4_t *s, EVP_MD_CTX *ctx, s3_str_t key, u_char byte)
{
    int     rc;
    size_t  i;
    u_char  block[S3_SHA256_BLOCK];

    memset(block, byte, S3_SHA256_BLOCK);

    for (i = 0; i < key.len; i++) {
        block[i] ^= key.data[i];
    }

    rc = 0;

    if (EVP_DigestInit_ex2(ctx, s->sha256, NULL) != 1
        || EVP_DigestUpdate(ctx, block, S3_SHA256_BLOCK) != 1)
    {
        rc = -1;
    }

    OPENSSL_cleanse(block, sizeof(block));

    return rc;
}


static u_char *
s3_sigv4_hex(u_char *dst, const u_char *src, size_t len)
{
    static const u_char  hex[] = "0123456789abcdef";

    while (len--) {
        *dst++ = hex[*src >> 4];
        *dst++ = hex[*src++ & 0xf];
    }

    return dst;
}
