
/*
 * The keys file of "s3_abort_identity sigv4": read, indexed, looked up, and
 * the signing keys of a day that are derived from it.
 */


#include "ngx_http_s3_abort.h"


/* the text of the file, and the table of its keys, both in secret memory */

struct ngx_http_s3_abort_keys_s {
    ngx_http_s3_abort_file_t    file;
    ngx_http_s3_abort_secret_t  index;
    ngx_http_s3_abort_key_t    *table;
    uint32_t                    mask;
    uint32_t                    nkeys;

    ngx_array_t                 caches;           /* of signing keys of it */
};


/* signing keys of a day, direct-mapped by the number of the tenant's key */

typedef struct {
    s3_sigv4_key_t              key;
    u_char                      date[S3_SIGV4_DATE_LEN];
    const u_char               *region;           /* of the configuration */
    uint32_t                    number;
    uint32_t                    generation;
} ngx_http_s3_abort_cached_t;

#define NGX_HTTP_S3_ABORT_MIN_CACHED    256
#define NGX_HTTP_S3_ABORT_MAX_CACHED    (128 * 1024)

#define NGX_HTTP_S3_ABORT_KEYS_MAX_SIZE (256 * 1024 * 1024)


static const char *ngx_http_s3_abort_keys_load(ngx_http_s3_abort_file_t *file,
    ngx_http_s3_abort_secret_t *secret, size_t len, unsigned *line);
static void ngx_http_s3_abort_keys_wipe(ngx_http_s3_abort_keys_t *keys);
static const char *ngx_http_s3_abort_keys_index(
    ngx_http_s3_abort_keys_t *keys, s3_str_t text, unsigned *line);
static void ngx_http_s3_abort_keys_cleanup(void *data);
static void ngx_http_s3_abort_keys_cache_cleanup(void *data);


/* the key, or the free slot where it would be */

ngx_http_s3_abort_key_t *
ngx_http_s3_abort_keys_find(ngx_http_s3_abort_keys_t *keys,
    s3_str_t access_key)
{
    uint32_t                  i, hash;
    s3_str_t                  s;
    ngx_http_s3_abort_key_t  *key;

    hash = s3_str_hash(access_key);

    for (i = hash; /* void */ ; i++) {
        key = &keys->table[i & keys->mask];

        if (key->number == 0) {
            return key;
        }

        s.data = keys->file.secret.start + key->access_key;
        s.len = key->access_key_len;

        if (key->hash == hash && s3_str_eq(s, access_key)) {
            return key;
        }
    }
}


/* region and service are those of the gateway here, the date is checked */

s3_sigv4_key_t *
ngx_http_s3_abort_keys_get(ngx_http_request_t *r,
    ngx_http_s3_abort_identity_t *identity, ngx_http_s3_abort_key_t *key,
    s3_authorization_t *auth, ngx_str_t *region)
{
    s3_str_t                        secret;
    ngx_http_s3_abort_keys_t       *keys;
    ngx_http_s3_abort_cached_t     *cached;
    ngx_http_s3_abort_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);

    keys = identity->keys;

    cached = (ngx_http_s3_abort_cached_t *) identity->cache.start
             + key->number % identity->ncached;

    /* on its way while the request is hashed */

    __builtin_prefetch(cached->key.inner);
    __builtin_prefetch(cached->key.outer);
    __builtin_prefetch(cached->date);

    if (cached->generation != (uint32_t) keys->file.generation
        || cached->number != key->number
        || cached->region != region->data
        || ngx_memcmp(cached->date, auth->date.data, S3_SIGV4_DATE_LEN) != 0)
    {
        secret.data = keys->file.secret.start + key->secret;
        secret.len = key->secret_len;

        cached->generation = 0;

        if (s3_sigv4_signing_key(&smcf->sigv4, &cached->key, secret,
                                 auth->date, auth->region,
                                 auth->service)
            != 0)
        {
            return NULL;
        }

        ngx_memcpy(cached->date, auth->date.data, S3_SIGV4_DATE_LEN);
        cached->region = region->data;
        cached->number = key->number;
        cached->generation = (uint32_t) keys->file.generation;
    }

    return &cached->key;
}


/* copies the names: the file may be replaced while the request lives */

ngx_int_t
ngx_http_s3_abort_keys_owner(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_keys_t *keys,
    ngx_http_s3_abort_key_t *key)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, key->tenant_len + key->access_key_len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->tenant.data = p;
    ctx->tenant.len = key->tenant_len;

    p = ngx_cpymem(p, keys->file.secret.start + key->tenant, key->tenant_len);

    ctx->access_key.data = p;
    ctx->access_key.len = key->access_key_len;

    ngx_memcpy(p, keys->file.secret.start + key->access_key,
               key->access_key_len);

    return NGX_OK;
}


/* locations with one keys file have one copy of it */

