-- Reads: what they were promised, where they were answered, what that took.

CREATE FUNCTION consistency.stat_reads(
        OUT dboid oid,
        OUT datname name,
        OUT level text,
        OUT place text,
        OUT reads bigint,
        OUT rows bigint,
        OUT total_time double precision,
        OUT waits bigint,
        OUT wait_time double precision,
        OUT wait_p50 double precision,
        OUT wait_p95 double precision,
        OUT wait_p99 double precision,
        OUT wait_histogram bigint[],
        OUT timeouts bigint,
        OUT retries bigint,
        OUT fallbacks jsonb)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'consistency_stat_reads';
COMMENT ON FUNCTION consistency.stat_reads() IS
    'reads of this server, by database, level and place';
REVOKE ALL ON FUNCTION consistency.stat_reads() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.stat_reads() TO pg_monitor;

CREATE VIEW consistency.stat_reads AS
    SELECT dboid, datname, level, place, reads, rows, total_time, waits, wait_time, wait_p50, wait_p95,
           wait_p99, wait_histogram, timeouts, retries, fallbacks
      FROM consistency.stat_reads();
COMMENT ON VIEW consistency.stat_reads IS
    'reads of this server since the counters were reset, by database, level and place; times in milliseconds';
COMMENT ON COLUMN consistency.stat_reads.dboid IS 'database; null: those beyond the first 63';
COMMENT ON COLUMN consistency.stat_reads.datname IS 'its name; null: it was dropped';
COMMENT ON COLUMN consistency.stat_reads.level IS 'strictest level that anybody asked for';
COMMENT ON COLUMN consistency.stat_reads.place IS
    'local: where the client is connected; waited: there, after a wait of 1 ms or more; routed: by this primary at a replica; forwarded: by this replica at the primary; stale: anywhere, with less than was promised; refused: nowhere, the promise could not be kept';
COMMENT ON COLUMN consistency.stat_reads.reads IS 'how many';
COMMENT ON COLUMN consistency.stat_reads.rows IS 'rows that they returned; not those of COPY table TO';
COMMENT ON COLUMN consistency.stat_reads.total_time IS 'time that they ran, waits among it';
COMMENT ON COLUMN consistency.stat_reads.waits IS 'those that waited for 1 ms or more for what they were promised';
COMMENT ON COLUMN consistency.stat_reads.wait_time IS 'how long, in all';
COMMENT ON COLUMN consistency.stat_reads.wait_p50 IS 'wait that half of these reads did not exceed; 0: less than 1 ms';
COMMENT ON COLUMN consistency.stat_reads.wait_p95 IS 'wait that 95 of 100 did not exceed';
COMMENT ON COLUMN consistency.stat_reads.wait_p99 IS 'wait that 99 of 100 did not exceed';
COMMENT ON COLUMN consistency.stat_reads.wait_histogram IS 'waits by length; consistency.wait_bounds() has the upper bounds';
COMMENT ON COLUMN consistency.stat_reads.timeouts IS 'waits that were in vain';
COMMENT ON COLUMN consistency.stat_reads.retries IS 'nodes that were asked in vain';
COMMENT ON COLUMN consistency.stat_reads.fallbacks IS
    'reads that the primary served although a replica was to, by reason: no_replica (none is up), lag (none is near enough), node_late (one was asked, and did not get there in time), node_failed (one was asked, and failed), wait (the client''s own replica did not get there in time)';
REVOKE ALL ON consistency.stat_reads FROM PUBLIC;
GRANT SELECT ON consistency.stat_reads TO pg_monitor;

CREATE FUNCTION consistency.wait_bounds() RETURNS double precision[]
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'consistency_wait_bounds';
COMMENT ON FUNCTION consistency.wait_bounds() IS
    'upper bounds of the buckets of consistency.stat_reads.wait_histogram, in milliseconds; the last bucket has none';
GRANT EXECUTE ON FUNCTION consistency.wait_bounds() TO PUBLIC;

CREATE FUNCTION consistency.wait_quantile(histogram bigint[], shorter bigint, quantile double precision)
    RETURNS double precision
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'consistency_wait_quantile';
COMMENT ON FUNCTION consistency.wait_quantile(bigint[], bigint, double precision) IS
    'wait that this part (0 to 1) of reads did not exceed, in milliseconds: of a wait_histogram, or several added up, and the number of reads that did not wait';
GRANT EXECUTE ON FUNCTION consistency.wait_quantile(bigint[], bigint, double precision) TO PUBLIC;
