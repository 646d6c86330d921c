--
-- Policies of tables: set_policy(), drop_policy(), policies; stat_violations.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

CREATE TABLE policy_test (id int PRIMARY KEY, v text);
SELECT count(*) FROM consistency.policies;

-- what a policy can say, and what it is stored as
SELECT consistency.set_policy('policy_test', 'causal');
SELECT * FROM consistency.policies;
SELECT consistency.set_policy('policy_test', 'STRONG', on_timeout => 'error');
SELECT * FROM consistency.policies;
SELECT consistency.set_policy('policy_test', 'bounded', 'Minimum', '1.5 s', 65536, 'stale');
SELECT * FROM consistency.policies;
SELECT consistency.set_policy('policy_test', 'bounded', 'default');
SELECT * FROM consistency.policies;
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '1 day -1 hour', on_timeout => 'primary');
SELECT consistency.set_policy('policy_test', 'bounded', max_lag => 0);
SELECT objtype, objname, label FROM pg_seclabels WHERE provider = 'consistency';
-- rounded down: never more than was allowed
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '1999 microseconds');
SELECT label FROM pg_seclabels WHERE provider = 'consistency';
-- twice in one statement
SELECT consistency.set_policy('policy_test', l) FROM unnest(ARRAY['weak', 'eventual', 'session']) AS l;
SELECT relation, kind, level FROM consistency.policies;

-- bad input
SELECT consistency.set_policy('policy_test', 'strict');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', 'default');
SELECT consistency.set_policy('policy_test', 'causal', 'maximum');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', 'causal', on_timeout => 'retry');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', 'bounded');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', 'causal', max_staleness => '1 s');
SELECT consistency.set_policy('policy_test', 'causal', max_lag => 1);
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '1 month');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '-1 microsecond');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '2147483647 ms');
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '2147483648 ms');
SELECT consistency.set_policy('policy_test', 'bounded', max_staleness => '2147483647 days');
SELECT consistency.set_policy('policy_test', 'bounded', max_lag => -1);
SELECT consistency.set_policy('policy_test', 'bounded', max_lag => 2147483648);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy(NULL, 'causal');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.set_policy('policy_test', NULL);
SELECT consistency.set_policy('policy_test', 'causal', NULL);
SELECT consistency.drop_policy(NULL);
SELECT consistency.set_policy(1, 'causal');
\echo :LAST_ERROR_SQLSTATE
-- the failed ones have changed nothing
SELECT kind, level, max_staleness FROM consistency.policies;

-- dropped
SELECT consistency.drop_policy('policy_test');
SELECT consistency.drop_policy('policy_test');
SELECT count(*) FROM pg_seclabels WHERE provider = 'consistency';

-- as SECURITY LABEL: checked as well
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=bounded max_staleness=1000ms max_lag=65536B on_timeout=error';
SELECT * FROM consistency.policies;
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'max_lag=65536B minimum=bounded';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=strong';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=causal default=weak';
\set VERBOSITY terse
SECURITY LABEL FOR consistency ON TABLE policy_test IS '';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'causal';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'on_timeout=error';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=bounded max_staleness=1s';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=bounded max_staleness=-1ms';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=bounded max_staleness=99999999999ms';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=bounded';
SECURITY LABEL FOR consistency ON TABLE policy_test IS 'minimum=causal color=blue';
\set VERBOSITY default
SECURITY LABEL FOR consistency ON TABLE policy_test IS NULL;
SELECT count(*) FROM consistency.policies;

-- what can have one
CREATE VIEW policy_view AS SELECT * FROM policy_test;
CREATE MATERIALIZED VIEW policy_matview AS SELECT * FROM policy_test;
CREATE TABLE policy_parted (id int) PARTITION BY RANGE (id);
CREATE TABLE policy_part PARTITION OF policy_parted FOR VALUES FROM (1) TO (10);
CREATE TABLE policy_heir () INHERITS (policy_test);
CREATE TEMP TABLE policy_temp (id int);
CREATE SCHEMA "Policy ""schema";
CREATE TABLE "Policy ""schema"."Policy ""table" ();
SELECT consistency.set_policy(r, 'causal')
  FROM unnest('{policy_view, policy_matview, policy_parted, policy_heir, policy_temp}'::regclass[]) AS r;
