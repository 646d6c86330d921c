-- Removing tombstones that nobody needs any more: see tombstone_purge.c.

-- Up to which of our rounds all others have got everything; null: none.
CREATE FUNCTION consistency.group_acknowledged(group_name text) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT CASE WHEN count(*) = 0 THEN 9223372036854775807
                WHEN count(*) = count(r.received ->> g.member) THEN min((r.received ->> g.member)::bigint) END
      FROM consistency.groups g
           JOIN consistency.group_members m ON m.group_name = g.group_name
           LEFT JOIN consistency.group_reports r
                  ON r.group_name = g.group_name AND r.about = m.member AND r.by = m.member
     WHERE g.group_name = $1 AND m.member <> g.member AND m.state <> 'retired';
END;
COMMENT ON FUNCTION consistency.group_acknowledged(text) IS
    'up to which of its own rounds all others have got what this member has sent; null: none';
REVOKE ALL ON FUNCTION consistency.group_acknowledged(text) FROM PUBLIC;

-- The same of tombstones that are settled at all others; null: none.
CREATE FUNCTION consistency.group_settled(group_name text) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT CASE WHEN count(*) = 0 THEN 9223372036854775807
                WHEN count(*) = count(r.settled ->> g.member) AND bool_and(r.counted = g.counted)
                    THEN min((r.settled ->> g.member)::bigint) END
      FROM consistency.groups g
           JOIN consistency.group_members m ON m.group_name = g.group_name
           LEFT JOIN consistency.group_reports r
                  ON r.group_name = g.group_name AND r.about = m.member AND r.by = m.member
     WHERE g.group_name = $1 AND m.member <> g.member AND m.state <> 'retired';
END;
COMMENT ON FUNCTION consistency.group_settled(text) IS
    'tombstones that were here by which of this member''s rounds are settled at all others; null: none';
REVOKE ALL ON FUNCTION consistency.group_settled(text) FROM PUBLIC;

CREATE FUNCTION consistency.purge_tombstones() RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_purge_tombstones';
COMMENT ON FUNCTION consistency.purge_tombstones() IS
    'removes tombstones that no member needs any more, and tells the group how far this one is; to be called now and then at each member';
REVOKE ALL ON FUNCTION consistency.purge_tombstones() FROM PUBLIC;
