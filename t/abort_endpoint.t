# The directives of an endpoint: what the storage, or the system, sees of each.
# The rest of ssl_* is in abort_tls.t, send_timeout in abort_torture.t, what is
# wrong in abort_config.t.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new(sessions => 1);

my $storage = $t->storage('storage', unix => $t->dir() . '/storage.sock');
my %same = (host => 'storage.test', keys => $storage->{keys},
	access_key => $storage->{access_key});

my $other = $t->storage('other', %same, service => 'other-3');

# a CA, five more below it, and a storage's certificate of each

my @cas = ('ca');
my %tls;
$t->certificate('ca', ca => 1);

for my $n (0 .. 5) {
	my $tls = $t->certificate("tls$n", issuer => $cas[-1],
		san => ['storage.test']);

	$tls->{cert} = $t->write("chain$n.crt", join '',
		map { $t->read("$_.crt") } "tls$n", reverse @cas[1 .. $n]);
	$tls{$n} = $t->storage("tls$n", %same, tls => $tls);

	push @cas, $t->certificate("ca$n", issuer => $cas[-1], ca => 1)->{name};
}

my $tls = $tls{0};

$t->write('endpoint.conf', "host storage.test;\nregion kr-standard;\n");

###############################################################################

# what each is about, its url and what else it has

my @endpoints = (
	['plain'],
	['bind', undef, 'bind 127.0.0.7;'],
	['bind_variable', undef, 'bind $http_x_from;'],
	['bind_off', undef, 'bind off;'],
	['kept', 'http://kept'],
	['kept_alive', 'http://kept_alive', 'socket_keepalive on;'],
	['four', 'http://four'],
	['tries', 'http://four', 'next_upstream_tries 2;'],
	['timeout', 'http://four', 'next_upstream_timeout 1ms;'],
	['small', undef, 'buffer_size 1k;'],
	['service', 'http://%%STORAGE_other%%', 'service other-3;'],
	['unix', 'http://unix:%%TESTDIR%%/storage.sock'],
	['tls', 'https://%%STORAGE_tls0%%'],
	['tls_again', 'https://%%STORAGE_tls0%%'],
	['protocols', 'https://%%STORAGE_tls0%%', 'ssl_protocols TLSv1.2;'],
	['ciphers', 'https://%%STORAGE_tls0%%', 'ssl_protocols TLSv1.2;
		ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;'],
	['commands', 'https://%%STORAGE_tls0%%',
		'ssl_conf_command MaxProtocol TLSv1.2;
		ssl_conf_command CipherString ECDHE-ECDSA-CHACHA20-POLY1305;'],
	['no_reuse', 'https://%%STORAGE_tls0%%', 'ssl_session_reuse off;'],
	['no_reuse_12', 'https://%%STORAGE_tls0%%', 'ssl_session_reuse off;
		ssl_protocols TLSv1.2;'],
	(map { ["default_$_", "https://%%STORAGE_tls$_%%"] } 4, 5),
	['depth_0', 'https://%%STORAGE_tls0%%', 'ssl_verify_depth 0;'],
	['depth_0_1', 'https://%%STORAGE_tls1%%', 'ssl_verify_depth 0;'],
	['depth_1', 'https://%%STORAGE_tls1%%', 'ssl_verify_depth 1;'],
	['depth_5', 'https://%%STORAGE_tls5%%', 'ssl_verify_depth 5;'],
);

sub endpoint($name, $url = undef, $more = '') {
	$url //= 'http://%%STORAGE%%';
	$more .= ' credentials storage.credentials;'
		unless $more =~ /credentials/;
	$more .= ' ssl_trusted_certificate ca.crt;' if $url =~ /^https/;
	$more .= ' next_upstream error timeout http_500;' if $url =~ /four/;

	return "s3_abort_endpoint $name { url $url;
		include endpoint.conf; $more }\n";
}

my $endpoints = join '', map { endpoint(@$_) } @endpoints;
my $servers = 'server %%STORAGE%% max_fails=0;' x 4;

$t->run(<<"EOF");

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    upstream kept { server %%STORAGE%%; keepalive 1; }
    upstream kept_alive { server %%STORAGE%%; keepalive 1; }
    upstream four { $servers }

    $endpoints

    s3_abort_policy all { allow; }
    s3_abort_identity trusted \$http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        location / { s3_abort_pass \$http_x_endpoint policy=all; }
    }
}

EOF

###############################################################################

sub ask($endpoint, @headers) {
	my $r = $t->abort('/media/k?uploadId=A', 'X-Endpoint', $endpoint,
		@headers);

	return $r->{code} ? "$r->{status} $r->{code}" : $r->{status};
}

# The addresses that the storage was asked from.

sub from() {
	return join ' ', map { $_->{from} } $storage->events('connection');
}

is(ask('plain'), 204, 'include');

