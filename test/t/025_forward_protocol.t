# Statements at a replica that belong to the primary, continued: definitions,
# maintenance, COPY, and all that the protocols can do.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameAnswers;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ],
	conf => "deadlock_timeout = '100ms'");
my $pair = SameAnswers->new($cluster, replica => 'near', setup => <<'SQL');
GRANT ALL ON SCHEMA public TO app;
SET ROLE app;
CREATE TABLE t (id int PRIMARY KEY, v text, n numeric DEFAULT 1 CHECK (n < 1000));
INSERT INTO t SELECT i, 'v ' || i, i FROM generate_series(1, 20) i;
CREATE TABLE c (id int PRIMARY KEY, v text, d date);
CREATE TABLE log (id serial, what text);
CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION w(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'writes %', i; INSERT INTO log (what) VALUES ('w ' || 1 / i); RETURN i; END $$;
CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); END $$;
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
GRANT SELECT ON parted_1 TO other;
CREATE TABLE with_acl (a aclitem, b aclitem[]);
INSERT INTO with_acl VALUES ('app=r/app', '{app=r/app}');
CREATE PROCEDURE writes(i int) LANGUAGE sql AS $$ INSERT INTO log (what) VALUES ('pc') $$;
CREATE PROCEDURE proc(INOUT a int, OUT b text) LANGUAGE plpgsql AS $$ BEGIN a := a + 1; b := 'b'; COMMIT; END $$;
SQL

# --- definitions --------------------------------------------------------

