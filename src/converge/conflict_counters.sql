-- Concurrent changes of a row at several nodes, counted where they were merged.

CREATE FUNCTION consistency.conflict_counters(
        OUT relid oid,
        OUT attnum smallint,
        OUT kind text,
        OUT resolution text,
        OUT discarded boolean,
        OUT count bigint,
        OUT last timestamptz)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 50
    AS 'MODULE_PATHNAME', 'consistency_conflict_counters';
COMMENT ON FUNCTION consistency.conflict_counters() IS
    'conflicts in tables of this database, by table, column, kind and resolution';
REVOKE ALL ON FUNCTION consistency.conflict_counters() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.conflict_counters() TO pg_monitor;

CREATE VIEW consistency.stat_conflicts AS
    SELECT c.oid::pg_catalog.regclass AS relation, a.attname AS "column", s.kind, s.resolution,
           s.discarded, s.count, s.last
      FROM consistency.conflict_counters() s
           JOIN pg_catalog.pg_class c ON c.oid = s.relid
           LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = s.relid AND a.attnum = s.attnum;
COMMENT ON VIEW consistency.stat_conflicts IS
    'concurrent changes of rows that were merged here since the counters were reset';
COMMENT ON COLUMN consistency.stat_conflicts.relation IS 'table';
COMMENT ON COLUMN consistency.stat_conflicts."column" IS 'column; null: the row as a whole';
COMMENT ON COLUMN consistency.stat_conflicts.kind IS
    'insert_insert: one key was inserted at several nodes; update_update: a row was changed; update_delete: a change came in for a row that was deleted here; delete_update: a deletion came in for a row that was changed here; own_entry: a change came in that knows more of this server''s changes than it does itself; merge_function: a merge function failed; far_stamp: a stamp is too far ahead of this server''s time; update_missing: a change was skipped since its row was not found';
COMMENT ON COLUMN consistency.stat_conflicts.resolution IS
    'merged: nothing is lost; kept_local: the value that came in was discarded; took_incoming: the value here was; kept_both: until somebody decides; row_deleted: the change was discarded; row_kept: the deletion was';
COMMENT ON COLUMN consistency.stat_conflicts.discarded IS 'has something that was written gone?';
COMMENT ON COLUMN consistency.stat_conflicts.count IS 'how often';
COMMENT ON COLUMN consistency.stat_conflicts.last IS 'when it was the last time';
REVOKE ALL ON consistency.stat_conflicts FROM PUBLIC;
GRANT SELECT ON consistency.stat_conflicts TO pg_monitor;
