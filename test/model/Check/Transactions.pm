
=pod

=head1 NAME

Check::Transactions - isolation anomalies, after Adya and Elle

=head1 DESCRIPTION

From the version order of lists (or of registers with versions, see Versions.pm)
comes a graph of dependencies between transactions, and its cycles are
anomalies: Adya, "Weak Consistency" (1999); Kingsbury and Alvaro, "Elle" (VLDB
2020).

  G0                  a cycle of ww: dirty write
  G1a, G1b            aborted read, intermediate read
  G1c                 a cycle of ww and wr: circular information flow
  G-single            one rw in it: read skew, a snapshot that isn't one
  G-nonadjacent       several rw, but no two after each other: long fork.  Snapshot
                      isolation doesn't allow it
  G2                  several rw: write skew
  lost-update         two transactions have read the same version and both written
  internal            a transaction contradicts itself
  incompatible-order, duplicate-elements, unwritten-value   see Versions.pm

Names ending in -session or -realtime are cycles that also need the order of a
session or real time (option orders => [ 'session', 'realtime' ], or the first
alone).

Option model: what must hold; other anomalies aren't reported.  read-committed,
snapshot-isolation, serializable (the default).  Option allow: a list of more
names that don't matter.  Option snapshots => 0: statement by statement, so that
two reads of one key in one transaction may differ.

A transaction of unknown outcome is taken for committed if somebody has seen
what it wrote.

=cut

package Check::Transactions;

use strict;
use warnings FATAL => 'all';

use Carp;
use Check;
use Dependencies;
use Graph;
use History;
use Versions;

# What each model allows, each of them also with -session and -realtime.
my %allows = (
	'read-committed' => [qw(G-single G-nonadjacent G2 lost-update)],
	'snapshot-isolation' => [qw(G2)],
	'serializable' => []);

my %meaning = (
	'G0' => 'transactions have overwritten each other in different orders (dirty write)',
	'G1c' => 'transactions have seen each other (circular information flow)',
	'G-single' => 'a transaction saw a state before and after another one (read skew)',
	'G-nonadjacent' => 'transactions saw others in different orders (long fork)',
	'G2' => 'transactions have each overwritten what the other one read (write skew)');

