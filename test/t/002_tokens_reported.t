# Tokens reach the client by themselves, with the answer that is on its way
# anyhow.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'replica' } ]);
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $app = $cluster->connect('primary');
my $result;

# What the client was last told, as a number; 0 if nothing.
sub told
{
	my ($session) = @_;
	my $token = $session->parameter('consistency.token') // '';
	return $token eq '' ? 0 : lsn_of($token);
}

# Where the primary's log ends, as a number.
sub end_of_log
{
	my ($high, $low) = split m{/}, $dba->value('SELECT pg_current_wal_insert_lsn()');
	return hex($high) * 4294967296 + hex($low);
}

is($app->parameter('consistency.token'), '', 'a new session has an empty token');

# --- with the answer ----------------------------------------------------

$result = $app->do('CREATE TABLE t (i int)');
like($app->parameter('consistency.token'), qr/^\d+:1:/, 'told after DDL');
is($result->{wire}, 'CSZ', 'between CommandComplete and ReadyForQuery of the same statement');

my $before = told($app);
my $start = end_of_log();
$result = $app->do('INSERT INTO t VALUES (1)');
is($result->{wire}, 'CSZ', 'simple protocol: with the answer');
cmp_ok(told($app), '>', $start, 'the position is behind the write');
cmp_ok(told($app), '<=', end_of_log(), '... and not ahead of the log');

$before = told($app);
$result = $app->execute('INSERT INTO t VALUES ($1)', 2);
is($result->{error}, undef, 'extended protocol: inserted');
like($result->{wire}, qr/CSZ$/, 'extended protocol: with the answer');
cmp_ok(told($app), '>', $before, '... and moved');

# a pipeline of two transactions: told at each, or at least at the last
$before = told($app);
$app->send_execute('INSERT INTO t VALUES ($1)', 3);
$app->send_execute('INSERT INTO t VALUES ($1)', 4);
$app->finish;
my $between = told($app);
cmp_ok($between, '>', $before, 'pipeline: first transaction told');
$app->finish;
cmp_ok(told($app), '>', $between, 'pipeline: second transaction told');

