# The storage credentials: profiles and names, session tokens, and rotation
# while requests come and while the storage already refuses the old pair.

###############################################################################

use v5.36;

use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

my $WORKERS = 2;
my $REFRESH = 0.1;

my $t = S3Abort->new();
my $dir = $t->dir();
my $globals = $t->globals() =~ s/processes 1/processes $WORKERS/r;

# The pairs that the storage knows: P1, P2...; T1, T2... have a session token.
# Of the pair S there are two secrets, which the test verifies by itself.

sub pair($name) {
	return { secret => "CANARY/secret+of+$name", $name =~ /^T/
		? (token => "CANARY/token+of+$name==") : () };
}

my %keys = map { $_ => pair($_) } map({ "P$_" } 1 .. 60),
	map({ "T$_" } 1 .. 9), qw/ ncp_iam_N other_profile /;
my $storage = $t->storage('storage', keys => \%keys, access_key => 'P1');
my $loose = $t->storage('loose', unchecked => 1);

sub credentials($name, %o) {
	my $pair = { %{pair($name)}, %o };

	return "[default]\naws_access_key_id = $name\n"
		. "aws_secret_access_key = $pair->{secret}\n"
		. ($pair->{token} ? "aws_session_token = $pair->{token}\n"
		: '');
}

sub put($file, $text, $mode = 0640) {
	$t->write("$file.credentials", $text, $mode);
}

put('live', credentials('P1'));
put('fixed', credentials('P1'));
put('slow', credentials('P1'));
put('loose', credentials('S', secret => 'CANARY/old+secret+of+S'));
put('token', credentials('T1'));
put('many', credentials('P1') =~ s/default/a/r . credentials('other_profile')
	=~ s/default/my profile/r . credentials('P2'));
put('naver', "# NAVER\n[gateway]\nncloud_access_key_id = ncp_iam_N\n"
	. "ncloud_secret_access_key = " . pair('ncp_iam_N')->{secret} . "\n"
	. "ncloud_api_url = https://ncloud.example\n");

my $endpoint = "region kr-standard; host storage.test;\n"
	. "        url http://%%STORAGE%%; credentials %%TESTDIR%%";

my $conf = <<'EOF' =~ s/%%GLOBALS%%/$globals/r =~ s/%%EP%%/$endpoint/gr;

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    log_format pid "$pid";
    access_log %%TESTDIR%%/pid.log pid;

    upstream servers {
        server %%STORAGE%% max_fails=1;
        keepalive 4;
    }

    s3_abort_endpoint live { %%EP%%/live.credentials refresh=100ms; }
    s3_abort_endpoint fixed { %%EP%%/fixed.credentials; }
    s3_abort_endpoint slow { %%EP%%/slow.credentials refresh=1h; }
    s3_abort_endpoint token { %%EP%%/token.credentials refresh=100ms; }
    s3_abort_endpoint default { %%EP%%/many.credentials; }
    s3_abort_endpoint a { %%EP%%/many.credentials profile=a; }
    s3_abort_endpoint spaced {
        %%EP%%/many.credentials "profile=my profile";
    }
    s3_abort_endpoint naver { %%EP%%/naver.credentials profile=gateway; }
    s3_abort_endpoint one_try {
        %%EP%%/live.credentials refresh=100ms;
        next_upstream        off;
        next_upstream_tries  1;
    }
    s3_abort_endpoint pool {
        region       kr-standard;
        host         storage.test;
        url          http://servers;
        credentials  %%TESTDIR%%/live.credentials refresh=100ms;
    }
    s3_abort_endpoint loose {
        region       kr-standard;
        host         loose.test;
        url          http://%%STORAGE_loose%%;
        credentials  %%TESTDIR%%/loose.credentials refresh=100ms;
    }

    s3_abort_policy all { allow; }

    server {
        listen 127.0.0.1:%%PORT%% reuseport;
        s3_abort_identity trusted $http_x_tenant;
        location / { s3_abort_pass $http_x_endpoint policy=all; }
    }
}

EOF

$t->run($conf);

###############################################################################

my $target = '/media/k?uploadId=A';

sub ask($endpoint) {
	return $t->abort($target, 'X-Endpoint', $endpoint);
}

sub key($request) {
	return $request->{header}{authorization} =~ m!Credential=([^/]+)/!
		? $1 : '';
}

# The status, and the pairs that the storage saw.

sub result($r, $from = 'storage') {
	return join ' ', $r->{status} . ($r->{code} && " $r->{code}"),
		map { key($_) . ($_->{header}{'x-amz-security-token'}
		? ' with a token' : '') } $t->sent($from);
}

# What all workers sign with.

