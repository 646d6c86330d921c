#!/usr/bin/perl

=pod

=head1 NAME

run.pl - attacks levels by workloads under faults, and judges what clients saw

=head1 SYNOPSIS

  run.pl [option ...]

  --workloads LIST   Pairs,LongFork,... or "all" (default: all that say something
                     of the level)
  --levels LIST      session,causal,... (default: session,causal,sequential,bounded)
  --faults KINDS     none, mild, clean, crash, lossy, or names of faults: see
                     Faults.pm (default: mild)
  --sync             synchronous standbys: any one of the two
  --as LEVEL         what clients see is judged by this level, not by their own: a
                     negative control
  --seconds N        of each run (default: 10)
  --minutes N        no run begins later (default: 10)
  --seed N           of the first run; the next one has the next number
  --keep DIRECTORY   where the histories of runs that are found guilty go
  --conf TEXT        more lines for all nodes' postgresql.conf
  --routing WHAT     consistency.routing of all clients

Exit status: 0 if all runs are fine, 1 if one was found guilty, 2 if one broke.

=cut

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../perl";

# what PostgreSQL's test modules print goes to their log
my $out;
BEGIN { open $out, '>&', \*STDOUT or die $!; $out->autoflush(1); }

use File::Copy ();
use Getopt::Long;
use ProxiedCluster;
use PostgreSQL::Test::Utils;
use Run;
use Time::HiRes qw(time);

my @all = qw(Pairs LongFork Monotonic Chains Append Serializable Bank Counter Staleness Register);
my %option = (
	workloads => 'all', levels => 'session,causal,sequential,bounded', faults => 'mild', seconds => 10, minutes => 10,
	seed => 1, keep => 'proof_failures');
GetOptions(\%option, 'workloads=s', 'levels=s', 'faults=s', 'sync', 'as=s', 'seconds=f', 'minutes=f', 'seed=i', 'keep=s',
	'conf=s', 'routing=s')
  or exit 2;
my @workloads = $option{workloads} eq 'all' ? @all : split /,/, $option{workloads};

my %count = (fine => 0, guilty => 0, broken => 0);
my $end = time + 60 * $option{minutes};
my $seed = $option{seed};
my $cluster;

# A cluster to run on; a new one after a run that broke.
sub make_cluster
{
	my $new = ProxiedCluster->new(conf => "consistency.wait_timeout = '2s'\n" . ($option{conf} // ''));
	if ($option{sync})
	{
		foreach my $name ($new->names)
		{
			$new->sql($name, q{ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (primary, near, far)'});
			$new->node($name)->reload;
		}
	}
	return $new;
}

# Stops what is left of a cluster, and keeps it.
sub put_aside
{
	my ($old) = @_;
	foreach my $node (map { $old->node($_) } $old->names)
	{
		kill 'CONT', Fault::Process::all_of($node);
		Fault::Process::kill_everything($node);
		rename $node->basedir, $node->basedir . ".broken$seed";
	}
	return;
}

sub show
{
	my ($workload, $level, $seed, $result) = @_;
	my $judged = 0;
	$judged += $_ for values %{ $result->{judged} };
	my @anomalies = @{ $result->{anomalies} };
	my %names = map { $_->{name} => 1 } @anomalies;
	my $faults = () = @{ $result->{faults} };
	printf $out "%-12s %-12s %5d %6d %6d %6d %7d %6d  %s\n", $workload, $level, $seed, $faults,
	  @{ $result->{counts} }{qw(ok failed unknown)}, $judged, @anomalies ? join(' ', sort keys %names) : 'fine';
	return @anomalies;
}

# Keeps a history, and what is wrong with it.
sub keep
{
	my ($name, $result, @anomalies) = @_;
	mkdir $option{keep};
	File::Copy::copy($result->{file}, "$option{keep}/$name.jsonl");
	open my $file, '>', "$option{keep}/$name.txt" or die $!;
	print $file Check::text($_) . "\n\n" for @anomalies;
	printf $file "%d-%d %s: %s\n", $_->{begin}, $_->{end} // 0, $_->{name}, $_->{what} for @{ $result->{faults} };
	close $file;
	print $out '  ' . substr(Check::text($_) =~ s/\n/\n  /gr, 0, 1200) . "\n" for @anomalies[ 0 .. ($#anomalies < 1 ? $#anomalies : 1) ];
	print $out "  all of it: $option{keep}/$name.{txt,jsonl}\n";
	return;
}

printf $out "%-12s %-12s %5s %6s %6s %6s %7s %6s  %s\n", qw(workload level seed faults ok failed unknown judged verdict);
RUN: foreach my $level (split /,/, $option{levels})
{
	foreach my $workload (@workloads)
	{
		last RUN if time > $end;
		my $run;
		my $result = eval {
			$cluster //= make_cluster();
			$run = Run->new(
				cluster => $cluster, workload => $workload, level => $level, faults => $option{faults}, seed => $seed,
				seconds => $option{seconds}, directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", as => $option{as},
				routing => $option{routing});
			$run->judges ? $run->go : 0;
		};
		next if defined $result && !$result;
		if (!$result)
		{
			$count{broken}++;
			printf $out "%-12s %-12s %5d  broken: %s", $workload, $level, $seed, $@;
			put_aside($cluster) if $cluster;
			undef $cluster;
		}
		else
		{
			my @anomalies = show($workload, $level, $seed, $result);
			$count{ @anomalies ? 'guilty' : 'fine' }++;
			keep("$workload-$level-$option{faults}-$seed", $result, @anomalies) if @anomalies;
		}
		$seed++;
	}
}
print $out join(', ', map { "$count{$_} $_" } qw(fine guilty broken)) . "\n";
exit($count{broken} ? 2 : $count{guilty} || !$count{fine} ? 1 : 0);
