# A table's policy says by how many nodes its writes must have been applied, whatever
# the session says, and whatever the way that it is written.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WriteQuorum;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $cluster = ConsistencyCluster->new;
my $app = $cluster->connect('primary');
$app->do($_) foreach 'CREATE TABLE guarded (i int PRIMARY KEY, k int)', 'CREATE TABLE free (i int)',
  'CREATE TABLE parted (i int) PARTITION BY LIST (i)', 'CREATE TABLE part PARTITION OF parted DEFAULT',
  'CREATE TABLE child (i int REFERENCES guarded ON DELETE CASCADE)',
  'CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$'
  . ' BEGIN INSERT INTO guarded VALUES (NEW.i + 100000); RETURN NEW; END $$',
  'CREATE TABLE triggered (i int)',
  'CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION guard()',
  'CREATE VIEW over AS SELECT * FROM guarded',
  'CREATE FUNCTION writes(n int) RETURNS void LANGUAGE sql AS $$ INSERT INTO guarded VALUES (n) $$',
  'CREATE PROCEDURE writes_both(n int) LANGUAGE plpgsql AS $$'
  . ' BEGIN INSERT INTO guarded VALUES (n); COMMIT; INSERT INTO free VALUES (n); END $$',
  'INSERT INTO guarded SELECT i, 0 FROM generate_series(1, 1000) i',
  q{SELECT consistency.set_policy('guarded', 'weak', write_quorum => 'all')},
  q{SELECT consistency.set_policy('parted', 'weak', write_quorum => '3')};
is($app->value(q{SELECT write_quorum FROM consistency.policies WHERE relation = 'guarded'::regclass}), 'all', 'policies shows it');
is($app->error(q{SELECT consistency.set_policy('free', 'weak', write_quorum => 'some')})->{code}, '22023', 'what a quorum is is checked');
is($app->error(q{SELECT consistency.set_policy('free', 'weak', 'default', write_quorum => '2')})->{code}, '22023', 'not in a default');
$cluster->wait_replayed;
$cluster->pause('far');

my $next = 2000;

# What a statement answers in a new session; NEXT is a number that no table has
sub run
{
	my ($sql, @before) = @_;
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.write_quorum_timeout = '200ms'");
	$session->do($_) foreach @before;
	$next++;
	return codes(scalar $session->query($sql =~ s/NEXT/$next/gr));
}

is(run('INSERT INTO free VALUES (NEXT)'), 'ok', 'a table without a policy');
is(run('SELECT count(*) FROM guarded'), 'ok', 'a read of the table');
is(run('EXPLAIN INSERT INTO guarded VALUES (NEXT)'), 'ok', 'EXPLAIN');
foreach my $sql (
	'INSERT INTO guarded VALUES (NEXT)',
	'UPDATE guarded SET k = NEXT WHERE i = 1',
	'DELETE FROM guarded WHERE i = (SELECT min(i) FROM guarded)',
	'MERGE INTO guarded USING (SELECT 5 AS i) s ON guarded.i = s.i WHEN MATCHED THEN UPDATE SET k = NEXT',
	'WITH w AS (INSERT INTO guarded VALUES (NEXT) RETURNING i) INSERT INTO free SELECT i FROM w',
	'WITH w AS (INSERT INTO guarded VALUES (NEXT) RETURNING i) SELECT * FROM w',
	'EXPLAIN ANALYZE INSERT INTO guarded VALUES (NEXT)',
	'INSERT INTO over VALUES (NEXT)',
	'SELECT writes(NEXT)',
	'DO $$ BEGIN INSERT INTO guarded VALUES (NEXT); END $$',
	'CALL writes_both(NEXT)',
	'BEGIN; INSERT INTO guarded VALUES (NEXT); INSERT INTO free VALUES (NEXT); COMMIT',
	'INSERT INTO triggered VALUES (NEXT)',
	'INSERT INTO parted VALUES (NEXT)',
	'UPDATE part SET i = NEXT',
	'TRUNCATE parted',
	'PREPARE p AS INSERT INTO guarded VALUES (NEXT); EXECUTE p')
{
	is(run($sql), 'YC003', $sql);
}
$app->do('INSERT INTO child VALUES (900)');
is(run('TRUNCATE child'), 'ok', 'another table');
{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.write_quorum_timeout = '200ms'");
	$session->send_query('COPY guarded FROM STDIN');
	$session->read_until('G');
	$session->send_copy(++$next . "\t1");
	is(codes(scalar $session->finish), 'YC003', 'COPY FROM');
	is(codes(scalar $session->query('INSERT INTO free VALUES (1)')), 'ok', '... and the next transaction is free again');
	is(codes(scalar $session->query('BEGIN; INSERT INTO guarded VALUES (-1); ROLLBACK')), 'ok', 'rolled back');
	is(codes(scalar $session->query('INSERT INTO free VALUES (1)')), 'ok', '... and the next transaction is free');
}
is(run('INSERT INTO guarded VALUES (NEXT)', "SET consistency.write_quorum = 'one'"), 'YC003', 'a session cannot go below it');
is(run('INSERT INTO free VALUES (NEXT)', 'SET consistency.write_quorum = 3'), 'YC003', '... but above');

my $forwarded = $cluster->connect('near');
$forwarded->do("SET consistency.write_quorum_timeout = '200ms'");
is(codes(scalar $forwarded->query('INSERT INTO guarded VALUES (' . ++$next . ')')), 'YC003', 'from a replica');
is(codes(scalar $forwarded->query('INSERT INTO free VALUES (1)')), 'ok', '... where another table is free');

$cluster->resume('far');
is(run('INSERT INTO guarded VALUES (NEXT)', "SET consistency.write_quorum_timeout = '20s'"), 'ok', 'all go on: acknowledged');
$app->do(q{SELECT consistency.drop_policy('guarded')});
$cluster->pause('far');
is(run('INSERT INTO guarded VALUES (NEXT)'), 'ok', 'the policy is gone');
$cluster->resume('far');

done_testing();
