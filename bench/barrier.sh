# What the visibility barrier adds to a prepared point read at a primary without synchronous
# standbys: level causal, behind the barrier, against level session, which needs none here. Once on
# an otherwise idle server, and once with 64 transactions that have written and sit idle.

idle_writers=64

start_primary primary "${with_extension[@]}" max_connections=200
[ "$BENCH_SELFTEST" ] || as_admin primary psql -q -c 'CREATE EXTENSION consistency'
at primary psql -q -c 'CREATE TABLE written (i int)'
cat > "$samples/idle.pgbench" <<'EOF'
BEGIN;
INSERT INTO written VALUES (1);
\sleep 600 s
EOF

before_round()
{
    restart_warm primary
    pin "$last_cpu" primary
}
start_idle_writers()
{
    at primary sh -c "echo \$\$ > $samples/writers.pid; exec pgbench -n -c $idle_writers -t 1 -f $samples/idle.pgbench" \
        > /dev/null 2>&1 &
    poll "$idle_writers idle writers" idle_writers_are $idle_writers
}
stop_idle_writers()
{
    kill "$(cat "$samples/writers.pid")"
    poll 'no idle writers' idle_writers_are 0
}
idle_writers_are()
{
    [ "$(as_admin primary psql -At -c \
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL")" = "$1" ]
}

read_at() { with_settings "-c consistency=$1" tps_pinned primary -S -M prepared; }
read_among_idle()
{
    start_idle_writers
    read_at "$1"
    stop_idle_writers
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
