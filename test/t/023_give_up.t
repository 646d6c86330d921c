# A wait for replay that won't end in time isn't waited out where the read may go
# to the primary instead: replay is paused, delayed, stands still, is too slow, or
# gets no WAL.  And, which matters as much: replay that is only behind is waited
# for, however unevenly it moves.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX ();
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	replicas => [
		{ name => 'near' },
		{ name => 'late', delay => '1min' },
		{ name => 'steady', delay => '50ms' }
	],
	setup => <<'SQL');
CREATE TABLE t (i int PRIMARY KEY, v int);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 5) g;
CREATE TABLE bulk (i int, s text);
GRANT ALL ON t, bulk TO app;
SQL
my $app = $cluster->connect('primary');
my $read = 'SELECT v FROM t WHERE i = 1';
my $value = 0;
my $token;

# --- helpers ------------------------------------------------------------

sub write_value
{
	$value++;
	$app->do("UPDATE t SET v = $value WHERE i = 1");
	$token = $app->parameter('consistency.token');
	return;
}

# Hands the newest token to a session; only SET would wait.
sub import_token
{
	my ($session) = @_;
	$session->value("SELECT set_config('consistency.token', '$token', false)");
	return;
}

sub reader
{
	my ($name, $timeout, @set) = @_;
	my $session = $cluster->connect($name);
	$session->do("SET consistency.wait_timeout = '$timeout'");
	$session->do("SET $_") for @set;
	import_token($session);
	return $session;
}

sub last_read { return $_[0]->row('SELECT * FROM consistency.last_read()'); }

sub ms
{
	my ($h, $m, $s) = split /:/, $_[0];
	return (($h * 60 + $m) * 60 + $s) * 1000;
}

