# Perl's DBD::Pg where its session is at a replica: what a program of that kind
# does, and what it is told.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use DBD::Pg qw(:pg_types :async);
use DBI;
use PostgreSQL::Test::Utils;
use RealClients;
use Test::More;

my $cluster = clients_cluster();
my $endpoint = endpoint();

sub connect_dbi
{
	my (%attributes) = @_;
	local %ENV = (%ENV, client_environment($cluster, $endpoint));
	return DBI->connect('dbi:Pg:', '', '',
		{ AutoCommit => 1, RaiseError => 1, PrintError => 0, PrintWarn => 0, %attributes });
}

# A call fails with this state; returns the message.
sub fails
{
	my ($what, $state, $call) = @_;
	my $lived = eval { $call->(); 1 };
	my $message = $@;
	ok(!$lived, "$what: fails");
	is($DBI::state, $state, "$what: state");
	return $message;
}

# First column of the first row, by a handle of its own.
sub value
{
	my ($dbh, $sql, @parameters) = @_;
	return scalar $dbh->selectrow_array($sql, undef, @parameters);
}

my $dbh = connect_dbi();
my $truth = $cluster->connect('primary');
ok(defined $dbh->{pg_pid}, 'connected');
is(value($dbh, 'SELECT pg_is_in_recovery()'), at_replica() ? 1 : 0, '... where it should be');

# --- AutoCommit on --------------------------------------------------------

