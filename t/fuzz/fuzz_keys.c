
/*
 * Input: a file of tenant keys, against a simple second reader of lines.
 */


#include "fuzz.h"
#include "s3_credentials.h"


static int read_line(s3_str_t line, s3_str_t *fields);
static int is_field(s3_str_t s, size_t max, const char *only,
    const char *not);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int               n, bad;
    unsigned          line, naive_line;
    s3_key_t          rc;
    s3_str_t          text, rest, naive, cut, fields[3];
    const char       *message;
    s3_tenant_key_t   key;

    text = fuzz_copy(data, size);
    rest = text;
    naive = text;
    line = 0;
    naive_line = 0;

    bad = text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;

    for ( ;; ) {
        message = NULL;
        rc = s3_credentials_next_key(&key, &rest, &line, &message);

        n = bad ? -1 : 0;

        while (n == 0 && naive.len) {
            cut = fuzz_line(&naive);
            naive_line++;
            n = read_line(cut, fields);

            if (naive.len == 0 && text.data[text.len - 1] != '\n') {
                n = -1;
            }
        }

        if (rc == S3_KEY_ERROR) {
            fuzz_assert(n == -1);
            fuzz_assert(line == (bad ? 1 : naive_line));
            fuzz_assert(message && *message);
            break;
        }

        fuzz_assert(line == naive_line);
        fuzz_assert(rest.data >= text.data
                    && rest.data + rest.len == text.data + text.len);

        if (rc == S3_KEY_END) {
            fuzz_assert(n == 0 && rest.len == 0);
            break;
        }

        fuzz_assert(n == 1);
        fuzz_assert(s3_str_eq(key.tenant, fields[0]));
        fuzz_assert(s3_str_eq(key.access_key, fields[1]));
        fuzz_assert(s3_str_eq(key.secret, fields[2]));
        fuzz_assert(s3_credentials_is_tenant(key.tenant));
    }

    (void) s3_credentials_is_tenant(text);

    fuzz_free(text.data, text.len);

    return 0;
}


/* 1: a key; 0: nothing; -1: an error */

static int
read_line(s3_str_t line, s3_str_t *fields)
{
    size_t    i;
    unsigned  n;

    for (i = 0; i < line.len; i++) {
        if (line.data[i] == 0x7f
            || (line.data[i] < 0x20 && line.data[i] != '\t'))
        {
            return -1;
        }
    }

    n = 0;

    for (i = 0; i < line.len; i++) {

        if (line.data[i] == ' ' || line.data[i] == '\t') {
            continue;
        }

        if (n == 0 && line.data[i] == '#') {
            return 0;
        }

        if (n == 3) {
            return -1;
        }

        fields[n].data = line.data + i;
        fields[n].len = 0;

        while (i < line.len && line.data[i] != ' ' && line.data[i] != '\t') {
            fields[n].len++;
            i++;
        }

        n++;
    }

    if (n == 0) {
        return 0;
    }

    return n == 3
           && is_field(fields[0], 128, "._@:+=-", "")
           && is_field(fields[1], 128, NULL, "/,=")
           && is_field(fields[2], 256, NULL, "") ? 1 : -1;
}


static int
is_field(s3_str_t s, size_t max, const char *only, const char *not)
{
    int     c;
    size_t  i;

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (c <= 0x20 || c >= 0x7f || strchr(not, c)) {
            return 0;
        }

        if (only && !strchr(only, c) && (c < '0' || c > '9')
            && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z'))
        {
            return 0;
        }
    }

    return s.len > 0 && s.len <= max;
}
