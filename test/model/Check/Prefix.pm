
=pod

=head1 NAME

Check::Prefix - all see one order of writes

=head1 DESCRIPTION

There is one order of all writing transactions, and each snapshot shows the
state after some prefix of it.  That is what eventual promises here (others call
it consistent prefix).  For lists and registers whose version order is known.

An operation is taken apart: what it has read is a snapshot (one, or one for
each read), and what it has written happens at one later point.  So this asks
nothing of isolation: lost updates and write skew are none of its business.

  long-fork      two snapshots or more which show writes in different orders
  not-a-prefix   a snapshot shows a write but misses one that comes before it: by
                 version, by reads-from, or of the same transaction (fractured
                 read)
  G0, G1c        writes that come before themselves, or have read from each other

Options: snapshots, see Check::Sessions.  sessions => 1: that order also keeps
the order of each session, and everything is after the set-up (sequential
consistency):

  not-sequential   it can't

realtime => 1: it also keeps real time (strict; linearizable, of all keys taken
together):

  not-realtime     it can't

=cut

package Check::Prefix;

use strict;
use warnings FATAL => 'all';

use Check;
use Dependencies;
use Graph;
use History;
use Versions;

my %name = (
	'G0' => [ 'G0', 'writes come before themselves' ],
	'G1c' => [ 'G1c', 'transactions have read from each other' ],
	'G-single' => [ 'not-a-prefix', 'a snapshot shows a write but misses one before it' ],
	'G-nonadjacent' => [ 'long-fork', 'snapshots show writes in different orders' ],
	'G2' => [ 'long-fork', 'snapshots show writes in different orders' ],
	'session' => [ 'not-sequential', "no order of all writes keeps each session's" ],
	'realtime' => [ 'not-realtime', 'no order of all writes keeps real time' ]);

sub check
{
	my ($history, $options) = @_;
	my $versions = Versions->new($history, $options);
	my $self = {
		report => Check::report($options),
		versions => $versions,
		snapshots => $options->{snapshots} // 1,
		parts => [],
		reads => {},
		writes => {} };
	$self->{report}->add_all($versions->problems);
	_take_apart($self, $_) for $history->operations;

	my $graph = $self->{graph} = Graph->new(scalar @{ $self->{parts} });
	_add_parts($self);
	Dependencies::add($graph, $history, $versions,
		sub { my ($op, $n) = @_; return $self->{reads}{ $op->{index} }[ $self->{snapshots} ? 0 : $n ]; },
		sub { my ($op) = @_; return $self->{writes}{ $op->{index} }; });
	my @orders;
	if ($options->{sessions} // 0) { _add_sessions($self, $history); push @orders, 'session'; }
	if ($options->{realtime} // 0) { _add_realtime($self); push @orders, 'realtime'; }
	_report($self, @orders);
	return $self->{report}->result;
}

# Numbers the parts of an operation: nodes.
sub _take_apart
{
	my ($self, $op) = @_;
	return unless $self->{versions}->op_happened($op);
	my $reads = $op->{outcome} eq 'ok' ? History::external_reads($op) : 0;
	$self->{report}->judged($reads);
	$reads = 1 if $reads && $self->{snapshots};
	for (1 .. $reads)
	{
		push @{ $self->{reads}{ $op->{index} } }, scalar @{ $self->{parts} };
		push @{ $self->{parts} }, $op;
	}
	return unless History::writes($op);
	$self->{writes}{ $op->{index} } = @{ $self->{parts} };
	push @{ $self->{parts} }, $op;
	return;
}

# The nodes of an operation in order.
sub _parts_of
{
	my ($self, $op) = @_;
	return (@{ $self->{reads}{ $op->{index} } // [] }, $self->{writes}{ $op->{index} } // ());
}

sub _add_parts
{
	my ($self) = @_;
	my $parts = $self->{parts};
	foreach my $i (1 .. $#$parts)
	{
		$self->{graph}->edge($i - 1, $i, 'part') if $parts->[ $i - 1 ] == $parts->[$i];
	}
	return;
}

# An operation of unknown outcome comes after those before it, but nothing comes
# after it.
sub _add_sessions
{
	my ($self, $history) = @_;
	my @setup = grep { $_->{setup} && $_->{outcome} eq 'ok' } $history->operations;
	foreach my $session ($history->sessions)
	{
		my ($name, @ops) = @$session;
		my @last = map { (_parts_of($self, $_))[-1] // () } $ops[0]{setup} ? () : @setup;
		foreach my $op (@ops)
		{
			my @parts = _parts_of($self, $op) or next;
			$self->{graph}->edge($_, $parts[0], 'session') for @last;
			@last = $parts[-1] if $op->{outcome} eq 'ok';
		}
	}
	return;
}

sub _add_realtime
{
	my ($self) = @_;
	my (%begin, %end);
	my $parts = $self->{parts};
	foreach my $i (0 .. $#$parts)
	{
		$begin{$i} = $parts->[$i]{invoked};
		$end{$i} = $parts->[$i]{completed} if $parts->[$i]{outcome} eq 'ok';
	}
	$self->{graph}->realtime(\%begin, \%end);
	return;
}

sub _report
{
	my ($self, @orders) = @_;
	my ($graph, $parts, $report) = @{$self}{qw(graph parts report)};
	my ($cycles, $gave_up) = $graph->cycles(base => ['part'], orders => \@orders);
	foreach my $cycle (@$cycles)
	{
		my ($kind, $order) = $cycle->[0] =~ /^(G\d?\w?(?:-(?:single|nonadjacent))?)(?:-(session|realtime))?$/;
		my ($name, $what) = @{ $name{ $order // $kind } };
		my $words = $graph->words($cycle, sub { return "#$parts->[ $_[0] ]{index}"; });
		$report->add($name, "$what: $words.", [ map { $parts->[$_] } @{ $cycle->[1] } ]);
	}
	$report->add('undecided', 'there are cycles, but their kind was not found.', [ map { $parts->[$_] } @$gave_up ], undecided => 1)
	  if $gave_up;
	return;
}

1;
