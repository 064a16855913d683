# The test library itself, without the module: the second signer agrees with
# published vectors, and each assertion that done() makes for free can fail.

###############################################################################

use v5.36;

use Digest::SHA qw/ sha256_hex /;
use Test::More;

use lib 't/lib';
use S3Abort;
use SigV4;

my $ID = '0000015a-df89-51d0-2790-dee1ac994053';

###############################################################################

my %example = (
	access_key => 'AKIDEXAMPLE',
	secret => 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
	time => '20170318T035641Z',
	region => 'kr-standard',
);

my $ncloud = 'kr.object.ncloudstorage.com';
my $object = '/some-bucket/multipart-object-123';

my @vectors = (
	['path style', { },
	'581da340f85e2228a4f1a1dd3f83f8ac8bba8083ae0282d30b23e41abf7e3cc6'],
	['virtual-host style', { path => '/multipart-object-123',
		host => "some-bucket.$ncloud" },
	'5ec3b6e2b681a021f1c9d657e93a7041f7756e686a3dc07884a8254b6023559f'],
	['space and Hangul', { path => '/some-bucket/a%20b/'
		. '%EA%B0%80%EB%82%98.bin' },
	'ac279cf91ae26946a5feb340b75738586f89997fc0b2db6a3d730d0cd5ef0bc5'],
	['punctuation', { path => '/some-bucket/'
		. 'a%2Bb%26c%3Dd%25e~_-.%28x%29%21%2A%27' },
	'cd813493a401a2a8c7fca465628719e7c1ae6adf67f4d6dbf8688d413ddaa910'],
	['session token', { token => 'TOKENEXAMPLE+/=' },
	'7d3461a38badce64f4619c3c21cddeabd2b02edd7873850a701cdffcc3f4932e'],
	['host and date only', { signed => ['host', 'x-amz-date'] },
	'ef68778ee7e9c83f3a183a6e432f660d8f899d6ef8515d3bb53277bc55b0fc78'],
	['presigned', { presign => 1 },
	'95267932a9c9be91aea81f87fc10825f656f40b70e9670ab7d2547c3310d0761'],
);