# several statements in one string are one transaction
$result = $app->do('INSERT INTO t VALUES (5); INSERT INTO t VALUES (6)');
is(($result->{wire} =~ tr/S//), 1, 'told once a transaction');

# at the commit, not before
$app->do('BEGIN');
$result = $app->do('INSERT INTO t VALUES (7)');
unlike($result->{wire}, qr/S/, 'a write is nothing before its commit');
$before = told($app);
$result = $app->do('COMMIT');
is($result->{wire}, 'CSZ', 'told with COMMIT');
cmp_ok(told($app), '>', $before, '... and moved');

# COPY
$app->send_query('COPY t FROM STDIN');
$app->read_until('G');
$before = told($app);
$app->send_copy(8);
$app->finish;
cmp_ok(told($app), '>', $before, 'told after COPY FROM');

# two-phase commit: prepared is nothing, committed is all, whoever does it
$before = told($app);
$app->do('BEGIN');
$app->do('INSERT INTO t VALUES (9)');
$app->do("PREPARE TRANSACTION 'two'");
$start = end_of_log();
$app->do("COMMIT PREPARED 'two'");
cmp_ok(told($app), '>', $start, 'told after COMMIT PREPARED');

# asynchronous commit: the record counts although it isn't flushed
$app->do('SET synchronous_commit = off');
$start = end_of_log();
$app->do('INSERT INTO t VALUES (10)');
cmp_ok(told($app), '>', $start, 'told after an asynchronous commit');
$app->do('RESET synchronous_commit');

# procedures that commit on their way
$app->do(q{CREATE PROCEDURE p() LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO t VALUES (11); COMMIT; INSERT INTO t VALUES (12); ROLLBACK; END $$});
$start = end_of_log();
$app->do('CALL p()');
cmp_ok(told($app), '>', $start, 'told after a procedure that committed');

# a token is what makes another session see it
my $last = $app->parameter('consistency.token');
is($app->value('SELECT consistency.token()'), $last, 'the function says the same as was told');
my $reader = $cluster->connect('replica');
$reader->do("SET consistency.token = '$last'");
is($reader->value('SELECT max(i) FROM t'), 11, 'a replica handed that token shows all writes');

# --- nothing to tell ----------------------------------------------------

$app->do('SELECT 1');
$result = $app->do('SELECT 1');
unlike($result->{wire}, qr/S/, 'nothing moved, nothing told');
$app->do('SELECT count(*) FROM t');
$result = $app->do('SELECT count(*) FROM t');
unlike($result->{wire}, qr/S/, 'a read of nothing new: nothing told');

# aborted: the log has grown a lot, the token not by that
$before = told($app);
$app->do('BEGIN');
$app->do('INSERT INTO t SELECT generate_series(1, 20000)');
$result = $app->do('ROLLBACK');
cmp_ok(end_of_log() - told($app), '>', 500_000, 'ROLLBACK: the aborted write is not in the token');
cmp_ok(told($app), '>=', $before, '... which does not go backwards');
$app->query('INSERT INTO t SELECT CASE WHEN g = 20000 THEN 1/0 ELSE g END FROM generate_series(1, 20000) g');
cmp_ok(end_of_log() - told($app), '>', 1_000_000, 'error: the aborted write is not in the token');
# a transaction aborts, but what it has read was read all the same
$dba->do('INSERT INTO t VALUES (20)');
my $theirs = lsn_of($dba->value('SELECT consistency.token()'));
$app->do('BEGIN');
is($app->value('SELECT max(i) FROM t'), 20, 'a read in a transaction');
$app->do('ROLLBACK');
cmp_ok(told($app), '>=', $theirs, 'ROLLBACK: what was read is in the token');

# --- own reads ----------------------------------------------------------

my $other = $cluster->connect('primary');
$dba->do('INSERT INTO t VALUES (21)');
$theirs = lsn_of($dba->value('SELECT consistency.token()'));
$result = $other->do('SELECT max(i) FROM t');
is($result->{rows}[0][0], 21, 'a read at the primary');
cmp_ok(told($other), '>=', $theirs, '... is told as far as it has seen');

$cluster->wait_replayed;
my $far = $cluster->connect('replica');
is($far->value('SELECT max(i) FROM t'), 21, 'a read at the replica');
cmp_ok(told($far), '>=', $theirs, '... is told as far as it has seen');

# A commit that isn't flushed yet can be seen; who has seen it is told as far.
# The process that would flush it stands still meanwhile.
{
	my $writer = $cluster->connect('primary');
	my $seer = $cluster->connect('primary');
	my $flusher = $dba->value(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
	$writer->do('CREATE TABLE unflushed (i int)');
	$writer->do('SET synchronous_commit = off');
	$seer->do('SELECT count(*) FROM unflushed');
	kill 'STOP', $flusher;
	$writer->do('INSERT INTO unflushed VALUES (22)');
	my $seen = $seer->value('SELECT max(i) FROM unflushed');
	my ($written, $told) = (told($writer), told($seer));
	my ($flushed) = $dba->value('SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()');
	kill 'CONT', $flusher;
	is($seen, 22, 'a commit that is not flushed is seen by others');
	is($flushed, 't', '... and is not flushed');
	cmp_ok($told, '>=', $written, '... who are told as far');
	my $there = $cluster->connect('replica');
	$there->do("SET consistency.token = '" . $seer->parameter('consistency.token') . "'");
	is($there->value('SELECT max(i) FROM unflushed'), 22, '... so that a replica shows it to them');
}

# --- import -------------------------------------------------------------

my $third = $cluster->connect('primary');
$result = $third->do("SET consistency.token = '$last'");
is($third->value('SHOW consistency.token'), $last, 'imported');
is($third->parameter('consistency.token'), $last, 'an import is told');
$third->do('BEGIN');
$third->do('INSERT INTO t VALUES (22)');
$third->do('ROLLBACK');
cmp_ok(told($third), '>=', lsn_of($last), 'an import survives ROLLBACK');
is($third->error("SET consistency.token = 'x'")->{code}, '22023', 'malformed');
cmp_ok(told($third), '>=', lsn_of($last), '... changes nothing');
# older tokens don't take back what is known
my $newest = $app->parameter('consistency.token');
$third->do("SET consistency.token = '$newest'");
$third->do("SET consistency.token = '$last'");
$third->do('SELECT 1');
cmp_ok(told($third), '>=', lsn_of($newest), 'an older token takes nothing back');
# at connection start, as a driver of a pool would
my $carried = $cluster->connect('replica', startup => { 'consistency.token' => $newest });
is($carried->value('SHOW consistency.token'), $newest, 'a token in the startup packet');
is($carried->value('SELECT max(i) FROM t'), 21, '... and the read behind it');
eval { $cluster->connect('primary', startup => { 'consistency.token' => '1:1:0/1' }); };
like($@, qr/another cluster/, 'a foreign token is refused at the door');

# --- clearing -----------------------------------------------------------

foreach my $clear (
	'DISCARD ALL',
	'RESET consistency.token',
	q{SET consistency.token = ''},
	'SET consistency.token TO DEFAULT',
	'RESET ALL')
{
	$app->do('INSERT INTO t VALUES (30)');
	cmp_ok(told($app), '>', 0, "told before $clear");
	$app->do($clear);
	is($app->parameter('consistency.token'), '', "$clear clears the token, and says so");
	is($app->value('SHOW consistency.token'), '', "... it is gone after $clear");
}

# --- not reported -------------------------------------------------------

my $quiet = $cluster->connect('primary');
$quiet->do('SET consistency.report_token = off');
$result = $quiet->do('INSERT INTO t VALUES (40)');
is($result->{wire}, 'CZ', 'report_token = off: nothing told');
$result = $quiet->do('SELECT count(*) FROM t');
unlike($result->{wire}, qr/S/, 'report_token = off: nothing told after a read');
like($quiet->value('SELECT consistency.token()'), qr/^\d+:1:/, '... but known');
$quiet->do('SET consistency.report_token = on');
$quiet->do('INSERT INTO t VALUES (41)');
cmp_ok(told($quiet), '>', 0, 'report_token = on: told again');

$quiet = $cluster->connect('primary', startup => { 'consistency.report_token' => 'off' });
$quiet->do('INSERT INTO t VALUES (42)');
is($quiet->parameter('consistency.token') // '', '', 'off in the startup packet: nothing told');
$quiet->do('DISCARD ALL');
is($quiet->value('SHOW consistency.token'), '', '... and DISCARD ALL clears all the same');

# --- a pooler's life ----------------------------------------------------

# one server session, two clients of a pool: the second knows nothing of the first
my $pooled = $cluster->connect('primary');
$pooled->do('INSERT INTO t VALUES (50)');
$pooled->do('PREPARE mine AS SELECT 1');
$pooled->do('DISCARD ALL');
is($pooled->value('SHOW consistency.token'), '', 'pooling: the next client starts afresh');
# ... and is told as soon as it moves, even to where it was before
$dba->do('SELECT count(*) FROM t');
$pooled->do('SELECT count(*) FROM t');
cmp_ok(told($pooled), '>', 0, 'pooling: the next client is told of its own reads');
# without that, who hands in a token is told what it has got into, moved or not
$newest = $pooled->parameter('consistency.token');
foreach my $import ("SET consistency.token = '$last'", "BEGIN; SET LOCAL consistency.token = '$last'; COMMIT")
{
	delete $pooled->{parameter}{'consistency.token'};
	$pooled->do($import);
	is($pooled->parameter('consistency.token'), $newest, 'pooling: an import is told, each time');
}
delete $pooled->{parameter}{'consistency.token'};
$pooled->do(q{SET consistency.token = ''; SELECT count(*) FROM t});
is($pooled->parameter('consistency.token'), $newest, 'pooling: ... and what is read behind a reset');
# a pooler sets it on behalf of a client, who doesn't see the answer to that
$pooled->do("SET consistency.token = '$last'");
delete $pooled->{parameter}{'consistency.token'};
$pooled->do('SELECT count(*) FROM t');
is($pooled->parameter('consistency.token'), $newest, 'pooling: the first read behind an import is told');
$result = $pooled->do('SELECT count(*) FROM t');
unlike($result->{wire}, qr/S/, '... once');

done_testing();
