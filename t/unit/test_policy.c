
#include <time.h>

#include "s3_policy.h"
#include "unit.h"


#define NVARIABLES  8

#define MINUTE      (60 * 1000)

/* an id of 2017-03-18T03:50:02.960Z */

#define ID          "0000015a-df89-51d0-2790-dee1ac994053"
#define ID_MSEC     1489809002960


static void test_glob_parse(void);
static void test_glob(void);
static void test_glob_variables(void);
static void test_glob_random(void);
static void test_glob_cost(void);
static void test_literal(void);
static void test_regex_check(void);
static void test_regex(void);
static void test_regex_tenant(void);
static void test_regex_limits(void);
static void test_regex_stack(void);
static void test_age(void);
static void test_if(void);
static void test_rule(void);
static void test_decide(void);
static void test_walk(void);
static void test_random(void);
static void test_many(void);


/* the variables "a", "b", ... */

static s3_str_t  variables[NVARIABLES];

/* whether regular expressions are JIT-compiled */

static int  jit;

static pcre2_match_data     *match_data;
static pcre2_match_context  *match_context;
static int                   time_is_up;


int
main(void)
{
    pcre2_jit_stack  *stack;

    match_data = pcre2_match_data_create(S3_REGEX_GROUPS_MAX, NULL);
    match_context = pcre2_match_context_create(NULL);
    stack = pcre2_jit_stack_create(32 * 1024, S3_REGEX_JIT_STACK, NULL);

    if (match_data == NULL || match_context == NULL || stack == NULL) {
        return 1;
    }

    pcre2_jit_stack_assign(match_context, NULL, stack);

    pcre2_set_match_limit(match_context, S3_REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(match_context, S3_REGEX_DEPTH_LIMIT);
    pcre2_set_heap_limit(match_context, S3_REGEX_HEAP_LIMIT);

    test_glob_parse();
    test_glob();
    test_glob_variables();
    test_glob_random();
    test_glob_cost();
    test_literal();
    test_regex_check();

    for (jit = 0; jit < 2; jit++) {
        test_regex();
        test_regex_tenant();
        test_regex_limits();
    }

    test_regex_stack();
    pcre2_jit_stack_assign(match_context, NULL, stack);

    test_age();
    test_if();
    test_rule();
    test_decide();
    test_walk();
    test_random();
    test_many();

    pcre2_match_data_free(match_data);
    pcre2_match_context_free(match_context);
    pcre2_jit_stack_free(stack);

    return done();
}


static s3_str_t
variable(void *data, uint32_t index)
{
    s3_str_t  none = { 0, NULL };

    if (data != variables || index >= NVARIABLES) {
        printf("Bail out! a variable that does not exist\n");
        exit(1);
    }

    return index < NVARIABLES ? variables[index] : none;
}


static int
exhausted(void *data)
{
    (void) data;

    return time_is_up;
}


static void
request_init(s3_policy_request_t *req)
{
    memset(req, 0, sizeof(s3_policy_request_t));

    req->subjects[S3_SUBJECT_TENANT] = S("acme");
    req->subjects[S3_SUBJECT_ENDPOINT] = S("ncloud_kr");
    req->subjects[S3_SUBJECT_BUCKET] = S("media");
    req->subjects[S3_SUBJECT_KEY] = S("uploads/acme/a.bin");
    req->subjects[S3_SUBJECT_UPLOAD_ID] = S(ID);

    req->now = ID_MSEC + 10 * MINUTE;
    req->variable = variable;
    req->data = variables;
    req->match_data = match_data;
    req->match_context = match_context;
    req->exhausted = exhausted;
}


/* conditions and what they own, until the next reset */

static void     *owned[65536];
static size_t    nowned;
static pcre2_code  *codes[256];
static size_t       ncodes;


static void *
own(size_t size)
{
    void  *p;

    p = calloc(1, size ? size : 1);

    if (p == NULL || nowned == sizeof(owned) / sizeof(owned[0])) {
        printf("Bail out! no memory\n");
        exit(1);
    }

    owned[nowned++] = p;

    return p;
}


static void
reset(void)
{
    while (nowned) {
        free(owned[--nowned]);
    }

    while (ncodes) {
        pcre2_code_free(codes[--ncodes]);
    }

    memset(variables, 0, sizeof(variables));
}


static s3_condition_t
literal(s3_subject_t subject, s3_str_t text)
{
    s3_condition_t  c;

    memset(&c, 0, sizeof(c));

    c.type = S3_CONDITION_LITERAL;
    c.subject = (uint8_t) subject;
    c.text = text.data;
    c.text_len = (uint32_t) text.len;
    c.u.literal = text;

    return c;
}


static s3_condition_t
glob(s3_subject_t subject, s3_str_t text)
{
    int              i, n;
    const char      *message;
    s3_condition_t   c;

    memset(&c, 0, sizeof(c));

    n = s3_glob_parse(NULL, text, &message);

    if (n < 0) {
        unit_print("glob", text);
        printf("Bail out! a bad glob: %s\n", message);
        exit(1);
    }

    c.type = S3_CONDITION_GLOB;
    c.subject = (uint8_t) subject;
    c.nparts = (uint16_t) n;
    c.text = text.data;
    c.text_len = (uint32_t) text.len;
    c.u.parts = own((size_t) n * sizeof(s3_glob_part_t));

    if (s3_glob_parse(c.u.parts, text, &message) != n) {
        printf("Bail out! two passes, two numbers of parts\n");
        exit(1);
    }

    for (i = 0; i < n; i++) {
        if (c.u.parts[i].type == S3_GLOB_VARIABLE) {
            c.u.parts[i].variable =
                (unsigned) (c.u.parts[i].literal.data[0] - 'a');
        }
    }

    return c;
}


static s3_condition_t
regex(s3_subject_t subject, const char *pattern)
{
    int              error, n;
    size_t           offset;
    s3_condition_t   c;

    memset(&c, 0, sizeof(c));

    c.type = S3_CONDITION_REGEX;
    c.subject = (uint8_t) subject;
    c.u.regex.code = pcre2_compile((PCRE2_SPTR) pattern, strlen(pattern),
                                   S3_REGEX_OPTIONS, &error, &offset, NULL);

    if (c.u.regex.code == NULL || ncodes == sizeof(codes) / sizeof(codes[0]))
    {
        printf("Bail out! a bad pattern: %s\n", pattern);
        exit(1);
    }

    codes[ncodes++] = c.u.regex.code;

    if (jit) {
        (void) pcre2_jit_compile(c.u.regex.code, PCRE2_JIT_COMPLETE);
    }

    n = pcre2_substring_number_from_name(c.u.regex.code,
                                         (PCRE2_SPTR) "tenant");
    c.u.regex.tenant = n > 0 ? n : 0;

    return c;
}


static s3_condition_t
age(s3_condition_type_t type, int64_t msec)
{
    s3_condition_t  c;

    memset(&c, 0, sizeof(c));

    c.type = (uint8_t) type;
    c.subject = S3_SUBJECT_UPLOAD_ID;
    c.u.msec = msec;

    return c;
}


static s3_condition_t
condition_if(uint32_t index)
{
    s3_condition_t  c;

    memset(&c, 0, sizeof(c));

    c.type = S3_CONDITION_IF;
    c.u.variable = index;

    return c;
}


static const s3_str_t  file = s3_string("policy.conf");


static s3_rule_t
rule(int deny, size_t n, ...)
{
    size_t      i;
    va_list     args;
    s3_rule_t   r;

    memset(&r, 0, sizeof(r));

    r.deny = (uint16_t) deny;
    r.nconditions = (uint16_t) n;
    r.conditions = own(n * sizeof(s3_condition_t));
    r.file = &file;

    va_start(args, n);

    for (i = 0; i < n; i++) {
        r.conditions[i] = va_arg(args, s3_condition_t);
    }

    va_end(args);

    return r;
}


static void
is_inside(const void *p, size_t size, const u_char *buf, size_t len)
{
    const u_char  *start = p;

    if (start < buf || start + size > buf + len) {
        printf("Bail out! a policy points to what is not its own\n");
        exit(1);
    }
}


/* a policy has copies of all but the regular expressions; the rules go */

static void
policy_init(s3_policy_t *p, s3_rule_t *rules, size_t n)
{
    u_char          *buf;
    size_t           i, j, k, size;
    s3_rule_t       *r;
    s3_condition_t  *c;

    memset(p, 0, sizeof(s3_policy_t));

    for (i = 0; i < n; i++) {
        rules[i].line = (uint32_t) i + 1;
    }

    size = s3_policy_size(rules, (uint32_t) n);
    buf = own(size);

    s3_policy_init(p, rules, (uint32_t) n, buf);

    for (i = 0; i < n; i++) {
        memset(rules[i].conditions, 0xff,
               rules[i].nconditions * sizeof(s3_condition_t));
    }

    memset(rules, 0xff, n * sizeof(s3_rule_t));

    is_inside(p->table, (p->table_size + 1) * sizeof(s3_policy_slot_t), buf,
              size);

    for (i = 0; i <= p->table_size; i++) {
        r = p->rules + p->table[i].first;

        for (j = 0; j < p->table[i].nrules; j++, r++) {
            is_inside(r, sizeof(s3_rule_t), buf, size);

            for (k = 0; k < r->nconditions; k++) {
                c = &r->conditions[k];

                is_inside(c, sizeof(s3_condition_t), buf, size);
                is_inside(c->text, c->text_len, buf, size);

                if (c->type == S3_CONDITION_LITERAL) {
                    is_inside(c->u.literal.data, c->u.literal.len, buf, size);

                } else if (c->type == S3_CONDITION_GLOB) {
                    is_inside(c->u.parts, c->nparts * sizeof(s3_glob_part_t),
                              buf, size);
                }
            }
        }
    }
}


static s3_match_t
match(s3_condition_t c, s3_policy_request_t *req)
{
    return s3_policy_condition(&c, req);
}


/* a glob against a string, with the variables as they are */

static s3_match_t
match_glob(s3_str_t pattern, s3_str_t s)
{
    s3_match_t            m;
    s3_policy_request_t   req;

    request_init(&req);
    req.subjects[S3_SUBJECT_KEY] = s;

    m = match(glob(S3_SUBJECT_KEY, pattern), &req);

    free(owned[--nowned]);

    return m;
}


static const char *
match_name(s3_match_t m)
{
    return m == S3_YES ? "yes" : m == S3_NO ? "no"
           : m == S3_UNKNOWN ? "unknown" : "?";
}


static void
is_match(s3_match_t got, s3_match_t expected, const char *name)
{
    if (!ok(got == expected, "%s: %s", name, match_name(expected))) {
        printf("# got: %s\n", match_name(got));
    }
}


static void
test_glob_parse(void)
{
    int              j, n;
    char             text[256], *p;
    size_t           i;
    s3_str_t         s;
    const char      *message;
    s3_glob_part_t   parts[64];

    /* the parts: 'literal', $variable, ?, * */

    static const struct {
        const char  *glob;
        const char  *parts;
    } cases[] = {
        { "", "" },
        { "abc", "'abc'" },
        { "*", "*" },
        { "**", "*" },
        { "****", "*" },
        { "?", "?" },
        { "??", "??" },
        { "a*b", "'a'*'b'" },
        { "a**b", "'a'*'b'" },
        { "*a", "*'a'" },
        { "a?", "'a'?" },
        { "*?*", "*?*" },
        { "uploads/*/x", "'uploads/'*'/x'" },
        { "$a", "$a" },
        { "${a}", "$a" },
        { "$abc", "$abc" },
        { "${abc}", "$abc" },
        { "$a_1", "$a_1" },
        { "$azAZ09_/", "$azAZ09_'/'" },
        { "${azAZ09_}/", "$azAZ09_'/'" },
        { "${a}bc", "$a'bc'" },
        { "$a.b", "$a'.b'" },
        { "$a-b", "$a'-b'" },
        { "$a/", "$a'/'" },
        { "$a*", "$a*" },
        { "$a?", "$a?" },
        { "$a$b", "$a$b" },
        { "${a}$b", "$a$b" },
        { "$a\\b", "$a'b'" },
        { "x/$s3_abort_tenant/*", "'x/'$s3_abort_tenant'/'*" },
        { "\xea\xb0\x80*", "'\xea\xb0\x80'*" }
    };

    /* escapes: the text of all literals, in one */

    static const struct {
        const char  *glob;
        const char  *literal;
    } escapes[] = {
        { "\\*", "*" }, { "\\?", "?" }, { "\\\\", "\\" }, { "\\$", "$" },
        { "\\$a", "$a" }, { "\\${a}", "${a}" }, { "a\\*b", "a*b" },
        { "\\a\\b\\c", "abc" }, { "a\\*\\*", "a**" }, { "\\\\\\*", "\\*" },
        { "[a-z]{}", "[a-z]{}" }, { "a}b", "a}b" }
    };

    static const char  *bad[] = {
        "\\", "a\\", "*\\", "$", "a$", "$/a", "$*", "$$a", "${", "${a",
        "${}", "${a*}", "${a-b}", "${a/", "a${b c}", "$\\a", "$-", "\\\\\\",
        "a\\\\$"
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = guard_z(cases[i].glob);
        message = NULL;
        n = s3_glob_parse(NULL, s, &message);

        if (n < 0 || n > 64) {
            ok(0, "glob \"%s\": %s", cases[i].glob, message);
            continue;
        }

        memset(parts, 0xff, sizeof(parts));
        is_int(s3_glob_parse(parts, s, &message), n, "parts of \"%s\"",
               cases[i].glob);

        for (j = 0, p = text; j < n; j++) {
            switch (parts[j].type) {
            case S3_GLOB_LITERAL:
                p += sprintf(p, "'%.*s'", (int) parts[j].literal.len,
                             parts[j].literal.data);
                break;
            case S3_GLOB_VARIABLE:
                p += sprintf(p, "$%.*s", (int) parts[j].literal.len,
                             parts[j].literal.data);
                break;
            case S3_GLOB_BYTE:
                *p++ = '?';
                break;
            default:
                *p++ = '*';
            }
        }

        is_text(unit_str((u_char *) text, (u_char *) p), cases[i].parts,
                "glob \"%s\"", cases[i].glob);
    }

    for (i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        s = guard_z(escapes[i].glob);
        n = s3_glob_parse(NULL, s, &message);

        if (n < 0 || n > 64 || s3_glob_parse(parts, s, &message) != n) {
            ok(0, "glob \"%s\"", escapes[i].glob);
            continue;
        }

        for (j = 0, p = text; j < n; j++) {
            if (parts[j].type != S3_GLOB_LITERAL
                || parts[j].literal.data < s.data
                || parts[j].literal.data + parts[j].literal.len
                   > s.data + s.len)
            {
                ok(0, "an escape is a literal that points into the text");
                break;
            }

            p += sprintf(p, "%.*s", (int) parts[j].literal.len,
                         parts[j].literal.data);
        }

        is_text(unit_str((u_char *) text, (u_char *) p), escapes[i].literal,
                "escapes of \"%s\"", escapes[i].glob);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        message = NULL;
        is_int(s3_glob_parse(NULL, guard_z(bad[i]), &message), -1,
               "a bad glob: \"%s\"", bad[i]);
        ok(message && *message, "with a message: \"%s\"", bad[i]);
    }
}


static void
test_glob(void)
{
    size_t  i;

    static const struct {
        const char  *glob;
        const char  *text;
        s3_match_t   match;
    } cases[] = {
        { "", "", S3_YES }, { "", "a", S3_NO },
        { "a", "a", S3_YES }, { "a", "", S3_NO }, { "a", "aa", S3_NO },
        { "a", "A", S3_NO }, { "abc", "ab", S3_NO }, { "ab", "abc", S3_NO },
        { "*", "", S3_YES }, { "*", "a", S3_YES }, { "*", "a/b/c", S3_YES },
        { "**", "", S3_YES }, { "**", "x", S3_YES },
        { "?", "", S3_NO }, { "?", "a", S3_YES }, { "?", "/", S3_YES },
        { "?", "ab", S3_NO }, { "??", "ab", S3_YES },
        { "?", "\xea\xb0\x80", S3_NO }, { "???", "\xea\xb0\x80", S3_YES },
        { "a*", "a", S3_YES }, { "a*", "ab", S3_YES }, { "a*", "b", S3_NO },
        { "a*", "", S3_NO }, { "*a", "a", S3_YES }, { "*a", "ba", S3_YES },
        { "*a", "ab", S3_NO }, { "*a", "", S3_NO }, { "*a", "aa", S3_YES },
        { "a*b", "ab", S3_YES }, { "a*b", "aXXb", S3_YES },
        { "a*b", "a", S3_NO }, { "a*b", "abX", S3_NO },
        { "a*b", "abab", S3_YES }, { "a*a", "a", S3_NO },
        { "a*a", "aa", S3_YES }, { "*a*", "bab", S3_YES },
        { "*a*", "bbb", S3_NO }, { "*a*", "a", S3_YES },
        { "a*b*c", "abc", S3_YES }, { "a*b*c", "aXbYc", S3_YES },
        { "a*b*c", "acb", S3_NO }, { "a*b*c", "abcbc", S3_YES },
        { "a*b*c", "abcb", S3_NO }, { "*ab*ab", "abab", S3_YES },
        { "*ab*ab", "aab", S3_NO }, { "*aab", "aaab", S3_YES },
        { "*a?b", "aab", S3_YES }, { "*?", "", S3_NO }, { "*?", "a", S3_YES },
        { "?*", "a", S3_YES }, { "?*?", "a", S3_NO }, { "?*?", "ab", S3_YES },
        { "*?*", "", S3_NO }, { "*?*?*", "a", S3_NO },
        { "*?*?*", "ab", S3_YES }, { "?*a", "aa", S3_YES },
        { "?*a", "a", S3_NO },
        { "uploads/*", "uploads/a/b", S3_YES },
        { "uploads/*", "uploads/", S3_YES },
        { "uploads/*", "uploads", S3_NO },
        { "uploads/*", "Uploads/a", S3_NO },
        { "uploads/*", "x/uploads/a", S3_NO },
        { "team1*", "team10/x", S3_YES },
        { "team1/*", "team10/x", S3_NO },
        { "*.bin", "a.bin.x", S3_NO }, { "*.bin", "a.bin", S3_YES },
        { "\\*", "*", S3_YES }, { "\\*", "a", S3_NO }, { "\\*", "", S3_NO },
        { "\\?", "?", S3_YES }, { "\\?", "a", S3_NO },
        { "\\\\", "\\", S3_YES }, { "a\\*b*", "a*bc", S3_YES },
        { "a\\*b*", "aXbc", S3_NO }, { "\\$a", "$a", S3_YES },
        { "[ab]", "a", S3_NO }, { "[ab]", "[ab]", S3_YES },
        { "{a,b}", "a", S3_NO }, { "a.b", "axb", S3_NO },
        { "*\n", "a\n", S3_YES }, { "a", "a\n", S3_NO }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!ok(match_glob(guard_z(cases[i].glob), guard_z(cases[i].text))
                == cases[i].match,
                "glob \"%s\" and \"%s\": %s", cases[i].glob, cases[i].text,
                match_name(cases[i].match)))
        {
            continue;
        }
    }

    is_match(match_glob(S("a?b"), S("a\0b")), S3_YES, "? and a NUL");
    is_match(match_glob(S("a*b"), S("a\0b")), S3_YES, "* and a NUL");
    is_match(match_glob(S("a"), S("a\0")), S3_NO, "a NUL behind");

    reset();
}


