-- What this server knows of the nodes, and has counted of them.

CREATE FUNCTION consistency.stat_nodes(
        OUT name text,
        OUT host text,
        OUT port integer,
        OUT state text,
        OUT role text,
        OUT this boolean,
        OUT timeline integer,
        OUT "position" pg_lsn,
        OUT lag_bytes bigint,
        OUT lag interval,
        OUT heartbeat_age interval,
        OUT routed integer,
        OUT error text,
        OUT replay_rate double precision,
        OUT round_trip interval,
        OUT connections integer,
        OUT requests bigint,
        OUT errors bigint,
        OUT last_error text,
        OUT last_error_at timestamptz,
        OUT state_changes bigint,
        OUT last_state_change_at timestamptz)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'consistency_stat_nodes';
COMMENT ON FUNCTION consistency.stat_nodes() IS
    'what this server knows of the nodes that this database declares, and has counted of them';
REVOKE ALL ON FUNCTION consistency.stat_nodes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.stat_nodes() TO pg_monitor;

CREATE VIEW consistency.nodes AS
    SELECT name, host, port, state, role, this, timeline, "position",
           lag_bytes, lag, heartbeat_age, routed, error AS last_error
      FROM consistency.stat_nodes();
COMMENT ON VIEW consistency.nodes IS
    'the nodes that this database declares: state, role, position and lag as this server knows them';
COMMENT ON COLUMN consistency.nodes.name IS 'name of the server object';
COMMENT ON COLUMN consistency.nodes.host IS 'host (or hostaddr) that it listens on, as declared';
COMMENT ON COLUMN consistency.nodes.port IS 'port that it listens on, as declared';
COMMENT ON COLUMN consistency.nodes.timeline IS 'timeline that its position is on';
COMMENT ON COLUMN consistency.nodes.state IS 'up, down or unknown (no heartbeat came back yet)';
COMMENT ON COLUMN consistency.nodes.role IS 'primary, replica or unknown';
COMMENT ON COLUMN consistency.nodes.this IS 'is it the server that you are connected to?';
COMMENT ON COLUMN consistency.nodes."position" IS 'position that it is known to have replayed (replica) or to have committed up to (primary)';
COMMENT ON COLUMN consistency.nodes.lag_bytes IS 'bytes behind the last known position of the primary';
COMMENT ON COLUMN consistency.nodes.lag IS 'age of what a replica has not replayed';
COMMENT ON COLUMN consistency.nodes.heartbeat_age IS 'time since its last answer';
COMMENT ON COLUMN consistency.nodes.routed IS 'statements that this server has routed there and that still run';
COMMENT ON COLUMN consistency.nodes.last_error IS 'why it is down, or not monitored';
REVOKE ALL ON consistency.nodes FROM PUBLIC;
GRANT SELECT ON consistency.nodes TO pg_monitor;

CREATE VIEW consistency.stat_nodes AS
    SELECT name, state, role, this, timeline, "position", lag_bytes, lag, replay_rate,
           heartbeat_age, round_trip, connections, routed, requests, errors, last_error, last_error_at,
           state_changes, last_state_change_at
      FROM consistency.stat_nodes();
COMMENT ON VIEW consistency.stat_nodes IS
    'the nodes that this database declares: how they are, and what this server has counted of them since the counters were reset';
COMMENT ON COLUMN consistency.stat_nodes.name IS 'name of the server object';
COMMENT ON COLUMN consistency.stat_nodes.state IS 'up, down or unknown (no heartbeat came back yet)';
COMMENT ON COLUMN consistency.stat_nodes.role IS 'primary, replica or unknown';
COMMENT ON COLUMN consistency.stat_nodes.this IS 'is it the server that you are connected to?';
COMMENT ON COLUMN consistency.stat_nodes.timeline IS 'timeline that its position is on';
COMMENT ON COLUMN consistency.stat_nodes."position" IS 'position that it is known to have replayed (replica) or to have committed up to (primary)';
COMMENT ON COLUMN consistency.stat_nodes.lag_bytes IS 'bytes behind the last known position of the primary';
COMMENT ON COLUMN consistency.stat_nodes.lag IS 'age of what a replica has not replayed';
COMMENT ON COLUMN consistency.stat_nodes.replay_rate IS 'bytes of WAL that it replays (or writes, if it is the primary) a second, the mean of about ten seconds';
COMMENT ON COLUMN consistency.stat_nodes.heartbeat_age IS 'time since its last answer';
COMMENT ON COLUMN consistency.stat_nodes.round_trip IS 'time that its last answer took';
COMMENT ON COLUMN consistency.stat_nodes.connections IS 'connections of this server''s sessions to it';
COMMENT ON COLUMN consistency.stat_nodes.routed IS 'statements that this server has sent there and that still run';
COMMENT ON COLUMN consistency.stat_nodes.requests IS 'statements that this server has sent there';
COMMENT ON COLUMN consistency.stat_nodes.errors IS 'heartbeats, connections and statements that failed there; not what a statement did wrong by itself';
COMMENT ON COLUMN consistency.stat_nodes.last_error IS 'what the last one said';
COMMENT ON COLUMN consistency.stat_nodes.last_error_at IS 'when';
COMMENT ON COLUMN consistency.stat_nodes.state_changes IS 'how often it went up or down, or became primary or replica';
COMMENT ON COLUMN consistency.stat_nodes.last_state_change_at IS 'when it last did';
REVOKE ALL ON consistency.stat_nodes FROM PUBLIC;
GRANT SELECT ON consistency.stat_nodes TO pg_monitor;
