# The alert rules and the dashboard, with the metrics of a real run: what
# happens is scraped, and Prometheus' own evaluator says which alerts it fires
# and what the dashboard has to show.

###############################################################################

use v5.36;

use Cwd;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Docs;
use S3Abort;

# of the Debian package "prometheus"; "make" takes it out

my ($PROMTOOL) = grep { -x } getcwd() . '/build/promtool',
	map { "$_/promtool" } split /:/, $ENV{PATH};

###############################################################################

$PROMTOOL or die "no promtool: \"make build/promtool\"\n";

sub promtool($directory, @arguments) {
	defined(my $pid = open my $pipe, '-|') or die "fork: $!\n";

	if ($pid == 0) {
		chdir $directory;
		open STDERR, '>&', \*STDOUT;
		exec $PROMTOOL, @arguments or die "$PROMTOOL: $!\n";
	}

	my $output = do { local $/; <$pipe> };
	close $pipe;
	return ($?, $output);
}

sub runs($name, $directory, @arguments) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $output) = promtool($directory, @arguments);
	is($status, 0, $name) or diag($output);
}

sub slurp($name) {
	open my $fh, '<', $name or die "$name: $!\n";
	local $/;
	return <$fh>;
}

runs('the rules', 'monitoring', qw/ check rules alerts.yml /);
runs('their examples', 'monitoring', qw/ test rules alerts_test.yml /);

my $alerts = slurp('monitoring/alerts.yml');
my @alerts = $alerts =~ /- alert: (\w+)/g;
my $examples = slurp('monitoring/alerts_test.yml');
is_deeply([grep { $examples !~ /\b$_\b/ } @alerts], [],
	'there is an example of each');

my %severities = $alerts =~ /- alert: (\w+)\n.*?severity: (\w+)/gs;
is_deeply({ slurp('docs/monitoring.md') =~ /^\| (S3Abort\w+) \| (\w+) \|/mg },
	\%severities, 'the documentation has them');

###############################################################################
#
# A run

my $t = S3Abort->new();
my $storage = $t->storage();

$t->write('prometheus.yml', Docs::text('docs/monitoring.md', 'Alerts', 'yaml')
	=~ s!/etc/prometheus/s3_abort_!getcwd() . '/monitoring/'!er);
runs("the documentation's prometheus.yml", $t->dir(),
	qw/ check config prometheus.yml /);

$t->run(<<'EOF');

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

    s3_abort_policy tenants { allow "key~(a+)+\$|uploads/.*"; }

    s3_abort_zone zone=s3_abort:1m;

    server {
        listen 127.0.0.1:%%PORT%%;
        s3_abort_identity trusted $http_x_tenant;

        location / {
            s3_abort_pass storage policy=tenants;
        }

        location = /metrics {
            s3_abort_status prometheus;
        }
    }
}

EOF

# What happens, one thing after the other, each for so many minutes; what was
# scraped then: { name and labels => [value, ...] }, undef where it was not
# there (yet); and when it began.

my (%series, %begin, $requests, $minutes);

sub happens($phase, $last, $more = 0) {
	my %now;

	# a request is counted a moment after it was answered

	$requests += $more;
	$t->wait_for(sub { %now = metrics(); $requests == sum_of(\%now) },
		"$phase: counted");

	$begin{$phase} = $minutes // 0;
	$minutes += $last;

	for (keys %now) {
		$series{$_}[$begin{$phase}] = $now{$_};
		$series{$_}[$minutes - 1] = undef;
	}
}

