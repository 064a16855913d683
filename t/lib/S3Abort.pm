package S3Abort;

# The test library: nginx with this module in a directory of its own, fake
# storages (Storage.pm), and a client that takes raw bytes and parses answers
# strictly (S3Abort/Client.pm).  One behaviour of the module is a short file:
#
#     use S3Abort;
#     use Test::More;
#
#     my $t = S3Abort->new();
#     my $storage = $t->storage();
#
#     $t->run(<<'EOF');
#
#     %%LOAD%%
#     %%GLOBALS%%
#
#     events { }
#
#     http {
#         %%HTTP%%
#         %%ENDPOINT%%
#
#         s3_abort_policy all { allow; }
#
#         server {
#             listen 127.0.0.1:%%PORT%%;
#             s3_abort_identity trusted $http_x_tenant;
#             location / { s3_abort_pass storage policy=all; }
#         }
#     }
#
#     EOF
#
#     is($t->abort('/media/key?uploadId=A')->{status}, 204, 'an abort');
#
#     $t->done();
#
# In a configuration, and in write():
#
#     %%LOAD%%               load_module, or nothing for a static build
#     %%GLOBALS%%            user, pid, error_log (debug), one worker
#     %%HTTP%%               access_log with all our variables, root, temporary
#                            paths
#     %%PORT%%, %%PORT_n%%   free ports
#     %%STORAGE%%, %%STORAGE_name%%      127.0.0.1:port of a storage
#     %%ENDPOINT%%, %%ENDPOINT_name%%    an s3_abort_endpoint for it
#     %%TESTDIR%%
#
# done() stops everything and asserts, besides what the test did: the wire
# invariant of every request that a storage saw; no back-end ("decoy") saw an
# abort; well-formed answers; no unannounced alert in error.log; no report of a
# sanitizer or of Valgrind; no secret and no signature in logs and answers; a
# clean exit.
#
# Environment: TEST_NGINX_BINARY, TEST_NGINX_MODULE (empty: static build),
# TEST_NGINX_GLOBALS, TEST_NGINX_PRELOAD (LD_PRELOAD of nginx alone),
# TEST_NGINX_TIMEOUT (seconds a file may take), TEST_NGINX_CATLOG (error.log on
# failure), TEST_NGINX_LEAVE (keep the directory).

###############################################################################

use v5.36;

use File::Copy qw/ copy /;
use File::Path qw/ remove_tree /;
use File::Temp qw/ tempdir /;
use IO::Handle;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw/ encode_base64 /;
use POSIX qw/ WNOHANG /;
use Test::More;
use Time::HiRes qw/ time sleep /;

use S3Abort::Client;
use SigV4;
use Storage;

my $TIMEOUT = $ENV{TEST_NGINX_TIMEOUT} // 300;
my @objects;

###############################################################################

# Options: stock => 1 for tests without the module; headers => { name => 1 }
# that answers may have besides the module's own; sessions => 1 where nginx
# keeps TLS sessions of upstream servers, which it never frees (a sanitizer has
# to look at whole stacks to know them).

sub new($class, %o) {
	my $self = bless {
		pid => $$,
		nginx => $ENV{TEST_NGINX_BINARY} // '/usr/sbin/nginx',
		module => $ENV{TEST_NGINX_MODULE}
			// 'build/ngx_http_s3_abort_module.so',
		dir => tempdir('s3-abort-XXXXXXXX', TMPDIR => 1),
		storages => {}, ports => {}, locks => [], secrets => {},
		signatures => {}, expected => [], allowed => [], problems => [], headers => {},
		answers => '',
		%o
	}, $class;

	chmod 0755, $self->{dir};
	$self->start_janitor();
	push @objects, $self;

	-x $self->{nginx} or die "no nginx binary \"$self->{nginx}\"\n";
	$self->{version} = qx/$self->{nginx} -V 2>&1/;

	$SIG{ALRM} = sub {
		print STDERR "# not done after $TIMEOUT seconds\n";
		exit 1;
	};
	$SIG{$_} //= sub { exit 1 } for qw/ INT TERM HUP /;
	$SIG{PIPE} = 'IGNORE';
	alarm $TIMEOUT;

	mkdir "$self->{dir}/$_" for qw/ html sanitizer /;
	chmod 0777, "$self->{dir}/sanitizer";

	# connections of a worker that ends without a timer have no pointer left

	$self->write('sanitizer/leaks', join '', map { "leak:^$_\$\n" }
		'ngx_http_regex_compile', 'ngx_ssl_handshake', 'ngx_ssl_recv',
		'ngx_event_process_init');
	$self->write('html/index.html', "index\n");

	return $self;
}

