
=pod

=head1 NAME

ProxiedCluster - a cluster whose network is a proxy

=head1 SYNOPSIS

  my $cluster = ProxiedCluster->new(replicas => [ { name => 'near' }, { name => 'far' } ]);
  $cluster->proxy->set('near', 'primary', 'both', 'cut');
  $cluster->connect('near')                       # over the link from client to near
  $cluster->connect('near', directly => 1)        # around it

=head1 DESCRIPTION

A ConsistencyCluster in which nodes and clients meet over links of Proxy: one for
each ordered pair of nodes, and one from "client" to each node.  Replication,
forwarding, routing and heartbeats go over them.  Servers listen at sockets in
directories only; what is for the test itself (sql(), node()) goes there.

All nodes have the same server objects, which replicate, and still each goes its
own way: the server object names a service, and every server process has a service
file of its own, in which the address of each node is that of its own link to it.
With the option clocks => 1 every server looks at a clock of its own (libfaketime),
which set_clock() steps; their monotonic clocks stay what they are.

A pooler between clients and all nodes is had with start_pooler(), and gone with
stop_pooler().  Its connections to the nodes go over the clients' links.

Links are told apart by loopback addresses: 127.x.y.N for all links from the Nth.

=cut

package ProxiedCluster;

use strict;
use warnings FATAL => 'all';

use parent 'ConsistencyCluster';
use PgBouncer;
use PostgreSQL::Test::Utils;
use Proxy;

sub new
{
	my ($class, %arg) = @_;
	# run by run others, so that runs at the same time don't meet
	my $net = sprintf '127.%d.%d', 1 + int($$ / 250) % 250, 1 + $$ % 250;
	# a replica that follows another primary gets there within a fault's time
	my $conf = "wal_retrieve_retry_interval = '100ms'\n" . ($arg{conf} // '');
	return $class->SUPER::new(%arg, conf => $conf, net => $net);
}

sub proxy { my ($self) = @_; return $self->{proxy} //= $self->_make_proxy; }

# Which node is the primary.
sub primary_name { my ($self) = @_; return $self->{primary} // 'primary'; }

sub _sources { my ($self) = @_; return ('client', $self->names); }

# The address at which one finds all nodes.
sub _address_of
{
	my ($self, $from) = @_;
	my @sources = $self->_sources;
	my ($n) = grep { $sources[$_] eq $from } 0 .. $#sources;
	return "$self->{arg}{net}." . ($n + 10);
}

sub _make_proxy
{
	my ($self) = @_;
	my @links;
	foreach my $from ($self->_sources)
	{
		foreach my $to ($self->names)
		{
			my $node = $self->node($to);
			push @links, {
				from => $from,
				to => $to,
				listen => [ $self->_address_of($from), $node->port ],
				target => $node->host . '/.s.PGSQL.' . $node->port };
		}
	}
	return Proxy->new(@links);
}

# --- what a ConsistencyCluster asks for -----------------------------------

sub address_options
{
	my ($self, $name) = @_;
	return "host '$name', port '" . $self->node($name)->port . "', service '$name'";
}

sub start_node
{
	my ($self, $name, @how) = @_;
	$self->proxy;
	my $file = PostgreSQL::Test::Utils::tempdir_short() . "/$name.services";
	my $address = $self->_address_of($name);
	open my $out, '>', $file or die "$file: $!";
	print $out "[$_]\nhostaddr=$address\n" for $self->names;
	close $out;
	local %ENV = (%ENV, PGSERVICEFILE => $file, $self->_clock_environment($name));
	return $self->node($name)->start(@how);
}

# --- clocks ---------------------------------------------------------------

sub has_clocks { my ($self) = @_; return $self->{arg}{clocks} ? 1 : 0; }

# Sets a server's clock: so many seconds ahead.
sub set_clock
{
	my ($self, $name, $seconds) = @_;
	my $file = $self->{clock}{$name} //= PostgreSQL::Test::Utils::tempdir_short() . "/$name.clock";
	open my $out, '>', "$file.new" or die "$file: $!";
	printf $out "%+f\n", $seconds;
	close $out;
	rename "$file.new", $file or die "$file: $!";
	return;
}

sub _clock_environment
{
	my ($self, $name) = @_;
	return () unless $self->has_clocks;
	my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
	die "libfaketime is not installed: see tools/install_packages --test\n" unless $library;
	$self->set_clock($name, 0) unless $self->{clock}{$name};
	return (
		LD_PRELOAD => $library,
		FAKETIME_TIMESTAMP_FILE => $self->{clock}{$name},
		FAKETIME_NO_CACHE => 1,
		FAKETIME_DONT_FAKE_MONOTONIC => 1,
		DONT_FAKE_MONOTONIC => 1,
		NO_FAKE_STAT => 1);
}

# --- the network ----------------------------------------------------------

sub stream_from
{
	my ($self, $name, $upstream) = @_;
	my $node = $self->node($name);
	my $conninfo = sprintf 'host=%s hostaddr=%s port=%d user=%s application_name=%s',
	  $upstream, $self->_address_of($name), $self->node($upstream)->port, $self->superuser, $name;
	$node->append_conf('postgresql.conf', "primary_conninfo = '$conninfo'");
	$node->set_standby_mode;
	return;
}

sub address
{
	my ($self, $name) = @_;
	return ($self->_address_of('client'), $self->node($name)->port);
}

# pgbouncer in transaction mode: few connections, which many clients take turns with,
# and none of them for long.  A node that is back is tried again soon.  Takes settings
# of pgbouncer.
sub start_pooler
{
	my ($self, %settings) = @_;
	$self->{pooler} = PgBouncer->new(
		nodes => { map { $_ => [ $self->address($_) ] } $self->names },
		user => 'app', password => $self->password_of('app'),
		settings => {
			default_pool_size => 2, server_idle_timeout => 1, server_lifetime => 3, server_login_retry => 1,
			server_connect_timeout => 2, query_wait_timeout => 4, %settings });
	return;
}

sub stop_pooler { my ($self) = @_; (delete $self->{pooler})->stop if $self->{pooler}; return; }

sub connect
{
	my ($self, $name, %arg) = @_;
	return $self->{pooler}->connect($name, %arg) if delete $arg{pooled};
	return $self->SUPER::connect($name, %arg) unless delete $arg{directly};
	my $node = $self->node($name);
	my $user = $arg{user} // $self->superuser;
	return WireClient->new(
		host => $node->host, port => $node->port, user => $user,
		password => $self->password_of($user), %arg);
}

1;
