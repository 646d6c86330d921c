-- Nodes are declared as foreign servers of this wrapper.  It has no handler:
-- foreign tables can't be made to work with it.

CREATE FUNCTION consistency.fdw_validator(options text[], catalog oid) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'consistency_fdw_validator';
COMMENT ON FUNCTION consistency.fdw_validator(text[], oid) IS
    'checks the options of nodes and of their user mappings';
REVOKE ALL ON FUNCTION consistency.fdw_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER consistency
    NO HANDLER
    VALIDATOR consistency.fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER consistency IS
    'its servers are the nodes of this cluster';
REVOKE ALL ON FOREIGN DATA WRAPPER consistency FROM PUBLIC;
