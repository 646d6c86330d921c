#!/usr/bin/perl

=pod

=head1 NAME

run.pl - attacks levels by workloads under faults, and judges what clients saw

=head1 SYNOPSIS

  run.pl [option ...]

Without --levels, --workloads and --faults the plan "proof" is carried out: see
Plan.pm.  Otherwise each of the workloads under each of the levels:

  --workloads LIST   Pairs,LongFork,... (default: all that say something of a level)
  --levels LIST      session,causal,... (default: session,causal,sequential,bounded)
  --faults KINDS     none, mild, clean, crash, lossy, quorum, or names of faults: see
                     Faults.pm (default: mild)
  --sync             synchronous standbys: any one of the two
  --plain            without the extension: only LongFork and Mixed can do without it
  --cascade          a replica of the replica "far", too
  --clocks           servers have clocks of their own, for the fault "clock"
  --as LEVEL         what clients see is judged by this level, not by their own
  --only NODE        all clients go to this node
  --pooled HOW       clients that move go by pgbouncer, in transaction mode: "token" if
                     they hand in their tokens, "forgetful" if they don't
  --quorums W,R      of the workload Quorum, for example one,one (default: quorum,quorum)
  --weaken LIST      of mechanisms that are switched off (src/core/weaken.h), at servers
                     that are built for that
  --guilty PATTERN   must match the names of the anomalies found
  --conf TEXT        more lines for all nodes' postgresql.conf
  --routing WHAT     consistency.routing of all clients

In any case:

  --minutes N        how long all of it is to take (default: 10); a machine that can't
                     gets half as long again, then no run begins any more
  --seconds N        of each run (default: such that the plan fits; some take twice that)
  --seed N           of the first run; the next one has the next number
  --soak             begin again, with other seeds, until the minutes are over; the
                     plan's runs in any order, without those that must be found guilty
  --keep DIRECTORY   where the histories of runs that are found guilty go
  --keep-all         those of all other runs go there as well

Exit status: 0 if all runs are as they should be, 1 if not, or if time was over before
all were made, 2 if one broke.

=cut

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../perl";

# what PostgreSQL's test modules print goes to their log
my $out;
BEGIN { open $out, '>&', \*STDOUT or die $!; $out->autoflush(1); }

use File::Basename qw(dirname);
use File::Copy ();
use Getopt::Long;
use List::Util qw(shuffle sum);
use Plan;
use PostgreSQL::Test::Utils;
use ProxiedCluster;
use Run;
use Time::HiRes qw(time);

my %option = (minutes => 10, seed => 1, keep => 'proof_failures');
GetOptions(\%option, 'workloads=s', 'levels=s', 'faults=s', 'sync', 'clocks', 'cascade', 'plain', 'as=s', 'conf=s', 'routing=s',
	'only=s', 'pooled=s', 'quorums=s', 'weaken=s', 'guilty=s', 'minutes=f', 'seconds=f', 'seed=i', 'soak', 'keep=s', 'keep-all')
  or exit 2;

# which options are of a run, and which of its cluster, as Plan.pm has them
my @of_run = qw(as only pooled quorums weaken guilty);
my @of_cluster = qw(sync clocks cascade plain);

my $end = time + 60 * $option{minutes} * ($option{soak} ? 1 : 1.5);
my $seed = $option{seed};
my %count = (fine => 0, guilty => 0, broken => 0, 'not made' => 0);

# servers, clients and the proxy end with this
$SIG{INT} = $SIG{TERM} = sub { exit 130 };

# --- what is to be done ---------------------------------------------------