SELECT consistency.set_policy('"Policy ""schema"."Policy ""table"', 'causal');
-- only those that have one of their own are listed
SELECT relation, kind, level FROM consistency.policies ORDER BY relation::text COLLATE "C";
-- ... and what can't
CREATE SEQUENCE policy_sequence;
CREATE TYPE policy_type AS (i int);
CREATE FOREIGN DATA WRAPPER policy_wrapper;
CREATE SERVER policy_server FOREIGN DATA WRAPPER policy_wrapper;
CREATE FOREIGN TABLE policy_foreign (i int) SERVER policy_server;
SELECT consistency.set_policy('policy_sequence', 'causal');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT consistency.set_policy('policy_test_pkey', 'causal');
SELECT consistency.set_policy('policy_type', 'causal');
SELECT consistency.set_policy('policy_foreign', 'causal');
SELECT consistency.drop_policy('policy_foreign');
SECURITY LABEL FOR consistency ON FOREIGN TABLE policy_foreign IS 'minimum=causal';
SECURITY LABEL FOR consistency ON SEQUENCE policy_sequence IS 'minimum=causal';
SECURITY LABEL FOR consistency ON SCHEMA "Policy ""schema" IS 'minimum=causal';
\set VERBOSITY default
SECURITY LABEL FOR consistency ON COLUMN policy_test.id IS 'minimum=causal';
SELECT consistency.set_policy('pg_class', 'causal');
DROP FOREIGN DATA WRAPPER policy_wrapper CASCADE;
DROP SEQUENCE policy_sequence;
DROP TYPE policy_type;

-- it goes with the table
ALTER TABLE "Policy ""schema"."Policy ""table" RENAME TO policy_moved;
ALTER TABLE "Policy ""schema".policy_moved SET SCHEMA public;
DROP SCHEMA "Policy ""schema";
SELECT relation FROM consistency.policies WHERE relation = 'policy_moved'::regclass;
DROP TABLE policy_moved, policy_parted, policy_temp;
DROP MATERIALIZED VIEW policy_matview;
SELECT relation FROM consistency.policies ORDER BY relation::text COLLATE "C";
BEGIN;
SELECT consistency.set_policy('policy_heir', 'weak');
SELECT relation, level FROM consistency.policies WHERE relation = 'policy_heir'::regclass;
ROLLBACK;
SELECT relation, level FROM consistency.policies WHERE relation = 'policy_heir'::regclass;
DROP TABLE policy_test CASCADE;
SELECT count(*) FROM pg_seclabels WHERE provider = 'consistency';

-- the owner's, and what everybody may see
CREATE ROLE regress_policy_owner;
CREATE ROLE regress_policy_other;
CREATE TABLE policy_test (id int);
ALTER TABLE policy_test OWNER TO regress_policy_owner;
GRANT ALL ON policy_test TO regress_policy_other;
SET ROLE regress_policy_owner;
SELECT consistency.set_policy('policy_test', 'causal');
SET ROLE regress_policy_other;
SELECT relation, kind, level FROM consistency.policies;
SELECT consistency.set_policy('policy_test', 'weak');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.drop_policy('policy_test');
SECURITY LABEL FOR consistency ON TABLE policy_test IS NULL;
SET ROLE regress_policy_owner;
SELECT consistency.drop_policy('policy_test');
RESET ROLE;
-- a policy is a write
BEGIN READ ONLY;
SELECT consistency.set_policy('policy_test', 'weak');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT consistency.drop_policy('policy_test');
ROLLBACK;

-- a label that can't be read shows as such
SELECT * FROM consistency.policy_fields('minimum=future_level');
SELECT * FROM consistency.policy_fields('default=eventual on_timeout=stale');

-- a table that is only named isn't read
CREATE TABLE policy_named ();
SELECT consistency.set_policy('policy_named', 'causal');
SELECT relname FROM pg_class WHERE oid = 'policy_named'::regclass;
SELECT level, policy FROM consistency.last_read();
SELECT relname FROM pg_class, policy_named WHERE oid = 'policy_named'::regclass;
SELECT level, policy FROM consistency.last_read();
DROP TABLE policy_named;

-- violations: each kind has a row
SELECT consistency.stat_reset();
SELECT kind, count, last FROM consistency.stat_violations ORDER BY kind;
SET ROLE regress_policy_other;
SELECT * FROM consistency.stat_violations;
SELECT consistency.stat_reset();
RESET ROLE;

DROP TABLE policy_test;
DROP ROLE regress_policy_owner, regress_policy_other;
