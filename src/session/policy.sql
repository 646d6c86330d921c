-- Policies of tables: which consistency their readers get.

CREATE FUNCTION consistency.set_policy(
    relation regclass,
    level text,
    kind text DEFAULT 'minimum',
    max_staleness interval DEFAULT NULL,
    max_lag bigint DEFAULT NULL,
    on_timeout text DEFAULT NULL,
    write_quorum text DEFAULT NULL)
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_set_policy';
COMMENT ON FUNCTION consistency.set_policy(regclass, text, text, interval, bigint, text, text) IS
    'sets the policy of a table that you own, a minimum or a default, in place of the one it has';
GRANT EXECUTE ON FUNCTION consistency.set_policy(regclass, text, text, interval, bigint, text, text) TO PUBLIC;

CREATE FUNCTION consistency.drop_policy(relation regclass) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_drop_policy';
COMMENT ON FUNCTION consistency.drop_policy(regclass) IS
    'drops the policy of a table that you own';
GRANT EXECUTE ON FUNCTION consistency.drop_policy(regclass) TO PUBLIC;

CREATE FUNCTION consistency.policy_fields(
        label text,
        OUT kind text,
        OUT level text,
        OUT max_staleness interval,
        OUT max_lag bigint,
        OUT on_timeout text,
        OUT write_quorum text)
    RETURNS record
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_policy_fields';
COMMENT ON FUNCTION consistency.policy_fields(text) IS
    'what the label of a policy says; nulls if it can''t be read';
GRANT EXECUTE ON FUNCTION consistency.policy_fields(text) TO PUBLIC;

CREATE VIEW consistency.policies AS
    SELECT label.objoid::pg_catalog.regclass AS relation,
           field.kind, field.level, field.max_staleness, field.max_lag, field.on_timeout,
           field.write_quorum
      FROM pg_catalog.pg_seclabel AS label,
           LATERAL consistency.policy_fields(label.label) AS field
     WHERE label.provider OPERATOR(pg_catalog.=) 'consistency'
       AND label.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
       AND label.objsubid OPERATOR(pg_catalog.=) 0;
COMMENT ON VIEW consistency.policies IS
    'the policies of this database; they hold for descendants of their tables as well';
COMMENT ON COLUMN consistency.policies.relation IS 'table or view that has the policy';
COMMENT ON COLUMN consistency.policies.kind IS
    'minimum (no session goes below it) or default (for sessions that declare nothing)';
COMMENT ON COLUMN consistency.policies.level IS 'level that readers get';
COMMENT ON COLUMN consistency.policies.max_staleness IS 'bound in time, with level bounded';
COMMENT ON COLUMN consistency.policies.max_lag IS 'bound in bytes of WAL, with level bounded';
COMMENT ON COLUMN consistency.policies.on_timeout IS
    'what becomes of a read in vain; null: as the session says';
COMMENT ON COLUMN consistency.policies.write_quorum IS
    'nodes that must have applied a commit that wrote the table; null: as the session says';
REVOKE ALL ON consistency.policies FROM PUBLIC;
GRANT SELECT ON consistency.policies TO PUBLIC;
