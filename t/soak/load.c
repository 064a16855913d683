
/*
 * The load of t/soak.t: requests of many kinds over many connections, without
 * a pause.  Each answer is checked against what was allowed for its kind while
 * the request was under way.
 *
 * usage: load CONNECTIONS PORT FILE
 *
 * FILE has requests, each behind a line "KIND WEIGHT MANNER LENGTH".  Manners:
 * "kept", the connection is used again; "slow", sent in pieces; "leave", the
 * connection is closed once all is sent.  Commands come by lines:
 *
 *     allow KIND ANSWER...    from now on; an answer is "204", say, or
 *                             "403:AccessDenied"
 *     requests FILE           other ones of the same kinds
 *     pause, go               "paused" is said once none is under way
 *     report                  says "KIND WHAT NUMBER" lines, and "end"
 *
 * A request that finds its kept connection closed is sent once more over a new
 * one, as clients do: "stale".  Any other one without an answer is lost, and
 * "lost TIME KIND WHY" is said; "wrong KIND ANSWER" for answers that are not
 * allowed.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>


#define MAX_KINDS    64
#define MAX_ANSWERS  64               /* bits of a mask */

#define PIECES       4                /* of a slow request */
#define PIECE_PAUSE  0.25
#define LEAVE_AFTER  0.002
#define STALE_WITHIN 0.5              /* later it was not idle any more */
#define TIMEOUT      30.0
#define MAX_USES     300              /* of a connection */


enum { KEPT, SLOW, LEAVE };

typedef struct request_s  request_t;

struct request_s {
    char       *data;
    size_t      len;
    request_t  *next;                 /* in a ring */
};

typedef struct {
    char        name[32];
    int         weight;
    int         manner;
    request_t  *request;
    uint64_t    allowed;
    long        answers[MAX_ANSWERS];
    long        sent, stale, lost, left, wrong;
} kind_t;

typedef struct {
    int         fd;
    kind_t     *kind;                 /* of the request under way, if any */
    request_t  *request;
    size_t      sent;
    uint64_t    allowed;
    double      began;                /* to send it */
    double      wake;                 /* 0: nothing to do but wait */
    int         uses, max_uses;
    int         again;
    size_t      len;
    char        buf[8192];
} connection_t;


static void read_requests(const char *path);
static kind_t *find_kind(const char *name, int add);
static int find_answer(const char *name);
static void read_commands(void);
static void command(char *line);
static void allow(kind_t *k, char *answers);
static void report(void);
static void next_request(connection_t *c);
static void idle(connection_t *c);
static void begin(connection_t *c);
static int open_connection(connection_t *c);
static void close_connection(connection_t *c);
static void send_some(connection_t *c);
static void read_answer(connection_t *c);
static int complete(connection_t *c);
static void check_answer(connection_t *c);
static void broken(connection_t *c, const char *why);
static void timers(void);
static double now(void);


static kind_t              kinds[MAX_KINDS];
static int                 nkinds, weights;
static char                answers[MAX_ANSWERS][64];
static int                 nanswers;

static connection_t       *connections;
static int                 nconnections, busy;
static int                 epoll, paused;
static struct sockaddr_in  gateway;


int
main(int argc, char **argv)
{
    int                  i, n;
    double               last;
    connection_t        *c;
    struct epoll_event   events[64], ee;

    if (argc != 4) {
        errx(2, "usage: load CONNECTIONS PORT FILE");
    }

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);

    nconnections = atoi(argv[1]);
    gateway.sin_family = AF_INET;
    gateway.sin_port = htons(atoi(argv[2]));
    gateway.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    read_requests(argv[3]);

    connections = calloc(nconnections, sizeof(connection_t));
    epoll = epoll_create1(0);

    if (connections == NULL || epoll == -1) {
        err(1, NULL);
    }

    ee.events = EPOLLIN;
    ee.data.ptr = NULL;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ee) == -1) {
        err(1, "epoll_ctl");
    }

    for (i = 0; i < nconnections; i++) {
        connections[i].fd = -1;
    }

    paused = 1;
    last = 0;

    for ( ;; ) {
        n = epoll_wait(epoll, events, 64, 5);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c == NULL) {
                read_commands();

            } else if (c->fd != -1) {
                read_answer(c);
            }
        }

        if (now() - last > 0.005) {
            last = now();
            timers();
        }
    }
}


