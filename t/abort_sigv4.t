# Aborts that tenants sign with keys of the gateway, in the Authorization
# header: whatever SDKs send is accepted, and nothing else.

###############################################################################

use v5.36;

use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $us = $t->storage('us', region => 'us-standard');

$t->certificate('ca', ca => 1);
$t->certificate('server', san => ['gw.test']);
my $client = $t->certificate('alice', client => 1, issuer => 'ca');

$t->write_keys('tenants.keys', <<'EOF');
alice  AKIALICE      CANARY/alice+secret
alice  ncp_iam_2-x.y CANARY/second+secret
bob    AKIABOB       CANARY/bob+secret
EOF

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%
    %%ENDPOINT_us%%

    s3_abort_policy tenants {
        allow  bucket=media;
        allow  key=$s3_abort_tenant/*;
    }

    s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;

    ssl_certificate         %%TESTDIR%%/server.crt;
    ssl_certificate_key     %%TESTDIR%%/server.key;
    ssl_client_certificate  %%TESTDIR%%/ca.crt;

    map $http_x_region $chosen { default storage; us us; }

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_domain gw.test;
        s3_abort_pass storage policy=tenants;

        location / { }
        location /s3/ { s3_abort_base_path /s3; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys skew=60s;
        location / { s3_abort_pass storage policy=tenants; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% ssl;
        ssl_verify_client optional;
        location / { s3_abort_pass storage policy=tenants; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;

        location / { s3_abort_pass storage policy=tenants; }
        location /us { s3_abort_pass us policy=tenants; }
    }

    server {
        listen 127.0.0.1:%%PORT_5%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys
                                region=us-east-1;
        location / { s3_abort_pass $chosen policy=tenants; }
    }
}

EOF

###############################################################################
#
# A request is signed as SigV4::sign() is told to; then, and behind the
# signature's back,
#
#     auth    sub: changes $_, the Authorization header's value
#     sent    the target that is sent instead of the one that was signed
#     change  { name => value }: values of other headers; undef drops one
#     extra   [name, value, ...]: headers that are not signed
#     method  the method that was signed; DELETE is sent

my %ALICE = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret',
	region => 'kr-standard');
my $KEY = '/media/k';
my $ID = '?uploadId=A';

sub bytes(%o) {
	my ($auth, $sent, $change, $extra)
		= delete @o{qw/ auth sent change extra /};
	my $r = SigV4::sign(%ALICE, target => "$KEY$ID",
		headers => [['Host', 'gw.test']], %o);
	my %change = map { lc $_ => $change->{$_} } keys %$change;
	my @headers;

	for (@{$r->{headers}}) {
		my ($name, $value) = @$_;
		$value = $change{lc $name} if exists $change{lc $name};
		$auth->() for $auth && $name eq 'Authorization' ? $value : ();
		push @headers, $name, $value;
	}

	return S3Abort::request_bytes('DELETE', $sent // $r->{target},
		'X-Tenant' => undef, @headers, @{$extra // []});
}

sub ask($port, %o) {
	return $t->request(bytes(%o), port => $port,
		$port == 3 ? (tls => { sni => 'gw.test',
		cert => $client->{cert}, key => $client->{key} }) : ());
}

# Cases are [name, expected, options of bytes() or bytes]; expected as in
# S3Abort->aborts().

sub cases(@cases) {
	$t->aborts(map { my ($name, $want, @o) = @$_;
		[$name, @o == 1 ? $o[0] : bytes(@o), $want] } @cases);
}

sub now($offset = 0) {
	return SigV4::amz_time(int(time) + $offset);
}

my $OK = "$KEY$ID";
my $MALFORMED = '400 AuthorizationHeaderMalformed';
my $MISMATCH = '403 SignatureDoesNotMatch';
my $UNSIGNED = ['x-amz-content-sha256', 'x-amz-date'];

###############################################################################
#
# What clients send

my %sdk = ('amz-sdk-invocation-id' => 'c0ffee', 'amz-sdk-request' =>
	'attempt=1; max=3', 'x-amz-user-agent' => 'aws-sdk-js/3.1  lang/js');
my @sdk = map { [$_, $sdk{$_}] } sort keys %sdk;

cases(
	['awscli, boto3', $OK, extra => ['amz-sdk-request', 'attempt=1']],
	['the second key of a tenant', $OK, access_key => 'ncp_iam_2-x.y',
		secret => 'CANARY/second+secret'],
	['another tenant', $OK, access_key => 'AKIABOB',
		secret => 'CANARY/bob+secret'],
	['host and date are enough', $OK, signed => ['host', 'x-amz-date'],
		change => { 'x-amz-content-sha256' => undef }],
	['@aws-sdk/client-s3', $OK, signed => [sort keys %sdk, 'host',
		@$UNSIGNED], headers => [['Host', 'gw.test'], @sdk],
		target => "$KEY$ID&x-id=AbortMultipartUpload"],
	['x-id before', $OK, target =>
		"$KEY?x-id=AbortMultipartUpload&uploadId=A"],
	['s3cmd: comma without a space', $OK, auth => sub { s/, /,/g }],
	['many spaces', $OK, auth => sub { s/, /  ,   /g }],
	['space behind the algorithm', $OK, auth => sub { s/256 /256   / }],
	['parts in another order', $OK, auth => sub {
		s/256 (.*?), (.*), (.*)/256 $3, $1, $2/ }],
	['parts in another order yet', $OK, auth => sub {
		s/256 (.*?), (.*), (.*)/256 $2,$3,$1/ }],
	['all kinds of headers are signed', $OK, signed => [qw/ accept
		accept-encoding connection content-length content-type host
		if-match user-agent /, @$UNSIGNED, 'x-custom'],
		headers => [['Host', 'gw.test'], ['Accept', '*/*'],
		['Accept-Encoding', 'identity'], ['Connection', 'close'],
		['Content-Length', '0'], ['Content-Type', ''],
		['If-Match', '"a"'], ['User-Agent', 'Boto3/1.26 (x; y)'],
		['X-Custom', '1']]],
	['E-28 inner spaces', $OK, signed => ['host', 'x-a', @$UNSIGNED],
		headers => [['Host', 'gw.test'], ['X-A', 'a   b  c']]],
	['E-28 spaces around', $OK, signed => ['host', 'x-a', @$UNSIGNED],
		headers => [['Host', 'gw.test'], ['X-A', 'a b']],
		change => { 'x-a' => '   a b   ' }],
	['E-28 tabs around', $OK, signed => ['host', 'x-a', @$UNSIGNED],
		headers => [['Host', 'gw.test'], ['X-A', 'a b']],
		change => { 'x-a' => "\t a b \t" }],
	['E-28 commas in a value', $OK, signed => ['host', 'x-a', @$UNSIGNED],
		headers => [['Host', 'gw.test'], ['X-A', 'a,b, c']]],
	['64 signed headers', $OK, signed => ['host', map({ sprintf 'x-%02d',
		$_ } 1 .. 61), @$UNSIGNED], headers => [['Host', 'gw.test'],
		map { [sprintf('X-%02d', $_), $_] } 1 .. 61]],
	['E-20 unsigned payload', $OK, payload_hash => 'UNSIGNED-PAYLOAD'],
	['D-14 Content-Length: 0', $OK, extra => ['Content-Length', 0]],
	['HTTP/1.0', $OK, bytes() =~ s!HTTP/1.1!HTTP/1.0!r],
	['absolute form', $OK, sent => "http://gw.test$KEY$ID"],
	['absolute form, a host as good as the signed one', $OK,
		sent => "http://GW.test.:8080$KEY$ID"],
	['E-10 the first second of a minute', $OK,
		time => now() =~ s/..Z\z/00Z/r],
);

