-- Flag that is off if it was switched on and off concurrently.

COMMENT ON TYPE dw_flag IS 'flag that is off if it was switched on and off concurrently';
