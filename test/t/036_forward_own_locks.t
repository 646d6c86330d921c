# A transaction of a replica's client holds an exclusive lock at the primary, and
# replay holds it at the replica: the transaction's next statement about that table
# can't be analysed there.  It must not wait for its own end.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' } ],
	conf => "deadlock_timeout = '100ms'\n");
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE t (i int); INSERT INTO t VALUES (1)');
$setup->do('CREATE TABLE other (i int); INSERT INTO other VALUES (1)');
$cluster->wait_replayed;

# Replay holds an exclusive lock on the table, or none.
sub locked
{
	my ($locked) = @_;
	$cluster->sql('primary', 'SELECT pg_switch_wal()');	# have it flushed
	$cluster->node('near')->poll_query_until('postgres',
		"SELECT count(*) = $locked FROM pg_locks WHERE relation = 't'::regclass"
		  . q{ AND mode = 'AccessExclusiveLock' AND granted})
	  or die 'replay ' . ($locked ? 'has no' : 'keeps its') . ' lock';
	return;
}

# A transaction at the replica that has locked the table at the primary
sub locking
{
	my ($sql) = @_;
	my $session = $cluster->connect('near');
	$session->do("SET statement_timeout = '30s'");
	$session->do('BEGIN');
	$session->do($sql);
	locked(1);
	return $session;
}

foreach my $lock ('TRUNCATE t', 'LOCK TABLE t', 'ALTER TABLE t ADD COLUMN k int', 'DO $$ BEGIN TRUNCATE t; END $$')
{
	foreach my $sql ('SELECT count(*) FROM t', 'INSERT INTO t VALUES (2)', 'EXPLAIN SELECT * FROM t',
		'DECLARE c CURSOR FOR SELECT * FROM t')
	{
		my $session = locking($lock);
		my $start = time;
		my $error = $session->error($sql);
		is($error && $error->{code}, '40P01', "$lock; $sql: an error");
		cmp_ok(time - $start, '<', 10, '... soon');
		like($error->{hint}, qr/run such a transaction at the primary/, '... that says what to do');
		$session->do('ROLLBACK');
		locked(0);
		is($session->value('SELECT count(*) FROM t'), 1, '... and the session goes on');
		$session->close;
	}
}

# what is not about that table
{
	my $session = locking('TRUNCATE t');
	is($session->value('SELECT i FROM other'), 1, 'other tables are served');
	is($session->error('COPY t TO STDOUT'), undef, 'what is not analysed here is, too');
	$session->do('TRUNCATE t');
	$session->do('ALTER TABLE t ADD COLUMN k int');
	$session->do('ROLLBACK');
	locked(0);
}

# Timers end with an error; the watch goes on behind a savepoint.
{
	my $session = locking('LOCK TABLE t');
	$session->do('SAVEPOINT a');
	is($session->error('SELECT 1 / 0 FROM other')->{code}, '22012', 'an error');
	$session->do('ROLLBACK TO a');
	is($session->error('SELECT count(*) FROM t')->{code}, '40P01', 'behind a savepoint as well');
	$session->do('ROLLBACK TO a');
	is($session->value('SELECT i FROM other'), 1, '... which undoes it');
	$session->do('COMMIT');
	is($session->value('SELECT count(*) FROM t'), 1, '... and the transaction is committed');
}

# Who has no transaction at the primary waits, as ever.
{
	my $holder = locking('LOCK TABLE t');
	my $session = $cluster->connect('near');
	$session->do('BEGIN');
	is($session->value('SELECT i FROM other'), 1, 'a transaction that only reads');
	$session->send_query('SELECT count(*) FROM t');
	$cluster->wait_for_wait('near', $session->pid, 'Lock');
	ok(!$session->ready(1), '... waits for a lock');
	$holder->do('COMMIT');
	is($session->finish->{rows}[0][0], 1, '... until it gets it');
}

# A cancel that is the client's is told as such.
{
	my $session = locking('LOCK TABLE t');
	$session->send_query('SELECT pg_sleep(30) FROM other');
	$cluster->wait_for_wait('near', $session->pid, 'Extension');
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'a cancel is a cancel');
	$session->do('ROLLBACK');
}

done_testing();
