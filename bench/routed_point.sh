# Routed point reads against other ways to a replica: pgpool-II, which balances the same reads over
# the same nodes, postgres_fdw and dblink at the primary; and against a direct connection.

start_routed_cluster primary
start_pgpool pgpool 0 '' primary primary_r1 primary_r2  # reads at the replicas alone, as routing does
make_peers primary primary_r1
make_foreign primary pgbench_accounts 'aid int NOT NULL, bid int, abalance int, filler char(84)'
wait_for_replay primary primary_r1 primary_r2

printf '\\set aid random(1, 1000000)\nSELECT abalance FROM pgbench_accounts_fdw WHERE aid = :aid;\n' > "$samples/fdw.pgbench"
dblink_script "'SELECT abalance FROM pgbench_accounts WHERE aid = ' || :aid" 'abalance int' > "$samples/dblink.pgbench"

routed='-c consistency=session -c consistency.routing=always'
at_home='-c consistency.routing=off'
arm_routed_prepared() { with_settings "$routed" tps primary -S -M prepared; }
arm_routed_simple()   { with_settings "$routed" tps primary -S -M simple; }
arm_pgpool_prepared() { tps pgpool -S -M prepared; }
arm_pgpool_simple()   { tps pgpool -S -M simple; }
arm_direct_prepared() { tps primary_r1 -S -M prepared; }
arm_direct_simple()   { tps primary_r1 -S -M simple; }
arm_fdw_prepared()    { with_settings "$at_home" tps primary -M prepared -f "$samples/fdw.pgbench"; }
arm_fdw_simple()      { with_settings "$at_home" tps primary -M simple -f "$samples/fdw.pgbench"; }
arm_dblink_prepared() { with_settings "$at_home" tps primary -M prepared -D fresh=1 -f "$samples/dblink.pgbench"; }

scans_before=$(scans_at primary)
rounds routed_prepared pgpool_prepared direct_prepared fdw_prepared dblink_prepared \
    routed_simple pgpool_simple direct_simple fdw_simple
scans_after=$(scans_at primary)

ratio 'prepared, routed : pgpool' routed_prepared pgpool_prepared 'reads/s' '>= 2.0'
ratio 'simple, routed : pgpool' routed_simple pgpool_simple 'reads/s' '>= 1.2'
ratio 'prepared, routed : postgres_fdw' routed_prepared fdw_prepared 'reads/s'
ratio 'simple, routed : postgres_fdw' routed_simple fdw_simple 'reads/s'
ratio 'prepared, routed : dblink' routed_prepared dblink_prepared 'reads/s'
ratio 'prepared, routed : direct' routed_prepared direct_prepared 'reads/s'
between_peers 'prepared, pgpool : direct' pgpool_prepared direct_prepared 'reads/s'
ratio 'simple, routed : direct' routed_simple direct_simple 'reads/s'
between_peers 'simple, pgpool : direct' pgpool_simple direct_simple 'reads/s'

# A read that fell back to the primary would flatter us.
[ "$scans_before" = "$scans_after" ] ||
    note "$(( scans_after - scans_before )) reads ran at the primary itself"
