
/*
 * A balancer around the one of the url's upstream {}: an endpoint sends only
 * over connections that it verified itself.  nginx's keepalive pool matches
 * by address, and TLS sessions are kept by peer, whoever opened them.
 */


#include "ngx_http_s3_abort.h"


typedef struct {
    ngx_http_request_t                *request;
    ngx_http_s3_abort_ctx_t           *ctx;

    void                              *data;
    ngx_event_get_peer_pt              get;
    ngx_event_free_peer_pt             free;
    ngx_event_notify_peer_pt           notify;
} ngx_http_s3_abort_peer_t;


static ngx_int_t ngx_http_s3_abort_ask_balancer(
    ngx_http_s3_abort_peer_t *peer);
static ngx_int_t ngx_http_s3_abort_get_peer(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_http_s3_abort_begin_again(
    ngx_http_s3_abort_peer_t *peer);
static void ngx_http_s3_abort_free_peer(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);
static void ngx_http_s3_abort_notify_peer(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t type);
static ngx_uint_t ngx_http_s3_abort_is_ours(ngx_http_s3_abort_peer_t *peer,
    ngx_connection_t *c);
static ngx_uint_t ngx_http_s3_abort_is_quiet(ngx_connection_t *c);
static void ngx_http_s3_abort_close(ngx_connection_t *c);

#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_s3_abort_set_name(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
static ngx_int_t ngx_http_s3_abort_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_s3_abort_save_session(ngx_peer_connection_t *pc,
    void *data);
static ngx_http_s3_abort_session_t *ngx_http_s3_abort_find_session(
    ngx_http_s3_abort_endpoint_t *ep, ngx_peer_connection_t *pc);
#endif


ngx_int_t
ngx_http_s3_abort_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_s3_abort_peer_t  *peer;

    peer = ngx_palloc(r->pool, sizeof(ngx_http_s3_abort_peer_t));
    if (peer == NULL) {
        return NGX_ERROR;
    }

    peer->request = r;
    peer->ctx = ngx_http_get_module_ctx(r, ngx_http_s3_abort_module);

    if (ngx_http_s3_abort_ask_balancer(peer) != NGX_OK) {
        return NGX_ERROR;
    }

#if (NGX_HTTP_SSL)

    return ngx_http_s3_abort_set_name(r, peer->ctx);

#else

    return NGX_OK;

#endif
}


