-- Which tables converge, and by which rules.

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
