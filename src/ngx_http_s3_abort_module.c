
/*
 * The directives.
 */


#include "ngx_http_s3_abort.h"
#include "s3_uri.h"


static ngx_int_t ngx_http_s3_abort_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_s3_abort_init_process(ngx_cycle_t *cycle);
static void ngx_http_s3_abort_cleanup(void *data);
static void *ngx_http_s3_abort_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_s3_abort_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_s3_abort_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void *ngx_http_s3_abort_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_s3_abort_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_s3_abort_check_loc_conf(ngx_conf_t *cf,
    ngx_http_s3_abort_loc_conf_t *conf);
static char *ngx_http_s3_abort_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_s3_abort_target(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_s3_abort_domain(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_s3_abort_base_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_s3_abort_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t **cv);
static ngx_int_t ngx_http_s3_abort_longer_first(const void *one,
    const void *two);


static ngx_conf_enum_t  ngx_http_s3_abort_log_levels[] = {
    { ngx_string("debug"), NGX_LOG_DEBUG },
    { ngx_string("info"), NGX_LOG_INFO },
    { ngx_string("notice"), NGX_LOG_NOTICE },
    { ngx_string("warn"), NGX_LOG_WARN },
    { ngx_string("error"), NGX_LOG_ERR },
    { ngx_null_string, 0 }
};


#define NGX_HTTP_S3_ABORT_LEVELS                                             \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_s3_abort_commands[] = {

    { ngx_string("s3_abort_policy"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_s3_abort_policy,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_pass"),
      NGX_HTTP_S3_ABORT_LEVELS|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF
                              |NGX_CONF_TAKE123,
      ngx_http_s3_abort_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_identity"),
      NGX_HTTP_S3_ABORT_LEVELS|NGX_CONF_2MORE,
      ngx_http_s3_abort_identity,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_target"),
      NGX_HTTP_S3_ABORT_LEVELS|NGX_CONF_TAKE12,
      ngx_http_s3_abort_target,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_domain"),
      NGX_HTTP_S3_ABORT_LEVELS|NGX_CONF_1MORE,
      ngx_http_s3_abort_domain,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_base_path"),
      NGX_HTTP_S3_ABORT_LEVELS|NGX_CONF_TAKE1,
      ngx_http_s3_abort_base_path,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_log_level"),
      NGX_HTTP_S3_ABORT_LEVELS|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_s3_abort_loc_conf_t, log_level),
      &ngx_http_s3_abort_log_levels },

    { ngx_string("s3_abort_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_s3_abort_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_s3_abort_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("s3_abort_explain"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_s3_abort_explain,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_s3_abort_module_ctx = {
    ngx_http_s3_abort_add_variables,       /* preconfiguration */
    ngx_http_s3_abort_init,                /* postconfiguration */

    ngx_http_s3_abort_create_main_conf,    /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_s3_abort_create_srv_conf,     /* create server configuration */
    ngx_http_s3_abort_merge_srv_conf,      /* merge server configuration */

    ngx_http_s3_abort_create_loc_conf,     /* create location configuration */
    ngx_http_s3_abort_merge_loc_conf       /* merge location configuration */
};


ngx_module_t  ngx_http_s3_abort_module = {
    NGX_MODULE_V1,
    &ngx_http_s3_abort_module_ctx,         /* module context */
    ngx_http_s3_abort_commands,            /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_s3_abort_init_process,        /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_s3_abort_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_pool_cleanup_t              *cln;
    ngx_http_s3_abort_endpoint_t   **ep;
    ngx_http_s3_abort_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    ep = smcf->endpoints.elts;

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ngx_http_s3_abort_endpoint_init(cf, ep[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (!smcf->used) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_s3_abort_cleanup;
    cln->data = smcf;

    if (s3_sigv4_init(&smcf->sigv4) != 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "s3_abort: OpenSSL has no SHA-256");
        return NGX_ERROR;
    }

    if (ngx_http_s3_abort_handler_init(cf) != NGX_OK
        || ngx_http_s3_abort_counters_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_s3_abort_filter_init(cf);
}


static ngx_int_t
ngx_http_s3_abort_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_http_s3_abort_file_t       **file;
    ngx_http_s3_abort_secret_t     **secret;
    ngx_http_s3_abort_main_conf_t   *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_s3_abort_module);

    /* cache managers handle no requests */

    if (smcf == NULL || !smcf->used || ngx_process == NGX_PROCESS_HELPER) {
        return NGX_OK;
    }

    /* the start of a sequence of request ids; see the response room */

    if (RAND_bytes((u_char *) &smcf->request_id, sizeof(uint64_t)) != 1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "RAND_bytes() failed");
        return NGX_ERROR;
    }

    secret = smcf->secrets.elts;

    for (i = 0; i < smcf->secrets.nelts; i++) {
        ngx_http_s3_abort_secret_lock(secret[i]);
    }

    file = smcf->files.elts;

    for (i = 0; i < smcf->files.nelts; i++) {
        if (ngx_http_s3_abort_file_init_process(cycle, file[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_s3_abort_cleanup(void *data)
{
    ngx_http_s3_abort_main_conf_t  *smcf = data;

    s3_sigv4_cleanup(&smcf->sigv4);
}


static void *
ngx_http_s3_abort_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_main_conf_t));
    if (smcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&smcf->endpoints, cf->pool, 4, sizeof(void *)) != NGX_OK
        || ngx_array_init(&smcf->policies, cf->pool, 4, sizeof(void *))
           != NGX_OK
        || ngx_array_init(&smcf->files, cf->pool, 4, sizeof(void *)) != NGX_OK
        || ngx_array_init(&smcf->secrets, cf->pool, 4, sizeof(void *))
           != NGX_OK)
    {
        return NULL;
    }

    return smcf;
}


static void *
ngx_http_s3_abort_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_s3_abort_srv_conf_t  *sscf;

    sscf = ngx_palloc(cf->pool, sizeof(ngx_http_s3_abort_srv_conf_t));
    if (sscf == NULL) {
        return NULL;
    }

    sscf->used = NGX_CONF_UNSET;

    return sscf;
}


static char *
ngx_http_s3_abort_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_s3_abort_srv_conf_t  *prev = parent;
    ngx_http_s3_abort_srv_conf_t  *conf = child;

    ngx_conf_merge_value(conf->used, prev->used, 0);

    return NGX_CONF_OK;
}