ngx_http_s3_abort_keys_t *
ngx_http_s3_abort_keys_add(ngx_conf_t *cf, ngx_str_t *path,
    ngx_msec_t refresh)
{
    ngx_uint_t                       i;
    ngx_pool_cleanup_t              *cln;
    ngx_http_s3_abort_file_t       **file;
    ngx_http_s3_abort_keys_t        *keys;
    ngx_http_s3_abort_main_conf_t   *smcf;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NULL;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    file = smcf->files.elts;

    for (i = 0; i < smcf->files.nelts; i++) {

        if (file[i]->load == ngx_http_s3_abort_keys_load
            && file[i]->path.len == path->len
            && ngx_strncmp(file[i]->path.data, path->data, path->len) == 0)
        {
            if (refresh && (file[i]->refresh == 0
                            || file[i]->refresh > refresh))
            {
                file[i]->refresh = refresh;
            }

            return file[i]->data;
        }
    }

    keys = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_abort_keys_t));
    if (keys == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_s3_abort_keys_cleanup;
    cln->data = keys;

    if (ngx_array_init(&keys->caches, cf->pool, 2, sizeof(void *))
        != NGX_OK)
    {
        return NULL;
    }

    keys->file.path = *path;
    keys->file.refresh = refresh;
    keys->file.max_size = NGX_HTTP_S3_ABORT_KEYS_MAX_SIZE;
    keys->file.load = ngx_http_s3_abort_keys_load;
    keys->file.data = keys;

    if (ngx_http_s3_abort_file_add(cf, &keys->file) != NGX_OK) {
        return NULL;
    }

    return keys;
}


static void
ngx_http_s3_abort_keys_cleanup(void *data)
{
    ngx_http_s3_abort_keys_t  *keys = data;

    ngx_http_s3_abort_secret_free(&keys->index);
}


ngx_int_t
ngx_http_s3_abort_keys_cache(ngx_conf_t *cf,
    ngx_http_s3_abort_identity_t *identity)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_s3_abort_secret_t  **cache;

    identity->ncached = ngx_min(identity->keys->nkeys + 1,
                                NGX_HTTP_S3_ABORT_MAX_CACHED);
    identity->ncached = ngx_max(identity->ncached,
                                NGX_HTTP_S3_ABORT_MIN_CACHED);

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_s3_abort_keys_cache_cleanup;
    cln->data = identity;

    cache = ngx_array_push(&identity->keys->caches);
    if (cache == NULL) {
        return NGX_ERROR;
    }

    *cache = &identity->cache;

    if (ngx_http_s3_abort_secret_add(cf, &identity->cache) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_s3_abort_secret_map(&identity->cache,
                                        identity->ncached
                                        * sizeof(ngx_http_s3_abort_cached_t),
                                        cf->log);
}


static const char *
ngx_http_s3_abort_keys_load(ngx_http_s3_abort_file_t *file,
    ngx_http_s3_abort_secret_t *secret, size_t len, unsigned *line)
{
    size_t                       n, size;
    s3_str_t                     text, rest;
    const char                  *message;
    s3_key_t                     rc;
    s3_tenant_key_t              key;
    ngx_http_s3_abort_keys_t     keys, *old;

    old = file->data;

    text.data = secret->start;
    text.len = len;

    /* length pass */

    rest = text;
    *line = 0;

    for (n = 0; /* void */ ; n++) {
        rc = s3_credentials_next_key(&key, &rest, line, &message);

        if (rc == S3_KEY_ERROR) {
            return message;
        }

        if (rc == S3_KEY_END) {
            break;
        }
    }

    for (size = 4; size < 2 * n; size *= 2) { /* void */ }

    keys = *old;
    keys.mask = size - 1;

    ngx_memzero(&keys.index, sizeof(ngx_http_s3_abort_secret_t));

    if (ngx_http_s3_abort_secret_alloc(&keys.index,
                                       size * sizeof(ngx_http_s3_abort_key_t),
                                       ngx_cycle->log)
        != NGX_OK)
    {
        *line = 0;
        return ngx_http_s3_abort_file_no_memory;
    }

    keys.table = (ngx_http_s3_abort_key_t *) keys.index.start;
    keys.file.secret = *secret;
    keys.nkeys = 0;

    message = ngx_http_s3_abort_keys_index(&keys, text, line);

    if (message) {
        ngx_http_s3_abort_secret_free(&keys.index);
        return message;
    }

    ngx_http_s3_abort_secret_free(&old->index);
    ngx_http_s3_abort_keys_wipe(old);

    old->index = keys.index;
    old->nkeys = keys.nkeys;
    old->table = keys.table;
    old->mask = keys.mask;

    return NULL;
}


static void
ngx_http_s3_abort_keys_wipe(ngx_http_s3_abort_keys_t *keys)
{
    ngx_uint_t                    i;
    ngx_http_s3_abort_secret_t  **cache;

    cache = keys->caches.elts;

    for (i = 0; i < keys->caches.nelts; i++) {
        ngx_explicit_memzero(cache[i]->start, cache[i]->size);
    }
}


static const char *
ngx_http_s3_abort_keys_index(ngx_http_s3_abort_keys_t *keys, s3_str_t text,
    unsigned *line)
{
    s3_str_t                  rest;
    const char               *message;
    s3_tenant_key_t           k;
    ngx_http_s3_abort_key_t  *key;

    rest = text;
    *line = 0;

    while (s3_credentials_next_key(&k, &rest, line, &message)
           == S3_KEY_NEXT)
    {
        key = ngx_http_s3_abort_keys_find(keys, k.access_key);

        if (key->number) {
            return "duplicate access key";
        }

        key->hash = s3_str_hash(k.access_key);
        key->number = ++keys->nkeys;
        key->tenant = k.tenant.data - text.data;
        key->tenant_len = k.tenant.len;
        key->access_key = k.access_key.data - text.data;
        key->access_key_len = k.access_key.len;
        key->secret = k.secret.data - text.data;
        key->secret_len = k.secret.len;
    }

    return NULL;
}


static void
ngx_http_s3_abort_keys_cache_cleanup(void *data)
{
    ngx_http_s3_abort_identity_t  *identity = data;

    ngx_http_s3_abort_secret_free(&identity->cache);
}
