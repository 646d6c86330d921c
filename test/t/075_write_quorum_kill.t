# The primary is killed under load, twice: the node that failover_candidates() names
# has every write that was acknowledged.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More;
use Time::HiRes qw(time usleep);

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

my $writers = 4;
my @all = qw(near far third);
my $cluster = ConsistencyCluster->new(replicas => [ map { { name => $_ } } @all ]);
$cluster->connect('primary')->do('CREATE TABLE t (i bigint PRIMARY KEY)');
$cluster->wait_replayed;

# Writes until its server is gone, and keeps in a file what was acknowledged.
sub write_until_killed
{
	my ($node, $writer, $file) = @_;
	open my $log, '>', $file or die $!;
	$log->autoflush(1);

	# It may be killed before we are connected.
	my $session = eval {
		my $new = $cluster->connect($node);
		$new->do("SET consistency.write_quorum = 'quorum'");
		$new;
	};
	for (my $i = 0; $session; $i++)
	{
		my $key = ($writer + 1) * 1_000_000_000 + $i;
		my $result = eval {
			$i % 2 ? $session->query("INSERT INTO t VALUES ($key)") :
			  $session->execute('INSERT INTO t VALUES ($1)', $key);
		};
		last unless $result;
		last if $result->{error} && $result->{error}{code} =~ /^57P/;
		print $log "$key\n" unless $result->{error};
	}
	POSIX::_exit(0);
}

# Which replica to promote, as one of those that are left says
sub best
{
	my (@left) = @_;
	my $name = '';
	wait_until(
		sub {
			$name = $cluster->sql($left[0],
				q{SELECT name FROM consistency.failover_candidates('quorum') WHERE complete LIMIT 1});
			return $name ne '';
		},
		'a candidate');
	return $name;
}

my @left = @all;
my $primary = 'primary';
my $base = PostgreSQL::Test::Utils::tempdir();
my @acknowledged;
foreach my $round (1, 2)
{
	# One stands still while the majority goes on, as long as there is another one.
	$cluster->pause($left[$#left]) if $round == 1;
	my @pids;
	foreach my $writer (1 .. $writers)
	{
		my $pid = fork // die $!;
		write_until_killed($primary, $round * 10 + $writer, "$base/$round.$writer") unless $pid;
		push @pids, $pid;
	}
	wait_until(sub { $cluster->sql($primary, 'SELECT count(*) FROM t') > $round * 1000 }, 'writes', 60);
	$cluster->node($primary)->stop('immediate');
	waitpid $_, 0 foreach @pids;
	push @acknowledged, split ' ', slurp_file("$base/$round.$_") foreach 1 .. $writers;

	my $best = best(@left);
	my $paused = $left[$#left];
	isnt($best, $paused, 'one that stood still is no candidate') if $round == 1;
	$cluster->resume($paused) if $round == 1;
	$cluster->node($best)->promote;
	my %there = map { $_ => 1 } split ' ', $cluster->sql($best, 'SELECT i FROM t');
	my @lost = grep { !$there{$_} } @acknowledged;
	cmp_ok(scalar @acknowledged, '>', 500, "round $round: writes were acknowledged");
	is(scalar @lost, 0, '... and the candidate that was promoted has them all');

	# The others go on with it.
	@left = grep { $_ ne $best } @left;
	$cluster->set_primary($best);
	$primary = $best;
	last if $round == 2;
	foreach my $name (@left)
	{
		$cluster->stream_from($name, $best);
		$cluster->node($name)->restart;
	}
	wait_until(sub { $cluster->sql($best, q{SELECT count(*) FROM consistency.nodes WHERE state = 'up'}) == 3 }, 'three nodes');
}

done_testing();
