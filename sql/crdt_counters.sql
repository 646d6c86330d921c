--
-- Counters and version vectors: gcounter, pncounter, bcounter, vclock, and merge().
--
-- Replicas are played by this one session: consistency.replica_id says whose
-- changes these are.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- how a statement ends
CREATE FUNCTION outcome_of(statement text) RETURNS text LANGUAGE plpgsql
    AS $$
DECLARE
    said text;
    detail text;
    hint text;
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN coalesce(result, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || said, nullif(detail, ''), nullif(hint, ''));
END $$;
-- what becomes of a state that a client sends in binary, here by COPY
CREATE FUNCTION receive(type text, state bytea) RETURNS text LANGUAGE plpgsql
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
-- gcounter
--

-- the example of the textbooks: 5, 4 and 3 are 12
SELECT merged, merged::bigint AS as_bigint, merged::numeric AS as_numeric, value(merged), merged::jsonb AS as_jsonb
FROM (SELECT '{"a": 5, "b": 2, "c": 1}'::gcounter || '{"a": 3, "b": 4, "c": 1}' || '{"a": 3, "b": 2, "c": 3}') AS t (merged);

-- in whichever order, and however often
SELECT a || b = b || a AS commutative, (a || b) || c = a || (b || c) AS associative, a || a = a AS idempotent,
       a <@ (a || b) AS below, (a || b) @> b AS above, a <@ b AS within, a <> b AS differ,
       '{}' <@ a AS least, a <@ '{}' AS not_least
FROM (VALUES ('{"a": 5, "b": 2, "c": 1}'::gcounter, '{"a": 3, "b": 4, "c": 1}'::gcounter, '{"a": 3, "b": 2, "c": 3}'::gcounter)) AS t (a, b, c);

-- counting
CREATE TABLE likes (id int PRIMARY KEY, likes gcounter NOT NULL DEFAULT '{}');
INSERT INTO likes VALUES (1);
SET consistency.replica_id = 'b';
UPDATE likes SET likes = likes + 1;
UPDATE likes SET likes = likes + 2;
SET consistency.replica_id = 'a';
UPDATE likes SET likes = increment(likes);
SET consistency.replica_id = 'FF';
UPDATE likes SET likes = increment(likes, 1000000000000);
SET consistency.replica_id = '5';
UPDATE likes SET likes = likes + 0;
SELECT likes, likes::bigint AS value FROM likes;
SELECT 7::bigint::gcounter AS cast, gcounter(0) AS zero, gcounter(7) || gcounter(5) AS merged;

-- limits: overflow is an error where it's counted, never in a merge or in a value
SELECT gcounter(9223372036854775807) + 0;
SELECT outcome_of($$ SELECT gcounter(9223372036854775807) + 1 $$);
SELECT outcome_of($$ SELECT gcounter(-1) $$);
SELECT outcome_of($$ SELECT '{}'::gcounter + -1 $$);
SELECT value('{"a": 9223372036854775807}'::gcounter || '{"b": 9223372036854775807}' || '{"c": 9223372036854775807}');
SELECT outcome_of($$ SELECT '{"a": 9223372036854775807, "b": 1}'::gcounter::bigint $$);

-- counts of every length in bytes, at the end of a state and amidst it
WITH counts AS (SELECT (2::numeric ^ k + d)::bigint AS n FROM generate_series(0, 62) k, generate_series(-1, 1) d WHERE 2::numeric ^ k + d > 0)
SELECT bool_and(format('{"a": %s}', x.n)::gcounter || format('{"a": %s}', y.n)::gcounter = format('{"a": %s}', greatest(x.n, y.n))::gcounter) AS at_end,
       bool_and(format('{"a": %s, "b": %s}', x.n, y.n)::gcounter || format('{"a": %s, "b": 7}', y.n)::gcounter =
                format('{"a": %s, "b": %s}', greatest(x.n, y.n), greatest(y.n, 7))::gcounter) AS amidst,
       bool_and(format('{"a": {"inc": %s}, "b": {"inc": %s, "dec": %s}}', x.n, y.n, x.n)::pncounter || format('{"a": {"inc": %s, "inc_reset": %s}, "b": {"dec": %s}}', y.n, y.n, y.n)::pncounter =
                format('{"a": {"inc": %s, "inc_reset": %s}, "b": {"inc": %s, "dec": %s}}', greatest(x.n, y.n), y.n, y.n, greatest(x.n, y.n))::pncounter) AS of_pncounter
