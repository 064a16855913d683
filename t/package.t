#!/usr/bin/perl

# The Debian package: lintian has nothing against it, its manual page is one,
# and in a Debian of its own it is installed, configured, hardened and removed
# as docs/install.md says.  Changes nothing of this machine.

###############################################################################

use v5.36;

use File::Temp qw/ tempdir /;
use POSIX;
use Test::More;

use lib 't/lib';
use Docs;
use SigV4;

###############################################################################

my $NAME = 'libnginx-mod-http-s3-abort';
my $DOC = "/usr/share/doc/$NAME";

my @sudo = $> == 0 ? () : ('sudo');
my $dir = tempdir('s3-abort-package.XXXXXX', TMPDIR => 1);
my $root = "$dir/root";

END { system(@sudo, 'rm', '-rf', '--one-file-system', $dir) if $dir }

my ($deb, @more) = glob "build/package/${NAME}_*.deb";
defined $deb && !@more && -e 'build/debian.tar'
	or die "no package, or no Debian: \"make check\" makes both\n";

# The exit status of a command and all that it said.

sub run(@command) {
	defined(my $pid = open my $pipe, '-|') or die "fork: $!\n";

	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDERR, '>&', \*STDOUT;
		exec 'timeout', 120, @command or POSIX::_exit(127);
	}

	my $output = do { local $/; <$pipe> } // '';
	close $pipe;

	return ($? >> 8, $output);
}

sub succeeds($name, @command) {
	my ($status, $output) = run(@command);
	is($status, 0, $name) or diag($output);
	return $output;
}

sub chrooted($script) {
	return (@sudo, 'chroot', $root, 'env', 'SYSTEMD_OFFLINE=1',
		'sh', '-ec', $script);
}

sub spew($name, $text) {
	open my $fh, '>', "$dir/new" or die "$dir/new: $!\n";
	print $fh $text;
	close $fh or die "$dir/new: $!\n";
	succeeds($name, @sudo, 'cp', "$dir/new", "$root/$name");
}

# What the documentation tells to do.

sub commands($heading, $n = 0, $lang = 'sh') {
	return Docs::text('docs/install.md', $heading, $lang, $n);
}

###############################################################################
#
# The package by itself

succeeds('lintian: no error, no warning', 'lintian', '--allow-root',
	'--fail-on', 'error,warning', glob "build/package/${NAME}_*.changes");
is_deeply([grep { -e } map { "debian/$_" } '.debhelper', 'files', $NAME], [],
	'nothing is left beside the sources');

my ($version) = Docs::slurp('CHANGES.md') =~ /^## (\S+)/m;

like((run('dpkg-deb', '-f', $deb, 'Version'))[1], qr/^\Q$version\E-\d+$/,
	'its version is that of CHANGES.md');
like((run('dpkg-deb', '-f', $deb, 'Depends'))[1], qr/\bnginx-abi-/,
	'it depends on the ABI of nginx');

###############################################################################
#
# Installed

mkdir $root or die "$root: $!\n";
succeeds('a Debian', @sudo, 'tar', '-C', $root, '-xf', 'build/debian.tar');
succeeds('nginx without the package', chrooted('nginx -t'));

succeeds('the package is there', @sudo, 'cp', $deb, "$root/tmp/");
succeeds('install', chrooted('dpkg -i /tmp/*.deb'));

like(succeeds('nginx with the package', chrooted('nginx -T')),
	qr/^load_module modules\/ngx_http_s3_abort_module\.so;$/m,
	'the module is enabled');

is((run(chrooted('stat -c "%A %U:%G" /etc/nginx/s3_abort')))[1],
	"drwxr-x--- root:www-data\n", 'a directory for secrets');
is((run(chrooted("cd $DOC; ls README.md docs/*.md")))[1],
	join('', map { "$_\n" } 'README.md', sort glob 'docs/*.md'),
	'documents');
succeeds('the status page is where the example has it', chrooted("test -f \"\$("
	. "sed -n 's/^ *alias *\\(.*\\);/\\1/p' $DOC/examples/gateway.conf)\""));

# the manual page

my $page = "$root/usr/share/man/man7/ngx_http_s3_abort_module.7.gz";
my $manual;

for my $width (132, 60, 80) {
	local @ENV{qw/ LC_ALL MANWIDTH /} = ('C.UTF-8', $width);
	$manual = succeeds("manual page, $width columns", 'man', '--warnings',
		'-l', $page);
	unlike($manual, qr/standard input>/,
		"manual page, $width columns: no warnings");
}

like((run('lexgrog', $page))[1],
	qr/"ngx_http_s3_abort_module - tenants abort .* uploads"$/,
	'manual page: name');

