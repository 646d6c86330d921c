# What the extension does where it was preloaded but not asked for anything,
# and what it says where it wasn't preloaded.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use EverydaySQL;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# --- a plain server, for comparison -------------------------------------

my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$plain->start;
my $expected = everyday($plain);
like($expected, qr/account_pkey/, 'the script ran');
is(everyday($plain), $expected, 'the script leaves nothing behind');

# --- not preloaded ------------------------------------------------------

SKIP:
{
	skip 'plain PostgreSQL', 1 if $ConsistencyCluster::plain;

	$plain->safe_psql('postgres', 'CREATE EXTENSION consistency');
	pass('not preloaded: CREATE EXTENSION works');
	$plain->safe_psql('postgres',
		"CREATE SERVER one FOREIGN DATA WRAPPER consistency OPTIONS (host 'h', port '1')");
	pass('not preloaded: CREATE SERVER works');

	my ($rc, $out, $err) = $plain->psql('postgres',
		"CREATE SERVER two FOREIGN DATA WRAPPER consistency OPTIONS (nonsense '1')");
	like($err, qr/invalid option "nonsense"/, 'not preloaded: options are validated');

	foreach my $call (
		'SELECT consistency.token()',
		'SELECT * FROM consistency.last_read()',
		q{CALL consistency.wait_for('')},
		'SELECT * FROM consistency.nodes')
	{
		(undef, undef, $err) = $plain->psql('postgres', "\\set VERBOSITY verbose\n$call");
		like($err, qr/ERROR:  55000: /, "not preloaded: $call says so");
		like($err, qr/HINT: .*shared_preload_libraries/, "... and how to mend it: $call");
	}
	(undef, undef, $err) = $plain->psql('postgres', "SET consistency = 'session'");
	like($err, qr/unrecognized configuration parameter "consistency"/,
		'not preloaded: there is no level');
	is(everyday($plain), $expected, 'not preloaded: plain SQL is as it was');
	$plain->safe_psql('postgres', 'DROP EXTENSION consistency CASCADE');
}
$plain->stop;

# --- preloaded, not created ---------------------------------------------

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'replica' } ],
	extension => 0,
	monitor => 0);
my $primary = $cluster->primary;

is(everyday($primary), $expected, 'preloaded, not created: plain SQL is unaffected');

if ($ConsistencyCluster::plain) { done_testing(); exit; }

my $app = $cluster->connect('primary');
$app->do('CREATE TABLE t (i int)');
$app->do('INSERT INTO t VALUES (1)');
is($app->value('SELECT count(*) FROM t'), 1, 'not created: reads work');
is($app->value("SELECT current_setting('consistency.token')"),
	'', 'not created: nothing is tracked');
