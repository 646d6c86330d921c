-- Updates that must carry the version of the row that they are based on.

CREATE FUNCTION consistency.set_optimistic_lock(
    relation regclass,
    version_column name DEFAULT 'version',
    client_sends text DEFAULT 'next',
    unversioned text DEFAULT 'refuse')
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_set_optimistic_lock';
COMMENT ON FUNCTION consistency.set_optimistic_lock(regclass, name, text, text) IS
    'refuses updates of a table that you own which aren''t based on the row''s current version';
GRANT EXECUTE ON FUNCTION consistency.set_optimistic_lock(regclass, name, text, text) TO PUBLIC;

CREATE FUNCTION consistency.drop_optimistic_lock(relation regclass) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_drop_optimistic_lock';
COMMENT ON FUNCTION consistency.drop_optimistic_lock(regclass) IS
    'lets updates of a table that you own pass whatever version they are based on';
GRANT EXECUTE ON FUNCTION consistency.drop_optimistic_lock(regclass) TO PUBLIC;

CREATE FUNCTION consistency.guard_version() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_guard_version';
COMMENT ON FUNCTION consistency.guard_version() IS
    'lets only updates pass that are based on the row''s version; set_optimistic_lock() makes the triggers';
GRANT EXECUTE ON FUNCTION consistency.guard_version() TO PUBLIC;

CREATE VIEW consistency.optimistic_locks AS
    SELECT tg.tgrelid::pg_catalog.regclass AS relation,
           (d.fields OPERATOR(pg_catalog.->>) 'version_column')::pg_catalog.name AS version_column,
           d.fields OPERATOR(pg_catalog.->>) 'client_sends' AS client_sends,
           d.fields OPERATOR(pg_catalog.->>) 'unversioned' AS unversioned,
           tg.tgenabled::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog.text[]) AS enabled
      FROM pg_catalog.pg_trigger AS tg,
           LATERAL consistency.trigger_declaration(tg.oid) AS d(fields)
     WHERE tg.tgfoid OPERATOR(pg_catalog.=) 'consistency.guard_version()'::pg_catalog.regprocedure
       AND tg.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid;
COMMENT ON VIEW consistency.optimistic_locks IS
    'tables of this database whose updates must be based on the row''s current version';
COMMENT ON COLUMN consistency.optimistic_locks.relation IS 'the table; its partitions are meant as well';
COMMENT ON COLUMN consistency.optimistic_locks.version_column IS 'column that holds the version';
COMMENT ON COLUMN consistency.optimistic_locks.client_sends IS
    'what clients write there: next (the version they have read plus one) or read (that version)';
COMMENT ON COLUMN consistency.optimistic_locks.unversioned IS
    'what becomes of an update that doesn''t set it: refuse, or raise (it passes, and the version is raised)';
COMMENT ON COLUMN consistency.optimistic_locks.enabled IS 'false: the trigger that sees to it is disabled';
REVOKE ALL ON consistency.optimistic_locks FROM PUBLIC;
GRANT SELECT ON consistency.optimistic_locks TO PUBLIC;
