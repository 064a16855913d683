# Bucket and key are decoded once; the policy judges, and the wire carries,
# that one value, encoded once.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();

$t->run(<<'EOF');

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy all { allow; }

    s3_abort_policy strict {
        allow  key=a/*;
        allow  key=team1*;
        allow  key=team2/*;
        allow  key~up[0-9]+;
        allow  key=plus+key;
        allow  key=n%2Fn;
        deny   key=a/secret*;
    }

    s3_abort_identity trusted $http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        merge_slashes off;
        location / { s3_abort_pass storage policy=all; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;
        location / { s3_abort_pass storage policy=strict; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%%;
        s3_abort_pass storage policy=all;

        location /media/rewrite {
            rewrite ^ /other/key?uploadId=B break;
        }

        location /media/last {
            rewrite ^ /target/key last;
        }

        location /target/ { }

        location /media/alias/ {
            alias %%TESTDIR%%/html/;
        }

        location ~ ^/media/capture/(?<bucket>.*) {
            set $key $bucket;
            set $args uploadId=B;
        }
    }
}

EOF

###############################################################################

my $q = '?uploadId=A';

$t->aborts(map { [$_->[0], "/media/$_->[1]$q", "/media/$_->[2]$q"] }
	['B-01 encoded slash', 'a%2Fb', 'a/b'],
	['B-01 lower-case', 'a%2fb', 'a/b'],
	['B-05 two slashes', 'a//b', 'a//b'],
	['B-05 slash at the start', '/k', '/k'],
	['B-05 three slashes', '//k//', '//k//'],
	['B-07 double encoding', 'a%252Fb', 'a%252Fb'],
	['B-07 encoded escape', '%25%32%65', '%252e'],
	['B-07 encoded dots', '%252e%252e/k', '%252e%252e/k'],
	['B-08 raw plus', 'a+b', 'a%2Bb'],
	['B-08 space', 'a%20b', 'a%20b'],
	['B-08 encoded plus', 'a%2Bb', 'a%2Bb'],
	['B-09 at sign', 'mac@2x.png', 'mac%402x.png'],
	['B-09 punctuation',
		q{!*'()~;:,$&=}, '%21%2A%27%28%29~%3B%3A%2C%24%26%3D'],
	['B-09 unreserved', 'aZ09-._~', 'aZ09-._~'],
	['B-09 question mark', 'a%3Fb%3fuploadId=x', 'a%3Fb%3FuploadId%3Dx'],
	['B-09 number sign', 'a%23b', 'a%23b'],
	['B-12 composed', 'caf%C3%A9', 'caf%C3%A9'],
	['B-12 decomposed', 'cafe%cc%81', 'cafe%CC%81'],
	['B-13 tilde', 'a%7eb', 'a~b'],
	['B-13 needless escapes', '%61%2D%5f%2E', 'a-_.'],
	['B-19 backslash', 'a\\b', 'a%5Cb'],
	['B-19 quotation mark', 'a"b', 'a%22b'],
	['B-19 less-than sign', 'a<b>', 'a%3Cb%3E'],
	['B-19 caret, bar, braces', 'a^|{}`[]', 'a%5E%7C%7B%7D%60%5B%5D'],
	['B-19 raw UTF-8', "\xea\xb0\x80.bin", '%EA%B0%80.bin'],
	['Hangul and a space', 'a%20b/%EA%B0%80%EB%82%98.bin',
		'a%20b/%EA%B0%80%EB%82%98.bin'],
	['four bytes of UTF-8', '%F0%9F%98%80', '%F0%9F%98%80'],
	['the last code point', '%F4%8F%BF%BF', '%F4%8F%BF%BF'],
	['B-21 1024 bytes', 'k' x 1024, 'k' x 1024],
	['B-21 1024 bytes, encoded', '%6B' x 1024, 'k' x 1024],
	['B-21 1024 bytes that stay encoded', '%20' x 1024, '%20' x 1024],
	['B-22 dot at the end', 'k.', 'k.'],
	['B-22 space at the end', 'k%20', 'k%20'],
	['B-22 slash at the end', 'k/', 'k/'],
	['three dots are no dot segment', '.../..k/k..', '.../..k/k..'],
	['one byte', 'k', 'k'],
);

$t->aborts(map { [$_->[0], "/$_->[1]$q", '400 InvalidURI'] }
	['B-03 dot segments', 'media/allowed/../secret'],
	['B-03 encoded', 'media/allowed/%2e%2e/secret'],
	['B-03 encoded slash', 'media/allowed/..%2fsecret'],
	['B-03 half encoded', 'media/allowed/.%2E/secret'],
	['B-03 a single dot', 'media/./secret'],
	['B-03 at the end', 'media/a/..'],
	['B-03 a dot alone', 'media/.'],
	['B-03 encoded dot at the end', 'media/a%2F%2E'],
	['B-11 overlong', 'media/%c0%ae%c0%ae%c0%af'],
	['B-11 overlong slash', 'media/%e0%80%af'],
	['B-11 surrogate', 'media/%ed%a0%80'],
	['B-11 ff', 'media/%ff'],
	['B-11 beyond the last code point', 'media/%F4%90%80%80'],
	['B-11 cut off', 'media/a%EA%B0'],
	['B-11 raw', "media/\xff"],
	['B-14 CR LF', 'media/k%0d%0aHost:x'],
	['B-14 LF', 'media/k%0A'],
	['B-14 TAB', 'media/a%09b'],
	['B-14 other control bytes', 'media/a%01%1f'],
	['B-14 DEL', 'media/a%7F'],
	['B-15 fragment before the query', 'media/k#frag'],
);

$t->aborts(
	['B-02 encoded slash behind the bucket', "/media%2Fk$q",
		qr/^400 Invalid(?:BucketName|Request)\z/],
	['B-02 and another segment', "/media%2Fk/l$q", '400 InvalidBucketName'],
	['B-04 out of the bucket', "/media/../other/k$q", '400 InvalidURI'],
	['B-04 encoded', "/media/%2e%2e/other/k$q", '400 InvalidURI'],
	['B-04 above the root', "/../media/k$q", '400'],
	['B-05 bucket behind two slashes', "//media/k$q",
		qr/^400 Invalid\w+\z/],
	['B-10 NUL', "/media/%00k$q", '400'],
	['B-10 NUL within', "/media/k%00.txt$q", '400'],
	['B-10 raw NUL', "/media/k\0$q", '400'],
	['B-14 raw TAB', "/media/a\tb$q", '400'],
	['B-14 raw DEL', "/media/a\x7fb$q", '400'],
	['B-14 raw CR', "/media/a\rb$q", '400'],
	['B-14 raw LF', "/media/a\nb$q", qr/^(?:400|)\z/],
	['B-14 raw CR LF', "/media/a\r\nHost: x$q", qr/^(?:400|)\z/],
	['K-28 a key that is a slash', "/media//$q", '400 InvalidRequest'],
	['K-28 encoded', "/media/%2F$q", '400 InvalidRequest'],
	['K-28 more of them', "/media//%2f//$q", '400 InvalidRequest'],
	['B-15 fragment behind the id', "/media/k$q#x",
		qr/^400 Invalid(?:URI|Argument)\z/],
	['B-19 raw space', "/media/a b$q", '400'],
	['B-20 bad escape', "/media/a%zz$q", '400'],
	['B-20 half an escape', "/media/a%1$q", '400'],
	['B-20 percent sign', "/media/a%$q", '400'],
	['B-21 1025 bytes', '/media/' . 'k' x 1025 . $q, '400 KeyTooLongError'],
	['B-21 1025 bytes, encoded', '/media/' . '%6B' x 1025 . $q,
		'400 KeyTooLongError'],
	['B-25 https in absolute form', "https://gw.test/media/k$q", '400'],
	['B-25 ftp in absolute form', "ftp://gw.test/media/k$q", '400'],
);

$t->aborts(map { ["B-28 bucket: $_", "/$_/k$q", '400 InvalidBucketName'] }
	qw/ Media MEDIA ab a -media media- .media media. me_dia me%64ia m%65dia
	192.168.0.1 1.2.3.4 media%20 me~dia me:dia %EA%B0%80%EA%B0%80 /,
	'a' x 64);

$t->aborts(map { ["bucket: $_", "/$_/k$q", "/$_/k$q"] }
	qw/ abc a-b 0a0 a.b my.bucket-1 1.2.3.4.5 /, 'a' x 63);

###############################################################################

for my $case (['two slashes', 'a//b'], ['at the start', '/k'],
	['at the end', 'k//'])
{
	my $r = $t->request(S3Abort::request_bytes('DELETE',
		"/media/$case->[1]$q"), port => 2);

	is("$r->{status} " . ($t->sent())[0]{target},
		"204 /media/$case->[1]$q",
			"B-05 merge_slashes off: $case->[0]");
}

###############################################################################

my @judged = (
	['B-01 allowed', 'a/b', 204],
	['B-01 allowed, encoded', 'a%2Fb', 204],
	['B-01 denied', 'a/secret', 403],
	['B-01 denied, encoded', 'a%2Fsecret', 403],
	['B-01 denied, each letter encoded', 'a/%73%65%63%72%65%74', 403],
	['B-07 decoded once', 'n%252Fn', 204],
	['B-07 not decoded twice', 'n%2Fn', 403],
	['B-07 not decoded twice, denied', 'a%252Fb', 403],
	['B-08 plus', 'plus+key', 204],
	['B-08 encoded plus', 'plus%2Bkey', 204],
	['B-08 space', 'plus%20key', 403],
	['B-26 a prefix without a slash', 'team10/x', 204],
	['B-26 a prefix with a slash', 'team2/x', 204],
	['B-26 another team', 'team20/x', 403],
	['B-27 regex, whole key', 'up1', 204],
	['B-27 regex, prefix', 'up1x', 403],
	['B-27 regex, suffix', 'xup1', 403],
	['B-22 slash at the end', 'team2', 403],
);

for (@judged) {
	my ($name, $key, $status) = @$_;
	my $r = $t->request(S3Abort::request_bytes('DELETE', "/media/$key$q"),
		port => 3);

	is($r->{status}, $status, "judged: $name");
	$t->nothing_sent("nothing sent: $name") if $status == 403;
}

###############################################################################

for my $path (qw{ rewrite/k last/k alias/index.html capture/k }) {
	my $r = $t->request(S3Abort::request_bytes('DELETE', "/media/$path$q"),
		port => 4);

	is("$r->{status} " . join(' ', map { $_->{target} } $t->sent()),
		"204 /media/$path$q", "B-23 the raw target counts: $path");
}

$t->done();
