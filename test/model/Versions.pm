
=pod

=head1 NAME

Versions - in which order the values of each key were installed

=head1 DESCRIPTION

What most checkers need to know: which version of a key a read has seen, and
which one a write has made.

* A list: the longest one that was read gives the order, and a version is a
  length.  A list shows all that was ever appended, so an element which nobody
  saw comes after all that anybody saw: its version is infinite.
* A register: the written value begins with its version, a number that grows
  with each write of that key, "7" or "7:whatever".  What another order is meant
  by, the option "versions" says: { key => [ value, value, ... ] }.
  "?:whatever" is a write whose version nobody knows, see History.pm.
* Null, and an empty list, are the version before all.

Values must be unique for each key, or the history can't be judged: new() dies.
A value that nobody wrote, or an aborted or an intermediate one, isn't forgiven
by any level; problems() lists such reads, and check() of every checker repeats
them.

=cut

package Versions;

use strict;
use warnings FATAL => 'all';

use Carp;
use History;

our $infinite = 9**9**9;
our $before_all = -1;

sub new
{
	my ($class, $history, $options) = @_;
	my $self = bless {
		given => $options->{versions} // {},
		kind => {},
		written => {},
		seen => {},
		place => {},
		longest => {},
		problems => [] }, $class;
	my @ops = $history->operations;
	$self->_collect_writes($_) for @ops;
	my @readers = grep { $_->{outcome} eq 'ok' } @ops;
	$self->_collect_reads($_) for @readers;
	$self->_place_elements;
	$self->_judge_reads($_) for @readers;
	return $self;
}

# --- collecting ---------------------------------------------------------

sub _collect_writes
{
	my ($self, $op) = @_;
	my %last;
	foreach my $micro (@{ $op->{ops} })
	{
		my ($f, $key, $value) = @$micro;
		next if $f eq 'r';
		croak "version orders don't exist for \"$f\": " . History::describe($op) unless $f eq 'w' || $f eq 'append';
		$self->{kind}{$key} = $f eq 'w' ? 'register' : 'list';
		croak "\"$value\" is written to key \"$key\" more than once, so this history can't be judged: " . History::describe($op)
		  if $self->{written}{$key}{$value};
		$self->{written}{$key}{$value} = { op => $op, final => 1 };
		$last{$key}{final} = 0 if $last{$key};
		$last{$key} = $self->{written}{$key}{$value};
	}
	return;
}

