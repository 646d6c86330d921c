# What a node knows of the primary's position at which time: the lag that
# follows from it tells.  Asynchronous commits, a primary that loses them, one
# that isn't declared to itself, a new one; and how a replica learns of the
# first nodes.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(
	extension => 0,
	conf => <<'CONF',
restart_after_crash = on
bgwriter_lru_maxpages = 0
CONF
	setup => 'CREATE TABLE t (i int, s text); GRANT ALL ON t TO app;');

# --- the first nodes, declared while nobody is connected to the replicas ---

$cluster->declare('postgres');
foreach my $name (qw(near far))
{
	wait_until(
		sub { slurp_file($cluster->node($name)->logfile) =~ /consistency: node \S+ is up/ },
		"$name notices the first nodes");
	pass("$name notices the first nodes by itself");
}
$cluster->wait_all_up;

# A node's view of another one satisfies a condition, sooner or later.
sub sees
{
	my ($where, $of, $condition, $what) = @_;
	ok( $cluster->node($where)->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM consistency.nodes WHERE name = '$of' AND ($condition)"),
		$what);
	return;
}

# --- asynchronous commits -----------------------------------------------

{
	my $writer = $cluster->connect('primary');
	my $walwriter = $cluster->sql('primary',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});

	# nobody flushes now what is committed asynchronously
	kill 'STOP', $walwriter;
	$writer->do('SET synchronous_commit = off');
	$writer->do(q{INSERT INTO t SELECT 1, repeat('x', 100) FROM generate_series(1, 1500)});
	my ($lsn) = $writer->parameter('consistency.token') =~ m{([0-9A-F]+/[0-9A-F]+)$};
	is($cluster->sql('primary', "SELECT pg_current_wal_flush_lsn() < '$lsn'"),
		't', 'an asynchronous commit, not flushed');
	is($cluster->sql('primary', qq{SELECT "position" >= '$lsn' FROM consistency.node_status()}),
		't', '... is in the position that the primary tells');
	sees('near', 'primary', "position >= '$lsn'", '... and that a replica hears');
	sees('near', 'near', "lag > '300 ms'", 'a replica knows that it misses the commit');

	# the primary crashes; replicas never had what is lost
	kill 'KILL', $walwriter;
	sees('near', 'primary', "state = 'up' AND position < '$lsn'", 'the primary has lost it');
	is($cluster->sql('primary', 'SELECT count(*) FROM t'), 0, '... indeed');
	sees('near', 'near', q{lag = '0'}, 'nobody misses it any more');
}

# --- a primary that isn't declared knows its own position -----------------

{
	my $writer = $cluster->connect('primary');

	$cluster->sql('primary', 'DROP SERVER "primary" CASCADE');
	$cluster->pause('far');
	$writer->do('INSERT INTO t VALUES (2)');
	sees('primary', 'far', "lag > '500 ms'", 'not declared to itself, the primary still knows lags');
	sees('primary', 'near', q{lag = '0'}, '... of those that have none as well');
	$cluster->resume('far');
	sees('primary', 'far', q{lag = '0'}, '... and when they have caught up');
}

# --- promotion ----------------------------------------------------------

{
	$cluster->wait_replayed;
	$cluster->primary->stop('fast');
	$cluster->node('near')->promote;
	$cluster->node('far')->enable_streaming($cluster->node('near'));
	$cluster->node('far')->reload;
	sees($_, 'far', q{timeline = 2 AND lag = '0'}, "$_ knows the lag behind the new primary")
	  for qw(near far);

	$cluster->pause('far');
	$cluster->connect('near')->do('INSERT INTO t VALUES (3)');
	sees($_, 'far', "lag > '300 ms'", "$_ sees it grow") for qw(near far);
	$cluster->resume('far');
	sees($_, 'far', q{lag = '0'}, "$_ sees it end") for qw(near far);
}

done_testing();
