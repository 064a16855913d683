# Recipes: what the documentation leaves to nginx's own modules, run as it
# stands there: rate limits, source addresses, office hours, an endpoint for
# each tenant, the audit log and its rotation, CORS.

###############################################################################

use v5.36;

use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use Docs;
use S3Abort;
use SigV4;

my $ID = '0000015a-df89-51d0-2790-dee1ac994053';

###############################################################################

my $t = S3Abort->new(headers => { map { $_ => 1 } qw/ vary
	access-control-allow-origin access-control-expose-headers / });
my $dir = $t->dir();

my %storage = map { $_ => $t->storage($_, region => "$_-standard",
	host => "$_.object.ncloudstorage.com") } qw/ kr us /;

$t->write('ncloud.credentials', join('', map { $storage{$_}->credentials($_) }
	qw/ kr us /) . $storage{kr}->credentials(), 0640);

my %KEY = map { $_ => ["\U$_\E1EXAMPLE", "CANARY/$_/secret+of+a+tenant"] }
	qw/ acme globex ops /;

$t->write_keys('tenants.keys', join '', map { "$_ @{$KEY{$_}}\n" }
	sort keys %KEY);

# The first configuration below a heading.

sub recipe($file, $heading) {
	return Docs::text($file, $heading, 'nginx')
		=~ s/^http \{\n(.*)^\}\n/$1/msr;
}

# It, with the files and servers of this test, and what it takes for granted.

