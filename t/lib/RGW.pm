package RGW;

# A Ceph RGW of the test's own (t/rgw/rgw), and what its owner does there.
#
#     use RGW;
#
#     my $rgw = RGW->start();
#     $rgw->create_bucket('media');
#     my $id = $rgw->create_multipart_upload('media', 'a b/c');
#
#     $rgw->{endpoint}                        127.0.0.1:port
#     $rgw->{access_key}, $rgw->{secret_key}  the owner's
#
# It ends with the object, or with the process, however that ends.  Buckets and
# keys are bytes; requests that the storage refuses are answers like others.

###############################################################################

use v5.36;

use Digest::SHA qw/ sha256_hex /;
use File::Basename qw/ dirname /;
use File::Temp qw/ tempdir /;
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP qw/ encode_json /;
use POSIX ();

use SigV4;

# Parts of keys that something between a client and a storage got wrong once.

our @DIFFICULT = (
	'a b', 'a+b', '100%', '%41%2F', '~tilde', q{'single' "double"},
	'(round)[square]{curly}', '가나다', 'a//b', 'trailing/', '!*&=?#;:@$,',
	'back\\slash<|>^`', 'e' . "\xcc\x81",
);

my $PROGRAM = dirname(__FILE__) . '/../rgw/rgw';

###############################################################################

# The program stops the storage at the end of its stdin, a pipe from here: no
# way to die leaves it running.

sub start($class) {
	my $self = bless {
		pid => $$,
		dir => tempdir('s3-abort-rgw-XXXXXXXX', TMPDIR => 1),
		http => HTTP::Tiny->new(timeout => 30, no_proxy => '127.0.0.1'),
	}, $class;

	pipe my $stdin, $self->{stdin} or die "pipe: $!\n";
	pipe my $settings, my $stdout or die "pipe: $!\n";

	defined($self->{rgw} = fork()) or die "fork: $!\n";

	if ($self->{rgw} == 0) {
		open STDIN, '<&', $stdin;
		open STDOUT, '>&', $stdout;
		$SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
		exec $PROGRAM, 'run', $self->{dir} or POSIX::_exit(127);
	}

	close $_ for $stdin, $stdout;
	$SIG{$_} //= sub { exit 1 } for qw/ INT TERM HUP /;

	while (<$settings>) {
		$self->{$1} = $2 if /^(\w+)=(.*)/;
	}

	defined $self->{endpoint} or die "Ceph RGW does not start\n";
	return $self;
}

sub stop($self) {
	return if $self->{pid} != $$;       # a fork of the test's
	my $pid = delete $self->{rgw} or return;

	# forks may hold the pipe, too
	kill 'TERM', $pid;
	close $self->{stdin};
	local $?;
	waitpid $pid, 0;
}

# One more user.

sub add_user($self, $name, $access_key, $secret_key) {
	system($PROGRAM, 'user', $self->{dir}, $name, $access_key, $secret_key)
		== 0 or die "Ceph RGW takes no user \"$name\"\n";
}

# The text of a credentials file for it.

sub credentials($self) {
	return "[default]\naws_access_key_id = $self->{access_key}\n"
		. "aws_secret_access_key = $self->{secret_key}\n";
}

###############################################################################
#
# Owner's operations.  Each returns the answer: status, body, headers, and code,
# S3's name of the error.

sub create_bucket($self, $bucket) {
	return $self->request('PUT', $bucket);
}

# Lets users of the storage do one thing with the bucket, or what is in it, and
# nothing else.

sub allow($self, $bucket, $action, @users) {
	return $self->request('PUT', $bucket, undef, 'policy', encode_json({
		Version => '2012-10-17',
		Statement => [{
			Effect => 'Allow',
			Principal => { AWS => [map { "arn:aws:iam:::user/$_" }
				@users] },
			Action => ["s3:$action"],
			Resource => [map { "arn:aws:s3:::$bucket$_" } '', '/*'],
		}],
	}));
}

sub put_object($self, $bucket, $key, $body) {
	return $self->request('PUT', $bucket, $key, '', $body);
}

sub get_object($self, $bucket, $key) {
	return $self->request('GET', $bucket, $key);
}

sub head_object($self, $bucket, $key) {
	return $self->request('HEAD', $bucket, $key);
}

# Returns the upload id.

sub create_multipart_upload($self, $bucket, $key) {
	my $r = $self->request('POST', $bucket, $key, 'uploads');

	$r->{body} =~ m!<UploadId>([^<]+)</UploadId>!
		or die "no upload: $r->{status} $r->{body}\n";
	return $1;
}

