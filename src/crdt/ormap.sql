-- Map from text to other conflict-free types.

COMMENT ON TYPE ormap IS 'map from text to other conflict-free types';
