# Every call that may fail, fails, while the configuration is read: allocations,
# files, mappings, digests, one after the other.  There is an error and no
# start, or all is well, and nothing crashes.
#
# Each allocation of the module's fails, and each call of another kind; of
# nginx's and OpenSSL's many allocations not each, unless TEST_TORTURE_ALL.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use Faults;
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $dir = $t->dir();
my $faults = Faults->new($t);

my $ca = $t->certificate('ca', ca => 1);
my $cert = $t->certificate('tls', san => ['tls.test'], issuer => 'ca');
my $crl = $t->crl('ca');

$t->storage('storage');
$t->storage('tls', tls => $cert, token => 1);
$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");
$t->write_keys('others.keys', "bob AKIBOB CANARY/bob+secret\n");

# each directive, and what its values may be made of

my $far = <<"EOF";

    s3_abort_endpoint far {
        url                      https://192.0.2.1;
        host                     tls.test;
        region                   kr-standard;
        credentials              %%TESTDIR%%/tls.credentials;
        bind                     \$server_addr transparent;
        ssl_trusted_certificate  $ca->{cert};
        ssl_crl                  $crl;
        ssl_verify_depth         2;
        ssl_name                 tls.test;
        ssl_protocols            TLSv1.3;
        ssl_ciphers              HIGH;
        ssl_session_reuse        off;
        ssl_conf_command         MinProtocol TLSv1.3;
        ssl_certificate          $cert->{cert};
        ssl_certificate_key      $cert->{key};
    }

    %%ENDPOINT_tls%%
EOF

my $conf = <<'EOF' =~ s/%%FAR%%/$far/r;

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%
    %%FAR%%

    upstream two {
        server %%STORAGE%%;
        server %%STORAGE%%;
        keepalive 4;
    }

    s3_abort_endpoint two {
        url                    http://two;
        host                   storage.test;
        region                 kr-standard;
        service                s3;
        addressing             virtual;
        credentials            %%TESTDIR%%/storage.credentials
                               profile=default refresh=1m;
        connect_timeout        1s;
        send_timeout           1s;
        read_timeout           1s;
        buffer_size            8k;
        bind                   127.0.0.1;
        socket_keepalive       on;
        next_upstream          error timeout http_500;
        next_upstream_tries    3;
        next_upstream_timeout  5s;
        confirm                on tries=3;
    }

    s3_abort_endpoint plain {
        url              http://192.0.2.1:8000;
        region           kr-standard;
        credentials      %%TESTDIR%%/storage.credentials;
        allow_plaintext  on;
    }

    s3_abort_policy all {
        allow  tenant=alice bucket=media-$s3_abort_tenant key=a/*/b?;
        allow  tenant~[a-z]+ bucket=b-* "key~(?<tenant>[^/]+)/.*";
        allow  bucket~m.* key=a;
        allow  endpoint=two upload_id=A* younger_than=7d;
        allow  "upload_id~[A-Za-z0-9]{1,64}" older_than=1h if=$arg_allowed;
        deny   key~.*\.pinned;
    }

    s3_abort_zone zone=counters:64k;

    map $http_x_endpoint $endpoint {
        default  two;
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_log_level info;
        s3_abort_domain gw.test s3.gw.test;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys refresh=1m
                                region=kr-standard skew=5m;
        s3_abort_pass $endpoint policy=all candidate=all;

        location / { }

        location /target/ {
            s3_abort_base_path /target;
            s3_abort_target bucket=t-$s3_abort_bucket
                            key=$s3_abort_tenant/$s3_abort_key;
            s3_abort_identity sigv4 keys=%%TESTDIR%%/others.keys
                              region=kr-standard;
        }

        location /trusted/ {
            s3_abort_identity trusted $http_x_tenant;
            s3_abort_target key=$s3_abort_tenant/$s3_abort_key;
        }

        location /certificate/ {
            s3_abort_identity certificate $ssl_client_s_dn;
            s3_abort_target bucket=other;
        }

        location /off/ { s3_abort_pass off; }
        location /explain { s3_abort_explain policy=all endpoint=two; }
        location /any { s3_abort_explain policy=all endpoint=two from=any; }
        location /metrics { s3_abort_status; }
        location /json { s3_abort_status json; }
    }
}

EOF

my ($status, $output) = $t->nginx_test($conf);
is($status, 0, 'the configuration is good') or diag($output);

###############################################################################
#
# H-17: without SHA-256 there is no start, whatever takes it away

for (['FIPS without a module', "openssl_conf = c\n[c]\nalg_section = a\n"
	. "[a]\ndefault_properties = fips=yes\n"],
	['no provider', "openssl_conf = c\n[c]\nproviders = p\n[p]\nnull = n\n"
	. "[n]\nactivate = 1\n"])
{
	my ($name, $text) = @$_;
	local $ENV{OPENSSL_CONF} = $t->write('openssl.cnf', $text);

	my ($rc, $out) = $t->nginx_test($conf =~ s/\Q$far\E//r);
	is($rc, 1, "H-17 $name: no start");
	like($out, qr/OpenSSL has no SHA-256/, "H-17 $name: says so");
}

###############################################################################

$t->allow_log(qr/ failed \(12: Cannot allocate memory\)/);

for (['files, mappings, digests', SYSTEM | CRYPTO],
	['its own memory', MEMORY | OURS], ['memory', MEMORY],
	['looks at files', $faults->sanitized() ? STAT | OURS : STAT])
{
	my ($name, $kind) = @$_;
	my $run = sub ($n) {
		$faults->order($kind, $n);
		my ($rc, $out) = $t->nginx_test($conf);
		my ($calls, $failed) = $faults->counted($n);

		return ($rc eq '1' && $out eq '' ? 'silence' : $rc, $calls,
			$failed);
	};

	my ($rc, $calls) = $run->(1e9);
	my %seen;

	is($rc, 0, "H-15 start: $name: $calls calls");

	for my $n ($kind == MEMORY ? Faults::chosen($calls) : 1 .. $calls) {
		my ($rc, undef, $failed) = $run->($n);
		$seen{$rc}++ if $failed || $rc;
	}

	is(join(' ', grep { !/^[01]\z/ } sort keys %seen), '',
		"H-15 start: $name: an error, or all is well");
	cmp_ok($seen{1} // 0, '>', 3, "H-15 start: $name: often an error");
}

# the compiler's own counters, if it has any, want memory at the end

for (glob "$dir/sanitizer/report*") {
	unlink if $t->read($_) =~ /#0\ \S+\ in\ gcov_do_dump/x;
}

$t->done();

###############################################################################
