
/*
 * The pages for operators that show the counters: for Prometheus, and as JSON.
 */


#include "ngx_http_s3_abort.h"


typedef struct {
    ngx_http_request_t          *request;
    u_char                      *pos;
    u_char                      *end;
    ngx_uint_t                   comma;
} ngx_http_s3_abort_writer_t;


static ngx_int_t ngx_http_s3_abort_status_handler(ngx_http_request_t *r);
static size_t ngx_http_s3_abort_status_size(
    ngx_http_s3_abort_main_conf_t *smcf);
static void ngx_http_s3_abort_write_prometheus(
    ngx_http_s3_abort_writer_t *w, ngx_http_s3_abort_main_conf_t *smcf);
static void ngx_http_s3_abort_write_latency(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_endpoint_t *ep);
static ngx_uint_t ngx_http_s3_abort_is_shown(ngx_http_s3_abort_file_t **file,
    ngx_uint_t n);
static void ngx_http_s3_abort_write_file(ngx_http_s3_abort_writer_t *w,
    const char *name, ngx_http_s3_abort_file_t *file);
static ngx_uint_t ngx_http_s3_abort_is_stale(ngx_http_s3_abort_file_t *file);
static void ngx_http_s3_abort_write_json(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_main_conf_t *smcf);
static void ngx_http_s3_abort_write_json_endpoint(
    ngx_http_s3_abort_writer_t *w, ngx_http_s3_abort_endpoint_t *ep);
static void ngx_http_s3_abort_write_json_path(ngx_http_s3_abort_writer_t *w,
    ngx_str_t *path);
static void ngx_http_s3_abort_write_requests(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_counters_t *counters, const char *format);
static ngx_atomic_uint_t ngx_http_s3_abort_decided(
    ngx_http_s3_abort_counters_t *counters, ngx_uint_t decision);
static void ngx_http_s3_abort_write(ngx_http_s3_abort_writer_t *w,
    const char *fmt, ...);


static const char  *ngx_http_s3_abort_bucket_names[] = {
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5",
    "10", "+Inf"
};

static const char  *ngx_http_s3_abort_class_names[] = {
    "none", "1xx", "2xx", "3xx", "4xx", "5xx"
};

static const char  *ngx_http_s3_abort_decision_names[] = {
    "NONE", "ALLOWED", "DENIED", "UNAUTHENTICATED", "INVALID"
};

static const char  *ngx_http_s3_abort_outcome_names[] = {
    "NOT_SENT", "ABORTED", "GONE", "ASSUMED_ABORTED", "FAILED", "UNKNOWN",
    "PARTS_REMAIN"
};


char *
ngx_http_s3_abort_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_abort_loc_conf_t *slcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "json") == 0) {
        slcf->status_json = 1;

    } else if (cf->args->nelts == 2
               && ngx_strcmp(value[1].data, "prometheus") != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid format \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_s3_abort_status_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_s3_abort_status_handler(ngx_http_request_t *r)
{
    size_t                          size;
    ngx_int_t                       rc;
    ngx_buf_t                      *b;
    ngx_http_s3_abort_writer_t      w;
    ngx_http_s3_abort_loc_conf_t   *slcf;
    ngx_http_s3_abort_main_conf_t  *smcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_abort_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_abort_module);

    if (smcf->counters == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"s3_abort_status\" without \"s3_abort_zone\"");
        return NGX_HTTP_NOT_FOUND;
    }

    size = ngx_http_s3_abort_status_size(smcf);

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w.request = r;
    w.pos = b->start;
    w.end = b->end;
    w.comma = 0;

    if (slcf->status_json) {
        ngx_http_s3_abort_write_json(&w, smcf);
        ngx_str_set(&r->headers_out.content_type, "application/json");

    } else {
        ngx_http_s3_abort_write_prometheus(&w, smcf);
        ngx_str_set(&r->headers_out.content_type,
                    "text/plain; version=0.0.4");
    }

    b->last = w.pos;

    return ngx_http_s3_abort_send(r, NGX_HTTP_OK, b);
}


