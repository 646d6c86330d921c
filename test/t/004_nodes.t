# The picture of the cluster that every node keeps: who is there, in which
# role, how far, and since when not.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'far' } ],
	setup => 'CREATE DATABASE second; CREATE DATABASE third;');

# A node's view of another one satisfies a condition, sooner or later.
sub sees
{
	my ($where, $of, $condition, $what) = @_;
	ok( $cluster->node($where)->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM consistency.nodes WHERE name = '$of' AND ($condition)"),
		$what // "$where sees $of: $condition");
	return;
}

# Connections that the monitors hold at a node.
sub heartbeats
{
	my ($name) = @_;
	return $cluster->sql($name,
		"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'consistency monitor'"
		  . " AND backend_type = 'client backend'");
}

# --- a statey cluster --------------------------------------------------

foreach my $where ($cluster->names)
{
	sees($where, 'primary', "state = 'up' AND role = 'primary' AND timeline = 1");
	sees($where, 'near', "state = 'up' AND role = 'replica' AND timeline = 1");
	sees($where, 'far', "state = 'up' AND role = 'replica' AND timeline = 1");
}
my $row = $cluster->node_row('near', 'far');
is($row->{host}, $cluster->node('far')->host, 'host');
is($row->{port}, $cluster->node('far')->port, 'port');
like($row->{position}, qr/^[0-9A-F]+\/[0-9A-F]+$/, 'position');
is($row->{this}, 'f', 'not the node that was asked');
is($cluster->node_row('near', 'near')->{this}, 't', 'the node that was asked');
is($row->{last_error}, undef, 'no error');

# positions move with the log
{
	my $app = $cluster->connect('primary');
	$app->do('CREATE TABLE t (i int)');
	$app->do('INSERT INTO t VALUES (1)');
	my $lsn = $cluster->sql('primary', 'SELECT pg_current_wal_flush_lsn()');
	foreach my $where ($cluster->names)
	{
		sees($where, $_, "position >= '$lsn'",
			"$where sees $_ reach the last write")
		  for $cluster->names;
	}

	# a replica that stands still isn't down, and is seen to stay behind
	$cluster->pause('far');
	my $stopped = $cluster->sql('far', 'SELECT pg_last_wal_replay_lsn()');
	$app->do('INSERT INTO t VALUES (2)');
	$lsn = $cluster->sql('primary', 'SELECT pg_current_wal_flush_lsn()');
	sees('primary', 'near', "position >= '$lsn'");
	sees('primary', 'far',
		"state = 'up' AND position < '$lsn'",
		'a paused replica is up, and behind');
	sees('primary', 'far', "lag > '200 ms'", 'its lag grows');
	$cluster->resume('far');
	sees('primary', 'far', "position >= '$lsn'",
		'resumed: it catches up');
	sees('primary', 'far', "lag < '10 s' OR lag IS NULL", '... and so does the picture of its lag');
}

# --- several databases, one round of heartbeats -------------------------

# every node is asked by three monitors, once each
foreach my $name ($cluster->names)
{
	wait_until(sub { heartbeats($name) <= 3 && heartbeats($name) >= 1 }, 'heartbeats');
}
my %before = map { $_ => heartbeats($_) } $cluster->names;
$cluster->declare($_) for qw(second third);
foreach my $database (qw(second third))
{
	$cluster->node('primary')->poll_query_until($database,
		q{SELECT count(*) = 3 FROM consistency.nodes WHERE state = 'up'});
	$cluster->node('near')->poll_query_until($database,
		q{SELECT count(*) = 3 FROM consistency.nodes WHERE state = 'up'});
}
pass('nodes are up in three databases');
foreach my $name ($cluster->names)
{
	is(heartbeats($name), $before{$name}, "$name: three databases, as many connections as for one");
	cmp_ok(heartbeats($name), '<=', 3, "$name: at most one connection from each node");
}

# gone from one database, there in the others
$cluster->sql('primary', 'DROP SERVER far CASCADE', 'second');
is( $cluster->sql('primary', q{SELECT string_agg(name, ',' ORDER BY name) FROM consistency.nodes}, 'second'),
	'near,primary', 'a dropped server disappears from its database');
sees('primary', 'far', q{state = 'up'}, '... and from no other');
$cluster->sql('primary', 'DROP EXTENSION consistency CASCADE', 'second');
$cluster->sql('primary', 'DROP DATABASE third');
sees('primary', 'far', q{state = 'up'}, 'extension and database dropped: the others go on');

# dropped everywhere: nobody asks it any more
$cluster->sql('primary', 'DROP SERVER far CASCADE');
is( $cluster->sql('primary', q{SELECT string_agg(name, ',' ORDER BY name) FROM consistency.nodes}),
	'near,primary', 'dropped in the last database: gone at once');
wait_until(sub { heartbeats('far') == 0 }, 'heartbeats to a dropped node end');
pass('dropped in the last database: its heartbeats end');
$cluster->wait_replayed('near');
is( $cluster->sql('near', q{SELECT string_agg(name, ',' ORDER BY name) FROM consistency.nodes}),
	'near,primary', 'the replica follows, as with any catalog');

# declared again, under another name
$cluster->sql('primary', $cluster->server_sql('far', 'postgres') =~ s/SERVER "far"/SERVER "Far away"/gr);
sees('primary', 'Far away', q{state = 'up' AND role = 'replica'});
$cluster->sql('primary', 'ALTER SERVER "Far away" RENAME TO far');
sees('primary', 'far', q{state = 'up' AND role = 'replica'}, 'renamed');
$cluster->wait_all_up;

# --- what monitors need -------------------------------------------------

{
	# without a mapping for the monitor's role a node stays unknown, and says why
	$cluster->sql('primary', 'DROP USER MAPPING FOR monitor SERVER far');
	sees('primary', 'far', q{state <> 'up' AND last_error IS NOT NULL}, 'no mapping: not up, with a reason');
	sees('primary', 'near', q{state = 'up'}, '... and no harm to the others');
	# with a wrong password it is down, and says why, but not the password
	$cluster->sql('primary',
		q{CREATE USER MAPPING FOR monitor SERVER far OPTIONS (user 'monitor', password 'not it')});
	sees('primary', 'far', q{state <> 'up' AND last_error LIKE '%password authentication failed%'},
		'wrong password: not up, with the reason');
	is( $cluster->sql('primary', q{SELECT count(*) FROM consistency.nodes n WHERE n::text LIKE '%not it%'}),
		0, '... which does not tell the password');
	$cluster->sql('primary',
		q{ALTER USER MAPPING FOR monitor SERVER far OPTIONS (SET password 'monitor secret')});
	sees('primary', 'far', q{state = 'up'}, 'mended: up');
	# without any role nothing is monitored
	my $primary = $cluster->primary;
	$primary->safe_psql('postgres', q{ALTER SYSTEM SET consistency.monitor_role = ''});
	$primary->reload;
	sees('primary', 'far', q{state = 'unknown'}, 'monitor_role taken away: nothing is known');
	$primary->safe_psql('postgres', q{ALTER SYSTEM SET consistency.monitor_role = 'nobody_of_that_name'});
	$primary->reload;
	sees('primary', 'far', q{state <> 'up'}, 'a role that does not exist: nothing is known');
	$primary->safe_psql('postgres', q{ALTER SYSTEM RESET consistency.monitor_role});
	$primary->reload;
	$cluster->wait_all_up('primary');
	pass('monitor_role is back: all are up');
}

# --- death and recovery -------------------------------------------------

{
	my $far = $cluster->node('far');
	$far->stop('immediate');
	sees($_, 'far', q{state = 'down' AND last_error IS NOT NULL}, "$_ sees far die") for qw(primary near);
	sees('primary', 'near', q{state = 'up'}, '... and near live');
	$far->start;
	sees($_, 'far', q{state = 'up' AND role = 'replica' AND last_error IS NULL}, "$_ sees far come back")
	  for qw(primary near);

	# a node that doesn't answer is down as well, though it accepts connections
	my $pid = slurp_file($far->data_dir . '/postmaster.pid') =~ /^(\d+)/ ? $1 : die;
	my @pids = ($pid, split /\n/, $cluster->sql('far', 'SELECT pid FROM pg_stat_activity'));
	kill 'STOP', @pids;
	sees('primary', 'far', q{state = 'down'}, 'a node that is stopped counts as down');
	sees('primary', 'near', q{state = 'up'}, '... and the round of heartbeats goes on');
	my $seen = $cluster->sql('primary', q{SELECT clock_timestamp()});
	sees('primary', 'near', "clock_timestamp() - heartbeat_age > '$seen'", '... at its pace');
	kill 'CONT', @pids;
	sees('primary', 'far', q{state = 'up'}, 'woken: up');

	# the primary dies: replicas go on, and see it
	$cluster->primary->stop('immediate');
	sees($_, 'primary', q{state = 'down'}, "$_ sees the primary die") for qw(near far);
	sees('near', 'far', q{state = 'up' AND role = 'replica'}, 'replicas see each other without it');
	my $reader = $cluster->connect('near');
	is($reader->value('SELECT count(*) FROM t'), 2, '... and read on');
	$cluster->primary->start;
	sees($_, 'primary', q{state = 'up' AND role = 'primary'}, "$_ sees the primary come back") for qw(near far);

	# the monitor itself dies: it is started again
	my $monitor = $cluster->sql('primary',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'consistency%' LIMIT 1});
	like($monitor, qr/^\d+$/, 'the monitor shows in pg_stat_activity');
	$cluster->sql('primary', "SELECT pg_terminate_backend($monitor)");
	$seen = $cluster->sql('primary', q{SELECT clock_timestamp()});
	sees('primary', 'near', "clock_timestamp() - heartbeat_age > '$seen' AND state = 'up'", 'a monitor that was terminated comes back');
}

