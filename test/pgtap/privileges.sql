-- Who may do what.  PUBLIC has what every client needs, and no more.

BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS consistency;

SELECT plan(83);

CREATE ROLE tap_nobody;
CREATE ROLE tap_watcher IN ROLE pg_monitor;
CREATE ROLE tap_admin;
GRANT USAGE ON FOREIGN DATA WRAPPER consistency TO tap_admin;
GRANT ALL ON SCHEMA public TO tap_nobody, tap_watcher, tap_admin;

-- schema: to be used, not to be changed
SELECT schema_privs_are('consistency', 'tap_nobody', ARRAY['USAGE'], 'PUBLIC uses the schema, no more');

-- functions of PUBLIC
SELECT function_privs_are('consistency', 'token', ARRAY[]::text[], 'tap_nobody', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'last_read', ARRAY[]::text[], 'tap_nobody', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'wait_for', ARRAY['text', 'interval'], 'tap_nobody', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'node_status', ARRAY[]::text[], 'tap_nobody', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'fdw_validator', ARRAY['text[]', 'oid'], 'tap_nobody', ARRAY[]::text[]);

-- nothing else: exactly these are PUBLIC's
SELECT bag_eq(
    $$ SELECT p.proname::text FROM pg_proc p
        WHERE p.pronamespace = 'consistency'::regnamespace
          AND has_function_privilege('tap_nobody', p.oid, 'EXECUTE') $$,
    $$ VALUES ('token'), ('last_read'), ('wait_for'), ('wait_for_replicas'), ('node_status'),
              ('set_policy'), ('drop_policy'), ('policy_fields'),
              ('attach'), ('detach'), ('merge_change'), ('refuse_truncate'),
              ('set_ownership'), ('drop_ownership'), ('guard_owner'),
              ('set_optimistic_lock'), ('drop_optimistic_lock'), ('guard_version'),
              ('trigger_declaration'),
              ('transaction_status'), ('transaction_ticket'),
              ('recommend'), ('presets'), ('apply_preset'), ('table_facts'), ('level_facts'), ('advise'),
              ('unresolved'), ('resolve'),
              ('compare'), ('repair'), ('key_digests'), ('key_rows'), ('key_states'), ('sent_position'),
              ('replica_id'), ('clock_next'), ('clock_time'), ('wait_bounds'),
              ('wait_quantile') $$,
    'functions of PUBLIC');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'consistency'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'S', 'p')
          AND c.relname NOT IN ('policies', 'presets', 'owned_tables', 'optimistic_locks', 'conflicts', 'attached_tables')
          AND has_table_privilege('tap_nobody', c.oid,
                                  'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') $$,
    'no relation of PUBLIC but what tables declare, presets and conflicts');
SELECT table_privs_are('consistency', 'policies', 'tap_nobody', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'owned_tables', 'tap_nobody', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'optimistic_locks', 'tap_nobody', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'presets', 'tap_nobody', ARRAY['SELECT']);

-- violations: for those who watch
SELECT table_privs_are('consistency', 'stat_violations', 'tap_nobody', ARRAY[]::text[]);
SELECT table_privs_are('consistency', 'stat_violations', 'tap_watcher', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'stat_conflicts', 'tap_nobody', ARRAY[]::text[]);
SELECT table_privs_are('consistency', 'stat_conflicts', 'tap_watcher', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'conflicts', 'tap_nobody', ARRAY['SELECT'], 'of conflicts a policy says who sees which');
SELECT ok(relrowsecurity, 'conflicts have row-level security') FROM pg_class WHERE oid = 'consistency.conflicts'::regclass;
SELECT table_privs_are('consistency', 'conflicts', 'tap_watcher', ARRAY['SELECT']);
SELECT sequence_privs_are('consistency', 'conflict_ids', 'tap_watcher', ARRAY[]::text[]);
SELECT table_privs_are('consistency', 'comparisons', 'tap_watcher', ARRAY[]::text[], 'keys are data');
SELECT function_privs_are('consistency', 'compare_last', ARRAY['regclass'], 'tap_nobody', ARRAY[]::text[]);
SELECT function_privs_are('consistency', 'compare_last', ARRAY['regclass'], 'tap_watcher', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'stat_reset', ARRAY[]::text[], 'tap_watcher', ARRAY[]::text[]);

