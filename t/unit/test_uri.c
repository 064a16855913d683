
#include "s3_uri.h"
#include "unit.h"


static void test_decode(void);
static void test_encode(void);
static void test_recode(void);
static void test_text(void);
static void test_dot_segment(void);


int
main(void)
{
    test_decode();
    test_encode();
    test_recode();
    test_text();
    test_dot_segment();

    return done();
}


static int
hex(int c)
{
    return c >= '0' && c <= '9' ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}


static int
unreserved(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_'
           || c == '~';
}


static void
test_decode(void)
{
    int       a, b, n;
    size_t    i, len;
    s3_str_t  s, dst;

    static const struct {
        const char  *text;
        const char  *decoded;
        const char  *name;
    } good[] = {
        { "", "", "nothing" },
        { "a", "a", "one byte" },
        { "/b/k?x=y&z;#\\\"<>^|`{} ", "/b/k?x=y&z;#\\\"<>^|`{} ",
          "bytes that are no escape" },
        { "a+b", "a+b", "a plus" },
        { "a%2Bb%2bc", "a+b+c", "encoded pluses" },
        { "a%20b", "a b", "a space" },
        { "%2f%2F/", "///", "slashes" },
        { "%7E%7e~", "~~~", "tildes" },
        { "%252F", "%2F", "decoded once" },
        { "%25%32%65", "%2e", "decoded once, digits encoded" },
        { "%41", "A", "one escape" },
        { "%ea%B0%80%EB%82%98.bin", "\xea\xb0\x80\xeb\x82\x98.bin",
          "Korean" },
        { "\xea\xb0\x80", "\xea\xb0\x80", "raw bytes beyond ASCII" },
        { "%0d%0A", "\r\n", "control bytes" }
    };

    static const char  *bad[] = {
        "%", "%1", "a%", "a%4", "%zz", "%g0", "%0g", "%%", "%%30", "%-1",
        "%+1", "% 1", "%1 ", "%0x41", "ab%c", "%u0041", "%\xea\xb0", "%41%",
        "%4/", "%/4", "%:0", "%0:", "%@0", "%0@", "%`0", "%0`", "%G0", "%0G"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        s = guard_z(good[i].text);
        dst.data = guard_room(s.len);
        dst.len = s3_uri_decode(dst.data, s);

        is_text(dst, good[i].decoded, "decode: %s", good[i].name);

        dst.data = s.data;
        dst.len = s3_uri_decode(s.data, s);

        is_text(dst, good[i].decoded, "decode in place: %s", good[i].name);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s = guard_z(bad[i]);

        ok(s3_uri_decode(guard_room(s.len), s) == S3_URI_INVALID,
           "a bad escape: \"%s\"", bad[i]);
    }

    s = S("%00");
    dst.data = guard_room(s.len);
    dst.len = s3_uri_decode(dst.data, s);
    is_str(dst, S("\0"), "decode: a NUL");

    /* all pairs of bytes behind a percent sign */

    n = 0;
    s = S("%xx");
    dst.data = guard_room(3);

    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            s.data[1] = (u_char) a;
            s.data[2] = (u_char) b;

            len = s3_uri_decode(dst.data, s);

            if (hex(a) < 0 || hex(b) < 0) {
                n += len != S3_URI_INVALID;

            } else {
                n += len != 1 || dst.data[0] != hex(a) * 16 + hex(b);
            }
        }
    }

    is_int(n, 0, "decode: all escapes");

    /* an escape that the end cuts, as long as the buffer is longer */

    s = S("ab%41");
    s.len = 4;
    ok(s3_uri_decode(guard_room(4), s) == S3_URI_INVALID, "a cut escape");
}


static s3_str_t
encode(s3_str_t s, s3_uri_part_t part)
{
    size_t    len;
    s3_str_t  dst;

    len = s3_uri_encoded_len(s, part);
    dst.data = guard_room(len);
    dst.len = (size_t) (s3_uri_encode(dst.data, s, part) - dst.data);

    if (dst.len != len) {
        ok(0, "encoded length: %zu, wrote %zu", len, dst.len);
    }

    return dst;
}


static s3_str_t
recode(s3_str_t s, s3_uri_part_t part)
{
    size_t    len;
    s3_str_t  dst;

    len = s3_uri_recoded_len(s, part);
    dst.data = guard_room(len);
    dst.len = (size_t) (s3_uri_recode(dst.data, s, part) - dst.data);

    if (dst.len != len) {
        ok(0, "recoded length: %zu, wrote %zu", len, dst.len);
    }

    return dst;
}


