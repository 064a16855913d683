package Browser;

# Headless Chromium, spoken to in its DevTools protocol over a pipe: a page at a
# time, what it shows, asks for and complains about.
#
#     my $browser = Browser->new($t, hosts => { 's3.example.com:443' =>
#             '127.0.0.1:12345' });
#     my $page = $browser->page('http://127.0.0.1:12345/');
#
#     $page->wait_for('document.title === "x"', 'the title');
#     is($page->eval('document.body.innerText'), 'x', 'the text');
#     is(join("\n", $page->problems()), '', 'no problems');
#
# Names resolve to nothing but the hosts given: no request leaves loopback.

###############################################################################

use v5.36;

use IO::Handle;
use IO::Select;
use JSON::PP;
use MIME::Base64 qw/ decode_base64 /;
use POSIX ();
use Test::More;
use Time::HiRes qw/ time /;

my $CHROMIUM = '/usr/bin/chromium';
my $JSON = JSON::PP->new->utf8->allow_nonref;

###############################################################################

sub new($class, $t, %o) {
	my $self = bless { test => $t, pid_of => $$, id => 0, buffer => '',
		pages => {} }, $class;
	my $hosts = $o{hosts} // {};
	my @rules = (map({ "MAP $_ $hosts->{$_}" } sort keys %$hosts),
		'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1');

	-x $CHROMIUM or die "no $CHROMIUM: \"make test\" installs it\n";

	pipe my $commands, $self->{write} or die "pipe: $!\n";
	pipe $self->{read}, my $answers or die "pipe: $!\n";

	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		setpgrp(0, 0);
		alarm 0;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $t->dir() . '/chromium.log';
		open STDERR, '>&', \*STDOUT;

		# it reads from descriptor 3 and writes to 4, which may be these

		POSIX::dup2(fileno $commands, 103);
		POSIX::dup2(fileno $answers, 104);
		POSIX::dup2(103, 3);
		POSIX::dup2(104, 4);
		POSIX::close($_) for 103, 104;

		$ENV{HOME} = $ENV{XDG_CONFIG_HOME} = $ENV{XDG_CACHE_HOME}
			= $t->dir() . '/chromium';
		delete @ENV{grep { /_proxy\z/i } keys %ENV};
		$ENV{TZ} = 'UTC';

		exec $CHROMIUM, '--headless', '--remote-debugging-pipe',
			'--no-sandbox', '--disable-gpu', '--disable-quic',
			'--disable-dev-shm-usage', '--no-first-run',
			'--no-proxy-server', '--disable-extensions',
			'--disable-background-networking',
			'--disable-component-update', '--disable-sync',
			'--disable-default-apps', '--disable-breakpad',
			'--hide-scrollbars', '--force-color-profile=srgb',
			'--user-data-dir=' . $t->dir() . '/chromium',
			'--host-resolver-rules=' . join(', ', @rules),
			@{$o{arguments} // []}, 'about:blank'
			or POSIX::_exit(127);
	}

	setpgrp($pid, $pid);
	close $_ for $commands, $answers;
	$self->{write}->autoflush(1);
	$self->{pid} = $pid;
	$t->tell_janitor("start $pid");

	$self->call('Browser.getVersion');
	return $self;
}

sub stop($self) {
	my $pid = delete $self->{pid} or return;

	kill 'KILL', -$pid;
	waitpid $pid, 0;
	$self->{test}->tell_janitor("stop $pid");
}

sub DESTROY($self) {
	return if ${^GLOBAL_PHASE} eq 'DESTRUCT';    # then the janitor does it
	local $?;
	$self->stop() if $self->{pid_of} == $$;
}

# A command and its result; events that come meanwhile go to their pages.

