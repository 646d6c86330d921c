--
-- CRDT registers and flags: lww_register, mv_register, ew_flag, dw_flag.
--
-- Other replicas are played by setting consistency.replica_id.  Stamps come from
-- a clock, so they are compared, never shown.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- how an expression ends: its value, or the error
CREATE FUNCTION crdt_outcome(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    said text;
    detail text;
    hint text;
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || said, nullif(detail, ''), nullif(hint, ''));
END $$;

--
-- lww_register
--

-- the later stamp wins, whoever comes first
SELECT value(x || y), value(y || x), x || y = y || x AS commutes
FROM (VALUES ('{"value": "old", "stamp": 100, "replica": "b"}'::lww_register,
              '{"value": "new", "stamp": 101, "replica": "a"}'::lww_register)) v(x, y);

-- ties break the same way in every order: by replica, none above values, by bytes
CREATE TABLE ties (rank int, r lww_register);
INSERT INTO ties VALUES
    (1, '{}'),
    (2, '{"value": "zz", "stamp": 7, "replica": "a"}'),
    (3, '{"value": "a", "stamp": 7, "replica": "b"}'),
    (4, '{"value": "b", "stamp": 7, "replica": "b"}'),
    (5, '{"stamp": 7, "replica": "b"}'),
    (6, '{"value": 1, "stamp": 7, "replica": "ffffffffffffffff"}'),
    (7, '{"value": 1, "stamp": 128, "replica": "a"}'),
    (8, '{"value": {"b": [1, null], "a": 1.50}, "stamp": 9223372036854775807, "replica": "a"}');
SELECT * FROM ties ORDER BY rank;
SELECT count(*) AS pairs,
       bool_and(x.r || y.r = CASE WHEN x.rank > y.rank THEN x.r ELSE y.r END) AS larger_wins,
       bool_and((x.r <@ y.r) = (x.rank <= y.rank)) AS ordered,
       bool_and((x.r = y.r) = (x.rank = y.rank)) AS told_apart
FROM ties x, ties y;
SELECT bool_and((x.r || y.r) || z.r = x.r || (y.r || z.r)) AS associates FROM ties x, ties y, ties z;
SELECT merge(r) FROM ties WHERE rank < 6;
SELECT rank, value(r), r::jsonb, stamp(r), replica(r) FROM ties ORDER BY rank;

-- assigning is later than what was seen, and says who did it
SET consistency.replica_id = 'a';
SELECT value(r), replica(r), stamp(r) > 0 AS stamped FROM lww_register('"first"'::jsonb) r;
SELECT value(n), replica(n), stamp(n) > stamp(o) AS later, n @> o AS above, value(o || n)
FROM (SELECT lww_register('[1]'::jsonb) o) v, assign(o, '{"n": 2}') n;
SELECT value(n), stamp(n) > 4102444800000 << 16 AS later, value(r || n)
FROM (SELECT format('{"value": "from 2100", "stamp": %s, "replica": "b"}', 4102444800000 << 16)::lww_register r) v,
     assign(r, '"now"') n;
SELECT left(crdt_outcome($$ assign('{"stamp": 9223372036854775807, "replica": "a"}'::lww_register, '1') $$), 5) AS no_later_stamp;
-- JSON's null is a value, no value is none
SELECT value(r) IS NULL AS is_none, value(r), stamp(r) > 0 AS stamped
FROM (VALUES (lww_register('null'::jsonb)), ('{}'), ('{"stamp": 1, "replica": "a"}')) v(r);
SELECT assign(NULL::lww_register, '1'), assign('{}'::lww_register, NULL) IS NULL AS strict;

CREATE TABLE profile (id int PRIMARY KEY, name lww_register NOT NULL DEFAULT '{}');
INSERT INTO profile VALUES (1);
UPDATE profile SET name = assign(name, '"Ann"');
UPDATE profile SET name = assign(name, '"Anna"');
SELECT id, value(name) FROM profile;

