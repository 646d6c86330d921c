--
-- Nodes: servers of the foreign-data wrapper "consistency", and their mappings.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

SELECT fdwname, fdwhandler <> 0 AS handler, fdwvalidator <> 0 AS validator, fdwoptions
  FROM pg_foreign_data_wrapper WHERE fdwname = 'consistency';

-- no nodes, nothing to see
SELECT count(*) FROM consistency.nodes;

-- declared as for postgres_fdw
CREATE SERVER regress_one FOREIGN DATA WRAPPER consistency
    OPTIONS (host '127.0.0.1', port '1', dbname 'postgres');
CREATE SERVER regress_two FOREIGN DATA WRAPPER consistency
    OPTIONS (host '127.0.0.1', port '2', connect_timeout '2', sslmode 'prefer', keepalives '1');
CREATE SERVER "Regress ""three""" FOREIGN DATA WRAPPER consistency OPTIONS (host '/tmp', port '3');

-- options that don't belong to a server (the hint names those that do, by libpq's version)
\set VERBOSITY terse
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', hots 'h');
\echo :LAST_ERROR_SQLSTATE
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', "user" 'u');
\echo :LAST_ERROR_SQLSTATE
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', password 'p');
\echo :LAST_ERROR_SQLSTATE
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', table_name 't');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', fallback_application_name 'x');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', replication 'true');
-- one node has one address
\set VERBOSITY default
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', port 'x');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', port '0');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', port '65536');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'a,b', port '1');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (port '1');
\set VERBOSITY terse
ALTER SERVER regress_one OPTIONS (ADD nonsense '1');
ALTER SERVER regress_one OPTIONS (SET port '4');
-- options of the wrapper itself: none
ALTER FOREIGN DATA WRAPPER consistency OPTIONS (host 'h');

-- mappings
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_one OPTIONS ("user" 'u', password 'p');
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_one OPTIONS (SET password 'q');
CREATE USER MAPPING FOR PUBLIC SERVER regress_one OPTIONS (host 'h');
\echo :LAST_ERROR_SQLSTATE
CREATE USER MAPPING FOR PUBLIC SERVER regress_one OPTIONS (nonsense '1');
CREATE USER MAPPING FOR PUBLIC SERVER regress_one OPTIONS (password_required 'no');
CREATE USER MAPPING FOR PUBLIC SERVER regress_two OPTIONS (password_required 'perhaps');
\set VERBOSITY default

-- what only superusers may say
CREATE ROLE regress_consistency_user;
GRANT USAGE ON FOREIGN SERVER regress_one, regress_two TO regress_consistency_user;
SET ROLE regress_consistency_user;
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_one OPTIONS (password_required 'false');
\echo :LAST_ERROR_SQLSTATE
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_one OPTIONS (sslcert '/x', sslkey '/y');
\echo :LAST_ERROR_SQLSTATE
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_one OPTIONS ("user" 'u', password 'p');
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_one OPTIONS (ADD password_required 'false');
CREATE SERVER regress_bad FOREIGN DATA WRAPPER consistency OPTIONS (host 'h');
\echo :LAST_ERROR_SQLSTATE
-- ... nor look at the nodes, unless allowed to
SELECT count(*) FROM consistency.nodes;
RESET ROLE;
GRANT pg_monitor TO regress_consistency_user;
SET ROLE regress_consistency_user;
SELECT count(*) FROM consistency.nodes;
RESET ROLE;

-- servers here are nodes, not tables
CREATE FOREIGN TABLE regress_table (i int) SERVER regress_one;
SELECT * FROM regress_table;
\echo :LAST_ERROR_SQLSTATE
DROP FOREIGN TABLE IF EXISTS regress_table;
IMPORT FOREIGN SCHEMA public FROM SERVER regress_one INTO public;
\echo :LAST_ERROR_SQLSTATE

-- the view; nothing secret in it
SELECT attname, format_type(atttypid, atttypmod)
  FROM pg_attribute
 WHERE attrelid = 'consistency.nodes'::regclass AND attnum > 0
 ORDER BY attnum;
SELECT count(*) FROM consistency.nodes n WHERE n::text LIKE '%password%';
SELECT name, host, port, state, role, this FROM consistency.nodes ORDER BY name COLLATE "C";
DROP SERVER regress_two CASCADE;
SELECT name FROM consistency.nodes ORDER BY name COLLATE "C";
ALTER SERVER regress_one RENAME TO regress_uno;
SELECT name FROM consistency.nodes ORDER BY name COLLATE "C";
BEGIN;
DROP SERVER regress_uno CASCADE;
ROLLBACK;
SELECT name FROM consistency.nodes ORDER BY name COLLATE "C";

-- nothing is routed to nodes that nobody monitors
SET consistency.routing = 'always';
EXPLAIN (COSTS off) SELECT max(relpages) FROM pg_class;
RESET consistency.routing;

DROP SERVER regress_uno CASCADE;
DROP SERVER "Regress ""three""" CASCADE;
DROP ROLE regress_consistency_user;
SELECT count(*) FROM consistency.nodes;
