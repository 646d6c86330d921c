# Groups of servers that all take writes, attacked: what was acknowledged is kept, and
# all come to the same rows and to rest, whatever has happened in between.  See
# test/model/Converge/Run.pm; "make converge" goes on for longer.
#
# Then what merges is taken away, in one way or another, and the judge must notice.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl", "$FindBin::RealBin/../model";

use Converge::Nodes;
use Converge::Run;
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use Test::More;

sub attack
{
	my ($nodes, $seed, %arg) = @_;
	my $result = Converge::Run->new(nodes => $nodes, seed => $seed, directory => PostgreSQL::Test::Utils::tempdir() . "/$seed", %arg)->go;
	note($_) for @{ $result->{faults} };
	note("$result->{errors}{$_} of $_") for sort keys %{ $result->{errors} };
	return $result;
}

sub fine
{
	my ($nodes, $seed, $what, %arg) = @_;
	my $result = attack($nodes, $seed, %arg);
	is_deeply([ map { "$_->{name}: $_->{message}" } @{ $result->{anomalies} } ], [], "seed $seed, $what: no anomaly");
	foreach my $kind (qw(counter element value equal))
	{
		cmp_ok($result->{judged}{$kind} // 0, '>', 4, "... of things of the kind \"$kind\"");
	}
	cmp_ok($result->{counts}{ok}, '>', 200, '... while clients were served');
	return;
}

sub guilty
{
	my ($nodes, $seed, $what, $names, %arg) = @_;
	my $result = attack($nodes, $seed, patience => 5, %arg);
	my %names = map { $_->{name} => 1 } @{ $result->{anomalies} };
	like(join(' ', sort keys %names), $names, "seed $seed, $what: found guilty");
	return;
}

my $seed = 1;

# --- three, and two ---------------------------------------------------------

my $three = Converge::Nodes->new(count => 3, label => 'three_');
$three->join;
fine($three, $seed++, 'three members', seconds => 5, kinds => [qw(isolate away cut clock)]);
fine($three, $seed++, 'three members, one is replaced', seconds => 3, kinds => [qw(dump restore)]);
$three->end;

my $two = Converge::Nodes->new(count => 2);
$two->join;
fine($two, $seed++, 'two members', seconds => 7, kinds => [qw(crash reset failover)]);

# --- controls ---------------------------------------------------------------

sub everywhere { my ($sql) = @_; $two->sql($_, $sql) for $two->names; return; }

# one id for both: counts of one are taken for counts of the other
everywhere(q{ALTER ROLE app SET consistency.replica_id = 'a'});
guilty($two, $seed++, 'one replica id for two', qr/lost-increment/, seconds => 2, kinds => ['isolate']);
everywhere('ALTER ROLE app RESET consistency.replica_id');

# ENABLE TRIGGER ALL: the apply worker doesn't merge any more
everywhere('ALTER TABLE counters ENABLE TRIGGER ALL');
guilty($two, $seed++, 'apply that does not merge', qr/lost-increment/, seconds => 2, kinds => []);

done_testing();
