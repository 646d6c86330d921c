# Isolation between transactions of clients of the primary and of two replicas:
# what a level forbids doesn't happen, and what it allows does, so that the tests
# see the difference.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = ConsistencyCluster->new;
if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL)');
$setup->do('INSERT INTO t VALUES (1, 0), (2, 0)');
$cluster->wait_replayed;

sub put_back
{
	$setup->do('DELETE FROM t WHERE i > 2');
	$setup->do('UPDATE t SET v = 0');
	return;
}

# How a client asks for a level.  (The last one PostgreSQL 15 itself forgets in
# what follows a failed transaction, against its documentation.)
my %begin = (
	'BEGIN' => sub { my ($s, $level) = @_; $s->do("BEGIN ISOLATION LEVEL $level"); },
	'SET TRANSACTION' => sub { my ($s, $level) = @_; $s->do('BEGIN'); $s->do("SET TRANSACTION ISOLATION LEVEL $level"); },
	'SET CHARACTERISTICS' => sub {
		my ($s, $level) = @_;
		$s->do("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL $level");
		$s->do('BEGIN');
	},
	'AND CHAIN' => sub { my ($s, $level) = @_; $s->do("BEGIN ISOLATION LEVEL $level"); $s->do('COMMIT AND CHAIN'); },
	'AND CHAIN, failed' => sub {
		my ($s, $level) = @_;
		$s->do("BEGIN ISOLATION LEVEL $level");
		$s->query('SELECT 1 / 0');
		$s->do('ROLLBACK AND CHAIN');
	});

# The code of a statement's error, or ''.
sub code { my ($result) = @_; return $result->{error} ? $result->{error}{code} : ''; }

# --- write skew ----------------------------------------------------------

# Two read both rows, and each writes another one.
sub skew
{
	my ($where, $level, $begin) = @_;
	put_back();
	my @s = map { $cluster->connect($_) } 'near', $where;
	$begin{$begin}->($_, $level) for @s;
	$_->value('SELECT sum(v) FROM t') for @s;
	my @codes = map { code($s[$_]->query("UPDATE t SET v = 1 WHERE i = $_ + 1")) } 0, 1;
	push @codes, map { code($_->query('COMMIT')) } @s;
	return join ' ', grep { $_ } @codes;
}
foreach my $where ('primary', 'far')
{
	foreach my $begin (sort keys %begin)
	{
		next if $where eq 'primary' && $begin eq 'AND CHAIN, failed';
		is(skew($where, 'SERIALIZABLE', $begin), '40001', "write skew between near and $where, $begin");
	}
	is(skew($where, 'REPEATABLE READ', 'BEGIN'), '', '... which REPEATABLE READ allows');
	is($setup->value('SELECT sum(v) FROM t'), 2, '... and it happens');
}

# --- reads that don't repeat ---------------------------------------------

foreach my $where ('primary', 'far')
{
	# what makes them differ isn't where the other one is
	foreach my $begin ($where eq 'far' ? 'BEGIN' : sort keys %begin)
	{
		foreach my $level ('SERIALIZABLE', 'REPEATABLE READ', 'READ COMMITTED')
		{
			my $repeats = $level ne 'READ COMMITTED';
			my $name = "$level by $begin, another writes at $where";
			put_back();
			my $s = $cluster->connect('near');
			my $other = $cluster->connect($where);
			$begin{$begin}->($s, $level);
			# of READ COMMITTED, the reads before the first write are local
			$s->do('INSERT INTO t VALUES (10, 0)');
			is($s->value('SELECT v FROM t WHERE i = 1'), 0, "$name: a read");
			$other->do('UPDATE t SET v = 1 WHERE i = 1');
			$other->do('INSERT INTO t VALUES (3, 1)');
			is($s->value('SELECT v FROM t WHERE i = 1'), $repeats ? 0 : 1, '... the same again');
			is($s->value('SELECT count(*) FROM t'), $repeats ? 3 : 4, '... phantoms');
			is(code($s->query('UPDATE t SET v = v + 1 WHERE i = 1')), $repeats ? '40001' : '', '... an update of it');
			$s->query('COMMIT');
			is($setup->value('SELECT v FROM t WHERE i = 1'), $repeats ? 1 : 2, '... is not lost');
		}
	}
}