sub check
{
	my ($history, $options) = @_;
	my $model = $options->{model} // 'serializable';
	my $allows = $allows{$model} // croak "no model \"$model\"";
	my %allow = map { $_ => 1 } @{ $options->{allow} // [] };
	$allow{$_} = $allow{"$_-session"} = $allow{"$_-realtime"} = 1 for @$allows;
	my $self = {
		history => $history,
		versions => Versions->new($history, $options),
		report => Check::report($options),
		snapshots => $options->{snapshots} // 1,
		allow => \%allow };

	$self->{report}->add_all(grep { !$allow{ $_->{name} } } $self->{versions}->problems);
	_judge_internal($self, $_) for grep { $_->{outcome} eq 'ok' } $history->operations;
	_judge_updates($self) unless $allow{'lost-update'};
	_judge_cycles($self, @{ $options->{orders} // [] });
	return $self->{report}->result;
}

# --- inside a transaction -------------------------------------------------

# What it reads must be what it has read and written before.
sub _judge_internal
{
	my ($self, $op) = @_;
	return if $self->{allow}{internal};
	my %state;	# known: the value; tail: own appends to an unknown list
	foreach my $micro (@{ $op->{ops} })
	{
		my ($f, $key, $value) = @$micro;
		my $state = $state{$key} //= {};
		if ($f eq 'r')
		{
			my $wrong = _contradiction($state, $value);
			$self->{report}->add('internal', "key \"$key\": $wrong.", [$op]) if $wrong;
			$state{$key} = $self->{snapshots} || $state->{wrote} ? { known => [$value], wrote => $state->{wrote} } : {};
		}
		elsif ($f eq 'w') { $state{$key} = { known => [$value], wrote => 1 }; }
		else
		{
			$state->{known} = [ [ @{ $state->{known}[0] // [] }, $value ] ] if $state->{known};
			push @{ $state->{tail} }, $value;
			$state->{wrote} = 1;
		}
	}
	return;
}

# What is wrong with a read, or nothing.
sub _contradiction
{
	my ($state, $value) = @_;
	my $text = History::value_text($value);
	if ($state->{known})
	{
		my $known = $state->{known}[0];
		my $same = History::value_text($known) eq $text || (_empty($known) && _empty($value));
		return $same ? undef : "$text was read, but for this transaction it is " . History::value_text($known);
	}
	my $tail = $state->{tail} or return;
	my @list = @{ $value // [] };
	my @end = @list >= @$tail ? @list[ @list - @$tail .. $#list ] : ();
	return if @end && !grep { $end[$_] ne $tail->[$_] } 0 .. $#end;
	return "$text was read, but this transaction has appended " . join(', ', @$tail);
}

sub _empty { my ($value) = @_; return !defined $value || (ref $value && !@$value); }

# --- lost updates ---------------------------------------------------------

sub _judge_updates
{
	my ($self) = @_;
	my %updates;	# of a key and a version that was read
	foreach my $op (grep { $self->{versions}->op_happened($_) && $_->{outcome} eq 'ok' } $self->{history}->operations)
	{
		my %writes = map { $_->[1] => 1 } History::writes($op);
		my %read;
		foreach my $micro (History::external_reads($op))
		{
			my (undef, $key, $value) = @$micro;
			next if !$writes{$key} || $read{$key}++;
			push @{ $updates{$key}{ $self->{versions}->of_read($key, $value) } }, $op;
		}
	}
	foreach my $key (sort keys %updates)
	{
		foreach my $version (sort { $a <=> $b } keys %{ $updates{$key} })
		{
			my $ops = $updates{$key}{$version};
			$self->{report}->add('lost-update',
				@$ops . " transactions have read the same version of \"$key\" and then written it.", $ops)
			  if @$ops > 1;
		}
	}
	return;
}

# --- cycles -------------------------------------------------------------

sub _judge_cycles
{
	my ($self, @orders) = @_;
	my @ops = $self->{history}->operations;
	my $graph = Graph->new(scalar @ops);
	my $node = sub { return $_[0]{index}; };
	Dependencies::add($graph, $self->{history}, $self->{versions}, $node, $node);
	my @happened = grep { $self->{versions}->op_happened($_) } @ops;
	$self->{report}->judged(scalar @happened);
	foreach my $order (@orders)
	{
		if ($order eq 'session') { _add_sessions($self, $graph); }
		elsif ($order eq 'realtime')
		{
			$graph->realtime({ map { $_->{index} => $_->{invoked} } @happened },
				{ map { $_->{index} => $_->{completed} } grep { $_->{outcome} eq 'ok' } @happened });
		}
		else { croak "no order \"$order\""; }
	}
	my ($cycles, $gave_up) = $graph->cycles(orders => \@orders, allow => $self->{allow});
	foreach my $cycle (@$cycles)
	{
		my ($name, $nodes) = @$cycle;
		my $meaning = $meaning{ $name =~ s/-(?:session|realtime)$//r };
		my $words = $graph->words($cycle, sub { return "#$_[0]"; });
		$self->{report}->add($name, "$meaning: $words.", [ @ops[@$nodes] ]);
	}
	$self->{report}->add('undecided', 'there are cycles, but their kind was not found.', [ @ops[@$gave_up] ], undecided => 1)
	  if $gave_up;
	return;
}

sub _add_sessions
{
	my ($self, $graph) = @_;
	foreach my $session ($self->{history}->sessions)
	{
		my ($name, @ops) = @$session;
		my $last;
		foreach my $op (grep { $self->{versions}->op_happened($_) } @ops)
		{
			$graph->edge($last->{index}, $op->{index}, 'session') if $last;
			$last = $op if $op->{outcome} eq 'ok';
		}
	}
	return;
}

1;
