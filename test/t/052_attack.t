# A short attack, as "make proof" does it at length: concurrent clients at all nodes,
# faults from a seeded schedule, and checkers that judge what the clients saw.  And
# runs that promise less than they are judged by, which must be found guilty.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl", "$FindBin::RealBin/../model";

use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use ProxiedCluster;
use Run;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $cluster = ProxiedCluster->new(conf => "consistency.wait_timeout = '2s'\n");
my $proxy = $cluster->proxy;
my $seed = 1;

# --- the network is what faults take it for --------------------------------

{
	my $session = $cluster->connect('near');
	is($session->value('SELECT 1'), 1, 'a client reaches a node over the proxy');
	like($proxy->state->{'near>primary'}, qr{^pass/pass/[1-9]}, '... and a replica its primary');
	$proxy->set('client', 'near', 'back', 'cut');
	$session->send_query('SELECT 2');
	$cluster->node('near')->poll_query_until('postgres',
		"SELECT query = 'SELECT 2' AND state = 'idle' FROM pg_stat_activity WHERE pid = " . $session->pid);
	is($session->ready(0.2), 0, 'cut on the way back: it runs, but nothing comes');
	$proxy->set('client', 'near', 'back', 'pass');
	is($session->finish->{rows}[0][0], 2, '... until the link is whole again');
	$proxy->set('client', 'near', 'there', 'delay', 200);
	my $start = time;
	is($session->value('SELECT 3'), 3, 'late');
	cmp_ok(time - $start, '>', 0.19, '... by what was said');
	$proxy->heal;
	$proxy->reset('client', 'near');
	ok(!eval { $session->value('SELECT 4') }, 'reset: the connection is gone');
	$proxy->set('client', 'near', 'both', 'refuse');
	ok(!eval { $cluster->connect('near') }, 'refused: there is no new one');
	ok(eval { $cluster->connect('far') }, '... but elsewhere');
	$proxy->heal;
	ok(eval { $cluster->connect('near') }, 'healed');

	my $setup = $cluster->connect('primary');
	$setup->do('CREATE TABLE t (i int)');
	$cluster->wait_replayed;
	$proxy->set('near', 'primary', 'both', 'cut');
	$setup->do('INSERT INTO t VALUES (1)');
	$cluster->wait_replayed('far');
	is($cluster->sql('near', 'SELECT count(*) FROM t'), 0, 'a replica that is cut off gets nothing');
	is($cluster->sql('far', 'SELECT count(*) FROM t'), 1, '... the other one does');
	$proxy->heal;
	$cluster->wait_replayed;
	is($cluster->sql('near', 'SELECT count(*) FROM t'), 1, '... and it, too, in the end');
	$setup->do('DROP TABLE t');
}

# --- runs ---------------------------------------------------------------

sub run
{
	my ($workload, $level, $faults, %more) = @_;
	return Run->new(
		cluster => $cluster, workload => $workload, level => $level, faults => $faults, seed => $seed++, seconds => 2,
		directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", %more)->go;
}

sub names_of { my %names = map { $_->{name} => 1 } @{ $_[0]{anomalies} }; return join ' ', sort keys %names; }

# What promises less is found guilty.
foreach my $case (
	[ 'Pairs', 'eventual', 'session', qr/read-your-writes/ ],
	[ 'Chains', 'eventual', 'causal', qr/causal-stale-read/ ],
	[ 'Register', 'session', 'linearizable', qr/not-linearizable/ ])
{
	my ($workload, $level, $as, $name) = @$case;
	my $result = run($workload, $level, 'fits', as => $as);
	like(names_of($result), $name, "$workload under $level, judged by $as: guilty");
}

# What keeps its promise isn't.
foreach my $case (
	[ 'Pairs', 'session', 'fits,restart,cut' ],
	[ 'LongFork', 'sequential', 'fits,late,reset' ],
	[ 'Chains', 'causal', 'pause,stop,slow' ],
	[ 'Append', 'causal', 'delay,kill,ddl' ],
	[ 'Monotonic', 'causal', 'fits,late,refuse' ],
	[ 'Serializable', 'sequential', 'delay,checkpoint' ],
	[ 'Bank', 'session', 'fits,storm' ],
	[ 'Mixed', 'causal', 'fits,slow_commit' ],
	[ 'Staleness', 'bounded', 'pause,isolate,conflict' ])
{
	my ($workload, $level, $faults) = @$case;
	my $result = run($workload, $level, $faults);
	is(names_of($result), '', "$workload under $level with $faults: no anomaly")
	  or diag map { Check::text($_) . "\n" } @{ $result->{anomalies} };
	cmp_ok(sum(0, values %{ $result->{judged} }), '>', 20, '... of many things judged');
	cmp_ok(scalar @{ $result->{faults} }, '>', 0, '... under faults');
	cmp_ok($result->{counts}{ok}, '>', 20, '... while clients were served');
}

done_testing();
