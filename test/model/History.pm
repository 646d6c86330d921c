
=pod

=head1 NAME

History - what clients did to a cluster, and what they were answered

=head1 SYNOPSIS

  use History;

  # a client writes its operations down, one line each
  print $file History::line(
      process => 3, session => 1, node => 'near', level => 'causal',
      invoked => $before, completed => $after, outcome => 'ok',
      ops => [ [ 'append', 'x', 7 ], [ 'r', 'y', [ 1, 2 ] ] ]);

  # afterwards the files of all clients are one history
  my $history = History->read(@files);
  $history->write('history.jsonl');
  foreach my $op ($history->operations) { ... }

=head1 DESCRIPTION

The format is explained in README.md.  read(), parse() and add() validate: what
checkers are given is well formed, and what isn't dies with a list of all that
is wrong, by line.

=cut

package History;

use strict;
use warnings FATAL => 'all';

use Carp;
use JSON::PP ();

our @levels = qw(weak eventual session bounded causal sequential linearizable);

my %is_level = map { $_ => 1 } @levels;
my %is_outcome = map { $_ => 1 } qw(ok failed unknown);

# What an operation may say, and what each must look like.
my $name = [ 'a name or a number', sub { defined $_[0] && !ref $_[0] && length $_[0] } ];
my $time = [ 'nanoseconds', sub { defined $_[0] && !ref $_[0] && $_[0] =~ /^-?\d+$/ } ];
my $flag = [ 'true or false', sub { defined $_[0] && (!ref $_[0] || JSON::PP::is_bool($_[0])) } ];
my $names = [ 'a name or a list of names', sub { $name->[1]->($_[0]) || is_list($_[0]) } ];
my $any = [ 'anything', sub { 1 } ];
my %field = (
	process => $name,
	session => $name,
	node => $name,
	level => [ 'a level', sub { $is_level{ $_[0] // '' } } ],
	invoked => $time,
	completed => [ 'nanoseconds or null', sub { !defined $_[0] || $time->[1]->($_[0]) } ],
	outcome => [ 'ok, failed or unknown', sub { $is_outcome{ $_[0] // '' } } ],
	ops => [ 'a list of micro-operations', sub { ref $_[0] eq 'ARRAY' && @{ $_[0] } } ],
	id => $name,
	setup => $flag,
	final => $flag,
	token => $name,
	imported => $names,
	position => $name,
	sent => $names,
	received => $names,
	bound => $time,
	clock => [ 'a list of two times', sub { is_list($_[0]) && @{ $_[0] } == 2 } ],
	error => $any,
	note => $any,
	index => $any);
my @required = qw(process session node level invoked completed outcome ops);

# What kind of key a micro-operation makes its key.
my %kind_of = (w => 'register', cas => 'register', append => 'list', inc => 'counter');

my $json = JSON::PP->new->canonical->utf8->allow_nonref;

sub new
{
	my ($class, %about) = @_;
	return bless { about => \%about, operations => [] }, $class;
}

# --- reading and writing ------------------------------------------------

# One operation as a line of a file, newline included.
sub line
{
	my (%op) = @_;
	my @errors = op_errors(\%op);
	croak join "\n", @errors if @errors;
	delete $op{index};
	return $json->encode(\%op) . "\n";
}

# What a file's first line may be: anything about the run as a whole.
sub about_line
{
	my (%about) = @_;
	return $json->encode({ history => 1, %about }) . "\n";
}

# The history in one or several files.
sub read
{
	my ($class, @files) = @_;
	my @texts;
	foreach my $file (@files)
	{
		open my $in, '<', $file or croak "could not open \"$file\": $!";
		local $/;
		push @texts, [ $file, scalar <$in> ];
		close $in;
	}
	return $class->_parse(@texts);
}

# The same from text.
sub parse { my ($class, $text) = @_; return $class->_parse([ 'line', $text ]); }

sub _parse
{
	my ($class, @texts) = @_;
	my $self = $class->new;
	my @errors;
	foreach my $source (@texts)
	{
		my ($file, $text) = @$source;
		my $number = 0;
		foreach my $line (split /\n/, $text // '')
		{
			my $where = $file . ($file eq 'line' ? ' ' : ':') . ++$number;
			next if $line =~ /^\s*$/;
			my $op = eval { $json->decode($line) };
			if (ref $op ne 'HASH') { push @errors, "$where: not a JSON object"; next; }
			if (delete $op->{history}) { %{ $self->{about} } = (%{ $self->{about} }, %$op); next; }
			my @wrong = op_errors($op);
			push @errors, map { "$where: $_" } @wrong;
			push @{ $self->{operations} }, $op unless @wrong;
		}
	}
	_die(@errors) if @errors;
	$self->_join_halves;
	return $self->finish;
}

# Of operations that have the same id the last line counts: a client may write
# one down as unknown before it begins, and again when it knows more.
sub _join_halves
{
	my ($self) = @_;
	my (@result, %at);
	foreach my $op (@{ $self->{operations} })
	{
		my $id = $op->{id};
		if (defined $id && defined $at{$id}) { $result[ $at{$id} ] = $op; next; }
		$at{$id} = @result if defined $id;
		push @result, $op;
	}
	$self->{operations} = \@result;
	return;
}

# Adds one operation; finish() must follow the last one.
sub add
{
	my ($self, %op) = @_;
	my @errors = op_errors(\%op);
	croak join "\n", @errors if @errors;
	push @{ $self->{operations} }, \%op;
	return \%op;
}

# Puts the operations in order of their beginning, numbers them (index), and
# validates them as a whole.
sub finish
{
	my ($self) = @_;
	my @ops = sort { $a->{invoked} <=> $b->{invoked} || $a->{process} cmp $b->{process} } @{ $self->{operations} };
	$ops[$_]{index} = $_ for 0 .. $#ops;
	$self->{operations} = \@ops;
	$self->_find_versions;
	my @errors = (_process_errors(@ops), _key_errors(@ops), _message_errors(@ops));
	_die(@errors) if @errors;
	return $self;
}

# Where a server counts the versions of a register, a client that wasn't answered
# doesn't know which one it has made: it has written "?:tag".  If anybody has read
# "7:tag", it was that.
sub _find_versions
{
	my ($self) = @_;
	my %full;
	foreach my $op (grep { $_->{outcome} eq 'ok' } $self->operations)
	{
		foreach my $micro (@{ $op->{ops} })
		{
			my ($f, $key, $value) = @$micro;
			$full{$key}{$1} = $value if $f eq 'r' && defined $value && !ref $value && $value =~ /^\d+:(.+)$/s;
		}
	}
	foreach my $micro (map { @{ $_->{ops} } } grep { $_->{outcome} ne 'ok' } $self->operations)
	{
		my ($f, $key, $value) = @$micro;
		$micro->[2] = $full{$key}{$1} // $value if $f eq 'w' && $value =~ /^\?:(.+)$/s;
	}
	return;
}

# Writes it into a file that read() reads.
sub write
{
	my ($self, $file) = @_;
	open my $out, '>', $file or croak "could not open \"$file\": $!";
	print $out $self->text;
	close $out or croak "could not write \"$file\": $!";
	return;
}

sub text
{
	my ($self) = @_;
	return join '', about_line(%{ $self->{about} }), map { line(%$_) } $self->operations;
}

# --- what is in it ------------------------------------------------------

sub about { my ($self) = @_; return $self->{about}; }

# All operations, in order of their beginning.
sub operations { my ($self) = @_; return @{ $self->{operations} }; }

# A name for the session that an operation is of.
sub session_of { my ($op) = @_; return "$op->{process}/$op->{session}"; }

# The operations of each session, in order: ([ name, op, op, ... ], ...).
sub sessions
{
	my ($self) = @_;
	my %of;
	push @{ $of{ session_of($_) } }, $_ for $self->operations;
	return map { [ $_, @{ $of{$_} } ] } sort keys %of;
}

# What an operation read that it hadn't written itself: micro-operations.
sub external_reads
{
	my ($op) = @_;
	my (%own, @reads);
	foreach my $micro (@{ $op->{ops} })
	{
		if ($micro->[0] ne 'r') { $own{ $micro->[1] } = 1; }
		elsif (!$own{ $micro->[1] }) { push @reads, $micro; }
	}
	return @reads;
}

# What it wrote: micro-operations w and append.
sub writes { my ($op) = @_; return grep { $_->[0] eq 'w' || $_->[0] eq 'append' } @{ $op->{ops} }; }

# What a field that takes one name or several says.
sub names_in { my ($value) = @_; return !defined $value ? () : ref $value ? @$value : ($value); }

# One operation for people to read.
sub describe
{
	my ($op) = @_;
	my $ops = join ' ', map { _describe_micro($_) } @{ $op->{ops} };
	my $end = $op->{completed} // '?';
	my $outcome = $op->{outcome} eq 'ok' ? '' : " $op->{outcome}";
	return "#" . ($op->{index} // '?') . " (" . session_of($op) . " at $op->{node}, $op->{invoked}-$end$outcome: $ops)";
}

sub _describe_micro
{
	my ($f, $key, $value, $more) = @{ $_[0] };
	$value = value_text($value);
	$value .= ' missed' if $f eq 'cas' && defined $more && !$more;
	return "$f $key $value";
}

# A value as text: equal values have equal texts.
sub value_text
{
	my ($value) = @_;
	return !defined $value ? 'null' : ref $value eq 'ARRAY' ? '[' . join(',', map { value_text($_) } @$value) . ']' : "$value";
}

# --- validation ---------------------------------------------------------

sub is_list
{
	my ($value) = @_;
	return ref $value eq 'ARRAY' && !grep { !defined || ref } @$value;
}

sub _die
{
	my (@errors) = @_;
	my $more = @errors > 20 ? '... and ' . (@errors - 20) . " more\n" : '';
	splice @errors, 20 if @errors > 20;
	croak "not a history:\n" . join("\n", @errors) . "\n$more";
}

# What is wrong with one operation by itself.
sub op_errors
{
	my ($op) = @_;
	my @errors;
	foreach my $field (@required) { push @errors, "\"$field\" is missing" unless exists $op->{$field}; }
	foreach my $field (sort keys %$op)
	{
		my $rule = $field{$field};
		if (!$rule) { push @errors, "\"$field\" is unknown"; next; }
		push @errors, "\"$field\" is not $rule->[0]" unless $rule->[1]->($op->{$field});
	}
	return @errors if @errors;
	if ($op->{outcome} eq 'unknown')
	{
		push @errors, '"completed" must be null, as the outcome is unknown' if defined $op->{completed};
	}
	elsif (!defined $op->{completed}) { push @errors, '"completed" is null, but the outcome is known'; }
	elsif ($op->{completed} < $op->{invoked}) { push @errors, '"completed" is before "invoked"'; }
	push @errors, map { micro_errors($_, $op->{outcome}) } @{ $op->{ops} };
	return @errors;
}

# What is wrong with one micro-operation.
sub micro_errors
{
	my ($micro, $outcome) = @_;
	return 'a micro-operation is not [f, key, value]' unless ref $micro eq 'ARRAY' && @$micro >= 2 && @$micro <= 4;
	my ($f, $key, $value, $hit) = @$micro;
	return 'a micro-operation has no function' if !defined $f || ref $f;
	return "\"$f\" is no function of a micro-operation" unless $f eq 'r' || $kind_of{$f};
	return "\"$f\" has no key" if !defined $key || ref $key || $key eq '';
	return "\"$f $key\" has a fourth part" if @$micro == 4 && $f ne 'cas';
	if ($f eq 'r')
	{
		return "what \"r $key\" has read is missing" if @$micro < 3 && $outcome eq 'ok';
		return "what \"r $key\" has read is neither a value nor a list of values" if ref $value && !is_list($value);
	}
	elsif ($f eq 'cas') { return "\"cas $key\" has no [old, new]" unless is_pair($value); }
	elsif (!defined $value || ref $value) { return "\"$f $key\" has no value"; }
	elsif ($f eq 'w' && $outcome eq 'ok' && $value =~ /^\?:/) { return "\"w $key\" doesn't know its version, but it is ok"; }
	elsif ($f eq 'inc' && $value !~ /^-?\d+$/) { return "\"inc $key\" is not by an integer"; }
	return;
}

# [old, new]; old may be null.
sub is_pair
{
	my ($value) = @_;
	return ref $value eq 'ARRAY' && @$value == 2 && !ref $value->[0] && defined $value->[1] && !ref $value->[1];
}

# A process does one thing after the other.
sub _process_errors
{
	my (@ops) = @_;
	my (%last, %sessions, @errors);
	foreach my $op (@ops)
	{
		my $process = $op->{process};
		my $before = $last{$process};
		if ($before && ($before->{completed} // $before->{invoked}) > $op->{invoked})
		{
			push @errors, 'the process was not done with ' . describe($before) . ' when it began ' . describe($op);
		}
		if ($before && $before->{session} ne $op->{session} && $sessions{ session_of($op) })
		{
			push @errors, 'the process goes back to a session that it had left: ' . describe($op);
		}
		$sessions{ session_of($op) } = 1;
		$last{$process} = $op;
	}
	return @errors;
}

# A key is a register, a list or a counter.
sub _key_errors
{
	my (@ops) = @_;
	my (%kind, @errors);
	my $set = sub {
		my ($key, $kind, $op) = @_;
		push @errors, "key \"$key\" is a $kind{$key} and a $kind: " . describe($op)
		  if ($kind{$key} //= $kind) ne $kind;
	};
	foreach my $op (@ops)
	{
		foreach my $micro (@{ $op->{ops} }) { $set->($micro->[1], $kind_of{ $micro->[0] }, $op) if $kind_of{ $micro->[0] }; }
	}
	foreach my $op (@ops)
	{
		foreach my $micro (@{ $op->{ops} })
		{
			my ($f, $key, $value) = @$micro;
			next if $f ne 'r' || !defined $value;
			if (ref $value) { $set->($key, 'list', $op); }
			elsif (($kind{$key} // '') eq 'list') { push @errors, "key \"$key\" is a list, but one value was read: " . describe($op); }
		}
	}
	return @errors;
}

# What was received was sent, once, and not later.
sub _message_errors
{
	my (@ops) = @_;
	my (%sent, @errors);
	foreach my $op (@ops)
	{
		foreach my $message (names_in($op->{sent}))
		{
			push @errors, "message \"$message\" was sent twice: " . describe($op) if $sent{$message};
			$sent{$message} = $op;
		}
	}
	foreach my $op (@ops)
	{
		foreach my $message (names_in($op->{received}))
		{
			my $from = $sent{$message};
			if (!$from) { push @errors, "message \"$message\" was never sent: " . describe($op); }
			elsif (($from->{completed} // $from->{invoked}) > $op->{invoked})
			{
				push @errors, "message \"$message\" was received before it was sent: " . describe($op);
			}
		}
	}
	return @errors;
}

1;
