-- What reads were promised and where they were answered: stat_reads, stat_tables,
-- violations, on a server by itself.
CREATE TABLE statistics_test (x int);
INSERT INTO statistics_test SELECT generate_series(1, 10);
CREATE TABLE statistics_policed (x int);
INSERT INTO statistics_policed VALUES (1), (2);
SELECT consistency.set_policy('statistics_policed', 'causal');
CREATE VIEW shown AS
    SELECT level, place, reads, rows, total_time > 0 AS took_time, waits, wait_p99, timeouts, retries, fallbacks
      FROM consistency.stat_reads WHERE datname = current_database();

SELECT consistency.stat_reset();
SELECT * FROM statistics_test WHERE x < 4;
SELECT count(*) FROM statistics_test;
SET consistency = 'eventual';
SELECT count(*) FROM statistics_test;
SELECT count(*) FROM statistics_policed;
RESET consistency;
-- neither what writes, nor what is about the server, nor what a function runs; but
-- each statement of a DO block
INSERT INTO statistics_test VALUES (11);
SELECT 1;
SELECT count(*) > 0 FROM consistency.stat_reads;
DO $$ BEGIN PERFORM count(*) FROM statistics_test; END $$;
CREATE FUNCTION statistics_count() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM statistics_test); END';
SELECT statistics_count();
EXPLAIN (COSTS OFF) SELECT * FROM statistics_test;
SELECT * FROM shown ORDER BY level;
SELECT relation, level, reads, decided, local, refused, wait_time, timeouts FROM consistency.stat_tables
 WHERE relation = 'statistics_policed'::regclass;

-- other ways to read; a cursor is one read, whatever its portions
SELECT consistency.stat_reset();
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM statistics_test;
FETCH 2 FROM c;
SELECT count(*) FROM statistics_policed;
FETCH 3 FROM c;
COMMIT;
PREPARE p AS SELECT x FROM statistics_test WHERE x = $1;
EXECUTE p(1);
EXECUTE p(2);
COPY (SELECT x FROM statistics_test WHERE x = 1) TO stdout;
COPY statistics_policed TO stdout;
SELECT * FROM shown ORDER BY level;

-- a promise that can't be kept
SELECT consistency.stat_reset();
SET consistency = 'linearizable';
SET consistency.require_leader_fence = on;
SELECT count(*) FROM statistics_policed;
SET consistency.require_leader_fence = off;
SELECT count(*) FROM statistics_policed;
SELECT count(*) FROM statistics_policed;
RESET consistency;
SET consistency.token = 'nonsense';
SET consistency.token = '1:1:0/1';
SELECT * FROM shown ORDER BY place;
SELECT relation, reads, local, refused, decided FROM consistency.stat_tables
 WHERE relation = 'statistics_policed'::regclass;
SELECT kind, count, last > now() - interval '1 hour' AS lately FROM consistency.stat_violations ORDER BY kind;
SELECT kind, datname = current_database() AS here, rolname = current_user AS mine, pid = pg_backend_pid() AS me,
       application_name, detail
  FROM consistency.violations ORDER BY time;

-- counting can be switched off
SELECT consistency.stat_reset();
SET consistency.track_reads = off;
SELECT count(*) FROM statistics_test;
SELECT * FROM shown;
RESET consistency.track_reads;

-- what is wrong is an error, and no read
SELECT 1 / (x - 1) FROM statistics_test;
SELECT * FROM shown;

-- what reads data wherever in a statement it hides: each of these is a read
CREATE FUNCTION statistics_reader(int) RETURNS int LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN (SELECT x FROM statistics_test WHERE x = $1); END';
CREATE FUNCTION statistics_add(int, int) RETURNS int LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN $1 + (SELECT x FROM statistics_test WHERE x = $2); END';
CREATE AGGREGATE statistics_sum(int) (SFUNC = statistics_add, STYPE = int, INITCOND = '0');
CREATE DOMAIN statistics_known AS int CHECK (statistics_reader(value) IS NOT NULL);
SELECT consistency.stat_reset();
SELECT v FROM (VALUES (statistics_reader(1)), (statistics_reader(2))) AS given (v);
SELECT statistics_sum(g) FROM generate_series(1, 3) g;
SELECT statistics_sum(g) OVER () FROM generate_series(1, 2) g;
SELECT count(*) OVER (ORDER BY g ROWS statistics_reader(1) PRECEDING) FROM generate_series(1, 3) g;
SELECT 3::statistics_known;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT a FROM generate_series(1, 3) a JOIN generate_series(2, 4) b ON statistics_reader(a) = b ORDER BY a;
RESET enable_mergejoin;
SET enable_hashjoin = off;
SELECT a FROM generate_series(1, 3) a JOIN generate_series(2, 4) b ON statistics_reader(a) = b ORDER BY a;
RESET enable_hashjoin;
RESET enable_nestloop;
SELECT * FROM shown;
-- these are none
SELECT consistency.stat_reset();
SELECT v FROM (VALUES (1), (2)) AS given (v);
SELECT sum(g), array_agg(g) FROM generate_series(1, 3) g;
SELECT count(*) > 0 FROM consistency.stat_nodes a JOIN consistency.stat_nodes b ON a.name = b.name;
SELECT * FROM shown;
DROP FUNCTION statistics_reader(int) CASCADE;
DROP FUNCTION statistics_add(int, int) CASCADE;

-- the buckets
SELECT array_length(b, 1), b[1:9], b[72] FROM consistency.wait_bounds() AS b;

-- of those of a table, only its policy's are kept
SELECT consistency.drop_policy('statistics_policed');
SELECT count(*) FROM consistency.stat_tables;
SELECT consistency.stat_reset();
DROP VIEW shown;
DROP FUNCTION statistics_count();
DROP TABLE statistics_test, statistics_policed;
