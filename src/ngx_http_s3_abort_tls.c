
/*
 * How an endpoint speaks TLS: whom it trusts, and what it shows of itself.
 * The name that is verified is the peer room's.
 */


#include "ngx_http_s3_abort.h"


#if (NGX_HTTP_SSL)


static ngx_int_t ngx_http_s3_abort_trusted_certificate(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep);


/* where the distributions keep the system's CA bundle */

static ngx_str_t  ngx_http_s3_abort_ca_bundles[] = {
    ngx_string("/etc/ssl/certs/ca-certificates.crt"),
    ngx_string("/etc/pki/tls/certs/ca-bundle.crt"),
    ngx_string("/etc/ssl/cert.pem"),
    ngx_string("/usr/local/share/certs/ca-root-nss.crt"),
    ngx_null_string
};


ngx_int_t
ngx_http_s3_abort_tls_init(ngx_conf_t *cf, ngx_http_s3_abort_endpoint_t *ep)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ngx_conf_init_value(ep->ssl_verify, 1);
    ngx_conf_init_uint_value(ep->ssl_verify_depth, 4);
    ngx_conf_init_value(ep->ssl_session_reuse, 1);

    if (ep->ssl_protocols == 0) {
        ep->ssl_protocols = NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3;
    }

    if (ep->ssl_ciphers.len == 0) {
        ngx_str_set(&ep->ssl_ciphers, "DEFAULT");
    }

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    ep->upstream.ssl = ssl;
    ep->upstream.ssl_server_name = 1;
    ep->upstream.ssl_verify = ep->ssl_verify;

    /* the peer room is asked for a session before each handshake */

    ep->upstream.ssl_session_reuse = 1;

    if (ngx_ssl_create(ssl, ep->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_ciphers(cf, ssl, &ep->ssl_ciphers, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ep->ssl_certificate.len) {

        if (ep->ssl_certificate_key.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no \"ssl_certificate_key\" for certificate "
                               "\"%V\"", &ep->ssl_certificate);
            return NGX_ERROR;
        }

        if (ngx_ssl_certificate(cf, ssl, &ep->ssl_certificate,
                                &ep->ssl_certificate_key, NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ep->ssl_verify
        && ngx_http_s3_abort_trusted_certificate(cf, ep) != NGX_OK)
    {
        return NGX_ERROR;
    }

#ifdef SSL_OP_CLEANSE_PLAINTEXT
    /*
     * a storage may repeat what was signed, a session token with it; buffers
     * that are released are wiped whole, others as far as they were used
     */

    SSL_CTX_set_options(ssl->ctx, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_clear_mode(ssl->ctx, SSL_MODE_RELEASE_BUFFERS);
#endif

    if (ngx_ssl_crl(cf, ssl, &ep->ssl_crl) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_ssl_client_session_cache(cf, ssl, ep->ssl_session_reuse)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_ssl_conf_commands(cf, ssl, ep->ssl_conf_commands);
}


static ngx_int_t
ngx_http_s3_abort_trusted_certificate(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep)
{
    ngx_str_t        *bundle;
    ngx_file_info_t   fi;

    if (ep->ssl_trusted_certificate.len == 0) {

        for (bundle = ngx_http_s3_abort_ca_bundles; bundle->len; bundle++) {
            if (ngx_file_info(bundle->data, &fi) != NGX_FILE_ERROR) {
                ep->ssl_trusted_certificate = *bundle;
                break;
            }
        }
    }

    if (ep->ssl_trusted_certificate.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the system has no CA bundle, "
                           "\"ssl_trusted_certificate\" is needed");
        return NGX_ERROR;
    }

    return ngx_ssl_trusted_certificate(cf, ep->upstream.ssl,
                                       &ep->ssl_trusted_certificate,
                                       (ngx_int_t) ep->ssl_verify_depth);
}

#endif
