# Policies: conditions, literal variables, deny before allow, deny by default;
# the deciding rule is known by file and line.

###############################################################################

use v5.36;

use POSIX qw/ floor /;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

# An upload id of the storage's own form, so many seconds old.

sub id_of_age($seconds) {
	my $msec = sprintf '%012x', floor((time - $seconds) * 1000);
	return '0100' . substr($msec, 0, 4) . '-' . substr($msec, 4, 4) . '-'
		. substr($msec, 8, 4) . '-2790-dee1ac994053';
}

my $new = id_of_age(60);
my $old = id_of_age(86400 * 30);

# A policy: its rules, each with the name by which cases speak of it; then its
# cases: name, path or [tenant, path, upload id, headers], deciding rule, which
# allows if its name starts with an "a".

my @policies = (

	['',
		['nothing is allowed', 'media/k', 'default']],

	['allow bucket=media; # a',
		['bucket', 'media/k', 'a'],
		['another bucket', 'other/k', 'default'],
		['longer bucket', 'media2/k', 'default']],

	['allow; # a',
		['no condition', 'media/k', 'a']],

	["allow; # a\ndeny; # d",
		['deny wins', 'media/k', 'd']],

	["deny key=secret/*; # d\nallow bucket=media; # a1\n"
		. "allow bucket=media key=x; # a2\ndeny key=secret/2; # d2",
		['allowed', 'media/k', 'a1'],
		['H-05 the first of those that allow', 'media/x', 'a1'],
		['H-05 denied, whatever the order', 'media/secret/1', 'd'],
		['H-05 the first of those that deny', 'media/secret/2', 'd']],

	['allow key=uploads/*; # a',
		['glob', 'media/uploads/k', 'a'],
		['slashes, too', 'media/uploads/a/b/c', 'a'],
		['an empty run', 'media/uploads/', 'a'],
		['not the directory', 'media/uploads', 'default'],
		['anchored at the start', 'media/x/uploads/k', 'default']],

	['allow key=a*b*c; # a',
		['two runs', 'media/a-b-c', 'a'],
		['runs that are empty', 'media/abc', 'a'],
		['backtracking', 'media/a-b-c-b-c', 'a'],
		['anchored at the end', 'media/a-b-c-d', 'default']],

	['allow key=a?c; # a',
		['one byte', 'media/abc', 'a'],
		['no byte', 'media/ac', 'default'],
		['a slash', 'media/a/c', 'a'],
		['two bytes', 'media/a%C3%A9c', 'default']],

	['allow "key=a\\\\*b"; # a',
		['escaped asterisk', 'media/a%2Ab', 'a'],
		['is no asterisk', 'media/axb', 'default']],

	['allow key=uploads/$s3_abort_tenant/*; # a',
		['variable', ['alice', 'media/uploads/alice/k'], 'a'],
		['of another tenant', ['alice', 'media/uploads/bob/k'],
			'default'],
		['of a longer name', ['alice', 'media/uploads/alice2/k'],
			'default']],

	['allow key=v/$http_x_value/*; # a1' . "\n"
		. 'deny key=d/$http_x_value/*; # d' . "\nallow key=d/*; # a2",
		['value', ['alice', 'media/v/x/k', 'A', 'X-Value', 'x'], 'a1'],
		['an asterisk is no glob', ['alice', 'media/v/x/k', 'A',
			'X-Value',
			'*'], 'default'],
		['an asterisk is itself', ['alice', 'media/v/%2A/k', 'A',
			'X-Value', '*'], 'a1'],
		['a backslash is itself', ['alice', 'media/v/%5C/k', 'A',
			'X-Value', '\\'], 'a1'],
		['a question mark is itself', ['alice', 'media/v/x/k', 'A',
			'X-Value', '?'], 'default'],
		['deny, value', ['alice', 'media/d/x/k', 'A', 'X-Value', 'x'],
			'd'],
		['deny, another value', ['alice', 'media/d/y/k', 'A', 'X-Value',
			'x'], 'a2'],
		['no value always denies', 'media/d/y/k', 'd'],
		['an empty value always denies', ['alice', 'media/d/y/k', 'A',
			'X-Value', ''], 'd']],

	['allow key=v/$http_x_value/*; # a',
		['no value never allows', 'media/v//k', 'default'],
		['an empty value never allows', ['alice', 'media/v//k', 'A',
			'X-Value', ''], 'default']],

	['allow key=${http_x_a}-$http_x_b; # a',
		['two variables', ['alice', 'media/x-y', 'A', 'X-A', 'x', 'X-B',
			'y'], 'a'],
		['one is missing', ['alice', 'media/x-', 'A', 'X-A', 'x'],
			'default']],

	["allow tenant=alice bucket=media; # a1\nallow tenant=ops; # a2\n"
		. "allow tenant=dev-* key=dev/*; # a3\n"
		. "deny tenant=mallory; # d\n"
		. "allow key=shared/*; # a4\ndeny tenant=alice key=x/*; # d2",
		['literal tenant', ['alice', 'media/k'], 'a1'],
		['literal tenant, another bucket', ['alice', 'other/k'],
			'default'],
		['another tenant', ['ops', 'other/k'], 'a2'],
		['tenant by glob', ['dev-1', 'media/dev/k'], 'a3'],
		['unknown tenant', ['nobody', 'media/k'], 'default'],
		['rule for all', ['nobody', 'media/shared/k'], 'a4'],
		['first rule of both kinds', ['alice', 'media/shared/k'], 'a1'],
		['deny by tenant', ['mallory', 'media/shared/k'], 'd'],
		['deny by tenant and key', ['alice', 'media/x/k'], 'd2'],
		['tenant in another case', ['ALICE', 'media/k'], 'default'],
		['prefix of a tenant', ['op', 'media/k'], 'default']],

	["allow; # a\ndeny key~.*\\.pinned; # d",
		['regex', 'media/k.pinned', 'd'],
		['whole key', 'media/k.pinned2', 'a']],

	['allow "key~[0-9]{4}/.*"; # a',
		['quoted regex', 'media/2026/k', 'a'],
		['anchored at the start', 'media/x2026/k', 'default'],
		['B-27 a prefix does not do', 'media/2026', 'default']],

	['allow "key~a|b"; # a',
		['alternatives: first', 'media/a', 'a'],
		['alternatives: second', 'media/b', 'a'],
		['B-27 anchors hold for both', 'media/ax', 'default'],
		['B-27 at both ends', 'media/xb', 'default']],

	['allow "key~(?<tenant>[^/]+)/.*"; # a',
		['group tenant', ['alice', 'media/alice/k'], 'a'],
		['group tenant, another', ['alice', 'media/bob/k'], 'default'],
		['group tenant, longer', ['alice', 'media/alice2/k'],
			'default'],
		['group tenant, shorter', ['alice', 'media/alic/k'],
			'default']],

	['allow "key~(?:x|(?<tenant>[^/]+)/.*)"; # a',
		['group tenant that takes no part', ['alice', 'media/x'],
			'default']],

	['allow key~.; # a',
		['UTF-8: one character', 'media/%EA%B0%80', 'a']],

	["allow; # a\ndeny \"key~(a+)+\$\"; # d",
		['H-01 match limit denies', 'media/' . 'a' x 1000 . '!', 'd']],

	['allow "key~(a+)+b"; # a',
		['H-01 match limit does not allow', 'media/' . 'a' x 1000,
			'default']],

	["deny upload_id=A*; # d1\ndeny upload_id~[0-9]+; # d2\nallow; # a",
		['upload_id glob', ['alice', 'media/k', 'Abc'], 'd1'],
		['upload_id regex', ['alice', 'media/k', '123'], 'd2'],
		['upload_id, another', ['alice', 'media/k', 'x123'], 'a']],

	["deny endpoint=stor*; # d\nallow; # a",
		['endpoint', 'media/k', 'd']],
	['allow endpoint=storage; # a',
		['endpoint, literal', 'media/k', 'a']],
	['allow endpoint=other; # a',
		['another endpoint', 'media/k', 'default']],

	["allow; # a\ndeny younger_than=10m; # d",
		['younger', ['alice', 'media/k', $new], 'd'],
		['not younger', ['alice', 'media/k', $old], 'a'],
		['younger, age unknown', 'media/k', 'd']],
	['allow older_than=7d; # a',
		['older', ['alice', 'media/k', $old], 'a'],
		['not older', ['alice', 'media/k', $new], 'default'],
		['older, age unknown', 'media/k', 'default']],
	['allow younger_than=10m; # a',
		['allow younger', ['alice', 'media/k', $new], 'a'],
		['allow younger, age unknown', 'media/k', 'default']],
	["allow; # a\ndeny older_than=7d; # d",
		['deny older', ['alice', 'media/k', $old], 'd'],
		['deny older, age unknown', 'media/k', 'd']],

	["allow if=\$http_x_ok; # a\ndeny if=\$http_x_bad; # d",
		['if= set', ['alice', 'media/k', 'A', 'X-Ok', '1', 'X-Bad',
			'0'],
			'a'],
		['if= zero', ['alice', 'media/k', 'A', 'X-Ok', '0', 'X-Bad',
			'0'],
			'default'],
		['if= of another value', ['alice', 'media/k', 'A', 'X-Ok', 'no',
			'X-Bad', '0'], 'a'],
		['if= that denies', ['alice', 'media/k', 'A', 'X-Ok', '1',
			'X-Bad',
			'1'], 'd'],
		['if= 00 is not 0', ['alice', 'media/k', 'A', 'X-Ok', '00',
			'X-Bad', '0'], 'a']],

	["allow bucket=media key=a* upload_id=A; # a\n"
		. 'deny key=*z upload_id=A; # d',
		['all conditions', 'media/ab', 'a'],
		['one fails', ['alice', 'media/ab', 'B'], 'default'],
		['a deny of which one fails', ['alice', 'media/az', 'B'],
			'default'],
		['a deny that holds', 'media/az', 'd']],
);

