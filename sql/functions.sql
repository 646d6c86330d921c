--
-- Functions: token(), wait_for(), last_read(), node_status(), as they are at a primary.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

CREATE TABLE function_test (i int);
INSERT INTO function_test VALUES (1);

-- wait_for: the primary has what it has issued
SELECT consistency.token() AS mine \gset
CALL consistency.wait_for(:'mine');
CALL consistency.wait_for(:'mine', '1 second');
CALL consistency.wait_for(token => :'mine', timeout => NULL);
-- nothing to wait for
CALL consistency.wait_for('');
CALL consistency.wait_for(NULL);
-- ... nor a token
CALL consistency.wait_for('x');
\echo :LAST_ERROR_SQLSTATE
CALL consistency.wait_for('1:1:0/1:1');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY sqlstate
CALL consistency.wait_for('1:1:0/1');
\set VERBOSITY default
-- timeouts
CALL consistency.wait_for(:'mine', '-1 second');
\echo :LAST_ERROR_SQLSTATE
CALL consistency.wait_for(:'mine', '0');
-- in a transaction, whatever it has done
BEGIN;
INSERT INTO function_test VALUES (2);
CALL consistency.wait_for(:'mine');
COMMIT;
DO $$ BEGIN CALL consistency.wait_for(consistency.token()); END $$;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM function_test;
CALL consistency.wait_for(:'mine');
COMMIT;

-- last_read: one row, whatever was before
SELECT attname, format_type(t, NULL)
  FROM pg_proc p, unnest(proallargtypes, proargnames, proargmodes) WITH ORDINALITY AS a(t, attname, mode, n)
 WHERE p.oid = 'consistency.last_read'::regproc AND mode IN ('o', 't')
 ORDER BY n;
\c -
SELECT count(*) FROM consistency.last_read();
SELECT count(*) FROM function_test;
SELECT level, place, waited = '0' AS no_wait FROM consistency.last_read();
SET consistency = 'eventual';
SELECT count(*) FROM function_test;
SELECT level, place FROM consistency.last_read();
SET consistency = 'linearizable';
SELECT count(*) FROM function_test;
SELECT level, requirement, place <> 'routed' AS here FROM consistency.last_read();
SET consistency = 'weak';
-- neither SET nor EXPLAIN is a read
EXPLAIN (COSTS off) SELECT count(*) FROM function_test;
SELECT count(*) FROM function_test;
SET consistency = 'session';
SHOW consistency;
SELECT level, place, reason <> '' AS reason, requirement <> '' AS requirement FROM consistency.last_read();
RESET consistency;
-- a token that was handed in puts the primary behind its barrier
SET consistency.token = :'mine';
SELECT count(*) FROM function_test;
SELECT level, place <> 'routed' AS here FROM consistency.last_read();
-- a statement that fails is no read
SET consistency = 'eventual';
SELECT count(*) FROM function_test;
RESET consistency;
SELECT 1/0 FROM function_test;
SELECT level IN ('eventual', 'session') AS known FROM consistency.last_read();

-- node_status: what nodes ask each other
SELECT count(*) FROM consistency.node_status();

DROP TABLE function_test;
