--
-- Sets: gset, twopset, orset, and their index.
--
-- Replicas are played by this one session: consistency.replica_id says whose
-- changes these are.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- how an expression ends: its value, or the error
CREATE FUNCTION set_outcome(expression text) RETURNS text LANGUAGE plpgsql
    AS $$
DECLARE
    said text;
    detail text;
    hint text;
    result text;
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN coalesce(result, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || said, nullif(detail, ''), nullif(hint, ''));
END $$;
-- what becomes of a state that a client sends in binary, here by COPY
CREATE FUNCTION set_receive(type text, state bytea) RETURNS text LANGUAGE plpgsql
    AS $$
DECLARE
    field bytea := substr(int4send(pg_char_to_encoding(getdatabaseencoding())), 4) || state;
    file bytea := '\x5047434f50590aff0d0a00' || int4send(0) || int4send(0) || int2send(1::int2) ||
        int4send(length(field)) || field || int2send((-1)::int2);
    octal text := (SELECT string_agg('\' || (get_byte(file, i) >> 6) || (get_byte(file, i) >> 3 & 7) || (get_byte(file, i) & 7), '' ORDER BY i)
                   FROM generate_series(0, length(file) - 1) i);
    detail text;
    result text;
BEGIN
    EXECUTE format('CREATE TEMP TABLE received (state %s) ON COMMIT DROP', type);
    EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', 'printf ''' || octal || '''');
    SELECT r.state::text INTO result FROM received r;
    DROP TABLE received;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;

--
-- orset
--

-- two carts that are edited apart merge to both items
SET consistency.replica_id = 'a';
SELECT orset '{}' + '"milk"' AS phone \gset
SELECT :'phone';
SET consistency.replica_id = 'b';
SELECT orset '{}' + '"bread"' AS laptop \gset
SELECT value(:'phone'::orset || :'laptop'), :'phone'::orset || :'laptop' AS cart;
SELECT :'phone'::orset || :'laptop' = :'laptop'::orset || :'phone' AS commutes;

-- an addition wins over a concurrent removal
SELECT :'phone'::orset || :'laptop' AS cart \gset
SET consistency.replica_id = 'a';
SELECT :'cart'::orset + '"milk"' AS added \gset
SET consistency.replica_id = 'b';
SELECT :'cart'::orset - '"milk"' AS removed \gset
SELECT value(:'removed'::orset), value(:'added'::orset || :'removed'), value(:'removed'::orset || :'added');
-- a removal takes with it what it has seen, and nothing is kept of it
SELECT value(:'cart'::orset || :'removed'), :'cart'::orset || :'removed' = :'removed' AS same;
-- an addition after the removal counts, from whichever replica
SELECT value(:'removed'::orset || (:'removed'::orset + '"milk"'));
SET consistency.replica_id = 'c';
SELECT value(:'cart'::orset || (:'removed'::orset + '"milk"') || :'removed');
-- both remove: gone; both add: two dots, and a removal that has seen one leaves the other
SET consistency.replica_id = 'a';
SELECT :'removed'::orset + '"milk"' AS a \gset
SET consistency.replica_id = 'b';
SELECT :'removed'::orset + '"milk"' AS b \gset
SELECT :'a'::orset || :'b' AS both;
SELECT value(:'a'::orset || :'b' || (:'b'::orset - '"milk"')) AS one_left,
       value(:'a'::orset || :'b' || ((:'a'::orset || :'b') - '"milk"')) AS none_left;
-- adding again replaces all dots that were seen
SET consistency.replica_id = 'b';
SELECT (:'a'::orset || :'b') + '"milk"';
-- a replica whose id comes first moves the others' places
SET consistency.replica_id = '1';
SELECT :'cart'::orset + '"eggs"';
SELECT :'cart'::orset <@ (:'cart'::orset + '"eggs"') AS above, :'cart'::orset @> (:'cart'::orset + '"eggs"') AS below;
-- clearing removes what was seen
SELECT clear(:'cart'::orset), value(:'added'::orset || clear(:'cart'::orset));
-- removing what isn't in changes nothing
SELECT :'cart'::orset - '"butter"' = :'cart' AS same, orset '{}' - '1' = '{}' AS same_empty, clear(orset '{}');
-- many at once
SET consistency.replica_id = 'a';
SELECT orset(jsonb '["y", "x", "y", 1]'), orset(jsonb '[]'), orset(jsonb_build_array('z', true));

--
-- gset and twopset
--

SELECT gset '["b", "a"]' || '["c", "b"]' AS merged, gset '[]' || '[]' AS empty, gset '{}' AS also_empty,
       gset '["b"]' + '"a"' + '"c"' + '"b"' AS added, gset(jsonb '[2, 1, 2]') AS made;
SELECT gset '["a"]' <@ '["a", "b"]' AS yes, gset '["a", "c"]' <@ '["a", "b"]' AS no, gset '[]' <@ '[]' AS empty;

-- what was removed never comes back
SELECT twopset '{}' + '"x"' + '"y"' - '"x"' AS s \gset
SELECT :'s'::twopset, value(:'s'::twopset), :'s'::twopset + '"x"' = :'s' AS stays_away, :'s'::twopset - '"x"' = :'s' AS still;
SELECT value(:'s'::twopset || '["x", "z"]'), value(twopset '["x", "z"]' || :'s');
-- what isn't in can't be removed, and can be added later
SELECT twopset '{}' - '"x"' AS nothing, twopset '{}' - '"x"' + '"x"' AS added;
-- in both lists means removed
SELECT twopset '{"added": ["x", "y"], "removed": ["y", "w"]}', twopset(jsonb '[3, 3]'), twopset '{"removed": []}';

--
-- elements
--

-- as jsonb compares: numbers by value, objects whatever the order of keys, types apart
SELECT gset '[1, 1.0, 1e0, "1", 100, 1e2, 0.10, -0, 0, true, null, "true", {"b": 1.50, "a": [1, "x"]}, {"a": [1.0, "x"], "b": 1.5}, [], {}, "", " ", "a\"\\\n"]';
SELECT s ? '1.00' AS number, s ? '"1"' AS string, s ? 'null' AS "null", s ? '{"k": [1], "b": 2}' AS document, s ? '{"b": 2}' AS part
FROM (SELECT gset '[1, null, {"b": 2.0, "k": [1.0]}]') v(s);
SELECT value(orset '{}' + jsonb '{"sku": 7, "n": 1}' - jsonb '{"n": 1.0, "sku": 7}');

-- membership, number, rows
CREATE TABLE sets (name text, g gset, t twopset, o orset);
INSERT INTO sets VALUES
    ('empty', '[]', '{}', '{}'),
    ('one', '[1]', '{"added": [1], "removed": [2]}', orset(jsonb '[1]')),
    ('three', '[1, 2, "x"]', '[1, 2, "x"]', orset(jsonb '[1, 2, "x"]'));
SELECT name, g ? '1' AS g1, t ? '2' AS t2, o ? '"x"' AS ox, cardinality(g) AS g, cardinality(t) AS t, cardinality(o) AS o,
       g::jsonb AS gj, value(t) AS tv, o::jsonb AS oj
FROM sets ORDER BY name;
SELECT name, elements AS any_or_all, g ?| elements AS g_any, t ?| elements AS t_any, o ?| elements AS o_any,
       g ?& elements AS g_all, t ?& elements AS t_all, o ?& elements AS o_all
FROM sets, (VALUES ('{}'::jsonb[]), ('{1,2}'), ('{2,1,2,NULL}'), ('{5,1}'), ('{{"\"x\"",2},{1,1}}')) v(elements)
ORDER BY name, cardinality(elements), elements;
SELECT name, elements(g), elements(t), elements(o) FROM sets ORDER BY name, 2;
SELECT s.name, e, pg_typeof(e) FROM sets s, elements(s.o) e WHERE e <> '2' ORDER BY 1, 2 LIMIT 3;
SELECT elements(o) FROM sets WHERE name = 'three' LIMIT 1;
SELECT g, count(*) FROM (SELECT * FROM sets UNION ALL SELECT * FROM sets) twice GROUP BY g, t, o ORDER BY cardinality(g);

-- text and binary round trips
CREATE FUNCTION round_trip(OUT failures bigint) LANGUAGE plpgsql
    AS $$
DECLARE
    file text := current_setting('data_directory') || '/crdt_sets.copy';
BEGIN
    CREATE TEMP TABLE copied (LIKE sets);
    EXECUTE format('COPY sets TO %L (FORMAT binary)', file);
    EXECUTE format('COPY copied FROM PROGRAM %L (FORMAT binary)', format('cat %1$s && rm %1$s', file));
    EXECUTE format('COPY sets TO %L', file);
    EXECUTE format('COPY copied FROM PROGRAM %L', format('cat %1$s && rm %1$s', file));
    SELECT count(*) - 2 * (SELECT count(*) FROM sets) + count(*) FILTER (WHERE s.name IS NULL) INTO failures
    FROM copied c LEFT JOIN sets s ON s.g = c.g AND s.t = c.t AND s.o = c.o AND s.name = c.name;
    DROP TABLE copied;
END $$;
INSERT INTO sets VALUES
    ('documents', '[{"a": [1, {"b": null}]}, "tab\there"]', '{"removed": [[], {}]}', :'added'::orset || :'removed');
INSERT INTO sets
    SELECT 'large', g, value(g)::text::twopset, orset(value(g)) FROM
        (SELECT gset(jsonb_agg(to_jsonb('number ' || i))) g FROM generate_series(1, 3000) i) made;
SELECT * FROM round_trip();
SELECT name, cardinality(o), t::jsonb = o::jsonb AS same FROM sets WHERE name = 'large';

-- no more than 16 bytes beside what an element itself takes
SELECT octet_length(orset_send(o)) - sum(octet_length(e::text)) <= 16 * cardinality(o) AS small
FROM sets, elements(o) e WHERE name = 'large' GROUP BY o;

--
-- hostile input
--

SELECT input, set_outcome(format('%L::%s', split_part(input, ' ', 2), split_part(input, ' ', 1))) FROM (VALUES
    ('gset 1'), ('gset "a"'), ('gset {"a":1}'), ('gset ['), ('gset null'),
    ('twopset 1'), ('twopset {"added":1}'), ('twopset {"gone":[]}'),
    ('orset ["a"]'), ('orset 1'), ('orset {"clock":1}'), ('orset {"clock":{"a":0}}'), ('orset {"clock":{"x":1}}'),
    ('orset {"elements":null}'), ('orset {"elements":[1]}'), ('orset {"elements":[{"value":1}]}'), ('orset {"items":[]}'),
    ('orset {"clock":{"a":1},"elements":[{"value":1,"dots":{}}]}'),
    ('orset {"clock":{"a":1},"elements":[{"dots":{"a":1}}]}'),
    ('orset {"clock":{"a":1},"elements":[{"value":1,"dots":{"a":2}}]}'),
    ('orset {"clock":{"a":1},"elements":[{"value":1,"dots":{"b":1}}]}'),
    ('orset {"clock":{"a":1},"elements":[{"value":1,"dots":{"a":1},"x":1}]}'),
    ('orset {"clock":{"a":2},"elements":[{"value":1,"dots":{"a":1}},{"value":1.0,"dots":{"a":2}}]}')) v(input);
-- a string in parentheses is a cast, that is, a state
SELECT set_outcome($$orset('["a"]')$$);
SELECT set_outcome($$gset(jsonb '{"a": 1}')$$), set_outcome($$twopset(jsonb '1')$$), set_outcome($$orset(jsonb '"a"')$$);
SELECT set_outcome($$cardinality(orset '{"clock": {"a": 9223372036854775807}}' + '1')$$);

SELECT type, state, set_receive(type, state::bytea) FROM (VALUES
    (1, 'gset', '\x010602013101' || '32'), (2, 'gset', '\x010600'), (3, 'gset', '\x0106'), (4, 'gset', '\x010601'),
    (5, 'gset', '\x0106020132' || '0131'), (6, 'gset', '\x0106020131' || '0131'), (7, 'gset', '\x010601013100'),
    (8, 'gset', '\x01068000'), (9, 'gset', '\x0106ffffffffffffffffff01'), (10, 'gset', '\x01060103312e30'),
    (11, 'gset', '\x010601022031'), (12, 'gset', '\x01060100'), (13, 'gset', '\x010601047b2261'), (14, 'gset', '\x010700'),
    (15, 'twopset', '\x010701013101'), (16, 'twopset', '\x010701013102'), (17, 'twopset', '\x0107010131'),
    (18, 'orset', '\x0108010000000000000' || '00a02' || '01' || '0131' || '010002'),
    (19, 'orset', '\x01080000'),
    (20, 'orset', '\x0108010000000000000' || '00a02' || '01' || '0131' || '00'),
    (21, 'orset', '\x0108010000000000000' || '00a02' || '01' || '0131' || '010003'),
    (22, 'orset', '\x0108010000000000000' || '00a02' || '01' || '0131' || '010101'),
    (23, 'orset', '\x0108010000000000000' || '00a02' || '01' || '0131' || '0200010002'),
    (24, 'orset', '\x0108010000000000000' || '00a02' || '01' || '0131' || '01008200'),
    (25, 'orset', '\x0108010000000000000' || '00a00' || '00'),
    (26, 'orset', '\x0108ff'), (27, 'orset', '\x010801')) v(n, type, state) ORDER BY n;

--
-- index
--

CREATE TABLE tagged (id int PRIMARY KEY, g gset, t twopset, o orset);
INSERT INTO tagged
    SELECT i, gset(tags), twopset(tags) - '"tag 3"', orset(tags) - '"tag 3"'
    FROM generate_series(1, 500) i,
        LATERAL (SELECT coalesce(jsonb_agg(to_jsonb('tag ' || j)), '[]') tags FROM generate_series(1, 20) j WHERE (i * 31 + j * 7) % 11 = j % 5) made;
INSERT INTO tagged VALUES (501, NULL, NULL, NULL), (502, '[]', '[]', '{}');
CREATE INDEX tagged_g ON tagged USING gin (g);
CREATE INDEX tagged_t ON tagged USING gin (t);
CREATE INDEX tagged_o ON tagged USING gin (o);
-- with entries that are pending, too
UPDATE tagged SET g = g + '"new"', t = t + '"new"' - '"tag 5"', o = o + '"new"' - '"tag 5"' WHERE id % 7 = 0;
ANALYZE tagged;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM tagged WHERE g ? '"tag 1"';
EXPLAIN (COSTS OFF) SELECT id FROM tagged WHERE t ?| ARRAY['"tag 1"', '"tag 2"']::jsonb[];
EXPLAIN (COSTS OFF) SELECT id FROM tagged WHERE o ?& ARRAY['"tag 1"', '"tag 2"']::jsonb[];
-- all operators and types find by index what they find without
CREATE FUNCTION compare_index(OUT queries bigint, OUT rows bigint, OUT wrong bigint) LANGUAGE plpgsql
    AS $$
DECLARE
    query text;
    by_index int[];
    by_scan int[];
BEGIN
    queries := 0; rows := 0; wrong := 0;
    FOR query IN
        SELECT format('SELECT array_agg(id ORDER BY id) FROM tagged WHERE %s %s %L::%s', c, operator, value, type)
        FROM unnest('{g,t,o}'::text[]) c, (VALUES
            ('?', '"tag 1"', 'jsonb'), ('?', '"tag 3"', 'jsonb'), ('?', '"tag 5"', 'jsonb'), ('?', '"new"', 'jsonb'), ('?', '1', 'jsonb'),
            ('?|', '{"\"tag 1\"","\"tag 5\""}', 'jsonb[]'), ('?|', '{}', 'jsonb[]'), ('?|', '{NULL}', 'jsonb[]'), ('?|', '{1,"\"new\""}', 'jsonb[]'),
            ('?&', '{"\"tag 1\"","\"tag 6\""}', 'jsonb[]'), ('?&', '{}', 'jsonb[]'), ('?&', '{NULL}', 'jsonb[]'),
            ('?&', '{"\"tag 6\"","\"new\"",NULL}', 'jsonb[]'), ('?&', '{1,"\"new\""}', 'jsonb[]')) v(operator, value, type)
    LOOP
        SET LOCAL enable_seqscan = off;
        SET LOCAL enable_bitmapscan = on;
        EXECUTE query INTO by_index;
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_bitmapscan = off;
        EXECUTE query INTO by_scan;
        queries := queries + 1;
        rows := rows + coalesce(cardinality(by_scan), 0);
        wrong := wrong + (by_index IS DISTINCT FROM by_scan)::int;
    END LOOP;
END $$;
SELECT queries, rows > 1000 AS enough, wrong FROM compare_index();
VACUUM tagged;
SELECT queries, rows > 1000 AS enough, wrong FROM compare_index();
SELECT count(*) FROM tagged WHERE o ? '"tag 3"';
RESET enable_seqscan;

--
-- merge()
--

SET consistency.replica_id = 'a';
SELECT merge(g), merge(t) FROM sets WHERE name <> 'large';
SELECT merge(g) FROM sets WHERE false;
CREATE TABLE parts (i int, g gset, t twopset, o orset);
DO $$
BEGIN
    FOR i IN 1..400 LOOP
        PERFORM set_config('consistency.replica_id', to_hex(i * 7919 % 1009), true);
        INSERT INTO parts
            SELECT i, gset(e), twopset(e) - to_jsonb(i), orset(e) - to_jsonb(i)
            FROM (SELECT jsonb_agg(to_jsonb(i + j)) e FROM generate_series(0, 40) j) made;
    END LOOP;
END $$;
ANALYZE parts;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE merged AS SELECT merge(g) AS g, merge(t) AS t, merge(o) AS o FROM parts;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT merge(g), merge(t), merge(o) FROM parts;
SELECT m.g = p.g AND m.t = p.t AND m.o = p.o AS same, cardinality(p.g) AS g, cardinality(p.t) AS t, cardinality(p.o) AS o
FROM merged m, (SELECT merge(g) AS g, merge(t) AS t, merge(o) AS o FROM parts) p;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

--
-- A model of orset: each replica knows some additions, and some of them as
-- removed.  An element is in if one of its additions is known and not removed.
--
CREATE FUNCTION run_orset_model(steps int, replicas int, elements int) RETURNS TABLE (failure text) LANGUAGE plpgsql
    AS $$
DECLARE
    states orset[] := array_fill('{}'::orset, ARRAY[replicas]);
    known jsonb[] := array_fill('{}'::jsonb, ARRAY[replicas]);     -- addition: its element
    gone jsonb[] := array_fill('{}'::jsonb, ARRAY[replicas]);      -- addition: true
    r int;
    o int;
    element jsonb;
    before orset;
    expected jsonb;
BEGIN
    FOR step IN 1..steps LOOP
        r := 1 + floor(random() * replicas);
        before := states[r];
        element := to_jsonb('element ' || floor(random() * elements)::int);
        -- ids in no order, so that replicas that turn up take places between others
        PERFORM set_config('consistency.replica_id', substr(md5(r::text), 1, 8), true);
        CASE floor(random() * 8)::int
            WHEN 0, 1 THEN
                states[r] := states[r] + element;
                gone[r] := gone[r] || coalesce((SELECT jsonb_object_agg(key, true) FROM jsonb_each(known[r]) WHERE value = element), '{}');
                known[r] := known[r] || jsonb_build_object(step, element);
            WHEN 2, 3 THEN
                states[r] := states[r] - element;
                gone[r] := gone[r] || coalesce((SELECT jsonb_object_agg(key, true) FROM jsonb_each(known[r]) WHERE value = element), '{}');
            WHEN 4 THEN
                IF random() < 0.1 THEN
                    states[r] := clear(states[r]);
                    gone[r] := coalesce((SELECT jsonb_object_agg(key, true) FROM jsonb_object_keys(known[r]) key), '{}');
                END IF;
            ELSE
                o := 1 + floor(random() * replicas);
                IF states[r] || states[o] <> states[o] || states[r] THEN
                    RETURN QUERY SELECT format('step %s: merging isn''t commutative', step);
                END IF;
                states[r] := states[r] || states[o];
                known[r] := known[r] || known[o];
                gone[r] := gone[r] || gone[o];
                IF states[r] || states[o] <> states[r] OR states[r] || states[r] <> states[r] THEN
                    RETURN QUERY SELECT format('step %s: merging isn''t idempotent', step);
                END IF;
        END CASE;
        expected := coalesce((SELECT jsonb_agg(DISTINCT value) FROM jsonb_each(known[r]) WHERE NOT gone[r] ? key), '[]');
        IF NOT (value(states[r]) @> expected AND expected @> value(states[r]) AND cardinality(states[r]) = jsonb_array_length(expected)) THEN
            RETURN QUERY SELECT format('step %s: %s instead of %s', step, value(states[r]), expected);
        END IF;
        IF NOT before <@ states[r] THEN
            RETURN QUERY SELECT format('step %s: not above %s', step, before);
        END IF;
        IF states[r]::text::orset <> states[r] THEN
            RETURN QUERY SELECT format('step %s: text of %s', step, states[r]);
        END IF;
    END LOOP;
    -- whatever the order in which all are told of all, they agree
    IF (SELECT merge(s ORDER BY n) <> merge(s ORDER BY n DESC) FROM unnest(states) WITH ORDINALITY u(s, n)) THEN
        RETURN QUERY SELECT 'replicas don''t agree in the end';
    END IF;
END $$;
SELECT setseed(0.5);
SELECT * FROM run_orset_model(2000, 4, 5);
SELECT * FROM run_orset_model(1000, 9, 2);

RESET consistency.replica_id;
DROP TABLE sets, tagged, parts, merged;
DROP FUNCTION set_outcome, set_receive, round_trip, compare_index, run_orset_model;