FROM counts x, counts y;

-- text: ids are hexadecimal, in the order of their numbers
SELECT '{"10": 1, "9": 2, "FFFFFFFFFFFFFFFF": 3, "0a": 4}'::gcounter;
SELECT text, outcome_of(format('SELECT %L::gcounter', text)) FROM (VALUES
    (''), ('null'), ('5'), ('[]'), ('{"a": 1'), ('{"a": 0}'), ('{"a": -1}'), ('{"a": 1.5}'), ('{"a": "1"}'), ('{"a": null}'),
    ('{"a": {}}'), ('{"a": 9223372036854775808}'), ('{"a": 1e400}'), ('{"a": 3.0}'), ('{"a": 1, "a": 2}'), ('{"a": 1, "0A": 2}'),
    ('{"": 1}'), ('{"0": 1}'), ('{"g": 1}'), ('{"12345678901234567": 1}')) AS t (text);

-- bytes
SELECT gcounter_send('{"a": 5, "b": 300}') = substr(int4send(pg_char_to_encoding(getdatabaseencoding())), 4) ||
    '\x0101000000000000000a05000000000000000bac02' AS form;
SELECT what, receive('gcounter', state) FROM (VALUES
    ('empty', '\x0101'::bytea),
    ('good', '\x0101000000000000000a05000000000000000bac02'),
    ('nothing', '\x'),
    ('half', '\x01'),
    ('format', '\x0201'),
    ('type', '\x0102'),
    ('no such type', '\x01ff'),
    ('cut id', '\x01010000000000000a'),
    ('no count', '\x0101000000000000000a'),
    ('cut count', '\x0101000000000000000a80'),
    ('zero', '\x0101000000000000000a00'),
    ('id 0', '\x0101000000000000000001'),
    ('long form', '\x0101000000000000000a8500'),
    ('too large', '\x0101000000000000000a80808080808080808001'),
    ('too long', '\x0101000000000000000a8080808080808080808001'),
    ('order', '\x0101000000000000000b01000000000000000a01'),
    ('twice', '\x0101000000000000000a01000000000000000a01')) AS t (what, state);

--
-- pncounter
--

SET consistency.replica_id = 'a';
SELECT pncounter(5) AS up, pncounter(-5) AS down, pncounter(0) AS zero, 5::bigint::pncounter AS cast;
SELECT '{}'::pncounter + 5 - 2 AS both, increment('{}'::pncounter) AS increment, decrement('{}'::pncounter) AS decrement,
       '{}'::pncounter + -3 AS negative, '{}'::pncounter - -3 AS double_negative;
SELECT value('{}'::pncounter + 5 - 7), ('{}'::pncounter + 5 - 7)::bigint AS as_bigint, ('{}'::pncounter + 5 - 7)::numeric AS as_numeric,
       ('{}'::pncounter + 5 - 7)::jsonb AS as_jsonb;

-- two replicas apart, merged: 10 + 5 - 3 = 12
SELECT pncounter(10) AS start \gset
SELECT :'start'::pncounter - 3 AS at_a \gset
SET consistency.replica_id = 'b';
SELECT :'start'::pncounter + 5 AS at_b \gset
SELECT a || b AS merged, value(a || b), a || b = b || a AS commutative, a || a = a AS idempotent,
       a <@ (a || b) AS below, (a || b) @> b AS above, a <@ b AS within
FROM (VALUES (:'at_a'::pncounter, :'at_b'::pncounter)) AS t (a, b);

