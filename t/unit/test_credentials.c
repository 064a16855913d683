
#include <time.h>

#include "s3_credentials.h"
#include "unit.h"


#define KEY     "ncp_iam_BPASKR0123456789abcd"
#define SECRET  "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=="
#define TOKEN   "FwoGZXIvYXdzEBYaDK+/=="

#define AWS     "aws_access_key_id = " KEY "\n"                              \
                "aws_secret_access_key = " SECRET "\n"


typedef struct {
    const char  *text;
    int          line;
    const char  *name;
} file_t;


/* what gives KEY and SECRET for the profile "gateway" */

static const file_t  good[] = {

    { "[gateway]\n" AWS, 0, "an AWS profile" },
    { "[gateway]\naws_access_key_id=" KEY "\naws_secret_access_key=" SECRET
      "\n", 0, "no spaces" },
    { "[gateway]\naws_secret_access_key=" SECRET "\naws_access_key_id=" KEY
      "\n", 0, "the secret first" },
    { "[gateway]\nncloud_access_key_id = " KEY "\n"
      "ncloud_secret_access_key = " SECRET "\n", 0, "NAVER's names" },
    { "[gateway]\nncloud_access_key_id = " KEY "\n"
      "ncloud_secret_access_key = " SECRET "\n"
      "ncloud_api_url = https://ncloud.apigw.ntruss.com\n",
      0, "NAVER's names and another one" },
    { "\n \n\t\n# comment\n; comment\n  # indented\n[gateway]\n\n"
      "# aws_access_key_id = x\n" AWS "\n#\n;\n", 0,
      "blank lines and comments" },
    { "# \xea\xb0\x80\xeb\x82\x98 \xff\n[gateway]\n" AWS, 0,
      "a comment beyond ASCII" },
    { "[ gateway\t] \t\n" AWS, 0, "blanks around the profile's name" },
    { "[gateway] # ours\n" AWS, 0, "a comment behind the profile" },
    { "[gateway]; ours\n" AWS, 0, "another one" },
    { "[gateway]\n \t aws_access_key_id \t = \t" KEY " \t\n"
      "aws_secret_access_key=\t " SECRET "\t\n", 0,
      "blanks around names and values" },
    { "[gateway]\n  aws_access_key_id = " KEY "\n"
      "  aws_secret_access_key = " SECRET "\n", 0, "indented names" },
    { "[gateway]\nAWS_ACCESS_KEY_ID = " KEY "\n"
      "Aws_Secret_Access_Key = " SECRET "\n", 0, "names in another case" },
    { "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
      "[gateway]\n" AWS
      "[last]\naws_access_key_id = c\naws_secret_access_key = d\n", 0,
      "between other profiles" },
    { "[gateway2]\naws_access_key_id = a\naws_secret_access_key = b\n"
      "[GATEWAY]\naws_access_key_id = e\naws_secret_access_key = f\n"
      "[gate]\naws_access_key_id = c\naws_secret_access_key = d\n"
      "[gateway]\n" AWS, 0, "profiles of similar names" },
    { "[other]\naws_access_key_id = a\naws_access_key_id = b\n"
      "aws_secret_access_key =\nregion = kr-standard\n[gateway]\n" AWS, 0,
      "other profiles are ignored" },
    { "[gateway]\nregion = kr-standard\n" AWS "s3 =\n  use = a\n  and b\n\n"
      "  and c\noutput=\n", 0, "other names, also with several lines" },
    { "[other]\ns3 =\n  gateway\n  x\n[gateway]\n" AWS, 0,
      "a value's second line in another profile" },
    { "[gateway]\nx = " TOKEN "\nx = y\n" AWS, 0,
      "another name given twice" },
};


