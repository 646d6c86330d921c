
=pod

=head1 NAME

TurnCounter - stands between a node and its clients, and counts round trips

=head1 SYNOPSIS

  my $counter = TurnCounter->new($node);      # $node->host and port are the other side
  $counter->port                              # where it listens, on 127.0.0.1
  $counter->turns('app')                      # how often clients of that role had the last word

=head1 DESCRIPTION

A turn is what a client sends until the server answers, in however many packets.
Turns of a connection count for the role that it was started for.  A process of
its own passes everything on; the counts lie in a file that it keeps.

=cut

package TurnCounter;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;

sub new
{
	my ($class, $node) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20)
	  or die "cannot listen: $!";
	my $self = bless {
		port => $listener->sockport,
		file => PostgreSQL::Test::Utils::tempdir() . '/turns'
	}, $class;

	append_to_file($self->{file}, '');
	$self->{pid} = fork // die "cannot fork: $!";
	if ($self->{pid} == 0)
	{
		eval { $self->_serve($listener, $node->host . '/.s.PGSQL.' . $node->port) };
		kill 'KILL', $$;    # without what the test would clean up
	}
	return $self;
}

sub port { my ($self) = @_; return $self->{port}; }

sub turns
{
	my ($self, $role) = @_;
	return scalar grep { $_ eq $role } split /\n/, slurp_file($self->{file});
}

sub DESTROY
{
	my ($self) = @_;
	local ($@, $!, $?);
	if ($self->{pid})
	{
		kill 'KILL', $self->{pid};
		waitpid $self->{pid}, 0;
	}
	return;
}

# --- the process between ------------------------------------------------

sub _serve
{
	my ($self, $listener, $socket_path) = @_;
	my $select = IO::Select->new($listener);
	my %end;    # by socket: its other side, and what is known of the connection

	for (;;)
	{
		foreach my $socket ($select->can_read)
		{
			if ($socket == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::UNIX->new(Peer => $socket_path);
				if (!$server) { $client->close; next; }
				my $connection = {};
				$end{$client} = { from_client => 1, other => $server, connection => $connection };
				$end{$server} = { from_client => 0, other => $client, connection => $connection };
				$select->add($client, $server);
				next;
			}
			my $end = $end{$socket} or next;
			if (!sysread $socket, my $data, 65536)
			{
				$select->remove($socket, $end->{other});
				delete @end{ $socket, $end->{other} };
				$_->close foreach $socket, $end->{other};
				next;
			}
			else
			{
				$self->_count($end, $data);
				syswrite $end->{other}, $data;
			}
		}
	}
	return;
}

sub _count
{
	my ($self, $end, $data) = @_;
	my $connection = $end->{connection};

	# a request for TLS may come ahead of it
	$connection->{role} = $1
	  if $end->{from_client} && !defined $connection->{role} && $data =~ /\0user\0([^\0]+)\0/;
	append_to_file($self->{file}, ($connection->{role} // '?') . "\n")
	  if $end->{from_client} && !$connection->{asked};
	$connection->{asked} = $end->{from_client};
	return;
}

1;
