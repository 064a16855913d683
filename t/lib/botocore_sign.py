#!/usr/bin/python3

"""Random requests, signed by botocore, for t/sigv4_botocore.t.

Prints lines of "GROUP<tab>EXPECTED<tab>INPUT": INPUT is for build/unit/signer,
EXPECTED is what it has to answer, "!x" being anything but x.

Usage: botocore_sign.py SEED COUNT
"""

import datetime
import random
import sys
import types
from urllib.parse import quote, urlsplit

import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

REGIONS = ['kr-standard', 'us-standard', 'jp-standard', 'us-east-1', 'kr']
HOSTS = ['kr.object.ncloudstorage.com', 's3.example.com', 'localhost:9000',
         '127.0.0.1:8080', '[::1]:9000']
PARTS = ['a', 'Z', '9', '-', '_', '.', '~', ' ', '  ', '+', '%', '%2F', '%25',
         '"', "'", '(', ')', '*', '!', '&', '=', ';', ':', '@', ',', '$', '?',
         '#', '[', ']', '{', '}', '|', '\\', '^', '`', '<', '>', '//', '/',
         '/a/', '가', '나.bin', '한국어', 'é', 'e\u0301', '日本', '😀', 'ß']
ID_CHARS = ('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
            '._~+=-')

now = None


class Clock(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return now


clock = types.SimpleNamespace(
    datetime=Clock, timedelta=datetime.timedelta, timezone=datetime.timezone)

botocore.auth.datetime = clock

# a client signs with the AWS Common Runtime, which is a third opinion, where
# that is installed

try:
    import botocore.crt.auth
    botocore.crt.auth.datetime = clock
except ImportError:
    pass


def set_clock():
    global now
    now = datetime.datetime(1970, 1, 1) + datetime.timedelta(
        seconds=rnd.randrange(1262304000, 4102444800))


def amz_time(t):
    return t.strftime('%Y%m%dT%H%M%SZ')


def text(alphabet, low, high):
    return ''.join(rnd.choice(alphabet) for _ in range(rnd.randint(low, high)))


def random_bucket():
    inner = 'abcdefghijklmnopqrstuvwxyz0123456789-'
    ends = inner[:-1]
    return rnd.choice('abcxyz') + text(inner, 1, 20) + rnd.choice(ends)


def random_key():
    while True:
        key = text(PARTS, 1, 12)
        segments = key.split('/')
        if any(segments) and not any(s in ('.', '..') for s in segments):
            return key


def random_id():
    if rnd.random() < 0.3:
        h = '%032x' % rnd.getrandbits(128)
        return '-'.join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))

    while True:
        upload_id = text(ID_CHARS, 1, 40)
        if upload_id not in ('.', '..'):
            return upload_id


def random_credentials(token):
    printable = ''.join(map(chr, range(33, 127)))
    return Credentials(
        rnd.choice(['AKID', 'ncp_iam_']) + text(ID_CHARS[:62], 4, 30),
        text(printable, 1, 80),
        text(ID_CHARS[:62] + '+/=', 4, 300) if token else None)


def line(group, expected, command, *fields):
    print(group, expected, ' '.join(
        [command] + [f.encode().hex() or '-' for f in fields]), sep='\t')


def encode(s, safe):
    return quote(s, safe=safe)


def signature(request):
    return request.headers['Authorization'].split('Signature=')[1]


# what the gateway sends


def gateway_headers():
    creds = random_credentials(rnd.random() < 0.4)
    bucket, key, upload_id = random_bucket(), random_key(), random_id()
    region, host = rnd.choice(REGIONS), rnd.choice(HOSTS)
    path = '/' + encode(key, '/')

    if rnd.random() < 0.5:
        path = '/' + bucket + path
        in_path = bucket
    else:
        host = bucket + '.' + rnd.choice(HOSTS[:3])
        in_path = ''

    request = AWSRequest(
        method='DELETE', headers={},
        url=f'https://{host}{path}?uploadId={encode(upload_id, "")}')

    if rnd.random() < 0.3:
        request.headers['x-amz-expected-bucket-owner'] = text('0123456789',
                                                              12, 12)
    if rnd.random() < 0.2:
        request.headers['x-amz-request-payer'] = 'requester'
    if rnd.random() < 0.2:
        request.headers['x-amz-if-match-initiated-time'] = \
            'Sat, 18 Mar 2017 03:50:02 GMT'

    botocore.auth.S3SigV4Auth(creds, 's3', region).add_auth(request)

    headers = {k.lower(): v for k, v in request.headers.items()}
    del headers['authorization']
    headers['host'] = host

    line('header', signature(request), 'sign', creds.secret_key, amz_time(now),
         region, 's3', in_path, key, upload_id,
         *[x for name in sorted(headers) for x in (name, headers[name])])


