# Members that come, stay away, come back, leave and die; tables that come later.
#
#   a, b    from the start
#   c       joins with rows of its own, some of keys that the others have as well

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster ();
use ConsistencyGroup;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $group = ConsistencyGroup->new(
	members => [ 'a', 'b' ],
	setup => "CREATE TABLE item (k int PRIMARY KEY, t text, n gcounter NOT NULL DEFAULT '{}');"
	  . "SELECT consistency.attach('item')");
my $rows = "SELECT k, t, value(n) FROM item ORDER BY k";
my $tombstones = 'SELECT relation, key, version FROM consistency.tombstones ORDER BY 1, 2';

sub state_of
{
	my ($where, $member) = @_;
	return $group->sql($where, "SELECT state FROM consistency.group_members WHERE member = '$member'");
}

# --- two with rows ------------------------------------------------------

$group->sql('a', "INSERT INTO item SELECT k, 'a', increment('{}'::gcounter, 1) FROM generate_series(1, 20) k");
$group->sql('b', "INSERT INTO item SELECT k, 'b', increment('{}'::gcounter, 1) FROM generate_series(11, 30) k");
$group->join;
$group->wait_quiet;
my $all = $group->is_equal($rows, 'rows of both before they met are merged');
is(scalar(() = $all =~ /^\d+\|\w\|2$/mg), 10, 'counters of keys that both had count both');
like($all, qr/^15\|b\|2$/m, 'the last writer has won');

# --- a third one, with rows of its own ----------------------------------

$group->sql('a', 'DELETE FROM item WHERE k = 1');
$group->add_node('c');
$group->sql('c', "INSERT INTO item SELECT k, 'c', increment('{}'::gcounter, 1) FROM generate_series(21, 40) k");
my $shown = $group->join(at => 'c');
unlike($shown, qr/failed|skipped/, 'one call at the new member is enough');
is(scalar(() = $shown =~ /CREATE SUBSCRIPTION/g), 4, '... for four subscriptions');
$group->wait_quiet;
$all = $group->is_equal($rows, 'its rows are merged everywhere, and it has those of the others');
like($all, qr/^25\|c\|2$/m, 'a row that b and c had');
unlike($all, qr/^1\|/m, 'a deleted row stays deleted');
$group->is_equal($tombstones, 'tombstones as well');
is($group->sql('b', 'SELECT count(*) FROM consistency.group_members'), 3, 'three members');

# --- a table more -------------------------------------------------------

# A deletion is known to all at once, from two sides; the table itself is published
# when all have it.
$group->sql($_, "CREATE TABLE later (k text PRIMARY KEY, v int); SELECT consistency.attach('later')") for 'a', 'b';
like($group->join, qr/^1\|c\|\|skipped: table public\.later isn't attached here, and not published before it is$/,
	'a table that one member lacks is not published');
$group->sql($_, "INSERT INTO later VALUES ('gone', 1); DELETE FROM later") for 'a', 'b';
$group->sql($_, "INSERT INTO later VALUES ('gone', 1); DELETE FROM later") for 'a', 'b';
$group->wait_quiet;
$group->is_equal($tombstones, 'tombstones of a table that one member lacks');
$group->sql('c', "CREATE TABLE later (k text PRIMARY KEY, v int); SELECT consistency.attach('later')");
$group->sql($_, "INSERT INTO later VALUES ('$_', 1)") for $group->names;
$shown = $group->join(at => 'b');
is(scalar(() = $shown =~ /ADD TABLE public\.later\|done/g), 3, 'all publish it');
is(scalar(() = $shown =~ /REFRESH PUBLICATION/g), 6, 'all subscriptions take it');
$group->wait_quiet;
is($group->is_equal('SELECT count(*) FROM later', 'and its rows'), 3, 'of all members');

# --- away for long ------------------------------------------------------

$group->node('c')->stop;
$group->sql('a', "UPDATE item SET t = 'while c was away' WHERE k = 2");
$group->sql('b', 'DELETE FROM item WHERE k = 3');
is($group->sql('a', "SELECT slot, lag > 0, retained > 0 FROM consistency.group_members WHERE member = 'c'"),
	'inactive|t|t', 'log is kept for who is away');
$group->node('c')->start;
$group->wait_quiet;
like($group->is_equal($rows, 'it catches up'), qr/^2\|while c was away\|1$/m, 'with what was written meanwhile');

# so long that its slots were invalidated
$group->node('c')->stop;
$group->sql('a', "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf()");
$group->sql('a', "UPDATE item SET t = 'while c was lost' WHERE k = 4");
for (1 .. 40)
{
	$group->sql('a', "SELECT pg_switch_wal()") if $group->sql('a', "SELECT pg_logical_emit_message(false, 'x', 'x') IS NOT NULL");
	$group->sql('a', 'CHECKPOINT');
	last if $group->sql('a', "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'consistency_g_c'") eq 'lost';
}
is($group->sql('a', "SELECT slot FROM consistency.group_members WHERE member = 'c'"), 'lost', 'a slot was invalidated');
$group->sql('a', 'ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()');
$group->node('c')->start;
$group->sql('c', "UPDATE item SET t = 'by c, lost' WHERE k = 5");
$shown = $group->join(at => 'c');
like($shown, qr/a\|SELECT pg_catalog.pg_drop_replication_slot\('consistency_g_c'\)\|done.*c\|DROP SUBSCRIPTION consistency_g_a\|done.*c\|CREATE SUBSCRIPTION consistency_g_a/s,
	'joining again makes slot and subscription anew');
