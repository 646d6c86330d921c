# What a read is promised, and who decides: the session, a comment in the
# statement, the administrator's minimum, the policies of the tables that it
# reads.  Each gets at least what any of them demands, wherever it runs.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

# "still" is paused most of the time; reads that leave go to "near".
my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' }, { name => 'still' } ]);
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);

# --- helpers ------------------------------------------------------------

sub last_read { return $_[0]->row('SELECT * FROM consistency.last_read()'); }

# Level and who decided it, of the read just done.
sub decided
{
	my $last = last_read($_[0]);
	return "$last->{level} by $last->{policy}";
}

my $token;

# A session at the paused replica that knows of a write which isn't there, and
# would rather fail than go anywhere else.  Under "eventual" it doesn't care.
sub reader
{
	my ($level, %arg) = @_;
	my $session = $cluster->connect('still', %arg);
	$session->do("SET consistency.on_timeout = 'error'");
	$session->do("SET consistency.write_forwarding = off");	# functions that may write stay
	$session->do("SET consistency.wait_timeout = '50ms'");
	$session->do("SET consistency = '$level'") if $level;
	$arg{before}->($session) if $arg{before};
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	return $session;
}

# The code of the error that a statement, or the last one of several, ends in.
sub code
{
	my ($session, $sql) = @_;
	my $error = ref $sql ? $sql->($session)->{error} : $session->query($sql)->{error};
	$session->query('ROLLBACK') if $session->status ne 'I';
	return $error ? $error->{code} : 'none';
}

# Reads under "eventual" that a policy keeps from being stale, or doesn't.
sub raised { my ($what, $sql, %arg) = @_; is(code(reader('eventual', %arg), $sql), 'YC001', "raised: $what"); return; }
sub left { my ($what, $sql, %arg) = @_; is(code(reader('eventual', %arg), $sql), 'none', "left as it is: $what"); return; }

# Waits until a session's reads leave for the replica that replays.
sub settle
{
	my ($session) = @_;
	$cluster->wait_replayed('near');
	$session->do("SET consistency.routing = 'always'");
	wait_until(
		sub { $session->do('SELECT v FROM plain'); return last_read($session)->{place} eq 'routed'; },
		'reads are routed');
	return $session;
}
sub router { my ($level) = @_; my $s = $cluster->connect('primary'); $s->do("SET consistency = '$level'") if $level; return settle($s); }

# --- tables -------------------------------------------------------------

$app->do($_) for split /;\n/, <<'SQL';
CREATE TABLE plain (i int PRIMARY KEY, v int);
CREATE TABLE floor (i int PRIMARY KEY, v int);
CREATE TABLE later (i int PRIMARY KEY, v int);
CREATE TABLE "Odd.Name" (i int PRIMARY KEY, v int);
CREATE TABLE strict (i int PRIMARY KEY, v int);
CREATE TABLE easy (i int PRIMARY KEY, v int);
CREATE TABLE tight (i int PRIMARY KEY, v int);
CREATE TABLE loose (i int PRIMARY KEY, v int);
CREATE TABLE part (k int, v int) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part2 PARTITION OF part FOR VALUES IN (2) PARTITION BY LIST (v);
CREATE TABLE part2x PARTITION OF part2 DEFAULT;
CREATE TABLE split (k int, v int) PARTITION BY LIST (k);
CREATE TABLE split1 PARTITION OF split FOR VALUES IN (1);
CREATE TABLE split2 PARTITION OF split FOR VALUES IN (2);
CREATE TABLE parent (i int, v int);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE mother (i int, v int);
CREATE TABLE daughter () INHERITS (mother);
INSERT INTO plain VALUES (1, 0);
INSERT INTO floor VALUES (1, 0);
INSERT INTO loose VALUES (1, 0);
INSERT INTO tight VALUES (1, 0);
CREATE VIEW on_floor AS SELECT v FROM floor;
CREATE VIEW on_view AS SELECT max(v) AS v FROM on_floor;
CREATE VIEW strict_view AS SELECT v FROM plain;
CREATE VIEW barrier_view WITH (security_barrier) AS SELECT v FROM plain;
CREATE MATERIALIZED VIEW stored AS SELECT v FROM plain;
CREATE FUNCTION in_sql() RETURNS int LANGUAGE sql STABLE AS 'SELECT v FROM floor';
CREATE FUNCTION not_inlined() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT v FROM floor';
CREATE FUNCTION in_plpgsql() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM floor); END $$;
CREATE FUNCTION in_dynamic() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r int; BEGIN EXECUTE 'SELECT v FROM floor' INTO r; RETURN r; END $$;
CREATE FUNCTION in_loop() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r record; s int := 0; BEGIN FOR r IN SELECT v FROM floor LOOP s := s + r.v; END LOOP; RETURN s; END $$;
CREATE FUNCTION of_plain() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM plain); END $$;
CREATE FUNCTION set_causal() RETURNS int LANGUAGE plpgsql STABLE SET consistency = 'causal' AS $$ BEGIN RETURN (SELECT v FROM plain); END $$;
CREATE FUNCTION set_eventual() RETURNS int LANGUAGE plpgsql STABLE SET consistency = 'eventual' AS $$ BEGIN RETURN (SELECT v FROM plain); END $$;
CREATE FUNCTION floor_eventual() RETURNS int LANGUAGE plpgsql STABLE SET consistency = 'eventual' AS $$ BEGIN RETURN (SELECT v FROM floor); END $$;
CREATE FUNCTION promised() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN
	RETURN concat_ws(' ', current_setting('consistency'), current_setting('consistency.bounded_keeps_session'),
		current_setting('consistency.max_staleness'), current_setting('consistency.max_lag'),
		current_setting('consistency.on_timeout'), current_setting('consistency.wait_timeout')); END $$;
