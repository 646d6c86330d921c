# A commit is acknowledged when enough nodes have applied it, or the client is told
# that they haven't: by every way to commit, and for every way that the wait ends.

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

my @replicas = qw(near far);
my $cluster = ConsistencyCluster->new(replicas => [ map { { name => $_ } } @replicas ]);
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');
$app->do('CREATE TABLE checked (i int, CONSTRAINT c UNIQUE (i) DEFERRABLE INITIALLY DEFERRED)');
$app->do('CREATE PROCEDURE commits(first int, last int) LANGUAGE plpgsql AS $$'
	  . ' BEGIN FOR i IN first .. last LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; END $$');
$app->do('CREATE PROCEDURE commits_and_fails(i int) LANGUAGE plpgsql AS $$'
	  . q{ BEGIN INSERT INTO t VALUES (i); COMMIT; RAISE 'failed'; END $$});
$cluster->wait_replayed;

my $next = 0;

sub session { return write_session($cluster, 'primary', @_); }

# Wait until that many backends wait for a quorum.
sub wait_waiting
{
	my ($session) = @_;
	$cluster->wait_for_wait('primary', $session->pid);
	return;
}

# --- nothing in the way -------------------------------------------------

foreach my $quorum (2, 3, 'quorum', 'all')
{
	my $session = session($quorum);
	my $least = { 2 => 1, 3 => 2, quorum => 1, all => 2 }->{$quorum};
	my $short = 0;
	foreach (1 .. 20)
	{
		$next++;
		is(codes($session->query("INSERT INTO t VALUES ($next)")), 'ok', "W = $quorum: acknowledged")
		  if $_ == 1;
		$session->do("INSERT INTO t VALUES ($next)") if $_ > 1;
		$short++ if seen($cluster, $next, @replicas) < $least;
	}
	is($short, 0, "W = $quorum: when it is acknowledged, $least replicas have it");
}

{
	# Who isn't woken looks again after a second.
	my $session = session('all', write_quorum_timeout => '60s');
	my $start = time;
	$session->do('INSERT INTO t VALUES (0)') foreach 1 .. 40;
	cmp_ok(time - $start, '<', 5, 'forty commits: they are woken');
}

# --- replicas that don't apply ------------------------------------------

# Each way to commit a row: name => [ run it, is it committed though it fails? ]
my %way = (
	simple => sub { my ($s, $i) = @_; return $s->query("INSERT INTO t VALUES ($i)"); },
	'two statements' => sub { my ($s, $i) = @_; return $s->query("SELECT 1; INSERT INTO t VALUES ($i)"); },
	explicit => sub { my ($s, $i) = @_; $s->do("BEGIN; INSERT INTO t VALUES ($i)"); return $s->query('COMMIT'); },
	extended => sub { my ($s, $i) = @_; return $s->execute('INSERT INTO t VALUES ($1)', $i); },
	'extended explicit' => sub {
		my ($s, $i) = @_;
		$s->execute('BEGIN');
		$s->execute('INSERT INTO t VALUES ($1)', $i);
		return $s->execute('COMMIT');
	},
	procedure => sub { my ($s, $i) = @_; return $s->query("CALL commits($i, $i)"); },
	'extended procedure' => sub { my ($s, $i) = @_; return $s->execute("CALL commits($i, $i)"); },
	'do block' => sub { my ($s, $i) = @_; return $s->query("DO \$\$ BEGIN INSERT INTO t VALUES ($i); END \$\$"); },
	'create table as' => sub {
		my ($s, $i) = @_;
		$s->do("BEGIN; INSERT INTO t VALUES ($i); CREATE TABLE made_$i AS SELECT 1");
		return $s->query('COMMIT');
	},
	copy => sub {
		my ($s, $i) = @_;
		$s->send_query('COPY t FROM STDIN');
		$s->read_until('G');
		$s->send_copy($i);
		return $s->finish;
	},
	prepared => sub {
		my ($s, $i) = @_;
		$s->do("BEGIN; INSERT INTO t VALUES ($i)");
		$s->do("PREPARE TRANSACTION 'p$i'");
		return $s->query("COMMIT PREPARED 'p$i'");
	},
);

# Run it; whether it is committed, and how long it took
sub run
{
	my ($way, $session) = @_;
	my $i = ++$next;
	my $start = time;
	my $result = $way{$way}->($session, $i);
	return ($result, $dba->value("SELECT count(*) FROM t WHERE i = $i"), time - $start, $i);
}

