# Measuring: arms that are run in turn, and ratios between them.
#
# An arm is a function arm_NAME that prints one number, the greater the more work done or the more
# it cost, having measured for about $slice seconds.

samples=$BENCH_WORK/samples
results=$BENCH_WORK/results.tsv

# begin_benchmark NAME
begin_benchmark()
{
    benchmark=$1
    rm -rf "$samples"
    mkdir "$samples"
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
# the ratio is for reference.
ratio()
{
    local what=$1 arm=$2 peer=$3 unit=$4 target=${5:-}
    local median least greatest verdict=reference

    read -r median least greatest < <(paste "$samples/$arm" "$samples/$peer" | awk '{ print $1 / $2 }' | summary)
    [ -z "$target" ] || verdict=$(awk "BEGIN { print ($median $target) ? \"met\" : \"missed\" }")
    [ ! "$BENCH_SELFTEST" ] || verdict=self-test
    record "$what" "$median" "$least" "$greatest" "${target:-none}" "$verdict" \
        "$(median_of "$arm") : $(median_of "$peer") $unit"
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

# record WHAT MEDIAN LEAST GREATEST TARGET VERDICT MEASURED
record()
{
    (IFS=$'\t'; echo "$benchmark	$*" >> "$results")
    printf '  = %s: %s (%s to %s), target %s: %s\n' "$1" "$2" "$3" "$4" "$5" "$6" >&2
}

record_failure()
{
    printf '%s\tcould not run\t-\t-\t-\t-\tfailed\t-\n' "$1" >> "$results"
}

# attach FILE: puts a table of a benchmark's own below the table of ratios
attach()
{
    cat "$1" >> "$BENCH_WORK/attached.md"
}

# note TEXT: puts a sentence there
note()
{
    echo "  note: $1" >&2
    printf '\n%s: %s\n' "$benchmark" "$1" >> "$BENCH_WORK/attached.md"
}

# All that was recorded, as markdown.
print_results()
{
    echo "Measured with $(postgres --version), $(nproc) CPUs that all servers and clients share;" \
        "$BENCH_ROUNDS rounds, $BENCH_SECONDS s a benchmark, $BENCH_CLIENTS clients."
    [ ! "$BENCH_SELFTEST" ] || echo "SELF-TEST: without the extension; the ratios say nothing about it."
    echo
    {
        printf 'Benchmark\tRatio\tMedian\tLeast\tGreatest\tTarget\tVerdict\tMedians measured\n'
        cat "$results" 2> /dev/null || true
    } | awk -F '\t' '
        { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (r = 1; r <= NR; r++) {
                line = "|"; rule = "|"
                for (i = 1; i <= 8; i++) {
                    line = line sprintf(" %-" width[i] "s |", cell[r, i])
                    dashes = sprintf("%" width[i] "s", ""); gsub(" ", "-", dashes); rule = rule " " dashes " |"
                }
                print line
                if (r == 1) print rule
            }
        }'
    cat "$BENCH_WORK/attached.md" 2> /dev/null || true
}

# tps SERVER PGBENCH-OPTION…: transactions a second, over one slice
tps()
{
    local server=$1
    shift

    at "$server" "${on_cpu[@]}" pgbench -n -T "$slice" -c "$BENCH_CLIENTS" -j "$(( BENCH_CLIENTS < 2 ? 1 : 2 ))" "$@" 2>&1 |
        awk '/^tps = / { tps = $3 } /error|fail|abort/ && !/number of failed/ { print > "/dev/stderr" } END { print tps }'
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
