-- A like counter: no like is lost, wherever it was given.
--
-- A column of type gcounter counts for each replica apart, and shows the sum.
-- With a bigint, the later of two servers that count at the same time would
-- overwrite what the other one has counted.

\connect service=london
\ir table.sql
\connect service=paris
\ir table.sql
\ir ../join.sql

\connect service=london
INSERT INTO post VALUES (1, 'Hello');
UPDATE post SET likes = likes + 1;
CALL wait_delivered();

\ir ../cut.sql

-- Readers like it at both.
\connect service=london
UPDATE post SET likes = likes + 1 WHERE id = 1;
UPDATE post SET likes = likes + 4 WHERE id = 1;
SELECT 'london' AS at, title, value(likes) AS likes FROM post;

\connect service=paris
UPDATE post SET likes = likes + 10 WHERE id = 1;
SELECT 'paris' AS at, title, value(likes) AS likes FROM post;

\ir ../heal.sql

\connect service=london
SELECT 'london' AS at, title, value(likes) AS likes, likes AS by_replica FROM post;
SELECT expect('london has all 16 likes', (SELECT value(likes) = 16 FROM post));
\connect service=paris
SELECT 'paris' AS at, title, value(likes) AS likes, likes AS by_replica FROM post;
SELECT expect('paris has all 16 likes', (SELECT value(likes) = 16 FROM post));

-- An application that writes back an old value takes no like away: a counter
-- that only grows merges with what is in the row.
UPDATE post SET likes = '{}';
SELECT expect('a state from long ago takes none away', (SELECT value(likes) = 16 FROM post));
