# Concurrent changes at two members are counted, written down and decided at both;
# and whatever goes wrong with writing them down, apply goes on.
#
#   a <---> b

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster ();
use ConsistencyGroup;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $group = ConsistencyGroup->new(setup => q{
	CREATE TABLE item (id int PRIMARY KEY, price int, title text, note text);
	SELECT consistency.attach('item', '{"price": "highest", "title": "multi_value"}');
});
my @members = $group->names;

$group->join;
$group->sql('a', q{INSERT INTO item SELECT i, 1, 'title', 'note' FROM generate_series(1, 20) i});
$group->wait_quiet;

# --- helpers ------------------------------------------------------------

# Each member runs its statement before it gets to know of the other one's.
sub clash
{
	my (%sql) = @_;
	my %other = (a => 'b', b => 'a');

	$group->sql($_, "ALTER SUBSCRIPTION consistency_g_$other{$_} DISABLE") for @members;
	for my $member (@members)
	{
		wait_until(
			sub { $group->sql($member, 'SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL') == 0 },
			"nothing is applied at $member");
	}
	$group->sql($_, $sql{$_}) for @members;
	$group->sql($_, "ALTER SUBSCRIPTION consistency_g_$other{$_} ENABLE") for @members;
	$group->wait_quiet;
}

sub counted
{
	my ($member) = @_;
	return $group->sql($member, q{
		SELECT concat_ws(' ', coalesce("column", '(row)'), kind, resolution, discarded, count)
		  FROM consistency.stat_conflicts WHERE relation = 'item'::regclass ORDER BY 1});
}

sub logged
{
	my ($member, $what) = @_;
	return $group->sql($member, "SELECT $what FROM consistency.conflicts WHERE kind <> 'update_missing' ORDER BY id");
}

# --- at both members ----------------------------------------------------

clash(
	a => q{UPDATE item SET price = 2, title = 'a', note = 'a' WHERE id = 1},
	b => q{UPDATE item SET price = 3, title = 'b', note = 'b' WHERE id = 1});
$group->is_equal('SELECT * FROM item ORDER BY id', 'the members agree');
is($group->sql('a', 'SELECT price, title, note FROM item WHERE id = 1'), '3|b|b', 'b was the last writer');
is(counted('a'), join("\n", '(row) update_update took_incoming t 1',
		'price update_update merged f 1', 'title update_update kept_both f 1'), 'counted at a');
is(counted('b'), join("\n", '(row) update_update kept_local t 1',
		'price update_update merged f 1', 'title update_update kept_both f 1'), 'counted at b');
is(logged('a', q{key, resolution, local->>'note', incoming->>'note', local_stamp < incoming_stamp}),
	'["1"]|took_incoming|a|b|t', 'what was discarded is written down at a');
is(logged('b', q{key, resolution, local->>'note', incoming->>'note', local_stamp > incoming_stamp}),
	'["1"]|kept_local|b|a|t', '... and at b');
is(logged('a', 'local_replica, incoming_replica'), logged('b', 'incoming_replica, local_replica'),
	'... with who wrote it');
is(logged('a', 'local_replica'), $group->sql('a', 'SELECT consistency.replica_id()'), '... that is a here');

# --- to be decided ------------------------------------------------------

my $queue = q{SELECT key, "column", value, replica, shown FROM consistency.unresolved('item') ORDER BY value};
$group->is_equal($queue, 'the members have the same to decide');
like($group->sql('a', $queue), qr/^\["1"\]\|title\|a\|\w+\|f\n\["1"\]\|title\|b\|\w+\|t$/, 'two titles');
$group->sql('a', q{SELECT consistency.resolve('item', '["1"]', 'title', 'b')});
$group->wait_quiet;
is($group->sql($_, $queue), '', "nothing to decide at $_ any more, though the value is the one it showed") for @members;

# both decide, differently
clash(map { $_ => "UPDATE item SET title = '$_' WHERE id = 2" } @members);
clash(map { $_ => "SELECT consistency.resolve('item', '2', 'title', 'chosen by $_')" } @members);
$group->is_equal($queue, 'two decisions are to be decided');
is($group->sql('b', "SELECT string_agg(value, ', ' ORDER BY value) FROM consistency.unresolved('item')"),
	'chosen by a, chosen by b', '... between these two');

# --- deletions ----------------------------------------------------------

$group->sql($_, 'SELECT consistency.stat_reset()') for @members;
clash(a => 'DELETE FROM item WHERE id = 3', b => q{UPDATE item SET note = 'kept?' WHERE id = 3});
$group->is_equal('SELECT count(*) FROM item WHERE id = 3', 'a deletion wins everywhere');
is(counted('a'), '(row) update_missing kept_local t 1', 'a has skipped an update: it has no row for a trigger to be called with');
is(counted('b'), '(row) delete_update row_deleted t 1', 'b has discarded one');

# --- not for others -----------------------------------------------------

$group->sql('a', q{CREATE PUBLICATION everything FOR ALL TABLES;
	SELECT pg_create_logical_replication_slot('all_changes', 'test_decoding')});
