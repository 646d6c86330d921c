-- Register that keeps all values that were assigned concurrently.  Assigning is
-- done as this replica; clearing doesn't tell whose it is.

COMMENT ON TYPE mv_register IS 'register that keeps all values that were assigned concurrently';

CREATE FUNCTION mv_register(jsonb) RETURNS mv_register
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mv_register_new';
COMMENT ON FUNCTION mv_register(jsonb) IS 'register to which this replica has assigned a value';

CREATE FUNCTION assign(mv_register, jsonb) RETURNS mv_register
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mv_register_assign';
COMMENT ON FUNCTION assign(mv_register, jsonb) IS 'put a value in place of all that are seen, as this replica';

CREATE FUNCTION clear(mv_register) RETURNS mv_register
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mv_register_clear';
COMMENT ON FUNCTION clear(mv_register) IS 'drop all values that are seen';

CREATE FUNCTION value(mv_register) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'crdt_value';
COMMENT ON FUNCTION value(mv_register) IS 'the values that were assigned concurrently, each once, as an array';

CREATE FUNCTION elements(mv_register) RETURNS SETOF jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mv_register_elements';
COMMENT ON FUNCTION elements(mv_register) IS 'the values that were assigned concurrently, each once, as rows';

CREATE FUNCTION cardinality(mv_register) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mv_register_cardinality';
COMMENT ON FUNCTION cardinality(mv_register) IS 'number of values; more than one is a conflict';
