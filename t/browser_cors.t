# A page of another origin aborts uploads in a browser, with the recipe of the
# documentation: through presigned URLs and with @aws-sdk/client-s3, and reads
# why it was refused.  A page of an origin that is not allowed sends nothing.

###############################################################################

use v5.36;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Browser;
use Docs;
use S3Abort;
use SigV4;

my $GATEWAY = 'https://s3.example.com';
my $MODULES = 'build/clients/node_modules';
my $ID = '0000015a-df89-51d0-2790-dee1ac994053';

my @KEY = ('ACME7EXAMPLE', 'CANARY/acme/secret+of+a+tenant');

###############################################################################

system('t/clients/install') == 0
	or BAIL_OUT('no npm clients');

my $t = S3Abort->new(headers => { map { $_ => 1 } qw/ vary
	access-control-allow-origin access-control-expose-headers / });
my $storage = $t->storage('kr', host => 'kr.object.ncloudstorage.com');

$t->certificate('cert', san => ['s3.example.com', 'app.example.com']);
$t->write_keys('tenants.keys', "acme @KEY\n");

my $recipe = Docs::text('docs/operations.md', 'CORS', 'nginx');

$recipe =~ s!/etc/nginx/s3_abort/!%%TESTDIR%%/!g;
$recipe =~ s/listen  8080;/listen 127.0.0.1:%%PORT%% ssl; %%TLS%%
    limit_req zone=limit;/ or die "no listen:\n$recipe";

$t->run(<<'EOF' =~ s/%%RECIPE%%/$recipe/r =~ s/%%TLS%%/<<'TLS'/ger);

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    error_log %%TESTDIR%%/error.log info;

    s3_abort_endpoint ncloud_kr {
        url          http://%%STORAGE_kr%%;
        host         kr.object.ncloudstorage.com;
        region       kr-standard;
        credentials  %%TESTDIR%%/kr.credentials;
    }

    s3_abort_policy tenants {
        allow  bucket=media  key=uploads/$s3_abort_tenant/*;
    }

    map $uri $limited {
        default    "";
        ~/limited  1;
    }

    limit_req_zone $limited zone=limit:1m rate=1r/m;

    %%RECIPE%%

    # the page's own server, of two names
    server {
        listen 127.0.0.1:%%PORT_2%% ssl; %%TLS%%
        root %%TESTDIR%%/page;
    }
}

EOF
ssl_certificate %%TESTDIR%%/cert.crt; ssl_certificate_key %%TESTDIR%%/cert.key;
TLS

mkdir $t->dir() . '/page';
$t->write('page/index.html', "<!DOCTYPE html>\n<title>page</title>\n"
	. "<link rel=icon href=data:,>\n<script src=bundle.js></script>\n");

{
	local $ENV{NODE_PATH} = $MODULES;
	is(system("$MODULES/.bin/esbuild", 't/clients/browser.js', '--bundle',
		'--platform=browser', '--log-level=warning',
		'--outfile=' . $t->dir() . '/page/bundle.js'), 0,
		'a bundle for browsers');
}

my $browser = Browser->new($t, hosts => {
	's3.example.com:443' => '127.0.0.1:' . $t->port(),
	map { $_ => '127.0.0.1:' . $t->port(2) } qw/ app.example.com:443
		evil.example:443 / }, arguments => ['--ignore-certificate-errors']);
my $page = $browser->page('https://app.example.com/');

###############################################################################

my $count;

sub javascript(@values) {
	return join ', ', map { JSON::PP->new->allow_nonref->encode($_) } @values;
}

# What the page knows of an answer; what was sent to the storage.

sub answer($call) {
	$t->mark();
	my ($status, $code, $id) = @{$page->eval($call)};
	my @sent = map { "$_->{method} $_->{target}" } $t->sent('kr');

	return (join(' ', $status, $code, @sent), $id // '');
}

sub presigned($target, %o) {
	my $r = SigV4::presign(target => $target, region => 'kr-standard',
		access_key => $KEY[0], secret => $KEY[1],
		headers => [['Host', 's3.example.com']], %o);

	$t->seen($r->{target});
	return $GATEWAY . $r->{target};
}

sub with_url($url, $options = {}) {
	return answer('abortWithUrl(' . javascript($url, $options) . ')');
}

sub with_key($key, %o) {
	return answer('abortWithKey(' . javascript($GATEWAY, { accessKeyId =>
		$o{access_key} // $KEY[0], secretAccessKey => $o{secret}
		// $KEY[1] }, { Bucket => 'media', Key => $key,
		UploadId => $o{id} // $ID }) . ')');
}

sub is_answered($name, $want, $answer, $id) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($answer, $want, $name);
	like($id, qr/^\w{16}\z/, "$name: the request id");
	is((grep { $_->{request_id} eq $id } $t->access_log()) ? 1 : 0, 1,
		"$name: it is the gateway's");
}

my $own = "/media/uploads/acme/film.mov?uploadId=$ID";
my $foreign = "/media/uploads/globex/film.mov?uploadId=$ID";

# a presigned URL

is_answered('presigned', "204 ok DELETE $own", with_url(presigned($own)));

my @log = map { "$_->{request_method} $_->{status}" } $t->access_log();
is("@log[-2, -1]", 'OPTIONS 204 DELETE 204', 'presigned: a preflight before');

is_answered('presigned: of another tenant', '403 AccessDenied',
	with_url(presigned($foreign)));
is_answered('presigned: changed', '403 SignatureDoesNotMatch',
	with_url(presigned($own) =~ s/film/file/r));
is_answered('presigned: expired', '403 AccessDenied',
	with_url(presigned($own, time =>
		SigV4::amz_time(time - 100), expires => 60)));
is_answered('presigned: by nobody', '403 InvalidAccessKeyId',
	with_url(presigned($own, access_key => 'NOBODY7EXAMPLE')));
is_answered('presigned: nearly an abort', '400 InvalidArgument',
	with_url(presigned($own =~ s/uploadId=.*/uploadId=/r)));
