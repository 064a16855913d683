# The signer and the verifier of the pure files against botocore's: random
# buckets, keys, upload ids, tokens, dates and hosts, in headers and in
# presigned URLs.  A request that is changed by one letter is refused.

###############################################################################

use v5.36;

use File::Temp;
use Test::More;

my $python = '/usr/bin/python3';
my $build = $ENV{TEST_BUILD_DIR} // 'build';
my $seed = $ENV{TEST_SEED} // 20170318;
my $count = $ENV{TEST_COUNT} // 2000;

system("$python -c 'import botocore' 2>/dev/null") == 0
	or die "no botocore: tools/install test installs it\n";

my %least = (
	'header' => $count,
	'presigned' => $count,
	'tenant' => 5 * $count,
	'tenant presigned' => 6 * $count,
	'client' => 6 * 8 * int($count / 32),
	'client presigned' => 5 * 8 * int($count / 32),
	'session token' => 20,
);

plan tests => 4 + 2 * keys %least;

note("TEST_SEED=$seed TEST_COUNT=$count");

###############################################################################

my $dir = File::Temp->newdir();

is(system("$python t/lib/botocore_sign.py $seed $count > $dir/requests"), 0,
	'botocore signs');
is(system("cut -f 3 $dir/requests | $build/unit/signer > $dir/answers"), 0,
	'the pure files answer');

my @requests = lines("$dir/requests");
my @answers = lines("$dir/answers");

is(scalar @answers, scalar @requests, 'an answer to each request');

my (%n, %failed, %good);

while (@requests && @answers) {
	my ($group, $expected, $input) = split /\t/, shift @requests;
	my $answer = shift @answers;

	my $passed = $expected =~ s/^!//
		? $answer ne $expected : $answer eq $expected;

	$n{$group}++;
	$good{$answer}++;

	push @{ $failed{$group} }, "$input\nanswer: $answer\n" unless $passed;
}

for my $group (sort keys %least) {
	is(@{ $failed{$group} // [] }, 0, "$group: all agree")
		or diag("TEST_SEED=$seed TEST_COUNT=$count\n", $failed{$group}[0]);
	cmp_ok($n{$group} // 0, '>=', $least{$group}, "$group: enough of them");
}

# most changes are found by the signature alone, not by a check before it

cmp_ok($good{SignatureDoesNotMatch}, '>', $good{ok}, 'signatures decide');

###############################################################################

sub lines($path) {
	open my $fh, '<', $path or die "open $path: $!";
	chomp(my @lines = <$fh>);

	return @lines;
}

###############################################################################
