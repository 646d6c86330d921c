# Level "bounded": no read misses what was acknowledged longer ago than the
# bound, whatever replay and the primary do; and a replica that is fresh enough
# serves its reads itself.
#
# No clocks of two machines are compared anywhere: a replica asks the primary at
# a time of its own clock, and only its own clock counts from there.  So there
# is nothing that skewed clocks could break.
#
# CONSISTENCY_TEST_SECONDS: length of the random run at the end, default 15.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'late', delay => '300ms' } ],
	conf => "log_statement = none\n");
my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL)');
$app->do('CREATE TABLE u (i int PRIMARY KEY, v int NOT NULL)');
$app->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 3) g');
$app->do('INSERT INTO u TABLE t');
$cluster->wait_replayed;
my $read = 'SELECT v FROM t WHERE i = 1';
my $value = 0;

# --- helpers ------------------------------------------------------------

# Writes a new value and returns it once it is acknowledged.
sub write_value
{
	my ($session) = @_;
	$value++;
	($session // $app)->do("UPDATE t SET v = $value WHERE i = 1");
	return $value;
}

# A session under "bounded" with these settings of consistency.*.
sub bounded
{
	my ($name, %set) = @_;
	my $session = $cluster->connect($name, dbname => delete $set{dbname} // 'postgres');
	$session->do("SET consistency = 'bounded'");
	%set = (max_staleness => '5s', wait_timeout => '1s', on_timeout => 'error', %set);
	set($session, %set);
	return $session;
}

sub set
{
	my ($session, %set) = @_;
	$session->do("SET consistency.$_ = '$set{$_}'") for sort keys %set;
	return;
}

# Value and place of a read; or the SQLSTATE of its error.
sub outcome
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql // $read);
	return $result->{error}{code} if $result->{error};
	return "$result->{rows}[0][0] " . $session->value('SELECT place FROM consistency.last_read()');
}

# The same, and how long it took.
sub timed
{
	my ($session) = @_;
	my $start = time;
	my $outcome = outcome($session);
	return ($outcome, time - $start);
}

# --- an idle primary ----------------------------------------------------

{
	my $session = bounded('near', max_staleness => '300ms');
	wait_until(
		sub {
			$session->value(q{SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > '1 s'}) eq 't';
		},
		'nothing is committed for a while');
	is(outcome($session), '0 local', 'idle primary: a replica that misses nothing is fresh, however old its data');
	set($session, max_staleness => 0);
	like(outcome($session), qr/^0 (local|waited)$/, '... under the tightest bound as well');
}

# --- bounds below the heartbeats' interval ------------------------------

$cluster->sql('near', q{ALTER SYSTEM SET consistency.monitor_interval = '10min'});
$cluster->node('near')->reload;
{
	my ($sum, $wrong) = (0, 0);
	foreach my $bound (0, 1, 50)
	{
		my $session = bounded('near', max_staleness => $bound, wait_timeout => '10s');
		foreach (1 .. 20)
		{
			my $want = write_value();
			usleep($bound * 1000);
			my ($outcome, $took) = timed($session);
			$wrong++ unless $outcome =~ /^$want (local|waited)$/;
			$sum += $took;
		}
		is($wrong, 0, "heartbeats far apart, bound $bound ms: fresh, and served here");
	}
	cmp_ok($sum, '<', 4, 'a heartbeat is sent when a read needs one');

	# a lag in bytes is asked for at each read
	my $session = bounded('near', max_staleness => -1, max_lag => 0);
	my $want = write_value();
	like(outcome($session), qr/^$want (local|waited)$/, 'heartbeats far apart, no lag allowed: fresh');

	# all who want one share it
	my @sessions = map { bounded('near', max_staleness => 0, wait_timeout => '10s') } 1 .. 20;
	$want = write_value();
	$_->send_query($read) for @sessions;
	is(join(' ', map { $_->finish->{rows}[0][0] // 'none' } @sessions),
		join(' ', ($want) x 20), 'twenty at a time');
}
$cluster->sql('near', 'ALTER SYSTEM RESET consistency.monitor_interval');
$cluster->node('near')->reload;
$cluster->wait_replayed;

# --- replay stands still ------------------------------------------------

{
	my $session = bounded('near', max_staleness => '2s', wait_timeout => '300ms');
	$cluster->pause('near');
	is(outcome($session), "$value local", 'paused, and nothing to replay: served');
	my $old = $value;
	my $start = time;
	my $want = write_value();
	is(outcome($session), "$old local", 'paused, within the bound: served, old as it is')
	  if time - $start < 1.5;
	my $last = time;
	wait_until(
		sub { my $code = outcome($session); $last = time unless $code eq 'YC001'; $code eq 'YC001' },
		'the bound is used up');
	cmp_ok($last - $start, '>', 1.2, 'paused: served as long as the bound allows');
	cmp_ok($last - $start, '<', 2.6, '... and no longer');

	my ($outcome, $took) = timed($session);
	is($outcome, 'YC001', 'paused, on_timeout = error: an error');
	cmp_ok($took, '>', 0.25, '... behind the time that it may wait');
	cmp_ok($took, '<', 2, '... and not long after');
	my $error = $session->error($read);
	like($error->{message}, qr/fresh enough/, '... which says what');
	like($error->{hint}, qr/consistency\.max_staleness/, '... and which setting to change');
	set($session, on_timeout => 'primary');
	is(outcome($session), "$want forwarded", 'paused, on_timeout = primary: from there');
	set($session, on_timeout => 'stale');
	my $result = $session->query($read);
	is($result->{rows}[0][0], $old, 'paused, on_timeout = stale: old');
	is($result->{notices}[0]{code}, '01YC1', '... with a warning');
	is(outcome($session), "$old stale", '... and told so');

	# goes on while a read waits
	set($session, on_timeout => 'error', wait_timeout => '10min');
	$session->send_query($read);
	$cluster->wait_for_wait('near', $session->pid);
	$cluster->resume('near');
	is($session->finish->{rows}[0][0], $want, 'resumed: the read that waits is served');
	is(outcome($session), "$want local", '... and the next one at once');
}

# --- lag in bytes, and both bounds --------------------------------------

{
	my %bytes = (max_staleness => -1, max_lag => '1MB', wait_timeout => '300ms');
	my $session = bounded('near', %bytes);
	my $filler = q{UPDATE u SET v = v + 1; SELECT pg_logical_emit_message(true, 'filler', repeat('x', 1500000))};
	my $dba = $cluster->connect('primary', user => $cluster->superuser);
	like(outcome($session), qr/^$value (local|waited)$/, 'bytes: served');	# after a heartbeat
	$cluster->pause('near');
	my $old = $value;
	my $want = write_value();
	like(outcome($session), qr/^$old (local|waited)$/, 'bytes, paused, a small write: served, old as it is');
	usleep(700_000);
	like(outcome($session), qr/^$old (local|waited)$/, '... however long ago');
	set($session, max_staleness => '500ms');
	is(outcome($session), 'YC001', 'both bounds: the time is up');
	set($session, max_staleness => '1h');
	like(outcome($session), qr/^$old (local|waited)$/, '... it is not');
	$dba->do($filler);
	is(outcome($session), 'YC001', '... but the bytes are used up');
	set($session, %bytes);
	is(outcome($session), 'YC001', 'bytes, paused, a large write: an error');
	set($session, max_lag => '100MB');
	like(outcome($session), qr/^$old (local|waited)$/, '... within a larger bound: served');
	set($session, max_lag => 0, on_timeout => 'primary');
	is(outcome($session), "$want forwarded", 'no bytes allowed, on_timeout = primary: from there');
	$cluster->resume('near');
	set($session, wait_timeout => '10s');
	like(outcome($session), qr/^$want (local|waited)$/, 'resumed: served');

	set($session, max_staleness => -1, max_lag => -1);
	my $error = $session->error($read);
	is($error->{code}, '22023', 'no bound at all: an error');
	like($error->{hint}, qr/max_staleness or consistency\.max_lag/, '... that names the settings');
	set($session, max_lag => 0);
	is($session->value($read), $want, '... until one is set');
}

# --- at the primary -----------------------------------------------------

{
	my $session = bounded('primary', max_staleness => 0, max_lag => 0);
	set($session, routing => 'off');
	foreach (1 .. 10)
	{
		my $want = write_value();
		my $outcome = outcome($session);
		is($outcome, "$want local", 'at the primary: always fresh') if $outcome ne "$want local" || $_ == 10;
	}
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is(outcome($session), "$value local", '... in a transaction as well');
	$session->do('COMMIT');
}

# --- asynchronous commits -----------------------------------------------

{
	my $writer = $cluster->connect('primary');
	my $session = bounded('near', max_staleness => 0, wait_timeout => '10s');
	$writer->do('SET synchronous_commit = off');
	foreach (1 .. 5)
	{
		my $want = write_value($writer);
		like(outcome($session), qr/^$want (local|waited)$/, 'an asynchronous commit counts as acknowledged');
	}

	# nobody flushes it now, so no replica can have it
	my $walwriter = $cluster->sql('primary',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
	set($session, wait_timeout => '300ms');
	kill 'STOP', $walwriter;
	my $want = write_value($writer);
	is(outcome($session), 'YC001', '... even while it is not flushed: no replica is fresh');
	set($session, on_timeout => 'primary');
	is(outcome($session), "$want forwarded", '... but the primary');
	kill 'CONT', $walwriter;
	set($session, wait_timeout => '10s');
	like(outcome($session), qr/^$want (local|waited)$/, '... until it is');
}

# --- transactions that keep their snapshot ------------------------------

{
	my $session = bounded('near', max_staleness => '500ms', wait_timeout => '5s');
	my $begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

	$session->do($begin);
	usleep(1_000_000);
	is(outcome($session), "$value local", 'REPEATABLE READ, a first statement later: served');
	my $old = $value;
	write_value();
	$cluster->wait_replayed('near');
	is(outcome($session), "$old local", '... and then repeated');
	$session->do('COMMIT');

	# while others write, the snapshot is not the one that BEGIN could have had
	$session->do($begin);
	my $want;
	for (1 .. 20) { $want = write_value(); usleep(50_000); }
	$cluster->wait_replayed('near');
	is(outcome($session), "$want local", 'REPEATABLE READ, writes between BEGIN and the first statement: served');
	$session->do('COMMIT');

	# what was fresh at BEGIN is not fresh when the snapshot is taken
	set($session, wait_timeout => '300ms');
	$session->do($begin);
	$cluster->pause('near');
	write_value();
	usleep(700_000);
	is(outcome($session), 'YC001', 'REPEATABLE READ, replay stood still between BEGIN and the first statement: an error');
	$session->do('ROLLBACK');
	my $result = $session->query($begin);
	is($result->{error} && $result->{error}{code}, 'YC001', '... at BEGIN as well, once the bound is used up');
	$session->do('ROLLBACK') if $session->status ne 'I';

	# and if it becomes so meanwhile, the snapshot is still the old one
	$cluster->resume('near');
	$cluster->wait_replayed('near');
	set($session, wait_timeout => '10s');
	$session->do($begin);
	$cluster->pause('near');
	$want = write_value();
	usleep(700_000);
	$session->send_query($read);
	$cluster->wait_for_wait('near', $session->pid);
	$cluster->resume('near');
	is($session->finish->{error}{code}, '40001', '... fresh again during the wait: to be retried');
	$session->do('ROLLBACK');
	$session->do($begin);
	is(outcome($session), "$want local", '... and the retry is served');
	$session->do('COMMIT');
}

# --- routed from the primary --------------------------------------------

# Runs code while a child writes all the time.
sub while_writing
{
	my ($code) = @_;
	my $pid = fork // die $!;
	if (!$pid)
	{
		my $writer = $cluster->connect('primary');
		while (getppid() > 1)
		{
			eval { $writer->do('BEGIN; UPDATE t SET v = v + 1 WHERE i = 2; UPDATE u SET v = (SELECT v FROM t WHERE i = 2) WHERE i = 2; COMMIT') }
			  or last;
			usleep(10_000);
		}
		POSIX::_exit(0);
	}
	my $result = eval { $code->(); 1 };
	my $error = $@;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	die $error unless $result;
	return;
}

{
	$cluster->node('near')->stop('fast');
	ok( $cluster->primary->poll_query_until('postgres',
			q{SELECT state = 'down' FROM consistency.nodes WHERE name = 'near'}),
		'only the late replica is up');
	my $session = bounded('primary', on_timeout => 'primary', wait_timeout => '10s');
	set($session, routing => 'always');
	my $join = 'SELECT t.v - u.v FROM t JOIN u USING (i) WHERE i = 2';
	my $sum = 'SELECT count(*) FROM t JOIN u USING (i)';
	$app->do('UPDATE u SET v = t.v FROM t WHERE t.i = u.i');
	while_writing(
		sub {
			usleep(700_000);	# the history needs to reach back a bit
			is(outcome($session, $join), '0 routed', 'late by 300 ms, bound 5 s: served there, joins included');
			is($session->value('SELECT node FROM consistency.last_read()'), 'late', '... by the late one');
			is(outcome($session, $sum), '3 routed', '... again');
			is(outcome($session, $read), "$value routed", '... and what is old enough is there');
			set($session, max_staleness => '50ms');
			is(outcome($session, $join), '0 local', 'late by 300 ms, bound 50 ms: not served there');
			is(outcome($session, $read), "$value local", '... nor anything else');
			set($session, on_timeout => 'error');
			is(outcome($session), 'YC001', '... and on_timeout = error: an error');
			set($session, max_staleness => '5s', max_lag => 0, wait_timeout => '1s');
			is(outcome($session), 'YC001', 'late, no bytes allowed: not served there');
			set($session, max_lag => '100MB');
			is(outcome($session, $join), '0 routed', 'late, many bytes allowed: served there');
		});
	$cluster->node('near')->start;
	$cluster->wait_all_up;
}

# --- the primary is away --------------------------------------------------

{
	my $session = bounded('near', max_staleness => '1s', wait_timeout => '300ms');
	my ($postmaster) = processes($cluster->primary);
	kill 'STOP', $postmaster;
	usleep(1_500_000);
	is(outcome($session), "$value local", 'only its postmaster is stopped: the primary goes on, and so do the reads');
	kill 'CONT', $postmaster;

	my @stopped = processes($cluster->primary);
	kill 'STOP', @stopped;
	my $start = time;
	is(outcome($session), "$value local", 'primary stopped: served');
	wait_until(sub { outcome($session) eq 'YC001' }, 'the bound is used up');
	cmp_ok(time - $start, '>', 0.8, '... as long as the bound allows');
	cmp_ok(time - $start, '<', 2.5, '... and no longer');
	my $error = $session->error($read);
	like($error->{message}, qr/cannot tell how stale/, '... then nobody can promise anything');
	foreach my $on_timeout (qw(error primary))
	{
		set($session, on_timeout => $on_timeout);
		my ($outcome, $took) = timed($session);
		is($outcome, 'YC001', "primary stopped, on_timeout = $on_timeout: an error");
		cmp_ok($took, '<', 3, '... in time');
	}
	set($session, on_timeout => 'stale');
	is(outcome($session), "$value stale", 'primary stopped, on_timeout = stale: the answer');
	set($session, on_timeout => 'error');
	kill 'CONT', @stopped;
	$start = time;
	wait_until(sub { outcome($session) eq "$value local" }, 'woken: served');
	cmp_ok(time - $start, '<', 3, 'woken: served soon');

	# long enough for the monitor to look for it ever less often
	$cluster->primary->stop('fast');
	usleep(8_000_000);
	is(outcome($session), 'YC001', 'primary down for long: an error');
	$cluster->primary->start;
	$start = time;
	wait_until(sub { outcome($session) =~ /^$value (local|waited)$/ }, 'back: served');
	cmp_ok(time - $start, '<', 1.5, 'back: served soon');
	$cluster->wait_all_up;
	$app = $cluster->connect('primary');
}

# --- a random run -------------------------------------------------------

# Children write what happened to files: the writer when each value was
# acknowledged, the readers when each read began, its bound and what it showed.
# They all run on one machine, so there is one clock to judge by.

my $dir = PostgreSQL::Test::Utils::tempdir();

sub child
{
	my ($name, $seconds, $code) = @_;
	my $pid = fork // die $!;
	return $pid if $pid;
	srand($$);
	open my $out, '>', "$dir/$name" or die $!;
	my $end = time + $seconds;
	eval { $code->($out, sub { time < $end }); 1 } or print $out "# $@";
	close $out;
	# no END blocks: these belong to the parent
	POSIX::_exit(0);
}

# Commits counts, now and then asynchronously.
sub writer
{
	my ($out, $goes_on) = @_;
	my $session = $cluster->connect('primary');
	while ($goes_on->())
	{
		$session->do('SET synchronous_commit = ' . (rand() < 0.3 ? 'off' : 'on')) if rand() < 0.1;
		my $v = $session->value('UPDATE t SET v = v + 1 WHERE i = 3 RETURNING v');
		printf $out "%.6f %d\n", time, $v;
		usleep(rand 5_000);
	}
	return;
}

# Reads with random bounds.
sub reader
{
	my ($name, $level, $least) = @_;
	return sub {
		my ($out, $goes_on) = @_;
		my $session = $cluster->connect($name);
		$session->do("SET consistency = '$level'");
		set($session, routing => 'always', wait_timeout => '500ms', on_timeout => 'primary');
		my $bound;
		while ($goes_on->())
		{
			if (!defined $bound || rand() < 0.2)
			{
				$bound = int($least * exp(rand() * log(2000 / $least)));
				set($session, max_staleness => $bound);
			}
			my $begin = time;
			my $result = $session->query('SELECT v FROM t WHERE i = 3');
			my $end = time;
			my $place =
			    $result->{error} ? $result->{error}{code}
			  : $session->value('SELECT place FROM consistency.last_read()');
			printf $out "%.6f %.6f %d %d %s\n", $begin, $end, $bound, $result->{rows}[0][0] // -1, $place;
			usleep(rand 5_000);
		}
	};
}

# Stops and delays replay, and stops the primary.
sub chaos
{
	my ($out, $goes_on) = @_;
	my %dba = map { $_ => $cluster->connect($_, user => $cluster->superuser) } qw(near late);
	while ($goes_on->())
	{
		my $name = (qw(near late))[ rand 2 ];
		my $what = rand;
		if ($what < 0.2)
		{
			my @stopped = processes($cluster->primary);
			kill 'STOP', @stopped;
			usleep(200_000 + rand 1_300_000);
			kill 'CONT', @stopped;
		}
		elsif ($what < 0.4)
		{
			my $delay = int rand 400;
			$dba{$name}->do("ALTER SYSTEM SET recovery_min_apply_delay = '${delay}ms'");
			$dba{$name}->do('SELECT pg_reload_conf()');
		}
		else
		{
			$dba{$name}->do('SELECT pg_wal_replay_pause()');
			usleep(100_000 + rand 2_500_000);
			$dba{$name}->do('SELECT pg_wal_replay_resume()');
		}
		usleep(rand 400_000);
	}
	$dba{$_}->do('SELECT pg_wal_replay_resume()') for keys %dba;
	$dba{near}->do('ALTER SYSTEM SET recovery_min_apply_delay = 0');
	$dba{near}->do('SELECT pg_reload_conf()');
	return;
}

# Runs all of them; returns what became of the reads by reader.
sub run
{
	my ($seconds, $level, $least, $with_chaos) = @_;
	my %code = (writer => \&writer, map { $_ => reader($_, $level, $least) } qw(near late primary));
	$code{chaos} = \&chaos if $with_chaos;
	my @pids = map { child($_, $seconds, $code{$_}) } sort keys %code;
	waitpid $_, 0 for @pids;

	my @acknowledged = map { [ split ' ' ] } grep { !/^#/ } split /\n/, slurp_file("$dir/writer");
	my %sum;
	foreach my $name (sort keys %code)
	{
		my $text = slurp_file("$dir/$name");
		$sum{error} .= "$name: $text" =~ s/^(?!#).*\n//mgr if $text =~ /^#/m;
		next unless $name =~ /near|late|primary/;
		foreach my $line (grep { !/^#/ } split /\n/, $text)
		{
			my ($begin, $end, $bound, $got, $place) = split ' ', $line;
			$sum{$name}{all}++;
			$sum{$name}{$place}++;
			next if $place =~ /^(YC001|08...)$/;	# no answer in time, from a primary that is stopped
			my $least = newest_before(\@acknowledged, $begin - $bound / 1000);
			next if $got >= $least;
			$sum{violations}++;
			diag "$name, $place, bound $bound ms: $got, but $least was acknowledged in time" if $level eq 'bounded';
		}
		note "$level, $name: ", join(', ', map { "$_ $sum{$name}{$_}" } sort keys %{ $sum{$name} });
	}
	return \%sum;
}

# The last value acknowledged before a time; -1 if there is none.
sub newest_before
{
	my ($acknowledged, $time) = @_;
	my ($low, $high) = (0, scalar @$acknowledged);
	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);
		if ($acknowledged->[$middle][0] < $time) { $low = $middle + 1; }
		else { $high = $middle; }
	}
	return $low ? $acknowledged->[ $low - 1 ][1] : -1;
}

my $seconds = $ENV{CONSISTENCY_TEST_SECONDS} || 15;

my $sum = run($seconds, 'bounded', 20, 1);
is($sum->{error}, undef, 'random run: nobody failed');
is($sum->{violations}, undef, 'random run: no read is staler than its bound');
foreach my $name (qw(near late))
{
	# Not a share of all: while replay is paused, reads go to the primary at once,
	# and there are many more of them.
	cmp_ok(($sum->{$name}{local} // 0) + ($sum->{$name}{waited} // 0), '>', 2 * $seconds,
		"random run: $name serves reads itself");
}
cmp_ok($sum->{primary}{routed}, '>', 0, 'random run: reads at the primary are routed');

$cluster->wait_replayed;
$cluster->wait_all_up;
$sum = run(4, 'bounded', 20, 0);
is($sum->{error}, undef, 'calm run: nobody failed');
is($sum->{violations}, undef, 'calm run: no read is staler than its bound');
cmp_ok(($sum->{near}{local} // 0) + ($sum->{near}{waited} // 0), '>', 0.97 * $sum->{near}{all},
	'calm run: the replica that replays serves nearly all itself');
cmp_ok($sum->{near}{local} // 0, '>', 0.8 * $sum->{near}{all}, '... and most without a wait');

$sum = run(5, 'eventual', 20, 1);
is($sum->{error}, undef, 'control: nobody failed');
cmp_ok($sum->{violations} // 0, '>', 0, 'control: under eventual the same run finds reads that are staler');

# --- no primary is declared ---------------------------------------------

{
	$cluster->wait_all_up;
	$cluster->wait_replayed;

	# another database may declare none: the nodes are watched all the same
	$cluster->sql('primary', 'CREATE DATABASE bare');
	$cluster->sql('primary', 'CREATE EXTENSION consistency; CREATE TABLE t AS SELECT 1 AS i, 1 AS v; GRANT ALL ON t TO app', 'bare');
	$cluster->wait_replayed;
	is(outcome(bounded('near', dbname => 'bare')), '1 local', 'the primary is declared in another database: served');

	# only replicas: one of them may be promoted yet
	$cluster->sql('primary', 'DROP SERVER "primary" CASCADE');
	$cluster->wait_replayed;
	$cluster->node('near')->restart;
	my ($outcome, $took) = timed(bounded('near', wait_timeout => '300ms'));
	is($outcome, 'YC001', 'no primary is declared, but replicas are: an error');
	cmp_ok($took, '<', 3, '... in time');

	$cluster->sql('primary', 'DROP SERVER near CASCADE; DROP SERVER late CASCADE');
	$cluster->wait_replayed;
	foreach my $on_timeout (qw(error primary))
	{
		my $session = bounded('near', wait_timeout => '10min', on_timeout => $on_timeout);
		($outcome, $took) = timed($session);
		is($outcome, 'YC001', "nothing is declared, on_timeout = $on_timeout: an error");
		cmp_ok($took, '<', 5, '... at once');
		like($session->error($read)->{hint}, qr/CREATE SERVER|consistency\.nodes/, '... that tells what to do');
	}
	is(outcome(bounded('primary', max_staleness => 0)), "$value local", '... except at the primary');
}

done_testing();
