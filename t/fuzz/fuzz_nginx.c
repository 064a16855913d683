
/*
 * The real module in a real nginx: what a client sends and what a storage
 * answers, against the wire invariant (wire.h).
 *
 * Input: options, a line feed, a client's bytes, and answers of the storage,
 * each behind a line "---" and with a line of options of its own:
 *
 *     0d
 *     DELETE /media/uploads/acme/a?uploadId=... HTTP/1.1
 *     ...
 *     ---
 *     c
 *     HTTP/1.1 204 No Content
 *     ...
 *
 * Of a client: a digit, the server; "d" logs at debug level, "s" sends piece
 * by piece, "h" shuts down its side when all is sent, "x" goes away then.  Of
 * an answer: "s" sends piece by piece, "c" closes then, "g" does not wait for
 * the request, "n" closes without a word.  The last answer is repeated; where
 * there is none, it is 204.  "Signature=@" becomes the signature that a
 * client with a key of the keys file makes.
 *
 * All is one thread: nginx does one turn of its event loop, then the storage
 * and the client do theirs.  Sockets are Unix-domain ones, where what is
 * written is there to be read, and time is ours: when nobody has anything to
 * do, it is the time of nginx's next timer.
 */


#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sanitizer/lsan_interface.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "wire.h"


#define START        1489809401       /* 20170318T035641Z */
#define INPUT_MAX    16384
#define OUTPUT_MAX   (512 * 1024)
#define LOG_MAX      (4 * 1024 * 1024)
#define ANSWERS_MAX  8
#define PEERS_MAX    64
#define ABORTS_MAX   128
#define PIECES       24
#define TURNS_MAX    20000

#define NSERVERS     (sizeof(servers) / sizeof(servers[0]))
#define NSTORAGES    (sizeof(storages) / sizeof(storages[0]))


typedef struct {
    s3_str_t           bytes;
    int                split;
    int                close;
    int                greet;
    int                silent;
} answer_t;


/* a connection that a storage has accepted */

typedef struct {
    int                fd;
    const storage_t   *storage;
    u_char             request[4 * INPUT_MAX];
    size_t             len;
    const answer_t    *answer;
    size_t             sent;
} peer_t;


int ngx_main(int argc, char *const *argv);
void fuzz_single_process_cycle(ngx_cycle_t *cycle);
int fuzz_epoll_wait(int ep, struct epoll_event *events, int n, int timeout);
int fuzz_gettimeofday(struct timeval *tv, void *tz);
int fuzz_clock_gettime(clockid_t id, struct timespec *ts);

static void write_file(const char *name, const char *text);
static void expand_conf(void);
static int listen_at(const char *name);
static void set_log(ngx_uint_t level);
static void log_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len);
static int remove_one(const char *path, const struct stat *info, int type,
    struct FTW *ftw);
static void remove_all(void);

static int read_input(s3_str_t input);
static void run(void);
static void connect_client(void);
static int client_turn(void);
static int storage_turn(void);
static void accept_peers(size_t n);
static int peer_turn(peer_t *p);
static void read_peer(peer_t *p);
static void close_peer(peer_t *p);
static const answer_t *next_answer(void);
static int next_timer(void);
static size_t drop_lines(u_char *text, size_t len, const char *start);
static void check(void);


static char             dir[256];
static int              listening[NSTORAGES];

/* milliseconds: of nginx's monotonic clock; and where an input began */

static int64_t          msec = 1000;
static int64_t          began_at = 1000;

static int              nevents;
static ngx_uint_t       nfree;                /* connections, at rest */

static char             logged[LOG_MAX];
static size_t           nlogged;

/* of one input */

static const server_t  *server;
static u_char           client_bytes[INPUT_MAX];
static s3_str_t         client;               /* what it sends, signed */
static size_t           client_sent;
static int              client_fd;
static int              client_split, client_shuts, client_leaves;
static int              client_debugs;
static u_char           output[OUTPUT_MAX];   /* what it gets */
static size_t           noutput;

static asked_t          asked[ASKED_MAX];
static size_t           nasked;

static answer_t         answers[ANSWERS_MAX];
static size_t           nanswers, answered;
static unsigned         granted, decoys;