-- a reset takes what it has seen; what is counted meanwhile survives
SELECT :'at_a'::pncounter || :'at_b' AS both_know \gset
SELECT reset(:'both_know'::pncounter) AS was_reset \gset
SELECT :'was_reset' AS was_reset, value(:'was_reset'::pncounter);
SELECT :'both_know'::pncounter + 2 AS meanwhile \gset
SELECT merged, value(merged), merged = :'meanwhile'::pncounter || :'was_reset' AS commutative
FROM (SELECT :'was_reset'::pncounter || :'meanwhile') AS t (merged);
-- of somebody the reset knew nothing of, too
SELECT value(:'was_reset'::pncounter || '{"c": {"dec": 4}}');
-- resets at both, and again: nothing is taken twice
SELECT value(reset(:'both_know'::pncounter) || reset(:'meanwhile'::pncounter)) AS both,
       value(reset(:'meanwhile'::pncounter) + 1) AS goes_on, value(reset(reset(:'both_know'::pncounter))) AS again,
       reset('{}'::pncounter) AS empty;

-- limits
SELECT value(pncounter(9223372036854775807) - 1), value(pncounter(9223372036854775807) - 9223372036854775807);
SELECT outcome_of($$ SELECT pncounter(9223372036854775807) - 9223372036854775807 - 1 $$);
SELECT outcome_of($$ SELECT pncounter(9223372036854775807) + 1 $$);
SELECT outcome_of($$ SELECT pncounter(-9223372036854775807) - 1 $$);
SELECT outcome_of($$ SELECT pncounter('-9223372036854775808'::bigint) $$);
SELECT outcome_of($$ SELECT pncounter(1) - '-9223372036854775808' $$);
SELECT value('{"a": {"dec": 9223372036854775807}}'::pncounter || '{"b": {"dec": 9223372036854775807}}');
SELECT '{"a": {"inc": 9223372036854775807}, "b": {"inc": 5, "dec": 9223372036854775807}}'::pncounter::bigint;
SELECT outcome_of($$ SELECT '{"a": {"dec": 9223372036854775807}, "b": {"dec": 2}}'::pncounter::bigint $$);

-- text
SELECT '{"10": {"dec": 1}, "9": {"inc": 2, "dec": 0}, "0a": {"dec_reset": 3, "dec": 4, "inc": 2, "inc_reset": 1}}'::pncounter;
SELECT text, outcome_of(format('SELECT %L::pncounter', text)) FROM (VALUES
    ('[]'), ('{"a": 1}'), ('{"a": {}}'), ('{"a": {"inc": 0}}'), ('{"a": {"inc": -1}}'), ('{"a": {"inc": 1, "up": 1}}'),
    ('{"a": {"inc": 1, "inc_reset": 2}}'), ('{"a": {"inc": 1, "dec_reset": 1}}'), ('{"a": {"inc": 1}, "0a": {"dec": 1}}'),
    ('{"a": {"inc": 9223372036854775808}}'), ('{"x": {"inc": 1}}')) AS t (text);

-- bytes
SELECT substr(pncounter_send('{}'), 2) AS empty, substr(pncounter_send('{"a": {"inc": 5, "dec": 300, "dec_reset": 1}}'), 2) AS other;
SELECT what, receive('pncounter', state) FROM (VALUES
    ('empty', '\x0102'::bytea),
    ('good', '\x0102000000000000000a05ac020001000000000000000b00010000'),
    ('type', '\x0101'),
    ('cut', '\x0102000000000000000a05ac0200'),
    ('nothing counted', '\x0102000000000000000a00000000'),
    ('more reset', '\x0102000000000000000a01020003'),
    ('more reset', '\x0102000000000000000a01020200'),
    ('long form', '\x0102000000000000000a0102008000'),
    ('too large', '\x0102000000000000000a0080808080808080808001000000'),
    ('id 0', '\x0102000000000000000001000000'),
    ('twice', '\x0102000000000000000a01000000000000000000000a01000000')) AS t (what, state);

--
-- bcounter
--

