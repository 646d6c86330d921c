-- A shopping cart that is edited on several devices, one of them offline.
--
-- A column of type orset is a set in which an addition wins over a removal that
-- hasn't seen it: nothing that somebody has put in vanishes.  The laptop uses
-- london, the tablet paris.  The phone has a database of its own, which is in no
-- group; it exchanges rows by consistency.merge_row() when it is online.  A web
-- page has no database at all, only the text of the column and an id.

\connect service=london
\ir table.sql
\connect service=paris
\ir table.sql
\connect service=phone
\ir table.sql
\ir ../join.sql

\connect service=london
INSERT INTO cart VALUES ('ann', orset(jsonb '["milk", "bread"]'));
CALL wait_delivered();

-- The phone gets a copy: all columns as text, its version among them.
SELECT ARRAY['owner', 'items', 'row_version'] AS names,
       ARRAY[owner, items::text, row_version::text] AS texts FROM cart WHERE owner = 'ann' \gset
\connect service=phone
SELECT consistency.merge_row('cart', :'names', :'texts');

\ir ../cut.sql

-- Three devices, none of which knows of the others' changes.
\connect service=london
UPDATE cart SET items = items - '"bread"' + '"eggs"' WHERE owner = 'ann';
SELECT 'laptop' AS on, value(items) FROM cart;
\connect service=paris
UPDATE cart SET items = items - '"milk"' - '"bread"' WHERE owner = 'ann';
SELECT 'tablet' AS on, value(items) FROM cart;
\connect service=phone
UPDATE cart SET items = items + '"milk"' + '"tea"' WHERE owner = 'ann';
SELECT 'phone' AS on, value(items) FROM cart;

\ir ../heal.sql

-- The phone comes online at paris: its row goes there, and what comes of it back.
\connect service=phone
SELECT ARRAY['owner', 'items', 'row_version'] AS names,
       ARRAY[owner, items::text, row_version::text] AS texts FROM cart WHERE owner = 'ann' \gset
\connect service=paris
SELECT consistency.merge_row('cart', :'names', :'texts');
-- It may send a row again if it has lost the answer.
SELECT consistency.merge_row('cart', :'names', :'texts');
CALL wait_delivered();
SELECT ARRAY['owner', 'items', 'row_version'] AS names,
       ARRAY[owner, items::text, row_version::text] AS texts FROM cart WHERE owner = 'ann' \gset
\connect service=phone
SELECT consistency.merge_row('cart', :'names', :'texts');

-- Bread was removed, twice.  Milk was removed on the tablet, but the phone put it
-- in at the same time.
SELECT value(items) FROM cart;
SELECT expect('the phone has what all have put in',
              (SELECT items ?& ARRAY['"milk"', '"eggs"', '"tea"']::jsonb[] FROM cart));
SELECT expect('the phone has nothing else', (SELECT cardinality(items) = 3 FROM cart));
SELECT items AS phone FROM cart \gset
\connect service=london
SELECT expect('london has the same cart', (SELECT items = :'phone' FROM cart));
\connect service=paris
SELECT expect('paris has the same cart', (SELECT items = :'phone' FROM cart));

-- A web page keeps the column's text.  What it changes is done under an id of its
-- own, by whichever server it reaches, and merged into the row.
SELECT items AS page FROM cart WHERE owner = 'ann' \gset
\connect service=london
UPDATE cart SET items = items - '"tea"' WHERE owner = 'ann';
SET consistency.replica_id = 'b0b1';
SELECT :'page'::orset + '"jam"' AS page \gset
RESET consistency.replica_id;
UPDATE cart SET items = items || :'page' WHERE owner = 'ann';
SELECT value(items) FROM cart;
SELECT expect('the old page brings jam, and not tea back',
              (SELECT items ? '"jam"' AND NOT items ? '"tea"' FROM cart));