static void
test_glob_variables(void)
{
    size_t  i;

    static const struct {
        const char  *glob;
        const char  *a;
        const char  *text;
        s3_match_t   match;
    } cases[] = {
        { "$a", "acme", "acme", S3_YES }, { "$a", "acme", "acm", S3_NO },
        { "$a", "acme", "acmex", S3_NO }, { "$a", "*", "*", S3_YES },
        { "$a", "*", "x", S3_NO }, { "$a", "*", "", S3_NO },
        { "$a", "?", "x", S3_NO }, { "$a", "?", "?", S3_YES },
        { "$a", "\\*", "*", S3_NO }, { "$a", "\\*", "\\*", S3_YES },
        { "$a", "$b", "$b", S3_YES }, { "$a", "${a}", "${a}", S3_YES },
        { "u/$a/*", "acme", "u/acme/x", S3_YES },
        { "u/$a/*", "acme", "u/acme2/x", S3_NO },
        { "u/$a/*", "acme", "u/acme", S3_NO },
        { "u/$a/*", "*", "u/acme/x", S3_NO },
        { "u/$a/*", "*", "u/*/x", S3_YES },
        { "*$a", "ab", "xab", S3_YES }, { "*$a", "ab", "abx", S3_NO },
        { "*$a*", "ab", "xabx", S3_YES }, { "*$a*", "ab", "xaxb", S3_NO },
        { "*$a", "aab", "aaab", S3_YES }, { "$a$a", "ab", "abab", S3_YES },
        { "$a$a", "ab", "ab", S3_NO }, { "$a*$a", "ab", "ab", S3_NO },
        { "$a*$a", "ab", "abab", S3_YES }, { "?$a", "b", "ab", S3_YES },
        { "${a}b", "a", "ab", S3_YES }, { "${a}\\b", "a", "ab", S3_YES },

        /* what is not known */

        { "$a", "", "", S3_UNKNOWN }, { "$a", "", "x", S3_UNKNOWN },
        { "$a", NULL, "", S3_UNKNOWN }, { "$a", NULL, "x", S3_UNKNOWN },
        { "u/$a/*", "", "u//x", S3_UNKNOWN },
        { "u/$a/*", "", "u/x/x", S3_UNKNOWN },
        { "u/$a/*", NULL, "u//x", S3_UNKNOWN },
        { "u/$a/*", NULL, "u/x/y", S3_UNKNOWN },
        { "*$a*", "", "x", S3_UNKNOWN }, { "*$a", NULL, "x", S3_UNKNOWN },
        { "*$a*", NULL, "", S3_UNKNOWN }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(variables, 0, sizeof(variables));

        if (cases[i].a) {
            variables[0] = guard_z(cases[i].a);
        }

        ok(match_glob(guard_z(cases[i].glob), guard_z(cases[i].text))
           == cases[i].match,
           "glob \"%s\", $a \"%s\", and \"%s\": %s", cases[i].glob,
           cases[i].a ? cases[i].a : "(none)", cases[i].text,
           match_name(cases[i].match));
    }

    variables[0] = S("x");
    variables[1] = S("y");
    is_match(match_glob(S("$a/$b"), S("x/y")), S3_YES, "two variables");
    is_match(match_glob(S("$a/$b"), S("y/x")), S3_NO, "swapped");

    variables[1].data = NULL;
    variables[1].len = 0;
    is_match(match_glob(S("$a/$b"), S("x/y")), S3_UNKNOWN,
             "one of two is missing");

    /* the rest of the pattern cannot match: no yes, whatever the variable */

    ok(match_glob(S("u/$b/*"), S("other")) != S3_YES,
       "a missing variable is never a yes");

    reset();
}


