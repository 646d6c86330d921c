
# How many round trips to the primary forwarded statements cost: one for a
# statement that is a transaction of its own, one more than it has statements for
# a transaction.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use Test::More;
use TurnCounter;

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' } ],
	setup => <<'SQL');
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) i;
CREATE FUNCTION adds(i int) RETURNS int LANGUAGE sql AS 'UPDATE t SET v = v + 1 WHERE id = i RETURNING v';
ALTER TABLE t OWNER TO app;
SQL

my $counter = TurnCounter->new($cluster->primary);
$cluster->sql('primary', q{ALTER SERVER "primary" OPTIONS (SET host '127.0.0.1', SET port '}
	  . $counter->port . q{')});
$cluster->wait_replayed('near');
$cluster->node('near')->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM consistency.nodes WHERE port = '" . $counter->port . "' AND state = 'up'")
  or die 'the replica does not see the primary behind the counter';

my $session = $cluster->connect('near');
my $update = 'UPDATE t SET v = v + 1 WHERE id = 1';

# The connection, and what is said over it once.
sub warm_up { $session->do($update) for 1 .. 2; return; }

sub costs
{
	my ($what, $turns, $code) = @_;
	my $before = $counter->turns('app');
	$code->();
	is($counter->turns('app') - $before, $turns, "$what: $turns");
	return;
}

warm_up();

# --- statements that are transactions of their own ----------------------

costs('simple UPDATE', 1, sub { $session->do($update) });
costs('extended UPDATE with its Sync', 1, sub { $session->execute('UPDATE t SET v = $1 WHERE id = 2', 5) });
costs('INSERT with RETURNING', 1, sub { $session->do('INSERT INTO t VALUES (20, 0) RETURNING id') });
costs('a function that writes', 1, sub { $session->do('SELECT adds(1)') });
costs('an error', 1, sub { $session->error('INSERT INTO t VALUES (20, 0)') });
costs('after an error', 1, sub { $session->do($update) });
costs('DDL', 1, sub { $session->do('COMMENT ON TABLE t IS NULL') });
costs('a local read', 0, sub { $session->do('SELECT v FROM t WHERE id = 1') });
costs('UPDATE after a local read', 1, sub { $session->do($update) });
costs('UPDATE after a setting has changed', 1, sub { $session->do("SET DateStyle = 'German'"); $session->do($update) });

# --- transactions -------------------------------------------------------

costs('a transaction of four statements', 5, sub {
	$session->do('BEGIN');
	$session->do($update);
	$session->do('SELECT v FROM t WHERE id = 1');
	$session->do('UPDATE t SET v = 3 WHERE id = 2');
	$session->do('DELETE FROM t WHERE id = 20');
	$session->do('COMMIT');
});
costs('local reads ahead of the first write', 2, sub {
	$session->do('BEGIN');
	$session->do('SELECT v FROM t WHERE id = 1') for 1 .. 3;
	$session->do($update);
	$session->do('COMMIT');
});
costs('a transaction that only reads', 0, sub {
	$session->do('BEGIN');
	$session->do('SELECT v FROM t WHERE id = 1') for 1 .. 3;
	$session->do('COMMIT');
});
costs('savepoints cost nothing', 3, sub {
	$session->do('BEGIN');
	$session->do('SAVEPOINT a');
	$session->do($update);
	$session->do('RELEASE a');
	$session->do('SAVEPOINT b');
	$session->do($update);
	$session->do('RELEASE b');
	$session->do('COMMIT');
});
costs('but going back to one', 4, sub {
	$session->do('BEGIN');
	$session->do('SAVEPOINT a');
	$session->do($update);
	$session->do('ROLLBACK TO a');
	$session->do($update);
	$session->do('COMMIT');
});
costs('a transaction rolled back', 2, sub {
	$session->do('BEGIN');
	$session->do($update);
	$session->do('ROLLBACK');
});
costs('three statements in one simple query', 4, sub { $session->do("$update; $update; $update") });

$session->close;
done_testing();