is(($t->sent())[0]{header}{authorization} =~ /Signature=/g, 1,
	'D-01 one Authorization');
unlike(($t->sent())[0]{raw}, qr/AKIALICE/, 'D-01 of the gateway');

ask(1, time => now(-600), payload_hash => 'UNSIGNED-PAYLOAD');
my $sent = ($t->sent())[0]{header};
isnt($sent->{'x-amz-date'}, now(-600), 'D-02 x-amz-date is ours');
is($sent->{'x-amz-content-sha256'}, SigV4::EMPTY_SHA256,
	'D-02 x-amz-content-sha256 is ours');

###############################################################################
#
# E-26 E-27 B-13: a signature is over what the escapes mean

sub escaped($name, $target, $sent, $wire = undef) {
	return ["E-27 B-13 $name", $wire // $target, target => $target,
		sent => $sent];
}

cases(
	escaped('minio: raw id, escapes signed', '/media/k?uploadId=2~a%2B1%3D',
		'/media/k?uploadId=2~a+1='),
	escaped('escapes sent, too', '/media/k?uploadId=2~a%2B1%3D',
		'/media/k?uploadId=2~a%2B1%3D'),
	escaped('lower-case escapes in an id', '/media/k?uploadId=a%2B1%3D',
		'/media/k?uploadId=a%2b1%3d'),
	escaped('needless escapes in an id', '/media/k?uploadId=a-_.~',
		'/media/k?uploadId=%61%2d%5F%2E%7e'),
	escaped('lower-case escapes in a key', "/media/%EA%B0%80%2B$ID",
		"/media/%ea%b0%80%2b$ID"),
	escaped('needless escapes in a key', "/media/a~b-c$ID",
		"/media/%61%7Eb%2dc$ID"),
	escaped('raw punctuation', '/media/%21%2A%27%28%29%3B%3A%2C%24%26%3D%40'
		. $ID, '/media/!*\'();:,$&=@' . $ID),
	escaped('raw UTF-8', "/media/%EA%B0%80$ID", "/media/\xea\xb0\x80$ID"),
	escaped('raw plus in a key', "/media/a%2Bb$ID", "/media/a+b$ID"),
	escaped('space', "/media/a%20b$ID", "/media/a%20b$ID"),
	escaped('encoded slash', "/media/a/b$ID", "/media/a%2Fb$ID"),
	escaped('escaped escape', "/media/a%252Fb$ID", "/media/a%252Fb$ID"),
	['E-26 two slashes', "/media/a//b$ID", target => "/media/a//b$ID"],
	['E-26 slashes around', "/media//a//$ID", target => "/media//a//$ID"],
	['E-26 dot segment, signed', '400 InvalidURI',
		target => "/media/a/./b$ID"],
	['E-26 dot segments, signed', '400 InvalidURI',
		target => "/media/a/../b$ID"],
	['E-26 signed normalised', $MISMATCH, target => "/media/a/b$ID",
		sent => "/media/a//b$ID"],
	['E-27 sorted, not as sent', $OK,
		target => "$KEY?uploadId=A&x-id=AbortMultipartUpload",
		sent => "$KEY?x-id=AbortMultipartUpload&uploadId=A"],
	['E-27 x-id added', $MISMATCH,
		sent => "$KEY$ID&x-id=AbortMultipartUpload"],
	['E-27 x-id taken away', $MISMATCH, sent => "$KEY$ID",
		target => "$KEY$ID&x-id=AbortMultipartUpload"],
	['double encoding signed, single sent', $MISMATCH,
		target => "/media/a%2520b$ID", sent => "/media/a%20b$ID"],
	['a space is no plus', $MISMATCH, target => "/media/a%20b$ID",
		sent => "/media/a+b$ID"],
);

