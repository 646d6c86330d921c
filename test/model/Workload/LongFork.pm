# Long fork: two clients write a key each, all others read both in one statement, at
# different nodes.  Two reads that order two writes differently are a long fork.

package Workload::LongFork;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

sub clients { return 6; }

sub setup_ops { return map { [ 'w', $_, '0:setup' ] } qw(x y); }

sub start
{
	my ($self, $client) = @_;
	$client->{on_session} = $self->reads_first('reg', qw(x y));
	return;
}

# Without the extension only the primary takes writes.
sub home { my ($self) = @_; return $ConsistencyCluster::plain && $self->{number} <= 2 ? 'primary' : undef; }

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client, 0.05) unless $self->home;
	return unless $client->ready;
	if ($self->{number} <= 2)
	{
		my $value = ++$self->{serial} . ":$self->{number}";
		return $client->operation([ [ 'w', (qw(x y))[ $self->{number} - 1 ], $value ] ],
			sub { Store::run(@_, Workload::way()) });
	}
	return $client->operation([ [ 'r', 'x' ], [ 'r', 'y' ] ], sub { Store::run(@_, Workload::way()) });
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', qw(x y)); }

1;