/* tries everything */

static int
naive_glob(const u_char *p, const u_char *pe, const u_char *s,
    const u_char *se)
{
    if (p == pe) {
        return s == se;
    }

    if (*p == '*') {
        return naive_glob(p + 1, pe, s, se)
               || (s < se && naive_glob(p, pe, s + 1, se));
    }

    if (s == se) {
        return 0;
    }

    if (*p == '\\') {
        return p[1] == *s && naive_glob(p + 2, pe, s + 1, se);
    }

    return (*p == '?' || *p == *s) && naive_glob(p + 1, pe, s + 1, se);
}


static void
test_glob_random(void)
{
    int       i, n;
    size_t    j, len;
    u_char    text[32];
    s3_str_t  p, s;

    n = 0;

    for (i = 0; i < 10000; i++) {
        len = 0;

        for (j = unit_random() % 9; j; j--) {
            switch (unit_random() % 8) {
            case 0:
            case 1:
                text[len++] = '*';
                break;
            case 2:
                text[len++] = '?';
                break;
            case 3:
                text[len++] = '\\';
                text[len++] = (u_char) "*?\\a"[unit_random() % 4];
                break;
            default:
                text[len++] = (u_char) ("ab"[unit_random() % 2]);
            }
        }

        p = guard(text, len);
        s = guard_fill('a', unit_random() % 10);

        for (j = 0; j < s.len; j++) {
            s.data[j] = (u_char) "aaabbb*?\\"[unit_random() % 9];
        }

        if (match_glob(p, s)
            != (naive_glob(p.data, p.data + p.len, s.data, s.data + s.len)
                ? S3_YES : S3_NO))
        {
            n++;
            unit_print("glob", p);
            unit_print("text", s);
        }
    }

    is_int(n, 0, "globs match as a naive matcher has it");

    reset();
}


