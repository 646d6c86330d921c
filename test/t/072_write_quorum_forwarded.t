# consistency.write_quorum set at a replica: the primary waits, and the replica's
# client hears what became of it.

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
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');
$app->do('CREATE TABLE checked (i int, CONSTRAINT c UNIQUE (i) DEFERRABLE INITIALLY DEFERRED)');
$app->do('CREATE PROCEDURE commits(first int, last int) LANGUAGE plpgsql AS $$'
	  . ' BEGIN FOR i IN first .. last LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; END $$');
$cluster->wait_replayed;

my $next = 0;

sub session { return write_session($cluster, 'near', @_); }

my %way = (
	simple => sub { my ($s, $i) = @_; return $s->query("INSERT INTO t VALUES ($i)"); },
	extended => sub { my ($s, $i) = @_; return $s->execute('INSERT INTO t VALUES ($1)', $i); },
	explicit => sub { my ($s, $i) = @_; $s->do("BEGIN; INSERT INTO t VALUES ($i)"); return $s->query('COMMIT'); },
	returning => sub { my ($s, $i) = @_; return $s->execute('INSERT INTO t VALUES ($1) RETURNING i', $i); },
	'two statements' => sub { my ($s, $i) = @_; return $s->query("INSERT INTO t VALUES ($i); SELECT 1"); },
	procedure => sub { my ($s, $i) = @_; return $s->query("CALL commits($i, $i)"); },
	ddl => sub { my ($s, $i) = @_; return $s->query("CREATE TABLE made_$i AS SELECT $i AS i; INSERT INTO t VALUES ($i)"); },
	copy => sub {
		my ($s, $i) = @_;
		$s->send_query('COPY t FROM STDIN');
		$s->read_until('G');
		$s->send_copy($i);
		return $s->finish;
	},
);

foreach my $way (sort keys %way)
{
	my $i = ++$next;
	my $session = session('all', write_quorum_timeout => '20s');
	is(codes(scalar $way{$way}->($session, $i)), 'ok', "W = all, $way: acknowledged");
	is(seen($cluster, $i, qw(near far)), 2, "$way: all have it");
}

$cluster->pause('far');
foreach my $way (sort keys %way)
{
	my $i = ++$next;
	my $session = session('all');
	my $start = time;
	my $result = $way{$way}->($session, $i);
	is(codes($result), 'YC003', "one stands still, W = all, $way: not confirmed");
	cmp_ok(time - $start, '<', 5, "$way: in time");
	like($result->{error}{detail} // '', qr/^Of 3 nodes 3 must have applied it, and 2 had/, "$way: as the primary tells it");
	is($dba->value("SELECT count(*) FROM t WHERE i = $i"), 1, "$way: committed");
	is($session->status, 'I', "$way: the transaction is over");
	is($session->value("SELECT count(*) FROM t WHERE i = $i"), 1, "$way: the session reads it at once");
	$session->do("SET consistency.on_unconfirmed = 'warning'");
	$i = ++$next;
	is(codes(scalar $way{$way}->($session, $i)), 'ok 01YC2', "$way: a warning");
	$session->do("SET consistency.write_quorum = 2");
	is(codes(scalar $way{$way}->($session, ++$next)), 'ok', "$way: W = 2 on the same connection");
	$session->do("RESET consistency.write_quorum");
	is(codes(scalar $way{$way}->($session, ++$next)), 'ok', "$way: none");
}

foreach my $way (qw(simple extended explicit))
{
	my $session = session(3, write_quorum_timeout => '-1');
	my $i = ++$next;
	$session->do("BEGIN; INSERT INTO t VALUES ($i)") if $way eq 'explicit';
	$way eq 'simple' ? $session->send_query("INSERT INTO t VALUES ($i)") :
	  $way eq 'extended' ? $session->send_execute('INSERT INTO t VALUES ($1)', $i) : $session->send_query('COMMIT');
	wait_until(sub { $dba->value("SELECT count(*) FROM t WHERE i = $i") }, 'it is committed');
	ok(!$session->ready(0.3), "$way: it waits");
	$session->cancel;
	is(codes(scalar $session->finish), 'YC003', "$way: canceled: not confirmed");
	is($session->value('SELECT 1'), 1, '... and the session goes on');
	is($session->value("SELECT count(*) FROM t WHERE i = $i"), 1, '... and reads it');
}

{
	my $session = session(3, write_quorum_timeout => '-1');
	$session->do("SET statement_timeout = '500ms'");
	is(codes($session->query('INSERT INTO t VALUES (0)')), 'YC003', 'statement_timeout at the replica: not confirmed');
	is(codes($session->query('SELECT 1')), 'ok', '... and the session goes on');

	$session = session(3);
	is(codes($session->execute('INSERT INTO checked VALUES (1)')), 'YC003', 'a deferred constraint that is met');
	is(codes($session->execute('INSERT INTO checked VALUES (1)')), '23505', '... and one that is not');
	is(codes(session(4)->query('INSERT INTO t VALUES (0)')), '55000', 'more nodes than there are');
}

done_testing();
