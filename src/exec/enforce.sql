-- Waiting for a token.

CREATE PROCEDURE consistency.wait_for(token text, timeout interval DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'consistency_wait_for';
COMMENT ON PROCEDURE consistency.wait_for(text, interval) IS 'waits until this server shows what the token stands for; the timeout defaults to consistency.wait_timeout';
