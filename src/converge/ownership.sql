-- Rows and tables that one member alone may write.

CREATE FUNCTION consistency.set_ownership(
    relation regclass,
    owner_column name DEFAULT NULL,
    owner text DEFAULT NULL,
    elsewhere text DEFAULT 'refuse')
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_set_ownership';
COMMENT ON FUNCTION consistency.set_ownership(regclass, name, text, text) IS
    'has only one member write each row of a table that you own: the one named by a column, or one for all';
GRANT EXECUTE ON FUNCTION consistency.set_ownership(regclass, name, text, text) TO PUBLIC;

CREATE FUNCTION consistency.drop_ownership(relation regclass) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_drop_ownership';
COMMENT ON FUNCTION consistency.drop_ownership(regclass) IS
    'lets all members write a table that you own';
GRANT EXECUTE ON FUNCTION consistency.drop_ownership(regclass) TO PUBLIC;

CREATE FUNCTION consistency.guard_owner() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_guard_owner';
COMMENT ON FUNCTION consistency.guard_owner() IS
    'lets only a row''s owner write it; set_ownership() makes the triggers';
GRANT EXECUTE ON FUNCTION consistency.guard_owner() TO PUBLIC;

CREATE VIEW consistency.owned_tables AS
    SELECT tg.tgrelid::pg_catalog.regclass AS relation,
           (d.fields OPERATOR(pg_catalog.->>) 'owner_column')::pg_catalog.name AS owner_column,
           d.fields OPERATOR(pg_catalog.->>) 'owner' AS owner,
           d.fields OPERATOR(pg_catalog.->>) 'elsewhere' AS elsewhere,
           tg.tgenabled::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog.text[]) AS enabled
      FROM pg_catalog.pg_trigger AS tg,
           LATERAL consistency.trigger_declaration(tg.oid) AS d(fields)
     WHERE tg.tgfoid OPERATOR(pg_catalog.=) 'consistency.guard_owner()'::pg_catalog.regprocedure
       AND tg.tgname OPERATOR(pg_catalog.=) 'zzy_consistency_owner'::pg_catalog.name
       AND tg.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid;
COMMENT ON VIEW consistency.owned_tables IS
    'tables of this database of which one member alone may write each row';
COMMENT ON COLUMN consistency.owned_tables.relation IS 'the table; its partitions are meant as well';
COMMENT ON COLUMN consistency.owned_tables.owner_column IS 'column that names the owner of each row; null: see owner';
COMMENT ON COLUMN consistency.owned_tables.owner IS 'member that owns all of it; null: see owner_column';
COMMENT ON COLUMN consistency.owned_tables.elsewhere IS
    'what becomes of a write at another member: refuse or forward (to the owner)';
COMMENT ON COLUMN consistency.owned_tables.enabled IS 'false: the trigger that sees to it is disabled';
REVOKE ALL ON consistency.owned_tables FROM PUBLIC;
GRANT SELECT ON consistency.owned_tables TO PUBLIC;
