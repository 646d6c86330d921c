# A client is connected to a replica.  Under "session" it never misses what its
# token holds; under "eventual" it takes what is there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(
	replicas => [
		{ name => 'paused' },
		{ name => 'late', delay => '300ms' },
		{ name => 'patient', conf => "max_standby_streaming_delay = -1\n" }
	]);
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$app->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g');
$cluster->wait_replayed;

my $value = 0;

# Changes the row at the primary; returns the new value and the token.
sub write_value
{
	$value++;
	$app->do("UPDATE t SET v = $value WHERE i = 1");
	return ($value, $app->parameter('consistency.token'));
}

# A session at a replica that was handed the newest token.  The SET alone must
# not fetch the stale answer nor fail, however long the replica lags.  It waits
# or fails here: what may go to the primary instead has a test of its own.
sub reader
{
	my ($name, $token, %arg) = @_;
	my $session = $cluster->connect($name);
	$session->do("SET consistency.on_timeout = 'error'");
	$session->do('SET consistency.write_forwarding = off');	# nothing leaves this server
	$session->do("SET consistency.wait_timeout = '$arg{timeout}'") if $arg{timeout};
	$session->do("SET consistency = '$arg{level}'") if $arg{level};
	$session->do("SET consistency.token = '$token'") if $token;
	return $session;
}

# Hands a token to a session without having it waited for: only SET waits.
sub import_token
{
	my ($session, $token) = @_;
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	return;
}

my $read = 'SELECT v FROM t WHERE i = 1';

# --- a replica that replays 300 ms late ---------------------------------

{
	my $stale = 0;
	for (1 .. 3)
	{
		my ($want, $token) = write_value();
		my $eventual = reader('late', $token, level => 'eventual');
		$stale++ if $eventual->value($read) < $want;
		my $session = reader('late', $token);
		is($session->value($read), $want, 'late replica, session: the write is there');
	}
	is($stale, 3, 'late replica, eventual: stale each time');

	my ($want, $token) = write_value();
	my $session = reader('late', undef);
	cmp_ok($session->value($read), '<', $want, 'no token: no promise');
	$session->do("SET consistency.token = '$token'");
	is($session->value($read), $want, 'the token makes the difference');
	my $last = $session->row('SELECT * FROM consistency.last_read()');
	is($last->{level}, 'session', 'last_read: level');
	like($last->{requirement}, qr/\d+:[0-9A-F]+\/[0-9A-F]+/, 'last_read: requirement');

	# levels can change between two reads of one session
	($want, $token) = write_value();
	my $changing = reader('late', undef, level => 'eventual');
	$changing->do("SET consistency.token = '$token'");
	cmp_ok($changing->value($read), '<', $want, 'eventual with a token: taken as it is');
	$changing->do("SET consistency = 'session'");
	is($changing->value($read), $want, 'then session: waited for');
	$last = $changing->row('SELECT * FROM consistency.last_read()');
	is($last->{place}, 'waited', 'last_read: waited');
	isnt($last->{waited}, undef, 'last_read: how long');
}

# --- a replica that stands still ----------------------------------------

$cluster->pause('paused');
my ($want, $token) = write_value();
my $old = $want - 1;

