-- Who this server is when it changes CRDTs.  Not dumped: whoever restores a dump
-- is somebody else.

CREATE TABLE consistency.replica_ids (
    id bigint PRIMARY KEY,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    place bigint NOT NULL,
    drawn_at timestamptz NOT NULL,
    retired_at timestamptz
);
COMMENT ON TABLE consistency.replica_ids IS 'replica ids that this database has drawn; to_hex(id) is what stands in states';
COMMENT ON COLUMN consistency.replica_ids.id IS 'the replica id';
COMMENT ON COLUMN consistency.replica_ids.system_identifier IS 'cluster that has drawn it';
COMMENT ON COLUMN consistency.replica_ids.timeline IS 'timeline on which it was drawn';
COMMENT ON COLUMN consistency.replica_ids.place IS 'hash of where the files of the server are';
COMMENT ON COLUMN consistency.replica_ids.drawn_at IS 'when it was drawn';
COMMENT ON COLUMN consistency.replica_ids.retired_at IS 'since when it isn''t used any more; null as long as it may be';
REVOKE ALL ON consistency.replica_ids FROM PUBLIC;
GRANT SELECT ON consistency.replica_ids TO pg_monitor;

CREATE FUNCTION consistency.replica_id() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_replica_id';
COMMENT ON FUNCTION consistency.replica_id() IS 'replica id under which this session changes CRDTs';

CREATE FUNCTION consistency.draw_replica_id() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_draw_replica_id';
COMMENT ON FUNCTION consistency.draw_replica_id() IS 'retires this server''s replica id and draws another one';
REVOKE ALL ON FUNCTION consistency.draw_replica_id() FROM PUBLIC;
