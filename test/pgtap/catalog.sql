-- What CREATE EXTENSION consistency makes, no more and no less.
--
-- Run by pg_prove on a server that preloads the extension; leaves nothing behind.

BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS consistency;

SELECT plan(99);

-- all members, as pg_describe_object names them
CREATE TEMP VIEW member AS
    SELECT classid, objid, pg_describe_object(classid, objid, objsubid) AS what
      FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass
       AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'consistency')
       AND deptype = 'e';

-- What an administrator calls is listed, one by one.  Column types that merge,
-- in the extension's own schema, and what belongs to them go by rules, below.
CREATE TEMP VIEW crdt AS
    SELECT t.oid, t.typname::text AS name, t.typnamespace AS schema
      FROM pg_type t JOIN member m ON m.objid = t.oid AND m.classid = 'pg_type'::regclass
      JOIN pg_extension e ON e.extnamespace = t.typnamespace
     WHERE e.extname = 'consistency' AND t.typtype = 'b' AND t.typelem = 0;

-- Their functions; family: what rule each follows.  Sets that only unite don't
-- tell who has added what.
CREATE TEMP VIEW crdt_function AS
    SELECT p.*, p.oid::regprocedure AS what,
           CASE WHEN p.prokind = 'a' THEN 'aggregate'
                WHEN 'internal'::regtype = ANY (p.proargtypes::oid[]) OR p.prorettype = 'internal'::regtype
                    THEN 'support'
                WHEN p.proname IN ('increment', 'decrement', 'transfer', 'assign', 'enable', 'add', 'put')
                     OR p.proname IN (SELECT name FROM crdt)
                    THEN CASE WHEN p.prorettype IN (SELECT oid FROM crdt WHERE name IN ('gset', 'twopset'))
                              THEN 'union' ELSE 'mutator' END
                ELSE 'function' END AS family
      FROM pg_proc p JOIN member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
     WHERE p.pronamespace <> 'consistency'::regnamespace;

-- Descriptions of objects name those schemas that aren't in the path.
CREATE TEMP VIEW listed AS
    SELECT what FROM member
     WHERE classid NOT IN ('pg_type'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
                           'pg_opfamily'::regclass, 'pg_cast'::regclass)
       AND NOT (classid = 'pg_proc'::regclass AND objid IN (SELECT oid FROM crdt_function));