/* an upper bound, with lines of up to 256 bytes and a name */

static size_t
ngx_http_s3_abort_status_size(ngx_http_s3_abort_main_conf_t *smcf)
{
    size_t                          size;
    ngx_uint_t                      i;
    ngx_http_s3_abort_file_t      **file;
    ngx_http_s3_abort_endpoint_t  **ep;

    size = 16 * 1024 + NGX_HTTP_S3_ABORT_NDECISIONS * S3_NERRORS * 160;

    ep = smcf->endpoints.elts;

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        size += 40 * (256 + ep[i]->name.len)
                + 6 * ep[i]->credentials->file.path.len;
    }

    file = smcf->files.elts;

    for (i = 0; i < smcf->files.nelts; i++) {
        size += 6 * (256 + 6 * file[i]->path.len);
    }

    return size;
}


static void
ngx_http_s3_abort_write_prometheus(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_main_conf_t *smcf)
{
    ngx_uint_t                      i, n;
    ngx_http_s3_abort_file_t      **file;
    ngx_http_s3_abort_endpoint_t  **ep;

    ep = smcf->endpoints.elts;
    file = smcf->files.elts;

#define ngx_http_s3_abort_help(name, type, help)                             \
    ngx_http_s3_abort_write(w, "# HELP s3_abort_" name " " help "\n"         \
                               "# TYPE s3_abort_" name " " type "\n")

    ngx_http_s3_abort_help("requests_total", "counter",
        "Abort requests by decision and S3 error code.");
    ngx_http_s3_abort_write_requests(w, smcf->counters,
        "s3_abort_requests_total{decision=\"%s\",code=\"%V\"} %uA\n");

    ngx_http_s3_abort_help("decisions_total", "counter",
        "Abort requests by decision.");

    for (n = 0; n < NGX_HTTP_S3_ABORT_NDECISIONS; n++) {
        ngx_http_s3_abort_write(w,
            "s3_abort_decisions_total{decision=\"%s\"} %uA\n",
            ngx_http_s3_abort_decision_names[n],
            ngx_http_s3_abort_decided(smcf->counters, n));
    }

    ngx_http_s3_abort_help("last_request_timestamp_seconds", "gauge",
        "When the last abort request of a decision was answered.");

    for (n = 0; n < NGX_HTTP_S3_ABORT_NDECISIONS; n++) {
        if (smcf->counters->last_requests[n]) {
            ngx_http_s3_abort_write(w,
                "s3_abort_last_request_timestamp_seconds{decision=\"%s\"} "
                "%uA\n", ngx_http_s3_abort_decision_names[n],
                smcf->counters->last_requests[n]);
        }
    }

    ngx_http_s3_abort_help("outcomes_total", "counter",
        "Forwarded aborts by what became of them.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        for (n = 1; ep[i]->stat && n < NGX_HTTP_S3_ABORT_NOUTCOMES; n++) {
            ngx_http_s3_abort_write(w,
                "s3_abort_outcomes_total{endpoint=\"%V\",outcome=\"%s\"} "
                "%uA\n", &ep[i]->name, ngx_http_s3_abort_outcome_names[n],
                ep[i]->stat->outcomes[n]);
        }
    }

    ngx_http_s3_abort_help("last_outcome_timestamp_seconds", "gauge",
        "When something last became of a forwarded abort.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        for (n = 1; ep[i]->stat && n < NGX_HTTP_S3_ABORT_NOUTCOMES; n++) {
            if (ep[i]->stat->last_outcomes[n]) {
                ngx_http_s3_abort_write(w,
                    "s3_abort_last_outcome_timestamp_seconds{"
                    "endpoint=\"%V\",outcome=\"%s\"} %uA\n",
                    &ep[i]->name, ngx_http_s3_abort_outcome_names[n],
                    ep[i]->stat->last_outcomes[n]);
            }
        }
    }

    ngx_http_s3_abort_help("storage_responses_total", "counter",
        "Attempts by the class of the storage's response.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        for (n = 0; ep[i]->stat && n < NGX_HTTP_S3_ABORT_NCLASSES; n++) {
            ngx_http_s3_abort_write(w,
                "s3_abort_storage_responses_total{endpoint=\"%V\","
                "class=\"%s\"} %uA\n", &ep[i]->name,
                ngx_http_s3_abort_class_names[n], ep[i]->stat->responses[n]);
        }
    }

    ngx_http_s3_abort_help("storage_retries_total", "counter",
        "Attempts that followed another one.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ep[i]->stat) {
            ngx_http_s3_abort_write(w,
                "s3_abort_storage_retries_total{endpoint=\"%V\"} %uA\n",
                &ep[i]->name, ep[i]->stat->retries);
        }
    }

    ngx_http_s3_abort_help("storage_unauthorized_total", "counter",
        "Aborts for which the storage refused the gateway's credentials.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ep[i]->stat) {
            ngx_http_s3_abort_write(w,
                "s3_abort_storage_unauthorized_total{endpoint=\"%V\"} %uA\n",
                &ep[i]->name, ep[i]->stat->unauthorized);
        }
    }

    ngx_http_s3_abort_help("last_unauthorized_timestamp_seconds", "gauge",
        "When the storage last refused the gateway's credentials.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ep[i]->stat && ep[i]->stat->last_unauthorized) {
            ngx_http_s3_abort_write(w,
                "s3_abort_last_unauthorized_timestamp_seconds"
                "{endpoint=\"%V\"} %uA\n",
                &ep[i]->name, ep[i]->stat->last_unauthorized);
        }
    }

    ngx_http_s3_abort_help("storage_unconfirmed_total", "counter",
        "Aborts of which the storage did not say whether parts remain.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ep[i]->stat) {
            ngx_http_s3_abort_write(w,
                "s3_abort_storage_unconfirmed_total{endpoint=\"%V\"} %uA\n",
                &ep[i]->name, ep[i]->stat->unconfirmed);
        }
    }

    ngx_http_s3_abort_help("storage_latency_seconds", "histogram",
        "Time that the storage took for an abort, with retries.");

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ep[i]->stat) {
            ngx_http_s3_abort_write_latency(w, ep[i]);
        }
    }

    ngx_http_s3_abort_help("file_loads_total", "counter",
        "Times a worker or a reload read a file of secrets.");

    for (i = 0; i < smcf->files.nelts; i++) {
        if (ngx_http_s3_abort_is_shown(file, i)) {
            ngx_http_s3_abort_write_file(w, "loads_total", file[i]);
            ngx_http_s3_abort_write(w, "%uA\n", file[i]->stat->loads);
        }
    }

    ngx_http_s3_abort_help("file_failures_total", "counter",
        "Times a file of secrets could not be read, and the old one stayed.");

    for (i = 0; i < smcf->files.nelts; i++) {
        if (ngx_http_s3_abort_is_shown(file, i)) {
            ngx_http_s3_abort_write_file(w, "failures_total", file[i]);
            ngx_http_s3_abort_write(w, "%uA\n", file[i]->stat->failures);
        }
    }

    ngx_http_s3_abort_help("file_age_seconds", "gauge",
        "Time since a file of secrets was read last.");

    for (i = 0; i < smcf->files.nelts; i++) {
        if (ngx_http_s3_abort_is_shown(file, i)) {
            ngx_http_s3_abort_write_file(w, "age_seconds", file[i]);
            ngx_http_s3_abort_write(w, "%T\n", ngx_time()
                                       - (time_t) file[i]->stat->loaded);
        }
    }

    ngx_http_s3_abort_help("file_modified_timestamp_seconds", "gauge",
        "When the file of secrets that is in use was modified.");

    for (i = 0; i < smcf->files.nelts; i++) {
        if (ngx_http_s3_abort_is_shown(file, i)) {
            ngx_http_s3_abort_write_file(w, "modified_timestamp_seconds",
                                         file[i]);
            ngx_http_s3_abort_write(w, "%T\n",
                                    (time_t) file[i]->stat->modified);
        }
    }

    ngx_http_s3_abort_help("file_stale", "gauge",
        "Whether a file of secrets went bad, and an old one is in use.");

    for (i = 0; i < smcf->files.nelts; i++) {
        if (ngx_http_s3_abort_is_shown(file, i)) {
            ngx_http_s3_abort_write_file(w, "stale", file[i]);
            ngx_http_s3_abort_write(w, "%ui\n",
                                    ngx_http_s3_abort_is_stale(file[i]));
        }
    }

    ngx_http_s3_abort_help("config_loaded_timestamp_seconds", "gauge",
        "When the configuration was loaded.");
    ngx_http_s3_abort_write(w, "s3_abort_config_loaded_timestamp_seconds "
                               "%T\n", smcf->loaded);

    ngx_http_s3_abort_help("policy_match_limits_total", "counter",
        "Requests in which a regular expression hit its match limit.");
    ngx_http_s3_abort_write(w, "s3_abort_policy_match_limits_total %uA\n",
                            smcf->counters->match_limits);

    ngx_http_s3_abort_help("candidate_differences_total", "counter",
        "Requests that a candidate policy would have decided differently.");
    ngx_http_s3_abort_write(w, "s3_abort_candidate_differences_total %uA\n",
                            smcf->counters->candidates);
}


