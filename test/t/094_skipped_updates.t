# Updates that apply skips, since it doesn't find their row, are counted by table.
#
#   here    publishes
#   there   subscribes; the extension is preloaded
#
# The tables are plain ones: it makes no difference which trigger didn't fire.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my @tables = ('public.t', 's.t', 'public.tt', '"odd.na me"."Tä""ble"');
my $conf = <<'END';
shared_preload_libraries = 'consistency'
autovacuum = off
max_worker_processes = 20
wal_retrieve_retry_interval = 50ms
log_min_messages = warning
END

sub new_node
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', $conf);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION consistency; CREATE SCHEMA s; CREATE SCHEMA "odd.na me"');
	$node->safe_psql('postgres', "CREATE TABLE $_ (id int PRIMARY KEY, n int)") for @tables;
	return $node;
}

my $here = new_node('here');
my $there = new_node('there');
my $publisher = $here->connstr . ' dbname=postgres';

$here->safe_psql('postgres', "INSERT INTO $_ SELECT i, 0 FROM generate_series(1, 100) i") for @tables;
$here->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE ' . join(', ', @tables));
$there->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$publisher' PUBLICATION p");
$there->wait_for_subscription_sync($here, 'sub');

# --- helpers ------------------------------------------------------------

# How many updates of a table were skipped; or of each table.
sub skipped
{
	my ($table) = @_;
	return $there->safe_psql('postgres', qq{
		SELECT coalesce(sum(count), 0) FROM consistency.stat_conflicts
		 WHERE kind = 'update_missing' AND relation = \$\$$table\$\$::regclass});
}

sub all_skipped
{
	return join ' ', map { skipped($_) } @tables;
}

# Something is done at the publisher, and has been applied.
sub replicate
{
	my ($sql) = @_;

	$here->safe_psql('postgres', $sql);
	$here->wait_for_catchup('sub');
}

# Lines about skipped updates in the subscriber's log, from a place on.
sub logged
{
	my ($from) = @_;
	my $log = slurp_file($there->logfile, $from);
	my @lines = $log =~ /did not find row to be updated/g;

	return scalar @lines;
}

sub log_size { return -s $there->logfile; }

# Set the level of the log, and wait until the worker that applies goes by it.
sub set_log_level
{
	my ($level) = @_;

	$there->adjust_conf('postgresql.conf', 'log_min_messages', $level);
	$there->reload;
	# a worker of its own reads the settings at its start
	$there->safe_psql('postgres', 'ALTER SUBSCRIPTION sub DISABLE');
	wait_until(sub { worker() eq '' }, 'the worker ends');
	$there->safe_psql('postgres', 'ALTER SUBSCRIPTION sub ENABLE');
	wait_until(sub { worker() ne '' }, 'the next worker begins');
}

sub worker
{
	return $there->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_subscription WHERE subname = 'sub' AND pid IS NOT NULL AND relid IS NULL});
}

# --- by table -----------------------------------------------------------

my $log_start = log_size();
replicate('UPDATE t SET n = 1');
is(all_skipped(), '0 0 0 0', 'no update is skipped whose row is there');

$there->safe_psql('postgres', 'DELETE FROM s.t WHERE id <= 3; DELETE FROM tt WHERE id = 1');
$there->safe_psql('postgres', "DELETE FROM $tables[3] WHERE id <= 70");
replicate("UPDATE $_ SET n = 2") for @tables;
is(all_skipped(), '0 3 1 70', 'each table has its own count, whatever its name');
is($there->safe_psql('postgres', q{
	SELECT DISTINCT "column" IS NULL, kind, resolution, discarded, last > now() - interval '1 hour'
	  FROM consistency.stat_conflicts}),
	't|update_missing|kept_local|t|t', 'what came in is lost');
is(logged($log_start), 0, 'nothing of it is in the log');

replicate('DELETE FROM s.t WHERE id = 1');
is(all_skipped(), '0 3 1 70', 'a deletion that finds no row is none');

# --- only what is committed ---------------------------------------------

