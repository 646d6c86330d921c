# What becomes of a read whose promise can't be kept in time: it goes to the
# primary, fails, or is answered stale with a warning.  And how many may fall
# back to the primary at a time.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' }, { name => 'far' } ]);
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);

$app->do($_) for split /;\n/, <<'SQL';
CREATE TABLE t (i int PRIMARY KEY, v int);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 5) g;
CREATE TABLE other (v text);
INSERT INTO other VALUES ('not this one');
CREATE TABLE firm (v int);
INSERT INTO firm VALUES (0);
CREATE TABLE slack (v int);
INSERT INTO slack VALUES (0);
CREATE TABLE hard (v int);
INSERT INTO hard VALUES (0);
CREATE FUNCTION in_plpgsql() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM t WHERE i = 1); END $$;
CREATE FUNCTION firm_inside() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM firm); END $$;
CREATE FUNCTION nap(s float8) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_sleep(s); RETURN 1; END $$;
CREATE FUNCTION fail(s float8) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_sleep(s); RAISE 'broken'; END $$;
SELECT consistency.set_policy('firm', 'session');
SELECT consistency.set_policy('slack', 'session', on_timeout => 'stale');
SELECT consistency.set_policy('hard', 'session', on_timeout => 'error')
SQL

# --- helpers ------------------------------------------------------------

my $read = 'SELECT v FROM t WHERE i = 1';
my $value = 0;
my $token;

# Writes at the primary what paused replicas don't have.
sub write_value
{
	$value++;
	$app->do("UPDATE t SET v = $value; UPDATE firm SET v = $value; UPDATE slack SET v = $value; UPDATE hard SET v = $value");
	$token = $app->parameter('consistency.token');
	return;
}

# A session at a node, with settings, that knows of the newest write.
sub reader
{
	my ($name, $on_timeout, @set) = @_;
	my $session = $cluster->connect($name);
	$session->do("SET consistency.on_timeout = '$on_timeout'");
	$session->do("SET consistency.wait_timeout = '100ms'");
	# not by SET, which would wait
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	$session->do("SET $_") for @set;
	return $session;
}

sub last_read { return $_[0]->row('SELECT * FROM consistency.last_read()'); }

# Where the last read ran: at a node, or here.  Whether it is said to have waited
# here is a matter of a millisecond, which a busy machine may take for anything.
sub ran_at
{
	my ($session) = @_;
	my $last = last_read($session);
	return $last->{node} // ($last->{place} =~ /^(local|waited)$/ ? 'here' : "here, $last->{place}");
}

sub stale_answers
{
	my ($name) = @_;
	return $cluster->sql($name, "SELECT count FROM consistency.stat_violations WHERE kind = 'stale_answer'");
}

sub warnings_of { return join(' ', map { "$_->{severity} $_->{code}" } @{ $_[0]->{notices} }); }

# --- at a replica that stands still -------------------------------------

$cluster->wait_replayed;
$cluster->pause('near');
usleep(400_000);	# so that what it has is older than the bound
write_value();

my %level = (
	session => [ "consistency = 'session'", qr/position >= / ],
	'bounded, time' => [ "consistency = 'bounded'; SET consistency.max_staleness = '200ms'", qr/^staleness <= 200 ms$/ ],
	'bounded, bytes' =>
	  [ "consistency = 'bounded'; SET consistency.max_staleness = -1; SET consistency.max_lag = 1", qr/^lag <= 1 bytes$/ ]);
