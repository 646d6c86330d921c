
=pod

=head1 NAME

Check::Causal - no read misses a write that causally precedes it

=head1 DESCRIPTION

Happens-before is the transitive closure of

* the order of each session;
* reads-from: who reads a value comes after who wrote it;
* messages: who received one comes after who sent it;
* tokens: who imported one comes after each operation that was over by then and
  had left its session with that token;
* an append comes after the one that made the element before its own, as it is
  a read and a write in one;
* operations of the set-up come before all others.

A read must see, of each key, at least the version that the last of the writes
before it has made; versions as Versions.pm knows them.  So "causal" means that
replicas agree on the order of concurrent writes (causal+, as they do here).

  causal-stale-read     a write that happened before the read is missed
  causal-initial-read   the same, and what was read is the value of the set-up,
                        or nothing at all: the stale read of the initial value
                        that checkers without version orders take for fine
  causal-cycle          an operation happens before itself

What has an unknown outcome comes after what its session did before, and before
what has read it; not before the rest of its session.

Option: snapshots, see Check::Sessions.

=cut

package Check::Causal;

use strict;
use warnings FATAL => 'all';

use Check;
use Graph;
use History;
use Versions;

sub check
{
	my ($history, $options) = @_;
	my $self = {
		versions => Versions->new($history, $options),
		report => Check::report($options),
		snapshots => $options->{snapshots} // 1,
		history => $history,
		before => {},
		context => [] };
	$self->{report}->add_all($self->{versions}->problems);
	_add_sessions($self);
	_add_reads_from($self);
	_add_appends($self);
	_add_messages($self);
	_add_tokens($self);
	_visit($self, $_) for _in_order($self);
	return $self->{report}->result;
}

# --- happens-before -------------------------------------------------------

# $why is "read" where it is only known by a read of the later one.
sub _edge
{
	my ($self, $from, $to, $why) = @_;
	return if $from == $to || $from->{outcome} eq 'failed' || $to->{outcome} eq 'failed';
	$self->{before}{ $to->{index} }{ $from->{index} }{$why} = 1;
	return;
}

sub _add_sessions
{
	my ($self) = @_;
	my @setup = grep { $_->{setup} && $_->{outcome} eq 'ok' } $self->{history}->operations;
	foreach my $session ($self->{history}->sessions)
	{
		my ($name, @ops) = @$session;
		my $last;
		foreach my $op (@ops)
		{
			if ($last) { _edge($self, $last, $op, 'session'); }
			elsif (!$op->{setup}) { _edge($self, $_, $op, 'setup') for @setup; }
			$last = $op if $op->{outcome} eq 'ok';
		}
	}
	return;
}

sub _add_reads_from
{
	my ($self) = @_;
	foreach my $op (grep { $_->{outcome} eq 'ok' } $self->{history}->operations)
	{
		foreach my $micro (History::external_reads($op))
		{
			my $writer = $self->{versions}->writer(@$micro[ 1, 2 ]) or next;
			_edge($self, $writer, $op, 'read');
		}
	}
	return;
}

sub _add_appends
{
	my ($self) = @_;
	foreach my $key (grep { $self->{versions}->is_list($_) } $self->{versions}->keys_written)
	{
		my $last;
		foreach my $entry ($self->{versions}->order($key))
		{
			my ($version, $op) = @$entry;
			_edge($self, $last, $op, 'append') if $last;
			last if $version == $Versions::infinite;
			$last = $op;
		}
	}
	return;
}

sub _add_messages
{
	my ($self) = @_;
	my %sent;
	foreach my $op ($self->{history}->operations) { $sent{$_} = $op for History::names_in($op->{sent}); }
	foreach my $op ($self->{history}->operations)
	{
		_edge($self, $sent{$_}, $op, 'message') for History::names_in($op->{received});
	}
	return;
}

