# TLS to the storage: verified by default, against the endpoint's host, which
# is also the SNI; nothing is sent to who is not the storage.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new(sessions => 1);

$t->certificate('ca', ca => 1);
$t->certificate('other-ca', ca => 1);
my $client = $t->certificate('gateway', issuer => 'ca', client => 1);

my $good = $t->storage('good', host => 'storage.test', tls =>
	$t->certificate('good', issuer => 'ca', san => ['storage.test']));

my %same = (host => 'storage.test', keys => $good->{keys},
	access_key => $good->{access_key});

# storages that are not to be believed; others that are fine

my %bad = (
	expired => [issuer => 'ca', san => ['storage.test'], expired => 1],
	future => [issuer => 'ca', san => ['storage.test'], future => 1],
	self_signed => [san => ['storage.test']],
	wrong_ca => [issuer => 'other-ca', san => ['storage.test']],
	wrong_name => [issuer => 'ca', san => ['other.test']],
	suffix => [issuer => 'ca',
		san => ['storage.test.evil', 'xstorage.test']],
	only_cn => [issuer => 'ca', cn => 'storage.test'],
	cn_besides => [issuer => 'ca', cn => 'storage.test',
		san => ['other.test']],
	address => [issuer => 'ca', san => ['127.0.0.1']],
	wildcard => [issuer => 'ca', san => ['*.storage.test']],
	client_only => [issuer => 'ca', san => ['storage.test'], client => 1],
	revoked => [issuer => 'ca', san => ['storage.test']],
);

my %fine = (
	several => [issuer => 'ca', san => ['a.test', 'storage.test']],
);

