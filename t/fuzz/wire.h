
/*
 * What the nginx target may see, of what t/fuzz/nginx.conf configures: the
 * requests at the storage, the answers at the client, the lines of the log.
 * Nothing here is taken from the module.
 */


#ifndef _FUZZ_WIRE_H_INCLUDED_
#define _FUZZ_WIRE_H_INCLUDED_


#include <time.h>

#include "http.h"


/* secrets: no client and no log ever sees one */

static const char  *canaries[] = {
    "canary/path/0123456789", "canary/virtual/012345678",
    "canary/token/0123456789abcdef", "canary/acme/0123456789",
    "canary/globex/012345678", "canary/ops/0123456789abc"
};

/* what a storage says of itself: no client ever sees it */

static const char  internals[] = "storage-internals";


typedef struct {
    const char   *name;
    const char   *host;               /* NULL: of no endpoint */
    const char   *region;
    const char   *access_key;
    const char   *secret;
    const char   *token;
    int           virtual;            /* the bucket is in the host */
} storage_t;

static const storage_t  storages[] = {
    { "path", "storage.example.com", "kr-standard", "AKIDPATH",
      "canary/path/0123456789", NULL, 0 },
    { "virtual", "kr.example.com:9000", "kr", "AKIDVIRTUAL",
      "canary/virtual/012345678", "canary/token/0123456789abcdef", 1 },
    { "backup", "kr.example.com:9000", "kr", "AKIDVIRTUAL",
      "canary/virtual/012345678", "canary/token/0123456789abcdef", 1 },
    { "decoy", NULL, NULL, NULL, NULL, NULL, 0 }
};

static const char  credentials_text[] =
    "[path]\n"
    "aws_access_key_id = AKIDPATH\n"
    "aws_secret_access_key = canary/path/0123456789\n"
    "[virtual]\n"
    "aws_access_key_id = AKIDVIRTUAL\n"
    "aws_secret_access_key = canary/virtual/012345678\n"
    "aws_session_token = canary/token/0123456789abcdef\n";


typedef struct {
    const char   *name;
    const char   *access_key;
    const char   *secret;
} tenant_t;

static const tenant_t  tenants[] = {
    { "acme", "AKACME", "canary/acme/0123456789" },
    { "globex", "AKGLOBEX", "canary/globex/012345678" },
    { "ops", "AKOPS", "canary/ops/0123456789abc" }
};


typedef struct {
    enum { NOBODY, SIGNED, TRUSTED, BINARY } identity;
    int           open;               /* the policy is "open" */
    int           target;             /* has an s3_abort_target */
    const char   *base_path;
    const char   *endpoint;           /* NULL: the client says which */
} server_t;

static const server_t  servers[] = {
    { SIGNED, 0, 0, "", "path" },
    { TRUSTED, 0, 1, "", "virtual" },
    { TRUSTED, 1, 0, "", "path" },
    { BINARY, 0, 0, "", "virtual" },  /* HTTP/2: nothing is read here */
    { NOBODY, 0, 0, "", "" },         /* the operators' pages */
    { NOBODY, 1, 0, "", "" },
    { SIGNED, 0, 0, "/gw", NULL }
};

#define REGION     "kr-standard"      /* which tenants sign for */
#define SKEW       900


/* what the client asks for */

#define ASKED_MAX  4096

typedef struct {
    s3_str_t      tenant;
    s3_str_t      path;               /* decoded */
    s3_str_t      upload_id;          /* decoded */
} asked_t;

typedef struct {
    s3_str_t      bucket;
    s3_str_t      key;
    s3_str_t      upload_id;
    char          signature[65];
} abort_t;


static void sign_all(s3_str_t *client, size_t room, asked_t *asked,
    size_t *nasked, time_t now);
static void trust_all(s3_str_t client, asked_t *asked, size_t *nasked);
static void forget_all(asked_t *asked, size_t nasked);
static void check_request(abort_t *a, const storage_t *storage,
    s3_str_t bytes, time_t now);
static void check_asked(const abort_t *a, const server_t *server,
    s3_str_t client, const asked_t *asked, size_t nasked, time_t now);
static void check_endpoint(const storage_t *storage, const server_t *server,
    s3_str_t client);