static peer_t           peers[PEERS_MAX];
static char             signatures[ABORTS_MAX][65];
static size_t           nsignatures;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int          rc;
    char         conf[512];
    size_t       i;
    const char  *tmp;

    tmp = getenv("TMPDIR");

    snprintf(dir, sizeof(dir), "%s/fuzz_nginx.XXXXXX", tmp ? tmp : "/tmp");
    fuzz_assert(mkdtemp(dir) != NULL);
    atexit(remove_all);

    expand_conf();
    write_file("credentials", credentials_text);

    for (i = 0; i < sizeof(tenants) / sizeof(tenants[0]); i++) {
        snprintf(conf, sizeof(conf), "%s %s %s\n", tenants[i].name,
                 tenants[i].access_key, tenants[i].secret);
        write_file("keys", conf);
    }

    for (i = 0; i < NSTORAGES; i++) {
        snprintf(conf, sizeof(conf), "storage.%s", storages[i].name);
        listening[i] = listen_at(conf);
    }

    snprintf(conf, sizeof(conf), "%s/nginx.conf", dir);

    const char  *args[] = { "nginx", "-p", dir, "-c", conf, "-e", "stderr",
                            NULL };

    /* what nginx allocates at start, it never frees */

    __lsan_disable();
    rc = ngx_main(7, (char *const *) args);
    __lsan_enable();

    fuzz_assert(rc == 0 && nfree != 0);

    /* libFuzzer wants its own */

    for (i = 1; i < 32; i++) {
        if (i != SIGSEGV && i != SIGKILL && i != SIGSTOP) {
            (void) signal((int) i, SIG_DFL);
        }
    }

    (void) signal(SIGPIPE, SIG_IGN);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s3_str_t  input;

    input.data = (u_char *) data;
    input.len = size;

    if (!read_input(input)) {
        return -1;
    }

    began_at = msec;
    nlogged = 0;
    ngx_time_update();

    run();
    check();

    forget_all(asked, nasked);

    return 0;
}


/* nginx's symbols of these names, see the Makefile */

void
fuzz_single_process_cycle(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    for (i = 0; cycle->modules[i]; i++) {
        if (cycle->modules[i]->init_process) {
            fuzz_assert(cycle->modules[i]->init_process(cycle) == NGX_OK);
        }
    }

    nfree = cycle->free_connection_n;
}


int
fuzz_epoll_wait(int ep, struct epoll_event *events, int n, int timeout)
{
    nevents = epoll_wait(ep, events, n, 0);

    if (nevents == 0 && timeout == -1) {

        /* nginx does not expect to wake up for nothing */

        errno = EINTR;
        return -1;
    }

    return nevents;
}


int
fuzz_gettimeofday(struct timeval *tv, void *tz)
{
    tv->tv_sec = START + (msec - began_at) / 1000;
    tv->tv_usec = (msec - began_at) % 1000 * 1000;

    return 0;
}


int
fuzz_clock_gettime(clockid_t id, struct timespec *ts)
{
    ts->tv_sec = msec / 1000;
    ts->tv_nsec = msec % 1000 * 1000000;

    return 0;
}


static void
write_file(const char *name, const char *text)
{
    int     fd;
    char    path[512];
    size_t  len;

    snprintf(path, sizeof(path), "%s/%s", dir, name);

    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    len = strlen(text);
    fuzz_assert(fd != -1 && write(fd, text, len) == (ssize_t) len);
    close(fd);
}


static void
expand_conf(void)
{
    int    c;
    char   text[2];
    FILE  *conf;

    conf = fopen(FUZZ_CONF, "r");
    fuzz_assert(conf != NULL);

    text[1] = '\0';

    while ((c = getc(conf)) != EOF) {
        text[0] = (char) c;
        write_file("nginx.conf", c == '%' ? dir : text);
    }

    fclose(conf);
}


static struct sockaddr_un
address(const char *name)
{
    struct sockaddr_un  sun;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    fuzz_assert((size_t) snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s",
                                  dir, name)
                < sizeof(sun.sun_path));

    return sun;
}


