# From which planner cost on a routed query is the faster one, for consistency.route_min_cost:
# latency of growing queries, local and routed, with the primary idle and busy. The primary has
# the first CPU for itself, replicas and client the others, as if they were different machines; else a busy primary would slow them all alike.

start_routed_cluster primary
cat > "$samples/busy.pgbench" <<'EOF'
\set aid random(1, 990000)
SELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 1000;
EOF

client=()
if (( last_cpu > 0 )); then
    pin 0 primary
    pin "1-$last_cpu" primary_r1 primary_r2
    client=(taskset -c "1-$last_cpu")
fi

# Growing numbers of rows read; one row returned, or all of them.
counts=(1 100 1000 10000 100000 1000000)
query_of() # SHAPE COUNT
{
    case $1 in
        aggregate) echo "SELECT sum(abalance) FROM pgbench_accounts WHERE aid <= $2" ;;
        rows)      echo "SELECT aid, bid, abalance FROM pgbench_accounts WHERE aid <= $2" ;;
    esac
}

# cost_of SHAPE COUNT: the planner's
cost_of()
{
    with_settings '-c consistency.routing=off' at primary psql -At -c "EXPLAIN $(query_of "$1" "$2")" |
        sed -n '1s/.*\.\.\([0-9.]*\) rows.*/\1/p'
}

# latency SERVER ROUTING SHAPE COUNT: median, in ms, of a session's queries but the first ones,
# which open the link and make the plan
latency()
{
    local repeats=$(( 300000 / $4 ))
    (( repeats >= 5 )) || repeats=5
    (( repeats <= 300 )) || repeats=300

    query_of "$3" "$4" > "$samples/query.pgbench"
    rm -f "$samples"/log.*
    with_settings "-c consistency.routing=$2" at "$1" "${client[@]}" pgbench -n -M prepared \
        -t $(( repeats + 2 )) -l --log-prefix="$samples/log" -f "$samples/query.pgbench" > /dev/null 2>&1
    awk '$2 > 1 { print $3 / 1000 }' "$samples"/log.* | tail -n +3 | summary | cut -d ' ' -f 1
}

routed_at=primary
[ ! "$BENCH_SELFTEST" ] || routed_at=primary_r1

# break_even_with LOAD: a line for each query: medians over the rounds and their ratio
break_even_with()
{
    local shape count round
    for shape in aggregate rows; do
        for count in "${counts[@]}"; do
            rm -f "$samples/local" "$samples/routed"
            for (( round = 0; round < 3; round++ )); do
                latency primary off $shape "$count" >> "$samples/local"
                latency $routed_at always $shape "$count" >> "$samples/routed"
            done
            row "$1" $shape "$count" "$(cost_of $shape "$count")" "$(median_of local)" "$(median_of routed)" \
                "$(paste "$samples/local" "$samples/routed" | awk '{ print $1 / $2 }' | summary | cut -d ' ' -f 1)"
        done
    done
}

# row LOAD SHAPE ROWS COST LOCAL ROUTED RATIO
row() { result break_even "$@"; }

break_even_with idle
in_background with_settings '-c consistency.routing=off' at primary pgbench -n -c 4 -T 600 -f "$samples/busy.pgbench"
sleep 0.5                                   # until its connections are made
break_even_with busy
kill_background
