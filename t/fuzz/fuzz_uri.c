
/*
 * Input: any bytes.  Decoding, encoding and recoding, and the checks of a
 * decoded key, against second implementations that are slow and simple.
 */


#include "fuzz.h"
#include "s3_uri.h"


static void encode(s3_str_t s, s3_uri_part_t part);
static void recode(s3_str_t s, s3_str_t decoded, s3_uri_part_t part);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long       n;
    u_char    *naive, *dst;
    size_t     len;
    s3_str_t   s, decoded;

    s = fuzz_copy(data, size);
    naive = fuzz_alloc(size);
    dst = fuzz_alloc(size);

    encode(s, S3_URI_PATH);
    encode(s, S3_URI_QUERY);

    fuzz_assert(!s3_uri_is_text(s) == !fuzz_is_text(s));
    fuzz_assert(!s3_uri_has_dot_segment(s) == !fuzz_has_dot_segment(s));

    n = fuzz_decode(naive, s);
    len = s3_uri_decode(dst, s);

    fuzz_assert((n == -1) == (len == S3_URI_INVALID));

    if (n >= 0) {
        fuzz_assert(len == (size_t) n && memcmp(dst, naive, len) == 0);

        decoded.data = dst;
        decoded.len = len;

        recode(s, decoded, S3_URI_PATH);
        recode(s, decoded, S3_URI_QUERY);

        /* in place */

        fuzz_assert(s3_uri_decode(s.data, s) == len);
        fuzz_assert(memcmp(s.data, naive, len) == 0);
    }

    fuzz_free(dst, size);
    fuzz_free(naive, size);
    fuzz_free(s.data, size);

    return 0;
}


static void
encode(s3_str_t s, s3_uri_part_t part)
{
    size_t     len;
    u_char    *naive, *dst, *back;
    s3_str_t   e;

    len = s3_uri_encoded_len(s, part);
    dst = fuzz_alloc(len);
    naive = fuzz_alloc(3 * s.len);

    fuzz_assert(s3_uri_encode(dst, s, part) == dst + len);
    fuzz_assert(fuzz_encode(naive, s, part == S3_URI_PATH) == len);
    fuzz_assert(memcmp(dst, naive, len) == 0);

    e.data = dst;
    e.len = len;
    back = fuzz_alloc(len);

    fuzz_assert(s3_uri_decode(back, e) == s.len);
    fuzz_assert(memcmp(back, s.data, s.len) == 0);

    fuzz_free(back, len);
    fuzz_free(naive, 3 * s.len);
    fuzz_free(dst, len);
}


static void
recode(s3_str_t s, s3_str_t decoded, s3_uri_part_t part)
{
    size_t   len;
    u_char  *naive, *dst;

    len = s3_uri_recoded_len(s, part);
    dst = fuzz_alloc(len);
    naive = fuzz_alloc(3 * decoded.len);

    fuzz_assert(s3_uri_recode(dst, s, part) == dst + len);
    fuzz_assert(fuzz_encode(naive, decoded, part == S3_URI_PATH) == len);
    fuzz_assert(memcmp(dst, naive, len) == 0);

    fuzz_free(naive, 3 * decoded.len);
    fuzz_free(dst, len);
}
