-- Version vector.

COMMENT ON TYPE vclock IS 'version vector: how many events of each replica are known';

CREATE FUNCTION increment(vclock) RETURNS vclock
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vclock_increment';
COMMENT ON FUNCTION increment(vclock) IS 'one more event of this replica';

CREATE FUNCTION compare(vclock, vclock) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vclock_compare';
COMMENT ON FUNCTION compare(vclock, vclock) IS 'before, after, equal or concurrent';

CREATE FUNCTION value(vclock) RETURNS jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'crdt_value';
COMMENT ON FUNCTION value(vclock) IS 'events by replica, as a JSON object';
