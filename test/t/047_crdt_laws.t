# The laws of CRDTs on random histories with random deliveries, and their values
# and order against a model kept as logs of operations (test/fuzz/laws.c).  With
# other histories each time, and more of them: make fuzz.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CrdtFuzz;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $histories = 4000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'consistency'");
$node->start;

my $fuzz = CrdtFuzz->new($node);
foreach my $type (CrdtFuzz->types)
{
	my $checks = $fuzz->call("crdt_laws('$type', 1, $histories)");

	cmp_ok($checks // 0, '>', $histories, "$type: $histories histories");
}

# Histories are short.  The aggregate treats states by their size, so here are
# sets of 1 to 4096 elements, no element in two of them.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE sized AS
SELECT k, gset(jsonb_agg(k * 10000 + i)) AS s
FROM generate_series(0, 12) k, generate_series(1, 1 << k) i GROUP BY k;
SQL
foreach my $order ('k', 'k DESC', 'k % 3, k', 'k % 4, k DESC', 'hashint4(k)')
{
	is( $node->safe_psql('postgres',
			"SELECT merge(s ORDER BY $order) = (SELECT gset(jsonb_agg(e)) FROM sized, elements(s) e) FROM sized"),
		't', "merge() of sets of many sizes, in the order $order");
}

$node->stop;
done_testing();
