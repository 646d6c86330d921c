# Queries that run in odd places: in functions that no executor calls, in a
# walsender, while a plan is made; and what a failed wait leaves behind.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' } ],
	conf => "wal_level = logical\n");
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);

$app->do($_) for split /;;\n/, <<'SQL';
CREATE TABLE t (id int PRIMARY KEY, v int);;
INSERT INTO t SELECT g, 0 FROM generate_series(1, 5) g;;
CREATE FUNCTION catches() RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE n int;
BEGIN
	BEGIN
		SELECT count(*) INTO n FROM t;
		PERFORM 1 / (n - n);
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	RETURN (SELECT count(*) FROM t);
END $$;;
CREATE FUNCTION gives_up() RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE n int;
BEGIN
	SELECT count(*) INTO n FROM t;
	PERFORM 1 / (n - n);
	RETURN n;
EXCEPTION WHEN division_by_zero THEN
	RETURN 5;
END $$;;
CREATE FUNCTION counts(id int) RETURNS int LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
DECLARE n int;
BEGIN
	SELECT count(*) INTO n FROM t WHERE t.id = id;
	RETURN n;
END $$;;
CREATE FUNCTION wanted() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT min(id) FROM t); END $$;;
CREATE FUNCTION from_firm() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM firm); END $$;;
CREATE DOMAIN checked AS int CHECK (VALUE = catches());;
CREATE TABLE firm (v int);;
INSERT INTO firm VALUES (0);;
SELECT consistency.set_policy('firm', 'bounded', max_staleness => '100ms');;
CREATE TABLE deferred (id int REFERENCES t DEFERRABLE INITIALLY DEFERRED)
SQL

# Calls a function by the fast path; its answer as text, or the error's code.
sub fast_path
{
	my ($session, $oid, @args) = @_;
	$session->{pending}++;
	$session->_send('F', pack('N n n', $oid, 0, scalar @args)
		  . join('', map { pack('N/a*', $_) } @args) . pack('n', 0));
	my ($answer, $type, $body) = ('');
	while (1)
	{
		($type, $body) = $session->_message;
		$answer = substr($body, 4) if $type eq 'V';
		$answer = WireClient::_fields($body)->{code} if $type eq 'E';
		last if $type eq 'Z';
	}
	$session->{pending}--;
	return $answer;
}

my %oid = map { $_ => $app->value("SELECT '$_'::regproc::oid") } qw(catches counts gives_up);

# --- functions that no executor calls -----------------------------------

foreach my $level (qw(causal linearizable))
{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency = '$level'");
	is(fast_path($session, $oid{catches}), '5', "$level: the fast path, with an error caught");
	is(fast_path($session, $oid{gives_up}), '5', "$level: ... and nothing read thereafter");
	$session->do('PREPARE p(int) AS SELECT $1');
	is($session->value('EXECUTE p(gives_up())'), '5', "$level: an argument of EXECUTE, with an error caught");
	is($session->value('EXECUTE p(catches())'), '5', "$level: an argument of EXECUTE");
	is(scalar @{ $session->query('EXPLAIN ANALYZE EXECUTE p(catches())')->{rows} } > 0, 1, "$level: ... in EXPLAIN");
	$session->do('CREATE TEMP TABLE made AS EXECUTE p(catches())');
	is($session->value('TABLE made'), '5', "$level: ... in CREATE TABLE AS");
	$session->prepare('d', 'SELECT $1::checked + 1');
	is($session->run('d', 5)->{rows}[0][0], '6', "$level: a parameter's domain");
	$session->do('INSERT INTO deferred VALUES (1)');
	is($session->value('SELECT count(*) FROM t'), '5', "$level: ... and the session goes on");
}

# a function's query isn't sent on without the function's variables
{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'always'");
	$session->do('PREPARE q(int) AS SELECT $1');
	is($session->value('SELECT count(*) FROM t'), '5', 'reads are routed');
	is($session->row('SELECT * FROM consistency.last_read()')->{place}, 'routed', '... they are');
	$session->value('EXECUTE q(counts(1))') for 1 .. 6;
	is($session->value('EXECUTE q(counts(1))'), '1', "an argument of EXECUTE: its function's variables count");
	is(fast_path($session, $oid{counts}, '1'), '1', 'the fast path, too');
}

# --- at a replica that stands still -------------------------------------

$cluster->wait_replayed;
$cluster->pause('near');
$app->do('UPDATE t SET v = v + 1');
my $token = $app->parameter('consistency.token');

sub reader
{
	my ($on_timeout, $wait) = @_;
	my $session = $cluster->connect('near');
	$session->do("SET consistency.on_timeout = '$on_timeout'");
	$session->do("SET consistency.wait_timeout = '$wait'");
	# not by SET, which would wait
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	return $session;
}

{
	my $session = reader('primary', '100ms');
	$session->do('SET work_mem = 4096');
	my $result = $session->query('SELECT v FROM t WHERE id = wanted()');
	is($result->{error} && $result->{error}{message}, undef, 'a function evaluated by the planner does not fail the read');
	is($result->{rows}[0][0], 1, '... which goes to the primary');

	$session = reader('primary', '100ms');
	$session->do('PREPARE q(int) AS SELECT $1');
	my $r = $session->query('EXECUTE q(counts(1))'); is($r->{error} ? $r->{error}{code} : "answer $r->{rows}[0][0]", 'YC001', 'an argument of EXECUTE can not go there');
}