# What "make test" installs is no reason to skip a test: that it is absent is a
# failure.

sub need($what, $there) {
	die "no $what: tools/install test installs it\n" unless $there;
}

# Whether nginx was built --with-$feature, "http_v2" say.

sub has($self, $feature) {
	return $self->{version} =~ /--with-\Q$feature\E(?:_module)?(?:\s|\z)/;
}

sub has_version($self, $need) {
	my ($have) = $self->{version} =~ m!nginx/([\d.]+)!;
	my ($h, $n) = map { sprintf '%03d%03d%03d', split /\./ } $have, $need;
	return $h >= $n;
}

###############################################################################
#
# Files

# Modes with a bit for the group give the file to the workers' group.

sub write($self, $name, $text, $mode = 0644) {
	my $path = "$self->{dir}/$name";

	my $field = qr/(?:secret_(?:access_)?key|session_token)[ \t]*=[ \t]*/;
	$self->canary($_) for grep { length > 7 } $text =~ /$field(\S+)/g;

	open my $fh, '>', "$path.new" or die "$path: $!\n";
	binmode $fh;
	print $fh $self->expand($text);
	close $fh;

	my (undef, $gid) = $self->worker();
	chown -1, $gid, "$path.new" if defined $gid && $mode & 0070;
	chmod $mode, "$path.new";
	rename "$path.new", $path or die "$path: $!\n";

	return $path;
}

# Tenant keys, "tenant access_key secret" lines, whose secrets must never be
# seen again.

sub write_keys($self, $name, $text, $mode = 0640) {
	$self->canary($_) for $text =~ /^[^#\s]\S*[ \t]+\S+[ \t]+(\S+)/gm;
	return $self->write($name, $text, $mode);
}

sub read($self, $name) {
	open my $fh, '<', $name =~ m!^/! ? $name : "$self->{dir}/$name"
		or return '';
	binmode $fh;
	local $/;
	return <$fh> // '';
}

sub dir($self) {
	return $self->{dir};
}

# A string that must be in no log and in no answer, nor may what is easily made
# of it.

sub canary($self, $string) {
	$self->{secrets}{$_} = 1 for $string, unpack('H*', $string),
		SigV4::uri_encode($string);

	# in Base64, wherever it stands; without what depends on its neighbours

	if (length $string > 11) {
		for (0 .. 2) {
			my $text = encode_base64("\0" x $_ . $string, '');
			$self->{secrets}{substr $text, 4, -4} = 1;
		}
	}

	return $string;
}

sub port($self, $n = 1) {
	return $self->{ports}{$n} //= $self->free_port();
}

# Below the ephemeral ports; a bound UDP socket keeps other tests away.

sub free_port($self) {
	for (1 .. 1000) {
		my $port = 10240 + int rand 22000;
		my $lock = IO::Socket::INET->new(Proto => 'udp',
			LocalAddr => "127.0.0.1:$port") or next;
		IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
			LocalAddr => "127.0.0.1:$port") or next;
		push @{$self->{locks}}, $lock;
		return $port;
	}

	die "no free port\n";
}

