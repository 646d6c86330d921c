# Everybody sees commits in one order: sequential and causal.
#
# A commit that waits for a synchronous standby shows at the other replicas
# already, but not at the primary; one that doesn't wait shows at the primary at
# once.  So plain PostgreSQL shows two commits in opposite order at two nodes,
# the long fork.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $writers = 8;
my $seconds = 4;	# of load
my $chains = 40;	# of each client

my $cluster = ConsistencyCluster->new(
	replicas => [
		{ name => 'near' },
		{ name => 'late', delay => '20ms' },
		{ name => 'sync', delay => '30ms' } ],
	conf => "log_statement = none\n",
	primary_conf => "synchronous_standby_names = 'sync'\nsynchronous_commit = local\n");
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE counters (i int PRIMARY KEY, v int NOT NULL) WITH (fillfactor = 10)');
$setup->do("INSERT INTO counters SELECT g, 0 FROM generate_series(1, $writers) g");
$setup->do('CREATE TABLE chains (client int PRIMARY KEY, a int, b int) WITH (fillfactor = 10)');
$setup->do('CREATE TABLE copies (client int, a int, b int) WITH (fillfactor = 10)');
$setup->do('CREATE TABLE pair (x int, y int) WITH (fillfactor = 10)');
$setup->do(<<'SQL');
CREATE FUNCTION volatile_read(query text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE result text;
BEGIN
	EXECUTE query INTO result;
	RETURN result;
END $$;
CREATE FUNCTION stable_read(query text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE result text;
BEGIN
	BEGIN
		EXECUTE query INTO result;
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	RETURN result;
END $$;
SQL
$cluster->wait_replayed;

# --- the long fork, step by step -----------------------------------------

my ($x, $y) = (0, 0);
$setup->do('CREATE TABLE x (v int); INSERT INTO x VALUES (0)');
$setup->do('CREATE TABLE y (v int); INSERT INTO y VALUES (0)');
my $read = q{SELECT (SELECT v FROM x) || ',' || (SELECT v FROM y)};
my $stalled;

# A session at the primary, of which no read leaves.
sub at_primary
{
	my ($level) = @_;
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'off'");
	$session->do("SET consistency = '$level'");
	return $session;
}

# x is written, and waits for the standby, while the replica shows it; then y.
sub fork_order
{
	$cluster->pause('sync');
	$x++;
	$stalled = $cluster->connect('primary');
	$stalled->do('SET synchronous_commit = remote_apply');
	$stalled->send_query("UPDATE x SET v = $x");
	wait_until(sub { $cluster->sql('near', $read) eq "$x,$y" }, 'the replica shows the first write');
	$y++;
	$setup->do("UPDATE y SET v = $y");
	return;
}

sub acknowledge
{
	$cluster->resume('sync');
	my $error = $stalled->finish->{error};
	is($error && $error->{message}, undef, 'the write is acknowledged at last');
	$stalled->close;
	return;
}

fork_order();
is($cluster->sql('primary', $read), ($x - 1) . ",$y",
	'control: what the primary shows, and the replica has shown, is in opposite order');
if ($ConsistencyCluster::plain) { acknowledge(); done_testing(); exit; }
{
	my $session = at_primary('session');
	is($session->value($read), ($x - 1) . ",$y", 'control: under session as well');
}
acknowledge();

# Nothing is to be seen of the second write before the first.
foreach my $level (qw(causal sequential))
{
	foreach my $case (
		[ 'a plain read', $read ],
		[ 'COPY', "COPY ($read) TO STDOUT" ],
		[ 'a cursor', "BEGIN; DECLARE c CURSOR FOR $read; FETCH c" ],
		[ 'REPEATABLE READ', "BEGIN ISOLATION LEVEL REPEATABLE READ; $read" ],
		[ 'the level set within REPEATABLE READ',
			"RESET consistency; BEGIN ISOLATION LEVEL REPEATABLE READ; SET consistency = '$level'; $read" ],
		[ 'SERIALIZABLE', "BEGIN ISOLATION LEVEL SERIALIZABLE; $read" ],
		[ 'EXECUTE', "PREPARE e AS $read; EXECUTE e" ],
		[ 'a parallel plan',
			'SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;'
			  . q{SELECT max(x.v) || ',' || max(y.v) FROM x, y} ],
		[ 'a volatile function', "SELECT volatile_read(\$\$$read\$\$)" ],
		[ 'a stable function', "SELECT stable_read(\$\$$read\$\$)" ],
		[ 'INSERT SELECT', "INSERT INTO copies (a, b) SELECT x.v, y.v FROM x, y RETURNING a || ',' || b" ],
		[ 'a hint', "RESET consistency; $read /*consistency='$level'*/" ])
	{
		my ($what, $sql) = @$case;
		fork_order();
		my $session = at_primary($level);
		$session->send_query($sql);
		$cluster->wait_for_wait('primary', $session->pid);
		ok(!$session->ready, "$level, $what: waits");
		acknowledge();
		my $result = $session->finish;
		is($result->{error} && $result->{error}{message}, undef, "$level, $what: no error");
		is($result->{rows}[0][0], "$x,$y", "$level, $what: both writes");
		$session->close;
	}
}

# each statement of a procedure, each query of a function
{
	my $session = at_primary('causal');
	$session->do(q{CREATE FUNCTION twice() RETURNS text LANGUAGE plpgsql AS $$
		DECLARE first text; BEGIN
			first := volatile_read('SELECT 1');
			PERFORM pg_advisory_lock(1);
			RETURN (SELECT v FROM x) || ',' || (SELECT v FROM y);
		END $$});
	my $lock = $cluster->connect('primary');
	$lock->do('SELECT pg_advisory_lock(1)');
	$session->send_query('SELECT twice()');
	$cluster->wait_for_wait('primary', $session->pid, 'Lock');
	fork_order();
	$lock->do('SELECT pg_advisory_unlock(1)');
	$cluster->wait_for_wait('primary', $session->pid);
	acknowledge();
	is($session->finish->{rows}[0][0], "$x,$y", 'a query in a function, later than the statement: in order');
	$session->do('SELECT pg_advisory_unlock_all()');
}

# A policy of a table that only a function reads
{
	$setup->do(q{SELECT consistency.set_policy('y', 'causal')});
	foreach my $function (qw(volatile_read stable_read))
	{
		fork_order();
		my $session = $cluster->connect('primary');
		$session->send_query("SELECT $function(\$\$$read\$\$)");
		$cluster->wait_for_wait('primary', $session->pid);
		acknowledge();
		is($session->finish->{rows}[0][0], "$x,$y", "a policy, $function: in order");
		is($session->value('SELECT 1'), 1, '... and the session lives on');
	}
	$setup->do(q{SELECT consistency.drop_policy('y')});
}

# A transaction whose id is higher than any that is done when the snapshot is
# taken; or whose subtransaction's is.
foreach my $sub (0, 1)
{
	$cluster->pause('sync');
	$x++;
	$y++;
	my $earlier = $cluster->connect('primary');
	my $update = "UPDATE x SET v = $x";
	$stalled = $cluster->connect('primary');
	$stalled->do('SET synchronous_commit = remote_apply');
	$stalled->do('BEGIN; INSERT INTO copies VALUES (0)') if $sub;
	$earlier->do("BEGIN; UPDATE y SET v = $y");
	$stalled->send_query($sub ? "SAVEPOINT a; $update; RELEASE a; COMMIT" : $update);
	wait_until(sub { $cluster->sql('near', $read) eq $x . ',' . ($y - 1) }, 'the replica shows the first write');
	$earlier->do('COMMIT');
	my $session = at_primary('causal');
	$session->send_query($read);
	$cluster->wait_for_wait('primary', $session->pid);
	acknowledge();
	is($session->finish->{rows}[0][0], "$x,$y",
		'a later commit of a transaction that began earlier' . ($sub ? ', with a subtransaction' : ''));
}

# Commits that come while a read waits don't keep it waiting.
$setup->do('CREATE TABLE z (v int); INSERT INTO z VALUES (0)');
foreach my $way ('a commit', 'COMMIT PREPARED')
{
	my $prepare = $way eq 'COMMIT PREPARED';
	my $z = $prepare ? 1 : 0;
	my $newcomer = sub {
		my ($what) = @_;
		my $session = $cluster->connect('primary');
		$session->do('SET synchronous_commit = remote_apply');
		$session->send_query($what);
		$cluster->wait_for_wait('primary', $session->pid, 'IPC');
		return $session;
	};
	if ($prepare)
	{
		$x++;
		$setup->do("BEGIN; UPDATE x SET v = $x; PREPARE TRANSACTION 'x'");
		$z++;
		$setup->do("BEGIN; UPDATE z SET v = $z; PREPARE TRANSACTION 'z'");
		$cluster->pause('sync');
		$stalled = $newcomer->("COMMIT PREPARED 'x'");
		$y++;
		$setup->do("UPDATE y SET v = $y");
	}
	else { $z++; fork_order(); }

	my $all = 'SELECT x.v, y.v, z.v FROM x, y, z';
	my $session = at_primary('causal');
	$session->send_query($all);
	$cluster->wait_for_wait('primary', $session->pid);
	my $second = $newcomer->($prepare ? "COMMIT PREPARED 'z'" : "UPDATE z SET v = $z");
	my $wanted = "$x|$y|" . ($z - 1);
	$y++;
	$setup->do("UPDATE y SET v = $y");
	ok(!$session->ready, "$way: a read waits for it");
	$stalled->cancel;	# it is there all the same
	is(WireClient::text_of($session->finish), $wanted,
		'... is served when that is visible, without what came meanwhile');
	my $later = at_primary('causal');
	$later->send_query($all);
	$cluster->wait_for_wait('primary', $later->pid);
	acknowledge();
	is($second->finish->{error}, undef, 'the other write is acknowledged');
	is(WireClient::text_of($later->finish), "$x|$y|$z", 'who comes later waits for that, and sees all');
}

# Nobody waits for what need not be shown.
{
	$cluster->pause('sync');
	$x++;
	$stalled = $cluster->connect('primary');
	$stalled->do('SET synchronous_commit = remote_apply');
	$stalled->send_query("UPDATE x SET v = $x");
	$cluster->wait_for_wait('primary', $stalled->pid, 'IPC');
	my $session = $cluster->connect('primary');
	foreach my $level (qw(causal sequential))
	{
		$session->do("SET consistency = '$level'");
		is($session->value($read), ($x - 1) . ",$y", "$level: a state before the commit that waits will do");
		is($session->row('SELECT * FROM consistency.last_read()')->{place}, 'local', '... at once');
	}
	acknowledge();
}

# ends of a wait
{
	fork_order();
	my $session = at_primary('causal');
	$session->do("SET consistency.wait_timeout = '50ms'");
	my $error = $session->error($read);
	is($error->{code}, 'YC001', 'wait_timeout ends the wait');
	like($error->{message}, qr/not visible here/, '... and says for what it was');
	is($session->error("BEGIN ISOLATION LEVEL REPEATABLE READ; $read")->{code}, 'YC001',
		'... in REPEATABLE READ as well');
	$session->do('ROLLBACK');
	$session->do('SET consistency.on_timeout = stale');
	my $result = $session->query($read);
	is($result->{notices}[0]{code}, '01YC1', 'on_timeout = stale: a warning');
	is($result->{rows}[0][0], ($x - 1) . ",$y", '... and an answer out of order');
	$session->do('SET consistency.on_timeout = error');
	$session->do("SET consistency.wait_timeout = '10min'");
	$session->send_query($read);
	$cluster->wait_for_wait('primary', $session->pid);
	my $start = time;
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'cancel ends it');
	cmp_ok(time - $start, '<', 2, '... at once');
	acknowledge();
}

# What ends in the middle of a commit, or of a wait, leaves nothing behind.
foreach my $how ('UPDATE', 'COMMIT PREPARED')
{
	fork_order();
	my $prepared = $cluster->connect('primary');
	$prepared->do('BEGIN; UPDATE pair SET x = 1; INSERT INTO pair VALUES (1, 1)');
	$prepared->do("PREPARE TRANSACTION 'p'");
	my $reader = at_primary('sequential');
	$reader->send_query($read);
	$cluster->wait_for_wait('primary', $reader->pid);
	my $writer = $cluster->connect('primary');
	$writer->do('SET synchronous_commit = remote_apply');
	$writer->send_query($how eq 'UPDATE' ? 'INSERT INTO pair VALUES (2, 2)' : "COMMIT PREPARED 'p'");
	$cluster->wait_for_wait('primary', $writer->pid, 'IPC');
	foreach my $session ($reader, $writer)
	{
		$cluster->sql('primary', 'SELECT pg_terminate_backend(' . $session->pid . ')');
		$cluster->primary->poll_query_until('postgres',
			'SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = ' . $session->pid);
		$session->abandon;
	}
	$prepared->do("ROLLBACK PREPARED 'p'") if $how eq 'UPDATE';
	acknowledge();
	my $session = at_primary('sequential');
	$session->do("SET consistency.wait_timeout = '200ms'");
	for (1 .. 50) { $y++; $setup->do("UPDATE y SET v = $y"); $session->do($read); }
	is($session->value($read), "$x,$y", "$how terminated: nobody waits for it afterwards");
}

# --- load ---------------------------------------------------------------

my @children;

# Runs a function in a process of its own.
sub child
{
	my ($run) = @_;
	my $pid = fork // die $!;
	if ($pid) { push @children, $pid; return $pid; }
	eval { $run->(); };
	print STDERR "# $@" if $@;
	# no END blocks: these belong to the parent
	POSIX::_exit($@ ? 1 : 0);
}

# Waits for all of them; how many failed?
sub join_children
{
	my $failed = 0;
	foreach my $pid (splice @children) { waitpid $pid, 0; $failed++ if $?; }
	return $failed;
}

# Commits in all ways: each changes the writer's own counter.
my %way = (
	plain => sub { my ($s, $sql) = @_; $s->do($sql); },
	subtransaction => sub { my ($s, $sql) = @_; $s->do("BEGIN; SAVEPOINT a; $sql; RELEASE a; COMMIT"); },
	prepared => sub {
		my ($s, $sql, $i) = @_;
		$s->do("BEGIN; $sql; PREPARE TRANSACTION 'w$i'");
		$s->do("COMMIT PREPARED 'w$i'");
	},
	notify => sub { my ($s, $sql) = @_; $s->do('NOTIFY n'); $s->do($sql); });
my @mode = (
	[ 'remote_apply', 'plain' ], [ 'remote_apply', 'subtransaction' ], [ 'remote_apply', 'prepared' ],
	[ 'remote_apply', 'notify' ],
	[ 'local', 'plain' ], [ 'off', 'plain' ], [ 'off', 'subtransaction' ], [ 'local', 'prepared' ]);

sub writer
{
	my ($i, $end) = @_;
	my ($commit, $way) = @{ $mode[ ($i - 1) % @mode ] };
	my $session = $cluster->connect('primary');
	$session->do("SET synchronous_commit = $commit");
	while (time < $end)
	{
		$way{$way}->($session, "UPDATE counters SET v = v + 1 WHERE i = $i", $i);
		usleep(int rand 3000);
	}
	return;
}

# Each writes down the states that it has seen, and what went wrong.
my $vector = q{SELECT string_agg(v::text, ',' ORDER BY i) FROM counters};
my %reader = (
	plain => sub { my ($s) = @_; return $s->query($vector); },
	function => sub { my ($s) = @_; return $s->query("SELECT volatile_read(\$\$$vector\$\$)"); },
	repeatable => sub {
		my ($s) = @_;
		my @results = $s->query("BEGIN ISOLATION LEVEL REPEATABLE READ; $vector; $vector; COMMIT");
		return $results[-1] if $results[-1]{error};
		die "two states in one transaction\n" if $results[1]{rows}[0][0] ne $results[2]{rows}[0][0];
		return $results[1];
	},
	cursor => sub {
		my ($s) = @_;
		my @results = $s->query("BEGIN; DECLARE c CURSOR FOR $vector; FETCH c; COMMIT");
		return $results[-1]{error} ? $results[-1] : $results[2];
	});

sub reader
{
	my ($file, $end, $where, $level, $how, $routing) = @_;
	my $session = $cluster->connect($where);
	my $slowest = 0;
	$session->do("SET consistency = '$level'");
	$session->do("SET consistency.routing = '" . ($routing // 'off') . "'");
	open my $out, '>', $file or die $!;
	while (time < $end)
	{
		my $start = time;
		my $result = $reader{$how}->($session);
		my $took = time - $start;
		$slowest = $took if $took > $slowest;
		print $out $result->{error} ? "$result->{error}{code}\n" : "$result->{rows}[0][0]\n";
		$session->do('ROLLBACK') if $session->status ne 'I';
		usleep(1000);
	}
	print $out "slowest $slowest\n";
	close $out or die $!;
	return;
}

# The standby stops replaying now and then.
sub pulses
{
	my ($end) = @_;
	my $dba = $cluster->connect('sync', user => $cluster->superuser);
	while (time < $end)
	{
		$dba->do('SELECT pg_wal_replay_pause()');
		usleep(int rand 60_000);
		$dba->do('SELECT pg_wal_replay_resume()');
		usleep(int rand 60_000);
	}
	return;
}

# How many neighbours among the states, in order of their sums, can't be ordered?
sub forks
{
	my ($tell, %state) = @_;
	my ($forks, $before) = (0, undef);
	my %sum;
	foreach my $state (keys %state) { my $n = 0; $n += $_ for split /,/, $state; $sum{$state} = $n; }
	foreach my $state (sort { $sum{$a} <=> $sum{$b} } keys %state)
	{
		my @now = split /,/, $state;
		if ($before && grep { $now[$_] < $before->[$_] } 0 .. $#now)
		{
			# tell of the first ones who saw that
			diag(join(',', @$before) . " by $state{ join ',', @$before}, then $state by $state{$state}")
			  if $tell && $forks < 5;
			$forks++;
		}
		$before = \@now;
	}
	return $forks;
}

{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $end = time + $seconds;
	my @reader = (
		[ 'primary', 'sequential', 'plain' ], [ 'primary', 'causal', 'repeatable' ],
		[ 'primary', 'causal', 'function' ], [ 'primary', 'sequential', 'cursor' ],
		[ 'primary', 'causal', 'plain', 'always' ],
		[ 'near', 'sequential', 'plain' ], [ 'near', 'causal', 'repeatable' ],
		[ 'primary', 'session', 'plain' ], [ 'near', 'eventual', 'plain' ]);
	foreach my $i (1 .. $writers) { child(sub { writer($i, $end) }); }
	child(sub { pulses($end) });
	foreach my $n (0 .. $#reader) { child(sub { reader("$dir/$n", $end, @{ $reader[$n] }) }); }
	is(join_children(), 0, 'load: no client failed');
	$cluster->resume('sync');

	my (%ordered, %control, %error);
	foreach my $n (0 .. $#reader)
	{
		my ($where, $level, $how) = @{ $reader[$n] };
		my $states = $level =~ /^(causal|sequential)$/ ? \%ordered : \%control;
		my ($reads, $slowest) = (0, 0);
		foreach my $line (split /\n/, slurp_file("$dir/$n"))
		{
			if ($line =~ /,/) { $states->{$line} .= "$n "; $reads++; }
			elsif ($line =~ /^slowest (.*)/) { $slowest = $1; }
			else { $error{$line}++; }
		}
		cmp_ok($reads, '>', 10, "load, $level at $where, $how: $reads reads");
		# a stall is 60 ms, and the standby's delay: twice that, and a slow machine
		cmp_ok($slowest, '<', 3, "... the slowest took $slowest s");
	}
	is_deeply(\%error, {}, 'load: no read failed');
	cmp_ok(scalar keys %ordered, '>', 100, 'load: many states were seen: ' . keys %ordered);
	is(forks(1, %ordered), 0, 'load: sequential and causal, all nodes: all states are in one order');
	my $forks = forks(0, %control);
	cmp_ok($forks, '>', 0, "control: below that they aren't ($forks of " . keys(%control) . ')');
	is($cluster->sql('primary', q{SELECT count(*) FROM pg_prepared_xacts}), 0, 'load: all prepared ones are done');
}

# --- causal chains ------------------------------------------------------

# A writes; B, told by A, reads that at a replica and writes; C, told by B, must
# see both at a third node.  Returns how often C, or B, missed something.
sub chain
{
	my ($client, $count, $with_token, $file) = @_;
	my %at = map { $_ => $cluster->connect($_) } qw(primary near late);
	my $writer_b = $cluster->connect('primary');
	my $missed = 0;
	$_->do("SET consistency = 'causal'") for values %at, $writer_b;
	foreach my $n (1 .. $count)
	{
		$at{primary}->do("UPDATE chains SET a = $n WHERE client = $client");
		my $token = $at{primary}->parameter('consistency.token');
		my ($second, $third) = $n % 2 ? qw(near late) : qw(late near);
		my $b = $at{$second};
		$b->do($with_token ? "SET consistency.token = '$token'" : 'RESET consistency.token');
		$missed++ if $b->value("SELECT a FROM chains WHERE client = $client") < $n;
		$writer_b->do("SET consistency.token = '" . $b->parameter('consistency.token') . "'") if $with_token;
		$writer_b->do("UPDATE chains SET b = $n WHERE client = $client");
		$token = $writer_b->parameter('consistency.token');
		my $c = $at{$third};
		$c->do($with_token ? "SET consistency.token = '$token'" : 'RESET consistency.token');
		$missed++ if $c->value("SELECT least(a, b) FROM chains WHERE client = $client") < $n;
	}
	append_to_file($file, "$missed\n");
	return;
}

# The same, told by nobody: A's commit waits for the standby, B has seen it at
# the replica, and C is at the primary.  C must not see B's alone.
sub silent_chain
{
	my ($client, $count, $level, $file) = @_;
	my %at = map { $_ => $cluster->connect($_) } qw(primary near);
	my ($writer_a, $writer_b) = map { $cluster->connect('primary') } 1 .. 2;
	my $broken = 0;
	$_->do("SET consistency = '$level'") for values %at;
	$writer_a->do('SET synchronous_commit = remote_apply');
	foreach my $n (1 .. $count)
	{
		$writer_a->send_query("UPDATE chains SET a = $n WHERE client = $client");
		while ($at{near}->value("SELECT a FROM chains WHERE client = $client") < $n) { usleep(500); }
		# another row: the first one is locked
		$writer_b->do("UPDATE copies SET b = $n WHERE client = $client");
		my $row = $at{primary}->row(
			"SELECT c.a, o.b FROM chains c JOIN copies o USING (client) WHERE client = $client");
		$broken++ if $row->{b} >= $n && $row->{a} < $n;
		$writer_a->finish;
	}
	append_to_file($file, "$broken\n");
	return;
}

# Runs clients of one kind; the sum of what they say.
sub run_chains
{
	my ($run, $how) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/result';
	$setup->do('TRUNCATE chains, copies');
	$setup->do("INSERT INTO chains SELECT g, 0, 0 FROM generate_series(1, 4) g");
	$setup->do('INSERT INTO copies SELECT * FROM chains');
	$cluster->wait_replayed;
	foreach my $client (1 .. 4) { child(sub { $run->($client, $chains, $how, $file) }); }
	is(join_children(), 0, 'chains: no client failed');
	my $sum = 0;
	$sum += $_ for split /\n/, slurp_file($file);
	return $sum;
}

{
	my $all = 4 * $chains;
	is(run_chains(\&chain, 1), 0, "causal, by token: none of $all chains is broken");
	my $missed = run_chains(\&chain, 0);
	cmp_ok($missed, '>', 0, "control: without the token $missed are");
	is(run_chains(\&silent_chain, 'causal'), 0, "causal, at the primary: none of $all chains is broken");
	$missed = run_chains(\&silent_chain, 'session');
	cmp_ok($missed, '>', 0, "control: under session $missed are");
}

done_testing();
