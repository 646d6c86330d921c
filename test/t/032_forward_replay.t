# While a statement of a replica's client is at the primary, and while its commit
# waits for this very replica to replay it, the client's session holds up no replay.
#
# Commits wait for "near" to have applied them, and "near" never cancels a session
# for the sake of replay: whoever holds something makes both sides wait for ever.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near', conf => "max_standby_streaming_delay = -1\n" } ],
	conf => "consistency.wait_timeout = '20s'\n");
my $primary = $cluster->primary;
my $direct = $cluster->connect('primary');	# holds what others wait for
my $dba = $cluster->connect('primary', user => $cluster->superuser);
$dba->do(q{SET lock_timeout = '5s'});

$direct->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$direct->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g');
$direct->do('CREATE TABLE locked (i int PRIMARY KEY, v int)');
$direct->do('INSERT INTO locked VALUES (1, 0)');
$cluster->wait_replayed;
$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'near'");
$primary->safe_psql('postgres', q{ALTER ROLE app SET synchronous_commit = 'remote_apply'});
$primary->reload;
$primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'})
  or die 'no synchronous standby';
$_->close for $direct;
$direct = $cluster->connect('primary');
$cluster->wait_replayed;

# Replay goes over a table that changes, and over rows that are removed.
my $column = 0;
sub replay_goes_on
{
	my ($what) = @_;
	$column++;
	$dba->do("ALTER TABLE t ADD COLUMN c$column int");
	$dba->do('DELETE FROM t WHERE i = (SELECT max(i) FROM t)');
	$dba->do('VACUUM t');
	my $lsn = $dba->value('SELECT pg_current_wal_flush_lsn()');
	my $start = time;
	my $ok = 0;
	while (!$ok && time - $start < 10)
	{
		$ok = $cluster->sql('near', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't';
	}
	ok($ok, "$what: replay goes on")
	  or diag $cluster->sql('near', q{SELECT pid, state, query, backend_xmin, (SELECT string_agg(relation::regclass || ' ' || mode, ', ')
		FROM pg_locks WHERE pid = a.pid AND locktype = 'relation') FROM pg_stat_activity a WHERE usename = 'app'});
	return;
}

sub outcome
{
	my ($result) = @_;
	return $result->{error} ? "$result->{error}{code} $result->{error}{message}" : $result->{tag};
}

# --- while a statement waits over there -----------------------------------------

my $read = 'SELECT count(*) FROM t';
my $update = 'UPDATE locked SET v = v + 1 WHERE i = 1';
my %way = (
	'simple' => sub { $_[0]->send_query($update) },
	'extended' => sub { $_[0]->send_execute("$update AND i = \$1", 1) },
	'prepared' => sub {
		$_[0]->prepare('p', $update);
		$_[0]->send_run('p');
	},
	'EXECUTE' => sub {
		$_[0]->do("PREPARE q AS $update");
		$_[0]->send_query('EXECUTE q');
	},
	'in a transaction, after reads' => sub {
		$_[0]->do('BEGIN');
		$_[0]->do($read);
		$_[0]->execute($read);
		$_[0]->send_query($update);
	},
	'in a savepoint, after reads' => sub {
		$_[0]->do('BEGIN');
		$_[0]->do($read);
		$_[0]->do('SAVEPOINT a');
		$_[0]->do($read);
		$_[0]->do('SAVEPOINT b');
		$_[0]->do('INSERT INTO locked VALUES (2, 2)');
		$_[0]->send_execute("$update AND i = \$1", 1);
	},
	'in a transaction that keeps its snapshot' => sub {
		$_[0]->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
		$_[0]->send_query($update);
	},
	'in a message with others' => sub { $_[0]->send_query("$read; $update; SELECT v FROM locked") },
	'a cursor' => sub {
		$_[0]->do('BEGIN');
		$_[0]->do($read);
		$_[0]->do('DECLARE c CURSOR FOR SELECT i FROM locked WHERE i = 1 FOR UPDATE');
		$_[0]->send_query('FETCH ALL FROM c');
	},
	'LOCK' => sub {
		$_[0]->do('BEGIN');
		$_[0]->do($read);
		$_[0]->send_query('LOCK TABLE locked');
	},
	'DO' => sub { $_[0]->send_query("DO \$\$BEGIN $update; END\$\$") },
	'DDL' => sub {
		$_[0]->do('BEGIN');
		$_[0]->do($read);
		$_[0]->send_query('CREATE INDEX ON locked (v)');
	},
	'COPY' => sub {
		$_[0]->do('BEGIN');
		$_[0]->do($read);
		$_[0]->send_query("COPY (SELECT i FROM locked FOR UPDATE) TO STDOUT");
	},
	'linearizable' => sub {
		$_[0]->do('SET consistency = linearizable');
		$_[0]->send_query('SELECT v FROM locked');
	});
foreach my $what (sort keys %way)
{
	my $app = $cluster->connect('near');
	$direct->do('BEGIN');
	$direct->do($what eq 'linearizable' ? 'LOCK TABLE locked' : 'UPDATE locked SET v = v WHERE i = 1');
	$way{$what}->($app);
	$primary->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'app' AND wait_event_type = 'Lock'})
	  or die "$what doesn't wait";
	is( $cluster->sql('near', 'SELECT count(*) FROM pg_locks WHERE locktype = $$relation$$ AND pid = ' . $app->pid),
		0, "$what: no lock is held here");
	replay_goes_on($what);
	$direct->do('ROLLBACK');
	my $result = $app->finish;
	is($result->{error} && $result->{error}{message}, undef, '... until it is done');
	if ($app->status eq 'T')
	{
		replay_goes_on("$what, idle in the transaction");
		is(outcome($app->query('COMMIT')), 'COMMIT', '... and committed');
	}
	$app->close;
}

