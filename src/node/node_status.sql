-- What a node says of itself, and what it knows of the others.

CREATE FUNCTION consistency.node_status(
        OUT instance bigint,
        OUT system_identifier text,
        OUT database oid,
        OUT in_recovery boolean,
        OUT timeline integer,
        OUT "position" pg_lsn,
        OUT version text)
    RETURNS record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_node_status';
COMMENT ON FUNCTION consistency.node_status() IS
    'who and where in the write-ahead log this server is: the answer to a heartbeat';
GRANT EXECUTE ON FUNCTION consistency.node_status() TO PUBLIC;

CREATE FUNCTION consistency.nodes(
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
        OUT last_error text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'consistency_nodes';
COMMENT ON FUNCTION consistency.nodes() IS
    'what this server knows of the nodes that this database declares';
REVOKE ALL ON FUNCTION consistency.nodes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.nodes() TO pg_monitor;

CREATE VIEW consistency.nodes AS
    SELECT name, host, port, state, role, this, timeline, "position",
           lag_bytes, lag, heartbeat_age, routed, last_error
      FROM consistency.nodes();
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
