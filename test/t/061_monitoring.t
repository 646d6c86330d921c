# monitoring/: Prometheus and its exporter, as Debian packages them, watch a
# cluster by a role that is a member of pg_monitor and no more.  Every query of
# the exporter's file gives samples, every expression of the alert rules and of
# Grafana's dashboard gives data, and the death of a node is an alert.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Prometheus;
use Test::More;

my $monitoring = "$FindBin::RealBin/../../monitoring";
my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near', delay => '80ms' } ],
	setup => 'CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');
$app->do(q{SELECT consistency.set_policy('t', 'bounded', max_staleness => '1 s')});
$cluster->wait_replayed;

# --- what is started ------------------------------------------------------

my ($valid, $complaint) = promtool('check', 'rules', "$monitoring/alerts.rules.yaml");
ok($valid, 'promtool accepts the rules') or diag($complaint);

# Rules as they are, but without the patience.
my $rules = slurp_file("$monitoring/alerts.rules.yaml");
$rules =~ s/^( +for:) \d+m$/$1 0s/mg;
my $rules_file = PostgreSQL::Test::Utils::tempdir('rules') . '/rules.yaml';
append_to_file($rules_file, $rules);

my %port = map {
	$_ => start_exporter($cluster->node($_), 'watcher', "$monitoring/postgres_exporter.yaml")
} $cluster->names;
my $prometheus = Prometheus->new(targets => \%port, rules => $rules_file);

# --- something to see -------------------------------------------------------

my $reader = $cluster->connect('near');
$reader->do("SET consistency.wait_timeout = '5 s'");
my $hasty = $cluster->connect('near');
$hasty->do("SET consistency.wait_timeout = '5 ms'");
my $unlucky = $cluster->connect('near');
$unlucky->do("SET consistency.wait_timeout = '5 ms'");
$unlucky->do("SET consistency.on_timeout = 'error'");
my $content = $cluster->connect('near');
$content->do("SET consistency.wait_timeout = '5 ms'");
$content->do("SET consistency.on_timeout = 'stale'");

# Reads of every kind at the replica: given up, refused, stale, and last, as the
# others then needn't wait, after a wait.
sub traffic
{
	$app->do('INSERT INTO t VALUES (1)');
	my $token = $app->parameter('consistency.token');
	foreach my $session ($hasty, $unlucky, $content, $reader)
	{
		$session->do("SET consistency.token = '$token'");
		$session->query(q{SELECT count(*) FROM pg_class WHERE relname = 't'});
	}
	$reader->do('SELECT count(*) FROM t');
	$hasty->query("SET consistency.token = 'nonsense'");
	return;
}

# Series of an expression, those left out whose value isn't a number.
sub data
{
	my ($expression) = @_;
	return grep { $_->{value}[1] ne 'NaN' } @{ $prometheus->query($expression) };
}

# Waits until an expression has data, with something going on.
sub has_data
{
	my ($expression, $what) = @_;
	my $there = eval {
		wait_until(sub { data($expression) or do { traffic(); 0 } }, $what, 20);
	};
	ok($there, "$what has data") or diag("$expression: $@");
	return;
}

# --- every query of the exporter ---------------------------------------------

# alerts() has rows only if there is something to tell
$cluster->primary->safe_psql('postgres',
	"CREATE SERVER gone FOREIGN DATA WRAPPER consistency OPTIONS (host '127.0.0.1', port '1')");

my $queries = slurp_file("$monitoring/postgres_exporter.yaml");
my %query = $queries =~ /^(\w+):\n  query: \|\n((?:    .*\n)+)/mg;
is(scalar(keys %query), scalar(() = $queries =~ /^\w+:$/mg), 'all queries are looked at');

# --- what the exporters say
foreach my $name (sort keys %query)
{
	foreach my $node ($name eq 'consistency_fallbacks' ? 'near' : $cluster->names)
	{
		has_data(qq({__name__=~"${name}_.+", instance="$node"}), "$name at $node");
	}
}
my @broken = data('pg_exporter_last_scrape_error + on (instance) pg_exporter_user_queries_load_error > 0');
is(scalar(@broken), 0, 'and no query fails');
is_deeply(
	[ sort map { "$_->{metric}{node} $_->{value}[1]" } data('consistency_node_primary{instance="near"}') ],
	[ 'gone 0', 'near 0', 'primary 1' ],
	'what a replica knows of the nodes');
