
/*
 * From bytes to a judged request: recognise, identify, aim, judge; each step
 * made when it is first asked for, by a phase or by a variable.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


static void ngx_http_s3_abort_ctx_cleanup(void *data);
static ngx_int_t ngx_http_s3_abort_is_delete(ngx_http_request_t *r);
static s3_error_t ngx_http_s3_abort_parse_target(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static s3_error_t ngx_http_s3_abort_scan_headers(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_abort_is_listed(s3_str_t name,
    const s3_str_t *names);
static s3_error_t ngx_http_s3_abort_template(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, s3_str_t *value);
static void ngx_http_s3_abort_try_candidate(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);


const s3_str_t
ngx_http_s3_abort_carried_names[NGX_HTTP_S3_ABORT_NCARRIED] = {
    s3_string("x-amz-expected-bucket-owner"),
    [NGX_HTTP_S3_ABORT_IF_INITIATED] =
        s3_string("x-amz-if-match-initiated-time"),
    s3_string("x-amz-request-payer")
};


/* part of how a client signs, or says nothing about the operation */

static const s3_str_t  ngx_http_s3_abort_dropped_names[] = {
    s3_string("x-amz-api-version"),
    s3_string("x-amz-content-sha256"),
    s3_string("x-amz-date"),
    s3_string("x-amz-security-token"),
    s3_string("x-amz-user-agent"),
    s3_string("")
};


/* S3's own, of other operations or on rights that an abort does not have */

static const s3_str_t  ngx_http_s3_abort_forbidden_names[] = {
    s3_string("x-amz-bypass-governance-retention"),
    s3_string("x-amz-copy-source"),
    s3_string("x-amz-mfa"),
    s3_string("")
};


