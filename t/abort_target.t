# s3_abort_target: what the tenant's names become at the storage.  The policy
# judges, and signature and wire carry, the target; answers name what was
# asked.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $virtual = $t->storage('virtual', addressing => 'virtual');

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%
    %%ENDPOINT_virtual%%

    map $s3_abort_bucket $real {
        media    prod-media-01;
        archive  Archive;
        twin     $s3_abort_key;
        default  "";
    }

    map $msec $volatile { volatile; default $msec; }

    s3_abort_policy all { allow; }

    s3_abort_policy own {
        allow  bucket=prod-media  key=tenants/$s3_abort_tenant/*;
        deny   key=*.pinned;
        deny   bucket=media;
    }

    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;

        location /own/ {
            s3_abort_base_path /own;
            s3_abort_target bucket=prod-$s3_abort_bucket
                            key=tenants/$s3_abort_tenant/$s3_abort_key;
            s3_abort_pass storage policy=own;
        }

        location /long/ {
            s3_abort_base_path /long;
            s3_abort_target bucket=prod-$s3_abort_bucket
                            key=0123456789/$s3_abort_key;
            s3_abort_pass storage policy=all;
        }

        location /map/ {
            s3_abort_base_path /map;
            s3_abort_target bucket=$real;
            s3_abort_pass storage policy=all;
        }

        location /header/ {
            s3_abort_base_path /header;
            s3_abort_target key=$http_x_key;
            s3_abort_pass storage policy=all;
        }

        location /tenant-bucket/ {
            s3_abort_base_path /tenant-bucket;
            s3_abort_target bucket=$s3_abort_tenant key=k;
            s3_abort_pass storage policy=all;
        }

        location /volatile/ {
            s3_abort_base_path /volatile;
            s3_abort_target key=$volatile/$s3_abort_upload_id;
            s3_abort_pass storage policy=all;
        }

        location /virtual/ {
            s3_abort_base_path /virtual;
            s3_abort_target bucket=prod.$s3_abort_bucket;
            s3_abort_pass virtual policy=all;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_target bucket=outer key=outer/$s3_abort_key;
        s3_abort_pass storage policy=all;

        location / { }

        location /inner/ {
            s3_abort_base_path /inner;
            s3_abort_target bucket=inner;
        }

        location /limit/ {
            s3_abort_base_path /limit;
            limit_except GET { }
        }

        location /if/ {
            s3_abort_base_path /if;
            if ($http_x_key) { set $x 1; }
        }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        s3_abort_target bucket=prod-$s3_abort_bucket
                        key=tenants/$s3_abort_tenant/$s3_abort_key;
        location / { s3_abort_pass storage policy=own; }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

sub ask($port, $target, @headers) {
	return $t->request(S3Abort::request_bytes('DELETE', $target, @headers),
		port => $port);
}

sub result($r, $from = 'storage') {
	return join ' ', $r->{status} . ($r->{code} && " $r->{code}"),
		map { $_->{target} } $t->sent($from);
}

###############################################################################
#
# The policy judges the target

$t->aborts(
	['allowed as the target', "/own/media/k$q",
		"/prod-media/tenants/alice/k$q"],
	['a tenant with odd bytes', "/own/media/k$q",
		"/prod-media/tenants/a%40b%3Ac%2Bd/k$q", 'X-Tenant', 'a@b:c+d'],
	['encoded once', "/own/media/a%20b%2525/%EA%B0%80//$q",
		"/prod-media/tenants/alice/a%20b%2525/%EA%B0%80//$q"],
	['a key that looks like the target', "/own/media/tenants/bob/k$q",
		"/prod-media/tenants/alice/tenants/bob/k$q"],
	['the bucket that was asked is not judged', "/own/other/k$q",
		'403 AccessDenied'],
	['denied as the target', "/own/media/k.pinned$q", '403 AccessDenied'],
	['out of the prefix', "/own/media/../bob/k$q", '400 InvalidURI'],
	['out of the prefix, encoded', "/own/media/%2e%2e/bob/k$q",
		'400 InvalidURI'],
	['out of the prefix, encoded twice', "/own/media/%252e%252e/bob/k$q",
		"/prod-media/tenants/alice/%252e%252e/bob/k$q"],
);

###############################################################################
#
# The target is checked as what was asked is

$t->aborts(
	['1024 bytes', '/long/media/' . 'k' x 1013 . $q,
		'/prod-media/0123456789/' . 'k' x 1013 . $q],
	['1025 bytes', '/long/media/' . 'k' x 1014 . $q, '400 KeyTooLongError'],
	['1025 bytes, of UTF-8', '/long/media/' . '%EA%B0%80' x 338 . $q,
		'400 KeyTooLongError'],
	['bucket of 63', '/long/' . 'a' x 58 . "/k$q",
		'/prod-' . 'a' x 58 . "/0123456789/k$q"],
	['bucket of 64', '/long/' . 'a' x 59 . "/k$q", '400 InvalidBucketName'],
	['mapped', "/map/media/k$q", "/prod-media-01/k$q"],
	['mapped to nothing', "/map/other/k$q", '400 InvalidBucketName'],
	['mapped to upper case', "/map/archive/k$q", '400 InvalidBucketName'],
	['mapped to a slash', "/map/twin/a/b$q", '400 InvalidBucketName'],
	['mapped to dots', "/map/twin/...$q", '400 InvalidBucketName'],
	['mapped to an IP address', "/map/twin/10.0.0.1$q",
		'400 InvalidBucketName'],
	['mapped to a good name', "/map/twin/good$q", "/good/good$q"],
	['a tenant is no bucket', "/tenant-bucket/media/x$q",
		'400 InvalidBucketName', 'X-Tenant', 'Alice'],
	['a tenant is a bucket', "/tenant-bucket/media/x$q", "/alice/k$q"],
);

$t->aborts(map { ["key: $_->[0]", "/header/media/k$q", $_->[2], 'X-Key',
	$_->[1]] }
	['a name', 'a/b', "/media/a/b$q"],
	['escapes are bytes', 'a%2Fb%00', "/media/a%252Fb%2500$q"],
	['a query is bytes', 'a?uploadId=B&x#y',
		"/media/a%3FuploadId%3DB%26x%23y$q"],
	['a space', 'a b', "/media/a%20b$q"],
	['slashes in front', '//a', "/media///a$q"],
	['K-28 slashes', '//', '400 InvalidRequest'],
	['absent', undef, '400 InvalidRequest'],
	['empty', '', '400 InvalidRequest'],
	['dot', '.', '400 InvalidURI'],
	['dots', 'a/..', '400 InvalidURI'],
	['dots at the start', '../b', '400 InvalidURI'],
	['dots within', 'a/../b', '400 InvalidURI'],
	['control byte', "a\tb", '400 InvalidURI'],
	['DEL', "a\x7f", '400 InvalidURI'],
	['not UTF-8', "a\xffb", '400 InvalidURI'],
	['overlong UTF-8', "\xc0\xaf", '400 InvalidURI'],
	['1024 bytes', 'k' x 1024, '/media/' . 'k' x 1024 . $q],
	['1025 bytes', 'k' x 1025, '400 KeyTooLongError'],
);

###############################################################################
#
# Answers name what was asked

sub hides($name, $r, $want, $resource) {
	is("$r->{status} $r->{code}", $want, $name);
	is($r->{resource}, $resource, "$name: resource");
	unlike($r->{raw}, qr/prod-|tenants|0123456789/,
		"$name: nothing of the target");
}

hides('denied', ask(1, "/own/media/k.pinned$q"), '403 AccessDenied',
	'/media/k.pinned');
hides('too long', ask(1, '/long/media/' . 'k' x 1014 . $q),
	'400 KeyTooLongError', '/media/' . 'k' x 1014);
hides('mapped to nothing', ask(1, "/map/other/k$q"), '400 InvalidBucketName',
	'/other/k');

for my $answer ('404 NoSuchUpload', '404 NoSuchBucket', '403 AccessDenied',
	'409 OperationAborted', '412 PreconditionFailed', '503 SlowDown')
{
	$storage->answer($answer);
	hides("storage: $answer", ask(1, "/own/media/a%20k$q"), $answer,
		'/media/a k');
}

$storage->answer('403 SignatureDoesNotMatch');
$t->expect_log(qr/the storage refuses the credentials/);
hides('the gateway\'s fault', ask(1, "/own/media/k$q"), '500 InternalError',
	'/media/k');

$storage->answer("garbage\r\n\r\n");
hides('garbage', ask(1, "/own/media/k$q"), '502 ServiceUnavailable',
	'/media/k');

$storage->answer(204);
unlike(ask(1, "/own/media/k$q")->{raw}, qr/prod-|tenants/,
	'an abort: nothing of the target');

###############################################################################
#
# Variables

sub shows($name, $r, %want) {
	my $log = $t->audit($r);
	is_deeply({ map { $_ => $log->{$_} } keys %want }, \%want, $name);
}

shows('variables', ask(1, "/own/media/a%20k$q"), bucket => 'media',
	key => 'a k', target => 'prod-media/tenants/alice/a k',
	decision => 'ALLOWED');
shows('variables of a denial', ask(1, "/own/media/k.pinned$q"),
	bucket => 'media', key => 'k.pinned', decision => 'DENIED',
	target => 'prod-media/tenants/alice/k.pinned');
shows('variables of a bad target', ask(1, "/map/other/k$q"),
	bucket => 'other', key => 'k', target => '', decision => 'INVALID');

my $r = ask(1, "/volatile/media/k$q");
my ($sent) = map { $_->{target} } $t->sent();
like($sent, qr!^/media/[\d.]+/A\?!, 'E-32 a variable that changes');
is($t->audit($r)->{target}, $sent =~ s/^.//r =~ s/\?.*//r,
	'E-32 is evaluated once');

