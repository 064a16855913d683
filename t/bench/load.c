
/*
 * A load generator that checks every answer.
 *
 * usage: load [-c connections] [-n requests] [-r rate] PORT STATUS[:CODE] FILE
 *
 * Sends the requests of FILE, one after the other and from the start again, to
 * 127.0.0.1:PORT over keepalive connections.  Without a rate each connection
 * sends its next request when it has its answer; with one, requests fall due
 * at that rate whatever the answers do, and a latency counts from then.
 *
 * Prints the seconds it took and the 50th and 99th percentile and the maximum
 * of the latencies in microseconds.  Fails on any answer but an HTTP/1.1 one
 * of that STATUS, with, in its body, S3's error CODE.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


typedef struct {
    int         fd;
    int64_t     due;                  /* the request under way; 0: none */
    size_t      len;
    char        buf[8192];
} connection_t;

typedef struct {
    char       *data;
    size_t      len;
} request_t;


static void read_requests(const char *path);
static void open_connections(int port);
static void run(void);
static void send_due(int64_t now);
static void send_request(connection_t *c, int64_t due);
static void read_answer(connection_t *c);
static size_t answer_len(connection_t *c);
static void check_answer(connection_t *c, size_t len);
static void print_latencies(int64_t elapsed);
static int compare(const void *one, const void *two);
static int64_t monotonic(void);
static void fail(const char *fmt, ...);


static int            nconnections = 16;
static long           total = 10000;
static double         rate;
static char           status[16];
static char           code[128];

static request_t     *requests;
static size_t         nrequests;
static connection_t  *connections;
static connection_t **idle;
static int            nidle;
static int            epoll;

static long           sent, answered;
static int64_t        start;
static uint32_t      *latencies;      /* nanoseconds */


int
main(int argc, char **argv)
{
    int   opt;
    char *p;

    while ((opt = getopt(argc, argv, "c:n:r:")) != -1) {

        switch (opt) {

        case 'c':
            nconnections = atoi(optarg);
            break;

        case 'n':
            total = atol(optarg);
            break;

        case 'r':
            rate = atof(optarg);
            break;

        default:
            return 2;
        }
    }

    if (argc - optind != 3 || nconnections < 1 || total < 1) {
        fail("usage: load [-c connections] [-n requests] [-r rate] "
             "PORT STATUS[:CODE] FILE");
    }

    p = strchr(argv[optind + 1], ':');

    if (p) {
        *p++ = '\0';
        snprintf(code, sizeof(code), "<Code>%s</Code>", p);
    }

    snprintf(status, sizeof(status), "HTTP/1.1 %s ", argv[optind + 1]);

    read_requests(argv[optind + 2]);

    latencies = calloc(total, sizeof(uint32_t));

    if (latencies == NULL) {
        fail("no memory");
    }

    signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_TIMERSLACK, 1);

    open_connections(atoi(argv[optind]));
    run();

    return 0;
}


static void
read_requests(const char *path)
{
    char    *p, *end, *data;
    long     len;
    FILE    *f;

    f = fopen(path, "r");

    if (f == NULL) {
        fail("%s: %s", path, strerror(errno));
    }

    fseek(f, 0, SEEK_END);
    len = ftell(f);
    rewind(f);

    data = malloc(len + 1);

    if (data == NULL || fread(data, 1, len, f) != (size_t) len) {
        fail("%s: cannot be read", path);
    }

    data[len] = '\0';
    fclose(f);

    for (p = data; *p; p = end) {
        end = strstr(p, "\r\n\r\n");

        if (end == NULL) {
            fail("%s: the last request has no end", path);
        }

        end += 4;

        if ((nrequests & (nrequests - 1)) == 0) {
            requests = realloc(requests, (nrequests ? 2 * nrequests : 1)
                                         * sizeof(request_t));
            if (requests == NULL) {
                fail("no memory");
            }
        }

        requests[nrequests].data = p;
        requests[nrequests++].len = end - p;
    }

    if (nrequests == 0) {
        fail("%s: is empty", path);
    }
}


