--
-- Large sets are expanded objects while a function changes them.
--

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS consistency;
RESET client_min_messages;

SET consistency.replica_id = 'a';

-- the same changes to a set that is flat each time, and to one that stays expanded
CREATE FUNCTION flat_and_expanded(seed float8, steps int) RETURNS TABLE (kind text, same boolean, n bigint)
LANGUAGE plpgsql AS $$
DECLARE
    start jsonb := (SELECT jsonb_agg(to_jsonb(md5(i::text))) FROM generate_series(1, 100) i);
    g gset := gset(start);
    t twopset := twopset(start);
    o orset := orset(start);
    flat_g text := g;
    flat_t text := t;
    flat_o text := o;
    agree boolean := true;
    element jsonb;
BEGIN
    PERFORM setseed(seed);
    FOR i IN 1..steps LOOP
        element := to_jsonb(md5((random() * 150)::int::text));
        IF random() < 0.5 THEN
            g := g + element;
            t := t + element;
            o := o + element;
            flat_g := flat_g::gset + element;
            flat_t := flat_t::twopset + element;
            flat_o := flat_o::orset + element;
        ELSE
            t := t - element;
            o := o - element;
            flat_t := flat_t::twopset - element;
            flat_o := flat_o::orset - element;
        END IF;
        element := to_jsonb(md5((random() * 150)::int::text));
        agree := agree AND (g ? element) = (flat_g::gset ? element)
            AND (t ? element) = (flat_t::twopset ? element)
            AND (o ? element) = (flat_o::orset ? element);
    END LOOP;
    RETURN QUERY VALUES ('gset', agree AND g = flat_g::gset, cardinality(g)),
                        ('twopset', agree AND t = flat_t::twopset, cardinality(t)),
                        ('orset', agree AND o = flat_o::orset, cardinality(o));
END $$;
SELECT kind, bool_and(same) FROM generate_series(1, 5) i, flat_and_expanded(i / 10.0, 300) GROUP BY kind ORDER BY kind;

-- whoever keeps an older version goes on seeing that
DO $$
DECLARE
    a orset := orset((SELECT jsonb_agg(i) FROM generate_series(1, 1000) i));
    b orset;
    c orset;
BEGIN
    a := a + '"first"';
    b := a;
    c := a;
    a := a + '"in a"' - '1';
    b := b + '"in b"' - '2';
    a := a + '"again in a"';
    RAISE NOTICE 'a: % % % % % %', cardinality(a), a ? '"first"', a ? '"in a"', a ? '"in b"', a ? '1', a ? '2';
    RAISE NOTICE 'b: % % % % % %', cardinality(b), b ? '"first"', b ? '"in a"', b ? '"in b"', b ? '1', b ? '2';
    RAISE NOTICE 'c: % % % % % %', cardinality(c), c ? '"first"', c ? '"in a"', c ? '"in b"', c ? '1', c ? '2';
END $$;

-- stored, in a row, returned, passed on, in an array, across savepoints
CREATE TABLE large (id int PRIMARY KEY, s orset);
CREATE FUNCTION grow(s orset, n int) RETURNS orset LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        BEGIN
            s := s + to_jsonb('grown ' || i);
            IF i % 10 = 0 THEN
                RAISE EXCEPTION 'no';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            s := s + to_jsonb('caught ' || i);
        END;
    END LOOP;
    RETURN s;
END $$;
INSERT INTO large SELECT 1, orset((SELECT jsonb_agg(i) FROM generate_series(1, 1000) i));
UPDATE large SET s = grow(s, 100);
UPDATE large SET s = s + '"by hand"' - '"grown 1"';
SELECT cardinality(s), s ? '"by hand"', s ? '"grown 1"', s ? '"grown 10"', s ? '"caught 10"' FROM large;
SELECT cardinality(grow(grow(s, 5) || grow(s, 7), 9)) FROM large;
DO $$
DECLARE
    r record;
    sets orset[];
BEGIN
    SELECT * INTO r FROM large;
    FOR i IN 1..3 LOOP
        r.s := r.s + to_jsonb('record ' || i);
        sets := sets || (r.s + '"x"');
    END LOOP;
    RAISE NOTICE '% % %', cardinality(r.s), cardinality(sets[1]), cardinality(sets[3]);
END $$;

-- another replica begins to add
DO $$
DECLARE
    s orset := (SELECT s FROM large);
    n bigint := cardinality(s);
BEGIN
    PERFORM set_config('consistency.replica_id', '1', false);
    s := s + '"of 1"' + '"of 1, too"';
    PERFORM set_config('consistency.replica_id', 'f', false);
    s := s + '"of f"' - '"of 1"' + '"of f, too"';
    PERFORM set_config('consistency.replica_id', 'a', false);
    s := s + '"of a"';
    RAISE NOTICE '%', cardinality(s) - n;
    RAISE NOTICE '%', (s::text::jsonb -> 'clock');
END $$;

-- nothing of them is left
SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'consistency set%';

DROP TABLE large;
DROP FUNCTION grow, flat_and_expanded;
