# What looking for a policy costs a prepared point read of a table that has none, where 10,000 other
# tables have one: the instructions spent on it (the comment hint and the level included), as a part
# of all that the read costs its backend. And the whole read against a server without policies.

policies=10000

start_primary none "${with_extension[@]}"
start_primary many "${with_extension[@]}" fsync=off
if [ ! "$BENCH_SELFTEST" ]; then
    as_admin none psql -q -c 'CREATE EXTENSION consistency'
    as_admin many psql -q -c 'CREATE EXTENSION consistency'
    for (( i = 1; i <= policies; i++ )); do
        echo "CREATE TABLE with_policy_$i (); SELECT consistency.set_policy('with_policy_$i', 'session');"
    done | as_admin many psql -q -o /dev/null
    as_admin many psql -q -c 'VACUUM (ANALYZE) pg_seclabel'
fi
stop none
stop many

lookup='src/session/(policy_cache|policy|declaration|hint|level|lexer)[.]'
instructions_per_query none > "$samples/none"
instructions_per_query many > "$samples/many"
instructions_per_query many "$lookup" > "$samples/lookup"
ratio 'look-up : whole read' lookup many 'instructions/read' '<= 0.01'
ratio '10,000 policies : none' many none 'instructions/read' '<= 1.01'
