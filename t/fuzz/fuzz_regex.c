
/*
 * Input: lines: a tenant, a subject, then patterns.
 *
 * A pattern that is let in has no recursion, no callout and no \X, by PCRE2's
 * own word; it decides as a plain match of the whole subject does, with JIT and
 * without; and what is over the limits is unknown.
 */


#include "http.h"
#include "s3_policy.h"


#define PATTERNS_MAX  8
#define IN_TIME       6

#define OPTIONS       (PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C        \
                       | PCRE2_UTF)


typedef struct {
    s3_condition_t   plain;
    s3_condition_t   jit;
    s3_match_t       naive;
    int              known;           /* to the naive one */
} pattern_t;


static int read_pattern(pattern_t *p, s3_str_t text, s3_str_t tenant,
    s3_str_t subject);
static pcre2_code *compile(s3_str_t text, uint32_t options);
static void check_recursion(s3_str_t text);
static int found_callout(pcre2_callout_enumerate_block *block, void *data);
static void naive(pattern_t *p, s3_str_t text, s3_str_t tenant,
    s3_str_t subject);
static void check(pattern_t *patterns, size_t n, int jit,
    s3_policy_request_t *req);
static int exhausted(void *data);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                i, n;
    s3_str_t              text, input, tenant, subject;
    pattern_t             patterns[PATTERNS_MAX];
    s3_policy_request_t   req;

    text = fuzz_copy(data, size);
    input = text;

    tenant = fuzz_line(&input);
    subject = fuzz_line(&input);

    n = 0;

    /* what a key and an upload id are made of */

    if (size <= 1024 && fuzz_is_text(subject)) {
        while (input.len && n < PATTERNS_MAX) {
            n += (size_t) read_pattern(&patterns[n], fuzz_line(&input),
                                       tenant, subject);
        }
    }

    if (n) {
        memset(&req, 0, sizeof(req));
        req.subjects[S3_SUBJECT_TENANT] = tenant;
        req.subjects[S3_SUBJECT_KEY] = subject;

        check(patterns, n, 0, &req);
        check(patterns, n, 1, &req);
    }

    for (i = 0; i < n; i++) {
        pcre2_code_free(patterns[i].plain.u.regex.code);
        pcre2_code_free(patterns[i].jit.u.regex.code);
    }

    fuzz_free(text.data, text.len);

    return 0;
}


static int
read_pattern(pattern_t *p, s3_str_t text, s3_str_t tenant, s3_str_t subject)
{
    int          n;
    pcre2_code  *code;

    code = compile(text, S3_REGEX_OPTIONS);

    if (s3_regex_check(text) != NULL || code == NULL) {
        pcre2_code_free(code);
        return 0;
    }

    check_recursion(text);
    fuzz_assert(pcre2_callout_enumerate(code, found_callout, NULL) == 0);

    n = pcre2_substring_number_from_name(code, (PCRE2_SPTR) "tenant");

    if (n != PCRE2_ERROR_NOSUBSTRING && (n < 0 || n >= S3_REGEX_GROUPS_MAX)) {
        pcre2_code_free(code);
        return 0;
    }

    memset(p, 0, sizeof(pattern_t));

    p->plain.type = S3_CONDITION_REGEX;
    p->plain.subject = S3_SUBJECT_KEY;
    p->plain.u.regex.code = code;
    p->plain.u.regex.tenant = n > 0 ? n : 0;

    p->jit = p->plain;
    p->jit.u.regex.code = pcre2_code_copy(code);
    fuzz_assert(p->jit.u.regex.code);
    (void) pcre2_jit_compile(p->jit.u.regex.code, PCRE2_JIT_COMPLETE);

    naive(p, text, tenant, subject);

    return 1;
}


static pcre2_code *
compile(s3_str_t text, uint32_t options)
{
    int         err;
    PCRE2_SIZE  offset;

    return pcre2_compile(text.data, text.len, options, &err, &offset, NULL);
}


/*
 * A reference to a group that is not there, in front of what looks like a
 * recursion: if PCRE2 sees the former, it sees the latter, too.
 */

