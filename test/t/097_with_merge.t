# The stories of 096_without_merge.t, told of attached tables.
#
#   one <---> two         servers with the extension; every story has tables, a
#                         publication and a subscription of its own, both ways

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use TwoWays;

my $nodes = TwoWays->new(extension => 1);
my ($one, $two) = ($nodes->one, $nodes->two);

# Waits until each has what the other one sent, echoes included.
sub settle
{
	foreach (1 .. 3)
	{
		$_->wait_for_catchup($nodes->name_at($nodes->other($_))) for $one, $two;
	}
	return;
}

# Does the log stop growing, for as long as an echo would take many times over?
sub comes_to_rest
{
	my ($what) = @_;
	my ($end, $calm, $last) = (time + 30, 0, '');
	while (time < $end && $calm < 20)
	{
		my $now = join ' ', map { $_->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()') } $one, $two;
		$calm = $now eq $last ? $calm + 1 : 0;
		$last = $now;
		usleep(50_000);
	}
	is($calm, 20, $what);
	return;
}

# The same at both; returns it.
sub same
{
	my ($query, $what) = @_;
	my ($ours, $theirs) = map { $_->safe_psql('postgres', $query) } $one, $two;
	is($theirs, $ours, $what);
	return $ours;
}

sub errors { return join ' ', map { $_->safe_psql('postgres', 'SELECT sum(apply_error_count + sync_error_count) FROM pg_stat_subscription_stats') } $one, $two; }

# Conflicts of a table and a kind that a member has counted.
sub conflicts
{
	my ($node, $table, $kind) = @_;
	return $node->safe_psql('postgres', "SELECT coalesce(sum(count), 0) FROM consistency.stat_conflicts WHERE relation = '$table'::regclass AND kind = '$kind'");
}

# --- echoes -------------------------------------------------------------

$nodes->story('echo', 'CREATE TABLE echo (id int PRIMARY KEY, v int)', sub {
	$nodes->note_writes('echo');
	$one->safe_psql('postgres', 'INSERT INTO echo VALUES (1, 0)');
	$nodes->poll($two, 'SELECT count(*) = 1 FROM echo', 'the row arrives');
	settle();
	is(errors(), '0 0', 'an insert that comes back is no error');
	$nodes->cut($one);
	$one->safe_psql('postgres', "UPDATE echo SET v = $_") for 1 .. 3;
	$nodes->poll($two, 'SELECT v = 3 FROM echo', 'three updates arrive');
	$nodes->join($one);
	settle();
	my $seen = q{SELECT string_agg(v::text, ' ' ORDER BY n) FROM seen};
	is($one->safe_psql('postgres', $seen), '0 1 2 3', 'no old value comes back, nothing is written twice');
	is($two->safe_psql('postgres', $seen), '0 1 2 3', '... at either end');
	comes_to_rest('... and the log comes to rest');
});

# --- counters -----------------------------------------------------------

$nodes->story('count', q{CREATE TABLE count (id int PRIMARY KEY, n gcounter NOT NULL DEFAULT '{}'); INSERT INTO count VALUES (1)}, sub {
	$nodes->cut($_) for $one, $two;
	$one->safe_psql('postgres', 'UPDATE count SET n = n + 1') for 1 .. 5;
	$two->safe_psql('postgres', 'UPDATE count SET n = n + 1') for 1 .. 3;
	$nodes->join($_) for $one, $two;
	settle();
	is(same('SELECT value(n) FROM count', 'counters are equal'), 8, '... and all 8 increments are there');
	same('SELECT * FROM count', '... and so are the states');
});

# --- the same key twice ---------------------------------------------------

$nodes->story('twice', q{CREATE TABLE twice (id int PRIMARY KEY, n gcounter NOT NULL DEFAULT '{}', t text)}, sub {
	$nodes->cut($_) for $one, $two;
	$one->safe_psql('postgres', q{INSERT INTO twice VALUES (1, gcounter(2), 'one')});
	$two->safe_psql('postgres', q{INSERT INTO twice VALUES (1, gcounter(3), 'two')});
	$two->safe_psql('postgres', q{INSERT INTO twice VALUES (2, gcounter(1), 'behind it')});
	$nodes->join($_) for $one, $two;
	settle();
	is(same('SELECT value(n), t FROM twice WHERE id = 1', 'one key inserted at both: one row'), '5|two', '... of both, the later text');
	is(same('SELECT count(*) FROM twice', 'what comes behind it arrives'), 2, '... everywhere');
	is(errors(), '0 0', '... and apply went on without an error');
	cmp_ok(conflicts($one, 'twice', 'insert_insert') + conflicts($two, 'twice', 'insert_insert'), '>', 0, '... and it is counted');
});

# --- a row that moves under the update --------------------------------------

$nodes->story('moved', q{CREATE TABLE moved (id int PRIMARY KEY, there pncounter NOT NULL DEFAULT '{}', here pncounter NOT NULL DEFAULT '{}', x int, y int);
	INSERT INTO moved VALUES (1); CREATE INDEX ON moved (x); CREATE INDEX ON moved (y)}, sub {
	my $loop = 'DO $$ BEGIN FOR i IN 1 .. 1000 LOOP UPDATE public.moved SET %1$s = %1$s OPERATOR(public.+) 1, %2$s = i; COMMIT; END LOOP; END $$;';
	my ($tries, $missed) = (0, 0);
	# ended by an update that is skipped at both: the last ones aren't made up for
	while ($tries++ < 20 && !$missed)
	{
		my $there = IPC::Run::start([ 'psql', '-XAtq', '-d', $one->connstr('postgres'), '-c', sprintf($loop, 'there', 'x') ]);
		$two->safe_psql('postgres', sprintf $loop, 'here', 'y');
		$there->finish;
		settle();
		$missed = conflicts($one, 'moved', 'update_missing') + conflicts($two, 'moved', 'update_missing');
	}
	cmp_ok($missed, '>', 0, 'updates are skipped, and counted');
	# the next one brings all that was skipped along
	$one->safe_psql('postgres', 'UPDATE moved SET x = 0');
	settle();
	$two->safe_psql('postgres', 'UPDATE moved SET y = 0');
	settle();
	my $n = 1000 * ($tries - 1);
	is(same('SELECT value(there), value(here) FROM moved', 'a row that moved becomes the same'), "$n|$n", '... with all increments');
	is(errors(), '0 0', '... and without an error');
});

# --- deleted there, updated here --------------------------------------------

foreach my $deletes ('remove_wins', 'add_wins')
{
	$nodes->story("deleted_$deletes", qq{CREATE TABLE deleted_$deletes (id int PRIMARY KEY, n gcounter NOT NULL DEFAULT '{}'); INSERT INTO deleted_$deletes VALUES (1)}, sub {
		my $table = "deleted_$deletes";
		settle();
		$nodes->cut($_) for $one, $two;
		$one->safe_psql('postgres', "UPDATE $table SET n = n + 1") for 1 .. 5;
		$two->safe_psql('postgres', "DELETE FROM $table");
		$nodes->join($_) for $one, $two;
		settle();
		is(same("SELECT count(*), sum(value(n)) FROM $table", "$deletes: both hold the same"), $deletes eq 'add_wins' ? '1|5' : '0|',
			$deletes eq 'add_wins' ? '... the row with all increments' : '... nothing');
		cmp_ok(conflicts($one, $table, 'delete_update'), '>', 0, '... which is counted where the row was changed');
		# an update whose row isn't there doesn't come as far as a trigger
		cmp_ok(conflicts($two, $table, 'update_missing'), '>', 0, '... and where it was deleted');
		comes_to_rest("... and the log comes to rest");
	}, "deletes => '$deletes'");
}

# --- TRUNCATE -----------------------------------------------------------

$nodes->story('emptied', 'CREATE TABLE emptied (id int PRIMARY KEY); INSERT INTO emptied VALUES (1)', sub {
	my ($status, $out, $error) = $one->psql('postgres', 'TRUNCATE emptied');
	isnt($status, 0, 'TRUNCATE is refused');
	like($error, qr/DELETE/, '... with what to do instead');
	$one->safe_psql('postgres', 'INSERT INTO emptied VALUES (2)');
	settle();
	is(same('SELECT count(*) FROM emptied', 'nothing is gone'), 2, '... at both');
});

# --- triggers -----------------------------------------------------------

$nodes->story('trigger', q{CREATE SCHEMA own; CREATE FUNCTION own.longer(text, text) RETURNS text IMMUTABLE LANGUAGE sql AS
		'SELECT CASE WHEN (length($1), $1) > (length($2), $2) THEN $1 ELSE $2 END';
	CREATE TABLE trigger (id int PRIMARY KEY, n gcounter NOT NULL DEFAULT '{}', t text); INSERT INTO trigger VALUES (1)}, sub {
	my $enabled = q{SELECT string_agg(DISTINCT tgenabled::text, '') FROM pg_trigger WHERE tgrelid = 'trigger'::regclass AND tgname LIKE 'zzz_consistency_merge%'};
	$nodes->cut($_) for $one, $two;
	$one->safe_psql('postgres', q{UPDATE trigger SET n = n + 1, t = 'longer than that'});
	$two->safe_psql('postgres', q{UPDATE trigger SET n = n + 1, t = 'short'});
	$nodes->join($_) for $one, $two;
	settle();
	is(same('SELECT value(n), t FROM trigger', 'with an empty search_path types and functions are found'), '2|longer than that', '... and merge');
	is($two->safe_psql('postgres', $enabled), 'A', 'the trigger fires always');
	$two->safe_psql('postgres', 'ALTER TABLE trigger ENABLE TRIGGER ALL');
	is($two->safe_psql('postgres', $enabled), 'O', '... until ENABLE TRIGGER ALL');
	like($two->safe_psql('postgres', 'SELECT problem FROM consistency.check()'), qr/trigger/, '... which check() tells');
}, q{columns => '{"t": "own.longer(text, text)"}'});

done_testing();