# once nothing was going on between these two queries
my $equal = 'sum(consistency_wait_seconds_count{instance="near"}) == sum(consistency_reads_total{instance="near"}) > 0';
ok(eval { wait_until(sub { data($equal) }, 'equal sums') }, 'the histogram counts each read once');
foreach my $quantile (0.05, 0.95)
{
	my $shown = sprintf '%.0f', 1000 * (data(
		"histogram_quantile($quantile, sum by (le) (consistency_wait_seconds_bucket{instance=\"near\", level=\"session\"}))"))[0]{value}[1];
	my $node = $cluster->node('near');
	my $counted = $node->safe_psql('postgres',
		"SELECT consistency.wait_quantile(array_agg(total ORDER BY n), max(shorter), $quantile)"
		  . ' FROM (SELECT n, sum(count)::bigint AS total, sum(reads - waits)::bigint AS shorter'
		  . ' FROM consistency.stat_reads, unnest(wait_histogram) WITH ORDINALITY AS h (count, n)'
		  . " WHERE level = 'session' GROUP BY n) AS h");
	# buckets of the one are four of the other; and time goes on
	ok( $shown <= 2 * $counted + 4 && $counted <= 2 * $shown + 4,
		"quantile $quantile of waits is about the server's own: $shown, $counted ms");
}

# --- none of them is a read, or leaves the replica
my $strong = $cluster->connect('near', user => 'watcher');
$strong->do("SET consistency = 'linearizable'");
foreach my $name (sort keys %query)
{
	is($strong->error($query{$name}), undef, "$name: a watcher without a user mapping can ask it under any level");
}
is( $strong->value("SELECT count(*) FROM consistency.stat_reads WHERE level = 'linearizable' AND place <> 'refused'"),
	'0', 'and that is no read');
$strong->do("SET consistency = 'eventual'");
is($strong->error('SELECT count(*) FROM t')->{code}, '42501', 'it may see nothing else');

# --- every rule --------------------------------------------------------------

wait_until(
	sub {
		my @rules = map { @{ $_->{rules} } } @{ $prometheus->get('/api/v1/rules')->{groups} };
		return @rules && !grep { $_->{health} ne 'ok' } @rules;
	},
	'all rules were evaluated without an error');
foreach my $rule (map { @{ $_->{rules} } } @{ $prometheus->get('/api/v1/rules')->{groups} })
{
	# without its threshold, it always has data
	my ($expression) = $rule->{query} =~ /^(.*\S)\s+(?:==|>|<)\s+[\d.]+$/s;
	ok(defined $expression, "$rule->{name}: compares with a threshold") or next;
	has_data($expression =~ s/\[\d+m\]/[30s]/gr, "alert $rule->{name}");
}

# --- every panel ---------------------------------------------------------------

my $dashboard = JSON::PP::decode_json(slurp_file("$monitoring/grafana.json"));
my %variable = map { $_->{name} => $_ } @{ $dashboard->{templating}{list} };
my ($series, $label) = $variable{instance}{query}{query} =~ /^label_values\((.+), (\w+)\)$/;
is_deeply(
	$prometheus->get("/api/v1/label/$label/values", 'match[]' => $series),
	[ sort $cluster->names ],
	'the servers to choose from');

my %expression;
foreach my $panel (@{ $dashboard->{panels} })
{
	$expression{"panel $panel->{title}, $_->{refId}"} = $_->{expr} for @{ $panel->{targets} };
}
$expression{"annotation $_->{name}"} = $_->{expr} =~ s/ > 0$//r for @{ $dashboard->{annotations}{list} };
foreach my $what (sort keys %expression)
{
	my $promql = $expression{$what};
	my %value = (instance => '.*', __rate_interval => '15s', __range => '15s');
	$promql =~ s/\$(\w+)/$value{$1} \/\/ die "variable $1"/ge;
	has_data($promql, $what);
}

# --- a node dies -----------------------------------------------------------------

sub firing
{
	return sort map { "$_->{labels}{alertname} " . ($_->{labels}{node} // '') . " $_->{labels}{instance}" }
	  grep { $_->{state} eq 'firing' } @{ $prometheus->get('/api/v1/alerts')->{alerts} };
}
ok(!grep({ /NodeDown near|Unreachable/ } firing()), 'no such alert yet');
$_->close for $reader, $hasty, $unlucky, $content, $strong;
$cluster->node('near')->stop('immediate');
foreach my $alert ('ConsistencyNodeDown near primary', 'ConsistencyServerUnreachable  near')
{
	ok(eval { wait_until(sub { grep { $_ eq $alert } firing() }, $alert, 15) }, "$alert: fires")
	  or diag(join(', ', firing()));
}
is(scalar(grep { /NodeDown primary/ } firing()), 0, 'and not for the node that lives');

done_testing();
