-- Options of tables that a trigger keeps: what its arguments say.

CREATE FUNCTION consistency.trigger_declaration(trigger oid) RETURNS jsonb
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_trigger_declaration';
COMMENT ON FUNCTION consistency.trigger_declaration(oid) IS
    'the arguments of a trigger by which an option of a table is kept, as an object';
GRANT EXECUTE ON FUNCTION consistency.trigger_declaration(oid) TO PUBLIC;