-- what isn't a register
SELECT crdt_outcome(format('%L::lww_register', text)) FROM (VALUES
    (1, ''), (2, 'null'), (3, '[]'), (4, '"x"'), (5, '{"value": 1}'), (6, '{"value": 1, "stamp": 1}'),
    (7, '{"replica": "a"}'), (8, '{"stamp": 0, "replica": "a"}'), (9, '{"stamp": -1, "replica": "a"}'),
    (10, '{"stamp": 1.5, "replica": "a"}'), (11, '{"stamp": 9223372036854775808, "replica": "a"}'),
    (12, '{"stamp": "1", "replica": "a"}'), (13, '{"stamp": 1, "replica": "0"}'),
    (14, '{"stamp": 1, "replica": "x"}'), (15, '{"stamp": 1, "replica": "11112222333344445"}'),
    (16, '{"stamp": 1, "replica": 1}'), (17, '{"stamp": 1, "replica": "a", "extra": {}}')) v(n, text)
ORDER BY n;

--
-- mv_register
--

-- concurrent values are both kept, until one is assigned where both are seen
SELECT mv_register('"tea"'::jsonb) AS start \gset
SET consistency.replica_id = 'b';
SELECT assign(:'start'::mv_register, '"coffee"') AS at_b \gset
SET consistency.replica_id = 'a';
SELECT assign(:'start'::mv_register, '"cocoa"') AS at_a \gset
SELECT :'start' AS start, :'at_a' AS at_a, :'at_b' AS at_b;
SELECT m, value(m), cardinality(m), m = :'at_b'::mv_register || :'at_a' AS commutes, m || m = m AS idempotent,
       m @> :'at_a' AND m @> :'at_b' AND NOT m <@ :'at_a' AND m @> :'start' AS above
FROM (SELECT :'at_a'::mv_register || :'at_b'::mv_register) v(m);
SELECT elements(:'at_a'::mv_register || :'at_b') ORDER BY 1;
SET consistency.replica_id = 'b';
SELECT r, value(r), value(r || :'at_a'), r || :'at_a' = r AS has_seen_a
FROM assign(:'at_a'::mv_register || :'at_b', '"water"') r;
-- who has seen only one of them replaces only that one
SELECT value(assign(:'at_b'::mv_register, '"milk"') || :'at_a');
-- clearing drops what is seen; a concurrent value stays
SELECT c, value(c), cardinality(c), value(c || :'start'), value(c || :'at_a'), value(c || :'at_b')
FROM clear(:'at_b'::mv_register) c;
SELECT clear('{}'::mv_register), value('{}'::mv_register), cardinality('{}'::mv_register), '{}'::mv_register::jsonb;
SELECT count(*) FROM elements('{}'::mv_register);
-- the same value from two replicas is one value, with two dots
SELECT r, value(r), cardinality(r), array(SELECT elements(r)) AS elements
FROM (SELECT '{"clock": {"a": 1, "b": 1, "c": 3}, "values": [{"value": 1.0, "dot": ["a", 1]},
              {"value": 1, "dot": ["b", 1]}, {"value": 0, "dot": ["c", 2]}]}'::mv_register) v(r);
-- a replica's id between others moves their dots
SET consistency.replica_id = 'b0';
SELECT assign('{"clock": {"a": 1, "c0": 4}, "values": [{"value": [], "dot": ["c0", 4]}]}'::mv_register, '{}')
    || '{"clock": {"c0": 5, "d": 1}, "values": [{"value": 5, "dot": ["c0", 5]}, {"value": 6, "dot": ["d", 1]}]}' AS merged;
-- one dot, two values, as of a clone: the same one everywhere
SELECT x || y AS merged, x || y = y || x AS commutes
FROM (VALUES ('{"clock": {"a": 1}, "values": [{"value": "x", "dot": ["a", 1]}]}'::mv_register,
              '{"clock": {"a": 1}, "values": [{"value": "y", "dot": ["a", 1]}]}'::mv_register)) v(x, y);
-- counts end
SELECT crdt_outcome($$ assign('{"clock": {"b0": 9223372036854775807}}'::mv_register, '1') $$);

