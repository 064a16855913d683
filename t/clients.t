# Real S3 clients abort uploads through the gateway, on a real storage: their
# own idea of what to send and sign, and of what an answer means.

###############################################################################

use v5.36;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Docs;
use RGW;
use S3Abort;

###############################################################################

# A client is a program that aborts one upload after the other.  Its stdin is
# JSON: endpoint and cases, each with name, region, access_key, secret_key,
# bucket, key and upload_id.  The last line that it prints is JSON: for each name
# the outcome, as the client itself understood it: "ok" or S3's error code;
# where the client is a command, also its exit status.
#
# Here: its name, the program, what a client with another region makes of being
# told the right one, and the exit statuses.

my $MALFORMED = 'AuthorizationHeaderMalformed';

my @CLIENTS = (
	['awscli', ['/usr/bin/python3', 't/clients/aws.py'], 'ok',
		{ ok => 'exit 0', '' => 'exit 254' }],
	['boto3', ['/usr/bin/python3', 't/clients/boto.py'], 'ok'],
	['boto3, presigned',
		['/usr/bin/python3', 't/clients/boto.py', 'presigned'],
		$MALFORMED],
	['s3cmd', ['/usr/bin/python3', 't/clients/s3cmd.py'], 'ok',
		{ ok => 'exit 0', '' => 'exit 77', NoSuchUpload => 'exit 12' }],
	['@aws-sdk/client-s3', ['node', 't/clients/aws_sdk.js'], $MALFORMED],
	['@aws-sdk/s3-request-presigner',
		['node', 't/clients/aws_sdk.js', 'presigned'], $MALFORMED],
	['minio', ['node', 't/clients/minio.js'], $MALFORMED],
);

my $NODE_MODULES = 'build/clients/node_modules';

my %ACME = (access_key => 'ACME7KEY', secret_key => 'acme/secret+0123456789',
	region => 'kr-standard');

###############################################################################

system('t/clients/install') == 0
	or BAIL_OUT('no npm clients');

my $rgw = RGW->start();
my $t = S3Abort->new();

$t->write('storage.credentials', $rgw->credentials(), 0640);
$t->write_keys('tenants.keys', <<"EOF");
acme $ACME{access_key} $ACME{secret_key}
acme ACME7MISMATCH acme/secret+as+the+gateway+knows+it
EOF

