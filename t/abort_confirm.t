# "confirm on": after a 204 the storage is asked, with ListParts, whether parts
# remain, and the upload is aborted again while they do.  The tenant's 204
# stays, the log knows better.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

# name, url, what is in the block besides

my @endpoints = (
	['said_off', '%%STORAGE_off%%', 'confirm off;', 'off'],
	['storage', '%%STORAGE%%', 'confirm on; buffer_size 4k;'],
	['quick', '%%STORAGE%%', 'confirm on; read_timeout 300ms;'],
	['small', '%%STORAGE%%', 'confirm on; buffer_size 1k;'],
	['tries1', '%%STORAGE%%', 'confirm on tries=1; next_upstream off;'],
	['tries10', 'servers', 'confirm on tries=10; next_upstream_tries 1;'],
	(map { ["more$_->[0]", 'servers', 'confirm on; next_upstream error '
		. "timeout http_429 http_500 http_503; $_->[1]"] }
		['', ''], ['_quick', 'read_timeout 300ms;']),
	['late', '%%STORAGE%%', 'confirm on; next_upstream_timeout 300ms;'],
	['strict', 'strict', 'confirm on; next_upstream off;'],
	['kept', 'kept', 'confirm on;'],
	['tls', 'https://kept_tls', 'confirm on; addressing virtual; '
		. 'ssl_trusted_certificate %%TESTDIR%%/ca.crt;', 'tls'],
);

sub endpoint($name, $url, $more, $storage = 'storage') {
	my $scheme = $url =~ m!://! ? '' : 'http://';

	return "s3_abort_endpoint $name { url $scheme$url; host $storage.test; "
		. 'region kr-standard; credentials '
		. "%%TESTDIR%%/$storage.credentials; $more }\n";
}

my $t = S3Abort->new();
my $storage = $t->storage('storage', confirm => 1);
my $off = $t->storage('off');

$t->certificate('ca', ca => 1);

my $tls = $t->storage('tls', confirm => 1, token => 1,
	addressing => 'virtual', tls => $t->certificate('*.tls.test',
	issuer => 'ca', san => ['*.tls.test']));

my $endpoints = join '', map { endpoint(@$_) } @endpoints;
my $http2 = !$t->has('http_v2_module') ? '' : 'server { '
	. ($t->has_version('1.25.1') ? 'listen 127.0.0.1:%%PORT_2%%; http2 on;'
	: 'listen 127.0.0.1:%%PORT_2%% http2;')
	. 's3_abort_pass $http_x_endpoint policy=all; }';

# kept for a configuration, as without "keepalive" since then

my $local = $t->has_version('1.29.7') ? ' local' : '';

$t->run(<<'EOF' =~ s/%%MORE%%/$endpoints$http2/r =~ s/%%LOCAL%%/$local/gr);

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT_off%%

    upstream servers {
        server %%STORAGE%% max_fails=0;
        server %%STORAGE%% max_fails=0;
    }

    upstream strict {
        server %%STORAGE%% fail_timeout=60s;
        server %%STORAGE%% fail_timeout=60s;
    }

    upstream kept {
        server %%STORAGE%%;
        keepalive 4%%LOCAL%%;
    }

    upstream kept_tls {
        server %%STORAGE_tls%%;
        keepalive 4%%LOCAL%%;
    }

    %%MORE%%

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

# An answer to ListParts: the document of AWS, with so many parts.

sub list($n, %o) {
	my $parts = join '', map { "<Part><PartNumber>$_</PartNumber>"
		. '<LastModified>2010-11-10T20:48:34.000Z</LastModified>'
		. '<ETag>"7778aef83f66abc1fa1e8477f296d394"</ETag>'
		. '<Size>1</Size></Part>' } 1 .. $n;

	return { status => 200, body => '<?xml version="1.0"?>'
		. "\n<ListPartsResult xmlns='http://s3.amazonaws.com/doc/"
		. "2006-03-01/'><Bucket>media</Bucket><Key>k</Key>"
		. "<IsTruncated>false</IsTruncated>$parts</ListPartsResult>",
		%o };
}

