-- The newest conflicts.  Not dumped: they are of this server.

CREATE SEQUENCE consistency.conflict_ids;
COMMENT ON SEQUENCE consistency.conflict_ids IS 'ids of conflicts';
REVOKE ALL ON SEQUENCE consistency.conflict_ids FROM PUBLIC;

CREATE TABLE consistency.conflicts (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    relation regclass NOT NULL,
    key jsonb,
    "column" name,
    kind text NOT NULL,
    resolution text NOT NULL,
    discarded boolean NOT NULL,
    count bigint NOT NULL,
    local jsonb,
    incoming jsonb,
    too_large boolean NOT NULL,
    local_at timestamptz,
    local_stamp bigint,
    local_replica text,
    incoming_at timestamptz,
    incoming_stamp bigint,
    incoming_replica text
) USING heap;
COMMENT ON TABLE consistency.conflicts IS
    'the newest conflicts that were merged here: consistency.conflict_log_size of them, of those kinds that consistency.conflict_log says';
COMMENT ON COLUMN consistency.conflicts.id IS 'ascends';
COMMENT ON COLUMN consistency.conflicts.at IS 'when it was merged';
COMMENT ON COLUMN consistency.conflicts.relation IS 'table';
COMMENT ON COLUMN consistency.conflicts.key IS 'texts of the columns of the row''s primary key; null: not known';
COMMENT ON COLUMN consistency.conflicts."column" IS 'column; null: the row as a whole';
COMMENT ON COLUMN consistency.conflicts.kind IS 'as in consistency.stat_conflicts';
COMMENT ON COLUMN consistency.conflicts.resolution IS 'as in consistency.stat_conflicts';
COMMENT ON COLUMN consistency.conflicts.discarded IS 'has something that was written gone?';
COMMENT ON COLUMN consistency.conflicts.count IS 'how many: of updates that were skipped there is one row a table and transaction';
COMMENT ON COLUMN consistency.conflicts.local IS
    'what was here: the text of the column, or an object of the texts of all columns but the key; null: there was none';
COMMENT ON COLUMN consistency.conflicts.incoming IS 'what came in';
COMMENT ON COLUMN consistency.conflicts.too_large IS 'was any of the two too large to be kept?';
COMMENT ON COLUMN consistency.conflicts.local_at IS 'when what was here was written';
COMMENT ON COLUMN consistency.conflicts.local_stamp IS 'the stamp of that';
COMMENT ON COLUMN consistency.conflicts.local_replica IS 'the replica that has written it';
COMMENT ON COLUMN consistency.conflicts.incoming_at IS 'when what came in was written';
COMMENT ON COLUMN consistency.conflicts.incoming_stamp IS 'the stamp of that';
COMMENT ON COLUMN consistency.conflicts.incoming_replica IS 'the replica that has written it';

-- Values of rows: for those who may read all rows of the table, and for those who watch.
REVOKE ALL ON consistency.conflicts FROM PUBLIC;
GRANT SELECT ON consistency.conflicts TO PUBLIC;
ALTER TABLE consistency.conflicts ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers_of_the_table ON consistency.conflicts FOR SELECT
    USING (pg_catalog.has_table_privilege(relation::oid, 'SELECT') AND NOT pg_catalog.row_security_active(relation::oid));
COMMENT ON POLICY readers_of_the_table ON consistency.conflicts IS 'whoever may read all rows of a table sees its conflicts';
CREATE POLICY watchers ON consistency.conflicts FOR SELECT TO pg_monitor USING (true);
COMMENT ON POLICY watchers ON consistency.conflicts IS 'whoever watches the server sees all conflicts';

CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.conflicts
    FOR EACH ROW EXECUTE FUNCTION consistency.skip_change();
ALTER TABLE consistency.conflicts ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.conflicts IS
    'drops what logical replication brings, as it does where all tables are published';
