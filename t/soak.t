# Everything at once, under full load: reloads, good and bad ones, upgrades of
# the binary and back, workers that are killed, keys, credentials and policies
# that change, logs that are reopened, a full disk, a storage that fails,
# clients that are slow or leave.  No abort is lost that nginx itself would not
# lose, none is decided wrongly, counters add up, and memory does not grow.
#
# SOAK_SECONDS: how long; see "make soak".

###############################################################################

use v5.36;

my $SECONDS;

BEGIN {
	$SECONDS = $ENV{SOAK_SECONDS} // 20;
	$ENV{TEST_NGINX_TIMEOUT} //= 2 * $SECONDS + 120;
}

use IO::Handle;
use IO::Select;
use IPC::Open2;
use JSON::PP;
use List::Util qw/ max sum0 /;
use POSIX;
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;

my $WORKERS = 2;
my $CONNECTIONS = 64;
my $CYCLE = 24;			# seconds
my $IN_FORCE = 5;		# seconds after which a changed file is

my $LOAD = ($ENV{TEST_BUILD_DIR} // 'build') . '/soak/load';
my $ID = '0000015a-df89-51d0-2790-dee1ac994053';

-x $LOAD or die "no $LOAD, run \"make soak\" or \"make check\" first\n";

###############################################################################

my $t = S3Abort->new();
my $dir = $t->dir();
my $sanitized = ($ENV{TEST_NGINX_MODULE} // 'dynamic') eq '';

# Two storages: a fast one for the load, and an exact one, which checks all of
# each request, and fails where a key says so.  Neither takes credentials that
# have been retired.

my %pair = map { $_ => { secret => "CANARY/secret+of+$_" } } qw/ OLD NEW /;

my %FAULT = (
	500 => '500 InternalError',
	503 => '503 SlowDown',
	closes => { status => 204, send => 0, then => 'close' },
	resets => { status => 204, send => 0, then => 'rst' },
	short => { status => 404, code => 'NoSuchUpload', send => 200,
		then => 'close' },
	nonsense => "EHLO storage\r\n\r\n",
	late => { status => 204, delay => 8 },
);

my $storage = $t->storage('storage', keys => \%pair, access_key => 'OLD',
	answer => sub ($r) {
		my ($pair) = $r->{header}{authorization} =~ m!=(\w+)/!;
		return '403 InvalidAccessKeyId' if -e "$dir/retired.$pair";
		return $r->{target} =~ m!/fault-(\w+)! ? $FAULT{$1} : 204;
	});

my $globals = $t->globals() =~ s/processes 1/processes $WORKERS/r
	=~ s/daemon off/daemon on/r =~ s/error\.log\K debug/ notice/r;
my $temp = join ' ', $t->http() =~ /(\w+_temp_path [^;]+;)/g;

$t->write('fast.conf', ($globals =~ s/daemon on/daemon off/r
	=~ s/nginx\.pid/fast.pid/r =~ s/processes \d+/processes 1/r
	=~ s/error\.log/fast.log/r) . <<'EOF' =~ s/%%TEMP%%/$temp/r);

events { worker_connections 2048; }

http {
    %%TEMP%%
    keepalive_requests 1000000000;
    keepalive_timeout 1h;

    map "$request|$http_content_length|$http_connection" $abort {
        "~^DELETE /(?:media|toggled)/uploads/[^?]+\?uploadId=[0-9a-f-]+ HTTP/1\.1\|0\|keep-alive$" 1;
    }

    map "$http_x_amz_content_sha256|$http_x_amz_date|$http_authorization" $pair {
        "~^e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\|[0-9]{8}T[0-9]{6}Z\|AWS4-HMAC-SHA256 Credential=(?<p>OLD|NEW)/[0-9]{8}/kr-standard/s3/aws4_request, ?SignedHeaders=host;x-amz-content-sha256;x-amz-date, ?Signature=[0-9a-f]{64}$" $p;
    }

    map "$abort|$pair|$http_x_tenant$http_cookie|$http_user_agent" $imperfect {
        "~^1\|(?:OLD|NEW)\|\|[^|]+$" "";
        default 1;
    }

    log_format imperfect escape=json '$request $http_host $pair';

    server {
        listen 127.0.0.1:%%PORT_3%%;
        server_name plain.test;
        access_log off;
        location / { return 204; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;
        server_name storage.test;
        access_log %%TESTDIR%%/imperfect.log imperfect if=$imperfect;
        default_type application/xml;

        if ($imperfect) {
            return 400;
        }

        if (-f %%TESTDIR%%/retired.$pair) {
            return 403 "<Error><Code>InvalidAccessKeyId</Code></Error>";
        }

        location /media/uploads/acme/gone/ {
            return 404 "<Error><Code>NoSuchUpload</Code></Error>";
        }

        location / { return 204; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% default_server;
        access_log %%TESTDIR%%/imperfect.log imperfect;
        return 400;
    }
}
EOF

# The gateway's configuration.

sub configuration(%o) {
	my $allow = ($o{toggled} // '') eq 'allowed' ? 'allow bucket=toggled;'
		: '';

	return <<"EOF";

%%LOAD%%
$globals

events { worker_connections 2048; }

http {
    %%HTTP%%
    @{[$o{http} // '']}

    upstream fast { server 127.0.0.1:%%PORT_3%%; keepalive 32; }
    upstream fast_plain { server 127.0.0.1:%%PORT_3%%; keepalive 32; }
    upstream exact { server %%STORAGE%%; keepalive 2; keepalive_time 20s; }

    s3_abort_endpoint fast {
        url http://fast;
        host storage.test;
        region kr-standard;
        credentials %%TESTDIR%%/storage.credentials refresh=1s;
    }

    s3_abort_endpoint exact {
        url http://exact;
        host storage.test;
        region kr-standard;
        credentials %%TESTDIR%%/storage.credentials refresh=1s;
        read_timeout 5s;
    }

    s3_abort_policy tenants {
        allow bucket=media key=uploads/\$s3_abort_tenant/*;
        $allow
    }

    s3_abort_zone zone=counters:256k;
    s3_abort_log_level info;

    server {
        listen 127.0.0.1:%%PORT%% backlog=1024 default_server;
        server_name keys.test;
        access_log /dev/full audit;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys refresh=1s;
        location / { s3_abort_pass fast policy=tenants; }
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        server_name trusted.test;
        s3_abort_identity trusted \$http_x_tenant;
        location / { s3_abort_pass fast policy=tenants; }
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        server_name exact.test;
        access_log off;
        s3_abort_identity trusted \$http_x_tenant;
        location / { s3_abort_pass exact policy=tenants; }
    }

    # what stock nginx does with the same requests, in the same storm

    server {
        listen 127.0.0.1:%%PORT%%;
        server_name plain.test;
        access_log off;

        location / {
            proxy_pass http://fast_plain;
            proxy_http_version 1.1;
            proxy_set_header Host plain.test;
            proxy_set_header Connection "";
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        access_log off;
        location = /status { s3_abort_status json; }
    }
}
EOF
}

###############################################################################
#
# The requests

my %KEY = map { $_->[0] => { access_key => $_->[1],
	secret => $t->canary("CANARY/secret+of+$_->[1]") } }
	['acme', 'AKIACME'], ['globex1', 'AKIGLOBEX1'],
	['globex2', 'AKIGLOBEX2'];

sub trusted($target, %o) {
	return S3Abort::request_bytes($o{method} // 'DELETE', $target,
		Host => $o{host} // 'trusted.test',
		Connection => $o{connection}, 'X-Tenant' => 'acme',
		@{$o{headers} // []}) . ($o{body} // '');
}

sub signed($target, $who, %o) {
	my $presigned = delete $o{presigned};
	my %r = (target => $target, region => 'kr-standard', %{$KEY{$who}},
		headers => [['Host', 'keys.test']], %o);
	my $r = $presigned ? SigV4::presign(%r, expires => 604800)
		: SigV4::sign(%r);

	return S3Abort::request_bytes('DELETE', $r->{target},
		Connection => undef, 'X-Tenant' => undef,
		map { @$_ } @{$r->{headers}});
}

sub own($n, $where = 'acme') {
	return "/media/uploads/$where/film-$n.mov?uploadId=$ID";
}

sub exact($name) {
	return sub ($n) { trusted(own($n, "acme/$name"),
		host => 'exact.test') };
}

# Kind, weight, manner (see soak/load.c), answer, request number n.

my @KINDS = (
	['proxy_pass', 1500, 'kept', '204', sub ($n) {
		trusted(own($n), host => 'plain.test') }],
	['signed', 2000, 'kept', '204', sub ($n) { signed(own($n), 'acme') }],
	['presigned', 1500, 'kept', '204', sub ($n) {
		signed(own($n), 'acme', presigned => 1) }],
	['trusted', 2000, 'kept', '204', sub ($n) { trusted(own($n)) }],
	['trusted-once', 50, 'kept', '204', sub ($n) {
		trusted(own($n), connection => 'close') }],
	['trusted-slow', 10, 'slow', '204', sub ($n) { trusted(own($n)) }],
	['trusted-leaves', 50, 'leave', '204', sub ($n) { trusted(own($n)) }],
	['trusted-gone', 400, 'kept', '404:NoSuchUpload', sub ($n) {
		trusted(own($n, 'acme/gone')) }],
	['trusted-denied', 300, 'kept', '403:AccessDenied', sub ($n) {
		trusted(own($n, 'globex')) }],
	['denied', 300, 'kept', '403:AccessDenied', sub ($n) {
		signed(own($n, 'globex'), 'acme') }],
	['malformed', 600, 'kept', '400:InvalidArgument', sub ($n) {
		trusted($n % 2 ? own($n) =~ s/uploadId/uploadid/r
			: own($n) =~ s/=.*/=/r) }],
	['forged', 500, 'kept', '403:SignatureDoesNotMatch', sub ($n) {
		signed(own($n), 'acme', secret => 'CANARY/not/the/secret',
			presigned => $n % 2) }],
	['unknown', 400, 'kept', '403:InvalidAccessKeyId', sub ($n) {
		signed(own($n), 'acme', access_key => "AKIUNKNOWN$n") }],
	['unsigned', 100, 'kept', '403:AccessDenied', sub ($n) {
		trusted(own($n), host => 'keys.test') }],
	['body', 100, 'kept', '400:InvalidRequest', sub ($n) {
		trusted(own($n), headers => ['Content-Length', 3000],
			body => 'x' x 3000) }],
	['other', 100, 'kept', '501:NotImplemented', sub ($n) {
		trusted("/media/uploads/acme/film-$n.mov",
			method => $n % 2 ? 'GET' : 'DELETE') }],
	['rotated-1', 150, 'kept', '204', sub ($n) {
		signed(own($n, 'globex'), 'globex1') }],
	['rotated-2', 150, 'kept', '403:InvalidAccessKeyId', sub ($n) {
		signed(own($n, 'globex'), 'globex2') }],
	['toggled', 150, 'kept', '403:AccessDenied', sub ($n) {
		trusted(own($n) =~ s/media/toggled/r) }],
	['exact', 12, 'kept', '204', exact('some')],
	['exact-500', 3, 'kept', '500:InternalError', exact('fault-500')],
	['exact-503', 3, 'kept', '503:SlowDown', exact('fault-503')],
	['exact-closes', 2, 'kept', '502:ServiceUnavailable',
		exact('fault-closes')],
	['exact-resets', 2, 'kept', '502:ServiceUnavailable',
		exact('fault-resets')],
	['exact-short', 2, 'kept', '502:ServiceUnavailable',
		exact('fault-short')],
	['exact-nonsense', 2, 'kept', '502:ServiceUnavailable',
		exact('fault-nonsense')],
	['exact-late', 1, 'kept', '504:ServiceUnavailable',
		exact('fault-late')],
);

sub write_requests() {
	open my $fh, '>:raw', "$dir/requests" or die "requests: $!\n";

	for (@KINDS) {
		my ($kind, $weight, $manner, undef, $request) = @$_;

		for my $n (1 .. 8) {
			my $bytes = $request->($n);
			$t->seen($bytes);
			printf $fh "%s %d %s %d\n%s", $kind, $weight, $manner,
				length $bytes, $bytes;
		}
	}

	close $fh;
}

###############################################################################
#
# The load

my ($load, $load_pid, $answers, @said);
my (@lost, @wrong, @kills);

sub start_load() {
	write_requests();
	$load_pid = open2($answers, $load, $LOAD, $CONNECTIONS, $t->port(1),
		"$dir/requests");
	$load->autoflush(1);
	allow($_->[0], $_->[3]) for @KINDS;
	command('go');
}

sub command($command) {
	print $load "$command\n" or die "the load has ended\n";
}

sub allow($kind, @answers) {
	command("allow $kind @answers");
}

my $buffer = '';

sub listen_to_load($seconds) {
	IO::Select->new($answers)->can_read($seconds) or return;
	sysread $answers, $buffer, 65536, length $buffer
		or die "the load has ended\n";

	while ($buffer =~ s/^(.*)\n//) {
		my $line = $1;
		$line =~ /^lost (\S+) (.*)/ ? push @lost, [$1, $2]
			: $line =~ /^wrong (.*)/ ? push @wrong, time() . " $1"
			: push @said, $line;
	}
}

sub hear($want) {
	until_true("the load says \"$want\"", sub {
		grep { $_ eq $want } @said }, 40) or die "it does not\n";
	return splice @said;
}

sub pause_load() {
	command('pause');
	hear('paused');
}

# Numbers by kind, and by answer or what else became of it.

sub report() {
	my %r;

	command('report');
	/^(\S+) (\S+) (\d+)$/ and $r{$1}{$2} = $3 for hear('end');
	return \%r;
}

###############################################################################
#
# What else happens: tasks that come again and again while there is a storm,
# also while another one waits.  One that cannot be done at the moment returns
# false, and comes again soon.

my ($master, $upgrading, $storm, $bad, $applying) = (0) x 5;
my (@tasks, @later);
my %done = map { $_ => 0 } qw/ reloads refused upgrades rollbacks kills keys
	credentials policies broken reopened /;

sub every($seconds, $do) {
	push @tasks, { every => $seconds, do => $do, at => 0 };
}

sub later($seconds, $do) {
	push @later, { at => time() + $seconds, do => $do };
}

sub tick() {
	listen_to_load(0.02);

	while (my ($due) = grep { $_->{at} < time() } @later) {
		@later = grep { $_ != $due } @later;
		$due->{do}->();
	}

	for my $task (grep { $storm && $_->{at} < time() } @tasks) {
		next if $task->{running};
		local $task->{running} = 1;
		my $done = !$task->{at} || $task->{do}->();
		$task->{at} = time() + ($done ? $task->{every} * (0.5 + rand)
			: 0.2);
	}
}

sub ticks($seconds) {
	my $end = time() + $seconds;
	tick() while time() < $end;
}

sub until_true($what, $sub, $seconds = 60) {
	my $end = time() + $seconds;

	until ($sub->()) {
		return fail("in time: $what") if time() > $end;
		tick();
	}

	return 1;
}

sub alive($pid) {
	my ($state) = $t->read("/proc/$pid/stat") =~ /\) (\S)/;
	return defined $state && $state ne 'Z';
}

sub pid_file($suffix = '') {
	return ($t->read("nginx.pid$suffix") =~ /^(\d+)/)[0] // 0;
}

# A new master is a child, too, and has no pid file at first.

sub workers($pid) {
	return grep { alive($_)
		&& $t->read("/proc/$_/cmdline") =~ /^nginx: worker process/ }
		split ' ', $t->read("/proc/$pid/task/$pid/children");
}

sub settled() {
	return until_true('no stale worker is left', sub {
		$WORKERS == (() = workers($master)) });
}

# error.log from a position on

sub position() {
	return -s "$dir/error.log" // 0;
}

sub log_from($position) {
	open my $fh, '<:raw', "$dir/error.log" or return '';
	seek $fh, $position, 0;
	local $/;
	return <$fh> // '';
}

sub reload() {
	return if $upgrading;
	kill 'HUP', $master;
	return ++$done{reloads};
}

# Workers of reloads that began later: the master may be in the middle of one.

sub started_since($position) {
	my ($log) = log_from($position) =~ /#\d+: reconfiguring\n(.*)/s;
	return ($log // '') =~ /start worker process (\d+)\n/g;
}

# A policy is in force once no worker from before is left.

my $toggled = 'denied';

sub change_policy() {
	return if $upgrading || $applying || $bad;

	my @answers = ('204', '403:AccessDenied');

	$applying = 1;
	allow('toggled', @answers);
	$toggled = $toggled eq 'denied' ? 'allowed' : 'denied';
	$t->write('nginx.conf', configuration(toggled => $toggled));

	my $from = position();
	reload();

	until_true('a reload', sub {
		$WORKERS <= (() = started_since($from)) });
	$applying = 0;

	until_true('workers from before end', sub {
		my %new = map { $_ => 1 } started_since($from);
		!grep { !$new{$_} } workers($master) });

	allow('toggled', $answers[$toggled eq 'denied']);
	return ++$done{policies};
}

sub bad_reload() {
	return if $upgrading || $applying;

	my $from = position();

	$applying = 1;
	$t->write('nginx.conf', configuration(http => 'nonsense;'));
	kill 'HUP', $master;
	until_true('a bad configuration is refused', sub {
		log_from($from) =~ /\[emerg\].*"nonsense"/ });
	$t->write('nginx.conf', configuration(toggled => $toggled));
	$applying = 0;
	return ++$done{refused};
}

sub kill_worker() {
	return if $applying;

	my @workers = workers($master) or return;

	# until when its connections may be found lost, also on a machine that stalls

	my $kill = { from => time() - 0.01 };
	push @kills, $kill;
	kill 'KILL', $workers[rand @workers];
	later(1, sub { $kill->{to} = time() });
	return ++$done{kills};
}

# Keys change with overlap: 1, both, 2, both.

my @valid = ([1], [1, 2], [2], [1, 2]);
my $keys_change = 0;

sub write_tenants($more = '') {
	$t->write('tenants.keys', join('', map { my $key = $KEY{$_};
		(/^([a-z]+)/)[0] . " $key->{access_key} $key->{secret}\n" }
		'acme', map { "globex$_" } @{$valid[0]}) . $more, 0640);
}

sub rotate_keys() {
	return if $bad || $keys_change;

	push @valid, shift @valid;
	$keys_change = 1;
	allow("rotated-$_", '204', '403:InvalidAccessKeyId') for 1, 2;
	write_tenants();

	later($IN_FORCE, sub {
		my %valid = map { $_ => 1 } @{$valid[0]};
		allow("rotated-$_", $valid{$_} ? '204'
			: '403:InvalidAccessKeyId') for 1, 2;
		$keys_change = 0;
	});

	return ++$done{keys};
}

my $credentials_change = 0;

sub rotate_credentials() {
	return if $bad || $credentials_change;

	my $old = $storage->{access_key};
	my $new = $storage->{access_key} = $old eq 'OLD' ? 'NEW' : 'OLD';

	$credentials_change = 1;
	unlink "$dir/retired.$new";
	$t->write('storage.credentials', $storage->credentials(), 0640);

	later($IN_FORCE, sub {
		$t->write("retired.$old", '');
		$credentials_change = 0;
	});

	return ++$done{credentials};
}

# Files that are no good, for a while: what was read before stays.

sub break_files() {
	return if $bad || $upgrading;

	$bad = 1;
	until_true('changes of files are over', sub {
		!$keys_change && !$credentials_change });
	write_tenants("globex AKIBROKEN\n");
	$t->write('storage.credentials', "[default]\nbroken\n", 0640);
	ticks(2);
	write_tenants();
	$t->write('storage.credentials', $storage->credentials(), 0640);
	ticks(2);
	$bad = 0;
	return ++$done{broken};
}

# access.log is reopened.  Workers are done with the old one a while later.

my ($lines, $torn, $leaked, $logs) = (0) x 4;

sub reopen() {
	return if $upgrading;

	my $name = 'access.log.' . ++$logs;
	link "$dir/access.log", "$dir/$name" or die "$name: $!\n";
	$t->write('access.log', '', 0660);
	kill 'USR1', $master;
	later(4, sub { read_log($name) });
	return ++$done{reopened};
}

my $FIELD = qr/"\w+":"(?:[^"\\[:cntrl:]]|\\.)*"/;

sub read_log($name) {
	open my $fh, '<:raw', "$dir/$name" or return;

	while (<$fh>) {
		$lines++;
		$torn++, diag("torn: $_")
			unless /^\{$FIELD(?:,$FIELD){20}\}\n\z/;
		$leaked++ if /CANARY|Signature=[0-9a-f]/;
	}

	close $fh;
	unlink "$dir/$name";
}

# Another binary takes over, for good or for a while.

sub upgrade($for_good) {
	my $old = $master;
	my $new;

	$upgrading = 1;
	until_true('files are good', sub { !$bad });

	my $from = position();
	kill 'USR2', $old;
	until_true('a new master', sub {
		$new = pid_file();
		$new && $new != $old && $WORKERS == (() = workers($new)) })
		or die "no upgrade:\n", grep { /\[(?:alert|crit|emerg)\]|binary
			|signal|process/x } log_from($from) =~ /^.*\n/gm;
	ticks(0.5);

	kill 'WINCH', $old;
	$master = $new;
	until_true('the old workers end', sub { !workers($old) });
	ticks(0.5);

	if ($for_good) {
		kill 'QUIT', $old;
		until_true('the old master ends', sub { !alive($old) });
		$done{upgrades}++;

	} else {
		kill 'HUP', $old;
		until_true('the old master has workers again', sub {
			$WORKERS <= (() = workers($old)) });
		$master = $old;
		kill 'QUIT', $new;
		until_true('the new master ends', sub { !alive($new) });
		until_true('the old master is back', sub {
			pid_file() == $old });
		$done{rollbacks}++;
	}

	$upgrading = 0;
}

###############################################################################
#
# What is measured

sub memory($pid) {
	return ($t->read("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m)[0] // 0;
}

my @memory;

# The master, and the largest of workers that have done a little.

sub measure() {
	settled();
	reload();
	ticks(0.3);
	settled();
	ticks(1);

	push @memory, { master => memory($master),
		worker => max(map { memory($_) } workers($master)) };
}

# Decisions, as the gateway counts them, and as the load had them; lost and
# the like are those of which it cannot know.

sub counted() {
	my $r = $t->request(S3Abort::request_bytes('GET', '/status'),
		port => 2);
	return decode_json($r->{body})->{decisions};
}

sub decision($kind, $answer) {
	return $kind eq 'unsigned' ? 'UNAUTHENTICATED'
		: $answer eq '403:AccessDenied' ? 'DENIED'
		: $answer =~ /^403/ ? 'UNAUTHENTICATED'
		: $answer =~ /^400/ ? 'INVALID'
		: $answer =~ /^501/ ? 'NONE' : 'ALLOWED';
}

sub answered() {
	my $report = report();
	my %n = (lost => 0);

	for my $kind (grep { $_ ne 'proxy_pass' } keys %$report) {
		my $k = $report->{$kind};

		$n{decision($kind, $_)} += $k->{$_}
			for grep { /^\d/ } keys %$k;
		$n{lost} += sum0 @$k{qw/ lost left stale /};
	}

	return \%n;
}

my @miscounted;

# Between two moments without a request under way; a worker that is killed may
# not get to count.

sub compare_counts($before, $after) {
	my $more = 0;
	my $kills = $after->{kills} - $before->{kills};

	for my $decision (qw/ ALLOWED DENIED UNAUTHENTICATED INVALID /) {
		my ($counted, $answered) = map { my $what = $_;
			$after->{$what}{$decision}
			- ($before->{$what}{$decision} // 0) }
			qw/ counted answered /;

		push @miscounted, "$decision $counted, $answered answered"
			if $counted < $answered - $kills;
		$more += $counted - $answered;
	}

	my $lost = $after->{answered}{lost} - $before->{answered}{lost};
	push @miscounted, "$more more than answered, $lost lost"
		if $more > $lost;
}

sub numbers() {
	settled();
	pause_load();
	my %n = (counted => counted(), answered => answered(),
		kills => scalar @kills);
	command('go');
	return \%n;
}

###############################################################################

sub spawn($name, $conf) {
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		setpgrp(0, 0);
		$t->exec_nginx("$name.log", 'nginx.stderr', '-c',
			"$dir/$conf");
	}

	setpgrp($pid, $pid);
	$t->tell_janitor("start $pid");
	return $pid;
}

$t->expect_log(qr/worker process \d+ exited on signal 9/);
$t->expect_log(qr/\[emerg\].*"nonsense"/);
$t->allow_log(qr!write\(\) to "/dev/full" .*failed!);
$t->allow_log(qr/\[(?:alert|emerg)\].*(?:tenants\.keys|storage\.credentials)/);

# A worker that starts while the master is about to reopen logs may do so before
# it, and before the master has given it the files.

$t->write($_, '', 0660) for qw/ access.log error.log /;

write_tenants();
$t->write('nginx.conf', configuration());

my $fast = spawn('fast', 'fast.conf');
waitpid spawn('error', 'nginx.conf'), 0;
$t->wait_for(sub { pid_file() && -s "$dir/fast.pid" })
	or die "nginx does not start:\n" . $t->read('nginx.stderr');
$master = pid_file();
$t->tell_janitor("start $master");

every(0.8, \&reload);
every(5, \&bad_reload);
every(4, \&kill_worker);
every(3, \&change_policy);
every(2, \&rotate_keys);
every(2, \&rotate_credentials);
every(8, \&break_files);
every(3, \&reopen);

# signatures live for 15 minutes

every(300, sub { write_requests(); command("requests $dir/requests") });

my $start = time();
my $cycles = int($SECONDS / $CYCLE) || 1;
start_load();
settled();

for my $n (1 .. $cycles) {
	$storm = 1;
	upgrade($n <= $cycles / 2);
	upgrade(0) if $n == 1;

	# from now on one master counts, and in the second half stays

	$storm = 0;
	measure() if $n > $cycles / 2;
	my $before = numbers();

	$storm = 1;
	ticks(max(3, $start + $n * $SECONDS / $cycles - time() - 6));
	until_true('files are good', sub { !$bad });
	$storm = 0;

	measure() if $n > $cycles / 2;
	compare_counts($before, numbers());
}

pause_load();
my $seconds = time() - $start;
my $report = report();

until_true('changes are over', sub { !@later });
settled();
close $load;
waitpid $load_pid, 0;

kill 'QUIT', $master;
$t->wait_for(sub { !alive($master) }, 'nginx ends');
kill 'QUIT', $fast;
waitpid $fast, 0;
read_log($_) for map { s!.*/!!r } glob "$dir/access.log*";

###############################################################################

my @kinds = map { $_->[0] } @KINDS;
my @logged = grep { /^trusted|^malformed|^body|^other|^toggled/ } @kinds;

sub count($what, @of) {
	return sum0 map { $report->{$_}{$what} // 0 } @of;
}

sub number($n) {
	$n = sprintf '%.0f', $n;
	1 while $n =~ s/(\d)(\d{3})\b/$1,$2/;
	return $n;
}

note(sprintf '%s requests in %d s: %s a second, over %d connections',
	number(count('sent', @kinds)), $seconds,
	number(count('sent', @kinds) / $seconds), $CONNECTIONS);
note(sprintf '%-15s %11s %7s %6s  %s', 'kind', 'sent', 'stale', 'lost',
	'answers');

for my $kind (@kinds) {
	my $k = $report->{$kind};

	note(sprintf '%-15s %11s %7d %6d  %s', $kind, number($k->{sent}),
		$k->{stale}, $k->{lost}, join ', ', map { "$_ "
		. number($k->{$_}) } sort grep { /^\d/ } keys %$k);
}

note(join ', ', map { "$_ $done{$_}" } sort keys %done);
note(sprintf 'requests checked to the last byte %s, lines of access.log %s',
	number(scalar grep { $_->{event} eq 'request' }
	$storage->all_events()), number($lines));
note('memory, KB: ' . join ', ', map { my $who = $_;
	"$who " . join ' ', map { $_->{$who} } @memory }
	qw/ master worker /);

is(join("\n", @wrong), '', 'I-15 no wrong decision, no wrong answer');
is(count('wrong', @kinds), 0, 'I-15 not one');

my @unexplained = grep { my ($at) = @$_; !grep { $at > $_->{from}
	&& $at < $_->{to} } @kills } @lost;
is(join("\n", map { "@$_" } @unexplained), '',
	'I-15 no request is lost but by the death of a worker');

cmp_ok(@lost, '<=', $CONNECTIONS * @kills, 'I-15 of those that it had');

for my $what (qw/ lost stale /) {
	my @alike = qw/ signed presigned trusted /;
	my $expected = count($what, 'proxy_pass') * count('sent', @alike)
		/ count('sent', 'proxy_pass');

	cmp_ok(count($what, @alike), '<=', 1.5 * $expected
		+ 5 * sqrt($expected) + 20, sprintf "I-15 $what: as with"
		. ' proxy_pass, which would be %.0f', $expected);
}

is(join("\n", @miscounted), '', 'I-15 counters add up');
is($t->read('imperfect.log'), '',
	'I-15 the fast storage saw nothing but aborts');

my $unsure = count('lost', @logged) + count('stale', @logged)
	+ count('left', @logged) + $done{kills};
cmp_ok(abs($lines - count('sent', @logged)), '<=', $unsure,
	"I-15 access.log has a line for each request, but for $unsure");
is($torn, 0, 'I-15 no line of access.log is torn');
is($leaked, 0, 'I-15 none has a secret or a signature');

cmp_ok($done{$_}, '>', 0, "I-15 there were $_") for grep { $_ ne 'upgrades'
	|| $cycles > 1 } sort keys %done;
cmp_ok(count('sent', $_), '>', 0, "I-15 there were requests: $_") for @kinds;

SKIP: {
	skip 'a sanitizer keeps what is freed', 2 if $sanitized;

	my $third = int(@memory / 3) || 1;

	for my $who (qw/ master worker /) {
		my ($first, $last) = map { sum0(map { $_->{$who} } @$_) / @$_ }
			[@memory[0 .. $third - 1]], [@memory[-$third .. -1]];

		cmp_ok($last - $first, '<', 1024, sprintf 'I-15 memory of a %s, KB:'
			. ' %d, then %d', $who, $first, $last);
	}
}

$t->done();
