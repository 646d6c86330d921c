--
-- Maps of conflict-free types: ormap.
--
-- Other replicas are played by setting consistency.replica_id.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- how an expression ends: its value, or the error
CREATE FUNCTION outcome_of(expression text) RETURNS text LANGUAGE plpgsql AS $$
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
CREATE FUNCTION sqlstate_of(expression text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || expression;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
-- what becomes of a state that a client sends in binary, here by COPY
CREATE FUNCTION receive(state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    field bytea := substr(int4send(pg_char_to_encoding(getdatabaseencoding())), 4) || state;
    file bytea := '\x5047434f50590aff0d0a00' || int4send(0) || int4send(0) || int2send(1::int2) ||
        int4send(length(field)) || field || int2send((-1)::int2);
    octal text := (SELECT string_agg('\' || (get_byte(file, i) >> 6) || (get_byte(file, i) >> 3 & 7) || (get_byte(file, i) & 7), '' ORDER BY i)
                   FROM generate_series(0, length(file) - 1) i);
    detail text;
    result text;
BEGIN
    CREATE TEMP TABLE received (state ormap) ON COMMIT DROP;
    EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', 'printf ''' || octal || '''');
    SELECT r.state::text INTO result FROM received r;
    DROP TABLE received;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;

-- what two replicas have made of the same row
CREATE TABLE doc (replica text PRIMARY KEY, m ormap NOT NULL DEFAULT '{}');
-- each gets what the other has
CREATE FUNCTION exchange() RETURNS void LANGUAGE sql AS $$
    UPDATE doc SET m = doc.m || (SELECT merge(m) FROM doc)
$$;
CREATE PROCEDURE begin_again() LANGUAGE sql AS $$
    TRUNCATE doc;
    INSERT INTO doc VALUES ('a'), ('b');
$$;

--
-- One replica
--

SET consistency.replica_id = 'a';
CALL begin_again();
SELECT m, value(m), cardinality(m), has_key(m, 'visits') AS has, m::jsonb AS jsonb FROM doc WHERE replica = 'a';
UPDATE doc SET m = put(m, 'visits', get(m, 'visits', NULL::pncounter) + 1) WHERE replica = 'a';
UPDATE doc SET m = put(m, 'visits', get(m, 'visits', NULL::pncounter) + 2) WHERE replica = 'a';
UPDATE doc SET m = put(m, 'tags', get(m, 'tags', NULL::orset) + '"new"' + '"old"') WHERE replica = 'a';
SELECT m FROM doc WHERE replica = 'a';
SELECT value(m), value(m) = m::jsonb AS same, cardinality(m), array(SELECT keys(m)) AS keys FROM doc WHERE replica = 'a';
SELECT has_key(m, 'tags') AS has, has_key(m, 'visits'), has_key(m, 'visit') AS shorter, has_key(m, 'visits!') AS longer, has_key(m, '') AS empty FROM doc WHERE replica = 'a';
SELECT get(m, 'visits', NULL::pncounter), value(get(m, 'visits', NULL::pncounter)), pg_typeof(get(m, 'tags', NULL::orset)) FROM doc WHERE replica = 'a';

-- what isn't there is a new value of the type, so that no coalesce() is needed
SELECT get('{}'::ormap, 'k', NULL::pncounter) AS pncounter, get('{}'::ormap, 'k', NULL::lww_register) AS lww_register,
       get('{}'::ormap, 'k', NULL::mv_register) AS mv_register, get('{}'::ormap, 'k', NULL::orset) AS orset,
       get('{}'::ormap, 'k', NULL::ew_flag) AS ew_flag, get('{}'::ormap, 'k', NULL::dw_flag) AS dw_flag,
       get('{}'::ormap, 'k', NULL::ormap) AS ormap;
-- only the type of the last argument matters
SELECT get(m, 'visits', '{}'::pncounter + 100) FROM doc WHERE replica = 'a';
SELECT get(NULL::ormap, 'k', NULL::pncounter) IS NULL AS no_map, get('{}'::ormap, NULL, NULL::pncounter) IS NULL AS no_key,
       put('{}'::ormap, 'k', NULL::pncounter) IS NULL AS no_state;

-- removing resets, and the next change goes on from there
UPDATE doc SET m = remove(m, 'visits') WHERE replica = 'a';
SELECT m, value(m), has_key(m, 'visits') AS has FROM doc WHERE replica = 'a';
SELECT m - 'visits' = m AS again, m - 'nothing' = m AS nothing FROM doc WHERE replica = 'a';
SELECT get(m, 'visits', NULL::pncounter), value(get(m, 'visits', NULL::pncounter)) FROM doc WHERE replica = 'a';
UPDATE doc SET m = put(m, 'visits', get(m, 'visits', NULL::pncounter) + 1) WHERE replica = 'a';
SELECT value(m) FROM doc WHERE replica = 'a';
UPDATE doc SET m = clear(m) WHERE replica = 'a';
SELECT value(m), cardinality(m), (SELECT count(*) FROM keys(m)) AS keys FROM doc WHERE replica = 'a';
UPDATE doc SET m = put(m, 'tags', get(m, 'tags', NULL::orset) + '"new"') WHERE replica = 'a';
SELECT value(m) FROM doc WHERE replica = 'a';

-- all types that can be in a map
SELECT value(m), value(m - 'counter' - 'latest' - 'versions' - 'set' - 'on' - 'off' - 'map') AS removed, m @> '{}' AS above,
       m::text::ormap = m AS same_text
FROM (SELECT put(put(put(put(put(put(put('{}'::ormap, 'counter', '{}'::pncounter - 3), 'latest', assign('{}'::lww_register, '[1.50, null]')),
                 'versions', assign('{}'::mv_register, '"one"')), 'set', '{}'::orset + '{"b": 1, "a": 2}'),
                 'on', enable('{}'::ew_flag)), 'off', disable('{}'::dw_flag)), 'map', put('{}'::ormap, '', '{}'::pncounter)) AS m) AS t;
-- others not
SELECT type, outcome_of(format('get(''{}''::ormap, ''k'', NULL::%s)', type)) FROM unnest('{gcounter,text}'::text[]) type;
SELECT type, sqlstate_of(format('get(''{}''::ormap, ''k'', NULL::%s)', type)) AS get,
       sqlstate_of(format('put(''{}''::ormap, ''k'', %L::%s)', CASE type WHEN 'gset' THEN '[]' ELSE '{}' END, type)) AS put
FROM unnest('{gcounter,bcounter,gset,twopset,vclock,jsonb,bytea,text[],name}'::text[]) type;
SELECT sqlstate_of($$ get('{}'::ormap, 'k', 1) $$) AS by_value, sqlstate_of($$ get('{}'::ormap, 'k', NULL) $$) AS of_no_type;
-- not what only has the name
CREATE SCHEMA regress_map;
CREATE DOMAIN regress_map.pncounter AS pncounter;
SELECT outcome_of($$ get('{}'::ormap, 'k', NULL::regress_map.pncounter) $$);
SELECT sqlstate_of($$ put('{}'::ormap, 'k', '{}'::regress_map.pncounter) $$);
DROP SCHEMA regress_map CASCADE;
-- each call for itself
SELECT get(m, 'k', NULL::pncounter), get(m, 'k', NULL::orset) FROM (VALUES ('{}'::ormap), (put('{}', 'k', '{}'::pncounter + 1))) AS t (m);
DO $$
DECLARE
    m ormap := '{}';
    n pncounter;
BEGIN
    FOR i IN 1 .. 5 LOOP
        n := get(m, 'n', n) + 1;
        m := put(m, 'n', n);
    END LOOP;
    RAISE NOTICE '%', value(m);
END $$;

--
-- Two replicas
--

-- what both put is merged
CALL begin_again();
SET consistency.replica_id = 'a';
UPDATE doc SET m = put(put(m, 'visits', get(m, 'visits', NULL::pncounter) + 3), 'cart', get(m, 'cart', NULL::orset) + '"apple"') WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = put(put(m, 'visits', get(m, 'visits', NULL::pncounter) - 1), 'cart', get(m, 'cart', NULL::orset) + '"pear"') WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m), m = merge(m) OVER () AS same FROM doc ORDER BY 1;

-- a removal takes what it has seen; a concurrent put wins, with what the removal hadn't seen
SET consistency.replica_id = 'a';
UPDATE doc SET m = m - 'visits' - 'cart' WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = put(put(m, 'visits', get(m, 'visits', NULL::pncounter) + 10), 'cart', get(m, 'cart', NULL::orset) + '"plum"') WHERE replica = 'b';
SELECT replica, value(m) FROM doc ORDER BY 1;
SELECT exchange();
SELECT replica, value(m), m FROM doc ORDER BY 1;

-- without a concurrent put it stays removed, whatever old copies come by
SELECT m AS old FROM doc WHERE replica = 'b' \gset
UPDATE doc SET m = m - 'visits' WHERE replica = 'a';
SELECT exchange();
SELECT replica, value(m), value(m || :'old') AS with_old, :'old' <@ m AS seen FROM doc ORDER BY 1;
-- and what is put then begins anew
UPDATE doc SET m = put(m, 'visits', get(m, 'visits', NULL::pncounter) + 1) WHERE replica = 'b';
SELECT value(m || :'old') FROM doc WHERE replica = 'b';

-- a put that changes nothing keeps the key, with nothing in it
SELECT exchange();
SET consistency.replica_id = 'a';
UPDATE doc SET m = m - 'cart' WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = put(m, 'cart', get(m, 'cart', NULL::orset)) WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m) FROM doc ORDER BY 1;
-- both remove, one puts again
UPDATE doc SET m = m - 'cart';
UPDATE doc SET m = put(m, 'cart', get(m, 'cart', NULL::orset) + '"kiwi"') WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m) FROM doc ORDER BY 1;