$there->safe_psql('postgres', 'INSERT INTO t VALUES (1000, 0)');
$here->safe_psql('postgres', 'BEGIN; UPDATE s.t SET n = 3 WHERE id = 2; INSERT INTO t VALUES (1000, 1); COMMIT');
wait_until(sub {
	$there->safe_psql('postgres', 'SELECT apply_error_count > 1 FROM pg_stat_subscription_stats') eq 't'
}, 'the transaction fails more than once');
is(all_skipped(), '0 3 1 70', 'what is tried again and again is not counted');
$there->safe_psql('postgres', 'DELETE FROM t WHERE id = 1000');
$here->wait_for_catchup('sub');
is(all_skipped(), '0 4 1 70', '... but once, when it has succeeded');

# --- the administrator's level is kept ----------------------------------

my %lines = ('debug1' => 1, 'debug2' => 1, 'info' => 0, 'error' => 0, 'panic' => 0, 'warning' => 0);

for my $level (qw(debug1 error panic debug2 info warning))
{
	set_log_level($level);
	my $before = skipped('s.t');
	my $from = log_size();

	replicate('UPDATE s.t SET n = n + 1 WHERE id = 2');
	is(skipped('s.t') - $before, 1, "log_min_messages = $level: it is counted");
	is(logged($from), $lines{$level}, '... and in the log as often as without us');
}

# The same while the worker goes on.
for my $level (qw(debug1 warning))
{
	my $before = skipped('s.t');
	my $pid = worker();

	$there->adjust_conf('postgresql.conf', 'log_min_messages', $level);
	$there->reload;
	# each update skipped before the worker has seen the setting is counted as well
	my $n = 0;
	my $from;
	wait_until(sub {
		$from = log_size();
		replicate('UPDATE s.t SET n = n + 1 WHERE id = 2');
		$n++;
		return logged($from) == $lines{$level};
	}, "the worker goes by $level");
	is(skipped('s.t') - $before, $n, "log_min_messages = $level after a reload: all are counted");
	is(worker(), $pid, '... by the same worker');
}

# --- what is found no more, as it moves ----------------------------------

# Each update moves the row, in the heap and in the index that apply looks into.
my $race = 'public.race';
$_->safe_psql('postgres', "CREATE TABLE $race (id int PRIMARY KEY, n int, m int); CREATE INDEX ON $race (n); CREATE INDEX ON $race (m)")
  for $here, $there;
$here->safe_psql('postgres', "INSERT INTO $race VALUES (1, 0, 0); ALTER PUBLICATION p ADD TABLE $race");
$there->safe_psql('postgres', 'ALTER SUBSCRIPTION sub REFRESH PUBLICATION');
$there->wait_for_subscription_sync($here, 'sub');
set_log_level('debug1');

my $from = log_size();
my $mover = $there->background_psql('postgres');
my $tries = 0;

while ($tries++ < 30 && logged($from) == 0)
{
	$mover->{stdin} .= "DO \$\$BEGIN FOR i IN 1..2000 LOOP UPDATE $race SET n = n + 1; COMMIT; END LOOP; END\$\$;\n";
	$mover->{run}->pump_nb;
	$here->safe_psql('postgres',
		"DO \$\$BEGIN FOR i IN 1..2000 LOOP UPDATE $race SET m = m + 1; COMMIT; END LOOP; END\$\$");
	$here->wait_for_catchup('sub');
}
$mover->quit;
$here->wait_for_catchup('sub');
note("rounds: $tries, skipped: " . skipped($race));
cmp_ok(skipped($race), '>', 0, 'updates are skipped whose row moves while they are applied');
is(skipped($race), logged($from), 'all of them are counted');
set_log_level('warning');

# --- kept, and reset ------------------------------------------------------

my $before = all_skipped();
$there->restart;
is(all_skipped(), $before, 'the counts are kept over a restart');
$there->safe_psql('postgres', 'SELECT consistency.stat_reset()');
is($there->safe_psql('postgres', 'SELECT count(*) FROM consistency.stat_conflicts'), 0, 'a reset forgets them');

done_testing();
