# Quorum: writers have a key of their own each, and wait for W nodes; readers ask R
# nodes, and read all keys.  The level promises nothing, so only the quorums can see
# to it that what was acknowledged is seen.  The option quorums is "W,R"; without
# it both are a majority.  One writer a key, so that the values tell their order,
# also when a failover loses what wasn't confirmed.

package Workload::Quorum;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

my $writers = 3;

sub clients { return $writers + 6; }

sub _keys { return map { "q$_" } 1 .. $writers; }

sub setup_ops { my ($self) = @_; return map { [ 'w', $_, '0:setup' ] } $self->_keys; }

# A write gives up sooner than its client.  Some of the readers would rather go to
# the primary than fail.
sub settings
{
	my ($self) = @_;
	my ($write, $read) = split /,/, $self->{quorums} // 'quorum,quorum';
	return (
		"SET consistency.write_quorum = '$write'", "SET consistency.write_quorum_timeout = '2s'",
		"SET consistency.read_quorum = '$read'",
		"SET consistency.on_timeout = '" . ($self->{number} % 4 ? 'error' : 'primary') . "'");
}

sub start { my ($self, $client) = @_; $client->{by_quorum} = 1; return; }

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client, 0.05);
	return unless $client->ready;
	my @how = (Workload::way(), block => Workload::chance(0.2));
	if ($self->{number} > $writers)
	{
		# else it may write, and goes to the primary
		push @how, isolation => 'REPEATABLE READ', read_only => 1 if Workload::chance(0.5);
		return $client->operation([ map { [ 'r', $_ ] } $self->_keys ], sub { Store::run(@_, @how) });
	}
	my $value = ++$self->{serial} . ":$self->{number}";
	return $client->operation([ [ 'w', "q$self->{number}", $value ] ], sub { Store::run(@_, @how) });
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', $self->_keys); }

sub checkers { my ($self, $level) = @_; return $level eq 'eventual' ? ('Quorum') : (); }

1;
