# Negative controls: with one mechanism switched off, the anomaly that it prevents
# is there, and the server doesn't say so.  With it, the same steps end otherwise.
#
# A build of the extension that can be weakened (src/core/weaken.h) is installed
# into a PostgreSQL of this test's own.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $private = PostgreSQL::Test::Utils::tempdir;
my $bin = `$FindBin::RealBin/../../tools/weakened_server $private`;
die "the extension could not be built\n" if $?;
chomp $bin;
$ENV{PATH} = "$bin:$ENV{PATH}";

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'sync' } ],
	conf => "consistency.on_timeout = error\nconsistency.wait_timeout = '500ms'\n",
	primary_conf => "synchronous_standby_names = 'sync'\nsynchronous_commit = local\n");
$cluster->sql('primary', 'GRANT SET ON PARAMETER consistency.weaken TO app');
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE x (v int); INSERT INTO x VALUES (0)');
$setup->do('CREATE TABLE y (v int); INSERT INTO y VALUES (0)');
my ($x, $y) = (0, 0);
my $read = 'SELECT v FROM x';
my $both = q{SELECT x.v || ',' || y.v FROM x, y};

# --- helpers ------------------------------------------------------------

# What is switched off in new sessions
my $weaken = '';

# A session at a node; at the primary none of its reads leaves.
sub at
{
	my ($name, %setting) = @_;
	my $session = $cluster->connect($name);
	$session->do("SET consistency.weaken = $weaken") if $weaken;
	$session->do("SET consistency.routing = 'off'") if $name eq 'primary';
	foreach my $setting (sort keys %setting)
	{
		(my $full = $setting) =~ s/^(?!consistency)/consistency./;
		$session->do("SET $full = '$setting{$setting}'");
	}
	return $session;
}

# What a read shows, or the SQLSTATE of its error
sub shows
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql // $read);
	return $result->{error}{code} if $result->{error};
	fail('a warning instead of silence: ' . $_->{message}) for @{ $result->{notices} };
	return $result->{rows}[0][0];
}

