# consistency.advise() in a cluster: lag, statements, replicas.  And what
# consistency.recommend() says of costs is measured.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'far' } ],
	preload => 'consistency,pg_stat_statements',
	setup => <<'SQL');
CREATE EXTENSION pg_stat_statements;
CREATE TABLE hot (i int);
CREATE TABLE cold (i int);
CREATE TABLE written (i int);
CREATE VIEW seen AS SELECT * FROM cold;
GRANT ALL ON hot, cold, written, seen TO app;
SQL

# So many scans of a table, so many rows written to it, each by a statement that
# a client sends.  Returns once they are counted.
sub use_table
{
	my ($where, $table, $reads, $writes) = @_;
	my $session = $cluster->connect($where, user => $cluster->superuser);
	$session->query("SELECT count(*) FROM $table") for 1 .. $reads;
	$session->query("INSERT INTO $table SELECT g FROM generate_series(1, $writes) g") if $writes;
	$session->query('SELECT pg_stat_force_next_flush()');
	$session->query('SELECT 1');
	$session->close;
	return;
}

# One column of the advice about a table, or about no table; a line for each.
sub advice
{
	my ($where, $column, $table) = @_;
	# not as a regclass: naming a table is enough for its policy to count
	my $about = $table ? "relation::text = '$table'" : 'relation IS NULL';
	return $cluster->sql($where, "SELECT $column FROM consistency.advise() WHERE $about ORDER BY 1");
}

# The same, once it looks like that.
sub advised
{
	my ($where, $column, $table, $pattern, $what) = @_;
	my $found = '';
	ok( eval { wait_until(sub { $found = advice($where, $column, $table); $found =~ $pattern }, $what) },
		$what)
	  or diag($found);
	return;
}

# --- what pg_stat_statements adds -----------------------------------------

use_table('primary', 'hot', 1200, 12);
use_table('primary', 'cold', 1500, 2);
use_table('primary', 'written', 1000, 600);
$cluster->sql('primary', 'SELECT count(*) FROM seen');
$cluster->sql('primary', 'SELECT interval $$1 day$$ FROM hot');    # not parsed once normalised
$cluster->sql('primary', q{SELECT consistency.set_policy('hot', 'linearizable')});
like(
	advice('primary', 'expected_cost', 'hot'),
	qr/: 1201 \([0-9.]+\/s\); 1200 statements of [0-9.]+ ms, says pg_stat_statements\. Under causal: at most 1\.0 % of reads wait at a replica for a write to this table \(12 rows, 1201 reads\)/,
	'statements that read a table are found by its name');

# what the parser said of them when they ran isn't repeated
$cluster->sql('primary', 'SELECT i AS ' . 'x' x 70 . ' FROM hot');
my ($code, $stdout, $stderr) = $cluster->primary->psql('postgres', 'SELECT count(*) FROM consistency.advise()');
is("$code $stderr", '0 ', 'statements are parsed in silence');
is($cluster->sql('primary', 'SELECT count(*) > 0 FROM consistency.advise(); SHOW client_min_messages'),
	"t\nnotice", '... and messages are as they were');

is( $cluster->sql('primary', q{SELECT consistency.set_policy('hot', 'session')}), '', 'as a minimum');
is(advice('primary', 'finding', 'hot'), '', 'session: nothing to say');

# whoever can't read it gets the rest
my $app = $cluster->connect('primary');
like($app->value(q{SELECT string_agg(finding, ',' ORDER BY finding) FROM consistency.advise()}),
	qr/the lag of replicas is not shown to this role/, 'an ordinary user: told what is missing');
$cluster->sql('primary', 'REVOKE SELECT ON pg_stat_statements FROM PUBLIC');
ok($app->value('SELECT count(*) > 0 FROM consistency.advise()'), 'statements not granted: no error');
$cluster->sql('primary', 'GRANT SELECT ON pg_stat_statements TO PUBLIC');
$app->close;

# a role's own
$cluster->sql('primary', q{ALTER ROLE app SET consistency = 'linearizable'});
like(advice('primary', 'expected_cost'), qr/pg_stat_statements has none of them/, 'a role that has read nothing');
$app = $cluster->connect('primary');
$app->query('SELECT count(*) FROM cold') for 1 .. 3;
$app->close;
like(advice('primary', 'expected_cost'), qr/now all its reads .*: 3 statements of/, 'a role: its statements');
$cluster->sql('primary', q{ALTER ROLE app SET consistency = 'eventual'});
is(advice('primary', 'finding'), '', 'a role that only reads');
$app = $cluster->connect('primary');
$app->query('INSERT INTO cold VALUES (0)');
$app->close;
is(advice('primary', 'finding'), 'role app: writes, and reads below session', 'a role that writes');
is( advice('primary', 'statement'), q{ALTER ROLE app SET consistency = 'session';}, '... and what to do');
$cluster->sql('primary', 'ALTER ROLE app RESET ALL');

# --- lag ------------------------------------------------------------------

$cluster->wait_replayed;
$cluster->sql('primary', q{SELECT consistency.set_policy('cold', 'bounded', max_staleness => '1 s')});
$cluster->wait_replayed;
advised('primary', "finding || '.'", 'cold', qr/^$/, 'no replica is behind: a bound of a second');
like(advice('primary', 'expected_cost', 'written') . '.', qr/^\.$/, '... and nothing waits');

$cluster->pause('far');
$cluster->sql('primary', 'INSERT INTO cold VALUES (1)');
advised('primary', 'expected_cost', 'cold',
	qr/^now: 50\.0 % of reads at replicas wait, for up to .*: 1 of 2 are more than 1 s behind now\. With \d+ s: nothing now: none of 2 replicas/,
	'a replica further behind than the bound');
