-- What CREATE EXTENSION consistency makes, no more and no less.
--
-- Run by pg_prove on a server that preloads the extension; leaves nothing behind.

BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS consistency;

SELECT plan(46);

-- all members, as pg_describe_object names them
CREATE TEMP VIEW member AS
    SELECT classid, objid, pg_describe_object(classid, objid, objsubid) AS what
      FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass
       AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'consistency')
       AND deptype = 'e';

SELECT bag_eq(
    $$ SELECT what FROM member WHERE classid <> 'pg_type'::regclass $$,
    $$ VALUES ('schema consistency'),
              ('foreign-data wrapper consistency'),
              ('function consistency.fdw_validator(text[],oid)'),
              ('function consistency.token()'),
              ('function consistency.transaction_status(text)'),
              ('function consistency.transaction_ticket()'),
              ('function consistency.wait_for(text,interval)'),
              ('function consistency.last_read()'),
              ('function consistency.set_policy(regclass,text,text,interval,bigint,text)'),
              ('function consistency.drop_policy(regclass)'),
              ('function consistency.policy_fields(text)'),
              ('view consistency.policies'),
              ('function consistency.stat_violations()'),
              ('view consistency.stat_violations'),
              ('function consistency.stat_reset()'),
              ('function consistency.node_status()'),
              ('function consistency.nodes()'),
              ('function consistency.node_facts()'),
              ('function consistency."check"()'),
              ('view consistency.nodes') $$,
    'the extension has these members');

-- every member says what it is for
SELECT is_empty(
    $$ SELECT what FROM member
        WHERE coalesce(obj_description(objid, classid::regclass::name), '') = ''
          AND classid <> 'pg_type'::regclass $$,
    'every member has a comment');
SELECT is_empty(
    $$ SELECT attname FROM pg_attribute
        WHERE attrelid IN (SELECT objid FROM member WHERE what LIKE 'view %') AND attnum > 0
          AND coalesce(col_description(attrelid, attnum), '') = '' $$,
    'every column of a view has a comment');
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
    ARRAY['relation', 'kind', 'level', 'max_staleness', 'max_lag', 'on_timeout'],
    'columns of consistency.policies');
SELECT has_view('consistency', 'stat_violations', 'consistency.stat_violations is there');
SELECT columns_are('consistency', 'stat_violations', ARRAY['kind', 'count', 'last'],
    'columns of consistency.stat_violations');

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
                    ARRAY['regclass', 'text', 'text', 'interval', 'bigint', 'text']);
SELECT is(proargnames, ARRAY['relation', 'level', 'kind', 'max_staleness', 'max_lag', 'on_timeout'],
          'set_policy: names of its arguments')
  FROM pg_proc WHERE oid = 'consistency.set_policy'::regproc;
SELECT is(pg_get_expr(proargdefaults, 0),
          $$'minimum'::text, NULL::interval, NULL::bigint, NULL::text$$,
          'set_policy: what can be left out')
  FROM pg_proc WHERE oid = 'consistency.set_policy'::regproc;
SELECT isnt_definer('consistency', 'drop_policy', ARRAY['regclass']);
SELECT has_function('consistency', 'stat_reset', ARRAY[]::text[]);

SELECT has_function('consistency', 'check', ARRAY[]::text[]);
SELECT is(proargnames, ARRAY['severity', 'node', 'subject', 'problem', 'mend'], 'check: its columns')
  FROM pg_proc WHERE oid = 'consistency.check'::regproc;
SELECT isnt_definer('consistency', 'check', ARRAY[]::text[]);
SELECT isnt_definer('consistency', 'node_facts', ARRAY[]::text[]);

-- what holds of all of them
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass AND p.proparallel = 's'
          AND p.proname <> 'fdw_validator' $$,
    'no function that depends on the session claims to be parallel safe');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN member m ON m.objid = p.oid
        WHERE m.classid = 'pg_proc'::regclass AND p.provolatile = 'i' $$,
    'no function claims to be immutable');
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
          AND p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')
          AND p.proname NOT IN ('node_status', 'node_facts') $$,
    'no function in another language');

-- the wrapper
SELECT is(fdwhandler::oid, 0::oid, 'the wrapper has no handler: nodes have no foreign tables')
  FROM pg_foreign_data_wrapper WHERE fdwname = 'consistency';
SELECT isnt(fdwvalidator::oid, 0::oid, 'the wrapper validates its options')
  FROM pg_foreign_data_wrapper WHERE fdwname = 'consistency';

-- gone without a trace
DROP EXTENSION consistency;
SELECT hasnt_schema('consistency', 'DROP EXTENSION takes the schema along');

SELECT * FROM finish();
ROLLBACK;
