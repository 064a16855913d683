
#include <stdint.h>

#include "s3_credentials.h"


/* a set of bytes, one bit each */

typedef uint32_t  s3_set_t[8];

#define s3_set_has(set, c)  ((set)[(c) >> 5] & (1U << ((c) & 0x1f)))


typedef struct {
    const uint32_t  *set;
    size_t           max;
    const char      *missing;
    const char      *invalid;
    const char      *too_long;
} s3_field_t;


typedef enum {
    S3_NAMES_AWS = 0,
    S3_NAMES_NAVER
} s3_names_t;


typedef struct {
    s3_str_t           name;
    s3_names_t         names;
    size_t             offset;    /* in s3_credentials_t */
    const s3_field_t  *field;
} s3_ini_name_t;


typedef enum {
    S3_INI_NONE = 0,
    S3_INI_IGNORED,
    S3_INI_WANTED
} s3_ini_value_t;


typedef struct {
    s3_credentials_t  *cred;
    s3_str_t           profile;
    size_t             indent;    /* of the last name or profile */
    s3_ini_value_t     value;     /* of the last name */
    s3_names_t         names;
    unsigned           line;      /* where the profile starts, or 0 */
    unsigned           section:1; /* a profile has started */
    unsigned           inside:1;  /* the wanted one */
} s3_ini_t;


static const char *s3_ini_line(s3_ini_t *ini, s3_str_t line, unsigned number);
static const char *s3_ini_profile(s3_ini_t *ini, s3_str_t line,
    unsigned number);
static const char *s3_ini_name(s3_ini_t *ini, s3_str_t line);
static const char *s3_ini_value(s3_ini_t *ini, const s3_ini_name_t *n,
    s3_str_t value);
static const char *s3_credentials_line(s3_str_t *line, s3_str_t *text);
static const char *s3_credentials_field(s3_str_t *field, s3_str_t *text,
    const s3_field_t *f);
static const char *s3_credentials_eol(s3_str_t *text, const char *message);
static int s3_credentials_has_bom(s3_str_t text);
static s3_str_t s3_credentials_cut(s3_str_t *text, size_t n);
static s3_str_t s3_credentials_trim(s3_str_t s);
static size_t s3_credentials_span(s3_str_t s, const uint32_t *set);


/* HT, SP */

static const s3_set_t  s3_set_blank = {
    0x00000200, 0x00000001, 0x00000000, 0x00000000,
    0x00000000, 0x00000000, 0x00000000, 0x00000000
};

/* all but control bytes, and HT */

static const s3_set_t  s3_set_text = {
    0x00000200, 0xffffffff, 0xffffffff, 0x7fffffff,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff
};

/* A-Za-z0-9._@:+=- */

static const s3_set_t  s3_set_tenant = {
    0x00000000, 0x27ff6800, 0x87ffffff, 0x07fffffe,
    0x00000000, 0x00000000, 0x00000000, 0x00000000
};

/* printable ASCII but SP and what ends a key in an Authorization header */

static const s3_set_t  s3_set_access_key = {
    0x00000000, 0xdfff6ffe, 0xffffffff, 0x7fffffff,
    0x00000000, 0x00000000, 0x00000000, 0x00000000
};

/* printable ASCII but SP */

static const s3_set_t  s3_set_secret = {
    0x00000000, 0xfffffffe, 0xffffffff, 0x7fffffff,
    0x00000000, 0x00000000, 0x00000000, 0x00000000
};


static const s3_field_t  s3_field_tenant = {
    s3_set_tenant, S3_TENANT_MAX,
    "no tenant",
    "invalid byte in the tenant's name",
    "the tenant's name is too long"
};

static const s3_field_t  s3_field_access_key = {
    s3_set_access_key, S3_ACCESS_KEY_MAX,
    "no access key id",
    "invalid byte in the access key id",
    "the access key id is too long"
};

static const s3_field_t  s3_field_secret = {
    s3_set_secret, S3_SECRET_MAX,
    "no secret access key",
    "invalid byte in the secret access key",
    "the secret access key is too long"
};

static const s3_field_t  s3_field_session_token = {
    s3_set_secret, S3_SESSION_TOKEN_MAX,
    "empty session token",
    "invalid byte in the session token",
    "the session token is too long"
};


