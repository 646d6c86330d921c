# Reads don't go backwards between a replica and the primary.
#
# A commit that waits for a synchronous standby is on its way to the other
# replicas already: they may show it while the primary doesn't yet.  So who has
# seen something at a replica reads at the primary behind the barrier.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'stalled' } ],
	primary_conf => "synchronous_standby_names = 'stalled'\nsynchronous_commit = local\n");
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$setup->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 3) g');
$setup->do('CREATE TABLE log (v int)');
$cluster->wait_replayed;

my $value = 0;
my $read = 'SELECT v FROM t WHERE i = 1';

# Ways to commit.  Each changes the row to a value.
my %commit = (
	'a plain commit' => sub { my ($s, $v) = @_; $s->send_query("UPDATE t SET v = $v WHERE i = 1"); },
	'a transaction' => sub {
		my ($s, $v) = @_;
		$s->do('BEGIN');
		$s->do("UPDATE t SET v = $v WHERE i = 1");
		$s->send_query('COMMIT');
	},
	'a subtransaction' => sub {
		my ($s, $v) = @_;
		$s->do('BEGIN');
		$s->do('UPDATE t SET v = v WHERE i = 2');
		$s->do('SAVEPOINT s');
		$s->do("UPDATE t SET v = $v WHERE i = 1");
		$s->do('RELEASE s');
		$s->send_query('COMMIT');
	},
	'subtransactions beyond what is kept in memory' => sub {
		my ($s, $v) = @_;
		$s->do('BEGIN');
		for my $n (1 .. 100) { $s->do("SAVEPOINT s; UPDATE t SET v = $v WHERE i = 1"); }
		$s->send_query('COMMIT');
	},
	'COMMIT PREPARED' => sub {
		my ($s, $v) = @_;
		$s->do('SET synchronous_commit = local');
		$s->do('BEGIN');
		$s->do("UPDATE t SET v = $v WHERE i = 1");
		$s->do("PREPARE TRANSACTION 'p'");
		$s->do('SET synchronous_commit = remote_apply');
		$s->send_query("COMMIT PREPARED 'p'");
	});

my $writer;

