
=pod

=head1 NAME

ConsistencyGroup - members of an active-active group: servers of their own

=head1 SYNOPSIS

  use ConsistencyGroup;

  my $group = ConsistencyGroup->new(members => [ 'a', 'b', 'c' ],
      setup => 'CREATE TABLE t (k int PRIMARY KEY, n int);');
  $group->join;                          # all of them; waits for first copies
  $group->sql('a', 'INSERT INTO t VALUES (1, 1)');
  $group->wait_quiet;                    # all has arrived everywhere
  $group->is_equal('SELECT * FROM t ORDER BY k', 'same rows everywhere');

=head1 DESCRIPTION

Makes independent servers (initdb each) by PostgreSQL::Test::Cluster, with the
extension, wal_level = logical, and a server object of each other member with
user mappings: local superusers go by the role "peer", which logs in by password.

Options of new():

  members   names; default: a and b
  conf      lines for postgresql.conf of all members
  setup     SQL to run at each member once the extension is there
  group     name of the group; default: g
  database  default: postgres

=cut

package ConsistencyGroup;

use strict;
use warnings FATAL => 'all';

use Carp;
use ConsistencyCluster qw(wait_until);
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient;

our @EXPORT = qw(wait_until);

# What members log in to each other with.
our $password = q{pass 'word\\ 7};

sub new
{
	my ($class, %arg) = @_;
	my $self = bless {
		arg => \%arg,
		name => $arg{group} // 'g',
		database => $arg{database} // 'postgres',
		node => {},
		order => []
	}, $class;

	$self->add_node($_) for @{ $arg{members} // [ 'a', 'b' ] };
	return $self;
}

# One more server, declared at all others and they at it; not in the group yet.
sub add_node
{
	my ($self, $name, %arg) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 'logical', extra => [ '--no-locale', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'consistency'
shared_buffers = 16MB
max_connections = 60
max_prepared_transactions = 10
max_worker_processes = 24
max_logical_replication_workers = 16
max_sync_workers_per_subscription = 4
max_replication_slots = 20
max_wal_senders = 20
wal_retrieve_retry_interval = '100ms'
wal_writer_delay = '10ms'
checkpoint_timeout = 1h
autovacuum = off
password_encryption = 'scram-sha-256'
log_statement = 'all'
log_error_verbosity = verbose
CONF
	$node->append_conf('postgresql.conf', $self->{arg}{conf}) if $self->{arg}{conf};
	$node->append_conf('postgresql.conf', $arg{conf}) if $arg{conf};
	open my $hba, '>', $node->data_dir . '/pg_hba.conf' or die $!;
	print $hba "local all,replication peer scram-sha-256\n";
	print $hba "local all,replication all trust\n";
	close $hba;
	$node->start;
	(my $literal = $password) =~ s/'/''/g;
	$node->safe_psql('postgres', "SET log_statement = 'none';"
		  . "CREATE ROLE peer LOGIN SUPERUSER PASSWORD '$literal'");
	$node->safe_psql('postgres', "CREATE DATABASE $self->{database}")
	  if $self->{database} ne 'postgres';
	$node->safe_psql($self->{database}, 'CREATE EXTENSION consistency');
	$node->safe_psql($self->{database}, $self->{arg}{setup}) if $self->{arg}{setup};

	$self->{node}{$name} = $node;
	foreach my $other (@{ $self->{order} })
	{
		$self->declare($other, $name);
		$self->declare($name, $other);
	}
	push @{ $self->{order} }, $name;
	return $node;
}

# Declares a member at another one.
sub declare
{
	my ($self, $where, $name) = @_;
	(my $literal = $password) =~ s/'/''/g;
	$self->sql($where,
		    "SET log_statement = 'none';"
		  . "CREATE SERVER \"$name\" FOREIGN DATA WRAPPER consistency_peer OPTIONS ("
		  . $self->address_options($name)
		  . ", dbname '$self->{database}');"
		  . "CREATE USER MAPPING FOR PUBLIC SERVER \"$name\""
		  . " OPTIONS (user 'peer', password '$literal')");
	return;
}

# Where others find a member, as options of its server.
sub address_options
{
	my ($self, $name) = @_;
	my $node = $self->node($name);
	return "host '" . $node->host . "', port '" . $node->port . "'";
}

# Puts all members into the group, by one call at the first one (or that one);
# returns what it has shown.  Waits for first copies unless told otherwise.
sub join
{
	my ($self, %arg) = @_;
	my $at = $arg{at} // $self->{order}[0];
	my $more = $arg{options} ? ", $arg{options}" : '';
	my $shown = $self->sql($at,
		"SELECT * FROM consistency.join_group('$self->{name}', '$at'$more)");
	die "could not join:\n$shown\n" if $shown =~ /\|failed/ && !$arg{may_fail};
	$self->wait_copied($arg{of} ? @{ $arg{of} } : $self->names)
	  unless exists $arg{wait} && !$arg{wait};
	return $shown;
}

# --- parts --------------------------------------------------------------

sub names { my ($self) = @_; return @{ $self->{order} }; }

sub name { my ($self) = @_; return $self->{name}; }

# The PostgreSQL::Test::Cluster of that name.
sub node
{
	my ($self, $name) = @_;
	return $self->{node}{$name} // croak "no member \"$name\"";
}

# Statements as superuser in a session of its own, each its own transaction.
sub sql
{
	my ($self, $name, $sql) = @_;
	return $self->node($name)->safe_psql($self->{database}, $sql);
}

# The same; returns exit status, output and errors.
sub try_sql
{
	my ($self, $name, $sql) = @_;
	my ($status, $out, $errors) = $self->node($name)->psql($self->{database}, $sql);
	return ($status, $out, $errors);
}

# A new session at a member, as superuser unless told otherwise.
sub connect
{
	my ($self, $name, %arg) = @_;
	my $node = $self->node($name);
	return WireClient->new(
		host => $node->host,
		port => $node->port,
		user => scalar getpwuid($<),
		dbname => $self->{database},
		%arg);
}

# What a member has logged so far.
sub log_of { my ($self, $name) = @_; return slurp_file($self->node($name)->logfile); }

# --- states to wait for -------------------------------------------------

# Subscriptions of these members (or all) have copied all tables.
sub wait_copied
{
	my ($self, @names) = @_;
	@names = $self->names unless @names;
	foreach my $name (@names)
	{
		wait_until(
			sub {
				return $self->sql($name,
					    "SELECT count(*) > 0 AND bool_and(r.srsubstate = 'r') FROM pg_subscription s"
					  . " JOIN pg_subscription_rel r ON r.srsubid = s.oid"
					  . " WHERE s.subname LIKE 'consistency\\_$self->{name}\\_%'") eq 't';
			},
			"first copies at $name");
	}
	return;
}

# What one member has written by now has been applied by another one.
sub wait_applied
{
	my ($self, $from, $to) = @_;
	my $lsn = $self->sql($from, 'SELECT pg_current_wal_insert_lsn()');
	my $slot = "consistency_$self->{name}_$to";
	wait_until(
		sub {
			return $self->sql($from,
				    "SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots"
				  . " WHERE slot_name = '$slot'") eq 't';
		},
		"$to applies what $from has written");
	return;
}

# All members (or these) have applied everything, and nothing is sent any more.
# Background processes write log records as well: what counts is changes of tables.
sub wait_quiet
{
	my ($self, @names) = @_;
	@names = $self->names unless @names;
	my $before = '';
	wait_until(
		sub {
			foreach my $from (@names)
			{
				$self->wait_applied($from, $_) for grep { $_ ne $from } @names;
			}
			my $now = CORE::join(',', map { $self->changes($_) } @names);
			my $same = $now eq $before;
			$before = $now;
			return $same;
		},
		'nothing is sent any more');
	return;
}

# A number that grows with each transaction that writes.
sub changes
{
	my ($self, $name) = @_;
	return $self->sql($name, 'SELECT pg_snapshot_xmax(pg_current_snapshot())');
}

# All members (or these) answer a query alike; a test.
sub is_equal
{
	my ($self, $query, $what, @names) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	@names = $self->names unless @names;
	my $first = shift @names;
	my $expected = $self->sql($first, $query);
	my @different = grep { $self->sql($_, $query) ne $expected } @names;
	ok(!@different, $what)
	  or diag("$first: $expected", map { "\n$_: " . $self->sql($_, $query) } @different);
	return $expected;
}

1;
