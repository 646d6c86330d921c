# Linearizable reads: the leader fence, the fate of a primary that was replaced,
# and the way from a replica to the primary.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'sync' } ],
	primary_conf => "synchronous_standby_names = 'sync'\n");
if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$setup->do('INSERT INTO t VALUES (1, 0)');
$cluster->wait_replayed;

my $value = 0;
my $read = 'SELECT v FROM t WHERE i = 1';

# A session that wants linearizable reads, at a node.
sub linearizable
{
	my ($where, @settings) = @_;
	my $session = $cluster->connect($where);
	$session->do("SET consistency = 'linearizable'");
	$session->do($_) for @settings;
	return $session;
}

# A write at the primary; returns once it is acknowledged.
sub write_next { $value++; $setup->do("UPDATE t SET v = $value WHERE i = 1"); return; }

# The process of that kind at a node.
sub process
{
	my ($where, $kind) = @_;
	my $pid = $cluster->sql($where,
		"SELECT pid FROM pg_stat_activity WHERE backend_type ~ '$kind'");
	die "$where has not one process \"$kind\"" unless $pid =~ /^\d+$/;
	return $pid;
}

# The synchronous standby goes silent, and comes back.
my $receiver;
sub silence { $receiver = process('sync', 'walreceiver'); kill 'STOP', $receiver; return; }
sub heal { kill 'CONT', $receiver if $receiver; undef $receiver; return; }
END { local $?; heal(); }

sub violations
{
	my ($kind) = @_;
	return $dba->value("SELECT count FROM consistency.stat_violations WHERE kind = '$kind'");
}

# Records of fences written between two positions.
sub rounds
{
	my ($from, $to) = @_;
	my ($out) = run_command([ 'pg_waldump', '-p', $cluster->primary->data_dir . '/pg_wal',
		'--rmgr=LogicalMessage', '-s', $from, '-e', $to ]);
	return scalar grep { /consistency\.fence/ } split /\n/, $out;
}

# --- the fence ----------------------------------------------------------

{
	my $session = linearizable('primary');
	my $from = $dba->value('SELECT pg_current_wal_lsn()');
	is($session->value($read), $value, 'a linearizable read at the primary');
	my $last = $session->row('SELECT * FROM consistency.last_read()');
	is($last->{level}, 'linearizable', '... as last_read says');
	like($last->{requirement}, qr/the primary/, '... and what it demands');
	is(rounds($from, $dba->value('SELECT pg_current_wal_lsn()')), 1, '... writes one record');
	is_deeply($session->query($read)->{notices}, [], '... and warns of nothing');

	silence();
	$session->do("SET consistency.wait_timeout = '300ms'");
	my $start = time;
	my $error = $session->error($read);
	is($error->{code}, 'YC001', 'without the acknowledgement: an error when time is up');
	like($error->{message}, qr/synchronous standbys did not confirm/, '... that names it');
	like($error->{hint}, qr/pg_stat_replication/, '... with a hint');
	cmp_ok(time - $start, '>', 0.25, '... not earlier');
	cmp_ok(time - $start, '<', 5, '... nor much later');

	# whoever reads under less isn't held up
	foreach my $level (qw(weak eventual bounded session causal sequential))
	{
		my $other = $cluster->connect('primary');
		$other->do("SET consistency = '$level'");
		is($other->value($read), $value, "$level: reads on");
	}

	# a session that doesn't want to wait for its own commits
	foreach my $setting (qw(off local remote_write))
	{
		my $error =
		  linearizable('primary', "SET synchronous_commit = $setting",
			"SET consistency.wait_timeout = '200ms'")->error($read);
		is($error && $error->{code}, 'YC001', "synchronous_commit = $setting: the fence stays");
	}
	heal();
	is($session->value($read), $value, 'the standby is back: the read goes on');
}

