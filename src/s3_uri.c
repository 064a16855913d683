
#include "s3_uri.h"


static int  s3_uri_hex(u_char c);


/* 1 and 2 are S3_URI_UNRESERVED and S3_URI_SLASH */

const u_char  s3_uri_class[256] = {
    ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['/'] = 2,

    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1,
    ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,

    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
    ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1,
    ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1,
    ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
    ['Y'] = 1, ['Z'] = 1,

    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1,
    ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1,
    ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1,
    ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1
};


#define s3_uri_keep(c, part)                                                 \
    (s3_uri_is_unreserved(c)                                                 \
     || (s3_uri_class[c] == S3_URI_SLASH && (part) == S3_URI_PATH))


size_t
s3_uri_decode(u_char *dst, s3_str_t src)
{
    int      hi, lo;
    u_char  *p, *last, *start;

    start = dst;
    last = src.data + src.len;

    for (p = src.data; p < last; p++) {

        if (*p != '%') {
            *dst++ = *p;
            continue;
        }

        if (last - p < 3) {
            return S3_URI_INVALID;
        }

        hi = s3_uri_hex(p[1]);
        lo = s3_uri_hex(p[2]);

        if (hi < 0 || lo < 0) {
            return S3_URI_INVALID;
        }

        *dst++ = (u_char) (hi << 4 | lo);
        p += 2;
    }

    return (size_t) (dst - start);
}


size_t
s3_uri_encoded_len(s3_str_t src, s3_uri_part_t part)
{
    size_t  i, len;

    len = src.len;

    for (i = 0; i < src.len; i++) {
        if (!s3_uri_keep(src.data[i], part)) {
            len += 2;
        }
    }

    return len;
}


static u_char *
s3_uri_encode_byte(u_char *dst, u_char c, s3_uri_part_t part)
{
    static const u_char  hex[] = "0123456789ABCDEF";

    if (s3_uri_keep(c, part)) {
        *dst++ = c;
        return dst;
    }

    *dst++ = '%';
    *dst++ = hex[c >> 4];
    *dst++ = hex[c & 0xf];

    return dst;
}


u_char *
s3_uri_encode(u_char *dst, s3_str_t src, s3_uri_part_t part)
{
    size_t  i;

    for (i = 0; i < src.len; i++) {
        dst = s3_uri_encode_byte(dst, src.data[i], part);
    }

    return dst;
}


size_t
s3_uri_recoded_len(s3_str_t src, s3_uri_part_t part)
{
    u_char  c;
    size_t  i, len;

    len = 0;

    for (i = 0; i < src.len; i++) {
        c = src.data[i];

        if (c == '%' && src.len - i > 2) {
            c = (u_char) (s3_uri_hex(src.data[i + 1]) << 4
                          | s3_uri_hex(src.data[i + 2]));
            i += 2;
        }

        len += s3_uri_keep(c, part) ? 1 : 3;
    }

    return len;
}


u_char *
s3_uri_recode(u_char *dst, s3_str_t src, s3_uri_part_t part)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < src.len; i++) {
        c = src.data[i];

        if (c == '%' && src.len - i > 2) {
            c = (u_char) (s3_uri_hex(src.data[i + 1]) << 4
                          | s3_uri_hex(src.data[i + 2]));
            i += 2;
        }

        dst = s3_uri_encode_byte(dst, c, part);
    }

    return dst;
}


int
s3_uri_is_text(s3_str_t s)
{
    u_char    c;
    size_t    i, n;
    unsigned  code, min;

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (s3_uri_class[c]) {
            continue;
        }

        if (c < 0x80) {
            if (c < 0x20 || c == 0x7f) {
                return 0;
            }

            continue;
        }

        if (c >= 0xc2 && c <= 0xdf) {
            n = 1;
            code = c & 0x1f;
            min = 0x80;

        } else if (c >= 0xe0 && c <= 0xef) {
            n = 2;
            code = c & 0x0f;
            min = 0x800;

        } else if (c >= 0xf0 && c <= 0xf4) {
            n = 3;
            code = c & 0x07;
            min = 0x10000;

        } else {
            return 0;
        }

        if (s.len - i <= n) {
            return 0;
        }

        while (n--) {
            c = s.data[++i];

            if ((c & 0xc0) != 0x80) {
                return 0;
            }

            code = code << 6 | (c & 0x3f);
        }

        if (code < min || code > 0x10ffff
            || (code >= 0xd800 && code <= 0xdfff))
        {
            return 0;
        }
    }

    return 1;
}


int
s3_uri_has_dot_segment(s3_str_t s)
{
    size_t   len;
    u_char  *p, *last, *next;

    last = s.data + s.len;

    for (p = s.data; p < last; p = next + 1) {

        next = memchr(p, '/', (size_t) (last - p));
        if (next == NULL) {
            next = last;
        }

        len = (size_t) (next - p);

        if ((len == 1 && p[0] == '.')
            || (len == 2 && p[0] == '.' && p[1] == '.'))
        {
            return 1;
        }
    }

    return 0;
}


static int
s3_uri_hex(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return -1;
}
