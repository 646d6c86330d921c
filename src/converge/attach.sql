-- Tables that converge.

CREATE FUNCTION consistency.attach(
        relation regclass,
        columns jsonb DEFAULT '{}',
        deletes text DEFAULT 'remove_wins',
        last_writer text DEFAULT 'row',
        accept text[] DEFAULT '{}')
    RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_attach';
COMMENT ON FUNCTION consistency.attach(regclass, jsonb, text, text, text[]) IS
    'lets a table converge that several servers write and replicate to each other; for its owner';

CREATE FUNCTION consistency.detach(relation regclass) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_detach';
COMMENT ON FUNCTION consistency.detach(regclass) IS 'undoes consistency.attach()';
