
=pod

=head1 NAME

Converge::Faults - what happens to members of a group, from a seed

=head1 SYNOPSIS

  my $faults = Converge::Faults->new(nodes => $nodes, seed => 7, kinds => [ 'cut', 'crash' ]);
  $faults->go_on_until($end);
  $faults->end;                  # all is whole again, and everybody is a member
  $faults->log                   # lines

=head1 DESCRIPTION

  cut       a link hangs, in one way or both
  isolate   all links of a member hang
  reset     connections end by RST, new ones are refused
  late      a link delays
  crash     a member stops without a word, and starts
  away      a member is down until the others have done a lot
  clock     a member crashes, and its clock is minutes off from now on
  restore   a member's server is gone for good, and comes back from a base backup that
            was taken before
  dump      the same from a dump, in a new cluster
  failover  a member has a standby, loses its primary, and its slots with it

Where something older takes the place of a member, what was acknowledged there behind
a moment, since when nobody else is sure to have it, is lost: places() says from when
on.  Faults that take a place are healed first.

=cut

package Converge::Faults;

use strict;
use warnings FATAL => 'all';

use Converge::Client;
use Converge::Random;
use Time::HiRes qw(time usleep);

my %maker = (
	cut => \&_cut, isolate => \&_isolate, reset => \&_reset, late => \&_late, crash => \&_crash, away => \&_away,
	clock => \&_clock, restore => \&_restore, dump => \&_dump, failover => \&_failover);

our @links = qw(cut isolate reset late);
our @all = (@links, qw(crash crash away clock clock restore dump failover));

sub new
{
	my ($class, %arg) = @_;
	my $self = bless { log => [], open => [], lost => [], began => time, %arg }, $class;
	$self->{random} = Converge::Random->new("$arg{seed}/faults");
	$maker{$_} or die "no fault \"$_\"\n" for @{ $self->{kinds} };
	return $self;
}

sub log { my ($self) = @_; return @{ $self->{log} }; }

# Which transactions at which member are lost: those that ended between two moments, if
# they weren't over before the first one.
sub lost { my ($self) = @_; return @{ $self->{lost} }; }

sub _say
{
	my ($self, $text) = @_;
	push @{ $self->{log} }, sprintf '%.2f %s', time - $self->{began}, $text;
	print "# fault: $self->{log}[-1]\n";
	return;
}

# --- the schedule -----------------------------------------------------------

sub go_on_until
{
	my ($self, $end) = @_;
	my $random = $self->{random};
	my @round;
	$self->_wait($end, $end) unless @{ $self->{kinds} };
	while (time < $end)
	{
		# each kind comes up before one comes again
		@round = @{ $self->{kinds} } unless @round;
		my ($kind) = splice @round, int($random->part * @round), 1;
		$self->_begin($kind);
		$self->_begin($random->any(@links)) if $random->chance(0.3) && !$self->{alone};
		$self->_wait($end, 0.3 + 1.5 * $random->part);
		$self->_heal;
		$self->_wait($end, 0.2 + 0.5 * $random->part);
	}
	return;
}

sub _wait { my ($self, $end, $seconds) = @_; my $left = $end - time; usleep(1e6 * ($left < $seconds ? $left : $seconds)) if $left > 0; return; }

sub _begin
{
	my ($self, $kind) = @_;
	my ($what, $begin, $heal) = $maker{$kind}->($self, $self->{random}->any($self->{nodes}->names));
	$self->_say("$kind: $what");
	$begin->();
	push @{ $self->{open} }, [ $kind, $heal // sub { } ];
	return;
}

sub _heal
{
	my ($self) = @_;
	while (my $fault = pop @{ $self->{open} })
	{
		$fault->[1]->();
		$self->_say("$fault->[0] is over");
	}
	return;
}

sub end
{
	my ($self) = @_;
	$self->_heal;
	$self->{nodes}->proxy->heal;
	return;
}

# --- links ------------------------------------------------------------------

sub _cut
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	my ($peer, $way) = ($self->{random}->any($nodes->others($name)), $self->{random}->any(qw(there back both)));
	return ("from $name to $peer, $way", sub { $nodes->proxy->set($name, $peer, $way, 'cut') }, sub { $nodes->proxy->set($name, $peer, 'both', 'pass') });
}

