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

CREATE VIEW consistency.attached_tables AS
    SELECT t.tgrelid::regclass AS relation,
           d.declaration ->> 'deletes' AS deletes,
           d.declaration ->> 'last_writer' AS last_writer,
           d.declaration -> 'columns' AS columns,
           t.tgenabled = 'A' AS enabled
      FROM pg_catalog.pg_trigger t,
           LATERAL (SELECT convert_from(substring(t.tgargs FROM 1 FOR length(t.tgargs) - 1), pg_catalog.getdatabaseencoding())::jsonb AS declaration) d
     WHERE t.tgfoid = 'consistency.merge_change()'::regprocedure AND t.tgparentid = 0 AND t.tgnargs = 1;
COMMENT ON VIEW consistency.attached_tables IS 'tables that converge, and by which rules';
COMMENT ON COLUMN consistency.attached_tables.relation IS 'the table';
COMMENT ON COLUMN consistency.attached_tables.deletes IS 'what becomes of a row that is deleted and changed concurrently: remove_wins or add_wins';
COMMENT ON COLUMN consistency.attached_tables.last_writer IS 'whose values are kept of columns without a rule: the last writer''s of the row, or of each column';
COMMENT ON COLUMN consistency.attached_tables.columns IS 'rules of columns';
COMMENT ON COLUMN consistency.attached_tables.enabled IS 'does its trigger fire for local changes and for replicated ones?';
GRANT SELECT ON consistency.attached_tables TO PUBLIC;
