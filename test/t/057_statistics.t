# What is counted: stat_reads, stat_tables, stat_nodes and stat_violations say what
# happened to reads, wherever they were answered, and survive crashes and restarts.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ], conf => "restart_after_crash = on\n");
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $near = $cluster->connect('near');
my $dba_near = $cluster->connect('near', user => $cluster->superuser);

$app->do('CREATE TABLE t (i int)');
$app->do('INSERT INTO t SELECT generate_series(1, 100)');
$app->do(q{SELECT consistency.set_policy('t', 'bounded', max_staleness => '1 hour')});
$app->do('CREATE TABLE u (i int)');
$app->do('INSERT INTO u VALUES (1)');
$cluster->wait_replayed('near');

# The tests read under these levels; others look at the cluster under "session".
$_->do("SET consistency = 'causal'") for $app, $near;

# "level place reads rows" and more columns, of the reads of this test.
sub reads
{
	my ($session, @more) = @_;
	return $session->text('SELECT ' . join(', ', qw(level place reads rows), @more)
		  . q{ FROM consistency.stat_reads WHERE datname = 'postgres' AND level <> 'session' ORDER BY level, place});
}
# The same where it doesn't matter whether a read had to wait a little.
sub answered
{
	my ($session) = @_;
	return $session->text(q{SELECT level, replace(place, 'waited', 'local') AS p, sum(reads), sum(rows) FROM consistency.stat_reads
		WHERE datname = 'postgres' AND level <> 'session' GROUP BY level, p ORDER BY level, p});
}
sub reset_all { $_->do('SELECT consistency.stat_reset()') for $dba, $dba_near; return; }
sub violations { my ($session, $kind) = @_; return $session->value("SELECT count FROM consistency.stat_violations WHERE kind = '$kind'"); }
sub node { my ($session, $name, $column) = @_; return $session->value("SELECT $column FROM consistency.stat_nodes WHERE name = '$name'"); }

# --- places ---------------------------------------------------------------

subtest 'routed by the primary' => sub {
	$app->do("SET consistency.routing = 'always'");
	wait_until(sub { $app->do('SELECT i FROM u'); return $app->value('SELECT place FROM consistency.last_read()') eq 'routed'; },
		'reads are routed');
	reset_all();
	$app->do('SELECT i FROM u');
	$app->do('SELECT i FROM t');
	is(reads($dba), "causal|routed|2|101", 'two reads, with their rows');
	is(answered($dba_near), "bounded|local|1|100\ncausal|local|1|1", 'the replica has counted them as its own');
	is($dba->text('SELECT relation, reads, decided, routed, replicas, within FROM consistency.stat_tables'), 't|1|0|1|1|1',
		'the table with a policy');
	is(node($dba, 'near', 'requests'), 2, 'requests');
	cmp_ok(node($dba, 'near', 'connections'), '>=', 1, 'connections');
	is(node($dba, 'near', 'errors'), 0, 'errors');
	cmp_ok(node($dba, 'near', 'replay_rate'), '>=', 0, 'replay rate');
	cmp_ok(node($dba, 'near', 'extract(epoch FROM round_trip)'), '<', 1, 'round trip');
};

subtest 'forwarded by the replica' => sub {
	reset_all();
	$near->do('SET consistency = linearizable');
	$near->do('SELECT i FROM t');
	$near->do("SET consistency = 'causal'");
	$near->do('INSERT INTO u VALUES (2)');
	is(reads($dba_near), 'linearizable|forwarded|1|100', 'a read; writes are no reads');
	is(answered($dba), 'linearizable|local|1|100', 'the primary has counted it as its own');
	is(node($dba_near, 'primary', 'requests'), 2, 'requests');
	is($dba_near->text('SELECT relation, reads, decided, forwarded FROM consistency.stat_tables'), 't|1|0|1',
		'the policy did not decide');

	my $linear = $cluster->connect('near', user => $cluster->superuser);
	$linear->do('SET consistency = linearizable');
	is(reads($linear), reads($dba_near), 'what asks for them is never sent to the primary');
	isnt($linear->text('SELECT relation, forwarded FROM consistency.stat_tables ORDER BY 1'), '', 'stat_tables');
	is($linear->value(q{SELECT sum(r.reads) FROM consistency.stat_reads r, consistency.stat_nodes n WHERE n.name = 'near' AND n.this}),
		1, 'nor when it is added up');
};

