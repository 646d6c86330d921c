-- Counter that never falls below its bound.

COMMENT ON TYPE bcounter IS 'counter that never falls below its bound';
