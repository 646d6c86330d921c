
=pod

=head1 NAME

Proxy - the network between nodes and clients, to be cut at will

=head1 SYNOPSIS

  my $proxy = Proxy->new(
      { from => 'near', to => 'primary', listen => [ '127.9.0.12', 5433 ], target => '/dir/.s.PGSQL.5433' }, ...);
  $proxy->set('near', 'primary', 'both', 'cut');       # hangs: bytes are kept back
  $proxy->set('near', 'primary', 'back', 'delay', 50); # milliseconds
  $proxy->set('*', 'primary', 'there', 'rate', 20000); # bytes a second
  $proxy->set('near', '*', 'both', 'pass');            # what was kept back goes on
  $proxy->set('near', 'primary', 'both', 'refuse');    # new connections are reset, old ones too
  $proxy->reset('near', 'primary');                    # RST for all that is open

=head1 DESCRIPTION

One process passes on what all links carry.  A link is directed: who opens the
connection is "from".  Each has two ways, "there" and "back", which can be
hindered separately.  A cut is what a cut cable is to TCP: nothing arrives, not
even the end of a connection; what was sent arrives when the link is whole again.
No connection can be made over a link that is cut in one way.

Everybody who has the object, in whichever process, can control it: commands go
over a socket.  The process that made it ends it.

=cut

package Proxy;

use strict;
use warnings FATAL => 'all';

use Carp;
use File::Temp ();
use IO::Socket::INET;
use IO::Socket::UNIX;
use List::Util qw(min);
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM SOL_SOCKET SO_LINGER pack_sockaddr_un);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

# what a way keeps before it reads no more, bytes
my $keep_limit = 1 << 20;
my $chunk = 1 << 16;

my %is_mode = map { $_ => 1 } qw(pass cut delay rate refuse);

sub new
{
	my ($class, @links) = @_;
	my $directory = File::Temp::tempdir(CLEANUP => 0);
	my $self = bless { owner => $$, directory => $directory, control => "$directory/control" }, $class;
	foreach my $link (@links)
	{
		$link->{listener} = IO::Socket::INET->new(
			LocalAddr => $link->{listen}[0], LocalPort => $link->{listen}[1],
			Listen => 100, ReuseAddr => 1, Blocking => 0)
		  or croak "could not listen at @{ $link->{listen} }: $!";
	}
	my $control = IO::Socket::UNIX->new(Local => $self->{control}, Listen => 20)
	  or croak "could not listen at $self->{control}: $!";
	$self->{pid} = fork // croak "could not fork: $!";
	if ($self->{pid} == 0)
	{
		eval { _serve($control, @links); 1 } or warn "proxy: $@";
		POSIX::_exit(1);    # without what the others would clean up
	}
	$_->{listener}->close for @links;
	return $self;
}

# --- control ------------------------------------------------------------

# Hinders links: from and to are names or '*', way is there, back or both.
sub set
{
	my ($self, $from, $to, $way, $mode, $value) = @_;
	croak "no such mode: $mode" unless $is_mode{$mode};
	croak "no such way: $way" unless $way =~ /^(?:there|back|both)$/;
	return $self->_command('set', $from, $to, $way, $mode, $value // 0);
}

# Ends all connections of links by RST.
sub reset { my ($self, $from, $to) = @_; return $self->_command('reset', $from, $to); }

# All is well again.
sub heal { my ($self) = @_; return $self->set('*', '*', 'both', 'pass'); }

# What each link is like: a hash by "from>to".
sub state
{
	my ($self) = @_;
	return { map { /^(\S+) (.*)$/ } split /;/, $self->_command('state') };
}

sub _command
{
	my ($self, @words) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $self->{control}) or croak "no proxy: $!";
	print $socket "@words\n";
	$socket->flush;
	my $answer = <$socket> // croak "the proxy did not answer to \"@words\"";
	chomp $answer;
	croak "proxy: $answer" if $answer =~ /^error/;
	return $answer;
}

