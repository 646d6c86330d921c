
=pod

=head1 NAME

Export - a history in the forms that well-known checkers read

=head1 SYNOPSIS

  use Export;

  print elle($history);                 # EDN for Elle: list-append or rw-register
  print porcupine($history, 'x');       # one register's log for Porcupine

=head1 DESCRIPTION

elle() writes Jepsen's events, an invocation and a completion for each
operation, as elle-cli reads them with --model list-append or rw-register.

porcupine() writes what the etcd tests of Porcupine read (parseJepsenLog), and
Knossos too: the calls and returns of the operations that touch one register.

In both a process whose operation has an unknown outcome is never heard of again,
as Jepsen demands it; what the client did afterwards is another process.

=cut

package Export;

use strict;
use warnings FATAL => 'all';

use Carp;
use Exporter 'import';
use History;

our @EXPORT = qw(elle porcupine);

# --- events -------------------------------------------------------------

# The events of some operations in order: ([ time, type, op, process ], ...).
# At the same time completions come last, so that nothing is said to be before
# what it may overlap.
sub events
{
	my (@ops) = @_;
	my (%process, @events);
	my $next = 0;
	foreach my $op (@ops)
	{
		my $process = $process{ $op->{process} } //= $next++;
		push @events, [ $op->{invoked}, 'invoke', $op, $process ];
		if ($op->{outcome} eq 'unknown') { delete $process{ $op->{process} }; next; }
		push @events, [ $op->{completed}, $op->{outcome} eq 'ok' ? 'ok' : 'fail', $op, $process ];
	}
	my $last = 0;
	foreach my $event (@events) { $last = $event->[0] if $event->[0] > $last; }
	push @events, map { [ $last, 'info', $_->[2], $_->[3] ] }
	  grep { $_->[1] eq 'invoke' && $_->[2]{outcome} eq 'unknown' } @events;
	my %rank = (invoke => 0, ok => 1, fail => 1, info => 2);
	return _each_process_in_order(sort { $a->[0] <=> $b->[0] || $rank{ $a->[1] } <=> $rank{ $b->[1] } } @events);
}

# A process that ends an operation and begins another one in the same nanosecond
# ends the first one first.
sub _each_process_in_order
{
	my (@events) = @_;
	my (%open, @result, %late);
	foreach my $event (@events)
	{
		my ($time, $type, $op, $process) = @$event;
		if ($type eq 'invoke' && $open{$process})
		{
			my ($end) = grep { $_->[2] == $open{$process} && $_->[1] ne 'invoke' } @events;
			push @result, $end;
			$late{$end} = 1;
		}
		next if $late{$event};
		if ($type eq 'invoke') { $open{$process} = $op; }
		elsif (($open{$process} // 0) == $op) { delete $open{$process}; }
		push @result, $event;
	}
	return @result;
}

# --- Elle ---------------------------------------------------------------

sub elle
{
	my ($history) = @_;
	my $index = 0;
	my $text = '';
	foreach my $event (events($history->operations))
	{
		my ($time, $type, $op, $process) = @$event;
		my $value = join ' ', map { _elle_micro($_, $type) } @{ $op->{ops} };
		$text .= "{:index $index, :time $time, :type :$type, :process $process, :f :txn, :value [$value]}\n";
		$index++;
	}
	return $text;
}

sub _elle_micro
{
	my ($micro, $type) = @_;
	my ($f, $key, $value) = @$micro;
	croak "Elle doesn't know \"$f\"" unless $f =~ /^(r|w|append)$/;
	$value = undef if $f eq 'r' && $type ne 'ok';
	return "[:$f " . _edn($key) . ' ' . _edn($value) . ']';
}

sub _edn
{
	my ($value) = @_;
	return 'nil' unless defined $value;
	return '[' . join(' ', map { _edn($_) } @$value) . ']' if ref $value;
	return $value if $value =~ /^(?:0|-?[1-9]\d{0,17})$/;
	return '"' . $value =~ s/(["\\])/\\$1/gr . '"';
}

# --- Porcupine ----------------------------------------------------------

# What failed certainly had no effect, and this form has no word for a failed
# write: it is left out.
sub porcupine
{
	my ($history, $key) = @_;
	my @ops;
	foreach my $op ($history->operations)
	{
		my @micro = grep { $_->[1] eq $key } @{ $op->{ops} };
		next if !@micro || $op->{outcome} eq 'failed';
		croak 'more than one register in ' . History::describe($op) if @{ $op->{ops} } > 1;
		push @ops, $op;
	}
	my $text = '';
	foreach my $event (events(@ops))
	{
		my (undef, $type, $op, $process) = @$event;
		my $line = _porcupine_micro($op->{ops}[0], $type);
		$text .= "INFO  jepsen.util - $process\t$line\n";
	}
	return $text;
}

sub _porcupine_micro
{
	my ($micro, $type) = @_;
	my ($f, $key, $value, $hit) = @$micro;
	my $name = { r => 'read', w => 'write', cas => 'cas' }->{$f} // croak "a register has no \"$f\"";
	return $f eq 'r' ? ":fail\t:read\t:timed-out" : ":info\t:$name\t:timed-out" if $type eq 'info';
	$type = 'fail' if $f eq 'cas' && $type eq 'ok' && defined $hit && !$hit;
	my @values = $f eq 'cas' ? @$value : $f eq 'r' && $type eq 'invoke' ? (undef) : ($value);
	foreach my $number (@values)
	{
		croak "not a number: \"$number\"" if defined $number && $number !~ /^\d+$/;
		croak "null in a \"$f\"" if !defined $number && $f ne 'r';
	}
	my $text = $f eq 'cas' ? "[$values[0] $values[1]]" : $values[0] // 'nil';
	return ":$type\t:$name\t$text";
}

1;
