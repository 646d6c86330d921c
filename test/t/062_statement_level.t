# What PostgreSQL's own tools tell of statements that ran elsewhere, or waited:
# EXPLAIN, auto_explain, pg_stat_statements, pg_stat_activity and the log,
# whichever library was loaded first.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

my @orders = (
	'consistency, pg_stat_statements, auto_explain',
	'auto_explain, pg_stat_statements, consistency');
my $cluster = ConsistencyCluster->new(
	preload => $orders[0],
	replicas => [ { name => 'near', conf => "shared_preload_libraries = '$orders[1]'\n" } ],
	conf => <<'CONF',
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
consistency.log_min_wait = '10 ms'
log_statement = none
CONF
	setup => <<'SQL');
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (i int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 10) g;
CREATE TABLE one (i int);
INSERT INTO one VALUES (1);
CREATE TABLE many (i int);
INSERT INTO many SELECT generate_series(1, 1000) g;
GRANT ALL ON t, one, many TO app;
SQL
$cluster->wait_replayed;
my $app = $cluster->connect('primary');
my $near = $cluster->connect('near');
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $dba_near = $cluster->connect('near', user => $cluster->superuser);

# A session's reads leave the primary from now on.
sub settle
{
	my ($session) = @_;
	$cluster->wait_replayed;
	$session->do("SET consistency.routing = 'always'");
	wait_until(
		sub {
			$session->do('SELECT i FROM one');
			return $session->value('SELECT place FROM consistency.last_read()') eq 'routed';
		},
		'reads are routed');
	return;
}

# --- EXPLAIN -----------------------------------------------------------------

# The top of the plan of a statement, from its JSON.
sub plan_of
{
	my ($session, $statement) = @_;
	my $json = $session->value("EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON) $statement");
	return JSON::PP::decode_json($json)->[0]{Plan};
}

settle($app);
my $plan = plan_of($app, q{SELECT v FROM t WHERE i <= 3});
is($plan->{'Custom Plan Provider'}, 'ConsistencyRoutedScan', 'EXPLAIN of a routed query in JSON');
is($plan->{Level}, 'session', 'its level');
is($plan->{Policy}, 'consistency.default_level', 'who asked for that');
like($plan->{Requirement}, qr{^position >= 1:[0-9A-F]+/[0-9A-F]+$|^none$}, 'what that demands');
is($plan->{Node}, 'near', 'where it ran');
like($plan->{Reason}, qr/^(has the position|expected to reach the position in time|any position will do)$/, 'why there');
ok(JSON::PP->new->allow_nonref->encode($plan->{Waited}) =~ /^[\d.]+$/, 'what it waited, as a number')
  or diag explain $plan;
is($plan->{'Actual Rows'}, 3, 'its rows');
like($plan->{'Remote SQL'}, qr/SELECT/, 'what was sent');
ok(defined $plan->{'Shared Hit Blocks'}, 'buffers');
is($plan->{Plans}[0]{'Actual Loops'}, 0, 'the local plan, which did not run');

$near->do("SET consistency = 'linearizable'");
$plan = plan_of($near, q{SELECT v FROM t WHERE i <= 3});
is($plan->{'Custom Plan Provider'}, 'ConsistencyForwardScan', 'EXPLAIN of a forwarded query in JSON');
is_deeply(
	[ @$plan{qw(Level Policy Requirement Node Reason)} ],
	[ 'linearizable', 'session', 'the primary', 'primary', 'level is served by the primary only' ],
	'level, who asked for it, requirement, node and reason');
is($plan->{'Actual Rows'}, 3, 'its rows');
ok($plan->{Waited} < 1000, 'and it did not wait');

# one that waited in vain before it left
$near->do("SET consistency = 'session'");
$near->do("SET consistency.wait_timeout = '2 s'");
$cluster->pause('near');
$dba->do("UPDATE one SET i = i");
$near->do(q{SET consistency.token = '} . $dba->value('SELECT consistency.token()') . q{'});
$plan = plan_of($near, q{SELECT v FROM t WHERE i <= 3});
is($plan->{Node}, 'primary', 'a read that the replica could not serve');
like($plan->{Reason}, qr/replay is paused/, 'and why');
ok($plan->{Waited} < 2000, "it waited $plan->{Waited} ms, not all of the time");
$cluster->resume('near');

# --- pg_stat_statements --------------------------------------------------------

# What it has counted for "app": calls, rows and text of what isn't ours.
sub counted
{
	my ($where) = @_;
	return $where->text(<<'SQL');
SELECT calls, rows, total_exec_time > 0, toplevel, query
  FROM pg_stat_statements
 WHERE userid = 'app'::regrole AND query ~ '\yt\y' AND query !~ 'consistency'
 ORDER BY query COLLATE "C"
SQL
}

