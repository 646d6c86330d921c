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
    [ -e "$(pg_config --sharedir)/extension/hll.control" ] ||
        missing+=("postgresql-$(pg_config --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')-hll")
    (( ${#missing[@]} )) || return 0

    (( EUID == 0 )) || as_root=(sudo)
    echo "installing ${missing[*]}" >&2
    # The run level keeps the package's own pgpool service from being started.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

# Runs the copy of BENCH_DIR in a fresh private directory, as an unprivileged user, removes the
# directory whatever happens, and leaves the table in OUT.
# run_unprivileged BENCH_DIR OUT NAME…
run_unprivileged()
{
    local source=$1 out=$2 step_down=() status=0
    shift 2

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
    if [ -e "$BENCH_WORK/results.md" ]; then
        cat "$BENCH_WORK/results.md"
        cat "$BENCH_WORK/results.md" > "$out"
    fi
    return $status
}

# Removes the private directory, and before it whatever a killed run has left running there.
remove_all()
{
    local file pid

    for file in "$BENCH_WORK"/servers/*/data/postmaster.pid "$BENCH_WORK"/servers/pgpool/pid; do
        pid=$(head -1 "$file" 2> /dev/null) || continue
        case $file in
            */pgpool/pid) kill -INT "$pid" 2> /dev/null || true ;;
            *)            kill -QUIT "$pid" 2> /dev/null || true ;;     # immediate shutdown
        esac
        while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
    done
    rm -rf "$BENCH_WORK"
}
