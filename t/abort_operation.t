# An abort stays an abort: whatever is nearly one is refused, for a storage
# would take it for a DeleteObject or a DeleteBucket.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $backend = $t->decoy('backend', deletes => 1);

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }
    s3_abort_identity trusted $http_x_tenant;
    large_client_header_buffers 4 32k;

    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            s3_abort_pass storage policy=all;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location / {
            s3_abort_pass storage policy=all;
            proxy_pass http://%%STORAGE_backend%%;
        }
    }
}

EOF

###############################################################################

my $long = 'A' x 1024;

$t->aborts(
	['an abort', '/media/key?uploadId=A', '/media/key?uploadId=A'],
	['A-14 x-id before', '/media/k?x-id=AbortMultipartUpload&uploadId=A',
		'/media/k?uploadId=A'],
	['A-14 x-id behind', '/media/k?uploadId=A&x-id=AbortMultipartUpload',
		'/media/k?uploadId=A'],
	['A-20 all characters of an id', '/media/k?uploadId=aZ09._~+=-',
		'/media/k?uploadId=aZ09._~%2B%3D-'],
	['A-20 an encoded id', '/media/k?uploadId=%61%2B%3d%7E',
		'/media/k?uploadId=a%2B%3D~'],
	['A-20 dots in an id', '/media/k?uploadId=...',
		'/media/k?uploadId=...'],
	['A-20 a raw plus is a plus', '/media/k?uploadId=2~AbC-_id+1=',
		'/media/k?uploadId=2~AbC-_id%2B1%3D'],
	['A-21 equals sign at the end', '/media/k?uploadId=A=',
		'/media/k?uploadId=A%3D'],
	['A-22 id of 1024 bytes', "/media/k?uploadId=$long",
		"/media/k?uploadId=$long"],
);

$t->aborts(map { [@$_, '400 InvalidArgument'] }
	['A-02 no equals sign', '/media/k?uploadId'],
	['A-03 empty uploadId', '/media/k?uploadId='],
	['A-04 space', '/media/k?uploadId=%20'],
	['A-04 spaces', '/media/k?uploadId=%20%20'],
	['A-05 uploadID', '/media/k?uploadID=A'],
	['A-05 UploadId', '/media/k?UploadId=A'],
	['A-05 uploadid', '/media/k?uploadid=A'],
	['A-05 UPLOADID', '/media/k?UPLOADID=A'],
	['A-05 uploadid, no value', '/media/k?uploadid'],
	['A-06 %75ploadId', '/media/k?%75ploadId=A'],
	['A-06 upload%49d', '/media/k?upload%49d=A'],
	['A-06 uploadI%64', '/media/k?uploadI%64=A'],
	['A-06 encoded and in another case', '/media/k?%55PLOADID=A'],
	['A-07 two ids', '/media/k?uploadId=A&uploadId=B'],
	['A-07 the same id twice', '/media/k?uploadId=A&uploadId=A'],
	['A-07 an id and an empty one', '/media/k?uploadId=A&uploadId='],
	['A-07 an id and a name', '/media/k?uploadId=A&uploadId'],
	['A-08 two cases', '/media/k?uploadId=A&UploadId=B'],
	['A-08 an encoded one, too', '/media/k?uploadId=A&%75ploadId=B'],
	['A-11 tagging', '/media/k?uploadId=A&tagging'],
	['A-12 versionId', '/media/k?uploadId=A&versionId=V'],
	['A-12 versionId first', '/media/k?versionId=V&uploadId=A'],
	(map { ["A-13 $_", "/media/k?uploadId=A&$_"] } qw/ acl delete cors
		lifecycle policy torrent uploads partNumber=1 legal-hold
		retention website versions x=y %20 X-Id=AbortMultipartUpload
		x%2did=AbortMultipartUpload response-content-type=a /),
	['A-15 x-id=DeleteObject', '/media/k?x-id=DeleteObject&uploadId=A'],
	['A-15 empty x-id', '/media/k?x-id=&uploadId=A'],
	['A-15 x-id without a value', '/media/k?x-id&uploadId=A'],
	['A-20 .', '/media/k?uploadId=.'],
	['A-20 ..', '/media/k?uploadId=..'],
	['A-20 %2e%2E', '/media/k?uploadId=%2e%2E'],
	(map { ["A-20 $_", "/media/k?uploadId=A${_}B"] } qw/ %2F %2f %5C %26
		%3F %23 %22 %27 %3C %2A %2C %3B %3A %40 %25 %EA%B0%80 /, '/',
			'\\', '?', '"', '*', ',', ':', '@', '!'),
	['A-20 double encoding', '/media/k?uploadId=A%252FB'],
	['A-22 id of 1025 bytes', "/media/k?uploadId=${long}A"],
	['A-22 id of 8 KB', '/media/k?uploadId=' . $long x 8],
	['A-22 id of 1025 encoded bytes', '/media/k?uploadId=' . '%41' x 1025],
	['E-34 33 parameters', '/media/k?' . 'a&' x 32 . 'uploadId=A'],
	['E-34 5,000 parameters', '/media/k?' . 'a&' x 5000 . 'uploadId=A'],
	['raw semicolon', '/media/k?uploadId=A;x'],
	['semicolon as a separator', '/media/k?a=1;uploadId=A'],
	['semicolon before another case', '/media/k?list;UPLOADID=A'],
	['B-18 second question mark', '/media/k?x?uploadId=A'],
	['B-18 and with a value', '/media/k?a=1?uploadId=A'],
);