###############################################################################
#
# E-29: the Host that was signed, in virtual-host style too

sub host($host, %o) {
	return (headers => [['Host', $host]], target => "/k$ID", %o);
}

cases(
	['E-29 virtual-host style', $OK, host('media.gw.test')],
	['E-29 port, signed', $OK, host('media.gw.test:443')],
	['E-29 upper case, signed', $OK, host('MEDIA.gw.Test')],
	['E-29 dot at the end, signed', $OK, host('media.gw.test.')],
	['E-29 port, not signed', $MISMATCH, host('media.gw.test',
		change => { Host => 'media.gw.test:443' })],
	['E-29 port, signed and not sent', $MISMATCH, host('media.gw.test:443',
		change => { Host => 'media.gw.test' })],
	['E-29 another case', $MISMATCH, host('media.gw.test',
		change => { Host => 'Media.gw.test' })],
	['E-29 another bucket', $MISMATCH, host('media.gw.test',
		change => { Host => 'other.gw.test' })],
	['E-29 path style instead', $MISMATCH, host('media.gw.test',
		change => { Host => 'gw.test' }, sent => "/media/k$ID")],
	['base path', $OK, target => "/s3/media/k$ID"],
	['base path, signed without', $MISMATCH, target => "/media/k$ID",
		sent => "/s3/media/k$ID"],
);