SELECT bag_eq(
    $$ SELECT what FROM listed $$,
    $$ VALUES ('schema consistency'),
              ('foreign-data wrapper consistency'),
              ('foreign-data wrapper consistency_peer'),
              ('function consistency.fdw_validator(text[],oid)'),
              ('function consistency.token()'),
              ('function consistency.transaction_status(text)'),
              ('function consistency.transaction_ticket()'),
              ('function consistency.wait_for(text,interval)'),
              ('function consistency.wait_for_replicas(integer,interval)'),
              ('function consistency.failover_candidates(text)'),
              ('function consistency.last_read()'),
              ('function consistency.set_policy(regclass,text,text,interval,bigint,text,text)'),
              ('function consistency.drop_policy(regclass)'),
              ('function consistency.policy_fields(text)'),
              ('view consistency.policies'),
              ('function consistency.set_ownership(regclass,name,text,text)'),
              ('function consistency.drop_ownership(regclass)'),
              ('function consistency.guard_owner()'),
              ('view consistency.owned_tables'),
              ('function consistency.set_optimistic_lock(regclass,name,text,text)'),
              ('function consistency.drop_optimistic_lock(regclass)'),
              ('function consistency.guard_version()'),
              ('view consistency.optimistic_locks'),
              ('function consistency.trigger_declaration(oid)'),
              ('function consistency.recommend(boolean,text,double precision,double precision,boolean,boolean,boolean,text,interval,regclass,regrole)'),
              ('function consistency.presets()'),
              ('view consistency.presets'),
              ('function consistency.apply_preset(regclass,text)'),
              ('function consistency.table_facts()'),
              ('function consistency.level_facts()'),
              ('function consistency.advise()'),
              ('function consistency.read_tables()'),
              ('function consistency.stat_nodes()'),
              ('function consistency.stat_reads()'),
              ('function consistency.stat_tables()'),
              ('function consistency.stat_violations()'),
              ('function consistency.conflict_counters()'),
              ('function consistency.violations()'),
              ('function consistency.wait_bounds()'),
              ('function consistency.wait_quantile(bigint[],bigint,double precision)'),
              ('function consistency.alerts(interval,bigint,interval,integer,interval,double precision,double precision,double precision,interval,bigint)'),
              ('function consistency.dashboard()'),
              ('view consistency.stat_nodes'),
              ('view consistency.stat_reads'),
              ('view consistency.stat_tables'),
              ('view consistency.stat_violations'),
              ('view consistency.stat_conflicts'),
              ('function consistency.receive_tombstone()'),
              ('function consistency.attach(regclass,jsonb,text,text,text[])'),
              ('table consistency.tombstones'),
              ('function consistency.merge_tombstone(regclass,text,row_version,jsonb)'),
              ('function consistency.merge_change()'),
              ('function consistency.detach(regclass)'),
              ('view consistency.attached_tables'),
              ('function consistency.refuse_truncate()'),
              ('function consistency.merge_row(regclass,text[],text[])'),
              ('sequence consistency.conflict_ids'),
              ('table consistency.conflicts'),
              ('function consistency.unresolved(regclass)'),
              ('function consistency.resolve(regclass,jsonb,name,text)'),
              ('view consistency.violations'),
              ('function consistency.stat_reset()'),
              ('function consistency.node_status()'),
              ('function consistency.node_facts()'),
              ('function consistency."check"()'),
              ('view consistency.nodes'),
              ('function consistency.verify_nodes(regclass,double precision,text[],integer,bigint,boolean,bigint)'),
              ('function consistency.block_digests(oid,oid,bigint,bigint,integer)'),
              ('function consistency.block_rows(oid,oid,bigint)'),
              ('table consistency.verification_runs'),
              ('table consistency.verification_progress'),
              ('table consistency.verification_findings'),
              ('sequence consistency.verification_runs_verification_seq'),
              ('sequence consistency.verification_findings_id_seq'),
              ('view consistency.verifications'),
              ('view consistency.differences'),
              ('table consistency.replica_ids'),
              ('function consistency.replica_id()'),
              ('function consistency.draw_replica_id()'),
              ('function consistency.skip_change()'),
              ('sequence consistency.clock_mark'),
              ('function consistency.clock_next(bigint)'),
              ('function consistency.clock_time(bigint)'),
              ('function consistency.clock()'),
              ('view consistency.clock'),
              ('table consistency.groups'),
              ('table consistency.group_reports'),
              ('table consistency.group_rounds'),
              ('table consistency.tombstone_rounds'),
              ('table consistency.settled_tombstones'),
              ('view consistency.group_memberships'),
              ('view consistency.group_members'),
              ('function consistency.merge_report()'),
              ('function consistency.report_member(text,text,text)'),
              ('function consistency.report_progress(text)'),
              ('function consistency.group_is_ready(text)'),
              ('function consistency.group_acknowledged(text)'),
              ('function consistency.group_settled(text)'),
              ('function consistency.group_findings()'),
              ('function consistency.purge_tombstones()'),
              ('function consistency.declare_member(text,text,text[],text[],text,boolean)'),
              ('function consistency.subscribe_member(text,text,text,text,boolean,boolean)'),
              ('function consistency.depart_member(text,boolean)'),
              ('function consistency.forget_member(text,text,bigint,integer,boolean)'),
              ('function consistency.disband_member(text,boolean)'),
              ('function consistency.join_group(text,text,text,boolean,boolean)'),
              ('function consistency.key_digests(text,text,bigint,boolean,text[])'),
              ('function consistency.key_rows(text,text,bigint,boolean,text,text,integer)'),
              ('function consistency.key_states(text,text,bigint,text[],boolean)'),
              ('function consistency.sent_position()'),
              ('function consistency.compare_last(regclass)'),
              ('function consistency.compare(regclass,text[],text,bigint,integer,interval,boolean)'),
              ('function consistency.repair(regclass,text[],text,bigint,integer,interval,boolean)'),
              ('table consistency.comparisons'),
              ('function consistency.leave_group(text,text,boolean)') $$,
    'the extension has these members');

-- every member says what it is for
SELECT is_empty(
    $$ SELECT what FROM member
        WHERE coalesce(obj_description(objid, classid::regclass::name), '') = ''
          AND NOT (classid = 'pg_type'::regclass AND objid NOT IN (SELECT oid FROM crdt)) $$,
    'every member has a comment');
