# Transactions that have written and sit idle.

# start_idle_writers SERVER N: they write to the table "written"
start_idle_writers()
{
    (( $2 > 0 )) || return 0
    cat > "$samples/idle.pgbench" <<-'EOF2'
	BEGIN;
	INSERT INTO written VALUES (1);
	\sleep 600 s
	EOF2
    at "$1" sh -c "echo \$\$ > $samples/writers.pid; exec pgbench -n -c $2 -t 1 -f $samples/idle.pgbench" > /dev/null 2>&1 &
    poll "$2 idle writers" idle_writers_are "$1" "$2"
}

stop_idle_writers()
{
    [ -e "$samples/writers.pid" ] || return 0
    kill "$(cat "$samples/writers.pid")"
    rm "$samples/writers.pid"
    poll 'no idle writers' idle_writers_are "$1" 0
}

idle_writers_are()
{
    [ "$(as_admin "$1" psql -At -c \
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL")" = "$2" ]
}
