-- What consistency.check() finds about attached tables.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
CREATE SCHEMA checked;
SET search_path = checked, public;
CREATE FUNCTION found() RETURNS TABLE (severity text, subject text, problem text, mend text) LANGUAGE sql AS $$
    SELECT severity, subject, problem, mend FROM consistency.check()
     WHERE subject LIKE 'checked.%' ORDER BY severity, subject, problem $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, a int, b int, parent int REFERENCES parent ON DELETE CASCADE);
CREATE TABLE whole (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10);
SELECT consistency.attach('parent');
SELECT consistency.attach('whole');
SELECT * FROM found();
SELECT consistency.attach('child', '{"a": "highest"}');
\x
SELECT * FROM found();
ALTER TABLE child DROP CONSTRAINT child_parent_fkey;
\x
SELECT * FROM found();

-- Triggers.
ALTER TABLE parent ENABLE TRIGGER ALL;
ALTER TABLE child DISABLE TRIGGER zzz_consistency_truncate;
ALTER TABLE part ENABLE REPLICA TRIGGER zzz_consistency_merge;
\x
SELECT * FROM found();
\x
-- the mends are mends
SELECT format('%s;', split_part(mend, ';', 1)) FROM found() \gexec
SELECT * FROM found();
DROP TRIGGER zzz_consistency_truncate ON child;
DROP TRIGGER zzz_consistency_merge ON parent;
\x
SELECT * FROM found();
\x
SELECT consistency.attach('parent');
SELECT consistency.attach('child', '{"a": "highest"}');
SELECT * FROM found();
CREATE TRIGGER zzzz BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER early BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER local BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER late AFTER UPDATE ON child FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TABLE child ENABLE ALWAYS TRIGGER early;
\x
SELECT subject, problem FROM found();
DROP TRIGGER zzzz ON child;
DROP TRIGGER early ON child;

-- What attach() would refuse now.
ALTER TABLE child ADD UNIQUE (b), ADD CHECK (a > b), ADD CONSTRAINT fine CHECK (b > 0), REPLICA IDENTITY FULL;
ALTER TABLE parent DROP CONSTRAINT parent_pkey;
SELECT severity, subject, problem FROM found();
\x

-- What was accepted is no finding.
ALTER TABLE child REPLICA IDENTITY DEFAULT;
SELECT consistency.attach('child', '{"a": "highest"}', accept => '{unique,check}');
SELECT count(*) FROM found() WHERE subject = 'checked.child';

-- A column of that name and another type is somebody's own.
CREATE TABLE other (id int, row_version int);
SELECT count(*) FROM found() WHERE subject = 'checked.other';
SET search_path = public;
DROP SCHEMA checked CASCADE;
