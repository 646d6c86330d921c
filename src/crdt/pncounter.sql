-- Counter that goes up and down, and can be reset.

COMMENT ON TYPE pncounter IS 'counter that goes up and down, and can be reset';

CREATE FUNCTION pncounter(bigint) RETURNS pncounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pncounter_new';
COMMENT ON FUNCTION pncounter(bigint) IS 'counter that this replica has brought to a value';

CREATE FUNCTION increment(pncounter, bigint DEFAULT 1) RETURNS pncounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pncounter_increment';
CREATE FUNCTION decrement(pncounter, bigint DEFAULT 1) RETURNS pncounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pncounter_decrement';
COMMENT ON FUNCTION increment(pncounter, bigint) IS 'count up, as this replica';
COMMENT ON FUNCTION decrement(pncounter, bigint) IS 'count down, as this replica';

CREATE OPERATOR + (FUNCTION = increment, LEFTARG = pncounter, RIGHTARG = bigint);
CREATE OPERATOR - (FUNCTION = decrement, LEFTARG = pncounter, RIGHTARG = bigint);
COMMENT ON OPERATOR + (pncounter, bigint) IS 'count up, as this replica';
COMMENT ON OPERATOR - (pncounter, bigint) IS 'count down, as this replica';

CREATE FUNCTION reset(pncounter) RETURNS pncounter
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pncounter_reset';
COMMENT ON FUNCTION reset(pncounter) IS 'undo all that is counted here; what others count meanwhile survives';

CREATE FUNCTION value(pncounter) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pncounter_value';
CREATE FUNCTION int8(pncounter) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pncounter_int8';
COMMENT ON FUNCTION value(pncounter) IS 'what all replicas have counted since it was reset';
COMMENT ON FUNCTION int8(pncounter) IS 'what all replicas have counted since it was reset';

CREATE CAST (pncounter AS numeric) WITH FUNCTION value(pncounter) AS ASSIGNMENT;
CREATE CAST (pncounter AS bigint) WITH FUNCTION int8(pncounter) AS ASSIGNMENT;
CREATE CAST (bigint AS pncounter) WITH FUNCTION pncounter(bigint);
COMMENT ON CAST (pncounter AS numeric) IS 'what all replicas have counted since it was reset';
COMMENT ON CAST (pncounter AS bigint) IS 'what all replicas have counted since it was reset';
COMMENT ON CAST (bigint AS pncounter) IS 'counter that this replica has brought to a value';
