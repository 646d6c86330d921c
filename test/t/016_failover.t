# The primary is lost and a replica promoted, twice.
#
#   primary ---> near        first failover: near is promoted, far follows it
#           \--> far ---> leaf     second one: far is promoted
#
# Positions from before a switch point hold at every node, at the cascading one
# as well; what a failover lost is refused everywhere, whatever else the session
# knows.  Sessions go on, and nothing waits for ever.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $wait = 3;	# consistency.wait_timeout of most sessions, seconds
my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'far' }, { name => 'leaf', from => 'far' } ],
	conf => "consistency.wait_timeout = '${wait}s'\n");
my $read = 'SELECT v FROM t WHERE i = 1';
my $value = 0;
my $longest = 0;

# --- helpers ------------------------------------------------------------

# Runs a statement; how long the longest one took is looked at in the end.
sub ask
{
	my ($session, $sql) = @_;
	my $start = time;
	my $result = $session->query($sql);
	$longest = time - $start if time - $start > $longest;
	return $result;
}

# Value and place of a read, or the SQLSTATE of its error.
sub read_at
{
	my ($session) = @_;
	my $result = ask($session, $read);
	return $result->{error} ? $result->{error}{code} : $result->{rows}[0][0];
}

sub place { return $_[0]->value('SELECT place FROM consistency.last_read()'); }