-- the same with registers and flags
CALL begin_again();
SET consistency.replica_id = 'a';
UPDATE doc SET m = put(put(put(put(m, 'name', assign(get(m, 'name', NULL::lww_register), '"Ada"')), 'title', assign(get(m, 'title', NULL::mv_register), '"Plan"')),
    'on', enable(get(m, 'on', NULL::ew_flag))), 'off', enable(get(m, 'off', NULL::dw_flag))) WHERE replica = 'a';
SELECT exchange();
SELECT value(m) FROM doc;
UPDATE doc SET m = m - 'name' - 'title' - 'on' - 'off' WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = put(put(put(m, 'name', get(m, 'name', NULL::lww_register)), 'title', assign(get(m, 'title', NULL::mv_register), '"Draft"')),
    'off', disable(get(m, 'off', NULL::dw_flag))) WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m) FROM doc ORDER BY 1;
UPDATE doc SET m = put(m, 'name', assign(get(m, 'name', NULL::lww_register), '"Eve"')) WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m) FROM doc ORDER BY 1;

-- maps in maps
CALL begin_again();
SET consistency.replica_id = 'a';
CREATE FUNCTION count_up(m ormap, outer_key text, inner_key text) RETURNS ormap LANGUAGE sql AS $$
    SELECT put(m, outer_key, put(get(m, outer_key, NULL::ormap), inner_key, get(get(m, outer_key, NULL::ormap), inner_key, NULL::pncounter) + 1))
