# Counters: of every decision, answer, outcome, attempt and file, by all
# workers, over reloads and deaths of workers; shown for Prometheus and as JSON,
# with no name that a tenant chooses.

###############################################################################

use v5.36;

use IO::Socket::INET;
use JSON::PP;
use List::Util qw/ sum0 /;
use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep /;

use lib 't/lib';
use S3Abort;

my $WORKERS = 3;

###############################################################################

my $t = S3Abort->new(headers => { 'x-pid' => 1 });
my $dir = $t->dir();
my $storage = $t->storage();
my $first = $t->storage('first', host => 'storage.test');
my $confirm = $t->storage('confirm', confirm => 1);
my $slow = $t->storage('slow', answer => { status => 204, delay => 0.3 });
my $globals = $t->globals() =~ s/(worker_processes) 1;/$1 $WORKERS;/r;

# a retry meets the second of two servers, which know each other's credentials

$storage->{keys}{$first->{access_key}} = $first->{keys}{$first->{access_key}};

my $odd = q{odd"file\\with{braces}.credentials};
$t->write($odd, $storage->credentials(), 0640);

my $keys = "carol AKICAROL CANARY/carol+secret\n";
$t->write_keys('tenants.keys', $keys);

my $conf = <<"EOC";

%%LOAD%%
$globals

events { }

http {
    %%HTTP%%
    %%ENDPOINT_slow%%
    error_log %%TESTDIR%%/error.log info;

    s3_abort_endpoint storage {
        url          http://%%STORAGE%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials refresh=100ms;
        read_timeout 2s;
    }

    upstream two {
        server %%STORAGE_first%%;
        server %%STORAGE%% backup;
    }

    s3_abort_endpoint two {
        url          http://two;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/first.credentials;
    }

    upstream confirm {
        server %%STORAGE_confirm%% max_fails=0;
        server %%STORAGE_confirm%% max_fails=0;
    }

    s3_abort_endpoint confirm {
        url          http://confirm;
        host         confirm.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/confirm.credentials;
        confirm      on tries=1;
    }

    s3_abort_endpoint down {
        url          http://127.0.0.1:%%PORT_9%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    upstream busy {
        zone   busy 64k;
        server 127.0.0.1:%%PORT_9%% max_fails=2 fail_timeout=1h;
        server 127.0.0.1:%%PORT_9%% max_fails=1 fail_timeout=1h backup;
    }

    s3_abort_endpoint busy {
        url          http://busy;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    s3_abort_endpoint odd-1.2_3 {
        url          http://%%STORAGE%%;
        host         storage.test;
        region       kr-standard;
        credentials  '%%TESTDIR%%/odd"file\\\\with{braces}.credentials';
    }

    s3_abort_policy media { allow bucket=bucketcanary; }
    s3_abort_policy slow { allow "key~(a+)+\$"; }

    limit_req_zone \$s3_abort_bucket zone=buckets:1m rate=1r/m;

    s3_abort_zone zone=s3_abort:1m;
    s3_abort_identity trusted \$http_x_tenant;

    s3_abort_pass storage policy=media;

    server {
        listen 127.0.0.1:%%PORT%% reuseport;
        add_header X-Pid \$pid always;

        location / { }

        location /slow/ {
            s3_abort_base_path /slow;
            s3_abort_pass slow policy=media;
        }

        location /two/ {
            s3_abort_base_path /two;
            s3_abort_pass two policy=media;
        }

        location /confirm/ {
            s3_abort_base_path /confirm;
            s3_abort_pass confirm policy=media;
        }

        location /down/ {
            s3_abort_base_path /down;
            s3_abort_pass down policy=media;
        }

        location /busy/ {
            s3_abort_base_path /busy;
            s3_abort_pass busy policy=media;
        }

        location /odd/ {
            s3_abort_base_path /odd;
            s3_abort_pass odd-1.2_3 policy=media;
        }

        location /expression/ {
            s3_abort_base_path /expression;
            s3_abort_pass storage policy=slow;
        }

        location /chosen/ {
            s3_abort_base_path /chosen;
            s3_abort_pass \$http_x_endpoint policy=media;
        }

        location /limited/ {
            s3_abort_base_path /limited;
            limit_req zone=buckets;
        }

        location /signed/ {
            s3_abort_base_path /signed;
            s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys refresh=100ms;
        }

        location /deny/ { deny all; }
        location /off/ { s3_abort_pass off; return 200; }

        location = /metrics { s3_abort_status; }
        location = /prometheus { s3_abort_status prometheus; }
        location = /json { s3_abort_status json; }
    }
}

EOC

$t->run($conf);

###############################################################################

sub get($path, $method = 'GET') {
	return $t->request(S3Abort::request_bytes($method, $path));
}

# The page as a hash: { 'name{labels}' => value }.

my %bad_lines;

sub metrics() {
	my %m;

	for (split /\n/, get('/metrics')->{body}) {
		next if /^#/;

		if (!/^([a-z0-9_]+(?:\{.*\})?) (\d+(?:\.\d+)?)\z/) {
			$bad_lines{$_} = 1;
			next;
		}

		$bad_lines{"$1 twice"} = 1 if exists $m{$1};
		$m{$1} = $2;
	}

	return %m;
}

# Once all workers of an earlier one have ended.

sub reload(%o) {
	$t->wait_for(sub { my @now = $t->workers(); @now == $WORKERS });
	return $t->reload(%o);
}

# What was counted since the last call: 'name{labels} difference', the names
# without what they have in common.

my %last = metrics();

sub counted(@but) {
	my ($old, %new);

	# a request is counted after it was answered, perhaps by another worker

	my $settle = sub {
		my %now = metrics();
		my $same = $old && join("\0", map { "$_ $now{$_}" }
			sort keys %now) eq $old;
		$old = join "\0", map { "$_ $now{$_}" } sort keys %now;
		%new = %now;
		return $same;
	};
	$t->wait_for(sub { my $same = $settle->(); sleep 0.02; $same });

	my $changes = join "\n", map { my $n = $new{$_} - ($last{$_} // 0);
		my $name = s/^s3_abort_//r =~ s/_total\b//r =~ tr/"//dr;
		$n ? "$name $n" : () }
		grep { my $name = $_; !grep { $name =~ /$_/ }
			qr/latency|(?:age|stamp)_seconds|decisions_/,
			@but } sort keys %new;

	%last = %new;
	return $changes;
}

sub abort($path, @headers) {
	return $t->abort($path . '?uploadId=IDCANARY', S3Abort::with_defaults(
		['X-Tenant', 'tenantcanary'], @headers));
}

# Asserts what an abort is answered, and what is counted of it.

sub counts($name, $path, $want, $counted, @headers) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $r = $path =~ /\r\n/ ? $t->request($path) : abort($path, @headers);

	is("$r->{status} $r->{code}", $want, "$name: answer");
	is(counted(), join("\n", sort @$counted), "$name: counted");
}

sub requests($decision, $code) {
	return "requests{decision=$decision,code=$code} 1";
}

sub forwarded($endpoint, $outcome, @classes) {
	return ("outcomes{endpoint=$endpoint,outcome=$outcome} 1",
		map { "storage_responses{endpoint=$endpoint,class=$_} 1" }
		@classes);
}

my $k = 'bucketcanary/keycanary';

is(counted(), '', 'nothing happens, nothing is counted');

counts('an abort', "/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('storage', 'ABORTED', '2xx')]);
counts('denied', '/otherbucket/k', '403 AccessDenied',
	[requests('DENIED', 'AccessDenied')]);
counts('no identity', "/$k", '403 AccessDenied',
	[requests('UNAUTHENTICATED', 'AccessDenied')], 'X-Tenant', undef);
counts('no bucket', '/B/k', '400 InvalidBucketName',
	[requests('INVALID', 'InvalidBucketName')]);
counts('no key', '/bucketcanary/', '400 InvalidRequest',
	[requests('INVALID', 'InvalidRequest')]);
counts('a header', "/$k", '400 InvalidRequest',
	[requests('INVALID', 'InvalidRequest')], 'X-Amz-Copy-Source', 'x');
counts('a body', S3Abort::request_bytes('DELETE', "/$k?uploadId=IDCANARY",
	'Content-Length', 1) . 'x', '400 InvalidRequest',
	[requests('INVALID', 'InvalidRequest')]);
counts('a control byte', '/bucketcanary/%01', '400 InvalidURI',
	[requests('INVALID', 'InvalidURI')]);
counts('nearly an abort', S3Abort::request_bytes('DELETE',
	"/$k?uploadid=IDCANARY"), '400 InvalidArgument',
	[requests('INVALID', 'InvalidArgument')]);
counts('another module', "/deny/$k", '403 AccessDenied',
	[requests('NONE', 'AccessDenied')]);
counts('limit_req: the first', "/limited/$k", '204 ',
	[requests('ALLOWED', 'OK'), forwarded('storage', 'ABORTED', '2xx')]);
counts('limit_req', "/limited/$k", '503 SlowDown',
	[requests('NONE', 'SlowDown')]);
counts('an unknown endpoint', "/chosen/$k", '500 InternalError',
	[requests('DENIED', 'InternalError')], 'X-Endpoint', 'endpointcanary');
counts('a variable endpoint', "/chosen/$k", '204 ',
	[requests('ALLOWED', 'OK'), forwarded('slow', 'ABORTED', '2xx')],
	'X-Endpoint', 'slow');
counts('an endpoint with an odd name', "/odd/$k", '204 ',
	[requests('ALLOWED', 'OK'), forwarded('odd-1.2_3', 'ABORTED', '2xx')]);
counts('an expression that takes too long', '/expression/bucketcanary/'
	. 'a' x 1000 . '!', '403 AccessDenied',
	[requests('DENIED', 'AccessDenied'), 'policy_match_limits 1']);

# what is no abort is none here, either

get('/index.html');
get("/$k?uploadId=IDCANARY");
$t->request(S3Abort::request_bytes('DELETE', "/$k"));
$t->request(S3Abort::request_bytes('DELETE', "/off/$k?uploadId=A"));
is(counted(), '', 'what is no abort is not counted');

# answers of the storage

for (['404 NoSuchUpload', '404 NoSuchUpload', 'NoSuchUpload', 'GONE', '4xx'],
	['404 NoSuchBucket', '404 NoSuchBucket', 'NoSuchBucket', 'FAILED',
		'4xx'],
	['409 OperationAborted', '409 OperationAborted', 'OperationAborted',
		'FAILED', '4xx'],
	['403 AccessDenied', '403 AccessDenied', 'AccessDenied', 'FAILED',
		'4xx'],
	['503 SlowDown', '503 SlowDown', 'SlowDown', 'FAILED', '5xx'],
	['429 SlowDown', '503 SlowDown', 'SlowDown', 'FAILED', '4xx'],
	['500 InternalError', '500 InternalError', 'InternalError', 'UNKNOWN',
		'5xx'],
	['501 NotImplemented', '501 NotImplemented', 'NotImplemented',
		'FAILED', '5xx'],
	['301 PermanentRedirect', '502 ServiceUnavailable',
		'ServiceUnavailable', undef, '3xx'],
	[{ status => 204, send => 0, then => 'close' },
		'502 ServiceUnavailable', 'ServiceUnavailable', 'UNKNOWN',
		'none'],
	[{ status => 204, send => 0, then => 'hang' },
		'504 ServiceUnavailable', 'ServiceUnavailable', 'UNKNOWN',
		'none'],
	["garbage\r\n\r\n", '502 ServiceUnavailable', 'ServiceUnavailable',
		'UNKNOWN', 'none'])
{
	my ($answer, $want, $code, $outcome, $class) = @$_;
	my $name = ref $answer ? $answer->{then} : $answer =~ s/\W+\z//r;

	$storage->answer($answer);

	if (!defined $outcome) {
		my $r = abort("/$k");
		is("$r->{status} $r->{code}", $want, "storage: $name: answer");
		like(counted(), qr/^outcomes.*?,outcome=(?:FAILED|UNKNOWN)\}\ 1
			\n\Q@{[requests('ALLOWED', $code)]}\E
			\nstorage_responses.*?class=$class\}\ 1\z/x,
			"storage: $name: counted");
		next;
	}

	counts("storage: $name", "/$k", $want, [requests('ALLOWED', $code),
		forwarded('storage', $outcome, $class)]);
}