my @definitions = (
	[ 'CREATE TABLE a (id int PRIMARY KEY, v text COLLATE "C" UNIQUE, LIKE t)', undef ],
	[ 'CREATE TABLE a (id serial PRIMARY KEY, v text UNIQUE, EXCLUDE USING btree (v WITH =))', 'DROP TABLE a' ],
	[ 'CREATE TABLE IF NOT EXISTS t (id int)' ],
	[ 'CREATE TABLE a AS SELECT * FROM t', 'DROP TABLE a' ],
	[ 'CREATE TABLE a AS SELECT * FROM t WITH NO DATA', 'DROP TABLE a' ],
	[ 'SELECT id, v INTO a FROM t WHERE id < 5', 'DROP TABLE a' ],
	[ 'CREATE TABLE a (id int) INHERITS (t)', 'DROP TABLE a' ],
	[ 'CREATE TABLE a (id int) PARTITION BY HASH (id)', 'DROP TABLE a' ],
	[ 'CREATE UNLOGGED TABLE a (id int)', 'DROP TABLE a' ],
	[ 'CREATE MATERIALIZED VIEW mv AS SELECT * FROM t', 'DROP MATERIALIZED VIEW mv' ],
	[ 'CREATE VIEW vw AS SELECT * FROM t', 'DROP VIEW vw' ],
	[ 'CREATE OR REPLACE VIEW vw (x) AS SELECT 1', 'DROP VIEW IF EXISTS vw' ],
	[ 'CREATE SEQUENCE sq START 5', 'DROP SEQUENCE sq' ],
	[ 'CREATE INDEX ix ON t (v)', 'DROP INDEX ix' ],
	[ 'CREATE INDEX ON t (v, n)', 'DROP INDEX t_v_n_idx' ],
	[ 'CREATE TYPE en AS ENUM (\'a\')', 'DROP TYPE en' ],
	[ 'CREATE TYPE co AS (a int, b text)', 'DROP TYPE co' ],
	[ 'CREATE TYPE ra AS RANGE (subtype = float8)', 'DROP TYPE ra' ],
	[ 'CREATE DOMAIN dm AS text CHECK (VALUE <> $$;$$)', 'DROP DOMAIN dm' ],
	[ 'CREATE SCHEMA sc CREATE TABLE x (a int) CREATE VIEW y AS SELECT * FROM x', 'DROP SCHEMA sc CASCADE' ],
	[ 'CREATE FUNCTION fn(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; INSERT INTO log (what) VALUES (\';\'); SELECT a; END', 'DROP FUNCTION fn(int)' ],
	[ 'CREATE FUNCTION fn() RETURNS text LANGUAGE sql RETURN \'a;b\'', 'DROP FUNCTION fn()' ],
	[ 'CREATE PROCEDURE pr() LANGUAGE plpgsql AS $x$ BEGIN NULL; END; $x$', 'DROP PROCEDURE pr()' ],
	[ 'CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int)', 'DROP AGGREGATE ag(int)' ],
	[ 'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)', 'DROP OPERATOR === (int, int)' ],
	[ 'CREATE RULE ru AS ON INSERT TO c DO ALSO (INSERT INTO log (what) VALUES (\'1\'); INSERT INTO log (what) VALUES (\'2\'))', 'DROP RULE ru ON c' ],
	[ 'CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'DROP TRIGGER tr ON t' ],
	[ 'CREATE POLICY po ON t USING (true)', 'DROP POLICY po ON t' ],
	[ 'CREATE STATISTICS st ON id, v FROM t', 'DROP STATISTICS st' ],
	[ 'CREATE COLLATION coll (LOCALE = \'C\')', 'DROP COLLATION coll' ],
	[ 'CREATE CAST (text AS int) WITH INOUT' ],
	[ 'CREATE TEXT SEARCH CONFIGURATION ts (COPY = simple)', 'DROP TEXT SEARCH CONFIGURATION ts' ],
	[ 'CREATE EVENT TRIGGER ev ON ddl_command_start EXECUTE FUNCTION missing()' ],
	[ 'CREATE PUBLICATION pu FOR TABLE t', 'DROP PUBLICATION pu' ],
	[ 'CREATE SUBSCRIPTION su CONNECTION \'x\' PUBLICATION y' ],
	[ 'CREATE SERVER other FOREIGN DATA WRAPPER missing' ],
	[ 'CREATE TABLESPACE ts LOCATION \'/nowhere\'' ],
	[ 'ALTER TABLE t ADD COLUMN x int DEFAULT 5, ADD CONSTRAINT k CHECK (x > 0)', 'ALTER TABLE t DROP COLUMN x' ],
	[ 'ALTER TABLE t ADD CONSTRAINT k CHECK (id > 1)' ],
	[ 'ALTER TABLE t RENAME v TO vv', 'ALTER TABLE t RENAME vv TO v' ],
	[ 'ALTER TABLE IF EXISTS missing RENAME v TO vv' ],
	[ 'ALTER TABLE t SET (fillfactor = 50)' ],
	[ 'ALTER SEQUENCE log_id_seq RESTART 1000' ],
	[ 'ALTER FUNCTION w(int) COST 5' ],
	[ 'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO other' ],
	[ 'ALTER ROLE app SET work_mem = \'5MB\'' ],
	[ 'ALTER DATABASE missing SET work_mem = \'5MB\'' ],
	[ 'DROP TABLE IF EXISTS missing, missing2' ],
	[ 'DROP SCHEMA missing' ],
	[ 'DROP OWNED BY missing' ],
	[ 'GRANT SELECT, INSERT (v) ON t TO other WITH GRANT OPTION', 'REVOKE ALL ON t FROM other CASCADE' ],
	[ 'GRANT app TO other' ],
	[ 'COMMENT ON TABLE t IS \'it;s; \'\'fine\'\'\'' ],
	[ 'REASSIGN OWNED BY app TO missing' ],
	[ 'IMPORT FOREIGN SCHEMA x FROM SERVER missing INTO public' ],
	[ 'REFRESH MATERIALIZED VIEW missing' ],
	[ 'TRUNCATE log RESTART IDENTITY' ],
	[ 'LOCK TABLE t IN SHARE MODE NOWAIT' ],
	[ 'LOCK t, c' ],
	[ 'SET CONSTRAINTS ALL IMMEDIATE' ],
	[ 'SET CONSTRAINTS missing DEFERRED' ],
	[ 'ANALYZE t' ],
	[ 'ANALYZE VERBOSE t (v)', undef, qr/INFO.*/ ],
	[ 'ANALYZE missing' ],
	[ 'CLUSTER t USING t_pkey' ],
	[ 'REINDEX TABLE t' ],
	[ 'REINDEX INDEX t_pkey' ],
	[ 'VACUUM t' ],
	[ 'VACUUM (ANALYZE, FREEZE) t' ],
	[ 'VACUUM FULL t' ],
	[ 'CHECKPOINT' ],
	[ 'REINDEX TABLE CONCURRENTLY t' ],
	[ 'CREATE INDEX CONCURRENTLY ic ON t (v)', 'DROP INDEX CONCURRENTLY ic' ],
	[ 'CREATE UNIQUE INDEX CONCURRENTLY ic ON t ((id / 2))', 'DROP INDEX CONCURRENTLY ic' ],
	[ 'DROP INDEX CONCURRENTLY missing' ],
	[ 'CREATE DATABASE x' ],
	[ 'DROP DATABASE missing' ],
	[ 'DROP DATABASE IF EXISTS missing' ],
	[ 'EXPLAIN (COSTS OFF) SELECT * FROM t' ],
	[ 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) UPDATE t SET v = v WHERE id = 1' ],
	[ 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) INSERT INTO log (what) VALUES (\'e\')' ],
	[ 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT XML) SELECT w(1)' ],
	[ 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) CREATE TABLE ea AS SELECT 1 AS x', 'DROP TABLE ea' ],
	[ 'ALTER SYSTEM SET work_mem = \'1MB\'' ],
	[ 'DISCARD PLANS' ],
	[ 'SELECT * FROM t WHERE id = 1; -- c' ],
	[ '/* a /* nested */ ; */ UPDATE t SET v = \';\' /* x */ ; ;' ],
	[ "UPDATE t SET v = \$x\$ ; \$x\$ -- to the end ;" ],
	[ "UPDATE t SET v = E'\\';' || U&'\\0041' || \"v\" WHERE id = 1" ],
	[ '/*+ a hint */ DELETE FROM log' ],
	[ 'DELETE FROM log garbage here' ],
	[ 'DELETE FROM log; garbage' ],
	[ 'DROP TABLE log,' ],
	[ ';' ],
	[ '' ],
	[ '-- nothing' ]);
foreach my $d (@definitions)
{
	my ($sql, $undo, $change) = @$d;
	$pair->statement($sql, undo => $undo, half => 1,
		change => $change && sub { $_[0] =~ s/$change//gr });
}
# the catalogs are the same after all that
foreach my $name (qw(pg_class pg_attribute pg_proc pg_constraint pg_trigger pg_default_acl pg_index))
{
	$pair->same("$name is the same", sub {
		my ($session, $side) = @_;
		my $columns = { pg_class => 'relname, relkind, relacl, reloptions', pg_attribute => 'attname, attnum',
			pg_proc => 'proname, procost', pg_constraint => 'conname', pg_trigger => 'tgname',
			pg_default_acl => 'defaclacl', pg_index => 'indisvalid, indisready' }->{$name};
		my $schema = "(SELECT oid FROM pg_namespace WHERE nspname = 'public')";
		my $where = { pg_class => "relnamespace = $schema", pg_attribute => "attrelid = 't'::regclass",
			pg_proc => "pronamespace = $schema", pg_index => "indrelid = 't'::regclass",
			pg_constraint => "connamespace = $schema", pg_trigger => "tgrelid = 't'::regclass" }->{$name} // 'oid > 16384';
		# but for the extension's own, which only one side has
		my $own = "SELECT 1 FROM pg_depend WHERE deptype = 'e' AND classid = '$name'::regclass AND objid = $name.oid";
		$where .= " AND NOT EXISTS ($own)" if $name =~ /^pg_(class|proc|constraint)$/;
		$session->query("SELECT $columns FROM $name WHERE $where ORDER BY $columns");
	});
}
$cluster->sql('primary', "ALTER ROLE app CREATEDB; ALTER ROLE app SET consistency.wait_timeout = '60s'");
$cluster->wait_replayed;
$pair->connect;
# replay of the last one needs the session, which waits for it
my $start = time;
$pair->same('CREATE DATABASE', sub { $_[0]->query($_) foreach 'CREATE DATABASE made', 'ALTER DATABASE made SET work_mem = 64',
	'CREATE DATABASE made', 'DROP DATABASE made', 'BEGIN', 'CREATE DATABASE made', 'ROLLBACK'; });
cmp_ok(time - $start, '<', 60, '... without waiting for itself');

# --- several statements in a message ------------------------------------

foreach my $sql (
	q{INSERT INTO log (what) VALUES ('1'); INSERT INTO log (what) VALUES ('2') RETURNING what; SELECT max(what) FROM log},
	q{INSERT INTO log (what) VALUES ('undone'); SELECT 1 / 0; INSERT INTO log (what) VALUES ('never')},
	q{INSERT INTO log (what) VALUES ('undone'); INSERT INTO t VALUES (1)},
	q{SELECT count(*) FROM log WHERE what = 'undone'},
	q{SELECT 1; INSERT INTO log (what) VALUES ('é'); /* é */ UPDATE t SET v = nowhere},
	q{SELECT 1; INSERT INTO log (what) VALUES ('é'); /* é */ CREATE TABLE x (a nowhere)},
	q{BEGIN; INSERT INTO log (what) VALUES ('b'); COMMIT; INSERT INTO log (what) VALUES ('after'); SELECT 1},
	q{INSERT INTO log (what) VALUES ('b'); BEGIN; INSERT INTO log (what) VALUES ('b')},
	q{INSERT INTO log (what) VALUES ('b'); COMMIT; SELECT count(*) FROM log},
	q{BEGIN; INSERT INTO log (what) VALUES ('b'); ROLLBACK; SELECT count(*) FROM log},
	q{INSERT INTO log (what) VALUES ('b'); VACUUM log},
	q{SELECT 1; VACUUM log},
	q{VACUUM log; SELECT 1},
	q{CALL proc(1); CALL proc(2)},
	q{CREATE TABLE multi (a int); DROP TABLE multi},
	q{INSERT INTO late VALUES (1), (1)},
	q{INSERT INTO late VALUES (1), (1); SELECT count(*) FROM late},
	q{INSERT INTO late VALUES (2); INSERT INTO late VALUES (2) RETURNING id},
	q{;; UPDATE t SET v = 'x' WHERE id = 1; ;},
	q{SAVEPOINT a},
	q{ROLLBACK},
	q{COMMIT})
{
	$pair->same("one message: $sql", sub { $_[0]->query($sql) });
}
# it is known earlier, ahead of the rows
$pair->statement('INSERT INTO late VALUES (3), (3) RETURNING id', change => sub { $_[0] =~ s/^(D .*\n)+(C .*\n)?(?=E )//mgr =~ s/^T .*\n(?=E )//mgr });

# --- SQL PREPARE --------------------------------------------------------

$pair->statements(
	q{PREPARE ins (text) AS INSERT INTO log (what) VALUES ($1) RETURNING what, length($1)},
	q{EXECUTE ins ('a')},
	q{EXECUTE ins (upper('b;'))},
	q{EXECUTE ins},
	q{EXECUTE ins (1, 2)},
	q{DEALLOCATE ins},
	q{EXECUTE ins ('a')},
	q{PREPARE upd AS UPDATE t SET v = $1 || 'é' WHERE id = $2},
	q{EXECUTE upd ('x', 1)},
	q{EXECUTE upd ('x', 'y')},
	q{PREPARE bad AS UPDATE t SET nowhere = $1},
	q{PREPARE fail (int) AS SELECT w($1)},
	q{EXECUTE fail (0)},
	q{PREPARE lck AS SELECT id FROM t WHERE id < $1 ORDER BY id FOR UPDATE},
	q{EXECUTE lck (3)},
	q{PREPARE rd AS SELECT id FROM t WHERE id < $1 ORDER BY id},
	q{EXECUTE rd (3)},
	q{DEALLOCATE ALL});
# EXECUTE in a statement that runs at the primary as a whole
$pair->raw('a statement prepared by the protocol', [ P => 'Pre "x"', q{INSERT INTO log (what) VALUES ($1 || $2) RETURNING what}, [25] ], ['S']);
$pair->statement('PREPARE s (int) AS SELECT id, v AS "as" FROM t WHERE id < $1 /* ; */ ;', block => 1);
$pair->statement($_->[0], undo => $_->[1]) foreach (
	[ 'PREPARE z AS SELECT 1 AS "ä"' ],
	[ 'CREATE TABLE a AS EXECUTE s (2 + 2)', 'DROP TABLE a' ],
	[ 'CREATE TABLE "as" AS EXECUTE "s" (1) WITH NO DATA', 'DROP TABLE "as"' ],
	[ 'CREATE TABLE execute AS EXECUTE s (3)', 'DROP TABLE execute' ],
	[ 'CREATE TABLE a AS EXECUTE s' ],
	[ 'CREATE TABLE a AS EXECUTE missing' ],
	[ 'CREATE TABLE t AS EXECUTE s (1)' ],
	[ q{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE "Pre ""x""" ('a', 'b')} ],
	[ 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) CREATE TABLE a AS EXECUTE z', 'DROP TABLE a' ],
	[ q{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE missing} ],
	[ 'DEALLOCATE ALL' ]);

# --- the extended protocol ----------------------------------------------

my $insert = 'INSERT INTO log (what) VALUES ($1) RETURNING what';
$pair->raw('describe a statement and a portal', [ P => 's1', $insert ], [ D => 'S', 's1' ],
	[ B => 'p1', 's1', ['a'] ], [ D => 'P', 'p1' ], [ E => 'p1' ], ['S'],
	[ B => '', 's1', ['b'], [], [1] ], [ D => 'P', '' ], [ E => '' ], [ C => 'S', 's1' ], ['S']);
$pair->raw('describe what returns nothing', [ P => '', 'UPDATE t SET v = $2 WHERE id = $1' ], [ D => 'S', '' ],
	[ B => '', '', [ 1, 'x' ] ], [ D => 'P', '' ], [ E => '' ], ['S']);
$pair->raw('describe a utility statement', [ P => '', 'CALL proc($1, NULL)', [23] ], [ D => 'S', '' ],
	[ B => '', '', [5] ], [ D => 'P', '' ], [ E => '' ], ['S']);
$pair->raw('describe EXPLAIN', [ P => '', 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) UPDATE t SET v = $1 WHERE id = 1' ], [ D => 'S', '' ],
	[ B => '', '', ['x'] ], [ D => 'P', '' ], [ E => '' ], ['S']);
$pair->raw('types that the client says', [ P => '', 'INSERT INTO log (what) VALUES ($1::int + $2) RETURNING what', [ 20, 1700 ] ],
	[ D => 'S', '' ], [ B => '', '', [ 1, '2.5' ] ], [ E => '' ], ['S']);
$pair->raw('binary parameters and results', [ P => '', 'UPDATE t SET n = $1::int4, v = $2 WHERE id = $3 RETURNING id, n, v, $1', [23] ],
	[ B => '', '', [ pack('N', 7), 'x', pack('N', 2) ], [ 1, 0, 1 ], [ 1, 0, 1, 1 ] ], [ D => 'P', '' ], [ E => '' ], ['S']);
$pair->raw('bad binary parameter', [ P => '', 'UPDATE t SET v = $1::int4' ],
	[ B => '', '', ['xxx'], [1] ], [ E => '' ], ['S']);
$pair->raw('bad text parameter', [ P => '', 'UPDATE t SET v = $1::int4' ], [ B => '', '', ['xxx'] ], [ E => '' ], ['S']);
$pair->raw('too few parameters', [ P => '', $insert ], [ B => '', '', [] ], [ E => '' ], ['S']);
$pair->raw('unknown type of a parameter', [ P => '', 'INSERT INTO log (what) VALUES ($1 || $2)' ], [ D => 'S', '' ], ['S']);
$pair->raw('undeterminable parameter', [ P => '', 'SELECT w(1), $1 IS NULL' ], ['S']);
$pair->raw('a null parameter', [ P => '', $insert ], [ B => '', '', [undef] ], [ E => '' ], ['S']);
$pair->raw('arrays', [ P => '', 'INSERT INTO log (what) SELECT unnest($1::text[]) RETURNING what, $2::numeric[], $3::log' ],
	[ B => '', '', [ '{a,NULL,"b c"}', '{1.5,2}', '(1,x)' ] ], [ D => 'P', '' ], [ E => '' ], ['S']);
$pair->raw('several in a pipeline', (map { ([ P => '', $insert ], [ B => '', '', ["p $_"] ], [ E => '' ]) } 1 .. 5), ['S']);
$pair->raw('a pipeline with an error in the middle',
	(map { ([ P => '', $_ ], [ B => '', '', [] ], [ E => '' ]) } q{INSERT INTO log (what) VALUES ('one')}, q{SELECT w(0)}, q{INSERT INTO log (what) VALUES ('two')}), ['S'],
	[ P => '', q{SELECT count(*) FROM log WHERE what = 'one'} ], [ B => '', '' ], [ E => '' ], ['S']);
$pair->raw('a pipeline with an error of the parser in the middle',
	(map { ([ P => '', $_ ], [ B => '', '', [] ], [ E => '' ]) } q{INSERT INTO log (what) VALUES ('one')}, q{INSERT INTO log (nowhere) VALUES (1)}, q{SELECT 1}), ['S'],
	[ P => '', q{SELECT count(*) FROM log WHERE what = 'one'} ], [ B => '', '' ], [ E => '' ], ['S']);
$pair->raw('several Syncs in one go', (map { ([ P => '', $insert ], [ B => '', '', ["q $_"] ], [ E => '' ], ['S']) } 1 .. 3),
	[ Q => q{SELECT count(*) FROM log WHERE what ~ '^q'} ]);
$pair->raw('a pipeline with a transaction in it', (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } 'BEGIN', q{INSERT INTO log (what) VALUES ('bt')},
		'SAVEPOINT a', q{INSERT INTO log (what) VALUES ('bu')}, 'ROLLBACK TO a', 'COMMIT', q{SELECT what FROM log WHERE what ~ '^b[tu]'}), ['S']);
$pair->raw('a pipeline that is deferred and fails', (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } 'INSERT INTO late VALUES (5)', 'INSERT INTO late VALUES (5)', 'SELECT 1'), ['S'],
	[ Q => 'SELECT * FROM late' ]);
$pair->raw('a flush in between', [ P => '', $insert ], [ B => '', '', ['f'] ], [ E => '' ], ['H'],
	[ P => '', $insert ], [ B => '', '', ['f'] ], [ E => '' ], ['H'], ['S']);
$pair->raw("flush ahead of sync", [ P => '', $insert ], [ B => '', '', ['f'] ], [ D => 'P', '' ], [ E => '' ], ['H'], ['S']);
$pair->raw('row limits, RETURNING', [ P => '', 'UPDATE t SET v = v RETURNING id' ], [ B => 'p', '' ], [ D => 'P', 'p' ],
	[ E => 'p', 3 ], [ E => 'p', 5 ], [ E => 'p', 0 ], [ E => 'p', 1 ], ['S']);
$pair->raw('row limits, SELECT', [ P => '', 'SELECT id FROM t ORDER BY id FOR UPDATE' ], [ B => 'p', '' ],
	[ E => 'p', 3 ], [ E => 'p', 5 ], [ P => '', 'SELECT w(2)' ], [ B => '', '' ], [ E => '' ], [ E => 'p', 100 ], [ E => 'p', 1 ], ['S']);
$pair->same('row limits, exact', sub { SameAnswers::send_messages($_[0], [ P => '', 'SELECT w(i) FROM generate_series(1, 3) i' ], [ B => 'p', '' ],
	[ E => 'p', 3 ], [ E => 'p', 3 ], ['S']) }, \&SameAnswers::notices_first);
$pair->raw('row limits, a portal that is left', [ P => '', 'SELECT id FROM t ORDER BY id FOR UPDATE' ], [ B => 'p', '' ],
	[ E => 'p', 3 ], ['S'], [ E => 'p', 3 ], ['S']);
$pair->raw('row limits in a block', [ Q => 'BEGIN' ], [ P => '', 'SELECT id FROM t ORDER BY id FOR UPDATE' ], [ B => 'p', '' ],
	[ E => 'p', 3 ], ['S'], [ E => 'p', 3 ], ['S'], [ Q => 'SELECT count(*) FROM t' ], [ C => 'P', 'p' ], ['S'], [ Q => 'COMMIT' ]);
$pair->raw('row limits, several portals', [ Q => 'BEGIN' ], [ P => 's', 'SELECT id, $1::text FROM t ORDER BY id FOR UPDATE' ],
	[ B => 'p', 's', ['a'] ], [ B => 'q', 's', ['b'] ], [ B => '', 's', ['c'] ],
	[ E => 'p', 2 ], [ E => 'q', 2 ], [ E => '', 2 ], [ E => 'p', 2 ], [ E => 'q' ], [ C => 'P', 'p' ], [ C => 'S', 's' ], ['S'], [ Q => 'COMMIT' ]);
$pair->raw('a portal that is run twice', [ Q => 'BEGIN' ], [ P => '', $insert ], [ B => 'p', '', ['z'] ], [ E => 'p' ], [ E => 'p' ], ['S'], [ Q => 'ROLLBACK' ]);
$pair->raw('an utility statement with a limit', [ P => '', 'CALL proc(1, NULL)' ], [ B => '', '' ], [ E => '', 1 ], ['S']);
$pair->raw('EXECUTE by the extended protocol', [ Q => 'PREPARE x (text) AS ' . $insert ], [ P => '', 'EXECUTE x (\'1\')' ], [ D => 'S', '' ], [ B => '', '' ], [ D => 'P', '' ],
	[ E => '' ], ['S'], [ P => '', 'EXECUTE x (\'1\')' ], [ B => '', '' ], [ E => '', 1 ], [ E => '', 1 ], ['S'], [ Q => 'DEALLOCATE x' ]);
$pair->raw('an empty statement', [ P => '', '' ], [ B => '', '' ], [ D => 'P', '' ], [ E => '' ], ['S']);
$pair->raw('two statements in Parse', [ P => '', "$insert; SELECT 1" ], ['S']);
$pair->raw('trailing semicolon and comment', [ P => '', "  $insert /* c */ ; -- d" ], [ B => '', '', ['t'] ], [ E => '' ], ['S']);
$pair->raw('cursors', [ Q => 'BEGIN' ], [ Q => q{INSERT INTO log (what) VALUES ('c')} ], [ Q => 'DECLARE c SCROLL CURSOR FOR SELECT id FROM t ORDER BY id' ],
	[ Q => 'FETCH 2 FROM c' ], [ Q => 'FETCH BACKWARD 1 FROM c' ], [ Q => 'MOVE 5 FROM c' ], [ Q => 'FETCH LAST FROM c' ], [ Q => 'CLOSE c' ], [ Q => 'COMMIT' ]);
$pair->raw('a function that writes, by its result', [ P => '', 'SELECT w(1), t.* FROM t WHERE id = $1' ], [ D => 'S', '' ], [ B => '', '', [3], [], [1] ], [ D => 'P', '' ], [ E => '' ], ['S']);
foreach my $name (qw(r1 r2))
{
	# the third time it is prepared over there, and its plan becomes a generic one
	$pair->raw("a statement that comes again: $name", [ P => $name, $name eq 'r1' ? $insert : 'UPDATE t SET v = $1 WHERE id = 1' ],
		(map { ([ B => '', $name, ["v $_"] ], [ D => 'P', '' ], [ E => '' ], ['S']) } 1 .. 8));
}
$pair->raw('a prepared statement whose table changes', [ P => 'ch', 'UPDATE c SET v = $1 RETURNING *' ], ['S'], [ B => '', 'ch', ['1'] ], [ E => '' ], ['S'],
	[ Q => 'ALTER TABLE c ADD COLUMN more int' ], [ B => '', 'ch', ['1'] ], [ E => '' ], ['S'],
	[ Q => 'ALTER TABLE c DROP COLUMN more' ], [ B => '', 'ch', ['1'] ], [ E => '' ], ['S'], [ C => 'S', 'ch' ], ['S']);
foreach my $alone ('VACUUM t', 'CREATE INDEX CONCURRENTLY ip ON t (v)', 'DROP INDEX CONCURRENTLY ip')
{
	$pair->raw("first in a pipeline: $alone", (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } $alone, q{INSERT INTO log (what) VALUES ('pv')}, 'SELECT w(1)'), ['S'],
		[ Q => 'SELECT count(*) FROM log WHERE what = \'pv\'' ]);
}
$pair->raw('first in a pipeline that fails', (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } 'CREATE INDEX CONCURRENTLY ip ON t (v)', q{INSERT INTO log (what) VALUES ('pw')}, 'SELECT w(0)'), ['S'],
	[ Q => 'SELECT count(*) FROM log WHERE what = \'pw\'' ], [ Q => 'DROP INDEX ip' ]);
$pair->raw('CALL in a pipeline', (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } 'CALL writes(5)', q{INSERT INTO log (what) VALUES ('pc')}, 'SELECT w(0)'), ['S'],
	[ Q => 'SELECT count(*) FROM log WHERE what = \'pc\'' ]);
