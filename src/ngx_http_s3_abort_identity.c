
/*
 * Who asks: by a variable that the operator vouches for, by a certificate
 * that nginx verified, or by a signature made with a key of a keys file.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


typedef struct {
    s3_authorization_t          auth;
    s3_str_t                    time;
    s3_str_t                    payload_hash;
    s3_sigv4_header_t           headers[S3_SIGNED_HEADERS_MAX];
    size_t                      nheaders;
} ngx_http_s3_abort_signed_t;


static s3_error_t ngx_http_s3_abort_trusted(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity);
static ngx_uint_t ngx_http_s3_abort_count(ngx_http_request_t *r,
    ngx_str_t *name);
static s3_error_t ngx_http_s3_abort_certificate(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity);
#if (NGX_HTTP_SSL)
static ngx_uint_t ngx_http_s3_abort_is_verified_here(ngx_http_request_t *r);
#endif
static s3_error_t ngx_http_s3_abort_sigv4(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity);
static s3_error_t ngx_http_s3_abort_authorization(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_authorization_t *auth);
static s3_error_t ngx_http_s3_abort_signed_headers(ngx_http_request_t *r,
    ngx_http_s3_abort_signed_t *s);
static s3_error_t ngx_http_s3_abort_signed_header(
    ngx_http_s3_abort_signed_t *s, ngx_table_elt_t *h);
static s3_str_t ngx_http_s3_abort_host(ngx_http_request_t *r);
static s3_error_t ngx_http_s3_abort_verify(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity,
    ngx_http_s3_abort_signed_t *s, ngx_str_t *region);
static ngx_int_t ngx_http_s3_abort_signature(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_signed_t *s,
    s3_sigv4_key_t *key, u_char hex[S3_SHA256_HEX_LEN]);

static ngx_int_t ngx_http_s3_abort_identity_variable(ngx_conf_t *cf,
    ngx_http_s3_abort_identity_t *identity);
static ngx_int_t ngx_http_s3_abort_identity_sigv4(ngx_conf_t *cf,
    ngx_http_s3_abort_identity_t *identity);


static const s3_str_t  ngx_http_s3_abort_service = s3_string("s3");


s3_error_t
ngx_http_s3_abort_establish(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity)
{
    switch (identity->type) {

    case NGX_HTTP_S3_ABORT_SIGV4:
        return ngx_http_s3_abort_sigv4(r, ctx, identity);

    case NGX_HTTP_S3_ABORT_CERTIFICATE:
        return ngx_http_s3_abort_certificate(r, ctx, identity);

    default: /* NGX_HTTP_S3_ABORT_TRUSTED */
        return ngx_http_s3_abort_trusted(r, ctx, identity);
    }
}


static s3_error_t
ngx_http_s3_abort_trusted(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_identity_t *identity)
{
    s3_str_t                    tenant;
    ngx_http_variable_value_t  *vv;

    vv = ngx_http_get_flushed_variable(r, identity->variable);

    if (vv == NULL || vv->not_found
        || (identity->header.len
            && ngx_http_s3_abort_count(r, &identity->header) != 1))
    {
        return S3_ACCESS_DENIED;
    }

    tenant.data = vv->data;
    tenant.len = vv->len;

    if (!s3_credentials_is_tenant(tenant)) {
        return S3_ACCESS_DENIED;
    }

    /* the variable may change, the tenant must not */

    ctx->tenant.data = ngx_pnalloc(r->pool, tenant.len);
    if (ctx->tenant.data == NULL) {
        return S3_INTERNAL_ERROR;
    }

    ngx_memcpy(ctx->tenant.data, tenant.data, tenant.len);
    ctx->tenant.len = tenant.len;

    return S3_OK;
}


/*
 * A front that adds its header, and does not take away the client's, sends
 * two; nginx before 1.23.0 has the first one, the client's, in the variable.
 */

static ngx_uint_t
ngx_http_s3_abort_count(ngx_http_request_t *r, ngx_str_t *name)
{
    u_char            c;
    size_t            n;
    ngx_uint_t        i, count;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    count = 0;

    part = &r->headers_in.headers.part;
    i = 0;

    while ((h = ngx_http_s3_abort_next_header(&part, &i)) != NULL) {

        if (h->key.len != name->len) {
            continue;
        }

        for (n = 0; n < name->len; n++) {
            c = h->lowcase_key[n];

            if ((c == '-' ? '_' : c) != name->data[n]) {
                break;
            }
        }

        count += (n == name->len);
    }

    return count;
}