ok($dbh->do('CREATE TABLE item (id serial PRIMARY KEY, name text NOT NULL UNIQUE,
	price numeric(8,2) CHECK (price > 0), tags text[], blob bytea)'), 'DDL');
is($dbh->do('INSERT INTO item (name, price) VALUES (?, ?)', undef, 'one', 1), 1, 'insert: one row');
is($dbh->do('INSERT INTO item (name, price) VALUES (?, ?), (?, ?)', undef, 'two', 2, 'three', 3),
	2, 'insert: two rows');
is($dbh->do('UPDATE item SET price = 9 WHERE name = ?', undef, 'nobody'), '0E0', 'update: none');
is($dbh->do('UPDATE item SET price = price + 1'), 3, 'update: all');
is_deeply(
	$dbh->selectall_arrayref('SELECT name, price FROM item ORDER BY id'),
	[ [ 'one', '2.00' ], [ 'two', '3.00' ], [ 'three', '4.00' ] ],
	'reads what it wrote');
is($dbh->do('DELETE FROM item WHERE name = ?', undef, 'three'), 1, 'delete');
is(value($dbh, 'SELECT count(*) FROM item'), 2, '... is seen');
is($truth->value('SELECT count(*) FROM item'), 2, '... at the primary too');

is($dbh->last_insert_id(undef, undef, 'item', undef), 3, 'last_insert_id: by table');
is($dbh->last_insert_id(undef, undef, undef, undef, { sequence => 'item_id_seq' }), 3,
	'last_insert_id: by sequence');
is(value($dbh, 'SELECT lastval()'), 3, 'lastval()');
is(value($dbh, q{SELECT currval('item_id_seq')}), 3, 'currval()');
is(value($dbh, q{SELECT nextval('item_id_seq')}), 4, 'nextval()');
is(value($dbh, 'INSERT INTO item (name, price) VALUES (?, ?) RETURNING id', 'five', 5), 5, 'RETURNING');
my $sth = $dbh->prepare('UPDATE item SET price = price * 2 RETURNING name, price AS twice');
is($sth->execute, 3, 'RETURNING: rows');
is_deeply($sth->{NAME}, [ 'name', 'twice' ], 'RETURNING: names');
is_deeply($sth->{pg_type}, [ 'text', 'numeric' ], 'RETURNING: types');
is_deeply([ sort map { "@$_" } @{ $sth->fetchall_arrayref } ],
	[ 'five 10.00', 'one 4.00', 'two 6.00' ], 'RETURNING: values');
is($sth->{pg_cmd_status}, 'UPDATE 3', 'command status');

# --- transactions -----------------------------------------------------------

$dbh->begin_work;
ok(!$dbh->{AutoCommit}, 'begin_work');
is(value($dbh, 'SELECT count(*) FROM item'), 3, 'a read first');
$dbh->do('DELETE FROM item WHERE name = ?', undef, 'five');
is(value($dbh, 'SELECT count(*) FROM item'), 2, 'sees its own delete');
is($truth->value('SELECT count(*) FROM item'), 3, '... which nobody else does');
$dbh->rollback;
is(value($dbh, 'SELECT count(*) FROM item'), 3, 'rolled back');
ok($dbh->{AutoCommit}, '... and AutoCommit is back');
$dbh->begin_work;
$dbh->do('DELETE FROM item WHERE name = ?', undef, 'five');
$dbh->commit;
is(value($dbh, 'SELECT count(*) FROM item'), 2, 'committed');
is($truth->value('SELECT count(*) FROM item'), 2, '... at the primary');

{
	my $manual = connect_dbi(AutoCommit => 0);
	$manual->do(q{INSERT INTO item (name, price) VALUES ('six', 6)});
	is(value($manual, 'SELECT count(*) FROM item'), 3, 'AutoCommit off: sees its own');
	is(value($dbh, 'SELECT count(*) FROM item'), 2, '... alone');
	$manual->rollback;
	is(value($manual, 'SELECT count(*) FROM item'), 2, 'AutoCommit off: rolled back');
	$manual->do(q{INSERT INTO item (name, price) VALUES ('seven', 7)});
	$manual->commit;
	is(value($manual, 'SELECT count(*) FROM item'), 3, 'AutoCommit off: committed');
	$manual->rollback;

	# savepoints
	$manual->do(q{INSERT INTO item (name, price) VALUES ('eight', 8)});
	$manual->pg_savepoint('first');
	$manual->do(q{INSERT INTO item (name, price) VALUES ('nine', 9)});
	fails('in a savepoint', '23505',
		sub { $manual->do(q{INSERT INTO item (name, price) VALUES ('nine', 9)}) });
	fails('... and anything after it', '25P02', sub { value($manual, 'SELECT 1') });
	$manual->pg_rollback_to('first');
	is(value($manual, 'SELECT count(*) FROM item'), 4, 'pg_rollback_to');
	$manual->pg_savepoint('second');
	$manual->do(q{UPDATE item SET price = 80 WHERE name = 'eight'});
	$manual->pg_release('second');
	$manual->commit;
	is(value($manual, q{SELECT price FROM item WHERE name = 'eight'}), '80.00', 'pg_release');

	# what isn't committed is rolled back at the end of the session
	$manual->do('DELETE FROM item');
	$manual->disconnect;
	is(value($dbh, 'SELECT count(*) FROM item'), 4, 'disconnected: rolled back');
}
# the connection dies with the program
{
	my $pid = fork;
	if (!$pid)
	{
		my $lost = connect_dbi(AutoCommit => 0);
		$lost->do('DELETE FROM item');
		# no destructors, no goodbye
		kill 'KILL', $$;
	}
	waitpid $pid, 0;
	wait_until(
		sub {
			$truth->value(q{SELECT count(*) FROM pg_locks l WHERE relation = 'item'::regclass
				AND mode = 'RowExclusiveLock'}) == 0;
		},
		'locks of the dead are given back');
	is(value($dbh, 'SELECT count(*) FROM item'), 4, 'died: rolled back');
}

# --- placeholders and prepared statements ---------------------------------------

$dbh->do('TRUNCATE item RESTART IDENTITY');
$sth = $dbh->prepare('INSERT INTO item (name, price) VALUES ($1, $2) RETURNING id');
foreach my $i (1 .. 20)
{
	$sth->execute("item $i", $i);
	is($sth->fetchrow_array, $i, "prepared insert $i") if $i == 1 || $i == 20;
	$sth->finish;
}
ok($sth->{pg_prepare_name}, 'prepared at the server');
my $select = $dbh->prepare('SELECT name FROM item WHERE id = ?');
my $update = $dbh->prepare('UPDATE item SET price = price + ? WHERE id = ?');
my $bad = 0;
foreach my $i (1 .. 20)
{
	is($update->execute(0.5, $i), 1, "prepared update $i") if $i == 20;
	$update->execute(0.5, $i) if $i != 20;
	$select->execute($i);
	$bad++ if $select->fetchrow_array ne "item $i";
}
is($bad, 0, 'prepared select among updates');
is(value($dbh, 'SELECT sum(price) FROM item'), '220.00', '... all were done once');
{
	# over DDL, and in a transaction
	$dbh->do('ALTER TABLE item ADD COLUMN more text');
	$select->execute(7);
	is($select->fetchrow_array, 'item 7', 'prepared select outlives DDL');
	$dbh->begin_work;
	is($update->execute(1, 7), 1, 'prepared update outlives DDL');
	$select->execute(7);
	is($select->fetchrow_array, 'item 7', '... in a transaction too');
	$dbh->commit;
	my $all = $dbh->prepare('SELECT * FROM item WHERE id = ?');
	# prepared when used again
	$all->execute(1) for 1 .. 3;
	is(scalar @{ $all->fetchrow_arrayref }, 6, 'all columns');
	$dbh->do('ALTER TABLE item DROP COLUMN more');
	$all->finish;
	fails('prepared SELECT * after DDL', '0A000', sub { $all->execute(1) });
}
{
	local $dbh->{pg_server_prepare} = 0;
	is($dbh->do('UPDATE item SET price = ? WHERE name = ?', undef, 5, 'item 5'), 1,
		'not prepared at the server');
	is(value($dbh, 'SELECT price FROM item WHERE name = ?', 'item 5'), '5.00', '... and read');
}
{
	my $typed = $dbh->prepare('UPDATE item SET price = ?, blob = ?, tags = ? WHERE id = ?');
	my $bytes = join '', map { chr } 0 .. 255;
	$typed->bind_param(1, 7.25, { pg_type => PG_NUMERIC });
	$typed->bind_param(2, $bytes, { pg_type => PG_BYTEA });
	$typed->bind_param(3, [ 'a b', 'c"d', undef, 'e\\f', 'ü' ]);
	$typed->bind_param(4, 3, { pg_type => PG_INT4 });
	is($typed->execute, 1, 'typed parameters');
	my ($price, $tags, $blob) =
	  $dbh->selectrow_array('SELECT price, tags, blob FROM item WHERE id = 3');
	is($price, '7.25', 'numeric');
	is($blob, $bytes, 'bytea');
	is_deeply([ @$tags[ 0 .. 3 ] ], [ 'a b', 'c"d', undef, 'e\\f' ], 'array');
	is( value($dbh, 'SELECT count(*) FROM item WHERE id = ANY (?)', [ 1, 2, 3 ]), 3,
		'an array as parameter');
	is($dbh->do('UPDATE item SET tags = NULL WHERE id = ANY (?)', undef, [ 1, 2, 3 ]), 3,
		'... of a write');
	is($dbh->do('UPDATE item SET name = ? WHERE id = 1', undef, "it's \\ \"ü\" \x{20ac} ?"), 1, 'odd text');
	is(value($dbh, 'SELECT name FROM item WHERE id = 1'), "it's \\ \"ü\" \x{20ac} ?", '... comes back');
	my $long = 'x' x 3_000_000;
	$dbh->do('CREATE TABLE long (t text)');
	$dbh->do('INSERT INTO long VALUES (?)', undef, $long);
	is(length value($dbh, 'SELECT t FROM long'), 3_000_000, 'three megabytes');
}
{
	my @tuples;
	my $batch = $dbh->prepare('INSERT INTO item (name, price) VALUES (?, ?)');
	is( $batch->execute_array({ ArrayTupleStatus => \@tuples }, [ 'b1', 'b2', 'b3' ], [ 1, 2, 3 ]),
		3,
		'execute_array');
	local $batch->{RaiseError} = 0;
	$batch->execute_array({ ArrayTupleStatus => \@tuples }, [ 'b4', 'b1', 'b5' ], [ 1, 2, 3 ]);
	is($tuples[1][2], '23505', '... tells which failed');
	is(value($dbh, q{SELECT count(*) FROM item WHERE name LIKE 'b_'}), 5, '... and the others are there');
}

# --- errors ---------------------------------------------------------------------

my $message = fails('unique', '23505', sub { $dbh->do(q{INSERT INTO item (name, price) VALUES ('b1', 1)}) });
like($message, qr/duplicate key value violates unique constraint "item_name_key"/, 'unique: message');
like($message, qr/Key \(name\)=\(b1\) already exists/, 'unique: detail');
is($dbh->pg_error_field('constraint'), 'item_name_key', 'unique: constraint');
is($dbh->pg_error_field('table'), 'item', 'unique: table');
is($dbh->pg_error_field('schema'), 'public', 'unique: schema');
is($dbh->pg_error_field('severity'), 'ERROR', 'unique: severity');
fails('check', '23514', sub { $dbh->do('UPDATE item SET price = ? WHERE id = 3', undef, -1) });
is($dbh->pg_error_field('constraint'), 'item_price_check', 'check: constraint');
fails('not null', '23502', sub { $dbh->do('UPDATE item SET name = ? WHERE id = 3', undef, undef) });
is($dbh->pg_error_field('column'), 'name', 'not null: column');
fails('syntax', '42601', sub { $dbh->do('INSERT IN item VALUES (1)') });
is($dbh->pg_error_field('statement_position'), 8, 'syntax: position');
fails('no such table', '42P01', sub { $dbh->do('INSERT INTO nowhere VALUES (1)') });
is($dbh->pg_error_field('statement_position'), 13, 'no such table: position');
fails('no such table, DDL', '42P01', sub { $dbh->do('DROP TABLE nowhere') });
fails('value', '22P02', sub { $dbh->do('INSERT INTO item (price) VALUES (?)', undef, 'much') });
fails('division', '22012', sub { $dbh->do('UPDATE item SET price = 1 / (id - id)') });
{
	local $dbh->{pg_errorlevel} = 2;
	$message = fails('verbose', '23505',
		sub { $dbh->do(q{INSERT INTO item (name, price) VALUES ('b1', 1)}) });
	like($message, qr/CONSTRAINT NAME:  item_name_key/, 'verbose: names');
	$dbh->{pg_errorlevel} = 0;
	$message = fails('terse', '23505',
		sub { $dbh->do(q{INSERT INTO item (name, price) VALUES ('b1', 1)}) });
	unlike($message, qr/already exists/, 'terse: no detail');
}
{
	my @warnings;
	local $SIG{__WARN__} = sub { push @warnings, @_; };
	local $dbh->{PrintWarn} = 1;
	$dbh->do('DROP TABLE IF EXISTS nowhere');
	like("@warnings", qr/table "nowhere" does not exist, skipping/, 'a notice is a warning');
}
ok($dbh->ping, 'ping');
is($dbh->pg_ping, 1, 'pg_ping, idle');
is($dbh->state, '', 'no error is left');

# --- COPY -----------------------------------------------------------------------

$dbh->do('CREATE TABLE copied (i int PRIMARY KEY, t text)');
$dbh->do('COPY copied FROM STDIN');
$dbh->pg_putcopydata("$_\trow $_\n") for 1 .. 5000;
ok($dbh->pg_putcopyend, 'pg_putcopyend');
is(value($dbh, 'SELECT count(*) FROM copied'), 5000, 'COPY in');
$dbh->do('COPY (SELECT * FROM copied ORDER BY i) TO STDOUT (FORMAT csv)');
my (@lines, $line);
push @lines, $line while $dbh->pg_getcopydata($line) >= 0;
is(scalar @lines, 5000, 'COPY out');
is($lines[4999], "5000,row 5000\n", '... the last line');
$dbh->do('COPY copied FROM STDIN');
$dbh->pg_putcopydata("5001\tfine\n5000\tagain\n");
fails('COPY in', '23505', sub { $dbh->pg_putcopyend });
is(value($dbh, 'SELECT max(i) FROM copied'), 5000, '... nothing is there, and the session goes on');
$dbh->begin_work;
$dbh->do('COPY copied (i) FROM STDIN (FORMAT csv)');
$dbh->pg_putcopydata("6001\n");
$dbh->pg_putcopyend;
is(value($dbh, 'SELECT count(*) FROM copied'), 5001, 'COPY in a transaction');
$dbh->do('COPY copied TO STDOUT');
@lines = ();
push @lines, $line while $dbh->pg_getcopydata($line) >= 0;
is(scalar @lines, 5001, '... and out');
$dbh->rollback;
is(value($dbh, 'SELECT count(*) FROM copied'), 5000, '... rolled back');

# --- in portions ------------------------------------------------------------------

$dbh->begin_work;
$dbh->do('DECLARE c CURSOR FOR SELECT i FROM copied ORDER BY i');
my $sum = 0;
while (my $rows = $dbh->selectcol_arrayref('FETCH 1000 FROM c'))
{
	last if !@$rows;
	$sum += @$rows;
}
is($sum, 5000, 'a cursor, before any write');
$dbh->do('UPDATE copied SET t = NULL WHERE i = 1');
$dbh->do('DECLARE d CURSOR FOR SELECT i FROM copied WHERE t IS NULL');
is(value($dbh, 'FETCH 10 FROM d'), 1, 'a cursor, after a write');
$dbh->commit;
$dbh->do('DECLARE held CURSOR WITH HOLD FOR SELECT i FROM copied ORDER BY i');
is(value($dbh, 'FETCH 1 FROM held'), 1, 'a cursor with hold');
$dbh->do('INSERT INTO copied VALUES (0)');
is(value($dbh, 'FETCH 1 FROM held'), 2, '... over a write');
$dbh->do('CLOSE held');

# --- asynchronous, and cancelled ----------------------------------------------------

$dbh->do('UPDATE copied SET t = pg_backend_pid() || pg_sleep(0.1)::text WHERE i = 3', { pg_async => PG_ASYNC });
is($dbh->pg_result, 1, 'an asynchronous write');
$dbh->do('UPDATE copied SET t = pg_sleep(100)::text WHERE i = 4', { pg_async => PG_ASYNC });
ok($dbh->pg_cancel, 'cancelled');
is(value($dbh, 'SELECT t FROM copied WHERE i = 4'), 'row 4', '... not done');
$dbh->do(q{SET statement_timeout = '200ms'});
fails('statement_timeout', '57014', sub { $dbh->do('UPDATE copied SET t = pg_sleep(100)::text WHERE i = 4') });
$dbh->do('RESET statement_timeout');

# --- catalogs -----------------------------------------------------------------------

is_deeply([ $dbh->primary_key(undef, 'public', 'copied') ], ['i'], 'primary_key');
is(scalar @{ $dbh->column_info(undef, 'public', 'item', '%')->fetchall_arrayref }, 5, 'column_info');
ok((grep { /copied/ } $dbh->tables(undef, 'public', '%', 'TABLE')), 'tables');

$_->finish foreach $select, $update, $sth;

# --- what can't be had ----------------------------------------------------------------

if (at_replica())
{
	$message = fails('LISTEN', '25006', sub { $dbh->do('LISTEN news') });
	like($message, qr/cannot execute LISTEN during recovery.*HINT:/s, 'LISTEN: fails, with a hint');
	$message = eval { $dbh->do('CREATE TEMP TABLE mine (i int)'); '' } // $@;
	like($message, qr/cannot .*HINT:/s, 'temporary tables: fail, with a hint');
}
# large objects over the fast-path protocol, which no extension can see
$dbh->begin_work;
my $oid = eval { $dbh->pg_lo_creat($dbh->{pg_INV_WRITE}) };
$dbh->rollback;
if (at_replica()) { ok(!$oid, 'fast path: not at a replica'); }
else { ok($oid, 'fast path'); }
is(value($dbh, 'SELECT 1'), 1, '... and the session goes on');

$dbh->disconnect;
done_testing();