sub stages
{
	my $told = grep { defined $option{$_} } qw(workloads levels faults);
	return $option{soak} ? in_any_order(Plan::plan('proof')) : Plan::plan('proof') unless $told;
	my @workloads = $option{workloads} ? split /,/, $option{workloads} : @Plan::workloads;
	my @levels = split /,/, $option{levels} // 'session,causal,sequential,bounded';
	my %more = map { $_ => $option{$_} } grep { defined $option{$_} } @of_run;
	my @runs;
	foreach my $level (@levels)
	{
		push @runs, map { [ $_, $level, $option{faults} // 'mild', %more ] } @workloads;
	}
	return { name => 'as told', (map { $_ => $option{$_} } @of_cluster), weakened => defined $option{weaken}, runs => \@runs };
}

# Whoever has less time than all of it takes gets some of everything: a few runs of a
# stage at a time.  No time is spent on controls, and what belongs to them.
sub in_any_order
{
	my (@stages) = @_;
	my @parts;
	srand $option{seed};
	foreach my $stage (@stages)
	{
		my @runs = grep { my %more = @$_[ 3 .. $#$_ ]; !$more{guilty} && !defined $more{weaken} } shuffle @{ $stage->{runs} };
		while (my @some = splice @runs, 0, 5) { push @parts, { %$stage, runs => \@some }; }
	}
	return shuffle @parts;
}

# How long a run can be, such that all that are left fit: by what has become of the
# time so far beside runs, for starting, healing, judging, and for tries of controls.
my ($began, $made, $spent) = (time, 0, 0);
my ($runs_left, $weight_left);

sub seconds_for
{
	my ($weight) = @_;
	my $beside = ($made ? time - $began - $spent : 4) / ($made || 1);
	my $unit = (60 * $option{minutes} - (time - $began) - $beside * $runs_left) / $weight_left;
	$unit = $option{seconds} // ($option{soak} ? 5 : $unit < 2 ? 2 : $unit > 30 ? 30 : $unit);
	$runs_left--;
	$weight_left -= $weight;
	$made++;
	$spent += $unit * $weight;
	return $unit * $weight;
}

sub count_runs
{
	my (@stages) = @_;
	$runs_left = sum(map { scalar @{ $_->{runs} } } @stages);
	$weight_left = sum(map { ($_->{weight} // 1) * @{ $_->{runs} } } @stages);
	return;
}

# --- clusters -------------------------------------------------------------

# A PostgreSQL whose extension can be weakened: the directory above its bin.
my $weakened;

sub weakened_server
{
	return $weakened if $weakened;
	my $bin = qx($FindBin::RealBin/../../tools/weakened_server @{[ PostgreSQL::Test::Utils::tempdir() ]});
	die "the extension that can be weakened could not be built\n" if $?;
	chomp $bin;
	return $weakened = dirname $bin;
}

sub make_cluster
{
	my ($stage) = @_;
	$ConsistencyCluster::plain = $stage->{plain} ? 1 : 0;
	my $cluster = ProxiedCluster->new(
		replicas => [ { name => 'near' }, { name => 'far' }, $stage->{cascade} ? { name => 'leaf', from => 'far' } : () ],
		conf => ($stage->{plain} ? '' : "consistency.wait_timeout = '2s'\n") . ($option{conf} // ''), clocks => $stage->{clocks},
		install_path => $stage->{weakened} ? weakened_server() : undef);
	foreach my $name ($stage->{sync} ? $cluster->names : ())
	{
		$cluster->sql($name, q{ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (primary, near, far)'});
		$cluster->node($name)->reload;
	}
	return $cluster;
}

# Switches mechanisms off at all nodes, for sessions to come.
sub weaken
{
	my ($cluster, $list) = @_;
	foreach my $name ($cluster->names)
	{
		my $node = $cluster->node($name);
		$cluster->sql($name, 'ALTER SYSTEM ' . ($list ? "SET consistency.weaken = $list" : 'RESET consistency.weaken'));
		$node->reload;
		$node->poll_query_until('postgres', "SELECT replace(current_setting('consistency.weaken'), ' ', '') = '" . ($list =~ s, ,,gr) . "'")
		  or die "$name can't be weakened\n";
	}
	return;
}

# Stops what is left of a cluster, and keeps its files under another name.
sub put_aside
{
	my ($cluster, $suffix) = @_;
	return unless $cluster;
	foreach my $node (map { $cluster->node($_) } $cluster->names)
	{
		kill 'CONT', Fault::Process::all_of($node);
		Fault::Process::kill_everything($node);
		rename $node->basedir, $node->basedir . ".$suffix";
	}
	return;
}

# --- what is said ---------------------------------------------------------

sub names_of { my ($result) = @_; my %names = map { $_->{name} => 1 } @{ $result->{anomalies} }; return sort keys %names; }

sub show
{
	my ($spec, $result, $verdict) = @_;
	my $judged = sum(0, values %{ $result->{judged} });
	printf $out "%-12s %-12s %-9s %5d %6d %6d %6d %7d %7d  %s\n", @$spec[ 0, 1 ], substr($spec->[2], 0, 9), $seed,
	  scalar @{ $result->{faults} }, @{ $result->{counts} }{qw(ok failed unknown)}, $judged, $verdict;
	return;
}

# Keeps a history, and what is wrong with it; says so unless the run is as it should be.
sub keep
{
	my ($spec, $result, $good) = @_;
	my %more = @$spec[ 3 .. $#$spec ];
	my $name = join('-', @$spec[ 0 .. 2 ], (map { $more{$_} ? "$_ $more{$_}" : () } qw(pooled quorums weaken)), $seed) =~ tr/, /+_/r;
	my @anomalies = @{ $result->{anomalies} };
	mkdir $option{keep};
	File::Copy::copy($result->{file}, "$option{keep}/$name.jsonl");
	open my $file, '>', "$option{keep}/$name.txt" or die $!;
	print $file Check::text($_) . "\n\n" for @anomalies;
	printf $file "%d-%d %s: %s\n", $_->{begin}, $_->{end} // 0, $_->{name}, $_->{what} for @{ $result->{faults} };
	close $file;
	return if $good;
	print $out '  ' . substr(Check::text($_) =~ s/\n/\n  /gr, 0, 1200) . "\n" for @anomalies[ 0 .. ($#anomalies < 1 ? $#anomalies : 1) ];
	print $out "  all of it: $option{keep}/$name.txt and .jsonl\n";
	return;
}

# For a shell.
sub quoted { my ($text) = @_; return "'" . ($text =~ s/'/'\\''/gr) . "'"; }

# The command that makes a run like this again, with the seed that it has now.
sub say_again
{
	my ($stage, $spec, $seconds) = @_;
	my %more = @$spec[ 3 .. $#$spec ];
	my @words = ("--workloads $spec->[0] --levels $spec->[1] --faults $spec->[2]",
		(map { $stage->{$_} ? "--$_" : () } @of_cluster),
		(map { defined $more{$_} ? "--$_ " . quoted($more{$_}) : () } @of_run),
		(map { defined $option{$_} ? "--$_ " . quoted($option{$_}) : () } qw(routing conf)),
		sprintf '--seed %d --seconds %.3g', $seed, $seconds);
	print $out qq{  again: make proof PROOF="@words"\n};
	return;
}

# What is special about a run, to be read.
sub manner
{
	my (%more) = @_;
	my %pooled = (token => 'pgbouncer, tokens handed in', forgetful => 'pgbouncer, no tokens');
	return join '; ', ($more{pooled} ? $pooled{ $more{pooled} } : ()), ($more{quorums} ? "W,R = $more{quorums}" : ()), ($more{weaken} ? "without $more{weaken}" : ());
}

# --- runs -----------------------------------------------------------------

# One run; a control that doesn't find what it must is tried again: what is possible
# needn't happen each time.  False if it broke.
sub go
{
	my ($stage, $cluster, $spec, $seconds, $tries) = @_;
	my ($workload, $level, $faults, %more) = @$spec;
	my $run = Run->new(
		cluster => $cluster, workload => $workload, level => $level, faults => $faults, seed => $seed, seconds => $seconds,
		directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", as => $more{as}, routing => $option{routing}, only => $more{only},
		pooled => $more{pooled}, quorums => $more{quorums});
	return 1 unless $run->judges;
	my $result = eval { weaken($cluster, $more{weaken} // '') if $stage->{weakened}; $run->go };
	if (!$result)
	{
		$count{broken}++;
		printf $out "%-12s %-12s %-9s %5d  broken: %s", @$spec[ 0 .. 2 ], $seed, $@;
		say_again($stage, $spec, $seconds);
		return 0;
	}
	my @names = names_of($result);
	my $empty = !sum(0, values %{ $result->{judged} });
	my $good = $more{guilty} ? "@names" =~ $more{guilty} : !@names && !$empty;
	if ($more{guilty} && !$good && ($tries // 1) < 4)
	{
		$seed++;
		return go($stage, $cluster, $spec, 2 * $seconds, ($tries // 1) + 1);
	}
	$count{ $good ? 'fine' : 'guilty' }++;
	my $verdict = $more{guilty} ? ($good ? 'found guilty: ' : 'NOT FOUND GUILTY: ') . "@names" : "@names" || ($empty ? 'NOTHING JUDGED' : 'fine');
	my $manner = manner(%more);
	show($spec, $result, ($manner ? "$manner: " : '') . $verdict);
	keep($spec, $result, $good) if $option{'keep-all'} || (!$good && @names);
	say_again($stage, $spec, $seconds) if !$good;
	return 1;
}

sub carry_out
{
	my ($stage) = @_;
	my $cluster;
	print $out "\n$stage->{name}\n";
	foreach my $spec (@{ $stage->{runs} })
	{
		if (time > $end) { $count{'not made'}++; next; }
		my $good = eval { $cluster //= make_cluster($stage); 1 };
		if (!$good) { $count{broken}++; print $out "broken: $@"; }
		if (!$good || !go($stage, $cluster, $spec, seconds_for($stage->{weight} // 1)))
		{
			put_aside($cluster, "broken$seed");
			undef $cluster;
		}
		$seed++;
	}
	put_aside($cluster, "done$seed");
	return;
}

my @stages = stages();
printf $out "%-12s %-12s %-9s %5s %6s %6s %6s %7s %7s  %s\n", qw(workload level faults seed faults ok failed unknown judged verdict);
do
{
	count_runs(@stages);
	foreach my $stage (@stages) { carry_out($stage) unless $option{soak} && time > $end; }
} while ($option{soak} && time < $end);
print $out "\n" . join(', ', map { "$count{$_} $_" } 'fine', 'guilty', 'broken', 'not made') . "\n";
exit($count{broken} ? 2 : $count{guilty} || !$count{fine} || ($count{'not made'} && !$option{soak}) ? 1 : 0);
