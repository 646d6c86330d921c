
=pod

=head1 NAME

Check::Quorum - reads by quorum see what was acknowledged by quorum

=head1 DESCRIPTION

  unseen-acknowledged   a read misses a write that was acknowledged before the
                        read began

For histories in which all writes wait for W of N nodes, and all reads ask R of
them, R + W > N, for registers and lists whose version order is known (see
Versions.pm).  It is less than Linearizable: a write of unknown outcome, and one
that isn't acknowledged yet, may be seen by one read and missed by a later one.

=cut

package Check::Quorum;

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
	my %acknowledged;
	foreach my $event (_events($history))
	{
		my ($is_write, $op) = @$event[ 1, 2 ];
		if (!$is_write) { _judge($report, $versions, \%acknowledged, $op); next; }
		foreach my $micro (History::writes($op))
		{
			my (undef, $key, $value) = @$micro;
			my $version = $versions->of_write($key, $value);
			my $highest = $acknowledged{$key};
			$acknowledged{$key} = [ $version, $op ] if !$highest || $version > $highest->[0];
		}
	}
	return $report->result;
}

# Acknowledgements of writes and beginnings of reads, in the order of time; of those at
# the same time the reads come first, as they needn't see the write.
sub _events
{
	my ($history) = @_;
	my @events;
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		push @events, [ $op->{completed}, 1, $op ] if History::writes($op);
		push @events, [ $op->{invoked}, 0, $op ] if History::external_reads($op);
	}
	return sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @events;
}

# Does it see what is acknowledged so far?
sub _judge
{
	my ($report, $versions, $acknowledged, $op) = @_;
	foreach my $micro (History::external_reads($op))
	{
		my (undef, $key, $value) = @$micro;
		my $least = $acknowledged->{$key} or next;
		my $version = $versions->of_read($key, $value);
		$report->judged;
		next if $version >= $least->[0];
		my $age = $op->{invoked} - $least->[1]{completed};
		$report->add('unseen-acknowledged', "the read of \"$key\" shows " . Versions::name_of($version) . ', but '
			  . Versions::name_of($least->[0]) . " was acknowledged $age ns before it began.", [ $least->[1], $op ]);
	}
	return;
}

1;
