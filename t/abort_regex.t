# Regular expressions: they match whole values, end in a refusal when they take
# too long, whatever the pattern, the key and the rule, with JIT and without;
# a group "tenant" is the tenant; bad ones are configuration errors.

###############################################################################

use v5.36;

use List::Util qw/ min /;
use Test::More;

use lib 't/lib';
use S3Abort;

# Milliseconds of the worker's time that a request may take, at least once in
# three times: the rest is for machines that are busy.

my $LIMIT = ($ENV{TEST_NGINX_MODULE} // 'dynamic') eq '' ? 50 : 10;

###############################################################################

# [name, rules, [path, rule]...]: the rule that decides, by the comment behind
# it; one that allows begins with an "a"; or "any".

my $long = 'a' x 1023;

my @policies = (

	['anchors', 'allow "key~b"; # a',
		['b', 'a'], ['ab', ''], ['bc', ''], ['b%20', ''], ['B', '']],
	['B-27 alternatives', 'allow "key~a|b|cd"; # a',
		['a', 'a'], ['cd', 'a'], ['ax', ''], ['xb', ''], ['cdd', ''],
		['bcd', '']],
	['B-27 own anchors', 'allow "key~^a$|^b$"; # a',
		['a', 'a'], ['b', 'a'], ['ab', ''], ['a%0A', 'INVALID']],
	['the longest alternative that fits', 'allow "key~a|ab|abc"; # a',
		['abc', 'a'], ['abcd', '']],
	['B-27 deny', "allow; # a\ndeny \"key~secret\"; # d",
		['secret', 'd'], ['secrets', 'a'], ['a/secret', 'a']],
	['in multi-line mode', 'allow "key~(?m)^a$"; # a',
		['a', 'a'], ['a%20', ''], ['ab', '']],

	# a key has no line feed, but other characters that end lines

	['B-27 trailing newline', 'allow "key~(*ANY)ok$\\R?"; # a',
		['ok', 'a'], ['ok%E2%80%A8', ''], ['ok%C2%85', '']],
	['B-27 trailing newline, deny',
		"allow; # a\ndeny \"key~(*ANY)ok\$\\R?\"; # d",
		['ok', 'd'], ['ok%E2%80%A8', 'a']],
	['the dot and such characters', 'allow "key~(*ANY)a.b"; # a',
		['a-b', 'a'], ['a%E2%80%A8b', '']],

	# what ends a match early, or moves its start, anchors it no less

	['(*ACCEPT)', 'allow "key~a(*ACCEPT)b"; # a',
		['a', 'a'], ['ab', ''], ['ac', '']],
	['(*NO_JIT)(*ACCEPT)', 'allow "key~(*NO_JIT)a(*ACCEPT)b"; # a',
		['a', 'a'], ['ab', ''], ['ac', '']],
	['\\K', 'allow "key~x/\\Ka"; # a',
		['x/a', 'a'], ['a', ''], ['x/ab', '']],
	['a lookahead', 'allow "key~(?=.*a)b"; # a',
		['b', ''], ['ba', ''], ['ab', '']],
	['(*COMMIT), deny', "allow; # a\ndeny \"key~.*(*COMMIT)x|b\"; # d",
		['b', 'a'], ['x', 'a']],

	['characters', 'allow "key~.{2}"; # a',
		['ab', 'a'], ['%EA%B0%80%EA%B0%80', 'a'], ['%EA%B0%80', ''],
		['%F0%9F%8E%ACa', 'a']],
	['a class of characters', "allow \"key~[\xea\xb0\x80-\xea\xb0\x82]\"; #"
		. ' a', ['%EA%B0%81', 'a'], ['%EA%B1%80', ''],
		['%EA', 'INVALID']],
	['a code point', 'allow "key~\\x{ac00}+"; # a',
		['%EA%B0%80%EA%B0%80', 'a'], ['a', '']],
	['case', 'allow "key~(?i)a/\\x{c9}"; # a',
		['A/%C3%A9', 'a'], ['a/%C3%89', 'a'], ['b/%C3%89', '']],

	# quoting

	['braces and semicolon', 'allow "key~[0-9]{4};[a-c]{1,2}"; # a',
		['2026%3Bab', 'a'], ['202%3Ba', ''], ['2026', '']],
	['single quotes', q{allow 'key~[0-9]{2}"x'; # a},
		['12%22x', 'a'], ['12x', '']],
	['a quote, escaped', 'allow "key~a\\"[bc]"; # a',
		['a%22b', 'a'], ['ab', '']],
	['no quotes', 'allow key~a\\.b+; # a', ['a.bb', 'a'], ['axb', '']],
	['a backslash', 'allow "key~a\\\\\\\\b"; # a',
		['a%5Cb', 'a'], ['ab', '']],
	['a dollar sign is no variable', 'allow key~a$|$http_x_tenant; # a',
		['a', 'a'], ['alice', ''], ['$http_x_tenant', '']],

	# the other subjects

	['tenant', "allow \"tenant~ali.+\"; # a\ndeny \"tenant~.*2\"; # d",
		['k', 'a'], ['k', 'd', 'alice2'], ['k', '', 'xalice']],
	['bucket', 'allow "bucket~[a-m]+"; # a', ['k', 'a']],
	['bucket, a part', 'allow "bucket~[a-h]+"; # a', ['k', '']],
	['upload id', 'allow "upload_id~[A-F]"; # a', ['k', 'a']],
	['upload id, a part', 'allow "upload_id~"; # a' =~ s/~/~^\$/r,
		['k', '']],

	# the tenant

	['group', 'allow "key~u/(?<tenant>[^/]+)/.*"; # a',
		['u/alice/k', 'a'], ['u/alic/k', ''], ['u/alice2/k', ''],
		['u/Alice/k', ''], ['u/xalice/k', ''], ['u//k', ''],
		['u/alice2/k', 'a', 'alice2'], ['u/alice/k', '', 'alice2'],
		['u/alice/k', '', 'a'], ['u/bob/alice', '']],
	['group of a prefix', 'allow "key~(?<tenant>ali)ce/.*"; # a',
		['alice/k', ''], ['alice/k', 'a', 'ali']],
	['group that may be empty', 'allow "key~u/(?<tenant>[a-z]*)/?.*"; # a',
		['u/alice', 'a'], ['u/', ''], ['u//alice', '']],
	['group in one alternative', 'allow "key~(?<tenant>alice)/.*|all/.*"; #'
		. ' a', ['alice/k', 'a'], ['all/k', '']],
	['group behind others', 'allow "key~(a)|(b)|(c)|(?<tenant>[^/]+)/k"; #'
		. ' a', ['alice/k', 'a'], ['a', ''], ['c', ''], ['bob/k', '']],
	['group, case', 'allow "key~(?i)(?<tenant>alice)/k"; # a',
		['alice/k', 'a'], ['ALICE/k', '']],
	['group of 30', 'allow "key~' . '(x?)' x 29 . '(?<tenant>.+)/k"; # a',
		['alice/k', 'a'], ['xxalice/k', 'a'], ['bob/k', '']],
	['group in front of 60', 'allow "key~(?<tenant>[a-z]+)/' . '(x?)' x 60
		. '"; # a', ['alice/xx', 'a'], ['bob/xx', '']],
	['the first of several matches counts',
		'allow "key~(?<tenant>.+)-.*"; # a',
		['alice-k', 'a'], ['alice-k-k', '']],
	['a group of another name', 'allow "key~(?<owner>[^/]+)/.*"; # a',
		['bob/k', 'a']],
	['by number', 'allow "key~([^/]+)/.*"; # a', ['bob/k', 'a']],

	# what takes too long, and what does not

	(map { my ($name, $jit) = @$_;
	["H-01 allow$name", "allow \"key~$jit(a+)+\$\"; # a",
		["$long!", ''], ["$long$long!", 'INVALID'],
		["${long}a", 'a'], ['a!', '']],
	["H-01 deny$name", "allow; # a\ndeny \"key~$jit(a+)+\$\"; # d",
		["$long!", 'd'], ["${long}a", 'd'], ['a!', 'a']],
	["H-01 nested$name", "allow \"key~$jit((a*)*)*\\.\"; # a",
		["$long!" =~ s/a\z/./r, ''], ['aaa.', 'a']],
	["H-01 alternatives$name", "allow; # a\ndeny \"key~$jit(a|aa)+\"; # d",
		["$long!", 'd'], ['aaa', 'd'], ['aaa!', 'a']],
	["H-01 a back-reference$name", "allow; # a\n"
		. "deny \"key~$jit(a*)*\\1b|(?:a?){60}!x\"; # d",
		["$long!" =~ s/a!\z/!x/r, 'd']],
	["H-01 lazy$name", "allow; # a\n"
		. "deny \"key~$jit(?:.*?,){11}P.*\"; # d",
		['1,' x 500 . 'xP!', 'd'], ['1,' x 11 . 'P', 'd'],
		['1,P', 'a']],
	["H-01 a key that fits$name", "allow \"key~$jit(?:[^/]+/)*[^/]+\"; # a",
		[join('/', ('a' x 31) x 32), 'a'], ['a//b', '']],
	["H-02 a group for each byte$name", "allow \"key~$jit([a-z]/?)*\"; # a",
		["${long}a", 'a'], ["$long!", '']],
	["H-02 alternatives for each byte$name",
		"allow \"key~$jit((a)|b)+\"; # a\n"
		. "deny \"key~$jit(?:(b)|c)+\"; # d",
		[$jit ? 'a' x 200 : "${long}a", 'a'], ['b' x 1024, 'd']],
	} ['', ''], [', no JIT', '(*NO_JIT)']),

	# an error is no "does not match", in a deny least of all

	(map { my ($name, $limit) = @$_;
	["H-04 $name, deny", "allow; # a\n"
		. "deny \"key~$limit(*NO_START_OPT)(a|b|c)*x\"; # d",
		['abcabcabc', 'd']],
	["H-04 $name, negative lookahead", "allow; # a\n"
		. "deny \"key~$limit(*NO_START_OPT)(?!(a|b|c)*x).*\"; # d",
		['abcabcabcx', 'd']],
	["H-04 $name, allow", "allow \"key~$limit(*NO_START_OPT)(?!(a|b|c)*x)"
		. '.*"; # a', ['abcabcabc', '']],
	["H-04 $name, another condition does not hold", "allow; # a\n"
		. "deny \"key~$limit(*NO_START_OPT)(a|b|c)*x\" bucket=other;"
		. ' # d', ['abcabcabc', 'a']],
	["H-04 $name, another condition holds", "allow; # a\ndeny bucket=media "
		. "\"key~$limit(*NO_START_OPT)(a|b|c)*x\"; # d",
		['abcabcabc', 'd']],
	} ['match limit', '(*LIMIT_MATCH=0)'],
		['match limit, no JIT', '(*NO_JIT)(*LIMIT_MATCH=1)'],
		['depth limit', '(*NO_JIT)(*LIMIT_DEPTH=1)'],
		['heap limit', '(*NO_JIT)(*LIMIT_HEAP=0)']),
	['H-04 without a limit', "allow; # a\n"
		. 'deny "key~(*NO_START_OPT)(a|b|c)*x"; # d',
		['abcabcabc', 'a'], ['abcabcabcx', 'd']],

	# many: their time is that of the request

	['two that take too long', join("\n", map { "allow \"key~(a+)+$_\";" }
		'\\.', '[.]') . "\nallow; # a\ndeny key~zzz; # d",
		['a' x 100 . '.!', 'a'], ['aa', 'a'], ['zzz', 'd']],
	['a thousand ordinary ones', join("\n", map { "deny key~x$_/.*;" }
		1 .. 1000) . "\nallow; # a", ["$long!", 'a'], ['x/1000/k', 'a']],
	(map { my ($name, $jit) = @$_;
	(map { my ($what, $pattern) = @$_;
	["a thousand $what$name", join("\n",
		map { "deny \"key~$jit$pattern\{$_\}\";" } 1 .. 1000)
		. "\nallow; # a", ["$long!", 'any'], ['!', 'a']],
	} ['that backtrack', '(?:a|a){11}a{900}[bc]'],
	['with two loops', 'a*a*[bc]'],
	['with three loops', 'a*a*a*[bc]'],
	['with nested groups', '(?:(?:a*+[bx]|a)*+[dx]|a)*+[cx]'],
	['with properties', '(?:(?:\\p{L}*+[bx]|a)*+[dx]|a)*+[cx]'],
	['with back-references', '((a)(?:\\2*+[bx]|a)*+[dx]|a)*+[cx]']),
	} ['', ''], [', no JIT', '(*NO_JIT)']),
);

my $t = S3Abort->new(headers => { 'x-rule' => 1 });
my $storage = $t->storage();
my ($text, $locations) = ('', '');

for (0 .. $#policies) {
	my $rules = $policies[$_][1] =~ s/# (\w)$/# p$_-$1/gmr;

	$text .= "s3_abort_policy p$_ {\n$rules\n}\n";
	$locations .= "location /p$_/ { s3_abort_base_path /p$_; "
		. "s3_abort_pass storage policy=p$_; }\n";
}

$t->write('policies.conf', $text);
$t->write('locations.conf', $locations);

my $conf = <<'EOC';

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    include %%TESTDIR%%/policies.conf;

    s3_abort_zone zone=s3_abort:1m;
    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        add_header X-Rule "$s3_abort_decision $s3_abort_rule" always;

        location = /metrics { s3_abort_status; }

        include %%TESTDIR%%/locations.conf;
    }
}