$$;
UPDATE doc SET m = count_up(count_up(m, 'clicks', 'left'), 'clicks', 'right') WHERE replica = 'a';
SELECT exchange();
SELECT replica, value(m), m = merge(m) OVER () AS same FROM doc ORDER BY 1;
-- inside one is removed, the other one changed elsewhere
UPDATE doc SET m = put(m, 'clicks', get(m, 'clicks', NULL::ormap) - 'left') WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = count_up(m, 'clicks', 'right') WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m) FROM doc ORDER BY 1;
-- all of it is removed, one inside changed elsewhere, one is new
SET consistency.replica_id = 'a';
UPDATE doc SET m = count_up(m, 'clicks', 'left') WHERE replica = 'a';
SELECT exchange();
UPDATE doc SET m = m - 'clicks' WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = count_up(count_up(m, 'clicks', 'right'), 'clicks', 'middle') WHERE replica = 'b';
SELECT replica, value(m) FROM doc ORDER BY 1;
SELECT exchange();
SELECT replica, value(m) FROM doc ORDER BY 1;
UPDATE doc SET m = count_up(m, 'clicks', 'left') WHERE replica = 'b';
SELECT value(m) FROM doc WHERE replica = 'b';

-- one key, two types: both are kept, the value shows the first one
CALL begin_again();
SET consistency.replica_id = 'a';
UPDATE doc SET m = put(m, 'k', get(m, 'k', NULL::orset) + 1::text::jsonb) WHERE replica = 'a';
SET consistency.replica_id = 'b';
UPDATE doc SET m = put(m, 'k', get(m, 'k', NULL::pncounter) + 5) WHERE replica = 'b';
SELECT exchange();
SELECT replica, value(m), cardinality(m), array(SELECT keys(m)) AS keys, value(get(m, 'k', NULL::pncounter)) AS counter, value(get(m, 'k', NULL::orset)) AS set,
       value(get(m, 'k', NULL::ormap)) AS map
