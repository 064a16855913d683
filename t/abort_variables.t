# Variables: what each says of each kind of request, in logs and in other
# modules' directives; none ever holds a secret or a signature.

###############################################################################

use v5.36;

use Cwd qw/ cwd /;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $backend = $t->decoy('backend');

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n"
	. "bob AKIABOB CANARY/bob+secret\n");

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy media {
        allow bucket=media;
        allow bucket=t-media;
    }

    limit_req_zone $s3_abort_tenant zone=tenants:1m rate=1r/m;
    map $s3_abort_tenant $limited { default ""; bob bob; }
    limit_req_zone $limited zone=mapped:1m rate=1r/m;

    map $s3_abort_bucket $endpoint { default storage; nowhere ""; }

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_identity trusted $http_x_tenant;

        location / {
            s3_abort_pass storage policy=media;
        }

        location /target {
            s3_abort_base_path /target;
            s3_abort_target bucket=t-$s3_abort_bucket
                            key=$s3_abort_tenant/$s3_abort_key;
            s3_abort_pass storage policy=media;
        }

        location /bad-target {
            s3_abort_base_path /bad-target;
            s3_abort_target bucket=$http_x_bucket key=$http_x_key;
            s3_abort_pass storage policy=media;
        }

        location /volatile {
            s3_abort_base_path /volatile;
            s3_abort_identity trusted $msec;
            s3_abort_target key=$s3_abort_tenant/$s3_abort_key;
            s3_abort_pass storage policy=media;
        }

        location /other {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_backend%%;
        }

        location /chosen {
            s3_abort_base_path /chosen;
            s3_abort_pass $endpoint policy=media;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        s3_abort_pass storage policy=media;

        location / { }

        location /limited {
            s3_abort_base_path /limited;
            limit_req zone=tenants;
        }

        location /mapped {
            s3_abort_base_path /mapped;
            limit_req zone=mapped;
        }

        location /rewrite {
            s3_abort_base_path /rewrite;
            if ($s3_abort_tenant = bob) { return 418; }
        }
    }
}

EOF

###############################################################################

my @NAMES = qw/ tenant bucket key upload_id target decision rule error outcome
	endpoint access_key upstream_request_id uri candidate_decision /;

sub shows($name, $r, %want) {
	my $log = $t->audit($r);

	is_deeply({ map { $_ => $log->{$_} } sort keys %want }, \%want, $name);
	unlike(join("\n", values %$log), qr/CANARY|[0-9a-f]{64}/,
		"$name: no secret");
	return $log;
}

my $r = $t->abort('/media/a%20b/%EA%B0%80?uploadId=A%2B');
shows('an abort', $r, tenant => 'alice', bucket => 'media',
	key => "a b/\xea\xb0\x80", upload_id => 'A+', decision => 'ALLOWED',
	error => '', outcome => 'ABORTED', endpoint => 'storage',
	access_key => '', candidate_decision => '', status => 204,
	upstream_request_id => 'STORAGE-0',
	uri => '/media/a%20b/%EA%B0%80?uploadId=A%2B',
	request_id => $r->{headers}{'x-amz-request-id'});

$storage->answer('404 NoSuchUpload');
shows('gone', $t->abort('/media/k?uploadId=A'), decision => 'ALLOWED',
	error => 'NoSuchUpload', outcome => 'GONE', status => 404);

$storage->answer('409 OperationAborted');
shows('failed', $t->abort('/media/k?uploadId=A'), decision => 'ALLOWED',
	error => 'OperationAborted', outcome => 'FAILED', status => 409);

for my $id ("a\x0cb", "a\xff", "a\x7f") {
	$storage->answer("HTTP/1.1 204 No Content\r\n"
		. "x-amz-request-id: $id\r\n\r\n");
	shows('a request id that is no text', $t->abort('/media/k?uploadId=A'),
		outcome => 'ABORTED', upstream_request_id => '');
}

$storage->answer(204);

shows('denied', $t->abort('/secret/k?uploadId=A'), tenant => 'alice',
	bucket => 'secret', key => 'k', upload_id => 'A', decision => 'DENIED',
	rule => 'default', error => 'AccessDenied', outcome => '',
	upstream_request_id => '', status => 403);

shows('no identity', $t->abort('/media/k?uploadId=A', 'X-Tenant', undef),
	tenant => '', bucket => 'media', decision => 'UNAUTHENTICATED',
	error => 'AccessDenied', outcome => '', rule => '', status => 403);

shows('nearly an abort', $t->abort('/media/k?uploadid=A'),
	decision => 'INVALID', error => 'InvalidArgument', outcome => '',
	rule => '', status => 400, uri => '/media/k?uploadid=A');

shows('control bytes in the target', $t->abort('/media/a%0Ab?uploadId=A'),
	decision => 'INVALID', error => 'InvalidURI',
	uri => '/media/a%0Ab?uploadId=A');

# what is no abort has none of it

