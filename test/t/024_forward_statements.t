# Statements at a replica that belong to the primary: a client is told what it
# would have been told there, whatever the statement and the protocol.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameAnswers;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ]);
my $pair = SameAnswers->new($cluster, replica => 'near', setup => <<'SQL');
GRANT ALL ON SCHEMA public TO app;
SET ROLE app;
CREATE TABLE t (id int PRIMARY KEY, v text, n numeric DEFAULT 1 CHECK (n < 1000));
INSERT INTO t SELECT i, 'v ' || i, i FROM generate_series(1, 20) i;
CREATE TABLE child (id serial PRIMARY KEY, t_id int REFERENCES t DEFERRABLE);
CREATE TABLE identity (id bigint GENERATED ALWAYS AS IDENTITY, v text, w text GENERATED ALWAYS AS (upper(v)) STORED);
CREATE TABLE part (id int NOT NULL, v text) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text);
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE kinds (s small, m mood, p pair, a int[], ma mood[], pa pair[], sa small[], j jsonb, b bytea,
	ts timestamptz DEFAULT '2020-01-01 00:00 UTC', iv interval, f float8, r int4range, u uuid, x xml, c "char",
	bp char(5), vc varchar(7), bits bit(3), nm name, num numeric(6, 2), ip inet, pt point, oid oid, rc regclass,
	tid tid, tsv tsvector, mr int4multirange, d date, money money);
CREATE TABLE nothing ();
CREATE TABLE log (id serial, what text);
CREATE VIEW simple AS SELECT id, v FROM t WHERE id < 1000 WITH CHECK OPTION;
CREATE VIEW joined AS SELECT t.id, t.v, child.id AS child FROM t JOIN child ON child.t_id = t.id;
CREATE FUNCTION joined_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'instead of %', TG_OP; IF NEW.v = 'skip' THEN RETURN NULL; END IF;
	INSERT INTO t VALUES (NEW.id, NEW.v); RETURN NEW; END $$;
CREATE TRIGGER joined_insert INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION joined_insert();
CREATE TABLE also (id int, v text);
CREATE RULE also AS ON INSERT TO also DO ALSO INSERT INTO log (what) VALUES ('also ' || NEW.id);
CREATE TABLE also_select (id int);
CREATE RULE also_select AS ON INSERT TO also_select DO ALSO SELECT id + 1 AS more FROM also_select ORDER BY 1;
CREATE TABLE also_notify (id int);
CREATE RULE also_notify AS ON INSERT TO also_notify DO ALSO NOTIFY channel;
CREATE TABLE instead (id int, v text);
CREATE RULE instead AS ON INSERT TO instead DO INSTEAD INSERT INTO log (what) VALUES (NEW.v) RETURNING id, what;
CREATE TABLE instead_update (id int, v text);
INSERT INTO instead_update VALUES (1, 'a'), (2, 'b');
CREATE RULE instead_update AS ON INSERT TO instead_update DO INSTEAD UPDATE instead_update SET v = NEW.v;
CREATE TABLE quiet (id int);
CREATE RULE quiet AS ON INSERT TO quiet DO INSTEAD NOTHING;
CREATE RULE quiet_delete AS ON DELETE TO quiet DO INSTEAD NOTHING;
CREATE TABLE two (id int);
CREATE RULE two AS ON INSERT TO two WHERE NEW.id > 10 DO INSTEAD INSERT INTO log (what) VALUES ('big');
CREATE SEQUENCE seq;
CREATE FUNCTION noisy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE '% of %', TG_OP, COALESCE(NEW.id, OLD.id) USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'ZZ001';
	IF NEW.id = 13 THEN RAISE EXCEPTION 'unlucky' USING ERRCODE = 'ZZ013', DETAIL = 'thirteen', HINT = 'another',
		COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd', TABLE = 't', SCHEMA = 's'; END IF;
	RETURN COALESCE(NEW, OLD); END $$;
