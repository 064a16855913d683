# Every call that may fail, fails: allocations, files, mappings, sockets,
# digests, TLS, one after the other, while aborts are handled (while the
# configuration is read: abort_torture_start.t).  The answer is an error or a
# refusal, nothing crashes, nothing leaks, and what is not allowed is not sent.
# And what is left in the memory of a process that ends: no secret.
#
# A library that is preloaded counts the calls of nginx, and lets one of them
# fail: so it is also seen what work a request is.  A sanitized nginx allocates
# from its pools one by one (NGX_DEBUG_PALLOC), so that there each single
# allocation of the module's fails once.
#
# Of many calls, as in OpenSSL, not each fails; TEST_TORTURE_ALL: each does, one
# of which is SSL_set_fd(), where nginx leaks the connection.

###############################################################################

use v5.36;

use Digest::SHA qw/ hmac_sha256 /;
use Test::More;

use lib 't/lib';
use Faults;
use S3Abort;
use SigV4;

###############################################################################

my $t = S3Abort->new(sessions => 1);
my $faults = Faults->new($t);

my $cert = $t->certificate('tls', san => ['tls.test']);
my $storage = $t->storage('storage', confirm => 1);
my $tls = $t->storage('tls', tls => $cert, token => 1);

my %alice = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret');
my %dave = (access_key => 'AKIDAVE', secret => 'CANARY/dave+secret');
my %erin = (access_key => 'AKIERIN', secret => 'CANARY/erin+secret');
my %carol = (access_key => 'AKICAROL', secret => 'CANARY/carol+secret');
$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n"
	. "carol AKICAROL CANARY/carol+secret\n"
	. "dave AKIDAVE CANARY/dave+secret\n"
	. "erin AKIERIN CANARY/erin+secret\n");

my $conf = <<'EOF';

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%
    %%ENDPOINT_tls%%

    # debug lines of nginx itself hold what clients sent

    error_log %%TESTDIR%%/error.log info;

    upstream two {
        server %%STORAGE%% max_fails=0;
        server %%STORAGE%% max_fails=0;
        keepalive 4;
    }

    s3_abort_endpoint two {
        url            http://two;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials refresh=1h;
        next_upstream  error timeout http_500;
    }

    s3_abort_endpoint stalled {
        url           http://%%STORAGE%%;
        host          storage.test;
        region        kr-standard;
        credentials   %%TESTDIR%%/storage.credentials;
        send_timeout  300ms;
    }

    upstream tls_two {
        server %%STORAGE_tls%% max_fails=0;
        server %%STORAGE_tls%% max_fails=0;
        keepalive 4;
    }

    s3_abort_endpoint tls_two {
        url                      https://tls_two;
        host                     tls.test;
        region                   kr-standard;
        credentials              %%TESTDIR%%/tls.credentials;
        ssl_trusted_certificate  %%TESTDIR%%/tls.crt;
        next_upstream            error timeout http_500;
    }

    s3_abort_endpoint confirm {
        url            http://two;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        confirm        on;
    }

    s3_abort_policy own {
        allow  key=$s3_abort_tenant/*;
        allow  "key~(?<tenant>[a-z]+)-[0-9]+";
        deny   key~.*/secret/.*;
        deny   tenant=carol;
    }

    s3_abort_zone zone=counters:64k;
    s3_abort_domain gw.test;
    s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys
        region=kr-standard;

    # a map that meets no memory yields its default

    map $http_x_endpoint $endpoint {
        default  unknown;
        ""       storage;
        "~."     $http_x_endpoint;
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_pass $endpoint policy=own candidate=own;
        location / { }

        location /target/ {
            s3_abort_base_path /target;
            s3_abort_target bucket=t-$s3_abort_bucket
                            key=$s3_abort_tenant/$s3_abort_key;
        }

        location /explain { s3_abort_explain policy=own endpoint=storage; }
        location /metrics { s3_abort_status; }
        location /json { s3_abort_status json; }
    }
}

EOF

$t->run($conf);

###############################################################################
#
# A request for an abort, signed by alice unless told otherwise.

sub bytes($target, %o) {
	my $headers = delete $o{headers} // [];
	my $r = ($o{presigned} ? \&SigV4::presign : \&SigV4::sign)->(%alice,
		region => 'kr-standard', target => "$target?uploadId=A",
		headers => [['Host', 'gw.test']], %o);

	return S3Abort::request_bytes('DELETE', $r->{target}, 'X-Tenant' => undef,
		(map { @$_ } @{$r->{headers}}), @$headers);
}

###############################################################################
#
# Signing keys are derived once a day, and an unknown key is the same work as a
# wrong signature.  carol warms up the worker: what follows is not its first.

digests(\%carol);

sub digests($tenant, %o) {
	$faults->order(CRYPTO, 1e9);
	my $r = $t->request(bytes('/media/alice/k', %$tenant, %o));
	my ($calls) = $faults->counted(1e9);

	return ($calls, "$r->{status}" . ($r->{code} && " $r->{code}"));
}

