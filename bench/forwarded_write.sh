# A single-row UPDATE of a client that is connected to a replica, against the same client connected
# to the primary. What may come on top is a third of that latency, and one round trip.

start_primary primary "${with_extension[@]}"
start_replica replica primary "${with_extension[@]}"
declare_nodes primary primary replica
wait_for_replay primary replica

cat > "$samples/update.pgbench" <<'EOF2'
\set aid random(1, 1000000)
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
EOF2
cat > "$samples/transaction.pgbench" <<'EOF2'
\set aid random(1, 1000000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_accounts SET abalance = abalance - 1 WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
COMMIT;
EOF2
echo ';' > "$samples/nothing.pgbench"

# latency SERVER MODE SCRIPT: of one client, milliseconds
latency()
{
    BENCH_CLIENTS=1 tps "$1" -M "$2" -f "$samples/$3.pgbench" | awk '{ print 1000 / $1 }'
}

# allowed MODE SCRIPT HOPS: 1.3 times the latency at the primary, and round trips
allowed()
{
    local slice=$(( (slice + 1) / 2 ))

    awk "BEGIN { print 1.3 * $(latency primary "$1" "$2") + $3 * $(latency primary simple nothing) }"
}

writer=replica
[ ! "$BENCH_SELFTEST" ] || writer=primary
arm_prepared()            { latency $writer prepared update; }
arm_simple()              { latency $writer simple update; }
arm_transaction()         { latency $writer prepared transaction; }
arm_prepared_allowed()    { allowed prepared update 1; }
arm_simple_allowed()      { allowed simple update 1; }
arm_transaction_allowed() { allowed prepared transaction 5; }

rounds prepared prepared_allowed simple simple_allowed transaction transaction_allowed
ratio 'prepared UPDATE at a replica : 1.3 × at the primary + a round trip' prepared prepared_allowed ms '<= 1.0'
ratio 'simple UPDATE at a replica : 1.3 × at the primary + a round trip' simple simple_allowed ms '<= 1.0'
ratio 'four statements in a transaction : 1.3 × at the primary + five round trips' transaction transaction_allowed ms