{
	my $eventual = reader('paused', $token, level => 'eventual');
	is($eventual->value($read), $old, 'paused, eventual: stale');
	my $weak = reader('paused', $token, level => 'weak');
	is($weak->value($read), $old, 'paused, weak: stale');
	my $without = reader('paused', undef);
	is($without->value($read), $old, 'paused, session without a token: what is there');

	# every way to run a query ends in the same error
	my $session = reader('paused', $token, timeout => '50ms');
	my $error = $session->error($read);
	is($error->{code}, 'YC001', 'paused, session: timeout, by SQLSTATE');
	my ($position) = $token =~ m{:(\d+:[0-9A-F]+/[0-9A-F]+)$};
	my ($lsn) = $token =~ m{:([0-9A-F]+/[0-9A-F]+)$};
	like("$error->{message} $error->{detail}", qr/\Q$lsn\E/, '... with the position that was wanted');
	my $replayed = $cluster->sql('paused', 'SELECT pg_last_wal_replay_lsn()');
	like($error->{detail}, qr/\Q$replayed\E/, '... and the one that was reached');
	like($error->{hint}, qr/consistency\.wait_timeout/, '... and a hint');

	my %way = (
		'simple protocol' => sub { $_[0]->query($read)->{error} },
		'extended protocol' => sub { $_[0]->execute('SELECT v FROM t WHERE i = $1', 1)->{error} },
		'COPY' => sub { $_[0]->query("COPY ($read) TO STDOUT")->{error} },
		'COPY of a table' => sub { $_[0]->query('COPY t TO STDOUT')->{error} },
		'TABLE' => sub { $_[0]->query('TABLE t')->{error} },
		'VALUES over a subquery' => sub { $_[0]->query('VALUES ((SELECT v FROM t WHERE i = 1))')->{error} },
		'EXPLAIN ANALYZE' => sub { $_[0]->query("EXPLAIN ANALYZE $read")->{error} },
		'PREPARE and EXECUTE' => sub {
			$_[0]->query("PREPARE e AS $read");
			return $_[0]->query('EXECUTE e')->{error};
		},
		'EXPLAIN ANALYZE EXECUTE' => sub {
			$_[0]->query("PREPARE x AS $read");
			return $_[0]->query('EXPLAIN ANALYZE EXECUTE x')->{error};
		},
		'DO' => sub { $_[0]->query("DO \$\$ BEGIN PERFORM v FROM t WHERE i = 1; END \$\$")->{error} },
		'a cursor' => sub {
			my $error = $_[0]->query("BEGIN; DECLARE c CURSOR FOR $read; FETCH c")->{error};
			$_[0]->query('ROLLBACK');
			return $error;
		},
		'a cursor that is held' => sub {
			my $error = $_[0]->query("BEGIN; DECLARE c CURSOR WITH HOLD FOR $read; COMMIT")->{error};
			$_[0]->query('ROLLBACK');
			return $error;
		},
		'an explicit transaction' => sub {
			my $error = $_[0]->query("BEGIN; $read")->{error};
			$_[0]->query('ROLLBACK');
			return $error;
		},
		'REPEATABLE READ' => sub {
			my $error = $_[0]->query("BEGIN ISOLATION LEVEL REPEATABLE READ; $read")->{error};
			$_[0]->query('ROLLBACK');
			return $error;
		},
		'wait_for' => sub { $_[0]->query("CALL consistency.wait_for('$token')")->{error} },
		'wait_for with a timeout of its own' => sub {
			$_[0]->query("CALL consistency.wait_for('$token', '10 ms')")->{error};
		});
	foreach my $name (sort keys %way)
	{
		my $result = $way{$name}->($session);
		is($result && $result->{code}, 'YC001', "paused: $name runs into the timeout");
		is($session->status, 'I', "... and the session is fit for more after $name");
	}
	# what reads no table needs no position
	is($session->query('SHOW server_version')->{error}, undef, 'SHOW is no read');
	is($session->query('SET application_name = \'x\'')->{error}, undef, 'SET is no read');
	is($session->query('BEGIN')->{error} // $session->query('COMMIT')->{error},
		undef, 'BEGIN and COMMIT are no reads');
	is($session->query("EXPLAIN $read")->{error}, undef, 'EXPLAIN without ANALYZE reads nothing');
	$session->do("SET consistency = 'eventual'");
	is($session->value($read), $old, 'and under eventual it goes on');
}

# functions written here are replayed only later: write them first
$cluster->resume('paused');
$app->do(q{CREATE FUNCTION in_plpgsql() RETURNS int LANGUAGE plpgsql STABLE
	AS $$ DECLARE r int; BEGIN SELECT v INTO r FROM t WHERE i = 1; RETURN r; END $$});