-- ten seats, all rights at a; b gets four of them
SET consistency.replica_id = 'a';
SELECT bcounter(0, 10) AS seats \gset
SELECT :'seats' AS seats, value(:'seats'::bcounter), bound(:'seats'::bcounter), rights(:'seats'::bcounter), rights(:'seats'::bcounter, 'b') AS of_b;
SET consistency.replica_id = 'b';
SELECT outcome_of(format('SELECT %L::bcounter - 1', :'seats'));
SET consistency.replica_id = 'a';
SELECT transfer(:'seats'::bcounter, 'b', 4) AS seats \gset
SELECT :'seats' AS seats, value(:'seats'::bcounter), rights(:'seats'::bcounter), rights(:'seats'::bcounter, 'b') AS of_b;

-- both sell all they may, apart
SELECT :'seats'::bcounter - 5 - 1 AS at_a \gset
SELECT outcome_of(format('SELECT %L::bcounter - 1', :'at_a'));
SET consistency.replica_id = 'b';
SELECT decrement(:'seats'::bcounter, 4) AS at_b \gset
SELECT outcome_of(format('SELECT decrement(%L::bcounter)', :'at_b'));
SELECT a || b AS merged, value(a || b), a || b = b || a AS commutative, (a || b) || a = a || b AS absorbing,
       a <@ (a || b) AS below, (a || b) @> b AS above, a @> b AS within
FROM (VALUES (:'at_a'::bcounter, :'at_b'::bcounter)) AS t (a, b);

-- somebody gives a seat back, which makes rights again, and these go round
SELECT (:'at_a'::bcounter || :'at_b') + 1 AS seats \gset
SELECT transfer(:'seats'::bcounter, 'c', 1) AS seats \gset
SET consistency.replica_id = 'c';
SELECT transfer(:'seats'::bcounter, 'a', 1) AS seats \gset
SET consistency.replica_id = 'a';
SELECT :'seats' AS seats, value(:'seats'::bcounter), rights(:'seats'::bcounter, 'a') AS of_a,
       rights(:'seats'::bcounter, 'b') AS of_b, rights(:'seats'::bcounter, 'c') AS of_c, rights(:'seats'::bcounter, 'd') AS of_d;
SELECT :'seats'::bcounter - 1 AS seats \gset
SELECT value(:'seats'::bcounter), :'seats'::bcounter::bigint AS as_bigint, :'seats'::bcounter::numeric AS as_numeric, :'seats'::bcounter::jsonb AS as_jsonb;

-- more is transferred a second time; changes by nothing change nothing
SELECT transfer(transfer(bcounter(0, 5), 'b', 1), 'b', 2);
SELECT transfer(bcounter(0, 5), 'b', 0), bcounter(0, 5) + 0 - 0, '{}'::bcounter + 0, transfer('{}'::bcounter, 'b', 0);
SELECT outcome_of($$ SELECT transfer(bcounter(0, 5), 'b', 6) $$);
SELECT outcome_of($$ SELECT transfer(bcounter(0, 5), 'b', -1) $$);
SELECT outcome_of($$ SELECT transfer(bcounter(0, 5), '0A', 1) $$);
SELECT outcome_of($$ SELECT transfer(bcounter(0, 5), 'here', 1) $$);
-- another id, as after a promotion, holds nothing until the old one's rights are handed over, under that
CREATE TABLE stock (item text PRIMARY KEY, n bcounter NOT NULL);
SET consistency.replica_id = 'a';
INSERT INTO stock VALUES ('chair', bcounter(-2, 10)), ('desk', '{}');
SET consistency.replica_id = 'b';
SELECT outcome_of($$ UPDATE stock SET n = n - 1 WHERE item = 'chair' $$);
SET consistency.replica_id = 'a';
UPDATE stock SET n = transfer(n, 'b', rights(n)) WHERE rights(n) > 0;
SET consistency.replica_id = 'b';
UPDATE stock SET n = n - 1 WHERE item = 'chair' RETURNING n, value(n), rights(n), rights(n, 'a') AS rights_of_a;
DROP TABLE stock;
SET consistency.replica_id = 'a';