my $none = '404 NoSuchUpload';
my $lost = { status => 204, send => 0, then => 'close' };

my $logged = 0;

# All of it: "status code outcome: method...", and what was logged.

sub ask($endpoint, @answers) {
	$storage->answer(@answers == 1 ? $answers[0] : \@answers) if @answers;
	$logged = length $t->error_log('warn');

	return result($endpoint, $t->abort('/media/k?uploadId=A%2B',
		'X-Endpoint', $endpoint));
}

sub result($endpoint, $r) {
	my $entry = $t->audit($r);
	my @lines = map { /:\ \*\d+\ s3\ abort:\ (.*?)(?:\ while\ .*?)?,
		\ client:\ /x } split /\n/, substr $t->error_log('warn'),
		$logged;

	my $status = join ' but ', $r->{status}, grep { $_ ne $r->{status} }
		"$entry->{status}";

	return join "\n", "$status $r->{code} $entry->{outcome}:"
		. join('', map { " $_->{method}" } $t->sent($endpoint
		=~ /^(?:off|tls)$/ ? $endpoint : ())), @lines;
}

sub remain($aborts) {
	return "\nparts of the upload remain, aborts: $aborts";
}

sub untold($answer) {
	return "\nListParts does not say whether parts remain: $answer";
}

my $unanswered = "\nno answer to ListParts, parts may remain";
my $confirmed = '204  ABORTED: DELETE GET';

###############################################################################
#
# What it is for

is(ask('storage', 204, $none), $confirmed, 'gone');
is(ask('storage', 204, '404 NoSuchKey'), $confirmed, 'gone, says Ceph');
is(ask('storage', 204, { status => 404, body => '' }), $confirmed,
	'gone, without a document');
is(ask('storage', 204, list(0)), $confirmed, 'no parts');
is(ask('storage', 204, list(1), 204, $none), "$confirmed DELETE GET",
	'parts remained');
is(ask('storage', 204, list(1), $none), "$confirmed DELETE",
	'parts remained, and were gone');
is(ask('storage', 204, list(2), 204, list(1), 204, list(0)),
	"$confirmed DELETE GET DELETE GET", 'parts remained twice');

$storage->answer([204, $none]);
my $r = $t->abort('/media/k?uploadId=A', 'X-Endpoint', 'storage');
is(join(' ', map { $_->{target} } $t->sent()), '/media/k?uploadId=A '
	. '/media/k?max-parts=1&uploadId=A', 'what is sent');

# ... always

sub always($r) {
	return $r->{method} eq 'DELETE' ? 204 : list(1);
}

for (['tries1', 1], ['storage', 3], ['tries10', 10]) {
	my ($endpoint, $n) = @$_;

	is(ask($endpoint, \&always), '204  PARTS_REMAIN:'
		. ' DELETE GET' x ($n + 1) . remain($n + 1),
		"parts remain, $n tries");
}

###############################################################################
#
# Off

for my $endpoint (qw/ off said_off /) {
	$off->answer(204);
	my $r = $t->abort('/media/k?uploadId=A', 'X-Endpoint', $endpoint);

	is("$r->{status} " . $t->audit($r)->{outcome}, '204 ABORTED',
		"$endpoint: an abort");
	is(join(' ', map { $_->{method} } $t->sent('off')), 'DELETE',
		"$endpoint: nothing else");
}

# nothing but a 204 is confirmed

for (['404 NoSuchUpload', '404 NoSuchUpload GONE'],
	['403 AccessDenied', '403 AccessDenied FAILED'],
	['500 InternalError', '500 InternalError UNKNOWN'],
	['503 SlowDown', '503 SlowDown FAILED'])
{
	my ($answer, $want) = @$_;
	is(ask('storage', $answer, list(1)), "$want: DELETE",
		"not confirmed: $answer");
}

###############################################################################
#
# Answers that do not say it

