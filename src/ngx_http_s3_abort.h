
/*
 * What the rooms of the nginx side share, in the order of a request:
 * handler, request, identity and keys, policy, endpoint with credentials and
 * tls, sign, upstream and peer, confirm, response; beside them module (the
 * directives), variables, counters, status and explain; below them file and
 * secret.
 */


#ifndef _NGX_HTTP_S3_ABORT_H_INCLUDED_
#define _NGX_HTTP_S3_ABORT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "s3_authorization.h"
#include "s3_credentials.h"
#include "s3_error.h"
#include "s3_policy.h"
#include "s3_request.h"
#include "s3_sigv4.h"


/* the type of the commands inside an s3_abort_endpoint block; NGX_MAIN_CONF,
 * which no command of an HTTP module has, lets "include" in */

#define NGX_HTTP_S3_ABORT_ENDPOINT_CONF   0x00020000

#define NGX_HTTP_S3_ABORT_TIME_LEN        S3_SIGV4_TIME_LEN
#define NGX_HTTP_S3_ABORT_REQUEST_ID_LEN  16


/* ngx_str_t and s3_str_t are one thing by two names */

static ngx_inline s3_str_t
ngx_http_s3_abort_pure(ngx_str_t s)
{
    s3_str_t  p;

    p.len = s.len;
    p.data = s.data;

    return p;
}


static ngx_inline ngx_str_t
ngx_http_s3_abort_str(s3_str_t p)
{
    ngx_str_t  s;

    s.len = p.len;
    s.data = p.data;

    return s;
}


/*
 * Walks the headers of a request; *part is &r->headers_in.headers.part and *i
 * 0 at first.  Leaves out one that nginx had no memory to complete.
 */

static ngx_inline ngx_table_elt_t *
ngx_http_s3_abort_next_header(ngx_list_part_t **part, ngx_uint_t *i)
{
    ngx_table_elt_t  *h;

    for ( ;; ) {

        if (*i >= (*part)->nelts) {
            if ((*part)->next == NULL) {
                return NULL;
            }

            *part = (*part)->next;
            *i = 0;

            continue;
        }

        h = (ngx_table_elt_t *) (*part)->elts + (*i)++;

        if (h->lowcase_key) {
            return h;
        }
    }
}


/* secret: memory that core dumps leave out, wiped when freed */

typedef struct {
    u_char     *start;
    size_t      size;
} ngx_http_s3_abort_secret_t;

ngx_int_t ngx_http_s3_abort_secret_alloc(ngx_http_s3_abort_secret_t *secret,
    size_t size, ngx_log_t *log);
ngx_int_t ngx_http_s3_abort_secret_map(ngx_http_s3_abort_secret_t *secret,
    size_t size, ngx_log_t *log);
void ngx_http_s3_abort_secret_free(ngx_http_s3_abort_secret_t *secret);
ngx_int_t ngx_http_s3_abort_secret_add(ngx_conf_t *cf,
    ngx_http_s3_abort_secret_t *secret);
void ngx_http_s3_abort_secret_lock(ngx_http_s3_abort_secret_t *secret);
void ngx_http_s3_abort_huge_pages(void *p, size_t size);


/* file: a file of secrets, read at start and, with refresh, by the workers */

typedef struct ngx_http_s3_abort_file_s      ngx_http_s3_abort_file_t;
typedef struct ngx_http_s3_abort_stat_s      ngx_http_s3_abort_stat_t;
typedef struct ngx_http_s3_abort_counters_s  ngx_http_s3_abort_counters_t;
typedef struct ngx_http_s3_abort_explain_s   ngx_http_s3_abort_explain_t;

/*
 * Makes of "secret", the first "len" bytes of which are the file's text, what
 * file->data holds, and keeps the secret; on a failure returns a message and
 * the number of the line at fault, and changes nothing.
 */

typedef const char *(*ngx_http_s3_abort_file_load_pt)(
    ngx_http_s3_abort_file_t *file, ngx_http_s3_abort_secret_t *secret,
    size_t len, unsigned *line);

