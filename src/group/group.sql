-- Groups of servers whose tables converge.

-- Peers are declared as foreign servers of this wrapper, with the options of nodes.
CREATE FOREIGN DATA WRAPPER consistency_peer
    NO HANDLER
    VALIDATOR consistency.fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER consistency_peer IS
    'its servers are the other members of this database''s group, named as they are';
REVOKE ALL ON FOREIGN DATA WRAPPER consistency_peer FROM PUBLIC;

-- Who we are.  Neither dumped nor published: whoever restores a dump is somebody else.
CREATE TABLE consistency.groups (
    group_name text PRIMARY KEY,
    member text NOT NULL,
    origin text NOT NULL DEFAULT 'any' CHECK (origin IN ('any', 'none')),
    joined_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    settled_round bigint,
    counted text[]
) USING heap;
COMMENT ON TABLE consistency.groups IS 'groups that this database is a member of';
COMMENT ON COLUMN consistency.groups.group_name IS 'name of the group';
COMMENT ON COLUMN consistency.groups.member IS 'name of this database in it';
COMMENT ON COLUMN consistency.groups.origin IS 'what members send: any change, or (none) only those made by their own clients';
COMMENT ON COLUMN consistency.groups.joined_at IS 'when it joined';
COMMENT ON COLUMN consistency.groups.settled_round IS 'tombstones noted in this round and before are settled: all members have them';
COMMENT ON COLUMN consistency.groups.counted IS 'members that were counted for that';

-- What members tell each other.  A row is written by one member and published to
-- all, in the stream of that member's changes: whoever has a row has what its writer
-- had sent before.
--
-- A member that leaves sends a row about itself as its last message ("left").  Who
-- stays writes that he takes nothing more from it ("removed"), if he can after that
-- message has come.  Who has the word of each remaining member has all that any of
-- them got from the one that left, since it was sent on ahead of that word.  (With
-- origin none nothing is sent on, and the last message must have come, too.)  Then he
-- confirms, and when all have, the replica ids of who left are retired.
CREATE TABLE consistency.group_reports (
    group_name text,
    about text,
    by text,
    stamp bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'left', 'removed')),
    state_stamp bigint NOT NULL,
    confirmed boolean NOT NULL DEFAULT false,
    replica_ids text[],
    tables jsonb,
    round bigint,
    received jsonb,
    settled jsonb,
    counted text[],
    reported_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (group_name, about, by)
) USING heap;
COMMENT ON TABLE consistency.group_reports IS 'what members of a group tell each other; published with its tables';
COMMENT ON COLUMN consistency.group_reports.group_name IS 'the group';
COMMENT ON COLUMN consistency.group_reports.about IS 'member that it is about';
COMMENT ON COLUMN consistency.group_reports.by IS 'member that has written it';
COMMENT ON COLUMN consistency.group_reports.stamp IS 'grows with each change of the row: the highest one holds';
COMMENT ON COLUMN consistency.group_reports.state IS 'active; left: its own last word; removed: this writer takes nothing more from it';
COMMENT ON COLUMN consistency.group_reports.state_stamp IS 'since when; of several writers'' words the latest one tells whether it is a member';
COMMENT ON COLUMN consistency.group_reports.confirmed IS 'the writer has all that any member ever got from it';
COMMENT ON COLUMN consistency.group_reports.replica_ids IS 'of itself: the replica ids that it has drawn';
COMMENT ON COLUMN consistency.group_reports.tables IS 'of itself: tables that converge, with their rules';
COMMENT ON COLUMN consistency.group_reports.round IS 'of itself: number of its latest consistency.purge_tombstones()';
COMMENT ON COLUMN consistency.group_reports.received IS 'of itself: the round of each other member that it had got by then';
COMMENT ON COLUMN consistency.group_reports.settled IS 'of itself: the round of each other member up to which their tombstones are settled here';
COMMENT ON COLUMN consistency.group_reports.counted IS 'of itself: members that were counted for that';
COMMENT ON COLUMN consistency.group_reports.reported_at IS 'when it was written';

CREATE FUNCTION consistency.merge_report() RETURNS trigger
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_merge_report';
COMMENT ON FUNCTION consistency.merge_report() IS 'trigger that keeps the newest of what a member has told';
REVOKE ALL ON FUNCTION consistency.merge_report() FROM PUBLIC;

