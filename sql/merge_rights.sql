--
-- Who may merge rows and tombstones by hand: all rights that the change needs, and
-- where rows belong to members, the table's owner only.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;
\set VERBOSITY terse

CREATE TABLE merge_rights (id int PRIMARY KEY, v text);
SELECT consistency.attach('merge_rights');
SELECT consistency.merge_row('merge_rights', '{id,v,row_version}',
    ARRAY['1', 'old', '{"seen": {"b": 1}, "stamp": 5, "replica": "b", "event": 1}']);
CREATE ROLE regress_merge_user;
GRANT USAGE ON SCHEMA consistency TO regress_merge_user;
GRANT EXECUTE ON FUNCTION consistency.merge_row(regclass, text[], text[]), consistency.merge_tombstone(regclass, text, row_version, jsonb) TO regress_merge_user;

CREATE FUNCTION merge_both() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    command text;
    answer text;
BEGIN
    FOREACH command IN ARRAY ARRAY[
        $c$consistency.merge_row('merge_rights', '{id,v,row_version}', ARRAY['1', 'new', '{"seen": {"b": 2}, "stamp": 6, "replica": "b", "event": 2}'])$c$,
        $c$consistency.merge_tombstone('merge_rights', '["1"]', '{"length": 2, "seen": {"b": 3}}')$c$]
    LOOP
        BEGIN
            EXECUTE 'SELECT ' || command INTO answer;
            RETURN NEXT answer;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN NEXT sqlerrm;
        END;
    END LOOP;
END $$;

-- each right is needed, and by itself none is enough
SET ROLE regress_merge_user;
SELECT merge_both();
RESET ROLE;
GRANT INSERT ON merge_rights TO regress_merge_user;
SET ROLE regress_merge_user;
SELECT merge_both();
RESET ROLE;
REVOKE INSERT ON merge_rights FROM regress_merge_user;
GRANT UPDATE, DELETE ON merge_rights TO regress_merge_user;
SET ROLE regress_merge_user;
SELECT merge_both();
RESET ROLE;
SELECT id, v FROM merge_rights;

-- these are enough
GRANT INSERT ON merge_rights TO regress_merge_user;
BEGIN;
SET LOCAL ROLE regress_merge_user;
SELECT merge_both();
ROLLBACK;

-- merging is no client's update: optimistic locks don't hold it up
ALTER TABLE merge_rights ADD version int NOT NULL DEFAULT 7;
SELECT consistency.set_optimistic_lock('merge_rights');
UPDATE merge_rights SET v = 'without its version';
BEGIN;
SELECT consistency.merge_row('merge_rights', '{id,v,version,row_version}',
    ARRAY['1', 'new', '9', '{"seen": {"b": 2}, "stamp": 6, "replica": "b", "event": 2}']);
SELECT id, v, version FROM merge_rights;
ROLLBACK;
SELECT consistency.drop_optimistic_lock('merge_rights');
ALTER TABLE merge_rights DROP version;

-- who plays replication passes the check of who owns a row, and so has to own the table
SET consistency.member = 'paris';
CREATE SERVER merge_rights_london FOREIGN DATA WRAPPER consistency_peer OPTIONS (host 'london.example');
SELECT consistency.set_ownership('merge_rights', owner => 'merge_rights_london');
SET ROLE regress_merge_user;
SELECT merge_both();
RESET ROLE;
SELECT id, v FROM merge_rights;
-- what was switched off isn't checked
BEGIN;
ALTER TABLE merge_rights DISABLE TRIGGER zzy_consistency_owner;
SET LOCAL ROLE regress_merge_user;
SELECT merge_both();
ROLLBACK;
UPDATE merge_rights SET v = 'mine';
SELECT merge_both();

RESET consistency.member;
DROP SERVER merge_rights_london;
SELECT consistency.detach('merge_rights');
DROP TABLE merge_rights;
DROP FUNCTION merge_both;
DROP OWNED BY regress_merge_user;
DROP ROLE regress_merge_user;
