
/*
 * Policy: a request is denied unless a rule allows it, and a matching deny
 * always wins, whatever the order.
 *
 * A rule matches when all its conditions do.  A condition yields yes, no or
 * unknown; a rule is "no" if one of its conditions is, else "unknown" if one
 * is.  What is unknown satisfies a deny and never an allow.
 */


#ifndef _S3_POLICY_H_INCLUDED_
#define _S3_POLICY_H_INCLUDED_


#include <stdint.h>

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include "s3_string.h"


/*
 * Globs: "*" is any run of bytes, "?" one byte, "\" takes the next byte
 * literally, "$name" and "${name}" stand for a variable's literal value.
 */

typedef enum {
    S3_GLOB_LITERAL,
    S3_GLOB_VARIABLE,
    S3_GLOB_BYTE,
    S3_GLOB_RUN
} s3_glob_type_t;

typedef struct {
    s3_str_t         literal;     /* or the variable's name */
    s3_glob_type_t   type;
    unsigned         variable;    /* an index of the caller's */
} s3_glob_part_t;


/*
 * Splits "text" into parts, which point into it; runs of "*" are one part.
 * With "parts" NULL it only counts.  Returns the number of parts, or -1 with
 * *message set.  The caller sets the variables' indices.
 */

int s3_glob_parse(s3_glob_part_t *parts, s3_str_t text, const char **message);


typedef enum {
    S3_NO = 0,
    S3_YES,
    S3_UNKNOWN
} s3_match_t;


typedef enum {
    S3_SUBJECT_TENANT = 0,
    S3_SUBJECT_ENDPOINT,
    S3_SUBJECT_BUCKET,
    S3_SUBJECT_KEY,
    S3_SUBJECT_UPLOAD_ID,

    S3_NSUBJECTS
} s3_subject_t;


typedef enum {
    S3_CONDITION_LITERAL,
    S3_CONDITION_GLOB,
    S3_CONDITION_REGEX,
    S3_CONDITION_OLDER,
    S3_CONDITION_YOUNGER,
    S3_CONDITION_IF
} s3_condition_type_t;


/* what a condition points to lies in its text, as written; but a regex */

typedef struct {
    uint8_t        type;          /* s3_condition_type_t */
    uint8_t        subject;       /* s3_subject_t; literal, glob, regex */
    uint16_t       nparts;        /* glob */
    uint32_t       text_len;
    u_char        *text;
    union {
        s3_str_t          literal;
        s3_glob_part_t   *parts;
        struct {
            pcre2_code   *code;
            int           tenant; /* number of the group "tenant", or 0 */
        } regex;
        int64_t           msec;   /* older, younger */
        uint32_t          variable;               /* if */
    } u;
} s3_condition_t;


typedef struct {
    s3_condition_t   *conditions;
    const s3_str_t   *file;
    uint32_t          line;
    uint32_t          number;     /* in the policy's order; set with it */
    uint16_t          nconditions;
    uint16_t          tenant;     /* the condition that the policy has found
                                   * the rule by, from 1; 0: none, at first */
    uint16_t          deny;
} s3_rule_t;


/*
 * Rules with a literal tenant are found by it in a hash table of
 * table_size (a power of 2) slots; behind these is one for all others.  A
 * slot's rules lie together with all that they point to, but files and
 * regexes: a tenant is one place in memory.
 */

typedef struct {
    uint32_t           hash;      /* of the tenant */
    uint32_t           nrules;    /* 0 in a free slot */
    uint32_t           first;     /* in "rules" */
    uint32_t           size;      /* of them and the rest, counted in rules */
} s3_policy_slot_t;

typedef struct {
    s3_policy_slot_t  *table;
    uint32_t           table_size;
    s3_rule_t         *rules;
} s3_policy_t;


/*
 * Makes a policy of "n" rules, of which it keeps a copy in "buf"; that is
 * aligned for any type and has room for s3_policy_size() bytes.  Changes
 * "rules" and needs them no more when it returns.
 */

size_t s3_policy_size(const s3_rule_t *rules, uint32_t n);
void s3_policy_init(s3_policy_t *p, s3_rule_t *rules, uint32_t n, void *buf);


/*
 * A match that needs more steps than this is "unknown".  A step takes a
 * microsecond or two at most - unless it repeats a class of many Unicode
 * properties -, so the limit bounds one match; the caller's clock bounds all
 * those of a request.
 */

#define S3_REGEX_MATCH_LIMIT   3000
#define S3_REGEX_DEPTH_LIMIT   15000
#define S3_REGEX_HEAP_LIMIT    8192           /* kilobytes */
#define S3_REGEX_JIT_STACK     (1024 * 1024)

/* of the match data: the whole match and 30 groups */

#define S3_REGEX_GROUPS_MAX    31

#define S3_REGEX_OPTIONS                                                     \
    (PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY               \
     | PCRE2_NEVER_BACKSLASH_C | PCRE2_UTF)


/*
 * What PCRE2 offers and a policy has no use for: NULL, or a message if
 * "pattern" has a recursion, a subroutine call, a callout, \X or a script run,
 * a step of which may take as long as the key is, or another (*name:...),
 * which all have a shorter spelling; or what looks like one in a character
 * class, a comment, or a quotation.
 */

const char *s3_regex_check(s3_str_t pattern);


typedef struct {
    s3_str_t               subjects[S3_NSUBJECTS];
    int64_t                now;   /* Unix milliseconds */

    /* the value of a variable: empty where it has none, data is NULL where
     * it could not be had */
    s3_str_t             (*variable)(void *data, uint32_t index);
    void                  *data;

    pcre2_match_data      *match_data;
    pcre2_match_context   *match_context;     /* with the limits above */

    /* asked before each regular expression: true if those before it took all
     * the time that they may, which makes this one "unknown" */
    int                  (*exhausted)(void *data);

    unsigned               regex_errors;      /* 0 at first */
    unsigned               skip_if;           /* "if" is unknown */
} s3_policy_request_t;


s3_match_t s3_policy_condition(const s3_condition_t *c,
    s3_policy_request_t *req);
s3_match_t s3_policy_rule(const s3_rule_t *rule, s3_policy_request_t *req);


/*
 * Walks the rules that may concern a tenant, in their order: those that name
 * it and those that name none.
 */

typedef struct {
    const s3_rule_t  *tenant;
    const s3_rule_t  *tenant_end;
    const s3_rule_t  *other;
    const s3_rule_t  *other_end;
} s3_policy_walk_t;

void s3_policy_walk(s3_policy_walk_t *w, const s3_policy_t *p,
    s3_str_t tenant);
const s3_rule_t *s3_policy_next(s3_policy_walk_t *w);


/*
 * Decides.  Returns 1 if the request is allowed, 0 if it is denied; *rule is
 * the deciding one - the first deny that matches, else the first such allow -
 * or NULL if none matched, which denies.
 */

int s3_policy_decide(const s3_policy_t *p, s3_policy_request_t *req,
    const s3_rule_t **rule);


#endif /* _S3_POLICY_H_INCLUDED_ */
