# The primary is killed, restarted, its backends ended, and a replica promoted, at
# random moments, while clients of two replicas write.
#
# Afterwards: what was acknowledged is there, once; what failed is not; what was
# unknown is as its ticket tells; money is neither made nor lost; nobody hung.
#
# Commits wait for one of the replicas, so that a failover loses none that was
# acknowledged.  KILL_SECONDS makes it longer (as make soak does), KILL_SEED repeats a
# run's moments.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $seconds = $ENV{KILL_SECONDS} || 12;
my $seed = $ENV{KILL_SEED} || int(rand(1_000_000));
my $clients = 6;
my $accounts = 5;
my $patience = 45;	# no statement takes longer, seconds

note "KILL_SEED=$seed KILL_SECONDS=$seconds";
srand $seed;

my $cluster = ConsistencyCluster->new(
	conf => "consistency.wait_timeout = '20s'\nwal_writer_delay = '1s'\nlog_statement = none\ncommit_delay = 5000\ncommit_siblings = 1\n");
my $first = $cluster->primary;
my $direct = $cluster->connect('primary');
$direct->do('CREATE TABLE account (i int PRIMARY KEY, v int NOT NULL)');
$direct->do("INSERT INTO account SELECT g, 1000 FROM generate_series(1, $accounts) g");
$direct->do('CREATE TABLE entry (id text)');	# nothing keeps one from being there twice
$direct->do('CREATE INDEX ON entry (id)');
$direct->do(q{CREATE FUNCTION enter(id text) RETURNS int LANGUAGE sql VOLATILE
	AS 'INSERT INTO entry VALUES ($1) RETURNING 1'});
$direct->close;
$cluster->wait_replayed;
foreach my $name ($cluster->names)
{
	my $node = $cluster->node($name);
	append_to_file($node->data_dir . '/postgresql.auto.conf',
		"synchronous_standby_names = 'ANY 1 (near, far)'\n");
	$node->reload;
}
$first->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'quorum'})
  or die 'no synchronous standbys';

# --- the clients ----------------------------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir();
my $stop = "$dir/stop";

# What one of them does, line by line to a file: verdict, id, ticket or error.
sub client
{
	my ($number) = @_;
	my $at = $number % 2 ? 'near' : 'far';
	open my $out, '>', "$dir/$number" or die $!;
	$out->autoflush(1);
	srand($seed + $number);
	my ($session, $n) = (undef, 0);

	while (!-e $stop)
	{
		my $id = "$number-" . ++$n;
		my ($result, $ended);
		my $start = time;
		eval {
			local $SIG{ALRM} = sub { die "hang\n" };
			alarm $patience;
			$session //= $cluster->connect($at);
			$session->query('ROLLBACK') if $session->status ne 'I';
			$ended = 1;
			$result = write_entry($session, $id, int(rand(5)));
			alarm 0;
			1;
		} or do
		{
			alarm 0;
			# its server was the primary: the client lost its connection
			print $out $@ =~ /^hang/ ? "hang" : $ended ? 'gone' : 'none', " $id $@" =~ s/\n/ /gr, "\n";
			$session->abandon if $session;
			undef $session;
			usleep(100_000);
			next;
		};
		my $took = time - $start;
		if (!$result->{error})
		{
			my $seen = eval { $session->query("SELECT count(*) FROM entry WHERE id = '$id'") };
			print $out "done $id ", !$seen || $seen->{error} ? '?' : $seen->{rows}[0][0], "\n";
			undef $session unless $seen;
		}
		elsif ($result->{error}{code} eq '08007')
		{
			my ($ticket) = $result->{error}{hint} =~ /transaction_status\('([^']+)'\)/;
			print $out "unknown $id ", $ticket // 'none', "\n";
		}
		else { print $out "failed $id $result->{error}{code} $result->{error}{message}\n" =~ s/\n(?=.)/ /gr; }
	}
	close $out;
	return;
}

# One transaction, in one of five ways; the result that tells its outcome.
sub write_entry
{
	my ($session, $id, $way) = @_;
	return scalar $session->query("INSERT INTO entry VALUES ('$id')") if $way == 0;
	return scalar $session->execute('INSERT INTO entry VALUES ($1)', $id) if $way == 1;
	return scalar $session->query("SELECT enter('$id')") if $way == 2;

	my ($from, $to) = (1 + int(rand($accounts)), 1 + int(rand($accounts)));
	my $amount = 1 + int(rand(100));
	if ($way == 3)
	{
		# in one message
		return scalar $session->query("UPDATE account SET v = v - $amount WHERE i = $from;"
			  . " INSERT INTO entry VALUES ('$id'); UPDATE account SET v = v + $amount WHERE i = $to");
	}
	my $result = $session->query('BEGIN');
	foreach my $step (
		[ 'UPDATE account SET v = v - $1 WHERE i = $2', $amount, $from ],
		[ 'INSERT INTO entry VALUES ($1)', $id ],
		[ 'UPDATE account SET v = v + $1 WHERE i = $2', $amount, $to ])
	{
		return $result if $result->{error};
		$result = $session->execute(@$step);
	}
	return $result if $result->{error};
	return scalar $session->query('COMMIT');
}

