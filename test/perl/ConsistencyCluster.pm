
=pod

=head1 NAME

ConsistencyCluster - a primary, its replicas, and the extension on them

=head1 SYNOPSIS

  use ConsistencyCluster;

  my $cluster = ConsistencyCluster->new(
      replicas => [ { name => 'near' }, { name => 'late', delay => '50ms' } ]);
  my $app = $cluster->connect('primary');            # as role "app"
  my $dba = $cluster->connect('near', user => $cluster->superuser);
  $cluster->pause('late');
  wait_until(sub { $app->value('SELECT ...') eq 't' }, 'what is awaited');

=head1 DESCRIPTION

Makes real servers by PostgreSQL::Test::Cluster.  All are preloaded with the
extension; the primary has it created in the database "postgres", with one
server object for each node (named like it), and user mappings for the roles
"app", "other" and "monitor", which log in by password.  Local superusers log
in by trust and have no mapping.

Options of new():

  replicas   [ { name, delay, conf, from } ... ]; default: near and far.
             from: the replica that it streams from, instead of the primary
  conf       lines for postgresql.conf of all nodes
  primary_conf  lines for the primary's alone
  preload    what shared_preload_libraries says; default: consistency
  extension  0: neither extension, servers nor mappings
  monitor    0: no consistency.monitor_role
  setup      SQL to run at the primary before replicas are made
  install_path  where another PostgreSQL is: the directory above its bin

=cut

package ConsistencyCluster;

use strict;
use warnings FATAL => 'all';

use Carp;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use WireClient;

our @EXPORT = qw(wait_until lsn_of processes);

# Passwords of the roles that log in with one.
my %password = (
	app => 'app secret',
	other => 'other secret',
	monitor => 'monitor secret');

# For a cluster without the extension, to try these helpers and the tests'
# controls on plain PostgreSQL.
our $plain = $ENV{CONSISTENCY_TEST_PLAIN} ? 1 : 0;