CREATE FUNCTION asked() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_query(); END $$;
CREATE PROCEDURE in_call() LANGUAGE plpgsql AS $$ BEGIN PERFORM v FROM floor; END $$
SQL
$cluster->wait_replayed;

# At the replica, sessions that have cached the absence of policies, and plans.
my $early = $cluster->connect('still');
$early->do("SET consistency = 'eventual'");
$early->do("SET plan_cache_mode = 'force_generic_plan'");
foreach my $table (qw(floor later part parent child))
{
	$early->prepare($table, "SELECT v FROM $table");
	$early->run($table) for 1 .. 2;
	is(decided($early), 'eventual by session', "before the policy: $table");
}
my $early_here = $cluster->connect('primary');
$early_here->do("SET consistency = 'eventual'");
$early_here->do("SET plan_cache_mode = 'force_generic_plan'");
$early_here->prepare('floor', 'SELECT v FROM floor');
$early_here->run('floor') for 1 .. 2;
is(decided($early_here), 'eventual by session', 'before the policy, at the primary');

$app->do($_) for split /;\n/, <<'SQL';
SELECT consistency.set_policy('floor', 'session');
SELECT consistency.set_policy('strict', 'sequential');
SELECT consistency.set_policy('"Odd.Name"', 'causal');
SELECT consistency.set_policy('easy', 'eventual', 'default');
SELECT consistency.set_policy('tight', 'bounded', max_staleness => '300 ms');
SELECT consistency.set_policy('loose', 'bounded', max_staleness => '1 day');
SELECT consistency.set_policy('part', 'session');
SELECT consistency.set_policy('split2', 'session');
SELECT consistency.set_policy('parent', 'session');
SELECT consistency.set_policy('daughter', 'session');
SELECT consistency.set_policy('strict_view', 'session');
SELECT consistency.set_policy('barrier_view', 'session');
SELECT consistency.set_policy('stored', 'session')
SQL
# ... replayed, and at once there for sessions that knew of none
$cluster->wait_replayed;
foreach my $table (qw(floor part parent child))
{
	$early->run($table);
	my $owner = $table eq 'child' ? 'parent' : $table;
	is(decided($early), "session by policy of public.$owner",
		"at the replica, cached before: a plan of $table gets the policy of $owner");
}
$early->run('later');
is(decided($early), 'eventual by session', '... and one of another table does not');
$early_here->run('floor');
is(decided($early_here), 'session by policy of public.floor', 'at the primary, cached before: the policy is there');

# --- at a paused replica ------------------------------------------------

$cluster->pause('still');
$app->do('UPDATE plain SET v = 1');
$app->do('UPDATE floor SET v = 1');
$token = $app->parameter('consistency.token');

