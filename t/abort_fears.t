# What the authors fear most, nginx and S3 being what they are: part K of
# t/catalogue.md.

###############################################################################

use v5.36;

use Test::More;
use Time::HiRes qw/ sleep /;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

# K-18: all of this, where it is tomorrow already

$ENV{TZ} = 'Pacific/Kiritimati';

my $t = S3Abort->new(sessions => 1);
my $dir = $t->dir();

$t->certificate('ca', ca => 1);
$t->certificate('other-ca', ca => 1);
$t->certificate('server', san => ['gw.test', 'open.test']);
my $alice = $t->certificate('alice', issuer => 'ca', client => 1);
my $stranger = $t->certificate('stranger', issuer => 'other-ca', cn => 'alice',
	client => 1);
my $revoked = $t->certificate('revoked', issuer => 'ca', cn => 'alice',
	client => 1);
$t->crl('ca', 'revoked');

my %pairs = (OLD => { secret => 'CANARY/secret+of+OLD' },
	NEW => { secret => 'CANARY/secret+of+NEW',
		token => 'CANARY/token+of+NEW' });
my %same = (host => 'storage.test', keys => \%pairs, access_key => 'OLD');

my $storage = $t->storage('storage', %same);
my $backend = $t->decoy('backend', deletes => 1);
my $tls = $t->storage('tls', %same, tls =>
	$t->certificate('tls', issuer => 'ca', san => ['storage.test']));
my $forged = $t->storage('forged', %same, tls => $t->certificate('forged',
	issuer => 'other-ca', san => ['storage.test']));
my $virtual = $t->storage('virtual', %same, addressing => 'virtual', tls =>
	$t->certificate('virtual', issuer => 'ca',
	san => ['media.storage.test']));

sub use_pair($name, $file = 'rotated') {
	$storage->{access_key} = $name;
	$t->write("$file.credentials", $storage->credentials(), 0640);
}

use_pair($_, $_) for qw/ NEW OLD /;
use_pair('OLD', $_) for 'fixed', 'rotated';
$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

my @BALANCERS = ('least_conn', 'ip_hash', 'hash $s3_abort_key consistent',
	'hash $s3_abort_tenant$s3_abort_target', 'random two least_conn',
	'zone shared 128k');

my $upstreams = join '', map { <<"EOC" } 0 .. $#BALANCERS;
    upstream balanced$_ {
        $BALANCERS[$_];
        server %%STORAGE%% max_fails=0;
        server %%STORAGE%% max_fails=0;
        keepalive 2;
    }
EOC