static void
ngx_http_s3_abort_write_latency(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_endpoint_t *ep)
{
    ngx_uint_t         n;
    ngx_atomic_uint_t  count;

    count = 0;

    for (n = 0; n < NGX_HTTP_S3_ABORT_NBUCKETS; n++) {
        count += ep->stat->latency[n];

        ngx_http_s3_abort_write(w,
            "s3_abort_storage_latency_seconds_bucket{endpoint=\"%V\","
            "le=\"%s\"} %uA\n", &ep->name, ngx_http_s3_abort_bucket_names[n],
            count);
    }

    ngx_http_s3_abort_write(w,
        "s3_abort_storage_latency_seconds_sum{endpoint=\"%V\"} %uA.%03uA\n"
        "s3_abort_storage_latency_seconds_count{endpoint=\"%V\"} %uA\n",
        &ep->name, ep->stat->latency_msec / 1000,
        ep->stat->latency_msec % 1000, &ep->name, count);
}


/* a file that several endpoints have is shown once */

static ngx_uint_t
ngx_http_s3_abort_is_shown(ngx_http_s3_abort_file_t **file, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (file[i]->stat == file[n]->stat) {
            return 0;
        }
    }

    return file[n]->stat != NULL;
}


/* a label's value has backslashes before itself and quotes */

