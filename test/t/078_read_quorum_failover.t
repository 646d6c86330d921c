# Read quorums while a failover is under way, and a deposed primary that goes on.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use ReadQuorum;
use Test::More;

if ($ConsistencyCluster::plain) { plan skip_all => 'is about the extension only'; }

# A write is acknowledged by two of three nodes.
my $value = 0;
my $cluster = ConsistencyCluster->new(
	conf => "consistency.wait_timeout = '30s'\n",
	primary_conf => "synchronous_standby_names = 'ANY 1 (near, far)'\nsynchronous_commit = remote_apply\n");
make_row($cluster)->close;

sub quorum { return quorum_session($cluster, @_); }

# --- the old primary goes on --------------------------------------------

follow($cluster, 'far', undef);
write_value($cluster, 'primary', ++$value);    # acknowledged by near
follow($cluster, 'far', 'primary');
$cluster->wait_replayed;
follow($cluster, 'far', undef);
$cluster->node('near')->promote;
is(outcome(quorum('far', 2)), $value, 'before the last one follows: the old timeline still has a majority');

# what the old primary writes from now on nobody acknowledges
my $before = $value;
write_value($cluster, 'primary', ++$value, 'SET synchronous_commit = local');
$cluster->sql('primary', 'CHECKPOINT');
my $at_far = quorum('far', 2);
$at_far->send_query($read);
$cluster->wait_for_wait('far', $at_far->pid);
follow($cluster, 'far', 'near');
is($at_far->finish->{rows}[0][0], $before, 'it waits for the old primary, follows the new one, and asks again');

$cluster->set_primary('near');
$cluster->sql('near', "ALTER SYSTEM SET synchronous_standby_names = 'far'");
$cluster->node('near')->reload;
$value = 10;
write_value($cluster, 'near', $value);
is(outcome(quorum('far', 2)), $value, 'the new timeline has a majority');
is(outcome(quorum('near', 2)), $value, '... at the new primary as well');
wait_until(sub { ($cluster->node_row('primary', 'near')->{role} // '') eq 'primary' }, 'the old one has heard of it');
is(outcome(quorum('primary', 'one')), $before + 1, 'the old primary; one: its own write');
is(soon(quorum('primary', 2)), 'YC002', '... a quorum: it is not the primary any more');
is(soon(quorum('near', 'all')), 'YC001', 'all: the old primary does not agree');
freeze($cluster, 'near');
is(soon(quorum('far', 2)), 'YC001', '... nor does it make a majority with a replica');
is(soon(quorum('primary', 2)), 'YC001', '... in either direction');
thaw();
is(outcome(quorum('far', 2)), $value, 'with the new primary it does');

done_testing();