my $error = '<Error><Code>NoSuchUpload</Code></Error>';
my $comment = '<ListPartsResult><!-- <Part> --></ListPartsResult>';
my $padding = ' ' x 20_000;

for (['403 AccessDenied', '403 AccessDenied'],
	['403 SignatureDoesNotMatch', '403 SignatureDoesNotMatch'],
	['400 InvalidArgument', '400 InvalidArgument'],
	['404 NoSuchBucket', '404 NoSuchBucket'],
	['404 NotFound', '404 NotFound'],
	['404', { status => 404, body => '<html>Not Found</html>' },
		'404 of a web server'],
	['500 InternalError', '500 InternalError'],
	['503 SlowDown', '503 SlowDown'],
	['429 SlowDown', '429 SlowDown'],
	['301', { status => 301, body => '' }],
	['204', 204],
	['206', list(0, status => 206)],
	['200', { status => 200, body => '' }, 'nothing'],
	['200', { status => 200, body => 'garbage' }, 'garbage'],
	['200', { status => 200, body => "\xff\xfe<\0a\0>\0" }, 'UTF-16'],
	['200 NoSuchUpload', { status => 200, body => $error }, 'an error'],
	['200', { status => 200, body => $comment }, 'a comment'],
	['200', list(0, no_length => 1), 'ends with the connection'],
	['200', list(1, no_length => 1), 'so does this'],
	['200', { status => 200, body => "$padding" }, 'too large'],
	['200', { status => 200, body => $padding, chunked => 1 },
		'too large, chunked'],
	['200', list(0, body => list(0)->{body} . $padding), 'too large, none'])
{
	my ($said, $answer, $name) = (@$_ > 1 ? @$_ : (@$_, @$_));
	$name //= ref $answer ? $said : $answer;

	is(ask('storage', 204, $answer), $confirmed . untold(
		$said =~ / / ? $said : "$said "), "no answer: $name");
}

# and some that do

for (['chunked', list(1, chunked => 1)],
	['too large', list(1, body => list(1)->{body} . $padding)],
	['too large, chunked', list(1, body => list(1)->{body} . $padding,
		chunked => 1)],
	['too large, bit by bit', list(1, body => list(1)->{body} . $padding,
		split => 500)])
{
	my ($name, $answer) = @$_;

	is(ask('storage', 204, $answer, 204, $none), "$confirmed DELETE GET",
		"parts: $name");
}

is(ask('storage', 204, list(1, split => 1), 204, $none),
	"$confirmed DELETE GET", 'parts: bytewise');
is(ask('storage', 204, list(0, chunked => 1, split => 1)), $confirmed,
	'no parts: chunked, bytewise');
is(ask('small', 204, list(300), 204, $none), "$confirmed DELETE GET",
	'parts: a small buffer');

###############################################################################
#
# No answers

for my $then ('close', 'rst', 'hang') {
	my $endpoint = $then eq 'hang' ? 'quick' : 'storage';

	for (['nothing', { raw => '', then => $then }],
		['half a status line', { raw => 'HTTP/1.1 2', then => $then }],
		['half of the headers', { raw => "HTTP/1.1 200 X\r\nA: <Part>",
			then => $then }],
		['before the parts', list(0, then => $then, length => 5000)])
	{
		my ($name, $answer) = @$_;

		is(ask($endpoint, 204, $answer), $confirmed . $unanswered,
			"no answer: $name, $then");
	}

	# of some of it there is enough

	for (list(1, length => 4000, then => $then), list(1, chunked => 1,
		then => $then, body => list(1)->{body} . ' ' x 2000))
	{
		$_->{send} = 1200 if $_->{chunked};
		is(ask($endpoint, 204, $_),
			'204  PARTS_REMAIN: DELETE GET' . remain(1),
			"parts: cut off after them, $then");
	}
}

