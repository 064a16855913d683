# Answers and faults of the storage: what the tenant is told, what is tried
# again - with a date and a signature of its own - and what is logged.

###############################################################################

use v5.36;

use Test::More;
use Time::HiRes qw/ time /;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();

$t->write('rotated.credentials', $storage->credentials(), 0640);

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    # the same storage twice, so that there is a next server

    upstream two {
        server %%STORAGE%% max_fails=0;
        server %%STORAGE%% max_fails=0;
    }

    upstream three {
        server %%STORAGE%% max_fails=0;
        server %%STORAGE%% max_fails=0;
        server %%STORAGE%% max_fails=0;
    }

    upstream down_up {
        server 127.0.0.1:%%PORT_9%% max_fails=0;
        server %%STORAGE%% max_fails=0 backup;
    }

    upstream kept {
        server %%STORAGE%%;
        keepalive 4;
    }

    s3_abort_endpoint two {
        url            http://two;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        read_timeout   1s;
    }

    s3_abort_endpoint more {
        url            http://two;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        read_timeout   10s;
        next_upstream  error timeout http_429 http_500 http_502 http_503
                       http_504;
    }

    s3_abort_endpoint none {
        url            http://two;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        next_upstream  off;
    }

    s3_abort_endpoint down_up {
        url            http://down_up;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
    }

    s3_abort_endpoint down {
        url            http://127.0.0.1:%%PORT_9%%;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
    }

    s3_abort_endpoint no_route {
        url            http://255.255.255.255;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        allow_plaintext  on;
    }

    s3_abort_endpoint kept {
        url            http://kept;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
    }

    s3_abort_endpoint quick {
        url            http://%%STORAGE%%;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        connect_timeout  300ms;
        send_timeout     300ms;
        read_timeout     300ms;
        buffer_size      4k;
        next_upstream_timeout  1s;
    }

    s3_abort_endpoint rotated {
        url            http://three;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/rotated.credentials refresh=1s;
    }

    s3_abort_policy all { allow; }
    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            s3_abort_pass $http_x_endpoint policy=all;
        }
    }
}

EOF

###############################################################################

sub ask($endpoint, $answer = undef) {
	$storage->answer($answer) if defined $answer;
	return $t->abort('/media/k?uploadId=A', 'X-Endpoint', $endpoint);
}

