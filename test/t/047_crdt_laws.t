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

my $histories = 10000;

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

$node->stop;
done_testing();
