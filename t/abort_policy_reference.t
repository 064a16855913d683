# The module's verdict, and the rule that makes it, are those of an evaluator
# that shares nothing with it (PolicyReference.pm), for random policies and
# requests: aborts that are decided, and the same ones explained.
#
# TEST_POLICY_SEED: another seed; TEST_POLICY_POLICIES: more policies.

###############################################################################

use v5.36;

use IO::Socket::INET;
use JSON::PP;
use List::Util qw/ min /;
use POSIX qw/ floor /;
use Test::More;
use Time::HiRes qw/ time /;

use lib 't/lib';
use S3Abort;
use PolicyReference;

my $SEED = $ENV{TEST_POLICY_SEED} // 20260724;
my $POLICIES = $ENV{TEST_POLICY_POLICIES} // 2008;
my $ABORTS = 10;			# of each policy
my $EXPLAINS = 4;
my $STORED = 8;				# policies with a storage of ours
my $BATCH = 50;				# requests sent at once

diag("seed $SEED");
srand $SEED;

###############################################################################
#
# Random requests

my @TENANTS = qw/ alice bob ops dev-1 dev-2 a@b.test alice2 /;
my @BUCKETS = qw/ media logs media2 a-b /;
my @SEGMENTS = (qw/ uploads alice bob ops dev-1 a b x secret 2026 k.pinned
	team-ops U * a*b ? $x a$ it's a"b {} a;b \ a\b /, '', '#', 'My Films',
	"\xea\xb0\x80", "\xc3\xa9t\xc3\xa9", "\xf0\x9f\x8e\xac", '%2F', '+');
my @IDS = ('A', 'abc-1', '2~x_y', 'a=', '1.2', (map { id_of_age($_) }
	-3600, 60, 1800, 7200, 3 * 86400, 40 * 86400), uc id_of_age(7200),
	id_of_age(7200) =~ tr/-/./r);

# a regular expression, and a key that it takes too long for

my $SLOW = '(a+)+\.';
my $LONG = 'a' x 24 . '.!';

sub pick(@list) {
	return $list[rand @list];
}

sub chance($p) {
	return rand() < $p;
}

sub id_of_age($seconds) {
	my $msec = sprintf '%012x', floor((time() - $seconds) * 1000);
	return '0100' . substr($msec, 0, 4) . '-' . substr($msec, 4, 4) . '-'
		. substr($msec, 8, 4) . '-2790-dee1ac994053';
}

sub random_key() {
	my $key = join '/', map { pick(@SEGMENTS) } 1 .. 1 + rand 4;
	return $key =~ m{[^/]} ? $key : 'x';
}

# Values of the header fields; undef: there is none.

sub random_value() {
	return pick(undef, '', '0', '00', '1', '*', '?', '\\', '\\*', '$x',
		'${http_x_b}', 'uploads', 'uploads/*', 'a', 'a b', 'x', '/',
		@TENANTS);
}

sub random_request($n, @keys) {
	my $tenant = pick(@TENANTS);
	my %header = map { $_ => random_value() } qw/ a b c /;

	return {
		tenant => $tenant, endpoint => endpoint($n),
		bucket => pick(@BUCKETS), upload_id => pick(@IDS),
		key => chance(0.02) ? $LONG : chance(0.7) ? pick(@keys)
			: random_key(),
		header => \%header, slow => { "$SLOW $LONG" => 1 },
	};
}

# What the variables are once the request is known.

sub set_variables($r) {
	my %group = (alice => 'a', bob => '');

	$r->{variables} = {
		(map { ("http_x_$_" => $r->{header}{$_}) } qw/ a b c /),
		s3_abort_tenant => $r->{tenant},
		s3_abort_bucket => $r->{bucket},
		group => $group{$r->{tenant}} // "team-$r->{tenant}",
	};
}

###############################################################################
#
# Random policies

# A pattern that its text matches, more or less.