SELECT is_empty(
    $$ SELECT attname FROM pg_attribute
        WHERE attrelid IN (SELECT objid FROM member WHERE what ~ '^(view|table) ') AND attnum > 0
          AND coalesce(col_description(attrelid, attnum), '') = '' $$,
    'every column of a view or table has a comment');
SELECT isnt(obj_description(oid, 'pg_extension'), NULL, 'the extension has a comment')
  FROM pg_extension WHERE extname = 'consistency';
SELECT ok(extrelocatable = false OR extnamespace = 'public'::regnamespace OR extnamespace <> 0,
          'the extension has a schema')
  FROM pg_extension WHERE extname = 'consistency';
SELECT is(superuser, true, 'only superusers create it') FROM pg_available_extension_versions
 WHERE name = 'consistency' AND installed;
SELECT is(trusted, false, 'it is not trusted') FROM pg_available_extension_versions
 WHERE name = 'consistency' AND installed;

SELECT has_schema('consistency');
SELECT has_view('consistency', 'nodes', 'consistency.nodes is there');
SELECT columns_are('consistency', 'nodes',
    ARRAY['name', 'host', 'port', 'state', 'role', 'this', 'timeline', 'position', 'lag_bytes', 'lag',
          'heartbeat_age', 'routed', 'last_error'],
    'columns of consistency.nodes');

SELECT has_view('consistency', 'policies', 'consistency.policies is there');
SELECT columns_are('consistency', 'policies',
    ARRAY['relation', 'kind', 'level', 'max_staleness', 'max_lag', 'on_timeout', 'write_quorum'],
    'columns of consistency.policies');
SELECT columns_are('consistency', 'owned_tables',
    ARRAY['relation', 'owner_column', 'owner', 'elsewhere', 'enabled'],
    'columns of consistency.owned_tables');
SELECT columns_are('consistency', 'optimistic_locks',
    ARRAY['relation', 'version_column', 'client_sends', 'unversioned', 'enabled'],
    'columns of consistency.optimistic_locks');