EOC

$t->run($conf);

###############################################################################

my @lines = split /\n/, $text;

sub rule_at($n, $rule) {
	return 'INVALID' if $rule eq 'INVALID';
	return 'DENIED default' if $rule eq '';
	my ($line) = grep { $lines[$_ - 1] =~ /# p$n-$rule\z/ } 1 .. @lines;
	return ($rule eq 'a' ? 'ALLOWED' : 'DENIED') . " policies.conf:$line";
}

sub limits() {
	my $page = $t->request(S3Abort::request_bytes('GET', '/metrics'));
	return $page->{body} =~ /^s3_abort_policy_match_limits_total (\d+)/m
		? $1 : -1;
}

sub worker_msec() {
	my $worker;
	$t->wait_for(sub { ($worker) = $t->workers() });
	return (split ' ', $t->read("/proc/$worker/schedstat"))[0] / 1e6;
}

sub ask($n, $path, $tenant) {
	return $t->abort("/p$n/media/" . $path =~ s/\?/%3F/gr
		. '?uploadId=A', 'X-Tenant', $tenant);
}

for my $n (0 .. $#policies) {
	my ($name, undef, @cases) = @{$policies[$n]};

	for (@cases) {
		my ($path, $rule, $tenant) = @$_;
		my $r = ask($n, $path, $tenant // 'alice');

		# in time, unless others keep the machine busy, or a thousand
		# expressions are in memory that the worker never touched

		for (1 .. 9) {
			last if $name !~ /^a thousand/ || $r->{status} ne 403
				|| $rule ne 'a';
			$r = ask($n, $path, $tenant // 'alice');
		}

		my $what = length $path > 50 ? length($path) . ' bytes, '
			. substr $path, -10 : $path;

		is(($r->{headers}{'x-rule'} // '') =~ s! /.*/! !r,
			rule_at($n, $rule), "$name: $what"
			. ($tenant ? ", $tenant" : '')) if $rule ne 'any';
		$t->nothing_sent("$name: $what: nothing sent")
			if $rule !~ /^a/;
		next if $path !~ /^(?:a{90}|1,1,1,1,1,1,1,1,1,1,1,1,)/;

		my @msec = map { my $begin = worker_msec();
			ask($n, $path, 'alice');
			worker_msec() - $begin } 1 .. 3;
		cmp_ok(min(@msec), '<', $LIMIT, "$name: $what: in time")
			and note(sprintf '%.1f ms', min(@msec));
	}
}

# the counter: of requests, whatever their number of expressions

my ($two) = grep { $policies[$_][0] =~ /^two/ } 0 .. $#policies;
my $before = limits();

ask($two, 'a' x 100 . '.!', 'alice') for 1 .. 3;
ask($two, 'aa', 'alice');
is(limits(), $before + 3, 'match limits are counted');
ok(index($t->error_log('warn'), qq!s3_abort_policy "p$two": a regular !
	. 'expression hit its match limit') > 0, 'and logged');

###############################################################################
#
# Errors of a configuration

for (
	['\\C', 'allow "key~a\\Cb"', qr/invalid condition "key~a\\Cb": \S/],
	['unbalanced', 'allow "key~(a"', qr/invalid condition "key~\(a": \S/],
	['unbalanced class', 'deny "key~[a"', qr/invalid condition/],
	['nothing to repeat', 'allow "key~*a"', qr/invalid condition/],
	['lookbehind of no length', 'deny "key~(?<=a+)b"',
		qr/invalid condition .*: lookbehind/],
	['an unknown verb', 'allow "key~(*NONSENSE)a"', qr/invalid condition/],
	['Perl code', 'allow "key~(?{1})a"', qr/invalid condition/],
	['no UTF-8', "allow \"key~\xff\"", qr/invalid condition .*: UTF-8/],
	['a surrogate', 'allow "key~\\x{d800}"', qr/invalid condition/],
	['empty', 'allow "key~"', qr/empty value of condition "key~"/],
	['too long', 'allow "key~' . 'a' x 4097 . '"',
		qr/too long/],
	['not too long', 'allow "key~' . 'a' x 4000 . '"', ''],
	['too large', 'allow "key~' . '(?:(?:abcdefgh){100}){100}' . '"',
		qr/invalid condition/],
	['group tenant in a deny', 'deny "key~(?<tenant>a)"',
		qr/group "tenant" in a deny/],
	['group tenant of Perl\'s other form in a deny',
		q{deny "key~(?'tenant'a)"}, qr/group "tenant" in a deny/],
	['group tenant of Python\'s form in a deny',
		'deny "key~(?P<tenant>a)"', qr/group "tenant" in a deny/],
	['group tenant twice', 'allow "key~(?<tenant>a)(?<tenant>b)"',
		qr/invalid condition/],
	['group tenant twice, (?J)',
		'allow "key~(?J)(?<tenant>a)|(?<tenant>b)"',
		qr/invalid condition/],
	['group tenant twice, (?J), in a deny',
		'deny "key~(?J)(?<tenant>a)|(?<tenant>b)"',
		qr/group "tenant" in a deny/],
	['group tenant behind 30', 'allow "key~' . '(x)' x 30
		. '(?<tenant>.+)"', qr/must be one of the first 30/],
	['two expressions', 'allow key~a key~b',
		qr/duplicate condition "key~b"/],
	['a glob and an expression', 'allow key=a key~b',
		qr/duplicate condition "key~b"/],
	['a brace without quotes', 'allow key~[0-9]{4}',
		qr/unexpected|invalid/],
	['of an endpoint', 'allow endpoint~a',
		qr/invalid condition "endpoint~a"/],

	# H-03: what has no bound in time, or calls what is not there

	['H-03 recursion', 'allow "key~(a(?1)?b)"', qr/invalid condition/],
	['H-03 recursion of all', 'allow "key~a(?R)?b"', qr/invalid condition/],
	['H-03 recursion by name', 'allow "key~(?<x>a(?&x)?b)"',
		qr/invalid condition/],
	['H-03 recursion, Oniguruma\'s form', 'allow "key~(?<x>a\\g<x>?b)"',
		qr/invalid condition/],
	['H-03 \\X', 'allow "key~a\X+b"', qr/invalid condition .*: \\X/],
	['H-03 a script run', 'allow "key~(*sr:(.*)(.*))x"',
		qr/invalid condition .*: \(\*name:/],
	['H-03 recursion behind a quotation', 'allow "key~\\Q[\\E(?R)?"',
		qr/invalid condition/],
	['H-03 what may be a recursion', 'allow "key~a[(?1)]"',
		qr/invalid condition/],
	['H-03 no recursion', 'allow "key~a\\(?R"', ''],
	['H-03 callout', 'allow "key~a(?C1)b"', qr/invalid condition/])
{
	my ($name, $rule, $want) = @$_;
	my ($status, $output) = $t->nginx_test(
		$conf =~ s/include.*locations.conf;//r
		=~ s/include.*policies.conf;/s3_abort_policy p { $rule; }/r);

	$want ? like($output, $want, "error: $name")
		: is($output =~ s/.* is ok\n.*successful\n//sr, '',
			"no error: $name");
	is($status, $want ? 1 : 0, "error: $name: status");
}

$t->done();