SELECT crdt_outcome(format('%L::mv_register', text)) FROM (VALUES
    (1, '[]'), (2, '{"clock": []}'), (3, '{"values": {}}'), (4, '{"values": [1]}'), (5, '{"values": [{}]}'),
    (6, '{"values": [{"value": 1, "dot": ["a", 1]}]}'),
    (7, '{"clock": {"a": 1}, "values": [{"value": 1, "dot": ["a", 2]}]}'),
    (8, '{"clock": {"a": 1}, "values": [{"value": 1, "dot": ["a", 0]}]}'),
    (9, '{"clock": {"a": 1}, "values": [{"value": 1, "dot": ["a"]}]}'),
    (10, '{"clock": {"a": 1}, "values": [{"value": 1, "dot": ["a", 1, 1]}]}'),
    (11, '{"clock": {"a": 1}, "values": [{"value": 1, "dot": {"a": 1}}]}'),
    (12, '{"clock": {"a": 1}, "values": [{"dot": ["a", 1]}]}'),
    (13, '{"clock": {"a": 2}, "values": [{"value": 1, "dot": ["a", 1]}, {"value": 1, "dot": ["A", 2]}]}'),
    (14, '{"clock": {"a": 1, "A": 1}}'), (15, '{"clock": {"a": 0}}'), (16, '{"clock": {"a": 1}, "x": 1}'),
    (17, '{"clock": {"a": 1}, "values": [{"value": 1, "dot": ["a", 1], "x": 1}]}')) v(n, text)
ORDER BY n;

--
-- ew_flag, dw_flag
--

SET consistency.replica_id = 'a';
SELECT f, value(f), f::boolean, f::jsonb FROM (VALUES ('{}'::ew_flag), (ew_flag(true)), (ew_flag(false)),
    (enable(ew_flag(true))), (disable(ew_flag(true))), (enable(disable(ew_flag(true))))) v(f);
SELECT f, value(f), f::boolean, f::jsonb FROM (VALUES ('{}'::dw_flag), (dw_flag(true)), (dw_flag(false)),
    (enable(dw_flag(true))), (disable(dw_flag(true))), (enable(disable(dw_flag(true))))) v(f);

-- switched on at a and off at b, at the same time
SELECT enable('{}'::ew_flag) AS ew, enable('{}'::dw_flag) AS dw \gset
SELECT enable(:'ew'::ew_flag) AS ew_a, enable(:'dw'::dw_flag) AS dw_a \gset
SET consistency.replica_id = 'b';
SELECT disable(:'ew'::ew_flag) AS ew_b, disable(:'dw'::dw_flag) AS dw_b \gset
SELECT m, value(m), m = :'ew_b'::ew_flag || :'ew_a' AS commutes, value(disable(m)), value(enable(m))
FROM (SELECT :'ew_a'::ew_flag || :'ew_b') v(m);
SELECT m, value(m), m = :'dw_b'::dw_flag || :'dw_a' AS commutes, value(disable(m)), value(enable(m))
FROM (SELECT :'dw_a'::dw_flag || :'dw_b') v(m);
-- switched off where that was seen
SELECT value(:'ew_a'::ew_flag || disable(:'ew_a'::ew_flag)) AS ew, value(:'dw_b'::dw_flag || enable(:'dw_b'::dw_flag)) AS dw;
-- switched on in both places, off in one of them afterwards
SELECT value(enable('{}'::ew_flag) || :'ew_a') AS ew, value(disable(enable('{}'::ew_flag)) || :'ew_a') AS ew_one_off,
       value(enable('{}'::dw_flag) || :'dw_a') AS dw, value(disable(enable('{}'::dw_flag)) || :'dw_a') AS dw_one_off;

CREATE TABLE setting (id int, dark ew_flag NOT NULL DEFAULT '{}', locked dw_flag NOT NULL DEFAULT '{}', plain boolean);
INSERT INTO setting VALUES (1), (2);
UPDATE setting SET dark = enable(dark), locked = enable(locked) WHERE id = 1;
UPDATE setting SET plain = dark;
SELECT id, value(dark) AS dark, locked::boolean AS locked, plain FROM setting ORDER BY id;

SELECT crdt_outcome(format('%L::%s', text, type)) FROM (VALUES
    (1, 'ew_flag', 'true'), (2, 'dw_flag', 'false'),
    (3, 'ew_flag', '{"clock": {"a": 1}, "values": [{"value": 1, "dot": ["a", 1]}]}'),
    (4, 'ew_flag', '{"clock": {"a": 1}, "values": [{"value": false, "dot": ["a", 1]}]}'),
    (5, 'dw_flag', '{"clock": {"a": 1}, "values": [{"value": false, "dot": ["a", 1]}]}'),
    (6, 'dw_flag', '{"clock": {"a": 1}, "values": [{"value": null, "dot": ["a", 1]}]}'),
    (7, 'dw_flag', '{"clock": {"a": 1}, "values": [{"value": [true], "dot": ["a", 1]}]}')) v(n, type, text)