my %child;
foreach my $number (1 .. $clients)
{
	my $pid = fork // die $!;
	if ($pid == 0)
	{
		my $ok = eval { client($number); 1 };
		print STDERR $@ unless $ok;
		require POSIX;
		POSIX::_exit($ok ? 0 : 1);
	}
	$child{$pid} = $number;
}

# --- the events -----------------------------------------------------------

sub start_again
{
	my ($node) = @_;
	wait_until(sub { $node->start(fail_ok => 1) }, 'the primary starts again');
	return;
}

sub kill_primary
{
	my $node = $cluster->primary;
	my @pids = processes($node);
	kill 'KILL', @pids;
	$node->kill9 if kill(0, $pids[0]);
	$node->{_pid} = undef;
	wait_until(sub { !grep { kill 0, $_ } @pids }, 'the killed are gone');
	start_again($node);
	return;
}

sub restart_primary
{
	my $node = $cluster->primary;
	$node->stop(rand() < 0.5 ? 'immediate' : 'fast');
	start_again($node);
	return;
}

sub end_backends
{
	$cluster->primary->psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND random() < 0.5});
	return;
}

# Long enough to be noticed, or not.
sub hang_primary
{
	my @pids = processes($cluster->primary);
	kill 'STOP', @pids;
	usleep(500_000 + int(rand(2_000_000)));
	kill 'CONT', @pids;
	return;
}

# The replica that has received more becomes the primary.
sub fail_over
{
	$cluster->primary->stop('immediate');
	my %received = map {
		my $lsn = $cluster->sql($_, 'SELECT pg_last_wal_receive_lsn() - $$0/0$$');
		$_ => $lsn
	} qw(near far);
	my ($new, $other) = $received{near} >= $received{far} ? qw(near far) : qw(far near);
	note "promoting $new";
	$cluster->node($new)->promote;
	$cluster->set_primary($new);
	$cluster->node($other)->enable_streaming($cluster->node($new));
	$cluster->node($other)->reload;
	return;
}

my $end = time + $seconds;
my $fail_over_at = time + $seconds * (0.4 + rand(0.3));
my %events;
while (time < $end)
{
	usleep(int(rand(1_500_000)));
	my ($name, $event);
	if ($fail_over_at && time > $fail_over_at)
	{
		($name, $event, $fail_over_at) = ('failover', \&fail_over, 0);
	}
	else
	{
		($name, $event) = @{ ([ 'kill', \&kill_primary ], [ 'restart', \&restart_primary ],
				[ 'hang', \&hang_primary ], [ 'end of backends', \&end_backends ])[ int(rand(4)) ] };
	}
	note sprintf('%.1f s left: %s', $end - time, $name);
	$events{$name}++;
	$event->();
}
append_to_file($stop, '');
while ((my $pid = wait) > 0) { is($?, 0, "client $child{$pid} has ended") if $child{$pid}; }

# --- the reckoning ----------------------------------------------------------

my $session = $cluster->connect($cluster->{primary} // 'primary');
my %there = map { $_->[0] => $_->[1] } @{ $session->query('SELECT id, count(*) FROM entry GROUP BY id')->{rows} };
my %count;
my %wrong;
foreach my $number (1 .. $clients)
{
	foreach my $line (split /\n/, slurp_file("$dir/$number"))
	{
		my ($verdict, $id, $rest) = split / /, $line, 3;
		my $n = $there{$id} // 0;
		$count{$verdict}++;
		my $wrong =
		    $verdict eq 'hang' ? 'a client hung'
		  : $n > 1 ? 'applied twice'
		  : $verdict eq 'done' && $n != 1 ? 'acknowledged, but not there'
		  : $verdict eq 'done' && $rest eq '0' ? 'acknowledged, but not seen by its session'
		  : $verdict =~ /^(failed|none)$/ && $n != 0 ? 'failed, but there'
		  : undef;
		if ($verdict eq 'failed') { $count{"failed $1"}++ if $rest =~ /^(\w+)/; }
		if ($verdict eq 'unknown' && $rest ne 'none')
		{
			my $status = $session->value("SELECT consistency.transaction_status('$rest')") // 'too long ago';
			$count{"unknown, $status"}++;
			$wrong = "$status, but there $n times" if $status !~ /^too/ && ($status eq 'committed') != $n;
		}
		push @{ $wrong{$wrong} }, $line if $wrong;
		delete $there{$id};
	}
}
is_deeply(\%wrong, {}, 'all is as the clients were told') or diag explain \%wrong;
is_deeply(\%there, {}, 'and nothing else is there');
is($session->value('SELECT sum(v) FROM account'), 1000 * $accounts, 'money is neither made nor lost');
cmp_ok($count{done} // 0, '>', 10 * $clients, 'something was acknowledged');
cmp_ok(($count{failed} // 0) + ($count{unknown} // 0), '>', 0, 'something was not');
is(join(' ', grep { !/^failed (08|40|57P|25006|YC00)/ } grep { /^failed \w/ } sort keys %count), '',
	'no error but such that call for another attempt');
cmp_ok($events{failover} // 0, '==', 1, 'there was a failover');
diag "KILL_SEED=$seed: " . join(', ', map { "$_: $count{$_}" } sort keys %count)
  . '; ' . join(', ', map { "$_: $events{$_}" } sort keys %events);

done_testing();
