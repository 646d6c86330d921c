# What a replica's client is told when a statement that runs at the primary, or a
# commit, is broken off: by the end of the backend over there, or by a cancel.
#
# Never a success that is none, nor a failure that is none.  Where the outcome
# can't be known, the ticket in the hint tells it later.  The session is usable
# afterwards, and at the primary nothing is left behind.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near', conf => "max_standby_streaming_delay = -1\n" } ],
	conf => "consistency.wait_timeout = '20s'\ndeadlock_timeout = '200ms'\n");
my $primary = $cluster->primary;
my $direct = $cluster->connect('primary');	# holds locks that others wait for
my $dba = $cluster->connect('primary', user => $cluster->superuser);

# --- helpers ------------------------------------------------------------

# What serves the replica's sessions at the primary (pids).
sub served_pids
{
	my $sql = "SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND pid <> " . $direct->pid
	  . " AND backend_type = 'client backend' ORDER BY 1";
	return map { $_->[0] } @{ $dba->query($sql)->{rows} };
}

# The one backend at the primary that is in a state.
sub served
{
	my ($condition, $what) = @_;
	return wait_until(
		sub {
			return $dba->value("SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND pid <> "
				  . $direct->pid . " AND ($condition)");
		},
		$what);
}

my $waits_for_lock = "wait_event_type = 'Lock'";
my $waits_for_standby = "wait_event = 'SyncRep'";

# Ends backends at the primary; returns once they are gone.
sub terminate
{
	my (@pids) = @_;
	my $in = join(',', @pids);
	$dba->do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ($in)");
	wait_until(sub { $dba->value("SELECT count(*) FROM pg_stat_activity WHERE pid IN ($in)") == 0 },
		'terminated backends are gone');
	return;
}

# The primary has no transaction or statement of the replica's sessions left.
sub nothing_left
{
	my ($what) = @_;
	ok( $primary->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'app' AND pid <> " . $direct->pid
			  . " AND backend_type = 'client backend' AND (state <> 'idle' OR backend_xid IS NOT NULL)"),
		"$what: nothing is left behind at the primary")
	  or diag $primary->safe_psql('postgres', 'SELECT * FROM pg_stat_activity');
	return;
}

sub fails
{
	my ($result, $code, $what) = @_;
	is($result->{error} ? $result->{error}{code} : "success ($result->{tag})", $code, $what)
	  or diag explain $result->{error};
	return $result->{error};
}

# The session goes on, reads what it writes, and is in no transaction.
my $probe = 0;
sub usable
{
	my ($session, $what) = @_;
	$session->query('ROLLBACK') if $session->status ne 'I';
	my $result = $session->query('UPDATE probe SET v = ' . ++$probe);
	is($result->{error} && $result->{error}{message}, undef, "$what: the session is usable");
	is($session->value('SELECT v FROM probe'), $probe, '... and reads its writes');
	return;
}

sub ticket_of { return $_[0]->{hint} =~ /transaction_status\('([^']+)'\)/ ? $1 : undef; }

sub status_of { return $_[0]->value("SELECT consistency.transaction_status('$_[1]')"); }

sub synchronous
{
	my ($names) = @_;
	$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = '$names'");
	$primary->reload;
	$primary->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = '$names'");
	# backends look at their configuration when they are idle: those there are now
	$direct->do('SELECT 1');
	return;
}

sub count_of { return $direct->value("SELECT count(*) FROM t WHERE i = $_[0]"); }

