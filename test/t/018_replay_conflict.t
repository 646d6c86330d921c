# Replay waits for the transaction of a session that waits for replay, though that
# has given its snapshot back; or for another one's.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use ReadQuorum;
use Test::More;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

# On this replica replay waits for queries for ever.
my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near', conf => "max_standby_streaming_delay = -1\n" } ],
	conf => "deadlock_timeout = '300ms'\n");
my $value = 0;
my $app = make_row($cluster);
$app->do('CREATE TABLE dead (i int)');
# called while a query is planned
$cluster->connect('primary', user => $cluster->superuser)->do(
	q{CREATE FUNCTION lock_advisory(bigint) RETURNS bool IMMUTABLE STRICT LANGUAGE internal AS 'pg_advisory_lock_shared_int8'});
$cluster->wait_replayed;

# A session at the replica, where reads wait for long.
sub session
{
	my (@settings) = @_;
	my $session = $cluster->connect('near');
	$session->do($_) foreach "SET consistency.wait_timeout = '10min'", @settings;
	return $session;
}

# Writes a record that older snapshots are in the way of, and behind it the value;
# the session is to read it, without a wait by now.
sub write_behind_conflict
{
	my ($session) = @_;
	$app->do('INSERT INTO dead SELECT generate_series(1, 1000)');
	$app->do('DELETE FROM dead');
	# the horizon has to pass the delete
	$cluster->sql('primary', 'SELECT pg_current_xact_id()');
	$cluster->sql('primary', 'VACUUM (FREEZE, TRUNCATE off) dead');
	$value++;
	$app->do("UPDATE t SET v = $value WHERE i = 1");
	my $token = $app->parameter('consistency.token');
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	return;
}

sub wait_for_conflict
{
	wait_until(
		sub {
			$cluster->sql('near', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'startup'
				AND wait_event IN ('RecoveryConflictSnapshot', 'RecoveryConflictTablespace')});
		},
		'replay waits for a snapshot');
	return;
}

# What becomes of a read in whose transaction, while it was planned, replay came to
# such a record; "meanwhile": what is done then.
sub read_in_the_way
{
	my ($session, $meanwhile) = @_;
	my $holder = session('SET consistency.routing = off');
	$cluster->wait_replayed;
	$cluster->pause('near');
	write_behind_conflict($session);
	$holder->value('SELECT pg_advisory_lock(1)');
	$session->send_query("$read AND NOT lock_advisory(1)");
	$cluster->wait_for_wait('near', $session->pid, 'Lock');
	$cluster->resume('near');
	wait_for_conflict();
	$meanwhile->() if $meanwhile;
	$holder->close;
	my $result = $session->finish;
	thaw();
	return $result->{error} ? $result->{error}{code} : $result->{rows}[0][0];
}

# --- our own ------------------------------------------------------------

{
	my $session = session("SET consistency.on_timeout = 'error'");
	is(read_in_the_way($session), '40001', 'replay waits for the read that waits for it: to be retried');
	is(outcome($session), $value, '... and the retry works');
}

foreach my $case (
	[ 'it goes to the primary', undef ],
	[ 'with the monitor stopped, too', sub {
		freeze_processes($cluster->sql('near', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'consistency node monitor'}));
	} ],
	[ 'and where the primary seems to be down', sub {
		freeze_heartbeats($cluster, 'primary');
		wait_until(sub { $cluster->node_row('near', 'primary')->{state} eq 'down' }, 'the primary seems to be down');
	} ])
{
	my ($what, $meanwhile) = @$case;
	my $session = session();
	is(read_in_the_way($session, $meanwhile), $value, "on_timeout = primary: $what");
	is($session->value('SELECT place FROM consistency.last_read()'), 'forwarded', '... as last_read() tells');
	$cluster->wait_all_up('near');
}

# --- another one's ------------------------------------------------------

{
	my $holder = session("SET consistency = 'eventual'", 'SET consistency.routing = off');
	my $session = session("SET consistency.on_timeout = 'error'");
	$cluster->wait_replayed;
	$holder->do('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
	$holder->do('SELECT count(*) FROM dead');
	write_behind_conflict($session);
	wait_for_conflict();

	# it can't be told whose it is
	is(outcome($session), '40001', "another session's snapshot: to be retried");
	$session->send_query($read);
	$cluster->wait_for_wait('near', $session->pid);
	is($session->ready(3 * 0.3), 0, '... once: the retry waits, longer than deadlock_timeout');
	$holder->do('ROLLBACK');
	is($session->finish->{rows}[0][0], $value, '... and sees what it waited for');
}

done_testing();