SELECT is(proargnames, ARRAY['relation', 'owner_column', 'owner', 'elsewhere'], 'set_ownership: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.set_ownership'::regproc;
SELECT is(proargnames, ARRAY['relation', 'version_column', 'client_sends', 'unversioned'],
          'set_optimistic_lock: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.set_optimistic_lock'::regproc;
SELECT columns_are('consistency', 'verifications',
    ARRAY['verification', 'node', 'relation', 'state', 'equal', 'differences', 'rows', 'blocks', 'skipped',
          'sample', 'failure', 'begun', 'updated'],
    'columns of consistency.verifications');
SELECT columns_are('consistency', 'differences',
    ARRAY['verification', 'node', 'relation', 'place', 'key', 'difference', 'columns', 'detail', 'timeline',
          'position', 'found'],
    'columns of consistency.differences');
SELECT has_view('consistency', 'presets', 'consistency.presets is there');
SELECT columns_are('consistency', 'presets',
    ARRAY['preset', 'used_for', 'kind', 'level', 'max_staleness', 'on_timeout', 'merging', 'beside', 'reason'],
    'columns of consistency.presets');
SELECT has_view('consistency', 'stat_violations', 'consistency.stat_violations is there');
SELECT columns_are('consistency', 'stat_violations', ARRAY['kind', 'count', 'last'],
    'columns of consistency.stat_violations');

SELECT columns_are('consistency', 'stat_conflicts',
    ARRAY['relation', 'column', 'kind', 'resolution', 'discarded', 'count', 'last'],
    'columns of consistency.stat_conflicts');
SELECT columns_are('consistency', 'conflicts',
    ARRAY['id', 'at', 'relation', 'key', 'column', 'kind', 'resolution', 'discarded', 'count', 'local', 'incoming',
          'too_large', 'local_at', 'local_stamp', 'local_replica', 'incoming_at', 'incoming_stamp', 'incoming_replica'],
    'columns of consistency.conflicts');
SELECT is(tgenabled, 'R', 'others'' conflicts are dropped when they are replicated')
  FROM pg_trigger WHERE tgrelid = 'consistency.conflicts'::regclass AND NOT tgisinternal;
SELECT ok(NOT 'consistency.conflicts'::regclass = ANY (extconfig), 'conflicts are not dumped')
  FROM (SELECT coalesce(extconfig, '{}') AS extconfig FROM pg_extension WHERE extname = 'consistency') e;
SELECT policies_are('consistency', 'conflicts', ARRAY['readers_of_the_table', 'watchers'],
    'who sees which conflicts');
SELECT columns_are('consistency', 'violations',
    ARRAY['time', 'kind', 'datname', 'rolname', 'pid', 'application_name', 'detail'],
    'columns of consistency.violations');
SELECT columns_are('consistency', 'stat_reads',
    ARRAY['dboid', 'datname', 'level', 'place', 'reads', 'rows', 'total_time', 'waits', 'wait_time',
          'wait_p50', 'wait_p95', 'wait_p99', 'wait_histogram', 'timeouts', 'retries', 'fallbacks'],
    'columns of consistency.stat_reads');
SELECT columns_are('consistency', 'stat_tables',
    ARRAY['relation', 'kind', 'level', 'max_staleness', 'max_lag', 'reads', 'decided', 'local', 'waited',
          'routed', 'forwarded', 'stale', 'refused', 'wait_time', 'timeouts', 'replicas', 'within',
          'lag', 'lag_bytes'],
    'columns of consistency.stat_tables');
SELECT columns_are('consistency', 'stat_nodes',
    ARRAY['name', 'state', 'role', 'this', 'timeline', 'position', 'lag_bytes', 'lag', 'replay_rate',
          'heartbeat_age', 'round_trip', 'connections', 'routed', 'requests', 'errors', 'last_error',
          'last_error_at', 'state_changes', 'last_state_change_at'],
    'columns of consistency.stat_nodes');

SELECT is(proargnames, ARRAY['max_lag', 'max_lag_bytes', 'max_heartbeat_age', 'min_replicas', 'violations_within',
                             'max_refused', 'max_stale', 'max_fallback', 'max_wait_p99', 'min_reads',
                             'severity', 'subject', 'alert', 'value', 'threshold', 'message', 'hint'],
          'alerts: its thresholds and columns')
  FROM pg_proc WHERE oid = 'consistency.alerts'::regproc;

SELECT columns_are('consistency', 'clock',
    ARRAY['stamp', 'time', 'physical', 'ahead', 'mark', 'far_stamps', 'last_far_stamp'],
    'columns of consistency.clock');
SELECT columns_are('consistency', 'replica_ids',
    ARRAY['id', 'system_identifier', 'timeline', 'database', 'place', 'ordinal', 'drawn_at'],
    'columns of consistency.replica_ids');
SELECT is(tgenabled, 'R', 'others'' replica ids are dropped when they are replicated')
  FROM pg_trigger WHERE tgrelid = 'consistency.replica_ids'::regclass AND NOT tgisinternal;
SELECT ok(NOT 'consistency.replica_ids'::regclass = ANY (extconfig)
          AND NOT 'consistency.clock_mark'::regclass = ANY (extconfig), 'neither replica ids nor the clock are dumped')
  FROM (SELECT coalesce(extconfig, '{}') AS extconfig FROM pg_extension WHERE extname = 'consistency') e;

-- functions
SELECT has_function('consistency', 'token', ARRAY[]::text[]);
SELECT function_returns('consistency', 'token', ARRAY[]::text[], 'text');
SELECT volatility_is('consistency', 'token', ARRAY[]::text[], 'volatile');
SELECT isnt_definer('consistency', 'token', ARRAY[]::text[]);

SELECT has_function('consistency', 'wait_for', ARRAY['text', 'interval']);
SELECT is_procedure('consistency', 'wait_for', ARRAY['text', 'interval'], 'wait_for is a procedure');
SELECT isnt_definer('consistency', 'wait_for', ARRAY['text', 'interval']);
SELECT is(proargnames[1:2], ARRAY['token', 'timeout'], 'wait_for: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.wait_for'::regproc;
SELECT is(pg_get_expr(proargdefaults, 0), 'NULL::interval', 'wait_for: timeout can be left out')
  FROM pg_proc WHERE oid = 'consistency.wait_for'::regproc;

SELECT has_function('consistency', 'last_read', ARRAY[]::text[]);
SELECT volatility_is('consistency', 'last_read', ARRAY[]::text[], 'volatile');
SELECT is(
    (SELECT array_agg(name || ' ' || format_type(type, NULL) ORDER BY n)
       FROM unnest(proargnames, proallargtypes, proargmodes) WITH ORDINALITY AS a(name, type, mode, n)
      WHERE mode IN ('t', 'o')),
    ARRAY['level text', 'policy text', 'requirement text', 'node text', 'position text',
          'waited interval', 'place text', 'reason text'],
    'last_read: its columns')
  FROM pg_proc WHERE oid = 'consistency.last_read'::regproc;
SELECT isnt_definer('consistency', 'last_read', ARRAY[]::text[]);

SELECT has_function('consistency', 'node_status', ARRAY[]::text[]);
SELECT volatility_is('consistency', 'node_status', ARRAY[]::text[], 'volatile');

SELECT isnt_definer('consistency', 'set_policy',
                    ARRAY['regclass', 'text', 'text', 'interval', 'bigint', 'text', 'text']);
SELECT is(proargnames, ARRAY['relation', 'level', 'kind', 'max_staleness', 'max_lag', 'on_timeout', 'write_quorum'],
          'set_policy: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.set_policy'::regproc;
SELECT is(pg_get_expr(proargdefaults, 0),
          $$'minimum'::text, NULL::interval, NULL::bigint, NULL::text, NULL::text$$,
          'set_policy: what can be left out')
  FROM pg_proc WHERE oid = 'consistency.set_policy'::regproc;
SELECT isnt_definer('consistency', 'drop_policy', ARRAY['regclass']);
SELECT has_function('consistency', 'stat_reset', ARRAY[]::text[]);

SELECT has_function('consistency', 'check', ARRAY[]::text[]);
SELECT is(proargnames, ARRAY['severity', 'node', 'subject', 'problem', 'mend'], 'check: its columns')
  FROM pg_proc WHERE oid = 'consistency.check'::regproc;
SELECT isnt_definer('consistency', 'check', ARRAY[]::text[]);
SELECT isnt_definer('consistency', 'node_facts', ARRAY[]::text[]);

SELECT is(proargnames[1:11],
          ARRAY['critical', 'stale_read', 'reads_per_second', 'primary_serves', 'distant', 'own_writes',
                'backwards', 'collaboration', 'max_age', 'relation', 'role'],
          'recommend: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.recommend'::regproc;
SELECT is(pronargdefaults, pronargs, 'recommend: all of them can be left out')
  FROM pg_proc WHERE oid = 'consistency.recommend'::regproc;
SELECT is(proargnames[12:], ARRAY['level', 'max_staleness', 'reasons', 'statement', 'cost'],
          'recommend: its columns')
  FROM pg_proc WHERE oid = 'consistency.recommend'::regproc;
SELECT is(proargnames, ARRAY['relation', 'preset'], 'apply_preset: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.apply_preset'::regproc;
SELECT is(proargnames,
          ARRAY['relation', 'finding', 'level_now', 'level_advised', 'expected_cost', 'statement', 'reason'],
          'advise: its columns')
  FROM pg_proc WHERE oid = 'consistency.advise'::regproc;
SELECT isnt_definer('consistency', 'advise', ARRAY[]::text[]);
SELECT isnt_definer('consistency', 'table_facts', ARRAY[]::text[]);
SELECT isnt_definer('consistency', 'level_facts', ARRAY[]::text[]);

-- what holds of all of them
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass AND p.pronamespace = 'consistency'::regnamespace
          AND p.proparallel = 's' AND p.proname NOT IN ('fdw_validator', 'clock_time', 'presets', 'recommend', 'wait_bounds', 'wait_quantile') $$,
    'no function that depends on the session claims to be parallel safe');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass AND p.pronamespace = 'consistency'::regnamespace
          AND p.provolatile = 'i' AND p.proname NOT IN ('clock_time', 'presets', 'wait_bounds', 'wait_quantile') $$,
    'no function whose answer can change claims to be immutable');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass AND p.prosecdef
          AND NOT coalesce(p.proconfig::text LIKE '%search_path=%pg_catalog%', false) $$,
    'every SECURITY DEFINER function has a search_path of its own');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
          AND p.probin NOT LIKE '%consistency%' $$,
    'C functions come from the library');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass
          AND p.prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('c', 'sql')) AND p.prokind <> 'a' $$,
    'no function in another language than C and SQL');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass
          AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql') AND p.prosqlbody IS NULL $$,
    'what SQL functions call was settled when they were created');