# A transaction has one snapshot, that of its first read, be it ahead of its writes.
{
	put_back();
	my $s = $cluster->connect('near');
	$s->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($s->value('SELECT v FROM t WHERE i = 1'), 0, 'REPEATABLE READ: a read ahead of the first write');
	$cluster->connect('far')->do('UPDATE t SET v = 1 WHERE i = 1');
	$s->do('INSERT INTO t VALUES (10, 0)');
	is($s->value('SELECT v FROM t WHERE i = 1'), 0, '... and behind it');
	$s->do('COMMIT');
	is($s->value('SELECT v FROM t WHERE i = 1'), 1, '... and after the end');
}

# --- at the replica, where that will do ----------------------------------

{
	put_back();
	$cluster->wait_replayed;
	my $s = $cluster->connect('near');
	$s->do('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
	is($s->value('SELECT v FROM t WHERE i = 1'), 0, 'REPEATABLE READ READ ONLY');
	is($s->value('SELECT place FROM consistency.last_read()'), 'local', '... runs at the replica');
	$cluster->connect('far')->do('UPDATE t SET v = 1 WHERE i = 1');
	$cluster->wait_replayed;
	is($s->value('SELECT v FROM t WHERE i = 1'), 0, '... with one snapshot');
	$s->do('COMMIT');
	$s->do('BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY');
	is($s->value('SELECT v FROM t WHERE i = 1'), 1, 'SERIALIZABLE READ ONLY');
	is($s->value('SELECT place FROM consistency.last_read()'), 'forwarded', '... runs at the primary');
	$s->do('COMMIT');
}

# A deferrable one waits until its snapshot is safe.
{
	put_back();
	my $writer = $cluster->connect('far');
	$writer->do('BEGIN ISOLATION LEVEL SERIALIZABLE');
	$writer->do('UPDATE t SET v = 1 WHERE i = 1');
	my $s = $cluster->connect('near');
	$s->do('BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE');
	$s->send_query('SELECT v FROM t WHERE i = 1');
	$cluster->primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SafeSnapshot'")
	  or die 'nobody waits';
	$writer->do('COMMIT');
	is($s->finish->{rows}[0][0], 0, 'DEFERRABLE: waits for a safe snapshot');
	$s->do('COMMIT');
}

# --- locks ---------------------------------------------------------------

foreach my $lock ('SELECT v FROM t WHERE i = 1 FOR UPDATE', 'SELECT pg_advisory_xact_lock(1)', 'LOCK t IN EXCLUSIVE MODE')
{
	my @s = map { $cluster->connect($_) } 'near', 'far';
	$_->do('BEGIN') for @s;
	$s[0]->do($lock);
	$s[1]->send_query($lock);
	$cluster->primary->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
	  or die 'nobody waits';
	is($s[1]->ready(0), 0, "$lock: a client of another replica waits");
	$s[0]->do('COMMIT');
	is(code(scalar $s[1]->finish), '', '... until it is given back');
	$s[1]->do('COMMIT');
}
{
	my @s = map { $cluster->connect($_) } 'near', 'far';
	$_->do('BEGIN') for @s;
	$s[0]->do('UPDATE t SET v = 5 WHERE i = 1');
	$s[1]->do('UPDATE t SET v = 6 WHERE i = 2');
	$s[0]->send_query('UPDATE t SET v = 5 WHERE i = 2');
	$s[1]->send_query('UPDATE t SET v = 6 WHERE i = 1');
	my %code;
	# whoever is the victim lets the other go on
	foreach my $i (0, 1)
	{
		$code{$i} = code(scalar $s[$i]->finish);
		$s[$i]->query('COMMIT');
	}
	is(join(' ', sort values %code), ' 40P01', 'a deadlock between clients of two replicas has one victim');
	is($setup->value('SELECT min(v) = max(v) FROM t WHERE i IN (1, 2)'), 't', '... and the other is done');
}

done_testing();
