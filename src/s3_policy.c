
#include "s3_policy.h"
#include "s3_upload_id.h"


static int s3_glob_is_name(u_char c);
static s3_match_t s3_glob_match(const s3_condition_t *c, s3_str_t subject,
    s3_policy_request_t *req);
static s3_match_t s3_policy_regex(const s3_condition_t *c, s3_str_t subject,
    s3_policy_request_t *req);
static s3_match_t s3_policy_age(const s3_condition_t *c,
    s3_policy_request_t *req);
static s3_match_t s3_policy_if(const s3_condition_t *c,
    s3_policy_request_t *req);
static s3_str_t *s3_policy_literal_tenant(const s3_rule_t *rule);
static s3_policy_slot_t *s3_policy_slot(const s3_policy_t *p,
    s3_str_t tenant);


int
s3_glob_parse(s3_glob_part_t *parts, s3_str_t text, const char **message)
{
    int              n;
    u_char          *p, *last;
    s3_glob_part_t   part, previous;

    n = 0;
    previous.type = S3_GLOB_BYTE;

    p = text.data;
    last = text.data + text.len;

    while (p < last) {

        part.variable = 0;
        part.literal.data = p;

        switch (*p) {

        case '*':
            part.type = S3_GLOB_RUN;
            p++;
            break;

        case '?':
            part.type = S3_GLOB_BYTE;
            p++;
            break;

        case '$':
            part.type = S3_GLOB_VARIABLE;
            p++;

            if (p < last && *p == '{') {
                part.literal.data = ++p;

                while (p < last && s3_glob_is_name(*p)) {
                    p++;
                }

                if (p == last || *p != '}') {
                    *message = "closing bracket of a variable is missing";
                    return -1;
                }

            } else {
                part.literal.data = p;

                while (p < last && s3_glob_is_name(*p)) {
                    p++;
                }
            }

            break;

        case '\\':
            if (++p == last) {
                *message = "\"\\\" at the end";
                return -1;
            }

            part.literal.data = p++;
            part.type = S3_GLOB_LITERAL;

            break;

        default:
            part.type = S3_GLOB_LITERAL;
            break;
        }

        if (part.type == S3_GLOB_LITERAL) {
            while (p < last && *p != '*' && *p != '?' && *p != '$'
                   && *p != '\\')
            {
                p++;
            }
        }

        part.literal.len = (size_t) (p - part.literal.data);

        if (part.type == S3_GLOB_VARIABLE) {

            if (part.literal.len == 0) {
                *message = "invalid variable name";
                return -1;
            }

            /* "}", which is there if there was a "{" */

            if (part.literal.data[-1] == '{') {
                p++;
            }
        }

        if (part.type == S3_GLOB_RUN && previous.type == S3_GLOB_RUN) {
            continue;
        }

        if (parts) {
            parts[n] = part;
        }

        previous = part;
        n++;
    }

    return n;
}


const char *
s3_regex_check(s3_str_t pattern)
{
    size_t   i;
    u_char   next[4];

    for (i = 0; i + 1 < pattern.len; i++) {

        memset(next, 0, sizeof(next));
        memcpy(next, pattern.data + i + 1,
               pattern.len - i - 1 < sizeof(next) ? pattern.len - i - 1
                                                  : sizeof(next));

        if (pattern.data[i] == '\\') {

            if (next[0] == 'g' && (next[1] == '<' || next[1] == '\'')) {
                return "recursion";
            }

            if (next[0] == 'X') {
                return "\\X";
            }

            /* "\c" has a byte of its own, a "\" perhaps */

            i += (next[0] == 'c') ? 2 : 1;
            continue;
        }

        if (pattern.data[i] != '(' || next[0] != '?') {
            continue;
        }

        if (next[1] == 'C') {
            return "callout";
        }

        if (next[1] == 'R' || next[1] == '&'
            || (next[1] == 'P' && next[2] == '>')
            || (next[1] >= '0' && next[1] <= '9')
            || ((next[1] == '+' || next[1] == '-')
                && next[2] >= '0' && next[2] <= '9'))
        {
            return "recursion";
        }
    }

    return NULL;
}


s3_match_t
s3_policy_condition(const s3_condition_t *c, s3_policy_request_t *req)
{
    s3_str_t  subject;

    subject = req->subjects[c->subject];

    switch ((s3_condition_type_t) c->type) {

    case S3_CONDITION_LITERAL:
        return s3_str_eq(c->u.literal, subject) ? S3_YES : S3_NO;

    case S3_CONDITION_GLOB:
        return s3_glob_match(c, subject, req);

    case S3_CONDITION_REGEX:
        return s3_policy_regex(c, subject, req);

    case S3_CONDITION_OLDER:
    case S3_CONDITION_YOUNGER:
        return s3_policy_age(c, req);

    case S3_CONDITION_IF:
        break;
    }

    return s3_policy_if(c, req);
}


