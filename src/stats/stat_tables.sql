-- Reads of tables that have a policy.

CREATE FUNCTION consistency.read_tables(
        OUT relid oid,
        OUT decided bigint,
        OUT wait_time double precision,
        OUT timeouts bigint,
        OUT local bigint,
        OUT waited bigint,
        OUT routed bigint,
        OUT forwarded bigint,
        OUT stale bigint,
        OUT refused bigint)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 50
    AS 'MODULE_PATHNAME', 'consistency_read_tables';
COMMENT ON FUNCTION consistency.read_tables() IS
    'reads of tables of this database that have a policy, by place';
REVOKE ALL ON FUNCTION consistency.read_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.read_tables() TO pg_monitor;

-- A function, so that what asks for it is about this server: it is never sent elsewhere.
CREATE FUNCTION consistency.stat_tables(
        OUT relation regclass,
        OUT kind text,
        OUT level text,
        OUT max_staleness interval,
        OUT max_lag bigint,
        OUT reads bigint,
        OUT decided bigint,
        OUT local bigint,
        OUT waited bigint,
        OUT routed bigint,
        OUT forwarded bigint,
        OUT stale bigint,
        OUT refused bigint,
        OUT wait_time double precision,
        OUT timeouts bigint,
        OUT replicas bigint,
        OUT within bigint,
        OUT lag interval,
        OUT lag_bytes bigint)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 50
BEGIN ATOMIC
    SELECT policy.relation, policy.kind, policy.level, policy.max_staleness, policy.max_lag,
           coalesce(read.local + read.waited + read.routed
                    + read.forwarded + read.stale
                    + read.refused, 0) AS reads,
           coalesce(read.decided, 0) AS decided,
           coalesce(read.local, 0) AS local, coalesce(read.waited, 0) AS waited,
           coalesce(read.routed, 0) AS routed, coalesce(read.forwarded, 0) AS forwarded,
           coalesce(read.stale, 0) AS stale, coalesce(read.refused, 0) AS refused,
           coalesce(read.wait_time, 0) AS wait_time, coalesce(read.timeouts, 0) AS timeouts,
           replica.replicas, replica.within, replica.lag, replica.lag_bytes
      FROM consistency.policies AS policy
           LEFT JOIN consistency.read_tables() AS read
                  ON read.relid = policy.relation::oid,
           LATERAL (SELECT count(*) AS replicas,
                           count(*) FILTER (WHERE
                               policy.level <> 'linearizable'
                               AND (policy.max_staleness IS NULL
                                    OR node.lag <= policy.max_staleness)
                               AND (policy.max_lag IS NULL
                                    OR node.lag_bytes <= policy.max_lag)) AS within,
                           max(node.lag) AS lag,
                           max(node.lag_bytes) AS lag_bytes
                      FROM consistency.nodes AS node
                     WHERE node.role = 'replica'
                       AND node.state = 'up') AS replica;
END;
COMMENT ON FUNCTION consistency.stat_tables() IS
    'the policies of this database, and the reads of this server that they held for';
REVOKE ALL ON FUNCTION consistency.stat_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.stat_tables() TO pg_monitor;

CREATE VIEW consistency.stat_tables AS
    SELECT relation, kind, level, max_staleness, max_lag, reads, decided, local, waited, routed,
           forwarded, stale, refused, wait_time, timeouts, replicas, within, lag, lag_bytes
      FROM consistency.stat_tables();
COMMENT ON VIEW consistency.stat_tables IS
    'the policies of this database, the reads of this server that they held for since the counters were reset, and the replicas that could serve them now';
COMMENT ON COLUMN consistency.stat_tables.relation IS 'table or view that has the policy';
COMMENT ON COLUMN consistency.stat_tables.kind IS 'minimum or default';
COMMENT ON COLUMN consistency.stat_tables.level IS 'level that readers get';
COMMENT ON COLUMN consistency.stat_tables.max_staleness IS 'bound in time, with level bounded';
COMMENT ON COLUMN consistency.stat_tables.max_lag IS 'bound in bytes of WAL, with level bounded';
COMMENT ON COLUMN consistency.stat_tables.reads IS 'reads that the policy held for, at most the first four policies of each';
COMMENT ON COLUMN consistency.stat_tables.decided IS 'of these, those whose level was this policy''s and nobody else''s';
COMMENT ON COLUMN consistency.stat_tables.local IS 'answered where the client was connected, at once';
COMMENT ON COLUMN consistency.stat_tables.waited IS 'answered there, after a wait of 1 ms or more';
COMMENT ON COLUMN consistency.stat_tables.routed IS 'answered by a replica for this primary';
COMMENT ON COLUMN consistency.stat_tables.forwarded IS 'answered by the primary for this replica';
COMMENT ON COLUMN consistency.stat_tables.stale IS 'answered with less than was promised';
COMMENT ON COLUMN consistency.stat_tables.refused IS 'not answered: the promise could not be kept';
COMMENT ON COLUMN consistency.stat_tables.wait_time IS 'waits of these reads, in milliseconds';
COMMENT ON COLUMN consistency.stat_tables.timeouts IS 'waits that were in vain';
COMMENT ON COLUMN consistency.stat_tables.replicas IS 'replicas that are up';
COMMENT ON COLUMN consistency.stat_tables.within IS 'of these, those that may serve the level, and are within its bound now';
COMMENT ON COLUMN consistency.stat_tables.lag IS 'lag of the replica that is the furthest behind';
COMMENT ON COLUMN consistency.stat_tables.lag_bytes IS 'the same in bytes of WAL';
REVOKE ALL ON consistency.stat_tables FROM PUBLIC;
GRANT SELECT ON consistency.stat_tables TO pg_monitor;
