-- Which levels this server's own statistics speak for.

CREATE FUNCTION consistency.table_facts(
        OUT relation regclass,
        OUT reads bigint,
        OUT writes bigint,
        OUT refers_to oid[],
        OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    -- A partitioned table is one table.  Writes are counted where they were made.
    SELECT c.oid::pg_catalog.regclass, t.reads,
           CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN t.writes END,
           ARRAY(SELECT DISTINCT f.confrelid
                   FROM pg_catalog.pg_constraint f
                  WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid
                  ORDER BY f.confrelid),
           s.since
      FROM (SELECT coalesce(pg_catalog.pg_partition_root(u.relid), u.relid) AS root,
                   sum(coalesce(u.seq_scan, 0) + coalesce(u.idx_scan, 0))::bigint AS reads,
                   sum(u.n_tup_ins + u.n_tup_upd + u.n_tup_del)::bigint AS writes
              FROM pg_catalog.pg_stat_user_tables u
             WHERE u.schemaname <> 'consistency'
             GROUP BY 1) t
           JOIN pg_catalog.pg_class c ON c.oid = t.root,
           -- A database whose counters were never reset doesn't say since when they
           -- count; these were set to zero with all others, when there were none.
           (SELECT coalesce(pg_catalog.pg_stat_get_db_stat_reset_time(d.oid),
                            least((SELECT b.stats_reset FROM pg_catalog.pg_stat_bgwriter b),
                                  (SELECT a.stats_reset FROM pg_catalog.pg_stat_archiver a),
                                  (SELECT w.stats_reset FROM pg_catalog.pg_stat_wal w))) AS since
              FROM pg_catalog.pg_database d
             WHERE d.datname = pg_catalog.current_database()) s
     WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence = 'p'
       AND (pg_catalog.pg_has_role('pg_monitor', 'USAGE')
            OR pg_catalog.has_table_privilege(c.oid, 'SELECT')
            OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))
     ORDER BY t.reads DESC, c.oid::pg_catalog.regclass::text COLLATE "C";
END;
COMMENT ON FUNCTION consistency.table_facts() IS
    'what consistency.advise() wants to know of the tables that the caller may read: scans here, rows written (null at a replica), tables that foreign keys lead to, since when it is counted';
GRANT EXECUTE ON FUNCTION consistency.table_facts() TO PUBLIC;

CREATE FUNCTION consistency.level_facts(
        OUT roleid oid,
        OUT role text,
        OUT database text,
        OUT level text,
        OUT minimum_level text,
        OUT max_staleness text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    SELECT s.setrole, r.rolname::text, d.datname::text, v.level, v.minimum_level, v.max_staleness
      FROM pg_catalog.pg_db_role_setting s
           LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
           LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           LATERAL (SELECT max(e.value) FILTER (WHERE e.name = 'consistency') AS level,
                           max(e.value) FILTER (WHERE e.name = 'consistency.minimum_level') AS minimum_level,
                           max(e.value) FILTER (WHERE e.name = 'consistency.max_staleness') AS max_staleness
                      FROM (SELECT pg_catalog.split_part(c.entry, '=', 1) AS name,
                                   pg_catalog.substr(c.entry, pg_catalog.strpos(c.entry, '=') + 1) AS value
                              FROM pg_catalog.unnest(s.setconfig) c (entry)) e) v
     WHERE (d.datname IS NULL OR d.datname = pg_catalog.current_database())
       AND (v.level IS NOT NULL OR v.minimum_level IS NOT NULL)
     ORDER BY r.rolname COLLATE "C" NULLS FIRST, d.datname COLLATE "C" NULLS FIRST;
END;
COMMENT ON FUNCTION consistency.level_facts() IS
    'levels that ALTER ROLE and ALTER DATABASE have set for sessions in this database';
GRANT EXECUTE ON FUNCTION consistency.level_facts() TO PUBLIC;

CREATE FUNCTION consistency.advise(
        OUT relation regclass,
        OUT finding text,
        OUT level_now text,
        OUT level_advised text,
        OUT expected_cost text,
        OUT statement text,
        OUT reason text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'consistency_advise';
COMMENT ON FUNCTION consistency.advise() IS
    'levels that this server''s statistics speak for: what was found at a table (null: elsewhere), the level now and the one advised, what that costs here, the SQL that sets it, and why';
GRANT EXECUTE ON FUNCTION consistency.advise() TO PUBLIC;