foreach my $name (sort keys %level)
{
	my ($set, $requirement) = @{ $level{$name} };
	my $count = stale_answers('near');

	my $session = reader('near', 'primary', $set);
	my $result = $session->query($read);
	is($result->{error} && $result->{error}{message}, undef, "$name, primary: no error");
	is($result->{rows}[0][0], $value, "$name, primary: the newest");
	is(warnings_of($result), '', "$name, primary: no warning");
	my $last = last_read($session);
	is("$last->{place} $last->{node}", 'forwarded primary', "$name, primary: where it ran");
	like($last->{requirement}, $requirement, "$name, primary: requirement");
	like($last->{reason}, qr/replay is paused/, "$name, primary: reason");

	$session = reader('near', 'error', $set);
	my $start = time;
	is($session->error($read)->{code}, 'YC001', "$name, error");
	cmp_ok(time - $start, '>=', 0.09, '... after the wait');
	is(stale_answers('near'), $count, "$name: neither of them is a violation");

	$session = reader('near', 'stale', $set);
	$result = $session->query($read);
	is($result->{rows}[0][0], 0, "$name, stale: what is there");
	is(warnings_of($result), 'WARNING 01YC1', "$name, stale: a warning");
	like($result->{notices}[0]{detail}, qr/in time/, '... that says why');
	$last = last_read($session);
	is("$last->{place} " . ($last->{node} // 'here'), 'stale here', "$name, stale: place");
	like($last->{requirement}, $requirement, "$name, stale: requirement");
	like($last->{reason}, qr/in time/, "$name, stale: reason");
	is(stale_answers('near'), $count + 1, "$name, stale: counted");
	# it goes on being said
	is(warnings_of(scalar $session->query($read)), 'WARNING 01YC1', "$name, stale: each time");
	is(stale_answers('near'), $count + 2, '... and counted');
	# nothing of it sticks
	$session->do("SET consistency = 'eventual'");
	is(warnings_of(scalar $session->query($read)), '', "$name, stale: not under eventual");
	is(last_read($session)->{place}, 'local', '... nor in last_read');
}

# every way to run a query
my %way = (
	'extended protocol' => sub { $_[0]->execute('SELECT v FROM t WHERE i = $1', 1) },
	'named statement' => sub { $_[0]->prepare('n', 'SELECT v FROM t WHERE i = $1'); $_[0]->run('n', 1) },
	'generic plan' => sub {
		$_[0]->do("SET plan_cache_mode = 'force_generic_plan'");
		$_[0]->prepare('g', 'SELECT v FROM t WHERE i = $1');
		$_[0]->run('g', 1);
		return $_[0]->run('g', 1);
	},
	'EXECUTE' => sub { $_[0]->do('PREPARE e(int) AS SELECT v FROM t WHERE i = $1'); scalar $_[0]->query('EXECUTE e(1)') },
	'EXECUTE of one of several statements' => sub { scalar $_[0]->query("PREPARE e2 AS SELECT v FROM t WHERE i = 1; EXECUTE e2") },
	'COPY of a query' => sub { scalar $_[0]->query("COPY ($read) TO STDOUT") },
	'COPY among other statements' => sub { scalar $_[0]->query("SELECT 1; COPY ($read) TO STDOUT") },
	'a cursor' => sub { scalar $_[0]->query("BEGIN; DECLARE c NO SCROLL CURSOR FOR $read; FETCH c") },
	'a cursor, after a query of other columns' => sub { scalar $_[0]->query("SELECT 17; BEGIN; DECLARE c NO SCROLL CURSOR FOR $read; FETCH c") },
	'the second statement' => sub { scalar $_[0]->query("SELECT 17; $read") },
	'in a transaction' => sub { scalar $_[0]->query("BEGIN; $read") },
	'a portal in portions' => sub {
		$_[0]->send_parse('', 'SELECT v FROM t');
		$_[0]->send_bind('', '');
		$_[0]->send_fetch('', 2);
		$_[0]->send_fetch('', 2);
		$_[0]->send_fetch('', 2);
		$_[0]->sync;
		my @parts = $_[0]->finish;
		is(scalar(map { @{ $_->{rows} } } @parts), 5, 'a portal in portions: all rows');
		return $parts[0];
	},
	'a function' => sub { scalar $_[0]->query('SELECT in_plpgsql() FROM other') },
	'with a comment' => sub { scalar $_[0]->query("$read /*consistency='session'*/") });
foreach my $name (sort keys %way)
{
	my $session = reader('near', 'primary');
	my $result = $way{$name}->($session);
	is($result->{error} && $result->{error}{message}, undef, "primary: $name");
	is($result->{rows}[0][0], $value, "... the newest: $name");
	$session->query('ROLLBACK') if $session->status ne 'I';
	is(last_read($session)->{place}, 'forwarded', "... from there: $name");

	$session = reader('near', 'stale');
	$result = $way{$name}->($session);
	is($result->{rows}[0][0], 0, "stale: $name");
	$session->query('ROLLBACK') if $session->status ne 'I';
	is(last_read($session)->{place}, 'stale', "... and says so: $name");
}
{
	# of several statements it is this one that goes to the primary
	my $session = reader('near', 'primary');
	my $result = $session->query("SELECT v FROM other /*consistency='eventual'*/; EXPLAIN (ANALYZE, VERBOSE, COSTS off, TIMING off) SELECT v::text FROM t WHERE i = 1");
	my $text = WireClient::text_of($result);
	like($text, qr/Remote SQL: .*FROM t\s/s, 'EXPLAIN ANALYZE of the second statement: its own text')
	  or diag($text);
	like($text, qr/actual rows=1/, '... and rows');
	$result = $session->query("SELECT v::int FROM (VALUES (99)) x(v); BEGIN; SELECT v FROM firm; DECLARE c NO SCROLL CURSOR FOR $read; FETCH c");
	is($result->{rows}[0][0], $value, 'a cursor after statements with the same columns: its own rows');
	$session->do('ROLLBACK');
}

# where the read can't leave alone
{
	my $session = reader('near', 'primary');
	$session->do('SET consistency.write_forwarding = off');
	is($session->error('BEGIN ISOLATION LEVEL REPEATABLE READ')->{code}, 'YC001', 'primary: not for REPEATABLE READ');
	$session->query('ROLLBACK');
	is($session->error('COPY t TO STDOUT')->{code}, 'YC001', 'primary: not for COPY of a table');
	$session->do("SET consistency.routing = 'off'");
	is($session->error($read)->{code}, 'YC001', 'primary: not with routing off');
	$session = reader('near', 'primary', "consistency = 'eventual'");
	is($session->error('SELECT firm_inside()')->{code}, 'YC001', 'primary: not for a query in a function alone');
	$session = reader('near', 'stale');
	my $result = $session->query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
	is(warnings_of($result), 'WARNING 01YC1', 'stale: REPEATABLE READ warns when it begins');
	$result = $session->query($read);
	is($result->{rows}[0][0], 0, '... and reads');
	is(warnings_of($result), 'WARNING 01YC1', '... each read warns');
	$session->do('COMMIT');
	$result = $session->query('COPY t (v) TO STDOUT');
	is(warnings_of($result), 'WARNING 01YC1', 'stale: COPY of a table warns');
	is($result->{rows}[0][0], 0, '... and reads');
	is(last_read($session)->{place}, 'stale', '... and says so');
}

# minimums
{
	my $session = reader('near', 'stale');
	my $result = $session->query('SELECT v FROM firm');
	is("$result->{rows}[0][0] " . warnings_of($result), "$value ", 'a minimum that does not speak of stale answers: no such');
	is(last_read($session)->{place}, 'forwarded', '... but from the primary');
	$session->do("SET consistency.routing = 'off'");
	is($session->error('SELECT v FROM firm')->{code}, 'YC001', '... or none at all');
	$session = reader('near', 'stale');
	$result = $session->query('SELECT v FROM slack');
	is("$result->{rows}[0][0] " . warnings_of($result), '0 WARNING 01YC1', 'a minimum that says stale: answered');
	is($session->query('SELECT s.v FROM slack s, firm f')->{rows}[0][0], $value, '... not together with one that does not');
	$session = reader('near', 'primary');
	is($session->query('SELECT v FROM slack')->{rows}[0][0], $value, 'a minimum that says stale does not make it so');
	is($session->error('SELECT v FROM hard')->{code}, 'YC001', 'a minimum that says error');
	is($session->error("SELECT v FROM hard /*consistency='session',on_timeout='stale'*/")->{code},
		'YC001', '... whatever a hint says');
	$dba->do("ALTER ROLE other SET consistency.minimum_level = 'session'");
	$app->do('GRANT SELECT ON t TO other');
	$cluster->resume('near');
	$cluster->wait_replayed;
	$cluster->pause('near');
	write_value();
	$session = $cluster->connect('near', user => 'other');
	$session->do("SET consistency.on_timeout = 'stale'; SET consistency.wait_timeout = '50ms'");
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	is($session->value($read), $value, 'consistency.minimum_level: no stale answer');
	$session->do("SET consistency.routing = 'off'");
	is($session->error($read)->{code}, 'YC001', '... rather none at all');
	$dba->do('ALTER ROLE other RESET consistency.minimum_level');
}

# the counters
{
	isnt(stale_answers('near'), 0, 'stale answers were counted');
	$cluster->sql('near', 'SELECT consistency.stat_reset()');
	is(stale_answers('near'), 0, 'stat_reset()');
	is($cluster->connect('near')->error('SELECT * FROM consistency.stat_violations')->{code},
		'42501', 'stat_violations: not for everybody');
}

# --- at the primary, for reads that were to leave -----------------------

$cluster->resume('near');
$cluster->wait_replayed;

# A session of which reads leave, before anything stops.
sub router
{
	my ($on_timeout, @set) = @_;
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'always'");
	$session->do("SET consistency.on_timeout = '$on_timeout'");
	$session->do("SET consistency.wait_timeout = '1s'");
	$session->do("SET $_") for @set;
	return $session;
}

{
	my $session = router('primary');
	wait_until(sub { $session->do($read); last_read($session)->{place} eq 'routed' }, 'reads are routed');
	$cluster->pause($_) for qw(near far);
	my $old = $value;
	usleep(600_000);	# the lag of both is known to be more than one waits
	write_value();
	usleep(1_200_000);
	foreach my $name (sort keys %level)
	{
		my ($set, $requirement) = @{ $level{$name} };
		my $count = stale_answers('near') + stale_answers('far');
		my $know = "consistency.token = '$token'";

		$session = router('primary', $know, $set);
		my $result = $session->query($read);
		is($result->{rows}[0][0], $value, "routed, $name, primary: the newest");
		is(warnings_of($result), '', "routed, $name, primary: no warning");
		is(ran_at($session), 'here', "routed, $name, primary: here");
		like(last_read($session)->{reason}, qr/no replica has the position|failed/, '... and why');

		$session = router('error', $know, $set);
		is($session->error($read)->{code}, 'YC001', "routed, $name, error");
		is($session->execute('SELECT v FROM t WHERE i = $1', 1)->{error}{code}, 'YC001', '... in the extended protocol');
		is($session->error("COPY ($read) TO STDOUT")->{code}, 'YC001', '... in COPY');
		is($session->error("EXPLAIN ANALYZE $read")->{code}, 'YC001', '... in EXPLAIN ANALYZE');
		$session->do("SET consistency.routing = 'off'");
		is($session->value($read), $value, '... not where nothing leaves');
		is(stale_answers('near') + stale_answers('far'), $count, "routed, $name: no violation so far");

		$session = router('stale', $know, $set);
		$result = $session->query($read);
		is($result->{error} && $result->{error}{message}, undef, "routed, $name, stale: no error");
		is($result->{rows}[0][0], $old, "routed, $name, stale: what is there");
		is(warnings_of($result), 'WARNING 01YC1', "routed, $name, stale: the node's warning comes through");
		my $last = last_read($session);
		is($last->{place}, 'stale', "routed, $name, stale: place");
		like($last->{node}, qr/^(near|far)$/, "routed, $name, stale: node");
		like($last->{requirement}, $requirement, "routed, $name, stale: requirement");
		is($last->{position}, undef, "routed, $name, stale: it isn't known what it shows");
		is(stale_answers('near') + stale_answers('far'), $count + 1, "routed, $name, stale: counted there");
		$result = $session->query('SELECT v FROM firm');
		is("$result->{rows}[0][0] " . warnings_of($result), "$value ", "routed, $name, stale: not below a minimum");
		is(ran_at($session), 'here', '... but here');
		# the change of settings that goes ahead isn't a read under the old ones
		$session->do("SET consistency = 'eventual'");
		foreach (1 .. 4)
		{
			$result = $session->query($read);
			is("$result->{rows}[0][0] " . warnings_of($result), "$old ", "routed, $name, stale, then eventual: no warning");
			is(last_read($session)->{place}, 'routed', '... and not stale');
		}
		is(stale_answers('near') + stale_answers('far'), $count + 1, '... nor counted');
		# nor does anybody believe that a node has what it was only told of
		foreach my $node (qw(near far))
		{
			my $replayed = $cluster->sql($node, 'SELECT pg_last_wal_replay_lsn()');
			is($cluster->sql('primary', "SELECT position <= '$replayed' FROM consistency.nodes WHERE name = '$node'"),
				't', "routed, $name, stale, then eventual: the position of $node is known");
		}
	}
	$cluster->resume($_) for qw(near far);
	$cluster->wait_replayed;
	$session = router('stale');
	wait_until(sub { $session->do($read); last_read($session)->{place} eq 'routed' }, 'reads are routed again');
	is(warnings_of(scalar $session->query($read)), '', 'stale: without need there is no warning');
	like(last_read($session)->{position}, qr/^\d+:[0-9A-F]+\/[0-9A-F]+$/, '... and it is known what the answer shows');

	# replicas that are down
	$cluster->node($_)->stop('immediate') for qw(near far);
	wait_until(sub { $cluster->sql('primary', "SELECT count(*) FROM consistency.nodes WHERE state = 'up'") == 1 },
		'the replicas are known to be down');
	$session = router('primary');
	is($session->value($read), $value, 'replicas down, primary: answered here');
	$session = router('error');
	my $error = $session->error($read);
	is($error->{code}, 'YC001', 'replicas down, error');
	like($error->{hint}, qr/consistency\.on_timeout/, '... with a hint');
	$session = router('stale');
	my $result = $session->query($read);
	is("$result->{rows}[0][0] " . warnings_of($result), "$value ", 'replicas down, stale: answered here, and not stale');
	is(ran_at($session), 'here', '... it says');
	$cluster->node($_)->start for qw(near far);
	$cluster->wait_all_up;
	$session = router('error');
	wait_until(sub { !$session->error($read) && last_read($session)->{place} eq 'routed' }, 'routed again');
	pass('replicas back: no errors any more');
}

# --- the primary is down ------------------------------------------------

{
	$cluster->pause('near');
	write_value();
	my %session = map { $_ => reader('near', $_, "consistency.wait_timeout = '2s'") } qw(primary stale);
	my $strong = reader('near', 'primary', "consistency = 'strong'", "consistency.wait_timeout = '2s'");
	is($strong->value($read), $value, 'primary up: linearizable, forwarded');
	$cluster->primary->stop('fast');
	wait_until(
		sub { $cluster->sql('near', "SELECT count(*) FROM consistency.nodes WHERE role = 'primary' AND state = 'up'") == 0 },
		'the primary is known to be down');
	my $start = time;
	my $error = $session{primary}->error($read);
	is($error->{code}, 'YC001', 'primary down, primary: an error');
	cmp_ok(time - $start, '<', 3.5, '... within the time');
	like($error->{message}, qr/could not send it to the primary/, '... that says so');
	like($error->{detail}, qr/no primary is known to be up/, '... and why');
	$start = time;
	$error = $strong->error($read);
	is($error->{code}, 'YC001', 'primary down, linearizable: an error');
	cmp_ok(time - $start, '<', 3.5, '... within the time');
	my $result = $session{stale}->query($read);
	is(warnings_of($result), 'WARNING 01YC1', 'primary down, stale: answered');

	# it comes back while a read waits for it
	$strong->do("SET consistency.wait_timeout = '1min'");
	$strong->send_query($read);
	$cluster->wait_for_wait('near', $strong->pid);
	$cluster->primary->start;
	$result = $strong->finish;
	is($result->{error} && $result->{error}{message}, undef, 'primary back while a read waits: no error');
	is($result->{rows}[0][0], $value, '... but the newest');
	$cluster->wait_all_up('near');
	is($session{primary}->value($read), $value, 'primary back: reads go there again');
	is(last_read($session{primary})->{place}, 'forwarded', '... they say');
	$app = $cluster->connect('primary');
	$dba = $cluster->connect('primary', user => $cluster->superuser);
	$cluster->resume('near');
	$cluster->wait_all_up;
	$cluster->wait_replayed;
}

# --- how many may fall back ---------------------------------------------

sub set_limit
{
	my ($limit) = @_;
	foreach my $name (qw(primary near))
	{
		my $node = $cluster->node($name);
		$node->safe_psql('postgres', "ALTER SYSTEM SET consistency.fallback_limit = $limit");
		$node->reload;
		$node->poll_query_until('postgres', "SELECT current_setting('consistency.fallback_limit') = '$limit'");
	}
	return;
}

# Sessions whose next read falls back at once: from a replica, or at the primary.
sub fallers
{
	my ($name, $n, $timeout) = @_;
	my @session = map { $cluster->connect($name) } 1 .. $n;
	foreach my $session (@session)
	{
		$session->do("SET consistency.wait_timeout = '$timeout'");
		$session->do("SET consistency.routing = 'always'") if $name eq 'primary';
		$session->send_query("SET consistency.token = '$token'");
	}
	$_->finish for @session;	# waits in vain; the read then needn't
	return @session;
}

# How many naps are taken at the primary now?
sub napping
{
	return $dba->value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'");
}

# Runs a statement in all of them at a time; returns the results, and the most
# that ran at the primary together.
sub run_together
{
	my ($sql, @session) = @_;
	my $most = 0;
	my @result;
	$_->send_query($sql) for @session;
	foreach my $session (@session)
	{
		until ($session->ready(0.01))
		{
			my $now = napping();
			$most = $now if $now > $most;
		}
		push @result, scalar $session->finish;
	}
	return ($most, @result);
}
sub outcome
{
	my %count;
	$count{ $_->{error} ? $_->{error}{code} : 'ok' }++ for @_;
	return join(' ', map { "$count{$_} $_" } sort keys %count);
}

set_limit(2);
$cluster->pause($_) for qw(near far);
write_value();
usleep(1_500_000);
foreach my $name (qw(near primary))
{
	my $where = $name eq 'primary' ? 'at the primary' : 'from a replica';
	my $nap = 'SELECT nap(0.5) FROM t WHERE i = 1';

	my @session = fallers($name, 6, '3s');
	my ($most, @result) = run_together($nap, @session);
	is($most, 2, "fallback_limit, $where: two at a time");
	is(outcome(@result), '6 ok', "fallback_limit, $where: the others wait for their turn");
	is(ran_at($session[0]), $name eq 'primary' ? 'here' : 'primary', '... it was a fallback');
	like(last_read($session[0])->{reason}, $name eq 'primary' ? qr/no replica has the position/ : qr/replay is paused/, '... and why');
	$_->close for @session;

	@session = fallers($name, 6, '600ms');
	($most, @result) = run_together('SELECT nap(2) FROM t WHERE i = 1', @session);
	is($most, 2, "fallback_limit, $where: two at a time, once more");
	is(outcome(@result), '4 YC001 2 ok', "fallback_limit, $where: ... or their time is up");
	my ($failed) = grep { $_->{error} } @result;
	like($failed->{error}{message}, qr/too many reads have fallen back/, '... which is said');
	like($failed->{error}{hint}, qr/consistency\.fallback_limit/, '... with a hint');
	$_->close for @session;

	set_limit(1);
	my ($one, $two) = fallers($name, 2, '400ms');

	# whatever way it ends, the next one can begin
	my $next = sub {
		my ($what) = @_;
		my $result = $two->query('SELECT v FROM t WHERE i = 1');
		is($result->{error} ? $result->{error}{message} : $result->{rows}[0][0],
			$value, "fallback_limit, $where: given back after $what");
		return;
	};
	my $taken = sub {
		my ($what) = @_;
		my $error = $two->error('SELECT v FROM t WHERE i = 1');
		is($error && $error->{code}, 'YC001', "fallback_limit, $where: taken by $what");
		return;
	};
	is($one->error('SELECT fail(0) FROM t WHERE i = 1')->{code}, 'P0001', 'it fails');
	$next->('an error');
	$one->send_query('SELECT nap(60) FROM t WHERE i = 1');
	wait_until(sub { napping() == 1 }, 'it runs');
	$taken->('one that runs');
	$one->cancel;
	is($one->finish->{error}{code}, '57014', 'it is cancelled');
	$next->('a cancel');
	$one->do("SET statement_timeout = '800ms'");
	is($one->error('SELECT nap(60) FROM t WHERE i = 1')->{code}, '57014', 'its time is up');
	$next->('statement_timeout');
	$one->do('RESET statement_timeout');

	# a client that waits for its turn can be cancelled, and isn't counted then
	$one->send_query('SELECT nap(60) FROM t WHERE i = 1');
	wait_until(sub { napping() == 1 }, 'it runs');
	$two->do("SET statement_timeout = '300ms'");
	is($two->error('SELECT nap(0) FROM t WHERE i = 1')->{code},
		'57014', "fallback_limit, $where: who waits can be ended");
	$two->do('RESET statement_timeout');
	$one->cancel;
	$one->finish;
	$next->('one that was waiting');

	# a cursor has it while it is open, or while rows are fetched from the one at
	# the primary
	my $suspended = $name eq 'primary' ? $taken : $next;
	$one->do('BEGIN');
	$one->do('DECLARE c NO SCROLL CURSOR FOR SELECT v FROM t');
	$one->do('FETCH 2 FROM c');
	$suspended->('a cursor');
	is($one->text('FETCH ALL FROM c'), join("\n", ($value) x 3), 'fallback in a cursor: the rest of its rows');
	$one->do('CLOSE c');
	$next->('CLOSE');
	$one->do('DECLARE c NO SCROLL CURSOR FOR SELECT v FROM t');
	$one->do('FETCH 2 FROM c');
	$one->do('ROLLBACK');
	$next->('ROLLBACK with a cursor open');

	# a portal in portions
	$one->do('BEGIN');
	$one->send_parse('', 'SELECT v FROM t');
	$one->send_bind('p', '');
	$one->send_fetch('p', 2);
	$one->sync;
	is($one->finish->{tag}, 'suspended', 'fallback in a portal: some rows');
	$suspended->('a portal');
	$one->do('COMMIT');
	$next->('the end of its transaction');

	is($one->text('COPY (SELECT v FROM t) TO STDOUT'), join("\n", ($value) x 5), 'fallback in COPY');
	$next->('COPY');
	like($one->text('EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT v FROM t'),
		qr/Custom Scan \(Consistency(Routed|Forward)Scan\) \(actual rows=5 loops=1\)/, 'fallback in EXPLAIN ANALYZE');
	$next->('EXPLAIN ANALYZE');
	is($one->execute('SELECT sum(v) FROM t WHERE i > $1', 0)->{rows}[0][0], 5 * $value, 'fallback in the extended protocol');
	$next->('the extended protocol');

	# the session goes away
	$one->send_query('SELECT nap(60) FROM t WHERE i = 1');
	wait_until(sub { napping() == 1 }, 'it runs');
	$taken->('one that runs');
	$cluster->sql($name, 'SELECT pg_terminate_backend(' . $one->pid . ')');
	$cluster->node($name)->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = ' . $one->pid);
	$next->('pg_terminate_backend()');
	wait_until(sub { napping() == 0 }, 'it has ended');

	# 0 lets nothing through, and what doesn't fall back isn't concerned
	set_limit(0);
	is($two->error($read)->{code}, 'YC001', "fallback_limit = 0, $where");
	is($two->value("$read /*consistency='strong'*/"), $value, '... not what belongs to the primary');
	set_limit(-1);
	$next->('taking the limit away');
	$_->close for $two;
	set_limit(2);
}

done_testing();
