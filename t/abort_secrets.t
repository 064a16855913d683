# Promise G4: where secrets, and keys that are as good as secrets, are not: in
# a core of a worker under load, in logs, answers, arguments and environment;
# and where they are, in memory that is left out of cores, until replaced.

###############################################################################

use v5.36;

use Digest::SHA qw/ hmac_sha256 /;
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

my $REFRESH = 0.1;
my $MARKER = 'MARKER-of-the-configuration';

my $t = S3Abort->new();
my $dir = $t->dir();

mkdir "$dir/cores";
chmod 0777, "$dir/cores";

my $ca = $t->certificate('ca', ca => 1);
my $cert = $t->certificate('tls', issuer => 'ca', san => ['tls.test']);

# "old" and "new" are the pairs of both storages, and the tenants' secrets.  A
# token is as long as real ones are: the registers of the processor, which are
# in a core, too, hold pieces of what was copied and encrypted last.

sub pairs($name) {
	return map { ("$name$_" => { secret => "CANARY+$name/$_/secret",
		token => "CANARY+$name/$_/token" . '0123456789' x 30
		. '==' }) } qw/ old new /;
}

my %storages = (
	plain => $t->storage('plain', keys => { pairs('plain') },
		access_key => 'plainold'),
	tls => $t->storage('tls', keys => { pairs('tls') },
		access_key => 'tlsold', tls => $cert),
);

sub write_files($age) {
	for my $name (keys %storages) {
		$storages{$name}{access_key} = "$name$age";
		$t->write("$name.credentials", $storages{$name}->credentials(),
			0640);
	}

	$t->write_keys('tenants.keys', join '', map {
		"$_ KEY-$_ CANARY+$_/$age/secret\n" } qw/ alice bob /);
}

write_files('old');

# with a sanitizer, a core has terabytes and no memory is locked

