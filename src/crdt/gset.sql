-- Set that only grows.

COMMENT ON TYPE gset IS 'set that only grows';
