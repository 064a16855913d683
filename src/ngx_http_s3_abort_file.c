
/*
 * Files of secrets: opened, then checked on the open descriptor, and read
 * straight into secret memory.  The master reads them with the configuration,
 * where a bad file is an error; workers look again at an interval, and keep
 * what they have when a file went bad.
 */


#include "ngx_http_s3_abort.h"


const char  ngx_http_s3_abort_file_no_memory[] = "does not fit into memory";

/* see ngx_http_s3_abort_file_handler() */

#define NGX_HTTP_S3_ABORT_FILE_SETTLE   1000    /* ms */

#define NGX_HTTP_S3_ABORT_FILE_OK       0
#define NGX_HTTP_S3_ABORT_FILE_SAME     1
#define NGX_HTTP_S3_ABORT_FILE_BAD      2
#define NGX_HTTP_S3_ABORT_FILE_CHANGES  3

static ngx_uint_t ngx_http_s3_abort_file_read(ngx_http_s3_abort_file_t *file,
    gid_t gid, ngx_uint_t level, ngx_log_t *log);
static const char *ngx_http_s3_abort_file_check(struct stat *info, gid_t gid,
    size_t max_size);
static ngx_uint_t ngx_http_s3_abort_file_same(struct stat *a, struct stat *b);
static ngx_int_t ngx_http_s3_abort_file_read_all(ngx_fd_t fd, u_char *buf,
    size_t len);
static gid_t ngx_http_s3_abort_file_gid(ngx_cycle_t *cycle);
static ngx_uint_t ngx_http_s3_abort_file_readable(ngx_cycle_t *cycle,
    ngx_http_s3_abort_file_t *file);
static void ngx_http_s3_abort_file_handler(ngx_event_t *ev);
static void ngx_http_s3_abort_file_cleanup(void *data);


ngx_int_t
ngx_http_s3_abort_file_add(ngx_conf_t *cf, ngx_http_s3_abort_file_t *file)
{
    ngx_pool_cleanup_t              *cln;
    ngx_http_s3_abort_file_t       **filep;
    ngx_http_s3_abort_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_abort_module);

    file->settled = 1;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_s3_abort_file_cleanup;
    cln->data = file;

    filep = ngx_array_push(&smcf->files);
    if (filep == NULL) {
        return NGX_ERROR;
    }

    *filep = file;

    if (ngx_http_s3_abort_file_read(file,
                                    ngx_http_s3_abort_file_gid(cf->cycle),
                                    NGX_LOG_EMERG, cf->log)
        != NGX_HTTP_S3_ABORT_FILE_OK)
    {
        return NGX_ERROR;
    }

    if (file->refresh && !ngx_http_s3_abort_file_readable(cf->cycle, file)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"refresh=\" of \"%V\", which the worker "
                           "processes may not read", &file->path);
    }

    return NGX_OK;
}


/* a worker that replaces a dead one starts with what the master read */

ngx_int_t
ngx_http_s3_abort_file_init_process(ngx_cycle_t *cycle,
    ngx_http_s3_abort_file_t *file)
{
    ngx_http_s3_abort_secret_lock(&file->secret);

    if (file->refresh == 0) {
        return NGX_OK;
    }

    file->event.handler = ngx_http_s3_abort_file_handler;
    file->event.data = file;
    file->event.log = cycle->log;
    file->event.cancelable = 1;

    ngx_add_timer(&file->event, 1);

    return NGX_OK;
}


/* the storage refused what is in the file: perhaps there is something newer */

void
ngx_http_s3_abort_file_check_soon(ngx_http_s3_abort_file_t *file)
{
    if (file->event.timer_set
        && (ngx_msec_int_t) (file->event.timer.key - ngx_current_msec)
           > NGX_HTTP_S3_ABORT_FILE_SETTLE)
    {
        file->settled = 1;
        ngx_add_timer(&file->event, NGX_HTTP_S3_ABORT_FILE_SETTLE);
    }
}