s3_match_t
s3_policy_rule(const s3_rule_t *rule, s3_policy_request_t *req)
{
    unsigned    i;
    s3_match_t  match, all;

    all = S3_YES;

    for (i = 0; i < rule->nconditions; i++) {
        match = s3_policy_condition(&rule->conditions[i], req);

        if (match == S3_NO) {
            return S3_NO;
        }

        if (match == S3_UNKNOWN) {
            all = S3_UNKNOWN;
        }
    }

    return all;
}


int
s3_policy_decide(const s3_policy_t *p, s3_policy_request_t *req,
    const s3_rule_t **rule)
{
    s3_match_t         match;
    const s3_rule_t   *r, *allow;
    s3_policy_walk_t   walk;

    allow = NULL;

    s3_policy_walk(&walk, p, req->subjects[S3_SUBJECT_TENANT]);

    for (r = s3_policy_next(&walk); r; r = s3_policy_next(&walk)) {

        if (!r->deny && allow) {
            continue;
        }

        match = s3_policy_rule(r, req);

        if (r->deny) {
            if (match != S3_NO) {
                *rule = r;
                return 0;
            }

        } else if (match == S3_YES) {
            allow = r;
        }
    }

    *rule = allow;

    return allow != NULL;
}


void
s3_policy_walk(s3_policy_walk_t *w, const s3_policy_t *p, s3_str_t tenant)
{
    s3_policy_slot_t  *slot;

    w->policy = p;
    w->other = p->others;
    w->other_end = p->others + p->nothers;
    w->tenant = NULL;
    w->tenant_end = NULL;

    if (p->table_size) {
        slot = s3_policy_slot(p, tenant);

        if (slot->tenant.data) {
            w->tenant = p->numbers + slot->first;
            w->tenant_end = w->tenant + slot->n;
        }
    }
}


const s3_rule_t *
s3_policy_next(s3_policy_walk_t *w)
{
    uint32_t  n;

    if (w->tenant == w->tenant_end) {
        if (w->other == w->other_end) {
            return NULL;
        }

        n = *w->other++;

    } else if (w->other == w->other_end || *w->tenant < *w->other) {
        n = *w->tenant++;

    } else {
        n = *w->other++;
    }

    return &w->policy->rules[n];
}


size_t
s3_policy_index_size(const s3_policy_t *p)
{
    uint32_t  i, n, size;

    n = 0;

    for (i = 0; i < p->nrules; i++) {
        if (s3_policy_literal_tenant(&p->rules[i])) {
            n++;
        }
    }

    /* at most half full */

    for (size = n ? 2 : 0; size < 2 * n; size *= 2) { /* void */ }

    return size * sizeof(s3_policy_slot_t) + p->nrules * sizeof(uint32_t);
}


void
s3_policy_index(s3_policy_t *p, void *buf)
{
    uint32_t           i, n, first, *others;
    s3_str_t          *tenant;
    s3_policy_slot_t  *slot;

    p->table = buf;
    p->table_size = (uint32_t) ((s3_policy_index_size(p)
                                 - p->nrules * sizeof(uint32_t))
                                / sizeof(s3_policy_slot_t));
    p->numbers = (uint32_t *) (p->table + p->table_size);
    p->nothers = 0;

    memset(p->table, 0, p->table_size * sizeof(s3_policy_slot_t));

    for (i = 0; i < p->nrules; i++) {
        tenant = s3_policy_literal_tenant(&p->rules[i]);

        if (tenant == NULL) {
            p->nothers++;
            continue;
        }

        slot = s3_policy_slot(p, *tenant);
        slot->n++;

        /* one copy for all of a tenant's rules, which are read together */

        if (slot->tenant.data == NULL) {
            slot->tenant = *tenant;
        }

        *tenant = slot->tenant;
    }

    first = 0;

    for (i = 0; i < p->table_size; i++) {
        n = p->table[i].n;
        p->table[i].first = first;
        p->table[i].n = 0;
        first += n;
    }

    p->others = p->numbers + first;
    others = p->others;

    for (i = 0; i < p->nrules; i++) {
        tenant = s3_policy_literal_tenant(&p->rules[i]);

        if (tenant == NULL) {
            *others++ = i;
            continue;
        }

        slot = s3_policy_slot(p, *tenant);
        p->numbers[slot->first + slot->n++] = i;
    }
}


static int
s3_glob_is_name(u_char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
           || (c >= 'a' && c <= 'z') || c == '_';
}


/*
 * The greedy algorithm: on a mismatch, the last "*" takes one byte more.  At
 * most pattern times subject steps.  A position in the pattern is a part and
 * an offset in its string.
 */

