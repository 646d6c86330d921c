--
-- Policies for usual cases: presets, apply_preset().
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

SELECT preset, kind, level, max_staleness, on_timeout FROM consistency.presets;
SELECT preset, used_for, merging FROM consistency.presets ORDER BY preset COLLATE "C";
SELECT count(*) FROM consistency.presets WHERE used_for IS NULL OR beside IS NULL OR reason IS NULL;

-- column types that are advised exist
SELECT p.preset, word
  FROM consistency.presets p, regexp_matches(p.merging, '\m(\w+(?:counter|register|set|map))s?\M', 'g') m (words),
       unnest(words) word
 WHERE to_regtype(word) IS NULL;

-- each is a policy like any other
CREATE TABLE preset_test (i int);
CREATE VIEW preset_result AS
    SELECT kind, level, max_staleness, max_lag, on_timeout FROM consistency.policies
     WHERE relation = 'preset_test'::regclass;
DO $$
DECLARE p record; q record;
BEGIN
    FOR p IN SELECT * FROM consistency.presets LOOP
        PERFORM consistency.apply_preset('preset_test', p.preset);
        SELECT * INTO STRICT q FROM preset_result;
        IF (q.kind, q.level, q.max_staleness, q.on_timeout) IS DISTINCT FROM
           (p.kind, p.level, p.max_staleness, p.on_timeout) OR q.max_lag IS NOT NULL THEN
            RAISE EXCEPTION '%: %', p.preset, q;
        END IF;
    END LOOP;
END $$;
SELECT consistency.apply_preset('preset_test', 'Catalogue');
SELECT * FROM preset_result;
SELECT consistency.apply_preset(relation => 'preset_test', preset => 'payments');
SELECT * FROM preset_result;

-- bad input leaves it as it is
SELECT consistency.apply_preset('preset_test', 'payment');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.apply_preset('preset_test', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.apply_preset(NULL, 'cart');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.apply_preset(1, 'cart');
\echo :LAST_ERROR_SQLSTATE
SELECT consistency.apply_preset('pg_class', 'cart');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM preset_result;

-- the owner's only, and a write
CREATE ROLE regress_preset_owner;
CREATE ROLE regress_preset_other;
ALTER TABLE preset_test OWNER TO regress_preset_owner;
GRANT ALL ON preset_test TO regress_preset_other;
SET ROLE regress_preset_other;
SELECT count(*) FROM consistency.presets;
SELECT consistency.apply_preset('preset_test', 'feed');
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_preset_owner;
SELECT consistency.apply_preset('preset_test', 'cart');
BEGIN READ ONLY;
SELECT consistency.apply_preset('preset_test', 'feed');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
RESET ROLE;
SELECT * FROM preset_result;

DROP TABLE preset_test CASCADE;
DROP ROLE regress_preset_owner, regress_preset_other;