struct ngx_http_s3_abort_file_s {
    ngx_str_t                        path;
    ngx_str_t                        profile;     /* empty if it has none */
    ngx_msec_t                       refresh;
    size_t                           max_size;
    ngx_http_s3_abort_file_load_pt   load;
    void                            *data;

    ngx_http_s3_abort_secret_t       secret;
    ngx_uint_t                       generation;  /* counts loads */

    ngx_event_t                      event;
    struct stat                      info;        /* of what was read last */
    ngx_err_t                        err;         /* of the last attempt */
    time_t                           loaded;
    ngx_uint_t                       bad;         /* what was read is older */
    ngx_uint_t                       settled;     /* a change is read now */
    ngx_http_s3_abort_stat_t        *stat;        /* NULL without a zone */
};

extern const char  ngx_http_s3_abort_file_no_memory[];

ngx_int_t ngx_http_s3_abort_file_add(ngx_conf_t *cf,
    ngx_http_s3_abort_file_t *file);
ngx_int_t ngx_http_s3_abort_file_init_process(ngx_cycle_t *cycle,
    ngx_http_s3_abort_file_t *file);
void ngx_http_s3_abort_file_check_soon(ngx_http_s3_abort_file_t *file);


/* endpoint */

typedef struct {
    ngx_http_s3_abort_file_t         file;
    s3_credentials_t                 pair;
    ngx_uint_t                       generation;  /* counts different pairs */
    ngx_http_s3_abort_secret_t       key;         /* of the day */
} ngx_http_s3_abort_credentials_t;

#define NGX_HTTP_S3_ABORT_SESSIONS   8

typedef struct {
    struct sockaddr_storage          sockaddr;
    socklen_t                        socklen;
    void                            *session;     /* SSL_SESSION */
} ngx_http_s3_abort_session_t;

typedef struct {
    ngx_str_t                        name;
    u_char                          *conf_file;
    ngx_uint_t                       line;

    ngx_str_t                        url;
    ngx_str_t                        host;
    ngx_str_t                        region;
    ngx_str_t                        service;
    ngx_uint_t                       addressing;
    ngx_http_s3_abort_credentials_t *credentials;
    ngx_flag_t                       allow_plaintext;
    ngx_flag_t                       confirm;
    ngx_uint_t                       confirm_tries;

    ngx_http_upstream_conf_t         upstream;
    ngx_http_upstream_conf_t         again;       /* ... that passes on a 404 */
    ngx_http_upstream_srv_conf_t    *servers;     /* upstream {} of the url */
    ngx_http_upstream_srv_conf_t     peers;       /* ours around it */
    ngx_uint_t                       ssl;
    ngx_str_t                        authority;   /* the url's */

    ngx_flag_t                       ssl_verify;
    ngx_flag_t                       ssl_session_reuse;
    ngx_str_t                        ssl_name;    /* SNI, and verified */
    ngx_uint_t                       name_per_bucket;   /* "bucket." first */
    ngx_uint_t                       ssl_protocols;
    ngx_str_t                        ssl_ciphers;
    ngx_uint_t                       ssl_verify_depth;
    ngx_str_t                        ssl_trusted_certificate;
    ngx_str_t                        ssl_crl;
    ngx_str_t                        ssl_certificate;
    ngx_str_t                        ssl_certificate_key;
    ngx_array_t                     *ssl_conf_commands;

    /* in a worker: what the key of the day was made of */

    ngx_uint_t                       key_generation;
    u_char                           key_date[S3_SIGV4_DATE_LEN];

    /* in a worker: TLS sessions of verified connections, by address */

    ngx_http_s3_abort_session_t      sessions[NGX_HTTP_S3_ABORT_SESSIONS];
    ngx_uint_t                       nsessions;

    ngx_http_s3_abort_stat_t        *stat;        /* NULL without a zone */
} ngx_http_s3_abort_endpoint_t;

#define NGX_HTTP_S3_ABORT_PATH        0
#define NGX_HTTP_S3_ABORT_VIRTUAL     1