$cluster->pause('far');
foreach my $way (sort keys %way)
{
	my ($result, $rows, $took, $i) = run($way, session(2));
	is(codes($result), 'ok', "one replica stands still, W = 2, $way: acknowledged");
	cmp_ok(seen($cluster, $i, @replicas), '>=', 1, "$way: the other one has it");
	($result, $rows, $took, $i) = run($way, session(3));
	is(codes($result), 'YC003', "one replica stands still, W = all, $way: an error of its own");
	is($rows, 1, "$way: it is committed");
	cmp_ok($took, '>', 0.29, "$way: not before the time is up");
	cmp_ok($took, '<', 5, "$way: nor long after");
	is($result->{error}{detail}, 'Of 3 nodes 3 must have applied it, and 2 had: consistency.write_quorum_timeout ended the wait.',
		"$way: the error tells who has it");
	($result) = run($way, session(3, on_unconfirmed => 'warning'));
	is(codes($result), 'ok 01YC2', "$way: a warning, where that is wanted");
}

$cluster->pause('near');
foreach my $way (sort keys %way)
{
	my ($result, $rows) = run($way, session(2));
	is(codes($result) . " $rows", 'YC003 1', "both stand still, W = 2, $way: an error, and committed");
	($result) = run($way, session('one'));
	is(codes($result), 'ok', "both stand still, W = one, $way: acknowledged");
}

# --- what pays nothing, and what can't be had ---------------------------

{
	my $session = session(3);
	my $start = time;
	foreach my $sql ('SELECT count(*) FROM t', 'BEGIN; SELECT 1; COMMIT', 'SELECT 1; SELECT 2',
		'PREPARE q AS SELECT 1', 'LISTEN nothing', 'BEGIN; INSERT INTO t VALUES (0); ROLLBACK')
	{
		is(codes($session->query($sql)), 'ok', "$sql: nothing to confirm");
	}
	cmp_ok(time - $start, '<', 0.25, 'nor to wait for');
	is(codes($session->query('CREATE TEMP TABLE only_here (i int)')), 'YC003', 'a temporary table has rows in catalogs');

	my $result = session(4)->query("INSERT INTO t VALUES (-1)");
	is(codes($result), '55000', 'more nodes than there are: an error');
	is($result->{error}{message}, 'a write quorum of 4 nodes can never be had: this database declares 3', '... that says so');
	is($dba->value('SELECT count(*) FROM t WHERE i = -1'), 0, '... and nothing is committed');

	$dba->do('CREATE DATABASE lonely');
	$cluster->sql('primary', 'CREATE EXTENSION consistency', 'lonely');
	my $alone = $cluster->connect('primary', user => $cluster->superuser, dbname => 'lonely');
	$alone->do("SET consistency.write_quorum = 'quorum'");
	$result = $alone->query('CREATE TABLE t (i int)');
	is(codes($result), '55000', 'no nodes declared: an error');
	like($result->{error}{hint}, qr/CREATE SERVER/, '... that says what to do');
	$alone->do("SET consistency.write_quorum = 'one'; CREATE TABLE t (i int)");
}

# --- chains, procedures, deferred constraints ---------------------------

{
	my $session = session(2);
	$session->do('BEGIN; INSERT INTO t VALUES (0)');
	my $result = $session->query('COMMIT AND CHAIN');
	is(codes($result), 'YC003', 'COMMIT AND CHAIN: an error');
	is($session->status, 'E', '... and the transaction that was to follow has failed');
	$session->do('ROLLBACK');

	my $start = time;
	$result = $session->query('CALL commits(1001, 1005)');
	is(codes($result), 'YC003', 'a procedure that commits five times: one error');
	cmp_ok(time - $start, '<', 1.2, '... and one wait');
	is($dba->value('SELECT count(*) FROM t WHERE i BETWEEN 1001 AND 1005'), 5, '... all are committed');

	$start = time;
	is(codes($session->query('CALL commits_and_fails(1010)')), 'P0001', 'one that fails in the end fails with its own error');
	cmp_ok(time - $start, '<', 0.25, '... and without a wait: nothing is acknowledged');

	is(codes($session->execute('INSERT INTO checked VALUES (1)')), 'YC003', 'deferred constraint, met: not confirmed');
	is(codes($session->execute('INSERT INTO checked VALUES (1)')), '23505', 'not met: its own error, at Sync');
}

# --- a pipeline ---------------------------------------------------------

{
	my $session = session(2);
	$session->send_execute('INSERT INTO t VALUES ($1)', $_) for 2001 .. 2002;
	$session->send_execute('SELECT 7');
	is(codes(scalar $session->finish), 'YC003', 'pipeline: the first write fails');
	is(codes(scalar $session->finish), 'YC003', '... so does the second');
	is($session->finish->{rows}[0][0], 7, '... and the read is answered');
	is($dba->value('SELECT count(*) FROM t WHERE i BETWEEN 2001 AND 2002'), 2, 'both are committed');
}

# --- the end of a wait --------------------------------------------------

