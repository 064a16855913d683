# The status page in a browser: what it shows of real traffic, that it asks for
# nothing but its JSON, and that it can be read: in the dark, on a phone, with a
# keyboard, by a screen reader.

###############################################################################

use v5.36;

use Cwd;
use Digest::SHA qw/ sha256_base64 /;
use JSON::PP;
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib 't/lib';
use Browser;
use Docs;
use S3Abort;

my $PAGE = 'monitoring/status.html';

###############################################################################

sub slurp($name) {
	open my $fh, '<:encoding(UTF-8)', $name or die "$name: $!\n";
	local $/;
	return <$fh>;
}

my $html = slurp($PAGE);

# its policy allows what it has, and nothing else

for my $tag (qw/ script style /) {
	my ($text) = $html =~ m!<$tag>(.*?)</$tag>!s;
	my ($hash) = $html =~ /$tag-src 'sha256-(\S+)'/;
	utf8::encode($text);
	is($hash, sha256_base64($text) . '=', "the policy's hash of the $tag");
}

unlike($html, qr/\bstyle=|\son\w+=|innerHTML|outerHTML|insertAdjacent
	|document\.write|\beval\b|unsafe-|https?:(?!\/\/www\.w3\.org\/2000\/svg)/x,
	'nothing inline, nothing from elsewhere, no markup of data');

###############################################################################

my $t = S3Abort->new();
my $storage = $t->storage();
my $port = $t->port();

my $odd = 'a"<img src=x onerror=alert(1)>&amp;.credentials';
$t->write($odd, $storage->credentials(), 0640);

# Served as the documentation says.

my ($recipe) = Docs::text('docs/monitoring.md', 'A status page', 'nginx')
	=~ /^server \{\n(.*?)^\}$/ms;
$recipe =~ s/listen .*?;//;
$recipe =~ s!/etc/nginx/s3_abort/!getcwd() . '/monitoring/'!e;

my $conf = <<'EOF' =~ s/RECIPE/$recipe/r;

%%LOAD%%
%%GLOBALS%%

events { }