# ways to read: none of them gets around the fence
foreach my $case (
	[ 'COPY', "COPY ($read) TO STDOUT" ],
	[ 'a cursor', "BEGIN; DECLARE c CURSOR FOR $read; FETCH c" ],
	[ 'REPEATABLE READ', "BEGIN ISOLATION LEVEL REPEATABLE READ; $read" ],
	[ 'SERIALIZABLE', "BEGIN ISOLATION LEVEL SERIALIZABLE; $read" ],
	[ 'SET TRANSACTION', "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; $read" ],
	[ 'EXECUTE', "PREPARE e AS $read; EXECUTE e" ],
	[ 'EXPLAIN ANALYZE', "EXPLAIN ANALYZE $read" ],
	[ 'CREATE TABLE AS', "CREATE TEMP TABLE copy AS $read" ],
	[ 'UPDATE', 'UPDATE t SET v = v WHERE i = 1' ],
	[ 'a function', q{SELECT query_to_xml('SELECT v FROM t', true, true, '')} ],
	[ 'a DO block', q{DO $$ BEGIN PERFORM v FROM t WHERE i = 1; END $$} ],
	[ 'a hint', "/*consistency='linearizable'*/ $read", 'session' ],
	[ 'a minimum', $read, 'session', 'minimum' ])
{
	my ($what, $sql, $level, $minimum) = @$case;
	my $session = linearizable('primary', "SET consistency.wait_timeout = '100ms'");
	$session->do("SET consistency = '$level'") if $level;
	if ($minimum)
	{
		$session = $cluster->connect('primary', user => $cluster->superuser);
		$session->do("SET consistency.minimum_level = 'linearizable'");
		$session->do("SET consistency.wait_timeout = '100ms'");
	}
	silence();
	my $error = $session->error($sql);
	is($error && $error->{code}, 'YC001', "$what: waits for the acknowledgement");
	heal();
	$session->do('ROLLBACK') if $session->status ne 'I';
	$session->do('DEALLOCATE ALL');
	my $result = $session->query($sql);
	is($result->{error} && $result->{error}{message}, undef, "$what: with it it runs");
}
{
	my $session = linearizable('primary', "SET consistency.wait_timeout = '100ms'");
	$session->prepare('r', 'SELECT v FROM t WHERE i = $1');
	for (1 .. 7) { is($session->run('r', 1)->{rows}[0][0], $value, 'a prepared statement'); }
	silence();
	is($session->run('r', 1)->{error}{code}, 'YC001', 'a cached plan: waits for the acknowledgement');
	heal();
}

# A statement that was fenced says nothing about the next one.
foreach my $before (
	'DO $$ BEGIN NULL; END $$',
	'COPY (SELECT nothing FROM nowhere) TO STDOUT',
	'EXPLAIN (ANALYZE) SELECT v FROM nowhere',
	'BEGIN; DECLARE c CURSOR FOR SELECT 1 FROM nowhere; ROLLBACK')
{
	my $session = linearizable('primary', "SET consistency.wait_timeout = '100ms'");
	$session->query($before);
	$session->do('ROLLBACK') if $session->status ne 'I';
	silence();
	my $error = $session->error($read);
	is($error && $error->{code}, 'YC001', "a read after \"$before\": has a fence of its own");
	heal();
}

# a transaction that keeps a snapshot taken under less
foreach my $change ("SET LOCAL consistency = 'linearizable'; $read",
	"/*consistency='linearizable'*/ $read")
{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency = 'sequential'");
	$session->do("SET consistency.wait_timeout = '100ms'");
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$session->do($read);
	silence();
	my $error = $session->error($change);
	is($error && $error->{code}, 'YC001', 'REPEATABLE READ under less: the fence is not forgotten');
	heal();
	$session->do('ROLLBACK');
}

# --- ends of a wait -----------------------------------------------------

{
	my @session = map { linearizable('primary', "SET consistency.wait_timeout = '10min'") } 1 .. 4;
	silence();
	$_->send_query($read) for @session;
	$cluster->wait_for_wait('primary', $_->pid) for @session;

	# the first one runs the round: it goes, in different ways
	my $start = time;
	$session[0]->cancel;
	is((shift @session)->finish->{error}{code}, '57014', 'cancel ends it');
	cmp_ok(time - $start, '<', 2, '... at once');
	$cluster->sql('primary', 'SELECT pg_terminate_backend(' . $_->pid . ')')
	  for splice @session, 0, 2;
	$cluster->primary->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND state = 'active'});
	$start = time;
	my $impatient = linearizable('primary', "SET statement_timeout = '100ms'",
		"SET consistency.wait_timeout = '10min'");
	is($impatient->error($read)->{code}, '57014', 'statement_timeout ends it');
	cmp_ok(time - $start, '<', 3, '... in time');
	ok(!$session[0]->ready, 'the last one still waits');
	heal();
	is($session[0]->finish->{rows}[0][0], $value, '... and is served: those that left held nothing up');
	$start = time;
	is(linearizable('primary')->value($read), $value, 'later reads as well');
	cmp_ok(time - $start, '<', 2, '... without delay');
}