foreach my $way (qw(simple extended))
{
	my $start_of = sub {
		my ($session) = @_;
		my $i = ++$next;
		$way eq 'simple' ? $session->send_query("INSERT INTO t VALUES ($i)") :
		  $session->send_execute('INSERT INTO t VALUES ($1)', $i);
		wait_waiting($session);
		return $i;
	};

	my $session = session(2, write_quorum_timeout => '-1');
	my $i = $start_of->($session);
	ok(!$session->ready(1), "$way: without a limit it waits");
	is($dba->value("SELECT count(*) FROM t WHERE i = $i"), 1, "$way: others see the transaction meanwhile");
	is($dba->value("SELECT count(*) FROM pg_locks WHERE pid = " . $session->pid), 0, "$way: nothing is locked");
	$cluster->resume('near');
	is(codes(scalar $session->finish), 'ok', "$way: acknowledged once a replica goes on");
	$cluster->pause('near');

	$i = $start_of->($session);
	$session->cancel;
	my $result = $session->finish;
	is(codes($result), 'YC003', "$way: canceled: not confirmed, and no error that sounds like a rollback");
	like($result->{error}{detail}, qr/the wait was canceled\.$/, '... that says why');
	is($session->value('SELECT 1'), 1, '... and the session goes on');

	$i = $start_of->($session);
	$dba->value('SELECT pg_terminate_backend(' . $session->pid . ')');
	# a client reads nothing else than the error that ends it
	my $fatal = eval { $session->read_until($way eq 'simple' ? 'C' : 'Z'); 1 } ? 'acknowledged' : $@;
	like($fatal, qr/^terminating connection/, "$way: terminated: no acknowledgement");
	my ($warning) = @{ $session->{notices} };
	is($warning->{code}, '01YC2', '... but a warning');
	like($warning->{detail}, qr/the session was terminated\.$/, '... that says why');
	is($dba->value("SELECT count(*) FROM t WHERE i = $i"), 1, '... and it is committed');
}

{
	# it isn't idle while it waits
	my $session = session(2, write_quorum_timeout => '1500ms');
	$session->do("SET idle_session_timeout = '1s'");
	is(codes($session->execute('INSERT INTO t VALUES (0)')), 'YC003', 'a wait longer than idle_session_timeout');
	is($session->value('SELECT 1'), 1, '... is no idle time');
	my $kind = $dba->row("SELECT * FROM consistency.stat_violations WHERE kind = 'unconfirmed_commit'");
	cmp_ok($kind->{count}, '>', 20, 'unconfirmed commits are counted');
	like($dba->value("SELECT detail FROM consistency.violations WHERE kind = 'unconfirmed_commit' ORDER BY time DESC LIMIT 1"),
		qr/^commit up to .*: 1 of 3 nodes have it, 2 should: /, '... and remembered');
}

{
	# Its client is gone: nobody waits any more.
	my $session = session(2, write_quorum_timeout => '-1');
	$session->do("SET client_connection_check_interval = '100ms'");
	my $pid = $session->pid;
	$session->send_query('INSERT INTO t VALUES (0)');
	wait_waiting($session);
	$session->abandon;
	wait_until(sub { $dba->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") == 0 },
		'the session ends');
	pass('a client that has gone is noticed');
}

# --- a replica is gone --------------------------------------------------

{
	my $session = session(2, write_quorum_timeout => '20s');
	$session->send_query('INSERT INTO t VALUES (0)');
	wait_waiting($session);
	$cluster->node('near')->stop('immediate');
	ok(!$session->ready(0.5), 'a replica dies: it is still waited for');
	$cluster->node('near')->start;
	is(codes(scalar $session->finish), 'ok', '... and confirms once it is up again, under another id');

	$cluster->resume('far');
	$cluster->node('near')->stop('immediate');
	is(codes(session(2, write_quorum_timeout => '20s')->query('INSERT INTO t VALUES (0)')), 'ok', 'W = 2 with one replica down');
	is(codes(session(3)->query('INSERT INTO t VALUES (0)')), 'YC003', 'W = 3: not confirmed');
	$cluster->node('near')->start;
	is(codes(session('all', write_quorum_timeout => '20s')->query('INSERT INTO t VALUES (0)')), 'ok', 'it is back: W = all');
}

# --- who isn't declared doesn't count -----------------------------------

{
	my $stranger = PostgreSQL::Test::Cluster->new('stranger');
	$stranger->init_from_backup($cluster->primary, 'base');
	$stranger->enable_streaming($cluster->primary);
	$stranger->start;
	$cluster->primary->wait_for_catchup($stranger);
	$cluster->pause($_) foreach @replicas;
	is(codes(session(2)->query('INSERT INTO t VALUES (4242)')), 'YC003', 'a standby that is not declared does not count');
	$stranger->poll_query_until('postgres', 'SELECT count(*) = 1 FROM t WHERE i = 4242');
	$cluster->resume($_) foreach @replicas;
	$stranger->stop;
}

done_testing();
