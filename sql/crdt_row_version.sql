--
-- Row versions: who has changed a row, and who wrote what in it last.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

-- how an expression ends: its value, or the error
CREATE FUNCTION row_outcome(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    detail text;
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;

-- what becomes of a state that a client sends in binary, here by COPY
CREATE FUNCTION row_receive(state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    field bytea := substr(int4send(pg_char_to_encoding(getdatabaseencoding())), 4) || state;
    file bytea := '\x5047434f50590aff0d0a00' || int4send(0) || int4send(0) || int2send(1::int2) ||
        int4send(length(field)) || field || int2send((-1)::int2);
    octal text := (SELECT string_agg('\' || (get_byte(file, i) >> 6) || (get_byte(file, i) >> 3 & 7) || (get_byte(file, i) & 7), '' ORDER BY i)
                   FROM generate_series(0, length(file) - 1) i);
    detail text;
    result text;
BEGIN
    CREATE TEMP TABLE received (state row_version) ON COMMIT DROP;
    EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', 'printf ''' || octal || '''');
    SELECT r.state::text INTO result FROM received r;
    DROP TABLE received;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;

--
-- Two servers change a row
--

CREATE TABLE two (what text, x row_version, y row_version);
INSERT INTO two VALUES
    ('one has seen the other', '{"seen": {"a": 1}, "stamp": 5, "replica": "a"}',
     '{"seen": {"a": 1, "b": 1}, "stamp": 7, "replica": "b"}'),
    ('concurrently', '{"seen": {"a": 2}, "stamp": 9, "replica": "a"}',
     '{"seen": {"a": 1, "b": 1}, "stamp": 7, "replica": "b"}'),
    ('same stamp: the larger id', '{"seen": {"a": 1}, "stamp": 7, "replica": "a"}',
     '{"seen": {"b": 1}, "stamp": 7, "replica": "b"}'),
    ('same write: one of them', '{"seen": {"a": 1}, "stamp": 7, "replica": "a"}',
     '{"seen": {"b": 1}, "stamp": 7, "replica": "a"}'),
    ('same stamp and id: the later change', '{"seen": {"a": 1}, "stamp": 7, "replica": "a", "event": 1}',
     '{"seen": {"a": 2}, "stamp": 7, "replica": "a", "event": 2}'),
    ('columns that differ', '{"seen": {"a": 2}, "stamp": 5, "replica": "a", "columns": {"p": {"stamp": 8, "replica": "a"}}}',
     '{"seen": {"a": 1, "b": 1}, "stamp": 5, "replica": "a", "columns": {"q": {"stamp": 7, "replica": "b"}}}'),
    ('the same column', '{"seen": {"a": 2}, "stamp": 5, "replica": "a", "columns": {"p": {"stamp": 8, "replica": "a"}}}',
     '{"seen": {"a": 1, "b": 1}, "stamp": 5, "replica": "a", "columns": {"p": {"stamp": 7, "replica": "b"}}}'),
    ('a column, and the row later', '{"seen": {"a": 2}, "stamp": 5, "replica": "a", "columns": {"p": {"stamp": 8, "replica": "a"}}}',
     '{"seen": {"a": 1, "b": 1}, "stamp": 9, "replica": "b"}'),
    ('a column, and the row at once', '{"seen": {"a": 2}, "stamp": 5, "replica": "a", "columns": {"p": {"stamp": 9, "replica": "b"}}}',
     '{"seen": {"a": 1, "b": 1}, "stamp": 9, "replica": "b"}'),
    ('the first write of a column', '{"seen": {"a": 1}, "stamp": 8, "replica": "a", "columns": {"p": {"stamp": 8, "replica": "a", "first": true}}}',
     '{"seen": {"b": 1}, "stamp": 7, "replica": "b", "columns": {"p": {"stamp": 7, "replica": "b", "first": true}}}'),
    ('first above last', '{"seen": {"a": 1}, "columns": {"p": {"stamp": 8, "replica": "a"}}}',
     '{"seen": {"b": 1}, "columns": {"p": {"stamp": 9, "replica": "b", "first": true}}}'),
    ('values side by side', '{"seen": {"a": 2}, "values": {"t": [{"value": "x", "stamp": 8, "dot": ["a", 2]}]}}',
     '{"seen": {"a": 1, "b": 1}, "values": {"t": [{"value": null, "stamp": 9, "dot": ["b", 1]}]}}'),
    ('the same value twice', '{"seen": {"a": 2}, "values": {"t": [{"value": "x", "stamp": 8, "dot": ["a", 2]}]}}',
     '{"seen": {"a": 1, "b": 1}, "values": {"t": [{"value": "x", "stamp": 9, "dot": ["b", 1]}]}}'),
    ('a value seen and replaced', '{"seen": {"a": 2}, "values": {"t": [{"value": "x", "stamp": 8, "dot": ["a", 2]}]}}',
     '{"seen": {"a": 2, "b": 1}, "values": {"t": [{"value": "y", "stamp": 9, "dot": ["b", 1]}]}}'),
    ('a clone: one dot, two values', '{"seen": {"a": 1}, "values": {"t": [{"value": "", "stamp": 8, "dot": ["a", 1]}]}}',
     '{"seen": {"a": 1}, "values": {"t": [{"value": null, "stamp": 8, "dot": ["a", 1]}]}}'),
    ('deleted, and changed meanwhile', '{"seen": {"a": 2}, "deleted": {"a": 2}}', '{"seen": {"a": 1, "b": 1}}'),
    ('deleted by both', '{"seen": {"a": 2}, "deleted": {"a": 2}}', '{"seen": {"a": 1, "b": 1}, "deleted": {"a": 1, "b": 1}}'),
    ('the larger length has it all', '{"length": 2, "seen": {"a": 1}, "stamp": 6, "replica": "a"}',
     '{"seen": {"a": 1, "b": 4}, "stamp": 9, "replica": "b", "columns": {"p": {"stamp": 10, "replica": "b"}}, "values": {"t": [{"value": "x", "stamp": 8, "dot": ["b", 2]}]}}'),
    ('inserted again', '{"length": 3, "seen": {"a": 1}}', '{"length": 2, "seen": {"b": 9}}');
SELECT what, x || y AS merged, lives(x || y), stamp(x || y), replica(x || y), conflicts(x || y) FROM two;
SELECT what FROM two WHERE (x || y) <> (y || x) OR (x || x) <> x OR NOT x <@ (x || y) OR NOT y <@ (x || y) OR (x || y || x) <> (x || y);
SELECT what, x <@ y AS "x <@ y", x @> y AS "x @> y", x = y AS "x = y" FROM two WHERE x <@ y OR x @> y;
SELECT value(x), x::jsonb = value(x) AS same FROM two WHERE what ~ '^(deleted|inserted|concurrently|values)';
-- every three of them, in different ways, and by the aggregate
SELECT count(*) AS threes, count(DISTINCT p.x::text) AS states FROM two p, two q, two r
WHERE ((p.x || q.y) || r.x) = (p.x || (q.y || r.x)) AND ((q.y || r.x) || p.x) = ((r.x || p.x) || q.y);
SELECT merge(x || y) = (merge(x) || merge(y)) AS same, merge(y || x ORDER BY what DESC) = merge(x || y) AS any_order FROM two;
-- nothing is known at first
SELECT v, lives(v), stamp(v), replica(v), conflicts(v), value(v) FROM (VALUES ('{}'::row_version)) t(v);
SELECT bool_and('{}'::row_version <@ x AND (x || '{}') = x) AS bottom FROM two;

--
-- Text form: one for each state
--

SELECT t, t::row_version FROM (VALUES
    ('{"length": 1, "seen": {}, "deleted": {}, "columns": {}, "values": {}}'),
    ('{"values": {"t": []}}'),
    ('{"replica": "00A", "stamp": 1.0, "seen": {"b": 2, "a": 1}}'),
    -- written no later than the row: not known for itself
    ('{"stamp": 5, "replica": "b", "columns": {"p": {"stamp": 5, "replica": "b"}, "q": {"stamp": 5, "replica": "a", "first": false}, "r": {"stamp": 5, "replica": "c"}}}'),
    ('{"columns": {"bb": {"stamp": 1, "replica": "a"}, "c": {"stamp": 1, "replica": "a", "first": true}, "": {"stamp": 1, "replica": "a"}, "a \" b": {"stamp": 1, "replica": "a"}}}'),
    ('{"seen": {"a": 3, "b": 1}, "values": {"t": [{"value": "y", "stamp": 2, "dot": ["b", 1]}, {"value": "\n\"", "stamp": 2, "dot": ["a", 3]}], "s": [{"value": "null", "stamp": 1, "dot": ["a", 1]}]}}'),
    ('{"length": 9223372036854775807, "seen": {"ffffffffffffffff": 9223372036854775807}, "deleted": {"ffffffffffffffff": 9223372036854775807}, "stamp": 9223372036854775807, "replica": "ffffffffffffffff"}')
) v(t);

-- what isn't one
SELECT t, row_outcome(format('%L::row_version', t)) FROM (VALUES
    ('[]'), ('1'), ('null'), ('{"x": 1}'),
    ('{"length": 0}'), ('{"length": 1.5}'), ('{"length": "3"}'), ('{"length": null}'), ('{"length": 9223372036854775808}'),
    ('{"seen": {"a": 0}}'), ('{"seen": {"0": 1}}'), ('{"seen": {"g": 1}}'), ('{"seen": {"a": 1, "0a": 1}}'), ('{"seen": []}'), ('{"seen": null}'),
    ('{"deleted": {"a": 1}}'), ('{"seen": {"a": 1}, "deleted": {"a": 2}}'), ('{"seen": {"a": 1, "c": 1}, "deleted": {"b": 1}}'),
    ('{"stamp": 1}'), ('{"replica": "a"}'), ('{"stamp": 0, "replica": "a"}'), ('{"stamp": -1, "replica": "a"}'),
    ('{"event": 1}'), ('{"stamp": 1, "replica": "a", "event": 0}'),
    ('{"columns": []}'), ('{"columns": {"p": 1}}'), ('{"columns": {"p": {}}}'), ('{"columns": {"p": {"stamp": 1}}}'), ('{"columns": {"p": {"stamp": 1, "replica": "a", "event": -1}}}'),
    ('{"columns": {"p": {"stamp": 1, "replica": "a", "first": 1}}}'), ('{"columns": {"p": {"stamp": 1, "replica": "a", "last": true}}}'),
    ('{"values": []}'), ('{"values": null}'), ('{"values": {"t": {}}}'), ('{"values": {"t": [1]}}'), ('{"values": {"t": [{}]}}'),
    ('{"values": {"t": [{"value": "x", "stamp": 1, "dot": ["a", 1]}]}}'),
    ('{"seen": {"a": 1}, "values": {"t": [{"value": "x", "stamp": 1, "dot": ["a", 2]}]}}'),
    ('{"seen": {"a": 1}, "values": {"t": [{"value": "x", "stamp": 1, "dot": ["a"]}]}}'),
    ('{"seen": {"a": 1}, "values": {"t": [{"value": "x", "dot": ["a", 1]}]}}'),
    ('{"seen": {"a": 1}, "values": {"t": [{"stamp": 1, "dot": ["a", 1]}]}}'),
    ('{"seen": {"a": 1}, "values": {"t": [{"value": 1, "stamp": 1, "dot": ["a", 1]}]}}'),
    ('{"seen": {"a": 1}, "values": {"t": [{"value": "x", "stamp": 1, "dot": ["a", 1], "more": 1}]}}'),
    ('{"seen": {"a": 2}, "values": {"t": [{"value": "x", "stamp": 1, "dot": ["a", 1]}, {"value": "y", "stamp": 1, "dot": ["a", 2]}]}}')
) v(t);
SELECT row_outcome($$jsonb_build_object('seen', '{"a": 1}'::jsonb, 'values', jsonb_build_object('t', jsonb_build_array(jsonb_build_object(
    'value', repeat('x', 16 * 1024 * 1024 + 1), 'stamp', 1, 'dot', '["a", 1]'::jsonb))))::text::row_version::text$$) AS too_long;

--
-- Binary form
--

CREATE TABLE copied (what text, x row_version, y row_version);
\copy two TO 'results/crdt_row_version.copy' (FORMAT binary)
\copy copied FROM 'results/crdt_row_version.copy' (FORMAT binary)
SELECT count(*) FROM two JOIN copied USING (what, x, y);
\copy two TO 'results/crdt_row_version.copy'
\copy copied FROM 'results/crdt_row_version.copy'
SELECT count(*) FROM two JOIN copied USING (what, x, y);

-- what a row has of it that two servers change
SELECT length(row_version_send('{"seen": {"123456789abcdef0": 3, "b23456789abcdef0": 7}, "stamp": 115964116992000000, "replica": "b23456789abcdef0"}')) - 1 AS bytes;
SELECT substr(row_version_send('{"length": 2, "seen": {"a": 1}, "deleted": {"a": 1}, "stamp": 3, "replica": "a",
    "columns": {"p": {"stamp": 4, "replica": "b"}}, "values": {"t": [{"value": "x", "stamp": 5, "dot": ["a", 1]}]}}'), 2);

-- in parts: which there are, length, seen, deleted, row, columns, values
CREATE TABLE parts (seen bytea, two_seen bytea);
INSERT INTO parts VALUES ('\x01000000000000000a02', '\x02000000000000000a02000000000000000b01');
SELECT what, row_receive('\x010d' || state) FROM parts, LATERAL (VALUES
    (1, 'nothing', '\x0000'::bytea),
    (2, 'no body', ''), (3, 'no vector', '\x00'), (4, 'more', '\x000000'), (5, 'an unknown part', '\x2000'),
    (6, 'length', '\x010200'), (7, 'length 1', '\x010100'), (8, 'length 0', '\x010000'), (9, 'a long length', '\x01820000'),
    (10, 'length of 2^63', '\x018080808080808080800100'),
    (11, 'a replica', '\x00' || seen), (12, 'more replicas', '\x0002000000000000000a02'), (13, 'replica 0', '\x0001000000000000000002'),
    (14, 'nothing counted', '\x0001000000000000000a00'), (15, 'in no order', '\x0002000000000000000b02000000000000000a01'),
    (16, 'twice', '\x0002000000000000000a02000000000000000a01'),
    (17, 'deleted', '\x02' || seen || '\x01000000000000000a01'), (18, 'nothing deleted', '\x02' || seen || '\x00'),
    (19, 'deleted unseen', '\x02' || seen || '\x01000000000000000a03'), (20, 'deleted of another', '\x02' || seen || '\x01000000000000000b01'),
    (21, 'row', '\x04' || seen || '\x070100'), (22, 'row of another', '\x04' || seen || '\x0700000000000000000b00'),
    (23, 'row of the same', '\x04' || seen || '\x0700000000000000000a00'), (24, 'row of 0', '\x04' || seen || '\x0700000000000000000000'),
    (25, 'row of no one', '\x04' || seen || '\x070200'), (26, 'row never', '\x04' || seen || '\x000100'), (27, 'row too late', '\x04' || seen || '\x808080808080808080010100'),
    (28, 'columns', '\x08' || seen || '\x02' || '\x017000040100' || '\x017101020100'), (29, 'no columns', '\x08' || seen || '\x00'),
    (30, 'columns in no order', '\x08' || seen || '\x02' || '\x017100040100' || '\x017001020100'),
    (31, 'a column twice', '\x08' || seen || '\x02' || '\x017000040100' || '\x017001020100'),
    (32, 'neither first nor last', '\x08' || seen || '\x01' || '\x017002040100'), (33, 'more columns', '\x08' || seen || '\xffff03' || '\x017000040100'),
    (34, 'a column before the row', '\x0c' || seen || '\x070100' || '\x01' || '\x017000060100'), (35, 'with the row', '\x0c' || seen || '\x070100' || '\x01' || '\x017000070100'),
    (36, 'behind the row', '\x0c' || seen || '\x070100' || '\x01' || '\x017000080100'), (37, 'a column never', '\x08' || seen || '\x01' || '\x017000000100'),
    (38, 'a name that is no text', '\x08' || seen || '\x01' || '\x010000040100'),
    (39, 'values', '\x10' || two_seen || '\x01' || '\x017402' || '\x0002050278' || '\x01010500'), (40, 'no column', '\x10' || seen || '\x00'),
    (41, 'no values', '\x10' || seen || '\x01' || '\x017400'), (42, 'values in no order', '\x10' || two_seen || '\x01' || '\x017402' || '\x01010500' || '\x0002050278'),
    (43, 'two of a replica', '\x10' || two_seen || '\x01' || '\x017402' || '\x00010500' || '\x0002050278'),
    (44, 'of no replica', '\x10' || seen || '\x01' || '\x017401' || '\x01010500'), (45, 'unseen', '\x10' || seen || '\x01' || '\x017401' || '\x00030500'),
    (46, 'event 0', '\x10' || seen || '\x01' || '\x017401' || '\x00000500'), (47, 'assigned never', '\x10' || seen || '\x01' || '\x017401' || '\x00010000'),
    (48, 'a value cut off', '\x10' || seen || '\x01' || '\x017401' || '\x0001050378'), (49, 'more values', '\x10' || seen || '\x01' || '\x0174ffffff0f' || '\x00010500'),
    (50, 'values of columns in no order', '\x10' || seen || '\x02' || '\x017501' || '\x00010500' || '\x017401' || '\x00010500'),
    (51, 'a value that is no text', '\x10' || seen || '\x01' || '\x017401' || '\x0001050200'),
    (52, 'more behind values', '\x10' || seen || '\x01' || '\x017401' || '\x0001050000'),
    (53, 'change of a row', '\x04' || seen || '\x070102'), (54, 'a change of a column', '\x08' || seen || '\x01' || '\x017000040102'),
    (55, 'change of 2^63', '\x04' || seen || '\x070180808080808080808001')
) v(n, what, state) ORDER BY n;

--
-- Where it is kept
--

-- not in a map: there is nothing to reset
SELECT row_outcome($$put('{}'::ormap, 'k', '{}'::row_version)$$) LIKE '0A000%' AS refused;
SELECT row_outcome($$'{"clock": {"a": 1}, "entries": [{"key": "k", "type": "row_version", "dots": {"a": 1}, "state": {}}]}'::ormap$$);

-- hash, groups, a default
CREATE TABLE kept (id int PRIMARY KEY, v row_version NOT NULL DEFAULT '{}');
INSERT INTO kept (id) VALUES (1), (2);
INSERT INTO kept SELECT 2 + row_number() OVER (), x FROM two;
SELECT count(*), count(DISTINCT v::text) AS states, (SELECT count(*) FROM (SELECT v FROM kept GROUP BY v) g) AS grouped FROM kept;

-- the aggregate, in parallel workers
CREATE TABLE many AS
SELECT format('{"seen": {"%s": %s}, "stamp": %s, "replica": "%s", "columns": {"c%s": {"stamp": %s, "replica": "%s"}}}',
              to_hex(n % 50 + 1), n, n, to_hex(n % 50 + 1), n % 7, n + 10000, to_hex(n % 50 + 1))::row_version AS v
FROM generate_series(1, 5000) n;
SELECT merge(v) AS merged FROM many \gset
SELECT stamp(:'merged'::row_version), replica(:'merged'::row_version), (:'merged'::row_version)::text::jsonb -> 'columns' AS columns;
SELECT bool_and(v <@ :'merged') AS above_all FROM many;
ALTER TABLE many SET (parallel_workers = 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT merge(v) FROM many;
SELECT merge(v) = :'merged' AS same FROM many;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- compressed and out of line
CREATE TABLE wide (v row_version);
INSERT INTO wide
SELECT jsonb_build_object('seen', '{"a": 1}'::jsonb, 'stamp', 7, 'replica', 'a', 'values', jsonb_build_object('t', jsonb_build_array(jsonb_build_object(
    'value', string_agg(md5(n::text), ''), 'stamp', 1, 'dot', '["a", 1]'::jsonb))))::text::row_version
FROM generate_series(1, 1000) n;
SELECT length(v::text), stamp(v), lives(v), (v || '{}') = v AS same FROM wide;

DROP TABLE two, copied, parts, kept, many, wide;
DROP FUNCTION row_outcome, row_receive;
