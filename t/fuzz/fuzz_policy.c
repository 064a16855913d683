
/*
 * Input: lines.  The first four are the tenant, the key, the upload id, and
 * the value of the variable $a ("-": it has none); each that follows is a
 * rule: "a" or "d", then conditions separated by spaces:
 *
 *     tTENANT       a literal tenant
 *     TGLOB KGLOB   the tenant, the key
 *     UGLOB         the upload id
 *     oN yN         older, younger than N minutes
 *     i             if=$a
 *
 * The decision is compared with one by the words of the design: all rules,
 * all conditions, globs by a matcher that remembers what it tried.
 */


#include "fuzz.h"
#include "s3_policy.h"
#include "s3_upload_id.h"


#define RULES_MAX       64
#define CONDITIONS_MAX  8

#define NOW             1489809602960           /* 10 minutes after the ids */


typedef struct {
    s3_rule_t        rule;
    s3_condition_t   conditions[CONDITIONS_MAX];
    s3_match_t       matches[CONDITIONS_MAX];
} rule_t;


static int read_rule(rule_t *r, s3_str_t line,
    const s3_policy_request_t *req);
static int read_condition(rule_t *r, s3_str_t word,
    const s3_policy_request_t *req);
static s3_match_t naive_glob(const s3_condition_t *c, s3_str_t subject);
static s3_match_t naive_literal(s3_str_t a, s3_str_t b);
static int naive_match(const u_char *p, size_t m, const u_char *s, size_t n,
    signed char *memo, size_t width);
static s3_match_t naive_rule(const rule_t *r);
static s3_str_t variable(void *data, uint32_t index);


static s3_str_t  value;                         /* of $a */


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                    allowed, naive_allowed;
    uint32_t               line_of_rule;
    size_t                 i, j, n;
    s3_str_t               input, line, text;
    s3_rule_t             *rules;
    s3_match_t             m;
    s3_policy_t            p;
    const s3_rule_t       *rule, *deny, *allow;
    s3_policy_request_t    req;
    void                  *policy;

    static rule_t  r[RULES_MAX];

    if (size > 2048) {
        return -1;
    }

    text = fuzz_copy(data, size);
    input = text;

    memset(&req, 0, sizeof(req));
    memset(r, 0, sizeof(r));

    req.subjects[S3_SUBJECT_TENANT] = fuzz_line(&input);
    req.subjects[S3_SUBJECT_KEY] = fuzz_line(&input);
    req.subjects[S3_SUBJECT_UPLOAD_ID] = fuzz_line(&input);
    req.now = NOW;
    req.variable = variable;
    req.data = &value;

    value = fuzz_line(&input);

    if (s3_str_eq(value, fuzz_str("-"))) {
        value.data = NULL;
        value.len = 0;
    }

    n = 0;

    while (input.len && n < RULES_MAX) {
        line = fuzz_line(&input);
        n += (size_t) read_rule(&r[n], line, &req);
    }

    /* in a row, as they are wanted */

    rules = calloc(n + 1, sizeof(s3_rule_t));
    fuzz_assert(rules);

    deny = NULL;
    allow = NULL;

    for (i = 0; i < n; i++) {
        rules[i] = r[i].rule;
        rules[i].conditions = r[i].conditions;
        rules[i].line = (uint32_t) i + 1;

        for (j = 0; j < rules[i].nconditions; j++) {
            fuzz_assert(s3_policy_condition(&r[i].conditions[j], &req)
                        == r[i].matches[j]);
        }

        m = naive_rule(&r[i]);

        fuzz_assert(s3_policy_rule(&rules[i], &req) == m);

        if (rules[i].deny && m != S3_NO && deny == NULL) {
            deny = &rules[i];
        }

        if (!rules[i].deny && m == S3_YES && allow == NULL) {
            allow = &rules[i];
        }
    }

    naive_allowed = deny == NULL && allow != NULL;
    line_of_rule = deny ? deny->line : allow ? allow->line : 0;

    policy = malloc(s3_policy_size(rules, (uint32_t) n));
    fuzz_assert(policy);
    s3_policy_init(&p, rules, (uint32_t) n, policy);

    /* it has a copy of all of it */

    for (i = 0; i < n; i++) {
        for (j = 0; j < rules[i].nconditions; j++) {
            if (r[i].conditions[j].type == S3_CONDITION_GLOB) {
                free(r[i].conditions[j].u.parts);
            }
        }
    }

    memset(r, 0xff, sizeof(r));
    free(rules);

    rule = (const s3_rule_t *) 1;
    allowed = s3_policy_decide(&p, &req, &rule);

    fuzz_assert(!allowed == !naive_allowed);
    fuzz_assert((rule ? rule->line : 0) == line_of_rule);

    free(policy);
    fuzz_free(text.data, text.len);

    return 0;
}


