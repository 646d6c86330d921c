-- What is wrong with this member of a group, and with tables that are attached, as
-- far as it can be seen here: a part of consistency.check().

CREATE FUNCTION consistency.group_findings(
        OUT severity text,
        OUT subject text,
        OUT problem text,
        OUT mend text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    WITH attached AS (
        SELECT a.relation::oid AS oid, format('%I.%I', n.nspname, c.relname) AS name, a.deletes,
               to_jsonb(a) - 'relation' - 'enabled' AS rules
          FROM consistency.attached_tables a
               JOIN pg_catalog.pg_class c ON c.oid = a.relation
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace),
    joined AS (
        SELECT g.group_name, g.member, p.oid AS publication,
               format('SELECT * FROM consistency.join_group(%L);', g.group_name) AS join
          FROM consistency.groups g
               LEFT JOIN pg_catalog.pg_publication p ON p.pubname = 'consistency_' || g.group_name),
    subscription AS (
        SELECT s.oid, s.subname, s.subpublications, (SELECT suborigin FROM pg_catalog.pg_subscription o WHERE o.oid = s.oid) AS origin,
               EXISTS (SELECT FROM pg_catalog.pg_subscription_rel r JOIN attached a ON a.oid = r.srrelid
                        WHERE r.srsubid = s.oid) AS brings_attached
          FROM pg_catalog.pg_subscription s
               JOIN pg_catalog.pg_database d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
               -- what there is before version 16
               CROSS JOIN (VALUES ('any')) before (suborigin)),
    published AS (
        SELECT p.*, a.name, a.oid AS relation, r.prqual IS NOT NULL AS filtered,
               r.prattrs IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_attribute t
                                                  WHERE t.attrelid = a.oid AND t.attnum > 0 AND NOT t.attisdropped
                                                    AND NOT t.attnum = ANY (r.prattrs::int2[])) AS cut
          FROM pg_catalog.pg_publication p
               CROSS JOIN attached a
               LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = a.oid
         WHERE r.oid IS NOT NULL OR p.puballtables
            OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
                        WHERE n.pnpubid = p.oid AND c.oid = a.oid))
    -- subscriptions of groups, and others that bring rows of attached tables
    SELECT 'error', 'subscription', format('subscription "%s" is disabled: no changes come from there', s.subname),
           format('ALTER SUBSCRIPTION %I ENABLE;', s.subname)
      FROM subscription s JOIN pg_catalog.pg_subscription e USING (oid)
     WHERE NOT e.subenabled AND (s.brings_attached OR EXISTS (SELECT FROM joined g WHERE s.subpublications = ARRAY['consistency_' || g.group_name]))
    UNION ALL
    SELECT 'warning', 'subscription',
           format('subscription "%s" has had %s error(s) in applying changes and %s in copying tables: it tries again until they go',
                  s.subname, e.apply_error_count, e.sync_error_count),
           format('Look at this server''s log, and remove the cause. When there are no more: SELECT pg_stat_reset_subscription_stats(%s);', s.oid)
      FROM subscription s JOIN pg_catalog.pg_stat_subscription_stats e ON e.subid = s.oid
     WHERE e.apply_error_count + e.sync_error_count > 0
       AND (s.brings_attached OR EXISTS (SELECT FROM joined g WHERE s.subpublications = ARRAY['consistency_' || g.group_name]))
    UNION ALL
    SELECT 'error', 'subscription',
           format('subscription "%s" takes only what was written there (origin none), but rows of table %s that survive a delete are sent by others: members will differ',
                  s.subname, (SELECT min(a.name) FROM attached a WHERE a.deletes = 'add_wins')),
           format('ALTER SUBSCRIPTION %I SET (origin = any);', s.subname)
      FROM subscription s
     WHERE s.origin = 'none' AND s.brings_attached AND EXISTS (SELECT FROM attached a WHERE a.deletes = 'add_wins')
    -- members as they are connected
    UNION ALL
    SELECT 'error', 'member', format('member "%s" of group "%s" isn''t subscribed to: its changes don''t come', m.member, m.group_name),
           (SELECT g.join FROM joined g WHERE g.group_name = m.group_name)
      FROM consistency.group_members m
     WHERE m.state = 'active' AND NOT m.this AND m.subscription IS NULL
    UNION ALL
    SELECT 'warning', 'member', format('nothing comes from member "%s" of group "%s": the subscription''s worker isn''t running', m.member, m.group_name),
           'Start that server, or look at this server''s log; max_logical_replication_workers and max_worker_processes may be too low.'
      FROM consistency.group_members m
     WHERE m.state = 'active' AND NOT m.this AND m.subscription = 'down' AND NOT pg_catalog.pg_is_in_recovery()
    UNION ALL
    SELECT 'error', 'member', format('member "%s" of group "%s" has no slot here: our changes don''t get there', m.member, m.group_name),
           (SELECT g.join FROM joined g WHERE g.group_name = m.group_name)
      FROM consistency.group_members m
     WHERE m.state = 'active' AND NOT m.this AND m.slot IS NULL AND NOT pg_catalog.pg_is_in_recovery()
    UNION ALL
    SELECT 'error', 'slot', format('the slot of member "%s" of group "%s" was invalidated: our changes don''t get there any more', m.member, m.group_name),
           (SELECT g.join FROM joined g WHERE g.group_name = m.group_name) || ' It makes slot and subscription anew, and all rows are merged.'
      FROM consistency.group_members m
     WHERE m.slot = 'lost'
    UNION ALL
    SELECT 'warning', 'slot',
           format('member "%s" of group "%s" is away: %s of log are kept for it', m.member, m.group_name, pg_catalog.pg_size_pretty(m.retained)),
           format('Start it; or, if it won''t come back: SELECT * FROM consistency.leave_group(%L, %L); max_slot_wal_keep_size limits what is kept.',
                  m.group_name, m.member)
      FROM consistency.group_members m
     WHERE m.slot = 'inactive'
    UNION ALL
    SELECT 'warning', 'member',
           format('member "%s" of group "%s" has left, but member(s) %s haven''t confirmed: its replica ids aren''t retired',
                  m.member, m.group_name, array_to_string(m.unconfirmed_by, ', ')),
           format('SELECT * FROM consistency.leave_group(%L, %L);', m.group_name, m.member)
      FROM consistency.group_members m
     WHERE m.state = 'leaving'
    UNION ALL
    SELECT 'warning', 'tombstones',
           format('%s tombstone(s) can''t be purged: member "%s" of group "%s" has told nothing since %s',
                  (SELECT count(*) FROM consistency.tombstone_rounds), m.member, m.group_name,
                  coalesce(to_char(m.reported_at, 'YYYY-MM-DD HH24:MI'), 'it joined')),
           format('Start it and call consistency.purge_tombstones() there now and then; or SELECT * FROM consistency.leave_group(%L, %L);',
                  m.group_name, m.member)
      FROM consistency.group_members m
     WHERE m.state = 'active' AND NOT m.this AND EXISTS (SELECT FROM consistency.tombstone_rounds)
       AND (m.reported_at IS NULL OR m.reported_at < pg_catalog.clock_timestamp() - interval '1 day'
            OR m.slot = 'inactive')
    -- what is published
    UNION ALL
    SELECT 'error', 'publication', format('publication "%s" publishes deletes or truncation of table %s: tombstones say what is deleted', p.pubname, p.name),
           format('ALTER PUBLICATION %I SET (publish = ''insert, update'');', p.pubname)
      FROM published p WHERE p.pubdelete OR p.pubtruncate
    UNION ALL
    SELECT 'error', 'publication', format('publication "%s" of table %s leaves out insertions or updates', p.pubname, p.name),
           format('ALTER PUBLICATION %I SET (publish = ''insert, update'');', p.pubname)
      FROM published p WHERE NOT (p.pubinsert AND p.pubupdate)
    UNION ALL
    SELECT 'error', 'publication', format('publication "%s" filters rows of table %s: members will differ', p.pubname, p.name),
           format('ALTER PUBLICATION %1$I DROP TABLE %2$s; ALTER PUBLICATION %1$I ADD TABLE %2$s;', p.pubname, p.name)
      FROM published p WHERE p.filtered
    UNION ALL
    SELECT 'error', 'publication', format('publication "%s" leaves out columns of table %s: rows can''t merge', p.pubname, p.name),
           format('ALTER PUBLICATION %1$I DROP TABLE %2$s; ALTER PUBLICATION %1$I ADD TABLE %2$s;', p.pubname, p.name)
      FROM published p WHERE p.cut
    UNION ALL
    SELECT DISTINCT 'warning', 'publication',
           format('publication "%s" is for all tables: tables that don''t converge go with it, and what this server knows of itself', p.pubname),
           format('DROP PUBLICATION %I; and publish what converges by consistency.join_group().', p.pubname)
      FROM published p WHERE p.puballtables
    UNION ALL
    SELECT 'error', 'publication', format('group "%s" doesn''t publish table %s, which is attached', g.group_name, a.name), g.join
      FROM joined g CROSS JOIN attached a
     WHERE NOT EXISTS (SELECT FROM published p WHERE p.oid = g.publication AND p.relation = a.oid)
    UNION ALL
    SELECT 'warning', 'publication', format('group "%s" publishes table %I.%I, which isn''t attached: its rows don''t merge', g.group_name, n.nspname, c.relname),
           format('SELECT consistency.attach(''%1$I.%2$I''); at all members; or ALTER PUBLICATION %3$I DROP TABLE %1$I.%2$I;',
                  n.nspname, c.relname, 'consistency_' || g.group_name)
      FROM joined g JOIN pg_catalog.pg_publication_rel r ON r.prpubid = g.publication
           JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname <> 'consistency' AND NOT EXISTS (SELECT FROM attached a WHERE a.oid = c.oid)
    -- the same tables everywhere
    UNION ALL
    SELECT 'error', 'tables',
           format('table %s is attached here, but not at member "%s" of group "%s"', a.name, r.about, g.group_name),
           format('SELECT consistency.attach(%L, ...); there, then %s', a.name, g.join)
      FROM joined g JOIN consistency.group_reports r ON r.group_name = g.group_name AND r.about = r.by AND r.by <> g.member
           JOIN consistency.group_members m ON m.group_name = g.group_name AND m.member = r.about AND m.state = 'active'
           CROSS JOIN attached a
     WHERE NOT r.tables ? a.name
    UNION ALL
    SELECT 'error', 'tables',
           format('table %s has other rules here (%s) than at member "%s" of group "%s" (%s): rows will differ',
                  a.name, a.rules, r.about, g.group_name, r.tables -> a.name),
           format('SELECT consistency.attach(%L, ...); once more, with the same rules at all members, then %s', a.name, g.join)
      FROM joined g JOIN consistency.group_reports r ON r.group_name = g.group_name AND r.about = r.by AND r.by <> g.member
           JOIN consistency.group_members m ON m.group_name = g.group_name AND m.member = r.about AND m.state = 'active'
           JOIN attached a ON r.tables ? a.name
     WHERE r.tables -> a.name <> a.rules
    UNION ALL
    SELECT 'error', 'tables',
           format('table %s is attached at member "%s" of group "%s", but not here', t.name, r.about, g.group_name),
           format('SELECT consistency.attach(%L, ...); here, then %s', t.name, g.join)
      FROM joined g JOIN consistency.group_reports r ON r.group_name = g.group_name AND r.about = r.by AND r.by <> g.member
           JOIN consistency.group_members m ON m.group_name = g.group_name AND m.member = r.about AND m.state = 'active'
           CROSS JOIN LATERAL jsonb_object_keys(r.tables) t (name)
     WHERE NOT EXISTS (SELECT FROM attached a WHERE a.name = t.name);
END;
COMMENT ON FUNCTION consistency.group_findings() IS
    'what is wrong with this member of a group and with its attached tables, as consistency.check() shows it';
REVOKE ALL ON FUNCTION consistency.group_findings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consistency.group_findings() TO pg_monitor;
