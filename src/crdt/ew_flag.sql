-- Flag that is on if it was switched on and off concurrently.

COMMENT ON TYPE ew_flag IS 'flag that is on if it was switched on and off concurrently';
