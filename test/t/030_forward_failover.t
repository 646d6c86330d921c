# What becomes of forwarded statements when the primary stops, hangs, comes back,
# or is replaced, by the very replica that forwards among others.
#
#   primary ---> near
#           \--> far
#
# What was not sent yet waits for a primary; what was sent fails, or is unknown;
# nothing hangs, and nothing goes to a server that is no primary any more if that
# can be known.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	conf => "consistency.wait_timeout = '30s'\nwal_writer_delay = '10s'\n");
my $primary = $cluster->primary;
my $limit = 15;	# what is bounded takes no longer, seconds
my $next = 1000;

# --- helpers ------------------------------------------------------------

sub outcome
{
	my ($result) = @_;
	return $result->{error} ? $result->{error}{code} : $result->{tag};
}

# Runs a statement that must end soon.
sub ends
{
	my ($session, $sql, $expected, $what) = @_;
	my $start = time;
	my $result = $session->query($sql);
	like(outcome($result), qr/^(?:$expected)$/, $what) or diag explain $result->{error};
	cmp_ok(time - $start, '<', $limit, '... soon');
	return $result;
}

sub ticket_of { return ($_[0]->{hint} // '') =~ /transaction_status\('([^']+)'\)/ ? $1 : undef; }

# The session writes, and reads what it wrote.
sub usable
{
	my ($session, $what) = @_;
	$session->query('ROLLBACK') if $session->status ne 'I';
	my $value = $next++;
	my $result = $session->query("UPDATE t SET v = $value WHERE i = 1");
	is(outcome($result), 'UPDATE 1', "$what: the session is usable") or diag explain $result->{error};
	is($session->value('SELECT v FROM t WHERE i = 1'), $value, '... and reads its writes');
	return $value;
}

sub waits_for_lock
{
	my ($what) = @_;
	$primary->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'app' AND wait_event_type = 'Lock'})
	  or die "$what doesn't wait for a lock";
	return;
}

sub restart
{
	$primary->stop('immediate');
	$primary->start;
	$cluster->wait_all_up('near');
	return;
}

