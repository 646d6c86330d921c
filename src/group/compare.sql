-- Comparing tables between members, and repairing them.

CREATE FUNCTION consistency.key_digests(
        root text,
        leaf text,
        table_columns bigint,
        deletions boolean,
        bounds text[],
        OUT part integer,
        OUT rows bigint,
        OUT digest bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_key_digests';
COMMENT ON FUNCTION consistency.key_digests(text, text, bigint, boolean, text[]) IS
    'at a member: digests of ranges of keys, for consistency.compare()';

CREATE FUNCTION consistency.key_rows(
        root text,
        leaf text,
        table_columns bigint,
        deletions boolean,
        after text,
        upto text,
        max_rows integer,
        OUT key text,
        OUT digest bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_key_rows';
COMMENT ON FUNCTION consistency.key_rows(text, text, bigint, boolean, text, text, integer) IS
    'at a member: digests of the rows in a range of keys, for consistency.compare()';

CREATE FUNCTION consistency.key_states(
        root text,
        leaf text,
        table_columns bigint,
        keys text[],
        whole boolean,
        OUT n integer,
        OUT deleted boolean,
        OUT version row_version,
        OUT columns bigint[],
        OUT "values" text,
        OUT image text,
        OUT settled boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_key_states';
COMMENT ON FUNCTION consistency.key_states(text, text, bigint, text[], boolean) IS
    'at a member: what there is of keys, for consistency.compare() and consistency.repair()';

CREATE FUNCTION consistency.sent_position() RETURNS pg_lsn
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_sent_position';
COMMENT ON FUNCTION consistency.sent_position() IS
    'position of the log: what is visible now was committed before it';

CREATE TABLE consistency.comparisons (
    relation oid,
    peer text,
    finished boolean NOT NULL,
    deletions boolean NOT NULL,
    next_key text,
    skipped bigint NOT NULL,
    rows bigint NOT NULL,
    differences bigint NOT NULL,
    compared_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (relation, peer)
) USING heap;
COMMENT ON TABLE consistency.comparisons IS 'what the last comparison of each table with each peer has found';
COMMENT ON COLUMN consistency.comparisons.relation IS 'OID of the table or partition';
COMMENT ON COLUMN consistency.comparisons.peer IS 'member that it was compared with';
COMMENT ON COLUMN consistency.comparisons.finished IS 'was all of it compared?';
COMMENT ON COLUMN consistency.comparisons.deletions IS 'all rows were; what is left of deleted ones is next';
COMMENT ON COLUMN consistency.comparisons.next_key IS 'last key that was compared, if it isn''t finished';
COMMENT ON COLUMN consistency.comparisons.skipped IS 'updates of it that apply had skipped here when the comparison was begun';
COMMENT ON COLUMN consistency.comparisons.rows IS 'rows that were compared';
COMMENT ON COLUMN consistency.comparisons.differences IS 'rows that differ, and were not repaired';
COMMENT ON COLUMN consistency.comparisons.compared_at IS 'when';
REVOKE ALL ON consistency.comparisons FROM PUBLIC;
-- keys are data
GRANT SELECT (relation, peer, finished, rows, differences, compared_at) ON consistency.comparisons TO pg_monitor;

-- Those of others that logical replication brings are none of ours.
CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.comparisons
    FOR EACH ROW EXECUTE FUNCTION consistency.skip_change();
ALTER TABLE consistency.comparisons ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.comparisons IS
    'drops what logical replication brings, as it does where all tables are published';

CREATE FUNCTION consistency.compare_last(
        relation regclass,
        OUT part regclass,
        OUT peer text,
        OUT compared_at timestamptz,
        OUT finished boolean,
        OUT rows bigint,
        OUT differences bigint)
    RETURNS SETOF record
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT c.relation::pg_catalog.regclass, c.peer, c.compared_at, c.finished, c.rows, c.differences
      FROM consistency.comparisons c
     WHERE c.relation = compare_last.relation
        OR c.relation IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(compare_last.relation) t)
     ORDER BY 1, 2;
END;
COMMENT ON FUNCTION consistency.compare_last(regclass) IS
    'what the last comparison of a table with each peer has found; no row: it was never compared';
REVOKE ALL ON FUNCTION consistency.compare_last(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.compare_last(regclass) TO pg_monitor;

CREATE FUNCTION consistency.compare(
        relation regclass,
        peers text[] DEFAULT NULL,
        after text DEFAULT NULL,
        max_rows bigint DEFAULT NULL,
        max_differences integer DEFAULT 1000,
        settle interval DEFAULT '30 s',
        resume boolean DEFAULT false,
        OUT part regclass,
        OUT peer text,
        OUT key text,
        OUT difference text,
        OUT columns text[])
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_compare';
COMMENT ON FUNCTION consistency.compare(regclass, text[], text, bigint, integer, interval, boolean) IS
    'rows of an attached table that differ between this member and others';

CREATE FUNCTION consistency.repair(
        relation regclass,
        peers text[] DEFAULT NULL,
        after text DEFAULT NULL,
        max_rows bigint DEFAULT NULL,
        max_differences integer DEFAULT 1000,
        settle interval DEFAULT '30 s',
        resume boolean DEFAULT false,
        OUT part regclass,
        OUT peer text,
        OUT key text,
        OUT difference text,
        OUT columns text[],
        OUT here text,
        OUT there text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_repair';
COMMENT ON FUNCTION consistency.repair(regclass, text[], text, bigint, integer, interval, boolean) IS
    'merges the rows of an attached table that differ between this member and others, here and there';
