
=pod

=head1 NAME

Simulate - random histories of a cluster that keeps its promises, or doesn't

=head1 SYNOPSIS

  use Simulate;

  my $history = simulate(seed => 7, kind => 'list', level => 'causal');

=head1 DESCRIPTION

A model of a primary and its replicas: a log of commits, and reads that see a
prefix of it which their level allows.  Operations overlap.  Some fail, and of
some the client never hears; these may happen much later, or never.

Options: seed; kind => register (values "version:tag") or list; level; processes,
count (operations of each), keys; size (micro-operations of each, at most);
unknown, failed (how likely each is); bound (of level bounded); reconnect (how
likely a process begins a new session).

break => 'position'  reads see any prefix, whatever the level is
         'fork'      some reads miss one of the last commits, but not those after it

=cut

package Simulate;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use History;

our @EXPORT = qw(simulate);

my %default = (
	seed => 1,
	kind => 'register',
	level => 'sequential',
	processes => 5,
	count => 20,
	keys => 3,
	size => 3,
	unknown => 0.05,
	failed => 0.03,
	reconnect => 0.05,
	bound => 60,
	break => '');

sub simulate
{
	my (%option) = @_;
	my $self = { %default, %option, log => [], values => {}, version => {}, tag => 0, context => {}, over => [] };
	srand $self->{seed};
	my $history = History->new(level => $self->{level}, seed => $self->{seed});
	$self->{names} = [ map { "k$_" } 1 .. $self->{keys} ];
	_run($self, _setup($self));
	my @ops = sort { $a->{point} <=> $b->{point} } map { _plan($self, $_) } 1 .. $self->{processes};
	_run($self, $_) for @ops;
	foreach my $op ($self->{setup}, @ops)
	{
		delete @$op{qw(point happens)};
		$history->add(%$op);
	}
	return $history->finish;
}

sub _setup
{
	my ($self) = @_;
	return $self->{setup} = {
		process => 'setup', session => 1, node => 'primary', level => $self->{level}, setup => 1,
		invoked => 1, point => 2, completed => 3, outcome => 'ok', happens => 1,
		ops => [ map { [ _write($self), $_, undef ] } @{ $self->{names} } ] };
}

sub _write { my ($self) = @_; return $self->{kind} eq 'list' ? 'append' : 'w'; }

# What one process is going to do, and when.
sub _plan
{
	my ($self, $process) = @_;
	my ($time, $session, @ops) = (4 + int rand 10, 1);
	foreach my $n (1 .. $self->{count})
	{
		$session++ if rand() < $self->{reconnect};
		my $invoked = $time + int rand 8;
		my $point = $invoked + 1 + int rand 10;
		my $chance = rand;
		my $outcome = $chance < $self->{unknown} ? 'unknown' : $chance < $self->{unknown} + $self->{failed} ? 'failed' : 'ok';
		my $op = {
			process => "p$process", session => $session, node => 'near', level => $self->{level},
			invoked => $invoked, point => $point, completed => $point + 1 + int rand 10,
			outcome => $outcome, happens => $outcome eq 'ok' ? 1 : 0, ops => _plan_ops($self) };
		$time = $op->{completed} + 1;
		if ($outcome eq 'unknown')
		{
			$op->{completed} = undef;
			$op->{happens} = int rand 2;
			$op->{point} += int rand 100 if rand() < 0.3;
		}
		push @ops, $op;
	}
	return @ops;
}

# Half of the operations only read.
sub _plan_ops
{
	my ($self) = @_;
	my $writes = rand() < 0.5;
	my %once;
	my @ops;
	foreach my $n (1 .. 1 + int rand $self->{size})
	{
		my $key = $self->{names}[ rand @{ $self->{names} } ];
		my $f = $writes && rand() < 0.6 ? _write($self) : 'r';
		# a register is written once in a transaction
		next if $f eq 'w' && $once{$key}++;
		push @ops, [ $f, $key, undef ];
	}
	return @ops ? \@ops : [ [ 'r', $self->{names}[0], undef ] ];
}

# --- running ------------------------------------------------------------

