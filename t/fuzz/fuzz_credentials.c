
/*
 * Input: a profile's name, a line feed, a credentials file.
 *
 * A simple second reader finds the same, or refuses what is refused.  What is
 * read is a part of the text; what follows in other profiles does not change
 * it; the profile twice is an error.
 */


#include "http.h"
#include "s3_credentials.h"


static int naive_parse(s3_credentials_t *cred, s3_str_t text,
    s3_str_t profile);
static int is_word(s3_str_t s, size_t max, const char *not);
static void check_value(s3_str_t value, s3_str_t text);
static int has_control(s3_str_t text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t             i;
    u_char            *p;
    unsigned           line, lines;
    s3_str_t           input, text, longer, profile, cut;
    const char        *message;
    s3_credentials_t   cred, other, naive;

    static const char  more[] =
        "\n[another profile of the same file]\naws_access_key_id = x\n"
        "aws_secret_access_key = y\nz\t=\n   more\n# end\n";

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
    fuzz_assert((message == NULL) == naive_parse(&naive, text, profile));

    if (message == NULL) {
        fuzz_assert(s3_str_eq(cred.access_key, naive.access_key));
        fuzz_assert(s3_str_eq(cred.secret, naive.secret));
        fuzz_assert(s3_str_eq(cred.session_token, naive.session_token));

        check_value(cred.access_key, text);
        check_value(cred.secret, text);

        if (cred.session_token.len) {
            check_value(cred.session_token, text);
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


/* line by line, with what the last name said in "open" */

static int
naive_parse(s3_credentials_t *cred, s3_str_t text, s3_str_t profile)
{
    int       naver, ours, profiles, seen;
    size_t    i, indent, head;
    s3_str_t  line, s, name, *field, *fields[3];

    enum { NOTHING, IGNORED, WANTED } open;

    static const char  *names[] = {
        "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
        "ncloud_access_key_id", "ncloud_secret_access_key"
    };
    static const size_t  max[] = {
        S3_ACCESS_KEY_MAX, S3_SECRET_MAX, S3_SESSION_TOKEN_MAX
    };

    fields[0] = &cred->access_key;
    fields[1] = &cred->secret;
    fields[2] = &cred->session_token;

    memset(cred, 0, sizeof(s3_credentials_t));

    if (has_control(text) || (text.len && text.data[text.len - 1] != '\n')) {
        return 0;
    }

    naver = -1;
    ours = 0;
    profiles = 0;
    seen = 0;
    head = 0;
    open = NOTHING;

    while (text.len) {
        line = fuzz_line(&text);
        s = fuzz_trim(line);
        indent = (size_t) (s.data - line.data);

        if (s.len == 0 || strchr("#;", *s.data)) {
            continue;
        }

        if (open != NOTHING && indent > head) {
            if (open == WANTED || *s.data == '[') {
                return 0;
            }

            continue;
        }

        head = indent;
        open = NOTHING;

        if (*s.data == '[') {

            if (!fuzz_has(s, "]")) {
                return 0;
            }

            (void) fuzz_cut(&s, '[');
            name = fuzz_trim(fuzz_cut(&s, ']'));
            s = fuzz_trim(s);

            if (name.len == 0 || (s.len && !strchr("#;", *s.data))) {
                return 0;
            }

            profiles++;
            ours = s3_str_eq(name, profile);
            seen += ours;

            if (seen > 1) {
                return 0;
            }

            continue;
        }

        if (!fuzz_has(s, "=") || profiles == 0) {
            return 0;
        }

        name = fuzz_trim(fuzz_cut(&s, '='));
        s = fuzz_trim(s);

        if (!is_word(name, (size_t) -1, "")) {
            return 0;
        }

        open = IGNORED;

        for (i = 0; ours && i < 5; i++) {

            if (!fuzz_caseeq(name, fuzz_str(names[i]))) {
                continue;
            }

            open = WANTED;
            field = fields[i % 3];

            if (field->len || (naver != -1 && naver != (i >= 3))
                || !is_word(s, max[i % 3], i % 3 ? "" : "/,="))
            {
                return 0;
            }

            naver = i >= 3;
            *field = s;
        }
    }

    return cred->access_key.len && cred->secret.len;
}


static int
is_word(s3_str_t s, size_t max, const char *not)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (!isgraph(s.data[i]) || strchr(not, s.data[i])) {
            return 0;
        }
    }

    return s.len > 0 && s.len <= max;
}


static void
check_value(s3_str_t value, s3_str_t text)
{
    size_t  i;

    fuzz_assert(value.data > text.data
                && value.data + value.len <= text.data + text.len);

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