static const file_t  bad[] = {

    { "", 0, "an empty file" },
    { "\n\n", 0, "blank lines alone" },
    { "# nothing\n", 0, "a comment alone" },
    { "[gateway]\n" AWS "# end", 4, "a comment without a line feed" },
    { "[gateway]\naws_access_key_id = " KEY "\n"
      "aws_secret_access_key = " SECRET, 3, "a secret without a line feed" },
    { "[gateway]\n" AWS " ", 4, "blanks without a line feed" },
    { "[other]\n" AWS, 0, "no such profile" },
    { "[profile gateway]\n" AWS, 0, "the config file's form of a name" },
    { "[gateway ]x\n" AWS, 1, "text behind a profile" },
    { "\n[gateway\n" AWS, 2, "no closing bracket" },
    { "[]\n[gateway]\n" AWS, 1, "a profile without a name" },
    { "[ \t]\n[gateway]\n" AWS, 1, "a profile of blanks" },
    { "\n[gateway]\n", 2, "an empty profile" },
    { "\n[gateway]\naws_access_key_id = " KEY "\n", 2, "no secret" },
    { "\n[gateway]\naws_secret_access_key = " SECRET "\n", 2, "no key" },
    { "\n[gateway]\naws_session_token = " TOKEN "\n", 2, "a token alone" },
    { "[gateway]\naws_access_key_id = " KEY "\n[other]\n"
      "aws_secret_access_key = " SECRET "\n", 1,
      "the secret in another profile" },
    { AWS "[gateway]\n" AWS, 1, "names before the first profile" },
    { "[gateway]\n" AWS "[other]\nx = y\n[gateway]\n" AWS, 6,
      "the profile twice" },
    { "[gateway]\n" AWS "[gateway]\nx = y\n", 4, "the profile twice, empty" },
    { "[gateway]\n" AWS "aws_access_key_id = " KEY "\n", 4,
      "a key twice" },
    { "[gateway]\n" AWS "AWS_SECRET_ACCESS_KEY = x\n", 4,
      "a secret twice, in another case" },
    { "[gateway]\n" AWS "aws_session_token = a\naws_session_token = a\n", 5,
      "a token twice" },
    { "[gateway]\naws_access_key_id = a\nncloud_secret_access_key = b\n", 3,
      "an AWS key and a NAVER secret" },
    { "[gateway]\nncloud_access_key_id = a\naws_secret_access_key = b\n", 3,
      "a NAVER key and an AWS secret" },
    { "[gateway]\nncloud_access_key_id = a\nncloud_secret_access_key = b\n"
      "aws_session_token = c\n", 4, "NAVER's names and an AWS token" },
    { "[gateway]\n" AWS "ncloud_access_key_id = a\n", 4,
      "AWS's names and a NAVER key" },
    { "[gateway]\n" AWS "ncloud_secret_access_key = a\n", 4,
      "AWS's names and a NAVER secret" },
    { "[gateway]\n\naws_access_key_id =\naws_secret_access_key = b\n", 3,
      "an empty key" },
    { "[gateway]\naws_access_key_id = a\naws_secret_access_key = \t \n", 3,
      "an empty secret" },
    { "[gateway]\n" AWS "aws_session_token=", 4, "an empty token" },
    { "[gateway]\naws_access_key_id = a b\n", 2, "a space in a key" },
    { "[gateway]\naws_access_key_id = a # b\n", 2,
      "a comment behind a value" },
    { "[gateway]\naws_access_key_id = a/b\n", 2, "a slash in a key" },
    { "[gateway]\naws_access_key_id = a,b\n", 2, "a comma in a key" },
    { "[gateway]\naws_access_key_id = a=\n", 2, "an equals sign in a key" },
    { "[gateway]\naws_access_key_id = \xea\xb0\x80\n", 2,
      "a key beyond ASCII" },
    { "[gateway]\naws_secret_access_key = a b\n", 2, "a space in a secret" },
    { "[gateway]\naws_secret_access_key = a\tb\n", 2, "a tab in a secret" },
    { "[gateway]\naws_secret_access_key = a\xc3\xa4\n", 2,
      "a secret beyond ASCII" },
    { "[gateway]\naws_session_token = a b\n", 2, "a space in a token" },
    { "[gateway]\naws_secret_access_key = a\n  b\n", 3,
      "a secret on two lines" },
    { "[gateway]\naws_secret_access_key = a\n# c\n\n  x = b\n", 5,
      "a secret on two lines, with a comment between" },
    { "[other]\ns3 =\n  [gateway]\n  x\n[gateway]\n" AWS, 3,
      "a value's second line that looks like a profile" },
    { "[gateway]\n" AWS "nonsense\n", 4, "a line without a value" },
    { "[other]\nnonsense\n[gateway]\n" AWS, 2,
      "a line without a value in another profile" },
    { "[gateway]\n" AWS "= x\n", 4, "a value without a name" },
    { "[gateway]\n" AWS "a b = x\n", 4, "a name with a space" },
    { "[gateway]\n" AWS "\xea\xb0\x80 = x\n", 4, "a name beyond ASCII" },
    { "[gateway]\naws_access_key_id: a\naws_secret_access_key: b\n", 2,
      "colons" },
    { "[gateway]\r\naws_access_key_id = a\r\n", 1, "CRLF" },
    { "[gateway]\n" AWS "\r\n", 4, "CRLF at the end" },
    { "[gateway]\n" AWS "\r", 4, "CR at the end" },
    { "# comment\r\n[gateway]\n" AWS, 1, "CRLF behind a comment" },
    { "[gateway]\n" AWS "# \x01\n", 4, "a control byte in a comment" },
    { "[gateway]\n" AWS "x = \x7f\n", 4, "a DEL" },
    { "[gateway]\n" AWS "[other]\nx = \x1b[0m\n", 5,
      "a control byte in another profile" },
    { "[gateway]\naws_access_key_id = a\x0b\n", 2, "a VT in a key" },
    { "\xef\xbb\xbf[gateway]\n" AWS, 1, "a byte order mark" },
    { "\xef\xbb\xbf", 1, "a byte order mark alone" },
    { "\xef\xbb\xbf# comment\n[gateway]\n" AWS, 1,
      "a byte order mark before a comment" },
};