my $direct = $cluster->connect('primary');
$direct->do('CREATE TABLE t (i int PRIMARY KEY, v int)');
$direct->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 10) g');
$direct->do(q{CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END'});
$direct->do('CREATE TABLE slow (i int PRIMARY KEY)');
$direct->do('CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED'
	  . ' FOR EACH ROW EXECUTE FUNCTION wait_at_commit()');
$cluster->wait_replayed;

# --- the primary stops, and comes back ----------------------------------------

{
	my %session = map { $_ => $cluster->connect('near') } qw(simple extended block utility open commit ticket short);
	usable($session{$_}, "before, $_") for sort keys %session;

	$session{$_}->do('BEGIN') for qw(open commit ticket);
	$session{$_}->do('INSERT INTO t VALUES (' . $next++ . ')') for qw(open commit);
	my $first = $next - 2;
	$direct->do('SELECT pg_advisory_lock(7)');
	my $key = $next++;
	$session{ticket}->do("INSERT INTO slow VALUES ($key)");
	$session{ticket}->send_query('COMMIT');
	waits_for_lock('the commit');

	$primary->stop('immediate');
	my $unknown = $session{ticket}->finish;
	is(outcome($unknown), '08007', 'stopped during a commit: unknown');
	my $ticket = ticket_of($unknown->{error});
	ok($ticket, '... with a ticket');
	ends($session{open}, 'UPDATE t SET v = 1 WHERE i = 3', '08006', 'stopped: an open transaction is lost');
	ends($session{commit}, 'COMMIT', '08006', '... and is not committed');
	$session{short}->do(q{SET consistency.wait_timeout = '300ms'});
	ends($session{short}, 'UPDATE t SET v = 1 WHERE i = 3', '08001', 'stopped: a write has to wait, until its time is over');
	ends($session{short}, 'SELECT v FROM t WHERE i = 3', 'SELECT 1', '... reads go on');

	$session{block}->do('BEGIN');
	$session{simple}->send_query('UPDATE t SET v = 31 WHERE i = 3');
	$session{extended}->send_execute('UPDATE t SET v = $1 WHERE i = 4', 41);
	$session{block}->send_query('UPDATE t SET v = 51 WHERE i = 5');
	$session{utility}->send_query('CREATE TABLE new (i int)');
	$cluster->wait_for_wait('near', $session{$_}->pid) for qw(simple extended block utility);
	$primary->start;
	is(outcome($session{$_}->finish), $_ eq 'utility' ? 'CREATE TABLE' : 'UPDATE 1', "waits for the primary, and runs: $_")
	  for qw(simple extended block utility);
	is(outcome($session{block}->query('COMMIT')), 'COMMIT', '... to the end of the transaction');

	$direct = $cluster->connect('primary');
	is($direct->text('SELECT v FROM t WHERE i IN (3, 4, 5) ORDER BY i'), "31\n41\n51", '... once');
	is($direct->value("SELECT count(*) FROM t WHERE i >= $first"), 0, '... and what was lost is not there');
	usable($session{$_}, "after, $_") for sort keys %session;
	is($session{short}->value("SELECT consistency.transaction_status('$ticket')"), 'aborted',
		'the ticket tells that the commit did not happen');
	is($direct->value("SELECT count(*) FROM slow WHERE i = $key"), 0, '... and it is not there');
}

# Nobody knows yet that it is down, so that it is tried again and again.
{
	my $near = $cluster->node('near');
	my %session = map { $_ => $cluster->connect('near') } qw(known new);
	usable($session{known}, 'before');
	my $monitor = $cluster->sql('near', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'consistency node monitor'});
	kill 'STOP', $monitor;
	$primary->stop('immediate');
	$session{known}->send_query('UPDATE t SET v = 61 WHERE i = 6');
	$session{new}->send_execute('UPDATE t SET v = $1 WHERE i = 7', 71);
	foreach my $name (qw(known new))
	{
		$cluster->wait_for_wait('near', $session{$name}->pid);
		ok( $near->poll_query_until('postgres',
				'SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = ' . $session{$name}->pid),
			'a session that waits for the primary keeps no snapshot');
	}
	usleep(300_000);	# some attempts fail
	$primary->start;
	is(outcome($session{$_}->finish), 'UPDATE 1', "an attempt that fails does no harm: $_") for qw(known new);
	kill 'CONT', $monitor;
	usable($session{$_}, "after, $_") for qw(known new);
	$direct = $cluster->connect('primary');
	is($direct->text('SELECT v FROM t WHERE i IN (6, 7) ORDER BY i'), "61\n71", '... once');
}

# A crash loses log that nobody asked to flush, and then uses the same numbers
# again for other transactions.
{
	my $session = $cluster->connect('near');
	$primary->safe_psql('postgres', 'CHECKPOINT');
	$session->do('BEGIN');
	$session->do('INSERT INTO t VALUES (' . $next++ . ')');
	my $ticket = $session->value('SELECT consistency.transaction_ticket()');
	my ($id) = $ticket =~ /^(\d+)\+/ or die "not a ticket: $ticket";
	restart();
	ends($session, 'COMMIT', '08006', 'stopped: the transaction is not committed');
	$direct = $cluster->connect('primary');
	my $again = 0;
	for (1 .. 20)
	{
		my $new = $direct->value('INSERT INTO t VALUES (' . $next++ . ') RETURNING pg_current_xact_id()');
		$again = 1 if $new == $id;
	}
	ok($again, 'its number is used again');
	isnt($direct->value("SELECT consistency.transaction_status('$ticket')"), 'committed',
		'... which its ticket is not taken in by');
	restart();
	$direct = $cluster->connect('primary');
	isnt($direct->value("SELECT consistency.transaction_status('$ticket')"), 'committed',
		'... after another crash neither');
	usable($session, '...');
}

# --- the primary hangs ----------------------------------------------------

{
	my %session = map { $_ => $cluster->connect('near') } qw(alone open commit read idle);
	usable($session{$_}, "before it hangs, $_") for sort keys %session;
	$session{$_}->do('BEGIN') for qw(open commit idle);
	$session{$_}->do('INSERT INTO t VALUES (' . $next++ . ')') for qw(open commit idle);
	my @keys = ($next - 3 .. $next - 1);
	$session{read}->do('SET consistency = linearizable');
	$session{read}->do(q{SET consistency.wait_timeout = '1s'});

	my @pids = processes($primary);
	kill 'STOP', @pids;
	$session{alone}->send_query('UPDATE t SET v = v + 1 WHERE i = 6');
	$session{open}->send_query('UPDATE t SET v = 1 WHERE i = 7');
	$session{commit}->send_query('COMMIT');
	$session{read}->send_query('SELECT v FROM t WHERE i = 6');
	my $start = time;
	my %got = map { $_ => outcome(scalar $session{$_}->finish) } qw(alone open commit read);
	cmp_ok(time - $start, '<', $limit, 'the primary hangs: nobody else does');
	is($got{alone}, '08007', '... a statement: unknown');
	is($got{open}, '08006', '... a statement of a transaction: lost');
	is($got{commit}, '08007', '... COMMIT: unknown');
	like($got{read}, qr/^(08|YC00)/, '... a read that needs it: an error');
	ends($session{idle}, 'ROLLBACK', 'ROLLBACK', '... ROLLBACK');
	ends($session{open}, 'ROLLBACK', 'ROLLBACK', '... of the lost one as well');
	$session{alone}->do(q{SET consistency.wait_timeout = '1s'});
	ends($session{alone}, 'UPDATE t SET v = 1 WHERE i = 7', '08...', '... the next write waits for a limited time');
	$session{alone}->do('RESET consistency.wait_timeout');
	$session{alone}->send_query('UPDATE t SET v = 77 WHERE i = 7');
	usleep(200_000);
	kill 'CONT', @pids;
	is(outcome(scalar $session{alone}->finish), 'UPDATE 1', '... or until it goes on');
	usable($session{$_}, "after it hung, $_") for sort keys %session;
	$direct = $cluster->connect('primary');
	is($direct->value("SELECT count(*) FROM t WHERE i IN ($keys[0], $keys[2])"), 0, '... what was lost is not there');
	is($direct->value('SELECT v FROM t WHERE i = 7'), 77, '... and what was not, once');
}

# --- what is declared as the primary is a replica ---------------------------

{
	my $session = $cluster->connect('near');
	usable($session, 'before');
	my $port = $cluster->node('far')->port;
	$primary->safe_psql('postgres', qq{ALTER SERVER "primary" OPTIONS (SET port '$port')});
	$cluster->wait_replayed;
	$session->do(q{SET consistency.wait_timeout = '1s'});
	ends($session, 'UPDATE t SET v = 1 WHERE i = 8', '08001', 'a replica is declared as the primary: nothing is sent there');
	$session->do('RESET consistency.wait_timeout');
	$port = $primary->port;
	$session->send_query('UPDATE t SET v = 88 WHERE i = 8');
	$primary->safe_psql('postgres', qq{ALTER SERVER "primary" OPTIONS (SET port '$port')});
	is(outcome(scalar $session->finish), 'UPDATE 1', '... and waits for it to be put right');
	usable($session, 'after');
}

# --- this replica is promoted, while the old primary goes on -------------------

my %session = map { $_ => $cluster->connect('near') }
  qw(idle open commit cursor whole pending committing reader);
my $far = $cluster->connect('far');
foreach my $session (values %session, $far)
{
	usable($session, 'before the promotion');
}
foreach my $session ($session{idle}, $session{reader})
{
	$session->do('PREPARE update_t(int) AS UPDATE t SET v = $1 WHERE i = 2');
	$session->do('PREPARE insert_t AS INSERT INTO t VALUES ((SELECT max(i) + 1 FROM t), 0) RETURNING v');
	$session->prepare('up', 'UPDATE t SET v = $1 WHERE i = 2 RETURNING v');
	$session->prepare('lock', 'SELECT v FROM t WHERE i = 2 FOR UPDATE');
	for (1 .. 7)
	{
		$session->do("EXECUTE update_t($_)");
		$session->do('EXECUTE insert_t');
		$session->run('up', $_);
		$session->run('lock');
	}
}
my %key;
foreach my $name (qw(open commit cursor))
{
	$session{$name}->do('BEGIN');
	$session{$name}->do('INSERT INTO t VALUES (' . ($key{$name} = $next++) . ')');
}
$session{cursor}->do('DECLARE c CURSOR FOR SELECT i FROM t');
$session{whole}->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
$session{whole}->do('SELECT count(*) FROM t');
$direct->do('BEGIN');
$direct->do('UPDATE t SET v = 0 WHERE i = 9');
$session{pending}->send_execute('UPDATE t SET v = 99 WHERE i = 9');
waits_for_lock('the statement');
my $holder = $cluster->connect('primary');
$holder->do('SELECT pg_advisory_lock(7)');
$session{committing}->do('BEGIN');
$session{committing}->do('INSERT INTO slow VALUES (' . ($key{committing} = $next++) . ')');
$session{committing}->send_query('COMMIT');
$primary->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'app' AND wait_event = 'advisory'});
$cluster->wait_replayed;

