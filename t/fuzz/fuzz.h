
/*
 * What the fuzz targets share.  A target reads its input as text, so that
 * seeds can be written and findings be read.
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3_string.h"


#define fuzz_assert(condition)                                               \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
            abort();                                                         \
        }                                                                    \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* memory of exactly this size, so that AddressSanitizer sees its ends */

static inline u_char *
fuzz_alloc(size_t size)
{
    u_char  *p;

    p = malloc(size ? size : 1);
    fuzz_assert(p != NULL);

    /* one byte that was not asked for is not to be touched */

    return size ? p : p + 1;
}


static inline void
fuzz_free(u_char *p, size_t size)
{
    free(size ? p : p - 1);
}


static inline s3_str_t
fuzz_copy(const void *data, size_t size)
{
    s3_str_t  s;

    s.len = size;
    s.data = fuzz_alloc(size);

    if (size) {
        memcpy(s.data, data, size);
    }

    return s;
}


static inline s3_str_t
fuzz_str(const char *text)
{
    s3_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


/* cuts a line, without its line feed, off the front of *s */

static inline s3_str_t
fuzz_line(s3_str_t *s)
{
    s3_str_t  line;

    line = *s;

    for (line.len = 0; line.len < s->len; line.len++) {
        if (s->data[line.len] == '\n') {
            break;
        }
    }

    s->data += line.len;
    s->len -= line.len;

    if (s->len) {
        s->data++;
        s->len--;
    }

    return line;
}


static inline int
fuzz_hex(int c)
{
    static const char  digits[] = "0123456789abcdef0123456789ABCDEF";

    const char  *p;

    p = c ? strchr(digits, c) : NULL;

    return p ? (int) (p - digits) % 16 : -1;
}


/* percent-decoding, once; -1 on a bad escape */

static inline long
fuzz_decode(u_char *dst, s3_str_t s)
{
    long    n = 0;
    size_t  i;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '%') {

            if (i + 2 >= s.len || fuzz_hex(s.data[i + 1]) < 0
                || fuzz_hex(s.data[i + 2]) < 0)
            {
                return -1;
            }

            dst[n++] = (u_char) (fuzz_hex(s.data[i + 1]) * 16
                                 + fuzz_hex(s.data[i + 2]));
            i += 2;
            continue;
        }

        dst[n++] = s.data[i];
    }

    return n;
}


/* percent-encoding into room for three times the length */

static inline size_t
fuzz_encode(u_char *dst, s3_str_t s, int slash)
{
    static const char  keep[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    char    hex[4];
    size_t  i, n = 0;

    for (i = 0; i < s.len; i++) {

        if ((s.data[i] && strchr(keep, s.data[i]))
            || (slash && s.data[i] == '/'))
        {
            dst[n++] = s.data[i];
            continue;
        }

        snprintf(hex, sizeof(hex), "%%%02X", s.data[i]);
        memcpy(dst + n, hex, 3);
        n += 3;
    }

    return n;
}


/* UTF-8 without control characters, by way of the code points */

static inline int
fuzz_is_text(s3_str_t s)
{
    size_t    i, k, n;
    uint32_t  c;

    static const uint32_t  least[] = { 0, 0x80, 0x800, 0x10000 };

    for (i = 0; i < s.len; i += n + 1) {
        c = s.data[i];
        n = c < 0x80 ? 0 : c < 0xc0 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2
            : c < 0xf8 ? 3 : 9;

        if (n == 9 || n >= s.len - i) {
            return 0;
        }

        c &= n ? 0x3fu >> n : 0x7f;

        for (k = 1; k <= n; k++) {
            if (s.data[i + k] >> 6 != 2) {
                return 0;
            }

            c = c * 64 + s.data[i + k] % 64;
        }

        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)
            || c < 0x20 || c == 0x7f)
        {
            return 0;
        }
    }

    return 1;
}


/* nothing else, or nothing at all */

static inline int
fuzz_is_slashes(s3_str_t s)
{
    size_t  i, n;

    for (i = 0, n = 0; i < s.len; i++) {
        n += (s.data[i] != '/');
    }

    return n == 0;
}


static inline int
fuzz_has_dot_segment(s3_str_t s)
{
    size_t  i, start;

    for (i = 0, start = 0; i <= s.len; i++) {

        if (i < s.len && s.data[i] != '/') {
            continue;
        }

        if (i > start && i - start <= 2 && s.data[start] == '.'
            && s.data[i - 1] == '.')
        {
            return 1;
        }

        start = i + 1;
    }

    return 0;
}


/* of an upload id "VVVVTTTT-TTTT-TTTT-...": Unix milliseconds, or -1 */

static inline int64_t
fuzz_upload_msec(s3_str_t id)
{
    char       text[13];
    size_t     i, n;
    long long  msec;

    for (i = 0, n = 0; i < id.len; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (id.data[i] != '-') {
                return -1;
            }

        } else if (fuzz_hex(id.data[i]) < 0) {
            return -1;

        } else if (i >= 4 && n < 12) {
            text[n++] = (char) id.data[i];
        }
    }

    if (id.len != 36) {
        return -1;
    }

    text[12] = '\0';
    msec = strtoll(text, NULL, 16);

    return msec ? msec : -1;
}


#endif /* _FUZZ_H_INCLUDED_ */
