
=pod

=head1 NAME

Check::Bank - money is moved between accounts and neither made nor lost

=head1 DESCRIPTION

An operation that reads all accounts must read the same total each time.

  wrong-total        another total
  missing-account    an account has no balance
  negative-balance   a balance below zero (option floor => undef: may be)

Options: accounts, a list of keys; total.  Without them both are those of the
set-up's writes.

=cut

package Check::Bank;

use strict;
use warnings FATAL => 'all';

use Carp;
use Check;
use History;

sub check
{
	my ($history, $options) = @_;
	my $report = Check::report($options);
	my ($accounts, $total) = _bank($history, $options);
	my $floor = exists $options->{floor} ? $options->{floor} : 0;
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		my %balance = map { $_->[1] => $_->[2] } History::external_reads($op);
		next if grep { !exists $balance{$_} } @$accounts;
		$report->judged;
		my @missing = grep { !defined $balance{$_} } @$accounts;
		if (@missing) { $report->add('missing-account', "account \"$missing[0]\" has no balance.", [$op]); next; }
		my $sum = 0;
		$sum += $balance{$_} for @$accounts;
		$report->add('wrong-total', "the total is $sum, but it should be $total.", [$op]) if $sum != $total;
		my @low = grep { defined $floor && $balance{$_} < $floor } @$accounts;
		$report->add('negative-balance', "account \"$low[0]\" has $balance{$low[0]}.", [$op]) if @low;
	}
	return $report->result;
}

# The accounts and what they have together.
sub _bank
{
	my ($history, $options) = @_;
	my %initial;
	foreach my $op (grep { $_->{setup} } $history->operations)
	{
		foreach my $micro (History::writes($op)) { $initial{ $micro->[1] } = $micro->[2]; }
	}
	my @accounts = @{ $options->{accounts} // [ sort keys %initial ] };
	croak 'no accounts: neither by option nor in a set-up' unless @accounts;
	my $total = $options->{total};
	if (!defined $total)
	{
		$total = 0;
		$total += $initial{$_} // croak "the set-up has no account \"$_\"" for @accounts;
	}
	return (\@accounts, $total);
}

1;
