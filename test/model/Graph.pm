
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

# So many edges of a component are tried as the first edge of a cycle.
our $tries = 200;

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

# All kinds of cycles, but for one of each kind and component: ([ name, [ node,
# ... ], [ type, ... ] ], ...), where type i leads from node i to the next one.
# Options: base => types that are always followed; orders => types that are
# followed next, one after the other, and named behind the kind ("G0-session");
# allow => { name => 1 } of what isn't looked for.  Second value: gave up on
# some component.
sub cycles
{
	my ($self, %option) = @_;
	my @orders = @{ $option{orders} // [] };
	my @base = @{ $option{base} // [] };
	my (@found, $gave_up);
	foreach my $component ($self->components(qw(ww wr rw), @base, @orders))
	{
		my %inside = map { $_ => 1 } @$component;
		my ($cycles, $all_tried) = $self->_cycles_inside(\%inside, \@base, \@orders, $option{allow} // {});
		push @found, @$cycles;
		$gave_up = $component if !@$cycles && !$all_tried;
	}
	return (\@found, $gave_up);
}

sub _cycles_inside
{
	my ($self, $inside, $base, $orders, $allow) = @_;
	my @found;
	my $all_tried = 1;
	foreach my $kind (@kinds)
	{
		my ($kind_name, $first, $types, $nonadjacent) = @$kind;
		foreach my $n (0 .. @$orders)
		{
			my $name = $kind_name . ($n ? "-$orders->[$n - 1]" : '');
			next if $allow->{$name};
			my @needs = (($first eq 'rw' && grep { $_ eq 'rw' } @$types) ? 'rw' : (), $n ? $orders->[ $n - 1 ] : ());
			# an edge that has several types is taken for the first of these
			my @types = sort { ($a eq 'rw') <=> ($b eq 'rw') } @$types, @$base, @$orders[ 0 .. $n - 1 ];
			my ($cycle, $cut) = $self->_cycle_from($inside, $first, \@types, $nonadjacent, \@needs, \@found);
			$all_tried = 0 if $cut;
			next unless $cycle;
			push @found, [ $name, @$cycle ];
			last;
		}
	}
	return (\@found, $all_tried);
}

# A cycle that begins with an edge of type $first and goes on along some types,
# those that it needs among them; else it is of another kind.  Edges that are
# part of a cycle found before are not begun with.
sub _cycle_from
{
	my ($self, $inside, $first, $types, $nonadjacent, $needs, $found) = @_;
	my %used;
	foreach my $cycle (@$found)
	{
		my ($nodes, $labels) = @$cycle[ 1, 2 ];
		$used{"$nodes->[$_] $nodes->[ ($_ + 1) % @$nodes ]"} = 1 for 0 .. $#$nodes;
	}
	my $tried = 0;
	foreach my $from (sort { $a <=> $b } keys %$inside)
	{
		my $edges = $self->{edges}[$from];
		foreach my $to (sort { $a <=> $b } grep { exists $edges->{$_}{$first} } keys %$edges)
		{
			next if !$inside->{$to} || $used{"$from $to"};
			return (undef, 1) if $tried++ >= $tries;
			my $path = $self->_path($to, $from, $inside, $types, $nonadjacent) or next;
			my @nodes = map { $_->[0] } @$path;
			my (undef, @labels) = map { $_->[1] } @$path;
			next if grep { my $need = $_; !grep { $_ eq $need } @labels } @$needs;
			# the path ends where the cycle begins
			return ([ [ $from, @nodes[ 0 .. $#nodes - 1 ] ], [ $first, @labels ] ], 0);
		}
	}
	return (undef, 0);
}

# The shortest path inside a component: [ [ node, type of the edge to it ], ... ],
# beginning with the start itself.  With $nonadjacent no two edges of type rw
# follow each other, and neither the first nor the last is one (the cycle was
# begun with one).
sub _path
{
	my ($self, $start, $goal, $inside, $types, $nonadjacent) = @_;
	my %came = ("$start 1" => undef);
	my @queue = ([ $start, 1 ]);
	while (@queue)
	{
		my ($node, $after_rw) = @{ shift @queue };
		my $edges = $self->{edges}[$node];
		foreach my $to (sort { $a <=> $b } grep { $inside->{$_} } keys %$edges)
		{
			my @labels = grep { exists $edges->{$to}{$_} } @$types;
			@labels = grep { $_ ne 'rw' } @labels if $nonadjacent && ($after_rw || $to == $goal);
			next unless @labels;
			# the one that says most comes first
			my $label = $labels[0];
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
