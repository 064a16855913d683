# Host: which bucket it names in virtual-host style, and that it has no other
# effect.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    geo $inside { default 0; 127.0.0.2 1; }

    s3_abort_policy all { allow; }
    s3_abort_policy inside { allow if=$inside; }
    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_domain gw.test S3.gw.test;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;
        location / { s3_abort_pass storage policy=inside; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;
        s3_abort_base_path /s3;
        s3_abort_domain gw.test;
        location / { s3_abort_pass storage policy=all; }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

sub at($port, $target, @headers) {
	my $r = $t->request(S3Abort::request_bytes('DELETE', $target, @headers),
		port => $port);

	return "$r->{status}" . ($r->{code} && " $r->{code}")
		. join '', map { " $_->{target}" } $t->sent();
}

$t->aborts(map { [$_->[0], "$_->[2]$q", "$_->[3]$q", Host => $_->[1]] }
	['the domain itself: path style', 'gw.test', '/media/k', '/media/k'],
	['virtual-host style', 'media.gw.test', '/k', '/media/k'],
	['the longest domain wins', 'media.s3.gw.test', '/k', '/media/k'],
	['the longer domain itself', 's3.gw.test', '/media/k', '/media/k'],
	['bucket with a dot', 'my.media.gw.test', '/k', '/my.media/k'],
	['C-05 never split again', 'media.gw.test', '/other/k',
		'/media/other/k'],
	['C-05 the same bucket', 'media.gw.test', '/media/k', '/media/media/k'],
	['C-03 dot at the end', 'media.gw.test.', '/k', '/media/k'],
	['C-03 dot and port', 'media.gw.test.:80', '/k', '/media/k'],
	['C-03 port', 'media.gw.test:443', '/k', '/media/k'],
	['C-03 port with a zero', 'media.gw.test:0443', '/k', '/media/k'],
	['C-03 upper case', 'MEDIA.GW.Test', '/k', '/media/k'],
	['C-03 upper case, path style', 'GW.TEST', '/media/k', '/media/k'],
	['C-03 IPv6', '[::1]', '/media/k', '/media/k'],
	['C-03 IPv6 and port', '[::1]:8080', '/media/k', '/media/k'],
	['C-08 metadata service', '169.254.169.254', '/media/k', '/media/k'],
	['C-08 the storage, nearly', 'storage.test.evil', '/media/k',
		'/media/k'],
	['C-08 the storage', 'storage.test', '/media/k', '/media/k'],
	['no label before the domain', 'xgw.test', '/media/k', '/media/k'],
	['the domain within', 'media.gw.test.evil', '/media/k', '/media/k'],
);

$t->aborts(
	['A-19 empty key', "/$q", '400 InvalidRequest', Host =>
		'media.gw.test'],
	['bucket of two letters', "/k$q", '400 InvalidBucketName',
		Host => 'ab.gw.test'],
	['underscore in the bucket', "/k$q", '400 InvalidBucketName',
		Host => 'me_dia.gw.test'],
	['IP address as the bucket', "/k$q", '400 InvalidBucketName',
		Host => '1.2.3.4.gw.test'],
	['dash before the bucket', "/k$q", '400 InvalidBucketName',
		Host => '-media.gw.test'],
	['C-03 port too big', "/media/k$q", '400', Host => 'gw.test:99999'],
	['C-03 port with letters', "/media/k$q", '400', Host => 'gw.test:8a'],
	['C-03 negative port', "/media/k$q", '400', Host => 'gw.test:-1'],
	['C-03 two ports', "/media/k$q", '400', Host => 'gw.test:80:80'],
	['C-02 two Hosts', "/media/k$q", '400', Host => 'gw.test',
		Host => 'gw.test'],
	['C-02 empty Host', "/media/k$q", '400', Host => ''],
	['C-02 no Host', "/media/k$q", '400', Host => undef],
	['C-02 slash in Host', "/media/k$q", '400', Host => 'gw.test/a'],
);

$t->aborts(
	['C-01 absolute form: its host counts', "http://media.gw.test/k$q",
		"/media/k$q", Host => 'other.gw.test'],
	['C-01 absolute form, path style', "http://gw.test/media/k$q",
		"/media/k$q", Host => 'other.gw.test'],
	['C-01 absolute form, the same host', "http://gw.test/media/k$q",
		"/media/k$q"],
	['C-01 absolute form, a port', "http://media.gw.test:8080/k$q",
		"/media/k$q", Host => 'media.gw.test'],
	['C-01 absolute form without a path', "http://media.gw.test$q",
		qr/^400 Invalid\w+\z/],
	['C-01 absolute form, near-miss', 'http://gw.test/media/k?uploadid=A',
		'400 InvalidArgument'],
);

is(at(2, "/bucket/k$q", Host => 'media.gw.test'), "204 /bucket/k$q",
	'C-06 no domain: path style only');

is(at(1, "/media/k$q", Host => 'gw.test',
	'X-Forwarded-Host' => 'other.gw.test',
	'Forwarded' => 'host=other.gw.test', 'X-Original-URL' => '/other/k',
	'X-Rewrite-URL' => "/other/k$q", 'X-Envoy-Original-Path' => '/other/k'),
	"204 /media/k$q", 'C-09 headers that claim another URL');

is(at(3, "/media/k$q", 'X-Forwarded-For' => '127.0.0.2',
	'X-Real-IP' => '127.0.0.2', 'Forwarded' => 'for=127.0.0.2'),
	'403 AccessDenied', 'C-11 headers that claim another address');
is($t->request(S3Abort::request_bytes('DELETE', "/media/k$q"), port => 3,
	from => '127.0.0.2')->{status}, 204, 'C-11 the address itself');

###############################################################################

is(at(4, "/s3/media/k$q"), "204 /media/k$q", 'base path');
is(at(4, "/s3/k$q", Host => 'media.gw.test'), "204 /media/k$q",
	'base path, virtual-host style');
is(at(4, "/s3//media/k$q") =~ /^400 Invalid/, 1, 'base path and two slashes');
is(at(4, "/s3/media/s3/k$q"), "204 /media/s3/k$q", 'base path within the key');
is(at(4, "/s3$q") =~ /^400 Invalid/, 1, 'base path alone');
is(at(4, "/s3/$q") =~ /^400 Invalid/, 1, 'base path and a slash');
is(at(4, "/media/k$q"), '501 NotImplemented', 'outside the base path');
is(at(4, "/s3x/media/k$q"), '501 NotImplemented', 'a longer name');

$t->done();