$app->do(q{CREATE FUNCTION in_sql() RETURNS int LANGUAGE sql STABLE
	AS $$ SELECT v FROM t WHERE i = 1 $$});
$app->do(q{CREATE FUNCTION in_volatile() RETURNS int LANGUAGE plpgsql VOLATILE
	AS $$ DECLARE r int; BEGIN EXECUTE 'SELECT v FROM t WHERE i = 1' INTO r; RETURN r; END $$});
$app->do(q{CREATE FUNCTION in_loop() RETURNS int LANGUAGE plpgsql
	AS $$ DECLARE r record; s int := 0; BEGIN FOR r IN SELECT v FROM t WHERE i <= 3 LOOP s := s + r.v; END LOOP; RETURN s; END $$});
$app->do(q{CREATE FUNCTION in_exception() RETURNS int LANGUAGE plpgsql
	AS $$ DECLARE r int; BEGIN BEGIN SELECT v INTO r FROM t WHERE i = 1; RETURN r;
	      EXCEPTION WHEN division_by_zero THEN RETURN -1; END; END $$});
$app->do(q{CREATE FUNCTION in_eventual() RETURNS int LANGUAGE plpgsql SET consistency = 'eventual'
	AS $$ DECLARE r int; BEGIN SELECT v INTO r FROM t WHERE i = 1; RETURN r; END $$});
$app->do(q{CREATE FUNCTION in_session() RETURNS int LANGUAGE plpgsql SET consistency = 'session'
	AS $$ DECLARE r int; BEGIN SELECT v INTO r FROM t WHERE i = 1; RETURN r; END $$});
$app->do('CREATE TABLE granted AS SELECT 1 AS i');
$app->do('GRANT SELECT ON granted TO other');
$app->do('CREATE VIEW seen AS SELECT v FROM t WHERE i = 1');
$app->do('CREATE MATERIALIZED VIEW stored AS SELECT v FROM t WHERE i = 1');
$cluster->wait_replayed;
$cluster->pause('paused');

# The reads of this table wait; replay goes on while they do; then they show
# what the token holds.
sub waits_and_sees
{
	my ($what, $run, %arg) = @_;
	my ($want, $token) = write_value();
	my $session = reader('paused', undef);
	$arg{before}->($session) if $arg{before};
	import_token($session, $token);
	$run->{send}->($session);
	$cluster->wait_for_wait('paused', $session->pid);
	$cluster->resume('paused');
	my $result = $session->finish;
	is($result->{error} && "$result->{error}{code} $result->{error}{message}", undef, "$what: no error");
	my $got = $arg{got} ? $arg{got}->($result) : $result->{rows}[0][0];
	is($got, $want, "$what: waits, then shows the write");
	$session->close;
	$cluster->wait_replayed('paused');
	$cluster->pause('paused');
	return;
}
sub query_of { my ($sql) = @_; return { send => sub { $_[0]->send_query($sql) } }; }

waits_and_sees('simple protocol', query_of($read));
waits_and_sees('extended protocol',
	{ send => sub { $_[0]->send_execute('SELECT v FROM t WHERE i = $1', 1) } });
waits_and_sees('generic plan',
	{ send => sub { $_[0]->send_run('g', 1) } },
	before => sub {
		$_[0]->do("SET plan_cache_mode = 'force_generic_plan'");
		$_[0]->prepare('g', 'SELECT v FROM t WHERE i = $1');
		$_[0]->run('g', 2) for 1 .. 2;
	});
waits_and_sees('custom plan',
	{ send => sub { $_[0]->send_run('g', 1) } },
	before => sub {
		$_[0]->prepare('g', 'SELECT v FROM t WHERE i = $1');
		$_[0]->run('g', 2);
	});
