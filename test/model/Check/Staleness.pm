
=pod

=head1 NAME

Check::Staleness - no read is older than its bound

=head1 DESCRIPTION

  too-stale   a read misses a write that was acknowledged more than the bound
              before the read began

For registers and lists whose version order is known (see Versions.pm).  The
bound, in nanoseconds, is the field "bound" of the operation that reads, or the
option bound; operations with neither aren't judged.  A bound of 0 is freshness
in real time.

Option clock => 1: times are those of the reference clock (the field "clock");
then operations without it aren't judged.

=cut

package Check::Staleness;

use strict;
use warnings FATAL => 'all';

use Check;
use History;
use Versions;

sub check
{
	my ($history, $options) = @_;
	my $versions = Versions->new($history, $options);
	my $report = Check::report($options);
	$report->add_all($versions->problems);
	my $clock = $options->{clock} // 0;
	my %acknowledged = map { $_ => _acknowledged($versions, $_, $clock) } $versions->keys_written;
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		my $bound = $op->{bound} // $options->{bound};
		my ($begin) = _times($op, $clock);
		next unless defined $bound && defined $begin;
		foreach my $micro (History::external_reads($op))
		{
			my (undef, $key, $value) = @$micro;
			my $version = $versions->of_read($key, $value);
			my $least = _at($acknowledged{$key} // [], $begin - $bound);
			$report->judged;
			next if !$least || $version >= $least->[1];
			my $age = $begin - $least->[0];
			$report->add('too-stale', "the read of \"$key\" shows " . Versions::name_of($version) . ', but '
				  . Versions::name_of($least->[1]) . " was acknowledged $age ns before, and the bound is $bound ns.", [ $least->[2], $op ]);
		}
	}
	return $report->result;
}

# When an operation began and ended.
sub _times
{
	my ($op, $clock) = @_;
	return $clock ? @{ $op->{clock} // [] } : ($op->{invoked}, $op->{completed});
}

# [ [ time, highest version acknowledged by then, operation ], ... ] in order.
sub _acknowledged
{
	my ($versions, $key, $clock) = @_;
	my @writes;
	foreach my $entry ($versions->order($key))
	{
		my ($version, $op) = @$entry;
		my (undef, $end) = _times($op, $clock);
		push @writes, [ $end, $version, $op ] if $op->{outcome} eq 'ok' && defined $end;
	}
	my @highest;
	foreach my $write (sort { $a->[0] <=> $b->[0] } @writes)
	{
		push @highest, $write if !@highest || $highest[-1][1] < $write->[1];
	}
	return \@highest;
}

# The last entry before a time.
sub _at
{
	my ($list, $time) = @_;
	my ($low, $high) = (0, scalar @$list);
	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);
		if ($list->[$middle][0] < $time) { $low = $middle + 1; }
		else { $high = $middle; }
	}
	return $low ? $list->[ $low - 1 ] : undef;
}

1;