static double
elapsed(const struct timespec *start)
{
    struct timespec  end;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);

    return (double) (end.tv_sec - start->tv_sec) * 1e3
           + (double) (end.tv_nsec - start->tv_nsec) / 1e6;
}


static void
test_glob_cost(void)
{
    double           msec;
    size_t           i;
    s3_str_t         p, s;
    struct timespec  start;

    /* *a*a*a...b against 1024 bytes of a: exponential in a naive matcher */

    p = guard_fill('*', 513);

    for (i = 1; i < p.len; i += 2) {
        p.data[i] = 'a';
    }

    p.data[p.len - 1] = 'b';
    s = guard_fill('a', 1024);

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    is_match(match_glob(p, s), S3_NO, "a glob of 256 stars");
    msec = elapsed(&start);

    printf("# %.3f ms\n", msec);
    ok(msec < 100, "costs little");

    p = S("*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab*"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    is_match(match_glob(p, s), S3_NO, "long literals behind stars");
    msec = elapsed(&start);

    printf("# %.3f ms\n", msec);
    ok(msec < 100, "cost little");

    reset();
}


static void
test_literal(void)
{
    int                   i;
    s3_policy_request_t   req;

    static const char  *values[] = {
        "acme", "ncloud_kr", "media", "uploads/acme/a.bin", ID
    };

    request_init(&req);

    for (i = 0; i < S3_NSUBJECTS; i++) {
        s3_str_t  s = guard_z(values[i]);

        is_match(match(literal((s3_subject_t) i, s), &req), S3_YES,
                 "a literal");
        is_match(match(glob((s3_subject_t) i, s), &req), S3_YES,
                 "the same as a glob");

        s.len--;
        is_match(match(literal((s3_subject_t) i, s), &req), S3_NO,
                 "a shorter one");
        is_match(match(literal((s3_subject_t) i, S("")), &req), S3_NO,
                 "an empty one");

        s = guard_z(values[i]);
        s.data[0] ^= 0x20;
        is_match(match(literal((s3_subject_t) i, s), &req), S3_NO,
                 "another case");
        is_match(match(literal((s3_subject_t) i, S("*")), &req), S3_NO,
                 "a literal star");
    }

    reset();
}


static void
test_regex_check(void)
{
    size_t       i;
    const char  *message;

    static const char  *good[] = {
        "", "a", "(", "(?", "\\", "\\g", "uploads/(?<tenant>[^/]+)/.*",
        "(?P<tenant>a)", "(?'tenant'a)", "(a)\\1", "(a)\\g1", "(a)\\g{1}",
        "(a)\\g{-1}", "(?<x>a)\\k<x>", "(?P<x>a)(?P=x)", "(?i)a", "(?-i)a",
        "(?i-s:a)", "(?:a)", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)",
        "(?|(a)|(b))", "(?#a)", "\\(?R\\)", "\\(?1", "a\\\\", "(R)", "(1)",
        "(\\?R)", "\\\\g", "(*UTF)a", "(*ACCEPT)", "\\(*sr:", "(*", "*a"
    };

    static const char  *bad[] = {
        "(?R)", "a(?R)?b", "(?0)", "(a)(?1)", "(a(?1)?)", "(?+1)(a)",
        "(a)(?-1)", "(a)(?10)", "(?<x>a)(?&x)", "(?P<x>a)(?P>x)",
        "(a)\\g<1>", "(a)\\g'1'", "(a)\\g<-1>", "(?<x>a)\\g<x>", "(?C)",
        "\\X", "a\\\\\\X+", "(?C1)a", "a(?C'x')", "\\\\(?R)", "\\\\\\\\(?R)", "\\Q\\\\E(?R)",
        "(?#\\)(?R)", "((((?R))))", "\\Q[\\E(?R)", "(?#[)(?R)",
        "(?x)#[\n(?R)", "[[:a[:b](?R)]", "\\c\\(?R)", "[(?R)]",
        "(*sr:(.*)(.*))x", "(*asr:a)", "(*script_run:a)",
        "a(*atomic_script_run:a)", "(*pla:a)", "\\\\(*sr:a)"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(s3_regex_check(guard_z(good[i])) == NULL, "a pattern: %s",
           good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        message = s3_regex_check(guard_z(bad[i]));
        ok(message && *message, "not for a policy: %s", bad[i]);
    }
}


static s3_match_t
match_regex(const char *pattern, s3_str_t s)
{
    s3_policy_request_t  req;

    request_init(&req);
    req.subjects[S3_SUBJECT_KEY] = s;

    return match(regex(S3_SUBJECT_KEY, pattern), &req);
}


static void
test_regex(void)
{
    size_t                i;
    s3_policy_request_t   req;

    static const struct {
        const char  *pattern;
        const char  *text;
        s3_match_t   match;
    } cases[] = {
        { "a", "a", S3_YES }, { "a", "ab", S3_NO }, { "a", "ba", S3_NO },
        { "a", "a\n", S3_NO }, { "a$", "a\n", S3_NO }, { "a$", "a", S3_YES },
        { "^a$", "a", S3_YES }, { "a|ab", "ab", S3_YES },
        { "a|ab", "abc", S3_NO }, { "a|b", "b", S3_YES },
        { "a|b|", "", S3_YES }, { ".*", "a/b/c", S3_YES },
        { ".*", "a\nb", S3_NO }, { "(?s).*", "a\nb", S3_YES },
        { ".*\\.pinned", "x/y.pinned", S3_YES },
        { ".*\\.pinned", "x/y.pinned2", S3_NO },
        { ".*\\.pinned", "x/yapinned", S3_NO },
        { "[0-9]{4}/.*", "2026/a", S3_YES },
        { "[0-9]{4}/.*", "x2026/a", S3_NO },
        { "(?i)ABC", "abc", S3_YES }, { "ABC", "abc", S3_NO },
        { ".", "\xea\xb0\x80", S3_YES }, { "..", "\xea\xb0\x80", S3_NO },
        { "\xea\xb0\x80", "\xea\xb0\x80", S3_YES },
        { "(?=a)a", "a", S3_YES }, { "(?<=x)a", "a", S3_NO },
        { "a*?", "aaa", S3_YES }, { "(a)\\1", "aa", S3_YES },
        { "", "", S3_YES }, { "", "a", S3_NO },
        { "(?m)^a$", "b\na", S3_NO }, { "a\\Z", "a\n", S3_NO },

        { ".*", "\xff", S3_UNKNOWN }, { "a", "\xc0\xaf", S3_UNKNOWN }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ok(match_regex(cases[i].pattern, guard_z(cases[i].text))
           == cases[i].match,
           "%s \"%s\" and \"%s\": %s", jit ? "JIT" : "regex",
           cases[i].pattern, cases[i].text, match_name(cases[i].match));
    }

    is_match(match_regex("a", S("a\0")), S3_NO, "a NUL behind");
    is_match(match_regex("a.b", S("a\0b")), S3_YES, "a NUL between");

    request_init(&req);

    is_match(match(regex(S3_SUBJECT_UPLOAD_ID, "[0-9a-f-]{36}"), &req),
             S3_YES, "an upload id");
    is_match(match(regex(S3_SUBJECT_KEY, "[0-9a-f-]{36}"), &req), S3_NO,
             "a key is no upload id");

    reset();
}


#define B8  "(b)?(b)?(b)?(b)?(b)?(b)?(b)?(b)?"

static void
test_regex_tenant(void)
{
    size_t                i;
    s3_policy_request_t   req;

    static const struct {
        const char  *pattern;
        const char  *tenant;
        const char  *key;
        s3_match_t   match;
    } cases[] = {
        { "u/(?<tenant>[^/]+)/.*", "acme", "u/acme/x", S3_YES },
        { "u/(?<tenant>[^/]+)/.*", "acme", "u/acme2/x", S3_NO },
        { "u/(?<tenant>[^/]+)/.*", "acme", "u/acm/x", S3_NO },
        { "u/(?<tenant>[^/]+)/.*", "acme", "u/ACME/x", S3_NO },
        { "u/(?<tenant>[^/]+)/.*", "acme", "u/acme", S3_NO },
        { "u/(?<tenant>[^/]+)/.*", "*", "u/acme/x", S3_NO },
        { "u/(?<tenant>[^/]+)/.*", ".*", "u/acme/x", S3_NO },
        { "u/(?<tenant>.*)/.*", "a", "u/a/b/c", S3_NO },
        { "u/(?:(?<tenant>x)|y)", "x", "u/x", S3_YES },
        { "u/(?:(?<tenant>x)|y)", "x", "u/y", S3_NO },
        { "u/(?<tenant>)y", "x", "u/y", S3_NO },
        { "(a)(b)(?<tenant>c)(d)", "c", "abcd", S3_YES },
        { "(a)(b)(?<tenant>c)(d)", "b", "abcd", S3_NO },
        { "(?<other>a)/(?<tenant>.)", "b", "a/b", S3_YES },
        { "(?<other>a)/(?<tenant>.)", "a", "a/b", S3_NO },
        { "(?=(?<tenant>a..))a", "abc", "a", S3_NO },
        { "(?:(?<tenant>[a-z])/?)+", "c", "a/b/c", S3_YES },
        { "(?:(?<tenant>[a-z])/?)+", "a", "a/b/c", S3_NO },

        /* more groups than the match data has room for */

        { "(?<tenant>a)" B8 B8 B8 B8 "(c)", "a", "abbbbbbbbbc", S3_YES },
        { "(?<tenant>a)" B8 B8 B8 B8 "(c)", "b", "abbbbbbbbbc", S3_NO },
        { B8 B8 B8 "(b)?(b)?(b)?(b)?(b)?(?<tenant>a)" B8 "(c)", "a", "bbbabc",
          S3_YES },
        { B8 B8 B8 "(b)?(b)?(b)?(b)?(b)?(?<tenant>a)" B8 "(c)", "b", "bbbabc",
          S3_NO }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        request_init(&req);
        req.subjects[S3_SUBJECT_TENANT] = guard_z(cases[i].tenant);
        req.subjects[S3_SUBJECT_KEY] = guard_z(cases[i].key);

        ok(match(regex(S3_SUBJECT_KEY, cases[i].pattern), &req)
           == cases[i].match,
           "%s \"%s\", tenant \"%s\", and \"%s\": %s", jit ? "JIT" : "regex",
           cases[i].pattern, cases[i].tenant, cases[i].key,
           match_name(cases[i].match));
    }

    reset();
}


/* a match that JIT's stack has no room for */

static void
test_regex_stack(void)
{
    char                  text[1025];
    s3_condition_t        c;
    pcre2_jit_stack      *small;
    s3_policy_request_t   req;

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    jit = 1;
    small = pcre2_jit_stack_create(8192, 8192, NULL);

    request_init(&req);
    req.subjects[S3_SUBJECT_KEY] = guard_z(text);

    c = regex(S3_SUBJECT_KEY, "(?:(a)|b)+");

    is_match(match(c, &req), S3_YES, "a stack with room");
    is_int(req.regex_errors, 0, "no error");

    pcre2_jit_stack_assign(match_context, NULL, small);

    is_match(match(c, &req), S3_UNKNOWN, "a stack without room");
    is_int(req.regex_errors, 1, "which is counted");

    pcre2_jit_stack_free(small);
    jit = 0;
    reset();
}


static void
test_regex_limits(void)
{
    int                   i;
    double                msec;
    s3_str_t              key;
    s3_condition_t        c, good;
    struct timespec       start;
    s3_policy_request_t   req;

    static const char  *slow[] = {
        "(a+)+$", "(a|a)*$", "(a*)*$", "(.*a){20}", "(a?){60}a{60}$"
    };

    key = guard_fill('a', 1024);
    key.data[1023] = '!';

    for (i = 0; i < 5; i++) {
        request_init(&req);
        req.subjects[S3_SUBJECT_KEY] = key;
        c = regex(S3_SUBJECT_KEY, slow[i]);

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);

        ok(match(c, &req) != S3_YES, "%s: %s is no yes",
           jit ? "JIT" : "regex", slow[i]);

        msec = elapsed(&start);
        printf("# %.3f ms\n", msec);
        ok(msec < 100, "and ends soon");
    }

    /* a limit that is hit is "unknown", and so are all when time is up */

    request_init(&req);
    req.subjects[S3_SUBJECT_KEY] = key;

    c = regex(S3_SUBJECT_KEY, "(a+)+$");
    good = regex(S3_SUBJECT_KEY, "a+!");

    is_match(match(good, &req), S3_YES, "a good one before");
    is_match(match(c, &req), S3_UNKNOWN, "one that hits the limit");
    is_match(match(good, &req), S3_YES, "a good one after it");
    ok(req.regex_errors == 1, "one error");

    time_is_up = 1;

    is_match(match(good, &req), S3_UNKNOWN, "a good one when time is up");
    is_match(match(regex(S3_SUBJECT_KEY, "b"), &req), S3_UNKNOWN,
             "one that would not match when time is up");
    is_match(match(glob(S3_SUBJECT_KEY, S("*!")), &req), S3_YES,
             "a glob when time is up");
    ok(req.regex_errors == 3, "two more errors");

    time_is_up = 0;

    reset();
}


