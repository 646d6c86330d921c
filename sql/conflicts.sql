-- Concurrent changes of a row: stat_conflicts, conflicts, unresolved(), resolve().
--
-- One session plays two replicas: "a" writes the tables in schema here, "b" those
-- in schema there, and what b has written comes in as replication would bring it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
SELECT consistency.stat_reset();
TRUNCATE consistency.conflicts;
CREATE SCHEMA here;
CREATE SCHEMA there;
CREATE TABLE here.item (id int, day date, price int, title text, note text, likes gcounter DEFAULT gcounter(0),
                        PRIMARY KEY (day, id));
CREATE TABLE there.item (LIKE here.item INCLUDING ALL);
SELECT consistency.attach('here.item', '{"price": "highest", "title": "multi_value"}');
SELECT consistency.attach('there.item', '{"price": "highest", "title": "multi_value"}');

-- b's updates come in, and a's go over; replication brings long values in memory
CREATE PROCEDURE replicate() LANGUAGE sql SET session_replication_role = replica SET consistency.replica_id = 'a' BEGIN ATOMIC
    UPDATE here.item h SET (price, title, note, likes, row_version) = (t.price, t.title, t.note || '', t.likes, t.row_version)
      FROM there.item t WHERE t.id = h.id;
END;
CREATE PROCEDURE replicate_back() LANGUAGE sql SET session_replication_role = replica SET consistency.replica_id = 'b' BEGIN ATOMIC
    UPDATE there.item h SET (price, title, note, likes, row_version) = (t.price, t.title, t.note || '', t.likes, t.row_version)
      FROM here.item t WHERE t.id = h.id;
END;
-- b's rows come in as insertions
CREATE PROCEDURE replicate_rows() LANGUAGE sql SET session_replication_role = replica SET consistency.replica_id = 'a' BEGIN ATOMIC
    INSERT INTO here.item SELECT * FROM there.item;
END;
-- b's deletions come in
CREATE PROCEDURE replicate_deletions() LANGUAGE sql SET session_replication_role = replica SET consistency.replica_id = 'a' BEGIN ATOMIC
    INSERT INTO consistency.tombstones
    SELECT 'here.item', key, version, image FROM consistency.tombstones WHERE relation = 'there.item';
END;
CREATE VIEW counted AS
    SELECT relation, "column", kind, resolution, discarded, count
      FROM consistency.stat_conflicts ORDER BY relation::text, kind, "column" NULLS FIRST, resolution;
CREATE VIEW logged AS
    SELECT key, "column", kind, resolution, discarded, count, local, incoming, local_replica AS l, incoming_replica AS i
      FROM consistency.conflicts ORDER BY id;

-- Without concurrency there is no conflict.
SET consistency.replica_id = 'a';
INSERT INTO here.item SELECT i, '2020-02-01', 10, 'one', 'old' FROM generate_series(1, 9) i;
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO there.item SELECT * FROM here.item;
COMMIT;
SET consistency.replica_id = 'b';
UPDATE there.item SET price = 20, title = 'two', note = 'new';
CALL replicate();
CALL replicate();
SELECT DISTINCT price, title, note FROM here.item;
SELECT * FROM counted;

-- Concurrent updates: by row, and by column.
SET DateStyle = german;
SET consistency.conflict_log = 'all';
UPDATE there.item SET title = 'b''s', note = 'b', price = 30, likes = increment(likes) WHERE id = 1;
SET consistency.replica_id = 'a';
UPDATE here.item SET title = 'a''s', note = NULL, price = 25, likes = increment(likes) WHERE id = 1;
CALL replicate();
SELECT id, price, title, note, value(likes) FROM here.item WHERE id = 1;
SELECT * FROM counted;
SELECT * FROM logged;
SELECT bool_and(at BETWEEN now() - interval '1 hour' AND clock_timestamp()) AS at,
       bool_and(local_at = consistency.clock_time(local_stamp)
                AND incoming_at = consistency.clock_time(incoming_stamp)) AS stamps,
       bool_and(local_stamp > incoming_stamp) AS "order", bool_or(too_large) AS too_large
  FROM consistency.conflicts;
