
/*
 * The s3_abort_policy block: reads rules, and hands requests to the pure
 * evaluator.
 */


#include "ngx_http_s3_abort.h"


/*
 * While a block is read, cf->pool is one that is destroyed when the policy is
 * made of it; "pool" is the configuration's.
 */

typedef struct {
    ngx_http_s3_abort_policy_t  *policy;
    ngx_pool_t                  *pool;
    ngx_array_t                  rules;           /* of s3_rule_t */
    s3_str_t                    *file;            /* the current one's name */
} ngx_http_s3_abort_policy_ctx_t;


static char *ngx_http_s3_abort_policy_init(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx);
static char *ngx_http_s3_abort_policy_line(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_s3_abort_condition(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_rule_t *rule, ngx_str_t *value);
static const char *ngx_http_s3_abort_glob(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_condition_t *c,
    ngx_str_t *pattern);
static const char *ngx_http_s3_abort_regex(
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_rule_t *rule, s3_condition_t *c,
    ngx_str_t *pattern);
static const char *ngx_http_s3_abort_age(s3_condition_t *c,
    ngx_str_t *value);
static const char *ngx_http_s3_abort_if(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_condition_t *c, ngx_str_t *value);
static ngx_int_t ngx_http_s3_abort_policy_variable(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_str_t name, uint32_t *index);
static ngx_int_t ngx_http_s3_abort_policy_matching(ngx_conf_t *cf,
    ngx_http_s3_abort_main_conf_t *smcf);
static s3_str_t ngx_http_s3_abort_value(void *data, uint32_t index);
static int ngx_http_s3_abort_exhausted(void *data);
static int64_t ngx_http_s3_abort_clock(clockid_t clock);
static void ngx_http_s3_abort_policy_cleanup(void *data);
static void ngx_http_s3_abort_regex_cleanup(void *data);


static const struct {
    ngx_str_t              name;
    s3_condition_type_t    type;
    s3_subject_t           subject;
} ngx_http_s3_abort_conditions[] = {
    { ngx_string("tenant="), S3_CONDITION_GLOB, S3_SUBJECT_TENANT },
    { ngx_string("tenant~"), S3_CONDITION_REGEX, S3_SUBJECT_TENANT },
    { ngx_string("endpoint="), S3_CONDITION_GLOB, S3_SUBJECT_ENDPOINT },
    { ngx_string("bucket="), S3_CONDITION_GLOB, S3_SUBJECT_BUCKET },
    { ngx_string("bucket~"), S3_CONDITION_REGEX, S3_SUBJECT_BUCKET },
    { ngx_string("key="), S3_CONDITION_GLOB, S3_SUBJECT_KEY },
    { ngx_string("key~"), S3_CONDITION_REGEX, S3_SUBJECT_KEY },
    { ngx_string("upload_id="), S3_CONDITION_GLOB, S3_SUBJECT_UPLOAD_ID },
    { ngx_string("upload_id~"), S3_CONDITION_REGEX, S3_SUBJECT_UPLOAD_ID },
    { ngx_string("older_than="), S3_CONDITION_OLDER, 0 },
    { ngx_string("younger_than="), S3_CONDITION_YOUNGER, 0 },
    { ngx_string("if="), S3_CONDITION_IF, 0 },
    { ngx_null_string, 0, 0 }
};

#define NGX_HTTP_S3_ABORT_NCONDITIONS                                        \
    (sizeof(ngx_http_s3_abort_conditions)                                    \
     / sizeof(ngx_http_s3_abort_conditions[0]) - 1)

#define NGX_HTTP_S3_ABORT_MAX_PATTERN  4096

#define NGX_HTTP_S3_ABORT_CACHE_LINE   64

/* glibc gives back to the system at once what is larger than 32M */

#define NGX_HTTP_S3_ABORT_POLICY_POOL  (33 * 1024 * 1024)

/* of the regular expressions of a request, in nanoseconds */

#define NGX_HTTP_S3_ABORT_REGEX_TIME   2500000


char *
ngx_http_s3_abort_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_main_conf_t *smcf = conf;

    char                             *rv;
    ngx_str_t                        *value;
    ngx_conf_t                        save;
    ngx_pool_t                       *pool;
    ngx_http_s3_abort_policy_t       *policy, **policyp;
    ngx_http_s3_abort_policy_ctx_t    ctx;

    value = cf->args->elts;

    if (ngx_http_s3_abort_policy_find(&smcf->policies, &value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate s3_abort_policy \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    policy = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_policy_t));
    if (policy == NULL) {
        return NGX_CONF_ERROR;
    }

    policy->name = value[1];

    policyp = ngx_array_push(&smcf->policies);
    if (policyp == NULL) {
        return NGX_CONF_ERROR;
    }

    *policyp = policy;

    if (ngx_array_init(&policy->variables, cf->pool, 2, sizeof(ngx_int_t))
        != NGX_OK
        || ngx_http_s3_abort_policy_matching(cf, smcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    pool = ngx_create_pool(NGX_HTTP_S3_ABORT_POLICY_POOL, cf->log);
    if (pool == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx.policy = policy;
    ctx.pool = cf->pool;
    ctx.file = NULL;

    rv = NGX_CONF_ERROR;

    if (ngx_array_init(&ctx.rules, pool, 16, sizeof(s3_rule_t)) == NGX_OK) {
        save = *cf;

        cf->pool = pool;
        cf->handler = ngx_http_s3_abort_policy_line;
        cf->handler_conf = (char *) &ctx;     /* cppcheck-suppress autoVariables */

        rv = ngx_conf_parse(cf, NULL);

        *cf = save;
    }

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_s3_abort_policy_init(cf, &ctx);
    }

    ngx_destroy_pool(pool);

    return rv;
}


static char *
ngx_http_s3_abort_policy_init(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx)
{
    void    *buf;
    size_t   size;

    size = s3_policy_size(ctx->rules.elts, ctx->rules.nelts);

    buf = ngx_pmemalign(cf->pool, size, NGX_HTTP_S3_ABORT_CACHE_LINE);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_http_s3_abort_huge_pages(buf, size);

    s3_policy_init(&ctx->policy->rules, ctx->rules.elts, ctx->rules.nelts,
                   buf);

    return NGX_CONF_OK;
}


ngx_http_s3_abort_policy_t *
ngx_http_s3_abort_policy_find(ngx_array_t *policies, ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_http_s3_abort_policy_t  **policy;

    policy = policies->elts;

    for (i = 0; i < policies->nelts; i++) {
        if (policy[i]->name.len == name->len
            && ngx_strncmp(policy[i]->name.data, name->data, name->len) == 0)
        {
            return policy[i];
        }
    }

    return NULL;
}


/* NGX_OK: allowed, NGX_DECLINED: denied, NGX_ERROR */

ngx_int_t
ngx_http_s3_abort_decide(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_policy_t *policy, const s3_rule_t **rule)
{
    ngx_int_t                       rc;
    ngx_http_s3_abort_judgement_t   j;

    *rule = NULL;

    if (ngx_http_s3_abort_judgement(r, ctx, policy, &j) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = s3_policy_decide(&policy->rules, &j.pure, rule) ? NGX_OK
                                                         : NGX_DECLINED;

    if (j.pure.regex_errors) {
        ctx->match_limit = 1;

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "s3_abort_policy \"%V\": a regular expression hit its "
                      "match limit", &policy->name);
    }

    return j.failed ? NGX_ERROR : rc;
}


ngx_int_t
ngx_http_s3_abort_judgement(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_policy_t *policy,
    ngx_http_s3_abort_judgement_t *j)
{
    ngx_time_t                     *tp;
    s3_policy_request_t            *req;
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);

    j->request = r;
    j->ctx = ctx;
    j->policy = policy;
    j->values = NULL;
    j->failed = 0;

    if (policy->variables.nelts) {
        j->values = ngx_pcalloc(r->pool, policy->variables.nelts
                                         * sizeof(ngx_str_t));
        if (j->values == NULL) {
            return NGX_ERROR;
        }
    }

    tp = ngx_timeofday();
    req = &j->pure;

    req->subjects[S3_SUBJECT_TENANT] = ngx_http_s3_abort_pure(ctx->tenant);
    req->subjects[S3_SUBJECT_ENDPOINT] =
                                ngx_http_s3_abort_pure(ctx->endpoint->name);
    req->subjects[S3_SUBJECT_BUCKET] = ctx->bucket;
    req->subjects[S3_SUBJECT_KEY] = ctx->key;
    req->subjects[S3_SUBJECT_UPLOAD_ID] = ctx->asked.upload_id;
    req->now = (int64_t) tp->sec * 1000 + (int64_t) tp->msec;
    req->variable = ngx_http_s3_abort_value;
    req->data = j;
    req->match_data = smcf->match_data;
    req->match_context = smcf->match_context;
    req->exhausted = ngx_http_s3_abort_exhausted;
    req->regex_errors = 0;
    req->skip_if = 0;

    return NGX_OK;
}


static char *
ngx_http_s3_abort_policy_line(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_policy_ctx_t *ctx = conf;

    ngx_str_t   *value;
    s3_rule_t   *rule;
    ngx_uint_t   i, deny;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "include") == 0) {
        if (cf->args->nelts != 2) {
            return "invalid number of arguments in \"include\"";
        }

        return ngx_conf_include(cf, cmd, conf);
    }

    deny = (ngx_strcmp(value[0].data, "deny") == 0);

    if (!deny && ngx_strcmp(value[0].data, "allow") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unexpected \"%V\", expecting \"allow\", \"deny\" "
                           "or \"include\"", &value[0]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts > NGX_HTTP_S3_ABORT_NCONDITIONS + 1) {
        return "has too many conditions";
    }

    if (ctx->file == NULL
        || ctx->file->len != cf->conf_file->file.name.len
        || ngx_strncmp(ctx->file->data, cf->conf_file->file.name.data,
                       ctx->file->len)
           != 0)
    {
        ctx->file = ngx_palloc(ctx->pool, sizeof(s3_str_t));
        if (ctx->file == NULL) {
            return NGX_CONF_ERROR;
        }

        ctx->file->len = cf->conf_file->file.name.len;
        ctx->file->data = ngx_pstrdup(ctx->pool, &cf->conf_file->file.name);

        if (ctx->file->data == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(&ctx->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    rule->deny = deny;
    rule->line = cf->conf_file->line;
    rule->file = ctx->file;
    rule->nconditions = 0;
    rule->conditions = NULL;

    if (cf->args->nelts > 1) {
        rule->conditions = ngx_pcalloc(cf->pool, (cf->args->nelts - 1)
                                                 * sizeof(s3_condition_t));
        if (rule->conditions == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_s3_abort_condition(cf, ctx, rule, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_abort_condition(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_rule_t *rule, ngx_str_t *value)
{
    ngx_str_t        pattern;
    ngx_uint_t       i, n;
    const char      *message;
    s3_condition_t  *c;

    for (n = 0; n < NGX_HTTP_S3_ABORT_NCONDITIONS; n++) {
        if (ngx_strncmp(value->data, ngx_http_s3_abort_conditions[n].name.data,
                        ngx_http_s3_abort_conditions[n].name.len)
            == 0)
        {
            break;
        }
    }

    if (n == NGX_HTTP_S3_ABORT_NCONDITIONS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid condition \"%V\"", value);
        return NGX_ERROR;
    }

    pattern.data = value->data + ngx_http_s3_abort_conditions[n].name.len;
    pattern.len = value->len - ngx_http_s3_abort_conditions[n].name.len;

    if (pattern.len == 0 || pattern.len > NGX_HTTP_S3_ABORT_MAX_PATTERN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s value of condition \"%V\"",
                           pattern.len ? "too long" : "empty",
                           &ngx_http_s3_abort_conditions[n].name);
        return NGX_ERROR;
    }

    c = &rule->conditions[rule->nconditions];

    c->type = ngx_http_s3_abort_conditions[n].type;
    c->subject = ngx_http_s3_abort_conditions[n].subject;
    c->text = value->data;
    c->text_len = value->len;

    for (i = 0; i < rule->nconditions; i++) {

        /* a literal was a glob, and a subject has either that or a regex */

        if (c->type <= S3_CONDITION_REGEX
            ? (rule->conditions[i].type <= S3_CONDITION_REGEX
               && rule->conditions[i].subject == c->subject)
            : rule->conditions[i].type == c->type)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate condition \"%V\"", value);
            return NGX_ERROR;
        }
    }

    rule->nconditions++;

    switch (ngx_http_s3_abort_conditions[n].type) {

    case S3_CONDITION_REGEX:
        message = ngx_http_s3_abort_regex(ctx, rule, c, &pattern);
        break;

    case S3_CONDITION_OLDER:
    case S3_CONDITION_YOUNGER:
        message = ngx_http_s3_abort_age(c, &pattern);
        break;

    case S3_CONDITION_IF:
        message = ngx_http_s3_abort_if(cf, ctx, c, &pattern);
        break;

    default: /* S3_CONDITION_GLOB */
        message = ngx_http_s3_abort_glob(cf, ctx, c, &pattern);
        break;
    }

    if (message) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid condition \"%V\": %s", value, message);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static const char *
ngx_http_s3_abort_glob(ngx_conf_t *cf, ngx_http_s3_abort_policy_ctx_t *ctx,
    s3_condition_t *c, ngx_str_t *pattern)
{
    int              i, n;
    s3_str_t         text;
    const char      *message;
    s3_glob_part_t   part, *parts;

    if (ngx_strlen(pattern->data) != pattern->len) {
        return "NUL byte";
    }

    text = ngx_http_s3_abort_pure(*pattern);
    message = NULL;

    n = s3_glob_parse(NULL, text, &message);

    if (n == -1) {
        return message;
    }

    /* most are literal, and need no parts */

    if (n == 1) {
        (void) s3_glob_parse(&part, text, &message);

        if (part.type == S3_GLOB_LITERAL) {
            c->type = S3_CONDITION_LITERAL;
            c->u.literal = part.literal;

            return NULL;
        }
    }

    parts = ngx_palloc(cf->pool, n * sizeof(s3_glob_part_t));
    if (parts == NULL) {
        return "no memory";
    }

    (void) s3_glob_parse(parts, text, &message);

    c->nparts = n;
    c->u.parts = parts;

    for (i = 0; i < n; i++) {
        if (parts[i].type == S3_GLOB_VARIABLE
            && ngx_http_s3_abort_policy_variable(cf, ctx, parts[i].literal,
                                                 &parts[i].variable)
               != NGX_OK)
        {
            return "variable";
        }
    }

    return NULL;
}


static const char *
ngx_http_s3_abort_regex(ngx_http_s3_abort_policy_ctx_t *ctx, s3_rule_t *rule,
    s3_condition_t *c, ngx_str_t *pattern)
{
    int                  n, err;
    PCRE2_SIZE           offset;
    const char          *refused;
    ngx_pool_cleanup_t  *cln;
    static PCRE2_UCHAR   message[256];

    refused = s3_regex_check(ngx_http_s3_abort_pure(*pattern));

    if (refused) {
        return refused;
    }

    cln = ngx_pool_cleanup_add(ctx->pool, 0);
    if (cln == NULL) {
        return "no memory";
    }

    c->u.regex.code = pcre2_compile(pattern->data, pattern->len,
                                    S3_REGEX_OPTIONS, &err, &offset, NULL);

    if (c->u.regex.code == NULL) {
        (void) pcre2_get_error_message(err, message, sizeof(message));
        return (const char *) message;
    }

    cln->handler = ngx_http_s3_abort_regex_cleanup;
    cln->data = c->u.regex.code;

    /* without JIT the same verdicts are made, within the same limits */

    (void) pcre2_jit_compile(c->u.regex.code, PCRE2_JIT_COMPLETE);

    n = pcre2_substring_number_from_name(c->u.regex.code,
                                         (PCRE2_SPTR) "tenant");

    if (n == PCRE2_ERROR_NOSUBSTRING) {
        return NULL;
    }

    if (rule->deny) {
        return "group \"tenant\" in a deny";
    }

    if (n < 0 || n >= S3_REGEX_GROUPS_MAX) {
        return "group \"tenant\" must be one of the first 30";
    }

    c->u.regex.tenant = n;

    return NULL;
}


static const char *
ngx_http_s3_abort_age(s3_condition_t *c, ngx_str_t *value)
{
    ngx_int_t  sec;

    sec = ngx_parse_time(value, 1);

    if (sec == NGX_ERROR || sec > NGX_MAX_INT_T_VALUE / 1000) {
        return "not a time";
    }

    c->u.msec = (int64_t) sec * 1000;

    return NULL;
}


static const char *
ngx_http_s3_abort_if(ngx_conf_t *cf, ngx_http_s3_abort_policy_ctx_t *ctx,
    s3_condition_t *c, ngx_str_t *value)
{
    int              n;
    const char      *message;
    s3_glob_part_t   part;

    n = s3_glob_parse(NULL, ngx_http_s3_abort_pure(*value), &message);

    if (n == 1) {
        (void) s3_glob_parse(&part, ngx_http_s3_abort_pure(*value), &message);

        if (part.type == S3_GLOB_VARIABLE) {
            return ngx_http_s3_abort_policy_variable(cf, ctx, part.literal,
                                                     &c->u.variable)
                   == NGX_OK ? NULL : "variable";
        }
    }

    return "not a variable";
}


static ngx_int_t
ngx_http_s3_abort_policy_variable(ngx_conf_t *cf,
    ngx_http_s3_abort_policy_ctx_t *ctx, s3_str_t name, uint32_t *index)
{
    ngx_int_t     n, *variable;
    ngx_str_t     s;
    ngx_uint_t    i;
    ngx_pool_t   *pool;
    ngx_array_t  *variables;

    s = ngx_http_s3_abort_str(name);

    /* nginx keeps a copy of the name */

    pool = cf->pool;
    cf->pool = ctx->pool;

    n = ngx_http_get_variable_index(cf, &s);

    cf->pool = pool;

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    variables = &ctx->policy->variables;
    variable = variables->elts;

    for (i = 0; i < variables->nelts; i++) {
        if (variable[i] == n) {
            *index = i;
            return NGX_OK;
        }
    }

    variable = ngx_array_push(variables);
    if (variable == NULL) {
        return NGX_ERROR;
    }

    *variable = n;
    *index = i;

    return NGX_OK;
}


/* PCRE2 by its own API: nginx's passes no match context, hence no limits */

static ngx_int_t
ngx_http_s3_abort_policy_matching(ngx_conf_t *cf,
    ngx_http_s3_abort_main_conf_t *smcf)
{
    ngx_pool_cleanup_t  *cln;

    if (smcf->match_data) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_s3_abort_policy_cleanup;
    cln->data = smcf;

    smcf->match_data = pcre2_match_data_create(S3_REGEX_GROUPS_MAX, NULL);
    smcf->match_context = pcre2_match_context_create(NULL);

    if (smcf->match_data == NULL || smcf->match_context == NULL) {
        return NGX_ERROR;
    }

    (void) pcre2_set_match_limit(smcf->match_context, S3_REGEX_MATCH_LIMIT);
    (void) pcre2_set_depth_limit(smcf->match_context, S3_REGEX_DEPTH_LIMIT);
    (void) pcre2_set_heap_limit(smcf->match_context, S3_REGEX_HEAP_LIMIT);

    /* NULL where there is no JIT */

    smcf->jit_stack = pcre2_jit_stack_create(32 * 1024, S3_REGEX_JIT_STACK,
                                             NULL);

    if (smcf->jit_stack) {
        pcre2_jit_stack_assign(smcf->match_context, NULL, smcf->jit_stack);
    }

    return NGX_OK;
}


/* a variable is evaluated when a rule first wants it, and then not again */

static s3_str_t
ngx_http_s3_abort_value(void *data, uint32_t index)
{
    ngx_http_s3_abort_judgement_t *j = data;

    ngx_int_t                  *variable;
    ngx_str_t                  *value;
    ngx_http_variable_value_t  *vv;

    value = &j->values[index];

    /* to nginx, what could not be had once is empty from then on */

    if (value->data == NULL && !j->failed) {
        variable = j->policy->variables.elts;

        vv = ngx_http_get_flushed_variable(j->request, variable[index]);

        if (vv == NULL) {
            j->failed = 1;
            return ngx_http_s3_abort_pure(*value);
        }

        value->data = (u_char *) "";

        if (!vv->not_found && vv->len) {
            value->data = vv->data;
            value->len = vv->len;
        }
    }

    return ngx_http_s3_abort_pure(*value);
}


/*
 * The time is the worker's own.  To ask for it takes a system call, so the
 * clock on the wall, which shows no less, is looked at first.
 */

static int
ngx_http_s3_abort_exhausted(void *data)
{
    ngx_http_s3_abort_judgement_t *j = data;

    int64_t                   wall, cpu;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = j->ctx;

    wall = ngx_http_s3_abort_clock(CLOCK_MONOTONIC);

    if (wall == 0) {
        return 1;
    }

    if (ctx->regex_start && wall - ctx->regex_start
                            < NGX_HTTP_S3_ABORT_REGEX_TIME)
    {
        return 0;
    }

    cpu = ngx_http_s3_abort_clock(CLOCK_THREAD_CPUTIME_ID);

    if (cpu == 0) {
        return 1;
    }

    if (ctx->regex_start == 0) {
        ctx->regex_start = wall;
        ctx->regex_cpu = cpu;

        return 0;
    }

    return cpu - ctx->regex_cpu >= NGX_HTTP_S3_ABORT_REGEX_TIME;
}


/* nanoseconds, or 0 on an error */

static int64_t
ngx_http_s3_abort_clock(clockid_t clock)
{
    struct timespec  ts;

    if (clock_gettime(clock, &ts) == -1) {
        return 0;
    }

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
ngx_http_s3_abort_policy_cleanup(void *data)
{
    ngx_http_s3_abort_main_conf_t  *smcf = data;

    pcre2_match_data_free(smcf->match_data);
    pcre2_match_context_free(smcf->match_context);
    pcre2_jit_stack_free(smcf->jit_stack);
}


static void
ngx_http_s3_abort_regex_cleanup(void *data)
{
    pcre2_code_free(data);
}
