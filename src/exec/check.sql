-- What undermines a promise in this cluster.

CREATE FUNCTION consistency.node_facts(OUT name text, OUT value text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 60
BEGIN ATOMIC
    -- What a session gets that doesn't ask for anything else; what the client
    -- did ask for when it connected hides that.
    SELECT s.name, s.reset_val
      FROM pg_catalog.pg_settings s
     WHERE s.source <> 'client'
       AND (s.name IN ('synchronous_standby_names', 'synchronous_commit', 'fsync', 'full_page_writes',
                       'hot_standby_feedback', 'max_standby_streaming_delay', 'recovery_min_apply_delay',
                       'wal_receiver_status_interval', 'server_version_num',
                       'TimeZone', 'DateStyle', 'IntervalStyle', 'default_text_search_config',
                       'extra_float_digits', 'bytea_output', 'search_path', 'standard_conforming_strings',
                       'lc_monetary', 'lc_numeric', 'lc_time')
            OR s.name LIKE 'consistency.%' AND s.name <> 'consistency.token')
    UNION ALL
    -- who and where this server is
    SELECT f.name, f.value
      FROM consistency.node_status() n,
           LATERAL (VALUES ('instance', n.instance::text),
                           ('in_recovery', n.in_recovery::text),
                           ('timeline', n.timeline::text),
                           ('library_version', n.version)) f (name, value)
    UNION ALL
    SELECT 'extension_version', e.extversion
      FROM pg_catalog.pg_extension e
     WHERE e.extname = 'consistency'
    UNION ALL
    SELECT 'monitor_role_exists',
           EXISTS (SELECT FROM pg_catalog.pg_roles r
                    WHERE r.rolname = pg_catalog.current_setting('consistency.monitor_role'))::text
    UNION ALL
    -- replication, as a primary sees it
    SELECT f.name, f.value
      FROM (SELECT count(*) AS standbys,
                   count(*) FILTER (WHERE r.sync_state IN ('sync', 'quorum')) AS synchronous,
                   string_agg(DISTINCT quote_ident(r.application_name), ', ') AS names
              FROM pg_catalog.pg_stat_replication r
                   LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid
             WHERE r.state IN ('streaming', 'catchup') AND s.slot_type IS DISTINCT FROM 'logical') a,
           LATERAL (VALUES ('standbys', a.standbys::text),
                           ('synchronous_standbys', a.synchronous::text),
                           ('standby_names', coalesce(a.names, ''))) f (name, value)
     WHERE NOT pg_catalog.pg_is_in_recovery()
    UNION ALL
    -- ... and as a replica does
    SELECT 'wal_receiver', coalesce((SELECT w.status FROM pg_catalog.pg_stat_wal_receiver w), 'not running')
     WHERE pg_catalog.pg_is_in_recovery()
    UNION ALL
    SELECT 'replay_pause', CASE WHEN pg_catalog.pg_is_in_recovery()
                                THEN pg_catalog.pg_get_wal_replay_pause_state() END
    UNION ALL
    -- versions of the collations in use: of the library, and as recorded
    SELECT p.prefix || c.name, p.version
      FROM (SELECT 'default collation of the database' AS name,
                   pg_catalog.pg_database_collation_actual_version(d.oid) AS actual,
                   d.datcollversion AS recorded
              FROM pg_catalog.pg_database d
             WHERE d.datname = pg_catalog.current_database()
            UNION ALL
            SELECT o.oid::regcollation::text, pg_catalog.pg_collation_actual_version(o.oid), o.collversion
              FROM pg_catalog.pg_collation o
             WHERE o.oid IN (SELECT a.attcollation FROM pg_catalog.pg_attribute a
                              WHERE a.attrelid >= 16384)) c,
           LATERAL (VALUES ('collation_actual:', c.actual),
                           ('collation_recorded:', c.recorded)) p (prefix, version)
     WHERE p.version IS NOT NULL
    UNION ALL
    -- what its monitor knows of the nodes
    SELECT f.prefix || n.name, f.value
      FROM consistency.nodes n,
           LATERAL (VALUES ('node_state:', n.state),
                           ('node_role:', n.role),
                           ('node_this:', n.this::text),
                           ('node_timeline:', n.timeline::text),
                           ('node_error:', n.last_error)) f (prefix, value);
END;
COMMENT ON FUNCTION consistency.node_facts() IS
    'what consistency.check() wants to know of this server';
REVOKE ALL ON FUNCTION consistency.node_facts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.node_facts() TO pg_monitor;

CREATE FUNCTION consistency."check"(
        OUT severity text,
        OUT node text,
        OUT subject text,
        OUT problem text,
        OUT mend text)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'consistency_check';
COMMENT ON FUNCTION consistency."check"() IS
    'what undermines a promise in this cluster: error, warning or notice, at which node (null: the whole cluster), and the mend';
REVOKE ALL ON FUNCTION consistency."check"() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency."check"() TO pg_monitor;