waits_and_sees('PL/pgSQL', query_of('SELECT in_plpgsql()'));
waits_and_sees('PL/pgSQL without a table', query_of('SELECT in_plpgsql() + 0'));
waits_and_sees('SQL function', query_of('SELECT in_sql()'));
waits_and_sees('volatile function', query_of('SELECT in_volatile()'));
waits_and_sees('loop in a function', query_of('SELECT in_loop()'));
waits_and_sees('exception block', query_of('SELECT in_exception()'));
waits_and_sees('view', query_of('SELECT v FROM seen'));
waits_and_sees('COPY', query_of("COPY ($read) TO STDOUT"));
waits_and_sees('read only transaction', query_of("BEGIN; $read"));
waits_and_sees('DO block in a session setting', query_of(
	"DO \$\$ BEGIN PERFORM set_config('my.value', (SELECT v::text FROM t WHERE i = 1), false); END \$\$;"
	  . "SELECT current_setting('my.value')"));
waits_and_sees('cursor', query_of("BEGIN; DECLARE c CURSOR FOR $read; FETCH c"));
waits_and_sees('REPEATABLE READ', query_of("BEGIN ISOLATION LEVEL REPEATABLE READ; $read"));
waits_and_sees('EXPLAIN ANALYZE',
	query_of('EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT 1 FROM t WHERE v = (SELECT max(v) FROM t)'),
	got => sub { join("\n", map { $_->[0] } @{ $_[0]{rows} }) =~ /actual rows=1/ ? $value : 'none' });

# the requirement of the outer statement is the one that counts
{
	my ($want, $token) = write_value();
	my $session = reader('paused', $token, timeout => '50ms');
	is($session->error('SELECT in_eventual()')->{code},
		'YC001', 'a function under eventual does not weaken the statement that calls it');
	$session->do("SET consistency = 'eventual'");
	is($session->value('SELECT in_eventual()'), $want - 1, 'eventual in eventual: stale');
}

# ... but a function under session gets what it asks for, whoever calls it
{
	my ($want, $token) = write_value();
	my $session = reader('paused', $token, level => 'eventual', timeout => '50ms');
	is($session->error('SELECT in_session()')->{code},
		'YC001', 'a function under session is kept from reading stale under eventual');
	cmp_ok($session->value($read), '<', $want, '... while its caller takes what is there');
}
waits_and_sees('function under session, called under eventual', query_of('SELECT in_session()'),
	before => sub { $_[0]->do("SET consistency = 'eventual'") });

# What was revoked while a statement waited holds for it.
{
	my ($want, $token) = write_value();
	my $other = $cluster->connect('paused', user => 'other');
	$other->do("SET consistency.on_timeout = 'error'");	# otherwise it goes to the primary at once
	is($other->value('SELECT count(*) FROM granted'), 1, 'REVOKE: before it, the role may read');
	$app->do('REVOKE SELECT ON granted FROM other');
	import_token($other, $app->parameter('consistency.token'));
	$other->send_query('SELECT count(*) FROM granted');
	$cluster->wait_for_wait('paused', $other->pid);
	$cluster->resume('paused');
	my $result = $other->finish;
	is($result->{error} && $result->{error}{code}, '42501', 'REVOKE while the statement waits: holds for it');
	$cluster->wait_replayed('paused');
	$cluster->pause('paused');
}

# --- transactions -------------------------------------------------------

