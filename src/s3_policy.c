
#include "s3_policy.h"
#include "s3_upload_id.h"


/* counted as sizes are, of which two are in a cache line */

#define S3_POLICY_PREFETCH  96


static int s3_glob_is_name(u_char c);
static s3_match_t s3_glob_match(const s3_condition_t *c, s3_str_t subject,
    s3_policy_request_t *req);
static s3_match_t s3_policy_regex(const s3_condition_t *c, s3_str_t subject,
    s3_policy_request_t *req);
static s3_match_t s3_policy_age(const s3_condition_t *c,
    s3_policy_request_t *req);
static s3_match_t s3_policy_if(const s3_condition_t *c,
    s3_policy_request_t *req);
static uint16_t s3_policy_find_tenant(const s3_rule_t *rule);
static uint32_t s3_policy_table_size(const s3_rule_t *rules, uint32_t n);
static size_t s3_policy_rules_size(const s3_rule_t *rules, uint32_t n);
static uint32_t s3_policy_rule_size(const s3_rule_t *rule);
static s3_policy_slot_t *s3_policy_slot(const s3_policy_t *p,
    s3_str_t tenant);
static void s3_policy_pack(s3_rule_t *rules, uint32_t n);
static u_char *s3_policy_pack_text(s3_condition_t *c, u_char *dst);


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

        if (pattern.data[i] != '(') {
            continue;
        }

        if (next[0] == '*' && next[1] >= 'a' && next[1] <= 'z') {
            return "(*name:";
        }

        if (next[0] != '?') {
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

        if (i + 1u == rule->tenant) {
            continue;
        }

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
    const s3_policy_slot_t  *slot;

    slot = &p->table[p->table_size];

    w->other = p->rules + slot->first;
    w->other_end = w->other + slot->nrules;

    slot = s3_policy_slot(p, tenant);

    w->tenant = p->rules + slot->first;
    w->tenant_end = w->tenant + slot->nrules;
}


const s3_rule_t *
s3_policy_next(s3_policy_walk_t *w)
{
    if (w->tenant == w->tenant_end) {
        return w->other == w->other_end ? NULL : w->other++;
    }

    if (w->other == w->other_end || w->tenant->number < w->other->number) {
        return w->tenant++;
    }

    return w->other++;
}


size_t
s3_policy_size(const s3_rule_t *rules, uint32_t n)
{
    return s3_policy_rules_size(rules, n)
           + (s3_policy_table_size(rules, n) + 1) * sizeof(s3_policy_slot_t);
}


