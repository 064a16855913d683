# The keys file: what a change of it means, and when, in every worker; and
# that nothing which happens to the file loses a request or a decision.

###############################################################################

use v5.36;

use List::Util qw/ max min /;
use POSIX;
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

my $WORKERS = 3;
my $REFRESH = 0.1;

my $t = S3Abort->new();
my $storage = $t->storage();
my $dir = $t->dir();
my $globals = $t->globals() =~ s/processes 1/processes $WORKERS/r
	=~ s/ debug;/ info;/r;

# the key n of alice

sub key($n) {
	return (access_key => "AKIALICE$n", secret => "CANARY/secret+of+$n");
}

sub line($n, $tenant = 'alice') {
	my %key = key($n);
	return "$tenant $key{access_key} $key{secret}\n";
}

$t->write_keys('live.keys', line(1));
$t->write_keys('slow.keys', line(2));
$t->write_keys('fixed.keys', line(1));

# as Kubernetes mounts a secret

mkdir "$dir/mount";
mkdir "$dir/mount/..1";
$t->write_keys('mount/..1/tenants.keys', line(1), 0440);
symlink '..1', "$dir/mount/..data";
symlink '..data/tenants.keys', "$dir/mount/tenants.keys";

# many keys; not all of them need be looked for in the logs

my $MANY = 100_000;

$t->write('many.keys', join('', map { "tenant$_ " . many($_) . "\n" }
	1 .. $MANY), 0640);
$t->canary("many/secret+of+$_") for 1, $MANY / 2, $MANY;

sub many($n) {
	return "AKIAMANY$n many/secret+of+$n";
}

