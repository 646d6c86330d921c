--
-- Which level a use of the data calls for: consistency.recommend().
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- nothing said
SELECT level, max_staleness, reasons, statement FROM consistency.recommend();

-- The decision, as docs/choosing.md shows it: each row tries one branch.
CREATE TEMP TABLE situation (
    id int, expected text, critical bool DEFAULT false, stale_read text DEFAULT 'confusing', busy bool DEFAULT false,
    distant bool DEFAULT false, own_writes bool DEFAULT false, backwards bool DEFAULT false,
    collaboration text DEFAULT 'none', max_age interval);
INSERT INTO situation (id, expected, critical) VALUES (1, 'linearizable', true);
INSERT INTO situation (id, expected, critical, busy) VALUES (2, 'bounded', true, true);
INSERT INTO situation (id, expected, critical, collaboration, stale_read, own_writes) VALUES (3, 'linearizable', true, 'total', 'costly', true);
INSERT INTO situation (id, expected, critical, distant) VALUES (4, 'linearizable', true, true);
INSERT INTO situation (id, expected, collaboration) VALUES (5, 'sequential', 'total');
INSERT INTO situation (id, expected, collaboration, own_writes) VALUES (6, 'causal', 'causal', true);
INSERT INTO situation (id, expected, collaboration, max_age) VALUES (7, 'causal', 'causal', '1 min');
INSERT INTO situation (id, expected, collaboration, stale_read) VALUES (8, 'sequential', 'total', 'costly');
INSERT INTO situation (id, expected, stale_read) VALUES (9, 'bounded', 'costly');
INSERT INTO situation (id, expected, stale_read, max_age) VALUES (10, 'bounded', 'costly', '1.5 s');
INSERT INTO situation (id, expected, max_age) VALUES (11, 'bounded', '30 s');
INSERT INTO situation (id, expected, max_age, own_writes) VALUES (12, 'bounded', '30 s', true);
INSERT INTO situation (id, expected, max_age, backwards) VALUES (13, 'bounded', '0', true);
INSERT INTO situation (id, expected, own_writes) VALUES (14, 'session', true);
INSERT INTO situation (id, expected, backwards) VALUES (15, 'session', true);
INSERT INTO situation (id, expected, own_writes, backwards, busy) VALUES (16, 'session', true, true, true);
INSERT INTO situation (id, expected) VALUES (17, 'eventual');
INSERT INTO situation (id, expected, stale_read) VALUES (18, 'eventual', 'harmless');
INSERT INTO situation (id, expected, busy) VALUES (19, 'eventual', true);
INSERT INTO situation (id, expected, stale_read, busy) VALUES (20, 'weak', 'harmless', true);
INSERT INTO situation (id, expected, stale_read, distant) VALUES (21, 'weak', 'harmless', true);
INSERT INTO situation (id, expected, max_age, busy, distant) VALUES (22, 'bounded', '1 day', true, true);
CREATE TEMP VIEW answer AS
    SELECT s.id, s.expected, r.*
      FROM situation s,
           LATERAL consistency.recommend(
               critical => s.critical, stale_read => s.stale_read,
               reads_per_second => CASE WHEN s.busy THEN 20000 ELSE 100 END, primary_serves => 10000,
               distant => s.distant, own_writes => s.own_writes, backwards => s.backwards,
               collaboration => s.collaboration, max_age => s.max_age) r;
SELECT id, level, max_staleness, statement FROM answer ORDER BY id;
SELECT id, expected, level FROM answer WHERE level <> expected;
SELECT id, reason FROM answer, unnest(reasons) WITH ORDINALITY AS u (reason, n) ORDER BY id, n;

-- every level can be had, and each says what it costs
SELECT level, min(cost) AS cost, count(DISTINCT cost) FROM answer GROUP BY level ORDER BY level COLLATE "C";

-- for a table, for a role; each statement does what it says
CREATE SCHEMA "Recommend it";
CREATE TABLE "Recommend it"."it's" (i int);
CREATE ROLE "regress Recommended";
CREATE TEMP VIEW for_table AS
    SELECT s.id, r.level, r.statement
      FROM situation s,
           LATERAL consistency.recommend(
               s.critical, s.stale_read, CASE WHEN s.busy THEN 2 ELSE 1 END, 1, s.distant, s.own_writes,
               s.backwards, s.collaboration, s.max_age, relation => '"Recommend it"."it''s"') r;
SELECT id, statement FROM for_table ORDER BY id;
DO $$
DECLARE r record; p record;
BEGIN
    FOR r IN SELECT * FROM for_table ORDER BY id LOOP
        EXECUTE r.statement;
        SELECT * INTO p FROM consistency.policies WHERE relation = '"Recommend it"."it''s"'::regclass;
        IF p.level IS DISTINCT FROM r.level THEN
            RAISE EXCEPTION '%: %', r.id, p;
        END IF;
    END LOOP;
END $$;
SELECT statement FROM consistency.recommend(max_age => '90 s', role => '"regress Recommended"') \gset
\echo :statement
:statement
SELECT setconfig FROM pg_db_role_setting WHERE setrole = '"regress Recommended"'::regrole;
SELECT statement FROM consistency.recommend(max_age => '2 s', own_writes => false, backwards => false) \gset
BEGIN;
:statement
SHOW consistency;
SHOW consistency.max_staleness;
ROLLBACK;
RESET consistency;
RESET consistency.max_staleness;

-- any spelling of letters
SELECT level FROM consistency.recommend(stale_read => 'COSTLY', collaboration => 'None');

-- bad input
SELECT consistency.recommend(stale_read => 'bad');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(collaboration => 'some');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(stale_read => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(critical => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(own_writes => NULL);
SELECT consistency.recommend(reads_per_second => 10);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(primary_serves => 10);
SELECT consistency.recommend(reads_per_second => -1, primary_serves => 10);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(reads_per_second => 'NaN', primary_serves => 10);
SELECT consistency.recommend(reads_per_second => 1, primary_serves => 'NaN');
SELECT consistency.recommend(max_age => '-1 s');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(max_age => '1 month');
SELECT consistency.recommend(max_age => '30 days');
SELECT consistency.recommend(relation => 'pg_class', role => '"regress Recommended"');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(relation => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.recommend(role => 1);
\echo :LAST_ERROR_SQLSTATE

DROP TABLE situation CASCADE;
DROP SCHEMA "Recommend it" CASCADE;
DROP ROLE "regress Recommended";