static void
ngx_http_s3_abort_write_file(ngx_http_s3_abort_writer_t *w, const char *name,
    ngx_http_s3_abort_file_t *file)
{
    size_t  i;

    ngx_http_s3_abort_write(w, "s3_abort_file_%s{file=\"", name);

    for (i = 0; i < file->path.len; i++) {

        if (file->path.data[i] == '"' || file->path.data[i] == '\\') {
            ngx_http_s3_abort_write(w, "\\");
        }

        ngx_http_s3_abort_write(w, "%c", file->path.data[i]);
    }

    ngx_http_s3_abort_write(w, "\"} ");
}


static ngx_uint_t
ngx_http_s3_abort_is_stale(ngx_http_s3_abort_file_t *file)
{
    return ngx_time() < (time_t) file->stat->stale;
}


static void
ngx_http_s3_abort_write_json(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_main_conf_t *smcf)
{
    ngx_uint_t                      i, n;
    ngx_http_s3_abort_file_t      **file;
    ngx_http_s3_abort_endpoint_t  **ep;

    ep = smcf->endpoints.elts;
    file = smcf->files.elts;

    ngx_http_s3_abort_write(w, "{\"time\":%T,\"loaded\":%T,\n"
                               "\"requests\":[", ngx_time(), smcf->loaded);

    ngx_http_s3_abort_write_requests(w, smcf->counters,
        ",\n{\"decision\":\"%s\",\"code\":\"%V\",\"count\":%uA}");

    ngx_http_s3_abort_write(w, "],\n\"decisions\":{");
    w->comma = 0;

    for (n = 0; n < NGX_HTTP_S3_ABORT_NDECISIONS; n++) {
        ngx_http_s3_abort_write(w, ",\"%s\":%uA",
                                ngx_http_s3_abort_decision_names[n],
                                ngx_http_s3_abort_decided(smcf->counters, n));
    }

    ngx_http_s3_abort_write(w, "},\n\"last_requests\":{");
    w->comma = 0;

    for (n = 0; n < NGX_HTTP_S3_ABORT_NDECISIONS; n++) {
        if (smcf->counters->last_requests[n]) {
            ngx_http_s3_abort_write(w, ",\"%s\":%uA",
                                    ngx_http_s3_abort_decision_names[n],
                                    smcf->counters->last_requests[n]);
        }
    }

    ngx_http_s3_abort_write(w, "},\n\"endpoints\":[");
    w->comma = 0;

    for (i = 0; i < smcf->endpoints.nelts; i++) {
        if (ep[i]->stat) {
            ngx_http_s3_abort_write_json_endpoint(w, ep[i]);
        }
    }

    ngx_http_s3_abort_write(w, "],\n\"files\":[");
    w->comma = 0;

    for (i = 0; i < smcf->files.nelts; i++) {
        if (!ngx_http_s3_abort_is_shown(file, i)) {
            continue;
        }

        ngx_http_s3_abort_write(w, ",\n{\"file\":\"");
        ngx_http_s3_abort_write_json_path(w, &file[i]->path);
        ngx_http_s3_abort_write(w,
            "\",\"loads\":%uA,\"failures\":%uA,\"age_seconds\":%T,"
            "\"modified\":%T,\"stale\":%ui}",
            file[i]->stat->loads, file[i]->stat->failures,
            ngx_time() - (time_t) file[i]->stat->loaded,
            (time_t) file[i]->stat->modified,
            ngx_http_s3_abort_is_stale(file[i]));
    }

    ngx_http_s3_abort_write(w,
        "],\n\"policy_match_limits\":%uA,\n\"candidate_differences\":%uA}\n",
        smcf->counters->match_limits, smcf->counters->candidates);
}


