# How costs change with the number of nodes, from one replica to eight: point reads that stay at the
# primary, against a server without the extension, and routed ones against asking a replica directly.
# All replicas run all the time; what changes is how many of them are declared.

counts=(1 2 4 8)

start_primary plain
start_primary primary "${with_extension[@]}" max_wal_senders=20 max_connections=100
for (( i = 1; i <= counts[-1]; i++ )); do
    start_replica "primary_r$i" primary "${with_extension[@]}" max_wal_senders=20 max_connections=100
done
declare_nodes primary primary primary_r1

# declare_replicas N: the first N, no others
declare_replicas()
{
    local i declared

    [ ! "$BENCH_SELFTEST" ] || return 0
    declared=$(as_admin primary psql -At -c "SELECT count(*) FROM pg_foreign_server WHERE srvname <> 'primary'")
    for (( i = declared + 1; i <= $1; i++ )); do
        declaration "primary_r$i"
    done | as_admin primary psql -q
    for (( i = declared; i > $1; i-- )); do
        echo "DROP SERVER primary_r$i CASCADE;"
    done | PGOPTIONS='-c client_min_messages=warning' as_admin primary psql -q
    poll "$1 nodes in use" nodes_are "$1"
}
nodes_are()
{
    [ "$(as_admin primary psql -At -c "SELECT count(*) FROM consistency.nodes WHERE state = 'up' AND role = 'replica'")" = "$1" ]
}

# read_with N SERVER [SETTINGS]
read_with()
{
    declare_replicas "$1"
    with_settings "${3:-}" tps_settled "$2" -S -M prepared
}

arms=()
for n in "${counts[@]}"; do
    eval "arm_plain_$n()  { read_with $n plain; }
          arm_stays_$n()  { read_with $n primary '-c consistency.routing=off'; }
          arm_direct_$n() { read_with $n primary_r1; }
          arm_routed_$n() { read_with $n primary '-c consistency.routing=always'; }"
    arms+=("plain_$n" "stays_$n" "direct_$n" "routed_$n")
done
rounds "${arms[@]}"
for n in "${counts[@]}"; do
    growth 'at the primary : plain primary' "$n" "stays_$n" "plain_$n" 'reads/s'
    growth 'routed : at a replica' "$n" "routed_$n" "direct_$n" 'reads/s'
done