static void
open_connections(int port)
{
    int                  i, on = 1;
    connection_t        *c;
    struct epoll_event   ee;
    struct sockaddr_in   sin;

    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    connections = calloc(nconnections, sizeof(connection_t));
    idle = calloc(nconnections, sizeof(connection_t *));
    epoll = epoll_create1(0);

    if (connections == NULL || idle == NULL || epoll == -1) {
        fail("no memory");
    }

    for (i = 0; i < nconnections; i++) {
        c = &connections[i];

        c->fd = socket(AF_INET, SOCK_STREAM, 0);

        if (c->fd == -1
            || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
            || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
               == -1)
        {
            fail("connect to port %d: %s", port, strerror(errno));
        }

        ee.events = EPOLLIN;
        ee.data.ptr = c;

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ee) == -1) {
            fail("epoll_ctl: %s", strerror(errno));
        }

        idle[nidle++] = c;
    }
}


static void
run(void)
{
    int                  i, n;
    int64_t              now, next;
    struct timespec      ts, *timeout;
    struct epoll_event   events[64];

    start = monotonic();
    now = start;

    while (answered < total) {

        send_due(now);

        timeout = NULL;

        if (rate && nidle && sent < total) {
            next = start + (int64_t) (sent * 1e9 / rate) - now;

            ts.tv_sec = next / 1000000000;
            ts.tv_nsec = next % 1000000000;
            timeout = &ts;
        }

        n = epoll_pwait2(epoll, events, 64, timeout, NULL);

        if (n == -1) {
            fail("epoll_pwait2: %s", strerror(errno));
        }

        for (i = 0; i < n; i++) {
            read_answer(events[i].data.ptr);
        }

        now = monotonic();
    }

    print_latencies(now - start);
}


static void
send_due(int64_t now)
{
    int64_t  due;

    while (nidle && sent < total) {

        due = now;

        if (rate) {
            due = start + (int64_t) (sent * 1e9 / rate);

            if (due > now) {
                return;
            }
        }

        send_request(idle[--nidle], due);
    }
}


static void
send_request(connection_t *c, int64_t due)
{
    request_t  *r;

    r = &requests[sent++ % nrequests];

    c->due = due;
    c->len = 0;

    if (send(c->fd, r->data, r->len, 0) != (ssize_t) r->len) {
        fail("send: %s", strerror(errno));
    }
}


static void
read_answer(connection_t *c)
{
    size_t   len;
    ssize_t  n;

    n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - 1 - c->len, 0);

    if (n == -1) {
        fail("recv: %s", strerror(errno));
    }

    if (n == 0 || c->due == 0) {
        fail("connection closed, or an answer to no request, after %ld",
             answered);
    }

    c->len += n;
    c->buf[c->len] = '\0';

    len = answer_len(c);

    if (len == 0 || c->len < len) {
        if (c->len == sizeof(c->buf) - 1) {
            fail("too long an answer:\n%s", c->buf);
        }

        return;
    }

    check_answer(c, len);

    latencies[answered++] = (uint32_t) (monotonic() - c->due);

    c->due = 0;
    idle[nidle++] = c;

    if (!rate && sent < total) {
        send_request(idle[--nidle], monotonic());
    }
}


/* 0: the header is not complete */

static size_t
answer_len(connection_t *c)
{
    char    *p, *end;
    size_t   len;

    end = strstr(c->buf, "\r\n\r\n");

    if (end == NULL) {
        return 0;
    }

    len = end + 4 - c->buf;

    p = strcasestr(c->buf, "\r\nContent-Length:");

    return len + (p && p < end ? strtoul(p + 17, NULL, 10) : 0);
}


static void
check_answer(connection_t *c, size_t len)
{
    if (c->len != len
        || strncmp(c->buf, status, strlen(status)) != 0
        || (code[0] && strstr(c->buf, code) == NULL))
    {
        fail("wrong answer, not \"%s%s\":\n%s", status, code, c->buf);
    }
}


static void
print_latencies(int64_t elapsed)
{
    qsort(latencies, total, sizeof(uint32_t), compare);

    printf("%.6f %.1f %.1f %.1f\n", elapsed / 1e9,
           latencies[total / 2] / 1e3,
           latencies[total * 99 / 100] / 1e3,
           latencies[total - 1] / 1e3);
}


static int
compare(const void *one, const void *two)
{
    uint32_t  a = *(const uint32_t *) one;
    uint32_t  b = *(const uint32_t *) two;

    return (a > b) - (a < b);
}


static int64_t
monotonic(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
fail(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    fprintf(stderr, "load: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);

    exit(1);
}