is($app->parameter('consistency.token') // '', '', 'not created: nothing is reported');
is($app->value('SHOW consistency'), 'session', 'not created: the settings are there');

is( $cluster->sql(
		'primary',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
		  . " AND application_name LIKE 'consistency%'"),
	0,
	'not created: no heartbeat');

# --- the replica of it ---------------------------------------------------

$cluster->wait_replayed;
my $replica = $cluster->connect('replica');
is($replica->value('SELECT count(*) FROM t'), 1, 'not created: the replica reads');
is($replica->error('INSERT INTO t VALUES (2)')->{code},
	'25006', 'not created: the replica is read only');

# --- created, no nodes --------------------------------------------------

$cluster->sql('primary', 'CREATE EXTENSION consistency');
is(everyday($primary), $expected, 'created, no nodes: plain SQL is unaffected');
foreach my $set (
	"consistency = 'sequential'",
	"consistency = 'causal'",
	"consistency = 'bounded'",
	"consistency = 'eventual'",
	"consistency = 'weak'",
	"consistency.routing = 'always'",
	"consistency.report_token = off")
{
	local $ENV{PGOPTIONS} = '-c ' . ($set =~ s/['\s]//gr);
	is(everyday($primary), $expected, "created, no nodes, $set: plain SQL is unaffected");
}
# a session is warned, once, that nobody confirms the leader: that is no answer
{
	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	my $quiet = everyday($primary);
	local $ENV{PGOPTIONS} = "$ENV{PGOPTIONS} -c consistency=linearizable";
	is(everyday($primary), $quiet, 'created, no nodes, linearizable: plain SQL is unaffected');
}

my $mine = $cluster->connect('primary');
$mine->do('INSERT INTO t VALUES (3)');
like($mine->value('SELECT consistency.token()'),
	qr/^\d+:1:[0-9A-F]+\/[0-9A-F]+$/, 'created: writes are tracked');
# the session that was there before it was created follows suit
$app->do('INSERT INTO t VALUES (4)');
like($app->value('SELECT consistency.token()'),
	qr/^\d+:1:/, 'created: sessions that were there before follow suit');

# another database, where it isn't
$primary->safe_psql('postgres', 'CREATE DATABASE elsewhere');
is(everyday($primary, database => 'elsewhere'), $expected,
	'created in another database: plain SQL is unaffected');
my $elsewhere = $cluster->connect('primary', dbname => 'elsewhere', user => $cluster->superuser);
$elsewhere->do('CREATE TABLE t (i int)');
is($elsewhere->value("SELECT current_setting('consistency.token')"),
	'', 'created in another database: nothing is tracked here');

# dropped again
$cluster->sql('primary', 'DROP EXTENSION consistency');
is($app->value('SELECT count(*) FROM t'), 3, 'dropped: reads work');
$app->do('INSERT INTO t VALUES (5)');
is(everyday($primary), $expected, 'dropped: plain SQL is unaffected');
$cluster->sql('primary', 'CREATE EXTENSION consistency');
$app->do('INSERT INTO t VALUES (6)');
like($app->value('SELECT consistency.token()'), qr/^\d+:1:/, 'created again: tracked again');

# --- configuration files ------------------------------------------------

my ($rc, $out, $err);
foreach my $value ("'eventual'", 'DEFAULT')
{
	last if $value eq 'DEFAULT';
	($rc, $out, $err) =
	  $primary->psql('postgres', "ALTER SYSTEM SET consistency = $value");
	isnt($rc, 0, 'ALTER SYSTEM SET consistency is refused');
	like($err, qr/HINT: .*consistency\.default_level/,
		'... with a hint at consistency.default_level');
}
unlike(slurp_file($primary->data_dir . '/postgresql.auto.conf'),
	qr/^consistency\s*=/m, '... and nothing is written');
# a list of settings by another way round
($rc, $out, $err) =
  $primary->psql('postgres', 'ALTER SYSTEM SET "Consistency" = \'eventual\'');
isnt($rc, 0, 'ALTER SYSTEM SET "Consistency" is refused');
unlike(slurp_file($primary->data_dir . '/postgresql.auto.conf'),
	qr/^consistency\s*=/mi, '... and nothing is written');

$primary->safe_psql('postgres', "ALTER SYSTEM SET consistency.default_level = 'eventual'");
$primary->append_conf('postgresql.conf', "consistency.wait_timeout = '3s'");
$primary->restart;
is($cluster->sql('primary', 'SHOW consistency'),
	'eventual', 'consistency.default_level counts after a restart');
is($cluster->sql('primary', 'SHOW consistency.wait_timeout'),
	'3s', 'settings with a dot work in postgresql.conf');
$primary->safe_psql('postgres', 'ALTER SYSTEM RESET consistency.default_level');
$primary->reload;
$primary->poll_query_until('postgres', "SELECT current_setting('consistency') = 'session'")
  or BAIL_OUT('default_level is not reloaded');
pass('consistency.default_level can be reloaded');

# a file that holds a level which doesn't exist: refused, and said so
$primary->append_conf('postgresql.conf', "consistency.default_level = 'casual'");
$primary->reload;
wait_until(
	sub {
		slurp_file($primary->logfile) =~
		  qr/invalid value for parameter "consistency.default_level": "casual"/;
	},
	'a line in the log');
is($cluster->sql('primary', 'SHOW consistency'),
	'session', 'a level that does not exist in postgresql.conf: the one before stays');
$primary->stop;
$primary->adjust_conf('postgresql.conf', 'consistency.default_level', "'session'");

# the trap: an undotted name of a library, in a file
$primary->append_conf('postgresql.conf', "consistency = 'eventual'");
is($primary->start(fail_ok => 1), 0, 'consistency in postgresql.conf: the server refuses to start');
like(
	slurp_file($primary->logfile),
	qr/unrecognized configuration parameter "consistency"/,
	'... which is why ALTER SYSTEM is refused');
$primary->adjust_conf('postgresql.conf', 'consistency', undef);
$primary->start;
is($cluster->sql('primary', 'SHOW consistency'), 'session', 'and without that it starts');

# --- the backend command line, role, database ---------------------------

$primary->safe_psql('postgres', "ALTER ROLE app SET consistency = 'eventual'");
is($cluster->connect('primary')->value('SHOW consistency'), 'eventual', 'ALTER ROLE SET consistency');
is( $cluster->connect('primary', startup => { options => '-c consistency=weak' })
	  ->value('SHOW consistency'),
	'weak',
	'consistency as a connection option');
is( $cluster->connect('primary', startup => { consistency => 'linearizable' })
	  ->value('SHOW consistency'),
	'linearizable',
	'consistency in the startup packet');
eval { $cluster->connect('primary', startup => { consistency => 'casual' }); };
like($@, qr/invalid value for parameter "consistency"/, 'a level that does not exist is refused at the door');
$primary->safe_psql('postgres', 'ALTER ROLE app RESET consistency');

# --- pgbench ------------------------------------------------------------

$primary->run_log([ 'pgbench', '-i', '-q', '-s', '1', 'postgres' ]);
foreach my $mode (qw(simple extended prepared))
{
	$primary->command_checks_all(
		[ 'pgbench', '-n', '-c', '2', '-t', '50', '-M', $mode, 'postgres' ],
		0,
		[qr{actually processed: 100/100}],
		[qr/^/],
		"pgbench, $mode protocol");
}
is( $cluster->sql('primary', 'SELECT sum(bbalance) = (SELECT sum(abalance) FROM pgbench_accounts)'
		  . ' FROM pgbench_branches'),
	't',
	'pgbench: balances agree');

done_testing();