static int
read_rule(rule_t *r, s3_str_t line, const s3_policy_request_t *req)
{
    s3_str_t  word;

    memset(r, 0, sizeof(rule_t));

    if (line.len == 0 || (line.data[0] != 'a' && line.data[0] != 'd')) {
        return 0;
    }

    r->rule.deny = line.data[0] == 'd';

    line.data++;
    line.len--;

    while (line.len) {

        if (*line.data == ' ') {
            line.data++;
            line.len--;
            continue;
        }

        word = line;

        for (word.len = 0; word.len < line.len; word.len++) {
            if (line.data[word.len] == ' ') {
                break;
            }
        }

        line.data += word.len;
        line.len -= word.len;

        if (r->rule.nconditions < CONDITIONS_MAX) {
            r->rule.nconditions += (uint16_t) read_condition(r, word, req);
        }
    }

    return 1;
}


static int
read_condition(rule_t *r, s3_str_t word, const s3_policy_request_t *req)
{
    int               n, i;
    s3_str_t          rest;
    int64_t           msec, limit;
    s3_match_t       *match;
    const char       *message;
    s3_condition_t   *c;

    c = &r->conditions[r->rule.nconditions];
    match = &r->matches[r->rule.nconditions];

    memset(c, 0, sizeof(s3_condition_t));

    c->text = word.data;
    c->text_len = (uint32_t) word.len;

    rest = word;
    rest.data++;
    rest.len--;

    switch (word.data[0]) {

    case 't':

        /* a tenant may be named once in a rule */

        for (i = 0; i < r->rule.nconditions; i++) {
            if (r->conditions[i].type == S3_CONDITION_LITERAL) {
                return 0;
            }
        }

        if (rest.len == 0) {
            return 0;
        }

        c->type = S3_CONDITION_LITERAL;
        c->subject = S3_SUBJECT_TENANT;
        c->u.literal = rest;
        *match = naive_literal(rest, req->subjects[S3_SUBJECT_TENANT]);

        return 1;

    case 'T':
    case 'K':
    case 'U':
        c->type = S3_CONDITION_GLOB;
        c->subject = word.data[0] == 'T' ? S3_SUBJECT_TENANT
                     : word.data[0] == 'K' ? S3_SUBJECT_KEY
                     : S3_SUBJECT_UPLOAD_ID;

        message = NULL;
        n = s3_glob_parse(NULL, rest, &message);

        if (n < 0) {
            fuzz_assert(n == -1 && message && *message);
            return 0;
        }

        fuzz_assert((size_t) n <= rest.len);

        c->nparts = (uint16_t) n;
        c->u.parts = calloc((size_t) n + 1, sizeof(s3_glob_part_t));
        fuzz_assert(c->u.parts);
        fuzz_assert(s3_glob_parse(c->u.parts, rest, &message) == n);

        *match = naive_glob(c, req->subjects[c->subject]);

        return 1;

    case 'o':
    case 'y':
        for (i = 0, limit = 0; (size_t) i < rest.len && i < 6; i++) {
            if (rest.data[i] >= '0' && rest.data[i] <= '9') {
                limit = limit * 10 + rest.data[i] - '0';
            }
        }

        c->type = word.data[0] == 'o' ? S3_CONDITION_OLDER
                                      : S3_CONDITION_YOUNGER;
        c->subject = S3_SUBJECT_UPLOAD_ID;
        c->u.msec = limit * 60000;

        msec = fuzz_upload_msec(req->subjects[S3_SUBJECT_UPLOAD_ID]);

        fuzz_assert(s3_upload_id_msec(req->subjects[S3_SUBJECT_UPLOAD_ID])
                    == msec);

        /* where age and limit are equal, there is no promise */

        if (msec == -1) {
            *match = S3_UNKNOWN;

        } else if (NOW - msec == c->u.msec) {
            return 0;

        } else {
            *match = (NOW - msec > c->u.msec) == (word.data[0] == 'o')
                     ? S3_YES : S3_NO;
        }

        if (msec > NOW) {
            *match = S3_UNKNOWN;
        }

        return 1;

    case 'i':
        c->type = S3_CONDITION_IF;
        *match = value.data == NULL ? S3_UNKNOWN
                 : value.len == 0 || s3_str_eq(value, fuzz_str("0")) ? S3_NO
                 : S3_YES;
        return 1;
    }

    return 0;
}