FROM doc ORDER BY 1;
SELECT m FROM doc WHERE replica = 'a';
SELECT value(m - 'k'), cardinality(m - 'k'), has_key(m - 'k', 'k') AS has FROM doc WHERE replica = 'a';
-- one of them put again after both were removed
UPDATE doc SET m = put(m - 'k', 'k', get(m - 'k', 'k', NULL::orset) + '2') WHERE replica = 'b';
SELECT value(m) FROM doc WHERE replica = 'b';

--
-- The lattice
--

CREATE TABLE many (n int, m ormap);
DO $$
DECLARE
    m ormap;
BEGIN
    FOR i IN 1 .. 60 LOOP
        PERFORM set_config('consistency.replica_id', to_hex(i % 5 + 1), true);
        -- a replica goes on from what it had, and gets an old copy of another one's
        SELECT coalesce(merge(t.m), '{}') INTO m FROM many t WHERE t.n % 5 = i % 5 OR t.n = i - 7;
        m := CASE i % 4
            WHEN 0 THEN put(m, 'k' || i % 3, get(m, 'k' || i % 3, NULL::pncounter) + i)
            WHEN 1 THEN put(m, 'k' || i % 7, get(m, 'k' || i % 7, NULL::orset) + to_jsonb(i % 3))
            WHEN 2 THEN remove(m, 'k' || i % 3)
            ELSE count_up(m, 'k' || i % 2, 'l' || i % 3)
        END;
        INSERT INTO many VALUES (i, m);
    END LOOP;
END $$;
SELECT count(*), bool_and(a.m || b.m = b.m || a.m) AS commutative, bool_and(a.m <@ (a.m || b.m) AND (a.m || b.m) @> b.m) AS upper_bound,
       bool_and((a.m = b.m) = (a.m::text = b.m::text)) AS canonical, bool_and((a.m <@ b.m) = (a.m || b.m = b.m)) AS ordered
FROM many a, many b;
SELECT bool_and(m || m = m) AS idempotent, bool_and(m::text::ormap = m) AS text, bool_and(clear(m) @> m AND (m - 'k1') @> m AND count_up(m, 'k1', 'l') @> m) AS monotone,
       bool_and(value(clear(m)) = '{}') AS cleared FROM many;
SELECT bool_and((a.m || b.m) || c.m = a.m || (b.m || c.m)) AS associative FROM many a, many b, many c WHERE (a.n + b.n + c.n) % 7 = 0;
SELECT value(merge(m)), merge(m) = merge(m ORDER BY n DESC) AS any_order FROM many;

-- merged by several processes
SELECT merge(m) AS merged FROM many \gset
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT merge(m) FROM many;
SELECT merge(m) = :'merged' AS same FROM many;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;

-- COPY, text and binary
CREATE TABLE copied (LIKE many);
\copy many TO 'results/crdt_map.copy' (FORMAT binary)
\copy copied FROM 'results/crdt_map.copy' (FORMAT binary)
\copy many TO 'results/crdt_map.copy'
\copy copied FROM 'results/crdt_map.copy'
SELECT count(*) FROM many JOIN copied USING (n, m);

-- many keys: numbers of more than one byte, more replicas, states of more than a few bytes
SET consistency.replica_id = '5';
DO $$
DECLARE
    m ormap := '{}';
BEGIN
    FOR i IN 1 .. 100 LOOP
        m := put(m, 'key ' || i, '{}'::pncounter + i);
    END LOOP;
    TRUNCATE many;
    INSERT INTO many VALUES (1, m);
    PERFORM set_config('consistency.replica_id', '6', true);
    m := '{}';
    FOR i IN 51 .. 300 LOOP
        m := put(m, 'key ' || i, '{}'::pncounter - i);
    END LOOP;
    INSERT INTO many VALUES (2, m);
    FOR i IN 1 .. 300 LOOP
        PERFORM set_config('consistency.replica_id', to_hex(i % 20 + 32), true);
        m := put(m, 'set', get(m, 'set', NULL::orset) + to_jsonb(i));
    END LOOP;
    INSERT INTO many VALUES (3, m);
