# Pairs: every client writes a key of its own and reads it back, and those of the
# others.  One writer a key, so that the values tell their order: also across
# failovers that lose some of them.

package Workload::Pairs;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

sub clients { return 6; }

sub _keys { my ($self) = @_; return map { "p$_" } 1 .. $self->clients; }

sub setup_ops { my ($self) = @_; return map { [ 'w', $_, '0:setup' ] } $self->_keys; }

sub start
{
	my ($self, $client) = @_;
	$client->{on_session} = $self->reads_first('reg', $self->_keys);
	return;
}

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client);
	return unless $client->ready;
	my $own = "p$self->{number}";
	if (Workload::chance(0.4))
	{
		my $value = ++$self->{serial} . ":$self->{number}";
		return $client->operation([ [ 'w', $own, $value ] ],
			sub { Store::run(@_, Workload::way(), block => Workload::chance(0.2)) });
	}
	my @keys = Workload::chance(0.5) ? ($own) : $self->_keys;
	return $client->operation([ map { [ 'r', $_ ] } @keys ], sub { Store::run(@_, Workload::way()) });
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', $self->_keys); }

1;
