# Registers that clients write, read, and compare and set: is there one copy, in real
# time?  Values are unique; which order they have is for the checker to find.  At each
# node there is also one who only reads: where nobody confirms a write, who writes waits,
# and who reads could be told old values all the while.

package Workload::Register;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

my $keys = 4;

my $writers = 6;

sub clients { my ($self) = @_; return $writers + @{ $self->{nodes} }; }

sub setup_ops { return map { my $n = $_; map { [ 'w', "r${n}_$_", 0 ] } 1 .. $keys } 0 .. 119; }

sub step
{
	my ($self, $client) = @_;
	my $reads = $self->{number} > $writers;
	$self->maybe_move($client, 0.1) unless $reads;
	return unless $client->ready;
	my $key = 'r' . $self->window . '_' . (1 + int rand $keys);
	my $value = $self->{number} * 10_000_000 + ++$self->{serial};
	my $dice = $reads ? 0 : rand;
	my $seen = $self->{seen}{$key};
	my $micro = $dice < 0.5 ? [ 'r', $key ] : $dice < 0.8 || !defined $seen ? [ 'w', $key, $value ] : [ 'cas', $key, [ $seen, $value ] ];
	return $client->operation([$micro], sub {
		my ($c, $ops) = @_;
		Store::run($c, $ops, Workload::way(), block => Workload::chance(0.1));
		$self->{seen} = { $key => $ops->[0][2] } if $micro->[0] eq 'r';
	});
}

sub checkers { my ($self, $level) = @_; return $level eq 'linearizable' && !$self->{lossy} ? ('Linearizable') : (); }

sub options { my ($self) = @_; return (effort => 300_000); }

1;