CREATE TRIGGER replicated BEFORE INSERT OR UPDATE ON consistency.group_reports
    FOR EACH ROW EXECUTE FUNCTION consistency.merge_report();
ALTER TABLE consistency.group_reports ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON consistency.group_reports IS
    'of what logical replication brings, only what is new is taken';

-- Our own rounds that not all have got yet, and the last one that they have.
-- See tombstone_purge.sql.
CREATE TABLE consistency.group_rounds (
    group_name text,
    round bigint,
    received jsonb NOT NULL,
    PRIMARY KEY (group_name, round)
) USING heap;
COMMENT ON TABLE consistency.group_rounds IS 'this member''s reports of progress that may be needed still';
COMMENT ON COLUMN consistency.group_rounds.group_name IS 'the group';
COMMENT ON COLUMN consistency.group_rounds.round IS 'number of the report';
COMMENT ON COLUMN consistency.group_rounds.received IS 'the round of each other member that had come by then';

CREATE TABLE consistency.tombstone_rounds (
    relation text COLLATE "C",
    key text COLLATE "C",
    version row_version NOT NULL,
    round bigint NOT NULL,
    PRIMARY KEY (relation, key)
) USING heap;
COMMENT ON TABLE consistency.tombstone_rounds IS 'since which round of this member each tombstone has been here';
COMMENT ON COLUMN consistency.tombstone_rounds.relation IS 'as in consistency.tombstones';
COMMENT ON COLUMN consistency.tombstone_rounds.key IS 'as in consistency.tombstones';
COMMENT ON COLUMN consistency.tombstone_rounds.version IS 'as it was then: another one is noted anew';
COMMENT ON COLUMN consistency.tombstone_rounds.round IS 'first round that was told to the group after it had come';
REVOKE ALL ON consistency.tombstone_rounds FROM PUBLIC;
GRANT SELECT ON consistency.tombstone_rounds TO pg_monitor;

REVOKE ALL ON consistency.groups, consistency.group_reports, consistency.group_rounds FROM PUBLIC;
GRANT SELECT ON consistency.groups, consistency.group_reports, consistency.group_rounds TO pg_monitor;

CREATE VIEW consistency.group_memberships AS
    SELECT w.group_name, w.member, w.joined, w.removed, coalesce(w.joined > w.removed, w.removed IS NULL) AS is_member
      FROM (SELECT r.group_name, r.about AS member,
                   coalesce(max(r.state_stamp) FILTER (WHERE r.state = 'active'), 0) AS joined,
                   max(r.state_stamp) FILTER (WHERE r.state <> 'active') AS removed
              FROM consistency.group_reports r
             GROUP BY r.group_name, r.about) w;
COMMENT ON VIEW consistency.group_memberships IS 'who is a member of a group, by the latest word of any member';
COMMENT ON COLUMN consistency.group_memberships.group_name IS 'the group';
COMMENT ON COLUMN consistency.group_memberships.member IS 'the member';
COMMENT ON COLUMN consistency.group_memberships.joined IS 'stamp of the latest word that it is one';
COMMENT ON COLUMN consistency.group_memberships.removed IS 'stamp of the latest word that it is none; null if there is no such word';
COMMENT ON COLUMN consistency.group_memberships.is_member IS 'which of them is later';
REVOKE ALL ON consistency.group_memberships FROM PUBLIC;
GRANT SELECT ON consistency.group_memberships TO pg_monitor;

