# Faults of replay: paused and resumed, delayed, in fits.

package Fault::Replay;

use strict;
use warnings FATAL => 'all';

use Fault::Process;

our %faults = (pause => \&pause, delay => \&delay, fits => \&fits);

sub _resume { return 'SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()'; }

sub pause
{
	my ($faults) = @_;
	my $name = $faults->any_replica;
	return {
		what => "replay stands at $name",
		begin => sub { $faults->try_sql($name, 'SELECT pg_wal_replay_pause()') },
		heal => sub { $faults->try_sql($name, _resume()) } };
}

# Stands and goes on by turns: replicas that are behind by ever different amounts.
sub fits
{
	my ($faults) = @_;
	my ($name, $stands, $count) = ($faults->any_replica, 0, 0);
	return {
		what => "replay in fits at $name",
		begin => sub { },
		during => sub {
			return if $count++ % 5;
			$stands = !$stands;
			$faults->try_sql($name, $stands ? 'SELECT pg_wal_replay_pause()' : _resume());
		},
		heal => sub { $faults->try_sql($name, _resume()) } };
}

sub delay
{
	my ($faults) = @_;
	my $name = $faults->any_replica;
	my $milliseconds = $faults->any(20, 100, 400);
	my $node = $faults->cluster->node($name);
	return {
		what => "replay $milliseconds ms late at $name",
		begin => sub {
			$faults->try_sql($name, "ALTER SYSTEM SET recovery_min_apply_delay = $milliseconds");
			Fault::Process::reload($node);
		},
		heal => sub {
			$faults->try_sql($name, 'ALTER SYSTEM RESET recovery_min_apply_delay');
			Fault::Process::reload($node);
		} };
}

1;
