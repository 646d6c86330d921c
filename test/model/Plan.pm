
=pod

=head1 NAME

Plan - which runs are made when nobody says which

=head1 DESCRIPTION

plan(name) returns a list of stages; each has a cluster of its own: name, options
of the cluster (plain, sync, clocks, cascade, weakened: of servers that can be
weakened), weight (how long its runs are, compared with others), and runs:
[ workload, level, faults, option => ... ].
Options of a run: as (the level that judges), guilty (a pattern: what the sorted
names of anomalies must match, or the run proves that nothing is looked at), only (the node
that all clients go to), pooled (see Run.pm), quorums ("W,R": see
Workload/Quorum.pm), weaken (mechanisms that are switched off:
src/core/weaken.h).

=cut

package Plan;

use strict;
use warnings FATAL => 'all';

use Carp;

# faults that take no commit back, and end no server
my $gentle = 'late_acks,pause,fits,delay,late,cut,slow,reset,conflict,ddl,slow_commit,storm,stop';

# failovers that lose nothing with synchronous standbys, and that replicas hear of: at a
# primary that was deposed and doesn't know, no bound of staleness is promised
my $heard_of = 'mild,switchover,failover';

# replicas that are behind
my $behind = 'pause,delay,fits';

our @workloads = qw(Pairs LongFork Monotonic Chains Append Serializable Bank Counter Staleness Register Quorum);

# What must be found when less is promised than is judged by.
sub _controls
{
	return (
		[ 'Pairs', 'eventual', $behind, as => 'session', guilty => qr/read-your-writes/ ],
		[ 'Monotonic', 'eventual', $behind, as => 'session', guilty => qr/monotonic-reads/ ],
		[ 'Chains', 'eventual', $behind, as => 'causal', guilty => qr/causal/ ],
		[ 'Staleness', 'eventual', 'pause,delay', as => 'linearizable', guilty => qr/too-stale/ ],
		[ 'Register', 'causal', $behind, as => 'linearizable', guilty => qr/not-linearizable/ ],
		(map { [ 'Quorum', 'eventual', $behind, quorums => $_, guilty => qr/unseen-acknowledged/ ] } 'one,one', 'quorum,one'),
		[ 'Quorum', 'eventual', 'lossy_failover', quorums => 'one,quorum', guilty => qr/unseen-acknowledged/ ]);
}

# These need acknowledgements of synchronous standbys.
sub _sync_controls
{
	return ([ 'Mixed', 'eventual', 'late_acks', as => 'prefix', guilty => qr/long-fork/ ]);
}

# The levels as they are, with one mechanism switched off; and once with none, so that it
# isn't the server that is guilty.  What random runs can't show is shown step by step by
# test/t/051_weakened.t:
#
#   snapshot  "a snapshot older than what is known": none of the workloads is told of
#             something new in the middle of a transaction
#   deposed   "a stale read at a primary that knows that it was replaced": who is stale
#             while it doesn't know yet can't be told from that
sub _weakened
{
	return (
		[ 'Pairs', 'session', $behind, weaken => '' ],
		[ 'Pairs', 'session', $behind, weaken => 'written', guilty => qr/read-your-writes/ ],
		[ 'Pairs', 'session', $behind, weaken => 'answers', guilty => qr/read-your-writes/ ],
		[ 'Pairs', 'session', $behind, weaken => 'replay_wait', guilty => qr/read-your-writes/ ],
		[ 'Monotonic', 'session', $behind, weaken => 'observed', guilty => qr/monotonic-reads/ ],
		[ 'Chains', 'causal', $behind, weaken => 'tokens', guilty => qr/causal-stale-read/ ],
		[ 'Staleness', 'bounded', 'pause,delay', weaken => 'bounds', guilty => qr/too-stale/ ],
		[ 'Mixed', 'session', 'slow_commit', weaken => 'async', guilty => qr/monotonic-reads/ ],
		[ 'Pairs', 'session', 'lossy_failover', weaken => 'timeline', guilty => qr/read-your-writes/ ]);
}

# The same with synchronous standbys.  Where the fence is off, the barrier still keeps a
# deposed primary from answering while anybody waits for a commit there, as somebody
# does here: so both are off.  The fence alone: 051_weakened.t, "a stale linearizable
# read at a primary that was replaced".
sub _sync_weakened
{
	return (
		[ 'Mixed', 'causal', 'late_acks', weaken => 'barrier', guilty => qr/long-fork.*monotonic-reads/ ],
		[ 'Register', 'linearizable', 'deposed', weaken => 'barrier, fence', guilty => qr/not-linearizable/ ]);
}

