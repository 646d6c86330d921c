# What two-way replication of PostgreSQL's own does to tables that are written at both
# ends, without anything that merges.  097_with_merge.t tells the same stories of
# attached tables.
#
#   one <---> two         plain servers, without the extension; every story has tables,
#                         a publication and a subscription of its own, both ways

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TwoWays;

my $nodes = TwoWays->new;
my ($one, $two) = ($nodes->one, $nodes->two);

# --- echoes -------------------------------------------------------------

$nodes->story('echo', 'CREATE TABLE echo (id int PRIMARY KEY, v int)', sub {
	$nodes->note_writes('echo');
	$one->safe_psql('postgres', 'INSERT INTO echo VALUES (1, 0)');
	$nodes->poll($two, 'SELECT count(*) = 1 FROM echo', 'the row arrives');
	# the insert comes back as well, and an insert of a row that is there is an error
	$nodes->poll($one, 'SELECT apply_error_count > 0 FROM pg_stat_subscription_stats',
		'an insert that comes back stops apply where it was made');
});

$nodes->story('echo', 'CREATE TABLE echo (id int PRIMARY KEY, v int); INSERT INTO echo VALUES (1, 0)', sub {
	$nodes->note_writes('echo');
	$nodes->cut($one);
	$one->safe_psql('postgres', "UPDATE echo SET v = $_") for 1 .. 3;
	$nodes->poll($two, 'SELECT v = 3 FROM echo', 'three updates arrive');
	$nodes->join($one);
	$nodes->poll($one, 'SELECT count(*) > 3 FROM seen', 'they come back');
	is($one->safe_psql('postgres', 'SELECT string_agg(v::text, $$ $$ ORDER BY n) FROM seen WHERE n <= 4'),
		'1 2 3 1', '... and the old value with them');
	$nodes->poll($one, 'SELECT count(*) > 60 FROM seen', 'a row that nobody writes is written again and again');
	foreach my $node ($one, $two)
	{
		my $before = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
		$nodes->poll($node, "SELECT pg_current_wal_insert_lsn() > '$before'::pg_lsn + 20000", '... and the log grows at ' . $node->name);
	}
});

# --- counters -----------------------------------------------------------

$nodes->story('count', 'CREATE TABLE count (id int PRIMARY KEY, n bigint); INSERT INTO count VALUES (1, 0)', sub {
	$nodes->cut($_) for $one, $two;
	$one->safe_psql('postgres', 'UPDATE count SET n = n + 1') for 1 .. 5;
	$two->safe_psql('postgres', 'UPDATE count SET n = n + 1') for 1 .. 3;
	$nodes->join($_) for $one, $two;
	$_->wait_for_catchup($nodes->name_at($nodes->other($_))) for $one, $two;
	$nodes->cut($_) for $one, $two;
	foreach my $node ($one, $two)
	{
		cmp_ok($node->safe_psql('postgres', 'SELECT n FROM count'), '<=', 5, 'of 8 acknowledged increments three at least are lost at ' . $node->name);
	}
});

# --- the same key twice ---------------------------------------------------

$nodes->story('twice', 'CREATE TABLE twice (id int PRIMARY KEY, t text)', sub {
	$nodes->cut($_) for $one, $two;
	$one->safe_psql('postgres', q{INSERT INTO twice VALUES (1, 'one')});
	$two->safe_psql('postgres', q{INSERT INTO twice VALUES (1, 'two')});
	$two->safe_psql('postgres', q{INSERT INTO twice VALUES (2, 'behind it')});
	$nodes->join($_) for $one, $two;
	$nodes->poll($one, 'SELECT apply_error_count > 2 FROM pg_stat_subscription_stats', 'one key inserted at both: apply stops');
	is($one->safe_psql('postgres', 'SELECT count(*) FROM twice WHERE id = 2'), 0, '... and what comes behind it never arrives');
});

# --- a row that moves under the update --------------------------------------

$nodes->story('moved', 'CREATE TABLE moved (id int PRIMARY KEY, there int, here int); INSERT INTO moved VALUES (1, 0, 0); CREATE INDEX ON moved (there); CREATE INDEX ON moved (here)', sub {
	$nodes->cut($one);    # one way is enough
	$two->safe_psql('postgres', q{ALTER SYSTEM SET log_min_messages = 'debug1'});
	$two->reload;
	$nodes->poll($two, q{SELECT current_setting('log_min_messages') = 'debug1'}, 'the apply worker says more');
	my $from = -s $two->logfile;
	# both ends update the row as fast as they can
	my $loop = 'DO $$ BEGIN FOR i IN 1 .. 2000 LOOP UPDATE public.moved SET %1$s = %1$s + 1; COMMIT; END LOOP; END $$;';
	my $missed = 0;
	for my $try (1 .. 20)
	{
		my $here = $two->background_psql('postgres');
		my $there = IPC::Run::start([ 'psql', '-XAtq', '-d', $one->connstr('postgres'), '-c', sprintf($loop, 'there') ]);
		$here->query_safe(sprintf $loop, 'here');
		$there->finish;
		$here->quit;
		$one->wait_for_catchup($nodes->name_at($two));
		$missed = () = slurp_file($two->logfile, $from) =~ /did not find row to be updated/g;
		last if $missed;
	}
	note("$missed updates were skipped");
	cmp_ok($missed, '>', 0, 'an update is skipped, since its row moved under it');
	is($two->safe_psql('postgres', 'SELECT apply_error_count FROM pg_stat_subscription_stats'), 0, '... which no view tells');
	$two->safe_psql('postgres', q{ALTER SYSTEM RESET log_min_messages});
	$two->reload;
});

