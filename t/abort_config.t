# Configuration errors: each names the value at fault, the file and the line.

###############################################################################

use v5.36;

use POSIX;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $dir = $t->dir();

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

# A configuration with these parts; the line at fault ends in "# <--".

sub configuration(%part) {
	my $endpoint = $part{endpoint} // '%%ENDPOINT%%';
	my $policy = $part{policy} // 's3_abort_policy all { allow; }';
	my $identity = $part{identity}
		// 's3_abort_identity trusted $http_x_tenant;';
	my $pass = $part{pass} // 's3_abort_pass storage policy=all;';

	my $conf = <<"EOF";
%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    $endpoint
    $policy
@{[$part{http} // '']}

    server {
        listen 127.0.0.1:%%PORT%%;
        $identity
@{[$part{server} // '']}

        location / {
            $pass
@{[$part{location} // '']}
        }
    }
}
EOF

	return $conf;
}

sub result($conf) {
	my @lines = split /\n/, $conf;
	my ($line) = grep { $lines[$_ - 1] =~ /# <--/ } 1 .. @lines;
	my ($rc, $out) = $t->nginx_test($conf);

	return ($rc, $out, $line);
}

sub endpoint(%o) {
	my %d = (url => 'http://%%STORAGE%%', host => 'storage.test',
		region => 'kr-standard',
		credentials => '%%TESTDIR%%/storage.credentials', %o);
	my $more = delete $d{more} // '';

	return "s3_abort_endpoint storage {\n"
		. join('', map { defined $d{$_} ? "$_ $d{$_};\n" : '' }
		sort keys %d) . "$more\n}";
}

sub policy($rule) {
	return "s3_abort_policy all {\nallow bucket=media;\n$rule # <--\n}";
}

###############################################################################
#
# What is right

my @good = (
	['the plain one'],
	['all directives of an endpoint', endpoint => endpoint(more => q{
		service s3;
		addressing virtual;
		connect_timeout 1s;
		send_timeout 1s;
		read_timeout 1s;
		buffer_size 8k;
		bind 127.0.0.1;
		socket_keepalive on;
		next_upstream error timeout http_429 http_500 http_502 http_503
			http_504;
		next_upstream_tries 2;
		next_upstream_timeout 10s;
		ssl_verify off;
		ssl_verify_depth 2;
		ssl_name a.test;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_ciphers HIGH;
		ssl_session_reuse off;
		ssl_conf_command Options PrioritizeChaCha;
		allow_plaintext on;
		confirm on tries=10;
	})],
	(map { ["confirm $_", endpoint => endpoint(more => "confirm $_;")] }
		'on', 'off', 'ON', 'on tries=1', 'off tries=3'),
	['next_upstream off', endpoint => endpoint(more =>
		'next_upstream off;')],
	['plaintext that is allowed', endpoint =>
		endpoint(url => 'http://192.0.2.1', more =>
			'allow_plaintext on;')],
	['plaintext to loopback', endpoint => endpoint(url =>
		'http://127.8.9.1')],
	['plaintext to a name of loopback', endpoint => endpoint(url =>
		'http://localhost:8080')],
	['plaintext to IPv6 loopback', endpoint =>
		endpoint(url => 'http://[::1]:8080')],
	['https with the system\'s CAs', endpoint =>
		endpoint(url => 'https://127.0.0.1:8443')],
	['host is the url\'s', endpoint =>
		endpoint(url => 'http://127.0.0.1:8080', host => undef)],
	['upstream', http => 'upstream servers { server 127.0.0.1:8080; '
		. 'keepalive 4; }', endpoint =>
		endpoint(url => 'http://servers', host => 'storage.test')],
	['the least buffer_size', endpoint =>
		endpoint(more => 'buffer_size 1k;')],
	['a Unix-domain socket', endpoint =>
		endpoint(url => 'http://unix:/run/storage.sock')],
	['profile and refresh', endpoint => endpoint(credentials =>
		'%%TESTDIR%%/storage.credentials profile=default refresh=30s')],
	['quoted regex', policy => policy('allow "key~[0-9]{4}/.*";')],
	['glob and variables', policy => policy(
		'allow key=a/$s3_abort_tenant/*.p?g upload_id=${arg_a}*;')],
	['ages', policy => policy('deny younger_than=10m older_than=7d;')],
	['if=', policy => policy('deny if=$arg_x;')],
	['named group', policy => policy('allow "key~(?<tenant>[^/]+)/.*";')],
	['rule without conditions', policy => policy('deny;')],
	['empty policy', policy => 's3_abort_policy all { }'],
	['sigv4', identity =>
		's3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;'],
	['sigv4 with everything', identity =>
		's3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys '
		. 'refresh=30s region=kr-standard skew=5m;'],
	['certificate', identity =>
		's3_abort_identity certificate $ssl_client_s_dn;'],
	['target', location => 's3_abort_target bucket=t-$s3_abort_bucket '
		. 'key=$s3_abort_tenant/$s3_abort_key;'],
	['candidate', pass =>
		's3_abort_pass storage policy=all candidate=all;'],
	['off', pass => 's3_abort_pass off;'],
	['off below', server => 's3_abort_pass storage policy=all;',
		pass => 's3_abort_pass off;'],
	['variable endpoint', pass => 's3_abort_pass $arg_e policy=all;'],
	['zone and status', http => 's3_abort_zone zone=a:1m;', server =>
		'location = /m { s3_abort_status prometheus; } '
		. 'location = /j { s3_abort_status json; } '
		. 'location = /s { s3_abort_status; }'],
	['explain', server => 'location = /e { s3_abort_explain policy=all; }'],
	['explain with an endpoint', server =>
		'location = /e { s3_abort_explain policy=all '
		. 'endpoint=storage; }'],
	['domain, base path, log level', server => 's3_abort_domain '
		. 'gw.test s3.gw.test; s3_abort_base_path /s3; '
		. 's3_abort_log_level info;'],
	['satisfy any with sigv4', server => 'satisfy any;', identity =>
		's3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;'],
);

for (@good) {
	my ($name, %part) = @$_;
	my ($rc, $out) = result(configuration(%part));
	is($rc, 0, "good: $name") or diag($out);
}

###############################################################################
#
# What is wrong: name, what the message must match, parts.  With where => 0 the
# message is nginx's own, or about another file, and names no line.

my $sigv4 = 's3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys';

my @bad = (

	# endpoints

	['endpoint without a url', qr/url/, endpoint =>
		"s3_abort_endpoint storage {\nhost a.test;\nregion r;\n"
		. 'credentials %%TESTDIR%%/storage.credentials;' . "\n}"],
	['endpoint with a name that is none',
		qr/invalid name of s3_abort_endpoint "a b"/, endpoint =>
		"s3_abort_endpoint \"a b\" { # <--\n}"],
	['endpoint without a region', qr/region/,
		endpoint => endpoint(region => undef)],
	['endpoint without credentials', qr/credentials/,
		endpoint => endpoint(credentials => undef)],
	['upstream without a host', qr/host/, http =>
		'upstream servers { server 127.0.0.1:8080; }', endpoint =>
		endpoint(url => 'http://servers', host => undef)],
	['Unix-domain socket without a host', qr/host/, endpoint =>
		endpoint(url => 'http://unix:/run/s.sock', host => undef)],
	(map { ["confirm: $_", qr/"confirm"/,
		endpoint => endpoint(more => "confirm $_; # <--")] }
		'yes', 'no tries=1', '""', 'tries=3', 'on tries=0',
		'on tries=11', 'on tries=', 'on tries=-1', 'on tries=3s',
		'on tries=99999999999999999999', 'on 3', 'on retries=3',
		'on tries=1 tries=2', 'off tries=0'),
	['confirm: nothing', qr/"confirm"/,
		endpoint => endpoint(more => 'confirm; # <--')],
	['confirm: twice', qr/"confirm" directive is duplicate/,
		endpoint => endpoint(more => "confirm off;\n"
			. 'confirm off; # <--')],
	['two endpoints of a name', qr/"storage"/,
		http => '%%ENDPOINT%% # <--'],
	['endpoint without a name', qr/s3_abort_endpoint/,
		http => 's3_abort_endpoint { } # <--'],
	['unknown directive of an endpoint', qr/"proxy_pass"/,
		endpoint => endpoint(more =>
			'proxy_pass http://127.0.0.1; # <--')],
	['directive given twice', qr/"region".*duplicate|duplicate.*"?region/,
		endpoint => endpoint(more => 'region again; # <--')],
	['ftp', qr!"ftp://127.0.0.1"!, endpoint =>
		endpoint(url => 'ftp://127.0.0.1')],
	['url without a scheme', qr!"127.0.0.1"!, endpoint =>
		endpoint(url => '127.0.0.1')],
	['url with a path', qr!"http://127.0.0.1/a"!, endpoint =>
		endpoint(url => 'http://127.0.0.1/a')],
	['port too big', qr!127.0.0.1:99999!, endpoint =>
		endpoint(url => 'http://127.0.0.1:99999')],
	['F-36 plaintext', qr!"?http://192.0.2.1!, endpoint =>
		endpoint(url => 'http://192.0.2.1')],
	['F-36 plaintext, one server of an upstream', qr!"?http://servers!,
		http => 'upstream servers { server 127.0.0.1; '
		. 'server 192.0.2.1; }', endpoint =>
		endpoint(url => 'http://servers')],
	['host with a space', qr/"a b"/, endpoint => endpoint(host => '"a b"')],
	['host with a slash', qr!"a/b"!, endpoint => endpoint(host => 'a/b')],
	['region with a slash', qr!"a/b"!, endpoint => endpoint(region =>
		'a/b')],
	['empty region', qr/region/, endpoint => endpoint(region => '""')],
	['service with a slash', qr!"a/b"!,
		endpoint => endpoint(service => 'a/b')],
	['addressing', qr/"dns"/, endpoint => endpoint(addressing => 'dns')],
	['next_upstream', qr/"http_404"/, endpoint =>
		endpoint(next_upstream => 'error http_404')],
	['next_upstream non_idempotent', qr/"non_idempotent"/, endpoint =>
		endpoint(next_upstream => 'non_idempotent')],
	['read_timeout', qr/read_timeout/, endpoint =>
		endpoint(read_timeout => 'soon')],
	['buffer_size', qr/buffer_size/, endpoint =>
		endpoint(buffer_size => 'big')],
	['buffer_size of less than 1k', qr/"buffer_size" of less than 1k/,
		endpoint => endpoint(buffer_size => 1023)],
	['ssl_verify', qr/"maybe"/, endpoint => endpoint(ssl_verify =>
		'maybe')],
	['ssl_trusted_certificate that is absent', qr!none\.crt!, where => 0,
		endpoint =>
		endpoint(url => 'https://127.0.0.1', more =>
		'ssl_trusted_certificate %%TESTDIR%%/none.crt;')],
	['ssl_certificate without its key', qr/no "ssl_certificate_key"/,
		endpoint => endpoint(url => 'https://127.0.0.1', more =>
		'ssl_certificate %%TESTDIR%%/a.crt;')],
	['credentials: profile', qr/"none"/, where => 0, endpoint =>
		endpoint(credentials =>
		'%%TESTDIR%%/storage.credentials profile=none')],
	['credentials: refresh', qr/refresh=soon/, endpoint =>
		endpoint(credentials =>
		'%%TESTDIR%%/storage.credentials refresh=soon')],
	['credentials: parameter', qr/"secret=a"/, endpoint =>
		endpoint(credentials =>
			'%%TESTDIR%%/storage.credentials secret=a')],
	['unresolvable name', qr/nowhere\.invalid/, endpoint =>
		endpoint(url => 'https://nowhere.invalid')],

	# policies

	['two policies of a name', qr/"all"/,
		http => 's3_abort_policy all { } # <--'],
	['policy without a name', qr/s3_abort_policy/,
		http => 's3_abort_policy { } # <--'],
	['neither allow nor deny', qr/"permit"/,
		policy => policy('permit bucket=a;')],
	['unknown condition', qr/"color=red"/,
		policy => policy('allow color=red;')],
	['no condition', qr/"bucket"/, policy => policy('allow bucket;')],
	['a glob with a NUL', qr/NUL byte/,
		policy => policy("allow bucket=a\0b;")],
	['the same condition twice', qr/"key=b"/,
		policy => policy('allow key=a key=b;')],
	['regex for an endpoint', qr/"endpoint~a"/,
		policy => policy('allow endpoint~a;')],
	['glob that ends in a backslash', qr/a\\"/,
		policy => policy('allow "key=a\\\\";')],
	['glob with a lone dollar', qr/a\$"/, policy =>
		policy('allow key=a$;')],
	['unknown variable', qr/"nonesuch"/, where => 0,
		policy => policy('allow key=$nonesuch/*;')],
	['unknown variable in if=', qr/"nonesuch"/, where => 0,
		policy => policy('allow if=$nonesuch;')],
	['if= without a variable', qr/1"/, policy => policy('allow if=1;')],
	['if= with more than a variable', qr/arg_a/,
		policy => policy('allow if=$arg_a$arg_b;')],
	['H-03 broken regex', qr/\("/, policy => policy('allow "key~(";')],
	['H-03 \\C', qr/a\\C"/, policy => policy('allow "key~a\\\\C";')],
	['H-03 lookbehind of no fixed length', qr/\(\?<=a\+\)b"/,
		policy => policy('allow "key~(?<=a+)b";')],
	['H-03 callout', qr/\(\?\{1\}\)"/, policy =>
		policy('allow "key~(?{1})";')],
	['H-03 regex of 64 KB', qr/long/,
		policy => policy('allow "key~' . '(a)' x 22000 . '";')],
	['H-03 pattern that is no UTF-8', qr/UTF-8/,
		policy => policy("allow \"key~\xff\";")],
	['group tenant in a deny', qr/tenant/,
		policy => policy('deny "key~(?<tenant>.*)/x";')],
	['older_than', qr/soon"/,
		policy => policy('deny older_than=soon;')],
	['negative age', qr/-1"/,
		policy => policy('deny younger_than=-1;')],
	['no age', qr/"younger_than="/, policy =>
		policy('deny younger_than=;')],
	['upload_id= of nothing', qr/"upload_id="/,
		policy => policy('deny upload_id=;')],

	# identities

	['unknown mechanism', qr/"magic"/, identity =>
		's3_abort_identity magic $a; # <--'],
	['identity without a mechanism', qr/s3_abort_identity/, identity =>
		's3_abort_identity; # <--'],
	['identity given twice', qr/duplicate/,
		server => "$sigv4; # <--"],
	['trusted without a variable', qr/"alice"|"s3_abort_identity trusted"/,
		identity =>
		's3_abort_identity trusted alice; # <--'],
	['trusted with nothing', qr/"s3_abort_identity/, identity =>
		's3_abort_identity trusted; # <--'],
	['trusted with an unknown variable', qr/"nonesuch"/, where => 0,
		identity =>
		's3_abort_identity trusted $nonesuch; # <--'],
	['certificate with a parameter too many', qr/"s3_abort_identity/,
		identity => 's3_abort_identity certificate $arg_a b; # <--'],
	['sigv4 without keys', qr/keys|"s3_abort_identity"/, identity =>
		's3_abort_identity sigv4; # <--'],
	['sigv4: unknown parameter', qr/"color=red"/, identity =>
		"$sigv4 color=red; # <--"],
	['sigv4: skew', qr/"skew=long"/, identity => "$sigv4 skew=long; # <--"],
	['sigv4: a skew of more than a week', qr/"skew=604801"/,
		identity => "$sigv4 skew=604801; # <--"],
	['sigv4: keys twice', qr/keys=/, identity => "$sigv4 keys=a; # <--"],
	['sigv4: absent file', qr!none\.keys!, where => 0, identity =>
		's3_abort_identity sigv4 keys=%%TESTDIR%%/none.keys; # <--'],
	['sigv4 with a variable endpoint and no region', qr/region/,
		identity => "$sigv4;", pass =>
			's3_abort_pass $arg_e policy=all;'],

	# the rest

	['pass to an unknown endpoint', qr/"nowhere"/,
		pass => 's3_abort_pass nowhere policy=all; # <--'],
	['pass without a policy', qr/policy/,
		pass => 's3_abort_pass storage; # <--'],
	['pass with an unknown policy', qr/"none"/,
		pass => 's3_abort_pass storage policy=none; # <--'],
	['pass with an unknown candidate', qr/"none"/,
		pass => 's3_abort_pass storage policy=all '
		. 'candidate=none; # <--'],
	['pass with an unknown parameter', qr/"color=red"/,
		pass => 's3_abort_pass storage policy=all color=red; # <--'],
	['pass with two policies', qr/"policy=b"|duplicate/,
		pass => 's3_abort_pass storage policy=all policy=b; # <--'],
	['pass twice', qr/duplicate/,
		location => 's3_abort_pass storage policy=all; # <--'],
	['off and a policy', qr/policy=all|"off"/,
		pass => 's3_abort_pass off policy=all; # <--'],
	['pass without an identity', qr/identity/, identity => ''],
	['J-05 trusted and satisfy any', qr/satisfy/, server => 'satisfy any;'],
	['target without key= and bucket=', qr/"name=a"/,
		location => 's3_abort_target name=a; # <--'],
	['target twice in one', qr/duplicate parameter "key=b"/,
		location => 's3_abort_target key=a key=b; # <--'],
	['identity without its keys', qr/needs "keys="/, identity =>
		's3_abort_identity sigv4 region=kr-standard; # <--'],
	['target with an unknown variable', qr/"nonesuch"/, where => 0,
		location => 's3_abort_target key=$nonesuch; # <--'],
	['domain with a port', qr/"gw.test:80"/,
		server => 's3_abort_domain gw.test:80; # <--'],
	['domain with an asterisk', qr/"\*\.gw\.test"/,
		server => 's3_abort_domain *.gw.test; # <--'],
	['domain with a slash', qr!"gw.test/a"!,
		server => 's3_abort_domain gw.test/a; # <--'],
	['base path without a slash', qr/"s3"/,
		server => 's3_abort_base_path s3; # <--'],
	['base path with a query', qr!"/s3\?a"!,
		server => 's3_abort_base_path /s3?a; # <--'],
	['log level', qr/"loud"/, server => 's3_abort_log_level loud; # <--'],
	['two zones', qr/s3_abort_zone|zone/,
		http => "s3_abort_zone zone=a:1m;\n"
		. 's3_abort_zone zone=b:1m; # <--'],
	['H-10 zone too small', qr/zone=a:1k/,
		http => 's3_abort_zone zone=a:1k; # <--'],
	['zone without a size', qr/zone=a\b/,
		http => 's3_abort_zone zone=a; # <--'],
	['zone without a name', qr/"a"|zone=/,
		http => 's3_abort_zone a; # <--'],
	['status format', qr/"xml"/, server =>
		'location = /m { s3_abort_status xml; # <--' . "\n}"],
	['explain without a policy', qr/policy/, server =>
		'location = /m { s3_abort_explain; # <--' . "\n}"],
	['explain of an unknown policy', qr/"none"/, server =>
		'location = /m { s3_abort_explain policy=none; # <--' . "\n}"],
	['explain of an unknown endpoint', qr/"none"/, server =>
		'location = /m { s3_abort_explain policy=all '
		. 'endpoint=none; # <--'
		. "\n}"],
	['endpoint in a server', qr/"s3_abort_endpoint" .*not allowed/,
		server => 's3_abort_endpoint a { } # <--'],
	['status in a server', qr/"s3_abort_status" .*not allowed/,
		server => 's3_abort_status; # <--'],
);

for (@bad) {
	my ($name, $re, %part) = @$_;
	my ($rc, $out, $line) = result(configuration(%part));

	is($rc, 1, "bad: $name") or diag($out);
	like($out, qr/\[emerg\].*(?:$re)/, "names what: $name");
	next if exists $part{where};
	$line //= '\d+';
	like($out, qr!\[emerg\].* in \Q$dir\E/test\.conf:$line\b!,
		"names where: $name");
}

###############################################################################
#
# Files with secrets: the path and the line are named, the content never

my $secret = 'CANARY+file/secret';
my @pair = ('aws_access_key_id = AKIA', "aws_secret_access_key = $secret");
my $good = join "\n", '[default]', @pair, '';

$t->canary($secret);

my @files = (
	['plain', $good, 0600, 0],
	['G-07 0640, group of the workers', $good, 0640, 0],
	['G-07 no newline at the end', $good =~ s/\n\z//r, 0600,
		qr/no line feed .*:3\b/],
	['comments and blank lines', "# a\n\n; b\n$good\n", 0600, 0],
	['other names', "${good}region = a\n", 0600, 0],
	['other profiles', "[a]\naws_access_key_id = B\n"
		. "aws_secret_access_key = c\n$good", 0600, 0],
	['NAVER\'s names', "[default]\nncloud_access_key_id = ncp_iam_A\n"
		. "ncloud_secret_access_key = $secret\n", 0600, 0],
	['G-07 0644', $good, 0644, qr/mode|permission|readable|0644/],
	['G-07 0602', $good, 0602, qr/mode|permission|writ|0602/],
	['G-07 0604', $good, 0604, qr/mode|permission|readable|0604/],
	['G-07 empty', '', 0600, qr/profile|empty|default/],
	['no profile', join("\n", @pair, ''), 0600,
		qr/profile|section|default/],
	['another profile', $good =~ s/default/other/r, 0600,
		qr/profile|default/],
	['no secret', "[default]\n$pair[0]\n", 0600, qr/secret/],
	['no key id', "[default]\n$pair[1]\n", 0600, qr/access.key/],
	['no equals sign', "[default]\n$pair[0]\n$secret\n$pair[1]\n", 0600,
		qr/:3\b/],
	['G-07 CRLF', $good =~ s/\n/\r\n/gr, 0600, qr/:1\b/],
	['G-07 one CR', "[default]\n$pair[0]\n$pair[1]\r\n", 0600, qr/:3\b/],
	['G-07 byte order mark', "\xef\xbb\xbf$good", 0600, qr/:1\b/],
	['NUL', "[default]\n$pair[0]\0\n$pair[1]\n", 0600, qr/:2\b/],
	['profile twice', "$good$good", 0600, qr/:4\b/],
	['name twice', "$good$pair[1]\n", 0600, qr/:4\b/],
	['mixed names', "[default]\n$pair[0]\nncloud_secret_access_key = "
		. "$secret\n", 0600, qr/access|ncloud|mixed|:3/],
	['space in the secret', "[default]\n$pair[0]\n$pair[1] $secret\n", 0600,
		qr/:3\b/],
	['empty secret', "[default]\n$pair[0]\naws_secret_access_key =\n", 0600,
		qr/secret|:3\b/],
	['slash in the key id',
		"[default]\naws_access_key_id = A/B\n$pair[1]\n",
		0600, qr/:2\b/],
	['G-07 10 MB', $good . "# comment\n" x 1_000_000, 0600,
		qr/large|big|size|bytes/],
);

my $conf = configuration(endpoint =>
	endpoint(credentials => '%%TESTDIR%%/file'));

for (@files) {
	my ($name, $text, $mode, $re) = @$_;
	$t->write('file', $text, $mode);
	file_result("credentials: $name", $conf, $re);
}

my @keys = (
	['plain', "alice AKIA1 $secret\n", 0600, 0],
	['tabs, comments, blank lines', "# a\n\nalice\tAKIA1 \t $secret\n",
		0600, 0],
	['two keys of a tenant', "a AKIA1 $secret\na AKIA2 $secret\n", 0600, 0],
	['G-07 no newline at the end', "a AKIA1 $secret", 0600,
		qr/no line feed .*:1\b/],
	['G-07 empty', '', 0600, 0],
	['comments alone', "# a\n", 0600, 0],
	['all characters of a tenant', 'aZ09._@:+=- AKIA1 ' . "$secret\n", 0600,
		0],
	['tenant of 128', 'a' x 128 . " AKIA1 $secret\n", 0600, 0],
	['0644', "a AKIA1 $secret\n", 0644, qr/mode|permission|readable|0644/],
	['two columns', "a AKIA1 $secret\nb AKIA2\n", 0600, qr/:2\b/],
	['four columns', "a AKIA1 $secret b\n", 0600, qr/:1\b/],
	['the same key twice', "a AKIA1 $secret\nb AKIA2 $secret\n"
		. "c AKIA1 $secret\n", 0600, qr/:3\b/],
	['tenant with a slash', "a/b AKIA1 $secret\n", 0600, qr/:1\b/],
	['tenant with an asterisk', "* AKIA1 $secret\n", 0600, qr/:1\b/],
	['tenant of 129', 'a' x 129 . " AKIA1 $secret\n", 0600, qr/:1\b/],
	['key with a slash', "a AK/IA $secret\n", 0600, qr/:1\b/],
	['CRLF', "a AKIA1 $secret\r\n", 0600, qr/:1\b/],
	['byte order mark', "\xef\xbb\xbfa AKIA1 $secret\n", 0600, qr/:1\b/],
	['NUL', "# a\na AKIA1 $secret\0\n", 0600, qr/:2\b/],
);

my $keys = configuration(identity =>
	's3_abort_identity sigv4 keys=%%TESTDIR%%/file;');

for (@keys) {
	my ($name, $text, $mode, $re) = @$_;
	$t->write('file', $text, $mode);
	file_result("keys: $name", $keys, $re);
}

# who reads it

SKIP: {
	skip 'not root', 3 if $>;

	$t->write('file', $good, 0600);
	my $again = $conf =~ s!(/file\b)!$1 refresh=1s!r;

	like(($t->nginx_test($again))[1], qr/\[warn\].*"refresh=".*worker/,
		'refresh of a file that workers may not read');
	my ($rc, $out) = $t->nginx_test($again =~ s/%%GLOBALS%%/$t->globals()
		=~ s!user [^;]+;!!r/er);
	is($rc, 0, 'no user: nothing is known of the workers') or diag($out);
	unlike($out, qr/\[warn\].*refresh/, 'no user: no warning');
}

for my $case (['credentials', $conf, $good], ['keys', $keys, "a A $secret\n"]) {
	my ($what, $conf, $text) = @$case;

	unlink "$dir/file";
	file_result("$what: absent", $conf, qr/No such file/);

	$t->write('real', $text, 0600);
	symlink "$dir/real", "$dir/file";
	file_result("$what: G-07 symbolic link", $conf, 0);
	chmod 0644, "$dir/real";
	file_result("$what: symbolic link to 0644", $conf,
		qr/mode|permission|readable|0644/);
	unlink "$dir/file";

	symlink "$dir/nowhere", "$dir/file";
	file_result("$what: dangling link", $conf, qr/No such file/);
	unlink "$dir/file";

	POSIX::mkfifo("$dir/file", 0600);
	file_result("$what: G-07 FIFO", $conf, qr/regular|file/);
	unlink "$dir/file";

	mkdir "$dir/file", 0700;
	file_result("$what: G-07 directory", $conf, qr/regular|directory/);
	rmdir "$dir/file";
}

sub file_result($name, $conf, $re) {
	my ($rc, $out) = $t->nginx_test($conf);

	if (!$re) {
		is($rc, 0, $name) or diag($out);
		return;
	}

	is($rc, 1, $name) or diag($out);
	like($out, qr!\[emerg\].*\Q$dir\E/file\b!, "$name: names the file");
	like($out, qr/\[emerg\].*(?:$re)/, "$name: says what");
}

###############################################################################

# G-03: what nginx -T prints

$t->write('file', $good, 0600);
my (undef, $out) = do {
	$t->write('test.conf', configuration(endpoint =>
		endpoint(credentials => '%%TESTDIR%%/file')));
	$t->nginx('-T', '-c', "$dir/test.conf");
};
like($out, qr/s3_abort_endpoint/, 'nginx -T prints the configuration');
unlike($out, qr/CANARY/, 'G-03 and no secret');

$t->done();