# Starts a commit that isn't acknowledged; returns once the replica shows it.
sub stall
{
	my ($how) = @_;
	$cluster->pause('stalled');
	$value++;
	$writer = $cluster->connect('primary');
	$writer->do('SET synchronous_commit = remote_apply');
	$commit{ $how // 'a plain commit' }->($writer, $value);
	wait_until(sub { $cluster->sql('near', $read) == $value }, 'the other replica shows the commit');
	return;
}

# Lets it be acknowledged.
sub acknowledge
{
	$cluster->resume('stalled');
	is($writer->finish->{error}, undef, 'the commit is acknowledged at last');
	$writer->close;
	return;
}

# A session at the primary that goes on from one that has read at the replica.
sub carried
{
	my (@level) = @_;
	my $there = $cluster->connect('near');
	is($there->value($read), $value, 'the replica shows the commit');
	my $token = $there->parameter('consistency.token');
	$there->close;
	my $here = $cluster->connect('primary');
	$here->do("SET consistency.routing = 'off'");
	$here->do("SET consistency.token = '$token'");
	return $here;
}

# A statement must wait for the acknowledgement, and then show the commit.
sub must_wait
{
	my ($session, $sql, $what) = @_;
	$session->send_query($sql);
	$cluster->wait_for_wait('primary', $session->pid);
	ok(!$session->ready, "$what: waits");
	acknowledge();
	my $result = $session->finish;
	is($result->{error} && $result->{error}{message}, undef, "$what: no error");
	is($result->{rows}[0][0], $value, "$what: not backwards");
	return;
}

# --- control: plain PostgreSQL goes backwards ---------------------------

stall();
is($cluster->sql('near', $read), $value, 'control: the replica shows the commit');
is($cluster->sql('primary', $read), $value - 1, 'control: the primary, asked later, does not');
acknowledge();
is($cluster->sql('primary', $read), $value, 'control: acknowledged, it does');

# --- with the token -----------------------------------------------------

if ($ConsistencyCluster::plain) { done_testing(); exit; }

foreach my $how (sort keys %commit)
{
	stall($how);
	must_wait(carried(), $read, "$how, token carried to the primary");
}

# a transaction that began later is done before: the one that stalls is among
# those that a snapshot lists
{
	stall();
	$setup->do('UPDATE t SET v = v + 1 WHERE i = 3');
	must_wait(carried(), $read, 'a commit that others have overtaken');
}

# a snapshot that was taken before
{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'off'");
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($session->value($read), $value, 'REPEATABLE READ: a snapshot');
	$value++;
	$setup->do("UPDATE t SET v = $value WHERE i = 1");
	$session->do("SET consistency.token = '" . $setup->parameter('consistency.token') . "'");
	is($session->error($read)->{code}, '40001', '... is too old for a token that comes later');
	$session->do('ROLLBACK');
	is($session->value($read), $value, '... and the retry shows it');
}

# A commit whose record another one has flushed along with its own, and whose
# backend hasn't got around to call it committed.
{
	$cluster->sql('primary', 'ALTER SYSTEM SET fsync = on');
	$cluster->primary->reload;
	my $leader = $cluster->connect('primary', user => $cluster->superuser);
	$leader->do('SET commit_siblings = 0');
	$leader->do('SET commit_delay = 100000');
	$cluster->primary->poll_query_until('postgres', q{SELECT current_setting('fsync') = 'on'});
	my $between = 0;
	foreach my $try (1 .. 20)
	{
		# the leader naps before its flush, and is kept there
		$leader->send_query('UPDATE t SET v = v + 1 WHERE i = 2');
		usleep(30_000);
		kill 'STOP', $leader->pid;
		usleep(20_000);
		if (!$leader->ready)
		{
			$value++;
			$writer = $cluster->connect('primary');
			$writer->send_query("UPDATE t SET v = $value WHERE i = 1");
			my $end = time + 2;
			until ($between || time > $end)
			{
				my $waits = $dba->value(
					q{SELECT wait_event = 'WALWrite' FROM pg_stat_activity WHERE pid = } . $writer->pid);
				$between = ($waits // '') eq 't';
			}
			kill 'STOP', $writer->pid if $between;
		}
		kill 'CONT', $leader->pid;
		is($leader->finish->{error}, undef, 'the leader commits') if $between;
		last if $between;
		$leader->finish;
		$writer->finish if $writer && $writer->{pending};
	}
	ok($between, 'a commit is flushed while its backend stands still');
	wait_until(sub { $cluster->sql('near', $read) == $value }, 'the replica shows it');
	my $session = carried();
	$session->send_query($read);
	$cluster->wait_for_wait('primary', $session->pid);
	ok(!$session->ready, 'a commit in its critical section: waits');
	kill 'CONT', $writer->pid;
	is($session->finish->{rows}[0][0], $value, '... and does not go backwards');
	is($writer->finish->{error}, undef, 'it is acknowledged');
	$cluster->sql('primary', 'ALTER SYSTEM RESET fsync');
	$cluster->primary->reload;
}

# it is known then, and the next read doesn't have to wait
{
	stall();
	my $session = carried();
	must_wait($session, $read, 'the first read');
	stall();
	is($session->value($read), $value - 1, 'a session that has seen nothing newer elsewhere does not wait');
	is($session->row('SELECT * FROM consistency.last_read()')->{place}, 'local', '... as last_read says');
	acknowledge();
}

# nobody else has to wait
{
	stall();
	my $other = $cluster->connect('primary');
	$other->do("SET consistency.routing = 'off'");
	is($other->value($read), $value - 1, 'a session that has seen nothing elsewhere does not wait');
	my $eventual = carried();
	$eventual->do("SET consistency = 'eventual'");
	is($eventual->value($read), $value - 1, 'under eventual nobody waits, and backwards it goes');
	$eventual->do("SET consistency = 'session'");
	must_wait($eventual, $read, 'session again');
}

# ways to read
foreach my $case (
	[ 'COPY', "COPY ($read) TO STDOUT" ],
	[ 'a cursor', "BEGIN; DECLARE c CURSOR FOR $read; FETCH c" ],
	[ 'REPEATABLE READ', "BEGIN ISOLATION LEVEL REPEATABLE READ; $read" ],
	[ 'SERIALIZABLE', "BEGIN ISOLATION LEVEL SERIALIZABLE; $read" ],
	[ 'a CTE', "WITH c AS MATERIALIZED ($read) SELECT v FROM c" ],
	[ 'INSERT SELECT', "INSERT INTO log $read RETURNING v" ],
	[ 'a function', q{SELECT (SELECT v FROM t WHERE i = 1)} ],
	[ 'EXECUTE', "PREPARE e AS $read; EXECUTE e" ])
{
	my ($what, $sql) = @$case;
	stall();
	my $session = carried();
	must_wait($session, $sql, $what);
	$session->do('ROLLBACK') if $session->status ne 'I';
	$session->close;
}
{
	stall();
	my $session = carried();
	$session->send_execute('SELECT v FROM t WHERE i = $1', 1);
	$cluster->wait_for_wait('primary', $session->pid);
	acknowledge();
	is($session->finish->{rows}[0][0], $value, 'extended protocol: not backwards');
}

# linearizable: behind the barrier without any token
{
	stall();
	my $session = $cluster->connect('primary');
	$session->do("SET consistency = 'linearizable'");
	must_wait($session, $read, 'linearizable');
}

# --- routed reads -------------------------------------------------------

{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'always'");
	$cluster->wait_replayed;
	wait_until(
		sub {
			$session->do($read);
			$session->value('SELECT place FROM consistency.last_read()') eq 'routed';
		},
		'reads are routed');
	stall();
	# under eventual every node will do: until it was the one that is ahead
	$session->do("SET consistency = 'eventual'");
	wait_until(sub { $session->value($read) == $value }, 'a routed read shows the commit');
	is($session->value('SELECT node FROM consistency.last_read()'), 'near', '... read at the replica');
	$session->do("SET consistency = 'session'");
	$session->do("SET consistency.routing = 'off'");
	must_wait($session, $read, 'a routed read, then one at the primary');

	# the same while routing: whichever node serves it
	$session->do("SET consistency.routing = 'always'");
	stall();
	$session->do("SET consistency = 'eventual'");
	wait_until(sub { $session->value($read) == $value }, 'a routed read shows the commit');
	$session->do("SET consistency = 'session'");
	for (1 .. 20)
	{
		my $got = $session->value($read);
		next if $got == $value;
		is($got, $value, 'routed reads under session do not go backwards');
		last;
	}
	pass('routed reads under session do not go backwards');
	# a read that can't leave
	must_wait($session, 'SELECT v FROM t WHERE i = 1 AND random() >= 0', 'a read that cannot leave');
}

# --- ends of a wait -----------------------------------------------------

{
	stall();
	my $session = carried();
	$session->do("SET consistency.wait_timeout = '50ms'");
	my $error = $session->error($read);
	is($error->{code}, 'YC001', 'wait_timeout ends it');
	like($error->{hint}, qr/consistency\.wait_timeout/, '... with a hint');
	$session->do("SET consistency.wait_timeout = '10min'");
	$session->send_query($read);
	$cluster->wait_for_wait('primary', $session->pid);
	$session->cancel;
	is($session->finish->{error}{code}, '57014', 'cancel ends it');
	$session->do("SET statement_timeout = '100ms'");
	is($session->error($read)->{code}, '57014', 'statement_timeout ends it');
	$session->do('RESET statement_timeout');
	# the writer gives up waiting for its standby: the commit is there all the same
	$session->send_query($read);
	$cluster->wait_for_wait('primary', $session->pid);
	$writer->cancel;
	my $result = $writer->finish;
	like(join(' ', map { $_->{message} } @{ $result->{notices} }),
		qr/canceling wait for synchronous replication/, 'the writer no longer waits');
	is($session->finish->{rows}[0][0], $value, '... and the reader neither');
	$cluster->resume('stalled');
	$writer->close;
}

# the barrier waits for commits, not for transactions
{
	my $open = $cluster->connect('primary');
	$open->do('SET synchronous_commit = local');
	$open->do('BEGIN');
	$open->do('UPDATE t SET v = v + 1 WHERE i = 3');
	my $session = carried();
	is($session->value($read), $value, 'an open transaction is not waited for');
	$open->do("PREPARE TRANSACTION 'open'");
	$session = carried();
	is($session->value($read), $value, 'a prepared transaction is not waited for');
	$open->do("ROLLBACK PREPARED 'open'");
}

# --- many readers going back and forth ----------------------------------

# One carries its token between replica and primary while commits stall and go
# on.  What it sees never decreases.
{
	my $client = $cluster->connect('primary');
	my $there = $cluster->connect('near');
	$client->do("SET consistency.routing = 'off'");
	my ($backwards, $last, $token) = (0, 0, '');
	foreach my $round (1 .. 10)
	{
		stall();
		$there->do("SET consistency.token = '$token'") if $token;
		my $seen = $there->value($read);
		$backwards++ if $seen < $last;
		$last = $seen;
		$token = $there->parameter('consistency.token');
		$client->do("SET consistency.token = '$token'");
		$client->send_query($read);
		$cluster->wait_for_wait('primary', $client->pid);
		acknowledge();
		$seen = $client->finish->{rows}[0][0];
		$backwards++ if $seen < $last;
		$last = $seen;
		$token = $client->parameter('consistency.token');
	}
	is($backwards, 0, 'back and forth: never backwards');
	is($last, $value, '... and up to date');
}

done_testing();