-- what comes in once more, or comes back, is none
CALL replicate();
CALL replicate_back();
CALL replicate();
SELECT sum(count) FROM consistency.stat_conflicts WHERE relation = 'here.item'::regclass;
RESET DateStyle;

-- The same the other way round: b's is later.
UPDATE here.item SET note = 'a' WHERE id = 2;
SET consistency.replica_id = 'b';
UPDATE there.item SET note = 'b' WHERE id = 2;
CALL replicate();
SELECT note FROM here.item WHERE id = 2;
SELECT * FROM logged WHERE key @> '["2"]';

-- Inserts of one key, deletions against updates.
INSERT INTO there.item VALUES (10, '2020-02-01', 1, 'b', 'b');
UPDATE there.item SET note = 'b' WHERE id = 3;
DELETE FROM there.item WHERE id = 4;
SET consistency.replica_id = 'a';
INSERT INTO here.item VALUES (10, '2020-02-01', 1, 'a', 'a');
DELETE FROM here.item WHERE id = 3;
UPDATE here.item SET note = 'a' WHERE id = 4;
CALL replicate_rows();
CALL replicate_deletions();
SELECT id, note FROM here.item WHERE id IN (3, 4, 10);
SELECT kind, "column", resolution, discarded, count FROM counted WHERE kind <> 'update_update' AND relation = 'here.item'::regclass;
SELECT * FROM logged WHERE kind <> 'update_update';

-- What is to be decided.
SELECT key, "column", value, replica, shown FROM consistency.unresolved('here.item') ORDER BY key, replica;
SELECT bool_and(written_at BETWEEN now() - interval '1 hour' AND clock_timestamp()) FROM consistency.unresolved('here.item');
SELECT count(*) FROM consistency.unresolved('there.item');
-- an update of something else decides nothing, neither does one that changes nothing
UPDATE here.item SET note = 'c' WHERE id = 1;
UPDATE here.item SET title = title;
SELECT count(*) FROM consistency.unresolved('here.item');
-- in favour of the other value, of the one that is shown, and of none
SELECT consistency.resolve('here.item', '["2020-02-01", "1"]', 'title', 'b''s');
SELECT title FROM here.item WHERE id = 1;
SELECT key, value FROM consistency.unresolved('here.item') ORDER BY key, value;
SELECT consistency.resolve('here.item', '["2020-02-01", 10]', 'title', (SELECT title FROM here.item WHERE id = 10));
SELECT * FROM consistency.unresolved('here.item');
SELECT consistency.resolve('here.item', '["2020-02-01", "9"]', 'title', NULL);
SELECT id, title FROM here.item WHERE id IN (1, 9, 10);
-- b gets the decision, and a write that hadn't seen it is one more value
SET consistency.replica_id = 'b';
UPDATE there.item SET title = 'late' WHERE id = 1;
CALL replicate_back();
SELECT title FROM there.item WHERE id = 10;
CALL replicate();
SELECT key, value, shown FROM consistency.unresolved('here.item') ORDER BY key, value;
-- a key of one column is given as it is
CREATE TABLE here.simple (id int PRIMARY KEY, t text);
SELECT consistency.attach('here.simple', '{"t": "multi_value"}');
INSERT INTO here.simple VALUES (1, 'x'), (2, 'y');
SELECT consistency.resolve('here.simple', '2', 't', 'z');
SELECT id, t FROM here.simple ORDER BY id;
-- found by an index
CREATE INDEX unresolved ON here.item (id) WHERE conflicts(row_version) <> '{}';
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT FROM ONLY here.item WHERE conflicts(row_version) <> '{}';
SELECT count(*) FROM consistency.unresolved('here.item');
RESET enable_seqscan;
-- what can't be
SELECT consistency.resolve('here.simple', '3', 't', 'z');
SELECT consistency.resolve('here.simple', '[1, 2]', 't', 'z');
SELECT consistency.resolve('here.simple', '{"id": 1}', 't', 'z');
SELECT consistency.resolve('here.simple', '"x"', 't', 'z');
SELECT consistency.resolve('here.simple', '1', 'id', '2');
SELECT consistency.resolve('here.simple', '1', 'none', '2');

