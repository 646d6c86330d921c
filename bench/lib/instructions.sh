# Instructions a query: steady where times are not. Counted by valgrind in user mode, kernel left
# out, since virtual machines seldom hand out the processor's own counters.

# instructions_per_query SERVER [SOURCES]: what a prepared point read costs the backend, or what of it
# is spent in sources whose path matches SOURCES (an awk pattern). SERVER must be stopped. The
# difference between a long and a short session, so that neither the connection's start nor the
# first plans count.
instructions_per_query()
{
    local dir=$servers/$1 sources=${2:-} postmaster few many short=200 long=2200

    valgrind -q --tool=cachegrind --cache-sim=no --cachegrind-out-file="$dir/count.%p" \
        "$bindir/postgres" -D "$dir/data" -p "$(cat "$dir/port")" > "$dir/valgrind.log" 2>&1 &
    postmaster=$!
    poll "$1 under valgrind" as_admin "$1" pg_isready -q
    few=$(count_session "$1" $short "$sources")
    many=$(count_session "$1" $long "$sources")
    kill -INT $postmaster
    wait $postmaster || true
    awk "BEGIN { print ($many - $few) / ($long - $short) }"
}

# count_session SERVER N [SOURCES]: instructions of a backend that runs N reads, from the file that it
# leaves at its end. The client tells which backend was its.
count_session()
{
    local dir=$servers/$1 pid

    cat > "$dir/read.pgbench" <<-EOF
	\\if :fresh
	SELECT pg_backend_pid() AS pid \\gset
	\\shell echo :pid > $dir/backend
	\\set fresh 0
	\\endif
	\\set aid random(1, 1000000)
	SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
	EOF
    at "$1" pgbench -n -M prepared -t "$2" --random-seed=1 -D fresh=1 -f "$dir/read.pgbench" > "$dir/pgbench.log" 2>&1
    pid=$(cat "$dir/backend")
    poll "the count of $1's backend" grep -q '^summary:' "$dir/count.$pid" 2> /dev/null
    if [ "${3:-}" ]; then
        awk -v sources="$3" '/^fl=/ { wanted = $0 ~ sources } wanted && /^[0-9]/ { sum += $2 } END { print sum + 0 }' \
            "$dir/count.$pid"
    else
        sed -n 's/^summary: //p' "$dir/count.$pid"
    fi
}