static void test_credentials(void);
static void test_limits(void);
static void test_nul(void);
static void test_keys(void);
static void test_bad_keys(void);
static void test_key_bytes(void);
static void test_messages(void);
static void test_tenant(void);
static void test_speed(void);


int
main(void)
{
    test_credentials();
    test_limits();
    test_nul();
    test_keys();
    test_bad_keys();
    test_key_bytes();
    test_messages();
    test_tenant();
    test_speed();

    return done();
}


static void
test_credentials(void)
{
    size_t             i;
    unsigned           line;
    s3_str_t           text;
    const char        *message;
    s3_credentials_t   cred;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        memset(&cred, 0xff, sizeof(cred));
        text = guard_z(good[i].text);

        message = s3_credentials_parse(&cred, text, S("gateway"), &line);

        if (!ok(message == NULL, "read: %s", good[i].name)) {
            printf("# line %u: %s\n", line, message);
            continue;
        }

        is_text(cred.access_key, KEY, "key: %s", good[i].name);
        is_text(cred.secret, SECRET, "secret: %s", good[i].name);
        is_text(cred.session_token, "", "no token: %s", good[i].name);

        ok(cred.access_key.data > text.data
           && cred.access_key.data < text.data + text.len,
           "the key points into the text: %s", good[i].name);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        line = 12345;

        message = s3_credentials_parse(&cred, guard_z(bad[i].text),
                                       S("gateway"), &line);

        ok(message != NULL, "refused: %s", bad[i].name);
        ok(message && *message, "with a message: %s", bad[i].name);
        is_int(line, bad[i].line, "line: %s", bad[i].name);
    }

    message = s3_credentials_parse(&cred,
                                   S("[a b]\n" AWS "aws_session_token = "
                                     TOKEN " \n"), S("a b"), &line);

    ok(message == NULL, "a session token");
    is_text(cred.access_key, KEY, "key beside a session token");
    is_text(cred.secret, SECRET, "secret beside a session token");
    is_text(cred.session_token, TOKEN, "the session token");

    message = s3_credentials_parse(&cred, S("[default]\n" AWS), S(""), &line);

    ok(message != NULL, "an empty name finds no profile");
}


static void
test_limits(void)
{
    int                i, longer;
    size_t             len[3];
    unsigned           line;
    s3_str_t           text, v[3];
    const char        *message;
    s3_credentials_t   cred;

    static const char  *names[] = { "key", "secret", "session token" };

    for (i = 0; i < 3; i++) {
        for (longer = 0; longer < 2; longer++) {

            len[0] = S3_ACCESS_KEY_MAX;
            len[1] = S3_SECRET_MAX;
            len[2] = S3_SESSION_TOKEN_MAX;

            len[i] += (size_t) longer;

            v[0] = guard_fill('k', len[0]);
            v[1] = guard_fill('s', len[1]);
            v[2] = guard_fill('t', len[2]);

            text = guard_f("[p]\n"
                           "aws_access_key_id = %.*s\n"
                           "aws_secret_access_key = %.*s\n"
                           "aws_session_token = %.*s\n",
                           (int) v[0].len, v[0].data, (int) v[1].len,
                           v[1].data, (int) v[2].len, v[2].data);

            message = s3_credentials_parse(&cred, text, S("p"), &line);

            if (longer) {
                ok(message != NULL, "too long a %s", names[i]);
                is_int(line, i + 2, "line of too long a %s", names[i]);
                continue;
            }

            ok(message == NULL, "the longest %s", names[i]);
            is_str(cred.access_key, v[0], "the longest key");
            is_str(cred.secret, v[1], "the longest secret");
            is_str(cred.session_token, v[2], "the longest token");
        }
    }
}