sub complete_multipart_upload($self, $bucket, $key, $id, @etags) {
	my $n = 0;
	my $parts = join '', map { '<Part><PartNumber>' . ++$n
		. "</PartNumber><ETag>$_</ETag></Part>" } @etags;

	return $self->request('POST', $bucket, $key, "uploadId=$id",
		"<CompleteMultipartUpload>$parts</CompleteMultipartUpload>");
}

sub upload_part($self, $bucket, $key, $id, $number, $body) {
	return $self->request('PUT', $bucket, $key,
		"partNumber=$number&uploadId=$id", $body);
}

# A part that is on its way: sends all but the last byte of its body.  Returns a
# sub that sends this one and returns the answer.

sub begin_part($self, $bucket, $key, $id, $number, $body) {
	my $r = $self->sign('PUT', $bucket, $key,
		"partNumber=$number&uploadId=$id", $body);
	my $sock = IO::Socket::INET->new(PeerAddr => $self->{endpoint})
		or die "Ceph RGW: $!\n";
	my $send = sub ($bytes) {
		local $SIG{PIPE} = 'IGNORE';
		while (length $bytes) {
			my $n = syswrite $sock, $bytes or last;
			substr $bytes, 0, $n, '';
		}
	};

	$send->(join "\r\n", "PUT $r->{target} HTTP/1.1",
		map({ "$_->[0]: $_->[1]" } @{$r->{headers}}),
		'Content-Length: ' . length $body, 'Connection: close', '',
		substr $body, 0, -1);

	return sub {
		$send->(substr $body, -1);
		local $/;
		my $answer = <$sock> // '';
		my ($status) = $answer =~ m!^HTTP/1\.1 (\d+) !;

		return answer($status // 0, {}, $answer);
	};
}

sub list_parts($self, $bucket, $key, $id) {
	return $self->request('GET', $bucket, $key, "uploadId=$id");
}

sub has_upload($self, $bucket, $key, $id) {
	return $self->list_parts($bucket, $key, $id)->{status} == 200;
}

# All there is: buckets, objects, uploads and what is in them, a line each.

sub contents($self) {
	my @lines;

	for my $bucket (elements($self->request('GET'), 'Bucket', 'Name')) {
		my $objects = $self->request('GET', $bucket);
		my $uploads = $self->request('GET', $bucket, undef, 'uploads');

		push @lines, "bucket $bucket",
			map({ "object $_" } elements($objects, 'Contents',
				qw/ Key ETag /)),
			map({ "upload $_" } elements($uploads, 'Upload',
				qw/ Key UploadId /));
	}

	return join "\n", @lines;
}

sub elements($r, $element, @fields) {
	die "no listing: $r->{status} $r->{body}\n" if $r->{status} != 200;

	return map { my $e = $_; join ' ', map { $e =~ m!<$_>(.*?)</$_>!s
		? $1 : '' } @fields }
		$r->{body} =~ m!<$element>(.*?)</$element>!gs;
}

###############################################################################

sub request($self, $method, $bucket = undef, $key = undef, $query = '',
	$body = '')
{
	my $signed = $self->sign($method, $bucket, $key, $query, $body);

	# HTTP::Tiny sends this Host by itself, and insists on it
	my %headers = map { $_->[0] => $_->[1] }
		grep { $_->[0] ne 'Host' } @{$signed->{headers}};

	my $r = $self->{http}->request($method,
		"http://$self->{endpoint}$signed->{target}",
		{ headers => \%headers, content => $body });

	die "Ceph RGW: $r->{content}\n" if $r->{status} == 599;
	return answer($r->{status}, $r->{headers}, $r->{content} // '');
}

sub sign($self, $method, $bucket, $key, $query, $body) {
	my $target = '/' . join '/', grep { defined } $bucket,
		defined $key ? SigV4::uri_encode($key, '/') : undef;
	$target .= "?$query" if $query ne '';

	return SigV4::sign(
		method => $method,
		target => $target,
		headers => [['Host', $self->{endpoint}]],
		payload_hash => sha256_hex($body),
		region => 'kr-standard',
		access_key => $self->{access_key},
		secret => $self->{secret_key},
	);
}

sub answer($status, $headers, $body) {
	my ($code) = $body =~ m!<Code>([^<]+)</Code>!;
	return { status => $status, headers => $headers, body => $body,
		code => $code // '' };
}

###############################################################################

sub DESTROY($self) {
	$self->stop();
}

###############################################################################

1;
