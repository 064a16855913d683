# Every error that an abort meets from location selection on is S3's XML, also
# those that other modules raise: their status and WWW-Authenticate stay.

###############################################################################

use v5.36;

use MIME::Base64;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $backend = $t->decoy('backend');
my $auth = $t->decoy('auth', answer => sub ($r) {
	return { status => $r->{target} =~ m!(\d+)! ? $1 : 200, body => '',
		headers => [['WWW-Authenticate', 'Basic realm="auth"']] };
});

$t->write('passwords', "alice:{PLAIN}password\n");

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_endpoint down {
        url          http://127.0.0.1:%%PORT_9%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    s3_abort_endpoint slow {
        url          http://%%STORAGE%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
        read_timeout 300ms;
    }

    s3_abort_policy all { allow; }
    s3_abort_policy none { }

    limit_req_zone $s3_abort_tenant zone=requests:1m rate=1r/m;
    limit_conn_zone $server_port zone=connections:1m;

    map $arg_none $nowhere { default ""; }

    error_page 400 401 403 404 405 413 429 500 501 502 503 504 /error.html;

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_identity trusted $http_x_tenant;
        s3_abort_pass storage policy=all;

        location / { }

        location = /error.html {
            s3_abort_pass off;
            return 200 "an error page";
        }

        location /limit/ {
            limit_req zone=requests;
        }

        location /limit429/ {
            limit_req zone=requests;
            limit_req_status 429;
        }

        location /conn/ {
            limit_conn connections 1;
            s3_abort_pass slow policy=all;
        }

        location /basic/ {
            auth_basic "a realm";
            auth_basic_user_file %%TESTDIR%%/passwords;
            s3_abort_identity trusted $remote_user;
        }

        location /auth401/ { auth_request /check/401; }
        location /auth403/ { auth_request /check/403; }
        location /auth500/ { auth_request /check/500; }

        location /check/ {
            internal;
            proxy_pass http://%%STORAGE_auth%%/;
        }

        location /deny/ { deny all; }
        location /internal/ { internal; }
        location /small/ { client_max_body_size 10; }
        location /down/ { s3_abort_pass down policy=all; }
        location /slow/ { s3_abort_pass slow policy=all; }
        location /none/ { s3_abort_pass storage policy=none; }

        location /nowhere/ {
            s3_abort_pass $nowhere policy=all;
        }

        location /unknown/ {
            s3_abort_pass $http_x_endpoint policy=all;
        }

        location /if {
            if ($http_x_return) { return 403; }
        }

        location /log/ {
            s3_abort_log_level notice;
            s3_abort_pass storage policy=none;
        }

        location /html/ {
            default_type text/html;
            add_header X-Extra extra always;
            deny all;
        }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

$t->{headers}{'x-extra'} = 1;

$t->aborts(
	['policy', "/none/k$q", '403 AccessDenied'],
	['no identity', "/media/k$q", '403 AccessDenied', 'X-Tenant', undef],
	['deny', "/deny/k$q", '403 AccessDenied'],
	['deny, in spite of a near miss', '/deny/k?uploadid=A',
		qr/^40[03] \w+\z/],
	['auth_basic', "/basic/k$q", '401 AccessDenied'],
	['internal', "/internal/k$q", qr/^404 \w+\z/],
	['default_type', "/html/k$q", '403 AccessDenied'],
	['endpoint of an empty variable', "/nowhere/k$q", '500 InternalError'],
	['endpoint that is unknown', "/unknown/k$q", '500 InternalError',
		'X-Endpoint', 'unknown'],
	['storage that is down', "/down/k$q", '502 ServiceUnavailable'],
	['limit_req: the first', "/limit/k$q", "/limit/k$q"],
	['limit_req', "/limit/k$q", '503 SlowDown'],
	['limit_req_status', "/limit429/k$q", '429 SlowDown'],
);

# who may try again is told when

