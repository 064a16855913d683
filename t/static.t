# Static analysis finds nothing: clang-tidy (.clang-tidy has its checks),
# cppcheck, and the analyzers of gcc and clang, over all of src/.

###############################################################################

use v5.36;

use Test::More;

my $nginx = $ENV{NGINX_SRC} // '/usr/share/nginx/src';
my $objs = ($ENV{TEST_BUILD_DIR} // 'build') . '/objs';

-f "$objs/ngx_auto_config.h" or die "no $objs, run \"make\" first\n";

my @sources = sort glob 'src/*.c';
my @flags = ('-std=gnu99', '-D_GNU_SOURCE', '-Isrc', "-I$objs",
	map { "-isystem$nginx/src/$_" } qw! core event event/modules event/quic
		os/unix http http/modules http/v2 http/v3 !);

# gcc takes an array that a loop fills for uninitialized

my @tools = (
	['clang-tidy', 'clang-tidy', '--quiet', @sources, '--', @flags],
	['cppcheck', 'cppcheck', '--quiet', '--std=c99', '--inline-suppr',
		'--enable=warning,performance,portability',
		'-DNGX_HTTP_SSL=1', '-Isrc', '--error-exitcode=1', @sources],
	(map { ["gcc -fanalyzer $_", 'gcc', '-fanalyzer', '-O1', '-Werror',
		'-Wno-analyzer-use-of-uninitialized-value', @flags,
		'-c', $_, '-o', '/dev/null'] } @sources),
	(map { ["clang --analyze $_", 'clang', '--analyze', '-Werror',
		'--analyzer-output', 'text', '-Xanalyzer',
		'-analyzer-disable-checker=security.insecureAPI.'
		. 'DeprecatedOrUnsafeBufferHandling', @flags, $_,
		'-o', '/dev/null'] } @sources),
);

for (@tools) {
	my ($name, @command) = @$_;

	open my $out, '-|', "@command 2>&1" or die "@command: $!\n";
	local $/;
	my $output = <$out> // '';
	close $out;

	ok($? == 0 && $output !~ /warning:/, $name) or diag($output);
}

done_testing();

###############################################################################
