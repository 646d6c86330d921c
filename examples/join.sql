-- One call at one member: publications, slots and subscriptions at both.  Called
-- again, it does what is missing; here, for the tables attached since.
\connect service=london
SELECT at_member, command, result FROM consistency.join_group('example', 'london');
CALL wait_copied();
\connect service=paris
CALL wait_copied();