$pair->raw('DO in a pipeline that fails', (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } q{DO $$ BEGIN INSERT INTO log (what) VALUES ('pd'); END $$}, 'SELECT w(0)'), ['S'],
	[ Q => 'SELECT count(*) FROM log WHERE what = \'pd\'' ]);
$pair->same('later in a pipeline', sub { SameAnswers::send_messages($_[0], (map { ([ P => '', $_ ], [ B => '', '' ], [ E => '' ]) } q{INSERT INTO log (what) VALUES ('px')}, 'VACUUM t', 'SELECT 1'), ['S'],
	[ Q => 'SELECT count(*) FROM log WHERE what = \'px\'' ]) }, sub { $_[0] =~ s/cannot be executed within a pipeline/cannot run inside a transaction block/r });
$pair->raw('prepared in the middle of a message', [ Q => q{SELECT 1; /* é AS */ PREPARE "as" (numeric(5, 2)) AS /* AS */ WITH a AS (SELECT $1 AS x) INSERT INTO log (what) SELECT x || 'é' FROM a RETURNING what, 1 / (length(what) - 4) ; SELECT 2} ],
	[ Q => 'EXECUTE "as" (1.5)' ], [ Q => 'EXECUTE "as" (10.5)' ], [ Q => 'DEALLOCATE "as"' ]);
