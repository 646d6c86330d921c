# What merging two orsets costs for each element, and whether that stays so for large sets: n elements
# in each, half of them in common, as after two replicas have gone their own ways. Elements are strings
# of 12 random digits, so that one side's are spread among the other's. For comparison grow-only sets,
# and jsonb objects with these strings for keys, which || merges too.
#
# Times are those of the operator inside the server: a loop evaluates it on values that are in memory,
# and asks of the result only whether there is one. What the loop itself costs, a tenth of a
# microsecond or two for a merge, is left in.

sizes=(1000 10000 100000 1000000)

start_primary primary

# make_sets TYPE MAKE: the table and the function to measure it; MAKE makes a set of the strings x
make_sets()
{
    as_admin primary psql -q -o /dev/null <<-EOF
	CREATE TABLE $1_sets (n int PRIMARY KEY, common $1, a $1, b $1);
	ALTER TABLE $1_sets ALTER common SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
	INSERT INTO $1_sets SELECT unnest('{$(IFS=,; echo "${sizes[*]}")}'::int[]);
	SET consistency.replica_id = 'c';
	UPDATE $1_sets SET common = (SELECT $2 FROM strings('c', n / 2) x);
	SET consistency.replica_id = 'a';
	UPDATE $1_sets SET a = common || (SELECT $2 FROM strings('a', n / 2) x);
	SET consistency.replica_id = 'b';
	UPDATE $1_sets SET b = common || (SELECT $2 FROM strings('b', n / 2) x);
	GRANT SELECT ON $1_sets TO app;

	-- nanoseconds for each element of one side
	CREATE FUNCTION merge_$1(size int, seconds float8) RETURNS float8 LANGUAGE plpgsql AS \$\$
	DECLARE
	    -- what merging returns is in memory, as it is
	    x $1 := (SELECT a || '{}' FROM $1_sets WHERE n = size);
	    y $1 := (SELECT b || '{}' FROM $1_sets WHERE n = size);
	    merges int := 0;
	    is_missing bool;
	    begun timestamptz := clock_timestamp();
	    elapsed float8;
	BEGIN
	    LOOP
	        is_missing := (x || y) IS NULL;
	        merges := merges + 1;
	        elapsed := extract(epoch FROM clock_timestamp() - begun);
	        EXIT WHEN elapsed >= seconds;
	    END LOOP;
	    RETURN elapsed * 1e9 / merges / size;
	END \$\$;
	EOF
}

as_admin primary psql -q <<'EOF'
CREATE FUNCTION strings(replica text, n int) RETURNS SETOF text LANGUAGE sql
    AS $$ SELECT left(md5(replica || i), 12) FROM generate_series(1, n) i $$;
EOF
[ "$BENCH_SELFTEST" ] || as_admin primary psql -q -c 'CREATE EXTENSION consistency'
make_sets jsonb 'jsonb_object_agg(x, 1)'
if [ ! "$BENCH_SELFTEST" ]; then
    make_sets gset 'gset(jsonb_agg(x))'
    make_sets orset 'orset(jsonb_agg(x))'
fi

# merge TYPE SIZE
merge()
{
    [ ! "$BENCH_SELFTEST" ] || set -- jsonb "$2"
    at primary psql -XAtq -c "SELECT round(merge_$1($2, $slice)::numeric, 2)"
}

arm_1000()    { merge orset 1000; }
arm_10000()   { merge orset 10000; }
arm_100000()  { merge orset 100000; }
arm_1000000() { merge orset 1000000; }
arm_gset()    { merge gset 100000; }
arm_jsonb()   { merge jsonb 100000; }

arm_limit()       { echo 60; }

# bytes that a set of a million elements takes for each, its own text left out
arm_bytes()
{
    [ ! "$BENCH_SELFTEST" ] || { echo 1; return; }
    as_admin primary psql -XAtq <<-EOF
	SELECT (octet_length(orset_send(a)) - (SELECT sum(octet_length(e::text)) FROM elements(a) e))
	    / cardinality(a)::numeric
	FROM orset_sets WHERE n = 1000000
	EOF
}
arm_bytes_limit() { echo 16; }

# nanoseconds to add one element to a set of SIZE in a loop of PL/pgSQL: if the set was copied each time
# they would grow with it
as_admin primary psql -q <<'EOF'
CREATE FUNCTION add_to_jsonb(size int, seconds float8) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    s jsonb := (SELECT jsonb_object_agg(x, 1) FROM strings('a', size) x);
    added int := 0;
    begun timestamptz := clock_timestamp();
    elapsed float8;
BEGIN
    LOOP
        FOR i IN 1..10 LOOP
            s := s || jsonb_build_object('added ' || added + i, 1);
        END LOOP;
        added := added + 10;
        elapsed := extract(epoch FROM clock_timestamp() - begun);
        EXIT WHEN elapsed >= seconds OR added >= size / 10;
    END LOOP;
    RETURN elapsed * 1e9 / added;
END $$;
EOF
[ "$BENCH_SELFTEST" ] || as_admin primary psql -q <<'EOF'
CREATE FUNCTION add_to_orset(size int, seconds float8) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    s orset := (SELECT orset(jsonb_agg(x)) FROM strings('a', size) x);
    added int := 0;
    begun timestamptz;
    elapsed float8;
BEGIN
    -- copied once, to become an object that can be changed
    s := s + '"first"';
    begun := clock_timestamp();
    LOOP
        FOR i IN 1..10 LOOP
            s := s + to_jsonb('added ' || added + i);
        END LOOP;
        added := added + 10;
        elapsed := extract(epoch FROM clock_timestamp() - begun);
        EXIT WHEN elapsed >= seconds OR added >= size / 10;
    END LOOP;
    RETURN elapsed * 1e9 / added;
END $$;
EOF

# add TYPE SIZE
add()
{
    [ ! "$BENCH_SELFTEST" ] || set -- jsonb "$2"
    at primary psql -XAtq -c "SELECT round(add_to_$1($2, $slice)::numeric, 2)"
}

arm_add_10000()    { add orset 10000; }
arm_add_100000()   { add orset 100000; }
arm_jsonb_10000()  { add jsonb 10000; }
arm_jsonb_100000() { add jsonb 100000; }

rounds 1000 10000 100000 1000000 gset jsonb add_10000 add_100000 jsonb_10000 jsonb_100000
BENCH_SECONDS=0 rounds limit bytes bytes_limit
for size in "${sizes[@]}"; do
    ratio "orset merge, $size elements each : 60 ns an element" "$size" limit ns '< 1'
done
ratio 'an element of 1000000 : of 100000' 1000000 100000 ns '<= 2'
ratio 'orset of 1000000 : 16 bytes an element beside its text' bytes bytes_limit bytes '<= 1'
ratio 'adding to an orset of 100000 : to one of 10000' add_100000 add_10000 ns '<= 2'
between_peers 'adding to a jsonb object of 100000 : to one of 10000' jsonb_100000 jsonb_10000 ns
ratio 'orset merge : gset merge, 100000 elements' 100000 gset ns
ratio 'orset merge : that of jsonb objects, 100000 members' 100000 jsonb ns
