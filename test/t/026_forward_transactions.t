# Transactions of a replica's client: what they answer is what the primary
# answers, statement by statement.

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

my $setup = $cluster->connect('primary');
$setup->do(<<'SQL');
CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL CHECK (v < 1000));
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED,
    parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE now_or_later (id int, CONSTRAINT one UNIQUE (id) DEFERRABLE INITIALLY IMMEDIATE);
CREATE FUNCTION careful(k int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO t VALUES (k, 1);
    RETURN 'new';
EXCEPTION WHEN unique_violation THEN
    RAISE NOTICE 'there is %', k;
    UPDATE t SET v = v + 1 WHERE i = k;
    RETURN 'old';
END $$;
CREATE FUNCTION add(k int) RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (k, k) RETURNING i';
SQL

my $same = SameScripts->new(
	$cluster,
	replica => 'near',
	tables => [qw(t parent child now_or_later)],
	reset => [
		'TRUNCATE t, parent, child, now_or_later',
		'INSERT INTO t SELECT g, g * 10 FROM generate_series(1, 10) g',
		'INSERT INTO parent VALUES (1)' ]);

sub same { local $Test::Builder::Level = $Test::Builder::Level + 1; return $same->run(@_); }

sub place { return $same->replica->value('SELECT place FROM consistency.last_read()'); }

# The script does reach the primary: what is compared isn't two replicas.
is($same->replica->value('SELECT pg_is_in_recovery()'), 't', 'the second session is at a replica');

# --- where statements run ------------------------------------------------

{
	my $session = $same->replica;
	$same->reset_tables;
	$cluster->wait_replayed;
	$session->do('PREPARE before_it AS SELECT count(*) FROM t');
	$session->value('EXECUTE before_it') for 1 .. 7;	# a generic plan
	$session->prepare('wire', 'SELECT count(*) FROM t WHERE i <> $1');
	$session->run('wire', 0) for 1 .. 7;
	$session->do('BEGIN');
	is($session->value('SELECT count(*) FROM t'), 10, 'before the first write');
	is(place(), 'local', '... reads run here');
	$session->do('INSERT INTO t VALUES (11, 1)');
	is($session->value('SELECT count(*) FROM t'), 11, 'behind it: own changes are seen by SELECT');
	is(place(), 'forwarded', '... at the primary');
	is($session->value('EXECUTE before_it'), 11, '... by EXECUTE of an older generic plan');
	is($session->run('wire', 0)->{rows}[0][0], 11, '... by an older plan of the extended protocol');
	is(scalar @{ $session->do('COPY t TO STDOUT')->{rows} }, 11, '... by COPY of the table');
	is(scalar @{ $session->do('COPY (SELECT * FROM t) TO STDOUT')->{rows} }, 11, '... by COPY of a query');
	$session->do('DECLARE c CURSOR FOR SELECT count(*) FROM t');
	is($session->value('FETCH c'), 11, '... by a cursor');
	is($session->value('EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM t')
		  =~ /Consistency/ ? 1 : 0, 1, '... and EXPLAIN ANALYZE says so');
	$session->do('COMMIT');
	is($session->value('SELECT count(*) FROM t'), 11, 'after COMMIT: here again, and they are seen');
	isnt(place(), 'forwarded', '... at the replica');
	$session->do('DEALLOCATE ALL');
}

same('a portal bound before the write', 'BEGIN', sub {
	my ($session) = @_;
	$session->send_parse('', 'SELECT count(*) FROM t');
	$session->send_bind('old', '');
	$session->sync;
	$session->finish;
	$session->send_parse('', 'INSERT INTO t VALUES (20, 1)');
	$session->send_bind('', '');
	$session->send_fetch('');
	$session->sync;
	$session->finish;
	$session->send_fetch('old');
	$session->sync;
	return $session->finish;
}, 'COMMIT');

# --- savepoints ----------------------------------------------------------

same('savepoints, five deep',
	'BEGIN', 'INSERT INTO t VALUES (20, 0)',
	map({ ("SAVEPOINT s$_", "INSERT INTO t VALUES (20 + $_, 0)") } 1 .. 5),
	'ROLLBACK TO s4', 'SELECT i FROM t WHERE i >= 20 ORDER BY i',
	'RELEASE s3', 'ROLLBACK TO s3', 'ROLLBACK TO s2', 'SELECT i FROM t WHERE i >= 20 ORDER BY i',
	'INSERT INTO t VALUES (30, 0)', 'RELEASE s1', 'INSERT INTO t VALUES (31, 0)', 'COMMIT');
same('savepoints without statements in them',
	'BEGIN', 'SAVEPOINT a', 'SAVEPOINT b', 'RELEASE a', 'SAVEPOINT c', 'ROLLBACK TO c', 'RELEASE c',
	'INSERT INTO t VALUES (20, 0)', 'SAVEPOINT d', 'SAVEPOINT e', 'ROLLBACK TO d', 'RELEASE d',
	'SAVEPOINT f', 'RELEASE f', 'SAVEPOINT g', 'SAVEPOINT h', 'RELEASE h', 'INSERT INTO t VALUES (21, 0)',
	'ROLLBACK TO g', 'COMMIT');
same('subtransactions that are older than the first write',
	'BEGIN', 'SAVEPOINT a', 'SELECT count(*) FROM t', 'SAVEPOINT b', 'INSERT INTO t VALUES (20, 0)', 'ROLLBACK TO b',
	'SELECT count(*) FROM t', 'INSERT INTO t VALUES (21, 0)', 'ROLLBACK TO a', 'SELECT count(*) FROM t',
	'INSERT INTO t VALUES (22, 0)', 'COMMIT');
same('the same name again',
	'BEGIN', 'SAVEPOINT a', 'INSERT INTO t VALUES (20, 0)', 'SAVEPOINT a', 'INSERT INTO t VALUES (21, 0)',
	'ROLLBACK TO a', 'RELEASE a', 'INSERT INTO t VALUES (22, 0)', 'SAVEPOINT "a b"', 'ROLLBACK TO "a b"', 'COMMIT');
same('errors at every place, with savepoints',
	'BEGIN', 'SAVEPOINT a', 'INSERT INTO t VALUES (1, 0)', 'SELECT 1', 'ROLLBACK TO a',
	'INSERT INTO t VALUES (20, 0)', 'SAVEPOINT b', 'INSERT INTO t VALUES (21, 5000)', 'ROLLBACK TO b',
	'SELECT 1 / 0', 'ROLLBACK TO b', 'SELECT * FROM missing', 'ROLLBACK TO b', 'SELEC', 'ROLLBACK TO b',
	'INSERT INTO t VALUES (21, 0)', 'SAVEPOINT c', [ 'INSERT INTO t VALUES ($1, $2)', 1, 1 ], 'ROLLBACK TO c',
	[ 'INSERT INTO t VALUES ($1, $2)', 'x', 1 ], 'ROLLBACK TO c', "SELECT 1 / (v - v) FROM t", 'ROLLBACK TO a',
	'INSERT INTO t VALUES (22, 0)', 'COMMIT');
same('an error without a savepoint', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'INSERT INTO t VALUES (1, 0)',
	'SELECT 1', 'SAVEPOINT a', 'COMMIT', 'INSERT INTO t VALUES (21, 0)');
same('an error here after a write there', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'SELECT * FROM missing',
	'COMMIT', 'INSERT INTO t VALUES (21, 0)');
same('an error in the first forwarded statement', 'BEGIN', 'INSERT INTO t VALUES (1, 0)', 'ROLLBACK',
	'INSERT INTO t VALUES (21, 0)');
same('wrong savepoints', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'RELEASE nothing', 'ROLLBACK',
	'SAVEPOINT outside', 'BEGIN', 'BEGIN', 'COMMIT', 'COMMIT');

# as psql does it with ON_ERROR_ROLLBACK
{
	my @script = (
		'BEGIN;', 'INSERT INTO t VALUES (20, 0);', 'INSERT INTO t VALUES (1, 0);', 'SELECT * FROM missing;',
		'SAVEPOINT own;', 'INSERT INTO t VALUES (21, 0);', 'SELECT 1/0;', 'ROLLBACK TO own;',
		'INSERT INTO t VALUES (22, 0);', 'COMMIT;', 'SELECT i FROM t WHERE i >= 20 ORDER BY i;');
	my %out;
	foreach my $where (qw(primary near))
	{
		my $token = $same->reset_tables;
		my $node = $cluster->node($where);
		my ($stdout, $stderr);
		run_log([ 'psql', '-XAtq', '-v', 'ON_ERROR_ROLLBACK=on', '-d', $node->connstr('postgres') . ' user=app password=' . "'app secret'",
			'-f', '-' ], '<', \join("\n", "SET consistency.token = '$token';", @script), '>', \$stdout, '2>', \$stderr);
		$out{$where} = "$stdout$stderr";
	}
	is($out{near}, $out{primary}, 'ON_ERROR_ROLLBACK');
	like($out{near}, qr/^20\n22\n/m, '... keeps what was good');
}

# --- PL/pgSQL ------------------------------------------------------------

same('exception blocks',
	'SELECT careful(20)', 'SELECT careful(20)', 'BEGIN', 'SELECT careful(21), careful(21)', 'SAVEPOINT a',
	'SELECT careful(1)', 'ROLLBACK TO a', "DO \$\$ BEGIN INSERT INTO t VALUES (22, 1); BEGIN PERFORM 1 / 0;"
	  . " EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught'; END; END \$\$",
	"DO \$\$ BEGIN RAISE EXCEPTION 'not caught' USING ERRCODE = 'XX123'; END \$\$", 'ROLLBACK TO a',
	'SELECT add(23) + add(24)', 'COMMIT');

# --- deferred constraints ------------------------------------------------

same('deferred, at COMMIT', 'BEGIN', 'INSERT INTO child VALUES (1, 2)', 'COMMIT', 'SELECT 1',
	'BEGIN', 'INSERT INTO child VALUES (1, 2)', 'INSERT INTO parent VALUES (2)', 'COMMIT');
same('deferred, a statement alone', 'INSERT INTO child VALUES (1, 2)', 'SELECT 1',
	'INSERT INTO child VALUES (1, 1)', 'INSERT INTO child VALUES (1, 1)');
same('SET CONSTRAINTS', 'SET CONSTRAINTS ALL IMMEDIATE', 'BEGIN', 'SET CONSTRAINTS ALL IMMEDIATE',
	'INSERT INTO child VALUES (1, 2)', 'ROLLBACK', 'BEGIN', 'INSERT INTO child VALUES (1, 2)',
	'SET CONSTRAINTS ALL IMMEDIATE', 'ROLLBACK', 'BEGIN', 'SET CONSTRAINTS one DEFERRED',
	'INSERT INTO now_or_later VALUES (1), (1)', 'SAVEPOINT a', 'SET CONSTRAINTS one IMMEDIATE', 'ROLLBACK TO a',
	'DELETE FROM now_or_later', 'COMMIT', 'INSERT INTO now_or_later VALUES (1), (1)');
{
	# By the extended protocol PostgreSQL tells with the Sync; what counts is that
	# it tells, before it is ready for the next statement.
	my $session = $same->replica;
	my $result = $session->execute('INSERT INTO child VALUES ($1, $2)', 7, 7);
	is($result->{error} && $result->{error}{code}, '23503', 'deferred, extended protocol: fails');
	is($session->status, 'I', '... and the session is idle');
	$result = $session->execute('INSERT INTO child VALUES ($1, $2) RETURNING id', 7, 7);
	is($result->{error} && $result->{error}{code}, '23503', 'the same with RETURNING');
	is($session->execute('INSERT INTO child VALUES ($1, $2)', 7, 1)->{tag}, 'INSERT 0 1', 'the next one works');
	is($session->value('SELECT count(*) FROM child WHERE id = 7'), 1, '... and is the only one');
}

# --- what a transaction may --------------------------------------------

foreach my $begin ('BEGIN READ ONLY', 'BEGIN; SET TRANSACTION READ ONLY', 'BEGIN READ WRITE; SET TRANSACTION READ ONLY',
	'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY',
	'BEGIN READ ONLY, ISOLATION LEVEL SERIALIZABLE', 'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE',
	'BEGIN ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY')
{
	foreach my $write ('INSERT INTO t VALUES (20, 0)', 'SELECT * FROM t WHERE i = 1 FOR UPDATE', 'SELECT add(20)',
		'CREATE TABLE never (i int)', "COPY t FROM STDIN", 'DO $$ BEGIN DELETE FROM t; END $$')
	{
		my $session = $same->replica;
		$session->do($begin);
		is($session->value('SELECT count(*) > 0 FROM t'), 't', "$begin: reads");
		my $error = $session->error($write);
		is($error && $error->{code}, '25006', "... refuses $write");
		$session->do('ROLLBACK');
	}
}
same('READ ONLY later on', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'SET TRANSACTION READ ONLY',
	'SELECT count(*) FROM t', 'SHOW transaction_read_only', 'INSERT INTO t VALUES (21, 0)', 'COMMIT');
same('READ ONLY and back', 'BEGIN', 'SET TRANSACTION READ ONLY', 'SET TRANSACTION READ WRITE',
	'INSERT INTO t VALUES (20, 0)', 'COMMIT', 'BEGIN READ ONLY', 'SELECT 1 FROM t WHERE i = 1', 'SET TRANSACTION READ WRITE',
	'ROLLBACK', 'BEGIN READ ONLY', 'SAVEPOINT a', 'SET TRANSACTION READ WRITE', 'ROLLBACK');
foreach my $end ('ROLLBACK TO a', 'RELEASE a')
{
	same("READ ONLY in a subtransaction, $end", 'BEGIN', 'SAVEPOINT a', 'SET TRANSACTION READ ONLY', $end,
		'INSERT INTO t VALUES (20, 0)', 'SAVEPOINT a', 'SET TRANSACTION READ ONLY', $end, 'INSERT INTO t VALUES (21, 0)',
		'COMMIT');
}
same('default_transaction_read_only', 'SET default_transaction_read_only = on', 'INSERT INTO t VALUES (20, 0)',
	'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'ROLLBACK', 'BEGIN READ WRITE', 'INSERT INTO t VALUES (20, 0)', 'COMMIT',
	'BEGIN', 'SELECT count(*) FROM t', 'SET TRANSACTION READ WRITE', 'ROLLBACK', 'BEGIN', 'SET TRANSACTION READ WRITE',
	'INSERT INTO t VALUES (21, 0)', 'COMMIT');
foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	same("$level, chained", "BEGIN ISOLATION LEVEL $level", 'INSERT INTO t VALUES (20, 0)', 'COMMIT AND CHAIN',
		"SELECT current_setting('transaction_isolation') FROM t WHERE i = 20", 'INSERT INTO t VALUES (21, 0)', 'ROLLBACK AND CHAIN',
		'INSERT INTO t VALUES (1, 0)', 'ROLLBACK AND CHAIN', 'INSERT INTO t VALUES (22, 0)', 'SHOW transaction_isolation',
		'SELECT 1 / 0', 'COMMIT AND CHAIN', 'INSERT INTO t VALUES (23, 0)', 'SHOW transaction_isolation', 'SAVEPOINT a',
		'SELECT 1 / 0', 'ROLLBACK AND CHAIN', 'INSERT INTO t VALUES (24, 0)', 'SHOW transaction_isolation',
		'INSERT INTO child VALUES (1, 2)', 'COMMIT AND CHAIN', 'INSERT INTO t VALUES (25, 0)',
		'BEGIN', 'INSERT INTO t VALUES (26, 0)', 'SHOW transaction_isolation', 'COMMIT');
}
same('chained READ ONLY', 'BEGIN READ ONLY', 'COMMIT AND CHAIN', 'INSERT INTO t VALUES (20, 0)', 'ROLLBACK AND CHAIN',
	'INSERT INTO t VALUES (20, 0)', 'ROLLBACK', 'INSERT INTO t VALUES (20, 0)', 'COMMIT AND CHAIN');