static int
listen_at(const char *name)
{
    int                 fd;
    struct sockaddr_un  sun;

    sun = address(name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    fuzz_assert(fd != -1);
    fuzz_assert(bind(fd, (struct sockaddr *) &sun, sizeof(sun)) == 0);
    fuzz_assert(listen(fd, PEERS_MAX) == 0);

    return fd;
}


static void
set_log(ngx_uint_t level)
{
    ngx_uint_t        i;
    ngx_listening_t  *ls;

    ngx_cycle->log->writer = log_writer;
    ngx_cycle->log->log_level = level;

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        ls[i].log.writer = log_writer;
        ls[i].log.log_level = level;
    }
}


static void
log_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    s3_str_t  line;

    line.data = buf;
    line.len = len;

    /* an alert is a bug, but for this one */

    if (level <= NGX_LOG_ALERT
        && !fuzz_has(line, "the storage refuses the credentials of"))
    {
        fprintf(stderr, "alert: %.*s\n", (int) len, buf);
        abort();
    }

    fuzz_assert(nlogged + len < LOG_MAX);
    memcpy(logged + nlogged, buf, len);
    nlogged += len;
}


static int
remove_one(const char *path, const struct stat *info, int type,
    struct FTW *ftw)
{
    return remove(path);
}


static void
remove_all(void)
{
    (void) nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}


/* cuts what is before a line "---" off the front */

static s3_str_t
cut_section(s3_str_t *input)
{
    u_char    *p;
    s3_str_t   section;

    section = *input;
    p = input->len ? memmem(input->data, input->len, "\n---\n", 5) : NULL;

    if (p == NULL) {
        input->len = 0;
        return section;
    }

    section.len = (size_t) (p - section.data);
    input->data = p + 5;
    input->len -= section.len + 5;

    return section;
}


static int
read_input(s3_str_t input)
{
    s3_str_t   section, options;
    answer_t  *a;

    section = cut_section(&input);
    options = fuzz_cut(&section, '\n');

    if (options.len == 0 || options.data[0] < '0'
        || options.data[0] >= '0' + (int) NSERVERS
        || section.len > INPUT_MAX / 2)
    {
        return 0;
    }

    /* a client that knows a secret is none of ours */

    if (has_secret(section)) {
        return 0;
    }

    server = &servers[options.data[0] - '0'];

    client_split = memchr(options.data, 's', options.len) != NULL;
    client_shuts = memchr(options.data, 'h', options.len) != NULL;
    client_leaves = memchr(options.data, 'x', options.len) != NULL;

    client_debugs = memchr(options.data, 'd', options.len) != NULL;

    set_log(client_debugs ? NGX_LOG_DEBUG_ALL : NGX_LOG_INFO);

    client.data = client_bytes;
    client.len = section.len;
    (void) s3_put(client.data, section);

    nasked = 0;

    switch (server->identity) {

    case SIGNED:
        sign_all(&client, INPUT_MAX, asked, &nasked, START);
        break;

    case TRUSTED:
        trust_all(client, asked, &nasked);
        break;

    default:
        break;
    }

    nanswers = 0;

    while (input.len && nanswers < ANSWERS_MAX) {
        section = cut_section(&input);
        options = fuzz_cut(&section, '\n');

        a = &answers[nanswers++];

        a->bytes = section;
        a->split = fuzz_has(options, "s");
        a->close = fuzz_has(options, "c");
        a->greet = fuzz_has(options, "g");
        a->silent = fuzz_has(options, "n");
    }

    if (nanswers == 0) {
        memset(&answers[0], 0, sizeof(answer_t));
        answers[nanswers++].bytes =
                                fuzz_str("HTTP/1.1 204 No Content\r\n\r\n");
    }

    return 1;
}


