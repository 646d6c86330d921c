-- Who this server is when it changes CRDTs.  Not dumped: whoever restores a dump
-- is somebody else.

CREATE TABLE consistency.replica_ids (
    id bigint PRIMARY KEY,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    database oid NOT NULL,
    place bigint NOT NULL,
    ordinal bigint NOT NULL,
    drawn_at timestamptz NOT NULL
) USING heap;
COMMENT ON TABLE consistency.replica_ids IS 'replica ids that this database has drawn; to_hex(id) is what stands in states';
COMMENT ON COLUMN consistency.replica_ids.id IS 'the replica id';
COMMENT ON COLUMN consistency.replica_ids.system_identifier IS 'cluster that has drawn it';
COMMENT ON COLUMN consistency.replica_ids.timeline IS 'timeline on which it was drawn';
COMMENT ON COLUMN consistency.replica_ids.database IS 'OID of the database that has drawn it';
COMMENT ON COLUMN consistency.replica_ids.place IS 'hash of where the files of the server are';
COMMENT ON COLUMN consistency.replica_ids.ordinal IS 'order in which ids were drawn: only the last one is used on';
COMMENT ON COLUMN consistency.replica_ids.drawn_at IS 'when it was drawn';
REVOKE ALL ON consistency.replica_ids FROM PUBLIC;
GRANT SELECT ON consistency.replica_ids TO pg_monitor;

-- Others' ids that logical replication brings are none of ours.
CREATE FUNCTION consistency.skip_change() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_skip_change';
COMMENT ON FUNCTION consistency.skip_change() IS 'trigger that lets no change of a row happen';
REVOKE ALL ON FUNCTION consistency.skip_change() FROM PUBLIC;

CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.replica_ids
    FOR EACH ROW EXECUTE FUNCTION consistency.skip_change();
ALTER TABLE consistency.replica_ids ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.replica_ids IS
    'drops what logical replication brings, as it does where all tables are published';

CREATE FUNCTION consistency.replica_id() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_replica_id';
COMMENT ON FUNCTION consistency.replica_id() IS 'replica id under which this session changes CRDTs';

CREATE FUNCTION consistency.draw_replica_id() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_draw_replica_id';
COMMENT ON FUNCTION consistency.draw_replica_id() IS 'draws another replica id for this database, to be used from now on';
REVOKE ALL ON FUNCTION consistency.draw_replica_id() FROM PUBLIC;
