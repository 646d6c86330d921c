-- Set that only grows.  Nothing here needs to know which replica it is.

COMMENT ON TYPE gset IS 'set that only grows';

CREATE FUNCTION gset(jsonb) RETURNS gset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gset_new';
CREATE FUNCTION add(gset, jsonb) RETURNS gset
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'gset_add';
COMMENT ON FUNCTION gset(jsonb) IS 'set of the elements of an array';
COMMENT ON FUNCTION add(gset, jsonb) IS 'add an element';

CREATE OPERATOR + (FUNCTION = add, LEFTARG = gset, RIGHTARG = jsonb);
COMMENT ON OPERATOR + (gset, jsonb) IS 'add an element';