ngx_http_s3_abort_endpoint_t *ngx_http_s3_abort_endpoint_find(
    ngx_array_t *endpoints, ngx_str_t *name);
ngx_int_t ngx_http_s3_abort_endpoint_init(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep);

/* credentials and tls: what an endpoint is made of */

char *ngx_http_s3_abort_credentials(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_s3_abort_tls_init(ngx_conf_t *cf,
    ngx_http_s3_abort_endpoint_t *ep);


/* policy */

typedef struct {
    ngx_str_t                        name;
    s3_policy_t                      rules;
    ngx_array_t                      variables;   /* of ngx_int_t */
} ngx_http_s3_abort_policy_t;

/* a request that a policy judges */

typedef struct ngx_http_s3_abort_ctx_s  ngx_http_s3_abort_ctx_t;

typedef struct {
    s3_policy_request_t              pure;
    ngx_http_request_t              *request;
    ngx_http_s3_abort_ctx_t         *ctx;
    ngx_http_s3_abort_policy_t      *policy;
    ngx_str_t                       *values;      /* of its variables */
    ngx_uint_t                       failed;      /* one could not be had */
} ngx_http_s3_abort_judgement_t;

char *ngx_http_s3_abort_policy(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_http_s3_abort_policy_t *ngx_http_s3_abort_policy_find(
    ngx_array_t *policies, ngx_str_t *name);


/* identity */

typedef enum {
    NGX_HTTP_S3_ABORT_SIGV4,
    NGX_HTTP_S3_ABORT_CERTIFICATE,
    NGX_HTTP_S3_ABORT_TRUSTED
} ngx_http_s3_abort_identity_e;

typedef struct ngx_http_s3_abort_keys_s  ngx_http_s3_abort_keys_t;

typedef struct {
    ngx_http_s3_abort_identity_e     type;
    ngx_int_t                        variable;
    ngx_str_t                        header;      /* of a $http_... */
    ngx_int_t                        verify;      /* $ssl_client_verify */
    ngx_http_s3_abort_keys_t        *keys;
    ngx_str_t                        region;
    time_t                           skew;
    ngx_http_s3_abort_secret_t       cache;       /* of signing keys */
    uint32_t                         ncached;
} ngx_http_s3_abort_identity_t;

char *ngx_http_s3_abort_identity(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/*
 * keys: a keys file, found by path or read now; NULL on an error.  A key with
 * number 0 is nobody's, and stands for one that is not there; it has a signing
 * key as others have, which is NULL only on an error.
 */

typedef struct {
    uint32_t                         hash;        /* of the access key */
    uint32_t                         number;
    uint32_t                         tenant;      /* offsets in the file */
    uint32_t                         access_key;
    uint32_t                         secret;
    uint8_t                          tenant_len;
    uint8_t                          access_key_len;
    uint16_t                         secret_len;
} ngx_http_s3_abort_key_t;

ngx_http_s3_abort_keys_t *ngx_http_s3_abort_keys_add(ngx_conf_t *cf,
    ngx_str_t *path, ngx_msec_t refresh);
ngx_int_t ngx_http_s3_abort_keys_cache(ngx_conf_t *cf,
    ngx_http_s3_abort_identity_t *identity);
ngx_http_s3_abort_key_t *ngx_http_s3_abort_keys_find(
    ngx_http_s3_abort_keys_t *keys, s3_str_t access_key);
s3_sigv4_key_t *ngx_http_s3_abort_keys_get(ngx_http_request_t *r,
    ngx_http_s3_abort_identity_t *identity, ngx_http_s3_abort_key_t *key,
    s3_authorization_t *auth, ngx_str_t *region);


/* module */

typedef struct {
    ngx_array_t                      endpoints;   /* of pointers */
    ngx_array_t                      policies;    /* of pointers */
    ngx_array_t                      files;       /* of pointers */
    ngx_array_t                      secrets;     /* of pointers */
    ngx_uint_t                       used;        /* any s3_abort_pass */

    ngx_shm_zone_t                  *zone;
    ngx_http_s3_abort_counters_t    *counters;    /* NULL without a zone */
    time_t                           loaded;      /* the configuration */

    s3_sigv4_t                       sigv4;

    /* of all regular expressions, which match one after the other */

    pcre2_match_data                *match_data;
    pcre2_match_context             *match_context;
    pcre2_jit_stack                 *jit_stack;

    /* in a worker */

    time_t                           time;
    u_char                           timestamp[S3_SIGV4_TIME_LEN];
    uint64_t                         request_id;
} ngx_http_s3_abort_main_conf_t;

typedef struct {
    ngx_flag_t                       used;        /* s3_abort_pass inside */
} ngx_http_s3_abort_srv_conf_t;

#define NGX_HTTP_S3_ABORT_NONE       0            /* said nothing */
#define NGX_HTTP_S3_ABORT_OFF        1
#define NGX_HTTP_S3_ABORT_ON         2

typedef struct {
    ngx_uint_t                       pass;
    ngx_http_s3_abort_endpoint_t    *endpoint;
    ngx_http_complex_value_t        *endpoint_value;
    ngx_http_s3_abort_policy_t      *policy;
    ngx_http_s3_abort_policy_t      *candidate;
    u_char                          *pass_file;
    ngx_uint_t                       pass_line;
    ngx_str_t                        endpoint_name;
    ngx_str_t                        policy_name;
    ngx_str_t                        candidate_name;

    ngx_http_s3_abort_identity_t    *identity;

    ngx_http_complex_value_t        *target_bucket;
    ngx_http_complex_value_t        *target_key;

    ngx_array_t                     *domains;     /* of s3_str_t */
    ngx_str_t                        base_path;
    s3_request_conf_t                request;

    ngx_uint_t                       log_level;

    ngx_uint_t                       status_json;
    ngx_http_s3_abort_explain_t     *explain;
} ngx_http_s3_abort_loc_conf_t;

extern ngx_module_t  ngx_http_s3_abort_module;


/* handler */

ngx_int_t ngx_http_s3_abort_handler_init(ngx_conf_t *cf);


/* request */

typedef enum {
    NGX_HTTP_S3_ABORT_UNDECIDED = 0,
    NGX_HTTP_S3_ABORT_ALLOWED,
    NGX_HTTP_S3_ABORT_DENIED,
    NGX_HTTP_S3_ABORT_UNAUTHENTICATED,
    NGX_HTTP_S3_ABORT_INVALID
} ngx_http_s3_abort_decision_e;

typedef enum {
    NGX_HTTP_S3_ABORT_NOT_SENT = 0,
    NGX_HTTP_S3_ABORT_ABORTED,
    NGX_HTTP_S3_ABORT_GONE,
    NGX_HTTP_S3_ABORT_ASSUMED,
    NGX_HTTP_S3_ABORT_FAILED,
    NGX_HTTP_S3_ABORT_UNKNOWN,
    NGX_HTTP_S3_ABORT_PARTS_REMAIN
} ngx_http_s3_abort_outcome_e;

/* headers that change what an abort means: signed and sent on */

#define NGX_HTTP_S3_ABORT_NCARRIED      3
#define NGX_HTTP_S3_ABORT_IF_INITIATED  1      /* of an abort alone */

extern const s3_str_t
    ngx_http_s3_abort_carried_names[NGX_HTTP_S3_ABORT_NCARRIED];

struct ngx_http_s3_abort_ctx_s {
    /* of the location that "parsed" and the rest were made in */

    ngx_http_s3_abort_loc_conf_t    *conf;

    s3_error_t                       parsed;
    s3_request_t                     asked;
    ngx_str_t                        carried[NGX_HTTP_S3_ABORT_NCARRIED];

    s3_error_t                       identified;
    ngx_str_t                        tenant;
    ngx_str_t                        access_key;
    ngx_str_t                        region;      /* the right one */

    ngx_http_s3_abort_endpoint_t    *endpoint;
    s3_str_t                         bucket;      /* the target's */
    s3_str_t                         key;

    ngx_http_s3_abort_decision_e     decision;
    ngx_http_s3_abort_decision_e     candidate_decision;
    const s3_rule_t                 *rule;
    int64_t                          regex_start; /* 0 before the first */
    int64_t                          regex_cpu;

    off_t                            received;    /* of a body */

    s3_error_t                       error;       /* S3_OK, or the answer */
    ngx_http_s3_abort_outcome_e      outcome;
    u_char                           request_id[
                                         NGX_HTTP_S3_ABORT_REQUEST_ID_LEN];

    /* the upstream request */

    ngx_http_s3_abort_secret_t       secret;      /* holds a session token */
    ngx_buf_t                       *request;
    ngx_uint_t                       generation;  /* of the credentials */
    ngx_http_status_t                status;
    ngx_http_chunked_t               chunked;
    ngx_str_t                        body;
    off_t                            content_length;
    ngx_uint_t                       retry_after;
    ngx_str_t                        upstream_request_id;
    ngx_uint_t                       attempts;    /* of the abort, if more
                                                   * than that was sent */
    ngx_str_t                        confirm_code;

    ngx_chain_t                     *xml;

    unsigned                         captured:1;  /* was in our location */
    unsigned                         let_go:1;    /* and in another one */
    unsigned                         other:1;     /* no abort at all */
    unsigned                         error_page:1;
    unsigned                         recursive:1; /* error pages, there */
    unsigned                         has_identity:1;
    unsigned                         judging:1;   /* access is passed */
    unsigned                         judged:1;    /* by the policy */
    unsigned                         forwarded:1;
    unsigned                         unanswered:1;
    unsigned                         again:1;     /* the next attempt */
    unsigned                         no_server:1; /* for the last attempt */
    unsigned                         resigned:1;
    unsigned                         answered:1;
    unsigned                         unauthorized:1;
    unsigned                         match_limit:1;
    unsigned                         is_chunked:1;
    unsigned                         replace:1;   /* the body, by our XML */
    unsigned                         forbidden_header:1;
    unsigned                         unknown_header:1;
    unsigned                         informational:4;
    unsigned                         confirming:1;    /* after a 204 */
    unsigned                         confirmed:1;
    unsigned                         listing:1;   /* ListParts is sent */
    unsigned                         confirm_left:4;  /* tries */
};


/*
 * The request's context.  ngx_http_s3_abort_find_ctx() returns NULL where the
 * request is no abort; ngx_http_s3_abort_recognise() makes one where there is
 * none yet: NGX_OK, NGX_DECLINED (no abort), or NGX_ERROR.
 */

ngx_http_s3_abort_ctx_t *ngx_http_s3_abort_find_ctx(ngx_http_request_t *r);
ngx_int_t ngx_http_s3_abort_recognise(ngx_http_request_t *r);

/*
 * Each step takes the ones before it, once; S3_OK or the error.  Before
 * ctx->judging is set, "no tenant" is not remembered.
 */

s3_error_t ngx_http_s3_abort_parse(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
s3_error_t ngx_http_s3_abort_identify(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
s3_error_t ngx_http_s3_abort_aim(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
s3_error_t ngx_http_s3_abort_judge(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);

void ngx_http_s3_abort_log_refusal(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_error_t error);
u_char *ngx_http_s3_abort_log_error(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);

/* sets the tenant and the access key of the context */

ngx_int_t ngx_http_s3_abort_keys_owner(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_keys_t *keys,
    ngx_http_s3_abort_key_t *key);

/* the identity room's part of identify, the policy room's of judge */

s3_error_t ngx_http_s3_abort_establish(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_identity_t *identity);
ngx_int_t ngx_http_s3_abort_decide(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_policy_t *policy,
    const s3_rule_t **rule);
ngx_int_t ngx_http_s3_abort_judgement(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, ngx_http_s3_abort_policy_t *policy,
    ngx_http_s3_abort_judgement_t *j);


/* sign: writes the request to the storage; NGX_OK or NGX_ERROR */

ngx_int_t ngx_http_s3_abort_sign(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);


/* upstream and peer */

ngx_int_t ngx_http_s3_abort_forward(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
void ngx_http_s3_abort_again(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
ngx_int_t ngx_http_s3_abort_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);


/*
 * confirm: after a 204, as long as ctx->confirming is set, every answer of
 * the storage is given to confirm_answer(), and nothing that becomes of the
 * upstream request changes the 204.
 */

void ngx_http_s3_abort_confirm(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
void ngx_http_s3_abort_confirm_answer(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx, s3_storage_t verdict, ngx_str_t *code,
    ngx_uint_t complete);
void ngx_http_s3_abort_confirm_done(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);


/* response */

ngx_int_t ngx_http_s3_abort_refuse(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);
ngx_int_t ngx_http_s3_abort_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b);
ngx_int_t ngx_http_s3_abort_filter_init(ngx_conf_t *cf);
void ngx_http_s3_abort_set_request_id(ngx_http_request_t *r,
    ngx_http_s3_abort_ctx_t *ctx);


/* counters: in shared memory, kept over reloads */

#define NGX_HTTP_S3_ABORT_NDECISIONS   5
#define NGX_HTTP_S3_ABORT_NOUTCOMES    7
#define NGX_HTTP_S3_ABORT_NCLASSES     6          /* "none", 1xx to 5xx */
#define NGX_HTTP_S3_ABORT_NBUCKETS     12

/* of one name: an endpoint or a file */

struct ngx_http_s3_abort_stat_s {
    ngx_http_s3_abort_stat_t    *next;

    /* an endpoint's */

    ngx_atomic_t                 outcomes[NGX_HTTP_S3_ABORT_NOUTCOMES];
    ngx_atomic_t                 responses[NGX_HTTP_S3_ABORT_NCLASSES];
    ngx_atomic_t                 latency[NGX_HTTP_S3_ABORT_NBUCKETS];
    ngx_atomic_t                 latency_msec;
    ngx_atomic_t                 retries;
    ngx_atomic_t                 unauthorized;
    ngx_atomic_t                 unconfirmed;

    /* when it was last so, or 0 */

    ngx_atomic_t                 last_outcomes[NGX_HTTP_S3_ABORT_NOUTCOMES];
    ngx_atomic_t                 last_unauthorized;

    /* a file's */

    ngx_atomic_t                 loads;
    ngx_atomic_t                 failures;
    ngx_atomic_t                 loaded;
    ngx_atomic_t                 modified;
    ngx_atomic_t                 stale;           /* until then, or 0 */

    size_t                       len;
    u_char                       name[1];
};

struct ngx_http_s3_abort_counters_s {
    size_t                       size;            /* of these structures */
    ngx_atomic_t                 requests[NGX_HTTP_S3_ABORT_NDECISIONS]
                                         [S3_NERRORS];
    ngx_atomic_t                 last_requests[NGX_HTTP_S3_ABORT_NDECISIONS];
    ngx_atomic_t                 match_limits;
    ngx_atomic_t                 candidates;
    ngx_http_s3_abort_stat_t    *stats;
};

char *ngx_http_s3_abort_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_s3_abort_counters_init(ngx_conf_t *cf);
void ngx_http_s3_abort_count_file(ngx_http_s3_abort_file_t *file,
    ngx_uint_t ok);
void ngx_http_s3_abort_count_stale(ngx_http_s3_abort_file_t *file);


/* status */

char *ngx_http_s3_abort_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* explain */

char *ngx_http_s3_abort_explain(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_s3_abort_explain_merge(ngx_conf_t *cf,
    ngx_http_s3_abort_loc_conf_t *slcf);


/* variables */

ngx_int_t ngx_http_s3_abort_add_variables(ngx_conf_t *cf);


#endif /* _NGX_HTTP_S3_ABORT_H_INCLUDED_ */
