
/*
 * What one signature costs, from the canonical request to the hexadecimal
 * digits, beside the SHA-256 blocks in it: hashed at a stretch, where nothing
 * but the compression function counts.
 *
 * usage: signature          nanoseconds, medians of interleaved rounds
 *
 * Fails if the ratio is over TARGET.
 */


#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../src/s3_sigv4.h"


#define TARGET  1.4
#define ROUNDS  101
#define EACH    2000


static void setup(void);
static size_t blocks(size_t len);
static void hash_blocks(void);
static void sign(void);
static void sign_all_stages(void);
static void derive(void);
static double round_of(void (*what)(void));
static int compare(const void *one, const void *two);
static void check(int ok);


static const struct {
    const char  *name;
    void       (*what)(void);
} cases[] = {
    { "its SHA-256 blocks, bare", hash_blocks },
    { "a signature", sign },
    { "and the canonical request", sign_all_stages },
    { "a signing key, derived", derive }
};

#define NCASES  (sizeof(cases) / sizeof(cases[0]))


/* the facts of AWS's examples, the request of the module's own tests */

#define ID  "0000015a-df89-51d0-2790-dee1ac994053"

static s3_str_t            secret =
    s3_string("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
static s3_str_t            when = s3_string("20170318T035641Z");
static s3_str_t            date = s3_string("20170318");
static s3_str_t            region = s3_string("kr-standard");
static s3_str_t            service = s3_string("s3");
static s3_str_t            scope =
    s3_string("20170318/kr-standard/s3/aws4_request");

static s3_sigv4_header_t   headers[] = {
    { s3_string("host"), s3_string("kr.object.ncloudstorage.com") },
    { s3_string("x-amz-content-sha256"), s3_string(S3_SHA256_OF_EMPTY) },
    { s3_string("x-amz-date"), s3_string("20170318T035641Z") }
};

static s3_sigv4_request_t  request = {
    s3_string("DELETE"),
    s3_string("/some-bucket/multipart-object-123"),
    s3_string("uploadId=" ID),
    headers, 3,
    s3_string(S3_SHA256_OF_EMPTY)
};

static const char          expected[] =
    "581da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6";

static s3_sigv4_t          sigv4;
static s3_sigv4_key_t      key;
static u_char              canonical_buf[1024], to_sign_buf[1024];
static s3_str_t            canonical, to_sign;
static size_t              nblocks;
static u_char             *stretch;


int
main(void)
{
    size_t         i, n;
    double         ratio, median[NCASES];
    static double  ns[NCASES][ROUNDS];

    setup();

    for (n = 0; n < ROUNDS; n++) {
        for (i = 0; i < NCASES; i++) {
            ns[i][n] = round_of(cases[i].what);
        }
    }

    printf("%-40s %8s %6s\n", "nanoseconds", "", "ratio");

    for (i = 0; i < NCASES; i++) {
        qsort(ns[i], ROUNDS, sizeof(double), compare);
        median[i] = ns[i][ROUNDS / 2];

        printf("%-40s %8.0f %6.2f\n", cases[i].name, median[i],
               median[i] / median[0]);
    }

    ratio = median[1] / median[0];

    printf("%zu blocks; target of the signature: %.1f\n", nblocks, TARGET);

    return ratio > TARGET;
}


static void
setup(void)
{
    u_char  hex[S3_SHA256_HEX_LEN];

    check(s3_sigv4_init(&sigv4) == 0);
    check(s3_sigv4_signing_key(&sigv4, &key, secret, date, region, service)
          == 0);

    sign_all_stages();

    check(s3_sigv4_signature(&sigv4, &key, to_sign, hex) == 0);
    check(memcmp(hex, expected, S3_SHA256_HEX_LEN) == 0);

    /* behind an inner and an outer block of the key */

    nblocks = blocks(canonical.len) + 1 + blocks(to_sign.len)
              + 1 + blocks(S3_SHA256_LEN);

    stretch = calloc(EACH * nblocks, S3_SHA256_BLOCK);
    check(stretch != NULL);
}


/* with the 9 bytes or more of padding */

static size_t
blocks(size_t len)
{
    return (len + 9 + S3_SHA256_BLOCK - 1) / S3_SHA256_BLOCK;
}


static void
hash_blocks(void)
{
    u_char  hash[S3_SHA256_LEN];

    /* all at once: EACH times what a signature hashes */

    check(EVP_DigestInit_ex2(sigv4.ctx, sigv4.sha256, NULL) == 1
          && EVP_DigestUpdate(sigv4.ctx, stretch, EACH * nblocks * S3_SHA256_BLOCK) == 1
          && EVP_DigestFinal_ex(sigv4.ctx, hash, NULL) == 1);
}


static void
sign(void)
{
    int     i;
    u_char  hex[S3_SHA256_HEX_LEN];

    for (i = 0; i < EACH; i++) {
        check(s3_sigv4_string_to_sign(&sigv4, to_sign.data, when, scope,
                                      canonical)
              == 0
              && s3_sigv4_signature(&sigv4, &key, to_sign, hex) == 0);
    }
}


static void
sign_all_stages(void)
{
    int     i;
    u_char  hex[S3_SHA256_HEX_LEN];

    canonical.data = canonical_buf;
    to_sign.data = to_sign_buf;
    to_sign.len = s3_sigv4_string_to_sign_len(scope);

    for (i = 0; i < EACH; i++) {
        canonical.len = (size_t) (s3_sigv4_canonical_request(canonical_buf,
                                                             &request)
                                  - canonical_buf);

        check(s3_sigv4_string_to_sign(&sigv4, to_sign.data, when, scope,
                                      canonical)
              == 0
              && s3_sigv4_signature(&sigv4, &key, to_sign, hex) == 0);
    }
}


static void
derive(void)
{
    int             i;
    s3_sigv4_key_t  k;

    for (i = 0; i < EACH; i++) {
        check(s3_sigv4_signing_key(&sigv4, &k, secret, date, region, service)
              == 0);
    }
}


/* nanoseconds of one, of CPU time: others may use the machine */

static double
round_of(void (*what)(void))
{
    struct timespec  from, to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    what();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);

    return ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec))
           / EACH;
}


static int
compare(const void *one, const void *two)
{
    double  a = *(const double *) one;
    double  b = *(const double *) two;

    return (a > b) - (a < b);
}


static void
check(int ok)
{
    if (!ok) {
        fprintf(stderr, "signature: OpenSSL failed, or a wrong signature\n");
        exit(1);
    }
}