static void
run(void)
{
    int     acted;
    size_t  i, turns;

    client_sent = 0;
    noutput = 0;
    answered = 0;
    granted = 0;
    decoys = 0;
    nsignatures = 0;

    for (i = 0; i < PEERS_MAX; i++) {
        peers[i].fd = -1;
    }

    connect_client();

    for (turns = 0; turns < TURNS_MAX; turns++) {

        nevents = 0;
        ngx_process_events_and_timers((ngx_cycle_t *) ngx_cycle);

        acted = nevents > 0 || !ngx_queue_empty(&ngx_posted_next_events);
        acted |= client_turn();
        acted |= storage_turn();

        if (!acted && !next_timer()) {
            break;
        }
    }

    /* whatever came, it came to an end */

    fuzz_assert(turns < TURNS_MAX && client_fd == -1);

    for (i = 0; i < PEERS_MAX; i++) {
        if (peers[i].fd != -1) {
            close_peer(&peers[i]);
        }
    }

    do {
        nevents = 0;
        ngx_process_events_and_timers((ngx_cycle_t *) ngx_cycle);
    } while (nevents > 0);
}


static void
connect_client(void)
{
    char                name[16];
    struct sockaddr_un  sun;

    snprintf(name, sizeof(name), "server.%d", (int) (server - servers));
    sun = address(name);

    client_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       0);
    fuzz_assert(client_fd != -1);
    fuzz_assert(connect(client_fd, (struct sockaddr *) &sun, sizeof(sun))
                == 0);
}


static int
client_turn(void)
{
    int      acted;
    size_t   size;
    ssize_t  n;

    if (client_fd == -1) {
        return 0;
    }

    acted = 0;
    size = client.len - client_sent;

    if (size) {
        if (client_split && size > client.len / PIECES + 1) {
            size = client.len / PIECES + 1;
        }

        n = send(client_fd, client.data + client_sent, size, MSG_NOSIGNAL);
        client_sent = n > 0 ? client_sent + (size_t) n : client.len;
        acted = 1;

        if (client_sent == client.len && client_shuts) {
            (void) shutdown(client_fd, SHUT_WR);
        }

    } else if (client_leaves) {
        close(client_fd);
        client_fd = -1;

        return 1;
    }

    n = recv(client_fd, output + noutput, OUTPUT_MAX - noutput, 0);

    if (n > 0) {
        noutput += (size_t) n;
        fuzz_assert(noutput < OUTPUT_MAX);

        return 1;
    }

    if (n == 0 || errno != EAGAIN) {
        close(client_fd);
        client_fd = -1;

        return 1;
    }

    return acted;
}


static int
storage_turn(void)
{
    int     acted;
    size_t  i;

    for (i = 0; i < NSTORAGES; i++) {
        accept_peers(i);
    }

    acted = 0;

    for (i = 0; i < PEERS_MAX; i++) {
        if (peers[i].fd != -1) {
            acted |= peer_turn(&peers[i]);
        }
    }

    return acted;
}


static void
accept_peers(size_t n)
{
    int      fd;
    size_t   i;
    peer_t  *p;

    for ( ;; ) {
        fd = accept4(listening[n], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd == -1) {
            fuzz_assert(errno == EAGAIN);
            return;
        }

        for (i = 0; i < PEERS_MAX && peers[i].fd != -1; i++) { /* void */ }

        fuzz_assert(i < PEERS_MAX);

        p = &peers[i];
        p->fd = fd;
        p->storage = &storages[n];
        p->len = 0;
        p->answer = NULL;

        if (p->storage->host
            && (answers[answered].greet || answers[answered].silent))
        {
            p->answer = next_answer();
            p->sent = 0;
        }
    }
}


/* what is read may be the end of the connection */

static int
peer_turn(peer_t *p)
{
    size_t           size;
    ssize_t          n;
    const answer_t  *a;

    n = recv(p->fd, p->request + p->len, sizeof(p->request) - p->len, 0);

    if (n == 0 || (n == -1 && errno != EAGAIN)) {

        /* half a request is none of ours, either */

        fuzz_assert(p->len == 0 || p->storage->host == NULL);

        close_peer(p);
        return 1;
    }

    if (n > 0) {
        p->len += (size_t) n;
        read_peer(p);
        return 1;
    }

    a = p->answer;

    if (a == NULL) {
        return 0;
    }

    size = a->bytes.len - p->sent;

    if (a->split && size > a->bytes.len / PIECES + 1) {
        size = a->bytes.len / PIECES + 1;
    }

    if (size && !a->silent) {
        n = send(p->fd, a->bytes.data + p->sent, size, MSG_NOSIGNAL);
        p->sent = n > 0 ? p->sent + (size_t) n : a->bytes.len;
    }

    if (p->sent == a->bytes.len || a->silent) {
        p->answer = NULL;

        if (a->close || a->silent) {
            close_peer(p);
        }
    }

    return 1;
}


