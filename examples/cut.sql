-- The link is cut: neither gets what the other one writes.
\connect service=london
CALL cut_link();
\connect service=paris
CALL cut_link();
