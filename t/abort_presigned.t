# Presigned URLs: aborts that a tenant signed for somebody else to send, until
# the URL's own expiry, and for exactly that abort.

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

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n"
	. "bob AKIABOB CANARY/bob+secret\n");

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy tenants {
        allow  bucket=media;
        allow  key=$s3_abort_tenant/*;
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_domain gw.test;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        location / { s3_abort_pass storage policy=tenants; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys skew=60s;
        location / { s3_abort_pass storage policy=tenants; }
    }
}

EOF

###############################################################################
#
# A URL is presigned as SigV4::presign() is told to; an expiry is put into it
# as it is.  Then, and behind the signature's back,
#
#     query   sub: changes $_, the target
#     extra   [name, value, ...]: headers that are sent
#     send    the method that is sent

my %ALICE = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret',
	region => 'kr-standard');
my $KEY = '/media/k';
my $ID = '?uploadId=A';
my $OK = "$KEY$ID";

sub bytes(%o) {
	my ($query, $extra, $send) = delete @o{qw/ query extra send /};
	my $r = SigV4::presign(%ALICE, target => $OK,
		headers => [['Host', 'gw.test']], %o);

	$query->() for $query ? $r->{target} : ();

	return S3Abort::request_bytes($send // 'DELETE', $r->{target},
		'X-Tenant' => undef, (map { @$_ } @{$r->{headers}}),
		@{$extra // []});
}

sub ask(%o) {
	return $t->request(bytes(%o));
}

# [name, expected, options]; expected as in S3Abort->aborts().

sub cases(@cases) {
	$t->aborts(map { my ($name, $want, %o) = @$_;
		[$name, bytes(%o), $want] } @cases);
}

sub now($offset = 0) {
	return SigV4::amz_time(int(time) + $offset);
}

# A URL that is signed with these parameters as they are, but its own.

sub with($parameters, %o) {
	return (target => "$OK&$parameters", %o);
}

my $MALFORMED = '400 AuthorizationHeaderMalformed';
my $MISMATCH = '403 SignatureDoesNotMatch';
my $DENIED = '403 AccessDenied';
my $ARGUMENT = '400 InvalidArgument';

###############################################################################
#
# What presigners make

cases(
	['boto3', $OK],
	['@aws-sdk/s3-request-presigner', $OK, target => "$KEY?"
		. 'X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&uploadId=A'
		. '&x-id=AbortMultipartUpload'],
	['parameters in another order', $OK, query => sub {
		s/\?(.*)/'?' . join '&', reverse split m!&!, $1/e }],
	['the signature first', $OK, query => sub {
		s/\?(.*)&(X-Amz-Signature=.*)/?$2&$1/ }],
	['lower-case escapes', $OK, query => sub {
		s/(%[0-9A-F]{2})/lc $1/ge }],
	['no escapes', $OK, query => sub { s/%2F/\//g }],
	['needless escapes', $OK, query => sub { s/HMAC/%48%4d%41%43/ }],
	['raw id, escapes signed', '/media/k?uploadId=a%2B1%3D',
		target => '/media/k?uploadId=a%2B1%3D',
		query => sub { s/%2B1%3D/+1=/ }],
	['another tenant', "/other/bob/k$ID", target => "/other/bob/k$ID",
		access_key => 'AKIABOB', secret => 'CANARY/bob+secret'],
	['virtual-host style', $OK, target => "/k$ID",
		headers => [['Host', 'media.gw.test']]],
	['headers that nobody signed', $OK, extra => ['Content-Type', 'a/b',
		'Origin', 'http://a', 'If-Match', '*', 'Content-Length', 0]],
	['E-20 X-Amz-Content-Sha256 of nothing', $OK, payload_hash =>
		SigV4::EMPTY_SHA256, with('X-Amz-Content-Sha256='
		. SigV4::EMPTY_SHA256)],
	['more signed headers', $OK, signed => ['host', 'x-custom'],
		headers => [['Host', 'gw.test'], ['X-Custom', ' a  b ']]],
	['D-03 a header that is carried', $OK,
		signed => ['host', 'x-amz-request-payer'],
		headers => [['Host', 'gw.test'],
		['X-Amz-Request-Payer', 'requester']]],
);

is(($t->sent())[0]{header}{'x-amz-request-payer'}, 'requester',
	'D-03 its value');
unlike(($t->sent())[0]{raw}, qr/X-Amz-Signature|AKIALICE/,
	'D-02 nothing of the URL travels');

my $url = bytes();
is(join(' ', map { $t->request($url)->{status} } 1 .. 3), '204 204 204',
	'a URL is good more than once');

###############################################################################
#
# Time: the expiry alone, and the clock's skew for the future; to the second

sub at($port, $offset, $expires) {
	for (1 .. 20) {
		sleep 0.01 while time() - int time() > 0.5;

		my $second = int time();
		my $r = $t->request(bytes(expires => $expires, time =>
			SigV4::amz_time($second + $offset)), port => $port);

		return $r->{status} . ($r->{code} && " $r->{code} "
			. ($r->{message} =~ /(expire|not valid yet)/)[0])
			if int time() == $second;
	}

	return 'no second was long enough';
}

my $EXPIRED = '403 AccessDenied expire';
my $FUTURE = '403 AccessDenied not valid yet';

is(at(1, 0, 1), 204, 'E-12 1 s');
is(at(1, -1, 1), 204, 'E-12 1 s, after 1 s');
is(at(1, -2, 1), $EXPIRED, 'E-12 1 s, after 2 s');
is(at(1, -900, 900), 204, '900 s, after 900 s');
is(at(1, -901, 900), $EXPIRED, '900 s, after 901 s');
is(at(1, -3600, 7200), 204, 'older than the skew, but good for 2 h');
is(at(1, -604_800, 604_800), 204, 'E-12 604800 s, after 604800 s');
is(at(1, -604_801, 604_800), $EXPIRED, 'E-12 604800 s, after 604801 s');
is(at(1, 900, 60), 204, 'E-11 900 s ahead');
is(at(1, 901, 60), $FUTURE, 'E-11 901 s ahead');
is(at(2, 60, 60), 204, 'E-11 skew=60s, 60 s ahead');
is(at(2, 61, 60), $FUTURE, 'E-11 skew=60s, 61 s ahead');
is(at(2, -3600, 7200), 204, 'skew=60s says nothing of the past');

cases(
	['a year ahead', $DENIED, time => now(365 * 86400)],
	['the year 9999', $DENIED, time => '99991231T235959Z'],
	['E-10 1970', $DENIED, time => '19700101T000000Z'],
	['E-10 30 years ago, the longest expiry', $DENIED, expires => 604_800,
		time => now(-30 * 365 * 86400)],
	(map { ["E-10 X-Amz-Date=$_", qr/^40[03] /, time => $_] }
		substr(now(), 0, 15), substr(now(), 0, 8) . 'T235960Z',
		substr(now(), 0, 4) . '1301T000000Z', now() =~ s/Z/+0900/r,
		substr(now(), 0, 4) . '0231T000000Z', '', int time),
);

###############################################################################
#
# E-12: forms of the expiry

cases(map { ["E-12 X-Amz-Expires=$_",
	qr/^400 AuthorizationQueryParametersError\z/, expires => $_] }
	0, -7, 604_801, 609_901, '1e3', ' 60', '+60', '60 ', '0x3c', '60.0', '',
	'60s', '2147483648', '4294967356', '9223372036854775808',
	'18446744073709551617', '18446744073709551676', '9' x 100, "60\x{b2}",
	'000');

# a raw plus in a query is a plus

cases(['E-12 raw plus', '400 AuthorizationQueryParametersError',
	expires => '+60', query => sub { s/Expires=%2B60/Expires=+60/ }],
	['E-12 00060 is a number', $OK, expires => '00060'],
	['E-12 twice', $ARGUMENT, query => sub { s/\z/&X-Amz-Expires=900/ }],
	['E-12 00060 is 60', $DENIED, expires => '00060', time => now(-65)]);

###############################################################################
#
# Parameters: each there once, and as it was signed

my @NAMES = qw/ Algorithm Credential Date Expires SignedHeaders Signature /;

for my $name (@NAMES) {
	my $p = "X-Amz-$name";

	cases(
		["$p is absent", qr/^40[03] /, query => sub {
			s/[?&]$p=[^&]*(&|\z)/$1/ }],
		["$p is empty", qr/^40[03] /, query => sub { s/$p=\K[^&]*// }],
		["$p has no value", $ARGUMENT, query => sub {
			s/$p\K=[^&]*// }],
		["$p twice", $ARGUMENT, query => sub {
			s/($p=[^&]*)/$1&$1/ }],
		["$p twice, the other one empty", $ARGUMENT, query => sub {
			s/\z/&$p=/ }],
		["$p in lower case", $ARGUMENT, query => sub { s/($p)=/lc($1)
			. '='/e }],
		["$p and one in lower case", $ARGUMENT, query => sub {
			s/($p)(=[^&]*)/"$1$2&" . lc($1) . $2/e }],
		["$p, its name encoded", $ARGUMENT, query => sub {
			s/X-Amz-$name=/X%2DAmz-$name=/ }],
		["$p alone", qr/^40[03] /, query => sub {
			s/\?.*($p=[^&]*).*/$ID&$1/ }],
	);
}