$t->aborts(
	(map { ["A-04 A-20 $_", "/media/k?uploadId=$_",
		qr/^400 Invalid(?:Argument|URI)\z/] } qw/ %00 A%00B %09 %0A
		A%0D%0AB %7F %1f %EA %FF /),
	(map { ["A-10 bad escape: $_", "/media/k?uploadId=$_",
		qr/^400 Invalid(?:Argument|URI)\z/] }
		qw/ %zz A% A%4 %4 %u0041 %%41 %-1 /),

	['A-16 no key', '/media/?uploadId=A', '400 InvalidRequest'],
	['A-16 no slash', '/media?uploadId=A', '400 InvalidRequest'],
	['A-16 two slashes', '//?uploadId=A', qr/^400 Invalid\w+\z/],
	['A-17 nothing at all', '/?uploadId=A', qr/^400 Invalid\w+\z/],
	['A-17 asterisk', '*?uploadId=A', '400'],
	['A-17 empty path', '?uploadId=A', '400'],
);

is($t->abort('/media/?uploadId=A')->{message} =~ /key/i, 1,
	'A-16 the message speaks of the key');

###############################################################################
#
# What is no abort

my @others = (
	['A-01 DELETE without a query', 'DELETE', '/media/k'],
	['A-01 DELETE with another query', 'DELETE', '/media/k?tagging'],
	['A-01 DELETE with an empty query', 'DELETE', '/media/k?'],
	['A-01 uploadId within a name', 'DELETE', '/media/k?myuploadId=A'],
	['A-01 uploadId as a value', 'DELETE', '/media/k?a=uploadId'],
	['A-01 uploadId in the path', 'DELETE', '/media/uploadId=A'],
	map { ["A-26 $_", $_, '/media/k?uploadId=A'] }
		qw/ POST PUT GET HEAD OPTIONS PATCH LOCK /,
);

for (@others) {
	my ($name, $method, $target) = @$_;
	my $bytes = S3Abort::request_bytes($method, $target,
		$method =~ /^P/ ? ('Content-Length' => 0) : ());
	my $r = $t->request($bytes);

	is("$r->{status} $r->{code}", $method eq 'HEAD' ? '501 '
		: '501 NotImplemented', "$name: not implemented");
	$t->nothing_sent("$name: nothing sent");

	$r = $t->request($bytes, port => 2);
	is("$r->{status} $r->{body}", $method eq 'HEAD' ? '200 ' : '200 decoy',
		"$name: the location's own handler");
	is_deeply([$t->sent()], [], "$name: never to the storage");
	is(($t->sent('backend'))[0]{method}, $method, "$name: by the back-end");
}

isnt($t->request("GET /index.html HTTP/1.1\r\nHost: gw.test\r\n"
	. "Connection: close\r\n\r\n")->{body}, "index\n",
	'no files from the document root');

###############################################################################

$storage->answer('404 NoSuchUpload');

my $r = $t->abort('/media/allowed?uploadId=of-another-key');
is("$r->{status} $r->{code}", '404 NoSuchUpload', 'A-23 A-25 upload unknown');
is(($t->sent())[0]{target}, '/media/allowed?uploadId=of-another-key',
	'A-25 forwarded as it is');

$storage->answer(204);
is($t->request("DELETE /media/k?uploadId=A HTTP/1.0\r\nHost: gw.test\r\n"
	. "X-Tenant: alice\r\n\r\n")->{status}, 204, 'HTTP/1.0');

$t->done();