$group->wait_quiet;
$all = $group->is_equal($rows, 'and all rows are merged');
like($all, qr/^4\|while c was lost\|1$/m, 'what it had missed');
like($all, qr/^5\|by c, lost\|1$/m, 'what it had written');

# --- rows that are lost -------------------------------------------------

$group->sql('c', 'ALTER TABLE item DISABLE TRIGGER zzz_consistency_merge; DELETE FROM item WHERE k > 10;'
	  . 'ALTER TABLE item ENABLE ALWAYS TRIGGER zzz_consistency_merge');
$group->join(at => 'c');
$group->wait_quiet;
is($group->sql('c', 'SELECT count(*) FROM item WHERE k > 10'), 0, 'what is lost behind the back of all');
$group->join(at => 'c', options => 'resync => true');
$group->wait_quiet;
is($group->sql('c', 'SELECT count(*) FROM item WHERE k > 10'), 30, 'comes back when all rows are copied anew');
$group->is_equal($rows, 'all are equal');

# --- one that dies ------------------------------------------------------

my $ids = $group->sql('c', 'SELECT consistency.replica_id()');
is($group->sql('a', "SELECT replica_ids FROM consistency.group_members WHERE member = 'c'"), "{$ids}",
	'the others know its replica id');

# b has its last change, a gets that from b alone
$group->sql('a', 'ALTER SUBSCRIPTION consistency_g_c DISABLE');
$group->sql('a', 'ALTER SUBSCRIPTION consistency_g_b DISABLE');
$group->sql('c', "UPDATE item SET t = 'last words', n = increment(n, 5) WHERE k = 6");
$group->wait_applied('c', 'b');
$group->node('c')->stop('immediate');
$shown = $group->sql('b', "SELECT * FROM consistency.leave_group('g', 'c')");
like($shown, qr/c\|\|failed: /, 'it does not answer');
like($shown, qr/c\|\|its replica ids aren't retired yet/, 'not retired: a has not got what b has');
is(state_of('b', 'c'), 'leaving', 'leaving, says b');
is($group->sql('b', "SELECT unconfirmed_by @> '{a}' FROM consistency.group_members WHERE member = 'c'"), 't', 'a has not confirmed');
is($group->sql('a', "SELECT t FROM item WHERE k = 6"), 'a', 'a does not have the last change');
is($group->sql('a', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'consistency_g_c'"), 0, 'no slot is kept for it at a');

$group->sql('a', 'ALTER SUBSCRIPTION consistency_g_b ENABLE');
$group->wait_applied('b', 'a');
$shown = $group->sql('a', "SELECT * FROM consistency.leave_group('g', 'c')");
like($shown, qr/c\|\|its replica ids are retired/, 'once a has all of b, both confirm');
is($group->sql('a', "SELECT t, value(n) FROM item WHERE k = 6"), 'last words|6', 'a has the last change');
$group->wait_quiet('a', 'b');
is(state_of($_, 'c'), 'retired', "retired, says $_") for 'a', 'b';
is($group->sql('b', "SELECT confirmed_by FROM consistency.group_members WHERE member = 'c'"), '{a,b}', 'confirmed by both');
$group->is_equal($rows, 'the others are equal', 'a', 'b');

# --- it was not dead ----------------------------------------------------

$group->node('c')->start;
$group->sql('c', "INSERT INTO item VALUES (100, 'c was alone')");
$shown = $group->sql('a', "SELECT * FROM consistency.join_group('g')");
like($shown, qr/c\|\|skipped: it has left/, 'nobody takes it in again');
$shown = $group->join(at => 'c');
unlike($shown, qr/failed|skipped/, 'it joins again by itself');
$group->wait_quiet;
like($group->is_equal($rows, 'all three are equal'), qr/^100\|c was alone\|0$/m, 'with what it has written alone');
is(state_of($_, 'c'), 'active', "active again, says $_") for $group->names;

# --- one that leaves by itself ------------------------------------------

$group->sql('c', "INSERT INTO item VALUES (101, 'goodbye')");
$shown = $group->sql('c', "SELECT * FROM consistency.leave_group('g', 'c')");
unlike($shown, qr/failed|skipped/, 'it leaves');
$group->wait_quiet('a', 'b');
like($group->is_equal($rows, 'the others have all of it', 'a', 'b'), qr/^101\|goodbye\|0$/m, 'and its last row');
is(state_of($_, 'c'), 'retired', "retired by a last message, says $_") for 'a', 'b';
is($group->sql('c', "SELECT (SELECT count(*) FROM consistency.groups) + (SELECT count(*) FROM pg_publication)"
	  . " + (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_subscription)"), 0, 'nothing is left at c');

done_testing();
