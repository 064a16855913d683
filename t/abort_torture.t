# Every call that may fail, fails: allocations, files, mappings, sockets,
# digests, TLS, one after the other, while aborts are handled and while the
# configuration is read.  The answer is an error or a refusal, nothing crashes,
# nothing leaks, and what is not allowed is not sent.  And what is left in the
# memory of a process that ends: no secret.
#
# A library that is preloaded counts the calls of nginx, and lets one of them
# fail: so it is also seen what work a request is.  A sanitized nginx allocates
# from its pools one by one (NGX_DEBUG_PALLOC), so that there each single
# allocation of the module's fails once.
#
# Of many calls, as in OpenSSL and while the configuration is read, not each
# fails; TEST_TORTURE_ALL: each does.

###############################################################################

use v5.36;

use Digest::SHA qw/ hmac_sha256 /;
use Test::More;

use lib 't/lib';
use S3Abort;
use SigV4;

my $TRIES = $ENV{TEST_TORTURE_ALL} ? 1e9 : 60;

use constant { MEMORY => 1, SYSTEM => 2, CRYPTO => 4, TLS => 8, ALL => 15,
	STALL => 16, STAT => 32, OURS => 64, CLOCK => 128, WALL => 256 };

###############################################################################

my $cc = $ENV{CC} // 'cc';

S3Abort::need('C compiler', qx/$cc --version 2>&1/ && $? == 0);

my $t = S3Abort->new(sessions => 1);
my $dir = $t->dir();
my $sanitized = ($ENV{TEST_NGINX_MODULE} // 'dynamic') eq '';

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

library();

$ENV{TEST_NGINX_PRELOAD} = join ' ', $ENV{TEST_NGINX_PRELOAD} // (),
	"$dir/faults.so";
$ENV{TEST_FAULTS} = "$dir/faults";
$ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (),
	'verify_asan_link_order=0';

$ENV{TEST_FAULTS_CODE} = module_code() if $sanitized;

$t->write('faults', "\0" x 4096, 0666);

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
# The library's orders: what may fail, and which call does, from now on

sub order($kind, $n) {
	open my $fh, '+<', "$dir/faults" or die "faults: $!\n";
	syswrite $fh, pack 'l4', 0, $n, 0, 0;
	sysseek $fh, 0, 0;
	syswrite $fh, pack 'l', $kind;
	close $fh;
}

# How many calls it counted since, and whether one failed.

sub counted($n) {
	my (undef, $left, $failed) = unpack 'l3', $t->read('faults');
	order(0, 0);
	return ($n - $left, $failed);
}

# Which of so many calls fail.

sub chosen($calls) {
	my $step = $calls < 3 * $TRIES ? 1 : 1 + int $calls / $TRIES;
	return grep { $_ <= 20 || $_ % $step == 0 } 1 .. $calls;
}

# Where the module's code is in a program that it is a part of.

sub module_code() {
	my @addresses = sort map { /^([0-9a-f]+) [tT] (?:ngx_http_)?s3_/ ? $1
		: () } qx/nm $t->{nginx}/;
	return "$addresses[0]-$addresses[-1]";
}

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
	order(CRYPTO, 1e9);
	my $r = $t->request(bytes('/media/alice/k', %$tenant, %o));
	my ($calls) = counted(1e9);

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

order(STALL, 0);
my $stalled = $t->request(bytes('/media/alice/k',
	headers => ['X-Endpoint', 'stalled']));
order(0, 0);
is("$stalled->{status} $stalled->{code}", '504 ServiceUnavailable',
	'send_timeout');
is_deeply([$t->sent()], [], 'send_timeout: nothing was sent');
like($t->error_log('error'), qr/timed out\).*while sending request to upstream/,
	'send_timeout: while sending');

###############################################################################
#
# Without a clock there is no regular expression.

for my $n (1e9, 1) {
	order(CLOCK, $n);
	my $r = $t->request(bytes('/media/alice-1'));
	is($r->{status}, $n == 1 ? 403 : 204, $n == 1 ? 'a clock that fails: denied'
		: 'a regular expression: allowed');
	is((counted($n))[1], $n == 1 ? 1 : 0, 'and did the clock fail');
}

# the other one, of the first expression and of a later one; a sanitizer's own
# clock_gettime() hides who calls

