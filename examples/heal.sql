-- The link is back.  Wait until each has what the other one has written, and what
-- became of that.
\connect service=london
CALL heal_link();
\connect service=paris
CALL heal_link();
CALL wait_delivered();
\connect service=london
CALL wait_delivered();
\connect service=paris
CALL wait_delivered();
