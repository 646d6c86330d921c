# Measuring: arms that are run in turn, and ratios between them.
#
# An arm is a function arm_NAME that prints one number, the greater the more work done or the more
# it cost, having measured for about $slice seconds.

samples=$BENCH_WORK/samples

# begin_benchmark NAME
begin_benchmark()
{
    benchmark=$1
    results=$BENCH_WORK/results/$benchmark.tsv
    begun_at=$SECONDS
    rm -rf "$samples"
    mkdir -p "$samples" "$BENCH_WORK/results"
    # Taken here, as a benchmark may share the time out among its parts.
    settings=("$(postgres --version | sed 's/.*) \([^ ]*\).*/\1/')" "$(nproc)" "$BENCH_ROUNDS" "$BENCH_SECONDS" "$BENCH_CLIENTS")
    : > "$results"
}

# end_benchmark: says of its results how they were measured
end_benchmark()
{
    result run "${settings[@]}" $(( SECONDS - begun_at ))
}

# rounds ARM…: runs each arm once a round, every other round backwards, so that whatever drifts
# meets all of them alike. Shares BENCH_SECONDS among them. Runs before_round, where the benchmark
# has such a function, ahead of each.
rounds()
{
    local round arm order value

    slice=$(( BENCH_SECONDS / (BENCH_ROUNDS * $#) ))
    (( slice >= 1 )) || slice=1
    for (( round = 1; round <= BENCH_ROUNDS; round++ )); do
        ! declare -F before_round > /dev/null || before_round
        order=("$@")
        (( round % 2 )) || mapfile -t order < <(printf '%s\n' "$@" | tac)
        for arm in "${order[@]}"; do
            value=$("arm_$arm")
            [[ $value =~ ^[0-9.]+$ ]] || { echo "arm $arm printed no number: $value" >&2; return 1; }
            echo "$value" >> "$samples/$arm"
            printf '  round %d of %d  %-24s %s\n' "$round" "$BENCH_ROUNDS" "$arm" "$value" >&2
        done
    done
}

# ratio WHAT ARM PEER UNIT [TARGET]: records ARM/PEER. TARGET is ">= 0.98" or "< 0.1"; without it
# the ratio is for reference. More is better where the unit is something done in a time.
ratio()
{
    local what=$1 arm=$2 peer=$3 unit=$4 target=${5:-}
    local median least greatest verdict=reference better=lower

    [[ $unit != */s* ]] || better=higher
    read -r median least greatest < <(ratios "$arm" "$peer" | summary)
    [ -z "$target" ] || verdict=$(awk "BEGIN { print ($median $target) ? \"met\" : \"missed\" }")
    [ ! "$BENCH_SELFTEST" ] || verdict=self-test
    result ratio "$what" "$median" "$least" "$greatest" "$better" "${target:-none}" "$verdict" \
        "$(median_of "$arm") : $(median_of "$peer") $unit"
}

# between_peers WHAT ARM PEER UNIT: a ratio with which the extension has nothing to do
between_peers()
{
    local median least greatest

    read -r median least greatest < <(ratios "$2" "$3" | summary)
    result between_peers "$1" "$median" "$least" "$greatest" - none reference "$(median_of "$2") : $(median_of "$3") $4"
}

# growth SERIES X ARM PEER UNIT: records ARM/PEER as a point of a line over X
growth()
{
    local median least greatest

    read -r median least greatest < <(ratios "$3" "$4" | summary)
    result growth "$1" "$2" "$median" "$least" "$greatest" "$(median_of "$3") : $(median_of "$4") $5"
}

# measure GROUP LABEL WHAT ARM: records what was measured as it is; share … ARM PEER: ARM/PEER
measure()
{
    local median least greatest

    read -r median least greatest < <(summary < "$samples/$4")
    result measure "$1" "$2" "$3" "$median" "$least" "$greatest"
}
share()
{
    local median least greatest

    read -r median least greatest < <(ratios "$4" "$5" | summary)
    result measure "$1" "$2" "$3" "$median" "$least" "$greatest"
}

# ratios ARM PEER: round by round
ratios()
{
    paste "$samples/$1" "$samples/$2" | awk '{ print $1 / $2 }'
}

# Reads numbers; prints median, least and greatest.
summary()
{
    sort -g | awk '{ v[NR] = $1 }
        END { printf "%.4g %.4g %.4g\n", (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2, v[1], v[NR] }'
}

# median_of ARM, for people: no more digits than mean something
median_of()
{
    sort -g "$samples/$1" | awk '{ v[NR] = $1 }
        END { m = (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2; if (m >= 100) printf "%.0f", m; else printf "%.3g", m }'
}

# result KIND FIELD…: a line of the results; bench/report tells what the fields are
result()
{
    (IFS=$'\t'; echo "$*" >> "$results")
    echo "  = $*" >&2
}

# note TEXT: a sentence that belongs to the results
note()
{
    result note "$1"
}

# tps SERVER PGBENCH-OPTION…: transactions a second, over one slice
tps()
{
    local server=$1
    shift

    at "$server" "${on_cpu[@]}" pgbench -n -T "$slice" -c "$BENCH_CLIENTS" -j "$(( BENCH_CLIENTS < 2 ? 1 : 2 ))" "$@" 2>&1 |
        awk '/^tps = / { tps = $3 } /error|fail|abort/ && !/number of failed/ { print > "/dev/stderr" } END { print tps }'
}

# tps_settled SERVER PGBENCH-OPTION…: the same after a second and more in which clients connect, and
# their sessions to other nodes
tps_settled()
{
    local server=$1
    shift

    at "$server" pgbench -n -T $(( slice + 2 )) -P 1 -c "$BENCH_CLIENTS" -j "$(( BENCH_CLIENTS < 2 ? 1 : 2 ))" "$@" 2>&1 |
        awk '/^progress: / && $2 > 1.5 { sum += $4; n++ } /error|fail|abort/ && !/failed/ { print > "/dev/stderr" }
             END { if (n) print sum / n }'
}

# tps_pinned SERVER PGBENCH-OPTION…: the same with one client on the last CPU, where the benchmark
# has pinned the server too. What the pair costs in CPU time is all that counts then; times of
# several processes that wander between CPUs scatter by a fifth on a small machine.
tps_pinned()
{
    BENCH_CLIENTS=1 on_cpu=(taskset -c "$last_cpu")
    tps "$@"
    on_cpu=()
}
on_cpu=()
last_cpu=$(( $(nproc) - 1 ))

# runs_per_second COMMAND…: how often COMMAND runs in a second, over one slice, at least once
runs_per_second()
{
    local runs=0 begun=$EPOCHREALTIME

    while
        "$@" > /dev/null
        runs=$(( runs + 1 ))
        awk "BEGIN { exit !($EPOCHREALTIME - $begun < $slice) }"
    do :; done
    awk "BEGIN { print $runs / ($EPOCHREALTIME - $begun) }"
}

# with_settings "-c NAME=VALUE …" COMMAND…: for the extension's settings; ignored in the self-test
with_settings()
{
    local options=$1
    shift
    [ ! "$BENCH_SELFTEST" ] || options=
    PGOPTIONS=$options "$@"
}

# scans_at SERVER: scans of the accounts that SERVER itself has run so far
scans_at()
{
    as_admin "$1" psql -At -c "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'pgbench_accounts'"
}
