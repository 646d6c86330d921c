# Nodes that die, hang, conflict or change their role while a read is there.
# Rows that were handed on can't be taken back; before that, the answer comes
# from elsewhere.  Nothing hangs.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ]);
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $near = $cluster->node('near');

$app->do('CREATE TABLE one (i int)');
$app->do('INSERT INTO one VALUES (1)');
$app->do('CREATE TABLE big (i int, filler text)');
$app->do(q{INSERT INTO big SELECT g, repeat('x', 1000) FROM generate_series(1, 100000) g});
# stable by its label: so that a routed statement lasts as long as a test needs
$app->do(q{CREATE FUNCTION nap(s float8) RETURNS int LANGUAGE plpgsql STABLE
	AS $$ BEGIN PERFORM pg_sleep(s); RETURN 1; END $$});

sub place { return $_[0]->value('SELECT place FROM consistency.last_read()'); }

# Waits until a session's reads leave.
sub settle
{
	my ($session) = @_;
	$cluster->wait_replayed('near');
	$session->do("SET consistency.routing = 'always'");
	wait_until(
		sub { $session->do('SELECT i FROM one'); return place($session) eq 'routed'; },
		'reads are routed');
	return;
}

# A new session whose reads leave.
sub routed
{
	my $session = $cluster->connect('primary');
	settle($session);
	return $session;
}

# Backends at the replica that run a statement which contains a text.
sub running
{
	my ($text) = @_;
	return $cluster->sql('near',
		"SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE state = 'active'"
		  . " AND usename = 'app' AND query LIKE '%$text%'");
}

sub back_up
{
	$cluster->wait_all_up;
	return;
}

# --- killed in the middle of a result -----------------------------------

{
	# the rows don't fit into the buffers on the way, so the statement is still
	# running there while the client has the first of them
	my $session = routed();
	$session->send_query('SELECT i, filler FROM big');
	$session->read_until('D') for 1 .. 10;
	wait_until(sub { running('big') ne '' }, 'the statement runs at the replica');
	$near->stop('immediate');
	my $result = $session->finish;
	isnt($result->{error}, undef, 'replica killed after rows were handed on: an error');
	like($result->{error}{message} . $result->{error}{detail} . $result->{error}{context},
		qr/near/, '... that names the node');
	like($result->{error}{code}, qr/^(08|57|40|58)/, '... of a class that drivers know');
	is($session->status, 'I', '... the session lives');
	is($session->value('SELECT count(*) FROM big'), 100000, '... and the next read is answered');
	isnt(place($session), 'routed', '... by the primary');
	$near->start;
	back_up();
}

# a cursor that is fetched from in portions would hold up replay over there
{
	my $session = routed();
	$session->do('BEGIN');
	$session->do('DECLARE c CURSOR FOR SELECT i, filler FROM big');
	is($session->value('FETCH c'), 1, 'a cursor');
	isnt(place($session), 'routed', '... fetched from in portions stays at the primary');
	is(running('big'), '', '... and nothing runs at the replica');
	$near->stop('immediate');
	is($session->value('FETCH c'), 2, '... which may die');
	$session->do('ROLLBACK');
	is($session->value('SELECT i FROM one'), 1, '... and the session lives');
	$near->start;
	back_up();
}

