# Servers: primaries and their replicas, all copies of one template, so that every server of a
# benchmark has the same rows on the same pages.
#
# A server has a name; its directory is $BENCH_WORK/servers/NAME, where the file "port" holds its
# port. Clients come over loopback as the role "app", no superuser, with a password; administration
# goes through a socket in the private directory.

servers=$BENCH_WORK/servers
bindir=$(pg_config --bindir)
PATH=$bindir:$PATH:/usr/sbin
mkdir -p "$servers"

app_password=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
scale=10                                    # pgbench: a million accounts
late=recovery_min_apply_delay=50ms          # setting of a replica that replays late

# Settings of a server with the extension; none in the self-test.
with_extension=(shared_preload_libraries=consistency consistency.monitor_role=app consistency.monitor_interval=200ms)
[ ! "$BENCH_SELFTEST" ] || with_extension=()

# A cluster shut down cleanly, with the role, the database "bench" and pgbench's tables.
make_template()
{
    local dir=$servers/template

    echo "making the template" >&2
    mkdir "$dir"
    initdb -D "$dir/data" -U admin -A scram-sha-256 --auth-local=trust --pwfile=<(echo "$app_password") \
        --no-sync --locale=C -E UTF8 > "$dir/initdb.log"
    cat >> "$dir/data/postgresql.conf" <<-EOF
	listen_addresses = '127.0.0.1'
	unix_socket_directories = '$BENCH_WORK'
	max_connections = 60
	shared_buffers = 256MB
	max_wal_size = 8GB
	checkpoint_timeout = 1h
	autovacuum = off                        # nothing but the load that is measured
	max_parallel_workers_per_gather = 0     # all CPU time of a query in one process
	wal_retrieve_retry_interval = 200ms
	wal_keep_size = 1GB
	hot_standby_feedback = on               # so that no read is cancelled by replay
	EOF
    start template
    as_admin template psql -q -d postgres <<-EOF
	CREATE ROLE app LOGIN PASSWORD '$app_password';
	CREATE DATABASE bench OWNER app;
	EOF
    at template pgbench -i -q -s $scale > "$dir/pgbench.log" 2>&1
    as_admin template psql -q -c 'CREATE EXTENSION pg_prewarm'
    # Hint bits and visibility map are set, or the first reader would pay for all.
    as_admin template psql -q -c 'VACUUM (FREEZE, ANALYZE)' -c CHECKPOINT
    stop template
}

# start_primary NAME [SETTING=VALUE…]
start_primary()
{
    copy_template "$@"
    start "$1"
}

# start_replica NAME PRIMARY [SETTING=VALUE…]: streams from PRIMARY, under the slot-less name NAME
start_replica()
{
    local name=$1 primary=$2
    shift 2

    copy_template "$name" "$@" \
        "primary_conninfo=host=$BENCH_WORK port=$(port "$primary") user=admin application_name=$name"
    touch "$servers/$name/data/standby.signal"
    start "$name"
    wait_for_replay "$primary" "$name"
}

# A primary NAME and two replicas NAME_r1, NAME_r2 with the extension, the nodes declared.
# start_routed_cluster NAME [SETTING=VALUE… of the second replica]
start_routed_cluster()
{
    local name=$1
    shift

    start_primary "$name" "${with_extension[@]}"
    start_replica "${name}_r1" "$name" "${with_extension[@]}"
    start_replica "${name}_r2" "$name" "${with_extension[@]}" "$@"
    declare_nodes "$name" "$name" "${name}_r1" "${name}_r2"
}

# declare_nodes PRIMARY REPLICA…: creates the extension, names the nodes, waits until one is in use
declare_nodes()
{
    local primary=$1 node
    shift

    [ ! "$BENCH_SELFTEST" ] || return 0
    {
        echo "CREATE EXTENSION consistency;"
        for node in "$@"; do
            declaration "$node"
        done
    } | as_admin "$primary" psql -q
    for node in "$@"; do
        [ "$node" = "$primary" ] || wait_for_replay "$primary" "$node"
    done
    poll "routed read at $primary" reads_are_routed "$primary"
}

# declaration NODE: the SQL
declaration()
{
    cat <<-EOF
	CREATE SERVER "$1" FOREIGN DATA WRAPPER consistency
	  OPTIONS (host '127.0.0.1', port '$(port "$1")', dbname 'bench');
	GRANT USAGE ON FOREIGN SERVER "$1" TO app;
	CREATE USER MAPPING FOR app SERVER "$1" OPTIONS (user 'app', password '$app_password');
	EOF
}

