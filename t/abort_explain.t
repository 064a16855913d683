# s3_abort_explain: why a policy decides as it does, as JSON; for operators,
# it changes nothing and is no request of a tenant.

###############################################################################

use v5.36;

use JSON::PP;
use Test::More;

use lib 't/lib';
use S3Abort;

my $ID = '0000015a-df89-51d0-2790-dee1ac994053';
my $TARGET = 'tenant=alice&bucket=media&key=k&uploadId=A';

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $other = $t->storage('other');
my $backend = $t->decoy('backend');
my $dir = $t->dir();

$t->write('rules.conf', <<'EOC');
# the first rule is in line 2
deny   key=*.pinned;

allow  bucket=logs
       key=a*;
include %%TESTDIR%%/inner*.conf;
EOC
$t->write('inner.conf', "\n\nallow bucket=inner;   allow bucket=inner2;\n");
$t->write('many.conf', join '', map { "allow tenant=t$_ key=k$_/*;\n"
	. "allow bucket=media \"key=$_\\\\*\\\"/*\" upload_id~[0-9]+;\n" }
	1 .. 2000);

$t->write('bare.conf', "allow;\n" x 1000);

my $conf = <<'EOC';

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%
    %%ENDPOINT_other%%

    map $s3_abort_tenant $group { default none; alice staff; }
    map $http_x_inside $inside { default 0; yes 1; }

    s3_abort_policy conditions {
        allow tenant=alice bucket=media key=u/* upload_id~[A-F]+;   # 1
        deny  key~.*\.pinned bucket=media;                          # 2
        deny  younger_than=10m;                                     # 3
        allow tenant=bob;                                           # 4
        allow tenant=a* endpoint=storage older_than=1d;             # 5
        deny  key=$http_x_none/*;                                   # 6
    }

    s3_abort_policy included { include %%TESTDIR%%/rules.conf; }

    s3_abort_policy empty { }

    s3_abort_policy if_allow {
        allow if=$inside;
    }

    s3_abort_policy if_deny {
        allow;
        deny if=$inside bucket=media;
    }

    s3_abort_policy variables {
        allow key=uploads/$s3_abort_tenant/*;
        allow key=groups/$group/*;
        allow key=$s3_abort_bucket/$s3_abort_key;
        allow key=$s3_abort_upload_id;
        allow key=$s3_abort_endpoint;
        allow key=${s3_abort_target};
    }

    s3_abort_policy slow {
        allow "key~(a+)+$";
        deny "key~(a+)+[.]" bucket=logs;
    }

    s3_abort_policy many { include %%TESTDIR%%/many.conf; }
    s3_abort_policy bare { include %%TESTDIR%%/bare.conf; }

    s3_abort_zone zone=s3_abort:1m;
    s3_abort_identity trusted $http_x_tenant;

    access_log %%TESTDIR%%/aborts.log audit if=$s3_abort_request_id;

    server {
        listen 127.0.0.1:%%PORT%%;
        listen unix:%%TESTDIR%%/socket;
        #IPV6 listen [::1]:%%PORT%%;

        location = /conditions {
            s3_abort_explain policy=conditions endpoint=storage;
        }

        location = /conditions2 {
            s3_abort_explain endpoint=other policy=conditions;
        }

        location = /included {
            s3_abort_explain policy=included endpoint=storage;
        }

        location = /empty {
            s3_abort_explain policy=empty endpoint=storage;
        }

        location = /if_allow {
            s3_abort_explain policy=if_allow endpoint=storage;
        }

        location = /if_deny {
            s3_abort_explain policy=if_deny endpoint=storage;
        }

        location = /variables {
            s3_abort_explain policy=variables endpoint=storage;
        }

        location = /slow { s3_abort_explain policy=slow endpoint=storage; }
        location = /many { s3_abort_explain policy=many endpoint=storage; }
        location = /bare { s3_abort_explain policy=bare endpoint=storage; }

        location = /any {
            s3_abort_explain policy=empty endpoint=storage from=any;
        }

        location = /denied {
            allow 127.0.0.2;
            deny all;
            s3_abort_explain policy=empty endpoint=storage from=any;
        }

        location = /metrics { s3_abort_status; }
    }

    # below an s3_abort_pass, and a proxy_pass

    server {
        listen 127.0.0.1:%%PORT_2%%;
        set_real_ip_from 127.0.0.3;

        s3_abort_pass storage policy=variables;
        s3_abort_target key=t/$s3_abort_key;

        location / { proxy_pass http://%%STORAGE_backend%%; }

        location /explain/ {
            s3_abort_explain policy=variables endpoint=storage;
        }
    }
}

EOC

my $ipv6 = IO::Socket::INET->can('new') && eval {
	require IO::Socket::IP;
	IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
};

$conf =~ s/#IPV6// if $ipv6;
$t->run($conf);

my @lines = split /\n/, $conf;

sub line_of($re) {
	my ($n) = grep { $lines[$_ - 1] =~ $re } 1 .. @lines;
	return "$dir/nginx.conf:$n";
}

sub get($target, %o) {
	my @headers = @{delete $o{headers} // []};
	return $t->request(S3Abort::request_bytes(delete $o{method} // 'GET',
		$target, 'X-Tenant', undef, @headers), %o);
}

# The document; it is valid, and of the right type.

sub explained($target, %o) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $r = get($target, %o);
	my $json = eval { JSON::PP->new->utf8->decode($r->{body}) };
	my $what = substr $target, 0, 60;

	is($r->{headers}{'content-type'}, 'application/json',
		"$what: Content-Type");
	ok($json, "$what: valid JSON") or diag($r->{raw});

	return wantarray ? ($json // {}, $r) : $json // {};
}

sub rule($at, $effect, $match, @conditions) {
	my @list;

	while (my ($condition, $is) = splice @conditions, 0, 2) {
		push @list, { condition => $condition, match => $is };
	}

	return { rule => $at, effect => $effect, match => $match,
		conditions => \@list };
}

###############################################################################
#
# The document

my ($json, $r) = explained('/conditions?tenant=alice&bucket=media&key=u/k'
	. "&uploadId=$ID");
my @at = map { line_of(qr/# $_\z/) } 1 .. 6;

is_deeply($json, {
	policy => 'conditions', tenant => 'alice', endpoint => 'storage',
	bucket => 'media', key => 'u/k', upload_id => $ID,
	verdict => 'DENIED', rule => $at[5], rules => [
		rule($at[0], 'allow', 'no', 'tenant=alice', 'yes',
			'bucket=media', 'yes', 'key=u/*', 'yes',
			'upload_id~[A-F]+', 'no'),
		rule($at[1], 'deny', 'no', 'key~.*\.pinned', 'no',
			'bucket=media', 'yes'),
		rule($at[2], 'deny', 'no', 'younger_than=10m', 'no'),
		rule($at[4], 'allow', 'yes', 'tenant=a*', 'yes',
			'endpoint=storage', 'yes', 'older_than=1d', 'yes'),
		rule($at[5], 'deny', 'unknown', 'key=$http_x_none/*',
			'unknown'),
	],
}, 'all fields, all rules that concern the tenant, all conditions');

is($r->{status}, 200, 'status');
like($r->{body}, qr/^  "verdict": "DENIED",$/m, 'readable: the verdict');
is(scalar(() = $r->{body} =~ /^    \{ "rule": "[^"]+:\d+", "effect": /mg), 5,
	'readable: a line for each rule');
is(scalar(() = $r->{body} =~ /^      \{ "condition": "/mg), 11,
	'readable: a line for each condition');
is(length $r->{body}, $r->{headers}{'content-length'}, 'Content-Length');

my $head = get('/conditions?tenant=alice&bucket=media&key=u/k'
	. "&uploadId=$ID", method => 'HEAD');
is($head->{headers}{'content-length'}, $r->{headers}{'content-length'},
	'HEAD');
is($head->{body}, '', 'HEAD has no body');

$json = explained("/conditions2?$TARGET");
is($json->{endpoint}, 'other', 'endpoint=');
is($json->{rules}[3]{conditions}[1]{match}, 'no', 'endpoint= is judged');
is($json->{rules}[2]{match}, 'unknown', 'an id without an age');
is($json->{rule}, $at[2], 'the deciding rule, by what is unknown');

$json = explained("/conditions?$TARGET" =~ s/alice/carol/r,
	headers => ['X-None', 'x']);
is_deeply([map { $_->{rule} } @{$json->{rules}}], [@at[1, 2, 4, 5]],
	'not the rules of other tenants');
is($json->{rules}[3]{match}, 'no', 'variables of this very request');

# nothing at all

is_deeply(scalar explained("/empty?$TARGET"), {
	policy => 'empty', tenant => 'alice', endpoint => 'storage',
	bucket => 'media', key => 'k', upload_id => 'A',
	verdict => 'DENIED', rule => 'default', rules => [],
}, 'an empty policy');

# file:line with includes

for (['media', 'x.pinned', 'DENIED', "$dir/rules.conf:2"],
	['logs', 'abc', 'ALLOWED', "$dir/rules.conf:5"],
	['inner', 'k', 'ALLOWED', "$dir/inner.conf:3"],
	['inner2', 'k', 'ALLOWED', "$dir/inner.conf:3"],
	['none', 'k', 'DENIED', 'default'])
{
	my ($bucket, $key, $verdict, $rule) = @$_;
	$json = explained("/included?tenant=alice&bucket=$bucket&key=$key"
		. '&uploadId=A');
	is("$json->{verdict} $json->{rule}", "$verdict $rule",
		"include: $bucket $key");
	is_deeply([map { $_->{rule} =~ s!.*/!!r } @{$json->{rules}}],
		['rules.conf:2', 'rules.conf:5', ('inner.conf:3') x 2],
		"include: $bucket $key: rules");
}

