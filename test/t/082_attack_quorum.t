# Quorums under attack, as "make proof" does it at length, with levels that promise
# nothing and no synchronous standby: no acknowledged write is unseen by a read, while
# nodes are behind, with the primary down, and over failovers to the node that
# consistency.failover_candidates() names.  With a quorum too small that is found.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl", "$FindBin::RealBin/../model";

use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use ProxiedCluster;
use Run;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $cluster = ProxiedCluster->new(conf => "consistency.wait_timeout = '2s'\n");
my $seed = 1;

sub run
{
	my ($faults, %more) = @_;
	return Run->new(
		cluster => $cluster, workload => 'Quorum', level => 'eventual', faults => $faults, seed => $seed++, seconds => 2,
		directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", %more)->go;
}

# Reads at replicas that were answered while a fault was open.
sub reads_meanwhile
{
	my ($result) = @_;
	my ($fault) = @{ $result->{faults} };
	return grep {
		$_->{outcome} eq 'ok' && $_->{ops}[0][0] eq 'r' && $_->{node} ne 'primary'
		  && $_->{invoked} > $fault->{begin} + 200e6 && $_->{completed} < $fault->{end}
	} $result->{history}->operations;
}

foreach my $faults ('fits,delay', 'down', 'quorum_failover', 'quorum_deposed')
{
	my $was = $cluster->primary_name;
	my $result = run($faults);
	is_deeply([ map { Check::text($_) } @{ $result->{anomalies} } ], [], "quorums, with $faults: no anomaly");
	cmp_ok(sum(0, values %{ $result->{judged} }), '>', 100, '... of many things judged');
	cmp_ok(scalar @{ $result->{faults} }, '>', 0, '... under faults');
	cmp_ok(scalar(my @reads = reads_meanwhile($result)), '>', 20, '... reads went on at replicas') if $faults eq 'down';
	isnt($cluster->primary_name, $was, '... and another primary came') if $faults =~ /quorum/ && @{ $result->{faults} } == 1;
}

# What promises less is found guilty; what a failover loses is a matter of luck, so that
# may take another one.
foreach my $case ([ 'one,one', 'fits,pause' ], [ 'quorum,one', 'fits,pause' ], [ 'one,quorum', 'lossy_failover' ])
{
	my ($quorums, $faults) = @$case;
	my %names;
	for (my $try = 0; $try < 4 && !%names; $try++)
	{
		my $result = run($faults, quorums => $quorums);
		%names = map { $_->{name} => 1 } @{ $result->{anomalies} };
	}
	is(join(' ', sort keys %names), 'unseen-acknowledged', "W,R = $quorums: guilty");
}

done_testing();
