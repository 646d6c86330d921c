-- What users can do to attached tables that isn't theirs to do, and what would
-- stop replication.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
CREATE SCHEMA forged;
SET search_path = forged, public;
CREATE ROLE regress_forger;
GRANT USAGE, CREATE ON SCHEMA forged TO regress_forger;

-- Merging takes all rights that it may need, not one of them.
CREATE TABLE t (id int PRIMARY KEY, n int);
SELECT consistency.attach('t');
INSERT INTO t VALUES (1, 1);
GRANT SELECT, INSERT ON t TO regress_forger;
GRANT EXECUTE ON FUNCTION consistency.merge_row(regclass, text[], text[]), consistency.merge_tombstone(regclass, text, row_version, jsonb) TO regress_forger;
SET ROLE regress_forger;
SELECT consistency.merge_row('t', '{id,n,row_version}', '{1,2,"{\"length\": 3}"}');
SELECT consistency.merge_tombstone('t', '["1"]', '{"length": 2}');
RESET ROLE;
GRANT UPDATE ON t TO regress_forger;
SET ROLE regress_forger;
SELECT consistency.merge_row('t', '{id,n,row_version}', '{2,2,"{}"}');
SELECT consistency.merge_tombstone('t', '["2"]', '{"length": 2}');
RESET ROLE;
GRANT DELETE ON t TO regress_forger;
SET ROLE regress_forger;
SELECT consistency.merge_tombstone('t', '["2"]', '{"length": 2}');
RESET ROLE;
SELECT id, n FROM t;

-- A key is known by one text, however it is written.
SELECT consistency.merge_tombstone('t', '[ "01" ]', '{"length": 2}');
SELECT id FROM t;
SELECT relation, key FROM consistency.tombstones WHERE relation = 'forged.t' ORDER BY key;

-- A row is one that exists, and its values are some of their type.
SELECT consistency.merge_row('t', '{id,n,row_version}', '{3,3,"{\"length\": 2}"}');
CREATE TABLE several (id int PRIMARY KEY, n int);
SELECT consistency.attach('several', '{"n": "multi_value"}');
SELECT consistency.merge_row('several', '{id,n,row_version}', ARRAY['1', '1',
	'{"seen": {"b": 1, "c": 1}, "values": {"n": [{"value": "7", "stamp": 5, "dot": ["b", 1]}, {"value": "none", "stamp": 4, "dot": ["c", 1]}]}}']);
SELECT consistency.merge_row('several', '{id,n,row_version}', ARRAY['1', '1',
	'{"seen": {"b": 1, "c": 1}, "values": {"n": [{"value": "7", "stamp": 5, "dot": ["b", 1]}, {"value": "8", "stamp": 4, "dot": ["c", 1]}]}}']);
SELECT id, n FROM several;

-- Lengths that nothing can follow are an error here, and don't get to others.
SELECT consistency.merge_row('t', '{id,n,row_version}', '{9,9,"{\"length\": 9223372036854775807}"}');
DELETE FROM t WHERE id = 9;

