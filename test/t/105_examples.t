# examples/: all of them, on one pair of servers with real replication, as
# "make examples" runs them.  What they claim is checked by themselves; here, that
# no claim was left out, what was seen before and after the link was healed, and
# that an example whose claim isn't so fails.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster ();
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my $top = "$FindBin::RealBin/../..";

# the server's programs are those of the test
$ENV{PG_CONFIG} //= 'pg_config';

# Runs examples of these sources in a directory of their own; returns what
# examples/show returns and prints.
sub show
{
	my ($name, $sources) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short() . '/e';
	my $out = '';
	my $returned =
	  IPC::Run::run([ 'bash', ($sources // $top) . '/examples/show', $name, $dir ], '<', \undef, '>&', \$out);
	ok(!glob("$dir/*/data/postmaster.pid"), "$name: servers are stopped");
	return ($returned, $out);
}

sub claims_in
{
	my ($text, $pattern) = @_;
	return scalar(() = $text =~ /$pattern/g);
}

my ($returned, $out) = show('all');
ok($returned, 'all examples show what they claim') or diag($out);

my ($nothing, %of) = split /^== (\w+)\n/m, $out;
foreach my $file (glob("$top/examples/*/scenario.sql"))
{
	my ($name) = $file =~ m{(\w+)/scenario\.sql$};
	my $claims = claims_in(slurp_file($file), qr/^SELECT expect\(/m);
	cmp_ok($claims, '>=', 3, "$name claims something");
	is(claims_in($of{$name} // '', qr/^ ok: /m), $claims, "$name: each claim was checked");
}

# What is seen where, in order; without what joining the group has run.
sub seen
{
	my ($name, $where) = @_;
	my @lines = grep { !/\| done *$/ } $of{$name} =~ /^ +((?:$where) +\|.*)$/mg;
	s/ +/ /g, s/ \| /|/g, s/ $// foreach @lines;
	return CORE::join("\n", @lines);
}

is(seen('cart', 'laptop|tablet|phone'),
	qq(laptop|["eggs", "milk"]\ntablet|[]\nphone|["bread", "milk", "tea"]),
	'cart: three devices, apart');
like($of{cart}, qr/^ merged\n\n.*^ unchanged\n/ms, 'cart: a row that is sent twice');
is(seen('inventory', 'london|paris'), "london|5|1\nparis|7|1\nparis|0|0\nlondon|2|2", 'inventory: what is left where');
like($of{inventory}, qr/^psql:.*ERROR:  not enough rights to take 2 from a bcounter$/m, 'inventory: an oversell');
like(seen('likes', 'london|paris'),
	qr/^london\|Hello\|6\nparis\|Hello\|11\nlondon\|Hello\|16\|.*\nparis\|Hello\|16\|.*$/,
	'likes: apart, and counted together');
is(seen('preferences', 'london|paris'),
	CORE::join("\n",
		'london|dark|en|3|"Ann, London"',
		'paris|light|fr|7|"Ann, Paris"',
		'london|dark|fr|7|"Ann, Paris"',
		'paris|dark|fr|7|"Ann, Paris"'),
	'preferences: apart, and merged');
like(seen('presence', 'london|paris'),
	qr/^paris\|f\|f\|.*12:03.*\nlondon\|t\|t\|.*12:05.*\nparis\|t\|f\|.*12:05.*\nlondon\|t\|f\|.*12:05.*$/,
	'presence: apart, and merged');
like($of{preferences}, qr/^ \["ann"\] \| volume \| "?3"? +\| "?7"? +\| took_incoming *$/m,
	'preferences: what was lost is written down');
is(seen('todo', 'london|paris'),
	CORE::join("\n",
		'london|3|Buy oat milk|f|["shop"]',
		'paris|1|Paint the door|t|[]',
		'paris|2|Sell the car|f|[]',
		'paris|3|Buy two pints of milk|f|["today"]',
		(map { ("$_|1|Paint the door|t|[]", "$_|3|Buy two pints of milk|f|[\"shop\", \"today\"]") } 'paris', 'london'),
		'paris|1|Paint the door|t|[]',
		'paris|3|Buy two pints of oat milk|f|["shop", "today"]'),
	'todo: apart, merged, and decided');
like($of{todo}, qr/^ \["3"\] \| title +\| Buy oat milk +\| f *\n \["3"\] \| title +\| Buy two pints of milk \| t *$/m,
	'todo: two titles to choose from');

# An example whose table isn't attached loses likes, and says so.
my $copy = PostgreSQL::Test::Utils::tempdir('sources');
mkdir "$copy/$_" foreach 'examples', 'examples/likes', 'tools';
foreach my $file (glob("$top/examples/*.sql $top/examples/{show,pair} $top/examples/likes/*.sql $top/tools/*.sh"))
{
	my $text = slurp_file($file);
	$text =~ s/^SELECT consistency\.attach.*//m if $file =~ /table\.sql$/;
	append_to_file($file =~ s/^\Q$top\E/$copy/r, $text);
}
($returned, $out) = show('likes', $copy);
ok(!$returned, 'without its trigger a table does not converge, and the example fails');
like($out, qr/ERROR:  not so: london has all 16 likes$/m, 'the claim that is not so is named');
like($out, qr/^WRONG: likes does not show what it claims$/m, '... and the example');

($returned, $out) = show('nothing');
ok(!$returned && $out =~ /no example "nothing".*cart +A shopping cart/s, 'an example that is not there');

done_testing();
