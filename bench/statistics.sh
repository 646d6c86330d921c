# What counting reads costs a prepared point read: with consistency.track_reads and without.

start_primary on "${with_extension[@]}"
start_primary off "${with_extension[@]}" consistency.track_reads=off
for server in on off; do
    [ "$BENCH_SELFTEST" ] || as_admin $server psql -q -c 'CREATE EXTENSION consistency'
    stop $server
done

instructions_per_query on > "$samples/on"
instructions_per_query off > "$samples/off"
ratio 'reads counted : not' on off 'instructions/read' '<= 1.01'