ORDER BY n;
SELECT crdt_outcome($$ enable('{"clock": {"b": 9223372036854775807}}'::ew_flag) $$);

--
-- Merging, judged by a model of single events: of each of replica a's and b's two
-- first events a state knows nothing (0), its value (1 false, 2 true), or that it is
-- gone (3), and the merged state knows the larger of both.  All pairs of states.
--

CREATE TYPE known AS (first int, second int);
CREATE FUNCTION state(a known, b known) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object(
        'clock', coalesce(jsonb_object_agg(id, n) FILTER (WHERE n > 0), '{}'),
        'values', coalesce(jsonb_agg(jsonb_build_object('value', live = 2, 'dot', jsonb_build_array(id, event)))
                           FILTER (WHERE live IN (1, 2)), '[]'))::text
    FROM (SELECT id, CASE WHEN (k).second > 0 THEN 2 WHEN (k).first > 0 THEN 1 ELSE 0 END AS n,
                 CASE WHEN (k).first IN (1, 2) THEN (k).first ELSE (k).second END AS live,
                 CASE WHEN (k).first IN (1, 2) THEN 1 ELSE 2 END AS event
          FROM (VALUES ('a', a), ('b', b)) v(id, k)) v
$$;
CREATE FUNCTION joined(x known, y known) RETURNS known LANGUAGE sql IMMUTABLE
    RETURN (greatest(x.first, y.first), greatest(x.second, y.second))::known;
CREATE TABLE knowledge AS
    SELECT a, b, state(a, b)::dw_flag AS flag, state(a, b)::mv_register AS register
    FROM unnest(array['(0,0)', '(1,0)', '(2,0)', '(3,0)', '(3,3)', '(1,3)', '(2,3)', '(3,1)', '(3,2)']::known[]) a,
         unnest(array['(0,0)', '(1,0)', '(2,0)', '(3,0)', '(3,3)', '(1,3)', '(2,3)', '(3,1)', '(3,2)']::known[]) b;
SELECT count(*), count(DISTINCT flag::text) AS flags, count(DISTINCT register::text) AS registers FROM knowledge;
SELECT count(*), count(*) FILTER (WHERE x.flag || y.flag = j.flag) AS flags,
       count(*) FILTER (WHERE x.register || y.register = j.register) AS registers
FROM knowledge x, knowledge y, knowledge j
WHERE j.a = joined(x.a, y.a) AND j.b = joined(x.b, y.b);

--
-- All of them: tables, COPY, hash, many replicas, the aggregate
--

CREATE TABLE registers (id int, lww lww_register, mv mv_register, ew ew_flag, dw dw_flag);
ALTER TABLE registers SET (parallel_workers = 2);
CREATE TABLE registers_back (LIKE registers);
-- each row as some of 300 replicas left it
INSERT INTO registers
SELECT i,
       format('{"value": %s, "stamp": %s, "replica": "%s"}', i, i * 7919 % 1009 + 1, to_hex(i % 300 + 1))::lww_register,
       format('{"clock": {"%1$s": %2$s, "fff": 1}, "values": [{"value": "%3$s", "dot": ["%1$s", %2$s]}]}',
              to_hex(i % 300 + 1), i / 300 + 1, i % 3)::mv_register,
       format('{"clock": {"%1$s": %2$s}, "values": [{"value": true, "dot": ["%1$s", %2$s]}]}',
              to_hex(i % 300 + 1), i / 300 + 1)::ew_flag,
       format('{"clock": {"%1$s": %2$s}, "values": [{"value": %3$s, "dot": ["%1$s", %2$s]}]}',
              to_hex(i % 300 + 1), i / 300 + 1, (i % 2 = 0)::text)::dw_flag
FROM generate_series(0, 1199) i;
INSERT INTO registers VALUES (-1, '{}', '{}', '{}', '{}'), (-2, NULL, NULL, NULL, NULL);
ANALYZE registers;

