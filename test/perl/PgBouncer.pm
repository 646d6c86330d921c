
=pod

=head1 NAME

PgBouncer - a pgbouncer in front of nodes

=head1 SYNOPSIS

  use PgBouncer;

  my $pooler = PgBouncer->new(
      nodes => { near => $cluster->node('near') },
      user => 'app', password => 'app secret',
      settings => { default_pool_size => 2 });
  my $client = $pooler->connect('near');       # a WireClient

=head1 DESCRIPTION

Runs the packaged pgbouncer in transaction mode, on a socket of its own.  Each
node appears as a database of that name; instead of a node its address can be given,
as [ host, port ].  Clients log in without a password: it
is for the pooler to have one.

=cut

package PgBouncer;

use strict;
use warnings FATAL => 'all';

use Carp;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use WireClient;

# Those that run, to be stopped at the end whatever happens.
my %running;

sub new
{
	my ($class, %arg) = @_;
	my $self = bless {
		dir => PostgreSQL::Test::Utils::tempdir_short(),
		port => PostgreSQL::Test::Cluster::get_free_port(),
		user => $arg{user},
	}, $class;

	my %settings = (
		pool_mode => 'transaction',
		auth_type => 'trust',
		auth_file => "$self->{dir}/users",
		admin_users => 'admin',
		listen_addr => '',
		listen_port => $self->{port},
		unix_socket_dir => $self->{dir},
		logfile => "$self->{dir}/log",
		%{ $arg{settings} // {} });

	append_to_file($settings{auth_file}, qq{"admin" ""\n"$arg{user}" "$arg{password}"\n});
	my $ini = "[databases]\n";
	foreach my $name (sort keys %{ $arg{nodes} })
	{
		my $node = $arg{nodes}{$name};
		my ($host, $port) = ref $node eq 'ARRAY' ? @$node : ($node->host, $node->port);
		$ini .= "$name = host='$host' port='$port' dbname='postgres'\n";
	}
	$ini .= "[pgbouncer]\n";
	$ini .= "$_ = $settings{$_}\n" for sort keys %settings;
	append_to_file("$self->{dir}/ini", $ini);

	$self->{process} = IPC::Run::start([ _program(), '-q', "$self->{dir}/ini" ],
		'<', \undef, '>&', "$self->{dir}/output");
	$running{$self} = $self->{process};
	$self->_wait_until_it_listens;
	return $self;
}

# Not everybody's path has it.
sub _program
{
	foreach my $dir (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin')
	{
		return "$dir/pgbouncer" if -x "$dir/pgbouncer";
	}
	croak 'pgbouncer is not installed: run tools/install_packages --test';
}

# Which one it is, such as 1.18.0.
sub version
{
	my ($version) = qx(@{[ _program() ]} --version) =~ /PgBouncer (\S+)/;
	return $version // croak 'pgbouncer tells no version';
}

sub _wait_until_it_listens
{
	my ($self) = @_;
	for (1 .. 50 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if eval { $self->admin('SHOW VERSION'); 1 };
		last if !$self->{process}->pumpable && !eval { kill 0, $self->{process}{KIDS}[0]{PID} };
		usleep(20_000);
	}
	croak "pgbouncer doesn't start: " . slurp_file("$self->{dir}/output") . ": $@";
}

sub host { my ($self) = @_; return $self->{dir}; }
sub port { my ($self) = @_; return $self->{port}; }

# A new client; the options are WireClient's.
sub connect
{
	my ($self, $name, %arg) = @_;
	return WireClient->new(
		host => $self->{dir},
		port => $self->{port},
		user => $self->{user},
		dbname => $name,
		%arg);
}

# A command of its console; returns the rows.
sub admin
{
	my ($self, $command) = @_;
	my $console = $self->connect('pgbouncer', user => 'admin');
	my $result = $console->do($command);
	$console->close;
	return $result->{rows};
}

# What it has written to its log.
sub log { my ($self) = @_; return slurp_file("$self->{dir}/log"); }

sub stop
{
	my ($self) = @_;
	my $process = delete $running{$self} or return;
	$process->kill_kill(grace => 5);
	return;
}

sub DESTROY { my ($self) = @_; local ($@, $!, $?); $self->stop; return; }

END
{
	local ($@, $!, $?);
	foreach my $process (values %running) { $process->kill_kill(grace => 5); }
}

1;