{
	# wait before the first snapshot: all reads of the transaction are alike
	my ($want, $token) = write_value();
	my $session = reader('late', $token);
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($session->value($read), $want, 'REPEATABLE READ: waits before its snapshot');
	write_value();
	$cluster->wait_replayed('late');
	is($session->value($read), $want, 'REPEATABLE READ: then repeats it');
	$session->do('COMMIT');

	# a token that comes when the snapshot is there already can't be honoured
	$session = reader('late', undef);
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $before = $session->value($read);
	($want, $token) = write_value();
	$session->do("SET consistency.token = '$token'");
	is($session->error($read)->{code}, '40001',
		'REPEATABLE READ: a token newer than the snapshot is an error worth a retry');
	$session->do('ROLLBACK');
	is($session->value($read), $want, '... and the retry shows it');

	# READ COMMITTED takes it in the middle of a transaction
	$session = reader('late', undef);
	$session->do('BEGIN');
	$session->do($read);
	($want, $token) = write_value();
	$session->do("SET consistency.token = '$token'");
	is($session->value($read), $want, 'READ COMMITTED: a token in the middle of a transaction');
	$session->do('SAVEPOINT s');
	is($session->value($read), $want, '... behind a savepoint');
	$session->query('SELECT 1/0');
	$session->do('ROLLBACK TO s');
	is($session->value($read), $want, '... and when that was rolled back');
	$session->do('COMMIT');

	# a cursor shows what was there when it was opened, and waiting with it
	# open is possible
	$session = reader('late', undef);
	$session->do('BEGIN');
	$session->do('DECLARE c CURSOR FOR SELECT v FROM t WHERE i <= 2 ORDER BY i');
	$before = $session->value('FETCH c');
	($want, $token) = write_value();
	$session->do("SET consistency.token = '$token'");
	is($session->value($read), $want, 'a cursor is open: reads beside it wait');
	is($session->value('FETCH c'), 0, '... and the cursor goes on');
	$session->do('COMMIT');
}

# --- DDL and privileges count as writes ---------------------------------

{
	my $session = reader('late', undef);
	$app->do('CREATE TABLE fresh AS SELECT 42 AS answer');
	my $token = $app->parameter('consistency.token');
	is($session->error('SELECT answer FROM fresh')->{code}, '42P01', 'DDL: not there yet without a token');
	$app->do('CREATE TABLE fresher AS SELECT 43 AS answer');
	$token = $app->parameter('consistency.token');
	$session->do("SET consistency.token = '$token'");
	is($session->value('SELECT answer FROM fresher'), 43, 'DDL: there with its token');

	$app->do('ALTER TABLE fresher ADD COLUMN more text DEFAULT \'x\'');
	$session->do("SET consistency.token = '" . $app->parameter('consistency.token') . "'");
	is($session->text('SELECT * FROM fresher'), '43|x', 'DDL: a new column');

	# a prepared statement that was analysed before it
	$session->prepare('f', 'SELECT count(*) FROM fresher');
	$session->run('f');
	$app->do('CREATE INDEX ON fresher (answer)');
	$app->do('INSERT INTO fresher VALUES (44)');
	$session->do("SET consistency.token = '" . $app->parameter('consistency.token') . "'");
	is($session->run('f')->{rows}[0][0], 2, 'DDL: a statement that was prepared before');

	$app->do('GRANT SELECT ON fresher TO other');
	$cluster->wait_replayed('late');
	my $other = $cluster->connect('late', user => 'other');
	is($other->value('SELECT count(*) FROM fresher'), 2, 'GRANT: the other role may read');
	$app->do('REVOKE SELECT ON fresher FROM other');
	$other->do("SET consistency.token = '" . $app->parameter('consistency.token') . "'");
	is($other->error('SELECT count(*) FROM fresher')->{code},
		'42501', 'REVOKE: holds for a session that knows of it');
}

# --- waiting holds nothing back -----------------------------------------

