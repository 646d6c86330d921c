# Who has a vote in a read quorum: nodes that are declared, once each, that have
# all they ever had, and that agree on a history after the wrong one was promoted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $read = 'SELECT v FROM t WHERE i = 1';
my ($cluster, $value);

# --- helpers ------------------------------------------------------------

# A cluster in which a write is acknowledged by two of three nodes.
sub begin
{
	$cluster = ConsistencyCluster->new(
		conf => "consistency.wait_timeout = '30s'\n",
		primary_conf => "synchronous_standby_names = 'ANY 1 (near, far)'\nsynchronous_commit = remote_apply\n");
	my $writer = $cluster->connect('primary');
	$writer->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
	$writer->do('INSERT INTO t VALUES (1, 0)');
	$value = 0;
	# who is started anew begins there
	$cluster->sql('primary', 'CHECKPOINT');
	$cluster->wait_replayed;
	$cluster->sql($_, 'CHECKPOINT') for qw(near far);
	return;
}

sub write_at
{
	my ($where, @settings) = @_;
	my $session = $cluster->connect($where);
	$session->do($_) for @settings;
	$value++;
	$session->do("UPDATE t SET v = $value WHERE i = 1");
	return;
}

# A session at a node whose level alone demands nothing.
sub quorum
{
	my ($where, $quorum, @settings) = @_;
	my $session = $cluster->connect($where);
	$session->do("SET consistency = 'eventual'");
	$session->do("SET consistency.on_timeout = 'error'");
	$session->do("SET consistency.read_quorum = '$quorum'");
	$session->do($_) for @settings;
	return $session;
}

# Value of a read, or the SQLSTATE of its error; "soon": it doesn't wait for long.
sub outcome
{
	my ($session, $soon) = @_;
	$session->do("SET consistency.wait_timeout = '" . ($soon ? '500ms' : '30s') . "'");
	my $result = $session->query($read);
	return $result->{error} ? $result->{error}{code} : $result->{rows}[0][0];
}

sub soon { return outcome($_[0], 1); }

my @frozen;

# A node answers no heartbeats, nor new connections; does so again.
sub freeze
{
	my ($where) = @_;
	@frozen = ((processes($cluster->node($where)))[0]);
	push @frozen, split /\n/, $cluster->sql($where,
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'consistency monitor'");
	kill 'STOP', @frozen;
	return;
}
sub thaw { kill 'CONT', @frozen; @frozen = (); return; }
END { local $?; thaw(); }

# A replica gets its log from that node, or from nobody.
sub follow
{
	my ($name, $upstream) = @_;
	my $node = $cluster->node($name);
	my $conninfo = $upstream ? $cluster->node($upstream)->connstr . " application_name=$name" : '';
	$conninfo =~ s/'/''/g;
	$node->append_conf('postgresql.conf', "primary_conninfo = '$conninfo'");
	$node->append_conf('postgresql.conf', "recovery_target_timeline = 'latest'");
	$node->reload;
	$node->poll_query_until('postgres', 'SELECT count(*) = ' . ($upstream ? 1 : 0) . ' FROM pg_stat_wal_receiver')
	  or die "$name doesn't follow";
	return;
}

# --- which nodes there are ----------------------------------------------

begin();
{
	my $session = quorum('near', 'quorum');
	freeze('far');
	is(outcome($session), 0, 'two of three nodes');

	# Known to a session as soon as it is replayed, whatever the monitor knows,
	# which has nobody now who reads it for it.
	my $dba = $cluster->connect('near', user => $cluster->superuser);
	my ($postmaster) = processes($cluster->node('near'));
	kill 'STOP', $postmaster;
	push @frozen, $postmaster;
	$cluster->sql('primary', "CREATE SERVER more FOREIGN DATA WRAPPER consistency OPTIONS (host '/nowhere', port '1')");
	$cluster->sql('primary', "CREATE SERVER most FOREIGN DATA WRAPPER consistency OPTIONS (host '/nowhere', port '2')");
	wait_until(sub { $dba->value("SELECT count(*) FROM pg_foreign_server WHERE srvname = 'most'") }, 'it is replayed');
	is(soon($session), 'YC001', 'two more are declared: two of five are no quorum');
	thaw();
	is(outcome($session), 0, '... three are');
	$cluster->sql('primary', 'DROP SERVER most');
	$cluster->sql('primary', 'DROP SERVER more');
	$cluster->wait_replayed('near');
	freeze('far');
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
follow('far', undef);
write_at('primary');
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
