# Transactions on lists, of one isolation: here REPEATABLE READ, which is snapshot
# isolation.  Readers use one statement, or REPEATABLE READ READ ONLY, which runs at
# the replica.

package Workload::Append;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

my $keys = 5;

sub clients { return 6; }

sub isolation { return 'REPEATABLE READ'; }

sub model { return 'snapshot-isolation'; }

# Does a reader of one statement need a block, too?
sub always_block { return 0; }

sub setup_ops { return map { my $n = $_; map { [ 'append', "l${n}_$_", 0 ] } 1 .. $keys } 0 .. 119; }

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client, 0.1);
	return unless $client->ready;
	my $window = $self->window;
	my @keys = map { "l${window}_$_" } 1 .. $keys;
	my @ops;
	if (Workload::chance(0.5)) { @ops = map { [ 'r', $_ ] } @keys[ 0 .. 1 + int rand($keys - 1) ]; }
	else
	{
		foreach (1 .. 1 + int rand 4)
		{
			my $key = Workload::any(@keys);
			push @ops, Workload::chance(0.5) ? [ 'r', $key ] : [ 'append', $key, $self->{number} * 1_000_000 + ++$self->{serial} ];
		}
	}
	my $reads_only = !grep { $_->[0] ne 'r' } @ops;
	my $block = $reads_only ? $self->always_block || Workload::chance(0.4) : 1;
	return $client->operation(\@ops, sub {
		Store::run(@_, Workload::way(), kind => 'list', block => $block, read_only => 1,
			isolation => $self->isolation);
	});
}

# A list shows every append that was ever lost.
sub at_end
{
	my ($self, $client) = @_;
	my @all = map { $_->[1] } $self->setup_ops;
	while (my @some = splice @all, 0, 100) { $self->read_finally($client, 'list', @some); }
	return;
}

sub checkers
{
	my ($self, $level) = @_;
	return ('LostWrites') if $level eq 'lossless';
	return () if $level eq 'weak' || $self->{lossy};
	my @orders = $level eq 'linearizable' ? qw(session realtime) : $level =~ /^(?:causal|sequential)$/ ? qw(session) : ();
	# below causal a snapshot at the primary may lack what a replica shows
	my @allow = $level =~ /^(?:causal|sequential|linearizable)$/ ? () : ('G-nonadjacent', 'G-single');
	return ([ 'Transactions', { model => $self->model, orders => \@orders, allow => \@allow } ], 'LostWrites');
}

1;