# what the old primary writes from now on must not get to the one that will follow
$cluster->node('far')->append_conf('postgresql.conf', "primary_conninfo = ''");
$cluster->node('far')->reload;
$cluster->node('far')->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');

my $near = $cluster->node('near');
$near->promote;
my $start = time;
my $result = $session{pending}->finish;
is(outcome($result), '08007', 'promoted: a statement that waits at the old primary is unknown');
$result = $session{committing}->finish;
is(outcome($result), '08007', '... and so is a commit that waits there');
cmp_ok(time - $start, '<', $limit, '... soon');
my $ticket = ticket_of($result->{error});
ok($ticket, '... there is a ticket');
$direct->do('COMMIT');
$holder->do('SELECT pg_advisory_unlock(7)');

ends($session{open}, 'SELECT v FROM t WHERE i = 1', '40001', 'promoted: a transaction at the old primary does not go on here');
ends($session{commit}, 'COMMIT', '40001', '... nor is it committed there');
ends($session{cursor}, 'FETCH ALL FROM c', '40001', '... nor are its cursors read');
ends($session{whole}, 'SELECT count(*) FROM t', '40001', '... nor does one that keeps its snapshot get another');
foreach my $name (qw(open commit cursor whole pending committing))
{
	my $value = usable($session{$name}, "promoted, $name");
	is($near->safe_psql('postgres', 'SELECT v FROM t WHERE i = 1'), $value, '... here');
}
like($session{committing}->value("SELECT consistency.transaction_status('$ticket')"), qr/^(aborted|lost)$/,
	'the ticket tells what became of the commit');
