-- What happened to the last statement.

CREATE FUNCTION consistency.last_read(
    OUT level text,
    OUT policy text,
    OUT requirement text,
    OUT node text,
    OUT "position" text,
    OUT waited interval,
    OUT place text,
    OUT reason text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1
    AS 'MODULE_PATHNAME', 'consistency_last_read';
COMMENT ON FUNCTION consistency.last_read() IS 'level, who asked for it, requirement, place and reason of the statement before this one';
