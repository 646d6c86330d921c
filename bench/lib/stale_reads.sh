# The client that counts stale reads, and reads that go backwards: bench/clients/stale_reads.c.

stale_reads=$BENCH_WORK/stale_reads

# prepare_stale_reads PRIMARY…: compiles the client, and makes its table there
prepare_stale_reads()
{
    local primary

    [ -x "$stale_reads" ] || compile_stale_reads
    for primary in "$@"; do
        at "$primary" psql -q \
            -c 'CREATE TABLE registers (id int PRIMARY KEY, v bigint NOT NULL) WITH (fillfactor = 10)' \
            -c 'INSERT INTO registers SELECT i, 0 FROM generate_series(1, 100) i'
    done
}

# libpq is found where the extension found it.
compile_stale_reads()
{
    local flags=()

    read -ra flags < <(pkg-config --cflags --libs libpq 2> /dev/null || echo -lpq) || true
    "${CC:-cc}" -O2 -o "$stale_reads" "$BENCH_WORK/bench/clients/stale_reads.c" -pthread \
        -I"$(pg_config --includedir)" -L"$(pg_config --libdir)" "${flags[@]}"
}

# count_reads ARM OPTION… WORKLOAD: runs the client for a slice. Prints the statements that it got
# done in a second; leaves in samples of their own, ARM_stale and ARM_backwards, what percentage of
# the reads was so, and in ARM_writes and ARM_reads how many there were in a second.
count_reads()
{
    local arm=$1
    shift

    at plain "$stale_reads" -s "$slice" "$@" > "$samples/counts"
    awk '{ print 100 * $4 / $2 > stale; print 100 * $6 / $2 > backwards; print $2 / $10 > reads; print $8 / $10 > writes
           print ($2 + $8) / $10 }' stale="$samples/stale" backwards="$samples/backwards" reads="$samples/reads" \
        writes="$samples/writes" "$samples/counts"
    local measure
    for measure in stale backwards reads writes; do
        cat "$samples/$measure" >> "$samples/${arm}_$measure"
    done
}

# to SERVER [SETTING=VALUE…]: a connection string. Settings of the extension are left out in the self-test.
to()
{
    local server=$1 setting options=
    shift

    for setting in "$@"; do
        [[ $BENCH_SELFTEST && $setting = consistency* ]] || options+=" -c $setting"
    done
    echo "port=$(port "$server") options='$options'"
}