sub everywhere($endpoint) {
	my (%pids, %seen);
	my $before = () = $t->read('pid.log') =~ /\n/g;

	for my $n (1 .. 100) {
		$seen{result(ask($endpoint))} = 1;

		$t->wait_for(sub { (() = $t->read('pid.log') =~ /\n/g)
			>= $before + $n });
		my @lines = split /\n/, $t->read('pid.log');
		$pids{$lines[-1]}++;

		last if keys %pids >= $WORKERS && !grep { $_ < 2 }
			values %pids;
	}

	return join ', ', sort keys %seen;
}

sub refresh() {
	sleep $REFRESH + 0.6;
}

# Fully, once it is what is wanted.

sub soon($want, $endpoint, $name) {
	my $end = time() + 30;
	my $got;

	1 until ($got = everywhere($endpoint)) eq $want || time() > $end;
	is($got, $want, $name);
}

###############################################################################
#
# Files

is(result(ask('default')), '204 P2', 'the default profile');
is(result(ask('a')), '204 P1', 'another profile');
is(result(ask('spaced')), '204 other_profile', 'a profile with a space');
is(result(ask('naver')), '204 ncp_iam_N', 'NAVER\'s names');
is(result(ask('token')), '204 T1 with a token', 'a session token');
like(($t->sent())[0]{header}{authorization},
	qr/SignedHeaders=host;x-amz-content-sha256;x-amz-date;
	x-amz-security-token,/x, 'a session token is signed');

###############################################################################
#
# Rotation

is(everywhere('live'), '204 P1', 'the old pair');
put('live', credentials('P2'));
refresh();
is(everywhere('live'), '204 P2', 'I-07 the new pair, in every worker');

put('token', credentials('T2'));
refresh();
is(everywhere('token'), '204 T2 with a token', 'another token');
put('token', credentials('P3'));
refresh();
is(everywhere('token'), '204 P3', 'a token goes');
put('token', credentials('T3'));
refresh();
is(everywhere('token'), '204 T3 with a token', 'a token comes');

# in place, as an editor writes it, and in the same length

open my $fh, '>', "$dir/live.credentials" or die "credentials: $!\n";
print $fh credentials('P3');
close $fh;
refresh();
is(everywhere('live'), '204 P3', 'I-07 rewritten in place');

# the same key, another secret: the day's signing key is another, too

sub verified() {
	my ($r) = $t->sent('loose');

	for my $secret ('CANARY/old+secret+of+S', 'CANARY/new+secret+of+S') {
		return $secret =~ s/.*\/(\w+).*/$1/r if SigV4::verify(
			{ %$r, keys => { S => $secret } }) eq '';
	}

	return 'neither';
}

ask('loose');
is(verified(), 'old', 'I-08 the old secret');
put('loose', credentials('S', secret => 'CANARY/new+secret+of+S'));
refresh();
ask('loose');
is(verified(), 'new', 'I-08 the new secret of the same key');

# without refresh, exactly at a reload

put('fixed', credentials('P2'));
refresh();
is(everywhere('fixed'), '204 P1', 'no refresh: the old pair');
ok($t->reload(), 'reload');
is(everywhere('fixed'), '204 P2', 'reload: the new pair');

$t->expect_log(qr/no secret access key in \S+fixed\.credentials:1$/);
put('fixed', "[default]\naws_access_key_id = P3\n");
ok(!$t->reload(), 'I-02 a reload with a broken file');
is(everywhere('fixed'), '204 P2', 'I-02 the old configuration stays');
put('fixed', credentials('P2'));

###############################################################################
#
# A file that is no good: the old pair stays, and each worker says so, once

my $alerts = 0;
$alerts = () = alerts();

