-- What an operator should look at now: thresholds against what this server knows.

-- A function, so that what asks for it is about this server: it is never sent elsewhere.
CREATE FUNCTION consistency.alerts(
        max_lag interval DEFAULT '10 seconds',
        max_lag_bytes bigint DEFAULT 268435456,
        max_heartbeat_age interval DEFAULT '5 seconds',
        min_replicas integer DEFAULT 1,
        violations_within interval DEFAULT '1 hour',
        max_refused double precision DEFAULT 0.01,
        max_stale double precision DEFAULT 0.01,
        max_fallback double precision DEFAULT 0.1,
        max_wait_p99 interval DEFAULT '1 second',
        min_reads bigint DEFAULT 100,
        OUT severity text,
        OUT subject text,
        OUT alert text,
        OUT value double precision,
        OUT threshold double precision,
        OUT message text,
        OUT hint text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    WITH node AS MATERIALIZED (
        SELECT name, state, role, timeline, lag_bytes, lag, heartbeat_age, last_error
          FROM consistency.nodes
    ), up AS (
        SELECT name, role, timeline, lag_bytes, lag, heartbeat_age FROM node WHERE state = 'up'
    ), cluster AS (
        SELECT count(*) AS declared,
               (SELECT count(*) FROM up WHERE role = 'primary') AS primaries,
               (SELECT count(*) FROM up WHERE role = 'replica') AS replicas,
               (SELECT max(timeline) FROM up WHERE role = 'primary') AS timeline,
               (SELECT string_agg(name, ', ' ORDER BY name) FROM up WHERE role = 'primary') AS names
          FROM node
    ), read AS MATERIALIZED (
        SELECT coalesce(datname, '(others)') AS datname, level, place, reads, waits, wait_histogram,
               (SELECT coalesce(sum(each.value::bigint), 0)
                  FROM jsonb_each_text(coalesce(fallbacks, '{}')) AS each) AS fallbacks
          FROM consistency.stat_reads
    ), histogram AS (
        SELECT datname, level, array_agg(total ORDER BY bucket) AS buckets
          FROM (SELECT datname, level, bucket, sum(count)::bigint AS total
                  FROM read, unnest(wait_histogram) WITH ORDINALITY AS part (count, bucket)
                 GROUP BY datname, level, bucket) AS summed
         GROUP BY datname, level
    ), level AS (
        SELECT read.datname || ', ' || read.level AS subject, sum(reads) AS reads,
               coalesce(sum(reads) FILTER (WHERE place = 'refused'), 0) / sum(reads) AS refused,
               coalesce(sum(reads) FILTER (WHERE place = 'stale'), 0) / sum(reads) AS stale,
               sum(fallbacks) / sum(reads) AS fallback,
               consistency.wait_quantile(histogram.buckets, (sum(reads) - sum(waits))::bigint, 0.99) / 1000 AS wait_p99
          FROM read JOIN histogram USING (datname, level)
         GROUP BY read.datname, read.level, histogram.buckets
        HAVING sum(reads) >= alerts.min_reads
    ), violation AS (
        SELECT stat.kind,
               (SELECT count(*) FROM consistency.violations AS each
                 WHERE each.kind = stat.kind
                   AND each."time" > now() - alerts.violations_within) AS remembered
          FROM consistency.stat_violations AS stat
         WHERE stat.last > now() - alerts.violations_within
    ), found (severity, subject, alert, value, threshold, message, hint) AS (
        -- what there is of nodes
        SELECT 'error', name, 'node_down', extract(epoch FROM heartbeat_age)::double precision,
               NULL::double precision,
               'the node is down: ' || coalesce(last_error, 'no reason is known'),
               'Start it, or see why this server can''t connect to it; a node that is gone for good is removed with DROP SERVER.'
          FROM node WHERE state = 'down'
        UNION ALL
        SELECT 'warning', name, 'node_unknown', NULL, NULL,
               'the node''s state is not known: ' || coalesce(last_error, 'no heartbeat came back yet'),
               'See consistency.monitor_role, and the monitor''s user mapping for this node.'
          FROM node WHERE state = 'unknown'
        UNION ALL
        SELECT 'error', 'cluster', 'no_primary', 0, 1,
               'no primary is up: writes fail, and what replicas can''t serve',
               'Promote a replica, or start the primary; it must be declared as a node.'
          FROM cluster WHERE declared > 0 AND primaries = 0
        UNION ALL
        SELECT 'error', 'cluster', 'several_primaries', primaries, 1,
               'several nodes take themselves for the primary: ' || names,
               'Shut down all but the one that the replicas follow.'
          FROM cluster WHERE primaries > 1
        UNION ALL
        SELECT 'warning', 'cluster', 'few_replicas', replicas, alerts.min_replicas,
               replicas || ' replicas are up',
               'See the nodes that are down; or lower min_replicas.'
          FROM cluster WHERE declared > 1 AND replicas < alerts.min_replicas
        UNION ALL
        SELECT 'warning', name, 'other_timeline', up.timeline, cluster.timeline,
               'the replica is on timeline ' || up.timeline || ', the primary on ' || cluster.timeline,
               'Have it follow the primary (recovery_target_timeline = latest); use pg_rewind where it has gone on alone.'
          FROM up, cluster WHERE role = 'replica' AND up.timeline <> cluster.timeline
        -- how far behind they are
        UNION ALL
        SELECT 'warning', name, 'heartbeat_age', extract(epoch FROM heartbeat_age),
               extract(epoch FROM alerts.max_heartbeat_age),
               'the last heartbeat came back ' || round(extract(epoch FROM heartbeat_age), 1) || ' s ago',
               'See whether the node monitor runs and isn''t starved; compare consistency.monitor_interval.'
          FROM up WHERE heartbeat_age > alerts.max_heartbeat_age
        UNION ALL
        SELECT 'warning', name, 'lag', extract(epoch FROM lag), extract(epoch FROM alerts.max_lag),
               'the replica is ' || round(extract(epoch FROM lag), 1) || ' s behind',
               'See whether replay is paused, delayed, held up by long reads, or too slow.'
          FROM up WHERE role = 'replica' AND lag > alerts.max_lag
        UNION ALL
        SELECT 'warning', name, 'lag_bytes', lag_bytes, alerts.max_lag_bytes,
               'the replica is ' || pg_size_pretty(lag_bytes) || ' of WAL behind',
               'See whether replay is paused, delayed, held up by long reads, or too slow.'
          FROM up WHERE role = 'replica' AND lag_bytes > alerts.max_lag_bytes
        UNION ALL
        SELECT 'notice', name, 'lag_unknown', NULL, NULL,
               'it is not known how old the replica''s data are',
               'It will be after the primary''s next heartbeat; else see whether the primary is declared.'
          FROM up, cluster WHERE role = 'replica' AND lag IS NULL AND primaries = 1
        UNION ALL
        SELECT 'warning', relation::text, 'policy_unmet', within, 1,
               'no replica is within the bound of the policy now: reads wait, or go to the primary',
               'See the replicas'' lag; or widen the bound with consistency.set_policy().'
          FROM consistency.stat_tables
         WHERE within = 0 AND replicas > 0 AND level <> 'linearizable'
        -- promises
        UNION ALL
        SELECT CASE WHEN kind IN ('lost_position', 'regression') THEN 'error'
                    WHEN kind = 'refused_token' THEN 'notice'
                    ELSE 'warning' END,
               'server', kind, greatest(remembered, 1), 0,
               CASE kind
                   WHEN 'lost_position' THEN 'sessions relied on writes that a failover has lost'
                   WHEN 'stale_answer' THEN 'reads were answered with less than was promised'
                   WHEN 'unfenced_read' THEN 'linearizable reads ran that no synchronous standby confirmed'
                   WHEN 'regression' THEN 'reads were refused that would have gone back behind what their session has seen'
                   WHEN 'unconfirmed_commit' THEN 'commits were not confirmed by their write quorum in time'
                   WHEN 'refused_token' THEN 'tokens were refused: malformed, or of another cluster'
                   ELSE kind END,
               'The view consistency.violations has the newest ones.'
          FROM violation
        -- shares of all reads since the counters were reset
        UNION ALL
        SELECT 'error', level.subject, 'refused_reads', refused, alerts.max_refused,
               round(100 * refused, 2) || ' % of the reads got no answer that keeps the promise',
               'See the nodes'' state and lag, consistency.wait_timeout and consistency.on_timeout.'
          FROM level WHERE refused > alerts.max_refused
        UNION ALL
        SELECT 'warning', level.subject, 'stale_reads', stale, alerts.max_stale,
               round(100 * stale, 2) || ' % of the reads were answered with less than was promised',
               'See the replicas'' lag; consistency.on_timeout = stale allows it.'
          FROM level WHERE stale > alerts.max_stale
        UNION ALL
        SELECT 'warning', level.subject, 'fallbacks', fallback, alerts.max_fallback,
               round(100 * fallback, 2) || ' % of the reads went to the primary although a replica was to serve them',
               'See the column fallbacks of consistency.stat_reads, and the replicas'' state and lag.'
          FROM level WHERE fallback > alerts.max_fallback
        UNION ALL
        SELECT 'warning', level.subject, 'waits', wait_p99, extract(epoch FROM alerts.max_wait_p99),
               '1 of 100 reads waited ' || round(wait_p99::numeric, 3) || ' s or more',
               'See the replicas'' lag; a weaker level or a wider bound waits less.'
          FROM level WHERE wait_p99 > extract(epoch FROM alerts.max_wait_p99)
    )
    SELECT found.severity, found.subject, found.alert, found.value, found.threshold, found.message,
           found.hint
      FROM found
     ORDER BY array_position(ARRAY['error', 'warning', 'notice'], found.severity),
              found.alert, found.subject;
END;
COMMENT ON FUNCTION consistency.alerts(interval, bigint, interval, integer, interval,
        double precision, double precision, double precision, interval, bigint) IS
    'what is beyond a threshold at this server now: nodes, lag, violations, shares of reads; a threshold that is null is not looked at';
REVOKE ALL ON FUNCTION consistency.alerts(interval, bigint, interval, integer, interval,
        double precision, double precision, double precision, interval, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.alerts(interval, bigint, interval, integer, interval,
        double precision, double precision, double precision, interval, bigint) TO pg_monitor;
