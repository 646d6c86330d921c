# A node that lies about which transactions have finished can't damage the
# primary's table: consistency.verify_nodes() marks no row of one that runs.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new(replicas => []);
my $app = $cluster->connect('primary');
my $dba = $cluster->connect('primary', user => $cluster->superuser);
$dba->do('GRANT pg_monitor TO app');

# Another database plays the replica, and says what is in the table "told".
my $status = join ', ', map { $dba->value("SELECT quote_literal($_) FROM consistency.node_status()") }
  qw(system_identifier database);
$dba->do('CREATE DATABASE liar');
$cluster->primary->safe_psql('liar', <<"SQL");
CREATE SCHEMA consistency;
CREATE TABLE consistency.told (snapshot text);
INSERT INTO consistency.told VALUES ('');
CREATE FUNCTION consistency.block_digests(oid, oid, bigint, bigint, integer,
        OUT snapshot text, OUT part integer, OUT rows bigint, OUT digest bigint)
    RETURNS SETOF record LANGUAGE sql AS 'SELECT snapshot, NULL::int, NULL::bigint, NULL::bigint FROM consistency.told';
CREATE FUNCTION consistency.block_rows(oid, oid, bigint,
        OUT snapshot text, OUT place tid, OUT key text, OUT digest bigint, OUT columns bigint[])
    RETURNS SETOF record LANGUAGE sql AS 'SELECT snapshot, NULL::tid, NULL, NULL::bigint, NULL::bigint[] FROM consistency.told';
CREATE FUNCTION consistency.node_status(OUT instance bigint, OUT system_identifier text, OUT database oid,
        OUT in_recovery boolean, OUT timeline integer, OUT "position" pg_lsn, OUT version text)
    LANGUAGE sql AS \$\$SELECT 1, i, d::oid, true, 1, pg_current_wal_lsn(), NULL FROM (VALUES ($status)) AS s (i, d)\$\$;
GRANT USAGE ON SCHEMA consistency TO app;
GRANT SELECT ON consistency.told TO app;
SQL
$dba->do($cluster->server_sql('primary', 'liar') =~ s/SERVER "primary"/SERVER liar/gr);

sub verify_told
{
	my ($snapshot) = @_;
	$cluster->primary->safe_psql('liar', "UPDATE consistency.told SET snapshot = '$snapshot'");
	my $answer = $app->query(q{CALL consistency.verify_nodes('kept', nodes => '{liar}')});
	return $answer->{error}{code} if $answer->{error};
	return $app->value('SELECT coalesce(failure, state) FROM consistency.verifications ORDER BY verification DESC LIMIT 1');
}

$app->do('CREATE TABLE kept (id int PRIMARY KEY, v text)');

# A transaction runs, with a subtransaction whose rows are in the table.
my $writer = $cluster->connect('primary');
my $top = $writer->value('BEGIN; SELECT pg_current_xact_id()::text');
$writer->do(q{INSERT INTO kept VALUES (1, 'top')});
$writer->do(q{SAVEPOINT one; INSERT INTO kept VALUES (2, 'sub')});
my $sub = $writer->value('SELECT xmin FROM kept WHERE id = 2');
my $next = $sub + 1;
cmp_ok($sub, '>', $top, 'a subtransaction has written');

# "The subtransaction has finished, the one that it belongs to runs."
is(verify_told("$top:$next:$top,"), 'done', 'the snapshot is used');
# "There is no such subtransaction yet."
is(verify_told("$top:$sub:$top,"), 'done', 'one that is older is used, too');
$writer->do('COMMIT');
is($app->value('SELECT string_agg(v, \' \' ORDER BY id) FROM kept'), 'top sub',
	'what runs is not taken for aborted: its rows are there when it has committed');

# What isn't a snapshot is told.
is(verify_told($_), '08P01', "no snapshot: \"$_\"")
  for '', "$top", "$top:$next", "$top:$next:$top", "$top:$next:x,", "$top:$next:0,", "$top:$next:99999999999,";
is(verify_told("$top:" . ($next + 1000000) . ':'), '22000', 'nor one of the future');
is(verify_told("$top:$next:"), 'done', 'a right one: verified');
done_testing();
