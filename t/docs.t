# The documentation: every configuration in it is one that nginx accepts,
# recipes are run, the examples of the policy language are judged, and the
# reference and the source say the same.

###############################################################################

use v5.36;

use Digest::SHA qw/ hmac_sha256 /;
use File::Basename;
use JSON::PP;
use MIME::Base64 qw/ encode_base64 encode_base64url decode_base64url /;
use Test::More;

use lib 't/lib';
use Docs;
use S3Abort;

###############################################################################

my @FILES = (qw/ README.md CHANGES.md SECURITY.md /, sort glob 'docs/*.md');

my %text = map { $_ => Docs::slurp($_) } @FILES, 'examples/nginx.conf.in';
my %source = map { $_ => Docs::slurp($_) } glob 'src/*.[ch]';

# strings of C, without the ends of lines in them
my $source = join('', @source{sort keys %source}) =~ s/"\s*\n\s*"//gr;

my $HOST = 's3.example.com';
my $ID = '0000015a-df89-51d0-2790-dee1ac994053';

# what the documentation has for keys
my %KEY = (
	acme => [ACME7EXAMPLE => 'zUPbzy2OFX5dRCXGAmBuLcPpPJKS4EXAMPLE'],
	globex => [GLOBEX1EXAMPLE => 'o9tWrUBYYfUcIWxYyzDZlYYdBqCmREXAMPLE'],
	ops => [OPS1EXAMPLE => 'OPS/secret+that+is+of+this+test'],
);

###############################################################################
#
# What the configurations need

# answers may have the headers that examples add, and those of a front proxy

my $t = S3Abort->new(headers => { map { $_ => 1 } qw/ vary server
	access-control-allow-origin access-control-expose-headers / });

$t->certificate('ca', ca => 1);
$t->certificate('tenants-ca', ca => 1);
$t->certificate($HOST, san => [$HOST, "*.$HOST", 'localhost']);

my %client = map { $_->[0] => $t->certificate(@$_, client => 1) }
	['acme', issuer => 'tenants-ca'],
	['organised', issuer => 'tenants-ca', cn => 'O=x,CN=acme'],
	['stranger', issuer => 'ca', cn => 'acme'];

my %SERVER = (
	'kr.object.ncloudstorage.com' => 'kr',
	'us.object.ncloudstorage.com' => 'us',
	'kr.ncloudstorage.com' => 'kr',
);

my %storage = map { $_ => $t->storage($_, region => "$_-standard",
	host => "$_.object.ncloudstorage.com", tls => $t->certificate(
	"tls.$_", issuer => 'ca', san => ["$_.object.ncloudstorage.com"])) }
	qw/ kr us /;

# other services of the examples, by their ports

my $secret = $t->canary('CANARY/of/the/issuer/of/tokens');