# before the first row: the primary answers
{
	my $session = routed();
	$session->send_query('SELECT nap(3) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	$near->stop('immediate');
	my $result = $session->finish;
	is($result->{error} && $result->{error}{message}, undef, 'replica killed before the first row: no error');
	is($result->{rows}[0][0], 2, '... but the answer');
	isnt(place($session), 'routed', '... from the primary');

	# it is dead and the picture may not tell yet
	my $other = $cluster->connect('primary');
	$other->do("SET consistency.routing = 'always'");
	is($other->value('SELECT i FROM one'), 1, 'a replica that is dead: the answer');
	isnt(place($other), 'routed', '... from the primary');
	$near->start;
	back_up();

	# an idle connection that has died
	settle($session);
	$near->restart('fast');
	back_up();
	is($session->value('SELECT i FROM one'), 1, 'an idle connection lost by a restart: the answer');
	wait_until(sub { $session->do('SELECT i FROM one'); place($session) eq 'routed' }, 'routed again');
	pass('... and then a new connection');

	# one backend terminated, the node is well
	settle($session);
	$session->send_query('SELECT nap(3) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	$cluster->sql('near', 'SELECT pg_terminate_backend(' . running('nap') . ')');
	$result = $session->finish;
	is($result->{rows}[0][0], 2, 'remote backend terminated: the answer');
	$session->do('BEGIN');
	$session->do('SELECT i FROM one');
	$cluster->sql('near',
		q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'});
	is($session->value('SELECT i FROM one'), 1, 'remote connections terminated inside a transaction: the answer');
	$session->do('COMMIT');
}

# --- a replica that hangs -----------------------------------------------

{
	my $session = routed();
	my @stopped = processes($near);
	kill 'STOP', @stopped;
	# whatever the picture says: no hang, the primary answers
	$session->do("SET consistency.wait_timeout = '1s'");
	my $result = $session->query('SELECT i FROM one');
	is($result->{error} && $result->{error}{message}, undef, 'replica stopped: no error');
	is($result->{rows}[0][0], 1, '... but the answer');
	isnt(place($session), 'routed', '... from the primary');
	# a session without a connection there yet
	my $fresh = $cluster->connect('primary');
	$fresh->do("SET consistency.routing = 'always'");
	$result = $fresh->query('SELECT i FROM one');
	is($result->{rows}[0] && $result->{rows}[0][0], 1, 'replica stopped: a new session is answered');
	$cluster->primary->poll_query_until('postgres',
		q{SELECT state = 'down' FROM consistency.nodes WHERE name = 'near'});
	kill 'CONT', @stopped;
	back_up();
	settle($session);
	pass('woken: reads leave again');

	# stopped in the middle of a result: the client can give up
	$session->send_query('SELECT i, filler FROM big');
	$session->read_until('D') for 1 .. 10;
	@stopped = processes($near);
	kill 'STOP', @stopped;
	$session->cancel;
	$result = $session->finish;
	is($result->{error}{code}, '57014', 'replica stopped in the middle of a result: cancel ends it');
	is($session->value('SELECT i FROM one'), 1, '... and the session lives');
	kill 'CONT', @stopped;
	back_up();

	settle($session);
	$session->do("SET statement_timeout = '500ms'");
	$session->send_query('SELECT nap(600) + i FROM one');
	wait_until(sub { running('nap') ne '' || $session->ready }, 'the statement runs at the replica');
	@stopped = processes($near);
	kill 'STOP', @stopped;
	is($session->finish->{error}{code}, '57014', 'statement_timeout against a replica that hangs');
	kill 'CONT', @stopped;
	back_up();
	wait_until(sub { running('nap') eq '' }, 'the remote statement ends');
	pass('... and the statement there ends once it is awake');
}

# --- cancel -------------------------------------------------------------

{
	my $session = routed();
	$session->send_query('SELECT nap(600) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	$session->cancel;
	my $error = $session->finish->{error};
	is($error->{code}, '57014', 'cancel: the usual error');
	like($error->{message}, qr/user request/, '... in the usual words');
	wait_until(sub { running('nap') eq '' }, 'the remote statement ends');
	pass('cancel reaches the remote statement');
	is($session->value('SELECT i FROM one'), 1, 'the next read');

	$session->do("SET statement_timeout = '300ms'");
	$error = $session->error('SELECT nap(600) + i FROM one');
	is($error->{code}, '57014', 'statement_timeout: the usual error');
	like($error->{message}, qr/statement timeout/, '... in the usual words');
	wait_until(sub { running('nap') eq '' }, 'the remote statement ends');
	pass('statement_timeout reaches the remote statement');
	$session->do('RESET statement_timeout');
	is($session->value('SELECT i FROM one'), 1, 'the next read');

	# a statement that was cancelled isn't run again at the primary
	is($dba->value(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%nap(%' AND state = 'active' AND pid <> pg_backend_pid()}),
		0, 'nothing of it runs at the primary');

	# in a transaction and a savepoint
	$session->do('BEGIN');
	$session->do('SAVEPOINT s');
	$session->send_query('SELECT nap(600) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'cancel in a transaction');
	$session->do('ROLLBACK TO s');
	is($session->value('SELECT i FROM one'), 1, '... and back to the savepoint');
	$session->do('COMMIT');

	# in the middle of a result
	$session->send_query('SELECT i, filler FROM big');
	$session->read_until('D') for 1 .. 10;
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'cancel in the middle of a result');
	wait_until(sub { running('big') eq '' }, 'the remote statement ends');
	pass('... which ends there');
	is($session->value('SELECT count(*) FROM big'), 100000, 'the next read');

	# ... though the rows that came count as seen
	$dba->do('INSERT INTO one VALUES (2)');
	$cluster->wait_replayed('near');
	$session->do("SET consistency = 'eventual'");
	$session->send_query('SELECT i, filler FROM big');
	$session->read_until('D') for 1 .. 10;
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'cancel in the middle of a result, again');
	cmp_ok(lsn_of($session->parameter('consistency.token')), '>=', lsn_of($dba->parameter('consistency.token')),
		'... after which the client is told of what it may have seen');
	$session->do('RESET consistency');
	$dba->do('DELETE FROM one WHERE i = 2');
	settle($session);

	# a client that leaves a result unread in a portal, and one that closes it early
	$session->do('BEGIN');
	$session->send_parse('', 'SELECT i, filler FROM big');
	$session->send_bind('p', '');
	$session->send_fetch('p', 5);
	$session->sync;
	$session->finish;
	$session->do('ROLLBACK');
	wait_until(sub { running('big') eq '' }, 'a result left half read ends at the replica');
	pass('a result left half read is not kept at the replica');
	is($session->value('SELECT i FROM one'), 1, 'the next read');
}

# --- the session at the primary dies ------------------------------------

{
	my $session = routed();
	$session->send_query('SELECT nap(600) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	$dba->do('SELECT pg_terminate_backend(' . $session->pid . ')');
	eval { $session->finish };
	wait_until(sub { running('nap') eq '' }, 'the remote statement ends');
	pass('primary backend terminated: no statement is left at the replica');

	# killed without a chance to say so: its connection breaks
	$cluster->sql('near', q{ALTER SYSTEM SET client_connection_check_interval = '100ms'});
	$near->reload;
	$session = routed();
	$session->send_query('SELECT nap(600) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	my @left = processes($cluster->primary);
	$cluster->primary->kill9;
	eval { $session->finish };
	wait_until(sub { running('nap') eq '' }, 'the remote statement ends');
	pass('primary killed: no statement is left at the replica');
	wait_until(sub { !kill 0, @left }, 'all processes of the primary end');
	pass('... and no process at the primary');
	$cluster->primary->start;
	back_up();
	$app = $cluster->connect('primary');
	$dba = $cluster->connect('primary', user => $cluster->superuser);

	# the client goes away in the middle of a result
	$session = routed();
	$session->send_query('SELECT i, filler FROM big');
	$session->read_until('D') for 1 .. 10;
	$session->abandon;
	wait_until(sub { running('big') eq '' }, 'the remote statement ends');
	pass('client gone in the middle of a result: nothing is left at the replica');
}

# --- recovery conflicts at the replica ----------------------------------

# Dead rows are removed at the primary while the replica stands still; then a
# read under eventual starts there with a snapshot that still needs them, and
# replay goes on.
my $before_vacuum;

sub conflict
{
	my ($session, $sql) = @_;
	$dba->do('CREATE TABLE IF NOT EXISTS churn AS SELECT g AS i FROM generate_series(1, 1000) g');
	$dba->do('INSERT INTO churn SELECT generate_series(1, 1000)');
	settle($session);
	$session->do("SET consistency = 'eventual'");
	$cluster->pause('near');
	$dba->do('DELETE FROM churn');
	$dba->do('SELECT pg_current_xact_id()');
	$before_vacuum = $dba->value('SELECT pg_current_wal_flush_lsn()');
	$dba->do('VACUUM (FREEZE, TRUNCATE off) churn');
	$session->send_query($sql);
	return;
}

{
	$cluster->sql('near', q{ALTER SYSTEM SET max_standby_streaming_delay = 0});
	$near->reload;

	# before the first row: cancelled there by replay, answered here
	my $session = routed();
	conflict($session, 'SELECT nap(3) + i FROM one');
	wait_until(sub { running('nap') ne '' }, 'the statement runs at the replica');
	$cluster->resume('near');
	my $result = $session->finish;
	is($result->{error} && $result->{error}{message}, undef, 'recovery conflict before the first row: no error');
	is($result->{rows}[0] && $result->{rows}[0][0], 2, '... but the answer');
	isnt(place($session), 'routed', '... from the primary');
	ok($near->poll_query_until('postgres', 'SELECT sum(confl_snapshot) > 0 FROM pg_stat_database_conflicts'),
		'... and there was a conflict');

	# after rows were handed on: the real error, with the node's name
	conflict($session, 'SELECT i, filler FROM big');
	$session->read_until('D') for 1 .. 10;
	$cluster->resume('near');
	# Replay gets to the record in question and stays there: the backend, which
	# can't send on, is to end its statement as soon as we read on.
	wait_until(
		sub {
			my (undef, $reached) = $near->psql('postgres', "SELECT pg_last_wal_replay_lsn() >= '$before_vacuum'");
			return $reached eq 't';
		},
		'replay gets to what VACUUM has done');
	my $error = $session->finish->{error};
	is($error && $error->{code}, '40001', 'recovery conflict after rows were handed on: a retryable error');
	like($error && "$error->{message}$error->{detail}$error->{context}", qr/near/, '... that names the node');
	is($session->value('SELECT count(*) FROM big'), 100000, '... and the session lives');
	$cluster->sql('near', q{ALTER SYSTEM RESET max_standby_streaming_delay});
	$near->reload;
}

# --- the replica says no ------------------------------------------------

{
	my $session = routed();
	$dba->do(q{ALTER USER MAPPING FOR app SERVER near OPTIONS (SET password 'not it')});
	$cluster->wait_replayed('near');
	is($session->value('SELECT i FROM one'), 1, 'the mapping has changed: an answer');
	my $fresh = $cluster->connect('primary');
	$fresh->do("SET consistency.routing = 'always'");
	is($fresh->value('SELECT i FROM one'), 1, 'a wrong password in the mapping: the primary answers');
	isnt(place($fresh), 'routed', '... itself');
	$dba->do(q{ALTER USER MAPPING FOR app SERVER near OPTIONS (DROP password)});
	my $bare = $cluster->connect('primary');
	$bare->do("SET consistency.routing = 'always'");
	is($bare->value('SELECT i FROM one'), 1, 'no password in the mapping: the primary answers');
	isnt(place($bare), 'routed', '... itself');
	$dba->do('DROP USER MAPPING FOR app SERVER near');
	my $none = $cluster->connect('primary');
	$none->do("SET consistency.routing = 'always'");
	is($none->value('SELECT i FROM one'), 1, 'no mapping: the primary answers');
	isnt(place($none), 'routed', '... itself');
	$dba->do(q{CREATE USER MAPPING FOR app SERVER near OPTIONS (user 'app', password 'app secret')});
	settle($none);
	pass('mapping as before: reads leave again');
}

# logins that must not serve the role, and a server that isn't this database:
# the node would answer, but it isn't asked
{
	$cluster->sql('primary', <<'SQL');
CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss secret' IN ROLE by_password;
CREATE DATABASE elsewhere;
SQL
	$cluster->sql('primary', 'CREATE EXTENSION consistency; CREATE TABLE one AS SELECT 99 AS i; GRANT SELECT ON one TO PUBLIC',
		'elsewhere');
	$cluster->wait_replayed('near');
	foreach my $case (
		[ 'a mapping to a superuser',
			q{ALTER USER MAPPING FOR app SERVER near OPTIONS (SET user 'boss', SET password 'boss secret')} ],
		[ 'another database',
			q{ALTER USER MAPPING FOR app SERVER near OPTIONS (SET user 'app', SET password 'app secret')},
			q{ALTER SERVER near OPTIONS (SET dbname 'elsewhere')} ])
	{
		my ($what, @sql) = @$case;
		$dba->do($_) for @sql;
		back_up();
		my $session = $cluster->connect('primary');
		$session->do("SET consistency = 'eventual'");
		$session->do("SET consistency.routing = 'always'");
		my %reason;
		foreach (1 .. 3)
		{
			is($session->value('SELECT i FROM one'), 1, "$what: the primary answers");
			my $last = $session->row('SELECT * FROM consistency.last_read()');
			isnt($last->{place}, 'routed', '... itself');
			$reason{ $last->{reason} } = 1;
		}
		like(join(' ', keys %reason), qr/near.*failed/, '... though the node is up') or diag explain \%reason;
	}

	# a node that doesn't ask for the password
	$dba->do(q{ALTER SERVER near OPTIONS (SET dbname 'postgres')});
	my $hba = $near->data_dir . '/pg_hba.conf';
	my $rules = slurp_file($hba);
	my $rewrite = sub { open my $file, '>', $hba or die $!; print $file $_[0]; close $file; $near->reload; };
	$rewrite->("local all app trust\n$rules");
	wait_until(
		sub { eval { $cluster->connect('near', password => 'not it')->value('SELECT 1') } },
		'the node lets everybody in');
	my $trusted = $cluster->connect('primary');
	$trusted->do("SET consistency.routing = 'always'");
	$trusted->do("SET consistency = 'eventual'");
	is($trusted->value('SELECT i FROM one'), 1, 'a login without the password: the primary answers');
	isnt(place($trusted), 'routed', '... itself');
	$rewrite->($rules);

	# a superuser's session in another role
	$dba->do(q{ALTER USER MAPPING FOR app SERVER near OPTIONS (SET user 'boss', SET password 'boss secret')});
	back_up();
	my $boss = $cluster->connect('primary', user => 'boss', password => 'boss secret');
	$boss->do('SET ROLE app');
	$boss->do("SET consistency.routing = 'always'");
	$boss->do("SET consistency = 'eventual'");
	is($boss->value('SELECT i FROM one'), 1, 'a superuser in another role: the primary answers');
	isnt(place($boss), 'routed', '... itself');
	$dba->do(q{ALTER USER MAPPING FOR app SERVER near OPTIONS (SET user 'app', SET password 'app secret')});
	settle($cluster->connect('primary'));
}

# a replica that stands still far behind
{
	my $session = routed();
	$cluster->pause('near');
	$session->do('INSERT INTO one VALUES (2)');
	my $result = $session->query('SELECT count(*) FROM one');
	is($result->{error} && $result->{error}{message}, undef, 'the only replica is paused: no error');
	is($result->{rows}[0][0], 2, '... but the write');
	isnt(place($session), 'routed', '... from the primary');
	$session->do("SET consistency = 'eventual'");
	is($session->value('SELECT count(*) FROM one'), 1, 'eventual: stale, from the replica');
	is(place($session), 'routed', '... as asked for')
	  or diag $session->text('SELECT * FROM consistency.last_read()');
	$cluster->resume('near');
	$session->do('RESET consistency');
	is($session->value('SELECT count(*) FROM one'), 2, 'session again: the write');
	$session->do('DELETE FROM one WHERE i = 2');
	settle($session);
}

# --- promotion ----------------------------------------------------------

{
	my $session = routed();
	$session->do('SET plan_cache_mode = force_generic_plan');
	$session->prepare('p', 'SELECT count(*) FROM one WHERE i >= $1');
	is($session->run('p', 0)->{rows}[0][0], 1, 'prepared statement, routed');
	is(place($session), 'routed', '... to the replica');

	# at the replica: a session with a prepared statement that will live through it
	my $at_near = $cluster->connect('near');
	$at_near->do('SET plan_cache_mode = force_generic_plan');
	$at_near->prepare('p', 'SELECT count(*) FROM one WHERE i >= $1');
	$at_near->run('p', 0);

	# writes that the replica gets, and writes that it never will
	$session->do('INSERT INTO one VALUES (3)');
	my $kept = $session->parameter('consistency.token');
	$cluster->wait_replayed('near');
	$cluster->sql('near', q{ALTER SYSTEM SET primary_conninfo = ''});
	$near->reload;
	$near->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');
	$session->do('INSERT INTO one VALUES (4)');
	my $lost = $session->parameter('consistency.token');

	# a split brain for a moment: both are up and both are primaries
	$near->promote;
	is($session->run('p', 0)->{rows}[0][0], 3, 'the node was promoted away: the primary answers for itself');
	isnt(place($session), 'routed', '... and routes nothing to another primary');

	is($at_near->run('p', 0)->{rows}[0][0], 2, 'a prepared statement at the node that was promoted');
	$at_near->do('INSERT INTO one VALUES (5)');
	like($at_near->parameter('consistency.token'), qr/^\d+:2:/, 'tokens are of the new timeline');
	is($at_near->run('p', 0)->{rows}[0][0], 3, '... and show the write');

	# tokens of the old timeline
	my $carried = $cluster->connect('near');
	$carried->do("SET consistency.token = '$kept'");
	is($carried->value('SELECT count(*) FROM one WHERE i = 3'), 1, 'a token from before the switch point holds');
	my $set = $carried->query("SET consistency.token = '$lost'");
	my $error = $set->{error} // $carried->error('SELECT count(*) FROM one');
	is($error->{code}, 'YC002', 'a token from beyond the switch point: the position is lost');
	like("$error->{message} $error->{detail} $error->{hint}", qr/timeline/, '... says why');
	$carried->do('RESET consistency.token');
	is($carried->value('SELECT count(*) FROM one'), 3, '... and once it is forgotten, reads go on');
	is($carried->error("CALL consistency.wait_for('$lost', '1s')")->{code}, 'YC002', 'wait_for says the same');
	is($carried->query("CALL consistency.wait_for('$kept', '1s')")->{error}, undef, '... and the opposite');
	$carried->do("SET consistency = 'eventual'");
	$carried->do("SET consistency.token = '$lost'");
	is($carried->value('SELECT count(*) FROM one'), 3, 'eventual promises nothing, so nothing is lost');

	# after a restart the history is read from files
	$near->restart;
	$carried = $cluster->connect('near');
	$set = $carried->query("SET consistency.token = '$lost'");
	$error = $set->{error} // $carried->error('SELECT count(*) FROM one');
	is($error->{code}, 'YC002', 'after a restart: still lost');

	# tokens of the new timeline at the old primary
	my $new = $at_near->parameter('consistency.token');
	my $behind = $cluster->connect('primary');
	$behind->do("SET consistency.wait_timeout = '50ms'");
	$set = $behind->query("SET consistency.token = '$new'");
	$error = $set->{error} // $behind->error('SELECT count(*) FROM one');
	like($error && $error->{code}, qr/^YC00[12]$/, 'a token of a newer timeline at the old primary is an error');
}

done_testing();
