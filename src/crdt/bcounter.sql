-- Counter that never falls below its bound.

COMMENT ON TYPE bcounter IS 'counter that never falls below its bound';

CREATE FUNCTION bcounter(bound bigint, value bigint) RETURNS bcounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bcounter_new';
COMMENT ON FUNCTION bcounter(bigint, bigint) IS 'counter with a bound that this replica has brought to a value';

CREATE FUNCTION increment(bcounter, bigint DEFAULT 1) RETURNS bcounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bcounter_increment';
CREATE FUNCTION decrement(bcounter, bigint DEFAULT 1) RETURNS bcounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bcounter_decrement';
COMMENT ON FUNCTION increment(bcounter, bigint) IS 'count up, as this replica, which may then count down as much';
COMMENT ON FUNCTION decrement(bcounter, bigint) IS 'count down, as this replica, which must have the rights';

CREATE OPERATOR + (FUNCTION = increment, LEFTARG = bcounter, RIGHTARG = bigint);
CREATE OPERATOR - (FUNCTION = decrement, LEFTARG = bcounter, RIGHTARG = bigint);
COMMENT ON OPERATOR + (bcounter, bigint) IS 'count up, as this replica, which may then count down as much';
COMMENT ON OPERATOR - (bcounter, bigint) IS 'count down, as this replica, which must have the rights';

CREATE FUNCTION transfer(bcounter, to_replica text, amount bigint) RETURNS bcounter
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bcounter_transfer';
COMMENT ON FUNCTION transfer(bcounter, text, bigint) IS 'hand over rights of this replica to another one';

CREATE FUNCTION rights(bcounter) RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bcounter_rights';
CREATE FUNCTION rights(bcounter, replica text) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'bcounter_rights_of';
CREATE FUNCTION bound(bcounter) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'bcounter_bound';
COMMENT ON FUNCTION rights(bcounter) IS 'how far this replica may count down';
COMMENT ON FUNCTION rights(bcounter, text) IS 'how far a replica may count down, as far as this state knows';
COMMENT ON FUNCTION bound(bcounter) IS 'what the value never falls below';

CREATE FUNCTION value(bcounter) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'bcounter_value';
CREATE FUNCTION int8(bcounter) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'bcounter_int8';
COMMENT ON FUNCTION value(bcounter) IS 'what all replicas have counted';
COMMENT ON FUNCTION int8(bcounter) IS 'what all replicas have counted';

CREATE CAST (bcounter AS numeric) WITH FUNCTION value(bcounter) AS ASSIGNMENT;
CREATE CAST (bcounter AS bigint) WITH FUNCTION int8(bcounter) AS ASSIGNMENT;
COMMENT ON CAST (bcounter AS numeric) IS 'what all replicas have counted';
COMMENT ON CAST (bcounter AS bigint) IS 'what all replicas have counted';
