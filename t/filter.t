# A filter of another module replaces the answer of an abort that was sent:
# image_filter takes no answer for one that is no image.

###############################################################################

use v5.36;

use Test::More;

use lib 't/lib';
use S3Abort;

###############################################################################

my $FILTER = '/usr/lib/nginx/modules/ngx_http_image_filter_module.so';

my $t = S3Abort->new();
my $storage = $t->storage();
my $decoy = $t->decoy('backend');

$t->run(<<"EOF");

%%LOAD%%
load_module $FILTER;
%%GLOBALS%%

events { }

http {
    %%HTTP%%
    %%ENDPOINT%%

    s3_abort_policy own { allow key=\$s3_abort_tenant/*; }
    s3_abort_identity trusted \$http_x_tenant;

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_pass storage policy=own;

        location / {
            image_filter test;
        }

        location /page/ {
            s3_abort_base_path /page;
            image_filter test;
            error_page 403 404 415 = \@page;
        }

        location /redirect/ {
            s3_abort_base_path /redirect;
            image_filter test;
            error_page 403 404 415 /media/alice/other?uploadId=B;
        }

        location /text {
            image_filter test;
            return 200 "no image";
        }

        location \@page {
            proxy_pass http://%%STORAGE_backend%%;
        }
    }
}

EOF

###############################################################################

my @answers = (
	[204, '204 ', 'ABORTED'],
	['404 NoSuchUpload', '404 NoSuchUpload', 'GONE'],
	['500 InternalError', '500 InternalError', 'UNKNOWN'],
);

for my $path ('', '/page', '/redirect') {
	for (@answers) {
		my ($answer, $want, $outcome) = @$_;
		my $name = join ' ', 'K-21', $path || 'no error page', $answer;

		$storage->answer($answer);
		my $r = $t->abort("$path/media/alice/k?uploadId=A");

		is("$r->{status} $r->{code}", $want, "$name: answer");
		is(join(' ', map { $_->{target} } $t->sent()),
			'/media/alice/k?uploadId=A', "$name: sent once");

		my $log = $t->audit($r);
		is("$log->{status} $log->{outcome}", "$r->{status} $outcome",
			"$name: log");
	}
}

my $text = $t->request(S3Abort::request_bytes('GET', '/text'));
is($text->{status}, 415, 'no abort: what is no image is an error');

$t->done();

###############################################################################