sub DESTROY
{
	my ($self) = @_;
	return unless $self->{pid} && $self->{owner} == $$;
	local ($@, $!, $?);
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	unlink $self->{control};
	rmdir $self->{directory};
	return;
}

# --- the process between ------------------------------------------------

# A connection is two pipes; a pipe reads from one socket, keeps, and writes to
# the other one.
my (@links, @pipes, $now);

sub _serve
{
	my ($control, @all) = @_;
	$SIG{PIPE} = 'IGNORE';
	@SIG{qw(INT TERM)} = ('DEFAULT', 'DEFAULT');
	@links = @all;
	$_->{ways} = { there => { mode => 'pass' }, back => { mode => 'pass' } } for @links;
	$now = clock_gettime(CLOCK_MONOTONIC);
	for (;;)
	{
		my ($read, $write, $wait) = _interests($control);
		my ($can_read, $can_write) = ($read, $write);
		my $n = select($can_read, $can_write, undef, $wait);
		$now = clock_gettime(CLOCK_MONOTONIC);
		next if $n < 0;
		_listen($control->accept) if vec($can_read, fileno $control, 1);
		foreach my $link (@links)
		{
			_accept($link) if vec($can_read, fileno $link->{listener}, 1);
		}
		foreach my $pipe (@pipes)
		{
			_receive($pipe) if !$pipe->{closed} && !$pipe->{eof} && vec($can_read, fileno $pipe->{in}, 1);
			_forward($pipe) if !$pipe->{closed} && vec($write, fileno $pipe->{out}, 1)
			  && vec($can_write, fileno $pipe->{out}, 1);
		}
		@pipes = grep { !$_->{closed} } @pipes;
	}
}

# What to wait for: bits to read, bits to write, seconds.
sub _interests
{
	my ($control) = @_;
	my ($read, $write, $wait) = ('', '', 3600);
	vec($read, fileno $control, 1) = 1;
	foreach my $link (@links)
	{
		vec($read, fileno $link->{listener}, 1) = 1
		  unless grep { $_->{mode} eq 'cut' } values %{ $link->{ways} };
	}
	foreach my $pipe (@pipes)
	{
		vec($read, fileno $pipe->{in}, 1) = 1 unless $pipe->{eof} || $pipe->{kept} > $keep_limit;
		my $due = _due($pipe) // next;
		if ($due <= $now) { vec($write, fileno $pipe->{out}, 1) = 1; }
		else { $wait = min($wait, $due - $now); }
	}
	return ($read, $write, $wait);
}

# When a pipe may pass something on; undef: it has nothing, or mustn't.
sub _due
{
	my ($pipe) = @_;
	my $way = $pipe->{way};
	return undef if !@{ $pipe->{queue} } || $way->{mode} eq 'cut';
	return $pipe->{queue}[0][0] + $way->{value} / 1000 if $way->{mode} eq 'delay';
	return $pipe->{next} // 0 if $way->{mode} eq 'rate';
	return 0;
}

sub _accept
{
	my ($link) = @_;
	my $client = $link->{listener}->accept or return;
	my $server = $link->{ways}{there}{mode} eq 'refuse' ? undef : _connect($link->{target});
	if (!$server) { _rst($client); return; }
	$client->blocking(0);
	my %common = (link => $link, kept => 0, eof => 0, closed => 0);
	my $there = { %common, queue => [], in => $client, out => $server, way => $link->{ways}{there} };
	my $back = { %common, queue => [], in => $server, out => $client, way => $link->{ways}{back} };
	@$there{qw(other client)} = ($back, $client);
	@$back{qw(other client)} = ($there, $client);
	push @pipes, $there, $back;
	return;
}

# Without blocking: a server that is stopped doesn't accept for ever.
sub _connect
{
	my ($path) = @_;
	socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or return undef;
	bless $socket, 'IO::Socket::UNIX';
	$socket->blocking(0);
	connect($socket, pack_sockaddr_un($path)) or return undef;
	return $socket;
}