static s3_match_t
s3_glob_match(const s3_condition_t *c, s3_str_t subject,
    s3_policy_request_t *req)
{
    size_t           i, pos, star_pos;
    unsigned         part, star;
    s3_str_t         s;
    s3_glob_part_t  *parts;

    parts = c->u.parts;

    /* an unknown value is so even where a match would fail before it */

    for (part = 0; part < c->nparts; part++) {
        if (parts[part].type == S3_GLOB_VARIABLE
            && req->variable(req->data, parts[part].variable).len == 0)
        {
            return S3_UNKNOWN;
        }
    }

    i = 0;
    part = 0;
    pos = 0;
    star = c->nparts;
    star_pos = 0;

    for ( ;; ) {

        if (part < c->nparts && parts[part].type == S3_GLOB_RUN) {
            star = part++;
            star_pos = i;
            pos = 0;
            continue;
        }

        if (part == c->nparts) {
            if (i == subject.len) {
                return S3_YES;
            }

        } else if (parts[part].type == S3_GLOB_BYTE) {
            if (i < subject.len) {
                i++;
                part++;
                continue;
            }

        } else {
            s = parts[part].literal;

            if (parts[part].type == S3_GLOB_VARIABLE) {
                s = req->variable(req->data, parts[part].variable);
            }

            while (pos < s.len && i < subject.len
                   && s.data[pos] == subject.data[i])
            {
                pos++;
                i++;
            }

            if (pos == s.len) {
                part++;
                pos = 0;
                continue;
            }
        }

        if (star == c->nparts || star_pos == subject.len) {
            return S3_NO;
        }

        i = ++star_pos;
        part = star + 1;
        pos = 0;
    }
}


static s3_match_t
s3_policy_regex(const s3_condition_t *c, s3_str_t subject,
    s3_policy_request_t *req)
{
    int         rc;
    s3_str_t    tenant;
    PCRE2_SIZE  *ovector;

    if (req->exhausted(req->data)) {
        req->regex_errors++;
        return S3_UNKNOWN;
    }

    rc = pcre2_match(c->u.regex.code, subject.data, subject.len, 0, 0,
                     req->match_data, req->match_context);

    if (rc == PCRE2_ERROR_NOMATCH) {
        return S3_NO;
    }

    if (rc < 0) {
        req->regex_errors++;
        return S3_UNKNOWN;
    }

    if (c->u.regex.tenant == 0) {
        return S3_YES;
    }

    /* rc is 0 if there are more groups than the match data has room for; a
     * group that took no part in the match is unset, or lies beyond rc */

    ovector = pcre2_get_ovector_pointer(req->match_data)
              + 2 * c->u.regex.tenant;

    if ((rc != 0 && rc <= c->u.regex.tenant)
        || ovector[0] == PCRE2_UNSET
        || ovector[0] > ovector[1] || ovector[1] > subject.len)
    {
        return S3_NO;
    }

    tenant.data = subject.data + ovector[0];
    tenant.len = ovector[1] - ovector[0];

    return s3_str_eq(tenant, req->subjects[S3_SUBJECT_TENANT]) ? S3_YES
                                                               : S3_NO;
}


static s3_match_t
s3_policy_age(const s3_condition_t *c, s3_policy_request_t *req)
{
    int64_t  msec;

    msec = s3_upload_id_msec(req->subjects[S3_SUBJECT_UPLOAD_ID]);

    if (msec < 0 || msec > req->now) {
        return S3_UNKNOWN;
    }

    if (c->type == S3_CONDITION_OLDER) {
        return req->now - msec >= c->u.msec ? S3_YES : S3_NO;
    }

    return req->now - msec < c->u.msec ? S3_YES : S3_NO;
}


/* nginx's own convention for "if=" */

static s3_match_t
s3_policy_if(const s3_condition_t *c, s3_policy_request_t *req)
{
    s3_str_t  value;

    if (req->skip_if) {
        return S3_UNKNOWN;
    }

    value = req->variable(req->data, c->variable);

    if (value.data == NULL) {
        return S3_UNKNOWN;
    }

    return value.len && (value.len != 1 || value.data[0] != '0') ? S3_YES
                                                                 : S3_NO;
}


static s3_str_t *
s3_policy_literal_tenant(const s3_rule_t *rule)
{
    unsigned  i;

    for (i = 0; i < rule->nconditions; i++) {
        if (rule->conditions[i].type == S3_CONDITION_LITERAL
            && rule->conditions[i].subject == S3_SUBJECT_TENANT)
        {
            return &rule->conditions[i].u.literal;
        }
    }

    return NULL;
}


/* the tenant's slot, or the free one where it would be */

static s3_policy_slot_t *
s3_policy_slot(const s3_policy_t *p, s3_str_t tenant)
{
    size_t  i;

    for (i = s3_str_hash(tenant) & (p->table_size - 1);
         p->table[i].tenant.data
         && !s3_str_eq(p->table[i].tenant, tenant);
         i = (i + 1) & (p->table_size - 1))
    {
        /* void */
    }

    return &p->table[i];
}
