# Write quorums and read quorums together: W + R > N, and no acknowledged write is
# unseen, whoever is killed.  The control, W = R = one, misses some.
#
# QUORUM_ROUNDS says how many rounds there are.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $rounds = $ENV{QUORUM_ROUNDS} || 10;
my @replicas = qw(near far);
my $cluster = ConsistencyCluster->new(conf => "consistency.wait_timeout = '20s'\nfsync = on\n");
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$setup->do('INSERT INTO t VALUES (1, 0), (2, 0)');
$setup->close;
$cluster->sql('primary', 'CHECKPOINT');
$cluster->wait_replayed;
$cluster->sql($_, 'CHECKPOINT') for @replicas;

# Row of a table, by the quorums that its writers and readers use.
my %row = (quorum => 1, one => 2);
my (%acknowledged, %seen);

# A session at a node; dies if there is none.
sub session
{
	my ($where, $quorum) = @_;
	my $session = $cluster->connect($where);
	$session->do("SET consistency = 'eventual'");
	$session->do("SET consistency.on_timeout = 'error'");
	$session->do("SET consistency.write_quorum = '$quorum'");
	$session->do("SET consistency.read_quorum = '$quorum'");
	return $session;
}

# Reads at a node: the value, or undef if there is no answer.
sub read_at
{
	my ($where, $quorum, $timeout) = @_;
	my $result = eval {
		my $session = session($where, $quorum);
		$session->do("SET consistency.wait_timeout = '$timeout'");
		$session->query("SELECT v FROM t WHERE i = $row{$quorum}");
	};
	return $result && !$result->{error} ? $result->{rows}[0][0] : undef;
}

# Reads at both replicas; counts what is seen.
sub look
{
	my ($round, $timeout) = @_;
	foreach my $where (@replicas)
	{
		foreach my $quorum (qw(one quorum))
		{
			my $value = read_at($where, $quorum, $timeout);
			my $outcome = !defined $value ? 'refused' : $value >= $acknowledged{$quorum} ? 'seen' : 'missed';
			$seen{$quorum}{$outcome}++;
			diag("round $round: $value at $where, $acknowledged{$quorum} was acknowledged")
			  if $outcome eq 'missed' && $quorum eq 'quorum';
		}
	}
	return;
}

foreach my $round (1 .. $rounds)
{
	my ($late, $other) = rand() < 0.5 ? @replicas : reverse @replicas;
	my %writer = map { $_ => session('primary', $_) } keys %row;
	my $pause_at = 1 + int rand 10;

	foreach my $i (1 .. $pause_at + 1 + int rand 10)
	{
		$cluster->pause($late) if $i == $pause_at;
		$acknowledged{$_} = $writer{$_}->value("UPDATE t SET v = v + 1 WHERE i = $row{$_} RETURNING v") for keys %row;
	}
	$writer{quorum}->send_query("UPDATE t SET v = v + 1 WHERE i = $row{quorum}");
	usleep(rand 3000);
	$cluster->primary->stop('immediate');
	$_->abandon for values %writer;

	# the one that has the writes comes back with less, for a moment
	if (rand() < 0.5)
	{
		$cluster->node($other)->stop('immediate');
		$cluster->node($other)->start;
	}
	look($round, '100ms') for 1 .. 3;
	$cluster->resume($late);
	look($round, '20s');
	$cluster->primary->start;
	wait_until(sub { $cluster->sql('primary', "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 2 },
		'both replicas stream');
	$cluster->wait_all_up;
}

foreach my $quorum (sort keys %seen)
{
	note("$quorum: " . join ', ', map { "$_ $seen{$quorum}{$_}" } sort keys %{ $seen{$quorum} });
}
is($seen{quorum}{missed} // 0, 0, 'W = R = quorum: no acknowledged write was missed');
cmp_ok($seen{quorum}{seen} // 0, '>=', 2 * $rounds, '... and most reads were answered');
cmp_ok($seen{one}{missed} // 0, '>', 0, 'W = R = one, the control: some were missed');

done_testing();
