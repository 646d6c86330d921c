# How costs change with the number of tables that have a policy: point reads of a table without one,
# by one session, and by a new session for each read, against a database where no table has one.

counts=(10 100 1000 10000)

start_primary primary "${with_extension[@]}" fsync=off

# make_database N: with as many tables, all with a policy. The plain one has the tables only.
make_database()
{
    local i

    as_admin primary psql -q -c "CREATE DATABASE policies_$1 OWNER app"
    {
        [ "$BENCH_SELFTEST" ] || echo 'CREATE EXTENSION consistency;'
        echo 'CREATE TABLE read (id int PRIMARY KEY, v int); INSERT INTO read SELECT i, i FROM generate_series(1, 10000) i;'
        echo 'GRANT SELECT ON read TO app;'
        for (( i = 1; i <= $2; i++ )); do
            echo "CREATE TABLE t_$i ();"
            [ "$BENCH_SELFTEST" ] || [ "$1" != "$2" ] || echo "SELECT consistency.set_policy('t_$i', 'session');"
        done
        echo 'VACUUM (ANALYZE);'
    } | as_admin primary psql -q -o /dev/null -d "policies_$1"
}
make_database none 10000
for n in "${counts[@]}"; do
    make_database "$n" "$n"
done
printf '\\set id random(1, 10000)\nSELECT v FROM read WHERE id = :id;\n' > "$samples/read.pgbench"

before_round()
{
    restart_warm primary
    pin "$last_cpu" primary
}
# read_in DATABASE OPTION…
read_in()
{
    local database=policies_$1
    shift
    tps_pinned primary -M prepared -f "$samples/read.pgbench" "$@" "$database"
}

arms=()
for n in none "${counts[@]}"; do
    eval "arm_read_$n()  { read_in $n; }
          arm_fresh_$n() { read_in $n -C; }"
    arms+=("read_$n" "fresh_$n")
done
rounds "${arms[@]}"
for n in "${counts[@]}"; do
    growth 'a read, tables with a policy : none' "$n" "read_$n" read_none 'reads/s'
    growth 'connecting and reading, tables with a policy : none' "$n" "fresh_$n" fresh_none 'reads/s'
done
