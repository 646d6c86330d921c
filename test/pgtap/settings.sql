-- The settings as an interface: names, kinds and defaults are what others script against.

BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS consistency;

SELECT plan(8);

SELECT bag_eq(
    $$ SELECT name, vartype, context FROM pg_settings
        WHERE name = 'consistency' OR name LIKE 'consistency.%' $$,
    $$ VALUES ('consistency', 'enum', 'user'),
              ('consistency.bounded_keeps_session', 'bool', 'user'),
              ('consistency.conflict_log', 'enum', 'superuser'),
              ('consistency.conflict_log_size', 'integer', 'superuser'),
              ('consistency.connection_idle_timeout', 'integer', 'user'),
              ('consistency.connection_limit', 'integer', 'sighup'),
              ('consistency.default_level', 'enum', 'user'),
              ('consistency.fallback_limit', 'integer', 'sighup'),
              ('consistency.log_min_wait', 'integer', 'superuser'),
              ('consistency.max_clock_drift', 'integer', 'sighup'),
              ('consistency.max_lag', 'integer', 'user'),
              ('consistency.max_staleness', 'integer', 'user'),
              ('consistency.member', 'string', 'superuser'),
              ('consistency.minimum_level', 'enum', 'superuser'),
              ('consistency.monitor_interval', 'integer', 'sighup'),
              ('consistency.monitor_role', 'string', 'sighup'),
              ('consistency.on_timeout', 'enum', 'user'),
              ('consistency.on_unconfirmed', 'enum', 'user'),
              ('consistency.replica_id', 'string', 'user'),
              ('consistency.read_quorum', 'string', 'user'),
              ('consistency.report_token', 'bool', 'user'),
              ('consistency.require_leader_fence', 'bool', 'user'),
              ('consistency.route_min_cost', 'real', 'user'),
              ('consistency.routing', 'enum', 'user'),
              ('consistency.staleness_ceiling', 'integer', 'superuser'),
              ('consistency.token', 'string', 'user'),
              ('consistency.track_reads', 'bool', 'superuser'),
              ('consistency.wait_timeout', 'integer', 'user'),
              ('consistency.write_forwarding', 'bool', 'user'),
              ('consistency.write_quorum', 'string', 'user'),
              ('consistency.write_quorum_timeout', 'integer', 'user') $$,
    'names, types and contexts');
SELECT is(enumvals, ARRAY['linearizable', 'sequential', 'causal', 'bounded', 'session', 'eventual', 'weak'],
          'levels that psql completes') FROM pg_settings WHERE name = 'consistency';
SELECT is(enumvals, ARRAY['off', 'auto', 'always'], 'ways of routing')
  FROM pg_settings WHERE name = 'consistency.routing';
SELECT is(enumvals, ARRAY['primary', 'error', 'stale'], 'what becomes of a read in vain')
  FROM pg_settings WHERE name = 'consistency.on_timeout';
SELECT bag_eq(
    $$ SELECT name, boot_val FROM pg_settings
        WHERE name LIKE 'consistency.%' AND name <> 'consistency.route_min_cost' $$,
    $$ VALUES ('consistency.bounded_keeps_session', 'off'),
              ('consistency.conflict_log', 'discarded'),
              ('consistency.conflict_log_size', '5000'),
              ('consistency.connection_idle_timeout', '300000'),
              ('consistency.connection_limit', '-1'),
              ('consistency.default_level', 'session'),
              ('consistency.fallback_limit', '-1'),
              ('consistency.log_min_wait', '-1'),
              ('consistency.max_clock_drift', '60000'),
              ('consistency.max_lag', '-1'),
              ('consistency.max_staleness', '5000'),
              ('consistency.member', ''),
              ('consistency.minimum_level', 'weak'),
              ('consistency.monitor_interval', '1000'),
              ('consistency.monitor_role', ''),
              ('consistency.on_timeout', 'primary'),
              ('consistency.on_unconfirmed', 'error'),
              ('consistency.replica_id', ''),
              ('consistency.read_quorum', 'one'),
              ('consistency.report_token', 'on'),
              ('consistency.require_leader_fence', 'off'),
              ('consistency.routing', 'auto'),
              ('consistency.staleness_ceiling', '-1'),
              ('consistency.token', ''),
              ('consistency.track_reads', 'on'),
              ('consistency.wait_timeout', '10000'),
              ('consistency.write_forwarding', 'on'),
              ('consistency.write_quorum', 'one'),
              ('consistency.write_quorum_timeout', '10000') $$,
    'defaults');
SELECT bag_eq(
    $$ SELECT name, min_val, unit FROM pg_settings
        WHERE name LIKE 'consistency.%' AND unit IS NOT NULL $$,
    $$ VALUES ('consistency.connection_idle_timeout', '0', 'ms'),
              ('consistency.log_min_wait', '-1', 'ms'), ('consistency.max_clock_drift', '0', 'ms'), ('consistency.max_lag', '-1', 'B'), ('consistency.max_staleness', '-1', 'ms'),
              ('consistency.staleness_ceiling', '-1', 'ms'),
              ('consistency.wait_timeout', '1', 'ms'), ('consistency.write_quorum_timeout', '-1', 'ms'), ('consistency.monitor_interval', '10', 'ms') $$,
    'units and minima');
SELECT is_empty(
    $$ SELECT name FROM pg_settings
        WHERE (name = 'consistency' OR name LIKE 'consistency.%') AND coalesce(short_desc, '') = '' $$,
    'every setting says what it is for');
SELECT throws_ok('SET consistency.no_such_thing = 1', '42602', NULL, 'the prefix is reserved');

SELECT * FROM finish();
ROLLBACK;