# Quorums, without synchronous standbys, with failovers.  In the end the wrong node is
# promoted: then reads fail.
sub _quorums
{
	my @run = ('Quorum', 'eventual');
	return (
		[ @run, 'quorum' ], [ @run, 'quorum_failover' ], [ @run, 'down,' . $behind ], [ @run, 'quorum_deposed' ],
		[ @run, 'mild', quorums => 'one,all' ], [ @run, 'mild', quorums => 'all,one' ],
		[ @run, 'wrong_failover' ]);
}

# Clients behind pgbouncer, which must hand in their tokens themselves.
sub _pooled
{
	my @token = (pooled => 'token');
	return (
		[ 'Pairs', 'session', $behind, pooled => 'forgetful', guilty => qr/read-your-writes/ ],
		[ 'Monotonic', 'session', $behind, pooled => 'forgetful', guilty => qr/monotonic-reads/ ],
		[ 'Pairs', 'session', 'mild', @token ], [ 'Chains', 'causal', 'mild', @token ],
		[ 'Monotonic', 'causal', 'mild', @token ], [ 'LongFork', 'sequential', 'mild', @token ],
		[ 'Append', 'causal', 'mild', @token ]);
}

sub _each { my ($level, $faults, @workloads) = @_; return map { [ $_, $level, $faults ] } @workloads; }

sub plan
{
	my ($name) = @_;
	my @mild = (
		_each('causal', 'mild', grep { !/^(?:Staleness|Register|Quorum)$/ } @workloads),
		_each('session', 'mild', qw(Pairs Monotonic Append Bank)),
		_each('sequential', 'mild', qw(LongFork Chains Serializable)),
		_each('bounded', 'mild', qw(Staleness)));
	my @crash = (
		_each('linearizable', 'crash', qw(Register Pairs Append Counter Staleness)),
		_each('causal', 'crash', qw(Chains LongFork Pairs Serializable Bank)),
		_each('linearizable', 'late_acks,mild', qw(Register LongFork)),
		(map { _each($_, $gentle, 'Mixed') } qw(causal sequential session)),
		_each('session', 'crash', qw(Monotonic Pairs)), _each('bounded', 'clean', qw(Staleness)),
		_each('sequential', 'crash', qw(LongFork Chains)), _each('sequential', 'clean', qw(Pairs)),
		_each('bounded', $heard_of, qw(Staleness)), _each('linearizable', 'crash', qw(Chains Serializable)),
		_each('linearizable', 'clean', qw(Register)),
		[ 'Register', 'linearizable', 'crash', pooled => 'token' ], [ 'Pairs', 'causal', 'crash', pooled => 'token' ]);
	my @lossy = ([ 'Append', 'session', 'lossy_failover', as => 'lossless', guilty => qr/lost-write/ ], _each('session', 'lossy', qw(Pairs Monotonic Chains)), _each('causal', 'lossy', qw(Pairs Chains)));
	return (
		{ name => 'controls: must be found guilty', runs => [ _controls() ] },
		{ name => 'synchronous standbys, controls', sync => 1, runs => [ _sync_controls() ] },
		{ name => 'plain PostgreSQL, synchronous standbys', plain => 1, sync => 1, runs => [
			[ 'Mixed', 'eventual', 'late_acks', as => 'prefix', guilty => qr/long-fork/ ],
			[ 'Mixed', 'eventual', 'late_acks', as => 'prefix', only => 'primary' ] ] },
		{ name => 'one mechanism is switched off: must be found guilty', weakened => 1, runs => [ _weakened() ] },
		{ name => 'the same with synchronous standbys', weakened => 1, sync => 1, weight => 2, runs => [ _sync_weakened() ] },
		{ name => 'synchronous standbys, failover', sync => 1, weight => 2, runs => \@crash },
		{ name => 'failover that loses', weight => 2, runs => \@lossy },
		{ name => 'quorums', weight => 2, runs => [ _quorums() ] },
		{ name => 'pgbouncer, in transaction mode', runs => [ _pooled() ] },
		{ name => 'a cascading replica', cascade => 1, runs => [ _each('causal', 'mild', qw(Monotonic Chains)), _each('session', 'clean', 'Pairs') ] },
		{ name => 'clocks step', clocks => 1, runs => [ _each('bounded', 'clock,pause,cut', qw(Staleness)), _each('causal', 'clock,mild', qw(Counter Pairs)) ] },
		{ name => 'no failover', runs => \@mild })
	  if $name eq 'proof';
	croak "no plan \"$name\"";
}

1;
