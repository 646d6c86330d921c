# pgbench, unmodified, where its session is at a replica: nothing fails, and
# nothing is lost or done twice.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use POSIX ();
use PostgreSQL::Test::Utils;
use RealClients;
use Test::More;

# With feedback, since DDL comes along: a session that parses a statement can wait
# for a lock that replay holds, while replay waits for the end of its transaction.
my $cluster = clients_cluster(
	replicas => [ { name => 'near', delay => '10ms', conf => 'hot_standby_feedback = on' } ]);
my $endpoint = endpoint();
my $dir = PostgreSQL::Test::Utils::tempdir();

# --- helpers ------------------------------------------------------------

# Runs pgbench at the endpoint; returns how many transactions it counted.
sub pgbench
{
	my ($what, $arguments, %env) = @_;
	my $run = run_client($cluster, $endpoint, [ 'pgbench', @$arguments ], env => \%env);
	is($run->{status}, 0, "$what: finishes");
	unlike($run->{err}, qr/ERROR|FATAL|error:|aborted/, "$what: no error");
	like($run->{out}, qr/^number of failed transactions: 0 /m, "$what: no transaction failed");
	diag($run->{err} =~ s/^(?:.*\n)*?(?=.*(?:rror|FATAL))//r) if $run->{status} != 0;
	my ($count) = $run->{out} =~ /^number of transactions actually processed: (\d+)/m;
	return $count // 0;
}

# A script of pgbench's, written to a file.
sub script
{
	my ($name, $text) = @_;
	my $file = "$dir/$name.sql";
	append_to_file($file, $text);
	return $file;
}

# What TPC-B promises, as a node sees it: the sums agree, and the history has
# exactly one row for each transaction.
sub invariants
{
	my ($where, $what, $count) = @_;
	my ($accounts, $tellers, $branches, $deltas, $rows) = split /\|/,
	  $cluster->sql($where, <<'SQL');
SELECT (SELECT sum(abalance) FROM pgbench_accounts),
	(SELECT sum(tbalance) FROM pgbench_tellers),
	(SELECT sum(bbalance) FROM pgbench_branches),
	(SELECT coalesce(sum(delta), 0) FROM pgbench_history),
	(SELECT count(*) FROM pgbench_history)
SQL
	is("$accounts $tellers $branches", "$deltas $deltas $deltas", "$what: sums agree at $where");
	is($rows, $count, "$what: one row a transaction at $where");
	return;
}

sub invariants_everywhere
{
	my ($what, $count) = @_;
	invariants('primary', $what, $count);
	$cluster->wait_replayed;
	invariants('near', $what, $count);
	return;
}

sub initialise
{
	my ($where, $steps) = @_;
	my $run = run_client($cluster, $where,
		[ 'pgbench', '-i', '-q', '-s', '2', '-I', $steps ]);
	is($run->{status}, 0, "pgbench -i -I $steps at $where") or diag $run->{err};
	return;
}

# --- the script that everybody runs ---------------------------------------

initialise('primary', 'dtgvp');
# one run that empties the history first, as pgbench does by itself
my $total = pgbench('simple', [ '-c', 4, '-j', 2, '-t', 100, '-M', 'simple' ]);
is($total, 400, 'simple: all transactions were run');
invariants_everywhere('simple', $total);

foreach my $mode ('extended', 'prepared')
{
	$total += pgbench($mode, [ '-n', '-c', 4, '-j', 2, '-t', 100, '-M', $mode ]);
}
is($total, 1200, 'extended, prepared: all transactions were run');
invariants_everywhere('extended and prepared', $total);

$total += pgbench('a connection each', [ '-n', '-C', '-c', 4, '-j', 2, '-t', 10 ]);
pgbench('select only', [ '-n', '-b', 'select-only', '-c', 2, '-t', 200, '-M', $_ ])
  foreach ('simple', 'extended', 'prepared');
invariants_everywhere('... and others', $total);

# --- while others change the tables -------------------------------------------

# Replay takes locks, and needs old snapshots to be gone, while reads wait for it.
{
	my $pid = fork // die "fork: $!";
	if (!$pid)
	{
		my $other = $cluster->connect($endpoint);
		my $end = time + 4;
		for (my $i = 0; time < $end; $i++)
		{
			$other->do("ALTER TABLE pgbench_accounts ADD COLUMN x$i int");
			$other->do("CREATE INDEX i$i ON pgbench_tellers (tbalance)");
			$other->do("DROP INDEX i$i");
			$other->do("ALTER TABLE pgbench_accounts DROP COLUMN x$i");
		}
		# neither destructors nor END blocks: the servers are the parent's
		POSIX::_exit(0);
	}
	# a thread each: one that prepares waits, and all its other clients with it
	my @arguments = ('-n', '-c', 8, '-j', 8, '-T', 3, '-M', 'prepared');
	my $all = pgbench('DDL meanwhile', [ @arguments, '-b', 'tpcb-like' ]);
	pgbench('DDL meanwhile, reads', [ @arguments, '-b', 'select-only' ]);
	waitpid $pid, 0;
	is($?, 0, 'DDL meanwhile: no error there either');
	cmp_ok($all, '>', 0, 'DDL meanwhile: it goes on');
	$total += $all;
	invariants_everywhere('DDL meanwhile', $total);
}

# --- serialization failures are PostgreSQL's: pgbench tries again ----------

{
	my $run = run_client($cluster, $endpoint,
		[ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 50, '--max-tries', 1000 ],
		env => { PGOPTIONS => '-c default_transaction_isolation=repeatable\ read' });
	is($run->{status}, 0, 'repeatable read: finishes') or diag $run->{err};
	like($run->{out}, qr/^number of failed transactions: 0 /m,
		'repeatable read: none failed for good');
	my ($retried) = $run->{out} =~ /^number of transactions retried: (\d+)/m;
	cmp_ok($retried // 0, '>', 0, 'repeatable read: some were tried again');
	$total += 200;
	invariants_everywhere('repeatable read', $total);
}

# --- every client sees what it wrote ---------------------------------------

$cluster->connect('primary')->do(<<'SQL');
CREATE TABLE own (id int PRIMARY KEY, n int NOT NULL);
INSERT INTO own SELECT i, 0 FROM generate_series(0, 9) i
SQL
$cluster->wait_replayed;
my $reads_own = script('own', <<'SQL');
UPDATE own SET n = n + 1 WHERE id = :client_id RETURNING n AS wrote \gset
SELECT n AS seen FROM own WHERE id = :client_id \gset
\if :wrote <> :seen
SELECT 'wrote ' || :wrote || ', saw ' || :seen || 1 / 0;
\endif
BEGIN;
SELECT n AS first FROM own WHERE id = :client_id \gset
UPDATE own SET n = n + 1 WHERE id = :client_id;
SELECT n AS second FROM own WHERE id = :client_id \gset
END;
\if :first + 1 <> :second
SELECT 'read ' || :first || ', added 1, saw ' || :second || 1 / 0;
\endif
SQL
foreach my $mode ('simple', 'extended', 'prepared')
{
	pgbench("own writes, $mode", [ '-n', '-f', $reads_own, '-c', 4, '-j', 2, '-t', 50, '-M', $mode ]);
}
if (at_replica())
{
	# the control: who asks for less may be shown less, and the script tells
	my $run = run_client($cluster, $endpoint, [ 'pgbench', '-n', '-f', $reads_own, '-t', 50 ],
		env => { PGOPTIONS => '-c consistency=eventual' });
	isnt($run->{status}, 0, 'own writes, under eventual: missed');
	like($run->{err}, qr/division by zero/, '... and found out');
	$cluster->sql('primary', 'UPDATE own SET n = 300 WHERE id = 0');
}
is($cluster->sql('primary', 'SELECT string_agg(n::text, \' \' ORDER BY id) FROM own'),
	'300 300 300 300 0 0 0 0 0 0', 'own writes: each was done once');

# --- a pipeline -------------------------------------------------------------

my $pipeline = script('pipeline', <<'SQL');
\set delta random(-5000, 5000)
\set aid random(1, 200000)
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = 1 + :client_id;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1 + :client_id, 1, :aid, :delta, CURRENT_TIMESTAMP);
END;
\endpipeline
SQL
foreach my $mode ('extended', 'prepared')
{
	$total += pgbench("pipeline, $mode",
		[ '-n', '-f', $pipeline, '-c', 4, '-j', 2, '-t', 50, '-M', $mode ]);
}
invariants_everywhere('pipeline', $total);

# --- pgbench -i ---------------------------------------------------------------

# client-side data by COPY, and server-side by INSERT ... SELECT
foreach my $steps ('dtgvp', 'dtGvpf')
{
	initialise($endpoint, $steps);
	is( $cluster->sql('primary', <<'SQL'),
SELECT (SELECT count(*) FROM pgbench_accounts), (SELECT count(*) FROM pgbench_tellers),
	(SELECT count(*) FROM pgbench_branches),
	(SELECT count(*) FROM pg_constraint WHERE conrelid::regclass::text ~ 'pgbench')
SQL
		'200000|20|2|' . ($steps =~ /f/ ? 3 + 5 : 3),
		"pgbench -i -I $steps: tables, rows, keys");
}
# a run right behind it; the other script adds to no teller or branch
$total = pgbench('after -i', [ '-c', 2, '-t', 50, '-M', 'prepared' ]);
invariants_everywhere('after -i', $total);
is( pgbench('simple update', [ '-n', '-b', 'simple-update', '-c', 2, '-t', 50, '-M', 'prepared' ]),
	100, 'simple update: all transactions were run');
is( $cluster->sql('primary', <<'SQL'), 't', 'simple update: balances and history agree');
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)
SQL

done_testing();