CREATE VIEW consistency.group_members AS
    SELECT m.group_name, m.member, m.member = g.member AS this,
           CASE WHEN m.is_member THEN 'active' WHEN c.unconfirmed IS NULL THEN 'retired' ELSE 'leaving' END AS state,
           self.replica_ids, c.confirmed AS confirmed_by,
           CASE WHEN NOT m.is_member THEN c.unconfirmed END AS unconfirmed_by,
           CASE WHEN s.oid IS NULL THEN NULL WHEN NOT s.subenabled THEN 'disabled'
                WHEN w.pid IS NULL THEN 'down'
                WHEN EXISTS (SELECT FROM pg_catalog.pg_subscription_rel r
                              WHERE r.srsubid = s.oid AND r.srsubstate <> 'r') THEN 'copying'
                ELSE 'streaming' END AS subscription,
           w.last_msg_receipt_time AS last_message_at,
           CASE WHEN l.slot_name IS NULL THEN NULL WHEN l.wal_status = 'lost' THEN 'lost'
                WHEN l.active THEN 'active' ELSE 'inactive' END AS slot,
           CASE WHEN NOT pg_catalog.pg_is_in_recovery()
                THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), l.confirmed_flush_lsn)::bigint END AS lag,
           CASE WHEN NOT pg_catalog.pg_is_in_recovery()
                THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), l.restart_lsn)::bigint END AS retained,
           self.reported_at
      FROM consistency.group_memberships m
           JOIN consistency.groups g USING (group_name)
           LEFT JOIN consistency.group_reports self
                  ON self.group_name = m.group_name AND self.about = m.member AND self.by = m.member
           CROSS JOIN LATERAL (
               SELECT array_agg(o.member ORDER BY o.member) FILTER (WHERE r.by IS NOT NULL) AS confirmed,
                      array_agg(o.member ORDER BY o.member) FILTER (WHERE r.by IS NULL) AS unconfirmed
                 FROM consistency.group_memberships o
                      LEFT JOIN consistency.group_reports r
                             ON r.group_name = m.group_name AND r.about = m.member AND r.by = o.member
                            AND r.confirmed AND r.state_stamp > m.joined
                WHERE o.group_name = m.group_name AND o.is_member AND o.member <> m.member) c
           LEFT JOIN pg_catalog.pg_replication_slots l
                  ON l.slot_name = 'consistency_' || m.group_name || '_' || m.member
                 AND l.database = pg_catalog.current_database()
           LEFT JOIN (pg_catalog.pg_database d
                      JOIN pg_catalog.pg_subscription s
                        ON s.subdbid = d.oid AND d.datname = pg_catalog.current_database()
                      LEFT JOIN pg_catalog.pg_stat_subscription w
                             ON w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL)
                  ON s.subname = 'consistency_' || m.group_name || '_' || m.member;
COMMENT ON VIEW consistency.group_members IS 'members of this database''s groups, and how it is connected to them';
COMMENT ON COLUMN consistency.group_members.group_name IS 'the group';
COMMENT ON COLUMN consistency.group_members.member IS 'the member';
COMMENT ON COLUMN consistency.group_members.this IS 'is it this database?';
COMMENT ON COLUMN consistency.group_members.state IS 'active; leaving: it has left, and not all have confirmed; retired: all have';
COMMENT ON COLUMN consistency.group_members.replica_ids IS 'replica ids that it has drawn, as it has told';
COMMENT ON COLUMN consistency.group_members.confirmed_by IS 'of one that has left: members that have all that any of them got from it';
COMMENT ON COLUMN consistency.group_members.unconfirmed_by IS 'of one that has left: members that haven''t confirmed yet';
COMMENT ON COLUMN consistency.group_members.subscription IS 'ours to it: streaming, copying (rows that were there before), down or disabled';
COMMENT ON COLUMN consistency.group_members.last_message_at IS 'when it last said anything, as far as this server has been up';
COMMENT ON COLUMN consistency.group_members.slot IS 'its slot here: active, inactive or lost (it must join again)';
COMMENT ON COLUMN consistency.group_members.lag IS 'bytes of our log that it hasn''t confirmed';
COMMENT ON COLUMN consistency.group_members.retained IS 'bytes of our log that are kept for it';
COMMENT ON COLUMN consistency.group_members.reported_at IS 'when it wrote its latest report that has come here';
REVOKE ALL ON consistency.group_members FROM PUBLIC;
GRANT SELECT ON consistency.group_members TO pg_monitor;

-- Our word about a member; nothing where it is said already.
CREATE FUNCTION consistency.report_member(group_name text, member text, state text) RETURNS void
    LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
    INSERT INTO consistency.group_reports AS r (group_name, about, by, stamp, state, state_stamp)
    SELECT g.group_name, $2, g.member, s.stamp, $3, s.stamp
      FROM consistency.groups g,
           LATERAL (SELECT consistency.clock_next(
                        coalesce((SELECT max(x.stamp) FROM consistency.group_reports x WHERE x.group_name = $1), 0))) s (stamp)
     WHERE g.group_name = $1
       AND NOT EXISTS (SELECT FROM consistency.group_reports o
                        WHERE o.group_name = $1 AND o.about = $2 AND o.by = g.member AND o.state = $3
                          AND o.state_stamp > ALL (SELECT p.state_stamp FROM consistency.group_reports p
                                                    WHERE p.group_name = $1 AND p.about = $2
                                                      AND (p.state = 'active') <> ($3 = 'active')))
    ON CONFLICT (group_name, about, by) DO UPDATE
       SET stamp = excluded.stamp, state = excluded.state, state_stamp = excluded.state_stamp,
           confirmed = false, reported_at = excluded.reported_at;
