-- Policies for usual cases.

CREATE FUNCTION consistency.presets(
        OUT preset text,
        OUT used_for text,
        OUT kind text,
        OUT level text,
        OUT max_staleness interval,
        OUT on_timeout text,
        OUT merging text,
        OUT beside text,
        OUT reason text)
    RETURNS SETOF record
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE ROWS 9
    AS 'MODULE_PATHNAME', 'consistency_presets';
COMMENT ON FUNCTION consistency.presets() IS 'policies for usual cases';
GRANT EXECUTE ON FUNCTION consistency.presets() TO PUBLIC;

CREATE VIEW consistency.presets AS
    SELECT preset, used_for, kind, level, max_staleness, on_timeout, merging, beside, reason
      FROM consistency.presets();
COMMENT ON VIEW consistency.presets IS
    'policies for usual cases; consistency.apply_preset() gives a table one of them';
COMMENT ON COLUMN consistency.presets.preset IS 'name of the case';
COMMENT ON COLUMN consistency.presets.used_for IS 'what it is for';
COMMENT ON COLUMN consistency.presets.kind IS
    'minimum (no session goes below it) or default (for sessions that declare nothing)';
COMMENT ON COLUMN consistency.presets.level IS 'level that readers get';
COMMENT ON COLUMN consistency.presets.max_staleness IS 'bound in time, with level bounded';
COMMENT ON COLUMN consistency.presets.on_timeout IS
    'what becomes of a read in vain; null: as the session says';
COMMENT ON COLUMN consistency.presets.merging IS
    'column types that fit where copies are changed apart; null: none';
COMMENT ON COLUMN consistency.presets.beside IS 'what else it takes, which a policy can''t say';
COMMENT ON COLUMN consistency.presets.reason IS 'why this level';
REVOKE ALL ON consistency.presets FROM PUBLIC;
GRANT SELECT ON consistency.presets TO PUBLIC;

CREATE FUNCTION consistency.apply_preset(relation regclass, preset text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'consistency_apply_preset';
COMMENT ON FUNCTION consistency.apply_preset(regclass, text) IS
    'gives a table that you own the policy of a preset, in place of the one it has';
GRANT EXECUTE ON FUNCTION consistency.apply_preset(regclass, text) TO PUBLIC;
