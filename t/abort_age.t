# The age of an upload, from ids of the storage's own form; what has no age
# satisfies a deny and never an allow.

###############################################################################

use v5.36;

use POSIX qw/ floor /;
use Test::More;
use Time::HiRes qw/ time /;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new(headers => { 'x-rule' => 1 });
my $storage = $t->storage();

$t->run(<<'EOC');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy allow_older    { allow older_than=10m; }
    s3_abort_policy allow_younger  { allow younger_than=10m; }
    s3_abort_policy deny_older     { allow; deny older_than=10m; }
    s3_abort_policy deny_younger   { allow; deny younger_than=10m; }

    s3_abort_policy window         { allow older_than=1h younger_than=1d; }
    s3_abort_policy any_age        { allow older_than=0; }
    s3_abort_policy no_age         { allow younger_than=0; }
    s3_abort_policy composed       { allow older_than=1h30m; }
    s3_abort_policy seconds        { allow older_than=600; }
    s3_abort_policy year           { allow younger_than=1y; }
    s3_abort_policy month          { allow younger_than=1M; }
    s3_abort_policy week           { allow younger_than=1w; }

    s3_abort_policy other_rule {
        deny   bucket=media  younger_than=10m;
        allow  bucket=media;
        allow  bucket=logs;
    }

    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        add_header X-Rule "$s3_abort_decision $s3_abort_rule" always;

        location /allow_older/ {
            s3_abort_base_path /allow_older;
            s3_abort_pass storage policy=allow_older;
        }

        location /allow_younger/ {
            s3_abort_base_path /allow_younger;
            s3_abort_pass storage policy=allow_younger;
        }

        location /deny_older/ {
            s3_abort_base_path /deny_older;
            s3_abort_pass storage policy=deny_older;
        }

        location /deny_younger/ {
            s3_abort_base_path /deny_younger;
            s3_abort_pass storage policy=deny_younger;
        }

        location = /window { s3_abort_explain policy=window; }
        location = /any_age { s3_abort_explain policy=any_age; }
        location = /no_age { s3_abort_explain policy=no_age; }
        location = /composed { s3_abort_explain policy=composed; }
        location = /seconds { s3_abort_explain policy=seconds; }
        location = /year { s3_abort_explain policy=year; }
        location = /month { s3_abort_explain policy=month; }
        location = /week { s3_abort_explain policy=week; }
        location = /other_rule { s3_abort_explain policy=other_rule; }
        location = /allow_older { s3_abort_explain policy=allow_older; }
        location = /deny_younger { s3_abort_explain policy=deny_younger; }
    }
}

EOC

###############################################################################

# An id of an upload that began so many seconds ago.

sub id($age, $version = '0100', $random = '2790-dee1ac994053') {
	return id_at(floor((time() - $age) * 1000), $version, $random);
}

sub id_at($msec, $version = '0100', $random = '2790-dee1ac994053') {
	my $hex = sprintf '%012x', $msec;
	return "$version$hex-$random" =~ s/^(.{8})(....)(....)/$1-$2-$3/r;
}

is(id_at(1489809002960, '0000'), '0000015a-df89-51d0-2790-dee1ac994053',
	'an id of the reference page');

my @POLICIES = qw/ allow_older allow_younger deny_older deny_younger /;
my %WANT = (
	older => 'yes no no yes',
	younger => 'no yes yes no',
	unknown => 'no no no no',
);

sub verdicts($id, $key = 'k') {
	return join ' ', map { $t->abort("/$_/media/$key?uploadId=$id")
		->{status} == 204 ? 'yes' : 'no' } @POLICIES;
}

# Seconds of the limit, 600, and how they are judged.  A request comes after
# its id was made: on the limit is older.

for (['now', 0, 'younger'], ['a minute', 60, 'younger'],
	['just below the limit', 570, 'younger'],
	['on the limit', 600, 'older'], ['above the limit', 600.001, 'older'],
	['an hour', 3600, 'older'], ['a year', 365 * 86400, 'older'],
	['40 years', 40 * 365 * 86400, 'older'],
	['in a minute', -60, 'unknown'], ['in a year', -365 * 86400, 'unknown'],
	['in 100 years', -100 * 365 * 86400, 'unknown'])
{
	my ($name, $age, $want) = @$_;
	is(verdicts(id($age)), $WANT{$want}, "age: $name: $want");
}

for (['upper case', uc id(3600), 'older'],
	['upper case', uc id(60), 'younger'],
	['mixed case', id(3600, 'aBcD', 'Ff00-AbCdEf012345'), 'older'],
	['version 0', id(3600, '0000'), 'older'],
	['version ffff', id(60, 'ffff'), 'younger'],
	['random 0', id(60, '0100', '0000-000000000000'), 'younger'],
	['random f', id(3600, '0100', 'ffff-ffffffffffff'), 'older'],
	['a dash, encoded', id(3600) =~ s/-/%2D/gr, 'older'],
	['a digit, encoded', id(60) =~ s/^0/%30/r, 'younger'],
	['the first millisecond', id_at(1), 'older'],
	['of the reference page', '0000015a-df89-51d0-2790-dee1ac994053',
		'older'],
	['time 0', id_at(0), 'unknown'],
	['the last millisecond', id_at(2 ** 48 - 1), 'unknown'],
	['all f', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'unknown'])
{
	my ($name, $id, $want) = @$_;
	is(verdicts($id), $WANT{$want}, "form: $name: $want");
}

