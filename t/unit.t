# The unit tests of the pure files: each program of build/unit is a subtest.

###############################################################################

use v5.36;

use Test::More;

my $build = $ENV{TEST_BUILD_DIR} // 'build';

my @names = map { m{/test_(\w+)\.c$} } sort glob 't/unit/test_*.c';

plan tests => 1 + @names;

ok(@names >= 8, 'a program for each pure file');

run_unit($_) for @names;

###############################################################################

sub run_unit($name) {
	my $program = "$build/unit/$name";

	return fail("$name: $program is not built") unless -x $program;

	open my $out, '-|', "exec $program 2>&1" or die "open: $!";

	my ($tests, $planned, $passed) = (0, 0, 1);
	my (@failed, @other);

	while (my $line = <$out>) {
		if ($line =~ /^(not )?ok (\d+)\b/) {
			$tests++;
			$passed = !$1;

			push @failed, $line unless $passed;
			push @other, $line if $2 != $tests;

		} elsif ($line =~ /^1\.\.(\d+)$/) {
			$planned = $1;

		} elsif ($line =~ /^#/) {
			push @failed, $line unless $passed;

		} else {
			push @other, $line;
		}
	}

	close $out;
	my $status = $?;

	subtest $name => sub {
		plan tests => 4;

		ok(!@failed, 'no test fails')
			or diag(@failed > 60 ? @failed[0 .. 59] : @failed);
		ok(!@other, 'no other output') or diag(@other);
		ok($tests && $tests == $planned, "all $planned tests were run");
		is($status, 0, 'exit status');
	};
}

###############################################################################
