-- What the outcome of a transaction can be asked for by.

CREATE FUNCTION consistency.transaction_ticket() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_transaction_ticket';
COMMENT ON FUNCTION consistency.transaction_ticket() IS
    'by what the outcome of the current transaction can be asked for later, NULL if it has written nothing';

CREATE FUNCTION consistency.transaction_status(ticket text) RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_transaction_status';
COMMENT ON FUNCTION consistency.transaction_status(text) IS
    'what became of a transaction: committed, aborted, in progress, lost (in a failover), or NULL if that is too long ago';
