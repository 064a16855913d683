
/*
 * Builds the request to the storage from the judged parts, and signs it.
 * Nothing here comes from the client but these parts and the headers that
 * are carried.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


/* signed, in this order: host, x-amz-content-sha256, x-amz-date, the carried
 * ones, x-amz-security-token */

#define NGX_HTTP_S3_ABORT_NSIGNED  (NGX_HTTP_S3_ABORT_NCARRIED + 4)

typedef struct {
    s3_str_t             time;
    s3_str_t             date;
    s3_sigv4_header_t    headers[NGX_HTTP_S3_ABORT_NSIGNED];
    size_t               nheaders;
    s3_str_t             bucket;      /* empty if it is in the host */
    u_char              *host;
    size_t               host_len;
    size_t               scope_len;
    s3_str_t             method;
    s3_str_t             query;       /* before the upload id */
} ngx_http_s3_abort_parts_t;


static ngx_int_t ngx_http_s3_abort_check(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static void ngx_http_s3_abort_timestamp(ngx_http_s3_abort_main_conf_t *smcf);
static ngx_int_t ngx_http_s3_abort_signing_key(
    ngx_http_s3_abort_endpoint_t *ep, s3_sigv4_t *sigv4, s3_str_t date);
static void ngx_http_s3_abort_list_headers(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_parts_t *parts);
static size_t ngx_http_s3_abort_request_len(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_parts_t *parts);
static u_char *ngx_http_s3_abort_request_buf(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, size_t len, size_t scratch);
static ngx_int_t ngx_http_s3_abort_write(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_parts_t *parts, s3_sigv4_t *sigv4, u_char *scratch);
static u_char *ngx_http_s3_abort_put_scope(u_char *p,
    ngx_http_s3_abort_endpoint_t *ep, s3_str_t date);


#define ngx_http_s3_abort_literal(name, str)                                 \
    static const s3_str_t  ngx_http_s3_abort_##name = s3_string(str)

ngx_http_s3_abort_literal(method, "DELETE");
ngx_http_s3_abort_literal(query, "uploadId=");
ngx_http_s3_abort_literal(list_method, "GET");
ngx_http_s3_abort_literal(list_query, "max-parts=1&uploadId=");
ngx_http_s3_abort_literal(version, " HTTP/1.1\r\n");
ngx_http_s3_abort_literal(host, "Host");
ngx_http_s3_abort_literal(empty_hash, S3_SHA256_OF_EMPTY);
ngx_http_s3_abort_literal(authorization,
    "Authorization: " S3_SIGV4_ALGORITHM " Credential=");
ngx_http_s3_abort_literal(signed_headers, ", SignedHeaders=");
ngx_http_s3_abort_literal(signature, ", Signature=");
ngx_http_s3_abort_literal(tail,
    "\r\nUser-Agent: ngx_http_s3_abort_module\r\n"
    "Connection: keep-alive\r\n"
    "Content-Length: 0\r\n\r\n");


/* stages of one buffer: the request, and behind it what is only hashed */

ngx_int_t
ngx_http_s3_abort_sign(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    u_char                         *scratch;
    size_t                          len;
    ngx_http_s3_abort_parts_t       parts;
    ngx_http_s3_abort_endpoint_t   *ep;
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);
    ep = ctx->endpoint;

    if (ngx_http_s3_abort_check(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_s3_abort_timestamp(smcf);

    parts.time.data = smcf->timestamp;
    parts.time.len = S3_SIGV4_TIME_LEN;
    parts.date.data = smcf->timestamp;
    parts.date.len = S3_SIGV4_DATE_LEN;

    if (ngx_http_s3_abort_signing_key(ep, &smcf->sigv4, parts.date)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "s3 abort: no signing key for s3_abort_endpoint \"%V\"",
                      &ep->name);
        return NGX_ERROR;
    }

    ctx->generation = ep->credentials->generation;

    parts.bucket = ctx->bucket;
    parts.host_len = ep->host.len;

    if (ep->addressing == NGX_HTTP_S3_ABORT_VIRTUAL) {
        parts.host_len += ctx->bucket.len + 1;
        parts.bucket.len = 0;
    }

    parts.method = ngx_http_s3_abort_method;
    parts.query = ngx_http_s3_abort_query;

    if (ctx->listing) {
        parts.method = ngx_http_s3_abort_list_method;
        parts.query = ngx_http_s3_abort_list_query;
    }

    parts.scope_len = parts.date.len + ep->region.len + ep->service.len
                      + sizeof("///" S3_SIGV4_TERMINATOR) - 1;

    ngx_http_s3_abort_list_headers(ctx, &parts);

    len = ngx_http_s3_abort_request_len(ctx, &parts);

    /* the canonical request is shorter than the request; the other part of
     * the scratch is the string to sign */

    scratch = ngx_http_s3_abort_request_buf(r, ctx, len,
                                            len + parts.scope_len + 256);
    if (scratch == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_s3_abort_write(ctx, &parts, &smcf->sigv4, scratch)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "s3 abort: signing for s3_abort_endpoint \"%V\" failed",
                      &ep->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the last look: whatever led here, only an abort leaves, and its ListParts */

static ngx_int_t
ngx_http_s3_abort_check(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx)
{
    if (ctx->decision == NGX_HTTP_S3_ABORT_ALLOWED
        && s3_request_check_bucket(ctx->bucket) == S3_OK
        && s3_request_check_key(ctx->key) == S3_OK
        && s3_request_check_upload_id(ctx->asked.upload_id) == S3_OK
        && (!ctx->listing || (ctx->confirming && ctx->endpoint->confirm)))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                  "s3 abort: no perfect abort to sign");

    return NGX_ERROR;
}


/* once a second */

static void
ngx_http_s3_abort_timestamp(ngx_http_s3_abort_main_conf_t *smcf)
{
    time_t    now;
    u_char    buf[NGX_TIME_T_LEN + sizeof("MMDDTHHMMSSZ")];
    ngx_tm_t  tm;

    now = ngx_time();

    if (now == smcf->time) {
        return;
    }

    ngx_gmtime(now, &tm);

    (void) ngx_snprintf(buf, sizeof(buf), "%04d%02d%02dT%02d%02d%02dZ",
                        tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                        tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);

    ngx_memcpy(smcf->timestamp, buf, S3_SIGV4_TIME_LEN);
    smcf->time = now;
}


/* once a day, and when the credentials are new */

static ngx_int_t
ngx_http_s3_abort_signing_key(ngx_http_s3_abort_endpoint_t *ep,
    s3_sigv4_t *sigv4, s3_str_t date)
{
    ngx_http_s3_abort_credentials_t  *credentials;

    credentials = ep->credentials;

    if (ep->key_generation == credentials->generation
        && ngx_memcmp(ep->key_date, date.data, S3_SIGV4_DATE_LEN) == 0)
    {
        return NGX_OK;
    }

    ep->key_generation = 0;

    if (s3_sigv4_signing_key(sigv4, (s3_sigv4_key_t *) credentials->key.start,
                             credentials->pair.secret, date,
                             ngx_http_s3_abort_pure(ep->region),
                             ngx_http_s3_abort_pure(ep->service))
        != 0)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(ep->key_date, date.data, S3_SIGV4_DATE_LEN);
    ep->key_generation = credentials->generation;

    return NGX_OK;
}


static void
ngx_http_s3_abort_list_headers(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_parts_t *parts)
{
    ngx_uint_t          i;
    s3_str_t            token;
    s3_sigv4_header_t  *h;

    h = parts->headers;

    h->name = (s3_str_t) s3_string("host");
    h->value.len = parts->host_len;
    h++;

    h->name = (s3_str_t) s3_string("x-amz-content-sha256");
    h->value = ngx_http_s3_abort_empty_hash;
    h++;

    h->name = (s3_str_t) s3_string("x-amz-date");
    h->value = parts->time;
    h++;

    for (i = 0; i < NGX_HTTP_S3_ABORT_NCARRIED; i++) {
        if (ctx->carried[i].data
            && !(ctx->listing && i == NGX_HTTP_S3_ABORT_IF_INITIATED))
        {
            h->name = ngx_http_s3_abort_carried_names[i];
            h->value = ngx_http_s3_abort_pure(ctx->carried[i]);
            h++;
        }
    }

    token = ctx->endpoint->credentials->pair.session_token;

    if (token.len) {
        h->name = (s3_str_t) s3_string("x-amz-security-token");
        h->value = token;
        h++;
    }

    parts->nheaders = h - parts->headers;
}


static size_t
ngx_http_s3_abort_request_len(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_parts_t *parts)
{
    size_t  i, len;

    len = parts->method.len + sizeof(" //?") - 1
          + parts->bucket.len
          + s3_uri_encoded_len(ctx->key, S3_URI_PATH)
          + parts->query.len
          + s3_uri_encoded_len(ctx->asked.upload_id, S3_URI_QUERY)
          + ngx_http_s3_abort_version.len
          + ngx_http_s3_abort_authorization.len
          + ctx->endpoint->credentials->pair.access_key.len
          + sizeof("/") - 1 + parts->scope_len
          + ngx_http_s3_abort_signed_headers.len
          + ngx_http_s3_abort_signature.len + S3_SHA256_HEX_LEN
          + ngx_http_s3_abort_tail.len;

    /* as a header, and in SignedHeaders */

    for (i = 0; i < parts->nheaders; i++) {
        len += parts->headers[i].name.len * 2 + parts->headers[i].value.len
               + sizeof(": \r\n;") - 1;
    }

    return len;
}


/*
 * A request with a session token is written to secret memory; it is wiped
 * when the request ends.
 */

static u_char *
ngx_http_s3_abort_request_buf(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, size_t len, size_t scratch)
{
    u_char                      *p, *hashed;
    ngx_buf_t                   *b;
    ngx_http_s3_abort_secret_t  *key;

    ctx->request = NULL;

    ngx_http_s3_abort_secret_free(&ctx->secret);

    /* the key's page has room for all but extraordinary ones */

    key = &ctx->endpoint->credentials->key;
    hashed = NULL;

    if (scratch <= key->size - sizeof(s3_sigv4_key_t)) {
        hashed = key->start + sizeof(s3_sigv4_key_t);
        scratch = 0;
    }

    if (ctx->endpoint->credentials->pair.session_token.len) {

        if (ngx_http_s3_abort_secret_alloc(&ctx->secret, len + scratch,
                                           r->connection->log)
            != NGX_OK)
        {
            return NULL;
        }

        p = ctx->secret.start;

    } else {
        p = ngx_pnalloc(r->pool, len + scratch);
        if (p == NULL) {
            return NULL;
        }
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NULL;
    }

    b->start = p;
    b->pos = p;
    b->last = p;
    b->end = p + len;
    b->temporary = 1;
    b->last_buf = 1;

    ctx->request = b;

    return hashed ? hashed : p + len;
}


static ngx_int_t
ngx_http_s3_abort_write(ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_parts_t *parts, s3_sigv4_t *sigv4, u_char *scratch)
{
    u_char                        *p;
    size_t                         i;
    s3_str_t                       scope, canonical, to_sign;
    s3_sigv4_request_t             req;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = ctx->endpoint;
    p = ctx->request->pos;

    p = s3_put(p, parts->method);
    *p++ = ' ';

    req.uri.data = p;
    *p++ = '/';

    if (parts->bucket.len) {
        p = s3_put(p, parts->bucket);
        *p++ = '/';
    }

    p = s3_uri_encode(p, ctx->key, S3_URI_PATH);
    req.uri.len = p - req.uri.data;
    *p++ = '?';

    req.query.data = p;
    p = s3_put(p, parts->query);
    p = s3_uri_encode(p, ctx->asked.upload_id, S3_URI_QUERY);
    req.query.len = p - req.query.data;

    p = s3_put(p, ngx_http_s3_abort_version);

    for (i = 0; i < parts->nheaders; i++) {
        p = s3_put(p, i ? parts->headers[i].name : ngx_http_s3_abort_host);
        *p++ = ':';
        *p++ = ' ';

        if (i == 0) {
            parts->headers[0].value.data = p;

            if (ep->addressing == NGX_HTTP_S3_ABORT_VIRTUAL) {
                p = s3_put(p, ctx->bucket);
                *p++ = '.';
            }

            p = s3_put(p, ngx_http_s3_abort_pure(ep->host));

        } else {
            p = s3_put(p, parts->headers[i].value);
        }

        *p++ = CR;
        *p++ = LF;
    }

    req.method = parts->method;
    req.headers = parts->headers;
    req.nheaders = parts->nheaders;
    req.payload_hash = ngx_http_s3_abort_empty_hash;

    p = s3_put(p, ngx_http_s3_abort_authorization);
    p = s3_put(p, ep->credentials->pair.access_key);
    *p++ = '/';

    scope.data = p;
    p = ngx_http_s3_abort_put_scope(p, ep, parts->date);
    scope.len = p - scope.data;

    p = s3_put(p, ngx_http_s3_abort_signed_headers);

    for (i = 0; i < parts->nheaders; i++) {
        if (i) {
            *p++ = ';';
        }

        p = s3_put(p, parts->headers[i].name);
    }

    p = s3_put(p, ngx_http_s3_abort_signature);

    canonical.data = scratch;
    scratch = s3_sigv4_canonical_request(scratch, &req);
    canonical.len = scratch - canonical.data;

    to_sign.data = scratch;
    to_sign.len = s3_sigv4_string_to_sign_len(scope);

    if (s3_sigv4_string_to_sign(sigv4, to_sign.data, parts->time, scope,
                                canonical)
        != 0
        || s3_sigv4_signature(sigv4,
                              (s3_sigv4_key_t *) ep->credentials->key.start,
                              to_sign, p)
           != 0)
    {
        return NGX_ERROR;
    }

    p += S3_SHA256_HEX_LEN;

    ctx->request->last = s3_put(p, ngx_http_s3_abort_tail);

    return NGX_OK;
}


static u_char *
ngx_http_s3_abort_put_scope(u_char *p, ngx_http_s3_abort_endpoint_t *ep,
    s3_str_t date)
{
    p = s3_put(p, date);
    *p++ = '/';
    p = s3_put(p, ngx_http_s3_abort_pure(ep->region));
    *p++ = '/';
    p = s3_put(p, ngx_http_s3_abort_pure(ep->service));

    return ngx_cpymem(p, "/" S3_SIGV4_TERMINATOR,
                      sizeof("/" S3_SIGV4_TERMINATOR) - 1);
}