# --- DROP DATABASE isn't held up by a monitor ---------------------------

$cluster->sql('primary', 'CREATE DATABASE fourth');
$cluster->declare('fourth');
$cluster->primary->poll_query_until('fourth',
	q{SELECT count(*) = 3 FROM consistency.nodes WHERE state = 'up'});
$cluster->sql('primary', 'DROP DATABASE fourth');
pass('a database with nodes can be dropped');

# --- promotion ----------------------------------------------------------

{
	$cluster->primary->stop('fast');
	$cluster->node('near')->promote;
	sees($_, 'near', q{state = 'up' AND role = 'primary' AND timeline = 2}, "$_ sees near promoted")
	  for qw(near far);
	sees($_, 'primary', q{state = 'down'}, "$_ sees the old primary gone") for qw(near far);
	$cluster->node('far')->enable_streaming($cluster->node('near'));
	$cluster->node('far')->reload;
	my $new = $cluster->connect('near');
	$new->do('INSERT INTO t VALUES (3)');
	my $token = $new->parameter('consistency.token');
	like($token, qr/^\d+:2:/, 'tokens are of the new timeline');
	my $reader = $cluster->connect('far');
	$reader->do("SET consistency.token = '$token'");
	is($reader->value('SELECT max(i) FROM t'), 3, 'a replica that follows shows what was written there');
	sees('near', 'far', q{state = 'up' AND role = 'replica' AND timeline = 2}, 'near sees far follow');
	# the new primary declares and drops nodes as the old one did
	$cluster->sql('near', 'DROP SERVER "primary" CASCADE');
	wait_until(
		sub {
			$cluster->sql('far', q{SELECT string_agg(name, ',' ORDER BY name) FROM consistency.nodes}) eq 'far,near';
		},
		'far follows the catalog of the new primary');
	pass('the new primary declares the nodes');
}

done_testing();