-- bounds of either sign; the larger one holds
SELECT value(bcounter(-5, -3) - 2), value(bcounter(-5, -3) + -2), value(bcounter(3, 3) - -4), bcounter(-1, -1);
SELECT outcome_of($$ SELECT bcounter(-5, -3) - 3 $$);
SELECT outcome_of($$ SELECT bcounter(5, 4) $$);
SELECT bcounter(-1, 2) || bcounter(-3, 1), bcounter(-3, 1) <@ (bcounter(-1, 2) || bcounter(-3, 1)) AS below;

-- limits
SELECT bound(c), value(c), rights(c) FROM bcounter('-9223372036854775808', -1) c;
SELECT bound(c), value(c), rights(c) FROM bcounter(9223372036854775807, 9223372036854775807) c;
SELECT outcome_of($$ SELECT bcounter('-9223372036854775808', 0) $$);
SELECT outcome_of($$ SELECT bcounter('-9223372036854775808', 9223372036854775807) $$);
SELECT outcome_of($$ SELECT bcounter(0, 9223372036854775807) + 1 $$);
SELECT outcome_of($$ SELECT bcounter(0, 1) - '-9223372036854775808' $$);
SELECT outcome_of($$ SELECT bcounter(0, 1) + '-9223372036854775808' $$);
SELECT value(c), outcome_of(format('SELECT %L::bcounter::bigint', c)) AS as_bigint, outcome_of(format('SELECT rights(%L::bcounter, ''a'')', c)) AS of_a,
       outcome_of(format('SELECT transfer(%L::bcounter, ''b'', 1)', c)) AS transfer
FROM CAST('{"bound": 1, "replicas": {"a": {"created": 9223372036854775807, "transferred": {"b": 9223372036854775807}},
                                     "c": {"created": 9223372036854775807, "transferred": {"a": 9223372036854775807}},
                                     "d": {"created": 9223372036854775807, "transferred": {"a": 9223372036854775807}}}}' AS bcounter) c;

-- text
SELECT '{}'::bcounter, '{"bound": -7}'::bcounter, '{"replicas": {"c": {}, "a": {"transferred": {"b": 1, "0F": 2}, "consumed": 1, "created": 4}, "b": {"consumed": 1}}}'::bcounter;
SELECT text, outcome_of(format('SELECT %L::bcounter', text)) FROM (VALUES
    ('[]'), ('{"a": 1}'), ('{"bound": null}'), ('{"bound": 0.5}'), ('{"bound": 9223372036854775808}'), ('{"replicas": []}'),
    ('{"replicas": {"a": 1}}'), ('{"replicas": {"a": {"created": -1}}}'), ('{"replicas": {"a": {"used": 1}}}'),
    ('{"replicas": {"a": {"transferred": 1}}}'), ('{"replicas": {"a": {"transferred": {"b": 0}}}}'),
    ('{"replicas": {"a": {"transferred": {"0a": 1}}}}'), ('{"replicas": {"a": {"transferred": {"b": 1, "0b": 1}}}}'),
    ('{"replicas": {"a": {"created": 1}, "0a": {"created": 1}}}'), ('{"replicas": {"-": {}}}')) AS t (text);

-- bytes
SELECT substr(bcounter_send('{}'), 2) AS empty, substr(bcounter_send('{"bound": -2, "replicas": {"a": {"created": 10, "consumed": 3, "transferred": {"b": 4, "9": 300}}}}'), 2) AS other;
SELECT what, receive('bcounter', state) FROM (VALUES
    ('empty', '\x010300'::bytea),
    ('good', '\x0103030000000000000009000000000000000000000a0a030200ac020204000000000000000b000000'),
    ('nothing', '\x0103'),
    ('bound', '\x01038000'),
    ('least bound', '\x0103ffffffffffffffffff01'),
    ('cut', '\x010300000000000000000a0100'),
    ('many transfers', '\x010300000000000000000a0100ffffffffffffffffff01'),
    ('nothing done', '\x010300000000000000000a000000'),
    ('to itself', '\x010300000000000000000a0100010001'),
    ('to nobody', '\x010300000000000000000a0100010101'),
    ('far off', '\x010300000000000000000a010001ffffffffffffffffff0101'),
    ('nothing transferred', '\x010300000000000000000a0100010100000000000000000b010000'),
    ('transfers descend', '\x010300000000000000000a01000202010101000000000000000b010000000000000000000c010000'),
    ('transfer twice', '\x010300000000000000000a01000201010101000000000000000b010000'),
    ('long form', '\x010300000000000000000a010001018100000000000000000b010000'),
    ('order', '\x010300000000000000000b010000000000000000000a010000'),
    ('too large', '\x010300000000000000000a808080808080808080010000')) AS t (what, state);

