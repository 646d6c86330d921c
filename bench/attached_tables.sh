# Tables that several servers write: local updates of an attached table against those of a plain one,
# what the trigger costs the worker that applies changes, and how fast two servers that both write the
# same few rows come together, against plain replication one way.
#
# The self-test attaches nothing.

logical=(wal_level=logical max_logical_replication_workers=8)
attach="SELECT consistency.attach('attached'), consistency.attach('hot')"
counter=gcounter sum_of='value(n)' zero="'{}'" extension='CREATE EXTENSION consistency'
[ ! "$BENCH_SELFTEST" ] || attach='SELECT 1' counter=bigint sum_of=n zero=0 extension='SELECT 1'

start_primary one "${with_extension[@]}" "${logical[@]}"
start_primary two "${with_extension[@]}" "${logical[@]}"
for server in one two; do
    as_admin "$server" psql -q -o /dev/null <<-EOF
	$extension;
	CREATE TABLE plain (id int PRIMARY KEY, n int NOT NULL, t text) WITH (fillfactor = 50);
	CREATE TABLE attached (id int PRIMARY KEY, n int NOT NULL, t text) WITH (fillfactor = 50);
	CREATE TABLE hot (id int PRIMARY KEY, n $counter NOT NULL DEFAULT $zero) WITH (fillfactor = 50);
	CREATE TABLE hot_plain (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
	$attach;
	GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
	CREATE PUBLICATION converging FOR TABLE attached, hot WITH (publish = 'insert, update');
	CREATE PUBLICATION one_way FOR TABLE plain, hot_plain;
	EOF
done

# subscribe SERVER PUBLISHER PUBLICATION
subscribe()
{
    as_admin "$1" psql -q -c "SET client_min_messages = warning" -c "CREATE SUBSCRIPTION $3 CONNECTION 'host=$BENCH_WORK port=$(port "$2") user=admin dbname=bench'
        PUBLICATION $3 WITH (slot_name = '$3_$1')"
}
rows=20000 hot_rows=10
as_admin one psql -q <<-EOF
	INSERT INTO plain SELECT i, 0, 'some text that does not change' FROM generate_series(1, $rows) i;
	INSERT INTO attached SELECT i, 0, 'some text that does not change' FROM generate_series(1, $rows) i;
	INSERT INTO hot (id) SELECT generate_series(1, $hot_rows);
	INSERT INTO hot_plain (id) SELECT generate_series(1, $hot_rows);
EOF

all_copied()
{
    [ "$(as_admin two psql -qAt -c "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")" = t ]
}

# all_arrived SERVER PUBLISHER: has what PUBLISHER had written when asked been applied?
all_arrived()
{
    local position

    position=$(as_admin "$2" psql -qAt -c 'SELECT pg_current_wal_insert_lsn()')
    poll "changes of $2 at $1" has_confirmed "$2" "$1" "$position"
}
has_confirmed()
{
    [ "$(as_admin "$1" psql -qAt -c "SELECT bool_and(confirmed_flush_lsn >= '$3') FROM pg_replication_slots WHERE slot_name LIKE '%\\_$2'")" = t ]
}
BENCH_SECONDS=$(( BENCH_SECONDS / 3 ))          # there are three parts

# --- local updates; nothing is replicated yet, as that would cost the same CPUs

for table in plain attached; do
    printf '%s\n' "\\set id random(1, $rows)" "UPDATE $table SET n = n + 1 WHERE id = :id;" > "$samples/$table.pgbench"
done
arm_local_plain()    { tps one -M prepared -f "$samples/plain.pgbench"; }
arm_local_attached() { tps one -M prepared -f "$samples/attached.pgbench"; }
rounds local_plain local_attached
ratio 'local updates, attached : plain' local_attached local_plain 'updates/s' '>= 0.9'

# --- applying: CPU time of the worker for each row

subscribe two one converging
subscribe two one one_way
[ "$BENCH_SELFTEST" ] || subscribe one two converging
poll 'first copies' all_copied

# ns_per_row TABLE PUBLICATION
ns_per_row()
{
    local worker before after i

    all_arrived two one
    worker=$(as_admin two psql -qAt -c "SELECT pid FROM pg_stat_subscription WHERE subname = '$2' AND relid IS NULL")
    before=$(cut -d ' ' -f 1 "/proc/$worker/schedstat")
    for (( i = 0; i < slice; i++ )); do
        as_admin one psql -q -c "UPDATE $1 SET n = n + 1"
    done
    all_arrived two one
    after=$(cut -d ' ' -f 1 "/proc/$worker/schedstat")
    echo $(( (after - before) / (rows * slice) ))
}
arm_apply_plain()    { ns_per_row plain one_way; }
arm_apply_attached() { ns_per_row attached converging; }
rounds apply_plain apply_attached
ratio 'applying an update, attached : plain' apply_attached apply_plain 'ns/row'
paste "$samples/apply_attached" "$samples/apply_plain" | awk '{ print ($1 > $2 ? $1 - $2 : 1) }' > "$samples/trigger"
sed 's/.*/5000/' "$samples/trigger" > "$samples/limit"
ratio 'what the trigger adds to applying a row : 5 µs' trigger limit ns '< 1'

# --- the same few rows, written at both: all counts, and the time until both servers have them

for table in hot hot_plain; do
    printf '%s\n' "\\set id random(1, $hot_rows)" "UPDATE $table SET n = n + 1 WHERE id = :id;" > "$samples/$table.pgbench"
done

# counted TABLE SERVER; both_have TABLE COUNT
counted()   { as_admin "$2" psql -qAt -c "SELECT sum($([ "$1" = hot ] && echo "$sum_of" || echo n)) FROM $1"; }
both_have() { [ "$(counted "$1" one)" = "$2" ] && [ "$(counted "$1" two)" = "$2" ]; }

# updates_at TABLE SERVER: for a slice; how many were made
updates_at()
{
    at "$2" pgbench -n -T "$slice" -c "$BENCH_CLIENTS" -j 2 -M prepared -f "$samples/$1.pgbench" 2>&1 |
        awk '/^number of transactions actually processed/ { print $NF }'
}

# converged_per_second TABLE SERVER…: of the counts that were made at the servers
converged_per_second()
{
    local table=$1 before begun made=0 server n

    shift
    before=$(counted "$table" one)
    begun=$EPOCHREALTIME
    for server in "$@"; do
        updates_at "$table" "$server" > "$samples/made_$server" &
    done
    wait
    for server in "$@"; do
        n=$(< "$samples/made_$server")
        made=$(( made + n ))
    done
    poll "all counts of $table" both_have "$table" $(( before + made ))
    awk "BEGIN { print $made / ($EPOCHREALTIME - $begun) }"
}
arm_hot_both()    { converged_per_second hot one two; }
arm_hot_one_way() { converged_per_second hot_plain one; }
[ ! "$BENCH_SELFTEST" ] || arm_hot_both() { converged_per_second hot_plain one; }
rounds hot_both hot_one_way
ratio 'hot rows written at two servers : plain replication one way' hot_both hot_one_way 'updates/s' '>= 0.5'
