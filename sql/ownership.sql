--
-- Rows and tables that one member alone may write.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE TABLE own_row (id int PRIMARY KEY, v text, region text NOT NULL);
CREATE TABLE own_table (id int PRIMARY KEY, v text);

-- who am I?
SELECT group_name, member FROM consistency.groups;
SELECT consistency.set_ownership('own_row', 'region');
\echo :LAST_ERROR_SQLSTATE
SET consistency.member = 'paris';
CREATE SERVER london FOREIGN DATA WRAPPER consistency_peer OPTIONS (host 'london.example', dbname 'app');
CREATE SERVER not_a_member FOREIGN DATA WRAPPER consistency OPTIONS (host 'other.example');

-- bad input
SELECT consistency.set_ownership('own_row');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'region', 'paris');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership(NULL, 'region');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'region', elsewhere => 'ignore');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'region', elsewhere => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'nothing');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'ctid');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'id');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_row', 'v');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_table', owner => 'rome');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_table', owner => 'not_a_member');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_table', owner => '');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership(1, owner => 'paris');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('pg_class', owner => 'paris');
\echo :LAST_ERROR_SQLSTATE
CREATE VIEW own_view AS SELECT * FROM own_row;
SELECT consistency.set_ownership('own_view', 'region');
\echo :LAST_ERROR_SQLSTATE
CREATE TEMP TABLE own_temp (id int, region text NOT NULL);
SELECT consistency.set_ownership('own_temp', 'region');
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE own_generated (id int, region text NOT NULL GENERATED ALWAYS AS ('paris') STORED);
SELECT consistency.set_ownership('own_generated', 'region');
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE own_parent (id int, region text NOT NULL);
CREATE TABLE own_child () INHERITS (own_parent);
SELECT consistency.set_ownership('own_parent', 'region');
\echo :LAST_ERROR_SQLSTATE
-- a row that can't be told apart can't be written elsewhere
SELECT consistency.set_ownership('own_child', 'region', elsewhere => 'forward');
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION own_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.region := NEW.v; RETURN NEW; END';
CREATE TRIGGER zzz_late BEFORE UPDATE ON own_row FOR EACH ROW EXECUTE FUNCTION own_change();
SELECT consistency.set_ownership('own_row', 'region');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER zzz_late ON own_row;
SELECT count(*) FROM consistency.owned_tables;
SELECT consistency.guard_owner();

-- rows of several members
INSERT INTO own_row VALUES (1, 'mine', 'paris'), (2, 'theirs', 'london'), (3, 'nobody knows', 'rome');
SELECT consistency.set_ownership('own_row', 'region');
SELECT * FROM consistency.owned_tables;
UPDATE own_row SET v = 'still mine' WHERE id = 1;
UPDATE own_row SET v = 'not mine' WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
UPDATE own_row SET region = 'paris' WHERE id = 2;
DELETE FROM own_row WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
UPDATE own_row SET v = 'x' WHERE id = 3;
\echo :LAST_ERROR_SQLSTATE
-- a statement for both does nothing
UPDATE own_row SET v = 'both';
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_row VALUES (4, 'mine', 'paris');
INSERT INTO own_row (id, v) VALUES (5, 'mine, though it does not say so');
INSERT INTO own_row VALUES (6, 'theirs', 'london');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_row VALUES (6, 'nobody''s', 'rome');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_row VALUES (6, 'nobody''s', '');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_row VALUES (6, 'case matters', 'Paris');
\echo :LAST_ERROR_SQLSTATE
UPDATE own_row SET region = NULL WHERE id = 4;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE own_row;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM own_row WHERE id = 4;
SELECT * FROM own_row ORDER BY id;

-- ON CONFLICT, MERGE, COPY
INSERT INTO own_row VALUES (1, 'again', 'paris') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
INSERT INTO own_row VALUES (2, 'again', 'paris') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_row VALUES (2, 'again', 'london') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_row VALUES (2, 'again', 'paris') ON CONFLICT (id) DO NOTHING;
MERGE INTO own_row USING (VALUES (1, 'merged'), (7, 'merged')) AS s (id, v) ON own_row.id = s.id
    WHEN MATCHED THEN UPDATE SET v = s.v
    WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v);
