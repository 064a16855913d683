
/*
 * Counters in shared memory.  Workers add to them without a lock; a full zone
 * loses counts, never decisions.
 */


#include "ngx_http_s3_abort.h"


static ngx_int_t ngx_http_s3_abort_log_handler(ngx_http_request_t *r);
static void ngx_http_s3_abort_count_attempts(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_int_t ngx_http_s3_abort_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_http_s3_abort_stat_t *ngx_http_s3_abort_get_stat(
    ngx_slab_pool_t *shpool, ngx_http_s3_abort_counters_t *counters,
    ngx_str_t *name);


/* upper bounds, in milliseconds; the last is +Inf */

static ngx_uint_t  ngx_http_s3_abort_buckets[NGX_HTTP_S3_ABORT_NBUCKETS] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 0
};


#define ngx_http_s3_abort_add(counter)                                       \
    (void) ngx_atomic_fetch_add(&(counter), 1)


char *
ngx_http_s3_abort_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_main_conf_t *smcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (smcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (ngx_strncmp(value[1].data, "zone=", 5) != 0 || p == NULL) {
        goto invalid;
    }

    name.data = value[1].data + 5;
    name.len = p - name.data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (name.len == 0 || size == NGX_ERROR) {
        goto invalid;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small", &value[1]);
        return NGX_CONF_ERROR;
    }

    smcf->zone = ngx_shared_memory_add(cf, &name, size,
                                       &ngx_http_s3_abort_module);
    if (smcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    smcf->zone->init = ngx_http_s3_abort_init_zone;
    smcf->zone->data = smcf;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid zone \"%V\", it must be zone=name:size",
                       &value[1]);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_s3_abort_counters_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt            *h;
    ngx_http_core_main_conf_t      *cmcf;
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    if (smcf->zone == NULL) {
        return NGX_OK;
    }

    smcf->loaded = ngx_time();

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_s3_abort_log_handler;

    return NGX_OK;
}


void
ngx_http_s3_abort_count_file(ngx_http_s3_abort_file_t *file, ngx_uint_t ok)
{
    if (file->stat == NULL) {
        return;
    }

    if (ok) {
        ngx_http_s3_abort_add(file->stat->loads);
        file->stat->loaded = file->loaded;
        file->stat->modified = file->info.st_mtime;
        file->stat->stale = 0;

    } else {
        ngx_http_s3_abort_add(file->stat->failures);
    }
}


/*
 * At each look at a file that went bad: what is said once expires, so that
 * neither a worker that dies nor one that looks later has to take it back.
 */

void
ngx_http_s3_abort_count_stale(ngx_http_s3_abort_file_t *file)
{
    if (file->stat) {
        file->stat->stale = ngx_time() + 2 * file->refresh / 1000 + 2;
    }
}


/* all that is counted of a request is counted when it is over */

static ngx_int_t
ngx_http_s3_abort_log_handler(ngx_http_request_t *r)
{
    ngx_http_s3_abort_ctx_t        *ctx;
    ngx_http_s3_abort_main_conf_t  *smcf;

    ctx = ngx_http_s3_abort_find_ctx(r);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);

    if (ctx == NULL || !ctx->captured || r != r->main
        || ctx->other || smcf->counters == NULL)
    {
        return NGX_OK;
    }

    ngx_http_s3_abort_add(
                        smcf->counters->requests[ctx->decision][ctx->error]);
    smcf->counters->last_requests[ctx->decision] = ngx_time();

    if (ctx->match_limit) {
        ngx_http_s3_abort_add(smcf->counters->match_limits);
    }

    if (ctx->candidate_decision != NGX_HTTP_S3_ABORT_UNDECIDED
        && ctx->candidate_decision != ctx->decision)
    {
        ngx_http_s3_abort_add(smcf->counters->candidates);
    }

    if (ctx->forwarded && ctx->endpoint->stat) {
        ngx_http_s3_abort_add(ctx->endpoint->stat->outcomes[ctx->outcome]);
        ctx->endpoint->stat->last_outcomes[ctx->outcome] = ngx_time();

        if (ctx->unauthorized) {
            ngx_http_s3_abort_add(ctx->endpoint->stat->unauthorized);
            ctx->endpoint->stat->last_unauthorized = ngx_time();
        }

        if (ctx->confirming && !ctx->confirmed) {
            ngx_http_s3_abort_add(ctx->endpoint->stat->unconfirmed);
        }

        ngx_http_s3_abort_count_attempts(r, ctx);
    }

    return NGX_OK;
}