static void *
ngx_http_s3_abort_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_s3_abort_loc_conf_t  *slcf;

    slcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     slcf->endpoint = NULL;
     *     slcf->endpoint_value = NULL;
     *     slcf->policy = NULL;
     *     slcf->base_path = { 0, NULL };
     *     slcf->request = { NULL, 0, { 0, NULL } };
     */

    slcf->pass = NGX_CONF_UNSET_UINT;
    slcf->identity = NGX_CONF_UNSET_PTR;
    slcf->target_bucket = NGX_CONF_UNSET_PTR;
    slcf->target_key = NGX_CONF_UNSET_PTR;
    slcf->domains = NGX_CONF_UNSET_PTR;
    slcf->log_level = NGX_CONF_UNSET_UINT;

    return slcf;
}


static char *
ngx_http_s3_abort_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_s3_abort_loc_conf_t  *prev = parent;
    ngx_http_s3_abort_loc_conf_t  *conf = child;

    if (conf->pass == NGX_CONF_UNSET_UINT) {
        conf->pass = (prev->pass == NGX_CONF_UNSET_UINT)
                     ? NGX_HTTP_S3_ABORT_NONE : prev->pass;
        conf->endpoint_value = prev->endpoint_value;
        conf->endpoint_name = prev->endpoint_name;
        conf->policy_name = prev->policy_name;
        conf->candidate_name = prev->candidate_name;
        conf->pass_file = prev->pass_file;
        conf->pass_line = prev->pass_line;
    }

    ngx_conf_merge_ptr_value(conf->identity, prev->identity, NULL);
    ngx_conf_merge_ptr_value(conf->target_bucket, prev->target_bucket, NULL);
    ngx_conf_merge_ptr_value(conf->target_key, prev->target_key, NULL);
    ngx_conf_merge_ptr_value(conf->domains, prev->domains, NULL);
    ngx_conf_merge_str_value(conf->base_path, prev->base_path, "");
    ngx_conf_merge_uint_value(conf->log_level, prev->log_level, NGX_LOG_WARN);

    if (conf->domains) {
        conf->request.domains = conf->domains->elts;
        conf->request.ndomains = conf->domains->nelts;
    }

    conf->request.base_path = ngx_http_s3_abort_pure(conf->base_path);

    if (conf->explain) {
        conf->pass = NGX_HTTP_S3_ABORT_OFF;
        return ngx_http_s3_abort_explain_merge(cf, conf);
    }

    if (conf->pass != NGX_HTTP_S3_ABORT_ON) {
        return NGX_CONF_OK;
    }

    return ngx_http_s3_abort_check_loc_conf(cf, conf);
}


