# The life of nginx while aborts are under way: reloads, good and bad ones and
# many of them, upgrades of the binary and back, deaths of workers and of the
# master, ends, full disks, log rotation.  No abort is lost that nginx itself
# would not lose, and none is judged or signed by anything but the configuration
# that accepted it.

###############################################################################

use v5.36;

use JSON::PP;
use POSIX;
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;

my $WORKERS = 2;
my $STORM = 8;			# seconds
my $CLIENTS = 4;

###############################################################################

my $t = S3Abort->new();
my $dir = $t->dir();
my $sanitized = ($ENV{TEST_NGINX_MODULE} // 'dynamic') eq '';

# Two pairs that the storage knows, and the one that the gateway has.

my %pair = map { $_ => { secret => "CANARY/secret+of+$_" } } qw/ OLD NEW /;
my $storage = $t->storage('storage', keys => \%pair, access_key => 'OLD');

sub use_pair($name) {
	$storage->{access_key} = $name;
	$t->write('storage.credentials', $storage->credentials(), 0640);
}

# A configuration that allows aborts in one bucket.

sub configuration(%o) {
	my $level = $o{level} // 'info';
	my $globals = $t->globals() =~ s/processes 1/processes $WORKERS/r
		=~ s/error\.log\K debug/ $level/r;
	my $bucket = $o{bucket} // 'media';
	my $shutdown = $o{shutdown} ? "worker_shutdown_timeout $o{shutdown};"
		: '';

	return <<"EOF";

%%LOAD%%
$globals
$shutdown

events { }

http {
    %%HTTP%%

    upstream servers {
        server %%STORAGE%%;
        keepalive 8;
    }

    s3_abort_endpoint storage {
        url           http://servers;
        host          storage.test;
        region        kr-standard;
        credentials   %%TESTDIR%%/storage.credentials;
        read_timeout  30s;
    }

    s3_abort_policy one { allow bucket=$bucket; }
    s3_abort_identity trusted \$http_x_tenant;

    s3_abort_zone zone=counters:64k;
    client_body_buffer_size 4k;

    server {
        listen 127.0.0.1:%%PORT%%;
        @{[$o{server} // '']}

        location / {
            s3_abort_pass storage policy=one;
            @{[$o{location} // '']}
        }
    }

    @{[$o{http} // '']}
}
EOF
}

$t->run(configuration(bucket => 'old-bucket', level => 'debug'));

###############################################################################

sub bytes($target, @headers) {
	return S3Abort::request_bytes('DELETE', "$target?uploadId=A",
		@headers);
}

sub status($target) {
	my $r = $t->abort("$target?uploadId=A");
	return "$r->{status} $r->{code}";
}

sub key($request) {
	return $request->{header}{authorization} =~ m!Credential=([^/]+)/!
		? $1 : '';
}

# The storage answers once the gate is open.

sub gate($answer = 204) {
	unlink "$dir/gate";

	$storage->answer(sub ($r) {
		sleep 0.01 until -e "$dir/gate";
		return $answer;
	});
}

sub open_gate() {
	$t->write('gate', '');
}

# Aborts that are on their way: the storage has them all.

sub in_flight($n, $path) {
	$t->mark();
	my @clients = map { my $c = $t->connect(timeout => 40);
		$c->send(bytes("$path$_")); $c } 1 .. $n;
	$t->wait_for(sub { $n == (() = $t->sent()) }, "$n on their way: $path");
	return @clients;
}

sub answers(@clients) {
	my %count;
	$count{$_->answer()->{status} || 'none'}++ for @clients;
	return join ' ', map { "$_:$count{$_}" } sort keys %count;
}

sub alive($pid) {
	my ($state) = $t->read("/proc/$pid/stat") =~ /\) (\S)/;
	return defined $state && $state ne 'Z';
}

sub children($pid) {
	return grep { alive($_) } split ' ',
		$t->read("/proc/$pid/task/$pid/children");
}

# Until the workers that were told to end have ended.

sub settled($name = undef) {
	$t->wait_for(sub { $WORKERS == (() = children($t->{nginx_pid}))
		&& $WORKERS == (() = $t->workers()) }, $name);
}

###############################################################################
#
# Load: clients that send one abort after the other, each on a connection of
# its own, a quarter of them in a bucket that no configuration allows.

my @load;

sub start_load() {
	unlink "$dir/load.stop";

	for my $n (1 .. $CLIENTS) {
		defined(my $pid = fork()) or die "fork: $!\n";

		if ($pid) {
			push @load, $pid;
			next;
		}

		$t->in_child({});
		alarm 300;
		open my $fh, '>>', "$dir/load.$n";
		$fh->autoflush();

		for my $i (1 .. 1e6) {
			last if -e "$dir/load.stop";
			my $bucket = $i % 4 ? 'media' : 'forbidden';
			my $status = eval {
				my $c = $t->connect();
				$c->send(bytes("/$bucket/load-$$-$i"));
				$c->answer()->{status} } || "none $@";

			print $fh "$bucket $status\n";
			sleep 0.02;
		}

		close $fh;
		POSIX::_exit(0);
	}
}

# How many aborts were answered so far.

sub answered() {
	return scalar map { $t->read($_) =~ /\n/g } map { "load.$_" } 1 .. $CLIENTS;
}

# What was answered, "media 204, forbidden 403" in the best case, and how often.

sub stop_load() {
	$t->wait_for(sub { answered() > 8 * $CLIENTS });
	$t->write('load.stop', '');
	waitpid $_, 0 for splice @load;

	my ($n, %seen) = (0);

	for my $file (map { "load.$_" } 1 .. $CLIENTS) {
		for ($t->read($file) =~ /^(.*)\n/gm) {
			$seen{$_}++;
			$n++;
		}

		unlink "$dir/$file";
	}

	return (join(', ', reverse sort keys %seen), $n);
}

my $GOOD = 'media 204, forbidden 403';

###############################################################################
#
# I-01: aborts that are on their way keep what they were judged and signed by

gate();
my @clients = in_flight(100, '/old-bucket/k');

# these are not even judged yet, but in the hands of the old workers

my @late = map { my $c = $t->connect(timeout => 40);
	$c->send(substr bytes("/old-bucket/late$_"), 0, 40); $c } 1 .. 5;
$t->wait_for(sub { 105 <= (() = $t->error_log()
	=~ /http process request line/g) });

my @old = $t->workers();
use_pair('NEW');
ok($t->reload(conf => configuration(bucket => 'media'), wait => 'new'),
	'I-01 a reload while 100 aborts are on their way');
is(status('/old-bucket/k'), '403 AccessDenied', 'I-01 the new policy');

my $new = $t->connect(timeout => 40);
$new->send(bytes('/media/k'));
$t->wait_for(sub { 1 == (() = $t->sent()) }, 'I-01 a new one is on its way');
is(key(($t->sent())[0]), 'NEW', 'I-01 signed by the new pair');

$t->mark();
$_->send(substr bytes("/old-bucket/late1"), 40) for @late;
$t->wait_for(sub { 5 == (() = $t->sent()) }, 'I-01 late ones are allowed');
is(join(' ', map { key($_) } $t->sent()), 'OLD OLD OLD OLD OLD',
	'I-01 by the old policy, with the old pair');
is(join(' ', grep { !alive($_) } @old), '', 'I-01 the old workers are there');

open_gate();
is(answers(@clients), '204:100', 'I-01 no abort is dropped');
is(answers(@late, $new), '204:6', 'I-01 nor is a late one');
$t->wait_for(sub { !grep { alive($_) } @old }, 'I-01 the old workers end');

# G-17: nothing of the old pair is left, in the master or in new workers

for my $pid ($t->{nginx_pid}, children($t->{nginx_pid})) {
	is(join(' ', grep { in_memory($pid, $pair{$_}{secret}) } qw/ OLD NEW /),
		'NEW', 'G-17 a reload wipes the old secret, process '
		. ($pid == $t->{nginx_pid} ? 'master' : 'worker'));
}

sub in_memory($pid, $string) {
	open my $fh, '<:raw', "/proc/$pid/mem" or die "/proc/$pid/mem: $!\n";
	my $found = 0;

	no warnings 'portable';

	for (split /\n/, $t->read("/proc/$pid/maps")) {
		my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) r/ or next;
		next if /\[v/ || hex($to) - hex($from) > 1 << 30;

		sysseek $fh, hex $from, 0;
		my $bytes = '';
		1 while sysread $fh, $bytes, hex($to) - hex($from)
			- length $bytes, length $bytes;
		$found += () = $bytes =~ /\Q$string\E/g;
	}

	return $found;
}

# an abort that hangs does not keep an old worker, and its secrets, for ever

ok($t->reload(conf => configuration(shutdown => '1s')), 'a reload');
gate();
($new) = in_flight(1, '/media/hangs');
my $start = time();
ok($t->reload(), 'G-17 worker_shutdown_timeout ends the old worker');
cmp_ok(time() - $start, '<', 20, 'G-17 in its time');
isnt($new->answer(2)->{status}, 204, 'G-17 an abort without an answer');
is_deeply([map { [@$_{qw/ error outcome /}] } grep { $_->{key} eq 'hangs1' }
	$t->access_log()], [['InternalError', 'UNKNOWN']], 'G-17 and the log says so');
open_gate();
$storage->answer(204);

###############################################################################
#
# I-02: a configuration that is no good is not taken

$t->write_keys('bad.keys', "alice AKIALICE CANARY/alice+secret extra\n");
$t->write_keys('unreadable.keys', "alice AKIALICE CANARY/alice+secret\n",
	0644);

for (['syntax', 'location', 's3_abort_pass', qr/unexpected "}"/],
	['bad regex', 'http', 's3_abort_policy x { allow "key~(a"; }',
	qr/key~\(a/],
	['unknown policy', 'server',
	'location /x { s3_abort_pass storage policy=none; }', qr/"none"/],
	['missing file', 'server',
	's3_abort_identity sigv4 keys=%%TESTDIR%%/none.keys;', qr/none\.keys/],
	['a line with a secret', 'server',
	's3_abort_identity sigv4 keys=%%TESTDIR%%/bad.keys;', qr/bad\.keys:1/],
	['permissions', 'server',
	's3_abort_identity sigv4 keys=%%TESTDIR%%/unreadable.keys;',
	qr/unreadable\.keys/])
{
	my ($name, $where, $text, $re) = @$_;

	settled();
	$t->expect_log(qr/\[emerg\].*$re/);
	@old = $t->workers();
	ok(!$t->reload(conf => configuration($where => $text)),
		"I-02 $name: refused");
	is(status('/media/k'), '204 ', "I-02 $name: the old one serves");
	is(join(' ', $t->workers()), "@old", "I-02 $name: by the same workers");
}

$t->expect_log(qr/\[emerg\].*storage\.credentials/);
unlink "$dir/storage.credentials";
ok(!$t->reload(conf => configuration()), 'I-02 credentials are gone: refused');
is(status('/media/k'), '204 ', 'I-02 credentials are gone: the old ones serve');
use_pair('NEW');

###############################################################################
#
# I-03: a reload storm under load, with credentials that change each time

ok($t->reload(conf => configuration(shutdown => '2s')), 'a reload');

sub memory($pid) {
	my ($kb) = $t->read("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
	return $kb // 0;
}

# The master's, and the largest worker's, which have done a little.

sub resident() {
	settled('I-03 no stale worker is left');
	ok($t->reload(), 'I-03 a reload');
	settled();
	status('/media/k') for 1 .. 20;

	my ($worker) = sort { $b <=> $a } map { memory($_) }
		children($t->{nginx_pid});
	return (memory($t->{nginx_pid}), $worker);
}

my @before = resident();
my $reloads = 0;
my $end = time() + $STORM;

start_load();
$t->mark();

sub pairs_in_use() {
	my %signed = map { key($_) => 1 } $t->sent();
	return join ' ', sort keys %signed;
}

# longer where the machine is busy

until (time() > $end && (time() > $end + 20 * $STORM
	|| answered() > 20 * $CLIENTS && pairs_in_use() eq 'NEW OLD'))
{
	use_pair($reloads++ % 2 ? 'OLD' : 'NEW');
	kill 'HUP', $t->{nginx_pid};
	sleep 0.1;
}

my ($seen, $n) = stop_load();

is($seen, $GOOD, "I-03 $n aborts during $reloads reloads: none is lost");
is(pairs_in_use(), 'NEW OLD', 'I-03 both pairs were in use');
cmp_ok($n, '>', 20 * $CLIENTS, 'I-03 there was load');
my @after = resident();

SKIP: {
	skip 'a sanitizer keeps what is freed', 2 if $sanitized;

	# a reload that left its configuration behind would be seen

	cmp_ok($after[$_->[0]] - $before[$_->[0]], '<', 2 * $reloads,
		"I-03 memory, in KB: $_->[1]") for [0, 'master'], [1, 'workers'];
}

is(status('/media/k'), '204 ', 'I-03 and then');

###############################################################################
#
# Deaths

$t->expect_log(qr/worker process \d+ exited on signal 9/);
start_load();

for (1 .. 5) {
	sleep 0.1;
	@old = children($t->{nginx_pid});
	kill 'KILL', $old[0];
	$t->wait_for(sub { my @now = children($t->{nginx_pid});
		@now == $WORKERS && !grep { $_ == $old[0] } @now });
}

($seen, $n) = stop_load();
is(join(', ', grep { !/ none / } split /, /, $seen), $GOOD,
	'I-06 workers are killed: what is answered, is right');
is(status('/media/k'), '204 ', 'I-06 workers are killed: others serve');

# the master is killed: its workers go on, and end when they are told

gate();
@clients = in_flight(10, '/media/orphan');
@old = children($t->{nginx_pid});
kill 'KILL', $t->{nginx_pid};
waitpid $t->{nginx_pid}, 0;
open_gate();
is(answers(@clients), '204:10', 'I-06 the master is killed: none is lost');
is(status('/media/k'), '204 ', 'I-06 the master is killed: workers serve');
kill 'QUIT', @old;
$t->wait_for(sub { !grep { alive($_) } @old },
	'I-06 the master is killed: workers end');

$storage->answer(204);
$t->start();
is(status('/media/k'), '204 ', 'I-06 a new master');

# QUIT waits for aborts, TERM does not

gate();
@clients = in_flight(10, '/media/quit');
my $logged = length $t->error_log();
kill 'QUIT', $t->{nginx_pid};
$t->wait_for(sub { my $log = substr $t->error_log(), $logged;
	$log =~ /signal 3 .*received/ && $log =~ /gracefully shutting down/ });
sleep 0.2;
ok(alive($t->{nginx_pid}), 'I-06 QUIT waits');
open_gate();
is(answers(@clients), '204:10', 'I-06 QUIT: aborts are finished');
is($t->stop('QUIT'), 0, 'I-06 QUIT: and then it ends');

$t->start();
gate();
@clients = in_flight(3, '/media/term');
$start = time();
is($t->stop('TERM'), 0, 'I-06 TERM');
cmp_ok(time() - $start, '<', 10, 'I-06 TERM is bounded');
unlike(answers(@clients), qr/2\d\d/, 'I-06 TERM: no answer is made up');
open_gate();
$storage->answer(204);

###############################################################################
#
# I-13: no room for logs, and for temporary files

$t->write('nginx.conf', configuration(location => 'access_log /dev/full audit;'
	. ' error_log /dev/full debug;'));
$t->allow_log(qr!write\(\) to "/dev/full" .*failed!);
$t->start();

is(status('/media/k'), '204 ', "I-13 logs on a full disk ($_)") for 1 .. 5;
is(status('/forbidden/k'), '403 AccessDenied',
	'I-13 logs on a full disk: a refusal');
is($t->stop(), 0, 'I-13 logs on a full disk: the end');

$t->write('nginx.conf', configuration());
$t->start();

for my $more ("Content-Length: 60000\r\n\r\n" . 'x' x 60_000,
	"Transfer-Encoding: chunked\r\n\r\n"
	. "4000\r\n" . 'x' x 0x4000 . "\r\n0\r\n\r\n")
{
	my $r = $t->request(bytes('/media/k') =~ s/\r\n\z/$more/r);
	is($r->{code}, 'InvalidRequest', 'I-13 a body');
}

is(join(' ', map { glob "$dir/temp.$_/*" } qw/ body proxy /), '',
	'I-13 is not buffered to disk');
unlike($t->error_log(), qr/buffered to a temporary file/, 'I-13 nowhere');

###############################################################################
#
# I-14: logs are reopened while they are written

$t->wait_for(sub { (() = $t->access_log()) > 0 });
$t->rotate('access.log', 'access.log.before');
unlink "$dir/access.log.before";

start_load();

for (1 .. 20) {
	sleep 0.05;
	$t->rotate('access.log', "access.log.$_");
}

($seen, $n) = stop_load();
is($seen, $GOOD, 'I-14 logs are reopened under load');

my $json = JSON::PP->new;
my $lines = sub { map { $t->read($_) =~ /^(.*\n?)/gm }
	map { "access.log$_" } '', map { ".$_" } 1 .. 20 };
$t->wait_for(sub { $n == grep { /load-/ } $lines->() });
is(scalar(grep { /load-/ } $lines->()), $n, 'I-14 each abort has its line');
is(join('', grep { !eval { $json->decode($_) } } $lines->()), '',
	'I-14 no line is torn');

###############################################################################
#
# I-10, I-11: the module itself

SKIP: {
	skip 'a static build', 7 if $sanitized;

	my $load = $t->load();
	my ($rc, $out) = $t->nginx_test(configuration()
		=~ s/%%LOAD%%/$load\n$load/r);
	is($rc, 1, 'I-11 loaded twice');
	like($out, qr/\[emerg\].*is already loaded in/,
		'I-11 loaded twice: says so');

	($rc, $out) = $t->nginx_test(configuration() =~ s/%%LOAD%%//r
		. "$load\n");
	is($rc, 1, 'I-11 loaded too late');

	my $so = $t->read('module.so');

	for (['I-10 of other flags', qr/(?<=\x00)8,4,8,[01]+(?=\x00)/,
		sub ($s) { $s =~ tr/01/10/r }, qr/not binary compatible/],
		['I-10 of another version', version(), sub ($s) {
		pack 'Q', unpack('Q', $s) + 1 }, qr/version \d+ instead of/])
	{
		my ($name, $re, $change, $want) = @$_;
		my $bytes = $so;
		$bytes =~ s/($re)/$change->($1)/se or diag("$name: not found");

		open my $fh, '>:raw', "$dir/other.so" or die "other.so: $!\n";
		print $fh $bytes;
		close $fh;

		($rc, $out) = $t->nginx_test(configuration()
			=~ s!%%LOAD%%!load_module $dir/other.so;!r);
		is($rc, 1, $name);
		like($out, qr/\[emerg\].*$want/, "$name: says so");
	}
}

# The number of nginx's version, as a module has it.

sub version() {
	my ($major, $minor, $patch)
		= $t->{version} =~ m!nginx/(\d+)\.(\d+)\.(\d+)!;
	my $n = pack 'Q', $major * 1_000_000 + $minor * 1000 + $patch;

	return qr/\Q$n\E/;
}

$t->stop();

###############################################################################
#
# I-04: another binary takes over, and gives back.  nginx wants to be a daemon
# for that.

unlink "$dir/gate";

$storage->answer(sub ($r) {
	sleep 0.01 until $r->{target} !~ /slow/ || -e "$dir/gate";
	return 204;
});

$t->write('nginx.conf', configuration() =~ s/daemon off/daemon on/r);
daemon();

sub daemon() {
	defined(my $pid = fork()) or die "fork: $!\n";
	$t->exec_nginx('error.log', 'nginx.stderr', '-c',
		"$dir/nginx.conf") if $pid == 0;
	waitpid $pid, 0;

	my $master = pid_file() or die $t->read('nginx.stderr');
	$t->tell_janitor("start $master");

	return $master;
}

sub pid_file($suffix = '') {
	my $file = 'nginx.pid' . $suffix;
	$t->wait_for(sub { -s "$dir/$file" });
	return $t->read($file) =~ s/\n//r;
}

# Sends an abort that takes as long as the gate is shut.

sub slow($name) {
	$t->mark();
	my $c = $t->connect(timeout => 40);
	$c->send(bytes("/media/slow-$name"));
	$t->wait_for(sub { $t->sent() });
	return $c;
}

sub ended($pid, $name) {
	$t->wait_for(sub { !alive($pid) }, $name);
}

my $first = pid_file();
start_load();
my @slow = slow('before');

kill 'USR2', $first;
is(pid_file('.oldbin'), $first, 'I-04 USR2: the old master makes room');
my $upgraded = pid_file();
isnt($upgraded, $first, 'I-04 USR2: there is a new master');
$t->wait_for(sub { $WORKERS == (() = children($upgraded)) },
	'I-04 USR2: the new one has workers');
push @slow, slow('both');

kill 'WINCH', $first;
$t->wait_for(sub { $t->error_log() =~ /gracefully shutting down/ },
	'I-04 WINCH: the old workers finish');
push @slow, slow('new');

# back: the old master has workers again, the new one goes

kill 'HUP', $first;
$t->wait_for(sub { $WORKERS <= (() = grep { $_ != $upgraded }
	children($first)) }, 'I-04 HUP: the old master has workers again');
push @slow, slow('rollback');
$t->write('gate', '');
kill 'QUIT', $upgraded;
ended($upgraded, 'I-04 QUIT: the new master ends');
is(answers(@slow), '204:4', 'I-04 rollback: none that is slow is lost');
$t->wait_for(sub { pid_file() eq $first }, 'I-04 the old one is back');

# and once more, for good

kill 'USR2', $first;
is(pid_file('.oldbin'), $first, 'I-04 again USR2');
$upgraded = pid_file();
$t->wait_for(sub { $WORKERS == (() = children($upgraded)) });
kill 'QUIT', $first;
ended($first, 'I-04 QUIT: the old master ends');

($seen, $n) = stop_load();
is($seen, $GOOD, "I-04 $n aborts during upgrade, rollback, upgrade: none lost");

kill 'QUIT', $upgraded;
ended($upgraded, 'I-04 the end');
$t->done();
