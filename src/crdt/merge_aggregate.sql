-- What the aggregates of all CRDTs have in common.

CREATE FUNCTION crdt_merge_combine(internal, internal) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
CREATE FUNCTION crdt_merge_serialize(internal) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
CREATE FUNCTION crdt_merge_deserialize(bytea, internal) RETURNS internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION crdt_merge_combine(internal, internal) IS 'aggregate combine function';
COMMENT ON FUNCTION crdt_merge_serialize(internal) IS 'aggregate serial function';
COMMENT ON FUNCTION crdt_merge_deserialize(bytea, internal) IS 'aggregate deserial function';