sub _collect_reads
{
	my ($self, $op) = @_;
	foreach my $micro (@{ $op->{ops} })
	{
		my ($f, $key, $value) = @$micro;
		next if $f ne 'r' || !defined $value;
		if (!ref $value) { $self->{seen}{$key}{$value} = 1; next; }
		$self->{kind}{$key} //= 'list';
		$self->{seen}{$key}{$_} = 1 for @$value;
		$self->{longest}{$key} = $value if @$value > @{ $self->{longest}{$key} // [] };
	}
	return;
}

sub _place_elements
{
	my ($self) = @_;
	foreach my $key (keys %{ $self->{longest} })
	{
		my $list = $self->{longest}{$key};
		for my $i (0 .. $#$list) { $self->{place}{$key}{ $list->[$i] } //= $i + 1; }
	}
	foreach my $key (keys %{ $self->{given} })
	{
		my $list = $self->{given}{$key};
		$self->{place}{$key} = { map { $list->[$_] => $_ + 1 } 0 .. $#$list };
	}
	return;
}

# --- reads that nothing forgives ------------------------------------------

# Names of all that is found here.
sub problem_names { return qw(unwritten-value G1a G1b duplicate-elements incompatible-order); }

sub problems { my ($self) = @_; return @{ $self->{problems} }; }

sub _problem
{
	my ($self, $name, $message, @operations) = @_;
	push @{ $self->{problems} }, { name => $name, message => $message, operations => \@operations };
	return;
}

sub _judge_reads
{
	my ($self, $op) = @_;
	foreach my $micro (@{ $op->{ops} })
	{
		my ($f, $key, $value) = @$micro;
		next if $f ne 'r' || !defined $value;
		$self->_judge_value($op, $key, $_) for ref $value ? @$value : $value;
		$self->_judge_list($op, $key, $value) if ref $value;
		$self->_judge_last($op, $key, ref $value ? $value->[-1] : $value);
	}
	return;
}

sub _judge_value
{
	my ($self, $op, $key, $value) = @_;
	my $written = $self->{written}{$key}{$value};
	if (!$written) { $self->_problem('unwritten-value', "\"$value\" was read of key \"$key\", but nobody has written it.", $op); }
	elsif ($written->{op}{outcome} eq 'failed')
	{
		$self->_problem('G1a', "\"$value\" was read of key \"$key\", but what wrote it has failed (aborted read).", $written->{op}, $op);
	}
	return;
}

sub _judge_list
{
	my ($self, $op, $key, $list) = @_;
	my %once;
	my @twice = grep { $once{$_}++ } @$list;
	$self->_problem('duplicate-elements', "key \"$key\" has \"$twice[0]\" more than once.", $op) if @twice;
	my $longest = $self->{longest}{$key};
	foreach my $i (0 .. $#$list)
	{
		next if $list->[$i] eq $longest->[$i];
		$self->_problem('incompatible-order',
			"key \"$key\" has \"$list->[$i]\" in place " . ($i + 1) . ", but another read has \"$longest->[$i]\" there.", $op);
		last;
	}
	return;
}

# An intermediate value of another transaction.
sub _judge_last
{
	my ($self, $op, $key, $value) = @_;
	return unless defined $value;
	my $written = $self->{written}{$key}{$value};
	return if !$written || $written->{final} || $written->{op} == $op;
	$self->_problem('G1b', "\"$value\" was read of key \"$key\", which its writer has changed again (intermediate read).", $written->{op}, $op);
	return;
}

# --- versions -----------------------------------------------------------

# The version that a read has seen.
sub of_read
{
	my ($self, $key, $value) = @_;
	return $before_all if !defined $value;
	return @$value ? scalar @$value : $before_all if ref $value;
	return $self->_of_value($key, $value);
}

# The version that a write has made; infinite if nobody saw it in a list.
sub of_write
{
	my ($self, $key, $value) = @_;
	return $self->{place}{$key}{$value} // $infinite if $self->{kind}{$key} eq 'list';
	return $before_all if $self->_is_unplaced($key, $value);
	return $self->_of_value($key, $value);
}

# A register's write of which nobody has seen which version it is.
sub _is_unplaced
{
	my ($self, $key, $value) = @_;
	return $self->{kind}{$key} eq 'register' && !$self->{given}{$key} && $value =~ /^\?:/;
}

sub _of_value
{
	my ($self, $key, $value) = @_;
	if ($self->{given}{$key})
	{
		return $self->{place}{$key}{$value} // croak "the versions given of key \"$key\" don't have \"$value\"";
	}
	my ($number) = $value =~ /^(\d{1,15})(?::|$)/ or croak "\"$value\", of key \"$key\", has no version";
	return $number + 0;
}

# Did an operation happen, as far as is known?  Acknowledged, or one of its writes
# was seen by somebody; then all of them have happened, as it is atomic.
sub op_happened
{
	my ($self, $op) = @_;
	return 1 if $op->{outcome} eq 'ok';
	return 0 if $op->{outcome} eq 'failed';
	return 0 + grep { $self->{seen}{ $_->[1] }{ $_->[2] } } History::writes($op);
}

# The operation that has written what a read has seen, or undef.
sub writer
{
	my ($self, $key, $value) = @_;
	$value = $value->[-1] if ref $value;
	my $written = defined $value ? $self->{written}{$key}{$value} : undef;
	return $written && $written->{op};
}

# All writes of a key that have happened, in order of their versions:
# ([ version, operation, value ], ...).  Those that nobody saw in a list come
# last, in no order.
sub order
{
	my ($self, $key) = @_;
	my @order;
	my $written = $self->{written}{$key};
	foreach my $value (keys %$written)
	{
		my $op = $written->{$value}{op};
		next unless $self->op_happened($op);
		next if $self->_is_unplaced($key, $value);
		push @order, [ $self->of_write($key, $value), $op, $value ];
	}
	return sort { $a->[0] <=> $b->[0] || $a->[1]{index} <=> $b->[1]{index} } @order;
}

sub keys_written { my ($self) = @_; return sort keys %{ $self->{written} }; }

sub is_list { my ($self, $key) = @_; return ($self->{kind}{$key} // '') eq 'list'; }

# A version for people to read.
sub name_of
{
	my ($version) = @_;
	return $version == $before_all ? 'the state before all writes' : $version == $infinite ? 'a later version' : "version $version";
}

1;
