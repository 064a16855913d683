# s3_abort_base_path: the gateway below a prefix.  Other paths are not its own;
# what only nearly spells the prefix is nobody's.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();

# What is outside of the prefix may be handed on, aborts, too.

my $backend = $t->decoy('backend', unchecked => 1,
	answer => { status => 200, body => 'backend' });

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }
    s3_abort_identity trusted $http_x_tenant;

    # the whole server is ours, but the prefix

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_base_path /gw.1/s3;
        s3_abort_pass storage policy=all;

        location / { proxy_pass http://%%STORAGE_backend%%; }
    }

    # the same, where there is no other handler

    server {
        listen 127.0.0.1:%%PORT_2%%;
        s3_abort_base_path /gw.1/s3/;
        s3_abort_pass storage policy=all;

        location / { }
    }

    # a location is ours

    server {
        listen 127.0.0.1:%%PORT_3%%;

        location /gw.1/s3 {
            s3_abort_base_path /gw.1/s3;
            s3_abort_pass storage policy=all;
        }

        location /inner {
            s3_abort_base_path /inner;
            s3_abort_pass storage policy=all;

            location /inner/most {
                s3_abort_base_path /inner/most;
            }
        }

        location /moved {
            rewrite ^/moved(.*) /gw.1/s3$1 last;
        }

        location / { proxy_pass http://%%STORAGE_backend%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;
        merge_slashes off;
        s3_abort_base_path /gw.1/s3;
        s3_abort_pass storage policy=all;

        location / { proxy_pass http://%%STORAGE_backend%%; }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

# Status and code; then what the storage saw, or "backend".

sub ask($port, $target, $method = 'DELETE') {
	my $r = $t->request(S3Abort::request_bytes($method, $target),
		port => $port);
	my $body = $r->{body} eq 'backend' ? ' backend' : '';

	return $r->{status} . ($r->{code} && " $r->{code}") . $body
		. join '', map { " $_->{target}" } $t->sent();
}

sub everywhere($name, $path, $want, %other) {
	for my $port (1 .. 4) {
		my $expected = $other{$port} // $want;

		like(ask($port, "$path$q"), ref $expected ? $expected
			: qr/^\Q$expected\E\z/, "$name, $port");
	}
}

my $other = '200 backend';
my %none = (2 => '501 NotImplemented');

# within

for (['a key', '/media/k', '/media/k'],
	['slashes', '/media//a//', '/media//a//'],
	['the prefix in a key', '/media/gw.1/s3/k', '/media/gw.1/s3/k'],
	['a bucket like the prefix', '/gw.1/s3', '/gw.1/s3'],
	['escapes', '/media/a%2fb%20c', '/media/a/b%20c'])
{
	everywhere("within: $_->[0]", "/gw.1/s3$_->[1]", "204 $_->[2]$q");
}

for (['nothing more', ''], ['a slash', '/'], ['a bucket', '/media'],
	['a bucket and a slash', '/media/'], ['two slashes', '//media/k'],
	['dots back', '/../s3/media/k'], ['a dot', '/./media/k'],
	['out', '/../media/k'], ['far out', '/../../media/k'],
	['out, encoded', '/%2e%2e/media/k'])
{
	# nginx selects a location by the normalised path: another one

	everywhere("within, no abort: $_->[0]", "/gw.1/s3$_->[1]",
		qr/^400 Invalid\w+\z/, $_->[0] =~ /out/ ? (3 => $other) : ());
}

###############################################################################
#
# Outside: the other handler, or none

for (['another path', '/media/k'], ['the root', '/'],
	['a longer name', '/gw.1/s3x/media/k'], ['a shorter one', '/gw.1/s'],
	['its start', '/gw.1'], ['its start and a slash', '/gw.1/'],
	['another case', '/gw.1/S3/media/k'],
	['a dot is a dot', '/gw-1/s3/media/k'],
	['a parameter of the path', '/gw.1;x/s3/media/k'],
	['an escape elsewhere', '/other/%73%33/k'],
	['the prefix further on', '/a/gw.1/s3/media/k'])
{
	everywhere("outside: $_->[0]", $_->[1], $other, %none, $_->[0]
		eq 'a longer name' ? (3 => $none{2}) : ());
}

is(ask(1, '/media/k?uploadid=A'), $other, 'outside: nearly an abort, too');
is(ask(1, '/media/k'), $other, 'outside: no abort');
is(ask(1, "/gw.1/s3/media/k$q", 'GET'), $other, 'within: another method');
is(ask(1, '/gw.1/s3/media/k'), $other, 'within: no abort');
is(ask(1, '/gw.1/s3/media/k?uploadid=A'), '400 InvalidArgument',
	'within: nearly an abort');
is(ask(2, '/gw.1/s3/media/k'), '501 NotImplemented', 'within: not implemented');

my $log = ($t->access_log())[-1];
$t->request(S3Abort::request_bytes('DELETE', "/media/k$q"));
$t->wait_for(sub { ($log) = grep { $_->{status} == 200 }
	($t->access_log())[-1] });
is(join('', map { $log->{$_} } qw/ tenant bucket key upload_id target decision
	error outcome /), '', 'outside: the variables are empty');

###############################################################################
#
# What nginx, or somebody behind it, might take for the prefix

for (['an encoded letter', '/gw.1/%733/media/k'],
	['an encoded dot', '/gw%2e1/s3/media/k'],
	['an encoded slash within', '/gw.1%2Fs3/media/k'],
	['an encoded slash behind', '/gw.1/s3%2Fmedia/k'],
	['an encoded slash before', '/%2Fgw.1/s3/media/k'],
	['two slashes before', '//gw.1/s3/media/k'],
	['two slashes within', '/gw.1//s3/media/k'],
	['dots before', '/../gw.1/s3/media/k'],
	['a dot before', '/./gw.1/s3/media/k'],
	['a dot within', '/gw.1/./s3/media/k'],
	['a detour', '/a/../gw.1/s3/media/k'],
	['an encoded detour', '/a/%2e%2e/gw.1/s3/media/k'],
	['a detour, half encoded', '/a/.%2E/gw.1/s3/media/k'],
	['a detour, with an encoded slash', '/a/..%2fgw.1/s3/media/k'],
	['a detour within', '/gw.1/a/../s3/media/k'],
	['the prefix alone, encoded', '/gw.1/%733'],
	['a bad escape', '/gw.1/%zz3/media/k'],
	['half an escape', '/gw.1/s3%4'])
{
	my ($name, $path) = @$_;

	# what nginx itself refuses need not be S3's XML

	everywhere("near miss: $name", $path, $name =~ /escape|dots before/
		? qr/^400/ : qr/^400 Invalid\w+\z/);
}

###############################################################################
#
# The raw target counts

is(ask(3, "/moved/media/k$q"), '501 NotImplemented',
	'a rewrite into the prefix: the raw target is outside of it');
is(ask(3, "/inner/media/k$q"), "204 /media/k$q", 'a location');
is(ask(3, "/inner/most/media/k$q"), "204 /media/k$q",
	'a location within, a longer prefix');
is(ask(1, "http://gw.test/gw.1/s3/media/k$q"), "204 /media/k$q",
	'absolute form');
is(ask(1, "http://gw.test/media/k$q"), $other, 'absolute form, outside');
is(ask(1, "http://gw.test/a/../gw.1/s3/media/k$q"), '400 InvalidURI',
	'absolute form, a near miss');

is($t->request(S3Abort::request_bytes('DELETE', "/gw.1/s3/media/a%20k$q",
	'X-Tenant' => undef))->{resource}, '/media/a k',
	'answers name bucket and key alone');

$t->done();