like(advice('primary', 'statement', 'cold'),
	qr/^SELECT consistency\.set_policy\('public\.cold', 'bounded', max_staleness => '\d+ s'\);$/, '... is told how to widen it');
advised('primary', 'finding', 'written', qr/^written as often as read, while replicas lag$/, 'a table whose reads would wait');
like(advice('primary', 'expected_cost', 'written'),
	qr/^now: at most 60\.0 % of reads wait at a replica for a write to this table \(600 rows, 1000 reads\), each for up to \d+ (?:m?s), by which the last of 2 is behind now\./,
	'... at most as many as there are writes');

# what is advised is done, and then there is nothing more to say
$cluster->sql('primary', advice('primary', 'statement', 'written'));
is($cluster->sql('primary', q{SELECT kind || ' ' || level FROM consistency.policies WHERE relation = 'written'::regclass}),
	'default bounded', 'the statement does it');

$cluster->sql('primary', q{SELECT consistency.set_policy('written', 'eventual', 'default')});
like(advice('primary', 'reason', 'written'),
	qr/^Sessions miss what they have written themselves: at the last replica about \d+ rows now\./, 'how much eventual misses');
$cluster->resume('far');
$cluster->wait_replayed;
advised('primary', "finding || '.'", 'cold', qr/^$/, 'caught up: nothing to say');

# --- read often, hardly written -------------------------------------------

# Reads of cold are many, and its policy is gone; others are written.
use_table('primary', 'hot', 1, 2000);
$cluster->sql('primary', q{SELECT consistency.drop_policy('cold')});
is(advice('primary', 'finding', 'cold'), 'read often, hardly written', 'a catalogue');
like(advice('primary', 'statement', 'cold'), qr/'bounded', kind => 'default', max_staleness => '100 s'\);/, '... may be a minute old and more');

# --- at a replica ---------------------------------------------------------

$cluster->sql('primary', q{SELECT consistency.set_policy('hot', 'bounded', max_staleness => '10 ms')});
$cluster->wait_replayed;
use_table('near', 'hot', 1000, 0);
is( $cluster->sql('near', q{SELECT reads || ' ' || coalesce(writes::text, '?') FROM consistency.table_facts() WHERE relation = 'hot'::regclass}),
	'1000 ?', 'a replica knows its own reads, and no writes');
is(advice('near', 'finding', 'hot'), "bound shorter than a heartbeat's interval", 'a replica judges by its reads');
like(advice('near', 'expected_cost', 'hot'), qr/^90\.0 % of reads at a replica make a round trip/, '... and its heartbeats');
is(advice('near', 'finding'), 'this server is a replica', '... and says what it does not know');
$cluster->sql('primary', q{SELECT consistency.set_policy('hot', 'linearizable')});
$cluster->wait_replayed;
like(advice('near', 'expected_cost', 'hot'), qr/a replica doesn't know how many reads follow a write/, '... nor guesses');

# presets are writes like policies
my $at_near = $cluster->connect('near', user => $cluster->superuser);
$cluster->sql('primary', 'CREATE USER MAPPING FOR "' . $cluster->superuser . '" SERVER "primary" OPTIONS (user \'' . $cluster->superuser . q{', password_required 'false')});
$cluster->wait_replayed;
$at_near->query(q{SELECT consistency.apply_preset('hot', 'feed')});
is($at_near->value(q{SELECT kind || ' ' || level FROM consistency.policies WHERE relation = 'hot'::regclass}),
	'default eventual', 'apply_preset() at a replica is forwarded');
$at_near->close;

# --- what is said of costs --------------------------------------------------

my $benchmarks = slurp_file("$FindBin::RealBin/../../docs/benchmarks.md");
my @costs = split /\n/, $cluster->sql('primary', <<'SQL');
SELECT DISTINCT cost
  FROM (VALUES (true, 'none', true), (false, 'causal', true), (false, 'none', true), (false, 'none', false)) q (critical, together, own),
       LATERAL consistency.recommend(critical => critical, collaboration => together, own_writes => own, backwards => own)
SQL
is(scalar @costs, 4, 'four levels that a benchmark measures');
foreach my $cost (@costs)
{
	my @names = $cost =~ /\b((?:overhead|forwarded)_\w+|barrier(?=,)|fence(?=,))/g;
	ok(@names > 0 && !(grep { $benchmarks !~ /^\| \Q$_\E +\|/m } @names), "benchmarks named: @names");
	ok($benchmarks =~ /\| \Q$_\E +\|/, "a row of theirs: $_") foreach $cost =~ /"([^"]+)"/g;
}

# ... and so are the consequences that docs/choosing.md tells
my $choosing = slurp_file("$FindBin::RealBin/../../docs/choosing.md");
my @rows;
push @rows, [ $1, $2 ] while $choosing =~ /\| (\w+), "([^"]+)" \|$/mg;
cmp_ok(scalar @rows, '>', 8, 'docs/choosing.md: rows of benchmarks');
ok($benchmarks =~ /^\| \Q$_->[0]\E +\| \Q$_->[1]\E +\|/m, "docs/choosing.md: $_->[0], $_->[1]") foreach @rows;
is($cluster->sql('primary', 'SELECT string_agg(preset, \' \' ORDER BY preset) FROM consistency.presets'),
	join(' ', sort map { /^\| `(\w+)` \| (?:minimum|default) / ? $1 : () } split /\n/, $choosing),
	'docs/choosing.md: the presets');

# without pg_stat_statements in the library list, but created
$cluster->primary->append_conf('postgresql.conf', "shared_preload_libraries = 'consistency'");
$cluster->primary->restart;
$cluster->wait_all_up('primary');
ok($cluster->sql('primary', 'SELECT count(*) >= 0 FROM consistency.advise()'), 'pg_stat_statements created, not loaded: no error');

done_testing();
