# What a review of forwarding has broken: rules, cursors that scroll, COPY, and
# plans that outlive what they were made for.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ]);
my $app = $cluster->connect('near');

# What a client sees of a statement, or of several in a message.
sub seen
{
	my ($sql) = @_;
	return join('; ',
		map { $_->{error} ? $_->{error}{code} : join(' ', $_->{tag}, map { join(',', @$_) } @{ $_->{rows} }) }
		  $app->query($sql));
}

sub is_seen
{
	my ($sql, $expected, $what) = @_;
	is(seen($sql), $expected, $what // $sql);
	return;
}

$app->do($_)
  for 'CREATE TABLE item (i int PRIMARY KEY, t text)',
  'CREATE TABLE note (i int)',
  'CREATE TABLE told (i int)',
  'CREATE RULE tell AS ON INSERT TO told DO ALSO NOTIFY told',
  'CREATE TABLE logged (i int)',
  'CREATE RULE log AS ON INSERT TO logged DO ALSO INSERT INTO note VALUES (new.i)',
  'CREATE VIEW entry AS SELECT 1 AS i',
  'CREATE RULE entry AS ON INSERT TO entry DO INSTEAD INSERT INTO note VALUES (new.i)',
  'CREATE TABLE sealed (i int)',
  'CREATE RULE seal AS ON DELETE TO sealed DO INSTEAD (SELECT 1; SELECT 2)',
  'CREATE RULE mark AS ON UPDATE TO sealed DO INSTEAD (NOTIFY told; INSERT INTO note VALUES (12))',
  'CREATE RULE open AS ON INSERT TO sealed DO INSTEAD (SELECT 1; INSERT INTO note VALUES (new.i))';

# --- rules: a statement is sent once, and no other with it ----------------

is_seen('INSERT INTO told VALUES (1)', 'INSERT 0 1', 'a rule that notifies');
is_seen('SELECT count(*) FROM told', 'SELECT 1 1', '... has the statement sent once');
is_seen('INSERT INTO logged VALUES (1) RETURNING i', 'INSERT 0 1 1', 'a rule that writes too, with RETURNING');
is_seen('BEGIN; INSERT INTO logged VALUES (2), (3) RETURNING i; UPDATE logged SET i = i + 10; COMMIT',
	'BEGIN; INSERT 0 2 2 3; UPDATE 3; COMMIT', '... in a transaction');
is_seen('SELECT i FROM note ORDER BY i', 'SELECT 3 1 2 3', '... did it once');
is_seen('DELETE FROM note; INSERT INTO entry VALUES (7); INSERT INTO entry VALUES (8); INSERT INTO note VALUES (9)',
	'DELETE 3; INSERT 0 1; INSERT 0 1; INSERT 0 1', 'rules that replace statements of one message');
is_seen('SELECT i FROM note ORDER BY i', 'SELECT 3 7 8 9', '... each was sent by itself');
is_seen('DELETE FROM sealed', '0A000', 'a rule that only reads: refused where its rows would be seen');
is($app->execute('DELETE FROM sealed')->{tag}, 'DELETE 0', '... goes there otherwise');
is($app->execute('INSERT INTO sealed VALUES (10)')->{tag}, 'INSERT 0 1', 'one that reads and writes');
is_seen('UPDATE sealed SET i = 1', 'UPDATE 0', 'one that notifies first, and then does something else');
is_seen('DELETE FROM note WHERE i = 12', 'DELETE 1', '... has done that');
is_seen('SELECT count(*) FROM note', 'SELECT 1 4', '... has written');
is_seen('PREPARE several AS INSERT INTO entry VALUES (11); EXECUTE several', 'PREPARE; 0A000',
	'a replaced statement that is kept for later, and one of several: refused');
is_seen('DEALLOCATE several; PREPARE one AS INSERT INTO entry VALUES (11)', 'DEALLOCATE; PREPARE');
$app->do('DEALLOCATE one');
$app->do('PREPARE one AS INSERT INTO entry VALUES (11)');
is_seen('EXECUTE one', 'INSERT 0 1', '... by itself: sent');

# --- COPY -------------------------------------------------------------------

my @lines = map { "$_\t" . 'x' x 60 } 1 .. 5000;
$app->send_query('COPY item FROM STDIN');
$app->read_until('G');
$app->send_copy(@lines);
is($app->finish->{tag}, 'COPY 5000', 'more than fits into a buffer');
is_seen("SELECT count(*) FROM item WHERE t = repeat('x', 60)", 'SELECT 1 5000', '... arrived');

$app->send_query('COPY item FROM STDIN');
$app->read_until('G');
$app->send_copy(@lines);
is($app->finish->{error}{code}, '23505', 'an error of the primary in the middle');
is_seen("INSERT INTO item VALUES (-1, 'after')", 'INSERT 0 1', '... leaves the session usable');

# A cancel is looked at with the next message.
sub cancelled_copy
{
	$app->send_query('COPY item FROM STDIN');
	$app->read_until('G');
	$app->cancel;
	$app->send_copy('-2' . "\tnever");
	return $app->finish->{error};
}
my $error = cancelled_copy();
is($error->{code}, '57014', 'a cancelled COPY') or diag explain $error;
is_seen("INSERT INTO item VALUES (-3, 'after')", 'INSERT 0 1', '... the next transaction is none the worse');
is_seen("BEGIN", 'BEGIN');
is_seen("INSERT INTO item VALUES (-4, 'kept')", 'INSERT 0 1');
is_seen("SAVEPOINT s", 'SAVEPOINT');
is(cancelled_copy()->{code}, '57014', 'a cancelled COPY within a transaction');
is_seen('ROLLBACK TO s', 'ROLLBACK');
is_seen("INSERT INTO item VALUES (-5, 'kept')", 'INSERT 0 1', '... is undone alone');
is_seen('COMMIT', 'COMMIT');
is_seen("SELECT count(*) FROM item WHERE t = 'kept'", 'SELECT 1 2', '... and the rest is kept');

# An error that comes before the connection's settings are up to date: they are
# undone with it.
my $notices = $app->query("SET work_mem = '2MB'; SELECT 1");
$app->send_query("COPY item FROM STDIN");
$app->read_until('G');
$app->send_copy("1\tdouble");
$notices = $app->finish;
is_deeply($notices->{notices}, [], 'no warning about a transaction that there is not');
is_seen("SELECT current_setting('work_mem') FROM item WHERE i = 1 FOR UPDATE", 'SELECT 1 2MB', 'settings that went with an error are sent again');

# --- cursors that scroll ------------------------------------------------------

is_seen(
	"BEGIN; UPDATE item SET t = 'y' WHERE i = 1;"
	  . ' DECLARE c SCROLL CURSOR FOR SELECT i FROM item WHERE i BETWEEN 1 AND 20 ORDER BY i;'
	  . ' FETCH 5 FROM c; MOVE BACKWARD 2 FROM c; FETCH 4 FROM c',
	'BEGIN; UPDATE 1; DECLARE CURSOR; FETCH 5 1 2 3 4 5; MOVE 2; FETCH 4 4 5 6 7', 'forth and back');
is_seen("INSERT INTO item VALUES (-6, 'more')", 'INSERT 0 1', '... and the connection is free');
is_seen('FETCH 2 FROM c; FETCH ABSOLUTE 15 FROM c; FETCH LAST FROM c; FETCH FIRST FROM c; FETCH RELATIVE 0 FROM c',
	'FETCH 2 8 9; FETCH 1 15; FETCH 1 20; FETCH 1 1; FETCH 1 1', '... wherever it goes');
is_seen('COMMIT', 'COMMIT');

# --- plans that are kept --------------------------------------------------------

$app->do('PREPARE keep AS INSERT INTO note VALUES (20)');
$app->do('CREATE FUNCTION write_note() RETURNS int LANGUAGE plpgsql AS'
	  . ' $$ BEGIN INSERT INTO note VALUES (21); RETURN 21; END $$');
$app->do('PREPARE call AS SELECT write_note()');
for my $statement ('keep', 'call')
{
	is_seen('BEGIN READ ONLY', 'BEGIN');
	is_seen("EXECUTE $statement", '25006', "$statement is planned in a transaction that only reads");
	is_seen('ROLLBACK', 'ROLLBACK');
}
is_seen('EXECUTE keep', 'INSERT 0 1', '... and works in one that writes');
is_seen('EXECUTE call', 'SELECT 1 21', '... so does a function that writes');
is_seen('BEGIN READ ONLY; EXECUTE keep', 'BEGIN; 25006', '... and not in the next that only reads');
is_seen('ROLLBACK', 'ROLLBACK');

# --- transaction properties -------------------------------------------------------

is_seen('BEGIN; SAVEPOINT s; SET TRANSACTION READ ONLY; ROLLBACK TO s; INSERT INTO note VALUES (30); ROLLBACK',
	'BEGIN; SAVEPOINT; SET; ROLLBACK; INSERT 0 1; ROLLBACK', 'READ ONLY is undone with its savepoint');
is_seen('BEGIN; SAVEPOINT s; SET TRANSACTION READ ONLY; RELEASE s; INSERT INTO note VALUES (30)',
	'BEGIN; SAVEPOINT; SET; RELEASE; INSERT 0 1', '... and as well when it was released');
is_seen('ROLLBACK', 'ROLLBACK');
is_seen('BEGIN; INSERT INTO note VALUES (31); SET TRANSACTION READ ONLY; INSERT INTO note VALUES (32)',
	'BEGIN; INSERT 0 1; SET; 25006', 'a transaction that runs at the primary becomes READ ONLY there');
is_seen('ROLLBACK', 'ROLLBACK');
is_seen('BEGIN; INSERT INTO note VALUES (31); SAVEPOINT s; SET TRANSACTION READ ONLY; ROLLBACK TO s;'
	  . ' INSERT INTO note VALUES (32); SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
	'BEGIN; INSERT 0 1; SAVEPOINT; SET; ROLLBACK; INSERT 0 1; 25001', '... up to the savepoint');
is_seen('ROLLBACK', 'ROLLBACK');

# --- promotion (last: it ends the cluster as it was) --------------------------------

# --- advisory locks: all who want them meet at the primary -----------------

my $rival = $cluster->connect('primary');
is_seen('BEGIN READ ONLY; SELECT pg_try_advisory_xact_lock(77)', 'BEGIN; SELECT 1 t',
	'a lock of a transaction that is read only');
is($rival->value('SELECT pg_try_advisory_lock(77)'), 'f', '... is held at the primary');
is_seen('INSERT INTO note VALUES (50)', '25006', '... where it is read only as well');
is_seen('ROLLBACK', 'ROLLBACK');
is($rival->value('SELECT pg_try_advisory_lock(77)'), 't', '... and given back');
$rival->close;

my $other = $cluster->connect('near');
$other->do('PREPARE kept AS UPDATE item SET t = t WHERE i = 2');
is($other->query('EXECUTE kept')->{tag}, 'UPDATE 1', 'a plan for the primary');
is_seen('BEGIN; INSERT INTO note VALUES (40)', 'BEGIN; INSERT 0 1', 'a transaction that is under way');
$cluster->node('primary')->stop('immediate');
$cluster->node('near')->promote;
is_seen('SELECT count(*) FROM note', '40001', '... does not go on here after a promotion');
is_seen('ROLLBACK', 'ROLLBACK');
$other->do('BEGIN; UPDATE item SET t = t WHERE i = 2');
is($other->query('EXECUTE kept')->{tag}, 'UPDATE 1', 'the plan is used here now, not by a connection to ourselves');
is($other->row('SELECT * FROM consistency.last_read()')->{place}, 'local', '... and says so');
$other->do('COMMIT');

done_testing();