sub _receive
{
	my ($pipe) = @_;
	my $n = sysread($pipe->{in}, (my $data), $chunk);
	if (!defined $n)
	{
		return if $!{EAGAIN} || $!{EINTR};
		$pipe->{broken} = 1;
		$n = 0;
	}
	$pipe->{eof} = 1 if !$n;
	$pipe->{kept} += $n;
	push @{ $pipe->{queue} }, [ $now, $n ? $data : undef ];
	return;
}

sub _forward
{
	my ($pipe) = @_;
	while (@{ $pipe->{queue} } && (_due($pipe) // $now + 1) <= $now)
	{
		my $item = $pipe->{queue}[0];
		if (!defined $item->[1]) { _end($pipe); return; }
		my $rate = $pipe->{way}{mode} eq 'rate' ? $pipe->{way}{value} : 0;
		my $part = $rate ? min(length $item->[1], int($rate / 20) || 1) : length $item->[1];
		my $n = syswrite $pipe->{out}, $item->[1], $part;
		if (!defined $n)
		{
			_break($pipe) unless $!{EAGAIN} || $!{EINTR};
			return;
		}
		$pipe->{kept} -= $n;
		$pipe->{next} = $now + $n / $rate if $rate;
		substr($item->[1], 0, $n) = '';
		return if length $item->[1];
		shift @{ $pipe->{queue} };
	}
	return;
}

# The end of a stream has arrived on the other side.
sub _end
{
	my ($pipe) = @_;
	shift @{ $pipe->{queue} };
	$pipe->{done} = 1;
	if ($pipe->{broken} || $pipe->{other}{done}) { _break($pipe); }
	else { shutdown $pipe->{out}, 1; }
	return;
}

# Ends a connection, hard towards the side that isn't the server.
sub _break
{
	my ($pipe) = @_;
	my $client = $pipe->{client};
	my ($server) = grep { $_ != $client } @$pipe{qw(in out)};
	if ($pipe->{done} && $pipe->{other}{done} && !$pipe->{broken}) { close $client; }
	else { _rst($client); }
	close $server;
	$_->{closed} = 1 for $pipe, $pipe->{other};
	return;
}

sub _rst
{
	my ($socket) = @_;
	setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
	close $socket;
	return;
}

# --- commands -----------------------------------------------------------

sub _listen
{
	my ($socket) = @_;
	return unless $socket;
	my $line = <$socket> // '';
	chomp $line;
	my $answer = eval { _obey(split / /, $line) } // "error: $@";
	$answer =~ s/\n/ /g;
	print $socket "$answer\n";
	close $socket;
	return;
}

sub _obey
{
	my ($command, $from, $to, $way, $mode, $value) = @_;
	return join ';', map { _state_of($_) } @links if $command eq 'state';
	my @chosen = grep { ($from eq '*' || $_->{from} eq $from) && ($to eq '*' || $_->{to} eq $to) } @links;
	die "no link from $from to $to\n" unless @chosen;
	foreach my $link (@chosen)
	{
		foreach my $name ($command eq 'set' ? $way eq 'both' ? qw(there back) : $way : ())
		{
			my $known = $link->{ways}{$name};
			@$known{qw(mode value)} = ($mode, $value);
		}
		next unless $command eq 'reset' || $mode eq 'refuse';
		foreach my $pipe (@pipes) { _break($pipe) if $pipe->{link} == $link && !$pipe->{closed}; }
	}
	@pipes = grep { !$_->{closed} } @pipes;
	return 'ok';
}

sub _state_of
{
	my ($link) = @_;
	my ($there, $back) = map { $link->{ways}{$_}{mode} } qw(there back);
	my $open = grep { $_->{link} == $link } @pipes;
	return "$link->{from}>$link->{to} $there/$back/" . $open / 2;
}

1;