static void check_carried(s3_str_t bytes, s3_str_t client);
static void check_decoy(s3_str_t bytes);
static void check_answers(s3_str_t output, const server_t *server,
    s3_str_t client, unsigned granted, unsigned decoys);
static int has_secret(s3_str_t text);
static int client_signature(char hex[128], s3_str_t client);
static void check_signature(s3_str_t text, const char *hex);


/* "a" and "b" in a row, in any case */

static int
has_case(s3_str_t text, s3_str_t a, const char *b)
{
    size_t    i, len;
    s3_str_t  s, t;

    len = a.len + strlen(b);

    for (i = 0; i + len <= text.len; i++) {
        s.data = text.data + i;
        s.len = a.len;
        t.data = s.data + a.len;
        t.len = len - a.len;

        if (fuzz_caseeq(s, a) && fuzz_caseeq(t, fuzz_str(b))) {
            return 1;
        }
    }

    return 0;
}


static s3_str_t
decoded(s3_str_t s)
{
    long      n;
    s3_str_t  d;

    d.data = malloc(s.len + 1);
    fuzz_assert(d.data);

    n = fuzz_decode(d.data, s);

    d.len = n < 0 ? 0 : (size_t) n;

    if (n < 0) {
        free(d.data);
        d.data = NULL;
    }

    return d;
}


/* the parts of a target; nothing is asked if there are not exactly these */

static void
ask(s3_str_t target, s3_str_t tenant, asked_t *asked, size_t *nasked)
{
    asked_t   *a;
    s3_str_t   path, id;

    if (*nasked == ASKED_MAX) {
        return;
    }

    path = fuzz_cut(&target, '?');
    id = fuzz_parameter(target, "uploadId");

    if (fuzz_count_upload_ids(target) != 1 || id.data == NULL) {
        return;
    }

    a = &asked[*nasked];

    a->path = decoded(path);
    a->upload_id = decoded(id);

    if (a->path.data == NULL || a->upload_id.data == NULL) {
        free(a->path.data);
        free(a->upload_id.data);
        return;
    }

    a->tenant.len = tenant.len;
    a->tenant.data = malloc(tenant.len + 1);
    fuzz_assert(a->tenant.data);
    (void) s3_put(a->tenant.data, tenant);

    (*nasked)++;
}


static void
forget_all(asked_t *asked, size_t nasked)
{
    while (nasked--) {
        free(asked[nasked].tenant.data);
        free(asked[nasked].path.data);
        free(asked[nasked].upload_id.data);
    }
}


/* Unix seconds of YYYYMMDDTHHMMSSZ, or -1 */

static time_t
time_of(s3_str_t s)
{
    char       text[17];
    struct tm  tm;

    if (s.len != 16) {
        return -1;
    }

    memcpy(text, s.data, 16);
    text[16] = '\0';
    memset(&tm, 0, sizeof(tm));

    if (sscanf(text, "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon,
               &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec)
        != 6)
    {
        return -1;
    }

    tm.tm_year -= 1900;
    tm.tm_mon--;

    return timegm(&tm);
}


static size_t
count_headers(const fuzz_request_t *r, s3_str_t name)
{
    size_t  i, n;

    for (i = 0, n = 0; i < r->nheaders; i++) {
        n += fuzz_caseeq(r->headers[i].name, name);
    }

    return n;
}


/* nginx takes no notice of a strange name */

static int
is_amz_header(s3_str_t name)
{
    size_t  i;

    for (i = 0; i < name.len; i++) {
        if (!isalnum(name.data[i]) && name.data[i] != '-') {
            return 0;
        }
    }

    return name.len >= 6
           && strncasecmp((char *) name.data, "x-amz-", 6) == 0;
}


/* besides the signature: what a request that is signed has to be like */

