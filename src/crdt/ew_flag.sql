-- Flag that is on if it was switched on and off concurrently.  Switching on is
-- done as this replica; switching off doesn't tell whose it is.

COMMENT ON TYPE ew_flag IS 'flag that is on if it was switched on and off concurrently';

CREATE FUNCTION ew_flag(boolean) RETURNS ew_flag
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ew_flag_new';
COMMENT ON FUNCTION ew_flag(boolean) IS 'flag that this replica has switched on or off';

CREATE FUNCTION enable(ew_flag) RETURNS ew_flag
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ew_flag_enable';
COMMENT ON FUNCTION enable(ew_flag) IS 'switch on, as this replica';

CREATE FUNCTION disable(ew_flag) RETURNS ew_flag
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ew_flag_disable';
COMMENT ON FUNCTION disable(ew_flag) IS 'switch off: undo all switching on that is seen';

CREATE FUNCTION value(ew_flag) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ew_flag_value';
COMMENT ON FUNCTION value(ew_flag) IS 'is it on?';

CREATE CAST (ew_flag AS boolean) WITH FUNCTION value(ew_flag) AS ASSIGNMENT;
CREATE CAST (boolean AS ew_flag) WITH FUNCTION ew_flag(boolean);
COMMENT ON CAST (ew_flag AS boolean) IS 'is it on?';
COMMENT ON CAST (boolean AS ew_flag) IS 'flag that this replica has switched on or off';
