# A bank: money moves between accounts; whoever reads all of them, wherever, finds the
# same total.

package Workload::Bank;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

sub clients { return 6; }

sub _accounts { return map { "a$_" } 1 .. 8; }

sub setup_ops { my ($self) = @_; return map { [ 'w', $_, 100 ] } $self->_accounts; }

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client, 0.1);
	return unless $client->ready;
	if (Workload::chance(0.5))
	{
		return $client->operation([ map { [ 'r', $_ ] } $self->_accounts ],
			sub { Store::run(@_, Workload::way(), isolation => 'REPEATABLE READ', read_only => 1, block => Workload::chance(0.4)) });
	}
	my ($from, $to) = (sort { rand() <=> 0.5 } $self->_accounts)[ 0, 1 ];
	my $amount = 1 + int rand 5;
	return $client->operation([ [ 'r', $from ], [ 'r', $to ], [ 'w', $from, "-$amount" ], [ 'w', $to, "+$amount" ] ],
		sub { _transfer(@_, $amount) });
}

sub _transfer
{
	my ($c, $ops, $amount) = @_;
	my ($from, $to) = ($ops->[0][1], $ops->[1][1]);
	$c->reads('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my %balance = map { @$_ } @{ $c->reads("SELECT k, v FROM reg WHERE k IN ('$from', '$to')")->{rows} };
	@{ $ops->[0] }[2] = $balance{$from};
	@{ $ops->[1] }[2] = $balance{$to};
	$amount = 0 if $balance{$from} < $amount;
	$ops->[2][2] = $balance{$from} - $amount;
	$ops->[3][2] = $balance{$to} + $amount;
	$c->reads("UPDATE reg SET v = '$_->[2]' WHERE k = '$_->[1]'") for @$ops[ 2, 3 ];
	$c->commits('COMMIT');
	return;
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', $self->_accounts); }

sub checkers { return ('Bank'); }

1;
