# "confirm on" with a real storage, and parts that are uploaded while an abort
# is under way: afterwards nothing is left of the upload, or the log says so.

###############################################################################

use v5.36;

use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep /;

use lib 't/lib';
use RGW;
use S3Abort;

my $ROUNDS = 20;

###############################################################################

my $rgw = RGW->start();
my $t = S3Abort->new();

# What is between the gateway and the storage lets an abort miss the parts, as
# Amazon's may: then it answers by itself.

my $between = $t->storage('between', confirm => 1, host => $rgw->{endpoint},
	access_key => $rgw->{access_key},
	keys => { $rgw->{access_key} => { secret => $rgw->{secret_key} } });

my ($limited, $limited_secret) = ('LIMITED1', 'canary/secret+limited');
$rgw->add_user('limited', $limited, $limited_secret);

$t->write('storage.credentials', $rgw->credentials(), 0640);
$t->write('limited.credentials', $rgw->credentials()
	=~ s/$rgw->{access_key}/$limited/r
	=~ s/\Q$rgw->{secret_key}\E/$limited_secret/r, 0640);

$t->run(<<'EOF' =~ s/%%RGW%%/$rgw->{endpoint}/gr);

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    upstream kept {
        server %%RGW%%;
        keepalive 4;
    }

    s3_abort_endpoint storage {
        url          http://kept;
        host         %%RGW%%;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
        confirm      on;
    }

    s3_abort_endpoint between {
        url          http://%%STORAGE_between%%;
        host         %%RGW%%;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials;
        confirm      on tries=2;
    }

    s3_abort_endpoint limited {
        url          http://kept;
        host         %%RGW%%;
        region       kr-standard;
        credentials  %%TESTDIR%%/limited.credentials;
        confirm      on;
    }

    s3_abort_policy tenants {
        allow  key=uploads/$s3_abort_tenant/*;
    }

    server {
        listen 127.0.0.1:%%PORT%%;

        s3_abort_identity  trusted $http_x_tenant;
        s3_abort_pass      $http_x_endpoint policy=tenants;
    }
}

EOF

$rgw->create_bucket('media');
my $empty = $rgw->contents();

###############################################################################

sub upload($name, @parts) {
	my $key = "uploads/alice/$name";
	my $id = $rgw->create_multipart_upload('media', $key);
	my $n = 0;

	$rgw->upload_part('media', $key, $id, ++$n, $_) for @parts;
	return ($key, $id);
}

# "status outcome: what the storage answered".

sub abort($endpoint, $key, $id) {
	my $r = $t->abort('/media/' . SigV4::uri_encode($key, '/')
		. "?uploadId=$id", 'X-Endpoint', $endpoint);
	my $entry = $t->audit($r);

	return "$r->{status} $entry->{outcome}: $entry->{upstream_status}";
}

for my $name ('an upload', @RGW::DIFFICULT) {
	my ($key, $id) = upload($name, 'a part');

	is(abort('storage', $key, $id), '204 ABORTED: 204, 404', "\"$name\"");
	is($rgw->contents(), $empty, "\"$name\": nothing is left");
}

is(abort('storage', upload('without parts')), '204 ABORTED: 204, 404',
	'an upload without parts');

###############################################################################

# A part of which a byte is missing when the upload is aborted.

for my $size (10, 6_000_000) {
	my ($key, $id) = upload('late', 'a part');
	my $end = $rgw->begin_part('media', $key, $id, 2, 'x' x $size);

	is(abort('storage', $key, $id), '204 ABORTED: 204, 404',
		"a late part of $size bytes");
	my $part = $end->();
	is("$part->{status} $part->{code}", '404 NoSuchUpload',
		"a late part of $size bytes: refused");
	is($rgw->contents(), $empty, "a late part of $size bytes: nothing "
		. 'is left');
}

###############################################################################

# Parts, one after the other, until the storage refuses one.  Returns a sub that
# waits for this, and returns how many it took.

sub race($key, $id, $first) {
	pipe my $read, my $write or die "pipe: $!\n";
	defined(my $pid = fork()) or die "fork: $!\n";

	if ($pid == 0) {
		my $n = 0;

		while ($n < 1000) {
			my $r = $rgw->upload_part('media', $key, $id,
				$first + $n, 'x' x 20_000);
			last if $r->{status} != 200;
			$n++;
		}

		syswrite $write, $n;
		POSIX::_exit(0);
	}

	return sub {
		close $write;
		my $n = <$read>;
		waitpid $pid, 0;
		return $n;
	};
}

my ($raced, $told) = (0, 0);

for my $round (1 .. $ROUNDS) {
	my ($key, $id) = upload("race $round");
	my @ends = map { race($key, $id, $_) } 1, 2001, 4001;

	# parts have begun to arrive
	sleep 0.002 while $rgw->list_parts('media', $key, $id)->{body}
		!~ /<Part>/;
	sleep rand 0.02;

	my $said = abort('storage', $key, $id);
	my @parts = map { $_->() } @ends;

	like($said, qr/^204 (?:ABORTED|PARTS_REMAIN): 204, /, "race $round");
	$raced++ if !grep { $_ >= 1000 } @parts;

	my $left = $rgw->contents() ne $empty;
	my $confessed = $said =~ /PARTS_REMAIN/;

	ok(!$left || $confessed, "race $round: nothing is left, or it is said")
		or diag($said, "\n", $rgw->contents());

	$told++ if $confessed;
	abort('storage', $key, $id) if $left;
}

is($raced, $ROUNDS, 'every abort ended uploads under way');
note("parts remained: $told times");
is($rgw->contents(), $empty, 'race: nothing is left');

###############################################################################

# Aborts that miss the parts.

sub relay($r) {
	my $sock = IO::Socket::INET->new(PeerAddr => $rgw->{endpoint});

	syswrite $sock, $r->{raw} =~ s/^Connection: \K.*(?=\r)/close/mr;
	local $/;
	return { raw => <$sock>, then => 'close' };
}

for my $n (1, 2) {
	my @missed = (204, \&relay) x $n;
	my ($key, $id) = upload("missed $n", 'a part', 'another');

	$between->answer([@missed, \&relay]);
	is(abort('between', $key, $id), '204 ABORTED: '
		. '204, 200, ' x $n . '204, 404', "missed by $n");
	is($rgw->contents(), $empty, "missed by $n: nothing is left");
}

my ($key, $id) = upload('missed by all', 'a part');

$between->answer([(204, \&relay) x 3]);
is(abort('between', $key, $id), '204 PARTS_REMAIN: '
	. join(', ', (204, 200) x 3), 'missed by all');
ok($rgw->has_upload('media', $key, $id), 'missed by all: it is there');
$between->answer(\&relay);
is(abort('between', $key, $id), '204 ABORTED: 204, 404', 'and aborted later');
is($rgw->contents(), $empty, 'nothing is left');

# An upload that has no parts, and is not gone.

($key, $id) = upload('missed, and empty');
$between->answer([204, \&relay]);
is(abort('between', $key, $id), '204 ABORTED: 204, 200', 'missed, and empty');
is(abort('storage', $key, $id), '204 ABORTED: 204, 404', 'and aborted later');

###############################################################################

# Credentials that may abort, and may not list.

$rgw->allow('media', 'AbortMultipartUpload', 'limited');
($key, $id) = upload('may not list', 'a part');

is(abort('limited', $key, $id), '204 ABORTED: 204, 403', 'may not list');
is($rgw->contents(), $empty, 'may not list: nothing is left');
like($t->error_log('warn'),
	qr/ListParts does not say whether parts remain: 403 AccessDenied/,
	'may not list: logged');

$t->done();

###############################################################################
