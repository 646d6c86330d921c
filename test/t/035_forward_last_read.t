# What consistency.last_read() says of statements that ran at the primary: each
# has an entry of its own, whatever kind of statement it is.  And where our own
# functions run.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ], setup => <<'SQL');
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t VALUES (1, 0);
ALTER TABLE t OWNER TO app;
CREATE PROCEDURE adds() LANGUAGE sql AS 'UPDATE t SET v = v + 1';
SQL
my $session = $cluster->connect('near');

sub last_read
{
	my $rows = $session->query('SELECT level, place, node, reason FROM consistency.last_read()')->{rows};
	return join('|', map { $_ // '' } @{ $rows->[0] });
}

my $here = qr/^session\|(local|waited)\|\|read at the replica/;
my $writes = 'session|forwarded|primary|statement writes, or may write';
my $utility = 'session|forwarded|primary|statement runs at the primary only';

# A read in between, and the question itself, must not be what is told of.
foreach my $case (
	[ 'UPDATE t SET v = v + 1', $writes ],
	[ 'COMMENT ON TABLE t IS NULL', $utility ],
	[ 'CALL adds()', $utility ],
	[ 'DO $$ BEGIN UPDATE t SET v = v + 1; END $$', $utility ])
{
	my ($sql, $expected) = @$case;
	foreach my $round (1, 2)
	{
		$session->do('SELECT v FROM t');
		like(last_read(), $here, "a read ahead of it ($round)");
		$session->do($sql);
		is(last_read(), $expected, "$sql ($round)");
	}
}

# asked for twice: the entry is that of the statement before the question
$session->do('COMMENT ON TABLE t IS NULL');
is(last_read(), $utility, 'asked for');
is(last_read(), $utility, '... and once more');

$session->do('BEGIN');
$session->do('LOCK TABLE t');
is(last_read(), $utility, 'LOCK, in a transaction');
$session->do('SELECT v FROM t');
is(last_read(), 'session|forwarded|primary|transaction runs at the primary', 'a read in it');
$session->do('LOCK TABLE t');
is(last_read(), $utility, 'LOCK, behind a read');
$session->do('COMMIT');

$session->do(q{SELECT consistency.set_policy('t', 'session')});
is(last_read(), $writes, 'set_policy()');
is($session->value('SELECT level FROM consistency.policies'), 'session', '... and here it is');
$session->do(q{SELECT consistency.drop_policy('t')});
is(last_read(), $writes, 'drop_policy()');
is($cluster->sql('near', q{SELECT value FROM consistency.node_facts() WHERE name = 'in_recovery'}),
	'true', 'node_facts() tells of the replica');

# a transaction that runs at the primary has the primary's time, however it is asked for
$session->do('BEGIN');
$session->do('UPDATE t SET v = v + 1');
my $time = $session->value('SELECT now() FROM t');
foreach my $ask ('now()', 'CURRENT_TIMESTAMP', 'LOCALTIMESTAMP::timestamptz', 'transaction_timestamp()')
{
	is($session->value("SELECT $ask"), $time, "$ask in a transaction at the primary");
}
$session->do('COMMIT');

$session->close;
done_testing();
