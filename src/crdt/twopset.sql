-- Set in which what was removed never comes back.

COMMENT ON TYPE twopset IS 'set in which what was removed never comes back';