static int
is_acceptable(const fuzz_request_t *r, const fuzz_authorization_t *a,
    int presigned, time_t now)
{
    int        host;
    char       scope[64];
    long       expires;
    size_t     i;
    time_t     at;
    s3_str_t   rest, name, param;

    /* in one place */

    if (count_headers(r, fuzz_str("authorization")) != (presigned ? 0 : 1)) {
        return 0;
    }

    for (rest = r->query; !presigned && rest.len; /* void */ ) {
        param = fuzz_cut(&rest, '&');

        if (param.len >= 6 && memcmp(param.data, "X-Amz-", 6) == 0) {
            return 0;
        }
    }

    /* for here and now; what an input takes is minutes at most */

    rest = a->credential;
    (void) fuzz_cut(&rest, '/');

    snprintf(scope, sizeof(scope), "%.*s/" REGION "/s3/aws4_request",
             a->time.len < 8 ? 0 : 8, a->time.data);

    at = time_of(a->time);

    if (!s3_str_eq(rest, fuzz_str(scope)) || at > now + SKEW + 300) {
        return 0;
    }

    param = fuzz_parameter(r->query, "X-Amz-Expires");
    expires = presigned && param.len
              ? strtol((char *) param.data, NULL, 10) : SKEW;

    if (at + expires < now || expires < 1 || expires > 604800) {
        return 0;
    }

    /* Host and all of x-amz-*, each once */

    host = 0;

    for (rest = a->signed_headers; rest.len; /* void */ ) {
        name = fuzz_cut(&rest, ';');
        host |= s3_str_eq(name, fuzz_str("host"));

        if (count_headers(r, name) != 1) {
            return 0;
        }
    }

    for (i = 0; i < r->nheaders; i++) {

        if (!is_amz_header(r->headers[i].name)) {
            continue;
        }

        for (rest = a->signed_headers; rest.len; /* void */ ) {
            if (fuzz_caseeq(fuzz_cut(&rest, ';'), r->headers[i].name)) {
                break;
            }

            if (rest.len == 0) {
                return 0;
            }
        }
    }

    return host;
}


/* as a tenant's client does; "at" is where the signature is to stand */

static int
sign(char hex[65], s3_str_t client, const u_char *at, asked_t *asked,
    size_t *nasked, time_t now)
{
    int                    presigned, rc;
    long                   n;
    size_t                 i;
    u_char                *p, *buf;
    s3_str_t               head, canonical, key, scope, secret, param[3];
    fuzz_request_t         r;
    fuzz_authorization_t   a;

    static const char  *names[] = {
        "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Date"
    };

    head = client;

    for (p = client.data; p < at; p++) {
        if (at - p >= 4 && memcmp(p, "\r\n\r\n", 4) == 0) {
            head.data = p + 4;
        }
    }

    head.len = (size_t) (client.data + client.len - head.data);

    if (!fuzz_read_request(&r, head)) {
        return 0;
    }

    presigned = at < r.target.data + r.target.len;
    memset(param, 0, sizeof(param));

    if (presigned) {
        for (i = 0; i < 3; i++) {
            param[i] = decoded(fuzz_parameter(r.query, names[i]));
        }

        a.credential = param[0];
        a.signed_headers = param[1];
        a.time = param[2];
        a.payload_hash = fuzz_parameter(r.query, "X-Amz-Content-Sha256");

        if (a.payload_hash.data == NULL) {
            a.payload_hash = fuzz_str("UNSIGNED-PAYLOAD");
        }

        rc = param[0].data && param[1].data && param[2].data;

    } else {
        rc = fuzz_read_authorization(&a, &r);
    }

    n = -1;
    buf = malloc(3 * client.len + 2048);
    fuzz_assert(buf);

    if (rc) {
        n = fuzz_canonical_request(buf, &r, a.signed_headers,
                                   a.payload_hash);
    }

    scope = a.credential;
    key = fuzz_cut(&scope, '/');
    rc = 0;

    for (i = 0; n != -1 && i < sizeof(tenants) / sizeof(tenants[0]); i++) {

        if (s3_str_eq(key, fuzz_str(tenants[i].access_key))) {
            secret = fuzz_str(tenants[i].secret);
            canonical.data = buf;
            canonical.len = (size_t) n;

            fuzz_signature(hex, canonical, a.time, scope, secret);
            rc = 1;

            if (is_acceptable(&r, &a, presigned, now)) {
                ask(r.target, fuzz_str(tenants[i].name), asked, nasked);
            }
        }
    }

    free(buf);
    free(param[0].data);
    free(param[1].data);
    free(param[2].data);

    return rc;
}


/* "room" is that of client->data */