def gateway_presigned():
    creds = random_credentials(rnd.random() < 0.3)
    bucket, key, upload_id = random_bucket(), random_key(), random_id()
    region, host = rnd.choice(REGIONS), rnd.choice(HOSTS)
    expires = rnd.randint(1, 604800)

    request = AWSRequest(
        method='DELETE', headers={},
        url=f'https://{host}/{bucket}/{encode(key, "/")}'
            f'?uploadId={encode(upload_id, "")}')

    botocore.auth.S3SigV4QueryAuth(creds, 's3', region,
                                   expires=expires).add_auth(request)

    line('presigned', request.url.split('X-Amz-Signature=')[1][:64],
         'presign', creds.secret_key, amz_time(now), region, 's3', bucket, key,
         upload_id, host, creds.access_key, str(expires), creds.token or '')


# what tenants send


def spell(s):
    """Another spelling of the same encoded string."""

    out = ''
    i = 0

    while i < len(s):
        if s[i] == '%':
            escape = s[i:i + 3]
            i += 3
            kind = rnd.random()
            char = chr(int(escape[1:], 16))
            if kind < 0.3:
                escape = escape.lower()
            elif kind < 0.5 and char in "!'()*,:@$[]|\"<>^`{}\\":
                escape = char
            out += escape
            continue

        if s[i] not in '/' and rnd.random() < 0.15:
            out += '%%%02x' % ord(s[i])
        else:
            out += s[i]
        i += 1

    return out


def mutate(fields):
    """Changes one letter or digit of one field so that it means another."""

    while True:
        n = rnd.randrange(len(fields))
        s = fields[n]
        places = [i for i, c in enumerate(s) if c.isascii() and c.isalnum()]

        if not places:
            continue

        i = rnd.choice(places)
        hexadecimal = '%' in s[max(0, i - 2):i]
        c = rnd.choice('0123456789abcdef' if hexadecimal else
                       '0123456789abcdefghijklmnopqrstuvwxyz'
                       'ABCDEFGHIJKLMNOPQRSTUVWXYZ')

        if c == s[i] or (hexadecimal and c.lower() == s[i].lower()):
            continue

        return fields[:n] + [s[:i] + c + s[i + 1:]] + fields[n + 1:]


def tenant(group, t, region, creds, target, authorization, headers):
    fixed = [amz_time(t), region, 's3', creds.access_key, creds.secret_key]
    names = sorted(headers)
    sent = [target, authorization] + [headers[name] for name in names]

    def check(expected, sent):
        pairs = [x for pair in zip(names, sent[2:]) for x in pair]
        line(group, expected, 'verify', *fixed, sent[0], sent[1], *pairs)

    check('ok', sent)

    # x-amz-date and the like are signed; so is all that is here

    for _ in range(3):
        check('!ok', mutate(sent))

    other = list(fixed)
    other[4] = other[4][:-1] + ('x' if other[4][-1] != 'x' else 'y')
    pairs = [x for pair in zip(names, sent[2:]) for x in pair]
    line(group, 'SignatureDoesNotMatch', 'verify', *other, *sent[:2], *pairs)


def tenant_style():
    bucket = random_bucket()

    if rnd.random() < 0.5:
        return 's3.example.com', '/' + bucket + '/'

    return bucket + '.s3.example.com', '/'


def tenant_headers():
    creds = random_credentials(False)
    region = rnd.choice(REGIONS)
    host, start = tenant_style()
    path = start + encode(random_key(), '/')
    query = ['uploadId=' + encode(random_id(), '')]

    if rnd.random() < 0.4:
        query.append('x-id=AbortMultipartUpload')
        rnd.shuffle(query)

    if rnd.random() < 0.3:
        host += ':' + str(rnd.randint(1, 65535))

    request = AWSRequest(method='DELETE', headers={},
                         url=f'http://{host}{path}?{"&".join(query)}')

    for _ in range(rnd.randint(0, 6)):
        name = rnd.choice(['', 'x-amz-meta-', 'amz-sdk-', 'x-']) + text(
            'abcdefghijklmnopqrstuvwxyz0123456789-_', 1, 12) + 'a'
        if name not in request.headers:
            request.headers[name] = text(
                list('abcXYZ019 -_=;,/"()+%') + ['  ', '   '], 0, 30)

    if rnd.random() < 0.3:
        request.context['client_config'] = Config(
            s3={'payload_signing_enabled': False})

    botocore.auth.S3SigV4Auth(creds, 's3', region).add_auth(request)

    headers = {k.lower(): v for k, v in request.headers.items()}
    authorization = headers.pop('authorization')
    headers['host'] = host

    names = authorization.split('SignedHeaders=')[1].split(',')[0].split(';')
    headers = {k: v for k, v in headers.items() if k in names}

    if rnd.random() < 0.3:
        authorization = authorization.replace(', ', ',')

    if rnd.random() < 0.5:
        path = start + spell(path[len(start):])
        query = [q if q.startswith('x-id')
                 else 'uploadId=' + spell(q[len('uploadId='):]) for q in query]

    t = now + datetime.timedelta(seconds=rnd.randint(-900, 900))

    tenant('tenant', t, region, creds, path + '?' + '&'.join(query),
           authorization, headers)


