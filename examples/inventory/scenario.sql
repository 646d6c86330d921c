-- An inventory that never goes negative, though both servers sell.
--
-- A column of type bcounter divides what there is among the replicas as rights.
-- Each sells what it holds without asking anybody; the sum can't fall below the
-- bound.  Rights are handed over by transfer().

\connect service=london
\ir table.sql
\connect service=paris
\ir table.sql
\ir ../join.sql

-- Rights go to a replica by its id.
\connect service=paris
SELECT consistency.replica_id() AS paris \gset

-- Ten chairs, and never less than none.  Paris gets four of them to sell.
\connect service=london
INSERT INTO stock VALUES ('chair', bcounter(0, 10));
UPDATE stock SET n = transfer(n, :'paris', 4) WHERE item = 'chair';
CALL wait_delivered();
SELECT value(n), rights(n) AS london, rights(n, :'paris') AS paris FROM stock;

\ir ../cut.sql

-- Both sell at once.
\connect service=london
UPDATE stock SET n = n - 5 WHERE item = 'chair';
SELECT 'london' AS at, value(n), rights(n) AS may_sell FROM stock;
\connect service=paris
UPDATE stock SET n = n - 3 WHERE item = 'chair';
SELECT 'paris' AS at, value(n), rights(n) AS may_sell FROM stock;

-- Paris counts seven chairs in all, but six of them aren't its own to sell, and
-- five are gone indeed.
\set ON_ERROR_STOP off
UPDATE stock SET n = n - 2 WHERE item = 'chair';
\set refused :SQLSTATE
\set ON_ERROR_STOP on
SELECT expect('an oversell is refused by a check_violation', :'refused' = '23514');

\ir ../heal.sql

\connect service=london
SELECT value(n), rights(n) AS london, rights(n, :'paris') AS paris FROM stock;
SELECT expect('two chairs are left', (SELECT value(n) = 2 FROM stock));

-- Somebody in paris wants both: london hands over the one it holds.
UPDATE stock SET n = transfer(n, :'paris', rights(n)) WHERE item = 'chair';
CALL wait_delivered();
\connect service=paris
UPDATE stock SET n = n - 2 WHERE item = 'chair';
CALL wait_delivered();
SELECT 'paris' AS at, value(n), rights(n) AS may_sell FROM stock;
SELECT expect('all ten are sold', (SELECT value(n) = 0 FROM stock));

-- New ones arrive in london, and are london's to sell.
\connect service=london
SELECT expect('london knows it', (SELECT value(n) = 0 AND rights(n) = 0 FROM stock));
UPDATE stock SET n = n + 3 WHERE item = 'chair';
UPDATE stock SET n = n - 1 WHERE item = 'chair';
SELECT 'london' AS at, value(n), rights(n) AS may_sell FROM stock;
SELECT expect('what has arrived can be sold', (SELECT value(n) = 2 FROM stock));