-- the wrapper
SELECT is(fdwhandler::oid, 0::oid, 'the wrapper has no handler: nodes have no foreign tables')
  FROM pg_foreign_data_wrapper WHERE fdwname = 'consistency';
SELECT isnt(fdwvalidator::oid, 0::oid, 'the wrapper validates its options')
  FROM pg_foreign_data_wrapper WHERE fdwname = 'consistency';

-- column types that merge: which there are
SELECT set_eq('SELECT name FROM crdt',
    ARRAY['gcounter', 'pncounter', 'bcounter', 'lww_register', 'mv_register', 'gset', 'twopset', 'orset',
          'ew_flag', 'dw_flag', 'ormap', 'vclock', 'row_version'],
    'types that merge');

-- what each of them has
SELECT is_empty(
    $$ SELECT c.name, t.typinput, t.typoutput, t.typreceive, t.typsend FROM crdt c JOIN pg_type t USING (oid)
        WHERE (t.typinput::oid, t.typoutput::oid, t.typreceive::oid, t.typsend::oid) IS DISTINCT FROM
              (to_regproc(format('%s.%s_in', c.schema::regnamespace, c.name))::oid,
               to_regproc(format('%s.%s_out', c.schema::regnamespace, c.name))::oid,
               to_regproc(format('%s.%s_recv', c.schema::regnamespace, c.name))::oid,
               to_regproc(format('%s.%s_send', c.schema::regnamespace, c.name))::oid) $$,
    'each type has a text and a binary form of its own');