# --- sharing ------------------------------------------------------------

{
	my $batches = 5;
	my @session = map { linearizable('primary') } 1 .. 32;
	my $from = $dba->value('SELECT pg_current_wal_lsn()');
	my $good = 0;
	foreach my $batch (1 .. $batches)
	{
		write_next();
		silence();
		$_->send_query($read) for @session;
		$cluster->primary->poll_query_until('postgres',
			q{SELECT count(*) = 32 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND state = 'active'});
		heal();
		foreach my $session (@session)
		{
			my $result = $session->finish;
			$good++ if !$result->{error} && $result->{rows}[0][0] == $value;
		}
	}
	is($good, 32 * $batches, 'many readers at once: all served');
	my $rounds = rounds($from, $dba->value('SELECT pg_current_wal_lsn()'));
	cmp_ok($rounds, '>=', $batches, '... by records written since');
	cmp_ok($rounds / $good, '<', 0.2, "... that they shared: $rounds for $good reads");

	# as fast as they can
	$_->close for @session;
	$cluster->primary->poll_query_until('postgres',
		q{SELECT count(*) < 10 FROM pg_stat_activity WHERE application_name = 'wire client'});
	$from = $dba->value('SELECT pg_current_wal_lsn()');
	my $file = $cluster->primary->basedir . '/read.sql';
	append_to_file($file, "$read;\n");
	local $ENV{PGOPTIONS} = '-c consistency=linearizable';
	run_command([ 'pgbench', '-n', '-h', $cluster->primary->host, '-p', $cluster->primary->port,
		'-U', $cluster->superuser, '-c', 32, '-j', 2, '-t', 50, '-f', $file, 'postgres' ]);
	$rounds = rounds($from, $dba->value('SELECT pg_current_wal_lsn()'));
	cmp_ok($rounds, '>', 0, 'readers that nothing holds up: rounds');
	cmp_ok($rounds / 1600, '<', 0.5, "... shared as well: $rounds for 1600 reads");
}

# --- without a synchronous standby --------------------------------------

{
	my $before = violations('unfenced_read');
	$cluster->sql('primary', q{ALTER SYSTEM SET synchronous_standby_names = ''});
	$cluster->primary->reload;
	$cluster->primary->poll_query_until('postgres',
		q{SELECT current_setting('synchronous_standby_names') = ''});
	my $session = linearizable('primary');
	my $result = $session->query($read);
	is($result->{rows}[0][0], $value, 'no synchronous standby: the read is answered');
	is(scalar @{ $result->{notices} }, 1, '... with one notice');
	is($result->{notices}[0]{severity}, 'WARNING', '... a warning');
	like($result->{notices}[0]{message}, qr/no failover/, '... that says what is missing');
	like($result->{notices}[0]{hint}, qr/synchronous_standby_names/, '... with a hint');
	is_deeply($session->query($read)->{notices}, [], '... once a session');
	is(scalar @{ linearizable('primary')->query($read)->{notices} }, 1, '... for each session');
	is(violations('unfenced_read'), $before + 3, 'each such read is counted');

	$dba->do('SET consistency.require_leader_fence = on');
	$dba->do("SET consistency = 'linearizable'");
	my $error = $dba->error($read);
	is($error->{code}, '55000', 'with require_leader_fence it fails');
	like($error->{hint}, qr/synchronous_standby_names.*require_leader_fence/, '... with a hint');
	$dba->do('SET consistency.on_timeout = stale');
	is($dba->error($read)->{code}, '55000', '... whatever on_timeout says');
	$dba->do('RESET ALL');
	is(violations('unfenced_read'), $before + 3, '... and does not count as a read');

	$cluster->sql('primary', q{ALTER SYSTEM RESET synchronous_standby_names});
	$cluster->primary->reload;
	wait_until(sub { !@{ linearizable('primary')->query($read)->{notices} } }, 'the fence is back');
}

# --- from a replica -----------------------------------------------------

