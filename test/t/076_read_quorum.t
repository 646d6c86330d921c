# Reads that ask a quorum of nodes how far they are: they see every acknowledged
# write, with the primary down too; and what becomes of them when too few answer.
#
# Heartbeats are ten seconds apart here: whatever comes sooner was asked for.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use ReadQuorum;
use Test::More;
use Time::HiRes qw(time usleep);

my $cluster = ConsistencyCluster->new(
	conf => "consistency.monitor_interval = '10s'\nconsistency.wait_timeout = '20s'\n",
	setup => "ALTER ROLE monitor SET log_statement = 'all'");
if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $value = 0;
my $writer = make_row($cluster);

# --- helpers ------------------------------------------------------------

# A write at the primary that is acknowledged at once.
sub write_next { $value++; $writer->do("UPDATE t SET v = $value WHERE i = 1"); return; }

sub quorum { return quorum_session($cluster, @_); }
sub last_read { return $_[0]->row('SELECT * FROM consistency.last_read()'); }

# Heartbeats that a node was asked for, by its log.
sub heartbeats
{
	my ($where) = @_;
	return scalar(() = slurp_file($cluster->node($where)->logfile) =~ /execute.*consistency='weak'/g);
}

# Waits until so many sessions at a node wait.
sub wait_for_waits
{
	my ($where, $n) = @_;
	wait_until(
		sub {
			$cluster->sql($where, "SELECT count(*) FROM pg_stat_activity"
				  . " WHERE usename = 'app' AND state = 'active' AND wait_event_type = 'Extension'") == $n;
		},
		"$n sessions wait at $where");
	return;
}

# --- what is said -------------------------------------------------------

{
	my $session = quorum('near', 'quorum');
	is(outcome($session), 0, 'a quorum read at a replica');
	my $last = last_read($session);
	like($last->{requirement}, qr{^quorum of 2: position >= 1:\w+/\w+$}, '... what it demanded');
	is($last->{level}, 'eventual', '... beside the level');
	is(outcome(quorum('primary', 'all')), 0, 'all of them, at the primary');

	foreach my $case ([ 'two', '22023' ], [ '0', '22023' ], [ '65', '22023' ])
	{
		my ($setting, $code) = @$case;
		is($session->error("SET consistency.read_quorum = '$setting'")->{code}, $code, "no quorum: $setting");
	}
	$session->do('SET consistency.read_quorum = 4');
	my $error = $session->error($read);
	is($error->{code}, '22023', 'more nodes than there are: an error');
	like("$error->{message} $error->{detail} $error->{hint}", qr/quorum of 4.*3 nodes.*lower/, '... that says so');
	is(outcome($session, "/*consistency='weak',read_quorum='2'*/ $read"), 0, 'a hint says otherwise');
	like(last_read($session)->{requirement}, qr/quorum of 2/, '... and is heeded');
	$error = $session->error("/*consistency='weak',read_quorum='some'*/ $read");
	is($error->{code}, '22023', 'a hint that makes no sense');
	like("$error->{message} $error->{hint}", qr/read_quorum.*majority/, '... is told what would');
	$session->do("SET consistency.read_quorum = 'one'");
	my $before = heartbeats('far');
	outcome($session) for 1 .. 50;
	is(last_read($session)->{requirement}, 'none', 'one: nothing is demanded');
	cmp_ok(heartbeats('far') - $before, '<', 5, '... and nobody asked');
}

# --- what is seen -------------------------------------------------------