static void
sign_all(s3_str_t *client, size_t room, asked_t *asked, size_t *nasked,
    time_t now)
{
    char    hex[65];
    size_t  i;

    static const char  mark[] = "Signature=@";

    for (i = 0; i + sizeof(mark) - 1 <= client->len; i++) {

        if (memcmp(client->data + i, mark, sizeof(mark) - 1) != 0
            || client->len + 63 > room
            || !sign(hex, *client, client->data + i, asked, nasked, now))
        {
            continue;
        }

        i += sizeof(mark) - 2;

        memmove(client->data + i + 64, client->data + i + 1,
                client->len - i - 1);
        memcpy(client->data + i, hex, 64);
        client->len += 63;
    }
}


/* every tenant that is named may have sent every target that is there */

static void
trust_all(s3_str_t client, asked_t *asked, size_t *nasked)
{
    s3_str_t  names, name, target, rest;

    static const char  header[] = "x-tenant:";

    for (names = client; names.len > sizeof(header); names.data++, names.len--)
    {
        if (strncasecmp((char *) names.data, header, sizeof(header) - 1) != 0)
        {
            continue;
        }

        name = names;
        name.data += sizeof(header) - 1;
        name.len -= sizeof(header) - 1;
        name = fuzz_cut(&name, '\n');
        name = fuzz_trim(fuzz_cut(&name, '\r'));

        for (rest = client; rest.len > 7; rest.data++, rest.len--) {

            if (memcmp(rest.data, "DELETE ", 7) != 0) {
                continue;
            }

            target = rest;
            target.data += 6;
            target.len -= 6;

            while (target.len && *target.data == ' ') {
                target.data++;
                target.len--;
            }

            target = fuzz_cut(&target, '\n');
            target = fuzz_cut(&target, '\r');
            target = fuzz_cut(&target, ' ');

            /* the absolute form */

            if (target.len && *target.data != '/' && fuzz_has(target, "://"))
            {
                (void) fuzz_cut(&target, '/');
                (void) fuzz_cut(&target, '/');

                while (target.len && *target.data != '/') {
                    target.data++;
                    target.len--;
                }
            }

            ask(target, name, asked, nasked);
        }
    }
}


/*
 * The wire invariant.  What arrived is taken apart, and what it should have
 * been is put together again, byte by byte.
 */