SELECT is_empty(
    $$ SELECT c.name FROM crdt c JOIN pg_type t USING (oid)
        WHERE (t.typlen, t.typalign, t.typstorage, t.typcategory, t.typispreferred)
              <> (-1, 'i', 'x', 'U', false) $$,
    'each type is of variable length, and may be compressed and moved out of line');
SELECT is_empty(
    $$ SELECT c.name, o.operator FROM crdt c, unnest(ARRAY['||', '<@', '@>', '=', '<>']) AS o(operator)
        WHERE to_regoperator(format('%s.%s(%s,%s)', c.schema::regnamespace, o.operator, c.oid::regtype,
                                    c.oid::regtype)) IS NULL $$,
    'each type has || <@ @> = <>');
SELECT is_empty(
    $$ SELECT o.oid::regoperator FROM pg_operator o JOIN crdt c ON c.oid = o.oprleft AND c.oid = o.oprright
        WHERE o.oprcom = 0
           OR o.oprresult <> CASE o.oprname WHEN '||' THEN c.oid ELSE 'boolean'::regtype END
           OR (o.oprname IN ('=', '<>')) <> (o.oprnegate <> 0)
           OR (o.oprname = '=') <> o.oprcanhash
           OR o.oprcanmerge $$,
    '... with commutators, negators and results');
SELECT is_empty(
    $$ SELECT c.name FROM crdt c
        WHERE NOT EXISTS (SELECT FROM pg_opclass k JOIN pg_am a ON a.oid = k.opcmethod
                           WHERE k.opcintype = c.oid AND a.amname = 'hash' AND k.opcdefault
                             AND (SELECT count(*) FROM pg_amproc f WHERE f.amprocfamily = k.opcfamily) = 2) $$,
    'each type can be hashed');
SELECT is_empty(
    $$ SELECT c.name FROM crdt c
        WHERE NOT EXISTS (SELECT FROM crdt_function p JOIN pg_aggregate a ON a.aggfnoid = p.oid
                           WHERE p.proname = 'merge' AND p.prorettype = c.oid
                             AND p.proargtypes[0] = c.oid AND p.pronargs = 1
                             AND a.aggcombinefn <> 0 AND a.aggserialfn <> 0 AND a.aggdeserialfn <> 0) $$,
    'each type has an aggregate merge() that can be run in parallel');