-- nodes: addresses of servers, for those who watch
SELECT table_privs_are('consistency', 'nodes', 'tap_nobody', ARRAY[]::text[]);
SELECT table_privs_are('consistency', 'nodes', 'pg_monitor', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'nodes', 'tap_watcher', ARRAY['SELECT']);
SELECT function_privs_are('consistency', 'check', ARRAY[]::text[], 'tap_watcher', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'node_facts', ARRAY[]::text[], 'tap_watcher', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'failover_candidates', ARRAY['text'], 'tap_watcher', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'verify_nodes',
    ARRAY['regclass', 'double precision', 'text[]', 'integer', 'bigint', 'boolean', 'bigint'], 'tap_watcher', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'block_digests', ARRAY['oid', 'oid', 'bigint', 'bigint', 'integer'],
    'tap_watcher', ARRAY['EXECUTE']);
SELECT function_privs_are('consistency', 'block_rows', ARRAY['oid', 'oid', 'bigint'], 'tap_watcher', ARRAY['EXECUTE']);
SELECT table_privs_are('consistency', 'verifications', 'tap_watcher', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'differences', 'tap_watcher', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'verification_findings', 'tap_watcher', ARRAY[]::text[]);
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'consistency'::regnamespace
          AND has_table_privilege('tap_watcher', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') $$,
    'watchers change nothing');

-- column types that merge: all that belongs to them is everybody's
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p
         JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'consistency'
        WHERE p.pronamespace = e.extnamespace AND NOT has_function_privilege('tap_nobody', p.oid, 'EXECUTE') $$,
    'functions of the types are PUBLIC''s');
SELECT is_empty(
    $$ SELECT t.oid::regtype FROM pg_type t
         JOIN pg_depend d ON d.objid = t.oid AND d.classid = 'pg_type'::regclass AND d.deptype = 'e'
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'consistency'
        WHERE t.typnamespace = e.extnamespace AND NOT has_type_privilege('tap_nobody', t.oid, 'USAGE') $$,
    'the types are PUBLIC''s');
SELECT function_privs_are('consistency', 'draw_replica_id', ARRAY[]::text[], 'tap_nobody', ARRAY[]::text[]);
SELECT function_privs_are('consistency', 'draw_replica_id', ARRAY[]::text[], 'tap_watcher', ARRAY[]::text[]);
SELECT table_privs_are('consistency', 'replica_ids', 'tap_watcher', ARRAY['SELECT']);
SELECT table_privs_are('consistency', 'clock', 'tap_watcher', ARRAY['SELECT']);
SELECT sequence_privs_are('consistency', 'clock_mark', 'tap_watcher', ARRAY[]::text[]);

-- the wrapper: who may declare nodes is granted
SELECT fdw_privs_are('consistency', 'tap_nobody', ARRAY[]::text[]);
SELECT fdw_privs_are('consistency', 'tap_admin', ARRAY['USAGE']);

-- the same by doing it
SET ROLE tap_nobody;
SELECT lives_ok('SELECT consistency.token()', 'anyone: token()');
SELECT lives_ok('SELECT * FROM consistency.last_read()', 'anyone: last_read()');
SELECT lives_ok('CALL consistency.wait_for(consistency.token())', 'anyone: wait_for()');
SELECT lives_ok('SELECT * FROM consistency.node_status()', 'anyone: node_status()');
SELECT lives_ok($$SET LOCAL consistency = 'eventual'$$, 'anyone: a level');
SELECT throws_ok('SELECT * FROM consistency.nodes', '42501', NULL, 'nobody: nodes');
SELECT throws_ok('SELECT * FROM consistency.check()', '42501', NULL, 'nobody: check()');
SELECT throws_ok('CREATE TABLE consistency.mine ()', '42501', NULL, 'nobody: a table in the schema');
SELECT throws_ok(
    $$CREATE SERVER tap_server FOREIGN DATA WRAPPER consistency OPTIONS (host 'h')$$,
    '42501', NULL, 'nobody: a server');