sub result($r) {
	return "$r->{status} $r->{code} " . ($t->audit($r)->{outcome} // '');
}

###############################################################################
#
# Status and code

my @answers = (
	['204', 204, '204  ABORTED'],
	['404', '404 NoSuchUpload', '404 NoSuchUpload GONE'],
	['404, bucket', '404 NoSuchBucket', qr/^404 NoSuchBucket /],
	['404, key', '404 NoSuchKey', qr/^404 NoSuch(?:Upload|Key) /],
	['404 without a body', { status => 404, body => '' },
		qr/^404 NoSuchUpload /],
	['400 InvalidArgument', '400 InvalidArgument',
		'400 InvalidArgument FAILED'],
	['400 InvalidBucketName', '400 InvalidBucketName',
		'400 InvalidBucketName FAILED'],
	['400 InvalidRequest', '400 InvalidRequest',
		'400 InvalidRequest FAILED'],
	['400 InvalidURI', '400 InvalidURI', '400 InvalidURI FAILED'],
	['400 KeyTooLong', '400 KeyTooLong', '400 KeyTooLongError FAILED'],
	['400 of its own', '400 SomethingElse', qr/^400 InvalidRequest FAILED/],
	['F-19 403 AccessDenied', '403 AccessDenied',
		'403 AccessDenied FAILED'],
	['403 without a code', { status => 403, body => '' },
		'403 AccessDenied FAILED'],
	['409', '409 OperationAborted', '409 OperationAborted FAILED'],
	['412', '412 PreconditionFailed', '412 PreconditionFailed FAILED'],
	['F-16 429', '429 TooManyRequests', '503 SlowDown FAILED'],
	['F-16 503 SlowDown', '503 SlowDown', '503 SlowDown FAILED'],
	['503', '503 ServiceUnavailable', '503 SlowDown FAILED'],
	['F-17 500', '500 InternalError', qr/^50\d \w+ (?:FAILED|UNKNOWN)$/],
	['F-17 502', 502, qr/^502 ServiceUnavailable (?:FAILED|UNKNOWN)$/],
	['F-17 504', 504, qr/^504 ServiceUnavailable (?:FAILED|UNKNOWN)$/],
	['501', '501 NotImplemented', qr/^50\d \w+ FAILED$/],
	['F-21 301', { status => 301, body => '',
		headers => [['Location', 'http://127.0.0.1/']] },
		qr/^502 ServiceUnavailable /],
	['F-21 307', { status => 307, code => 'TemporaryRedirect',
		headers => [['Location', 'http://127.0.0.1/']] },
		qr/^502 ServiceUnavailable /],
	['F-21 308', { status => 308, body => '' },
		qr/^502 ServiceUnavailable /],
	['304', { raw => "HTTP/1.1 304 Not Modified\r\n\r\n" },
		qr/^502 ServiceUnavailable /],
	['418', 418, qr/^(?:400|502) \w+ /],
	['599', { status => 599, body => '' }, qr/^502 ServiceUnavailable /],
	['chunked', { status => 404, code => 'NoSuchBucket', chunked => 1 },
		qr/^404 NoSuchBucket /],
	['chunked, bytewise', { status => 404, code => 'NoSuchBucket',
		chunked => 1, split => 1 }, qr/^404 NoSuchBucket /],
	['bytewise', { status => 404, code => 'NoSuchBucket', split => 1 },
		qr/^404 NoSuchBucket /],
	['204 bytewise', { status => 204, split => 1 }, '204  ABORTED'],
	['204 of HTTP/1.0', { raw => "HTTP/1.0 204 No Content\r\n\r\n",
		then => 'close' }, '204  ABORTED'],
	['204 without a reason', { raw => "HTTP/1.1 204\r\n\r\n" },
		'204  ABORTED'],
	['100 before', { raw => "HTTP/1.1 100 Continue\r\n\r\n"
		. "HTTP/1.1 204 No Content\r\n\r\n" }, '204  ABORTED'],
	['103 before', { raw => "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		. "HTTP/1.1 204 No Content\r\n\r\n" }, '204  ABORTED'],
	['F-07 204 for an unknown id', 204, '204  ABORTED'],
);

for (@answers) {
	my ($name, $answer, $want) = @$_;
	my $got = result(ask('storage', $answer));

	ref $want ? like($got, $want, "answer: $name")
		: is($got, $want, "answer: $name");
	is(scalar(() = $t->sent()), 1, "answer: $name: sent once");
}

###############################################################################
#
# F-03 F-10 F-14: nonsense, and answers that end too early

my $full = "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n";
my $error = "HTTP/1.1 404 X\r\nContent-Length: 200\r\n\r\n"
	. '<Error><Code>NoSuchUpload</Code>';
my $chunk = "HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n"
	. "22\r\n<Error><Code>NoSuchUpload</Code>\r\n";

my @nonsense = (
	['nothing', ''],
	['half a status line', substr $full, 0, 8],
	['status line', substr $full, 0, 25],
	['half a header', substr $full, 0, 30],
	['half of the last line', substr $full, 0, -1],
	['half a body', $error],
	['half a chunked body', $chunk],
	['F-10 garbage', "garbage\r\n\r\n"],
	['F-10 HTTP/0.9', "<html>204</html>\n"],
	['F-10 binary', "\x15\x03\x01\x00\x02\x02\x16"],
	['F-10 another protocol', "SSH-2.0-OpenSSH\r\n\r\n"],
	['F-10 HTTP/2', "HTTP/2 204\r\n\r\n"],
	['no status', "HTTP/1.1 abc\r\n\r\n"],
	['status of two digits', "HTTP/1.1 20\r\n\r\n"],
	['status of four digits', "HTTP/1.1 2040 x\r\n\r\n"],
	['status 000', "HTTP/1.1 000 x\r\n\r\n"],
	['status 199 alone', "HTTP/1.1 199 x\r\n\r\n"],
	['D-07 101', "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"
		. "Connection: upgrade\r\n\r\n$full"],
	['1,000 times 100', "HTTP/1.1 100 Continue\r\n\r\n" x 1000 . $full],
	['bad chunk size',
		"HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n"
		. "zz\r\n<Error>\r\n0\r\n\r\n"],
	['NUL in a header', "HTTP/1.1 204 No Content\r\nA: b\0c\r\n\r\n"],
	['two lengths', "HTTP/1.1 404 X\r\nContent-Length: 5\r\n"
		. "Content-Length: 6\r\n\r\nhello!"],
	['negative length',
		"HTTP/1.1 404 X\r\nContent-Length: -5\r\n\r\nhello"],
	['F-14 headers over the buffer', "HTTP/1.1 204 No Content\r\n"
		. 'X-A: ' . 'a' x 70_000 . "\r\n\r\n"],
	['F-14 10,000 headers', "HTTP/1.1 204 No Content\r\n"
		. join('', map { "X-$_: a\r\n" } 1 .. 10_000) . "\r\n"],
);

for my $then ('close', 'rst') {
	for (@nonsense) {
		my ($name, $bytes) = @$_;
		my $got = result(ask('storage',
			{ raw => $bytes, then => $then }));

		like($got, qr/^502 ServiceUnavailable (?:UNKNOWN|FAILED)\z/,
			"F-03 $name, $then");
	}
}

# bodies larger than the buffer, or of no known length, are not read for a code

my $padding = ' ' x 1_000_000;

for (['1 MB', { status => 404, body => '<Error><Code>NoSuchBucket</Code>'
	. "<Message>$padding</Message></Error>" }],
	['1 MB, chunked', { status => 404, chunked => 1, body => '<Error><Code>'
	. "NoSuchBucket</Code><Message>$padding</Message></Error>" }],
	['ends with the connection', { status => 404, code => 'NoSuchBucket',
	no_length => 1 }])
{
	my ($name, $answer) = @$_;
	my $start = time();

	is(ask('storage', $answer)->{code}, 'NoSuchUpload',
		"F-14 body: $name: from the status alone");
	ok(time() - $start < 20, "F-14 body: $name: at once");
}

for my $body ('<?xml version="1.0"?><Error><Resource><Code>NoSuchBucket</Code>'
	. '</Resource></Error>', '<Other><Code>NoSuchBucket</Code></Other>',
	'<Error><Code><![CDATA[NoSuchBucket]]></Code></Error>',
	'<Error><!-- <Code>NoSuchBucket</Code> --></Error>', 'NoSuchBucket',
	"\xff\xfe<\0E\0r\0r\0o\0r\0", '<Error><Code>' . 'A' x 1000
	. '</Code></Error>', '<Error><Code></Code></Error>')
{
	is(ask('storage', { status => 404, body => $body })->{code},
		'NoSuchUpload',
		'G-09 no code in ' . substr $body =~ s/[^ -~]/./gr, 0, 60);
}

# time

$storage->answer({ status => 204, send => 0, then => 'hang' });
is(result(ask('quick')), '504 ServiceUnavailable UNKNOWN', 'F-02 read_timeout');
$storage->answer({ status => 204, send => 20, then => 'hang' });
is(result(ask('quick')), '504 ServiceUnavailable UNKNOWN',
	'F-02 read_timeout within the answer');

my $start = time();
$storage->answer({ raw => "HTTP/1.1 204 No Content\r\nX: " . 'A' x 3000
	. "\r\n\r\n", split => 1, pause => 0.1 });
like(result(ask('quick')), qr/^50[24] ServiceUnavailable UNKNOWN\z/,
	'F-14 an answer that drips');
ok(time() - $start < 10, 'F-14 has a deadline');

###############################################################################
#
# F-16: Retry-After

for (['5', 5], ['1', 1], ['300', 300], ['0', 1], ['301', 300],
	['1000000000', 300])
{
	my ($value, $want) = @$_;
	my $r = ask('storage', { status => 503, code => 'SlowDown',
		headers => [['Retry-After', $value]] });

	is("$r->{status} $r->{headers}{'retry-after'}", "503 $want",
		"F-16 Retry-After: $value");
}

for my $value ('soon', '-5', '9' x 20, '', '1e3', ' 5 x',
	'Fri, 31 Dec 9999 23:59:59 GMT',
	undef)
{
	my $r = ask('storage', { status => 503, code => 'SlowDown',
		headers => [defined $value ? ['Retry-After', $value] : ()] });
	my $got = $r->{headers}{'retry-after'} // 1;

	ok($r->{status} == 503 && $got =~ /^\d+\z/ && $got >= 1 && $got <= 300,
		'F-16 Retry-After: ' . ($value // 'none')) or diag($r->{raw});
}

###############################################################################
#
# Retries

sub stamps() {
	return map { my $r = $_; [map { $r->{header}{$_} }
		qw/ x-amz-date authorization /] } $t->sent();
}

is(result(ask('two', [{ status => 204, send => 0, then => 'close' }, 204])),
	'204  ABORTED', 'retry after an error');
is(scalar(() = $t->sent()), 2, 'two attempts');

$storage->answer([{ status => 500, code => 'InternalError', delay => 1.1 },
	204]);
is(result(ask('more')), '204  ABORTED', 'retry after a 500');

my ($first, $second) = stamps();
isnt($first->[0], $second->[0], 'F-04 F-31 the retry has a date of its own');
isnt($first->[1], $second->[1], 'and a signature of its own');

my $lost = { status => 204, send => 0, then => 'hang' };

is(result(ask('two', [$lost, '404 NoSuchUpload'])), '204  ASSUMED_ABORTED',
	'F-05 timed out, then 404');
is(result(ask('two', [{ status => 204, send => 12, then => 'close' },
	'404 NoSuchUpload'])), '204  ASSUMED_ABORTED',
		'F-05 cut off, then 404');
is(result(ask('two', [{ status => 204, send => 0, then => 'rst' },
	'404 NoSuchUpload'])), '204  ASSUMED_ABORTED', 'F-05 reset, then 404');

for my $status (500, 502, 504) {
	is(result(ask('more', [$status, '404 NoSuchUpload'])),
		'204  ASSUMED_ABORTED', "F-05 $status, then 404");
}

for my $status (503, 429) {
	is(result(ask('more', [$status, '404 NoSuchUpload'])),
		'404 NoSuchUpload GONE',
			"F-05 $status, then 404: it was not sent");
}

# a status is an answer, and only a missing upload is one that is gone

my $cut = "Content-Length: 400\r\n\r\n<Error><Code>";

for (['404 Not Found', 'NoSuchUpload'], ['403 Forbidden', 'AccessDenied']) {
	my ($status, $code) = @$_;

	for my $then (qw/ close hang /) {
		is(result(ask('two', [{ raw => "HTTP/1.1 $status\r\n$cut$code",
			then => $then }, '404 NoSuchUpload'])),
			'404 NoSuchUpload GONE',
			"F-05 $status without an end ($then), then 404");
	}
}

for (['NoSuchKey', '404 NoSuchKey'], ['of a web server', { status => 404,
	body => '<html>Not Found</html>' }])
{
	my ($name, $answer) = @$_;
	is(result(ask('two', [$lost, $answer])), '404 NoSuchUpload UNKNOWN',
		"F-05 timed out, then a 404 $name");
}

is(result(ask('two', [$lost, { status => 404, body => '' }])),
	'204  ASSUMED_ABORTED', 'F-05 timed out, then a 404 that says no more');

for my $status (507, 520, 598) {
	is(result(ask('storage', $status)), '502 ServiceUnavailable UNKNOWN',
		"F-17 $status: it may have been done");
}

my $r;
is(($r = ask('more', [{ status => 503, code => 'SlowDown', headers =>
	[['Retry-After', 77], ['x-amz-request-id', 'FIRST']] },
	{ raw => "nonsense\r\n\r\n" }]))->{status}, 502,
	'F-32 busy, then nonsense');
is($r->{headers}{'retry-after'}, 1, 'F-32 nothing of the first answer');
is($t->audit($r)->{upstream_request_id}, '', 'F-32 nor its request id');

is(result(ask('down_up', '404 NoSuchUpload')), '404 NoSuchUpload GONE',
	'F-05 refused, then 404: nothing had been sent');
is(result(ask('down_up', 204)), '204  ABORTED', 'F-01 the next server');
is(result(ask('two', [$lost, '404 NoSuchBucket'])) =~ /^404 NoSuchBucket /, 1,
	'F-05 timed out, then another 404');
is(result(ask('two', [$lost, '403 AccessDenied'])), '403 AccessDenied UNKNOWN',
	'timed out, then 403: the first may have done it');
is(result(ask('two', [$lost, $lost])), '504 ServiceUnavailable UNKNOWN',
	'timed out twice');
is(scalar(() = $t->sent()), 2, 'and then no more');
is(result(ask('none', [{ status => 204, send => 0, then => 'close' }, 204])),
	'502 ServiceUnavailable UNKNOWN', 'next_upstream off');
is(scalar(() = $t->sent()), 1, 'one attempt');

for my $status (429, 500, 502, 503, 504) {
	ask('two', [$status, 204]);
	is(scalar(() = $t->sent()), 1,
		"F-16 F-17 $status: no retry by default");
	is(result(ask('more', [$status, 204])), '204  ABORTED',
		"F-17 $status: retry where asked for");
}

$r = ask('more', [{ status => 503, code => 'SlowDown',
	headers => [['Retry-After', 9]] }, '404 NoSuchBucket']);
is("$r->{status} $r->{code}", '404 NoSuchBucket',
	'F-32 the last answer counts');
ok(!exists $r->{headers}{'retry-after'}, 'F-32 nothing of the first');

is(result($r = ask('down')), '502 ServiceUnavailable FAILED', 'F-01 refused');
is($r->{headers}{'retry-after'}, 1, 'F-01 refused: Retry-After');
like(result($r = ask('no_route')), qr/^50[023] \w+ FAILED\z/, 'F-01 no route');

###############################################################################
#
# Kept connections

sub connections() {
	my %c = map { $_->{conn} => 1 } $t->sent();
	return scalar keys %c;
}

$storage->restart();
is(result(ask('kept', 204)), '204  ABORTED', 'kept: the first');
my ($conn) = map { $_->{conn} } $t->sent();

for my $answer ('404 NoSuchUpload', { status => 404, code => 'NoSuchUpload',
	chunked => 1 }, 204)
{
	ask('kept', $answer);
	is(($t->sent())[0]{conn}, $conn, 'kept: the same connection');
}

is(result(ask('kept', [{ status => 204, send => 0, then => 'close' }, 204])),
	'204  ABORTED', 'F-04 closed as the abort is sent');
is(connections(), 2, 'F-04 a fresh connection');
is(scalar(() = $t->sent()), 2, 'F-04 one retry');

is(result(ask('kept', [{ status => 204, send => 0, then => 'close' },
	'404 NoSuchUpload'])), '204  ASSUMED_ABORTED',
		'F-04 F-05 and then 404');

# one retry, whatever else is kept

$storage->answer({ status => 204, delay => 0.3 });
my @kept = map { $t->connect() } 1 .. 3;
$_->send(S3Abort::request_bytes('DELETE', '/media/k?uploadId=A', 'X-Endpoint',
	'kept')) for @kept;
$_->answer() for @kept;
is(result(ask('kept', [({ status => 204, send => 0, then => 'close' }) x 2,
	204])), '502 ServiceUnavailable UNKNOWN', 'F-04 closed, and closed again');
is(scalar(() = $t->sent()), 2, 'F-04 one retry, on a fresh connection');

# closed while idle: no request is lost, nor sent twice

ask('kept', 204);
$storage->restart();
is(result(ask('kept')), '204  ABORTED', 'closed while idle');
is(scalar(() = $t->sent()), 1, 'closed while idle: sent once');

for (['extra bytes', "${full}EXTRA"], ['a second answer', $full . $full],
	['HTTP/1.0', "HTTP/1.0 204 No Content\r\n\r\n"],
	['Connection: close',
		"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"],
	['a 204 with a body', "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n"
	. "\r\nhello"])
{
	my ($name, $bytes) = @$_;

	is(result(ask('kept', [{ raw => $bytes }, 204])), '204  ABORTED',
		"F-13 $name");
	my ($before) = map { $_->{conn} } $t->sent();
	is(result(ask('kept')), '204  ABORTED', "F-13 $name: the next");
	isnt(($t->sent())[0]{conn}, $before, "F-13 $name: not kept");
}

###############################################################################
#
# F-18: the gateway's own credentials

my @unauthorized = ('403 SignatureDoesNotMatch', '403 InvalidAccessKeyId',
	'403 RequestTimeTooSkewed', '400 ExpiredToken', '403 ExpiredToken',
	'400 InvalidToken', '400 AuthorizationHeaderMalformed',
	'403 InvalidSecurity', '401 Unauthorized');

for my $answer (@unauthorized) {
	my $before = length $t->error_log('alert');

	is(result(ask('storage', $answer)), '500 InternalError FAILED',
		"F-18 $answer");
	is(scalar(() = $t->sent()), 1, "F-18 $answer: no retry");
	$t->wait_for(sub { length $t->error_log('alert') > $before },
		"F-18 $answer: alert");
	unlike(substr($t->error_log('alert'), $before), qr/internals/,
		"F-18 $answer: nothing of the body in it");
}

$t->expect_log(qr/\[alert\] \S+ \*\d+ the storage refuses the credentials/);

# the credentials change while the abort is under way, and all servers have
# been tried

my %old = %{$storage->{keys}};
my $text = $storage->credentials();
my ($access) = keys %old;

$storage->{keys}{"$access-NEW"} = { secret => $t->canary('CANARY/new+secret') };
$storage->answer([({ status => 204, send => 0, then => 'close' }) x 2,
	{ status => 400, code => 'InvalidToken', delay => 3 }, 204]);

my $client = $t->connect();
$t->mark();
$client->send(S3Abort::request_bytes('DELETE', '/media/k?uploadId=A',
	'X-Endpoint', 'rotated'));
$t->wait_for(sub { 3 == (() = $t->sent()) },
	'F-18 rotation: the first attempts are sent');
$t->write('rotated.credentials', $text =~ s/\Q$access\E/$access-NEW/r
	=~ s/secret_access_key = .*/secret_access_key = CANARY\/new+secret/r,
		0640);
$r = $client->answer();

is(result($r), '204  ABORTED', 'F-18 rotation: tried again');
is(join(' ', map { $_->{header}{authorization} =~ /Credential=([^\/]+)/ }
	$t->sent()), "$access $access $access $access-NEW",
	'F-18 rotation: with the new key');
is($t->audit($r)->{upstream_status}, '502, 502, 400, 204',
	'F-18 rotation: the log says what was answered');

# once only

$storage->answer([{ status => 403, code => 'InvalidAccessKeyId', delay => 3 },
	'403 AccessDenied', 204]);
$client = $t->connect();
$t->mark();
$client->send(S3Abort::request_bytes('DELETE', '/media/k?uploadId=A',
	'X-Endpoint', 'rotated'));
$t->wait_for(sub { $t->sent() }, 'F-18 rotation again: sent');
$t->write('rotated.credentials', $text, 0640);
is(result($client->answer()), '403 AccessDenied FAILED',
	'F-18 rotation again: the answer to the new key counts');
is(scalar(() = $t->sent()), 2, 'F-18 rotation again: two attempts');

is(result(ask('rotated', '403 InvalidAccessKeyId')),
	'500 InternalError FAILED', 'F-18 unchanged since: no retry');
is(scalar(() = $t->sent()), 1, 'F-18 unchanged since: one attempt');

###############################################################################
#
# Clients

$storage->answer({ status => 204, delay => 0.5 });
$client = $t->connect();
$t->mark();
$client->send(S3Abort::request_bytes('DELETE', '/media/gone?uploadId=A',
	'X-Endpoint', 'storage'));
$t->wait_for(sub { $t->sent() }, 'F-29 the abort is sent');
$client->reset();
$t->wait_for(sub { grep { $_->{key} eq 'gone' && $_->{outcome} eq 'ABORTED' }
	$t->access_log() }, 'F-29 a client that leaves: it runs to its end');

$storage->answer([{ status => 204, delay => 0.2 }, '404 NoSuchUpload']);
my @clients = map { $t->connect() } 1 .. 2;
$_->send(S3Abort::request_bytes('DELETE', '/media/same?uploadId=A',
	'X-Endpoint', 'storage')) for @clients;
is(join(' ', sort map { result($_->answer()) } @clients),
	'204  ABORTED 404 NoSuchUpload GONE', 'F-34 two clients, one upload');

is(result(ask('storage', '404 NoSuchUpload')), '404 NoSuchUpload GONE',
	'F-06 a client that asks again');

$storage->stop();
like(result(ask('kept')), qr/^502 ServiceUnavailable (?:FAILED|UNKNOWN)$/,
	'F-28 down');
$storage->start();
$t->wait_for(sub { ask('kept', 204)->{status} == 204 }, 'F-28 up again', 15);

$t->done();
