# Identities that the operator vouches for: a certificate, only when it was
# verified; a variable, only with a well-formed name.

###############################################################################

use v5.36;

use MIME::Base64;
use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $auth = $t->decoy('auth', answer => sub ($r) {
	my $tenant = $r->{header}{'x-token'} // '';
	return { status => $tenant eq '' ? 403 : 200, body => '',
		headers => [['X-Tenant', $tenant]] };
});

$t->certificate('ca', ca => 1);
$t->certificate('other-ca', ca => 1);
$t->certificate('server', san => ['gw.test']);

my %client = map { $_->[0] => $t->certificate($_->[0], client => 1,
	@{$_}[1 .. $#$_]) } (['alice', issuer => 'ca'],
	['expired', issuer => 'ca', cn => 'alice', expired => 1],
	['future', issuer => 'ca', cn => 'alice', future => 1],
	['unknown', issuer => 'other-ca', cn => 'alice'],
	['self', cn => 'alice'],
	['revoked', issuer => 'ca', cn => 'alice'],
	['odd', issuer => 'ca', cn => 'al/ice'],
	['nul', issuer => 'ca', cn => "alice\0.evil"],
	['nameless', issuer => 'ca', cn => ''],
	['server-only', issuer => 'ca', cn => 'alice', client => 0]);

$t->crl('ca', 'revoked');
$t->write('passwords', "alice:{PLAIN}password\nbo b:{PLAIN}password\n");

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    map $ssl_client_s_dn $cn {
        "~CN=(?<name>[^,]+)"  $name;
        default               "";
    }

    map $http_x_tenant $constant { default somebody; }

    s3_abort_policy all { allow; }
    s3_abort_policy own { allow key=$s3_abort_tenant/*; }

    ssl_certificate      %%TESTDIR%%/server.crt;
    ssl_certificate_key  %%TESTDIR%%/server.key;
    ssl_client_certificate  %%TESTDIR%%/ca.crt;
    ssl_session_tickets  on;

    server {
        listen 127.0.0.1:%%PORT%% ssl;
        ssl_verify_client optional;
        ssl_crl %%TESTDIR%%/crl.ca.pem;
        s3_abort_identity certificate $cn;

        location / {
            s3_abort_pass storage policy=own;
        }

        location /constant/ {
            s3_abort_base_path /constant;
            s3_abort_identity certificate $constant;
            s3_abort_pass storage policy=all;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_verify_client optional_no_ca;
        s3_abort_identity certificate $cn;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% ssl;
        ssl_verify_client off;
        s3_abort_identity certificate $constant;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;

        location / {
            s3_abort_identity trusted $http_x_tenant;
            s3_abort_pass storage policy=own;
        }

        location /certificate/ {
            s3_abort_base_path /certificate;
            s3_abort_identity certificate $constant;
            s3_abort_pass storage policy=all;
        }

        location /basic/ {
            s3_abort_base_path /basic;
            auth_basic "test";
            auth_basic_user_file %%TESTDIR%%/passwords;
            s3_abort_identity trusted $remote_user;
            s3_abort_pass storage policy=own;
        }

        location /remote-user/ {
            s3_abort_base_path /remote-user;
            s3_abort_identity trusted $http_x_nothing;
            s3_abort_pass storage policy=all;
        }

        location /request/ {
            s3_abort_base_path /request;
            auth_request /check;
            auth_request_set $who $upstream_http_x_tenant;
            s3_abort_identity trusted $who;
            s3_abort_pass storage policy=own;
        }

        location /request-if/ {
            s3_abort_base_path /request-if;

            # the variable is used before it is set: that must not stick

            if ($s3_abort_tenant = alice) { set $early 1; }
            auth_request /check;
            auth_request_set $who $upstream_http_x_tenant;
            s3_abort_identity trusted $who;
            s3_abort_pass storage policy=own;
        }

        location = /check {
            internal;
            proxy_pass http://%%STORAGE_auth%%/check;
        }

        location /real/ {
            s3_abort_base_path /real;
            set_real_ip_from 127.0.0.1;
            real_ip_header X-Forwarded-For;
            s3_abort_identity trusted $remote_addr;
            s3_abort_pass storage policy=own;
        }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

sub at($port, $target, %o) {
	my $r = $t->request(S3Abort::request_bytes('DELETE', $target,
		@{$o{headers} // []}), port => $port,
		$o{tls} ? (tls => { sni => 'gw.test', %{$o{tls}} }) : ());

	return $r->{status} . ($r->{code} && " $r->{code}")
		. join '', map { " $_->{target}" } $t->sent();
}

sub tls($port, $target, $client = undef, @headers) {
	return at($port, $target, headers => [@headers],
		tls => $client ? $client{$client} : {});
}

###############################################################################
#
# Certificates

is(tls(1, "/media/alice/k$q", 'alice'), "204 /media/alice/k$q", 'certificate');
is(tls(1, "/media/bob/k$q", 'alice'), '403 AccessDenied',
	'certificate, key of another tenant');
is(tls(1, "/media/alice/k$q"), '403 AccessDenied', 'E-30 no certificate');
is(tls(1, "/constant/media/k$q"), '403 AccessDenied',
	'E-30 no certificate, though the variable has a value');
is(tls(1, "/constant/media/k$q", 'alice'), "204 /media/k$q",
	'certificate, and the variable has a value');

# nginx itself answers 400 to a certificate that does not verify

for (qw/ expired future unknown self revoked server-only /) {
	like(tls(1, "/media/alice/k$q", $_), qr/^40[03] \S*/, "E-30 $_");
	$t->nothing_sent("E-30 $_: nothing sent");
}

is(tls(1, "/media/al/ice/k$q", 'odd'), '403 AccessDenied',
	'a name that no tenant has');
is(tls(1, "/constant/media/k$q", 'nameless'), "204 /media/k$q",
	'a good certificate without a name');
is(tls(1, "/media/alice/k$q", 'nameless'), '403 AccessDenied',
	'E-30 the variable is empty');
is(tls(1, "/media/alice/k$q", 'nul'), '403 AccessDenied',
	'E-30 a NUL behind the name');

is(tls(2, "/media/alice/k$q", 'alice'), "204 /media/alice/k$q",
	'optional_no_ca, a good certificate');

for (qw/ unknown self /) {
	is(tls(2, "/media/alice/k$q", $_), '403 AccessDenied',
		"E-30 optional_no_ca: $_");
}

like(tls(2, "/media/alice/k$q", 'expired'), qr/^40[03] \D*\z/,
	'E-30 optional_no_ca: expired');

is(tls(3, "/media/k$q"), '403 AccessDenied', 'E-30 ssl_verify_client off');
is(tls(3, "/media/k$q", 'alice'), '403 AccessDenied',
	'E-30 ssl_verify_client off and a certificate');
is(at(4, "/certificate/media/k$q"), '403 AccessDenied', 'E-30 no TLS at all');
is(tls(1, "/media/alice/k$q", undef, 'X-SSL-Client-Verify', 'SUCCESS',
	'X-SSL-Client-S-DN', 'CN=alice'), '403 AccessDenied',
	'headers are no certificate');

###############################################################################
#
# Trusted variables

for my $name ('alice', 'a', 'aZ09._@:+=-', 'a' x 128) {
	my $key = SigV4::uri_encode($name);
	is(at(4, "/media/$key/k$q", headers => ['X-Tenant', $name]),
		"204 /media/$key/k$q", 'tenant: ' . substr $name, 0, 20);
}

for my $name (undef, '', ' ', 'a b', 'a/b', 'a,b', "a\tb", 'a"', "\xea\xb0\x80",
	'a' x 129, '$alice', 'alice;', 'alice%', '?', '*')
{
	is(at(4, "/media/k$q", headers => ['X-Tenant', $name]),
		'403 AccessDenied', 'no tenant: ' . (defined $name
		? '"' . substr($name =~ s/[^ -~]/./gr, 0, 20) . '"'
			: 'nothing'));
}

is(at(4, "/media/k$q", headers => ['X-Tenant', 'a', 'X-Tenant', 'b']),
	'403 AccessDenied', 'two values');

my $password = 'Basic ' . encode_base64('alice:password', '');
my $space = 'Basic ' . encode_base64('bo b:password', '');
my $wrong = 'Basic ' . encode_base64('alice:wrong', '');

is(at(4, "/basic/media/alice/k$q", headers => ['Authorization', $password]),
	"204 /media/alice/k$q", 'auth_basic');
is(at(4, "/basic/media/bob/k$q", headers => ['Authorization', $password]),
	'403 AccessDenied', 'auth_basic, key of another tenant');
is(at(4, "/basic/media/alice/k$q", headers => ['Authorization', $wrong]),
	'401 AccessDenied', 'auth_basic, wrong password');
is(at(4, "/basic/media/alice/k$q"), '401 AccessDenied',
	'auth_basic, no password');
is(at(4, "/basic/media/bo%20b/k$q", headers => ['Authorization', $space]),
	'403 AccessDenied', 'auth_basic, a name that no tenant has');
is(at(4, "/remote-user/media/k$q", headers => ['Authorization', $password]),
	'403 AccessDenied', 'E-15 no fall-back to another mechanism');

for my $path ('request', 'request-if') {
	is(at(4, "/$path/media/alice/k$q", headers => ['X-Token', 'alice']),
		"204 /media/alice/k$q", "auth_request ($path)");
	is(at(4, "/$path/media/alice/k$q", headers => ['X-Token', 'bob']),
		'403 AccessDenied', "auth_request, another tenant ($path)");
	is(at(4, "/$path/media/alice/k$q"), '403 AccessDenied',
		"auth_request refuses ($path)");
	is(at(4, "/$path/media/alice/k$q", headers => ['X-Token', 'a b']),
		'403 AccessDenied', "auth_request, no tenant's name ($path)");
}

is(at(4, "/real/media/192.0.2.7/k$q", headers =>
	['X-Forwarded-For', '192.0.2.7']), "204 /media/192.0.2.7/k$q",
	'C-11 realip, configured');

$t->done();
