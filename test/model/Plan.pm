
=pod

=head1 NAME

Plan - which runs are made when nobody says which

=head1 DESCRIPTION

plan(name) returns a list of stages; each has a cluster of its own: name, options
of the cluster (plain, sync, clocks, cascade), weight (how long its runs are, compared with others),
and runs: [ workload, level, faults, option => ... ].
Options of a run: as (the level that judges), guilty (a pattern: an anomaly of such
a name must be found, or the run proves that nothing is looked at), only (the node
that all clients go to).

=cut

package Plan;

use strict;
use warnings FATAL => 'all';

use Carp;

# faults that take no commit back, and end no server
my $gentle = 'late_acks,pause,fits,delay,late,cut,slow,reset,conflict,ddl,slow_commit,storm,stop';

our @workloads = qw(Pairs LongFork Monotonic Chains Append Serializable Bank Counter Staleness Register);

# What must be found when less is promised than is judged by.
sub _controls
{
	return (
		[ 'Pairs', 'eventual', 'pause,delay,fits', as => 'session', guilty => qr/read-your-writes/ ],
		[ 'Monotonic', 'eventual', 'pause,delay,fits', as => 'session', guilty => qr/monotonic-reads/ ],
		[ 'Chains', 'eventual', 'pause,delay,fits', as => 'causal', guilty => qr/causal/ ],
		[ 'Staleness', 'eventual', 'pause,delay', as => 'linearizable', guilty => qr/too-stale/ ],
		[ 'Register', 'causal', 'pause,delay,fits', as => 'linearizable', guilty => qr/not-linearizable/ ]);
}

# These need acknowledgements of synchronous standbys.
sub _sync_controls
{
	return ([ 'Mixed', 'eventual', 'late_acks', as => 'prefix', guilty => qr/long-fork/ ]);
}

sub _each { my ($level, $faults, @workloads) = @_; return map { [ $_, $level, $faults ] } @workloads; }

sub plan
{
	my ($name) = @_;
	my @mild = (
		_each('causal', 'mild', grep { $_ ne 'Staleness' && $_ ne 'Register' } @workloads),
		_each('session', 'mild', qw(Pairs Monotonic Append Bank)),
		_each('sequential', 'mild', qw(LongFork Chains Serializable)),
		_each('bounded', 'mild', qw(Staleness)));
	my @crash = (
		_each('linearizable', 'crash', qw(Register Pairs Append Counter Staleness)),
		_each('causal', 'crash', qw(Chains LongFork Pairs Serializable Bank)),
		_each('linearizable', 'late_acks,mild', qw(Register LongFork)),
		(map { _each($_, $gentle, 'Mixed') } qw(causal sequential session)),
		_each('session', 'crash', qw(Monotonic Pairs)), _each('bounded', 'clean', qw(Staleness)));
	my @lossy = ([ 'Append', 'session', 'lossy_failover', as => 'lossless', guilty => qr/lost-write/ ], _each('session', 'lossy', qw(Pairs Monotonic Chains)), _each('causal', 'lossy', qw(Pairs Chains)));
	return (
		{ name => 'controls: must be found guilty', runs => [ _controls() ] },
		{ name => 'synchronous standbys, controls', sync => 1, runs => [ _sync_controls() ] },
		{ name => 'plain PostgreSQL, synchronous standbys', plain => 1, sync => 1, runs => [
			[ 'Mixed', 'eventual', 'late_acks', as => 'prefix', guilty => qr/long-fork/ ],
			[ 'Mixed', 'eventual', 'late_acks', as => 'prefix', only => 'primary' ] ] },
		{ name => 'synchronous standbys, failover', sync => 1, weight => 2, runs => \@crash },
		{ name => 'failover that loses', weight => 2, runs => \@lossy },
		{ name => 'a cascading replica', cascade => 1, runs => [ _each('causal', 'mild', qw(Monotonic Chains)), _each('session', 'clean', 'Pairs') ] },
		{ name => 'clocks step', clocks => 1, runs => [ _each('bounded', 'clock,pause,cut', qw(Staleness)), _each('causal', 'clock,mild', qw(Counter Pairs)) ] },
		{ name => 'no failover', runs => \@mild })
	  if $name eq 'proof';
	croak "no plan \"$name\"";
}

1;
