# Steps of servers' clocks, where they look at one that is set here (libfaketime): see
# ProxiedCluster, clocks.

package Fault::Clock;

use strict;
use warnings FATAL => 'all';

our %faults = (clock => \&clock);

sub clock
{
	my ($faults) = @_;
	my $cluster = $faults->cluster;
	my $name = $faults->any_node;
	my $seconds = $faults->any(-3600, -2, -0.2, 0.2, 2, 3600);
	return {
		what => "the clock of $name steps by $seconds s",
		begin => sub { $cluster->set_clock($name, $seconds) },
		heal => sub { $cluster->set_clock($name, 0) } };
}

1;
