-- Promises that were not kept.

CREATE FUNCTION consistency.stat_violations(
        OUT kind text,
        OUT count bigint,
        OUT last timestamptz)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 5
    AS 'MODULE_PATHNAME', 'consistency_stat_violations';
COMMENT ON FUNCTION consistency.stat_violations() IS
    'promises that this server did not keep, by kind';
REVOKE ALL ON FUNCTION consistency.stat_violations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.stat_violations() TO pg_monitor;

CREATE VIEW consistency.stat_violations AS
    SELECT kind, count, last
      FROM consistency.stat_violations();
COMMENT ON VIEW consistency.stat_violations IS
    'promises that this server did not keep since the counters were reset';
COMMENT ON COLUMN consistency.stat_violations.kind IS
    'lost_position: a position that a session relied on was lost in a failover; stale_answer: on_timeout = stale answered with less than was promised; unfenced_read: a linearizable read that no synchronous standby confirmed; regression: a read that would have gone back behind what its session has seen, refused; refused_token: a token that is malformed or of another cluster; unconfirmed_commit: a commit that its write quorum did not confirm, which the client was told';
COMMENT ON COLUMN consistency.stat_violations.count IS 'how often';
COMMENT ON COLUMN consistency.stat_violations.last IS 'when it was the last time';
REVOKE ALL ON consistency.stat_violations FROM PUBLIC;
GRANT SELECT ON consistency.stat_violations TO pg_monitor;

CREATE FUNCTION consistency.violations(
        OUT "time" timestamptz,
        OUT kind text,
        OUT datname name,
        OUT rolname name,
        OUT pid integer,
        OUT application_name text,
        OUT detail text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 50
    AS 'MODULE_PATHNAME', 'consistency_violations';
COMMENT ON FUNCTION consistency.violations() IS
    'the newest promises that this server did not keep';
REVOKE ALL ON FUNCTION consistency.violations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.violations() TO pg_monitor;

CREATE VIEW consistency.violations AS
    SELECT "time", kind, datname, rolname, pid, application_name, detail
      FROM consistency.violations();
COMMENT ON VIEW consistency.violations IS
    'the newest promises that this server did not keep: 200 of each kind';
COMMENT ON COLUMN consistency.violations."time" IS 'when it happened';
COMMENT ON COLUMN consistency.violations.kind IS 'as in consistency.stat_violations';
COMMENT ON COLUMN consistency.violations.datname IS 'database';
COMMENT ON COLUMN consistency.violations.rolname IS 'current user';
COMMENT ON COLUMN consistency.violations.pid IS 'backend';
COMMENT ON COLUMN consistency.violations.application_name IS 'as its session had set it';
COMMENT ON COLUMN consistency.violations.detail IS 'what was promised, and what was had';
REVOKE ALL ON consistency.violations FROM PUBLIC;
GRANT SELECT ON consistency.violations TO pg_monitor;
