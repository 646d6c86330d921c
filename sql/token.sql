--
-- Tokens: what a session has written and seen.
--
-- Positions differ from run to run, so they are compared, never shown.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

CREATE TABLE token_test (i int);

-- the position in a token
CREATE FUNCTION token_lsn(token text) RETURNS pg_lsn LANGUAGE sql IMMUTABLE STRICT
    AS $$ SELECT split_part(token, ':', 3)::pg_lsn $$;
-- how a statement ends, with this cluster's identifier taken out of the text
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql
    AS $$
DECLARE
    own text := (SELECT system_identifier FROM pg_control_system());
    said text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN replace(replace(concat_ws(E'\n', SQLSTATE || ' ' || said, nullif(detail, ''), nullif(hint, '')),
                           own, '<own>'), (own::numeric + 1)::text, '<other>');
END $$;

-- a new session knows nothing
\c -
SHOW consistency.token;

-- after a commit it knows that commit
INSERT INTO token_test VALUES (1);
SELECT current_setting('consistency.token') AS written \gset
SELECT :'written' ~ '^[0-9]+:[0-9]+:[0-9A-F]+/[0-9A-F]+$' AS form,
       split_part(:'written', ':', 1) = (SELECT system_identifier::text FROM pg_control_system()) AS own,
       split_part(:'written', ':', 2)::int = (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
       token_lsn(:'written') <= pg_current_wal_insert_lsn() AS not_ahead;

-- the function says the same as the setting
SELECT consistency.token() = current_setting('consistency.token') AS same;

-- each commit moves it
INSERT INTO token_test VALUES (2);
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'written') AS moved;
BEGIN;
SELECT current_setting('consistency.token') AS inside \gset
INSERT INTO token_test VALUES (3);
SELECT current_setting('consistency.token') = :'inside' AS not_before_commit;
COMMIT;
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'inside') AS moved;

-- ... by whatever way something is written
SELECT current_setting('consistency.token') AS before \gset
CREATE TABLE token_ddl ();
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'before') AS ddl;
SELECT current_setting('consistency.token') AS before \gset
DO $$ BEGIN INSERT INTO token_test VALUES (4); END $$;
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'before') AS plpgsql;
SELECT current_setting('consistency.token') AS before \gset
COPY token_test FROM STDIN;
5
\.
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'before') AS copy;
SELECT current_setting('consistency.token') AS before \gset
GRANT SELECT ON token_test TO PUBLIC;
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'before') AS grant;
SELECT current_setting('consistency.token') AS before \gset
SET synchronous_commit = off;
INSERT INTO token_test VALUES (6);
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'before') AS asynchronous;
RESET synchronous_commit;
SELECT current_setting('consistency.token') AS before \gset
VACUUM (FREEZE) token_test;
ANALYZE token_test;
SELECT token_lsn(current_setting('consistency.token')) > token_lsn(:'before') AS analyze;

-- what was rolled back moves nothing: seen where tokens are reported, test/t/002

-- cleared by each of these
RESET consistency.token;
SHOW consistency.token;
INSERT INTO token_test VALUES (7);
SELECT current_setting('consistency.token') <> '' AS known;
SET consistency.token = '';
SHOW consistency.token;
INSERT INTO token_test VALUES (8);
SELECT current_setting('consistency.token') <> '' AS known;
SET consistency.token TO DEFAULT;
SHOW consistency.token;
INSERT INTO token_test VALUES (9);
SELECT current_setting('consistency.token') <> '' AS known;
RESET ALL;
SHOW consistency.token;
INSERT INTO token_test VALUES (10);
SELECT current_setting('consistency.token') <> '' AS known;
DISCARD ALL;
SHOW consistency.token;
-- ... though the setting was never set, as it isn't without reports
\c -
SET consistency.report_token = off;
INSERT INTO token_test VALUES (11);
SELECT current_setting('consistency.token') <> '' AS known;
RESET ALL;
SHOW consistency.token;
\c -
SET consistency.report_token = off;
INSERT INTO token_test VALUES (12);
DISCARD ALL;
SHOW consistency.token;
-- ... but not by these
INSERT INTO token_test VALUES (13);
SELECT current_setting('consistency.token') AS kept \gset
DISCARD PLANS;
DISCARD TEMP;
SELECT token_lsn(current_setting('consistency.token')) >= token_lsn(:'kept') AS kept;