END $$;
SELECT cardinality(merge(m)), merge(m)::text::ormap = merge(m) AS same, sum(cardinality(get(m, 'set', NULL::orset))) AS elements,
       (SELECT sum(v::numeric) FROM jsonb_each_text(value(merge(m))) AS e (k, v) WHERE k <> 'set') AS sum FROM many;
SELECT a.n, b.n, cardinality(a.m || b.m), a.m || b.m = b.m || a.m AS commutative FROM many a, many b WHERE a.n < b.n ORDER BY 1, 2;
TRUNCATE copied;
\copy many TO 'results/crdt_map.copy' (FORMAT binary)
\copy copied FROM 'results/crdt_map.copy' (FORMAT binary)
SELECT count(*) FROM many JOIN copied USING (n, m);
-- out of line
ALTER TABLE many ALTER m SET STORAGE external;
INSERT INTO many SELECT 4, merge(m) FROM many;
SELECT cardinality(m), count(k) AS keys, min(k COLLATE "C"), max(k COLLATE "C") FROM many, keys(m) k WHERE n = 4 GROUP BY m;

--
-- What comes in
--

-- text: in any order, with or without spaces
SELECT '{"entries": [
    {"key": "b", "type": "pncounter", "dots": {}, "state": {}},
    {"key": "a", "type": "ormap", "dots": {"2": 1, "1": 3}, "state": {"entries": []}},
    {"state": {"2": {"inc": 1}}, "dots": {"2": 2}, "type": "pncounter", "key": "a"}], "clock": {"2": 2, "1": 3}}'::ormap;
-- keys are any text
SELECT m, has_key(m, E'\x01\t"\\') AS has, value(m) FROM (SELECT put(put('{}'::ormap, E'\x01\t"\\', '{}'::pncounter), '', '{}'::pncounter)) AS t (m);
SELECT text, outcome_of(format('%L::ormap', text)) FROM (VALUES
    ('null'), ('[]'), ('{"a": 1}'), ('{"clock": 1}'), ('{"clock": {"g": 1}}'), ('{"clock": {"a": 0}}'), ('{"entries": {}}'), ('{"entries": [1]}'),
    ('{"entries": [{}]}'), ('{"entries": [{"key": "k", "type": "ormap", "dots": {}}]}'), ('{"entries": [{"key": "k", "type": "ormap", "dots": {}, "state": {}, "more": 1}]}'),
    ('{"entries": [{"key": 1, "type": "ormap", "dots": {}, "state": {}}]}'), ('{"entries": [{"key": null, "type": "ormap", "dots": {}, "state": {}}]}'),
    ('{"entries": [{"key": "k", "type": 11, "dots": {}, "state": {}}]}'), ('{"entries": [{"key": "k", "type": "hash", "dots": {}, "state": {}}]}'),
    ('{"entries": [{"key": "k", "type": "gset", "dots": {}, "state": []}]}'), ('{"entries": [{"key": "k", "type": "", "dots": {}, "state": []}]}'),
    ('{"entries": [{"key": "k", "type": "ormap", "dots": null, "state": {}}]}'), ('{"entries": [{"key": "k", "type": "ormap", "dots": {}, "state": null}]}'),
    ('{"entries": [{"key": "k", "type": "ormap", "dots": {}, "state": 5}]}'), ('{"entries": [{"key": "k", "type": "ormap", "dots": {}, "state": {"clock": []}}]}'),
    ('{"entries": [{"key": "k", "type": "ormap", "dots": {"a": 1}, "state": {}}]}'), ('{"clock": {"a": 1}, "entries": [{"key": "k", "type": "ormap", "dots": {"a": 2}, "state": {}}]}'),
    ('{"clock": {"a": 1}, "entries": [{"key": "k", "type": "ormap", "dots": {"a": 0}, "state": {}}]}'),
    ('{"entries": [{"key": "k", "type": "ormap", "dots": {}, "state": {}}, {"key": "k", "type": "ormap", "dots": {}, "state": {}}]}'),
    ('{"entries": [{"key": "k", "type": "pncounter", "dots": {}, "state": {"a": {"inc": -1}}}]}')) AS t (text);