subtest 'waited, stale, refused, fallen back' => sub {
	reset_all();
	$near->do("SET consistency.on_timeout = 'error'");
	$dba_near->do("SET consistency.log_min_wait = 0");
	$cluster->pause('near');
	$app->do('INSERT INTO u VALUES (3)');
	$near->do('SELECT set_config(\'consistency.token\', $$' . $app->value('SELECT consistency.token()') . '$$, false)');
	$near->send_query('SELECT count(*) FROM u');
	$cluster->wait_for_wait("near", $near->pid);
	$cluster->resume('near');
	is($near->finish->{rows}[0][0], 3, 'a read waits');
	is(reads($dba_near, qw(waits timeouts)), 'causal|waited|1|1|1|0', 'waited');
	my ($p50, $p99, $sum, $in_histogram) = split /\|/, $dba_near->text(
		q{SELECT wait_p50, wait_p99, wait_time, (SELECT sum(n) FROM unnest(wait_histogram) n) FROM consistency.stat_reads WHERE place = 'waited'});
	cmp_ok($sum, '>=', 1, 'wait in milliseconds');
	cmp_ok($p50, '>', 0, 'median');
	cmp_ok($p50, '<=', $p99, 'of one wait, all quantiles are in its bucket');
	cmp_ok(abs($p99 - $sum), '<=', $sum / 3, 'which is that of its length');
	is($in_histogram, 1, 'histogram');

	reset_all();
	$near->do("SET consistency.wait_timeout = '50ms'");
	$cluster->pause('near');
	$app->do('INSERT INTO u VALUES (4)');
	$near->do('SELECT set_config(\'consistency.token\', $$' . $app->value('SELECT consistency.token()') . '$$, false)');
	like($near->error('SELECT count(*) FROM u')->{message}, qr/did not reach position/, 'a read is refused');
	is(reads($dba_near, qw(waits timeouts)), 'causal|refused|1|0|1|1', 'refused');
	$near->do("SET consistency.on_timeout = 'stale'");
	$near->do('SELECT count(*) FROM u');
	is(reads($dba_near, qw(waits timeouts)), "causal|refused|1|0|1|1\ncausal|stale|1|1|1|1", 'stale');
	is(violations($dba_near, 'stale_answer'), 1, 'a violation');
	like($dba_near->value('SELECT detail FROM consistency.violations'), qr/^level causal, decided by session: .*in time/,
		'with its detail');
	$near->do("SET consistency.on_timeout = 'primary'");
	$near->do('SELECT count(*) FROM u');
	is($dba_near->text(q{SELECT reads, fallbacks FROM consistency.stat_reads WHERE place = 'forwarded'}),
		'1|{"wait": 1}', 'fallen back');

	# the primary sees that the replica lags
	$app->do("SET consistency.routing = 'always'");
	$app->do('SELECT count(*) FROM u');
	like($dba->text(q{SELECT reads, fallbacks FROM consistency.stat_reads WHERE fallbacks IS NOT NULL}),
		qr/^1\|\{"(lag|node_late)": 1\}$/, 'and reads that it was to serve run here');
	is($dba->value('SELECT within FROM consistency.stat_tables'), 1, 'the replica is within the bound of an hour');
	$app->do(q{SELECT consistency.set_policy('t', 'bounded', max_lag => 0)});
	wait_until(sub { $dba->value('SELECT within = 0 AND lag_bytes > 0 FROM consistency.stat_tables') eq 't' },
		'it is not within one of no bytes');
	$cluster->resume('near');
};

# --- nodes that fail ------------------------------------------------------

subtest 'a node dies' => sub {
	wait_until(sub { $app->do('SELECT i FROM u'); return $app->value('SELECT place FROM consistency.last_read()') eq 'routed'; },
		'reads are routed again');
	reset_all();
	$cluster->node('near')->stop('immediate');
	$app->do('SELECT i FROM u');
	like($dba->text(q{SELECT sum(reads), max(retries), max(fallbacks::text) FROM consistency.stat_reads WHERE level = 'causal'}),
		qr/^1\|(1\|\{"node_failed": 1\}|0\|\{"no_replica": 1\})$/, 'a read falls back');
	wait_until(sub { node($dba, 'near', 'state') eq 'down' }, 'the node is down');
	cmp_ok(node($dba, 'near', 'errors'), '>=', 1, 'errors');
	isnt(node($dba, 'near', 'last_error'), undef, 'the last one');
	is(node($dba, 'near', 'state_changes'), 1, 'a change of state');
	$cluster->start_node('near');
	wait_until(sub { node($dba, 'near', 'state') eq 'up' }, 'it is up again');
	is(node($dba, 'near', 'state_changes'), 2, 'and another one');
	isnt(node($dba, 'near', 'last_error'), undef, 'its last error is still known');
	is($dba->value(q{SELECT last_error FROM consistency.nodes WHERE name = 'near'}), undef, 'but it is not what is wrong now');
};