my $rows = $group->sql('a', 'SELECT count(*) FROM consistency.conflicts');
clash(map { $_ => "UPDATE item SET note = 'decoded by $_' WHERE id = 4" } @members);
is($group->sql('a', 'SELECT count(*) FROM consistency.conflicts') - $rows, 1, 'one more conflict at a');
my $decoded = $group->sql('a', q{SELECT data FROM pg_logical_slot_get_changes('all_changes', NULL, NULL)});
like($decoded, qr/table public\.item: UPDATE.*decoded by b/, 'the row is decoded');
unlike($decoded, qr/consistency\.conflicts: INSERT/, '... the conflict is not');
$group->sql('a', q{SELECT pg_drop_replication_slot('all_changes'); DROP PUBLICATION everything});

# --- failing ------------------------------------------------------------

sub rows_of_b { return $group->sql('b', 'SELECT count(*) FROM consistency.conflicts'); }
sub last_count { return $group->sql('b', q{SELECT sum(count) FROM consistency.stat_conflicts WHERE kind = 'update_update'}); }

my ($rows_before, $counted_before) = (rows_of_b(), last_count());
my $locker = $group->connect('b');
$locker->query('BEGIN');
$locker->query('LOCK TABLE consistency.conflicts');
clash(map { $_ => "UPDATE item SET note = 'locked out by $_' WHERE id = 5" } @members);
is($group->sql('b', 'SELECT note FROM item WHERE id = 5'), 'locked out by b', 'apply waits for no lock');
is(last_count() - $counted_before, 1, '... and counts');
$locker->query('ROLLBACK');
is(rows_of_b(), $rows_before, '... but writes nothing down');

$group->sql('b', 'CREATE INDEX odd ON consistency.conflicts ((id % 2))');
my $from = -s $group->node('b')->logfile;
clash(map { $_ => "UPDATE item SET note = 'broken by $_' WHERE id IN (6, 7)" } @members);
$group->is_equal('SELECT * FROM item ORDER BY id', 'apply goes on if nothing can be written');
is(rows_of_b(), $rows_before, '... and nothing is');
my @complaints = slurp_file($group->node('b')->logfile, $from) =~ /could not write to consistency\.conflicts: /g;
is(scalar @complaints, 1, '... which is logged once');
$group->sql('b', 'DROP INDEX consistency.odd');
is($group->sql('b', 'SELECT sum(apply_error_count) FROM pg_stat_subscription_stats'), 0, 'apply has never failed');

# --- skipped updates ----------------------------------------------------

sub found
{
	return $group->sql('b', q{SELECT problem FROM consistency.check() WHERE subject = 'public.item'});
}

is(found(), '', 'check() finds nothing to begin with');
$group->sql('b', 'ALTER TABLE item DISABLE TRIGGER USER; DELETE FROM item WHERE id IN (8, 9);'
	  . 'ALTER TABLE item ENABLE ALWAYS TRIGGER zzz_consistency_merge, ENABLE ALWAYS TRIGGER zzz_consistency_truncate');
$group->sql('a', q{UPDATE item SET note = 'lost' WHERE id IN (8, 9)});
$group->wait_quiet;
like(counted('b'), qr/^\(row\) update_missing kept_local t 2$/m, 'skipped updates are counted');
is($group->sql('b', q{SELECT count, resolution, discarded, key IS NULL FROM consistency.conflicts WHERE kind = 'update_missing'}),
	'2|kept_local|t|t', '... and written down: one row for the transaction');
like(found(), qr/^2 replicated updates were skipped here/, '... and found by check()');
$group->sql('b', 'SELECT consistency.stat_reset()');
like(found(), qr/^2 replicated updates were skipped here/, '... also after a reset: nobody has compared yet');
$group->node('b')->restart;
like(found(), qr/^2 replicated updates were skipped here/, '... and after a restart');

# --- without preload ----------------------------------------------------

my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->start;
$plain->safe_psql('postgres', q{
	CREATE EXTENSION consistency;
	CREATE TABLE item (id int PRIMARY KEY, note text);
	SELECT consistency.attach('item');
	SET consistency.replica_id = 'a';
	INSERT INTO item VALUES (1, 'old');
	CREATE TABLE copy AS SELECT * FROM item;
	UPDATE item SET note = 'a';
	ALTER TABLE copy ADD PRIMARY KEY (id), ALTER row_version SET DEFAULT '{}', ALTER row_version SET NOT NULL;
	SELECT consistency.attach('copy');
	SET consistency.replica_id = 'b';
	UPDATE copy SET note = 'b';
	SET consistency.replica_id = 'a';
	SET session_replication_role = replica;
	UPDATE item SET (note, row_version) = (copy.note, copy.row_version) FROM copy});
is($plain->safe_psql('postgres', q{SELECT resolution, incoming->>'note', local->>'note' FROM consistency.conflicts}),
	'took_incoming|b|a', 'without preload conflicts are written down');
my (undef, undef, $error) = $plain->psql('postgres', 'SELECT * FROM consistency.stat_conflicts');
like($error, qr/consistency\.stat_conflicts needs the library "consistency" to be preloaded/, '... but not counted');

done_testing();
