#!/usr/bin/perl

=pod

=head1 NAME

converge.pl - attacks groups of servers that take writes everywhere, and judges

=head1 SYNOPSIS

  converge.pl [option ...]

  --seconds N        how long all of it is to take (default: 300); the last run is
                     brought to its end
  --run N            how long faults last in a run, seconds (default: 20)
  --seed N           of the first run; the next one has the next number (default: 1)
  --nodes N          2 or 3 (default: both in turn)
  --faults LIST      see Converge/Faults.pm (default: all; none: "none")
  --clients N        at each member (default: 2)
  --pause N          between two transactions of a client, microseconds (default: 2000)
  --bare             the tables aren't attached: must be found guilty
  --keep DIRECTORY   where the histories of guilty runs go
  --fresh            new servers for each run, not for each count of them and after a guilty one

Exit status: 0 if all runs are as they should be, 1 if not, 2 if one broke.

=cut

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../perl";

# what PostgreSQL's test modules print goes to their log
my $out;
BEGIN { open $out, '>&', \*STDOUT or die $!; $out->autoflush(1); }

use Converge::Nodes;
use Converge::Run;
use File::Copy ();
use Getopt::Long;
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

my %option = (seconds => 300, run => 20, seed => 1, clients => 2, pause => 2000, keep => 'converge_failures');
GetOptions(\%option, 'seconds=f', 'run=f', 'seed=i', 'nodes=i', 'faults=s', 'clients=i', 'pause=i', 'bare', 'keep=s', 'fresh') or exit 2;
my @kinds = !defined $option{faults} ? @Converge::Faults::all : grep { $_ ne 'none' } split /,/, $option{faults};

$SIG{INT} = $SIG{TERM} = sub { exit 130 };

my $end = time + $option{seconds};
my ($seed, $n, $guilty, $broken) = ($option{seed}, 0, 0, 0);
my %nodes;

sub put_away
{
	my ($count) = @_;
	my $nodes = delete $nodes{$count} or return;
	$nodes->end;
	return;
}

sub keep
{
	my ($directory, $result) = @_;
	my $to = "$option{keep}/$seed";
	mkdir $option{keep};
	mkdir $to;
	File::Copy::copy($_, $to) for glob "$directory/*.jsonl";
	open my $file, '>', "$to/anomalies.txt" or die $!;
	print $file "$_->{name}: $_->{message}\n" for @{ $result->{anomalies} };
	print $file "$_\n" for @{ $result->{faults} };
	print $file "$result->{errors}{$_} of $_\n" for sort keys %{ $result->{errors} };
	close $file;
	print $out "  all of it: $to\n";
	return;
}

sub go
{
	my ($count) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir() . "/run$seed";
	my $result = eval {
		$nodes{$count} //= do { my $new = Converge::Nodes->new(count => $count, label => "s$seed", bare => $option{bare}); $new->join; $new };
		Converge::Run->new(nodes => $nodes{$count}, seed => $seed, seconds => $option{run}, kinds => \@kinds, directory => $directory,
			clients => $option{clients}, pause => $option{pause})->go;
	};
	if (!$result)
	{
		print $out "seed $seed, $count members: broken: $@";
		$broken++;
		return put_away($count);
	}
	my @anomalies = @{ $result->{anomalies} };
	my %names = map { $_->{name} => 1 } @anomalies;
	my $verdict = join(' ', sort keys %names) || 'fine';
	printf $out "seed %d, %d members, %d faults: %d ok, %d failed, %d unknown; at rest after %.1f s%s; judged %s: %s\n", $seed, $count,
	  scalar(grep { !/ is over|place of/ } @{ $result->{faults} }), @{ $result->{counts} }{qw(ok failed unknown)}, $result->{rest},
	  ($result->{skipped} ? ", $result->{skipped} updates skipped, $result->{repaired} rows repaired" : ''),
	  join(', ', map { "$result->{judged}{$_} $_" } sort keys %{ $result->{judged} }), $verdict;
	my $good = $option{bare} ? @anomalies : !@anomalies;
	if (@anomalies)
	{
		print $out '  ' . substr("$_->{name}: $_->{message}", 0, 700) . "\n" for @anomalies[ 0 .. ($#anomalies < 5 ? $#anomalies : 5) ];
		keep($directory, $result);
	}
	if (!$good)
	{
		$guilty++;
		printf $out qq{  again: make converge CONVERGE="--seed %d --nodes %d --seconds 1 --run %g --faults %s --clients %d --pause %d"\n},
		  $seed, $count, $option{run}, join(',', @kinds) || 'none', @option{qw(clients pause)};
	}
	put_away($count) if @anomalies || $option{fresh};
	return;
}

do
{
	go($option{nodes} // 2 + $n++ % 2);
	$seed++;
} while (time < $end);
printf $out "%d runs, %d guilty, %d broken\n", $seed - $option{seed}, $guilty, $broken;
exit($broken ? 2 : $guilty ? 1 : 0);
