# consistency.check() finds what undermines a group, and tells how to mend it.

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
	setup => "CREATE TABLE item (k int PRIMARY KEY, t text);"
	  . "SELECT consistency.attach('item', deletes => 'add_wins')");

# What is found at a member about this.
sub found
{
	my ($where, $subject) = @_;
	return $group->sql($where,
		"SELECT severity, problem, mend FROM consistency.check() WHERE subject = '$subject' ORDER BY problem");
}

# It is found, and what is named as the mend mends it.
sub mended
{
	my ($where, $subject, $problem, $mend) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $found = found($where, $subject);
	like($found, $problem, "found: $subject");
	my ($sql) = $found =~ /$problem[^|]*\|(.*)$/m;
	$sql = $mend->($sql) if $mend;
	$group->sql($where, $sql);
	unlike(found($where, $subject), $problem, '... and mended by what it says');
	return;
}

$group->join;
is($group->sql($_, "SELECT * FROM consistency.check() WHERE subject IN ('subscription', 'member', 'slot', 'publication', 'tables', 'tombstones')"),
	'', "nothing is found at $_")
  for 'a', 'b';

# --- publications -------------------------------------------------------

$group->sql('a', "ALTER PUBLICATION consistency_g SET (publish = 'insert, update, delete')");
mended('a', 'publication', qr/error\|publication "consistency_g" publishes deletes or truncation of table public\.item/);
$group->sql('a', "ALTER PUBLICATION consistency_g SET (publish = 'insert')");
mended('a', 'publication', qr/error\|publication "consistency_g" of table public\.item leaves out insertions or updates/);
$group->sql('a', "ALTER PUBLICATION consistency_g DROP TABLE item");
mended('a', 'publication', qr/error\|group "g" doesn't publish table public\.item/);
$group->sql('a', "CREATE PUBLICATION other FOR TABLE item WHERE (k > 1) WITH (publish = 'insert, update')");
mended('a', 'publication', qr/error\|publication "other" filters rows of table public\.item/);
$group->sql('a', "DROP PUBLICATION other; CREATE PUBLICATION other FOR TABLE item (k) WITH (publish = 'insert, update')");
mended('a', 'publication', qr/error\|publication "other" leaves out columns of table public\.item/);
$group->sql('a', "DROP PUBLICATION other; CREATE PUBLICATION other FOR ALL TABLES WITH (publish = 'insert, update')");
mended('a', 'publication', qr/warning\|publication "other" is for all tables/, sub { return $_[0] =~ s/ and publish.*//r; });
$group->sql('a', "CREATE TABLE plain (k int PRIMARY KEY); ALTER PUBLICATION consistency_g ADD TABLE plain");
mended('a', 'publication', qr/warning\|group "g" publishes table public\.plain, which isn't attached/,
	sub { return $_[0] =~ s/^.*; or //r; });
like($group->join, qr/^$|REFRESH/, 'joined again');

# --- subscriptions and slots --------------------------------------------

$group->sql('b', 'ALTER SUBSCRIPTION consistency_g_a DISABLE');
mended('b', 'subscription', qr/error\|subscription "consistency_g_a" is disabled/);
$group->sql('b', "ALTER SUBSCRIPTION consistency_g_a DISABLE; ALTER SUBSCRIPTION consistency_g_a SET (slot_name = NONE); DROP SUBSCRIPTION consistency_g_a");
mended('b', 'member', qr/error\|member "a" of group "g" isn't subscribed to/);
$group->wait_copied;

# an error that comes again and again: a column that isn't there
$group->sql('a', "ALTER TABLE item ADD c int DEFAULT 1 CHECK (c < 5)");
$group->sql('b', "ALTER TABLE item ADD c int DEFAULT 1 CONSTRAINT low CHECK (c < 3)");
$group->sql('a', "INSERT INTO item (k, t, c) VALUES (1, 'x', 4)");
wait_until(sub { return found('b', 'subscription') =~ /warning\|subscription "consistency_g_a" has had [1-9]/ }, 'an error in applying');
pass('errors in applying are found');
$group->sql('b', 'ALTER TABLE item DROP CONSTRAINT low');
$group->wait_quiet;
my ($sql) = found('b', 'subscription') =~ /(SELECT pg_stat_reset_subscription_stats\(\d+\));/;
$group->sql('b', $sql);
is(found('b', 'subscription'), '', 'until they are reset');

# --- a member that is away ----------------------------------------------

$group->sql('a', 'DELETE FROM item WHERE k = 1');
$group->sql('a', 'SELECT consistency.purge_tombstones()');
$group->node('b')->stop;
wait_until(sub { return found('a', 'slot') =~ /warning\|member "b" of group "g" is away: \S+ \S+ of log are kept/ }, 'a slot without a reader');
pass('a slot that nobody reads from is found');
wait_until(sub { return found('a', 'member') =~ /warning\|nothing comes from member "b" of group "g"/ }, 'a worker that has ended');
pass('and that nothing comes from there');
like(found('a', 'tombstones'), qr/warning\|1 tombstone\(s\) can't be purged: member "b" of group "g"/, 'and that tombstones stay');
$group->sql('a', "SELECT pg_drop_replication_slot('consistency_g_b')");
like(found('a', 'member'), qr/error\|member "b" of group "g" has no slot here.*\|SELECT \* FROM consistency\.join_group\('g'\);/, 'a slot that is gone');
$group->node('b')->start;
$group->join;
is($group->sql('a', "SELECT problem FROM consistency.check() WHERE subject IN ('member', 'slot')"), '', 'all is well again');

# --- the same tables everywhere -----------------------------------------

$group->sql('a', "CREATE TABLE more (k int PRIMARY KEY); SELECT consistency.attach('more')");
like(found('a', 'tables'), qr/error\|table public\.more is attached here, but not at member "b"/, 'a table that is attached here only');
like($group->join(wait => 0), qr/b\|\|skipped: table public\.more isn't attached here/, 'join_group() says so, too');
$group->wait_applied('a', 'b');
like(found('b', 'tables'), qr/error\|table public\.more is attached at member "a" of group "g", but not here/, '... and there only');
$group->sql('b', "CREATE TABLE more (k int PRIMARY KEY); SELECT consistency.attach('more', deletes => 'add_wins')");
$group->join;
wait_until(sub { return found('a', 'tables') =~ /error\|table public\.more has other rules here \(.*remove_wins.*\) than at member "b" of group "g" \(.*add_wins/ },
	'other rules');
like(found('a', 'tables'), qr/\|SELECT consistency\.attach\('public\.more', \.\.\.\); once more/,
	'other rules are mended by attaching once more');
unlike(found('a', 'tables'), qr/detach/, '... and not by detaching, which forgets all versions');
my $versions = 'SELECT string_agg(row_version::text, \',\' ORDER BY k) FROM more';
$group->sql('b', 'INSERT INTO more VALUES (1)');
my $before = $group->sql('b', $versions);
$group->sql('b', "SELECT consistency.attach('more')");
is($group->sql('b', $versions), $before, 'rows keep their versions');
$group->join;
wait_until(sub { return found('a', 'tables') eq '' }, 'same rules');
is(found('b', 'tables'), '', 'the same rules everywhere');

# --- a member that has left ---------------------------------------------

$group->add_node('c');
$group->sql('c', "CREATE TABLE more (k int PRIMARY KEY); SELECT consistency.attach('more');"
	  . "ALTER TABLE item ADD c int DEFAULT 1");
$group->join(at => 'c');
$group->node($_)->stop for 'b', 'c';
$group->sql('a', "SELECT * FROM consistency.leave_group('g', 'b')");
like(found('a', 'member'), qr/warning\|member "b" of group "g" has left, but member\(s\) a, c haven't confirmed/,
	'a member that has left, and not all know');

done_testing();
