# Read quorums while a failover is under way, and a deposed primary that goes on.

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

# A session waits in a node.
sub wait_for_wait
{
	my ($where) = @_;
	wait_until(
		sub {
			$cluster->sql($where, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
				  . " AND state = 'active' AND wait_event_type = 'Extension'");
		},
		"a session waits at $where");
	return;
}

# --- the old primary goes on --------------------------------------------

begin();
follow('far', undef);
write_at('primary');    # acknowledged by near
follow('far', 'primary');
$cluster->wait_replayed;
follow('far', undef);
$cluster->node('near')->promote;
is(outcome(quorum('far', 2)), $value, 'before the last one follows: the old timeline still has a majority');

# what the old primary writes from now on nobody acknowledges
my $before = $value;
write_at('primary', 'SET synchronous_commit = local');
$cluster->sql('primary', 'CHECKPOINT');
my $at_far = quorum('far', 2, "SET consistency.wait_timeout = '30s'");
$at_far->send_query($read);
wait_for_wait('far');
follow('far', 'near');
is($at_far->finish->{rows}[0][0], $before, 'it waits for the old primary, follows the new one, and asks again');

$cluster->set_primary('near');
$cluster->sql('near', "ALTER SYSTEM SET synchronous_standby_names = 'far'");
$cluster->node('near')->reload;
$value = 10;
write_at('near');
is(outcome(quorum('far', 2)), $value, 'the new timeline has a majority');
is(outcome(quorum('near', 2)), $value, '... at the new primary as well');
wait_until(sub { ($cluster->node_row('primary', 'near')->{role} // '') eq 'primary' }, 'the old one has heard of it');
is(outcome(quorum('primary', 'one')), $before + 1, 'the old primary; one: its own write');
is(soon(quorum('primary', 2)), 'YC002', '... a quorum: it is not the primary any more');
is(soon(quorum('near', 'all')), 'YC001', 'all: the old primary does not agree');
freeze('near');
is(soon(quorum('far', 2)), 'YC001', '... nor does it make a majority with a replica');
is(soon(quorum('primary', 2)), 'YC001', '... in either direction');
thaw();
is(outcome(quorum('far', 2)), $value, 'with the new primary it does');

done_testing();
