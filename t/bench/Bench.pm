package Bench;

# What the benchmarks share: a directory of their own, a storage and a gateway
# (storage.conf, gateway.conf), requests, and the load generator (load.c).
# Nothing is left behind.
#
# Environment: NGINX (/usr/sbin/nginx), MODULE, MODULES (where nginx's other
# dynamic modules are, /usr/lib/nginx/modules), KEEP (keep the directory).

###############################################################################

use v5.36;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use File::Path qw/ remove_tree /;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw/ time sleep /;

use lib dirname(abs_path(__FILE__)) . '/../lib';
use SigV4;

my $HERE = dirname(abs_path(__FILE__));
my $TOP = abs_path("$HERE/../..");

my $ID = '0000015a-df89-51d0-2790-dee1ac994053';
my @objects;

###############################################################################

sub new($class, %o) {
	my $self = bless {
		pid => $$,
		nginx => $ENV{NGINX} // '/usr/sbin/nginx',
		module => $ENV{MODULE} // "$TOP/build/ngx_http_s3_abort_module.so",
		modules => $ENV{MODULES} // '/usr/lib/nginx/modules',
		dir => tempdir('s3-abort-bench-XXXXXXXX', TMPDIR => 1),
		ports => {}, locks => [], running => [], blocks => {}, %o
	}, $class;

	push @objects, $self;
	$SIG{$_} = sub { exit 1 } for qw/ INT TERM HUP /;

	-f $self->{module}
		or die "no module \"$self->{module}\", run \"make\" first\n";

	# a copy: it may be built anew while it is measured
	$self->write('module.so', $self->read(abs_path($self->{module})));
	$self->{load} = $self->compile('load');

	$self->{blocks} = {
		LOAD => "load_module $self->{dir}/module.so;",
		LOG => $o{log} // 'warn',
		PROCESSES => 'worker_processes 1;',
		ABORTS => $self->read("$HERE/aborts.conf"),
		MORE => '',
		%{$self->{blocks}}
	};

	$self->write('storage.credentials', <<~'END', 0600);
		[default]
		aws_access_key_id = STORAGEKEY
		aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
		END
	$self->write('tenants.keys', <<~'END', 0600);
		alice ALICEKEYEXAMPLE00001 alice-secret-0123456789abcdefghijklmnopq
		bob BOBKEYEXAMPLE000000001 bob-secret-0123456789abcdefghijklmnopqrs
		END

	system('openssl req -x509 -newkey ec -pkeyopt'
		. ' ec_paramgen_curve:prime256v1 -nodes -days 2 -subj'
		. ' /CN=storage.test -addext subjectAltName=DNS:storage.test'
		. " -keyout $self->{dir}/storage.key -out $self->{dir}/storage.crt"
		. " 2> $self->{dir}/openssl.log") == 0
		or die "openssl: " . $self->read('openssl.log');

	return $self;
}

# Builds t/bench/NAME.c.  Returns the program's path.

sub compile($self, $name, @arguments) {
	my $program = "$TOP/build/bench/$name";
	my $source = "$HERE/$name.c";

	mkdir "$TOP/build";
	mkdir "$TOP/build/bench";

	system($ENV{CC} // 'cc', '-O2', '-Wall', '-Wextra', '-o', $program,
		$source, @arguments) == 0
		or die "$name.c cannot be built\n";

	return $program;
}

###############################################################################
#
# Files

sub write($self, $name, $text, $mode = 0644) {
	my $path = "$self->{dir}/$name";

	open my $fh, '>', $path or die "$path: $!\n";
	binmode $fh;
	chmod $mode, $path;
	print $fh $text;
	close $fh or die "$path: $!\n";

	return $path;
}

sub read($self, $name) {
	open my $fh, '<', $name =~ m!^/! ? $name : "$self->{dir}/$name"
		or return '';
	binmode $fh;
	local $/;
	return <$fh> // '';
}

# A bound UDP socket keeps others away.

sub port($self, $name) {
	return $self->{ports}{$name} if $self->{ports}{$name};

	for (1 .. 1000) {
		my $port = 10240 + int rand 22000;
		my $lock = IO::Socket::INET->new(Proto => 'udp',
			LocalAddr => "127.0.0.1:$port") or next;
		IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
			LocalAddr => "127.0.0.1:$port") or next;
		push @{$self->{locks}}, $lock;
		return $self->{ports}{$name} = $port;
	}

	die "no free port\n";
}

# %%NAME%% is a block that was given, %%PORT_name%% a port, %%DIR%% ours.

sub expand($self, $text) {
	1 while $text =~ s/%%(\w+)%%/$self->{blocks}{$1} \/\/ "\0$1\0"/ge;

	$text =~ s/\0(\w+)\0/%%$1%%/g;
	$text =~ s/%%DIR%%/$self->{dir}/g;
	$text =~ s/%%HERE%%/$HERE/g;
	$text =~ s/%%PORT_(\w+?)%%/$self->port($1)/ge;

	# workers are who we are, so that they may read the files above
	$text = "user root root;\n$text" if $> == 0;

	return $text;
}

###############################################################################
#
# Processes

# Starts nginx with t/bench/NAME.conf, or the configuration given, under the
# command given (taskset, valgrind).  Returns the process that serves.

