# The whole story on a real storage: uploads are aborted, and nothing else ever
# happens to uploads, objects and buckets.  The gateway's credentials are those
# of the storage's owner: whatever it let through would be done.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use RGW;
use S3Abort;

###############################################################################

my $rgw = RGW->start();
my $t = S3Abort->new();

my $credentials = $rgw->credentials();

$t->write('storage.credentials', $credentials, 0640);
$t->write('wrong-secret.credentials', $credentials
	=~ s/(\S+)$/reverse $1/er, 0640);
$t->write('wrong-key.credentials', $credentials =~ s/OWNER/NOBODY/r, 0640);

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

    s3_abort_endpoint wrong-secret {
        url          http://%%RGW%%;
        region       kr-standard;
        credentials  %%TESTDIR%%/wrong-secret.credentials;
    }

    s3_abort_endpoint wrong-key {
        url          http://%%RGW%%;
        region       kr-standard;
        credentials  %%TESTDIR%%/wrong-key.credentials;
    }

    s3_abort_policy tenants {
        allow  key=uploads/$s3_abort_tenant/*;
    }

    large_client_header_buffers 4 32k;

    server {
        listen 127.0.0.1:%%PORT%%;

        s3_abort_domain    gw.test;
        s3_abort_identity  trusted $http_x_tenant;

        location / {
            s3_abort_pass  storage policy=tenants;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        s3_abort_identity  trusted $http_x_tenant;
        s3_abort_pass      $http_x_endpoint policy=tenants;
    }
}

EOF

$rgw->create_bucket('media');

###############################################################################

# Whatever a key holds, the upload is aborted, once, and the object of the same
# name stays.

for my $name ('an upload', @RGW::DIFFICULT) {
	my $key = "uploads/alice/$name";
	my $target = '/media/' . SigV4::uri_encode($key, '/');

	$rgw->put_object('media', $key, 'an object');
	my $objects = $rgw->contents();

	my $id = $rgw->create_multipart_upload('media', $key);
	$rgw->upload_part('media', $key, $id, 1, 'a part');

	is(answer($t->abort("$target?uploadId=$id")), '204', "\"$name\"");
	is($rgw->contents(), $objects, "\"$name\": upload gone, object there");
	is($rgw->get_object('media', $key)->{body}, 'an object',
		"A-24 \"$name\": object unchanged by a 204");
	is(answer($t->abort("$target?uploadId=$id")), '404 NoSuchUpload',
		"\"$name\" again");
	is($rgw->get_object('media', $key)->{body}, 'an object',
		"A-24 \"$name\": object unchanged by a 404");
}

###############################################################################

# Two uploads and an object, the same name all: nothing of what follows may
# touch them.

my $key = 'uploads/alice/film';
my $path = "/media/$key";

$rgw->put_object('media', $key, 'an object');
$rgw->put_object('media', $_, 'an object') for 'uploads/bob/film', 'other';

my ($id, $id2) = map { $rgw->create_multipart_upload('media', $key) } 1, 2;
my $bobs = $rgw->create_multipart_upload('media', 'uploads/bob/film');

my $before = $rgw->contents();

# What is sent, and the answer; "-": the status alone.

my $long = 'A' x 1025;
my @names = qw/ uploadID UploadId uploadid UPLOADID %75ploadId upload%49d
	uploadI%64 /;
my @ids = ('', qw/ %20 . .. %2e%2e a%2Fb a%5Cb a%26b a%3Fb a%23b a%00 a%0a
	%zz A% %4 /, 'a/b', "$id%20", "%20$id", $long, $long x 6);
my @parameters = qw/ tagging versionId=V acl delete cors lifecycle policy
	torrent uploads partNumber=1 legal-hold retention website versions
	x-id=DeleteObject x-id= a=1 uploadId= UploadId=B uploadid /;

my @refused = (
	(map { [$_, '400 InvalidArgument'] }
		map({ "$path?$_=$id" } @names),
		map({ "$path?uploadId=$_" } @ids),
		map({ ("$path?uploadId=$id&$_", "$path?$_&uploadId=$id") }
			@parameters, "uploadId=$id2", 'a&' x 5000),
		"$path?uploadId", "$path?uploadId=$id;versionId=V",
		"$path?versionId=V;uploadId=$id", "$path?uploadId=$id?x",
		"$path?x?uploadId=$id"),
	(map { [$_, '400 InvalidRequest'] }
		"/media/?uploadId=$id", "/media?uploadId=$id",
		"/media//?uploadId=$id"),
	(map { [$_, '400 InvalidURI'] }
		"/media/uploads/alice/../bob/film?uploadId=$bobs",
		"/media/uploads/alice/%2e%2e/bob/film?uploadId=$bobs",
		"/media/uploads/alice/./film?uploadId=$id"),
	(map { [$_, '400 -'] }
		"$path%00?uploadId=$id", "/?uploadId=$id",
		"//?uploadId=$id", "//$key?uploadId=$id",
		"/media%2F$key?uploadId=$id"),

	# somebody else's, also under an own key
	["/media/uploads/bob/film?uploadId=$bobs", '403 AccessDenied'],
	["$path?uploadId=$bobs", '404 NoSuchUpload'],
	["/media/uploads/alice/nothing?uploadId=$id", '404 NoSuchUpload'],
	["$path?uploadId=2~nosuchupload", '404 NoSuchUpload'],
	["$path?uploadId=+", '404 NoSuchUpload'],
	["/nosuchbucket/$key?uploadId=$id", '404 NoSuchBucket'],

	# virtual-host style: the path is all key
	["/?uploadId=$id", '400 InvalidRequest', Host => 'media.gw.test'],
	["$path?uploadId=$id", '403 AccessDenied', Host => 'media.gw.test'],

	# nobody
	["$path?uploadId=$id", '403 AccessDenied', 'X-Tenant' => ''],
	["$path?uploadId=$id", '403 AccessDenied', 'X-Tenant' => undef],

	# more than an abort
	["$path?uploadId=$id", '400 InvalidRequest',
		'x-amz-bypass-governance-retention' => 'true'],
	["$path?uploadId=$id", '400 InvalidRequest', 'x-amz-mfa' => '1 2'],

	# no abort: not ours, and nobody else's here
	(map { [$_, '501 NotImplemented'] }
		$path, "$path?", "$path?versionId=V",
		"$path?uploadId%20=$id", "$path?upload_id=$id", '/media',
		'/media/', '/media?policy'),
);

for (@refused) {
	my ($target, $expected, @headers) = @$_;
	my $name = join ' ', length $target > 200
		? substr($target, 0, 200) . '...' : $target,
		map { $_ // '(none)' } @headers;

	is(answer($t->abort($target, @headers), $expected), $expected, $name);
	untouched($name);
}

for my $method (qw/ GET HEAD POST PUT PATCH OPTIONS /) {
	my $answer = $t->request(S3Abort::request_bytes($method,
		"$path?uploadId=$id", 'Content-Length' => 0));

	is($answer->{status}, 501, "$method");
	untouched($method);
}

my $body = $t->request(S3Abort::request_bytes('DELETE',
	"$path?uploadId=$id", 'Content-Length' => 4) . 'body');
is(answer($body), '400 InvalidRequest', 'with a body');
untouched('with a body');

###############################################################################

# An upload that was completed is an object.

my $done = $rgw->create_multipart_upload('media', "$key.done");
my $etag = $rgw->upload_part('media', "$key.done", $done, 1, 'the only part')
	->{headers}{etag};
$rgw->complete_multipart_upload('media', "$key.done", $done, $etag);
$before = $rgw->contents();

is(answer($t->abort("$path.done?uploadId=$done")), '404 NoSuchUpload',
	'A-25 a completed upload');
untouched('A-25 a completed upload');
is($rgw->get_object('media', "$key.done")->{body}, 'the only part',
	'A-25 a completed upload: object unchanged');

###############################################################################

# Credentials that the storage does not accept are the gateway's fault: the
# tenant learns nothing, the operator does.

for my $endpoint (qw/ wrong-secret wrong-key /) {
	my $answer = $t->request(S3Abort::request_bytes('DELETE',
		"$path?uploadId=$id", 'X-Endpoint' => $endpoint), port => 2);

	is(answer($answer), '500 InternalError', $endpoint);
	unlike($answer->{raw}, qr/Signature|AccessKey/, "$endpoint: not said");
	untouched($endpoint);
}

$t->expect_log(qr/\[alert\].*SignatureDoesNotMatch/);
$t->expect_log(qr/\[alert\].*InvalidAccessKeyId/);

###############################################################################

# After all that, aborts still are: as SDKs send them, and virtual-host style.

is(answer($t->abort("$path?x-id=AbortMultipartUpload&uploadId=$id")), '204',
	'with x-id');
ok(!$rgw->has_upload('media', $key, $id), 'with x-id: upload gone');

is(answer($t->abort("/$key?uploadId=$id2", Host => 'media.gw.test')), '204',
	'virtual-host style');
ok(!$rgw->has_upload('media', $key, $id2), 'virtual-host style: upload gone');

is($rgw->get_object('media', $key)->{body}, 'an object', 'object unchanged');
ok($rgw->has_upload('media', 'uploads/bob/film', $bobs), "bob's is there");

###############################################################################

sub untouched($name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($rgw->contents(), $before, "nothing touched: $name");
}

# "status code", or of the code "-" where the expectation does not care.

sub answer($answer, $expected = '') {
	my $code = $expected =~ /-$/ ? '-' : $answer->{code};
	return join ' ', $answer->{status}, grep { $_ ne '' } $code;
}

###############################################################################

$t->done();

###############################################################################
