
#include "s3_error.h"
#include "s3_uri.h"


static int s3_error_tag(s3_str_t *text, s3_str_t *name, int *empty);
static size_t s3_error_escaped_len(s3_str_t s);
static u_char *s3_error_escape(u_char *dst, s3_str_t s);
static s3_str_t s3_error_escaped(s3_str_t *s, int text);


#define S3_CODE_MAX  64


static const struct {
    s3_str_t   code;
    unsigned   status;
    s3_str_t   message;
} s3_errors[S3_NERRORS] = {

#define s3_error_entry(e, status, code, message)                             \
    [e] = { s3_string(code), status, s3_string(message) }

    s3_error_entry(S3_ACCESS_DENIED, 403, "AccessDenied",
        "Access Denied"),
    s3_error_entry(S3_ACCESS_DENIED_EXPIRED, 403, "AccessDenied",
        "Request has expired"),
    s3_error_entry(S3_ACCESS_DENIED_FUTURE, 403, "AccessDenied",
        "Request is not valid yet"),
    s3_error_entry(S3_ACCESS_DENIED_NO_DATE, 403, "AccessDenied",
        "AWS authentication requires a valid x-amz-date"),
    s3_error_entry(S3_ACCESS_DENIED_UNSIGNED_HOST, 403, "AccessDenied",
        "The Host header must be signed"),
    s3_error_entry(S3_ACCESS_DENIED_UNSIGNED_HEADER, 403, "AccessDenied",
        "There were headers present in the request which were not signed"),
    s3_error_entry(S3_ACCESS_DENIED_TOKEN, 403, "AccessDenied",
        "This key takes no session token"),
    s3_error_entry(S3_AUTHORIZATION_MALFORMED, 400,
        "AuthorizationHeaderMalformed",
        "The authorization is malformed"),
    s3_error_entry(S3_AUTHORIZATION_BAD_DATE, 400,
        "AuthorizationHeaderMalformed",
        "The credential scope's date is not that of x-amz-date"),
    s3_error_entry(S3_AUTHORIZATION_BAD_REGION, 400,
        "AuthorizationHeaderMalformed",
        "The credential scope's region is wrong"),
    s3_error_entry(S3_AUTHORIZATION_NOT_SIGV4, 400, "InvalidRequest",
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256 (Signature Version 4)."),
    s3_error_entry(S3_AUTHORIZATION_TWICE, 400, "InvalidArgument",
        "Only one auth mechanism is allowed, and each header is signed once"),
    s3_error_entry(S3_BAD_GATEWAY, 502, "ServiceUnavailable",
        "The storage is not available. Please try again."),
    s3_error_entry(S3_BAD_PAYLOAD_HASH, 400, "InvalidRequest",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or the hash of an "
        "empty body"),
    s3_error_entry(S3_BODY, 400, "InvalidRequest",
        "AbortMultipartUpload takes no body"),
    s3_error_entry(S3_EMPTY_KEY, 400, "InvalidRequest",
        "A key must be specified"),
    s3_error_entry(S3_ENTITY_TOO_LARGE, 413, "EntityTooLarge",
        "AbortMultipartUpload takes no body"),
    s3_error_entry(S3_GATEWAY_TIMEOUT, 504, "ServiceUnavailable",
        "The storage did not answer in time. Please try again."),
    s3_error_entry(S3_HEADER_NOT_ALLOWED, 400, "InvalidRequest",
        "A header of the request is not supported for AbortMultipartUpload"),
    s3_error_entry(S3_INTERNAL_ERROR, 500, "InternalError",
        "We encountered an internal error. Please try again."),
    s3_error_entry(S3_INVALID_ACCESS_KEY_ID, 403, "InvalidAccessKeyId",
        "The access key Id you provided does not exist in our records."),
    s3_error_entry(S3_INVALID_ARGUMENT, 400, "InvalidArgument",
        "Invalid Argument"),
    s3_error_entry(S3_INVALID_BUCKET_NAME, 400, "InvalidBucketName",
        "The specified bucket is not valid."),
    s3_error_entry(S3_INVALID_EXPIRES, 400,
        "AuthorizationQueryParametersError",
        "X-Amz-Expires must be a number of 1 to 604800"),
    s3_error_entry(S3_INVALID_HOST, 400, "InvalidRequest",
        "The Host header is not valid"),
    s3_error_entry(S3_INVALID_PARAMETER, 400, "InvalidArgument",
        "A query parameter is not supported for AbortMultipartUpload"),
    s3_error_entry(S3_INVALID_REQUEST, 400, "InvalidRequest",
        "Invalid Request"),
    s3_error_entry(S3_INVALID_UPLOAD_ID, 400, "InvalidArgument",
        "The upload id is not valid"),
    s3_error_entry(S3_INVALID_URI, 400, "InvalidURI",
        "Couldn't parse the specified URI."),
    s3_error_entry(S3_KEY_TOO_LONG, 400, "KeyTooLongError",
        "Your key is too long"),
    s3_error_entry(S3_METHOD_NOT_ALLOWED, 405, "MethodNotAllowed",
        "The specified method is not allowed against this resource."),
    s3_error_entry(S3_NOT_FOUND, 404, "NotFound",
        "Not Found"),
    s3_error_entry(S3_NO_SUCH_BUCKET, 404, "NoSuchBucket",
        "The specified bucket does not exist"),
    s3_error_entry(S3_NO_SUCH_UPLOAD, 404, "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, "
        "or the upload may have been aborted or completed."),
    s3_error_entry(S3_NOT_IMPLEMENTED, 501, "NotImplemented",
        "This operation is not implemented"),
    s3_error_entry(S3_OPERATION_ABORTED, 409, "OperationAborted",
        "A conflicting operation is currently in progress against this "
        "resource. Please try again."),
    s3_error_entry(S3_PRECONDITION_FAILED, 412, "PreconditionFailed",
        "At least one of the preconditions you specified did not hold"),
    s3_error_entry(S3_REQUEST_TIMEOUT, 408, "RequestTimeout",
        "The request was not read within the timeout period"),
    s3_error_entry(S3_REQUEST_TIME_TOO_SKEWED, 403, "RequestTimeTooSkewed",
        "The difference between the request time and the current time is "
        "too large."),
    s3_error_entry(S3_SIGNATURE_DOES_NOT_MATCH, 403, "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature "
        "you provided. Check your key and signing method."),
    s3_error_entry(S3_SLOW_DOWN, 503, "SlowDown",
        "Please reduce your request rate.")
};


/*
 * By status and, where it says more, by code; the first match counts.  Codes
 * that blame the signature, the key or the clock blame the gateway.
 */

static const struct {
    unsigned       status;
    s3_str_t       code;              /* empty: any */
    s3_answer_t    answer;
} s3_error_answers[] = {

#define s3_gateway(status, code)                                             \
    { status, s3_string(code), { S3_STORAGE_UNAUTHORIZED, S3_INTERNAL_ERROR } }
#define s3_refused(status, code, e)                                          \
    { status, s3_string(code), { S3_STORAGE_REFUSED, e } }

    { 204, s3_string(""), { S3_STORAGE_ABORTED, S3_OK } },

    { 404, s3_string("NoSuchBucket"),
      { S3_STORAGE_REFUSED, S3_NO_SUCH_BUCKET } },
    { 404, s3_string(""), { S3_STORAGE_GONE, S3_NO_SUCH_UPLOAD } },

    s3_gateway(403, "SignatureDoesNotMatch"),
    s3_gateway(403, "InvalidAccessKeyId"),
    s3_gateway(403, "RequestTimeTooSkewed"),
    s3_gateway(403, "RequestExpired"),
    s3_gateway(403, "ExpiredToken"),
    s3_gateway(403, "InvalidToken"),
    s3_gateway(403, "InvalidTokenId"),
    s3_gateway(403, "InvalidSecurity"),
    s3_gateway(403, "NotSignedUp"),
    s3_gateway(400, "ExpiredToken"),
    s3_gateway(400, "InvalidToken"),
    s3_gateway(400, "TokenRefreshRequired"),
    s3_gateway(400, "RequestTimeTooSkewed"),
    s3_gateway(400, "AuthorizationHeaderMalformed"),
    s3_gateway(401, ""),
    s3_refused(403, "", S3_ACCESS_DENIED),

    s3_refused(400, "InvalidArgument", S3_INVALID_ARGUMENT),
    s3_refused(400, "InvalidBucketName", S3_INVALID_BUCKET_NAME),
    s3_refused(400, "InvalidURI", S3_INVALID_URI),
    s3_refused(400, "KeyTooLong", S3_KEY_TOO_LONG),
    s3_refused(400, "KeyTooLongError", S3_KEY_TOO_LONG),
    s3_refused(400, "", S3_INVALID_REQUEST),

    s3_refused(405, "", S3_METHOD_NOT_ALLOWED),
    s3_refused(409, "", S3_OPERATION_ABORTED),
    s3_refused(412, "", S3_PRECONDITION_FAILED),
    s3_refused(501, "", S3_NOT_IMPLEMENTED),

    { 429, s3_string(""), { S3_STORAGE_BUSY, S3_SLOW_DOWN } },
    { 503, s3_string(""), { S3_STORAGE_BUSY, S3_SLOW_DOWN } },

    { 500, s3_string(""), { S3_STORAGE_FAILED, S3_INTERNAL_ERROR } },
    { 504, s3_string(""), { S3_STORAGE_FAILED, S3_GATEWAY_TIMEOUT } },
    { 0, s3_string(""), { S3_STORAGE_FAILED, S3_BAD_GATEWAY } }
};


static const s3_str_t  s3_xml_parts[] = {
    s3_string("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>"),
    s3_string("</Code><Message>"),
    s3_string("</Message>"),
    s3_string("<Region>"),
    s3_string("</Region>"),
    s3_string("<Resource>"),
    s3_string("</Resource><RequestId>"),
    s3_string("</RequestId></Error>")
};


s3_str_t
s3_error_code(s3_error_t e)
{
    return s3_errors[e].code;
}


s3_str_t
s3_error_message(s3_error_t e)
{
    return s3_errors[e].message;
}


unsigned
s3_error_status(s3_error_t e)
{
    return s3_errors[e].status;
}


s3_error_t
s3_error_from_status(unsigned status)
{
    switch (status) {

    case 401:
    case 403:
        return S3_ACCESS_DENIED;

    case 404:
        return S3_NOT_FOUND;

    case 405:
        return S3_METHOD_NOT_ALLOWED;

    case 408:
        return S3_REQUEST_TIMEOUT;

    case 412:
        return S3_PRECONDITION_FAILED;

    case 413:
        return S3_ENTITY_TOO_LARGE;

    case 414:
        return S3_INVALID_URI;

    case 429:
    case 503:
        return S3_SLOW_DOWN;

    case 501:
        return S3_NOT_IMPLEMENTED;

    case 502:
        return S3_BAD_GATEWAY;

    case 504:
        return S3_GATEWAY_TIMEOUT;
    }

    return status < 500 ? S3_INVALID_REQUEST : S3_INTERNAL_ERROR;
}


s3_answer_t
s3_error_from_storage(unsigned status, s3_str_t code)
{
    size_t  i;

    for (i = 0; s3_error_answers[i].status; i++) {

        if (s3_error_answers[i].status == status
            && (s3_error_answers[i].code.len == 0
                || s3_str_eq(s3_error_answers[i].code, code)))
        {
            break;
        }
    }

    return s3_error_answers[i].answer;
}


s3_str_t
s3_error_find_code(s3_str_t body)
{
    int                     empty;
    u_char                  c;
    size_t                  i;
    unsigned                depth;
    s3_str_t                name, code, none = { 0, NULL };
    static const s3_str_t   name_error = s3_string("Error");
    static const s3_str_t   name_code = s3_string("Code");

    depth = 0;

    while (s3_error_tag(&body, &name, &empty)) {

        if (empty || (name.data[0] == '?' && depth == 0)) {
            continue;
        }

        if (name.data[0] == '/') {
            if (depth <= 1) {
                return none;
            }

            depth--;
            continue;
        }

        if (depth == 0 && !s3_str_eq(name, name_error)) {
            return none;
        }

        if (depth != 1 || !s3_str_eq(name, name_code)) {
            depth++;
            continue;
        }

        code = body;

        for (i = 0; i < body.len && i <= S3_CODE_MAX; i++) {
            c = body.data[i];

            if ((c < '0' || c > '9') && (c < 'A' || c > 'Z')
                && (c < 'a' || c > 'z') && c != '.' && c != '_' && c != '-')
            {
                break;
            }
        }

        code.len = i;

        if (i > S3_CODE_MAX || body.len - i < sizeof("</Code>") - 1
            || memcmp(body.data + i, "</Code>", sizeof("</Code>") - 1) != 0)
        {
            return none;
        }

        return code;
    }

    return none;
}


s3_parts_t
s3_error_find_parts(s3_str_t body)
{
    int                     empty;
    unsigned                depth;
    s3_str_t                name;
    static const s3_str_t   name_root = s3_string("ListPartsResult");
    static const s3_str_t   name_end = s3_string("/ListPartsResult");
    static const s3_str_t   name_part = s3_string("Part");

    depth = 0;

    while (s3_error_tag(&body, &name, &empty)) {

        if (name.data[0] == '?' && depth == 0) {
            continue;
        }

        if (name.data[0] == '/') {

            if (depth > 1) {
                depth--;
                continue;
            }

            return depth == 1 && s3_str_eq(name, name_end) ? S3_PARTS_NONE
                                                           : S3_PARTS_UNKNOWN;
        }

        if (depth == 0 && (empty || !s3_str_eq(name, name_root))) {
            return S3_PARTS_UNKNOWN;
        }

        if (depth == 1 && s3_str_eq(name, name_part)) {
            return S3_PARTS_REMAIN;
        }

        if (!empty) {
            depth++;
        }
    }

    return S3_PARTS_UNKNOWN;
}


size_t
s3_error_xml_len(const s3_error_xml_t *x)
{
    size_t  i, len;

    len = s3_error_code(x->error).len + s3_error_message(x->error).len
          + s3_error_escaped_len(x->resource) + x->request_id.len
          + s3_error_escaped_len(x->region);

    for (i = 0; i < sizeof(s3_xml_parts) / sizeof(s3_xml_parts[0]); i++) {
        if (x->region.len || (i != 3 && i != 4)) {
            len += s3_xml_parts[i].len;
        }
    }

    return len;
}


u_char *
s3_error_xml(u_char *dst, const s3_error_xml_t *x)
{
    dst = s3_put(dst, s3_xml_parts[0]);
    dst = s3_put(dst, s3_error_code(x->error));
    dst = s3_put(dst, s3_xml_parts[1]);
    dst = s3_put(dst, s3_error_message(x->error));
    dst = s3_put(dst, s3_xml_parts[2]);

    if (x->region.len) {
        dst = s3_put(dst, s3_xml_parts[3]);
        dst = s3_error_escape(dst, x->region);
        dst = s3_put(dst, s3_xml_parts[4]);
    }

    dst = s3_put(dst, s3_xml_parts[5]);
    dst = s3_error_escape(dst, x->resource);
    dst = s3_put(dst, s3_xml_parts[6]);
    dst = s3_put(dst, x->request_id);

    return s3_put(dst, s3_xml_parts[7]);
}


/*
 * Cuts everything through the next tag off the front and returns its name
 * ("/" or "?" in front included), without attributes, and whether it is an
 * empty element's.  Returns 0 at the end and where there is more than plain
 * elements.
 */

static int
s3_error_tag(s3_str_t *text, s3_str_t *name, int *empty)
{
    u_char  *p, *end, *last, quote;

    last = text->data + text->len;

    p = text->len ? memchr(text->data, '<', text->len) : NULL;
    if (p == NULL) {
        return 0;
    }

    p++;
    quote = '\0';

    for (end = p; end < last && (quote || *end != '>'); end++) {

        if (*end == '<') {
            return 0;
        }

        if (*end == quote) {
            quote = '\0';

        } else if (!quote && (*end == '"' || *end == '\'')) {
            quote = *end;
        }
    }

    if (end == last || *p == '!') {
        return 0;
    }

    *empty = (end[-1] == '/');

    text->data = end + 1;
    text->len = (size_t) (last - text->data);

    name->data = p;

    while (p < end - *empty && *p != ' ' && *p != '\t' && *p != '\r'
           && *p != '\n')
    {
        p++;
    }

    name->len = (size_t) (p - name->data);

    return name->len != 0;
}


/* most need no escape at all */

static size_t
s3_error_escaped_len(s3_str_t s)
{
    int     text;
    size_t  len;

    len = s3_uri_span(s, 0, S3_URI_PATH);

    if (len == s.len) {
        return len;
    }

    text = s3_uri_is_text(s);

    s.data += len;
    s.len -= len;

    while (s.len) {
        len += s3_error_escaped(&s, text).len;
    }

    return len;
}


static u_char *
s3_error_escape(u_char *dst, s3_str_t s)
{
    int       text;
    s3_str_t  plain;

    plain.data = s.data;
    plain.len = s3_uri_span(s, 0, S3_URI_PATH);

    dst = s3_put(dst, plain);

    if (plain.len == s.len) {
        return dst;
    }

    text = s3_uri_is_text(s);

    s.data += plain.len;
    s.len -= plain.len;

    while (s.len) {
        dst = s3_put(dst, s3_error_escaped(&s, text));
    }

    return dst;
}


/* cuts a byte off the front, and returns what is written for it */

static s3_str_t
s3_error_escaped(s3_str_t *s, int text)
{
    size_t    n;
    s3_str_t  part;

    static const s3_str_t  amp = s3_string("&amp;");
    static const s3_str_t  lt = s3_string("&lt;");
    static const s3_str_t  gt = s3_string("&gt;");
    static const s3_str_t  unknown = s3_string("?");

    part.data = s->data;
    part.len = 1;
    n = 1;

    if (*part.data == '&') {
        part = amp;

    } else if (*part.data == '<') {
        part = lt;

    } else if (*part.data == '>') {
        part = gt;

    } else if (!text && (*part.data < 0x20 || *part.data >= 0x7f)) {
        part = unknown;

    } else if (text && *part.data == 0xef && part.data[1] == 0xbf
               && part.data[2] >= 0xbe)
    {
        /* U+FFFE and U+FFFF are UTF-8, but no characters of XML */

        part = unknown;
        n = 3;
    }

    s->data += n;
    s->len -= n;

    return part;
}
