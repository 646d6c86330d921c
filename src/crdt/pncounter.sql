-- Counter that goes up and down, and can be reset.

COMMENT ON TYPE pncounter IS 'counter that goes up and down, and can be reset';