###############################################################################
#
# What is not evaluated, and what is

for my $inside ('yes', 'no') {
	my @headers = (headers => ['X-Inside', $inside]);

	$json = explained("/if_allow?$TARGET", @headers);
	is_deeply($json->{rules}, [rule(line_of(qr/allow if=/), 'allow',
		'unknown', 'if=$inside', 'not evaluated')],
		"if= in an allow, $inside");
	is($json->{verdict}, 'DENIED', "if= in an allow, $inside: verdict");

	$json = explained("/if_deny?$TARGET", @headers);
	is_deeply($json->{rules}[1], rule(line_of(qr/deny if=/), 'deny',
		'unknown', 'if=$inside', 'not evaluated', 'bucket=media',
		'yes'), "if= in a deny, $inside");
	is($json->{verdict}, 'DENIED', "if= in a deny, $inside: verdict");

	$json = explained("/if_deny?$TARGET" =~ s/media/logs/r, @headers);
	is($json->{rules}[1]{match}, 'no',
		"if= beside what does not match, $inside");
	is($json->{verdict}, 'ALLOWED',
		"if= beside what does not match, $inside: verdict");
}

for (['uploads/alice/k', 0], ['groups/staff/k', 1], ['groups/none/k', undef],
	['uploads/bob/k', undef], ['media/media/k', undef], ['UPLOAD', 3],
	['storage', 4])
{
	my ($key, $rule) = @$_;

	for my $port (1, 2) {
		my $path = $port == 1 ? '/variables' : '/explain/';
		$json = explained("$path?tenant=alice&bucket=media&key=$key"
			. '&uploadId=UPLOAD', port => $port);
		is($json->{verdict}, defined $rule ? 'ALLOWED' : 'DENIED',
			"variables: $key");
		is_deeply([grep { $json->{rules}[$_]{match} ne 'no' } 0 .. 5],
			[defined $rule ? $rule : ()], "variables: $key: rule");
	}
}

