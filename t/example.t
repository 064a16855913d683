#!/usr/bin/perl

# What "make run" shows: it ends by itself without a terminal, with 0 only if
# every answer was as stated; on a terminal it stays up until Ctrl-C.  It leaves
# no process and no file.

###############################################################################

use v5.36;

use File::Temp qw/ tempdir /;
use IO::Handle;
use IO::Socket::INET;
use POSIX qw/ WNOHANG /;
use Test::More;
use Time::HiRes qw/ sleep time /;

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

# one that allows too much

my $wrapped = tempdir(CLEANUP => 1);
my $nginx = $ENV{NGINX} // '/usr/sbin/nginx';

open my $fh, '>', "$wrapped/nginx" or die "$wrapped/nginx: $!";
print $fh <<"EOF";
#!/bin/sh
sed -i 's/allow .*;/allow;/' "\$4"
exec $nginx "\$@"
EOF
close $fh;
chmod 0755, "$wrapped/nginx";

($status, $output) = example(NGINX => "$wrapped/nginx");

isnt($status, 0, 'exit status if an answer is not as stated');
like($output, qr/^examples\/run: The answer was to be: 403$/m, 'which one');
unlike($output, qr/Every answer was as stated/, 'and that is all it says');
is(left(), ' ', 'nothing is left of that');

# on a terminal: Ctrl-C when it waits for it, and before

for (['It stays up until Ctrl-C', 0], ['A storage, and a gateway', 130]) {
	my ($line, $want) = @$_;

	my ($status, $output) = on_terminal($line);

	is($status, $want, "$line: exit status after Ctrl-C");
	is(left(), ' ', "$line: nothing is left");
	next if $want;

	like($output, qr/Every answer was as stated\./, "$line: every answer");
	like($output, qr/\Qtail $dir\E/, "$line: commands to try");
}

# script(1) is the terminal: what comes from its stdin was typed

sub on_terminal($until) {
	local @ENV{qw/ TMPDIR SHELL /} = ($dir, '/bin/sh');
	local $SIG{PIPE} = 'IGNORE';
	local $SIG{INT} = 'DEFAULT';
	my $output = "$wrapped/output";
	my $end = time() + 120;

	unlink $output;

	my $pid = open my $typed, '|-', 'exec script -qfec'
		. " 'exec examples/run' /dev/null > $output 2>&1"
		or die "script: $!";
	$typed->autoflush(1);

	sleep 0.05 until slurp($output) =~ /\Q$until\E/ || time() > $end;

	for (1 .. 30) {
		print $typed "\cC";
		last if waitpid($pid, WNOHANG) == $pid;
		sleep 1;
	}

	return ($? >> 8, slurp($output));
}

sub slurp($file) {
	open my $fh, '<', $file or return '';
	local $/;
	return <$fh> // '';
}

# a gateway that is none

my $port = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
	or die "no port: $!\n";

($status, $output) = example(PORT => $port->sockport());

isnt($status, 0, 'exit status if the gateway does not start');
is(left(), ' ', 'nothing is left of that either');

done_testing();

###############################################################################
