
/*
 * Input: a body that a storage may send; also taken for a resource's name.
 *
 * The code that is found is a code, and one that was written is found; parts
 * are found where there are some; what we answer is a well-formed document
 * whatever the resource.
 */


#include <ctype.h>

#include "fuzz.h"
#include "s3_error.h"


static void find_code(s3_str_t body);
static void find_written(s3_str_t input);
static void find_parts(s3_str_t body);
static void answer(unsigned status, s3_str_t code);
static void xml(s3_error_t e, s3_str_t resource, s3_str_t region);
static u_char *expect(u_char *p, u_char *last, const char *text);
static u_char *content(u_char *p, u_char *last);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3_str_t    s, region;
    unsigned    status;
    s3_error_t  e;

    s = fuzz_copy(data, size);

    find_code(s);
    find_written(s);
    find_parts(s);

    status = 200 + (size > 1 ? (data[0] * 256u + data[1]) % 400 : 0);

    answer(status, s);
    answer(status, s3_error_find_code(s));

    if (status >= 400) {
        e = s3_error_from_status(status);
        fuzz_assert(e > S3_DECLINED && e < S3_NERRORS);
    }

    e = (s3_error_t) (S3_DECLINED + 1
                      + (size ? data[0] : 0) % (S3_NERRORS - S3_DECLINED - 1));

    region.data = NULL;
    region.len = 0;

    xml(e, s, region);

    if (s.len) {
        xml(S3_AUTHORIZATION_BAD_REGION, s, s);
    }

    fuzz_free(s.data, s.len);

    return 0;
}


static void
find_code(s3_str_t body)
{
    u_char    *p;
    size_t     i;
    s3_str_t   code;

    code = s3_error_find_code(body);

    if (code.len == 0) {
        return;
    }

    fuzz_assert(code.len <= 64);
    fuzz_assert(code.data >= body.data + sizeof("<Error><Code>") - 1
                && code.data + code.len + sizeof("</Code>") - 1
                   <= body.data + body.len);

    for (i = 0; i < code.len; i++) {
        fuzz_assert((code.data[i] >= '0' && code.data[i] <= '9')
                    || (code.data[i] >= 'A' && code.data[i] <= 'Z')
                    || (code.data[i] >= 'a' && code.data[i] <= 'z')
                    || code.data[i] == '.' || code.data[i] == '_'
                    || code.data[i] == '-');
    }

    fuzz_assert(code.data[-1] == '>');
    fuzz_assert(memcmp(code.data + code.len, "</Code>", 7) == 0);
    fuzz_assert(memmem(body.data, (size_t) (code.data - body.data),
                       "<Error", 6) != NULL);

    /* before it, no tag starts a comment, CDATA or a document type */

    for (p = body.data; p < code.data; p++) {
        p = memchr(p, '<', (size_t) (code.data - p));

        if (p == NULL) {
            break;
        }

        fuzz_assert(p[1] != '!');

        p = memchr(p, '>', (size_t) (code.data - p));
        fuzz_assert(p != NULL);
    }
}


/*
 * A document that has the first line as its code, and, before it, elements
 * with the others as codes of their own.
 */

static void
find_written(s3_str_t input)
{
    int        valid;
    u_char    *p, *doc;
    size_t     i, size;
    s3_str_t   line, code, body, found;

    size = 64 * (input.len + 2);
    doc = malloc(size);
    fuzz_assert(doc);

    code = fuzz_line(&input);
    p = s3_put(doc, fuzz_str("<?xml version=\"1.0\"?>\n<Error xmlns=\"a\">"));

    while (input.len) {
        line = fuzz_line(&input);
        p = s3_put(p, fuzz_str("<Detail a='b'><Code>"));

        for (i = 0; i < line.len; i++) {
            *p++ = strchr("<>&", line.data[i]) ? ' ' : line.data[i];
        }

        p = s3_put(p, fuzz_str("</Code></Detail>\n"));
    }

    p = s3_put(p, fuzz_str("<Code>"));
    p = s3_put(p, code);
    p = s3_put(p, fuzz_str("</Code></Error>"));

    valid = code.len >= 1 && code.len <= 64;

    for (i = 0; i < code.len; i++) {
        valid &= isalnum(code.data[i])
                 || (code.data[i] && strchr("._-", code.data[i]));
    }

    body.data = doc;
    body.len = (size_t) (p - doc);

    found = s3_error_find_code(body);

    if (valid) {
        fuzz_assert(s3_str_eq(found, code));

    } else if (code.len == 0 || memchr(code.data, '<', code.len) == NULL) {
        fuzz_assert(found.len == 0);
    }

    free(doc);
}


