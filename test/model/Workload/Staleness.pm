# Bounded staleness: two clients write, the others read under a bound each, at all
# nodes.  Times are of this machine's one clock, which no server has a say in.

package Workload::Staleness;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

my @bounds = (0, 200, 1000);	# milliseconds

sub clients { return 7; }

sub _keys { return map { "s$_" } 1 .. 4; }

sub setup_ops { my ($self) = @_; return map { [ 'w', $_, '0:setup' ] } $self->_keys; }

sub _bound { my ($self) = @_; return $bounds[ $self->{number} % @bounds ]; }

sub settings { my ($self) = @_; return ("SET consistency.max_staleness = '" . $self->_bound . "ms'"); }

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client);
	return unless $client->ready;
	if ($self->{number} <= 2)
	{
		my $key = Workload::any(grep { /[13]/ xor $self->{number} == 1 } $self->_keys);
		return $client->operation([ [ 'w', $key, ++$self->{serial} . ":$self->{number}" ] ],
			sub { Store::run(@_, Workload::way()) });
	}
	my %bound = $self->{level} eq 'bounded' ? (bound => $self->_bound * 1_000_000) : (bound => 0);
	return $client->operation([ map { [ 'r', $_ ] } $self->_keys ], sub { Store::run(@_, Workload::way()) }, %bound);
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', $self->_keys); }

sub checkers
{
	my ($self, $level) = @_;
	return $level eq 'bounded' || $level eq 'linearizable' ? ('Staleness') : ();
}

1;