static ngx_int_t
ngx_http_s3_abort_ask_balancer(ngx_http_s3_abort_peer_t *peer)
{
    ngx_http_upstream_t           *u;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = peer->ctx->endpoint;
    u = peer->request->upstream;

    u->peer.data = NULL;
    u->peer.notify = NULL;

    if (ep->servers->peer.init(peer->request, ep->servers) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->data = u->peer.data;
    peer->get = u->peer.get;
    peer->free = u->peer.free;

    u->peer.data = peer;
    u->peer.get = ngx_http_s3_abort_get_peer;
    u->peer.free = ngx_http_s3_abort_free_peer;

    if (u->peer.notify) {
        peer->notify = u->peer.notify;
        u->peer.notify = ngx_http_s3_abort_notify_peer;
    }

#if (NGX_HTTP_SSL)
    u->peer.set_session = ngx_http_s3_abort_set_session;
    u->peer.save_session = ngx_http_s3_abort_save_session;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_abort_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_s3_abort_peer_t *peer = data;

    ngx_int_t          rc;
    ngx_uint_t         retry;
    ngx_connection_t  *c;

    /* the attempt that failed had a stale connection perhaps */

    retry = peer->ctx->unanswered
            || (peer->request->upstream->request_sent && !peer->ctx->again);

    if (peer->ctx->again && ngx_http_s3_abort_begin_again(peer) != NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * of the connection that answered before; nginx resets it too late for
     * one that is given back because it meets no memory
     */

    peer->request->upstream->keepalive = 0;

    rc = peer->get(pc, peer->data);

    if (rc != NGX_DONE) {
        peer->ctx->no_server = (rc == NGX_BUSY);
        return rc;
    }

    c = pc->connection;

    if (!retry && ngx_http_s3_abort_is_ours(peer, c)) {
        return NGX_DONE;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "s3 abort does not use cached connection %p", c);

    /* to the same peer, but over a connection of our own */

    ngx_http_s3_abort_close(c);

    pc->connection = NULL;
    pc->cached = 0;

    return NGX_OK;
}


/*
 * What follows ngx_http_s3_abort_again() is no retry: any server may have it,
 * and within the usual limits.  What nginx took for a 404 was none.
 */

static ngx_int_t
ngx_http_s3_abort_begin_again(ngx_http_s3_abort_peer_t *peer)
{
    ngx_uint_t                     tries;
    ngx_http_upstream_t           *u;
    ngx_http_upstream_state_t     *state;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = peer->ctx->endpoint;
    u = peer->request->upstream;

    state = peer->request->upstream_states->elts;
    state[peer->request->upstream_states->nelts - 2].status =
                                                    peer->ctx->status.code;

    peer->ctx->again = 0;
    u->conf = &ep->upstream;

    if (ngx_http_s3_abort_ask_balancer(peer) != NGX_OK) {
        return NGX_ERROR;
    }

    tries = ep->upstream.next_upstream_tries;

    if (tries && u->peer.tries > tries) {
        u->peer.tries = tries;
    }

    return NGX_OK;
}


static void
ngx_http_s3_abort_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_s3_abort_peer_t *peer = data;

    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    /* a storage that asks for less load is not a failed one */

    if ((state & NGX_PEER_FAILED) && pc->connection && peer->ctx->answered
        && (peer->ctx->status.code == NGX_HTTP_TOO_MANY_REQUESTS
            || peer->ctx->status.code == NGX_HTTP_SERVICE_UNAVAILABLE))
    {
        state = NGX_PEER_NEXT;
    }

    /* since nginx 1.29.7, kept connections are those of a configuration */

    u = peer->request->upstream;
    conf = u->conf;

    u->conf = &peer->ctx->endpoint->upstream;
    peer->free(pc, peer->data, state);
    u->conf = conf;

    if (peer->ctx->again && pc->tries == 0) {
        pc->tries = 1;
    }
}


static void
ngx_http_s3_abort_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_s3_abort_peer_t *peer = data;

    peer->notify(pc, peer->data, type);
}


/*
 * A cached connection is used if it was made with the endpoint's own SSL
 * context, hence verified, if its certificate has the name that is wanted
 * now, and if nothing came over it unasked.
 */

static ngx_uint_t
ngx_http_s3_abort_is_ours(ngx_http_s3_abort_peer_t *peer,
    ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)
    ngx_http_s3_abort_endpoint_t  *ep;
#endif

    if (!ngx_http_s3_abort_is_quiet(c)) {
        return 0;
    }

#if (NGX_HTTP_SSL)

    ep = peer->ctx->endpoint;

    if (ep->upstream.ssl == NULL) {
        return c->ssl == NULL;
    }

    if (c->ssl == NULL || c->ssl->session_ctx != ep->upstream.ssl->ctx) {
        return 0;
    }

    if (ep->ssl_verify && ep->name_per_bucket) {
        return ngx_ssl_check_host(c, &peer->request->upstream->ssl_name)
               == NGX_OK;
    }

#endif

    return 1;
}


/*
 * What is there before a request is sent is not the answer to it.  nginx
 * looks for it as well, but at a socket alone, not at what TLS has decrypted,
 * and perhaps only after the request is sent.
 */

static ngx_uint_t
ngx_http_s3_abort_is_quiet(ngx_connection_t *c)
{
    u_char  byte;

#if (NGX_HTTP_SSL)

    if (c->ssl && SSL_has_pending(c->ssl->connection)) {
        return 0;
    }

#endif

    return recv(c->fd, &byte, 1, MSG_PEEK) == -1
           && ngx_socket_errno == NGX_EAGAIN;
}


