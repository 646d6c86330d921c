# The hybrid clock: stamps only grow, whatever the physical clock does.
#
#   ahead ---> behind     the primary, and a standby to be promoted; each has a
#                         clock of its own that the test sets (libfaketime)
#   single                a server that isn't preloaded
#
# A stamp that was given out before is always lower: in another session, after
# the clock was set back, after a restart, a crash, a promotion.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WireClient;

plan skip_all => 'needs the extension' if $ConsistencyCluster::plain;

my ($faketime) = glob '/usr/lib/*/faketime/libfaketime.so.1';
$faketime or die 'libfaketime is not installed: see tools/install_packages --test';

my $hour = 3600;
my $counts = 65536;	# in a millisecond
my $super = scalar getpwuid($<);

# --- helpers ------------------------------------------------------------

sub clock_file { return PostgreSQL::Test::Utils::tempdir_short() . '/' . $_[0]->name; }

my %clock_file;

# Sets a server's clock: so many seconds ahead.
sub set_clock
{
	my ($node, $seconds) = @_;
	my $file = $clock_file{ $node->name } //= clock_file($node);
	open my $out, '>', "$file.new" or die $!;
	printf $out "%+d\n", $seconds;
	close $out;
	rename "$file.new", $file or die $!;
	return;
}

# Starts a server that looks at that clock.
sub start
{
	my ($node) = @_;
	local %ENV = (
		%ENV,
		LD_PRELOAD => $faketime,
		FAKETIME_TIMESTAMP_FILE => $clock_file{ $node->name },
		FAKETIME_NO_CACHE => 1,
		FAKETIME_DONT_FAKE_MONOTONIC => 1,
		DONT_FAKE_MONOTONIC => 1,
		NO_FAKE_STAT => 1);
	$node->start;
	return;
}

sub restart
{
	my ($node, $mode, $seconds) = @_;
	$node->stop($mode);
	set_clock($node, $seconds);
	start($node);
	return;
}