###############################################################################
#
# Virtual-host style, inheritance, SigV4

is(result(ask(1, "/virtual/media/k$q"), 'virtual'), "204 /k$q",
	'virtual-host style');
is(($t->sent('virtual'))[0]{header}{host}, 'prod.media.virtual.test',
	'virtual-host style: the bucket is the target\'s');

is(result(ask(2, "/media/k$q")), "204 /outer/outer/k$q", 'of the server');
is(result(ask(2, "/limit/media/k$q")), "204 /outer/outer/k$q",
	'inherited by limit_except');
is(result(ask(2, "/if/media/k$q", 'X-Key', 'a')), "204 /outer/outer/k$q",
	'inherited by if');
is(result(ask(2, "/inner/media/k$q")), "204 /inner/k$q",
	'one in a location replaces the other as a whole');

my %alice = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret',
	region => 'kr-standard', headers => [['Host', 'gw.test']]);

for my $sign (\&SigV4::sign, \&SigV4::presign) {
	my $r = $sign->(%alice, target => "/media/k$q");
	is(result(ask(3, $r->{target}, 'X-Tenant' => undef,
		map { @$_ } @{$r->{headers}})),
		"204 /prod-media/tenants/alice/k$q",
		'a tenant signs what it asks');

	$r = $sign->(%alice, target => "/prod-media/tenants/alice/k$q");
	is(result(ask(3, "/media/k" . $r->{target} =~ s/.*?\?/?/r,
		'X-Tenant' => undef, map { @$_ } @{$r->{headers}})),
		'403 SignatureDoesNotMatch', 'not the target');
}

$t->done();
