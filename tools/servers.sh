# Making and starting servers: what demo/cluster and examples/pair share.  To be
# sourced by bash after tools/lib.sh.  Each server has a folder below $dir, and
# its port in $port.
# shellcheck shell=bash
# shellcheck disable=SC2154  # theirs

password() {
    od -An -N12 -tx1 /dev/urandom | tr -d ' \n'
}

# make_server NODE LINE...: an empty server, with these lines in its configuration.
# The socket's directory is ours alone; the port is everybody's.
make_server() {
    local node=$1
    shift
    mkdir "$dir/$node"
    "$pg_bindir/initdb" -D "$dir/$node/data" -U postgres -E UTF8 --no-locale -A trust --no-sync \
        >"$dir/$node/initdb.log" 2>&1 || {
        cat "$dir/$node/initdb.log" >&2
        exit 1
    }
    cat >"$dir/$node/data/pg_hba.conf" <<-'HBA'
		local  all          all                         trust
		host   all          all           127.0.0.1/32  scram-sha-256
	HBA
    cat >>"$dir/$node/data/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$dir'
		shared_preload_libraries = 'consistency'
	CONF
    printf '%s\n' "$@" >>"$dir/$node/data/postgresql.conf"
}

# configure NODE LINE...: its port, its name, and these lines
configure() {
    local node=$1
    shift
    printf '%s\n' "port = ${port[$node]}" "cluster_name = '$node'" "$@" \
        >>"$dir/$node/data/postgresql.auto.conf"
}

# show_log NODE: why it didn't start
show_log() {
    warn "$1 did not start; the end of its log:"
    tail -n 20 "$dir/$1/log" >&2 || true
    exit 1
}

start() {
    "$pg_bindir/pg_ctl" start -s -w -D "$dir/$1/data" -l "$dir/$1/log" >/dev/null </dev/null ||
        show_log "$1"
    say "$1 listens on 127.0.0.1:${port[$1]}"
}

# superuser_at NODE ARGUMENT...: psql, through the socket
superuser_at() {
    local node=$1
    shift
    "$pg_bindir/psql" -X -q -v ON_ERROR_STOP=1 -h "$dir" -p "${port[$node]}" -U postgres "$@"
}
