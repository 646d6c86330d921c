# Counters that merge: counting in a column against bigint, merging two PN-counters against what is
# allowed, and the aggregate merge() over a million against postgresql-hll's union.
#
# Nothing is preloaded: the types need no more than CREATE EXTENSION. The self-test takes types that
# PostgreSQL has.

gcounter=gcounter counts=gcounter pncounter=pncounter merge=merge extension=consistency
[ ! "$BENCH_SELFTEST" ] || gcounter=bigint counts=text pncounter=text merge=max extension=hll

start_primary counters shared_buffers=1GB

as_admin counters psql -q <<EOF
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS $extension;
CREATE EXTENSION IF NOT EXISTS hll;
SET ROLE app;

CREATE TABLE with_gcounter (id int PRIMARY KEY, likes $gcounter NOT NULL) WITH (fillfactor = 50);
CREATE TABLE with_bigint (id int PRIMARY KEY, likes bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO with_gcounter SELECT i, 1::bigint::$gcounter FROM generate_series(1, 10000) i;
INSERT INTO with_bigint SELECT i, 1 FROM generate_series(1, 10000) i;

-- Replica ids are as random as real ones.
CREATE TABLE replicas AS
    SELECT n, to_hex(('x' || substr(md5(n::text), 1, 16))::bit(64)::bigint & 9223372036854775807) AS id
    FROM generate_series(1, 256) n;

-- Two states of 3 and of 256 replicas that have both gone on: counts up to a million, a tenth reset.
SELECT setseed(0) \\g /dev/null
CREATE TABLE pairs AS
    WITH counted AS MATERIALIZED (SELECT n, id, (random() * 999999)::int + 1 AS inc, (random() * 999999)::int + 1 AS dec
                                  FROM replicas, generate_series(1, 2)),
         known AS MATERIALIZED (SELECT n, row_number() OVER (PARTITION BY id) AS state, id,
                                       jsonb_build_object('inc', inc, 'dec', dec, 'inc_reset', CASE n % 10 WHEN 0 THEN inc ELSE 0 END) AS counts
                                FROM counted)
    SELECT size, jsonb_object_agg(id, counts) FILTER (WHERE state = 1)::text::$pncounter AS a,
           jsonb_object_agg(id, counts) FILTER (WHERE state = 2)::text::$pncounter AS b
    FROM known JOIN (VALUES (3), (256)) AS sizes (size) ON n <= size GROUP BY size;

-- A million counters of three replicas, and as many hlls of three elements: of the same three, and
-- of others in each.
CREATE TABLE a_million AS
    SELECT format('{"%s": %s, "%s": %s, "%s": %s}', a.id, i % 1000 + 1, b.id, i % 777 + 1, c.id, i % 333 + 1)::$counts AS c
    FROM generate_series(1, 1000000) i, replicas a, replicas b, replicas c WHERE (a.n, b.n, c.n) = (1, 2, 3);
CREATE TABLE hlls_alike AS
    SELECT hll_add(hll_add(hll_add(hll_empty(), hll_hash_integer(1)), hll_hash_integer(2)), hll_hash_integer(3)) AS c
    FROM generate_series(1, 1000000);
CREATE TABLE hlls_apart AS
    SELECT hll_add(hll_add(hll_add(hll_empty(), hll_hash_integer(i)), hll_hash_integer(i + 1)), hll_hash_integer(i + 2)) AS c
    FROM generate_series(1, 1000000) i;
RESET ROLE;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
EOF

BENCH_SECONDS=$(( BENCH_SECONDS / 3 ))          # there are three parts

# --- counting, by one client that shares a CPU with its server and waits for no disk: all that
# differs is CPU time

for table in with_gcounter with_bigint; do
    printf '%s\n' '\set id random(1, 10000)' "UPDATE $table SET likes = likes + 1 WHERE id = :id;" > "$samples/$table.pgbench"
done

# counts_per_second TABLE
counts_per_second() { PGOPTIONS='-c synchronous_commit=off' tps_pinned counters -M prepared -f "$samples/$1.pgbench"; }

# wal_per_count TABLE: bytes of an update, over as many as come to each row twice
wal_per_count()
{
    local before after

    before=$(wal_position)
    count_up "$1"
    after=$(wal_position)
    awk "BEGIN { print ($after - $before) / $updates }"
}

updates=20000
count_up() { PGOPTIONS='-c synchronous_commit=off' at counters pgbench -n -M prepared -t $updates -f "$samples/$1.pgbench" &> "$samples/log"; }
wal_position() { as_admin counters psql -At -c "SELECT pg_current_wal_insert_lsn() - '0/0'"; }

# wal_of_changes TABLE: where all pages have been logged as a whole before; wal_of_pages: where none has
wal_of_changes() { count_up "$1" && wal_per_count "$1"; }
wal_of_pages()   { as_admin counters psql -q -c CHECKPOINT && wal_per_count "$1"; }

arm_gcounter()       { counts_per_second with_gcounter; }
arm_bigint()         { counts_per_second with_bigint; }
arm_gcounter_pages() { wal_of_pages with_gcounter; }
arm_gcounter_wal()   { wal_of_changes with_gcounter; }
arm_bigint_pages()   { wal_of_pages with_bigint; }
arm_bigint_wal()     { wal_of_changes with_bigint; }

pin "$last_cpu" counters
rounds gcounter bigint
BENCH_SECONDS=0 rounds gcounter_pages bigint_pages
BENCH_SECONDS=0 rounds gcounter_wal bigint_wal
pin "0-$last_cpu" counters
ratio 'counting, gcounter : bigint' gcounter bigint 'updates/s' '>= 0.95'
ratio 'WAL of counting, gcounter : bigint' gcounter_wal bigint_wal 'bytes/update' '< 1.1'
ratio 'the same right after a checkpoint' gcounter_pages bigint_pages 'bytes/update'

# --- merging two: many operators in each row, less as many that compare two integers; CPU time of
# the backend, which others on the machine change less than how long it takes

# ns_per_merge SIZE OPERATORS ROWS: of the pair of SIZE replicas
ns_per_merge()
{
    {
        echo 'SET jit = off;'
        echo 'SELECT pg_backend_pid() AS pid \gset'
        evaluate "$1" "$2" "$3" 'a || b' merging
        evaluate "$1" "$2" "$3" 'n = n' nothing
        echo '\echo :merging :nothing'
    } | at counters psql -qAtX -v ON_ERROR_STOP=1 | awk "{ print (\$1 - \$2) / $(( $2 * $3 )) }"
}

# evaluate SIZE OPERATORS ROWS EXPRESSION NAME: SQL that sets NAME to the nanoseconds that it takes
evaluate()
{
    local all

    all=$(printf ", $4%.0s" $(seq "$2"))
    cat <<-EOF
	\\set begun \`cut -d ' ' -f 1 /proc/:pid/schedstat\`
	WITH pair AS MATERIALIZED (SELECT size AS n, a || a AS a, b || b AS b FROM pairs WHERE size = $1)
	SELECT sum(num_nonnulls(${all#, })) FROM pair, generate_series(1, $3) \\g /dev/null
	\\set ended \`cut -d ' ' -f 1 /proc/:pid/schedstat\`
	SELECT :ended - :begun AS $5 \\gset
	EOF
}

# state_bytes SIZE: of a state that isn't compressed
state_bytes() { at counters psql -qAtX -c "SELECT pg_column_size(a || a) FROM pairs WHERE size = $1"; }

arm_three()       { ns_per_merge 3 20 $(( slice * 200000 )); }
arm_many()        { ns_per_merge 256 4 $(( slice * 25000 )); }
arm_three_limit() { echo 100; }
arm_many_limit()  { echo 10000; }
arm_bytes()       { state_bytes 256; }
arm_bytes_limit() { echo $(( 48 + 20 * 256 )); }

rounds three many
BENCH_SECONDS=0 rounds three_limit many_limit bytes bytes_limit
ratio 'PN-counter merge, 3 replicas : 100 ns' three three_limit ns '< 1'
ratio 'PN-counter merge, 256 replicas : 10,000 ns' many many_limit ns '< 1'
ratio 'PN-counter, 256 replicas : 48 + 20 N bytes' bytes bytes_limit bytes '< 1'

# --- merging a million

# millions_per_second WORKERS QUERY: merged in one session, by the leader and so many workers
millions_per_second()
{
    {
        echo "SET jit = off; SET max_parallel_workers_per_gather = $1;"
        echo "$2 \\g /dev/null"                     # brings the table into the buffers
        echo '\timing on'
        for (( i = 0; i < slice * 12; i++ )); do echo "$2 \\g /dev/null"; done
    } | at counters psql -qAtX -v ON_ERROR_STOP=1 | awk '/^Time:/ { ms += $2; n++ } END { print n * 1000 / ms }'
}

arm_merge()          { millions_per_second 0 "SELECT $merge(c) FROM a_million"; }
arm_merge_parallel() { millions_per_second 1 "SELECT $merge(c) FROM a_million"; }
arm_hll_alike()      { millions_per_second 0 'SELECT hll_union_agg(c) FROM hlls_alike'; }
arm_hll_apart()      { millions_per_second 0 'SELECT hll_union_agg(c) FROM hlls_apart'; }

rounds merge hll_alike hll_apart merge_parallel
ratio 'merge() of gcounters : union of hlls' merge hll_apart 'million/s' '>= 1'
ratio 'merge() of gcounters : union of equal hlls' merge hll_alike 'million/s' '>= 1'
ratio 'merge() with a worker : without' merge_parallel merge 'million/s' '> 1'