END;
COMMENT ON FUNCTION consistency.report_member(text, text, text) IS
    'tells the group what this member takes another one for; for consistency.join_group() and consistency.leave_group()';
REVOKE ALL ON FUNCTION consistency.report_member(text, text, text) FROM PUBLIC;

-- Is nothing under way but the stream of changes?  Rows that are copied come ahead
-- of what was sent before them.
CREATE FUNCTION consistency.group_is_ready(group_name text) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT NOT EXISTS (
        SELECT FROM consistency.groups g JOIN consistency.group_memberships m USING (group_name)
         WHERE g.group_name = $1 AND m.is_member AND m.member <> g.member
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_subscription s
                                  JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
                                  JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid
                            WHERE d.datname = pg_catalog.current_database()
                              AND s.subname = 'consistency_' || g.group_name || '_' || m.member
                           HAVING bool_and(r.srsubstate = 'r')));
END;
COMMENT ON FUNCTION consistency.group_is_ready(text) IS
    'does this member get the changes of all others, with nothing to be copied first?';
REVOKE ALL ON FUNCTION consistency.group_is_ready(text) FROM PUBLIC;

-- Who we are by now, how far we had got at the last round, and confirmations.
CREATE FUNCTION consistency.report_progress(group_name text) RETURNS void
    LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
    -- our row
    INSERT INTO consistency.group_reports AS r
           (group_name, about, by, stamp, state, state_stamp, replica_ids, tables, round, received, settled, counted)
    SELECT g.group_name, g.member, g.member, s.stamp, 'active', s.stamp, i.ids, t.tables, n.round, n.received, a.received, g.counted
      FROM consistency.groups g
           CROSS JOIN LATERAL (SELECT consistency.clock_next(
                        coalesce((SELECT max(x.stamp) FROM consistency.group_reports x WHERE x.group_name = $1), 0))) s (stamp)
           CROSS JOIN LATERAL (SELECT array_agg(to_hex(d.id) ORDER BY d.ordinal)
                                 FROM consistency.replica_ids d, consistency.node_status() h
                                WHERE d.system_identifier::text = h.system_identifier AND d.database = h.database) i (ids)
           CROSS JOIN LATERAL (SELECT coalesce(jsonb_object_agg(format('%I.%I', k.nspname, c.relname),
                                                                to_jsonb(f) - 'relation' - 'enabled'), '{}')
                                 FROM consistency.attached_tables f
                                      JOIN pg_catalog.pg_class c ON c.oid = f.relation
                                      JOIN pg_catalog.pg_namespace k ON k.oid = c.relnamespace) t (tables)
           LEFT JOIN LATERAL (SELECT o.round, o.received FROM consistency.group_rounds o
                               WHERE o.group_name = $1 ORDER BY o.round DESC LIMIT 1) n ON true
           LEFT JOIN LATERAL (SELECT o.received FROM consistency.group_rounds o
                               WHERE o.group_name = $1 AND o.round <= g.settled_round
                               ORDER BY o.round DESC LIMIT 1) a ON true
     WHERE g.group_name = $1
    ON CONFLICT (group_name, about, by) DO UPDATE
       SET stamp = excluded.stamp, replica_ids = excluded.replica_ids, tables = excluded.tables,
           round = excluded.round, received = excluded.received, settled = excluded.settled, counted = excluded.counted,
           reported_at = excluded.reported_at;
    -- who has left, and nothing of it is still to come
    UPDATE consistency.group_reports r
       SET confirmed = true, reported_at = pg_catalog.clock_timestamp(),
           stamp = consistency.clock_next(
               (SELECT max(x.stamp) FROM consistency.group_reports x WHERE x.group_name = $1))
      FROM consistency.groups g, consistency.group_memberships m
     WHERE g.group_name = $1 AND m.group_name = $1 AND NOT m.is_member
       AND r.group_name = $1 AND r.about = m.member AND r.by = g.member AND r.by <> r.about
       AND r.state = 'removed' AND r.state_stamp > m.joined AND NOT r.confirmed
       AND consistency.group_is_ready($1)
       AND NOT EXISTS (SELECT FROM consistency.group_memberships o
                        WHERE o.group_name = $1 AND o.is_member
                          AND NOT EXISTS (SELECT FROM consistency.group_reports w
                                           WHERE w.group_name = $1 AND w.about = m.member AND w.by = o.member
                                             AND w.state = 'removed' AND w.state_stamp > m.joined))
       AND (g.origin = 'any'
            OR EXISTS (SELECT FROM consistency.group_reports l
                        WHERE l.group_name = $1 AND l.about = m.member AND l.by = m.member
                          AND l.state = 'left' AND l.state_stamp > m.joined));