my %SERVICE = (
	9000 => sub ($r) {
		my ($name) = ($r->{header}{cookie} // '') =~ /^who=(\w*)\z/;
		return { status => $name ? 200 : 403, body => '',
			headers => [['X-Tenant', $name // '']] };
	},

	9001 => sub ($r) {
		my $subject = subject($r->{header}{authorization} // '');
		return { status => $subject ? 200 : 401, body => '',
			headers => [['X-Subject', $subject],
			['WWW-Authenticate', 'Bearer']] };
	},
);

$t->decoy("service_$_", answer => $SERVICE{$_}) for keys %SERVICE;

$t->write("$_.credentials", join('', map { $storage{kr}->credentials($_) }
	qw/ default gateway kr /) . $storage{us}->credentials('us'), 0640)
	for qw/ ncloud storage /;
$t->write_keys('tenants.keys', join '', map { "$_ @{$KEY{$_}}\n" }
	sort keys %KEY);
$t->write('passwords', "acme:{PLAIN}password\n");

mkdir $t->dir() . "/$_" for qw/ rules s3_abort /;
$t->write('rules/acme.conf', "allow tenant=acme bucket=media;\n");

###############################################################################
#
# The blocks

my @blocks = map { Docs::blocks($_) } @FILES;

# The names of the directives at the top level of a configuration.

sub directives($conf) {
	my ($depth, @names) = (0);

	$conf =~ s/"(?:\\.|[^"])*"/""/gs;
	$conf =~ s/\$\{(\w+)\}/\$$1/g;
	$conf =~ s/#.*//g;

	while ($conf =~ /([{};])|([^\s{};]+)[^{};]*/g) {
		if (defined $2) {
			push @names, $2 if $depth == 0;

		} else {
			$depth += $1 eq '{' ? 1 : $1 eq '}' ? -1 : 0;
		}
	}

	return @names;
}

my %HTTP = map { $_ => 1 } qw/ server upstream map geo log_format
	limit_req_zone s3_abort_endpoint s3_abort_policy s3_abort_zone /;

# A whole configuration out of a part of one; what the part takes for granted
# is put before it.

sub complete($part) {
	my %has = map { $_ => 1 } directives($part);

	return $part if $has{events};
	return "%%LOAD%%\n%%GLOBALS%%\nevents { }\n" . local_names($part)
		if $has{load_module};

	if ($has{http}) {
		$part =~ s/^http \{\n(.*)^\}\n/$1/ms
			or die "http:\n$part";

	} elsif (!grep { $HTTP{$_} } keys %has) {
		$part = "location / {\n$part}\n" unless $has{location};
		$part = "server {\nlisten 8080;\n$part}\n";
	}

	return "%%LOAD%%\n%%GLOBALS%%\nevents { }\n\nhttp {\n%%HTTP%%\n"
		. "error_log %%TESTDIR%%/error.log info;\n"
		. local_names(taken_for_granted($part)) . "}\n";
}

sub taken_for_granted($part) {
	my %endpoints = map { $_ => 1 } $part =~ /s3_abort_pass\s+(\w+)\s/g,
		$part =~ /s3_abort_explain.*endpoint=(\w+)/g;
	my %policies = map { $_ => 1 } $part =~ /(?:policy|candidate)=(\w+)/g;
	my $before = '';

	for (sort keys %endpoints) {
		$before .= "s3_abort_endpoint $_ {\n"
			. "url https://kr.object.ncloudstorage.com;\n"
			. "region kr-standard;\ncredentials "
			. "/etc/nginx/s3_abort/ncloud.credentials;\n}\n"
			unless $part =~ /s3_abort_endpoint\s+$_\s/;
	}

	for (sort keys %policies) {
		$before .= "s3_abort_policy $_ {\nallow bucket=media "
			. "key=uploads/\$s3_abort_tenant/*;\n}\n"
			unless $part =~ /s3_abort_policy\s+$_\s/;
	}

	$before .= "s3_abort_identity trusted \$http_x_tenant;\n"
		if $part =~ /s3_abort_pass/ && $part !~ /s3_abort_identity/;

	return $before . $part;
}

# Files, ports and servers of this test in place of those of the examples.

sub local_names($conf) {
	my ($n, %port) = (0);

	$conf =~ s/^load_module\s.*\n//gm;

	$conf =~ s{\b(listen\s+)(?!unix:)([\w.:]+)}
		{$1 . ($port{$2} = '127.0.0.1:%%PORT_' . ++$n . '%%')}ge;
	$conf =~ s{\b(server\s+)(127\.0\.0\.1:8080)(?=;)}{$1$port{$2}}g;

	$conf =~ s{\bserver(\s+)([\w.]+):443}
		{"server$1%%STORAGE_$SERVER{$2}%%"}ge;
	$conf =~ s{\burl(\s+)https://([\w.]+\.com)(?=;)}
		{"url$1https://%%STORAGE_$SERVER{$2}%%; host $2"}ge;
	$conf =~ s{\bregion(\s+)(\S+);}
		{region$1$2; ssl_trusted_certificate %%TESTDIR%%/ca.crt;}g;
	$conf =~ s{(http://)127\.0\.0\.1:(9\d\d\d)}
		{$1%%STORAGE_service_$2%%}g;
	$conf =~ s{/(?:etc/nginx/(?:s3_abort/)?|var/log/nginx/|run/)}
		{%%TESTDIR%%/}g;

	return $conf;
}

###############################################################################
#
# nginx accepts them all

my $count = 0;

for (grep { $_->{lang} eq 'nginx' } @blocks) {
	my ($rc, $out) = $t->nginx_test(complete($_->{text}));
	is($rc, 0, "$_->{file}:$_->{line}: a configuration") or diag($out);
	$count++;
}

cmp_ok($count, '>', 20, 'there are configurations');

for (grep { $_->{lang} eq 'ini'
	&& $_->{text} =~ /^(?:aws|ncloud)_access_key_id/m } @blocks)
{
	my ($profile) = $_->{text} =~ /^\[(.*)\]$/m;
	my ($rc, $out) = files_test('ncloud.credentials', $_->{text},
		" profile=$profile");
	is($rc, 0, "$_->{file}:$_->{line}: credentials") or diag($out);
}

for (grep { $_->{lang} eq 'text' && $_->{text} =~ /EXAMPLE/ } @blocks) {
	my ($rc, $out) = files_test('tenants.keys', $_->{text});
	is($rc, 0, "$_->{file}:$_->{line}: keys") or diag($out);
}

# The examples of files, each in place of the file of this test.

sub files_test($name, $text, $more = '') {
	$t->write("example.$name", $text, 0640);
	my $conf = complete(<<'EOF');
s3_abort_endpoint ncloud_kr {
    url          https://kr.object.ncloudstorage.com;
    region       kr-standard;
    credentials  /etc/nginx/ncloud.credentials;
}

server {
    listen 8080;
    s3_abort_identity sigv4 keys=/etc/nginx/tenants.keys;
    s3_abort_pass ncloud_kr policy=tenants;
}
EOF

	return $t->nginx_test($conf =~ s/\Q$name\E/example.$name$more/r);
}

my $example = $text{'examples/nginx.conf.in'};

$t->write('storage.credentials', $storage{kr}->credentials(), 0640);
$t->write('tenants.htpasswd', "acme:{PLAIN}password\n");
$example =~ s/load_module\s+\@MODULE\@;/%%LOAD%%/;
$example =~ s/\@STORAGE\@/127.0.0.1:1/g;
$example =~ s/\@DIR\@/%%TESTDIR%%/g;
$example =~ s/\@PORT\@/%%PORT%%/g;
$example =~ s/\@SIGV4_PORT\@/%%PORT_2%%/g;

my ($rc, $out) = $t->nginx_test($example);
is($rc, 0, 'examples/nginx.conf.in') or diag($out);

###############################################################################
#
# Recipes: what works, and what is refused

# Runs the configuration below a heading, with changes.

sub serve($file, $heading, %change) {
	my $conf = Docs::text($file, $heading, 'nginx');

	$conf .= "server {\nlisten 8080;\nlocation / {\n"
		. "s3_abort_pass ncloud_kr policy=tenants;\n}\n}\n"
		unless grep { /^(?:http|server|location)\z/ || !$HTTP{$_} }
		directives($conf);

	while (my ($from, $to) = each %change) {
		$conf =~ s/\Q$from\E/$to/g
			or die "$file, \"$heading\" has no \"$from\"\n";
	}

	$t->stop();
	$t->run(complete($conf));
}

# A request: target, and of method, headers => [...], key => who signs,
# presigned, port, tls, from, unix.  Returns status, code and what was sent.

sub ask($target, %o) {
	return $t->request(bytes($target, %o), port => $o{port} // 1,
		$o{tls} ? (tls => { sni => $HOST, %{$o{tls}} }) : (),
		map { $o{$_} ? ($_ => $o{$_}) : () } qw/ from unix /);
}

sub bytes($target, %o) {
	my $headers = $o{headers} // [];
	my $host = $o{host} // $HOST;
	my $method = $o{method} // 'DELETE';

	if ($o{key}) {
		my ($access_key, $secret) = @{$KEY{$o{key}}};
		my %r = (access_key => $access_key, secret => $secret,
			region => $o{region} // 'kr-standard',
			target => $target, headers => [['Host', $host]]);
		my $r = $o{presigned} ? SigV4::presign(%r) : SigV4::sign(%r);

		$target = $r->{target};
		$headers = [@$headers, map { @$_ }
			grep { $_->[0] ne 'Host' } @{$r->{headers}}];
	}

	return S3Abort::request_bytes($method, $target, 'X-Tenant', undef,
		'Host', $host, @$headers);
}

sub answer($target, %o) {
	my $r = ask($target, %o);

	return $r->{status} . ($r->{code} && " $r->{code}") . wire();
}

sub wire {
	return join '', map { my $name = $_; map { " $name: $_->{target}" }
		$t->sent($name) } sort keys %storage;
}

# Commands of the documentation, and its programs, with names of this test in
# place of its own, and what they take for granted before them.

my %ran;

sub command($file, $heading, $n = 0, $before = '') {
	my $block = (Docs::below($file, $heading, 'sh'))[$n];
	my $dir = $t->dir();

	$ran{"$file:$block->{line}"} = 1;
	$t->write('commands', <<"EOF" . local_text($block->{text}));
nginx() { $t->{nginx} -p $dir/ -e $dir/nginx.log -c $dir/nginx.conf "\$@"; }
curl() { command curl -sfk --connect-to ::127.0.0.1:@{[$t->port()]} "\$@"; }
UPLOAD_ID=$ID
$before
EOF
	return output('bash', "$dir/commands");
}

sub program($file, $heading, $lang, $begin, $end = '') {
	my $text = join '', map { $_->{text} }
		Docs::below($file, $heading, $lang);
	my $port = $t->port();

	# minio's client
	$text =~ s/'s3\.example\.com'/'localhost'/;
	$text =~ s/port: 443/port: $port/;

	return output($lang eq 'js' ? 'node' : 'python3',
		$t->write("program.$lang", $begin . local_text($text) . $end));
}

sub local_text($text) {
	my $port = $t->port();
	my (undef, undef, $group) = $t->worker();

	$text =~ s!/(?:etc/nginx/(?:s3_abort\b/?)?|var/log/nginx/)!$t->{dir}/!g;
	$text =~ s!127\.0\.0\.1:8081!127.0.0.1:$port!g;
	$text =~ s!-u acme\b!$&:password!g;
	$text =~ s!\Q$HOST\E!localhost:$port!g if $text !~ /\bcurl /;
	$text =~ s! -o www-data -g adm!!g;
	defined $group ? $text =~ s!www-data!$group!g
		: $text =~ s!^chown.*\n| -o root -g www-data!!gm;

	return $text;
}

# The exit status and all output; Debian's programs, which trust the gateway.

sub output(@command) {
	my $dir = $t->dir();
	local %ENV = ((map { $_ => $ENV{$_} } grep { !/^AWS_|_proxy$/i }
		keys %ENV), HOME => $dir, PATH => "/usr/bin:$ENV{PATH}",
		AWS_EC2_METADATA_DISABLED => 'true',
		AWS_CA_BUNDLE => "$dir/$HOST.crt",
		NODE_EXTRA_CA_CERTS => "$dir/$HOST.crt",
		NODE_PATH => 'build/clients/node_modules');

	$t->write('.s3cfg', "[default]\nca_certs_file = $dir/$HOST.crt\n");
	$t->mark();
	my $output = qx/timeout 60 @command 2>&1/;
	return ($? >> 8, $output);
}

# It succeeds, and these requests are sent.

sub runs($name, $wire, $status, $output) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($status . wire(), "0$wire", $name) or diag($output);
}

my $q = "?uploadId=$ID";
my $own = "/media/uploads/acme/film.mov$q";
my $foreign = "/media/uploads/globex/film.mov$q";
my $pinned = "/media/uploads/acme/a.pinned$q";
my $sent = "204 kr: $own";
my $denied = '403 AccessDenied';

my %tls = (tls => {});
my %acme = (%tls, key => 'acme');

system('t/clients/install') == 0 or BAIL_OUT('no npm clients');

serve('README.md', 'A minimal configuration');
is(answer($own, %acme), $sent, 'README: own');
is(answer($foreign, %acme), $denied, 'README: foreign');
is(answer($own, %tls), $denied, 'README: no signature');
is(answer('/media/uploads/acme/film.mov?uploadId=', %acme),
	'400 InvalidArgument', 'README: nearly an abort');
is(answer('/media/uploads/acme/film.mov', %acme), '501 NotImplemented',
	'README: an object');
runs('README: awscli', " kr: $own", command('README.md',
	'A minimal configuration', 0, <<"EOF"));
export AWS_ACCESS_KEY_ID=$KEY{acme}[0] AWS_SECRET_ACCESS_KEY=$KEY{acme}[1]
EOF

serve('docs/directives.md', 'Directives');
is(answer($own, %acme), $sent, 'directives: own');
is(answer("/uploads/acme/film.mov$q", %acme, host => "media.$HOST"), $sent,
	'directives: virtual-host style');
is(answer($foreign, %acme), $denied, 'directives: foreign');
is(answer($foreign, %tls, key => 'ops'), "204 kr: $foreign",
	'directives: ops');
is(answer("/media/a.pinned$q", %tls, key => 'ops'), $denied,
	'directives: pinned');
is(answer('/media/a?uploadId=A', %tls, key => 'ops'), $denied,
	'directives: of unknown age');
my @operator = (method => 'GET', port => 2);
my $explain = '/explain?tenant=acme&bucket=media&key=a&uploadId=A';
like(ask('/metrics', @operator)->{body},
	qr/^s3_abort_outcomes_total\{.*"ABORTED"\} 3$/m, 'directives: status');
like(ask($explain, @operator)->{body}, qr/"verdict": "DENIED"/,
	'directives: explain');
is(ask($explain, @operator, from => '127.0.0.2')->{status}, 403,
	'directives: explain, from elsewhere');

serve('docs/directives.md', 's3_abort_target');
is(answer('/media/film.mov?uploadId=A', headers => ['X-Tenant', 'acme']),
	$denied, 's3_abort_target: the policy judges the target');

serve('docs/variables.md', 'Audit log');
my $r = ask($own, key => 'acme', presigned => 1);
is($r->{status}, 204, 'audit log: an abort');
ask('/media/k?uploadId=');
ask('/media/k', method => 'GET');
$t->wait_for(sub { (() = $t->read('s3_abort.log') =~ /\n/g) == 3 },
	'audit log: three lines');

my @log = map { decode_json($_) } split /\n/, $t->read('s3_abort.log');
is($log[0]{request_id}, $r->{headers}{'x-amz-request-id'},
	'audit log: request id');
is_deeply({ map { $_ => $log[0]{$_} } qw/ tenant access_key key upload_id
	target decision outcome error status storage_status / }, {
	tenant => 'acme', access_key => 'ACME7EXAMPLE', upload_id => $ID,
	key => 'uploads/acme/film.mov', target => 'media/uploads/acme/film.mov',
	decision => 'ALLOWED', outcome => 'ABORTED', error => '',
	status => 204, storage_status => 204 }, 'audit log: what it says');
unlike($t->read('s3_abort.log'), qr/Signature=[^&"]/,
	'audit log: no signature');
is("$log[1]{decision} $log[1]{error} $log[2]{error}",
	'INVALID InvalidArgument NotImplemented', 'audit log: refusals');

my (undef, $found) = command('docs/operations.md', 'Audit', 0,
	"REQUEST_ID=$r->{headers}{'x-amz-request-id'}");
is_deeply(decode_json($found), $log[0], 'audit log: found by request id');

# what nginx refuses before it knows a location is there, too

ask($own, key => 'acme', presigned => 1, headers => ['X-Big', 'x' x 40_000]);
$t->wait_for(sub { (() = $t->read('s3_abort.log') =~ /\n/g) == 4 },
	'audit log: a header that is too large');
my $last = decode_json(($t->read('s3_abort.log') =~ /(.*)\n/g)[-1]);
is($last->{status}, 400, 'audit log: refused');
like($last->{uri}, qr/X-Amz-Signature=(?:&|\z)/, 'audit log: no signature');

runs('audit log: made for some', '', command('docs/operations.md', 'Audit', 1));
is(sprintf('%o', (stat $t->dir() . '/s3_abort.log')[2] & 07777), 640,
	'audit log: its mode');
runs('audit log: rotated', '', command('docs/operations.md', 'Rotating logs'));
$t->wait_for(sub { -e $t->dir() . '/s3_abort.log' }, 'audit log: a new one');
is(answer($own, key => 'acme'), $sent, 'audit log: rotated, an abort');
$t->wait_for(sub { $t->read('s3_abort.log') =~ /\n/ },
	'audit log: rotated, a line');

###############################################################################
#
# Policies

serve('docs/policy.md', 'Why a policy decides');

my (undef, $explained) = command('docs/policy.md', 'Why a policy decides');
my $want = Docs::text('docs/policy.md',
	'Why a policy decides', 'json');

is($explained =~ s!"/\S+?:\d+"!"FILE"!gr, $want =~ s!"/\S+?:\d+"!"FILE"!gr,
	'explain: as it is shown');
is(ask('/explain?tenant=acme&bucket=media&key=a&uploadId=A', method => 'GET',
	from => '127.0.0.2')->{status}, 403, 'explain: from elsewhere');

serve('docs/policy.md', 'Trying out a policy');
is(answer($own, key => 'acme'), $sent, 'candidate: not obeyed');
unlike($t->error_log('warn'), qr/candidate/, 'candidate: no difference');
is(answer($pinned, key => 'acme'), "204 kr: $pinned",
	'candidate: not obeyed either');

$want = Docs::text('docs/policy.md', 'Trying out a policy',
	'text');
$want = quotemeta $want =~ s!/etc.*!!sr;
like($t->error_log('warn'), qr/$want\S+:\d+,/, 'candidate: as it is shown');

serve('docs/policy.md', 'Moving an IAM policy over',
	'192.0.2.0/24' => '127.0.0.2');

my @by_acme = (headers => ['X-Tenant', 'acme']);

is(answer($own, @by_acme), $sent, 'IAM: allowed');
is(answer($foreign, @by_acme), $denied, 'IAM: not allowed');
is(answer($pinned, @by_acme), $denied, 'IAM: denied outside');
is(answer($pinned, @by_acme, from => '127.0.0.2'), "204 kr: $pinned",
	'IAM: not denied inside');

# The tables of examples: each row is a policy of its own.

my ($policies, $locations, @rows) = ('', '');

for (split /\n/, $text{'docs/policy.md'}) {
	my @cells = map { s/^\s+|\s+$//gr } split /\|/;
	my $verdict = $cells[-1] // '';
	next unless $verdict =~ /^(?:allowed|denied)\z/;

	my $n = @rows;
	my ($rules, @rest) = map { s/^`(.*)`\z/$1/r } @cells[1 .. $#cells - 1];

	$rules = '' if $rules eq 'none at all';
	$policies .= "s3_abort_policy p$n {\n$rules\n}\n";
	$locations .= "location /p$n/ { s3_abort_base_path /p$n; "
		. "s3_abort_pass ncloud_kr policy=p$n; }\n";
	push @rows, [$rules, @rest, $verdict];
}

$t->stop();
$t->run(complete("$policies server {\nlisten 8080;\n$locations}\n"));
cmp_ok(scalar @rows, '>', 30, 'policy: there are examples');

for my $n (0 .. $#rows) {
	my ($rules, @cells) = @{$rows[$n]};
	my $verdict = pop @cells;
	my ($tenant, $name, $id) = @cells == 2 ? (@cells, $ID)
		: ('acme', 'media/a', @cells);

	is(ask("/p$n/" . SigV4::uri_encode($name, '/') . "?uploadId=$id",
		headers => ['X-Tenant', $tenant])->{status},
		$verdict eq 'allowed' ? 204 : 403,
		"policy: $rules: $tenant, $name, $id: $verdict");
}

###############################################################################
#
# Identities

serve('docs/identity.md', 'Keys of the gateway');
is(answer($own, %acme), $sent, 'sigv4: own');
is(answer($foreign, %acme), $denied, 'sigv4: foreign');
is(answer($own, %tls), $denied, 'sigv4: none');
is(answer("/uploads/acme/film.mov$q", %acme, host => "media.$HOST"), $sent,
	'sigv4: virtual-host style');

my $python = Docs::text('docs/identity.md',
	'Presigned aborts', 'python');
$t->write('presign.py', "upload_id = '$ID'\n${python}print(url)\n");
my $url = qx!/usr/bin/python3 $t->{dir}/presign.py!;
my ($host, $path) = $url =~ m!^https://([^/]+)(/\S+)\n\z!
	or die "no URL: $url\n";
is(answer($path, %tls, host => $host), $sent, 'sigv4: presigned by boto3');
is(answer($path =~ s/film/file/r, %tls, host => $host),
	'403 SignatureDoesNotMatch', 'sigv4: another key than presigned');

runs('sigv4: a presigned URL', " kr: $own", command('docs/identity.md',
	'Presigned aborts', 0, "url='" . $url =~ s/\n\z//r . "'"));

for (['awscli'], ['s3cmd'], ['curl', 1]) {
	runs("clients: $_->[0]", " kr: $own", command('docs/clients.md', @$_));
}

runs('clients: boto3', " kr: $own", program('docs/clients.md', 'boto3',
	'python', "upload_id = '$ID'\n"));

my @async = ("const uploadId = '$ID'; (async () => {\n", '})();');
runs('clients: @aws-sdk/client-s3, and presigned', " kr: $own" x 2, program(
	'docs/clients.md', 'AWS SDK for JavaScript', 'js', @async));
runs('clients: minio', " kr: $own", program('docs/clients.md', 'MinIO', 'js',
	@async));

# a key is issued as shown, and replaces another: both, then the new one

runs('sigv4: issuing a key', '', command('docs/identity.md',
	'Keys of the gateway'));

$KEY{new} = [$t->read('tenants.keys') =~ /^acme (ACME\w{12}) (\S{40})$/m];
$t->canary($KEY{new}[1]);
$t->reload();
is(answer($own, %acme), $sent, 'sigv4: rotation, the old key');
is(answer($own, %tls, key => 'new'), $sent, 'sigv4: rotation, the new key');
$t->write_keys('tenants.keys', $t->read('tenants.keys')
	=~ s/^acme ACME7.*\n//mr);
$t->reload();
is(answer($own, %acme), '403 InvalidAccessKeyId',
	'sigv4: rotation, the old key is gone');
is(answer($own, %tls, key => 'new'), $sent, 'sigv4: rotation, the new stays');
$t->write_keys('tenants.keys', $t->read('tenants.keys')
	. "acme @{$KEY{acme}}\n");

serve('docs/identity.md', 'Behind another proxy');
is(answer($own, %acme), $sent, 'behind a proxy');
is(answer("/media/uploads/acme/a%20b//%C3%A9$q", %acme),
	"204 kr: /media/uploads/acme/a%20b//%C3%A9$q",
	'behind a proxy: a difficult key');
is(answer($foreign, %acme), $denied, 'behind a proxy: foreign');

serve('docs/identity.md', 'Behind another proxy',
	'$http_host' => '$proxy_host');
is(answer($own, %acme), '403 SignatureDoesNotMatch',
	'behind a proxy that changes the host');

serve('docs/identity.md', 'Client certificates');
is(answer($own, tls => $client{acme}), $sent, 'certificate: own');
is(answer($foreign, tls => $client{acme}), $denied, 'certificate: foreign');
is(answer($own, %tls), $denied, 'certificate: none');
is(answer($own, tls => $client{organised}), $denied,
	'certificate: another common name');
is(ask($own, tls => $client{stranger})->{status}, 400,
	'certificate: of another CA');

my $basic = sub ($who) {
	(headers => ['Authorization', 'Basic ' . encode_base64($who, '')]) };

serve('docs/identity.md', 'Passwords');
is(answer($own, %tls, $basic->('acme:password')), $sent, 'password: own');
is(answer($foreign, %tls, $basic->('acme:password')), $denied,
	'password: foreign');
is(answer($own, %tls, $basic->('acme:wrong')), '401 AccessDenied',
	'password: wrong');
is(answer($own, %tls), '401 AccessDenied', 'password: none');
runs('password: curl', " kr: $own", command('docs/identity.md', 'Passwords'));
runs('clients: curl, password', " kr: $own",
	command('docs/clients.md', 'curl'));

serve('docs/identity.md', 'Another service decides');
is(answer($own, %tls, headers => ['Cookie', 'who=acme']), $sent,
	'auth_request: own');
is(($t->sent('service_9000'))[0]{header}{'x-original-uri'}, $own,
	'auth_request: what the service sees');
is(answer($foreign, %tls, headers => ['Cookie', 'who=acme']), $denied,
	'auth_request: foreign');
is(answer($own, %tls), $denied, 'auth_request: nobody');
is(ask('/check', %tls, method => 'GET', headers =>
	['Cookie', 'who=acme'])->{status}, 404,
	'auth_request: not from outside');

my $bearer = sub ($subject, $with = $secret) {
	my $token = join '.', map { encode_base64url($_) }
		'{"alg":"HS256","typ":"JWT"}', qq!{"sub":"$subject"}!;
	$token .= '.' . encode_base64url(hmac_sha256($token, $with));
	(headers => ['Authorization', "Bearer $token"]);
};

sub subject($authorization) {
	my ($signed, $mac) = $authorization =~ /^Bearer (.+)\.(.+)\z/
		or return '';

	return '' if decode_base64url($mac) ne hmac_sha256($signed, $secret);
	return decode_json(decode_base64url((split /\./, $signed)[1]))->{sub};
}

serve('docs/identity.md', 'Tokens');
is(answer($own, %tls, $bearer->('acme')), $sent, 'token: own');
is(answer($foreign, %tls, $bearer->('acme')), $denied, 'token: foreign');
is(answer($own, %tls, $bearer->('acme', 'guessed')), '401 AccessDenied',
	'token: of somebody else');
is(answer($own, %tls), '401 AccessDenied', 'token: none');

serve('docs/identity.md', 'A proxy that knows the tenant');
my %socket = (unix => $t->dir() . '/s3_abort/gateway.sock');
is(answer($own, %socket, @by_acme), $sent, 'a trusted proxy: own');
is(answer($foreign, %socket, @by_acme), $denied, 'a trusted proxy: foreign');
is(answer($own, %socket), $denied, 'a trusted proxy: nobody');

###############################################################################
#
# Operations

serve('docs/monitoring.md', 'A status page');
runs('status page', '', command('docs/monitoring.md', 'A status page'));
my @status = ('/s3_abort/status.html', method => 'GET');
like(ask(@status)->{body}, qr/<title>S3 aborts/, 'status page: there');
is(ask(@status, from => '127.0.0.2')->{status}, 403,
	'status page: from elsewhere');

serve('docs/operations.md', 'Source addresses');

my @started = $t->workers();
runs('reload', '', command('docs/operations.md', 'Reload'));
$t->wait_for(sub { my @now = $t->workers(); "@now" && "@now" ne "@started" },
	'reload: other workers');

mkdir $t->dir() . '/new';
$t->write('new/ncloud.credentials', "# new\n"
	. $t->read('ncloud.credentials'));

for (['docs/directives.md', 'Files', 0, 'cd ' . $t->dir() . '/new'],
	['docs/operations.md', "The storage's credentials", 0,
	'exec < ' . $t->dir() . '/new/ncloud.credentials'])
{
	my $file = $t->dir() . '/ncloud.credentials';

	$t->write('ncloud.credentials', '');
	runs("$_->[1]: installed", '', command(@$_));
	is(sprintf('%o', (stat $file)[2] & 07777), 640, "$_->[1]: its mode");
	is($t->read('ncloud.credentials'), $t->read('new/ncloud.credentials'),
		"$_->[1]: what it says");
}

chmod 0755, $t->dir();

serve('docs/operations.md', 'Rate limits');
$t->mark();
my %limited;
my $bytes = bytes($own, key => 'acme');
my @clients = map { $t->connect() } 1 .. 30;
$_->send($bytes) for @clients;
$limited{"$_->{status} $_->{code}"}++ for map { $_->answer() } @clients;
is(join(', ', sort keys %limited), '204 , 503 SlowDown',
	'rate limits: above the limit');
cmp_ok($limited{'204 '}, '>=', 11, 'rate limits: below');
is(scalar $t->sent('kr'), $limited{'204 '}, 'rate limits: none more is sent');
is(answer($foreign, key => 'globex'), "204 kr: $foreign",
	'rate limits: another tenant');

serve('docs/operations.md', 'Source addresses', '192.0.2.0/24' => '127.0.0.2');
is(answer($own, key => 'acme'), $sent, 'addresses: a tenant, from anywhere');
is(answer($own, key => 'ops'), $denied, 'addresses: outside');
is(answer($own, key => 'ops', from => '127.0.0.2'), $sent,
	'addresses: inside');
is(answer($own, key => 'ops', headers => ['X-Forwarded-For', '127.0.0.2']),
	$denied, 'addresses: claimed');

serve('docs/operations.md', 'Office hours', '$time_iso8601' => '$http_x_time');
is(answer($own, key => 'acme', headers => ['X-Time',
	"2026-11-20T$_:30:00+09:00"]), $sent, "office hours: $_")
	for qw/ 09 12 17 /;
is(answer($own, key => 'acme', headers => ['X-Time',
	"2026-11-20T$_:30:00+09:00"]), $denied, "office hours: $_")
	for qw/ 00 08 18 19 23 /;

serve('docs/operations.md', 'An endpoint for each tenant');
is(answer($own, key => 'acme'), $sent, 'an endpoint for each tenant: acme');
is(answer("/media-us/uploads/globex/a$q", key => 'globex'),
	"204 us: /media-us/uploads/globex/a$q",
	'an endpoint for each tenant: globex');
is(answer($foreign, key => 'globex'), $denied,
	'an endpoint for each tenant: the wrong bucket');

serve('docs/operations.md', 'CORS');
my @page = (Origin => 'https://app.example.com');
my $cors = sub ($r) { join ' ', map { $r->{headers}{$_} // '-' }
	map { "access-control-allow-$_" } qw/ origin methods / };

$r = ask($own, method => 'OPTIONS', headers => [@page,
	'Access-Control-Request-Method', 'DELETE']);
is("$r->{status} " . $cors->($r), "204 $page[1] DELETE", 'CORS: preflight');
$r = ask($own, key => 'acme', headers => [@page]);
is("$r->{status} " . $cors->($r), "204 $page[1] -", 'CORS: an abort');
$r = ask($foreign, key => 'acme', headers => [@page]);
is("$r->{status} " . $cors->($r), "403 $page[1] -", 'CORS: an error');
$r = ask($own, key => 'acme', headers => [Origin => 'https://evil.example']);
is("$r->{status} " . $cors->($r), '204 - -', 'CORS: another origin');

$t->stop();

###############################################################################
#
# Scaling out

serve('docs/scaling.md', 'Rate limits', 'storage 200' => 'storage 1');
$storage{kr}->answer({ status => 204, delay => 1 });
my $other = SigV4::sign(target => $own, region => 'kr-standard',
	access_key => $KEY{acme}[0], secret => $KEY{acme}[1],
	headers => [['Host', $HOST]]);
my $client = $t->connect();
$client->send(S3Abort::request_bytes('DELETE', $own, 'X-Tenant' => undef,
	map { @$_ } @{$other->{headers}}));
$t->wait_for(sub { $t->sent('kr') }, 'limit_conn: an abort is on its way');
is(answer($foreign, key => 'globex'), '503 SlowDown', 'limit_conn: another');
is($client->answer()->{status}, 204, 'limit_conn: the first one');
$storage{kr}->answer(204);
is(answer($foreign, key => 'globex'), "204 kr: $foreign",
	'limit_conn: after it');
$t->stop();

###############################################################################
#
# Kubernetes: what is named exists, and the gateway of the ConfigMap works with
# the files of the Secret

open my $yaml, '-|', '/usr/bin/python3', '-c', 'import json, sys, yaml;'
	. 'print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))',
	'examples/kubernetes.yaml' or die "python3: $!\n";
my %object = map { $_->{kind} => $_ } @{decode_json(join '', <$yaml>)};
close $yaml or die "examples/kubernetes.yaml cannot be read\n";

my $deployment = $object{Deployment}{spec};
my $pod = $deployment->{template};
my ($container) = @{$pod->{spec}{containers}};
my %volume = map { $_->{name} => $_ } @{$pod->{spec}{volumes}};
my %mount = map { $_->{mountPath} => $volume{$_->{name}} }
	@{$container->{volumeMounts}};
my %listens = map { $_->{name} => $_->{containerPort} }
	@{$container->{ports}};
my $files = $object{ConfigMap}{data};
my $secrets = $object{Secret}{stringData};

is($mount{'/etc/nginx/conf'}{configMap}{name},
	$object{ConfigMap}{metadata}{name}, 'Kubernetes: the ConfigMap');
is($mount{'/etc/nginx/s3_abort'}{secret}{secretName},
	$object{Secret}{metadata}{name}, 'Kubernetes: the Secret');
is($mount{$_}{secret}{defaultMode}, 0440, "Kubernetes: mode in $_")
	for qw! /etc/nginx/s3_abort /etc/nginx/tls !;
is_deeply([sort map { $_->{name} } @{$container->{volumeMounts}}],
	[sort keys %volume], 'Kubernetes: volumes');
is_deeply($_, $pod->{metadata}{labels}, 'Kubernetes: labels')
	for $deployment->{selector}{matchLabels},
	$object{Service}{spec}{selector};
is_deeply([$files->{'nginx.conf'} =~ /listen\s+(\d+)/g],
	[@listens{qw/ https status /}], 'Kubernetes: ports');
is($pod->{metadata}{annotations}{'prometheus.io/port'}, $listens{status},
	'Kubernetes: the port of the metrics');
is_deeply([map { $_->{targetPort} } @{$object{Service}{spec}{ports}}],
	['https'], 'Kubernetes: the port of the Service');
is_deeply([map { $container->{$_}{httpGet} } qw/ readinessProbe
	livenessProbe /], [({ path => '/healthz', port => 'status' }) x 2],
	'Kubernetes: probes');

like($files->{'nginx.conf'}, qr!^ {4}access_log +/dev/stdout!m,
	'Kubernetes: no server has a log of its own in a file');
is($pod->{spec}{automountServiceAccountToken} ? 1 : 0, 0,
	'Kubernetes: no token of the cluster');

mkdir $t->dir() . "/$_" for qw/ conf tls /;
$t->write("tls/tls.$_", $t->read("$HOST.$_")) for qw/ crt key /;
$t->write("conf/$_", $files->{$_}) for keys %$files;

($rc, $out) = files_test('ncloud.credentials',
	$secrets->{'storage.credentials'});
is($rc, 0, 'Kubernetes: credentials') or diag($out);

my ($user, undef, $users_group) = $t->worker();

$t->write('tenants.keys', $secrets->{'tenants.keys'}, 0640);
$t->run("%%LOAD%%\ndaemon off;\n" . ($user ? "user $user $users_group;\n" : '')
	. local_names($files->{'nginx.conf'}) =~ s/http \{\n/http {%%HTTP%%\n/r
	=~ s!/dev/stdout!%%TESTDIR%%/audit.log!r);

is(answer($own, %acme), $sent, 'Kubernetes: own');
is(answer($foreign, %acme), $denied, 'Kubernetes: foreign');
is(ask('/healthz', method => 'GET', port => 2)->{status}, 204,
	'Kubernetes: a probe');
like(ask('/metrics', method => 'GET', port => 2)->{body},
	qr/^s3_abort_outcomes_total\{.*"ABORTED"\} 1$/m, 'Kubernetes: metrics');
$t->wait_for(sub { $t->read('audit.log')
	=~ /"decision":"ALLOWED".*\n.*"decision":"DENIED"/ },
	'Kubernetes: audit log');
$t->stop();

###############################################################################
#
# All commands are run: above, or by what is here.  What takes too long for that
# is run in parts (make bench, make fuzz-long); what installs packages is run in
# a Debian of its own, or is how the machine of these tests was set up.

my %ELSEWHERE = (
	'make run' => ['t/example.t', 'examples/run'],
	'make test' => ['.ci/run', 'make test'],
	'make package' => ['t/package.t', 'build/package'],
	'tools/install build' => ['Makefile', 'test-parts: $(MODULE)'],
	'./configure' => ['tools/build-nginx', '--add-module'],
	'tools/build-nginx' => ['Makefile', 'TEST_NGINX_BINARY=$(BUILD)'],
	'make bench' => ['Makefile', 't/bench/instructions'],
	'make soak' => ['t/soak.t', '$ENV{SOAK_SECONDS}'],
	'make fuzz-long' => ['t/fuzz.t', '$ENV{TEST_FUZZ_SECONDS}'],
	'apt install' => ['t/package.t', 'dpkg -i'],
	'apt-get update' => ['t/package.t', 'dpkg -i'],
	'rclone' => ['t/clients.t', "Docs::text('docs/clients.md', 'rclone'"],
);

for my $block (grep { $_->{lang} eq 'sh' } @blocks) {
	my $name = "$block->{file}:$block->{line}";
	my ($command) = grep { index($block->{text}, $_) == 0 } keys %ELSEWHERE;
	my ($test, $what) = $block->{file} eq 'docs/install.md' && !$command
		? ('t/package.t', $block->{heading})
		: $block->{file} eq 'docs/getting-started.md' && !$command
		? ('t/getting_started.t', $block->{heading})
		: @{$ELSEWHERE{$command // ''} // []};

	ok($ran{$name} || $test && index(Docs::slurp($test), $what) >= 0,
		"$name: commands that are run");
}

###############################################################################
#
# The reference and the source

my %CONTEXT = (
	NGX_HTTP_S3_ABORT_LEVELS => 'http, server, location',
	NGX_HTTP_MAIN_CONF => 'http', NGX_HTTP_SRV_CONF => 'server',
	NGX_HTTP_LOC_CONF => 'location', NGX_HTTP_LIF_CONF => 'if in location',
	NGX_HTTP_LMT_CONF => 'limit_except',
);

my $version = join '|', map { quotemeta }
	$text{'CHANGES.md'} =~ /^## (\d+\.\d+\.\d+)/mg;
$version = qr/(?:$version)/;

my (%in_source, %in_docs);

my $defined = qr/\{ ngx_string\("(s3_abort_\w+)"\),\s*(NGX_HTTP[^,]+),/;

while ($source =~ /$defined/g) {
	my ($name, $flags) = ($1, $2);
	$in_source{$name} = join ', ', map { $CONTEXT{$_} // () }
		split /[|\s]+/, $flags;
}

$in_source{$_} = 's3_abort_endpoint'
	for $source =~ /ngx_http_s3_abort_ep\("(\w+)",/g;

while ($text{'docs/directives.md'} =~ /^### (\w+)\n\n((?:    .*\n)+)/mg) {
	my ($name, $box) = ($1, $2);
	my ($context) = $box =~ /^    Context:  (.*)$/m;

	$in_docs{$name} = $context // 'none';
	my $syntax = qr/    Syntax:   $name .*\n(?: {14}$name .*\n)*/;
	my $default = qr/    Default:  (?:-|$name .*)\n/;
	my $rest = qr/    Context:  .*\n    Since:    $version\n/;
	like($box, qr/^$syntax$default$rest\z/, "$name: its form");
}

is_deeply(\%in_docs, \%in_source, 'directives, and where they may stand');

my %variables = map { $_ => 1 } $source
	=~ /ngx_string\("(s3_abort_\w+)"\), NULL,/g,
	map { "s3_abort_$_" } $source =~ /ngx_http_s3_abort_var\("(\w+)"/g;

is_deeply([sort $text{'docs/variables.md'}
	=~ /^### \$(\w+)\n\n    Since:  $version\n\n/mg],
	[sort keys %variables], 'variables');

is_deeply([sort { $a cmp $b } $text{'docs/directives.md'}
	=~ /^\| .*/mg ? map { /`(\w+[=~])/g } grep { /^\| `\w+[=~]/ }
	split /\n/, $text{'docs/directives.md'} : ()],
	[sort { $a cmp $b } $source
	=~ /\{ ngx_string\("(\w+[=~])"\), S3_CONDITION/g], 'conditions');

my %metrics = map { ("s3_abort_$_" => 1) }
	$source =~ /ngx_http_s3_abort_help\("(\w+)"/g;

is_deeply([sort $text{'docs/monitoring.md'} =~ /^\| `(s3_abort_\w+)`/mg],
	[sort keys %metrics], 'metrics');

my %codes = map { $_ => 1 } $source
	=~ /s3_error_entry\(\w+, \d+,\s*"(\w+)"/g;
my %table = map { $_ => 1 } $text{'docs/operations.md'}
	=~ /^\| ([A-Z]\w+) \| [45]/mg;

is_deeply(\%table, \%codes, 'error codes');

# log lines: the longest part without names

my $level = qr/ \| (?:warn|error|notice|alert) \| /;

for my $line ($text{'docs/operations.md'} =~ /^\| (`.*?)$level/mg) {
	for ($line =~ /`([^`]+)`/g) {
		my ($part) = sort { length $b <=> length $a }
			split /"?\b[A-Z]+\b"?|"\$[A-Z]+"|AccessDenied|\.{3}/,
			$_ eq 'open() "FILE" failed' ? '' : $_;
		$part = ($part // '') =~ s/^\s+|\s+$//gr;
		ok(index($source =~ s/\\"/"/gr, $part) >= 0, "log line: $_");
	}
}

# whatever is named exists

my %known = (%in_source, %metrics);

for my $file (@FILES) {
	my %named = map { $_ => 1 } $text{$file}
		=~ /(?<![\w\$.\/{#-])(s3_abort_\w+)/g;
	is_deeply([grep { !$known{$_} } sort keys %named], [],
		"$file: directives");

	%named = map { $_ => 1 } $text{$file} =~ /\$\{?(s3_abort_\w+)/g;
	is_deeply([grep { !$variables{$_} } sort keys %named], [],
		"$file: variables");

	is_deeply([grep { !$source{"src/$_"} } $text{$file}
		=~ /\b((?:ngx_http_s3_abort|s3)_?\w*\.[ch])\b/g], [],
		"$file: sources");
}

is_deeply([grep { $text{'docs/architecture.md'} !~ /`\Q$_\E`/ }
	grep { !/^s3_.*\.h$/ || $_ eq 's3_string.h' }
	map { basename($_) } sort keys %source], [],
	'architecture: all sources');

# promises have tests, and what is named of the sources is there

my $security = $text{'docs/security.md'};

is_deeply([$security =~ /^\*\*(.*?)\.\*\*/mg],
	[$security =~ m!^\| ([^|]+?) \| [^|]+ \| `t/[^|]+ \|$!mg],
	'promises, and how each is tested');

my $directory = qr!(?:t|src|tools|examples|monitoring)/!;

for my $file (@FILES) {
	is_deeply([grep { !grep { -e } glob }
		$text{$file} =~ m!(?<=[`\s])($directory[\w./*-]+\w)!g],
		[], "$file: files");
}

###############################################################################
#
# Links

is_deeply([grep { index($text{'README.md'}, "]($_)") < 0 } glob 'docs/*.md'],
	[], 'README: all documents');

sub anchors($file) {
	my $text = $text{$file} =~ s/^```.*?^```$//gmsr;

	return map { lc() =~ s/[^\w\- ]//gr =~ s/ /-/gr } $text
		=~ /^#+ (.*)$/mg;
}

for my $file (@FILES) {
	my @broken;

	for ($text{$file} =~ /\]\(([^)\s]+)\)/g) {
		next if m!^https?://!;
		my ($path, $anchor) = /^([^#]*)(?:#(.*))?\z/;
		my $to = $path eq '' ? $file : dirname($file) . "/$path";

		1 while $to =~ s!^\./|(?:^|(?<=/))[^/.]+/\.\./!!;
		push @broken, $_ unless -e $to
			&& (!defined $anchor || $text{$to}
			&& grep { $_ eq $anchor } anchors($to));
	}

	is_deeply(\@broken, [], "$file: links");
}

$t->done();