my $http500 = 'next_upstream error timeout http_500;';
my %endpoints = (
	kept => 'url http://kept; credentials OLD;',
	down => 'url http://127.0.0.1:%%PORT_9%%; credentials OLD;',
	other_pair => 'url http://kept; credentials NEW;',
	tls => 'url https://tls; credentials OLD; buffer_size 4k;',
	fixed => "url http://two; credentials fixed; $http500",
	rotated => "url http://two; credentials rotated refresh=100ms; $http500",
	loose => 'url https://forged; credentials OLD; ssl_verify off;',
	strict => 'url https://forged; credentials OLD;',
	virtual => 'url https://virtual; credentials OLD; addressing virtual;',
	(map { ("balanced$_" => "url http://balanced$_; credentials OLD; "
		. $http500) } 0 .. $#BALANCERS),
);

my $endpoints = join '', map { <<"EOC" } sort keys %endpoints;
    s3_abort_endpoint $_ {
        @{[$endpoints{$_} =~ s!credentials \K(\w+)!$dir/$1.credentials!r]}
        host    storage.test;
        region  kr-standard;
        ssl_trusted_certificate %%TESTDIR%%/ca.crt;
    }
EOC

# servers that share an address, each with certificates of its own choice

my $optional = 'ssl_verify_client optional;';
my $crl = "$optional ssl_crl %%TESTDIR%%/crl.ca.pem;";
my $certificates = join '', map { <<"EOC" }
    server {
        listen       127.0.0.1:%%PORT_$_->[0]%% ssl;
        server_name  $_->[1];
        $_->[2]
        s3_abort_identity certificate \$cn;
        location / { s3_abort_pass kept policy=own; }
    }

EOC
	[5, 'open.test', ''], [5, 'gw.test', $optional],
	[7, 'other.test', "$optional ssl_client_certificate
		%%TESTDIR%%/other-ca.crt;"], [7, 'gw.test', $crl],
	[8, 'other.test', $optional], [8, 'gw.test', $crl];

my $conf = <<"EOF";

%%LOAD%%
%%GLOBALS%%

events { worker_connections 512; }

http {
    %%HTTP%%

    upstream kept { server %%STORAGE%%; keepalive 4; }
    upstream two { server %%STORAGE%% max_fails=0;
                   server %%STORAGE%% max_fails=0; }
    upstream tls { server %%STORAGE_tls%%; keepalive 4; }
    upstream forged { server %%STORAGE_forged%%; keepalive 4; }
    upstream virtual { server %%STORAGE_virtual%%; keepalive 4; }
$upstreams$endpoints

    s3_abort_policy own { allow key=\$s3_abort_tenant/*; }
    s3_abort_policy all { allow; }
    s3_abort_policy no_root {
        allow;
        deny if=\$realpath_root key=other/*;
        deny if=\$realpath_root;
    }

    s3_abort_zone zone=fears:64k;
    client_body_timeout 1s;

    s3_abort_policy young { allow; deny younger_than=10m; }
    s3_abort_policy old { allow older_than=7d; }

    map \$http_x_endpoint \$endpoint { default kept; "~." \$http_x_endpoint; }
    map \$s3_abort_tenant \$circle { default ""; "~." alice; }
    map \$ssl_client_s_dn \$cn { "~^CN=(?<name>[^,]+)\$" \$name; default ""; }

    s3_abort_identity trusted \$http_x_tenant;

    ssl_certificate         %%TESTDIR%%/server.crt;
    ssl_certificate_key     %%TESTDIR%%/server.key;
    ssl_client_certificate  %%TESTDIR%%/ca.crt;

    server {
        listen 127.0.0.1:%%PORT%%;

        s3_abort_pass \$endpoint policy=own;
        error_page 500 = \@backend;

        location / { }

        location /circle/ {
            s3_abort_base_path /circle;
            s3_abort_identity trusted \$circle;
        }

        location /media/dir/ { proxy_pass http://%%STORAGE_backend%%; }

        location /cycle { rewrite ^ /again last; }
        location /again { rewrite ^ /cycle last; }

        location /file/ {
            s3_abort_base_path /file;
            client_body_in_file_only on;
            client_body_buffer_size 1k;
            client_body_in_single_buffer on;
        }

        location /young/ {
            s3_abort_base_path /young;
            s3_abort_pass kept policy=young;
        }

        location /old/ {
            s3_abort_base_path /old;
            s3_abort_pass kept policy=old;
        }

        location /no-root/ {
            s3_abort_base_path /no-root;
            s3_abort_pass kept policy=no_root candidate=no_root;
            root /no/such/root;
        }

        location = /metrics { s3_abort_status prometheus; }

        location \@backend {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_backend%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        recursive_error_pages on;
        error_page 400 403 404 500 501 502 503 504 = \@one;

        location / {
            s3_abort_pass \$endpoint policy=own;
            proxy_pass http://127.0.0.1:%%PORT_9%%;

            location /media/deny/ { deny all; }
        }

        location \@one {
            error_page 400 403 404 500 502 504 = \@two;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%PORT_9%%;
        }

        location \@two { proxy_pass http://%%STORAGE_backend%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% ssl;
        ssl_verify_client on;

        s3_abort_identity certificate \$cn;
        s3_abort_pass kept policy=own;
        error_page 400 413 414 494 495 496 497 = \@backend;

        location \@backend { proxy_pass http://%%STORAGE_backend%%; }
    }

    # small buffers: what points into them has to move

    server {
        listen 127.0.0.1:%%PORT_4%%;
        client_header_buffer_size 16;
        large_client_header_buffers 4 1500;
        location / { s3_abort_pass kept policy=all; }
    }

$certificates    server {
        listen 127.0.0.1:%%PORT_6%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        location / { s3_abort_pass kept policy=own; }
    }
}

EOF

$t->run($conf);

###############################################################################

my $q = '?uploadId=A';
my $k = "/media/alice/k$q";

sub bytes($target, @headers) {
	return S3Abort::request_bytes('DELETE', $target, @headers);
}

sub result($r) {
	return "$r->{status} $r->{code} " . ($t->audit($r)->{outcome} // '');
}

sub ask($endpoint, $target = $k, @headers) {
	return result($t->abort($target, 'X-Endpoint', $endpoint, @headers));
}

sub at($port, $target, %o) {
	my $r = $t->request(bytes($target, @{delete $o{headers} // []}),
		port => $port, %o);
	return "$r->{status} $r->{code}";
}

sub connection($where = 'storage') {
	return join ' ', map { $_->{conn} } $t->sent($where);
}

sub keys_used() {
	return join ' ', map { $_->{header}{authorization}
		=~ m!Credential=([^/]+)! } $t->sent();
}

# What may not be handed on: it is asserted of each decoy by done(), too.

sub not_handed_on($name) {
	is(join(' ', map { "$_->{method} $_->{target}" } $t->sent('backend')),
		'', "$name: not handed on");
}

###############################################################################
#
# K-01, K-02: an answer that was there before the request is not the answer
# to it

my $full = "HTTP/1.1 204 No Content\r\n\r\n";
my $wrong = "HTTP/1.1 404 Not Found\r\nContent-Length: 40\r\n\r\n"
	. '<Error><Code>NoSuchBucket</Code></Error>';

# nginx hears of the client first, and then of what the storage wrote: the
# worker is stopped until both are there

for my $where ('kept', 'tls') {
	my $s = $where eq 'tls' ? $tls : $storage;
	my $name = $s->{name};
	my $client = $t->connect();
	my $bytes = bytes($k, 'X-Endpoint', $where);
	my $seen = length $t->error_log();

	$client->send(substr $bytes, 0, 1, '');
	$t->wait_for(sub { substr($t->error_log(), $seen)
		=~ /http process request line/ });

	$s->answer([{ raw => $full . $wrong, split => length $full,
		pause => 1 }, 204]);
	is(ask($where), '204  ABORTED', "K-01 $where: the first");
	my $first = connection($name);

	kill 'STOP', $t->workers();
	$t->mark();
	$client->send($bytes);
	sleep 1.2;
	kill 'CONT', $t->workers();

	is(result($client->answer()), '204  ABORTED',
		"K-01 $where: an answer before the request");
	isnt(connection($name), $first, "K-01 $where: another connection");
}

# what TLS has decrypted already is on no socket

my $padded = "HTTP/1.1 204 No Content\r\nX-A: \r\n\r\n";
substr $padded, -4, 0, 'a' x (4096 - length $padded);
$tls->answer([{ raw => $padded . $wrong }, 204]);

is(ask('tls'), '204  ABORTED', 'K-02 an answer that fills the buffer');
my $before = connection('tls');
is(ask('tls'), '204  ABORTED', 'K-02 what came with it is no answer');
isnt(connection('tls'), $before, 'K-02 another connection');
$_->answer(204) for $storage, $tls;

###############################################################################
#
# K-03, K-04: retries while all is replaced

sub meanwhile($endpoint, $change) {
	unlink "$dir/gate";
	$storage->answer([sub ($r) { sleep 0.01 until -e "$dir/gate";
		return 500 }, 204]);

	my $client = $t->connect(timeout => 30);
	$t->mark();
	$client->send(bytes($k, 'X-Endpoint', $endpoint));
	$t->wait_for(sub { $t->sent() });
	$change->();
	$t->write('gate', '');

	return result($client->answer());
}

is(meanwhile('rotated', sub { use_pair('NEW'); sleep 0.5 }), '204  ABORTED',
	'K-03 credentials are replaced between two attempts');
is(keys_used(), 'OLD NEW', 'K-03 each attempt has one pair, with its token');

is(meanwhile('fixed', sub {
	use_pair('NEW', 'fixed');
	ok($t->reload(conf => $conf =~ s/(policy own \{) allow/$1 deny/r,
		wait => 'new'), 'K-04 a reload between two attempts') }),
	'204  ABORTED', 'K-04 the retry is the old configuration\'s');
is(keys_used(), 'OLD OLD', 'K-04 with its pair');
$storage->answer(204);
is(ask('fixed'), '403 AccessDenied ', 'K-04 the next is the new one\'s');
$t->wait_for(sub { 1 == (() = $t->workers()) });
ok($t->reload(conf => $conf), 'K-04 back');

###############################################################################
#
# K-06 to K-10: routes

my $r = $t->abort("/circle$k", 'X-Tenant', undef);
like("$r->{status} $r->{code}", qr/^(?:403 AccessDenied|500 InternalError)\z/,
	'K-06 an identity that asks for itself');
$t->nothing_sent('K-06 nothing sent');
$t->allow_log(qr/cycle while evaluating variable/);

for (['nearly an abort', '/media/alice/k?uploadid=A', '400 InvalidArgument'],
	['denied', "/media/bob/k$q", '403 AccessDenied'],
	['empty key', "/media/$q", '400 InvalidRequest'],
	['another module', "/media/deny/k$q", '403 AccessDenied'],
	['no storage', $k, '502 ServiceUnavailable', 'X-Endpoint', 'down'],
	['no endpoint', $k, '500 InternalError', 'X-Endpoint', 'nowhere'])
{
	my ($name, $target, $want, @headers) = @$_;
	is(at(2, $target, headers => \@headers), $want, "K-07 $name");
	not_handed_on("K-07 $name");
}

at(2, '/media/alice/k');
isnt($t->sent('backend'), 0, 'K-07 what is no abort goes all the way');

like(at(3, $k), qr/^4\d\d /, 'K-08 plain HTTP to a TLS port');
not_handed_on('K-08 plain HTTP to a TLS port');
$t->nothing_sent('K-08 nothing sent');
like(at(3, $k, tls => { sni => 'gw.test' }), qr/^40[03] /,
	'K-08 no certificate');
not_handed_on('K-08 no certificate');
$t->nothing_sent('K-08 nothing sent');
is(at(3, $k, tls => { sni => 'gw.test', cert => $alice->{cert},
	key => $alice->{key} }), '204 ', 'K-08 one that is good');

my $presigned = SigV4::presign(access_key => 'AKIALICE', region =>
	'kr-standard', secret => 'CANARY/alice+secret', target =>
	"/media/dir$q", headers => [['Host', 'gw.test']]);

for ("/media/dir$q", '/media/dir?uploadid=A', $presigned->{target}) {
	$r = $t->abort($_);
	like("$r->{status} $r->{code}", qr/^400 Invalid(?:Request|Argument)\z/,
		'K-09 a location with a slash at the end');
	not_handed_on('K-09');
	$t->nothing_sent('K-09 nothing sent');
}

is(at(1, "/cycle/media/k$q"), '500 InternalError', 'K-10 rewritten for ever');
not_handed_on('K-10 rewritten for ever');
$t->nothing_sent('K-10 nothing sent');

###############################################################################
#
# K-11, K-12, K-16, K-17: clients

my (@targets, $pipeline);

for (1 .. 30) {
	my $n = 40 * $_ % 1100;
	push @targets, "/media/$_-" . 'k' x ($n % 1000) . '?uploadId='
		. 'i' x (1 + $n % 97);
	$pipeline .= bytes($targets[-1], Connection => undef,
		map { ("X-$_" => 'a' x (17 * $_ % 800)) } 1 .. $_ % 7);
}

for my $split (0, 97, 1499) {
	my $client = $t->connect(port => 4);
	$t->mark();
	push @{$client->{methods}}, ('DELETE') x $#targets;

	if (fork() // die "fork: $!\n") {
		is(join(' ', map { $client->answer()->{status} } @targets),
			join(' ', (204) x @targets),
			"K-11 small buffers, $split bytes at a time");
		wait;
	} else {
		$t->in_child({});
		$client->send($pipeline, $split);
		POSIX::_exit(0);
	}

	is(join("\n", map { $_->{target} } $t->sent()), join("\n", @targets),
		'K-11 what was asked is what is sent');
}

my $client = $t->connect();
my @who = ('alice', 'bob', undef, 'alice', '', 'bob', 'a b', 'alice') x 3;

$t->mark();

for (@who) {
	$client->send(bytes($k, Connection => undef, 'X-Tenant' => $_));
	is($client->answer()->{status}, ($_ // '') eq 'alice' ? 204 : 403,
		'K-12 one connection, tenant ' . ($_ // 'none'));
}

is(scalar(() = $t->sent()), 9, 'K-12 only those of alice are sent');

$client = $t->connect();
$client->send(bytes($k));
shutdown $client->{sock}, 1;
is(result($client->answer()), '204  ABORTED', 'K-16 half a connection');

my %tls = (cert => $alice->{cert}, key => $alice->{key});

is(at(5, $k, tls => { sni => 'gw.test', %tls }), '204 ', 'K-17 a certificate');

for (['SNI of an open server', 'open.test', 'gw.test'],
	['Host of an open server', 'gw.test', 'open.test'],
	['SNI of nobody', 'nobody.test', 'gw.test'])
{
	my ($name, $sni, $host) = @$_;
	like(at(5, $k, headers => [Host => $host], tls => { sni => $sni, %tls }),
		qr/^(?:403 AccessDenied|4\d\d .*)\z/, "K-17 $name");
	$t->nothing_sent("K-17 $name: nothing sent");
}

# K-23: without a name in SNI that it knows, nginx lets the first server verify

my $with = sub ($port, $client, $sni, $host) {
	return at($port, $k, headers => [Host => $host], tls => { sni => $sni,
		map { $_ => $client->{$_} } qw/ cert key / });
};

is($with->(7, $alice, 'gw.test', 'gw.test'), '204 ', 'K-23 a certificate');
is($with->(7, $stranger, 'other.test', 'other.test'), '204 ',
	'K-23 a certificate of the first server');
is($with->(7, $stranger, undef, 'other.test'), '204 ',
	'K-23 a certificate of the first server, no SNI');
is($with->(8, $alice, 'gw.test', 'gw.test'), '204 ', 'K-23 not revoked');

for my $sni (undef, 'nobody.test') {
	my $name = 'K-23 ' . ($sni // 'no SNI');

	is($with->(7, $stranger, $sni, 'gw.test'), '403 AccessDenied',
		"$name: of another CA");
	is($with->(8, $revoked, $sni, 'gw.test'), '403 AccessDenied',
		"$name: revoked");
	$t->nothing_sent("$name: nothing sent");
}

###############################################################################
#
# K-13, K-14, K-15: upstreams that are shared

for my $round (1 .. 3) {
	is(ask('loose'), '204  ABORTED', "K-13 not verified ($round)");
	is(ask('strict'), '502 ServiceUnavailable FAILED',
		"K-13 verified: no connection or session of the other's");
	is(join(' ', map { $_->{event} } $forged->events('request')), '',
		"K-13 nothing sent ($round)");

	ask($_) for 'kept', 'other_pair';
	my $conn = connection();
	is(ask('kept') . keys_used(), '204  ABORTEDOLD', 'K-13 its own pair');
	is(connection(), $conn, 'K-13 on a connection that both use');
	is(ask('other_pair') . keys_used(), '204  ABORTEDNEW',
		'K-13 and the other one its own');
}

for my $round (1 .. 2) {
	is(ask('virtual'), '204  ABORTED', "K-14 a bucket ($round)");
	is(ask('virtual', "/other/alice/k$q"),
		'502 ServiceUnavailable FAILED',
		'K-14 one that the certificate is not for');
	is(join(' ', map { $_->{event} } $virtual->events('request')), '',
		"K-14 nothing sent ($round)");
}

for (0 .. $#BALANCERS) {
	$storage->answer([500, 204]);
	is(ask("balanced$_"), '204  ABORTED', "K-15 $BALANCERS[$_]");
	is(scalar(() = $t->sent()), 2, "K-15 $BALANCERS[$_]: a retry");
}

$storage->answer(204);

###############################################################################
#
# K-25: a variable whose handler fails, as one does without memory

$t->allow_log(qr/\[crit\].*realpath\(\) "\/no\/such\/root" failed/);

my $failed = $t->abort("/no-root$k");
is(result($failed), '500 InternalError ', 'K-25 two rules, one variable');
is_deeply([@{$t->audit($failed)}{qw/ decision candidate_decision rule /}],
	['DENIED', '', ''], 'K-25 by no rule');
$t->nothing_sent('K-25 nothing sent');

###############################################################################
#
# K-27: a body that does not come; nobody is told, but for logs and counters

for (['in time', 0, '408 INVALID RequestTimeout '],
	['for the client leaves', 1, '400 INVALID InvalidRequest '])
{
	my ($name, $leaves, $want) = @$_;
	my (undef, $decision, $code) = split / /, $want;
	my $before = counted($decision, $code);
	my $c = $t->connect();

	$t->mark();
	$c->send(bytes("/media/alice/body-$leaves$q", 'Content-Length' => 5,
		Connection => undef));
	$c->close() if $leaves;

	my $line;
	$t->wait_for(sub { ($line) = grep { $_->{key} eq "alice/body-$leaves" }
		$t->access_log() }, "K-27 not $name: logged");
	is(join(' ', @$line{qw/ status decision error outcome /}), $want,
		"K-27 not $name");
	$t->nothing_sent("K-27 not $name: nothing sent");

	is(counted($decision, $code) - $before, 1, "K-27 not $name: counted");
	$c->close();
}

sub counted($decision, $code) {
	my ($n) = $t->request("GET /metrics HTTP/1.1\r\nHost: gw.test\r\n"
		. "Connection: close\r\n\r\n")->{body} =~ /^s3_abort_requests
		_total\{decision="$decision",code="$code"\}\ (\d+)$/mx;
	return $n // 0;
}

###############################################################################
#
# K-18 to K-20: clocks, files, numbers

my %signer = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret');

for (['a header', 0, 204], ['a URL', 0, 204, presigned => 1],
	['a header of an hour ago', -3600, 403],
	['a URL that is over', -901, 403, presigned => 1, expires => 900],
	['the local time', 14 * 3600, 403])
{
	my ($name, $offset, $want, %o) = @$_;
	my $r = SigV4->can($o{presigned} ? 'presign' : 'sign')->(%signer,
		region => 'kr-standard', target => $k, time =>
		SigV4::amz_time(int(time) + $offset),
		headers => [['Host', 'gw.test']],
		$o{expires} ? (expires => $o{expires}) : ());
	is(at(6, $r->{target}, headers => [map { @$_ } @{$r->{headers}}])
		=~ s/ .*//r, $want, "K-18 far from Greenwich: $name");
}

for my $n (5, 5000, 60_000) {
	my $r = $t->request(bytes("/file$k", 'Content-Length', $n) . 'x' x $n);
	is("$r->{status} $r->{code}", '400 InvalidRequest',
		"K-19 a body of $n bytes that wants to be a file");
	$t->nothing_sent('K-19 nothing sent');
}

is(join(' ', glob "$dir/temp.body/*"), '', 'K-19 there is no file');
is(at(1, "/file$k"), '204 ', 'K-19 no body');

for (['ffffffff-ffff-ffff', 403, 403], ['0000ffff-ffff-ffff', 403, 403],
	['00008000-0000-0000', 403, 403], ['00000000-0000-0000', 403, 403],
	['00007fff-ffff-ffff', 403, 403], ['00000000-0000-0001', 204, 204])
{
	my ($time, $young, $old) = @$_;
	my $id = "?uploadId=$time-0000-000000000000";

	is(at(1, "/young/media/k$id") =~ s/ .*//r, $young,
		"K-20 $time, younger than");
	is(at(1, "/old/media/k$id") =~ s/ .*//r, $old,
		"K-20 $time, older than");
}

for (qw/ 99999999999999999999d 106751991167301d 9223372036854775808s 1e9d /) {
	my ($rc, $out) = $t->nginx_test($conf
		=~ s/younger_than=10m/younger_than=$_/r);
	is($rc, 1, "K-20 younger_than=$_");
	like($out, qr/\[emerg\].*younger_than=/, 'K-20 says so');
}

###############################################################################
#
# K-05: as many connections as there are

$t->allow_log(qr/worker_connections are not enough/);
ok($t->reload(conf => $conf =~ s/connections 512/connections 24/r),
	'K-05 few connections');
$storage->answer({ status => 204, delay => 0.5 });

my @clients = map { my $c = $t->connect(timeout => 2);
	$c->send(bytes($k)); $c } 1 .. 30;
$t->mark();
my %count;
$count{$_->answer()->{status} || 'none'}++ for @clients;

like(join(' ', sort keys %count), qr/^(?:(?:204|50[023]|none) ?)+\z/,
	'K-05 done, or an error');
cmp_ok($count{204} // 0, '>', 0, 'K-05 some are done');
cmp_ok($count{204}, '<', 30, 'K-05 others are not');
$storage->answer(204);
$_->close() for @clients;
is(ask('kept'), '204  ABORTED', 'K-05 and then as before');

$t->done();