--
-- vclock
--

SET consistency.replica_id = 'a';
SELECT increment('{}'::vclock), increment(increment('{"b": 5}'::vclock));
SELECT a, b, compare(a, b), a <@ b AS within, a @> b AS around, a = b AS same, a || b AS merged
FROM (VALUES ('{}'::vclock, '{}'::vclock), ('{}', '{"a": 1}'), ('{"a": 2}', '{"a": 1}'), ('{"a": 1, "b": 1}', '{"a": 1, "b": 2}'),
      ('{"a": 1}', '{"b": 1}'), ('{"a": 2, "b": 1}', '{"a": 1, "b": 2}'), ('{"a": 2, "b": 1}', '{"b": 1, "a": 2}')) AS t (a, b);
SELECT '{"a": 2}'::vclock::jsonb, value('{"a": 2}'::vclock), outcome_of($$ SELECT increment('{"a": 9223372036854775807}'::vclock) $$);
SELECT outcome_of($$ SELECT '{"a": "x"}'::vclock $$), receive('vclock', '\x010c000000000000000a02'), receive('vclock', '\x010c000000000000000a00');

--
-- merge(): of nothing, of nulls, of few and of many
--

SELECT merge(c) AS nothing FROM (SELECT '{"a": 1}'::gcounter WHERE false) AS t (c);
SELECT merge(c) AS nulls FROM (VALUES (NULL::gcounter), (NULL)) AS t (c);
SELECT merge(c), value(merge(c)) FROM (VALUES ('{"a": 5, "b": 2, "c": 1}'::gcounter), (NULL), ('{"a": 3, "b": 4, "c": 1}'), ('{"a": 3, "b": 2, "c": 3}')) AS t (c);
SELECT merge(c), value(merge(c)) FROM (VALUES ('{"a": {"inc": 5, "inc_reset": 4}}'::pncounter), ('{"b": {"dec": 2}}'), ('{"a": {"inc": 6, "inc_reset": 1}}')) AS t (c);
SELECT merge(c), value(merge(c)) FROM (VALUES (bcounter(-1, 3)), ('{"bound": -2, "replicas": {"b": {"created": 2}}}'), ('{}')) AS t (c);
SELECT merge(c) FROM (VALUES ('{"a": 1}'::vclock), ('{"b": 1}')) AS t (c);
SELECT g, merge(c) FROM (VALUES (1, '{"a": 1}'::vclock), (2, '{"b": 1}'), (1, '{"c": 1}')) AS t (g, c) GROUP BY g ORDER BY g;
SELECT merge(c) OVER (ORDER BY n) FROM (VALUES (1, '{"a": 1}'::gcounter), (2, '{"b": 1}'), (3, '{"a": 2}')) AS t (n, c) ORDER BY n;

-- Replica n % 401 + 1 has counted n.  States of one entry, some of many.
CREATE TABLE many AS
    SELECT n, format('{"%s": %s}', to_hex(n % 401 + 1), n)::gcounter AS g,
           format('{"%s": {"inc": %s, "dec": %s, "inc_reset": %s}}', to_hex(n % 401 + 1), n, n % 1000 + 1, n / 2)::pncounter AS p,
           format('{"bound": %s, "replicas": {"%s": {"created": %s, "transferred": {"%s": %s}}}}',
                  n % 7, to_hex(n % 401 + 1), n, to_hex(n % 17 + 1000), n / 2 + 1)::bcounter AS b,
           format('{"%s": %s}', to_hex(n % 401 + 1), n)::vclock AS v
    FROM generate_series(1, 4010) n;
