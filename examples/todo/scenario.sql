-- A to-do list that several people edit: nobody's work is thrown away.
--
-- The table is attached with deletes => 'add_wins': an entry that somebody changes
-- while somebody else deletes it stays.  Titles are "multi_value": where two write
-- one at the same time, both are kept until somebody decides.

\connect service=london
\ir table.sql
\connect service=paris
\ir table.sql
\ir ../join.sql

\connect service=london
INSERT INTO todo (id, title) VALUES (1, 'Paint the door'), (2, 'Sell the car'), (3, 'Buy milk');
CALL wait_delivered();

\ir ../cut.sql

\connect service=london
DELETE FROM todo WHERE id IN (1, 2);
UPDATE todo SET title = 'Buy oat milk', labels = labels + '"shop"' WHERE id = 3;
SELECT 'london' AS at, id, title, done, value(labels) AS labels FROM todo ORDER BY id;
\connect service=paris
UPDATE todo SET done = true WHERE id = 1;
UPDATE todo SET title = 'Buy two pints of milk', labels = labels + '"today"' WHERE id = 3;
SELECT 'paris' AS at, id, title, done, value(labels) AS labels FROM todo ORDER BY id;

\ir ../heal.sql

-- The door stays, and is done; the car that nobody has touched is gone.
\connect service=paris
SELECT 'paris' AS at, id, title, done, value(labels) AS labels FROM todo ORDER BY id;
SELECT string_agg(todo::text, ' ' ORDER BY id) AS paris FROM todo \gset
\connect service=london
SELECT 'london' AS at, id, title, done, value(labels) AS labels FROM todo ORDER BY id;
SELECT expect('an edit wins over a deletion', (SELECT done FROM todo WHERE id = 1));
SELECT expect('what was only deleted is gone', NOT EXISTS (SELECT FROM todo WHERE id = 2));
SELECT expect('both labels are there',
              (SELECT labels ?& ARRAY['"shop"', '"today"']::jsonb[] FROM todo WHERE id = 3));
SELECT expect('both have the same list', string_agg(todo::text, ' ' ORDER BY id) = :'paris') FROM todo;

-- Two titles: one is shown, and somebody has to decide.
SELECT key, "column", value, shown FROM consistency.unresolved('todo') ORDER BY value;
SELECT expect('no title is lost',
              (SELECT array_agg(value ORDER BY value) = '{Buy oat milk,Buy two pints of milk}'
                 FROM consistency.unresolved('todo')));
SELECT consistency.resolve('todo', '3', 'title', 'Buy two pints of oat milk');
CALL wait_delivered();
\connect service=paris
SELECT 'paris' AS at, id, title, done, value(labels) AS labels FROM todo ORDER BY id;
SELECT expect('it is decided at paris as well',
              (SELECT title = 'Buy two pints of oat milk' FROM todo WHERE id = 3)
              AND NOT EXISTS (SELECT FROM consistency.unresolved('todo')));
