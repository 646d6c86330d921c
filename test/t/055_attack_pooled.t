# The same with a pooler in transaction mode between half of the clients and the nodes:
# who hands in its token in each transaction is promised what everybody is; who doesn't
# is found guilty.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl", "$FindBin::RealBin/../model";

use Faults;
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
	my ($workload, $level, $faults, $pooled, $seconds) = @_;
	return Run->new(
		cluster => $cluster, workload => $workload, level => $level, faults => $faults, seed => $seed++, seconds => $seconds // 2,
		directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", pooled => $pooled)->go;
}

# What clients behind the pooler, those of even numbers, were served.
sub served { my ($result) = @_; return grep { $_->{outcome} eq 'ok' && $_->{process} =~ /^\d*[02468]$/ } $result->{history}->operations; }

# what is possible needn't happen in so short a time
my ($result, %names);
foreach my $seconds (2, 4, 8)
{
	$result = run('Pairs', 'session', 'fits', 'forgetful', $seconds);
	%names = map { $_->{name} => 1 } @{ $result->{anomalies} };
	last if $names{'read-your-writes'};
}
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

# --- what a failover loses ---------------------------------------------------

# a server connection that knew of it is no more use to anybody, until who gets it
# clears what it knows
{
	$cluster->start_pooler(default_pool_size => 1, server_lifetime => 3600, server_idle_timeout => 600);
	my $old = $cluster->primary_name;
	my $faults = Faults->new(cluster => $cluster, seed => 1, kinds => 'lossy_failover');
	$cluster->proxy->set($_, $old, 'back', 'cut') for $faults->replicas;
	my $writer = $cluster->connect($old);
	$writer->do(q{UPDATE reg SET v = v || '!'});
	my $lost = $writer->parameter('consistency.token');
	my %client = map { $_ => $cluster->connect($_, pooled => 1) } $faults->replicas;
	$_->do("SET consistency.token = '$lost'") for values %client;
	$faults->begin('lossy_failover');
	my $client = $client{ $cluster->primary_name };
	my $read = 'SELECT count(*) FROM reg';
	is($client->error($read)->{code}, 'YC002', 'a server connection keeps what was lost');
	my $other = $cluster->connect($cluster->primary_name, pooled => 1);
	is($other->error($read)->{code}, 'YC002', '... and tells everybody');
	is(scalar(($other->query("SET consistency.token = ''; $read"))[-1]{error}), undef, '... but who clears it');
	is($client->error($read), undef, '... who does so for all');
	$cluster->stop_pooler;
}

done_testing();