\copy registers TO 'results/crdt_registers.copy' (FORMAT binary)
\copy registers_back FROM 'results/crdt_registers.copy' (FORMAT binary)
SELECT count(*) FROM registers r JOIN registers_back b USING (id)
WHERE (r.lww, r.mv, r.ew, r.dw) IS NOT DISTINCT FROM (b.lww, b.mv, b.ew, b.dw);
TRUNCATE registers_back;
\copy registers TO 'results/crdt_registers.copy'
\copy registers_back FROM 'results/crdt_registers.copy'
SELECT count(*) FROM registers r JOIN registers_back b USING (id)
WHERE (r.lww, r.mv, r.ew, r.dw) IS NOT DISTINCT FROM (b.lww, b.mv, b.ew, b.dw);
SELECT count(*), count(DISTINCT lww::text) FROM (SELECT lww FROM registers GROUP BY lww) v;

CREATE VIEW merged AS
    SELECT merge(lww) AS lww, merge(mv) AS mv, merge(ew) AS ew, merge(dw) AS dw FROM registers;
CREATE TABLE merged_serially AS SELECT * FROM merged;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT * FROM merged;
SELECT count(*) AS same FROM merged NATURAL JOIN merged_serially;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
SELECT stamp(lww) = (SELECT max(stamp(lww)) FROM registers) AS latest, value(mv), cardinality(mv), value(ew) AS ew, value(dw) AS dw
FROM merged;
-- a fold in the other order
CREATE FUNCTION fold() RETURNS registers LANGUAGE plpgsql AS $$
DECLARE
    r registers;
    s registers := (0, '{}', '{}', '{}', '{}');
BEGIN
    FOR r IN SELECT * FROM registers WHERE lww IS NOT NULL ORDER BY id DESC LOOP
        s := (0, s.lww || r.lww, r.mv || s.mv, s.ew || r.ew, r.dw || s.dw);
    END LOOP;
    RETURN s;
END $$;
SELECT f.lww = m.lww AS lww, f.mv = m.mv AS mv, f.ew = m.ew AS ew, f.dw = m.dw AS dw FROM fold() f, merged m;
-- who has seen it all and switches replaces it all
SELECT value(assign(mv, '0')) AS mv, value(disable(ew)) AS ew, value(enable(dw)) AS dw FROM merged;

--
-- A literal that is a constructor's argument is taken for a state
--
SELECT call, crdt_outcome(call) FROM unnest(ARRAY['lww_register(''"x"'')', 'mv_register(''[1]'')', 'ew_flag(''true'')', 'dw_flag(''false'')',
    'gcounter(''5'')', 'pncounter(''-5'')', 'orset(''["x"]'')', 'mv_register(''{"values": 5}'')']) AS c (call);

--
-- Bytes: what other replicas send is checked, and what is damaged is an error
--

-- a value as it is sent: the encoding, then the state
CREATE FUNCTION sent(state text) RETURNS bytea LANGUAGE sql
    RETURN decode(lpad(to_hex(pg_char_to_encoding(getdatabaseencoding())), 2, '0') || state, 'hex');
SELECT encode(substr(lww_register_send('{"value": 1, "stamp": 300, "replica": "a"}'), 2), 'hex') AS lww,
       encode(substr(mv_register_send('{"clock": {"a": 2}, "values": [{"value": "x", "dot": ["a", 2]}]}'), 2), 'hex') AS mv,
       encode(substr(ew_flag_send('{"clock": {"a": 2}, "values": [{"value": true, "dot": ["a", 1]}]}'), 2), 'hex') AS ew,
       encode(substr(dw_flag_send('{}'), 2), 'hex') AS dw;
