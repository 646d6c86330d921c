
=pod

=head1 NAME

Recorder - a client that writes down what it does and what it is answered

=head1 SYNOPSIS

  my $client = Recorder->new(cluster => $cluster, process => 3, file => "$dir/3.jsonl",
      level => 'causal', home => 'near');
  $client->operation([ [ 'append', 'x', 7 ], [ 'r', 'y' ] ], sub {
      my ($c, $ops) = @_;
      ...
      $c->commits('UPDATE ...');        # a statement that may commit
      $ops->[1][2] = ...;               # what was read
  });
  $client->move('far');                 # goes on there, with its token

=head1 DESCRIPTION

A line a time, in the format of History.pm.  What became of an operation:

  ok       it was acknowledged
  failed   an error told so, or the connection was lost before anything was sent
           that could commit
  unknown  the connection was lost, or nothing came within the client's patience,
           or the server said that it doesn't know (08007), or that its quorum
           hasn't confirmed it (YC003)

What the errors of the extension say is believed: 08006 and 08001 mean that
nothing was committed.  It is for the checkers to find out if that is a lie.
With 08007 comes a ticket, which the client hands in at once, as an application
would: "committed" makes it ok, unless the client writes by_quorum: then nobody has
said that the quorum has it.  "aborted" makes it failed.  Else it is asked again at
the end (resolve()).

A session is a token.  A client whose connection is lost goes on in the same
session with the last token that it was told.  One whose position was lost in a
failover (YC002, but not from a primary that was deposed) begins a new session.

=cut

package Recorder;

use strict;
use warnings FATAL => 'all';

use ConsistencyCluster ();
use History;
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);
use WireClient;

# how long a client waits for an answer, seconds
our $patience = 6;

sub now { return int(clock_gettime(CLOCK_MONOTONIC) * 1e9); }

sub new
{
	my ($class, %arg) = @_;
	my $self = bless {
		session => 0, serial => 0, settings => [], on_session => sub { }, tickets => [], %arg,
		node => $arg{home} }, $class;
	open $self->{out}, '>', $arg{file} or die "$arg{file}: $!";
	$self->{out}->autoflush(1);
	$self->_new_session;
	return $self;
}

sub node { my ($self) = @_; return $self->{node}; }

sub token { my ($self) = @_; return $self->{token}; }

sub wire { my ($self) = @_; return $self->{wire}; }

sub session { my ($self) = @_; return "$self->{process}/$self->{session}"; }

# --- sessions -------------------------------------------------------------

sub _new_session
{
	my ($self) = @_;
	$self->{session}++;
	$self->{fresh} = 1;
	delete $self->{token};
	return;
}

# Goes on at another node, with its token.
sub move
{
	my ($self, $node) = @_;
	return if $node eq $self->{node};
	$self->leave;
	$self->{node} = $node;
	return;
}

# Hangs up; a new session if it is told to forget.
sub leave
{
	my ($self, %how) = @_;
	if ($self->{wire}) { $how{rudely} ? $self->{wire}->abandon : $self->{wire}->close; }
	delete $self->{wire};
	$self->_new_session if $how{forget};
	return;
}

sub _connect
{
	my ($self) = @_;
	return $self->{cluster}->connect($self->{node}, application_name => "client $self->{process}");
}

# Connected?  Does that, if not; false if it doesn't work now.  In a session's
# beginning on_session is called, that reads all keys.
sub ready
{
	my ($self) = @_;
	if (!$self->{wire})
	{
		local $WireClient::timeout = 3;
		my $wire = eval { $self->_connect };
		my $error = $wire ? $self->_greet($wire) : 1;
		if ($error)
		{
			$self->_new_session if ref $error && _is_lost($error);
			usleep(50_000);
			return 0;
		}
		$self->{wire} = $wire;
	}
	if ($self->{fresh})
	{
		$self->{fresh} = 0;
		my $session = $self->{session};
		my $outcome = $self->{on_session}->($self) // 'ok';
		# what wasn't read is read before anything else
		$self->{fresh} = 1 if $outcome ne 'ok' || $session != $self->{session};
		return 0 if $self->{fresh};
	}
	return $self->{wire} ? 1 : 0;
}

# The first words; the error, if there is one.
sub _greet
{
	my ($self, $wire) = @_;
	return if $ConsistencyCluster::plain;
	my @words = ("SET consistency = '$self->{level}'", @{ $self->{settings} });
	push @words, "SET consistency.token = '$self->{token}'" if $self->{token};
	foreach my $sql (@words)
	{
		my $result = eval { $wire->query($sql) } // return 1;
		return $result->{error} if $result->{error};
	}
	return;
}

# Knows from now on what somebody else told: a token.
sub import_token
{
	my ($self, $token) = @_;
	return unless $self->{wire};
	my $result = eval { $self->{wire}->query("SET consistency.token = '$token'") };
	if (!$result) { $self->leave(rudely => 1); return 0; }
	if ($result->{error})
	{
		$self->leave(forget => _is_lost($result->{error}));
		return 0;
	}
	$self->_note_token;
	return 1;
}

sub _note_token
{
	my ($self) = @_;
	my $token = $self->{wire} && $self->{wire}->parameter('consistency.token');
	$self->{token} = $token if $token;
	return;
}

# --- operations -----------------------------------------------------------