$pair->raw('many parameters', [ P => '', 'INSERT INTO log (what) VALUES ' . join(', ', map { "(\$$_)" } 1 .. 20000) ], [ B => '', '', [ 1 .. 20000 ] ], [ E => '' ], ['S']);

# --- COPY ---------------------------------------------------------------

my @ways = ([ 'simple', sub { [ Q => $_[0] ] } ], [ 'extended', sub { [ P => '', $_[0] ], [ B => '', '' ], [ E => '' ] } ]);
foreach my $way (@ways)
{
	my ($name, $code) = @$way;
	my @end = $name eq 'simple' ? () : ['S'];
	my $copy = sub {
		my ($what, $sql, @messages) = @_;
		$pair->raw("COPY, $name: $what", [ Q => 'DELETE FROM c' ], $code->($sql), @messages, @end, [ Q => 'SELECT * FROM c ORDER BY id' ]);
		$pair->raw("COPY, $name, in a transaction: $what", [ Q => 'BEGIN; DELETE FROM c' ], $code->($sql), @messages, @end, [ Q => 'SELECT * FROM c ORDER BY id' ], [ Q => 'ROLLBACK' ]);
	};
	$copy->('text', 'COPY c FROM STDIN', [ d => "1\ta\t2020-01-01\n2\t\\N\t\\N\n" ], [ d => "3\t\xc3\xa9\\n;\t" ], [ d => "2020-01-03\n" ], ['c']);
	$copy->('csv', 'COPY c (id, v) FROM STDIN (FORMAT csv, HEADER)', [ d => "id,v\n1,\"a,\"\"\nb\"\n2,\n" ], ['c']);
	$copy->('binary', 'COPY c (id, v) FROM STDIN (FORMAT binary)', [ d => "PGCOPY\n\xff\r\n\0" . pack('NN', 0, 0) . pack('nNNN/a*', 2, 4, 7, 'bin') . pack('n', 0xffff) ], ['c']);
	$copy->('WHERE', 'COPY c FROM STDIN WHERE id > 1', [ d => "1\ta\t\\N\n2\tb\t\\N\n" ], ['c']);
	$copy->('nothing', 'COPY c FROM STDIN', ['c']);
	$copy->('a bad line', 'COPY c FROM STDIN', [ d => "1\ta\t\\N\nx\tb\t\\N\n3\tc\t\\N\n" ], ['c']);
	$copy->('too few columns', 'COPY c FROM STDIN', [ d => "1\ta\n" ], ['c']);
	$copy->('twice the same', 'COPY c FROM STDIN', [ d => "1\ta\t\\N\n1\ta\t\\N\n" ], ['c']);
	$copy->('a bad line ahead of much', 'COPY c FROM STDIN', [ d => "x\ta\t\\N\n" ], (map { [ d => "$_\t" . 'y' x 10000 . "\t\\N\n" ] } 1 .. 200), ['c']);
	$copy->('much', 'COPY c FROM STDIN', (map { [ d => "$_\t" . 'y' x 100_000 . "\t\\N\n" ] } 1 .. 20), ['c']);
	$copy->('the client fails', 'COPY c FROM STDIN', [ d => "1\ta\t\\N\n" ], [ f => "it's \xc3\xa9 over" ]);
	$copy->('an encoding', "COPY c FROM STDIN (ENCODING 'LATIN1')", [ d => "1\t\xe9\t\\N\n" ], ['c']);
	$copy->('bad characters', 'COPY c FROM STDIN', [ d => "1\t\xe9\t\\N\n" ], ['c']);
	$pair->raw("COPY, $name: a missing table", $code->('COPY missing FROM STDIN'), @end);
	$pair->raw("COPY, $name: a missing column", $code->('COPY c (nowhere) FROM STDIN'), @end);
	$pair->raw("COPY, $name: a bad option", $code->('COPY c FROM STDIN (FORMAT nix)'), @end);
	$pair->raw("COPY, $name: TO STDOUT", $code->('COPY (SELECT id, v FROM t ORDER BY id) TO STDOUT'), @end);
	$pair->raw("COPY, $name: of RETURNING", $code->(q{COPY (INSERT INTO log (what) VALUES ('copied'), (';') RETURNING what) TO STDOUT (FORMAT csv)}), @end);
	$pair->raw("COPY, $name: of a function that writes", $code->('COPY (SELECT w(1), v FROM t WHERE id = 1) TO STDOUT (FORMAT binary)'), @end);
	$pair->same("COPY, $name: of one that fails", sub { SameAnswers::send_messages($_[0], $code->('COPY (SELECT w(2 - id) FROM t ORDER BY id) TO STDOUT'), @end) },
		\&SameAnswers::notices_first);
	$pair->raw("COPY, $name: TO STDOUT in a transaction that wrote", [ Q => q{BEGIN; DELETE FROM t WHERE id > 3} ], $code->('COPY t TO STDOUT'), @end,
		$code->('COPY (SELECT * FROM t ORDER BY id DESC) TO STDOUT CSV HEADER'), @end, [ Q => 'ROLLBACK' ]);
}
$pair->raw('COPY between others in a message', [ Q => q{DELETE FROM c; COPY c FROM STDIN; SELECT * FROM c; COPY c TO STDOUT; SELECT 1} ], [ d => "1\ta\t\\N\n" ], ['c']);
$pair->raw('COPY behind an error in a message', [ Q => q{SELECT w(0); COPY c FROM STDIN} ]);
$pair->raw('COPY in another encoding', [ Q => 'SET client_encoding = LATIN1' ], [ Q => 'DELETE FROM c' ], [ Q => 'COPY c FROM STDIN' ], [ d => "1\t\xe9\t\\N\n" ], ['c'],
	[ Q => 'BEGIN; LOCK c' ], [ Q => 'COPY c TO STDOUT' ], [ Q => 'COMMIT' ], [ Q => 'COPY c FROM STDIN' ], [ d => "x\xe9\t\xe9\t\\N\n" ], ['c'], [ Q => 'RESET client_encoding' ]);

