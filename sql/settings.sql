--
-- Settings: the level of a session, and those beside it.
--
-- The server must have consistency in shared_preload_libraries.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- what there is
SELECT name, context, vartype, unit, min_val, max_val, enumvals
  FROM pg_settings
 WHERE name = 'consistency' OR name LIKE 'consistency.%'
 ORDER BY name COLLATE "C";
SELECT name, setting, reset_val, source
  FROM pg_settings
 WHERE name IN ('consistency', 'consistency.default_level', 'consistency.report_token',
                'consistency.routing', 'consistency.wait_timeout')
 ORDER BY name COLLATE "C";
SELECT count(*) FROM pg_settings
 WHERE (name = 'consistency' OR name LIKE 'consistency.%')
   AND coalesce(short_desc, '') = '';

-- the levels that exist
SHOW consistency;
SET consistency = 'linearizable';
SHOW consistency;
SET consistency = 'session';
SHOW consistency;
SET consistency = strong;
SHOW consistency;
SET consistency TO 'EVENTUAL';
SHOW consistency;
SET consistency = 'weak';
SHOW consistency;
SELECT current_setting('consistency');
RESET consistency;
SHOW consistency;
SET consistency = 'weak';
SET consistency = DEFAULT;
SHOW consistency;

SET consistency = 'sequential';
SHOW consistency;
SET consistency = 'causal';
SHOW consistency;
SET consistency = 'bounded';
SHOW consistency;
SET consistency.default_level = 'causal';
SHOW consistency;
RESET consistency;
SHOW consistency;
RESET consistency.default_level;
SHOW consistency;

-- no levels
SET consistency = 'serializable';
\echo :LAST_ERROR_SQLSTATE
SET consistency = '';
\echo :LAST_ERROR_SQLSTATE
SET consistency = 1;
\echo :LAST_ERROR_SQLSTATE
SHOW consistency;

-- for a transaction, and taken back with it
BEGIN;
SET LOCAL consistency = 'eventual';
SHOW consistency;
SAVEPOINT s;
SET LOCAL consistency = 'weak';
SHOW consistency;
ROLLBACK TO s;
SHOW consistency;
COMMIT;
SHOW consistency;
BEGIN;
SET consistency = 'eventual';
ROLLBACK;
SHOW consistency;
BEGIN;
SET consistency = 'eventual';
COMMIT;
SHOW consistency;
RESET ALL;
SHOW consistency;
SET LOCAL consistency = 'weak';
SHOW consistency;

-- by function call
SELECT set_config('consistency', 'weak', false);
SHOW consistency;
SELECT set_config('consistency', 'causal', false);
SHOW consistency;
RESET consistency;

-- for a function
CREATE FUNCTION level_inside() RETURNS text
    LANGUAGE sql SET consistency = 'eventual'
    AS $$ SELECT current_setting('consistency') $$;
SELECT level_inside(), current_setting('consistency') AS outside;
SHOW consistency;
CREATE FUNCTION level_inside_too() RETURNS text
    LANGUAGE sql SET consistency = 'causal'
    AS $$ SELECT current_setting('consistency') $$;
SELECT level_inside_too(), current_setting('consistency') AS outside;
DROP FUNCTION level_inside(), level_inside_too();

-- for a role, for a database, for a role in a database
CREATE ROLE regress_consistency_role LOGIN;
ALTER ROLE regress_consistency_role SET consistency = 'eventual';
ALTER ROLE regress_consistency_role SET consistency = 'bounded';
SELECT current_database() AS database, current_user AS me \gset
ALTER DATABASE :"database" SET consistency = 'weak';
\c -
SHOW consistency;
RESET consistency;
SHOW consistency;
SET consistency = 'session';
SHOW consistency;
ALTER ROLE :"me" IN DATABASE :"database" SET consistency = 'linearizable';
\c -
SHOW consistency;
SELECT source FROM pg_settings WHERE name = 'consistency';
ALTER ROLE :"me" IN DATABASE :"database" RESET consistency;
ALTER DATABASE :"database" RESET consistency;
\c -
SHOW consistency;
SELECT setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
 WHERE rolname = 'regress_consistency_role';