http {
    %%HTTP%%

    s3_abort_endpoint storage {
        url          http://%%STORAGE%%;
        host         storage.test;
        region       kr-standard;
        credentials  %%TESTDIR%%/storage.credentials refresh=100ms;
    }

    s3_abort_endpoint idle {
        url          http://%%STORAGE%%;
        host         storage.test;
        region       kr-standard;
        credentials  '%%TESTDIR%%/a"<img src=x onerror=alert(1)>&amp;.credentials';
    }

    s3_abort_policy tenants { allow key=uploads/$s3_abort_tenant/*; }

    s3_abort_zone zone=s3_abort:1m;

    server {
        listen 127.0.0.1:%%PORT%%;

        location / {
            s3_abort_identity trusted $http_x_tenant;
            s3_abort_pass storage policy=tenants;
        }

        location /odd/ {
            root %%TESTDIR%%;
        }

        location = /forbidden/status.json {
            deny all;
        }

        location ~ ^/(?:odd|forbidden|none)/status.html$ {
            rewrite ^ /s3_abort/status.html last;
        }

        RECIPE
    }
}

EOF

mkdir $t->dir() . '/odd';
$t->run($conf);

my $browser = Browser->new($t);
my $page = $browser->page(url('s3_abort'));

sub url($directory) {
	return "http://127.0.0.1:$port/$directory/status.html?every=0.2";
}

###############################################################################

sub own($n = 1) {
	$t->abort('/media/uploads/alice/k?uploadId=A') for 1 .. $n;
}

# What stands in a row of a section, and what in a card, by a term.

sub row($section, $name, $nth = 0) {
	return $page->eval("[...[...document.querySelectorAll('#$section tr')]"
		. ".filter(r => r.dataset.name === '$name')[$nth].cells]"
		. ".slice(1).map(c => c.textContent).join(' ')") // '';
}

sub item($section, $name, $term) {
	$name = JSON::PP->new->allow_nonref->encode($name);
	return $page->eval("[...[...document.querySelectorAll('#$section "
		. ".item')].find(e => e.dataset.name === $name)"
		. ".querySelectorAll('dt')].find(d => d.textContent === '$term')"
		. "?.nextSibling.textContent") // '';
}

# Waits for the state of all, with words beside it.

sub shows($state, $headline, $name, $words = '.') {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$page->wait_for("document.documentElement.dataset.state === '$state'"
		. ' && ' . says($words), "$name: $state");
	is($page->eval('document.getElementById("headline").textContent'),
		$headline, "$name: headline");
	like($page->eval('document.title'), qr/^\Q$headline\E \S S3 aborts\z/,
		"$name: title");
}

sub says($words) {
	return "/$words/.test(document.getElementById('state').innerText)";
}

# nothing yet

shows('quiet', 'No aborts right now', 'no traffic',
	'There has been none that was done');
is(row('decisions', 'ALLOWED'), '0 0 never', 'no traffic: a decision');
like($page->eval('document.getElementById("codes").innerText'),
	qr/Nothing so far/, 'no traffic: no codes');
is($page->eval('document.querySelectorAll("#endpoints .item").length'), 2,
	'no traffic: endpoints');

# aborts that are done, at the storage's pace

$storage->answer({ status => 204, delay => 0.15 });
own(3);
shows('ok', 'Aborts work', 'done', 'All 3 aborts sent in the last');
like(row('decisions', 'ALLOWED'), qr/^3 3 (?:just now|\d s ago)\z/,
	'done: the decision');
like(row('outcomes', 'ABORTED'), qr/^3 3 /, 'done: the outcome');
is(item('endpoints', 'storage', '10 min'), '3 done, 0 failed',
	'done: the endpoint');
is(item('endpoints', 'storage', 'answers'), "3\x{a0}\x{d7}\x{a0}2xx", 'done: answers');
like(item('endpoints', 'storage', 'median, 95th'),
	qr/^(?:\d\d\d ms|\S+ s), (?:\d\d\d ms|\S+ s)\z/, 'done: latency');
like($page->eval('document.querySelector(".hist svg").ariaLabel'),
	qr/^Latency: [123] up to (?:[25]\d0 ms|\S+ s)/, 'done: the histogram');
$storage->answer(204);

# refusals, each by its code

$t->abort('/media/uploads/bob/k?uploadId=A') for 1 .. 4;
$t->abort('/media/uploads/bob/k?uploadId=A', 'X-Tenant', undef);
$t->abort('/media/uploads/alice/k?uploadId=') for 1 .. 2;
shows('refusing', 'Most aborts are refused', 'refused', '7 of 10 aborts');
is(row('codes', 'AccessDenied'), '4 4', 'refused: by the policy');
is(row('codes', 'AccessDenied', 1), '1 1', 'refused: no tenant');
is(row('codes', 'InvalidArgument'), '2 2', 'refused: nearly an abort');
like(row('decisions', 'INVALID'), qr/^2 2 /, 'refused: the decision');
is($page->eval('document.querySelector("#chart [role=img]").ariaLabel'),
	'Aborts of the last 10 minutes: 3 done, 7 refused, 0 failed',
	'refused: the chart');

# a storage that fails

$storage->answer('500 InternalError');
sleep 1;
own(4);
shows('failing', 'The storage fails', 'failing', '4 of 7 aborts');
like(row('outcomes', 'UNKNOWN'), qr/^4 4 /, 'failing: the outcome');
is(row('codes', 'InternalError'), '4 4', 'failing: the code');
is($page->eval('document.querySelector("#endpoints .badge").textContent'),
	'fails', 'failing: the endpoint');

# one that does not know the gateway, until there are other credentials

$t->expect_log(qr/the storage refuses the credentials/);
$storage->answer('403 InvalidAccessKeyId');
own(2);
shows('rejected', "The storage rejects the gateway\x{2019}s credentials",
	'credentials', 'storage: rejected .*storage\.credentials');
$t->wait_for(sub { item('endpoints', 'storage', 'credentials rejected')
	=~ /^2, last / }, 'credentials: the endpoint');

$storage->answer(204);
sleep 1;
$t->write('storage.credentials', "# new\n" . $storage->credentials(), 0640);
shows('failing', 'The storage fails', 'new credentials',
	'storage: its file was read again since');
own(5);
shows('degraded', 'Some aborts fail', 'recovered', '6 of 14 aborts');

# a file that went bad

$t->expect_log(qr/storage\.credentials/);
$t->write('storage.credentials', "nonsense\n", 0640);
$page->wait_for(says('storage.credentials cannot be used'),
	'a stale file: a note');
is($page->eval('document.querySelector("#files .badge").textContent'),
	'stale', 'a stale file: the file');
is(item('files', $t->dir() . '/storage.credentials', 'failures'), 1,
	'a stale file: a failure');
is(item('files', $t->dir() . "/$odd", 'has'), 'credentials of idle',
	'an odd name of a file');

$t->write('new.credentials', $storage->credentials(), 0640);
utime time - 5 * 86400, time - 5 * 86400, $t->dir() . '/new.credentials';
rename $t->dir() . '/new.credentials', $t->dir() . '/storage.credentials';
$page->wait_for('!' . says('cannot be used'), 'a good file: no note');
is($page->eval('document.querySelector(".tile:last-child dd").textContent'),
	'5 d old', 'a good file: its age');

###############################################################################
#
# What can be read, and how

my $LOW_CONTRAST = <<'EOF';
(() => {
    const rgb = (c) => (c.match(/[\d.]+/g) ?? []).map(Number)
        .map((n, i) => c.startsWith('color') && i < 3 ? 255 * n : n);
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((s, w, i) => {
        const v = rgb(c)[i] / 255;
        return s + w * (v <= 0.03928 ? v / 12.92
            : ((v + 0.055) / 1.055) ** 2.4);
    }, 0);
    const under = (e) => {
        for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if ((rgb(c)[3] ?? 1) > 0) return c;
        }
    };
    const low = new Set();
    const texts = document.createTreeWalker(document.body,
        NodeFilter.SHOW_TEXT);
    let count = 0;

    for (let n; n = texts.nextNode();) {
        const e = n.parentElement;
        if (!n.data.trim() || !e.checkVisibility()
            || e.closest('script, noscript, svg')) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(under(e))]
            .sort((x, y) => y - x);
        if (!((a + 0.05) / (b + 0.05) >= 4.5)) low.add(n.data.trim());
        count++;
    }

    return count > 50 ? [...low].join('; ') : 'no text';
})()
EOF

sub readable($name) {
	is($page->eval('document.documentElement.scrollWidth - innerWidth'), 0,
		"$name: nothing is cut off");
	is($page->eval($LOW_CONTRAST), '', "$name: contrast");
}

my $light = $page->eval('getComputedStyle(document.body).backgroundColor');

readable('light');
$page->look(dark => 1);
readable('dark');
isnt($page->eval('getComputedStyle(document.body).backgroundColor'), $light,
	'dark: another color');
$page->look(width => 360, height => 740, mobile => 1);
readable('a phone');
$page->look();

my @nodes = grep { !$_->{ignored} } @{$page->call(
	'Accessibility.getFullAXTree')->{nodes}};
my $said = sub (@roles) { map { $_->{name}{value} } grep { my $n = $_;
	grep { $n->{role}{value} eq $_ } @roles } @nodes };

is_deeply([sort $said->('heading')], [sort 'S3 aborts',
	'The last 10 minutes', 'What was decided',
	'What became of those allowed', 'What tenants got instead of 204',
	'Endpoints', 'storage', 'idle', 'Files of credentials and keys',
	$t->dir() . '/storage.credentials', $t->dir() . "/$odd"],
	'a screen reader: headings');

my @names = $said->(qw/ image button link heading region columnheader /);
cmp_ok(scalar @names, '>', 30, 'a screen reader: names');
is(scalar(grep { !length } @names), 0, 'a screen reader: names for all');
is(join(' ', ($said->('columnheader'))[0 .. 3]),
	'Decision 10 min in all last', 'a screen reader: tables');
is($page->eval('document.querySelectorAll("[role=status], [aria-live]")'
	. '.length'), 1, 'a screen reader: one line that it is told of');

# the keyboard pauses it, and lets it go on

sub key($key, $code) {
	$page->call('Input.dispatchKeyEvent', { type => $_, key => $key,
		windowsVirtualKeyCode => $code, $key eq 'Enter'
		? (text => "\r") : () }) for qw/ keyDown keyUp /;
}

key('Tab', 9);
is($page->eval('document.activeElement.textContent'), 'Pause',
	'keyboard: the button');
key('Enter', 13);
is($page->eval('document.activeElement.textContent'), 'Resume',
	'keyboard: paused');
is($page->eval('document.getElementById("reading").textContent'), 'paused',
	'keyboard: it says so');
sleep 0.2;
$page->eval('1');
my $count = $page->requests();
sleep 0.6;
$page->eval('1');
is(scalar $page->requests(), $count, 'keyboard: no requests');
key('Enter', 13);
$page->wait_for('/^read /.test(document.getElementById("reading")'
	. '.textContent)', 'keyboard: it goes on');

###############################################################################
#
# A gateway that is gone, and comes back without its counts

$t->stop();
shows('unreadable', 'The gateway cannot be read', 'gone',
	'nginx does not answer. What is below is from \d\d:\d\d:\d\d');
is($page->eval('getComputedStyle(document.getElementById("data")).opacity'),
	0.5, 'gone: what is old looks so');
$t->start();
shows('quiet', 'No aborts right now', 'back', 'The counters began anew at');
own(2);
shows('ok', 'Aborts work', 'back: an abort', 'All 2 aborts');
like(row('decisions', 'ALLOWED'), qr/^2 2 /, 'back: counted anew');

is(join("\n", grep { !/ERR_CONNECTION_REFUSED/ } $page->problems()), '',
	'no problems');
is_deeply([sort keys %{{ map { $_ => 1 } $page->requests() }}],
	[sort(url('s3_abort'), "http://127.0.0.1:$port/s3_abort/status.json")],
	'it asks for nothing but itself and its JSON');

# a page that is opened later knows when it was

$page->close();
$page = $browser->page(url('s3_abort'));
shows('ok', 'Aborts work', 'opened later', 'The last one was done \d+ s ago');
$page->close();

###############################################################################
#
# Names that it does not know, and answers that are none

my $xss = '<img src=x onerror=alert(1)>';
my $json = JSON::PP->new->utf8->decode($t->request(S3Abort::request_bytes(
	'GET', '/s3_abort/status.json'))->{body});

sub serve_odd($text = JSON::PP->new->latin1->encode($json)) {
	$t->write('odd/status.json', $text);
}

push @{$json->{requests}}, { decision => $xss, code => $xss, count => 1 };
$json->{endpoints}[0]{endpoint} = $xss;
$json->{endpoints}[0]{outcomes}{PARTS_REMAIN} = 0;
$json->{endpoints}[0]{outcomes}{$xss} = 0;
serve_odd();

$page = $browser->page(url('odd'));
shows('ok', 'Aborts work', 'odd names');
$_++ for values %{$json->{endpoints}[0]{outcomes}},
	map { $_->{count} } @{$json->{requests}};
serve_odd();
shows('degraded', 'Some aborts fail', 'odd names: counted');
like(row('outcomes', 'PARTS_REMAIN'), qr/^1 1 /, 'odd names: an outcome');
is($page->eval("document.querySelectorAll('[data-name=\"$xss\"]').length"), 4,
	'odd names: of a decision, an outcome, a code and an endpoint');
is($page->eval('document.querySelectorAll("img").length'), 0,
	'odd names: are text');
is($page->eval('document.querySelectorAll("#chart .key").length'), 4,
	'odd names: other outcomes have a color');
is(join("\n", $page->problems()), '', 'odd names: no problems');

for (['a list', '[]'], ['a number', '1'], ['null', 'null'], ['no JSON', '<p>'],
	['half of it', '{"time":1,"requests":[]}'])
{
	my ($name, $text) = @$_;

	serve_odd($text);
	shows('unreadable', 'The gateway cannot be read', $name,
		'status.json is not what "s3_abort_status json" answers');
	serve_odd();
	$page->wait_for('document.documentElement.dataset.reading === "yes"');
}

$page->go(url('forbidden'));
shows('unreadable', 'The gateway cannot be read', '403',
	'It answers 403: this address may not read it');
$page->go(url('none'));
shows('unreadable', 'The gateway cannot be read', '501', 'It answers 501');

$browser->stop();
$t->done();
