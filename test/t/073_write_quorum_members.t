# Which nodes there are can change, but not so that a write that was acknowledged by
# a quorum of the old ones is at too few of the new ones.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WriteQuorum;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $cluster = ConsistencyCluster->new;
my $dba = $cluster->connect('primary', user => $cluster->superuser);
$dba->do("SET consistency.write_quorum_timeout = '500ms'");
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');

sub create { my ($name) = @_; return $cluster->server_sql($name); }
sub drop { my ($name) = @_; return "DROP SERVER \"$name\" CASCADE"; }

# The notices of one statement in it that are about quorums
sub told
{
	my (@results) = @_;
	my ($failed) = grep { $_->{error} } @results;
	my @warned = map { $_->{message} =~ /quorums are taken of changes (from.*)/ ? $1 : () } map { @{ $_->{notices} // [] } } @results;
	return join ': ', ($failed ? $failed->{error}{code} : 'ok'), @warned;
}

# --- not in use ---------------------------------------------------------

$cluster->pause('far');
is(told($dba->query(drop('far'))), 'ok', 'no quorum was ever asked for: a node can go');
is(told($dba->query(create('far'))), 'ok', '... and come, though it stands still');
$cluster->resume('far');
$cluster->wait_all_up('primary');

# --- in use -------------------------------------------------------------

my $writer = $cluster->connect('primary');
$writer->do("SET consistency.write_quorum = 2; SET consistency.write_quorum_timeout = '20s'");
$writer->do('INSERT INTO t VALUES (1)');

my $start = time;
is(told($dba->query(drop('far'))), 'ok: from 3 to 2', 'a node goes: a warning');
cmp_ok(time - $start, '<', 0.4, '... at once');
my $all = $cluster->connect('primary');
$all->do("SET consistency.write_quorum = 3");
is(codes($all->query('INSERT INTO t VALUES (2)')), '55000', '... and it counts at once');
is(told($dba->query("SET consistency.write_quorum_timeout = '20s'; " . create('far'))),
	'ok: from 2 to 3', 'it comes back: a warning, and it has all');
is(codes($all->query('INSERT INTO t VALUES (2)')), 'ok', '... and it counts at once');
$dba->do("SET consistency.write_quorum_timeout = '500ms'");

# What is acknowledged by the primary and one replica is not yet at the other one.
$cluster->pause('far');
$writer->do('INSERT INTO t VALUES (3)');
is(told($dba->query(drop('near'))), 'YC003: from 3 to 2',
	'the replica that has it goes: not confirmed while the other one lacks it');
is($cluster->sql('far', 'SELECT count(*) FROM t WHERE i = 3'), 0, '... which it does');
is($dba->value('SELECT count(*) FROM consistency.nodes'), 2, '... but done');
$cluster->resume('far');
$all->do("SET consistency.write_quorum = 'all'");
is(codes($all->query('INSERT INTO t VALUES (4)')), 'ok', 'a write that all have confirms it');
is($cluster->sql('far', 'SELECT count(*) FROM t WHERE i = 3'), 1, '... as it is behind what was written');
$dba->do("SET consistency.write_quorum_timeout = '20s'");
is(told($dba->query(create('near'))), 'ok: from 2 to 3', 'it comes back');
$cluster->wait_all_up('primary');

# A change that is undone
$dba->do('BEGIN; ' . drop('near'));
$dba->do('ROLLBACK');
is(codes($all->query('INSERT INTO t VALUES (5)')), 'ok', 'rolled back: all nodes are there');
is($all->value("SELECT count(*) FROM t WHERE i = 5"), 1, '... and it is written');

# One that changes nothing
is(told($dba->query("ALTER SERVER near OPTIONS (ADD application_name 'x')")), 'ok', 'an option that changes no node: nothing to tell');

# A commit that waits is told by the nodes that there are when it is acknowledged.
$cluster->pause('far');
$all->do("SET consistency.write_quorum_timeout = '-1'");
$all->send_query('INSERT INTO t VALUES (6)');
$cluster->wait_for_wait('primary', $all->pid);
is(told($dba->query(drop('far'))), 'ok: from 3 to 2', 'the node that a commit waits for goes');
is(codes(scalar $all->finish), 'ok', '... and it is acknowledged by those that are left');
$cluster->resume('far');

# Two at a time, each without sight of the other one
$dba->do(create('far'));
$cluster->wait_all_up('primary');
my $other = $cluster->connect('primary', user => $cluster->superuser);
$dba->do('BEGIN; ' . drop('near'));
$other->do('BEGIN; ' . drop('far'));
is(told($dba->query('COMMIT')), 'ok: from 3 to 2', 'two changes at a time: the first');
is(told($other->query('COMMIT')), 'ok: from 2 to 1', '... and the second, which knows of the first');
$all->do("SET consistency.write_quorum = 2");
is(codes($all->query('INSERT INTO t VALUES (7)')), '55000', 'both count');

done_testing();
