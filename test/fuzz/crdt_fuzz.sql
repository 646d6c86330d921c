-- The functions of the module: psql -v module="'/path/crdt_fuzz'" -f crdt_fuzz.sql
-- The last numbers repeat one trial of many: first is where to begin.

CREATE FUNCTION crdt_laws(type text, seed bigint, histories int, first int DEFAULT 0) RETURNS bigint
    LANGUAGE C VOLATILE STRICT AS :module;
CREATE FUNCTION crdt_hostile(type text, seed bigint, inputs int, first int DEFAULT 0) RETURNS bigint
    LANGUAGE C VOLATILE STRICT AS :module;
CREATE FUNCTION crdt_damaged(type text, seed bigint, number int) RETURNS bytea
    LANGUAGE C VOLATILE STRICT AS :module;

-- Damaged states as they come from a table: compressed, indexed, in variables.
CREATE FUNCTION crdt_stored(type text, seed bigint, inputs int) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    expressions text[] := ARRAY[
        's::text', 'jsonb(s)', 's || s', 's = s', 's <@ s', '%1$I_send(s)', '%1$I_hash(s)',
        '(SELECT merge(x) FROM (VALUES (s), (NULL), (s)) v (x))'];
    statement text;
    damaged bytea;
    calls bigint := 0;
BEGIN
    IF type IN ('gset', 'twopset', 'orset') THEN
        expressions := expressions || ARRAY[
            's ? ''1''', 'add(s, ''"x"'') ? ''"y"''', 'cardinality(s)', '(SELECT count(*) FROM elements(s))'];
    END IF;
    EXECUTE format('CREATE CAST (bytea AS %I) WITHOUT FUNCTION', type);
    EXECUTE format('CREATE TEMP TABLE stored (s %I)', type);
    IF type IN ('gset', 'twopset', 'orset') THEN
        CREATE INDEX ON stored USING gin (s);
    END IF;
    CREATE INDEX ON stored USING hash (s);

    FOR damaged IN SELECT crdt_damaged($1, $2, n) FROM generate_series(1, inputs) n
    LOOP
        FOREACH statement IN ARRAY
            ARRAY[format('INSERT INTO stored VALUES ($1::%I)', type)]
            || ARRAY(SELECT format('SELECT ' || e || ' FROM (SELECT $1::%1$I) t (s)', type)
                     FROM unnest(expressions) e)
            || ARRAY(SELECT format('SELECT ' || e || ' FROM stored', type) FROM unnest(expressions) e)
            || ARRAY['DELETE FROM stored']
        LOOP
            calls := calls + 1;
            BEGIN
                EXECUTE statement USING damaged;
            EXCEPTION WHEN OTHERS THEN
                IF SQLSTATE !~ '^(22|54)' AND SQLSTATE NOT IN ('XX001', '0A000') THEN
                    RAISE 'SQLSTATE % (%) of %, with %', SQLSTATE, SQLERRM, statement, damaged;
                END IF;
            END;
        END LOOP;
    END LOOP;
    DROP TABLE stored;
    EXECUTE format('DROP CAST (bytea AS %I)', type);
    RETURN calls;
END $$;
