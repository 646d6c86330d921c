# The same with primaries that are killed, or cut off and deposed: with synchronous
# standbys nothing that was acknowledged is lost, and linearizable holds; without
# them what is lost is told to those who knew of it.

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

sub synchronous
{
	my ($names) = @_;
	foreach my $name ($cluster->names)
	{
		$cluster->sql($name, "ALTER SYSTEM SET synchronous_standby_names = '$names'");
		$cluster->node($name)->reload;
	}
	return;
}

sub run
{
	my ($workload, $level, $faults) = @_;
	my $was = $cluster->primary_name;
	my $result = Run->new(
		cluster => $cluster, workload => $workload, level => $level, faults => $faults, seed => $seed++, seconds => 3,
		directory => PostgreSQL::Test::Utils::tempdir() . "/$seed")->go;
	is_deeply([ map { Check::text($_) } @{ $result->{anomalies} } ], [], "$workload under $level with $faults: no anomaly");
	cmp_ok(sum(0, values %{ $result->{judged} }), '>', 20, '... of many things judged');
	cmp_ok($result->{counts}{ok}, '>', 20, '... while clients were served');
	isnt($cluster->primary_name, $was, '... and another primary came') if @{ $result->{faults} } == 1;
	return;
}

synchronous('ANY 1 (primary, near, far)');
run('Register', 'linearizable', 'failover');
run('Pairs', 'linearizable', 'deposed');
run('Counter', 'causal', 'failover');
synchronous('');
run('Pairs', 'session', 'lossy_failover');
run('Pairs', 'causal', 'lossy_deposed');

done_testing();
