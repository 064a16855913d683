# Faults and inputs that no other file is about: what attackers hide, what
# storages answer in their worst hour, what fails when a machine runs out of
# something.  The X rows are those of t/catalogue.md.

###############################################################################

use v5.36;

use IO::Compress::Gzip qw/ gzip /;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64;

use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;
use SigV4;

my $TENANTS = 10_000;		# with ten rules each, and a key

###############################################################################

my $t = S3Abort->new();
my $dir = $t->dir();
my $sanitized = ($ENV{TEST_NGINX_MODULE} // 'dynamic') eq '';

$t->certificate('ca', ca => 1);
my $good = $t->certificate('good', issuer => 'ca', san => ['storage.test']);
my $local = $t->certificate('local', issuer => 'ca', rsa => 2048,
	san => ['localhost', '127.0.0.1']);
my $rsa = $t->certificate('rsa', issuer => 'ca', rsa => 2048,
	san => ['storage.test']);
my $client = $t->certificate('client', issuer => 'ca', client => 1,
	cn => 'alice');
$t->certificate('server', san => ['gw.test', 'other.test']);

my $storage = $t->storage();
my %same = (host => 'storage.test', keys => $storage->{keys},
	access_key => $storage->{access_key});
my $spare = $t->storage('spare', %same);
my $tls = $t->storage('tls', %same, tls => $good);
my $localhost = $t->storage('localhost', %same, tls => $local);
my $internal = $t->decoy('internal');
my $weak; $weak = $t->storage('weak', %same, on_connection => sub ($sock, $n) {
	require IO::Socket::SSL;
	IO::Socket::SSL->start_SSL($sock, SSL_server => 1,
		SSL_cert_file => $rsa->{cert}, SSL_key_file => $rsa->{key},
		SSL_create_ctx_callback => sub ($context) {
			Net::SSLeay::CTX_set_security_level($context, 0);
			my $bio = Net::SSLeay::BIO_new_file("$dir/dh.pem", 'r');
			Net::SSLeay::CTX_set_tmp_dh($context,
				Net::SSLeay::PEM_read_bio_DHparams($bio));
		}, SSL_version => 'TLSv1_2',
		SSL_cipher_list => 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0')
		and $weak->record('handshake');
});

my %alice = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret');
$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

# not by write_keys(), which looks for each secret everywhere

$t->write('many.keys', join('', map { "tenant$_ KEY$_ secret-of-$_\n" }
	1 .. $TENANTS), 0640);
$t->write('few.keys', "tenant1 KEY1 secret-of-1\n", 0640);
$t->write('many.rules', join '', map { my $who = "tenant=tenant$_";
	"allow $who bucket=media key=$_/*;\ndeny $who key=$_/secret/*;\n",
	map({ "allow $who bucket=b$_ key=x;\n" } 1 .. 6),
	"allow $who bucket=media \"key~$_-[0-9]+\";\n",
	"deny $who upload_id=bad*;\n" } 1 .. $TENANTS);

my %endpoints = (
	storage => 'url http://%%STORAGE%%;',
	kept => 'url http://kept;',
	impatient => 'url http://kept; read_timeout 400ms;',
	pair => 'url http://pair;',
	tls => 'url https://%%STORAGE_tls%%;',
	localhost => 'url https://localhost:' . $localhost->{port} . ';',
	weak => 'url https://%%STORAGE_weak%%;',
	full => 'url http://127.0.0.1:%%PORT_9%%; connect_timeout 500ms;',
);

my $endpoints = join '', map { <<"EOF" } sort keys %endpoints;
    s3_abort_endpoint $_ {
        $endpoints{$_}
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
        ssl_trusted_certificate %%TESTDIR%%/ca.crt;
    }
EOF

my $has_http2 = $t->has('http_v2_module');
my @http2 = !$has_http2 ? ('', '') : $t->has_version('1.25.1')
	? ('', 'http2 on;') : ('http2', '');

my $conf = <<"EOF";

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    upstream kept { server %%STORAGE%%; keepalive 4; }

    upstream pair {
        server %%STORAGE%% max_fails=1 fail_timeout=30s;
        server %%STORAGE_spare%% backup;
    }

$endpoints

    s3_abort_policy all { allow; }
    s3_abort_policy own { allow key=\$s3_abort_tenant/*; }
    s3_abort_policy a_b { allow upload_id=A+B; }
    s3_abort_policy few { allow key=few/*; }
    s3_abort_policy many { include %%TESTDIR%%/many.rules; }

    map \$http_x_endpoint \$endpoint { default storage; "~." \$http_x_endpoint; }
    map \$ssl_client_s_dn \$cn { "~CN=(?<name>[^,]+)" \$name; default ""; }

    ssl_certificate         %%TESTDIR%%/server.crt;
    ssl_certificate_key     %%TESTDIR%%/server.key;
    client_body_timeout     1s;
    large_client_header_buffers 4 16k;

    s3_abort_identity trusted \$http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_domain gw.test;
        s3_abort_pass \$endpoint policy=all;

        location / { }

        location /own/ {
            s3_abort_base_path /own;
            s3_abort_pass storage policy=own;
        }

        location /a_b/ {
            s3_abort_base_path /a_b;
            s3_abort_pass storage policy=a_b;
        }

        location /target/ {
            s3_abort_base_path /target;
            s3_abort_target key=\$s3_abort_tenant/\$s3_abort_key;
        }

        location /storage-internals {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_internal%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% $http2[0];
        $http2[1]
        s3_abort_domain gw.test;
        location / { s3_abort_pass storage policy=own; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;

        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys
            region=kr-standard;
        location / { s3_abort_pass \$endpoint policy=own; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/many.keys;
        location / { s3_abort_pass storage policy=many; }

        location /media/few/ {
            s3_abort_identity sigv4 keys=%%TESTDIR%%/few.keys;
            s3_abort_pass storage policy=few;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_5%% ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        server_name gw.test;
        ssl_client_certificate %%TESTDIR%%/ca.crt;
        ssl_verify_client optional;
        s3_abort_identity certificate \$cn;
        location / { s3_abort_pass storage policy=own; }
    }

    server {
        listen 127.0.0.1:%%PORT_5%% ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        server_name other.test;
        ssl_client_certificate %%TESTDIR%%/server.crt;
        ssl_verify_client optional;
        s3_abort_identity certificate \$cn;
        location / { s3_abort_pass storage policy=own; }
    }
}

EOF

# storages that only part F needs; each costs time to look at

my @later = ($spare, $tls, $localhost, $weak, $internal);
$_->stop() for @later;

$t->run($conf);

###############################################################################

my $q = '?uploadId=A';
my $start = "DELETE /media/k$q HTTP/1.1\r\nHost: gw.test\r\nX-Tenant: alice\r\n";

sub ask($endpoint = 'storage', $answer = undef) {
	$storage->answer($answer) if defined $answer;
	return $t->abort("/media/k$q", 'X-Endpoint', $endpoint);
}

sub result($r) {
	return "$r->{status} $r->{code} " . ($t->audit($r)->{outcome} // '');
}

sub targets($storage = 'storage') {
	return join ' ', map { "$_->{method} $_->{target}" } $t->sent($storage);
}

###############################################################################
#
# X-01, X-02: the name of the parameter, and the id

$t->aborts(map { ["X-01 no abort: ?$_", "/media/k?$_", '501 NotImplemented'] }
	qw/ a=b%26uploadId=A uploadId%3DA uploadId%00=A %00uploadId=A
	uploadId%20=A +uploadId=A uploadId[]=A uploadId.x=A %26uploadId=A
	a%3BuploadId=A uploadId%2500=A %2575ploadId=A _uploadId=A %=uploadId /);

$t->aborts(map { ["X-01 refused: ?$_", "/media/k?$_", '400 InvalidArgument'] }
	qw/ uploadId=A%26uploadId%3DB x%26uploadId=A&uploadId=B
	uploadId=A&a=%26uploadId%3DB amp;uploadId=A uploadId=A&amp;x=y
	%75%70%6C%6F%61%64%49%64=A =&uploadId=A &uploadId=A&=
	uploadId=A%3Bx uploadId==A&uploadId uploadId=A?uploadId=B /);

for my $id ('A+B', 'A%2BB', 'A%2bB', '%41%2B%42') {
	$t->aborts(["X-02 one id: $id", "/a_b/media/k?uploadId=$id",
		'/media/k?uploadId=A%2BB']);
}

$t->aborts(map { ["X-02 another id: $_", "/a_b/media/k?uploadId=$_", $_ eq
	'A%252BB' || $_ eq 'A%20B' ? '400 InvalidArgument'
	: '403 AccessDenied'] } qw/ A%252BB A%20B a+b AB A++B /);

###############################################################################
#
# X-03, X-04: HTTP/2

SKIP: {
	skip 'no http_v2 in nginx', 1 unless $has_http2;

	my @one = (['#', "/alice/k$q#x"], ['# first', "/media/alice/k#$q"],
		['absolute form', "http://gw.test/media/alice/k$q"],
		['no slash', "media/alice/k$q"], ['asterisk', "*$q"],
		['two authorities', "//evil.test/media/alice/k$q"],
		['backslash', "\\media\\alice\\k$q"],
		['control byte', "/media/alice/%01$q"]);

	for (@one) {
		my ($name, $target) = @$_;
		my $r = $t->h2('DELETE', $target, [], port => 2);

		like($r->{status}, qr/^(?:400|)\z/, "X-03 :path, $name");
		$t->nothing_sent("X-03 :path, $name: nothing sent");
	}

	for my $host ('user@media.gw.test', 'media.gw.test:0', '*.gw.test',
		'media..gw.test', 'a' x 300 . '.gw.test', 'media.gw.test/a',
		'media%2Egw.test')
	{
		my $r = $t->h2('DELETE', "/alice/k$q", [Host => $host],
			port => 2);
		my $sent = targets();

		like("$r->{status} $sent", qr!^(?:40[03]\ |\ 
			|204\ DELETE\ /media/alice/k\?uploadId=A)\z!x,
			'X-03 :authority ' . substr $host, 0, 20);
	}

	streams();
}

# Streams of one connection: each has a tenant and an answer of its own.

sub streams() {
	my ($bytes, %want, %got) = ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		. frame(4, 0, 0, ''));

	$storage->answer(sub ($r) {
		my ($n) = $r->{target} =~ /-(\d+)\?/;
		sleep 0.001 * (7 * $n % 50);
		return $n % 3 ? 204 : '404 NoSuchUpload';
	});

	for (1 .. 100) {
		my $key = $_ % 5 ? "t$_/k-$_" : "other/k-$_";
		$want{$_} = $_ % 5 == 0 ? 403 : $_ % 3 ? 204 : 404;
		$bytes .= frame(1, 5, 2 * $_ - 1, join '', map { "\0" . join '',
			map { chr(length) . $_ } @$_ } [':method', 'DELETE'],
			[':scheme', 'http'], [':authority', 'gw.test'],
			[':path', "/media/$key?uploadId=id-$_"],
			['x-tenant', "t$_"]);
	}

	$t->mark();
	my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $t->port(2))
		or die "connection to nginx: $!\n";
	syswrite $sock, $bytes;

	my $buffer = '';
	my $end = time() + 20;

	while (keys %got < 100 && time() < $end) {
		IO::Select->new($sock)->can_read(1) or next;
		sysread $sock, $buffer, 65536, length $buffer or last;

		while (length $buffer >= 9) {
			my ($high, $low, $type, undef, $stream)
				= unpack 'CnCCN', $buffer;
			my $length = 9 + ($high << 16 | $low);

			last if length $buffer < $length;
			my $payload = substr substr($buffer, 0, $length, ''), 9;
			$got{($stream + 1) / 2} = status($payload) if $type == 1;
		}
	}

	is(join(' ', map { "$_:" . ($got{$_} // 'none') } 1 .. 100),
		join(' ', map { "$_:$want{$_}" } 1 .. 100),
		'X-04 100 streams: each has its own answer');
	is(join(' ', sort map { $_->{target} =~
		m!^/media/t(\d+)/k-\g1\?uploadId=id-\g1\z! ? $1 : $_->{target} }
		$t->sent()), join(' ', sort grep { $_ % 5 } 1 .. 100),
		'X-04 100 streams: nothing is mixed');
	$storage->answer(204);
}

sub frame($type, $flags, $stream, $payload) {
	return pack('CnCCN', 0, length $payload, $type, $flags, $stream)
		. $payload;
}

# :status comes first: one of HPACK's table, or three digits.

sub status($block) {
	my %static = (9 => 204, 12 => 400, 13 => 404, 14 => 500);
	my $byte = ord($block =~ s/^[\x20-\x3f]//r);

	return $static{$byte & 127} // "index $byte" if $byte & 128;
	return $block =~ /\x03(\d{3})/ ? $1 : 'unknown';
}

###############################################################################
#
# X-05, X-06: bodies

my $inner = "DELETE /media/inner?uploadId=B HTTP/1.1\r\nHost: gw.test\r\n"
	. "X-Tenant: alice\r\n\r\n";
my $chunk = sprintf "%x\r\n%s\r\n", length $inner, $inner;

for (['chunks', "Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n"],
	['trailers', "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
		. "X-A: DELETE /media/inner?uploadId=B HTTP/1.1\r\n\r\n"],
	['chunk extension', "Transfer-Encoding: chunked\r\n\r\n"
		. "5;a=\"DELETE /media/inner\"\r\nhello\r\n0\r\n\r\n"],
	['a length', 'Content-Length: ' . length($inner) . "\r\n\r\n$inner"])
{
	my ($name, $rest) = @$_;
	my $c = $t->connect();

	$t->mark();
	$c->send("$start$rest" . $start =~ s!/k\?!/next?!r
		. "Connection: close\r\n\r\n");
	push @{$c->{methods}}, 'DELETE';

	is(join(' ', map { my $r = $c->answer(); $r->{code} || $r->{status} }
		1 .. 2), 'InvalidRequest 204', "X-05 $name: refused, and next");
	is(targets(), "DELETE /media/next$q",
		"X-05 $name: the body is no request");
}

my $c = $t->connect();
$t->mark();
$c->send("${start}Content-Length: 200000\r\n\r\n");
$c->send($inner x 1600);
is($c->answer()->{code}, 'InvalidRequest', 'X-05 more than is read');
ok($c->closed(), 'X-05 more than is read: closed');
$t->nothing_sent('X-05 more than is read: no request');

for (['100-continue', 5], ['100-Continue', 70_000], ['200-ok', 5]) {
	my ($expect, $length) = @$_;
	my $begin = time();

	$c = $t->connect();
	$t->mark();
	$c->send("${start}Expect: $expect\r\nContent-Length: $length\r\n\r\n");
	like($c->answer(13)->{status}, qr/^(?:400|408|)\z/,
		"X-06 Expect: $expect, and no body comes");
	cmp_ok(time() - $begin, '<', 12, "X-06 Expect: $expect: bounded");
	$t->nothing_sent("X-06 Expect: $expect: nothing sent");
	$c->close();
}

###############################################################################
#
# X-07, X-10: who is asking

for (['two', 'alice', 'bob'], ['the same twice', 'alice', 'alice'],
	['one and none', 'alice', ''], ['none and one', '', 'alice'],
	['three', '', 'alice', ''])
{
	my ($name, @tenants) = @$_;

	$t->aborts(["X-07 X-Tenant: $name", "/own/media/alice/k$q",
		'403 AccessDenied', map { ('X-Tenant', $_) } @tenants]);
}

$t->aborts(map { ["X-10 no tenant: $_", "/own/media/%2A/k$q",
	'403 AccessDenied', 'X-Tenant', $_] } '*', '?', '[a-z]', '\\*', '{a,b}',
	'%2A', '$s3_abort_tenant', 'alice/../bob');

$t->aborts(map { ["X-10 tenant $_: no way up", "/target/media/k$q",
	qr/^[45]\d\d\z/, 'X-Tenant', $_] } '.', '..');
$t->aborts(map { ["X-10 tenant $_: its own key", "/own/media/$_/k$q",
	'/media/' . SigV4::uri_encode($_) . "/k$q", 'X-Tenant', $_] } '...',
	'a..b', '-', '=', '@');
$t->aborts(map { ["X-10 tenant $_: nobody else's", "/own/media/alice/k$q",
	'403 AccessDenied', 'X-Tenant', $_] } '.', '..', '...', 'alic', 'ALICE');

###############################################################################
#
# X-08, X-09, I-12: URLs and hosts

$t->aborts(map { ["X-08 $_", $_ =~ / HTTP/ ? "DELETE $_\r\nHost: gw.test\r\n"
	. "X-Tenant: alice\r\nConnection: close\r\n\r\n" : $_,
	qr/^(?:400|505)\z/] }
	"http://user\@gw.test/media/k$q", "http://user:pw\@gw.test/media/k$q",
	"http:///media/k$q", "http:media/k$q", "http:/media/k$q",
	"http://gw.test:80:80/media/k$q", "http://[::1/media/k$q",
	"http://gw.test#/media/k$q", "http://gw.test\\\@x/media/k$q",
	"h%74tp://gw.test/media/k$q", "gw.test:80$q", "\\media\\k$q",
	"/media/k$q HTTP/1.1 HTTP/1.1", "/media/k$q HTTP/2.0 ",
	"/media/k$q HTTP/1.", "/media/k$q HTTP/x.1", "/media/a\rb$q HTTP/1.1",
	"/media/k$q\t HTTP/1.1x");

my $r = $t->request("DELETE /media/k$q\r\n");
unlike($r->{status}, qr/^2/, 'X-08 HTTP/0.9');
$t->nothing_sent('X-08 HTTP/0.9: nothing sent');

$t->aborts(
	['X-09 4 KB of labels', "/k$q", '400 InvalidBucketName', Host =>
		'a.' x 2000 . 'gw.test'],
	['X-09 a label of 4 KB', "/k$q", '400 InvalidBucketName', Host =>
		'a' x 4000 . '.gw.test'],
	['X-09 4 KB of another name', "/media/k$q", "/media/k$q", Host =>
		'a' x 4000],
	['X-09 more than a header holds', "/media/k$q", '400', Host =>
		'a' x 20_000],
	(map { ["X-09 Host: $_", "/k$q", '400',
		Host => $_] } '*.gw.test', '%2A.gw.test', '?.gw.test', '..gw.test',
		'media..gw.test', 'me dia.gw.test', "media\0.gw.test",
		'media%00.gw.test', 'media%2Egw.test.gw.test', 'a@media.gw.test',
		'media,other.gw.test', 'xn--.gw.test', "\xef\xbc\xae.gw.test",
		'media/x.gw.test', 'media\\x.gw.test', 'media#.gw.test',
		'media?.gw.test', 'media;.gw.test'),
	['X-09 the domain, once more', "/media/k$q", "/media/k$q", Host =>
		'gw.test.evil.test'],
);

for (['a Host', "/media/k$q", 'HTTP/1.1', 'gw.test'],
	['upper case, port', "/media/k$q", 'HTTP/1.1', 'GW.TEST:8080'],
	['a dot at the end', "/media/k$q", 'HTTP/1.1', 'gw.test.'],
	['virtual-host style', "/k$q", 'HTTP/1.1', 'media.gw.test'],
	['absolute form', "http://gw.test/media/k$q", 'HTTP/1.1', 'other.test'],
	['HTTP/1.0', "/media/k$q", 'HTTP/1.0', 'gw.test'],
	['HTTP/1.0, no Host', "/media/k$q", 'HTTP/1.0', undef],
	['the storage\'s', "/media/k$q", 'HTTP/1.1', 'STORAGE.test:443'])
{
	my ($name, $target, $version, $host) = @$_;

	$t->request("DELETE $target $version\r\nX-Tenant: alice\r\n"
		. (defined $host ? "Host: $host\r\n" : '')
		. "Connection: close\r\n\r\n");
	like(($t->sent())[0]{raw} // '', qr/^DELETE\ [^\r]*\ HTTP\/1\.1\r\n
		Host:\ storage\.test\r\n/x, "I-12 our Host, from $name");
}

###############################################################################
#
# X-11, X-12: names that look like others

$t->aborts(map { ["X-11 no slash: $_", "/own/media/alice${_}k$q",
	'403 AccessDenied'] } qw/ %EF%BC%8F %E2%88%95 %E2%81%84 %5C %EF%BC%BC
	%252F %252f %E2%80%A4 /);
$t->aborts(map { ["X-11 another tenant: $_", "/own/media/$_/k$q",
	'403 AccessDenied'] } qw/ ALICE al%C4%B1ce al%C4%B0ce %EF%BD%81lice
	alice%20 alice%E2%80%8B %E2%80%8Balice alice%CC%81 a%CC%80lice
	alic%D0%B5 alice. /);
$t->aborts(map { ["X-11 no upload id: $_", "/media/k?$_=A",
	'501 NotImplemented'] } qw/ upload%C4%B1d upload%C4%B0d
	uploadI%EF%BD%84 %EF%BD%95ploadId uploadId%E2%80%8B %C2%A0uploadId
	uplo%C3%A4dId /);

$t->aborts(map { ["X-12 a name like any other: $_->[0]", "/media/a/$_->[0]$q",
	"/media/a/$_->[1]$q"] } ['..;/b', '..%3B/b'], ['..%3B/b', '..%3B/b'],
	['..%5Cb', '..%5Cb'], ['..\\b', '..%5Cb'], ['..%20/b', '..%20/b'],
	['.../b', '.../b'], ['..%252fb', '..%252fb'],
	['%252e%252e/b', '%252e%252e/b'], ['%EF%BC%8E%EF%BC%8E/b',
	'%EF%BC%8E%EF%BC%8E/b'], ['..%C2%A0/b', '..%C2%A0/b'], ['..+/b',
	'..%2B/b']);
$t->aborts(map { ["X-12 $_", "/media/a/$_$q", '400'] } qw{ ..%00/b ..%00
	%2e%2e%00/b .%00./b ..%0d/b ..%0a/b ..%09/b %u002e%u002e/b %c0%2e/b
	%e0%80%ae%e0%80%ae/b .%2e%2fb %2E%2E%2Fb .%2E ..%7F/b }, '..#/b');

###############################################################################
#
# D-24, G-10, X-13: headers of the storage

$_->start() for @later;

my @headers = map { [$_->[0], $_->[1] // 'LEAK'] }
	['X-Accel-Redirect', '/storage-internals/x'],
	['X-Accel-Redirect', '@internal'], ['X-Accel-Expires', '9'],
	['X-Accel-Limit-Rate', '1'], ['X-Accel-Buffering', 'no'],
	['X-Accel-Charset', 'utf-7'], ['X-Accel-LEAK'], ['x-amz-id-2'],
	['x-amz-request-id'], ['x-clv-s3-version'], ['x-clv-request-id'],
	['Server'], ['Set-Cookie'], ['X-Amz-Bucket-Region'],
	['Location', 'http://LEAK/'], ['Refresh', '0; url=LEAK'], ['Via'],
	['x-amz-delete-marker'], ['x-amz-version-id'], ['ETag', '"LEAK"'],
	['Last-Modified', 'Thu, 01 Jan 1970 00:00:00 GMT'], ['X-Powered-By'],
	['WWW-Authenticate'], ['Proxy-Authenticate'], ['Vary'], ['Link'],
	['Cache-Control'], ['Content-Encoding'], ['Content-Type', 'text/LEAK'],
	['Content-Language'], ['Content-Disposition'], ['P3P'], ['Alt-Svc'],
	['Strict-Transport-Security'], ['Access-Control-Allow-Origin', '*'],
	['Upgrade'], ['Trailer', 'LEAK'], ['Warning'], ['Age', '7'];

for my $header (@headers) {
	my ($name, $value) = @$header;
	my $row = $name =~ /^X-Accel/ ? 'D-24' : 'G-10';

	for my $answer (204, '404 NoSuchUpload', '403 AccessDenied') {
		my ($status, $code) = split / /, $answer;
		my $begin = time();
		my $r = ask('storage', { status => $status, code => $code,
			headers => [$header] });
		my @more = grep { !/^(?:date|connection|content-(?:length|type)
			|x-amz-request-id)\z/x } keys %{$r->{headers}};

		is("$r->{status} $r->{code} @more", "$status "
			. ($code // '') . ' ', "$row $name with a $status")
			or diag($r->{raw});
		unlike($r->{raw}, qr/LEAK/, "$row $name is not relayed");
		cmp_ok(time() - $begin, '<', 10, "$row $name is not obeyed")
			if $name =~ /Limit/;
	}
}

$internal->settle();
is(scalar(() = $internal->all_events()), 0, 'D-24 nothing is redirected');

for (["tab", "A\tB"], ['quotes', 'A"B\\C\'D'], ['percent', '%0d%0aX-LEAK: 1'],
	['markup', '<LEAK>&amp;]]>'], ['CR in it', "A\rX-LEAK: 1"],
	['a folded line', "A\r\n X-LEAK: 1"], ['control bytes', "A\x01\x1b[2J"],
	['bytes above 7F', "\xff\xfe\xc0\xaf"], ['empty', ''],
	['100 KB', 'A' x 100_000], ['129 bytes', 'A' x 129], ['a NUL', "A\0B"],
	['JSON', '","tenant":"LEAK","x":"'])
{
	my ($name, $value) = @$_;
	my $r = ask('storage', { raw => "HTTP/1.1 204 No Content\r\n"
		. "x-amz-request-id: $value\r\n\r\n", then => 'close' });

	like(result($r), qr/^(?:204\ \ ABORTED
		|502\ ServiceUnavailable\ UNKNOWN)\z/x, "X-13 request id: $name");
	unlike($r->{raw}, qr/LEAK/, "X-13 request id: $name: not in the answer");
	is($t->audit($r)->{tenant}, 'alice',
		"X-13 request id: $name: the log is whole");
}

is(scalar(grep { length $_->{upstream_request_id} > 128 } $t->access_log()), 0,
	'X-13 long ones are not logged');

###############################################################################
#
# X-14 to X-19: answers

my $full = "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n";
my $wrong = "HTTP/1.1 404 Not Found\r\nContent-Length: 49\r\n\r\n"
	. '<Error><Code>NoSuchBucket</Code><Message/></Error>';

sub http_error($headers, $body, $status = 404) {
	return "HTTP/1.1 $status X\r\n$headers\r\n$body";
}

sub sized($body, $status = 404, $headers = '') {
	return http_error('Content-Length: ' . length($body) . "\r\n$headers",
		$body, $status);
}

sub chunked($body, $trailers = '', $extension = '', $status = 404) {
	return http_error("Transfer-Encoding: chunked\r\n", sprintf(
		"%x%s\r\n%s\r\n0\r\n%s\r\n", length $body, $extension, $body,
		$trailers), $status);
}

my $code = '<Error><Code>NoSuchBucket</Code></Error>';
my $none = '<Error><Message>x</Message></Error>';

for (['chunks', "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n"
		. "5\r\nhello\r\n0\r\n\r\n"],
	['no chunk', "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n"
		. "0\r\n\r\n"],
	['a length and no body',
		"HTTP/1.1 204 X\r\nContent-Length: 99999\r\n\r\n"],
	['a length of 0', "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n"],
	['another answer', $full . $wrong],
	['an interim answer', "${full}HTTP/1.1 100 Continue\r\n\r\n", 'X-15'],
	['a late answer', $full . $wrong, 'X-14', length $full],
	['a late interim answer', "${full}HTTP/1.1 100 Continue\r\n\r\n",
		'X-15', length $full])
{
	my ($name, $raw, $row, $split) = @$_;
	$row //= 'X-14';

	is(result(ask('kept', [{ raw => $raw, split => $split,
		pause => 0.05 }, 204])), '204  ABORTED', "$row 204 and $name");
	$t->wait_for(sub { $storage->events('close') },
		"$row 204 and $name: nginx closes the connection") if $split;
	is(result(ask('kept')), '204  ABORTED', "$row 204 and $name: the next");
	is(scalar(() = $t->sent()), 1, "$row 204 and $name: sent once");
}

my $early = "HTTP/1.1 103 Early Hints\r\nRetry-After: 77\r\nContent-Length: 9"
	. "\r\nConnection: close\r\nx-amz-request-id: EARLY\r\n\r\n";

is(result($r = ask('storage', $early . sized('', 503))),
	'503 SlowDown FAILED', 'X-15 an interim answer with headers');
is($r->{headers}{'retry-after'}, 1, 'X-15 its Retry-After is not the answer\'s');
is($t->audit($r)->{upstream_request_id}, '',
	'X-15 nor is its request id');
is(result(ask('storage', $early . sized($code))), '404 NoSuchBucket FAILED',
	'X-15 nor its lengths');
like(result(ask('storage', "HTTP/1.1 100 X\r\nContent-Length: 5\r\n\r\nhello"
	. $full)), qr/^502 ServiceUnavailable/, 'X-15 one with a body');
is(result(ask('storage', "HTTP/1.1 102 X\r\n\r\n" x 8 . $full)),
	'204  ABORTED', 'X-15 eight of them');
like(result(ask('storage', "HTTP/1.1 102 X\r\n\r\n" x 50 . $full)),
	qr/^502 ServiceUnavailable/, 'X-15 fifty');

for (['extension', chunked($none, '', ";x=\"$code\"")],
	['trailers', chunked($none, "X-Code: $code\r\n")],
	['trailers of 3,000 lines', chunked($none, "X-Code: $code\r\n" x 3000)],
	['another answer behind', chunked($none) . $wrong],
	['a body behind', sized($none) . $code],
	['compressed', do { gzip(\$code, \my $gz); sized($gz, 404,
		"Content-Encoding: gzip\r\n") }, 'X-17'],
	['UTF-7', sized('+ADw-Error+AD4-+ADw-Code+AD4-NoSuchBucket', 404,
		"Content-Type: text/xml; charset=utf-7\r\n"), 'X-17'],
	['UTF-16', sized(join('', map { "\0$_" } split //, $code), 404,
		"Content-Type: text/xml; charset=utf-16\r\n"), 'X-17'],
	['entities', sized("<!DOCTYPE x [<!ENTITY a \"$code\">]><x>&a;</x>"),
		'X-19'],
	['a billion laughs', sized('<!DOCTYPE x [<!ENTITY a "ha">'
		. join('', map { my $n = chr ord($_) + 1;
		"<!ENTITY $n \"" . "&$_;" x 10 . '">' } 'a' .. 'i')
		. ']><Error><Code>&j;</Code></Error>'), 'X-19'],
	['an external entity', sized('<!DOCTYPE x [<!ENTITY a SYSTEM '
		. '"file:///etc/hostname">]><Error><Code>&a;</Code></Error>'),
		'X-19'],
	['a processing instruction', sized("<?x $code?><Other/>"), 'X-19'],
	['a character reference',
		sized('<Error><Code>NoSuch&#66;ucket</Code></Error>'), 'X-19'],
	['elements without end', sized('<a>' x 1000 . $code), 'X-19'])
{
	my ($name, $raw, $row) = @$_;
	$row //= 'X-16';
	my $begin = time();

	is(result($r = ask('kept', [{ raw => $raw }, 204])),
		'404 NoSuchUpload GONE', "$row $name: from the status alone");
	unlike($r->{raw}, qr/Bucket|laugh|haha|LEAK/,
		"$row $name: nothing of it is relayed");
	cmp_ok(time() - $begin, '<', 10, "$row $name: at once");
	is(result(ask('kept')), '204  ABORTED', "$row $name: the next");
}

for (['the same length twice', "Content-Length: 40\r\n" x 2],
	['a list of lengths', "Content-Length: 40, 40\r\n"],
	['plus', "Content-Length: +40\r\n"],
	['hexadecimal', "Content-Length: 0x28\r\n"],
	['letters behind', "Content-Length: 40abc\r\n"],
	['two numbers', "Content-Length: 4 0\r\n"],
	['empty', "Content-Length:\r\n"],
	['2^63', "Content-Length: 9223372036854775808\r\n"],
	['2^64 + 40', "Content-Length: 18446744073709551656\r\n"],
	['length and chunks', "Content-Length: 40\r\n"
		. "Transfer-Encoding: chunked\r\n"],
	['chunks and length', "Transfer-Encoding: chunked\r\n"
		. "Content-Length: 40\r\n"],
	['chunks twice', "Transfer-Encoding: chunked\r\n" x 2],
	['gzip and chunks', "Transfer-Encoding: gzip, chunked\r\n"],
	['identity', "Transfer-Encoding: identity\r\n"],
	['xchunked', "Transfer-Encoding: xchunked\r\n"])
{
	my ($name, $headers) = @$_;

	for my $body ($code, "28\r\n$code\r\n0\r\n\r\n") {
		like(result(ask('kept', [{ raw => http_error($headers, $body),
			then => 'close' }, 204])),
			qr/^502 ServiceUnavailable UNKNOWN\z/,
			"X-18 framing: $name");
	}
}

###############################################################################
#
# X-20: an answer that comes too late

is(result(ask('impatient', [{ raw => $wrong, delay => 0.7 }, 204])),
	'504 ServiceUnavailable UNKNOWN', 'X-20 an answer that is late');
my ($before) = map { $_->{conn} } $t->sent();
is(result(ask('kept')), '204  ABORTED', 'X-20 the next has its own');
isnt(($t->sent())[0]{conn}, $before, 'X-20 on another connection');
sleep 0.5;
is(result(ask('kept')), '204  ABORTED', 'X-20 and the one behind it');

###############################################################################
#
# Part F

# a server that accepts no more connections

my $full_socket = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
	LocalAddr => '127.0.0.1:' . $t->port(9)) or die "listen: $!\n";
my @fill = map { IO::Socket::INET->new(Proto => 'tcp', Blocking => 0,
	PeerAddr => '127.0.0.1:' . $t->port(9)) } 1 .. 8;
my $begin = time();

is(result($r = ask('full')), '504 ServiceUnavailable FAILED',
	'F-02 connect_timeout: nothing was sent');
cmp_ok(time() - $begin, '<', 10, 'F-02 connect_timeout: bounded');
like($r->{headers}{'retry-after'}, qr/^\d+\z/, 'F-02 Retry-After');
close $_ for @fill, $full_socket;

# a body that never ends: the status has to do

$begin = time();
is(result(ask('storage', sub ($r) { return { pause => 0.1, split => 1000,
	raw => http_error('', "$code " x 100_000) } })),
	'404 NoSuchUpload GONE', 'F-14 an endless body');
cmp_ok(time() - $begin, '<', 10, 'F-14 an endless body: at once');

# an overloaded server has not failed

for my $status (429, 503) {
	ask('pair', $status) for 1 .. 3;
	ask('pair', 204);
	is(targets() . targets('spare'), "DELETE /media/k$q",
		"F-16 $status: the server is still the first one");
}

# whatever a name resolves to, the certificate is the storage's, or nothing is
# sent; an address that does not exist is found at the start

is(result(ask('tls', 204)), '204  ABORTED', 'F-27 an address, the host\'s name');
is(result(ask('localhost')), '502 ServiceUnavailable FAILED',
	'F-27 a name that resolves to somebody else');
is(targets('localhost'), '', 'F-27 nothing is sent to him');
my ($rc, $out) = $t->nginx_test($conf =~ s/localhost:/nowhere.invalid:/r);
is($rc, 1, 'F-27 NXDOMAIN at the start');
like($out, qr/host not found.*nowhere\.invalid/, 'F-27 NXDOMAIN: says so');

# parts that are on their way do not concern the gateway

$storage->answer({ status => 409, code => 'OperationAborted', delay => 0.2 });
is(result(ask()), '409 OperationAborted FAILED', 'F-35 a race that is lost');
is(targets(), "DELETE /media/k$q", 'F-35 is sent once');
$storage->answer(204);
is(result(ask()), '204  ABORTED', 'F-35 and again, as the docs say');
like(slurp('docs/security.md'), qr/an abort may race.*?abort again/is,
	'F-35 the docs say so');

sub slurp($file) {
	open my $fh, '<', $file or return '';
	local $/;
	return <$fh>;
}

# F-23: Diffie-Hellman of 1024 bits (Oakley group 2)

my $prime = 'FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74'
	. '020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437'
	. '4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED'
	. 'EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF';
$t->write('dh.pem', "-----BEGIN DH PARAMETERS-----\n" . encode_base64(
	pack 'H*', "30818702818100${prime}020102")
	. "-----END DH PARAMETERS-----\n");
$t->expect_log(qr/\[crit\].*dh key too small/);

is(result(ask('weak')), '502 ServiceUnavailable FAILED',
	'F-23 weak Diffie-Hellman');
is(join('', map { "$_->{event} " . ($_->{why} // '') }
	$weak->events('handshake')), '', 'F-23 weak Diffie-Hellman: no handshake');

###############################################################################
#
# E-30: a TLS session of one server, used for another

for my $version (qw/ tls1_2 tls1_3 /) {
	my $via = sub ($sni, $session, $name = "-servername $sni") {
		my $request = S3Abort::request_bytes('DELETE',
			"/media/alice/k$q", Host => $sni, Connection => 'close');
		$t->write('request', $request);
		$t->mark();

		my $command = "openssl s_client -connect 127.0.0.1:"
			. $t->port(5) . " $name -$version -ign_eof"
			. " -cert $client->{cert} -key $client->{key}"
			. " $session $dir/session.$version < $dir/request";
		my $out = qx/$command 2>&1/;
		my ($reused) = $out =~ /^(New|Reused), TLS/m;
		my ($status) = $out =~ m!HTTP/1.1 (\d+)!;
		return ($reused // 'no') . ' session, ' . ($status // 'nothing');
	};

	my $name = "E-30 $version:";
	is($via->('gw.test', '-sess_out'), 'New session, 204',
		"$name a certificate");
	is($via->('gw.test', '-sess_in'), 'Reused session, 204',
		"$name the session is resumed");
	like($via->('other.test', '-sess_in'), qr/^\w+ session, (?!2)/,
		"$name but not with another server");
	$t->nothing_sent("$name nothing sent");

	# without a name, which is the first server's

	is($via->('gw.test', '-sess_out', '-noservername'), 'New session, 204',
		"$name no SNI");
	is($via->('gw.test', '-sess_in', '-noservername'),
		'Reused session, 204', "$name no SNI, and the same again");
	like($via->('other.test', '-sess_in'), qr/^\w+ session, (?!2)/,
		"$name no SNI, then another server");
	$t->nothing_sent("$name no SNI, nothing sent");
}

###############################################################################
#
# H-12: many tenants, each of them known at once

sub tenant($n, $path, $upload_id = 'A') {
	my $r = SigV4::sign(target => "/media/$path?uploadId=$upload_id",
		region => 'kr-standard', access_key => "KEY$n",
		secret => "secret-of-$n", headers => [['Host', 'gw.test']]);

	return $t->request(S3Abort::request_bytes('DELETE', $r->{target},
		'X-Tenant', undef, map { @$_ } @{$r->{headers}}), port => 4);
}

for my $n (1, $TENANTS / 2, $TENANTS) {
	is(tenant($n, "$n/k")->{status}, 204, "H-12 tenant $n");
	is(tenant($n, "$n-123")->{status}, 204, "H-12 tenant $n, regex");
	is(tenant($n, "$n/secret/k")->{status}, 403, "H-12 tenant $n, deny");
	is(tenant($n, ($n - 1) . '/k')->{status}, 403, "H-12 not that of $n");
}

# The least CPU time that the worker took for it, in milliseconds.

my ($worker) = $t->workers();

sub least_cpu($sub) {
	my $least = 1e9;

	for (1 .. 31) {
		my $before = $t->cpu($worker);
		$sub->();
		my $ms = 1000 * ($t->cpu($worker) - $before);
		$least = $ms if $ms < $least;
	}

	return $least;
}

my $many = least_cpu(sub { tenant($TENANTS, "$TENANTS/k") });
my $few = least_cpu(sub { tenant(1, "few/1/k") });
cmp_ok($many, '<', 1.5 * $few + 0.1, 'H-12 100,000 rules cost a look-up')
	and note(sprintf '%.2f and %.2f ms', $many, $few);

$begin = time();
($rc, $out) = $t->nginx_test($conf);
is($rc, 0, 'H-12 100,000 rules and 10,000 keys are read') or diag($out);
cmp_ok(time() - $begin, '<', $sanitized ? 60 : 30, 'H-12 in seconds');

###############################################################################

$t->done();
