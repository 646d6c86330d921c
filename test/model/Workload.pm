
=pod

=head1 NAME

Workload - what clients do in a run: what all workloads have in common

=head1 DESCRIPTION

A workload is a class in Workload/, with

  clients()           how many it wants
  setup_sql()         what is created, beyond Store's tables
  setup_ops()         micro-operations of the set-up, which write every key
  start($client)      called once in each client's process
  step($client)       one operation
  at_end($client)     called once in each process, when all faults are healed
  checkers($level)    what judges the history: names, or [ name, options ]; by
                      default what common_checkers() says
  options($cluster)   what the checkers are to know beside the history

Each client is a process with random numbers of its own, a home among the nodes,
and a way to connect: "stays" at one node, or "moves" between all of them with
its token.  All get $self with: level, seed, number (of the client), nodes, end.

=cut

package Workload;

use strict;
use warnings FATAL => 'all';

use Store;
use Time::HiRes qw(time);

sub new
{
	my ($class, %arg) = @_;
	my $self = bless { serial => 0, %arg }, $class;
	$self->init;
	return $self;
}

sub init { return; }

sub clients { return 6; }

# Those that faults may touch.
sub tables { return qw(reg list); }

sub setup_sql { return ''; }

sub setup_ops { return (); }

sub start { return; }

sub at_end { return; }

sub options { return (); }

# The level that sessions have: by default that of the run.
sub level { my ($self) = @_; return $self->{level}; }

sub settings { return (); }

# Where a client is at first, if it matters.
sub home { return; }

# --- for step() -----------------------------------------------------------

sub any { my (@of) = @_; return $of[ int rand @of ]; }

sub chance { my ($p) = @_; return rand() < $p ? 1 : 0; }

# A client that moves does so now and then.
sub maybe_move
{
	my ($self, $client, $p) = @_;
	return unless $self->{moves} && chance($p // 0.15);
	$client->move(any(@{ $self->{nodes} }));
	return;
}

# What judges, by a level, registers with one writer each and lists.  By "prefix": that
# all see one order of writes; by "lossless": that all is there in the end.
sub common_checkers
{
	my ($self, $level) = @_;
	return () if $level eq 'weak';
	return [ 'Prefix', { sessions => 0 } ] if $level eq 'prefix';
	return ('LostWrites') if $level eq 'lossless';
	my @lost = $self->{lossy} ? () : ('LostWrites');
	# what a failover loses was seen in another order than what came instead
	return ('Sessions') if $self->{lossy} && $level ne 'eventual' && $level ne 'bounded';
	return @lost if $level eq 'eventual' || $level eq 'bounded';
	return ('Sessions', @lost) if $level eq 'session';
	return ('Sessions', 'Causal', [ 'Prefix', { sessions => 1, realtime => $level eq 'linearizable' ? 1 : 0 } ], @lost);
}

sub checkers { my ($self, $level) = @_; return $self->common_checkers($level); }

# Reads all keys, when all is over.
sub read_finally
{
	my ($self, $client, $kind, @keys) = @_;
	foreach my $try (1 .. 20)
	{
		next unless $client->ready;
		my $outcome = $client->operation([ map { [ 'r', $_ ] } @keys ], sub { Store::run(@_, kind => $kind) }, final => 1);
		return if $outcome eq 'ok';
	}
	die "the end can't be read at " . $client->node . "\n";
}

# Keys that are used for a second each, so that none gets long: name0, name1, ...
sub window { my ($self) = @_; my $n = int(time - $self->{began}); return $n > 119 ? 119 : $n; }

# How a statement travels.
sub way { return (extended => chance(0.5)); }

# A function that reads these keys: what a session does first.
sub reads_first
{
	my ($self, $kind, @keys) = @_;
	return sub {
		my ($client) = @_;
		return $client->operation([ map { [ 'r', $_ ] } @keys ], sub { Store::run(@_, kind => $kind) }, note => 'first');
	};
}

1;
