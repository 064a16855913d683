
/*
 * "s3_abort_explain": judges a tenant, bucket, key and upload id that are
 * given as arguments, by the code that judges requests, and says why.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


struct ngx_http_s3_abort_explain_s {
    ngx_str_t                       policy_name;
    ngx_str_t                       endpoint_name;
    ngx_uint_t                      any;          /* client may ask */
    u_char                         *file;
    ngx_uint_t                      line;
};


typedef struct {
    u_char                         *pos;
    u_char                         *end;
} ngx_http_s3_abort_json_t;


static ngx_int_t ngx_http_s3_abort_explain_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_s3_abort_is_local(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_explain_arguments(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, const char **invalid);
static ngx_int_t ngx_http_s3_abort_explain_argument(ngx_http_request_t *r,
    const char *name, s3_str_t *value);
static size_t ngx_http_s3_abort_explain_size(
    ngx_http_s3_abort_judgement_t *j);
static void ngx_http_s3_abort_explain_write(ngx_http_s3_abort_json_t *json,
    ngx_http_s3_abort_judgement_t *j);
static void ngx_http_s3_abort_explain_rule(ngx_http_s3_abort_json_t *json,
    const s3_rule_t *rule, s3_policy_request_t *req);
static void ngx_http_s3_abort_json(ngx_http_s3_abort_json_t *json,
    const char *fmt, ...);
static void ngx_http_s3_abort_json_member(ngx_http_s3_abort_json_t *json,
    const char *name, s3_str_t value);


static const char  *ngx_http_s3_abort_match_names[] = {
    [S3_NO] = "no",
    [S3_YES] = "yes",
    [S3_UNKNOWN] = "unknown"
};


char *
ngx_http_s3_abort_explain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_s3_abort_explain_t  *explain;

    if (slcf->explain) {
        return "is duplicate";
    }

    explain = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_explain_t));
    if (explain == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "policy=", 7) == 0
            && explain->policy_name.len == 0)
        {
            explain->policy_name.data = value[i].data + 7;
            explain->policy_name.len = value[i].len - 7;
            continue;
        }

        if (ngx_strncmp(value[i].data, "endpoint=", 9) == 0
            && explain->endpoint_name.len == 0)
        {
            explain->endpoint_name.data = value[i].data + 9;
            explain->endpoint_name.len = value[i].len - 9;
            continue;
        }

        if (ngx_strcmp(value[i].data, "from=any") == 0) {
            explain->any = 1;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (explain->policy_name.len == 0) {
        return "needs \"policy=\"";
    }

    slcf->explain = explain;
    explain->file = cf->conf_file->file.name.data;
    explain->line = cf->conf_file->line;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_s3_abort_explain_handler;

    return NGX_CONF_OK;
}


/* the policy and the endpoint may be defined behind the location */

