
/*
 * The credentials of an endpoint: the file, and the pair of keys in it that
 * signs aborts.
 */


#include "ngx_http_s3_abort.h"


static const char *ngx_http_s3_abort_credentials_load(
    ngx_http_s3_abort_file_t *file, ngx_http_s3_abort_secret_t *secret,
    size_t len, unsigned *line);


#define NGX_HTTP_S3_ABORT_CREDENTIALS_MAX_SIZE  (64 * 1024)


char *
ngx_http_s3_abort_credentials(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_endpoint_t *ep = conf;

    ngx_int_t                         refresh;
    ngx_str_t                        *value, s;
    ngx_uint_t                        i;
    ngx_http_s3_abort_credentials_t  *credentials;

    if (ep->credentials) {
        return "is duplicate";
    }

    credentials = ngx_pcalloc(cf->pool,
                              sizeof(ngx_http_s3_abort_credentials_t));
    if (credentials == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&credentials->file.profile, "default");

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "profile=", 8) == 0) {
            credentials->file.profile.data = value[i].data + 8;
            credentials->file.profile.len = value[i].len - 8;

            if (credentials->file.profile.len) {
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "refresh=", 8) == 0) {
            s.data = value[i].data + 8;
            s.len = value[i].len - 8;

            refresh = ngx_parse_time(&s, 0);

            if (refresh != NGX_ERROR && refresh != 0) {
                credentials->file.refresh = refresh;
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    credentials->file.path = value[1];

    if (ngx_conf_full_name(cf->cycle, &credentials->file.path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    credentials->file.max_size = NGX_HTTP_S3_ABORT_CREDENTIALS_MAX_SIZE;
    credentials->file.load = ngx_http_s3_abort_credentials_load;
    credentials->file.data = credentials;

    ep->credentials = credentials;

    if (ngx_http_s3_abort_file_add(cf, &credentials->file) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static const char *
ngx_http_s3_abort_credentials_load(ngx_http_s3_abort_file_t *file,
    ngx_http_s3_abort_secret_t *secret, size_t len, unsigned *line)
{
    ngx_http_s3_abort_credentials_t *credentials = file->data;

    s3_str_t           text;
    ngx_uint_t         same;
    const char        *message;
    s3_credentials_t   pair;

    text.data = secret->start;
    text.len = len;

    message = s3_credentials_parse(&pair, text,
                                 ngx_http_s3_abort_pure(credentials->file.profile),
                                 line);

    if (message) {
        return message;
    }

    same = s3_str_eq(pair.access_key, credentials->pair.access_key)
           && s3_str_eq(pair.secret, credentials->pair.secret)
           && s3_str_eq(pair.session_token, credentials->pair.session_token);

    credentials->pair = pair;

    if (same) {
        return NULL;
    }

    credentials->generation++;

    /* what was derived from the old pair goes with it */

    if (credentials->key.start) {
        ngx_explicit_memzero(credentials->key.start, credentials->key.size);
    }

    return NULL;
}
