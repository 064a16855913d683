
#include "s3_uri.h"


static int s3_uri_hex(u_char c);
static u_char s3_uri_escaped(const u_char *p);


/* 3 and 2 are S3_URI_UNRESERVED and S3_URI_SLASH */

const u_char  s3_uri_class[256] = {
    ['-'] = 3, ['.'] = 3, ['_'] = 3, ['~'] = 3, ['/'] = 2,

    ['0'] = 3, ['1'] = 3, ['2'] = 3, ['3'] = 3, ['4'] = 3,
    ['5'] = 3, ['6'] = 3, ['7'] = 3, ['8'] = 3, ['9'] = 3,

    ['A'] = 3, ['B'] = 3, ['C'] = 3, ['D'] = 3, ['E'] = 3, ['F'] = 3,
    ['G'] = 3, ['H'] = 3, ['I'] = 3, ['J'] = 3, ['K'] = 3, ['L'] = 3,
    ['M'] = 3, ['N'] = 3, ['O'] = 3, ['P'] = 3, ['Q'] = 3, ['R'] = 3,
    ['S'] = 3, ['T'] = 3, ['U'] = 3, ['V'] = 3, ['W'] = 3, ['X'] = 3,
    ['Y'] = 3, ['Z'] = 3,

    ['a'] = 3, ['b'] = 3, ['c'] = 3, ['d'] = 3, ['e'] = 3, ['f'] = 3,
    ['g'] = 3, ['h'] = 3, ['i'] = 3, ['j'] = 3, ['k'] = 3, ['l'] = 3,
    ['m'] = 3, ['n'] = 3, ['o'] = 3, ['p'] = 3, ['q'] = 3, ['r'] = 3,
    ['s'] = 3, ['t'] = 3, ['u'] = 3, ['v'] = 3, ['w'] = 3, ['x'] = 3,
    ['y'] = 3, ['z'] = 3
};


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
s3_uri_span(s3_str_t s, size_t i, s3_uri_part_t part)
{
    while (s.len >= i + 4
           && s3_uri_class[s.data[i]] & s3_uri_class[s.data[i + 1]]
              & s3_uri_class[s.data[i + 2]] & s3_uri_class[s.data[i + 3]]
              & part)
    {
        i += 4;
    }

    while (i < s.len && s3_uri_class[s.data[i]] & part) {
        i++;
    }

    return i;
}


size_t
s3_uri_encoded_len(s3_str_t src, s3_uri_part_t part)
{
    size_t  i, len;

    len = src.len;

    for (i = s3_uri_span(src, 0, part); i < src.len; i++) {
        if (!(s3_uri_class[src.data[i]] & part)) {
            len += 2;
        }
    }

    return len;
}


static u_char *
s3_uri_encode_byte(u_char *dst, u_char c, s3_uri_part_t part)
{
    static const u_char  hex[] = "0123456789ABCDEF";

    if (s3_uri_class[c] & part) {
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
    size_t    i;
    s3_str_t  kept;

    kept.data = src.data;
    kept.len = s3_uri_span(src, 0, part);

    dst = s3_put(dst, kept);

    for (i = kept.len; i < src.len; i++) {
        dst = s3_uri_encode_byte(dst, src.data[i], part);
    }

    return dst;
}


size_t
s3_uri_recoded_len(s3_str_t src, s3_uri_part_t part)
{
    u_char  c;
    size_t  i, len;

    i = s3_uri_span(src, 0, part);
    len = i;

    for ( /* void */ ; i < src.len; i++) {
        c = src.data[i];

        if (c == '%' && src.len - i > 2) {
            c = s3_uri_escaped(src.data + i + 1);
            i += 2;
        }

        len += s3_uri_class[c] & part ? 1 : 3;
    }

    return len;
}


u_char *
s3_uri_recode(u_char *dst, s3_str_t src, s3_uri_part_t part)
{
    u_char    c;
    size_t    i;
    s3_str_t  kept;

    kept.data = src.data;
    kept.len = s3_uri_span(src, 0, part);

    dst = s3_put(dst, kept);

    for (i = kept.len; i < src.len; i++) {
        c = src.data[i];

        if (c == '%' && src.len - i > 2) {
            c = s3_uri_escaped(src.data + i + 1);
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

    for (i = s3_uri_span(s, 0, S3_URI_PATH); i < s.len; i++) {
        c = s.data[i];

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
    u_char  *p, *last;

    last = s.data + s.len;

    for (p = s.data; p < last; p++) {

        p = memchr(p, '.', (size_t) (last - p));

        if (p == NULL) {
            return 0;
        }

        if (p != s.data && p[-1] != '/') {
            continue;
        }

        if (p + 1 < last && p[1] == '.') {
            p++;
        }

        if (p + 1 == last || p[1] == '/') {
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


/* the byte of two hexadecimal digits */

static u_char
s3_uri_escaped(const u_char *p)
{
    return (u_char) ((unsigned) s3_uri_hex(p[0]) << 4
                     | (unsigned) s3_uri_hex(p[1]));
}
