# Ten thousand times: write, then read, by several clients at once, over both
# entry points, while one of the replicas is late.
#
# (a) the client reads at the primary, which sends the read to a replica;
# (b) the client carries its token to a replica, or back to the primary.
#
# A read is stale if it misses the write before it, and goes backwards if it
# shows less of any row than the read before it did.  Under session there is
# neither; under eventual the same script sees both.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 4;
my $pairs = 1250;	# of each client over each entry point: 10,000 in all

my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near' }, { name => 'late', delay => '50ms' } ],
	conf => "log_statement = none\n");
my $setup = $cluster->connect('primary');
$setup->do('CREATE TABLE pairs (client int PRIMARY KEY, v int NOT NULL) WITH (fillfactor = 10)');
$setup->do("INSERT INTO pairs SELECT g, 0 FROM generate_series(1, $clients) g");
$cluster->wait_replayed;

# Judges one client's reads.
package Judge
{
	sub new { return bless { seen => {}, stale => 0, backwards => 0, reads => 0 }, shift; }

	# rows: what was read, [client, v]; client and v: what was written before
	sub read
	{
		my ($self, $rows, $client, $v) = @_;
		$self->{reads}++;
		my $backwards = 0;
		my %now = map { $_->[0] => $_->[1] } @$rows;
		$self->{stale}++ if ($now{$client} // -1) < $v;
		foreach my $row (keys %now)
		{
			$backwards = 1 if $now{$row} < ($self->{seen}{$row} // 0);
			$self->{seen}{$row} = $now{$row};
		}
		$self->{backwards} += $backwards;
		return;
	}
}

# One statement, or the end of this client.
sub result_of
{
	my ($result) = @_;
	die "$result->{error}{code} $result->{error}{message}\n" if $result->{error};
	return $result;
}

# (a) write at the primary, read at the primary, which may route
sub by_primary
{
	my ($client, $level, $judge) = @_;
	my $session = $cluster->connect('primary');
	my $routed = 0;
	$session->do("SET consistency = '$level'");
	$session->do("SET consistency.routing = 'always'");
	$session->prepare('w', 'UPDATE pairs SET v = v + 1 WHERE client = $1 RETURNING v');
	$session->prepare('r', 'SELECT client, v FROM pairs');
	foreach my $i (1 .. $pairs)
	{
		my $v = result_of($session->run('w', $client))->{rows}[0][0];
		$judge->read(result_of($session->run('r'))->{rows}, $client, $v);
		$routed++
		  if $i % 50 == 0
		  && $session->value('SELECT place FROM consistency.last_read()') eq 'routed';
	}
	return $routed;
}

# (b) write at the primary, read at a replica or, now and then, at the primary
sub by_replica
{
	my ($client, $level, $judge) = @_;
	my %session = map { $_ => $cluster->connect($_) } qw(primary near late);
	my $token = '';
	foreach my $session (values %session)
	{
		$session->do("SET consistency = '$level'");
		$session->do("SET consistency.routing = 'off'");
		$session->prepare('r', 'SELECT client, v FROM pairs');
	}
	$session{primary}->prepare('w', 'UPDATE pairs SET v = v + 1 WHERE client = $1 RETURNING v');
	foreach my $i (1 .. $pairs)
	{
		# the late one costs its delay, so it gets few of them
		my $where = $i % 25 == 0 ? 'late' : $i % 5 == 0 ? 'primary' : 'near';
		my $v = result_of($session{primary}->run('w', $client))->{rows}[0][0];
		$token = newer($token, $session{primary}->parameter('consistency.token'));
		my $session = $session{$where};
		$session->send_query("SET consistency.token = '$token'");
		$session->send_run('r');
		result_of(scalar $session->finish);
		$judge->read(result_of(scalar $session->finish)->{rows}, $client, $v);
		$token = newer($token, $session->parameter('consistency.token'));
	}
	return 0;
}

sub newer { my ($a, $b) = @_; return !$a || ($b && lsn_of($b) > lsn_of($a)) ? $b : $a; }

# Runs all clients at once; returns sums of what they saw.
sub run_clients
{
	my ($run, $level) = @_;
	my (@pipe, %sum);
	foreach my $client (1 .. $clients)
	{
		pipe(my $from, my $to) or die $!;
		my $pid = fork // die $!;
		if (!$pid)
		{
			my $judge = Judge->new;
			my $routed = eval { $run->($client, $level, $judge) };
			my $error = $@ =~ s/\s+/ /gr;
			print $to join("\t", $judge->{reads}, $judge->{stale}, $judge->{backwards}, $routed // 0, $error), "\n";
			close $to;
			# no END blocks: these belong to the parent
			POSIX::_exit(0);
		}
		close $to;
		push @pipe, [ $pid, $from ];
	}
	foreach my $child (@pipe)
	{
		my ($pid, $from) = @$child;
		my $line = <$from> // "0\t0\t0\t0\tclient $pid died";
		chomp $line;
		my ($reads, $stale, $backwards, $routed, $error) = split /\t/, $line, -1;
		waitpid $pid, 0;
		$sum{reads} += $reads;
		$sum{stale} += $stale;
		$sum{backwards} += $backwards;
		$sum{routed} += $routed;
		$sum{error} .= $error;
	}
	return \%sum;
}

my $total = 0;
foreach my $entry ([ 'at the primary, routed', \&by_primary ], [ 'at replicas, by token', \&by_replica ])
{
	my ($name, $run) = @$entry;
	my $sum = run_clients($run, 'session');
	is($sum->{error}, '', "session, $name: no client failed");
	is($sum->{reads}, $clients * $pairs, "session, $name: all pairs done");
	is($sum->{stale}, 0, "session, $name: no read is stale");
	is($sum->{backwards}, 0, "session, $name: no read goes backwards");
	cmp_ok($sum->{routed}, '>', 0, "session, $name: reads were routed") if $run == \&by_primary;
	$total += $sum->{reads};

	$sum = run_clients($run, 'eventual');
	is($sum->{error}, '', "eventual, $name: no client failed");
	cmp_ok($sum->{stale}, '>', 0, "eventual, $name: the script does see stale reads ($sum->{stale})");
	note "eventual, $name: $sum->{stale} stale, $sum->{backwards} backwards of $sum->{reads}";
}
is($total, 10_000, 'ten thousand pairs under session');
is( $cluster->sql('primary', 'SELECT sum(v) FROM pairs'),
	4 * $clients * $pairs, 'and all writes are there');

done_testing();