static const s3_ini_name_t  s3_ini_names[] = {

    { s3_string("aws_access_key_id"), S3_NAMES_AWS,
      offsetof(s3_credentials_t, access_key), &s3_field_access_key },

    { s3_string("aws_secret_access_key"), S3_NAMES_AWS,
      offsetof(s3_credentials_t, secret), &s3_field_secret },

    { s3_string("aws_session_token"), S3_NAMES_AWS,
      offsetof(s3_credentials_t, session_token), &s3_field_session_token },

    { s3_string("ncloud_access_key_id"), S3_NAMES_NAVER,
      offsetof(s3_credentials_t, access_key), &s3_field_access_key },

    { s3_string("ncloud_secret_access_key"), S3_NAMES_NAVER,
      offsetof(s3_credentials_t, secret), &s3_field_secret }
};


static const char  s3_message_bom[] = "byte order mark";
static const char  s3_message_cr[] =
    "carriage return; lines end in a line feed alone";
static const char  s3_message_control[] = "control byte";
static const char  s3_message_cut[] = "no line feed at the end of the file";


const char *
s3_credentials_parse(s3_credentials_t *cred, s3_str_t text, s3_str_t profile,
    unsigned *line)
{
    s3_ini_t     ini;
    s3_str_t     s;
    const char  *message;

    memset(cred, 0, sizeof(s3_credentials_t));
    memset(&ini, 0, sizeof(s3_ini_t));

    ini.cred = cred;
    ini.profile = profile;

    *line = 0;

    if (s3_credentials_has_bom(text)) {
        *line = 1;
        return s3_message_bom;
    }

    while (text.len) {
        (*line)++;

        message = s3_credentials_line(&s, &text);

        if (message == NULL) {
            message = s3_ini_line(&ini, s, *line);
        }

        if (message) {
            return message;
        }
    }

    *line = ini.line;

    if (ini.line == 0) {
        return "no such profile";
    }

    if (cred->access_key.len == 0) {
        return s3_field_access_key.missing;
    }

    if (cred->secret.len == 0) {
        return s3_field_secret.missing;
    }

    return NULL;
}


static const char *
s3_ini_line(s3_ini_t *ini, s3_str_t line, unsigned number)
{
    size_t  indent;

    indent = s3_credentials_span(line, s3_set_blank);
    line = s3_credentials_trim(line);

    if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';') {
        return NULL;
    }

    if (ini->value != S3_INI_NONE && indent > ini->indent) {

        if (ini->value == S3_INI_WANTED) {
            return "a value continues on a second line";
        }

        return line.data[0] == '[' ? "a profile's name is indented" : NULL;
    }

    ini->indent = indent;
    ini->value = S3_INI_NONE;

    if (line.data[0] == '[') {
        return s3_ini_profile(ini, line, number);
    }

    return s3_ini_name(ini, line);
}


static const char *
s3_ini_profile(s3_ini_t *ini, s3_str_t line, unsigned number)
{
    u_char    *end;
    s3_str_t   name;

    (void) s3_credentials_cut(&line, 1);

    end = memchr(line.data, ']', line.len);

    if (end == NULL) {
        return "no \"]\" behind the profile's name";
    }

    name = s3_credentials_cut(&line, (size_t) (end - line.data));
    name = s3_credentials_trim(name);

    if (name.len == 0) {
        return "a profile without a name";
    }

    (void) s3_credentials_cut(&line, 1);
    line = s3_credentials_trim(line);

    if (line.len && line.data[0] != '#' && line.data[0] != ';') {
        return "text behind the profile's name";
    }

    ini->section = 1;
    ini->inside = s3_str_eq(name, ini->profile) ? 1 : 0;

    if (ini->inside) {

        if (ini->line) {
            return "the profile is given twice";
        }

        ini->line = number;
    }

    return NULL;
}


static const char *
s3_ini_name(s3_ini_t *ini, s3_str_t line)
{
    u_char    *end;
    size_t     i;
    s3_str_t   name;

    end = memchr(line.data, '=', line.len);

    if (end == NULL) {
        return "neither a profile nor \"name = value\"";
    }

    name = s3_credentials_cut(&line, (size_t) (end - line.data));
    name = s3_credentials_trim(name);

    if (name.len == 0
        || s3_credentials_span(name, s3_set_secret) != name.len)
    {
        return "invalid name";
    }

    if (!ini->section) {
        return "a name outside of any profile";
    }

    (void) s3_credentials_cut(&line, 1);

    ini->value = S3_INI_IGNORED;

    if (!ini->inside) {
        return NULL;
    }

    for (i = 0; i < sizeof(s3_ini_names) / sizeof(s3_ini_name_t); i++) {

        if (s3_str_caseeq(name, s3_ini_names[i].name)) {
            return s3_ini_value(ini, &s3_ini_names[i],
                                s3_credentials_trim(line));
        }
    }

    return NULL;
}


