
/*
 * The variables: what is known of an abort.  None of them ever holds a
 * secret or a signature.  They are evaluated when they are asked for, and
 * again each time, as an early "not known yet" may become known.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


static ngx_int_t ngx_http_s3_abort_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_s3_abort_uri_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_str_t ngx_http_s3_abort_text(s3_str_t value);
static ngx_str_t ngx_http_s3_abort_variable_tenant(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_str_t ngx_http_s3_abort_variable_target(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_str_t ngx_http_s3_abort_variable_decision(
    ngx_http_s3_abort_decision_e decision);
static ngx_str_t ngx_http_s3_abort_variable_rule(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_str_t ngx_http_s3_abort_variable_outcome(
    ngx_http_s3_abort_ctx_t *ctx);


typedef enum {
    NGX_HTTP_S3_ABORT_VAR_TENANT,
    NGX_HTTP_S3_ABORT_VAR_BUCKET,
    NGX_HTTP_S3_ABORT_VAR_KEY,
    NGX_HTTP_S3_ABORT_VAR_UPLOAD_ID,
    NGX_HTTP_S3_ABORT_VAR_TARGET,
    NGX_HTTP_S3_ABORT_VAR_DECISION,
    NGX_HTTP_S3_ABORT_VAR_CANDIDATE_DECISION,
    NGX_HTTP_S3_ABORT_VAR_RULE,
    NGX_HTTP_S3_ABORT_VAR_ERROR,
    NGX_HTTP_S3_ABORT_VAR_OUTCOME,
    NGX_HTTP_S3_ABORT_VAR_ENDPOINT,
    NGX_HTTP_S3_ABORT_VAR_ACCESS_KEY,
    NGX_HTTP_S3_ABORT_VAR_REQUEST_ID,
    NGX_HTTP_S3_ABORT_VAR_UPSTREAM_REQUEST_ID
} ngx_http_s3_abort_variable_e;


#define ngx_http_s3_abort_var(name, which)                                   \
    { ngx_string("s3_abort_" name), NULL, ngx_http_s3_abort_variable,        \
      NGX_HTTP_S3_ABORT_VAR_##which, NGX_HTTP_VAR_NOCACHEABLE, 0 }

static ngx_http_variable_t  ngx_http_s3_abort_variables[] = {
    ngx_http_s3_abort_var("tenant", TENANT),
    ngx_http_s3_abort_var("bucket", BUCKET),
    ngx_http_s3_abort_var("key", KEY),
    ngx_http_s3_abort_var("upload_id", UPLOAD_ID),
    ngx_http_s3_abort_var("target", TARGET),
    ngx_http_s3_abort_var("decision", DECISION),
    ngx_http_s3_abort_var("candidate_decision", CANDIDATE_DECISION),
    ngx_http_s3_abort_var("rule", RULE),
    ngx_http_s3_abort_var("error", ERROR),
    ngx_http_s3_abort_var("outcome", OUTCOME),
    ngx_http_s3_abort_var("endpoint", ENDPOINT),
    ngx_http_s3_abort_var("access_key", ACCESS_KEY),
    ngx_http_s3_abort_var("request_id", REQUEST_ID),
    ngx_http_s3_abort_var("upstream_request_id", UPSTREAM_REQUEST_ID),

    { ngx_string("s3_abort_uri"), NULL, ngx_http_s3_abort_uri_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_s3_abort_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_s3_abort_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_abort_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                      value;
    ngx_http_s3_abort_ctx_t       *ctx;
    ngx_http_s3_abort_loc_conf_t  *slcf;

    v->not_found = 1;

    r = r->main;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (slcf->pass == NGX_HTTP_S3_ABORT_ON
        && ngx_http_s3_abort_recognise(r) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    ctx = ngx_http_s3_abort_find_ctx(r);

    if (ctx == NULL) {
        return NGX_OK;
    }

    if (slcf->pass == NGX_HTTP_S3_ABORT_ON && !ctx->other
        && ngx_http_s3_abort_parse(r, ctx) == S3_DECLINED)
    {
        return NGX_OK;
    }

    ngx_str_null(&value);

    switch ((ngx_http_s3_abort_variable_e) data) {

    case NGX_HTTP_S3_ABORT_VAR_TENANT:
        value = ngx_http_s3_abort_variable_tenant(r, ctx);
        break;

    case NGX_HTTP_S3_ABORT_VAR_BUCKET:
        value = ngx_http_s3_abort_text(ctx->asked.bucket);
        break;

    case NGX_HTTP_S3_ABORT_VAR_KEY:
        value = ngx_http_s3_abort_text(ctx->asked.key);
        break;

    case NGX_HTTP_S3_ABORT_VAR_UPLOAD_ID:
        value = ngx_http_s3_abort_text(ctx->asked.upload_id);
        break;

    case NGX_HTTP_S3_ABORT_VAR_TARGET:
        value = ngx_http_s3_abort_variable_target(r, ctx);
        break;

    case NGX_HTTP_S3_ABORT_VAR_DECISION:
        value = ngx_http_s3_abort_variable_decision(ctx->decision);
        break;

    case NGX_HTTP_S3_ABORT_VAR_CANDIDATE_DECISION:
        value = ngx_http_s3_abort_variable_decision(ctx->candidate_decision);
        break;

    case NGX_HTTP_S3_ABORT_VAR_RULE:
        value = ngx_http_s3_abort_variable_rule(r, ctx);
        break;

    case NGX_HTTP_S3_ABORT_VAR_ERROR:
        if (ctx->error != S3_OK) {
            value = ngx_http_s3_abort_str(s3_error_code(ctx->error));
        }

        break;

    case NGX_HTTP_S3_ABORT_VAR_OUTCOME:
        value = ngx_http_s3_abort_variable_outcome(ctx);
        break;

    case NGX_HTTP_S3_ABORT_VAR_ENDPOINT:
        if (ctx->endpoint) {
            value = ctx->endpoint->name;
        }

        break;

    case NGX_HTTP_S3_ABORT_VAR_ACCESS_KEY:
        if (ngx_http_s3_abort_variable_tenant(r, ctx).len) {
            value = ctx->access_key;
        }

        break;

    case NGX_HTTP_S3_ABORT_VAR_REQUEST_ID:
        value.data = ctx->request_id;
        value.len = NGX_HTTP_S3_ABORT_REQUEST_ID_LEN;
        break;

    case NGX_HTTP_S3_ABORT_VAR_UPSTREAM_REQUEST_ID:
        value = ngx_http_s3_abort_text(
                        ngx_http_s3_abort_pure(ctx->upstream_request_id));
        break;
    }

    if (value.data == NULL) {
        return NGX_OK;
    }

    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


/* of any request: the raw target without signatures */