$storage->answer('501 NotImplemented');
is($t->audit(abort("/$k"))->{tenant}, 'tenantcanary',
	'storage: 501: the audit log has the tenant');
counted();

$t->expect_log(qr/the storage refuses the credentials/);
$storage->answer('403 SignatureDoesNotMatch');
counts('storage: our credentials', "/$k", '500 InternalError',
	[requests('ALLOWED', 'InternalError'),
	forwarded('storage', 'FAILED', '4xx'),
	'storage_unauthorized{endpoint=storage} 1']);
$storage->answer(204);

counts('storage: down', "/down/$k", '502 ServiceUnavailable',
	[requests('ALLOWED', 'ServiceUnavailable'),
	forwarded('down', 'FAILED', 'none')]);

# attempts

$first->answer({ status => 204, send => 0, then => 'close' });
$storage->answer('404 NoSuchUpload');
counts('a retry', "/two/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('two', 'ASSUMED_ABORTED', '4xx', 'none'),
	'storage_retries{endpoint=two} 1']);
$first->answer(204);
$storage->answer(204);

# a server that there is not is no attempt: nginx waits for fail_timeout

my @unavailable = (requests('ALLOWED', 'ServiceUnavailable'),
	'outcomes{endpoint=busy,outcome=FAILED} 1');