char *
ngx_http_s3_abort_explain_merge(ngx_conf_t *cf,
    ngx_http_s3_abort_loc_conf_t *slcf)
{
    ngx_http_s3_abort_explain_t     *explain;
    ngx_http_s3_abort_endpoint_t   **ep;
    ngx_http_s3_abort_main_conf_t   *smcf;

    explain = slcf->explain;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    slcf->policy = ngx_http_s3_abort_policy_find(&smcf->policies,
                                                 &explain->policy_name);
    if (slcf->policy == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown s3_abort_policy \"%V\" in %s:%ui",
                      &explain->policy_name, explain->file,
                      explain->line);
        return NGX_CONF_ERROR;
    }

    if (explain->endpoint_name.len) {
        slcf->endpoint = ngx_http_s3_abort_endpoint_find(&smcf->endpoints,
                                                   &explain->endpoint_name);

    } else if (smcf->endpoints.nelts == 1) {
        ep = smcf->endpoints.elts;
        slcf->endpoint = ep[0];
    }

    if (slcf->endpoint == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown s3_abort_endpoint \"%V\" in %s:%ui",
                      &explain->endpoint_name, explain->file,
                      explain->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_abort_explain_handler(ngx_http_request_t *r)
{
    size_t                          size;
    ngx_int_t                       rc;
    ngx_buf_t                      *b;
    const char                     *invalid;
    ngx_http_s3_abort_ctx_t        *ctx;
    ngx_http_s3_abort_json_t        json;
    ngx_http_s3_abort_loc_conf_t   *slcf;
    ngx_http_s3_abort_judgement_t   j;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (!slcf->explain->any && !ngx_http_s3_abort_is_local(r)) {
        return NGX_HTTP_FORBIDDEN;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    /* as if it had been identified: variables in patterns see these names */

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_s3_abort_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->conf = slcf;
    ctx->has_identity = 1;
    ctx->endpoint = slcf->endpoint;

    ngx_http_set_ctx(r, ctx, ngx_http_s3_abort_module);

    rc = ngx_http_s3_abort_explain_arguments(r, ctx, &invalid);

    if (rc == NGX_ERROR
        || (rc == NGX_OK
            && ngx_http_s3_abort_judgement(r, ctx, slcf->policy, &j)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = (rc == NGX_OK) ? ngx_http_s3_abort_explain_size(&j) : 256;

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json.pos = b->last;
    json.end = b->end;

    if (rc == NGX_OK) {
        ngx_http_s3_abort_explain_write(&json, &j);

    } else {
        ngx_http_s3_abort_json(&json, "{\n  \"error\": \"invalid %s\"\n}\n",
                               invalid);
    }

    b->last = json.pos;

    /* it was no abort: for the log there is none */

    ngx_http_set_ctx(r, NULL, ngx_http_s3_abort_module);

    ngx_str_set(&r->headers_out.content_type, "application/json");

    return ngx_http_s3_abort_send(r, rc == NGX_OK ? NGX_HTTP_OK
                                                  : NGX_HTTP_BAD_REQUEST, b);
}


static ngx_uint_t
ngx_http_s3_abort_is_local(ngx_http_request_t *r)
{
    struct sockaddr      *sa;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        return sin->sin_addr.s_addr == htonl(INADDR_LOOPBACK);

    default: /* AF_UNIX */
        return 1;
    }
}


/* NGX_OK, NGX_DECLINED with the name of what is invalid, or NGX_ERROR */

static ngx_int_t
ngx_http_s3_abort_explain_arguments(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, const char **invalid)
{
    s3_str_t  tenant;

    if (ngx_http_s3_abort_explain_argument(r, "tenant", &tenant) != NGX_OK
        || ngx_http_s3_abort_explain_argument(r, "bucket", &ctx->bucket)
           != NGX_OK
        || ngx_http_s3_abort_explain_argument(r, "key", &ctx->key) != NGX_OK
        || ngx_http_s3_abort_explain_argument(r, "uploadId",
                                              &ctx->asked.upload_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    *invalid = NULL;

    if (!s3_credentials_is_tenant(tenant)) {
        *invalid = "tenant";

    } else if (s3_request_check_bucket(ctx->bucket) != S3_OK) {
        *invalid = "bucket";

    } else if (s3_request_check_key(ctx->key) != S3_OK) {
        *invalid = "key";

    } else if (s3_request_check_upload_id(ctx->asked.upload_id) != S3_OK) {
        *invalid = "uploadId";
    }

    ctx->tenant = ngx_http_s3_abort_str(tenant);
    ctx->asked.bucket = ctx->bucket;
    ctx->asked.key = ctx->key;

    return *invalid ? NGX_DECLINED : NGX_OK;
}


/* decoded; empty if it is absent, or its escapes are bad */

static ngx_int_t
ngx_http_s3_abort_explain_argument(ngx_http_request_t *r, const char *name,
    s3_str_t *value)
{
    ngx_str_t  s;

    value->len = 0;
    value->data = NULL;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &s) != NGX_OK) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, s.len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = s3_uri_decode(value->data, ngx_http_s3_abort_pure(s));

    if (value->len == S3_URI_INVALID) {
        value->len = 0;
    }

    return NGX_OK;
}


/* an upper bound: a byte may take six */

static size_t
ngx_http_s3_abort_explain_size(ngx_http_s3_abort_judgement_t *j)
{
    size_t             size;
    ngx_uint_t         i;
    const s3_rule_t   *rule;
    s3_policy_walk_t   walk;

    size = 1024 + 6 * (j->policy->name.len + NGX_MAX_PATH);

    for (i = 0; i < S3_NSUBJECTS; i++) {
        size += 6 * j->pure.subjects[i].len;
    }

    s3_policy_walk(&walk, &j->policy->rules,
                   j->pure.subjects[S3_SUBJECT_TENANT]);

    for (rule = s3_policy_next(&walk); rule; rule = s3_policy_next(&walk)) {
        size += 256 + 6 * rule->file->len;

        for (i = 0; i < rule->nconditions; i++) {
            size += 128 + 6 * rule->conditions[i].text_len;
        }
    }

    return size;
}


static void
ngx_http_s3_abort_explain_write(ngx_http_s3_abort_json_t *json,
    ngx_http_s3_abort_judgement_t *j)
{
    ngx_int_t           allowed;
    ngx_uint_t          n;
    const s3_rule_t    *rule;
    s3_policy_walk_t    walk;

    static const char  *names[S3_NSUBJECTS] = {
        "tenant", "endpoint", "bucket", "key", "upload_id"
    };

    j->pure.skip_if = 1;

    allowed = s3_policy_decide(&j->policy->rules, &j->pure, &rule);

    ngx_http_s3_abort_json(json, "{\n  ");
    ngx_http_s3_abort_json_member(json, "policy",
                                  ngx_http_s3_abort_pure(j->policy->name));

    for (n = 0; n < S3_NSUBJECTS; n++) {
        ngx_http_s3_abort_json(json, ",\n  ");
        ngx_http_s3_abort_json_member(json, names[n], j->pure.subjects[n]);
    }

    ngx_http_s3_abort_json(json, ",\n  \"verdict\": \"%s\",\n  ",
                           allowed ? "ALLOWED" : "DENIED");

    if (rule) {
        ngx_http_s3_abort_json_member(json, "rule", *rule->file);
        json->pos--;
        ngx_http_s3_abort_json(json, ":%uD\"", rule->line);

    } else {
        ngx_http_s3_abort_json(json, "\"rule\": \"default\"");
    }

    ngx_http_s3_abort_json(json, ",\n  \"rules\": [");

    s3_policy_walk(&walk, &j->policy->rules,
                   j->pure.subjects[S3_SUBJECT_TENANT]);

    /* the verdict was a request, this is another one */

    j->ctx->regex_start = 0;

    n = 0;

    for (rule = s3_policy_next(&walk); rule; rule = s3_policy_next(&walk)) {
        ngx_http_s3_abort_json(json, n++ ? ",\n    " : "\n    ");
        ngx_http_s3_abort_explain_rule(json, rule, &j->pure);
    }

    ngx_http_s3_abort_json(json, n ? "\n  ]\n}\n" : "]\n}\n");
}


static void
ngx_http_s3_abort_explain_rule(ngx_http_s3_abort_json_t *json,
    const s3_rule_t *rule, s3_policy_request_t *req)
{
    s3_str_t         text;
    ngx_uint_t       i;
    s3_match_t       match;
    s3_condition_t  *c;

    ngx_http_s3_abort_json(json, "{ ");
    ngx_http_s3_abort_json_member(json, "rule", *rule->file);
    json->pos--;
    ngx_http_s3_abort_json(json, ":%uD\", \"effect\": \"%s\", "
                           "\"match\": \"%s\", \"conditions\": [",
                           rule->line, rule->deny ? "deny" : "allow",
                           ngx_http_s3_abort_match_names[
                                             s3_policy_rule(rule, req)]);

    for (i = 0; i < rule->nconditions; i++) {
        c = &rule->conditions[i];

        text.data = c->text;
        text.len = c->text_len;

        match = s3_policy_condition(c, req);

        ngx_http_s3_abort_json(json, i ? ",\n      { " : "\n      { ");
        ngx_http_s3_abort_json_member(json, "condition", text);
        ngx_http_s3_abort_json(json, ", \"match\": \"%s\" }",
                               c->type == S3_CONDITION_IF
                               ? "not evaluated"
                               : ngx_http_s3_abort_match_names[match]);
    }

    ngx_http_s3_abort_json(json, rule->nconditions ? "\n    ] }" : "] }");
}


static void
ngx_http_s3_abort_json(ngx_http_s3_abort_json_t *json, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    json->pos = ngx_vslprintf(json->pos, json->end, fmt, args);
    va_end(args);
}


static void
ngx_http_s3_abort_json_member(ngx_http_s3_abort_json_t *json,
    const char *name, s3_str_t value)
{
    ngx_http_s3_abort_json(json, "\"%s\": \"", name);

    if (!s3_uri_is_text(value)) {
        ngx_http_s3_abort_json(json, "(not UTF-8)");

    } else if (json->pos + 6 * value.len < json->end) {
        json->pos = (u_char *) ngx_escape_json(json->pos, value.data,
                                               value.len);
    }

    ngx_http_s3_abort_json(json, "\"");
}
