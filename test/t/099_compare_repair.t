# consistency.compare() and consistency.repair(): rows that differ between members are
# found and merged, whatever made them differ; and while members write, nothing is
# taken for a difference that is on its way.
#
#   a <---> b     two members; later a third one, c

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster ();
use ConsistencyGroup;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $group = ConsistencyGroup->new(members => [ 'a', 'b' ], setup => <<'SQL');
CREATE TABLE t (k int PRIMARY KEY, n pncounter NOT NULL DEFAULT '{}', v text, at timestamptz);
SELECT consistency.attach('t');
CREATE TABLE add (k int PRIMARY KEY, v text);
SELECT consistency.attach('add', deletes => 'add_wins');
CREATE TABLE pair (a text, b numeric, "C d" text, n int, PRIMARY KEY (b, a));
SELECT consistency.attach('pair', last_writer => 'column', accept => '{key}');
CREATE TABLE part (k int, r text, v text, PRIMARY KEY (r, k)) PARTITION BY LIST (r);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
CREATE TABLE part_us PARTITION OF part FOR VALUES IN ('us');
SELECT consistency.attach('part');
CREATE TABLE hot (k int PRIMARY KEY, n pncounter NOT NULL DEFAULT '{}', v int) WITH (fillfactor = 100);
CREATE INDEX ON hot (v);
SELECT consistency.attach('hot');
SQL

$group->sql('a', <<'SQL');
INSERT INTO t SELECT i, '{}', 'v' || i, '2024-01-01 12:00+02' FROM generate_series(1, 5000) i;
INSERT INTO add SELECT i, 'v' || i FROM generate_series(1, 100) i;
INSERT INTO pair SELECT chr(65 + i % 50) || i, i / 7.0, 'c' || i, i FROM generate_series(1, 3000) i;
INSERT INTO part SELECT i, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' FROM generate_series(1, 1000) i;
INSERT INTO hot SELECT i, '{}', 0 FROM generate_series(1, 2000) i;
SQL
$group->join;
$group->wait_quiet;

sub compare
{
	my ($where, $arguments, $columns) = @_;
	$columns //= 'part, peer, key, difference, columns';
	return $group->sql($where, "SELECT $columns FROM consistency.compare($arguments) ORDER BY part, peer, key");
}

sub repair
{
	my ($where, $arguments) = @_;
	return $group->sql($where,
		"SELECT key, difference, columns, here, there FROM consistency.repair($arguments) ORDER BY 1");
}

# Behind the triggers' backs, and not published.
sub behind
{
	my ($where, $table, $sql) = @_;
	$group->sql($where, <<"SQL");
SET session_replication_role = 'replica';
ALTER PUBLICATION consistency_g DROP TABLE $table;
ALTER TABLE $table DISABLE TRIGGER zzz_consistency_merge;
$sql;
ALTER TABLE $table ENABLE ALWAYS TRIGGER zzz_consistency_merge;
ALTER PUBLICATION consistency_g ADD TABLE $table;
SQL
	return;
}

# With triggers, but not published.
sub published_nowhere
{
	my ($where, $table, $sql) = @_;
	$group->sql($where, "ALTER PUBLICATION consistency_g DROP TABLE $table; $sql; ALTER PUBLICATION consistency_g ADD TABLE $table");
	return;
}

my @tables = qw(t add pair part hot);
my %order = (t => 'k', add => 'k', pair => 'b, a', part => 'r, k', hot => 'k');