for (['both are down', 'storage_responses{endpoint=busy,class=none} 2',
	'storage_retries{endpoint=busy} 1'],
	['one is left', 'storage_responses{endpoint=busy,class=none} 1'],
	['none is left'])
{
	my ($name, @more) = @$_;
	counts("K-32 $name", "/busy/$k", '502 ServiceUnavailable',
		[@unavailable, @more]);
}

# what confirms an abort is no attempt

my $part = { status => 200,
	body => '<ListPartsResult><Part></Part></ListPartsResult>' };
my $lost = { status => 204, send => 0, then => 'close' };

for (['gone', 'ABORTED', 204, '404 NoSuchUpload'],
	['parts remained', 'ABORTED', 204, $part, 204, '404 NoSuchUpload'],
	['parts remain', 'PARTS_REMAIN', 204, $part, 204, $part],
	['not said', 'ABORTED', 204, '403 AccessDenied'],
	['not said, parts were seen', 'PARTS_REMAIN', 204, $part, 500],
	['not answered', 'ABORTED', 204, $lost, $lost])
{
	my ($name, $outcome, @answers) = @$_;

	$confirm->answer(\@answers);
	counts("confirm: $name", "/confirm/$k", '204 ',
		[requests('ALLOWED', 'OK'),
		forwarded('confirm', $outcome, '2xx'),
		$name =~ /^not/ ? 'storage_unconfirmed{endpoint=confirm} 1'
		: ()]);
}

