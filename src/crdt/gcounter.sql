-- Grow-only counter.

COMMENT ON TYPE gcounter IS 'counter that only grows: each replica counts for itself';

CREATE FUNCTION gcounter(bigint) RETURNS gcounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gcounter_new';
COMMENT ON FUNCTION gcounter(bigint) IS 'counter that this replica has brought to a value';

CREATE FUNCTION increment(gcounter, bigint DEFAULT 1) RETURNS gcounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'gcounter_increment';
COMMENT ON FUNCTION increment(gcounter, bigint) IS 'count up, as this replica';

CREATE OPERATOR + (FUNCTION = increment, LEFTARG = gcounter, RIGHTARG = bigint);
COMMENT ON OPERATOR + (gcounter, bigint) IS 'count up, as this replica';

CREATE FUNCTION value(gcounter) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gcounter_value';
CREATE FUNCTION int8(gcounter) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gcounter_int8';
COMMENT ON FUNCTION value(gcounter) IS 'what all replicas have counted';
COMMENT ON FUNCTION int8(gcounter) IS 'what all replicas have counted';

CREATE CAST (gcounter AS numeric) WITH FUNCTION value(gcounter) AS ASSIGNMENT;
CREATE CAST (gcounter AS bigint) WITH FUNCTION int8(gcounter) AS ASSIGNMENT;
CREATE CAST (bigint AS gcounter) WITH FUNCTION gcounter(bigint);
COMMENT ON CAST (gcounter AS numeric) IS 'what all replicas have counted';
COMMENT ON CAST (gcounter AS bigint) IS 'what all replicas have counted';
COMMENT ON CAST (bigint AS gcounter) IS 'counter that this replica has brought to a value';
