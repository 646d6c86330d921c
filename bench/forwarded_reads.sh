# Point reads at a replica between writes that the same session forwards: against a replica without
# the extension, where a statement that does nothing stands in for the write, and somebody else
# writes as much at the primary, so that both have the same to replay. The first read after a write
# waits for its replay, and is shown by itself.

start_primary primary "${with_extension[@]}"
start_replica plain primary
start_replica session primary "${with_extension[@]}"
declare_nodes primary primary session
wait_for_replay primary plain session

reads=20
# script WRITE: a write and reads after it, the first of which is marked by a column of its own
script()
{
    printf '\\set aid random(1, 1000000)\n%s\n' "$1"
    echo 'SELECT abalance, bid FROM pgbench_accounts WHERE aid = :aid;'
    for (( i = 0; i < reads; i++ )); do
        printf '\\set aid random(1, 1000000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n'
    done
}
script 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;' > "$samples/session.pgbench"
script 'SELECT;' > "$samples/plain.pgbench"
[ ! "$BENCH_SELFTEST" ] || cp "$samples/plain.pgbench" "$samples/session.pgbench"

before_round()
{
    restart_warm plain session
    pin "$last_cpu" plain session
}

# read_rate SERVER COLUMNS: the inverse of the mean latency of the reads of these columns, per second
read_rate()
{
    at "$1" taskset -c "$last_cpu" pgbench -n -r -T "$slice" -c 1 -M prepared -f "$samples/$1.pgbench" > "$samples/report" 2>&1
    [ "$1" = plain ] || awk '/^tps = / { print int($3) + 1 }' "$samples/report" > "$samples/writes"
    awk -v what="SELECT $2 FROM" 'index($0, what) { sum += $1; n++ } END { print 1000 * n / sum }' "$samples/report"
}
# While others write as often as the session did the last time.
read_rate_beside_writer()
{
    at primary pgbench -n -T "$slice" -c 1 -M prepared -R "$(cat "$samples/writes")" -f "$samples/write.pgbench" > /dev/null 2>&1 &
    read_rate "$@"
    wait
}
printf '\\set aid random(1, 1000000)\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n' > "$samples/write.pgbench"
echo 300 > "$samples/writes"

arm_plain()         { read_rate_beside_writer plain abalance; }
arm_session()       { read_rate session abalance; }
arm_plain_first()   { read_rate_beside_writer plain 'abalance, bid'; }
arm_session_first() { read_rate session 'abalance, bid'; }

rounds session plain session_first plain_first
ratio 'reads between forwarded writes : replica without' session plain 'reads/s' '>= 0.97'
ratio 'the first read after a write : replica without' session_first plain_first 'reads/s'