def tenant_presigned():
    creds = random_credentials(False)
    region = rnd.choice(REGIONS)
    host, start = tenant_style()
    path = start + encode(random_key(), '/')
    expires = rnd.randint(1, 604800)

    request = AWSRequest(
        method='DELETE', headers={},
        url=f'http://{host}{path}?uploadId={encode(random_id(), "")}')

    if rnd.random() < 0.3:
        request.headers['x-amz-request-payer'] = 'requester'

    botocore.auth.S3SigV4QueryAuth(creds, 's3', region,
                                   expires=expires).add_auth(request)

    parts = request.url.split('?', 1)[1].split('&')
    rnd.shuffle(parts)

    headers = {k.lower(): v for k, v in request.headers.items()}
    headers['host'] = host
    target = urlsplit(request.url).path + '?' + '&'.join(parts)

    t = now + datetime.timedelta(seconds=rnd.randint(-900, expires))
    tenant('tenant presigned', t, region, creds, target, '', headers)

    late = now + datetime.timedelta(seconds=expires + 1)
    line('tenant presigned', 'AccessDenied', 'verify', amz_time(late), region,
         's3', creds.access_key, creds.secret_key, target, '',
         *[x for name in sorted(headers) for x in (name, headers[name])])


def tenant_token():
    creds = random_credentials(True)

    request = AWSRequest(
        method='DELETE', headers={},
        url='http://s3.example.com/bucket/key?uploadId=A')

    botocore.auth.S3SigV4QueryAuth(creds, 's3', 'kr').add_auth(request)

    line('session token', 'AccessDenied', 'verify', amz_time(now), 'kr', 's3',
         creds.access_key, creds.secret_key, request.url.split('.com')[1], '',
         'host', 's3.example.com')


# a whole client, with its own encoding; its requests are taken off before
# they are sent


def whole_client(count):
    creds = random_credentials(False)
    region = rnd.choice(REGIONS)
    style = rnd.choice(['path', 'virtual'])
    sent = []

    client = botocore.session.Session().create_client(
        's3', region_name=region, endpoint_url='http://s3.example.com',
        aws_access_key_id=creds.access_key,
        aws_secret_access_key=creds.secret_key,
        config=Config(signature_version='s3v4', retries={'max_attempts': 0},
                      s3={'addressing_style': style,
                          'payload_signing_enabled': rnd.random() < 0.7}))

    def take(request, **kwargs):
        sent.append(request)
        return AWSResponse(request.url, 204, {}, None)

    client.meta.events.register('before-send.s3', take)

    for _ in range(count):
        set_clock()
        params = dict(Bucket=random_bucket(), Key=random_key(),
                      UploadId=random_id())

        try:
            client.abort_multipart_upload(**params)
        except AttributeError:
            # there is no body to parse
            pass

        request = sent.pop()
        url = urlsplit(request.url)
        headers = {k.lower(): v.decode() if isinstance(v, bytes) else v
                   for k, v in request.headers.items()}
        authorization = headers.pop('authorization')
        headers['host'] = url.netloc

        names = authorization.split('SignedHeaders=')[1]
        names = names.split(',')[0].split(';')
        headers = {k: v for k, v in headers.items() if k in names}

        line('client', authorization.split('Signature=')[1], 'sign',
             creds.secret_key, amz_time(now), region, 's3',
             params['Bucket'] if style == 'path' else '', params['Key'],
             params['UploadId'],
             *[x for name in sorted(headers) for x in (name, headers[name])])

        tenant('client', now, region, creds, url.path + '?' + url.query,
               authorization, headers)

        expires = rnd.randint(1, 604800)
        url = urlsplit(client.generate_presigned_url(
            'abort_multipart_upload', Params=params, ExpiresIn=expires))

        tenant('client presigned', now, region, creds,
               url.path + '?' + url.query, '', {'host': url.netloc})


def main():
    count = int(sys.argv[2])

    for _ in range(count):
        for make in (gateway_headers, gateway_presigned, tenant_headers,
                     tenant_presigned):
            set_clock()
            make()

    for _ in range(8):
        whole_client(count // 32)

    for _ in range(20):
        set_clock()
        tenant_token()


rnd = random.Random(int(sys.argv[1]))

main()