static s3_error_t
ngx_http_s3_abort_certificate(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity)
{
    ngx_http_variable_value_t  *vv;

#if (NGX_HTTP_SSL)

    if (!ngx_http_s3_abort_is_verified_here(r)) {
        return S3_ACCESS_DENIED;
    }

#endif

    vv = ngx_http_get_flushed_variable(r, identity->verify);

    if (vv == NULL || vv->not_found
        || vv->len != sizeof("SUCCESS") - 1
        || ngx_strncmp(vv->data, "SUCCESS", sizeof("SUCCESS") - 1) != 0)
    {
        return S3_ACCESS_DENIED;
    }

    return ngx_http_s3_abort_trusted(r, ctx, identity);
}


#if (NGX_HTTP_SSL)

/*
 * Not by another server, with other certificates: nginx compares SNI and Host,
 * but only where the client sent a name that some server has.  A session of
 * TLS 1.3 that began with another name may be resumed, in nginx before 1.26.3
 * and 1.27.4 (CVE-2025-23419).
 */

static ngx_uint_t
ngx_http_s3_abort_is_verified_here(ngx_http_request_t *r)
{
    SSL                      *ssl;
    const char               *name, *began;
    ngx_http_ssl_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(r, ngx_http_ssl_module);

    if (sscf->verify == 0 || r->connection->ssl == NULL) {
        return 0;
    }

    ssl = r->connection->ssl->connection;

    if (SSL_get_SSL_CTX(ssl) != sscf->ssl.ctx) {
        return 0;
    }

    if (!SSL_session_reused(ssl)) {
        return 1;
    }

    name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    began = SSL_SESSION_get0_hostname(SSL_get0_session(ssl));

    return name && began ? ngx_strcmp(name, began) == 0 : name == began;
}

#endif


static s3_error_t
ngx_http_s3_abort_sigv4(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_identity_t *identity)
{
    s3_error_t                   rc;
    ngx_str_t                    region;
    ngx_http_s3_abort_signed_t   s;

    ngx_memzero(&s, offsetof(ngx_http_s3_abort_signed_t, headers));
    s.nheaders = 0;

    rc = ngx_http_s3_abort_authorization(r, ctx, &s.auth);

    if (rc == S3_OK) {
        rc = ngx_http_s3_abort_signed_headers(r, &s);
    }

    if (rc != S3_OK) {
        return rc;
    }

    region = identity->region.len ? identity->region
                                  : ctx->conf->endpoint->region;

    rc = s3_authorization_check(&s.auth, s.time,
                                ngx_http_s3_abort_pure(region),
                                ngx_http_s3_abort_service,
                                ngx_time(), identity->skew);

    if (rc == S3_AUTHORIZATION_BAD_REGION) {
        ctx->region = region;
    }

    if (rc == S3_OK) {
        rc = s3_authorization_check_payload_hash(s.payload_hash);
    }

    if (rc == S3_OK) {
        rc = ngx_http_s3_abort_verify(r, ctx, identity, &s, &region);
    }

    return rc;
}


static s3_error_t
ngx_http_s3_abort_authorization(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_authorization_t *auth)
{
    u_char           *buf;
    ngx_table_elt_t  *h;

    h = r->headers_in.authorization;

    if (h && ctx->asked.presigned) {
        return S3_AUTHORIZATION_TWICE;
    }

    if (h) {

#if (nginx_version >= 1023000)
        if (h->next) {
            return S3_AUTHORIZATION_TWICE;
        }
#endif

        return s3_authorization_parse_header(auth,
                                       ngx_http_s3_abort_pure(h->value));
    }

    if (!ctx->asked.presigned) {
        return S3_ACCESS_DENIED;
    }

    buf = ngx_pnalloc(r->pool, ctx->asked.query.len);
    if (buf == NULL) {
        return S3_INTERNAL_ERROR;
    }

    return s3_authorization_parse_query(auth, &ctx->asked, buf);
}


/* finds the values of the signed headers, each there exactly once */

static s3_error_t
ngx_http_s3_abort_signed_headers(ngx_http_request_t *r,
    ngx_http_s3_abort_signed_t *s)
{
    s3_str_t                list, name;
    ngx_uint_t              i;
    s3_error_t              rc;
    ngx_list_part_t        *part;
    ngx_table_elt_t        *h;
    s3_sigv4_header_t      *header;
    static const s3_str_t   host = s3_string("host");
    static const s3_str_t   empty = s3_string(S3_SHA256_OF_EMPTY);

    /* the absolute form names the host, and Host is what was signed */

    if (!s3_request_host_is(ngx_http_s3_abort_host(r),
                            ngx_http_s3_abort_pure(r->headers_in.server)))
    {
        return S3_INVALID_HOST;
    }

    s->time = s->auth.time;
    s->payload_hash = s->auth.presigned ? s->auth.payload_hash : empty;

    list = s->auth.signed_headers;

    while (s3_authorization_next_signed(&list, &name)) {
        header = &s->headers[s->nheaders++];

        header->name = name;
        header->value.data = NULL;

        if (s3_str_eq(name, host)) {
            header->value = ngx_http_s3_abort_host(r);
        }
    }

    part = &r->headers_in.headers.part;
    i = 0;

    while ((h = ngx_http_s3_abort_next_header(&part, &i)) != NULL) {

        if (h->key.len == host.len
            && ngx_strncmp(h->lowcase_key, host.data, host.len) == 0)
        {
            continue;
        }

        rc = ngx_http_s3_abort_signed_header(s, h);

        if (rc != S3_OK) {
            return rc;
        }
    }

    for (i = 0; i < s->nheaders; i++) {
        if (s->headers[i].value.data == NULL) {
            return S3_SIGNATURE_DOES_NOT_MATCH;
        }
    }

    if (s->time.data == NULL) {
        return S3_ACCESS_DENIED_NO_DATE;
    }

    return S3_OK;
}


