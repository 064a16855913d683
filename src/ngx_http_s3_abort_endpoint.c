
/*
 * The s3_abort_endpoint block: where aborts go and whose credentials sign
 * them.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


static char *ngx_http_s3_abort_endpoint(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_http_s3_abort_endpoint_t *ngx_http_s3_abort_create_endpoint(
    ngx_conf_t *cf, ngx_str_t *name);
static char *ngx_http_s3_abort_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_s3_abort_confirm_slot(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_s3_abort_endpoint_defaults(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep);
static ngx_uint_t ngx_http_s3_abort_is_name(ngx_str_t *s, const char *extra);
static ngx_uint_t ngx_http_s3_abort_is_loopback(struct sockaddr *sa);
static ngx_uint_t ngx_http_s3_abort_are_loopback(ngx_addr_t *addrs,
    ngx_uint_t n);
static ngx_int_t ngx_http_s3_abort_check_plaintext(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep);
static void ngx_http_s3_abort_endpoint_cleanup(void *data);


#define NGX_HTTP_S3_ABORT_CONFIRM_TRIES         3
#define NGX_HTTP_S3_ABORT_CONFIRM_MAX_TRIES     10


static ngx_conf_enum_t  ngx_http_s3_abort_addressing[] = {
    { ngx_string("path"), NGX_HTTP_S3_ABORT_PATH },
    { ngx_string("virtual"), NGX_HTTP_S3_ABORT_VIRTUAL },
    { ngx_null_string, 0 }
};


static ngx_conf_bitmask_t  ngx_http_s3_abort_next_upstream_masks[] = {
    { ngx_string("error"), NGX_HTTP_UPSTREAM_FT_ERROR },
    { ngx_string("timeout"), NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { ngx_string("http_429"), NGX_HTTP_UPSTREAM_FT_HTTP_429 },
    { ngx_string("http_500"), NGX_HTTP_UPSTREAM_FT_HTTP_500 },
    { ngx_string("http_502"), NGX_HTTP_UPSTREAM_FT_HTTP_502 },
    { ngx_string("http_503"), NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { ngx_string("http_504"), NGX_HTTP_UPSTREAM_FT_HTTP_504 },
    { ngx_string("off"), NGX_HTTP_UPSTREAM_FT_OFF },
    { ngx_null_string, 0 }
};


#if (NGX_HTTP_SSL)

static ngx_conf_bitmask_t  ngx_http_s3_abort_ssl_protocols[] = {
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};

#endif


#define ngx_http_s3_abort_ep(name, args, set, field, post)                   \
    { ngx_string(name), NGX_HTTP_S3_ABORT_ENDPOINT_CONF|(args), set,          \
      NGX_HTTP_SRV_CONF_OFFSET,                                              \
      offsetof(ngx_http_s3_abort_endpoint_t, field), post }


static ngx_command_t  ngx_http_s3_abort_endpoint_commands[] = {

    { ngx_string("s3_abort_endpoint"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_s3_abort_endpoint,
      0,
      0,
      NULL },

    ngx_http_s3_abort_ep("url", NGX_CONF_TAKE1,
        ngx_http_s3_abort_url, url, NULL),
    ngx_http_s3_abort_ep("host", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, host, NULL),
    ngx_http_s3_abort_ep("region", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, region, NULL),
    ngx_http_s3_abort_ep("service", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, service, NULL),
    ngx_http_s3_abort_ep("addressing", NGX_CONF_TAKE1,
        ngx_conf_set_enum_slot, addressing, &ngx_http_s3_abort_addressing),
    ngx_http_s3_abort_ep("credentials", NGX_CONF_TAKE123,
        ngx_http_s3_abort_credentials, credentials, NULL),
    ngx_http_s3_abort_ep("allow_plaintext", NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, allow_plaintext, NULL),
    ngx_http_s3_abort_ep("confirm", NGX_CONF_TAKE12,
        ngx_http_s3_abort_confirm_slot, confirm, NULL),

    ngx_http_s3_abort_ep("connect_timeout", NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot, upstream.connect_timeout, NULL),
    ngx_http_s3_abort_ep("send_timeout", NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot, upstream.send_timeout, NULL),
    ngx_http_s3_abort_ep("read_timeout", NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot, upstream.read_timeout, NULL),
    ngx_http_s3_abort_ep("buffer_size", NGX_CONF_TAKE1,
        ngx_conf_set_size_slot, upstream.buffer_size, NULL),
    ngx_http_s3_abort_ep("bind", NGX_CONF_TAKE12,
        ngx_http_upstream_bind_set_slot, upstream.local, NULL),
    ngx_http_s3_abort_ep("socket_keepalive", NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, upstream.socket_keepalive, NULL),
    ngx_http_s3_abort_ep("next_upstream", NGX_CONF_1MORE,
        ngx_conf_set_bitmask_slot, upstream.next_upstream,
        &ngx_http_s3_abort_next_upstream_masks),
    ngx_http_s3_abort_ep("next_upstream_tries", NGX_CONF_TAKE1,
        ngx_conf_set_num_slot, upstream.next_upstream_tries, NULL),
    ngx_http_s3_abort_ep("next_upstream_timeout", NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot, upstream.next_upstream_timeout, NULL),

#if (NGX_HTTP_SSL)

    ngx_http_s3_abort_ep("ssl_verify", NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ssl_verify, NULL),
    ngx_http_s3_abort_ep("ssl_trusted_certificate", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ssl_trusted_certificate, NULL),
    ngx_http_s3_abort_ep("ssl_crl", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ssl_crl, NULL),
    ngx_http_s3_abort_ep("ssl_verify_depth", NGX_CONF_TAKE1,
        ngx_conf_set_num_slot, ssl_verify_depth, NULL),
    ngx_http_s3_abort_ep("ssl_name", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ssl_name, NULL),
    ngx_http_s3_abort_ep("ssl_protocols", NGX_CONF_1MORE,
        ngx_conf_set_bitmask_slot, ssl_protocols,
        &ngx_http_s3_abort_ssl_protocols),
    ngx_http_s3_abort_ep("ssl_ciphers", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ssl_ciphers, NULL),
    ngx_http_s3_abort_ep("ssl_session_reuse", NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ssl_session_reuse, NULL),
    ngx_http_s3_abort_ep("ssl_conf_command", NGX_CONF_TAKE2,
        ngx_conf_set_keyval_slot, ssl_conf_commands, NULL),
    ngx_http_s3_abort_ep("ssl_certificate", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ssl_certificate, NULL),
    ngx_http_s3_abort_ep("ssl_certificate_key", NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ssl_certificate_key, NULL),

#endif

      ngx_null_command
};


/* a module of its own, so that the block has commands and a context as
 * upstream {} has */