sub serve($recipe, %o) {
	my $conf = $recipe;

	$conf =~ s!/etc/nginx/s3_abort/|/var/log/nginx/!%%TESTDIR%%/!g;
	$conf =~ s/\blisten(\s+)8080;/listen${1}127.0.0.1:%%PORT%%; $o{server}/
		or die "no listen:\n$conf";
	$conf =~ s/\b(server\s+)(kr|us)\.object\S+:443;/$1%%STORAGE_$2%%;/g;
	$conf =~ s!\burl(\s+)https://!url$1http://!g;

	$conf = <<'EOC' . $conf unless $conf =~ /^\s*s3_abort_endpoint\s/m;
    s3_abort_endpoint ncloud_kr {
        url          http://%%STORAGE_kr%%;
        host         kr.object.ncloudstorage.com;
        region       kr-standard;
        credentials  %%TESTDIR%%/ncloud.credentials;
    }
EOC
	$conf = <<'EOC' . $conf unless $conf =~ /^\s*s3_abort_policy\s/m;
    s3_abort_policy tenants {
        allow  bucket=media  key=uploads/$s3_abort_tenant/*;
    }
EOC

	$t->stop() if $t->{nginx_pid};
	$t->run("%%LOAD%%\n%%GLOBALS%%\nevents { }\nhttp {\n%%HTTP%%\n"
		. "error_log %%TESTDIR%%/error.log info;\n$o{http}\n"
		. "$conf\n}\n");
}

sub serve_recipe($file, $heading, %o) {
	serve(recipe($file, $heading), server => '', http => '', %o);
}

# An abort that a tenant signs; options: of %KEY by "key", secret, region,
# presigned, method, headers, port.  Its bytes.

sub abort_bytes($target, %o) {
	my ($key, $secret) = @{$KEY{$o{key} // 'acme'}};
	my $method = $o{method} // 'DELETE';
	my %r = (target => $target, region => $o{region} // 'kr-standard',
		access_key => $key, secret => $o{secret} // $secret,
		headers => [['Host', 'gw.test']]);
	my $r = $o{unsigned} ? \%r : $o{presigned} ? SigV4::presign(%r)
		: SigV4::sign(%r);

	return S3Abort::request_bytes($method, $r->{target}, 'X-Tenant', undef,
		(map { @$_ } @{$r->{headers}}), @{$o{headers} // []});
}

sub ask($target, %o) {
	return $t->request(abort_bytes($target, %o),
		$o{from} ? (from => $o{from}) : ());
}

# What it is answered, and what was sent where.

sub answer($target, %o) {
	my $r = ask($target, %o);
	return join ' ', $r->{status}, $r->{code} || (), map { my $name = $_;
		map { "$name $_->{target}" } $t->sent($name) } qw/ kr us /;
}

my $q = "?uploadId=$ID";
my $own = "/media/uploads/acme/k$q";
my $sent = "204 kr $own";
my $denied = '403 AccessDenied';

sub own($tenant) {
	return "/media/uploads/$tenant/k$q";
}

###############################################################################
#
# Rate limits: 5 a second and a burst of 10 for a tenant, 20 and 40 for an
# address

serve_recipe('docs/operations.md', 'Rate limits');

my $begin = time();
my @answers = map { ask($own) } 1 .. 25;
my $seconds = time() - $begin;
my @sent = grep { $_->{status} == 204 } @answers;
my ($refused) = my @refused = grep { $_->{status} != 204 } @answers;

cmp_ok(scalar @sent, '>=', 11, 'rate: the burst is let through');
cmp_ok(scalar @sent, '<=', 12 + 5 * $seconds, 'rate: and not much more')
	or diag("in $seconds seconds");
is("$refused->{status} $refused->{code}", '503 SlowDown', 'rate: SlowDown');
like($refused->{headers}{'retry-after'}, qr/^\d+\z/, 'rate: Retry-After');
is(scalar(grep { "$_->{status} $_->{code}" ne '503 SlowDown' } @refused), 0,
	'rate: for all of the others');

my $log = $t->audit($refused);
is("$log->{tenant} $log->{error} $log->{decision}", 'acme SlowDown ',
	'rate: the audit log has the tenant');

my $r = ask($own);
$t->nothing_sent('rate: what is refused is not sent') if $r->{status} != 204;

is(answer(own('globex'), key => 'globex'), '204 kr ' . own('globex'),
	'rate: another tenant');

# who does not have its key cannot use up a tenant's limit

ask(own('ops'), key => 'ops', secret => 'guessed') for 1 .. 12;
ask(own('ops'), unsigned => 1) for 1 .. 3;
is(answer(own('ops'), key => 'ops'), '204 kr ' . own('ops'),
	'rate: forged signatures are not the tenant\'s');

my %codes;
$codes{ask($own, key => 'ops', secret => 'guessed', from => '127.0.0.9')
	->{code}}++ for 1 .. 60;
cmp_ok($codes{SignatureDoesNotMatch} // 0, '>=', 41,
	'rate: of an address, the burst');
cmp_ok($codes{SlowDown} // 0, '>', 0, 'rate: of an address');
is(keys %codes, 2, 'rate: of an address, nothing else');

sleep 0.5;
is(answer($own), $sent, 'rate: it recovers');

###############################################################################
#
# Source addresses, also behind a proxy

serve_recipe('docs/operations.md', 'Source addresses', http => <<'EOC');
set_real_ip_from 127.0.0.2;
real_ip_header X-Forwarded-For;
real_ip_recursive on;
EOC

my @by_ops = (key => 'ops');

is(answer($own), $sent, 'address: without a condition');
is(answer(own('acme'), @by_ops), $denied, 'address: outside');
is(answer(own('acme'), @by_ops, headers => ['X-Forwarded-For', '192.0.2.1']),
	$denied, 'C-11 address: a header alone does nothing');

for (['192.0.2.0', 1], ['192.0.2.255', 1], ['192.0.3.0', 0],
	['192.0.1.255', 0], ['203.0.113.1, 192.0.2.9', 1],
	['192.0.2.9, 203.0.113.1', 0], ['192.0.2.9, 127.0.0.2', 1],
	['nonsense', 0], ['', 0], ['2001:db8::1', 0])
{
	my ($value, $inside) = @$_;
	my $r = ask($own, @by_ops, from => '127.0.0.2',
		headers => ['X-Forwarded-For', $value]);
	is("$r->{status} $r->{code}", $inside ? '204 ' : $denied,
		"address: \"$value\", by a proxy");
}

$log = $t->audit(ask($own, @by_ops, from => '127.0.0.2', headers =>
	['X-Forwarded-For', '192.0.2.7']));
is("$log->{remote_addr} $log->{rule}" =~ s!/.*/!!r,
	'192.0.2.7 nginx.conf:' . line_of(qr/if=\$inside/),
	'address: the audit log has it, and the rule');

sub line_of($re) {
	my @lines = split /\n/, $t->read('nginx.conf');
	my ($n) = grep { $lines[$_ - 1] =~ $re } 1 .. @lines;
	return $n;
}

###############################################################################
#
# Office hours: of the gateway's time zone, which is one where it is now that
# hour

for ([12, $sent], [10, $sent], [3, $denied], [20, $denied], [0, $denied]) {
	my ($hour, $want) = @$_;
	my $utc = (gmtime)[2];
	my $offset = ($utc - $hour + 36) % 24 - 12;

	local $ENV{TZ} = sprintf 'TEST%+d', $offset;
	serve_recipe('docs/operations.md', 'Office hours');

	# the hour may have ended meanwhile

	next if (gmtime)[2] != $utc;
	is(answer($own), $want, "hours: it is $hour o'clock");
	is(answer(own('globex')), $denied, "hours: $hour, of another tenant");
}

###############################################################################
#
# An endpoint for each tenant, or bucket

my $endpoints = recipe('docs/operations.md', 'An endpoint for each tenant');

serve($endpoints =~ s/(globex   ncloud_us;)/$1 ops nowhere;/r, server => '',
	http => '');

my $theirs = "/media-us/uploads/globex/k$q";

is(answer($own), $sent, 'endpoints: by default');
is(answer($theirs, key => 'globex'), "204 us $theirs",
	'endpoints: of a tenant, with its own region and credentials');
is(answer("/media/uploads/globex/k$q", key => 'globex'), $denied,
	'endpoints: a rule of another one');
is(answer("/media-us/uploads/acme/k$q"), $denied,
	'endpoints: the bucket of another one');
is($t->audit(ask($theirs, key => 'globex'))->{endpoint}, 'ncloud_us',
	'endpoints: the audit log has it');

$r = ask($theirs, key => 'globex', region => 'us-standard');
is("$r->{status} $r->{code} $r->{region}",
	'400 AuthorizationHeaderMalformed kr-standard',
	'endpoints: tenants sign for one region');

is(answer(own('ops'), key => 'ops'), '500 InternalError',
	'endpoints: an unknown one');
ok(index($t->error_log('error'), 'unknown s3_abort_endpoint "nowhere" in '
	. '"$tenant_endpoint"') > 0, 'endpoints: an unknown one is logged');
is(answer($own, unsigned => 1), $denied, 'endpoints: no tenant');

serve($endpoints =~ s/map \$s3_abort_tenant/map \$s3_abort_bucket/r
	=~ s/globex   ncloud_us/media-us ncloud_us/r, server => '', http => '');
is(answer($own), $sent, 'endpoints: by bucket, the default');
is(answer("/media-us/uploads/acme/k$q"),
	"204 us /media-us/uploads/acme/k$q", 'endpoints: by bucket');

###############################################################################
#
# CORS

serve_recipe('docs/operations.md', 'CORS', http =>
	'limit_req_zone $http_x_limit zone=limit:1m rate=1r/m;',
	server => 'limit_req zone=limit;');

my $app = 'https://app.example.com';
my @from_app = ('Origin', $app);
my @preflight = ('Access-Control-Request-Method', 'DELETE',
	'Access-Control-Request-Headers', 'authorization,x-amz-date');

sub cors($r) {
	return join '; ', map { /^access-control-(.*)/
		? "$1: $r->{headers}{$_}" : () } sort keys %{$r->{headers}};
}

for ('', $q, '?uploadid=x', '?uploadId=') {
	$r = ask("/media/uploads/acme/k$_", unsigned => 1, method => 'OPTIONS',
		headers => [@from_app, @preflight]);
	is($r->{status}, 204, "CORS: preflight \"$_\"");
	is(cors($r), 'allow-headers: authorization, x-amz-content-sha256, '
		. 'x-amz-date, x-amz-user-agent, amz-sdk-invocation-id, '
		. "amz-sdk-request; allow-methods: DELETE; allow-origin: $app; "
		. 'max-age: 3600', "CORS: preflight \"$_\": headers");
	is($r->{headers}{vary}, 'Origin', "CORS: preflight \"$_\": Vary");
	$t->nothing_sent("CORS: preflight \"$_\": nothing sent");
}

$r = ask($own, unsigned => 1, method => 'OPTIONS', headers =>
	['Origin', 'https://evil.example', @preflight]);
unlike(cors($r), qr/allow-origin/, 'CORS: preflight of another origin');

my $both = "allow-origin: $app; expose-headers: x-amz-request-id";

for (['an abort', $own, [], '204 '],
	['a presigned one', $own, [presigned => 1], '204 '],
	['a denied one', own('globex'), [], $denied],
	['no signature', $own, [unsigned => 1], $denied],
	['a wrong one', $own, [secret => 'guessed'],
		'403 SignatureDoesNotMatch'],
	['nearly an abort', '/media/uploads/acme/k?uploadid=x', [],
		'400 InvalidArgument'],
	['no abort', '/media/uploads/acme/k', [], '501 NotImplemented'],
	['an error of another module', $own, [limit => 1], '204 '],
	['an error of another module', $own, [limit => 1], '503 SlowDown'])
{
	my ($name, $target, $o, $want) = @$_;
	my %o = @$o;
	my @limit = delete $o{limit} ? ('X-Limit', 'x') : ();

	$r = ask($target, %o, headers => [@from_app, @limit]);
	is("$r->{status} $r->{code}", $want, "CORS: $name");
	is(cors($r), $both, "CORS: $name: headers");
	is($r->{headers}{vary}, 'Origin', "CORS: $name: Vary");
	isnt($r->{headers}{'x-amz-request-id'} // '', '',
		"CORS: $name: the request id that is exposed");
}

$storage{kr}->answer('404 NoSuchUpload');
$r = ask($own, headers => [@from_app]);
is("$r->{status} " . cors($r), "404 $both", 'CORS: an error of the storage');
$storage{kr}->answer(204);

for ('https://evil.example', 'https://app.example.com.evil.example', 'null',
	'https://app.example.com/', 'http://app.example.com', '', undef)
{
	$r = ask($own, headers => [Origin => $_]);
	is("$r->{status} " . cors($r),
		'204 expose-headers: x-amz-request-id',
		'CORS: of ' . ($_ // 'no origin'));
}

###############################################################################
#
# The audit log: a line for each abort, of JSON, without signatures

sub audit_lines(@files) {
	return map { $t->read($_) =~ /^(.*)\n/gm } @files;
}

serve_recipe('docs/variables.md', 'Audit log');

my $long = 'k' x 1024;
my @requests = (
	[$own], [$own, presigned => 1], [own('globex')], [$own, unsigned => 1],
	[$own, secret => 'guessed'],
	[$own, secret => 'guessed', presigned => 1],
	["/media/uploads/acme/$long$q"], ["/media/uploads/acme/a%22b%5C%27$q"],
	["/media/uploads/acme/%EA%B0%80%F0%9F%8E%AC%E2%80%A8$q"],
	["/media/uploads/acme/%FF%C0$q"],
	["/media/uploads/acme/%0A%0D%1B%7F$q"], ["/media/uploads/acme/\"\\$q"],
	["/media/uploads/acme/\xff\xc0\x80$q"],
	["/media/uploads/acme/\xea\xb0\x80$q"],
	["/media/uploads/acme/k?uploadId=\xff"],
	["/media/uploads/acme/k?uploadId=%FF%22%5C"],
	["/media/uploads/acme/k?uploadid=x&X-Amz-Signature=" . 'ab' x 32],
	["/media/uploads/acme/k$q&%58-amz-signature=" . 'cd' x 32],
	["/media/uploads/acme/k$q&Signature=" . 'ef' x 32],
	["/\xff\xff/k$q"], ["/media/uploads/acme/k$q", headers =>
		['X-Amz-Copy-Source', '"x"']],
	["/media/uploads/acme/k$q", key => 'globex', headers =>
		['User-Agent', "\"\xff\\"]],
);

my %by_id;
for (@requests) {
	my $r = ask($_->[0], @$_[1 .. $#$_]);
	$by_id{$r->{headers}{'x-amz-request-id'} // ''} = [$r, $_->[0]];
}

ask('/media/k', method => 'GET', unsigned => 1);
$t->wait_for(sub { audit_lines('s3_abort.log') == @requests + 1 },
	'log: a line for each');

my @fields = recipe('docs/variables.md', 'Audit log') =~ /"(\w+)":"\$/g;
@fields = sort @fields;
my %wrong;

for my $line (audit_lines('s3_abort.log')) {
	my $entry = eval { JSON::PP->new->utf8->decode($line) };

	if (!$entry) {
		$wrong{"no JSON: $line"} = 1;
		next;
	}

	my ($r, $target) = @{delete $by_id{$entry->{request_id}} // []};

	$wrong{"fields: $line"} = 1
		if "@{[sort keys %$entry]}" ne "@fields";
	$wrong{"a signature: $line"} = 1
		if $line =~ /[Ss]ignature=[^&"\[]|(?:ab|cd|ef){32}/;
	$wrong{"status: $line"} = 1 if $r
		&& ($entry->{status} ne $r->{status}
		|| $entry->{error} ne $r->{code});
	$wrong{"no uri: $line"} = 1 if $entry->{uri} !~ m!^/!;
}

is(join("\n", sort keys %wrong), '', 'log: all of them are right');
is(scalar keys %by_id, 0, 'log: with their request ids')
	or diag(map { "$_->[1]\n" } values %by_id);

# rotation under load: each line once, none torn

my $each = 300;
my (@children, @ids);

$t->write('s3_abort.log', '');
$t->stop();
$t->start();

for my $n (1 .. 3) {
	pipe my $read, my $write or die "pipe: $!\n";
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		close $read;

		for my $i (1 .. $each) {
			my $sock = IO::Socket::INET->new(PeerAddr =>
				'127.0.0.1:' . $t->port());
			print $sock abort_bytes('/media/uploads/globex/' . 'k'
				x (1 + $i % 900) . $q);
			my $answer = join '', <$sock>;
			my ($id) = $answer =~ /^x-amz-request-id: (\w+)/m;
			print $write $id // '(none)', "\n";
		}

		close $write;
		POSIX::_exit(0);
	}

	close $write;
	push @children, [$pid, $read];
}

my $rotations = 0;
my $running = @children;

while ($running && $rotations < 100) {
	$rotations++;
	$t->rotate('s3_abort.log', "s3_abort.log.$rotations");
	sleep 0.02;
	$running = grep { kill 0, $_->[0] and waitpid($_->[0],
		POSIX::WNOHANG()) == 0 } @children;
}

for (@children) {
	my ($pid, $read) = @$_;
	push @ids, map { s/\n//r } <$read>;
	waitpid $pid, 0;
}

my @files = ('s3_abort.log', map { "s3_abort.log.$_" } 1 .. $rotations);

$t->wait_for(sub { audit_lines(@files) >= @ids }, 'rotation: all lines');
cmp_ok(scalar(grep { -s "$dir/$_" } @files), '>', 2,
	"rotation: in several of $rotations files");

my (%logged, %torn);

for my $file (@files) {
	my $text = $t->read($file);
	$torn{"$file ends in the middle"} = 1 if $text =~ /[^\n]\z/;

	for (split /\n/, $text) {
		/^\{"time":"[^"]+","request_id":"(\w{16})",
			.*"seconds":"[\d.]+"\}\z/x ? $logged{$1}++
			: ($torn{$_} = 1);
	}
}

is(join("\n", sort keys %torn), '', 'rotation: no line is torn');
is(scalar @ids, 3 * $each, 'rotation: all were answered');
is_deeply([grep { ($logged{$_} // 0) != 1 } @ids], [],
	'rotation: each is logged once');

$t->done();
