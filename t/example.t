#!/usr/bin/perl

# What "make run" shows: it ends by itself without a terminal, with 0 only if
# every answer was as stated, and leaves no process and no file.

###############################################################################

use v5.36;

use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use Test::More;

###############################################################################

my $dir = tempdir(CLEANUP => 1);
chmod 0711, $dir;

sub example(%env) {
	local @ENV{'TMPDIR', keys %env} = ($dir, values %env);
	my $output = qx{timeout 120 examples/run < /dev/null 2>&1};

	return ($? >> 8, $output);
}

sub left {
	my @files = glob "$dir/*";
	my @processes = grep { -d && index(cmdline("$_/cmdline"), $dir) != -1 }
		glob '/proc/[0-9]*';

	return "@files @processes";
}

sub cmdline($file) {
	open my $fh, '<', $file or return '';
	return <$fh> // '';
}

my ($status, $output) = example();

is($status, 0, 'exit status');
like($output, qr/^Every answer was as stated\.$/m, 'every answer');
like($output, qr/\Q$_\E/, $_) for 'HTTP/1.1 204 No Content',
	'=> ListParts: it is gone', '=> AccessDenied',
	'=> ListParts: it is still there', '=> the object is there',
	'=> two of each', '=> a page that shows it';
is(left(), ' ', 'nothing is left');

# a gateway that is none

my $port = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
	or die "no port: $!\n";

($status, $output) = example(PORT => $port->sockport());

isnt($status, 0, 'exit status if the gateway does not start');
is(left(), ' ', 'nothing is left of that either');

done_testing();

###############################################################################
