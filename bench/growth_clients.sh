# How throughput changes with the number of clients, compared with plain PostgreSQL and as many
# clients: prepared point reads at the primary, at a replica, routed from the primary to its replicas
# against asking a replica directly, and pgpool-II in the place of routing.

counts=(1 2 4 8 16 32 64)
most=${counts[-1]}

start_primary plain max_connections=200
start_replica plain_r1 plain max_connections=200
start_primary primary "${with_extension[@]}" max_connections=300
start_replica primary_r1 primary "${with_extension[@]}" max_connections=300
start_replica primary_r2 primary "${with_extension[@]}" max_connections=300
declare_nodes primary primary primary_r1 primary_r2
# pgpool-II keeps its connections to the nodes from one client to the next: all are opened here, as
# that takes longer than a slice.
BENCH_CLIENTS=$(( most / 2 )) start_pgpool pgpool 0 '' primary primary_r1 primary_r2
at pgpool pgbench -n -S -M prepared -T 5 -c "$most" -j 2 > "$samples/log" 2>&1

# point_reads CLIENTS SERVER [SETTINGS]
point_reads()
{
    local tps=tps
    (( $1 < 16 )) || tps=tps_settled            # many need longer to connect than a slice

    BENCH_CLIENTS=$1 with_settings "${3:-}" $tps "$2" -S -M prepared
}

arms=()
for n in "${counts[@]}"; do
    eval "arm_plain_$n()   { point_reads $n plain; }
          arm_session_$n() { point_reads $n primary; }
          arm_direct_$n()  { point_reads $n plain_r1; }
          arm_replica_$n() { point_reads $n primary_r1; }
          arm_routed_$n()  { point_reads $n primary '-c consistency.routing=always'; }
          arm_pgpool_$n()  { point_reads $n pgpool; }"
    arms+=("plain_$n" "session_$n" "direct_$n" "replica_$n" "routed_$n" "pgpool_$n")
done
rounds "${arms[@]}"
for n in "${counts[@]}"; do
    growth 'session at the primary : plain primary' "$n" "session_$n" "plain_$n" 'reads/s'
    growth 'session at a replica : plain replica' "$n" "replica_$n" "direct_$n" 'reads/s'
    growth 'routed : plain replica' "$n" "routed_$n" "direct_$n" 'reads/s'
    growth 'pgpool-II : plain replica' "$n" "pgpool_$n" "direct_$n" 'reads/s'
done
