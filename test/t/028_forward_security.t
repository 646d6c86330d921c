# Settings, roles and row security of statements that a replica sends to the
# primary: each session does the same as it would there, sees the same, and is
# left with the same.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }
sub setup
{
	return <<'SQL';
CREATE ROLE grp; CREATE ROLE grp2; CREATE ROLE nobody;
CREATE ROLE alice LOGIN PASSWORD 'alice secret' IN ROLE by_password, grp, nobody;
CREATE ROLE bob LOGIN NOINHERIT PASSWORD 'bob secret' IN ROLE by_password, grp;
CREATE ROLE carol LOGIN PASSWORD 'carol secret' IN ROLE by_password, alice, bob;
CREATE ROLE dave LOGIN PASSWORD 'dave secret' IN ROLE by_password;
CREATE ROLE nomap LOGIN PASSWORD 'nomap secret' IN ROLE by_password;
CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'boss secret' IN ROLE by_password;
ALTER ROLE dave SET app.tenant = 't1';
ALTER ROLE dave SET DateStyle = 'SQL, DMY';
ALTER ROLE dave IN DATABASE postgres SET work_mem = '9MB';
ALTER ROLE carol SET default_transaction_read_only = on;
GRANT SET ON PARAMETER log_duration TO dave;
DO $$
DECLARE r text;
BEGIN
	FOREACH r IN ARRAY ARRAY['alice', 'bob', 'carol', 'dave', 'boss'] LOOP
		EXECUTE format('CREATE USER MAPPING FOR %I SERVER "primary" OPTIONS (user %L, password %L)', r, r, r || ' secret');
	END LOOP;
END $$;

CREATE TABLE account (id int, owner text DEFAULT current_user,
	tenant text DEFAULT current_setting('app.tenant', true), v int);
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY rows ON account USING (owner = current_user OR tenant = current_setting('app.tenant', true));
CREATE POLICY own ON account FOR INSERT WITH CHECK (owner = current_user);
GRANT ALL ON account TO app, dave, grp;
REVOKE TRUNCATE ON account FROM app, dave, grp;
CREATE TABLE log (id int GENERATED ALWAYS AS IDENTITY, who text, session text, tenant text);
CREATE TABLE noted (i int); CREATE TABLE noted_later (i int);
CREATE TABLE shown (t text, a text[], b bytea DEFAULT '\x00ff', d timestamptz DEFAULT '2020-01-02 03:04:05+00',
	f float8 DEFAULT 1.0::float8 / 3, n interval DEFAULT '1 day 2 hours');
CREATE SCHEMA s2; CREATE TABLE s2.shown (LIKE shown INCLUDING ALL);
GRANT USAGE ON SCHEMA s2 TO PUBLIC;
GRANT ALL ON log, noted, noted_later, shown, s2.shown TO PUBLIC;
CREATE SEQUENCE numbers; GRANT ALL ON SEQUENCE numbers TO PUBLIC;
GRANT TEMPORARY ON DATABASE postgres TO PUBLIC;

CREATE PROCEDURE restore() LANGUAGE sql AS $$
	DELETE FROM account; DELETE FROM log; DELETE FROM noted; DELETE FROM noted_later; DELETE FROM shown;
	DELETE FROM s2.shown;
	ALTER SEQUENCE numbers RESTART;
	INSERT INTO account SELECT i, (ARRAY['app', 'alice', 'bob', 'grp', 'nobody'])[i % 5 + 1], 't' || i % 4, i
		FROM generate_series(1, 11) i;
$$;
CREATE FUNCTION described() RETURNS text STABLE LANGUAGE sql AS $$
	SELECT concat_ws('|', current_user, session_user, (SELECT string_agg(name || '=' ||
		coalesce(current_setting(name, true), ''), ' ') FROM unnest(ARRAY['role', 'app.tenant', 'app.noted', 'search_path',
		'DateStyle', 'IntervalStyle', 'TimeZone', 'work_mem', 'lock_timeout', 'synchronous_commit', 'bytea_output',
		'extra_float_digits', 'standard_conforming_strings', 'row_security', 'log_duration', 'session_replication_role',
		'client_encoding', 'array_nulls']) AS name))
$$;
CREATE FUNCTION public.here() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.described(); END $$;
CREATE FUNCTION public.there() RETURNS text VOLATILE LANGUAGE plpgsql AS $$ BEGIN RETURN public.described(); END $$;
CREATE FUNCTION there_has(name text) RETURNS text VOLATILE LANGUAGE plpgsql AS $$ BEGIN RETURN current_setting(name, true); END $$;
CREATE FUNCTION there_user() RETURNS text VOLATILE LANGUAGE plpgsql AS $$ BEGIN RETURN current_user; END $$;
CREATE FUNCTION login(tenant text, local bool) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN set_config('app.tenant', tenant, local); END $$;
CREATE FUNCTION owned_login(tenant text, local bool) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN RETURN set_config('app.tenant', tenant, local) || current_user; END $$;
ALTER FUNCTION owned_login OWNER TO alice;
CREATE FUNCTION owned_call() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET app.tenant = 't0' AS $$
BEGIN
	INSERT INTO log (who, session, tenant) VALUES (current_user, session_user, current_setting('app.tenant'));
	RETURN (SELECT string_agg(id::text, ',' ORDER BY id) FROM account);
END $$;
ALTER FUNCTION owned_call OWNER TO alice;
CREATE FUNCTION quiet(value text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN RETURN set_config('log_duration', value, false); END $$;
CREATE FUNCTION caught(tenant text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.tenant', 'kept', false);
	BEGIN
		PERFORM set_config('app.tenant', tenant, false) || 1 / 0;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	RETURN current_setting('app.tenant');
END $$;
CREATE FUNCTION become(role text, local bool) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('role', role, local); RETURN current_user; END $$;
CREATE FUNCTION go_back() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN current_user; END $$;
CREATE FUNCTION temporary() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMPORARY TABLE made AS SELECT 1 AS i; END $$;
CREATE FUNCTION count_temporary() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM pg_temp.made); END $$;
CREATE PROCEDURE tell(tenant text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log (who, session, tenant) VALUES (current_user, session_user, tenant);
	PERFORM set_config('app.tenant', tenant, false);
	SET LOCAL work_mem = '2MB';
	COMMIT;
	INSERT INTO log (who, session, tenant) VALUES (current_user, session_user, current_setting('work_mem'));
END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('app.noted', new.i::text, false); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note();
CREATE CONSTRAINT TRIGGER note AFTER INSERT ON noted_later DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION note();
CALL restore();
SQL
}

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' } ],
	conf => "log_statement = 'all'\nwal_writer_delay = 10ms\n",
	setup => setup());
my $dba = $cluster->connect('primary', user => $cluster->superuser);
$cluster->wait_replayed;

my %password = map { $_ => "$_ secret" } qw(app other alice bob carol dave nomap boss);

# A new session as one of the roles.
sub session
{
	my ($where, $user, %arg) = @_;
	return $cluster->connect($where, user => $user, password => $password{$user}, %arg);
}

# The replica has replayed all.
my $dba_near = $cluster->connect('near', user => $cluster->superuser);
sub replayed
{
	my $lsn = $dba->value('SELECT pg_current_wal_flush_lsn()');
	wait_until(sub { $dba_near->value("SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' }, 'replay');
	return;
}

# The tables as they were at first.
sub restore
{
	$dba->do('CALL restore()');
	replayed();
	return;
}

# What came of a statement, to be compared.
sub outcome
{
	my ($sql, @results) = @_;
	my @lines = "> $sql";
	foreach my $result (@results)
	{
		my $error = $result->{error};
		push @lines, WireClient::text_of($result), $result->{tag} // '';
		push @lines, "$error->{code} $error->{message}" if $error;
		push @lines, map { "$_->{code} $_->{message}" } @{ $result->{notices} };
	}
	return @lines;
}

# Runs statements in one session, from the tables as they were at first, and
# what everybody then finds in them.
sub run_at
{
	my ($where, $user, @statements) = @_;
	restore();
	my $session = session($where, $user);
	my @log = map { outcome($_, $session->query($_)) } @statements;
	$session->close;
	return join "\n", @log, $dba->text('SELECT * FROM account ORDER BY id, owner, tenant'),
	  $dba->text('SELECT who, session, tenant FROM log ORDER BY id');
}

# The same at the primary and at the replica.
sub same
{
	my ($what, $user, @statements) = @_;
	my @expected = split /^(?=> )/m, run_at('primary', $user, @statements);
	my @got = split /^(?=> )/m, run_at('near', $user, @statements);
	shift @expected, shift @got while @expected && @got && $expected[0] eq $got[0];
	is($got[0], $expected[0], "$what, as $user");
	return;
}

my $here = 'SELECT here()';
my $there = 'SELECT there()';
my $read = 'SELECT * FROM account ORDER BY id';

# --- settings that a statement changes at the primary come back ---------

{
	my $session = session('near', 'app');
	my $tenant = "SELECT current_setting('app.tenant', true)";
	my $is = sub {
		my ($sql, $expected, $what) = @_;
		return is($session->value($sql), $expected, $what);
	};

	$session->do("SELECT login('t1', false)");
	$is->($tenant, 't1', 'set by a function');
	$is->('SELECT pg_is_in_recovery()', 't', '... in a session at the replica');
	is($session->text('SELECT id FROM account ORDER BY id'), "1\n5\n9\n10", '... where row security heeds it');
	$session->do("SELECT login('t2', true)");
	$is->($tenant, 't1', 'local to a transaction that is over');

	$session->do('BEGIN');
	$session->do("SELECT login('t2', true)");
	$is->($tenant, 't2', 'local to the transaction');
	$session->do('COMMIT');
	$is->($tenant, 't1', '... and over with it');

	$session->do('BEGIN');
	$session->do("SELECT login('t2', false)");
	$session->do("SELECT login('t3', true)");
	$is->($tenant, 't3', 'for the session, then local');
	$session->do('COMMIT');
	$is->($tenant, 't2', '... which leaves the session its own');

	$session->do('BEGIN');
	$session->do("DO \$\$ BEGIN PERFORM login('t0', false); PERFORM login('t3', true); END \$\$");
	$is->($tenant, 't3', 'the same in one statement');
	$session->do('COMMIT');
	$is->($tenant, 't0', '... leaves the session its own');

	$session->do('BEGIN');
	$session->do("SELECT login('t1', true)");
	$session->do("SELECT login('t1', false)");
	$session->do('COMMIT');
	$is->($tenant, 't1', 'local, then for the session, to the same value');

	$session->do('BEGIN');
	$session->do("SELECT login('t2', false)");
	$session->do('SAVEPOINT a');
	$session->do("SELECT login('t3', false)");
	$session->do('ROLLBACK TO a');
	$is->($tenant, 't2', 'undone with a subtransaction');
	$session->do('SAVEPOINT a');
	$session->do("SELECT login('t3', false)");
	$session->do('RELEASE a');
	$is->($tenant, 't3', 'kept with another');
	$session->do('ROLLBACK');
	$is->($tenant, 't1', 'all undone with the transaction');
	is($session->value('SELECT login(NULL, false)'), '', 'set to nothing');
	$is->($tenant, '', '... here as well');

	$session->query("SELECT login('t3', false), 1 / (SELECT count(*) FROM account WHERE id < 0)");
	$is->($tenant, '', 'a statement that failed has set nothing');
	$session->do("SELECT caught('t2')");
	$is->($tenant, 'kept', 'what an exception handler undoes is undone');

	$session->do("DO \$\$ BEGIN SET work_mem = '7MB'; SET LOCAL lock_timeout = '1s'; END \$\$");
	$is->('SHOW work_mem', '7MB', 'set by DO');
	$is->('SHOW lock_timeout', '0', '... but what was local');
	$session->do('DO $$ BEGIN RESET work_mem; END $$');
	$is->('SHOW work_mem', '4MB', 'reset by DO');
	$session->do("CALL tell('t1')");
	$is->($tenant, 't1', 'set by a procedure that commits');
	$session->do('INSERT INTO noted VALUES (1)');
	$is->("SELECT current_setting('app.noted')", '1', 'set by a trigger');
	$session->do('INSERT INTO noted_later VALUES (7)');
	$is->("SELECT current_setting('app.noted')", '7', 'set by a deferred trigger');
	$session->do('BEGIN');
	$session->do('INSERT INTO noted_later VALUES (8)');
	$is->("SELECT current_setting('app.noted')", '7', '... which runs at the end');
	$session->do('COMMIT');
	$is->("SELECT current_setting('app.noted')", '8', '... of a transaction, too');
	$is->("SELECT set_config('app.tenant', login('t2', false) || 'x', false)", 't2x', 'set in one that forwards');
	$is->($tenant, 't2x', '... and is known');
	$session->do("SELECT quiet('on')");
	$is->('SHOW log_duration', 'on', "set by a superuser's function");
	$session->do("SET app.tenant = 't1'");
	$session->do('DO $$ BEGIN RESET ALL; END $$');
	$is->('SHOW log_duration', 'off', '... and reset by another, with all others');
	$is->($tenant, '', '... of the session');
	$session->do("SELECT quiet('on')");
	$session->do('RESET ALL');
	$is->('SELECT there_has($$log_duration$$)', 'off', '... and reset by RESET ALL, there as well');
	$session->do("DO \$\$ BEGIN PERFORM set_config('app.text', U&'\\00e4\\4e2d %=,!&\@' || chr(10), false); END \$\$");
	$is->("SELECT current_setting('app.text')", "\xc3\xa4\xe4\xb8\xad %=,!&\@\n", 'any characters');
	my $result = $session->execute('SELECT login($1, false)', 't3');
	$is->($tenant, 't3', 'by the extended protocol');

	# nothing that serves the connection itself
	foreach ([ 'statement_timeout', '0' ], [ 'client_connection_check_interval', '0' ],
		[ 'consistency.routing', 'auto' ], [ 'consistency', 'session' ], [ 'role', 'none' ],
		[ 'escape_string_warning', 'on' ])
	{
		$is->("SHOW $_->[0]", $_->[1], "$_->[0] is what it was");
	}
	is($session->parameter('consistency.session_settings'), '', 'a client is told of no settings');
}

{
	my $session = session('near', 'alice');
	is($session->value("SELECT become('grp', false)"), 'grp', 'a function sets the role');
	is($session->value('SELECT current_user'), 'grp', '... of the session');
	is($session->value("SELECT become('none', false)"), 'alice', '... and back');
	is($session->value('SELECT current_user'), 'alice', '... as well');
	$session->do("SELECT consistency.token()");
	$session->do("DO \$\$ BEGIN SET consistency = 'eventual'; END \$\$");
	is($session->value('SHOW consistency'), 'eventual', 'the level is a setting like others');
}

# --- the same as at the primary -----------------------------------------

my @everything = (
	$there, $here, $read,
	'SELECT id, owner FROM account ORDER BY id FOR UPDATE',
	'INSERT INTO account (id, v) VALUES (20, 1) RETURNING owner, tenant',
	"INSERT INTO account (id, owner, v) VALUES (21, 'other', 1)",
	'UPDATE account SET v = v + 1 WHERE id < 7 RETURNING id, owner, v',
	"UPDATE account SET owner = 'nobody' WHERE id = 1",
	'DELETE FROM account WHERE id IN (2, 3) RETURNING id',
	"MERGE INTO account a USING (VALUES (5)) AS s (id) ON a.id = s.id WHEN MATCHED THEN UPDATE SET v = 0",
	'COPY (SELECT id, owner FROM account ORDER BY id) TO STDOUT',
	"CALL tell('t1')", $read, 'SELECT owned_call()', 'TRUNCATE account', 'DROP TABLE account',
	'ALTER TABLE account DISABLE ROW LEVEL SECURITY',
	$there, $here);

foreach my $user (qw(app alice bob carol dave boss))
{
	my @may = grep { $user ne 'boss' || !/^(?:ALTER|DROP|TRUNCATE)/ } @everything;
	same('everything', $user, @may);
	same('with a tenant', $user, "SET app.tenant = 't2'", @may);
}
foreach my $role (qw(grp grp2 bob nobody none))
{
	foreach my $user (qw(alice bob carol))
	{
		same("as role $role", $user, "SET ROLE $role", @everything);
	}
}
same('local role', 'alice', 'BEGIN', 'SET LOCAL ROLE grp', @everything[ 0 .. 6 ], 'ROLLBACK', @everything[ 0 .. 4 ]);
same('role undone', 'alice', 'BEGIN', 'SET ROLE grp', $there, 'ROLLBACK', $there, $here, $read);
same('role with savepoints', 'alice', 'BEGIN', $there, 'SAVEPOINT a', 'SET ROLE grp', $there,
	'INSERT INTO account (id, v) VALUES (30, 1) RETURNING owner', 'SAVEPOINT b', 'SET LOCAL ROLE bob', $there,
	'ROLLBACK TO b', $there, 'ROLLBACK TO a', $there, $here, 'COMMIT', $there);
same('role in the middle', 'carol', 'BEGIN', 'INSERT INTO account (id, v) VALUES (30, 1) RETURNING owner',
	'SET ROLE alice', 'INSERT INTO account (id, v) VALUES (31, 1) RETURNING owner', 'RESET ROLE', $there, 'COMMIT',
	$there, $here);
same('role of a superuser in the middle', 'boss', 'SET ROLE boss', 'BEGIN', $there, 'RESET ROLE', $there, 'COMMIT');
same("a function's rights", 'bob', 'SELECT owned_call()', 'SELECT owned_login(\'t1\', false)', $here, $there, $read);
same('a function that goes back', 'alice', 'SET ROLE grp', 'SELECT go_back()', $here, $there,
	'DO $$ BEGIN SET ROLE grp; RESET ROLE; END $$', $there, 'DO $$ BEGIN RESET SESSION AUTHORIZATION; END $$', $there,
	'DO $$ BEGIN SET SESSION AUTHORIZATION boss; END $$', $there, $here);

my @settings = (
	"SET search_path = s2, public", "SET DateStyle = 'German'", "SET TimeZone = 'Asia/Tokyo'",
	"SET work_mem = '3MB'", "SET lock_timeout = '3s'", 'SET synchronous_commit = off', 'SET extra_float_digits = 0',
	"SET bytea_output = 'escape'", "SET IntervalStyle = 'iso_8601'", 'SET standard_conforming_strings = off',
	'SET row_security = off', 'SET log_duration = on', 'SET session_replication_role = replica',
	"SET app.tenant = 't3'", 'SET array_nulls = off',
	'SET default_transaction_read_only = on');
my @show = (
	"INSERT INTO shown VALUES ('a\\\\b''c', '{NULL}') RETURNING *", $there, $here);
same("SET, then RESET", 'app', (map { ($_, @show) } @settings), 'RESET ALL', @show);
same("SET, then RESET", 'boss', (map { ($_, @show) } @settings), 'RESET ALL', @show);
same('SET LOCAL', 'app', 'BEGIN', @show, (map { (s/^SET/SET LOCAL/r, @show) } @settings[ 0 .. 9 ]), 'COMMIT', @show);
same('SET undone', 'app', 'BEGIN', @show, (map { ($_, @show) } @settings[ 0 .. 9 ]), 'ROLLBACK', @show);
same('SET undone in part', 'app', 'BEGIN', @show, 'SAVEPOINT a', (map { ($_, @show) } @settings[ 0 .. 9 ]),
	'ROLLBACK TO a', @show, 'COMMIT', @show);
same('settings of roles and databases', 'dave', @show, 'RESET app.tenant', @show, "SET app.tenant = ''", @show);
same('a role that is read only', 'carol', $read, 'SET default_transaction_read_only = off', @show, 'RESET ALL', 'SELECT there()');
same('DISCARD ALL', 'app', "SET app.tenant = 't3'", 'PREPARE p AS INSERT INTO account (id, v) VALUES ($1, 0) RETURNING id',
	'EXECUTE p (40)', 'SELECT temporary()', 'SELECT count_temporary()', "SELECT nextval('numbers')",
	"SELECT currval('numbers')", 'DISCARD ALL', 'EXECUTE p (41)', 'SELECT count_temporary()',
	"SELECT currval('numbers')", $there);

# what a session has locked there is free when the session is another one's
{
	my $session = session('near', 'app');
	$session->do('SELECT pg_advisory_lock(28)');
	is($dba->value('SELECT pg_try_advisory_lock(28)'), 'f', 'an advisory lock is held');
	$session->do('DISCARD ALL');
	wait_until(sub { $dba->value('SELECT pg_try_advisory_lock(28)') eq 't' }, 'DISCARD ALL frees it');
	$dba->do('SELECT pg_advisory_unlock_all()');
}

# --- who may connect ----------------------------------------------------

# A statement fails in a new session at the replica.
sub refused
{
	my ($what, $user, $code, $pattern, @statements) = @_;
	my $session = session('near', $user);
	my $last = pop @statements;
	$session->do($_) for ("SET consistency.wait_timeout = '500ms'", @statements);
	my $error = $session->query($last)->{error};
	is($error->{code}, $code, "$what: refused") or diag explain $error;
	like(join("\n", grep { defined } values %$error), $pattern, '... for that reason');
	unlike(join("\n", grep { defined } values %$error), qr/secret/, '... which tells no password');
	return;
}

my $write = 'INSERT INTO account (id, v) VALUES (50, 1)';
restore();
refused('a role without a user mapping', 'nomap', '08001', qr/no usable user mapping/, $write);
# a replica's sessions learn of a mapping with replay
sub mapping
{
	my ($sql) = @_;
	$dba->do($_) for ref $sql ? @$sql : $sql;
	replayed();
	return;
}
mapping('CREATE USER MAPPING FOR nomap SERVER "primary" OPTIONS (user \'app\', password \'app secret\')');
refused("another one's mapping", 'nomap', '08001', qr/logs in as another role/, $write);
mapping('ALTER USER MAPPING FOR nomap SERVER "primary" OPTIONS (SET user \'boss\', SET password \'boss secret\')');
refused("a superuser's mapping", 'nomap', '08001', qr/logs in as another role/, $write);
mapping('ALTER USER MAPPING FOR nomap SERVER "primary" OPTIONS (SET user \'nomap\', SET password \'wrong secret\')');
refused('a wrong password', 'nomap', '08001', qr/password authentication failed/, $write);
mapping('ALTER USER MAPPING FOR nomap SERVER "primary" OPTIONS (DROP password)');
refused('no password', 'nomap', '08001', qr/no usable user mapping/, $write);
mapping([ 'DROP USER MAPPING FOR nomap SERVER "primary"',
	'CREATE USER MAPPING FOR PUBLIC SERVER "primary" OPTIONS (user \'nomap\', password \'nomap secret\')' ]);
is(session('near', 'nomap')->value('SELECT become(\'none\', false)'), 'nomap', 'a mapping of all, which is its own');
mapping('ALTER USER MAPPING FOR PUBLIC SERVER "primary" OPTIONS (SET user \'app\', SET password \'app secret\')');
refused("a mapping of all, which is another's", 'nomap', '08001', qr/logs in as another role/, $write);
mapping('DROP USER MAPPING FOR PUBLIC SERVER "primary"');
refused("a superuser's session in another role", 'boss', '08001', qr/no usable user mapping/, 'SET ROLE nobody', $write);
{
	my $session = session('near', 'boss');
	$session->do('BEGIN');
	$session->do('INSERT INTO log (who) VALUES (\'boss\')');
	$session->do('SET ROLE app');
	is($session->error($write)->{code}, '0A000', "... in the middle of a superuser's transaction");
	$session->do('ROLLBACK');
	is($session->value('SELECT there_user()'), 'boss', '... which can be tried again');
}

# --- the primary's word holds, be the replica behind or not -------------

{
	$cluster->pause('near');
	my $session = session('near', 'alice');
	$session->do("SET consistency = 'eventual'");
	$dba->do('REVOKE grp FROM alice');
	$session->do('SET ROLE grp');
	is($session->error($write)->{code}, '42501', 'a membership that was revoked a moment ago');
	is($session->value('SELECT current_user'), 'grp', '... which this replica does not know yet');
	$session->do('RESET ROLE');
	$dba->do('REVOKE ALL ON account FROM app');
	my $app = session('near', 'app');
	$app->do("SET consistency = 'eventual'");
	is($app->error($write)->{code}, '42501', 'a privilege');
	$dba->do('GRANT ALL ON account TO app');
	$app->do('INSERT INTO account (id, v) VALUES (51, 1)');
	pass('... that was granted');
	my $gone = session('near', 'bob');
	$gone->do("SET consistency = 'eventual'");
	$dba->do('ALTER ROLE bob NOLOGIN');
	$gone->do("SET consistency.wait_timeout = '500ms'");
	is($gone->error($write)->{code}, '08001', 'a role that may not log in any more');
	$dba->do($_) for ('GRANT grp TO alice', 'ALTER ROLE bob LOGIN');
	$cluster->resume('near');
	$cluster->wait_replayed;
}

# --- texts --------------------------------------------------------------

# In these encodings the second byte of a character may be a backslash.
foreach my $case ([ 'SJIS', "\x83\x5c" ], [ 'BIG5', "\xa5\x5c" ], [ 'GBK', "\x81\x5c" ])
{
	my ($encoding, $bytes) = @$case;
	restore();
	foreach my $scs ('on', 'off')
	{
		my $session = session('near', 'app');
		$session->do($_) for ("SET client_encoding = '$encoding'", "SET standard_conforming_strings = $scs");
		my $sql = "INSERT INTO shown VALUES ('$bytes'); DROP TABLE account; --') RETURNING t";
		my @results = $session->query($sql);
		is(scalar @results, 2, "$encoding, strings $scs: two statements");
		is($results[0]{tag}, 'INSERT 0 1', '... of which the first inserts');
		is($results[1]{error}{code}, '42501', '... and the second is checked');
		my $result = $session->query("INSERT INTO shown VALUES ('$bytes''; DROP TABLE account; --') RETURNING t");
		is($result->{rows}[0][0], "$bytes'; DROP TABLE account; --", '... a quote is a quote');
		$session->do("BEGIN");
		$session->do("DECLARE \"$bytes\"\"; DROP\" CURSOR FOR SELECT id FROM account WHERE id < 3 ORDER BY id FOR UPDATE");
		is($session->query("FETCH ALL FROM \"$bytes\"\"; DROP\"")->{error}, undef, '... and a name is a name');
		$session->do("SAVEPOINT \"$bytes\"\"; DROP TABLE shown; --\"");
		$session->do("INSERT INTO shown VALUES ('2')");
		$session->do("ROLLBACK TO \"$bytes\"\"; DROP TABLE shown; --\"");
		$session->do('COMMIT');
		is($dba->value("SELECT count(*) FROM shown WHERE t = '2'"), 0, '... of a savepoint, too');
	}
}
{
	my $session = session('near', 'app');
	is($session->error("INSERT INTO shown VALUES ('\xff\xfe')")->{code}, '22021', 'bytes that are no characters');
	is($session->error("INSERT INTO shown VALUES ('\xc3')")->{code}, '22021', '... or half of one');
	is($session->value("COPY (INSERT INTO shown VALUES (')''') RETURNING t) TO STDOUT"), ")'", 'parentheses in strings');
	$session->do('SET standard_conforming_strings = off');
	$session->do("COPY (INSERT INTO shown VALUES (')\\')') RETURNING t) TO STDOUT");
	is($dba->value("SELECT count(*) FROM shown WHERE t = ')'')'"), 1, '... with backslashes');
}

# --- and no password anywhere -------------------------------------------

foreach my $name ($cluster->names)
{
	my $log = slurp_file($cluster->node($name)->logfile);
	$log =~ s/^.*(?:PASSWORD|USER MAPPING).*$//gm;	# what the tests themselves said
	unlike($log, qr/secret/, "no password in the log of $name");
}
{
	my $session = session('near', 'boss');
	foreach my $view (qw(consistency.nodes pg_stat_activity))
	{
		unlike($session->text("SELECT * FROM $view"), qr/ secret/, "... nor in $view");
	}
}

done_testing();