for (sort keys %bad, keys %fine) {
	$t->storage($_, %same, tls => $t->certificate("tls.$_",
		@{$bad{$_} // $fine{$_}}),
		$_ eq 'wrong_name' ? (sni => '(?:storage|other)\.test') : ());
}

my $crl = $t->crl('ca', 'tls.revoked');

my $virtual = $t->storage('virtual', %same, addressing => 'virtual', tls =>
	$t->certificate('virtual', issuer => 'ca', san => ['*.storage.test']));

my $virtual12 = $t->storage('virtual12', %same, addressing => 'virtual',
	tls => { %{$t->certificate('virtual12', issuer => 'ca',
	san => ['*.storage.test'])}, versions => 'TLSv1_2' });

my $mutual = $t->storage('mutual', %same, tls => {
	%{$t->certificate('mutual', issuer => 'ca', san => ['storage.test'])},
	ca => $client->{issuer} });

my $sha1 = $t->storage('sha1', %same, tls => {
	%{$t->certificate('sha1', issuer => 'ca', san => ['storage.test'],
	digest => 'sha1')}, weak => 1 });

my $tls1 = $t->storage('tls1', %same, tls => {
	%{$t->certificate('tls1', issuer => 'ca', san => ['storage.test'])},
	versions => 'TLSv1', weak => 1 });

my $tls12 = $t->storage('tls12', %same, tls => {
	%{$t->certificate('tls12', issuer => 'ca', san => ['storage.test'])},
	versions => 'TLSv1_2' });

my $plain = $t->storage('plain', %same,
	greeting => "HTTP/1.1 204 No Content\r\n\r\n",
	on_connection => sub ($sock, $n) { sysread $sock, my $hello, 65536 });

my $stall = $t->storage('stall', %same, on_connection => sub ($sock, $n) {
	1 while sysread $sock, my $hello, 65536;
});

my $alert = $t->storage('alert', %same, on_connection => sub ($sock, $n) {
	sysread $sock, my $hello, 65536;
	syswrite $sock, "\x15\x03\x03\x00\x02\x02\x28";
});

# wrong certificates on the wire, and good ones, that a sibling talks to, too

my @shared = map { my $version = $_;
	map { my $s = $t->storage("shared_$_\_$version", %same, unchecked => 1,
		tls => { %{$t->certificate("shared_$_\_$version",
		issuer => $_ eq 'bad' ? 'other-ca' : 'ca',
		san => ['storage.test'])}, versions => $version }); $s }
		qw/ good bad / } qw/ TLSv1_2 TLSv1_3 /;

###############################################################################

my $endpoints = '';

for (sort keys %{$t->{storages}}) {
	my $more = $_ eq 'revoked' ? "ssl_crl $crl;"
		: /^virtual/ ? 'addressing virtual;'
		: $_ eq 'mutual' ? "ssl_certificate $client->{cert}; "
			. "ssl_certificate_key $client->{key};"
		: $_ eq 'stall' ? 'connect_timeout 500ms;' : '';
	my $url = /^shared_/ ? $_ : "%%STORAGE_$_%%";

	$endpoints .= "upstream $_ { server %%STORAGE_$_%%; keepalive 4; }\n"
		if /^shared_/;
	$endpoints .= <<"EOF";
    s3_abort_endpoint $_ {
        url          https://$url;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/good.credentials;
        ssl_trusted_certificate %%TESTDIR%%/ca.crt;
        $more
    }
EOF
}

$t->run(<<"EOF");

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
$endpoints

    s3_abort_endpoint unverified {
        url          https://%%STORAGE_self_signed%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/good.credentials;
        ssl_verify   off;
    }

    s3_abort_endpoint system_ca {
        url          https://%%STORAGE_good%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/good.credentials;
    }

    s3_abort_endpoint named {
        url          https://%%STORAGE_wrong_name%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/good.credentials;
        ssl_trusted_certificate %%TESTDIR%%/ca.crt;
        ssl_name     other.test;
    }

    s3_abort_endpoint no_certificate {
        url          https://%%STORAGE_mutual%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/good.credentials;
        ssl_trusted_certificate %%TESTDIR%%/ca.crt;
    }

    s3_abort_endpoint to_plain_http {
        url          http://%%STORAGE_good%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/good.credentials;
    }

    s3_abort_policy all { allow; }
    s3_abort_identity trusted \$http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            s3_abort_pass \$http_x_endpoint policy=all;
        }

        # siblings that verify nothing, and keep what they opened

        location /sibling/ {
            rewrite ^ / break;
            proxy_pass https://\$http_x_endpoint;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ssl_session_reuse on;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_server_name on;
            proxy_ssl_name storage.test;
        }
    }
}

EOF

###############################################################################

sub ask($endpoint, $bucket = 'media') {
	my $r = $t->abort("/$bucket/k?uploadId=A", 'X-Endpoint', $endpoint);
	return "$r->{status} $r->{code}";
}

sub handshake($storage) {
	my ($tls) = $storage->events('tls');
	return $tls // {};
}

is(ask('good'), '204 ', 'verified');
is(handshake($good)->{sni}, 'storage.test', 'F-25 SNI is the host');

for (sort keys %fine) {
	is(ask($_), '204 ', "verified: $_");
}