$json = explained('/variables?tenant=bob&bucket=media&key=groups/none/k'
	. '&uploadId=A', headers => ['X-Tenant', 'alice']);
is($json->{verdict}, 'ALLOWED', 'variables: the tenant is the argument');

$json = explained('/slow?tenant=alice&bucket=media&key=' . 'a' x 1023
	. '!&uploadId=A');
is("$json->{verdict} $json->{rules}[0]{match} $json->{rules}[1]{match}",
	'DENIED unknown no', 'an expression that takes too long');

###############################################################################
#
# Escapes

for (['a%20b', 'a b'], ['a+b', 'a+b'], ['a%2Bb', 'a+b'], ['%22', '"'],
	['a%5Cb%5C%22', 'a\\b\\"'], ['%3C%2Fscript%3E', '</script>'],
	['%EA%B0%80', "\x{ac00}"], ["\xea\xb0\x80", "\x{ac00}"],
	['%F0%9F%8E%AC', "\x{1f3ac}"], ['%E2%80%A8', "\x{2028}"],
	['%252F', '%2F'], ['a%26b%3Dc', 'a&b=c'], ['a=b', 'a=b'],
	['a;b', 'a;b'], ['a?b', 'a?b'], ['a//b', 'a//b'], ['a%2Fb', 'a/b'],
	['/x', '/x'], ['x' x 1024, 'x' x 1024], ['%22' x 1024, '"' x 1024])
{
	my ($sent, $key) = @$_;
	$json = explained("/empty?key=$sent&bucket=media&tenant=alice"
		. '&uploadId=A');
	is($json->{key}, $key, 'key: ' . substr $sent, 0, 40);
}

