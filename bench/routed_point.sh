# Routed point reads against pgpool-II, which balances the same reads over the same nodes, and
# against a direct connection to a replica.

start_routed_cluster primary
start_pgpool primary primary_r1 primary_r2

routed='-c consistency=session -c consistency.routing=always'
arm_routed_prepared() { with_settings "$routed" tps primary -S -M prepared; }
arm_routed_simple()   { with_settings "$routed" tps primary -S -M simple; }
arm_pgpool_prepared() { tps pgpool -S -M prepared; }
arm_pgpool_simple()   { tps pgpool -S -M simple; }
arm_direct_prepared() { tps primary_r1 -S -M prepared; }
arm_direct_simple()   { tps primary_r1 -S -M simple; }

scans_before=$(scans_at primary)
rounds routed_prepared pgpool_prepared direct_prepared routed_simple pgpool_simple direct_simple
scans_after=$(scans_at primary)

ratio 'prepared, routed : pgpool' routed_prepared pgpool_prepared 'reads/s' '>= 2.0'
ratio 'simple, routed : pgpool' routed_simple pgpool_simple 'reads/s' '>= 1.2'
ratio 'prepared, routed : direct' routed_prepared direct_prepared 'reads/s'
ratio 'prepared, pgpool : direct' pgpool_prepared direct_prepared 'reads/s'
ratio 'simple, routed : direct' routed_simple direct_simple 'reads/s'
ratio 'simple, pgpool : direct' pgpool_simple direct_simple 'reads/s'

# A read that fell back to the primary would flatter us.
[ "$scans_before" = "$scans_after" ] ||
    note "$(( scans_after - scans_before )) reads ran at the primary itself"
