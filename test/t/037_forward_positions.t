# What a client of a replica knows after its writes: the token is that of the
# remote commit, reads behind it at any replica show it, definitions are there for
# the next statement, and tickets tell what became of a transaction.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $clients = 8;
my $pairs = 1250;	# of each client: 10,000 in all
my $control = 150;	# the same where misses are allowed

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'late', delay => '50ms' } ]);
if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $primary = $cluster->connect('primary');
$primary->do('CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL)');
$primary->do('CREATE TABLE pairs (client int PRIMARY KEY, v int NOT NULL) WITH (fillfactor = 10)');
$primary->do("INSERT INTO pairs SELECT g, 0 FROM generate_series(1, $clients) g");
$cluster->wait_replayed;

# A session whose reads wait for this replica, and don't go to the primary.
sub patient
{
	my $session = $cluster->connect('near');
	$session->do("SET consistency.on_timeout = 'error'");
	return $session;
}

# Something waits at a replica that is paused; its result, once it goes on.
sub finish_after_resume
{
	my ($name, $session, $what) = @_;
	$cluster->wait_for_wait($name, $session->pid);
	is($session->ready(0), 0, "$what: waits");
	$cluster->resume($name);
	return scalar $session->finish;
}

# --- the token -----------------------------------------------------------

foreach my $case (
	[ 'a statement alone', 'UPDATE pairs SET v = v WHERE client = 1' ],
	[ 'a transaction', 'BEGIN', 'UPDATE pairs SET v = v WHERE client = 1', 'COMMIT' ],
	[ 'several in one message', 'UPDATE pairs SET v = v WHERE client = 1; SELECT 1' ],
	[ 'a DO block', 'DO $$ BEGIN UPDATE pairs SET v = v WHERE client = 1; END $$' ])
{
	my ($what, @statements) = @$case;
	my $session = $cluster->connect('near');
	my $from = lsn_of("1:1:" . $primary->value('SELECT pg_current_wal_insert_lsn()'));
	$session->do($_) for @statements;
	my $to = lsn_of("1:1:" . $primary->value('SELECT pg_current_wal_flush_lsn()'));
	my $token = lsn_of($session->parameter('consistency.token'));
	ok($token > $from && $token <= $to, "$what: the token was reported, and is the commit's");
}

{
	my $session = patient();
	$cluster->pause('near');
	$session->do('INSERT INTO t VALUES (1, 1)');
	$session->send_query('SELECT v FROM t WHERE i = 1');
	is(finish_after_resume('near', $session, 'read your write')->{rows}[0][0], 1, '... until it is there');

	$cluster->pause('near');
	$session->do('BEGIN');
	$session->do('UPDATE t SET v = 2 WHERE i = 1');
	is($session->value('SELECT v FROM t WHERE i = 1'), 2, 'in the transaction nothing waits');
	$session->do('COMMIT');
	my $eventual = $cluster->connect('near');
	$eventual->do("SET consistency = 'eventual'");
	is($eventual->value('SELECT v FROM t WHERE i = 1'), 1, 'the replica is behind');
	$session->send_query('SELECT v FROM t WHERE i = 1');
	is(finish_after_resume('near', $session, 'a read behind COMMIT')->{rows}[0][0], 2, '... until it is there');
}

