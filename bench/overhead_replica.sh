# What the session level costs on a connection to a replica that has already replayed the session's
# token: prepared point reads there, against a replica of the same primary without the extension.

start_primary primary "${with_extension[@]}"
start_replica plain primary
start_replica session primary "${with_extension[@]}"
declare_nodes primary session
wait_for_replay primary plain

# Each client hands its token to its session once, then reads; at the plain replica the same
# script sets a setting that nobody reads.
cat > "$samples/read.pgbench" <<'EOF'
\if :fresh
SELECT set_config(:setting, :token, false);
\set fresh 0
\endif
\set aid random(1, 1000000)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
EOF

token_setting=consistency.token
token_command='SELECT consistency.token()'
[ ! "$BENCH_SELFTEST" ] || { token_setting=bench.token; token_command="SELECT '1:1:0/0'"; }

# A write of our own, so that the token is one that a client would bring.
token=$(at primary psql -qAt -c 'UPDATE pgbench_accounts SET abalance = 1 WHERE aid = 1' -c "$token_command")
[ "$token" ] || { echo "the primary gave no token" >&2; exit 1; }
wait_for_replay primary plain session

before_round()
{
    restart_warm plain session
    pin "$last_cpu" plain session
}

# read_at SERVER SETTING
read_at() { tps_pinned "$1" -M prepared -f "$samples/read.pgbench" -D fresh=1 -D setting="$2" -D token="$token"; }

arm_plain()   { read_at plain bench.token; }
arm_session() { with_settings '-c consistency=session' read_at session "$token_setting"; }

rounds plain session
ratio 'session with a token : replica without' session plain 'reads/s' '>= 0.97'
