-- Set in which an addition wins over a concurrent removal.  Adding is done as
-- this replica; a removal doesn't tell whose it is.

COMMENT ON TYPE orset IS 'set in which an addition wins over a concurrent removal';

CREATE FUNCTION orset(jsonb) RETURNS orset
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'orset_new';
CREATE FUNCTION add(orset, jsonb) RETURNS orset
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'orset_add';
CREATE FUNCTION remove(orset, jsonb) RETURNS orset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orset_remove';
CREATE FUNCTION clear(orset) RETURNS orset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orset_clear';
COMMENT ON FUNCTION orset(jsonb) IS 'set of the elements of an array, added by this replica';
COMMENT ON FUNCTION add(orset, jsonb) IS 'add an element, as this replica';
COMMENT ON FUNCTION remove(orset, jsonb) IS 'remove an element, as far as its additions are known here';
COMMENT ON FUNCTION clear(orset) IS 'remove all elements, as far as their additions are known here';

CREATE OPERATOR + (FUNCTION = add, LEFTARG = orset, RIGHTARG = jsonb);
CREATE OPERATOR - (FUNCTION = remove, LEFTARG = orset, RIGHTARG = jsonb);
COMMENT ON OPERATOR + (orset, jsonb) IS 'add an element, as this replica';
COMMENT ON OPERATOR - (orset, jsonb) IS 'remove an element, as far as its additions are known here';
