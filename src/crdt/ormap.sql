-- Map from text to other conflict-free types.  Putting is done as this replica; a
-- removal doesn't tell whose it is.

COMMENT ON TYPE ormap IS 'map from text to other conflict-free types';

-- get() has to say something of NULLs: the third argument is there for its type.
CREATE FUNCTION get(ormap, key text, type anyelement) RETURNS anyelement
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ormap_get';
CREATE FUNCTION put(ormap, key text, state anyelement) RETURNS ormap
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ormap_put';
CREATE FUNCTION remove(ormap, key text) RETURNS ormap
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ormap_remove';
CREATE FUNCTION clear(ormap) RETURNS ormap
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ormap_clear';
COMMENT ON FUNCTION get(ormap, text, anyelement) IS 'state under a key, of the type of the last argument; an empty one if there is none';
COMMENT ON FUNCTION put(ormap, text, anyelement) IS 'merge a state into what is under a key, as this replica';
COMMENT ON FUNCTION remove(ormap, text) IS 'remove a key: undo what is known of it here';
COMMENT ON FUNCTION clear(ormap) IS 'remove all keys';

CREATE OPERATOR - (FUNCTION = remove, LEFTARG = ormap, RIGHTARG = text);
COMMENT ON OPERATOR - (ormap, text) IS 'remove a key: undo what is known of it here';

CREATE FUNCTION has_key(ormap, key text) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ormap_has_key';
CREATE FUNCTION keys(ormap) RETURNS SETOF text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 20 AS 'MODULE_PATHNAME', 'ormap_keys';
CREATE FUNCTION cardinality(ormap) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ormap_cardinality';
CREATE FUNCTION value(ormap) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'crdt_value';
COMMENT ON FUNCTION has_key(ormap, text) IS 'is something under this key?';
COMMENT ON FUNCTION keys(ormap) IS 'keys, by their bytes';
COMMENT ON FUNCTION cardinality(ormap) IS 'number of keys';
COMMENT ON FUNCTION value(ormap) IS 'values by key; where a key has several types, that of the first one';