my $before = () = $t->access_log();
$t->request(S3Abort::request_bytes('GET', '/other/k?uploadId=A'));
$t->request(S3Abort::request_bytes('DELETE', '/media/k'));
$t->wait_for(sub { (() = $t->access_log()) == $before + 2 }, 'logged');

for my $log (($t->access_log())[-2, -1]) {
	is(join('', map { $log->{$_} } qw/ bucket key upload_id target decision
		rule outcome upstream_request_id /), '', 'no abort');
}

###############################################################################
#
# The target

$r = $t->abort('/target/media/k?uploadId=A');
is(($t->sent())[0]{target}, '/t-media/alice/k?uploadId=A', 's3_abort_target');
shows('s3_abort_target', $r, bucket => 'media', key => 'k',
	target => 't-media/alice/k');
unlike($r->{body} . join('', %{$r->{headers}}), qr/t-media/,
	's3_abort_target: the tenant does not see it');

$storage->answer('404 NoSuchBucket');
is($t->abort('/target/media/k?uploadId=A')->{resource} =~ /t-media/, '',
	's3_abort_target: not in an error either');
$storage->answer(204);

for (['', 'k'], ['media', ''], ['Media', 'k'], ['me', 'k'], ['media', 'a/../b'],
	['media', 'x' x 1025], ['media', "a\x7f"], ['media', "\xff"],
	['media/a', 'k'], ['media', '..'])
{
	my ($bucket, $key) = @$_;

	like($t->abort('/bad-target/media/k?uploadId=A', 'X-Bucket', $bucket,
		'X-Key', $key)->{status}, qr/^[45]\d\d\z/,
		'bad target: ' . substr "$bucket $key" =~ s/[^ -~]/./gr, 0, 20);
	$t->nothing_sent('bad target: nothing sent');
}

###############################################################################
#
# E-32: evaluated once

my $log = $t->audit($r = $t->abort('/volatile/media/k?uploadId=A'));
my ($sent) = $t->sent();
is($sent->{target}, "/media/$log->{tenant}/k?uploadId=A",
	'E-32 the tenant that was judged is the one that is logged');

###############################################################################
#
# The access key, the signature; phases

my %key = (alice => 'AKIALICE', bob => 'AKIABOB');

sub signed($path, $who, %o) {
	my %r = (access_key => $key{$who}, secret => "CANARY/$who+secret",
		region => 'kr-standard', target => "$path?uploadId=A",
		headers => [['Host', 'gw.test']]);
	my $r = $o{presigned} ? SigV4::presign(%r) : SigV4::sign(%r);

	return $t->request(S3Abort::request_bytes('DELETE', $r->{target},
		map { @$_ } @{$r->{headers}}), port => 2);
}

shows('sigv4', signed('/media/k', 'alice'), tenant => 'alice',
	access_key => 'AKIALICE', decision => 'ALLOWED', status => 204);
my $uri = shows('G-02 presigned', signed('/media/k', 'alice', presigned => 1),
	tenant => 'alice', access_key => 'AKIALICE', decision => 'ALLOWED',
	status => 204)->{uri};
like($uri, qr!^/media/k\?uploadId=A&X-Amz-Algorithm=.*X-Amz-SignedHeaders!,
	'G-02 $s3_abort_uri keeps the rest');
is($uri =~ /Signature=[^&]/ ? 1 : 0, 0, 'G-02 $s3_abort_uri has no signature');

is(signed('/limited/media/k', 'alice')->{status}, 204, 'limit_req, first');
is(signed('/limited/media/k', 'alice')->{code}, 'SlowDown',
	'limit_req, second');
is(signed('/limited/media/k', 'bob')->{status}, 204,
	'limit_req, another tenant');

is(signed('/mapped/media/k', 'bob')->{status}, 204, 'map, first');
is(signed('/mapped/media/k', 'bob')->{code}, 'SlowDown', 'map, second');
is(signed('/mapped/media/k', 'alice')->{status}, 204, 'map, another tenant')
	for 1 .. 2;

is(signed('/rewrite/media/k', 'alice')->{status}, 204, 'rewrite phase');
is(signed('/rewrite/media/k', 'bob')->{status}, 418,
	'rewrite phase, another tenant');

is($t->abort('/chosen/media/k?uploadId=A')->{status}, 204,
	'map of an endpoint');
is($t->abort('/chosen/nowhere/k?uploadId=A')->{status}, 500,
	'map that yields none');

# G-08: all of them, in an answer of nginx's own

my @defined = $t->read(cwd() . '/src/ngx_http_s3_abort_variables.c')
	=~ /^ .*(?:abort_var\("|ngx_string\("s3_abort_)(\w+)"/gm;
is_deeply([sort keys %$log], [sort @defined, qw/ request_method status
	upstream_status upstream_addr request_time remote_addr /],
	'G-08 all variables of the source are logged here, and looked through');

$t->done();