ngx_http_s3_abort_ctx_t *
ngx_http_s3_abort_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    /* an internal redirect clears the contexts; ours is also kept here */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_s3_abort_ctx_cleanup) {
            ctx = cln->data;
            ngx_http_set_ctx(r, ctx, ngx_http_s3_abort_module);

            return ctx;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_s3_abort_recognise(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_s3_abort_ctx_t  *ctx;

    if (ngx_http_s3_abort_find_ctx(r)) {
        return NGX_OK;
    }

    if (!ngx_http_s3_abort_is_delete(r)
        || !s3_request_is_abort_like(ngx_http_s3_abort_pure(r->unparsed_uri)))
    {
        return NGX_DECLINED;
    }

    /* from here on, also for what the next line may log */

    r->log_handler = ngx_http_s3_abort_log_error;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_s3_abort_ctx_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ctx = cln->data;

    ngx_memzero(ctx, sizeof(ngx_http_s3_abort_ctx_t));

    cln->handler = ngx_http_s3_abort_ctx_cleanup;

    ngx_http_s3_abort_set_request_id(r, ctx);
    ngx_http_set_ctx(r, ctx, ngx_http_s3_abort_module);

    return NGX_OK;
}


s3_error_t
ngx_http_s3_abort_parse(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_http_s3_abort_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (ctx->conf == slcf || ctx->judging) {
        return ctx->parsed;
    }

    /* another location: its domains, its identity */

    ctx->conf = slcf;
    ctx->has_identity = 0;
    ctx->tenant.len = 0;
    ctx->access_key.len = 0;
    ctx->endpoint = NULL;
    ctx->decision = NGX_HTTP_S3_ABORT_UNDECIDED;
    ctx->candidate_decision = NGX_HTTP_S3_ABORT_UNDECIDED;
    ctx->rule = NULL;

    ctx->parsed = ngx_http_s3_abort_parse_target(r, ctx);

    if (ctx->parsed == S3_OK) {
        ctx->parsed = ngx_http_s3_abort_scan_headers(r, ctx);
    }

    if (ctx->parsed != S3_OK && ctx->parsed != S3_DECLINED) {
        ctx->decision = NGX_HTTP_S3_ABORT_INVALID;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 abort parsed: %d \"%*s\"", ctx->parsed,
                   ctx->asked.path.len, ctx->asked.path.data);

    return ctx->parsed;
}


s3_error_t
ngx_http_s3_abort_identify(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    s3_error_t  rc;

    rc = ngx_http_s3_abort_parse(r, ctx);

    if (rc != S3_OK) {
        return rc;
    }

    if (ctx->has_identity) {
        return ctx->identified;
    }

    rc = ngx_http_s3_abort_establish(r, ctx, ctx->conf->identity);

    if (rc == S3_OK && ctx->unknown_header) {

        /* signed perhaps, but with a meaning that would be lost */

        rc = S3_HEADER_NOT_ALLOWED;
    }

    if (rc != S3_OK) {
        ctx->tenant.len = 0;
    }

    if (ctx->judging
        || (rc == S3_OK
            && ctx->conf->identity->type != NGX_HTTP_S3_ABORT_TRUSTED))
    {
        ctx->identified = rc;
        ctx->has_identity = 1;
    }

    if (ctx->judging && rc != S3_OK) {
        ctx->decision = (rc == S3_HEADER_NOT_ALLOWED)
                        ? NGX_HTTP_S3_ABORT_INVALID
                        : NGX_HTTP_S3_ABORT_UNAUTHENTICATED;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 abort identified: %d \"%V\"", rc, &ctx->tenant);

    return rc;
}


/* finds the endpoint, and what the tenant's names become there */

s3_error_t
ngx_http_s3_abort_aim(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_str_t                       name;
    s3_error_t                      rc;
    ngx_http_s3_abort_endpoint_t   *ep;
    ngx_http_s3_abort_loc_conf_t   *slcf;
    ngx_http_s3_abort_main_conf_t  *smcf;

    slcf = ctx->conf;
    ep = slcf->endpoint;

    if (slcf->endpoint_value) {

        if (ngx_http_complex_value(r, slcf->endpoint_value, &name) != NGX_OK) {
            return S3_INTERNAL_ERROR;
        }

        smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);
        ep = ngx_http_s3_abort_endpoint_find(&smcf->endpoints, &name);

        if (ep == NULL) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "unknown s3_abort_endpoint \"%V\" in \"%V\"",
                          &name, &slcf->endpoint_name);
            return S3_INTERNAL_ERROR;
        }
    }

    ctx->bucket = ctx->asked.bucket;
    ctx->key = ctx->asked.key;

    rc = S3_OK;

    if (slcf->target_bucket) {
        rc = ngx_http_s3_abort_template(r, slcf->target_bucket, &ctx->bucket);

        if (rc == S3_OK) {
            rc = s3_request_check_bucket(ctx->bucket);
        }
    }

    if (slcf->target_key && rc == S3_OK) {
        rc = ngx_http_s3_abort_template(r, slcf->target_key, &ctx->key);

        if (rc == S3_OK) {
            rc = s3_request_check_key(ctx->key);
        }
    }

    if (rc == S3_OK) {
        ctx->endpoint = ep;
    }

    return rc;
}


/* the whole way; made once, in the PRECONTENT phase */

s3_error_t
ngx_http_s3_abort_judge(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_int_t   rc;
    s3_error_t  error;

    error = ngx_http_s3_abort_identify(r, ctx);

    if (error == S3_OK) {
        error = ngx_http_s3_abort_aim(r, ctx);

        if (error != S3_OK) {
            ctx->decision = (error == S3_INTERNAL_ERROR)
                            ? NGX_HTTP_S3_ABORT_DENIED
                            : NGX_HTTP_S3_ABORT_INVALID;
        }
    }

    if (error == S3_OK) {
        rc = ngx_http_s3_abort_decide(r, ctx, ctx->conf->policy, &ctx->rule);

        ctx->judged = (rc != NGX_ERROR);
        ctx->decision = (rc == NGX_OK) ? NGX_HTTP_S3_ABORT_ALLOWED
                                       : NGX_HTTP_S3_ABORT_DENIED;

        if (ctx->conf->candidate && ctx->judged) {
            ngx_http_s3_abort_try_candidate(r, ctx);
        }

        if (rc == NGX_OK) {
            return S3_OK;
        }

        error = (rc == NGX_ERROR) ? S3_INTERNAL_ERROR : S3_ACCESS_DENIED;
    }

    ngx_http_s3_abort_log_refusal(r, ctx, error);

    return error;
}


