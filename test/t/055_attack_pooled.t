# The same with a pooler in transaction mode between half of the clients and the nodes:
# who hands in its token in each transaction is promised what everybody is; who doesn't
# is found guilty.

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
	my ($workload, $level, $faults, $pooled) = @_;
	return Run->new(
		cluster => $cluster, workload => $workload, level => $level, faults => $faults, seed => $seed++, seconds => 2,
		directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", pooled => $pooled)->go;
}

# What clients behind the pooler, those of even numbers, were served.
sub served { my ($result) = @_; return grep { $_->{outcome} eq 'ok' && $_->{process} =~ /^\d*[02468]$/ } $result->{history}->operations; }

my $result = run('Pairs', 'session', 'fits', 'forgetful');
my %names = map { $_->{name} => 1 } @{ $result->{anomalies} };
ok($names{'read-your-writes'}, 'without their tokens clients miss their own writes') or diag join ' ', keys %names;

foreach my $case ([ 'Pairs', 'session', 'fits,restart' ], [ 'Chains', 'causal', 'fits,cut,reset' ])
{
	my ($workload, $level, $faults) = @$case;
	$result = run($workload, $level, $faults, 'token');
	is_deeply([ map { Check::text($_) } @{ $result->{anomalies} } ], [], "$workload under $level with $faults: no anomaly");
	cmp_ok(sum(0, values %{ $result->{judged} }), '>', 20, '... of many things judged');
	cmp_ok(scalar @{ $result->{faults} }, '>', 0, '... under faults');
	cmp_ok(scalar served($result), '>', 20, '... while clients behind the pooler were served');
}

done_testing();