###############################################################################
#
# Nothing else

cases(
	['no signature at all', '403 AccessDenied',
		change => { Authorization => undef }],
	['E-21 another secret', $MISMATCH, secret => 'CANARY/alice+secre'],
	['E-21 the secret of another key', $MISMATCH,
		secret => 'CANARY/second+secret'],
	['E-21 the secret of another tenant', $MISMATCH,
		secret => 'CANARY/bob+secret'],
	['E-22 unknown key', '403 InvalidAccessKeyId', access_key => 'AKIAXXX'],
	['E-22 unknown key, empty secret', '403 InvalidAccessKeyId',
		access_key => 'AKIAXXX', secret => ''],
	['E-22 a key in another case', '403 InvalidAccessKeyId',
		access_key => 'akialice'],
	['E-22 a tenant is no key', '403 InvalidAccessKeyId',
		access_key => 'alice'],
	['E-22 the start of a key', '403 InvalidAccessKeyId',
		access_key => 'AKIALIC'],
	['E-22 a long key', '403 InvalidAccessKeyId',
		access_key => 'A' x 2000],
	['another key of the bucket', $MISMATCH, sent => "/media/l$ID"],
	['another bucket', $MISMATCH, sent => "/other/k$ID"],
	['another upload', $MISMATCH, sent => "$KEY?uploadId=B"],
	['signed for PUT', $MISMATCH, method => 'PUT'],
	['signed for GET', $MISMATCH, method => 'GET'],
	['signed for DeleteObject', $MISMATCH, target => $KEY,
		sent => "$KEY$ID"],
	['key of another tenant', '403 AccessDenied',
		target => "/other/bob/k$ID"],
	['signed, but no abort', '400 InvalidArgument',
		target => "$KEY?uploadid=A"],
	['E-05 SigV2', '400 InvalidRequest', change => { Authorization =>
		'AWS AKIALICE:frJIUN8DYpKDtOLCwo//yllqDzg=' }],
	['E-05 Bearer', '400 InvalidRequest',
		change => { Authorization => 'Bearer abc' }],
	['E-05 Basic', '400 InvalidRequest',
		change => { Authorization => 'Basic YTpi' }],
	['E-05 empty', qr/^40[03] /, change => { Authorization => '' }],
	(map { my $algorithm = $_; ["E-05 $algorithm", '400 InvalidRequest',
		auth => sub { s/^\S+/$algorithm/ }] } qw/ aws4-hmac-sha256
		AWS4-HMAC-SHA1 AWS4-ECDSA-P256-SHA256 AWS4-HMAC-SHA256-PAYLOAD
		AWS4-HMAC-SHA2567 /, 'AWS4-HMAC-SHA256,'),
);