static void
test_age(void)
{
    size_t                i;
    s3_policy_request_t   req;

    static const struct {
        const char           *id;
        s3_condition_type_t   type;
        int64_t               msec;
        int64_t               age;
        s3_match_t            match;
        const char           *name;
    } cases[] = {
        { ID, S3_CONDITION_OLDER, 10 * MINUTE, 11 * MINUTE, S3_YES,
          "older" },
        { ID, S3_CONDITION_OLDER, 10 * MINUTE, 10 * MINUTE + 1, S3_YES,
          "older by a millisecond" },
        { ID, S3_CONDITION_OLDER, 10 * MINUTE, 10 * MINUTE - 1, S3_NO,
          "a millisecond is missing" },
        { ID, S3_CONDITION_OLDER, 10 * MINUTE, 0, S3_NO, "not older" },
        { ID, S3_CONDITION_YOUNGER, 10 * MINUTE, 0, S3_YES, "younger" },
        { ID, S3_CONDITION_YOUNGER, 10 * MINUTE, 10 * MINUTE - 1, S3_YES,
          "younger by a millisecond" },
        { ID, S3_CONDITION_YOUNGER, 10 * MINUTE, 10 * MINUTE + 1, S3_NO,
          "a millisecond too old" },
        { ID, S3_CONDITION_YOUNGER, 10 * MINUTE, 11 * MINUTE, S3_NO,
          "not younger" },
        { ID, S3_CONDITION_OLDER, INT64_C(31536000000) * 100, 1, S3_NO,
          "a hundred years" },

        { "2~0VpzYUFYyHwbDmEnyoxWSJfYGGvYdBn", S3_CONDITION_OLDER, 1, 0,
          S3_UNKNOWN, "older, an id without an age" },
        { "2~0VpzYUFYyHwbDmEnyoxWSJfYGGvYdBn", S3_CONDITION_YOUNGER, 1, 0,
          S3_UNKNOWN, "younger, an id without an age" },
        { "00000000-0000-0000-2790-dee1ac994053", S3_CONDITION_OLDER, 1, 0,
          S3_UNKNOWN, "older, a time of 0" },
        { "00000000-0000-0000-2790-dee1ac994053", S3_CONDITION_YOUNGER, 1, 0,
          S3_UNKNOWN, "younger, a time of 0" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        request_init(&req);
        req.subjects[S3_SUBJECT_UPLOAD_ID] = guard_z(cases[i].id);
        req.now = ID_MSEC + cases[i].age;

        is_match(match(age(cases[i].type, cases[i].msec), &req),
                 cases[i].match, cases[i].name);
    }

    /* at the limit it is one of the two, and not both */

    request_init(&req);
    req.now = ID_MSEC + 10 * MINUTE;

    ok((match(age(S3_CONDITION_OLDER, 10 * MINUTE), &req) == S3_YES)
       != (match(age(S3_CONDITION_YOUNGER, 10 * MINUTE), &req) == S3_YES),
       "what is not older is younger");

    /* from the future: never old, and not to be allowed for its youth */

    request_init(&req);
    req.subjects[S3_SUBJECT_UPLOAD_ID] =
        S("0000ffff-ffff-ffff-2790-dee1ac994053");

    ok(match(age(S3_CONDITION_OLDER, 0), &req) != S3_YES,
       "an id from the future is not older");
    ok(match(age(S3_CONDITION_YOUNGER, 10 * MINUTE), &req) != S3_NO,
       "an id from the future is not too old");

    req.now = 0;
    ok(match(age(S3_CONDITION_OLDER, 1), &req) != S3_YES,
       "a clock at 0");

    reset();
}


static void
test_if(void)
{
    size_t                i;
    s3_policy_request_t   req;

    static const struct {
        const char  *value;
        s3_match_t   match;
        const char  *name;
    } cases[] = {
        { "", S3_NO, "if: empty" },
        { "0", S3_NO, "if: 0" },
        { "1", S3_YES, "if: 1" },
        { "00", S3_YES, "if: 00" },
        { "no", S3_YES, "if: no" },
        { " ", S3_YES, "if: a space" },
        { "0 ", S3_YES, "if: 0 and a space" }
    };

    request_init(&req);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        variables[3] = guard_z(cases[i].value);
        is_match(match(condition_if(3), &req), cases[i].match,
                 cases[i].name);
    }

    variables[3] = S("\0");
    is_match(match(condition_if(3), &req), S3_YES, "if: a NUL");

    req.skip_if = 1;
    is_match(match(condition_if(3), &req), S3_UNKNOWN, "if: skipped");
    req.skip_if = 0;

    memset(variables, 0, sizeof(variables));
    is_match(match(condition_if(3), &req), S3_UNKNOWN, "if: not known");

    reset();
}