-- a reader learns what it can have seen
SELECT current_setting('consistency.token') AS written \gset
\c -
SHOW consistency.token;
SELECT count(*) > 0 AS read FROM token_test;
SELECT token_lsn(current_setting('consistency.token')) >= token_lsn(:'written') AS seen;

-- import: at once, whatever becomes of the transaction, never backwards
\c -
SET consistency.token = :'written';
SELECT current_setting('consistency.token') <> '' AS known;
\c -
BEGIN;
SET consistency.token = :'written';
ROLLBACK;
SELECT token_lsn(current_setting('consistency.token')) >= token_lsn(:'written') AS kept;
\c -
BEGIN;
SET LOCAL consistency.token = :'written';
COMMIT;
SELECT token_lsn(current_setting('consistency.token')) >= token_lsn(:'written') AS kept;
\c -
INSERT INTO token_test VALUES (14);
SELECT current_setting('consistency.token') AS newer \gset
SET consistency.token = :'written';
SELECT token_lsn(current_setting('consistency.token')) >= token_lsn(:'newer') AS not_backwards;
-- ... nor forgotten when a function that imports it ends
\c -
CREATE FUNCTION read_with_token() RETURNS bigint
    LANGUAGE sql AS 'SELECT count(*) FROM token_test';
SELECT outcome(format('ALTER FUNCTION read_with_token() SET consistency.token = %L', :'newer'));
INSERT INTO token_test VALUES (15);
SELECT current_setting('consistency.token') AS before \gset
SELECT read_with_token() > 0 AS read;
SELECT token_lsn(current_setting('consistency.token')) >= token_lsn(:'before') AS not_forgotten;
DROP FUNCTION read_with_token();
-- digits may be lower case, as other programs write them
SELECT outcome(format('SET consistency.token = %L', lower(:'written')));
SELECT outcome(format('SELECT set_config(''consistency.token'', %L, false)', :'written'));

-- no tokens
SELECT system_identifier AS own FROM pg_control_system() \gset
\pset format unaligned
SELECT i, split_part(outcome(format('SET consistency.token = %L', bad)), E'\n', 1) AS outcome
  FROM (VALUES (1, 'x'), (2, ' '), (3, '1'), (4, '1:1'), (5, '1:1:1'), (6, '1:1:0/1:1'), (7, ':::'),
               (8, '::/'), (9, '1:1:/1'), (10, '1:1:1/'), (11, '1:1:G/1'), (12, '-1:1:0/1'),
               (13, '+1:1:0/1'), (14, ' 1:1:0/1'), (15, '1:1:0/1 '), (16, '1: 1:0/1'), (17, '1:0:0/1'),
               (18, '1:4294967296:0/1'), (19, '1:1:100000000/0'), (20, '1:1:0/100000000'),
               (21, '18446744073709551616:1:0/1'), (22, '1:1:0/0'), (23, '0x1:1:0/1'), (24, '1:1:0x1/1'),
               (25, '1:1:0/1;'), (26, repeat('9', 40)))
       AS v(i, bad)
 ORDER BY i;
SELECT outcome(format('SET consistency.token = %L', :'own' || ':1:0/0'));
SELECT outcome(format('SET consistency.token = %L', :'own' || ':0:0/1'));
-- tokens of another cluster
SELECT outcome(format('SET consistency.token = %L', (:'own'::numeric + 1) || ':1:0/1'));
SELECT outcome('SET consistency.token = ''1:1:0/1''');
SELECT outcome(format('SELECT set_config(''consistency.token'', %L, true)', (:'own'::numeric + 1) || ':1:0/1'));
\pset format aligned
-- what failed left nothing behind
\c -
SET consistency.token = 'x';
\echo :LAST_ERROR_SQLSTATE
SHOW consistency.token;

-- the level decides what is promised, not what is known
\c -
SET consistency = 'eventual';
INSERT INTO token_test VALUES (16);
SELECT current_setting('consistency.token') <> '' AS known;

DROP TABLE token_test, token_ddl;
DROP FUNCTION token_lsn(text), outcome(text);
