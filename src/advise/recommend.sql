-- Which level a use of the data calls for.

CREATE FUNCTION consistency.recommend(
        critical boolean DEFAULT false,
        stale_read text DEFAULT 'confusing',
        reads_per_second double precision DEFAULT NULL,
        primary_serves double precision DEFAULT NULL,
        distant boolean DEFAULT false,
        own_writes boolean DEFAULT true,
        backwards boolean DEFAULT true,
        collaboration text DEFAULT 'none',
        max_age interval DEFAULT NULL,
        relation regclass DEFAULT NULL,
        role regrole DEFAULT NULL,
        OUT level text,
        OUT max_staleness interval,
        OUT reasons text[],
        OUT statement text,
        OUT cost text)
    RETURNS record
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'consistency_recommend';
COMMENT ON FUNCTION consistency.recommend(boolean, text, double precision, double precision, boolean, boolean, boolean, text, interval, regclass, regrole) IS
    'the level that a use of the data calls for, why, the SQL that sets it for a table, a role or the session, and what it costs';
GRANT EXECUTE ON FUNCTION consistency.recommend(boolean, text, double precision, double precision, boolean, boolean, boolean, text, interval, regclass, regrole) TO PUBLIC;
