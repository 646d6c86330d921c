-- How far the nodes are behind what was written.

CREATE FUNCTION consistency.wait_for_replicas(n integer, timeout interval DEFAULT NULL)
    RETURNS integer
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_wait_for_replicas';
COMMENT ON FUNCTION consistency.wait_for_replicas(integer, interval) IS
    'waits until so many nodes besides this primary have applied the session''s last commit, for consistency.write_quorum_timeout by default; how many have';
GRANT EXECUTE ON FUNCTION consistency.wait_for_replicas(integer, interval) TO PUBLIC;

CREATE FUNCTION consistency.failover_candidates(
        write_quorum text DEFAULT pg_catalog.current_setting('consistency.write_quorum'),
        OUT name name,
        OUT timeline integer,
        OUT "position" pg_lsn,
        OUT complete boolean)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 5
    AS 'MODULE_PATHNAME', 'consistency_failover_candidates';
COMMENT ON FUNCTION consistency.failover_candidates(text) IS
    'replicas that answer, the one that has applied most first, and whether each has all that was acknowledged with that write quorum (null: that isn''t known)';
REVOKE ALL ON FUNCTION consistency.failover_candidates(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.failover_candidates(text) TO pg_monitor;
