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
	down => \&down,
	quorum_failover => \&quorum_failover,
	quorum_deposed => \&quorum_deposed,
	wrong_failover => \&wrong_failover,
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

# All replicas leave the primary for good.
sub _leave
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
	return;
}

# They leave; which one has the most?  Only then can that be said: what arrives later
# could have been acknowledged.
sub _furthest
{
	my ($faults) = @_;
	_leave($faults);
	my %received = map { $_ => _received($faults, $_) } $faults->replicas;
	my ($best) = sort { $received{$b} <=> $received{$a} || $a cmp $b } keys %received;
	return $best;
}

# The replica that has all that was acknowledged by a quorum, by the first of the
# others that can say so; undef if nobody can within some seconds.
sub _candidate
{
	my ($faults) = @_;
	my $end = time + 8;
	while (time < $end)
	{
		foreach my $asked ($faults->replicas)
		{
			my $name = $faults->try_sql($asked,
				q{SELECT name FROM consistency.failover_candidates('quorum') WHERE complete LIMIT 1});
			return $name if $name;
		}
		usleep(100_000);
	}
	$faults->note('there is no candidate');
	return;
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

# A server that was the primary, or a replica that had more than the one that was
# promoted, comes back as a replica; what it has beyond the point where the other one
# went on is forgotten.
sub _rejoin
{
	my ($faults, $name) = @_;
	my $cluster = $faults->cluster;
	my ($old, $new) = ($cluster->node($name), $cluster->primary);
	kill 'CONT', Fault::Process::all_of($old);
	Fault::Process::shut_down($old, -e $old->data_dir . '/standby.signal' ? 'fast' : 'immediate');
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

# After a failover: the old primary comes back, and so do replicas that can't follow
# the new one, as they had applied more.
sub _rejoin_all
{
	my ($faults, $old) = @_;
	my $primary = $faults->primary;
	return Fault::Process::ensure_running($faults, $old) if $primary eq $old;
	foreach my $name (grep { $_ ne $old } $faults->replicas)
	{
		my $end = time + 5;
		my $follows = 0;
		while (time < $end && !$follows)
		{
			$follows = $faults->try_sql($name,
				q{SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'});
			usleep(50_000) unless $follows;
		}
		next if $follows;
		$faults->note("$name is rewound");
		_rejoin($faults, $name);
	}
	_rejoin($faults, $old);
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

# The primary is killed, and nobody takes over.
sub down
{
	my ($faults) = @_;
	my $name = $faults->primary;
	return {
		what => "$name, the primary, is killed",
		begin => sub { Fault::Process::kill_everything($faults->cluster->node($name)) },
		heal => sub { Fault::Process::ensure_running($faults, $name) } };
}

# The primary is killed; one who asks failover_candidates() promotes what it names.
# Sometimes one of the replicas was cut off, or its replay stood, until then.
sub quorum_failover
{
	my ($faults) = @_;
	my $old = $faults->primary;
	my $behind = $faults->any('', $faults->replicas);
	my $how = $faults->any(qw(cut pause));
	return {
		alone => 1,
		what => "$old is killed" . ($behind && ", $behind is behind ($how)") . ', a candidate is promoted',
		begin => sub {
			if ($behind)
			{
				$faults->cluster->proxy->set($behind, $old, 'back', 'cut') if $how eq 'cut';
				$faults->try_sql($behind, 'SELECT pg_wal_replay_pause()') if $how eq 'pause';
				usleep(700_000);
			}
			Fault::Process::kill_everything($faults->cluster->node($old));
			$faults->cluster->proxy->reset('*', $old);
			$faults->cluster->proxy->heal;
			my $new = _candidate($faults) or return;
			_promote($faults, $new);
		},
		heal => sub {
			$faults->try_sql($_, 'SELECT pg_wal_replay_resume() WHERE pg_is_wal_replay_paused()') foreach $faults->replicas;
			_rejoin_all($faults, $old);
		} };
}

# The primary is cut off and goes on; when the others have left it for good, so that it
# can't acknowledge anything by a quorum any more, the candidate is promoted.
sub quorum_deposed
{
	my ($faults) = @_;
	my ($old, $mode) = ($faults->primary, $faults->any(qw(cut refuse)));
	return {
		alone => 1,
		what => "$old is cut off ($mode), a candidate is promoted, and the old one goes on",
		begin => sub {
			_network($faults, $mode, $old);
			_leave($faults);
			my $new = _candidate($faults);
			if (!$new) { $faults->cluster->stream_from($_, $old), Fault::Process::reload($faults->cluster->node($_)) foreach $faults->replicas; return; }
			_promote($faults, $new);
			usleep(1_000_000);
		},
		heal => sub {
			# for a while both can be reached
			_network($faults, 'pass', $old);
			usleep(700_000);
			_rejoin_all($faults, $old) if $faults->primary ne $old;
		} };
}

# The primary is killed, and a replica that lacks what was written last is promoted.
# Nobody may take that for all there is.  It is undone: the old primary comes back as
# such, and the one that was promoted by mistake is rewound.
sub wrong_failover
{
	my ($faults) = @_;
	my ($old, $cluster) = ($faults->primary, $faults->cluster);
	my $wrong = $faults->any_replica;
	my ($other) = grep { $_ ne $wrong } $faults->replicas;
	return {
		alone => 1,
		what => "$old is killed, $wrong is promoted by mistake",
		begin => sub {
			$cluster->proxy->set($wrong, $old, 'back', 'cut');
			usleep(700_000);
			Fault::Process::kill_everything($cluster->node($old));
			$cluster->proxy->reset('*', $old);
			$cluster->proxy->heal;
			_promote($faults, $wrong);
			usleep(1_000_000);
		},
		heal => sub {
			return Fault::Process::ensure_running($faults, $old) if $faults->primary eq $old;
			Fault::Process::shut_down($cluster->node($_), 'fast') foreach $wrong, $other;
			_forget_timelines($cluster, $old, $other);
			$cluster->set_primary($old);
			Fault::Process::ensure_running($faults, $old);
			$cluster->stream_from($other, $old);
			Fault::Process::ensure_running($faults, $other);
			_rejoin($faults, $wrong);
		} };
}

# A replica, which is down, forgets all timelines that a node doesn't have.
sub _forget_timelines
{
	my ($cluster, $like, $name) = @_;
	my ($has, $at) = map { $cluster->node($_)->data_dir . '/pg_wal' } $like, $name;
	foreach my $file (map { s{.*/}{}r } glob "$at/*.history") { unlink "$at/$file" unless -e "$has/$file"; }
	return;
}

1;