# rows that the client is to send
{
	my $app = $cluster->connect('near');
	$app->do('BEGIN');
	$app->do($read);
	$app->do('SELECT * FROM locked');
	$app->send_query('COPY locked FROM STDIN');
	$primary->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'app' AND query LIKE 'COPY%' AND wait_event = 'ClientRead'});
	replay_goes_on('COPY FROM that waits for its client');
	$app->send_copy("3\t3");
	is(outcome(scalar $app->finish), 'COPY 1', '... until it is done');
	is(outcome($app->query('COMMIT')), 'COMMIT', '... and committed');
	$app->close;
}

# --- while the own commit waits for this replica --------------------------------

# What changes a table that the session has read: one statement after the other.
my %change = (
	'DDL after a read' => [ 'BEGIN', $read, 'ALTER TABLE t ADD COLUMN x int', 'COMMIT' ],
	'DDL between reads' => [ 'BEGIN', $read, 'ALTER TABLE t ADD COLUMN x int', $read, 'COMMIT' ],
	'DDL in a savepoint' => [ 'BEGIN', $read, 'SAVEPOINT a', $read, 'ALTER TABLE t ADD COLUMN x int', 'RELEASE a', $read, 'COMMIT' ],
	'DDL after a savepoint that was rolled back' =>
	  [ 'BEGIN', 'SAVEPOINT a', $read, 'ROLLBACK TO a', $read, 'ALTER TABLE t ADD COLUMN x int', 'COMMIT' ],
	'TRUNCATE after a read' => [ 'BEGIN', $read, 'CREATE TABLE u AS SELECT 1', 'TRUNCATE u', 'DROP TABLE u', 'ALTER TABLE t ADD COLUMN x int', 'COMMIT' ],
	'DDL with a local cursor' => [ 'BEGIN', "DECLARE c CURSOR FOR SELECT i FROM t", 'FETCH 1 FROM c', 'ALTER TABLE t ADD COLUMN x int', 'COMMIT' ],
	'DDL with a forwarded cursor' => [ 'BEGIN', 'INSERT INTO locked VALUES (1) ON CONFLICT DO NOTHING',
		'DECLARE c CURSOR FOR SELECT i FROM t', 'FETCH 1 FROM c', 'CLOSE c', 'ALTER TABLE t ADD COLUMN x int', 'COMMIT' ],
	'DDL in a message' => [ "$read; ALTER TABLE t ADD COLUMN x int; $read" ],
	'DDL alone' => ['ALTER TABLE t ADD COLUMN x int'],
	'DDL in one that keeps its snapshot' =>
	  [ 'BEGIN ISOLATION LEVEL SERIALIZABLE', $read, 'ALTER TABLE t ADD COLUMN x int', $read, 'COMMIT' ]);
foreach my $what (sort keys %change)
{
	my $app = $cluster->connect('near');
	my $start = time;
	my $failure = '';
	foreach my $sql (@{ $change{$what} })
	{
		my $result = $app->query($sql);
		$failure = "$sql: $result->{error}{code} $result->{error}{message}" if $result->{error};
	}
	is($failure, '', "$what: committed, and applied here");
	cmp_ok(time - $start, '<', 10, '... soon');
	is($app->query('SELECT x FROM t LIMIT 1')->{error}, undef, '... which the session sees');
	$app->do('ALTER TABLE t DROP COLUMN x');
	replay_goes_on($what);
	$app->close;
}

# A statement that is only parsed has locks, too.
{
	my $app = $cluster->connect('near');
	$app->do('BEGIN');
	$app->do('ALTER TABLE t ADD COLUMN x int');
	$app->prepare('p', $read);
	$app->send_query('COMMIT');
	is(outcome(scalar $app->finish), 'COMMIT', 'DDL, and a statement that is parsed: committed, and applied here');
	is($app->run('p')->{error}, undef, '... and executed');
	$app->do('ALTER TABLE t DROP COLUMN x');
	$app->do('BEGIN');
	$app->do('INSERT INTO locked VALUES (50)');
	$app->prepare('q', $read);
	is(outcome($app->query('COMMIT')), 'COMMIT', '... and without DDL');
	$app->do("VACUUM t");
	replay_goes_on('VACUUM');
	$app->close;
}

done_testing();