# --- limits of time -----------------------------------------------------

{
	my %holder = map { $_ => $cluster->connect('primary', dbname => $_) } qw(direct forwarded);
	$_->query('BEGIN; UPDATE t SET v = v WHERE id = 1') foreach values %holder;
	foreach my $setting ('statement_timeout', 'lock_timeout')
	{
		foreach my $sql ('UPDATE t SET v = v WHERE id = 1', 'SELECT * FROM t WHERE id = 1 FOR UPDATE', 'LOCK TABLE t', 'ALTER TABLE t ADD x int',
			'DO $$ BEGIN UPDATE t SET v = v WHERE id = 1; END $$', 'COPY (UPDATE t SET v = v WHERE id = 1 RETURNING *) TO STDOUT')
		{
			$pair->same("$setting: $sql", sub { $_[0]->query("SET $setting = 100"); $_[0]->query($sql); $_[0]->query("RESET $setting") });
			$pair->same("$setting, in a transaction: $sql", sub { $_[0]->query($_) foreach "BEGIN; SET LOCAL $setting = 100", $sql, 'ROLLBACK' });
		}
	}
	$pair->statement('SELECT id FROM t WHERE id < 3 ORDER BY id FOR UPDATE SKIP LOCKED');
	$pair->statement('SELECT id FROM t WHERE id < 3 ORDER BY id FOR UPDATE NOWAIT');
	$pair->same('statement_timeout in a function', sub { $_[0]->query($_) foreach 'SET statement_timeout = 100', 'SELECT slow()', 'RESET statement_timeout' });
	$_->query('ROLLBACK') foreach values %holder;
}

