
/*
 * A library that is preloaded into nginx (Faults.pm): counts its calls, and
 * lets one of them fail, and looks for patterns in its memory when it ends.
 * Orders come, and counts go, by a file that is mapped.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#undef mmap
#undef open
#undef fstat

enum { MEMORY = 1, SYSTEM = 2, CRYPTO = 4, TLS = 8, STALL = 16,
       STAT = 32, OURS = 64, CLOCK = 128, WALL = 256 };

static volatile struct {
    int    kind;
    int    left;
    int    failed;
    int    found;
    int    processes;
    int    npatterns;
    char   unused[40];
    char   patterns[32][16];
} *orders;

static char *volatile  control;
static int             leaving;
static void           *program;

/*
 * Is the module among the next callers, and not for a library's sake?  (glibc
 * 2.36 keeps a lock for ever if getaddrinfo() meets no memory.)
 */

static int is_ours(void)
{
    int                     i, n;
    void                   *frames[12];
    size_t                  offset;
    const char             *file;
    struct dl_find_object   object;
    static int              looking;
    static size_t           from, to;
    static char            *code;

    if (looking) {
        return 0;
    }

    looking = 1;
    n = backtrace(frames, 12);

    if (code == NULL) {
        code = getenv("TEST_FAULTS_CODE");

        if (code) {
            sscanf(code, "%zx-%zx", &from, &to);
        }
    }

    for (i = 0; i < n; i++) {
        if (_dl_find_object(frames[i], &object) != 0) {
            continue;
        }

        file = object.dlfo_link_map->l_name;

        if (strstr(file, "/libcrypto") != NULL
            || strstr(file, "/libssl") != NULL
            || strstr(file, "/libc.so") != NULL)
        {
            i = n;
            break;
        }

        offset = (char *) frames[i] - (char *) object.dlfo_map_start;

        if (code ? object.dlfo_map_start == program
                   && offset >= from && offset < to
                 : strstr(file, "/module.so") != NULL)
        {
            break;
        }
    }

    looking = 0;

    return i < n;
}

static int fails(int kind)
{
    if (orders == NULL || leaving || !(orders->kind & kind)
        || ((orders->kind & OURS) && (orders->left <= 0 || !is_ours()))
        || __sync_sub_and_fetch(&orders->left, 1) != 0)
    {
        return 0;
    }

    orders->failed = 1;
    errno = ENOMEM;

    return 1;
}