static void
read_requests(const char *path)
{
    int         i, weight;
    char        name[32], manner[8];
    FILE       *f;
    size_t      len;
    kind_t     *k;
    request_t  *r;

    f = fopen(path, "r");

    if (f == NULL) {
        err(1, "%s", path);
    }

    /* what is under way may be one of those before: they are not freed */

    for (i = 0; i < nkinds; i++) {
        kinds[i].request = NULL;
    }

    while (fscanf(f, "%31s %d %7s %zu%*1[\n]", name, &weight, manner, &len)
           == 4)
    {
        k = find_kind(name, 1);
        r = malloc(sizeof(request_t));

        if (r == NULL || (r->data = malloc(len)) == NULL
            || fread(r->data, 1, len, f) != len)
        {
            errx(1, "%s: no memory, or no request", path);
        }

        r->len = len;
        r->next = k->request ? k->request->next : r;

        if (k->request) {
            k->request->next = r;
        }

        k->request = r;
        k->weight = weight;
        k->manner = *manner == 's' ? SLOW : *manner == 'l' ? LEAVE : KEPT;
    }

    weights = 0;

    for (i = 0; i < nkinds; i++) {
        weights += kinds[i].weight;
    }

    fclose(f);
}


static kind_t *
find_kind(const char *name, int add)
{
    int  i;

    for (i = 0; i < nkinds; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }

    if (!add || nkinds == MAX_KINDS) {
        errx(1, "kind \"%s\"", name);
    }

    snprintf(kinds[nkinds].name, sizeof(kinds[0].name), "%s", name);

    return &kinds[nkinds++];
}


static int
find_answer(const char *name)
{
    int  i;

    for (i = 0; i < nanswers; i++) {
        if (strcmp(answers[i], name) == 0) {
            return i;
        }
    }

    if (nanswers == MAX_ANSWERS) {
        errx(1, "too many answers");
    }

    snprintf(answers[nanswers], sizeof(answers[0]), "%s", name);

    return nanswers++;
}


static void
read_commands(void)
{
    char           *p;
    ssize_t         n;
    static char     buf[4096];
    static size_t   len;

    n = read(STDIN_FILENO, buf + len, sizeof(buf) - 1 - len);

    if (n <= 0) {
        exit(0);
    }

    len += n;
    buf[len] = '\0';

    while ((p = strchr(buf, '\n')) != NULL) {
        *p++ = '\0';
        command(buf);
        len -= p - buf;
        memmove(buf, p, len + 1);
    }
}


static void
command(char *line)
{
    char  *name, *rest;

    rest = line;
    name = strsep(&rest, " ");

    if (strcmp(name, "allow") == 0) {
        name = strsep(&rest, " ");
        allow(find_kind(name, 0), rest);

    } else if (strcmp(name, "requests") == 0) {
        read_requests(rest);

    } else if (strcmp(name, "report") == 0) {
        report();

    } else if (strcmp(name, "pause") == 0) {
        paused = 1;

        if (busy == 0) {
            printf("paused\n");
        }

    } else if (strcmp(name, "go") == 0) {
        paused = 0;

    } else {
        errx(1, "command \"%s\"", name);
    }
}


/* those under way may be answered by what holds now, or held before */

static void
allow(kind_t *k, char *list)
{
    int    i;
    char  *name;

    k->allowed = 0;

    while ((name = strsep(&list, " ")) != NULL) {
        k->allowed |= (uint64_t) 1 << find_answer(name);
    }

    for (i = 0; i < nconnections; i++) {
        if (connections[i].kind == k) {
            connections[i].allowed |= k->allowed;
        }
    }
}


static void
report(void)
{
    int      i;
    kind_t  *k;

    for (k = kinds; k < kinds + nkinds; k++) {

        for (i = 0; i < nanswers; i++) {
            if (k->answers[i]) {
                printf("%s %s %ld\n", k->name, answers[i], k->answers[i]);
            }
        }

        printf("%s sent %ld\n%s stale %ld\n%s lost %ld\n%s left %ld\n"
               "%s wrong %ld\n", k->name, k->sent, k->name, k->stale,
               k->name, k->lost, k->name, k->left, k->name, k->wrong);
    }

    printf("end\n");
}


static void
next_request(connection_t *c)
{
    int      n;
    kind_t  *k;

    if (c->kind) {
        idle(c);
    }

    if (paused) {
        close_connection(c);
        return;
    }

    n = random() % weights;

    for (k = kinds; n >= k->weight; k++) {
        n -= k->weight;
    }

    k->request = k->request->next;
    k->sent++;

    c->kind = k;
    c->request = k->request;
    c->allowed = k->allowed;
    c->began = now();
    c->again = 0;

    busy++;

    begin(c);
}


