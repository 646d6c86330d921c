-- Columns that have several values, until somebody decides.

CREATE FUNCTION consistency.unresolved(
        relation regclass,
        OUT key jsonb,
        OUT "column" name,
        OUT value text,
        OUT written_at timestamptz,
        OUT replica text,
        OUT shown boolean)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'consistency_unresolved';
COMMENT ON FUNCTION consistency.unresolved(regclass) IS
    'values of multi-value columns of an attached table that were written concurrently, and of which somebody has to choose';

CREATE FUNCTION consistency.resolve(relation regclass, key jsonb, "column" name, value text)
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_resolve';
COMMENT ON FUNCTION consistency.resolve(regclass, jsonb, name, text) IS
    'updates a multi-value column of a row so that this value replaces all of its values that are seen here';