$direct->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$direct->do('CREATE TABLE probe (v int)');
$direct->do('INSERT INTO probe VALUES (0)');
$direct->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 10) g');
$direct->do(q{CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END'});
$direct->do('CREATE TABLE slow (i int PRIMARY KEY)');
$direct->do('CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED'
	  . ' FOR EACH ROW EXECUTE FUNCTION wait_at_commit()');
$cluster->wait_replayed;

my $app = $cluster->connect('near');

# Begins an insert that commits, by COMMIT or by being a transaction of its own.
sub send_insert
{
	my ($way, $key) = @_;
	if ($way eq 'COMMIT')
	{
		$app->do('BEGIN');
		$app->do("INSERT INTO t VALUES ($key)");
		$app->send_query('COMMIT');
	}
	elsif ($way eq 'simple') { $app->send_query("INSERT INTO t VALUES ($key)"); }
	else { $app->send_execute('INSERT INTO t VALUES ($1)', $key); }
	return;
}
my $next = 100;	# keys that nobody has used

# --- the backend at the primary ends ----------------------------------------

# before a statement: nobody notices
$app->do('UPDATE t SET v = 1 WHERE i = 1');
terminate(served_pids());
is($app->query('UPDATE t SET v = 2 WHERE i = 1')->{tag}, 'UPDATE 1', 'ended while idle: the next statement runs');
terminate(served_pids());
is($app->execute('UPDATE t SET v = $1 WHERE i = 1', 3)->{tag}, 'UPDATE 1', '... by the extended protocol');
terminate(served_pids());
$app->do('BEGIN');
is($app->query('UPDATE t SET v = 4 WHERE i = 1')->{tag}, 'UPDATE 1', '... and as the first of a transaction');
$app->do('COMMIT');
terminate(served_pids());
$app->do('SET consistency = linearizable');
is($app->value('SELECT v FROM t WHERE i = 1'), 4, '... and as a read');
$app->do('RESET consistency');

# during a statement that is a transaction of its own
foreach my $way (qw(query execute))
{
	$direct->do('BEGIN');
	$direct->do('UPDATE t SET v = 0 WHERE i = 2');
	my $sql = 'UPDATE t SET v = v + 1000 WHERE i = 2';
	$way eq 'query' ? $app->send_query($sql) : $app->send_execute($sql);
	terminate(served($waits_for_lock, 'the statement waits'));
	my $error = fails(scalar $app->finish, '08007', "ended during a statement ($way): unknown");
	$direct->do('COMMIT');
	is($direct->value('SELECT v FROM t WHERE i = 2'), 0, '... it was not executed');
	usable($app, '...');
}
nothing_left('ended during a statement');

# a read that the level sends there is safe to fail
$app->do('SET consistency = linearizable');
$direct->do('BEGIN');
$direct->do('LOCK TABLE t');
$app->send_query('SELECT v FROM t WHERE i = 1');
terminate(served($waits_for_lock, 'the read waits'));
fails(scalar $app->finish, '08006', 'ended during a read: lost');
$direct->do('ROLLBACK');
$app->do('RESET consistency');
usable($app, '...');

# in a transaction
foreach my $what ('a statement', 'COMMIT', 'a savepoint')
{
	my $key = $next++;
	$app->do('BEGIN');
	$app->do("INSERT INTO t VALUES ($key)");
	terminate(served("state = 'idle in transaction'", 'the transaction is idle'));
	if ($what eq 'a savepoint')
	{
		$app->do('SAVEPOINT a');
		fails($app->query('UPDATE t SET v = 1 WHERE i = 1'), '08006', 'ended in an idle transaction: a statement in a savepoint');
		$app->do('ROLLBACK TO a');
		fails($app->query('SELECT 1 FROM t'), '08006', '... nothing brings it back');
		$app->do('ROLLBACK TO a');
		fails($app->query('COMMIT'), '08006', '... nor does COMMIT pretend');
	}
	else
	{
		my $error = fails($app->query($what eq 'COMMIT' ? 'COMMIT' : 'UPDATE t SET v = 1 WHERE i = 1'),
			'08006', "ended in an idle transaction: $what");
		is($app->query('COMMIT')->{tag}, 'ROLLBACK', '... COMMIT is a ROLLBACK') if $what ne 'COMMIT';
	}
	usable($app, '...');
	is(count_of($key), 0, '... nothing was committed');
}
{
	my $key = $next++;
	$direct->do('BEGIN');
	$direct->do('UPDATE t SET v = 0 WHERE i = 2');
	$app->do('BEGIN');
	$app->do("INSERT INTO t VALUES ($key)");
	$app->send_query('UPDATE t SET v = v + 1000 WHERE i = 2');
	terminate(served($waits_for_lock, 'the statement waits'));
	fails(scalar $app->finish, '08006', 'ended during a statement of a transaction: lost');
	$direct->do('COMMIT');
	usable($app, '...');
	is(count_of($key), 0, '... nothing was committed');
}

# while the commit is under way, and still undecided
foreach my $way ('COMMIT', 'simple', 'extended')
{
	my $key = $next++;
	$direct->do('SELECT pg_advisory_lock(7)');
	if ($way eq 'COMMIT')
	{
		$app->do('BEGIN');
		$app->do("INSERT INTO slow VALUES ($key)");
		$app->send_query('COMMIT');
	}
	elsif ($way eq 'simple') { $app->send_query("INSERT INTO slow VALUES ($key)"); }
	else { $app->send_execute('INSERT INTO slow VALUES ($1)', $key); }
	my $pid = served($waits_for_lock, 'the commit waits');
	terminate($pid);
	my $error = fails(scalar $app->finish, '08007', "ended during a commit, $way: unknown");
	my $ticket = ticket_of($error);
	ok($ticket, '... there is a ticket') or next;
	is(status_of($direct, $ticket), 'aborted', '... which tells that it was aborted');
	$direct->do('SELECT pg_advisory_unlock(7)');
	usable($app, '...');
	is(status_of($app, $ticket), 'aborted', '... and the replica can be asked as well');
	is($direct->value("SELECT count(*) FROM slow WHERE i = $key"), 0, '... it is not there');
}

# while the commit waits for a standby: it is decided already
my %committed;
synchronous('nobody');
foreach my $way ('COMMIT', 'simple', 'extended')
{
	my $key = $next++;
	send_insert($way, $key);
	terminate(served($waits_for_standby, 'the commit waits for a standby'));
	my $error = fails(scalar $app->finish, '08007', "ended while waiting for a standby, $way: unknown");
	my $ticket = $committed{$key} = ticket_of($error);
	ok($ticket, '... there is a ticket') or next;
	is(status_of($direct, $ticket), 'committed', '... which tells that it was committed');
}
synchronous('');
usable($app, 'ended while waiting for a standby');
is(count_of($_), 1, '... it is there') for sort keys %committed;

# --- a cancel -----------------------------------------------------------

# Something waits at the primary for a lock that $direct has; it is cancelled.
sub canceled
{
	my ($what, $start, %arg) = @_;
	$direct->do('BEGIN');
	$direct->do('UPDATE t SET v = 0 WHERE i = 2');
	$start->();
	my $pid = served($waits_for_lock, "$what: it waits");
	my $began = time;
	$app->cancel unless $arg{timeout};
	my $error = fails(scalar $app->finish, '57014', "$what: canceled");
	like($error->{message}, $arg{timeout} ? qr/statement timeout/ : qr/user request/, '... for that reason');
	cmp_ok(time - $began, '<', 5, '... soon');
	is($dba->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid AND $waits_for_lock"),
		0, '... nothing waits any more');
	$direct->do('COMMIT');
	return;
}

my $update = 'UPDATE t SET v = v + 1000 WHERE i = 2';
canceled('alone, simple', sub { $app->send_query($update) });
usable($app, '...');
canceled('alone, extended', sub { $app->send_execute('UPDATE t SET v = v + $1 WHERE i = 2', 1000) });
usable($app, '...');
$app->do("SET statement_timeout = '200ms'");
canceled('alone, statement_timeout', sub { $app->send_query($update) }, timeout => 1);
$app->do('RESET statement_timeout');
usable($app, '...');
canceled('COPY of a query', sub { $app->send_query("COPY (SELECT i FROM t WHERE i = 2 FOR UPDATE) TO STDOUT") });
usable($app, '...');
is($direct->value('SELECT v FROM t WHERE i = 2'), 0, 'none of it was executed');
{
	my $key = $next++;
	$app->do('BEGIN');
	$app->do("INSERT INTO t VALUES ($key)");
	canceled('in a transaction', sub { $app->send_query($update) });
	is($app->query('COMMIT')->{tag}, 'ROLLBACK', '... the transaction is rolled back');
	is(count_of($key), 0, '... as it is there');
	usable($app, '...');
}
foreach my $what ('an update', 'COPY', 'FETCH')
{
	my $key = $next++;
	$app->do('BEGIN');
	$app->do("INSERT INTO t VALUES ($key)");
	$app->do('DECLARE c CURSOR FOR SELECT i FROM t WHERE i = 2 FOR UPDATE') if $what eq 'FETCH';
	$app->do('SAVEPOINT a');
	if ($what eq 'COPY')
	{
		# a key that another transaction has inserted, and may still roll back
		$direct->do('BEGIN');
		$direct->do('INSERT INTO t VALUES (2000)');
		$app->send_query('COPY t FROM STDIN');
		$app->send_copy("2000\t2");
		served($waits_for_lock, 'COPY waits');
		$app->cancel;
		fails(scalar $app->finish, '57014', 'COPY in a savepoint: canceled');
		$direct->do('ROLLBACK');
	}
	else
	{
		canceled("$what in a savepoint",
			sub { $app->send_query($what eq 'FETCH' ? 'FETCH 2 FROM c' : $update) });
	}
	$app->do('ROLLBACK TO a');
	is($app->value("SELECT count(*) FROM t WHERE i = $key"), 1, '... what was before it is kept');
	is($app->query('COMMIT')->{tag}, 'COMMIT', '... and committed');
	is(count_of($key), 1, '... as it is there');
	usable($app, '...');
}

# COPY, while the client has more to send
{
	my $key = $next++;
	$app->do('BEGIN');
	$app->do("INSERT INTO t VALUES ($key)");
	$app->do('SAVEPOINT a');
	$app->send_query('COPY t FROM STDIN');
	$app->_send('d', "2001\t1\n");
	served("wait_event = 'ClientRead' AND state = 'active' AND query LIKE 'COPY%'", 'COPY waits');
	$app->cancel;
	$app->_send('d', "2002\t1\n");
	$app->send_copy("2003\t1");
	fails(scalar $app->finish, '57014', 'COPY, in the middle of the data: canceled');
	$app->do('ROLLBACK TO a');
	is($app->value("SELECT count(*) FROM t WHERE i = $key"), 1, '... what was before it is kept');
	is($app->query('COMMIT')->{tag}, 'COMMIT', '... and committed');
	is($direct->value("SELECT string_agg(i::text, ' ') FROM t WHERE i IN ($key, 2001, 2002, 2003)"), $key, '... as it is there');
	usable($app, '...');
}

# COMMIT that waits for a standby was decided already; one that runs a trigger wasn't
synchronous('nobody');
foreach my $way ('COMMIT', 'simple', 'extended')
{
	my $key = $next++;
	send_insert($way, $key);
	served($waits_for_standby, 'the commit waits for a standby');
	$app->cancel;
	my $result = $app->finish;
	is($result->{tag}, $way eq 'COMMIT' ? 'COMMIT' : 'INSERT 0 1', "waiting for a standby, $way: canceled, but committed");
	like($result->{notices}[0]{message} // '', qr/canceling wait for synchronous replication/, '... with the warning');
	is(count_of($key), 1, '... and there');
	is($app->value("SELECT count(*) FROM t WHERE i = $key"), 1, '... which the session sees');
}
synchronous('');
usable($app, '...');
{
	my $key = $next++;
	$direct->do('SELECT pg_advisory_lock(7)');
	$app->do('BEGIN');
	$app->do("INSERT INTO slow VALUES ($key)");
	$app->send_query('COMMIT');
	served($waits_for_lock, 'the commit waits');
	$app->cancel;
	fails(scalar $app->finish, '57014', 'COMMIT in a trigger: canceled');
	$direct->do('SELECT pg_advisory_unlock(7)');
	usable($app, '...');
	is($direct->value("SELECT count(*) FROM slow WHERE i = $key"), 0, '... it is not there');
}
nothing_left('cancels');

# A cancel that comes when rows are on their way: what is committed must not be
# reported as failed.  The client doesn't read, so that the rows stand.
$direct->do(q{CREATE FUNCTION touch(i int) RETURNS text LANGUAGE plpgsql VOLATILE AS
	$$BEGIN INSERT INTO touched VALUES (i); RETURN repeat('x', 20000); END$$});
$direct->do('CREATE TABLE touched (i int)');
$app->do(q{SET consistency.token = '} . $direct->parameter('consistency.token') . q{'});
foreach my $way (qw(send_query send_execute))
{
	foreach my $rows (16, 500)
	{
		# few: all of them are on their way, and the primary may be done with them
		$direct->do('TRUNCATE touched');
		$app->$way("SELECT touch(g) FROM generate_series(1, $rows) g");
		$cluster->node('near')->poll_query_until('postgres',
			"SELECT wait_event = 'ClientWrite' OR state = 'idle' FROM pg_stat_activity WHERE pid = " . $app->pid);
		$app->cancel;
		my $result = $app->finish;
		my $done = $direct->value('SELECT count(*) FROM touched');
		is($done, $result->{error} ? 0 : $rows, "$way, $rows rows: a cancel while they come: "
			  . ($result->{error} ? 'rolled back' : 'committed'));
		is($result->{error} ? $result->{error}{code} : $result->{tag},
			$result->{error} ? '57014' : "SELECT $rows", '... as the client is told');
		usable($app, '...');
	}
}
nothing_left('cancels while rows come');

# --- the replica's session ends -------------------------------------------

foreach my $state ('idle', 'waiting', 'copying')
{
	my $key = $next++;
	my $session = $cluster->connect('near');
	$session->do('BEGIN');
	$session->do("INSERT INTO t VALUES ($key)");
	$direct->do('BEGIN');
	$direct->do('UPDATE t SET v = 0 WHERE i = 2');
	if ($state eq 'waiting')
	{
		$session->send_query($update);
		served($waits_for_lock, 'the statement waits');
	}
	elsif ($state eq 'copying')
	{
		$session->send_query('COPY t FROM STDIN');
		served("wait_event = 'ClientRead' AND query LIKE 'COPY%'", 'COPY waits');
	}
	$cluster->sql('near', 'SELECT pg_terminate_backend(' . $session->pid . ')');
	nothing_left("the replica's session ended, $state");
	$direct->do('COMMIT');
	is(count_of($key), 0, '... nor committed');
	$session->abandon;
}

# --- nothing is held meanwhile --------------------------------------------

# A new session knows little of the catalogs and has to look them up.
foreach my $way (qw(send_query send_execute))
{
	my $session = $cluster->connect('near');
	$direct->do('BEGIN');
	$direct->do('UPDATE t SET v = 0 WHERE i = 2');
	$session->$way($update);
	served($waits_for_lock, 'the statement waits');
	is( $cluster->sql('near', 'SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = ' . $session->pid),
		't', "$way: no snapshot is held at the replica while the primary works");
	is( $cluster->sql('near', q{SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = } . $session->pid),
		0, '... and no lock');
	$direct->do('ROLLBACK');
	is($session->finish->{error}, undef, '... until it is done');
}

$app->close;
done_testing();