ANALYZE many;
CREATE TABLE merged AS SELECT merge(g) AS g, merge(p) AS p, merge(b) AS b, merge(v) AS v FROM many;
SELECT value(g) = (SELECT sum(most) FROM (SELECT max(n) AS most FROM many GROUP BY n % 401) AS t) AS g,
       value(p) = (SELECT sum(inc - inc_reset - dec)
                   FROM (SELECT max(n) AS inc, max(n % 1000 + 1) AS dec, max(n / 2) AS inc_reset FROM many GROUP BY n % 401) AS t) AS p,
       value(b) = 6 + (SELECT sum(most) FROM (SELECT max(n) AS most FROM many GROUP BY n % 401) AS t) AS b,
       bound(b), rights(b, '1') = (SELECT max(n) FILTER (WHERE n % 401 = 0) FROM many) - (SELECT sum(most) FROM (SELECT max(n / 2 + 1) AS most FROM many WHERE n % 401 = 0 GROUP BY n % 17) AS t) AS rights,
       v::text = g::text AS v
FROM merged;
-- large ones merge to the same
SELECT merge(m.g || many.g) = merge(m.g) AS g, merge(m.p || many.p) = merge(m.p) AS p, merge(m.b || many.b) = merge(m.b) AS b
FROM merged m, many WHERE n <= 100;

-- the same by parallel workers
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT merge(g), merge(p), merge(b), merge(v) FROM many;
SELECT merge(many.g) = m.g AS g, merge(many.p) = m.p AS p, merge(many.b) = m.b AS b, merge(many.v) = m.v AS v FROM many, merged m GROUP BY m.g, m.p, m.b, m.v;
SELECT t.g = m.g AS g, t.p = m.p AS p, t.b = m.b AS b, t.v = m.v AS v
FROM (SELECT merge(g) AS g, merge(p) AS p, merge(b) AS b, merge(v) AS v FROM many) AS t, merged m;
SELECT merge(g) IS NULL AS nothing FROM many WHERE n < 0;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;

--
-- What else there is about a column
--

-- equal states hash alike, and are found by it
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT count(*) FROM many a JOIN many b ON a.g = b.g AND a.p = b.p AND a.b = b.b AND a.v = b.v;
RESET enable_nestloop;
RESET enable_mergejoin;
CREATE INDEX many_hash ON many USING hash (p);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM many WHERE p = '{"2": {"inc": 1, "dec": 2}}';
SELECT n FROM many WHERE p = '{"2": {"inc": 1, "dec": 2}}';
RESET enable_seqscan;
SELECT count(DISTINCT g::text) = (SELECT count(*) FROM (SELECT g FROM many GROUP BY g) AS t) AS grouped FROM many;

-- COPY, text and binary
CREATE TABLE copied (LIKE many);
\copy many TO 'results/crdt_counters.copy' (FORMAT binary)
\copy copied FROM 'results/crdt_counters.copy' (FORMAT binary)
\copy merged TO 'results/crdt_counters.copy'
\copy copied (g, p, b, v) FROM 'results/crdt_counters.copy'
SELECT count(*) FROM many JOIN copied USING (n, g, p, b, v);
SELECT count(*) FROM merged JOIN copied USING (g, p, b, v);

-- compressed and out of line
CREATE TABLE wide (c gcounter, p pncounter);
ALTER TABLE wide ALTER c SET STORAGE external;
INSERT INTO wide SELECT merge(format('{"%s": %s}', to_hex(n), 300)::gcounter), merge(format('{"%s": {"inc": 3}}', to_hex(n))::pncounter)
    FROM generate_series(1, 1000) n;
SELECT value(c), value(p), c = c || c AS same, pg_column_size(p) < 8000 AS compressed FROM wide;
SET consistency.replica_id = '1';
UPDATE wide SET c = c + 700, p = p - 3;
SELECT value(c), value(p) FROM wide;

-- A server of its own has an id of its own.
RESET consistency.replica_id;
SELECT gcounter(1)::text = format('{"%s": 1}', consistency.replica_id()) AS own;

DROP TABLE likes, many, merged, copied, wide;
DROP FUNCTION outcome_of, receive;
