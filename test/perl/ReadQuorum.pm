
=pod

=head1 NAME

ReadQuorum - reads that ask a quorum of nodes, and nodes that don't answer

=head1 SYNOPSIS

  use ConsistencyCluster;
  use ReadQuorum;

  make_row($cluster);                                # table t with the row (1, 0)
  my $session = quorum_session($cluster, 'near', 'quorum');
  is(outcome($session), 0, 'a quorum read');
  freeze($cluster, 'far');
  is(soon($session), 'YC001', 'without waiting for long');
  thaw();

=head1 DESCRIPTION

What is frozen goes on at the end of the test, whatever becomes of it.

=cut

package ReadQuorum;

use strict;
use warnings FATAL => 'all';

use Carp;
use ConsistencyCluster;
use Exporter 'import';

our @EXPORT = qw($read make_row write_value quorum_session outcome soon
  freeze freeze_heartbeats freeze_processes thaw follow);

# The read of quorum tests.
our $read = 'SELECT v FROM t WHERE i = 1';

# Makes what it reads; returns the session, at the primary.
sub make_row
{
	my ($cluster) = @_;
	my $writer = $cluster->connect('primary');
	$writer->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
	$writer->do('INSERT INTO t VALUES (1, 0)');
	$cluster->wait_replayed;
	return $writer;
}

# Writes a value, at that node.
sub write_value
{
	my ($cluster, $where, $value, @settings) = @_;
	my $session = $cluster->connect($where);
	$session->do($_) for @settings;
	$session->do("UPDATE t SET v = $value WHERE i = 1");
	return;
}

# A session at a node whose level alone demands nothing.
sub quorum_session
{
	my ($cluster, $where, $quorum, @settings) = @_;
	my $session = $cluster->connect($where);
	$session->do("SET consistency = 'eventual'");
	$session->do("SET consistency.on_timeout = 'error'");
	$session->do("SET consistency.read_quorum = '$quorum'");
	$session->do($_) for @settings;
	return $session;
}

# Value of a read, or the SQLSTATE of its error.
sub outcome
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql // $read);
	return $result->{error} ? $result->{error}{code} : $result->{rows}[0][0];
}

# The same of a read that doesn't wait for long.
sub soon
{
	my ($session) = @_;
	$session->do("SET consistency.wait_timeout = '500ms'");
	my $outcome = outcome($session);
	$session->do('RESET consistency.wait_timeout');
	return $outcome;
}

my @frozen;

# Nodes answer no heartbeats, nor new connections.
sub freeze
{
	my ($cluster, @where) = @_;
	freeze_heartbeats($cluster, @where);
	freeze_processes(map { (processes($cluster->node($_)))[0] } @where);
	return;
}

# They answer no heartbeats, for now.
sub freeze_heartbeats
{
	my ($cluster, @where) = @_;
	my $backends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'consistency monitor'";
	freeze_processes(map { split /\n/, $cluster->sql($_, $backends) } @where);
	return;
}

sub freeze_processes { my (@pids) = @_; push @frozen, @pids; kill 'STOP', @pids; return; }

# All that was frozen goes on.
sub thaw { kill 'CONT', @frozen; @frozen = (); return; }
END { local $?; thaw(); }

# A replica gets its log from that node, or from nobody.
sub follow
{
	my ($cluster, $name, $upstream) = @_;
	my $node = $cluster->node($name);
	my $conninfo = $upstream ? $cluster->node($upstream)->connstr . " application_name=$name" : '';
	$conninfo =~ s/'/''/g;
	$node->append_conf('postgresql.conf', "primary_conninfo = '$conninfo'");
	$node->append_conf('postgresql.conf', "recovery_target_timeline = 'latest'");
	$node->reload;
	$node->poll_query_until('postgres', 'SELECT count(*) = ' . ($upstream ? 1 : 0) . ' FROM pg_stat_wal_receiver')
	  or croak "$name doesn't follow";
	return;
}

1;
