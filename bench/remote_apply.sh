# Reads that are stale, and reads that go backwards, of a client that hops between the primary and two
# replicas, one of them 50 ms late: with synchronous_commit = remote_apply on both replicas, and with
# levels that hand a token from connection to connection. And what writers pay for it.
#
# Each of eight registers is written without a pause, and read by a client that draws one of the
# nodes for each read.

clients=8

start_primary plain
start_replica plain_r1 plain
start_replica plain_r2 plain $late
start_routed_cluster primary $late
prepare_stale_reads plain primary
wait_for_replay plain plain_r1 plain_r2
wait_for_replay primary primary_r1 primary_r2

hand_token=(-t)
[ ! "$BENCH_SELFTEST" ] || hand_token=()

synchronous_standbys()
{
    as_admin plain psql -q -c "ALTER SYSTEM SET synchronous_standby_names = '$1'" -c 'SELECT pg_reload_conf()' > /dev/null
    poll 'standbys' synchronous_are plain "$2"
}
synchronous_are()
{
    [ "$(as_admin "$1" psql -At -c "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")" = "$2" ]
}

# hop ARM OPTION…
hop()
{
    local arm=$1
    shift
    count_reads "$arm" -c $clients "$@" hopping > "$samples/all"
    tail -1 "$samples/${arm}_writes"
}
# at_all CLUSTER [SETTING=VALUE…]: the three nodes, to read at
at_all()
{
    local cluster=$1 node
    shift
    nodes=()
    for node in "$cluster" "${cluster}_r1" "${cluster}_r2"; do
        nodes+=(-r "$(to "$node" "$@")")
    done
}

arm_asynchronous() { at_all plain; hop asynchronous -w "$(to plain)" "${nodes[@]}"; }
arm_remote_apply()
{
    synchronous_standbys 'FIRST 2 (plain_r1, plain_r2)' 2
    at_all plain
    hop remote_apply -w "$(to plain synchronous_commit=remote_apply)" "${nodes[@]}"
    synchronous_standbys '' 0
}
arm_primary_only() { hop primary_only -w "$(to plain)" -r "$(to plain)"; }
arm_eventual()     { at_all primary consistency=eventual; hop eventual -w "$(to primary)" "${nodes[@]}"; }
arm_causal()       { at_all primary consistency=causal; hop causal "${hand_token[@]}" -w "$(to primary)" "${nodes[@]}"; }
arm_session()
{
    hop session -w "$(to primary)" -r "$(to primary consistency=session consistency.routing=always)"
}
arm_bounded()
{
    at_all primary consistency=bounded consistency.max_staleness=0
    hop bounded -w "$(to primary)" "${nodes[@]}"
}
arm_linearizable() { at_all primary consistency=linearizable; hop linearizable -w "$(to primary)" "${nodes[@]}"; }

arms=(asynchronous remote_apply primary_only eventual causal session bounded linearizable)
declare -A labels=(
    [asynchronous]='asynchronous replication'
    [remote_apply]='remote_apply, both replicas synchronous'
    [primary_only]='reads at the primary only'
    [eventual]='eventual'
    [causal]='causal, token handed from node to node'
    [session]='session, one connection, routed'
    [bounded]='bounded by 0 s'
    [linearizable]='linearizable'
)
rounds "${arms[@]}"
for arm in "${arms[@]}"; do
    measure hopping "${labels[$arm]}" stale "${arm}_stale"
    measure hopping "${labels[$arm]}" backwards "${arm}_backwards"
    share hopping "${labels[$arm]}" writes "$arm" asynchronous
    share hopping "${labels[$arm]}" reads "${arm}_reads" asynchronous_reads
done
ratio 'writes, causal readers : asynchronous' causal asynchronous 'writes/s'
between_peers 'writes, remote_apply : asynchronous' remote_apply asynchronous 'writes/s'
ratio 'hopping reads, causal : asynchronous' causal_reads asynchronous_reads 'reads/s'
ratio 'hopping reads, causal : primary only' causal_reads primary_only_reads 'reads/s'