# A session at a node that has this token, or none.
sub at
{
	my ($name, %arg) = @_;
	my $session = $cluster->connect($name);
	$session->do("SET consistency = '$arg{level}'") if $arg{level};
	$session->do("SET consistency.on_timeout = '" . ($arg{on_timeout} // 'error') . "'");
	$session->do("SET consistency.wait_timeout = '$arg{timeout}'") if $arg{timeout};
	# a token that was lost is refused at once, or by what comes next
	$session->query("SET consistency.token = '$arg{token}'") if $arg{token};
	return $session;
}

# Writes a new value as this session; returns the session's token.
sub write_as
{
	my ($session) = @_;
	$value++;
	$session->do("UPDATE t SET v = $value WHERE i = 1");
	return $session->parameter('consistency.token');
}

# Cuts a replica off from where it gets its log.
sub cut_off
{
	my ($name) = @_;
	my $node = $cluster->node($name);
	$node->append_conf('postgresql.conf', "primary_conninfo = ''");
	$node->reload;
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
	  or die "$name still receives";
	return;
}

sub follow
{
	my ($name, $whom) = @_;
	my $node = $cluster->node($name);
	$node->enable_streaming($cluster->node($whom));
	$node->reload;
	return;
}

sub monitor_interval
{
	my ($name, $interval) = @_;
	$cluster->sql($name, "ALTER SYSTEM SET consistency.monitor_interval = '$interval'");
	$cluster->node($name)->reload;
	return;
}

sub lost_positions
{
	my ($name) = @_;
	return $cluster->sql($name,
		q{SELECT count FROM consistency.stat_violations WHERE kind = 'lost_position'});
}

# A token that was lost is refused at a node, until it is forgotten.
sub refuses
{
	my ($name, $token, $what) = @_;
	my $before = lost_positions($name);
	my $session = at($name);
	ask($session, $read);	# it has a position of its own here
	my $result = ask($session, "SET consistency.token = '$token'");
	$result = ask($session, $read) unless $result->{error};
	is($result->{error} && $result->{error}{code}, 'YC002', "$what: refused at $name");
	like($result->{error}{message}, qr/\Q${\ ($token =~ s{^\d+:}{}r)}\E was lost in a failover/, '... which says what');
	like($result->{error}{detail}, qr/timeline \d+, which left timeline \d+ before/, '... and why');
	like($result->{error}{hint}, qr/RESET consistency\.token/, '... and what to do');
	is(read_at($session), 'YC002', '... again and again');
	$session->do("SET consistency = 'eventual'");
	like(read_at($session), qr/^\d+$/, '... unless nothing is promised');
	$session->do('RESET consistency');
	is(read_at($session), 'YC002', '... which does not make it good');
	cmp_ok(lost_positions($name), '>=', $before + 3, '... counted each time');
	$session->do('RESET consistency.token');
	is(read_at($session), $value, '... and forgotten, reads go on');
	like(slurp_file($cluster->node($name)->logfile), qr/was lost in a failover/, '... and the log tells');
	return;
}

# Every node sees that primary and these replicas on a timeline.
sub roles_are
{
	my ($primary, $timeline, @replicas) = @_;
	my $start = time;
	foreach my $where ($primary, @replicas)
	{
		my $condition = "bool_and(CASE WHEN name = '$primary' THEN role = 'primary' ELSE role = 'replica' END"
		  . " AND state = 'up' AND timeline = $timeline AND lag IS NOT NULL)";
		my $in = join(',', map { "'$_'" } $primary, @replicas);
		ok( $cluster->node($where)->poll_query_until('postgres',
				"SELECT $condition FROM consistency.nodes WHERE name IN ($in)"),
			"$where sees $primary as the primary, and the others behind it")
		  or diag $cluster->sql($where, 'TABLE consistency.nodes');
	}
	cmp_ok(time - $start, '<', 15, '... soon');
	return;
}

# A session's read by way of a new primary: sooner or later, never older.
sub finds_primary
{
	my ($session, $node, $what) = @_;
	my %errors;
	my $got = wait_until(
		sub {
			my $got = read_at($session);
			return $got if $got =~ /^\d+$/;
			$errors{$got} = 1;
			return;
		},
		$what);
	is($got, $value, "$what: the newest value");
	is($session->text('SELECT place, node FROM consistency.last_read()'),
		"forwarded|$node", '... from the new primary');
	is(join(' ', grep { !/^(08|57P|YC00)/ } sort keys %errors), '', '... no error but such that call for a retry');
	return;
}

# Reads at a replica under each level, and its writer's token.
sub serves_all_levels
{
	my ($name, $writer, $primary) = @_;
	my $token = write_as($writer);
	foreach my $level (qw(session causal sequential bounded linearizable))
	{
		my $session = at($name, level => $level, token => $token, on_timeout => 'error');
		$session->do('SET consistency.max_staleness = 0');
		is(read_at($session), $value, "$name, $level: the newest");
		is($session->text('SELECT place, node FROM consistency.last_read()'),
			"forwarded|$primary", '... from the primary')
		  if $level eq 'linearizable';
	}
	foreach my $level (qw(eventual weak))
	{
		like(read_at(at($name, level => $level)), qr/^\d+$/, "$name, $level: some value");
	}
	return;
}

# --- before -------------------------------------------------------------

my %writer = (primary => $cluster->connect('primary'));
$writer{primary}->do('CREATE TABLE t (i int PRIMARY KEY, v int NOT NULL)');
$writer{primary}->do('INSERT INTO t SELECT g, 0 FROM generate_series(1, 3) g');
my %kept = (1 => write_as($writer{primary}));
my %lost;
$cluster->wait_replayed;

my (%old, %linear);
foreach my $name (qw(near far leaf))
{
	$old{$name} = at($name, token => $kept{1});
	is(read_at($old{$name}), $value, "$name, before: session");
	$linear{$name} = at($name, level => 'linearizable');
	is(read_at($linear{$name}), $value, "$name, before: linearizable");
	is(place($linear{$name}), 'forwarded', '... forwarded');
}
# Waiting for one position says nothing of another one that is still to come.
{
	$cluster->pause('near');
	my $token = write_as($writer{primary});
	my $session = at('near', timeout => '100ms');
	ask($session, "SET consistency.token = '$token'");
	is(ask($session, "CALL consistency.wait_for('$kept{1}')")->{error}, undef, 'wait_for an old position');
	is(read_at($session), 'YC001', '... does not make a read do without a newer one');
	$cluster->resume('near');
	$session->do("SET consistency.wait_timeout = '10s'");
	is(read_at($session), $value, '... which it gets');
	$kept{1} = $token;
	$cluster->wait_replayed;
}

my $asleep = at('near', timeout => '10min');	# in the middle of a transaction all the time
$asleep->do('BEGIN');
is(read_at($asleep), $value, 'near, before: a transaction');

# --- the first failover, with a write that it loses -----------------------

cut_off($_) for qw(near far);
my $before = $value;
$lost{1} = write_as($writer{primary});

# They wait when it comes.
my %waits;
foreach my $name (qw(near far leaf))
{
	my $session = at($name, timeout => '10min');
	$session->do("SET consistency = 'eventual'");
	$session->do("SET consistency.token = '$lost{1}'");
	$session->do("SET consistency = 'session'");
	$session->send_query($read);
	$cluster->wait_for_wait($name, $session->pid);
	$waits{$name} = $session;
}
# A bound of time tells of no position that the session has seen.  This replica
# is to follow the new primary before its monitor hears of that one.
monitor_interval('far', '10min');
my $bounded = at('far', level => 'bounded', timeout => '10min');
$bounded->do('SET consistency.max_staleness = 0');
$bounded->send_query($read);
$cluster->wait_for_wait('far', $bounded->pid);
# One that has been told of a timeline that is still to come, and of a loss.
my $mixed = at('far', level => 'eventual', timeout => '10min');
$mixed->do("SET consistency.token = '$lost{1}'");
$mixed->do(q{SET consistency.token = '} . ($kept{1} =~ s/^(\d+):1:/$1:2:/r) . q{'});
$mixed->do("SET consistency = 'session'");
$mixed->send_query($read);
$cluster->wait_for_wait('far', $mixed->pid);

usleep(300_000);	# some heartbeats tell all nodes of the write
$cluster->primary->stop('immediate');
$cluster->node('near')->promote;
$cluster->set_primary('near');
$value = $before;

my $result = $waits{near}->finish;
is($result->{error} && $result->{error}{code}, 'YC002', 'promoted while a session waits for what it lost: an error');
is(read_at($waits{near}), 'YC002', '... and again');
$waits{near}->do('RESET consistency.token');
is(read_at($waits{near}), $value, '... until it is forgotten');

follow('far', 'near');
foreach my $name (qw(far leaf))
{
	$result = $waits{$name}->finish;
	is($result->{error} && $result->{error}{code}, 'YC002', "$name follows while a session waits for what was lost: an error");
	is(read_at($waits{$name}), 'YC002', '... and again');
	$waits{$name}->do('RESET consistency.token');
	is(read_at($waits{$name}), $value, '... until it is forgotten');
}
$result = $bounded->finish;
is($result->{error} && $result->{error}{message}, undef, 'far follows while a bounded read waits: no error');
is($result->{rows}[0] && $result->{rows}[0][0], $value, '... but the answer');
monitor_interval('far', '100ms');
$result = $mixed->finish;
is($result->{error} && $result->{error}{code}, 'YC002', 'a loss is not forgotten over a newer position');

is(read_at($asleep), $value, 'a transaction goes on at the promoted node');
$asleep->do('COMMIT');

# --- after it -----------------------------------------------------------

# Sessions that were there before go on.
$writer{near} = $old{near};
my $token = write_as($writer{near});
like($token, qr/^\d+:2:/, 'a session opened at near before goes on as a writer');
foreach my $name (qw(far leaf))
{
	like(read_at($old{$name}), qr/^\d+$/, "a session opened at $name before goes on");
	$old{$name}->do("SET consistency.token = '$token'");
	is(read_at($old{$name}), $value, '... and gets what is written now');
	finds_primary($linear{$name}, 'near', "linearizable, opened at $name before");
}
is(read_at($linear{near}), $value, 'linearizable at the promoted node');
is(place($linear{near}), 'local', '... by itself');
roles_are('near', 2, 'far', 'leaf');
ok( $cluster->node($_)->poll_query_until('postgres',
		q{SELECT state = 'down' FROM consistency.nodes WHERE name = 'primary'}),
	"$_ sees the old one down")
  for qw(near far leaf);

foreach my $name (qw(near far leaf))
{
	is(read_at(at($name, token => $kept{1})), $value, "a token from before holds at $name");
	refuses($name, $lost{1}, 'a token that was lost');
}

# Whatever the session knows besides.
foreach my $name (qw(near far leaf))
{
	my $session = at($name, token => $token);
	$session->query("SET consistency.token = '$lost{1}'");
	is(read_at($session), 'YC002', "$name: a loss that is told after a newer position");
	$session = at($name, level => 'eventual', token => $lost{1});
	$session->do("SET consistency.token = '$token'");
	$session->do("SET consistency = 'session'");
	is(read_at($session), 'YC002', "$name: ... or before it");
	$session = at($name, level => 'eventual', token => $lost{1});
	$session->do("SET consistency = 'linearizable'");
	is(read_at($session), 'YC002', "$name: ... or when the primary is to answer");
	$session = at($name, token => $kept{1});
	$session->do("SET consistency.token = '$token'");
	$session->do("SET consistency.token = '$kept{1}'");
	is(read_at($session), $value, "$name: nothing is lost of what was kept");
}

# Routing goes on at the new primary.
sub routes
{
	my ($name, @replicas) = @_;
	my $session = at($name);
	$session->do("SET consistency.routing = 'always'");
	my %seen;
	wait_until(
		sub {
			is(read_at($session), $value, 'a routed read shows the newest value') unless keys %seen;
			read_at($session);
			my $node = $session->value('SELECT node FROM consistency.last_read()');
			$seen{$node}++ if defined $node;
			return keys %seen == @replicas;
		},
		"reads at $name go to @replicas");
	is(join(' ', sort keys %seen), join(' ', sort @replicas), "reads at $name go to its replicas");
	ask($session, "SET consistency.token = '$lost{1}'");
	is(read_at($session), 'YC002', '... but not over what was lost');
	return;
}
routes('near', 'far', 'leaf');
serves_all_levels($_, $writer{near}, 'near') for qw(far leaf);

# --- the old primary comes back -------------------------------------------

{
	my $node = $cluster->primary;
	my $old = $cluster->node('primary');
	my $conf = slurp_file($old->data_dir . '/postgresql.conf');
	$node->safe_psql('postgres', 'CHECKPOINT');
	command_ok(
		[   'pg_rewind', '--target-pgdata', $old->data_dir, '--source-server',
			$node->connstr('postgres') ],
		'pg_rewind of the old primary');
	open my $file, '>', $old->data_dir . '/postgresql.conf' or die $!;
	print $file $conf;
	close $file;
	$old->enable_streaming($node);
	$old->start;
}
roles_are('near', 2, qw(far leaf primary));
$cluster->wait_replayed;
is(read_at(at('primary', token => $kept{1})), $value, 'the old primary has rejoined: a token from before holds');
refuses('primary', $lost{1}, 'a token that was lost');
serves_all_levels('primary', $writer{near}, 'near');
routes('near', qw(far leaf primary));

# --- the second failover --------------------------------------------------

$kept{2} = write_as($writer{near});
$cluster->wait_replayed;
cut_off($_) for qw(far primary);
$before = $value;
$lost{2} = write_as($writer{near});
my $ahead = at('leaf', timeout => '10min');
$ahead->send_query("SET consistency.token = '" . ($kept{2} =~ s/^(\d+):2:/$1:3:/r) . "'");
$cluster->wait_for_wait('leaf', $ahead->pid);
usleep(300_000);
$cluster->node('far')->promote;
$cluster->set_primary('far');

# The old one doesn't know, until it hears of the new one.
{
	my %session = map { $_ => at('near', level => $_) } qw(session bounded linearizable);
	$_->do("SET consistency.routing = 'off'") for values %session;
	foreach my $level (qw(bounded linearizable))
	{
		wait_until(sub { read_at($session{$level}) eq 'YC002' }, "near notices, $level");
		my $error = ask($session{$level}, $read)->{error};
		like($error->{message}, qr/not the primary any more/, "replaced, $level: says so");
		is(ask($session{$level}, 'SELECT * FROM consistency.node_status()')->{error},
			undef, '... but tells of itself');
	}
	is(read_at($session{session}), $value, 'replaced, session: goes on');
}
$value = $before;
is(read_at(at('leaf', level => 'bounded')), $value, 'two primaries: a bounded read at a replica goes by the new one');
finds_primary(at('leaf', level => 'linearizable'), 'far', 'two primaries: linearizable');
$cluster->node('near')->stop('immediate');
follow('primary', 'far');

$writer{far} = $old{far};
is($ahead->finish->{error}, undef, 'a session waits for a timeline that is still to come');
is(read_at($ahead), $value, '... and reads');
like(write_as($writer{far}), qr/^\d+:3:/, 'a session opened at far before goes on as a writer');
finds_primary($linear{leaf}, 'far', 'linearizable, opened at leaf before both');
roles_are('far', 3, qw(leaf primary));
foreach my $name (qw(far leaf primary))
{
	is(read_at(at($name, token => $kept{$_})), $value, "a token of timeline $_ holds at $name") for 1, 2;
	refuses($name, $lost{$_}, "a token of timeline $_ that was lost") for 1, 2;
}
routes('far', qw(leaf primary));
serves_all_levels($_, $writer{far}, 'far') for qw(leaf primary);

# Without the history nobody can tell: no verdict rather than a wrong one.
{
	my $name = $cluster->node('leaf')->data_dir . '/pg_wal/00000003.history';
	rename $name, "$name.away" or die $!;
	is(read_at(at('leaf', token => $kept{2})), '58P01', 'no timeline history: an error');
	rename "$name.away", $name or die $!;
	is(read_at(at('leaf', token => $kept{2})), $value, '... until it is there');
}

cmp_ok($longest, '<', 3 * $wait + 5, sprintf('no statement waited for long (%.1f s)', $longest));

done_testing();
