-- Row version: who has changed a row of a table that several servers change.

COMMENT ON TYPE row_version IS 'who has changed a row, and who wrote what in it last';

CREATE FUNCTION stamp(row_version) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'row_version_stamp';
COMMENT ON FUNCTION stamp(row_version) IS 'when the row as a whole was written last, by the hybrid clock; NULL if never';

CREATE FUNCTION replica(row_version) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'row_version_replica';
COMMENT ON FUNCTION replica(row_version) IS 'id of the replica that wrote the row as a whole last, NULL if none ever did';

CREATE FUNCTION lives(row_version) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'row_version_is_alive';
COMMENT ON FUNCTION lives(row_version) IS 'does the row exist, or was it deleted?';

CREATE FUNCTION conflicts(row_version) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'row_version_conflicts';
COMMENT ON FUNCTION conflicts(row_version) IS 'columns of which several values are kept';

CREATE FUNCTION value(row_version) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'crdt_value';
COMMENT ON FUNCTION value(row_version) IS 'whether the row exists, who wrote it last, and its conflicts, as a JSON object';
