package Fuzz;

# The fuzz targets of build/fuzz, for t/fuzz.t and t/fuzz/long.

###############################################################################

use v5.36;

use POSIX ();

our $Build = $ENV{TEST_BUILD_DIR} // 'build';

my %MAX_LEN = (nginx => 4096);

sub targets() {
	return map { m{/fuzz_(\w+)\.c$} } sort glob 't/fuzz/fuzz_*.c';
}

sub corpus($name) {
	return "t/fuzz/corpus/$name";
}

# libFuzzer's options for looking for more; finds go to the folder $new.

sub options($name, $new, $seconds) {
	my $words = "t/fuzz/$name.dict";

	return ('-max_len=' . ($MAX_LEN{$name} // 2048), '-timeout=10',
		"-max_total_time=$seconds", '-print_final_stats=1',
		-f $words ? "-dict=$words" : (), $new, corpus($name));
}

# Runs a target; $dir gets its output, what it finds wrong, and its files.
# Returns its process id.

sub start($name, $dir, @args) {
	defined(my $pid = fork()) or die "fork: $!\n";
	return $pid if $pid;

	open STDOUT, '>', "$dir/output" or die "$dir/output: $!\n";
	open STDERR, '>&', \*STDOUT;

	$ENV{TMPDIR} = $dir;
	exec "$Build/fuzz/$name", "-artifact_prefix=$dir/finding-", @args
		or POSIX::_exit(127);
}

sub output($dir) {
	open my $fh, '<:raw', "$dir/output" or return '';
	local $/;
	return <$fh> // '';
}

# The number of runs, and of the edges that they reached.

sub statistics($output) {
	my ($runs) = $output =~ /^stat::number_of_executed_units: (\d+)/m;
	my (@edges) = $output =~ /^#\d+\s.*?\bcov: (\d+)/mg;

	return ($runs, $edges[-1]);
}

# What went wrong, where, and the inputs.

sub findings($dir) {
	my @lines = grep { !/^#\d+\s/ } split /^/, output($dir);
	my $report = join '', @lines > 60 ? @lines[-60 .. -1] : @lines;

	for my $file (glob "$dir/finding-*") {
		open my $fh, '<:raw', $file or next;
		local $/;
		$report .= "$file: " . unpack('H*', <$fh> // '') . "\n";
	}

	return $report;
}

###############################################################################

1;