# The session's read is answered by the primary, and didn't wait for long.
sub goes_to_primary
{
	my ($session, $reason, $most_ms, $what) = @_;
	my $result = $session->query($read);
	is($result->{error} && $result->{error}{message}, undef, "$what: no error");
	is($result->{rows}[0][0], $value, "$what: the newest");
	my $last = last_read($session);
	is("$last->{place} " . ($last->{node} // 'here'), 'forwarded primary', "$what: from the primary");
	like($last->{reason}, $reason, "$what: reason");
	cmp_ok(ms($last->{waited}), '<', $most_ms, "$what: it wasn't waited for");
	return;
}

# The session's read is answered here, with the newest value.
sub stays
{
	my ($session, $what) = @_;
	my $result = $session->query($read);
	is($result->{error} && $result->{error}{message}, undef, "$what: no error");
	is($result->{rows}[0][0], $value, "$what: the newest");
	my $last = last_read($session);
	like($last->{place}, qr/^(waited|local)$/, "$what: here") or diag("$last->{waited} $last->{reason}");
	return;
}

sub startup_pid
{
	my ($name) = @_;
	return $cluster->sql($name, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'});
}

my %bounded = (
	'staleness' => q{consistency = 'bounded'; SET consistency.max_staleness = '200ms'},
	'bytes' => q{consistency = 'bounded'; SET consistency.max_staleness = -1; SET consistency.max_lag = 1});

# --- replay is paused ---------------------------------------------------

$cluster->wait_replayed('near');
$cluster->pause('near');
write_value();
usleep(300_000);	# now what it has is older than the bound
{
	goes_to_primary(reader('near', '60s'), qr/replay is paused/, 2000, 'paused');
	goes_to_primary(reader('near', '60s', $bounded{$_}), qr/replay is paused/, 5000, "paused, $_")
	  for sort keys %bounded;

	# ways that wait ahead of the query's start
	my %way = (
		'SET' => sub { $_[0]->do("SET consistency.token = '$token'"); scalar $_[0]->query($read) },
		'EXECUTE' => sub { $_[0]->do("PREPARE e AS $read"); scalar $_[0]->query('EXECUTE e') },
		'COPY' => sub { scalar $_[0]->query("COPY ($read) TO STDOUT") },
		'cursor' => sub { scalar $_[0]->query("BEGIN; DECLARE c NO SCROLL CURSOR FOR $read; FETCH c") },
		'extended protocol' => sub { $_[0]->execute('SELECT v FROM t WHERE i = $1', 1) },
		'EXPLAIN ANALYZE' => sub { scalar $_[0]->query("EXPLAIN (ANALYZE, COSTS off) $read") });
	foreach my $name (sort keys %way)
	{
		my $session = reader('near', '60s');
		my $start = time;
		my $result = $way{$name}->($session);
		cmp_ok(time - $start, '<', 20, "paused, $name: at once");
		is($result->{error} && $result->{error}{message}, undef, "paused, $name: no error");
		is($result->{rows}[0][0], $value, "paused, $name: the newest") unless $name eq 'EXPLAIN ANALYZE';
		$session->query('ROLLBACK') if $session->status ne 'I';
		is(last_read($session)->{place}, 'forwarded', "paused, $name: from the primary");
	}

	# where the read mustn't or can't go there, its time is waited out
	my %not = (
		'on_timeout = error' => [ q{consistency.on_timeout = 'error'}, $read ],
		'routing = off' => [ q{consistency.routing = 'off'}, $read ]);
	foreach my $name (sort keys %not)
	{
		my ($set, $sql) = @{ $not{$name} };
		my $session = reader('near', '400ms', $set);
		my $start = time;
		is($session->error($sql)->{code}, 'YC001', "paused, $name: an error");
		cmp_ok(time - $start, '>=', 0.39, '... after the time');
	}
	my $session = reader('near', '400ms', q{consistency.on_timeout = 'error'});
	my $start = time;
	$session->do("SET consistency.token = '$token'");
	cmp_ok(time - $start, '>=', 0.39, 'paused, on_timeout = error: SET waits as well');
	$session = reader('near', '400ms', q{consistency.on_timeout = 'stale'});
	is($session->query($read)->{notices}[0]{code}, '01YC1', 'paused, on_timeout = stale: a stale answer');
	cmp_ok(ms(last_read($session)->{waited}), '>=', 390, '... after the time');

	# a pause that begins while a read waits
	$session = reader('near', '60s', q{consistency.on_timeout = 'error'});
	$session->send_query($read);
	$cluster->wait_for_wait('near', $session->pid);
	$cluster->resume('near');
	my $result = $session->finish;
	is($result->{rows}[0][0], $value, 'resumed while a read waits: it goes on');
	is(last_read($session)->{place}, 'waited', '... here');
	stays(reader('near', '60s'), 'resumed');
}

# --- replay is delayed --------------------------------------------------

{
	write_value();
	goes_to_primary(reader('late', '5s'), qr/replay is delayed/, 4000, 'delayed');
	goes_to_primary(reader('late', '20s', $bounded{staleness}), qr/replay is delayed/, 4000, 'delayed, staleness');
	# it will be there in time
	my $session = reader('late', '4min');
	$session->send_query($read);
	$cluster->wait_for_wait('late', $session->pid);
	ok(!$session->ready(3), 'delayed by less than the read may wait: it waits');
	$session->cancel;
	is($session->finish->{error}{code}, '57014', '... and can be cancelled');
}

# --- replay stands still ------------------------------------------------

{
	my $pid = startup_pid('near');
	kill 'STOP', $pid;
	write_value();
	my $session = reader('near', '20s');
	goes_to_primary($session, qr/replay stands still|no WAL arrives/, 5000, 'stopped');
	cmp_ok(ms(last_read($session)->{waited}), '>=', 200, '... but it was given a chance');

	# what this session knows spares it the next wait
	import_token($session);
	goes_to_primary($session, qr/replay stands still|no WAL arrives/, 200, 'stopped, again');

	# not when it goes on meanwhile
	write_value();
	import_token($session);
	kill 'CONT', $pid;
	$cluster->wait_replayed('near');
	write_value();
	import_token($session);
	stays($session, 'goes on');

	# far behind, but fast
	kill 'STOP', $pid;
	$app->do(q{INSERT INTO bulk SELECT g, repeat('x', 200) FROM generate_series(1, 100000) g});
	write_value();
	$session = reader('near', '20s');
	kill 'CONT', $pid;
	stays($session, 'far behind, but fast');
}

# --- replay is too slow -------------------------------------------------

{
	$cluster->wait_replayed('near');
	my $pid = startup_pid('near');
	kill 'STOP', $pid;
	$app->do(q{INSERT INTO bulk SELECT g, repeat('x', 200) FROM generate_series(1, 1000000) g});
	write_value();

	# It gets a moment now and then.  On a busy machine a moment can be some
	# milliseconds, thus so many rows.
	my $parent = $$;
	my $throttle = fork // die "fork: $!";
	if ($throttle == 0)
	{
		while (getppid() == $parent)
		{
			kill 'CONT', $pid;
			usleep(1);
			kill 'STOP', $pid;
			usleep(100_000);
		}
		kill 'CONT', $pid;
		POSIX::_exit(0);
	}
	goes_to_primary(reader('near', '3s'), qr/replay is too slow/, 2900, 'too slow');
	kill 'KILL', $throttle;
	waitpid $throttle, 0;
	kill 'CONT', $pid;
	$cluster->wait_replayed('near');
}

# --- no WAL arrives -----------------------------------------------------

{
	my $node = $cluster->node('near');
	my $conninfo = $cluster->sql('near', 'SHOW primary_conninfo');
	$conninfo =~ s/'/''/g;
	$node->append_conf('postgresql.conf', q{primary_conninfo = ''});
	$node->reload;
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');
	write_value();
	goes_to_primary(reader('near', '20s'), qr/no WAL arrives/, 5000, 'no walreceiver');
	$node->append_conf('postgresql.conf', qq{primary_conninfo = '$conninfo'});
	$node->reload;
	$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_wal_receiver');
	$cluster->wait_replayed('near');
	write_value();
	stays(reader('near', '20s'), 'walreceiver back');
}

# --- replay that is only behind -----------------------------------------

# Reads that follow a write each; returns how often they ran where.
sub pairs
{
	my ($session, $n, $gap_us) = @_;
	my %count = (wrong => 0, waited => 0, local => 0);
	foreach (1 .. $n)
	{
		write_value();
		import_token($session);
		$count{wrong}++ if $session->value($read) != $value;
		my $last = last_read($session);
		$count{ $last->{place} }++;
		diag("$last->{waited} $last->{reason}") if $last->{place} eq 'forwarded';
		usleep($gap_us);
	}
	return \%count;
}

write_value();

# Nothing else going on: replay moves at once, after its delay.  And under load,
# with transactions of all sizes.
foreach my $load (0, 1)
{
	my @children;
	my $parent = $$;
	foreach my $i (1 .. $load)
	{
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			eval {
				my $writer = $cluster->connect('primary');
				foreach (1 .. 3000)
				{
					$writer->do(q{INSERT INTO bulk SELECT g, repeat('x', 200) FROM generate_series(1, (random() * 300)::int) g});
					usleep(20_000);
					last if getppid() != $parent;
				}
			};
			POSIX::_exit(0);
		}
		push @children, $pid;
	}
	foreach my $timeout ('1s', '10s', '60s')
	{
		my $what = "50 ms late, $timeout" . ($load ? ', under load' : '');
		my $count = pairs(reader('steady', $timeout), 25, 5000);
		is($count->{wrong}, 0, "$what: the newest each time");
		is($count->{forwarded} // 0, 0, "$what: nothing goes to the primary");
		cmp_ok($count->{waited}, '>=', 20, "$what: it is waited for");
	}
	my $count = pairs(reader('near', '1s'), 25, 5000);
	is($count->{forwarded} // 0, 0, 'without delay' . ($load ? ', under load' : '') . ': nothing goes to the primary');

	# commits that nobody flushes at once
	my $writer = $cluster->connect('primary');
	$writer->do('SET synchronous_commit = off');
	my $session = reader('near', '2s');
	my $forwarded = 0;
	foreach (1 .. 10)
	{
		$writer->do('UPDATE t SET v = v WHERE i = 2');
		my $t = $writer->parameter('consistency.token');
		$session->value("SELECT set_config('consistency.token', '$t', false)");
		$session->value($read);
		my $last = last_read($session);
		next unless $last->{place} eq 'forwarded';
		diag("$last->{waited} $last->{reason}");
		$forwarded++;
	}
	is($forwarded, 0, 'asynchronous commits' . ($load ? ', under load' : '') . ': nothing goes to the primary');
	kill 'KILL', @children;
	waitpid $_, 0 for @children;
}

done_testing();