static ngx_uint_t
ngx_http_s3_abort_file_read(ngx_http_s3_abort_file_t *file, gid_t gid,
    ngx_uint_t level, ngx_log_t *log)
{
    size_t                        size;
    ngx_fd_t                      fd;
    ngx_err_t                     err;
    unsigned                      line;
    ngx_uint_t                    loaded;
    const char                   *message;
    struct stat                   info;
    ngx_http_s3_abort_secret_t    secret;

    /* O_NONBLOCK: the name may be a FIFO's */

    fd = open((const char *) file->path.data,
              O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_NOCTTY);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        if (err == file->err) {
            return NGX_HTTP_S3_ABORT_FILE_SAME;
        }

        if (!file->settled) {
            return NGX_HTTP_S3_ABORT_FILE_CHANGES;
        }

        ngx_log_error(level, log, err, ngx_open_file_n " \"%V\" failed",
                      &file->path);

        file->err = err;
        file->bad = 1;
        ngx_memzero(&file->info, sizeof(struct stat));

        return NGX_HTTP_S3_ABORT_FILE_BAD;
    }

    file->err = 0;

    ngx_memzero(&secret, sizeof(ngx_http_s3_abort_secret_t));
    line = 0;
    loaded = 0;

    if (fstat(fd, &info) == -1) {
        message = "cannot be examined";
        ngx_memzero(&info, sizeof(struct stat));
        goto bad;
    }

    if (ngx_http_s3_abort_file_same(&info, &file->info)) {
        (void) ngx_close_file(fd);
        return NGX_HTTP_S3_ABORT_FILE_SAME;
    }

    if (!file->settled) {
        (void) ngx_close_file(fd);
        return NGX_HTTP_S3_ABORT_FILE_CHANGES;
    }

    message = ngx_http_s3_abort_file_check(&info, gid, file->max_size);

    if (message) {
        goto bad;
    }

    size = (size_t) info.st_size;

    if (ngx_http_s3_abort_secret_alloc(&secret, size + 1, log) != NGX_OK) {
        message = ngx_http_s3_abort_file_no_memory;
        goto bad;
    }

    if (ngx_http_s3_abort_file_read_all(fd, secret.start, size) != NGX_OK) {
        message = "changed while it was read";
        ngx_memzero(&info, sizeof(struct stat));
        goto bad;
    }

    message = file->load(file, &secret, size, &line);

    if (message) {
        loaded = 1;
        goto bad;
    }

    (void) ngx_close_file(fd);

    ngx_http_s3_abort_secret_free(&file->secret);

    file->secret = secret;
    file->info = info;
    file->loaded = ngx_time();
    file->bad = 0;
    file->generation++;

    return NGX_HTTP_S3_ABORT_FILE_OK;

bad:

    ngx_http_s3_abort_secret_free(&secret);

    (void) ngx_close_file(fd);

    /* said once, not at every look, unless the next look may find better */

    if (message == ngx_http_s3_abort_file_no_memory) {
        ngx_memzero(&info, sizeof(struct stat));
    }

    file->info = info;
    file->bad = 1;

    if (line) {
        ngx_log_error(level, log, 0, "%s in %V:%ud", message, &file->path,
                      line);

    } else if (loaded && file->profile.len) {
        ngx_log_error(level, log, 0, "%s in \"%V\", profile \"%V\"", message,
                      &file->path, &file->profile);

    } else {
        ngx_log_error(level, log, 0, "\"%V\" %s", &file->path, message);
    }

    return NGX_HTTP_S3_ABORT_FILE_BAD;
}