for (sort keys %bad) {
	is(ask($_), '502 ServiceUnavailable', "F-23 $_");
	is(join('', map { $_->{raw} // '' } $t->{storages}{$_}->events()), '',
		"F-23 $_: no byte is sent");
}

is(ask('system_ca'), '502 ServiceUnavailable',
	'F-23 the system\'s CAs do not know the test\'s');
is_deeply([$t->sent('good')], [], 'F-23 nothing sent');

is(ask('unverified'), '204 ', 'ssl_verify off');
is(ask('named'), '204 ', 'ssl_name');
is(handshake($t->{storages}{wrong_name})->{sni}, 'other.test', 'ssl_name: SNI');

is(ask('virtual'), '204 ', 'addressing virtual');
is(handshake($virtual)->{sni}, 'media.storage.test', 'addressing virtual: SNI');
is(ask('virtual', 'a.b.c'), '502 ServiceUnavailable',
	'addressing virtual: a bucket that the certificate does not cover');
is_deeply([$t->sent('virtual')], [], 'addressing virtual: nothing sent');

for my $bucket (qw/ a.b.c media media a.b.c media /) {
	is(ask('virtual12', $bucket), $bucket eq 'media' ? '204 '
		: '502 ServiceUnavailable', "K-29 $bucket");
}
is(handshake($virtual12)->{reused}, 1, 'K-29 good sessions are resumed');

is(ask('mutual'), '204 ', 'ssl_certificate');
is(handshake($mutual)->{client}, 'gateway', 'ssl_certificate: was sent');
is(ask('no_certificate'), '502 ServiceUnavailable',
	'a storage that wants a certificate');
$t->allow_log(qr/\[crit\].*alert certificate required/);

for (['sha1', 'SHA-1'], ['tls1', 'TLS 1.0']) {
	my ($endpoint, $name) = @$_;

	is(ask($endpoint), '502 ServiceUnavailable', "F-23 $name");
	is_deeply([$t->sent($endpoint)], [], "F-23 $name: nothing sent");
}

is(ask('tls12'), '204 ', 'TLS 1.2');
is(ask('plain'), '502 ServiceUnavailable', 'F-09 plaintext on the TLS port');

# with what the storage wrote there before nginx looks: the worker is stopped
# while requests come, and connects for all of them before it waits again

my @clients = map { $t->connect() } 1 .. 100;
my $plaintext = S3Abort::request_bytes('DELETE', '/media/k?uploadId=A',
	'X-Endpoint', 'plain');

my $before = length $t->error_log();
substr($plaintext, 0, 1) = '';
$_->send('D') for @clients;
$t->wait_for(sub { 100 <= (() = substr($t->error_log(), $before)
	=~ /http process request line/g) });
my ($worker) = $t->workers();

kill 'STOP', $worker;
$_->send($plaintext) for @clients;
kill 'CONT', $worker;

is(join(' ', grep { $_ ne '502' } map { $_->answer()->{status} } @clients), '',
	'F-09 plaintext that is there before the handshake');

is(ask('alert'), '502 ServiceUnavailable', 'F-24 TLS alert');
is(ask('stall'), '504 ServiceUnavailable', 'F-24 handshake that stalls');
is(ask('to_plain_http'), '502 ServiceUnavailable',
	'plain http to a TLS port: nonsense from it');

###############################################################################
#
# F-25 J-07: a sibling with verification off shares the upstream

for my $s (@shared) {
	my $name = $s->{name};
	my $good = $name =~ /good/;
	my $sibling = sub {
		$s->answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		my $r = $t->request(S3Abort::request_bytes('GET', '/sibling/',
			'X-Endpoint', $name));
		$s->answer(204);
		return $r->{status};
	};

	is($sibling->(), 200, "J-07 $name: the sibling gets through")
		for 1 .. 2;

	for my $round (1 .. 3) {
		is(ask($name), $good ? '204 ' : '502 ServiceUnavailable',
			"J-07 $name: the abort ($round)");
		is(scalar(grep { $_->{method} eq 'DELETE' } $s->sent()),
			$good ? 1 : 0, "J-07 $name: sent ($round)");
		is(handshake($s)->{reused} // 0, 0,
			"J-07 $name: no session of the sibling's")
			if $round == 1;
		is($sibling->(), 200, "J-07 $name: the sibling again ($round)");
	}

	# who opened the connections that carried aborts

	my (%first, %opener);

	for (map { Storage::parse_request($_) }
		grep { $_->{event} eq 'request' } $s->all_events())
	{
		$first{$_->{conn}} //= $_->{method};
		$opener{$first{$_->{conn}}} = 1 if $_->{method} eq 'DELETE';
	}

	is(join(' ', keys %opener), $good ? 'DELETE' : '',
		"J-07 $name: no abort on a sibling's connection");
}

$t->done();
