
=pod

=head1 NAME

EverydaySQL - a script of everyday SQL, to show that it isn't disturbed

=head1 DESCRIPTION

everyday($node, ...) runs the script at a PostgreSQL::Test::Cluster and returns
its output, errors included.  It must be the same on a plain server and on one
with the extension, whatever is preloaded, created, declared or set; nothing in
it depends on the server, and it leaves nothing behind.  The server needs
max_prepared_transactions.

Options: database, connstr (instead of it), explain => 0 to leave out what
shows plans.

=cut

package EverydaySQL;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT = qw(everyday);

my $script = <<'SQL';
\set VERBOSITY terse
CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL, balance numeric DEFAULT 0 CHECK (balance >= 0));
CREATE INDEX ON account (owner);
INSERT INTO account SELECT g, 'owner ' || g % 7, g FROM generate_series(1, 500) g;
SELECT count(*), sum(balance), min(owner), max(owner) FROM account;
UPDATE account SET balance = balance + 1 WHERE id % 2 = 0;
DELETE FROM account WHERE id > 490 RETURNING id;
SELECT owner, count(*) FROM account GROUP BY owner ORDER BY owner;
UPDATE account SET balance = -1 WHERE id = 1;
BEGIN;
SAVEPOINT a;
INSERT INTO account VALUES (1, 'twice');
ROLLBACK TO a;
INSERT INTO account VALUES (1000, 'once');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
SELECT max(id) FROM account;
COMMIT;
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM account ORDER BY id;
FETCH 3 FROM c;
COMMIT;
FETCH BACKWARD 1 FROM c;
FETCH LAST FROM c;
CLOSE c;
PREPARE p(int) AS SELECT owner FROM account WHERE id = $1;
EXECUTE p(3); EXECUTE p(4); EXECUTE p(5); EXECUTE p(6); EXECUTE p(7); EXECUTE p(8); EXECUTE p(9);
DEALLOCATE p;
CREATE FUNCTION total(o text) RETURNS numeric LANGUAGE plpgsql STABLE
    AS $$ DECLARE s numeric; BEGIN SELECT sum(balance) INTO s FROM account WHERE owner = o; RETURN s;
          EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
SELECT owner, total(owner) FROM (SELECT DISTINCT owner FROM account) o ORDER BY 1;
CREATE PROCEDURE move(a int, b int) LANGUAGE plpgsql
    AS $$ BEGIN UPDATE account SET balance = balance - 1 WHERE id = a; COMMIT;
                UPDATE account SET balance = balance + 1 WHERE id = b; ROLLBACK; END $$;
CALL move(10, 11);
SELECT id, balance FROM account WHERE id IN (10, 11) ORDER BY id;
CREATE VIEW rich AS SELECT * FROM account WHERE balance > 400;
SELECT count(*) FROM rich;
CREATE TABLE copy AS SELECT * FROM rich;
SELECT * INTO copy2 FROM rich LIMIT 3;
COPY (SELECT id FROM account ORDER BY id LIMIT 3) TO STDOUT;
EXPLAIN (COSTS off) SELECT * FROM account WHERE id = 3;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM account WHERE id = 3;
CREATE MATERIALIZED VIEW stock AS SELECT owner, sum(balance) FROM account GROUP BY owner;
REFRESH MATERIALIZED VIEW stock;
SELECT count(*) FROM stock;
CREATE TEMP TABLE scratch (i int) ON COMMIT DROP;
BEGIN;
LOCK TABLE account IN SHARE MODE;
SELECT id FROM account WHERE id = 3 FOR UPDATE;
COMMIT;
PREPARE TRANSACTION 'nothing';
BEGIN;
INSERT INTO account VALUES (2000, 'prepared');
PREPARE TRANSACTION 'something';
COMMIT PREPARED 'something';
SELECT owner FROM account WHERE id = 2000;
SELECT nextval('nothing');
SELECT 1/0;
SELECT;
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t;
WITH d AS (DELETE FROM account WHERE id = 2000 RETURNING *) SELECT * FROM d;
SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
SELECT count(*), sum(id) FROM account;
RESET ALL;
VACUUM ANALYZE account;
TRUNCATE copy;
DROP TABLE account CASCADE;
DROP TABLE copy, copy2;
DROP PROCEDURE move; DROP FUNCTION total;
SQL

sub everyday
{
	my ($node, %arg) = @_;
	my $sql = $script;
	$sql =~ s/^EXPLAIN .*\n//mg if exists $arg{explain} && !$arg{explain};
	my ($rc, $out, $err) = $node->psql(
		$arg{database} // 'postgres', $sql,
		on_error_stop => 0,
		$arg{connstr} ? (connstr => $arg{connstr}) : ());
	$err =~ s/^psql:<stdin>:\d+: //mg;
	return "$out\n--\n$err";
}

1;