static void
test_rule(void)
{
    s3_rule_t             r;
    s3_condition_t        yes, no, unknown;
    s3_policy_request_t   req;

    request_init(&req);

    yes = literal(S3_SUBJECT_BUCKET, S("media"));
    no = literal(S3_SUBJECT_BUCKET, S("other"));
    unknown = glob(S3_SUBJECT_KEY, S("$c"));

#define is_rule(expected, name, ...)                                         \
    r = rule(0, __VA_ARGS__);                                                \
    is_match(s3_policy_rule(&r, &req), expected, name);                      \
    r = rule(1, __VA_ARGS__);                                                \
    is_match(s3_policy_rule(&r, &req), expected, "deny: " name)

    is_rule(S3_YES, "no condition", 0);
    is_rule(S3_YES, "yes", 1, yes);
    is_rule(S3_NO, "no", 1, no);
    is_rule(S3_UNKNOWN, "unknown", 1, unknown);
    is_rule(S3_YES, "yes, yes", 2, yes, yes);
    is_rule(S3_NO, "yes, no", 2, yes, no);
    is_rule(S3_NO, "no, yes", 2, no, yes);
    is_rule(S3_UNKNOWN, "yes, unknown", 2, yes, unknown);
    is_rule(S3_UNKNOWN, "unknown, yes", 2, unknown, yes);
    is_rule(S3_NO, "unknown, no", 2, unknown, no);
    is_rule(S3_NO, "no, unknown", 2, no, unknown);
    is_rule(S3_NO, "yes, unknown, no", 3, yes, unknown, no);
    is_rule(S3_UNKNOWN, "yes, unknown, yes", 3, yes, unknown, yes);

    reset();
}


static void
is_decision(s3_rule_t *rules, size_t n, int allowed, int line,
    const char *name)
{
    int                   got;
    s3_policy_t           p;
    const s3_rule_t      *r;
    s3_policy_request_t   req;

    policy_init(&p, rules, n);
    request_init(&req);

    r = (const s3_rule_t *) -1;
    got = s3_policy_decide(&p, &req, &r);

    is_int(got, allowed, "decide: %s", name);
    is_int(r ? (int) r->line : 0, line, "deciding rule: %s", name);
}


