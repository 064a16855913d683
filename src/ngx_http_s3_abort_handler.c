
/*
 * The phases a request goes through: captured as soon as its location is
 * known, judged after the access phase, answered in the content phase.
 */


#include "ngx_http_s3_abort.h"


static ngx_int_t ngx_http_s3_abort_server_rewrite_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_capture_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_capture_subrequest(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_refuse_redirect(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_int_t ngx_http_s3_abort_precontent_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_content_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_not_implemented_handler(
    ngx_http_request_t *r);
static void ngx_http_s3_abort_body_handler(ngx_http_request_t *r);
static void ngx_http_s3_abort_refuse_body(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_error_t error);
static ngx_int_t ngx_http_s3_abort_answer(ngx_http_request_t *r);


/*
 * A body is refused; it is read first, within these bounds, because a client
 * that is answered in the middle of its body may not read the answer.
 */

#define NGX_HTTP_S3_ABORT_MAX_BODY       (64 * 1024)
#define NGX_HTTP_S3_ABORT_MAX_BODY_TIME  10


static const struct {
    ngx_http_phases       phase;
    ngx_http_handler_pt   handler;
} ngx_http_s3_abort_handlers[] = {
    { NGX_HTTP_SERVER_REWRITE_PHASE,
      ngx_http_s3_abort_server_rewrite_handler },
    { NGX_HTTP_REWRITE_PHASE, ngx_http_s3_abort_capture_handler },
    { NGX_HTTP_PREACCESS_PHASE, ngx_http_s3_abort_capture_handler },
    { NGX_HTTP_PRECONTENT_PHASE, ngx_http_s3_abort_precontent_handler }
};


ngx_int_t
ngx_http_s3_abort_handler_init(ngx_conf_t *cf)
{
    ngx_uint_t                  i, n;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    n = sizeof(ngx_http_s3_abort_handlers)
        / sizeof(ngx_http_s3_abort_handlers[0]);

    for (i = 0; i < n; i++) {
        h = ngx_array_push(
            &cmcf->phases[ngx_http_s3_abort_handlers[i].phase].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = ngx_http_s3_abort_handlers[i].handler;
    }

    return NGX_OK;
}


/*
 * The location is not known yet, but what selects it may already fail (413),
 * and an error page would hand the request on: no error pages for it, until
 * the capture handler knows better.
 */

static ngx_int_t
ngx_http_s3_abort_server_rewrite_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_http_s3_abort_ctx_t       *ctx;
    ngx_http_s3_abort_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(r, ngx_http_s3_abort_module);

    if (!sscf->used || r != r->main || r->internal) {
        return NGX_DECLINED;
    }

    rc = ngx_http_s3_abort_recognise(r);

    if (rc == NGX_ERROR) {
        r->error_page = 1;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
        ctx->error_page = 1;

        r->error_page = 1;
    }

    return NGX_DECLINED;
}


/*
 * In the REWRITE phase, before any other handler of nginx, and again in the
 * PREACCESS phase, when rewrites are done.  An abort-like request that was in
 * a location of ours never gets out of our hands, whatever redirects it; only
 * "s3_abort_pass off" lets it go.  One that was let go, or failed before its
 * location was known, does not come back by an error page.
 */

static ngx_int_t
ngx_http_s3_abort_capture_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_uint_t                     early, taken;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_s3_abort_ctx_t       *ctx;
    ngx_http_s3_abort_srv_conf_t  *sscf;
    ngx_http_s3_abort_loc_conf_t  *slcf;

    if (r != r->main) {
        return ngx_http_s3_abort_capture_subrequest(r);
    }

    sscf = ngx_http_get_module_srv_conf(r, ngx_http_s3_abort_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (!sscf->used) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_s3_abort_find_ctx(r);
    early = (ctx == NULL && r->internal);

    if (ctx == NULL) {
        rc = ngx_http_s3_abort_recognise(r);

        if (rc == NGX_ERROR) {
            r->error_page = 1;
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_DECLINED) {
            return NGX_DECLINED;
        }

        ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    }

    if (early) {
        return ngx_http_s3_abort_refuse_redirect(r, ctx);
    }

    taken = slcf->pass == NGX_HTTP_S3_ABORT_ON
            && ngx_http_s3_abort_parse(r, ctx) != S3_DECLINED;

    if (r->post_action && (ctx->captured || taken)) {

        /*
         * the request was answered; what comes now would hand it on, or send
         * it, and an error would be logged as what the client got
         */

        ngx_http_finalize_request(r, NGX_OK);

        return NGX_DONE;
    }

    if (taken) {

        if (ctx->let_go && !ctx->captured && r->internal
            && (r->err_status || r->error_page || ctx->recursive))
        {
            return ngx_http_s3_abort_refuse_redirect(r, ctx);
        }

        ctx->captured = 1;

        r->error_page = 1;

        return NGX_DECLINED;
    }

    if (ctx->captured && slcf->pass != NGX_HTTP_S3_ABORT_OFF) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3 abort left its location for one that does not take "
                      "it, refused");

        ctx->error = S3_ACCESS_DENIED;

        return NGX_HTTP_FORBIDDEN;
    }

    ctx->captured = 0;
    ctx->let_go = 1;

    /* with recursive_error_pages, an error page may leave no trace */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->recursive_error_pages && clcf->error_pages) {
        ctx->recursive = 1;
    }

    if (ctx->error_page) {
        ctx->error_page = 0;
        r->error_page = 0;
    }

    return NGX_DECLINED;
}


