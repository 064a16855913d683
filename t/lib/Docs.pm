package Docs;

# The fenced blocks of the documentation.

###############################################################################

use v5.36;

###############################################################################

sub slurp($name) {
	open my $fh, '<', $name or die "$name: $!\n";
	local $/;
	return <$fh>;
}

# Those of a file: file, line, heading, lang, text.

sub blocks($file) {
	my ($heading, $block, $n, @blocks) = ('', undef, 0);

	for (split /^/, slurp($file)) {
		$n++;

		if ($block) {
			if (/^```$/) {
				push @blocks, $block;
				undef $block;

			} else {
				$block->{text} .= $_;
			}

		} elsif (/^```(\w+)$/) {
			$block = { file => $file, line => $n, lang => $1,
				heading => $heading, text => '' };

		} elsif (/^#+ (.*)$/) {
			$heading = $1;
		}
	}

	die "$file: a block without an end\n" if $block;
	return @blocks;
}

# Those of a kind below a heading.

sub below($file, $heading, $lang) {
	my @found = grep { $_->{heading} eq $heading && $_->{lang} eq $lang }
		blocks($file);

	@found or die "$file has no $lang below \"$heading\"\n";
	return @found;
}

# The text of one of them.

sub text($file, $heading, $lang, $n = 0) {
	return (below($file, $heading, $lang))[$n]{text};
}

###############################################################################

1;
