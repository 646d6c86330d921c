# Faults that make another node the primary; and how the old one comes back.

package Fault::Failover;

use strict;
use warnings FATAL => 'all';

use Fault::Process;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

our %faults = (
	switchover => \&switchover,
	failover => sub { failover($_[0], 0) },
	deposed => sub { deposed($_[0], 0) },
	lossy_failover => sub { failover($_[0], 1) },
	lossy_deposed => sub { deposed($_[0], 1) });

# --- steps ----------------------------------------------------------------

# Where a replica has received log to, as a number.
sub _received
{
	my ($faults, $name) = @_;
	return $faults->try_sql($name,
		"SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'") // 0;
}

# All replicas leave the primary for good; which one has the most?  Only then can
# that be said: what arrives later could have been acknowledged.
sub _furthest
{
	my ($faults) = @_;
	my @replicas = $faults->replicas;
	foreach my $name (@replicas)
	{
		my $node = $faults->cluster->node($name);
		$node->append_conf('postgresql.conf', "primary_conninfo = ''");
		Fault::Process::reload($node);
	}
	foreach my $name (@replicas)
	{
		my $end = time + 10;
		usleep(20_000)
		  while time < $end && ($faults->try_sql($name, 'SELECT count(*) FROM pg_stat_wal_receiver') // 0) > 0;
	}
	my %received = map { $_ => _received($faults, $_) } $faults->replicas;
	my ($best) = sort { $received{$b} <=> $received{$a} || $a cmp $b } keys %received;
	return $best;
}

# Promotes a replica; the others follow it.
sub _promote
{
	my ($faults, $name) = @_;
	my $cluster = $faults->cluster;
	my $old = $faults->primary;
	my @others = grep { $_ ne $name } $faults->replicas;
	$faults->try_sql($name, 'SELECT pg_wal_replay_resume() WHERE pg_is_wal_replay_paused()');
	$faults->try_sql($name, 'SELECT pg_promote(true, 30)') // die "$name can't be promoted\n";
	$cluster->set_primary($name);
	foreach my $other (@others)
	{
		$cluster->stream_from($other, $name);
		Fault::Process::reload($cluster->node($other));
	}
	return $old;
}

# A server that was the primary comes back as a replica; what it wrote beyond the
# point where the other one went on is forgotten.
sub _rejoin
{
	my ($faults, $name) = @_;
	my $cluster = $faults->cluster;
	my ($old, $new) = ($cluster->node($name), $cluster->primary);
	kill 'CONT', Fault::Process::all_of($old);
	Fault::Process::shut_down($old, 'immediate');
	$faults->try_sql($faults->primary, 'CHECKPOINT');
	my $file = $old->data_dir . '/postgresql.conf';
	my $conf = slurp_file($file);
	run_log([ $old->installed_command('pg_rewind'), '--target-pgdata', $old->data_dir, '--source-server', $new->connstr('postgres') ])
	  or die "pg_rewind of $name has failed\n";
	open my $out, '>', $file or die $!;
	print $out $conf;
	close $out;
	$cluster->stream_from($name, $faults->primary);
	Fault::Process::ensure_running($faults, $name);
	return;
}

# Between nodes, and not to clients.
sub _network
{
	my ($faults, $mode, @names) = @_;
	foreach my $name (@names)
	{
		foreach my $other (grep { $_ ne $name } $faults->cluster->names)
		{
			$faults->cluster->proxy->set($name, $other, 'both', $mode);
			$faults->cluster->proxy->set($other, $name, 'both', $mode);
		}
	}
	return;
}

# --- faults ---------------------------------------------------------------

# The primary is shut down, all its log is sent, a replica takes over.
sub switchover
{
	my ($faults) = @_;
	my $old = $faults->primary;
	my $cluster = $faults->cluster;
	return {
		alone => 1,
		what => "switchover from $old",
		begin => sub {
			Fault::Process::shut_down($cluster->node($old), 'fast');
			_promote($faults, _furthest($faults));
		},
		heal => sub { _rejoin($faults, $old) if $faults->primary ne $old } };
}

# The primary is killed.  A lossy one: replicas were cut off from it before, while
# it was written to.
sub failover
{
	my ($faults, $lossy) = @_;
	my $old = $faults->primary;
	return {
		alone => 1,
		what => "$old is killed" . ($lossy ? ', with log that nobody has received' : ''),
		begin => sub {
			if ($lossy)
			{
				$faults->cluster->proxy->set($_, $old, 'back', 'cut') for $faults->replicas;
				usleep(700_000);
			}
			Fault::Process::kill_everything($faults->cluster->node($old));
			# what was under way never arrives
			$faults->cluster->proxy->reset('*', $old);
			$faults->cluster->proxy->heal;
			usleep(200_000);
			_promote($faults, _furthest($faults));
		},
		heal => sub { _rejoin($faults, $old) if $faults->primary ne $old; } };
}

# The primary is cut off from the other nodes, and goes on serving clients while
# another one takes over.  Its connections to them hang, or break: then the others find
# the new one sooner.  A lossy one: it is written to meanwhile, without synchronous
# standbys.
sub deposed
{
	my ($faults, $lossy) = @_;
	my ($old, $mode) = ($faults->primary, $faults->any(qw(cut refuse)));
	return {
		alone => 1,
		what => "$old is cut off ($mode), deposed, and goes on",
		begin => sub {
			_network($faults, $mode, $old);
			usleep($lossy ? 700_000 : 200_000);
			_promote($faults, _furthest($faults));
			# replicas that can reach the old one don't get there any more
			usleep(1_500_000);
		},
		heal => sub {
			# for a while both can be reached
			_network($faults, 'pass', $old);
			usleep(500_000);
			_rejoin($faults, $old) if $faults->primary ne $old;
		} };
}

1;
