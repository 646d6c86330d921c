# What the visibility barrier adds to a prepared point read at a primary without synchronous
# standbys: level causal, behind the barrier, against level session, which needs none here. Once on
# an otherwise idle server, and once with 64 transactions that have written and sit idle.

idle_writers=64

start_primary primary "${with_extension[@]}" max_connections=200
[ "$BENCH_SELFTEST" ] || as_admin primary psql -q -c 'CREATE EXTENSION consistency'
at primary psql -q -c 'CREATE TABLE written (i int)'

before_round()
{
    restart_warm primary
    pin "$last_cpu" primary
}
read_at() { with_settings "-c consistency=$1" tps_pinned primary -S -M prepared; }
read_among_idle()
{
    start_idle_writers primary $idle_writers
    read_at "$1"
    stop_idle_writers primary
}

arm_session()      { read_at session; }
arm_causal()       { read_at causal; }
arm_idle_session() { read_among_idle session; }
arm_idle_causal()  { read_among_idle causal; }

rounds session causal idle_session idle_causal
ratio 'behind the barrier : not' causal session 'reads/s' '>= 0.97'
ratio 'the same with 64 idle writers' idle_causal idle_session 'reads/s' '>= 0.90'

# Instructions of the backend, one sample each.
stop primary
with_settings '-c consistency=session' instructions_per_query primary > "$samples/session_instructions"
with_settings '-c consistency=causal' instructions_per_query primary > "$samples/causal_instructions"
ratio 'behind the barrier : not' causal_instructions session_instructions 'instructions/read' '<= 1.03'
