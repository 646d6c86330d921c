# Faults of the network, by the proxy: cut both ways or one way, late, slow, reset.

package Fault::Link;

use strict;
use warnings FATAL => 'all';

our %faults = (cut => \&cut, isolate => \&isolate, late => \&late, slow => \&slow, reset => \&resets, refuse => \&refuse, late_acks => \&late_acks);

# A link at random: from a node, or now and then from clients, to another node.
sub _link
{
	my ($faults) = @_;
	my $to = $faults->any_node;
	my @from = grep { $_ ne $to } $faults->cluster->names;
	return ($faults->any(@from, 'client'), $to);
}

sub _hinder
{
	my ($faults, $from, $to, $way, $mode, $value) = @_;
	my $proxy = $faults->cluster->proxy;
	return {
		what => "$mode" . ($value ? " $value" : '') . " from $from to $to, $way",
		begin => sub { $proxy->set($from, $to, $way, $mode, $value) },
		heal => sub { $proxy->set($from, $to, $way, 'pass') } };
}

sub cut
{
	my ($faults) = @_;
	return _hinder($faults, _link($faults), $faults->any(qw(there back both)), 'cut');
}

sub late
{
	my ($faults) = @_;
	return _hinder($faults, _link($faults), $faults->any(qw(there back both)), 'delay', $faults->any(5, 50, 300));
}

sub slow
{
	my ($faults) = @_;
	return _hinder($faults, _link($faults), 'both', 'rate', $faults->any(2000, 20_000));
}

sub refuse { my ($faults) = @_; return _hinder($faults, _link($faults), 'both', 'refuse'); }

# A node can't talk to the other nodes, but to clients.
sub isolate
{
	my ($faults) = @_;
	my $name = $faults->any_node;
	my @others = grep { $_ ne $name } $faults->cluster->names;
	my $proxy = $faults->cluster->proxy;
	my $way = $faults->any(qw(in out all));
	my $set = sub {
		my ($mode) = @_;
		foreach my $other (@others)
		{
			$proxy->set($other, $name, 'both', $mode) if $way ne 'out';
			$proxy->set($name, $other, 'both', $mode) if $way ne 'in';
		}
	};
	return {
		what => "$name is cut off from the other nodes ($way)",
		begin => sub { $set->('cut') },
		heal => sub { $set->('pass') } };
}

# Whatever replicas say to the primary is late: so are acknowledgements of synchronous
# standbys, and commits are seen there before they are seen at the primary.
sub late_acks
{
	my ($faults) = @_;
	my ($primary, $milliseconds) = ($faults->primary, $faults->any(5, 20, 50));
	my $set = sub { $faults->cluster->proxy->set($_, $primary, 'there', @_) for $faults->replicas; };
	return {
		what => "replicas are heard $milliseconds ms late at $primary",
		begin => sub { $set->('delay', $milliseconds) },
		heal => sub { $set->('pass') } };
}

# Connections break again and again.
sub resets
{
	my ($faults) = @_;
	my ($from, $to) = _link($faults);
	my $count = 0;
	return {
		what => "resets from $from to $to",
		begin => sub { },
		during => sub { $faults->cluster->proxy->reset($from, $to) unless $count++ % 10; } };
}

1;
