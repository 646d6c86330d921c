# consistency.write_quorum beside synchronous_standby_names: PostgreSQL's own wait
# goes on as it is configured, but for its end; and a node that streams from another
# replica counts as well.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WriteQuorum;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'far' }, { name => 'behind', from => 'far' } ]);
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');
$cluster->wait_replayed;

my $next = 0;

sub synchronous
{
	my ($names) = @_;
	$dba->do("ALTER SYSTEM SET synchronous_standby_names = '$names'");
	$dba->do('SELECT pg_reload_conf()');
	my $many = $names eq '' ? 0 : $names =~ /FIRST/ ? 1 : 2;
	wait_until(
		sub { $dba->value("SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')") == $many },
		"synchronous standbys: $names");
	return;
}

sub session { return write_session($cluster, 'primary', @_); }

sub write_
{
	my ($session) = @_;
	$next++;
	return codes($session->query("INSERT INTO t VALUES ($next)"));
}

sub visible { return $dba->value("SELECT count(*) FROM t WHERE i = $next"); }

# --- a cascade ----------------------------------------------------------

{
	my $session = session('all', write_quorum_timeout => '20s');
	is(write_($session), 'ok', 'W = all: a node behind a replica confirms');
	is($cluster->sql('behind', "SELECT count(*) FROM t WHERE i = $next"), 1, '... when it has applied it');
	$cluster->pause('behind');
	is(write_(session('all')), 'YC003', '... not before');
	is(write_(session(3)), 'ok', 'the others do without it');
	$cluster->pause('near');
	$session->send_query('INSERT INTO t VALUES (0)');
	$cluster->wait_for_wait('primary', $session->pid);
	$cluster->resume($_) foreach qw(near behind);
	is(codes(scalar $session->finish), 'ok', '... and it is heard of when it goes on');
}

# --- synchronous standbys -----------------------------------------------

foreach my $names ('ANY 1 (near, far)', 'ANY 2 (near, far)', 'FIRST 1 (near, far)')
{
	synchronous($names);
	is(write_(session($_)), 'ok', "$names, W = $_: acknowledged") foreach 2, 3;

	# asynchronous commits become synchronous ones
	my $session = session(2);
	$session->do('SET synchronous_commit = off');
	my $short = 0;
	foreach (1 .. 10)
	{
		write_($session);
		$short++ unless grep { $cluster->sql($_, "SELECT count(*) FROM t WHERE i = $next") } qw(near far);
	}
	is($short, 0, "$names, W = 2, synchronous_commit = off: a replica has it");
	is($session->value('SHOW synchronous_commit'), 'off', '... and the setting is what it was');
}

synchronous('FIRST 1 (near)');
$cluster->pause('near');
{
	# Two nodes have it, but not the one that is configured to.
	my $session = session(2, write_quorum_timeout => '500ms');
	my $start = time;
	$session->send_query('INSERT INTO t VALUES (' . ++$next . ')');
	$cluster->wait_for_wait('primary', $session->pid, 'IPC');
	is(visible(), 0, "PostgreSQL's own wait: nobody sees the transaction");
	my $result = $session->finish;
	is(codes($result), 'YC003 01000', '... which ends in time, by the warning of PostgreSQL and an error of ours');
	cmp_ok(time - $start, '<', 5, 'soon');
	like($result->{error}{detail}, qr/^Of 4 nodes 2 must have applied it, and [23] had: .*ended the wait for synchronous standbys\.$/, '... that says why');
	is(visible(), 1, '... and then the transaction is seen');

	$session = session(2, write_quorum_timeout => '-1');
	$session->send_query('INSERT INTO t VALUES (' . ++$next . ')');
	$cluster->wait_for_wait('primary', $session->pid, 'IPC');
	wait_until(
		sub { $dba->value("SELECT replay_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication WHERE application_name = 'far'") eq 't' },
		'the other one has it');
	$session->cancel;
	is(codes(scalar $session->finish), 'ok 01000', 'canceled, though enough nodes have it: as PostgreSQL does it');

	$session = session(4, write_quorum_timeout => '-1');
	$session->send_query('INSERT INTO t VALUES (' . ++$next . ')');
	$cluster->wait_for_wait('primary', $session->pid, 'IPC');
	$session->cancel;
	$result = $session->finish;
	is(codes($result), 'YC003 01000', 'canceled, and they have not: an error');
	like($result->{error}{detail}, qr/the wait was canceled\.$/, '... that says why, and no second wait');

	$session = session('one');
	$session->do('SET synchronous_commit = local');
	is(write_($session), 'ok', 'W = one: synchronous_commit is what the session says');

	# the timer belongs to that commit alone
	$session = session(2, on_unconfirmed => 'warning');
	is(write_($session), 'ok 01000 01YC2', 'as a warning: two of them');
	is(codes($session->query('SELECT pg_sleep(1)')), 'ok', 'what follows is not canceled');
}
$cluster->resume('near');
synchronous('');

done_testing();