static void
check_recursion(s3_str_t text)
{
    int          err;
    size_t       i, j, len;
    u_char      *p, *buf;
    s3_str_t     s;
    PCRE2_SIZE   offset;
    pcre2_code  *code;

    static const char  *looks[] = {
        "(?R", "(?&", "(?P>", "(?0", "(?1", "(?2", "(?3", "(?4", "(?5",
        "(?6", "(?7", "(?8", "(?9", "(?+", "(?-0", "(?-1", "(?-2", "(?-3",
        "\\g<", "\\g'", "\\X"
    };
    static const s3_str_t  nowhere = s3_string("(?60000)");

    for (i = 0; i < text.len; i++) {

        for (j = 0; j < sizeof(looks) / sizeof(looks[0]); j++) {
            len = strlen(looks[j]);

            if (text.len - i >= len
                && memcmp(text.data + i, looks[j], len) == 0)
            {
                break;
            }
        }

        if (j == sizeof(looks) / sizeof(looks[0])) {
            continue;
        }

        buf = malloc(text.len + nowhere.len);
        fuzz_assert(buf);

        s.data = text.data;
        s.len = i;
        p = s3_put(buf, s);
        p = s3_put(p, nowhere);
        s.data = text.data + i;
        s.len = text.len - i;
        p = s3_put(p, s);

        code = pcre2_compile(buf, (size_t) (p - buf), S3_REGEX_OPTIONS, &err,
                             &offset, NULL);
        free(buf);
        pcre2_code_free(code);

        fuzz_assert(code || err != PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE
                    || offset > i + nowhere.len);
    }
}


static int
found_callout(pcre2_callout_enumerate_block *block, void *data)
{
    return 1;
}


/* the whole subject, by options of the match instead of the pattern */

static void
naive(pattern_t *p, s3_str_t text, s3_str_t tenant, s3_str_t subject)
{
    int                   rc, n;
    s3_str_t              group;
    pcre2_code           *code;
    PCRE2_SIZE           *ovector;
    pcre2_match_data     *match;
    pcre2_match_context  *context;

    code = compile(text, OPTIONS);
    fuzz_assert(code);

    match = pcre2_match_data_create_from_pattern(code, NULL);
    context = pcre2_match_context_create(NULL);
    fuzz_assert(match && context);

    pcre2_set_match_limit(context, 50000);
    pcre2_set_heap_limit(context, 20000);

    rc = pcre2_match(code, subject.data, subject.len, 0,
                     PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_JIT, match,
                     context);

    n = p->plain.u.regex.tenant;
    p->known = rc > 0 || rc == PCRE2_ERROR_NOMATCH;
    p->naive = rc > 0 ? S3_YES : S3_NO;

    if (rc > 0 && n) {
        ovector = pcre2_get_ovector_pointer(match);
        group.data = NULL;

        if (n < rc && ovector[2 * n] != PCRE2_UNSET
            && ovector[2 * n] <= ovector[2 * n + 1])
        {
            group.data = subject.data + ovector[2 * n];
            group.len = ovector[2 * n + 1] - ovector[2 * n];
        }

        p->naive = group.data && s3_str_eq(group, tenant) ? S3_YES : S3_NO;
    }

    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
}


/* with the limits and the rooms of the module, all for one request */

static void
check(pattern_t *patterns, size_t n, int jit, s3_policy_request_t *req)
{
    size_t            i;
    unsigned          asked, errors;
    s3_match_t        match;
    pcre2_jit_stack  *stack;

    asked = 0;

    req->exhausted = exhausted;
    req->data = &asked;
    req->regex_errors = 0;

    req->match_data = pcre2_match_data_create(S3_REGEX_GROUPS_MAX, NULL);
    req->match_context = pcre2_match_context_create(NULL);
    fuzz_assert(req->match_data && req->match_context);

    pcre2_set_match_limit(req->match_context, S3_REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(req->match_context, S3_REGEX_DEPTH_LIMIT);
    pcre2_set_heap_limit(req->match_context, S3_REGEX_HEAP_LIMIT);

    stack = pcre2_jit_stack_create(32 * 1024, S3_REGEX_JIT_STACK, NULL);
    pcre2_jit_stack_assign(req->match_context, NULL, stack);

    for (i = 0; i < n; i++) {
        errors = req->regex_errors;

        match = s3_policy_condition(jit ? &patterns[i].jit
                                        : &patterns[i].plain, req);

        fuzz_assert(asked == i + 1);
        fuzz_assert(match == S3_UNKNOWN || asked <= IN_TIME);
        fuzz_assert((match == S3_UNKNOWN) == (req->regex_errors > errors));
        fuzz_assert(match == S3_UNKNOWN || !patterns[i].known
                    || match == patterns[i].naive);
    }

    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(req->match_context);
    pcre2_match_data_free(req->match_data);
}


/* time is up after a few */

static int
exhausted(void *data)
{
    unsigned  *asked = data;

    return ++*asked > IN_TIME;
}