/* whatever is cut off, the verdict does not become the opposite one */

static void
find_parts(s3_str_t body)
{
    s3_str_t    cut;
    s3_parts_t  parts;

    parts = s3_error_find_parts(body);

    if (parts == S3_PARTS_UNKNOWN) {
        return;
    }

    fuzz_assert(memmem(body.data, body.len, "<ListPartsResult", 16) != NULL);

    if (parts == S3_PARTS_REMAIN) {
        fuzz_assert(memmem(body.data, body.len, "<Part", 5) != NULL);

    } else {
        fuzz_assert(memmem(body.data, body.len, "</ListPartsResult", 17)
                    != NULL);
    }

    cut.data = body.data;

    for (cut.len = 0; cut.len < body.len; cut.len++) {
        fuzz_assert(s3_error_find_parts(cut) == parts
                    || s3_error_find_parts(cut) == S3_PARTS_UNKNOWN);
    }
}


static void
answer(unsigned status, s3_str_t code)
{
    s3_answer_t  a;

    a = s3_error_from_storage(status, code);

    fuzz_assert((a.verdict == S3_STORAGE_ABORTED) == (a.error == S3_OK));
    fuzz_assert(a.error != S3_DECLINED && a.error < S3_NERRORS);

    if (a.verdict == S3_STORAGE_ABORTED) {
        fuzz_assert(status >= 200 && status < 300);

    } else {
        fuzz_assert((s3_error_status(a.error) != 404) || status == 404);
    }
}


static void
xml(s3_error_t e, s3_str_t resource, s3_str_t region)
{
    u_char          *p, *last;
    s3_str_t         doc;
    s3_error_xml_t   x;

    x.error = e;
    x.resource = resource;
    x.region = region;
    x.request_id = fuzz_str("0123456789abcdef");

    doc.len = s3_error_xml_len(&x);
    doc.data = fuzz_alloc(doc.len);

    fuzz_assert(s3_error_xml(doc.data, &x) == doc.data + doc.len);

    p = doc.data;
    last = p + doc.len;

    p = expect(p, last, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    p = expect(p, last, "<Code>");
    p = expect(content(p, last), last, "</Code>");
    p = expect(p, last, "<Message>");
    p = expect(content(p, last), last, "</Message>");

    if (region.len) {
        p = expect(p, last, "<Region>");
        p = expect(content(p, last), last, "</Region>");
    }

    p = expect(p, last, "<Resource>");
    p = expect(content(p, last), last, "</Resource>");
    p = expect(p, last, "<RequestId>0123456789abcdef</RequestId></Error>");

    fuzz_assert(p == last);

    fuzz_assert(s3_str_eq(s3_error_find_code(doc), s3_error_code(e)));

    fuzz_free(doc.data, doc.len);
}


static u_char *
expect(u_char *p, u_char *last, const char *text)
{
    fuzz_assert((size_t) (last - p) >= strlen(text)
                && memcmp(p, text, strlen(text)) == 0);

    return p + strlen(text);
}


/* skips characters of XML 1.0 and references to the predefined entities */

static u_char *
content(u_char *p, u_char *last)
{
    size_t    i, len;
    s3_str_t  c;

    static const char  *entities[] = {
        "&amp;", "&lt;", "&gt;", "&quot;", "&apos;"
    };

    while (p < last && *p != '<') {

        fuzz_assert(*p != '>');

        if (*p == '&') {

            for (i = 0; i < 5; i++) {
                len = strlen(entities[i]);

                if ((size_t) (last - p) >= len
                    && memcmp(p, entities[i], len) == 0)
                {
                    break;
                }
            }

            fuzz_assert(i < 5);
            p += len;
            continue;
        }

        if (*p < 0x80) {
            fuzz_assert(*p >= 0x20 || *p == '\t' || *p == '\n' || *p == '\r');
            p++;
            continue;
        }

        c.data = p;
        c.len = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

        fuzz_assert((size_t) (last - p) >= c.len && fuzz_is_text(c));

        /* U+FFFE and U+FFFF are no characters */

        fuzz_assert(c.len != 3 || memcmp(p, "\xef\xbf", 2) != 0
                    || p[2] < 0xbe);

        p += c.len;
    }

    return p;
}
