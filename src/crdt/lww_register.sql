-- Register that keeps the value with the latest stamp.

COMMENT ON TYPE lww_register IS 'register that keeps the value with the latest stamp';

CREATE FUNCTION lww_register(jsonb) RETURNS lww_register
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lww_register_new';
COMMENT ON FUNCTION lww_register(jsonb) IS 'register to which this replica has assigned a value';

CREATE FUNCTION assign(lww_register, jsonb) RETURNS lww_register
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lww_register_assign';
COMMENT ON FUNCTION assign(lww_register, jsonb) IS 'assign a value, as this replica, with a later stamp';

CREATE FUNCTION value(lww_register) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lww_register_value';
COMMENT ON FUNCTION value(lww_register) IS 'the value assigned last, NULL if there is none';

CREATE FUNCTION stamp(lww_register) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lww_register_stamp';
COMMENT ON FUNCTION stamp(lww_register) IS 'when it was assigned, by the hybrid clock; NULL if never';

CREATE FUNCTION replica(lww_register) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lww_register_replica';
COMMENT ON FUNCTION replica(lww_register) IS 'id of the replica that assigned last, NULL if none ever did';