sub call($self, $method, $params = {}, $session = undef) {
	my $id = ++$self->{id};

	print {$self->{write}} $JSON->encode({ id => $id, method => $method,
		params => $params, $session ? (sessionId => $session) : () }), "\0";

	my $end = time() + 30;

	while (time() < $end) {
		my $m = $self->message($end - time()) or next;

		if (($m->{id} // 0) != $id) {
			$self->event($m);
			next;
		}

		die "$method: $m->{error}{message}\n" if $m->{error};
		return $m->{result};
	}

	die "chromium: no answer to $method:\n"
		. $self->{test}->read('chromium.log');
}

sub message($self, $seconds) {
	while ($self->{buffer} !~ /\0/) {
		IO::Select->new($self->{read})->can_read($seconds) or return;
		sysread $self->{read}, $self->{buffer}, 65536,
			length $self->{buffer} or die "chromium has ended:\n"
			. $self->{test}->read('chromium.log');
	}

	$self->{buffer} =~ s/\A([^\0]*)\0//;
	return $JSON->decode($1);
}

sub event($self, $m) {
	my $page = $self->{pages}{$m->{sessionId} // ''} or return;
	push @{$page->{events}}, $m;
}

###############################################################################
#
# Pages

# Options: width, height, dark => 1, mobile => 1.

sub page($self, $url, %o) {
	my $target = $self->call('Target.createTarget', { url => 'about:blank' });
	my $session = $self->call('Target.attachToTarget', {
		targetId => $target->{targetId}, flatten => JSON::PP::true,
	})->{sessionId};
	my $page = bless { browser => $self, session => $session, events => [],
		target => $target->{targetId} }, 'Browser::Page';

	$self->{pages}{$session} = $page;
	$page->call("$_.enable") for qw/ Page Runtime Network Log /;
	$page->look(%o);
	$page->go($url);

	return $page;
}

package Browser::Page;

use Test::More;
use Time::HiRes qw/ time sleep /;

sub call($self, $method, $params = {}) {
	return $self->{browser}->call($method, $params, $self->{session});
}

sub go($self, $url) {
	my $r = $self->call('Page.navigate', { url => $url });
	die "$url: $r->{errorText}\n" if $r->{errorText};
	$self->wait_for('document.readyState === "complete"')
		or die "$url: not loaded\n";
}

sub close($self) {
	$self->{browser}->call('Target.closeTarget',
		{ targetId => $self->{target} });
	delete $self->{browser}{pages}{$self->{session}};
}

sub look($self, %o) {
	$self->call('Emulation.setDeviceMetricsOverride', {
		width => $o{width} // 1200, height => $o{height} // 800,
		deviceScaleFactor => $o{scale} // 1,
		mobile => $o{mobile} ? JSON::PP::true : JSON::PP::false });
	$self->call('Emulation.setEmulatedMedia', { features => [
		{ name => 'prefers-color-scheme',
		value => $o{dark} ? 'dark' : 'light' }] });
}

# The value of an expression; a promise's is waited for.

sub eval($self, $expression) {
	my $r = $self->call('Runtime.evaluate', { expression => $expression,
		awaitPromise => JSON::PP::true, returnByValue => JSON::PP::true });

	die "$expression: " . ($r->{exceptionDetails}{exception}{description}
		// $r->{exceptionDetails}{text}) . "\n" if $r->{exceptionDetails};
	return $r->{result}{value};
}

# With a name it is an assertion.

sub wait_for($self, $expression, $name = undef, $seconds = 10) {
	my $end = time() + $seconds;
	my $rc;

	until ($rc = CORE::eval { $self->eval($expression) }) {
		last if time() > $end;
		sleep 0.03;
	}

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	if (defined $name) {
		ok($rc, $name) or diag($self->eval('document.body.innerText'));
	}

	return $rc;
}

# A PNG; with full => 1 of all of the page.

sub screenshot($self, $file, %o) {
	my $r = $self->call('Page.captureScreenshot', { $o{full}
		? (captureBeyondViewport => JSON::PP::true, clip => { x => 0,
		y => 0, scale => 1, map { $_ => 0 + $self->eval(
		"document.documentElement.scroll\u$_") } qw/ width height / })
		: () });

	open my $fh, '>', $file or die "$file: $!\n";
	binmode $fh;
	print $fh MIME::Base64::decode_base64($r->{data});
	CORE::close $fh;
}

sub events($self, $method) {
	return map { $_->{params} } grep { $_->{method} eq $method }
		@{$self->{events}};
}

sub requests($self) {
	return map { $_->{request}{url} } $self->events(
		'Network.requestWillBeSent');
}

# Exceptions, and what the console has of errors and warnings.

sub problems($self) {
	return map({ $_->{exceptionDetails}{exception}{description}
			// $_->{exceptionDetails}{text} }
			$self->events('Runtime.exceptionThrown')),
		map({ my $e = $_; join ' ', map { $_->{value}
			// $_->{description} // '' } @{$e->{args}} }
			grep { $_->{type} =~ /^(?:error|warning|assert)\z/ }
			$self->events('Runtime.consoleAPICalled')),
		map({ "$_->{text} " . ($_->{url} // '') }
			grep { $_->{level} =~ /^(?:error|warning)\z/ }
			map { $_->{entry} } $self->events('Log.entryAdded'));
}

###############################################################################

1;
