-- User preferences: each setting is the one chosen last, apart from the others.
--
-- Ordinary columns, and a table attached with last_writer => 'column': of each
-- column the last writer's value is kept.  (With 'row', the default, all of one
-- row are from one writer: right for an address, wrong for settings.)  A column of
-- type lww_register does the same by itself, also in tables that aren't attached,
-- and tells when and by whom it was written.

\connect service=london
\ir table.sql
\connect service=paris
\ir table.sql
\ir ../join.sql

\connect service=london
INSERT INTO preference VALUES ('ann');
CALL wait_delivered();

\ir ../cut.sql

-- Two devices: different settings, and then the same ones.
\connect service=london
UPDATE preference SET theme = 'dark' WHERE person = 'ann';
UPDATE preference SET volume = 3, signature = assign(signature, '"Ann, London"') WHERE person = 'ann';
SELECT 'london' AS at, theme, language, volume, value(signature) AS signature FROM preference;
-- A moment later:
\connect service=paris
SELECT pg_sleep(0.01);
UPDATE preference SET language = 'fr' WHERE person = 'ann';
UPDATE preference SET volume = 7, signature = assign(signature, '"Ann, Paris"') WHERE person = 'ann';
SELECT 'paris' AS at, theme, language, volume, value(signature) AS signature FROM preference;

\ir ../heal.sql

\connect service=london
SELECT 'london' AS at, theme, language, volume, value(signature) AS signature FROM preference;
SELECT expect('different settings are both kept', (SELECT theme = 'dark' AND language = 'fr' FROM preference));
SELECT expect('of the same setting the later one is', (SELECT volume = 7 AND value(signature) = '"Ann, Paris"' FROM preference));
SELECT preference AS london FROM preference \gset
-- What was lost by that can be looked up, at the server where it was merged.
SELECT key, "column", local, incoming, resolution FROM consistency.conflicts
 WHERE relation = 'preference'::regclass;
SELECT expect('london tells that its volume, and nothing else, was discarded',
              (SELECT array_agg("column" || ' ' || resolution) = '{volume took_incoming}'
                 FROM consistency.stat_conflicts
                WHERE relation = 'preference'::regclass AND discarded));
\connect service=paris
SELECT 'paris' AS at, theme, language, volume, value(signature) AS signature FROM preference;
SELECT expect('paris has the same', (SELECT preference::text = :'london' FROM preference));