static void
read_peer(peer_t *p)
{
    abort_t          a;
    s3_str_t         bytes;

    static const answer_t  decoy = {
        s3_string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndecoy"),
        0, 0, 0, 0
    };

    bytes.data = p->request;
    bytes.len = p->len;

    if (!fuzz_has(bytes, "\r\n\r\n")) {
        return;
    }

    p->sent = 0;

    if (p->storage->host == NULL) {
        check_decoy(bytes);

        /* what follows is a body */

        if (p->answer == NULL) {
            p->answer = &decoy;
            decoys++;
        }

        return;
    }

    check_request(&a, p->storage, bytes, START + (msec - began_at) / 1000);
    check_asked(&a, server, client, asked, nasked,
                START + (msec - began_at) / 1000);

    check_endpoint(p->storage, server, client);

    if (server->identity != BINARY) {
        check_carried(bytes, client);
    }

    fuzz_assert(nsignatures < ABORTS_MAX);
    memcpy(signatures[nsignatures++], a.signature, sizeof(a.signature));

    free(a.bucket.data);
    free(a.key.data);
    free(a.upload_id.data);

    p->len = 0;
    p->answer = next_answer();
}


static void
close_peer(peer_t *p)
{
    close(p->fd);
    p->fd = -1;
}


static const answer_t *
next_answer(void)
{
    const answer_t  *a;

    a = &answers[answered];

    /* what makes a 204: nothing is left to abort, perhaps, after an attempt */

    granted += fuzz_has(a->bytes, " 204")
               || (nsignatures > 1 && fuzz_has(a->bytes, " 404"));

    if (answered + 1 < nanswers) {
        answered++;
    }

    return a;
}


static int
next_timer(void)
{
    ngx_msec_t  timer;

    timer = ngx_event_find_timer();

    if (timer == NGX_TIMER_INFINITE) {
        return 0;
    }

    msec += timer ? (int64_t) timer : 1;

    return 1;
}


static size_t
drop_lines(u_char *text, size_t len, const char *start)
{
    size_t    kept;
    s3_str_t  rest, line;

    kept = 0;
    rest.data = text;
    rest.len = len;

    while (rest.len) {
        line.data = rest.data;
        (void) fuzz_cut(&rest, '\n');
        line.len = (size_t) (rest.data - line.data);

        if (line.len < strlen(start)
            || memcmp(line.data, start, strlen(start)) != 0)
        {
            memmove(text + kept, line.data, line.len);
            kept += line.len;
        }
    }

    return kept;
}


static void
check(void)
{
    int       known;
    char      hex[128];
    size_t    i;
    s3_str_t  text, log;

    if (getenv("FUZZ_SHOW")) {
        fprintf(stderr, "%.*s\n%.*s\n%.*s\n", (int) client.len, client.data,
                (int) nlogged, logged, (int) noutput, output);
    }

    /* the configuration shows what the storage says there */

    text.data = output;
    text.len = drop_lines(output, noutput, "X-8: ");
    log.data = (u_char *) logged;
    log.len = nlogged;

    fuzz_assert(!has_secret(text));
    fuzz_assert(!has_secret(log));
    known = client_signature(hex, client);

    for (i = 0; i < nanswers; i++) {
        known = known && !fuzz_has(answers[i].bytes, hex);
    }

    if (known) {
        check_signature(text, hex);

        if (!client_debugs) {
            check_signature(log, hex);
        }
    }

    for (i = 0; i < nsignatures; i++) {

        /* libFuzzer shows a client what was compared */

        if (!fuzz_has(client, signatures[i])) {
            fuzz_assert(!fuzz_has(text, signatures[i]));
            fuzz_assert(!fuzz_has(log, signatures[i]));
        }
    }

    if (!client_leaves) {
        check_answers(text, server, client, granted, decoys);
    }

    /* nothing is left */

    fuzz_assert(ngx_cycle->free_connection_n == nfree);
    fuzz_assert(ngx_event_find_timer() == NGX_TIMER_INFINITE);
}
