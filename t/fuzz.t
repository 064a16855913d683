# The fuzz targets of the pure files: each replays its corpus, then looks for
# TEST_FUZZ_SECONDS (5; 0: not at all) for more.

###############################################################################

use v5.36;

use File::Temp;
use Test::More;

my $build = $ENV{TEST_BUILD_DIR} // 'build';
my $seconds = $ENV{TEST_FUZZ_SECONDS} // 5;

my @names = map { m{/fuzz_(\w+)\.c$} } sort glob 't/fuzz/fuzz_*.c';

plan tests => 1 + 2 * @names;

ok(@names >= 7, 'a target for each parser');

# libFuzzer leaves here what it finds

my $dir = File::Temp->newdir();

for my $name (@names) {
	my $corpus = "t/fuzz/corpus/$name";
	my @files = glob "$corpus/*";

	my ($status, $output) = run($name, @files);

	ok(@files && $status == 0, "$name: replays " . @files . ' inputs')
		or diag(findings($output));

	SKIP: {
		skip 'TEST_FUZZ_SECONDS=0', 1 unless $seconds;

		# finds go to the first folder, not to the corpus

		mkdir "$dir/$name" or die "mkdir: $!";

		($status, $output) = run($name, '-max_len=2048', '-timeout=5',
			"-max_total_time=$seconds", "$dir/$name", $corpus);

		my ($runs) = $output =~ /^Done (\d+) runs/m;

		ok($status == 0 && $runs, "$name: finds nothing more")
			or diag(findings($output));

		note("$runs runs") if $runs;
	}
}

###############################################################################

sub run($name, @args) {
	open my $out, '-|', "exec $build/fuzz/$name -artifact_prefix=$dir/ "
		. join(' ', @args) . ' 2>&1' or die "open: $!";

	local $/;
	my $output = <$out> // '';
	close $out;

	return ($?, $output);
}


# what went wrong, where, and the input

sub findings($output) {
	my @lines = grep { !/^#\d+\s/ } split /^/, $output;
	my $report = join '', @lines > 40 ? @lines[-40 .. -1] : @lines;

	for my $file (grep { -f } glob "$dir/*") {
		open my $fh, '<:raw', $file or next;
		local $/;
		$report .= "$file: " . unpack('H*', <$fh> // '') . "\n";
	}

	return $report;
}

###############################################################################
