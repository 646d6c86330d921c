# Read quorums over a network that is slow, or cut: one parallel round trip, and
# as many nodes as it takes.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use lib "$FindBin::RealBin/../model";

use ConsistencyCluster;
use ProxiedCluster;
use ReadQuorum;
use Test::More;
use Time::HiRes qw(time);

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my @replicas = qw(near a b c);
my $cluster = ProxiedCluster->new(
	replicas => [ map { { name => $_ } } @replicas ],
	conf => "consistency.wait_timeout = '20s'\nconsistency.monitor_interval = '2s'\n");
my $proxy = $cluster->proxy;
make_row($cluster);

sub quorum { return quorum_session($cluster, 'near', @_); }

# The shortest of some reads, in milliseconds.
sub fastest
{
	my ($session) = @_;
	my $fastest;
	foreach (1 .. 8)
	{
		my $start = time;
		is(outcome($session), 0, 'a read') or return 0;
		my $took = (time - $start) * 1000;
		$fastest = $took if !defined $fastest || $took < $fastest;
	}
	return $fastest;
}

# --- slow ---------------------------------------------------------------

# Every answer takes 100 ms: four of them no longer than one.
$proxy->set('near', $_, 'back', 'delay', 100) for 'primary', qw(a b c);
my $one = fastest(quorum(2));
my $all = fastest(quorum('all'));
note(sprintf 'answers take 100 ms: two nodes %.0f ms, all five %.0f ms', $one, $all);
cmp_ok($one, '>=', 95, 'a round trip is what it takes');
cmp_ok($all, '<', 190, '... all nodes are asked at once');

# The slowest ones aren't waited for if there are enough others.
$proxy->set('near', $_, 'back', 'delay', 800) for qw(primary a);
my $majority = fastest(quorum('quorum'));
note(sprintf 'two of five are slower: a majority takes %.0f ms', $majority);
cmp_ok($majority, '<', 600, 'the fastest nodes make the quorum');

# --- cut ----------------------------------------------------------------

$proxy->heal;
is(outcome(quorum('all')), 0, 'all is well');
$proxy->set('near', $_, 'both', 'cut') for qw(primary a);
is(outcome(quorum('quorum')), 0, 'two of five are cut off: three are a quorum');
is(soon(quorum('all')), 'YC001', '... but not all');
$proxy->set('near', 'b', 'both', 'cut');
is(soon(quorum('quorum')), 'YC001', 'three are: no quorum');

# The primary can be asked where the others can't be.
$proxy->set('near', 'primary', 'both', 'pass');
$proxy->set('near', 'c', 'both', 'cut');
my $session = quorum('quorum', "SET consistency.on_timeout = 'primary'", "SET consistency.wait_timeout = '3s'");
is(outcome($session), 0, 'the primary asks them in its stead');
is($session->value('SELECT place FROM consistency.last_read()'), 'forwarded', '... as last_read() tells');
$proxy->set('primary', $_, 'both', 'cut') for qw(a b c);
is(outcome($session), 'YC001', '... unless it is on the wrong side as well');

$proxy->heal;
is(outcome(quorum('all')), 0, 'all is well again');

done_testing();