sub equal_everywhere
{
	my ($table, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$group->wait_quiet;
	$group->is_equal("SELECT * FROM $table ORDER BY $order{$table}", $what);
	return;
}

# --- equal ----------------------------------------------------------------

is(compare('a', "'$_'"), '', "$_: no differences") for @tables;
is(compare('b', "'$_'"), '', "$_: none seen from the other member") for @tables;
is($group->sql('a', "SELECT part, peer, finished, rows, differences FROM consistency.compare_last('part')"),
	"part_eu|b|t|500|0\npart_us|b|t|500|0", 'what was compared is kept');
is($group->sql('a', "SELECT count(*) FROM consistency.compare_last('part_us')"), 1, 'of one partition, too');

# --- each kind of difference -------------------------------------------------

behind('a', 't', q{DELETE FROM t WHERE k IN (1, 2, 2500)});
behind('b', 't', q{DELETE FROM t WHERE k = 5000});
behind('a', 't', q{INSERT INTO t VALUES (0, '{}', 'zero'), (6000, '{}', 'more'), (6001, '{}', 'more')});
behind('b', 't', q{UPDATE t SET v = 'x', at = NULL WHERE k = 77});
my $different = <<'TEXT';
t|b|["0"]|missing_there|
t|b|["1"]|missing_here|
t|b|["2"]|missing_here|
t|b|["2500"]|missing_here|
t|b|["5000"]|missing_there|
t|b|["6000"]|missing_there|
t|b|["6001"]|missing_there|
t|b|["77"]|different|{at,v}
TEXT
chomp $different;
is(compare('a', "'t'"), $different, 'rows that are missing, or differ');
$different =~ s/\|b\|/|a|/g;
$different =~ s/missing_(\w+)/'missing_' . ($1 eq 'here' ? 'there' : 'here')/ge;
is(compare('b', "'t'"), $different, 'the same from the other side');
is($group->sql('b', "SELECT finished, rows, differences FROM consistency.compare_last('t')"), 't|4999|8',
	'what was found is counted');
my $limited = compare('a', "'t', max_differences => 3");
is(scalar(split /\n/, $limited), 3, 'no more differences than are wanted');
is($group->sql('a', "SELECT finished, differences FROM consistency.compare_last('t')"), 'f|3', 'and it is not finished');

is(repair('a', "'t'"), <<'TEXT' =~ s/\n\z//r, 'what is done of each key');
["0"]|missing_there||unchanged|inserted
["1"]|missing_here||inserted|
["2"]|missing_here||inserted|
["2500"]|missing_here||inserted|
["5000"]|missing_there||unchanged|inserted
["6000"]|missing_there||unchanged|inserted
["6001"]|missing_there||unchanged|inserted
["77"]|different|{at,v}|unchanged|merged
TEXT
is($group->sql('a', "SELECT finished, differences FROM consistency.compare_last('t')"), 't|0', 'nothing is left');
is(repair('a', "'t'"), '', 'nothing is done twice');
equal_everywhere('t', 'repaired');
is($group->sql('b', "SELECT count(*) FROM t"), 5003, 'with all rows');

# --- an update that was skipped, by hand ---------------------------------------

behind('b', 't', q{DELETE FROM t WHERE k BETWEEN 10 AND 12});
$group->sql('a', "UPDATE t SET v = 'updated', n = increment(n, 5) WHERE k BETWEEN 10 AND 12");
$group->wait_quiet;
is($group->sql('b', "SELECT count(*) FROM t WHERE k BETWEEN 10 AND 12"), 0, 'updates of rows that are missing are skipped');
is(compare('b', "'t'", 'key, difference'), join("\n", map { qq{["$_"]|missing_here} } 10 .. 12), 'that is found');
is(repair('b', "'t'"), join("\n", map { qq{["$_"]|missing_here||inserted|} } 10 .. 12), 'and healed');
equal_everywhere('t', 'healed');

# --- a deleted row that comes back behind the trigger's back ---------------------

foreach my $table ('t', 'add')
{
	$group->sql('a', "DELETE FROM $table WHERE k IN (20, 21)");
	$group->wait_quiet;
	behind($_, $table, "INSERT INTO $table (k, v) VALUES (20, 'undead')") for 'a', 'b';
	$group->sql('a', "DELETE FROM $table WHERE k = 20");
	equal_everywhere($table, "$table: it can be deleted again, here and there");
	is($group->sql('b', "SELECT count(*) FROM $table WHERE k = 20"), 0, "$table: and then is deleted");
	behind('b', $table, "INSERT INTO $table (k, v) VALUES (21, 'undead')");
	is(repair('a', "'$table'"), '["21"]|deleted_here||unchanged|deleted', "$table: a tombstone here, a row there");
	behind('b', $table, "INSERT INTO $table (k, v) VALUES (21, 'undead')");
	is(repair('b', "'$table'"), '["21"]|deleted_there||deleted|deleted', "$table: a row here, a tombstone there");
	behind('b', $table, "INSERT INTO $table (k, v) VALUES (21, 'undead')");
	$group->sql('a', "INSERT INTO consistency.settled_tombstones SELECT relation, key, version FROM consistency.tombstones"
		  . qq( WHERE relation = 'public.$table' AND key = '["21"]'));
	is(repair('b', "'$table'"), '["21"]|deleted_there||deleted|', "$table: a row does not come back if the tombstone is settled");
	behind('b', $table, qq(DELETE FROM consistency.tombstones WHERE relation = 'public.$table' AND key = '["21"]'));
	published_nowhere('b', $table, "INSERT INTO $table (k, v) VALUES (21, 'new')");
	is(repair('a', "'$table'"), '["21"]|deleted_here||inserted|', "$table: unless it was inserted anew");
	equal_everywhere($table, "$table: repaired");
}

# --- an old state ------------------------------------------------------------

# b's table as it was; since then rows were changed, deleted and inserted
$group->sql('b', 'CREATE TABLE saved AS SELECT * FROM t');
$group->sql('a', "UPDATE t SET v = v || '+', n = increment(n, 1) WHERE k % 10 = 0; DELETE FROM t WHERE k BETWEEN 100 AND 119;"
	  . "INSERT INTO t SELECT i, '{}', 'new' FROM generate_series(7001, 7040) i");
$group->sql('b', "UPDATE t SET v = v || '-', n = increment(n, 2) WHERE k % 10 = 5; DELETE FROM t WHERE k = 3");
$group->wait_quiet;
my $expected = $group->sql('a', 'SELECT count(*), sum(value(n)) FROM t');

behind('b', 't', 'DELETE FROM t; INSERT INTO t SELECT * FROM saved');
is($group->sql('b', "SELECT difference, count(*) FROM consistency.compare('t', max_differences => 100000) GROUP BY 1 ORDER BY 1"),
	"deleted_there|21\ndifferent|997\nmissing_here|40", 'an old state');
$group->sql('b', "SELECT * FROM consistency.repair('t', max_differences => 100000)");
equal_everywhere('t', 'an old state is brought up to date');
is($group->sql('b', 'SELECT count(*), sum(value(n)) FROM t'), $expected, 'with all that was written');

# --- other keys ---------------------------------------------------------------

# names of columns and texts that need quoting, a key of two columns in another order
behind('b', 'pair', q~UPDATE pair SET "C d" = E'it''s\\\\ "so", {NULL}\n' WHERE n % 1000 = 1; DELETE FROM pair WHERE n = 2999~);
$group->sql('a', q~INSERT INTO pair VALUES ('"q''{', 1.50, NULL, 0), (E'tab\t\\\\', 1.50, '', 0)~);
$group->wait_quiet;
behind('b', 'pair', q{DELETE FROM pair WHERE n = 0});
is($group->sql('a', "SELECT difference, columns, count(*) FROM consistency.compare('pair') GROUP BY 1, 2 ORDER BY 1"),
	"different|{\"C d\"}|3\nmissing_there||3", 'keys of two columns');
like(compare('a', "'pair'", 'key'), qr/^\["1\.50", "\\"q'\{"\]$/m, 'as tombstones have them');
is($group->sql('a', q{SELECT difference, here, there, count(*) FROM consistency.repair('pair') GROUP BY 1, 2, 3 ORDER BY 1, 2}),
	"different|merged|unchanged|3\nmissing_there|unchanged|inserted|3", 'are repaired');
equal_everywhere('pair', 'keys of two columns');

# text keys in another order at each member
$group->sql('a', 'CREATE TABLE words (w text COLLATE "C" PRIMARY KEY, n int)');
$group->sql('b', 'CREATE TABLE words (w text COLLATE "en-x-icu" PRIMARY KEY, n int)');
$group->sql($_, "SELECT consistency.attach('words')") for $group->names;
$group->sql('a', "INSERT INTO words SELECT w, 1 FROM (SELECT DISTINCT CASE i % 3 WHEN 0 THEN upper(md5(i::text))"
	  . " WHEN 1 THEN md5(i::text) ELSE '-' || md5(i::text) END FROM generate_series(1, 9000) i) x (w)");
$group->join;
$group->wait_quiet;
isnt($group->sql('a', 'SELECT string_agg(w, chr(32) ORDER BY w) FROM words'),
	$group->sql('b', 'SELECT string_agg(w, chr(32) ORDER BY w) FROM words'), 'the members sort words differently');
is(compare($_, "'words'"), '', "no false difference seen from $_") for $group->names;
behind('a', 'words', q{DELETE FROM words WHERE w IN (SELECT w FROM words ORDER BY md5(w) LIMIT 7)});
behind('b', 'words', q{DELETE FROM words WHERE w IN (SELECT w FROM words ORDER BY md5(w) DESC LIMIT 5)});
is($group->sql($_->[0], "SELECT difference, count(*) FROM consistency.compare('words') GROUP BY 1 ORDER BY 1"),
	"missing_here|$_->[1]\nmissing_there|$_->[2]", "each missing one is found from $_->[0]")
  for [ 'a', 7, 5 ], [ 'b', 5, 7 ];
$group->sql('b', "SELECT * FROM consistency.repair('words')");
$group->wait_quiet;
$group->is_equal('SELECT * FROM words ORDER BY w COLLATE "C"', 'words repaired');

# partitions
behind('a', 'part', "DELETE FROM part_us WHERE k < 10");
behind('b', 'part', "UPDATE part_eu SET v = 'y' WHERE k = 2");
is(compare('a', "'part'"), join("\n", 'part_eu|b|["eu", "2"]|different|{v}',
	map { qq(part_us|b|["us", "$_"]|missing_here|) } 1, 3, 5, 7, 9), 'partitions');
is(compare('a', "'part_eu'", 'key'), '["eu", "2"]', 'one of them');
$group->sql('a', "SELECT * FROM consistency.repair('part')");
equal_everywhere('part', 'partitions repaired');

# --- in pieces ------------------------------------------------------------------

behind('b', 't', 'DELETE FROM t WHERE k IN (50, 4000)');
is(compare('a', "'t', max_rows => 1000", 'key'), '["50"]', 'some rows');
is(compare('a', "'t', max_rows => 1000, resume => true", 'key'), '["4000"]', 'from there on');
is(compare('a', "'t', resume => true", 'key'), '', 'to the end');
is($group->sql('a', "SELECT finished, rows = (SELECT count(*) FROM t) + (SELECT count(*) FROM consistency.tombstones WHERE relation = 'public.t'), differences FROM consistency.compare_last('t')"),
	't|t|2', 'all in all');
is(compare('a', "'t', resume => true, max_rows => 1", 'key'), '["50"]', 'then it begins anew');
is(compare('a', q{'t', after => '["50"]'}, 'key'), '["4000"]', 'from a key on');
repair('a', "'t'");

# --- while all write -------------------------------------------------------------

# The same row everywhere for some milliseconds, then another one: updates that move
# a row make apply skip some, the last one of a row among them.  Old versions that are
# kept for a snapshot make it more likely.  And rows come and go.
my @holders = map { $group->connect($_) } $group->names;
$_->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1') for @holders;
my @load;
foreach my $name ($group->names)
{
	my $script = $PostgreSQL::Test::Utils::tmp_check . "/load_$name.sql";
	open my $file, '>', $script or die $!;
	print $file "\\set g random(8000, 8050)\n"
	  . "UPDATE hot SET n = increment(n), v = v + 1\n"
	  . " WHERE k = (SELECT 1 + (extract(epoch FROM clock_timestamp()) * 200)::bigint % 2000);\n"
	  . "INSERT INTO t (k, v) VALUES (:g, 'load') ON CONFLICT DO NOTHING;\n"
	  . "UPDATE t SET v = v || 'x' WHERE k = :g;\nDELETE FROM t WHERE k = :g AND random() < 0.3;\n";
	close $file;
	my $node = $group->node($name);
	push @load, IPC::Run::start(
		[ 'pgbench', '-n', '-c', 2, '-T', 12, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \my $out, '2>', \my $errors);
}
my %found = (hot => 0, t => 0);
my $compared = 0;
while (grep { $_->pumpable } @load)
{
	foreach my $where ('a', 'b')
	{
		$found{$_} += scalar(split /\n/, compare($where, "'$_'", 'key')) for 't', 'hot';
		$compared++;
	}
	$_->pump_nb for @load;
}
$_->finish or die for @load;
cmp_ok($compared, '>=', 4, 'compared while all write');
$_->query('COMMIT') for @holders;
$group->wait_quiet;
is($found{t}, 0, 'rows that come and go are no differences');

# What differs under load must be what apply has skipped, and nothing else.
sub skipped
{
	my ($name) = @_;
	return $group->sql($name, "SELECT coalesce(sum(count), 0) FROM consistency.stat_conflicts"
		  . " WHERE relation = 'hot'::regclass AND kind = 'update_missing'");
}
my $skipped = skipped('a') + skipped('b');
my $left = $group->sql('a', "SELECT count(*) FROM consistency.compare('hot')");
note "compared $compared times; apply skipped $skipped updates, of which $left rows differ; $found{hot} found meanwhile";
cmp_ok($found{hot}, '<=', $compared * $skipped, 'no difference without a skipped update');
cmp_ok($left, '<=', $skipped, 'nor afterwards');
is($group->sql('a', "SELECT count(*) FROM (SELECT * FROM hot) x"), 2000, 'all rows are there');
$group->sql('a', "SELECT * FROM consistency.repair('$_')") for 'hot', 't';
equal_everywhere($_, "$_: equal after a repair") for 'hot', 't';
is(compare('b', "'$_'"), '', "$_: and compare() says so") for 'hot', 't';


# --- updates that are skipped ---------------------------------------------------------

# The local update that makes apply skip another one goes there, is merged, and comes
# back with it.  Not so if it isn't sent on, as with origin none.
my $own = $group->sql('a', 'SELECT consistency.replica_id()');
sub updates_of_a
{
	my ($name) = @_;
	return $group->sql($name, "SELECT sum((n::text::jsonb -> '$own' ->> 'inc')::bigint) FROM hot");
}
my $total = $group->sql('a', 'SELECT sum(value(n)) FROM hot');
my $lost = 0;
$group->sql('b', 'ALTER PUBLICATION consistency_g DROP TABLE hot');
$_->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1') for @holders;
for (1 .. 6)
{
	my (@writers, %printed, %errors);
	foreach my $name ($group->names)
	{
		my $script = $PostgreSQL::Test::Utils::tmp_check . "/hot_$name.sql";
		open my $file, '>', $script or die $!;
		# b is where a was a moment ago
		print $file "\\set ago random(0, " . ($name eq 'b' ? 3 : 0) . ")\n"
		  . "UPDATE hot SET n = increment(n), v = v + 1\n"
		  . " WHERE k = (SELECT 1 + ((extract(epoch FROM clock_timestamp()) * 150)::bigint - :ago) % 2000);\n";
		close $file;
		$printed{$name} = $errors{$name} = '';
		push @writers, IPC::Run::start(
			[ 'pgbench', '-n', '-c', 2, '-T', 5, '-f', $script, '-h', $group->node($name)->host, '-p', $group->node($name)->port, 'postgres' ],
			'>', \$printed{$name}, '2>', \$errors{$name});
	}
	$_->finish or die join('', values %errors) for @writers;
	$total += $_ for map { /actually processed: (\d+)/ } values %printed;
	$group->wait_applied('a', 'b');
	$lost = updates_of_a('a') - updates_of_a('b');
	last if $lost > 0;
}
$_->query('COMMIT') for @holders;
$group->sql('b', 'ALTER PUBLICATION consistency_g ADD TABLE hot');
note "apply skipped " . (skipped('b') + 0) . " updates at b; $lost updates of a never came there";
SKIP:
{
	skip 'apply has skipped nothing', 2 if $lost == 0;
	cmp_ok($group->sql('a', "SELECT count(*) FROM consistency.compare('hot', max_differences => 5000) WHERE difference = 'different' AND columns @> '{n,row_version}'"),
		'>', 0, 'they are found');
	like($group->sql('b', "SELECT * FROM consistency.check()"), qr/skipped/, 'check() asks for it');
}
$group->sql('b', "SELECT * FROM consistency.repair('hot', max_differences => 5000)");
equal_everywhere('hot', 'skipped updates are healed');
is($group->sql('b', 'SELECT sum(value(n)) FROM hot'), $total, 'no increment is lost');
is(compare('b', "'hot'"), '', 'no difference is left');
unlike($group->sql('b', "SELECT * FROM consistency.check()"), qr/skipped.*hot|hot.*skipped/, 'and check() is content with it');

# --- cancelled, refused, out of reach -------------------------------------------------

my $away = $group->connect('b');
$away->query('BEGIN; LOCK TABLE words IN ACCESS EXCLUSIVE MODE');
my (undef, undef, $cancelled) = $group->try_sql('a', "SET statement_timeout = '300ms'; SELECT * FROM consistency.compare('words')");
like($cancelled, qr/canceling statement due to statement timeout/, 'it can be cancelled while a peer is asked');
$away->query('ROLLBACK');

$group->sql($_, "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT (k) ON t TO reader;") for $group->names;
sub refused
{
	my ($sql, $message, $what) = @_;
	my ($status, $out, $errors) = $group->try_sql('a', "SET ROLE reader; $sql");
	like($errors, $message, $what);
	return;
}
refused("SELECT * FROM consistency.compare('t')", qr/permission denied for table t/, 'who may not read all of the table');
refused("SELECT * FROM consistency.key_rows('public.t', 'public.t', 0, false, NULL, NULL, 10)", qr/permission denied for table t/, 'nor asked as a peer');
refused("SELECT * FROM consistency.key_states('public.t', 'public.t', 0, '{}', true)", qr/permission denied for table t/, 'nor for rows');
refused("SELECT * FROM consistency.key_digests('public.t', 'public.t', 0, false, '{NULL,NULL}')", qr/permission denied for table t/, 'nor for digests');
refused("SELECT * FROM consistency.comparisons", qr/permission denied for table comparisons/, 'keys of others');
$group->sql('a', 'GRANT SELECT ON t TO reader');
$group->sql('a', 'CREATE ROLE peer_reader');
$group->sql('b', "CREATE ROLE peer_reader LOGIN PASSWORD 'r'; GRANT SELECT (k) ON t TO peer_reader");
$group->sql('a', "CREATE USER MAPPING FOR reader SERVER b OPTIONS (user 'peer_reader', password 'r')");
$group->node('b')->append_conf('pg_hba.conf', '') ;
{
	my $hba = slurp_file($group->node('b')->data_dir . '/pg_hba.conf');
	open my $file, '>', $group->node('b')->data_dir . '/pg_hba.conf' or die $!;
	print $file "local all peer_reader scram-sha-256\n$hba";
	close $file;
	$group->node('b')->reload;
}
refused("SELECT * FROM consistency.compare('t')", qr/permission denied for table t.*read on node "b"/s, 'with the rights of the mapping at the peer');
$group->sql('b', 'GRANT SELECT ON t TO peer_reader');
behind('b', 't', "DELETE FROM t WHERE k = 30; UPDATE t SET v = 'old' WHERE k = 31");
is($group->sql('a', "SET ROLE reader; SELECT key FROM consistency.compare('t') ORDER BY 1"), qq(["30"]\n["31"]), 'who may read both may compare');
refused("SELECT * FROM consistency.repair('t')", qr/permission denied for table t/, 'but not repair');
my $merging = 'FUNCTION consistency.merge_row(regclass, text[], text[]), consistency.merge_tombstone(regclass, text, row_version, jsonb)';
$group->sql('a', 'GRANT INSERT, UPDATE, DELETE ON t TO reader');
$group->sql('a', "GRANT EXECUTE ON $merging TO reader");
$group->sql('b', "GRANT EXECUTE ON $merging TO peer_reader");
is($group->sql('a', "SET ROLE reader; SELECT key, here, there FROM consistency.repair('t') ORDER BY 1"),
	qq(["30"]||failed: permission denied for table t\n["31"]|unchanged|failed: permission denied for table t),
	'repaired as far as both roles may');
is($group->sql('a', "SELECT differences FROM consistency.compare_last('t')"), 2, 'what is left is known');
$group->sql($_, 'ALTER TABLE t ENABLE ROW LEVEL SECURITY') for $group->names;
refused("SELECT * FROM consistency.compare('t')", qr/row security of "t" hides rows from role "reader"/, 'row security is not passed by');
$group->sql($_, 'ALTER TABLE t DISABLE ROW LEVEL SECURITY') for $group->names;
$group->sql('a', "SELECT * FROM consistency.repair('t')");
equal_everywhere('t', 'repaired by somebody who may');

refused("RESET ROLE; CREATE TABLE plain (k int PRIMARY KEY); SELECT * FROM consistency.compare('plain')", qr/table "plain" is not attached/, 'a table that is not attached');
refused("RESET ROLE; SELECT * FROM consistency.compare('t', '{nobody}')", qr/member "nobody" is not declared here/, 'a member that nobody knows');
refused("RESET ROLE; SELECT * FROM consistency.compare('part', after => '[]')", qr/"part" is partitioned: its keys have no common order/, 'a key of a partitioned table');
$group->sql('b', 'ALTER TABLE words ADD COLUMN more int');
refused("RESET ROLE; SELECT * FROM consistency.compare('words')", qr/table "words" has other columns here than at the member that compares/, 'other columns');
$group->sql('b', 'ALTER TABLE words DROP COLUMN more');

# our own transaction isn't committed: others can't have it
is($group->sql('a', "BEGIN; UPDATE t SET v = 'mine' WHERE k = 40; INSERT INTO t (k) VALUES (99999);"
	  . "DELETE FROM t WHERE k = 41; SELECT key FROM consistency.repair('t'); ROLLBACK"), '', 'what is not committed is not compared');
equal_everywhere('t', 'nor sent');

# replication that stands still: nothing can be told then, unless asked what differs now
$group->sql('b', 'ALTER SUBSCRIPTION consistency_g_a DISABLE');
$group->sql('a', "UPDATE t SET v = 'late' WHERE k = 42");
refused("RESET ROLE; SELECT * FROM consistency.compare('t', settle => '1 s')",
	qr/replication between this member and "b" has not caught up within 1000 ms.*"b" has not applied yet what this member had written/s,
	'a peer that does not apply');
my (undef, undef, $disabled) = $group->try_sql('b', "SELECT * FROM consistency.compare('t')");
like($disabled, qr/subscription "consistency_g_a" is disabled/, 'told at once where that is known');
is(compare('a', "'t', settle => '0'", 'key, difference, columns'), '["42"]|different|{row_version,v}', 'what differs now');
is(repair('a', "'t', settle => '0'"), '["42"]|different|{row_version,v}|unchanged|merged', 'can be repaired all the same');
$group->sql('b', 'ALTER SUBSCRIPTION consistency_g_a ENABLE');
equal_everywhere('t', 'and replication goes on');

# --- three members --------------------------------------------------------------------

$group->add_node('c');
$group->sql('c', "CREATE TABLE words (w text PRIMARY KEY, n int); SELECT consistency.attach('words')");
$group->join(of => ['c']);
$group->wait_quiet;
is(compare('c', "'$_'"), '', "$_: the third member has all") for @tables;
behind('a', 't', 'DELETE FROM t WHERE k = 60');
behind('b', 't', "UPDATE t SET v = 'b' WHERE k = 61; DELETE FROM t WHERE k = 62");
behind('c', 't', "UPDATE t SET v = 'c' WHERE k = 61; DELETE FROM t WHERE k = 60");
is(compare('c', "'t'", 'peer, key, difference'), <<'TEXT' =~ s/\n\z//r, 'differences from each of the others');
a|["61"]|different
b|["60"]|missing_here
b|["61"]|different
b|["62"]|missing_there
TEXT
is(compare('c', "'t', peers => '{a}'", 'peer, key, difference'), 'a|["61"]|different', 'or from some');
$group->sql('c', "SELECT * FROM consistency.repair('t')");
equal_everywhere('t', 'all three are equal, by one call at one of them');
is(compare('a', "'t'"), '', 'and find it so');

$group->node('b')->stop('immediate');
my (undef, undef, $dead) = $group->try_sql('a', "SELECT * FROM consistency.compare('t')");
like($dead, qr/ERROR: .*(could not connect|connection to server).*read on node "b"/s, 'a member that is down is named');
is(compare('a', "'t', peers => '{c}'"), '', 'others can be compared with');

done_testing();