my $t = S3Abort->new();
my $storage = $t->storage();

$t->write('rules.conf', "\ndeny key=x*;\nallow bucket=included;\n");

my ($text, $locations) = ('', '');

for (0 .. $#policies) {
	my $rules = $policies[$_][0] =~ s/# (\w+)/# p$_-$1/gr;

	$text .= "s3_abort_policy p$_ {\n$rules\n}\n";
	$locations .= "location /p$_ { s3_abort_base_path /p$_; "
		. "s3_abort_pass storage policy=p$_; }\n";
}

my $conf = <<"EOF";

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

$text

    s3_abort_policy included {
        include %%TESTDIR%%/rules*.conf;
        allow key=here;
    }

    s3_abort_identity trusted \$http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;

$locations

        location /included {
            s3_abort_base_path /included;
            s3_abort_pass storage policy=included;
        }

        location /candidate {
            s3_abort_base_path /candidate;
            s3_abort_pass storage policy=p1 candidate=p2;
        }

        location /candidate2 {
            s3_abort_base_path /candidate2;
            s3_abort_pass storage policy=p2 candidate=p1;
        }

        location /target {
            s3_abort_base_path /target;
            s3_abort_target bucket=media key=\$s3_abort_bucket/\$s3_abort_key;
            s3_abort_pass storage policy=p5;
        }
    }
}
EOF

