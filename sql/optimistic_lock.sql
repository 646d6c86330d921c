--
-- Updates that must carry the version of the row that they are based on.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE TABLE lock_test (id int PRIMARY KEY, v text, version int NOT NULL DEFAULT 1, n numeric NOT NULL DEFAULT 0, maybe int);

-- bad input
SELECT consistency.set_optimistic_lock('lock_test', 'nothing');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test', 'n');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test', 'maybe');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test', client_sends => 'something');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test', unversioned => 'ignore');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test', unversioned => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('pg_class', 'relnatts');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM consistency.optimistic_locks;

-- clients send the version that comes next
SELECT consistency.set_optimistic_lock('lock_test');
SELECT * FROM consistency.optimistic_locks;
INSERT INTO lock_test VALUES (1, 'one'), (2, 'two');
-- two have read version 1; what most object mappers send
UPDATE lock_test SET v = 'first', version = version + 1 WHERE id = 1 AND version = 1;
UPDATE lock_test SET v = 'second', version = version + 1 WHERE id = 1 AND version = 1;
UPDATE lock_test SET v = 'third', version = 3 WHERE id = 1 AND version = 2;
-- those that don't ask for it in WHERE are refused
UPDATE lock_test SET v = 'late', version = 2 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_test SET v = 'late', version = 3 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_test SET v = 'from nowhere', version = 9 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_test SET version = NULL WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
-- those that say nothing, too
UPDATE lock_test SET v = 'blind' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_test SET v = 'fourth', version = 4 WHERE id = 1;
SELECT * FROM lock_test ORDER BY id;
-- ON CONFLICT and MERGE
INSERT INTO lock_test (id, v, version) VALUES (1, 'upsert', 5)
    ON CONFLICT (id) DO UPDATE SET v = excluded.v, version = excluded.version;
INSERT INTO lock_test (id, v, version) VALUES (1, 'late', 5)
    ON CONFLICT (id) DO UPDATE SET v = excluded.v, version = excluded.version;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO lock_test (id, v) VALUES (1, 'blind') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
\echo :LAST_ERROR_SQLSTATE
MERGE INTO lock_test AS t USING (VALUES (1, 'merged', 6)) AS s (id, v, version) ON t.id = s.id
    WHEN MATCHED THEN UPDATE SET v = s.v, version = s.version;
MERGE INTO lock_test AS t USING (VALUES (1, 'late', 6)) AS s (id, v, version) ON t.id = s.id
    WHEN MATCHED THEN UPDATE SET v = s.v, version = s.version;
\echo :LAST_ERROR_SQLSTATE
-- replication brings what was checked elsewhere
SET session_replication_role = replica;
UPDATE lock_test SET v = 'replicated', version = 10 WHERE id = 1;
RESET session_replication_role;
SELECT * FROM lock_test ORDER BY id;

-- the same, but updates that don't set the version pass
SELECT consistency.set_optimistic_lock('lock_test', unversioned => 'raise');
UPDATE lock_test SET v = 'asked for it' WHERE id = 1 AND version = 10;
UPDATE lock_test SET v = 'asked in vain' WHERE id = 1 AND version = 10;
UPDATE lock_test SET n = n + 1;
UPDATE lock_test SET v = 'late', version = 11 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM lock_test ORDER BY id;

-- clients send back the version that they have read
SELECT consistency.set_optimistic_lock('lock_test', 'version', 'read');
SELECT * FROM consistency.optimistic_locks;
UPDATE lock_test SET v = 'whole row', version = 12, n = 1 WHERE id = 1;
UPDATE lock_test SET v = 'late', version = 12, n = 1 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_test SET v = 'the other kind of client', version = 14 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_test SET v = 'blind' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM lock_test ORDER BY id;

-- foreign keys' actions aren't clients
CREATE TABLE lock_parent (id int PRIMARY KEY);
CREATE TABLE lock_child (id int PRIMARY KEY, p int REFERENCES lock_parent ON UPDATE CASCADE ON DELETE SET NULL, version smallint NOT NULL DEFAULT 0);
SELECT consistency.set_optimistic_lock('lock_child');
INSERT INTO lock_parent VALUES (1);
INSERT INTO lock_child VALUES (1, 1);
UPDATE lock_parent SET id = 2;
DELETE FROM lock_parent;
SELECT * FROM lock_child;
-- the highest version
SET session_replication_role = replica;
UPDATE lock_child SET version = 32767;
RESET session_replication_role;
UPDATE lock_child SET version = version + 0;
\echo :LAST_ERROR_SQLSTATE

-- partitions, of which one has its columns in another order
CREATE TABLE lock_part (id int, version bigint NOT NULL DEFAULT 1, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE lock_part_1 (v text, version bigint NOT NULL DEFAULT 1, gone int, id int NOT NULL);
ALTER TABLE lock_part_1 DROP gone;
ALTER TABLE lock_part ATTACH PARTITION lock_part_1 FOR VALUES FROM (1) TO (10);
SELECT consistency.set_optimistic_lock('lock_part');
CREATE TABLE lock_part_2 PARTITION OF lock_part FOR VALUES FROM (10) TO (20);
INSERT INTO lock_part (id) VALUES (1), (11);
UPDATE lock_part SET v = 'x', version = 2;
UPDATE lock_part SET v = 'blind' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_part SET v = 'late', version = 2 WHERE id = 11;
\echo :LAST_ERROR_SQLSTATE
UPDATE lock_part_2 SET v = 'late', version = 2;
\echo :LAST_ERROR_SQLSTATE
-- a row that moves
UPDATE lock_part SET id = 12, version = 3 WHERE id = 1;
SELECT tableoid::regclass, * FROM lock_part ORDER BY id;
SELECT relation FROM consistency.optimistic_locks ORDER BY relation::text;

-- both together: first whose row it is, then which version
SET consistency.member = 'paris';
ALTER TABLE lock_test ADD region text NOT NULL DEFAULT 'paris';
SELECT consistency.set_ownership('lock_test', 'region');
UPDATE lock_test SET v = 'x' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_optimistic_lock('lock_test');

-- only the owner declares it
CREATE ROLE lock_other;
GRANT ALL ON lock_test TO lock_other;
SET ROLE lock_other;
SELECT consistency.set_optimistic_lock('lock_test');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.drop_optimistic_lock('lock_test');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

SELECT consistency.drop_optimistic_lock('lock_test');
SELECT consistency.drop_optimistic_lock('lock_test');
UPDATE lock_test SET v = 'blind' WHERE id = 1;
ALTER TABLE lock_child DROP COLUMN version;
UPDATE lock_child SET p = NULL;
\echo :LAST_ERROR_SQLSTATE

SET client_min_messages = warning;
DROP TABLE lock_test, lock_parent, lock_child, lock_part CASCADE;
DROP ROLE lock_other;
