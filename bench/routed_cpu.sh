# What a heavy aggregate costs the primary when a replica runs it: CPU time of the primary's
# backend, routed against run there.

start_routed_cluster primary

cat > "$samples/aggregate.sql" <<'EOF'
SELECT bid % 7, count(*), sum(abalance), avg(hashint4(aid)) FROM pgbench_accounts GROUP BY 1;
EOF

# CPU seconds an aggregate takes of the backend that the client is connected to. The first, outside
# the measurement, opens the link and warms the caches.
cpu_per_aggregate()
{
    local repeats=5
    {
        echo '\o /dev/null'
        cat "$samples/aggregate.sql"
        echo '\o'
        echo 'SELECT pg_backend_pid() AS pid \gset'
        echo '\set before `cat /proc/:pid/stat`'
        echo '\o /dev/null'
        for (( i = 0; i < repeats; i++ )); do cat "$samples/aggregate.sql"; done
        echo '\o'
        echo '\set after `cat /proc/:pid/stat`'
        echo '\echo :before'
        echo '\echo :after'
    } > "$samples/cpu.sql"
    # Fields 14 and 15: user and system time, in ticks. Nothing is cheaper than half a tick.
    "$@" psql -qAtX -v ON_ERROR_STOP=1 -f "$samples/cpu.sql" |
        awk -v repeats=$repeats -v hz="$(getconf CLK_TCK)" '
            { ticks = $14 + $15 - ticks }
            END { print (ticks > 0 ? ticks : 0.5) / hz / repeats }'
}

arm_local()  { with_settings '-c consistency.routing=off' cpu_per_aggregate at primary; }
arm_routed() { with_settings '-c consistency.routing=always' cpu_per_aggregate at primary; }

rounds local routed
ratio 'routed aggregate : run at the primary' routed local "CPU s of the primary" '< 0.10'
