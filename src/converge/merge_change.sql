-- Attached tables: what merges their rows, and what is left of deleted ones.

CREATE TABLE consistency.tombstones (
    relation text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version row_version NOT NULL,
    image jsonb,
    PRIMARY KEY (relation, key)
) USING heap;
COMMENT ON TABLE consistency.tombstones IS 'rows that were deleted from attached tables; published with these';
COMMENT ON COLUMN consistency.tombstones.relation IS 'schema and table, quoted where needed';
COMMENT ON COLUMN consistency.tombstones.key IS 'JSON array of the texts of the columns of its primary key';
COMMENT ON COLUMN consistency.tombstones.version IS 'what the deletion has seen';
COMMENT ON COLUMN consistency.tombstones.image IS 'of tables where additions win: texts of the other columns';
REVOKE ALL ON consistency.tombstones FROM PUBLIC;
GRANT SELECT ON consistency.tombstones TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('consistency.tombstones', '');

-- Not published, and not dumped: a restored one waits for its group anew.
CREATE TABLE consistency.settled_tombstones (
    relation text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version row_version NOT NULL,
    PRIMARY KEY (relation, key)
) USING heap;
COMMENT ON TABLE consistency.settled_tombstones IS
    'tombstones that all members have: no row that is older comes in any more, and they may be removed';
COMMENT ON COLUMN consistency.settled_tombstones.relation IS 'as in consistency.tombstones';
COMMENT ON COLUMN consistency.settled_tombstones.key IS 'as in consistency.tombstones';
COMMENT ON COLUMN consistency.settled_tombstones.version IS 'as in consistency.tombstones: another one isn''t settled';
REVOKE ALL ON consistency.settled_tombstones FROM PUBLIC;
GRANT SELECT ON consistency.settled_tombstones TO pg_monitor;

CREATE FUNCTION consistency.merge_change() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_merge_change';
COMMENT ON FUNCTION consistency.merge_change() IS 'trigger of attached tables that merges rows';

CREATE FUNCTION consistency.refuse_truncate() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_refuse_truncate';
COMMENT ON FUNCTION consistency.refuse_truncate() IS 'trigger of attached tables that refuses TRUNCATE';

CREATE FUNCTION consistency.receive_tombstone() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_receive_tombstone';
COMMENT ON FUNCTION consistency.receive_tombstone() IS 'trigger that deletes the row that a tombstone from elsewhere is for';
REVOKE ALL ON FUNCTION consistency.receive_tombstone() FROM PUBLIC;

CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.tombstones
    FOR EACH ROW EXECUTE FUNCTION consistency.receive_tombstone();
ALTER TABLE consistency.tombstones ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.tombstones IS 'deletes the rows that tombstones from elsewhere are for';

CREATE FUNCTION consistency.merge_row(relation regclass, names text[], "values" text[]) RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_merge_row';
COMMENT ON FUNCTION consistency.merge_row(regclass, text[], text[]) IS
    'merges a row of an attached table that comes from elsewhere, as replication does';
-- Whoever gives versions can make them up.
REVOKE ALL ON FUNCTION consistency.merge_row(regclass, text[], text[]) FROM PUBLIC;

CREATE FUNCTION consistency.merge_tombstone(relation regclass, key text, version row_version, image jsonb DEFAULT NULL) RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_merge_tombstone';
COMMENT ON FUNCTION consistency.merge_tombstone(regclass, text, row_version, jsonb) IS
    'merges a deletion of a row of an attached table that comes from elsewhere, as replication does';
REVOKE ALL ON FUNCTION consistency.merge_tombstone(regclass, text, row_version, jsonb) FROM PUBLIC;
