-- The settings as an interface: names, kinds and defaults are what others script against.

BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS consistency;

SELECT plan(7);

SELECT bag_eq(
    $$ SELECT name, vartype, context FROM pg_settings
        WHERE name = 'consistency' OR name LIKE 'consistency.%' $$,
    $$ VALUES ('consistency', 'enum', 'user'),
              ('consistency.default_level', 'enum', 'user'),
              ('consistency.monitor_interval', 'integer', 'sighup'),
              ('consistency.monitor_role', 'string', 'sighup'),
              ('consistency.report_token', 'bool', 'user'),
              ('consistency.route_min_cost', 'real', 'user'),
              ('consistency.routing', 'enum', 'user'),
              ('consistency.token', 'string', 'user'),
              ('consistency.wait_timeout', 'integer', 'user') $$,
    'names, types and contexts');
SELECT is(enumvals, ARRAY['linearizable', 'sequential', 'causal', 'bounded', 'session', 'eventual', 'weak'],
          'levels that psql completes') FROM pg_settings WHERE name = 'consistency';
SELECT is(enumvals, ARRAY['off', 'auto', 'always'], 'ways of routing')
  FROM pg_settings WHERE name = 'consistency.routing';
SELECT bag_eq(
    $$ SELECT name, boot_val FROM pg_settings
        WHERE name IN ('consistency.default_level', 'consistency.monitor_interval', 'consistency.monitor_role',
                       'consistency.report_token', 'consistency.routing', 'consistency.token',
                       'consistency.wait_timeout') $$,
    $$ VALUES ('consistency.default_level', 'session'),
              ('consistency.monitor_interval', '1000'),
              ('consistency.monitor_role', ''),
              ('consistency.report_token', 'on'),
              ('consistency.routing', 'auto'),
              ('consistency.token', ''),
              ('consistency.wait_timeout', '10000') $$,
    'defaults');
SELECT bag_eq(
    $$ SELECT name, min_val, unit FROM pg_settings
        WHERE name IN ('consistency.wait_timeout', 'consistency.monitor_interval') $$,
    $$ VALUES ('consistency.wait_timeout', '1', 'ms'), ('consistency.monitor_interval', '10', 'ms') $$,
    'units and minima');
SELECT is_empty(
    $$ SELECT name FROM pg_settings
        WHERE (name = 'consistency' OR name LIKE 'consistency.%') AND coalesce(short_desc, '') = '' $$,
    'every setting says what it is for');
SELECT throws_ok('SET consistency.no_such_thing = 1', '42602', NULL, 'the prefix is reserved');

SELECT * FROM finish();
ROLLBACK;
