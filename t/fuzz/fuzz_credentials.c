
/*
 * Input: a profile's name, a line feed, a credentials file.
 *
 * What is read is well-formed and a part of the text; what follows in other
 * profiles does not change it; a byte that must not be is always an error.
 */


#include "fuzz.h"
#include "s3_credentials.h"


static void check_value(s3_str_t value, s3_str_t text, size_t max,
    const char *not);
static int has_control(s3_str_t text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t             i;
    u_char            *p;
    unsigned           line, lines;
    s3_str_t           input, text, longer, profile, cut;
    const char        *message;
    s3_credentials_t   cred, other;

    static const char  more[] =
        "\n[another profile of the same file]\naws_access_key_id = x\n"
        "aws_secret_access_key = y\nz\t=\n   more\n# end";

    input.data = (u_char *) data;
    input.len = size;

    cut = fuzz_line(&input);
    profile = fuzz_copy(cut.data, cut.len);
    text = fuzz_copy(input.data, input.len);

    lines = 1;

    for (i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }

    message = s3_credentials_parse(&cred, text, profile, &line);

    fuzz_assert(line <= lines);

    if (message == NULL) {
        check_value(cred.access_key, text, S3_ACCESS_KEY_MAX, "/,=");
        check_value(cred.secret, text, S3_SECRET_MAX, "");

        if (cred.session_token.len) {
            check_value(cred.session_token, text, S3_SESSION_TOKEN_MAX, "");
        }

        fuzz_assert(!has_control(text));
        fuzz_assert(profile.len > 0);

    } else {
        fuzz_assert(*message != '\0');
    }

    /* another profile behind it changes nothing */

    longer.len = text.len + sizeof(more) - 1;
    longer.data = fuzz_alloc(longer.len);
    p = s3_put(longer.data, text);
    memcpy(p, more, sizeof(more) - 1);

    if (message == NULL
        && !s3_str_eq(profile, fuzz_str("another profile of the same file")))
    {
        fuzz_assert(s3_credentials_parse(&other, longer, profile, &line)
                    == NULL);
        fuzz_assert(s3_str_eq(cred.access_key, other.access_key));
        fuzz_assert(s3_str_eq(cred.secret, other.secret));
        fuzz_assert(s3_str_eq(cred.session_token, other.session_token));
    }

    fuzz_free(longer.data, longer.len);

    /* the profile twice is an error */

    if (message == NULL) {
        longer.len = 2 * text.len + 1;
        longer.data = fuzz_alloc(longer.len);
        p = s3_put(longer.data, text);
        *p++ = '\n';
        (void) s3_put(p, text);

        fuzz_assert(s3_credentials_parse(&other, longer, profile, &line)
                    != NULL);

        fuzz_free(longer.data, longer.len);
    }

    fuzz_free(text.data, text.len);
    fuzz_free(profile.data, profile.len);

    return 0;
}


static void
check_value(s3_str_t value, s3_str_t text, size_t max, const char *not)
{
    size_t  i;

    fuzz_assert(value.len > 0 && value.len <= max);
    fuzz_assert(value.data > text.data
                && value.data + value.len <= text.data + text.len);

    for (i = 0; i < value.len; i++) {
        fuzz_assert(value.data[i] > 0x20 && value.data[i] < 0x7f
                    && strchr(not, value.data[i]) == NULL);
    }

    /* all of it: blanks and "=" before, blanks and the line's end behind */

    for (i = (size_t) (value.data - text.data); i > 0; i--) {
        if (text.data[i - 1] != ' ' && text.data[i - 1] != '\t') {
            break;
        }
    }

    fuzz_assert(i > 0 && text.data[i - 1] == '=');

    for (i = (size_t) (value.data + value.len - text.data);
         i < text.len && text.data[i] != '\n';
         i++)
    {
        fuzz_assert(text.data[i] == ' ' || text.data[i] == '\t');
    }
}


static int
has_control(s3_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == 0x7f
            || (text.data[i] < 0x20 && text.data[i] != '\t'
                && text.data[i] != '\n'))
        {
            return 1;
        }
    }

    return text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
}
