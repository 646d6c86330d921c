# What has to be there before servers can run: packages, a private directory, an unprivileged user.

# Fails with a sentence where the extension isn't installed.
check_installed()
{
    command -v pg_config > /dev/null || { echo "bench/run: pg_config not found; install PostgreSQL's server and dev files" >&2; exit 2; }
    [ "$BENCH_SELFTEST" ] || [ -e "$(pg_config --pkglibdir)/consistency.so" ] ||
        { echo "bench/run: the extension isn't installed; run make install first" >&2; exit 2; }
}

# The peers and tools beside PostgreSQL, from Debian's packages.
install_missing()
{
    local missing=() as_root=()

    PATH=$PATH:/usr/sbin
    command -v pgpool > /dev/null || missing+=(pgpool2)
    command -v valgrind > /dev/null || missing+=(valgrind)
    command -v gnuplot > /dev/null || missing+=(gnuplot-nox)
    command -v cc > /dev/null || missing+=(gcc libc6-dev)
    [ -e "$(pg_config --sharedir)/extension/hll.control" ] ||
        missing+=("postgresql-$(pg_config --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')-hll")
    (( ${#missing[@]} )) || return 0

    (( EUID == 0 )) || as_root=(sudo)
    echo "installing ${missing[*]}" >&2
    # The run level keeps the package's own pgpool service from being started.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

# Tells how long it will take, by how long it took the last time: what came beside measuring stays, and
# with many arms, each of which runs for a second at least, rounds make the time.
# tell_estimate RESULTS NAME…
tell_estimate()
{
    local results=$1 name sum=10 rounds took measured long
    shift

    for name in "$@"; do
        rounds=- took=30 measured=0
        [ ! -e "$results/$name.tsv" ] ||
            read -r rounds measured took < <(awk -F '\t' '$1 == "run" { print $4, $5, $7 }' "$results/$name.tsv")
        [ "$rounds" != - ] || rounds=5 measured=60
        long=$(( BENCH_SECONDS + (took > measured ? took - measured : 0) ))
        sum=$(( sum + (took * BENCH_ROUNDS / rounds > long ? took * BENCH_ROUNDS / rounds : long) ))
    done
    echo "benchmarks: $#, of $BENCH_SECONDS s and $BENCH_ROUNDS rounds each;" \
        "with all that has to be set up about $(( (sum + 59) / 60 )) minutes" >&2
}

# Runs the copy of BENCH_DIR in a fresh private directory, as an unprivileged user, removes the
# directory whatever happens; keeps the results and has them written up.
# run_unprivileged BENCH_DIR NAME…
run_unprivileged()
{
    local source=$1 out=${BENCH_OUT:-$1/results} step_down=() status=0
    shift

    BENCH_WORK=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
    export BENCH_WORK
    trap remove_all EXIT
    trap 'exit 130' INT TERM
    cp -r "$source" "$BENCH_WORK/bench"     # the checkout may be unreadable to the other user
    if (( EUID == 0 )); then
        step_down=(runuser -u "${BENCH_USER:-postgres}" --)
        chown -R "${BENCH_USER:-postgres}" "$BENCH_WORK"
    fi
    (cd "$BENCH_WORK" && "${step_down[@]}" bash bench/run "$@") || status=$?
    [ -d "$BENCH_WORK/results" ] || return $status
    if [ ! "$BENCH_SELFTEST" ]; then
        mkdir -p "$out"
        cat_each "$BENCH_WORK/results" "$out"
    fi
    perl "$source/report" --print "$BENCH_WORK/results"
    [ "$BENCH_SELFTEST" ] || [ "$out" != "$source/results" ] || perl "$source/report"
    return $status
}

# cat_each FROM TO: copies the files' contents; they belong to who runs this
cat_each()
{
    local file
    for file in "$1"/*.tsv; do
        [ ! -e "$file" ] || cat "$file" > "$2/$(basename "$file")"
    done
}

# Removes the private directory, and before it whatever a killed run has left running there.
remove_all()
{
    local file pid

    for file in "$BENCH_WORK"/servers/*/data/postmaster.pid "$BENCH_WORK"/servers/pgpool*/pid; do
        pid=$(head -1 "$file" 2> /dev/null) || continue
        case $file in
            */pgpool*/pid) kill -INT "$pid" 2> /dev/null || true ;;
            *)            kill -QUIT "$pid" 2> /dev/null || true ;;     # immediate shutdown
        esac
        while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
    done
    rm -rf "$BENCH_WORK"
}