# Of each session, the last operation that had that token and was over by then.
sub _add_tokens
{
	my ($self) = @_;
	my %with;
	foreach my $op ($self->{history}->operations)
	{
		push @{ $with{ $op->{token} } }, $op if defined $op->{token} && $op->{outcome} eq 'ok';
	}
	foreach my $op ($self->{history}->operations)
	{
		foreach my $token (History::names_in($op->{imported}))
		{
			my %last;
			foreach my $from (@{ $with{$token} // [] })
			{
				next if $from->{completed} > $op->{invoked};
				$last{ History::session_of($from) } = $from;
			}
			_edge($self, $_, $op, 'token') for values %last;
		}
	}
	return;
}

# The operations such that each comes after all that happens before it.  What is
# on a cycle is reported and comes last.
sub _in_order
{
	my ($self) = @_;
	my @ops = grep { $_->{outcome} ne 'failed' } $self->{history}->operations;
	my (%waits, %next, @order);
	foreach my $op (@ops)
	{
		my @before = keys %{ $self->{before}{ $op->{index} } // {} };
		$waits{ $op->{index} } = @before;
		push @{ $next{$_} }, $op for @before;
	}
	my @ready = grep { !$waits{ $_->{index} } } @ops;
	while (my $op = shift @ready)
	{
		push @order, $op;
		foreach my $after (@{ $next{ $op->{index} } // [] }) { push @ready, $after unless --$waits{ $after->{index} }; }
	}
	return @order if @order == @ops;
	my %done = map { $_->{index} => 1 } @order;
	my @rest = grep { !$done{ $_->{index} } } @ops;
	_report_cycles($self, @rest);
	return (@order, @rest);
}

sub _report_cycles
{
	my ($self, @rest) = @_;
	my $graph = Graph->new(scalar $self->{history}->operations);
	foreach my $op (@rest)
	{
		$graph->edge($_, $op->{index}, 'before') for keys %{ $self->{before}{ $op->{index} } };
	}
	my @ops = $self->{history}->operations;
	foreach my $component ($graph->components('before'))
	{
		$self->{report}->add('causal-cycle', 'each of these operations happens before itself.', [ map { $ops[$_] } @$component ]);
	}
	return;
}

# --- reads --------------------------------------------------------------

# Judges an operation against its context, { key => [ version, operation ] }: the
# highest version of each key that happened before; and makes the context of
# those who come after it.
sub _visit
{
	my ($self, $op) = @_;
	my %context;
	my $before = $self->{before}{ $op->{index} } // {};
	foreach my $index (sort { $a <=> $b } keys %$before)
	{
		# statement by statement, what a read leads to counts from that read on
		next if !$self->{snapshots} && !grep { $_ ne 'read' } keys %{ $before->{$index} };
		_merge(\%context, $self->{context}[$index]);
	}
	foreach my $micro ($op->{outcome} eq 'ok' ? History::external_reads($op) : ())
	{
		if (!$self->{snapshots})
		{
			my $writer = $self->{versions}->writer(@$micro[ 1, 2 ]);
			_merge(\%context, $self->{context}[ $writer->{index} ]) if $writer && $writer != $op;
		}
		_judge_read($self, $op, $micro, \%context);
	}
	foreach my $micro (History::writes($op))
	{
		my ($f, $key, $value) = @$micro;
		_raise(\%context, $key, [ $self->{versions}->of_write($key, $value), $op ])
		  if $self->{versions}->op_happened($op);
	}
	$self->{context}[ $op->{index} ] = \%context;
	return;
}

sub _raise
{
	my ($context, $key, $entry) = @_;
	$context->{$key} = $entry if !$context->{$key} || $context->{$key}[0] < $entry->[0];
	return;
}

sub _merge
{
	my ($context, $from) = @_;
	while (my ($key, $entry) = each %{ $from // {} })
	{
		my $have = $context->{$key};
		$context->{$key} = $entry if !$have || $have->[0] < $entry->[0];
	}
	return;
}

sub _judge_read
{
	my ($self, $op, $micro, $context) = @_;
	my (undef, $key, $value) = @$micro;
	my $least = $context->{$key};
	$self->{report}->judged;
	my $version = $self->{versions}->of_read($key, $value);
	return if !$least || $version >= $least->[0];
	my $writer = $self->{versions}->writer($key, $value);
	my $initial = $version == $Versions::before_all || ($writer && $writer->{setup});
	my $what = $initial ? 'the initial state' : Versions::name_of($version);
	$self->{report}->add($initial ? 'causal-initial-read' : 'causal-stale-read',
		"the read of \"$key\" shows $what, but the write of " . Versions::name_of($least->[0]) . ' happened before it.',
		[ $least->[1], $writer, $op ]);
	return;
}

1;