END;
COMMENT ON FUNCTION consistency.report_progress(text) IS
    'tells the group how far this member has got, and confirms that it has all of members that have left';
REVOKE ALL ON FUNCTION consistency.report_progress(text) FROM PUBLIC;

-- The parts of members in what consistency.join_group() and leave_group() do.
CREATE FUNCTION consistency.declare_member(
        group_name text, member text, members text[], tables text[], origin text, dry_run boolean,
        OUT at_member text, OUT command text, OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_declare_member';
COMMENT ON FUNCTION consistency.declare_member(text, text, text[], text[], text, boolean) IS
    'a member''s first part in consistency.join_group(): its name and its publication';
REVOKE ALL ON FUNCTION consistency.declare_member(text, text, text[], text[], text, boolean) FROM PUBLIC;

CREATE FUNCTION consistency.subscribe_member(
        group_name text, member text, peer text, origin text, resync boolean, dry_run boolean,
        OUT at_member text, OUT command text, OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_subscribe_member';
COMMENT ON FUNCTION consistency.subscribe_member(text, text, text, text, boolean, boolean) IS
    'a member''s second part in consistency.join_group(): its slot at a peer, and its subscription';
REVOKE ALL ON FUNCTION consistency.subscribe_member(text, text, text, text, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION consistency.depart_member(
        group_name text, dry_run boolean,
        OUT at_member text, OUT command text, OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_depart_member';
COMMENT ON FUNCTION consistency.depart_member(text, boolean) IS
    'first part of who leaves in consistency.leave_group(): it takes no more, and says goodbye';
REVOKE ALL ON FUNCTION consistency.depart_member(text, boolean) FROM PUBLIC;

CREATE FUNCTION consistency.forget_member(
        group_name text, member text, marker bigint, patience integer, dry_run boolean,
        OUT at_member text, OUT command text, OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_forget_member';
COMMENT ON FUNCTION consistency.forget_member(text, text, bigint, integer, boolean) IS
    'part of who stays in consistency.leave_group(): its subscription and slot for who leaves go';
REVOKE ALL ON FUNCTION consistency.forget_member(text, text, bigint, integer, boolean) FROM PUBLIC;

CREATE FUNCTION consistency.disband_member(
        group_name text, dry_run boolean,
        OUT at_member text, OUT command text, OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_disband_member';
COMMENT ON FUNCTION consistency.disband_member(text, boolean) IS
    'last part of who leaves in consistency.leave_group(): what is left of the group here goes';
REVOKE ALL ON FUNCTION consistency.disband_member(text, boolean) FROM PUBLIC;

CREATE FUNCTION consistency.join_group(
        group_name text,
        member text DEFAULT NULL,
        origin text DEFAULT NULL,
        resync boolean DEFAULT false,
        dry_run boolean DEFAULT false,
        OUT step integer,
        OUT at_member text,
        OUT command text,
        OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_join_group';
COMMENT ON FUNCTION consistency.join_group(text, text, text, boolean, boolean) IS
    'connects this database and the peers that it declares to a group, as far as they aren''t; shows what was run, and where';
REVOKE ALL ON FUNCTION consistency.join_group(text, text, text, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION consistency.leave_group(
        group_name text,
        member text,
        dry_run boolean DEFAULT false,
        OUT step integer,
        OUT at_member text,
        OUT command text,
        OUT result text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_leave_group';
COMMENT ON FUNCTION consistency.leave_group(text, text, boolean) IS
    'takes a member out of a group, at all members that can be reached; shows what was run, and where';
REVOKE ALL ON FUNCTION consistency.leave_group(text, text, boolean) FROM PUBLIC;