static void
test_decide(void)
{
    s3_rule_t        r[4];
    s3_condition_t   yes, no, unknown, me, other, any;

    yes = literal(S3_SUBJECT_BUCKET, S("media"));
    no = literal(S3_SUBJECT_BUCKET, S("other"));
    unknown = glob(S3_SUBJECT_KEY, S("$c"));
    me = literal(S3_SUBJECT_TENANT, S("acme"));
    other = literal(S3_SUBJECT_TENANT, S("acme2"));
    any = glob(S3_SUBJECT_TENANT, S("a*"));

    is_decision(r, 0, 0, 0, "an empty policy denies");

    r[0] = rule(0, 0);
    is_decision(r, 1, 1, 1, "allow;");

    r[0] = rule(1, 0);
    is_decision(r, 1, 0, 1, "deny;");

    r[0] = rule(0, 1, no);
    is_decision(r, 1, 0, 0, "nothing matches");

    r[0] = rule(1, 1, no);
    is_decision(r, 1, 0, 0, "a deny that does not match allows nothing");

    r[0] = rule(0, 1, yes);
    r[1] = rule(1, 1, yes);
    is_decision(r, 2, 0, 2, "a deny behind an allow wins");

    r[0] = rule(1, 1, yes);
    r[1] = rule(0, 1, yes);
    is_decision(r, 2, 0, 1, "a deny before an allow wins");

    r[0] = rule(0, 1, no);
    r[1] = rule(0, 1, yes);
    r[2] = rule(0, 0);
    is_decision(r, 3, 1, 2, "the first allow that matches");

    r[0] = rule(0, 0);
    r[1] = rule(1, 1, no);
    r[2] = rule(1, 1, yes);
    r[3] = rule(1, 0);
    is_decision(r, 4, 0, 3, "the first deny that matches");

    r[0] = rule(0, 1, unknown);
    is_decision(r, 1, 0, 0, "an unknown allow does not allow");

    r[0] = rule(0, 0);
    r[1] = rule(1, 1, unknown);
    is_decision(r, 2, 0, 2, "an unknown deny denies");

    r[0] = rule(0, 0);
    r[1] = rule(1, 2, unknown, no);
    is_decision(r, 2, 1, 1, "a deny that is unknown and no does not");

    r[0] = rule(0, 2, me, yes);
    is_decision(r, 1, 1, 1, "an allow for the tenant");

    r[0] = rule(0, 2, other, yes);
    is_decision(r, 1, 0, 0, "an allow for another tenant");

    r[0] = rule(0, 2, yes, me);
    is_decision(r, 1, 1, 1, "the tenant last");

    r[0] = rule(0, 2, yes, other);
    is_decision(r, 1, 0, 0, "another tenant last");

    r[0] = rule(0, 1, any);
    r[1] = rule(0, 1, me);
    is_decision(r, 2, 1, 1, "a glob before the tenant");

    r[0] = rule(0, 1, me);
    r[1] = rule(0, 1, any);
    is_decision(r, 2, 1, 1, "the tenant before a glob");

    r[0] = rule(0, 0);
    r[1] = rule(1, 1, any);
    r[2] = rule(1, 1, me);
    is_decision(r, 3, 0, 2, "the first deny, a glob");

    r[0] = rule(0, 0);
    r[1] = rule(1, 1, other);
    r[2] = rule(1, 1, me);
    r[3] = rule(1, 0);
    is_decision(r, 4, 0, 3, "the first deny, the tenant's");

    r[0] = rule(0, 1, me);
    r[1] = rule(1, 1, other);
    is_decision(r, 2, 1, 1, "another tenant's deny");

    reset();

    /* a tenant called * */

    {
        s3_policy_t           p;
        const s3_rule_t      *found;
        s3_policy_request_t   req;

        r[0] = rule(0, 1, glob(S3_SUBJECT_KEY, S("uploads/$a/*")));
        policy_init(&p, r, 1);

        variables[0] = S("*");
        request_init(&req);
        req.subjects[S3_SUBJECT_TENANT] = S("*");

        is_int(s3_policy_decide(&p, &req, &found), 0,
               "a tenant called * reaches nobody's keys");

        req.subjects[S3_SUBJECT_KEY] = S("uploads/*/x");
        is_int(s3_policy_decide(&p, &req, &found), 1, "but its own");
    }

    reset();
}


/* does this rule concern the tenant?  By the header's words */

static int
concerns(const s3_rule_t *r, s3_str_t tenant)
{
    size_t  i;

    for (i = 0; i < r->nconditions; i++) {
        if (r->conditions[i].type == S3_CONDITION_LITERAL
            && r->conditions[i].subject == S3_SUBJECT_TENANT)
        {
            return s3_str_eq(r->conditions[i].u.literal, tenant);
        }
    }

    return 1;
}


static void
test_walk(void)
{
    int                i, n, wrong;
    char               mine[60];
    uint32_t           j;
    s3_str_t           tenant;
    s3_rule_t          rules[60];
    s3_policy_t        p;
    s3_policy_walk_t   w;
    const s3_rule_t   *r;

    wrong = 0;

    for (i = 0; i < 400; i++) {
        n = (int) (unit_random() % 60);

        for (j = 0; j < (uint32_t) n; j++) {
            switch (unit_random() % 4) {
            case 0:
                rules[j] = rule(0, 0);
                break;
            case 1:
                rules[j] = rule(1, 1, glob(S3_SUBJECT_TENANT, S("t*")));
                break;
            case 2:
                rules[j] = rule(0, 1, literal(S3_SUBJECT_BUCKET, S("t1")));
                break;
            default:
                rules[j] = rule(0, 2, literal(S3_SUBJECT_BUCKET, S("t2")),
                                literal(S3_SUBJECT_TENANT,
                                        guard_f("t%u", unit_random() % 7)));
            }
        }

        tenant = guard_f("t%u", unit_random() % 9);

        for (j = 0; j < (uint32_t) n; j++) {
            mine[j] = (char) concerns(&rules[j], tenant);
        }

        policy_init(&p, rules, (size_t) n);
        s3_policy_walk(&w, &p, tenant);

        for (j = 0; j < (uint32_t) n; j++) {
            if (mine[j]) {
                r = s3_policy_next(&w);
                wrong += r == NULL || r->number != j || r->line != j + 1;
            }
        }

        r = s3_policy_next(&w);
        wrong += r != NULL;
        wrong += s3_policy_next(&w) != NULL;

        reset();
    }

    is_int(wrong, 0, "a walk sees the rules of a tenant, in order");
}


/*
 * Random policies against an evaluator that follows the design's words:
 * every rule is looked at, every condition is judged by itself.
 */

#define CONDITIONS  4

typedef struct {
    int          kind;
    const char  *text;
    s3_match_t   match;
} model_condition_t;

typedef struct {
    int                 deny;
    int                 n;
    model_condition_t   c[CONDITIONS];
} model_rule_t;


static const char  *model_globs[] = {
    "*", "a*", "?b", "$a", "${a}*", "$b", "u/$a/*", "u/*/x", "t1", "t2",
    "\\*", "u/$c", "media", "?*", "*x", ""
};


static s3_match_t
model_glob(const char *text, s3_str_t s)
{
    u_char       expanded[256], *p;
    s3_str_t     v;
    const char  *q;

    for (q = text, p = expanded; *q; q++) {

        if (*q == '\\') {
            *p++ = '\\';
            *p++ = (u_char) *++q;
            continue;
        }

        if (*q != '$') {
            *p++ = (u_char) *q;
            continue;
        }

        q += q[1] == '{' ? 2 : 1;
        v = variables[*q - 'a'];
        q += q[1] == '}';

        if (v.len == 0) {
            return S3_UNKNOWN;
        }

        while (v.len--) {
            *p++ = '\\';
            *p++ = *v.data++;
        }
    }

    return naive_glob(expanded, p, s.data, s.data + s.len) ? S3_YES : S3_NO;
}


static s3_condition_t
model_condition(model_condition_t *m, const s3_policy_request_t *req)
{
    int64_t       msec, limit;
    s3_subject_t  subject;

    static const char  *regexes[] = { "a.*", ".*x", "t[12]", "u/[^/]*/x" };
    static const s3_match_t  literals[] = { S3_NO, S3_YES };

    static const char  *literal_texts[] = {
        "t1", "t2", "a", "media", "u/t1/x"
    };

    subject = (s3_subject_t) (unit_random() % S3_NSUBJECTS);

    switch (unit_random() % 8) {
    case 0:
    case 1:
        m->text = literal_texts[unit_random() % 5];
        m->match = literals[s3_str_eq(guard_z(m->text),
                                      req->subjects[subject])];
        return literal(subject, guard_z(m->text));

    case 2:
        m->text = literal_texts[unit_random() % 2];
        m->match = literals[s3_str_eq(guard_z(m->text),
                                      req->subjects[S3_SUBJECT_TENANT])];
        return literal(S3_SUBJECT_TENANT, guard_z(m->text));

    case 3:
    case 4:
        m->text = model_globs[unit_random()
                              % (sizeof(model_globs) / sizeof(char *))];
        m->match = model_glob(m->text, req->subjects[subject]);
        return glob(subject, guard_z(m->text));

    case 5:
        m->text = regexes[unit_random() % 4];

        {
            s3_str_t  s = req->subjects[subject];
            u_char   *slash;

            switch (m->text[0]) {
            case 'a':
                m->match = literals[s.len && s.data[0] == 'a'];
                break;
            case '.':
                m->match = literals[s.len && s.data[s.len - 1] == 'x'];
                break;
            case 't':
                m->match = literals[s3_str_eq(s, S("t1"))
                                    || s3_str_eq(s, S("t2"))];
                break;
            default:
                slash = s.len > 2 ? memchr(s.data + 2, '/', s.len - 2) : NULL;
                m->match = literals[slash && memcmp(s.data, "u/", 2) == 0
                                    && s.data + s.len == slash + 2
                                    && slash[1] == 'x'];
            }
        }

        return regex(subject, m->text);

    case 6:
        limit = (int64_t) (unit_random() % 3) * MINUTE + 1;
        msec = s3_str_eq(req->subjects[S3_SUBJECT_UPLOAD_ID], S(ID))
               ? req->now - ID_MSEC : -1;
        m->text = "age";

        if (unit_random() & 1) {
            m->match = msec == -1 ? S3_UNKNOWN : literals[msec > limit];
            return age(S3_CONDITION_OLDER, limit);
        }

        m->match = msec == -1 ? S3_UNKNOWN : literals[msec < limit];
        return age(S3_CONDITION_YOUNGER, limit);

    default:
        limit = unit_random() % 4;
        m->text = "if";
        m->match = variables[limit].data == NULL
                   ? S3_UNKNOWN
                   : literals[variables[limit].len
                              && !s3_str_eq(variables[limit], S("0"))];
        return condition_if((uint32_t) limit);
    }
}


