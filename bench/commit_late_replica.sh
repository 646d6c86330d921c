# What a replica that replays 50 ms late costs commits: one-row updates under session, against
# plain asynchronous replication and against synchronous_commit = remote_apply over both replicas.
# Each cluster has a prompt replica and a late one.


start_primary plain
start_replica plain_r1 plain
start_replica plain_r2 plain $late
start_routed_cluster session $late

cat > "$samples/update.pgbench" <<'EOF'
\set aid random(1, 1000000)
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
EOF

update_at() { tps "$1" -M prepared -f "$samples/update.pgbench"; }
synchronous_standbys()
{
    as_admin plain psql -q -c "ALTER SYSTEM SET synchronous_standby_names = '$1'" -c 'SELECT pg_reload_conf()' > /dev/null
    poll 'standbys' synchronous_are plain "$2"
}
synchronous_are()
{
    [ "$(as_admin "$1" psql -At -c "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")" = "$2" ]
}

arm_async()   { update_at plain; }
arm_session() { with_settings '-c consistency=session' update_at session; }
arm_remote_apply()
{
    synchronous_standbys 'FIRST 2 (plain_r1, plain_r2)' 2
    PGOPTIONS='-c synchronous_commit=remote_apply' update_at plain
    synchronous_standbys '' 0
}

rounds async session remote_apply
ratio 'session : asynchronous' session async 'commits/s' '>= 0.95'
between_peers 'remote_apply : asynchronous' remote_apply async 'commits/s'