# Tells whether PRIMARY routes a read that it may route.
reads_are_routed()
{
    [ "$(at "$1" psql -qAt -c "SET consistency.routing = 'always'" -c 'SELECT abalance FROM pgbench_accounts WHERE aid = 1' \
        -c 'SELECT place FROM consistency.last_read()' | tail -1)" = routed ]
}

# wait_for_replay PRIMARY REPLICA…: until all that PRIMARY has written is replayed
wait_for_replay()
{
    local lsn replica
    lsn=$(as_admin "$1" psql -At -c 'SELECT pg_current_wal_lsn()')
    shift

    for replica in "$@"; do
        poll "replay of $lsn at $replica" replayed "$replica" "$lsn"
    done
}

replayed()
{
    [ "$(as_admin "$1" psql -At -c "SELECT pg_last_wal_replay_lsn() >= '$2'")" = t ]
}

# at SERVER COMMAND…: runs a client as the application
at()
{
    local server=$1
    shift
    PGHOST=127.0.0.1 PGPORT=$(port "$server") PGUSER=app PGPASSWORD=$app_password PGDATABASE=bench "$@"
}

# as_admin SERVER COMMAND…: runs a client as the superuser
as_admin()
{
    local server=$1
    shift
    PGHOST=$BENCH_WORK PGPORT=$(port "$server") PGUSER=admin PGDATABASE=bench "$@"
}

port()
{
    cat "$servers/$1/port"
}

# A free port of the loopback interface, by the kernel's choice.
free_port()
{
    perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# copy_template NAME [SETTING=VALUE…]
copy_template()
{
    local name=$1 setting
    shift

    mkdir "$servers/$name"
    cp -a --reflink=auto "$servers/template/data" "$servers/$name/data"
    for setting in "$@"; do
        echo "${setting%%=*} = '${setting#*=}'"
    done >> "$servers/$name/data/postgresql.conf"
}

# Starts the server, on another port if somebody was quicker to take the first.
start()
{
    local dir=$servers/$1 try

    for try in 1 2 3; do
        free_port > "$dir/port"
        ! pg_ctl -s -w -t 60 -D "$dir/data" -l "$dir/log" -o "-p $(cat "$dir/port")" start 2>> "$dir/log" || return 0
        grep -q 'could not bind' "$dir/log" || break
    done
    echo "server $1 did not start:" >&2
    tail -20 "$dir/log" >&2
    return 1
}

# restart_warm SERVER…: restarts, so that they lie elsewhere in memory, which alone can make a percent,
# and reads the accounts into their buffers
restart_warm()
{
    local server
    for server in "$@"; do
        pg_ctl -s -w -m fast -D "$servers/$server/data" -l "$servers/$server/log" restart
        as_admin "$server" psql -q -o /dev/null \
            -c "SELECT pg_prewarm('pgbench_accounts'), pg_prewarm('pgbench_accounts_pkey')"
    done
}

# pin CPUS SERVER…: the servers' processes and those that they will start
pin()
{
    local cpus=$1 server postmaster pid
    shift

    for server in "$@"; do
        postmaster=$(head -1 "$servers/$server/data/postmaster.pid")
        for pid in "$postmaster" $(cat "/proc/$postmaster/task/$postmaster/children"); do
            taskset -a -pc "$cpus" "$pid" > /dev/null || true   # one may just have ended
        done
    done
}

stop()
{
    pg_ctl -s -w -m fast -D "$servers/$1/data" stop
}

# Stops and removes all servers but the template, and all pgpools.
stop_everything()
{
    local dir

    stop_pgpool
    kill_background
    for dir in "$servers"/*/; do
        [ ! -e "$dir/data/postmaster.pid" ] || pg_ctl -s -w -m immediate -D "$dir/data" stop || true
        [ "$(basename "$dir")" = template ] || rm -rf "$dir"
    done
}

# poll WHAT COMMAND…: until COMMAND succeeds
poll()
{
    local what=$1 try
    shift

    for (( try = 0; try < 300; try++ )); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "gave up waiting for: $what" >&2
    return 1
}

# in_background COMMAND…: runs until stop_everything or kill_background
in_background()
{
    "$@" > /dev/null 2>&1 &
    background+=($!)
}

kill_background()
{
    (( ${#background[@]} )) || return 0
    kill "${background[@]}" 2> /dev/null || true
    wait "${background[@]}" 2> /dev/null || true
    background=()
}
background=()