static void
test_nul(void)
{
    size_t             i, n;
    unsigned           line;
    s3_str_t           text, rest;
    const char        *message;
    s3_tenant_key_t    key;
    s3_credentials_t   cred;

    text = S("[p]\n" AWS);

    for (i = 0, n = 0; i < text.len; i++) {
        rest = guard(text.data, text.len);
        rest.data[i] = '\0';

        n += s3_credentials_parse(&cred, rest, S("p"), &line) == NULL;
    }

    is_int(n, 0, "a NUL anywhere in the credentials");

    text = S("# a\ntenant AKID secret \n");

    for (i = 0, n = 0; i < text.len; i++) {
        rest = guard(text.data, text.len);
        rest.data[i] = '\0';
        line = 0;

        while (s3_credentials_next_key(&key, &rest, &line, &message)
               == S3_KEY_NEXT)
        {
            /* void */
        }

        n += rest.len == 0;
    }

    is_int(n, 0, "a NUL anywhere in the tenant keys");

    /* UTF-16 */

    n = s3_credentials_parse(&cred, S("\xff\xfe[\0p\0]\0\n\0"), S("p"), &line)
        == NULL;

    is_int(n, 0, "UTF-16");
}


static void
test_keys(void)
{
    unsigned          line;
    s3_str_t          text;
    const char       *message;
    s3_tenant_key_t   key;

    text = S("# tenants\n"
             "\n"
             "acme AKIA1 " SECRET "\n"
             "  \t \n"
             "acme\tAKIA2\t" SECRET "2\n"
             " # indented \xea\xb0\x80\t\n"
             " a.b_c@d:e+f=g-H9  \t !#$%&'()*+-.:;<>?@[\\]^_`{|}~ \t "
             "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\n"
             "#end\n"
             "last AKIA4 s\n");
    line = 0;

    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "a first key");
    is_int(line, 3, "its line");
    is_text(key.tenant, "acme", "its tenant");
    is_text(key.access_key, "AKIA1", "its id");
    is_text(key.secret, SECRET, "its secret");

    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "a second key of the tenant, tabs between");
    is_int(line, 5, "its line");
    is_text(key.tenant, "acme", "its tenant");
    is_text(key.access_key, "AKIA2", "its id");
    is_text(key.secret, SECRET "2", "its secret");

    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "every byte that may be");
    is_int(line, 7, "its line");
    is_text(key.tenant, "a.b_c@d:e+f=g-H9", "its tenant");
    is_text(key.access_key, "!#$%&'()*+-.:;<>?@[\\]^_`{|}~", "its id");
    is_text(key.secret, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "its secret");

    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "a key behind a comment");
    is_int(line, 9, "its line");
    is_text(key.tenant, "last", "its tenant");
    is_text(key.access_key, "AKIA4", "its id");
    is_text(key.secret, "s", "its secret");

    is_int(text.len, 0, "all is read");
    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_END,
           "the end");
    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_END,
           "it stays the end");
    is_int(line, 9, "and the line count the same");

    text = S("");
    line = 0;
    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_END,
           "an empty file");

    text = S("\n\n \n# none\n");
    line = 0;
    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_END,
           "a file without a key");

    text = guard_f("%0128d %0128d %0256d\n", 1, 2, 3);
    line = 0;
    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "the longest key");
    is_int(key.tenant.len, S3_TENANT_MAX, "the longest tenant");
    is_int(key.access_key.len, S3_ACCESS_KEY_MAX, "the longest id");
    is_int(key.secret.len, S3_SECRET_MAX, "the longest secret");
}