static s3_match_t
naive_literal(s3_str_t a, s3_str_t b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0 ? S3_YES
                                                                : S3_NO;
}


/* the text is read anew: "\" in front of every byte that stands for itself */

static s3_match_t
naive_glob(const s3_condition_t *c, s3_str_t subject)
{
    u_char       *pattern, *p;
    size_t        i, j, k, size, width;
    s3_match_t    m;
    s3_str_t      s;
    signed char  *memo;

    size = 2;

    for (i = 0; i < c->nparts; i++) {
        if (c->u.parts[i].type == S3_GLOB_VARIABLE && value.len == 0) {
            return S3_UNKNOWN;
        }

        size += 2 * (c->u.parts[i].literal.len + value.len) + 1;
    }

    pattern = fuzz_alloc(size);
    p = pattern;

    for (i = 0; i < c->nparts; i++) {

        s = c->u.parts[i].type == S3_GLOB_VARIABLE ? value
                                                   : c->u.parts[i].literal;

        switch (c->u.parts[i].type) {

        case S3_GLOB_RUN:
            *p++ = '*';
            break;

        case S3_GLOB_BYTE:
            *p++ = '?';
            break;

        default:
            for (j = 0; j < s.len; j++) {
                *p++ = '\\';
                *p++ = s.data[j];
            }
        }
    }

    k = (size_t) (p - pattern);
    width = subject.len + 1;

    memo = malloc((k + 1) * width);
    fuzz_assert(memo);
    memset(memo, -1, (k + 1) * width);

    m = naive_match(pattern, k, subject.data, subject.len, memo, width)
        ? S3_YES : S3_NO;

    free(memo);
    fuzz_free(pattern, size);

    return m;
}


static int
naive_match(const u_char *p, size_t m, const u_char *s, size_t n,
    signed char *memo, size_t width)
{
    signed char  *known;

    known = &memo[m * width + n];

    if (*known != -1) {
        return *known;
    }

    if (m == 0) {
        *known = n == 0;

    } else if (*p == '*') {
        *known = naive_match(p + 1, m - 1, s, n, memo, width)
                 || (n && naive_match(p, m, s + 1, n - 1, memo, width));

    } else if (*p == '?') {
        *known = n && naive_match(p + 1, m - 1, s + 1, n - 1, memo, width);

    } else {
        *known = n && p[1] == *s
                 && naive_match(p + 2, m - 2, s + 1, n - 1, memo, width);
    }

    return *known;
}


static s3_match_t
naive_rule(const rule_t *r)
{
    size_t    i;
    unsigned  no, unknown;

    no = 0;
    unknown = 0;

    for (i = 0; i < r->rule.nconditions; i++) {
        no += r->matches[i] == S3_NO;
        unknown += r->matches[i] == S3_UNKNOWN;
    }

    return no ? S3_NO : unknown ? S3_UNKNOWN : S3_YES;
}


static s3_str_t
variable(void *data, uint32_t index)
{
    fuzz_assert(data == &value && index == 0);

    return value;
}