# --- crashes and restarts -------------------------------------------------

subtest 'counters outlive backends, crashes and restarts' => sub {
	$app->do('SET consistency.routing = off');
	$dba_near = $cluster->connect('near', user => $cluster->superuser);
	reset_all();
	$app->do('SELECT i FROM u') for 1 .. 3;
	$app->error(q{SET consistency.token = 'x'});
	my $before = answered($dba);
	is($before, 'causal|local|3|12', 'three reads');

	my $victim = $cluster->connect('primary');
	kill 'KILL', $victim->pid;
	wait_until(sub { eval { $dba = $cluster->connect('primary', user => $cluster->superuser); $dba->value('SELECT 1') } },
		'the server is up after a crash of a backend');
	like(slurp_file($cluster->primary->logfile), qr/all server processes terminated; reinitializing/, 'it was one');
	is(answered($dba), $before, 'a crash takes nothing away');
	is(violations($dba, 'refused_token'), 1, 'violations');
	cmp_ok(node($dba, 'near', 'requests'), '>=', 0, 'nodes');

	$cluster->primary->restart;
	$dba = $cluster->connect('primary', user => $cluster->superuser);
	is(answered($dba), $before, 'nor does a restart');
	is($dba->value('SELECT detail FROM consistency.violations'), 'malformed', 'nor from the list of violations');
	ok(!-e $cluster->primary->data_dir . '/pg_stat/consistency.stat', 'the file is gone once it was read');

	$cluster->primary->stop;
	my $file = $cluster->primary->data_dir . '/pg_stat/consistency.stat';
	ok(-s $file, 'it is written when the server stops');
	truncate $file, 100_000;
	$cluster->primary->start;
	$dba = $cluster->connect('primary', user => $cluster->superuser);
	is(reads($dba), '', 'a broken one is no loss but of its counters');
	like(slurp_file($cluster->primary->logfile), qr/statistics in file .* begin anew/, 'and the log says so');

	# Of a text whose end is overwritten, readers would not find the end.
	$dba->error(q{SET consistency.token = 'nonsense'});
	is($dba->value('SELECT detail FROM consistency.violations'), 'malformed', 'a violation, again');
	$cluster->primary->stop;
	my $bytes = slurp_file($file);
	$bytes =~ s/(malformed)(\0{247})/$1 . 'x' x length $2/e or die 'it is not in the file';
	open my $handle, '>:raw', $file or die $!;
	print $handle $bytes;
	close $handle or die $!;
	$cluster->primary->start;
	$dba = $cluster->connect('primary', user => $cluster->superuser);
	is($dba->value('SELECT count(*) FROM consistency.violations'), 0, 'nor is a damaged one, and it is noticed');
};

# More kinds of violations than are remembered push out the oldest of their kind only.
subtest 'the list of violations is bounded' => sub {
	my $session = $cluster->connect('primary');
	$session->error(q{SET consistency.token = '1:1:0/1'});
	$session->do(q{DO $$ BEGIN FOR i IN 1 .. 500 LOOP
		BEGIN PERFORM set_config('consistency.token', 'x' || i, false); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$});
	is(violations($dba, 'refused_token'), 501, 'all are counted');
	is($dba->value('SELECT count(*) FROM consistency.violations'), 200, '200 are remembered');
	is($dba->value(q{SELECT count(*) FROM consistency.violations WHERE detail = 'of another cluster'}), 0, 'the newest');
	my $nobody = $cluster->connect('primary');
	like($nobody->error("SELECT * FROM consistency.$_")->{message}, qr/permission denied/, "$_ is not for everybody")
	  for qw(stat_reads stat_nodes stat_tables stat_violations violations);
};

done_testing();
