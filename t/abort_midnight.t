# Midnight: signing keys are of a day, and a worker lives for many.  The clock
# of nginx is libfaketime's (Debian: libfaketime); the storage's is not.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;
use SigV4;

###############################################################################

my ($lib) = glob '/usr/lib/*/faketime/libfaketime.so.1';

S3Abort::need('libfaketime', $lib);

my $t = S3Abort->new();

plan(skip_all => 'not with a sanitizer, which has to be loaded first')
	if $t->{version} =~ /-fsanitize=/
	|| ($ENV{TEST_NGINX_PRELOAD} // '') =~ /san/;

my $storage = $t->storage('storage', any_date => 1);

$t->write_keys('tenants.keys', "alice AKIALICE CANARY/alice+secret\n");

$ENV{TEST_NGINX_PRELOAD} = join ' ', $ENV{TEST_NGINX_PRELOAD} // (), $lib;
$ENV{FAKETIME_TIMESTAMP_FILE} = $t->dir() . '/clock';
$ENV{FAKETIME_NO_CACHE} = 1;
$ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
$ENV{TZ} = 'UTC';                       # of the clock's text

# nginx empties the environment of its workers

my $env = join ' ', map { "env $_;" } grep { /^FAKETIME/ } sort keys %ENV;

clock('2026-02-28 12:00:00');

$t->run(<<'EOF' =~ s/%%ENV%%/$env/r);

%%LOAD%%
%%GLOBALS%%
%%ENV%%

events { }

http {
    %%HTTP%%

    upstream servers {
        server %%STORAGE%%;
        server %%STORAGE%%;
    }

    s3_abort_endpoint storage {
        url            http://servers;
        host           storage.test;
        region         kr-standard;
        credentials    %%TESTDIR%%/storage.credentials;
        next_upstream  error timeout http_500;
    }

    s3_abort_policy all { allow; }

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_identity sigv4 keys=%%TESTDIR%%/tenants.keys;
        location / { s3_abort_pass storage policy=all; }
    }
}

EOF

###############################################################################

# Stops the clock of nginx at a time.

sub clock($time) {
	$t->write('clock', "$time\n");
}

# The answer to what alice signed at a time, and the days that the storage saw;
# each with a "!" if its signature is wrong.

sub ask($time, %o) {
	my $presigned = delete $o{presigned};
	my $r = $t->signed_abort('/media/k?uploadId=A', time => $time,
		access_key => 'AKIALICE', secret => 'CANARY/alice+secret',
		presigned => $presigned, %o);

	return join ' ', $r->{status} . ($r->{code} && " $r->{code}"),
		map { day($_) } $t->sent();
}

sub day($r) {
	my $error = SigV4::verify({ %$r, keys => { map {
		$_ => $storage->{keys}{$_}{secret} } keys %{$storage->{keys}} },
		region => 'kr-standard' }, \my %parts);

	return ($error ? '!' : '') . "$parts{time}";
}

###############################################################################

is(ask('20260228T120000Z'), '204 20260228T120000Z', 'noon');
my ($worker) = $t->workers();

clock('2026-02-28 23:59:59');
is(ask('20260228T235959Z'), '204 20260228T235959Z', 'a second before midnight');

clock('2026-03-01 00:00:00');
is(ask('20260301T000000Z'), '204 20260301T000000Z', 'I-08 midnight');
is(ask('20260228T235959Z'), '204 20260301T000000Z',
	'I-08 signed by the tenant before midnight');
is(ask('20260301T000100Z'), '204 20260301T000000Z',
	'I-08 signed by a tenant whose clock is ahead');

clock('2026-02-28 23:59:58');
is(ask('20260301T000001Z'), '204 20260228T235958Z',
	'E-11 I-09 the clock steps back over midnight');
is(ask('20260228T235958Z'), '204 20260228T235958Z', 'I-09 and the tenant\'s');

clock('2026-03-01 00:15:00');
is(ask('20260301T000000Z'), '204 20260301T001500Z', 'E-11 900 s');
is(ask('20260228T235959Z'), '403 RequestTimeTooSkewed', 'E-11 901 s');
is(ask('20260228T235959Z', presigned => 1, expires => 901),
	'204 20260301T001500Z', 'presigned on the day before');
is(ask('20260222T001500Z', presigned => 1, expires => 604_800),
	'204 20260301T001500Z', 'presigned a week before');
is(ask('20260222T001459Z', presigned => 1, expires => 604_800),
	'403 AccessDenied', 'presigned a week and a second before');

# an attempt before midnight, and one after it

clock('2026-12-31 23:59:59');
$storage->answer([sub ($r) { clock('2027-01-01 00:00:01'); return 500 }, 204]);
is(ask('20261231T235959Z'), '204 20261231T235959Z 20270101T000001Z',
	'F-31 a retry crosses midnight');

$storage->answer(204);
clock('2038-01-19 03:14:08');
is(ask('20380119T031408Z'), '204 20380119T031408Z', 'E-10 beyond 31 bits');

clock('2028-02-29 12:00:00');
is(ask('20280229T120000Z'), '204 20280229T120000Z', '29 February');

is(join(' ', $t->workers()), $worker, 'all by one worker');

$t->done();