for my $answer ("garbage\r\n\r\n", "HTTP/1.1 200 X\r\nContent-Length: -1\r\n"
	. "\r\n", "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	'HTTP/1.1 200 X' . "\r\nX: " . 'A' x 10_000)
{
	is(ask('storage', 204, $answer), $confirmed . $unanswered,
		'no answer: ' . substr $answer =~ s/[^ -~]+/ /gr, 0, 50);
}

# nobody listens any more when the answer to the abort comes

$storage->stop(keep => 1);
$storage->{on_connection} = sub ($sock, $n) {
	my $buffer = '';
	my $raw = $storage->read_request($sock, \$buffer);

	$storage->record('request', raw => $raw);
	kill 'KILL', getppid();
	close $storage->{listen};
	syswrite $sock, "HTTP/1.1 204 No Content\r\n\r\n";
};
$storage->start();
close delete $storage->{listen};
is(ask('storage'), '204  ABORTED: DELETE' . $unanswered,
	'no answer: refused');
delete $storage->{on_connection};
$storage->stop(keep => 1);
$t->wait_for(sub { eval { $storage->start(); 1 } });

###############################################################################
#
# The abort again

for my $answer ('500 InternalError', '403 AccessDenied', '503 SlowDown',
	'412 PreconditionFailed', '404 NoSuchBucket', '404 NoSuchKey', $lost,
	{ status => 204, send => 0, then => 'hang' }, "garbage\r\n\r\n")
{
	my $name = ref $answer ? $answer->{then} : $answer;

	is(ask($name eq 'hang' ? 'quick' : 'storage', 204, list(1), $answer),
		'204  PARTS_REMAIN: DELETE GET DELETE' . remain(2),
		"again: $name");
}

is(ask('storage', 204, list(1), 204, '500 InternalError'),
	'204  PARTS_REMAIN: DELETE GET DELETE GET' . remain(2),
	'again, and no answer: they were seen');

###############################################################################
#
# Beside retries

is(ask('more', $lost, 204, $none), '204  ABORTED: DELETE DELETE GET',
	'an abort that is tried again');
is(ask('more', $lost, $none, list(1)), '204  ASSUMED_ABORTED: DELETE DELETE',
	'F-05 and is gone: no need');
is(ask('more', 500, $none, list(1)), '204  ASSUMED_ABORTED: DELETE DELETE',
	'F-05 or may have been done');
is(ask('more', 503, $none, list(1)), '404 NoSuchUpload GONE: DELETE DELETE',
	'F-05 or was not');

for my $answer ($lost, 503,
	{ status => 200, send => 0, then => 'hang' })
{
	my $name = ref $answer ? $answer->{then} : $answer;
	my $endpoint = $name eq 'hang' ? 'more_quick' : 'more';

	is(ask($endpoint, 204, $answer, list(1), 204, $answer, $none),
		"$confirmed GET DELETE GET GET", "ListParts again: $name");
	is(ask($endpoint, 204, $answer, $answer), "$confirmed GET"
		. ($name =~ /^\d/ ? untold("$name StorageError") : $unanswered),
		"ListParts twice: $name");
	is(ask($endpoint, 204, list(1), $answer, 204, $none),
		"$confirmed DELETE DELETE GET", "the abort again: $name");
	is(ask($endpoint, 204, list(1), $answer, $none),
		"$confirmed DELETE DELETE", "and gone: $name");
}

is(ask('more', 204, list(1), $lost, 204, list(1), $lost, 204, list(1), 204,
	list(1)), '204  PARTS_REMAIN: DELETE GET DELETE DELETE GET DELETE '
	. 'DELETE GET DELETE GET' . remain(4), 'what is lost is no try');

is(ask('late', { status => 204, delay => 0.4 }, list(1)),
	'204  ABORTED: DELETE' . $unanswered, 'next_upstream_timeout');
is(ask('late', 204, list(1, delay => 0.4), 204),
	'204  PARTS_REMAIN: DELETE GET' . remain(1),
	'next_upstream_timeout, and parts');

###############################################################################
#
# Servers: none is a failed one

for my $status (200, 403, 404, 429, 503) {
	is(ask('strict', 204, { status => $status, body => '' }, 204)
		=~ s/:.*//sr, '204  ABORTED', "two servers: $status")
		for 1 .. 2;
}

unlike($t->error_log('warn'), qr/upstream server temporarily disabled/,
	'two servers: none is disabled');

###############################################################################
#
# Kept connections

sub connections($name) {
	my %c = map { $_->{conn} => 1 } $t->sent($name);
	return scalar keys %c;
}

is(ask('kept', 204, list(1), 204, list(0)), "$confirmed DELETE GET", 'kept');
is(connections('storage'), 1, 'kept: one connection');

is(ask('kept', 204, list(1, headers => [['Connection', 'close']]), 204, $none),
	"$confirmed DELETE GET", 'kept: closed between');
is(connections('storage'), 2, 'kept: closed between: two connections');

is(ask('kept', 204, $lost, 204), "$confirmed GET" . untold('204 '),
	'kept: closed as ListParts is sent');
is(connections('storage'), 2, 'kept: and a fresh connection');

###############################################################################
#
# Whatever an abort may have

$logged = length $t->error_log('warn');
$tls->answer([204, list(1), 204, $none]);
$r = $t->abort('/media/a%20b/%EA%B0%80?uploadId=A%2B', 'X-Endpoint', 'tls',
	'x-amz-request-payer', 'requester',
	'x-amz-expected-bucket-owner', '123456789012',
	'x-amz-if-match-initiated-time', 'Mon, 02 Jan 2006 15:04:05 GMT');

is(result('tls', $r), "$confirmed DELETE GET",
	'virtual-host style, TLS, a session token');
is(connections('tls'), 1, 'TLS: one connection');

my @sent = map { my $h = $_->{header};
	join ' ', $_->{method}, $h->{host}, $_->{target},
	map { $h->{"x-amz-$_"} // '-' } qw/ request-payer
	expected-bucket-owner if-match-initiated-time / } $t->sent('tls');

is($sent[0], 'DELETE media.tls.test /a%20b/%EA%B0%80?uploadId=A%2B '
	. 'requester 123456789012 Mon, 02 Jan 2006 15:04:05 GMT',
	'headers: an abort');
is($sent[1], 'GET media.tls.test /a%20b/%EA%B0%80?max-parts=1&uploadId=A%2B '
	. 'requester 123456789012 -', 'headers: ListParts');
is($sent[2], $sent[0], 'headers: the abort again');

###############################################################################
#
# Logs

$storage->answer([204, list(1), 500, '500 InternalError']);
$r = $t->abort('/media/k?uploadId=A', 'X-Endpoint', 'storage');
my $entry = $t->audit($r);

is($entry->{upstream_status}, '204, 200, 500',
	'log: what the storage answered');
is($entry->{upstream_request_id}, 'STORAGE-0', 'log: the id of the abort');
is($entry->{error}, '', 'log: no error');

###############################################################################
#
# Clients

for my $answer ($none, '403 AccessDenied', $lost) {
	last unless $http2;

	$storage->answer([204, $answer]);
	$r = $t->h2('DELETE', '/media/k?uploadId=A', ['X-Endpoint', 'storage'],
		port => 2);
	is("$r->{status} $r->{body}", '204 ', 'HTTP/2, '
		. (ref $answer ? 'no answer' : $answer));
}

$storage->answer([204, list(1, delay => 0.3), 204, list(1)]);
my $client = $t->connect();
$t->mark();
$client->send(S3Abort::request_bytes('DELETE', '/media/gone?uploadId=A',
	'X-Endpoint', 'kept'));
$t->wait_for(sub { 2 == (() = $t->sent()) }, 'ListParts is sent');
$client->reset();
$t->wait_for(sub { grep { $_->{key} eq 'gone'
	&& $_->{outcome} eq 'PARTS_REMAIN' } $t->access_log() },
	'a client that leaves: it runs to its end');

$t->done();
