# docs/getting-started.md, step by step, with its commands, its configuration
# and its answers.  What it says of a machine of its own is elsewhere here:
# files, ports, and the storage, which is Ceph RGW behind a server that speaks
# TLS under the name of NAVER's.  The package of step 2 is t/package.t's.

###############################################################################

use v5.36;

use IPC::Open2;
use IO::Socket::INET;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Docs;
use RGW;
use S3Abort;

###############################################################################

my $FILE = 'docs/getting-started.md';
my $STORAGE = 'kr.object.ncloudstorage.com';

my $rgw = RGW->start();
my $t = S3Abort->new();
my $dir = $t->dir();

$rgw->create_bucket('media');
$t->certificate('ca', ca => 1);
$t->certificate('storage', issuer => 'ca', san => [$STORAGE]);
mkdir "$dir/$_" for qw/ conf.d s3_abort /;

# nginx as it is before step 4

$t->run(<<"EOF" =~ s/RGW/$rgw->{endpoint}/gr);

%%LOAD%%
%%GLOBALS%%

events { }

http {
    include    %%TESTDIR%%/conf.d/*.conf;
    error_log  %%TESTDIR%%/error.log;
    %%HTTP%%

    server {
        listen               127.0.0.1:%%PORT_2%% ssl;
        server_name          $STORAGE;
        ssl_certificate      %%TESTDIR%%/storage.crt;
        ssl_certificate_key  %%TESTDIR%%/storage.key;

        location / {
            proxy_pass        http://RGW;
            proxy_set_header  Host \$http_host;
        }
    }
}

EOF

my (undef, undef, $group) = $t->worker();
my $port = $t->port();

sub block($heading, $lang, $n = 0) {
	return Docs::text($FILE, $heading, $lang, $n);
}

# Names of this test in place of those of the documentation.

sub local_names($text) {
	$text =~ s!/etc/(?:nginx/|(?=hosts))!$dir/!g;
	$text =~ s!/var/log/nginx/!$dir/!g;
	$text =~ s!www-data!$group!g if defined $group;
	$text =~ s!^chgrp.*\n!!mg unless defined $group;
	$text =~ s!ncp_iam_EXAMPLE!$rgw->{access_key}!g;
	$text =~ s!(SECRET_ACCESS_KEY ?= ?)EXAMPLE!$1$rgw->{secret_key}!gi;
	$text =~ s!https://\Q$STORAGE\E!http://$rgw->{endpoint}!g;
	$text =~ s!https://s3\.example\.com!https://localhost:$port!g;
	$text =~ s!DNS:s3\.example\.com!$&,DNS:localhost!g;

	return $text;
}

# One shell for all steps, for what they export.  Its programs are Debian's.

delete @ENV{grep { /^AWS_|_proxy$/i } keys %ENV};
$ENV{HOME} = $dir;
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';
$ENV{PATH} = "/usr/bin:$ENV{PATH}";

my $shell = open2(my $out, my $in, 'bash') or die "bash: $!\n";

print $in <<"EOF";
exec 2>&1
nginx() { $t->{nginx} -p $dir/ -e $dir/nginx.log -c $dir/nginx.conf "\$@"; }
systemctl() { test "\$*" = 'reload nginx' && nginx -s reload; }
EOF

# The exit status of what was run last, and all output.

sub sh($text) {
	my $output = '';

	print $in local_names($text), "\necho \"status: \$?\"\n";
	$in->flush();

	while (<$out>) {
		return ($1, $output) if /^status: (\d+)$/;
		$output .= $_;
	}

	die "the shell has ended: $output\n";
}

sub succeeds($heading, $n = 0) {
	my ($status, $output) = sh(block($heading, 'sh', $n));
	is($status, 0, $heading) or diag($output);
	return $output;
}

###############################################################################

succeeds('3. Secrets');
$t->canary((split ' ', $t->read('s3_abort/tenants.keys'))[2]);
succeeds('3. Secrets', 1);
like($t->read('hosts'), qr/s3\.example\.com/, 'a name');

# the storage's certificate is not one that the machine trusts

my $conf = block('4. The configuration', 'nginx');
$conf =~ s/(listen\s+)443/${1}127.0.0.1:$port/;
$conf =~ s/(server\s+)\Q$STORAGE\E:443/${1}127.0.0.1:@{[$t->port(2)]}/;
$conf =~ s/(region .*)/$1 ssl_trusted_certificate $dir\/ca.crt;/;
$t->write('conf.d/gateway.conf', local_names($conf));

unlike(succeeds('4. The configuration'), qr/\[(?:warn|emerg)\]/,
	'no warnings');
$t->wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") },
	'it listens');

succeeds('5. A first abort');

my ($id) = uploads();
isnt($id, undef, 'an upload');
is(succeeds('5. A first abort', 1), block('5. A first abort', 'text'),
	'aborted');
is(join(' ', uploads()), '', 'the storage has it no more');

my (undef, $output) = sh(block('5. A first abort', 'sh', 2));
is($output =~ s/^\n//r, block('5. A first abort', 'text', 1), 'two errors');

###############################################################################

# what differs is the time, the id and the directory

sub entries($text) {
	return [map { my $e = decode_json($_); delete $e->{time};
		s/uploadId=.*/uploadId=ID/, s!^(?:/etc/nginx|\Q$dir\E)/!!
		for values %$e; $e } split /\n/, $text];
}

$t->wait_for(sub { (() = $t->read('s3_abort.log') =~ /\n/g) == 3 },
	'three lines');
is_deeply(entries($t->read('s3_abort.log')),
	entries(block('6. What the logs say', 'json')), 'as they are shown');

my ($line) = split /\n/, block('6. What the logs say', 'text');
like($t->error_log('warn'), qr/\Q$line\E/, 'the error log');

sub uploads() {
	return $rgw->contents() =~ /^upload uploads\/acme\/film\.mov (\S+)$/mg;
}

close $in;
waitpid $shell, 0;
$t->done();

###############################################################################