/*
 * As it was sent.  HTTP/2 and HTTP/3 have it from ":authority"; nginx makes a
 * header of that for the former alone.
 */

static s3_str_t
ngx_http_s3_abort_host(ngx_http_request_t *r)
{
    s3_str_t  host = { 0, NULL };

    if (r->headers_in.host) {
        return ngx_http_s3_abort_pure(r->headers_in.host->value);
    }

    if (r->http_version >= NGX_HTTP_VERSION_20 && r->host_start) {
        host.data = r->host_start;
        host.len = r->host_end - r->host_start;
    }

    return host;
}


static s3_error_t
ngx_http_s3_abort_signed_header(ngx_http_s3_abort_signed_t *s,
    ngx_table_elt_t *h)
{
    size_t                  i;
    s3_str_t                name, value;
    static const s3_str_t   date = s3_string("x-amz-date");
    static const s3_str_t   token = s3_string("x-amz-security-token");
    static const s3_str_t   hash = s3_string("x-amz-content-sha256");

    name.data = h->lowcase_key;
    name.len = h->key.len;

    value = ngx_http_s3_abort_pure(h->value);

    for (i = 0; i < s->nheaders; i++) {
        if (s3_str_eq(name, s->headers[i].name)) {
            break;
        }
    }

    if (i == s->nheaders) {
        return name.len >= 6 && ngx_strncmp(name.data, "x-amz-", 6) == 0
               ? S3_ACCESS_DENIED_UNSIGNED_HEADER : S3_OK;
    }

    if (s->headers[i].value.data) {
        return S3_AUTHORIZATION_TWICE;
    }

    s->headers[i].value = value;

    if (s3_str_eq(name, token)) {
        return S3_ACCESS_DENIED_TOKEN;
    }

    if (s3_str_eq(name, hash)) {
        s->payload_hash = value;
    }

    if (s3_str_eq(name, date) && !s->auth.presigned) {
        s->time = value;
    }

    return S3_OK;
}


/*
 * The key with number 0 belongs to nobody: an unknown access key costs what
 * a wrong signature does.
 */

static s3_error_t
ngx_http_s3_abort_verify(ngx_http_request_t *r, ngx_http_s3_abort_ctx_t *ctx,
    ngx_http_s3_abort_identity_t *identity, ngx_http_s3_abort_signed_t *s,
    ngx_str_t *region)
{
    u_char                    hex[S3_SHA256_HEX_LEN];
    s3_sigv4_key_t           *signing;
    ngx_http_s3_abort_key_t  *key;

    key = ngx_http_s3_abort_keys_find(identity->keys, s->auth.access_key);

    signing = ngx_http_s3_abort_keys_get(r, identity, key, &s->auth, region);

    if (signing == NULL
        || ngx_http_s3_abort_signature(r, ctx, s, signing, hex) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "s3 abort: cannot verify a signature");
        return S3_INTERNAL_ERROR;
    }

    if (CRYPTO_memcmp(hex, s->auth.signature.data, S3_SHA256_HEX_LEN) != 0
        || key->number == 0)
    {
        return key->number ? S3_SIGNATURE_DOES_NOT_MATCH
                           : S3_INVALID_ACCESS_KEY_ID;
    }

    return ngx_http_s3_abort_keys_owner(r, ctx, identity->keys, key)
           == NGX_OK ? S3_OK : S3_INTERNAL_ERROR;
}


/* the three stages, over what the client signed */