sub new
{
	my ($class, %arg) = @_;
	my $replicas = $arg{replicas} // [ { name => 'near' }, { name => 'far' } ];
	my $self = bless {
		arg => \%arg,
		node => {},
		order => [],
		extension => $plain ? 0 : $arg{extension} // 1
	}, $class;

	foreach my $name ('primary', map { $_->{name} } @$replicas)
	{
		$self->{node}{$name} = PostgreSQL::Test::Cluster->new($name,
			$arg{install_path} ? (install_path => $arg{install_path}) : ());
		push @{ $self->{order} }, $name;
	}

	$self->_start_primary;
	$self->_make_roles;
	$self->declare('postgres') if $self->{extension};
	$self->primary->safe_psql('postgres', $arg{setup}) if $arg{setup};
	$self->_start_replica($_) for @$replicas;
	$self->wait_all_up
	  if $self->{extension} && ($arg{monitor} // 1);
	return $self;
}

# --- making it ----------------------------------------------------------

sub _start_primary
{
	my ($self) = @_;
	my $primary = $self->primary;
	my $preload = $plain ? '' : $self->{arg}{preload} // 'consistency';

	$primary->init(allows_streaming => 1, extra => [ '--no-locale', '--encoding=UTF8' ]);
	$primary->append_conf('postgresql.conf', <<"CONF");
shared_buffers = 16MB
max_connections = 60
max_prepared_transactions = 10
max_wal_size = 1GB
wal_keep_size = 256MB
checkpoint_timeout = 1h
autovacuum = off
hot_standby_feedback = off
wal_receiver_status_interval = 1s
password_encryption = 'scram-sha-256'
CONF
	$primary->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'")
	  if $preload;
	if ($preload =~ /consistency/)
	{
		$primary->append_conf('postgresql.conf', "consistency.monitor_interval = '100ms'");
		$primary->append_conf('postgresql.conf', "consistency.monitor_role = 'monitor'")
		  if $self->{arg}{monitor} // 1;
	}
	$primary->append_conf('postgresql.conf', $self->{arg}{conf}) if $self->{arg}{conf};

	open my $hba, '>', $primary->data_dir . '/pg_hba.conf' or die $!;
	print $hba <<'HBA';
local all +by_password scram-sha-256
local all all trust
local replication all trust
HBA
	close $hba;
	$self->start_node('primary');
	return;
}

sub _make_roles
{
	my ($self) = @_;
	my $sql = "CREATE ROLE by_password;\n";
	foreach my $role (sort keys %password)
	{
		$sql .= "CREATE ROLE $role LOGIN PASSWORD '$password{$role}' IN ROLE by_password;\n";
	}
	$sql .= "GRANT CREATE ON SCHEMA public TO app;\n";
	$sql .= "GRANT CREATE ON DATABASE postgres TO app;\n";
	$sql .= "ALTER ROLE monitor SET log_statement = 'none';\n";
	$self->primary->safe_psql('postgres', $sql);
	return;
}

# Creates the extension in a database, declares all nodes there, and maps the
# roles that log in by password.
sub declare
{
	my ($self, $database) = @_;
	my $sql = "CREATE EXTENSION IF NOT EXISTS consistency;\n";
	$sql .= $self->server_sql($_, $database) for @{ $self->{order} };
	$self->primary->safe_psql($database, $sql);
	return;
}

# The statements that declare one node.
sub server_sql
{
	my ($self, $name, $database) = @_;
	my $sql =
	    "CREATE SERVER \"$name\" FOREIGN DATA WRAPPER consistency OPTIONS ("
	  . $self->address_options($name)
	  . ($database ? ", dbname '$database'" : '') . ");\n";
	foreach my $role (sort keys %password)
	{
		$sql .= "CREATE USER MAPPING FOR $role SERVER \"$name\" "
		  . "OPTIONS (user '$role', password '$password{$role}');\n";
	}
	return $sql;
}

# Where nodes find one of them, as options of its server.
sub address_options
{
	my ($self, $name) = @_;
	my $node = $self->node($name);
	return "host '" . $node->host . "', port '" . $node->port . "'";
}

# Starts a server.
sub start_node { my ($self, $name) = @_; return $self->node($name)->start; }

# A replica gets its log from that node, once it is started or reloaded.
sub stream_from
{
	my ($self, $name, $upstream) = @_;
	$self->node($name)->enable_streaming($self->node($upstream));
	return;
}

# Where clients connect to a node: host and port.
sub address
{
	my ($self, $name) = @_;
	my $node = $self->node($name);
	return ($node->host, $node->port);
}

sub _start_replica
{
	my ($self, $replica) = @_;
	my $primary = $self->primary;
	my $node = $self->node($replica->{name});

	$primary->backup('base') unless $self->{has_backup}++;
	$node->init_from_backup($primary, 'base');
	$self->stream_from($replica->{name}, $replica->{from} // 'primary');
	$node->append_conf('postgresql.conf',
		"recovery_min_apply_delay = '$replica->{delay}'")
	  if $replica->{delay};
	$node->append_conf('postgresql.conf', $replica->{conf}) if $replica->{conf};
	if ($self->{arg}{primary_conf} && !$self->{has_primary_conf}++)
	{
		$primary->append_conf('postgresql.conf', $self->{arg}{primary_conf});
		$primary->reload;
	}
	$self->start_node($replica->{name});
	return;
}

# --- parts --------------------------------------------------------------

sub primary { my ($self) = @_; return $self->node($self->{primary} // 'primary'); }

# Another node was promoted: that one is the primary from now on.
sub set_primary { my ($self, $name) = @_; $self->{primary} = $name; return; }

# The PostgreSQL::Test::Cluster of that name.
sub node
{
	my ($self, $name) = @_;
	return $self->{node}{$name} // croak "no node \"$name\"";
}

sub names { my ($self) = @_; return @{ $self->{order} }; }

sub superuser { return scalar getpwuid($<); }

# The password that a role logs in with, or undef.
sub password_of { my ($self, $role) = @_; return $password{$role}; }

# A new session at a node, as role "app" unless told otherwise.
sub connect
{
	my ($self, $name, %arg) = @_;
	my ($host, $port) = $self->address($name);
	my $user = $arg{user} // 'app';
	return WireClient->new(
		host => $host,
		port => $port,
		user => $user,
		password => $password{$user},
		%arg);
}

# One statement as superuser in a session of its own, under no promise at all.
sub sql
{
	my ($self, $name, $sql, $database) = @_;
	return $self->node($name)->safe_psql($database // 'postgres', $sql);
}

# --- states to wait for -------------------------------------------------

# Calls a function until it returns true; dies when that takes too long.
sub wait_until
{
	my ($condition, $what, $seconds) = @_;
	my $end = time + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
	while (1)
	{
		my $result = $condition->();
		return $result if $result;
		croak "waited in vain: $what" if time > $end;
		usleep(20_000);
	}
}

# Every node (or: that node) sees every declared node up, in its role.
sub wait_all_up
{
	my ($self, @where) = @_;
	my $all = scalar $self->names;
	@where = $self->names unless @where;
	foreach my $name (@where)
	{
		$self->node($name)->poll_query_until('postgres',
			"SELECT count(*) = $all AND count(*) FILTER (WHERE role = 'primary') = 1"
			  . " FROM consistency.nodes WHERE state = 'up'")
		  or croak "the nodes aren't all up as \"$name\" sees them";
	}
	return;
}

# What one node's view says of another, as a hash.
sub node_row
{
	my ($self, $where, $of) = @_;
	my $session = $self->connect($where, user => superuser());
	my $row = $session->row(
		"SELECT * FROM consistency.nodes WHERE name = '$of'");
	$session->close;
	return $row;
}

# The replica has replayed all that the primary has written so far.
sub wait_replayed
{
	my ($self, @replicas) = @_;
	# Not the insert position: what nobody asked to flush is never sent.
	my $lsn = $self->primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	my $primary = $self->{primary} // 'primary';
	@replicas = grep { $_ ne $primary } $self->names unless @replicas;
	foreach my $name (@replicas)
	{
		$self->node($name)
		  ->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'")
		  or croak "\"$name\" doesn't replay up to $lsn";
	}
	return;
}

# Stops replay at a replica; returns once it has stopped.
sub pause
{
	my ($self, $name) = @_;
	my $node = $self->node($name);
	$node->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
	$node->poll_query_until('postgres',
		"SELECT pg_get_wal_replay_pause_state() = 'paused'")
	  or croak "\"$name\" doesn't pause";
	return;
}

sub resume
{
	my ($self, $name) = @_;
	# replay that goes on may well cancel the statement that says so
	$self->node($name)->psql('postgres', 'SELECT pg_wal_replay_resume()');
	return;
}

# A session waits inside the server: its backend sits in a wait event of the
# given type and isn't idle.
sub wait_for_wait
{
	my ($self, $name, $pid, $type) = @_;
	$type //= 'Extension';
	$self->node($name)->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $pid"
		  . " AND state = 'active' AND wait_event_type = '$type'")
	  or croak "backend $pid doesn't wait ($type)";
	return;
}

# All processes of a node.
sub processes
{
	my ($node) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @children;
	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		# a process may be gone by now
		open my $file, '<', $stat or next;
		my ($pid, $parent) = (<$file> // '') =~ /^(\d+) \(.*\) \S (\d+)/s or next;
		push @children, $pid if $parent == $postmaster;
	}
	return ($postmaster, @children);
}

# The LSN of a token, as a number, to be compared.
sub lsn_of
{
	my ($token) = @_;
	my ($high, $low) = $token =~ m{^\d+:\d+:([0-9A-F]+)/([0-9A-F]+)$}
	  or croak "not a token: \"$token\"";
	return hex($high) * 4294967296 + hex($low);
}

1;