/*
 * Those that confirm an abort are none; nor is what nginx has for a server that
 * there was not, a state with a name.
 */

static void
ngx_http_s3_abort_count_attempts(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    ngx_uint_t                  i, n, nattempts, status, tried;
    ngx_msec_t                  msec;
    ngx_http_s3_abort_stat_t   *stat;
    ngx_http_upstream_state_t  *state;

    stat = ctx->endpoint->stat;

    if (r->upstream_states == NULL || r->upstream_states->nelts == 0) {
        return;
    }

    state = r->upstream_states->elts;
    nattempts = ctx->confirming ? ctx->attempts
                                : r->upstream_states->nelts - ctx->no_server;
    msec = 0;
    tried = 0;

    for (i = 0; i < nattempts; i++) {

        if (state[i].peer == NULL) {
            continue;
        }

        tried = 1;

        if (i) {
            ngx_http_s3_abort_add(stat->retries);
        }

        /* without a header there was no response, whatever nginx made of it */

        status = (state[i].header_time == (ngx_msec_t) -1)
                 ? 0 : state[i].status / 100;

        ngx_http_s3_abort_add(stat->responses[status
                              < NGX_HTTP_S3_ABORT_NCLASSES ? status : 0]);

        if (state[i].response_time != (ngx_msec_t) -1) {
            msec += state[i].response_time;
        }
    }

    if (!tried) {
        return;
    }

    for (n = 0; n < NGX_HTTP_S3_ABORT_NBUCKETS - 1; n++) {
        if (msec <= ngx_http_s3_abort_buckets[n]) {
            break;
        }
    }

    ngx_http_s3_abort_add(stat->latency[n]);

    (void) ngx_atomic_fetch_add(&stat->latency_msec, msec);
}


static ngx_int_t
ngx_http_s3_abort_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                           size;
    ngx_uint_t                       i;
    ngx_slab_pool_t                 *shpool;
    ngx_http_s3_abort_file_t       **file;
    ngx_http_s3_abort_endpoint_t   **ep;
    ngx_http_s3_abort_counters_t    *counters;
    ngx_http_s3_abort_main_conf_t   *smcf;

    smcf = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    counters = shpool->data;

    /* those of another version of the module are another's */

    size = sizeof(ngx_http_s3_abort_counters_t)
           + sizeof(ngx_http_s3_abort_stat_t);

    if (counters == NULL || counters->size != size) {
        counters = ngx_slab_calloc(shpool, sizeof(*counters));
        if (counters == NULL) {
            return NGX_ERROR;
        }

        counters->size = size;
        shpool->data = counters;
    }

    /* a zone that is full says so by itself, and counts no more names */

    smcf->counters = counters;

    ep = smcf->endpoints.elts;

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        ep[i]->stat = ngx_http_s3_abort_get_stat(shpool, counters,
                                                 &ep[i]->name);
    }

    file = smcf->files.elts;

    for (i = 0; i < smcf->files.nelts; i++) {
        file[i]->stat = ngx_http_s3_abort_get_stat(shpool, counters,
                                                   &file[i]->path);
        ngx_http_s3_abort_count_file(file[i], 1);
    }

    return NGX_OK;
}


/* a file's path begins with "/", as no endpoint's name does */

static ngx_http_s3_abort_stat_t *
ngx_http_s3_abort_get_stat(ngx_slab_pool_t *shpool,
    ngx_http_s3_abort_counters_t *counters, ngx_str_t *name)
{
    ngx_http_s3_abort_stat_t  *stat;

    for (stat = counters->stats; stat; stat = stat->next) {
        if (stat->len == name->len
            && ngx_strncmp(stat->name, name->data, name->len) == 0)
        {
            return stat;
        }
    }

    stat = ngx_slab_calloc(shpool, sizeof(*stat) + name->len);

    if (stat) {
        stat->len = name->len;
        ngx_memcpy(stat->name, name->data, name->len);

        stat->next = counters->stats;
        counters->stats = stat;
    }

    return stat;
}
