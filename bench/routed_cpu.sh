# What a heavy aggregate costs the primary when a replica runs it: CPU time of the primary's
# backend, routed against run there; and how long it takes, against postgres_fdw, which sends the
# aggregate away as well, and dblink, which is told to.

start_routed_cluster primary
make_peers primary primary_r1
make_foreign primary pgbench_accounts 'aid int NOT NULL, bid int, abalance int, filler char(84)'
wait_for_replay primary primary_r1 primary_r2

aggregate_of() { echo "SELECT bid % 7, count(*), sum(abalance), avg(hashint4(aid)) FROM $1 GROUP BY 1"; }
aggregate_of pgbench_accounts > "$samples/local.sql"
aggregate_of pgbench_accounts_fdw > "$samples/fdw.sql"
echo "SELECT * FROM dblink('peer', '$(aggregate_of pgbench_accounts)')
    AS t (k int, n bigint, s bigint, a numeric)" > "$samples/dblink.sql"
for way in local fdw dblink; do
    echo ';' >> "$samples/$way.sql"
done
cp "$samples/local.sql" "$samples/routed.sql"

# What postgres_fdw would do without its estimates from there is no peer's best.
as_admin primary psql -q -c "ALTER SERVER peer OPTIONS (ADD use_remote_estimate 'true')"

# cpu_per_aggregate WAY ROUTING: CPU seconds an aggregate takes of the primary's backend; how many
# come in a second goes to the sample WAY_rate. The first, outside the measurement, opens the link
# and warms the caches.
cpu_per_aggregate()
{
    local way=$1 repeats=5
    {
        echo '\o /dev/null'
        cat "$samples/$way.sql"
        echo '\o'
        echo 'SELECT pg_backend_pid() AS pid \gset'
        echo '\set before `cat /proc/:pid/stat`'
        echo '\set begun `date +%s.%N`'
        echo '\o /dev/null'
        for (( i = 0; i < repeats; i++ )); do cat "$samples/$way.sql"; done
        echo '\o'
        echo '\set after `cat /proc/:pid/stat`'
        echo '\set ended `date +%s.%N`'
        echo '\echo :before'
        echo '\echo :after'
        echo '\echo :begun :ended'
    } > "$samples/cpu.sql"
    # Fields 14 and 15: user and system time, in ticks. Nothing is cheaper than half a tick.
    with_settings "-c consistency.routing=$2" at primary psql -qAtX -v ON_ERROR_STOP=1 -f "$samples/cpu.sql" |
        awk -v repeats=$repeats -v hz="$(getconf CLK_TCK)" -v rate="$samples/${way}_rate" '
            NR < 3 { ticks = $14 + $15 - ticks }
            NR == 3 { print repeats / ($2 - $1) >> rate }
            END { print (ticks > 0 ? ticks : 0.5) / hz / repeats }'
}

arm_local()  { cpu_per_aggregate local off; }
arm_routed() { cpu_per_aggregate routed always; }
arm_fdw()    { cpu_per_aggregate fdw off; }
arm_dblink() { cpu_per_aggregate dblink off; }

rounds local routed fdw dblink
ratio 'routed aggregate : run at the primary' routed local 'CPU s of the primary' '< 0.10'
ratio 'aggregates, routed : postgres_fdw' routed_rate fdw_rate 'queries/s'
ratio 'aggregates, routed : dblink' routed_rate dblink_rate 'queries/s'
ratio 'aggregates, routed : run at the primary' routed_rate local_rate 'queries/s'