MERGE INTO own_row USING (VALUES (2, 'merged')) AS s (id, v) ON own_row.id = s.id
    WHEN MATCHED THEN DELETE;
\echo :LAST_ERROR_SQLSTATE
COPY own_row FROM STDIN;
8	copied	paris
\.
COPY own_row (id, v) FROM STDIN;
9	copied
\.
COPY own_row FROM STDIN;
10	copied	paris
11	copied	london
\.
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM own_row ORDER BY id;

-- a row isn't handed over by what was rolled back
BEGIN;
INSERT INTO own_row VALUES (90, 'x', 'paris');
SAVEPOINT s;
UPDATE own_row SET region = 'london' WHERE id = 90;
ROLLBACK TO s;
DELETE FROM own_row WHERE id = 90;
INSERT INTO own_row VALUES (91, 'x', 'london');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- handing over, to a member that there is
UPDATE own_row SET region = 'rome' WHERE id = 8;
\echo :LAST_ERROR_SQLSTATE
UPDATE own_row SET region = 'london', v = 'with love' WHERE id = 8;
UPDATE own_row SET v = 'too late' WHERE id = 8;
\echo :LAST_ERROR_SQLSTATE
-- what replication brings was checked elsewhere
SET session_replication_role = replica;
UPDATE own_row SET region = 'paris', v = 'back' WHERE id = 8;
RESET session_replication_role;
UPDATE own_row SET v = 'mine again' WHERE id = 8;
-- taking over the rows of a member that is gone
BEGIN;
ALTER TABLE own_row DISABLE TRIGGER zzy_consistency_owner;
SELECT relation, enabled FROM consistency.owned_tables;
UPDATE own_row SET region = 'paris' WHERE region = 'rome';
ALTER TABLE own_row ENABLE TRIGGER zzy_consistency_owner;
COMMIT;
SELECT relation, enabled FROM consistency.owned_tables;
UPDATE own_row SET v = 'taken over' WHERE id = 3;
ALTER TABLE own_row ENABLE TRIGGER ALL;
UPDATE own_row SET v = 'x' WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
-- without a name nothing is ours
SET consistency.member = '';
UPDATE own_row SET v = 'x' WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SET consistency.member = 'london';
UPDATE own_row SET v = 'as london' WHERE id = 2;
-- the name in the group that was joined; nobody's where several differ
RESET consistency.member;
BEGIN;
INSERT INTO consistency.groups (group_name, member) VALUES ('g', 'london');
COMMIT;
UPDATE own_row SET v = 'as london, member of g' WHERE id = 2;
INSERT INTO consistency.groups (group_name, member) VALUES ('h', 'london');
UPDATE own_row SET v = 'as london, member of g and h' WHERE id = 2;
UPDATE consistency.groups SET member = 'milan' WHERE group_name = 'h';
UPDATE own_row SET v = 'x' WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM consistency.groups;
SET consistency.member = 'paris';

-- cascades are changes, too
CREATE TABLE own_order (id int PRIMARY KEY);
CREATE TABLE own_item (id int PRIMARY KEY, o int REFERENCES own_order ON DELETE CASCADE ON UPDATE CASCADE, region varchar(20) NOT NULL);
SELECT consistency.set_ownership('own_item', 'region');
SELECT consistency.set_ownership('own_item', 'region', elsewhere => 'forward');
SELECT * FROM consistency.owned_tables ORDER BY relation::text;
INSERT INTO own_order VALUES (1), (2);
INSERT INTO own_item VALUES (1, 1, 'paris');
SET session_replication_role = replica;
INSERT INTO own_item VALUES (2, 2, 'london');
RESET session_replication_role;
DELETE FROM own_order WHERE id = 1;
DELETE FROM own_order WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
UPDATE own_order SET id = 3 WHERE id = 2;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE own_order CASCADE;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM own_order, own_item;

-- names in a column of type name; a column that is renamed
CREATE DOMAIN own_member AS name;
CREATE TABLE own_named (id int PRIMARY KEY, "The Owner" own_member NOT NULL);
SELECT consistency.set_ownership('own_named', 'The Owner');
INSERT INTO own_named (id) VALUES (1) RETURNING *;
ALTER TABLE own_named RENAME "The Owner" TO owner;
UPDATE own_named SET id = 2;
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_named', 'owner');
UPDATE own_named SET id = 2;