my $sanitized = $t->{version} =~ /-fsanitize=/
	|| ($ENV{TEST_NGINX_PRELOAD} // '') =~ /san/;

my ($hard) = map { /^Max core file size\s+\S+\s+(\S+)/m }
	$t->read('/proc/self/limits');
my $pattern = $t->read('/proc/sys/kernel/core_pattern');
my $kernel = !$sanitized && $pattern !~ m!^[|/]!
	&& ($> == 0 || $hard eq 'unlimited');
my $core = $kernel ? "worker_rlimit_core 4g; working_directory $dir/cores;"
	: '';

my $conf = <<'EOF' =~ s/%%CORE%%/$core/r =~ s/%%MARKER%%/$MARKER/r;

%%LOAD%%
%%GLOBALS%%
%%CORE%%

events { }

http {
    %%HTTP%%

    upstream plain_servers { server %%STORAGE_plain%%; keepalive 4; }
    upstream tls_servers { server %%STORAGE_tls%%; keepalive 4; }

    s3_abort_endpoint plain {
        url          http://plain_servers;
        host         plain.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/plain.credentials refresh=100ms;
    }

    s3_abort_endpoint tls {
        url          https://tls_servers;
        host         tls.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/tls.credentials refresh=100ms;
        ssl_trusted_certificate %%TESTDIR%%/ca.crt;
    }

    s3_abort_policy tenants {
        allow  key=$s3_abort_tenant/*;
    }

    map $http_x_marker $marker { default %%MARKER%%; }

    server {
        listen 127.0.0.1:%%PORT%%;

        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys refresh=100ms
                                region=kr-standard;
        location / { s3_abort_pass $http_x_endpoint policy=tenants; }
    }
}

EOF

$t->run($conf);

###############################################################################
#
# What must not be found: each secret; the keys that are derived from it, step
# by step; and what a hash context holds of such a key, which signs as well

sub canaries($age, $day = substr SigV4::amz_time(), 0, 8) {
	my %found;

	for my $name (keys %storages) {
		my %pair = pairs($name);
		my $pair = $pair{"$name$age"};

		$found{"session token of $name"} = $pair->{token};
		derive(\%found, $name, $pair->{secret}, $day);
	}

	derive(\%found, $_, "CANARY+$_/$age/secret", $day) for qw/ alice bob /;

	return \%found;
}

sub derive($found, $whose, $secret, $day) {
	my $key = "AWS4$secret";
	$found->{"secret of $whose"} = $secret;

	for my $step ($day, 'kr-standard', 's3', 'aws4_request') {
		$key = hmac_sha256($step, $key);

		my %forms = (
			'' => $key,
			', in hex' => unpack('H*', $key),
			', as words' => words($key),
			', inner block' => $key ^. (chr(0x36) x 32),
			', outer block' => $key ^. (chr(0x5c) x 32),
			', inner state' => padded($key, 0x36),
			', outer state' => padded($key, 0x5c),
		);
		$found->{"key of $whose, $step$_"} = $forms{$_}
			for keys %forms;
	}
}

# SHA-256 computes with words of the processor's order.

sub words($bytes) {
	return pack 'L*', unpack 'N*', $bytes;
}

# The state of SHA-256 once it has taken a padded key.

sub padded($key, $byte) {
	my $block = ($key . "\0" x 32) ^. (chr($byte) x 64);
	my ($state) = Digest::SHA->new(256)->add($block)->getstate()
		=~ /^H:(\S+)/m;

	return words(pack 'H*', $state =~ s/://gr);
}

# The names of those that are in there; one pass for all.

sub found_in($bytes, $canaries) {
	my %names = reverse %$canaries;
	my $any = join '|', map { quotemeta } sort keys %names;
	my %found;

	$found{$names{$1}} = 1 while $$bytes =~ /($any)/g;

	return sort keys %found;
}

# the keys are those of one day

sleep 40 if time() % 86400 > 86365;

my %old = %{canaries('old')};
my %new = %{canaries('new')};
my %both = (%old, map { ("new $_" => $new{$_}) } keys %new);
$t->canary($_) for values %both;

cmp_ok(scalar(keys %old), '>', 80, 'there is much to look for');

###############################################################################
#
# Load

sub signed($age, $who, $endpoint, %o) {
	my $presigned = delete $o{presigned};
	my $extra = delete $o{extra} // [];
	my %r = (access_key => "KEY-$who", secret => "CANARY+$who/$age/secret",
		region => 'kr-standard', headers => [['Host', 'gw.test']],
		target => "/media/$who/k?uploadId=A", %o);
	my $r = $presigned ? SigV4::presign(%r) : SigV4::sign(%r);

	return S3Abort::request_bytes('DELETE', $r->{target},
		'X-Tenant' => undef, 'X-Endpoint' => $endpoint,
		(map { @$_ } @{$r->{headers}}), @$extra);
}

sub load($age) {
	my %count;

	for my $endpoint (qw/ plain tls /) {
		for my $who (qw/ alice bob /) {
			my @all = map { signed($age, $who, $endpoint, @$_) }
				[], [presigned => 1],
				[target => '/media/other/k?uploadId=A'],
				[secret => 'wrong'], [access_key => 'WRONG'],
				[presigned => 1, secret => 'wrong'],
				[extra => ['x-amz-acl', 'private']],
				[target => '/media/k?uploadid=A'];

			$count{$t->request($_)->{status}}++ for (@all) x 3;
		}
	}

	return join ', ', map { "$_ $count{$_}" } sort keys %count;
}

is(load('old'), '204 24, 400 12, 403 60', 'load');

# a storage may repeat what was signed, session token and all, over and over

for my $name (qw/ tls plain tls /) {
	my $storage = $storages{$name};
	my $line = "x-amz-security-token:$old{\"session token of $name\"}\n";

	$t->expect_log(qr/the storage refuses the credentials of .*"$name"/);
	$storage->answer({ status => 403, body => '<?xml version="1.0"?><Error>'
		. '<Code>SignatureDoesNotMatch</Code><CanonicalRequest>'
		. $line x 20
		. '</CanonicalRequest></Error>' });
	is($t->request(signed('old', 'alice', $name))->{status}, 500,
		"refused by $name");
}

# aborts that are on their way

$_->answer({ status => 204, delay => 20 }) for values %storages;
$t->mark();
my @waiting = map { my $c = $t->connect(); $c->send(signed('old', 'alice', $_));
	$c } sort keys %storages;
$t->wait_for(sub { $t->sent('plain') && $t->sent('tls') }, 'on their way');

###############################################################################
#
# Memory of the live worker: secrets are where cores do not look

my ($worker) = $t->workers();

sub mappings() {
	no warnings 'portable';
	my @maps;

	for (split /\n/, $t->read("/proc/$worker/smaps")) {
		push @maps, { start => hex $1, size => hex($2) - hex($1),
			usable => $3 eq 'rw' }
			if /^([0-9a-f]+)-([0-9a-f]+) (..)\S\S /;
		$maps[-1]{resident} = $1 if /^Rss:\s+(\d+)/;
		@{$maps[-1]}{qw/ excluded locked /} = (/\bdd\b/, /\blo\b/)
			if /^VmFlags:/;
	}

	# shadow memory of sanitizers is larger than all

	return grep { $_->{usable} && $_->{resident} && $_->{size} < 1 << 30 }
		@maps;
}

# What is found in memory that is left out of cores, in other memory, and in
# memory that is not locked.

sub memory($canaries = \%both) {
	my %found = (excluded => {}, others => {}, unlocked => {});

	open my $fh, '<:raw', "/proc/$worker/mem"
		or die "/proc/$worker/mem: $!\n";

	for my $map (mappings()) {
		my $bytes = '';
		sysseek $fh, $map->{start}, 0;

		1 while sysread $fh, $bytes, $map->{size} - length $bytes,
			length $bytes;

		for (found_in(\$bytes, $canaries)) {
			$found{$map->{excluded} ? 'excluded' : 'others'}{$_}
				= 1;
			$found{unlocked}{$_} = 1 unless $map->{locked};
		}
	}

	return map { join ', ', sort keys %{$found{$_}} }
		qw/ excluded others unlocked /;
}

my ($excluded, $others, $unlocked) = memory();

for my $what (map({ ("secret of $_", "session token of $_") } qw/ plain tls /),
	map { ("secret of $_", "key of $_, aws4_request") } qw/ alice bob /)
{
	like($excluded, qr/\b$what/, "in memory, left out of cores: $what");
}

is($others, '', 'G-05 G-06 nowhere else in memory, freed or not');

my ($limit) = map { /^Max locked memory\s+(\S+)/m }
	$t->read("/proc/$worker/limits");

SKIP: {
	skip('a sanitizer locks nothing', 1) if $sanitized;
	skip("only $limit bytes may be locked", 1)
		if $limit ne 'unlimited' && $limit < 1 << 20;

	is($unlocked, '', 'in memory that is locked');
}

###############################################################################
#
# Cores: by gdb, and by the kernel

my @cores;

if ($sanitized) {
	diag('no cores with a sanitizer');

} elsif (system("gcore -o $dir/gcore $worker > $dir/gcore.log 2>&1") == 0) {
	push @cores, ['gcore', "$dir/gcore.$worker"];

} else {
	diag('gcore: ' . $t->read('gcore.log'));
}

if ($kernel) {
	$t->expect_log(qr/worker process $worker exited on signal 6/);
	kill 'ABRT', $worker;
	$t->wait_for(sub { $t->error_log('alert') =~ /exited on signal 6/ });
	push @cores, map { ['kernel', $_] } glob "$dir/cores/*";

} elsif (!$sanitized) {
	diag("no core by the kernel: $hard, $pattern");
}

ok($sanitized || @cores, 'G-05 there is a core, of one kind at least');

for (@cores) {
	my ($name, $path) = @$_;
	my $bytes = $t->read($path);

	like($bytes, qr/^\x7fELF/, "$name: a core");
	ok(index($bytes, $MARKER) >= 0, "$name: has what is in memory");
	ok(index($bytes, 'KEY-alice') >= 0, "$name: has what was sent");
	is(join(', ', found_in(\$bytes, \%both)), '',
		"G-05 $name: has no secret");
	unlink $path;
}

$_->answer(204) for values %storages;
$_->restart() for values %storages;
$_->answer() for @waiting;

$t->wait_for(sub { my @now = $t->workers();
	@now == 1 && $now[0] ne $worker }) if $kernel;
($worker) = $t->workers();

###############################################################################
#
# Rotation: the old ones are gone, at once

is(load('old'), '204 24, 400 12, 403 60', 'load of the next worker');
like((memory())[0], qr/^key of alice.*session token of tls\z/,
	'the old ones are there');

write_files('new');
sleep $REFRESH + 1;

($excluded, $others) = memory();
is($excluded, join(', ', map({ "new secret of $_" } qw/ alice bob plain tls /),
	map { "new session token of $_" } qw/ plain tls /),
	'rotation: the new ones are there, and no old ones');
is($others, '', 'rotation: and nowhere else');

is(load('new'), '204 24, 400 12, 403 60', 'rotation: load');
($excluded, $others) = memory();
unlike($excluded, qr/(?:^|, )[ks]/, 'rotation: no old ones come');
is($others, '', 'G-06 rotation: new ones stay where they are');

###############################################################################
#
# Other places: G-01 to G-04, G-08; logs and answers are searched by done()

$t->read('access.log') =~ /X-Amz-SignedHeaders=host/
	or fail('there are presigned URLs in the access log');
unlike($t->read('access.log'), qr/X-Amz-Signature=[^&"]/,
	'G-02 $s3_abort_uri has no signature');

my ($rc, $out) = $t->nginx('-T', '-c', "$dir/nginx.conf");
is($rc, 0, 'nginx -T');
is(join(', ', found_in(\$out, \%both)), '',
	'G-03 nginx -T prints no secret');

for my $pid ($t->{nginx_pid}, $t->workers()) {
	for my $file (qw/ environ cmdline /) {
		my $bytes = $t->read("/proc/$pid/$file");
		is(join(', ', found_in(\$bytes, \%both)), '', "G-04 $file");
	}
}

my $log = $t->error_log();
like($log, qr/\[debug\].*s3 abort/, 'G-01 the module has debug lines');
is(join(', ', found_in(\$log, \%both)), '', 'G-01 without a secret');

$t->done();