static ngx_http_module_t  ngx_http_s3_abort_endpoint_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_s3_abort_endpoint_module = {
    NGX_MODULE_V1,
    &ngx_http_s3_abort_endpoint_module_ctx, /* module context */
    ngx_http_s3_abort_endpoint_commands,   /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_s3_abort_endpoint(ngx_conf_t *cf, ngx_command_t *cmd, void *dummy)
{
    char                            *rv;
    ngx_str_t                       *value;
    ngx_conf_t                       save;
    ngx_http_conf_ctx_t             *ctx, *http_ctx;
    ngx_http_s3_abort_endpoint_t    *ep, **epp;
    ngx_http_s3_abort_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    value = cf->args->elts;

    if (ngx_http_s3_abort_endpoint_find(&smcf->endpoints, &value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate s3_abort_endpoint \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (!ngx_http_s3_abort_is_name(&value[1], "_-.")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of s3_abort_endpoint \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    ep = ngx_http_s3_abort_create_endpoint(cf, &value[1]);
    if (ep == NULL) {
        return NGX_CONF_ERROR;
    }

    epp = ngx_array_push(&smcf->endpoints);
    if (epp == NULL) {
        return NGX_CONF_ERROR;
    }

    *epp = ep;

    ctx = ngx_pcalloc(cf->pool, sizeof(ngx_http_conf_ctx_t));
    if (ctx == NULL) {
        return NGX_CONF_ERROR;
    }

    http_ctx = cf->ctx;
    ctx->main_conf = http_ctx->main_conf;
    ctx->loc_conf = http_ctx->loc_conf;

    ctx->srv_conf = ngx_pcalloc(cf->pool, sizeof(void *) * ngx_http_max_module);
    if (ctx->srv_conf == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx->srv_conf[ngx_http_s3_abort_endpoint_module.ctx_index] = ep;

    save = *cf;
    cf->ctx = ctx;
    cf->cmd_type = NGX_HTTP_S3_ABORT_ENDPOINT_CONF|NGX_MAIN_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_s3_abort_endpoint_defaults(cf, ep);
}


ngx_http_s3_abort_endpoint_t *
ngx_http_s3_abort_endpoint_find(ngx_array_t *endpoints, ngx_str_t *name)
{
    ngx_uint_t                      i;
    ngx_http_s3_abort_endpoint_t  **ep;

    ep = endpoints->elts;

    for (i = 0; i < endpoints->nelts; i++) {
        if (ep[i]->name.len == name->len
            && ngx_strncmp(ep[i]->name.data, name->data, name->len) == 0)
        {
            return ep[i];
        }
    }

    return NULL;
}


/* what can be checked only when all of the configuration is known */

ngx_int_t
ngx_http_s3_abort_endpoint_init(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep)
{
    u_char              *p;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_s3_abort_endpoint_cleanup;
    cln->data = ep;

    if (ngx_http_s3_abort_secret_alloc(&ep->credentials->key,
                                       sizeof(s3_sigv4_key_t), cf->log)
        != NGX_OK
        || ngx_http_s3_abort_secret_add(cf, &ep->credentials->key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an upstream {} has a configuration, the server of a url has none */

    if (ep->host.len == 0
        && (ep->servers->srv_conf
            || ngx_strncasecmp(ep->authority.data, (u_char *) "unix:", 5)
               == 0))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "s3_abort_endpoint \"%V\" needs \"host\", as its url "
                      "\"%V\" names an upstream or a socket in %s:%ui", &ep->name,
                      &ep->url, ep->conf_file, ep->line);
        return NGX_ERROR;
    }

    if (ep->host.len == 0) {
        ep->host = ep->authority;
    }

    if (!ngx_http_s3_abort_is_name(&ep->host, "_-.:[]")
        || !s3_request_host_port_valid(ngx_http_s3_abort_pure(ep->host)))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "invalid host \"%V\" of s3_abort_endpoint \"%V\" in "
                      "%s:%ui", &ep->host, &ep->name, ep->conf_file,
                      ep->line);
        return NGX_ERROR;
    }

    /* the balancer of its own has all of the other's but how it begins */

    ep->peers = *ep->servers;
    ep->peers.peer.init = ngx_http_s3_abort_init_peer;

    if (ep->ssl_name.len == 0) {
        ep->ssl_name = ep->host;
        ep->name_per_bucket = (ep->addressing == NGX_HTTP_S3_ABORT_VIRTUAL);

        p = ngx_strlchr(ep->host.data, ep->host.data + ep->host.len, ':');

        if (p && ep->host.data[0] != '[') {
            ep->ssl_name.len = p - ep->host.data;
        }
    }

    ep->again = ep->upstream;
    ep->again.next_upstream = NGX_HTTP_UPSTREAM_FT_HTTP_404;
    ep->again.next_upstream_timeout = 0;

    return ep->ssl ? NGX_OK : ngx_http_s3_abort_check_plaintext(cf, ep);
}


static ngx_http_s3_abort_endpoint_t *
ngx_http_s3_abort_create_endpoint(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_endpoint_t));
    if (ep == NULL) {
        return NULL;
    }

    ep->name = *name;
    ep->conf_file = cf->conf_file->file.name.data;
    ep->line = cf->conf_file->line;

    ep->addressing = NGX_CONF_UNSET_UINT;
    ep->allow_plaintext = NGX_CONF_UNSET;
    ep->confirm = NGX_CONF_UNSET;
    ep->confirm_tries = NGX_HTTP_S3_ABORT_CONFIRM_TRIES;

    ep->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    ep->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    ep->upstream.read_timeout = NGX_CONF_UNSET_MSEC;
    ep->upstream.buffer_size = NGX_CONF_UNSET_SIZE;
    ep->upstream.local = NGX_CONF_UNSET_PTR;
    ep->upstream.socket_keepalive = NGX_CONF_UNSET;
    ep->upstream.next_upstream_tries = NGX_CONF_UNSET_UINT;
    ep->upstream.next_upstream_timeout = NGX_CONF_UNSET_MSEC;

    ep->ssl_verify = NGX_CONF_UNSET;
    ep->ssl_verify_depth = NGX_CONF_UNSET_UINT;
    ep->ssl_session_reuse = NGX_CONF_UNSET;

    return ep;
}


static char *
ngx_http_s3_abort_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_endpoint_t *ep = conf;

    size_t       scheme;
    ngx_str_t   *value;
    ngx_url_t    u;
    ngx_uint_t   unix_socket;

    if (ep->url.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ep->url = value[1];

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_strncasecmp(value[1].data, (u_char *) "http://", 7) == 0) {
        scheme = 7;
        u.default_port = 80;

    } else if (ngx_strncasecmp(value[1].data, (u_char *) "https://", 8) == 0) {

#if (NGX_HTTP_SSL)
        scheme = 8;
        u.default_port = 443;
        ep->ssl = 1;
#else
        return "needs nginx built with SSL";
#endif

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid scheme in url \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    u.url.data = value[1].data + scheme;
    u.url.len = value[1].len - scheme;
    u.no_resolve = 1;

    unix_socket = (ngx_strncasecmp(u.url.data, (u_char *) "unix:", 5) == 0);

    if (u.url.len == 0
        || (!unix_socket
            && ngx_strlchr(u.url.data, u.url.data + u.url.len, '/'))
        || ngx_strlchr(u.url.data, u.url.data + u.url.len, '?')
        || ngx_strlchr(u.url.data, u.url.data + u.url.len, '@')
        || ngx_strlchr(u.url.data, u.url.data + u.url.len, '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid url \"%V\", it must be "
                           "scheme://name[:port]", &value[1]);
        return NGX_CONF_ERROR;
    }

    ep->authority = u.url;

    ep->servers = ngx_http_upstream_add(cf, &u, 0);
    if (ep->servers == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_abort_confirm_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_endpoint_t *ep = conf;

    char       *rv;
    ngx_int_t   tries;
    ngx_str_t  *value;

    rv = ngx_conf_set_flag_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK || cf->args->nelts == 2) {
        return rv;
    }

    value = cf->args->elts;

    tries = ngx_strncmp(value[2].data, "tries=", 6) == 0
            ? ngx_atoi(value[2].data + 6, value[2].len - 6) : NGX_ERROR;

    if (tries < 1 || tries > NGX_HTTP_S3_ABORT_CONFIRM_MAX_TRIES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"confirm\", it must "
                           "be tries=1 to tries=%d", &value[2],
                           NGX_HTTP_S3_ABORT_CONFIRM_MAX_TRIES);
        return NGX_CONF_ERROR;
    }

    ep->confirm_tries = tries;

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_abort_endpoint_defaults(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep)
{
    ngx_http_upstream_conf_t  *u;

    if (ep->url.len == 0) {
        return "needs \"url\"";
    }

    if (ep->region.len == 0) {
        return "needs \"region\"";
    }

    if (ep->credentials == NULL) {
        return "needs \"credentials\"";
    }

    if (ep->service.len == 0) {
        ngx_str_set(&ep->service, "s3");
    }

    if (!ngx_http_s3_abort_is_name(&ep->region, "_-.")
        || !ngx_http_s3_abort_is_name(&ep->service, "_-."))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid region \"%V\" or service \"%V\"",
                           &ep->region, &ep->service);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(ep->addressing, NGX_HTTP_S3_ABORT_PATH);
    ngx_conf_init_value(ep->allow_plaintext, 0);
    ngx_conf_init_value(ep->confirm, 0);

    u = &ep->upstream;

    ngx_conf_init_msec_value(u->connect_timeout, 60000);
    ngx_conf_init_msec_value(u->send_timeout, 60000);
    ngx_conf_init_msec_value(u->read_timeout, 60000);
    ngx_conf_init_msec_value(u->next_upstream_timeout, 30000);
    ngx_conf_init_uint_value(u->next_upstream_tries, 0);
    ngx_conf_init_size_value(u->buffer_size, 2 * ngx_pagesize);
    ngx_conf_init_ptr_value(u->local, NULL);
    ngx_conf_init_value(u->socket_keepalive, 0);

    if (u->buffer_size < 1024) {
        return "has a \"buffer_size\" of less than 1k";
    }

    if (u->next_upstream == 0) {
        u->next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                           |NGX_HTTP_UPSTREAM_FT_TIMEOUT;
    }

    if (u->next_upstream & NGX_HTTP_UPSTREAM_FT_OFF) {
        u->next_upstream = NGX_HTTP_UPSTREAM_FT_OFF;
    }

    /*
     * hard-coded: the answer is made here, and what was sent runs to its end
     * whether the client waits for it or not; all else is zero
     */

    u->ignore_client_abort = 1;
    u->pass_request_headers = 0;
    u->pass_request_body = 0;
    u->buffering = 0;

    ngx_str_set(&u->module, "s3_abort");

    u->upstream = &ep->peers;

#if (NGX_HTTP_SSL)

    if (ep->ssl && ngx_http_s3_abort_tls_init(cf, ep) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

#endif

    return NGX_CONF_OK;
}


/* letters, digits and some more bytes */

static ngx_uint_t
ngx_http_s3_abort_is_name(ngx_str_t *s, const char *extra)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < s->len; i++) {
        c = s->data[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
            || (c >= 'a' && c <= 'z'))
        {
            continue;
        }

        if (c == '\0' || ngx_strchr(extra, c) == NULL) {
            return 0;
        }
    }

    return s->len != 0;
}