is($near->safe_psql('postgres', "SELECT count(*) FROM slow WHERE i = $key{committing}"), 0, '... and it is not there');
is($near->safe_psql('postgres', 'SELECT v FROM t WHERE i = 9'), 0, '... nor is the statement');

foreach my $name (qw(idle reader))
{
	my $session = $session{$name};
	my $count = $near->safe_psql('postgres', 'SELECT count(*) FROM t');
	is(outcome($session->query('SELECT v FROM t WHERE i = 1')), 'SELECT 1', "promoted, $name: a read") if $name eq 'reader';
	is(outcome($session->query('EXECUTE update_t(201)')), 'UPDATE 1', 'promoted: a prepared statement with parameters runs');
	is($near->safe_psql('postgres', 'SELECT v FROM t WHERE i = 2'), 201, '... here');
	is(outcome($session->query('EXECUTE insert_t')), 'INSERT 0 1', '... one without');
	is($near->safe_psql('postgres', 'SELECT count(*) FROM t'), $count + 1, '... here');
	$result = $session->run('up', 202);
	is(outcome($result), 'UPDATE 1', '... those of the protocol as well');
	is($result->{rows}[0][0], 202, '... with their rows');
	is($near->safe_psql('postgres', 'SELECT v FROM t WHERE i = 2'), 202, '... here');
	is(outcome($session->run('lock')), 'SELECT 1', '... and a read that locks');
	$session->do('BEGIN');
	is(outcome($session->run('lock')), 'SELECT 1', '... in a transaction');
	is(outcome($session->query('EXECUTE update_t(203)')), 'UPDATE 1', '... and others');
	is(outcome($session->query('COMMIT')), 'COMMIT', '... which is committed');
	usable($session, '...');
}

# the old primary has got nothing of all that
$direct = $cluster->connect('primary');
is($direct->value("SELECT count(*) FROM t WHERE i IN ($key{open}, $key{commit}, $key{cursor})"), 0,
	'the old primary has committed none of the transactions');
isnt($direct->value('SELECT v FROM t WHERE i = 2'), 203, '... and has run no later statement');

# --- another replica follows it; the old one is still up ----------------------

$cluster->set_primary('near');
$cluster->node('far')->enable_streaming($near);
# its monitor doesn't hear of it
$cluster->sql('far', q{ALTER SYSTEM SET consistency.monitor_interval = '10min'});
$cluster->node('far')->reload;
$cluster->node('far')->poll_query_until('postgres',
	qq{SELECT received_tli = 2 FROM pg_stat_wal_receiver});
$near->safe_psql('postgres', 'CREATE TABLE seen AS SELECT 1');
$cluster->wait_replayed('far');
$far->do(q{SET consistency.wait_timeout = '1s'});
ends($far, 'UPDATE t SET v = 301 WHERE i = 3', '08...|UPDATE 1', 'two primaries: a replica does not write to the one that it has left');
isnt($direct->value('SELECT v FROM t WHERE i = 3'), 301, '... it is not there');
$cluster->sql('far', q{ALTER SYSTEM SET consistency.monitor_interval = '100ms'});
$cluster->node('far')->reload;
$far->do('RESET consistency.wait_timeout');
ends($far, 'UPDATE t SET v = 302 WHERE i = 3', 'UPDATE 1', '... but to the new one');
is($near->safe_psql('postgres', 'SELECT v FROM t WHERE i = 3'), 302, '... where it is');
usable($far, '...');
isnt($direct->value('SELECT v FROM t WHERE i = 3'), 302, '... and nowhere else');

done_testing();
