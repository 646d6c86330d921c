
=pod

=head1 NAME

Graph - dependencies between transactions, and the cycles among them

=head1 DESCRIPTION

Nodes are numbers from 0.  An edge has one or several types:

  ww  wrote the next version of what the other had written
  wr  read what the other had written
  rw  wrote the next version of what the other had read
  part, session, realtime  was before it by itself

cycles() finds and names cycles by the types of their edges, as Adya does and
after him Elle (Kingsbury and Alvaro, VLDB 2020).  Each is as short as a breadth
first search makes it.

=cut

package Graph;

use strict;
use warnings FATAL => 'all';

# The kinds of cycles from the worst on: the type of the edge that it begins
# with, of those that follow.
my @kinds = (
	[ 'G0', 'ww', [qw(ww)] ],
	[ 'G1c', 'wr', [qw(ww wr)] ],
	[ 'G-single', 'rw', [qw(ww wr)] ],
	[ 'G-nonadjacent', 'rw', [qw(ww wr rw)], 'nonadjacent' ],
	[ 'G2', 'rw', [qw(ww wr rw)] ]);

# So many edges are followed in search of the cycles of one kind, in all.
our $effort = 60_000;

sub new
{
	my ($class, $count) = @_;
	return bless { edges => [ map { {} } 1 .. $count ] }, $class;
}

# An edge; $why says of which key it is.
sub edge
{
	my ($self, $from, $to, $type, $why) = @_;
	return if $from == $to;
	$self->{edges}[$from]{$to}{$type} //= $why // '';
	return;
}

# --- strongly connected components ----------------------------------------

