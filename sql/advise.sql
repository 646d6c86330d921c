--
-- What this server's statistics speak for: consistency.advise().
--
-- Reads and writes here are real ones; lag, statements and replicas are in
-- test/t/056_advise.t.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;
SET enable_indexscan = off;
SET enable_bitmapscan = off;

-- scans of a table and rows written to it, so many of each
CREATE FUNCTION advise_use(t regclass, reads int, writes int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1..reads LOOP
        EXECUTE format('SELECT FROM %s LIMIT 1', t);
    END LOOP;
    EXECUTE format('INSERT INTO %s SELECT g FROM generate_series(1, %s) g', t, writes);
    PERFORM pg_stat_force_next_flush();
END $$;
-- without what time and the load of others make of it
CREATE FUNCTION advise_rows(t regclass,
        OUT finding text, OUT level_now text, OUT level_advised text, OUT expected_cost text,
        OUT statement text, OUT reason text)
    RETURNS SETOF record LANGUAGE sql AS $$
    SELECT a.finding, a.level_now, a.level_advised, regexp_replace(a.expected_cost, '[0-9.]+/s', 'N/s', 'g'),
           a.statement, a.reason
      FROM consistency.advise() a WHERE a.relation IS NOT DISTINCT FROM t;
$$;

CREATE TABLE advise_test (i int);
CREATE TABLE advise_other (i int);

-- too few reads to say anything
SELECT advise_use('advise_test', 999, 1);
SELECT reads, writes, refers_to, since < now() AS since FROM consistency.table_facts()
 WHERE relation = 'advise_test'::regclass;
SELECT consistency.set_policy('advise_test', 'linearizable');
SELECT * FROM advise_rows('advise_test');
-- one more
SELECT advise_use('advise_test', 1, 19);
\x on
SELECT * FROM advise_rows('advise_test');
-- the statement does it
SELECT statement FROM advise_rows('advise_test') \gset
:statement
SELECT * FROM advise_rows('advise_test');
SELECT kind, level FROM consistency.policies WHERE relation = 'advise_test'::regclass;

-- no more writes to few reads: linearizable may be what it takes
SELECT consistency.set_policy('advise_test', 'linearizable');
SELECT advise_use('advise_test', 0, 100);
SELECT * FROM advise_rows('advise_test');

-- bounds
SELECT consistency.set_policy('advise_test', 'bounded', max_staleness => '250 ms', on_timeout => 'error');
SELECT * FROM advise_rows('advise_test');
SELECT statement FROM advise_rows('advise_test') \gset
:statement
SELECT * FROM advise_rows('advise_test');
SELECT consistency.set_policy('advise_test', 'bounded', max_lag => 8192);
SELECT * FROM advise_rows('advise_test');
SELECT consistency.set_policy('advise_test', 'bounded', max_staleness => '1 s');
SELECT * FROM advise_rows('advise_test');
-- that of the session is the session's business
SELECT consistency.set_policy('advise_test', 'bounded', 'default');
SET consistency.max_staleness = '10ms';
SELECT finding, level_now, statement FROM advise_rows('advise_test');
RESET consistency.max_staleness;
SELECT * FROM advise_rows('advise_test');

-- below session
SELECT consistency.set_policy('advise_test', 'eventual', 'default');
SELECT * FROM advise_rows('advise_test');
-- a minimum isn't what readers get
SELECT consistency.set_policy('advise_test', 'eventual');
SELECT * FROM advise_rows('advise_test');
SET consistency.default_level = 'weak';
SELECT level_now, level_advised, statement FROM advise_rows('advise_test');
RESET consistency.default_level;
SELECT consistency.drop_policy('advise_test');

-- weaker than what it refers to; counts don't matter
CREATE TABLE advise_parent (i int PRIMARY KEY);
CREATE TABLE advise_child (i int REFERENCES advise_parent, up int);
SELECT * FROM advise_rows('advise_child');
SELECT consistency.set_policy('advise_child', 'weak', 'default');
SELECT * FROM advise_rows('advise_child');
SELECT consistency.set_policy('advise_parent', 'eventual', 'default');
SELECT * FROM advise_rows('advise_child');
SELECT consistency.set_policy('advise_parent', 'causal');
SELECT finding, reason FROM advise_rows('advise_child');
SELECT consistency.set_policy('advise_child', 'session');
SELECT * FROM advise_rows('advise_child');
-- itself doesn't count
CREATE TABLE advise_tree (i int PRIMARY KEY, up int REFERENCES advise_tree);
SELECT consistency.set_policy('advise_tree', 'weak', 'default');
SELECT * FROM advise_rows('advise_tree');

-- partitions are one table; the policy that decides is the one to change
CREATE TABLE advise_parted (i int) PARTITION BY RANGE (i);
CREATE TABLE advise_part1 PARTITION OF advise_parted FOR VALUES FROM (0) TO (50);
CREATE TABLE advise_part2 PARTITION OF advise_parted DEFAULT;
CREATE TABLE "Advise heir" () INHERITS (advise_other);
SELECT advise_use('advise_parted', 0, 60);
SELECT advise_use('advise_part1', 600, 0);
SELECT advise_use('advise_part2', 500, 0);
SELECT advise_use('"Advise heir"', 1000, 0);
SELECT relation, reads, writes FROM consistency.table_facts() WHERE relation::text LIKE 'advise\_part%';
SELECT consistency.set_policy('advise_parted', 'linearizable');
SELECT consistency.set_policy('advise_other', 'strong', on_timeout => 'error');
SELECT relation, statement FROM consistency.advise() WHERE relation::text ~ 'advise_part|heir'
 ORDER BY relation::text COLLATE "C";

-- roles and databases
CREATE ROLE "regress advise";
SELECT current_database() AS database \gset
ALTER ROLE "regress advise" SET consistency = 'strong';
ALTER ROLE "regress advise" IN DATABASE :"database" SET consistency = 'bounded';
ALTER ROLE "regress advise" IN DATABASE :"database" SET consistency.max_staleness = '0.1 s';
SELECT replace(finding, :'database', 'here') AS finding, level_now, level_advised, expected_cost,
       replace(statement, :'database', 'here') AS statement, reason
  FROM advise_rows(NULL) WHERE finding ~ 'regress advise';
ALTER ROLE "regress advise" RESET ALL;
ALTER ROLE "regress advise" IN DATABASE :"database" RESET ALL;
ALTER ROLE "regress advise" SET consistency.minimum_level = 'linearizable';
SELECT finding, level_now, level_advised, statement FROM advise_rows(NULL) WHERE finding ~ 'regress advise';
ALTER ROLE "regress advise" SET consistency = 'weak';
SELECT finding, level_now, level_advised, statement FROM advise_rows(NULL) WHERE finding ~ 'regress advise';
ALTER ROLE "regress advise" RESET consistency.minimum_level;
-- whether a role writes only pg_stat_statements could tell
SELECT * FROM advise_rows(NULL) WHERE finding ~ 'regress advise';
ALTER ROLE "regress advise" RESET ALL;
ALTER DATABASE :"database" SET consistency = 'eventual';
SELECT replace(finding, :'database', 'here') AS finding, level_now, level_advised,
       replace(statement, :'database', 'here') AS statement, reason
  FROM advise_rows(NULL);
ALTER DATABASE :"database" SET consistency = 'linearizable';
SELECT replace(finding, :'database', 'here') AS finding, level_now, level_advised,
       replace(statement, :'database', 'here') AS statement, reason
  FROM advise_rows(NULL);
ALTER DATABASE :"database" SET consistency = 'session';
SELECT * FROM advise_rows(NULL);
ALTER DATABASE :"database" RESET consistency;

-- who may not see all gets what may be seen
SELECT consistency.set_policy('advise_test', 'linearizable');
SELECT advise_use('advise_test', 2000, 0);
SET ROLE "regress advise";
SELECT count(*) FROM consistency.table_facts() WHERE relation::text ~ 'advise';
SELECT relation, finding, expected_cost, statement FROM consistency.advise();
RESET ROLE;
GRANT SELECT (i) ON advise_test TO "regress advise";
SET ROLE "regress advise";
SELECT relation, finding, regexp_replace(expected_cost, '[0-9.]+/s', 'N/s') AS expected_cost FROM consistency.advise();
RESET ROLE;
GRANT pg_monitor TO "regress advise";
SET ROLE "regress advise";
SELECT count(*) FROM consistency.advise() WHERE relation::text ~ 'advise_part';
SELECT count(*) FROM consistency.advise() WHERE finding ~ 'not shown';
RESET ROLE;

-- in whatever path; what others put there doesn't count
CREATE SCHEMA advise_trap;
CREATE FUNCTION advise_trap.count(bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
CREATE FUNCTION advise_trap.eq("char", text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trap'; END $$;
CREATE OPERATOR advise_trap.= (LEFTARG = "char", RIGHTARG = text, FUNCTION = advise_trap.eq);
CREATE TABLE advise_trap.pg_class (oid oid);
CREATE VIEW advise_trap.nodes AS SELECT 1;
SET search_path = advise_trap, pg_catalog, public;
SELECT count(*) > 0 FROM consistency.advise();
SET search_path = '';
SELECT relation, statement FROM consistency.advise() WHERE relation = 'public.advise_test'::regclass;
RESET search_path;

\x off
DROP SCHEMA advise_trap CASCADE;
DROP TABLE advise_test, advise_other, advise_child, advise_parent, advise_tree, advise_parted, "Advise heir";
DROP FUNCTION advise_use, advise_rows;
DROP ROLE "regress advise";