# What was seen at the primary was seen, whatever becomes of the transaction.
foreach my $case (
	[ 'rolled back', 'BEGIN', 'INSERT INTO t VALUES (100, 0)', 'SELECT v FROM t WHERE i = 1', 'ROLLBACK' ],
	[ 'failed', 'BEGIN', 'INSERT INTO t VALUES (100, 0)', 'SELECT v FROM t WHERE i = 1', 'SELECT 1 / 0 FROM t', 'ROLLBACK' ],
	[ 'read only', 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', 'SELECT v FROM t WHERE i = 1', 'COMMIT' ],
	[ 'a statement that failed', 'INSERT INTO t VALUES (1, 0)' ],
	[ 'a level', "/*consistency='linearizable'*/ SELECT v FROM t WHERE i = 1" ])
{
	my ($what, @statements) = @$case;
	my $session = patient();
	$cluster->wait_replayed('near');
	$cluster->pause('near');
	my $v = $primary->value('UPDATE t SET v = v + 1 WHERE i = 1 RETURNING v');
	$session->query($_) for @statements;
	$session->send_query('SELECT v FROM t WHERE i = 1');
	is(finish_after_resume('near', $session, "monotonic, $what")->{rows}[0][0], $v, '... until it is there');
}

# --- definitions ---------------------------------------------------------

{
	my $session = $cluster->connect('late');
	foreach my $n (1 .. 3)
	{
		$session->do("CREATE TABLE made_$n (i int)");
		is($session->value("SELECT count(*) FROM made_$n"), 0, 'a table, and at once a read of it');
		$session->execute("ALTER TABLE made_$n ADD COLUMN j int DEFAULT 5");
		is($session->execute("SELECT count(j) FROM made_$n")->{rows}[0][0], 0, '... of a new column');
	}
	$session->do('BEGIN');
	$session->do('CREATE FUNCTION made() RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 7 $$');
	$session->do('CREATE TABLE made_4 AS SELECT 4 AS i');
	my $error = $session->error('SELECT * FROM made_4');
	is($error->{code}, '42P01', 'in the same transaction it is not known');
	like($error->{hint}, qr/known at this replica only after COMMIT/, '... as the hint says');
	$session->do('ROLLBACK');
	is($session->error('SELECT * FROM made_4')->{hint}, '', '... only where it is the reason');
	$session->do('BEGIN');
	$session->do('CREATE FUNCTION made() RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 7 $$');
	$session->do('SAVEPOINT a');
	like($session->error('SELECT made()')->{hint}, qr/explicit type casts.*only after COMMIT/, '... along with another hint');
	$session->do('ROLLBACK TO a');
	$session->do('ALTER TABLE made_1 ADD COLUMN k int');
	$session->do('SAVEPOINT b');
	like($session->error('SELECT k FROM made_1')->{hint}, qr/only after COMMIT/, '... for a column');
	$session->do('ROLLBACK TO b');
	$session->do('COMMIT');
	is($session->value('SELECT made()'), 7, 'a function, behind COMMIT');
	is($session->value('SELECT count(k) FROM made_1'), 0, '... a column');

	# the control
	my $eventual = $cluster->connect('late');
	$eventual->do("SET consistency = 'eventual'");
	$eventual->do('CREATE TABLE made_5 (i int)');
	is($eventual->error('SELECT * FROM made_5')->{code}, '42P01', 'under eventual nothing waits for it');
}

{
	my $session = $cluster->connect('near');
	$cluster->wait_replayed('near');
	$cluster->pause('near');
	$session->send_query('CREATE TABLE slow_1 (i int)');
	is(finish_after_resume('near', $session, 'a definition')->{tag}, 'CREATE TABLE', '... until it is replayed');

	foreach my $sql ('CREATE TABLE slow_2 (i int)', 'BEGIN; CREATE TABLE slow_3 (i int); COMMIT')
	{
		$cluster->wait_replayed('near');
		$cluster->pause('near');
		$session->send_query($sql);
		$cluster->wait_for_wait('near', $session->pid);
		$session->cancel;
		my ($result) = reverse $session->finish;
		is($result->{error}, undef, 'the wait is canceled: no error');
		like($result->{notices}[0]{message}, qr/may be unknown here/, '... but a warning');
		like($result->{notices}[0]{detail}, qr/committed.*canceled/, '... that says why');
		is($session->status, 'I', '... and the session is idle');
		is($primary->value("SELECT to_regclass('" . ($sql =~ /(slow_\d)/)[0] . "') IS NOT NULL"), 't', '... the table is there');
		$cluster->resume('near');
		is($session->value('SELECT count(*) FROM pairs'), $clients, '... and the session goes on');
	}

	$cluster->wait_replayed('near');
	$cluster->pause('near');
	$session->do("SET consistency.wait_timeout = '300ms'");
	my $start = time;
	my $result = $session->do('CREATE TABLE slow_4 (i int)');
	cmp_ok(time - $start, '>', 0.25, 'the wait is limited');
	cmp_ok(time - $start, '<', 10, '... by wait_timeout');
	like($result->{notices}[0]{detail}, qr/committed.*in time/, '... with a warning');
	$cluster->resume('near');
	wait_until(sub { !$session->error('SELECT * FROM slow_4') }, 'the table at the replica');
}

# --- tickets -------------------------------------------------------------

{
	my $session = $cluster->connect('near');
	my %ask = map { $_ => $cluster->connect($_) } qw(near late primary);
	my $status = sub {
		my ($ticket) = @_;
		return join ' ', map { $ask{$_}->value("SELECT consistency.transaction_status('$ticket')") // 'NULL' } qw(near late primary);
	};
	$session->do('BEGIN');
	is($session->value('SELECT consistency.transaction_ticket()'), undef, 'nothing written: no ticket');
	$session->do('ROLLBACK');
	foreach my $end ([ 'COMMIT', 'committed' ], [ 'ROLLBACK', 'aborted' ])
	{
		my ($sql, $is) = @$end;
		$session->do('BEGIN');
		$session->do('UPDATE t SET v = 0 WHERE i = 1');
		my $ticket = $session->value('SELECT consistency.transaction_ticket()');
		like($ticket, qr/^\d+\+\d+@\d+:1:/, 'a ticket');
		is($status->($ticket), 'in progress in progress in progress', 'asked while it runs, at every node');
		$session->do($sql);
		is($status->($ticket), "$is $is $is", "... and after $sql");
	}
	$session->do('BEGIN');
	$session->do('UPDATE t SET v = 0 WHERE i = 1');
	my $ticket = $session->value('SELECT consistency.transaction_ticket()');
	$session->query('SELECT 1 / 0 FROM t');
	is($status->($ticket), 'aborted aborted aborted', '... and after an error');
	$session->do('ROLLBACK');
	is($session->error("SELECT consistency.transaction_status('1')")->{code}, '22023', 'no ticket at all');
}

# --- ten thousand times --------------------------------------------------

# Writes at one replica, reads at the same or another one; returns reads and misses.
sub run_client
{
	my ($client, $level, $pairs) = @_;
	my %session = map { $_ => $cluster->connect($_) } qw(near late);
	my $misses = 0;
	foreach my $session (values %session)
	{
		$session->do("SET consistency = '$level'");
		$session->do("SET consistency.on_timeout = 'error'");	# reads stay here
		$session->prepare('w', 'UPDATE pairs SET v = v + 1 WHERE client = $1 RETURNING v');
		$session->prepare('r', 'SELECT v FROM pairs WHERE client = $1');
	}
	foreach my $i (1 .. $pairs)
	{
		# the late one costs its delay, so it gets few of them
		my ($write, $read) =
		  @{ { 0 => [ 'late', 'late' ], 8 => [ 'near', 'late' ], 16 => [ 'late', 'near' ] }->{ $i % 25 } // [ 'near', 'near' ] };
		my $v = write_next($session{$write}, $client, $i);
		my $reader = $session{$read};
		$reader->do("SET consistency.token = '" . $session{$write}->parameter('consistency.token') . "'")
		  if $read ne $write;
		my $result = $reader->run('r', $client);
		# where replay needs what the read holds, it may be told to try again
		for (1 .. 20)
		{
			last if (($result->{error} // {})->{code} // '') ne '40001';
			$result = $reader->run('r', $client);
		}
		die $result->{error}{message} if $result->{error};
		$misses++ if $result->{rows}[0][0] < $v;
	}
	return ($pairs, $misses);
}

# One write, in one of several ways; returns what was written.
sub write_next
{
	my ($session, $client, $i) = @_;
	return $session->value("UPDATE pairs SET v = v + 1 WHERE client = $client RETURNING v") if $i % 3 == 0;
	$session->do('BEGIN') if $i % 3 == 1;
	my $result = $session->run('w', $client);
	die $result->{error}{message} if $result->{error};
	$session->do('COMMIT') if $i % 3 == 1;
	return $result->{rows}[0][0];
}

# All clients at once; returns reads, misses, and errors.
sub run_clients
{
	my ($level, $pairs) = @_;
	my @pipe;
	my @sum = (0, 0, '');
	foreach my $client (1 .. $clients)
	{
		pipe(my $from, my $to) or die $!;
		my $pid = fork // die $!;
		if (!$pid)
		{
			my ($reads, $misses) = eval { run_client($client, $level, $pairs) };
			my $error = $@ =~ s/\s+/ /gr;
			print $to join("\t", $reads // 0, $misses // 0, $error), "\n";
			close $to;
			# no END blocks: these belong to the parent
			POSIX::_exit(0);
		}
		close $to;
		push @pipe, [ $pid, $from ];
	}
	foreach my $child (@pipe)
	{
		my ($pid, $from) = @$child;
		my $line = <$from> // "0\t0\tclient $pid died";
		chomp $line;
		my ($reads, $misses, $error) = split /\t/, $line, -1;
		waitpid $pid, 0;
		$sum[0] += $reads;
		$sum[1] += $misses;
		$sum[2] .= $error;
	}
	return @sum;
}

my ($reads, $misses, $errors) = run_clients('session', $pairs);
is($errors, '', 'session: no client failed');
is($reads, 10_000, '... ten thousand pairs are done');
is($misses, 0, '... and no read has missed the write before it');
($reads, $misses, $errors) = run_clients('eventual', $control);
is($errors, '', 'eventual: no client failed');
cmp_ok($misses, '>', 0, "... and the same script sees what is missed ($misses)");
is($primary->value('SELECT sum(v) FROM pairs'), $clients * ($pairs + $control), 'and all writes are there');

done_testing();