static ngx_int_t
ngx_http_s3_abort_uri_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char    *p;
    size_t     i, n;
    s3_str_t   uri;

    uri.data = ngx_pnalloc(r->pool, 4 * r->unparsed_uri.len);
    if (uri.data == NULL) {
        return NGX_ERROR;
    }

    uri.len = s3_request_redact(uri.data,
                                ngx_http_s3_abort_pure(r->unparsed_uri));

    /* bytes that a log may not hold as they are */

    for (i = 0, n = 0; i < uri.len; i++) {
        n += uri.data[i] < 0x20 || uri.data[i] >= 0x7f;
    }

    v->data = uri.data;
    v->len = uri.len;

    if (n) {
        p = uri.data + uri.len;
        v->data = p;

        for (i = 0; i < uri.len; i++) {
            if (uri.data[i] < 0x20 || uri.data[i] >= 0x7f) {
                p = ngx_sprintf(p, "%%%02Xd", uri.data[i]);

            } else {
                *p++ = uri.data[i];
            }
        }

        v->len = p - v->data;
    }

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


/* of a request that was refused, any bytes are left, and a storage may send
 * any as its id: not for a log */

static ngx_str_t
ngx_http_s3_abort_text(s3_str_t value)
{
    static ngx_str_t  none = ngx_null_string;

    return s3_uri_is_text(value) ? ngx_http_s3_abort_str(value) : none;
}


/* not in the log phase anew: what was not asked before is not asked then */

static ngx_str_t
ngx_http_s3_abort_variable_tenant(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    static ngx_str_t  none = ngx_null_string;

    if (ctx->conf == NULL || ctx->other) {
        return none;
    }

    if (!ctx->has_identity && r->header_sent) {
        return none;
    }

    return ngx_http_s3_abort_identify(r, ctx) == S3_OK ? ctx->tenant : none;
}


static ngx_str_t
ngx_http_s3_abort_variable_target(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   target;

    ngx_str_null(&target);

    if (ctx->endpoint == NULL) {
        return target;
    }

    p = ngx_pnalloc(r->pool, ctx->bucket.len + 1 + ctx->key.len);
    if (p == NULL) {
        return target;
    }

    target.data = p;

    p = s3_put(p, ctx->bucket);
    *p++ = '/';
    p = s3_put(p, ctx->key);

    target.len = p - target.data;

    return target;
}


static ngx_str_t
ngx_http_s3_abort_variable_decision(ngx_http_s3_abort_decision_e decision)
{
    static ngx_str_t  names[] = {
        ngx_null_string,
        ngx_string("ALLOWED"),
        ngx_string("DENIED"),
        ngx_string("UNAUTHENTICATED"),
        ngx_string("INVALID")
    };

    return names[decision];
}


static ngx_str_t
ngx_http_s3_abort_variable_rule(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_str_t         value;
    const s3_rule_t  *rule;

    ngx_str_null(&value);

    if (!ctx->judged || ctx->decision == NGX_HTTP_S3_ABORT_INVALID) {
        return value;
    }

    rule = ctx->rule;

    if (rule == NULL) {
        ngx_str_set(&value, "default");
        return value;
    }

    value.data = ngx_pnalloc(r->pool, rule->file->len + 1 + NGX_INT32_LEN);
    if (value.data == NULL) {
        return value;
    }

    value.len = ngx_sprintf(value.data, "%*s:%uD", rule->file->len,
                            rule->file->data, rule->line)
                - value.data;

    return value;
}


static ngx_str_t
ngx_http_s3_abort_variable_outcome(ngx_http_s3_abort_ctx_t *ctx)
{
    static ngx_str_t  names[] = {
        ngx_null_string,
        ngx_string("ABORTED"),
        ngx_string("GONE"),
        ngx_string("ASSUMED_ABORTED"),
        ngx_string("FAILED"),
        ngx_string("UNKNOWN"),
        ngx_string("PARTS_REMAIN")
    };

    return names[ctx->outcome];
}