sub random_glob($text) {
	my $glob = '';
	utf8::decode($text);

	while (length $text) {
		if (chance(0.25) && $text =~ s/^(?:alice|bob|ops|dev-\d)//) {
			$glob .= pick('$s3_abort_tenant', '${s3_abort_tenant}',
				'$http_x_a', '${http_x_b}', '$group');
			$glob =~ s/\$(\w+)\z/\${$1}/ if $text =~ /^\w/;
			next;
		}

		if (chance(0.12)) {
			$glob .= '*';
			substr $text, 0, min(length $text, rand 8), '';
			next;
		}

		my $c = substr $text, 0, 1, '';

		my $bytes = chance(0.5) ? ord $c < 0x80 ? 1 : ord $c < 0x800 ? 2
			: ord $c < 0x10000 ? 3 : 4 : 1;

		$glob .= chance(0.07) ? '?' x $bytes : chance(0.05) ? "\\$c"
			: $c =~ /[*?]/ && chance(0.4) ? $c
			: $c =~ /[*?\\\$]/ ? "\\$c" : $c;
	}

	$glob .= '*' if chance(0.2);
	utf8::encode($glob);
	return $glob eq '' ? '*' : $glob;
}

sub random_regex($text, $effect) {
	utf8::decode($text);
	my $regex = pick('', '', '', '(?i)', '^', '(?!.*secret)');

	while (length $text) {
		if ($effect eq 'allow' && $regex !~ /<tenant>/ && chance(0.3)
			&& $text =~ s/^(?:alice|bob|ops|dev-\d)//)
		{
			$regex .= pick('(?<tenant>[^/]+)', '(?<tenant>.+)',
				'(?:x|(?<tenant>[a-z0-9-]*))',
				'(?<tenant>.*?)');
			next;
		}

		if (chance(0.12)) {
			$regex .= pick('.*', '.*', '.+', '[^/]*', '\w+', '.*?',
				'(?:.*/)?', '[a-z0-9]*', '(?>.*)', '.{0,9}');
			substr $text, 0, min(length $text, rand 8), '';
			next;
		}

		my $c = substr $text, 0, 1, '';
		my $q = $c =~ /[\w\/]/ || ord $c > 127 ? $c : "\\$c";
		$regex .= chance(0.05) ? '.' : chance(0.05) ? "(?:$q|z)"
			: chance(0.04) ? "$q+" : $q;
	}

	$regex .= pick('', '', '', '', '.*', '$', '|zz', '(/.*)?');
	utf8::encode($regex);
	return $regex;
}

sub random_pattern($name, $effect, $text, $regexes) {
	my $p = rand;
	return "$name=" . $text =~ s/([*?\\\$])/\\$1/gr
		if $p < ($name eq 'key' ? 0.1 : 0.6);
	return "$name=" . random_glob($text) if $p < 0.7 || !$regexes;
	return "$name~" . random_regex($text, $effect);
}

sub random_rule($slow, @keys) {
	my $effect = pick(qw/ allow allow deny /);
	my @c;

	push @c, random_pattern('tenant', $effect, pick(@TENANTS), 1)
		if chance(0.45);
	push @c, random_pattern('endpoint', $effect, pick(qw/ near far
		storage /), 0) if chance(0.1);
	push @c, random_pattern('bucket', $effect, pick(@BUCKETS), 1)
		if chance(0.25);
	push @c, random_pattern('key', $effect, pick(@keys), 1)
		if chance($effect eq 'deny' ? 0.9 : 0.6);
	push @c, random_pattern('upload_id', $effect, pick(@IDS[0 .. 5]), 1)
		if chance(0.1);
	push @c, 'older_than=' . pick(qw/ 0 10m 1h 1d 1w 2M 1y 3600 /)
		if chance(0.1);
	push @c, 'younger_than=' . pick(qw/ 10m 1h 7d 86400s /)
		if chance(0.07);
	push @c, 'if=' . pick('$http_x_c', '${http_x_c}', '$http_x_a',
		'$group') if chance(0.15);
	@c = ("key~$SLOW") if $slow;

	return { effect => $effect,
		conditions => [sort { $a ne $b && rand() < 0.5 ? -1 : 1 } @c] };
}

###############################################################################
#
# Their text; each rule learns its file and line

sub written($word) {
	my $plain = qr/^(?:[\w=~*?\$\/.-]|\$\{\w+\}|\\[*?\$.\/a-mw-])+\z/a;
	my $quote = pick('"', "'");

	return $word if $word =~ $plain && chance(0.5);
	return $quote . $word =~ s/([\\$quote])/\\$1/gr . $quote;
}

# Returns the text of rules that begin on that line of the file.

sub rules_text($file, $line, @rules) {
	my $text = '';

	for my $rule (@rules) {
		$text .= pick('', '', "\n", "# deny;\n", "    ");
		$text .= join pick(' ', ' ', "\n    "), $rule->{effect},
			map { written($_) } @{$rule->{conditions}};
		$text .= pick('', '', ' ', "\n") . ';';
		$rule->{at} = "$file:" . ($line + ($text =~ tr/\n//));
		$text .= pick("\n", "\n", ' ', " # allow;\n");
	}

	return $text;
}

# Some of the rules are in files of their own, and in files that these include.

sub policy_text($t, $file, $line, $n, @rules) {
	my $dir = $t->dir();
	my @inner = chance(0.5) ? splice @rules, rand @rules, 1 + rand 3 : ();
	my @last = splice @inner, rand @inner;
	my @before = splice @rules, 0, rand @rules;
	my $text = "s3_abort_policy p$n {\n";

	$text .= rules_text($file, $line + 1, @before) . "\n";

	if (@inner || @last) {
		my $name = "rules$n.conf";
		my $in = rules_text("$dir/$name", 1, @inner);

		if (@last) {
			$in .= "\ninclude $dir/last$n.conf;\n";
			$t->write("last$n.conf",
				rules_text("$dir/last$n.conf", 1, @last));
		}

		$t->write($name, $in);
		$text .= "include $dir/$name;\n";
	}

	$text .= rules_text($file, $line + ($text =~ tr/\n//), @rules);

	return ("$text\n}\n", [@before, @inner, @last, @rules]);
}

sub endpoint($n) {
	return $n < $STORED ? 'storage' : $n % 2 ? 'near' : 'far';
}

my $t = S3Abort->new(headers => { 'x-rule' => 1 });
my $storage = $t->storage();
my $policies = $t->dir() . '/policies.conf';
my (@policies, @requests);
my ($text, $locations) = ('', '');

for my $n (0 .. $POLICIES - 1) {
	my @keys = map { random_key() } 1 .. 5;
	my $slow = chance(0.15);
	my @rules = map { random_rule($slow && $_ == 1, @keys) }
		1 .. 2 + rand 14;

	# explain can say the same of these

	if ($n < $STORED / 2) {
		$_->{conditions} = [grep { !/^if=/ } @{$_->{conditions}}]
			for @rules;
	}

	my ($policy, $ordered) = policy_text($t, $policies,
		1 + ($text =~ tr/\n//), $n, @rules);

	$text .= $policy;
	$policies[$n] = $ordered;
	$requests[$n] = [map { random_request($n, @keys) }
		1 .. ($n < $STORED ? 3 : 1) * $ABORTS];

	my $endpoint = endpoint($n);

	$locations .= <<"EOC";
location /p$n/ {
    s3_abort_base_path /p$n;
    s3_abort_pass $endpoint policy=p$n;
}
location = /e$n { s3_abort_explain policy=p$n endpoint=$endpoint; }
EOC
}

srand;

$t->write('policies.conf', $text);
$t->write('locations.conf', $locations);

$t->run(<<'EOC');

%%LOAD%%
%%GLOBALS%%

events { worker_connections 1024; }

http {
    %%HTTP%%
    %%ENDPOINT%%

    error_log %%TESTDIR%%/error.log info;
    keepalive_requests 1000000;

    upstream stand_in {
        server 127.0.0.1:%%PORT_2%%;
        keepalive 4;
    }

    s3_abort_endpoint near {
        url          http://stand_in;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    s3_abort_endpoint far {
        url          http://stand_in;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    map $s3_abort_tenant $group {
        default  team-$s3_abort_tenant;
        alice    a;
        bob      "";
    }

    include %%TESTDIR%%/policies.conf;

    server {
        listen 127.0.0.1:%%PORT%%;

        access_log off;
        add_header X-Rule "$s3_abort_decision $s3_abort_rule" always;

        s3_abort_identity trusted $http_x_tenant;
        s3_abort_log_level debug;

        include %%TESTDIR%%/locations.conf;
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        access_log off;
        location / { return 204; }
    }
}

EOC

###############################################################################

sub encode($text) {
	return $text =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ger;
}

sub headers($r) {
	my $h = $r->{header};
	return map { ("X-\U$_" => $h->{$_}) } grep { defined $h->{$_} }
		sort keys %$h;
}

sub abort_bytes($n, $r) {
	return S3Abort::request_bytes('DELETE', "/p$n/$r->{bucket}/"
		. encode($r->{key}) . '?uploadId=' . encode($r->{upload_id}),
		'X-Tenant', $r->{tenant}, headers($r), 'Connection', undef);
}

sub explain_bytes($n, $r) {
	my @arguments = (tenant => $r->{tenant}, bucket => $r->{bucket},
		key => $r->{key}, uploadId => $r->{upload_id});

	return S3Abort::request_bytes('GET', "/e$n?" . join('&',
		map { $arguments[$_] . '=' . encode($arguments[$_ + 1]) }
		grep { !($_ & 1) } 0 .. $#arguments), headers($r),
		'X-Tenant', undef, 'Connection', undef);
}

# Sends many requests at once and returns the answers, [head, body].

my ($sock, $buffer);

sub ask(@bytes) {
	my @answers;

	$sock //= IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $t->port())
		// die "connection: $!\n";
	$buffer //= '';
	print $sock @bytes;
	$sock->flush();

	while (@answers < @bytes) {
		if ($buffer =~ /\r\n\r\n/) {
			my $head = substr $buffer, 0, $+[0];
			my ($length) = $head =~ /^Content-Length: (\d+)/m;
			my $all = length($head) + ($length // 0);

			if (length $buffer >= $all) {
				substr $buffer, 0, length $head, '';
				push @answers, [$head, substr $buffer, 0,
					$length // 0, ''];
				next;
			}
		}

		sysread $sock, $buffer, 262144, length $buffer
			or die "the connection was closed\n";
	}

	return @answers;
}

sub decision($answer) {
	my ($status) = $answer->[0] =~ m!^HTTP/1\.1 (\d+)!;
	my ($rule) = $answer->[0] =~ /^X-Rule: (.*?)\r/m;

	$rule //= '(none)';
	$rule .= " with status $status"
		if $status ne ($rule =~ /^ALLOWED/ ? 204 : 403);
	return $rule;
}

sub explanation($answer) {
	my ($verdict) = $answer->[1] =~ /^  "verdict": "(\w+)",$/m;
	my ($rule) = $answer->[1] =~ /^  "rule": "(.*)",$/m;

	return ($verdict // $answer->[1]) . ' ' . ($rule // '');
}

sub expected($n, $r) {
	set_variables($r);
	$r->{time} = time();
	return join ' ', PolicyReference::decide($policies[$n], $r);
}

# Tells of the first few that differ.

my $told = 0;

sub differs($what, $n, $r, $got, $want) {
	return if $told++ >= 5;

	my $show = { %$r, slow => undef };
	diag("$what, policy p$n, seed $SEED: $got, not $want\n"
		. JSON::PP->new->canonical->latin1->encode($show) . "\n"
		. join "\n", map { "$_->{at}: $_->{effect} "
			. join ' ', @{$_->{conditions}} } @{$policies[$n]});
}

# Whether explain's list of rules is what the rules say.

sub list_differs($n, $r, $answer) {
	my $list = JSON::PP->new->decode($answer->[1])->{rules};
	my %listed = map { $_->{rule} => $_ } @$list;
	my @wrong;

	for my $rule (@{$policies[$n]}) {
		my $match = PolicyReference::rule($rule, $r);
		my $is = $listed{$rule->{at}};

		if (!$is) {
			push @wrong, "no $rule->{at}" if $match ne 'no'
				|| !grep { /^tenant=/ } @{$rule->{conditions}};
			next;
		}

		my %said = map { $_->{condition} => $_->{match} }
			@{$is->{conditions}};

		push @wrong, "$rule->{at} $is->{match}, not $match"
			if $is->{match} ne $match
			|| $is->{effect} ne $rule->{effect};

		for my $c (@{$rule->{conditions}}) {
			my $want = $c =~ /^if=/ ? 'not evaluated'
				: PolicyReference::condition($c, $rule, $r);
			push @wrong, "$c is not $want"
				if ($said{$c} // '') ne $want;
		}
	}

	return join ', ', @wrong;
}

###############################################################################

# policies with several rules on a line cannot be told apart there: they are
# not looked at rule by rule

sub has_lines($n) {
	my %n;
	return !grep { $n{$_->{at}}++ } @{$policies[$n]};
}

# Asks once more.  A machine that is busy with others may take the time that is
# for the regular expressions of a request, which are unknown then.

my $repeated = 0;

sub again($want, $meaning, $bytes) {
	my ($answer) = $repeated++ < 20 ? ask($bytes) : ();
	return $answer && $meaning->($answer) eq $want;
}

my (%seen, $wrong, $explained, $listed);
my ($n_aborts, $n_explained, $n_listed) = (0, 0, 0);
$wrong = $explained = $listed = 0;

for my $n ($STORED .. $POLICIES - 1) {
	my @r = @{$requests[$n]};

	while (my @batch = splice @r, 0, $BATCH) {
		my @got = ask(map { abort_bytes($n, $_) } @batch);

		for my $i (0 .. $#batch) {
			my $want = expected($n, $batch[$i]);
			my $got = decision($got[$i]);

			$n_aborts++;
			$seen{$want =~ s/ \/.*/ by a rule/r}++;
			next if $got eq $want || again($want, \&decision,
				abort_bytes($n, $batch[$i]));
			$wrong++;
			differs('abort', $n, $batch[$i], $got, $want);
		}
	}

	@r = map { { %$_, no_if => 1 } } @{$requests[$n]}[0 .. $EXPLAINS - 1];
	my @got = ask(map { explain_bytes($n, $_) } @r);

	for my $i (0 .. $#r) {
		my $want = expected($n, $r[$i]);
		my $got = explanation($got[$i]);

		$n_explained++;
		next if $got eq $want || again($want, \&explanation,
			explain_bytes($n, $r[$i]));
		$explained++;
		differs('explain', $n, $r[$i], $got, $want);
	}

	next unless has_lines($n);

	for my $i (0 .. 2) {
		my $why = list_differs($n, $r[$i], $got[$i]);

		$n_listed++;
		next if $why eq '' || again('', sub ($answer) {
			list_differs($n, $r[$i], $answer)
		}, explain_bytes($n, $r[$i]));
		$listed++;
		differs('list', $n, $r[$i], $why, 'this');
	}
}

is($wrong, 0, 'aborts: verdict and rule are those of the reference');
is($explained, 0, 'explain: verdict and rule are those of the reference');
is($listed, 0, 'explain: rules and conditions are those of the reference');

note("$n_aborts aborts, $n_explained explanations, $n_listed of them by rule: ",
	join ', ', map { "$_ $seen{$_}" } sort keys %seen);
cmp_ok($n_aborts, '>=', 20_000, 'enough aborts')
	unless $ENV{TEST_POLICY_POLICIES};
cmp_ok($seen{$_} // 0, '>', $n_aborts / 20, "enough of \"$_\"")
	for 'ALLOWED by a rule', 'DENIED by a rule', 'DENIED default';

###############################################################################
#
# With a storage: what is allowed is sent, once, and as it was judged; what is
# denied is not; explain says the same wherever there is no if=

my ($sent, $alike) = (0, 0);

for my $n (0 .. $STORED - 1) {
	my $has_if = grep { /^if=/ } map { @{$_->{conditions}} }
		@{$policies[$n]};

	for my $r (@{$requests[$n]}[0 .. 29]) {
		my $want = expected($n, $r);
		my $answer = $t->abort("/p$n/$r->{bucket}/" . encode($r->{key})
			. '?uploadId=' . encode($r->{upload_id}),
			'X-Tenant', $r->{tenant}, headers($r));
		my $got = "$answer->{headers}{'x-rule'} $answer->{status}";
		my $target = join ' ', map { $_->{target} } $t->sent();
		my ($explanation) = ask(explain_bytes($n, $r));

		my $allowed = $want =~ /^ALLOWED/;
		my $wire = $allowed ? "/$r->{bucket}/" . encode($r->{key})
			. '?uploadId=' . encode($r->{upload_id}) : '';

		$want .= $allowed ? ' 204' : ' 403';
		$sent++ if $allowed;
		next if $got eq $want && $target eq $wire
			&& ($has_if || explanation($explanation) eq
				$answer->{headers}{'x-rule'} && ++$alike);

		is("$got $target, " . explanation($explanation),
			"$want $wire, $want", "storage: policy $n");
	}
}

cmp_ok($sent, '>', 20, 'storage: some are sent, as they were judged');
cmp_ok($alike, '>', 20, 'storage: explain says what is decided');

$t->done();
