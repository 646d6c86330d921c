# How many synchronous rounds linearizable reads take: 32 clients read points at a primary with one
# synchronous standby. A round is one record that the fence writes; it is counted in the log.

clients=32

start_primary primary "${with_extension[@]}" wal_keep_size=4GB
start_replica standby primary
as_admin primary psql -q -c "ALTER SYSTEM SET synchronous_standby_names = 'standby'" -c 'SELECT pg_reload_conf()' > /dev/null
standby_is_synchronous()
{
    [ "$(as_admin primary psql -At -c "SELECT sync_state FROM pg_stat_replication")" = sync ]
}
poll 'the synchronous standby' standby_is_synchronous
[ "$BENCH_SELFTEST" ] || as_admin primary psql -q -c 'CREATE EXTENSION consistency' -c 'CREATE EXTENSION pg_walinspect'

wal_position() { as_admin primary psql -At -c 'SELECT pg_current_wal_flush_lsn()'; }

# Reads in one slice, and to the file "rounds" the fence's records that they took.
arm_reads()
{
    local from reads
    from=$(wal_position)
    reads=$(at primary pgbench -n -S -M prepared -T "$slice" -c $clients -j 2 2>&1 |
        sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p')
    if [ "$BENCH_SELFTEST" ]; then
        echo 1
    else
        as_admin primary psql -At -c "SELECT count(*) FROM pg_get_wal_records_info('$from', '$(wal_position)')
            WHERE resource_manager = 'LogicalMessage'"
    fi >> "$samples/rounds"
    echo "$reads"
}
arm_session() { with_settings '-c consistency=session' tps primary -S -M prepared; }
arm_linearizable() { with_settings '-c consistency=linearizable' tps primary -S -M prepared; }

BENCH_CLIENTS=$clients
PGOPTIONS='-c consistency=linearizable' rounds reads
ratio 'synchronous rounds : linearizable reads' rounds reads 'of 32 clients' '< 0.2'
rounds linearizable session
ratio 'linearizable : session' linearizable session 'reads/s, 32 clients'