-- Triggers made by hand, for a function that doesn't fit or may not be called.
CREATE FUNCTION secret(text, text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'secret'$$;
REVOKE ALL ON FUNCTION secret(text, text) FROM PUBLIC;
SET ROLE regress_forger;
CREATE TABLE own (id int PRIMARY KEY, b bigint, row_version row_version NOT NULL DEFAULT '{}');
CREATE TRIGGER zzz_consistency_merge BEFORE INSERT OR UPDATE ON own FOR EACH ROW
	EXECUTE FUNCTION consistency.merge_change('{"columns": {"b": "pg_catalog.textcat(text,text)"}}');
INSERT INTO own VALUES (1, 1);
UPDATE own SET b = 4611686018427387904;
SELECT b FROM own;
DROP TABLE own;
CREATE TABLE own (id int PRIMARY KEY, b text, row_version row_version NOT NULL DEFAULT '{}');
CREATE TRIGGER zzz_consistency_merge BEFORE INSERT OR UPDATE ON own FOR EACH ROW
	EXECUTE FUNCTION consistency.merge_change('{"columns": {"b": "forged.secret(text,text)"}}');
INSERT INTO own VALUES (1, 'a');
UPDATE own SET b = 'b';
SELECT b FROM own;
DROP TABLE own;
CREATE TABLE own (id int PRIMARY KEY, row_version int);
CREATE TRIGGER zzz_consistency_merge BEFORE INSERT OR UPDATE ON own FOR EACH ROW
	EXECUTE FUNCTION consistency.merge_change('{}');
INSERT INTO own VALUES (1, 12345);
DROP TRIGGER zzz_consistency_merge ON own;
CREATE TRIGGER zzz_consistency_merge BEFORE INSERT OR UPDATE ON own FOR EACH ROW
	EXECUTE FUNCTION consistency.merge_change('[1, 2, 3]');
INSERT INTO own VALUES (1, 12345);
DROP TRIGGER zzz_consistency_merge ON own;
CREATE TRIGGER zzz_consistency_merge BEFORE INSERT OR UPDATE ON own FOR EACH ROW
	EXECUTE FUNCTION consistency.merge_change('{"columns": [1, 2, 3]}');
INSERT INTO own VALUES (1, 12345);
RESET ROLE;

-- The function that was attached is called, not one that a user's search_path finds.
CREATE FUNCTION longer(text, text) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN length($1) < length($2) THEN $2 ELSE $1 END $$;
CREATE TABLE f (id int PRIMARY KEY, a text);
SELECT consistency.attach('f', '{"a": "longer(text,text)"}');
SELECT columns FROM consistency.attached_tables WHERE relation = 'f'::regclass;
GRANT ALL ON f TO regress_forger;
INSERT INTO f VALUES (1, 'long');
SET ROLE regress_forger;
CREATE FUNCTION pg_temp.longer(text, text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT current_user::text$$;
SET search_path = pg_temp, public;
UPDATE forged.f SET a = 'no';
SELECT a FROM forged.f;
RESET ROLE;
SET search_path = forged, public;
DROP FUNCTION longer(text, text);
-- the type of the column is another one now: merged as where a function fails
UPDATE f SET a = '12';
ALTER TABLE f ALTER a TYPE bigint USING 12;
UPDATE f SET a = 4611686018427387904;
SELECT a FROM f;
SELECT problem FROM consistency.check() WHERE subject = 'forged.f';

-- What a function returns is made to fit the column, as everywhere else.
CREATE FUNCTION joined(varchar, varchar) RETURNS varchar IMMUTABLE LANGUAGE sql AS
$$ SELECT string_agg(DISTINCT word, ',' ORDER BY word) FROM regexp_split_to_table($1 || ',' || $2, ',') word $$;
CREATE TABLE narrow (id int PRIMARY KEY, a varchar(5));
SELECT consistency.attach('narrow', '{"a": "joined(varchar,varchar)"}');
INSERT INTO narrow VALUES (1, 'b'), (2, 'bbb');
UPDATE narrow SET a = 'aaa';
SELECT id, a FROM narrow ORDER BY id;
-- of partitioned tables as well
CREATE TABLE parts (id int PRIMARY KEY, a varchar) PARTITION BY RANGE (id);
SELECT consistency.attach('parts', '{"a": "joined(varchar,varchar)"}');
DROP TABLE narrow;
DROP FUNCTION joined(varchar, varchar);

-- Keys of which one value has several texts, and rules of columns that are gone.
CREATE TABLE n (id numeric PRIMARY KEY);
\set VERBOSITY default
SELECT consistency.attach('n');
\set VERBOSITY terse
SELECT consistency.attach('n', accept => '{key}');
CREATE TABLE n2 (id numeric(10, 2), c char(3), v varchar(9), t timestamptz, u uuid, PRIMARY KEY (id, c, v, t, u));
SELECT consistency.attach('n2');
CREATE TABLE r (id int PRIMARY KEY, n int, m int);
SELECT consistency.attach('r', '{"n": "highest", "m": "lowest"}');
ALTER TABLE r RENAME n TO top;
ALTER TABLE r DROP m;
SELECT problem FROM consistency.check() WHERE subject = 'forged.r';

-- A row that ON CONFLICT doesn't insert leaves its tombstone where it is.
CREATE TABLE mail (id int PRIMARY KEY, address text UNIQUE);
SELECT consistency.attach('mail', accept => '{unique}');
INSERT INTO mail VALUES (1, 'a@example.org'), (2, 'b@example.org');
DELETE FROM mail WHERE id = 1;
INSERT INTO mail VALUES (1, 'b@example.org') ON CONFLICT DO NOTHING;
SELECT relation, key FROM consistency.tombstones WHERE relation = 'forged.mail';
INSERT INTO mail VALUES (1, 'c@example.org') ON CONFLICT DO NOTHING;
SELECT relation, key FROM consistency.tombstones WHERE relation = 'forged.mail';
SELECT id, address FROM mail ORDER BY id;

-- A tombstone for what is no table here waits for one.
CREATE INDEX gone ON mail (id);
CREATE VIEW gone_too AS SELECT 1 AS id;
SET session_replication_role = replica;
INSERT INTO consistency.tombstones VALUES ('forged.gone', '["1"]', '{"length": 2}'), ('forged.gone_too', '["1"]', '{"length": 2}');
RESET session_replication_role;
SELECT relation, key FROM consistency.tombstones WHERE relation LIKE 'forged.gone%' ORDER BY relation;

-- A schema that is renamed: its tables' names are others.
CREATE SCHEMA forged_too;
CREATE TABLE forged_too.t (id int PRIMARY KEY);
SELECT consistency.attach('forged_too.t');
INSERT INTO forged_too.t VALUES (1);
ALTER SCHEMA forged_too RENAME TO forged_now;
DELETE FROM forged_now.t;
SELECT relation, key FROM consistency.tombstones WHERE relation LIKE 'forged%.t' ORDER BY relation, key;

DROP SCHEMA forged, forged_now CASCADE;
TRUNCATE consistency.tombstones;
DROP OWNED BY regress_forger;
DROP ROLE regress_forger;
