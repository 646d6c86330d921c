# consistency.verify_nodes(): finds what was changed behind replication's back,
# and nothing else, whatever goes on meanwhile.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use Fcntl qw(SEEK_SET);
use PostgreSQL::Test::Utils;
use Test::More;

use constant BLOCK => 8192;

# "late" replays 40 ms after the commit.
# Vacuum after a checkpoint logs whole pages, and would heal what is damaged here.
my $cluster = ConsistencyCluster->new(
	conf => "autovacuum = off\n",
	replicas => [ { name => 'near' }, { name => 'late', delay => '40ms' } ]);
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);

$dba->do('GRANT pg_monitor TO app');

# One verification: its number, "equal" (t, f or undef), differences.
sub verify
{
	my ($session, $arguments) = @_;
	return $session->row("CALL consistency.verify_nodes($arguments)");
}

sub is_equal
{
	my ($arguments, $what) = @_;
	my $row = verify($app, $arguments);
	is_deeply([ $row->{equal}, $row->{differences} ], [ 't', '0' ], $what)
	  or diag(join "\n", found($row), states($row));
	return $row;
}

# What a verification has found, a line for each.
sub found
{
	my ($row) = @_;
	return map { join ' ', map { $_ // '-' } @$_ } @{ $app->query(
		"SELECT node, relation, difference, key, array_to_string(columns, ',')"
		  . " FROM consistency.differences WHERE verification = $row->{verification}"
		  . ' ORDER BY node, relation::text, place, difference')->{rows} };
}

sub states
{
	my ($row) = @_;
	return map { join ' ', map { $_ // '-' } @$_ } @{ $app->query(
		'SELECT node, state, equal, failure FROM consistency.verifications'
		  . " WHERE verification = $row->{verification} ORDER BY node")->{rows} };
}

