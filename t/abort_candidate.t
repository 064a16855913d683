# candidate=: a policy that is judged beside the one in force, logged and
# counted where it differs, and never obeyed.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new(headers => { 'x-candidate' => 1 });
my $storage = $t->storage();

my $conf = <<'EOC';

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy today {
        allow bucket=media;
    }

    s3_abort_policy tomorrow {
        allow bucket=media;
        deny key=*.pinned;		# tomorrow's deny
        allow bucket=logs;		# tomorrow's allow
    }

    s3_abort_policy nothing { }

    s3_abort_policy all { allow; }

    s3_abort_policy slow {
        deny "key~(a+)+$";
        allow;
    }

    s3_abort_policy variables {
        allow key=$http_x_one/*;
    }

    s3_abort_policy tomorrows_variables {
        allow key=$http_x_two/$http_x_one;
    }

    s3_abort_zone zone=s3_abort:1m;
    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        add_header X-Candidate $s3_abort_candidate_decision always;

        s3_abort_pass storage policy=today candidate=tomorrow;

        location / { }

        location /nested/ {
            location /nested/in/ { }

            location /nested/own/ {
                s3_abort_pass storage policy=today;
            }
        }

        location /none/ {
            s3_abort_base_path /none;
            s3_abort_pass storage candidate=nothing policy=today;
        }

        location /all/ {
            s3_abort_base_path /all;
            s3_abort_pass storage policy=nothing candidate=all;
        }

        location /same/ {
            s3_abort_base_path /same;
            s3_abort_pass storage policy=today candidate=today;
        }

        location /slow/ {
            s3_abort_base_path /slow;
            s3_abort_pass storage policy=today candidate=slow;
        }

        location /really_slow/ {
            s3_abort_base_path /really_slow;
            s3_abort_pass storage policy=slow candidate=today;
        }

        location /variables/ {
            s3_abort_base_path /variables;
            s3_abort_pass storage policy=variables
                          candidate=tomorrows_variables;
        }

        location /notice/ {
            s3_abort_base_path /notice;
            s3_abort_log_level notice;
            s3_abort_pass storage policy=today candidate=nothing;
        }

        location /target/ {
            s3_abort_base_path /target;
            s3_abort_target bucket=logs key=$s3_abort_key;
        }

        location = /metrics { s3_abort_status; }
    }
}

EOC

$t->run($conf);

my @lines = split /\n/, $conf;

sub line_of($comment) {
	my ($n) = grep { $lines[$_ - 1] =~ /# \Q$comment\E\z/ } 1 .. @lines;
	return $t->dir() . "/nginx.conf:$n";
}

###############################################################################

sub count($name) {
	my $page = $t->request(S3Abort::request_bytes('GET', '/metrics'));
	return $page->{body} =~ /^s3_abort_$name (\d+)/m ? $1 : -1;
}

sub lines($level) {
	return grep { /candidate policy/ } split /\n/, $t->error_log($level);
}

# Asserts what a request is answered, what the variables say, and whether a
# difference is logged and counted.

sub differs($name, $path, $status, $decisions, $by, @headers) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $count = count('candidate_differences_total');
	my $logged = () = lines('warn');
	my $r = $t->abort("$path?uploadId=A", @headers);
	my $sent = () = $t->sent();

	is("$r->{status} $sent", "$status " . ($status == 204 ? 1 : 0),
		"$name: the candidate is not obeyed");

	my ($decision, $candidate) = split / /, $decisions;
	my $log = $t->audit($r);

	is("$log->{decision} $log->{candidate_decision}",
		"$decision " . ($candidate // ''), "$name: variables");
	is($r->{headers}{'x-candidate'} // '', $candidate // '',
		"$name: known when the answer is sent");

	my @new = (lines('warn'))[$logged .. (() = lines('warn')) - 1];
	my $counted = count('candidate_differences_total') - $count;

	is($counted, defined $by ? 1 : 0, "$name: counted");
	is(scalar @new, defined $by ? 1 : 0, "$name: logged");
	return unless defined $by;

	my $would = $candidate eq 'ALLOWED' ? 'allow' : 'deny';
	my ($policy, $rule) = @$by;

	like($new[0] // '', qr/s3\ abort:\ candidate\ policy\ "$policy"\ would
		\ $would\ it,\ tenant\ "alice",\ \Q$rule\E,\ client:/x,
		"$name: the line");
}

differs('both allow', '/media/k', 204, 'ALLOWED ALLOWED', undef);
differs('both deny', '/other/k', 403, 'DENIED DENIED', undef);
differs('candidate denies', '/media/k.pinned', 204, 'ALLOWED DENIED',
	['tomorrow', 'by rule ' . line_of("tomorrow's deny")]);
differs('candidate allows', '/logs/k', 403, 'DENIED ALLOWED',
	['tomorrow', 'by rule ' . line_of("tomorrow's allow")]);
differs('both deny, by different rules', '/other/k.pinned', 403,
	'DENIED DENIED', undef);
differs('candidate without a rule', '/none/media/k', 204, 'ALLOWED DENIED',
	['nothing', 'no rule allows it']);
differs('candidate that allows everything', '/all/other/k', 403,
	'DENIED ALLOWED', ['all', 'by rule ' . $t->dir() . '/nginx.conf:'
	. (grep { $lines[$_ - 1] =~ /policy all/ } 1 .. @lines)[0]]);
differs('the same policy', '/same/media/k', 204, 'ALLOWED ALLOWED', undef);
differs('inherited', '/nested/in/k', 403, 'DENIED DENIED', undef);
differs('not by another s3_abort_pass', '/nested/own/k', 403, 'DENIED',
	undef);
differs('it judges the target', '/target/other/k', 403, 'DENIED ALLOWED',
	['tomorrow', 'by rule ' . line_of("tomorrow's allow")]);

# what is not judged by the policy in force is not judged by the candidate

differs('no identity', '/media/k', 403, 'UNAUTHENTICATED', undef, 'X-Tenant',
	undef);
differs('no bucket name', '/media_/k', 400, 'INVALID', undef);
differs('no abort', '/media/', 400, 'INVALID', undef);

# variables are those of the policy that has them

differs('variables', '/variables/media/x/y', 403, 'DENIED ALLOWED',
	['tomorrows_variables', 'by rule ' . $t->dir() . '/nginx.conf:'
	. (grep { $lines[$_ - 1] =~ m!http_x_two! } 1 .. @lines)[0]],
	'X-One', 'y', 'X-Two', 'x');
differs('variables, swapped', '/variables/media/x/y', 204, 'ALLOWED DENIED',
	['tomorrows_variables', 'no rule allows it'], 'X-One', 'x');

# a body makes an abort invalid once it was judged: no difference of policies

for (['both allow', 'media/k'], ['both deny', 'other/k']) {
	my ($name, $path) = @$_;
	my $count = count('candidate_differences_total');
	my $r = $t->request(S3Abort::request_bytes('DELETE',
		"/same/$path?uploadId=A", 'Content-Length', 1) . 'x');

	like($r->{status}, qr/^40[03]\z/, "a body, $name");
	is($t->audit($r)->{candidate_decision} =~ /^(?:|DENIED|ALLOWED)\z/, 1,
		"a body, $name: logged");
	is(count('candidate_differences_total'), $count,
		"a body, $name: not counted");
}

###############################################################################
#
# A candidate that takes too long is as cheap, and changes as little

my $long = 'a' x 1000 . '!';
my $limits = count('policy_match_limits_total');

differs('candidate that takes too long', "/slow/media/$long", 204,
	'ALLOWED DENIED', ['slow', 'by rule ' . $t->dir() . '/nginx.conf:'
	. (grep { $lines[$_ - 1] =~ /key~\(a\+/ } 1 .. @lines)[0]]);
is(count('policy_match_limits_total'), $limits + 1,
	'candidate that takes too long: counted');

differs('policy that takes too long', "/really_slow/media/$long", 403,
	'DENIED ALLOWED', ['today', 'by rule ' . $t->dir() . '/nginx.conf:'
	. (grep { $lines[$_ - 1] =~ /policy today \{/ } 1 .. @lines)[0] =~
	s/(\d+)/$1 + 1/re]);

###############################################################################
#
# The level of the line; presigned requests

my $warned = () = lines('warn');
my $r = $t->abort('/notice/media/k?uploadId=A');

is("$r->{status}", 204, 's3_abort_log_level: answered');
$t->wait_for(sub { lines('notice') }, 's3_abort_log_level: logged');
is(scalar(() = lines('warn')), $warned, 's3_abort_log_level: not at "warn"');

$r = $t->signed_abort('/logs/k?uploadId=A', access_key => 'AKIALICE',
	secret => 'CANARY/of/a/tenant', presigned => 1,
	extra => ['X-Tenant', 'alice']);
like("$r->{status} $r->{code}", qr/^40[03] /,
	'a presigned request, of which done() looks for the signature');

###############################################################################
#
# Errors of a configuration

for (['unknown', 'policy=today candidate=unknown',
		qr/unknown s3_abort_policy "unknown" in .*test\.conf:\d+/],
	['empty', 'policy=today candidate=',
		qr/invalid parameter "candidate="/],
	['twice', 'candidate=all candidate=all policy=today',
		qr/invalid number of arguments/],
	['no policy', 'candidate=all', qr/needs "policy="/],
	['misspelt', 'policy=today candidat=all',
		qr/invalid parameter "candidat=all"/])
{
	my ($name, $parameters, $want) = @$_;
	my ($status, $output) = $t->nginx_test($conf
		=~ s/policy=today candidate=tomorrow/$parameters/r);

	is($status, 1, "error: $name");
	like($output, $want, "error: $name: message");
}

my ($status) = $t->nginx_test($conf =~ s/candidate=nothing/candidate=last/gr
	=~ s/\}\s*\z/s3_abort_policy last { }\n}\n/r);
is($status, 0, 'a candidate may be defined behind its use');

$t->done();