SELECT throws_ok($$SET consistency.monitor_role = 'tap_nobody'$$, '55P02', NULL, 'nobody: the monitor''s role');
SELECT lives_ok('SELECT * FROM consistency.policies', 'anyone: policies');
SELECT lives_ok('CREATE TABLE public.tap_mine (i int)', 'anyone: a table');
SELECT lives_ok($$SELECT consistency.set_policy('public.tap_mine', 'causal')$$, 'the owner: a policy');
SELECT lives_ok($$SELECT consistency.apply_preset('public.tap_mine', 'cart')$$, 'the owner: a preset');
SELECT lives_ok('SELECT * FROM consistency.owned_tables, consistency.optimistic_locks', 'anyone: options of tables');
SELECT throws_ok($$SET LOCAL consistency.member = 'paris'$$, '42501', NULL, 'nobody: another member''s name');
SELECT lives_ok('SELECT * FROM consistency.recommend()', 'anyone: recommend()');
SELECT lives_ok('SELECT * FROM consistency.advise()', 'anyone: advise()');
SELECT throws_ok('SELECT * FROM consistency.stat_violations', '42501', NULL, 'nobody: violations');
SELECT throws_ok('SELECT consistency.stat_reset()', '42501', NULL, 'nobody: stat_reset()');
SELECT lives_ok('SELECT consistency.replica_id()', 'anyone: an id is drawn, though the table is closed');
SELECT lives_ok('SELECT consistency.clock_next()', 'anyone: a stamp, though the mark is closed');
SELECT lives_ok($$SET LOCAL consistency.replica_id = 'a'$$, 'anyone: another replica''s id');
SELECT throws_ok('SELECT consistency.draw_replica_id()', '42501', NULL, 'nobody: draw_replica_id()');
SELECT throws_ok('SELECT * FROM consistency.replica_ids', '42501', NULL, 'nobody: all replica ids');
SELECT throws_ok($$SELECT setval('consistency.clock_mark', 1)$$, '42501', NULL, 'nobody: setting the clock');
SELECT throws_ok('SELECT * FROM consistency.clock', '42501', NULL, 'nobody: the clock');
RESET ROLE;
SET ROLE tap_admin;
SELECT throws_ok($$SELECT consistency.set_policy('public.tap_mine', 'weak')$$, '42501', NULL,
                 'nobody else: a policy');
SELECT throws_ok($$SELECT consistency.drop_policy('public.tap_mine')$$, '42501', NULL,
                 'nobody else: not to drop it either');
SELECT throws_ok($$SELECT consistency.apply_preset('public.tap_mine', 'feed')$$, '42501', NULL,
                 'nobody else: a preset');
RESET ROLE;
SET ROLE tap_watcher;
SELECT lives_ok('SELECT * FROM consistency.nodes', 'watcher: nodes');
SELECT lives_ok('SELECT * FROM consistency.check()', 'watcher: check()');
SELECT lives_ok('SELECT * FROM consistency.stat_violations', 'watcher: violations');
SELECT lives_ok('SELECT * FROM consistency.clock', 'watcher: the clock');
RESET ROLE;
SET ROLE tap_admin;
SELECT lives_ok(
    $$CREATE SERVER tap_server FOREIGN DATA WRAPPER consistency OPTIONS (host 'h')$$, 'admin: a server');
SELECT lives_ok(
    $$CREATE USER MAPPING FOR tap_nobody SERVER tap_server OPTIONS ("user" 'u', password 'p')$$,
    'admin: a mapping');
RESET ROLE;
-- another's password isn't for everybody's eyes
SET ROLE tap_nobody;
SELECT is_empty(
    $$ SELECT umoptions FROM pg_user_mappings
        WHERE srvname = 'tap_server' AND umoptions::text LIKE '%password%' AND usename <> 'tap_nobody' $$,
    'nobody sees another''s password');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
