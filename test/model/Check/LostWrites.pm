
=pod

=head1 NAME

Check::LostWrites - what was acknowledged is there in the end

=head1 DESCRIPTION

Judges the final reads (operations with final: true), after all clients are done
and whatever failed over has done so.  For registers and lists whose version
order is known (see Versions.pm); a register must show its highest acknowledged
version or a later one.

  lost-write      an acknowledged write is missing
  diverged        two final reads of one key differ
  no-final-read   a key was written, but no final read shows what became of it

Writes of unknown outcome may be there or not.  A write that was read and is
missing in the end is lost as well, whatever its outcome:

  lost-read

=cut

package Check::LostWrites;

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
	my (%final, %seen);
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		foreach my $micro (History::external_reads($op))
		{
			my (undef, $key, $value) = @$micro;
			$seen{$key}{$_} //= $op for ref $value ? @$value : $value // ();
		}
	}
	foreach my $op (grep { $_->{final} && $_->{outcome} eq 'ok' } $history->operations)
	{
		push @{ $final{ $_->[1] } }, [ $_->[2], $op ] for History::external_reads($op);
	}
	foreach my $key ($versions->keys_written)
	{
		_judge($report, $versions, $key, $seen{$key}, $_) for @{ $final{$key} // [] };
		_judge_same($report, $key, @{ $final{$key} // [] });
		my ($any) = grep { $_->[1]{outcome} eq 'ok' } $versions->order($key);
		$report->add('no-final-read', "nobody has read \"$key\" in the end.", [ $any->[1] ]) if $any && !$final{$key};
	}
	return $report->result;
}

sub _judge
{
	my ($report, $versions, $key, $seen, $final) = @_;
	my ($value, $reader) = @$final;
	my $is_list = $versions->is_list($key);
	my %there = $is_list ? map { $_ => 1 } @{ $value // [] } : ();
	my $shown = $versions->of_read($key, $value);
	foreach my $entry ($versions->order($key))
	{
		my ($version, $op, $written) = @$entry;
		# known to be there by its acknowledgement, or else by the first who saw it
		my $since = $op->{completed} // ($seen->{$written} ? $seen->{$written}{completed} : undef);
		next if $op == $reader || !defined $since || $since > $reader->{invoked};
		$report->judged;
		next if $is_list ? $there{$written} : $version <= $shown;
		my ($name, $how) = $op->{outcome} eq 'ok' ? ('lost-write', 'acknowledged') : ('lost-read', 'seen');
		$report->add($name, "\"$written\", written to \"$key\" and $how, is missing at $reader->{node} in the end.", [ $op, $reader ]);
	}
	return;
}

sub _judge_same
{
	my ($report, $key, $first, @rest) = @_;
	foreach my $other (@rest)
	{
		my ($one, $two) = map { History::value_text($_->[0]) } $first, $other;
		next if $one eq $two;
		$report->add('diverged', "\"$key\" is $one at $first->[1]{node} and $two at $other->[1]{node} in the end.", [ $first->[1], $other->[1] ]);
	}
	return;
}

1;