sub days_digests($name, $answer, $tenant, %o) {
	my @seen = map { [digests($tenant, %o)] } 1 .. 3;
	my @calls = map { $_->[0] } @seen;

	is(join(', ', map { $_->[1] } @seen), join(', ', ($answer) x 3), $name);
	cmp_ok($calls[0], '>', $calls[1], "$name: the first derives a key");
	is($calls[2], $calls[1], "$name: the next ones do not");

	return @calls;
}

my $denied = '403 AccessDenied';
my %two = (headers => ['X-Endpoint', 'two']);

days_digests("a tenant's key", $denied, \%dave);
days_digests("the storage's key and a tenant's", 204, \%alice);
days_digests("another endpoint's key", 204, \%alice, %two);

is_deeply([days_digests('E-22 an unknown key', '403 InvalidAccessKeyId',
	\%erin, access_key => 'X')], [days_digests('E-22 a wrong signature',
	'403 SignatureDoesNotMatch', \%erin, secret => 'wrong')],
	'E-22 and it is the same work');
is((digests(\%erin, access_key => 'X', presigned => 1))[0],
	(digests(\%erin, secret => 'wrong', presigned => 1))[0],
	'E-22 and it is the same work, presigned');

###############################################################################
#
# A storage that takes nothing of the request

$faults->order(STALL, 0);
my $stalled = $t->request(bytes('/media/alice/k',
	headers => ['X-Endpoint', 'stalled']));
$faults->order(0, 0);
is("$stalled->{status} $stalled->{code}", '504 ServiceUnavailable',
	'send_timeout');
is_deeply([$t->sent()], [], 'send_timeout: nothing was sent');
like($t->error_log('error'), qr/timed out\).*while sending request to upstream/,
	'send_timeout: while sending');

###############################################################################
#
# Without a clock there is no regular expression.

for my $n (1e9, 1) {
	$faults->order(CLOCK, $n);
	my $r = $t->request(bytes('/media/alice-1'));
	is($r->{status}, $n == 1 ? 403 : 204, $n == 1 ? 'a clock that fails: denied'
		: 'a regular expression: allowed');
	is(($faults->counted($n))[1], $n == 1 ? 1 : 0, 'and did the clock fail');
}

# the other one, of the first expression and of a later one; a sanitizer's own
# clock_gettime() hides who calls

for my $n ($faults->sanitized() ? () : (1, 2)) {
	$faults->order(WALL | OURS, $n);
	my $r = $t->request(bytes('/media/alice-1'));
	is(($faults->counted($n))[1], 1, "a clock that fails, $n: it did");
	is(join(' ', @{$t->audit($r)}{qw/ decision candidate_decision /}),
		'DENIED ALLOWED', "a clock that fails, $n: denied");
}

###############################################################################
#
# Scenarios: the request; what comes if nothing fails; whether it may be sent;
# the storage's answers; what fails

my $body = bytes('/media/alice/k', headers => ['Content-Length', 9])
	. 'some body';
my $explain = '/explain?tenant=alice&bucket=media&key=alice/k&uploadId=A';

