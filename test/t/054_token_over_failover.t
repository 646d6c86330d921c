# A session that has written what a failover lost, and has heard of the new timeline
# since: its token tells of both, so that the loss isn't hidden from the node that it
# is handed to.
#
#   primary ---> near       near is promoted, the primary goes on for a while
#
# Found by test/model (Chains, lossy_deposed), when a token had one position.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' } ], conf => "consistency.wait_timeout = '2s'\n");
my $read = 'SELECT v FROM t WHERE i = 1';

my $writer = $cluster->connect('primary');
$writer->do('CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL)');
$writer->do('INSERT INTO t VALUES (1, 0), (2, 0)');
my $before = $writer->parameter('consistency.token');
$cluster->wait_replayed;

# near is promoted; what the old primary is written to from now on is lost
$cluster->node('near')->promote;
$cluster->set_primary('near');
$writer->do('UPDATE t SET v = 1 WHERE i = 1');
my $lost = $writer->parameter('consistency.token');
like($lost, qr/^\d+:1:/, 'a write at the old primary');

my $other = $cluster->connect('near');
$other->do('UPDATE t SET v = 2 WHERE i = 2');
my $new = $other->parameter('consistency.token');
like($new, qr/^\d+:2:/, 'a write at the new one');

# A session with that token; the outcome of its read: a value or an SQLSTATE.
sub read_with
{
	my (@tokens) = @_;
	my $session = $cluster->connect('near');
	$session->do("SET consistency = 'eventual'");
	$session->do("SET consistency.token = '$_'") for @tokens;
	$session->do("SET consistency = 'session'");
	my $result = $session->query($read);
	return $result->{error} ? $result->{error}{code} : $result->{rows}[0][0];
}

is(read_with($lost), 'YC002', 'the token of the lost write: refused');
is(read_with($lost, $new), 'YC002', '... also if a newer one is told after it');
is(read_with($new, $lost), 'YC002', '... or before it');

# The writer is told of the new timeline where nobody can say yet what that lost.
$writer->do("SET consistency = 'eventual'");
$writer->do("SET consistency.token = '$new'");
$writer->do('SELECT 1');
my $token = $writer->parameter('consistency.token');
like($token, qr/^\d+:2:[^,]+,1:[^,]+$/, 'its token tells of both timelines');
is(read_with($token), 'YC002', '... and is refused');
is(read_with($token, $new), 'YC002', '... also if a newer one is told after it');
is(read_with($new, $token), 'YC002', '... or before it');

# handed on by somebody who promises nothing, it goes on telling
my $courier = $cluster->connect('near');
$courier->do("SET consistency = 'eventual'");
$courier->do("SET consistency.token = '$lost'");
$courier->do('UPDATE t SET v = 3 WHERE i = 2');
my $handed_on = $courier->parameter('consistency.token');
like($handed_on, qr/^\d+:2:[^,]+,1:[^,]+$/, 'a token that was handed on unlooked at');
is(read_with($handed_on), 'YC002', '... is refused where somebody looks');
is($courier->error("CALL consistency.wait_for('$token', '1s')")->{code}, 'YC002', 'wait_for says the same');

# what wasn't lost is forgotten once somebody has looked
my $reader = $cluster->connect('near');
$reader->do("SET consistency = 'eventual'");
$reader->do("SET consistency.token = '$before'");
$reader->do('SELECT 1');
like($reader->parameter('consistency.token'), qr/,1:/, 'a token from before the switch, unlooked at');
$reader->do("SET consistency = 'session'");
is($reader->value($read), 0, '... holds');
unlike($reader->parameter('consistency.token'), qr/,/, '... and is one position from then on');

# nonsense
foreach my $tail (',', ',1:0/0', ',2:0/1', ',3:0/1', ',1:0/1,1:0/1', ',1', ':1:0/1')
{
	is($reader->error("SET consistency.token = '$new$tail'")->{code}, '22023', "not a token: ...$tail");
}

done_testing();