sub token { return $_[0]->parameter('consistency.token') // ''; }

# A write at the primary, acknowledged; the session.
sub write_x
{
	my $session = at('primary', @_);
	$x++;
	$session->do("UPDATE x SET v = $x");
	return $session;
}

# A write that waits for the synchronous standby: not acknowledged, but shown by
# the other one.
my $stalled;

sub stall
{
	$cluster->pause('sync');
	$x++;
	$stalled = $cluster->connect('primary');
	$stalled->do('SET synchronous_commit = remote_apply');
	$stalled->send_query("UPDATE x SET v = $x");
	wait_until(sub { $cluster->sql('near', $read) eq $x }, 'the replica shows the write');
	return;
}

sub acknowledge
{
	$cluster->resume('sync');
	$stalled->finish;
	$stalled->close;
	return;
}

# The process of that kind at a node
sub process
{
	my ($where, $kind) = @_;
	return $cluster->sql($where,
		"SELECT pid FROM pg_stat_activity WHERE backend_type ~ '$kind'");
}

my @stopped;
sub stop { push @stopped, @_; kill 'STOP', @_; return; }
sub go_on { kill 'CONT', @stopped; @stopped = (); return; }
END { local $?; go_on(); }

# control MECHANISM, WHAT, STEPS, [ALSO]: runs the steps with everything in its
# place, and with the mechanism switched off.  They return what was seen, what it
# should have been, and what shows the anomaly.  "also": what is off both times.
sub control
{
	my ($mechanism, $what, $steps, $also) = @_;
	$weaken = $also // '';
	my ($seen, $right, $anomaly) = $steps->();
	is($seen, $right, "$what: not with \"$mechanism\"");
	$weaken = join(', ', grep { $_ } $also, $mechanism);
	($seen, $right, $anomaly) = $steps->();
	is($seen, $anomaly, "$what: without it");
	$weaken = '';
	return;
}

# The same behind a replica that doesn't replay.
sub control_behind
{
	my ($mechanism, $what, $steps) = @_;
	control($mechanism, $what,
		sub {
			$cluster->wait_replayed('near');
			$cluster->pause('near');
			my @result = $steps->($x);
			$cluster->resume('near');
			return @result;
		});
	return;
}

# --- the setting ----------------------------------------------------------

is($setup->value('SHOW consistency.weaken'), '', 'nothing is weakened by default');
is($setup->error("SET consistency.weaken = 'barrier, nothing'")->{code}, '22023',
	'what does not exist cannot be switched off');
is($cluster->connect('primary', user => 'other')->error("SET consistency.weaken = 'barrier'")->{code},
	'42501', 'not by anyone');
like(slurp_file($cluster->primary->logfile), qr/can be made to break its promises/,
	'the server says what it is');

# --- the session's context -------------------------------------------------

control_behind('written', 'a lost own write',
	sub {
		my ($old) = @_;
		my $writer = write_x();
		return (shows(at('near', token => token($writer))), 'YC001', $old);
	});

control_behind('observed', 'a read older than the one before',
	sub {
		my ($old) = @_;
		write_x();
		my $reader = at('primary');
		is(shows($reader), $x, 'the primary shows the write');
		return (shows(at('near', token => token($reader))), 'YC001', $old);
	});

control_behind('tokens', 'a cause that is not seen',
	sub {
		my ($old) = @_;
		my $writer = write_x();
		return (shows(at('near', consistency => 'causal', token => token($writer))), 'YC001', $old);
	});

control_behind('answers', 'a lost own write that was forwarded',
	sub {
		my ($old) = @_;
		my $session = at('near');
		$x++;
		$session->do("UPDATE x SET v = $x");
		return (shows($session), 'YC001', $old);
	});

control_behind('async', 'a read older than the one before, of a commit that is not flushed',
	sub {
		my ($old) = @_;
		stop(map { process('primary', $_) } qw(walwriter), 'background writer');
		my $writer = at('primary');
		$writer->do('SET synchronous_commit = off');
		$x++;
		$writer->do("UPDATE x SET v = $x");
		my $reader = at('primary');
		is(shows($reader), $x, 'the primary shows the write');
		my $seen = shows(at('near', token => token($reader)));
		go_on();
		return ($seen, 'YC001', $old);
	});

# --- waits ----------------------------------------------------------------

control_behind('replay_wait', 'a stale read at a replica',
	sub {
		my ($old) = @_;
		my $writer = write_x();
		return (shows(at('near', token => token($writer))), 'YC001', $old);
	});

control_behind('bounds', 'a read beyond its bound',
	sub {
		my ($old) = @_;
		my $session = at('near', consistency => 'bounded', max_staleness => 0);
		write_x();
		return (shows($session), 'YC001', $old);
	});

foreach my $where (qw(primary near))
{
	control('snapshot', "a snapshot older than what is known, at $where",
		sub {
			$cluster->wait_replayed('near');
			my $old = $x;
			my $session = at($where);
			$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
			is(shows($session), $old, 'a snapshot');
			my $writer = write_x();
			$cluster->wait_replayed('near');
			$session->do("SET consistency.token = '${\ token($writer)}'");
			return (shows($session), '40001', $old);
		});
}

# --- the barrier ------------------------------------------------------------

control('barrier', 'the primary older than a replica',
	sub {
		stall();
		my $there = at('near');
		is(shows($there), $x, 'the replica shows the write');
		my $seen = shows(at('primary', token => token($there)));
		acknowledge();
		return ($seen, 'YC001', $x - 1);
	});

foreach my $isolation ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	control('barrier', "a long fork, $isolation",
		sub {
			stall();
			$y++;
			$setup->do("UPDATE y SET v = $y");
			is($cluster->sql('near', $read), $x, 'the replica shows the first write');
			my $session = at('primary', consistency => 'causal');
			my $seen = shows($session, "BEGIN ISOLATION LEVEL $isolation; $both");
			acknowledge();
			return ($seen, 'YC001', ($x - 1) . ",$y");
		});
}

# --- failover ---------------------------------------------------------------

# The synchronous standby leaves; what is written thereafter is lost.
$cluster->wait_replayed;
stop(map { process($_, 'consistency') } qw(primary near));
$cluster->sql('sync', q{ALTER SYSTEM SET primary_conninfo = ''});
$cluster->node('sync')->reload;
wait_until(sub { $cluster->sql('sync', 'SELECT count(*) FROM pg_stat_wal_receiver') eq '0' },
	'the standby has left');
my $lost = token(write_x());
$cluster->sql('sync', q{ALTER SYSTEM SET synchronous_standby_names = ''});
$cluster->node('sync')->promote;
$cluster->connect('sync')->do('UPDATE x SET v = 1000000');

control('fence', 'a stale linearizable read at a primary that was replaced',
	sub { return (shows(at('primary', consistency => 'linearizable')), 'YC001', $x); });

control('timeline', 'a write that was lost in silence',
	sub {
		my $session = at('sync');
		$session->query("SET consistency.token = '$lost'");
		return (shows($session), 'YC002', 1000000);
	});

# Now the old one hears of the new one.
go_on();
$cluster->primary->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM consistency.nodes WHERE name = 'sync' AND role = 'primary' AND timeline = 2})
  or die 'the old primary does not hear of the new one';
control('deposed', 'a stale read at a primary that knows that it was replaced',
	sub { return (shows(at('primary', consistency => 'linearizable')), 'YC002', $x); }, 'fence');
control('deposed', 'a read beyond its bound at a primary that knows that it was replaced',
	sub { return (shows(at('primary', consistency => 'bounded', max_staleness => 0)), 'YC002', $x); });

done_testing();
