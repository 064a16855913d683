# Aborts over HTTP/2.

###############################################################################

use v5.36;

use IO::Select;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();

S3Abort::need('nginx with HTTP/2', $t->has('http_v2_module'));

my $storage = $t->storage();
my $backend = $t->decoy('backend', deletes => 1);

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

my $http2 = $t->has_version('1.25.1') ? ['', 'http2 on;'] : ['http2', ''];

$t->run(<<"EOF");

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy media { allow bucket=media; }

    server {
        listen 127.0.0.1:%%PORT%% $http2->[0];
        $http2->[1]
        s3_abort_domain gw.test;
        s3_abort_identity trusted \$http_x_tenant;

        location / {
            s3_abort_pass storage policy=media;
            proxy_pass http://%%STORAGE_backend%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% $http2->[0];
        $http2->[1]
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;

        location / {
            s3_abort_pass storage policy=media;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% $http2->[0];
        $http2->[1]
        s3_abort_identity trusted \$http_x_tenant;
        s3_abort_pass storage policy=media;
        error_page 400 = \@backend;

        location \@backend { proxy_pass http://%%STORAGE_backend%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%% $http2->[0];
        $http2->[1]
        s3_abort_identity trusted \$http_x_tenant;
        error_page 400 /error;

        location / { s3_abort_pass storage policy=media; }
        location = /error { proxy_pass http://%%STORAGE_backend%%; }
    }
}

EOF

###############################################################################

sub ask($target, @headers) {
	my $r = $t->h2('DELETE', $target, \@headers);
	return $r->{status} . ($r->{code} && " $r->{code}")
		. join '', map { " $_->{target}" } $t->sent();
}

my $q = '?uploadId=A';

is(ask("/media/a%20b$q"), "204 /media/a%20b$q", 'an abort');
is(ask("/k$q", Host => 'media.gw.test'), "204 /media/k$q",
	'virtual-host style');
is(ask('/media/k?uploadid=A'), '400 InvalidArgument', 'nearly an abort');
is(ask("/media/$q"), '400 InvalidRequest', 'empty key');
is(ask("/media/a/../b$q"), '400 InvalidURI', 'dot segment');
is(ask("/other/k$q"), '403 AccessDenied', 'denied');
is($t->h2('DELETE', '/media/k')->{body}, 'decoy', 'no abort');
is($t->h2('GET', "/media/k$q")->{body}, 'decoy', 'another method');

$storage->answer('404 NoSuchUpload');
is(ask("/media/k$q"), "404 NoSuchUpload /media/k$q", 'an error of the storage');
$storage->answer(204);

my $r = $t->h2('DELETE', "/media/k$q", ['Content-Type', 'text/plain'],
	curl => ['--data-binary', 'hello']);
is("$r->{status} $r->{code}", '400 InvalidRequest', 'D-12 a body');
$t->nothing_sent('D-12 nothing sent');

$t->write('body', 'x' x 60_000);
$r = $t->h2('DELETE', "/media/k$q", [], curl =>
	['--data-binary', '@' . $t->dir() . '/body']);
is("$r->{status} $r->{code}", '400 InvalidRequest',
	'D-12 a large body is read, then refused');
$t->nothing_sent('D-12 nothing sent');

# more than is read: curl may see the stream reset before the answer

$t->write('body', 'x' x 500_000);
$r = $t->h2('DELETE', "/media/k$q", [], curl =>
	['--data-binary', '@' . $t->dir() . '/body']);
like($r->{status}, qr/^(?:400|413|)\z/, 'D-13 a body beyond the bound');
$t->nothing_sent('D-13 nothing sent');

###############################################################################
#
# SigV4: the Host that was signed is :authority

my %alice = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret',
	region => 'kr-standard', target => "/media/k$q",
	headers => [['Host', 'gw.test']]);

my $signed = SigV4::sign(%alice);
is($t->h2('DELETE', $signed->{target}, [map { @$_ } @{$signed->{headers}}],
	port => 2)->{status}, 204, 'sigv4');

my $presigned = SigV4::presign(%alice);
is($t->h2('DELETE', $presigned->{target}, ['X-Tenant', undef], port => 2)
	->{status}, 204, 'sigv4, presigned');

$signed = SigV4::sign(%alice, headers => [['Host', 'other.test']]);
is($t->h2('DELETE', $signed->{target}, ['Host', 'gw.test',
	map { $_->[0] eq 'Host' ? () : @$_ } @{$signed->{headers}}],
	port => 2)->{code}, 'SignatureDoesNotMatch',
	'sigv4, another host signed');

###############################################################################
#
# Frames of our own

my @request = ([':method', 'DELETE'], [':scheme', 'http'],
	[':path', "/media/k$q"], [':authority', 'gw.test'],
	['x-tenant', 'alice']);

sub changed(%o) {
	return map { exists $o{$_->[0]} ? (defined $o{$_->[0]}
		? [$_->[0], $o{$_->[0]}] : ()) : $_ } @request;
}

is(frames(@request), 204, 'frames: an abort');

my @bad = (
	['C-10 host and :authority differ', @request, ['host', 'other.test']],
	['D-21 two paths', @request[0 .. 2], [':path', '/other'],
		@request[3, 4]],
	['D-21 two methods', $request[0], [':method', 'GET'], @request[1 .. 4]],
	['D-21 method with a request line', changed(':method',
		"DELETE /x HTTP/1.1")],
	['D-21 method in lower case', changed(':method', 'delete')],
	['D-21 CRLF in a value', @request, ['x-a', "b\r\nc: d"]],
	['D-21 CRLF in the path', changed(':path', "/media/k$q\r\nHost: x")],
	['D-21 NUL in a value', @request, ['x-a', "b\0c"]],
	['D-21 upper-case name', @request, ['X-A', 'b']],
	['D-21 empty path', changed(':path', '')],
	['D-21 no path', changed(':path', undef)],
	['D-21 no method', changed(':method', undef)],
	['D-21 no host', changed(':authority', undef)],
	['D-21 path without a slash', changed(':path', "media/k$q")],
	['D-21 unknown pseudo-header', @request[0 .. 3], [':x', 'a'],
		$request[4]],
	['D-21 space in the path', changed(':path', "/media/a b$q")],
	['E-14 two Authorizations', @request, ['authorization', 'a'],
		['authorization', 'b']],
);

for (@bad) {
	my ($name, @headers) = @$_;

	like(frames(@headers), qr/^(?:400|RST|GOAWAY|closed)\z/, $name);
	$t->nothing_sent("$name: nothing sent");
}

# K-24: an error page of a request that was not read to its end

for my $target ("/media/k$q", '/media/k?uploadId=') {
	my @start = ($request[0], $request[1], [':path', $target], $request[3]);

	for (['two Authorizations', @start, ['authorization', 'a'],
			['authorization', 'b']],
		['an unknown pseudo-header', @start, [':x', 'a']],
		['two paths', @start, [':path', '/other']],
		['a Host that is none', @start, ['host', '/']])
	{
		my ($name, @headers) = @$_;

		for my $port (3, 4) {
			my $what = "K-24 $name, $target, " . ($port == 3
				? 'a named location' : 'a page');

			like(frames(@headers, { port => $port }),
				qr/^(?:40[03]|RST|GOAWAY|closed)\z/, $what);
			$backend->settle();
			is(scalar(() = $backend->events('request')), 0,
				"$what: not handed on");
			$t->nothing_sent("$what: nothing sent");
		}
	}
}

# nginx leaves the spaces: a header that says nothing is none, at the storage

for my $value (' ', ' 123456789012', '123456789012 ') {
	is(frames(@request, ['x-amz-expected-bucket-owner', $value]), 400,
		"D-03 a header that is carried: \"$value\"");
	$t->nothing_sent('D-03 nothing sent');
}

is(frames(@request, ['x-amz-expected-bucket-owner', '123456789012']), 204,
	'D-03 a header that is carried');

# these some versions of nginx let through: refused, or a perfect abort

for (['D-21 pseudo-header behind a header', $request[4], @request[0 .. 3]],
	['D-21 connection header', @request, ['transfer-encoding', 'chunked']],
	['D-21 connection header', @request, ['connection', 'x-tenant']])
{
	my ($name, @headers) = @$_;

	like(frames(@headers), qr/^(?:204|400|RST|GOAWAY|closed)\z/, $name);
}

# a stream that the client resets: the abort runs to its end

$storage->answer({ status => 204, delay => 0.3 });
frames(changed(':path', "/media/reset$q"), 'reset');
$t->wait_for(sub { grep { $_->{key} eq 'reset' && $_->{outcome} eq 'ABORTED' }
	$t->access_log() }, 'F-29 a stream that is reset');

$t->done();

###############################################################################

# Sends one request, its headers as literals, and returns the status, or RST,
# GOAWAY or closed.  With a last argument "reset" it resets the stream once
# the storage has seen the request; one of { port => n } is for another port.

sub frames(@headers) {
	my $port = ref $headers[-1] eq 'HASH' ? (pop @headers)->{port} : 1;
	my $reset = !ref $headers[-1] && pop @headers;
	my $block = join '', map { "\0" . text($_->[0]) . text($_->[1]) }
		@headers;

	$t->mark();

	my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $t->port($port))
		or die "connection to nginx: $!\n";
	syswrite $sock, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '')
		. frame(1, 5, 1, $block);

	if ($reset) {
		$t->wait_for(sub { $t->sent() });
		syswrite $sock, frame(3, 0, 1, pack 'N', 8);
		return '';
	}

	my ($buffer, $result) = ('', 'timeout');

	while (IO::Select->new($sock)->can_read(10)) {
		sysread $sock, $buffer, 65536, length $buffer
			or return 'closed';

		while (length $buffer >= 9) {
			my ($high, $low, $type, $flags, $stream)
				= unpack 'CnCCN', $buffer;
			my $length = $high << 16 | $low;

			last if length $buffer < 9 + $length;
			my $frame = substr $buffer, 0, 9 + $length, '';

			return status(substr $frame, 9) if $type == 1;
			return 'RST' if $type == 3;
			return 'GOAWAY' if $type == 7;
			syswrite $sock, frame(4, 1, 0, '')
				if $type == 4 && !($flags & 1);
		}
	}

	return 'timeout';
}

sub frame($type, $flags, $stream, $payload) {
	my $length = length $payload;
	return pack('CnCCN', $length >> 16, $length & 0xffff, $type, $flags,
		$stream) . $payload;
}

sub text($s) {
	my $length = length $s;
	return chr($length) . $s if $length < 127;

	$length -= 127;
	my $bytes = chr 127;

	while ($length >= 128) {
		$bytes .= chr(128 | $length & 127);
		$length >>= 7;
	}

	return $bytes . chr($length) . $s;
}

# :status is the first header of a response: indexed, or a literal that nginx
# does not compress; a table size update may stand before it.

sub status($block) {
	my %static = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400,
		13 => 404, 14 => 500);

	$block =~ s/^[\x20-\x3f]//;
	my $byte = ord $block;

	return $static{$byte & 127} if $byte & 128;
	return $block =~ /^.\x03(\d{3})/s ? $1 : 'unknown';
}