/* as ngx_http_log_error_handler(), but signatures are left out */

u_char *
ngx_http_s3_abort_log_error(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *p, *last;
    size_t                     n;
    ngx_str_t                  line;
    ngx_http_upstream_t       *u;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    p = ngx_snprintf(buf, len, ", server: %V", &cscf->server_name);
    last = buf + len;

    line = r->request_line;

    if (line.data == NULL && r->request_start) {
        line.data = r->request_start;
        line.len = r->header_in->last > line.data
                   ? (size_t) (r->header_in->last - line.data) : 0;
    }

    /* a line that does not fit is cut, before its query is looked at */

    n = sizeof(", request: \"\"") - 1;

    if ((size_t) (last - p) > n) {
        if (line.len > (size_t) (last - p) - n) {
            line.len = (size_t) (last - p) - n;
        }

        p = ngx_cpymem(p, ", request: \"", sizeof(", request: \"") - 1);
        p += s3_request_redact(p, ngx_http_s3_abort_pure(line));
        *p++ = '"';
    }

    if (r != sr) {
        p = ngx_snprintf(p, last - p, ", subrequest: \"%V\"", &sr->uri);
    }

    u = sr->upstream;

    if (u && u->peer.name) {
        p = ngx_snprintf(p, last - p, ", upstream: \"%V\"", u->peer.name);
    }

    if (r->headers_in.host) {
        p = ngx_snprintf(p, last - p, ", host: \"%V\"",
                         &r->headers_in.host->value);
    }

    return p;
}


static void
ngx_http_s3_abort_ctx_cleanup(void *data)
{
    ngx_http_s3_abort_ctx_t  *ctx = data;

    ngx_http_s3_abort_secret_free(&ctx->secret);
}


/*
 * As it was sent: an internal redirect may have made a GET of it.  Of HTTP/2
 * nginx makes the line when all headers are there; without one an error page
 * was earlier, and the method may have been any.
 */

static ngx_int_t
ngx_http_s3_abort_is_delete(ngx_http_request_t *r)
{
    return r->request_line.len == 0
           || (r->request_line.len > sizeof("DELETE ") - 1
               && ngx_strncmp(r->request_line.data, "DELETE ",
                              sizeof("DELETE ") - 1) == 0);
}


static s3_error_t
ngx_http_s3_abort_parse_target(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    u_char    *buf;
    size_t     len;
    s3_str_t   target, host;

    target = ngx_http_s3_abort_pure(r->unparsed_uri);
    host = ngx_http_s3_abort_pure(r->headers_in.server);

    buf = ngx_pnalloc(r->pool, target.len);
    if (buf == NULL) {
        return S3_INTERNAL_ERROR;
    }

    /* the absolute form has a scheme, which is this connection's or wrong */

    if (r->schema_start && r->http_version < NGX_HTTP_VERSION_20) {
        len = r->schema_end - r->schema_start;

#if (NGX_HTTP_SSL)
        if (r->connection->ssl) {
            if (len != 5 || ngx_strncasecmp(r->schema_start,
                                            (u_char *) "https", 5) != 0)
            {
                return S3_INVALID_URI;
            }

        } else
#endif
        if (len != 4 || ngx_strncasecmp(r->schema_start,
                                        (u_char *) "http", 4) != 0)
        {
            return S3_INVALID_URI;
        }
    }

    if (r->headers_in.host
        && !s3_request_host_port_valid(
                        ngx_http_s3_abort_pure(r->headers_in.host->value)))
    {
        return S3_INVALID_HOST;
    }

    return s3_request_parse(&ctx->asked, target, host, &ctx->conf->request,
                            buf);
}


/* sorts the x-amz-* headers: carried, dropped, forbidden, unknown */

