
=pod

=head1 NAME

Converge::Judge - what became of all that was acknowledged

=head1 SYNOPSIS

  my @anomalies = Converge::Judge::judge($history, { alpha => { ... }, beta => { ... } });

=head1 DESCRIPTION

Takes the transactions of Converge::Client and what each member holds in the end: a
hash of tables (digest() of Converge::Tables, "tombstones" among them), and values
(rows of what, key, value).  Returns hashes of name and message:

  diverged           members differ
  lost-increment     a counter is lower than acknowledged changes allow
  phantom-increment  it is higher than all changes that were tried allow
  below-bound        a bcounter is below its bound
  lost-element       an element that was added, and that nobody took away, isn't in
  lost-extreme       a column that keeps the highest (lowest) is below (above) one that was written
  phantom-value      a value that nobody has written
  value-came-back    a value that its own member had overwritten
  lost-row           a row that was put behind all deletions, and isn't there (add-wins)

Transactions of unknown outcome may have happened or not.

=cut

package Converge::Judge;

use strict;
use warnings FATAL => 'all';

use Converge::Tables;
use JSON::PP ();
use List::Util qw(first max min);

sub judge
{
	my ($history, $members) = @_;
	my $self = { history => [ grep { $_->{outcome} ne 'failed' } @$history ], members => $members, anomalies => [], judged => {} };
	_diverged($self);
	_index($self);
	foreach my $name (sort keys %$members)
	{
		$self->{name} = $name;
		$self->{value} = { map { ("$_->[0] $_->[1]" => $_->[2]) } @{ $members->{$name}{values} } };
		_counters($self);
		_elements($self);
		_written($self);
		_rows($self);
	}
	return ($self->{anomalies}, $self->{judged});
}

sub _guilty { my ($self, $name, $message) = @_; push @{ $self->{anomalies} }, { name => $name, message => $message }; return; }

# What was done to each key of each column: [ verb, n or text, transaction ].
sub _index
{
	my ($self) = @_;
	foreach my $transaction (@{ $self->{history} })
	{
		foreach my $done (@{ $transaction->{done} })
		{
			my ($verb, $what, $key, $value) = @$done;
			push @{ $self->{done}{"$what $key"} }, [ $verb, $value, $transaction ];
		}
	}
	return;
}