static const char *
s3_ini_value(s3_ini_t *ini, const s3_ini_name_t *n, s3_str_t value)
{
    s3_str_t    *dst;
    const char  *message;

    ini->value = S3_INI_WANTED;

    if (n->names != ini->names
        && (ini->cred->access_key.len || ini->cred->secret.len
            || ini->cred->session_token.len))
    {
        return "AWS's and NAVER's names in one profile";
    }

    ini->names = n->names;

    dst = (s3_str_t *) (void *) ((u_char *) ini->cred + n->offset);

    /* a value is never empty */

    if (dst->len) {
        return "a name is given twice";
    }

    message = s3_credentials_field(dst, &value, n->field);

    if (message) {
        return message;
    }

    return value.len ? n->field->invalid : NULL;
}


s3_key_t
s3_credentials_next_key(s3_tenant_key_t *key, s3_str_t *text, unsigned *line,
    const char **message)
{
    if (*line == 0 && s3_credentials_has_bom(*text)) {
        *line = 1;
        *message = s3_message_bom;
        return S3_KEY_ERROR;
    }

    while (text->len) {
        (*line)++;

        (void) s3_credentials_cut(text,
                                  s3_credentials_span(*text, s3_set_blank));

        if (text->len && text->data[0] == '#') {
            (void) s3_credentials_cut(text,
                                     s3_credentials_span(*text, s3_set_text));
            *message = s3_credentials_eol(text, s3_message_control);

            if (*message) {
                return S3_KEY_ERROR;
            }

            continue;
        }

        if (text->len == 0 || text->data[0] == '\n') {
            *message = s3_credentials_eol(text, NULL);

            if (*message) {
                return S3_KEY_ERROR;
            }

            continue;
        }

        *message = s3_credentials_field(&key->tenant, text, &s3_field_tenant);

        if (*message == NULL) {
            *message = s3_credentials_field(&key->access_key, text,
                                            &s3_field_access_key);
        }

        if (*message == NULL) {
            *message = s3_credentials_field(&key->secret, text,
                                            &s3_field_secret);
        }

        if (*message == NULL) {
            *message = s3_credentials_eol(text, "more than three fields");
        }

        return *message ? S3_KEY_ERROR : S3_KEY_NEXT;
    }

    return S3_KEY_END;
}


int
s3_credentials_is_tenant(s3_str_t s)
{
    return s.len > 0
           && s.len <= S3_TENANT_MAX
           && s3_credentials_span(s, s3_set_tenant) == s.len;
}


/* cuts a line off the front of *text */

static const char *
s3_credentials_line(s3_str_t *line, s3_str_t *text)
{
    *line = s3_credentials_cut(text, s3_credentials_span(*text, s3_set_text));

    return s3_credentials_eol(text, s3_message_control);
}


/* cuts a field and the blanks behind it off the front of *text */

static const char *
s3_credentials_field(s3_str_t *field, s3_str_t *text, const s3_field_t *f)
{
    size_t  blanks;

    *field = s3_credentials_cut(text, s3_credentials_span(*text, f->set));

    blanks = s3_credentials_span(*text, s3_set_blank);

    if (blanks == 0 && text->len && text->data[0] != '\n') {
        return s3_credentials_eol(text, f->invalid);
    }

    if (field->len == 0) {
        return f->missing;
    }

    if (field->len > f->max) {
        return f->too_long;
    }

    (void) s3_credentials_cut(text, blanks);

    return NULL;
}


/* cuts a line's end off the front of *text, or says what is there instead:
 * "message", if it is no control byte */

static const char *
s3_credentials_eol(s3_str_t *text, const char *message)
{
    if (text->len == 0) {
        return s3_message_cut;
    }

    if (text->data[0] == '\n') {
        (void) s3_credentials_cut(text, 1);
        return NULL;
    }

    if (text->data[0] == '\r') {
        return s3_message_cr;
    }

    return s3_set_has(s3_set_text, text->data[0]) ? message
                                                  : s3_message_control;
}


static int
s3_credentials_has_bom(s3_str_t text)
{
    return text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
}


static s3_str_t
s3_credentials_cut(s3_str_t *text, size_t n)
{
    s3_str_t  s;

    s.len = n;
    s.data = text->data;

    text->data += n;
    text->len -= n;

    return s;
}


static s3_str_t
s3_credentials_trim(s3_str_t s)
{
    (void) s3_credentials_cut(&s, s3_credentials_span(s, s3_set_blank));

    while (s.len && s3_set_has(s3_set_blank, s.data[s.len - 1])) {
        s.len--;
    }

    return s;
}


static size_t
s3_credentials_span(s3_str_t s, const uint32_t *set)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {

        if (!s3_set_has(set, s.data[i])) {
            break;
        }
    }

    return i;
}