my $conf = <<'EOF' =~ s/%%GLOBALS%%/$globals/r;

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    log_format pid "$pid $s3_abort_tenant $s3_abort_error";
    access_log %%TESTDIR%%/pid.log pid;

    # most aborts are of known tenants, and denied all the same

    s3_abort_policy few { allow key=sent; }

    server {
        listen 127.0.0.1:%%PORT_4%% reuseport;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/live.keys refresh=1h;
        location / { s3_abort_pass storage policy=few; }
    }

    server {
        listen 127.0.0.1:%%PORT%% reuseport;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/live.keys refresh=100ms;
        location / { s3_abort_pass storage policy=few; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% reuseport;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/fixed.keys;
        location / { s3_abort_pass storage policy=few; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% reuseport;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/mount/tenants.keys
                                refresh=100ms;
        location / { s3_abort_pass storage policy=few; }
    }

    server {
        listen 127.0.0.1:%%PORT_6%% reuseport;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/slow.keys refresh=2s;
        location / { s3_abort_pass storage policy=few; }
    }

    server {
        listen 127.0.0.1:%%PORT_5%% reuseport;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/many.keys;
        location / { s3_abort_pass storage policy=few; }
    }
}

EOF

$t->run($conf);

###############################################################################

sub bytes(%key) {
	my $r = SigV4::sign(target => '/media/k?uploadId=A', %key,
		region => 'kr-standard', headers => [['Host', 'gw.test']]);

	return S3Abort::request_bytes('DELETE', $r->{target},
		'X-Tenant' => undef, map { @$_ } @{$r->{headers}});
}

# As S3Abort->request(), which is slow after thousands of requests.

sub ask($port, $bytes) {
	my $client = $t->connect(port => $port);
	$client->send($bytes);
	my $r = $client->answer();
	$client->close();
	return $r;
}

# Who all workers say that the owner of a key is: "alice", or an error; or all
# that they say.  Connections are made until each of them has had some.

my $logged = 0;

sub everywhere($port, %key) {
	my $bytes = bytes(%key);
	my (%seen, %pids);

	for (1 .. 50) {
		ask($port, $bytes) for 1 .. 12;

		for (log_lines(12)) {
			my ($pid, $tenant, $error) = split;
			$pids{$pid}++;
			$seen{$tenant eq '-' ? $error : $tenant} = 1;
		}

		return join ', ', sort keys %seen if keys %pids >= $WORKERS
			&& !grep { $_ < 2 } values %pids;
	}

	return 'not all workers';
}

# The next lines of the log.

sub log_lines($n) {
	my @lines;

	$t->wait_for(sub { @lines = split /\n/, $t->read('pid.log');
		@lines >= $logged + $n });
	splice @lines, 0, $logged;
	$logged += @lines;

	return @lines;
}

# The same, once it is what is wanted; or after some seconds.

sub soon($want, $port, $name, %key) {
	my $end = time() + 30;
	my $got;

	1 until ($got = everywhere($port, %key)) eq $want || time() > $end;
	is($got, $want, $name);
}

# A change is in force once "refresh" is over; a slow machine has some more.

sub refresh() {
	sleep $REFRESH + 0.6;
}

my $UNKNOWN = 'InvalidAccessKeyId';

###############################################################################
#
# E-23: rotation with overlap

is(everywhere(1, key(1)), 'alice', 'the old key');
is(everywhere(1, key(2)), $UNKNOWN, 'the new key is not there yet');

$t->write_keys('live.keys', line(1) . line(2));
refresh();
is(everywhere(1, key(1)), 'alice', 'E-23 overlap: the old key');
is(everywhere(1, key(2)), 'alice', 'E-23 overlap: the new key');
is(everywhere(4, key(2)), 'alice', 'the shortest refresh of a file counts');

$t->write_keys('live.keys', line(2));
refresh();
is(everywhere(1, key(1)), $UNKNOWN, 'E-23 the old key is removed');
is(everywhere(1, key(2)), 'alice', 'E-23 the new key stays');

###############################################################################
#
# A worker that replaces a dead one knows what the others know, from its first
# request on: some wait for it while it is made

my $refused = bytes(key(1));
my $master = $t->{nginx_pid};

$t->expect_log(qr/worker process \d+ exited on signal 9/);

for my $round (1 .. 3) {
	kill 'STOP', $master;
	kill 'KILL', $t->workers();

	my @waiting = map { my $c = $t->connect(); $c->send($refused); $c }
		1 .. 30;

	kill 'CONT', $master;
	$_->answer() for @waiting;

	my %seen = map { (split)[1, 2] } log_lines(30);
	is_deeply(\%seen, { '-' => $UNKNOWN }, 'E-23 a new worker does not '
		. "know the key that was removed ($round)");
}

is(everywhere(1, key(2)), 'alice', 'a new worker knows the key that is there');

###############################################################################

my %other = (key(2), secret => 'CANARY/another+secret');
$t->write_keys('live.keys', "alice $other{access_key} $other{secret}\n");
refresh();
is(everywhere(1, %other), 'alice', 'another secret for the key: the new one');
is(everywhere(1, key(2)), 'SignatureDoesNotMatch',
	'another secret for the key: the old one');

$t->write_keys('live.keys', line(2, 'bob'));
refresh();
is(everywhere(1, key(2)), 'bob', 'another tenant for the key');

$t->write_keys('live.keys', line(2));
refresh();
is(everywhere(1, key(2)), 'alice', 'and the first one again');

# without refresh, exactly at a reload

$t->write_keys('fixed.keys', line(2));
refresh();
is(everywhere(2, key(1)), 'alice', 'no refresh: the old key');
is(everywhere(2, key(2)), $UNKNOWN, 'no refresh: the new key');

ok($t->reload(), 'reload');
is(everywhere(2, key(1)), $UNKNOWN, 'E-23 reload: the old key');
is(everywhere(2, key(2)), 'alice', 'E-23 reload: the new key');

$t->expect_log(qr/more than three fields in \S+fixed\.keys:1$/);
$t->write_keys('fixed.keys', line(3) =~ s/\n/ x\n/r);
ok(!$t->reload(), 'I-02 a reload with a broken file');
is(everywhere(2, key(2)), 'alice', 'I-02 the old configuration stays');
$t->write_keys('fixed.keys', line(2));

###############################################################################
#
# A file that is no good: the old one stays, and each worker says so, once

my $alerts = 0;
$alerts = () = alerts();

# those that are new

sub alerts() {
	my @lines = split /\n/, $t->error_log('alert');
	return @lines[$alerts .. $#lines];
}

sub stays($name, $want, $change, %o) {
	my $port = $o{port} // 1;

	$t->expect_log($want);
	$change->();
	$t->wait_for(sub { $WORKERS <= grep { /$want/ } alerts() });
	sleep 2 * $REFRESH;

	my @alerts = alerts();
	$alerts += @alerts;

	is(scalar(@alerts), $WORKERS, "$name: each worker says so once")
		or diag(join "\n", @alerts);
	is(scalar(grep { !/$want/ } @alerts), 0, "$name: what, and where")
		or diag(join "\n", @alerts);
	unlike("@alerts", qr/ALICE|alice|CANARY|mallory/,
		"$name: nothing of the content");

	is(everywhere($port, key(2)), 'alice', "$name: the old key stays");
	is(everywhere($port, key(3)), $UNKNOWN, "$name: no new one")
		unless $o{same};
}

# and the next one that is good is read

sub repaired($name) {
	$t->write_keys('live.keys', line(2) . line(4));
	soon('alice', 1, "$name: and back", key(4));
	$t->write_keys('live.keys', line(2));
	soon($UNKNOWN, 1, "$name: and back again", key(4));
}

sub in_place($name, $text) {
	$t->canary($_) for $text =~ /(CANARY\S+)/g;
	open my $fh, '>', "$dir/$name" or die "$name: $!\n";
	syswrite $fh, $text;
	close $fh;
}

sub renamed($make) {
	$make->("$dir/new");

	unless ($> || -l "$dir/new") {
		chown -1, ($t->worker())[1], "$dir/new";
		chmod 0640, "$dir/new";
	}

	rename "$dir/new", "$dir/live.keys" or die "rename: $!\n";
}

stays('two columns', qr/no secret access key in \S+live\.keys:3$/, sub {
	$t->write_keys('live.keys', '# ' . line(3) . line(3)
		. "mallory AKIALICE5\n") });
repaired('two columns');

stays('I-07 partial write, in place', qr/no \S.* in \S+live\.keys:2$/, sub {
	in_place('live.keys', line(3) . 'mallory AKIALICE5') });
repaired('I-07 partial write');

stays('I-07 half a secret, in place', qr/no line feed at .*live\.keys:2$/, sub {
	in_place('live.keys', line(3) . substr line(4), 0, -3) });
repaired('I-07 half a secret');

stays('G-07 CRLF', qr/carriage return.* in \S+live\.keys:1$/, sub {
	$t->write_keys('live.keys', line(3) =~ s/\n/\r\n/r) });
stays('duplicate key', qr/duplicate access key in \S+live\.keys:3$/, sub {
	$t->write_keys('live.keys', line(3) . line(4) . line(3, 'mallory')) });
stays('G-07 permissions', qr/"\S+live\.keys" is open to others/, sub {
	$t->write_keys('live.keys', line(2));
	refresh();
	chmod 0644, "$dir/live.keys" }, same => 1);

chmod 0640, "$dir/live.keys";
refresh();
is(everywhere(1, key(2)), 'alice', 'G-07 permissions that are good again');

stays('G-07 FIFO', qr/"\S+live\.keys" is not a regular file/, sub {
	renamed(sub ($new) { POSIX::mkfifo($new, 0600) }) });
stays('G-07 directory', qr/"\S+live\.keys" is not a regular file/, sub {
	renamed(sub ($new) { symlink "$dir/html", $new }) });
stays('G-07 a file of 300 MB', qr/"\S+live\.keys" is too large/, sub {
	renamed(sub ($new) { open my $fh, '>', $new; chmod 0600, $new;
		truncate $fh, 300 << 20 }) });
stays('removed', qr/open\(\) "\S+live\.keys" failed \(2: /, sub {
	unlink "$dir/live.keys" });
repaired('removed');

stays('unreadable for the workers', qr/open\(\) "\S+live\.keys" failed \(13: /,
	sub { $t->write_keys('live.keys', line(3), 0600) }) unless $>;
repaired('unreadable');

# an empty file is a good one

$t->write_keys('live.keys', '');
refresh();
is(everywhere(1, key(2)), $UNKNOWN, 'an empty file: nobody has a key');
is(join("\n", alerts()), '', 'an empty file: no alert');

# rewritten in place, the same length

in_place('live.keys', line(1) . line(3));
refresh();
is(everywhere(1, key(3)), 'alice', 'I-07 rewritten in place');
in_place('live.keys', line(1) . line(4));
refresh();
is(everywhere(1, key(3)), $UNKNOWN, 'I-07 once more, in the same length');
is(everywhere(1, key(4)), 'alice', 'I-07 and the new key');
is(join("\n", alerts()), '', 'I-07 no alert');

# gone for a moment, as editors do it, then written in place, bit by bit, while
# the workers look: nobody reads the first bit; what took longer than the
# workers wait is done again

my ($n_written, %seen) = (0);

for (1 .. 30) {
	last if $n_written == 5;

	my $start = time();
	rename "$dir/slow.keys", "$dir/away.keys" or die "slow.keys: $!\n";
	sleep 0.2;
	rename "$dir/away.keys", "$dir/slow.keys" or die "away.keys: $!\n";
	open my $fh, '>', "$dir/slow.keys" or die "slow.keys: $!\n";
	sleep 0.2;
	syswrite $fh, line(1);
	sleep 0.2;
	syswrite $fh, line(2) . line(6);
	close $fh;

	my $in_time = time() - $start < 0.8;
	my $seen = everywhere(6, key(2));

	sleep max(0, $start + 2.2 - time());
	next unless $in_time;

	$n_written++;
	$seen{$seen} = 1;
}

is(join(', ', sort keys %seen), 'alice',
	'K-33 written in place: no key is lost');
is($n_written, 5, 'K-33 written in place: often');
is(everywhere(6, key(6)), 'alice', 'K-33 written in place: and the new key');
is(join("\n", alerts()), '', 'K-33 no alert');

# no memory for it, for a while: the next look finds it all the same

if (($ENV{TEST_NGINX_MODULE} // 'dynamic') ne '') {
	my @workers = $t->workers();
	my ($user, undef, $group) = $t->worker();
	my @as = $user ? ('setpriv', "--reuid=$user", "--regid=$group",
		'--clear-groups') : ();
	my $limit = sub ($size) {
		system(@as, 'prlimit', '--pid', $_, "--as=$size:unlimited") == 0
			or die "prlimit: $?\n" for @workers;
	};

	$limit->(1 << 20);
	$t->write_keys('live.keys', line(1) . line(5));
	$t->wait_for(sub { $WORKERS <= grep { /does not fit into memory/ }
		alerts() }, 'no memory: it is said');
	$limit->('unlimited');
	soon($UNKNOWN, 1, 'no memory: the old key, once there is some', key(4));
	soon('alice', 1, 'no memory: the new key, once there is some', key(5));
	$t->expect_log(qr/mmap\(\d+\) failed|does not fit into memory/);
	$alerts += () = alerts();
}

###############################################################################
#
# Kubernetes: ..data is swapped

is(everywhere(3, key(1)), 'alice', 'Kubernetes: mounted');

mkdir "$dir/mount/..2";
$t->write_keys('mount/..2/tenants.keys', line(2), 0440);
symlink '..2', "$dir/mount/..data.new";
rename "$dir/mount/..data.new", "$dir/mount/..data" or die;
unlink "$dir/mount/..1/tenants.keys";
rmdir "$dir/mount/..1";
refresh();

is(everywhere(3, key(1)), $UNKNOWN, 'Kubernetes: the old key');
is(everywhere(3, key(2)), 'alice', 'Kubernetes: the new key');

###############################################################################
#
# Under load: no request is lost, none is decided wrongly

my %load = (
	sent => [bytes(key(1), target => '/media/sent?uploadId=A'), '204'],
	denied => [bytes(key(1)), '403 AccessDenied'],
	unknown => [bytes(key(9)), "403 $UNKNOWN"],
	wrong => [bytes(key(1), secret => 'CANARY/wrong'),
		'403 SignatureDoesNotMatch'],
	toggled => [bytes(key(7)), "403 (?:AccessDenied|$UNKNOWN)"],
);

sub load($n) {
	my %count;

	until (-e "$dir/enough") {
		for my $name (keys %load) {
			my ($bytes, $want) = @{$load{$name}};
			my $r = ask(1, $bytes);
			my $got = join ' ', grep { $_ ne '' }
				$r->{status}, $r->{code};
			$count{$got =~ /^(?:$want)\z/ ? $name
				: "$name: $got"}++;
		}
	}

	$t->write("load.$n", join '', map { "$_ $count{$_}\n" } keys %count);
}

$t->write_keys('live.keys', line(1) . line(7));
refresh();
my $reads = () = $t->error_log('notice') =~ /read "\S+live\.keys" again/g;

my @children = map { my $n = $_; my $pid = fork() // die "fork: $!\n";
	$pid or eval { load($n) }, POSIX::_exit(0);
	$pid } 1, 2;

my @fill = map { line($_, "tenant$_") } 1000 .. 3000;

my $sent = $t->sent();

# longer where the machine is busy

for my $round (1 .. 20) {
	for my $i (1 .. 20) {
		my $text = join '', @fill[0 .. 100 * $i - 1], line(1),
			$i % 2 ? () : line(7);
		$t->write('live.keys', $text, 0640);
		sleep $REFRESH;
	}

	last if $t->sent() > $sent + 50;
}

refresh();
$t->write('enough', '');
waitpid $_, 0 for @children;

my %count;
/^(.*) (\d+)$/ and $count{$1} += $2 for map { split /\n/, $t->read("load.$_") }
	1, 2;

is(join(', ', sort keys %count), 'denied, sent, toggled, unknown, wrong',
	'replacements under load: no request lost, no wrong decision');
cmp_ok($count{sent} // 0, '>', 50, 'under load: many requests');

$reads = -$reads + (() = $t->error_log('notice')
	=~ /read "\S+live\.keys" again/g);
cmp_ok($reads, '>', 8 * $WORKERS, 'under load: the file was read many times');

$logged = () = $t->read('pid.log') =~ /\n/g;
is(everywhere(1, key(7)), 'alice', 'after the load: the last file');

###############################################################################
#
# 100,000 keys

my $empty = 1e9;
my $full = 1e9;

(my $test = $conf) =~ s/refresh=\S+;/;/g;
$t->write_keys('none.keys', '');

for (1 .. 3) {
	my $time = cpu();
	is(($t->nginx_test($test =~ s/many\.keys/none.keys/r))[0], 0,
		'nginx -t of no keys');
	$empty = min($empty, cpu() - $time);

	$time = cpu();
	is(($t->nginx_test($test))[0], 0, 'nginx -t of 100,000 keys');
	$full = min($full, cpu() - $time);
}

# of all that ran and has ended

sub cpu() {
	my (undef, undef, $user, $system) = times;
	return $user + $system;
}

note(sprintf '%d keys: %.3f s', $MANY, $full - $empty);
cmp_ok($full - $empty, '<', 0.5, '100,000 keys are read in no time, '
	. 'and each was looked up once: whether it is there already');

# the signing keys of a day are kept in slots: keys that have one slot

for my $n (1, $MANY / 2, $MANY, 77, 77 + 1024, 77, 77 + 2048, 77 + 1024, 77) {
	ask(5, bytes(access_key => "AKIAMANY$n",
		secret => "many/secret+of+$n"));
	my ($line) = log_lines(1);
	is((split ' ', $line)[1], "tenant$n", "key $n of $MANY");
}

is(ask(5, bytes(access_key => 'AKIAMANY77',
	secret => 'many/secret+of+1101'))->{code}, 'SignatureDoesNotMatch',
	'the secret of another key of the slot');
is(ask(5, bytes(access_key => 'AKIAMANY0', secret => ''))->{code},
	'InvalidAccessKeyId', 'none of the keys');

###############################################################################
#
# At start; abort_config.t has the rest

for (['300 MB', qr/too large/, sub {
	truncate "$dir/bad.keys", 300 << 20 }],
	['G-07 0640 and a group that is not the workers\'', qr/group/, sub {
	chown -1, 12345, "$dir/bad.keys" }, root => 1],
	['G-07 0660', qr/open to others/, sub { chmod 0660, "$dir/bad.keys" }],
	['G-07 0601', qr/open to others/, sub { chmod 0601, "$dir/bad.keys" }])
{
	my ($name, $want, $change, %o) = @$_;

	next if $o{root} && $>;
	$t->write_keys('bad.keys', line(1));
	$change->();

	my ($rc, $out) = $t->nginx_test($test =~ s/fixed\.keys/bad.keys/r);
	is($rc, 1, "start: $name");
	like($out, qr/\[emerg\] "\S+bad\.keys" .*$want/,
		"start: $name: says so");
	unlike($out, qr/ALICE/, "start: $name: nothing of the content");
}

$t->done();