static ngx_int_t
ngx_http_s3_abort_signature(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_signed_t *s,
    s3_sigv4_key_t *key, u_char hex[S3_SHA256_HEX_LEN])
{
    u_char                         *p;
    size_t                          len;
    s3_str_t                        canonical, to_sign;
    s3_sigv4_request_t              req;
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);

    req.method.data = (u_char *) "DELETE";
    req.method.len = sizeof("DELETE") - 1;
    req.payload_hash = s->payload_hash;
    req.headers = s->headers;
    req.nheaders = s->nheaders;

    req.uri.len = s3_uri_recoded_len(ctx->asked.path, S3_URI_PATH);
    req.query.len = s3_authorization_query_len(ctx->asked.query);

    len = s3_sigv4_canonical_request_len(&req);

    p = ngx_pnalloc(r->pool, req.uri.len + req.query.len + len
                             + s3_sigv4_string_to_sign_len(s->auth.scope));
    if (p == NULL) {
        return NGX_ERROR;
    }

    req.uri.data = p;
    p = s3_uri_recode(p, ctx->asked.path, S3_URI_PATH);

    req.query.data = p;
    p = s3_authorization_query(p, ctx->asked.query);
    req.query.len = p - req.query.data;

    canonical.data = p;
    p = s3_sigv4_canonical_request(p, &req);
    canonical.len = p - canonical.data;

    to_sign.data = p;
    to_sign.len = s3_sigv4_string_to_sign_len(s->auth.scope);

    if (s3_sigv4_string_to_sign(&smcf->sigv4, p, s->time, s->auth.scope,
                                canonical)
        != 0
        || s3_sigv4_signature(&smcf->sigv4, key, to_sign, hex) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_s3_abort_identity(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    ngx_int_t                      rc;
    ngx_str_t                     *value;
    ngx_http_s3_abort_identity_t  *identity;

    if (slcf->identity != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    identity = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_identity_t));
    if (identity == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "sigv4") == 0) {
        identity->type = NGX_HTTP_S3_ABORT_SIGV4;
        rc = ngx_http_s3_abort_identity_sigv4(cf, identity);

    } else if (ngx_strcmp(value[1].data, "certificate") == 0) {
        identity->type = NGX_HTTP_S3_ABORT_CERTIFICATE;
        rc = ngx_http_s3_abort_identity_variable(cf, identity);

    } else if (ngx_strcmp(value[1].data, "trusted") == 0) {
        identity->type = NGX_HTTP_S3_ABORT_TRUSTED;
        rc = ngx_http_s3_abort_identity_variable(cf, identity);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid identity \"%V\", it must be \"sigv4\", "
                           "\"certificate\" or \"trusted\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    slcf->identity = identity;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_abort_identity_variable(ngx_conf_t *cf,
    ngx_http_s3_abort_identity_t *identity)
{
    ngx_str_t         *value, name;
    static ngx_str_t   verify = ngx_string("ssl_client_verify");

    value = cf->args->elts;

    if (cf->args->nelts != 3 || value[2].len < 2 || value[2].data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"s3_abort_identity %V\" needs one variable",
                           &value[1]);
        return NGX_ERROR;
    }

    name.data = value[2].data + 1;
    name.len = value[2].len - 1;

    ngx_strlow(name.data, name.data, name.len);

    identity->variable = ngx_http_get_variable_index(cf, &name);

    if (identity->variable == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (name.len > 5 && ngx_strncmp(name.data, "http_", 5) == 0) {
        identity->header.data = name.data + 5;
        identity->header.len = name.len - 5;
    }

    if (identity->type == NGX_HTTP_S3_ABORT_CERTIFICATE) {
        identity->verify = ngx_http_get_variable_index(cf, &verify);

        if (identity->verify == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_abort_identity_sigv4(ngx_conf_t *cf,
    ngx_http_s3_abort_identity_t *identity)
{
    ngx_str_t            *value, s, path;
    ngx_int_t             refresh;
    ngx_uint_t            i;

    value = cf->args->elts;

    ngx_str_null(&path);
    refresh = 0;
    identity->skew = 900;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "keys=", 5) == 0 && path.len == 0) {
            path.data = value[i].data + 5;
            path.len = value[i].len - 5;

            if (path.len) {
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "refresh=", 8) == 0) {
            s.data = value[i].data + 8;
            s.len = value[i].len - 8;

            refresh = ngx_parse_time(&s, 0);

            if (refresh != NGX_ERROR && refresh != 0) {
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "region=", 7) == 0) {
            identity->region.data = value[i].data + 7;
            identity->region.len = value[i].len - 7;

            if (identity->region.len) {
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "skew=", 5) == 0) {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            identity->skew = ngx_parse_time(&s, 1);

            if (identity->skew >= 0 && identity->skew <= S3_EXPIRES_MAX) {
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_ERROR;
    }

    if (path.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"s3_abort_identity sigv4\" needs \"keys=\"");
        return NGX_ERROR;
    }

    identity->keys = ngx_http_s3_abort_keys_add(cf, &path, refresh);

    if (identity->keys == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_s3_abort_keys_cache(cf, identity);
}