# Runs and records one operation; returns its outcome.  The function gets this
# object and a copy of the micro-operations, in which it fills in what it reads;
# it uses reads() and commits().
sub operation
{
	my ($self, $ops, $code, %note) = @_;
	my @ops = map { [@$_] } @$ops;
	local $WireClient::timeout = $patience;
	$self->{may_commit} = 0;
	delete $self->{failure};
	my $before = $self->{session};
	my %op = (
		id => "$self->{process}.$self->{serial}", process => $self->{process}, session => $self->{session},
		node => $self->{node}, level => $self->{level}, ops => $ops, %note);
	$self->{serial}++;
	$op{invoked} = now();
	my $good = eval { $code->($self, \@ops); 1 };
	my $died = $@;
	$op{completed} = now();
	$op{outcome} = $good ? 'ok' : $self->_outcome($died, \%op);
	$op{ops} = \@ops if $good;
	$self->_note_token($op{outcome}) if $self->{session} == $before;
	$op{token} = $self->{token} if $self->{token} && $self->{session} == $before && $op{outcome} eq 'ok';
	$op{completed} = undef if $op{outcome} eq 'unknown';
	$self->{out}->print(History::line(%op));
	return $op{outcome};
}

# A statement that commits nothing; its result.
sub reads
{
	my ($self, $sql, @parameters) = @_;
	my $result = @parameters ? $self->{wire}->execute($sql, @parameters) : $self->{wire}->query($sql);
	return $result unless $result->{error};
	$self->{failure} = $result->{error};
	die "$result->{error}{code} $result->{error}{message}\n";
}

# A statement whose transaction may be committed when it is sent.
sub commits
{
	my ($self, @what) = @_;
	$self->{may_commit} = 1;
	return $self->reads(@what);
}

# What became of an operation that died.
sub _outcome
{
	my ($self, $died, $op) = @_;
	my $failure = $self->{failure};
	if (!$failure)
	{
		die $died unless $died =~ /server closed|no answer|could not send|connection is closed/;
		$op->{error} = $died =~ s/ at \S+ line.*//sr;
		$self->leave(rudely => 1);
		return $self->{may_commit} ? 'unknown' : 'failed';
	}
	$op->{error} = "$failure->{code} $failure->{message}";
	if ($failure->{severity} =~ /^(?:FATAL|PANIC)$/)
	{
		$self->leave(rudely => 1);
		return $self->{may_commit} ? 'unknown' : 'failed';
	}
	return $self->_ask_ticket($failure, $op) if $failure->{code} eq '08007' && $self->{may_commit};
	return 'unknown' if $failure->{code} eq 'YC003';
	if ($failure->{code} eq 'YC002') { $self->leave(forget => _is_lost($failure)); }
	else { $self->_roll_back; }
	return 'failed';
}

# Is what the session knows of gone for good?  A primary that was deposed refuses
# what it can't know yet; elsewhere that still holds.
sub _is_lost
{
	my ($error) = @_;
	return $error->{code} eq 'YC002' && $error->{message} !~ /newer timeline|not the primary any more/ ? 1 : 0;
}

sub _roll_back
{
	my ($self) = @_;
	return if !$self->{wire} || $self->{wire}->status eq 'I';
	$self->leave(rudely => 1) unless eval { $self->{wire}->query('ROLLBACK') };
	return;
}

# An application that is told "unknown" asks.
sub _ask_ticket
{
	my ($self, $failure, $op) = @_;
	my ($ticket) = $failure->{hint} =~ /transaction_status\('([^']+)'\)/ or return 'unknown';
	my $result = eval { $self->{wire}->query("SELECT consistency.transaction_status('$ticket')") };
	my $status = $result && !$result->{error} ? $result->{rows}[0][0] // '' : '';
	$op->{completed} = now();
	$op->{note} = "ticket: $status";
	$self->leave(rudely => 1) unless $result;
	return 'ok' if $status eq 'committed' && !$self->{by_quorum} && !grep { $_->[0] eq 'r' } @{ $op->{ops} };
	return 'failed' if $status eq 'aborted';
	push @{ $self->{tickets} }, [ {%$op}, $ticket ];
	return 'unknown';
}

# At the end, when all is well again: what is still unknown, and has a ticket, is
# asked for at a node.  What was committed stays unknown, as nobody can say when it
# became visible; but the note tells.
sub resolve
{
	my ($self, $node) = @_;
	return unless @{ $self->{tickets} };
	$self->leave;
	my $wire = eval { $self->{cluster}->connect($node) } or return;
	foreach my $entry (@{ $self->{tickets} })
	{
		my ($op, $ticket) = @$entry;
		my $result = eval { $wire->query("SELECT consistency.transaction_status('$ticket')") } or last;
		my $status = $result->{error} ? $result->{error}{code} : $result->{rows}[0][0] // 'too long ago';
		$op->{note} = "ticket, at the end: $status";
		$op->{outcome} = $status eq 'aborted' ? 'failed' : 'unknown';
		$op->{completed} = undef if $op->{outcome} eq 'unknown';
		$self->{out}->print(History::line(%$op));
	}
	$self->{tickets} = [];
	return;
}

# No more to be written.
sub finish { my ($self) = @_; $self->leave; close $self->{out} or die "$self->{file}: $!"; return; }

1;