static const file_t  bad_keys[] = {

    { "acme", 1, "a tenant alone" },
    { "acme \n", 1, "a tenant and a space" },
    { "acme AKIA\n", 1, "no secret" },
    { "acme AKIA \t \n", 1, "no secret but blanks" },
    { "acme AKIA s x\n", 1, "four fields" },
    { "acme AKIA s # comment\n", 1, "a comment behind a key" },
    { "\n# c\nacme AKIA\n", 3, "the line is counted" },
    { "a/b AKIA s\n", 1, "a slash in a tenant" },
    { "a*b AKIA s\n", 1, "a star in a tenant" },
    { "\xea\xb0\x80 AKIA s\n", 1, "a tenant beyond ASCII" },
    { "acme AK/IA s\n", 1, "a slash in an id" },
    { "acme AK=IA s\n", 1, "an equals sign in an id" },
    { "acme AK,IA s\n", 1, "a comma in an id" },
    { "acme AK\xc3\xa4 s\n", 1, "an id beyond ASCII" },
    { "acme AKIA s\xc3\xa4\n", 1, "a secret beyond ASCII" },
    { "acme AKIA s\r\n", 1, "CRLF" },
    { "# comment\r\nacme AKIA s\n", 1, "CRLF behind a comment" },
    { "\r\nacme AKIA s\n", 1, "CRLF in a blank line" },
    { "acme AKIA s \r\n", 1, "CRLF behind a space" },
    { "acme AKIA s\r", 1, "CR at the end" },
    { "# \x02\nacme AKIA s\n", 1, "a control byte in a comment" },
    { "acme AKIA s\x7f\n", 1, "DEL" },
    { "acme\x0b" "AKIA s\n", 1, "VT between fields" },
    { "\xef\xbb\xbf" "acme AKIA s\n", 1, "a byte order mark" },
    { "\xef\xbb\xbf", 1, "a byte order mark alone" },
    { "\xef\xbb\xbf# x\n", 1, "a byte order mark before a comment" },
    { "acme AKIA s", 1, "a key without a line feed" },
    { "acme AKIA s ", 1, "blanks behind a key, without a line feed" },
    { "\n# comment", 2, "a comment without a line feed" },
    { "\n ", 2, "blanks without a line feed" },
};


static void
test_bad_keys(void)
{
    int               longer;
    size_t            i;
    unsigned          line;
    s3_str_t          text;
    const char       *message;
    s3_tenant_key_t   key;

    for (i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
        text = guard_z(bad_keys[i].text);
        line = 0;
        message = NULL;

        is_int(s3_credentials_next_key(&key, &text, &line, &message),
               S3_KEY_ERROR, "refused: %s", bad_keys[i].name);
        is_int(line, bad_keys[i].line, "line: %s", bad_keys[i].name);
        ok(message && *message, "with a message: %s", bad_keys[i].name);
    }

    for (longer = 0; longer < 3; longer++) {
        text = guard_f("\n%0*d %0*d %0*d\n", 128 + (longer == 0), 1,
                       128 + (longer == 1), 1, 256 + (longer == 2), 1);
        line = 0;

        is_int(s3_credentials_next_key(&key, &text, &line, &message),
               S3_KEY_ERROR, "too long a field (%d)", longer + 1);
        is_int(line, 2, "its line");
    }

    text = S("a b c\n\na b c\na b\n");
    line = 0;

    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "a good line before a bad one");
    is_int(s3_credentials_next_key(&key, &text, &line, &message), S3_KEY_NEXT,
           "another one");
    is_int(s3_credentials_next_key(&key, &text, &line, &message),
           S3_KEY_ERROR, "the bad one");
    is_int(line, 4, "its line");
}


/* each byte in each field: part of the field, or of no key at all */

static void
test_key_bytes(void)
{
    int               c, part, field, wrong;
    unsigned          line;
    s3_key_t          rc;
    s3_str_t          text, s;
    const char       *message;
    s3_tenant_key_t   key;

    static const char *names[] = { "tenants", "ids", "secrets" };

    for (field = 0; field < 3; field++) {
        wrong = 0;

        for (c = 0; c < 256; c++) {

            if (c == ' ' || c == '\t' || c == '\n') {
                continue;
            }

            text = S("axb cyd ezf\n");
            text.data[1 + 4 * field] = (u_char) c;
            line = 0;

            part = c > 0x20 && c < 0x7f;

            if (field == 0) {
                part = part
                       && (strchr("._@:+=-", c) || (c >= '0' && c <= '9')
                           || (c >= 'A' && c <= 'Z')
                           || (c >= 'a' && c <= 'z'));

            } else if (field == 1) {
                part = part && !strchr("/,=", c);
            }

            rc = s3_credentials_next_key(&key, &text, &line, &message);

            if (!part) {
                wrong += rc != S3_KEY_ERROR;
                continue;
            }

            s = field == 0 ? key.tenant
                           : field == 1 ? key.access_key : key.secret;

            wrong += rc != S3_KEY_NEXT || s.len != 3 || s.data[1] != c;
        }

        is_int(wrong, 0, "every byte in %s", names[field]);
    }
}


/* no message holds a byte of the text: neither points into it, nor is made
 * of it */