# On this replica replay waits for queries for ever.  A session that waits with
# a snapshot would hold back the cleanup record that stands before its write,
# and both would wait for each other.
{
	$app->do('CREATE TABLE dead (i int, filler text)');
	$app->do(q{INSERT INTO dead SELECT g, repeat('x', 500) FROM generate_series(1, 2000) g});
	$cluster->wait_replayed('patient');
	$cluster->pause('patient');

	my $session = reader('patient', undef);
	is($session->value('SELECT count(*) FROM dead'), 2000, 'cleanup: all rows');
	$app->do('DELETE FROM dead WHERE i > 1');
	# the horizon has to pass the delete
	$cluster->sql('primary', 'SELECT pg_current_xact_id()');
	$cluster->sql('primary', 'VACUUM (FREEZE, TRUNCATE off) dead');
	my ($want, $token) = write_value();

	import_token($session, $token);
	$session->do("SET consistency.wait_timeout = '10min'");
	$session->send_query("SELECT count(*) FROM dead, t WHERE t.i = 1 AND t.v = $want");
	$cluster->wait_for_wait('patient', $session->pid);
	is( $cluster->sql('patient',
			'SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = ' . $session->pid),
		't',
		'a session that waits shows no xmin');
	$cluster->resume('patient');
	my $result = $session->finish;
	is($result->{error}, undef, 'cleanup: no error');
	is($result->{rows}[0][0], 1, 'cleanup: replay passed it while the session waited');
	is( $cluster->sql('patient', 'SELECT sum(confl_snapshot + confl_lock) FROM pg_stat_database_conflicts'),
		0, 'cleanup: nobody was cancelled');

	# control: that record does conflict with a snapshot that is held
	$app->do(q{INSERT INTO dead SELECT g, repeat('x', 500) FROM generate_series(1, 2000) g});
	$cluster->wait_replayed('patient');
	my $holder = reader('patient', undef, level => 'eventual');
	$holder->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$holder->do('SELECT count(*) FROM dead');
	$app->do('DELETE FROM dead');
	$cluster->sql('primary', 'SELECT pg_current_xact_id()');
	$cluster->sql('primary', 'VACUUM (FREEZE, TRUNCATE off) dead');
	($want, $token) = write_value();
	$cluster->node('patient')->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'startup'
		  AND wait_event IN ('RecoveryConflictSnapshot', 'RecoveryConflictTablespace')});
	pass('control: the record waits for a snapshot that is held');

	# the holder itself asks for what comes behind it: that can never be
	$holder->do("SET consistency = 'session'");
	$holder->do("SET consistency.wait_timeout = '10min'");
	$holder->send_query("SET consistency.token = '$token'");
	my $set = $holder->finish;
	my $error = $set->{error} // $holder->error($read);
	is($error->{code}, '40001', 'a session that blocks the replay it waits for gets a retryable error');
	$holder->do('ROLLBACK');	# takes back the level as well
	$holder->do("SET consistency = 'session'");
	is($holder->value($read), $want, '... and the retry works');
}