DROP ROLE regress_consistency_role;

-- the level that counts where none is set
SET consistency.default_level = 'eventual';
SHOW consistency;
SET consistency = 'session';
SHOW consistency;
SHOW consistency.default_level;
RESET consistency;
SHOW consistency;
RESET consistency.default_level;
SHOW consistency;

-- a name without a dot in a configuration file would keep the server from starting
ALTER SYSTEM SET consistency = 'eventual';
\echo :LAST_ERROR_SQLSTATE
ALTER SYSTEM SET consistency TO DEFAULT;
ALTER SYSTEM SET consistency.token = '';
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM pg_file_settings WHERE name = 'consistency';

-- the others
SET consistency.wait_timeout = '1500ms';
SHOW consistency.wait_timeout;
SET consistency.wait_timeout = '2min';
SHOW consistency.wait_timeout;
SET consistency.wait_timeout = 0;
SET consistency.wait_timeout = -1;
SET consistency.wait_timeout = 'soon';
RESET consistency.wait_timeout;
SHOW consistency.wait_timeout;
SET consistency.routing = always;
SHOW consistency.routing;
SET consistency.routing = 'off';
SHOW consistency.routing;
SET consistency.routing = 'sometimes';
RESET consistency.routing;
SHOW consistency.routing;
SET consistency.route_min_cost = 0;
SET consistency.route_min_cost = 12.5;
SHOW consistency.route_min_cost;
SET consistency.route_min_cost = -1;
SET consistency.route_min_cost = 'NaN';
RESET consistency.route_min_cost;
SET consistency.report_token = off;
SHOW consistency.report_token;
SET consistency.report_token = 'perhaps';
RESET consistency.report_token;
SHOW consistency.report_token;
SET consistency.on_timeout = stale;
SHOW consistency.on_timeout;
SET consistency.on_timeout = 'later';
RESET consistency.on_timeout;
SHOW consistency.on_timeout;
SET consistency.max_staleness = '1min';
SHOW consistency.max_staleness;
SET consistency.max_staleness = -2;
SET consistency.max_lag = '64kB';
SHOW consistency.max_lag;
SET consistency.max_lag = -1;
SHOW consistency.max_lag;
-- bounded without a bound says so, but only when it is read under
SET consistency.max_staleness = -1;
SET consistency = 'bounded';
TABLE pg_am LIMIT 0;
\echo :LAST_ERROR_SQLSTATE
RESET consistency;
RESET consistency.max_staleness;
RESET consistency.max_lag;

-- not for sessions
SET consistency.fallback_limit = 1;
SET consistency.monitor_interval = '5ms';
SET consistency.monitor_role = 'postgres';
\echo :LAST_ERROR_SQLSTATE

-- a name that doesn't exist is a slip of the pen, not a placeholder
SET consistency.wait_timout = 1;
\echo :LAST_ERROR_SQLSTATE
SHOW consistency.nonsense;

-- anyone may choose
CREATE ROLE regress_consistency_anyone;
SET ROLE regress_consistency_anyone;
SET consistency = 'linearizable';
SET consistency.routing = 'always';
SET consistency.wait_timeout = 100;
SHOW consistency;
SET consistency.on_timeout = 'stale';
SET consistency.minimum_level = 'eventual';
\echo :LAST_ERROR_SQLSTATE
SET consistency.staleness_ceiling = '1h';
\echo :LAST_ERROR_SQLSTATE
ALTER ROLE regress_consistency_anyone SET consistency.minimum_level = 'weak';
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
RESET ALL;
-- ... but the level that counts is no less than the administrator's
SET consistency.minimum_level = 'causal';
SET consistency = 'eventual';
SHOW consistency;
TABLE pg_am LIMIT 0;
SELECT level, policy FROM consistency.last_read();
RESET ALL;
DROP ROLE regress_consistency_anyone;