static char *
ngx_http_s3_abort_check_loc_conf(ngx_conf_t *cf,
    ngx_http_s3_abort_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#define ngx_http_s3_abort_pass_error(text, arg)                              \
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, text " in %s:%ui", arg,         \
                  conf->pass_file, conf->pass_line)

    if (conf->endpoint_value == NULL) {
        conf->endpoint = ngx_http_s3_abort_endpoint_find(&smcf->endpoints,
                                                    &conf->endpoint_name);

        if (conf->endpoint == NULL) {
            ngx_http_s3_abort_pass_error("unknown s3_abort_endpoint \"%V\"",
                                         &conf->endpoint_name);
            return NGX_CONF_ERROR;
        }
    }

    conf->policy = ngx_http_s3_abort_policy_find(&smcf->policies,
                                                 &conf->policy_name);
    if (conf->policy == NULL) {
        ngx_http_s3_abort_pass_error("unknown s3_abort_policy \"%V\"",
                                     &conf->policy_name);
        return NGX_CONF_ERROR;
    }

    if (conf->candidate_name.len) {
        conf->candidate = ngx_http_s3_abort_policy_find(&smcf->policies,
                                                  &conf->candidate_name);
        if (conf->candidate == NULL) {
            ngx_http_s3_abort_pass_error("unknown s3_abort_policy \"%V\"",
                                         &conf->candidate_name);
            return NGX_CONF_ERROR;
        }
    }

    if (conf->identity == NULL) {
        ngx_http_s3_abort_pass_error("no \"s3_abort_identity\" for "
                                     "\"s3_abort_pass %V\"",
                                     &conf->endpoint_name);
        return NGX_CONF_ERROR;
    }

    if (conf->identity->type == NGX_HTTP_S3_ABORT_SIGV4
        && conf->endpoint_value && conf->identity->region.len == 0)
    {
        ngx_http_s3_abort_pass_error("\"s3_abort_identity sigv4\" needs "
                                     "\"region=\" with the variable endpoint "
                                     "\"%V\"", &conf->endpoint_name);
        return NGX_CONF_ERROR;
    }

    if (conf->identity->type == NGX_HTTP_S3_ABORT_TRUSTED
        && clcf->satisfy == NGX_HTTP_SATISFY_ANY)
    {
        ngx_http_s3_abort_pass_error("\"s3_abort_identity trusted\" with "
                                     "\"satisfy any\" for "
                                     "\"s3_abort_pass %V\"",
                                     &conf->endpoint_name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_abort_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    ngx_str_t                      *value, *name, s;
    ngx_uint_t                      i;
    ngx_http_s3_abort_srv_conf_t   *sscf;
    ngx_http_s3_abort_main_conf_t  *smcf;

    if (slcf->pass != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    slcf->pass_file = cf->conf_file->file.name.data;
    slcf->pass_line = cf->conf_file->line;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "off") == 0) {
            slcf->pass = NGX_HTTP_S3_ABORT_OFF;
            return NGX_CONF_OK;
        }

        return "needs \"policy=\"";
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "policy=", 7) == 0) {
            s.data = value[i].data + 7;
            name = &slcf->policy_name;

        } else if (ngx_strncmp(value[i].data, "candidate=", 10) == 0) {
            s.data = value[i].data + 10;
            name = &slcf->candidate_name;

        } else {
            goto invalid;
        }

        s.len = value[i].data + value[i].len - s.data;

        if (s.len == 0 || name->len) {
            goto invalid;
        }

        *name = s;
    }

    if (slcf->policy_name.len == 0) {
        return "needs \"policy=\"";
    }

    slcf->endpoint_name = value[1];

    if (ngx_http_script_variables_count(&value[1])
        && ngx_http_s3_abort_compile(cf, &value[1], &slcf->endpoint_value)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    slcf->pass = NGX_HTTP_S3_ABORT_ON;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);
    smcf->used = 1;

    sscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_s3_abort_module);
    sscf->used = 1;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\"", &value[i]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_s3_abort_target(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    ngx_str_t                  *value, s;
    ngx_uint_t                  i;
    ngx_http_complex_value_t  **cv;

    if (slcf->target_bucket != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    slcf->target_bucket = NULL;
    slcf->target_key = NULL;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "bucket=", 7) == 0) {
            s.data = value[i].data + 7;
            cv = &slcf->target_bucket;

        } else if (ngx_strncmp(value[i].data, "key=", 4) == 0) {
            s.data = value[i].data + 4;
            cv = &slcf->target_key;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        s.len = value[i].data + value[i].len - s.data;

        if (*cv) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_s3_abort_compile(cf, &s, cv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_abort_domain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    u_char       c;
    size_t       n;
    s3_str_t    *domain;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (slcf->domains == NGX_CONF_UNSET_PTR) {
        slcf->domains = ngx_array_create(cf->pool, 2, sizeof(s3_str_t));
        if (slcf->domains == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        ngx_strlow(value[i].data, value[i].data, value[i].len);

        for (n = 0; n < value[i].len; n++) {
            c = value[i].data[n];

            if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-'
                && (c != '.' || n == 0 || n == value[i].len - 1
                    || value[i].data[n - 1] == '.'))
            {
                break;
            }
        }

        if (n != value[i].len || n == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid domain \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        domain = ngx_array_push(slcf->domains);
        if (domain == NULL) {
            return NGX_CONF_ERROR;
        }

        *domain = ngx_http_s3_abort_pure(value[i]);
    }

    ngx_sort(slcf->domains->elts, slcf->domains->nelts, sizeof(s3_str_t),
             ngx_http_s3_abort_longer_first);

    return NGX_CONF_OK;
}


static char *
ngx_http_s3_abort_base_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    u_char      c;
    size_t      i;
    ngx_str_t  *value;

    if (slcf->base_path.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len > 1 && value[1].data[value[1].len - 1] == '/') {
        value[1].len--;
    }

    for (i = 0; i < value[1].len; i++) {
        c = value[1].data[i];

        if (c <= 0x20 || c >= 0x7f || c == '%' || c == '?' || c == '#'
            || (c == '/' && i + 1 < value[1].len
                && value[1].data[i + 1] == '/'))
        {
            break;
        }
    }

    if (i != value[1].len || value[1].len < 2 || value[1].data[0] != '/'
        || s3_uri_has_dot_segment(ngx_http_s3_abort_pure(value[1])))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid base path \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->base_path = value[1];

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_abort_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t **cv)
{
    ngx_http_compile_complex_value_t  ccv;

    *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*cv == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = *cv;

    return ngx_http_compile_complex_value(&ccv);
}


static ngx_int_t
ngx_http_s3_abort_longer_first(const void *one, const void *two)
{
    const s3_str_t  *a = one;
    const s3_str_t  *b = two;

    return (a->len < b->len) - (a->len > b->len);
}
