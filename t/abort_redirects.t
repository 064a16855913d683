# Error pages and redirects neither hand an abort on nor bring one back: what
# failed before its location was known, was let go by a location that does not
# take aborts, or was answered by another module, stays answered.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $backend = $t->decoy('backend');
my $other = $t->decoy('other', answer => { status => 404, body => 'none' },
	unchecked => 1);

my $ca = $t->certificate('ca', ca => 1);
$t->certificate('gw.test', san => ['gw.test'], issuer => 'ca');
$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

$t->run(<<'EOC');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }
    s3_abort_identity trusted $http_x_tenant;

    client_header_buffer_size 1k;
    large_client_header_buffers 2 2k;

    # errors before the location is known

    server {
        listen 127.0.0.1:%%PORT%%;
        error_page 400 414 494 = @backend;
        location / { s3_abort_pass storage policy=all; }
        location @backend { proxy_pass http://%%STORAGE_backend%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_pass storage policy=all;
        error_page 400 414 494 /error.html;
        location / { recursive_error_pages on; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% ssl;
        ssl_certificate %%TESTDIR%%/gw.test.crt;
        ssl_certificate_key %%TESTDIR%%/gw.test.key;
        ssl_client_certificate %%TESTDIR%%/ca.crt;
        ssl_verify_client on;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        s3_abort_pass storage policy=all;
        error_page 495 496 497 /error.html;
    }

    # let go, and back again

    server {
        listen 127.0.0.1:%%PORT_4%%;
        s3_abort_pass storage policy=all;
        error_page 403 /error.html;
        error_page 402 = /error.html;

        location /off/ { s3_abort_pass off; deny all; }
        location /equals/ { s3_abort_pass off; return 402; }
        location /base/ { s3_abort_base_path /elsewhere; deny all; }

        location /recursive/ {
            s3_abort_pass off;
            recursive_error_pages on;
            error_page 403 = /error.html;
            error_page 404 = @s3;
            location /recursive/deny/ { deny all; }
            location /recursive/if/ { if ($uri) { return 403; } }
            location /recursive/proxied/ {
                proxy_pass http://%%STORAGE_other%%;
                proxy_intercept_errors on;
            }
        }

        location @s3 { }

        location /proxied/ {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_other%%;
            proxy_intercept_errors on;
            error_page 404 /error.html;
        }

        # captured, and on to one that does not take it

        location / { rewrite ^/files/(.*) /s3/$1 last; }

        location /s3/ {
            s3_abort_base_path /s3;
            proxy_pass http://%%STORAGE_backend%%;
        }

        location /last/ { rewrite ^ /let-go last; }
        location = /let-go { s3_abort_pass off; return 200 "let go"; }

        location /auto/ { proxy_pass http://%%STORAGE_backend%%; }

        # what discards a body

        location /discard {
            set $memcached_key x;
            memcached_pass 127.0.0.1:%%PORT_9%%;
            error_page 502 504 /error.html;
        }

        location = /returned/media/k {
            s3_abort_base_path /returned;
            return 200 "returned";
        }
    }
}

EOC

sub ask($port, $target, %o) {
	return $t->request(S3Abort::request_bytes('DELETE', $target,
		@{$o{headers} // []}, 'Connection', 'close'), port => $port,
		$o{tls} ? (tls => { sni => 'gw.test' }) : ());
}

sub refused($r, $want, $name) {
	is("$r->{status} $r->{code}", $want, $name);
	is($r->{headers}{'content-type'}, 'application/xml', "$name: XML");
	$t->nothing_sent("$name: nothing sent");
}

###############################################################################
#
# Errors before the location is known

for my $target ('/media/k?uploadId=A', '/media/k?uploadId=') {
	refused(ask(1, $target, headers => ['X-Big', 'x' x 3000]),
		'403 AccessDenied', "J-02 494, a named location: $target");
	refused(ask(2, $target, headers => ['X-Big', 'x' x 3000]),
		'400 InvalidRequest', "J-02 494, a page: $target");
	refused(ask(2, $target, headers => ['Content-Length', 0,
		'Transfer-Encoding', 'chunked']),
		'400 InvalidRequest', "J-02 length and chunks: $target");
}

for my $tls (0, 1) {
	my $signed = SigV4::sign(method => 'DELETE', region => 'kr-standard',
		target => '/media/k?uploadId=A', access_key => 'AKIALICE',
		secret => 'CANARY/alice+secret',
		headers => [['Host', 'gw.test']]);

	refused(ask(3, $signed->{target}, tls => $tls,
		headers => [map { @$_ } @{$signed->{headers}}]),
		'400 InvalidRequest', 'E-30 ' . ($tls ? 'no certificate'
		: 'no TLS') . ': no error page helps');
}

###############################################################################
#
# Let go, and back again

refused(ask(4, '/off/k?uploadId=A'), '403 AccessDenied',
	'denied where aborts are off');
refused(ask(4, '/base/k?uploadId=A'), '403 AccessDenied',
	'denied outside of the base path');
refused(ask(4, '/equals/k?uploadId=A'), '403 AccessDenied',
	'an error page with another status');

for my $way (qw/ deny if /) {
	refused(ask(4, "/recursive/$way/k?uploadId=A"), '403 AccessDenied',
		"K-30 $way");
}

is(ask(4, '/recursive/proxied/k?uploadId=A')->{code}, 'AccessDenied',
	'K-30 proxied');
is(scalar(() = $t->sent()), 0, 'K-30 proxied: no abort');

my $r = ask(4, '/proxied/k?uploadId=A');
is("$r->{status} $r->{code}", '404 NotFound', 'intercepted where aborts are off');
is(scalar(() = $t->sent()), 0, 'intercepted where aborts are off: no abort');

for my $target ('/files/media/k?uploadId=A', '/files/media/k?uploadId=') {
	refused(ask(4, $target), '403 AccessDenied',
		"captured, then outside of the base path: $target");
}

like($t->error_log('error'), qr/s3\ abort\ left\ its\ location/x,
	'and the log says so');

$r = ask(4, '/last/k?uploadId=A');
is("$r->{status} $r->{body}", '200 let go', 'captured, then let go by "off"');

###############################################################################
#
# nginx's own redirect to a path with a slash

$r = ask(4, '/auto?uploadId=A&X-Amz-Date=now');
refused($r, '400 InvalidRequest', 'a path without its slash');
is($r->{headers}{location}, undef, 'a path without its slash: no redirect');
is(ask(4, '/auto')->{status}, 301, 'a path without its slash, no abort');

###############################################################################
#
# What others do to a request

for my $method (qw/ GET DELETE /) {
	my $client = $t->connect(port => 4);
	$t->mark();
	$client->send("$method /discard" . ($method eq 'DELETE'
		? '/k?uploadId=A' : '') . " HTTP/1.1\r\nHost: gw.test\r\n"
		. "X-Tenant: alice\r\nContent-Length: 5\r\n\r\n");
	sleep 1 if $method eq 'GET';
	$client->send('hello');
	is($client->answer()->{status}, $method eq 'GET' ? 501 : 400,
		"$method with a body that another module discards");
	$t->nothing_sent("$method with a body: nothing sent");
}

$r = ask(4, '/returned/media/k?uploadId=A');
is("$r->{status} $r->{body}", '200 returned', 'J-08 return answers for itself');
refused(ask(4, '/returned/media/k?uploadId=A', headers =>
	['If-Unmodified-Since', 'Mon, 01 Jan 2024 00:00:00 GMT']),
	'412 PreconditionFailed', 'an error of a filter');

$t->done();