# --- sessions -----------------------------------------------------------

$pair->same('advisory locks of the session', sub { $_[0]->query($_) foreach 'SELECT pg_advisory_lock(7)', 'SELECT pg_try_advisory_lock(7)',
	'SELECT pg_advisory_unlock(7)', 'SELECT pg_advisory_unlock(7)', 'SELECT pg_advisory_unlock(7)' });
$pair->same('currval of the session', sub { $_[0]->query($_) foreach 'SELECT setval(\'log_id_seq\', 2000)', 'SELECT nextval(\'log_id_seq\')', 'SELECT 1', 'SELECT currval(\'log_id_seq\')', 'SELECT lastval()',
	'INSERT INTO log (what) VALUES (\'s\')', 'SELECT currval(\'log_id_seq\') = max(id) FROM log' });

# --- odds and ends ------------------------------------------------------

my $long = 'a' x 80;
$pair->statements(
	qq{INSERT INTO log (what) VALUES ('x') RETURNING what AS $long},
	qq{SELECT w(1) AS $long},
	qq{CREATE TABLE IF NOT EXISTS t (id int, $long int)},
	qq{CALL proc(1, NULL) /* $long */},
	qq{DO \$\$ BEGIN EXECUTE 'SELECT 1 AS $long'; END \$\$},
	q{SELECT pg_logical_emit_message(true, 'a', 'b') > '0/0'},
	q{SELECT pg_logical_emit_message(false, 'a', 'b'::bytea) > '0/0'},
	q{SELECT brin_summarize_new_values('t_pkey')},
	q{SELECT gin_clean_pending_list('t_pkey')});
