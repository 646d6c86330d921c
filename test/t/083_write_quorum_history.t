# After the wrong node was promoted: a standby that has more than the new primary can't
# follow it, and goes on telling it how far it is.  That confirms nothing.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $cluster = ConsistencyCluster->new(conf => "wal_retrieve_retry_interval = '100ms'\n");
my $writer = $cluster->connect('primary');
$writer->do('CREATE TABLE t (i int)');
# what they differ in is in one file of the log, which is asked for from its beginning
$cluster->sql('primary', 'SELECT pg_switch_wal()');
$writer->do('INSERT INTO t VALUES (1)');
$cluster->wait_replayed;

# near leaves; far and the primary are a quorum
$cluster->node('near')->append_conf('postgresql.conf', "primary_conninfo = ''");
$cluster->node('near')->reload;
wait_until(sub { $cluster->sql('near', 'SELECT count(*) FROM pg_stat_wal_receiver') == 0 }, 'near has left');
$writer->do("SET consistency.write_quorum = 'quorum'");
$writer->do('INSERT INTO t SELECT generate_series(2, 5000)');
my $far_at = $cluster->sql('far', 'SELECT pg_last_wal_replay_lsn()');
$cluster->primary->stop('immediate');

$cluster->node('near')->promote;
$cluster->set_primary('near');
$cluster->stream_from('far', 'near');
$cluster->node('far')->reload;
# it has asked, and told
wait_until(sub { (() = slurp_file($cluster->node('far')->logfile) =~ /forked off .* before current recovery point/g) > 3 },
	'far tries to follow, and can not');

$writer = $cluster->connect('near');
is($writer->value('SELECT count(*) FROM t'), 1, 'the new primary lacks what was acknowledged');
$writer->do("SET consistency.write_quorum = 'quorum'");
$writer->do("SET consistency.write_quorum_timeout = '500ms'");
my $error = $writer->query('INSERT INTO t VALUES (-1)')->{error};
is($error && $error->{code}, 'YC003', 'what it writes is confirmed by nobody');
is($cluster->sql('near', "SELECT pg_current_wal_lsn() < '$far_at'::pg_lsn"), 't', '... though the other one is further on, elsewhere');

done_testing();