-- of a partitioned table: rows of all partitions, whatever the order of their columns
CREATE TABLE here.parted (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
CREATE TABLE here.parted_1 (t text, id int NOT NULL);
ALTER TABLE here.parted ATTACH PARTITION here.parted_1 FOR VALUES FROM (1) TO (10);
CREATE TABLE here.parted_2 PARTITION OF here.parted FOR VALUES FROM (10) TO (20);
SELECT consistency.attach('here.parted', '{"t": "multi_value"}');
INSERT INTO here.parted VALUES (1, 'a'), (11, 'a');
SELECT consistency.merge_row(c, '{id,t,row_version}', ARRAY[id, 'b',
           '{"seen": {"c": 1}, "stamp": 6, "replica": "c", "event": 1, "values": {"t": [{"value": "b", "stamp": 6, "dot": ["c", 1]}]}}'])
  FROM (VALUES ('here.parted_1'::regclass, '1'), ('here.parted_2', '11')) rows (c, id);
SELECT key, value, shown FROM consistency.unresolved('here.parted') ORDER BY key, value;
SELECT count(*) FROM consistency.unresolved('here.parted_1');
SELECT consistency.resolve('here.parted', '1', 't', 'a');
SELECT consistency.resolve('here.parted_2', '11', 't', 'a');
SELECT count(*) FROM consistency.unresolved('here.parted');
SELECT consistency.detach('here.parted');
DROP TABLE here.parted;
SELECT consistency.resolve('here.simple', NULL, 't', '2');
SELECT consistency.resolve('pg_class', '1', 't', '2');
SELECT * FROM consistency.unresolved('pg_class');
SELECT * FROM consistency.unresolved(1);

-- Which ones are kept.
SET consistency.replica_id = 'a';
CREATE PROCEDURE clash(step int) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('consistency.replica_id', 'a', false);
    UPDATE here.item SET note = 'a' || step, likes = increment(likes) WHERE id = 5;
    PERFORM set_config('consistency.replica_id', 'b', false);
    UPDATE there.item SET note = 'b' || step, likes = increment(likes) WHERE id = 5;
    CALL replicate();
    CALL replicate_back();
END $$;
TRUNCATE consistency.conflicts;
CALL clash(0);
SELECT "column", resolution FROM logged;
SET consistency.conflict_log = 'discarded';
TRUNCATE consistency.conflicts;
CALL clash(1);
SELECT "column", resolution FROM logged;
SET consistency.conflict_log = 'off';
TRUNCATE consistency.conflicts;
CALL clash(2);
SELECT * FROM logged;
SELECT count FROM counted WHERE relation = 'here.item'::regclass AND resolution = 'took_incoming' AND "column" IS NULL;
-- no more than the log's size, but for a sixteenth
SET consistency.conflict_log = 'discarded';
SET consistency.conflict_log_size = 32;
DO $$BEGIN FOR i IN 1..100 LOOP CALL clash(i); END LOOP; END$$;
SELECT count(*) BETWEEN 32 AND 34, bool_and(incoming ->> 'note' ~ '^b(6[6-9]|[7-9].|100)$') FROM consistency.conflicts;
SET consistency.conflict_log_size = 4;
CALL clash(101);
CALL clash(102);
CALL clash(103);
SELECT incoming ->> 'note' AS note FROM logged;
-- what was removed by a transaction that is rolled back is removed again
BEGIN;
CALL clash(1);
SAVEPOINT s;
CALL clash(2);
ROLLBACK TO s;
SELECT incoming ->> 'note' AS note FROM logged;
ROLLBACK;
SELECT incoming ->> 'note' AS note FROM logged;
CALL clash(104);
SELECT incoming ->> 'note' AS note FROM logged;
SET consistency.conflict_log_size = 0;
CALL clash(104);
SELECT count(*) FROM consistency.conflicts;
RESET consistency.conflict_log_size;

-- What is too large isn't kept, and isn't in the way.
TRUNCATE consistency.conflicts;
UPDATE there.item SET note = repeat('large', 100000) WHERE id = 6;
SET consistency.replica_id = 'a';
UPDATE here.item SET note = 'small' WHERE id = 6;
CALL replicate();
SELECT kind, resolution, too_large, local ->> 'note' AS local, incoming FROM consistency.conflicts;

-- If it can't be written, rows are merged all the same.
TRUNCATE consistency.conflicts;
CREATE INDEX odd ON consistency.conflicts ((id + 1));
CALL clash(105);
SELECT id, note FROM here.item WHERE id = 5;
SELECT count(*) FROM consistency.conflicts;
DROP INDEX consistency.odd;
CREATE INDEX even ON consistency.conflicts (at);
CALL clash(106);
SELECT incoming ->> 'note' AS note FROM logged;
DROP INDEX consistency.even;
BEGIN;
SAVEPOINT s;
CALL clash(107);
ROLLBACK TO s;
COMMIT;
SELECT incoming ->> 'note' AS note FROM logged;

-- Replication brings none.
SET session_replication_role = replica;
DELETE FROM consistency.conflicts;
RESET session_replication_role;
SELECT count(*) FROM consistency.conflicts;

-- Values are for those who may read the table, all of its rows, or watch the server.
CREATE ROLE conflicts_reader;
CREATE ROLE conflicts_column_reader;
CREATE ROLE conflicts_nobody;
CREATE ROLE conflicts_watcher IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA here TO conflicts_reader, conflicts_column_reader, conflicts_nobody;
GRANT SELECT ON here.item TO conflicts_reader;
GRANT SELECT (id) ON here.item TO conflicts_column_reader;
SET ROLE conflicts_reader;
SELECT count(*) FROM consistency.conflicts;
SELECT count(*) FROM consistency.unresolved('here.item');
SELECT consistency.resolve('here.item', '["2020-02-01", "1"]', 'title', 'mine');
SELECT * FROM consistency.stat_conflicts;
DELETE FROM consistency.conflicts;
SET ROLE conflicts_column_reader;
SELECT count(*) FROM consistency.conflicts;
SELECT count(*) FROM consistency.unresolved('here.item');
SET ROLE conflicts_nobody;
SELECT count(*) FROM consistency.conflicts;
SET ROLE conflicts_watcher;
SELECT count(*) FROM consistency.conflicts;
SELECT count(*) > 0 FROM consistency.stat_conflicts;
RESET ROLE;
ALTER TABLE here.item ENABLE ROW LEVEL SECURITY;
SET ROLE conflicts_reader;
SELECT count(*) FROM consistency.conflicts;
RESET ROLE;
ALTER TABLE here.item DISABLE ROW LEVEL SECURITY;
GRANT UPDATE ON here.item TO conflicts_reader;
SET ROLE conflicts_reader;
SELECT consistency.resolve('here.item', '["2020-02-01", "1"]', 'title', 'mine');
SET consistency.conflict_log = 'off';
SET consistency.conflict_log_size = 1;
RESET ROLE;
SELECT title FROM here.item WHERE id = 1;

-- Settings, and counting from zero.
SET consistency.conflict_log = 'some';
SET consistency.conflict_log_size = -1;
SELECT consistency.stat_reset();
SELECT * FROM counted;

RESET consistency.conflict_log;
RESET consistency.replica_id;
TRUNCATE consistency.conflicts;
DROP PROCEDURE replicate, replicate_back, replicate_rows, replicate_deletions, clash;
DROP VIEW counted, logged;
DROP SCHEMA here CASCADE;
DROP SCHEMA there CASCADE;
DROP ROLE conflicts_reader, conflicts_column_reader, conflicts_nobody, conflicts_watcher;