void
s3_policy_init(s3_policy_t *p, s3_rule_t *rules, uint32_t n, void *buf)
{
    uint32_t           i, first;
    s3_str_t           tenant;
    s3_rule_t         *rule;
    s3_policy_slot_t  *slot;

    p->table_size = s3_policy_table_size(rules, n);
    p->table = (s3_policy_slot_t *) ((u_char *) buf
                                     + s3_policy_rules_size(rules, n));

    memset(p->table, 0, (p->table_size + 1) * sizeof(s3_policy_slot_t));

    /* the slot of each rule; the first one of a slot has its tenant */

    p->rules = rules;

    for (i = 0; i < n; i++) {
        rule = &rules[i];
        slot = &p->table[p->table_size];

        rule->tenant = s3_policy_find_tenant(rule);

        if (rule->tenant) {
            tenant = rule->conditions[rule->tenant - 1].u.literal;

            slot = s3_policy_slot(p, tenant);
            slot->hash = s3_str_hash(tenant);
        }

        if (slot->nrules++ == 0) {
            slot->first = i;
        }

        rule->number = (uint32_t) (slot - p->table);
    }

    /* the size and the place of each slot */

    for (i = 0; i < n; i++) {
        p->table[rules[i].number].size += s3_policy_rule_size(&rules[i]);
    }

    p->rules = buf;

    first = 0;

    for (i = 0; i <= p->table_size; i++) {
        p->table[i].first = first;
        p->table[i].nrules = 0;

        first += p->table[i].size;
    }

    for (i = 0; i < n; i++) {
        slot = &p->table[rules[i].number];

        rule = &p->rules[slot->first + slot->nrules++];

        *rule = rules[i];
        rule->number = i;
    }

    for (i = 0; i <= p->table_size; i++) {
        s3_policy_pack(p->rules + p->table[i].first, p->table[i].nrules);
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

    value = req->variable(req->data, c->u.variable);

    if (value.data == NULL) {
        return S3_UNKNOWN;
    }

    return value.len && (value.len != 1 || value.data[0] != '0') ? S3_YES
                                                                 : S3_NO;
}


/* the number of the condition, from 1, or 0 */

static uint16_t
s3_policy_find_tenant(const s3_rule_t *rule)
{
    uint16_t  i;

    for (i = 0; i < rule->nconditions; i++) {
        if (rule->conditions[i].type == S3_CONDITION_LITERAL
            && rule->conditions[i].subject == S3_SUBJECT_TENANT)
        {
            return i + 1;
        }
    }

    return 0;
}


/* at most half full, and never full */

static uint32_t
s3_policy_table_size(const s3_rule_t *rules, uint32_t n)
{
    uint32_t  i, ntenants, size;

    ntenants = 0;

    for (i = 0; i < n; i++) {
        ntenants += s3_policy_find_tenant(&rules[i]) != 0;
    }

    for (size = 1; size < 2 * ntenants; size *= 2) { /* void */ }

    return size;
}


static size_t
s3_policy_rules_size(const s3_rule_t *rules, uint32_t n)
{
    size_t    size;
    uint32_t  i;

    size = 0;

    for (i = 0; i < n; i++) {
        size += s3_policy_rule_size(&rules[i]);
    }

    return size * sizeof(s3_rule_t);
}


/* of what s3_policy_pack() makes of it, counted in rules */

static uint32_t
s3_policy_rule_size(const s3_rule_t *rule)
{
    size_t    size;
    unsigned  i;

    size = rule->nconditions * sizeof(s3_condition_t);

    for (i = 0; i < rule->nconditions; i++) {
        size += rule->conditions[i].text_len;

        if (rule->conditions[i].type == S3_CONDITION_GLOB) {
            size += rule->conditions[i].nparts * sizeof(s3_glob_part_t);
        }
    }

    size = 1 + (size + sizeof(s3_rule_t) - 1) / sizeof(s3_rule_t);

    return (uint32_t) size;
}


/* the tenant's slot, or the free one where it would be */

static s3_policy_slot_t *
s3_policy_slot(const s3_policy_t *p, s3_str_t tenant)
{
    uint32_t           i, j, hash;
    const s3_rule_t   *rule;
    s3_policy_slot_t  *slot;

    hash = s3_str_hash(tenant);

    for (i = hash; /* void */ ; i++) {
        slot = &p->table[i & (p->table_size - 1)];

        if (slot->nrules == 0) {
            return slot;
        }

        if (slot->hash != hash) {
            continue;
        }

        rule = &p->rules[slot->first];

        /* what is wanted of a tenant comes from memory all at once */

        for (j = 0; j < slot->size && j < S3_POLICY_PREFETCH; j += 2) {
            __builtin_prefetch(rule + j);
        }

        if (s3_str_eq(rule->conditions[rule->tenant - 1].u.literal, tenant)) {
            return slot;
        }
    }
}


/*
 * Copies what the rules point to behind them: all conditions, which are read
 * for each request, then what they point to.
 */

static void
s3_policy_pack(s3_rule_t *rules, uint32_t n)
{
    u_char           *p;
    uint32_t          i, j;
    s3_condition_t   *c;
    s3_glob_part_t   *parts;

    c = (s3_condition_t *) (rules + n);

    for (i = 0; i < n; i++) {
        if (rules[i].nconditions) {
            memcpy(c, rules[i].conditions,
                   rules[i].nconditions * sizeof(s3_condition_t));
        }

        rules[i].conditions = c;
        c += rules[i].nconditions;
    }

    parts = (s3_glob_part_t *) c;

    for (i = 0; i < n; i++) {
        for (j = 0; j < rules[i].nconditions; j++) {
            c = &rules[i].conditions[j];

            if (c->type == S3_CONDITION_GLOB) {
                memcpy(parts, c->u.parts, c->nparts * sizeof(s3_glob_part_t));
                c->u.parts = parts;
                parts += c->nparts;
            }
        }
    }

    p = (u_char *) parts;

    for (i = 0; i < n; i++) {
        for (j = 0; j < rules[i].nconditions; j++) {
            p = s3_policy_pack_text(&rules[i].conditions[j], p);
        }
    }
}


static u_char *
s3_policy_pack_text(s3_condition_t *c, u_char *dst)
{
    unsigned   i;
    s3_str_t   text, *s;

    text.data = c->text;
    text.len = c->text_len;

    if (c->type == S3_CONDITION_LITERAL) {
        c->u.literal.data = dst + (c->u.literal.data - text.data);
    }

    if (c->type == S3_CONDITION_GLOB) {
        for (i = 0; i < c->nparts; i++) {
            s = &c->u.parts[i].literal;
            s->data = dst + (s->data - text.data);
        }
    }

    c->text = dst;

    return s3_put(dst, text);
}
