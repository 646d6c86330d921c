# Cursors and portals of a replica's client, in transactions that run at the
# primary: they give what the primary's give, and stand where the primary's stand.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use SameScripts;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ]);
if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

$cluster->connect('primary')->do(<<'SQL');
CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL);
CREATE TABLE child (i int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION add(k int) RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (k, k) RETURNING i';
SQL

my $same = SameScripts->new(
	$cluster,
	replica => 'near',
	tables => ['t'],
	reset => [ 'TRUNCATE t, child', 'INSERT INTO t SELECT g, g * 10 FROM generate_series(1, 10) g' ]);
sub same { local $Test::Builder::Level = $Test::Builder::Level + 1; return $same->run(@_); }

my @write = ('BEGIN', 'INSERT INTO t VALUES (20, 0)');
my @moves = map { "$_ c" } (
	'FETCH', 'FETCH 3 FROM', 'FETCH BACKWARD 2 FROM', 'FETCH 5 FROM', 'FETCH PRIOR FROM', 'FETCH 0 FROM',
	'FETCH ABSOLUTE 4 FROM', 'FETCH RELATIVE -2 FROM', 'MOVE 3 IN', 'FETCH LAST FROM', 'FETCH NEXT FROM', 'FETCH PRIOR FROM',
	'FETCH ABSOLUTE -3 FROM', 'MOVE FIRST IN', 'FETCH BACKWARD ALL FROM', 'FETCH FORWARD ALL FROM',
	'FETCH BACKWARD 2 FROM', 'MOVE BACKWARD ALL IN', 'FETCH 2 FROM', 'FETCH ABSOLUTE 0 FROM', 'FETCH ABSOLUTE 100 FROM', 'CLOSE');
# something else on the same connection between any two
my @between = map { ($_, 'SELECT count(*) FROM t') } @moves;

foreach my $query (
	'SELECT i FROM t', 'SELECT i FROM t ORDER BY i DESC', 'SELECT a.i, b.v FROM t a JOIN t b ON a.i = b.i ORDER BY 1',
	'SELECT count(*), i % 3 FROM t GROUP BY 2 ORDER BY 2', 'SELECT i FROM t WHERE false', 'SELECT i FROM t WHERE i = 20')
{
	same("SCROLL: $query", @write, "DECLARE c SCROLL CURSOR FOR $query", @between, 'COMMIT');
	same("NO SCROLL: $query", @write, "DECLARE c NO SCROLL CURSOR FOR $query", 'FETCH 2 FROM c', 'SELECT count(*) FROM t',
		'MOVE 1 IN c', 'FETCH ALL FROM c', 'FETCH c', 'SAVEPOINT a', 'FETCH BACKWARD 1 FROM c', 'ROLLBACK TO a', 'FETCH c', 'COMMIT');
}
same('neither SCROLL nor NO SCROLL', @write, 'DECLARE c CURSOR FOR SELECT i FROM t', @between, 'COMMIT');
same('that writes', 'BEGIN', 'DECLARE c CURSOR FOR SELECT add(i + 100) FROM t WHERE i <= 10', 'FETCH 2 FROM c',
	'SELECT count(*) FROM t', 'FETCH PRIOR FROM c', 'FETCH 3 FROM c', 'SELECT count(*) FROM t', 'CLOSE c', 'COMMIT');
same('SCROLL that writes', 'BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT add(i + 100) FROM t WHERE i <= 10', 'FETCH 2 FROM c',
	'FETCH BACKWARD ALL FROM c', 'FETCH 3 FROM c', 'SELECT count(*) FROM t', 'COMMIT');
same('EXPLAIN and options', @write, 'DECLARE c INSENSITIVE CURSOR FOR SELECT i FROM t', 'FETCH 1 FROM c',
	'DECLARE c CURSOR FOR SELECT 1', 'ROLLBACK', 'BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT i FROM t FOR UPDATE', 'ROLLBACK',
	'DECLARE c CURSOR FOR SELECT i FROM t FOR UPDATE', 'DECLARE "Some Name" CURSOR FOR SELECT 1', @write,
	'DECLARE "Some Name" CURSOR FOR SELECT i FROM t ORDER BY i', 'FETCH 2 FROM "Some Name"', 'COMMIT');
same('with parameters', @write, [ 'DECLARE c SCROLL CURSOR FOR SELECT i FROM t WHERE i > $1 ORDER BY i', 3 ],
	'FETCH 2 FROM c', 'MOVE ABSOLUTE 0 IN c', 'FETCH 2 FROM c', 'COMMIT');
same('binary', @write, 'DECLARE c BINARY CURSOR FOR SELECT i, v, i::text FROM t ORDER BY i', 'FETCH 2 FROM c', 'FETCH ALL FROM c', 'COMMIT');
same('insensitive to what comes later', @write, 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'INSERT INTO t VALUES (0, 0)',
	'DELETE FROM t WHERE i = 5', 'FETCH ALL FROM c', 'COMMIT');

# --- WHERE CURRENT OF ----------------------------------------------------

same('FOR UPDATE', 'BEGIN', 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i FOR UPDATE', 'FETCH 2 FROM c',
	'UPDATE t SET v = -v WHERE CURRENT OF c RETURNING *', 'SELECT count(*) FROM t', 'FETCH 3 FROM c', 'DELETE FROM t WHERE CURRENT OF c RETURNING i',
	'DELETE FROM t WHERE CURRENT OF c', 'FETCH 100 FROM c', 'DELETE FROM t WHERE CURRENT OF c', 'COMMIT');
same('a cursor that goes back', @write, 'DECLARE c SCROLL CURSOR FOR SELECT i FROM t', 'FETCH 5 FROM c',
	'FETCH BACKWARD 2 FROM c', 'UPDATE t SET v = -v WHERE CURRENT OF c RETURNING i', 'FETCH ABSOLUTE 2 FROM c',
	'UPDATE t SET v = -v WHERE CURRENT OF c RETURNING i', 'MOVE 4 IN c', 'UPDATE t SET v = -v WHERE CURRENT OF c RETURNING i', 'COMMIT');
same('by a prepared statement', @write, 'DECLARE c CURSOR FOR SELECT i FROM t FOR UPDATE', 'FETCH 2 FROM c',
	[ 'UPDATE t SET v = $1 WHERE CURRENT OF c RETURNING i', -1 ], 'COMMIT');
{
	my $session = $same->replica;
	$same->reset_tables;
	$cluster->wait_replayed;
	$session->do('BEGIN');
	$session->do('DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i');
	is($session->text('FETCH 2 FROM c'), "1\n2", 'a cursor that is opened ahead of the first write');
	$session->do('INSERT INTO t VALUES (0, 0)');
	is($session->text('FETCH 2 FROM c'), "3\n4", '... goes on here');
	my $error = $session->error('DELETE FROM t WHERE CURRENT OF c');
	is($error->{code}, '34000', '... and is not known at the primary');
	like($error->{hint}, qr/ahead of the transaction's first write.*FOR UPDATE/, '... as the hint says');
	$session->do('ROLLBACK');
	is($session->error('FETCH c')->{hint}, '', 'no such hint where it would be wrong');
}

# --- savepoints ----------------------------------------------------------

same('fetched from in a savepoint', @write, 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'FETCH 2 FROM c', 'SAVEPOINT a',
	'FETCH 2 FROM c', 'INSERT INTO t VALUES (21, 0)', 'FETCH 1 FROM c', 'ROLLBACK TO a', 'FETCH 2 FROM c', 'SELECT count(*) FROM t', 'COMMIT');
same('opened in a savepoint', @write, 'SAVEPOINT a', 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'FETCH 2 FROM c',
	'ROLLBACK TO a', 'SAVEPOINT b', 'FETCH 1 FROM c', 'ROLLBACK TO b', 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i DESC', 'FETCH 1 FROM c',
	'RELEASE b', 'FETCH 1 FROM c', 'SAVEPOINT d', 'CLOSE c', 'ROLLBACK TO d', 'FETCH 1 FROM c', 'ROLLBACK TO d',
	'DECLARE c CURSOR FOR SELECT 1 FROM t', 'FETCH 1 FROM c', 'COMMIT');
same('closed in a savepoint', @write, 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'SAVEPOINT a', 'INSERT INTO t VALUES (21, 0)',
	'CLOSE c', 'ROLLBACK TO a', 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i DESC', 'FETCH c', 'COMMIT');
same('opened and closed in one', @write, 'SAVEPOINT a', 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'FETCH c', 'CLOSE c',
	'ROLLBACK TO a', 'INSERT INTO t VALUES (21, 0)', 'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'CLOSE ALL',
	'DECLARE c CURSOR FOR SELECT i FROM t ORDER BY i', 'FETCH c', 'COMMIT');
same('that fails half way', @write, 'DECLARE c CURSOR FOR SELECT 10 / (i - 3) FROM t ORDER BY i', 'SAVEPOINT a', 'FETCH 2 FROM c',
	'FETCH 2 FROM c', 'ROLLBACK TO a', 'FETCH 1 FROM c', 'ROLLBACK TO a', 'SELECT count(*) FROM t', 'COMMIT');

same('that has failed, closed and declared again', @write, 'DECLARE c NO SCROLL CURSOR FOR SELECT i FROM t', 'FETCH c', 'SAVEPOINT a',
	'FETCH PRIOR FROM c', 'ROLLBACK TO a', 'CLOSE c', 'DECLARE c CURSOR FOR SELECT i FROM t', 'FETCH c', 'COMMIT');

# --- WITH HOLD -----------------------------------------------------------

foreach my $scroll ('', 'SCROLL', 'NO SCROLL')
{
	same("WITH HOLD $scroll", @write, "DECLARE c $scroll CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i", 'FETCH 3 FROM c', 'COMMIT',
		'FETCH 2 FROM c', 'DELETE FROM t WHERE i > 15', 'FETCH ALL FROM c', 'CLOSE c', 'FETCH c');
	same("WITH HOLD $scroll, by itself", "DECLARE c $scroll CURSOR WITH HOLD FOR SELECT add(i + 100) FROM t WHERE i < 4", 'SELECT count(*) FROM t',
		'FETCH 2 FROM c', 'FETCH ALL FROM c', 'CLOSE c');
}
same('WITH HOLD, backwards', @write, 'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i', 'FETCH 3 FROM c', 'COMMIT',
	'FETCH PRIOR FROM c', 'FETCH LAST FROM c', 'MOVE ABSOLUTE 2 IN c', 'FETCH c', 'CLOSE c');
same('WITH HOLD, rolled back', @write, 'DECLARE c CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i', 'FETCH 3 FROM c', 'ROLLBACK', 'FETCH c');
same('WITH HOLD that fails at COMMIT', @write, 'DECLARE c CURSOR WITH HOLD FOR SELECT 10 / (i - 3) FROM t ORDER BY i', 'FETCH c', 'COMMIT',
	'SELECT 1', 'FETCH c');

same('a cursor that is older than the first write', 'BEGIN', 'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i', 'FETCH 2 FROM c',
	'INSERT INTO t VALUES (20, 0)', 'FETCH 2 FROM c', 'SAVEPOINT a', 'FETCH PRIOR FROM c', 'INSERT INTO t VALUES (1, 0)', 'ROLLBACK TO a',
	'FETCH 1 FROM c', 'COMMIT', 'FETCH 1 FROM c', 'FETCH ALL FROM c', 'CLOSE c');

foreach my $first ('DECLARE c CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i', 'INSERT INTO child VALUES (100)')
{
	same("WITH HOLD, and COMMIT fails behind it, begun by $first", 'BEGIN', $first, 'SAVEPOINT a', 'DECLARE d CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i',
		'FETCH d', 'INSERT INTO child VALUES (101)', 'COMMIT', 'FETCH d', 'FETCH c', 'DECLARE d CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY i', 'FETCH d', 'CLOSE d');
}

# --- portals that are run for some rows at a time -----------------------

# Binds a portal to a query, and runs it for these numbers of rows.
sub portal
{
	my ($sql, $portal, @rows) = @_;
	return sub {
		my ($session) = @_;
		$session->send_parse('', $sql);
		$session->send_bind($portal, '');
		$session->send_fetch($portal, $_) for @rows;
		$session->sync;
		return $session->finish;
	};
}
sub more
{
	my ($portal, @rows) = @_;
	return sub {
		my ($session) = @_;
		$session->send_fetch($portal, $_) for @rows;
		$session->sync;
		return $session->finish;
	};
}
foreach my $query ('SELECT i FROM t ORDER BY i', 'SELECT i FROM t ORDER BY i FOR UPDATE', 'SELECT add(i + 100) FROM t WHERE i <= 10 ORDER BY i',
	'INSERT INTO t SELECT g, 0 FROM generate_series(30, 35) g RETURNING i', 'WITH w AS (DELETE FROM t RETURNING i) SELECT i FROM w')
{
	same("row limits, $query", @write, portal($query, 'p', 2, 3), 'SELECT count(*) FROM t', more('p', 1, 0, 1), 'COMMIT');
	same("row limits in an implicit transaction, $query", portal($query, '', 2, 3, 0), portal($query =~ s/30, 35/40, 45/r =~ s/100/200/r, 'q', 4), 'SELECT count(*) FROM t');
	same("two at a time, $query", @write, portal($query, 'p', 2), portal('SELECT v FROM t ORDER BY i', 'q', 1), more('p', 2), more('q', 2),
		more('p', 0), more('q', 0), 'COMMIT');
}

done_testing();
