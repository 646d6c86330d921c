# Long values that an update doesn't change aren't sent.  The row's stamp speaks for
# them all the same: whoever writes the row sends them, and whoever gets a stamp
# without its value doesn't take it.

use strict;
use warnings FATAL => 'all';
use ConsistencyGroup;
use Test::More;

my $group = ConsistencyGroup->new(
	members => [ 'a', 'b', 'c' ],
	setup => <<'SQL');
CREATE FUNCTION long(seed int) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(md5(seed || ' ' || i), '') FROM generate_series(1, 400) i $$;
CREATE TABLE by_row (k int PRIMARY KEY, body text, n int, likes gcounter NOT NULL DEFAULT '{}');
CREATE TABLE by_column (k int PRIMARY KEY, body text, n int, likes gcounter NOT NULL DEFAULT '{}');
ALTER TABLE by_row ALTER body SET STORAGE EXTERNAL;
ALTER TABLE by_column ALTER body SET STORAGE EXTERNAL;
SELECT consistency.attach('by_row');
SELECT consistency.attach('by_column', last_writer => 'column');
SQL

sub all_equal
{
	my ($what) = @_;
	$group->is_equal("SELECT k, md5(body), n, likes, row_version FROM $_ ORDER BY k", "$what: $_")
	  for ('by_row', 'by_column');
}

$group->join;
foreach my $table ('by_row', 'by_column')
{
	$group->sql('a', "INSERT INTO $table VALUES (1, long(1), 0)");
}
$group->wait_quiet;
all_equal('inserted');

# b writes the long value, then a another column, without having seen that.
my %pause = map { $_ => $group->sql($_, "SELECT string_agg(format('ALTER SUBSCRIPTION %I DISABLE', subname), '; ') FROM pg_subscription") } ('a', 'b', 'c');
my %resume = %pause;
s/DISABLE/ENABLE/g for values %resume;

sub apart
{
	my (@changes) = @_;
	$group->sql($_, $pause{$_}) for ('a', 'b', 'c');
	while (my ($where, $sql) = splice @changes, 0, 2)
	{
		(my $other = $sql) =~ s/TABLE/by_column/g;
		$sql =~ s/TABLE/by_row/g;
		$group->sql($where, $sql);
		$group->sql($where, $other);
	}
	$group->sql($_, $resume{$_}) for ('a', 'b', 'c');
	$group->wait_quiet;
	return;
}

apart(
	b => 'UPDATE TABLE SET body = long(2)',
	a => 'UPDATE TABLE SET n = 1');
all_equal('the other column later');
is($group->sql('b', 'SELECT body = long(1), n FROM by_row'), 't|1',
	'by row: the last writer of the row has the long value as well');
is($group->sql('a', 'SELECT body = long(2), n FROM by_column'), 't|1',
	'by column: both changes are kept');

apart(
	a => 'UPDATE TABLE SET n = 2',
	b => 'UPDATE TABLE SET body = long(3)',
	c => 'UPDATE TABLE SET likes = likes + 1');
all_equal('the long value later');
is($group->sql('c', 'SELECT body = long(3), value(likes) FROM by_row'), 't|1', 'by row: the long value');

# c hears of b's long value only by a's update of another column: that is sent with
# b's stamp, but without the value
my $from_b = $group->sql('c', "SELECT format('ALTER SUBSCRIPTION %I', subname) FROM pg_subscription WHERE subname LIKE '%\\_b'");
$group->sql('c', "$from_b DISABLE");
foreach my $table ('by_row', 'by_column')
{
	$group->sql('b', "UPDATE $table SET body = long(4)");
}
wait_until(sub { $group->sql('a', 'SELECT (SELECT body = long(4) FROM by_row) AND (SELECT body = long(4) FROM by_column)') eq 't' },
	'a has it');
foreach my $table ('by_row', 'by_column')
{
	$group->sql('a', "UPDATE $table SET likes = likes + 1");
}
wait_until(sub { $group->sql('c', 'SELECT (SELECT max(value(likes)) FROM by_row) = 2 AND (SELECT max(value(likes)) FROM by_column) = 2') eq 't' },
	'c has what a did');
$group->sql('c', "$from_b ENABLE");
$group->wait_quiet;
all_equal('by another way');

# The same at one server: an update that brings a stamp and not its value.
foreach my $table ('by_row', 'by_column')
{
	$group->sql('c', <<"SQL");
SET session_replication_role = replica;
UPDATE $table SET n = 99, row_version = (jsonb_set(row_version::text::jsonb, '{stamp}', '999999999999999999') - 'columns')::text::row_version;
SQL
}
is($group->sql('c', 'SELECT n, row_version::text LIKE \'%999999999999999999%\' FROM by_row'), '1|f',
	'by row: a stamp without the long value is not taken');
is($group->sql('c', 'SELECT body = long(4), n FROM by_column'), 't|99', 'by column: what was sent is');

done_testing();