# W = 2 of 3 by PostgreSQL's own means: acknowledged by the primary and one other.
$cluster->sql('primary', "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (near, far)'");
$cluster->sql('primary', "ALTER SYSTEM SET synchronous_commit = 'remote_apply'");
$cluster->primary->reload;
wait_until(sub { $cluster->sql('primary', "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == 2 },
	'both replicas are synchronous');

$cluster->pause('far');
write_next();
is(outcome(quorum('far', 'one')), $value - 1, 'one, at the replica that is behind: stale');
is(outcome(quorum('near', 'one')), $value, '... while the other one has it');

# the ways to read
foreach my $case (
	[ 'simple', $read ],
	[ 'COPY', "COPY ($read) TO STDOUT" ],
	[ 'COPY table', 'COPY t TO STDOUT' ],
	[ 'a cursor', "BEGIN; DECLARE c CURSOR FOR $read; FETCH c" ],
	[ 'REPEATABLE READ', "BEGIN ISOLATION LEVEL REPEATABLE READ; $read" ],
	[ 'EXECUTE', "PREPARE e AS $read; EXECUTE e" ],
	[ 'EXPLAIN ANALYZE', "EXPLAIN ANALYZE $read" ],
	[ 'a function', q{SELECT query_to_xml('SELECT v FROM t', true, true, '') FROM t} ],
	[ 'a DO block', q{DO $$ BEGIN PERFORM v FROM t WHERE i = 1; END $$} ],
	[ 'a hint', "/*consistency='eventual',read_quorum='2'*/ $read", 'one' ])
{
	my ($what, $sql, $quorum) = @$case;
	my $session = quorum('far', $quorum // 2, 'SET consistency.write_forwarding = off', "SET consistency.wait_timeout = '300ms'");
	my $error;
	foreach my $statement (split /;\s*(?![^\$]*\$\$)/, $sql)
	{
		$error = $session->query($statement)->{error};
		last if $error;
	}
	is($error && $error->{code}, 'YC001', "$what: not without what is acknowledged");
}

{
	my $session = quorum('far', 2);
	$session->send_query($read);
	wait_for_waits('far', 1);
	$cluster->resume('far');
	is($session->finish->{rows}[0][0], $value, 'it waits for replay, and sees the write');
	is(last_read($session)->{place}, 'waited', '... as last_read() tells');

	# each execution of what was prepared asks anew
	$cluster->wait_replayed;
	$session->prepare('p', $read);
	is($session->run('p')->{rows}[0][0], $value, 'prepared');
	$cluster->pause('far');
	write_next();
	$session->send_run('p');
	wait_for_waits('far', 1);
	$cluster->resume('far');
	is($session->finish->{rows}[0][0], $value, '... each execution asks');

	# one snapshot for all of the transaction, asked for ahead of it
	$cluster->wait_replayed;
	$session->do('SET consistency.write_forwarding = off');
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is(outcome($session), $value, 'REPEATABLE READ');
	write_next();
	is(outcome($session), $value - 1, '... keeps its snapshot');
	$session->do('COMMIT');

	# with a bound, that is looked at when the snapshot is taken
	$session = quorum('far', 2, 'SET consistency.write_forwarding = off', "SET consistency = 'bounded'",
		"SET consistency.max_staleness = '1h'", "SET consistency.wait_timeout = '300ms'");
	$cluster->wait_replayed;
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$cluster->pause('far');
	write_next();
	is(outcome($session), $value - 1, 'REPEATABLE READ: what was acknowledged before its BEGIN');
	$session->do('COMMIT');
	is(outcome($session), 'YC001', '... and by the next statement, more');
	$cluster->resume('far');
	$cluster->wait_replayed;
	$session->do("SET consistency.read_quorum = 'one'");
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$session->do('SET LOCAL consistency.read_quorum = 2');
	$cluster->pause('far');
	write_next();
	is(outcome($session), $value - 1, '... or before its SET LOCAL');
	like(last_read($session)->{requirement}, qr/quorum/, '... which asks');
	$session->do('COMMIT');
	$cluster->resume('far');
}

# whoever may go elsewhere
{
	$cluster->wait_replayed;
	$cluster->pause('far');
	write_next();
	my $session = quorum('far', 2, "SET consistency.on_timeout = 'primary'");
	my $start = time;
	is(outcome($session), $value, 'replay is paused: the primary answers');
	is(last_read($session)->{place}, 'forwarded', '... as last_read() tells');
	cmp_ok(time - $start, '<', 10, '... before the time is up');
	like(last_read($session)->{requirement}, qr/quorum of 2/, '... to the same demand')
	  if outcome($session) == $value;

	$session = quorum('primary', 2, "SET consistency.routing = 'always'");
	is(outcome($session), $value, 'routed');
	my $last = last_read($session);
	is("$last->{place} to $last->{node}", 'routed to near', '... to the node that has it');
	like($last->{requirement}, qr/quorum of 2/, '... which the quorum has told');
	like(join("\n", map { $_->[0] } @{ $session->query("EXPLAIN ANALYZE $read")->{rows} }),
		qr/Requirement: quorum of 2: position >=/, '... as EXPLAIN shows');
	like(join("\n", map { $_->[0] } @{ $session->query("EXPLAIN $read")->{rows} }),
		qr/Requirement: read quorum 2/, '... and what is asked for, if it does not run');
	$cluster->resume('far');
	$cluster->wait_replayed;

	# a transaction that is at the primary, and a level that is served there only
	my $near = quorum('near', 'all');
	$near->do('BEGIN');
	$near->do("UPDATE t SET v = v WHERE i = 1");
	is(outcome($near), $value, 'in a transaction that has written');
	is(last_read($near)->{place}, 'forwarded', '... at the primary');
	$near->do('COMMIT');
	$near->do("SET consistency = 'linearizable'");
	is(outcome($near), $value, 'linearizable');
	is(last_read($near)->{place}, 'forwarded', '... at the primary');
	is($near->error("/*consistency='linearizable',read_quorum='4'*/ $read")->{code}, '22023', '... which asks as well');

	# the level alone would be content with any replica
	$session->do("SET consistency.read_quorum = 'all'");
	$session->do("SET consistency.on_timeout = 'primary'");
	$cluster->pause($_) for qw(near far);
	$value++;
	$session->do('SET synchronous_commit = local');
	$session->do("UPDATE t SET v = $value WHERE i = 1");
	is(outcome($session), $value, 'no replica has it yet: not from one without it');
	$cluster->resume($_) for qw(near far);
	$cluster->wait_replayed;
}

# --- rounds are shared --------------------------------------------------

{
	my @sessions = map { quorum('near', 'all') } 1 .. 30;
	freeze_heartbeats($cluster, 'far');
	my $before = heartbeats('far');
	$_->send_query($read) for @sessions;
	wait_for_waits('near', scalar @sessions);
	thaw();
	is_deeply([ map { $_->finish->{rows}[0][0] } @sessions ], [ ($value) x @sessions ], '30 readers at a time');
	my $asked = heartbeats('far') - $before;
	cmp_ok($asked, '>=', 1, '... have the node asked');
	cmp_ok($asked, '<=', 6, '... a few times, together');

	# who comes while a question is out isn't content with its answer
	freeze_heartbeats($cluster, 'far');
	$sessions[0]->send_query($read);
	wait_for_waits('near', 1);
	$cluster->sql('primary', 'SELECT pg_reload_conf()');	# any statement: time passes
	$sessions[1]->send_query($read);
	wait_for_waits('near', 2);
	$before = heartbeats('far');
	thaw();
	$_->finish for @sessions[ 0, 1 ];
	cmp_ok(heartbeats('far') - $before, '>=', 2, 'a later reader: another question');
}

# --- too few ------------------------------------------------------------

{
	freeze_heartbeats($cluster, 'far');
	my $session = quorum('near', 'all', "SET consistency.wait_timeout = '500ms'");
	is(outcome(quorum('near', 'quorum')), $value, 'one node is silent: two are a quorum');
	my $refused = $cluster->sql('near', "SELECT coalesce(sum(reads), 0) FROM consistency.stat_reads WHERE place = 'refused'");
	my $start = time;
	my $error = $session->error($read);
	is($error->{code}, 'YC001', '... but not all');
	like("$error->{message} $error->{detail}", qr/too few nodes.*3 declared.*quorum of 3/, '... the error says why');
	cmp_ok(time - $start, '>', 0.4, '... when time is up');
	is($cluster->sql('near', "SELECT sum(reads) - $refused FROM consistency.stat_reads WHERE place = 'refused'"), 1,
		'... and is counted');

	$session->do("SET consistency.on_timeout = 'stale'");
	my $stale = "SELECT coalesce(sum(count), 0) FROM consistency.stat_violations WHERE kind = 'stale_answer'";
	my $before = $cluster->sql('near', $stale);
	my $result = $session->query($read);
	is($result->{rows}[0][0], $value, 'stale: it answers');
	is($result->{notices}[0]{code}, '01YC1', '... with a warning');
	is(last_read($session)->{place}, 'stale', '... as last_read() tells');
	is($cluster->sql('near', $stale), $before + 1, '... and is counted');

	# the primary has to ask itself: it may have been replaced
	$session->do("SET consistency.on_timeout = 'primary'");
	$error = $session->error($read);
	is($error->{code}, 'YC001', 'primary: it can not reach more nodes, either');
	thaw();
	is(outcome($session), $value, 'the node is back');

	my $routed = quorum('primary', 'all', "SET consistency.routing = 'always'", "SET consistency.wait_timeout = '500ms'");
	freeze_heartbeats($cluster, 'far');
	is(outcome($routed), 'YC001', 'the same for a read that would leave the primary');
	$routed->do("SET consistency.on_timeout = 'stale'");
	is($routed->query($read)->{notices}[0]{code}, '01YC1', '... and stale');
	is(last_read($routed)->{place}, 'stale', '... as last_read() tells');
	$routed->do("SET consistency.on_timeout = 'error'");
	is($routed->query("UPDATE t SET v = v WHERE i = 1")->{tag}, 'UPDATE 1', 'what writes asks nobody');
	thaw();
}

# --- what nobody gets -----------------------------------------------------

# The primary tells a read how far it is, and its log gets nowhere any more.  Nobody has
# heard of a commit there; the two others are a quorum.
foreach my $on_timeout ('error', 'primary')
{
	$cluster->wait_replayed;
	my @receivers = map { $cluster->sql($_, 'SELECT pid FROM pg_stat_wal_receiver') } qw(near far);
	kill 'STOP', @receivers;
	freeze_heartbeats($cluster, 'far');
	my $unheard = $cluster->connect('primary');
	$unheard->send_query('UPDATE t SET v = v + 1 WHERE i = 1');
	wait_until(sub { $cluster->sql('primary', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) == 1 }, 'a commit');
	my $session = quorum('near', 2, "SET consistency.on_timeout = '$on_timeout'");
	my $start = time;
	$session->send_query($read);
	# the first answer is the primary's, which is killed with it
	wait_until(sub { $session->ready(0) || heartbeats('primary') > 0 && $cluster->sql('near', q{SELECT count(*) FROM pg_stat_activity
		WHERE usename = 'app' AND state = 'active' AND wait_event_type = 'Extension'}) == 1 }, 'the read waits');
	is($session->ready(0), 0, "$on_timeout: the read waits for what the primary has told");
	$cluster->primary->stop('immediate');
	thaw();
	is($session->finish->{rows}[0][0], $value, '... and no longer when the others have told');
	cmp_ok(time - $start, '<', 10, '... in time');
	kill 'CONT', @receivers;
	$cluster->primary->start;
	$value = $cluster->connect('primary')->value($read);
	wait_until(sub { $cluster->sql('primary', "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == 2 },
		'both replicas are synchronous');
	$writer = $cluster->connect('primary');
}

# --- the primary is gone ------------------------------------------------

$cluster->pause('far');
write_next();
$cluster->primary->stop('immediate');
is(outcome(quorum('near', 2)), $value, 'no primary: two replicas are a quorum');
is(outcome(quorum('far', 'one')), $value - 1, 'one, at the other: stale');
is(outcome(quorum('far', 2, "SET consistency.wait_timeout = '500ms'")), 'YC001', 'the other can not get there while it is paused');
{
	my $session = quorum('far', 2, "SET consistency.on_timeout = 'primary'");
	$session->send_query($read);
	wait_for_waits('far', 1);
	$cluster->resume('far');
	is($session->finish->{rows}[0][0], $value, '... and then it does');
}
is(outcome(quorum('near', 'all', "SET consistency.wait_timeout = '500ms'")), 'YC001', 'all: there are only two');
$cluster->primary->start;

# --- rounds with random kills -------------------------------------------

# One replica or the other is late; a writer goes on until the primary is killed.
my %seen = (new => 0, refused => 0, stale => 0);
foreach my $round (1 .. 12)
{
	my ($late, $other) = rand() < 0.5 ? qw(near far) : qw(far near);
	my $acknowledged;
	wait_until(sub { $cluster->sql('primary', "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == 2 },
		'both replicas are synchronous');
	$writer = $cluster->connect('primary');
	$acknowledged = $writer->value($read);
	my $pause_at = int rand 20;
	my $end_at = $pause_at + 1 + int rand 20;
	foreach my $i (1 .. $end_at)
	{
		$cluster->pause($late) if $i == $pause_at + 1;
		$acknowledged = $writer->value("UPDATE t SET v = v + 1 WHERE i = 1 RETURNING v");
	}
	$writer->send_query('UPDATE t SET v = v + 1 WHERE i = 1');
	usleep(rand 3000);
	$cluster->primary->stop('immediate');
	$writer->abandon;

	$seen{stale}++ if outcome(quorum($late, 'one')) < $acknowledged;
	foreach my $where ($late, $other)
	{
		my $session = quorum($where, 'quorum', "SET consistency.wait_timeout = '300ms'");
		my $result = outcome($session);
		if ($result eq 'YC001') { $seen{refused}++; }
		elsif ($result >= $acknowledged) { $seen{new}++; }
		else { fail("round $round: $result at $where, but $acknowledged was acknowledged"); }
	}
	$cluster->resume($late);
	my $result = outcome(quorum($late, 'quorum'));
	cmp_ok($result, '>=', $acknowledged, "round $round: all that was acknowledged") ? $seen{new}++ : 0;
	$cluster->primary->start;
}
note(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
cmp_ok($seen{stale}, '>', 0, 'the control, one, has missed acknowledged writes');
cmp_ok($seen{new}, '>=', 18, 'quorum reads have not, and most were answered');

done_testing();