# Utility statements that bring rows give up their snapshots, too.
foreach my $sql ('EXECUTE e', 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT v FROM t WHERE i = 1')
{
	my $session = reader('patient', undef);
	$session->do("PREPARE e AS $read");
	$session->do("SET consistency.wait_timeout = '10min'");
	$cluster->wait_replayed('patient');
	$cluster->pause('patient');
	$app->do('INSERT INTO dead SELECT generate_series(10000, 11000)');
	$app->do('DELETE FROM dead WHERE i >= 10000');
	$cluster->sql('primary', 'SELECT pg_current_xact_id()');
	$cluster->sql('primary', 'VACUUM (FREEZE, TRUNCATE off) dead');
	my ($want, $token) = write_value();
	import_token($session, $token);
	$session->send_query($sql);
	$cluster->wait_for_wait('patient', $session->pid);
	$cluster->resume('patient');
	my $result = $session->finish;
	is($result->{error} && $result->{error}{message}, undef, "cleanup: $sql holds nothing back");
}

# Locks: the transaction holds one that replay needs.
{
	my $session = reader('patient', undef);
	$session->do("SET consistency.wait_timeout = '10min'");
	$session->do('BEGIN');
	$session->do('SELECT count(*) FROM dead');
	$app->do('ALTER TABLE dead ADD COLUMN late int');
	my ($want, $token) = write_value();
	$session->send_query("SET consistency.token = '$token'");
	my $set = $session->finish;
	my $error = $set->{error} // $session->error($read);
	is($error->{code}, '40001', 'locks: a session that blocks the replay it waits for gets a retryable error');
	$session->do('ROLLBACK');
	is($session->value($read), $want, 'locks: the retry works');

	# a lock of somebody else: waits for him, and goes on when he is done
	my $holder = reader('patient', undef, level => 'eventual');
	$holder->do('BEGIN');
	$holder->do('SELECT count(*) FROM dead');
	$app->do('ALTER TABLE dead ADD COLUMN later int');
	($want, $token) = write_value();
	import_token($session, $token);
	$session->do("SET consistency.wait_timeout = '10min'");
	$session->send_query($read);
	$cluster->wait_for_wait('patient', $session->pid);
	$holder->do('COMMIT');
	is($session->finish->{rows}[0][0], $want, 'locks: those of others are waited for');
}

# --- a wait can be ended ------------------------------------------------

{
	my ($want, $token) = write_value();
	my $session = reader('paused', undef);
	import_token($session, $token);
	$session->do("SET consistency.wait_timeout = '10min'");

	$session->send_query($read);
	$cluster->wait_for_wait('paused', $session->pid);
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'cancel ends a wait');
	is($session->status, 'I', '... and the session lives');

	$session->do("SET statement_timeout = '100ms'");
	my $error = $session->error($read);
	is($error->{code}, '57014', 'statement_timeout ends a wait');
	like($error->{message}, qr/statement timeout/, '... and says so');
	$session->do('RESET statement_timeout');

	# the SET waits as well
	my $setter = reader('paused', undef);
	$setter->do("SET consistency.wait_timeout = '10min'");
	$setter->send_query("SET consistency.token = '$token'");
	$cluster->wait_for_wait('paused', $setter->pid);
	$setter->cancel;
	my $result = $setter->finish;
	ok(!$result->{error} || $result->{error}{code} eq '57014', 'cancel ends the wait of a SET');

	# a client that goes away doesn't leave a backend that waits
	$session->send_query($read);
	my $pid = $session->pid;
	$cluster->wait_for_wait('paused', $pid);
	$cluster->sql('paused', "SELECT pg_terminate_backend($pid)");
	$cluster->node('paused')->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid")
	  or fail('a waiting backend cannot be terminated');
	pass('a waiting backend can be terminated');

	# fast shutdown isn't held up by one either
	$session = reader('paused', undef);
	import_token($session, $token);
	$session->do("SET consistency.wait_timeout = '10min'");
	$session->send_query($read);
	$cluster->wait_for_wait('paused', $session->pid);
	$cluster->node('paused')->stop('fast');
	pass('shutdown is not held up by a waiting session');
	$cluster->node('paused')->start;
	$session = reader('paused', $token);
	is($session->value($read), $want, 'after the restart the read works');
}

# --- many wait at once --------------------------------------------------

{
	$cluster->pause('paused');
	my ($want, $token) = write_value();
	my @session = map { reader('paused', undef) } 1 .. 20;
	foreach my $session (@session)
	{
		import_token($session, $token);
		$session->do("SET consistency.wait_timeout = '10min'");
		$session->send_query($read);
	}
	$cluster->wait_for_wait('paused', $_->pid) for @session;
	$cluster->resume('paused');
	my @got = map { $_->finish->{rows}[0][0] // 'none' } @session;
	is("@got", join(' ', ($want) x 20), 'twenty sessions wait, all are woken');
}

# --- tokens that can't be met -------------------------------------------

{
	my $session = reader('paused', undef, timeout => '50ms');
	my $far = $token =~ s{:[0-9A-F]+/[0-9A-F]+$}{:FFFF/0}r;
	$session->do("SET consistency.token = '$far'");
	is($session->error($read)->{code}, 'YC001', 'a position far ahead: timeout');
	$session->do('RESET consistency.token');
	is($session->value($read), $value, 'cleared: the session goes on');
	# wait_for doesn't make it part of the session
	is($session->error("CALL consistency.wait_for('$far', '10ms')")->{code},
		'YC001', 'wait_for a position far ahead: timeout');
}

# linearizable is the primary's
{
	my ($want) = write_value();
	my $session = reader('paused', undef, level => 'linearizable');
	is($session->value($read), $want, 'linearizable at a replica: the newest');
	is($session->row('SELECT * FROM consistency.last_read()')->{place},
		'forwarded', '... from the primary');
	$session->do("SET consistency.routing = 'off'");
	is($session->error($read)->{code}, '0A000', '... or an error, where it must not leave');
}

done_testing();