static void
ngx_http_s3_abort_close(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

#endif

    if (c->pool) {
        ngx_destroy_pool(c->pool);
        c->pool = NULL;
    }

    ngx_close_connection(c);
}


#if (NGX_HTTP_SSL)

/* the name that is sent as SNI and verified */

static ngx_int_t
ngx_http_s3_abort_set_name(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx)
{
    u_char                        *p;
    ngx_str_t                     *name;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = ctx->endpoint;
    name = &r->upstream->ssl_name;

    *name = ep->ssl_name;

    if (ep->name_per_bucket) {
        p = ngx_pnalloc(r->pool, ctx->bucket.len + 1 + ep->ssl_name.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        name->data = p;

        p = s3_put(p, ctx->bucket);
        *p++ = '.';
        p = s3_put(p, ngx_http_s3_abort_pure(ep->ssl_name));

        name->len = p - name->data;
    }

    return NGX_OK;
}


/*
 * Called before each handshake.  nginx compares the certificate's names when
 * it is over, and takes a common name where there is no other; here OpenSSL
 * is told the name too, and that a common name is none (RFC 6125, 6.4.4).
 */

static ngx_int_t
ngx_http_s3_abort_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_s3_abort_peer_t *peer = data;

    ngx_str_t                     *name;
    X509_VERIFY_PARAM             *param;
    ngx_http_s3_abort_session_t   *session;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = peer->ctx->endpoint;

    if (ep->ssl_verify) {
        name = &peer->request->upstream->ssl_name;
        param = SSL_get0_param(pc->connection->ssl->connection);

        X509_VERIFY_PARAM_set_hostflags(param,
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);

        if (X509_VERIFY_PARAM_set1_host(param, (char *) name->data, name->len)
            != 1)
        {
            return NGX_ERROR;
        }
    }

    /*
     * nginx gathers what it sends in a buffer that lives as long as the
     * connection: a session token is not copied there
     */

    pc->connection->ssl->buffer = 0;

    session = ngx_http_s3_abort_find_session(ep, pc);

    if (session == NULL || session->session == NULL) {
        return NGX_OK;
    }

    return ngx_ssl_set_session(pc->connection, session->session);
}


static void
ngx_http_s3_abort_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_s3_abort_peer_t *peer = data;

    ngx_ssl_session_t             *ssl_session;
    ngx_http_s3_abort_session_t   *session;
    ngx_http_s3_abort_endpoint_t  *ep;

    ep = peer->ctx->endpoint;

    if (!ep->ssl_session_reuse) {
        return;
    }

    /*
     * TLS 1.2 has a session before nginx looks at the certificate, and one
     * that is resumed has the result of its beginning
     */

    if (ep->ssl_verify
        && SSL_get_verify_result(pc->connection->ssl->connection) != X509_V_OK)
    {
        return;
    }

    ssl_session = ngx_ssl_get_session(pc->connection);

    if (ssl_session == NULL) {
        return;
    }

    session = ngx_http_s3_abort_find_session(ep, pc);

    if (session == NULL) {
        session = &ep->sessions[ep->nsessions++
                                % NGX_HTTP_S3_ABORT_SESSIONS];

        session->socklen = pc->socklen;
        ngx_memcpy(&session->sockaddr, pc->sockaddr, pc->socklen);
    }

    if (session->session) {
        ngx_ssl_free_session(session->session);
    }

    session->session = ssl_session;
}


static ngx_http_s3_abort_session_t *
ngx_http_s3_abort_find_session(ngx_http_s3_abort_endpoint_t *ep,
    ngx_peer_connection_t *pc)
{
    ngx_uint_t                    i;
    ngx_http_s3_abort_session_t  *session;

    for (i = 0; i < NGX_HTTP_S3_ABORT_SESSIONS; i++) {
        session = &ep->sessions[i];

        if (session->socklen == pc->socklen && pc->socklen
            && ngx_memcmp(&session->sockaddr, pc->sockaddr, pc->socklen) == 0)
        {
            return session;
        }
    }

    return NULL;
}

#endif
