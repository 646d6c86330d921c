-- Comparing tables between nodes.

CREATE FUNCTION consistency.block_digests(
        root oid,
        leaf oid,
        first_block bigint,
        last_block bigint,
        parts integer,
        OUT snapshot text,
        OUT part integer,
        OUT rows bigint,
        OUT digest bigint)
    RETURNS SETOF record
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_block_digests';
COMMENT ON FUNCTION consistency.block_digests(oid, oid, bigint, bigint, integer) IS
    'at a replica: digests of a range of blocks of a table, and the snapshot that shows it, for consistency.verify_nodes()';
REVOKE ALL ON FUNCTION consistency.block_digests(oid, oid, bigint, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.block_digests(oid, oid, bigint, bigint, integer) TO pg_monitor;

CREATE FUNCTION consistency.block_rows(
        root oid,
        leaf oid,
        block bigint,
        OUT snapshot text,
        OUT place tid,
        OUT key text,
        OUT digest bigint,
        OUT columns bigint[])
    RETURNS SETOF record
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_block_rows';
COMMENT ON FUNCTION consistency.block_rows(oid, oid, bigint) IS
    'at a replica: digests of the rows in a block of a table, and the snapshot that shows it, for consistency.verify_nodes()';
REVOKE ALL ON FUNCTION consistency.block_rows(oid, oid, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.block_rows(oid, oid, bigint) TO pg_monitor;

CREATE TABLE consistency.verification_runs (
    verification bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation oid NOT NULL,
    name text NOT NULL,
    role oid NOT NULL,
    sample double precision NOT NULL,
    max_differences integer NOT NULL,
    begun timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) USING heap;
COMMENT ON TABLE consistency.verification_runs IS 'calls of consistency.verify_nodes(); deleting one deletes all of it';
COMMENT ON COLUMN consistency.verification_runs.verification IS 'its number';
COMMENT ON COLUMN consistency.verification_runs.relation IS 'OID of the table';
COMMENT ON COLUMN consistency.verification_runs.name IS 'name of the table, when it was begun';
COMMENT ON COLUMN consistency.verification_runs.role IS 'OID of the role that has begun it';
COMMENT ON COLUMN consistency.verification_runs.sample IS 'fraction of the table that is compared';
COMMENT ON COLUMN consistency.verification_runs.max_differences IS 'so many differences are enough, for each node';
COMMENT ON COLUMN consistency.verification_runs.begun IS 'when it was begun';

CREATE TABLE consistency.verification_progress (
    verification bigint REFERENCES consistency.verification_runs ON DELETE CASCADE,
    node text,
    state text NOT NULL DEFAULT 'unfinished' CHECK (state IN ('unfinished', 'failed', 'stopped', 'done')),
    part oid NOT NULL DEFAULT 0,
    next_block bigint NOT NULL DEFAULT 0,
    file oid NOT NULL DEFAULT 0,
    blocks bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    differences bigint NOT NULL DEFAULT 0,
    failure text,
    updated timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (verification, node)
) USING heap;
COMMENT ON TABLE consistency.verification_progress IS 'how far each verification is, by node';
COMMENT ON COLUMN consistency.verification_progress.verification IS 'its number';
COMMENT ON COLUMN consistency.verification_progress.node IS 'name of the node''s server';
COMMENT ON COLUMN consistency.verification_progress.state IS 'unfinished, failed (see failure), stopped (max_differences) or done';
COMMENT ON COLUMN consistency.verification_progress.part IS 'OID of the table or partition that it is at; those of lower OIDs are done';
COMMENT ON COLUMN consistency.verification_progress.next_block IS 'block that it is at';
COMMENT ON COLUMN consistency.verification_progress.file IS 'file that this block is of';
COMMENT ON COLUMN consistency.verification_progress.blocks IS 'blocks compared';
COMMENT ON COLUMN consistency.verification_progress.skipped IS 'blocks that the sample leaves out';
COMMENT ON COLUMN consistency.verification_progress.rows IS 'rows compared';
COMMENT ON COLUMN consistency.verification_progress.differences IS 'differences found';
COMMENT ON COLUMN consistency.verification_progress.failure IS 'why the node could not be asked';
COMMENT ON COLUMN consistency.verification_progress.updated IS 'when this was written';

CREATE TABLE consistency.verification_findings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verification bigint NOT NULL,
    node text NOT NULL,
    part oid NOT NULL,
    place tid NOT NULL,
    key text,
    difference text NOT NULL,
    columns text[],
    detail text,
    timeline bigint NOT NULL,
    "position" pg_lsn NOT NULL,
    found timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    FOREIGN KEY (verification, node) REFERENCES consistency.verification_progress ON DELETE CASCADE
) USING heap;
COMMENT ON TABLE consistency.verification_findings IS 'what verifications have found';
COMMENT ON COLUMN consistency.verification_findings.id IS 'order in which they were found';
COMMENT ON COLUMN consistency.verification_findings.verification IS 'number of the verification';
COMMENT ON COLUMN consistency.verification_findings.node IS 'node that differs from the primary';
COMMENT ON COLUMN consistency.verification_findings.part IS 'OID of the table or partition that the row is in';
COMMENT ON COLUMN consistency.verification_findings.place IS 'the row''s ctid; its second number is 0 where it is the whole block';
COMMENT ON COLUMN consistency.verification_findings.key IS 'condition that finds the row';
COMMENT ON COLUMN consistency.verification_findings.difference IS 'what differs';
COMMENT ON COLUMN consistency.verification_findings.columns IS 'columns that differ';
COMMENT ON COLUMN consistency.verification_findings.detail IS 'error that reading it raised; or which blocks';
COMMENT ON COLUMN consistency.verification_findings.timeline IS 'timeline of the position';
COMMENT ON COLUMN consistency.verification_findings."position" IS 'the snapshot that shows the difference shows this position';
COMMENT ON COLUMN consistency.verification_findings.found IS 'when it was written';
COMMENT ON SEQUENCE consistency.verification_runs_verification_seq IS 'numbers of verifications';
COMMENT ON SEQUENCE consistency.verification_findings_id_seq IS 'order of what verifications have found';
CREATE INDEX verification_findings_of ON consistency.verification_findings (verification, node);

REVOKE ALL ON consistency.verification_runs, consistency.verification_progress,
              consistency.verification_findings FROM PUBLIC;

-- Those of others that logical replication brings are none of ours.
CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.verification_runs
    FOR EACH ROW EXECUTE FUNCTION consistency.skip_change();
ALTER TABLE consistency.verification_runs ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.verification_runs IS
    'drops what logical replication brings, as it does where all tables are published';
CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.verification_progress
    FOR EACH ROW EXECUTE FUNCTION consistency.skip_change();
ALTER TABLE consistency.verification_progress ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.verification_progress IS
    'drops what logical replication brings, as it does where all tables are published';
CREATE TRIGGER replicated BEFORE INSERT OR UPDATE OR DELETE ON consistency.verification_findings
    FOR EACH ROW EXECUTE FUNCTION consistency.skip_change();
ALTER TABLE consistency.verification_findings ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.verification_findings IS
    'drops what logical replication brings, as it does where all tables are published';

-- Keys are data: everybody sees what he, or a role of his, has begun.
CREATE VIEW consistency.verifications WITH (security_barrier) AS
    SELECT p.verification, p.node, r.name AS relation, p.state,
           CASE WHEN p.differences > 0 THEN false WHEN p.state = 'done' THEN true END AS equal,
           p.differences, p.rows, p.blocks, p.skipped, r.sample, p.failure, r.begun, p.updated
      FROM consistency.verification_runs r JOIN consistency.verification_progress p USING (verification)
     WHERE pg_catalog.pg_has_role(r.role, 'USAGE');
COMMENT ON VIEW consistency.verifications IS
    'own calls of consistency.verify_nodes(), by node: how far they are, and whether the node is equal';
COMMENT ON COLUMN consistency.verifications.verification IS 'its number';
COMMENT ON COLUMN consistency.verifications.node IS 'node that is compared with the primary';
COMMENT ON COLUMN consistency.verifications.relation IS 'name of the table, when it was begun';
COMMENT ON COLUMN consistency.verifications.state IS 'unfinished, failed (see failure), stopped (max_differences) or done';
COMMENT ON COLUMN consistency.verifications.equal IS 'is the table equal at the node? Null: not known (yet)';
COMMENT ON COLUMN consistency.verifications.differences IS 'differences found';
COMMENT ON COLUMN consistency.verifications.rows IS 'rows compared';
COMMENT ON COLUMN consistency.verifications.blocks IS 'blocks compared';
COMMENT ON COLUMN consistency.verifications.skipped IS 'blocks that the sample leaves out';
COMMENT ON COLUMN consistency.verifications.sample IS 'fraction of the table that is compared';
COMMENT ON COLUMN consistency.verifications.failure IS 'why the node could not be asked';
COMMENT ON COLUMN consistency.verifications.begun IS 'when it was begun';
COMMENT ON COLUMN consistency.verifications.updated IS 'when its progress was last kept';

CREATE VIEW consistency.differences WITH (security_barrier) AS
    SELECT f.verification, f.node, f.part::pg_catalog.regclass AS relation, f.place, f.key, f.difference,
           f.columns, f.detail, f.timeline, f."position", f.found
      FROM consistency.verification_runs r JOIN consistency.verification_findings f USING (verification)
     WHERE pg_catalog.pg_has_role(r.role, 'USAGE');
COMMENT ON VIEW consistency.differences IS
    'rows that own calls of consistency.verify_nodes() have found to differ between the primary and a node';
COMMENT ON COLUMN consistency.differences.verification IS 'number of the verification';
COMMENT ON COLUMN consistency.differences.node IS 'node that differs from the primary';
COMMENT ON COLUMN consistency.differences.relation IS 'table or partition that the row is in';
COMMENT ON COLUMN consistency.differences.place IS 'the row''s ctid; its second number is 0 where it is the whole block';
COMMENT ON COLUMN consistency.differences.key IS 'condition that finds the row; null where it is the whole block';
COMMENT ON COLUMN consistency.differences.difference IS
    'different, missing_there (at the node), missing_here (at the primary), unreadable_there, unreadable_here, vanished (blocks that differed, and were equal a moment later)';
COMMENT ON COLUMN consistency.differences.columns IS 'columns that differ';
COMMENT ON COLUMN consistency.differences.detail IS 'error that reading it raised; or which blocks';
COMMENT ON COLUMN consistency.differences.timeline IS 'timeline of the position';
COMMENT ON COLUMN consistency.differences."position" IS 'the snapshot that shows the difference shows this position';
COMMENT ON COLUMN consistency.differences.found IS 'when it was written';
REVOKE ALL ON consistency.verifications, consistency.differences FROM PUBLIC;
GRANT SELECT ON consistency.verifications, consistency.differences TO pg_monitor;

CREATE PROCEDURE consistency.verify_nodes(
        rel regclass,
        sample double precision DEFAULT 1,
        nodes text[] DEFAULT NULL,
        max_differences integer DEFAULT 1000,
        INOUT verification bigint DEFAULT NULL,
        INOUT equal boolean DEFAULT NULL,
        INOUT differences bigint DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'consistency_verify_nodes';
COMMENT ON PROCEDURE consistency.verify_nodes(regclass, double precision, text[], integer, bigint, boolean, bigint) IS
    'compares a table between the primary and its replicas; consistency.differences has the rows that differ. With the number of a verification, goes on with that';
REVOKE ALL ON PROCEDURE consistency.verify_nodes(regclass, double precision, text[], integer, bigint, boolean, bigint) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE consistency.verify_nodes(regclass, double precision, text[], integer, bigint, boolean, bigint) TO pg_monitor;
