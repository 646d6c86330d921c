# consistency.alerts() and consistency.dashboard() on a cluster: replicas that
# lag, nodes that die, promises that fail; asked at the primary and at replicas,
# and always about the server that is asked.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(conf => "wal_receiver_status_interval = 100ms\n");
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int PRIMARY KEY)');
$app->do('INSERT INTO t SELECT generate_series(1, 100)');
$app->do(q{SELECT consistency.set_policy('t', 'bounded', max_staleness => '200 ms')});
$cluster->wait_replayed;

my %watcher =
  map { $_ => $cluster->connect($_, user => $cluster->superuser) } $cluster->names;

# The alerts that a node gives, as "severity alert subject"; thresholds as SQL.
sub alerts
{
	my ($where, $thresholds) = @_;
	return $watcher{$where}->value(
		"SELECT coalesce(string_agg(severity || ' ' || alert || ' ' || subject, E'\\n' ORDER BY n), '')"
		  . " FROM consistency.alerts($thresholds)"
		  . " WITH ORDINALITY AS a (severity, subject, alert, value, threshold, message, hint, n)");
}

# They become these.
sub become
{
	my ($where, $thresholds, $expected, $what) = @_;
	my $last = '';
	my $there = eval {
		wait_until(sub { ($last = alerts($where, $thresholds)) eq $expected }, $what);
	};
	ok($there, $what) or diag("at $where: $last; $@");
	return;
}

# Milliseconds count, reads don't.
my $strict = "max_lag => '300 ms', min_reads => NULL, violations_within => NULL";

become($_, $strict, '', "$_: nothing to tell") for $cluster->names;

# --- lag -----------------------------------------------------------------

$cluster->pause('near');
$app->do('INSERT INTO t VALUES (101)');
become($_, $strict, 'warning lag near', "$_ sees the lag of the replica that is paused") for $cluster->names;
become('far', 'min_reads => NULL, max_lag => NULL, max_lag_bytes => 1',
	'warning lag_bytes near', 'in bytes, too');
is(alerts('far', "min_reads => NULL, max_lag => '1 day'"), '', 'up to the threshold it is none');
my $lag = $watcher{primary}->row("SELECT value > threshold AS beyond, threshold, message, hint FROM consistency.alerts(max_lag => '300 ms')");
is($lag->{beyond}, 't', 'the value is beyond the threshold');
is($lag->{threshold}, '0.3', 'which is told in seconds');
like($lag->{message}, qr/^the replica is [\d.]+ s behind$/, 'its message says how much');

$cluster->pause('far');
$app->do('INSERT INTO t VALUES (102)');
become('primary', $strict,
	"warning lag far\nwarning lag near\nwarning policy_unmet t",
	'a policy whose bound no replica meets');
$cluster->resume($_) for qw(near far);
become($_, $strict, '', "$_: all is over") for $cluster->names;

become('near', "max_heartbeat_age => '0', min_reads => NULL",
	join("\n", map { "warning heartbeat_age $_" } sort $cluster->names),
	'heartbeats that are older than wanted');

# --- promises ------------------------------------------------------------

my $shares = 'min_reads => 1';
$cluster->pause('near');
$app->do('INSERT INTO t VALUES (103)');
my $reader = $cluster->connect('near');
$reader->do("SET consistency.wait_timeout = '30 ms'");
$reader->do(q{SET consistency.token = '} . $app->parameter('consistency.token') . q{'});
$watcher{near}->do('SELECT consistency.stat_reset()');
is($reader->value("SELECT count(*) FROM pg_class WHERE relname = 't'"), '1', 'a read that goes to the primary');
become('near', "$shares, max_lag => NULL", 'warning fallbacks postgres, session', 'fallbacks to the primary');
my $share = $watcher{near}->row("SELECT value, threshold FROM consistency.alerts($shares, max_lag => NULL)");
is_deeply([ @$share{qw(value threshold)} ], [ '1', '0.1' ], 'as a part of all');
is(alerts('near', 'min_reads => 2, max_lag => NULL'), '', 'few reads tell nothing');

$watcher{near}->do('SELECT consistency.stat_reset()');
$reader->do("SET consistency.on_timeout = 'error'");
is($reader->error("SELECT count(*) FROM pg_class")->{code}, 'YC001', 'a read that gets no answer');
is(alerts('near', "$shares, max_lag => NULL, max_wait_p99 => '10 s'"), 'error refused_reads postgres, session', 'is an alert');
$watcher{near}->do('SELECT consistency.stat_reset()');
$reader->do("SET consistency.on_timeout = 'stale'");
ok($reader->value('SELECT count(*) FROM pg_class'), 'a read that gets a stale answer');
is( alerts('near', "$shares, max_lag => NULL, max_wait_p99 => '10 ms'"),
	"warning stale_answer server\nwarning stale_reads postgres, session\nwarning waits postgres, session",
	'is two, and waits are one');
my $others = alerts('far', 'max_lag => NULL');
is($others, '', 'each server tells of its own reads');

# --- the dashboard is about the server that is asked -----------------------

my $strong = $cluster->connect('near', user => $cluster->superuser);
$strong->do("SET consistency = 'linearizable'");
$strong->do(q{SET consistency.token = '} . $app->parameter('consistency.token') . q{'});
my $before = $strong->value('SELECT sum(reads) FROM consistency.stat_reads');
# until its monitor has heard how far the primary is
wait_until(sub { $watcher{near}->value('SELECT lag > interval \'1 ms\' FROM consistency.nodes WHERE this') eq 't' }, 'the replica knows of its lag');
my @lines = map { $_->[0] } @{ $strong->query('SELECT * FROM consistency.dashboard()')->{rows} };
like($lines[0], qr/near, port \d+   replica, timeline 1/, 'asked at a replica under linearizable, it tells of the replica');
is(scalar(grep { /^  (near|far|primary) +up +(replica|primary) / } @lines), 3, 'it shows all nodes');
like(join("\n", @lines), qr/^  near +up +replica \* .* #+\.* /m, 'with a bar for the lag of the one that is paused');
like(join("\n", @lines), qr/^  session +stale +1 100\.0 % #{10} /m, 'reads by level and place');
like(join("\n", @lines), qr/^  stale_answer +1   last \d+ s ago/m, 'what was not kept');
ok(@lines <= 40 && !grep({ length > 100 } @lines), 'on one screen');
is($strong->value('SELECT sum(reads) FROM consistency.stat_reads'), $before, 'to look at it is no read');
$cluster->resume('near');

# --- nodes that die --------------------------------------------------------

$watcher{near}->close;
$reader->close;
$strong->close;
$cluster->node('near')->stop('immediate');
become($_, "$strict, min_replicas => 2",
	"error node_down near\nwarning few_replicas cluster", "$_: a dead replica") for qw(primary far);
$cluster->node('near')->start;
$watcher{near} = $cluster->connect('near', user => $cluster->superuser);
become($_, "$strict, min_replicas => 2", '', "$_: it is back") for $cluster->names;

$watcher{primary}->close;
$app->close;
$cluster->primary->stop('immediate');
become($_, 'min_reads => NULL, max_lag => NULL, violations_within => NULL', "error no_primary cluster\nerror node_down primary", "$_: a dead primary")
  for qw(near far);

done_testing();