sub expand($self, $text) {
	my $storage = sub ($name) { $self->{storages}{$name // 'storage'}
		// die "no storage \"$name\"\n" };

	$text =~ s/%%LOAD%%/$self->load()/ge;
	$text =~ s/%%GLOBALS%%/$self->globals()/ge;
	$text =~ s/%%HTTP%%/$self->http()/ge;
	$text =~ s/%%ENDPOINT(?:_(\w+?))?%%/endpoint($storage->($1))/ge;
	$text =~ s/%%STORAGE(?:_(\w+?))?%%/$storage->($1)->address()/ge;
	$text =~ s/%%PORT(?:_(\d+))?%%/$self->port($1 || 1)/ge;
	$text =~ s/%%TESTDIR%%/$self->{dir}/g;

	return $text;
}

sub load($self) {
	return '' if $self->{module} eq '' || $self->{stock};
	-f $self->{module}
		or die "no module \"$self->{module}\", run \"make\" first\n";

	# a copy: one that is built anew meanwhile does not pull the rug

	my $copy = "$self->{dir}/module.so";
	-f $copy or copy($self->{module}, $copy) or die "$copy: $!\n";

	return "load_module $copy;";
}

# The user, group id and group of workers, where they are not the tests' own.

sub worker($self) {
	return if $>;
	my ($group) = grep { defined getgrnam $_ } qw/ nogroup nobody /;
	return ('nobody', scalar getgrnam($group), $group);
}

# On one line, so that lines of the test's configuration keep their numbers.

sub globals($self) {
	my ($user, undef, $group) = $self->worker();

	return join ' ', $user ? "user $user $group;" : (),
		'daemon off;', 'worker_processes 1;',
		"pid $self->{dir}/nginx.pid;",
		"error_log $self->{dir}/error.log debug;",
		$ENV{TEST_NGINX_GLOBALS} // '';
}

my @LOGGED = qw/
	tenant bucket key upload_id target decision candidate_decision rule
	error outcome endpoint access_key request_id upstream_request_id uri
/;

sub http($self) {
	my @lines = ("root $self->{dir}/html;",
		"client_body_temp_path $self->{dir}/temp.body;",
		map { "${_}_temp_path $self->{dir}/temp.$_;" }
		grep { $self->{version} !~ /--without-http_${_}_module/ }
		qw/ proxy fastcgi uwsgi scgi /);

	my @fields = map { qq!"$_":"\$$_"! } qw/ status request_method
		upstream_status upstream_addr request_time remote_addr /;
	push @fields, map { qq!"$_":"\$s3_abort_$_"! } @LOGGED
		unless $self->{stock};

	push @lines, "log_format audit escape=json '{"
		. join(',', @fields) . "}';",
		"access_log $self->{dir}/access.log audit;";

	return join ' ', @lines;
}

sub endpoint($storage) {
	my $tls = $storage->{tls};
	my $scheme = $tls ? 'https' : 'http';

	return join ' ', "s3_abort_endpoint $storage->{name} {",
		"url $scheme://" . $storage->address() . ';',
		"host $storage->{host};",
		"region $storage->{region};",
		"credentials $storage->{dir}/$storage->{name}.credentials;",
		"addressing $storage->{addressing};",
		$tls ? "ssl_trusted_certificate $tls->{issuer};" : (), '}';
}

###############################################################################
#
# Storages

# A fake storage, whose credentials are in the file NAME.credentials.  The
# options are those of Storage.pm; besides, token => 1 for a session token.

sub storage($self, $name = 'storage', %o) {
	my $id = join '', map { ('A' .. 'Z', 0 .. 9)[rand 36] } 1 .. 16;
	my $key = { secret => "CANARY+storage/secret$id",
		delete $o{token} ? (token => "CANARY+session/token$id=") : () };

	my $storage = $self->{storages}{$name} = Storage->new(
		name => $name, dir => $self->{dir}, port => $self->free_port(),
		host => "$name.test", region => 'kr-standard',
		access_key => "ncp_iam_$id", keys => { "ncp_iam_$id" => $key },
		in_child => sub ($storage) { $self->in_child($storage) },
		on_start => sub ($pid) { $self->tell_janitor("start $pid") },
		on_stop => sub ($pid) { $self->tell_janitor("stop $pid") },
		%o
	);

	$self->write("$name.credentials", $storage->credentials(), 0640);

	return $storage;
}

# A back-end that must never see an abort.

sub decoy($self, $name = 'decoy', %o) {
	return $self->storage($name, decoy => 1, %o);
}

# Asserts that no storage and no decoy saw a connection, or a request on an old
# one, since the mark, which every request of the test sets.

sub nothing_sent($self, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($self->seen_by_storages(), '', $name);
}

sub seen_by_storages($self) {
	my @seen;

	for my $s (values %{$self->{storages}}) {
		$s->settle();
		push @seen, map { my $event = $_;
			map { " $s->{name}: $event " . ($_->{raw} // '') }
			$s->events($event) } qw/ connection request partial /;
	}

	return join "\n", @seen;
}

# The requests that a storage saw since the mark; see Storage->sent().

sub sent($self, $name = 'storage') {
	return $self->{storages}{$name}->sent();
}

sub mark($self) {
	$_->mark() for values %{$self->{storages}};
}

###############################################################################
#
# nginx

sub run($self, $conf) {
	$self->write('nginx.conf', $conf);
	$self->start();
	return $self;
}

sub start($self) {
	unlink "$self->{dir}/nginx.pid";

	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		setpgrp(0, 0);
		$self->exec_nginx('error.log', 'nginx.stderr', '-c',
			"$self->{dir}/nginx.conf");
	}

	setpgrp($pid, $pid);
	$self->{nginx_pid} = $pid;
	$self->tell_janitor("start $pid");

	my $ended;
	$self->wait_for(sub { -s "$self->{dir}/nginx.pid"
		|| ($ended = waitpid($pid, WNOHANG)) }, undef, 90);
	return if -s "$self->{dir}/nginx.pid" && !$ended;

	$self->tell_janitor("stop $pid");
	delete $self->{nginx_pid} if $ended;
	die "nginx does not start:\n" . $self->read('nginx.stderr');
}

sub exec_nginx($self, $log, $output, @arguments) {
	my @options = ("log_path=$self->{dir}/sanitizer/report",
		"suppressions=$self->{dir}/sanitizer/leaks");

	# nginx that only looks at its configuration frees nothing

	push @options, 'detect_leaks=0' if grep { /^-[tT]\z/ } @arguments;
	push @options, 'fast_unwind_on_malloc=0' if $self->{sessions};

	$ENV{LD_PRELOAD} = $ENV{TEST_NGINX_PRELOAD}
		if $ENV{TEST_NGINX_PRELOAD};
	$ENV{ASAN_OPTIONS} = join ':', @options[0, 2 .. $#options],
		$ENV{ASAN_OPTIONS} // ();
	$ENV{LSAN_OPTIONS} = join ':', $options[1], 'print_suppressions=0',
		$ENV{LSAN_OPTIONS} // ();

	# a stack trace of what nginx's own code does at each start takes longer than
	# the start

	$ENV{UBSAN_OPTIONS} = join ':', $options[0],
		$ENV{UBSAN_OPTIONS} // ();
	$SIG{PIPE} = 'DEFAULT';

	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$self->{dir}/$output";
	open STDERR, '>&', \*STDOUT;

	exec $self->{nginx}, '-p', "$self->{dir}/", '-e', "$self->{dir}/$log",
		@arguments or POSIX::_exit(127);
}

# Runs nginx with arguments; returns (exit status, output).

sub nginx($self, @arguments) {
	unlink "$self->{dir}/nginx.output";

	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		alarm 30;
		$self->exec_nginx('nginx.log', 'nginx.output', @arguments);
	}

	waitpid $pid, 0;
	my $status = $?;
	my $output = $self->read('nginx.output');

	$self->{answers} .= $output;
	return ($status & 127 ? "signal $status" : $status >> 8, $output);
}

# nginx -t of a configuration.

sub nginx_test($self, $conf) {
	$self->write('test.conf', $conf);
	return $self->nginx('-t', '-c', "$self->{dir}/test.conf");
}

# With conf => '...', of another configuration.  Returns true once the old
# workers have ended and new ones serve; false if nginx kept the old
# configuration.  With wait => 'new' the old ones need not have ended.

sub reload($self, %o) {
	my $before = length $self->error_log();
	my @old = $self->workers();
	my $rc = 0;

	$self->write('nginx.conf', $o{conf}) if defined $o{conf};
	kill 'HUP', $self->{nginx_pid};

	$self->wait_for(sub {
		my $log = substr $self->error_log(), $before;

		return 1 if $log =~ /\[emerg\]/;

		my $what = $o{wait} ? qr/#\d+: gracefully shutting/
			: qr/#\d+: exit\b/;
		return $rc = !grep { $log !~ /\b$_$what/ } @old;
	}, undef, 90);

	return $rc;
}

# Renames a log and has nginx open it again; waits until all workers have: a new
# one is the master's alone for a moment, in which no worker should look for it.

sub rotate($self, $log, $to) {
	my $path = "$self->{dir}/$log";
	my @workers = $self->workers();

	rename $path, "$self->{dir}/$to" or die "$path: $!\n";
	kill 'USR1', $self->{nginx_pid};

	my $has = sub ($pid) {
		my $inode = (stat $path)[1] // return;
		return grep { ((stat $_)[1] // 0) == $inode }
			glob "/proc/$pid/fd/*";
	};

	$self->wait_for(sub { !grep { !$has->($_) } @workers })
		or die "$log: not opened again\n";
}

sub workers($self) {
	my $log = $self->error_log();
	my %w = map { $_ => 1 } $log =~ /start worker process (\d+)/g;

	# it says so before the master does; a sanitizer has work between the two

	delete $w{$_} for $log =~ /worker process (\d+) exited/g,
		$log =~ /\] (\d+)#\d+: exit$/gm;
	return sort keys %w;
}

# The CPU time of a process, in seconds.

sub cpu($self, $pid) {
	my ($ns) = split ' ', $self->read("/proc/$pid/schedstat");
	return $ns / 1e9;
}

# Returns the status that nginx ended with.

sub stop($self, $signal = 'QUIT') {
	my $pid = delete $self->{nginx_pid} // return;
	my $status;

	kill $signal, $pid;
	$self->wait_for(sub { waitpid($pid, WNOHANG) == $pid
		&& defined($status = $?) }, undef, 90);

	push @{$self->{problems}}, 'nginx does not stop' unless defined $status;
	push @{$self->{problems}}, "nginx ended with status $status" if $status;

	kill 'KILL', -$pid;
	waitpid $pid, 0 unless defined $status;
	$self->tell_janitor("stop $pid");

	return $status;
}

###############################################################################
#
# Clients

# Opens a connection.  Options: port => n (of %%PORT_n%%), tls => { sni, cert,
# key }, from => source address, unix => path, timeout => seconds.

sub connect($self, %o) {
	$o{port} = $self->port($o{port} // 1);
	return S3Abort::Client->new(timeout => 15, %o, test => $self);
}

# Raw bytes in, the parsed answer out: a hash of status, reason, version,
# headers (lower-case names), body, raw - and, of S3's XML, code, message,
# resource, region, request_id.  A code that starts with "(" says what is wrong
# with the document.  Sets the mark, so that sent() and nothing_sent() speak of
# what follows.

sub request($self, $bytes, %o) {
	$self->mark();

	my $client = $self->connect(%o);
	$client->send($bytes, $o{split});
	return $client->answer();
}

# The common case; headers are pairs.  "Host: gw.test", "Connection: close" and
# "X-Tenant: alice" are sent unless given; undef leaves one out.

sub abort($self, $target, @headers) {
	return $self->request(request_bytes('DELETE', $target, @headers));
}

# A table of aborts: [name, target (or a request's bytes), expected, header =>
# value...].  Expected is "400 InvalidURI" (status and code; nothing is sent),
# "400" (the status alone; nothing is sent), a regular expression for either,
# or, for a 204, the target that the storage must see.

sub aborts($self, @cases) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	for (@cases) {
		my ($name, $target, $want, @headers) = @$_;
		my $r = $target =~ / HTTP.*\n/ ? $self->request($target)
			: $self->abort($target, @headers);
		my $got = $r->{status};

		if (ref $want || $want =~ m!^\d{3}!) {
			$got .= " $r->{code}" if $want =~ / /;
			$got .= $self->seen_by_storages();
			ref $want ? like($got, $want, $name)
				: is($got, $want, $name);

		} else {
			$got .= " $r->{code}" if $r->{code};
			$got .= join '', map { " $_->{method} $_->{target}" }
				$self->sent();
			is($got, "204 DELETE $want", $name);
		}
	}
}

sub request_bytes($method, $target, @headers) {
	my $bytes = "$method $target HTTP/1.1\r\n";
	my @all = with_defaults(['Host', 'gw.test', 'Connection', 'close',
		'X-Tenant', 'alice'], @headers);

	while (my ($name, $value) = splice @all, 0, 2) {
		$bytes .= "$name: $value\r\n" if defined $value;
	}

	return "$bytes\r\n";
}

sub with_defaults($defaults, @headers) {
	my %given = map { lc $headers[2 * $_] => 1 } 0 .. @headers / 2 - 1;
	my @defaults = @$defaults;

	while (my ($name, $value) = splice @defaults, 0, 2) {
		push @headers, $name, $value unless $given{lc $name};
	}

	return @headers;
}

# An abort that a tenant signs; %o is what SigV4::sign() and presign() take:
# access_key, secret...; besides, presigned => 1, and extra => [name, value,
# ...], headers that are sent unsigned.

sub signed_abort($self, $target, %o) {
	my $presigned = delete $o{presigned};
	my $extra = delete $o{extra} // [];
	my %r = (target => $target, region => 'kr-standard',
		headers => [['Host', 'gw.test']], %o);
	my $r = $presigned ? SigV4::presign(%r) : SigV4::sign(%r);

	return $self->abort($r->{target}, 'X-Tenant' => undef,
		(map { @$_ } @{$r->{headers}}), @$extra);
}

# A request over HTTP/2, by curl: h2('DELETE', $target, [headers], options);
# options: port, tls => 1, curl => [arguments].

sub h2($self, $method, $target, $headers = [], %o) {
	state $http2 = (qx/curl --version 2>&1/ // '') =~ /HTTP2/;
	need('curl with HTTP/2', $http2);

	my $port = $self->port($o{port} // 1);
	my @args = ('-s', '-i', '-m', 15, '--path-as-is', '--globoff',
		'-X', $method, '--request-target', $target,
		$o{tls} ? ('-k', '--http2') : '--http2-prior-knowledge',
		@{$o{curl} // []});
	my @all = with_defaults(['Host', 'gw.test', 'X-Tenant', 'alice'],
		@$headers);

	while (my ($name, $value) = splice @all, 0, 2) {
		push @args, '-H', "$name: $value" if defined $value;
	}

	$self->mark();
	$self->seen("@args");

	open my $fh, '-|', 'curl', @args,
		($o{tls} ? 'https' : 'http') . "://127.0.0.1:$port/"
		or die "curl: $!\n";
	binmode $fh;
	my $raw = do { local $/; <$fh> } // '';
	close $fh;

	return S3Abort::Client::parsed($self, $raw, $method, 1);
}

# Signatures that clients sent must not be seen again either.

sub seen($self, $bytes) {
	$self->{signatures}{$_} = 1
		for $bytes =~ /[Ss]ignature=([0-9a-f]{64})\b/g;
}

###############################################################################
#
# Logs

# The entries of access.log, hashes of the variables without "s3_abort_".

sub access_log($self) {
	my $json = JSON::PP->new;
	return map { $json->decode($_) }
		$self->read('access.log') =~ /^(.*)\n/gm;
}

# The entry of an answer; it is logged a moment after the answer is sent.

sub audit($self, $answer) {
	my $id = $answer->{headers}{'x-amz-request-id'} // return {};
	my $found;

	$self->wait_for(sub {
		($found) = grep { $_->{request_id} eq $id } $self->access_log();
	});

	return $found // {};
}

# error.log; with a level, its lines of that level.

sub error_log($self, $level = undef) {
	return $self->read('error.log') unless defined $level;

	open my $fh, '<', "$self->{dir}/error.log" or return '';
	return join '', grep { index($_, " [$level] ") > 0 } <$fh>;
}

# Announces lines of the levels alert, crit and emerg; one must come, or with
# allow_log() may come.

sub expect_log($self, $re) {
	push @{$self->{expected}}, $re;
}

sub allow_log($self, $re) {
	push @{$self->{allowed}}, $re;
}

# Waits until the sub returns true.  With a name it is an assertion.

sub wait_for($self, $sub, $name = undef, $seconds = 90) {
	my $end = time() + $seconds;
	my $rc;

	until ($rc = $sub->()) {
		last if time() > $end;
		sleep 0.01;
	}

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($rc, $name) if defined $name;

	return $rc;
}

###############################################################################
#
# Certificates

# $t->certificate('NAME', cn, san => [...], issuer => 'NAME' (default: itself),
# ca => 1, client => 1, expired => 1, future => 1, rsa => bits, digest): files
# NAME.crt and NAME.key.  Returns { name, cert, key, issuer }, paths, which
# storage(tls => ...) takes as it is.

sub certificate($self, $name, %o) {
	require IO::Socket::SSL::Utils;

	my $issuer = $self->{certificates}{$o{issuer} // ''};
	my ($from, $to) = $o{expired} ? (-20, -10) : $o{future} ? (10, 20)
		: (-1, 30);
	my @san = map { [/^[\d.]+\z/ ? 'IP' : 'DNS', $_] } @{$o{san} // []};

	my ($cert, $key) = IO::Socket::SSL::Utils::CERT_create(
		subject => { commonName => $o{cn} // $name },
		@san ? (subjectAltNames => \@san) : (),
		not_before => time() + $from * 86400,
		not_after => time() + $to * 86400,
		$o{ca} ? (CA => 1, purpose => 'cRLSign')
			: (purpose => $o{client} ? 'client' : 'server'),
		$issuer ? (issuer => [@$issuer{qw/ x509 pkey /}]) : (),
		key => $o{rsa} ? IO::Socket::SSL::Utils::KEY_create_rsa($o{rsa})
			: IO::Socket::SSL::Utils::KEY_create_ec('prime256v1'),
		$o{digest} ? (digest => $o{digest}) : (),
	);

	$self->{certificates}{$name} = { x509 => $cert, pkey => $key };

	my $file = $self->write("$name.crt",
		IO::Socket::SSL::Utils::PEM_cert2string($cert));

	return $self->{certificates}{$name}{files} = {
		name => $name, cert => $file,
		key => $self->write("$name.key",
			IO::Socket::SSL::Utils::PEM_key2string($key)),
		issuer => $issuer ? $issuer->{files}{cert} : $file,
	};
}

# A CRL of an issuer that revokes the certificates named.  Returns its path.

sub crl($self, $issuer, @revoked) {
	my $dir = "$self->{dir}/crl.$issuer";
	my $files = $self->{certificates}{$issuer}{files};
	my $ca = "openssl ca -config $dir/ca.conf -cert $files->{cert}"
		. " -keyfile $files->{key}";

	mkdir $dir;
	$self->write("crl.$issuer/ca.conf", "[ca]\ndefault_ca = x\n[x]\n"
		. "database = $dir/index.txt\ncrlnumber = $dir/number\n"
		. "default_md = sha256\ndefault_crl_days = 30\n");
	$self->write("crl.$issuer/index.txt", '');
	$self->write("crl.$issuer/number", "01\n");

	for (map({ "-revoke $self->{certificates}{$_}{files}{cert}" } @revoked),
		"-gencrl -out $dir.pem")
	{
		my $out = qx/$ca $_ 2>&1/;
		$? == 0 or die "openssl ca $_: $out\n";
	}

	return "$dir.pem";
}

###############################################################################
#
# The end

sub done($self) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$_->settle() for grep { $_->{pid} } values %{$self->{storages}};
	$self->stop();

	is(join("\n", @{$self->{problems}}, $self->wrongly_logged()), '',
		'answers and exit');
	is(join("\n", $self->violations()), '', 'wire invariant');
	is(join("\n", $self->alerts()), '', 'no alerts');
	is(join("\n", $self->sanitizer_reports()), '', 'no sanitizer errors');
	is(join("\n", $self->leaks()), '', 'no secrets in logs and answers');

	$self->cleanup();
	done_testing();
}

# The log has the status and the code that the client got, and a 204 is an abort.

sub wrongly_logged($self) {
	my @wrong;

	for my $line ($self->read('access.log') =~ /^(.*)\n/gm) {
		my %log = $line =~ /"(\w+)":"([^"]*)"/g;
		my $r = $self->{answered}{$log{request_id} // ''} or next;
		my $code = $r->{code} =~ /^\(/ ? $log{error} : $r->{code};
		my $aborted = $log{outcome}
			=~ /^(?:ABORTED|ASSUMED_ABORTED|PARTS_REMAIN)\z/;

		push @wrong, "$r->{status} $code: $line"
			if $log{status} ne $r->{status}
			|| $log{error} ne $code && $log{request_method} ne 'HEAD'
			|| $aborted != ($log{status} eq '204');
	}

	return @wrong;
}

sub violations($self) {
	return map { $_->violations() } values %{$self->{storages}};
}

sub alerts($self) {
	my @lines = grep { /\[(?:alert|crit|emerg)\]|exited with code [^0]/ }
		split /\n/, $self->error_log() . $self->read('nginx.stderr');
	my @missing = grep { my $re = $_; !grep { /$re/ } @lines }
		@{$self->{expected}};

	for my $re (@{$self->{expected}}, @{$self->{allowed}}) {
		@lines = grep { $_ !~ /$re/ } @lines;
	}

	return @lines, map { "announced, but not logged: $_" } @missing;
}

# nginx's own sources have a few of their own, in places that GCC and the
# processor are fine with.

my $OWN = qr!^src/(?:core|event|http|os)/\S+:\ runtime\ error:
	\ (?:null\ pointer\ passed|(?:load|store).*misaligned
	|pointer\ index\ expression\ .*\ overflowed)!x;

sub sanitizer_reports($self) {
	return grep { !/$OWN/ && /(?:Address|Leak|Thread|Memory)Sanitizer
		|runtime\ error:|UndefinedBehavior|^==\d+==\ \S/x }
		map { split /\n/, $self->read($_) }
		glob("$self->{dir}/sanitizer/report*"), 'error.log',
		'nginx.stderr';
}

# Debug lines of nginx itself that hold what a client sent: signatures may be
# there, secrets nowhere.

my $STOCK = qr/^[\d\/]+\ [\d:]+\ \[debug\]\ \d+\#\d+:\ \*\d+\ (?:
	http\ header:\ "Authorization:
	| http2\ header:\ "(?:authorization|:path):
	| http2?\ request\ line:\ "
	| http\ args:\ "
	| http\ (?:run|upstream|finalize)\ request:\ (?:-?\d+,\ )?"
	| http\ upstream\ ssl\ handshake:\ "
	| http\ special\ response:\ \d+,\ "
	| http\ (?:output|copy|postpone)\ filter:?\ (?:-?\d+\ )?"
	| http\ writer\ (?:handler|done|output\ filter):\ (?:-?\d+,\ )?"
	)/ix;

sub leaks($self) {
	my @lines = map { split /\n/, $self->read($_) } 'nginx.stderr',
		grep { -f } glob "$self->{dir}/*.log*";
	my @answers = split /\n/, $self->{answers};
	my $secret = join '|', map { quotemeta } keys %{$self->{secrets}};
	my %signature = map { $_ => 1 } keys %{$self->{signatures}},
		map { $_->signatures() } values %{$self->{storages}};

	$secret = '(?!)' if $secret eq '';

	my $signed = sub ($line) { grep { $signature{$_} }
		$line =~ /(?=([0-9a-f]{64}))/g };

	return (grep { /$secret/ || $signed->($_) && !/$STOCK/ } @lines),
		grep { /$secret|storage-internals/ || $signed->($_) } @answers;
}

###############################################################################
#
# Nothing is left behind, even by a test that dies: the janitor is a process
# that kills what still runs and removes the directory once the other end of
# its pipe is closed.

sub start_janitor($self) {
	pipe my $read, my $write or die "pipe: $!\n";
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		setpgrp(0, 0);
		close $write;
		$SIG{$_} = 'IGNORE' for qw/ INT TERM HUP PIPE /;
		alarm 0;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';

		$self->janitor($read);
		POSIX::_exit(0);
	}

	close $read;
	$write->autoflush(1);
	$self->{janitor} = $write;
	$self->{janitor_pid} = $pid;
}

sub janitor($self, $read) {
	my %running;

	while (<$read>) {
		$running{$1} = 1 if /^start (\d+)/;
		delete $running{$1} if /^stop (\d+)/;
	}

	my $end = time() + 10;
	my @groups = map { -$_ } keys %running;

	while (time() < $end && grep { kill 'KILL', $_ } @groups) {
		sleep 0.01;
	}

	remove_tree($self->{dir}) unless $ENV{TEST_NGINX_LEAVE};
}

sub tell_janitor($self, $line) {
	my $pipe = $self->{janitor} or return;
	print $pipe "$line\n";
}

# In a forked storage: what belongs to the parent and to others is not ours.

sub in_child($self, $storage) {
	for my $t (@objects) {
		close delete $t->{janitor} if $t->{janitor};
		close $_ for @{$t->{locks}};
		close $_->{listen} for grep { $_ != $storage && $_->{listen} }
			values %{$t->{storages}};
	}

	@objects = ();
}

sub cleanup($self) {
	return if $self->{clean}++;

	if ($ENV{TEST_NGINX_CATLOG} && !Test::More->builder->is_passing) {
		diag($self->read('nginx.stderr'), $self->error_log());
	}

	diag("kept $self->{dir}") if $ENV{TEST_NGINX_LEAVE};

	$self->stop('TERM');
	$_->stop() for values %{$self->{storages}};

	close delete $self->{janitor};
	waitpid $self->{janitor_pid}, 0;
	alarm 0;
}

END {
	local $?;
	$_->{pid} == $$ && $_->cleanup() for @objects;
}

###############################################################################

1;