-- bytes: vector, number, (key, type, dots, state)
SELECT ormap_send('{"clock": {"a": 300}, "entries": [{"key": "k", "type": "ormap", "dots": {"a": 300}, "state": {}}]}') =
    substr(int4send(pg_char_to_encoding(getdatabaseencoding())), 4) || '\x010b' || '\x01000000000000000aac02' || '\x01' || '\x016b' || '\x0b' || '\x0100ac02' || '\x020000' AS form;
SELECT what, receive('\x010b'::bytea || body) FROM (VALUES
    ('good', '\x01000000000000000aac0201016b0b0100ac02020000'::bytea),
    ('empty', '\x0000'),
    ('nothing', '\x'),
    ('no number', '\x00'),
    ('too many', '\x00ffffffffffffffffff01'),
    ('an entry too few', '\x0002016b0b00020000'),
    ('an entry too many', '\x0000016b0b00020000'),
    ('something behind', '\x000000'),
    ('number in long form', '\x008000'),
    ('key in long form', '\x000181006b0b00020000'),
    ('key too long', '\x0001ffffffff0f6b0b00020000'),
    ('key with NUL', '\x000101000b00020000'),
    ('no type', '\x0001016b'),
    ('type 0', '\x0001016b0000020000'),
    ('type 200', '\x0001016bc800020000'),
    ('gcounter', '\x0001016b010000'),
    ('bcounter', '\x0001016b0300020000'),
    ('vclock', '\x0001016b0c0000'),
    ('no dots', '\x0001016b0b'),
    ('dot of nobody', '\x0001016b0b010001020000'),
    ('dot not covered', '\x01000000000000000a0101016b0b010002020000'),
    ('dot 0', '\x01000000000000000a0101016b0b010000020000'),
    ('a dot too few', '\x01000000000000000a0101016b0b02000100020000'),
    ('dots don''t ascend', '\x02000000000000000a01000000000000000b0101016b0b0201010001020000'),
    ('dot in long form', '\x01000000000000000a0101016b0b01008100020000'),
    ('no state', '\x0001016b0b00'),
    ('state too long', '\x0001016b0b00030000'),
    ('state too short', '\x0001016b0b000100'),
    ('length in long form', '\x0001016b0b0082000000'),
    ('state with something behind', '\x0001016b0b0003000000'),
    ('state not canonical', '\x0001016b0b0003008000'),
    ('keys don''t ascend', '\x0002016b0b00020000016a0b00020000'),
    ('shorter key behind', '\x0002026b6b0b00020000016b0b00020000'),
    ('key twice', '\x0002016b0b00020000016b0b00020000'),
    ('types don''t ascend', '\x0002016b0b00020000016b020000'),
    ('vector not canonical', '\x01000000000000000a0000')) AS t (what, body);

--
-- Limits
--

-- so many maps within each other
CREATE FUNCTION nest(levels int, inner_key text DEFAULT 'm') RETURNS ormap LANGUAGE plpgsql AS $$
DECLARE
    m ormap := put('{}'::ormap, inner_key, '{}'::pncounter);
BEGIN
    FOR i IN 2 .. levels LOOP
        m := put('{}'::ormap, 'm', m);
    END LOOP;
    RETURN m;
END $$;
SELECT value(nest(16)), nest(16)::text::ormap = nest(16) AS text, nest(16) || nest(15) = nest(15) || nest(16) AS merged,
       substr(receive(substr(ormap_send(nest(16)), 2)), 1, 40) AS received, value(clear(nest(16))) AS cleared;
SELECT outcome_of('nest(17)');
SELECT outcome_of($$ put(nest(2), 'k', nest(16)) $$);
SELECT outcome_of(format($$ '{"entries": [{"key": "k", "type": "ormap", "dots": {}, "state": %s}]}'::ormap $$, nest(16)));
SELECT receive('\x010b000100'::bytea || '\x0b00' || chr(length(body))::bytea || body) FROM substr(ormap_send(nest(16, '')), 4) AS body WHERE length(body) < 128
UNION ALL SELECT receive('\x010b000100'::bytea || '\x0b00' || decode(to_hex(length(body) % 128 + 128) || lpad(to_hex(length(body) / 128), 2, '0'), 'hex') || body)
FROM substr(ormap_send(nest(16, '')), 4) AS body WHERE length(body) >= 128;

