# A group of two: what consistency.join_group() makes by one call, what it mends,
# what it refuses; and that a password is in no log and no view.
#
#   a <---> b     servers of their own, with rows of their own to begin with

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

my $group = ConsistencyGroup->new(members => [ 'a', 'b' ],
	setup => 'CREATE TABLE plain (k int PRIMARY KEY, n int)');

sub join_a
{
	my ($options) = @_;
	return $group->sql('a',
		"SELECT * FROM consistency.join_group('g'" . ($options ? ", $options" : '') . ')');
}

sub refused
{
	my ($where, $sql, $message, $what) = @_;
	my (undef, undef, $errors) = $group->try_sql($where, $sql);
	like($errors, $message, $what);
	return;
}

# --- refused ------------------------------------------------------------

refused('a', "SELECT * FROM consistency.join_group('g')", qr/has no name in group "g" yet/, 'who are we?');
refused('a', "SELECT * FROM consistency.join_group('g', 'A-1')",
	qr/member name "A-1" cannot be part of a slot's name/, 'a name that no slot can have');
refused('a', "SELECT * FROM consistency.join_group(repeat('g', 60), 'a')", qr/too long for a slot's name/,
	'a name that is too long');
refused('a', "BEGIN; SELECT * FROM consistency.join_group('g', 'a');",
	qr/cannot run inside a transaction block/, 'not in a transaction block');
refused('a', "SELECT * FROM consistency.join_group('g', 'a', origin => 'none')", qr/needs PostgreSQL 16/,
	'origin none on 15')
  if $group->sql('a', 'SHOW server_version_num') < 160000;
refused('a', "SELECT * FROM consistency.leave_group('g', 'b')", qr/is in no group "g"/, 'nothing to leave');

# a peer that is ourselves by another name
$group->sql('a', "CREATE SERVER twin FOREIGN DATA WRAPPER consistency_peer OPTIONS ("
	  . $group->address_options('a') . ");"
	  . "CREATE USER MAPPING FOR PUBLIC SERVER twin OPTIONS (user 'peer', password '"
	  . $ConsistencyGroup::password =~ s/'/''/gr . "')");
refused('a', "SELECT * FROM consistency.join_group('g', 'a')", qr/are the same database, or one is a copy/,
	'the same database twice');
$group->sql('a', 'DROP SERVER twin CASCADE');

# a server whose owner might lead it anywhere
$group->sql('a', 'CREATE ROLE eve; GRANT USAGE ON FOREIGN DATA WRAPPER consistency_peer TO eve; SET ROLE eve;'
	  . "CREATE SERVER evil FOREIGN DATA WRAPPER consistency_peer OPTIONS (host '/nowhere');"
	  . "CREATE USER MAPPING FOR PUBLIC SERVER evil OPTIONS (user 'eve', password 'x')");
like($group->sql('a', "SELECT * FROM consistency.join_group('g', 'a', dry_run => true)"),
	qr/^1\|evil\|\|skipped: its server belongs to role "eve"/m, 'a server of an ordinary role is not asked');
refused('a', "SELECT * FROM consistency.subscribe_member('g', 'a', 'evil', 'any', false, false)",
	qr/server "evil" belongs to role "eve".*ALTER SERVER evil OWNER TO/s, 'nor subscribed to');
$group->sql('a', 'ALTER SERVER evil OWNER TO peer');
like($group->sql('a', "SELECT * FROM consistency.join_group('g', 'a', dry_run => true)"),
	qr/^1\|evil\|\|failed: connection to server/m, 'one of a superuser is');
$group->sql('a', 'DROP SERVER evil CASCADE; DROP OWNED BY eve; DROP ROLE eve');

# --- what would be run --------------------------------------------------

my $shown = join_a("'a', dry_run => true");
like($shown, qr/^\d+\|a\|CREATE PUBLICATION consistency_g FOR TABLE .*\|would run$/m, 'what would be run is shown');
like($shown, qr/^\d+\|b\|CREATE SUBSCRIPTION consistency_g_a .*\|would run$/m, 'at the other member as well');
is($group->sql($_, "SELECT (SELECT count(*) FROM consistency.groups) + (SELECT count(*) FROM pg_publication)"
	  . " + (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_subscription)"),
	0, "nothing was run at $_")
  for 'a', 'b';

# --- one call -----------------------------------------------------------

$shown = $group->join;
unlike($shown, qr/would run|failed|skipped/, 'everything is done');
like($shown, qr/^\d+\|b\|SELECT pg_catalog.pg_create_logical_replication_slot\('consistency_g_a', 'pgoutput'\)\|done$/m,
	'a slot at the peer');
is(join_a(), '', 'a second call finds nothing to do');
is($group->sql($_, "SELECT string_agg(member || ' ' || state || ' ' || coalesce(subscription, 'this'), ', ' ORDER BY member)"
		  . " FROM consistency.group_members"),
	$_ eq 'a' ? 'a active this, b active streaming' : 'a active streaming, b active this',
	"members as $_ sees them")
  for 'a', 'b';
is($group->sql($_, "SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication"), 't|t|f|f',
	"$_ publishes neither deletes nor truncation")
  for 'a', 'b';

# --- passwords ----------------------------------------------------------

my $secret = quotemeta $ConsistencyGroup::password;
my $escaped = $ConsistencyGroup::password =~ s/(['\\])/\\$1/gr;
my $doubled = $ConsistencyGroup::password =~ s/'/''/gr;
sub in_no_log
{
	my ($what) = @_;
	foreach my $name ('a', 'b')
	{
		my $log = $group->log_of($name);
		# what the test itself has sent is logged as it was
		$log =~ s/^.*statement: (?:CREATE|ALTER) (?:SERVER|USER MAPPING).*$//mg;
		ok(index($log, 'word') < 0 || $log !~ /(?:$secret|\Q$escaped\E|\Q$doubled\E|word\\+ 7)/, "$what: not in the log of $name");
	}
	return;
}
like($group->sql('a', 'SELECT subconninfo FROM pg_subscription'), qr/\Q$escaped\E/, 'the password is where it belongs');
like($group->log_of('b'), qr/consistency\.subscribe_member/, 'statements are logged');
in_no_log('joined');

# a wrong one: it is mended by the next call
$group->sql('b', "ALTER USER MAPPING FOR PUBLIC SERVER a OPTIONS (SET password 'bad word\\ 7')");
$shown = join_a();
like($shown, qr/b\|SELECT \* FROM consistency.subscribe_member.*\|failed: .*password authentication failed/,
	'a member that cannot log in is a row');
unlike($shown, qr{word\\}, '... without the password');
$group->sql('b', "ALTER USER MAPPING FOR PUBLIC SERVER a OPTIONS (SET password '$doubled')");
is(join_a(), '', 'nothing to do once the mapping is right');
$group->sql('a', "ALTER SUBSCRIPTION consistency_g_b CONNECTION 'host=nowhere password=other'");
$group->sql('a', 'ALTER SUBSCRIPTION consistency_g_b DISABLE');
$shown = join_a();
like($shown, qr/ALTER SUBSCRIPTION consistency_g_b CONNECTION .*password=\*{8}'\|done/, 'another connection');
like($shown, qr/ALTER SUBSCRIPTION consistency_g_b ENABLE\|done/, '... and enabled again');
in_no_log('mended');

# --- two calls at a time -------------------------------------------------

# Each member does one of them after the other.
my $first = $group->connect('b');
$first->do("BEGIN; SELECT * FROM consistency.declare_member('g', 'b', ARRAY['a', 'b'], ARRAY[]::text[], 'any', false)");
my ($second_shown, $second_errors) = ('', '');
my $second = IPC::Run::start([ 'psql', '-XAtq', '-d', $group->node('a')->connstr('postgres'),
		'-c', "SELECT * FROM consistency.join_group('g')" ], '>', \$second_shown, '2>', \$second_errors);
wait_until(
	sub {
		return $group->sql('b', "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND NOT granted"
			  . " AND objid = 'consistency.groups'::regclass") eq '1';
	},
	'the second call waits for the first one');
$first->do('COMMIT');
$first->close;
$second->finish;
is($second_shown . $second_errors, '', 'two calls at a time: the second one has nothing left to do');

# --- another database of the same clusters ---------------------------------

foreach my $name ('a', 'b')
{
	my $other = $name eq 'a' ? 'b' : 'a';
	$group->node($name)->safe_psql('postgres', 'CREATE DATABASE "Second Shop"');
	$group->node($name)->safe_psql('Second Shop', "SET log_statement = 'none'; CREATE EXTENSION consistency;"
		  . "CREATE SERVER $other FOREIGN DATA WRAPPER consistency_peer OPTIONS ("
		  . $group->address_options($other) . ", dbname 'Second Shop');"
		  . "CREATE USER MAPPING FOR PUBLIC SERVER $other OPTIONS (user 'peer', password '$doubled')");
}
foreach my $options ('dry_run => true', 'dry_run => false')
{
	$shown = $group->node('a')->safe_psql('Second Shop', "SELECT * FROM consistency.join_group('g', 'a', $options)");
	like($shown, qr/^\d+\|$_->[0]\|.*failed: replication slot "consistency_g_$_->[1]" at member "$_->[0]" is one of another database, "postgres"/m,
		"$options: a slot of another database is left alone at $_->[0]")
	  for [ 'a', 'b' ], [ 'b', 'a' ];
}
is($group->node($_)->safe_psql('Second Shop', 'SELECT (SELECT count(*) FROM consistency.groups) + (SELECT count(*) FROM pg_publication)'),
	0, "nothing was made at $_")
  for 'a', 'b';
unlike($group->node('a')->safe_psql('Second Shop', "SELECT * FROM consistency.join_group('second', 'a')"), qr/failed|skipped/,
	'a group of another name can be');
is($group->node($_)->safe_psql('Second Shop', "SELECT string_agg(state, ',') FROM consistency.group_members"), 'active,active',
	"both are members, says $_")
  for 'a', 'b';
# as it may have been before
$group->node('b')->safe_psql('Second Shop', "SELECT consistency.report_member('second', 'old', 'active')");
$group->sql('b', "SELECT pg_create_logical_replication_slot('consistency_second_old', 'pgoutput')");
$group->node('b')->safe_psql('Second Shop', "SELECT * FROM consistency.leave_group('second', 'old')");
is($group->sql('b', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'consistency_second_old'"), 1,
	'who leaves takes no other database\'s slot along');
$group->sql('b', "SELECT pg_drop_replication_slot('consistency_second_old')");
unlike($group->node('a')->safe_psql('Second Shop', "SELECT * FROM consistency.leave_group('second', 'b')"), qr/failed/,
	'it leaves');
unlike($group->node('a')->safe_psql('Second Shop', "SELECT * FROM consistency.leave_group('second', 'a')"), qr/failed/,
	'... and so does the last one');
is($group->sql($_, "SELECT string_agg(datname, ',') FROM pg_replication_slots JOIN pg_database ON datname = database"), 'postgres',
	"the first database's slot is there still at $_")
  for 'a', 'b';
is(join_a(), '', 'and nothing is wrong with it');
$group->node($_)->safe_psql('postgres', 'DROP DATABASE "Second Shop"') for 'a', 'b';

# --- mended -------------------------------------------------------------

$group->sql('b', "ALTER PUBLICATION consistency_g SET (publish = 'insert, update, delete')");
like(join_a(), qr/^1\|b\|ALTER PUBLICATION consistency_g SET \(publish = 'insert, update'.*\|done$/, 'publication mended');

# a table that is published later: what both had goes both ways (no key twice here)
$group->sql('a', 'INSERT INTO plain VALUES (1, 1)');
$group->sql('b', 'INSERT INTO plain VALUES (2, 2)');
$group->sql('a', 'ALTER PUBLICATION consistency_g ADD TABLE plain');
$shown = join_a();
like($shown, qr/^1\|b\|ALTER SUBSCRIPTION consistency_g_a REFRESH PUBLICATION.*\|done$/, 'one table more, one refresh');
$group->wait_copied;
is($group->sql('b', 'SELECT count(*) FROM plain'), 2, 'its rows were copied');

# a slot that was lost: the subscription is made anew
$group->sql('b', 'ALTER SUBSCRIPTION consistency_g_a DISABLE');
$group->node('a')->poll_query_until('postgres', 'SELECT NOT active FROM pg_replication_slots');
$group->sql('a', "SELECT pg_drop_replication_slot('consistency_g_b')");
$group->sql('a', 'INSERT INTO plain VALUES (3, 3)');
$group->sql('b', 'DELETE FROM plain');
$shown = join_a();
like($shown, qr/pg_create_logical_replication_slot\('consistency_g_b'.*DROP SUBSCRIPTION consistency_g_a.*CREATE SUBSCRIPTION consistency_g_a/s,
	'a slot that is gone: slot and subscription are made anew');
$group->wait_copied;
is($group->sql('b', 'SELECT count(*) FROM plain'), 2, '... and all rows are copied');

# one that fails leaves no slot behind
$group->sql('b', 'DROP SUBSCRIPTION consistency_g_a');
$group->sql('b', 'DROP TABLE plain');
$shown = join_a();
like($shown, qr/b\|SELECT \* FROM consistency.subscribe_member.*failed: relation "public.plain" does not exist/,
	'a table that is missing over there');
is($group->sql('a', 'SELECT count(*) FROM pg_replication_slots'), 0, 'no slot is left behind');
$group->sql('b', 'CREATE TABLE plain (k int PRIMARY KEY, n int)');
$group->join(at => 'b');

# --- away ---------------------------------------------------------------

$group->node('b')->stop;
$shown = join_a();
like($shown, qr/^1\|b\|\|failed: .*$/, 'a member that is down is a row');
$group->node('b')->start;
$group->wait_copied;

# --- left ---------------------------------------------------------------

refused('a', "DROP EXTENSION IF EXISTS consistency CASCADE",
	qr/cannot drop extension consistency: this database is member "a" of group "g".*leave_group\('g', 'a'\)/s,
	'the extension stays while the database is in a group');
$group->sql('b', 'CREATE DATABASE other');
my (undef, undef, $drop_errors) = $group->node('b')->psql('other', 'DROP DATABASE postgres');
like($drop_errors, qr/is used by an active logical replication slot|is being used by logical replication subscription/,
	'nor is the database dropped');

refused('a', "SELECT * FROM consistency.leave_group('g', 'nobody')", qr/has no member "nobody"/, 'no such member');
$shown = $group->sql('a', "SELECT * FROM consistency.leave_group('g', 'b', dry_run => true)");
unlike($shown, qr/done|failed/, 'what would be run to leave');
is(join_a(), '', 'nothing was run');
$shown = $group->sql('a', "SELECT * FROM consistency.leave_group('g', 'b')");
like($shown, qr/^\d+\|b\|\|its replica ids are retired$/m, 'all has confirmed');
is($group->sql('a', "SELECT member, state, confirmed_by FROM consistency.group_members WHERE NOT this"), 'b|retired|{a}',
	'retired');
is($group->sql($_, "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_subscription)"),
	0, "neither slot nor subscription is left at $_")
  for 'a', 'b';
is($group->sql('b', "SELECT (SELECT count(*) FROM consistency.groups) + (SELECT count(*) FROM pg_publication)"),
	0, 'nothing at all at who left');
$group->sql('b', 'BEGIN; DROP EXTENSION consistency CASCADE; ROLLBACK');
like(join_a(), qr/^1\|b\|\|skipped: it has left the group/, 'nobody takes it in again');
$group->sql('b', 'DELETE FROM plain');
like($group->join(at => 'b'), qr/CREATE SUBSCRIPTION/, 'but by its own wish');
is($group->sql($_, "SELECT string_agg(DISTINCT state, ',') FROM consistency.group_members"), 'active', "a member again, says $_")
  for 'a', 'b';

# a call that was cancelled is finished by another one, wherever it was by then
sub leaves_all
{
	my ($what) = @_;
	my $rows = $group->sql('a', "SELECT * FROM consistency.leave_group('g', 'b')");
	unlike($rows, qr/failed/, "$what: it leaves");
	like($rows, qr/^\d+\|b\|\|its replica ids are retired$/m, "$what: all has confirmed");
	is($group->sql($_, "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_subscription)"),
		0, "$what: neither slot nor subscription is left at $_")
	  for 'a', 'b';
	is($group->sql('b', 'SELECT count(*) FROM consistency.groups'), 0, "$what: it knows that it is out");
	$group->sql('b', 'DELETE FROM plain');
	$group->join(at => 'b');
	return;
}
my $forget = "SELECT * FROM consistency.forget_member('g', 'b', %s, 10000, false)";
$group->sql('b', "SELECT * FROM consistency.depart_member('g', false)");
leaves_all('it has said goodbye');
$group->sql('b', "SELECT * FROM consistency.depart_member('g', false)");
$group->sql('a', sprintf $forget,
	$group->sql('b', "SELECT stamp FROM consistency.group_reports WHERE about = 'b' AND by = 'b'"));
leaves_all('and was forgotten');
$group->sql('a', sprintf $forget, 0);
leaves_all('it was away, and forgotten');
in_no_log('all along');

done_testing();