is(ask('service'), 204, 'service');
is(scalar(() = $t->sent('other')), 1, 'service: what is signed, see below');

is(ask('bind'), 204, 'bind');
is(from(), '127.0.0.7', 'bind: where it comes from');
is(ask('bind_variable', 'X-From', '127.0.0.8'), 204, 'bind $variable');
is(from(), '127.0.0.8', 'bind $variable: where it comes from');
is(ask('bind_off'), 204, 'bind off');
is(from(), '127.0.0.1', 'bind off: where it comes from');

is(ask('unix'), 204, 'url of a Unix-domain socket');
is(from(), 'unix', '... the storage was asked there');

###############################################################################
#
# socket_keepalive: the timer of a connection that is kept

for (['kept', 0], ['kept_alive', 1]) {
	my ($endpoint, $want) = @$_;

	is(ask($endpoint), 204, $want ? 'socket_keepalive on' : 'off, by default');

	my ($connection) = $storage->events('connection');
	my $timer = qx/ss -Htno sport = :$connection->{peer}/;

	like($timer, qr/^ESTAB/, '... the connection is kept');
	is($timer =~ /timer:\(keepalive/ ? 1 : 0, $want, '... the timer')
		or diag($timer);
}

###############################################################################

$storage->answer(500);
is(ask('four'), '500 InternalError', 'next_upstream');
is(scalar(() = $t->sent()), 4, '... each server once');
is(ask('tries'), '500 InternalError', 'next_upstream_tries');
is(scalar(() = $t->sent()), 2, '... so many');

$storage->answer({ status => 500, delay => 0.05 });
is(ask('timeout'), '500 InternalError', 'next_upstream_timeout');
is(scalar(() = $t->sent()), 1, '... it is over');

###############################################################################
#
# Answers within 1k, and larger ones

my $large = [['X-Large', 'x' x 1024]];

for (['headers', { status => 204, headers => $large }, 204,
	'502 ServiceUnavailable'],
	['an error document', { status => 404, code => 'NoSuchBucket',
	message => 'x' x 1024 }, '404 NoSuchBucket', '404 NoSuchUpload'])
{
	my ($name, $answer, $default, $small) = @$_;

	$storage->answer($answer);
	is(ask('plain'), $default, "buffer_size: $name");
	is(ask('small'), $small, "buffer_size 1k: $name, too large");
}

$storage->answer('404 NoSuchBucket');
is(ask('small'), '404 NoSuchBucket', 'buffer_size 1k: one that fits');

###############################################################################

my %version = (tls => 'TLSv1_3 TLS_AES_256_GCM_SHA384',
	protocols => 'TLSv1_2 ECDHE-ECDSA-AES256-GCM-SHA384',
	ciphers => 'TLSv1_2 ECDHE-ECDSA-AES128-GCM-SHA256',
	commands => 'TLSv1_2 ECDHE-ECDSA-CHACHA20-POLY1305');

sub handshakes($name) {
	return join ', ', map { "$_->{version} $_->{cipher}" }
		$tls->events('tls');
}

for (sort keys %version) {
	is(ask($_), 204, "ssl: $_");
	is(handshakes($_), $version{$_}, "ssl: $_: version and cipher");
}

# sessions, each of its endpoint alone

for (['tls_again', 0, 1, 1], ['protocols', 1, 1, 1], ['no_reuse', 0, 0, 0],
	['no_reuse_12', 0, 0, 0])
{
	my ($endpoint, @want) = @$_;

	for my $want (@want) {
		is(ask($endpoint), 204, "ssl_session_reuse: $endpoint");
		is(join(' ', map { $_->{reused} } $tls->events('tls')), $want,
			"ssl_session_reuse: $endpoint: reused");
	}
}

# how many CAs there may be between the two

my $refused = '502 ServiceUnavailable';

for (['default_4', 204], ['default_5', $refused], ['depth_0', 204],
	['depth_0_1', $refused], ['depth_1', 204], ['depth_5', 204])
{
	is(ask($_->[0]), $_->[1], "ssl_verify_depth: $_->[0]");
}

###############################################################################
#
# A path that is relative is so to the directory of nginx.conf

mkdir $t->dir() . '/conf';
$t->write('conf/there.credentials', $storage->credentials(), 0640);

for (['there', 0], ['storage', 1]) {
	my ($name, $want) = @$_;

	$t->write('conf/nginx.conf', "%%LOAD%%\n%%GLOBALS%%\nevents { }\n"
		. "http { s3_abort_endpoint a { url http://127.0.0.1; "
		. "region r; credentials $name.credentials; } }\n");

	my ($rc, $out) = $t->nginx('-t', '-c', $t->dir() . '/conf/nginx.conf');
	is($rc, $want, "relative credentials: $name") or diag($out);
}

$t->done();
