# Reads that leave the primary: which may, where they go, and that the answer is
# the one that the primary would have given.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use EverydaySQL;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$plain->start;
my $expected = everyday($plain, explain => 0);
$plain->stop;

my $cluster = ConsistencyCluster->new;
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);

# --- helpers ------------------------------------------------------------

# Where the last read of a session ran, and why.
sub last_read
{
	my ($session) = @_;
	return $session->row('SELECT * FROM consistency.last_read()');
}
# Its place; the rest of the answer is kept in the session.
sub place
{
	my ($session) = @_;
	$session->{last} = last_read($session);
	return $session->{last}{place};
}

# Waits until a session's reads leave: all replicas have all that it knows, and
# the primary knows that they have.
sub settle
{
	my ($session) = @_;
	$cluster->wait_replayed;
	$session->do("SET consistency.routing = 'always'");
	wait_until(
		sub { $session->do('SELECT i FROM one'); return place($session) eq 'routed'; },
		'reads are routed');
	return;
}

# A query gives the same with routing as without, and it was routed.
sub same
{
	my ($session, $what, $sql, @parameters) = @_;
	my $run = sub {
		return @parameters ? $session->execute($sql, @parameters) : scalar $session->query($sql);
	};
	$session->do("SET consistency.routing = 'off'");
	my $local = $run->();
	$session->do("SET consistency.routing = 'always'");
	my $routed = $run->();
	if ($local->{error} || $routed->{error})
	{
		fail("$what: no error");
		diag explain [ $local->{error}, $routed->{error} ];
		return;
	}
	my $last = last_read($session);
	# a question mark in front of its name: it may stay as well
	is($last->{place}, 'routed', "$what: routed") or diag explain $last
	  unless $what =~ /^\?/;
	is_deeply(
		[ @$routed{qw(fields types modifiers rows tag)} ],
		[ @$local{qw(fields types modifiers rows tag)} ],
		"$what: same answer");
	return;
}

# A query gives the same, and it stays here.
sub stays
{
	my ($session, $what, $sql) = @_;
	$session->do("SET consistency.routing = 'always'");
	my @results = $session->query($sql);
	my ($failed) = grep { $_->{error} } @results;
	is($failed && $failed->{error}{message}, undef, "$what: no error");
	my $last = last_read($session);
	isnt($last->{place}, 'routed', "$what: stays at the primary");
	$session->do('ROLLBACK') if $session->status ne 'I';
	return;
}

# The lines of an EXPLAIN.
sub explained
{
	my ($session, $sql, $options) = @_;
	$options = defined $options ? $options : 'COSTS off';
	return $session->text("EXPLAIN ($options) $sql");
}
my $custom = qr/Custom Scan \(ConsistencyRoutedScan\)/;

# --- tables -------------------------------------------------------------

