# How many reads are stale after a write, and how much is done beside: plain PostgreSQL, pgpool-II
# with each of its rules for reads after writes, and the levels. One of two replicas is 50 ms late.
#
# A client writes its register, and once that is acknowledged reads it four times: as the same
# session, and as another one that was told of the write. In pgpool-II all nodes weigh the same, as
# in its sample configuration.

clients=16

start_primary plain max_connections=250
start_replica plain_r1 plain max_connections=250
start_replica plain_r2 plain max_connections=250 $late
start_routed_cluster primary $late
prepare_stale_reads plain primary
wait_for_replay plain plain_r1 plain_r2
wait_for_replay primary primary_r1 primary_r2

rules=(transaction trans_transaction always dml_adaptive)
for rule in "${rules[@]}"; do
    BENCH_CLIENTS=$clients start_pgpool "pgpool_$rule" 1 "disable_load_balance_on_write = '$rule'" plain plain_r1 plain_r2
done

hand_token=(-t) at_prompt=primary_r1 at_late=primary_r2
[ ! "$BENCH_SELFTEST" ] || hand_token=() at_prompt=primary at_late=primary

arms=()
declare -A labels                           # group and label of an arm
# arm GROUP NAME LABEL OPTION…: an arm of the client; GROUP says whose write it is that is read
arm()
{
    local group=$1 name=$1_$2 label=$3
    shift 3

    arms+=("$name")
    labels[$name]=$group$'\t'$label
    eval "arm_$name() { count_reads $name -c $clients $(printf '%q ' "$@") after-write; }"
}
# both LABEL NAME SERVER SETTING…: written and read at one server, by one session and by two
both()
{
    local label=$1 name=$2 where
    shift 2
    where=$(to "$@")

    arm own "$name" "$label" -w "$where"
    arm other "$name" "$label" -w "$where" -r "$where"
}

both 'primary only' plain_primary plain
arm own plain_replicas 'replicas, directly' -w "$(to plain)" -r "$(to plain_r1)" -r "$(to plain_r2)"
arm other plain_replicas 'replicas, directly' -w "$(to plain)" -r "$(to plain_r1)" -r "$(to plain_r2)"
for rule in "${rules[@]}"; do
    both "pgpool-II, $rule" "pgpool_$rule" "pgpool_$rule"
done

routed=consistency.routing=always
both 'eventual, routed' eventual primary consistency=eventual $routed
both 'session, routed' session primary consistency=session $routed
arm own session_auto 'session, default routing' -w "$(to primary consistency=session)"
arm own session_r1 'session, prompt replica' -w "$(to $at_prompt consistency=session)"
arm own session_late 'session, late replica' -w "$(to $at_late consistency=session)"
arm own session_late_5ms 'session, late replica, waits 5 ms' \
    -w "$(to $at_late consistency=session consistency.wait_timeout=5ms)"
arm other causal 'causal, token, routed' "${hand_token[@]}" \
    -w "$(to primary consistency=causal $routed)" -r "$(to primary consistency=causal $routed)"
arm other causal_r1 'causal, token, prompt replica' "${hand_token[@]}" \
    -w "$(to primary consistency=causal)" -r "$(to primary_r1 consistency=causal)"
arm other causal_late 'causal, token, late replica' "${hand_token[@]}" \
    -w "$(to primary consistency=causal)" -r "$(to primary_r2 consistency=causal)"
arm other bounded_r1 'bounded by 0 s, prompt replica' \
    -w "$(to primary)" -r "$(to primary_r1 consistency=bounded consistency.max_staleness=0)"
arm other linearizable 'linearizable, primary' -w "$(to primary)" -r "$(to primary consistency=linearizable)"

rounds "${arms[@]}"
for name in "${arms[@]}"; do
    IFS=$'\t' read -r group label <<< "${labels[$name]}"
    share "$group" "$label" throughput "$name" "${group}_plain_primary"
    measure "$group" "$label" stale "${name}_stale"
done

ratio 'own writes, session, default routing : pgpool-II, always' own_session_auto own_pgpool_always 'statements/s'
ratio 'own writes, session, routed : pgpool-II, always' own_session own_pgpool_always 'statements/s'
ratio 'own writes, session, prompt replica : pgpool-II, always' own_session_r1 own_pgpool_always 'statements/s'
ratio "another's writes, eventual, routed : pgpool-II, transaction" other_eventual other_pgpool_transaction 'statements/s'
ratio "another's writes, causal, prompt replica : primary only" other_causal_r1 other_plain_primary 'statements/s'
