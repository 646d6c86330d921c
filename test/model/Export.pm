
=pod

=head1 NAME

Export - a history in the forms that well-known checkers read

=head1 SYNOPSIS

  use Export;

  print elle($history);                 # EDN for Elle: list-append or rw-register
  print elle(lists($history));          # of registers with versions, as lists
  print porcupine($history, $_) for registers($history);

=head1 DESCRIPTION

elle() writes Jepsen's events, an invocation and a completion for each
operation, as elle-cli reads them with --model list-append or rw-register.

Of registers Elle has to guess in which order they were written.  Where values
begin with their version ("7:whatever", see Versions.pm) that is known.  lists()
returns the same history with lists for registers: who wrote such a value has
appended it, and who read it has read all up to it.

porcupine() writes what the etcd tests of Porcupine read (parseJepsenLog), and
Knossos too: the calls and returns of the operations that touch one register.
Values are numbers there, and if some aren't, all values of the register are
replaced by numbers.  registers() says of which keys there is such a log: those
that no operation touches together with others, but for the set-up.

A session is a process.  One whose operation has an unknown outcome is never
heard of again, as Jepsen demands it; what it did afterwards is another process.

=cut

package Export;

use strict;
use warnings FATAL => 'all';

use Carp;
use Exporter 'import';
use History;

our @EXPORT = qw(elle lists porcupine registers);

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
		my $session = History::session_of($op);
		my $process = $process{$session} //= $next++;
		push @events, [ $op->{invoked}, 'invoke', $op, $process ];
		if ($op->{outcome} eq 'unknown') { delete $process{$session}; next; }
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

# --- registers as lists ---------------------------------------------------

# A write of which nobody has seen which version it was is left out, as it has no
# place in the list; its outcome is unknown.
sub lists
{
	my ($history) = @_;
	my $versions = _versions($history);
	my $lists = History->new(%{ $history->about });
	foreach my $op ($history->operations)
	{
		my @placed = grep { !_is_unplaced($_) } @{ $op->{ops} };
		$lists->add(%$op, ops => [ map { _as_list($_, $versions->{ $_->[1] }) } @placed ]) if @placed;
	}
	return $lists->finish;
}

sub _is_unplaced { my ($micro) = @_; return $micro->[0] eq 'w' && $micro->[2] =~ /^\?:/; }

# The values of each register that were installed, in order: key => [ [ version,
# value ], ... ].  An unknown write that nobody has seen, nor anything else of its
# operation, may never have been.
sub _versions
{
	my ($history) = @_;
	my (%values, %registers);
	my $note = sub {
		my ($f, $key, $value) = @{ $_[0] };
		return unless $f =~ /^[rw]$/ && defined $value && !ref $value;
		$registers{$key} = $values{$key}{$value} = 1;
	};
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations) { $note->($_) for @{ $op->{ops} }; }
	foreach my $op (grep { $_->{outcome} ne 'ok' } $history->operations)
	{
		my @writes = grep { $_->[0] eq 'w' } @{ $op->{ops} };
		$registers{ $_->[1] } = 1 for @writes;
		my $seen = grep { $values{ $_->[1] }{ $_->[2] } } @writes;
		if ($seen && $op->{outcome} eq 'unknown') { $note->($_) for grep { !_is_unplaced($_) } @writes; }
	}
	return { map { $_ => [ sort { $a->[0] <=> $b->[0] } map { [ _version($_), $_ ] } sort keys %{ $values{$_} } ] } keys %registers };
}

sub _version
{
	my ($value) = @_;
	my ($version) = $value =~ /^(\d{1,15})(?::|$)/ or croak "\"$value\" has no version";
	return $version;
}

# Of two values of the same version neither has seen the other one.
sub _as_list
{
	my ($micro, $versions) = @_;
	my ($f, $key, $value, @rest) = @$micro;
	return [@$micro] unless $versions && $f =~ /^[rw]$/;
	return [ 'append', $key, $value ] if $f eq 'w';
	return [ 'r', $key, [] ] unless defined $value;
	my $own = _version($value);
	return [ 'r', $key, [ (map { $_->[1] } grep { $_->[0] < $own } @$versions), $value ] ];
}

# --- Porcupine ----------------------------------------------------------

# Keys of which porcupine() can write a log.
sub registers
{
	my ($history) = @_;
	my (%registers, %others);
	foreach my $op ($history->operations)
	{
		my %keys = map { $_->[1] => 1 } @{ $op->{ops} };
		foreach my $micro (@{ $op->{ops} })
		{
			my ($f, $key, $value) = @$micro;
			my $fits = $f =~ /^(?:w|r|cas)$/ && !($f eq 'r' && ref $value) && !($f eq 'cas' && !defined $value->[0]);
			$registers{$key} = 1;
			$others{$key} = 1 if !$fits || (!$op->{setup} && @{ $op->{ops} } > 1 && $op->{outcome} ne 'failed');
		}
		$others{$_} = 1 for $op->{setup} && @{ $op->{ops} } > keys %keys ? keys %keys : ();
	}
	return grep { !$others{$_} } sort keys %registers;
}

# What failed certainly had no effect, and this form has no word for a failed
# write: it is left out.  The set-up touches all keys, and is over before anything
# else begins: for each key it is an operation by itself.
sub porcupine
{
	my ($history, $key) = @_;
	my @ops;
	foreach my $op ($history->operations)
	{
		my @micro = grep { $_->[1] eq $key } @{ $op->{ops} };
		next if !@micro || $op->{outcome} eq 'failed';
		croak 'more than one register in ' . History::describe($op) if @{ $op->{setup} ? \@micro : $op->{ops} } > 1;
		push @ops, { %$op, ops => \@micro };
	}
	my $number = _numbers(map { _values($_->{ops}[0]) } @ops);
	my $text = '';
	foreach my $event (events(@ops))
	{
		my (undef, $type, $op, $process) = @$event;
		my $line = _porcupine_micro($op->{ops}[0], $type, $number);
		$text .= "INFO  jepsen.util - $process\t$line\n";
	}
	return $text;
}

# The values in a micro-operation.
sub _values { my ($micro) = @_; my $value = $micro->[2]; return ref $value ? @$value : ($value); }

# Values as numbers: as they are, or else numbered as they come.
sub _numbers
{
	my (@values) = grep { defined } @_;
	my (%number, $next);
	my $as_they_are = !grep { !/^(?:0|[1-9]\d{0,17})$/ } @values;
	foreach my $value (@values) { $number{$value} //= $as_they_are ? $value : ++$next; }
	return \%number;
}

sub _porcupine_micro
{
	my ($micro, $type, $number) = @_;
	my ($f, $key, $value, $hit) = @$micro;
	my $name = { r => 'read', w => 'write', cas => 'cas' }->{$f} // croak "a register has no \"$f\"";
	croak "key \"$key\" is a list" if $f eq 'r' && ref $value;
	return $f eq 'r' ? ":fail\t:read\t:timed-out" : ":info\t:$name\t:timed-out" if $type eq 'info';
	$type = 'fail' if $f eq 'cas' && $type eq 'ok' && defined $hit && !$hit;
	my @values = $f eq 'r' && $type eq 'invoke' ? (undef) : _values($micro);
	croak "null in a \"$f\"" if $f ne 'r' && grep { !defined } @values;
	my @texts = map { defined $_ ? $number->{$_} : 'nil' } @values;
	return ":$type\t:$name\t" . ($f eq 'cas' ? "[@texts]" : $texts[0]);
}

1;
