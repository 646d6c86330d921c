# Connections to other nodes: whose they are, which role goes over them, when they
# are closed, and how many there may be.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ]);
my $near = $cluster->node('near');
my $primary = $cluster->primary;
my $dba = $cluster->connect('primary', user => $cluster->superuser);

# --- helpers ------------------------------------------------------------

sub place
{
	my ($session) = @_;
	$session->{last} = $session->row('SELECT * FROM consistency.last_read()');
	return $session->{last}{place};
}

# A new session at the primary whose reads leave.
sub routed_session
{
	my (%arg) = @_;
	my $session = $cluster->connect('primary', %arg);
	$session->do("SET consistency.routing = 'always'");
	return $session;
}

# A session's reads leave (the replica has all that it knows).
sub settle
{
	my ($session, $what) = @_;
	$cluster->wait_replayed;
	wait_until(
		sub { $session->do('SELECT count(*) FROM secret'); return place($session) eq 'routed'; },
		$what // 'reads are routed');
	return $session;
}

# Who is connected to a node on behalf of others' sessions: "role role ...".
sub connected
{
	my ($node) = @_;
	return $cluster->sql($node, <<'SQL');
SELECT coalesce(string_agg(usename, ' ' ORDER BY usename, pid), '') FROM pg_stat_activity
 WHERE application_name = 'consistency' AND backend_type = 'client backend'
SQL
}
sub backends
{
	my ($node) = @_;
	return $cluster->sql($node, <<'SQL');
SELECT coalesce(string_agg(pid::text, ' ' ORDER BY pid), '') FROM pg_stat_activity
 WHERE application_name = 'consistency' AND backend_type = 'client backend'
SQL
}

# Closes a session, and waits until its connections are gone, too.
sub leave
{
	my ($node, @sessions) = @_;
	$_->close for @sessions;
	wait_until(sub { connected($node) eq '' }, "nobody is connected to $node");
	return;
}

# A setting of one node, for all its sessions.
sub change
{
	my ($node, $name, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name') = '$value'")
	  or die "$name isn't $value";
	return;
}

$dba->do($_) for split /;\n/, <<'SQL';
CREATE TABLE secret (owner text, v int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = current_user);
INSERT INTO secret VALUES ('app', 1), ('other', 2), ('third', 3), ('boss', 4), ('chief', 5), ('mixed', 6);
GRANT SELECT ON secret TO PUBLIC;
GRANT other TO app;
CREATE ROLE third;
GRANT third TO app;
GRANT pg_monitor TO third;
CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT sum(v) FROM secret';
CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss secret' IN ROLE by_password;
CREATE ROLE chief SUPERUSER LOGIN;
CREATE ROLE mixed LOGIN PASSWORD 'mixed secret' IN ROLE by_password, app;
CREATE USER MAPPING FOR boss SERVER near OPTIONS (user 'boss', password 'boss secret');
CREATE USER MAPPING FOR mixed SERVER near OPTIONS (user 'app', password 'app secret');
ALTER TABLE secret FORCE ROW LEVEL SECURITY
SQL
$cluster->wait_replayed;

my $who = 'SELECT current_user, session_user, string_agg(v::text, $$,$$ ORDER BY v) FROM secret';

# --- roles --------------------------------------------------------------

# one connection for all roles that the session's user takes on
{
	my $session = settle(routed_session());
	is(connected('near'), 'app', 'one connection, of the session\'s user');
	my $backend = backends('near');
	foreach my $role (qw(other third app other))
	{
		$session->do("SET ROLE $role");
		my %v = (app => 1, other => 2, third => 3);
		is($session->text($who), "$role|app|$v{$role}", "SET ROLE $role: its rows");
		is(place($session), 'routed', '... from the replica') or diag explain $session->{last};
	}
	$session->do('RESET ROLE');
	is($session->text($who), 'app|app|1', 'RESET ROLE: the user\'s rows');
	is(place($session), 'routed', '... from the replica');

	$session->do('BEGIN');
	$session->do('SET LOCAL ROLE other');
	is($session->text($who), 'other|app|2', 'SET LOCAL ROLE');
	$session->do('SAVEPOINT s');
	$session->do('SET ROLE third');
	is($session->text($who), 'third|app|3', '... another behind a savepoint');
	$session->do('ROLLBACK TO s');
	is($session->text($who), 'other|app|2', '... which is undone');
	is(place($session), 'routed', '... from the replica');
	$session->do('COMMIT');
	is($session->text($who), 'app|app|1', '... and is over');

	# a plan that outlives the role
	$session->do('SET plan_cache_mode = force_generic_plan');
	$session->prepare('mine', 'SELECT sum(v) FROM secret');
	foreach my $case ([ 'app', 1 ], [ 'third', 3 ], [ 'other', 2 ], [ 'app', 1 ])
	{
		$session->do("SET ROLE $case->[0]");
		is($session->run('mine')->{rows}[0][0], $case->[1], "a prepared statement as $case->[0]");
		is(place($session), 'routed', '... from the replica');
	}
	$session->do('RESET ROLE');

	# a function with the rights of its owner isn't a role that the session takes on
	$session->do('SET ROLE third');
	is($session->value('SELECT definer()'), 21, 'SECURITY DEFINER: the owner\'s rows');
	is($session->text($who), 'third|app|3', '... and the role\'s behind it');
	$session->do('RESET ROLE');

	is(backends('near'), $backend, 'all of that over one connection');
	leave('near', $session);
}

# the role that a user begins with
{
	$dba->do('ALTER ROLE app SET role = other');
	my $session = settle(routed_session());
	is($session->text($who), 'other|app|2', 'ALTER ROLE ... SET role: begins as that');
	$session->do('SET ROLE none');
	is($session->text($who), 'app|app|1', '... until it is set otherwise');
	is(place($session), 'routed', '... from the replica');
	is(connected('near'), 'app', '... over one connection');
	$dba->do('ALTER ROLE app RESET role');
	leave('near', $session);
}

# an isolation of the user's own that replicas don't know
{
	$dba->do(q{ALTER ROLE app SET default_transaction_isolation = 'serializable'});
	my $session = routed_session();
	$session->do(q{SET default_transaction_isolation = 'read committed'});
	settle($session, 'a user who is serializable by default: reads are routed');
	is($session->text($who), 'app|app|1', 'a user who is serializable by default');
	is(place($session), 'routed', '... reads at the replica');
	$dba->do('ALTER ROLE app RESET default_transaction_isolation');
	leave('near', $session);
}

# who may no longer take on a role keeps it, but gets it nowhere else
{
	my $session = settle(routed_session());
	$session->do('SET ROLE other');
	is($session->text($who), 'other|app|2', 'a role that will be revoked');
	is(place($session), 'routed', '... from the replica');
	$dba->do('REVOKE other FROM app');
	$cluster->wait_replayed;
	$cluster->sql('near', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $$consistency$$');
	wait_until(sub { connected('near') eq '' }, 'the connection is gone');
	is($session->text($who), 'other|app|2', '... was revoked: the session keeps it');
	isnt(place($session), 'routed', '... but isn\'t let have it anew at the replica');
	$dba->do('GRANT other TO app');
	leave('near', $session);
}

# a superuser's connection is no one else's
{
	my $boss = settle(routed_session(user => 'boss', password => 'boss secret'));
	is(connected('near'), 'boss', 'a superuser: a connection of his own');
	$boss->do('SET ROLE chief');
	is($boss->text($who), 'chief|boss|1,2,3,4,5,6', 'as another superuser');
	is(place($boss), 'routed', '... from the replica') or diag explain $boss->{last};
	is(connected('near'), 'boss', '... over the same connection');
	$boss->do('SET ROLE app');
	is($boss->text($who), 'app|boss|1', 'as an ordinary role');
	is(connected('near'), 'app boss', '... by that role\'s mapping');
	$boss->do('SET ROLE third');
	is($boss->text($who), 'third|boss|3', 'as one without a mapping');
	isnt(place($boss), 'routed', '... here');
	$boss->do('RESET ROLE');
	leave('near', $boss);
}

# a mapping that logs in as another role isn't the session's user's
{
	my $mixed = routed_session(user => 'mixed', password => 'mixed secret');
	is($mixed->text($who), 'mixed|mixed|6', 'a mapping to another role: answered');
	isnt(place($mixed), 'routed', '... here');
	$mixed->do('SET ROLE other');
	is($mixed->text($who), 'other|mixed|2', '... as another role');
	wait_until(
		sub { $mixed->do($who); return place($mixed) eq 'routed'; },
		'... by that one\'s own mapping');
	is(connected('near'), 'other', '... which logs in as that role');
	is($mixed->text($who), 'other|mixed|2', '... and whose rows it sees');
	leave('near', $mixed);
}

# consistency.check() asks as the current role
{
	my $session = settle(routed_session());
	$session->do('SET ROLE third');
	is($session->text($who), 'third|app|3', 'a role before check()');
	$session->do('SELECT * FROM consistency."check"()');
	is($session->text($who), 'third|app|3', '... and behind it');
	$session->do('RESET ROLE');
	is($session->text($who), 'app|app|1', '... and without one');
	is(place($session), 'routed', '... from the replica');
	leave('near', $session);
}

# --- what a replica sends to the primary --------------------------------

$dba->do($_) for split /;\n/, <<'SQL';
CREATE TABLE written (k serial, who text DEFAULT current_user, tenant text DEFAULT current_setting('app.tenant', true),
  zone text DEFAULT current_setting('TimeZone'), once text DEFAULT current_setting('app.once', true));
GRANT ALL ON written, written_k_seq TO app, other, third
SQL
$cluster->wait_replayed;

# What was written since the last look.
sub written
{
	my $rows = $cluster->sql('primary', <<'SQL');
SELECT string_agg(concat_ws(':', who, nullif(tenant, ''), nullif(zone, 'Etc/UTC'), nullif(once, '')), ' ' ORDER BY k) FROM written
SQL
	$cluster->sql('primary', 'TRUNCATE written');
	return $rows;
}

# roles and settings, in transactions that end either way
{
	my $session = $cluster->connect('near');
	my $insert = 'INSERT INTO written DEFAULT VALUES';
	$session->do($_) for "SET TimeZone = 'Etc/UTC'", $insert, 'SET ROLE other', $insert, 'RESET ROLE', $insert;
	is(written(), 'app other app', 'at a replica: writes as different roles');
	my $backend = backends('primary');

	$session->do($_) for 'BEGIN', $insert, 'SET ROLE other', $insert, 'SET LOCAL ROLE third', $insert, 'COMMIT', $insert,
	  'RESET ROLE', $insert;
	is(written(), 'app other third other app', 'SET ROLE in the middle of a transaction');

	$session->do($_) for 'BEGIN', 'SET ROLE other', $insert, 'ROLLBACK', $insert;
	is(written(), 'app', 'SET ROLE in one that is rolled back');
	$session->do($_) for 'SET ROLE other', 'BEGIN', 'RESET ROLE', $insert, 'ROLLBACK', $insert, 'RESET ROLE', $insert;
	is(written(), 'other app', 'RESET ROLE in one that is rolled back');

	$session->do($_) for 'BEGIN', $insert, 'SAVEPOINT s', 'SET ROLE other', 'SET app.tenant = $$b$$', $insert,
	  'ROLLBACK TO s', $insert, 'SAVEPOINT t', 'SET ROLE third', 'SET app.tenant = $$c$$', $insert, 'RELEASE t', $insert, 'COMMIT',
	  $insert, 'RESET ROLE', $insert, 'SET app.tenant = $$$$';
	is(written(), 'app app third:c third:c third:c app:c', 'savepoints: what is rolled back is as it was before');

	$session->do($_) for 'SET app.tenant = $$a$$', $insert, 'BEGIN', 'SET app.tenant = $$b$$', 'SET TimeZone = $$Asia/Tokyo$$',
	  'SET app.once = $$x$$', $insert, 'ROLLBACK', $insert;
	is(written(), 'app:a app:a', 'settings in a transaction that is rolled back');
	$session->do($_) for 'BEGIN', 'SET LOCAL TimeZone = $$Asia/Tokyo$$', 'SET LOCAL app.once = $$y$$', $insert, 'COMMIT', $insert;
	is(written(), 'app:a:Asia/Tokyo:y app:a', 'settings for a transaction');
	$session->do($_) for 'BEGIN', $insert, 'SET TimeZone = $$Asia/Tokyo$$', 'SET app.once = $$z$$', $insert;
	is($session->error('SELECT 1 / 0')->{code}, '22012', 'settings in one that fails');
	$session->do($_) for 'ROLLBACK', $insert;
	is(written(), 'app:a', '... are gone');
	$session->do($_) for 'BEGIN', 'RESET app.tenant', $insert, 'ROLLBACK', $insert;
	is(written(), 'app:a', 'a setting that is reset in one that is rolled back');

	# the same once more after the rollback: it isn't there any more
	$session->do($_) for 'RESET TimeZone', 'RESET app.once', 'BEGIN', $insert, 'SET ROLE other', 'SET app.once = $$q$$',
	  'SET TimeZone = $$Asia/Tokyo$$', $insert, 'ROLLBACK', 'SET ROLE other', 'SET app.once = $$q$$',
	  'SET TimeZone = $$Asia/Tokyo$$', $insert;
	is(written(), 'other:a:Asia/Tokyo:q', 'what was rolled back, and is set again');
	$session->do($_) for 'BEGIN', $insert, 'RESET ROLE', 'RESET app.once', 'RESET TimeZone', $insert, 'ROLLBACK', 'RESET ROLE',
	  'RESET app.once', 'RESET TimeZone', $insert;
	is(written(), 'app:a', 'what was reset in a transaction that is rolled back, and is reset again');
	$session->do($_) for 'BEGIN', $insert, 'SAVEPOINT s', 'SET ROLE other', 'SET app.once = $$r$$', $insert, 'ROLLBACK TO s',
	  'SET ROLE other', 'SET app.once = $$r$$', $insert, 'COMMIT', $insert, 'RESET ROLE', 'RESET app.once', $insert;
	is(written(), 'app:a other:a:r other:a:r app:a', 'the same with a savepoint');

	is(backends('primary'), $backend, 'all of that over one connection');
	leave('primary', $session);
}

# errors are PostgreSQL's own
{
	$dba->do('CREATE TABLE checked (k int PRIMARY KEY, v int CONSTRAINT positive CHECK (v > 0), w text NOT NULL)');
	$dba->do('GRANT ALL ON checked TO app');
	$cluster->wait_replayed;
	my %at = map { $_ => $cluster->connect($_) } qw(primary near);
	foreach my $sql (
		q{INSERT INTO checked VALUES (1, -1, 'ü')},
		q{INSERT INTO checked VALUES (1, 1, NULL)},
		q{/* ä */ INSERT INTO checked VALUES (1, 1, 'ü', 'ö')},
		q{INSERT INTO checked (k, "ü", v) VALUES (1, 1, 1)},
		q{DO $$ BEGIN EXECUTE 'INSERT INTO checkd VALUES (1)'; END $$},
		q{DO $$ BEGIN RAISE EXCEPTION USING errcode = '12345', message = 'mü', detail = 'd', hint = 'h', schema = 's',
			table = 't', column = 'c', datatype = 'y', constraint = 'x'; END $$})
	{
		my %error = map { my $e = $at{$_}->query($sql)->{error}; delete @$e{qw(file line routine)}; ($_ => $e) } keys %at;
		is_deeply($error{near}, $error{primary}, "the same error: $sql") or diag explain \%error;
	}
	leave('primary', values %at);
}

# a cancel reaches the statement there, and the connection goes on
{
	my $session = $cluster->connect('near');
	$session->do('INSERT INTO written DEFAULT VALUES');
	my $backend = backends('primary');
	$session->send_query(q{DO $$ BEGIN PERFORM pg_sleep(600); END $$});
	wait_until(
		sub { $cluster->sql('primary', "SELECT count(*) FROM pg_stat_activity WHERE pid = $backend AND wait_event = 'PgSleep'") },
		'it sleeps at the primary');
	$cluster->sql('near', 'SELECT pg_cancel_backend(' . $session->pid . ')');
	is($session->finish->{error}{code}, '57014', 'cancelled');
	$session->do('INSERT INTO written DEFAULT VALUES');
	is(backends('primary'), $backend, '... there, and the connection is the same');
	leave('primary', $session);
}

# DISCARD ALL closes them
{
	my $session = $cluster->connect('near');
	$session->do('INSERT INTO written DEFAULT VALUES');
	is(connected('primary'), 'app', 'before DISCARD ALL');
	$session->do('DISCARD ALL');
	wait_until(sub { connected('primary') eq '' }, 'DISCARD ALL closes connections');
	$session->do('INSERT INTO written DEFAULT VALUES');
	is(connected('primary'), 'app', 'and a write after it');
	leave('primary', $session);
}

# --- idle ---------------------------------------------------------------

{
	my $session = settle(routed_session());
	my $backend;
	$session->do("SET consistency.connection_idle_timeout = '100ms'");
	$session->do('SELECT sum(v) FROM secret');
	wait_until(sub { connected('near') eq '' }, 'connection_idle_timeout: the connection is closed');
	foreach my $round (1 .. 3)
	{
		is($session->value('SELECT sum(v) FROM secret'), 1, "... the next read is answered ($round)");
		is(place($session), 'routed', '... by the replica') or diag explain $session->{last};
		wait_until(sub { connected('near') eq '' }, '... and the connection closed again');
	}
	$session->do('SET consistency.connection_idle_timeout = 0');
	$session->do('SELECT sum(v) FROM secret');
	$backend = backends('near');
	$cluster->sql('near', 'SELECT pg_sleep(0.5)');
	is(backends('near'), $backend, '0: it stays');
	$session->do('RESET consistency.connection_idle_timeout');
	$session->do('SELECT sum(v) FROM secret');
	is(backends('near'), $backend, 'the default: it stays for longer than that');
	leave('near', $session);
}

# --- how many -----------------------------------------------------------

# reads that leave the primary: who finds no room stays
{
	change($primary, 'consistency.connection_limit', 2);
	my @session = map { routed_session() } 1 .. 3;
	settle($session[$_]) for 0, 1;
	is(connected('near'), 'app app', 'connection_limit = 2: two sessions read at the replica');
	is($session[2]->value('SELECT sum(v) FROM secret'), 1, '... the third one is answered');
	isnt(place($session[2]), 'routed', '... here');
	like($session[2]{last}{reason}, qr/near/, '... and told why') or diag explain $session[2]{last};
	is(connected('near'), 'app app', '... there are still two');
	settle($session[$_]) for 0, 1;
	(shift @session)->close;
	settle($session[1], 'a session has ended: there is room');
	leave('near', @session);

	# whatever way a session ends, what it had is given back
	foreach my $how ('ends', 'is terminated', 'loses its connection')
	{
		my @two = map { settle(routed_session(), "before a session $how: room for two") } 1 .. 2;
		my $pid = $two[0]->pid;
		if ($how eq 'is terminated')
		{
			$cluster->sql('primary', "SELECT pg_terminate_backend($pid)");
		}
		elsif ($how eq 'loses its connection')
		{
			$cluster->sql('near',
				'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $$consistency$$');
			is($two[0]->value('SELECT sum(v) FROM secret'), 1, 'the replica has ended the connections: answered');
		}
		else { $two[0]->close; }
		$two[1]->do('SELECT sum(v) FROM secret');
		settle(routed_session(), "a session $how: room for another one")->close
		  unless $how eq 'loses its connection';
		leave('near', @two);
	}
	# a session doesn't stand in its own way
	change($primary, 'consistency.connection_limit', 1);
	my $boss = settle(routed_session(user => 'boss', password => 'boss secret'));
	$boss->do('SET ROLE app');
	is($boss->text($who), 'app|boss|1', 'connection_limit = 1: a session that needs another connection');
	is(place($boss), 'routed', '... gets it') or diag explain $boss->{last};
	is(connected('near'), 'app', '... for its first one');
	leave('near', $boss);

	change($primary, 'consistency.connection_limit', 0);
	my $session = routed_session();
	is($session->value('SELECT sum(v) FROM secret'), 1, 'connection_limit = 0: answered');
	isnt(place($session), 'routed', '... here');
	$session->close;
	change($primary, 'consistency.connection_limit', -1);
}

# what a replica sends to the primary has to wait
{
	my $at_near = sub {
		my $session = $cluster->connect('near');
		$session->do("SET client_min_messages = 'error'");
		$session->do("SET consistency = 'linearizable'");
		return $session;
	};
	my $read = 'SELECT sum(v) FROM secret';
	change($near, 'consistency.connection_limit', 1);
	my $one = $at_near->();
	my $two = $at_near->();
	is($one->value($read), 1, 'at a replica, connection_limit = 1: the first one is served');
	is(place($one), 'forwarded', '... by the primary');

	$two->do("SET consistency.wait_timeout = '300ms'");
	my $error = $two->error($read);
	is($error->{code}, '53300', 'the second one waits in vain');
	like($error->{hint}, qr/consistency\.connection_limit/, '... and is told which setting') or diag explain $error;

	$two->do("SET consistency.wait_timeout = '60s'");
	my $pid = $two->pid;
	$two->send_query($read);
	$cluster->wait_for_wait('near', $pid);
	$cluster->sql('near', "SELECT pg_cancel_backend($pid)");
	is($two->finish->{error}{code}, '57014', 'the wait can be cancelled');

	# while somebody waits, who is done closes the connection
	$two->send_query($read);
	$cluster->wait_for_wait('near', $pid);
	is($one->value($read), 1, 'one more of the first');
	is($two->finish->{rows}[0][0], 1, '... makes room for the second');
	is(place($two), 'forwarded', '... at the primary');
	is(connected('primary'), 'app', '... there is one connection');

	# one that the other side has closed by now doesn't count
	$two->do("SET consistency.connection_idle_timeout = '100ms'");
	$two->do($read);
	is($one->value($read), 1, 'an idle connection makes room in time');
	$one->close;
	is($two->value($read), 1, 'and so does a session that ends');

	# nor does one whose session is no more
	$cluster->sql('near', "SELECT pg_terminate_backend($pid)");
	my $three = $at_near->();
	is($three->value($read), 1, '... or is terminated');
	$three->close;
	change($near, 'consistency.connection_limit', -1);
}

$cluster->node($_)->stop for qw(near primary);
done_testing();
