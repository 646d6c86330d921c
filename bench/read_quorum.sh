# What it takes to ask a quorum ahead of a read: point reads at one of two replicas, against a round
# trip to another node, which a client of its own makes with the question that is asked; and how many
# of these questions many clients share.

clients=16

start_primary primary "${with_extension[@]}"
start_replica near primary "${with_extension[@]}"
start_replica far primary "${with_extension[@]}" track_functions=all
declare_nodes primary primary near far
wait_for_replay primary near far

echo "SELECT instance, system_identifier, in_recovery, timeline, \"position\", caught_up FROM consistency.node_status();" \
    > "$samples/trip.pgbench"
[ ! "$BENCH_SELFTEST" ] || echo 'SELECT 1;' > "$samples/trip.pgbench"

questions()
{
    as_admin far psql -At -c "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'node_status'"
}

# Reads in one slice, and to the file "questions" how often the other replica was asked meanwhile.
arm_reads()
{
    local before reads
    before=$(questions)
    reads=$(at near pgbench -n -S -M prepared -T "$slice" -c $clients -j 2 2>&1 |
        sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p')
    sleep 11                                # idle backends have told their counts by then
    echo $(( $(questions) - before + 1 )) >> "$samples/questions"
    echo "$reads"
}
arm_one() { BENCH_CLIENTS=1 with_settings '-c consistency.read_quorum=one' tps near -S -M prepared; }
arm_quorum() { BENCH_CLIENTS=1 with_settings '-c consistency.read_quorum=quorum' tps near -S -M prepared; }
arm_all() { BENCH_CLIENTS=1 with_settings '-c consistency.read_quorum=all' tps near -S -M prepared; }
arm_trip() { BENCH_CLIENTS=1 tps far -f "$samples/trip.pgbench"; }
arm_many_quorum() { BENCH_CLIENTS=$clients with_settings '-c consistency.read_quorum=quorum' tps near -S -M prepared; }
arm_many_one() { BENCH_CLIENTS=$clients tps near -S -M prepared; }

rounds quorum all one trip
ratio 'reads after two of three answered : round trips' quorum trip '/s, 1 client'
ratio 'reads after all three answered : after two' all quorum '/s, 1 client'
ratio 'reads after two of three answered : plain reads' quorum one '/s, 1 client'
rounds many_quorum many_one
ratio 'reads after two of three answered : plain reads, many clients' many_quorum many_one "/s, $clients clients"
BENCH_ROUNDS=2
[ ! "$BENCH_SELFTEST" ] || questions() { echo 0; }
PGOPTIONS=$([ "$BENCH_SELFTEST" ] || echo '-c consistency.read_quorum=quorum') rounds reads
ratio 'questions : reads that ask a quorum' questions reads "of $clients clients" '< 0.5'
