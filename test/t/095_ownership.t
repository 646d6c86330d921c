# Rows that one member alone may write, on two servers that replicate to each
# other: writes elsewhere are refused, or sent to the owner and come back.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyGroup;
use PostgreSQL::Test::Utils;
use Test::More;

my $setup = <<'SQL';
CREATE ROLE app LOGIN PASSWORD 'app secret';
GRANT CREATE ON SCHEMA public TO app;
CREATE TABLE doc (
    gone int,
    id int PRIMARY KEY,
    body text,
    n int NOT NULL DEFAULT 0,
    at timestamptz,
    f float8,
    pad char(5) DEFAULT 'x',
    net inet,
    flag bool,
    tags text[],
    made interval,
    price money,
    twice int GENERATED ALWAYS AS (n * 2) STORED,
    region text NOT NULL);
ALTER TABLE doc DROP gone;
SELECT consistency.attach('doc');
CREATE TABLE part (id int GENERATED ALWAYS AS IDENTITY, owner text NOT NULL, v text,
    PRIMARY KEY (id, owner)) PARTITION BY LIST (owner);
CREATE TABLE part_paris PARTITION OF part FOR VALUES IN ('paris');
CREATE TABLE part_london (v text, owner text NOT NULL, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_london FOR VALUES IN ('london');
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE, region text NOT NULL);
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
REVOKE ALL ON part_paris, part_london FROM app;
SQL

my $group = ConsistencyGroup->new(members => [ 'paris', 'london' ], setup => $setup);
my %other = (paris => 'london', london => 'paris');

# Everybody logs in by password; then nobody but "app" has a mapping.
foreach my $name (sort keys %other)
{
	my $node = $group->node($name);
	open my $hba, '>', $node->data_dir . '/pg_hba.conf' or die $!;
	print $hba "local all,replication app,peer scram-sha-256\nlocal all,replication all trust\n";
	close $hba;
	$node->reload;
}
$group->join(at => 'paris');

# "doc" converges; of "part" each member publishes its own partition.
foreach my $name (sort keys %other)
{
	$group->sql($name,
		"CREATE USER MAPPING FOR app SERVER $other{$name} OPTIONS (user 'app', password 'app secret')");
	$group->sql($name, <<"SQL");
SELECT consistency.set_ownership('doc', 'region', elsewhere => 'forward');
SELECT consistency.set_ownership('child', 'region', elsewhere => 'forward');
SELECT consistency.set_ownership('part_paris', owner => 'paris', elsewhere => 'forward');
SELECT consistency.set_ownership('part_london', owner => 'london', elsewhere => 'forward');
CREATE PUBLICATION own_part FOR TABLE part_$name;
SQL
}
foreach my $name (sort keys %other)
{
	my $peer = $group->node($other{$name});
	$group->sql($name,
		"CREATE SUBSCRIPTION parts_of_$other{$name} CONNECTION \$\$" . $peer->connstr('postgres')
		  . "\$\$ PUBLICATION own_part WITH (copy_data = false)");
}

sub app { my ($name) = @_; return $group->connect($name, user => 'app', password => 'app secret'); }
my $paris = app('paris');
my $london = app('london');

# The row arrives at the other member like this.
sub arrives
{
	my ($session, $query, $expected, $what) = @_;
	my $found;
	wait_until(sub { ($found = $session->text($query)) eq $expected; }, $what);
	is($found, $expected, $what);
	return;
}

# Command tag of a statement, or its error.
sub tag
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql);
	return $result->{error} ? "$result->{error}{code} $result->{error}{message}" : $result->{tag};
}

# SQLSTATE of the first error, or "none".
sub code
{
	my ($session, $sql) = @_;
	my ($failed) = grep { $_->{error} } $session->query($sql);
	$session->query('ROLLBACK') if $session->status ne 'I';
	return $failed ? $failed->{error}{code} : 'none';
}

