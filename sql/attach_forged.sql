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

DROP SCHEMA forged CASCADE;
TRUNCATE consistency.tombstones;
DROP OWNED BY regress_forger;
DROP ROLE regress_forger;
