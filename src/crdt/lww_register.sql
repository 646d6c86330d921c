-- Register that keeps the value with the latest stamp.

COMMENT ON TYPE lww_register IS 'register that keeps the value with the latest stamp';