static void
ngx_http_s3_abort_write_json_endpoint(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_endpoint_t *ep)
{
    ngx_uint_t         n;
    ngx_atomic_uint_t  count;

    ngx_http_s3_abort_write(w, ",\n{\"endpoint\":\"%V\",\"credentials\":\"",
                            &ep->name);
    ngx_http_s3_abort_write_json_path(w, &ep->credentials->file.path);
    ngx_http_s3_abort_write(w, "\",\"outcomes\":{");
    w->comma = 0;

    for (n = 1; n < NGX_HTTP_S3_ABORT_NOUTCOMES; n++) {
        ngx_http_s3_abort_write(w, ",\"%s\":%uA",
                                ngx_http_s3_abort_outcome_names[n],
                                ep->stat->outcomes[n]);
    }

    ngx_http_s3_abort_write(w, "},\"last_outcomes\":{");
    w->comma = 0;

    for (n = 1; n < NGX_HTTP_S3_ABORT_NOUTCOMES; n++) {
        if (ep->stat->last_outcomes[n]) {
            ngx_http_s3_abort_write(w, ",\"%s\":%uA",
                                    ngx_http_s3_abort_outcome_names[n],
                                    ep->stat->last_outcomes[n]);
        }
    }

    ngx_http_s3_abort_write(w, "},\"responses\":{");
    w->comma = 0;

    for (n = 0; n < NGX_HTTP_S3_ABORT_NCLASSES; n++) {
        ngx_http_s3_abort_write(w, ",\"%s\":%uA",
                                ngx_http_s3_abort_class_names[n],
                                ep->stat->responses[n]);
    }

    ngx_http_s3_abort_write(w, "},\"latency\":{");
    w->comma = 0;
    count = 0;

    for (n = 0; n < NGX_HTTP_S3_ABORT_NBUCKETS; n++) {
        count += ep->stat->latency[n];

        ngx_http_s3_abort_write(w, ",\"%s\":%uA",
                                ngx_http_s3_abort_bucket_names[n], count);
    }

    ngx_http_s3_abort_write(w,
        "},\"latency_sum\":%uA.%03uA,\"retries\":%uA,\"unauthorized\":%uA,"
        "\"last_unauthorized\":%uA,\"unconfirmed\":%uA}",
        ep->stat->latency_msec / 1000, ep->stat->latency_msec % 1000,
        ep->stat->retries, ep->stat->unauthorized,
        ep->stat->last_unauthorized, ep->stat->unconfirmed);
}


