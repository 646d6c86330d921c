# What the benchmarks measured: bench/results/NAME.tsv, a file each. The first field of a line tells
# its kind, the others are as named here.
package Results;
use strict;
use warnings;

use Exporter 'import';
our @EXPORT_OK = qw(load_results of_kind run_of times_better short);

my %fields = (
	run => [qw(version cpus rounds seconds clients took)],
	ratio => [qw(what median least greatest better target verdict measured)],
	between_peers => [qw(what median least greatest better target verdict measured)],
	growth => [qw(series x median least greatest measured)],
	measure => [qw(group label what median least greatest)],
	break_even => [qw(load shape rows cost local routed ratio)],
	note => [qw(text)]);

# Reads all files of a directory. Returns a hash: benchmark to a list of lines, which are hashes.
sub load_results
{
	my ($dir) = @_;
	my %results;

	for my $file (sort glob "$dir/*.tsv")
	{
		my ($name) = $file =~ m!([^/]+)\.tsv$!;
		open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
		while (my $line = <$in>)
		{
			chomp $line;
			my ($kind, @values) = split /\t/, $line, -1;
			my $names = $fields{$kind}
			  or die "$file: line of unknown kind \"$kind\"\n";
			@values == @$names or die "$file: a $kind has @{$names}\n";
			my %row = (benchmark => $name, kind => $kind);
			@row{@$names} = @values;
			push @{ $results{$name} }, \%row;
		}
	}
	return \%results;
}

# The lines of some kinds of the benchmarks named, in that order.
sub of_kind
{
	my ($results, $kinds, @names) = @_;

	return grep { my $kind = $_->{kind}; grep { $_ eq $kind } @$kinds }
	  map { @{ $results->{$_} // [] } } @names;
}

# How a benchmark was run.
sub run_of
{
	my ($results, $name) = @_;

	return (of_kind($results, ['run'], $name))[0];
}

# A ratio turned so that more is better: how many times as good as the other.
sub times_better
{
	my ($row, $value) = @_;

	return undef unless $value > 0;
	return $row->{better} eq 'higher' ? $value : 1 / $value;
}

# Not fit to judge by. Of the oldest results it isn't known, their rounds are "-".
sub short
{
	my ($run) = @_;

	return $run->{rounds} ne '-' && ($run->{seconds} < 30 || $run->{rounds} < 3);
}

1;