$pair->same('strings of the old kind', sub { $_[0]->query('SET standard_conforming_strings = off'); $_[0]->query($_) foreach
	q{INSERT INTO log (what) VALUES ('a\'; b') RETURNING what}, q{CREATE TABLE x (a text DEFAULT 'a\'b')}, q{DROP TABLE x}, q{CREATE TABLE x (a nix, b text DEFAULT 'a\'b')},
	'SET escape_string_warning = off', q{INSERT INTO log (what) VALUES ('a\'; b') RETURNING what}, 'RESET ALL' });
$pair->same('no encoding', sub { $_[0]->query('SET client_encoding = SQL_ASCII'); $_[0]->query($_) foreach
	"INSERT INTO log (what) VALUES ('\xc3\xa9') RETURNING what", "/* \xc3\xa9 */ CREATE TABLE x (a nix)", "INSERT INTO log (what) VALUES ('\xe9')", 'RESET ALL' });
$pair->raw('parameters in statements around a query', [ P => '', 'CREATE TABLE par AS SELECT $1::int AS a, $2::text AS b' ], [ B => '', '', [ 5, 'x' ] ], [ E => '' ], ['S'],
	[ Q => 'SELECT * FROM par' ],
	[ Q => 'BEGIN; LOCK c' ], [ P => '', 'DECLARE cu CURSOR FOR SELECT id, $1::text FROM t ORDER BY id' ], [ B => '', '', ['p'] ], [ E => '' ], ['S'], [ Q => 'FETCH 2 FROM cu' ], [ Q => 'COMMIT' ],
	[ Q => 'PREPARE pe (text) AS ' . $insert ], [ P => '', 'EXECUTE pe ($1)', [25] ], [ D => 'S', '' ], [ B => '', '', ['y'] ], [ D => 'P', '' ], [ E => '' ], ['S'],
	[ P => '', 'CREATE TABLE par AS EXECUTE pe ($1)', [25] ], ['S'],
	[ P => '', 'COPY (SELECT $1) TO STDOUT' ], ['S'], [ P => '', 'DO $1' ], ['S'], [ P => '', 'LOCK $1' ], ['S'], [ Q => 'DEALLOCATE pe' ]);
$pair->raw('the old end of data', [ Q => 'DROP TABLE par' ], [ Q => 'DELETE FROM c' ], [ Q => 'COPY c FROM STDIN' ], [ d => "1\ta\t\\N\n\\.\n" ], ['c'], [ Q => 'SELECT * FROM c' ]);
$pair->raw('another message within COPY', [ Q => 'COPY c FROM STDIN' ], ['H'], [ d => "7\ta\t\\N\n" ], ['H'], ['c'], [ Q => 'SELECT * FROM c' ]);
{
	# the other one never looks for a deadlock, so this one is the victim
	my %other = map { $_ => $cluster->connect('primary', dbname => $_, user => $cluster->superuser) } qw(direct forwarded);
	$pair->same('a deadlock', sub {
		my ($session, $side) = @_;
		my $other = $other{$side};
		$session->query('BEGIN');
		$session->query('UPDATE t SET v = v WHERE id = 1');
		$other->do("SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE c");
		$other->send_query('UPDATE t SET v = v WHERE id = 1');
		$cluster->wait_for_wait('primary', $other->pid, 'Lock');
		$session->query('LOCK TABLE c');
		$session->query('ROLLBACK');
		$other->finish;
		$other->do('ROLLBACK');
	}, sub { $_[0] =~ s/\d+/N/gr });
}

# --- reads in a transaction that is there -------------------------------