$setup->do(<<'SQL');
CREATE TABLE secret (owner name, v int);
INSERT INTO secret VALUES ('app', 1), ('app', 2), ('other', 4);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE secret FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (owner = current_user);
GRANT SELECT ON t, secret TO other;
SQL
$cluster->wait_replayed;

{
	my $session = linearizable('near');
	$session->prepare('by_number', 'SELECT v FROM t WHERE i = $1');
	$session->do("PREPARE e (int) AS SELECT v FROM t WHERE i = \$1");
	$cluster->pause('near');

	# Each reads what was acknowledged a moment ago.
	my $check = sub {
		my ($what, $get) = @_;
		write_next();
		is($get->(), $value, "from a replica, $what");
		return;
	};
	my $place = sub { return $session->value('SELECT place FROM consistency.last_read()'); };

	$check->('simple protocol', sub { $session->value($read) });
	is($place->(), 'forwarded', '... by the primary');
	$check->('parameters', sub { $session->value('SELECT v FROM t WHERE i = $1', 1) });
	for (1 .. 7) { $check->('a prepared statement', sub { $session->run('by_number', 1)->{rows}[0][0] }); }
	is($place->(), 'forwarded', '... by the primary');
	for (1 .. 7) { $check->('EXECUTE', sub { $session->value('EXECUTE e (1)') }); }
	$check->('a cursor', sub {
		$session->do('BEGIN');
		$session->do("DECLARE c NO SCROLL CURSOR FOR $read");
		my $got = $session->value('FETCH c');
		$session->do('COMMIT');
		return $got;
	});
	$check->('a transaction', sub {
		$session->do('BEGIN');
		my $got = $session->value($read);
		$session->do('COMMIT');
		return $got;
	});
	$check->('COPY', sub { $session->value("COPY ($read) TO STDOUT") });
	$check->('a join', sub { $session->value('SELECT a.v FROM t a JOIN t b USING (i) WHERE i = 1') });
	$check->('a hint', sub {
		$session->do("SET consistency = 'eventual'");
		my $got = $session->value("/*consistency='linearizable'*/ $read");
		$session->do("SET consistency = 'linearizable'");
		return $got;
	});

	# several statements in one string: each is its own
	my $other = 'SELECT max(v) + 1000000 FROM t';
	my $max = 'SELECT max(v) FROM t';
	$session->do('BEGIN');
	foreach my $first ($other, "$other /*consistency='eventual'*/")
	{
		$check->('DECLARE behind another statement', sub {
			my @results = $session->do("$first; DECLARE c NO SCROLL CURSOR FOR $max; FETCH c; CLOSE c");
			return $results[2]{rows}[0][0];
		});
		$check->('COPY behind another statement',
			sub { my @results = $session->do("$first; COPY ($max) TO STDOUT"); return $results[1]{rows}[0][0]; });
		$check->('EXECUTE behind another statement',
			sub { my @results = $session->do("$first; EXECUTE e (1)"); return $results[1]{rows}[0][0]; });
		unlike(WireClient::text_of(($session->do("$first; EXPLAIN (ANALYZE, VERBOSE) $max"))[1]),
			qr/1000000/, 'EXPLAIN behind another statement');
	}
	$session->do('COMMIT');

	my $plan = $session->text("EXPLAIN (VERBOSE) $read");
	like($plan, qr/Level: linearizable/, 'EXPLAIN tells the level');
	like($plan, qr/Node: primary/, '... and the node');
	like($session->text("EXPLAIN ANALYZE $read"), qr/Node: primary/, 'EXPLAIN ANALYZE as well');

	# whatever there is in it
	foreach my $case (
		[ 'a volatile function', 'SELECT v FROM t WHERE random() >= 0' ],
		[ 'REPEATABLE READ', "BEGIN ISOLATION LEVEL REPEATABLE READ; $read; COMMIT" ],
		[ 'REPEATABLE READ, READ ONLY', "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; $read; COMMIT" ],
		[ 'COPY of a table', 'COPY t TO STDOUT' ],
		[ 'a scrollable cursor', "BEGIN; DECLARE c SCROLL CURSOR FOR $read; FETCH c; FETCH PRIOR c; COMMIT" ])
	{
		my ($what, $sql) = @$case;
		is($session->error($sql), undef, "$what: runs at the primary");
		is($place->(), 'forwarded', "... as last_read() tells: $what");
	}

	# what forbids that
	my $error = $session->error("BEGIN; SET LOCAL consistency.routing = 'off'; $read");
	is($error && $error->{code}, '0A000', "routing = off: can't be had at a replica");
	$session->do('ROLLBACK');

	# role and row security
	foreach my $role ([ 'app', 3 ], [ 'other', 4 ])
	{
		my $session = $cluster->connect('near', user => $role->[0]);
		$session->do("SET consistency = 'linearizable'");
		is($session->value('SELECT sum(v) FROM secret'), $role->[1],
			"row security as role $role->[0]");
		is($session->value('SELECT place FROM consistency.last_read()'), 'forwarded', '... by the primary');
	}

	# the primary can't confirm: nor does the replica
	silence();
	$session->do("SET consistency.wait_timeout = '200ms'");
	my $start = time;
	is($session->error($read)->{code}, 'YC001', 'the fence holds for reads from replicas');
	cmp_ok(time - $start, '<', 3, '... with the session\'s own wait_timeout');
	heal();
	$session->do('RESET consistency.wait_timeout');
	is($session->value($read), $value, '... and they go on');
	$cluster->resume('near');
}

