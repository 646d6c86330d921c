
=pod

=head1 NAME

Check::Linearizable - registers, each as if it were one copy in real time

=head1 DESCRIPTION

Wing and Gong's search ("Testing and Verifying Concurrent Objects", 1993) with
Lowe's memory of what was tried ("Testing for linearizability", 2017): a set of
operations that took effect together with the state they led to is tried once.

Keys are judged one by one, as linearizability is local; keys that one operation
touches together are judged together, and their operation as atomic (strict
serializability), but for operations of the set-up.  Registers with read, write and compare-and-set; lists and
counters as well.  Values needn't be unique.

What failed never had an effect.  What has an unknown outcome may have had one at
any time after its invocation, or never.

  not-linearizable   no order explains the history; the operation named is the
                     first one that none of the orders tried could get beyond
  undecided          too many orders to try, see the option effort

Options: initial => { key => value }, null unless given; effort => how many steps
are tried for each key, 1,000,000 unless given (some seconds).

=cut

package Check::Linearizable;

use strict;
use warnings FATAL => 'all';

use Check;
use History;

# Stands for null: no value is like it.
my $null = "\0null";

sub check
{
	my ($history, $options) = @_;
	my $report = Check::report($options);
	foreach my $component (_components($history))
	{
		my ($keys, @ops) = @$component;
		my @compiled = _without_traces(_compile($keys, @ops));
		$report->judged(scalar grep { $_->{ok} } @compiled);
		my @initial = map { _text($options->{initial}{$_}) } @$keys;
		my $result = _search(\@compiled, \@initial, $options->{effort} // 1_000_000);
		_report($report, $keys, $result) if $result;
	}
	return $report->result;
}

# ([ [ key, ... ], op, op, ... ], ...): keys that are touched together.
sub _components
{
	my ($history) = @_;
	my (%leader, %ops, %keys);
	my $find;
	$find = sub { my ($key) = @_; $key = $leader{$key} while $leader{$key} ne $key; return $key; };
	my @ops = map { _split_setup($_) } grep { $_->{outcome} ne 'failed' } $history->operations;
	foreach my $op (@ops)
	{
		my ($first, @rest) = map { $_->[1] } @{ $op->{ops} };
		$leader{$_} //= $_ for $first, @rest;
		$leader{ $find->($_) } = $find->($first) for @rest;
	}
	push @{ $ops{ $find->($_->{ops}[0][1]) } }, $_ for @ops;
	push @{ $keys{ $find->($_) } }, $_ for sort keys %leader;
	return map { [ $keys{$_}, @{ $ops{$_} } ] } sort keys %ops;
}

# The set-up touches all keys, but it is over before anything else begins: for
# each key it is an operation by itself.
sub _split_setup
{
	my ($op) = @_;
	return $op unless $op->{setup};
	my %of;
	push @{ $of{ $_->[1] } }, $_ for @{ $op->{ops} };
	return map { { %$op, ops => $of{$_} } } sort keys %of;
}

# --- operations as functions of the state -----------------------------------

# A value as text; an empty list is null.
sub _text
{
	my ($value) = @_;
	return $null if !defined $value || (ref $value && !@$value);
	return ref $value ? join '', map { "$_\x1f" } @$value : "$value";
}

# What the search needs of each operation: op; ok: must take effect, and by when;
# pure: changes nothing; steps: [ function, place in the state, texts ].
sub _compile
{
	my ($keys, @ops) = @_;
	my %place = map { $keys->[$_] => $_ } 0 .. $#$keys;
	my @compiled;
	foreach my $op (@ops)
	{
		my $ok = $op->{outcome} eq 'ok';
		my @steps;
		foreach my $micro (@{ $op->{ops} })
		{
			my ($f, $key, $value, $hit) = @$micro;
			# nobody knows what it has read
			next if $f eq 'r' && !$ok;
			if ($f eq 'cas') { push @steps, [ !$ok || !defined $hit || $hit ? 'cas' : 'miss', $place{$key}, map { _text($_) } @$value ]; }
			else { push @steps, [ $f, $place{$key}, _text($value) ]; }
		}
		my $pure = !grep { $_->[0] ne 'r' && $_->[0] ne 'miss' } @steps;
		push @compiled, { op => $op, ok => $ok, pure => $pure, steps => \@steps } if $ok || !$pure;
	}
	return @compiled;
}

# Without what has an unknown outcome and left no trace, so that it may as well
# never have happened: nobody has read what it wrote or compared with it.
sub _without_traces
{
	my (@compiled) = @_;
	my (%seen, %sensitive);
	foreach my $step (map { @{ $_->{steps} } } @compiled)
	{
		my ($f, $place, @texts) = @$step;
		if ($f eq 'r') { $seen{$place}{$_} = 1 for $texts[0], split /\x1f/, $texts[0]; }
		elsif ($f eq 'cas') { $seen{$place}{ $texts[0] } = 1; }
		# that something was there, whatever it was, has been seen
		elsif ($f eq 'miss' || $f eq 'inc') { $sensitive{$place} = 1; }
	}
	return grep {
		$_->{ok} || grep {
			my ($f, $place, @texts) = @$_;
			$sensitive{$place} || $seen{$place}{ $texts[-1] =~ s/\x1f$//r };
		} @{ $_->{steps} }
	} @compiled;
}

# The state after an operation; undef if it can't have run in that state.
sub _step
{
	my ($steps, $state) = @_;
	my @state = @$state;
	foreach my $step (@$steps)
	{
		my ($f, $place, $text, $new) = @$step;
		if ($f eq 'r') { return if $state[$place] ne $text; }
		elsif ($f eq 'w') { $state[$place] = $text; }
		elsif ($f eq 'cas') { return if $state[$place] ne $text; $state[$place] = $new; }
		elsif ($f eq 'miss') { return if $state[$place] eq $text; }
		elsif ($f eq 'append') { $state[$place] = ($state[$place] eq $null ? '' : $state[$place]) . "$text\x1f"; }
		elsif ($f eq 'inc') { $state[$place] = ($state[$place] eq $null ? 0 : $state[$place]) + $text; }
	}
	return \@state;
}

# --- the search ---------------------------------------------------------

# Calls and returns in order as a doubly linked list; 0 is its head.  What begins
# when another one returns overlaps it.
sub _entries
{
	my ($ops) = @_;
	my @events;
	foreach my $i (0 .. $#$ops)
	{
		my $op = $ops->[$i]{op};
		push @events, [ $op->{invoked}, 0, $i ];
		push @events, [ $op->{completed}, 1, $i ] if $ops->[$i]{ok};
	}
	@events = sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @events;
	my $list = { next => [1], prev => [ scalar @events ], op => [undef], call => [0], returns => {} };
	foreach my $n (1 .. @events)
	{
		my (undef, $is_return, $i) = @{ $events[ $n - 1 ] };
		$list->{next}[$n] = $n == @events ? 0 : $n + 1;
		$list->{prev}[$n] = $n - 1;
		$list->{op}[$n] = $i;
		$list->{call}[$n] = !$is_return;
		$list->{returns}{$i} = $n if $is_return;
	}
	return $list;
}

# Takes a call and its return out of the list, or puts them back.
sub _lift
{
	my ($list, $entry) = @_;
	foreach my $n ($entry, $list->{returns}{ $list->{op}[$entry] } // ())
	{
		$list->{next}[ $list->{prev}[$n] ] = $list->{next}[$n];
		$list->{prev}[ $list->{next}[$n] ] = $list->{prev}[$n];
	}
	return;
}

sub _unlift
{
	my ($list, $entry) = @_;
	foreach my $n ($list->{returns}{ $list->{op}[$entry] } // (), $entry)
	{
		$list->{next}[ $list->{prev}[$n] ] = $n;
		$list->{prev}[ $list->{next}[$n] ] = $n;
	}
	return;
}

# The set of operations that took effect, and the state, as a key.  Ones in
# front and zeros at the end are left out: it is short, however long the history.
sub _memo
{
	my ($bits, $state) = @_;
	$bits =~ s/\0+\z//;
	my $ones = $bits =~ s/\A(\xff+)// ? length $1 : 0;
	return join "\x1e", $ones, $bits, @$state;
}

# Looks for an order; undef if there is one.  Otherwise what is wrong: undecided,
# or stuck (the operation), last (those before it in the longest order tried) and
# state.
sub _search
{
	my ($ops, $state, $effort) = @_;
	my $list = _entries($ops);
	# those that must take effect first, so that the set is compact
	my @must = grep { $ops->[$_]{ok} } 0 .. $#$ops;
	my @bit;
	@bit[ @must, grep { !$ops->[$_]{ok} } 0 .. $#$ops ] = 0 .. $#$ops;
	my ($left, $steps, $bits, $entry) = (scalar @must, 0, '', $list->{next}[0]);
	my (@stack, %tried, $best);
	while ($left)
	{
		if ($list->{call}[$entry])
		{
			return { undecided => 1, ops => $ops } if $steps++ >= $effort;
			my $i = $list->{op}[$entry];
			my $op = $ops->[$i];
			my $new = _step($op->{steps}, $state);
			if ($new)
			{
				my $with = $bits;
				vec($with, $bit[$i], 1) = 1;
				if (!$tried{ _memo($with, $new) }++)
				{
					push @stack, [ $entry, $bits, $state ];
					($bits, $state) = ($with, $new);
					_lift($list, $entry);
					$left-- if $op->{ok};
					$entry = $list->{next}[0];
					next;
				}
			}
			# What changes nothing and fits has its place now, if it has one.
			$entry = $new && $op->{pure} ? undef : $list->{next}[$entry];
			next if defined $entry;
		}
		elsif (!$best || $left < $best->{left})
		{
			$best = { left => $left, stuck => $ops->[ $list->{op}[$entry] ], state => $state,
				last => [ map { $ops->[ $list->{op}[ $_->[0] ] ] } @stack ] };
		}
		# back to the last operation whose place is open
		while (1)
		{
			return $best // { undecided => 1, ops => $ops } unless @stack;
			my $last;
			($last, $bits, $state) = @{ pop @stack };
			_unlift($list, $last);
			my $op = $ops->[ $list->{op}[$last] ];
			$left++ if $op->{ok};
			next if $op->{pure};
			$entry = $list->{next}[$last];
			last;
		}
	}
	return;
}

sub _report
{
	my ($report, $keys, $result) = @_;
	my $what = (@$keys > 1 ? 'keys ' : 'key ') . join ', ', map { "\"$_\"" } @$keys[ 0 .. ($#$keys < 4 ? $#$keys : 4) ];
	$what .= ', ...' if @$keys > 5;
	if ($result->{undecided})
	{
		$report->add('undecided', "$what: too many orders to try.", [ map { $_->{op} } @{ $result->{ops} } ], undecided => 1);
		return;
	}
	my @last = map { $_->{op} } @{ $result->{last} };
	splice @last, 0, @last - 3 if @last > 3;
	my $state = join ', ', map { $_ eq $null ? 'null' : s/\x1f$//r =~ s/\x1f/,/gr } @{ $result->{state} };
	$report->add('not-linearizable',
		"$what: no order of the operations explains #$result->{stuck}{op}{index} by the time it was over;"
		  . " the longest one tried ends with the state $state.", [ $result->{stuck}{op}, @last ]);
	return;
}

1;
