# pgpool-II in front of a cluster, set up for speed: logs and checks off that cost queries, no
# cache of results. For the rest as its sample configuration has it.

# start_pgpool NAME WEIGHT SETTINGS PRIMARY REPLICA…: answers to the server name NAME. WEIGHT is the
# primary's part of the reads, where a replica's is 1; SETTINGS are lines of pgpool.conf, or none.
start_pgpool()
{
    local name=$1 dir=$servers/$1 weight=$2 settings=$3 node number=0
    shift 3

    mkdir "$dir"
    free_port > "$dir/port"
    {
        cat <<-EOF
		backend_clustering_mode = 'streaming_replication'
		listen_addresses = '127.0.0.1'
		port = $(cat "$dir/port")
		socket_dir = '$dir'
		pcp_listen_addresses = ''
		pcp_port = $(free_port)
		pcp_socket_dir = '$dir'
		wd_ipc_socket_dir = '$dir'
		pid_file_name = '$dir/pid'
		logdir = '$dir'
		work_dir = '$dir'
		enable_pool_hba = on
		pool_passwd = '$dir/pool_passwd'
		num_init_children = $(( BENCH_CLIENTS * 2 + 2 ))
		max_pool = 1
		child_life_time = 0
		connection_cache = on
		load_balance_mode = on
		statement_level_load_balance = off
		disable_load_balance_on_write = 'transaction'
		sr_check_period = 10
		sr_check_user = 'app'
		sr_check_password = '$app_password'
		sr_check_database = 'bench'
		delay_threshold = 10000000
		health_check_period = 0
		failover_on_backend_error = off
		memory_cache_enabled = off
		check_temp_table = none
		check_unlogged_table = off
		enable_shared_relcache = on
		log_statement = off
		log_per_node_statement = off
		log_client_messages = off
		log_connections = off
		log_min_messages = error
		$settings
		EOF
        for node in "$@"; do
            cat <<-EOF
			backend_hostname$number = '127.0.0.1'
			backend_port$number = $(port "$node")
			backend_weight$number = $weight
			backend_flag$number = 'DISALLOW_TO_FAILOVER'
			EOF
            number=$(( number + 1 ))
            weight=1                        # the first is the primary
        done
    } > "$dir/pgpool.conf"
    echo 'host all all 127.0.0.1/32 scram-sha-256' > "$dir/pool_hba.conf"
    echo "app:TEXT$app_password" > "$dir/pool_passwd"
    : > "$dir/pcp.conf"
    pgpool -n -f "$dir/pgpool.conf" -F "$dir/pcp.conf" -a "$dir/pool_hba.conf" > "$dir/log" 2>&1 &
    pgpool_pids+=($!)
    poll "pgpool (see its log below)" at "$name" psql -qAt -c 'SELECT 1' > /dev/null 2>&1 ||
        { tail -20 "$dir/log" >&2; return 1; }
}

stop_pgpool()
{
    (( ${#pgpool_pids[@]} )) || return 0
    kill -INT "${pgpool_pids[@]}" 2> /dev/null || true
    wait "${pgpool_pids[@]}" 2> /dev/null || true
    pgpool_pids=()
}
pgpool_pids=()