static ngx_uint_t
ngx_http_s3_abort_is_loopback(struct sockaddr *sa)
{
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

    case AF_INET:
        return (ntohl(((struct sockaddr_in *) sa)->sin_addr.s_addr) >> 24)
               == 127;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif
    }

    return 0;
}


/* a name that is resolved later may be anything */

static ngx_uint_t
ngx_http_s3_abort_are_loopback(ngx_addr_t *addrs, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (!ngx_http_s3_abort_is_loopback(addrs[i].sockaddr)) {
            return 0;
        }
    }

    return n != 0;
}


static ngx_int_t
ngx_http_s3_abort_check_plaintext(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep)
{
    ngx_url_t                     u;
    ngx_uint_t                    i, loopback;
    ngx_http_upstream_server_t   *server;

    if (ep->allow_plaintext) {
        return NGX_OK;
    }

    if (ep->servers->servers) {
        loopback = 1;
        server = ep->servers->servers->elts;

        for (i = 0; i < ep->servers->servers->nelts; i++) {
            loopback &= ngx_http_s3_abort_are_loopback(server[i].addrs,
                                                       server[i].naddrs);
        }

    } else {
        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = ep->authority;
        u.default_port = 80;

        loopback = ngx_parse_url(cf->pool, &u) == NGX_OK
                   && ngx_http_s3_abort_are_loopback(u.addrs, u.naddrs);
    }

    if (loopback) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "s3_abort_endpoint \"%V\" would send to \"%V\" in plain "
                  "text; use https, or \"allow_plaintext on\" in %s:%ui",
                  &ep->name, &ep->url, ep->conf_file, ep->line);

    return NGX_ERROR;
}


static void
ngx_http_s3_abort_endpoint_cleanup(void *data)
{
    ngx_http_s3_abort_endpoint_t *ep = data;

    ngx_http_s3_abort_secret_free(&ep->credentials->key);

#if (NGX_HTTP_SSL)
    {
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_S3_ABORT_SESSIONS; i++) {
        if (ep->sessions[i].session) {
            ngx_ssl_free_session(ep->sessions[i].session);
        }
    }
    }
#endif
}