/* the error stays what it was, where that is known */

static ngx_int_t
ngx_http_s3_abort_refuse_redirect(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "s3 abort came by an error page or a redirect, refused");

    ctx->captured = 1;
    r->error_page = 1;

    return r->err_status >= NGX_HTTP_BAD_REQUEST ? (ngx_int_t) r->err_status
                                                 : NGX_HTTP_FORBIDDEN;
}


static ngx_int_t
ngx_http_s3_abort_capture_subrequest(ngx_http_request_t *r)
{
    ngx_http_s3_abort_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (slcf->pass != NGX_HTTP_S3_ABORT_ON || r->method != NGX_HTTP_DELETE) {
        return NGX_DECLINED;
    }

    if (s3_request_query_is_abort_like(ngx_http_s3_abort_pure(r->args))
        || s3_request_is_abort_like(
                            ngx_http_s3_abort_pure(r->main->unparsed_uri)))
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3 abort in a subrequest, refused");

        return NGX_HTTP_FORBIDDEN;
    }

    return NGX_DECLINED;
}


/*
 * NGX_OK goes straight to the content phase: nothing else of this phase, as
 * try_files and mirror are, sees an abort.
 */

static ngx_int_t
ngx_http_s3_abort_precontent_handler(ngx_http_request_t *r)
{
    ngx_http_s3_abort_ctx_t       *ctx;
    ngx_http_s3_abort_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (slcf->pass != NGX_HTTP_S3_ABORT_ON) {
        return NGX_DECLINED;
    }

    ctx = (r == r->main) ? ngx_http_s3_abort_find_ctx(r) : NULL;

    if (ctx == NULL || !ctx->captured) {

        /* not ours; but no file of the document root is the answer either */

        if (r->content_handler == NULL) {
            r->content_handler = ngx_http_s3_abort_not_implemented_handler;
        }

        return NGX_DECLINED;
    }

    ctx->judging = 1;
    ctx->error = ngx_http_s3_abort_judge(r, ctx);

    r->content_handler = ngx_http_s3_abort_content_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_abort_not_implemented_handler(ngx_http_request_t *r)
{
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_s3_abort_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_s3_abort_set_request_id(r, ctx);

    ctx->error = S3_NOT_IMPLEMENTED;
    ctx->captured = 1;
    ctx->other = 1;

    ngx_http_set_ctx(r, ctx, ngx_http_s3_abort_module);

    return ngx_http_s3_abort_content_handler(r);
}


static ngx_int_t
ngx_http_s3_abort_content_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_s3_abort_ctx_t  *ctx;

    if (r != r->main
        || (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked))
    {
        return ngx_http_s3_abort_answer(r);
    }

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_s3_abort_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

        ngx_http_s3_abort_refuse_body(r, ctx, s3_error_from_status(rc));

        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_s3_abort_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_chain_t              *cl;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    if (r->request_body == NULL) {

        /* another module discards it */

        ngx_http_s3_abort_refuse_body(r, ctx, S3_BODY);
        ngx_http_finalize_request(r, ngx_http_s3_abort_answer(r));

        return;
    }

    for ( ;; ) {

        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            if (ngx_buf_size(cl->buf)) {
                ngx_http_s3_abort_refuse_body(r, ctx, S3_BODY);
            }

            ctx->received += ngx_buf_size(cl->buf);

            cl->buf->pos = cl->buf->last;
            cl->buf->file_pos = cl->buf->file_last;
        }

        r->request_body->bufs = NULL;

        if (!r->reading_body
            || ctx->received > NGX_HTTP_S3_ABORT_MAX_BODY
            || ngx_time() - r->start_sec > NGX_HTTP_S3_ABORT_MAX_BODY_TIME)
        {
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

            /* perhaps nobody is there to be told, but there is the log */

            ngx_http_s3_abort_refuse_body(r, ctx, s3_error_from_status(rc));
            ngx_http_finalize_request(r, rc);

            return;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            r->read_event_handler = ngx_http_s3_abort_body_handler;
            return;
        }
    }

    if (r->reading_body) {

        /* the rest of it is discarded, within the bounds of lingering_close */

        ngx_http_s3_abort_refuse_body(r, ctx, S3_BODY);

        r->keepalive = 0;
    }

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_finalize_request(r, ngx_http_s3_abort_answer(r));
}


/* what was announced came, or did not; an earlier refusal stays */

static void
ngx_http_s3_abort_refuse_body(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_error_t error)
{
    if (ctx->error != S3_OK) {
        return;
    }

    ctx->error = error;
    ctx->decision = NGX_HTTP_S3_ABORT_INVALID;
    ctx->candidate_decision = NGX_HTTP_S3_ABORT_UNDECIDED;

    ngx_http_s3_abort_log_refusal(r, ctx, error);
}


static ngx_int_t
ngx_http_s3_abort_answer(ngx_http_request_t *r)
{
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    if (ctx->error == S3_OK) {
        return ngx_http_s3_abort_forward(r, ctx);
    }

    return ngx_http_s3_abort_refuse(r, ctx);
}