static void
test_random(void)
{
    int                   i, j, k, n, line, wrong[3];
    s3_match_t            m;
    s3_rule_t             rules[12];
    s3_policy_t           p;
    s3_condition_t        c[CONDITIONS];
    model_rule_t          model[12];
    const s3_rule_t      *r;
    s3_policy_request_t   req;
    int                   allow, deny, counts[3];

    static const char  *tenants[] = { "t1", "t2", "t3", "a", "*" };
    static const char  *keys[] = { "u/t1/x", "u/t2/x", "a", "x", "ab", "*" };
    static const char  *values[] = { "t1", "", "0", "*", "t2", "a" };

    memset(wrong, 0, sizeof(wrong));
    memset(counts, 0, sizeof(counts));

    for (i = 0; i < 4000; i++) {

        for (j = 0; j < 4; j++) {
            variables[j].data = NULL;
            variables[j].len = 0;

            if (unit_random() % 4) {
                variables[j] = guard_z(values[unit_random() % 6]);
            }
        }

        request_init(&req);
        req.subjects[S3_SUBJECT_TENANT] = guard_z(tenants[unit_random() % 5]);
        req.subjects[S3_SUBJECT_KEY] = guard_z(keys[unit_random() % 6]);
        req.now = ID_MSEC + (int64_t) (unit_random() % 4) * MINUTE;

        if (unit_random() & 1) {
            req.subjects[S3_SUBJECT_UPLOAD_ID] = S("2~x");
        }

        n = (int) (unit_random() % 12);
        allow = 0;
        deny = 0;

        for (j = 0; j < n; j++) {
            model[j].deny = unit_random() % 4 == 0;
            model[j].n = (int) (unit_random() % (CONDITIONS + 1));

            for (k = 0; k < model[j].n; k++) {
                c[k] = model_condition(&model[j].c[k], &req);

                /* a condition may stand once */

                if (c[k].type <= S3_CONDITION_REGEX
                    && c[k].subject == S3_SUBJECT_TENANT)
                {
                    int  l;

                    for (l = 0; l < k; l++) {
                        if (c[l].type <= S3_CONDITION_REGEX
                            && c[l].subject == S3_SUBJECT_TENANT)
                        {
                            break;
                        }
                    }

                    if (l < k) {
                        model[j].n = k;
                        break;
                    }
                }
            }

            rules[j] = rule(model[j].deny, 0);
            rules[j].nconditions = (uint16_t) model[j].n;
            rules[j].conditions = own(sizeof(c));
            memcpy(rules[j].conditions, c, sizeof(c));

            m = S3_YES;

            for (k = 0; k < model[j].n; k++) {
                wrong[0] += s3_policy_condition(&c[k], &req)
                            != model[j].c[k].match;

                if (model[j].c[k].match == S3_NO) {
                    m = S3_NO;

                } else if (model[j].c[k].match == S3_UNKNOWN && m == S3_YES) {
                    m = S3_UNKNOWN;
                }
            }

            wrong[1] += s3_policy_rule(&rules[j], &req) != m;

            if (model[j].deny && m != S3_NO && !deny) {
                deny = j + 1;
            }

            if (!model[j].deny && m == S3_YES && !allow) {
                allow = j + 1;
            }
        }

        policy_init(&p, rules, (size_t) n);

        k = s3_policy_decide(&p, &req, &r);
        line = deny ? deny : allow;

        if (k != (deny == 0 && allow != 0)
            || (r ? (int) r->line : 0) != line)
        {
            wrong[2]++;
        }

        counts[deny ? 0 : allow ? 1 : 2]++;

        reset();
    }

    printf("# %d denied, %d allowed, %d by default\n", counts[0], counts[1],
           counts[2]);

    is_int(wrong[0], 0, "random conditions");
    is_int(wrong[1], 0, "random rules");
    is_int(wrong[2], 0, "random policies decide as the design's words do");
}


/* 10,000 tenants and 100,000 rules */

static void
test_many(void)
{
    int                   i, n;
    void                 *buf;
    double                msec;
    s3_rule_t            *rules;
    s3_policy_t           p;
    s3_condition_t       *c;
    const s3_rule_t      *r;
    struct timespec       start;
    s3_policy_request_t   req;
    char                 *names;

    static s3_str_t  bucket = s3_string("media");
    static s3_str_t  others = s3_string("other");

    n = 100000;
    rules = calloc((size_t) n, sizeof(s3_rule_t));
    c = calloc((size_t) n * 2, sizeof(s3_condition_t));
    names = malloc(10000 * 16);

    if (rules == NULL || c == NULL || names == NULL) {
        ok(0, "memory");
        return;
    }

    for (i = 0; i < 10000; i++) {
        (void) sprintf(names + (ptrdiff_t) 16 * i, "tenant-%05d", i);
    }

    for (i = 0; i < n; i++) {
        rules[i].conditions = &c[2 * i];
        rules[i].nconditions = 2;
        rules[i].line = (uint32_t) i + 1;
        rules[i].file = &file;

        c[2 * i].type = S3_CONDITION_LITERAL;
        c[2 * i].subject = S3_SUBJECT_TENANT;
        c[2 * i].u.literal.len = 12;
        c[2 * i].u.literal.data = (u_char *) names
                                  + (ptrdiff_t) 16 * (i % 10000);
        c[2 * i].text = c[2 * i].u.literal.data;
        c[2 * i].text_len = 12;
        c[2 * i + 1].type = S3_CONDITION_LITERAL;
        c[2 * i + 1].subject = S3_SUBJECT_BUCKET;
        c[2 * i + 1].u.literal = i < 50000 ? others : bucket;
        c[2 * i + 1].text = c[2 * i + 1].u.literal.data;
        c[2 * i + 1].text_len = 5;
    }

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);

    buf = malloc(s3_policy_size(rules, (uint32_t) n));

    if (buf) {
        s3_policy_init(&p, rules, (uint32_t) n, buf);
    }

    msec = elapsed(&start);
    printf("# 100,000 rules are indexed in %.1f ms\n", msec);
    ok(buf && msec < 1000, "100,000 rules are indexed soon");

    request_init(&req);
    n = 0;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);

    for (i = 0; buf && i < 10000; i++) {
        req.subjects[S3_SUBJECT_TENANT].len = 12;
        req.subjects[S3_SUBJECT_TENANT].data = (u_char *) names
                                               + (ptrdiff_t) 16 * i;

        n += s3_policy_decide(&p, &req, &r) != 1
             || r == NULL || r->line != (uint32_t) (50000 + i + 1);
    }

    msec = elapsed(&start);
    printf("# 10,000 decisions in %.1f ms\n", msec);

    is_int(n, 0, "each of 10,000 tenants finds its rule");
    ok(msec < 1000, "by a lookup");

    req.subjects[S3_SUBJECT_TENANT] = S("tenant-10000");
    is_int(s3_policy_decide(&p, &req, &r), 0, "another tenant finds none");
    ok(r == NULL, "no rule");

    free(buf);
    free(rules);
    free(c);
    free(names);
}