-- too many for any stack, in a damaged state
CREATE CAST (bytea AS ormap) WITHOUT FUNCTION;
CREATE FUNCTION nested_bytes(levels int, innermost bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    body bytea := innermost;
    size int;
BEGIN
    FOR i IN 1 .. levels LOOP
        size := length(body);
        body := '\x01000000000000000a0101000b010001' || decode(to_hex(size % 128 + 128) || to_hex(size / 128 % 128 + 128) || lpad(to_hex(size / 16384), 2, '0'), 'hex') || body;
    END LOOP;
    RETURN '\x010b' || body;
END $$;
CREATE TABLE deep AS SELECT nested_bytes(10000, '\x0000')::ormap AS m, nested_bytes(10000, '\x0001016b020000')::ormap AS n;
SELECT sqlstate_of('m || n FROM deep') AS merged, sqlstate_of('clear(m) FROM deep') AS cleared, sqlstate_of('m::text FROM deep') AS text,
       sqlstate_of('value(m) FROM deep') AS value, sqlstate_of($$ put('{}'::ormap, 'k', m) FROM deep $$) AS put, sqlstate_of($$ put(m, 'k', n) FROM deep $$) AS put_into,
       sqlstate_of($$ put(m, '', get(n, '', NULL::ormap)) FROM deep $$) AS put_together, sqlstate_of('keys(m) FROM deep') AS keys, sqlstate_of('m = n FROM deep') AS compared;
-- damaged otherwise: an error, or anything, but no crash
SELECT function, string_agg(DISTINCT sqlstate_of(format(function, '''\x' || encode(state, 'hex') || '''::bytea::ormap')), ' ') AS sqlstates
FROM (SELECT set_byte(good, i, byte) FROM (SELECT substr(ormap_send(put(put('{"clock": {"a": 1, "b": 300}, "entries": [{"key": "k", "type": "ormap", "dots": {"a": 1, "b": 2}, "state": {}}]}'::ormap,
              'n', '{"a": {"inc": 3}}'::pncounter), 'm', nest(2))), 2)) AS s (good), generate_series(2, length(good) - 1) i, unnest('{0,1,2,11,127,128,255}'::int[]) byte
      UNION ALL SELECT substr(good, 1, i) FROM (SELECT substr(ormap_send(nest(3)), 2)) AS s (good), generate_series(0, length(good) - 1) i) AS damaged (state),
     unnest('{"%1$s || ''{}''","%1$s || %1$s","''{}'' || %1$s","value(%1$s)","%1$s::text","%1$s - ''k''","clear(%1$s)","keys(%1$s)","cardinality(%1$s)","has_key(%1$s, ''m'')","get(%1$s, ''m'', NULL::ormap)","put(%1$s, ''k'', ''{}''::ormap)"}'::text[]) function
GROUP BY 1 ORDER BY 1;
DROP CAST (bytea AS ormap);

-- counters, keys and sizes
SELECT outcome_of($$ put('{"clock": {"6": 9223372036854775807}}'::ormap, 'k', '{}'::pncounter) $$) FROM set_config('consistency.replica_id', '6', true);
SELECT outcome_of($$ put('{}'::ormap, repeat('k', 16 * 1024 * 1024 + 1), '{}'::pncounter) $$);
SELECT cardinality(put('{}'::ormap, repeat('k', 16 * 1024 * 1024), '{}'::pncounter));
SELECT sqlstate_of($$ jsonb_build_object('entries', jsonb_build_array(jsonb_build_object('key', repeat('k', 16 * 1024 * 1024 + 1), 'type', 'ormap', 'dots', '{}'::jsonb, 'state', '{}'::jsonb)))::text::ormap $$);

DROP TABLE doc, many, copied, deep;
DROP PROCEDURE begin_again;
DROP FUNCTION exchange, outcome_of, sqlstate_of, receive, count_up, nest, nested_bytes;

-- what bare literals mean to the operators of jsonb stays as it is
SELECT '{"a": 1}' ? 'a' AS has, '{"a": 1}' @> '{}'::jsonb AS contains;