# other forms, each a step off: opaque

my $old = id(3600);

for (['shorter', $old =~ s/.\z//r], ['longer', "${old}0"],
	['longer', "0$old"], ['shorter', substr $old, 1],
	['no dashes', $old =~ tr/-//dr], ['dots', $old =~ tr/-/./r],
	['underscores', $old =~ tr/-/_/r],
	['another dash', $old =~ s/^(.{5})./$1-/r],
	['a dash in the time', $old =~ s/^(.{9})./$1-/r],
	['a dash fewer', $old =~ s/^(.{8})-/$1/r . '0'],
	(map { my $i = $_; ["g at $i", substr($old, 0, $i) . 'g'
		. substr $old, $i + 1] } 0, 3, 4, 7, 10, 14, 20, 24, 35),
	(map { my $i = $_; ["\"=\" for the dash at $i", substr($old, 0, $i)
		. '%3D' . substr $old, $i + 1] } 8, 13, 18, 23),
	['a plus', $old =~ s/^0/%2B/r], ['a tilde', $old =~ s/0\z/~/r . '~'],
	['of Ceph', '2~hSnfMlAqJp0bZBJaHCb6wS7mvUPjLmV'],
	['of AWS', 'VXBsb2FkSUQx_3.aZ~' x 5], ['a letter', 'A'],
	['a number', '1489809002960'])
{
	my ($name, $id) = @$_;
	is(verdicts($id), $WANT{unknown}, "other form: $name $id");
}

# only the id is read: not the key, not the clock of the client

is(verdicts('A', $old), $WANT{unknown}, 'an id for a key says nothing');
is($t->abort("/allow_older/media/k?uploadId=" . id(60), 'Date',
	'Sat, 18 Mar 2017 03:56:41 GMT')->{status}, 403, 'nor does a Date');

###############################################################################
#
# Times

sub explained($policy, $id, $bucket = 'media') {
	my $r = $t->request(S3Abort::request_bytes('GET',
		"/$policy?tenant=alice&bucket=$bucket&key=k&uploadId=$id"));
	return $r->{body} =~ /"verdict": "(\w+)"/ ? $1 : $r->{raw};
}

for (['window', 1800, 'DENIED'], ['window', 7200, 'ALLOWED'],
	['window', 90000, 'DENIED'], ['any_age', 0, 'ALLOWED'],
	['any_age', 7200, 'ALLOWED'], ['any_age', -7200, 'DENIED'],
	['no_age', 0, 'DENIED'], ['no_age', 7200, 'DENIED'],
	['composed', 5400, 'ALLOWED'], ['composed', 5370, 'DENIED'],
	['seconds', 600, 'ALLOWED'], ['seconds', 570, 'DENIED'],
	['year', 364 * 86400, 'ALLOWED'], ['year', 365 * 86400, 'DENIED'],
	['month', 29 * 86400, 'ALLOWED'], ['month', 30 * 86400, 'DENIED'],
	['week', 6 * 86400, 'ALLOWED'], ['week', 7 * 86400, 'DENIED'],
	['allow_older', 600, 'ALLOWED'], ['allow_older', 570, 'DENIED'],
	['deny_younger', 600, 'ALLOWED'], ['deny_younger', 570, 'DENIED'],
	['other_rule', 600, 'ALLOWED'], ['other_rule', 570, 'DENIED'])
{
	my ($policy, $age, $want) = @$_;
	is(explained($policy, id($age)), $want, "time: $policy, $age seconds");
}

is(explained('other_rule', 'A'), 'DENIED', 'a deny by an unknown age');
is(explained('other_rule', 'A', 'logs'), 'ALLOWED',
	'but not where another condition fails');
is(explained('window', 'A'), 'DENIED', 'an unknown age is in no window');

###############################################################################

sub rule_test($rule) {
	return $t->nginx_test(<<"EOC");

%%LOAD%%
%%GLOBALS%%

events { }
http {
    %%HTTP%%
    s3_abort_policy p { $rule; }
}

EOC
}

for ('', '-1', '-10m', '10x', 'ten', '10ms', '1.5h', '10m1h', '10 m', 'm',
	'$http_x_time', '*', '99999999999999999999',
	'9223372036854775807', '9223372036854776', '292471209y')
{
	for my $name (qw/ older_than younger_than /) {
		my ($status, $output) = rule_test("allow \"$name=$_\"");

		is($status, 1, "error: $name=$_");
		like($output, $_ eq '' ? qr/empty value of condition "$name="/
			: qr/invalid condition "$name=\Q$_\E": not a time/,
			"error: $name=$_: message");
	}
}

for ('allow older_than=1h older_than=2h',
	'deny younger_than=1h younger_than=1h')
{
	my ($status, $output) = rule_test($_);
	like("$status $output", qr/^1 .*duplicate condition/s, "error: $_");
}

is((rule_test('allow older_than=1h younger_than=2h'))[0], 0,
	'both may stand in a rule');
is((rule_test('allow older_than~1h'))[0], 1, 'error: an expression');

$t->done();