for (['/none', 403, ''], ['/nowhere', 500, ''], ['/down', 502, 1],
	['/limit', 503, 1], ['/limit429', 429, 1])
{
	my ($path, $status, $after) = @$_;
	my $answer = $t->abort("$path/k$q");

	is("$answer->{status} " . ($answer->{headers}{'retry-after'} // ''),
		"$status $after", "Retry-After of a $status");
}

my $r = $t->abort("/basic/k$q");
is($r->{headers}{'www-authenticate'}, 'Basic realm="a realm"',
	'auth_basic: WWW-Authenticate');
is($t->abort("/basic/kkk$q", 'Authorization',
	'Basic ' . encode_base64('alice:password', ''))->{status}, 204,
	'auth_basic: with the password');

for my $status (401, 403, 500) {
	$r = $t->abort("/auth$status/k$q");

	is("$r->{status} $r->{code}", "$status "
		. ($status == 500 ? 'InternalError' : 'AccessDenied'),
		"auth_request: $status");
	is_deeply([$t->sent()], [], "auth_request: $status: nothing sent");
	is($r->{headers}{'www-authenticate'}, 'Basic realm="auth"',
		'auth_request: WWW-Authenticate') if $status == 401;
}

###############################################################################

$r = $t->request(S3Abort::request_bytes('DELETE', "/small/k$q",
	'Content-Length', 11) . 'x' x 11);
is("$r->{status} $r->{code}", '413 EntityTooLarge', 'client_max_body_size');
$t->nothing_sent('client_max_body_size: nothing sent');

$storage->answer({ status => 204, send => 0, then => 'hang' });

$r = $t->abort("/slow/k$q");
is("$r->{status} $r->{code}", '504 ServiceUnavailable', 'read_timeout');
is($r->{headers}{'retry-after'}, 1, 'Retry-After of a 504');

my $first = $t->connect();
$t->mark();
$first->send(S3Abort::request_bytes('DELETE', "/conn/k$q"));
$t->wait_for(sub { $t->sent() }, 'limit_conn: the first is under way');
$r = $t->request(S3Abort::request_bytes('DELETE', "/conn/k$q"));
is("$r->{status} $r->{code}", '503 SlowDown', 'limit_conn');
is($first->answer()->{status}, 504, 'limit_conn: the first');

$storage->answer(204);

###############################################################################
#
# The document

$r = $t->abort('/none/a%20b/%EA%B0%80%3C%26%3E%22%27' . $q);
is($r->{resource} =~ /storage|kr-standard/, '', 'nothing of the storage');
is($r->{headers}{'content-type'}, 'application/xml', 'Content-Type');
is($r->{headers}{'content-length'}, length $r->{body}, 'Content-Length');
ok(!exists $r->{headers}{server}, 'no Server');
is($r->{headers}{connection}, 'close', 'Connection');
unlike($r->{body} =~ s/<Resource>.*?<\/Resource>//r,
	qr/nginx|conf|policy|none|rule/i, 'G-11 nothing of the policy');

my $other = $t->abort("/none/other$q");
isnt($r->{request_id}, $other->{request_id}, 'a request id for each');

# bytes that XML cannot carry, in a target that is refused

for ('%00', '%FF', '%EF%BF%BF', '%01', ']]>', '<!--', '&amp;', "\xff\xfe") {
	$r = $t->abort("/media/$_$q");
	like($r->{code}, $r->{status} == 204 ? qr/^\z/
		: qr/^(?:InvalidURI|\(not application\/xml\))\z/,
		'document about ' . $_ =~ s/([^ -~])/sprintf '\\x%02x',
			ord $1/ger);
}

# HEAD has no body; keep-alive goes on after an error

my $client = $t->connect();
my $keep = S3Abort::request_bytes('DELETE', "/none/k$q", 'Connection', undef);
$client->send($keep);
is($client->answer()->{code}, 'AccessDenied', 'kept connection: an error');
$client->send($keep =~ s/none/media/r);
is($client->answer()->{status}, 204, 'kept connection: an abort');
$client->send($keep =~ s/uploadId/uploadid/r);
is($client->answer()->{code}, 'InvalidArgument', 'kept connection: an error');

# what is no abort keeps nginx's own pages

$r = $t->request(S3Abort::request_bytes('GET', '/deny/k'));
is($r->{body}, 'an error page', 'other requests have their error_page');

###############################################################################

# a refusal is logged, once, at the level asked for

my $before = length $t->error_log('warn');
$t->abort("/none/logged$q");
$t->wait_for(sub { length $t->error_log('warn') > $before },
	'a refusal is logged at "warn"');
unlike(substr($t->error_log('warn'), $before), qr/\n./,
	'in one line');

$before = length $t->error_log('warn');
$t->abort("/log/logged$q");
$t->wait_for(sub { $t->error_log('notice') =~ m!log/logged! },
	's3_abort_log_level');
is(length $t->error_log('warn'), $before, 'and not at "warn"');

$t->done();
