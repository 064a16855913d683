
/*
 * Memory for secrets: a mapping of its own, which core dumps leave out and
 * which is wiped before it is given back.  And huge pages, for that and for what
 * else is large.
 */


#include "ngx_http_s3_abort.h"

#include <sys/mman.h>


#define NGX_HTTP_S3_ABORT_HUGE_PAGE  (2 * 1024 * 1024)


ngx_int_t
ngx_http_s3_abort_secret_alloc(ngx_http_s3_abort_secret_t *secret,
    size_t size, ngx_log_t *log)
{
    if (ngx_http_s3_abort_secret_map(secret, size, log) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_s3_abort_secret_lock(secret);

    return NGX_OK;
}


/* not locked yet, which would fill it: the master has no use for it */

ngx_int_t
ngx_http_s3_abort_secret_map(ngx_http_s3_abort_secret_t *secret, size_t size,
    ngx_log_t *log)
{
    void  *p;

    size = ngx_align(size, ngx_pagesize);

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS,
             -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno, "mmap(%uz) failed", size);
        return NGX_ERROR;
    }

    if (madvise(p, size, MADV_DONTDUMP) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "madvise(MADV_DONTDUMP) failed");
        (void) munmap(p, size);

        return NGX_ERROR;
    }

    ngx_http_s3_abort_huge_pages(p, size);

    secret->start = p;
    secret->size = size;

    return NGX_OK;
}


void
ngx_http_s3_abort_secret_free(ngx_http_s3_abort_secret_t *secret)
{
    if (secret->start == NULL) {
        return;
    }

    ngx_explicit_memzero(secret->start, secret->size);

    (void) munmap(secret->start, secret->size);

    secret->start = NULL;
    secret->size = 0;
}


/* for what lives as long as the configuration: locked in each worker */

ngx_int_t
ngx_http_s3_abort_secret_add(ngx_conf_t *cf,
    ngx_http_s3_abort_secret_t *secret)
{
    ngx_http_s3_abort_secret_t     **s;
    ngx_http_s3_abort_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    s = ngx_array_push(&smcf->secrets);
    if (s == NULL) {
        return NGX_ERROR;
    }

    *s = secret;

    return NGX_OK;
}


/* keeps the memory out of swap, where the limits allow it; a fork unlocks */

void
ngx_http_s3_abort_secret_lock(ngx_http_s3_abort_secret_t *secret)
{
    if (secret->start) {
        (void) mlock(secret->start, secret->size);
    }
}


/*
 * What is large is read here and there: in pages of the usual size, a request
 * would wait for the page tables as well.
 */

void
ngx_http_s3_abort_huge_pages(void *p, size_t size)
{
#ifdef MADV_HUGEPAGE

    u_char  *start, *last;

    start = ngx_align_ptr(p, NGX_HTTP_S3_ABORT_HUGE_PAGE);
    last = (u_char *) p + size;

    if (start < last) {
        (void) madvise(start, last - start, MADV_HUGEPAGE);
    }

#endif
}
