# How fast a large result comes through: a million rows over a routed query, against the same psql
# at the replica itself, and against a postgres_fdw foreign table on the primary.

start_routed_cluster primary

as_admin primary psql -q <<EOF
CREATE TABLE wide AS SELECT i AS a, i * 1000000007::bigint AS b, 'row number ' || i AS c FROM generate_series(1, 1000000) i;
ALTER TABLE wide OWNER TO app;
VACUUM (FREEZE, ANALYZE) wide;
CREATE EXTENSION postgres_fdw;
CREATE SERVER peer FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host '127.0.0.1', port '$(port primary_r1)', dbname 'bench', fetch_size '10000');
CREATE USER MAPPING FOR app SERVER peer OPTIONS (user 'app', password '$app_password');
CREATE FOREIGN TABLE wide_fdw (a int, b bigint, c text) SERVER peer OPTIONS (table_name 'wide');
GRANT SELECT ON wide_fdw TO app;
EOF
wait_for_replay primary primary_r1 primary_r2

# select_all TABLE SERVER
select_all() { runs_per_second at "$2" psql -XAt -o /dev/null -c "SELECT a, b, c FROM $1"; }

arm_routed() { with_settings '-c consistency.routing=always' select_all wide primary; }
arm_direct() { select_all wide primary_r1; }
arm_fdw()    { with_settings '-c consistency.routing=off' select_all wide_fdw primary; }
arm_local()  { with_settings '-c consistency.routing=off' select_all wide primary; }

rounds routed direct fdw local
ratio 'routed : direct at the replica' routed direct 'million rows/s' '>= 0.8'
ratio 'routed : postgres_fdw' routed fdw 'million rows/s' '>= 1.0'
ratio 'routed : local at the primary' routed local 'million rows/s'