# A transaction that was answered stale when it began: minimums still count.
{
	my $session = $cluster->connect('near');
	$session->do("SET $_") foreach "consistency = 'bounded'", "consistency.max_staleness = '100ms'",
	  "consistency.wait_timeout = '100ms'", "consistency.on_timeout = 'stale'";
	usleep(200_000);
	my $result = $session->query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT v FROM t WHERE id = 1');
	is($result->{error}, undef, 'REPEATABLE READ, answered stale');
	is($session->row('SELECT * FROM consistency.last_read()')->{place}, 'stale', '... and the statement says so');
	is($session->query('SELECT v FROM firm')->{error}{code}, 'YC001', '... but not below a minimum');
	$session->query('ROLLBACK');
}

# What a statement before it was doesn't matter to a plan that could have left.
{
	my $session = $cluster->connect('near');
	$session->do("SET $_") foreach "consistency = 'linearizable'", "consistency.wait_timeout = '100ms'",
	  "consistency.on_timeout = 'error'";
	$session->do("SET plan_cache_mode = 'force_generic_plan'");
	$session->prepare('again', 'SELECT from_firm() FROM t WHERE id = $1');
	$session->do("SET consistency = 'linearizable'");
	$session->run('again', 1);
	$session->do("SET consistency = 'eventual'");
	usleep(200_000);
	$session->value('SELECT 1');
	is($session->run('again', 1)->{error}{code}, 'YC001',
		'a function in a plan that could have left: its tables count after a statement that reads nothing');
}

# A retry waits anew.
foreach my $way ('EXECUTE e', 'COPY t TO STDOUT', 'EXPLAIN ANALYZE SELECT v FROM t')
{
	my $session = reader('error', '300ms');
	$session->do('PREPARE e AS SELECT v FROM t');
	is($session->error($way)->{code}, 'YC001', "$way: in vain");
	foreach my $retry ($way, 'SELECT v FROM t', $way)
	{
		my $start = time;
		is($session->error($retry)->{code}, 'YC001', "$way, then $retry: in vain");
		cmp_ok(time - $start, '>', 0.25, '... after a wait of its own');
	}
}
$cluster->resume('near');
$cluster->wait_replayed;

# --- a subscription's table is copied whatever the default level --------

foreach my $level (qw(causal linearizable))
{
	$cluster->sql('primary', "ALTER SYSTEM SET consistency.default_level = '$level'");
	$cluster->sql('primary', 'SELECT pg_reload_conf()');
	$cluster->sql('primary', 'CREATE DATABASE subscriber') if $level eq 'causal';
	$cluster->sql('primary', 'DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v int)', 'subscriber');
	$cluster->sql('primary', "CREATE PUBLICATION pub_$level FOR TABLE t");
	$cluster->sql('primary', "SELECT pg_create_logical_replication_slot('sub_$level', 'pgoutput')");
	my $conninfo = $cluster->primary->connstr('postgres') =~ s/'/''/gr;
	$cluster->sql('primary', "CREATE SUBSCRIPTION sub_$level CONNECTION '$conninfo' PUBLICATION pub_$level"
		  . " WITH (create_slot = false, slot_name = 'sub_$level')", 'subscriber');
	my $copied = eval {
		wait_until(sub { $cluster->sql('primary', 'SELECT count(*) FROM t', 'subscriber') == 5 }, 'the copy', 15);
	};
	ok($copied, "$level: a subscription's first copy");
	$cluster->sql('primary', "ALTER SUBSCRIPTION sub_$level DISABLE; ALTER SUBSCRIPTION sub_$level SET (slot_name = NONE); DROP SUBSCRIPTION sub_$level", 'subscriber');
}

# --- "bounded" without a bound ------------------------------------------

{
	$cluster->sql('near', "ALTER SYSTEM SET consistency.default_level = 'bounded'");
	$cluster->sql('near', 'ALTER SYSTEM SET consistency.max_staleness = -1');
	$cluster->sql('near', 'SELECT pg_reload_conf()');
	$cluster->sql('primary', "ALTER SYSTEM SET consistency.default_level = 'session'");
	$cluster->sql('primary', 'SELECT pg_reload_conf()');
	usleep(300_000);
	is($cluster->connect('near')->error('SELECT v FROM t')->{code}, '22023', 'no bound: an error');
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'always'");
	$session->value('SELECT count(*) FROM t');
	is($session->row('SELECT * FROM consistency.last_read()')->{place}, 'routed', '... but others can route to it');
}

# --- what health checks ask ---------------------------------------------

{
	my $session = $cluster->connect('near');
	$session->do("SET consistency = 'linearizable'");
	is($session->value('SELECT pg_is_in_recovery()'), 't', 'a replica says that it is one, whatever the level');
	isnt($session->value('SELECT pg_last_wal_replay_lsn()'), undef, '... and how far it is');
}

# --- nothing was left behind --------------------------------------------

foreach my $name ($cluster->names)
{
	my $log = slurp_file($cluster->node($name)->logfile);
	unlike($log, qr/terminated by signal|reference leak|snapshot .* still active/, "$name: no crash, no leak");
}

done_testing();