sub alerts() {
	my @lines = split /\n/, $t->error_log('alert');
	return @lines[$alerts .. $#lines];
}

sub in_place($text) {
	open my $fh, '>', "$dir/live.credentials";
	print $fh $text;
	close $fh;
}

my $n = 3;

for (['I-07 partial write, in place', qr/no secret access key in \S+:1$/,
	sub ($text) { in_place($text =~ s/\naws_secret.*/\n/sr) }],
	['I-07 half a secret, in place', qr/no line feed at .* in \S+:3$/,
	sub ($text) { in_place(substr $text, 0, -4) }],
	['no equals sign', qr/neither a profile .* in \S+:4$/,
	sub ($text) { put('live', "${text}mallory\n") }],
	['no such profile', qr/no such profile/,
	sub ($text) { put('live', $text =~ s/default/other/r) }],
	['G-07 CRLF', qr/carriage return.* in \S+:1$/,
	sub ($text) { put('live', $text =~ s/\n/\r\n/gr) }],
	['empty', qr/no such profile/,
	sub ($text) { put('live', '') }],
	['G-07 permissions', qr/"\S+" is open to others/,
	sub ($text) { put('live', $text, 0644) }],
	['removed', qr/open\(\) "\S+" failed \(2: /,
	sub ($text) { unlink "$dir/live.credentials" }])
{
	my ($name, $want, $change) = @$_;
	my $old = 'P' . $n++;
	my $new = "P$n";

	# the file is that of three endpoints, each of which reads it

	my $files = 3 * $WORKERS;

	$t->expect_log($want);
	$change->(credentials($new));
	$t->wait_for(sub { (() = alerts()) >= $files });
	sleep 2 * $REFRESH;

	my @alerts = alerts();
	$alerts += @alerts;
	is(scalar(@alerts), $files, "$name: each worker says so once")
		or diag(join "\n", @alerts);
	is(join("\n", grep { !/$want/ || !m!\Q$dir\E/live\.credentials!
		|| /P\d|CANARY|mallory/ } @alerts), '',
		"$name: what, and where, and nothing of the content");
	is(everywhere('live'), "204 $old", "$name: the old pair stays");

	put('live', credentials($new));
	soon("204 $new", 'live', "$name: and back");
}

###############################################################################
#
# F-18: the storage refuses a pair that was replaced since the request was
# signed: once more, with the newer one.  The storage knows no pair for which
# there is a file "refused.NAME"; it lets the test go on while it thinks.

my $refusal = '403 InvalidAccessKeyId';

sub refuse($delay = 0) {
	$storage->answer(sub ($r) {
		my $key = key($r);
		my ($status, $code) = split / /, $refusal;

		return 204 unless -e "$dir/refused.$key";
		sleep $delay unless -e "$dir/quick.$key";
		return { status => $status, code => $code };
	});
}

sub rotated($name, $endpoint, $change, $want, @refused) {
	$t->write("refused.$_", '') for @refused;
	$t->write("quick.$_", '') for @refused[1 .. $#refused];
	unlink "$dir/quick.$refused[0]";

	my $c = $t->connect();
	$t->mark();
	$c->send(S3Abort::request_bytes('DELETE', $target, 'X-Endpoint',
		$endpoint));
	$t->wait_for(sub { $t->sent() });
	$change->();
	is(result($c->answer()), $want, "F-18 $name");
}

for my $code ('403 InvalidAccessKeyId', '403 SignatureDoesNotMatch',
	'400 ExpiredToken', '401 Unauthorized', '403 RequestTimeTooSkewed')
{
	my $old = 'P' . $n++;
	my $new = "P$n";

	$refusal = $code;
	refuse(0.4);
	rotated("$code: tried again", 'live', sub {
		put('live', credentials($new)) }, "204 $old $new", $old);
}

for my $endpoint ('one_try', 'pool') {
	my $old = 'P' . $n++;
	my $new = "P$n";

	soon("204 $old", $endpoint, "endpoint $endpoint");
	rotated("endpoint $endpoint: tried again", $endpoint, sub {
		put('live', credentials($new)) }, "204 $old $new", $old);
}

rotated('a new token', 'token', sub { put('token', credentials('T4')) },
	'204 T3 with a token T4 with a token', 'T3');
is(join("\n", alerts()), '', 'F-18 no alert');

# both are refused: no third time

$t->expect_log(qr/storage refuses the credentials of .*"live"/);

my ($old, $new) = ("P$n", 'P' . ++$n);
rotated('the newer pair is refused, too', 'live', sub {
	put('live', credentials($new)) }, "500 InternalError $old $new",
	$old, $new);
is(scalar(() = alerts()), 1, 'F-18 one alert') or diag(join "\n", alerts());
$alerts += () = alerts();

# nothing has changed: no retry

($old, $new) = ($new, 'P' . ++$n);
is(result(ask('live')), "500 InternalError $old", 'F-18 unchanged: no retry');
rotated('the file is written anew, but the pair is the same', 'live', sub {
	put('live', credentials($old)) }, "500 InternalError $old", $old);
rotated('the file is touched', 'live', sub {
	utime undef, undef, "$dir/live.credentials" },
	"500 InternalError $old", $old);
$alerts += () = alerts();

put('live', credentials($new));
soon("204 $new", 'live', 'F-18 a pair that is good');

###############################################################################
#
# A refusal makes the workers look at the file within a second, however long
# their "refresh" is, and however many requests are refused meanwhile

refuse();
is(everywhere('slow'), '204 P1', 'refresh=1h: the old pair');
put('slow', credentials('P2'));
$t->write('refused.P1', '');
$t->expect_log(qr/storage refuses the credentials of .*"slow"/);

my $end = time() + 15;
my $last = '';

while (time() < $end && $last ne '204 P2') {
	$last = result(ask('slow'));
	sleep 0.05;
}

is($last, '204 P2', 'refresh=1h: the new pair is found while requests fail');
soon('204 P2', 'slow', 'refresh=1h: by every worker');

$t->done();
