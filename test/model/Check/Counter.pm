
=pod

=head1 NAME

Check::Counter - counters that replicas merge, or that there is one of

=head1 DESCRIPTION

A read lies between the increments that it must have seen and those that it can
have seen: each of these may add, or take away, what it was by.

  lost-increment      less than what must have been seen allows
  phantom-increment   more than all that was tried by then allows
  diverged            final reads (final: true) of one key differ
  counter-went-back   a counter that only grows was less than before, in one
                      session at one node

What must have been seen: by a final read all that was acknowledged before it; by
others what their own session had acknowledged at the same node, or, with the
option realtime => 1, all that was acknowledged before they began.  Increments
that failed count for nothing, those of unknown outcome may count.

=cut

package Check::Counter;

use strict;
use warnings FATAL => 'all';

use Check;
use History;

sub check
{
	my ($history, $options) = @_;
	my $self = { report => Check::report($options), realtime => $options->{realtime} // 0, steps => {}, last => {}, final => {} };
	foreach my $op (grep { $_->{outcome} ne 'failed' } $history->operations)
	{
		my $n = 0;
		push @{ $self->{steps}{ $_->[1] } }, [ $_->[2], $op, $n++ ] for grep { $_->[0] eq 'inc' } @{ $op->{ops} };
	}
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		# own increments of the same transaction are neither before nor after
		_judge($self, $op, $_->[1], $_->[2] // 0) for grep { $self->{steps}{ $_->[1] } } History::external_reads($op);
	}
	_judge_final($self);
	return $self->{report}->result;
}

sub _judge
{
	my ($self, $op, $key, $value) = @_;
	my ($low, $high, $grows) = (0, 0, 1);
	foreach my $step (@{ $self->{steps}{$key} })
	{
		my ($by, $from) = @$step;
		$grows = 0 if $by < 0;
		next if $from->{invoked} > $op->{completed} || $from == $op;
		if (_must_see($self, $op, $from)) { $low += $by; $high += $by; }
		elsif ($by < 0) { $low += $by; }
		else { $high += $by; }
	}
	my $report = $self->{report};
	$report->judged;
	$report->add('lost-increment', "\"$key\" is $value, but it must be $low at least.", [$op]) if $value < $low;
	$report->add('phantom-increment', "\"$key\" is $value, but it can be $high at most.", [$op]) if $value > $high;
	push @{ $self->{final}{$key} }, [ $value, $op ] if $op->{final};

	my $where = join ' ', History::session_of($op), $op->{node}, $key;
	my $last = $self->{last}{$where};
	$report->add('counter-went-back', "\"$key\" is $value, but was $last->[0] before.", [ $last->[1], $op ])
	  if $grows && $last && $last->[0] > $value;
	$self->{last}{$where} = [ $value, $op ];
	return;
}

sub _must_see
{
	my ($self, $op, $from) = @_;
	return 0 if $from->{outcome} ne 'ok' || $from->{completed} > $op->{invoked};
	return 1 if $op->{final} || $self->{realtime} || $from->{setup};
	return History::session_of($from) eq History::session_of($op) && $from->{node} eq $op->{node};
}

sub _judge_final
{
	my ($self) = @_;
	foreach my $key (sort keys %{ $self->{final} })
	{
		my ($first, @rest) = @{ $self->{final}{$key} };
		foreach my $other (@rest)
		{
			next if $other->[0] == $first->[0];
			$self->{report}->add('diverged', "\"$key\" is $first->[0] at $first->[1]{node} and $other->[0] at $other->[1]{node} in the end.",
				[ $first->[1], $other->[1] ]);
		}
	}
	return;
}

1;
