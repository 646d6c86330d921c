# Monotonic reads: two clients write, all others read one or several keys and go to
# another node, with their token, after every other read.

package Workload::Monotonic;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

sub clients { return 7; }

sub _keys { return map { ("m1_$_", "m2_$_") } 1 .. 3; }

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
	my $number = $self->{number};
	if ($number <= 2)
	{
		return unless $client->ready;
		my @keys = grep { /^m$number/ } $self->_keys;
		@keys = (Workload::any(@keys)) if Workload::chance(0.5);
		my $version = ++$self->{serial};
		return $client->operation([ map { [ 'w', $_, "$version:$number" ] } @keys ],
			sub { Store::run(@_, Workload::way()) });
	}
	$client->move(Workload::any(@{ $self->{nodes} })) if Workload::chance(0.5);
	return unless $client->ready;
	my @keys = Workload::chance(0.3) ? $self->_keys : Workload::any($self->_keys);
	return $client->operation([ map { [ 'r', $_ ] } @keys ], sub { Store::run(@_, Workload::way()) });
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', $self->_keys); }

1;