sub _isolate
{
	my ($self, $name) = @_;
	my $proxy = $self->{nodes}->proxy;
	my $set = sub { my ($mode) = @_; $proxy->set($name, '*', 'both', $mode); $proxy->set('*', $name, 'both', $mode); };
	return ($name, sub { $set->('cut') }, sub { $set->('pass') });
}

sub _reset
{
	my ($self, $name) = @_;
	my $proxy = $self->{nodes}->proxy;
	return ("what $name opens", sub { $proxy->set($name, '*', 'both', 'refuse') }, sub { $proxy->set($name, '*', 'both', 'pass') });
}

sub _late
{
	my ($self, $name) = @_;
	my $proxy = $self->{nodes}->proxy;
	my $ms = $self->{random}->between(20, 300);
	return ("what $name opens, $ms ms", sub { $proxy->set($name, '*', 'both', 'delay', $ms) }, sub { $proxy->set($name, '*', 'both', 'pass') });
}

# --- servers ----------------------------------------------------------------

sub _crash
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	return ($name, sub { $nodes->crash($name) }, sub { $nodes->start($name) });
}

sub _away
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	return ($name, sub { $nodes->crash($name); usleep(3_000_000) }, sub { $nodes->start($name) });
}

# Not while it runs: a clock that is set back then stops a server's timeouts, that of
# deadlocks among them, until the time has come again.
sub _clock
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	my $seconds = $self->{random}->any(-900, -300, -120, -5, 0, 5, 120, 300, 900);
	return ("$name, $seconds s", sub { $nodes->crash($name); $nodes->set_clock($name, $seconds); $nodes->start($name) });
}

# --- another one in its place -------------------------------------------------

# Waits until everybody else has confirmed what is at a member by now; returns when that
# was said.
sub _safe
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	my $when = Converge::Client::now();
	my $lsn = $nodes->sql($name, 'SELECT pg_current_wal_lsn()');
	my $n = () = $nodes->others($name);
	$nodes->poll($name, "SELECT count(*) = $n FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT temporary AND slot_name LIKE 'consistency%' AND confirmed_flush_lsn >= '$lsn'",
		'the others confirm');
	return $when;
}

# Ends a member for good, and lets something older take its place.
sub _replace
{
	my ($self, $name, $when, $take_place) = @_;
	my $nodes = $self->{nodes};
	$nodes->crash($name);
	push @{ $self->{lost} }, { node => $name, from => $when, to => Converge::Client::now() };
	$take_place->();
	$self->_say("something older is in the place of $name");
	$nodes->join_again($name);
	return;
}

sub _restore
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	return ("$name, to now", sub {
		$self->_heal;
		my $backup = $nodes->back_up($name);
		usleep(1e6 * (0.5 + $self->{random}->part));
		my $when = $self->_safe($name);
		$self->_replace($name, $when, sub { $nodes->restore($name, $backup) });
	});
}

sub _dump
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	return ("$name, as it is now", sub {
		$self->_heal;
		my $file = $nodes->dump($name);
		usleep(1e6 * (0.5 + $self->{random}->part));
		my $when = $self->_safe($name);
		$self->_replace($name, $when, sub { $nodes->restore_dump($name, $file) });
	});
}

sub _failover
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	return ("the primary of $name", sub {
		$self->_heal;
		my $standby = $nodes->add_standby($name);
		usleep(1e6 * (0.5 + $self->{random}->part));
		my $when = $self->_safe($name);
		my $lsn = $nodes->sql($name, 'SELECT pg_current_wal_lsn()');
		my $lossy = $self->{random}->chance(0.5);
		# what others have by then, the standby needn't
		if ($lossy) { $standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()'); usleep(300_000); }
		else { $standby->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'"); }
		$self->_replace($name, $when, sub { $nodes->promote($name, $standby) });
	});
}

1;