for my $n ($sanitized ? () : (1, 2)) {
	order(WALL | OURS, $n);
	my $r = $t->request(bytes('/media/alice-1'));
	is((counted($n))[1], 1, "a clock that fails, $n: it did");
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
		order($kind // ALL, $n);
		my $r = $t->request($bytes, timeout => 10);
		my ($calls, $failed) = counted($n);
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

	my @failed = map { ($try->($_))[2] ? $_ : () } chosen($calls);
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
# H-17: without SHA-256 there is no start, whatever takes it away

for (['FIPS without a module', "openssl_conf = c\n[c]\nalg_section = a\n"
	. "[a]\ndefault_properties = fips=yes\n"],
	['no provider', "openssl_conf = c\n[c]\nproviders = p\n[p]\nnull = n\n"
	. "[n]\nactivate = 1\n"])
{
	my ($name, $text) = @$_;
	local $ENV{OPENSSL_CONF} = $t->write('openssl.cnf', $text);
	my $plain = $conf =~ s/%%ENDPOINT_tls%%//r;

	my ($rc, $out) = $t->nginx_test($plain);
	is($rc, 1, "H-17 $name: no start");
	like($out, qr/\[emerg\]/, "H-17 $name: says so");
}

# a digest that fails while a request is handled never makes a signature

for my $n (1 .. 40) {
	order(CRYPTO, $n);
	my $r = $t->request(bytes('/media/alice/k'), timeout => 10);
	my (undef, $failed) = counted($n);
	my $sent = () = $t->sent();

	last unless $failed;
	like("$r->{status} $sent", qr/^(?:50\d 0|403 0|204 1)\z/,
		"H-17 digest $n fails: no request, or a good one");
}

###############################################################################
#
# While the configuration is read

my %exits;

for (['files, mappings, digests', SYSTEM | CRYPTO],
	['its own memory', MEMORY | OURS], ['memory', MEMORY],
	['looks at files', $sanitized ? STAT | OURS : STAT])
{
	my ($name, $kind) = @$_;
	my $run = sub ($n) {
		order($kind, $n);
		my ($rc, $out) = $t->nginx_test($conf);
		my ($calls) = counted($n);

		$exits{"$name: call $n: $rc"} = 1
			unless $rc eq '0' || $rc eq '1' && $out ne '';
		return $calls;
	};

	my $calls = $run->(1e9);
	cmp_ok($calls, '>', 3, "H-15 start: $name: there are calls");
	$run->($_) for chosen($calls);
	is(join("\n", sort keys %exits), '',
		"H-15 start: each of $calls calls ($name) fails: an error");
}

# the compiler's own counters, if it has any, want memory at the end

for (glob "$dir/sanitizer/report*") {
	unlink if $t->read($_) =~ /#0\ \S+\ in\ gcov_do_dump/x;
}

###############################################################################
#
# G-17: the memory of processes that end.  What must not be found: secrets, the
# session token, signing keys; the library looks for their first 16 bytes.

my @days = map { substr SigV4::amz_time(time + $_), 0, 8 } -60, 0;
my @patterns = ('what is found always', $alice{secret}, map({ $_->{token} // (), $_->{secret} }
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

open my $fh, '+<', "$dir/faults" or die "faults: $!\n";
sysseek $fh, 16, 0;
syswrite $fh, pack 'l2 a16', 0, scalar @patterns, '';
sysseek $fh, 64, 0;
syswrite $fh, join '', map { (substr $_, 0, 16) ^. ("\x5a" x 16) } @patterns;
close $fh;

is($t->stop(), 0, 'G-17 QUIT');

my ($found, $processes) = (unpack 'l7', $t->read('faults'))[3, 4];
is($processes, 2, 'G-17 the memory of two processes was looked at');
is(join(' ', map { $found & 1 << $_ ? $_ : () } 0 .. $#patterns), 0,
	'G-17 no secret is left in it, but what the library put there');

$t->done();

###############################################################################

sub library() {
	$t->write('faults.c', <<'EOF');

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#undef mmap
#undef open
#undef fstat

enum { MEMORY = 1, SYSTEM = 2, CRYPTO = 4, TLS = 8, STALL = 16,
       STAT = 32, OURS = 64, CLOCK = 128, WALL = 256 };

static volatile struct {
    int    kind;
    int    left;
    int    failed;
    int    found;
    int    processes;
    int    npatterns;
    char   unused[40];
    char   patterns[32][16];
} *orders;

static char *volatile  control;
static int             leaving;
static void           *program;

/*
 * Is the module among the next callers, and not for a library's sake?  (glibc
 * 2.36 keeps a lock for ever if getaddrinfo() meets no memory.)
 */

static int is_ours(void)
{
    int             i, n;
    void           *frames[12];
    size_t          offset;
    Dl_info         info;
    static int      looking;
    static size_t   from, to;
    static char    *code;

    if (looking) {
        return 0;
    }

    looking = 1;
    n = backtrace(frames, 12);

    if (code == NULL) {
        code = getenv("TEST_FAULTS_CODE");

        if (code) {
            sscanf(code, "%zx-%zx", &from, &to);
        }
    }

    for (i = 0; i < n; i++) {
        if (dladdr(frames[i], &info) == 0) {
            continue;
        }

        if (strstr(info.dli_fname, "/libcrypto") != NULL
            || strstr(info.dli_fname, "/libssl") != NULL
            || strstr(info.dli_fname, "/libc.so") != NULL)
        {
            i = n;
            break;
        }

        offset = (char *) frames[i] - (char *) info.dli_fbase;

        if (code ? info.dli_fbase == program && offset >= from && offset < to
                 : strstr(info.dli_fname, "/module.so") != NULL)
        {
            break;
        }
    }

    looking = 0;

    return i < n;
}

static int fails(int kind)
{
    if (orders == NULL || leaving || !(orders->kind & kind)
        || ((orders->kind & OURS) && (orders->left <= 0 || !is_ours()))
        || __sync_sub_and_fetch(&orders->left, 1) != 0)
    {
        return 0;
    }

    orders->failed = 1;
    errno = ENOMEM;

    return 1;
}

#define ORIGINAL(name)                                                       \
    static __typeof__(&name) original;                                       \
    if (original == NULL) {                                                  \
        original = (__typeof__(&name)) dlsym(RTLD_NEXT, #name);              \
    }

#define WRAP(result, name, kind, failure, parameters, arguments)             \
    result name parameters;                                                  \
    result name parameters                                                   \
    {                                                                        \
        ORIGINAL(name)                                                       \
        return fails(kind) ? failure : original arguments;                   \
    }

/* what dlsym() itself may allocate */

static char          arena[8192];
static size_t        used;
static volatile int  resolving;

static void *early(size_t size)
{
    void  *p = arena + used;

    used += (size + 15) & ~(size_t) 15;
    return used <= sizeof(arena) ? p : NULL;
}

#define ALLOCATE(name, size, parameters, arguments)                          \
    void *name parameters                                                    \
    {                                                                        \
        static __typeof__(&name) original;                                   \
        if (original == NULL) {                                              \
            if (resolving) {                                                 \
                return early(size);                                          \
            }                                                                \
            resolving = 1;                                                   \
            original = (__typeof__(&name)) dlsym(RTLD_NEXT, #name);          \
            resolving = 0;                                                   \
        }                                                                    \
        return fails(MEMORY) ? NULL : original arguments;                    \
    }

ALLOCATE(malloc, n, (size_t n), (n))
ALLOCATE(calloc, n * m, (size_t n, size_t m), (n, m))
ALLOCATE(realloc, n, (void *p, size_t n), (p, n))

void free(void *p)
{
    static __typeof__(&free)  original;

    if (((char *) p >= arena && (char *) p < arena + sizeof(arena))
        || resolving)
    {
        return;
    }

    if (original == NULL) {
        resolving = 1;
        original = (__typeof__(&free)) dlsym(RTLD_NEXT, "free");
        resolving = 0;
    }

    original(p);
}

int posix_memalign(void **p, size_t a, size_t n)
{
    ORIGINAL(posix_memalign)
    return fails(MEMORY) ? ENOMEM : original(p, a, n);
}

WRAP(void *, mmap64, SYSTEM, MAP_FAILED, (void *a, size_t n, int p, int f,
     int fd, off_t o), (a, n, p, f, fd, o))
WRAP(int, madvise, SYSTEM, -1, (void *a, size_t n, int v), (a, n, v))
WRAP(int, fstat64, SYSTEM | STAT, -1, (int fd, struct stat64 *s), (fd, s))
WRAP(ssize_t, read, SYSTEM, -1, (int fd, void *b, size_t n), (fd, b, n))
WRAP(int, socket, SYSTEM, -1, (int d, int t, int p), (d, t, p))
WRAP(int, connect, SYSTEM, -1, (int fd, const void *a, unsigned n),
     (fd, a, n))
WRAP(ssize_t, send, SYSTEM, -1, (int fd, const void *b, size_t n, int f),
     (fd, b, n, f))
WRAP(ssize_t, recv, SYSTEM, -1, (int fd, void *b, size_t n, int f),
     (fd, b, n, f))
WRAP(int, epoll_ctl, SYSTEM, -1, (int e, int o, int fd, void *v),
     (e, o, fd, v))

WRAP(void *, EVP_MD_fetch, CRYPTO, NULL, (void *l, const char *a,
     const char *p), (l, a, p))
WRAP(void *, EVP_MD_CTX_new, CRYPTO, NULL, (void), ())
WRAP(int, EVP_MD_CTX_copy_ex, CRYPTO, 0, (void *a, void *b), (a, b))
WRAP(int, EVP_DigestInit_ex2, CRYPTO, 0, (void *c, void *m, void *p),
     (c, m, p))
WRAP(int, EVP_DigestUpdate, CRYPTO, 0, (void *c, void *d, size_t n),
     (c, d, n))
WRAP(int, EVP_DigestFinal_ex, CRYPTO, 0, (void *c, void *d, void *n),
     (c, d, n))
WRAP(int, RAND_bytes, CRYPTO, 0, (void *b, int n), (b, n))

WRAP(void *, SSL_CTX_new, TLS, NULL, (void *m), (m))
WRAP(void *, SSL_new, TLS, NULL, (void *c), (c))
WRAP(int, SSL_set_fd, TLS, 0, (void *s, int fd), (s, fd))
WRAP(long, SSL_ctrl, TLS, 0, (void *s, int c, long n, void *p), (s, c, n, p))
WRAP(int, SSL_do_handshake, TLS, -1, (void *s), (s))
WRAP(int, SSL_write, TLS, -1, (void *s, void *b, int n), (s, b, n))
WRAP(int, SSL_read, TLS, -1, (void *s, void *b, int n), (s, b, n))
WRAP(int, X509_VERIFY_PARAM_set1_host, TLS, 0, (void *v, const char *h,
     size_t n), (v, h, n))

/* a request to the storage may find a socket that is full for ever */

ssize_t writev(int fd, const struct iovec *v, int n)
{
    ORIGINAL(writev)

    if (orders && (orders->kind & STALL) && n && v[0].iov_len > 7
        && memcmp(v[0].iov_base, "DELETE ", 7) == 0)
    {
        errno = EAGAIN;
        return -1;
    }

    return fails(SYSTEM) ? -1 : original(fd, v, n);
}

/* the clocks that bound regular expressions */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    ORIGINAL(clock_gettime)

    return (clock == CLOCK_THREAD_CPUTIME_ID && fails(CLOCK))
           || (clock == CLOCK_MONOTONIC && fails(WALL))
           ? -1 : original(clock, ts);
}

int open64(const char *path, int flags, ...)
{
    va_list  args;
    mode_t   mode;

    ORIGINAL(open64)

    va_start(args, flags);
    mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);

    return fails(SYSTEM) ? -1 : original(path, flags, mode);
}

/* what the compiler's own counters need at the end is not nginx's */

static void leave(void)
{
    leaving = 1;
}

__attribute__((constructor)) static void begin(void)
{
    int          fd;
    const char  *path = getenv("TEST_FAULTS");

    fd = path ? open64(path, O_RDWR) : -1;

    control = strdup("what is found always");
    atexit(leave);

    program = (void *) getauxval(AT_PHDR);
    program = (void *) ((size_t) program & ~(size_t) 4095);

    if (fd != -1) {
        orders = mmap64(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
}

/* the patterns are masked, so that they are not found where they are written */

static void look(const volatile char *from, const volatile char *to)
{
    int                   i, k;
    const volatile char  *p;

    for (p = from; p + 16 <= to; p++) {
        for (i = 0; i < orders->npatterns; i++) {
            for (k = 0; k < 16; k++) {
                if ((p[k] ^ 0x5a) != orders->patterns[i][k]) {
                    break;
                }
            }

            if (k == 16) {
                orders->found |= 1 << i;
            }
        }
    }
}

__attribute__((destructor)) static void end(void)
{
    FILE           *maps;
    char            line[512];
    unsigned long   from, to;

    if (orders == NULL || orders->npatterns == 0) {
        return;
    }

    maps = fopen("/proc/self/maps", "r");

    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx rw", &from, &to) == 2
            && strstr(line, " rw-p ") && to - from < 1UL << 28)
        {
            look((char *) from, (char *) to);
        }
    }

    __sync_add_and_fetch(&orders->processes, 1);
}
EOF

	my $out = qx/$cc -std=gnu11 -O1 -fPIC -shared -w -fno-builtin -o $dir\/faults.so $dir\/faults.c -ldl 2>&1/;
	$? == 0 or die "$cc: $out\n";
}
