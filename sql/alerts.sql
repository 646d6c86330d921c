-- consistency.alerts() and consistency.dashboard(): what can be had on a server by itself.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;
CREATE TABLE alerts_test (x int);
INSERT INTO alerts_test VALUES (1);
CREATE VIEW shown AS
    SELECT severity, replace(subject, current_database(), 'here') AS subject, alert,
           round(value::numeric, 3) AS value, round(threshold::numeric, 3) AS threshold, message, hint <> '' AS hint
      FROM consistency.alerts(min_reads => 4);
-- what is there but for the time
CREATE VIEW dashboard AS
    SELECT n, regexp_replace(regexp_replace(rtrim(line), '^(consistency) .*', '\1'), 'last \d+ s', 'last N s') AS line
      FROM consistency.dashboard() WITH ORDINALITY AS d (line, n);

-- nothing, nothing
SELECT consistency.stat_reset();
SELECT * FROM consistency.alerts();
SELECT line FROM dashboard ORDER BY n;

-- reads that got no answer, and some that did
SET consistency = 'linearizable';
SET consistency.require_leader_fence = on;
SELECT count(*) FROM alerts_test;
-- to look at it is no read, whatever it is put together with
SELECT alert, subject = current_database() || ', linearizable' AS here FROM consistency.alerts(min_reads => 1);
SELECT kind, last > now() - interval '1 hour' AS lately, to_char(last, 'YYYY') = to_char(clock_timestamp(), 'YYYY') AS now
  FROM consistency.stat_violations WHERE last IS NOT NULL;
WITH read AS MATERIALIZED (SELECT place, reads FROM consistency.stat_reads)
SELECT place, reads, reads = (SELECT max(reads) FROM read) AS most, extract(epoch FROM now()) > 0 AS after
  FROM read WHERE place IN (SELECT place FROM read);
-- but not with data, nor is the time by itself
SELECT now() IS NULL;
WITH read AS MATERIALIZED (SELECT x FROM alerts_test) SELECT count(*) FROM consistency.stat_reads, read;
SELECT (SELECT count(*) FROM alerts_test) FROM consistency.stat_reads;
SELECT count(*) FROM consistency.stat_reads WHERE reads IN (SELECT x FROM alerts_test);
SELECT * FROM consistency.stat_reset();
SELECT count(*) FROM alerts_test;
SET consistency.require_leader_fence = off;
SELECT count(*) FROM alerts_test;
SELECT count(*) FROM alerts_test;
SELECT count(*) FROM alerts_test;
RESET consistency;
SET consistency.token = 'nonsense';
SELECT * FROM shown;
-- the thresholds: of the share, of the number of reads, of the time; null is none
SELECT alert FROM consistency.alerts(min_reads => 4, max_refused => 0.25);
SELECT alert FROM consistency.alerts(min_reads => 4, max_refused => 0.249, violations_within => NULL);
SELECT alert FROM consistency.alerts(min_reads => 5);
SELECT alert FROM consistency.alerts(min_reads => 4, max_refused => NULL, violations_within => '0');
SELECT line FROM dashboard WHERE line ~ 'linearizable|reads;|refused_token|unfenced' AND line !~ '\d\.\d\d ' ORDER BY n;

-- nodes of which nothing is known, as no monitor is configured here
CREATE SERVER alerts_one FOREIGN DATA WRAPPER consistency OPTIONS (host '127.0.0.1', port '1');
SELECT severity, subject, alert, value, threshold FROM consistency.alerts(violations_within => NULL);
CREATE SERVER alerts_two FOREIGN DATA WRAPPER consistency OPTIONS (host '127.0.0.1', port '2');
SELECT severity, subject, alert, value, threshold FROM consistency.alerts(violations_within => NULL);
SELECT alert FROM consistency.alerts(violations_within => NULL, min_replicas => NULL);
DROP SERVER alerts_two;

-- however much there is to show
SELECT consistency.stat_reset();
DO $$
BEGIN
    FOR i IN 1 .. 12 LOOP
        EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER consistency OPTIONS (host ''127.0.0.1'', port ''%s'')',
                       repeat('a ' || chr(10) || 'long name', 5) || i, i);
    END LOOP;
END $$;
SET consistency = 'eventual';
SELECT count(*) FROM alerts_test;
SET consistency = 'session';
SELECT count(*) FROM alerts_test;
SET consistency = 'causal';
SELECT count(*) FROM alerts_test;
SET consistency = 'sequential';
SELECT count(*) FROM alerts_test;
SET consistency = 'weak';
SELECT count(*) FROM alerts_test;
RESET consistency;
SELECT count(*) BETWEEN 25 AND 40 AS lines, max(length(line)) BETWEEN 90 AND 100 AS columns,
       bool_and(line !~ '[[:cntrl:]]') AS printable,
       count(*) FILTER (WHERE line = '  and 5 more') AS nodes_left_out,
       count(*) FILTER (WHERE line ~ '^  and 10 more') AS alerts_left_out
  FROM consistency.dashboard() AS d (line);
SELECT line FROM dashboard WHERE line ~ ' reads;';
DO $$
BEGIN
    FOR i IN 1 .. 12 LOOP
        EXECUTE format('DROP SERVER %I', repeat('a ' || chr(10) || 'long name', 5) || i);
    END LOOP;
END $$;
DROP SERVER alerts_one;

-- histograms that were added up
WITH h AS (SELECT array_agg(CASE b WHEN 1 THEN 50 WHEN 5 THEN 50 ELSE 0 END::bigint ORDER BY b) AS h
             FROM generate_series(1, 72) AS b)
SELECT consistency.wait_quantile(h, 0, 0), consistency.wait_quantile(h, 0, 0.5), consistency.wait_quantile(h, 0, 0.75),
       consistency.wait_quantile(h, 0, 1), consistency.wait_quantile(h, 100, 0.5), consistency.wait_quantile(h, 100, 0.75)
  FROM h;
SELECT consistency.wait_quantile('{1,2}', 0, 0.5);
SELECT consistency.wait_quantile(array_fill(NULL::bigint, ARRAY[72]), 0, 0.5);
SELECT consistency.wait_quantile(array_fill(0::bigint, ARRAY[72]), 0, 1.5);
SELECT consistency.wait_quantile(array_fill(0::bigint, ARRAY[72]), 0, 'NaN');
SELECT consistency.wait_quantile(array_fill(0::bigint, ARRAY[72]), 0, 0.5);

-- who may look
CREATE ROLE regress_alerts_user;
SET ROLE regress_alerts_user;
SELECT * FROM consistency.alerts();
SELECT * FROM consistency.dashboard();
RESET ROLE;
GRANT pg_monitor TO regress_alerts_user;
SET ROLE regress_alerts_user;
SELECT count(*) FROM consistency.alerts();
SELECT count(*) > 0 FROM consistency.dashboard();
RESET ROLE;
DROP ROLE regress_alerts_user;
SELECT consistency.stat_reset();
DROP VIEW shown, dashboard;
DROP TABLE alerts_test;
