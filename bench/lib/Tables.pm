# The tables of the documentation, as markdown.
package Tables;
use strict;
use warnings;

use Exporter 'import';
our @EXPORT_OK =
  qw(environment ratios slower missed growth measures break_even figure);
use List::Util qw(max uniq);
use Results qw(of_kind run_of times_better short);

# What the groups and the things measured are called.
my %heading = (
	own => 'Own write, then read',
	other => "Another session's write, then read",
	hopping => 'Readers',
	stale => 'Stale reads, %',
	backwards => 'Reads going backwards, %',
	throughput => 'Throughput : primary only',
	writes => 'Writes : asynchronous',
	reads => 'Reads : asynchronous');

# How the benchmarks were run; those that were run in another way are named.
sub environment
{
	my ($results, @names) = @_;
	my (%names_of, @ways);

	for my $name (@names)
	{
		my $run = run_of($results, $name) or next;
		my $way = "PostgreSQL $run->{version}, $run->{cpus} CPUs that all servers and clients share; "
		  . ($run->{rounds} eq '-' ? 'by an older harness, which did not record its rounds' : "$run->{rounds} rounds, $run->{seconds} s a benchmark");
		$way = "**short, not to judge by:** $way" if short($run);
		push @ways, $way unless $names_of{$way};
		push @{ $names_of{$way} }, $name;
	}
	return "Nothing was measured yet.\n" unless @ways;
	return "Measured with $ways[0].\n" if @ways == 1;
	return join '', map { "* " . join(', ', @{ $names_of{$_} }) . ": $_\n" } @ways;
}

# All ratios of these benchmarks.
sub ratios
{
	my ($results, @names) = @_;

	return table(
		[ 'Benchmark', 'Ratio', 'Median', 'Least', 'Greatest', 'Target', 'Verdict', 'Medians measured' ],
		(map { [ @$_{qw(benchmark what median least greatest target verdict measured)} ] }
			of_kind($results, [ 'ratio', 'between_peers' ], @names)))
	  . notes($results, @names);
}

sub notes
{
	my ($results, @names) = @_;

	return join '', map { "\n$_->{benchmark}: $_->{text}.\n" } of_kind($results, ['note'], @names);
}

# Where the extension comes out worse than what it is compared with, by more than two percent.
sub slower
{
	my ($results, @names) = @_;
	my @rows = grep { $_->[0] < 0.98 }
	  map { [ times_better($_, $_->{median}) // 1, $_ ] } of_kind($results, ['ratio'], @names);

	return table(
		[ 'Benchmark', 'Ratio', 'Median', 'Least to greatest', 'Of the other', 'Target' ],
		map {
			my ($times, $row) = @$_;
			[
				@$row{qw(benchmark what median)},
				"$row->{least} to $row->{greatest}",
				($row->{better} eq 'higher' ? sprintf('%.2g as much', $times) : sprintf($times > 0.5 ? '%.2f times the cost' : '%.2g times the cost', 1 / $times)),
				$row->{verdict} eq 'reference' ? 'none' : $row->{verdict}
			]
		} sort { $a->[0] <=> $b->[0] } @rows);
}

# Which targets are missed.
sub missed
{
	my ($results, @names) = @_;
	my @rows = of_kind($results, ['ratio'], @names);
	my @missed = grep { $_->{verdict} eq 'missed' } @rows;
	my $judged = grep { $_->{verdict} ne 'reference' } @rows;

	return "All $judged targets are met.\n" unless @missed;
	return sprintf("Of %d targets %d are missed:\n\n", $judged, scalar @missed)
	  . table([ 'Benchmark', 'Ratio', 'Median', 'Least', 'Greatest', 'Target' ],
		map { [ @$_{qw(benchmark what median least greatest target)} ] } @missed);
}

# A benchmark's lines, a column each: the median, and the spread below it.
sub growth
{
	my ($results, $name) = @_;
	my @rows = of_kind($results, ['growth'], $name);
	my @series = uniq map { $_->{series} } @rows;
	my @x = uniq map { $_->{x} } @rows;
	my %cell = map { ("$_->{series} $_->{x}" => "$_->{median} ($_->{least} to $_->{greatest})") } @rows;

	return table([ '', @series ],
		map { my $x = $_; [ thousands($x), map { $cell{"$_ $x"} // '' } @series ] } @x);
}

# What was measured in some groups of a benchmark, a row for each thing compared.
sub measures
{
	my ($results, $name) = @_;
	my @rows = of_kind($results, ['measure'], $name);
	my @groups = uniq map { $_->{group} } @rows;
	my $text = '';

	for my $group (@groups)
	{
		my @of_group = grep { $_->{group} eq $group } @rows;
		my %cell = map { ("$_->{label} $_->{what}" => $_) } @of_group;
		my @whats = uniq map { $_->{what} } @of_group;
		$text .= "\n" if $text ne '';
		$text .= table([ $heading{$group}, map { $heading{$_} } @whats ],
			map { my $label = $_; [ $label, map { spread($cell{"$label $_"}) } @whats ] }
			  uniq map { $_->{label} } @of_group);
	}
	return $text;
}

# Median and spread, unless there is none.
sub spread
{
	my ($row) = @_;

	return $row->{median} if $row->{least} == $row->{greatest};
	return "$row->{median} ($row->{least} to $row->{greatest})";
}

sub break_even
{
	my ($results) = @_;

	return table(
		[ 'Primary', 'Query', 'Rows read', "Plan's cost", 'Local, ms', 'Routed, ms', 'Local : routed' ],
		map { [ @$_{qw(load shape rows cost local routed ratio)} ] }
		  of_kind($results, ['break_even'], 'break_even'));
}

# One figure, for a sentence: the median of a benchmark's ratio, or of something measured ("group
# label / what"), rounded. Of ratios of one name it is the first, or that "of a name (unit)".
sub figure
{
	my ($results, $name, $of) = @_;
	my ($row) = grep { grep { $_ eq $of } names_of($_) }
	  of_kind($results, [ 'ratio', 'between_peers', 'measure' ], $name)
	  or die "no result \"$of\" of $name\n";

	my $median = $row->{median};
	return sprintf $median >= 10 ? '%.0f' : $median >= 0.9 && $median < 1.1 ? '%.3f' : '%.2g', $median;
}

sub names_of
{
	my ($row) = @_;

	return "$row->{group} $row->{label} / $row->{what}" if $row->{kind} eq 'measure';
	return ($row->{what}, "$row->{what} (" . unit_of($row) . ')');
}

# The unit of what a ratio compares.
sub unit_of
{
	my ($row) = @_;

	return ($row->{measured} =~ /^\S+ : \S+ (.*)/)[0];
}

sub thousands
{
	my ($n) = @_;

	1 while $n =~ s/^(\d+)(\d{3})/$1,$2/;
	return $n;
}

# A markdown table with columns of equal width.
sub table
{
	my ($header, @rows) = @_;
	my @widths = map { my $i = $_; max map { length $_->[$i] } $header, @rows } 0 .. $#$header;
	my $line = sub { '| ' . join(' | ', map { sprintf '%-*s', $widths[$_], $_[0][$_] } 0 .. $#widths) . " |\n" };

	return join '', $line->($header), $line->([ map { '-' x max(3, $_) } @widths ]), map { $line->($_) } @rows;
}

1;
