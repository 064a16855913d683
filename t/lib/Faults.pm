package Faults;

# Calls of nginx that fail, on order: faults.c, preloaded into what is started
# from now on, counts them and lets one of them fail.

###############################################################################

use v5.36;

use Exporter qw/ import /;

use S3Abort;

# what may fail: allocations, files and sockets and mappings, digests, TLS; what
# a storage does not take; stat() of an open file; the clocks that bound regular
# expressions; with OURS only what the module calls itself

use constant { MEMORY => 1, SYSTEM => 2, CRYPTO => 4, TLS => 8, ALL => 15,
	STALL => 16, STAT => 32, OURS => 64, CLOCK => 128, WALL => 256 };

our @EXPORT = qw/ MEMORY SYSTEM CRYPTO TLS ALL STALL STAT OURS CLOCK WALL /;

my $TRIES = $ENV{TEST_TORTURE_ALL} ? 1e9 : 60;

###############################################################################

sub new($class, $t) {
	my $cc = $ENV{CC} // 'cc';
	my $dir = $t->dir();
	my $self = bless { t => $t,
		sanitized => ($ENV{TEST_NGINX_MODULE} // 'dynamic') eq '' }, $class;

	S3Abort::need('C compiler', qx/$cc --version 2>&1/ && $? == 0);

	my $out = qx!$cc -std=gnu11 -O1 -fPIC -shared -w -fno-builtin \\
		-o $dir/faults.so t/lib/faults.c -ldl 2>&1!;
	$? == 0 or die "$cc: $out\n";

	$ENV{TEST_NGINX_PRELOAD} = join ' ', $ENV{TEST_NGINX_PRELOAD} // (),
		"$dir/faults.so";
	$ENV{TEST_FAULTS} = $t->write('faults', "\0" x 4096, 0666);
	$ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (),
		'verify_asan_link_order=0';
	$ENV{TEST_FAULTS_CODE} = module_code($t->{nginx}) if $self->{sanitized};

	return $self;
}

# Where the module's code is in a program that it is a part of.

sub module_code($nginx) {
	my @addresses = sort map { /^([0-9a-f]+) [tT] (?:ngx_http_)?s3_/ ? $1
		: () } qx/nm $nginx/;
	return "$addresses[0]-$addresses[-1]";
}

sub sanitized($self) {
	return $self->{sanitized};
}

# From now on the n-th call of such a kind fails.

sub order($self, $kind, $n) {
	my $fh = $self->orders();

	syswrite $fh, pack 'l4', 0, $n, 0, 0;
	sysseek $fh, 0, 0;
	syswrite $fh, pack 'l', $kind;
}

sub orders($self) {
	open my $fh, '+<', $ENV{TEST_FAULTS} or die "faults: $!\n";
	return $fh;
}

# How many there were since, and whether one failed; then none does.

sub counted($self, $n) {
	my (undef, $left, $failed) = unpack 'l3', $self->{t}->read('faults');
	$self->order(0, 0);
	return ($n - $left, $failed);
}

# Which of so many calls fail: all of them, or of many not each, unless
# TEST_TORTURE_ALL.

sub chosen($calls) {
	my $step = $calls < 3 * $TRIES ? 1 : 1 + int $calls / $TRIES;
	return grep { $_ <= 20 || $_ % $step == 0 } 1 .. $calls;
}

# From now on each process of nginx that ends looks for patterns in its memory,
# for their first 16 bytes; they are masked, so as not to be found where they
# are written.

sub look_for($self, @patterns) {
	my $fh = $self->orders();

	sysseek $fh, 16, 0;
	syswrite $fh, pack 'l2 a16', 0, scalar @patterns, '';
	sysseek $fh, 64, 0;
	syswrite $fh, join '', map { (substr $_, 0, 16) ^. ("\x5a" x 16) }
		@patterns;
}

# Which were found, by number, as a list; how many processes looked.

sub found($self) {
	my ($found, $processes, $n) = (unpack 'l6',
		$self->{t}->read('faults'))[3 .. 5];
	return ([grep { $found & 1 << $_ } 0 .. $n - 1], $processes);
}

1;

###############################################################################
