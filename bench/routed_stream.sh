# How fast a large result comes through: a million rows over a routed query, against the same psql
# at the replica itself, and against postgres_fdw and dblink on the primary.

start_routed_cluster primary
make_wide primary primary_r1 primary_r2
make_peers primary primary_r1
make_foreign primary wide 'a int NOT NULL, b bigint, c text'
wait_for_replay primary primary_r1 primary_r2

# select_all FROM SERVER
select_all() { runs_per_second at "$2" psql -XAt -o /dev/null -c "SELECT a, b, c FROM $1"; }

arm_routed() { with_settings '-c consistency.routing=always' select_all wide primary; }
arm_direct() { select_all wide primary_r1; }
arm_fdw()    { with_settings '-c consistency.routing=off' select_all wide_fdw primary; }
arm_dblink()
{
    with_settings '-c consistency.routing=off' \
        select_all "dblink('peer', 'SELECT a, b, c FROM wide') AS t (a int, b bigint, c text)" primary
}
arm_local()  { with_settings '-c consistency.routing=off' select_all wide primary; }

rounds routed direct fdw dblink local
ratio 'routed : direct at the replica' routed direct 'million rows/s' '>= 0.8'
ratio 'routed : postgres_fdw' routed fdw 'million rows/s' '>= 1.0'
ratio 'routed : dblink' routed dblink 'million rows/s'
ratio 'routed : local at the primary' routed local 'million rows/s'
