-- Set in which an addition wins over a concurrent removal.

COMMENT ON TYPE orset IS 'set in which an addition wins over a concurrent removal';