$t->run(<<'EOF' =~ s/%%RGW%%/$rgw->{endpoint}/gr);

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    s3_abort_endpoint storage {
        url          http://%%RGW%%;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    s3_abort_policy tenants {
        allow  key=uploads/$s3_abort_tenant/*;
    }

    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            s3_abort_identity  sigv4 keys=%%TESTDIR%%/tenants.keys;
            s3_abort_pass      storage policy=tenants;

            # all but aborts: rclone lists uploads before it aborts them
            proxy_pass         http://%%RGW%%;
            proxy_set_header   Host $http_host;
        }
    }
}

EOF

# clients are to use what they are given, nothing they find
delete @ENV{grep { /^(?:AWS|RCLONE|MC)_|_proxy$/i } keys %ENV};
$ENV{HOME} = $t->dir();
$ENV{LC_ALL} = 'C.UTF-8';
$ENV{NODE_PATH} = $NODE_MODULES;
$ENV{AWS_EC2_METADATA_DISABLED} = 'true';

my $json = JSON::PP->new;       # keys are bytes, already UTF-8
my $gateway = 'http://127.0.0.1:' . $t->port();

###############################################################################

$rgw->create_bucket('media');

aborts(@$_) for @CLIENTS;

sub aborts($name, $command, $other_region, $exit = undef) {
	my (@cases, %expected);

	my $case = sub ($what, $expected, %o) {
		my $key = $o{key} // "uploads/acme/$what";
		my $id = $rgw->create_multipart_upload('media', $key);

		push @cases, { %ACME, bucket => 'media', upload_id => $id, %o,
			name => $what, key => $key, made => $id };
		$expected{$what} = join ' ', $exit ? $exit->{$expected}
			// $exit->{''} : (), $exit && $expected eq 'ok' ? ()
			: $expected;
	};

	$case->($_, 'ok') for 'an upload', @RGW::DIFFICULT;
	$case->('wrong secret', 'SignatureDoesNotMatch',
		secret_key => 'wrong');
	$case->('unknown key', 'InvalidAccessKeyId',
		access_key => 'NOBODY7KEY');
	$case->("somebody else's", 'AccessDenied',
		key => 'uploads/globex/plans');
	$case->('no such upload', 'NoSuchUpload',
		upload_id => '2~nosuchuploadnosuchuploadnosuchup');

	$case->('another region', $other_region, region => 'us-east-1');

	my $before = $rgw->contents();
	my $outcomes = outcomes($command, { endpoint => $gateway,
		cases => \@cases });

	is_deeply($outcomes, \%expected, "$name: outcomes");
	is($rgw->contents(), without($before, map { $_->{made} }
		grep { $expected{$_->{name}} =~ /^(?:ok|exit 0)$/ } @cases),
		"$name: what is left");
}

sub outcomes($command, $cases) {
	$t->write('cases', $json->encode($cases));

	my ($status, $output) = output($t->dir() . '/cases', @$command);

	# the last line; warnings may stand before it
	return $status == 0 && $output =~ /^(\{.*\})\n\z/m
		? $json->decode($1) : "exit $status: $output";
}

sub without($contents, @ids) {
	my %gone = map { $_ => 1 } @ids;
	return join "\n", grep { !/^upload .* (\S+)$/ || !$gone{$1} }
		split /\n/, $contents;
}

###############################################################################

# rclone aborts what the storage lists.  Listing is not the gateway's business,
# so this tenant is a user of the storage, too: with the same keys, and leave
# to list uploads, but not to abort any.

$rgw->add_user('acme', @ACME{qw/ access_key secret_key /});
$rgw->add_user('mismatch', 'ACME7MISMATCH', $ACME{secret_key});
$rgw->add_user('nobody', 'NOBODY7KEY', $ACME{secret_key});

$rgw->create_bucket('rclone');
$rgw->allow('rclone', 'ListBucketMultipartUploads', 'acme', 'mismatch',
	'nobody');

my ($status, $output);

# it makes one slash of two, so those are kept for a case of their own

upload($_) for map { "uploads/acme/$_" } 'an upload',
	grep { !m!//! } @RGW::DIFFICULT;
($status, $output) = rclone($ACME{access_key});
is($status, 0, 'rclone: exit status') or diag($output);
is(uploads(), '', 'rclone: all is aborted');

# of what failed it tells, but not by its exit status

upload('uploads/acme/a//b');
($status, $output) = rclone($ACME{access_key});
is($status, 0, 'rclone, no such upload: exit status');
like($output, qr/NoSuchUpload/, 'rclone, no such upload: code');

upload('uploads/acme/mismatch');
($status, $output) = rclone('ACME7MISMATCH');
is($status, 0, 'rclone, wrong secret: exit status');
like($output, qr/SignatureDoesNotMatch/, 'rclone, wrong secret: code');
like(uploads(), qr/mismatch$/, 'rclone, wrong secret: still there');

($status, $output) = rclone('NOBODY7KEY');
is($status, 0, 'rclone, unknown key: exit status');
like($output, qr/InvalidAccessKeyId/, 'rclone, unknown key: code');
like(uploads(), qr/mismatch$/, 'rclone, unknown key: still there');

($status, $output) = rclone($ACME{access_key}, 'us-east-1');
is($status, 0, 'rclone, another region: exit status');
like($output, qr/AuthorizationHeaderMalformed/, 'rclone, another region: code');
like(uploads(), qr/mismatch$/, 'rclone, another region: still there');

upload('uploads/globex/plans');
($status, $output) = rclone($ACME{access_key});
is($status, 0, "rclone, somebody else's: exit status");
like($output, qr/AccessDenied/, "rclone, somebody else's: code");
is(uploads(), "uploads/acme/a//b\nuploads/globex/plans",
	"rclone, somebody else's: still there");

sub upload($key) {
	$rgw->create_multipart_upload('rclone', $key);
}

sub uploads() {
	return join "\n", RGW::elements($rgw->request('GET', 'rclone', undef,
		'uploads'), 'Upload', 'Key');
}

# as docs/clients.md has it, but for names and the age

sub rclone($access_key, $region = $ACME{region}) {
	my ($command, $conf) = map { Docs::text('docs/clients.md', 'rclone',
		$_) } qw/ sh ini /;

	$command =~ s/media -o max-age=24h/rclone -o max-age=0s/
		or die "another command: $command";

	my %mine = (endpoint => $gateway, region => $region,
		access_key_id => $access_key,
		secret_access_key => $ACME{secret_key});
	$conf =~ s/^$_ = \K.*/$mine{$_}/m or die "no $_: $conf"
		for keys %mine;

	local %ENV = (%ENV,
		RCLONE_CONFIG => $t->write('rclone.conf', $conf, 0600),
		RCLONE_RETRIES => 1,
		RCLONE_LOW_LEVEL_RETRIES => 1,
	);

	return output('/dev/null', 'sh', '-c', $command);
}

###############################################################################

# The exit status of a command, and all that it said.

sub output($stdin, @command) {
	defined(my $pid = open my $pipe, '-|') or die "fork: $!\n";

	if ($pid == 0) {
		open STDIN, '<', $stdin;
		open STDERR, '>&', \*STDOUT;
		exec 'timeout', 60, @command or POSIX::_exit(127);
	}

	my $output = do { local $/; <$pipe> };
	close $pipe;

	return ($? >> 8, $output);
}

###############################################################################

$t->done();

###############################################################################