same('too late', 'BEGIN', 'SELECT count(*) FROM t', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'ROLLBACK',
	'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'ROLLBACK',
	'BEGIN', 'SAVEPOINT a', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'ROLLBACK',
	'BEGIN ISOLATION LEVEL SERIALIZABLE', 'SELECT count(*) FROM t', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
	'SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'ROLLBACK');
same('default_transaction_isolation', "SET default_transaction_isolation = 'repeatable read'",
	'INSERT INTO t VALUES (20, 0)', 'BEGIN', 'INSERT INTO t VALUES (21, 0)', 'SHOW transaction_isolation', 'COMMIT',
	"SET default_transaction_isolation = 'serializable'", 'BEGIN', 'SELECT count(*) FROM t', 'SHOW transaction_isolation',
	'INSERT INTO t VALUES (22, 0)', 'COMMIT');

same('BEGIN in a transaction', 'BEGIN', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'BEGIN', 'START TRANSACTION READ ONLY',
	'INSERT INTO t VALUES (21, 0)', 'ROLLBACK', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'ROLLBACK');
same('READ UNCOMMITTED', 'BEGIN ISOLATION LEVEL READ UNCOMMITTED', 'INSERT INTO t VALUES (20, 0)', 'SHOW transaction_isolation', 'COMMIT');
same('LOCK', 'LOCK t', 'BEGIN', 'LOCK t', 'LOCK missing', 'ROLLBACK', 'BEGIN READ ONLY', 'LOCK t IN ACCESS SHARE MODE', 'INSERT INTO t VALUES (20, 0)', 'COMMIT');

{
	# What a role has by default is for the client's session; that at the primary
	# does what this one says.
	$setup->do('GRANT ALL ON t TO other');
	$cluster->sql('primary', "ALTER ROLE other SET default_transaction_isolation = 'repeatable read'");
	$cluster->sql('primary', 'ALTER ROLE other SET default_transaction_read_only = on');
	$same->reset_tables;
	$cluster->wait_replayed;
	foreach my $statements (
		[ 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE', 'INSERT INTO t VALUES (20, 0)', 'COMMIT' ],
		[ 'BEGIN READ WRITE', 'INSERT INTO t VALUES (21, 0)', 'COMMIT' ],
		[ 'SET default_transaction_read_only = off', 'INSERT INTO t VALUES (22, 0)' ],
		[ "SET default_transaction_isolation = 'read committed'", 'SET default_transaction_read_only = off', 'INSERT INTO t VALUES (23, 0)' ])
	{
		my $session = $cluster->connect('near', user => 'other');
		my ($error) = grep { $_ } map { $session->error($_) } @$statements;
		is($error && $error->{message}, undef, "against the role's defaults: " . join('; ', @$statements));
		$session->do('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
		is($session->value("UPDATE t SET v = 1 WHERE i = 20 RETURNING current_setting('transaction_isolation')"),
			'read committed', '... and by the words of BEGIN');
		$session->do('COMMIT');
	}
}

# --- transactions that nobody begins ------------------------------------

same('several statements in one message', 'INSERT INTO t VALUES (20, 0); INSERT INTO t VALUES (21, 0)',
	'INSERT INTO t VALUES (22, 0); INSERT INTO t VALUES (1, 0); INSERT INTO t VALUES (23, 0)',
	'INSERT INTO t VALUES (24, 0); SELECT * FROM missing', 'SELECT count(*) FROM t; INSERT INTO t VALUES (25, 0); SELECT count(*) FROM t',
	'INSERT INTO t VALUES (26, 0); COMMIT; INSERT INTO t VALUES (27, 0); SELECT 1 / 0',
	'INSERT INTO t VALUES (28, 0); ROLLBACK; INSERT INTO t VALUES (29, 0)',
	'BEGIN; INSERT INTO t VALUES (30, 0); COMMIT; BEGIN; INSERT INTO t VALUES (31, 0)', 'ROLLBACK',
	'INSERT INTO t VALUES (32, 0); BEGIN; INSERT INTO t VALUES (33, 0)', 'ROLLBACK',
	'INSERT INTO child VALUES (1, 2); SELECT 1', 'SELECT 1; INSERT INTO child VALUES (1, 2)',
	'SELECT 1; SAVEPOINT a; INSERT INTO t VALUES (34, 0)');

# Sends statements ahead of one Sync; [ SQL, parameters... ] each.
sub pipeline
{
	my (@statements) = @_;
	return sub {
		my ($session) = @_;
		foreach my $statement (@statements)
		{
			my ($sql, @parameters) = @$statement;
			$session->send_parse('', $sql);
			$session->send_bind('', '', @parameters);
			$session->send_fetch('');
		}
		$session->sync;
		return $session->finish;
	};
}
my $insert = 'INSERT INTO t VALUES ($1, 0)';
same('pipelines: all or nothing', pipeline([ $insert, 20 ], [ $insert, 21 ]),
	pipeline([ $insert, 22 ], [ $insert, 1 ], [ $insert, 23 ]), pipeline([ $insert, 24 ], [ 'SELECT * FROM missing' ]),
	pipeline([ 'SELECT count(*) FROM t' ], [ $insert, 25 ], ['SELECT count(*) FROM t']),
	pipeline([ $insert, 26 ], [ 'INSERT INTO child VALUES (1, 2)' ]),
	pipeline([ 'BEGIN' ], [ $insert, 27 ], [ 'COMMIT' ], [ $insert, 28 ], [ 'SELECT 1 / 0' ]),
	pipeline([ $insert, 29 ], [ 'COMMIT' ], [ $insert, 30 ], [ $insert, 1 ]));

# --- local settings ------------------------------------------------------

same('SET LOCAL', 'BEGIN', 'INSERT INTO t VALUES (20, 0)', "SET LOCAL extra_float_digits = 0",
	'SELECT 0.1::float8 + 0.2::float8 FROM t WHERE i = 1', "SET LOCAL app.who = 'me'", 'SAVEPOINT a', "SET LOCAL app.who = 'you'",
	"SELECT current_setting('app.who') FROM t WHERE i = 1", 'ROLLBACK TO a', "SELECT current_setting('app.who') FROM t WHERE i = 1",
	"SAVEPOINT b", "SET app.who = 'they'", "SELECT current_setting('app.who') FROM t WHERE i = 1", 'RELEASE b',
	"SELECT current_setting('app.who') FROM t WHERE i = 1", 'COMMIT', "INSERT INTO t VALUES (21, 0) RETURNING current_setting('app.who')",
	'BEGIN', "SET app.who = 'nobody'", "INSERT INTO t VALUES (22, 0) RETURNING current_setting('app.who')", 'ROLLBACK',
	"INSERT INTO t VALUES (23, 0) RETURNING current_setting('app.who')");

done_testing();
