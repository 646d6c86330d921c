-- The session's token.

CREATE FUNCTION consistency.token() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_token';
COMMENT ON FUNCTION consistency.token() IS 'what this session has written and seen, as a token for other sessions';
