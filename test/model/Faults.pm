
=pod

=head1 NAME

Faults - a schedule of faults, made from a seed, against a running cluster

=head1 SYNOPSIS

  my $faults = Faults->new(cluster => $cluster, seed => 7, kinds => 'mild', table => [ 'reg' ]);
  $faults->run_until($end);      # begins and heals, one after the other, now and then two at a time
  $faults->heal_all;             # and every server runs, replays, and can be reached
  print $_->{name}, ... foreach $faults->log;

=head1 DESCRIPTION

A fault is an object with what(), begin() and heal(), made by a function that is
given this one; the modules below Fault/ have them by name.  The log tells when
each began and was healed, by the clock of histories.

Kinds of schedules:

  none      nothing
  mild      all that leaves the primary the primary: replay, processes, links, load
  clean     those, and switchovers that lose nothing (the primary is shut down)
  crash     those, and failovers: the primary is killed, or is cut off and goes on;
            the replica that is the furthest is promoted.  With synchronous standbys
            that loses nothing, without it may
  quorum    mild, the primary killed and down for a while, and failovers, without
            synchronous standbys, to the node that failover_candidates('quorum') names
  lossy     mild, switchovers, and failovers that lose what was written last for certain

or a list of these and of single faults, with commas.

=cut

package Faults;

use strict;
use warnings FATAL => 'all';

use Carp;
use ConsistencyCluster ();
use Digest::SHA qw(sha256);
use Fault::Clock;
use Fault::Failover;
use Fault::Link;
use Fault::Load;
use Fault::Process;
use Fault::Replay;
use Recorder;
use Time::HiRes qw(time usleep);

my %maker = (
	%Fault::Replay::faults, %Fault::Process::faults, %Fault::Link::faults, %Fault::Load::faults,
	%Fault::Failover::faults, %Fault::Clock::faults);
my @mild = sort map { keys %$_ } \%Fault::Replay::faults, \%Fault::Process::faults, \%Fault::Link::faults,
  \%Fault::Load::faults;
my %kinds = (
	none => [],
	mild => \@mild,
	clean => [ @mild, ('switchover') x 3 ],
	crash => [ @mild, ('switchover') x 2, ('failover') x 4, ('deposed') x 4 ],
	quorum => [ @mild, ('down') x 3, ('quorum_failover') x 5, ('quorum_deposed') x 4 ],
	lossy => [ @mild, ('switchover') x 2, ('lossy_failover') x 5, ('lossy_deposed') x 5 ]);

sub names { return sort keys %maker; }

sub new
{
	my ($class, %arg) = @_;
	my $self = bless { log => [], open => [], drawn => 0, %arg }, $class;
	$self->{names} = [ map { @{ $kinds{$_} // [$_] } } split /,/, $arg{kinds} ];
	foreach my $name (@{ $self->{names} }) { croak "no fault \"$name\"" unless $maker{$name}; }
	return $self;
}

# --- what faults ask for --------------------------------------------------

sub cluster { my ($self) = @_; return $self->{cluster}; }

sub primary { my ($self) = @_; return $self->{cluster}->primary_name; }

sub replicas
{
	my ($self) = @_;
	my $primary = $self->primary;
	return grep { $_ ne $primary } $self->{cluster}->names;
}

# Random numbers of the schedule's own: what it does doesn't depend on what others draw.
sub random
{
	my ($self) = @_;
	return unpack('N', sha256("$self->{seed}/" . $self->{drawn}++)) / 4294967296;
}

sub any { my ($self, @of) = @_; return $of[ int($self->random * @of) ]; }

sub any_node { my ($self) = @_; return $self->any($self->{cluster}->names); }

sub any_replica { my ($self) = @_; return $self->any($self->replicas); }

# Runs SQL as superuser at a node, around the network; what it says, or undef.
sub try_sql
{
	my ($self, $name, $sql) = @_;
	my $value;
	local $WireClient::timeout = 5;
	eval {
		my $session = $self->{cluster}->connect($name, directly => 1, application_name => 'fault');
		$session->do("SET consistency.routing = 'off'; SET consistency = 'weak'") unless $ConsistencyCluster::plain;
		$value = $session->value($sql);
		$session->close;
		1;
	} or $self->note("$name: $@");
	return $value;
}

# For the log, and for nobody else.
sub note
{
	my ($self, $text) = @_;
	print '# fault: ' . ($text =~ s/ at \S+ line.*//sr) . "\n";
	return;
}

# --- the schedule ---------------------------------------------------------

# Faults until that time.
sub run_until
{
	my ($self, $end) = @_;
	if (!@{ $self->{names} }) { usleep(50_000) while time < $end; return; }
	usleep(300_000);
	while (time < $end - 0.5)
	{
		$self->begin($self->any(@{ $self->{names} }));
		$self->begin($self->any(@{ $self->{names} })) if $self->random < 0.3 && !$self->_alone;
		$self->_last($end, 0.3 + 1.7 * $self->random);
		$self->heal while @{ $self->{open} };
		$self->_last($end, 0.1 + 0.5 * $self->random);
	}
	return;
}

sub _last
{
	my ($self, $end, $seconds) = @_;
	my $until = time + $seconds;
	$until = $end if $until > $end;
	while (time < $until)
	{
		foreach my $fault (@{ $self->{open} }) { $fault->{during}->() if $fault->{during}; }
		usleep(20_000);
	}
	return;
}

# A fault that is open bears no other one beside it.
sub _alone { my ($self) = @_; return scalar grep { $_->{alone} } @{ $self->{open} }; }

sub begin
{
	my ($self, $name) = @_;
	my $fault = $maker{$name}->($self) or return;
	return if $fault->{alone} && @{ $self->{open} };
	my %entry = (name => $name, what => $fault->{what}, begin => Recorder::now());
	push @{ $self->{log} }, \%entry;
	printf "# %.3f ", $entry{begin} / 1e9;
	print "# fault: begin $name: $fault->{what}\n";
	eval { $fault->{begin}->(); 1 } or $self->note("$name: $@");
	push @{ $self->{open} }, { %$fault, entry => \%entry };
	return 1;
}

# Heals the last one that began.
sub heal
{
	my ($self) = @_;
	my $fault = pop @{ $self->{open} } or return;
	eval { $fault->{heal}->() if $fault->{heal}; 1 } or $self->note("healing $fault->{entry}{name}: $@");
	$fault->{entry}{end} = Recorder::now();
	print "# fault: end $fault->{entry}{name}\n";
	return;
}

sub log { my ($self) = @_; return @{ $self->{log} }; }

# --- the end --------------------------------------------------------------

# Everything runs, replays, and is reachable, as it was.
sub heal_all
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	$self->heal while @{ $self->{open} };
	$cluster->proxy->heal;
	foreach my $name ($cluster->names)
	{
		kill 'CONT', Fault::Process::all_of($cluster->node($name));
		Fault::Process::ensure_running($self, $name);
	}
	foreach my $name ($self->replicas)
	{
		$self->try_sql($name, 'SELECT pg_wal_replay_resume() WHERE pg_is_wal_replay_paused()');
	}
	$cluster->wait_all_up unless $ConsistencyCluster::plain;
	$cluster->wait_replayed;
	return;
}

1;