sub start($self, $name, %o) {
	my $conf = $self->write("$name.conf",
		$self->expand($o{conf} // $self->read("$HERE/$name.conf")));
	my $pid_file = "$self->{dir}/$name.pid";

	unlink $pid_file;

	my $pid = $self->spawn("$name.output", @{$o{under} // []},
		$self->{nginx}, '-p', "$self->{dir}/", '-c', $conf,
		'-e', "$self->{dir}/$name.log");

	my $end = time() + ($o{wait} // 60);

	until (-s $pid_file && $self->serving($pid, $o{single})) {
		waitpid($pid, POSIX::WNOHANG) == 0 && time() < $end
			or die "nginx does not start:\n"
			. $self->read("$name.output") . $self->read("$name.log");
		sleep 0.02;
	}

	return $self->serving($pid, $o{single});
}

sub spawn($self, $output, @command) {
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$self->{dir}/$output";
		open STDERR, '>&', \*STDOUT;

		# even if we are killed, it does not stay
		exec 'setpriv', '--pdeathsig', 'TERM', @command
			or POSIX::_exit(127);
	}

	push @{$self->{running}}, $pid;
	return $pid;
}

# The worker of a master, or the process itself.

sub serving($self, $pid, $single) {
	return $pid if $single;
	return ($self->read("/proc/$pid/task/$pid/children") =~ /(\d+)/)[0];
}

sub stop($self) {
	for my $pid (reverse splice @{$self->{running}}) {
		kill 'TERM', $pid;

		my $end = time() + 10;
		sleep 0.01 while waitpid($pid, POSIX::WNOHANG) == 0
			&& time() < $end;
		kill 'KILL', $pid if kill 0, $pid;
	}
}

# Nanoseconds of CPU time, user and system, of a process.

sub cpu($self, $pid) {
	return ($self->read("/proc/$pid/schedstat") =~ /^(\d+) /)[0]
		// die "no /proc/$pid/schedstat\n";
}

###############################################################################
#
# Requests

# Requests by name: bytes, and the answer expected of a gateway.

sub requests($self) {
	my $path = '/media/uploads/alice/film.mov';
	my $target = "$path?uploadId=$ID";
	my @more = (
		['X-Tenant', 'alice']);

	my $signed = sdk_request($target, 'alice',
		'ALICEKEYEXAMPLE00001', 'alice-secret-0123456789abcdefghijklmnopq');

	return (
		trusted => [bytes($target, @more), 204],
		sigv4 => [$signed, 204],
		malformed => [bytes("$path?uploadId=", @more),
			'400:InvalidArgument'],
		denied => [bytes($target =~ s/alice/bob/r, @more),
			'403:AccessDenied'],
		bad_signature => [$signed =~ s/(Signature=.{63})(.)/
			$1 . ($2 eq '0' ? '1' : '0')/er,
			'403:SignatureDoesNotMatch'],
	);
}

# As boto3 sends it.

sub sdk_request($target, $tenant, $access_key, $secret) {
	my $r = SigV4::sign(target => $target, region => 'kr-standard',
		access_key => $access_key, secret => $secret,
		headers => [['Host', 's3.example.com']]);

	return bytes($target, ['Accept-Encoding', 'identity'],
		['User-Agent', 'Boto3/1.26.27 Python/3.11.2 Linux/6.1.0 '
			. 'Botocore/1.29.27'],
		(grep { $_->[0] ne 'Host' } @{$r->{headers}}),
		['amz-sdk-invocation-id', '9a5c0f1e-1c0b-4a5f-8c80-4f6a3f4e7d11'],
		['amz-sdk-request', 'attempt=1'], ['Content-Length', 0]);
}

sub bytes($target, @headers) {
	return join "\r\n", "DELETE $target HTTP/1.1", 'Host: s3.example.com',
		(map { "$_->[0]: $_->[1]" } @headers), '', '';
}

# Sends requests, which are bytes or the name of a file of ours; dies on a
# wrong answer.  Options: n, connections, rate, under.  Returns seconds and
# latencies.

sub load($self, $port, $request, $answer, %o) {
	my $file = $request =~ /\n/ ? $self->write('request', $request)
		: "$self->{dir}/$request";
	my @command = (@{$o{under} // []}, $self->{load},
		'-n', $o{n}, '-c', $o{connections} // 1,
		$o{rate} ? ('-r', $o{rate}) : (),
		$self->port($port), $answer, $file);

	open my $out, '-|', @command or die "load: $!\n";
	my $line = <$out> // '';
	close $out or die "a wrong answer of \"$port\"\n", map {
		substr $self->read("$_.log"), -2000 } qw/ gateway storage /;

	my %r;
	@r{qw/ seconds p50 p99 max /} = split ' ', $line;
	return \%r;
}

###############################################################################

sub median(@n) {
	@n = sort { $a <=> $b } @n;
	return ($n[$#n / 2] + $n[@n / 2]) / 2;
}

sub commas($n) {
	$n = sprintf '%.0f', $n;
	1 while $n =~ s/(\d)(\d{3})\b/$1,$2/;
	return $n;
}

END {
	local $?;

	for my $b (grep { $_->{pid} == $$ } @objects) {
		$b->stop();
		$ENV{KEEP} ? print STDERR "kept $b->{dir}\n"
			: remove_tree($b->{dir});
	}
}

1;