static void
ngx_http_s3_abort_write_json_path(ngx_http_s3_abort_writer_t *w,
    ngx_str_t *path)
{
    if (w->pos + 6 * path->len < w->end) {
        w->pos = (u_char *) ngx_escape_json(w->pos, path->data, path->len);
    }
}


/* several errors have one code; what never happened is left out */

static void
ngx_http_s3_abort_write_requests(ngx_http_s3_abort_writer_t *w,
    ngx_http_s3_abort_counters_t *counters, const char *format)
{
    ngx_str_t          code;
    ngx_uint_t         d, i, n;
    ngx_atomic_uint_t  count;
    static s3_str_t    ok = s3_string("OK");

    for (d = 0; d < NGX_HTTP_S3_ABORT_NDECISIONS; d++) {
        for (i = 0; i < S3_NERRORS; i++) {

            if (i == S3_DECLINED) {
                continue;
            }

            code = ngx_http_s3_abort_str(i == S3_OK ? ok : s3_error_code(i));
            count = counters->requests[d][i];

            for (n = S3_ACCESS_DENIED; i != S3_OK && n < S3_NERRORS; n++) {

                if (n == i || !s3_str_eq(s3_error_code(n), s3_error_code(i))) {
                    continue;
                }

                if (n < i) {
                    count = 0;
                    break;
                }

                count += counters->requests[d][n];
            }

            if (count) {
                ngx_http_s3_abort_write(w, format,
                                        ngx_http_s3_abort_decision_names[d],
                                        &code, count);
            }
        }
    }
}


/* shown from 0 on, which rates of rare refusals need */

static ngx_atomic_uint_t
ngx_http_s3_abort_decided(ngx_http_s3_abort_counters_t *counters,
    ngx_uint_t decision)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  count;

    count = 0;

    for (i = 0; i < S3_NERRORS; i++) {
        count += counters->requests[decision][i];
    }

    return count;
}


/* a comma that begins the first element of a JSON list is left out */

static void
ngx_http_s3_abort_write(ngx_http_s3_abort_writer_t *w, const char *fmt, ...)
{
    va_list  args;

    if (*fmt == ',') {
        if (!w->comma) {
            fmt++;
        }

        w->comma = 1;
    }

    va_start(args, fmt);
    w->pos = ngx_vslprintf(w->pos, w->end, fmt, args);
    va_end(args);
}