-- whole tables
SELECT consistency.set_ownership('own_table', owner => 'london');
INSERT INTO own_table VALUES (1);
\echo :LAST_ERROR_SQLSTATE
TRUNCATE own_table;
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_ownership('own_table', owner => 'paris');
INSERT INTO own_table VALUES (1);
UPDATE own_table SET v = 'x';
DELETE FROM own_table;
TRUNCATE own_table;
SELECT consistency.drop_ownership('own_table');
SELECT consistency.drop_ownership('own_table');
SELECT consistency.drop_ownership(NULL);
SELECT relation FROM consistency.owned_tables ORDER BY relation::text;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'own_table'::regclass;

-- partitions: those that there are, and later ones
CREATE TABLE own_part (id int, region text NOT NULL, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE own_part_paris PARTITION OF own_part FOR VALUES IN ('paris');
SELECT consistency.set_ownership('own_part', 'region');
CREATE TABLE own_part_london PARTITION OF own_part FOR VALUES IN ('london');
INSERT INTO own_part VALUES (1, 'paris');
INSERT INTO own_part VALUES (1, 'london');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO own_part_london VALUES (1, 'london');
\echo :LAST_ERROR_SQLSTATE
-- handing over moves the row
UPDATE own_part SET region = 'london' WHERE id = 1;
SELECT tableoid::regclass, * FROM own_part;
UPDATE own_part SET v = 'x';
\echo :LAST_ERROR_SQLSTATE
-- a row that is deleted and inserted isn't handed over
INSERT INTO own_part VALUES (2, 'paris');
BEGIN;
DELETE FROM own_part WHERE id = 2;
INSERT INTO own_part VALUES (2, 'london');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
UPDATE own_part SET v = 'x' WHERE id = 2;
DELETE FROM own_part WHERE id = 2;
INSERT INTO own_part VALUES (2, 'london');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
TRUNCATE own_part;
TRUNCATE own_part_paris;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM consistency.owned_tables WHERE relation::text LIKE 'own_part%';
SELECT consistency.set_ownership('own_part_london', owner => 'london');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.drop_ownership('own_part_london');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.drop_ownership('own_part');
SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'own_part%' AND tgname LIKE 'zzy%';
-- each partition another member's
SELECT consistency.set_ownership('own_part_london', owner => 'london');
SELECT consistency.set_ownership('own_part_paris', owner => 'paris');
SELECT consistency.set_ownership('own_part', 'region');
\echo :LAST_ERROR_SQLSTATE
UPDATE own_part SET v = 'x' WHERE region = 'paris';
INSERT INTO own_part VALUES (3, 'london');
\echo :LAST_ERROR_SQLSTATE
-- a row may not move into a partition that isn't ours
UPDATE own_part SET region = 'london' WHERE region = 'paris';
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM own_part ORDER BY id;

-- only the owner declares it
CREATE ROLE own_other;
GRANT ALL ON own_table TO own_other;
SET ROLE own_other;
SELECT consistency.set_ownership('own_table', owner => 'paris');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.drop_ownership('own_row');
\echo :LAST_ERROR_SQLSTATE
SET consistency.member = 'london';
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

-- a trigger that somebody else has made
CREATE TRIGGER own_bad BEFORE UPDATE ON own_table FOR EACH ROW EXECUTE FUNCTION consistency.guard_owner('owner');
INSERT INTO own_table VALUES (1);
UPDATE own_table SET v = 'x';
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER own_bad ON own_table;
CREATE TRIGGER own_bad AFTER UPDATE ON own_table FOR EACH ROW
    EXECUTE FUNCTION consistency.guard_owner('owner', 'paris', 'elsewhere', 'refuse');
UPDATE own_table SET v = 'x';
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.trigger_declaration(oid) FROM pg_trigger WHERE tgname = 'own_bad';
SELECT consistency.trigger_declaration(0);

SET client_min_messages = warning;
DROP TABLE own_row, own_table, own_generated, own_parent, own_order, own_item, own_named, own_part CASCADE;
DROP FUNCTION own_change;
DROP DOMAIN own_member;
DROP SERVER london;
DROP SERVER not_a_member;
DROP ROLE own_other;
