# Who has a vote in a read quorum: nodes that are declared, once each, that have
# all they ever had, and that agree on a history after the wrong one was promoted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use ReadQuorum;
use Test::More;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

# A write is acknowledged by two of three nodes.
my $value = 0;
my $cluster = ConsistencyCluster->new(
	conf => "consistency.wait_timeout = '30s'\n",
	primary_conf => "synchronous_standby_names = 'ANY 1 (near, far)'\nsynchronous_commit = remote_apply\n");
make_row($cluster)->close;

# who is started anew begins there
$cluster->sql('primary', 'CHECKPOINT');
$cluster->wait_replayed;
$cluster->sql($_, 'CHECKPOINT') for qw(near far);

sub quorum { return quorum_session($cluster, @_); }

# --- which nodes there are ----------------------------------------------

{
	my $session = quorum('near', 'quorum');
	freeze($cluster, 'far');
	is(outcome($session), 0, 'two of three nodes');

	# Known to a session as soon as it is replayed, whatever the monitor knows,
	# which has nobody now who reads it for it.
	my $dba = $cluster->connect('near', user => $cluster->superuser);
	my ($postmaster) = processes($cluster->node('near'));
	freeze_processes($postmaster);
	$cluster->sql('primary', "CREATE SERVER more FOREIGN DATA WRAPPER consistency OPTIONS (host '/nowhere', port '1')");
	$cluster->sql('primary', "CREATE SERVER most FOREIGN DATA WRAPPER consistency OPTIONS (host '/nowhere', port '2')");
	wait_until(sub { $dba->value("SELECT count(*) FROM pg_foreign_server WHERE srvname = 'most'") }, 'it is replayed');
	is(soon($session), 'YC001', 'two more are declared: two of five are no quorum');
	thaw();
	is(outcome($session), 0, '... three are');
	$cluster->sql('primary', 'DROP SERVER most');
	$cluster->sql('primary', 'DROP SERVER more');
	$cluster->wait_replayed('near');
	freeze($cluster, 'far');
	is(outcome($session), 0, '... and back to three nodes');

	# one more name for the primary
	my $sql = $cluster->server_sql('primary', 'postgres');
	$sql =~ s/SERVER "primary"/SERVER again/g;
	my $host = $cluster->primary->host;
	$sql =~ s/host '\Q$host\E'/host '$host\/'/;
	$cluster->sql('primary', $sql);
	$cluster->wait_replayed('near');
	$cluster->node('near')->poll_query_until('postgres', "SELECT state = 'up' FROM consistency.nodes WHERE name = 'again'");
	is(soon($session), 'YC001', 'a server that is declared twice has one vote');
	$cluster->sql('primary', 'DROP SERVER again CASCADE');

	# who reads need not be a member
	$cluster->sql('primary', 'DROP SERVER near CASCADE');
	$cluster->wait_replayed('near');
	is(soon($session), 'YC001', 'a replica that is not declared has no vote');
	thaw();
	is(outcome($session), 0, '... and can ask the others');
	my $error = quorum('near', 3)->error($read);
	is($error->{code}, '22023', '... of which there are two now');
}

# --- a replica that was started anew ------------------------------------

$cluster->sql('primary', $cluster->server_sql('near', 'postgres'));
$cluster->wait_replayed;
$cluster->wait_all_up;
follow($cluster, 'far', undef);
write_value($cluster, 'primary', ++$value);
is(outcome(quorum('near', 'one')), $value, 'one replica has what was acknowledged');
$cluster->primary->stop('immediate');
is(soon(quorum('far', 2)), 'YC001', '... the other one can not get it, and says so');

# It comes back with less than it had shown, and takes its time for the rest.
$cluster->node('near')->stop('immediate');
$cluster->node('near')->append_conf('postgresql.conf', "recovery_min_apply_delay = '1h'");
$cluster->node('near')->start;
wait_until(sub { ($cluster->node_row('far', 'near')->{state} // '') eq 'up' }, 'it is up');
is(outcome(quorum('far', 'one')), $value - 1, 'one: stale');
is(soon(quorum('far', 2)), 'YC001', 'it has no vote until it has replayed what it had');
is(soon(quorum('near', 2)), 'YC001', '... nor has it for its own reads');
is($cluster->sql('near', 'SELECT caught_up FROM consistency.node_status()'), 'f', '... as it tells');
$cluster->node('near')->append_conf('postgresql.conf', "recovery_min_apply_delay = 0");
$cluster->node('near')->reload;
is(outcome(quorum('near', 2)), $value, 'then it has, and the write is seen');
is(soon(quorum('far', 2)), 'YC001', '... where it is');
is($cluster->sql('near', 'SELECT caught_up FROM consistency.node_status()'), 't', '... and it tells so');

# --- the wrong one is promoted ------------------------------------------

# It never had a write that was acknowledged.
$cluster->node('far')->promote;
wait_until(sub { ($cluster->node_row('far', 'far')->{role} // '') eq 'primary' }, 'it is the primary');
is(outcome(quorum('far', 'one')), $value - 1, 'the wrong one is promoted; one: an acknowledged write is lost');
is(soon(quorum('far', 2)), 'YC001', '... a quorum of two: no answer without it');
is(soon(quorum('near', 2)), 'YC001', '... from neither');

# Those who have it are the majority; what was promoted can't be part of it.
$cluster->primary->start;
foreach my $name (qw(primary near))
{
	wait_until(sub { ($cluster->node_row('far', $name)->{state} // '') eq 'up' }, "far sees $name");
}
is(outcome(quorum('near', 2)), $value, 'the old primary is back: it and its replica have the write');
is(soon(quorum('far', 2)), 'YC001', '... and the promoted one is alone');

done_testing();