$confirm->answer([$lost, 204, $lost, '404 NoSuchUpload']);
counts('confirm: retries of both', "/confirm/$k", '204 ',
	[requests('ALLOWED', 'OK'),
	forwarded('confirm', 'ABORTED', '2xx', 'none'),
	'storage_retries{endpoint=confirm} 1']);
$confirm->answer('404 NoSuchUpload');
counts('confirm: nothing to confirm', "/confirm/$k", '404 NoSuchUpload',
	[requests('ALLOWED', 'NoSuchUpload'),
	forwarded('confirm', 'GONE', '4xx')]);

###############################################################################
#
# The histogram

sub histogram($endpoint) {
	my %m = metrics();
	my $name = 's3_abort_storage_latency_seconds';
	my @bounds = qw/ 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf /;

	return (map({ $m{"${name}_bucket{endpoint=\"$endpoint\",le=\"$_\"}"} }
		@bounds), map { $m{"${name}_$_\{endpoint=\"$endpoint\"}"} }
		'sum', 'count');
}

my @before = histogram('slow');
abort("/slow/$k") for 1 .. 3;
counted();
my @after = histogram('slow');
my @more = map { $after[$_] - $before[$_] } 0 .. $#after;

is("@more[0 .. 5]", '0 0 0 0 0 0', 'latency: not below 0.25 s');
is("@more[11, 13]", '3 3', 'latency: all are counted');
cmp_ok($more[12], '>=', 0.89, 'latency: the sum');
cmp_ok($more[12], '<', 30, 'latency: the sum is one of seconds');
is_deeply([sort { $a <=> $b } @after[0 .. 11]], [@after[0 .. 11]],
	'latency: buckets add up');

my %m = metrics();
for my $endpoint (qw/ storage slow two confirm down odd-1.2_3 /) {
	my $outcomes = sum0(map { $m{$_} } grep {
		/^s3_abort_outcomes.*endpoint="\Q$endpoint\E"/ } keys %m);
	is((histogram($endpoint))[13], $outcomes,
		"latency: a value for each abort sent, $endpoint");
}
is((histogram('busy'))[13], 2, 'K-32 latency: of servers that there are');

###############################################################################
#
# The pages

my $page = get('/metrics');
is($page->{headers}{'content-type'}, 'text/plain; version=0.0.4',
	'Prometheus: Content-Type');
is(get('/prometheus')->{body} =~ s/(age_seconds\S*) \d+/$1/gr,
	$page->{body} =~ s/(age_seconds\S*) \d+/$1/gr, 'Prometheus by name');
is($page->{headers}{'content-length'}, length $page->{body},
	'Content-Length');

my $head = get('/metrics', 'HEAD');
is("$head->{status} $head->{body}", '200 ', 'HEAD');
is(get($_, 'POST')->{status}, 405, "POST $_") for '/metrics', '/json';
is(get($_, 'DELETE')->{status}, 405, "DELETE $_") for '/metrics', '/json';

like(abort('/metrics')->{status}, qr/^40[05]\z/, 'an abort of it');
$t->nothing_sent('an abort of it: nothing sent');
counted();

# times: only of what has happened, and of the last time that it did

sub since($t, @names) {
	my %m = metrics();
	return map { exists $m{$_} && $m{$_} >= $t && $m{$_} <= time
		? 1 : 0 } @names;
}

my @last = map { 's3_abort_' . $_ } 'last_request_timestamp_seconds'
	. '{decision="ALLOWED"}', 'last_outcome_timestamp_seconds{endpoint='
	. '"storage",outcome="ABORTED"}', 'last_request_timestamp_seconds'
	. '{decision="DENIED"}', 'last_unauthorized_timestamp_seconds'
	. '{endpoint="storage"}';