static void
idle(connection_t *c)
{
    c->kind = NULL;

    if (--busy == 0 && paused) {
        printf("paused\n");
    }
}


static void
begin(connection_t *c)
{
    c->len = 0;
    c->sent = 0;

    if (c->fd == -1 && open_connection(c) == -1) {
        broken(c, "connect");
        return;
    }

    send_some(c);
}


static int
open_connection(connection_t *c)
{
    int                 on = 1;
    struct epoll_event  ee;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd == -1) {
        err(1, "socket");
    }

    if (connect(c->fd, (struct sockaddr *) &gateway, sizeof(gateway)) == -1) {
        return -1;
    }

    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    ee.events = EPOLLIN;
    ee.data.ptr = c;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ee) == -1) {
        err(1, "epoll_ctl");
    }

    c->uses = 0;
    c->max_uses = 1 + random() % MAX_USES;

    return 0;
}


static void
close_connection(connection_t *c)
{
    if (c->fd != -1) {
        close(c->fd);
        c->fd = -1;
    }

    c->wake = 0;
}


static void
send_some(connection_t *c)
{
    size_t   size;
    ssize_t  n;

    c->wake = 0;

    size = c->request->len - c->sent;

    if (c->kind->manner == SLOW && size > c->request->len / PIECES) {
        size = c->request->len / PIECES;
    }

    n = send(c->fd, c->request->data + c->sent, size, MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        n = 0;
    }

    if (n == -1) {
        broken(c, "send");
        return;
    }

    c->sent += n;

    if (c->sent < c->request->len) {
        c->wake = now() + PIECE_PAUSE;

    } else if (c->kind->manner == LEAVE) {
        c->wake = now() + LEAVE_AFTER;
    }
}


static void
read_answer(connection_t *c)
{
    ssize_t  n;

    n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - 1 - c->len,
             MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        broken(c, n == 0 ? "end" : "reset");
        return;
    }

    c->len += n;
    c->buf[c->len] = '\0';

    if (!complete(c)) {
        return;
    }

    check_answer(c);
    c->uses++;

    if (c->uses >= c->max_uses || c->sent < c->request->len
        || strcasestr(c->buf, "\r\nConnection: close\r\n"))
    {
        close_connection(c);
    }

    c->wake = 0;
    next_request(c);
}


static int
complete(connection_t *c)
{
    char  *end, *p;

    end = strstr(c->buf, "\r\n\r\n");

    if (end == NULL) {
        return 0;
    }

    p = strcasestr(c->buf, "\r\nContent-Length:");

    return c->len >= end + 4 - c->buf
                     + (p && p < end ? strtoul(p + 17, NULL, 10) : 0);
}


static void
check_answer(connection_t *c)
{
    int   i, status;
    char  name[64], code[48], *p;

    status = 0;
    code[0] = '\0';

    (void) sscanf(c->buf, "HTTP/1.1 %3d", &status);

    p = strstr(c->buf, "<Code>");

    if (p) {
        (void) sscanf(p + 6, "%47[A-Za-z]", code);
    }

    snprintf(name, sizeof(name), "%d%s%s", status, code[0] ? ":" : "", code);

    i = find_answer(name);

    c->kind->answers[i]++;

    if ((c->allowed & (uint64_t) 1 << i) == 0 && c->kind->wrong++ < 10) {
        printf("wrong %s %s\n", c->kind->name, name);
    }
}


static void
broken(connection_t *c, const char *why)
{
    int      kept;
    kind_t  *k;

    k = c->kind;
    kept = c->uses > 0 && c->len == 0 && now() - c->began < STALE_WITHIN;

    close_connection(c);

    if (k->manner == LEAVE) {
        k->left++;

    } else if (kept && !c->again) {
        k->stale++;
        c->again = 1;
        c->uses = 0;
        c->began = now();
        begin(c);
        return;

    } else {
        k->lost++;
        printf("lost %.3f %s %s\n", now(), k->name, why);
    }

    /* the next one in a moment: there may be nobody to connect to */

    idle(c);
}


static void
timers(void)
{
    double         t;
    connection_t  *c;

    t = now();

    for (c = connections; c < connections + nconnections; c++) {

        if (c->kind == NULL) {

            if (!paused) {
                next_request(c);
            }

            continue;
        }

        if (t - c->began > TIMEOUT) {
            c->again = 1;
            broken(c, "timeout");

        } else if (c->wake && c->wake < t) {

            if (c->sent < c->request->len) {
                send_some(c);

            } else {
                broken(c, "left");
            }
        }
    }
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}
