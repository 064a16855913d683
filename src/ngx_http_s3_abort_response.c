
/*
 * What the tenant gets.  Every answer to an abort passes these two filters,
 * whoever made it: a refusal of ours, the storage's, or another module's
 * error.  This is the one place where a verdict becomes a status and XML.
 */


#include "ngx_http_s3_abort.h"


static ngx_int_t ngx_http_s3_abort_header_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_s3_abort_is_captured(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_abort_is_auto_redirect(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_s3_abort_set_xml(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_error_t error);
static s3_str_t ngx_http_s3_abort_resource(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_int_t ngx_http_s3_abort_set_retry_after(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_int_t ngx_http_s3_abort_add_header(ngx_http_request_t *r,
    const char *name, size_t len, ngx_str_t *value);


#define NGX_HTTP_S3_ABORT_RETRY_AFTER    1
#define NGX_HTTP_S3_ABORT_MAX_RESOURCE   2048


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


/* a "Server" that is set, and has no hash, is not sent */

static ngx_table_elt_t  ngx_http_s3_abort_no_server;


ngx_int_t
ngx_http_s3_abort_refuse(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_int_t  rc;

    r->headers_out.status = s3_error_status(ctx->error);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_send_special(r, NGX_HTTP_LAST);
}


/* the pages for operators; the content type is set */

ngx_int_t
ngx_http_s3_abort_send(ngx_http_request_t *r, ngx_uint_t status, ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.status = status;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_s3_abort_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_s3_abort_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_s3_abort_body_filter;

    return NGX_OK;
}


/* a sequence from a random start, mixed (splitmix64): unique, not secret */

void
ngx_http_s3_abort_set_request_id(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    uint64_t                        n;
    ngx_uint_t                      i;
    ngx_http_s3_abort_main_conf_t  *smcf;

    static const u_char  hex[] = "0123456789ABCDEF";

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);

    smcf->request_id += 0x9e3779b97f4a7c15;

    n = smcf->request_id;
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
    n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
    n ^= n >> 31;

    for (i = 0; i < NGX_HTTP_S3_ABORT_REQUEST_ID_LEN; i++) {
        ctx->request_id[i] = hex[n & 0xf];
        n >>= 4;
    }
}


static ngx_int_t
ngx_http_s3_abort_header_filter(ngx_http_request_t *r)
{
    s3_error_t                error;
    ngx_str_t                 id;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_s3_abort_find_ctx(r);

    if (ctx == NULL || r != r->main
        || !ngx_http_s3_abort_is_captured(r, ctx))
    {
        return ngx_http_next_header_filter(r);
    }

    error = ctx->error;

    if (error != S3_OK) {
        r->headers_out.status = s3_error_status(error);

    } else if (ctx->outcome == NGX_HTTP_S3_ABORT_ABORTED
               || ctx->outcome == NGX_HTTP_S3_ABORT_ASSUMED
               || ctx->outcome == NGX_HTTP_S3_ABORT_PARTS_REMAIN)
    {
        /* only the storage's word makes a 204, and nothing unmakes it */

        r->headers_out.status = NGX_HTTP_NO_CONTENT;

    } else if (r->headers_out.status >= NGX_HTTP_BAD_REQUEST) {

        /* another module's answer, or nginx's, before there was one */

        error = s3_error_from_status(r->headers_out.status);
        ctx->error = error;

    } else if (ctx->forwarded) {
        error = S3_INTERNAL_ERROR;
        ctx->error = error;

        r->headers_out.status = s3_error_status(error);

    } else if (ngx_http_s3_abort_is_auto_redirect(r)) {

        /* it would repeat the query; such a path has no key */

        error = ctx->parsed != S3_OK ? ctx->parsed : S3_INVALID_REQUEST;
        ctx->error = error;

        r->headers_out.status = s3_error_status(error);
        ngx_http_clear_location(r);

    } else {
        return ngx_http_next_header_filter(r);
    }

    /* $status is what is sent, not the error that led here */

    r->err_status = 0;

    r->headers_out.status_line.len = 0;
    r->headers_out.server = &ngx_http_s3_abort_no_server;

    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    id.data = ctx->request_id;
    id.len = NGX_HTTP_S3_ABORT_REQUEST_ID_LEN;

    if (ngx_http_s3_abort_add_header(r, "x-amz-request-id",
                                     sizeof("x-amz-request-id") - 1, &id)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (error == S3_OK) {
        ngx_http_clear_content_length(r);

    } else if (ngx_http_s3_abort_set_xml(r, ctx, error) != NGX_OK
               || ngx_http_s3_abort_set_retry_after(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* an error may come before the capture handler: "internal", or 413 */

static ngx_uint_t
ngx_http_s3_abort_is_captured(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_http_s3_abort_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);

    if (!ctx->captured && slcf->pass == NGX_HTTP_S3_ABORT_ON
        && ngx_http_s3_abort_parse(r, ctx) != S3_DECLINED)
    {
        ctx->captured = 1;
    }

    return ctx->captured;
}


/* nginx adds a slash to a path, in the phase that looks for the location */

static ngx_uint_t
ngx_http_s3_abort_is_auto_redirect(ngx_http_request_t *r)
{
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    return r->headers_out.status == NGX_HTTP_MOVED_PERMANENTLY
           && r->phase_handler + 1
              == (ngx_int_t) cmcf->phase_engine.location_rewrite_index;
}


/* our XML instead of what comes, all at once with the first of it */

static ngx_int_t
ngx_http_s3_abort_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t              *cl;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    if (ctx == NULL || r != r->main || !ctx->replace || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->xml == NULL) {
        return NGX_OK;
    }

    cl = ctx->xml;
    ctx->xml = NULL;

    return ngx_http_next_body_filter(r, cl);
}


static ngx_int_t
ngx_http_s3_abort_set_xml(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx,
    s3_error_t error)
{
    size_t           len;
    ngx_buf_t       *b;
    ngx_chain_t     *cl;
    s3_error_xml_t   x;

    x.error = error;
    x.resource = ngx_http_s3_abort_resource(r, ctx);
    x.region = ngx_http_s3_abort_pure(ctx->region);
    x.request_id.data = ctx->request_id;
    x.request_id.len = NGX_HTTP_S3_ABORT_REQUEST_ID_LEN;

    if (error != S3_AUTHORIZATION_BAD_REGION) {
        x.region.len = 0;
    }

    len = s3_error_xml_len(&x);

    b = ngx_create_temp_buf(r->pool, len);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->last = s3_error_xml(b->last, &x);
    b->last_buf = 1;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;

    ctx->xml = cl;
    ctx->replace = 1;

    ngx_str_set(&r->headers_out.content_type, "application/xml");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = (off_t) len;

    return NGX_OK;
}


/* the tenant's own names, or, before these are known, the path as sent */

static s3_str_t
ngx_http_s3_abort_resource(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    u_char    *p;
    s3_str_t   path;

    path = ngx_http_s3_abort_pure(r->unparsed_uri);

    if (ctx->conf && ctx->parsed == S3_OK) {
        p = ngx_pnalloc(r->pool, ctx->asked.bucket.len + ctx->asked.key.len
                                 + 2);
        if (p) {
            path.data = p;

            *p++ = '/';
            p = s3_put(p, ctx->asked.bucket);
            *p++ = '/';
            p = s3_put(p, ctx->asked.key);

            path.len = p - path.data;

            return path;
        }
    }

    p = ngx_strlchr(path.data, path.data + path.len, '?');

    if (p) {
        path.len = p - path.data;
    }

    if (path.len > NGX_HTTP_S3_ABORT_MAX_RESOURCE) {
        path.len = NGX_HTTP_S3_ABORT_MAX_RESOURCE;
    }

    return path;
}


/* where trying again makes sense */

static ngx_int_t
ngx_http_s3_abort_set_retry_after(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   value;

    if (r->headers_out.status != NGX_HTTP_BAD_GATEWAY
        && r->headers_out.status != NGX_HTTP_SERVICE_UNAVAILABLE
        && r->headers_out.status != NGX_HTTP_GATEWAY_TIME_OUT
        && r->headers_out.status != NGX_HTTP_TOO_MANY_REQUESTS)
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%ui", ctx->retry_after
                                      ? ctx->retry_after
                                      : NGX_HTTP_S3_ABORT_RETRY_AFTER)
                - p;

    return ngx_http_s3_abort_add_header(r, "Retry-After",
                                        sizeof("Retry-After") - 1, &value);
}


static ngx_int_t
ngx_http_s3_abort_add_header(ngx_http_request_t *r, const char *name,
    size_t len, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value = *value;
    h->lowcase_key = NULL;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}