sub _diverged
{
	my ($self) = @_;
	my ($first, @rest) = sort keys %{ $self->{members} };
	my $tables = $self->{members}{$first}{tables};
	foreach my $table (sort keys %$tables)
	{
		foreach my $other (@rest)
		{
			$self->{judged}{equal}++;
			my @ours = split /\n/, $tables->{$table};
			my @theirs = split /\n/, $self->{members}{$other}{tables}{$table};
			my ($ours, $theirs) = (_without(\@ours, @theirs), _without(\@theirs, @ours));
			next if !@$ours && !@$theirs;
			_guilty($self, 'diverged', sprintf "%s: %d rows of %s and %d of %s are elsewhere not so: \n  %s\n  %s", $table,
				scalar @$ours, $first, scalar @$theirs, $other, $ours->[0] // '', $theirs->[0] // '');
		}
	}
	return;
}

sub _without { my ($rows, @others) = @_; my %other = map { $_ => 1 } @others; return [ grep { !$other{$_} } @$rows ]; }

sub _counters
{
	my ($self) = @_;
	foreach my $column (sort keys %{ $self->{done} })
	{
		my @adds = grep { $_->[0] eq 'add' } @{ $self->{done}{$column} } or next;
		my ($what, $key) = split / /, $column;
		my $initial = $what eq 'counters.stock' ? $Converge::Tables::stock * keys %{ $self->{members} } : 0;
		my ($low, $high) = ($initial, $initial);
		foreach my $add (@adds)
		{
			my ($n, $sure) = ($add->[1], $add->[2]{outcome} eq 'ok');
			$low += $n if $sure || $n < 0;
			$high += $n if $sure || $n > 0;
		}
		my $is = $self->{value}{$column} // 0;
		$self->{judged}{counter}++;
		_guilty($self, 'lost-increment', "$self->{name}: $column is $is, but must be $low at least (of @{[ scalar @adds ]} changes)") if $is < $low;
		_guilty($self, 'phantom-increment', "$self->{name}: $column is $is, but can be $high at most (of @{[ scalar @adds ]} changes)") if $is > $high;
		_guilty($self, 'below-bound', "$self->{name}: $column is $is") if $what eq 'counters.stock' && $is < 0;
	}
	return;
}

sub _elements
{
	my ($self) = @_;
	foreach my $column (grep { /^docs\.tags / } sort keys %{ $self->{done} })
	{
		my %in = map { $_ => 1 } @{ JSON::PP::decode_json($self->{value}{$column} // '[]') };
		my %out = map { $_->[1] => 1 } grep { $_->[0] eq 'out' } @{ $self->{done}{$column} };
		my %tried;
		foreach my $add (grep { $_->[0] eq 'in' } @{ $self->{done}{$column} })
		{
			my $text = $add->[1];
			$tried{$text} = 1;
			next if $add->[2]{outcome} ne 'ok' || $out{$text};
			$self->{judged}{element}++;
			_guilty($self, 'lost-element', "$self->{name}: $column lacks $text, added by $add->[2]{id}") unless $in{$text};
		}
		_guilty($self, 'phantom-value', "$self->{name}: $column has $_, which nobody added") for grep { !$tried{$_} } sort keys %in;
	}
	return;
}

sub _written
{
	my ($self) = @_;
	foreach my $column (sort keys %{ $self->{done} })
	{
		my @sets = grep { $_->[0] eq 'set' } @{ $self->{done}{$column} } or next;
		my $value = $self->{value}{$column};
		my @sure = grep { $_->[2]{outcome} eq 'ok' } @sets;
		$self->{judged}{value}++;
		if ($column =~ /^docs\.(hi|lo) /)
		{
			my $limit = $1 eq 'hi' ? max(map { $_->[1] } @sure) : min(map { $_->[1] } @sure);
			next unless defined $limit;
			my $kept = defined $value && ($1 eq 'hi' ? $value >= $limit : $value <= $limit);
			_guilty($self, 'lost-extreme', "$self->{name}: $column is @{[ $value // 'NULL' ]}, but $limit was written") unless $kept;
		}
		next unless defined $value;
		my $write = first { $_->[1] eq $value } @sets;
		if (!$write) { _guilty($self, 'phantom-value', "$self->{name}: $column is $value, which nobody wrote"); next; }
		_came_back($self, $column, $write, @sure) if $column =~ /^(?:docs\.(?:one|two)|counters\.note) /;
	}
	return;
}

# What was written at a member, by someone who had the older value there before him, is
# later by the clock, whatever that says.
sub _came_back
{
	my ($self, $column, $write, @sure) = @_;
	my $first = $write->[2];
	return unless $first->{end};
	my $later = first {
		my $second = $_->[2];
		$second->{node} eq $first->{node} && $second->{place} == $first->{place} && $second->{begin} > $first->{end}
	} @sure;
	$self->{judged}{latest}++;
	_guilty($self, 'value-came-back', "$self->{name}: $column is $write->[1], but $later->[1] was written later, by $later->[2]{id}") if $later;
	return;
}

# Rows where adding wins: what was put behind the end of all deletions is there, and so
# are its counts.
sub _rows
{
	my ($self) = @_;
	foreach my $row (grep { /^carts_aw / } sort keys %{ $self->{done} })
	{
		my @done = @{ $self->{done}{$row} };
		my $last = max(0, map { $_->[2]{end} // 9e18 } grep { $_->[0] eq 'gone' } @done);
		my @puts = grep { $_->[0] eq 'put' && $_->[2]{outcome} eq 'ok' && $_->[2]{begin} > $last } @done or next;
		$self->{judged}{row}++;
		my $key = (split / /, $row)[1];
		my $is = $self->{value}{"carts_aw.n $key"};
		my $low = 0;
		$low += $_->[1] for @puts;
		_guilty($self, 'lost-row', "$self->{name}: $row isn't there, but was put by $puts[-1][2]{id}") unless defined $is;
		_guilty($self, 'lost-increment', "$self->{name}: $row counts $is, but must $low at least") if defined $is && $is < $low;
	}
	return;
}

1;