$app->do($_) for split /;\n/, <<'SQL';
CREATE TABLE one (i int);
INSERT INTO one VALUES (1);
CREATE TABLE many (i int PRIMARY KEY, v text, n numeric);
INSERT INTO many SELECT g, 'v ' || g, g / 7.0 FROM generate_series(1, 5000) g;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nest AS (p pair, ps pair[]);
CREATE DOMAIN pairdom AS pair;
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE "Odd ""name"" ü" ("select" int, "a b" text, "Ü" text, "$1" text, "'" text);
INSERT INTO "Odd ""name"" ü" VALUES (1, 'two', 'dreißig', '$1', 'it''s');
CREATE TABLE accents (t text);
INSERT INTO accents VALUES ('Ü dreißig');
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."T" (i int);
INSERT INTO "My Schema"."T" VALUES (7);
CREATE TABLE "My Schema".one (i int);
INSERT INTO "My Schema".one VALUES (77);
CREATE TABLE none ();
INSERT INTO none DEFAULT VALUES;
INSERT INTO none DEFAULT VALUES;
CREATE TABLE empty (i int, t text);
CREATE TABLE part (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
INSERT INTO part SELECT g, 'p' || g FROM generate_series(0, 19) g;
CREATE TABLE parent (i int);
CREATE TABLE child (j int) INHERITS (parent);
INSERT INTO child VALUES (1, 2);
CREATE TABLE huge (i int, t text, b bytea);
INSERT INTO huge SELECT 1, repeat('0123456789', 500000), decode(repeat('00ff0a5c', 500000), 'hex');
CREATE VIEW simple AS SELECT i, v FROM many WHERE i < 10;
CREATE VIEW "Deep View" AS SELECT v AS "V V", count(*) AS c FROM simple GROUP BY v;
CREATE FUNCTION stable_sum(upto int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(i) FROM many WHERE i <= upto';
CREATE FUNCTION stable_plpgsql(upto int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT sum(i) FROM many WHERE i <= upto); END $$;
CREATE FUNCTION stable_set(upto int) RETURNS SETOF many LANGUAGE sql STABLE AS 'SELECT * FROM many WHERE i <= upto ORDER BY i';
CREATE FUNCTION volatile_sum(upto int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT sum(i) FROM many WHERE i <= upto); END $$;
CREATE VIEW volatile_view AS SELECT i, random() AS r FROM one;
CREATE SEQUENCE counter;
CREATE UNLOGGED TABLE unlogged (i int);
CREATE TABLE secret (owner text, tenant text, v int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE secret FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = current_user AND tenant = coalesce(current_setting('app.tenant', true), 'none')) WITH CHECK (true);
INSERT INTO secret VALUES ('app', 'a', 1), ('app', 'b', 2), ('other', 'a', 3), ('other', 'b', 4), ('app', 'none', 5);
CREATE VIEW secret_view AS SELECT * FROM secret;
CREATE VIEW secret_invoker WITH (security_invoker) AS SELECT * FROM secret;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO other;
SQL
$app->do(<<'SQL');
CREATE TABLE types (
    k int, bo boolean, i2 smallint, i4 int, i8 bigint, f4 real, f8 float8, n numeric, n2 numeric(20,4),
    t text, vc varchar(10), ch char(5), na name, "char" "char", by bytea, d date, ti time, tz timetz,
    ts timestamp, tstz timestamptz, iv interval, ivp interval day to second(2), uu uuid, js json, jb jsonb, jp jsonpath, xm xml,
    bi bit(4), vb varbit, ip inet, ci cidr, ma macaddr, pt point, bx box, pg polygon, mo money, oi oid, rc regclass,
    ia int[], ta text[], ia2 int[], pa pair[], e mood, ea mood[], dm posint, p pair, ne nest, pd pairdom,
    r4 int4range, rn numrange, rt tstzrange, rs span, mr int4multirange, tv tsvector, tq tsquery, ls pg_lsn);
INSERT INTO types VALUES (1, true, -32768, 2147483647, -9223372036854775808, 1.1, 0.1, 'NaN', 12345.6789,
    'text', 'varchar', 'ch', 'name', 'x', '\x00ff5c', '2024-02-29', '23:59:59.999999', '12:00+05:30',
    '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+02', '1 year 2 mons -3 days 04:05:06.789', '1 02:03:04.567',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": 1,  "a": [1, null]}', '{"b": 1, "a": [1, null]}', '$.a[*] ? (@ > 1)', '<a>1</a>',
    B'1010', B'10', '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '(1.5,-2)', '(1,1),(0,0)', '((0,0),(1,1),(2,0))', 1234.56, 42, 'types',
    '{1,2,NULL}', '{"a b",NULL,"",",","\"","{}"}', '[0:1][2:3]={{1,2},{3,4}}', ARRAY[ROW(1,'x')::pair, NULL, ROW(NULL,'"')::pair],
    'ok', '{sad,happy,NULL}', 5, ROW(1, 'a,"b" (c)'), ROW(ROW(1,'x'), ARRAY[ROW(2,NULL)::pair]), ROW(3,'d'),
    '[1,5)', '(,1.5]', '["2024-01-01 00:00+00",)', '[0.1,0.2]', '{[1,3),[5,7)}', 'a:1A b:2', 'a & !b', '1/2AB');
INSERT INTO types (k, f4, f8, n, t, d, ts, tstz, iv, ia, n2, dm) VALUES
    (2, 'Infinity', '-Infinity', 'Infinity', '', 'infinity', '-infinity', 'infinity', '0', '{}', 0, 1),
    (3, 'NaN', 'NaN', '-Infinity', E'\t\n\r\\', '4713-01-01 BC', '0001-01-01 BC', '294276-12-31 23:59:59+00', '-1 mon', '{NULL}', -0.0001, 2147483647),
    (4, 1e-38, 1.7976931348623157e308, 123456789012345678901234567890.123456789, 'ünï✓😀', '5874897-12-31', '1999-12-31', '1900-01-01 00:00+00', '178000000 years', '{{1},{2}}', NULL, NULL),
    (5, 3.14159274, 0.30000000000000004, 1e-100, repeat('long ', 3000), NULL, NULL, NULL, NULL, NULL, 1, 1),
    (6, -0.0, -0.0, 0.000, ' lead and trail ', '2000-01-01', '2000-01-01 00:00:00.000001', '2000-06-01 00:00+00', '1 microsecond', '{0}', 1e15, 1);
INSERT INTO types (k) VALUES (7);
SQL
$dba->do('CREATE EXTENSION file_fdw');
$dba->do('CREATE SERVER files FOREIGN DATA WRAPPER file_fdw');
my $file = $cluster->primary->basedir . '/file.csv';
append_to_file($file, "1\n2\n");
$dba->do("CREATE FOREIGN TABLE filed (i int) SERVER files OPTIONS (filename '$file')");
$dba->do('GRANT SELECT ON filed TO app; GRANT pg_read_server_files TO app; GRANT other TO app');

settle($app);

# --- where it goes, and what EXPLAIN says -------------------------------

{
	my $text = explained($app, 'SELECT count(*) FROM many');
	like($text, $custom, 'EXPLAIN: the routed scan');
	like($text, qr/Level: session/, 'EXPLAIN: level');
	like($text, qr/Requirement: \S/, 'EXPLAIN: requirement');
	like($text, qr/Node: (near|far)/, 'EXPLAIN: node');
	like($text, qr/Reason: \S/, 'EXPLAIN: reason');
	like($text, qr/Seq Scan on many|Index Only Scan/, 'EXPLAIN: the local plan below it');
	like(explained($app, 'SELECT count(*) FROM many', 'VERBOSE, COSTS off'),
		qr/Remote SQL: .*SELECT.*many/s, 'EXPLAIN VERBOSE: what is sent');
	unlike($text, qr/Remote SQL/, '... only there');
	$text = explained($app, 'SELECT count(*) FROM many', 'ANALYZE, COSTS off, TIMING off, SUMMARY off');
	like($text, qr/ConsistencyRoutedScan\) \(actual rows=1 loops=1\)/, 'EXPLAIN ANALYZE: rows');
	like($text, qr/Node: (near|far)/, 'EXPLAIN ANALYZE: node');
	like($text, qr/never executed/, 'EXPLAIN ANALYZE: the local plan was not needed');
	my $json = $app->value('EXPLAIN (FORMAT json, VERBOSE) SELECT count(*) FROM many');
	like($json, qr/"Custom Plan Provider": "ConsistencyRoutedScan"/, 'EXPLAIN FORMAT json');
	like($json, qr/"Level": "session"/, 'EXPLAIN FORMAT json: level');
	is($app->value('SELECT ($1::json)->0->\'Plan\'->>\'Level\'', $json), 'session', '... is JSON');

	$app->do("SET consistency = 'eventual'");
	like(explained($app, 'SELECT count(*) FROM many'), qr/Level: eventual/, 'EXPLAIN: another level');
	$app->do("SET consistency = 'linearizable'");
	my $leader = explained($app, 'SELECT count(*) FROM many');
	unlike($leader, qr/Node: (near|far)/, 'linearizable: no replica');
	is($app->value('SELECT count(*) FROM many'), 5000, 'linearizable: answered');
	isnt(place($app), 'routed', 'linearizable: at the primary');
	$app->do('RESET consistency');

	my $last = do { $app->do('SELECT count(*) FROM many'); last_read($app) };
	is($last->{level}, 'session', 'last_read: level');
	is($last->{place}, 'routed', 'last_read: place');
	like($last->{node}, qr/^(near|far)$/, 'last_read: node');
	like($last->{position}, qr/^\d+:[0-9A-F]+\/[0-9A-F]+$/, 'last_read: position');
	like($last->{reason}, qr/\S/, 'last_read: reason');
}

# the settings of routing
{
	$app->do("SET consistency.routing = 'off'");
	unlike(explained($app, 'SELECT count(*) FROM many'), $custom, 'routing = off: no routed scan');
	$app->do('SELECT count(*) FROM many');
	is(place($app), 'local', 'routing = off: stays');
	$app->do("SET consistency.routing = 'auto'");
	$app->do('SET consistency.route_min_cost = 50');
	$app->do('SELECT count(*) FROM many');
	is(place($app), 'routed', 'routing = auto: what costs more, leaves');
	$app->do('SELECT v FROM many WHERE i = 1');
	is(place($app), 'local', 'routing = auto: what costs less, stays');
	$app->do('SET consistency.route_min_cost = 0');
	$app->do('SELECT v FROM many WHERE i = 1');
	is(place($app), 'routed', 'routing = auto: all leaves from cost 0');
	$app->do('SET consistency.route_min_cost = 1e12');
	$app->do('SELECT count(*) FROM many');
	is(place($app), 'local', 'routing = auto: nothing leaves at a huge cost');
	$app->do('RESET consistency.route_min_cost');
	$app->do("SET consistency.routing = 'always'");
	$app->do('SELECT v FROM many WHERE i = 1');
	is(place($app), 'routed', 'routing = always: whatever it costs');
}

# both replicas get their share
{
	my %node;
	wait_until(
		sub {
			$app->do('SELECT count(*) FROM one');
			$node{ last_read($app)->{node} // 'none' }++;
			return keys %node >= 2;
		},
		'reads go to a second node');
	is(join(',', sort keys %node), 'far,near', 'reads go to both replicas');
}

# it ran there, as the same role, not as a superuser
{
	$app->do('SELECT v AS marked_for_the_log FROM many WHERE i = 4711');
	is(place($app), 'routed', 'a read to be found in a log');
	my $node = $app->{last}{node};
	like(slurp_file($cluster->node($node)->logfile), qr/marked_for_the_log/, "it is in the log of $node");
	is( $cluster->sql($node,
			"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
			  . " AND application_name LIKE 'consistency%' AND usename NOT IN ('app', 'monitor')"),
		0,
		'connections there are of the role itself');
}

# --- the same answer ----------------------------------------------------

my @columns = split /,/, $app->value(
	q{SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute
	   WHERE attrelid = 'types'::regclass AND attnum > 0});
same($app, 'all types', 'SELECT * FROM types ORDER BY k');
same($app, "column $_", "SELECT $_ FROM types ORDER BY k") for @columns;
same($app, 'a row as a value', 'SELECT ty FROM types ty ORDER BY k');
same($app, '? anonymous rows', 'SELECT ROW(k, t, ia), ROW() FROM types ORDER BY k');
same($app, 'json of a row', 'SELECT row_to_json(ty), to_jsonb(ty) FROM types ty WHERE k < 3 ORDER BY k');
same($app, 'zero columns', 'SELECT FROM none');
same($app, 'zero columns of a table', 'SELECT * FROM none');
same($app, 'zero rows', 'SELECT * FROM empty');
same($app, 'an aggregate of nothing', 'SELECT count(*), sum(i), max(t), array_agg(i) FROM empty');
same($app, 'unknown literals', q{SELECT 'literal', NULL, 'x' || i FROM one});
same($app, 'columns of one name', 'SELECT i, i, i AS "?column?", 1 FROM one');
same($app, 'a column name of 63 bytes', 'SELECT i AS ' . ('n' x 63) . ' FROM one');
same($app, 'wide', 'SELECT ' . join(',', map { "i + $_ AS c$_" } 1 .. 500) . ' FROM one');
same($app, 'huge values', 'SELECT * FROM huge');
same($app, 'many rows', 'SELECT * FROM many ORDER BY i');
same($app, 'many rows, no order', 'SELECT * FROM many');
same($app, 'limit and offset', 'SELECT i FROM many ORDER BY i LIMIT 3 OFFSET 10');
same($app, 'aggregates', 'SELECT count(*), sum(n), avg(n), min(v), max(v), stddev(n), string_agg(v, $$,$$ ORDER BY i) FROM many WHERE i < 50');
same($app, 'windows', 'SELECT i, row_number() OVER w, lag(v) OVER w FROM many WHERE i < 20 WINDOW w AS (ORDER BY i DESC) ORDER BY i');
same($app, 'grouping sets', 'SELECT i % 2 AS g, i % 3 AS h, count(*) FROM many GROUP BY GROUPING SETS ((1), (2), (1, 2), ()) ORDER BY 1, 2');
same($app, 'join', 'SELECT a.i, b.v FROM many a JOIN many b ON b.i = a.i + 1 WHERE a.i < 5 ORDER BY 1');
same($app, 'outer join', 'SELECT o.i, e.t FROM one o LEFT JOIN empty e USING (i)');
same($app, 'full join using', 'SELECT * FROM one o FULL JOIN many m USING (i) WHERE i < 5 ORDER BY i');
same($app, 'lateral', 'SELECT o.i, x.* FROM one o, LATERAL (SELECT v FROM many WHERE many.i = o.i) x');
same($app, 'subqueries', 'SELECT i, (SELECT max(v) FROM many), EXISTS (SELECT FROM none), i IN (SELECT i FROM many) FROM one');
same($app, 'CTE', 'WITH c AS MATERIALIZED (SELECT i FROM many WHERE i < 5) SELECT sum(i) FROM c');
same($app, 'recursive CTE', 'WITH RECURSIVE r(n) AS (SELECT i FROM one UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT * FROM r');
same($app, 'UNION', 'SELECT i FROM one UNION ALL SELECT i FROM many WHERE i < 3 UNION ALL SELECT NULL FROM none ORDER BY 1');
same($app, 'EXCEPT and INTERSECT', '(SELECT i FROM many WHERE i < 9 EXCEPT SELECT i FROM one) INTERSECT SELECT i FROM many ORDER BY 1');
same($app, 'VALUES beside a table', 'SELECT * FROM (VALUES (1, NULL), (2, \'x\')) v(a, b), one ORDER BY a');
same($app, 'DISTINCT ON', 'SELECT DISTINCT ON (i % 3) i, v FROM many ORDER BY i % 3, i');
same($app, 'partitioned', 'SELECT tableoid::regclass, * FROM part ORDER BY k');
same($app, 'inherited', 'SELECT tableoid::regclass, * FROM parent');
same($app, 'system columns', 'SELECT ctid, xmin, cmin FROM one');
same($app, 'quoted names', 'SELECT * FROM "Odd ""name"" ü"');
same($app, 'quoted schema', 'SELECT t."i" AS "My ""Column""" FROM "My Schema"."T" AS t');
same($app, 'views', 'SELECT * FROM "Deep View" ORDER BY "V V"');
same($app, 'a view in a join', 'SELECT s.v, m.n FROM simple s JOIN many m USING (i) ORDER BY 1');
same($app, 'a SQL function', 'SELECT stable_sum(i + 9) FROM one');
same($app, 'a PL/pgSQL function', 'SELECT stable_plpgsql(i + 9) FROM one');
same($app, 'a set-returning function', 'SELECT * FROM stable_set(5), one');
same($app, 'generate_series', 'SELECT g, i FROM one, generate_series(1, 5) g');
same($app, 'unnest', q{SELECT * FROM one, unnest('{a,b}'::text[], '{1,2,3}'::int[]) WITH ORDINALITY AS u(a, b, n)});
same($app, 'enum order', q{SELECT e FROM (VALUES ('happy'::mood), ('sad'), ('ok')) v(e), one ORDER BY e});
same($app, 'collations', q{SELECT v FROM many WHERE i < 30 ORDER BY v COLLATE "C", v COLLATE "POSIX"});
same($app, 'regular expressions', q{SELECT v FROM many WHERE v ~ '^v [0-9]$' AND v LIKE 'v _' ESCAPE '\' ORDER BY i});
same($app, 'escapes', <<'SQL');
SELECT E'\\\'\n', U&'\00e4', $q$a'b$q$, 'a''b\c', B'101', X'1F' FROM one
SQL
same($app, 'operators', q{SELECT ARRAY[1,2] || i, '{"a":1}'::jsonb -> 'a', '[1,3)'::int4range @> i, i BETWEEN 1 AND 2, i IS DISTINCT FROM NULL FROM one});
same($app, 'a qualified operator', 'SELECT i OPERATOR(pg_catalog.+) 1 FROM one');
same($app, 'identity', 'SELECT current_user, session_user, current_database(), current_schema(), current_schemas(true) FROM one');
same($app, 'xml', q{SELECT xmlelement(name a, xmlattributes(i AS b), 'c<') FROM one});
same($app, 'a composite taken apart', 'SELECT (p).b, (ne).p, ((ne).ps)[1].a, (p).* FROM types WHERE k = 1');
same($app, 'regclass and friends', q{SELECT 'many'::regclass, 'stable_sum'::regproc, 'mood'::regtype, 'one'::regclass::oid FROM one});

# every setting that shows in an answer
my @settings = (
	[ q{DateStyle = 'German, DMY'}, 'SELECT d, ts, tstz, rt FROM types ORDER BY k' ],
	[ q{DateStyle = 'SQL, MDY'}, q{SELECT '02/03/2024'::date, d FROM types ORDER BY k} ],
	[ q{TimeZone = 'Asia/Kathmandu'}, q{SELECT tstz, rt, '2024-01-01 12:00'::timestamptz, tstz::date, extract(hour FROM tstz) FROM types WHERE k <> 2 ORDER BY k} ],
	[ q{IntervalStyle = 'iso_8601'}, 'SELECT iv, ivp FROM types ORDER BY k' ],
	[ q{IntervalStyle = 'sql_standard'}, q{SELECT iv, '-1 2:03:04'::interval FROM types ORDER BY k} ],
	[ 'extra_float_digits = 0', 'SELECT f4, f8, f8::text FROM types ORDER BY k' ],
	[ 'extra_float_digits = -10', 'SELECT f4, f8, pt FROM types ORDER BY k' ],
	[ q{bytea_output = 'escape'}, 'SELECT by, by::text FROM types ORDER BY k' ],
	[ q{search_path = "My Schema", public}, 'SELECT o.i, "T".i FROM one o, "T"' ],
	[ q{search_path = "My Schema", public}, q{SELECT 'one'::regclass, 'public.one'::regclass, current_schemas(false) FROM one} ],
	[ q{search_path = pg_catalog}, q{SELECT i, 'public.many'::regclass FROM public.one} ],
	[ q{search_path = ''}, 'SELECT i FROM public.one' ],
	[ q{client_encoding = 'LATIN1'}, q{SELECT U&'drei\00dfig' || i, t FROM one, accents} ],
	[ q{client_encoding = 'SJIS'}, q{SELECT t FROM types WHERE k = 1} ],
	[ q{standard_conforming_strings = off}, q{SELECT 'a\\\\b', i FROM one} ],
	[ q{standard_conforming_strings = off}, q{SELECT v FROM many WHERE v = 'v 1' OR v = E'\\\\'} ],
	[ q{lc_monetary = 'C'}, 'SELECT mo, 1.5::money FROM types ORDER BY k' ],
	[ q{xmlbinary = 'hex'}, q{SELECT xmlelement(name a, by) FROM types WHERE k = 1} ],
	[ q{array_nulls = off}, q{SELECT '{a,NULL}'::text[], i FROM one} ],
	[ q{transform_null_equals = on}, q{SELECT count(*) FROM types WHERE t = NULL} ],
	[ q{quote_all_identifiers = on}, q{SELECT i AS "select", v FROM many WHERE i < 5} ],
	[ q{default_text_search_config = 'pg_catalog.german'}, q{SELECT to_tsvector('die Häuser') , i FROM one} ],
	[ q{app.tenant = 'a'}, q{SELECT current_setting('app.tenant'), v FROM secret ORDER BY v} ],
	[ q{app.tenant = 'b'}, q{SELECT current_setting('app.tenant'), v FROM secret ORDER BY v} ],
	[ q{app.tenant = ''}, q{SELECT current_setting('app.tenant'), v FROM secret ORDER BY v} ],
	[ q{app.tenant = 'it''s "x" \ ü'}, q{SELECT current_setting('app.tenant'), i FROM one} ],
	[ q{application_name = 'my app'}, q{SELECT i FROM one} ],
	[ q{default_transaction_read_only = on}, q{SELECT i FROM one} ],
	[ q{row_security = on}, q{SELECT v FROM secret ORDER BY v} ],
	[ q{enable_seqscan = off}, q{SELECT count(*) FROM many} ],
	[ q{work_mem = '64kB'}, q{SELECT i FROM many ORDER BY v DESC LIMIT 10} ]);
foreach my $case (@settings)
{
	my ($set, $sql) = @$case;
	my $session = $cluster->connect('primary');
	settle($session);
	# a query before the setting, so that a connection is in use already
	$session->do('SELECT i FROM one');
	$session->do("SET $set");
	same($session, $set, $sql);
	$session->do('RESET ' . ($set =~ s/\s*=.*//r));
	same($session, "after RESET of $set", $sql)
	  unless $set =~ /^search_path|^app\.|LATIN1/;
	$session->close;
}
# settings for a transaction only, and taken back
{
	my $session = $cluster->connect('primary');
	settle($session);
	my $tz = q{SELECT '2024-01-01 12:00+00'::timestamptz, i FROM one};
	$session->do('BEGIN');
	$session->do(q{SET LOCAL TimeZone = 'Asia/Tokyo'});
	like($session->value($tz), qr/21:00:00\+09/, 'SET LOCAL is carried over');
	is(place($session), 'routed', '... to another node');
	$session->do('COMMIT');
	like($session->value($tz), qr/\+0[01]$|\+00/, 'and ends with the transaction');
	$session->do('BEGIN');
	$session->do(q{SET TimeZone = 'Asia/Tokyo'});
	like($session->value($tz), qr/\+09/, 'SET is carried over');
	$session->do('ROLLBACK');
	unlike($session->value($tz), qr/\+09/, 'and is undone there too');
	$session->do('BEGIN');
	$session->do('SAVEPOINT s');
	$session->do(q{SET LOCAL TimeZone = 'Asia/Tokyo'});
	like($session->value($tz), qr/\+09/, 'SET LOCAL behind a savepoint');
	$session->do('ROLLBACK TO s');
	unlike($session->value($tz), qr/\+09/, '... is undone with it');
	$session->do('COMMIT');
	# settings of the role and from the startup packet are the session's too
	my $started = $cluster->connect('primary',
		startup => { TimeZone => 'Asia/Tokyo', DateStyle => 'German', options => '-c app.tenant=b' });
	settle($started);
	same($started, 'settings from the startup packet',
		q{SELECT '2024-01-01 12:00+00'::timestamptz, current_setting('app.tenant'), v FROM secret});
	$dba->do(q{ALTER ROLE app SET app.tenant = 'a'; ALTER ROLE app SET TimeZone = 'Asia/Tokyo'});
	my $roled = $cluster->connect('primary');
	settle($roled);
	same($roled, 'settings of the role',
		q{SELECT '2024-01-01 12:00+00'::timestamptz, current_setting('app.tenant'), v FROM secret});
	$dba->do('ALTER ROLE app RESET ALL');
}

# --- roles --------------------------------------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	$session->do(q{SET app.tenant = 'b'});
	foreach my $table (qw(secret secret_view secret_invoker))
	{
		same($session, "row security: $table", "SELECT * FROM $table ORDER BY v");
		is($session->text("SELECT v FROM $table"), '2', "row security: $table shows one's own");
	}
	# SET ROLE: as that role or not at all
	$session->do('SET ROLE other');
	is($session->text('SELECT current_user, session_user, v FROM secret'),
		'other|app|4', 'SET ROLE: rows of that role');
	$session->do('RESET ROLE');
	is($session->text('SELECT current_user, session_user, v FROM secret'),
		'app|app|2', 'RESET ROLE: rows of the old one');
	# a plan that outlives the role
	$session->do('SET plan_cache_mode = force_generic_plan');
	$session->prepare('mine', 'SELECT v FROM secret');
	is($session->run('mine')->{rows}[0][0], 2, 'a generic plan: rows of the role');
	is(place($session), 'routed', '... routed') or diag explain last_read($session);
	$session->do('SET ROLE other');
	is($session->run('mine')->{rows}[0][0], 4, '... of another role');
	$session->do('RESET ROLE');
	is($session->run('mine')->{rows}[0][0], 2, '... of the first');
	$session->do(q{SET app.tenant = 'a'});
	is($session->run('mine')->{rows}[0][0], 1, '... under another setting');

	# functions with the rights of their owner
	$dba->do(q{CREATE FUNCTION definer() RETURNS TABLE (who name, n bigint) LANGUAGE sql STABLE SECURITY DEFINER
		SET search_path = public AS 'SELECT current_user, count(*) FROM secret'});
	settle($session);
	same($session, 'a SECURITY DEFINER function', 'SELECT d.who, d.n FROM definer() d, one');

	# what one may not read, one may not read elsewhere
	$dba->do('CREATE TABLE forbidden (i int); REVOKE ALL ON forbidden FROM PUBLIC, app');
	settle($session);
	is($session->error('SELECT * FROM forbidden')->{code}, '42501', 'no privilege: the usual error');
	$session->do('SET ROLE other');
	is($session->error('SELECT * FROM many, forbidden')->{code}, '42501', 'no privilege as another role');
	$session->do('RESET ROLE');

	# a superuser has no mapping: nothing leaves
	my $super = $cluster->connect('primary', user => $cluster->superuser);
	$super->do("SET consistency.routing = 'always'");
	is($super->value('SELECT count(*) FROM secret'), 5, 'a superuser sees all rows');
	isnt(place($super), 'routed', '... without a mapping at the primary');
	# ... nor does a mapping to another role make him see less
	$super->do(qq{CREATE USER MAPPING FOR CURRENT_USER SERVER $_ OPTIONS ("user" 'app', password 'app secret')})
	  for qw(near far);
	$cluster->wait_replayed;
	for (1 .. 5)
	{
		is($super->value('SELECT count(*) FROM secret'), 5, '... with a mapping to another role as well');
		isnt(place($super), 'routed', '... at the primary');
	}
	$super->do("DROP USER MAPPING FOR CURRENT_USER SERVER $_") for qw(near far);
}

# --- parameters ---------------------------------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	my @cases = (
		[ 'int4', 41 ], [ 'int8', '-9223372036854775808' ], [ 'int2', -1 ], [ 'text', q{it's "x" \\ ü} ],
		[ 'text', '' ], [ 'varchar(3)', 'abcdef' ], [ 'char(4)', 'ab' ], [ 'bytea', '\x00ff' ], [ 'bool', 't' ],
		[ 'float8', '0.1' ], [ 'float8', 'NaN' ], [ 'float4', '-Infinity' ], [ 'numeric', '1e-30' ],
		[ 'numeric(6,2)', '1234.567' ], [ 'numeric', 'NaN' ], [ 'date', '2024-02-29' ],
		[ 'timestamptz', '2024-02-29 12:00+02' ], [ 'interval', '1 mon -1 day' ], [ 'timetz', '12:00-05' ],
		[ 'uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' ], [ 'jsonb', '{"a": [1, null]}' ], [ 'json', '{"a":  1}' ],
		[ 'int[]', '{1,NULL,3}' ], [ 'text[]', '{"a,b",NULL,""}' ], [ 'pair', '(1,"a b")' ], [ 'pair[]', '{"(1,x)",NULL}' ],
		[ 'mood', 'happy' ], [ 'mood[]', '{sad,ok}' ], [ 'posint', 7 ], [ 'inet', '10.0.0.1/8' ], [ 'int4range', '[1,5)' ],
		[ 'name', 'n' ], [ 'regclass', 'many' ], [ 'bit(3)', '101' ], [ 'pg_lsn', '1/2' ], [ 'xml', '<a/>' ],
		[ 'nest', '("(1,x)","{""(2,y)""}")' ]);
	foreach my $case (@cases)
	{
		my ($type, $value) = @$case;
		same($session, "parameter of type $type", "SELECT i, \$1::$type FROM one", $value);
	}
	same($session, "NULL of type $_", "SELECT i, \$1::$_ IS NULL, \$1::$_ FROM one", undef)
	  for qw(int4 text numeric jsonb int[] pair mood posint);
	same($session, 'a parameter in a condition', 'SELECT v FROM many WHERE i = $1', 42);
	same($session, 'a parameter whose type is found out', 'SELECT v FROM many WHERE i > $1 AND v < $2 ORDER BY i', 4000, 'v 41');
	same($session, 'a parameter as array', 'SELECT v FROM many WHERE i = ANY ($1) ORDER BY i', '{1,3,5}');
	same($session, 'a parameter twice', 'SELECT $1::int + i, $1::int FROM one', 3);
	same($session, 'parameters out of order', 'SELECT $3::text, $1::int, i, $2::text FROM one', 1, 'two', undef);
	same($session, 'a parameter that is not used', 'SELECT $2::int, i FROM one WHERE $1::text IS NULL OR true', undef, 5);
	same($session, 'LIMIT by parameter', 'SELECT i FROM many ORDER BY i LIMIT $1 OFFSET $2', 3, 5);
	same($session, 'NULL as limit', 'SELECT i FROM many WHERE i < 9 ORDER BY i LIMIT $1', undef);
	same($session, 'a hundred parameters',
		'SELECT i, ' . join(', ', map { "\$$_\::int" } 1 .. 100) . ' FROM one', 1 .. 100);
	same($session, 'a huge parameter', 'SELECT length($1::text), md5($1::text), i FROM one', 'x' x 3_000_000);

	# by name, with custom and generic plans
	foreach my $mode (qw(auto force_custom_plan force_generic_plan))
	{
		$session->do("SET plan_cache_mode = $mode");
		$session->prepare("p_$mode", 'SELECT v, $2::text FROM many WHERE i = $1');
		foreach my $i (1 .. 7)
		{
			my $result = $session->run("p_$mode", $i, $i == 3 ? undef : "x$i");
			is_deeply($result->{rows}, [ [ "v $i", $i == 3 ? undef : "x$i" ] ], "$mode, execution $i: answer");
		}
		is(place($session), 'routed', "$mode: routed");
	}
	$session->do('PREPARE q(int, mood) AS SELECT v, $2 FROM many WHERE i = $1');
	is($session->text("EXECUTE q(5, 'sad')"), 'v 5|sad', 'EXECUTE');
	is(place($session), 'routed', 'EXECUTE: routed');
	like($session->text("EXPLAIN EXECUTE q(5, 'sad')"), $custom, 'EXPLAIN EXECUTE');

	# a portal read in pieces, left before its end, and what comes after
	$session->do('BEGIN');
	$session->send_parse('', 'SELECT i FROM many ORDER BY i');
	$session->send_bind('c', '');
	$session->send_fetch('c', 3);
	$session->send_fetch('c', 2);
	$session->sync;
	my @pieces = $session->finish;
	is_deeply([ map { scalar @{ $_->{rows} } } @pieces ], [ 3, 2 ], 'a portal in two pieces');
	is($pieces[1]{rows}[1][0], 5, '... goes on where it was');
	is($session->value('SELECT count(*) FROM many'), 5000, 'another read while it is open');
	is($session->value('SELECT v FROM many WHERE i = 2'), 'v 2', 'and one more');
	$session->send_fetch('c', 2);
	$session->sync;
	is($session->finish->{rows}[1][0], 7, '... and the portal goes on');
	$session->do('COMMIT');
	$session->do('BEGIN');
	$session->do('DECLARE a CURSOR FOR SELECT i FROM many ORDER BY i');
	$session->do('DECLARE b CURSOR FOR SELECT i FROM many ORDER BY i DESC');
	my @got;
	for (1 .. 3) { push @got, $session->value('FETCH a'), $session->value('FETCH b'); }
	is("@got", '1 5000 2 4999 3 4998', 'two cursors by turns');
	$session->do('CLOSE a');
	is($session->value('FETCH b'), 4997, '... one of them goes on alone');
	$session->do('COMMIT');
	$session->do('BEGIN');
	$session->do('DECLARE s SCROLL CURSOR FOR SELECT i FROM many ORDER BY i');
	$session->do('MOVE 10 FROM s');
	is($session->value('FETCH PRIOR FROM s'), 9, 'a cursor that scrolls');
	is($session->value('FETCH LAST FROM s'), 5000, '... to the end');
	is($session->value('FETCH FIRST FROM s'), 1, '... and back');
	$session->do('COMMIT');
	$session->do('BEGIN');
	$session->do('DECLARE h CURSOR WITH HOLD FOR SELECT i FROM many ORDER BY i');
	$session->do('FETCH h');
	$session->do('COMMIT');
	is($session->value('FETCH h'), 2, 'a cursor that is held');
	$session->do('CLOSE h');
	$session->do('BEGIN');
	$session->do('DECLARE d CURSOR FOR SELECT i FROM many ORDER BY i');
	$session->do('FETCH d');
	$session->do('SAVEPOINT s');
	$session->query('SELECT 1/0');
	$session->do('ROLLBACK TO s');
	is($session->value('FETCH d'), 2, 'a cursor over a subtransaction that failed');
	$session->do('ROLLBACK');
	is($session->value('SELECT count(*) FROM many'), 5000, 'after ROLLBACK with an open cursor');
	is(place($session), 'routed', '... still routed');

	# COPY and friends
	$session->do("SET consistency.routing = 'always'");
	my $copied = $session->query('COPY (SELECT * FROM many ORDER BY i) TO STDOUT');
	is(scalar @{ $copied->{rows} }, 5000, 'COPY (SELECT) TO STDOUT');
	is($copied->{rows}[1][0], "2\tv 2\t0.28571428571428571429", '... its rows');
	$session->do('CREATE TABLE made AS SELECT * FROM many');
	is($session->value('SELECT count(*) FROM made'), 5000, 'CREATE TABLE AS');
	$session->do('INSERT INTO made SELECT * FROM many WHERE i <= 10');
	is($session->value('SELECT count(*) FROM made'), 5010, 'INSERT SELECT');
	$session->do('DROP TABLE made');
	is($session->text('DO $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM many; IF n <> 5000 THEN RAISE; END IF; END $$'),
		'', 'a DO block');
}

# --- what stays ---------------------------------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	$session->do('CREATE TEMP TABLE temporary AS SELECT 1 AS i');
	settle($session);
	stays($session, 'volatile: random()', 'SELECT i, random() FROM one');
	stays($session, 'volatile: clock_timestamp()', 'SELECT i, clock_timestamp() FROM one');
	stays($session, 'volatile: in WHERE', 'SELECT i FROM one WHERE random() >= 0');
	stays($session, 'volatile: in ORDER BY', 'SELECT i FROM many ORDER BY random() LIMIT 1');
	stays($session, 'volatile: in a subquery', 'SELECT (SELECT random()) FROM one');
	stays($session, 'volatile: in a CTE', 'WITH c AS (SELECT random() AS r FROM one) SELECT r FROM c');
	stays($session, 'volatile: in a join', 'SELECT count(*) FROM one a JOIN one b ON a.i = b.i AND random() > -1');
	stays($session, 'volatile: in FROM', 'SELECT * FROM one, volatile_sum(3)');
	stays($session, 'volatile: in a view', 'SELECT * FROM volatile_view');
	stays($session, 'volatile: in HAVING', 'SELECT count(*) FROM one HAVING random() >= 0');
	stays($session, 'volatile: in a window', 'SELECT sum(i) OVER (ORDER BY random()) FROM one');
	stays($session, 'volatile: in VALUES', 'SELECT * FROM one, (VALUES (random())) v');
	stays($session, 'volatile: in LIMIT', 'SELECT i FROM one LIMIT 1 + (random() * 0)::int');
	stays($session, 'volatile: own function', 'SELECT volatile_sum(i) FROM one');
	stays($session, 'nextval', q{SELECT nextval('counter'), i FROM one});
	stays($session, 'setval', q{SELECT setval('counter', 5), i FROM one});
	stays($session, 'currval', q{SELECT currval('counter'), lastval(), i FROM one});
	stays($session, 'advisory locks', 'SELECT pg_advisory_xact_lock(1), i FROM one');
	stays($session, 'advisory locks, session', 'SELECT pg_try_advisory_lock(2), pg_advisory_unlock(2), i FROM one');
	stays($session, "FOR $_", "SELECT i FROM one FOR $_")
	  for ('UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE', 'UPDATE NOWAIT', 'UPDATE SKIP LOCKED');
	stays($session, 'a row lock in a subquery', 'SELECT * FROM (SELECT i FROM one FOR UPDATE) x');
	stays($session, 'a row lock in a CTE', 'WITH c AS (SELECT i FROM one FOR SHARE) SELECT * FROM c');
	stays($session, 'a CTE that inserts', 'WITH w AS (INSERT INTO empty VALUES (1) RETURNING i) SELECT i FROM w');
	stays($session, 'a CTE that updates', 'WITH w AS (UPDATE one SET i = i RETURNING i) SELECT * FROM w, many LIMIT 1');
	$session->do('DELETE FROM empty');
	settle($session);
	stays($session, 'a temporary table', 'SELECT t.i FROM temporary t JOIN one o USING (i)');
	stays($session, 'a temporary table in a subquery', 'SELECT i FROM one WHERE i IN (SELECT i FROM temporary)');
	$session->do('CREATE TEMP VIEW tempview AS SELECT i FROM one');
	settle($session);
	stays($session, 'a temporary view', 'SELECT * FROM tempview');
	$session->do(q{CREATE FUNCTION pg_temp.f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'});
	$session->do('CREATE TYPE pg_temp.tt AS (x int)');
	settle($session);
	stays($session, 'a temporary function', 'SELECT pg_temp.f(), i FROM one');
	stays($session, 'a temporary type', 'SELECT ROW(1)::pg_temp.tt, i FROM one');
	# a temporary table that hides a permanent one
	is($session->value('SELECT i FROM "My Schema".one'), 77, 'a name of another schema');
	$session->do('CREATE TEMP TABLE many (i int)');
	settle($session);
	is($session->value('SELECT count(*) FROM many'), 0, 'a temporary table hides a permanent one');
	is($session->value('SELECT count(*) FROM public.many'), 5000, '... which is there under its full name');
	$session->do('DROP TABLE pg_temp.many');
	settle($session);
	stays($session, 'an unlogged table', 'SELECT count(*) FROM unlogged');
	stays($session, 'an unlogged table in a join', 'SELECT * FROM one LEFT JOIN unlogged USING (i)');
	stays($session, 'a foreign table', 'SELECT sum(i) FROM filed');
	stays($session, 'a foreign table in a subquery', 'SELECT i FROM one WHERE i IN (SELECT i FROM filed)');
	stays($session, "statistics: $_", "SELECT count(*) FROM $_")
	  for qw(pg_stat_activity pg_stat_user_tables pg_locks pg_stat_database pg_stat_replication pg_settings
	  pg_prepared_statements pg_cursors pg_stat_bgwriter pg_stat_wal pg_prepared_xacts pg_replication_slots
	  pg_stat_ssl);
	stays($session, "a function of this server: $_", "SELECT $_, i FROM one")
	  for ('pg_is_in_recovery()', 'pg_current_wal_lsn()', 'pg_current_xact_id_if_assigned()',
		'pg_current_snapshot()', 'pg_my_temp_schema()', 'pg_listening_channels()', 'pg_trigger_depth()',
		'consistency.token()', 'pg_blocking_pids(1)',
		'pg_stat_get_numscans(0)', 'txid_current_if_assigned()', 'pg_xact_status(pg_current_xact_id())');
	# those without columns are evaluated here and sent along
	same($session, "evaluated here: $_", "SELECT $_, i FROM one WHERE $_ IS NOT NULL")
	  for ('pg_backend_pid()', 'inet_server_port()', 'inet_client_port()', 'pg_postmaster_start_time()',
		'pg_conf_load_time()', q{current_setting('port')}, q{current_setting('transaction_read_only')},
		q{current_setting('cluster_name')});
	is($session->value('SELECT nextval(\'counter\')'), 6, 'a sequence goes on');
	is($session->value('SELECT last_value FROM counter'), 6, 'a sequence as a relation shows the same');
	stays($session, 'no table at all, volatile', 'SELECT clock_timestamp()');
	stays($session, 'set_config in a query', q{SELECT set_config('app.tenant', 'zz', false), i FROM one});
	is($session->value('SHOW app.tenant'), 'zz', '... takes effect here');
	stays($session, 'pg_notify', q{SELECT pg_notify('c', 'x'), i FROM one});
	stays($session, 'large objects', 'SELECT lo_creat(-1), i FROM one');
	stays($session, 'dropped and made again in one transaction',
		'BEGIN; DROP TABLE empty; CREATE TABLE empty (i int, t text); SELECT count(*) FROM empty');
	stays($session, 'SERIALIZABLE', 'BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT i FROM one');
	stays($session, 'WHERE CURRENT OF', 'BEGIN; DECLARE c CURSOR FOR SELECT i FROM one FOR UPDATE; FETCH c; UPDATE one SET i = i WHERE CURRENT OF c');
	settle($session);
	is($session->value('SELECT i FROM one'), 1, 'and what may leave, leaves again');
	is(place($session), 'routed', '... to a replica');
}

# --- what is part of another statement stays with it --------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	# replicas wait: who reads there misses the row
	$session->do("SET consistency = 'eventual'");
	$cluster->pause($_) for qw(near far);
	$app->do('CREATE TABLE checked (i int)');
	$app->do('INSERT INTO one VALUES (2)');
	$app->do(q{CREATE FUNCTION check_it() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM 1 FROM one WHERE i = NEW.i; IF NOT FOUND THEN RAISE 'missing'; END IF; RETURN NEW; END $$});
	$app->do('CREATE TRIGGER check_it BEFORE INSERT ON checked FOR EACH ROW EXECUTE FUNCTION check_it()');
	$session->send_query('COPY checked FROM STDIN');
	$session->read_until('G');
	$session->send_copy(2);
	is($session->finish->{error}, undef, 'a trigger of COPY FROM reads at the primary');
	is($session->query('INSERT INTO checked VALUES (2)')->{error}, undef, '... and so it does of INSERT');

	# a statement whose plan may leave, run by a function
	$session->do('PREPARE inside AS SELECT max(i) FROM one');
	is($session->value('EXECUTE inside'), 1, 'EXECUTE under eventual: at a replica');
	$app->do(q{CREATE FUNCTION execute_it() RETURNS int LANGUAGE plpgsql AS
		$$ DECLARE r int; BEGIN EXECUTE 'EXECUTE inside' INTO r; RETURN r; END $$});
	is($session->value('SELECT execute_it()'), 2, '... by a function: at the primary');
	$app->do(q{CREATE FUNCTION largest() RETURNS int LANGUAGE plpgsql STABLE AS
		$$ DECLARE r int := 0; s record; BEGIN FOR s IN SELECT i FROM one LOOP r := greatest(r, s.i); END LOOP; RETURN r; END $$});
	is($session->text('SELECT k FROM part WHERE k = largest() AND random() >= 0'),
		'2', 'a function that finds the partition reads at the primary');
	$cluster->resume($_) for qw(near far);
	$app->do('DELETE FROM one WHERE i = 2');
	$cluster->wait_replayed;
}

# --- the same in other respects -----------------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	# cursors scroll where the plan can, unless told otherwise
	$session->do('BEGIN');
	$session->do('DECLARE c CURSOR FOR SELECT i FROM many ORDER BY i');
	$session->do('FETCH 2 FROM c');
	is($session->value('FETCH PRIOR FROM c'), 1, 'a cursor scrolls as it does without routing');
	is($session->value('FETCH FIRST FROM c'), 1, '... and rewinds');
	$session->do('COMMIT');

	# times that are read from literals
	$session->do('BEGIN');
	$session->do('SELECT 1');
	is($session->value(q{SELECT 'now'::timestamptz FROM one}), $session->value('SELECT now()'),
		q{'now' is the time of the transaction});
	$session->do('COMMIT');

	# what was an application's setting once, is empty
	$session->do('BEGIN');
	$session->do(q{SET LOCAL app.gone = 'x'});
	$session->do('COMMIT');
	same($session, 'a setting of a transaction that is over', q{SELECT current_setting('app.gone', true) IS NULL, i FROM one});
	$session->do(q{SET app.fleeting = 'x'});
	$session->do('RESET app.fleeting');
	same($session, 'a setting that was reset', q{SELECT current_setting('app.fleeting', true) IS NULL, i FROM one});

	# errors of what no row asks for
	is($session->query(q{SELECT CASE WHEN i > 5 THEN current_setting('none_such') END FROM one})->{error},
		undef, 'a setting that does not exist and is not asked for');

	# names of temporary tables
	$session->do('CREATE TEMP TABLE many (i int)');
	settle($session);
	is($session->value(q{SELECT 'many'::regclass = 'public.many'::regclass FROM one}),
		'f', q{a temporary table's name is its own});
	$session->do('DROP TABLE pg_temp.many');
}

# --- transactions -------------------------------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	# time stands still
	$session->do('BEGIN');
	my $now = $session->value('SELECT now()');
	foreach my $clock ('now()', 'CURRENT_TIMESTAMP', 'transaction_timestamp()')
	{
		is($session->value("SELECT $clock FROM one"), $now, "$clock is that of the transaction");
	}
	is($session->value('SELECT CURRENT_DATE = now()::date AND LOCALTIMESTAMP = now()::timestamp FROM one'),
		't', 'all clocks agree');
	$session->do('COMMIT');
	my $both = $session->row('SELECT now() = statement_timestamp() AS same FROM one');
	is($both->{same}, 't', 'outside of a transaction both are one');
	$session->do('BEGIN');
	$session->do('SELECT 1');
	$now = $session->value('SELECT now()');
	is($session->value('SELECT now() FROM one'), $now, 'again');
	$session->do(q{INSERT INTO empty VALUES (1, 'mine')});
	is($session->value('SELECT now() FROM empty'), $now, 'and after a write');
	$session->do('ROLLBACK');

	# after the first write all reads of the transaction stay
	settle($session);
	$session->do('BEGIN');
	$session->do('SELECT i FROM one');
	is(place($session), 'routed', 'a transaction: the first read leaves');
	$session->do(q{INSERT INTO empty VALUES (1, 'mine')});
	is($session->text('SELECT * FROM empty'), '1|mine', 'own uncommitted write: seen');
	isnt(place($session), 'routed', '... at the primary');
	$session->do('SELECT i FROM one');
	isnt(place($session), 'routed', 'every other read of it too');
	$session->do('SAVEPOINT s');
	$session->do(q{INSERT INTO empty VALUES (2, 'mine')});
	$session->do('ROLLBACK TO s');
	is($session->text('SELECT * FROM empty'), '1|mine', 'a savepoint taken back: not seen');
	$session->do('COMMIT');
	is($session->text('SELECT * FROM empty'), '1|mine', 'committed: seen, wherever it is read');
	$session->do('DELETE FROM empty');
	is($session->text('SELECT * FROM empty'), '', 'deleted: not seen');

	# a write in a savepoint that is taken back
	settle($session);
	$session->do('BEGIN');
	$session->do('SAVEPOINT s');
	$session->do(q{INSERT INTO empty VALUES (3, 'never')});
	$session->do('ROLLBACK TO s');
	is($session->text('SELECT * FROM empty'), '', 'a savepoint taken back before any read');
	$session->do('COMMIT');
	# writes by DDL, COPY, functions
	$session->do('BEGIN');
	$session->do('CREATE TABLE in_transaction AS SELECT 1 AS i');
	is($session->value('SELECT i FROM in_transaction'), 1, 'DDL in the same transaction: seen');
	$session->do('ROLLBACK');
	$session->do('BEGIN');
	$session->send_query('COPY empty FROM STDIN');
	$session->read_until('G');
	$session->send_copy("9\tcopied");
	$session->finish;
	is($session->text('SELECT * FROM empty'), '9|copied', 'COPY in the same transaction: seen');
	$session->do('ROLLBACK');

	# 50 times: write, commit, read: never stale
	my $bad = 0;
	foreach my $i (1 .. 50)
	{
		$session->do("INSERT INTO empty VALUES ($i, 'x')");
		$bad++ if $session->value('SELECT max(i) FROM empty') != $i;
	}
	is($bad, 0, 'a read behind an own commit is never stale');

	# REPEATABLE READ: one snapshot, so one node
	settle($session);
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $count = $session->value('SELECT count(*) FROM empty');
	$dba->do(q{INSERT INTO empty VALUES (1000, 'theirs')});
	$cluster->wait_replayed;
	is($session->value('SELECT count(*) FROM empty'), $count, 'REPEATABLE READ: repeated');
	is($session->value('SELECT count(*) FROM empty'), $count, '... and again');
	$session->do(q{INSERT INTO one SELECT 1 WHERE false});
	is($session->value('SELECT count(*) FROM empty'), $count, '... and after a write of nothing');
	$session->do('COMMIT');
	is($session->value('SELECT count(*) FROM empty'), $count + 1, '... not beyond the transaction');
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$session->do(q{INSERT INTO empty VALUES (1001, 'mine')});
	is($session->value('SELECT count(*) FROM empty'), $count + 2, 'REPEATABLE READ: own write seen');
	$session->do('ROLLBACK');
	$session->do('BEGIN READ ONLY');
	is($session->value('SELECT count(*) FROM empty'), $count + 1, 'READ ONLY');
	$session->do('COMMIT');
	$session->do('DELETE FROM empty');
}

# --- errors are the local ones ------------------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	foreach my $sql (
		'SELECT 1 / (i - 1) FROM one',
		q{SELECT v::int FROM many ORDER BY i},
		q{SELECT ('x' || i)::numeric FROM one},
		'SELECT (i - 2)::posint FROM one',
		q{SELECT (SELECT i FROM many WHERE i < 3) FROM one},
		q{SELECT CASE WHEN i < 4000 THEN i ELSE 1 / (i - i) END FROM many ORDER BY i})
	{
		$session->do("SET consistency.routing = 'off'");
		my $local = $session->error($sql);
		$session->do("SET consistency.routing = 'always'");
		my $routed = $session->error($sql);
		is($routed->{code}, $local->{code}, "error of the same class: $sql");
		is($routed->{message}, $local->{message}, "error of the same words: $sql");
		is($session->status, 'I', '... and the session is fit for more');
		is($session->value('SELECT count(*) FROM many'), 5000, '... as the next read shows');
	}
	# in a transaction, with a savepoint
	$session->do('BEGIN');
	$session->do('SAVEPOINT s');
	is($session->error('SELECT 1 / (i - 1) FROM one')->{code}, '22012', 'an error in a transaction');
	is($session->status, 'E', '... fails the transaction');
	$session->do('ROLLBACK TO s');
	is($session->value('SELECT count(*) FROM many'), 5000, '... but not what was before the savepoint');
	$session->do('COMMIT');
	is( $session->value(q{SELECT count(*) FROM many WHERE i < 10}), 9, 'and after it');
	# in PL/pgSQL
	$session->do(q{DO $$ BEGIN PERFORM 1 / (i - 1) FROM one; EXCEPTION WHEN division_by_zero THEN NULL; END $$});
	pass('an exception block');
	# warnings and notices from there arrive
	$session->do(q{CREATE FUNCTION noisy(i int) RETURNS int LANGUAGE plpgsql STABLE
		AS $$ BEGIN RAISE NOTICE 'heard %', i; RETURN i; END $$});
	settle($session);
	my $result = $session->query('SELECT noisy(i) FROM one');
	is($result->{rows}[0][0], 1, 'a function with a notice');
	is(join(',', map { $_->{message} } @{ $result->{notices} }), 'heard 1', 'notices arrive, once');
}

# --- a generic plan outlives all this -----------------------------------

{
	my $session = $cluster->connect('primary');
	settle($session);
	$session->do('SET plan_cache_mode = force_generic_plan');
	$session->prepare('g', 'SELECT v FROM many WHERE i = $1');
	my $run = sub {
		my ($place, $what) = @_;
		my $result = $session->run('g', 5);
		is($result->{error} ? $result->{error}{message} : $result->{rows}[0][0], 'v 5', "generic plan, $what: answer");
		my $got = place($session);
		if ($place eq 'local') { isnt($got, 'routed', "generic plan, $what: at the primary"); }
		else { is($got, $place, "generic plan, $what: $place"); }
	};
	$run->('routed', 'as made');
	$session->do("SET consistency = 'linearizable'");
	$run->('local', 'level raised');
	$session->do("SET consistency = 'eventual'");
	$run->('routed', 'level lowered');
	$session->do('RESET consistency');
	$run->('routed', 'level as before');
	$session->do("SET consistency.routing = 'off'");
	$run->('local', 'routing off');
	$session->do("SET consistency.routing = 'always'");
	$run->('routed', 'routing on');
	$session->do('BEGIN');
	$session->do('INSERT INTO empty VALUES (1)');
	$run->('local', 'after a write in the transaction');
	$session->do('ROLLBACK');
	$run->('routed', 'after it');
	# a replica dies: the other one serves
	$cluster->node('near')->stop('immediate');
	$run->('routed', "one replica dead ($_)") for 1 .. 3;
	# and the other, too
	$cluster->node('far')->stop('immediate');
	$run->('local', 'both replicas dead');
	$cluster->node($_)->start for qw(near far);
	$cluster->wait_all_up('primary');
	wait_until(sub { $session->run('g', 5); place($session) eq 'routed' }, 'routed again');
	$run->('routed', 'both replicas back');
	# nodes dropped under it
	$dba->do('DROP SERVER near CASCADE');
	$run->('routed', "one node dropped ($_)") for 1 .. 3;
	is($session->{last}{node}, 'far', '... the other serves');
	$dba->do('DROP SERVER far CASCADE');
	$run->('local', 'all nodes dropped');
	# declared again
	$dba->do($cluster->server_sql($_, 'postgres')) for qw(near far);
	$cluster->wait_all_up('primary');
	settle($session);
	$run->('routed', 'nodes declared again');
	# the table changed under it
	$app->do('ALTER TABLE many ALTER COLUMN n TYPE numeric(20, 10)');
	settle($session);
	$run->('routed', 'after ALTER TABLE');
	# the extension dropped under it, while it has a plan that may leave
	$dba->do('DROP EXTENSION consistency CASCADE');
	my $result = $session->run('g', 5);
	is($result->{error} ? $result->{error}{message} : $result->{rows}[0][0],
		'v 5', 'generic plan, extension dropped: answer');
	$dba->do('CREATE EXTENSION consistency');
	$dba->do($cluster->server_sql($_, 'postgres')) for $cluster->names;
	$cluster->wait_all_up;
	settle($session);
	$run->('routed', 'extension created again');
}

# --- everyday SQL, with everything leaving that can ---------------------

{
	my $connstr = $cluster->primary->connstr('postgres') . " user=app password='app secret'";
	local $ENV{PGOPTIONS} = '-c consistency.routing=always';
	is(everyday($cluster->primary, connstr => $connstr, explain => 0),
		$expected, 'everyday SQL gives what a plain server gives');
	# without synchronous standbys linearizable warns: that is no answer
	my $quiet = '-c client_min_messages=error -c consistency.routing';
	local $ENV{PGOPTIONS} = "$quiet=off";
	my $silent = everyday($cluster->primary, connstr => $connstr, explain => 0);
	foreach my $level (qw(linearizable sequential causal bounded))
	{
		local $ENV{PGOPTIONS} = "$quiet=always -c consistency=$level"
		  . ' -c consistency.bounded_keeps_session=on';
		is(everyday($cluster->primary, connstr => $connstr, explain => 0),
			$silent, "... and so it does under $level");
	}
}

done_testing();
