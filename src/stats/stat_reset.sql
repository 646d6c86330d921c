-- Counting from zero.

CREATE FUNCTION consistency.stat_reset() RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_stat_reset';
COMMENT ON FUNCTION consistency.stat_reset() IS 'sets the counters of this server to zero';
REVOKE ALL ON FUNCTION consistency.stat_reset() FROM PUBLIC;
