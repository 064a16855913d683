
/*
 * An upstream handler of our own: sends what the sign room wrote, reads the
 * storage's answer, and says what it means.  The answer to the client is the
 * response room's.
 */


#include "ngx_http_s3_abort.h"


static ngx_int_t ngx_http_s3_abort_create_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_process_status_line(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_process_header_line(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_int_t ngx_http_s3_abort_header_done(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_process_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_process_chunked(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_abort_conclude(ngx_http_request_t *r,
    ngx_uint_t complete);
static void ngx_http_s3_abort_take(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_answer_t answer, ngx_str_t *code);
static ngx_uint_t ngx_http_s3_abort_try_newer(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static void ngx_http_s3_abort_wipe_response(ngx_http_upstream_t *u);
static ngx_uint_t ngx_http_s3_abort_is_vague(ngx_uint_t status);
static ngx_int_t ngx_http_s3_abort_invalid(ngx_http_request_t *r,
    const char *what);
static ngx_int_t ngx_http_s3_abort_input_filter_init(void *data);
static ngx_int_t ngx_http_s3_abort_input_filter(void *data, ssize_t bytes);
static void ngx_http_s3_abort_abort_request(ngx_http_request_t *r);
static void ngx_http_s3_abort_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);


#define NGX_HTTP_S3_ABORT_MAX_INFORMATIONAL  8
#define NGX_HTTP_S3_ABORT_MAX_RETRY_AFTER    300
#define NGX_HTTP_S3_ABORT_MAX_REQUEST_ID     128


ngx_int_t
ngx_http_s3_abort_forward(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_http_upstream_t           *u;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = ctx->endpoint;

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u = r->upstream;

    ngx_str_set(&u->schema, "http://");

#if (NGX_HTTP_SSL)
    u->ssl = (ep->upstream.ssl != NULL);

    if (u->ssl) {
        ngx_str_set(&u->schema, "https://");
    }
#endif

    u->output.tag = (ngx_buf_tag_t) &ngx_http_s3_abort_module;

    u->conf = &ep->upstream;

    u->create_request = ngx_http_s3_abort_create_request;
    u->reinit_request = ngx_http_s3_abort_reinit_request;
    u->process_header = ngx_http_s3_abort_process_status_line;
    u->abort_request = ngx_http_s3_abort_abort_request;
    u->finalize_request = ngx_http_s3_abort_finalize_request;

    u->input_filter_init = ngx_http_s3_abort_input_filter_init;
    u->input_filter = ngx_http_s3_abort_input_filter;
    u->input_filter_ctx = r;

    ctx->forwarded = 1;
    ctx->outcome = NGX_HTTP_S3_ABORT_FAILED;

    /* no body was sent, if one was announced */

    r->request_body_no_buffering = 0;
    r->state = 0;

    r->main->count++;

    ngx_http_upstream_init(r);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_s3_abort_create_request(ngx_http_request_t *r)
{
    ngx_chain_t              *cl;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    if (ngx_http_s3_abort_sign(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = ctx->request;
    cl->next = NULL;

    r->upstream->request_bufs = cl;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 abort signed for endpoint \"%V\", %uz bytes",
                   &ctx->endpoint->name,
                   (size_t) (ctx->request->last - ctx->request->pos));

    return NGX_OK;
}


/* another attempt follows one that was sent: signed anew */

static ngx_int_t
ngx_http_s3_abort_reinit_request(ngx_http_request_t *r)
{
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    /* a status is an answer, also where what follows it was cut off */

    if (r->upstream->process_header == ngx_http_s3_abort_process_status_line
        || ngx_http_s3_abort_is_vague(ctx->status.code))
    {
        ctx->unanswered = 1;
    }

    ngx_http_s3_abort_wipe_response(r->upstream);

    if (!ctx->confirming) {
        ctx->error = S3_OK;
        ctx->outcome = NGX_HTTP_S3_ABORT_FAILED;

        ngx_str_null(&ctx->upstream_request_id);
    }

    ngx_str_null(&ctx->body);

    ctx->answered = 0;
    ctx->informational = 0;
    ctx->retry_after = 0;

    ngx_memzero(&ctx->status, sizeof(ngx_http_status_t));

    r->upstream->process_header = ngx_http_s3_abort_process_status_line;
    r->state = 0;

    return ngx_http_s3_abort_create_request(r);
}


static ngx_int_t
ngx_http_s3_abort_process_status_line(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_upstream_t      *u;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    u = r->upstream;

    /*
     * nginx before 1.29.5 reads what is there before the TLS handshake
     * (CVE-2026-1642)
     */

    if (!u->request_sent) {
        return ngx_http_s3_abort_invalid(r, "a response without a request");
    }

    rc = ngx_http_parse_status_line(r, &u->buffer, &ctx->status);

    if (rc == NGX_AGAIN) {

        /* nginx does not start the read_timeout anew: it is for all of it */

        return NGX_AGAIN;
    }

    if (rc == NGX_ERROR) {
        return ngx_http_s3_abort_invalid(r, "no valid HTTP/1.x header");
    }

    if (ctx->status.code < NGX_HTTP_OK
        && (ctx->status.code == NGX_HTTP_SWITCHING_PROTOCOLS
            || ctx->status.code < NGX_HTTP_CONTINUE
            || ctx->informational++ == NGX_HTTP_S3_ABORT_MAX_INFORMATIONAL))
    {
        return ngx_http_s3_abort_invalid(r, "unexpected 1xx status");
    }

    u->state->status = ctx->status.code;

    u->headers_in.content_length_n = -1;
    u->headers_in.chunked = 0;
    u->headers_in.connection_close = (ctx->status.http_version < 1001);

    ctx->retry_after = 0;

    if (!ctx->confirming) {
        ngx_str_null(&ctx->upstream_request_id);
    }

    u->process_header = ngx_http_s3_abort_process_header;

    return ngx_http_s3_abort_process_header(r);
}


static ngx_int_t
ngx_http_s3_abort_process_header(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_upstream_t      *u;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    u = r->upstream;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(r, &u->buffer, 1);

        if (rc == NGX_OK) {

            if (ngx_http_s3_abort_process_header_line(r, ctx) != NGX_OK) {
                return ngx_http_s3_abort_invalid(r, "invalid header");
            }

            continue;
        }

        if (rc == NGX_HTTP_PARSE_HEADER_DONE) {
            break;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        return ngx_http_s3_abort_invalid(r, "invalid header");
    }

    r->state = 0;

    if (ctx->status.code < NGX_HTTP_OK) {

        /* 1xx: the answer is yet to come */

        ngx_memzero(&ctx->status, sizeof(ngx_http_status_t));

        u->process_header = ngx_http_s3_abort_process_status_line;

        return ngx_http_s3_abort_process_status_line(r);
    }

    return ngx_http_s3_abort_header_done(r);
}


/* most headers do not matter; two lengths, or a length and chunks, do */

static ngx_int_t
ngx_http_s3_abort_process_header_line(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    off_t                 n;
    ngx_int_t             seconds;
    ngx_str_t             name, value;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    name.len = r->header_name_end - r->header_name_start;
    name.data = r->header_name_start;

    value.len = r->header_end - r->header_start;
    value.data = r->header_start;

#define ngx_http_s3_abort_header_is(str)                                     \
    (name.len == sizeof(str) - 1                                             \
     && ngx_strncasecmp(name.data, (u_char *) (str), sizeof(str) - 1) == 0)

    switch (name.data[0] | 0x20) {

    case 'c':
        if (ngx_http_s3_abort_header_is("content-length")) {
            n = ngx_atoof(value.data, value.len);

            if (n == NGX_ERROR || u->headers_in.content_length_n != -1
                || u->headers_in.chunked)
            {
                return NGX_ERROR;
            }

            u->headers_in.content_length_n = n;

        } else if (ngx_http_s3_abort_header_is("connection")
                   && ngx_strlcasestrn(value.data, value.data + value.len,
                                       (u_char *) "close", 5 - 1))
        {
            u->headers_in.connection_close = 1;
        }

        break;

    case 't':
        if (ngx_http_s3_abort_header_is("transfer-encoding")) {

            if (value.len != 7
                || ngx_strncasecmp(value.data, (u_char *) "chunked", 7) != 0
                || u->headers_in.content_length_n != -1
                || u->headers_in.chunked)
            {
                return NGX_ERROR;
            }

            u->headers_in.chunked = 1;
        }

        break;

    case 'r':
        if (ngx_http_s3_abort_header_is("retry-after")) {
            seconds = ngx_atoi(value.data, value.len);

            if (seconds > NGX_HTTP_S3_ABORT_MAX_RETRY_AFTER) {
                seconds = NGX_HTTP_S3_ABORT_MAX_RETRY_AFTER;
            }

            ctx->retry_after = seconds > 0 ? seconds : 0;
        }

        break;

    case 'x':
        if (ngx_http_s3_abort_header_is("x-amz-request-id")
            && value.len <= NGX_HTTP_S3_ABORT_MAX_REQUEST_ID
            && !ctx->confirming)
        {
            ctx->upstream_request_id.data = ngx_pstrdup(r->pool, &value);

            if (ctx->upstream_request_id.data) {
                ctx->upstream_request_id.len = value.len;
            }
        }

        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_abort_header_done(ngx_http_request_t *r)
{
    ngx_http_upstream_t      *u;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    u = r->upstream;

    ctx->body.data = u->buffer.pos;
    ctx->body.len = 0;

    if (ctx->status.code == NGX_HTTP_NO_CONTENT
        || ctx->status.code == NGX_HTTP_NOT_MODIFIED)
    {
        return ngx_http_s3_abort_conclude(r,
                                          u->headers_in.content_length_n <= 0
                                          && !u->headers_in.chunked);
    }

    if (u->headers_in.chunked) {
        ngx_memzero(&ctx->chunked, sizeof(ngx_http_chunked_t));

        u->process_header = ngx_http_s3_abort_process_chunked;

    } else if (u->headers_in.content_length_n == -1
               || (u->headers_in.content_length_n
                   > u->buffer.end - u->buffer.pos && !ctx->listing))
    {
        /* too large, or ended by close: the status has to do */

        return ngx_http_s3_abort_conclude(r, 0);

    } else {
        u->process_header = ngx_http_s3_abort_process_body;
    }

    return u->process_header(r);
}


static ngx_int_t
ngx_http_s3_abort_process_body(ngx_http_request_t *r)
{
    off_t                     size;
    ngx_buf_t                *b;
    ngx_http_upstream_t      *u;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    u = r->upstream;
    b = &u->buffer;

    /* of a list that is too large, as much as there is room for */

    size = ngx_min(u->headers_in.content_length_n, b->end - b->pos);

    if (b->last - b->pos < size) {
        ctx->body.len = b->last - b->pos;
        return NGX_AGAIN;
    }

    ctx->body.len = size;
    b->pos += size;

    return ngx_http_s3_abort_conclude(r,
                                      size == u->headers_in.content_length_n);
}


/* moves the chunks together, where the first one begins */

static ngx_int_t
ngx_http_s3_abort_process_chunked(ngx_http_request_t *r)
{
    size_t                    size;
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    b = &r->upstream->buffer;

    for ( ;; ) {

#if (nginx_version >= 1027002)
        rc = ngx_http_parse_chunked(r, b, &ctx->chunked, 0);
#else
        rc = ngx_http_parse_chunked(r, b, &ctx->chunked);
#endif

        if (rc == NGX_DONE) {
            return ngx_http_s3_abort_conclude(r, 1);
        }

        if (rc == NGX_ERROR) {
            return ngx_http_s3_abort_invalid(r, "invalid chunked response");
        }

        if (rc == NGX_AGAIN) {
            break;
        }

        /* rc == NGX_OK */

        size = b->last - b->pos;

        if (ctx->chunked.size < (off_t) size) {
            size = (size_t) ctx->chunked.size;
        }

        ngx_memmove(ctx->body.data + ctx->body.len, b->pos, size);

        ctx->body.len += size;
        ctx->chunked.size -= (off_t) size;
        b->pos += size;

        if (b->pos == b->last) {
            break;
        }
    }

    if (b->last == b->end) {
        return ngx_http_s3_abort_conclude(r, 0);
    }

    return NGX_AGAIN;
}


/*
 * The storage has answered: what it means, for the tenant, for the log, and
 * for nginx, which may want to try the next server.
 */

static ngx_int_t
ngx_http_s3_abort_conclude(ngx_http_request_t *r, ngx_uint_t complete)
{
    ngx_str_t                 code;
    s3_answer_t               answer;
    ngx_http_upstream_t      *u;
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);
    u = r->upstream;

    /* what follows an answer, or is yet to follow it, nobody asked for */

    u->keepalive = complete && !u->headers_in.connection_close
                   && u->buffer.pos == u->buffer.last;

    if (!complete && !ctx->listing) {
        ctx->body.len = 0;
    }

    code = ngx_http_s3_abort_str(
                    s3_error_find_code(ngx_http_s3_abort_pure(ctx->body)));

    answer = s3_error_from_storage(ctx->status.code,
                                   ngx_http_s3_abort_pure(code));

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 abort answered: %ui \"%V\" %d", ctx->status.code,
                   &code, answer.verdict);

    ctx->answered = 1;

    if (ctx->confirming) {
        ngx_http_s3_abort_confirm_answer(r, ctx, answer.verdict, &code,
                                         complete);

    } else {
        ngx_http_s3_abort_take(r, ctx, answer, &code);
    }

    /* the body was read: nothing is left for the input filter */

    ngx_http_s3_abort_wipe_response(u);

    u->buffer.pos = u->buffer.last;

    return NGX_OK;
}


/* an answer to an abort */

static void
ngx_http_s3_abort_take(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx,
    s3_answer_t answer, ngx_str_t *code)
{
    ngx_http_upstream_t  *u;

    static const ngx_http_s3_abort_outcome_e  outcomes[] = {
        [S3_STORAGE_ABORTED] = NGX_HTTP_S3_ABORT_ABORTED,
        [S3_STORAGE_GONE] = NGX_HTTP_S3_ABORT_GONE,
        [S3_STORAGE_REFUSED] = NGX_HTTP_S3_ABORT_FAILED,
        [S3_STORAGE_UNAUTHORIZED] = NGX_HTTP_S3_ABORT_FAILED,
        [S3_STORAGE_BUSY] = NGX_HTTP_S3_ABORT_FAILED,
        [S3_STORAGE_FAILED] = NGX_HTTP_S3_ABORT_FAILED
    };

    u = r->upstream;

    ctx->error = answer.error;
    ctx->outcome = outcomes[answer.verdict];

    u->headers_in.status_n = ctx->status.code;

    switch (answer.verdict) {

    case S3_STORAGE_ABORTED:
        u->headers_in.status_n = NGX_HTTP_NO_CONTENT;

        if (ctx->endpoint->confirm) {
            ngx_http_s3_abort_confirm(r, ctx);
        }

        break;

    case S3_STORAGE_GONE:
        if (!ctx->unanswered) {
            break;
        }

        /* gone by an earlier attempt, if it is the upload that is not there */

        ctx->outcome = NGX_HTTP_S3_ABORT_UNKNOWN;

        if (ctx->body.len == 0
            || s3_str_eq(ngx_http_s3_abort_pure(*code),
                         s3_error_code(S3_NO_SUCH_UPLOAD)))
        {
            ctx->error = S3_OK;
            ctx->outcome = NGX_HTTP_S3_ABORT_ASSUMED;
            u->headers_in.status_n = NGX_HTTP_NO_CONTENT;
        }

        break;

    case S3_STORAGE_UNAUTHORIZED:
        if (ngx_http_s3_abort_try_newer(r, ctx)) {
            break;
        }

        ctx->unauthorized = 1;

        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "the storage refuses the credentials of "
                      "s3_abort_endpoint \"%V\": %ui %V",
                      &ctx->endpoint->name, ctx->status.code, code);
        break;

    default:
        break;
    }

    if (ctx->outcome == NGX_HTTP_S3_ABORT_FAILED
        && (ctx->unanswered || ngx_http_s3_abort_is_vague(ctx->status.code)))
    {
        /* this attempt, or an earlier one, may have done it */

        ctx->outcome = NGX_HTTP_S3_ABORT_UNKNOWN;
    }
}


/*
 * One more attempt than nginx would make.  It passes on to the next server
 * what its configuration says: there is one in which a 404 does so, and this
 * is taken for one.  The peer room puts back what is changed here.
 */

void
ngx_http_s3_abort_again(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    u->conf = &ctx->endpoint->again;
    u->peer.tries = 2;
    u->headers_in.status_n = NGX_HTTP_NOT_FOUND;

    ctx->again = 1;
}


/* once, if the credentials were replaced since the request was signed */

static ngx_uint_t
ngx_http_s3_abort_try_newer(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_http_s3_abort_credentials_t  *credentials;

    credentials = ctx->endpoint->credentials;

    if (ctx->generation == credentials->generation) {
        ngx_http_s3_abort_file_check_soon(&credentials->file);
        return 0;
    }

    if (ctx->resigned) {
        return 0;
    }

    ctx->resigned = 1;

    ngx_http_s3_abort_again(r, ctx);

    return 1;
}


/* a storage may repeat what was signed, a session token with it */

static void
ngx_http_s3_abort_wipe_response(ngx_http_upstream_t *u)
{
    if (u->buffer.start) {
        ngx_explicit_memzero(u->buffer.start,
                             u->buffer.last - u->buffer.start);
    }
}


/* an answer that does not say whether the upload is gone */

static ngx_uint_t
ngx_http_s3_abort_is_vague(ngx_uint_t status)
{
    return status < NGX_HTTP_SPECIAL_RESPONSE
           || (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
               && status != NGX_HTTP_NOT_IMPLEMENTED
               && status != NGX_HTTP_SERVICE_UNAVAILABLE);
}


static ngx_int_t
ngx_http_s3_abort_invalid(ngx_http_request_t *r, const char *what)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "upstream sent %s",
                  what);

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


static ngx_int_t
ngx_http_s3_abort_input_filter_init(void *data)
{
    ngx_http_request_t  *r = data;

    r->upstream->length = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_abort_input_filter(void *data, ssize_t bytes)
{
    return NGX_OK;
}


static void
ngx_http_s3_abort_abort_request(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "abort s3 abort request");
}


static void
ngx_http_s3_abort_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_s3_abort_ctx_t  *ctx;

    ctx = ngx_http_s3_abort_find_ctx(r);

    if (ctx->request) {
        ngx_explicit_memzero(ctx->request->start,
                             ctx->request->end - ctx->request->start);
    }

    ngx_http_s3_abort_secret_free(&ctx->secret);

    if (ctx->confirming) {
        ngx_http_s3_abort_confirm_done(r, ctx);
    }

    ngx_http_s3_abort_wipe_response(r->upstream);

    if (ctx->answered || ctx->confirming) {
        return;
    }

    if (ctx->unanswered || r->upstream->request_sent) {
        ctx->outcome = NGX_HTTP_S3_ABORT_UNKNOWN;
    }

    ctx->error = s3_error_from_status(rc >= NGX_HTTP_BAD_REQUEST
                                      ? rc : NGX_HTTP_INTERNAL_SERVER_ERROR);
}