sub metrics() {
	my $r = $t->request(S3Abort::request_bytes('GET', '/metrics'));

	return map { /^(\w+)(?:\{(.*)\})? (\S+)\z/ or die "line: $_\n";
		("$1\{" . join(',', $2 // (), 'job="nginx"',
		'instance="gateway"') . '}' => $3) }
		grep { !/^#/ } split /\n/, $r->{body};
}

sub sum_of($metrics) {
	my $sum = 0;
	$sum += $metrics->{$_}
		for grep { /^s3_abort_decisions_total/ } keys %$metrics;
	return $sum;
}

sub aborts($n, $key, $answer) {
	$storage->answer($answer);
	$t->abort("/media/$key?uploadId=A") for 1 .. $n;
}

happens('nothing', 80);

aborts(10, 'uploads/a', 204);
happens('aborts', 20, 10);

aborts(30, 'other', 204);
happens('refusals', 20, 30);

my $second = time + 1;
$t->wait_for(sub { time > $second });
$t->reload();
aborts(5, 'uploads/a', '500 InternalError');
happens('a storage that fails', 20, 5);

$t->expect_log(qr/the storage refuses the credentials/);
aborts(3, 'uploads/a', '403 SignatureDoesNotMatch');
happens('credentials that are rejected', 20, 3);

$t->expect_log(qr/storage\.credentials/);
$t->write('storage.credentials', "nonsense\n", 0640);
$t->wait_for(sub { my %m = metrics();
	grep { /^s3_abort_file_stale/ && $m{$_} } keys %m }, 'a file is stale');
happens('a stale file', 20);

$t->write('storage.credentials', $storage->credentials(), 0640);
$t->wait_for(sub { my %m = metrics();
	!grep { /^s3_abort_file_stale/ && $m{$_} } keys %m }, 'it is not');
aborts(1, 'a' x 1000 . '!', 204);
happens('a limit', 20, 1);

$begin{'no metrics'} = $minutes;
$minutes += 20;

# Values as promtool takes them: each scrape stays until the next one.

sub values_of($name) {
	my $last;
	return join ' ', map { my $new = $series{$name}[$_];
		($last = $new // $last) // '_' } 0 .. $begin{'no metrics'} - 1;
}

sub evaluates($name, @tests) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$t->write('test.yml', JSON::PP->new->canonical->encode({
		rule_files => [getcwd() . '/monitoring/alerts.yml'],
		evaluation_interval => '1m',
		tests => [{ interval => '1m', input_series => [map {
			{ series => $_, values => values_of($_) . ' stale' } }
			sort keys %series], promql_expr_test => \@tests }] }));

	runs($name, $t->dir(), qw/ test rules test.yml /);
}

# The alerts that each fires, so many minutes after it began.

my %FIRES = (
	nothing => [],
	aborts => [],
	refusals => ['S3AbortRefusalsRising'],
	'a storage that fails' => ['S3AbortStorageFailing'],
	'credentials that are rejected' => ['S3AbortCredentialsRejected',
		'S3AbortStorageFailing'],
	'a stale file' => ['S3AbortFileStale'],
	'a limit' => ['S3AbortPolicyLimit'],
	'no metrics' => ['S3AbortAbsent'],
);

for my $phase (sort { $begin{$a} <=> $begin{$b} } keys %FIRES) {
	my $at = $begin{$phase} + ($phase eq 'no metrics' ? 8 : 4);

	evaluates("$phase: fires " . (join(', ', @{$FIRES{$phase}})
		|| 'nothing'), {
		expr => 'count by (alertname) (ALERTS{alertstate="firing"})',
		eval_time => "${at}m",
		exp_samples => [map { { labels => qq!{alertname="$_"}!,
			value => 1 } } @{$FIRES{$phase}}] });
}

###############################################################################
#
# The dashboard

my $dashboard = JSON::PP->new->utf8->decode(slurp('monitoring/grafana.json'));
my @panels = @{$dashboard->{panels}};

my @expressions = map { my $p = $_; map { [$p->{title}, $_->{expr}] }
	@{$p->{targets}} } @panels;
my @annotations = map { [$_->{name}, $_->{expr}] }
	@{$dashboard->{annotations}{list}};

cmp_ok(scalar @expressions, '>', 20, 'dashboard: expressions');

# each has something to show while aborts fail, which began with a reload

sub shows($minute, @list) {
	return map { {
		expr => 'sum(count(' . ($_->[1]
			=~ s/\$__rate_interval/5m/gr
			=~ s/\$(?:job|instance|endpoint)\b/.*/gr)
			. ')) > bool 0',
		eval_time => $begin{'a storage that fails'} + $minute . 'm',
		exp_samples => [{ labels => '{}', value => 1 }],
	} } @list;
}

evaluates('dashboard: all panels show something', shows(4, @expressions));
evaluates('dashboard: a reload is shown', shows(0, @annotations));

my %known = map { s/\{.*//r => 1 } keys %series;
my $queries = join "\n", $alerts =~ s/\bs3_abort_(?:status|zone)\b//gr,
	map({ $_->[1] } @expressions, @annotations),
	map { $_->{query}{query} } grep { ref $_->{query} }
	@{$dashboard->{templating}{list}};

is_deeply([grep { !$known{$_} } $queries =~ /\b(s3_abort_\w+)\b/g], [],
	'rules and dashboard: metrics that there are');

my @unused = grep { $queries !~ /\b$_\b/ } sort keys %known;
cmp_ok(scalar @unused, '<', 5, 'rules and dashboard: nearly all of them')
	or diag("@unused");

# its form

my (%ids, %taken, @wrong);

for my $p (@panels) {
	my ($x, $y, $w, $h) = @{$p->{gridPos}}{qw/ x y w h /};

	push @wrong, "$p->{title}: id" if $ids{$p->{id}}++;
	push @wrong, "$p->{title}: no description" if !$p->{description};
	push @wrong, "$p->{title}: too wide" if $x + $w > 24;
	push @wrong, map { "$p->{title}: data source" }
		grep { $_->{datasource}{uid} ne '${datasource}' }
		$p, @{$p->{targets}};

	for my $cell (map { my $i = $_; map { "$i,$_" } $y .. $y + $h - 1 }
		$x .. $x + $w - 1)
	{
		push @wrong, "$p->{title}: over another one"
			if $taken{$cell}++;
	}
}

is_deeply(\@wrong, [], 'dashboard: panels');

$t->done();