# Those of more than one node, along edges of some types: Tarjan, without
# recursion, as histories are long.
sub components
{
	my ($self, @types) = @_;
	my $next = $self->_neighbours(@types);
	my (@index, @low, @on, @stack, @found);
	my $count = 0;
	foreach my $root (0 .. $#$next)
	{
		next if defined $index[$root];
		my @work = ([ $root, 0 ]);
		while (@work)
		{
			my ($node, $at) = @{ $work[-1] };
			if ($at == 0)
			{
				$index[$node] = $low[$node] = $count++;
				push @stack, $node;
				$on[$node] = 1;
			}
			my $list = $next->[$node];
			my $down;
			while ($at < @$list)
			{
				my $to = $list->[ $at++ ];
				if (!defined $index[$to]) { $down = $to; last; }
				$low[$node] = $index[$to] if $on[$to] && $index[$to] < $low[$node];
			}
			# an empty list must not look like one that was not begun
			$work[-1][1] = $at || 1;
			if (defined $down) { push @work, [ $down, 0 ]; next; }
			pop @work;
			$low[ $work[-1][0] ] = $low[$node] if @work && $low[$node] < $low[ $work[-1][0] ];
			next unless $low[$node] == $index[$node];
			my @component;
			while (1)
			{
				my $member = pop @stack;
				$on[$member] = 0;
				push @component, $member;
				last if $member == $node;
			}
			push @found, [ sort { $a <=> $b } @component ] if @component > 1;
		}
	}
	return @found;
}

sub _neighbours
{
	my ($self, @types) = @_;
	my @next;
	foreach my $edges (@{ $self->{edges} })
	{
		push @next, [ sort { $a <=> $b } grep { _has($edges->{$_}, @types) } keys %$edges ];
	}
	return \@next;
}

sub _has
{
	my ($edge, @types) = @_;
	foreach my $type (@types) { return 1 if exists $edge->{$type}; }
	return 0;
}

# --- cycles -------------------------------------------------------------

# All kinds of cycles, but no more than one of each kind and component:
# ([ name, [ node, ... ], [ type, ... ] ], ...), where type i leads from node i to
# the next one.  Options: base => types that are always followed; orders => types
# that are followed next, one after the other, and named behind the kind
# ("G0-session"); allow => { name => 1 } of what isn't looked for.  Second value:
# a component that has cycles, of which none was found in time.
sub cycles
{
	my ($self, %option) = @_;
	my @orders = @{ $option{orders} // [] };
	my @base = @{ $option{base} // [] };
	my (@found, $gave_up);
	foreach my $n (0 .. @orders)
	{
		my @extra = (@base, @orders[ 0 .. $n - 1 ]);
		my @components = $self->components(qw(ww wr rw), @extra);
		my $cut = 0;
		foreach my $kind (@kinds)
		{
			my $name = $kind->[0] . ($n ? "-$orders[$n - 1]" : '');
			next if $option{allow}{$name};
			my @needs = ((grep { $_ eq 'rw' } @{ $kind->[2] }) ? 'rw' : (), $n ? $orders[ $n - 1 ] : ());
			my $search = { name => $name, kind => $kind, extra => \@extra, needs => \@needs, left => $effort };
			foreach my $component (@components)
			{
				my $cycle = $self->_cycle_inside($component, $search, \@found);
				push @found, [ $name, @$cycle ] if $cycle;
			}
			$cut ||= $search->{left} <= 0;
		}
		next unless $cut && $n == @orders;
		my %known = map { $_ => 1 } map { @{ $_->[1] } } @found;
		($gave_up) = grep { !grep { $known{$_} } @$_ } @components;
	}
	return (\@found, $gave_up);
}

# A cycle of one kind in a component, or undef.  One that another order isn't
# needed for was found before; edges of known cycles are not begun with.
sub _cycle_inside
{
	my ($self, $component, $search, $found) = @_;
	my ($name, $first, $types, $nonadjacent) = @{ $search->{kind} };
	my %inside = map { $_ => 1 } @$component;
	my %used;
	foreach my $cycle (grep { $inside{ $_->[1][0] } } @$found)
	{
		my $nodes = $cycle->[1];
		return if $cycle->[0] =~ /^\Q$name\E(?:-(?:session|realtime))?$/;
		$used{"$nodes->[$_] $nodes->[ ($_ + 1) % @$nodes ]"} = 1 for 0 .. $#$nodes;
	}
	# an edge that has several types is taken for the first of these
	my @types = sort { ($a eq 'rw') <=> ($b eq 'rw') } @$types, @{ $search->{extra} };
	my $next = $self->_labelled(\%inside, \@types);
	foreach my $from (@$component)
	{
		my $edges = $self->{edges}[$from];
		foreach my $to (sort { $a <=> $b } grep { exists $edges->{$_}{$first} } keys %$edges)
		{
			next if !$inside{$to} || $used{"$from $to"};
			return if $search->{left} <= 0;
			my $path = _path($next, $to, $from, $nonadjacent, \$search->{left}) or next;
			my @nodes = map { $_->[0] } @$path;
			my (undef, @labels) = map { $_->[1] } @$path;
			next if grep { my $need = $_; !grep { $_ eq $need } @labels } @{ $search->{needs} };
			# the path ends where the cycle begins
			return [ [ $from, @nodes[ 0 .. $#nodes - 1 ] ], [ $first, @labels ] ];
		}
	}
	return;
}

# The edges of some types between some nodes: { node => [ [ node, type ], ... ] }.
sub _labelled
{
	my ($self, $inside, $types) = @_;
	my %next;
	foreach my $from (keys %$inside)
	{
		my $edges = $self->{edges}[$from];
		foreach my $to (sort { $a <=> $b } grep { $inside->{$_} } keys %$edges)
		{
			foreach my $type (@$types)
			{
				next unless exists $edges->{$to}{$type};
				push @{ $next{$from} }, [ $to, $type ];
				last;
			}
		}
	}
	return \%next;
}

# The shortest path, [ [ node, type of the edge to it ], ... ], beginning with the
# start itself.  With $nonadjacent no two edges of type rw follow each other, and
# neither the first nor the last is one (the cycle was begun with one).
sub _path
{
	my ($next, $start, $goal, $nonadjacent, $left) = @_;
	my %came = ("$start 1" => undef);
	my @queue = ([ $start, 1 ]);
	while (@queue)
	{
		my ($node, $after_rw) = @{ shift @queue };
		foreach my $edge (@{ $next->{$node} // [] })
		{
			my ($to, $label) = @$edge;
			return if $$left-- <= 0;
			next if $nonadjacent && $label eq 'rw' && ($after_rw || $to == $goal);
			my $state = $nonadjacent && $label eq 'rw' ? 1 : 0;
			next if exists $came{"$to $state"};
			$came{"$to $state"} = [ $node, $after_rw, $label ];
			return _walk_back(\%came, "$to $state") if $to == $goal;
			push @queue, [ $to, $state ];
		}
	}
	return;
}

sub _walk_back
{
	my ($came, $state) = @_;
	my @path;
	while (defined $came->{$state})
	{
		my ($node, $after_rw, $label) = @{ $came->{$state} };
		unshift @path, [ (split / /, $state)[0], $label ];
		$state = "$node $after_rw";
	}
	unshift @path, [ (split / /, $state)[0], undef ];
	return \@path;
}

# A cycle in words; $name says what a node is called.
sub words
{
	my ($self, $cycle, $name) = @_;
	my (undef, $nodes, $labels) = @$cycle;
	my @parts;
	foreach my $i (0 .. $#$nodes)
	{
		my ($from, $to) = ($nodes->[$i], $nodes->[ ($i + 1) % @$nodes ]);
		my $why = $self->{edges}[$from]{$to}{ $labels->[$i] };
		push @parts, $name->($from) . " -$labels->[$i]" . (length $why ? " of $why" : '') . '-> ';
	}
	return join('', @parts) . $name->($nodes->[0]);
}

# --- real time ------------------------------------------------------------

# Edges between operations of which one was over before the other began, without
# those that follow from others.  $end: those that end (node => time) and
# $begin: when each begins.
sub realtime
{
	my ($self, $begin, $end) = @_;
	# what begins when another one ends overlaps it
	my @events = sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] }
	  ((map { [ $begin->{$_}, 0, $_ ] } keys %$begin), (map { [ $end->{$_}, 1, $_ ] } keys %$end));
	my (%frontier, %before);
	foreach my $event (@events)
	{
		my (undef, $is_end, $node) = @$event;
		if (!$is_end)
		{
			$before{$node} = [ keys %frontier ];
			$self->edge($_, $node, 'realtime') for @{ $before{$node} };
			next;
		}
		delete $frontier{$_} for @{ $before{$node} };
		$frontier{$node} = 1;
	}
	return;
}

1;