sub _run
{
	my ($self, $op) = @_;
	my $writes = grep { $_->[0] ne 'r' } @{ $op->{ops} };
	my $head = @{ $self->{log} };
	my $least = _receive($self, $op);
	my $skip;
	my $position = $head;
	if (!$writes) { ($position, $skip) = _snapshot($self, $op, $least, $head); }
	my (%state, %changed);
	foreach my $micro (@{ $op->{ops} })
	{
		my ($f, $key) = @$micro;
		$state{$key} = _value_at($self, $key, $position, $skip) unless exists $state{$key};
		if ($f eq 'r') { $micro->[2] = $op->{outcome} eq 'ok' ? ref $state{$key} ? [ @{ $state{$key} } ] : $state{$key} : undef; next; }
		$micro->[2] = _new_value($self, $op, $key);
		$changed{$key} = $state{$key} = $f eq 'append' ? [ @{ $state{$key} }, $micro->[2] ] : $micro->[2];
	}
	$position = _commit($self, $op, \%changed) if $writes && $op->{happens};
	_finish($self, $op, $position) if $op->{outcome} eq 'ok';
	_forget_version($op) if $op->{outcome} ne 'ok';
	return;
}

# Which prefix a read sees, and whether it misses a commit of it.
sub _snapshot
{
	my ($self, $op, $least, $head) = @_;
	my $level = $self->{level};
	$least = $head if $level eq 'linearizable';
	if ($level eq 'bounded')
	{
		$least = 1;
		foreach my $n (1 .. $head) { $least = $n if $self->{log}[ $n - 1 ] < $op->{invoked} - $self->{bound}; }
	}
	$least = 1 if $level eq 'eventual' || $self->{break} eq 'position';
	my $position = $least + int rand($head - $least + 1);
	$position = $head if rand() < 0.3;
	my $skip = $self->{break} eq 'fork' && $position > 3 && rand() < 0.5 ? $position - 1 - int rand 2 : undef;
	return ($position, $skip);
}

sub _value_at
{
	my ($self, $key, $position, $skip) = @_;
	foreach my $entry (reverse @{ $self->{values}{$key} // [] })
	{
		return $entry->[1] if $entry->[0] <= $position && $entry->[0] != ($skip // 0);
	}
	return $self->{kind} eq 'list' ? [] : undef;
}

# Versions of registers are counted where they are kept.
sub _new_value
{
	my ($self, $op, $key) = @_;
	my $tag = ++$self->{tag};
	return $tag if $self->{kind} eq 'list';
	return "?:$tag" unless $op->{happens};
	return ++$self->{version}{$key} . ":$tag";
}

# The client hasn't heard it.
sub _forget_version
{
	my ($op) = @_;
	foreach my $micro (@{ $op->{ops} }) { $micro->[2] =~ s/^\d+:/?:/ if $micro->[0] eq 'w'; }
	return;
}

sub _commit
{
	my ($self, $op, $changed) = @_;
	push @{ $self->{log} }, $op->{point};
	my $position = @{ $self->{log} };
	push @{ $self->{values}{$_} }, [ $position, $changed->{$_} ] for sort keys %$changed;
	return $position;
}

# What the session knows when it begins: its own context, a message, a token.
sub _receive
{
	my ($self, $op) = @_;
	my $context = \$self->{context}{ History::session_of($op) };
	$$context //= 1;
	return $$context unless @{ $self->{over} } && $self->{level} =~ /^(causal|sequential)$/;
	my @recent = @{ $self->{over} };
	splice @recent, 0, @recent - 20 if @recent > 20;
	my @over = grep { $_->[0] <= $op->{invoked} } @recent;
	if (@over && rand() < 0.3)
	{
		my (undef, $message, $position) = @{ $over[ rand @over ] };
		if (rand() < 0.5) { $op->{received} = $message; }
		else { $op->{imported} = "t$position"; }
		$$context = $position if $position > $$context;
	}
	return $$context;
}

sub _finish
{
	my ($self, $op, $position) = @_;
	my $context = \$self->{context}{ History::session_of($op) };
	$$context = $position if $position > $$context;
	$op->{sent} = 'm' . ++$self->{messages};
	$op->{token} = "t$$context";
	push @{ $self->{over} }, [ $op->{completed}, $op->{sent}, $$context ];
	return;
}

1;