static s3_error_t
ngx_http_s3_abort_scan_headers(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    s3_str_t          name;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(ctx->carried, sizeof(ctx->carried));
    ctx->unknown_header = 0;

    part = &r->headers_in.headers.part;
    i = 0;

    while ((h = ngx_http_s3_abort_next_header(&part, &i)) != NULL) {

        if (h->key.len < 6 || ngx_strncmp(h->lowcase_key, "x-amz-", 6) != 0)
        {
            continue;
        }

        name.data = h->lowcase_key;
        name.len = h->key.len;

        if (ngx_http_s3_abort_is_listed(name,
                                        ngx_http_s3_abort_dropped_names))
        {
            continue;
        }

        if (ngx_http_s3_abort_is_listed(name,
                                        ngx_http_s3_abort_forbidden_names))
        {
            return S3_HEADER_NOT_ALLOWED;
        }

        for (n = 0; n < NGX_HTTP_S3_ABORT_NCARRIED; n++) {
            if (s3_str_eq(name, ngx_http_s3_abort_carried_names[n])) {
                break;
            }
        }

        if (n == NGX_HTTP_S3_ABORT_NCARRIED) {
            ctx->unknown_header = 1;
            continue;
        }

        /* nginx trims no value of HTTP/2 */

        if (ctx->carried[n].data || h->value.len == 0
            || h->value.data[0] == ' '
            || h->value.data[h->value.len - 1] == ' '
            || !s3_uri_is_text(ngx_http_s3_abort_pure(h->value)))
        {
            return S3_HEADER_NOT_ALLOWED;
        }

        ctx->carried[n] = h->value;
    }

    return S3_OK;
}


static ngx_uint_t
ngx_http_s3_abort_is_listed(s3_str_t name, const s3_str_t *names)
{
    for ( /* void */ ; names->len; names++) {
        if (s3_str_eq(name, *names)) {
            return 1;
        }
    }

    return 0;
}


static s3_error_t
ngx_http_s3_abort_template(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, s3_str_t *value)
{
    ngx_str_t  s;

    if (ngx_http_complex_value(r, cv, &s) != NGX_OK) {
        return S3_INTERNAL_ERROR;
    }

    *value = ngx_http_s3_abort_pure(s);

    return S3_OK;
}


/* judged and logged, never obeyed */

static void
ngx_http_s3_abort_try_candidate(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_int_t         rc;
    const s3_rule_t  *rule;

    rc = ngx_http_s3_abort_decide(r, ctx, ctx->conf->candidate, &rule);

    if (rc == NGX_ERROR) {
        return;
    }

    ctx->candidate_decision = (rc == NGX_OK) ? NGX_HTTP_S3_ABORT_ALLOWED
                                             : NGX_HTTP_S3_ABORT_DENIED;

    if (ctx->candidate_decision == ctx->decision) {
        return;
    }

    if (rule == NULL) {
        ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                      "s3 abort: candidate policy \"%V\" would deny it, "
                      "tenant \"%V\", no rule allows it",
                      &ctx->conf->candidate->name, &ctx->tenant);
        return;
    }

    ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                  "s3 abort: candidate policy \"%V\" would %s it, "
                  "tenant \"%V\", by rule %*s:%uD",
                  &ctx->conf->candidate->name, rc == NGX_OK ? "allow" : "deny",
                  &ctx->tenant, rule->file->len, rule->file->data, rule->line);
}


void
ngx_http_s3_abort_log_refusal(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_error_t error)
{
    ngx_str_t  code, message;

    if (r->connection->log->log_level < ctx->conf->log_level) {
        return;
    }

    code = ngx_http_s3_abort_str(s3_error_code(error));
    message = ngx_http_s3_abort_str(s3_error_message(error));

    if (!ctx->judged || ctx->decision != NGX_HTTP_S3_ABORT_DENIED) {
        ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                      "s3 abort refused: %V (%V)", &code, &message);
        return;
    }

    if (ctx->rule == NULL) {
        ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                      "s3 abort refused: %V, tenant \"%V\", no rule allows it",
                      &code, &ctx->tenant);
        return;
    }

    ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                  "s3 abort refused: %V, tenant \"%V\", by rule %*s:%uD",
                  &code, &ctx->tenant, ctx->rule->file->len,
                  ctx->rule->file->data, ctx->rule->line);
}
