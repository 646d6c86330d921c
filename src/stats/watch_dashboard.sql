-- All of it at a glance: for psql's \watch.

-- At most 40 lines of at most 100 columns; each section has room for a fixed number of
-- rows, and says how many it leaves out.
CREATE FUNCTION consistency.dashboard() RETURNS SETOF text
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 30
BEGIN ATOMIC
    WITH node AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY role = 'primary' DESC, state <> 'up' DESC, lag DESC NULLS LAST, name) AS place,
               format('  %-20s %-7s %-9s %11s %s  %8s  %6s  %8s %6s',
                      regexp_replace(left(name, 20), '[[:cntrl:]]', '?', 'g'), state,
                      role || CASE WHEN this THEN ' *' ELSE '' END,
                      coalesce(round(extract(epoch FROM lag), 3)::text, '?'),
                      -- full at the threshold of alerts()
                      rpad(repeat('#', least(coalesce(ceil(extract(epoch FROM lag)), 0), 10)::int), 10, '.'),
                      coalesce(replace(pg_size_pretty(lag_bytes), 'bytes', 'B'), '?'),
                      coalesce(round(extract(epoch FROM heartbeat_age), 1)::text, '?'),
                      CASE WHEN requests < 10000000 THEN requests::text ELSE requests / 1000000 || ' M' END,
                      CASE WHEN errors < 100000 THEN errors::text ELSE errors / 1000 || ' k' END) AS line
          FROM consistency.stat_nodes
    ), read AS MATERIALIZED (
        SELECT level, place, reads, waits, total_time, timeouts, retries, fallbacks, wait_histogram
          FROM consistency.stat_reads
    ), histogram AS (
        SELECT level, place, array_agg(total ORDER BY bucket) AS buckets
          FROM (SELECT level, place, bucket, sum(count)::bigint AS total
                  FROM read, unnest(wait_histogram) WITH ORDINALITY AS part (count, bucket)
                 GROUP BY level, place, bucket) AS summed
         GROUP BY level, place
    ), kind AS (
        SELECT level, place, sum(reads) AS reads, sum(timeouts) AS timeouts,
               sum(reads) / sum(sum(reads)) OVER () AS share,
               sum(total_time) / sum(reads) AS mean,
               (SELECT array_agg(consistency.wait_quantile(buckets, (sum(reads) - sum(waits))::bigint, quantile) ORDER BY quantile)
                  FROM unnest(ARRAY[0.5, 0.95, 0.99]) AS quantile) AS waited
          FROM read JOIN histogram USING (level, place)
         GROUP BY level, place, buckets
    ), kind_line AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY reads DESC, level, place) AS place,
               format('  %-12s %-9s %11s %5s %% %s %8s %8s %8s %8s %8s', level, kind.place, reads,
                      round(100 * share, 1), rpad(repeat('#', ceil(10 * share)::int), 10, '.'),
                      round(mean::numeric, 2), round(waited[1]::numeric, 1), round(waited[2]::numeric, 1),
                      round(waited[3]::numeric, 1), timeouts) AS line
          FROM kind
    ), fallback AS (
        SELECT string_agg(each.key || ' ' || each.total, ', ' ORDER BY each.total DESC, each.key) AS reasons
          FROM (SELECT key, sum(value::bigint) AS total
                  FROM read, jsonb_each_text(coalesce(fallbacks, '{}'))
                 GROUP BY key) AS each
    ), violation AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY last DESC) AS place,
               format('  %-14s %11s   last %s s ago', kind, count,
                      round(extract(epoch FROM clock_timestamp() - last))) AS line
          FROM consistency.stat_violations WHERE count > 0
    ), alert AS MATERIALIZED (
        SELECT row_number() OVER () AS place,
               regexp_replace(format('  %-7s %-17s %s: %s', severity, alert, subject, message),
                              '[[:cntrl:]]+', ' ', 'g') AS line
          FROM consistency.alerts()
    ), shown (section, place, line) AS (
        SELECT 1, 0, format('consistency %s   %s, port %s   %s, timeline %s   %s', version,
                            coalesce(nullif(current_setting('cluster_name'), ''), 'this server'),
                            current_setting('port'),
                            CASE WHEN in_recovery THEN 'replica' ELSE 'primary' END, timeline,
                            to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS'))
          FROM consistency.node_status()
        UNION ALL SELECT 1, 1, ''
        UNION ALL SELECT 2, 0, '  node                 state   role          lag (s) full: 10 s    behind  heard (s)     sent errors'
        UNION ALL SELECT 2, place, line FROM node WHERE place <= 8
        UNION ALL SELECT 2, 9, '  and ' || count(*) - 8 || ' more' FROM node HAVING count(*) > 8
        UNION ALL SELECT 2, 9, '  none are declared' FROM node HAVING count(*) = 0
        UNION ALL SELECT 2, 10, ''
        UNION ALL SELECT 3, 0, '  level        place           reads   share           mean (ms) wait p50      p95      p99 timeouts'
        UNION ALL SELECT 3, place, line FROM kind_line WHERE place <= 8
        UNION ALL SELECT 3, 9, '  and ' || count(*) - 8 || ' more kinds' FROM kind_line HAVING count(*) > 8
        UNION ALL SELECT 3, 10, format('  %s reads; %s retries; fell back to the primary: %s',
                                       coalesce(sum(reads), 0), coalesce(sum(retries), 0),
                                       coalesce((SELECT reasons FROM fallback), 'none'))
                    FROM read
        UNION ALL SELECT 3, 11, ''
        UNION ALL SELECT 4, 0, '  promises that were not kept'
        UNION ALL SELECT 4, place, line FROM violation
        UNION ALL SELECT 4, 1, '  none' FROM violation HAVING count(*) = 0
        UNION ALL SELECT 4, 6, ''
        UNION ALL SELECT 5, 0, '  alerts'
        UNION ALL SELECT 5, place, line FROM alert WHERE place <= 5
        UNION ALL SELECT 5, 6, '  and ' || count(*) - 5 || ' more' FROM alert HAVING count(*) > 5
        UNION ALL SELECT 5, 1, '  none' FROM alert HAVING count(*) = 0
    )
    SELECT left(line, 100) FROM shown ORDER BY section, place;
END;
COMMENT ON FUNCTION consistency.dashboard() IS
    'nodes, reads, violations and alerts of this server in at most 40 lines of text';
REVOKE ALL ON FUNCTION consistency.dashboard() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.dashboard() TO pg_monitor;