cases(map { my ($name, $want, $sub) = @$_;
	[$name, $want, auth => $sub] }
	['no parts', $MALFORMED, sub { s/256 .*/256 x/ }],
	['no Credential', $MALFORMED, sub { s/Credential=.*?, // }],
	['no SignedHeaders', $MALFORMED, sub { s/SignedHeaders=.*?, // }],
	['no Signature', $MALFORMED, sub { s/, Signature=.*// }],
	['two Credentials', $MALFORMED, sub { s/(Credential=.*?, )/$1$1/ }],
	['two Signatures', $MALFORMED, sub { s/(, Signature=.*)/$1$1/ }],
	['a fourth part', $MALFORMED, sub { s/\z/, X=y/ }],
	['comma at the end', $MALFORMED, sub { s/\z/,/ }],
	['two commas', $MALFORMED, sub { s/, /,, / }],
	['semicolons', $MALFORMED, sub { s/, /; /g }],
	['no commas', $MALFORMED, sub { s/, / /g }],
	['names in lower case', $MALFORMED, sub { s/([CS]\w+=)/lc $1/ge }],
	['spaces around the equals sign', $MALFORMED, sub { s/=/ = / }],
	['quoted', qr/^40[03] /, sub { s/Signature=(.*)/Signature="$1"/ }],
	['E-21 empty', qr/^40[03] /, sub { s/Signature=.*/Signature=/ }],
	['E-21 63 digits', qr/^40[03] /, sub { s/.\z// }],
	['E-21 65 digits', qr/^40[03] /, sub { s/\z/0/ }],
	['E-21 upper case', qr/^40[03] /,
		sub { s/Signature=(.*)/'Signature=' . uc $1/e }],
	['E-21 not hexadecimal', qr/^40[03] /, sub { s/.\z/g/ }],
	['E-21 the last digit', $MISMATCH,
		sub { s/(.)\z/sprintf '%x', 15 - hex $1/e }],
	['E-21 the first digit', $MISMATCH,
		sub { s/Signature=\K(.)/sprintf '%x', 15 - hex $1/e }],
	['E-21 all zeros', $MISMATCH, sub { s/Signature=\K.*/'0' x 64/e }],
	['E-07 aws5_request', $MALFORMED, sub { s/aws4_req/aws5_req/ }],
	['E-07 four parts', $MALFORMED, sub { s!/s3/!/! }],
	['E-07 six parts', $MALFORMED, sub { s!/s3/!/s3/s3/! }],
	['E-07 slash in the key id', $MALFORMED, sub { s!ALICE!AL/ICE! }],
	['E-07 no key id', $MALFORMED, sub { s!=AKIALICE!=! }],
	['E-07 no scope', $MALFORMED, sub { s!AKIALICE/.*?,!AKIALICE,! }],
	['E-07 empty region', $MALFORMED, sub { s!kr-standard!! }],
	['E-07 date with letters', $MALFORMED, sub { s!/\d{7}!/2026013x! }],
);

cases(
	['E-06 scope of yesterday', $MALFORMED, auth => sub {
		my $day = substr now(-86400), 0, 8; s!E/\d+!E/$day! }],
	['E-06 scope of tomorrow', $MALFORMED, auth => sub {
		my $day = substr now(86400), 0, 8; s!E/\d+!E/$day! }],
	['E-07 service sts', $MALFORMED, service => 'sts'],
	['E-07 service s3-outposts', $MALFORMED, service => 's3-outposts'],
	['E-07 service S3', $MALFORMED, service => 'S3'],
	['E-08 another region', $MALFORMED, region => 'us-east-1'],
	['E-08 the region in another case', $MALFORMED,
		region => 'KR-Standard'],
	['E-08 SigV4A region set', $MALFORMED, region => '*'],
);

###############################################################################
#
# SignedHeaders

my @sign = (headers => [['Host', 'gw.test'], ['X-A', '1'], ['X-B', '2']]);

sub listed($name, $want, $list, %o) {
	my %list = (signed => [split /;/, $list], @sign, %o);
	return [$name, $want, %list];
}

sub relisted($name, $want, $from, $to) {
	return [$name, $want, auth => sub { s/$from/$to/ }];
}

my $all = 'host;x-amz-content-sha256;x-amz-date';

cases(
	['C-01 absolute form, another host', '400 InvalidRequest',
		sent => "http://victim.gw.test$KEY$ID"],
	['C-01 absolute form, another host, presigned', '400 InvalidRequest',
		do { my $url = SigV4::presign(%ALICE, target => "$KEY$ID",
		method => 'DELETE', headers => [['Host', 'gw.test']])->{target};
		S3Abort::request_bytes('DELETE', "http://victim.gw.test$url") }],
	listed('E-01 no host', '403 AccessDenied', $all =~ s/host;//r),
	listed('E-02 x-amz-date is not signed', '403 AccessDenied',
		'host;x-amz-content-sha256'),
	listed('E-02 no x-amz-date', '403 AccessDenied',
		'host;x-amz-content-sha256',
		change => { 'X-Amz-Date' => undef }),
	listed('E-02 Date instead', '403 AccessDenied',
		'date;host;x-amz-content-sha256',
		change => { 'X-Amz-Date' => undef }, headers => [
		['Host', 'gw.test'], ['Date', HTTP_date()]]),
	listed('E-03 not sorted', $MALFORMED,
		'x-amz-date;host;x-amz-content-sha256'),
	listed('E-03 not sorted at the end', $MALFORMED, "$all;x-b;x-a"),
	listed('E-03 host twice', qr/^400 /, "host;$all"),
	listed('E-03 a header twice, not side by side', qr/^400 /,
		"x-a;$all;x-a"),
	relisted('E-03 upper case', $MALFORMED, 'host', 'Host'),
	relisted('E-03 empty element', $MALFORMED, ';', ';;'),
	relisted('E-03 semicolon at the end', $MALFORMED, 'amz-date',
		'amz-date;'),
	relisted('E-03 semicolon at the start', $MALFORMED, '=host', '=;host'),
	relisted('E-03 empty list', $MALFORMED, 'SignedHeaders=.*?,',
		'SignedHeaders=,'),
	relisted('E-03 spaces in the list', $MALFORMED, ';', '; '),
	listed('E-03 absent header', $MISMATCH, "$all;x-b",
		change => { 'X-B' => undef }),
	relisted('E-03 absent header, as if it were not listed', $MISMATCH,
		'amz-date', 'amz-date;x-b'),
	['E-03 absent header, signed as an empty one', $MISMATCH,
		signed => ['host', @$UNSIGNED, 'x-b'],
		headers => [['Host', 'gw.test'], ['X-B', '']],
		change => { 'X-B' => undef }],
	['65 signed headers', $MALFORMED, signed => ['host', map({ sprintf
		'x-%02d', $_ } 1 .. 62), @$UNSIGNED], headers => [
		['Host', 'gw.test'], map { [sprintf('X-%02d', $_), $_] }
		1 .. 62]],
	['D-19 a signed header twice', '400 InvalidArgument',
		signed => ['host', @$UNSIGNED, 'x-b'],
		headers => [['Host', 'gw.test'], ['X-B', '1'], ['X-B', '2']]],
	['D-19 joined when it was signed', '400 InvalidArgument',
		signed => ['host', @$UNSIGNED, 'x-b'],
		headers => [['Host', 'gw.test'], ['X-B', '1,2']],
		change => { 'X-B' => '1' }, extra => ['X-B', '2']],
	['D-19 x-amz-date twice', '400 InvalidArgument',
		extra => ['X-Amz-Date', now()]],
	['D-19 x-amz-date twice, one of yesterday', '400 InvalidArgument',
		extra => ['x-amz-date', now(-86400)]],
	['a signed header changed', $MISMATCH, signed => ['host', @$UNSIGNED,
		'x-b'], headers => [['Host', 'gw.test'], ['X-B', '1']],
		change => { 'X-B' => '2' }],
	['x-amz-date changed', $MISMATCH, time => now(-5),
		change => { 'x-amz-date' => now() }],
);

sub HTTP_date() {
	return POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime);
}

###############################################################################
#
# D-03 D-04: x-amz-* headers

for my $name ('x-amz-expected-bucket-owner', 'x-amz-request-payer',
	'x-amz-if-match-initiated-time')
{
	my $value = 'Tue, 02  Jan 2024 03:04:05 GMT';
	my @headers = (headers => [['Host', 'gw.test'], [$name, $value]]);

	cases(["D-03 $name, signed", $OK, @headers]);
	is(($t->sent())[0]{header}{$name}, $value, "D-03 $name is carried");
	like(($t->sent())[0]{header}{authorization}, qr/[;=]$name[;,]/,
		"D-03 $name is signed");

	cases(["D-04 $name, not signed", '403 AccessDenied', extra =>
		[$name, $value]],
		["D-03 $name, signed and changed", $MISMATCH, @headers,
		change => { $name => 'other' }]);
}

for my $name ('x-amz-bypass-governance-retention', 'x-amz-mfa',
	'x-amz-copy-source')
{
	cases(["D-03 $name, signed", '400 InvalidRequest',
		headers => [['Host', 'gw.test'], [$name, 'true']]],
		["D-03 $name, not signed", qr/^40[03] /,
		extra => [$name, 'true']]);
}

cases(
	(map { ["D-04 $_, not signed", '403 AccessDenied', extra => [$_, 'a']] }
		qw/ x-amz-user-agent x-amz-meta-a X-Amz-Anything x-amz-acl /),
	['D-04 x-amz-content-sha256, not signed', '403 AccessDenied',
		signed => ['host', 'x-amz-date']],
	['an unknown x-amz header, signed', '400 InvalidRequest',
		headers => [['Host', 'gw.test'], ['X-Amz-Acl', 'private']]],
	['E-19 x-amz-security-token, signed', '403 AccessDenied',
		token => 'TOKEN'],
	['E-19 x-amz-security-token, not signed', '403 AccessDenied',
		extra => ['x-amz-security-token', 'TOKEN']],
	['D-05 conditions are dropped', $OK, extra => ['If-Match', '"a"',
		'If-None-Match', '*', 'Range', 'bytes=0-1']],
	['a header that is nearly x-amz', $OK, extra => ['x-amzn-trace-id', 'a',
		'x-am', 'b', 'amz-sdk-request', 'c']],
);

###############################################################################
#
# E-20: payload hashes

my $stream = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';

cases(map { ["E-20 $_->[0]", qr/^400 (?:AuthorizationHeaderMalformed|Invalid)/,
	payload_hash => $_->[1]] }
	['wrong hash', 'a' x 64],
	['hash in upper case', uc SigV4::EMPTY_SHA256],
	['half a hash', substr SigV4::EMPTY_SHA256, 0, 32],
	['empty', ''],
	['garbage', 'garbage'],
	['unsigned-payload', 'unsigned-payload'],
	['UNSIGNED-PAYLOAD-', 'UNSIGNED-PAYLOAD-'],
	map { [$_, $_] } $stream, "$stream-TRAILER",
		'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
		'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD');

###############################################################################
#
# E-10: dates

my $now = now();
my ($day, $clock) = $now =~ /^(.*)T(.*)Z/;

cases(map { ["E-10 $_->[0]", qr/^40[03] /, time => $_->[1]] }
	['no Z', "${day}T$clock"],
	['offset', "${day}T$clock+0900"],
	['lower case', "${day}t${clock}z"],
	['ISO 8601', $now =~ s/(....)(..)(..)T(..)(..)(..)/$1-$2-$3T$4:$5:$6/r],
	['HTTP date', HTTP_date()],
	['empty', ''],
	['fraction', "${day}T$clock.5Z"],
	['month 13', substr($day, 0, 4) . "1301T${clock}Z"],
	['31 February', substr($day, 0, 4) . "0231T${clock}Z"],
	['day 0', substr($day, 0, 6) . "00T${clock}Z"],
	['hour 24', "${day}T240000Z"],
	['leap second', "${day}T235960Z"],
	['space for a zero', "${day}T 1234Z"],
	['negative', '-' . substr($day, 1) . "T${clock}Z"],
	['Unix seconds', int time],
);

cases(map { ["E-10 $_->[0]", '403 RequestTimeTooSkewed', time => $_->[1]] }
	['the year 9999', "99991231T235959Z"],
	['beyond 31 bits', "20380119T031408Z"],
	['beyond 32 bits', "21060207T062816Z"],
	['1970', "19700101T000000Z"],
	['a year ago', now(-365 * 86400)],
	['tomorrow', now(86400)],
);

###############################################################################
#
# E-11: the edges of the skew, to the second; nginx's clock is the second

sub skewed($port, $offset) {
	for (1 .. 20) {
		sleep 0.01 while time() - int time() > 0.5;

		my $second = int time();
		my $r = ask($port, time => SigV4::amz_time($second + $offset));

		return $r->{status} . ($r->{code} && " $r->{code}")
			if int time() == $second;
	}

	return 'no second was long enough';
}

for ([1, 900], [2, 60]) {
	my ($port, $skew) = @$_;

	for my $sign (-1, 1) {
		my $edge = $sign * $skew;

		is(skewed($port, $edge), 204, "E-11 $edge s");
		is(skewed($port, $edge + $sign), '403 RequestTimeTooSkewed',
			'E-11 ' . ($edge + $sign) . ' s');
	}
}

$t->nothing_sent('E-11 nothing sent');

###############################################################################
#
# E-14 E-15: one mechanism, and no other

cases(map { ["E-14 $_ and a header", '400 InvalidArgument',
	target => "$KEY$ID&$_"] }
	'X-Amz-Signature=' . '0' x 64, 'X-Amz-Expires=900',
	'X-Amz-Algorithm=AWS4-HMAC-SHA256', 'X-Amz-Date=' . now(),
	'X-Amz-Credential=AKIALICE');

my $presigned = SigV4::presign(%ALICE, target => "$KEY$ID",
	headers => [['Host', 'gw.test']]);
cases(['E-14 both are good', '400 InvalidArgument',
	target => $presigned->{target}]);

is(ask(3)->{status}, 204, 'E-15 with a certificate');

for (['https', 204], ['HTTPS', 204], ['http', 400], ['ftp', 400]) {
	my ($scheme, $status) = @$_;
	is(ask(3, sent => "$scheme://gw.test$KEY$ID")->{status}, $status,
		"B-25 absolute form over TLS: $scheme");
}

for (['no signature', change => { Authorization => undef }],
	['a malformed one', auth => sub { s/,/;/ }],
	['a wrong one', secret => 'wrong'], ['SigV2', change =>
	{ Authorization => 'AWS AKIALICE:frJIUN8DYpKDtOLCwo//yllqDzg=' }])
{
	my ($name, %o) = @$_;
	my $r = ask(3, %o, extra => ['X-Tenant', 'alice']);

	like("$r->{status} $r->{code}", $name =~ /malformed|V2/
		? qr/^400 (?:Auth|Invalid)/ : qr/^403 (?:Acc|Sign)/,
		"E-15 a certificate and $name");
	$t->nothing_sent("E-15 a certificate and $name: nothing sent");
}

###############################################################################
#
# What the answers say

my $unknown = ask(1, access_key => 'AKIAXXX');
my $wrong = ask(1, secret => 'wrong');

sub shape($r) {
	return join ' ', $r->{status}, (sort keys %{$r->{headers}}),
		$r->{body} =~ /<(\w+)/g, $r->{resource};
}

is(shape($unknown), shape($wrong), 'E-22 unknown and wrong: the same shape');
unlike($unknown->{body} . $wrong->{body}, qr/AKIA|Canonical|StringToSign/,
	'G-11 nothing of the signature');

my $r = ask(1, region => 'us-east-1');
is($r->{region}, 'kr-standard', 'E-08 the answer names the region');
is(ask(1, region => $r->{region})->{status}, 204, 'E-08 which works');
is(ask(1, service => 'sts')->{region}, undef,
	'E-08 another error names no region');

like(ask(1, change => { Authorization => 'AWS a:b' })->{message},
	qr/AWS4-HMAC-SHA256/, 'E-05 SigV2: the answer names SigV4');

###############################################################################
#
# Regions: of the endpoint, or of the directive

for ([4, "/media/k$ID", 'kr-standard', 'us-standard', 'storage'],
	[4, "/us0/alice/k$ID", 'us-standard', 'kr-standard', 'us'],
	[5, "/media/k$ID", 'us-east-1', 'kr-standard', 'storage'],
	[5, "/media/k$ID", 'us-east-1', 'us-standard', 'us'])
{
	my ($port, $target, $right, $wrong, $endpoint) = @$_;

	for (1, 2) {
		my $r = ask($port, target => $target, region => $right,
			extra => ['X-Region', $endpoint]);
		is("$r->{status}$r->{code} " . join(' ', map { $_->{target} }
			$t->sent($endpoint)), "204 $target",
			"I-08 region $right, endpoint $endpoint");
	}

	$r = ask($port, target => $target, region => $wrong,
		extra => ['X-Region', $endpoint]);
	is("$r->{code} $r->{region}", "AuthorizationHeaderMalformed $right",
		"E-08 region $wrong, endpoint $endpoint");
}

# one keys file, one identity, two endpoints with regions of their own: a
# signing key of one region is none of the other

my @turns = (["/media/k$ID", 'kr-standard'],
	["/us0/alice/k$ID", 'us-standard']) x 3;

is(join(' ', map { ask(4, target => $_->[0], region => $_->[1])->{status} }
	@turns), '204 204 204 204 204 204', 'I-08 two regions in turn');

$t->done();
