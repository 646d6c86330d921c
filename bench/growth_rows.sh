# How throughput changes with the size of the result, from one row to a million: a routed query against
# the same one at the primary, at the replica itself, and through postgres_fdw and dblink.

counts=(1 10 100 1000 10000 100000 1000000)

start_routed_cluster primary
make_wide primary primary_r1 primary_r2
make_peers primary primary_r1
make_foreign primary wide 'a int NOT NULL, b bigint, c text'
wait_for_replay primary primary_r1 primary_r2

# fetch SERVER SCRIPT ROUTING: queries a second of one client
fetch() { BENCH_CLIENTS=1 with_settings "-c consistency.routing=$3" tps "$1" -M prepared -D fresh=1 -f "$samples/$2.pgbench"; }

arms=()
for n in "${counts[@]}"; do
    echo "SELECT a, b, c FROM wide WHERE a <= $n;" > "$samples/wide_$n.pgbench"
    echo "SELECT a, b, c FROM wide_fdw WHERE a <= $n;" > "$samples/fdw_$n.pgbench"
    dblink_script "'SELECT a, b, c FROM wide WHERE a <= $n'" 'a int, b bigint, c text' > "$samples/dblink_$n.pgbench"
    eval "arm_routed_$n() { fetch primary wide_$n always; }
          arm_local_$n()  { fetch primary wide_$n off; }
          arm_direct_$n() { fetch primary_r1 wide_$n off; }
          arm_fdw_$n()    { fetch primary fdw_$n off; }
          arm_dblink_$n() { fetch primary dblink_$n off; }"
    arms+=("routed_$n" "local_$n" "direct_$n" "fdw_$n" "dblink_$n")
done
rounds "${arms[@]}"
for n in "${counts[@]}"; do
    growth 'routed : at the primary' "$n" "routed_$n" "local_$n" 'queries/s'
    growth 'routed : at the replica' "$n" "routed_$n" "direct_$n" 'queries/s'
    growth 'routed : postgres_fdw' "$n" "routed_$n" "fdw_$n" 'queries/s'
    growth 'routed : dblink' "$n" "routed_$n" "dblink_$n" 'queries/s'
done