# Both members come to have the same rows.
sub same
{
	my ($what) = @_;
	my @found;
	wait_until(
		sub {
			@found = map { $_->text('SELECT * FROM doc ORDER BY id') } $paris, $london;
			return $found[0] eq $found[1];
		},
		$what);
	is($found[0], $found[1], $what);
	return;
}

# --- each kind of change -------------------------------------------------

is(tag($paris, "INSERT INTO doc (id, body, region) VALUES (1, 'from paris', 'paris'), (2, 'to london', 'london')"),
	'INSERT 0 2', 'an INSERT of own rows and of the other member\'s counts both');
is($london->text('SELECT id FROM doc WHERE id = 2'), '2', 'the other one at its owner, once it is committed');
arrives($paris, 'SELECT id, body FROM doc ORDER BY id', "1|from paris\n2|to london", 'and comes back');
arrives($london, 'SELECT id, body FROM doc ORDER BY id', "1|from paris\n2|to london", 'and the other way');

is(tag($london, "UPDATE doc SET body = 'by london', n = n + 1 WHERE id = 1"), 'UPDATE 1', 'an UPDATE');
is($paris->text('SELECT body, n, twice FROM doc WHERE id = 1'), 'by london|1|2', 'it is done at the owner');
same('and comes back');

# whatever the session's settings are, values mean the same
$london->do("SET DateStyle = 'German'; SET TimeZone = 'Asia/Kolkata'; SET IntervalStyle = sql_standard;"
	  . " SET extra_float_digits = 0; SET bytea_output = escape; SET search_path = public, pg_catalog");
$london->do("SET client_encoding = 'LATIN1'");
$paris->do("SET DateStyle = 'SQL, DMY'; SET TimeZone = 'America/New_York'");
is(tag($london, "UPDATE doc SET at = '03.02.2001 04:05:06.789', f = 0.1::float8 + 0.2, net = '10.0.0.1',"
		  . " flag = true, tags = '{a,\"b c\",NULL}', made = '1 day -2 hours', price = '1,234.56', pad = 'ab', body = 'd' || chr(233) || E'j\\\\\\'\"a' WHERE id = 1"),
	'UPDATE 1', 'values of many types');
arrives($london, 'SELECT f = 0.1::float8 + 0.2 FROM doc WHERE id = 1', 't', 'they come back');
is(tag($london, 'UPDATE doc SET n = 7 WHERE id = 1'), 'UPDATE 1', 'a row with values of many types is the same at both');
is($paris->text("SELECT at = '2001-02-02 22:35:06.789+00', f = 0.1::float8 + 0.2, made = '1 day -2 hours',"
		  . " tags = '{a,\"b c\",NULL}', body = 'd' || chr(233) || E'j\\\\\\'\"a', n FROM doc WHERE id = 1"),
	't|t|t|t|t|7', 'they were not changed on their way');
$london = app('london');
$paris = app('paris');
arrives($london, 'SELECT n FROM doc WHERE id = 1', '7', 'and that comes back');

is(tag($london, 'DELETE FROM doc WHERE id = 1'), 'DELETE 1', 'a DELETE');
is($paris->text('SELECT count(*) FROM doc WHERE id = 1'), '0', 'it is done at the owner');
arrives($london, 'SELECT count(*) FROM doc WHERE id = 1', '0', 'and comes back');
is(tag($london, 'UPDATE doc SET n = 0 WHERE id = 99'), 'UPDATE 0', 'no row, no count');

# --- transactions --------------------------------------------------------

$paris->do("INSERT INTO doc (id, body, region) SELECT i, 'p', 'paris' FROM generate_series(10, 14) AS i");
$london->do("INSERT INTO doc (id, body, region) SELECT i, 'l', 'london' FROM generate_series(20, 24) AS i");
same('rows to work with');

is(tag($london, 'UPDATE doc SET n = 1 WHERE id IN (10, 11, 20, 21)'), 'UPDATE 4', 'a statement for rows of both');
arrives($london, 'SELECT sum(n) FROM doc', '4', 'all of them changed');

