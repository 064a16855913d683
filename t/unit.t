#!/usr/bin/perl

# Unit tests of the pure files, one subtest a program of build/unit, which
# "make unit" builds.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

###############################################################################

my $build = $ENV{TEST_BUILD_DIR} || "$FindBin::Bin/../build";

my @names = map { m{/test_(\w+)\.c$} } sort glob "$FindBin::Bin/unit/test_*.c";

plan tests => 1 + @names;

is_deeply(\@names, [ qw/authorization credentials error policy request sigv4
	upload_id uri/ ], 'a program for each pure file');

run_unit($_) for @names;

###############################################################################

sub run_unit {
	my ($name) = @_;
	my $program = "$build/unit/$name";

	return fail("$name: $program is not built") unless -x $program;

	open my $out, '-|', "exec $program 2>&1" or die "open: $!";

	my ($tests, $planned, $passed, @failed, @other) = (0, undef, 1);

	while (my $line = <$out>) {
		if ($line =~ /^(not )?ok (\d+)\b/) {
			push @other, "test $2 is out of sequence\n"
				if $2 != ++$tests;
			$passed = !$1;
			push @failed, $line unless $passed;

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
		is($tests, $planned, "all tests were run ($tests)");
		is($status, 0, 'exit status');
	};
}

###############################################################################