$_->query('ANALYZE t') foreach @$pair{qw(direct forwarded)};
foreach my $sql (
	q{SELECT * FROM pg_stats WHERE tablename = 't' ORDER BY attname},
	q{SELECT * FROM pg_attrdef WHERE false},
	q{SELECT relacl, relpartbound, reloptions FROM pg_class WHERE relname = 'parted_1'},
	q{SELECT attname, attacl, attmissingval, attoptions FROM pg_attribute WHERE attrelid = 'c'::regclass AND attname = 'd'},
	q{SELECT with_acl, ARRAY[with_acl], (with_acl).a FROM with_acl},
	q{SELECT adnum, adbin, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass},
	q{SELECT conname, conbin, contype, conkey FROM pg_constraint WHERE conrelid = 't'::regclass ORDER BY 1},
	q{SELECT relname, relacl, relkind, relfilenode > 0, reltype::regtype, relowner::regrole FROM pg_class WHERE relname = 't'},
	q{SELECT proname, proargtypes, proacl, prosrc FROM pg_proc WHERE proname = 'w'},
	q{SELECT t, ROW(1, 'x', NULL), ARRAY[ROW(1, 2), ROW(3, 4)], ARRAY[t], ROW(t), ARRAY[]::record[] FROM t WHERE id = 1},
	q{SELECT (SELECT array_agg(x) FROM (SELECT id, v FROM t WHERE id < 3) x), json_agg(t) FROM t WHERE id < 3},
	q{SELECT xmin IS NULL, ctid, tableoid::regclass, cmax IS NULL FROM t WHERE id = 2},
	q{SELECT id FROM t WHERE id < 0},
	q{SELECT FROM t WHERE id < 3},
	q{SELECT '1.2.3.4/8'::cidr, '08:00:2b:01:02:03'::macaddr, '(1,2),(3,4)'::box, '<(1,2),3>'::circle, '1/2'::pg_lsn, '$.a'::jsonpath, 'a & b'::tsquery,
		'10:20:10,14'::pg_snapshot, '5'::xid8, '04:05+02'::timetz, 'infinity'::timestamp, '5 years -3 mons'::interval, '-1.5e-300'::float8 FROM t LIMIT 1},
	q{SELECT 1 AS "Ä;", 'x' AS "a ""b""", NULL, 'unknown' FROM t LIMIT 1},
	q{SELECT count(*), sum(n), avg(n), max(v), string_agg(v, ',' ORDER BY id) FROM t},
	q{SELECT generate_series(1, 3), unnest(ARRAY['a', 'b']) FROM t WHERE id = 1},
	q{SELECT 1 / (id - 1) FROM t ORDER BY id},
	q{SELECT current_user, session_user, current_schema, current_database() ~ 'direct|forwarded', current_setting('search_path') FROM t LIMIT 1})
{
	foreach my $limit (0, 1)
	{
		$pair->same("in a transaction that wrote: $sql ($limit)", sub {
			my ($session) = @_;
			$session->query('BEGIN; LOCK TABLE c');
			$session->query($sql);
			$session->query('SAVEPOINT s') if $session->status eq 'T';
			SameAnswers::send_messages($session, [ P => '', $sql ], [ D => 'S', '' ], [ B => '', '' ], [ E => '', $limit ], ['S']);
			$session->query('ROLLBACK');
		});
	}
}

# --- what is refused ----------------------------------------------------

{
	my $session = $pair->{forwarded};
	foreach my $case (
		[ 'CREATE TEMP TABLE x (a int)', 'CREATE TABLE in a read-only transaction' ],
		[ 'CREATE TABLE pg_temp.x (a int)', 'CREATE TABLE in a read-only transaction' ],
		[ 'CREATE TEMP TABLE x AS SELECT * FROM t', 'CREATE TABLE AS in a read-only transaction' ],
		[ 'SELECT * INTO TEMP x FROM t', 'SELECT INTO in a read-only transaction' ],
		[ 'CREATE TEMP VIEW x AS SELECT 1', 'CREATE VIEW in a read-only transaction' ],
		[ 'CREATE TEMP SEQUENCE x', 'CREATE SEQUENCE in a read-only transaction' ],
		[ 'CREATE FUNCTION pg_temp.x() RETURNS int LANGUAGE sql RETURN 1', 'CREATE FUNCTION in a read-only transaction' ],
		[ "CREATE TYPE pg_temp.x AS ENUM ('a')", 'CREATE TYPE in a read-only transaction' ],
		[ 'CREATE TYPE pg_temp.x AS (a int)', 'CREATE TYPE in a read-only transaction' ],
		[ 'CREATE DOMAIN pg_temp.x AS int', 'CREATE DOMAIN in a read-only transaction' ],
		[ 'LISTEN x', 'LISTEN during recovery' ],
		[ "PREPARE TRANSACTION 'x'", 'PREPARE TRANSACTION during recovery' ],
		[ "COMMIT PREPARED 'x'", 'COMMIT PREPARED during recovery' ],
		[ "ROLLBACK PREPARED 'x'", 'ROLLBACK PREPARED during recovery' ],
		[ "COPY t FROM '/nowhere'", 'COPY FROM in a read-only transaction' ],
		[ "COPY t FROM PROGRAM 'true'", 'COPY FROM in a read-only transaction' ])
	{
		my ($sql, $message) = @$case;
		foreach my $way ('query', 'execute')
		{
			$session->query('BEGIN; DELETE FROM log') if $sql =~ /^PREPARE/;
			my $error = $session->$way($sql)->{error};
			is($error && "$error->{code} $error->{message}", "25006 cannot execute $message", "refused, $way: $sql");
			like($error->{hint}, qr/primary/, '... with a hint');
			$session->query('ROLLBACK') if $session->status ne 'I';
		}
	}
	$pair->same('the sessions are fine', sub { $_[0]->query('SELECT count(*) FROM t') });
	$pair->same('UNLISTEN', sub { $_[0]->query('UNLISTEN *') });
	foreach my $sql ('DELETE FROM t', 'UPDATE t SET v = v', q{SELECT nextval('log_id_seq')}, 'SELECT w(1)', 'CREATE TABLE x (a int)', 'SELECT * FROM t WHERE id = 1 FOR UPDATE',
		'CALL proc(1, NULL)', 'DO $$ BEGIN NULL; END $$', 'TRUNCATE t', 'SELECT pg_try_advisory_xact_lock(5)')
	{
		$pair->same("READ ONLY: $sql", sub { my ($session) = @_; $session->query($_) foreach 'BEGIN READ ONLY', 'SELECT count(*) FROM t', $sql, 'ROLLBACK',
			'SET default_transaction_read_only = on', $sql, 'RESET default_transaction_read_only' });
	}
}

done_testing();