for (@vectors) {
	my ($name, $o, $signature) = @$_;
	my %r = (%example, %$o,
		target => ($o->{path} // $object) . "?uploadId=$ID",
		headers => [['Host', $o->{host} // $ncloud]]);
	my $r = $o->{presign} ? SigV4::presign(%r) : SigV4::sign(%r);

	is($r->{signature}, $signature, "vector: $name");
	is(SigV4::verify({ %$r, keys => { AKIDEXAMPLE => $r->{secret} } }), '',
		"vector verified: $name");
	isnt(SigV4::verify({ %$r, keys => { AKIDEXAMPLE => 'wrong' } }), '',
		"wrong secret: $name");
}

is(sha256_hex(SigV4::sign(%example, target => "$object?uploadId=$ID",
	headers => [['Host', $ncloud]])->{canonical_request}),
	'e5260d0683a21a1a63b9091ef568cb878c6ec1a18cd657c4b5c0f835e2f383ff',
	'vector: canonical request');

###############################################################################
#
# The wire invariant; requests go straight to storages

my $t = S3Abort->new(stock => 1);

my $storage = $t->storage('storage');
my $token = $t->storage('token', token => 1);
my $virtual = $t->storage('virtual', addressing => 'virtual');
my $confirm = $t->storage('confirm', confirm => 1);
my $decoy = $t->decoy();

my @common = (['User-Agent', 'ngx_http_s3_abort_module'], ['Connection', 'close'],
	['Content-Length', '0']);

# What a good gateway sends, with the parts that a case changes.

sub bytes($s, %o) {
	my ($access, $key) = %{$s->{keys}};
	my $r = SigV4::sign(
		method => $o{method} // 'DELETE',
		target => $o{target} // '/media/a%20key?uploadId=A%3D',
		headers => [['Host', $o{host} // $s->{host}], @common,
			@{$o{signed_headers} // []}],
		access_key => $o{access_key} // $access,
		secret => $o{secret} // $key->{secret},
		token => $key->{token},
		region => $o{region} // $s->{region},
		$o{time} ? (time => SigV4::amz_time(time + $o{time})) : (),
		$o{hash} ? (payload_hash => $o{hash}) : (),
		$o{signed} ? (signed => $o{signed}) : (),
	);

	my @headers = grep { ($o{without} // '') ne lc $_->[0] }
		@{$r->{headers}};
	push @headers, @{$o{headers} // []};

	return "$r->{method} $r->{target} HTTP/" . ($o{version} // '1.1')
		. "\r\n"
		. join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n"
		. ($o{body} // '');
}

sub talk($s, $bytes) {
	$s->mark();
	my $sock = IO::Socket::INET->new(PeerAddr => $s->address()) or die;
	syswrite $sock, $bytes;
	shutdown $sock, 1;
	local $/;
	my $answer = <$sock>;
	return $answer // '';
}

# The violations of the last exchange.

sub seen($s) {
	my @all = $s->violations();
	return join "\n", @all[($s->{reported} // 0) .. $#all];
}

for my $s ($storage, $token) {
	like(talk($s, bytes($s)), qr/^HTTP\/1.1 204 /, "answer: $s->{name}");
	is(seen($s), '', "good request: $s->{name}");
}

talk($virtual, bytes($virtual, host => 'media.virtual.test',
	target => '/a/b?uploadId=A'));
is(seen($virtual), '', 'good request: virtual-host style');

talk($storage, bytes($storage, signed_headers =>
	[['x-amz-expected-bucket-owner', '1'], ['x-amz-request-payer', 'x'],
	['x-amz-if-match-initiated-time', 'y']]));
is(seen($storage), '', 'good request: headers that are carried');

my $long = 'k' x 1025;

my @bad = (
	['another method', { method => 'PUT' }, qr/^method/],
	['no query', { target => '/media/key' }, qr/^target/],
	['empty id', { target => '/media/key?uploadId=' }, qr/^target/],
	['no id', { target => '/media/key?uploadId' }, qr/^target/],
	['name in lower case', { target => '/media/key?uploadid=A' },
		qr/^target/],
	['two ids', { target => '/media/key?uploadId=A&uploadId=B' },
		qr/^target/],
	['another parameter', { target => '/media/key?uploadId=A&acl' },
		qr/^target/],
	['parameter before', { target => '/media/key?x-id=A&uploadId=A' },
		qr/^target/],
	['fragment', { target => '/media/key?uploadId=A#b' }, qr/^target/],
	['empty key', { target => '/media/?uploadId=A' }, qr/^target/],
	['no key', { target => '/media?uploadId=A' }, qr/^target/],
	['key of slashes', { target => '/media///?uploadId=A' },
		qr/^key of slashes/],
	['empty bucket', { target => '//key?uploadId=A' }, qr/^target/],
	['bad bucket', { target => '/Media/key?uploadId=A' }, qr/^bucket/],
	['dot segment', { target => '/media/a/../b?uploadId=A' }, qr/^dot/],
	['lower-case escape', { target => '/media/a%2bb?uploadId=A' },
		qr/^target/],
	['escape without need', { target => '/media/%41?uploadId=A' },
		qr/^encoding of the key/],
	['encoded slash', { target => '/media/a%2Fb?uploadId=A' },
		qr/^encoding of the key/],
	['raw plus', { target => '/media/a+b?uploadId=A' }, qr/^target/],
	['control character', { target => '/media/a%0Ab?uploadId=A' },
		qr/^control/],
	['no UTF-8', { target => '/media/%FF?uploadId=A' }, qr/UTF-8/],
	['long key', { target => "/media/$long?uploadId=A" },
		qr/^key too long/],
	['id with a slash', { target => '/media/k?uploadId=A%2FB' },
		qr/^upload id/],
	['id of dots', { target => '/media/k?uploadId=..' }, qr/^upload id/],
	['another Host', { host => 'gw.test' }, qr/^Host/],
	['no Host', { without => 'host' }, qr/^no header host/m],
	['no Authorization', { without => 'authorization' },
		qr/^no header authorization/m],
	['two Authorizations', { headers => [['Authorization', 'Basic x']] },
		qr/^header authorization 2 times/m],
	['wrong secret', { secret => 'wrong' }, qr/^signature: .*not match/],
	['unknown key', { access_key => 'AKIA' }, qr/^signature: unknown/],
	['another region', { region => 'us-standard' }, qr/^signature: region/],
	['bucket that is an address', { target => '/10.0.0.1/k?uploadId=A' },
		qr/^bucket/],
	['old date', { time => -90 }, qr/^x-amz-date/],
	['date to come', { time => 90 }, qr/^x-amz-date/],
	['User-Agent of a client', { without => 'user-agent',
		headers => [['User-Agent', 'aws-cli']] }, qr/^User-Agent/m],
	['Connection of a client', { without => 'connection',
		headers => [['Connection', 'close, x-a']] }, qr/^Connection/m],
	['line feed in a value', { signed_headers =>
		[['x-amz-request-payer', "r\nX-Evil: 1"]] }, qr/^control bytes/m],
	['body', { body => 'x', headers => [] }, qr/^incomplete/],
	['body with a length', { body => 'xxxxx',
		headers => [['content-length', 5]], without =>
			'content-length' },
		qr/^body/],
	['chunked body', { body => "1\r\nx\r\n0\r\n\r\n",
		headers => [['Transfer-Encoding', 'chunked']] }, qr/^body/],
	['payload hash', { hash => 'UNSIGNED-PAYLOAD' },
		qr/^x-amz-content-sha256/],
	['unsigned x-amz-*', { headers => [['x-amz-request-payer', 'r']] },
		qr/^header x-amz-request-payer is not signed/m],
	['date not signed', { signed => ['host'] },
		qr/^header x-amz-date is not signed/m],
	['header of a client', { headers => [['X-Forwarded-For', '::1']] },
		qr/^header x-forwarded-for/m],
	['HTTP/1.0', { version => '1.0' }, qr/^version/],
	['half a request', { body => "DELETE /media/key?upl" },
		qr/^incomplete/],
);

for (@bad) {
	my ($name, $o, $re) = @$_;
	talk($storage, bytes($storage, %$o));
	like(seen($storage), $re, "violation: $name");
	$storage->{reported} = () = $storage->violations();
}

talk($token, bytes($token, without => 'x-amz-security-token'));
like(seen($token), qr/security-token/, 'violation: no session token');

talk($virtual, bytes($virtual, host => 'virtual.test',
	target => '/media/key?uploadId=A'));
like(seen($virtual), qr/^Host is not BUCKET/, 'violation: path style');

# ListParts is for a storage that may be asked, of an upload that was aborted

my %list = (method => 'GET', target => '/media/key?max-parts=1&uploadId=A');

talk($storage, bytes($storage, %list));
like(seen($storage), qr/^method GET/, 'violation: ListParts');

talk($confirm, bytes($confirm, %list));
like(seen($confirm), qr/^ListParts without an abort/,
	'violation: ListParts alone');
$confirm->{reported} = () = $confirm->violations();

talk($confirm, bytes($confirm, target => '/media/key?uploadId=A'));
talk($confirm, bytes($confirm, %list));
is(seen($confirm), '', 'good request: ListParts');

for (['secret', { secret => 'wrong' }, qr/^signature/],
	['key', { target => '/media/key2?max-parts=1&uploadId=A' },
		qr/^ListParts without an abort/],
	['id', { target => '/media/key?max-parts=1&uploadId=B' },
		qr/^ListParts without an abort/],
	['order', { target => '/media/key?uploadId=A&max-parts=1' },
		qr/^target/m],
	['number', { target => '/media/key?max-parts=2&uploadId=A' },
		qr/^target/m],
	['object', { target => '/media/key?uploadId=A' }, qr/^target/m],
	['bucket', { target => '/media?uploads' }, qr/^target/m],
	['HEAD', { method => 'HEAD' }, qr/^method HEAD/],
	['DELETE', { method => 'DELETE' }, qr/^target/],
	['header', { signed_headers =>
		[['x-amz-if-match-initiated-time', 'y']] },
		qr/^ListParts with a header of aborts/])
{
	my ($name, $o, $re) = @$_;
	talk($confirm, bytes($confirm, %list, %$o));
	like(seen($confirm), $re, "violation: ListParts, $name");
	$confirm->{reported} = () = $confirm->violations();
}

for my $query ('uploadId=A', 'x;UPLOADID', 'a?%75ploadid=') {
	$decoy->{reported} = () = $decoy->violations();
	talk($decoy, "DELETE /media/key?$query HTTP/1.1\r\n"
		. "Connection: close\r\n\r\n");
	isnt(seen($decoy), '', "violation: a back-end sees $query");
}

$decoy->{reported} = () = $decoy->violations();
like(talk($decoy, "GET /a?uploadId=A HTTP/1.1\r\nConnection: close\r\n\r\n"),
	qr/decoy/, 'answer of a back-end');
is(seen($decoy), '', 'other requests to a back-end');
talk($decoy, "DELETE /a?list HTTP/1.1\r\nConnection: close\r\n\r\n");
like(seen($decoy), qr/^a DELETE/, 'violation: a back-end sees a DELETE');
$decoy->{deletes} = 1;
is(seen($decoy), '', 'a back-end that may see it');

###############################################################################
#
# Answers of storages

sub answer($answer) {
	$storage->answer($answer);
	return talk($storage, bytes($storage));
}

like(answer('404 NoSuchUpload'), qr/^HTTP.1.1 404 .*<Code>NoSuchUpload</s,
	'answer: code');
is(answer("HTTP/1.1 500 X\r\n\r\n"), "HTTP/1.1 500 X\r\n\r\n",
	'answer: bytes');
like(answer({ status => 404, code => 'A', chunked => 1, split => 1 }),
	qr/chunked\r\n\r\n1?..\r\n<\?xml.*<Code>A<.*\r\n0\r\n\r\n\z/s,
	'answer: chunked, bytewise');
is(answer({ status => 204, send => 12, then => 'close' }), 'HTTP/1.1 204',
	'answer: cut off');
is(answer({ status => 204, send => 0, then => 'rst' }), '', 'answer: reset');
like(answer(sub ($r) { "HTTP/1.1 200 $r->{method}\r\n\r\n" }),
	qr/^HTTP.1.1 200 DELETE/, 'answer: sub');

answer([500, 204]);
like(talk($storage, bytes($storage)), qr/^HTTP.1.1 204/, 'answer: list');
like(talk($storage, bytes($storage)), qr/^HTTP.1.1 204/, 'answer: the last');

is(scalar(() = $storage->sent()), 1, 'requests since the mark');
is(($storage->sent())[0]{header}{host}, 'storage.test', 'header');
is_deeply([map { $_->{event} } $storage->events()],
	['connection', 'request', 'close'], 'events since the mark');

$t->mark();
$t->nothing_sent('nothing sent');

$storage->stop();
ok(!IO::Socket::INET->new(PeerAddr => $storage->address()),
	'storage that is down');
$storage->start();
like(talk($storage, bytes($storage)), qr/^HTTP.1.1 204/,
	'storage that is up again');

###############################################################################
#
# nginx without the module; parsing; logs

my $tls = $t->storage('tls', unchecked => 1,
	tls => { %{$t->certificate('server', san => ['tls.test'])} });

$t->write('error.xml', '<?xml version="1.0" encoding="UTF-8"?>'
	. '<Error><Code>AccessDenied</Code><Message>A &amp; B</Message>'
	. '<Resource>/a</Resource><RequestId>7</RequestId></Error>');

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    server {
        listen 127.0.0.1:%%PORT%%;
        location / { return 200 "$request_method"; }
        location /xml {
            default_type application/xml;
            add_header x-amz-request-id $arg_id always;
            return 403 '<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>A &amp; B</Message>$arg_more
<Resource/><RequestId>7</RequestId></Error>';
        }
        location /tls {
            proxy_pass https://%%STORAGE_tls%%;
            proxy_ssl_name tls.test;
            proxy_ssl_server_name on;
            proxy_ssl_session_reuse off;
            proxy_ignore_headers X-Accel-Redirect;
        }
    }
}

EOF

is($t->abort('/x')->{body}, 'DELETE', 'request');
is($t->request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	split => 1)->{body}, 'GET', 'request, bytewise');
is($t->h2('DELETE', '/x', [], port => 1)->{status}, '', 'no HTTP/2 here');

my $r = $t->abort('/xml?id=7');
is("$r->{status} $r->{code} $r->{message}", '403 AccessDenied A & B',
	'S3 error');

$t->{headers}{server} = 1;
is($t->abort('/x?uploadId=A')->{code}, '', 'no error, no code');

for my $case ([id => '/xml?id=8', '(RequestId is not x-amz-request-id)'],
	[twice => '/xml?id=7&more=<Code>B</Code>', '(Code twice)'],
	[unknown => '/xml?id=7&more=<HostId/>', '(element HostId)'],
	[bare => '/xml?id=7&more=<Region>&</Region>', '(not well-formed)'],
	[text => '/xml?id=7&more=text', '(not well-formed)'])
{
	is($t->abort($case->[1])->{code}, $case->[2], "XML: $case->[0]");
}

is($t->abort('/nowhere/../../x')->{code}, '(not application/xml)', 'HTML');
@{$t->{problems}} = ();

$t->abort('/tls');
is(($tls->events('tls'))[0]{sni}, 'tls.test', 'TLS storage');
is(scalar(() = $tls->sent()), 1, 'TLS storage: request');

# nginx relayed it as it is

like("@{$t->{problems}}", qr/^header accept-ranges/, 'a header is noticed');
@{$t->{problems}} = ();
like(join("\n", $t->leaks()), qr/internals/, 'leak in an answer is noticed');
$t->{answers} = '';

my @log = $t->access_log();
is($log[0]{status}, 200, 'access log');

my @old = $t->workers();
is(scalar @old, 1, 'workers');
ok($t->reload(), 'reload');
isnt(join(' ', $t->workers()), "@old", 'new workers');

$t->expect_log(qr/unknown directive/);
ok(!$t->reload(conf => "%%GLOBALS%%\nevents { }\nnonsense on;\n"),
	'reload of nonsense');

my ($rc, $out) = $t->nginx_test("%%GLOBALS%%\nevents { }\nnonsense on;\n");
is($rc, 1, 'nginx -t fails');
like($out, qr/unknown directive "nonsense" in .*test.conf:3/, 'and says why');

###############################################################################
#
# A test that is killed leaves no process and no file behind

pipe my $read, my $write or die;
my $victim = fork();

if ($victim == 0) {
	my $t = S3Abort->new(stock => 1);
	my $s = $t->storage();
	$t->run("%%GLOBALS%%\nevents { }\n");
	syswrite $write, "$t->{nginx_pid} $s->{pid} $t->{dir}\n";
	sleep 60;
	POSIX::_exit(0);
}

close $write;
my ($nginx, $acceptor, $dir) = split ' ', <$read> // '';

ok(kill(0, -$nginx) && kill(0, -$acceptor) && -d $dir, 'before the kill');
kill 'KILL', $victim;
waitpid $victim, 0;
$t->wait_for(sub { !kill(0, -$nginx) && !kill(0, -$acceptor) && !-d $dir },
	'nothing is left after it');

###############################################################################
#
# What done() asserts can fail

sub log_line($line) {
	open my $fh, '>>', $t->dir() . '/error.log' or die;
	print $fh "2026/01/01 00:00:00 [$line\n";
	close $fh;
}

is(join("\n", $t->alerts()), '', 'alerts: announced ones are fine');
$t->expect_log(qr/never/);
like(join("\n", $t->alerts()), qr/not logged: .*never/, 'alerts: none came');
pop @{$t->{expected}};
is(join("\n", $t->leaks()), '', 'no leaks');

my ($access, $key) = %{$storage->{keys}};
my $signature = 'abcdef0123456789' x 4;
$t->seen("X-Amz-Signature=$signature");

my @lines = (
	[alerts => 'alert] 1#1: *1 something'],
	[alerts => 'crit] 1#1: *1 something'],
	[alerts => 'notice] 1#1: worker process 7 exited with code 23'],
	[sanitizer_reports =>
		'==7==ERROR: AddressSanitizer: heap-use-after-free'],
	[sanitizer_reports => 's3.c:1:2: runtime error: load of null pointer'],
	[leaks => "debug] 1#1: *1 s3 abort $key->{secret}"],
	[leaks => 'debug] 1#1: *1 http header: "Authorization: '
		. "$key->{secret}\""],
	[leaks => "error] 1#1: *1 $signature"],
	[leaks => "debug] 1#1: *1 s3 abort $signature"],
	[leaks => 'debug] 1#1: *1 ' . ($storage->signatures())[0]],
);

for (@lines) {
	my ($check, $line) = @$_;
	my $size = -s $t->dir() . '/error.log';

	log_line($line);
	isnt(join("\n", $t->$check()), '', "$check notices: "
		. $line =~ s/CANARY\S+|[0-9a-f]{64}/.../gr);
	truncate $t->dir() . '/error.log', $size;
}

my $size = -s $t->dir() . '/error.log';
log_line("debug] 1#1: *1 http header: \"Authorization: $signature\"");
is(join("\n", $t->leaks()), '', "nginx's own debug line is exempt");
truncate $t->dir() . '/error.log', $size;

isnt(join("\n", $t->violations()), '', 'violations are reported');
$_->{unchecked} = 1 for values %{$t->{storages}};

$t->done();