static void
check_request(abort_t *a, const storage_t *storage, s3_str_t bytes,
    time_t now)
{
    char            *p, *expected, time_text[32], list[256], scope[64];
    long             n;
    size_t           i, room;
    u_char          *canonical;
    s3_str_t         s, path, key, id, date, value;
    struct tm        tm;
    fuzz_request_t   r;

    static const char  *names[] = {
        "host", "x-amz-content-sha256", "x-amz-date",
        "x-amz-expected-bucket-owner", "x-amz-if-match-initiated-time",
        "x-amz-request-payer", "x-amz-security-token"
    };
    static const char  empty[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fuzz_assert(fuzz_read_request(&r, bytes));
    fuzz_assert(s3_str_eq(r.method, fuzz_str("DELETE")));

    /* bucket, key and id */

    path = r.path;
    (void) fuzz_cut(&path, '/');

    if (storage->virtual) {
        s = fuzz_header(&r, fuzz_str("host"));
        n = (long) s.len - (long) strlen(storage->host) - 1;
        fuzz_assert(n > 0 && s.data[n] == '.');
        s.len = (size_t) n;

    } else {
        s = fuzz_cut(&path, '/');
    }

    a->bucket = decoded(s);
    a->key = decoded(path);

    id = r.query;
    fuzz_assert(s3_str_eq(fuzz_cut(&id, '='), fuzz_str("uploadId")));
    a->upload_id = decoded(id);

    s = a->bucket;
    fuzz_assert(s.data && s.len >= 3 && s.len <= 63);

    for (i = 0; i < s.len; i++) {
        fuzz_assert((s.data[i] >= 'a' && s.data[i] <= 'z')
                    || (s.data[i] >= '0' && s.data[i] <= '9')
                    || (i && i + 1 < s.len
                        && (s.data[i] == '-' || s.data[i] == '.')));
    }

    s = a->key;
    fuzz_assert(s.data && s.len <= 1024 && !fuzz_is_slashes(s));
    fuzz_assert(fuzz_is_text(s) && !fuzz_has_dot_segment(s));

    s = a->upload_id;
    fuzz_assert(s.data && s.len >= 1 && s.len <= 1024);
    fuzz_assert(!fuzz_has_dot_segment(s));

    for (i = 0; i < s.len; i++) {
        fuzz_assert((s.data[i] >= 'a' && s.data[i] <= 'z')
                    || (s.data[i] >= 'A' && s.data[i] <= 'Z')
                    || (s.data[i] >= '0' && s.data[i] <= '9')
                    || (s.data[i] && strchr("._~+=-", s.data[i])));
    }

    /* signed now */

    date = fuzz_header(&r, fuzz_str("x-amz-date"));
    fuzz_assert(date.len == 16);

    for (i = 0; i < 60; i++) {
        now -= (i != 0);
        gmtime_r(&now, &tm);
        strftime(time_text, sizeof(time_text), "%Y%m%dT%H%M%SZ", &tm);

        if (memcmp(time_text, date.data, 16) == 0) {
            break;
        }
    }

    fuzz_assert(i < 60);

    snprintf(scope, sizeof(scope), "%.8s/%s/s3/aws4_request", time_text,
             storage->region);

    /* all of it, once more */

    room = 3 * bytes.len + 2048;
    expected = malloc(room);
    canonical = malloc(room);
    fuzz_assert(expected && canonical);

    fuzz_assert(fuzz_recode(&key, path, 1));
    fuzz_assert(fuzz_recode(&id, id, 0));

    p = expected;

#define add(...)  p += snprintf(p, room - (size_t) (p - expected), __VA_ARGS__)

    add("DELETE /");

    if (!storage->virtual) {
        add("%.*s/", (int) a->bucket.len, a->bucket.data);
    }

    add("%.*s?uploadId=%.*s HTTP/1.1\r\nHost: ", (int) key.len, key.data,
        (int) id.len, id.data);

    if (storage->virtual) {
        add("%.*s.", (int) a->bucket.len, a->bucket.data);
    }

    add("%s\r\nx-amz-content-sha256: %s\r\nx-amz-date: %s\r\n",
        storage->host, empty, time_text);

    strcpy(list, "host;x-amz-content-sha256;x-amz-date");

    for (i = 3; i < 7; i++) {
        value = fuzz_header(&r, fuzz_str(names[i]));

        if (value.data == NULL) {
            fuzz_assert(i < 6 || storage->token == NULL);
            continue;
        }

        fuzz_assert(i < 6
                    || (storage->token
                        && s3_str_eq(value, fuzz_str(storage->token))));

        add("%s: %.*s\r\n", names[i], (int) value.len, value.data);
        strcat(list, ";");
        strcat(list, names[i]);
    }

    n = fuzz_canonical_request(canonical, &r, fuzz_str(list),
                               fuzz_str(empty));
    fuzz_assert(n > 0);

    s.data = canonical;
    s.len = (size_t) n;

    fuzz_signature(a->signature, s, date, fuzz_str(scope),
                          fuzz_str(storage->secret));

    add("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, "
        "SignedHeaders=%s, Signature=%s\r\n"
        "User-Agent: ngx_http_s3_abort_module\r\n"
        "Connection: keep-alive\r\n"
        "Content-Length: 0\r\n\r\n",
        storage->access_key, scope, list, a->signature);

#undef add

    if ((size_t) (p - expected) != bytes.len
        || memcmp(expected, bytes.data, bytes.len) != 0)
    {
        fprintf(stderr, "sent:\n%.*s\nexpected:\n%s\n", (int) bytes.len,
                bytes.data, expected);
        abort();
    }

    free(key.data);
    free(id.data);
    free(canonical);
    free(expected);
}


static int
starts_with(s3_str_t s, const char *prefix, s3_str_t tenant)
{
    size_t  len;

    len = strlen(prefix);

    return s.len >= len + tenant.len + 1
           && memcmp(s.data, prefix, len) == 0
           && memcmp(s.data + len, tenant.data, tenant.len) == 0
           && s.data[len + tenant.len] == '/';
}


/* the policy "tenants" */

static int
may(s3_str_t tenant, const abort_t *a, time_t now)
{
    int      media;
    int64_t  msec;

    media = s3_str_eq(a->bucket, fuzz_str("media"));
    msec = fuzz_upload_msec(a->upload_id);

    if (media && (msec == -1 || msec > (now - 299) * 1000)) {
        return 0;
    }

    if (a->key.len >= 7
        && memcmp(a->key.data + a->key.len - 7, ".pinned", 7) == 0)
    {
        return 0;
    }

    return (media && starts_with(a->key, "uploads/", tenant))
           || (media && s3_str_eq(tenant, fuzz_str("ops")))
           || (s3_str_eq(a->bucket, fuzz_str("other"))
               && starts_with(a->key, "", tenant));
}


/* was it asked for, by somebody who may */

static void
check_asked(const abort_t *a, const server_t *server, s3_str_t client,
    const asked_t *asked, size_t nasked, time_t now)
{
    size_t    i, base;
    s3_str_t  path, key, tail, host;

    fuzz_assert(server->identity != NOBODY);

    /* nobody knows what is asked in HTTP/2, or by that many: by somebody */

    if (server->identity == BINARY) {
        key = a->key;
        path = fuzz_cut(&key, '/');
        tail = fuzz_cut(&key, '/');

        fuzz_assert(may(path, a, now) || may(tail, a, now)
                    || may(fuzz_str("ops"), a, now));
        return;
    }

    if (nasked == ASKED_MAX) {
        return;
    }

    base = strlen(server->base_path);

    for (i = 0; i < nasked; i++) {

        if (!s3_str_eq(asked[i].upload_id, a->upload_id)
            || !(server->open || may(asked[i].tenant, a, now)))
        {
            continue;
        }

        path = asked[i].path;

        if (path.len < base
            || memcmp(path.data, server->base_path, base) != 0)
        {
            continue;
        }

        path.data += base;
        path.len -= base;

        key = a->key;
        host = a->bucket;

        if (server->target) {
            if (!starts_with(key, "uploads/", asked[i].tenant)) {
                continue;
            }

            key.data += asked[i].tenant.len + 9;
            key.len -= asked[i].tenant.len + 9;
        }

        if (path.len < key.len + 1) {
            continue;
        }

        tail.len = key.len;
        tail.data = path.data + path.len - key.len;

        if (!s3_str_eq(tail, key) || tail.data[-1] != '/') {
            continue;
        }

        /* what is before the key: nothing, where the host is the bucket */

        if (tail.data - 1 == path.data
            && (server->target
                ? has_case(client, fuzz_str(""), ".s3.example.com")
                : has_case(client, host, ".s3.example.com")
                  || has_case(client, host, ".eu.s3.example.com")))
        {
            return;
        }

        path.data++;
        path.len = (size_t) (tail.data - 1 - path.data);

        if (server->target
            ? memchr(path.data, '/', path.len) == NULL && path.len
            : s3_str_eq(path, host))
        {
            return;
        }
    }

    fprintf(stderr, "nobody asked for it, or nobody may: %.*s %.*s %.*s\n",
            (int) a->bucket.len, a->bucket.data, (int) a->key.len,
            a->key.data, (int) a->upload_id.len, a->upload_id.data);
    abort();
}


/* the storage that the request's location leads to */

static void
check_endpoint(const storage_t *storage, const server_t *server,
    s3_str_t client)
{
    s3_str_t         value;
    const char      *name;
    fuzz_request_t   r;

    static const s3_str_t  header = s3_string("x-endpoint");

    name = server->endpoint;

    if (name == NULL) {
        if (!fuzz_read_request(&r, client) || r.rest.len
            || count_headers(&r, header) > 1)
        {
            return;
        }

        value = fuzz_header(&r, header);

        name = fuzz_caseeq(value, fuzz_str("virtual")) ? "virtual"
               : fuzz_caseeq(value, fuzz_str("none"))
                 || fuzz_caseeq(value, fuzz_str("unknown")) ? "" : "path";
    }

    if (strcmp(storage->name, "backup") == 0) {
        fuzz_assert(strcmp(name, "virtual") == 0);
        return;
    }

    fuzz_assert(strcmp(name, storage->name) == 0);
}


/* headers that change what an abort means are sent on, or refused */

static void
check_carried(s3_str_t bytes, s3_str_t client)
{
    size_t          i, j;
    s3_str_t        name, value;
    fuzz_request_t  asks, sent;

    static const char  *names[] = {
        "x-amz-expected-bucket-owner", "x-amz-if-match-initiated-time",
        "x-amz-request-payer",
        "x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"
    };

    if (!fuzz_read_request(&asks, client) || asks.rest.len
        || !fuzz_read_request(&sent, bytes))
    {
        return;
    }

    for (j = 0; j < 3; j++) {
        name = fuzz_str(names[j]);
        value = fuzz_header(&sent, name);

        fuzz_assert(s3_str_eq(value, fuzz_header(&asks, name)));
    }

    for (i = 0; i < asks.nheaders; i++) {
        name = asks.headers[i].name;

        if (!is_amz_header(name)) {
            continue;
        }

        for (j = 0; j < 6 && !fuzz_caseeq(name, fuzz_str(names[j])); j++) {
            /* void */
        }

        fuzz_assert(j < 6 || fuzz_caseeq(name,
                                         fuzz_str("x-amz-security-token")));
    }
}


/* another location's back-end never sees what may be meant as an abort */

static void
check_decoy(s3_str_t bytes)
{
    s3_str_t  line, method, target;

    line = fuzz_cut(&bytes, '\n');
    method = fuzz_cut(&line, ' ');
    target = fuzz_cut(&line, ' ');

    (void) fuzz_cut(&target, '?');

    fuzz_assert(!s3_str_eq(method, fuzz_str("DELETE"))
                || fuzz_count_upload_ids(target) == 0);
}


/* cuts one answer off the front; 0 if it is not of the form */

static int
cut_answer(s3_str_t *s, unsigned *status, s3_str_t *head, s3_str_t *body)
{
    size_t    i;
    u_char   *p;
    s3_str_t  line, rest, name, value;
    unsigned  n;
    int       chunked;
    long      length, size;

    p = memmem(s->data, s->len, "\r\n\r\n", 4);

    if (p == NULL || s->len < 12 || memcmp(s->data, "HTTP/1.1 ", 9) != 0) {
        return 0;
    }

    head->data = s->data;
    head->len = (size_t) (p + 4 - s->data);
    s->data += head->len;
    s->len -= head->len;

    rest = *head;
    rest.len -= 2;

    line = fuzz_cut(&rest, '\n');

    for (i = 9, n = 0; i < 12; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return 0;
        }

        n = n * 10 + line.data[i] - '0';
    }

    *status = n;
    length = -1;
    chunked = 0;

    while (rest.len) {
        line = fuzz_cut(&rest, '\n');

        if (line.len < 2 || line.data[line.len - 1] != '\r') {
            return 0;
        }

        line.len--;

        for (i = 0; i < line.len; i++) {
            if (line.data[i] < 0x20 || line.data[i] == 0x7f) {
                return 0;
            }
        }

        if (memchr(line.data, ':', line.len) == NULL) {
            return 0;
        }

        name = fuzz_cut(&line, ':');
        value = fuzz_trim(line);

        if (fuzz_caseeq(name, fuzz_str("content-length"))) {
            if (length != -1) {
                return 0;
            }

            length = strtol((char *) value.data, NULL, 10);
        }

        chunked |= fuzz_caseeq(name, fuzz_str("transfer-encoding"));
    }

    *body = *s;

    if (n < 200 || n == 204 || n == 304) {
        body->len = 0;
        return length <= 0 && !chunked;
    }

    if (chunked) {

        for ( ;; ) {
            line = fuzz_cut(s, '\n');
            size = line.len ? strtol((char *) line.data, NULL, 16) : -1;

            if (size < 0 || (size_t) size + 2 > s->len) {
                return 0;
            }

            s->data += size + 2;
            s->len -= (size_t) size + 2;

            if (size == 0) {
                body->len = (size_t) (s->data - body->data);
                return length == -1;
            }
        }
    }

    if (length != -1) {
        if ((size_t) length > s->len) {
            return 0;
        }

        body->len = (size_t) length;
    }

    s->data += body->len;
    s->len -= body->len;

    return 1;
}