$london->do("BEGIN; UPDATE doc SET n = 2 WHERE id IN (10, 20)");
is($paris->text('SELECT sum(n) FROM doc WHERE id = 10'), '1', 'not seen before the commit');
is($london->text('SELECT n FROM doc WHERE id IN (10, 20) ORDER BY id'), "1\n2", 'nor here, where it was written');
$london->do('ROLLBACK');
is($paris->text('SELECT n FROM doc WHERE id = 10'), '1', 'rolled back at the owner');

is(code($london, "BEGIN; UPDATE doc SET n = 2 WHERE id = 10; UPDATE doc SET n = 1/0 WHERE id = 20; COMMIT"), '22012',
	'an error here');
is($paris->text('SELECT n FROM doc WHERE id = 10'), '1', 'undoes what was done at the owner');

$london->do('BEGIN; UPDATE doc SET n = 3 WHERE id = 10; SAVEPOINT a; UPDATE doc SET n = 3 WHERE id = 11;'
	  . ' SAVEPOINT b; UPDATE doc SET n = 3 WHERE id = 12; RELEASE b; ROLLBACK TO a;'
	  . ' UPDATE doc SET n = 3 WHERE id = 13; COMMIT');
is($paris->text('SELECT id, n FROM doc WHERE n = 3 ORDER BY id'), "10|3\n13|3", 'savepoints are savepoints there');
same('and comes back');

