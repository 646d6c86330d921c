
=pod

=head1 NAME

Dependencies - the edges ww, wr and rw between transactions, from versions

=head1 DESCRIPTION

add($graph, $history, $versions, $reader, $writer) adds them to a Graph.
$reader->($op, $n) is the node of an operation's external read number n,
$writer->($op) that of its writes.

Versions are in a known order (Versions.pm).  An element which was acknowledged,
but which nobody saw, comes after all that were seen: who has read the longest
list has read what it overwrites.

=cut

package Dependencies;

use strict;
use warnings FATAL => 'all';

use History;
use Versions;

sub add
{
	my ($graph, $history, $versions, $reader, $writer) = @_;
	my %order;
	foreach my $key ($versions->keys_written)
	{
		my @order = $versions->order($key);
		$order{$key} = \@order;
		_add_ww($graph, $key, \@order, $writer);
	}
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		my $n = 0;
		foreach my $micro (History::external_reads($op))
		{
			my (undef, $key, $value) = @$micro;
			my $node = $reader->($op, $n++);
			my $from = $versions->writer($key, $value);
			$graph->edge($writer->($from), $node, 'wr', $key) if $from && $from != $op && $versions->op_happened($from);
			$graph->edge($node, $writer->($_), 'rw', $key)
			  for _after($order{$key} // [], $versions->of_read($key, $value));
		}
	}
	return;
}

sub _add_ww
{
	my ($graph, $key, $order, $writer) = @_;
	foreach my $i (0 .. $#$order - 1)
	{
		last if $order->[$i][0] == $Versions::infinite;
		$graph->edge($writer->($order->[$i][1]), $writer->($_), 'ww', $key) for _after($order, $order->[$i][0]);
	}
	return;
}

# Who has made the version after that one: one operation, or several that nobody
# saw.
sub _after
{
	my ($order, $version) = @_;
	my ($low, $high) = (0, scalar @$order);
	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);
		if ($order->[$middle][0] > $version) { $high = $middle; }
		else { $low = $middle + 1; }
	}
	return () if $low == @$order;
	return $order->[$low][1] if $order->[$low][0] != $Versions::infinite;
	return map { $_->[1] } @$order[ $low .. $#$order ];
}

1;