/* one request, an abort perhaps */

static int
is_one_abort(fuzz_request_t *r, s3_str_t client)
{
    return fuzz_read_request(r, client) && r->rest.len == 0
           && s3_str_eq(r->method, fuzz_str("DELETE"))
           && fuzz_has(r->version, "HTTP/1.")
           && fuzz_count_upload_ids(r->query) != 0
           && !fuzz_has(r->query, "#");
}


static void
check_answers(s3_str_t output, const server_t *server, s3_str_t client,
    unsigned granted, unsigned decoys)
{
    int              one;
    unsigned         status;
    s3_str_t         rest, head, body;
    fuzz_request_t   r;

    fuzz_assert(fuzz_has(client, internals) || !fuzz_has(output, internals));

    one = is_one_abort(&r, client);

    /* no other back-end has it, not even as something else */

    fuzz_assert(!one || server->identity == BINARY || decoys == 0);

    if (server->identity == BINARY || fuzz_has(client, "HEAD ")
        || (server != &servers[4] && fuzz_has(client, "GET ")))
    {
        return;
    }

    /* an answer to it is S3's, whoever made it */

    for (rest = output; rest.len; /* void */ ) {

        if (!one && (rest.len < 5 || memcmp(rest.data, "HTTP/", 5) != 0)) {
            /* HTTP/0.9 */
            break;
        }

        if (!cut_answer(&rest, &status, &head, &body)) {
            fprintf(stderr, "answer:\n%.*s\n", (int) output.len,
                    output.data);
            abort();
        }

        if (status == 204) {
            fuzz_assert(granted-- != 0);

        } else if (status >= 200 && status < 300) {
            fuzz_assert(server == &servers[4] || decoys-- != 0);
        }

        if (one && status >= 400 && server->identity != NOBODY
            && server->base_path[0] == '\0'
            && fuzz_has(head, "\r\nx-amz-request-id: "))
        {
            fuzz_assert(fuzz_has(head, "\r\nContent-Type: application/xml"));
            fuzz_assert(fuzz_has(body, "<Error><Code>")
                        && fuzz_has(body, "</RequestId></Error>"));
            continue;
        }

        /* without it: only what nginx says before there is a location; an
         * error page makes a 500 of that */

        fuzz_assert(!one || server->identity == NOBODY
                    || server->base_path[0] || status == 400
                    || status == 408 || status == 414 || status == 431
                    || status == 494 || status == 501 || status == 505
                    || status < 300
                    || (server <= &servers[2] && status == 500));
    }
}


