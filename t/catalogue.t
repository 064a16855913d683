# Each row of t/catalogue.md has a test that names it, each id that a test names
# has a row, and no row has gone.

###############################################################################

use v5.36;

use Test::More;

###############################################################################

my %LAST = (A => 26, B => 28, C => 11, D => 24, E => 34, F => 36, G => 17,
	H => 17, I => 15, J => 8, K => 33, X => 20);
my $ID = qr/\b[A-KX]-\d\d\b/;

sub slurp($file) {
	open my $fh, '<', $file or die "$file: $!\n";
	local $/;
	return <$fh>;
}

# An id counts in a string on a line of code; not in a comment, nor in those of
# the configurations.

my (%tests, @unwatched);

for my $file (glob 't/*.t') {
	my $text = slurp($file);
	my %here = map { $_ => 1 } map { /$ID/g } map { /['"`{]([^'"`]*)/g }
		grep { !/^\s*#/ } split /\n/, $text;

	push @{$tests{$_}}, $file for keys %here;
	push @unwatched, $file if %here && $text !~ /^\$t->done\(\);$/m;
}

my $catalogue = slurp('t/catalogue.md');
my ($unused) = $catalogue =~ /^Numbers that are not used: (.*?)\.$/ms;
my @rows = $catalogue =~ /^\| ($ID) \| [^|]+ \| [^|]+ \|$/gm;
my %rows = map { $_ => 1 } @rows;

is(scalar(() = $catalogue =~ /^\| \S*-\d/gm), @rows, 'rows are well-formed');
is(join(' ', @rows), join(' ', sort @rows), 'rows are in order');
is(scalar keys %rows, @rows, 'no row is there twice');

is(join(' ', sort { $a cmp $b } @rows, $unused =~ /$ID/g),
	join(' ', map { my $part = $_; map { sprintf '%s-%02d', $part, $_ }
		1 .. $LAST{$part} } sort keys %LAST),
	'no row has gone');

is(join(' ', grep { !$tests{$_} } @rows), '', 'rows without a test');
is(join(', ', map { "$_ in $tests{$_}[0]" } grep { !$rows{$_} }
	sort keys %tests), '', 'ids without a row');

is("@unwatched", '', 'files that do not assert the wire invariant');

done_testing();