static void
test_messages(void)
{
    size_t             i, n;
    unsigned           line;
    s3_str_t           a, b;
    const char        *ma, *mb;
    s3_tenant_key_t    key;
    s3_credentials_t   cred;

    n = 0;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        a = guard_z(bad[i].text);
        b = guard_z(bad[i].text);

        ma = s3_credentials_parse(&cred, a, S("gateway"), &line);
        mb = s3_credentials_parse(&cred, b, S("gateway"), &line);

        n += ma == NULL || ma != mb || strstr(ma, KEY) || strstr(ma, SECRET);
    }

    for (i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
        a = guard_z(bad_keys[i].text);
        b = guard_z(bad_keys[i].text);

        line = 0;
        (void) s3_credentials_next_key(&key, &a, &line, &ma);
        line = 0;
        (void) s3_credentials_next_key(&key, &b, &line, &mb);

        n += ma != mb || strstr(ma, "AKIA") || strstr(ma, "acme");
    }

    is_int(n, 0, "messages are static");

    /* the likely mistakes are named */

    ma = s3_credentials_parse(&cred, S("[p]\r\n"), S("p"), &line);
    ok(ma && strstr(ma, "carriage return"), "a CR is named");

    ma = s3_credentials_parse(&cred, S("[p]\n\x01\n"), S("p"), &line);
    ok(ma && strstr(ma, "control"), "a control byte is named");

    ma = s3_credentials_parse(&cred, S("\xef\xbb\xbf[p]\n"), S("p"), &line);
    ok(ma && strstr(ma, "byte order mark"), "a byte order mark is named");

    a = S("t a s\r\n");
    line = 0;
    (void) s3_credentials_next_key(&key, &a, &line, &ma);
    ok(strstr(ma, "carriage return") != NULL, "a CR in the keys is named");

    a = S("\xef\xbb\xbft a s\n");
    line = 0;
    (void) s3_credentials_next_key(&key, &a, &line, &ma);
    ok(strstr(ma, "byte order mark") != NULL,
       "a byte order mark there is named");

    a = S("t a s\x01\n");
    line = 0;
    (void) s3_credentials_next_key(&key, &a, &line, &ma);
    ok(strstr(ma, "control") != NULL, "a control byte there is named");
}


static void
test_tenant(void)
{
    int       c, n;
    s3_str_t  s;

    s = S("x");

    for (c = 0, n = 0; c < 256; c++) {
        s.data[0] = (u_char) c;

        n += !s3_credentials_is_tenant(s)
             != !((c && strchr("._@:+=-", c)) || (c >= '0' && c <= '9')
                  || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    }

    is_int(n, 0, "every byte in a tenant's name");

    ok(!s3_credentials_is_tenant(S("")), "no name");
    ok(s3_credentials_is_tenant(guard_fill('t', 128)), "128 bytes");
    ok(!s3_credentials_is_tenant(guard_fill('t', 129)), "129 bytes");
    ok(s3_credentials_is_tenant(S("CN=a.b@c:d+e_f-1")), "all kinds of bytes");
    ok(!s3_credentials_is_tenant(S("a b")), "a space");
    ok(!s3_credentials_is_tenant(S("ab\0")), "a NUL at the end");
    ok(!s3_credentials_is_tenant(S("*")), "a star");
    ok(!s3_credentials_is_tenant(S("\xea\xb0\x80")), "beyond ASCII");
}


/* generous, for sanitizers: what matters is that the time is linear */

static void
test_speed(void)
{
    int               i, n;
    char             *text, *p;
    double            msec;
    unsigned          line;
    s3_str_t          s;
    const char       *message;
    struct timespec   start, end;
    s3_tenant_key_t   key;

    text = malloc(100000 * 96);

    if (text == NULL) {
        ok(0, "memory");
        return;
    }

    for (i = 0, p = text; i < 100000; i++) {
        p += sprintf(p, "tenant%d AKIAIOSFODNN%07d "
                     "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n", i / 2, i);
    }

    s.data = (u_char *) text;
    s.len = (size_t) (p - text);
    line = 0;
    n = 0;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);

    while (s3_credentials_next_key(&key, &s, &line, &message) == S3_KEY_NEXT) {
        n++;
    }

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);

    msec = (double) (end.tv_sec - start.tv_sec) * 1e3
           + (double) (end.tv_nsec - start.tv_nsec) / 1e6;

    is_int(n, 100000, "100,000 keys are read");
    printf("# 100,000 keys in %.1f ms\n", msec);
    ok(msec < 1000, "quickly");

    free(text);
}