$json = explained('/empty?tenant=a.b_c@d:e%2Bf%3Dg-h&bucket=a.b-c&key=k'
	. '&uploadId=a.b_c~d%2Be%3Df-g');
is("$json->{tenant} $json->{bucket} $json->{upload_id}",
	'a.b_c@d:e+f=g-h a.b-c a.b_c~d+e=f-g', 'the other arguments');

# many rules, and patterns that JSON has to escape

my $many = explained('/many?tenant=t7&bucket=media&key=k7/x&uploadId=A');
is(scalar @{$many->{rules}}, 2001, 'many rules');
is("$many->{verdict} $many->{rule}", "ALLOWED $dir/many.conf:13",
	'many rules: the deciding one');
is($many->{rules}[1]{conditions}[1]{condition}, 'key=2\\*"/*',
	'many rules: a pattern');
is(explained('/many?tenant=t7&bucket=media&key=2*"/x&uploadId=12')->{rule},
	"$dir/many.conf:4", 'many rules: it matches');

is(scalar @{explained("/bare?$TARGET")->{rules} // []}, 1000,
	'many rules without conditions');

###############################################################################
#
# Arguments that are not

for (['no tenant', $TARGET =~ s/tenant=alice&//r, 'tenant'],
	['no bucket', $TARGET =~ s/bucket=media&//r, 'bucket'],
	['no key', $TARGET =~ s/key=k&//r, 'key'],
	['no upload id', $TARGET =~ s/&uploadId=A//r, 'uploadId'],
	['nothing', '', 'tenant'],
	['empty tenant', $TARGET =~ s/alice//r, 'tenant'],
	['empty key', $TARGET =~ s/key=k/key=/r, 'key'],
	['empty key, no sign', $TARGET =~ s/key=k/key/r, 'key'],
	['empty upload id', $TARGET =~ s/uploadId=A/uploadId=/r, 'uploadId'],
	(map { ["tenant \"$_\"", $TARGET =~ s/alice/$_/r, 'tenant'] }
		'a/b', 'a%20b', '%C3%A9', '*', 'a' x 129, 'a%00', '%zz'),
	(map { ["bucket \"$_\"", $TARGET =~ s/media/$_/r, 'bucket'] }
		'ab', 'Media', 'a_b', '-ab', '10.0.0.1', 'a' x 64, 'a%2Fb',
		'%zz'),
	(map { ["key \"$_\"", $TARGET =~ s/key=k/key=$_/r, 'key'] }
		'a/../b', '..', '.', './a', 'a/%2e%2e/b', 'a%00b', 'a%0Ab',
		'%7F', '%FF', '%C0%AE', '%ED%A0%80', '%', '%4', '%zz',
		'/', '//', 'x' x 1025),
	(map { ["upload id \"$_\"", $TARGET =~ s/uploadId=A/uploadId=$_/r,
		'uploadId'] } '.', '..', 'a%2Fb', 'a%20b', 'a*', '%00', '%zz',
		'x' x 1025))
{
	my ($name, $arguments, $invalid) = @$_;
	($json, $r) = explained("/empty?$arguments");
	is($r->{status}, 400, substr "invalid: $name", 0, 60);
	is_deeply($json, { error => "invalid $invalid" },
		substr "invalid: $name: said", 0, 60);
}

###############################################################################
#
# Who may ask

my $q = "?$TARGET";

is(get("/empty$q")->{status}, 200, 'from 127.0.0.1');
is(get("/empty$q", unix => "$dir/socket")->{status}, 200,
	'from a unix socket');
is(get("/empty$q", from => '127.0.0.2')->{status}, 403, 'from 127.0.0.2');
is(get("/empty$q", from => '127.0.0.2', headers => ['X-Forwarded-For',
	'127.0.0.1', 'X-Real-IP', '127.0.0.1', 'Host', 'localhost'])->{status},
	403, 'from 127.0.0.2, which says that it is another');
is(get("/any$q", from => '127.0.0.2')->{status}, 200, 'from=any');
is(get("/denied$q", from => '127.0.0.2')->{status}, 200,
	'from=any with "allow"');
is(get("/denied$q")->{status}, 403, 'from=any with "deny"');
is(get("/explain/$q", port => 2, from => '127.0.0.3',
	headers => ['X-Real-IP', '192.0.2.1'])->{status}, 403,
	'behind a proxy that speaks for another');
unlike(get("/empty$q", from => '127.0.0.2')->{body}, qr/policy|alice|rule/,
	'those who may not learn nothing');

SKIP: {
	skip 'no IPv6', 1 unless $ipv6;

	my $sock = IO::Socket::IP->new(PeerHost => '::1',
		PeerPort => $t->port());
	print $sock "GET /empty$q HTTP/1.0\r\n\r\n";
	like(scalar <$sock>, qr! 200 !, 'from ::1');
}

###############################################################################
#
# It is no abort, and nothing else either

for my $method (qw/ POST PUT DELETE PATCH OPTIONS /) {
	for (['/empty', 1], ['/explain/', 2], ['/explain/media/k', 2]) {
		my ($path, $port) = @$_;
		my $r = get("$path$q", method => $method, port => $port,
			headers => ['X-Tenant', 'alice']);

		is($r->{status}, 405, "$method $path");
		$t->nothing_sent("$method $path: nothing sent");
	}
}

for ("/empty?uploadId=A", "/empty?uploadid=A&tenant=alice",
	"/empty?uploadId=A&uploadId=B")
{
	is(get($_, method => 'DELETE', headers => ['X-Tenant', 'alice'])
		->{status}, 405, "DELETE $_");
	$t->nothing_sent("DELETE $_: nothing sent");
}

is(get("/empty$q", headers => ['Content-Length', 0])->{status}, 200,
	'an empty body');
$r = $t->request(S3Abort::request_bytes('GET', "/empty$q", 'Content-Length',
	5) . 'hello');
is($r->{status}, 200, 'a body is ignored');

my $client = $t->connect();
$client->send(S3Abort::request_bytes('GET', "/empty$q", 'Connection', undef)
	x 3);
is_deeply([map { $client->answer()->{status} } 1 .. 3], [200, 200, 200],
	'on a kept connection');

# neither the audit log nor a counter takes it for one

is($t->abort('/uploads/alice/k?uploadId=A')->{status}, 405,
	'no abort in the first server');
is(scalar(() = $t->read('aborts.log') =~ /"request_method":"(?:GET|HEAD)"/g),
	0, 'not in the audit log');
is(index($t->read('access.log'), '"request_id":"\u0000'), -1,
	'no request id of zeros');
unlike(get('/metrics')->{body}, qr/^s3_abort_requests_total/m, 'not counted');
is(scalar(() = $t->error_log('warn') =~ /s3 abort refused/g), 0,
	'not logged as a refusal');

###############################################################################
#
# Errors of a configuration

for (['no policy', 'endpoint=storage', qr/needs "policy="/],
	['empty policy', 'policy= endpoint=storage', qr/needs "policy="/],
	['unknown policy', 'policy=unknown endpoint=storage',
		qr/unknown s3_abort_policy "unknown" in .*test\.conf:\d+/],
	['unknown endpoint', 'policy=empty endpoint=unknown',
		qr/unknown s3_abort_endpoint "unknown" in .*test\.conf:\d+/],
	['which endpoint?', 'policy=empty', qr/endpoint/],
	['another parameter', 'policy=empty any',
		qr/invalid parameter "any"/],
	['from', 'policy=empty endpoint=storage from=10.0.0.1',
		qr/invalid parameter "from=10.0.0.1"/],
	['policy twice', 'policy=empty policy=many', qr/invalid parameter/])
{
	my ($name, $parameters, $want) = @$_;
	my ($status, $output) = $t->nginx_test($conf
		=~ s/policy=empty endpoint=storage;/$parameters;/r);

	is($status, 1, "error: $name");
	like($output, $want, "error: $name: message");
}

my ($status, $output) = $t->nginx_test($conf
	=~ s/(s3_abort_explain.*?;)/$1 $1/r);
is($status, 1, 'error: twice');
like($output, qr/is duplicate/, 'error: twice: message');

is(($t->nginx_test($conf =~ s/location = .empty/s3_abort_explain policy=empty;
	location = \/empty/r))[0], 1, 'error: in a server');

# bytes that are no UTF-8 in a rule are not in the document either

is(($t->nginx_test($conf =~ s/(policy empty \{)/$1 allow key=\xff*; /r))[0],
	0, 'a rule need not be UTF-8');
$t->reload(conf => $conf =~ s/(policy empty \{)/$1 allow key=\xff\xea\xb0*; /r);
$json = explained("/empty$q");
is(scalar @{$json->{rules} // []}, 1, 'a rule that is no UTF-8');

$t->done();
