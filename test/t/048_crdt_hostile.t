# No input does harm to a CRDT's functions: damaged text, binary forms and stored
# states (test/fuzz/hostile.c).  Under sanitizers and valgrind: make fuzz.  The
# extension isn't preloaded here, as nothing of this needs it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CrdtFuzz;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $inputs = 30000;
my $stored = 300;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->start;

my $fuzz = CrdtFuzz->new($node);
foreach my $type (CrdtFuzz->types)
{
	my $calls = $fuzz->call("crdt_hostile('$type', 1, $inputs)");

	cmp_ok($calls // 0, '>', $inputs, "$type: $inputs inputs");
	$calls = $fuzz->call("crdt_stored('$type', 1, $stored)");
	cmp_ok($calls // 0, '>', $stored, "$type: $stored damaged states in a table");
}
unlike(slurp_file($node->logfile), qr/server process .* was terminated|PANIC|TRAP/,
	'no process of the server crashed');

$node->stop;
done_testing();