sub code { my ($session, $sql) = @_; return ($session->query($sql)->{error} // {})->{code} // ''; }

# --- tables of all kinds --------------------------------------------------

$app->do('CREATE TABLE plain (id int PRIMARY KEY, v text, n numeric, dropped text, added int)');
$app->do("INSERT INTO plain SELECT g, 'needle ' || g, g / 7.0, 'x' FROM generate_series(1, 20000) g");
$app->do('ALTER TABLE plain DROP dropped');
$app->do('ALTER TABLE plain ADD late int DEFAULT 7');
$app->do('CREATE TABLE composite (a int, "B b" text, v text, PRIMARY KEY (a, "B b"))');
$app->do("INSERT INTO composite SELECT g % 10, 'it''s ' || g, 'value ' || g FROM generate_series(1, 1000) g");
$app->do('CREATE TABLE keyless (v text)');
$app->do("INSERT INTO keyless SELECT 'keyless ' || g FROM generate_series(1, 1000) g");
$app->do('CREATE TABLE long (id int PRIMARY KEY, v text)');
$app->do('ALTER TABLE long ALTER v SET STORAGE EXTERNAL');
$app->do("INSERT INTO long SELECT g, 'begin ' || g || repeat('0123456789', 2000) || 'end ' || g FROM generate_series(1, 50) g");
$app->do('CREATE TABLE parted (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)');
$app->do("CREATE TABLE parted_$_ PARTITION OF parted FOR VALUES FROM (${_}000) TO (${_}999)") for 1 .. 3;
$app->do("INSERT INTO parted SELECT g, 'part ' || g FROM generate_series(1000, 3900) g WHERE g % 1000 < 900");
$app->do('CREATE TABLE empty (id int)');
$app->do('CREATE TABLE no_columns ()');
$app->do('INSERT INTO no_columns DEFAULT VALUES');
$app->do('CREATE MATERIALIZED VIEW mat AS SELECT id, v FROM plain');
my @tables = qw(plain composite keyless long parted empty no_columns mat);

is_equal("'$_'", "$_: equal") for @tables;
{
	my $row = is_equal(q{'plain', sample => 0.3}, 'a sample: equal');
	my $blocks = $app->row(
		'SELECT sum(blocks) AS blocks, sum(skipped) AS skipped, min(rows) AS rows FROM consistency.verifications'
		  . " WHERE verification = $row->{verification}");
	my $all = $app->value("SELECT 2 * pg_relation_size('plain') / " . BLOCK);
	is($blocks->{blocks} + $blocks->{skipped}, $all, '... compared or skipped, each block counts');
	$row = is_equal(q{'plain', nodes => '{near}'}, 'one node: equal');
	is_deeply([ states($row) ], ['near done t -'], '... and no other one');
	is($app->value("SELECT rows FROM consistency.verifications WHERE verification = $row->{verification}"),
		20000, '... all rows were compared');
}

# --- who may, and what ------------------------------------------------------

{
	my $other = $cluster->connect('primary', user => 'other');
	is(code($other, q{CALL consistency.verify_nodes('plain')}), '42501', 'not everybody');
	$dba->do('GRANT pg_monitor TO other');
	is(code($other, q{CALL consistency.verify_nodes('plain')}), '42501', 'nor who may not read the table');
	$app->do('GRANT SELECT (id, v, n) ON plain TO other');
	is(code($other, q{CALL consistency.verify_nodes('plain')}), '42501', '... nor all of its columns');
	$app->do('GRANT SELECT ON plain, parted TO other');
	is(verify($other, "'plain'")->{equal}, 't', 'but who may read it all');
	is(verify($other, "'parted'")->{equal}, 't', '... and partitions by right of the whole');
	is(code($other, q{CALL consistency.verify_nodes('parted_1')}), '42501', '... which is none to one partition');
	$app->do('ALTER TABLE plain ENABLE ROW LEVEL SECURITY');
	is(code($other, q{CALL consistency.verify_nodes('plain')}), '42501', 'not whom row security hides rows from');
	is_equal("'plain'", '... whom it does not: equal');
	$app->do('ALTER TABLE plain DISABLE ROW LEVEL SECURITY');

	my $mine = verify($app, "'plain'");
	is($other->value("SELECT count(*) FROM consistency.verifications WHERE verification = $mine->{verification}"),
		0, "others' verifications are not shown");
	is(code($other, "CALL consistency.verify_nodes('plain', verification => $mine->{verification})"),
		'42704', '... nor gone on with');
	is(code($other, 'SELECT * FROM consistency.verification_findings'), '42501', '... nor their tables');
	$other->close;

	# Operators of the caller's must not run with the owner's rights.
	my $session = $cluster->connect('primary');
	$session->do('CREATE SCHEMA evil');
	$session->do('CREATE FUNCTION evil.eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS '
		  . q{$$BEGIN RAISE EXCEPTION 'evil ran as %', current_user; END$$});
	$session->do('CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.eq)');
	$session->do('SET search_path = evil, pg_catalog, public');
	is(verify($session, "'public.plain'")->{equal}, 't', "the caller's search_path has no say");
	$session->close;

	# Nor are our own tables written as by logical replication.
	$dba->do('GRANT SET ON PARAMETER session_replication_role TO app');
	$session = $cluster->connect('primary');
	$session->do('SET session_replication_role = replica');
	my $row = verify($session, "'plain'");
	is_deeply([ $row->{equal}, states($row) ], [ 't', 'late done t -', 'near done t -' ],
		'nor has session_replication_role');
	is($session->value('SHOW session_replication_role'), 'replica', '... which stays');
	$session->close;

	is(code($app, q{BEGIN; CALL consistency.verify_nodes('plain')}), '25001', 'not in a transaction block');
	$app->do('ROLLBACK');
	is(code($dba, q{CALL consistency.verify_nodes('pg_class')}), '42809', 'no catalog');
	is(code($app, q{CALL consistency.verify_nodes('plain_pkey')}), '42809', 'no index');
	$app->do('CREATE UNLOGGED TABLE unlogged (i int)');
	is(code($app, q{CALL consistency.verify_nodes('unlogged')}), '42809', 'no unlogged table');
	is(code($app, q{CALL consistency.verify_nodes('plain', nodes => '{nowhere}')}), '42704', 'no unknown node');
	is(code($app, "CALL consistency.verify_nodes('plain', sample => $_)"), '22023', "no sample of $_")
	  for '0', '1.5', q{'NaN'};
	is(code($app, q{CALL consistency.verify_nodes(NULL)}), '22004', 'no table NULL');
	is(code($app, q{CALL consistency.verify_nodes('plain', verification => 987654)}), '42704', 'no unknown number');
	$mine = verify($app, "'plain'");
	is(code($app, "CALL consistency.verify_nodes('composite', verification => $mine->{verification})"),
		'22023', 'not a number of another table');
	is(code($app, 'SELECT * FROM consistency.block_digests(1, 1, 0, 1, 2)'), '55000',
		'the primary has no snapshot of a replica');
}

# --- at a replica -----------------------------------------------------------

{
	my $near = $cluster->connect('near');
	is(verify($near, "'composite'")->{equal}, 't', 'called at a replica, it runs at the primary');
	$near->do('SET consistency.write_forwarding = off');
	is(code($near, q{CALL consistency.verify_nodes('composite')}), '25006', '... or not at all');
	$near->close;
}

# --- a replica that doesn't come along ------------------------------------------

{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.wait_timeout = '300ms'");
	$cluster->pause('near');
	$app->do("UPDATE composite SET v = 'changed' WHERE a = 1");
	my $row = verify($session, "'composite'");
	is_deeply([ $row->{equal}, $row->{differences} ], [ undef, '0' ], 'a replica that is paused: not known');
	my @states = states($row);
	is($states[0], 'late done t -', '... the other one is equal');
	like($states[1], qr/^near failed - .*did not reach position/, '... and why is told');
	$cluster->resume('near');
	$row = verify($session, "'composite', verification => $row->{verification}");
	is_deeply([ $row->{equal}, states($row) ], [ 't', 'late done t -', 'near done t -' ], '... going on: equal');
	$session->close;
}

# --- while everything changes -------------------------------------------------

{
	my $node = $cluster->primary;
	$dba->do('CREATE TABLE hot (id int PRIMARY KEY, v int, filler text) WITH (fillfactor = 50)');
	$dba->do("INSERT INTO hot SELECT g, 0, repeat('x', 200) FROM generate_series(1, 3000) g");
	$dba->do('GRANT ALL ON hot TO app');
	my $script = $node->basedir . '/hot.sql';
	append_to_file($script, <<'SQL');
\set a random(1, 3000)
\set b random(1, 3000)
\set k random(1, 10)
UPDATE hot SET v = v + 1 WHERE id = 1;
BEGIN;
SAVEPOINT one;
UPDATE hot SET v = v + 1 WHERE id = :a;
SAVEPOINT two;
UPDATE hot SET v = v + 1, filler = repeat('y', 200) WHERE id = :b;
\if :k > 5
ROLLBACK TO two;
\endif
DELETE FROM hot WHERE id = :b;
INSERT INTO hot VALUES (:b, :k, 'again') ON CONFLICT DO NOTHING;
\if :k > 7
ROLLBACK;
\else
COMMIT;
\endif
SQL
	# so many subtransactions that a snapshot can't have them all
	my $many = $node->basedir . '/many.sql';
	append_to_file($many, <<'SQL');
DO $$BEGIN
    FOR i IN 1 .. 100 LOOP
        BEGIN
            UPDATE hot SET v = v + 1 WHERE id = 5000 + i;
            INSERT INTO hot VALUES (5000 + i, 0, 'sub') ON CONFLICT DO NOTHING;
            IF i % 3 = 0 THEN RAISE division_by_zero; END IF;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END LOOP;
    PERFORM pg_sleep(0.02);
END$$;
SQL
	my $vacuum = $node->basedir . '/vacuum.sql';
	append_to_file($vacuum, "VACUUM hot;\nSELECT pg_sleep(0.05);\n");
	my @load = map {
		IPC::Run::start([ 'pgbench', '-n', '-f', $_->[0], '-c', $_->[1], '-T', 600, '--max-tries=1000',
				'-h', $node->host, '-p', $node->port, 'postgres' ],
			'>', \my $out, '2>', \my $err)
	} [ $script, 2 ], [ $many, 1 ], [ $vacuum, 1 ];
	$node->poll_query_until('postgres', 'SELECT max(v) > 10 FROM hot WHERE id = 1');

	# a prepared transaction stays open all the time, and another one each round
	$dba->do('BEGIN; UPDATE hot SET v = -1 WHERE id = 4001; INSERT INTO hot VALUES (4001, 1); PREPARE TRANSACTION \'open\'');
	foreach my $round (1 .. 8)
	{
		my $before = $dba->value('SELECT pg_current_wal_insert_lsn()');
		$dba->do("BEGIN; INSERT INTO hot VALUES (4100 + $round, 1); PREPARE TRANSACTION 'round'");
		is_equal("'hot'", "round $round: equal under load");
		$dba->do("COMMIT PREPARED 'round'");
		cmp_ok($dba->value("SELECT pg_current_wal_insert_lsn() - '$before'"), '>', 10000, '... and there was some');
		$node->safe_psql('postgres',
			$round == 3 ? 'CLUSTER hot USING hot_pkey'
			: $round == 5 ? 'BEGIN; CREATE TEMP TABLE keep AS SELECT * FROM hot; TRUNCATE hot; INSERT INTO hot SELECT * FROM keep; COMMIT'
			: $round == 6 ? 'ALTER TABLE hot ALTER v TYPE bigint' : 'SELECT 1')
		  if $round == 3 || $round == 5 || $round == 6 and settle_prepared();
	}
	$_->signal('TERM') for @load;
	$_->finish for @load;
	is_equal("'hot'", 'after the load: equal');

	# What holds a lock on the table must be gone for a rewrite.
	sub settle_prepared
	{
		$dba->do("COMMIT PREPARED 'open'") if $dba->value("SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'open'");
		return 1;
	}
}

# A table that is rewritten all the time: equal, or not known, but never different.
{
	$dba->do('CREATE TABLE rewritten (id int PRIMARY KEY, v text)');
	$dba->do("INSERT INTO rewritten SELECT g, repeat('r', 500) FROM generate_series(1, 20000) g");
	$dba->do('GRANT ALL ON rewritten TO app');
	my $script = $cluster->primary->basedir . '/rewrite.sql';
	append_to_file($script, <<'SQL');
CLUSTER rewritten USING rewritten_pkey;
BEGIN; TRUNCATE rewritten; INSERT INTO rewritten SELECT g, repeat('r', 500) FROM generate_series(1, 20000) g; COMMIT;
SELECT pg_sleep(0.3);
SQL
	my $load = IPC::Run::start([ 'pgbench', '-n', '-f', $script, '-c', 1, '-T', 600, '-h', $cluster->primary->host, '-p',
			$cluster->primary->port, 'postgres' ], '>', \my $out, '2>', \my $err);
	my $sure = 0;
	foreach my $round (1 .. 4)
	{
		my $row = verify($app, q{'rewritten', nodes => '{near}'});
		isnt($row->{equal} // '', 'f', "rewritten all the time, round $round: nothing differs")
		  or diag(found($row));
		$sure += ($row->{equal} // '') eq 't';
	}
	$load->signal('TERM');
	$load->finish;
	note("sure: $sure");
	is_equal("'rewritten'", 'rewritten no more: equal');
}

# --- rows changed behind replication's back -------------------------------------

# Changes a block of a table's file, of a server that is stopped.
sub edit_block
{
	my ($name, $path, $block, $edit) = @_;
	my $file = $cluster->node($name)->data_dir . "/$path";
	open my $handle, '+<:raw', $file or die "$file: $!";
	seek $handle, $block * BLOCK, SEEK_SET;
	read($handle, my $page, BLOCK) == BLOCK or die "$file has no block $block";
	my $before = $page;
	$edit->(\$page);
	die 'nothing was changed' if $page eq $before;
	seek $handle, $block * BLOCK, SEEK_SET;
	print $handle $page;
	close $handle or die $!;
	return;
}

# Where a row is: file, block, number in it.
sub place_of
{
	my ($table, $condition) = @_;
	my ($path, $ctid) = @{ $dba->query("SELECT pg_relation_filepath(tableoid), ctid FROM $table WHERE $condition")->{rows}[0] };
	my ($block, $number) = $ctid =~ /^\((\d+),(\d+)\)$/;
	return ($path, $block, $number);
}

# An item of a page: where its line pointer is, its offset and length.
sub item
{
	my ($page, $number) = @_;
	my $where = 24 + 4 * ($number - 1);
	my $pointer = unpack 'V', substr $$page, $where, 4;
	return ($where, $pointer & 0x7fff, $pointer >> 17);
}

# Overwrites bytes of a row by others.
sub change_row
{
	my ($name, $place, $from, $to) = @_;
	my ($path, $block, $number) = @$place;
	edit_block($name, $path, $block, sub {
		my ($page) = @_;
		my (undef, $offset, $length) = item($page, $number);
		my $row = substr $$page, $offset, $length;
		$row =~ s/\Q$from\E/$to/ or die "\"$from\" is not in the row";
		substr($$page, $offset, $length) = $row;
	});
	return;
}

# Makes a row's line pointer an unused one.
sub drop_row
{
	my ($name, $place) = @_;
	my ($path, $block, $number) = @$place;
	edit_block($name, $path, $block, sub {
		my ($page) = @_;
		my ($where) = item($page, $number);
		substr($$page, $where, 4) = "\0\0\0\0";
	});
	return;
}

# Everything is in the files, and won't be replayed again.
sub stop_written
{
	my ($name) = @_;
	$dba->do('CHECKPOINT');
	$cluster->wait_replayed($name);
	$cluster->sql($name, 'CHECKPOINT');
	$cluster->node($name)->stop;
	return;
}

$dba->do('CREATE TABLE ticks (i int); INSERT INTO ticks VALUES (1)');

# Small commits, one after the other.
sub ticking
{
	my $node = $cluster->primary;
	my $script = $node->basedir . '/tick.sql';
	append_to_file($script, "UPDATE ticks SET i = i + 1;\nSELECT pg_sleep(0.005);\n") unless -e $script;
	my $load = IPC::Run::start([ 'pgbench', '-n', '-f', $script, '-c', 1, '-T', 600, '-h', $node->host, '-p',
			$node->port, 'postgres' ], '>', \my $out, '2>', \my $err);
	my $before = $node->safe_psql('postgres', 'SELECT i FROM ticks');
	$node->poll_query_until('postgres', "SELECT i > $before FROM ticks");
	return $load;
}

$app->do('CREATE TABLE damaged (id int PRIMARY KEY, v text)');
$app->do("INSERT INTO damaged SELECT g, repeat('d', 100) || g FROM generate_series(1, 500) g");
$app->do('CREATE TABLE wide (id int PRIMARY KEY, v text)');
$app->do("INSERT INTO wide SELECT g, repeat('w', 1900) || g FROM generate_series(1, 12000) g");
$app->do('CREATE TABLE named (name text PRIMARY KEY)');
$app->do("INSERT INTO named SELECT 'key ' || g FROM generate_series(1, 10) g");
$app->do(q{CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')});
$app->do('CREATE TABLE moods (m mood PRIMARY KEY)');
$app->do(q{INSERT INTO moods VALUES ('sad'), ('ok'), ('happy')});
# All rows, so that reading them sets no hint bits, which would heal what is damaged
# below: a replica's feedback may hold that up for a moment.
my @frozen = (@tables, qw(damaged wide named moods));
my $xid = $dba->value('SELECT pg_current_xact_id()::xid');
wait_until(
	sub {
		$dba->do('VACUUM FREEZE ' . join ', ', @frozen);
		return $dba->value("SELECT bool_and(age(relfrozenxid) <= age('$xid'::xid)) FROM pg_class WHERE relkind = 'r' AND oid = ANY ('{"
			  . join(',', @frozen) . "}'::regclass[])") eq 't';
	},
	'all rows are frozen');
# Nobody reads this one, so that its first reader sets hint bits, which the test's
# servers log (wal_log_hints), with the page.
$dba->do('CREATE TABLE unread (id int PRIMARY KEY, v text)');
$dba->do("INSERT INTO unread VALUES (1, 'unread 1')");
$dba->do('GRANT SELECT ON unread TO app');
my ($zeroed_path, $zeroed_block) = place_of('mat', 'id = 5000');
my $zeroed_rows = $dba->value("SELECT count(*) FROM mat WHERE ctid >= '($zeroed_block,0)' AND ctid < '(" . ($zeroed_block + 1) . ",0)'");
my $toast = $dba->value("SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'long'");
{
	my @plain = place_of('plain', 'id = 777');
	my @plain_dropped = place_of('plain', 'id = 1234');
	my @composite = place_of('composite', q{"B b" = 'it''s 17'});
	my @keyless = place_of('keyless', "v = 'keyless 500'");
	my @part = place_of('parted', 'id = 2222');
	my @long = place_of($toast, q{chunk_data LIKE '%end 30'::bytea});
	my @header = place_of('damaged', 'id = 1');
	my @length = place_of('damaged', 'id = 400');
	my $keyless = "ctid = '($keyless[1],$keyless[2])'";

	my @named = place_of('named', "name = 'key 7'");
	my @mood = place_of('moods', "m = 'ok'");
	my $ok = $dba->value("SELECT oid FROM pg_enum WHERE enumlabel = 'ok'");
	my @unread = ($dba->value("SELECT pg_relation_filepath('unread')"), 0, 1);

	stop_written('near');
	change_row('near', \@unread, 'unread 1', 'unread X');
	change_row('near', \@plain, 'needle 777', 'needle 77X');
	drop_row('near', \@plain_dropped);
	change_row('near', \@composite, 'value 17', 'value 71');
	change_row('near', \@keyless, 'keyless 500', 'keyless 5OO');
	change_row('near', \@part, 'part 2222', 'part 222X');
	change_row('near', \@long, 'end 30', 'end 3X');
	change_row('near', \@named, 'key 7', "key \xFF");
	change_row('near', \@mood, pack('V', $ok), pack('V', 99));
	edit_block('near', $zeroed_path, $zeroed_block, sub { ${ $_[0] } = "\0" x BLOCK });
	# pd_lower beyond the page
	edit_block('near', $header[0], $header[1], sub { substr(${ $_[0] }, 12, 2) = pack 'v', 65000 });
	# the value's length, in its first byte, to 4 bytes of it that say a lot
	edit_block('near', $length[0], $length[1], sub {
		my ($page) = @_;
		my (undef, $offset) = item($page, $length[2]);
		substr($$page, $offset + 28, 4) = pack 'V', 900_000_000 << 2;
	});
	$cluster->node('near')->start;
	$cluster->wait_all_up;

	is_deeply([ found(verify($app, "'plain'")) ],
		[ "near plain different id = '777' v", "near plain missing_there id = '1234' " =~ s/ $/ -/r ],
		'a changed row and one that is gone are found, and nothing else');
	is_deeply([ found(verify($app, "'composite'")) ],
		[ qq{near composite different a = '7' AND "B b" = 'it''s 17' v} ], 'by a key of several columns');
	is_deeply([ found(verify($app, "'keyless'")) ], [ "near keyless different $keyless v" ], 'without a key');
	is_deeply([ found(verify($app, "'parted'")) ], [ q{near parted_2 different id = '2222' v} ], 'in a partition');
	is_deeply([ found(verify($app, "'long'")) ], [ q{near long different id = '30' v} ], 'in a value that is kept elsewhere');
	my @found = found(verify($app, "'mat'"));
	is(scalar(grep { /^near mat missing_there / } @found), $zeroed_rows, 'a block of zeros: all of its rows are missing');
	is(scalar @found, $zeroed_rows, '... and nothing else');

	my $row = verify($app, "'mat', max_differences => 2");
	is_deeply([ $row->{equal}, $row->{differences}, states($row) ],
		[ 'f', 2, 'late done t -', 'near stopped f -' ], 'enough is enough');

	is_deeply([ found(verify($app, "'named'")) ], [ q{near named different name = 'key 7' name} ],
		'a key that is no text in any encoding is found');
	$row = verify($app, "'moods'");
	is_deeply([ found($row) ], [ 'near moods unreadable_there - -' ], 'a key that can not be written is found')
	  or diag(states($row));

	$row = verify($app, "'damaged'");
	is_deeply([ found($row) ],
		[ "near damaged unreadable_there - -", "near damaged unreadable_there - -" ], 'blocks that can not be read are found');
	my $details = $app->query('SELECT place, detail FROM consistency.differences WHERE verification = '
		  . "$row->{verification} ORDER BY place")->{rows};
	is($details->[0][0], '(0,0)', '... which, the first');
	like($details->[0][1], qr/invalid page in block 0/, '... why');
	is($details->[1][0], "($length[1],0)", '... and the second');
	like($details->[1][1], qr/row \($length[1],$length[2]\) is damaged/, '... why');
	is($cluster->sql('near', 'SELECT count(*) FROM composite'), 1000, '... and the replica is still there');
	is_equal("'hot'", 'a table that was left alone: equal');

	# Others' commits flush what is logged, so that it may be mended between two steps.
	my $ticks = ticking();
	@found = found(verify($app, "'unread'"));
	$ticks->signal('TERM');
	$ticks->finish;
	is(scalar @found, 1, 'what our own reading mends is told all the same');
	like($found[0], qr/^near unread (different id = '1' v|vanished - -)$/, '... in this way or that');
	is_equal("'unread'", '... it is mended');

	# Whoever writes the row again, has it replicated again.
	$app->do("UPDATE keyless SET v = 'mended' WHERE v = 'keyless 500'");
	is_equal("'keyless'", 'mended: equal');
}

# --- a row that only the primary has lost ---------------------------------------

{
	my @place = place_of('composite', q{"B b" = 'it''s 500'});
	my @named = place_of('named', "name = 'key 3'");
	$dba->do('CHECKPOINT');
	$_->close for $app, $dba;
	$cluster->primary->stop;
	drop_row('primary', \@place);
	change_row('primary', \@named, 'key 3', "key \xFF");
	$cluster->primary->start;
	$cluster->wait_all_up;
	$app = $cluster->connect('primary');
	$dba = $cluster->connect('primary', user => $cluster->superuser);
	is_deeply([ found(verify($app, q{'named', nodes => '{late}'})) ],
		[ q{late named different name = 'key ?' name} ], 'a key that is no text at the primary: as far as it can be shown');
	is_deeply([ found(verify($app, q{'composite', nodes => '{late}'})) ],
		[ q{late composite missing_here a = '0' AND "B b" = 'it''s 500' -} ], 'a row that only the primary has lost');
}

# --- cancelled, failed over, gone on with -----------------------------------------

{
	# rows at both ends of the table
	my @first = place_of('wide', 'id = 10');
	my @last = place_of('wide', 'id = 11990');
	stop_written('late');
	change_row('late', \@first, 'ww10', 'wX10');
	change_row('late', \@last, 'ww11990', 'wX11990');
	$cluster->node('late')->start;
	$cluster->wait_all_up;

	# each range waits for what was written meanwhile
	my $blocks = $dba->value("SELECT pg_relation_size('wide') / " . BLOCK);
	my $load = ticking();
	$app->send_query(q{CALL consistency.verify_nodes('wide', nodes => '{late}')});
	my $progress = 'SELECT verification, node, next_block FROM consistency.verification_progress'
	  . q{ JOIN consistency.verification_runs USING (verification) WHERE name = 'public.wide'};
	wait_until(sub { ($dba->row("$progress AND node = 'late'") // {})->{next_block} // 0 }, 'progress is kept');
	# one at work isn't taken on by another session
	my $number = $dba->row($progress)->{verification};
	my $second = $cluster->connect('primary');
	is(code($second, "CALL consistency.verify_nodes('wide', verification => $number)"), '55006', 'not twice at once');
	$second->close;
	is($dba->value("SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND xact_start < now() - interval '2 s'"
			  . ' AND pid = ' . $app->pid), 0, 'no transaction lasts long');
	$app->cancel;
	is(($app->finish->{error} // {})->{code}, '57014', 'cancelled');
	is($app->status, 'I', '... the session is in no transaction');
	$load->signal('TERM');
	$load->finish;

	my $state = $app->row("SELECT * FROM consistency.verifications WHERE verification = $number");
	is_deeply([ $state->{state}, $state->{equal} ], [ 'unfinished', 'f' ], 'unfinished; what was found so far is kept');
	cmp_ok($state->{blocks}, '>', 0, '... and how far it was');
	cmp_ok($state->{blocks}, '<', $blocks, '... which is not the end');

	$cluster->wait_replayed('near', 'late');
	$_->close for $app, $dba;
	$cluster->primary->stop;
	$cluster->node('near')->promote;
	$cluster->stream_from('late', 'near');
	$cluster->node('late')->restart;
	$app = $cluster->connect('near');
	my $row = verify($app, "'wide', verification => $number");
	is_deeply([ $row->{equal}, $row->{differences} ], [ 'f', 2 ], 'after a failover the new primary goes on with it')
	  or diag(states($row));
	is_deeply([ found($row) ],
		[ q{late wide different id = '10' v}, q{late wide different id = '11990' v} ], '... and finds the rest');
	is($app->value("SELECT blocks FROM consistency.verifications WHERE verification = $number"), $blocks,
		'... each block was compared once');
}
done_testing();