cases(
	['X-Amz-Content-Sha256 added', $MISMATCH, query => sub {
		s/\z/&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD/ }],
	['X-Amz-Content-Sha256 taken away', $MISMATCH,
		with('X-Amz-Content-Sha256=UNSIGNED-PAYLOAD', query => sub {
		s/&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD// })],
	['E-20 X-Amz-Content-Sha256 twice', $ARGUMENT,
		with('X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&'
		. 'X-Amz-Content-Sha256=UNSIGNED-PAYLOAD')],
	(map { ["E-20 X-Amz-Content-Sha256=$_",
		qr/^400 (?:AuthorizationHeaderMalformed|InvalidRequest)\z/,
		payload_hash => $_, with("X-Amz-Content-Sha256=$_")] }
		'a' x 64, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
		'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'garbage'),
	['E-19 X-Amz-Security-Token', $DENIED, token => 'TOKEN'],
	['E-19 X-Amz-Security-Token added', qr/^403 /, query => sub {
		s/\z/&X-Amz-Security-Token=TOKEN/ }],
	['E-19 an empty X-Amz-Security-Token', $DENIED, token => ''],
	['E-19 x-amz-security-token, a header', $DENIED,
		extra => ['x-amz-security-token', 'TOKEN']],
	['another parameter', $ARGUMENT, with('x=y')],
	['another parameter of S3', $ARGUMENT, with('X-Amz-Copy-Source=a')],
	['E-34 33 parameters', $ARGUMENT, with('a&' x 33)],
	['a second uploadId', $ARGUMENT, with('uploadId=B')],
	['nearly an abort', $ARGUMENT, target => "$KEY?uploadid=A"],
	['raw semicolon', $ARGUMENT, signed => ['host', 'x-a'],
		headers => [['Host', 'gw.test'], ['X-A', '1']],
		query => sub { s/host%3Bx-a/host;x-a/ }],
	['bad escape in a value', qr/^400 /, query => sub {
		s/Date=2/Date=%zz/ }],
	['NUL in a value', qr/^40[03] /, query => sub {
		s/(Expires=900)/$1%00/ }],
);

cases(map { my ($name, $want, $sub) = @$_; [$name, $want, query => $sub] }
	['E-05 algorithm in lower case', '400 InvalidRequest',
		sub { s/AWS4-HMAC-SHA256/lc $&/e }],
	['E-05 SHA1', '400 InvalidRequest', sub { s/SHA256/SHA1/ }],
	['E-05 SigV4A', '400 InvalidRequest',
		sub { s/AWS4-HMAC-SHA256/AWS4-ECDSA-P256-SHA256/ }],
	['E-07 aws5_request', $MALFORMED, sub { s/aws4_request/aws5_request/ }],
	['E-07 four parts', $MALFORMED, sub { s/%2Fs3%2F/%2F/ }],
	['E-07 six parts', $MALFORMED, sub { s/%2Fs3%2F/%2Fs3%2Fs3%2F/ }],
	['E-07 double encoding', $MALFORMED, sub { s/%2F/%252F/g }],
	['E-06 scope of yesterday', $MALFORMED, sub {
		my $day = substr now(-86400), 0, 8; s!%2F\d{8}!%2F$day! }],
	['E-21 63 digits', qr/^40[03] /, sub { s/.\z// }],
	['E-21 upper case', qr/^40[03] /,
		sub { s/Signature=\K(.*)/uc $1/e }],
	['E-21 the last digit', $MISMATCH,
		sub { s/(.)\z/sprintf '%x', 15 - hex $1/e }],
	['expiry prolonged', $MISMATCH, sub { s/Expires=900/Expires=90000/ }],
	['date moved', $MISMATCH, sub {
		my $then = now(-5); s/\d{8}T\d+Z/$then/ }],
	['another upload', $MISMATCH, sub { s/uploadId=A/uploadId=B/ }],
	['another key', $MISMATCH, sub { s!/k\?!/l?! }],
	['another key id', '403 InvalidAccessKeyId',
		sub { s/AKIALICE/AKIAXXX/ }],
	['another tenant\'s key id', $MISMATCH,
		sub { s/AKIALICE/AKIABOB/ }],
	['x-id added', $MISMATCH, sub { s/\z/&x-id=AbortMultipartUpload/ }],
);

cases(
	['another secret', $MISMATCH, secret => 'wrong'],
	['key of another tenant', $DENIED, target => "/other/bob/k$ID"],
	['E-07 service', $MALFORMED, service => 'sts'],
	['E-08 region', $MALFORMED, region => 'us-east-1'],
);

my $r = ask(region => 'us-east-1');
is($r->{region}, 'kr-standard', 'E-08 the answer names the region');

$t->aborts(['E-29 another host', bytes() =~ s/Host: gw/Host: other.gw/r,
	qr/^40[03] /], ['E-29 a port', bytes() =~ s/(Host: .*)\r/$1:80\r/r,
	$MISMATCH]);

###############################################################################
#
# E-17: good for one method and one query

cases(
	(map { ["E-17 $_ of the object, reused", $MISMATCH, method => $_,
		target => $KEY, query => sub { s/\z/&uploadId=A/ }] }
		qw/ GET PUT DELETE HEAD POST /),
	(map { ["E-17 $_ of the upload, reused", $MISMATCH, method => $_] }
		qw/ GET PUT POST HEAD /),
	['E-17 UploadPart, reused', $ARGUMENT, method => 'PUT',
		target => "$KEY?partNumber=1&uploadId=A"],
	['E-17 UploadPart, its partNumber taken away', $MISMATCH,
		method => 'PUT', target => "$KEY?partNumber=1&uploadId=A",
		query => sub { s/partNumber=1&// }],
	['E-17 uploadId first', $MISMATCH, target => $KEY,
		query => sub { s/\?/?uploadId=A&/ }],
);

for my $method (qw/ GET PUT POST /) {
	$r = ask(send => $method, extra => ['Content-Length', 0]);
	is("$r->{status} $r->{code}", '501 NotImplemented',
		"E-17 sent as $method");
	$t->nothing_sent("E-17 sent as $method: nothing sent");
}

###############################################################################
#
# E-14: one signature

my $signed = SigV4::sign(%ALICE, target => $OK,
	headers => [['Host', 'gw.test']]);
my @auth = map { @$_ } grep { $_->[0] ne 'Host' } @{$signed->{headers}};

cases(['E-14 a header, too', $ARGUMENT, extra => \@auth],
	['E-14 a header that is wrong', $ARGUMENT,
		extra => ['Authorization', 'Basic YTpi']],
	['E-14 an empty header', $ARGUMENT, extra => ['Authorization', '']]);

###############################################################################
#
# Headers

cases(
	['E-01 host is not signed', $DENIED, signed => ['x-a'],
		headers => [['Host', 'gw.test'], ['X-A', '1']]],
	['E-03 not sorted', $MALFORMED, signed => ['x-a', 'host'],
		headers => [['Host', 'gw.test'], ['X-A', '1']]],
	['E-03 host twice', qr/^400 /, signed => ['host', 'host']],
	['E-03 upper case', $MALFORMED, query => sub {
		s/SignedHeaders=host/SignedHeaders=Host/ }],
	['D-04 x-amz-request-payer, not signed', $DENIED,
		extra => ['x-amz-request-payer', 'requester']],
	['D-04 x-amz-date, not signed', $DENIED,
		extra => ['x-amz-date', now()]],
	['D-04 x-amz-content-sha256, not signed', $DENIED,
		extra => ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD']],
	['D-03 a header that is forbidden, signed', '400 InvalidRequest',
		signed => ['host', 'x-amz-mfa'],
		headers => [['Host', 'gw.test'], ['x-amz-mfa', '1 2']]],
	['a header of the user\'s, signed', '400 InvalidRequest',
		signed => ['host', 'x-amz-meta-a'],
		headers => [['Host', 'gw.test'], ['x-amz-meta-a', '1']]],
	['a signed x-amz-date is not the date', $DENIED, time => now(-1000),
		signed => ['host', 'x-amz-date'], headers =>
		[['Host', 'gw.test'], ['x-amz-date', now()]]],
	['a signed header twice', $ARGUMENT, signed => ['host', 'x-a'],
		headers => [['Host', 'gw.test'], ['X-A', '1'], ['X-A', '2']]],
);

$t->aborts(['E-03 a header that is absent', bytes(signed => ['host', 'x-a'],
	headers => [['Host', 'gw.test'], ['X-A', '1']]) =~ s/X-A: 1\r\n//r,
	$MISMATCH], ['a signed header changed', bytes(signed => ['host', 'x-a'],
	headers => [['Host', 'gw.test'], ['X-A', '1']]) =~ s/(X-A:) 1/$1 2/r,
	$MISMATCH]);

###############################################################################
#
# SigV2

my $v2 = 'AWSAccessKeyId=AKIALICE&Signature=4F%2BQz5ia%2BYCkYIRY%3D&Expires='
	. (int(time) + 900);

for (['behind', "$OK&$v2"], ['before', "$KEY?$v2&uploadId=A"]) {
	$r = $t->abort($_->[1], 'X-Tenant' => undef);
	is("$r->{status} $r->{code}", '400 InvalidRequest', "SigV2 $_->[0]");
	like($r->{message}, qr/AWS4-HMAC-SHA256/, 'SigV2: it names SigV4');
	$t->nothing_sent('SigV2: nothing sent');
}

unlike($t->read('access.log') . $t->error_log('warn'), qr/4F%2BQz5ia/,
	'G-02 SigV2: no signature in the logs');

$t->done();
