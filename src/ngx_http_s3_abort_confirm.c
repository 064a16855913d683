
/*
 * After a 204: parts that were in flight may outlive an abort.  ListParts
 * asks whether any did, and the upload is aborted again while some do.  All
 * of it happens within the one upstream request, each step as one more
 * attempt; the answer to the tenant is settled before it begins.
 */


#include "ngx_http_s3_abort.h"


static ngx_uint_t ngx_http_s3_abort_confirm_is_gone(
    ngx_http_s3_abort_ctx_t *ctx, ngx_str_t *code);
static void ngx_http_s3_abort_confirm_list(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_uint_t complete);
static void ngx_http_s3_abort_confirm_step(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_uint_t listing);
static void ngx_http_s3_abort_confirm_known(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_outcome_e outcome);


void
ngx_http_s3_abort_confirm(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ctx->confirming = 1;
    ctx->confirm_left = ctx->endpoint->confirm_tries;
    ctx->attempts = r->upstream_states->nelts;

    ngx_http_s3_abort_confirm_step(r, ctx, 1);
}


/*
 * Where this is no answer to the question, another server may have one: nginx
 * sees the status, and does what next_upstream says.
 */

void
ngx_http_s3_abort_confirm_answer(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_storage_t verdict, ngx_str_t *code,
    ngx_uint_t complete)
{
    r->upstream->headers_in.status_n = ctx->status.code;

    if (verdict == S3_STORAGE_GONE
        && ngx_http_s3_abort_confirm_is_gone(ctx, code))
    {
        ngx_http_s3_abort_confirm_known(ctx, NGX_HTTP_S3_ABORT_ABORTED);

    } else if (ctx->listing) {
        ngx_http_s3_abort_confirm_list(r, ctx, complete);

    } else if (verdict == S3_STORAGE_ABORTED) {
        ngx_http_s3_abort_confirm_step(r, ctx, 1);
    }

    if (ctx->confirmed || ctx->again) {
        return;
    }

    /* for the log; the answer itself is wiped */

    ctx->confirm_code.data = ngx_pstrdup(r->pool, code);
    ctx->confirm_code.len = ctx->confirm_code.data ? code->len : 0;
}


/* a 404 of a storage, or one that says no more; ListParts of Ceph's names
 * the key */

static ngx_uint_t
ngx_http_s3_abort_confirm_is_gone(ngx_http_s3_abort_ctx_t *ctx,
    ngx_str_t *code)
{
    static const s3_str_t  no_such_key = s3_string("NoSuchKey");

    return ctx->body.len == 0
           || s3_str_eq(ngx_http_s3_abort_pure(*code),
                        s3_error_code(S3_NO_SUCH_UPLOAD))
           || (ctx->listing
               && s3_str_eq(ngx_http_s3_abort_pure(*code), no_such_key));
}


/* an answer to ListParts */

static void
ngx_http_s3_abort_confirm_list(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_uint_t complete)
{
    s3_parts_t  parts;

    if (ctx->status.code != NGX_HTTP_OK) {
        return;
    }

    parts = s3_error_find_parts(ngx_http_s3_abort_pure(ctx->body));

    if (parts == S3_PARTS_NONE && complete) {
        ngx_http_s3_abort_confirm_known(ctx, NGX_HTTP_S3_ABORT_ABORTED);
        return;
    }

    if (parts != S3_PARTS_REMAIN) {
        return;
    }

    if (ctx->confirm_left == 0) {
        ngx_http_s3_abort_confirm_known(ctx, NGX_HTTP_S3_ABORT_PARTS_REMAIN);
        return;
    }

    /* until the storage says otherwise */

    ctx->outcome = NGX_HTTP_S3_ABORT_PARTS_REMAIN;

    ngx_http_s3_abort_confirm_step(r, ctx, 0);
}


/* ListParts, or the abort again; none begins later than a retry would */

static void
ngx_http_s3_abort_confirm_step(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_uint_t listing)
{
    ngx_msec_t  timeout;

    ctx->listing = listing;
    ctx->answered = 0;
    ctx->unanswered = 0;

    timeout = ctx->endpoint->upstream.next_upstream_timeout;

    if (timeout
        && ngx_current_msec - r->upstream->peer.start_time >= timeout)
    {
        return;
    }

    if (!listing) {
        ctx->confirm_left--;
    }

    ngx_http_s3_abort_again(r, ctx);
}


static void
ngx_http_s3_abort_confirm_known(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_outcome_e outcome)
{
    ctx->confirmed = 1;
    ctx->outcome = outcome;
}


/* the upstream request has ended, in whatever way */

void
ngx_http_s3_abort_confirm_done(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    /* of an answer that was cut off there may be enough */

    if (ctx->listing && !ctx->answered && ctx->status.code == NGX_HTTP_OK
        && s3_error_find_parts(ngx_http_s3_abort_pure(ctx->body))
           == S3_PARTS_REMAIN)
    {
        ngx_http_s3_abort_confirm_known(ctx, NGX_HTTP_S3_ABORT_PARTS_REMAIN);
    }

    if (ctx->outcome == NGX_HTTP_S3_ABORT_PARTS_REMAIN) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "s3 abort: parts of the upload remain, aborts: %ui",
                      ctx->endpoint->confirm_tries - ctx->confirm_left + 1);

    } else if (ctx->confirmed) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "s3 abort: no parts remain");

    } else if (ctx->answered) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "s3 abort: ListParts does not say whether parts "
                      "remain: %ui %V", ctx->status.code, &ctx->confirm_code);

    } else {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "s3 abort: no answer to ListParts, parts may remain");
    }
}
