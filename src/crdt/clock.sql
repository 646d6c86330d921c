-- The hybrid clock that stamps changes.

CREATE SEQUENCE consistency.clock_mark MINVALUE 0 START 0;
COMMENT ON SEQUENCE consistency.clock_mark IS
    'a stamp that none has reached which was given out in this database: where the clock goes on after a restart or a promotion';
REVOKE ALL ON SEQUENCE consistency.clock_mark FROM PUBLIC;

CREATE FUNCTION consistency.clock_next(seen bigint DEFAULT 0) RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_clock_next';
COMMENT ON FUNCTION consistency.clock_next(bigint) IS
    'a stamp, larger than all given out before and than one that was seen';

CREATE FUNCTION consistency.clock_time(stamp bigint) RETURNS timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'consistency_clock_time';
COMMENT ON FUNCTION consistency.clock_time(bigint) IS 'the time that a stamp stands for';

CREATE FUNCTION consistency.clock(
        OUT stamp bigint,
        OUT physical timestamptz,
        OUT ahead interval,
        OUT mark bigint,
        OUT far_stamps bigint,
        OUT last_far_stamp bigint)
    RETURNS record
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_clock';
COMMENT ON FUNCTION consistency.clock() IS 'state of the hybrid clock';
REVOKE ALL ON FUNCTION consistency.clock() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.clock() TO pg_monitor;

CREATE VIEW consistency.clock AS
    SELECT stamp, consistency.clock_time(stamp) AS time, physical, ahead, mark, far_stamps, last_far_stamp
      FROM consistency.clock();
COMMENT ON VIEW consistency.clock IS 'state of the hybrid clock that stamps changes';
COMMENT ON COLUMN consistency.clock.stamp IS 'no stamp that is given out from now on is lower or the same; null if there was none yet';
COMMENT ON COLUMN consistency.clock.time IS 'the time that it stands for';
COMMENT ON COLUMN consistency.clock.physical IS 'this server''s time';
COMMENT ON COLUMN consistency.clock.ahead IS 'how far the stamp is ahead of that';
COMMENT ON COLUMN consistency.clock.mark IS 'where the clock goes on after a restart, in this database';
COMMENT ON COLUMN consistency.clock.far_stamps IS
    'stamps seen since the server started that were further ahead than consistency.max_clock_drift, and not followed';
COMMENT ON COLUMN consistency.clock.last_far_stamp IS 'the last of these';
REVOKE ALL ON consistency.clock FROM PUBLIC;
GRANT SELECT ON consistency.clock TO pg_monitor;
