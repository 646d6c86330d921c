#!/usr/bin/perl

=pod

=head1 NAME

run.pl - proves levels by workloads under faults

=head1 SYNOPSIS

  run.pl [--workloads Pairs,LongFork] [--levels session,causal] [--faults mild]
         [--seconds 10] [--minutes 10] [--seed 1] [--keep DIRECTORY]

=cut

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../perl";

my $out;
BEGIN { open $out, '>&', \*STDOUT or die $!; $out->autoflush(1); }

use File::Copy ();
use Getopt::Long;
use ProxiedCluster;
use PostgreSQL::Test::Utils;
use Run;
use Time::HiRes qw(time);

my %option = (workloads => 'Pairs,LongFork', levels => 'session', faults => 'mild', seconds => 10, minutes => 10, seed => 1,
	keep => 'proof_failures', control => 0);
GetOptions(\%option, 'workloads=s', 'levels=s', 'faults=s', 'seconds=i', 'minutes=f', 'seed=i', 'keep=s', 'control', 'conf=s')
  or exit 2;

my $cluster = ProxiedCluster->new(conf => "consistency.wait_timeout = '2s'\n" . ($option{conf} // ''));
my $end = time + 60 * $option{minutes};
my ($runs, $bad) = (0, 0);
printf $out "%-12s %-12s %-8s %5s %6s %6s %7s %6s  %s\n", qw(workload level faults seed ok failed unknown judged verdict);
RUN: foreach my $level (split /,/, $option{levels})
{
	foreach my $workload (split /,/, $option{workloads})
	{
		last RUN if time > $end;
		my $seed = $option{seed} + $runs++;
		my $directory = PostgreSQL::Test::Utils::tempdir() . "/$runs";
		my $result = Run->new(
			cluster => $cluster, workload => $workload, level => $level, faults => $option{faults}, seed => $seed,
			seconds => $option{seconds}, directory => $directory)->go;
		my $judged = 0;
		$judged += $_ for values %{ $result->{judged} };
		my @anomalies = @{ $result->{anomalies} };
		my %names = map { $_->{name} => 1 } @anomalies;
		printf $out "%-12s %-12s %-8s %5d %6d %6d %7d %6d  %s\n", $workload, $level, $option{faults}, $seed,
		  @{ $result->{counts} }{qw(ok failed unknown)}, $judged, @anomalies ? join(' ', sort keys %names) : 'fine';
		next unless @anomalies;
		$bad++;
		print $out Check::text($_) . "\n" for @anomalies[ 0 .. ($#anomalies < 4 ? $#anomalies : 4) ];
		mkdir $option{keep};
		File::Copy::copy($result->{file}, "$option{keep}/$workload-$level-$option{faults}-$seed.jsonl");
	}
}
exit($bad ? 1 : 0);
