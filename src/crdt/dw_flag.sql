-- Flag that is off if it was switched on and off concurrently.

COMMENT ON TYPE dw_flag IS 'flag that is off if it was switched on and off concurrently';

CREATE FUNCTION dw_flag(boolean) RETURNS dw_flag
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'dw_flag_new';
COMMENT ON FUNCTION dw_flag(boolean) IS 'flag that this replica has switched on or off';

CREATE FUNCTION enable(dw_flag) RETURNS dw_flag
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'dw_flag_enable';
COMMENT ON FUNCTION enable(dw_flag) IS 'switch on, as this replica';

CREATE FUNCTION disable(dw_flag) RETURNS dw_flag
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'dw_flag_disable';
COMMENT ON FUNCTION disable(dw_flag) IS 'switch off, as this replica';

CREATE FUNCTION value(dw_flag) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dw_flag_value';
COMMENT ON FUNCTION value(dw_flag) IS 'is it on?';

CREATE CAST (dw_flag AS boolean) WITH FUNCTION value(dw_flag) AS ASSIGNMENT;
CREATE CAST (boolean AS dw_flag) WITH FUNCTION dw_flag(boolean);
COMMENT ON CAST (dw_flag AS boolean) IS 'is it on?';
COMMENT ON CAST (boolean AS dw_flag) IS 'flag that this replica has switched on or off';
