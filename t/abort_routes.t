# No route inside nginx hands an abort on: no other content handler, named
# location or back-end sees one.  done() asserts it of every back-end here.

###############################################################################

use v5.36;

use MIME::Base64;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $backend = $t->decoy('backend', deletes => 1);
my $redirecting = $t->decoy('redirecting', unchecked => 1, answer =>
	{ status => 200, body => '', headers =>
	[['X-Accel-Redirect', '/inner/key?uploadId=A']] });
my $deleting = $t->decoy('deleting', unchecked => 1);
my $open = $t->decoy('open', unchecked => 1);

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");
$t->write('passwords', "alice:{PLAIN}password\n");

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }
    s3_abort_policy none { }
    s3_abort_policy media { allow bucket=media; }

    map $arg_x $nothing { default ""; }

    # J-01 J-02 J-04 J-06 J-08: one location after the other

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_identity trusted $http_x_tenant;
        s3_abort_pass storage policy=media;

        location /try {
            s3_abort_base_path /try;
            try_files /nope @backend;
        }

        location /deny {
            s3_abort_base_path /deny;
            deny all;
            error_page 403 = @backend;
        }

        location /policy {
            s3_abort_base_path /policy;
            s3_abort_pass storage policy=none;
            error_page 400 403 = @backend;
        }

        location /gateway {
            s3_abort_base_path /gateway;
            s3_abort_pass down policy=all;
            error_page 500 501 502 503 504 = @backend;
        }

        location /uri {
            s3_abort_base_path /uri;
            deny all;
            error_page 400 403 404 =200 /proxied;
        }

        location /mirror {
            s3_abort_base_path /mirror;
            mirror /proxied-mirror;
        }

        location /proxied-mirror {
            internal;
            proxy_pass http://%%STORAGE_backend%%$request_uri;
        }

        location /auth {
            s3_abort_base_path /auth;
            auth_request /check;
        }

        location /auth-raw {
            s3_abort_base_path /auth-raw;
            auth_request /check-raw;
        }

        location = /check {
            internal;
            proxy_pass http://%%STORAGE_backend%%/check;
            proxy_pass_request_body off;
        }

        location = /check-raw {
            internal;
            proxy_method DELETE;
            proxy_pass http://%%STORAGE_backend%%/check;
        }

        location /post {
            s3_abort_base_path /post;
            post_action /proxied;
        }

        location /post-named {
            s3_abort_base_path /post-named;
            post_action @backend;
        }

        location /ssi {
            s3_abort_base_path /ssi;
            ssi on;
            ssi_types *;
        }

        location /last {
            s3_abort_base_path /last;
            rewrite ^ /proxied last;
        }

        location /break {
            s3_abort_base_path /break;
            rewrite ^ /proxied break;
            proxy_pass http://%%STORAGE_backend%%;
        }

        location /return {
            s3_abort_base_path /return;
            return 200 "returned";
        }

        location /return-error {
            s3_abort_base_path /return-error;
            error_page 403 = @backend;
            return 403;
        }

        location /accel {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_redirecting%%;
        }

        location /inner {
            internal;
            proxy_pass http://%%STORAGE_backend%%;
        }

        location /proxied {
            proxy_pass http://%%STORAGE_backend%%;
        }

        location /proxied-uri {
            s3_abort_base_path /proxied-uri;
            proxy_pass http://%%STORAGE_backend%%/other/;
        }

        location /files {
            s3_abort_base_path /files;
            alias %%TESTDIR%%/html/;
        }

        location /nothing {
            s3_abort_base_path /nothing;
        }

        location /index/ {
            s3_abort_base_path /index;
            autoindex on;
        }

        location /off {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_redirecting%%/plain;
            proxy_ignore_headers X-Accel-Redirect;
        }

        location @backend {
            proxy_pass http://%%STORAGE_backend%%;
        }
    }

    s3_abort_endpoint down {
        url          http://127.0.0.1:%%PORT_9%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
    }

    # J-03: levels below one with s3_abort_pass

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_identity trusted $http_x_tenant;

        location / {
            s3_abort_pass storage policy=media;

            location /nested/ {
                s3_abort_base_path /nested;
                proxy_pass http://%%STORAGE_backend%%;

                location /nested/deeper/ {
                    s3_abort_base_path /nested/deeper;
                    proxy_pass http://%%STORAGE_backend%%;
                }
            }

            location ~ ^/regex/ {
                s3_abort_base_path /regex;
                proxy_pass http://%%STORAGE_backend%%;
            }

            location /if/ {
                s3_abort_base_path /if;

                if ($request_method = DELETE) {
                    proxy_pass http://%%STORAGE_backend%%;
                }
            }

            location /limit/ {
                s3_abort_base_path /limit;

                limit_except GET {
                    proxy_pass http://%%STORAGE_backend%%;
                }
            }

            location /limit-deny/ {
                s3_abort_base_path /limit-deny;
                error_page 403 = @backend;

                limit_except GET {
                    deny all;
                }
            }
        }

        location @backend {
            proxy_pass http://%%STORAGE_backend%%;
        }
    }

    # levels that have, or have not, an s3_abort_pass of their own

    server {
        listen 127.0.0.1:%%PORT_5%%;
        s3_abort_identity trusted $http_x_tenant;

        location /moved/ {
            s3_abort_pass storage policy=all;
            rewrite ^/moved/(.*) /without/$1 last;
        }

        location /without/ {
            proxy_pass http://%%STORAGE_backend%%;
        }

        location /moved-off/ {
            s3_abort_pass storage policy=all;
            rewrite ^/moved-off/(.*) /off/$1 last;
        }

        location /off/ {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_open%%;
        }

        location /mirrored/ {
            s3_abort_pass off;
            mirror /mirror;
            proxy_pass http://%%STORAGE_open%%;
        }

        location = /mirror {
            internal;
            s3_abort_pass storage policy=all;
            proxy_pass http://%%STORAGE_backend%%$request_uri;
        }

        location /if/ {
            s3_abort_base_path /if;
            proxy_pass http://%%STORAGE_open%%;

            if ($http_x_if) {
                s3_abort_pass storage policy=all;
            }
        }

        location /if-off/ {
            s3_abort_base_path /if-off;
            s3_abort_pass storage policy=all;
            proxy_pass http://%%STORAGE_open%%;

            if ($http_x_if) {
                s3_abort_pass off;
            }
        }

        location /limit/ {
            s3_abort_base_path /limit;
            proxy_pass http://%%STORAGE_open%%;

            limit_except GET {
                s3_abort_pass storage policy=all;
            }
        }

        location /limit-policy/ {
            s3_abort_base_path /limit-policy;
            s3_abort_pass storage policy=all;

            limit_except GET {
                s3_abort_pass storage policy=none;
            }
        }
    }

    # J-05: satisfy any

    server {
        listen 127.0.0.1:%%PORT_3%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        satisfy any;
        auth_basic "test";
        auth_basic_user_file %%TESTDIR%%/passwords;

        location / {
            allow 127.0.0.1;
            deny all;
            s3_abort_pass storage policy=media;
        }
    }

    # K-26: to where aborts are taken

    server {
        listen 127.0.0.1:%%PORT_6%%;
        s3_abort_identity trusted $http_x_tenant;

        location /media/try/ { try_files /nope @s3; }
        location /media/rewrite/ { rewrite ^ /s3 last; }
        location /media/off/ { s3_abort_pass off; rewrite ^ /s3 last; }
        location /media/accel/ { proxy_pass http://%%STORAGE_redirecting%%; }
        location /media/error/ { error_page 403 = /s3; deny all; }
        location /media/post/ {
            proxy_pass http://%%STORAGE_deleting%%;
            post_action /s3;
        }
        location /media/post-named/ {
            s3_abort_pass off;
            proxy_pass http://%%STORAGE_deleting%%;
            post_action @s3;
        }

        location @s3 { s3_abort_pass storage policy=media; }
        location /s3 { s3_abort_pass storage policy=media; }
        location /inner { s3_abort_pass storage policy=media; }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

sub at($port, $target, @headers) {
	my $r = $t->request(S3Abort::request_bytes('DELETE', $target, @headers),
		port => $port);

	# a mirror and a post_action may come behind the answer

	$t->audit($r);

	return "$r->{status}" . ($r->{code} && " $r->{code}")
		. join '', map { " $_->{target}" } $t->sent();
}

sub saw($name) {
	return join ' ', map { "$_->{method} $_->{target}" } $t->sent($name);
}

sub backend_saw() {
	$backend->settle();
	return saw('backend');
}

# port, path, whether the abort is forwarded or what is answered

my @routes = (
	['J-01 try_files', 1, '/try', 'sent'],
	['J-02 error_page and deny', 1, '/deny', '403 AccessDenied'],
	['J-02 error_page and a policy', 1, '/policy', '403 AccessDenied'],
	['J-02 error_page and a storage that is down', 1, '/gateway',
		'502 ServiceUnavailable'],
	['J-02 error_page with an URI', 1, '/uri', '403 AccessDenied'],
	['J-03 nested location', 2, '/nested', 'sent'],
	['J-03 nested twice', 2, '/nested/deeper', 'sent'],
	['J-03 regex location', 2, '/regex', 'sent'],
	['J-03 if', 2, '/if', 'sent'],
	['J-03 limit_except', 2, '/limit', 'sent'],
	['J-03 limit_except and deny', 2, '/limit-deny', '403 AccessDenied'],
	['J-04 mirror', 1, '/mirror', 'sent'],
	['J-04 auth_request', 1, '/auth', 'sent'],
	['J-04 post_action', 1, '/post', 'sent'],
	['J-04 post_action to a named location', 1, '/post-named', 'sent'],
	['J-04 ssi', 1, '/ssi', 'sent'],
	['J-06 rewrite break', 1, '/break', 'sent'],
	['J-08 no handler', 1, '/nothing', 'sent'],
	['J-08 static files', 1, '/files', 'sent'],
	['J-08 autoindex', 1, '/index', 'sent'],
	['J-08 proxy_pass with an URI', 1, '/proxied-uri', 'sent'],
);

for (@routes) {
	my ($name, $port, $path, $want) = @$_;

	is(at($port, "$path/media/k$q"), $want eq 'sent' ? "204 /media/k$q"
		: $want, "$name: an abort");
	unlike(backend_saw(), qr/DELETE|media/, "$name: not handed on");

	# nearly an abort

	for my $target ('/media/k?uploadid=A', '/media/k?uploadId=',
		"/media/$q", '/media/k?%75ploadId=A')
	{
		like(at($port, "$path$target"), $want =~ /^403/
			? qr/^40[03] \w+\z/ : qr/^400 \w+\z/,
			"$name: refused: $target");
		unlike(backend_saw(), qr/DELETE|media/,
			"$name: not handed on: $target");
	}

	# denied

	like(at($port, "$path/other/k$q"), $path eq '/gateway' ? qr/^502/
		: qr/^403 AccessDenied\z/, "$name: denied");
	unlike(backend_saw(), qr/DELETE|other/, "$name: denied, not handed on");
}

###############################################################################

# the storage sees each abort once

my $posted = $t->abort("/post/media/k$q");
is(scalar(() = $t->sent()), 1, 'J-04 post_action: sent once');
is($t->audit($posted)->{status}, 204, 'K-22 post_action: log');

# a subrequest that is sent as a DELETE, but is no abort

is(at(1, "/auth-raw/media/k$q"), "204 /media/k$q",
	'J-04 auth_request with proxy_method');
is(backend_saw(), 'DELETE /check', 'J-04 auth_request with proxy_method: asks');

# one that is an abort: a mirror of a request that "off" let go

is(at(5, "/mirrored/media/k$q"), '200', 'J-04 a mirrored abort: the request');
is(saw('open'), "DELETE /mirrored/media/k$q",
	'J-04 a mirrored abort: goes its way');
$t->wait_for(sub { $t->error_log('error') =~
	/s3 abort in a subrequest, refused/ },
	'J-04 a mirrored abort: the subrequest is refused');
is(backend_saw(), '', 'J-04 a mirrored abort: not handed on');

# rewritten to another location: judged there, from the raw target

is(at(1, "/last/media/k$q"), '403 AccessDenied',
	'J-06 rewrite last: the bucket is the one of the raw target');
is(at(1, "/last/k$q", 'Host', 'gw.test'), '403 AccessDenied',
	'J-06 rewrite last: and policy judges it');
is(backend_saw(), '', 'J-06 rewrite last: not handed on');

# ... where there is none, refused; where it says so, let go

is(at(5, "/moved/media/k$q"), '403 AccessDenied',
	'J-06 rewrite to a location without s3_abort_pass');
is(backend_saw(), '', 'J-06 ... without s3_abort_pass: not handed on');
like($t->error_log('error'), qr/s3 abort left its location for one that/,
	'J-06 ... without s3_abort_pass: logged');
is(at(5, "/moved-off/media/k$q"), '200', 'J-06 rewrite to an "off" location');
is(saw('open'), "DELETE /off/media/k$q", 'J-06 ... "off": let go');

# s3_abort_pass in if and limit_except

for (['/if', '', 'open'], ['/if', 1, 'storage'], ['/if-off', '', 'storage'],
	['/if-off', 1, 'open'], ['/limit', '', 'storage'],
	['/limit-policy', '', '403 AccessDenied'])
{
	my ($path, $if, $want) = @$_;

	is(at(5, "$path/media/k$q", 'X-If', $if), $want eq 'open' ? '200'
		: $want eq 'storage' ? "204 /media/k$q" : $want,
		"s3_abort_pass in $path" . ($if && ', which is true'));
	is(saw('open'), $want eq 'open' ? "DELETE $path/media/k$q" : '',
		"s3_abort_pass in $path" . ($if && ', which is true')
		. ': what the location\'s own handler sees');
}

# return answers for itself

is($t->abort("/return/media/k$q")->{body}, 'returned', 'J-08 return');
$t->nothing_sent('J-08 return: nothing sent');
like(at(1, "/return-error/media/k$q"), qr/^403/, 'J-08 return 403');
$t->nothing_sent('J-08 return 403: nothing handed on');

# X-Accel-Redirect from a back-end that was given the abort by "off"

is(at(1, "/accel/media/k$q"), '403 AccessDenied',
	'J-06 X-Accel-Redirect: judged where it ends, from the raw target');
is(backend_saw(), '', 'J-06 X-Accel-Redirect: not handed on');

# K-26: a location that does not take aborts leads to one that does

for my $way (qw/ try rewrite off accel /) {
	is(at(6, "/media/$way/k$q"), "204 /media/$way/k$q",
		"K-26 $way: taken where it ends");
	is(at(6, "/media/$way/k$q", 'X-Tenant', ''), '403 AccessDenied',
		"K-26 $way: and judged");
}

is(at(6, "/media/error/k$q"), '403 AccessDenied', 'K-26 an error stays one');

for (['post', 'alice'], ['post', ''], ['post-named', 'alice'],
	['post-named', ''])
{
	my ($way, $tenant) = @$_;
	my $logged = () = $t->access_log();
	my $r = $t->request(S3Abort::request_bytes('DELETE',
		"/media/$way/k$q", 'X-Tenant', $tenant), port => 6);

	$t->wait_for(sub { $logged < (() = $t->access_log()) });

	is(join(' ', $r->{status}, ($t->access_log())[-1]{status}), '200 200',
		"K-31 $way \"$tenant\": let go, and logged as that");
	is(scalar(() = $t->sent()), 0, "K-31 $way \"$tenant\": no abort");
}

# off is off

at(1, "/off/media/k$q");
is(scalar(() = $t->sent('redirecting')), 1, 's3_abort_pass off');

# what is no abort goes its way

for (['/try/x', 'backend'], ['/deny/x', 'backend'], ['/proxied/x', 'backend'],
	['/proxied-uri/x', 'backend'])
{
	at(1, $_->[0]);
	isnt(backend_saw(), '', "J-08 no abort: $_->[0]");
}

for (qw{ /nested/x /regex/x /if/x /limit/x }) {
	at(2, $_);
	isnt(backend_saw(), '', "J-03 no abort: $_");
}

is($t->request("GET /files/index.html HTTP/1.1\r\nHost: gw.test\r\n"
	. "Connection: close\r\n\r\n")->{status}, 501,
	'J-08 no handler, no abort: never files');
is(at(1, '/nothing/x'), '501 NotImplemented', 'J-08 no handler: 501');

###############################################################################
#
# satisfy any

my %alice = (access_key => 'AKIALICE', secret => 'CANARY/alice+secret',
	region => 'kr-standard');

sub signed($target) {
	my $r = SigV4::sign(%alice, target => $target,
		headers => [['Host', 'gw.test']]);

	return at(3, $target, 'X-Tenant', undef, map { @$_ } @{$r->{headers}});
}

is(signed("/media/k$q"), "204 /media/k$q", 'J-05 satisfy any: allowed');
is(signed("/other/k$q"), '403 AccessDenied', 'J-05 satisfy any: denied');
is(at(3, "/media/k$q"), '403 AccessDenied', 'J-05 satisfy any: no identity');
is(at(3, "/media/k$q", 'Authorization', 'Basic '
	. encode_base64('alice:password', '')) =~ /^40[03] /, 1,
	'J-05 satisfy any: a password is no identity');

my ($rc, $out) = $t->nginx_test(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }

    server {
        listen 127.0.0.1:%%PORT_4%%;
        satisfy any;
        auth_basic "test";
        auth_basic_user_file %%TESTDIR%%/passwords;

        location / {
            s3_abort_identity trusted $remote_user;
            s3_abort_pass storage policy=all;
        }
    }
}

EOF

is($rc, 1, 'J-05 satisfy any and trusted: a configuration error');
like($out, qr/\[emerg\].*satisfy/, 'J-05 and it says so');

$t->done();