CREATE TABLE one_lww (r lww_register);
CREATE TABLE one_mv (r mv_register);
CREATE TABLE one_ew (r ew_flag);
-- as it should be
\copy (SELECT sent('0104ac02000000000000000a0031')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010501000000000000000a02000203227822')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
SELECT * FROM one_lww, one_mv;
-- another type, a stamp not in its shortest form, of 0, of no one, an unknown kind, none with a value, 1.0 isn't canonical
\copy (SELECT sent('010501000000000000000a02')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('0104ac8200000000000000000a0031')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010400000000000000000a0031')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('01040100000000000000000031')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010401000000000000000a0231')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010401000000000000000a0131')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010401000000000000000a00312e30')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_lww FROM 'results/crdt_registers.copy' (FORMAT binary)
-- no vector, a dot of no replica, beyond the clock, of event 0, two of one replica, a length beyond the end
\copy (SELECT sent('0105')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010501000000000000000a0201020131')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010501000000000000000a0200030131')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010501000000000000000a0200000131')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010501000000000000000a020001013100020131')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010501000000000000000a020002ff31')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_mv FROM 'results/crdt_registers.copy' (FORMAT binary)
-- a flag of 2, and a false where there is none
\copy (SELECT sent('010901000000000000000a02000202')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_ew FROM 'results/crdt_registers.copy' (FORMAT binary)
\copy (SELECT sent('010901000000000000000a02000200')) TO 'results/crdt_registers.copy' (FORMAT binary)
\copy one_ew FROM 'results/crdt_registers.copy' (FORMAT binary)

-- Stored bytes that end anywhere or are damaged in any one place: a value or a
-- clear error.
CREATE CAST (bytea AS lww_register) WITHOUT FUNCTION;
CREATE CAST (bytea AS mv_register) WITHOUT FUNCTION;
CREATE CAST (bytea AS ew_flag) WITHOUT FUNCTION;
CREATE CAST (bytea AS dw_flag) WITHOUT FUNCTION;
CREATE FUNCTION survives(state bytea, type text, expressions text[]) RETURNS TABLE (type_name text, ok bigint, errors text)
LANGUAGE plpgsql AS $$
DECLARE
    states bytea[] := array(SELECT substr(state, 1, i) FROM generate_series(0, length(state)) i)
        || array(SELECT set_byte(state, i, b) FROM generate_series(0, length(state) - 1) i,
                 unnest(array[0, 1, 2, 127, 128, 255]) b);
    states_seen text[] := '{}';
    s bytea;
    e text;
BEGIN
    type_name := type;
    ok := 0;
    FOREACH s IN ARRAY states LOOP
        FOREACH e IN ARRAY expressions LOOP
            BEGIN
                EXECUTE format('SELECT (%s)::text FROM (SELECT $1::%s AS x, $2::%2$s AS y) v', e, type) USING s, state;
                ok := ok + 1;
            EXCEPTION WHEN OTHERS THEN
                states_seen := states_seen || SQLSTATE;
            END;
        END LOOP;
    END LOOP;
    errors := (SELECT string_agg(DISTINCT c, ' ' ORDER BY c) FROM unnest(states_seen) c);
    ok := (ok > 0)::int;
    RETURN NEXT;
END $$;
SELECT * FROM survives(substr(lww_register_send('{"value": "x", "stamp": 300, "replica": "a"}'), 2), 'lww_register',
    '{x, value(x), stamp(x), replica(x), x || y, y || x, "assign(x, ''1'')", x::jsonb, x = y, x <@ y, lww_register_send(x)}');
SELECT * FROM survives(substr(mv_register_send('{"clock": {"a": 2, "b": 300}, "values": [{"value": "x", "dot": ["a", 2]},
    {"value": "x", "dot": ["b", 200]}]}'), 2), 'mv_register',
    '{x, value(x), cardinality(x), array(SELECT elements(x)), x || y, y || x, "assign(x, ''1'')", clear(x), x::jsonb, x <@ y}');
SELECT * FROM survives(substr(ew_flag_send('{"clock": {"a": 2, "b": 300}, "values": [{"value": true, "dot": ["a", 2]}]}'), 2),
    'ew_flag', '{x, value(x), x || y, y || x, enable(x), disable(x), x::jsonb, x <@ y}');
SELECT * FROM survives(substr(dw_flag_send('{"clock": {"a": 2, "b": 300}, "values": [{"value": false, "dot": ["a", 2]}]}'), 2),
    'dw_flag', '{x, value(x), x || y, y || x, enable(x), disable(x), x::jsonb, x <@ y}');
DROP CAST (bytea AS lww_register);
DROP CAST (bytea AS mv_register);
DROP CAST (bytea AS ew_flag);
DROP CAST (bytea AS dw_flag);

-- values have a largest size
SELECT crdt_outcome($$ lww_register(to_jsonb(repeat('x', 16777215))) $$);
SELECT crdt_outcome($$ mv_register(to_jsonb(repeat('x', 16777215))) $$);
SELECT length(value(mv_register(to_jsonb(repeat('x', 1000000))))::text);

RESET consistency.replica_id;
DROP VIEW merged;
DROP FUNCTION fold, crdt_outcome, sent, survives;
DROP TABLE ties, profile, setting, registers, registers_back, merged_serially, one_lww, one_mv, one_ew, knowledge;
DROP FUNCTION state, joined;
DROP TYPE known;