$london->do(<<'SQL');
CREATE FUNCTION try_twice(OUT counted bigint, OUT caught text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE doc SET n = 4 WHERE id IN (10, 11, 20);
    GET DIAGNOSTICS counted = ROW_COUNT;
    BEGIN
        UPDATE doc SET n = 5 WHERE id = 12;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN caught := SQLSTATE;
    END;
END $$
SQL
is($london->text('SELECT * FROM try_twice()'), '3|22012', 'a function is told the count, and catches errors');
is($paris->text('SELECT n FROM doc WHERE id IN (10, 11, 12) ORDER BY id'), "4\n4\n0", 'what it has caught is undone');
same('and comes back');

# an error there can be caught here
$london->do(<<'SQL');
CREATE FUNCTION try_key(OUT caught text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE doc SET n = 5 WHERE id = 12;
    BEGIN
        UPDATE doc SET id = 98 WHERE id = 13;
    EXCEPTION WHEN OTHERS THEN caught := SQLERRM;
    END;
    UPDATE doc SET n = 5 WHERE id = 14;
END $$
SQL
like($london->value('SELECT try_key()'), qr/key/, 'an error of the owner is caught');
is($paris->text('SELECT id, n FROM doc WHERE id IN (12, 13, 14, 98) ORDER BY id'), "12|5\n13|3\n14|5",
	'the rest of the transaction is done');
same('and comes back');

is(tag($london, "MERGE INTO doc USING (VALUES (10), (20), (30)) AS s (k) ON id = k"
		  . " WHEN MATCHED THEN UPDATE SET n = 6 WHEN NOT MATCHED THEN INSERT (id, region) VALUES (k, 'paris')"),
	'MERGE 3', 'MERGE counts');
is($paris->text('SELECT id, n FROM doc WHERE id IN (10, 30) ORDER BY id'), "10|6\n30|0", 'and does what it says');
same('and comes back');
is(code($london, "BEGIN; UPDATE doc SET n = 7 WHERE id = 10; PREPARE TRANSACTION 'x'"), '0A000', 'no two phases');
is($paris->text('SELECT n FROM doc WHERE id = 10'), '6', 'and nothing done');

# --- what can't be told honestly is refused ------------------------------

is(code($london, 'UPDATE doc SET n = 8 WHERE id = 10 RETURNING n'), '0A000', 'RETURNING');
is(code($london, "INSERT INTO doc (id, region) VALUES (10, 'paris') ON CONFLICT DO NOTHING"), '0A000', 'ON CONFLICT');
is(code($london, 'WITH w AS (UPDATE doc SET n = 8 WHERE id = 10) SELECT 1'), '0A000', 'WITH');
is(code($london, 'WITH w AS (UPDATE doc SET n = 8 WHERE id = 10) UPDATE doc SET n = 8 WHERE id = 20'), '0A000', 'WITH and UPDATE');
my $file = $group->node('london')->data_dir . '/rows';
append_to_file($file, "40\tparis\n");
my $super = $group->connect('london');
is(code($super, "COPY doc (id, region) FROM '$file'"), '0A000', 'COPY');
$group->sql('london', "SET session_replication_role = replica; INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1, 'paris')");
is(code($london, 'DELETE FROM parent'), '0A000', 'what a foreign key does');
is(code($london, 'SET consistency.write_forwarding = off; UPDATE doc SET n = 8 WHERE id = 10'), 'YC004',
	'refused where forwarding is off');
$london->do('RESET consistency.write_forwarding');
is(code($london, "UPDATE doc SET region = 'london' WHERE id = 10"), 'none', 'the owner may be asked to hand a row over');
arrives($paris, 'SELECT region FROM doc WHERE id = 10', 'london', 'and does');
arrives($london, 'SELECT region FROM doc WHERE id = 10', 'london', 'it is ours');
is(tag($london, 'UPDATE doc SET n = 9 WHERE id = 10'), 'UPDATE 1', 'and is written here');
arrives($paris, 'SELECT n FROM doc WHERE id = 10', '9', 'from now on');
is(tag($paris, "UPDATE doc SET region = 'paris' WHERE id = 10"), 'UPDATE 1', 'and back');
same('and comes back');

# --- nothing is overwritten that isn't known here ------------------------

$group->sql('london', 'ALTER SUBSCRIPTION consistency_g_paris DISABLE');
wait_until(sub { $group->sql('london', "SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL AND subname = 'consistency_g_paris'") eq '0' }, 'nothing arrives');
$paris->do("UPDATE doc SET body = 'news' WHERE id = 11");
is(code($london, 'UPDATE doc SET n = n + 1 WHERE id = 11'), '40001', 'a row that is old here');
is(code($london, 'DELETE FROM doc WHERE id = 11'), '40001', 'isn\'t deleted either');
is(code($london, 'BEGIN; UPDATE doc SET n = 10 WHERE id = 12; UPDATE doc SET n = n + 1 WHERE id = 12; COMMIT'), '40001',
	'what the same transaction has written there is unknown here, too');
$group->sql('london', 'ALTER SUBSCRIPTION consistency_g_paris ENABLE');
same('it arrives');
is(tag($london, 'UPDATE doc SET n = n + 1 WHERE id = 11'), 'UPDATE 1', 'then it can be changed');
is($paris->text('SELECT body, n FROM doc WHERE id = 11'), 'news|5', 'with what was written in between');
same('and comes back');

# --- rights --------------------------------------------------------------

$group->sql('paris', 'REVOKE UPDATE ON doc FROM app');
is(code($london, 'UPDATE doc SET n = 11 WHERE id = 11'), '42501', 'no rights there, whatever they are here');
$group->sql('paris', 'GRANT UPDATE ON doc TO app');
$group->sql($_, 'DROP USER MAPPING FOR PUBLIC SERVER ' . $other{$_}) for sort keys %other;
is(code($super, 'UPDATE doc SET n = 11 WHERE id = 11'), '42704', 'a role without a mapping, superuser or not');
$group->sql('london', <<'SQL');
CREATE FUNCTION write_doc() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'UPDATE public.doc SET n = 12 WHERE id = 11';
ALTER FUNCTION write_doc() OWNER TO app;
CREATE ROLE caller LOGIN;
SQL
my $caller = $group->connect('london', user => 'caller');
is(code($caller, 'UPDATE doc SET n = 13 WHERE id = 11'), '42501', 'who may not write here');
is(code($caller, 'SELECT write_doc()'), 'none', 'a function with its owner\'s rights goes by its owner\'s mapping');
is($paris->text('SELECT n FROM doc WHERE id = 11'), '12', 'and writes');
same('and comes back');

# --- both options together ------------------------------------------------

$group->sql($_, "SELECT consistency.set_optimistic_lock('doc', 'n')") for sort keys %other;
is(code($london, 'UPDATE doc SET n = n + 1 WHERE id = 11 AND n = 12'), 'none', 'the version goes to the owner');
is($paris->text('SELECT n FROM doc WHERE id = 11'), '13', 'which has checked it');
same('and comes back');
is(code($london, 'UPDATE doc SET n = 13 WHERE id = 11'), '40001', 'a version that isn\'t the next one is refused there');
is(code($london, "UPDATE doc SET body = 'blind' WHERE id = 11"), '55000', 'and an update without one');
$group->sql($_, "SELECT consistency.drop_optimistic_lock('doc')") for sort keys %other;

# --- partitions, each one another member's -------------------------------

is(tag($london, "INSERT INTO part (owner, v) VALUES ('paris', 'x'), ('london', 'y')"), 'INSERT 0 2', 'a row for each partition');
is($paris->text('SELECT tableoid::regclass, owner, v FROM part WHERE owner = \'paris\''), 'part_paris|paris|x', 'there by the name of the parent');
arrives($london, 'SELECT v FROM part ORDER BY v', "x\ny", 'and comes back');
arrives($paris, 'SELECT v FROM part ORDER BY v', "x\ny", 'the other one, too');
is(tag($paris, "UPDATE part SET v = v || '!'"), 'UPDATE 2', 'both are written');
arrives($london, 'SELECT v FROM part ORDER BY v', "x!\ny!", 'each one at its owner');
arrives($paris, 'SELECT v FROM part ORDER BY v', "x!\ny!", 'and comes back');

# --- the owner errs, or is gone ------------------------------------------

$group->sql('paris', <<'SQL');
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.body = 'fail' THEN RAISE check_violation; END IF;
    IF NEW.body = 'wait' THEN PERFORM pg_advisory_xact_lock(42); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON doc DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION at_commit();
SQL
is(code($london, "BEGIN; UPDATE doc SET n = 20 WHERE id = 20; UPDATE doc SET body = 'fail' WHERE id = 11; COMMIT"), '23514',
	'a commit that fails at the owner');
is($london->text('SELECT n FROM doc WHERE id = 20'), '6', 'fails here');

my $locker = $group->connect('paris');
my $paris_dba = $group->connect('paris');
my $waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'app'";

# Ends the owner's session while it is about to commit.
sub lose_commit
{
	my ($id, $find) = @_;
	$london->send_query("BEGIN; UPDATE doc SET n = 21 WHERE id = 20; UPDATE doc SET body = 'wait' WHERE id = $id; COMMIT");
	my $pid;
	wait_until(sub { $pid = $paris_dba->value($find) }, 'it waits at the owner');
	$paris_dba->do("SELECT pg_terminate_backend($pid)");
	my @results = $london->finish;
	my ($failed) = grep { $_->{error} } @results;
	$london->query('ROLLBACK') if $london->status ne 'I';
	return $failed->{error};
}
$locker->do('SELECT pg_advisory_lock(42)');
my $error = lose_commit(11, $waiting);
is($error->{code}, '08007', 'the owner goes while it commits: the outcome is unknown');
is($london->text('SELECT n FROM doc WHERE id = 20'), '6', 'here it is rolled back');
my ($ticket) = $error->{hint} =~ /transaction_status\('(.*)'\)/;
is($paris->value("SELECT consistency.transaction_status('$ticket')"), 'aborted', 'the owner tells: it was not committed');
is($paris->text('SELECT body FROM doc WHERE id = 11'), 'news', 'as is so');
$locker->do('SELECT pg_advisory_unlock(42)');

$group->sql('paris', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()");
wait_until(sub { $paris_dba->value('SHOW synchronous_standby_names') eq 'nobody' }, 'commits wait at the owner');
$error = lose_commit(11, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'app'");
is($error->{code}, '08007', 'the owner goes when it has committed: the outcome is unknown');
($ticket) = $error->{hint} =~ /transaction_status\('(.*)'\)/;
is($paris->value("SELECT consistency.transaction_status('$ticket')"), 'committed', 'the owner tells: it was committed');
is($paris->text('SELECT body FROM doc WHERE id = 11'), 'wait', 'as is so');
$group->sql('paris', "SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
wait_until(sub { $paris_dba->value('SHOW synchronous_standby_names') eq '' }, 'they do no longer');
same('it arrives');

# a cancel reaches the owner
$locker->do('BEGIN; SELECT * FROM doc WHERE id = 13 FOR UPDATE');
$london->send_query('UPDATE doc SET n = 30 WHERE id = 13');
wait_until(sub { $paris_dba->value($waiting) }, 'it waits for a lock at the owner');
$london->cancel;
is($london->finish->{error}{code}, '57014', 'a cancel');
wait_until(sub { !defined $paris_dba->value($waiting) }, 'ends it there');
$london->do("SET statement_timeout = '100ms'");
is(code($london, 'UPDATE doc SET n = 30 WHERE id = 13'), '57014', 'so does a timeout');
$london->do("RESET statement_timeout; SET lock_timeout = '100ms'");
is(code($london, 'UPDATE doc SET n = 30 WHERE id = 13'), '55P03', 'and the limit for locks counts there');
$london->do('RESET lock_timeout');
$locker->do('ROLLBACK');
is(tag($london, 'UPDATE doc SET n = 30 WHERE id = 13'), 'UPDATE 1', 'it goes on');
same('and comes back');

# a broken connection
$london->do('BEGIN; UPDATE doc SET n = 31 WHERE id = 13');
$paris_dba->do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'app'");
wait_until(sub { !defined $paris_dba->value("SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'app'") }, 'it is gone');
like(code($london, 'COMMIT'), qr/^(08|57)/, 'what was lost before the commit fails');
is(tag($london, 'UPDATE doc SET n = 32 WHERE id = 13'), 'UPDATE 1', 'the next one connects anew');
same('and comes back');

# no loops: who doesn't own it doesn't send it on
$group->sql('paris', "ALTER DATABASE postgres SET consistency.member = 'rome'");
my $fresh = app('london');
$error = $fresh->error('UPDATE doc SET n = 33 WHERE id = 13');
is($error->{code}, 'YC004', 'a member that says it is another one refuses') or diag($error->{message});
$group->sql('paris', "ALTER DATABASE postgres RESET consistency.member");

$group->node('paris')->stop;
is(code($london, 'UPDATE doc SET n = 34 WHERE id = 20'), 'none', 'own rows are written while the other member is down');
like(code(app('london'), 'UPDATE doc SET n = 34 WHERE id = 13'), qr/^08/, 'those of its own are not');
$group->node('paris')->start;
$paris = app('paris');
is(tag(app('london'), 'UPDATE doc SET n = 35 WHERE id = 13'), 'UPDATE 1', 'until it is back');
same('and all arrives');

# --- a dump keeps it -----------------------------------------------------

my $dump = $group->node('london')->data_dir . '/dump.sql';
$group->node('london')->command_ok([ 'pg_dump', '--schema-only', '-t', 'doc', '-t', 'part*', '--dbname', $group->node('london')->connstr('postgres'), '-f', $dump ],
	'dumped');
$group->sql('london', 'CREATE DATABASE restored');
$group->node('london')->safe_psql('restored', 'CREATE EXTENSION consistency');
$group->node('london')->command_ok([ 'psql', '-v', 'ON_ERROR_STOP=1', '-q', '-d', $group->node('london')->connstr('restored'), '-f', $dump ],
	'and restored');
my $view = 'SELECT * FROM consistency.owned_tables WHERE relation <> \'child\'::regclass ORDER BY relation::text';
is($group->node('london')->safe_psql('restored', "CREATE TABLE child (); $view"), $group->sql('london', $view), 'ownership is as before');

done_testing();