CREATE TABLE noisy (id int);
CREATE TRIGGER noisy BEFORE INSERT OR UPDATE OR DELETE ON noisy FOR EACH ROW EXECUTE FUNCTION noisy();
CREATE FUNCTION write_sql(i int) RETURNS int LANGUAGE sql AS $$ INSERT INTO log (what) VALUES ('sql ' || i) RETURNING id $$;
CREATE FUNCTION write_plpgsql(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'writes %', i; INSERT INTO log (what) VALUES ('plpgsql ' || 1 / i); RETURN i; END $$;
CREATE FUNCTION write_definer() RETURNS name LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN INSERT INTO log (what) VALUES (current_user); RETURN current_user; END $$;
CREATE FUNCTION write_set(n int) RETURNS SETOF pair LANGUAGE plpgsql AS $$
BEGIN FOR i IN 1 .. n LOOP INSERT INTO log (what) VALUES ('set ' || i); RETURN NEXT (i, 'x' || i); END LOOP; END $$;
CREATE FUNCTION write_table(n int) RETURNS TABLE (a int, b text) LANGUAGE sql AS
$$ INSERT INTO log (what) SELECT 'table ' || i FROM generate_series(1, n) i RETURNING id, what $$;
CREATE FUNCTION write_out(INOUT i int, OUT t text) LANGUAGE plpgsql AS $$
BEGIN INSERT INTO log (what) VALUES ('out'); i := i + 1; t := 'done'; END $$;
CREATE FUNCTION write_void() RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log (what) VALUES ('void'); END $$;
CREATE FUNCTION write_record() RETURNS record LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log (what) VALUES ('rec'); RETURN ROW(1, 'a'::text, true); END $$;
CREATE FUNCTION write_variadic(VARIADIC a int[]) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log (what) VALUES (a::text); RETURN cardinality(a); END $$;
CREATE VIEW writes AS SELECT write_sql(id) AS w, v FROM t WHERE id < 3;
CREATE TABLE with_default (id int DEFAULT write_sql(0), v text);
CREATE PROCEDURE proc(IN a int, INOUT b int, OUT c text) LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE 'proc %', a; INSERT INTO log (what) VALUES ('proc ' || a); b := b * 2; c := 'c' || a; END $$;
CREATE PROCEDURE commits(n int) LANGUAGE plpgsql AS $$
BEGIN FOR i IN 1 .. n LOOP INSERT INTO log (what) VALUES ('commits ' || i); COMMIT; END LOOP; RAISE NOTICE 'done'; END $$;
CREATE PROCEDURE silent() LANGUAGE sql AS $$ INSERT INTO log (what) VALUES ('silent') $$;
SQL

# --- rows ---------------------------------------------------------------

$pair->statements(
	q{INSERT INTO t VALUES (100, 'a')},
	q{INSERT INTO t VALUES (nextval('seq') + 200, 'a'), (nextval('seq') + 200, NULL) RETURNING *},
	q{INSERT INTO t (id, v) VALUES (nextval('seq') + 200, 'a') RETURNING id AS x, v, n + 1, v AS x, 'lit', NULL},
	q{INSERT INTO t SELECT i, 'many' FROM generate_series(1000, 3000) i WHERE NOT EXISTS (SELECT FROM t WHERE id = 1000)},
	q{DELETE FROM t WHERE id >= 1000},
	q{UPDATE t SET v = v || '!' WHERE id < 5},
	q{UPDATE t SET v = v || '!' WHERE id < 5 RETURNING t.*, id * 2 AS double},
	q{UPDATE t SET v = 'x' WHERE false},
	q{UPDATE t SET v = u.v FROM (VALUES (1, 'one'), (2, 'two')) u (id, v) WHERE t.id = u.id RETURNING t.id, u.*},
	q{DELETE FROM t WHERE id = 20 RETURNING id},
	q{DELETE FROM t USING child WHERE child.t_id = t.id},
	q{INSERT INTO t VALUES (1, 'b') ON CONFLICT DO NOTHING},
	q{INSERT INTO t VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET v = excluded.v || t.v RETURNING *},
	q{INSERT INTO t VALUES (1, 'b') ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET v = 'c' WHERE t.v = 'never' RETURNING *},
	q{MERGE INTO t USING (VALUES (1, 'm'), (500, 'm')) s (id, v) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v
		WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)},
	q{MERGE INTO t USING (VALUES (500)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE},
	q{WITH moved AS (DELETE FROM t WHERE id = 19 RETURNING *) SELECT * FROM moved},
	q{WITH x AS (INSERT INTO log (what) VALUES ('cte') RETURNING id) INSERT INTO t SELECT id + 5000, 'cte' FROM x RETURNING id > 5000 AS yes},
	q{WITH x AS (UPDATE t SET n = n WHERE id < 4 RETURNING id) DELETE FROM child USING x WHERE child.t_id = x.id},
	q{WITH x AS MATERIALIZED (SELECT 1 AS a), y AS (INSERT INTO log (what) SELECT 'y' FROM x RETURNING what) TABLE y},
	q{VALUES (write_sql(1)), (2)},
	q{INSERT INTO child DEFAULT VALUES RETURNING *},
	q{INSERT INTO identity (v) VALUES ('é'), (NULL) RETURNING *},
	q{INSERT INTO identity OVERRIDING SYSTEM VALUE VALUES (7, 'seven') RETURNING id, w},
	q{INSERT INTO identity (id) VALUES (1)},
	q{UPDATE identity SET w = 'x'},
	q{INSERT INTO part VALUES (5, 'a'), (150, 'b') RETURNING tableoid::regclass, *},
	q{UPDATE part SET id = id + 100 WHERE id = 5 RETURNING tableoid::regclass, *},
	q{INSERT INTO part VALUES (1000, 'nowhere')},
	q{INSERT INTO part_1 VALUES (1000, 'nowhere')},
	q{TABLE unlogged},
	q{INSERT INTO unlogged VALUES (1, 'a') ON CONFLICT DO NOTHING RETURNING *},
	q{SELECT count(*) FROM unlogged JOIN t USING (id)},
	q{INSERT INTO nothing DEFAULT VALUES RETURNING *},
	q{DELETE FROM nothing RETURNING *},
	q{INSERT INTO simple VALUES (300, 'view') ON CONFLICT DO NOTHING},
	q{INSERT INTO simple VALUES (3000, 'view')},
	q{UPDATE simple SET v = 'through' WHERE id = 7 RETURNING *},
	q{DELETE FROM simple WHERE id = 300 RETURNING id},
	q{INSERT INTO joined VALUES (nextval('seq') + 300, 'joined')},
	q{INSERT INTO joined VALUES (nextval('seq') + 300, 'skip') RETURNING *},
	q{DELETE FROM joined},
	q{INSERT INTO also VALUES (1, 'a')},
	q{INSERT INTO also VALUES (1, 'a'), (2, 'b') RETURNING *},
	q{INSERT INTO also_notify VALUES (1)},
	q{SELECT count(*) FROM also_notify},
	q{INSERT INTO instead VALUES (1, 'i')},
	q{INSERT INTO instead VALUES (1, 'i') RETURNING *},
	q{INSERT INTO instead_update VALUES (1, 'u')},
	q{INSERT INTO instead_update VALUES (1, 'u') RETURNING id},
	q{INSERT INTO quiet VALUES (1)},
	q{DELETE FROM quiet},
	q{DELETE FROM quiet RETURNING id},
	q{INSERT INTO two VALUES (1), (20)},
	q{INSERT INTO noisy VALUES (1), (2) RETURNING id},
	q{INSERT INTO noisy VALUES (3), (13)},
	q{UPDATE noisy SET id = id + 1},
	q{DELETE FROM noisy},
	q{SELECT * FROM t WHERE id < 3 ORDER BY id FOR UPDATE},
	q{SELECT v AS a, v AS a FROM t WHERE id < 3 ORDER BY id FOR SHARE SKIP LOCKED},
	q{SELECT id FROM t ORDER BY id LIMIT 2 FOR NO KEY UPDATE NOWAIT},
	q{SELECT FROM t WHERE id < 4 FOR KEY SHARE},
	q{SELECT count(*) FROM t FOR UPDATE});

# --- values -------------------------------------------------------------

$pair->statements(
	q{INSERT INTO kinds (s, m, p, a, ma, pa, sa, j, b, iv, f, r, u, x, c, bp, vc, bits, nm, num, ip, pt, oid, rc, tid, tsv, mr, d, money)
		VALUES (5, 'fine', (1, 'x'), '{1,NULL,3}', '{sad}', ARRAY[(1, 'a'), NULL]::pair[], '{1,2}', '{"a": [1, null]}', '\x00ff',
		'1 mon 2 days', 0.1, '[1,5)', '00000000-0000-0000-0000-000000000001', '<a/>', 'z', 'ab', 'é', '101', 'name', 12.5, '::1/64',
		'(1,2)', 7, 't', '(1,2)', 'a:1 b', '{[1,3),[5,6)}', '2020-02-29', 12.34) RETURNING *},
	q{INSERT INTO kinds DEFAULT VALUES RETURNING *},
	q{UPDATE kinds SET f = 'infinity', num = 'NaN', d = '-infinity', a = '[2:3]={1,2}', ma = '{}' RETURNING f, num, d, a, ma, ts, p, kinds},
	q{INSERT INTO kinds (s) VALUES (100)},
	q{INSERT INTO kinds (m) VALUES ('glad')},
	"INSERT INTO kinds (a) VALUES ('{1,2')",
	q{UPDATE kinds SET a[2] = 9, p.b = 'part' RETURNING a, p, (p).b},
	q{DELETE FROM kinds RETURNING s, m, j -> 'a'});
{
	my $big = 'x' x 10_000_000;
	foreach my $sql (q{WITH i AS (INSERT INTO log (what) VALUES (repeat('y', 10000000)) RETURNING what) SELECT what FROM i},
		"INSERT INTO log (what) VALUES ('$big') RETURNING length(what), what, md5(what)")
	{
		$pair->same('huge values', sub { $_[0]->query($sql) });
		$pair->same('huge values, extended', sub { $_[0]->execute($sql) });
	}
	$pair->raw('a huge parameter',
		[ P => '', q{INSERT INTO log (what) VALUES ($1) RETURNING length(what), what} ],
		[ B => '', '', [$big], [1], [ 0, 1 ] ], [ E => '' ], ['S']);
}
foreach my $encoding (qw(LATIN1 UTF8))
{
	my $e = $encoding eq 'LATIN1' ? "\xe9" : "\xc3\xa9";
	$pair->same("$encoding: client_encoding", sub { $_[0]->query("SET client_encoding = $encoding") });
	$pair->statements(
		"INSERT INTO log (what) VALUES ('$e'), ('$e$e') RETURNING what, '$e' AS \"$e\", length(what)",
		"INSERT INTO log (what) VALUES ('$e', nowhere)",
		"/* $e$e */ INSERT INTO log (wh$e) VALUES (1)",
		"/* $e$e */ CREATE TABLE x$e (a nix)",
		"/* $e$e */ CREATE TABLE x$e (a int DEFAULT '$e')",
		"/* $e$e */ ALTER TABLE t ADD CHECK (v = '$e' AND nix = 1)",
		"DO \$\$ BEGIN RAISE NOTICE '$e'; RAISE EXCEPTION '$e' USING DETAIL = '$e', HINT = '$e'; END \$\$",
		"SELECT write_plpgsql(length('$e') - 1)");
	$pair->statement("/* $e */ INSERT INTO log (what) VALUES ('$e' || 1 / 0)", change => \&SameAnswers::planned_late);
	$pair->same("$encoding: two statements", sub { $_[0]->query("SELECT '$e'; /* $e */ CREATE TABLE y$e (a nix$e)") });
	$pair->raw("$encoding: parameters", [ P => '', "INSERT INTO log (what) VALUES (\$1) RETURNING what, '$e'::name" ],
		[ B => '', '', [$e] ], [ D => 'P', '' ], [ E => '' ], [ B => '', '', [$e], [1], [1] ], [ E => '' ], ['S']);
}
# (the description of its column is left out)
$pair->same("a character that the client's encoding lacks",
	sub { $_[0]->query('SET client_encoding = LATIN1'); $_[0]->query(q{INSERT INTO log (what) VALUES (U&'\20ac') RETURNING what});
		$_[0]->query(q{DO $$ BEGIN RAISE NOTICE '%', U&'\20ac'; END $$}); $_[0]->query('RESET client_encoding') },
	sub { $_[0] =~ s/^T .*\n(?=E )//mgr });

# --- errors -------------------------------------------------------------

$pair->statements(
	q{INSERT INTO t VALUES (1, 'twice')},
	q{INSERT INTO t VALUES (NULL, 'x')},
	q{INSERT INTO t VALUES (600, 'x', 5000)},
	q{INSERT INTO child (t_id) VALUES (-1)},
	q{UPDATE t SET id = 2 WHERE id = 1},
	q{UPDATE t SET n = 'abc'},
	q{UPDATE t SET nowhere = 1},
	q{INSERT INTO missing VALUES (1)},
	q{INSERT INTO t VALUES (1, 2, 3, 4)},
	q{DELETE FROM t WHERE id = 'abc'},
	q{UPDATE t SET v = (SELECT v FROM t)},
	q{INSERT INTO pg_class DEFAULT VALUES},
	q{INSERT INTO t VALUES (1) RETURNING},
	q{SELECT write_plpgsql(0)},
	q{INSERT INTO log (what) SELECT repeat('x', 10) WHERE 1 / (SELECT 0) = 1},
	q{MERGE INTO t USING (VALUES (1), (1)) s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 'x'},
	q{INSERT INTO t VALUES (1, 'b'), (1, 'b') ON CONFLICT (id) DO UPDATE SET v = 'x'},
	q{DELETE FROM pg_authid},
	q{DROP TABLE pg_class},
	q{TRUNCATE pg_class},
	q{CALL missing()},
	q{CALL proc(1)},
	q{ALTER TABLE t ALTER v TYPE int USING v::int},
	q{COMMENT ON TABLE missing IS 'x'},
	q{SECURITY LABEL ON TABLE t IS 'x'},
	q{GRANT SELECT ON t TO missing},
	q{CREATE TABLE t (id int)},
	q{CREATE FUNCTION bad() RETURNS int LANGUAGE sql AS $$ SELECT nowhere FROM t $$},
	q{CREATE FUNCTION bad() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 END $$},
	q{CREATE VIEW bad AS SELECT nowhere FROM t},
	q{DROP TABLE t},
	q{TRUNCATE t},
	q{VACUUM missing},
	q{CREATE ROLE nobody},
	q{CREATE EXTENSION missing});

$pair->statement($_, change => \&SameAnswers::planned_late) foreach (
	q{INSERT INTO kinds (vc) VALUES ('too long for it')},
	q{INSERT INTO kinds (num) VALUES (123456)},
	q{UPDATE t SET n = 1 / 0},
	q{INSERT INTO t VALUES (1) ON CONFLICT (v) DO NOTHING});

# --- functions ----------------------------------------------------------

$pair->statements(
	q{SELECT write_sql(1)},
	q{SELECT write_plpgsql(1), 5 AS five},
	q{SELECT write_definer()},
	q{SELECT write_set(3)},
	q{SELECT * FROM write_set(3) WITH ORDINALITY},
	q{SELECT (write_set(2)).*},
	q{SELECT * FROM write_table(2)},
	q{SELECT * FROM write_table(2) LIMIT 1},
	q{SELECT write_out(4), (write_out(5)).t},
	q{SELECT * FROM write_out(4)},
	q{SELECT write_void()},
	q{SELECT write_void() IS NULL},
	q{SELECT write_record()},
	q{SELECT * FROM write_record() AS (a int, b text, c bool)},
	q{SELECT ROW(write_sql(1) > 0, NULL, ROW(2, 'é'::text, ARRAY[1.5, 2]), now() IS NULL), ARRAY[ROW(1, 'a'), NULL, ROW(2, NULL)]},
	q{SELECT write_variadic(1, 2, 3)},
	q{SELECT id FROM t WHERE write_plpgsql(id) < 3 AND id < 3 ORDER BY id},
	q{SELECT * FROM writes},
	q{SELECT (SELECT write_sql(7)) AS sub, ARRAY(SELECT write_sql(8))},
	q{SELECT write_sql(id) FROM t WHERE id < 3 UNION ALL SELECT 0},
	q{SELECT CASE WHEN false THEN write_sql(1) END},
	q{INSERT INTO with_default (v) VALUES ('d') RETURNING *},
	q{SELECT nextval('seq'), currval('seq'), lastval()},
	q{SELECT currval('seq')},
	q{SELECT lastval() > 0 AS some},
	q{SELECT setval('seq', 500), setval('seq'::regclass, 600, false)},
	q{SELECT nextval('missing')},
	q{SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)},
	q{SELECT pg_advisory_lock(3)},
	q{SELECT pg_advisory_unlock(3), pg_advisory_unlock(99)},
	q{SELECT pg_advisory_unlock_all()},
	q{SELECT txid_status(3), txid_current() > 0},
	q{SELECT pg_current_xact_id_if_assigned() IS NULL},
	q{SELECT lo_create(0) > 0},
	q{CALL proc(1, 2, NULL)},
	q{CALL proc(a => 1 + 1, b => 5, c => NULL)},
	q{CALL silent()},
	q{CALL commits(-1)},
	q{DO $$ BEGIN RAISE NOTICE 'a'; RAISE WARNING 'b' USING HINT = 'h'; RAISE INFO 'c'; INSERT INTO log (what) VALUES ('do'); END $$},
	q{DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $$},
	q{DO $$ DECLARE x int; BEGIN x := 1 / 0; END $$},
	q{DO $$ BEGIN syntax error; END $$},
	q{DO $$ BEGIN EXECUTE 'INSERT INTO log (what) VALUES (1 / 0)'; END $$},
	q{DO LANGUAGE missing 'x'},
	q{NOTIFY channel, 'payload'},
	q{SELECT pg_notify('channel', 'p')});
$pair->statement($_, alone => 1) foreach (
	q{CALL commits(3)},
	q{DO $$ BEGIN INSERT INTO log (what) VALUES ('before'); COMMIT; INSERT INTO log (what) VALUES ('after'); ROLLBACK; END $$});
$pair->statement(q{CALL commits(2)});
$pair->statement(q{SELECT what FROM log ORDER BY id FOR UPDATE});

# --- rules that return rows ---------------------------------------------

$pair->raw('a rule that returns rows, by the extended protocol', [ P => '', 'INSERT INTO also_select VALUES (1)' ], [ B => '', '' ],
	[ D => 'P', '' ], [ E => '' ], ['S'], [ Q => 'SELECT count(*) FROM also_select' ]);
{
	my $session = $pair->{forwarded};
	foreach my $open ('', q{DELETE FROM log WHERE id < 0})
	{
		$session->do("BEGIN; $open");
		is($session->error('INSERT INTO also_select VALUES (2)')->{code}, '0A000', 'by the simple one it is refused');
		$session->do('ROLLBACK');
	}
	is($session->value('SELECT count(*) FROM also_select'), 1, '... ahead of the write');
}

done_testing();