# The same client at the primary: its reads are routed, after a write each time.
sub routed_are_counted
{
	my ($order) = @_;

	settle($app);
	$_->do('SELECT pg_stat_statements_reset()') for $dba, $dba_near;
	foreach my $n (1 .. 3)
	{
		$app->do('UPDATE one SET i = i + 1');
		settle($app);
		$app->do("SELECT v FROM t WHERE i <= $n AND v <> 'hush'");
		is($app->value('SELECT node FROM consistency.last_read()'), 'near', "read $n is routed");
	}
	my $text = 'SELECT v FROM t WHERE i <= $1 AND v <> $2';
	is(counted($dba), "3|6|t|t|$text", "$order: routed statements are counted once");
	is(counted($dba_near), "3|6|t|t|$text", 'and at the replica, where they ran, as the same text');
	ok( $dba_near->value(q{SELECT count(*) FROM pg_stat_statements WHERE query ~ '^SET consistency.token'}) <= 1,
		'tokens, of which each is another one, are counted as one statement')
	  or diag($dba_near->text('SELECT query FROM pg_stat_statements'));

	# many rows go as COPY, whose text has the constants
	$dba_near->do('SELECT pg_stat_statements_reset()');
	$app->do("SELECT * FROM many WHERE i <> $_") for 1 .. 3;
	is($app->value('SELECT node FROM consistency.last_read()'), 'near', 'one with many rows is routed');
	is( $dba_near->text(q{SELECT calls, rows, query ~ 'FROM many WHERE i <> \d' FROM pg_stat_statements WHERE query ~ '^COPY'}),
		'3|2997|t', 'and counted as one statement, whatever its constants');
	return;
}
routed_are_counted($orders[0]);

# A client at the replica: what it writes is forwarded.
sub forwarded_are_counted
{
	my ($order) = @_;

	$_->do('SELECT pg_stat_statements_reset()') for $dba, $dba_near;
	$near->do("UPDATE t SET v = 'hush$_' WHERE i = $_") for 1 .. 3;
	is(counted($dba_near), '3|3|t|t|UPDATE t SET v = $1 WHERE i = $2', "$order: forwarded ones are counted once");
	is(counted($dba), '3|3|t|t|UPDATE t SET v = $1 WHERE i = $2', 'and at the primary, where they ran, as the same text');
	return;
}
forwarded_are_counted($orders[1]);

# tokens that a client sets, too
$_->do('SELECT pg_stat_statements_reset()') for $dba, $dba_near;
for (1 .. 4)
{
	$dba->do('UPDATE one SET i = i');
	$near->do(q{SET consistency.token = '} . $dba->value('SELECT consistency.token()') . q{'});
}
is( $dba_near->text(q{SELECT calls FROM pg_stat_statements WHERE query ~ '^SET consistency.token'}),
	'4', 'tokens of a client are counted as one statement');

# --- auto_explain ----------------------------------------------------------------

settle($app);
my $log = $cluster->primary->logfile;
my $from = -s $log;
$app->do(q{SELECT v AS shown FROM t WHERE i <= 2});
wait_until(sub { slurp_file($log, $from) =~ /Query Text: SELECT v AS shown/ }, 'auto_explain logs');
my ($shown) = slurp_file($log, $from) =~ /Query Text: SELECT v AS shown(.*?)(?:\n\S|\z)/s;
like($shown, qr/Custom Scan \(ConsistencyRoutedScan\).*rows=2 .*\n\t +Level: session\n/, 'auto_explain: a routed statement');
like($shown, qr/\n\t +Node: near\n/, 'with its node');

# --- waits: pg_stat_activity and consistency.log_min_wait ---------------------------

$cluster->pause('near');
$dba->do('UPDATE one SET i = i');
my $waiter = $cluster->connect('near');
$waiter->do("SET consistency.routing = 'off'");	# to the end
$waiter->do("SET consistency.wait_timeout = '1 ms'");
$waiter->do(q{SET consistency.token = '} . $dba->value('SELECT consistency.token()') . q{'});
$waiter->do("SET consistency.wait_timeout = '1 min'");
$log = $cluster->node('near')->logfile;
$from = -s $log;
$waiter->send_query(q{SELECT v FROM t WHERE v <> 'hush'});
$cluster->wait_for_wait('near', $waiter->pid);
is( $dba_near->value('SELECT wait_event FROM pg_stat_activity WHERE pid = ' . $waiter->pid),
	$dba_near->value("SELECT current_setting('server_version_num')::int") >= 170000 ? 'ConsistencyReplay' : 'Extension',
	'a wait has the name that the version can show');
# long enough to be logged
$dba_near->do('SELECT pg_sleep(0.05)');
$cluster->resume('near');
is($waiter->finish->{error}, undef, 'a read that waited for replay');
my ($message, $detail);
wait_until(
	sub {
		($message, $detail) = slurp_file($log, $from) =~ /LOG:  (read waited .*)\n.*DETAIL:  (.*)/;
		return $message;
	},
	'consistency.log_min_wait logs');
like($message, qr/^read waited \d+\.\d+ ms for consistency level "session"$/, 'it tells level and time');
like( $detail,
	qr{^Place: waited; requirement: position >= 1:[0-9A-F]+/[0-9A-F]+; decided by: consistency.default_level\.$},
	'place, requirement, and who asked');
unlike("$message $detail", qr/hush/, 'and nothing of the statement');

$from = -s $log;
$waiter->do('SELECT v FROM t');
$dba_near->do('SELECT 1');
unlike(slurp_file($log, $from), qr/read waited/, 'a read that does not wait is not logged');

# --- the other order -----------------------------------------------------------------

$_->close for $app, $dba, $near, $dba_near, $waiter;
my %order = (primary => $orders[1], near => $orders[0]);
foreach my $name (sort keys %order)
{
	$cluster->node($name)->append_conf('postgresql.conf', "shared_preload_libraries = '$order{$name}'");
	$cluster->node($name)->restart;
}
$cluster->wait_all_up;
$app = $cluster->connect('primary');
$near = $cluster->connect('near');
$dba = $cluster->connect('primary', user => $cluster->superuser);
$dba_near = $cluster->connect('near', user => $cluster->superuser);
routed_are_counted($orders[1]);
forwarded_are_counted($orders[0]);

done_testing();
