-- The schema of everything that an administrator calls.

CREATE SCHEMA consistency;
COMMENT ON SCHEMA consistency IS 'declared consistency of reads: nodes, tokens, what was promised and kept';
GRANT USAGE ON SCHEMA consistency TO PUBLIC;