#define ORIGINAL(name)                                                       \
    static __typeof__(&name) original;                                       \
    if (original == NULL) {                                                  \
        original = (__typeof__(&name)) dlsym(RTLD_NEXT, #name);              \
    }

#define WRAP(result, name, kind, failure, parameters, arguments)             \
    result name parameters;                                                  \
    result name parameters                                                   \
    {                                                                        \
        ORIGINAL(name)                                                       \
        return fails(kind) ? failure : original arguments;                   \
    }

/* what dlsym() itself may allocate */

static char          arena[8192];
static size_t        used;
static volatile int  resolving;

static void *early(size_t size)
{
    void  *p = arena + used;

    used += (size + 15) & ~(size_t) 15;
    return used <= sizeof(arena) ? p : NULL;
}

#define ALLOCATE(name, size, parameters, arguments)                          \
    void *name parameters                                                    \
    {                                                                        \
        static __typeof__(&name) original;                                   \
        if (original == NULL) {                                              \
            if (resolving) {                                                 \
                return early(size);                                          \
            }                                                                \
            resolving = 1;                                                   \
            original = (__typeof__(&name)) dlsym(RTLD_NEXT, #name);          \
            resolving = 0;                                                   \
        }                                                                    \
        return fails(MEMORY) ? NULL : original arguments;                    \
    }

ALLOCATE(malloc, n, (size_t n), (n))
ALLOCATE(calloc, n * m, (size_t n, size_t m), (n, m))
ALLOCATE(realloc, n, (void *p, size_t n), (p, n))

void free(void *p)
{
    static __typeof__(&free)  original;

    if (((char *) p >= arena && (char *) p < arena + sizeof(arena))
        || resolving)
    {
        return;
    }

    if (original == NULL) {
        resolving = 1;
        original = (__typeof__(&free)) dlsym(RTLD_NEXT, "free");
        resolving = 0;
    }

    original(p);
}

int posix_memalign(void **p, size_t a, size_t n)
{
    ORIGINAL(posix_memalign)
    return fails(MEMORY) ? ENOMEM : original(p, a, n);
}

WRAP(void *, mmap64, SYSTEM, MAP_FAILED, (void *a, size_t n, int p, int f,
     int fd, off_t o), (a, n, p, f, fd, o))
WRAP(int, madvise, SYSTEM, -1, (void *a, size_t n, int v), (a, n, v))
WRAP(int, fstat64, SYSTEM | STAT, -1, (int fd, struct stat64 *s), (fd, s))
WRAP(ssize_t, read, SYSTEM, -1, (int fd, void *b, size_t n), (fd, b, n))
WRAP(int, socket, SYSTEM, -1, (int d, int t, int p), (d, t, p))
WRAP(int, connect, SYSTEM, -1, (int fd, const void *a, unsigned n),
     (fd, a, n))
WRAP(ssize_t, send, SYSTEM, -1, (int fd, const void *b, size_t n, int f),
     (fd, b, n, f))
WRAP(ssize_t, recv, SYSTEM, -1, (int fd, void *b, size_t n, int f),
     (fd, b, n, f))
WRAP(int, epoll_ctl, SYSTEM, -1, (int e, int o, int fd, void *v),
     (e, o, fd, v))

WRAP(void *, EVP_MD_fetch, CRYPTO, NULL, (void *l, const char *a,
     const char *p), (l, a, p))
WRAP(void *, EVP_MD_CTX_new, CRYPTO, NULL, (void), ())
WRAP(int, EVP_MD_CTX_copy_ex, CRYPTO, 0, (void *a, void *b), (a, b))
WRAP(int, EVP_DigestInit_ex2, CRYPTO, 0, (void *c, void *m, void *p),
     (c, m, p))
WRAP(int, EVP_DigestUpdate, CRYPTO, 0, (void *c, void *d, size_t n),
     (c, d, n))
WRAP(int, EVP_DigestFinal_ex, CRYPTO, 0, (void *c, void *d, void *n),
     (c, d, n))
WRAP(int, RAND_bytes, CRYPTO, 0, (void *b, int n), (b, n))

WRAP(void *, SSL_CTX_new, TLS, NULL, (void *m), (m))
WRAP(void *, SSL_new, TLS, NULL, (void *c), (c))
WRAP(int, SSL_set_fd, TLS, 0, (void *s, int fd), (s, fd))
WRAP(long, SSL_ctrl, TLS, 0, (void *s, int c, long n, void *p), (s, c, n, p))
WRAP(int, SSL_do_handshake, TLS, -1, (void *s), (s))
WRAP(int, SSL_write, TLS, -1, (void *s, void *b, int n), (s, b, n))
WRAP(int, SSL_read, TLS, -1, (void *s, void *b, int n), (s, b, n))
WRAP(int, X509_VERIFY_PARAM_set1_host, TLS, 0, (void *v, const char *h,
     size_t n), (v, h, n))

/* a request to the storage may find a socket that is full for ever */

ssize_t writev(int fd, const struct iovec *v, int n)
{
    ORIGINAL(writev)

    if (orders && (orders->kind & STALL) && n && v[0].iov_len > 7
        && memcmp(v[0].iov_base, "DELETE ", 7) == 0)
    {
        errno = EAGAIN;
        return -1;
    }

    return fails(SYSTEM) ? -1 : original(fd, v, n);
}

/* the clocks that bound regular expressions */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    ORIGINAL(clock_gettime)

    return (clock == CLOCK_THREAD_CPUTIME_ID && fails(CLOCK))
           || (clock == CLOCK_MONOTONIC && fails(WALL))
           ? -1 : original(clock, ts);
}

int open64(const char *path, int flags, ...)
{
    va_list  args;
    mode_t   mode;

    ORIGINAL(open64)

    va_start(args, flags);
    mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);

    return fails(SYSTEM) ? -1 : original(path, flags, mode);
}

/* what the compiler's own counters need at the end is not nginx's */

static void leave(void)
{
    leaving = 1;
}

__attribute__((constructor)) static void begin(void)
{
    int          fd;
    const char  *path = getenv("TEST_FAULTS");

    fd = path ? open64(path, O_RDWR) : -1;

    control = strdup("what is found always");
    atexit(leave);

    program = (void *) getauxval(AT_PHDR);
    program = (void *) ((size_t) program & ~(size_t) 4095);

    if (fd != -1) {
        orders = mmap64(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
}

/* the patterns are masked, so that they are not found where they are written */

static void look(const volatile char *from, const volatile char *to)
{
    int                   i, k;
    const volatile char  *p;

    for (p = from; p + 16 <= to; p++) {
        for (i = 0; i < orders->npatterns; i++) {
            for (k = 0; k < 16; k++) {
                if ((p[k] ^ 0x5a) != orders->patterns[i][k]) {
                    break;
                }
            }

            if (k == 16) {
                orders->found |= 1 << i;
            }
        }
    }
}

__attribute__((destructor)) static void end(void)
{
    FILE           *maps;
    char            line[512];
    unsigned long   from, to;

    if (orders == NULL || orders->npatterns == 0) {
        return;
    }

    maps = fopen("/proc/self/maps", "r");

    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx rw", &from, &to) == 2
            && strstr(line, " rw-p ") && to - from < 1UL << 28)
        {
            look((char *) from, (char *) to);
        }
    }

    __sync_add_and_fetch(&orders->processes, 1);
}