for my $file (qw/ directives variables /) {
	is_deeply([grep { $manual !~ /^ {3}\Q$_\E$/m }
		Docs::slurp("docs/$file.md") =~ /^### (.*)$/mg], [],
		"manual page: $file");
}

unlike($manual, qr/\]\(|^#|`|\*\*/m, 'manual page: no markup');

# A gateway, as it is documented.  What its example names is here: a server
# with a certificate, and a storage, which is nginx itself.

spew('etc/hosts', "127.0.0.1 localhost kr.object.ncloudstorage.com\n");
spew('etc/nginx/conf.d/storage.conf', <<'END');
server {
    listen               443 ssl;
    server_name          kr.object.ncloudstorage.com;
    ssl_certificate      /etc/nginx/s3.example.com.crt;
    ssl_certificate_key  /etc/nginx/s3.example.com.key;
    return               204;
}
END

succeeds('a certificate', chrooted(<<'END'));
cd /etc/nginx
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj /CN=s3.example.com -keyout s3.example.com.key \
    -addext subjectAltName=DNS:kr.object.ncloudstorage.com \
    -out s3.example.com.crt
cat s3.example.com.crt >> /etc/ssl/certs/ca-certificates.crt
END

unlike(succeeds('a first gateway', chrooted(commands('A first gateway'))),
	qr/\[(?:warn|emerg)\]/, 'a first gateway: no warnings');

###############################################################################
#
# Hardened, under a systemd of its own

succeeds('hardening', chrooted(commands('A hardened service')));
is(succeeds('verify the unit',
	chrooted('systemd-analyze verify --man=no nginx.service')), '',
	'verify the unit: no warnings');

SKIP: {
	skip 'this machine permits no namespaces', 2
		if (run(@sudo, 'unshare', '--mount', '--pid', '--fork',
		'mount', '-t', 'tmpfs', 'tmpfs', $root))[0] != 0;

	spew('srv/rotate', commands(
		'Rotating credentials of a hardened service'));
	# there is no TPM, and its file system looks like one that does not last

	spew('srv/encrypt', "cd /etc/nginx\n"
		. commands('A hardened service', 1)
		=~ s/^systemd-creds /$&--with-key=host /mr);
	spew('srv/encrypted', commands('A hardened service', 0, 'ini'));

	my $target = SigV4::presign(access_key => 'ACME7EXAMPLE',
		secret => 'zUPbzy2OFX5dRCXGAmBuLcPpPJKS4EXAMPLE',
		region => 'kr-standard',
		headers => [['Host', 's3.example.com']], target =>
		'/media/uploads/acme/film.mov?uploadId=A')->{target}
		=~ s/%/%%/gr;

	spew('srv/hardened', Docs::slurp('t/package/hardened'));
	spew('etc/systemd/system/hardened.service', <<"END");
[Unit]
After=nginx.service
Wants=nginx.service
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
StandardOutput=file:/srv/facts
ExecStart=/bin/sh /srv/hardened $target /srv/rotate
END

	my $said = succeeds('boot', @sudo, 'systemd-nspawn', '--quiet',
		'--register=no', '--keep-unit', '--private-network',
		'--link-journal=no', '--capability=CAP_IPC_LOCK',
		'--directory', $root, '--boot',
		'systemd.unit=hardened.service', 'systemd.show_status=no');

	is_deeply({ (run(@sudo, 'cat', "$root/srv/facts"))[1]
		=~ /^(.*): (.*)$/mg }, {
		'an abort' => '204',
		'core dumps' => '0',
		'locks memory' => '1',
		'powers of the master' => '00000000000004e3',
		'powers of a worker' => '0000000000000000',
		'no new powers' => '1',
		'secrets' => '400 root 400 root',
		'a worker reads them' => '2 Permission denied',
		'the master writes' => '3 Read-only file system',
		'reload' => '0',
		'new workers' => 'yes',
		'an abort after it' => '204',
		'an abort, encrypted credentials' => '204',
		'changed, and reloaded' => 'ACME7',
		'changed, and restarted' => '403 InvalidAccessKeyId',
		'stopped' => 'inactive',
		'in plain text' => 'No such file or directory',
		'logged' => 'InvalidAccessKeyId',
	}, 'hardened') or diag($said);
}

###############################################################################
#
# Removed

succeeds('remove', chrooted(commands('Removing')
	=~ s/^apt remove /dpkg -r /mr));
succeeds('nginx when the package is removed', chrooted('nginx -t'));
succeeds('purge', chrooted("dpkg -P $NAME"));
unlike(succeeds('nginx when the package is purged', chrooted('nginx -T')),
	qr/s3_abort_module/, 'nothing of the module is left');
is((run(chrooted('ls /etc/nginx/s3_abort /etc/nginx/modules-enabled')))[1],
	"/etc/nginx/modules-enabled:\n\n/etc/nginx/s3_abort:\n"
	. "storage.credentials\ntenants.keys\n", 'files of secrets stay');

done_testing();

###############################################################################