static const char *
ngx_http_s3_abort_file_check(struct stat *info, gid_t gid, size_t max_size)
{
    if (!S_ISREG(info->st_mode)) {
        return "is not a regular file";
    }

    if (info->st_mode & 0037) {
        return "is open to others, its mode must be 0600, or 0640 with the "
               "group of the worker processes";
    }

    if ((info->st_mode & 0040) && info->st_gid != gid && info->st_gid != 0) {
        return "is readable by a group that is not the one of the worker "
               "processes";
    }

    if (info->st_size > (off_t) max_size) {
        return "is too large";
    }

    return NULL;
}


static ngx_uint_t
ngx_http_s3_abort_file_same(struct stat *a, struct stat *b)
{
    return a->st_dev == b->st_dev
           && a->st_ino == b->st_ino
           && a->st_size == b->st_size
           && a->st_mode == b->st_mode
           && a->st_gid == b->st_gid
           && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
           && a->st_ctim.tv_sec == b->st_ctim.tv_sec
           && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}


/* reads one byte more than there should be, to notice a growing file */

static ngx_int_t
ngx_http_s3_abort_file_read_all(ngx_fd_t fd, u_char *buf, size_t len)
{
    size_t   n;
    ssize_t  rc;

    for (n = 0; n <= len; n += rc) {
        rc = read(fd, buf + n, len + 1 - n);

        if (rc == -1) {
            return NGX_ERROR;
        }

        if (rc == 0) {
            break;
        }
    }

    return n == len ? NGX_OK : NGX_ERROR;
}


/* the group of the workers; "user" may still be unset, or never be set */

static gid_t
ngx_http_s3_abort_file_gid(ngx_cycle_t *cycle)
{
    struct group     *grp;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() != 0) {
        return getegid();
    }

    if (ccf->group != (ngx_gid_t) NGX_CONF_UNSET_UINT) {
        return ccf->group;
    }

    grp = getgrnam(NGX_GROUP);

    return grp ? grp->gr_gid : 0;
}


static ngx_uint_t
ngx_http_s3_abort_file_readable(ngx_cycle_t *cycle,
    ngx_http_s3_abort_file_t *file)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* of a "user" that comes later, or never, nothing is known */

    return geteuid() != 0
           || ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT
           || ccf->user == 0
           || ccf->user == file->info.st_uid
           || ((file->info.st_mode & 0040)
               && ccf->group == file->info.st_gid);
}


/*
 * A change that is seen is read a moment later: a file that is written in
 * place, rather than renamed, is empty at first, and ends in the middle.
 * The moment is a part of "refresh", so that a change is in force within it.
 */

static void
ngx_http_s3_abort_file_handler(ngx_event_t *ev)
{
    ngx_uint_t                 rc;
    ngx_msec_t                 settle;
    ngx_http_s3_abort_file_t  *file = ev->data;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    rc = ngx_http_s3_abort_file_read(file,
                        ngx_http_s3_abort_file_gid((ngx_cycle_t *) ngx_cycle),
                        NGX_LOG_ALERT, ngx_cycle->log);

    if (rc == NGX_HTTP_S3_ABORT_FILE_OK) {
        ngx_log_error(NGX_LOG_NOTICE, ev->log, 0, "read \"%V\" again",
                      &file->path);

        ngx_http_s3_abort_count_file(file, 1);

    } else if (rc == NGX_HTTP_S3_ABORT_FILE_BAD) {
        ngx_http_s3_abort_count_file(file, 0);
    }

    if (file->bad) {
        ngx_http_s3_abort_count_stale(file);
    }

    settle = ngx_min(file->refresh / 2, NGX_HTTP_S3_ABORT_FILE_SETTLE);
    file->settled = (rc == NGX_HTTP_S3_ABORT_FILE_CHANGES);

    ngx_add_timer(ev, file->settled ? settle : file->refresh - settle);
}


static void
ngx_http_s3_abort_file_cleanup(void *data)
{
    ngx_http_s3_abort_file_t  *file = data;

    if (file->event.timer_set) {
        ngx_del_timer(&file->event);
    }

    ngx_http_s3_abort_secret_free(&file->secret);
}