# --- a write in one session, then a read in another ----------------------

{
	my %reader = map { $_ => linearizable($_) } qw(primary near sync);
	$_->prepare('r', $read) for values %reader;
	my %stale;
	foreach my $i (1 .. 300)
	{
		my $where = (qw(primary near sync))[ $i % 3 ];
		write_next();
		my $result = $reader{$where}->run('r');
		$stale{$where}++ if $result->{error} || $result->{rows}[0][0] != $value;
	}
	is_deeply(\%stale, {}, 'write, then read elsewhere: never stale');

	my $control = $cluster->connect('near');
	$control->do("SET consistency = 'eventual'");
	$control->prepare('r', $read);
	my $missed = 0;
	$cluster->pause('near');
	for (1 .. 10)
	{
		write_next();
		$missed++ if $control->run('r')->{rows}[0][0] != $value;
	}
	$cluster->resume('near');
	is($missed, 10, 'control: eventual is, while replay is paused');
}

# --- a primary that was replaced -----------------------------------------

{
	my $old = linearizable('primary', "SET consistency.wait_timeout = '300ms'");
	my $plain = $cluster->connect('primary');
	my $stopped = linearizable('near', "SET consistency.wait_timeout = '300ms'");
	is($_->value($read), $value, 'before the failover') for $old, $plain, $stopped;

	# cut off: nothing tells the old primary, nor one of its replicas, of the new
	my @deaf = map { process($_, 'consistency') } qw(primary near);
	kill 'STOP', $_ for @deaf;
	$cluster->sql('sync', q{ALTER SYSTEM SET primary_conninfo = ''});
	$cluster->node('sync')->reload;
	wait_until(sub { $cluster->sql('sync', 'SELECT count(*) FROM pg_stat_wal_receiver') eq '0' },
		'the standby has left');
	$cluster->sql('sync', q{ALTER SYSTEM SET synchronous_standby_names = ''});
	$cluster->node('sync')->promote;
	my $new = $cluster->connect('sync');
	$new->do('UPDATE t SET v = 1000000 WHERE i = 1');

	is($plain->value($read), $value, 'control: the old primary shows the old value');
	for (1 .. 3)
	{
		my $error = $old->error($read);
		is($error && $error->{code}, 'YC001', 'a linearizable read there fails');
	}
	my $error = $stopped->error($read);
	is($error && $error->{code}, 'YC001', '... as well as one sent there from a replica');

	kill 'CONT', $_ for @deaf;
	wait_until(sub { my $e = $old->error($read); $e && $e->{code} eq 'YC002' },
		'once the old primary hears of the new one: YC002');
	my $start = time;
	$error = $old->error($read);
	is($error->{code}, 'YC002', 'once the old primary hears of the new one, it says so');
	cmp_ok(time - $start, '<', 0.25, '... without waiting');
	like($error->{message}, qr/not the primary any more/, '... in plain words');
	is($plain->value($read), $value, 'control: it still shows the old value to others');
	wait_until(sub { ($stopped->query($read)->{rows}[0][0] // '') eq '1000000' },
		'the replica finds the new primary');
	pass('a replica of the old one sends its reads to the new one');
}

done_testing();
