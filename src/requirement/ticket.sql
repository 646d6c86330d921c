-- What the outcome of a transaction can be asked for by.

CREATE FUNCTION consistency.transaction_ticket() RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_transaction_ticket';
COMMENT ON FUNCTION consistency.transaction_ticket() IS
    'the ticket of the current transaction, by which its outcome can be asked for later; NULL if it has written nothing so far';

CREATE FUNCTION consistency.transaction_status(ticket text) RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'consistency_transaction_status';
COMMENT ON FUNCTION consistency.transaction_status(text) IS
    'what became of the transaction of a ticket: committed, aborted, in progress, or lost in a failover; NULL if that is too long ago to be known';
