# Tombstones go when no member needs them any more, and not before; and a key whose
# tombstone is gone at one member and not yet at another can be inserted again.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster ();
use ConsistencyGroup;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $group = ConsistencyGroup->new(
	members => [ 'a', 'b', 'c' ],
	setup => "CREATE TABLE item (k int PRIMARY KEY, t text);"
	  . "SELECT consistency.attach('item');"
	  . "CREATE TABLE kept (k int PRIMARY KEY, t text);"
	  . "SELECT consistency.attach('kept', deletes => 'add_wins')");
$group->join;

sub purge { my ($name) = @_; return $group->sql($name, 'SELECT consistency.purge_tombstones()'); }
sub tombstones { my ($name) = @_; return $group->sql($name, 'SELECT count(*) FROM consistency.tombstones'); }
sub settled { my ($name) = @_; return $group->sql($name, 'SELECT count(*) FROM consistency.settled_tombstones'); }

# A call at one member, heard by all others; or at each, one after the other.
sub purge_heard
{
	my ($name, @others) = @_;
	my $removed = purge($name);
	@others = $group->names unless @others;
	$group->wait_applied($name, $_) for grep { $_ ne $name } @others;
	return $removed;
}

sub purge_round { purge_heard($_) for $group->names; return; }

# --- all are there ------------------------------------------------------

$group->sql('a', 'INSERT INTO item SELECT k FROM generate_series(1, 10) k');
$group->sql('a', 'INSERT INTO kept SELECT k FROM generate_series(1, 10) k');
$group->wait_quiet;
$group->sql('b', 'DELETE FROM item WHERE k <= 5');
$group->sql('c', 'DELETE FROM kept WHERE k <= 5');
$group->wait_quiet;
is(tombstones($_), 10, "tombstones at $_") for $group->names;
is(purge('a'), 0, 'none goes at once');
my $rounds = 0;
while ($rounds < 10 && grep { tombstones($_) > 0 } $group->names)
{
	purge_round();
	$rounds++;
}
is(tombstones($_), 0, "none is left at $_") for $group->names;
cmp_ok($rounds, '>', 1, 'after some rounds');
cmp_ok($rounds, '<', 6, '... not many');
purge_round();
is($group->sql($_, 'SELECT (SELECT count(*) FROM consistency.settled_tombstones)'
	  . ' + (SELECT count(*) FROM consistency.tombstone_rounds)'), 0, "no note is left at $_")
  for $group->names;
cmp_ok($group->sql('a', 'SELECT count(*) FROM consistency.group_rounds'), '<', 6, 'nor do rounds');
is($group->is_equal('SELECT count(*) FROM item', 'rows are equal'), 5, 'and those that were not deleted are there');

# --- gone here, not yet there -------------------------------------------

foreach my $table ('item', 'kept')
{
	my $rows = "SELECT k, t FROM $table ORDER BY k";
	$group->sql('a', "INSERT INTO $table VALUES (20, 'old')");
	$group->wait_quiet;
	$group->sql('b', "DELETE FROM $table WHERE k = 20");
	$group->wait_quiet;
	# what each call takes from the earlier ones lets a be the first
	purge_heard($_) for 'a', 'b', 'c', 'a', 'b', 'c', 'a';
	is(tombstones('a'), 0, "$table: a has removed it");
	is(tombstones('c'), 1, "$table: c has not");
	is(settled('c'), 1, "$table: there it is settled");
	$group->sql('a', "INSERT INTO $table VALUES (20, 'new')");
	$group->wait_quiet;
	like($group->is_equal($rows, "$table: a key that a knows nothing of any more"), qr/^20\|new$/m, 'is inserted everywhere');
	is(tombstones('c'), 0, "$table: no tombstone beside the row");
	$group->sql('c', "UPDATE $table SET t = 'newer' WHERE k = 20");
	$group->wait_quiet;
	like($group->is_equal($rows, "$table: it can be changed"), qr/^20\|newer$/m, 'everywhere');
	$group->sql('b', "DELETE FROM $table WHERE k = 20");
	$group->wait_quiet;
	unlike($group->is_equal($rows, "$table: and deleted"), qr/^20\|/m, 'everywhere');
	purge_round() for 1 .. 5;
	is(tombstones($_), 0, "$table: none is left at $_") for $group->names;
}

# --- one is away --------------------------------------------------------

$group->sql('c', "INSERT INTO item VALUES (30, 'x')");
$group->wait_quiet;
$group->sql($_, 'ALTER SUBSCRIPTION consistency_g_c DISABLE') for 'a', 'b';
$group->sql('c', "UPDATE item SET t = 'older than the deletion' WHERE k = 30");
$group->node('c')->stop;
$group->sql('a', 'DELETE FROM item WHERE k = 30');
for (1 .. 5)
{
	purge_heard($_, 'a', 'b') for 'a', 'b';
}
is(tombstones($_), 1, "it stays at $_ while c is away") for 'a', 'b';
is(settled('a'), 0, 'and is not settled');
$group->node('c')->start;
$group->sql($_, 'ALTER SUBSCRIPTION consistency_g_c ENABLE') for 'a', 'b';
$group->wait_quiet;
unlike($group->is_equal('SELECT k, t FROM item ORDER BY k', 'equal when c is back'), qr/^30\|/m, 'the row is gone');
purge_round() for 1 .. 5;
is(tombstones($_), 0, "none is left at $_") for $group->names;

# --- one never comes back -----------------------------------------------

$group->sql('a', 'DELETE FROM item WHERE k = 10');
$group->node('c')->stop;
$group->sql('a', "SELECT * FROM consistency.leave_group('g', 'c')");
for (1 .. 6)
{
	purge_heard($_, 'a', 'b') for 'a', 'b';
}
is(tombstones($_), 0, "who has left is not waited for at $_") for 'a', 'b';

done_testing();