my @lines = split /\n/, $conf;

sub line_of($name) {
	return 'default' if $name =~ /-default\z/;
	my ($n) = grep { $lines[$_ - 1] =~ /# \Q$name\E\z/ } 1 .. @lines;
	return "nginx.conf:$n";
}

sub ask($prefix, $tenant, $path, $id, @headers) {
	return $t->abort("$prefix/$path?uploadId=$id", 'X-Tenant', $tenant,
		@headers);
}

$t->run($conf);

###############################################################################

my @cases;

for my $n (0 .. $#policies) {
	my (undef, @list) = @{$policies[$n]};

	for (@list) {
		my ($name, $what, $rule) = @$_;
		my ($tenant, $path, $id, @headers) = ref $what ? @$what
			: ('alice', $what);
		my $r = ask("/p$n", $tenant, $path, $id // 'A', @headers);

		is("$r->{status} $r->{code}", $rule =~ /^a/ ? '204 '
			: '403 AccessDenied', "policy: $name");
		$t->nothing_sent("policy: $name: nothing sent")
			unless $rule =~ /^a/;
		push @cases, [$name, $r, line_of("p$n-$rule"), $rule];
	}
}

for (@cases) {
	my ($name, $r, $line, $rule) = @$_;
	my $log = $t->audit($r);

	is(($log->{rule} // '') =~ s!.*/!!r, $line, "rule: $name");
	is($log->{decision}, $rule =~ /^a/ ? 'ALLOWED' : 'DENIED',
		"decision: $name");
}

###############################################################################

is(ask('/included', 'alice', 'included/k', 'A')->{status}, 204, 'include');

my $r = ask('/included', 'alice', 'included/x', 'A');
is($r->{status}, 403, 'include: deny');
is($t->audit($r)->{rule}, $t->dir() . '/rules.conf:2',
	'include: file and line of the rule');
is(ask('/included', 'alice', 'media/here', 'A')->{status}, 204,
	'include: rules behind it');

# a candidate is judged, logged and never obeyed

for (['/candidate', 'media', 204, 'ALLOWED', 'ALLOWED'],
	['/candidate', 'other', 403, 'DENIED', 'ALLOWED'],
	['/candidate2', 'other', 204, 'ALLOWED', 'DENIED'])
{
	my ($prefix, $bucket, $status, $decision, $candidate) = @$_;

	$r = ask($prefix, 'alice', "$bucket/k", 'A');
	is($r->{status}, $status, "candidate: $prefix $bucket");
	my $log = $t->audit($r);
	is("$log->{decision} $log->{candidate_decision}",
		"$decision $candidate", 'candidate: logged');
}

# policy judges the target, not what was asked

is(ask('/target', 'alice', 'uploads/k', 'A')->{status}, 204,
	'target is judged');
is(($t->sent())[0]{target}, '/media/uploads/k?uploadId=A', 'and sent');
is(ask('/target', 'alice', 'media/k', 'A')->{status}, 403,
	'target is judged, and denied');
is($t->audit(ask('/target', 'alice', 'uploads/k', 'A'))->{target},
	'media/uploads/k', 'and logged');

# G-14: nobody learns why

my ($by_tenant) = grep { $policies[$_][0] =~ /tenant=mallory/ } 0 .. $#policies;
my %shapes = map { $_->{body} =~ s!<(Resource|RequestId)>.*?</\g1>!!gr => 1 }
	ask('/p0', 'alice', 'media/k', 'A'), ask('/p1', 'alice', 'other/k',
		'A'),
	ask("/p$by_tenant", 'nobody', 'media/k', 'A'),
	ask("/p$by_tenant", 'mallory', 'media/k', 'A');
is(scalar keys %shapes, 1, 'G-14 denials look alike');

$t->done();