{
	is(code(reader('session'), 'SELECT v FROM plain'), 'YC001', 'control: session misses the write');
	left('a table without a policy', 'SELECT v FROM plain');
	raised('the table', 'SELECT v FROM floor');
	raised('extended protocol', sub { $_[0]->execute('SELECT v FROM floor WHERE i = $1', 1) });
	raised('joined', 'SELECT * FROM plain, floor');
	raised('in a subquery', 'SELECT (SELECT max(v) FROM floor) FROM plain');
	raised('in EXISTS', 'SELECT 1 FROM plain p WHERE EXISTS (SELECT FROM floor f WHERE f.i = p.i)');
	raised('in a CTE', 'WITH f AS MATERIALIZED (SELECT v FROM floor) SELECT v FROM f');
	raised('in a UNION', 'SELECT v FROM plain UNION ALL SELECT v FROM floor');
	raised('in VALUES', 'VALUES ((SELECT v FROM floor))');
	raised('TABLE', 'TABLE floor');
	raised('through a view', 'SELECT v FROM on_floor');
	raised('through a view of a view', 'SELECT v FROM on_view');
	raised('a view that has the policy', 'SELECT v FROM strict_view');
	raised('a security barrier view that has it', 'SELECT v FROM barrier_view');
	raised('a materialized view', 'SELECT v FROM stored');
	raised('a partitioned table', 'SELECT v FROM part');
	raised('a partition of it', 'SELECT v FROM part1');
	raised('a partition of a partition', 'SELECT v FROM part2x');
	raised('a partition that has the policy, through its parent', 'SELECT v FROM split');
	left('... that parent, without this partition', 'SELECT v FROM split WHERE k = 1');
	left('... another partition', 'SELECT v FROM split1');
	raised('a parent', 'SELECT v FROM parent');
	raised('its child', 'SELECT v FROM child');
	raised('a child that has the policy, through its parent', 'SELECT v FROM mother');
	left('... the parent only', 'SELECT v FROM ONLY mother');
	raised('SQL function, inlined', 'SELECT in_sql()');
	raised('SQL function', 'SELECT not_inlined()');
	raised('PL/pgSQL', 'SELECT in_plpgsql()');
	raised('PL/pgSQL, called for a row', 'SELECT in_plpgsql() FROM plain');
	raised('dynamic SQL', 'SELECT in_dynamic()');
	raised('loop', 'SELECT in_loop()');
	left('a function that reads another table', 'SELECT of_plain()');
	raised('DO', 'DO $$ BEGIN PERFORM v FROM floor; END $$');
	raised('CALL', 'CALL in_call()');
	raised('COPY of the table', 'COPY floor TO STDOUT');
	raised('COPY of some columns', 'COPY floor (v) TO STDOUT');
	left('COPY of another table', 'COPY plain TO STDOUT');
	raised('COPY of a query', 'COPY (SELECT v FROM floor) TO STDOUT');
	raised('EXPLAIN ANALYZE', 'EXPLAIN ANALYZE SELECT v FROM floor');
	left('EXPLAIN', 'EXPLAIN SELECT v FROM floor');
	raised('cursor', 'BEGIN; DECLARE c CURSOR FOR SELECT v FROM floor; FETCH c');
	raised('in a transaction', 'BEGIN; SELECT v FROM plain; SELECT v FROM floor');
	raised('REPEATABLE READ', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM plain; SELECT v FROM floor');
	raised('PREPARE and EXECUTE', 'PREPARE p AS SELECT v FROM floor; EXECUTE p');
	raised('a function that sets eventual', 'SELECT floor_eventual()');
	raised('a statement among others', 'SELECT v FROM plain; SELECT v FROM floor');

	# a plan from before the policy
	$early->value("SELECT set_config('consistency.token', '$token', false)");
	$early->do("SET consistency.on_timeout = 'error'; SET consistency.wait_timeout = '50ms'");
	is($early->run('floor')->{error}{code}, 'YC001', 'raised: a plan made before the policy');
	is($early->run('later')->{error}, undef, 'left as it is: a plan of another table');

	# minimums only raise
	is(code(reader('sequential'), 'SELECT v FROM loose'), 'YC001',
		'a weaker minimum does not lower what the session asks for');
	my $session = reader('session');
	is(code($session, 'SELECT v FROM easy'), 'YC001', 'nor does a default');

	# functions with a setting of their own
	raised('a function that sets causal', 'SELECT set_causal()');
	is(code(reader('session'), 'SELECT set_eventual()'), 'YC001',
		'a function that sets eventual does not lower its caller');
}

# defaults: where nothing is declared
{
	my $session = reader('');
	is(code($session, 'SELECT v FROM easy'), 'none', 'default: counts where nothing is declared');
	is(decided($session), 'eventual by policy of public.easy', '... and is named');
	is(code($session, 'SELECT e.v FROM easy e, plain p'), 'YC001',
		'default: the server\'s stays for a table that has none');
	is(code($session, 'SELECT e.v FROM easy e, floor p'), 'YC001', 'default: minimums stay');
	is(code($session, 'SELECT v FROM easy /*consistency=\'session\'*/'), 'YC001', 'default: a hint overrules it');
	$session->do("SET consistency.default_level = 'sequential'");
	is(code($session, 'SELECT v FROM easy'), 'none', 'default: overrules consistency.default_level');
	is(code(reader('session'), 'SELECT v FROM easy'), 'YC001', 'default: not where the session declares a level');
}

# --- hints --------------------------------------------------------------

{
	my $hint = "/*consistency='session'*/";
	raised('hint before', "$hint SELECT v FROM plain");
	raised('hint after', "SELECT v FROM plain $hint");
	raised('hint behind the semicolon', "SELECT v FROM plain; $hint");
	raised('hint with others', "SELECT v FROM plain /*action='x',consistency='session',traceparent='00-1'*/");
	raised('hint, extended protocol', sub { $_[0]->execute("SELECT v FROM plain WHERE i = \$1 $hint", 1) });
	raised('hint, named statement', sub { $_[0]->prepare('h', "SELECT v FROM plain $hint"); $_[0]->run('h') });
	raised('hint, PREPARE', "$hint PREPARE q AS SELECT v FROM plain; EXECUTE q");
	raised('hint, EXPLAIN ANALYZE', "EXPLAIN ANALYZE SELECT v FROM plain $hint");
	raised('hint, COPY of a query', "COPY (SELECT v FROM plain) TO STDOUT $hint");
	raised('hint, COPY of a table', "$hint COPY plain TO STDOUT");
	raised('hint, cursor', "BEGIN; $hint DECLARE c CURSOR FOR SELECT v FROM plain; FETCH c");
	raised('hint for the second', "SELECT v FROM plain; $hint SELECT v FROM plain");
	raised('hint for the first', "$hint SELECT v FROM plain; SELECT v FROM plain");
	my @results = reader('eventual')->query("SELECT v FROM plain; $hint SELECT v FROM plain");
	is(scalar @results, 2, '... the first of two has its answer');
	@results = reader('session')->query("/*consistency='eventual'*/ SELECT v FROM plain; SELECT v FROM plain");
	is(scalar @results, 2, 'a weaker hint counts for the first alone');
	is($results[1]{error}{code}, 'YC001', '... and not for the second');
	is(code(reader('session'), "SELECT v FROM plain /*consistency='eventual'*/"), 'none', 'a hint may be weaker than the session');
	is(code(reader('session'), "SELECT v FROM floor /*consistency='eventual'*/"), 'YC001', '... but not than a minimum');
	is(code(reader('eventual'), "SELECT v FROM plain /* consistency is session here */"), 'none', 'prose is no hint');
	is(code(reader('eventual'), "SELECT v FROM plain /*consistency='sessoin'*/"), '22023', 'a slip of the pen is an error');
	my $session = reader('eventual');
	$session->do("SELECT v FROM plain /*consistency='weak'*/");
	is(decided($session), 'weak by hint', 'last_read: a hint');
	is(code(reader('session'), "SELECT v FROM plain /*consistency='session',on_timeout='stale'*/"),
		'none', 'on_timeout in a hint');
	my $start = time;
	$session->do("SET consistency.wait_timeout = '10min'");
	is(code($session, "SELECT v FROM plain /*consistency='session',wait_timeout='20ms'*/"),
		'YC001', 'wait_timeout in a hint');
	cmp_ok(time - $start, '<', 30, '... counts');
	is(code(reader('eventual'), "SELECT v FROM plain /*consistency='bounded',max_staleness='1ms'*/"),
		'YC001', 'max_staleness in a hint');
	is(code(reader('eventual'), "SELECT v FROM plain /*consistency='bounded',max_lag='1'*/"),
		'YC001', 'max_lag in a hint');
	is(code(reader('eventual'), "SELECT v FROM plain /*consistency='bounded',max_lag='1GB'*/"),
		'none', '... one that is wide enough');
	is(code(reader('eventual'), "SELECT v FROM tight /*consistency='bounded',max_lag='1GB'*/"),
		'YC001', '... does not widen the minimum of a table');
}

# --- what two demand together -------------------------------------------

{
	# a bound that this replica is within, and a position that it isn't at
	is(code(reader('eventual'), 'SELECT v FROM loose'), 'none', 'bounded by a policy: within the bound');
	is(code(reader('session'), 'SELECT v FROM loose'), 'YC001', '... and the session\'s own context counts beside it');
	# the other way round
	my $session = $cluster->connect('still');
	$session->do("SET consistency.on_timeout = 'error'; SET consistency.wait_timeout = '50ms'");
	is(code($session, 'SELECT v FROM plain'), 'none', 'session without a context: what is there');
	# let the replica's newest position get too old
	usleep_ms(400);
	$app->do('UPDATE tight SET v = v + 1');
	usleep_ms(400);
	is(code($session, 'SELECT v FROM tight'), 'YC001', '... and the bound of a policy counts beside it');
	is(code($session, 'SELECT v FROM plain'), 'none', '... for this table only');
	$session->do('SELECT v FROM loose');
	my $last = last_read($session);
	is("$last->{level} $last->{policy}", 'bounded policy of public.loose', 'last_read: the strictest of them');
	like($last->{requirement}, qr/staleness <= 86400000 ms/, '... and what it comes to');
	$session = reader('session', before => sub { $_[0]->do("SET consistency.on_timeout = 'stale'") });
	$session->do('SELECT v FROM plain');
	is(last_read($session)->{place}, 'stale', 'stale, where the session says so');
	$session->do('SELECT v FROM loose');
	is(last_read($session)->{place}, 'forwarded', '... not where a minimum adds to it and does not say so');
}
sub usleep_ms { select(undef, undef, undef, $_[0] / 1000); return; }

# the ceiling of the administrator
{
	$dba->do("ALTER ROLE other SET consistency.staleness_ceiling = '250ms'");
	$app->do('GRANT SELECT ON plain, loose TO other');
	$cluster->resume('still');
	$cluster->wait_replayed;
	my $session = $cluster->connect('still', user => 'other');
	$session->do("SET consistency = 'bounded'; SET consistency.max_staleness = '1h'");
	$session->do('SELECT v FROM plain');
	like(last_read($session)->{requirement}, qr/staleness <= 250 ms/, 'staleness_ceiling: of a session\'s bound');
	$session->do('SELECT v FROM loose');
	like(last_read($session)->{requirement}, qr/staleness <= 250 ms/, 'staleness_ceiling: of a policy\'s bound');
	$session->do("SELECT v FROM plain /*consistency='bounded',max_staleness='2h'*/");
	like(last_read($session)->{requirement}, qr/staleness <= 250 ms/, 'staleness_ceiling: of a hint\'s bound');
	$session->do("SELECT v FROM plain /*consistency='bounded',max_lag='1GB'*/");
	like(last_read($session)->{requirement}, qr/staleness <= 250 ms, lag <= \d+ bytes/, 'staleness_ceiling: where there is no bound in time');
	$session->do("SELECT v FROM plain /*consistency='bounded',max_staleness='100ms'*/");
	like(last_read($session)->{requirement}, qr/staleness <= 100 ms/, 'staleness_ceiling: a lower one stays');
	is($session->error("SET consistency.staleness_ceiling = '1d'")->{code}, '42501', 'staleness_ceiling: is the superuser\'s');
	$dba->do('ALTER ROLE other RESET consistency.staleness_ceiling');
}

# --- the administrator's minimum ----------------------------------------

{
	is($app->error("ALTER ROLE app SET consistency.minimum_level = 'weak'")->{code},
		'42501', 'minimum_level: a role can\'t give itself one');
	$dba->do("ALTER ROLE app SET consistency.minimum_level = 'causal'");
	$dba->do("ALTER ROLE app SET consistency = 'eventual'");
	$cluster->wait_replayed;
	$cluster->pause('still');
	$app->do('UPDATE plain SET v = v + 1');
	$token = $app->parameter('consistency.token');

	my $session = reader('');
	is($session->value('SHOW consistency'), 'eventual', 'minimum_level: the level of the role is lower');
	is(code($session, 'SELECT v FROM plain'), 'YC001', 'minimum_level: counts at the replica');
	raised('by minimum_level, in a function', 'SELECT set_eventual()');
	raised('by minimum_level, a hint', "SELECT v FROM plain /*consistency='weak'*/");
	raised('by minimum_level, a default of a table', 'SELECT v FROM easy');
	$session = $cluster->connect('still');
	is($session->error("SET consistency.minimum_level = 'weak'")->{code}, '42501', 'minimum_level: not to be set by the role');
	is($session->error("SELECT set_config('consistency.minimum_level', 'weak', false)")->{code},
		'42501', '... nor by set_config()');
	is($app->error("ALTER ROLE app RESET consistency.minimum_level")->{code},
		'42501', '... nor reset for itself');
	eval { $cluster->connect('still', startup => { options => '-c consistency.minimum_level=weak' }) };
	like($@, qr/permission denied/, '... nor as a connection option');
	$session = $cluster->connect('still', user => 'other');
	is(code($session, 'SELECT v FROM plain'), 'none', 'minimum_level: of this role only');

	$session = $cluster->connect('primary');
	$session->do('SELECT v FROM plain');
	is(decided($session), 'causal by consistency.minimum_level', 'minimum_level: last_read at the primary');
	$session->do("SELECT v FROM strict /*consistency='weak'*/");
	is(decided($session), 'sequential by policy of public.strict', '... and a stricter policy');
	$session->do("SELECT v FROM strict /*consistency='strong'*/");
	is(decided($session), 'linearizable by hint', '... and a stricter hint');
	$session->do('SELECT v FROM "Odd.Name"');
	is(decided($session), 'causal by consistency.minimum_level', '... of two alike, the first');
	$dba->do('ALTER ROLE app RESET consistency.minimum_level');
	$dba->do('ALTER ROLE app RESET consistency');
	$session = $cluster->connect('primary');
	$session->do('SELECT v FROM "Odd.Name"');
	is(decided($session), 'causal by policy of public."Odd.Name"', 'last_read: names are quoted');
}

# --- reads that leave ---------------------------------------------------

{
	my $session = router('eventual');
	is($session->value('SELECT promised() FROM plain'), 'eventual off -1 -1 error 1s', 'routed: the level goes along');
	$session->do('SELECT v FROM floor');
	my $last = last_read($session);
	is("$last->{place} $last->{level} $last->{policy}", 'routed session policy of public.floor', 'routed: a minimum counts');
	is($session->value('SELECT promised() FROM floor'), 'session off -1 -1 error 1s', '... and goes along');
	is($session->value('SELECT promised() FROM strict_view LIMIT 1'), 'session off -1 -1 error 1s', '... of a view, too');

	# what two demand together
	is($session->value('SELECT promised() FROM tight'), 'bounded off 300ms -1 error 1s', 'routed: a bound goes along');
	$session->do("SET consistency = 'session'");
	wait_until(sub { $session->do('SELECT v FROM plain'); last_read($session)->{place} eq 'routed' }, 'routed');
	is($session->value('SELECT promised() FROM tight'), 'bounded on 300ms -1 error 1s', 'routed: a bound, and the session\'s context');
	$last = last_read($session);
	is("$last->{place} $last->{level} $last->{policy}", 'routed bounded policy of public.tight', '... level and policy');
	like($last->{requirement}, qr/position >= .*, staleness <= 300 ms/, '... and the requirement');
	is($session->value("SELECT promised() FROM tight /*consistency='bounded',max_lag='1MB'*/"),
		'bounded off 300ms 1MB error 1s', 'routed: bounds of two parties add up');

	# a hint is obeyed here, and stays here
	is($session->value("SELECT promised() FROM plain /*consistency='eventual'*/"),
		'eventual off -1 -1 error 1s', 'routed: the level of a hint goes along');
	is($session->value("/*consistency='eventual',wait_timeout='500ms'*/ SELECT promised() FROM plain"),
		'eventual off -1 -1 error 50ms', '... and its timeout, in part');

	my $text = $session->text("EXPLAIN (COSTS off, VERBOSE) SELECT v FROM tight t WHERE i = 1 /*consistency='eventual'*/");
	like($text, qr/Level: bounded\n\s*Policy: policy of public\.tight\n\s*Requirement: staleness <= 300 ms\n/, 'EXPLAIN names who decided');
	$text = $session->text("EXPLAIN (COSTS off) SELECT v FROM plain /*consistency='eventual'*/");
	like($text, qr/Level: eventual\n\s*Policy: hint\n/, 'EXPLAIN names a hint');
	$text = $session->text('EXPLAIN (COSTS off) SELECT v FROM plain');
	like($text, qr/Level: session\n\s*Policy: session\n/, 'EXPLAIN names the session');
	$session->do('RESET consistency');
	$text = $session->text('EXPLAIN (COSTS off) SELECT v FROM plain');
	like($text, qr/Level: session\n\s*Policy: consistency\.default_level\n/, 'EXPLAIN names the default');
	$session->do('SELECT v FROM plain');
	is(decided($session), 'session by consistency.default_level', 'last_read: the default');
	$session->do("SET consistency.default_level = 'sequential'");
	$session->do('SELECT v FROM easy');
	is(decided($session), 'eventual by policy of public.easy', 'last_read: the default of a table');
}

# A bound of a table's policy counts when the node is chosen: "still" is paused.
{
	my $session = router('session');
	my @nodes = map { $_->{node} // '' } map { $session->do('SELECT v FROM tight'); last_read($session) } 1 .. 4;
	ok(!(grep { $_ eq 'still' } @nodes), 'routed: not to a replica that misses the bound') or diag("@nodes");
}

# A minimum that only the primary's configuration has: no hint that travels along
# goes below it.
{
	my $primary = $cluster->primary;
	$primary->append_conf('postgresql.conf', "consistency.minimum_level = 'session'");
	$primary->reload;
	wait_until(sub { $cluster->sql('primary', 'SHOW consistency.minimum_level') eq 'session' }, 'reloaded');
	my $session = router('eventual');
	my $hint = "/*consistency='weak',on_timeout='primary',wait_timeout='1min'*/";
	foreach my $sql ("SELECT %s FROM plain $hint", "$hint SELECT %s FROM plain", "SELECT %s FROM plain WHERE i = 1; $hint")
	{
		is($session->value(sprintf $sql, 'promised()'), 'session off -1 -1 error 6s', 'a hint weaker than the minimum: the promise');
		my $last = last_read($session);
		is("$last->{place} $last->{level} $last->{policy}", 'routed session consistency.minimum_level', '... to a node');
		# over there it would overrule the promise
		unlike($session->value(sprintf $sql, 'asked()'), qr/weak/, '... which does not see the hint');
		is(last_read($session)->{place}, 'routed', '... itself');
	}
	$primary->adjust_conf('postgresql.conf', 'consistency.minimum_level', "'weak'");
	$primary->reload;
	wait_until(sub { $cluster->sql('primary', 'SHOW consistency.minimum_level') eq 'weak' }, 'reloaded');
}

# --- changes are seen at once -------------------------------------------

{
	$cluster->resume('still');
	$cluster->wait_replayed;
	my $near = $cluster->connect('near');
	my $here = $cluster->connect('primary');
	my $check = sub {
		my ($expected, $what, $table) = @_;
		$cluster->wait_replayed;
		foreach my $session ($near, $here)
		{
			$session->do("SELECT v FROM $table");
			is(decided($session), $expected, "$what, " . ($session == $near ? 'replica' : 'primary'));
		}
	};
	$_->do("SET consistency = 'eventual'") for $near, $here;
	$check->('eventual by session', 'no policy', 'later');
	$app->do("SELECT consistency.set_policy('later', 'session')");
	$check->('session by policy of public.later', 'set', 'later');
	$app->do("SELECT consistency.set_policy('later', 'causal')");
	$check->('causal by policy of public.later', 'changed', 'later');
	$app->do("BEGIN; SELECT consistency.set_policy('later', 'weak'); ROLLBACK");
	$check->('causal by policy of public.later', 'changed and rolled back', 'later');
	$app->do("SELECT consistency.drop_policy('later')");
	$check->('eventual by session', 'dropped', 'later');
	$app->do("SECURITY LABEL FOR consistency ON TABLE later IS 'minimum=session'");
	$check->('session by policy of public.later', 'by SECURITY LABEL', 'later');
	$app->do('ALTER TABLE later RENAME TO "La ter"');
	$check->('session by policy of public."La ter"', 'renamed', '"La ter"');
	$app->do('ALTER TABLE "La ter" RENAME TO later');
	$app->do('SECURITY LABEL FOR consistency ON TABLE later IS NULL');
	$check->('eventual by session', 'label dropped', 'later');
	# by a table's place in a hierarchy
	$app->do('CREATE TABLE wild (k int, v int)');
	$check->('eventual by session', 'on its own', 'wild');
	$app->do('ALTER TABLE part ATTACH PARTITION wild FOR VALUES IN (3)');
	$check->('session by policy of public.part', 'attached', 'wild');
	$app->do('ALTER TABLE part DETACH PARTITION wild');
	$check->('eventual by session', 'detached', 'wild');
	$app->do('ALTER TABLE wild ADD COLUMN i int; ALTER TABLE wild INHERIT parent');
	$check->('session by policy of public.parent', 'inherits', 'wild');
	$app->do("SELECT consistency.set_policy('parent', 'causal')");
	$check->('causal by policy of public.parent', 'the parent\'s policy changes', 'wild');
	$app->do('ALTER TABLE wild NO INHERIT parent');
	$check->('eventual by session', 'inherits no more', 'wild');
	# inside a transaction, which has its snapshot
	$here->do('BEGIN');
	$here->do('SELECT v FROM later');
	$app->do("SELECT consistency.set_policy('later', 'session')");
	$here->do('SELECT v FROM later');
	is(decided($here), 'session by policy of public.later', 'in the middle of a transaction');
	$here->do('COMMIT');
}

# A session at a replica that waits for the very position at which the policy was
# set gets what the policy says.
{
	my $session = $cluster->connect('near');
	$session->do("SET consistency.on_timeout = 'error'");	# otherwise it goes to the primary at once
	$session->do('SELECT v FROM plain');
	$app->do('CREATE TABLE waiting AS SELECT 1 AS v');
	$cluster->wait_replayed;
	$session->do('SELECT v FROM waiting');
	$cluster->pause('near');
	$app->do("SELECT consistency.set_policy('waiting', 'sequential')");
	my $known = $app->parameter('consistency.token');
	$session->value("SELECT set_config('consistency.token', '$known', false)");
	$session->send_query('SELECT v FROM waiting');
	$cluster->wait_for_wait('near', $session->pid);
	$cluster->resume('near');
	is($session->finish->{error}, undef, 'a read that waits for a policy');
	is(decided($session), 'sequential by policy of public.waiting', '... gets it');
}

# --- rights, and what becomes of policies -------------------------------

{
	my $other = $cluster->connect('primary', user => 'other');
	$app->do('GRANT ALL ON floor TO other');
	is($other->error("SELECT consistency.set_policy('floor', 'weak')")->{code}, '42501', 'rights: only the owner sets');
	is($other->error("SELECT consistency.drop_policy('floor')")->{code}, '42501', 'rights: only the owner drops');
	is($other->error("SECURITY LABEL FOR consistency ON TABLE floor IS NULL")->{code}, '42501', 'rights: SECURITY LABEL as well');
	is($other->value("SELECT level FROM consistency.policies WHERE relation = 'floor'::regclass"),
		'session', 'rights: anyone may look');
	my $replica = $cluster->connect('near');
	is($replica->value("SELECT level FROM consistency.policies WHERE relation = 'floor'::regclass"),
		'session', 'the view at a replica');
	$replica->do('SET consistency.write_forwarding = off');
	is($replica->error("SELECT consistency.set_policy('floor', 'weak')")->{code}, '25006', 'a replica sets none');
	my $there = $cluster->connect('primary');
	$there->do("SELECT consistency.set_policy('later', 'causal')");
	$there->do('DROP TABLE later');
	is($there->value("SELECT count(*) FROM pg_seclabel WHERE label = 'minimum=causal' AND objoid NOT IN (SELECT oid FROM pg_class)"),
		0, 'dropped with the table');
}

# dumped, and restored into a database of a server that isn't preloaded
{
	my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
	my $policies = 'SELECT * FROM consistency.policies ORDER BY relation::text COLLATE "C"';
	my $before = $cluster->sql('primary', $policies);
	$cluster->primary->command_ok(
		[ 'pg_dump', '--file', $dump, '--no-owner', $cluster->primary->connstr('postgres') ], 'pg_dump');
	$cluster->sql('primary', 'CREATE DATABASE restored');
	$cluster->primary->command_ok(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $cluster->primary->connstr('restored') ],
		'restored');
	is($cluster->sql('primary', $policies, 'restored'), $before, 'policies: dump and restore');
	like($before, qr/^floor\|minimum\|session/m, '... of which there are some');
	my $session = $cluster->connect('primary', user => $cluster->superuser, dbname => 'restored');
	$session->do('SELECT v FROM floor');
	is(decided($session), 'session by consistency.default_level', '... a session at its level');
	$session->do("SET consistency = 'weak'");
	$session->do('SELECT v FROM floor');
	is(decided($session), 'session by policy of public.floor', '... they count');

	# nor preloaded: there are no functions with a level of their own
	$cluster->primary->command_ok(
		[ 'pg_dump', '--file', $dump, '--no-owner', '--table=floor', $cluster->primary->connstr('postgres') ],
		'pg_dump of a table');
	my $plain = PostgreSQL::Test::Cluster->new('plain');
	$plain->init;
	$plain->start;
	$plain->safe_psql('postgres', "CREATE ROLE $_") for qw(app other monitor);
	$plain->command_ok(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', 'CREATE EXTENSION consistency', '-f', $dump,
			$plain->connstr('postgres') ],
		'restored where nothing is preloaded');
	is($plain->safe_psql('postgres', "SELECT label FROM pg_seclabels WHERE objname = 'floor'"),
		'minimum=session', '... the label is there');
}

done_testing();
