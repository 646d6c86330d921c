-- Register that keeps all values that were assigned concurrently.

COMMENT ON TYPE mv_register IS 'register that keeps all values that were assigned concurrently';
