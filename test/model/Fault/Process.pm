# Faults of server processes: stopped and continued, killed, restarted.

package Fault::Process;

use strict;
use warnings FATAL => 'all';

use ConsistencyCluster ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

our %faults = (stop => \&stop, kill => \&kill_one, restart => \&restart, crash => \&crash);

# Which processes there are, by the titles that they give themselves.
my %title = (
	startup => qr/ startup /,
	walreceiver => qr/ walreceiver/,
	walsender => qr/ walsender /,
	monitor => qr/consistency.*monitor/,
	checkpointer => qr/ checkpointer/,
	walwriter => qr/ walwriter/,
	backend => qr/ (?:app|other) postgres /);

sub _title_of
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/cmdline" or return '';
	my $title = <$file> // '';
	return $title =~ tr/\0/ /r;
}

# The processes of a node, none if it isn't up.
sub all_of
{
	my ($node) = @_;
	return grep { $_ } eval { ConsistencyCluster::processes($node) };
}

# Those of some kind.
sub of_kind
{
	my ($node, $kind) = @_;
	my ($postmaster, @children) = all_of($node);
	return $postmaster // () if $kind eq 'postmaster';
	return ($postmaster // (), @children) if $kind eq 'everything';
	return grep { _title_of($_) =~ $title{$kind} } @children;
}

# A node and a kind of processes that it has.
sub _choose
{
	my ($faults, @kinds) = @_;
	my $primary = $faults->primary;
	my $name = $faults->any_node;
	@kinds = grep { $name eq $primary ? !/startup|walreceiver/ : !/walsender|walwriter/ } @kinds;
	return ($name, $faults->any(@kinds));
}

sub stop
{
	my ($faults) = @_;
	my ($name, $kind) = _choose($faults,
		qw(postmaster everything startup walreceiver walsender monitor checkpointer walwriter backend));
	my @pids;
	return {
		what => "SIGSTOP of $kind at $name",
		begin => sub {
			@pids = of_kind($faults->cluster->node($name), $kind);
			@pids = $faults->any(@pids) if $kind eq 'backend' && @pids;
			kill 'STOP', @pids;
		},
		heal => sub { kill 'CONT', @pids; } };
}

# The server goes through a crash of its own, or ends.
sub kill_one
{
	my ($faults) = @_;
	my ($name, $kind) = _choose($faults, qw(startup walreceiver walsender monitor checkpointer walwriter backend));
	return {
		what => "SIGKILL of $kind at $name",
		begin => sub {
			my ($pid) = of_kind($faults->cluster->node($name), $kind);
			kill 'KILL', $pid if $pid;
		},
		heal => sub { ensure_running($faults, $name) } };
}

sub restart
{
	my ($faults) = @_;
	my $name = $faults->any_node;
	my $mode = $faults->any(qw(fast immediate));
	return {
		what => "$name is stopped ($mode), and started",
		begin => sub { shut_down($faults->cluster->node($name), $mode) },
		heal => sub { ensure_running($faults, $name) } };
}

# The power fails, but for what the disk has.
sub crash
{
	my ($faults) = @_;
	my $name = $faults->any_node;
	return {
		what => "SIGKILL of everything at $name",
		begin => sub { kill_everything($faults->cluster->node($name)) },
		heal => sub { ensure_running($faults, $name) } };
}

# Is there such a process, that isn't dead already?
sub alive
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/stat" or return 0;
	return (<$file> // '') =~ /^\d+ \(.*\) [^ZX]/s ? 1 : 0;
}

# Kills a server; returns once nothing is left of it.
sub kill_everything
{
	my ($node) = @_;
	my @pids = all_of($node);
	kill 'KILL', @pids;
	_await_end(@pids);
	# a process that is dead and not yet waited for looks alive to those who start one
	unlink $node->data_dir . '/postmaster.pid' unless grep { alive($_) } @pids;
	undef $node->{_pid};
	return;
}

# Stops a server, whatever it takes; returns once nothing is left of it.
sub shut_down
{
	my ($node, $mode) = @_;
	my ($postmaster, @children) = all_of($node);
	return kill_everything($node) unless $postmaster;
	kill $mode eq 'fast' ? 'INT' : 'QUIT', $postmaster;
	_await_end($postmaster, @children);
	return kill_everything($node);
}

sub _await_end
{
	my (@pids) = @_;
	my $end = time + 10;
	while (time < $end && grep { alive($_) } @pids) { usleep(10_000); }
	return;
}

sub reload
{
	my ($node) = @_;
	my ($postmaster) = all_of($node);
	kill 'HUP', $postmaster if $postmaster;
	return;
}

# Starts a server if it doesn't run; returns once it can be connected to.
sub ensure_running
{
	my ($faults, $name) = @_;
	my $node = $faults->cluster->node($name);
	my $end = time + 60;
	while (time < $end)
	{
		my ($postmaster) = all_of($node);
		if (!$postmaster || !alive($postmaster))
		{
			undef $node->{_pid};
			# what is left of the one before it may still be about to end
			$faults->cluster->start_node($name, fail_ok => 1) or usleep(200_000);
			next;
		}
		local $WireClient::timeout = 5;
		if (eval { $faults->cluster->connect($name, directly => 1)->value('SELECT 1') })
		{
			$node->{_pid} = $postmaster;
			return 1;
		}
		usleep(50_000);
	}
	die "$name doesn't start\n";
}

1;