static void
test_encode(void)
{
    int        c, n;
    size_t     i;
    s3_str_t   s, e, d;
    char       expected[8];

    static const struct {
        const char  *text;
        const char  *path;
        const char  *query;
        const char  *name;
    } cases[] = {
        { "", "", "", "nothing" },
        { "multipart-object-123", "multipart-object-123",
          "multipart-object-123", "unreserved bytes" },
        { "a+b&c=d%e~_-.(x)!*'", "a%2Bb%26c%3Dd%25e~_-.%28x%29%21%2A%27",
          "a%2Bb%26c%3Dd%25e~_-.%28x%29%21%2A%27", "a hard key" },
        { "a b/\xea\xb0\x80\xeb\x82\x98.bin",
          "a%20b/%EA%B0%80%EB%82%98.bin", "a%20b%2F%EA%B0%80%EB%82%98.bin",
          "Korean" },
        { "//a//", "//a//", "%2F%2Fa%2F%2F", "slashes" },
        { "%2F", "%252F", "%252F", "what looks like an escape" },
        { "mac@2x.png", "mac%402x.png", "mac%402x.png", "an at sign" },
        { ":,$;\"<>\\^`{|}#?[]", "%3A%2C%24%3B%22%3C%3E%5C%5E%60%7B%7C%7D%23"
          "%3F%5B%5D", "%3A%2C%24%3B%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D",
          "other reserved bytes" },
        { "2~AbC-_id+1=", "2~AbC-_id%2B1%3D", "2~AbC-_id%2B1%3D",
          "an upload id" },
        { "k.", "k.", "k.", "a dot at the end" },
        { "k ", "k%20", "k%20", "a space at the end" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = guard_z(cases[i].text);

        is_text(encode(s, S3_URI_PATH), cases[i].path, "encode a path: %s",
                cases[i].name);
        is_text(encode(s, S3_URI_QUERY), cases[i].query,
                "encode a query: %s", cases[i].name);
    }

    s = S("x");
    n = 0;

    for (c = 0; c < 256; c++) {
        s.data[0] = (u_char) c;

        (void) snprintf(expected, sizeof(expected),
                        unreserved(c) ? "%c" : "%%%02X", c);

        e.data = (u_char *) expected;
        e.len = strlen(expected);

        n += !s3_str_eq(encode(s, S3_URI_QUERY), e);
        n += !s3_uri_is_unreserved(c) != !unreserved(c);
        n += (s3_uri_class[c] == S3_URI_SLASH) != (c == '/');

        if (c == '/') {
            e = S("/");
        }

        n += !s3_str_eq(encode(s, S3_URI_PATH), e);
    }

    is_int(n, 0, "encode: every byte");

    /* decoding is the way back */

    n = 0;

    for (i = 0; i < 2000; i++) {
        s = guard_fill(0, unit_random() % 64);

        for (c = 0; (size_t) c < s.len; c++) {
            s.data[c] = (u_char) (unit_random() >> 8);
        }

        e = encode(s, i & 1 ? S3_URI_PATH : S3_URI_QUERY);
        d.data = guard_room(e.len);
        d.len = s3_uri_decode(d.data, e);

        n += !s3_str_eq(s, d);
    }

    is_int(n, 0, "decode(encode(x)) is x");
}


static void
test_recode(void)
{
    int       n;
    size_t    i, j, len;
    s3_str_t  s, d, e;
    u_char    raw[32], text[96];

    static const struct {
        const char  *text;
        const char  *path;
        const char  *query;
        const char  *name;
    } cases[] = {
        { "", "", "", "nothing" },
        { "/b/k", "/b/k", "%2Fb%2Fk", "a plain path" },
        { "%7e~%7E", "~~~", "~~~", "spellings of a tilde" },
        { "/%2f%2F", "///", "%2F%2F%2F", "spellings of a slash" },
        { "%61%41", "aA", "aA", "needless escapes" },
        { "a+b%2Bc%2bd", "a%2Bb%2Bc%2Bd", "a%2Bb%2Bc%2Bd",
          "spellings of a plus" },
        { "a%20b", "a%20b", "a%20b", "a space" },
        { "%252F", "%252F", "%252F", "decoded once" },
        { "%ea%b0%80\xeb\x82\x98", "%EA%B0%80%EB%82%98",
          "%EA%B0%80%EB%82%98", "raw and encoded Korean" },
        { "!'()*", "%21%27%28%29%2A", "%21%27%28%29%2A", "JavaScript's five" },
        { "2~AbC-_id+1=", "2~AbC-_id%2B1%3D", "2~AbC-_id%2B1%3D",
          "minio-js's raw upload id" },
        { "/a//b/./c/../d", "/a//b/./c/../d", "%2Fa%2F%2Fb%2F.%2Fc%2F..%2Fd",
          "nothing is normalised" },
        { "%00%0d", "%00%0D", "%00%0D", "control bytes" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = guard_z(cases[i].text);

        is_text(recode(s, S3_URI_PATH), cases[i].path, "recode a path: %s",
                cases[i].name);
        is_text(recode(s, S3_URI_QUERY), cases[i].query,
                "recode a query: %s", cases[i].name);
    }

    /* any spelling of random bytes gives what encoding them gives */

    n = 0;

    for (i = 0; i < 3000; i++) {

        s3_uri_part_t  part = i & 1 ? S3_URI_PATH : S3_URI_QUERY;

        len = 0;
        d.len = unit_random() % sizeof(raw);
        d.data = raw;

        for (j = 0; j < d.len; j++) {
            raw[j] = (u_char) (unit_random() >> 8);

            if (unit_random() & 1) {
                raw[j] = 0x20 + raw[j] % 0x60;
            }

            switch (raw[j] == '%' ? 0 : unit_random() % 3) {
            case 0:
                len += (size_t) sprintf((char *) text + len, "%%%02x",
                                        raw[j]);
                break;

            case 1:
                len += (size_t) sprintf((char *) text + len, "%%%02X",
                                        raw[j]);
                break;

            default:
                text[len++] = raw[j];
            }
        }

        s = guard(text, len);
        e = encode(d, part);

        n += !s3_str_eq(recode(s, part), e);
        n += !s3_str_eq(recode(e, part), e);
    }

    is_int(n, 0, "recode: all spellings give one result");
}


/* RFC 3629, by the numbers */

static int
naive_utf8(const u_char *p, size_t len)
{
    size_t    i, n;
    uint32_t  c;

    for (i = 0; i < len; /* void */ ) {

        if (p[i] < 0x80) {
            if (p[i] < 0x20 || p[i] == 0x7f) {
                return 0;
            }

            i++;
            continue;
        }

        if ((p[i] & 0xe0) == 0xc0) {
            n = 1;
            c = p[i] & 0x1f;

        } else if ((p[i] & 0xf0) == 0xe0) {
            n = 2;
            c = p[i] & 0x0f;

        } else if ((p[i] & 0xf8) == 0xf0) {
            n = 3;
            c = p[i] & 0x07;

        } else {
            return 0;
        }

        if (n > len - i - 1) {
            return 0;
        }

        i++;

        while (n-- > 0) {
            if ((p[i] & 0xc0) != 0x80) {
                return 0;
            }

            c = c << 6 | (p[i++] & 0x3f);
        }

        n = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || n == 0) {
            return 0;
        }

        /* the length must be the least */

        if ((n == 1 && (p[i - 2] & 0xe0) != 0xc0)
            || (n == 2 && (p[i - 3] & 0xf0) != 0xe0)
            || (n == 3 && (p[i - 4] & 0xf8) != 0xf0))
        {
            return 0;
        }
    }

    return 1;
}


static void
test_text(void)
{
    int       c, n;
    size_t    i, j, len;
    s3_str_t  s;

    static const struct {
        const char  *text;
        int          valid;
        const char  *name;
    } cases[] = {
        { "", 1, "nothing" },
        { "plain/key.txt", 1, "ASCII" },
        { " ", 1, "a space" },
        { "\x7e", 1, "U+007E" },
        { "\xc2\x80", 1, "U+0080" },
        { "\xc2\xa0", 1, "U+00A0" },
        { "\xdf\xbf", 1, "U+07FF" },
        { "\xe0\xa0\x80", 1, "U+0800" },
        { "\xea\xb0\x80\xeb\x82\x98", 1, "Korean" },
        { "\xe1\x84\x80\xe1\x85\xa1", 1, "Korean, decomposed" },
        { "\xed\x9f\xbf", 1, "U+D7FF" },
        { "\xee\x80\x80", 1, "U+E000" },
        { "\xef\xbf\xbf", 1, "U+FFFF" },
        { "\xf0\x90\x80\x80", 1, "U+10000" },
        { "\xf0\x9f\x98\x80", 1, "an emoji" },
        { "\xf4\x8f\xbf\xbf", 1, "U+10FFFF" },
        { "a\tb", 0, "a tab" },
        { "a\nb", 0, "a line feed" },
        { "a\rb", 0, "a carriage return" },
        { "\x01", 0, "U+0001" },
        { "\x1f", 0, "U+001F" },
        { "\x7f", 0, "U+007F" },
        { "\x80", 0, "a continuation byte alone" },
        { "a\xbf", 0, "a continuation byte behind ASCII" },
        { "\xc0\x80", 0, "an overlong NUL" },
        { "\xc0\xae", 0, "an overlong dot" },
        { "\xc0\xae\xc0\xae\xc0\xaf", 0, "an overlong ../" },
        { "\xc1\xbf", 0, "an overlong U+007F" },
        { "\xe0\x80\xaf", 0, "an overlong slash of three bytes" },
        { "\xe0\x9f\xbf", 0, "an overlong U+07FF" },
        { "\xf0\x80\x80\xaf", 0, "an overlong slash of four bytes" },
        { "\xf0\x8f\xbf\xbf", 0, "an overlong U+FFFF" },
        { "\xed\xa0\x80", 0, "a surrogate" },
        { "\xed\xbf\xbf", 0, "the last surrogate" },
        { "\xed\xa0\xbd\xed\xb8\x80", 0, "a pair of surrogates" },
        { "\xf4\x90\x80\x80", 0, "U+110000" },
        { "\xf5\x80\x80\x80", 0, "F5" },
        { "\xf8\x88\x80\x80\x80", 0, "five bytes" },
        { "\xfc\x84\x80\x80\x80\x80", 0, "six bytes" },
        { "\xfe", 0, "FE" },
        { "\xff", 0, "FF" },
        { "\xc2", 0, "two bytes, cut" },
        { "\xea\xb0", 0, "three bytes, cut" },
        { "\xf0\x9f\x98", 0, "four bytes, cut" },
        { "\xea\xb0/", 0, "three bytes, the third is none" },
        { "\xea/\x80", 0, "three bytes, the second is none" },
        { "\xc3\xc3", 0, "two first bytes" },
        { "\xea\xb0\x80\x80", 0, "one byte too many" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(!!s3_uri_is_text(guard_z(cases[i].text)), cases[i].valid,
               "text: %s", cases[i].name);
    }

    ok(!s3_uri_is_text(S("\0")), "text: NUL");
    ok(!s3_uri_is_text(S("a\0b")), "text: NUL between");
    ok(!s3_uri_is_text(S("ab\0")), "text: NUL at the end");

    /* all strings of one and two bytes, then many of three and four */

    n = 0;
    s = S("xx");

    for (c = 0; c < 65536; c++) {
        s.data[0] = (u_char) (c >> 8);
        s.data[1] = (u_char) c;

        n += !s3_uri_is_text(s) != !naive_utf8(s.data, 2);

        s.len = 1;
        n += !s3_uri_is_text(s) != !naive_utf8(s.data, 1);
        s.len = 2;
    }

    for (len = 3; len < 10; len++) {
        s = guard_fill('x', len);

        for (i = 0; i < 100000; i++) {
            for (j = 0; j < len; j++) {
                static const u_char  edge[] = {
                    0x7e, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xdf,
                    0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5
                };

                uint32_t  r = unit_random();

                s.data[j] = r & 3 ? edge[(r >> 2) % sizeof(edge)]
                                  : (u_char) (r >> 8);
            }

            n += !s3_uri_is_text(s) != !naive_utf8(s.data, len);
        }
    }

    is_int(n, 0, "text: as a naive decoder has it");
}


static void
test_dot_segment(void)
{
    size_t  i;

    static const struct {
        const char  *text;
        int          has;
    } cases[] = {
        { "", 0 }, { ".", 1 }, { "..", 1 }, { "...", 0 }, { "....", 0 },
        { "/", 0 }, { "//", 0 }, { "a", 0 }, { "a/b", 0 },
        { "./a", 1 }, { "../a", 1 }, { ".../a", 0 },
        { "a/.", 1 }, { "a/..", 1 }, { "a/...", 0 },
        { "a/./b", 1 }, { "a/../b", 1 }, { "a/.../b", 0 },
        { "/.", 1 }, { "/..", 1 }, { "./", 1 }, { "../", 1 },
        { "/./", 1 }, { "/../", 1 }, { "a//../b", 1 }, { "a//b", 0 },
        { ".a", 0 }, { "..a", 0 }, { "a.", 0 }, { "a..", 0 },
        { "a./b", 0 }, { "a../b", 0 }, { "a/.b", 0 }, { "a/..b", 0 },
        { "a/.b/..", 1 }, { "a.b/c..d/e", 0 }, { ". ", 0 }, { " .", 0 },
        { "a\\..\\b", 0 }, { "..\\a", 0 }, { "%2e", 0 }, { "a/%2e%2e/b", 0 },
        { "a/.;/b", 0 }, { "/..;/", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(!!s3_uri_has_dot_segment(guard_z(cases[i].text)),
               cases[i].has, "dot segment in \"%s\"", cases[i].text);
    }

    ok(!s3_uri_has_dot_segment(S(".\0")), "a dot and a NUL are none");
}
