# The fuzz targets: each replays its corpus, then looks for TEST_FUZZ_SECONDS
# (60; 0: not at all) for more.  As many run at a time as there are processors.

###############################################################################

use v5.36;

use lib 't/lib';

use File::Temp;
use Test::More;

use Fuzz;

my $seconds = $ENV{TEST_FUZZ_SECONDS} // 60;
my @names = Fuzz::targets();

plan tests => 1 + 2 * @names;

ok(@names >= 10, 'a target for each parser, one for nginx');

my $dir = File::Temp->newdir();

run_all('replay', sub ($name) { glob Fuzz::corpus($name) . '/*' }, \&replayed);

SKIP: {
	skip 'TEST_FUZZ_SECONDS=0', scalar @names unless $seconds;

	run_all('look', sub ($name) {
		mkdir "$dir/$name.new" or die "mkdir: $!";
		return Fuzz::options($name, "$dir/$name.new", $seconds);
	}, \&looked);
}

###############################################################################

sub run_all($what, $args, $check) {
	my @todo = @names;
	my %running;

	chomp(my $processors = `nproc`);

	while (@todo || %running) {

		while (@todo && keys %running < ($processors || 1)) {
			my $name = shift @todo;
			my $its = "$dir/$name.$what";

			mkdir $its or die "mkdir: $!";
			$running{Fuzz::start($name, $its, $args->($name))}
				= [$name, $its];
		}

		my $pid = wait();
		my $status = $?;
		my $done = delete $running{$pid} or next;

		$check->(@$done, $status);
	}
}

sub replayed($name, $its, $status) {
	my $n = () = glob Fuzz::corpus($name) . '/*';

	ok($n && $status == 0, "$name: replays $n inputs")
		or diag(Fuzz::findings($its));
}

sub looked($name, $its, $status) {
	my ($runs, $edges) = Fuzz::statistics(Fuzz::output($its));

	ok($status == 0 && $runs, "$name: finds nothing more")
		or diag(Fuzz::findings($its));

	note("$runs runs, $edges edges") if $runs;
}

###############################################################################
