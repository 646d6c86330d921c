# Which replica has what was acknowledged: consistency.wait_for_replicas() at the
# primary, consistency.failover_candidates() where there is none any more.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $cluster = ConsistencyCluster->new(replicas => [ map { { name => $_ } } qw(near far third) ]);
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');
$cluster->wait_replayed;

# "name: complete", the best first
sub candidates
{
	my ($node, $quorum) = @_;
	my $dba = $cluster->connect($node, user => $cluster->superuser);
	my $result = $dba->query("SELECT name, complete FROM consistency.failover_candidates('$quorum')");
	return $result->{error}{message} if $result->{error};
	return join ', ', map { "$_->[0]: " . ($_->[1] // 'unknown') } @{ $result->{rows} };
}
sub sorted { return join ', ', sort split /, /, $_[0]; }

# --- wait_for_replicas --------------------------------------------------

$app->do('INSERT INTO t VALUES (1)');
is($app->value("SELECT consistency.wait_for_replicas(3, '20s')"), 3, 'a plain commit: all replicas have it in the end');
$cluster->pause($_) foreach qw(far third);
$app->do('INSERT INTO t VALUES (2)');
is($app->value("SELECT consistency.wait_for_replicas(1, '20s')"), 1, 'one of them goes on');
my $start = time;
is($app->value("SELECT consistency.wait_for_replicas(2, '300ms')"), 1, 'two are waited for in vain');
cmp_ok(time - $start, '>', 0.29, '... for as long as was said');
$start = time;
is($app->value("SELECT consistency.wait_for_replicas(2, '0')"), 1, 'no time: what there is');
cmp_ok(time - $start, '<', 0.2, '... at once');
$app->do("SET consistency.write_quorum_timeout = '100ms'");
is($app->value('SELECT consistency.wait_for_replicas(3)'), 1, 'the time is consistency.write_quorum_timeout, by default');
$app->send_query("SELECT consistency.wait_for_replicas(3, '1h')");
$cluster->wait_for_wait('primary', $app->pid);
$app->cancel;
is($app->finish->{error}{code}, '57014', 'it can be canceled');
is($app->value("SELECT consistency.wait_for_replicas(1, '20s')"), 1, '... and called again');
is($cluster->connect('primary')->value("SELECT consistency.wait_for_replicas(3, '20s')"), 3, 'a session that has written nothing waits for nothing');
is($app->error('SELECT consistency.wait_for_replicas(NULL)')->{code}, '22004', 'NULL');
is($cluster->connect('near')->error('SELECT consistency.wait_for_replicas(1)')->{code}, '55000', 'at a replica: an error');

# --- candidates ---------------------------------------------------------

my $writer = $cluster->connect('primary');
$writer->do("SET consistency.write_quorum = 2; SET consistency.write_quorum_timeout = '20s'");
$writer->do('INSERT INTO t VALUES (3)');
like(candidates('primary', '2'), qr/^near: t, (far: f, third: f|third: f, far: f)$/, 'at the primary: the one that has all comes first');
is(candidates('primary', 'nonsense'), '"nonsense" is no write quorum', 'what a quorum is is checked');
ok($cluster->connect('near')->error('SELECT * FROM consistency.failover_candidates()'), 'not for everybody');

# The monitor goes on watching a node until the DROP is committed.
my $dba = $cluster->connect('primary', user => $cluster->superuser);
$dba->do($_) foreach 'BEGIN', 'DROP SERVER third CASCADE';
is( $dba->value(q{SELECT count(*) || ': ' || string_agg(name, ', ' ORDER BY name) FROM consistency.failover_candidates('2')}),
	'3: far, near',
	'a node whose server object this transaction has dropped: without a name');
$dba->do('ROLLBACK');

$cluster->node('primary')->stop('immediate');
wait_until(
	sub { $cluster->sql('far', q{SELECT state FROM consistency.nodes WHERE name = 'primary'}) eq 'down' },
	'the primary is known to be down');
like(candidates('far', '2'), qr/^near: t, (far: unknown, third: unknown|third: unknown, far: unknown)$/,
	'without a primary, all replicas there: the first of them has all');
is(candidates('far', 'one') =~ /: [tf]/, '', 'no quorum: nobody knows');
$cluster->node('near')->stop('immediate');
wait_until(
	sub { $cluster->sql('far', q{SELECT state FROM consistency.nodes WHERE name = 'near'}) eq 'down' },
	'the replica is known to be down');
is(sorted(candidates('far', '2')), 'far: unknown, third: unknown', 'the one that has it is gone: nobody knows');
like(sorted(candidates('far', 'all')), qr/^far: t/, 'with W = all, any would do');

# Restarted, it replays its own log once more; what it says meanwhile doesn't count.
my $near = $cluster->node('near');
$near->append_conf('postgresql.conf', "recovery_min_apply_delay = '1h'");
$near->start;
wait_until(
	sub { $cluster->sql('far', q{SELECT state FROM consistency.nodes WHERE name = 'near'}) eq 'up' }, 'it is up');
is($cluster->sql('near', q{SELECT to_regclass('t') IS NULL}), 't', 'it is back, but has not replayed all that it has');
is(sorted(candidates('far', '2')), 'far: unknown, third: unknown', '... so nobody knows');
is(sorted(candidates('near', '2')), 'far: unknown, third: unknown', '... nor does it');
$near->append_conf('postgresql.conf', "recovery_min_apply_delay = '0'");
$near->reload;
wait_until(sub { candidates('far', '2') =~ /^near: t/ }, 'it has');
my ($best) = candidates('far', '2') =~ /^(\w+): t/;
$cluster->node($best)->promote;
is($cluster->sql($best, 'SELECT count(*) FROM t WHERE i = 3'), 1, 'promoted: what was acknowledged is there');
is($cluster->sql('far', 'SELECT count(*) FROM t WHERE i = 3'), 0, '... which another one had not');

done_testing();
