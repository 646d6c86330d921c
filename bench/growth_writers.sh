# How the visibility barrier's cost changes with the number of transactions that run: point reads at
# a primary among idle transactions that have written, under causal, behind the barrier, against
# session, which needs none here.

counts=(0 10 100 400)

start_primary primary "${with_extension[@]}" max_connections=500
[ "$BENCH_SELFTEST" ] || as_admin primary psql -q -c 'CREATE EXTENSION consistency'
at primary psql -q -c 'CREATE TABLE written (i int)'

before_round()
{
    restart_warm primary
    pin "$last_cpu" primary
}
# read_among WRITERS LEVEL
read_among()
{
    start_idle_writers primary "$1"
    with_settings "-c consistency=$2" tps_pinned primary -S -M prepared
    stop_idle_writers primary
}

arms=()
for n in "${counts[@]}"; do
    eval "arm_session_$n() { read_among $n session; }
          arm_causal_$n()  { read_among $n causal; }"
    arms+=("session_$n" "causal_$n")
done
rounds "${arms[@]}"
for n in "${counts[@]}"; do
    growth 'behind the barrier : not' "$n" "causal_$n" "session_$n" 'reads/s'
done
