# postgres_fdw and dblink: the ways to another server that come with PostgreSQL.

# make_peers PRIMARY REPLICA: at PRIMARY the server "peer" for both, which is REPLICA. They must
# read there: postgres_fdw's transactions are REPEATABLE READ, which a replica would forward.
make_peers()
{
    local options='-c consistency.routing=off'
    [ ! "$BENCH_SELFTEST" ] || options=

    as_admin "$1" psql -q <<-EOF2
	CREATE EXTENSION postgres_fdw;
	CREATE EXTENSION dblink;
	CREATE SERVER peer FOREIGN DATA WRAPPER postgres_fdw
	  OPTIONS (host '127.0.0.1', port '$(port "$2")', dbname 'bench', fetch_size '10000',
	           options '$options');
	CREATE USER MAPPING FOR app SERVER peer OPTIONS (user 'app', password '$app_password');
	GRANT USAGE ON FOREIGN SERVER peer TO app;
	EOF2
}

# make_foreign PRIMARY TABLE COLUMNS: TABLE_fdw, a postgres_fdw table for TABLE at the peer. The
# planner knows as much of it as of TABLE.
make_foreign()
{
    as_admin "$1" psql -q <<-EOF2
	CREATE FOREIGN TABLE $2_fdw ($3) SERVER peer OPTIONS (table_name '$2');
	ALTER FOREIGN TABLE $2_fdw OWNER TO app;
	ANALYZE $2_fdw;
	EOF2
}

# dblink_script QUERY COLUMNS: a pgbench script for QUERY, over one connection a session. The variable
# fresh is 1 at first.
dblink_script()
{
    cat <<-EOF2
	\\if :fresh
	SELECT dblink_connect('link', 'peer');
	\\set fresh 0
	\\endif
	\\set aid random(1, 1000000)
	SELECT * FROM dblink('link', $1) AS t ($2);
	EOF2
}

# make_wide PRIMARY REPLICA…: the table "wide", a million rows of three columns
make_wide()
{
    as_admin "$1" psql -q <<-EOF2
	CREATE TABLE wide AS
	  SELECT i AS a, i * 1000000007::bigint AS b, 'row number ' || i AS c FROM generate_series(1, 1000000) i;
	ALTER TABLE wide ADD PRIMARY KEY (a), OWNER TO app;
	VACUUM (FREEZE, ANALYZE) wide;
	EOF2
    wait_for_replay "$@"
}
