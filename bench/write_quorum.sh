# What consistency.write_quorum costs one-row updates on a primary with two replicas: against
# PostgreSQL's own synchronous replication that waits for as many of them (ANY 1, ANY 2 with
# remote_apply), and, where it is "one", against a cluster without the extension.

start_primary plain
start_replica plain_r1 plain
start_replica plain_r2 plain
start_routed_cluster q

cat > "$samples/update.pgbench" <<'EOT'
\set aid random(1, 1000000)
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
EOT

update_at() { tps "$1" -M prepared -f "$samples/update.pgbench"; }
synchronous_standbys()
{
    as_admin q psql -q -c "ALTER SYSTEM SET synchronous_standby_names = '$1'" -c 'SELECT pg_reload_conf()' > /dev/null
    poll 'standbys' synchronous_are "$2"
}
synchronous_are()
{
    [ "$(as_admin q psql -At -c "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'")" = "$1" ]
}
# updates that wait for any so many of the replicas, in PostgreSQL's own way
wait_for_any()
{
    synchronous_standbys "ANY $1 (q_r1, q_r2)" 2
    PGOPTIONS='-c synchronous_commit=remote_apply' update_at q
    synchronous_standbys '' 0
}

arm_plain()  { update_at plain; }
arm_one()    { with_settings '-c consistency.write_quorum=one' update_at q; }
arm_any_1()  { wait_for_any 1; }
arm_quorum() { with_settings '-c consistency.write_quorum=quorum' update_at q; }
arm_any_2()  { wait_for_any 2; }
arm_all()    { with_settings '-c consistency.write_quorum=all' update_at q; }

rounds plain one any_1 quorum any_2 all
ratio 'W = quorum : ANY 1, remote_apply' quorum any_1 'commits/s' '>= 0.91'
ratio 'W = all : ANY 2, remote_apply' all any_2 'commits/s' '>= 0.91'
ratio 'W = one : without the extension' one plain 'commits/s' '>= 0.98'