SELECT is_empty(
    $$ SELECT c.name FROM crdt c
        WHERE NOT EXISTS (SELECT FROM pg_cast k WHERE k.castsource = c.oid AND k.casttarget = 'jsonb'::regtype
                             AND k.castfunc = to_regprocedure(format('%s.jsonb(%s)', c.schema::regnamespace,
                                                                     c.oid::regtype))) $$,
    'each type can be cast to jsonb');
SELECT is_empty(
    $$ SELECT c.name FROM crdt c
        WHERE to_regprocedure(format('%s.value(%s)', c.schema::regnamespace, c.oid::regtype)) IS NULL $$,
    'each type has a value');

-- what holds of their functions
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE family = 'mutator' AND (provolatile, proparallel) <> ('v', 'u') $$,
    'what changes a value as this replica is volatile, and parallel unsafe');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE proname IN ('remove', 'clear', 'reset', 'disable') AND NOT prorettype::regtype::text ~ 'dw_flag$'
          AND (provolatile, proparallel) <> ('i', 's') $$,
    'what undoes changes that are seen does not depend on who does it, but for a flag on which off is a change');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE (provolatile, proparallel) NOT IN (('i', 's'), ('v', 'u')) $$,
    'everything else is immutable and parallel safe, or as these');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE provolatile <> 'i'
          AND (family IN ('aggregate', 'support', 'union') OR prorettype NOT IN (SELECT oid FROM crdt))
          AND oid <> to_regprocedure(format('%s.rights(%1$s.bcounter)',
                                            (SELECT DISTINCT schema::regnamespace FROM crdt))) $$,
    'only what returns a state depends on who asks, and the rights that one has');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE NOT proisstrict AND family IN ('mutator', 'union', 'function')
          AND NOT 'anyelement'::regtype = ANY (proargtypes::oid[]) $$,
    'nothing is made of nulls, but where a null stands for its type');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE prosecdef OR proleakproof OR proconfig IS NOT NULL
           OR prolang <> (SELECT oid FROM pg_language
                           WHERE lanname = CASE family WHEN 'aggregate' THEN 'internal' ELSE 'c' END) $$,
    'all are written in C, with the caller''s rights');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE proname = 'count' OR pronamespace <> (SELECT extnamespace FROM pg_extension
                                                     WHERE extname = 'consistency') $$,
    'none hides the aggregate count(), and all are where the types are');
SELECT is_empty(
    $$ SELECT what FROM crdt_function
        WHERE family IN ('mutator', 'union', 'function') AND proname NOT LIKE '%\_in'
          AND NOT EXISTS (SELECT FROM crdt WHERE oid = prorettype OR oid = ANY (proargtypes::oid[]))
          AND NOT proname LIKE 'crdt\_%' AND NOT proname LIKE 'gin\_crdt%' $$,
    'all have to do with one of the types');
SELECT is_empty(
    $$ SELECT m.what FROM member m JOIN pg_cast k ON k.oid = m.objid AND m.classid = 'pg_cast'::regclass
        WHERE k.castsource NOT IN (SELECT oid FROM crdt) AND k.castcontext <> 'e' $$,
    'no value turns into a state unless it is asked to');
SELECT is_empty(
    $$ SELECT m.what FROM member m JOIN pg_cast k ON k.oid = m.objid AND m.classid = 'pg_cast'::regclass
        WHERE k.castcontext = 'i' $$,
    'no cast is implicit');
SELECT is_empty(
    $$ SELECT o.oid::regoperator FROM pg_operator o JOIN member m
           ON m.objid = o.oid AND m.classid = 'pg_operator'::regclass
        WHERE o.oprcode = 0 OR NOT EXISTS (SELECT FROM crdt WHERE oid IN (o.oprleft, o.oprright)) $$,
    'all operators are those of the types');

-- the functions of ids and clock
SELECT is(provolatile::text || proparallel::text, 'is', 'clock_time() depends on nothing else')
  FROM pg_proc WHERE oid = 'consistency.clock_time'::regproc;
SELECT is_empty(
    $$ SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'consistency'::regnamespace
          AND proname IN ('replica_id', 'draw_replica_id', 'clock_next')
          AND (provolatile, proparallel) <> ('v', 'u') $$,
    'what may write is parallel unsafe');

-- gone without a trace
DROP VIEW listed, crdt_function;
DROP EXTENSION consistency;
SELECT hasnt_schema('consistency', 'DROP EXTENSION takes the schema along');

SELECT * FROM finish();
ROLLBACK;
