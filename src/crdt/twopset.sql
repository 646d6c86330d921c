-- Set in which what was removed never comes back.  Nothing here needs to know
-- which replica it is.

COMMENT ON TYPE twopset IS 'set in which what was removed never comes back';

CREATE FUNCTION twopset(jsonb) RETURNS twopset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'twopset_new';
CREATE FUNCTION add(twopset, jsonb) RETURNS twopset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'twopset_add';
CREATE FUNCTION remove(twopset, jsonb) RETURNS twopset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'twopset_remove';
COMMENT ON FUNCTION twopset(jsonb) IS 'set of the elements of an array';
COMMENT ON FUNCTION add(twopset, jsonb) IS 'add an element, unless it was removed before';
COMMENT ON FUNCTION remove(twopset, jsonb) IS 'remove an element for good';

CREATE OPERATOR + (FUNCTION = add, LEFTARG = twopset, RIGHTARG = jsonb);
CREATE OPERATOR - (FUNCTION = remove, LEFTARG = twopset, RIGHTARG = jsonb);
COMMENT ON OPERATOR + (twopset, jsonb) IS 'add an element, unless it was removed before';
COMMENT ON OPERATOR - (twopset, jsonb) IS 'remove an element for good';