is_answered('presigned: no abort', '501 NotImplemented',
	with_url(presigned($own =~ s/\?.*//r)));

# the SDK, with a key

is_answered('SDK', "204 ok DELETE $own", with_key('uploads/acme/film.mov'));
is_answered('SDK: a difficult key',
	'204 ok DELETE /media/uploads/acme/%EA%B0%80%20b%2B%26%3D//c%27'
	. "?uploadId=$ID",
	with_key("uploads/acme/\x{ac00} b+&=//c'"));
is_answered('SDK: of another tenant', '403 AccessDenied',
	with_key('uploads/globex/film.mov'));
is_answered('SDK: a wrong secret', '403 SignatureDoesNotMatch',
	with_key('uploads/acme/film.mov', secret => 'wrong'));
is_answered('SDK: an unknown key', '403 InvalidAccessKeyId',
	with_key('uploads/acme/film.mov', access_key => 'NOBODY7EXAMPLE'));
is_answered('SDK: an upload id that is none', '400 InvalidArgument',
	with_key('uploads/acme/film.mov', id => 'a b'));

# what the storage and other modules say

for (['404 NoSuchUpload', '404 NoSuchUpload'], ['503 SlowDown', '503 SlowDown'],
	['500 InternalError', '500 InternalError'],
	[{ status => 204, send => 0, then => 'close' },
		'502 ServiceUnavailable'])
{
	my ($is, $want) = @$_;
	$storage->answer($is);
	is_answered("the storage: $want", "$want DELETE $own",
		with_url(presigned($own)));
	is_answered("the storage: $want, SDK", "$want DELETE $own",
		with_key('uploads/acme/film.mov'));
}

$storage->answer(204);

my $limited = "/media/uploads/acme/limited?uploadId=$ID";

is_answered('limit_req: the first', "204 ok DELETE $limited",
	with_url(presigned($limited)));
is_answered('limit_req: SlowDown', '503 SlowDown',
	with_url(presigned($limited)));

# what a page may not do, whoever lets it: nothing is sent, nothing is read

sub is_kept_away($name, $answer, $) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @asked = map { "$_->{request_method} $_->{status}" } $t->access_log();

	is($answer, '0 TypeError', $name);
	unlike("@asked[$count .. $#asked]", qr/DELETE/,
		"$name: no more than a preflight");
	$count = @asked;
}

$count = $t->access_log();
is_kept_away('with cookies',
	with_url(presigned($own), { credentials => 'include' }));

$page->go('https://evil.example/');
is_kept_away('another origin, presigned', with_url(presigned($own)));
is_kept_away('another origin, without CORS',
	with_url(presigned($own), { mode => 'no-cors' }));
is_kept_away('another origin, SDK', with_key('uploads/acme/film.mov'));

$page->go('https://app.example.com/');
is_answered('back again', "204 ok DELETE $own", with_url(presigned($own)));

$browser->stop();
$t->done();