my @scenarios = (
	['an abort', bytes('/media/alice/k'), 204, 1],
	['presigned', bytes('/media/alice/k', presigned => 1), 204, 1],
	['over TLS, with a session token', bytes('/media/alice/k', headers =>
		['X-Endpoint', 'tls']), 204, 1],
	['a regular expression', bytes('/media/alice-1'), 204, 1],
	['another target', bytes('/target/media/k'), 204, 1],
	['a retry, then gone', bytes('/media/alice/k', headers =>
		['X-Endpoint', 'two']), 204, 1,
		[500, '404 NoSuchUpload']],
	['a retry with a session token', bytes('/media/alice/k', headers =>
		['X-Endpoint', 'tls_two']), 204, 1, [500, 204], SYSTEM],
	['parts that remained', bytes('/media/alice/k', headers =>
		['X-Endpoint', 'confirm']), 204, 1,
		[204, { status => 200, body => '<ListPartsResult><Part>1'
		. '</Part></ListPartsResult>' }, 204, '404 NoSuchUpload']],
	['an error in chunks', bytes('/media/alice/k'), 404, 1,
		{ status => 404, code => 'NoSuchBucket', chunked => 1 }],
	['refused credentials', bytes('/media/alice/k'), 500, 1,
		'403 InvalidAccessKeyId'],
	['denied', bytes('/media/bob/k'), 403],
	['denied by a regular expression (H-04)', bytes('/media/alice/secret/k'), 403],
	['denied by tenant', bytes('/media/carol/k', %carol), 403],
	['a wrong signature', bytes('/media/alice/k', secret => 'wrong'), 403],
	['a wrong presigned one', bytes('/media/alice/k', secret => 'wrong',
		presigned => 1), 403],
	['an unknown key', bytes('/media/alice/k', access_key => 'X'), 403],
	['nearly an abort', bytes('/media/alice/k') =~ s/uploadId/uploadid/r,
		400],
	['a body', $body, 400],
	['no abort', bytes('/media/alice/k') =~ s/\?uploadId=A//r, 501],
	['explain', S3Abort::request_bytes('GET', $explain), 200],
	['metrics', S3Abort::request_bytes('GET', '/metrics'), 200],
	['metrics, JSON', S3Abort::request_bytes('GET', '/json'), 200],
);

$t->allow_log(qr/storage refuses the credentials/);
$t->allow_log(qr/no signing key for|signing for .* failed/);
$t->allow_log(qr/ failed \(12: Cannot allocate memory\)/);
$t->allow_log(qr/\[alert\].*SSL\ handshake\ \(12:\ Cannot\ allocate/x);
$t->allow_log(qr/cannot verify a signature/);
$t->allow_log(qr/ failed \(SSL:|SSL_set_fd\(\) failed|stale global SSL error/);
$t->allow_log(qr/\[crit\].*SSL_(?:do_handshake|read|write)\(\) failed/);

my $worker;
$t->wait_for(sub { ($worker) = $t->workers() }, 'a worker');

for (@scenarios) {
	my ($name, $bytes, $want, $may_be_sent, $answer, $kind) = @$_;
	my $where = $bytes =~ /X-Endpoint: tls/ ? 'tls' : 'storage';
	my @bad;

	my $try = sub ($n) {
		$t->{storages}{$where}->answer($answer // 204);
		$faults->order($kind // ALL, $n);
		my $r = $t->request($bytes, timeout => 10);
		my ($calls, $failed) = $faults->counted($n);
		my $sent = () = $t->sent($where);

		# sent with a credential and still a 204 of ours, or an error

		push @bad, "call $n: $r->{status} $r->{code}, $sent sent"
			if $r->{status} ne $want && $r->{status} !~ /^(?:5\d\d
				|403|)\z/x
			|| $sent && !$may_be_sent
			|| $r->{status} eq '204' && !$sent
			|| $name =~ /parts/ && $r->{status} =~ /^[45]/
			&& was_aborted($r);

		return ($r->{status}, $calls, $failed);
	};

	$try->(1e9) for 1 .. 2;
	my ($status, $calls) = $try->(1e9);
	is($status, $want, "H-15 $name: $calls calls");

	my @failed = map { ($try->($_))[2] ? $_ : () } Faults::chosen($calls);
	ok(@failed > $calls / 2 || @failed > 15, "H-15 $name: "
		. @failed . ' of them fail');
	is(join("\n", @bad), '', "H-15 $name: an error or a refusal");
	is(($try->(1e9))[0], $want, "H-15 $name: and then as before");
	early($bytes) if $bytes =~ /X-Amz-Signature/;
}

# Whether the storage had answered 204, by the log.

sub was_aborted($r) {
	my $id = $r->{headers}{'x-amz-request-id'} // return;
	my $line;

	$t->wait_for(sub { ($line) = $t->read('access.log')
		=~ /^(.*"request_id":"$id".*)\n/m }, undef, 1);

	return ($line // '') =~ /"upstream_status":"(?:\d+, )*204/;
}

is(join(' ', $t->workers()), $worker, 'H-15 the worker lives');

# What nginx itself logs of a request that is not even read, has the request
# line with its signature; nothing else has.

sub early($bytes) {
	my ($signature) = $bytes =~ /X-Amz-Signature=([0-9a-f]{64})/;

	is(join('', grep { /$signature/ && !/\ \[emerg\]\ .*\ while\ reading
		\ client\ request\ (?:line|headers),/x }
		$t->error_log() =~ /^.*\n/gm), '', 'no signature in the log');
	delete $t->{signatures}{$signature};
}

###############################################################################
#
# H-17: a digest that fails never makes a signature.

for my $n (1 .. 40) {
	$faults->order(CRYPTO, $n);
	my $r = $t->request(bytes('/media/alice/k'), timeout => 10);
	my (undef, $failed) = $faults->counted($n);
	my $sent = () = $t->sent();

	last unless $failed;
	like("$r->{status} $sent", qr/^(?:50\d 0|403 0|204 1)\z/,
		"H-17 digest $n fails: no request, or a good one");
}

###############################################################################
#
# G-17: the memory of processes that end.  What must not be found: secrets, the
# session token, signing keys.

my @days = map { substr SigV4::amz_time(time + $_), 0, 8 } -60, 0;
my @patterns = ('what is found always', $alice{secret},
	map({ $_->{token} // (), $_->{secret} }
	map { $_->{keys}{$_->{access_key}} } $storage, $tls),
	map { signing_key($alice{secret}, $_) } @days);

sub signing_key($secret, $day) {
	my $key = "AWS4$secret";
	$key = hmac_sha256($_, $key) for $day, 'kr-standard', 's3',
		'aws4_request';
	return $key;
}

is($t->request(bytes('/media/alice/k', headers => ['X-Endpoint', $_]))
	->{status}, 204, "G-17 the $_ pair is in use") for 'storage', 'tls';

$faults->look_for(@patterns);
is($t->stop(), 0, 'G-17 QUIT');

my ($found, $processes) = $faults->found();
is($processes, 2, 'G-17 the memory of two processes was looked at');
is("@$found", 0,
	'G-17 no secret is left in it, but what the library put there');

$t->done();

###############################################################################

