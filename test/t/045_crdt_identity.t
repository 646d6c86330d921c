# A replica id names one incarnation of a writable database, and so no increment
# is lost.
#
#   primary ---> standby      promoted when the primary's last increments have
#                             reached another server, but not the standby
#   elsewhere                 a server that isn't preloaded
#   clone                     a copy of the primary's files
#
# What is the same place, and what another one, is tried with real files.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'standby' } ],
	conf => "wal_level = logical\n");
my $primary = $cluster->primary;
my $super = $cluster->superuser;

my $elsewhere = PostgreSQL::Test::Cluster->new('elsewhere');
$elsewhere->init(allows_streaming => 'logical');
$elsewhere->start;
$elsewhere->safe_psql('postgres', 'CREATE EXTENSION consistency');

# --- helpers ------------------------------------------------------------

# The id of a database, as a session of its own is told.
sub id_of
{
	my ($node, $database) = @_;
	return $node->safe_psql($database // 'postgres', 'SELECT consistency.replica_id()');
}

# How many ids a database knows of.
sub drawn
{
	my ($node, $database) = @_;
	return $node->safe_psql($database // 'postgres', 'SELECT count(*) FROM consistency.replica_ids');
}

# A session of the superuser, in any database of the primary.
sub session
{
	my ($database) = @_;
	return $cluster->connect('primary', user => $super, dbname => $database // 'postgres');
}

sub new_database
{
	my ($name) = @_;
	$primary->safe_psql('postgres', "CREATE DATABASE $name");
	$primary->safe_psql($name, 'CREATE EXTENSION consistency');
	return $name;
}

# Counts on, $by times, in transactions of their own; with another id if told.
# Returns the state.
sub count_on
{
	my ($node, $by, $id) = @_;
	my $sql = $id ? "SET consistency.replica_id = '$id';" : '';
	$sql .= 'UPDATE likes SET n = n + 1;' for 1 .. $by;
	return $node->safe_psql('postgres', "$sql SELECT n FROM likes");
}

# The value of what two states merge to.
sub merged
{
	my ($one, $other) = @_;
	return $elsewhere->safe_psql('postgres', "SELECT value('$one'::gcounter || '$other'::gcounter)");
}

my $id_pattern = qr/^[0-9a-f]{1,16}$/;

# --- drawn once, and kept -----------------------------------------------

my $id = id_of($primary);
like($id, $id_pattern, 'an id is drawn by who asks first');
is(id_of($primary), $id, '... and is the same for the next session');
is(drawn($primary), 1, '... and is written down once');
$primary->restart;
is(id_of($primary), $id, 'kept over a restart');
$primary->stop('immediate');
$primary->start;
is(id_of($primary), $id, 'kept over a crash');
$primary->safe_psql('postgres', 'VACUUM (FULL) consistency.replica_ids');
is(id_of($primary), $id, 'kept when its table is written anew');
is($primary->safe_psql('postgres', 'SELECT n FROM (VALUES (gcounter(3))) v (n)'), qq({"$id": 3}),
	'it is what stands in states');

# --- transactions -------------------------------------------------------

new_database('rolled');
my $one = session('rolled');
my $other = session('rolled');

is($one->error('BEGIN READ ONLY; SELECT consistency.replica_id()')->{code},
	'25006', 'none is drawn in a transaction that is read only');
like($one->error('SELECT 1 + consistency.replica_id()::int')->{message},
	qr/aborted/, '... which is over then');
$one->do('ROLLBACK');
like($one->error('BEGIN READ ONLY; SELECT gcounter(1)')->{hint},
	qr/Call consistency\.replica_id\(\) once/, '... with a hint');
$one->do('ROLLBACK');

$one->do('BEGIN');
my $lost = $one->value('SELECT consistency.replica_id()');
is($one->value('SELECT consistency.replica_id()'), $lost, 'the same within a transaction');
$one->do('SAVEPOINT s');
is($one->value('SELECT consistency.replica_id()'), $lost, '... and in a subtransaction');
$one->do('ROLLBACK TO s');
is($one->value('SELECT consistency.replica_id()'), $lost, '... and behind it');
$one->do('ROLLBACK');
is(drawn($primary, 'rolled'), 0, 'rolled back, there is none');

$one->do('BEGIN; SAVEPOINT s');
$lost = $one->value('SELECT consistency.replica_id()');
$one->do('ROLLBACK TO s');
my $kept = $one->value('SELECT consistency.replica_id()');
isnt($kept, $lost, 'rolled back to a savepoint, another one is drawn');
$one->do('COMMIT');
is($other->value('SELECT consistency.replica_id()'), $kept, '... and kept');
$one->query('BEGIN; SELECT 1/0');
$one->do('ROLLBACK');
is($one->value('SELECT consistency.replica_id()'), $kept, '... whatever else is rolled back');
is($one->value('BEGIN READ ONLY; SELECT gcounter(1)'), qq({"$kept": 1}), 'a read-only transaction uses what there is');
$one->do('ROLLBACK');

$one->do('BEGIN; CREATE TABLE mine AS SELECT gcounter(1) AS n');
$one->do('DROP EXTENSION consistency CASCADE; CREATE EXTENSION consistency');
isnt($one->value('SELECT consistency.replica_id()'), $kept, 'another extension, another id');
$one->do('ROLLBACK');
is($one->value('SELECT consistency.replica_id()'), $kept, '... unless that is rolled back');
$one->do('DROP EXTENSION consistency CASCADE; CREATE EXTENSION consistency');
my $anew = $one->value('SELECT consistency.replica_id()');
isnt($anew, $kept, '... or not');
is($other->value('SELECT consistency.replica_id()'), $anew, '... for others, too');

# two that find none
new_database('concurrent');
my @drawers = map { session('concurrent') } 1 .. 2;
$_->do('BEGIN') for @drawers;
my @ids = map { $_->value('SELECT consistency.replica_id()') } @drawers;
isnt($ids[0], $ids[1], 'two transactions that find no id draw one each, and nobody waits');
$_->do('COMMIT') for @drawers;
is($drawers[$_]->value('SELECT consistency.replica_id()'), $ids[$_], '... and keep it') for 0, 1;
my $later = id_of($primary, 'concurrent');
ok((grep { $_ eq $later } @ids), 'whoever comes later takes one of these');
is(id_of($primary, 'concurrent'), $later, '... and always the same');

# prepared transactions
new_database('prepared');
my $first = session('prepared');
my $second = session('prepared');
$first->do('BEGIN');
my $prepared = $first->value('SELECT consistency.replica_id()');
$first->do(q{PREPARE TRANSACTION 'draw'});
my $meanwhile = $first->value('SELECT consistency.replica_id()');
isnt($meanwhile, $prepared, 'what a prepared transaction has drawn is nobody else\'s yet');
is($second->value('SELECT consistency.replica_id()'), $meanwhile, '... nor its session\'s');
$second->do(q{COMMIT PREPARED 'draw'});
is($_->value('SELECT consistency.replica_id()'), $meanwhile, 'it is not needed when it is committed')
  for $first, session('prepared');
$first->do(q{BEGIN; SELECT consistency.draw_replica_id(); PREPARE TRANSACTION 'draw'});
is($_->value('SELECT consistency.replica_id()'), $meanwhile, 'drawn anew in a prepared transaction: not yet')
  for $first, $second;
$second->do(q{COMMIT PREPARED 'draw'});
isnt($first->value('SELECT consistency.replica_id()'), $meanwhile, '... then in force');
is($first->value('SELECT consistency.replica_id()'), $second->value('SELECT consistency.replica_id()'),
	'... everywhere');

# serializable transactions don't get in each other's way
$_->do('BEGIN ISOLATION LEVEL SERIALIZABLE') for $first, $second;
$_->do('SELECT consistency.draw_replica_id()') for $first, $second;
is($_->query('COMMIT')->{tag}, 'COMMIT', 'drawn in serializable transactions') for $first, $second;

# --- drawn on purpose ---------------------------------------------------

new_database('purpose');
my @sessions = map { session('purpose') } 1 .. 2;
my $old = $sessions[0]->value('SELECT consistency.replica_id()');
is($sessions[1]->value('SELECT consistency.replica_id()'), $old, 'two sessions with one id');
$sessions[0]->do('BEGIN');
my $new = $sessions[0]->value('SELECT consistency.draw_replica_id()');
isnt($new, $old, 'draw_replica_id() draws another one');
is($sessions[0]->value('SELECT consistency.replica_id()'), $new, '... at once');
is($sessions[1]->value('SELECT consistency.replica_id()'), $old, '... not yet for others');
$sessions[0]->do('ROLLBACK');
is($sessions[0]->value('SELECT consistency.replica_id()'), $old, '... and not if it is rolled back');
$new = $sessions[0]->value('SELECT consistency.draw_replica_id()');
is($sessions[1]->value('SELECT gcounter(1)'), qq({"$new": 1}), 'committed, it is in force in other sessions');
is(id_of($primary, 'purpose'), $new, '... and in those to come');
$sessions[0]->do('BEGIN; SELECT consistency.draw_replica_id()');
$sessions[1]->do('BEGIN; SELECT consistency.draw_replica_id()');
$_->do('COMMIT') for @sessions;
is($sessions[0]->value('SELECT consistency.replica_id()'), $sessions[1]->value('SELECT consistency.replica_id()'),
	'two draw at a time: one wins');

# whatever the order of rows in the table: room of what was rolled back is used anew
$sessions[0]->do('BEGIN; SELECT consistency.draw_replica_id() FROM generate_series(1, 20); ROLLBACK');
$sessions[0]->do('SELECT consistency.draw_replica_id()');
$sessions[0]->do('VACUUM consistency.replica_ids');
my @newest = map { $sessions[0]->value('SELECT consistency.draw_replica_id()') . ' ' . id_of($primary, 'purpose') } 1 .. 6;
is(scalar(grep { !/^(\w+) \1$/ } @newest), 0, 'the id that was drawn last is in force');
isnt($sessions[0]->value('SELECT max(ctid) = (SELECT ctid FROM consistency.replica_ids ORDER BY ordinal DESC LIMIT 1) FROM consistency.replica_ids'),
	't', '... wherever it stands');

# --- given by a setting -------------------------------------------------

my $set = session();
$set->do(q{SET consistency.replica_id = 'a'});
is($set->value('SELECT consistency.replica_id()'), 'a', 'the setting decides');
is($set->value('SELECT gcounter(2) + 1'), '{"a": 3}', '... under which id is counted');
foreach my $wrong ('0', 'g', '12345678123456781', '-1', ' ')
{
	is($set->error("SET consistency.replica_id = '$wrong'")->{code}, '22023', "\"$wrong\" is no id");
}
is($set->value('SELECT consistency.replica_id()'), 'a', '... and changes nothing');
is($set->error(q{ALTER SYSTEM SET consistency.replica_id = 'a'})->{code}, '55P02', 'not for a server');
$primary->append_conf('postgresql.conf', q{consistency.replica_id = 'b'});
my $log = -s $primary->logfile;
$primary->reload;
wait_until(sub { slurp_file($primary->logfile, $log) =~ /consistency.replica_id cannot be set for a server/ },
	'the log tells');
is($set->value('SELECT consistency.replica_id()'), 'a', '... nor in its files, which are copied');
$set->do('RESET consistency.replica_id');
is($set->value('SELECT consistency.replica_id()'), $id, '... whatever they say');
$primary->adjust_conf('postgresql.conf', 'consistency.replica_id', undef);
is($set->value('SELECT consistency.replica_id()'), $id, 'without it, the own one');

# --- at a replica -------------------------------------------------------

$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE likes (i int PRIMARY KEY, n gcounter NOT NULL);
INSERT INTO likes VALUES (1, gcounter(2));
GRANT ALL ON likes TO app;
SQL
$cluster->wait_replayed('standby');
my $standby = $cluster->node('standby');
foreach my $call ('consistency.replica_id()', 'gcounter(1)', '(SELECT n + 1 FROM likes)', 'consistency.clock_next()')
{
	my $error = $cluster->connect('standby')->error("SELECT $call");
	is($error->{code}, '25006', "not at a standby: $call");
	like($error->{hint}, qr/at the primary/, '... with a hint');
}
my $watcher = $cluster->connect('standby', user => $super);
is($watcher->error('SELECT consistency.draw_replica_id()')->{code}, '25006', '... nor draw_replica_id()');
my $app = $cluster->connect('standby');
is($app->value(q{SET consistency.replica_id = 'a'; SELECT n + 1 FROM likes}),
	qq({"a": 1, "$id": 2}), 'a standby counts for a replica that it isn\'t itself');
is($app->value('SELECT consistency.clock_next() > 0'), 't', '... and has stamps for it');
$app->do('UPDATE likes SET n = n + 1');
$app->do('RESET consistency.replica_id');
$app->do('UPDATE likes SET n = n + 1');
is($app->value('SELECT n FROM likes'), qq({"a": 1, "$id": 3}),
	'an UPDATE there counts as the primary, or as its session says');
$primary->safe_psql('postgres', q{UPDATE likes SET n = gcounter(2)});

# --- dumps and copies of databases --------------------------------------

my $dump = $primary->backup_dir . '/dump.sql';
$primary->command_ok([ 'pg_dump', '-f', $dump, $primary->connstr('postgres') ], 'pg_dump');
unlike(slurp_file($dump), qr/replica_ids|clock_mark/, '... knows nothing of ids or the clock');
$primary->safe_psql('postgres', 'CREATE DATABASE restored');
$primary->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $primary->connstr('restored') ], 'restored');
is($primary->safe_psql('restored', 'SELECT n FROM likes'), qq({"$id": 2}), '... states are as they were');
my $restored = id_of($primary, 'restored');
isnt($restored, $id, '... but who changes them is another one');
$primary->safe_psql('restored', 'CREATE TABLE consistency_likes AS SELECT n + 1 AS n FROM likes');
is($primary->safe_psql('restored', "SELECT n -> '$restored' FROM (SELECT n::text::jsonb AS n FROM consistency_likes) l"),
	'1', '... and counts for itself');

$primary->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE restored');
is(drawn($primary, 'copied'), 1, 'a copy of a database has its template\'s rows');
my $copied = id_of($primary, 'copied');
isnt($copied, $restored, '... and draws an id of its own');
is(id_of($primary, 'restored'), $restored, '... which leaves the template alone');
$primary->safe_psql('postgres', 'ALTER DATABASE copied RENAME TO moved');
is(id_of($primary, 'moved'), $copied, 'another name is no other database');

# --- copies of files ----------------------------------------------------

$primary->stop;
$primary->backup_fs_cold('cold');
$primary->start;
my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($primary, 'cold');
$clone->start;
my $cloned = id_of($clone);
isnt($cloned, $id, 'a copy of the files draws an id');
is($clone->safe_psql('postgres', "SELECT to_hex(id) = '$cloned', timeline, ordinal FROM consistency.replica_ids ORDER BY ordinal DESC LIMIT 1"),
	't|1|2', '... on the same timeline');
is(id_of($primary), $id, '... and the original keeps its own');

# the same path, other files
$clone->stop;
my $path = $clone->data_dir;
system_or_bail('cp', '-a', $path, "$path.copy");
rename $path, "$path.old" or die $!;
rename "$path.copy", $path or die $!;
$clone->start;
my $second_clone = id_of($clone);
isnt($second_clone, $cloned, 'a copy that is moved to the original\'s path draws one, too');
count_on($clone, 2);

# back to the first files, by writing into them: they have an id, but somebody
# else has gone on from there
$clone->stop;
system_or_bail('rm', '-r', "$path.old/pg_wal", "$path.old/base");
system_or_bail('cp', '-a', "$path/.", "$path.old");
rename $path, "$path.copy" or die $!;
rename "$path.old", $path or die $!;
$clone->start;
my $back = id_of($clone);
isnt($back, $second_clone, 'back at a place that has an id: not the copy\'s');
isnt($back, $cloned, '... nor the one that was drawn here before the copy was made');
is($clone->safe_psql('postgres', "SELECT a.place = b.place FROM consistency.replica_ids a, consistency.replica_ids b "
	  . "WHERE to_hex(a.id) = '$back' AND to_hex(b.id) = '$cloned'"), 't', '... though it is that very place');

# the same files, as a standby for a while
$clone->stop;
$clone->set_standby_mode;
$clone->start;
is($clone->psql('postgres', 'SELECT consistency.replica_id()'), 3, 'a server that became a standby has no id');
$clone->promote;
isnt(id_of($clone), $back, '... and draws another one when it is promoted');
is($clone->safe_psql('postgres', 'SELECT count(*) FROM (SELECT place FROM consistency.replica_ids ORDER BY ordinal DESC LIMIT 2) r '
	  . 'GROUP BY place'), '2', '... though it never left its place');
$clone->stop;

# --- logical replication of all tables, both ways -----------------------

# In a database without other tables: on version 15 these would echo for ever.
new_database('mesh');
$elsewhere->safe_psql('postgres', 'CREATE DATABASE mesh');
$elsewhere->safe_psql('mesh', 'CREATE EXTENSION consistency');
my $mesh_id = id_of($primary, 'mesh');
my @mesh = ($primary, $elsewhere);
$_->safe_psql('mesh', 'CREATE PUBLICATION everything FOR ALL TABLES') for @mesh;
foreach my $n (0, 1)
{
	$mesh[$n]->safe_psql('mesh', "CREATE SUBSCRIPTION to_$n CONNECTION '"
		  . $mesh[ 1 - $n ]->connstr . " dbname=mesh' PUBLICATION everything");
	$mesh[$n]->wait_for_subscription_sync(undef, undef, 'mesh');
}
is(drawn($elsewhere, 'mesh'), 0, 'where all tables are published: replica ids do not come along');
my $elsewhere_id = id_of($elsewhere, 'mesh');
$primary->safe_psql('mesh', 'SELECT consistency.draw_replica_id()');
$mesh_id = id_of($primary, 'mesh');
# there, back, and there again
$mesh[$_]->wait_for_catchup('to_' . (1 - $_)) for 0, 1, 0;
is($_->safe_psql('mesh', 'SELECT sum(apply_error_count) FROM pg_stat_subscription_stats'),
	'0', '... and are no duplicates when they come back') for @mesh;
is(id_of($elsewhere, 'mesh'), $elsewhere_id, '... nobody takes another one\'s');
is(id_of($primary, 'mesh'), $mesh_id, '... on either side');
is(drawn($elsewhere, 'mesh'), 1, '... nor keeps it');
foreach my $n (0, 1)
{
	$mesh[$n]->safe_psql('mesh', "ALTER SUBSCRIPTION to_$n DISABLE; "
		  . "ALTER SUBSCRIPTION to_$n SET (slot_name = NONE); DROP SUBSCRIPTION to_$n");
}

# --- failover -----------------------------------------------------------

# What the standby has is counted under the old id, up to some point.
$primary->safe_psql('postgres', "UPDATE likes SET n = '{}'");
count_on($primary, 5);
$cluster->wait_replayed('standby');
$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
$standby->reload;
$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
  or die 'the standby still receives';

# The last increments are known elsewhere, and then the primary is gone.
my $last = count_on($primary, 3);
is($last, qq({"$id": 8}), 'the primary has counted to 8');
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT n FROM likes'), qq({"$id": 5}), '... and the standby knows of 5');

# the control first, on a copy of the value: what would be if the id were kept
my $pinned = $standby->safe_psql('postgres', <<"SQL");
SET consistency.replica_id = '$id';
CREATE TABLE control AS SELECT i, n FROM likes;
UPDATE control SET n = n + 1;
UPDATE control SET n = n + 1;
UPDATE control SET n = n + 1;
UPDATE control SET n = n + 1;
SELECT n FROM control;
SQL
is($pinned, qq({"$id": 9}), 'control: under the old id it counts on from there');
is(merged($last, $pinned), 9, 'control: and 3 of 12 increments are lost');

my $promoted = count_on($standby, 4);
my $promoted_id = id_of($standby);
isnt($promoted_id, $id, 'a promoted standby draws an id');
is($standby->safe_psql('postgres', "SELECT timeline FROM consistency.replica_ids WHERE to_hex(id) = '$promoted_id'"),
	'2', '... on its timeline');
is(merged($last, $promoted), 12, 'all 12 increments are there: 8 before the failover, 4 after it');
is(merged($promoted, $last), 12, '... in either order');
$standby->restart;
is(id_of($standby), $promoted_id, 'kept over a restart');
is(merged($last, count_on($standby, 1)), 13, '... and counted on');

done_testing();