sub session
{
	my ($node, $database) = @_;
	return WireClient->new(
		host => $node->host, port => $node->port, user => $super, dbname => $database // 'postgres');
}

# A stamp, of a session or in one of its own.
sub stamp
{
	my ($where, $seen) = @_;
	my $sql = 'SELECT consistency.clock_next(' . ($seen // '') . ')';
	return $where->isa('WireClient') ? $where->value($sql) : $where->safe_psql('postgres', $sql);
}

# A column of consistency.clock, or an expression of its columns.
sub clock
{
	my ($node, $what) = @_;
	return $node->safe_psql('postgres', "SELECT $what FROM consistency.clock");
}

sub ahead { return clock($_[0], 'extract(epoch FROM ahead)'); }

# so many seconds from now, as a stamp
sub stamp_in { return int((time + $_[0]) * 1000) * $counts; }

# The last stamp that was given out; the next ones must be larger.
my $last = 0;

sub grows
{
	my ($stamp, $what) = @_;
	cmp_ok($stamp, '>', $last, $what);
	$last = $stamp if $stamp > $last;
	return;
}

# --- a primary ----------------------------------------------------------

my $ahead = PostgreSQL::Test::Cluster->new('ahead');
$ahead->init(allows_streaming => 1);
$ahead->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'consistency'
wal_sender_timeout = 0
wal_receiver_timeout = 0
max_prepared_transactions = 5
restart_after_crash = on
CONF
set_clock($ahead, 0);
start($ahead);
$ahead->safe_psql('postgres', 'CREATE EXTENSION consistency');
is(clock($ahead, 'stamp IS NULL AND mark IS NULL AND far_stamps = 0 AND last_far_stamp IS NULL'),
	't', 'a clock that was never asked');

grows(stamp($ahead), 'a stamp');
cmp_ok(abs($last - stamp_in(0)), '<', 20_000 * $counts, '... is the time of day');
is($ahead->safe_psql('postgres', "SELECT abs(extract(epoch FROM consistency.clock_time($last) - clock_timestamp())) < 20"),
	't', '... as clock_time() says, too');
is($ahead->safe_psql('postgres', q{SET timezone = 'UTC'; SELECT consistency.clock_time(0), consistency.clock_time(65536000 + 7)}),
	'1970-01-01 00:00:00+00|1970-01-01 00:00:01+00', '... which counts from 1970');
my $session = session($ahead);
grows(stamp($session), 'the next one is larger');
grows(stamp($session), '... in the same session');
grows(stamp($ahead), '... or another one');
$session->do('BEGIN');
grows(stamp($session), '... in a transaction');
$session->do('ROLLBACK');
grows(stamp($session), '... that is rolled back');
$session->do('BEGIN READ ONLY');
grows(stamp($session), '... or read only');
$session->do('COMMIT');
$session->do('BEGIN; SAVEPOINT s');
grows(stamp($session), '... or a subtransaction');
$session->do('ROLLBACK TO s');
grows(stamp($session), '... that is rolled back');
$session->do(q{PREPARE TRANSACTION 'stamped'});
grows(stamp($session), '... or prepared');
$session->do(q{ROLLBACK PREPARED 'stamped'});
cmp_ok(clock($ahead, 'mark'), '>', $last, 'the mark is ahead of all of them');

# Who comes anew doesn't push the clock.
for (1 .. 20) { grows(stamp($ahead), 'a stamp of a new session'); }
cmp_ok(ahead($ahead), '<=', 1, '... and the clock does not run ahead for that');

# --- stamps that were seen ----------------------------------------------

my $seen = stamp_in(30);
$last = $seen;
grows(stamp($session, $seen), 'a stamp that was seen is exceeded');
grows(stamp($ahead), '... by all that come after it, too');
cmp_ok(ahead($ahead), '>', 10, '... the clock has followed');
is(clock($ahead, 'far_stamps'), 0, '... as it was not far ahead');

my $far = stamp_in($hour);
my $log = -s $ahead->logfile;
my $before = stamp($ahead);
is(stamp($session, $far), $far + 1, 'one that is too far ahead is exceeded');
is(stamp($session, $far), $far + 1, '... by the same stamp again');
is(stamp($ahead, $far + 1), $far + 2, '... in any session');
grows(stamp($session), 'but the clock goes on');
cmp_ok($last, '<', stamp_in(100), '... from where it was');
is(clock($ahead, 'far_stamps || \' \' || last_far_stamp'), '3 ' . ($far + 1), '... they are counted');
my @logged = slurp_file($ahead->logfile, $log) =~ /LOG:  (stamp \d+ of a value is \d+ ms ahead.*)/g;
is(scalar @logged, 1, '... and logged, not each of them') or diag explain \@logged;
like($logged[0] // '', qr/^stamp $far of/, '... with the first one');
set_clock($ahead, 70);
stamp($session, $far);
@logged = slurp_file($ahead->logfile, $log) =~ /LOG:  (stamp \d+ of a value is \d+ ms ahead.*)/g;
is(scalar @logged, 2, '... again after a minute');
set_clock($ahead, 0);

is($session->error('SET consistency.max_clock_drift = 0')->{code}, '55P02', 'how far is too far: the server\'s to say');
$ahead->safe_psql('postgres', q{ALTER SYSTEM SET consistency.max_clock_drift = '10s'});
$ahead->reload;
$ahead->poll_query_until('postgres', q{SELECT setting = '10000' FROM pg_settings WHERE name = 'consistency.max_clock_drift'})
  or die 'the setting is not in force';
$far = stamp_in(200);
is(stamp($ahead, $far), $far + 1, '... less than by default');
grows(stamp($ahead), '... then');
cmp_ok($last, '<', $far, '... it isn\'t followed');
$ahead->safe_psql('postgres', 'ALTER SYSTEM RESET consistency.max_clock_drift');
$ahead->reload;

my $max = '9223372036854775807';
my $error = $session->error("SELECT consistency.clock_next($max)");
is($error->{code}, '22003', 'there is nothing behind the last stamp of all');
like($error->{hint}, qr/Overwrite the value/, '... which can be mended');
is(stamp($session, '9223372036854775806'), $max, 'it is the next one behind the last but one');
is($session->error('SELECT consistency.clock_next(-1)')->{code}, '22003', 'stamps are not negative');
grows(stamp($session), 'the clock goes on');
cmp_ok($last, '<', $far, '... from where it was');
is($session->value('SELECT consistency.clock_next(NULL) IS NULL'), 't', 'a stamp of nothing');

# --- the clock is set back ----------------------------------------------

set_clock($ahead, -$hour);
is($ahead->safe_psql('postgres', "SELECT clock_timestamp() < consistency.clock_time($last) - interval '50 minutes'"),
	't', 'the clock is set back by an hour');
grows(stamp($session), 'a session goes on');
grows(stamp($ahead), '... and others');
is(stamp($ahead, $last), $last + 1, '... counting');
$last++;
cmp_ok(ahead($ahead), '>', 0.9 * $hour, '... ahead of the clock');
my $far_before = clock($ahead, 'far_stamps');
grows(stamp($ahead, $last), '... own stamps are followed all the same');
is(clock($ahead, 'far_stamps'), $far_before, '... and are not counted as far ahead');

restart($ahead, 'fast', -2 * $hour);
grows(stamp($ahead), 'set back and restarted');
grows(stamp($ahead), '... twice');
cmp_ok(clock($ahead, 'mark'), '>', $last, '... the mark is ahead');
$ahead->safe_psql('postgres', 'CREATE TABLE note AS SELECT consistency.clock_next() AS stamp FROM generate_series(1, 200000)');
grows($ahead->safe_psql('postgres', 'SELECT max(stamp) FROM note'), '... thousands of stamps in a second');
restart($ahead, 'immediate', -3 * $hour);
grows(stamp($ahead), 'set back and crashed');
$ahead->safe_psql('postgres', 'CREATE TABLE far AS SELECT consistency.clock_next(' . stamp_in(10 * $hour) . ')');
restart($ahead, 'immediate', -3 * $hour);
grows(stamp($ahead), 'crashed again');
cmp_ok($last, '<', stamp_in(5 * $hour), '... a stamp that was too far ahead is not where it goes on');
is(clock($ahead, 'far_stamps'), 0, '... they are counted since the server was started');

# one process dies, and all shared memory with it
my $victim = session($ahead);
my $was = $victim->value('SELECT pg_postmaster_start_time()');
grows(stamp($victim), 'in a session');
kill 'KILL', $victim->pid;
wait_until(sub { eval { session($ahead)->value('SELECT 1') } }, 'the server is back');
wait_until(sub { eval { grows(stamp($ahead), '... that is killed'); 1 } }, 'the server gives out stamps');
is($ahead->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $was, '... in the same postmaster');

set_clock($ahead, 0);
grows(stamp($ahead), 'the clock is right again');
cmp_ok($last, '>=', stamp_in(-20), '... and followed');

# another database has a mark of its own
$ahead->safe_psql('postgres', 'CREATE DATABASE second');
$ahead->safe_psql('second', 'CREATE EXTENSION consistency');
grows($ahead->safe_psql('second', 'SELECT consistency.clock_next()'), 'another database');
set_clock($ahead, -$hour);
grows($ahead->safe_psql('second', 'SELECT consistency.clock_next()'), '... goes on as well');
my $in_second = $last;
restart($ahead, 'immediate', -2 * $hour);
grows($ahead->safe_psql('second', 'SELECT consistency.clock_next()'), '... over a crash');
$last = $before;	# nothing was given out in the first one meanwhile
grows(stamp($ahead), '... each by itself');
$last = $in_second if $last < $in_second;
restart($ahead, 'fast', 0);

# another extension in the same session
$session = session($ahead, 'second');
$session->do('SELECT consistency.clock_next()');
$session->do('DROP EXTENSION consistency; CREATE EXTENSION consistency');
$last = stamp($session);
cmp_ok($session->value('SELECT mark FROM consistency.clock'), '>', $last, 'a mark that was made anew is set');

# --- promotion ----------------------------------------------------------

$ahead->backup('base');
my $behind = PostgreSQL::Test::Cluster->new('behind');
$behind->init_from_backup($ahead, 'base', has_streaming => 1);
set_clock($behind, -$hour);
start($behind);
my $reader = session($behind);
$reader->do(q{SET consistency.replica_id = 'd'});
grows(stamp($ahead), 'a primary');
$ahead->wait_for_catchup($behind);
grows(stamp($reader), 'a standby, for another replica, is beyond it');
set_clock($ahead, 50);
$ahead->safe_psql('postgres', 'CREATE TABLE stamps AS SELECT consistency.clock_next() AS stamp FROM generate_series(1, 10)');
grows($ahead->safe_psql('postgres', 'SELECT max(stamp) FROM stamps'), 'the primary goes on');
$ahead->wait_for_catchup($behind);
$ahead->stop('immediate');
$behind->promote;
grows(stamp($behind), 'a promoted standby whose clock is an hour behind is beyond all of them');
is($reader->value('SELECT pg_is_in_recovery()'), 'f', '... and so is a session from before');
$reader->do('RESET consistency.replica_id');
grows(stamp($reader), '... that goes on');
cmp_ok(clock($behind, 'mark'), '>', $last, '... and the mark is moved');
restart($behind, 'immediate', -2 * $hour);
grows(stamp($behind), '... for good');
$behind->stop('immediate');

# --- no stamp is given out twice ----------------------------------------

$ahead->start;	# with the real clock, which is faster
my @writers = map { session($ahead, $_ % 2 ? 'postgres' : 'second') } 1 .. 4;
foreach my $n (0 .. $#writers)
{
	$writers[$n]->do("CREATE TABLE given_$n (stamp bigint)");
	$writers[$n]->send_query("INSERT INTO given_$n SELECT consistency.clock_next() FROM generate_series(1, 50000)");
}
$_->finish for @writers;
my (%given, $total);
foreach my $n (0 .. $#writers)
{
	my @stamps = map { $_->[0] } @{ $writers[$n]->query("SELECT stamp FROM given_$n")->{rows} };
	is(scalar(grep { $stamps[$_] <= $stamps[ $_ - 1 ] } 1 .. $#stamps), 0, "stamps of session $n grow");
	$given{$_} = 1 for @stamps;
	$total += @stamps;
}
is($total, 200_000, 'four sessions at a time took stamps');
is(scalar keys %given, $total, '... and nobody the same as another one');
$_->close for @writers;
$ahead->stop('immediate');

# --- not preloaded ------------------------------------------------------

my $single = PostgreSQL::Test::Cluster->new('single');
$single->init;
set_clock($single, 0);
start($single);
$single->safe_psql('postgres', 'CREATE EXTENSION consistency');
$last = 0;
grows(stamp($single), 'not preloaded: a stamp');
$session = session($single);
grows(stamp($session), '... a larger one');
grows(stamp($session, stamp_in(20)), '... than those that were seen');
$far = stamp_in($hour);
is(stamp($session, $far), $far + 1, '... too far ahead');
is($session->value('SELECT far_stamps FROM consistency.clock'), 1, '... counted');
set_clock($single, -$hour);
grows(stamp($session), '... set back');
$last = $session->value('SELECT mark FROM consistency.clock') - 1000 * $counts - 1;
restart($single, 'immediate', -2 * $hour);
grows(stamp($single), '... and crashed: from where the mark was set');
for (1 .. 20) { stamp($single); }
cmp_ok(stamp($single), '<', $last + 1000 * $counts, '... sessions do not push the clock');

$session = session($single);
$session->do(q{SET consistency.replica_id = 'a'});
is($session->value(q{SELECT '{"a": 1, "b": 2}'::gcounter || '{"a": 3}'::gcounter}), '{"a": 3, "b": 2}',
	'not preloaded: types merge');
is($session->value(q{SELECT value('{"a": 1, "b": 2}'::gcounter + 1)}), 4, '... are changed');
is($session->value(q{SELECT merge(g::text::gcounter) FROM (VALUES ('{"a": 1}'), ('{"b": 1}')) v (g)}),
	'{"a": 1, "b": 1}', '... and aggregated');
is($session->value(q{SELECT stamp(lww_register(jsonb '1')) < stamp(assign(lww_register(jsonb '1'), '2'))}), 't',
	'... registers are stamped');
is($session->value('SELECT value(r || assign(r, \'"new"\')) FROM (VALUES (lww_register(jsonb \'"old"\'))) v (r)'), '"new"',
	'... and the later value wins');
$session->do('RESET consistency.replica_id');
like($session->value('SELECT consistency.replica_id()'), qr/^[0-9a-f]+$/, '... by an id of their own');
is($session->value('SELECT value(gcounter(1) + 1)'), 2, '... under which they count');

done_testing();