# --- deleted there, updated here --------------------------------------------

$nodes->story('deleted', 'CREATE TABLE deleted (id int PRIMARY KEY, n bigint); INSERT INTO deleted VALUES (1, 0)', sub {
	$nodes->cut($_) for $one, $two;
	$one->safe_psql('postgres', 'UPDATE deleted SET n = n + 1') for 1 .. 5;
	$two->safe_psql('postgres', 'DELETE FROM deleted; INSERT INTO deleted VALUES (1, 0); DELETE FROM deleted');
	$nodes->join($two);
	$one->wait_for_catchup($nodes->name_at($two));
	is($two->safe_psql('postgres', 'SELECT count(*) FROM deleted'), 0, 'updates of a row that was deleted are skipped');
	is($two->safe_psql('postgres', 'SELECT apply_error_count FROM pg_stat_subscription_stats'), 0, '... silently');
	is($one->safe_psql('postgres', 'SELECT n FROM deleted'), 5, '... while it is there at the other end');
});

# --- TRUNCATE -----------------------------------------------------------

$nodes->story('emptied', 'CREATE TABLE emptied (id int PRIMARY KEY); INSERT INTO emptied VALUES (1)', sub {
	my %file;
	$one->safe_psql('postgres', 'TRUNCATE emptied');
	foreach my $time (1 .. 5)
	{
		my $file = $one->safe_psql('postgres', q{SELECT pg_relation_filenode('emptied')});
		ok(!$file{$file}++, "TRUNCATE comes back, $time") or last;
		$nodes->poll($one, "SELECT pg_relation_filenode('emptied') <> $file", '... and again');
	}
	# no echo of the insert, which would stop the circle
	$two->safe_psql('postgres', 'ALTER PUBLICATION emptied SET (publish = $$truncate$$)');
	$one->safe_psql('postgres', 'ALTER PUBLICATION emptied SET (publish = $$truncate$$)');
	$one->safe_psql('postgres', 'INSERT INTO emptied VALUES (2)');
	$nodes->poll($one, 'SELECT count(*) = 0 FROM emptied', 'a row that was inserted long after it is gone');
});

# --- triggers -----------------------------------------------------------

$nodes->story('trigger', 'CREATE TABLE trigger (id int PRIMARY KEY, path text)', sub {
	foreach my $node ($one, $two)
	{
		$node->safe_psql('postgres', q{
			CREATE FUNCTION note_path() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN NEW.path := pg_catalog.current_setting(''search_path''); RETURN NEW; END';
			CREATE TRIGGER note_path BEFORE INSERT ON trigger FOR EACH ROW EXECUTE FUNCTION note_path();
			ALTER TABLE trigger ENABLE ALWAYS TRIGGER note_path});
	}
	$nodes->cut($one);
	my $enabled = q{SELECT tgenabled FROM pg_trigger WHERE tgname = 'note_path'};
	$one->safe_psql('postgres', 'INSERT INTO trigger VALUES (1)');
	$one->wait_for_catchup($nodes->name_at($two));
	is($one->safe_psql('postgres', 'SELECT path FROM trigger'), '"$user", public', 'a trigger has the search_path of the session');
	is($two->safe_psql('postgres', 'SELECT path FROM trigger'), '', '... and an empty one in the apply worker');
	is($two->safe_psql('postgres', $enabled), 'A', 'a trigger that fires always');
	$two->safe_psql('postgres', 'ALTER TABLE trigger DISABLE TRIGGER ALL; ALTER TABLE trigger ENABLE TRIGGER ALL');
	is($two->safe_psql('postgres', $enabled), 'O', '... does not any more after ENABLE TRIGGER ALL');
	$one->safe_psql('postgres', 'INSERT INTO trigger VALUES (2)');
	$one->wait_for_catchup($nodes->name_at($two));
	is($two->safe_psql('postgres', 'SELECT path FROM trigger WHERE id = 2'), '"$user", public',
		'... and the apply worker passes by it');
});

done_testing();