/* as it is, or with escapes */

static int
has_secret(s3_str_t text)
{
    char    escaped[3 * 64 + 1];
    size_t  i;

    for (i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++) {
        escaped[fuzz_encode((u_char *) escaped, fuzz_str(canaries[i]), 0)]
            = '\0';

        if (fuzz_has(text, canaries[i]) || fuzz_has(text, escaped)) {
            return 1;
        }
    }

    return 0;
}


/* the signature of an abort by presigned URL, if it stands nowhere else */

static int
client_signature(char hex[128], s3_str_t client)
{
    size_t           i;
    s3_str_t         value, before;
    fuzz_request_t   r;

    if (!is_one_abort(&r, client)) {
        return 0;
    }

    value = fuzz_parameter(r.query, "X-Amz-Signature");

    for (i = 0; i < value.len && fuzz_hex(value.data[i]) != -1; i++) {
        /* void */
    }

    if (i < value.len || i < 32 || i >= 128) {
        return 0;
    }

    memcpy(hex, value.data, value.len);
    hex[value.len] = '\0';

    before.data = client.data;
    before.len = (size_t) (value.data - client.data);
    client.data = value.data + value.len;
    client.len -= before.len + value.len;

    return !fuzz_has(before, hex) && !fuzz_has(client, hex);
}


/* nothing shows it, but for what nginx logs while it reads the request */

static void
check_signature(s3_str_t text, const char *hex)
{
    s3_str_t  line;

    while (text.len) {
        line = fuzz_cut(&text, '\n');
        fuzz_assert(!fuzz_has(line, hex)
                    || fuzz_has(line, "while reading client request"));
    }
}


#endif /* _FUZZ_WIRE_H_INCLUDED_ */
