-- Promises that were not kept.

CREATE FUNCTION consistency.stat_violations(
        OUT kind text,
        OUT count bigint,
        OUT last timestamptz)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 3
    AS 'MODULE_PATHNAME', 'consistency_stat_violations';
COMMENT ON FUNCTION consistency.stat_violations() IS
    'promises that this server did not keep, by kind';
REVOKE ALL ON FUNCTION consistency.stat_violations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.stat_violations() TO pg_monitor;

CREATE VIEW consistency.stat_violations AS
    SELECT kind, count, last
      FROM consistency.stat_violations();
COMMENT ON VIEW consistency.stat_violations IS
    'promises that this server did not keep since it was started or the counters were reset';
COMMENT ON COLUMN consistency.stat_violations.kind IS
    'lost_position: a position that a session relied on was lost in a failover; stale_answer: on_timeout = stale answered with less than was promised; unfenced_read: a linearizable read that no synchronous standby confirmed';
COMMENT ON COLUMN consistency.stat_violations.count IS 'how often';
COMMENT ON COLUMN consistency.stat_violations.last IS 'when it was the last time';
REVOKE ALL ON consistency.stat_violations FROM PUBLIC;
GRANT SELECT ON consistency.stat_violations TO pg_monitor;

CREATE FUNCTION consistency.stat_reset() RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_stat_reset';
COMMENT ON FUNCTION consistency.stat_reset() IS 'sets the counters of this server to zero';
REVOKE ALL ON FUNCTION consistency.stat_reset() FROM PUBLIC;