is(join(' ', since($^T, @last)), '1 1 1 1', 'times');
like(join("\n", sort keys %m), qr/^s3_abort_last_outcome_timestamp_seconds
	\{endpoint="down",outcome="FAILED"\}\n
	s3_abort_last_outcome_timestamp_seconds\{endpoint="odd/mx,
	'times: of nothing that did not happen');

my $second = time + 1;
sleep 0.05 until time >= $second;
abort("/$k");
counted();
is(join(' ', since($second, @last)), '1 1 0 0', 'times: of the last abort');
cmp_ok({ metrics() }->{s3_abort_config_loaded_timestamp_seconds}, '<',
	$second, 'times: of the configuration');

# of the Debian package "prometheus"

my ($promtool) = grep { -x } 'build/promtool',
	map { "$_/promtool" } split /:/, $ENV{PATH};

if (ok($promtool, 'promtool, which "make check" takes out of its package')) {
	$t->write('metrics.txt', get('/metrics')->{body});
	my $said = qx!$promtool check metrics < $dir/metrics.txt 2>&1!;
	is($?, 0, 'promtool check metrics');
	is($said, '', 'promtool says nothing');
}

# JSON says the same

my $r = get('/json');
is($r->{headers}{'content-type'}, 'application/json', 'JSON: Content-Type');
is($r->{headers}{'content-length'}, length $r->{body},
	'JSON: Content-Length');
my $json = eval { JSON::PP->new->utf8->decode($r->{body}) };
ok($json, 'JSON: valid') or diag($r->{body});

my %n = metrics();
my %same;
my $label = sub ($name, %l) { "s3_abort_$name\{" . join(',', map {
	"$_->[0]=\"$_->[1]\"" } grep { defined $_->[1] } map { [$_, $l{$_}] }
	qw/ endpoint decision code outcome class le file /) . '}' };

$same{$label->('requests_total', decision => $_->{decision},
	code => $_->{code})} = $_->{count} for @{$json->{requests}};

for my $e (@{$json->{endpoints}}) {
	my @endpoint = (endpoint => $e->{endpoint});

	for (['outcomes_total', 'outcomes', 'outcome'],
		['storage_responses_total', 'responses', 'class'],
		['storage_latency_seconds_bucket', 'latency', 'le'])
	{
		my ($name, $member, $l) = @$_;
		$same{$label->($name, @endpoint, $l => $_)} = $e->{$member}{$_}
			for keys %{$e->{$member}};
	}

	$same{$label->('storage_retries_total', @endpoint)} = $e->{retries};
	$same{$label->('storage_unauthorized_total', @endpoint)}
		= $e->{unauthorized};
	$same{$label->('last_outcome_timestamp_seconds', @endpoint,
		outcome => $_)} = $e->{last_outcomes}{$_}
		for keys %{$e->{last_outcomes}};
	$same{$label->('last_unauthorized_timestamp_seconds', @endpoint)}
		= $e->{last_unauthorized} if $e->{last_unauthorized};
	$same{$label->('storage_unconfirmed_total', @endpoint)}
		= $e->{unconfirmed};
	$same{$label->('storage_latency_seconds_sum', @endpoint)}
		= $e->{latency_sum};
	$same{$label->('storage_latency_seconds_count', @endpoint)}
		= $e->{latency}{'+Inf'};
}

for my $f (@{$json->{files}}) {
	my $name = $f->{file} =~ s/([\\"])/\\$1/gr;
	$same{$label->('file_loads_total', file => $name)} = $f->{loads};
	$same{$label->('file_failures_total', file => $name)} = $f->{failures};
	$same{$label->('file_modified_timestamp_seconds', file => $name)}
		= $f->{modified};
	$same{$label->('file_stale', file => $name)} = $f->{stale};
}

$same{$label->('last_request_timestamp_seconds', decision => $_)}
	= $json->{last_requests}{$_} for keys %{$json->{last_requests}};
$same{$label->('decisions_total', decision => $_)} = $json->{decisions}{$_}
	for keys %{$json->{decisions}};
$same{s3_abort_config_loaded_timestamp_seconds} = $json->{loaded};

$same{s3_abort_policy_match_limits_total} = $json->{policy_match_limits};
$same{s3_abort_candidate_differences_total} = $json->{candidate_differences};

delete $n{$_} for grep { /age_seconds/ } keys %n;
is_deeply({ map { $_ => 0 + $same{$_} } keys %same },
	{ map { $_ => 0 + $n{$_} } keys %n }, 'JSON: the same');
cmp_ok(abs($json->{time} - time), '<', 60, 'JSON: the time');

for my $d (qw/ NONE ALLOWED DENIED UNAUTHENTICATED INVALID /) {
	is($json->{decisions}{$d}, sum0(map { $_->{count} } grep {
		$_->{decision} eq $d } @{$json->{requests}}),
		"JSON: decisions of all codes, $d");
}

is_deeply({ map { $_->{endpoint} => $_->{credentials} } @{$json->{endpoints}} },
	{ slow => "$dir/slow.credentials", two => "$dir/first.credentials",
	confirm => "$dir/confirm.credentials",
	map({ $_ => "$dir/storage.credentials" } qw/ storage down busy /),
	'odd-1.2_3' => "$dir/$odd" }, 'JSON: the file of each endpoint');

# G-15: labels

my %labels = map { $_ => 1 } $page->{body} =~ /[{,](\w+)="/g;
is_deeply([sort keys %labels], [qw/ class code decision endpoint file le
	outcome /], 'G-15 labels');
unlike($page->{body} . $r->{body}, qr/canary/i,
	'G-15 no tenant, bucket, key, upload id or unknown endpoint');
ok(index($page->{body}, qq!file="$dir/odd\\"file\\\\with{braces}!) > 0,
	'labels are escaped');

###############################################################################
#
# Files

sub changes_by($metric, $n, $name) {
	my $was = $last{$metric};

	$t->wait_for(sub { my %m = metrics(); $m{$metric} - $was == $n },
		$name);
	sleep 0.4;				# several looks
	my %m = metrics();
	is($m{$metric} - $was, $n, "$name, once");
	%last = %m;
}

for (['storage.credentials', $storage->credentials(), sub { abort("/$k") }],
	['tenants.keys', $keys, sub { $t->signed_abort(
	"/signed/$k?uploadId=A", access_key => 'AKICAROL',
	secret => 'CANARY/carol+secret') }])
{
	my ($name, $good, $ask) = @$_;
	my ($loads, $failures, $modified, $stale) = map { $label->($_, 'file',
		"$dir/$name") } qw/ file_loads_total file_failures_total
		file_modified_timestamp_seconds file_stale /;

	%last = metrics();
	cmp_ok($last{$loads}, '>=', 1, "$name: the first load is counted");
	is($last{$failures}, 0, "$name: no failure");
	cmp_ok($last{$modified}, '<=', time, "$name: modified in the past");

	$t->write($name, "# again\n$good", 0640);
	utime 1500000000, 1500000000, "$dir/$name";
	changes_by($loads, $WORKERS, "$name: a change is loaded by each worker");
	is($last{$failures}, 0, "$name: and is no failure");
	is("$last{$modified} $last{$stale}", '1500000000 0',
		"$name: modified, not stale");

	$t->expect_log(qr/\Q$name\E/);
	$t->write($name, "nonsense\n", 0640);
	changes_by($failures, $WORKERS, "$name: a bad one is a failure for each");
	is("$last{$modified} $last{$stale}", '1500000000 1',
		"$name: a bad one: what is in use is older, and stale");
	is($last{$label->('file_stale', file => "$dir/first.credentials")}, 0,
		"$name: another is not stale");

	$t->write($name, $good, 0644);
	changes_by($failures, $WORKERS, "$name: so is a mode");

	unlink "$dir/$name";
	changes_by($failures, $WORKERS, "$name: so is one that is gone");
	is($ask->()->{status}, 204, "$name: the old content serves");
	sleep 2.5;
	is({ metrics() }->{$stale}, 1, "$name: it stays stale");

	$t->write($name, $good, 0640);
	changes_by($loads, $WORKERS, "$name: a good one is loaded again");
	is($last{$stale}, 0, "$name: and is not stale");
	cmp_ok($last{$modified}, '>', 1500000000, "$name: and younger");

	reload();
	my %m = metrics();
	cmp_ok($m{$loads}, '>', $last{$loads}, "$name: a reload reads it");
	is($m{$failures}, $last{$failures}, "$name: a reload is no failure");
}

sleep 1;			# the next reload is one of another second
counted();

###############################################################################
#
# Several workers at once; none of their counts is lost

my %pids;
my @children;
my $each = 150;

for my $n (1 .. 4) {
	pipe my $read, my $write or die "pipe: $!\n";
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		close $read;
		print $write join ' ', map {
			my $sock = IO::Socket::INET->new(PeerAddr =>
				'127.0.0.1:' . $t->port());
			print $sock S3Abort::request_bytes('DELETE',
				"/otherbucket/k?uploadId=A");
			my $answer = join '', <$sock>;
			$answer =~ /^X-Pid: (\d+)/m ? $1 : 0;
		} 1 .. $each;
		close $write;
		POSIX::_exit(0);
	}

	close $write;
	push @children, [$pid, $read];
}

for (@children) {
	my ($pid, $read) = @$_;
	$pids{$_}++ for split / /, join '', <$read>;
	waitpid $pid, 0;
}

cmp_ok(scalar keys %pids, '>', 1, 'several workers were asked');
is($pids{0} // 0, 0, 'all of them answered');
is(counted(), 'requests{decision=DENIED,code=AccessDenied} ' . 4 * $each,
	'several workers: no count is lost');

###############################################################################
#
# Reload, and the death of a worker

my $config = 's3_abort_config_loaded_timestamp_seconds';
my %before = metrics();
reload();
%m = metrics();
cmp_ok($m{$config}, '>', $before{$config}, 'reload: the time of it');
is_deeply([map { "$_ $m{$_}" } @last], [map { "$_ $before{$_}" } @last],
	'reload: all times are kept');
is(counted(qr/file_loads/), '', 'reload: all counts are kept');
counts('reload: and go on', "/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('storage', 'ABORTED', '2xx')]);

$t->expect_log(qr/exited on signal 9/);
my @workers = $t->workers();
kill 'KILL', $workers[0];
$t->wait_for(sub { my @now = $t->workers();
	@now == $WORKERS && !grep { $_ eq $workers[0] } @now },
	'a worker dies, another one comes');
is(counted(qr/file_loads/), '', 'a dead worker: all counts are kept');

kill 'KILL', $_ for my @all = $t->workers();
$t->wait_for(sub { my %w = map { $_ => 1 } $t->workers();
	!grep({ $w{$_} } @all) && keys %w == $WORKERS },
	'all workers die, others come');
is(counted(qr/file_loads/), '', 'dead workers: all counts are kept');

for (1 .. 2 * $WORKERS) {
	counts("dead workers: it goes on, $_", "/$k", '204 ',
		[requests('ALLOWED', 'OK'),
		forwarded('storage', 'ABORTED', '2xx')]);
}

# H-11: killed while they count

my ($asked, $answered) = (0, 0);
@children = ();

for my $n (1 .. 3) {
	pipe my $read, my $write or die "pipe: $!\n";
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		$t->in_child({});
		my ($asked, $answered) = (0, 0);

		until (-e "$dir/enough") {
			my $sock = IO::Socket::INET->new(PeerAddr =>
				'127.0.0.1:' . $t->port()) or next;
			print $sock S3Abort::request_bytes('DELETE',
				'/otherbucket/k?uploadId=A');
			$asked++;
			$answered++ if join('', <$sock>) =~ /AccessDenied/;
		}

		syswrite $write, "$asked $answered";
		POSIX::_exit(0);
	}

	close $write;
	push @children, [$pid, $read];
}

my $kills = 12;

for (1 .. $kills) {
	sleep 0.1;
	my ($victim) = $t->workers();
	kill 'KILL', $victim;
	$t->wait_for(sub { my @now = $t->workers();
		@now == $WORKERS && !grep { $_ eq $victim } @now });
}

$t->write('enough', '');

for (@children) {
	my ($pid, $read) = @$_;
	my ($n, $m) = split / /, join '', <$read>;
	$asked += $n;
	$answered += $m;
	waitpid $pid, 0;
}

# one that was answered, or about to be, by a worker that died is lost at most

my $n = counted(qr/file_loads/) =~ s/^requests\{decision=DENIED,code=AccessDenied
	\}\ (\d+)\z/$1/xr;
cmp_ok($n, '>=', $answered - $kills * @children,
	'H-11 workers are killed while they count: no other count is lost');
cmp_ok($n, '<=', $asked, 'H-11 none is made up');
counts("H-11 it goes on, $_", "/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('storage', 'ABORTED', '2xx')]) for 1 .. $WORKERS;

# and by one that holds the lock of the zone, which is not even taken then:
# the first word of the zone is its holder

my ($holder) = $t->workers();
my @zones = $t->read("/proc/$holder/maps") =~ m!^(\w+)-\w+ rw-s .*/dev/zero!gm;
open my $memory, '+<:raw', "/proc/$holder/mem" or die "/proc/$holder/mem: $!\n";

no warnings 'portable';

for (grep { defined zone_lock($_) } @zones) {
	sysseek $memory, hex $_, 0;
	syswrite $memory, pack 'Q', $holder;
}

# The lock of a zone, which is 0; undef where there is no zone.

sub zone_lock($start) {
	sysseek $memory, hex $start, 0;
	sysread $memory, my $lock, 8 or return undef;
	return unpack('Q', $lock) == 0 ? 0 : undef;
}

$t->expect_log(qr/shared memory zone "s3_abort" was locked by $holder/);
$t->allow_log(qr/shared memory zone "(?:buckets|busy)" was locked by $holder/);
is(abort("/$k")->{status}, 204, 'H-11 a lock that is held stops no abort')
	for 1 .. 2 * $WORKERS;
is(abort('/otherbucket/k')->{status}, 403, 'H-11 and no refusal');
kill 'KILL', $holder;
$t->wait_for(sub { my @now = $t->workers();
	@now == $WORKERS && !grep { $_ eq $holder } @now },
	'H-11 the holder dies, another worker comes');
counted();
ok(reload(), 'H-11 the lock is free again');
counted();
counts('H-11 and all is counted', "/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('storage', 'ABORTED', '2xx')]);

# an endpoint that goes is not shown; one that comes back has its counts

my $without = $conf =~ s/location \/odd\/.*?\n        \}//sr
	=~ s/s3_abort_endpoint odd.*?\n    \}//sr;
my $odd_count = $last{$label->('outcomes_total', endpoint => 'odd-1.2_3',
	outcome => 'ABORTED')};

ok(reload(conf => $without), 'an endpoint goes');
%m = metrics();
is(scalar(grep { /odd/ } keys %m), 0, 'an endpoint that went is not shown');
ok(reload(conf => $conf), 'it comes back');
is({ metrics() }->{$label->('outcomes_total', endpoint => 'odd-1.2_3',
	outcome => 'ABORTED')}, $odd_count, 'it comes back with its counts');

# H-10: another size, another zone: counts begin anew; a bad configuration does
# not touch them

$t->expect_log(qr/"s3_abort_zone" directive is duplicate/);
%last = metrics();
ok(!reload(conf => $conf
	=~ s/(s3_abort_zone .*;)/$1 s3_abort_zone zone=x:1m;/r),
	'a bad configuration');
$t->write('nginx.conf', $conf);
is(counted(qr/file_loads/), '', 'a bad configuration: all counts are kept');

ok(reload(conf => $conf =~ s/s3_abort:1m/s3_abort:2m/r), 'another size');
%m = metrics();
is(scalar(grep { /requests_total/ || /decisions/ && $m{$_} } keys %m), 0,
	'another size: counts begin anew');
is(scalar(grep { /decisions/ } keys %m), 5, 'another size: from 0');
%last = %m;
counts('another size: and go on', "/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('storage', 'ABORTED', '2xx')]);

ok(reload(conf => $conf =~ s/zone=s3_abort:1m/zone=other:256k/r),
	'another zone');
%last = metrics();
counts('another zone', "/$k", '204 ', [requests('ALLOWED', 'OK'),
	forwarded('storage', 'ABORTED', '2xx')]);

###############################################################################
#
# A zone that is too small for all the endpoints: counts are lost, nothing else

my $many = $conf =~ s/zone=s3_abort:1m/zone=tiny:32k/r
	=~ s/(s3_abort_policy media)/%%TESTDIR%%;\n$1/r;
my $blocks = join '', map { <<"EOC" } 1 .. 300;
    s3_abort_endpoint many$_ {
        url          http://%%STORAGE%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }
EOC
$many =~ s/%%TESTDIR%%;\n/$blocks/;

$t->expect_log(qr/ngx_slab_alloc\(\) failed: no memory/);
ok(reload(conf => $many), 'full zone: a reload');
%last = metrics();

is(abort("/chosen/$k", 'X-Endpoint', "many$_")->{status}, 204,
	"full zone: endpoint $_") for 1, 150, 300;
is(abort('/otherbucket/k')->{status}, 403, 'full zone: decisions hold');
is(abort("/two/$k")->{status}, 204, 'full zone: others');

my $changes = counted();
like($changes, qr/^requests\{decision=ALLOWED,code=OK\} 4$/m,
	'full zone: requests are counted');
like($changes, qr/^requests\{decision=DENIED,code=AccessDenied\} 1$/m,
	'full zone: refusals are counted');
%m = metrics();
cmp_ok(scalar(grep { /outcomes.*"many\d+",outcome="ABORTED"/ } keys %m), '<',
	300, 'full zone: some endpoints are not');
ok(reload(), 'full zone: another reload');
is(abort("/$k")->{status}, 204, 'full zone: it serves');
is(get('/json')->{status}, 200, 'full zone: JSON');
ok(eval { JSON::PP->new->utf8->decode(get('/json')->{body}) },
	'full zone: valid JSON');

# the largest page fits into its buffer

ok(reload(conf => $many =~ s/zone=tiny:32k/zone=large:8m/r),
	'many endpoints');
%m = metrics();
is(scalar(grep { /outcomes.*"many\d+",outcome="ABORTED"/ } keys %m), 300,
	'many endpoints: all are shown');
ok(exists $m{s3_abort_candidate_differences_total},
	'many endpoints: the whole page');
$json = eval { JSON::PP->new->utf8->decode(get('/json')->{body}) };
is(scalar @{$json->{endpoints}}, 307, 'many endpoints: JSON');

###############################################################################
#
# No zone

ok(reload(conf => $conf =~ s/s3_abort_zone .*?;//r), 'no zone');
is(get('/metrics')->{status}, 404, 'no zone: no page');
is(get('/json')->{status}, 404, 'no zone: no JSON');
ok(index($t->error_log('error'), '"s3_abort_status" without "s3_abort_zone"')
	> 0, 'no zone: logged');
is(abort("/$k")->{status}, 204, 'no zone: aborts');
is(abort('/otherbucket/k')->{status}, 403, 'no zone: refusals');

# a zone, and no abort anywhere

my ($status, $output) = $t->nginx_test($conf =~ s/s3_abort_pass .*?;//gr
	=~ s/limit_req_zone.*?;//r =~ s/limit_req zone.*?;//r);
is($status, 0, 'a page without an abort') or diag($output);

###############################################################################

for (['two zones', 's3_abort_zone zone=a:1m; s3_abort_zone zone=b:1m;',
		qr/"s3_abort_zone" directive is duplicate/],
	['the same zone twice', 's3_abort_zone zone=a:1m; s3_abort_zone '
		. 'zone=a:1m;', qr/"s3_abort_zone" directive is duplicate/],
	['a zone of another module', 's3_abort_zone zone=buckets:1m;',
		qr/zone "buckets" is already|already (?:declared|bound)/],
	['too small', 's3_abort_zone zone=a:31k;', qr/is too small/],
	['no size', 's3_abort_zone zone=a;', qr/invalid zone "zone=a"/],
	['empty size', 's3_abort_zone zone=a:;',
		qr/invalid zone "zone=a:"|too small/],
	['no name', 's3_abort_zone zone=:1m;', qr/invalid zone "zone=:1m"/],
	['no zone', 's3_abort_zone a:1m;', qr/invalid zone "a:1m"/],
	['bad size', 's3_abort_zone zone=a:1x;', qr/invalid zone/],
	['negative size', 's3_abort_zone zone=a:-1m;', qr/invalid zone/])
{
	my ($name, $zone, $want) = @$_;
	my ($status, $output) = $t->nginx_test($conf
		=~ s/s3_abort_zone .*?;/$zone/r);

	is($status, 1, "error: $name");
	like($output, $want, "error: $name: message");
}

is(join("\n", sort keys %bad_lines), '', 'all pages: each name once');

($status, $output) = $t->nginx_test($conf
	=~ s/s3_abort_status json/s3_abort_status xml/r);
is($status, 1, 'error: format');
like($output, qr/invalid format "xml"/, 'error: format: message');

$t->done();
