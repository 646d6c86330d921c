# consistency.check(): what undermines a promise, at which node, and the mend.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = <<'CONF';
fsync = on
hot_standby_feedback = on
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
CONF
my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'far' } ],
	conf => $conf,
	primary_conf => "synchronous_standby_names = 'near'",
	setup => 'CREATE DATABASE second');
my $super = $cluster->superuser;

# Superusers log in without a password.
sub map_superuser
{
	my ($name) = @_;
	return "CREATE USER MAPPING FOR \"$super\" SERVER \"$name\" OPTIONS (user '$super');";
}

# Findings at a node that meet a condition, as "severity node subject" lines.
sub findings
{
	my ($where, $condition) = @_;
	return $cluster->sql($where,
		    "SELECT severity || ' ' || coalesce(node, '-') || ' ' || subject"
		  . " FROM consistency.check() WHERE $condition ORDER BY 1");
}

# There is one such finding, sooner or later, with such a mend.
sub finds
{
	my ($where, $finding, $problem, $mend, $what) = @_;
	my ($severity, $node, $subject) = $finding =~ /^(\w+) (\(.*?\)|\S+) (.+)$/;
	my $is_node = $node eq '-' ? 'node IS NULL' : "node = '$node'";
	my $condition = "severity = '$severity' AND $is_node AND subject = '$subject'"
	  . " AND problem LIKE \$\$%$problem%\$\$ AND mend LIKE \$\$%$mend%\$\$";
	ok( $cluster->node($where)->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM consistency.check() WHERE $condition"),
		$what // "$where finds: $finding")
	  or diag($cluster->sql($where, 'SELECT * FROM consistency.check()'));
	return;
}

# No errors or warnings, sooner or later.
sub clean
{
	my ($where, $what) = @_;
	ok( $cluster->node($where)->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM consistency.check() WHERE severity <> 'notice'"), $what)
	  or diag($cluster->sql($where, 'SELECT * FROM consistency.check()'));
	return;
}

# Settings of a node, until reset().
my %changed;

sub change
{
	my ($name, %value) = @_;
	my $node = $cluster->node($name);
	foreach my $setting (sort keys %value)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = $value{$setting}");
		push @{ $changed{$name} }, $setting;
	}
	$node->reload;
	return;
}

sub reset_all
{
	foreach my $name (sort keys %changed)
	{
		$cluster->sql($name, "ALTER SYSTEM RESET $_") for @{ delete $changed{$name} };
		$cluster->node($name)->reload;
	}
	return;
}

# --- a cluster as it should be ------------------------------------------

$cluster->sql('primary', map_superuser($_)) for $cluster->names;
$cluster->wait_replayed;
clean($_, "$_ finds neither errors nor warnings") for $cluster->names;
is(findings('primary', "subject <> 'synchronous_standby_names'"), '', '... and no other notices');

# who may ask, and as whom
{
	my $app = $cluster->connect('primary');
	like($app->error('SELECT * FROM consistency.check()')->{message},
		qr/permission denied/, 'not everybody may ask');
	$cluster->sql('primary', 'GRANT pg_monitor TO app');
	is($app->value("SELECT count(*) FROM consistency.check() WHERE severity <> 'notice'"),
		0, 'pg_monitor may, with passwords of its own');
	$cluster->sql('primary', 'REVOKE pg_monitor FROM app');
	$app->close;
}

# --- the primary and its standbys ---------------------------------------

finds('primary', 'notice primary synchronous_standby_names', '1 of 2 standbys', "FIRST 2 (far, near)");
change('primary',
	synchronous_standby_names => "'nobody'",
	synchronous_commit => 'local',
	fsync => 'off',
	full_page_writes => 'off');
finds('near', 'error primary synchronous_standby_names', 'writes hang', 'connected: far, near');
finds('far', 'warning primary synchronous_commit', 'failover', "synchronous_commit = 'on'");
finds('primary', 'warning primary fsync', 'crash', "ALTER SYSTEM SET fsync = 'on'");
finds('primary', 'warning primary full_page_writes', 'crash', "full_page_writes = 'on'");
change('primary', synchronous_standby_names => "'ANY 1 (near, far)'", synchronous_commit => 'off');
finds('primary', 'notice primary synchronous_standby_names', 'whichever answer first', 'highest position');
finds('primary', 'warning primary synchronous_commit', 'crash', "synchronous_commit = 'on'");
change('primary', synchronous_standby_names => "''");
finds('primary', 'warning primary synchronous_standby_names', 'linearizable', "'FIRST 1 (far, near)'");
change('primary', synchronous_standby_names => q{'ANY 2 ("near", far)'});
reset_all();
clean('primary', 'all mended');

# --- replicas -----------------------------------------------------------

change('near',
	hot_standby_feedback => 'off',
	max_standby_streaming_delay => '-1',
	recovery_min_apply_delay => "'10ms'",
	wal_receiver_status_interval => 0,
	timezone => "'Asia/Kolkata'",
	search_path => 'pg_catalog',
	'consistency.default_level' => 'eventual',
	'consistency.monitor_interval' => "'8s'");
finds('primary', 'notice near hot_standby_feedback', 'cancelled', "hot_standby_feedback = 'on'");
finds('primary', 'warning near max_standby_streaming_delay', 'time out', 'max_standby_streaming_delay');
finds('primary', 'warning near recovery_min_apply_delay', '10 ms', 'DROP SERVER near CASCADE');
finds('primary', 'warning near wal_receiver_status_interval', 'synchronous', 'wal_receiver_status_interval');
finds('primary', 'notice near TimeZone', "'Asia/Kolkata' here", 'ALTER SYSTEM SET TimeZone');
finds('primary', 'notice near search_path', 'another default', q{SET search_path = "$user", public;});
finds('primary', 'notice near consistency.default_level', "'session' at \"primary\"", "'session'");
finds('near', 'notice near consistency.monitor_interval', 'heartbeats', "'2500ms'");
reset_all();
$cluster->pause('far');
finds('primary', 'warning far replay', 'paused', 'pg_wal_replay_resume');
$cluster->resume('far');
change('far', primary_conninfo => "''");
finds('near', 'error far primary_conninfo', 'WAL receiver: not running', 'primary_conninfo');
reset_all();
clean('far', 'all mended');

# --- who monitors, and who asks -----------------------------------------

change('near', 'consistency.monitor_role' => "''");
finds('primary', 'error near consistency.monitor_role', 'not set', "consistency.monitor_role = 'monitor'");
change('near', 'consistency.monitor_role' => "'nobody of that name'");
finds('near', 'error near consistency.monitor_role', 'does not exist', 'CREATE ROLE "nobody of that name"');
reset_all();

$cluster->sql('primary',
	"DROP USER MAPPING FOR monitor SERVER far; DROP USER MAPPING FOR \"$super\" SERVER far");
finds('primary', 'error far user mapping', 'consistency.monitor_role has no', 'CREATE USER MAPPING FOR monitor');
finds('primary', 'error far user mapping', "read at this node", "CREATE USER MAPPING FOR");
$cluster->sql('primary',
	"CREATE USER MAPPING FOR monitor SERVER far OPTIONS (user 'monitor', password 'wrong');"
	  . "CREATE USER MAPPING FOR \"$super\" SERVER far OPTIONS (user 'app', password 'app secret')");
finds('primary', 'error far monitor', 'password authentication failed', 'ALTER USER MAPPING FOR monitor');
finds('primary', 'error far connection', 'another role', "SET user '$super'");
$cluster->sql('primary',
	"ALTER USER MAPPING FOR monitor SERVER far OPTIONS (SET password 'monitor secret');"
	  . "ALTER USER MAPPING FOR \"$super\" SERVER far OPTIONS (SET user '$super', DROP password)");

# Replicas look for changed mappings once a minute, or when asked to.
$cluster->wait_replayed;
change($_, 'consistency.monitor_role' => "''") for qw(near far);
finds('primary', "error $_ consistency.monitor_role", 'not set', '') for qw(near far);
reset_all();
clean('primary', 'all mended');

# --- nodes that are none ------------------------------------------------

my $far = $cluster->node('far');
my $alien = PostgreSQL::Test::Cluster->new('alien');
$alien->init;
$alien->append_conf('postgresql.conf', "shared_preload_libraries = 'consistency'");
$alien->start;
$alien->safe_psql('postgres', 'CREATE EXTENSION consistency');
$cluster->sql('primary', 'CREATE EXTENSION consistency', 'second');
my %port = (twin => $far->port, lost => $far->port, alien => $alien->port);
foreach my $name (sort keys %port)
{
	my $database = $name eq 'lost' ? 'second' : 'postgres';
	my $host = $far->host . ($name eq 'twin' ? '' : '/');
	$cluster->sql('primary',
		"CREATE SERVER $name FOREIGN DATA WRAPPER consistency OPTIONS (host '$host', port '$port{$name}', dbname '$database');"
		  . map_superuser($name));
}
finds('primary', 'warning twin nodes', 'declared twice', 'DROP SERVER twin CASCADE');
finds('near', 'warning twin nodes', 'declared twice', 'DROP SERVER twin CASCADE');
finds('primary', 'error lost connection', 'dbname', "SET dbname 'postgres'");
finds('primary', 'error alien connection', 'another cluster', 'ALTER SERVER alien');
$cluster->sql('primary', "DROP SERVER $_ CASCADE") for sort keys %port;
$alien->stop('immediate');
clean('primary', 'dropped');

# --- versions -----------------------------------------------------------

$cluster->sql('primary', q{UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'consistency'});
finds('primary', 'error primary extension', '0.0.1', 'ALTER EXTENSION consistency UPDATE');
finds('primary', 'error near extension', '0.0.1', 'ALTER EXTENSION consistency UPDATE');
$cluster->sql('primary',
	q{UPDATE pg_extension e SET extversion = version FROM consistency.node_status() WHERE extname = 'consistency'});
SKIP:
{
	skip 'no ICU', 1
	  if $cluster->sql('primary', q{SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'}) == 0;
	$cluster->sql('primary',
		q{CREATE TABLE sorted (t text COLLATE "en-x-icu");
		  UPDATE pg_collation SET collversion = '0' WHERE collname = 'en-x-icu'});
	finds('near', 'warning primary collation: "en-x-icu"', 'version 0', 'REFRESH COLLATION VERSION');
	$cluster->sql('primary', 'DROP TABLE sorted');
}

# --- nodes that are down, or without the library ------------------------

{
	# one that hangs is waited for some seconds, and can be cancelled
	my $pid = slurp_file($far->data_dir . '/postmaster.pid') =~ /^(\d+)/ ? $1 : die;
	kill 'STOP', $pid;
	my $session = $cluster->connect('primary', user => $super);
	$session->do("SET statement_timeout = '300ms'");
	is($session->error('SELECT * FROM consistency.check()')->{code}, '57014', 'a check can be cancelled');
	$session->do('RESET statement_timeout');
	is($session->value(q{SELECT problem LIKE '%connection timed out%' FROM consistency.check() WHERE node = 'far' AND subject = 'connection'}),
		't', 'a node that hangs is a finding');
	kill 'CONT', $pid;
	is($session->value(q{SELECT count(*) FROM consistency.check() WHERE node = 'far' AND subject = 'connection'}),
		0, '... and is asked again');

	# the connection is kept, and made anew when it breaks
	$cluster->sql('far', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'consistency'});
	is($session->value(q{SELECT count(*) FROM consistency.check() WHERE node = 'far' AND subject = 'connection'}),
		0, 'a connection that broke is made anew');
	$session->close;
}
$far->stop('immediate');
finds('primary', 'error far connection', 'connection to server', 'DROP SERVER far CASCADE');
is(findings('primary', q{severity = 'error'}), 'error far connection', '... once');
$far->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$far->start;
finds('primary', 'error far connection', 'preloaded', 'shared_preload_libraries');
finds('far', 'error (this server) shared_preload_libraries', 'preloaded', 'restart');
$far->append_conf('postgresql.conf', "shared_preload_libraries = 'consistency'");
$far->restart;
is(findings('primary', q{node = 'far' AND subject = 'connection'}), '', 'preloaded: it can be asked');

# --- no primary, and two ------------------------------------------------

$cluster->primary->stop('immediate');
finds('near', 'error - primary', 'no primary', 'pg_promote');
$cluster->primary->start;
$cluster->node('near')->promote;
foreach my $where ($cluster->names)
{
	finds($where, 'error - primary', '"primary" (timeline 1), "near" (timeline 2)', 'Stop all but');
	finds($where, 'error primary timeline', 'deposed', 'Stop it');
}
change('primary', synchronous_standby_names => "''");
$cluster->sql('primary', 'DROP SERVER "primary" CASCADE');
finds('primary', 'error (this server) nodes', 'declared', 'CREATE SERVER');
$cluster->sql('near', 'DROP EXTENSION consistency CASCADE; CREATE EXTENSION consistency');
finds('near', 'notice - nodes', 'declares no nodes', 'CREATE SERVER');

done_testing();
