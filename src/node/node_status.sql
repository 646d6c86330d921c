-- What a node says of itself.

CREATE FUNCTION consistency.node_status(
        OUT instance bigint,
        OUT system_identifier text,
        OUT database oid,
        OUT in_recovery boolean,
        OUT timeline integer,
        OUT "position" pg_lsn,
        OUT version text,
        OUT caught_up boolean)
    RETURNS record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_node_status';
COMMENT ON FUNCTION consistency.node_status() IS
    'who and where in the write-ahead log this server is: the answer to a heartbeat';
GRANT EXECUTE ON FUNCTION consistency.node_status() TO PUBLIC;
