# Nothing of a client's headers and body travels but the three headers that an
# abort may carry; framing that is not clean is refused.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }
    s3_abort_identity trusted $http_x_tenant;
    client_body_timeout 1s;
    client_max_body_size 100k;
    lingering_timeout 1s;
    lingering_time 2s;

    server {
        listen 127.0.0.1:%%PORT%%;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        underscores_in_headers on;
        ignore_invalid_headers off;
        location / { s3_abort_pass storage policy=all; }
    }
}

EOF

###############################################################################

my $target = '/media/k?uploadId=A';

# done() sees to it that none of these reaches the storage

my @dropped = (
	['D-01 Authorization', 'Authorization', 'AWS4-HMAC-SHA256 Credential=a/'
		. '20260101/kr-standard/s3/aws4_request, SignedHeaders=host, '
		. 'Signature=' . '0123456789abcdef' x 4],
	['D-01 Basic', 'Authorization', 'Basic YTpi'],
	['D-02 security token', 'X-Amz-Security-Token', 'client'],
	['D-02 payload hash', 'x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
	['D-02 date', 'X-Amz-Date', '20200101T000000Z'],
	['D-02 Date', 'Date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
	['amz-sdk headers', 'amz-sdk-invocation-id', 'a', 'amz-sdk-request',
		'attempt=1', 'x-amz-user-agent', 'aws-sdk-js/3'],
	['D-05 If-Match', 'If-Match', '"a"'],
	['D-05 If-None-Match', 'If-None-Match', '*'],
	['D-05 Range', 'Range', 'bytes=0-1'],
	['D-05 If-Modified-Since', 'If-Modified-Since',
		'Thu, 01 Jan 1970 00:00:00 GMT'],
	['D-05 If-Unmodified-Since', 'If-Unmodified-Since',
		'Thu, 01 Jan 1970 00:00:00 GMT'],
	['D-07 Upgrade', 'Connection', 'upgrade, close', 'Upgrade', 'h2c'],
	['D-07 WebSocket', 'Connection', 'Upgrade, close', 'Upgrade',
		'websocket'],
	['D-08 TE', 'TE', 'trailers'],
	['D-08 Trailer', 'Trailer', 'X-A'],
	['D-08 Keep-Alive', 'Keep-Alive', 'timeout=5'],
	['D-08 Proxy', 'Proxy-Connection', 'keep-alive', 'Proxy-Authorization',
		'Basic YTpi', 'Proxy', 'http://a/'],
	['D-08 Expect', 'Expect', '100-continue'],
	['D-08 Expect and a length', 'Expect', '100-continue',
		'Content-Length', '0'],
	['D-14 Content-Length: 0', 'Content-Length', '0'],
	['Content-Type', 'Content-Type', 'application/xml'],
	['User-Agent', 'User-Agent', 'client'],
	['cookies and others', 'Cookie', 'a=b', 'Referer', 'http://a/',
		'Accept', '*/*', 'Via', '1.1 a', 'X-Forwarded-For', '::1'],
	['X-HTTP-Method-Override', 'X-HTTP-Method-Override', 'GET'],
	['X-Accel-Redirect', 'X-Accel-Redirect', '/a'],
	['empty value', 'X-Empty', ''],
);

$t->aborts(map { my ($name, @headers) = @$_;
	[$name, $target, $target, @headers] } @dropped);

$t->aborts(['a client\'s User-Agent', $target, $target, 'User-Agent',
	'client']);
unlike(($t->sent())[0]{raw}, qr/client/, 'User-Agent is ours');

###############################################################################

for my $header ('x-amz-expected-bucket-owner', 'x-amz-request-payer',
	'x-amz-if-match-initiated-time')
{
	my $value = "v-$header";

	$t->aborts(["D-03 $header is carried", $target, $target,
		$header =~ s/^x-amz/X-Amz/r, $value]);
	is(($t->sent())[0]{header}{$header}, $value, "D-03 $header: value");

	$t->aborts(["D-03 $header, twice", $target, qr/^400/, $header, 'a',
		$header, 'b']);
}

$t->aborts(map { ["D-03 $_", $target, '400 InvalidRequest', $_, '1'] }
	qw/ x-amz-bypass-governance-retention x-amz-mfa x-amz-copy-source
	X-Amz-Bypass-Governance-Retention X-AMZ-MFA /);

###############################################################################
#
# Framing; nginx itself refuses most of it, before any location is found

my $chunked = "Transfer-Encoding: chunked\r\n";
my $start = "DELETE $target HTTP/1.1\r\nHost: gw.test\r\nX-Tenant: alice\r\n";

my @framing = (
	['D-09 length and chunked', "Content-Length: 0\r\n$chunked", '400'],
	['D-10 xchunked', "Transfer-Encoding: xchunked\r\n", qr/^(?:400|501)/],
	['D-10 chunked twice', "Transfer-Encoding: chunked, chunked\r\n",
		qr/^(?:400|501)/],
	['D-10 two lines', "$chunked$chunked", qr/^400/],
	['D-10 with a parameter', "Transfer-Encoding: chunked;q=1\r\n",
		qr/^(?:400|501)/],
	['D-10 identity', "Transfer-Encoding: identity\r\n",
		qr/^(?:400|501)/],
	['D-11 two lengths', "Content-Length: 0\r\nContent-Length: 0\r\n",
		'400'],
	['D-11 negative', "Content-Length: -1\r\n", '400'],
	['D-11 plus', "Content-Length: +5\r\n", '400'],
	['D-11 hexadecimal', "Content-Length: 0x5\r\n", '400'],
	['D-11 huge', 'Content-Length: ' . '9' x 40 . "\r\n", '400'],
	['D-17 empty name', ":x\r\n", '400'],
	['D-17 space before the colon', "Authorization : a\r\n", '400'],
	['D-17 folded line', "X-A: b\r\n c: d\r\n", '400'],
	['D-17 NUL in a name', "Author\0ization: a\r\n", '400'],
	['D-17 NUL in a value', "X-A: a\0b\r\n", '400'],
	['D-18 two Authorizations', "Authorization: a\r\nAuthorization: b\r\n",
		'400'],
);

for (@framing) {
	my ($name, $lines, $want) = @$_;
	$t->aborts([$name, "$start${lines}Connection: close\r\n\r\n", $want]);
}

$t->aborts(
	['D-10 chunked over HTTP/1.0', "DELETE $target HTTP/1.0\r\n"
		. "Host: gw.test\r\nX-Tenant: alice\r\n$chunked\r\n0\r\n\r\n",
		'400'],
	['D-12 body', "${start}Content-Length: 5\r\nConnection: close\r\n\r\n"
		. 'hello', '400 InvalidRequest'],
	['D-12 body and Expect', "${start}Expect: 100-continue\r\n"
		. "Content-Length: 5\r\nConnection: close\r\n\r\nhello",
		'400 InvalidRequest'],
	['D-13 chunked body', "$start${chunked}Connection: close\r\n\r\n"
		. "5\r\nhello\r\n0\r\n\r\n", '400 InvalidRequest'],
	['D-13 bad chunk', "$start${chunked}Connection: close\r\n\r\n"
		. "zz\r\nhello\r\n0\r\n\r\n", '400'],
	['D-13 big body', "${start}Content-Length: 90000\r\n"
		. "Connection: close\r\n\r\n" . 'x' x 90000,
		'400 InvalidRequest'],
	['D-20 1001 headers', $start . join('', map { "X-$_: a\r\n" } 1 .. 1001)
		. "Connection: close\r\n\r\n", qr/^(?:204|400)/],
	['D-20 64 KB header', $start . 'X-A: ' . 'a' x 65536
		. "\r\nConnection: close\r\n\r\n", qr/^400/],
	['D-20 long target', "DELETE /media/k?uploadId=" . 'A' x 9000
		. " HTTP/1.1\r\nHost: gw.test\r\n\r\n", '414'],
	['D-21 method with a space', "DELETE /x HTTP/1.1 $target HTTP/1.1\r\n"
		. "Host: gw.test\r\n\r\n", '400'],
	['method in lower case', "delete $target HTTP/1.1\r\n"
		. "Host: gw.test\r\n\r\n", '400'],
);

# the line of the log that a body has, once and whatever its size

for (['D-12 body', "Content-Length: 5\r\n", 'hello'],
	['D-13 big body', "Content-Length: 90000\r\n", 'x' x 90000])
{
	my ($name, $header, $body) = @$_;
	my $before = length $t->error_log('warn');

	$t->request("$start${header}Connection: close\r\n\r\n$body");
	is(scalar(() = substr($t->error_log('warn'), $before)
		=~ /s3 abort refused: InvalidRequest \(.* takes no body\)/g),
		1, "$name: logged");
}

# an empty chunked body is no body

my $r = $t->request("$start${chunked}Connection: close\r\n\r\n0\r\n\r\n");
like($r->{status}, qr/^(?:204|400)\z/, 'D-13 empty chunked body');

# a body larger than client_max_body_size

$r = $t->request("${start}Content-Length: 200000\r\nConnection: close\r\n\r\n");
is("$r->{status} $r->{code}", '413 EntityTooLarge', 'D-12 announced too large');
$t->nothing_sent('D-12 nothing sent');

# slow, and never-ending

my $client = $t->connect();
$t->mark();
$client->send("${start}Content-Length: 5\r\n\r\nh");
$r = $client->answer(8);
like($r->{status}, qr/^(?:400|408|)\z/, 'D-13 body that stalls');
ok($client->closed(5), 'D-13 connection closed');
$t->nothing_sent('D-13 nothing sent for it');

$client = $t->connect();
$t->mark();
$client->send("$start$chunked\r\n");
$client->send("4000\r\n" . 'x' x 0x4000 . "\r\n") for 1 .. 100;
$r = $client->answer(8);
like($r->{status}, qr/^(?:400|413)\z/, 'D-13 body that never ends');
ok($client->closed(10), 'D-13 lingering is bounded');
$t->nothing_sent('D-13 nothing sent for this one either');

# the body does not become the next request

$client = $t->connect();
$t->mark();
$client->send("${start}Content-Length: 60\r\n\r\n");
$client->send(sprintf '%-60s',
	"DELETE /media/inner?uploadId=B HTTP/1.1\r\n\r\n");
is($client->answer()->{code}, 'InvalidRequest',
	'D-12 body on a kept connection');
$client->send("${start}Connection: close\r\n\r\n");
is($client->answer()->{status}, 204, 'D-12 the next request');
is(join(' ', map { $_->{target} } $t->sent()), $target,
	'D-12 the body is no request');

# pipelined

$client = $t->connect();
$t->mark();
$client->send("$start\r\nDELETE /media/k?uploadid=A HTTP/1.1\r\nHost: gw.test"
	. "\r\n\r\n" . $start . "Connection: close\r\n\r\n");
push @{$client->{methods}}, 'DELETE', 'DELETE';
is(join(' ', map { $client->answer()->{status} } 1 .. 3), '204 400 204',
	'pipelined requests');
is(scalar(() = $t->sent()), 2, 'and what was sent of them');

# bytewise

is($t->request("${start}Connection: close\r\n\r\n", split => 1)->{status}, 204,
	'a request that comes byte by byte');

###############################################################################

# with underscores let in

for my $header ('x_amz_mfa', 'x_amz_date', 'author_ization') {
	$r = $t->request(S3Abort::request_bytes('DELETE', $target, $header,
		'a'),
		port => 2);
	is($r->{status}, 204, "D-17 $header is not the real one");
}

$r = $t->request(S3Abort::request_bytes('DELETE', $target,
	'x-amz-request-payer', 'a', 'x_amz_request_payer', 'b'), port => 2);
is(($t->sent())[0]{header}{'x-amz-request-payer'}, 'a',
	'D-17 underscores do not carry');

$t->done();
