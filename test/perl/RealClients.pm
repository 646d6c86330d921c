
=pod

=head1 NAME

RealClients - runs other people's clients against a node of a cluster

=head1 SYNOPSIS

  use RealClients;

  my $cluster = clients_cluster();
  my $run = run_client($cluster, endpoint(), [ 'psql', '-c', 'SELECT 1' ]);
  $run->{status}; $run->{out}; $run->{err};

=head1 DESCRIPTION

The clients connect to the node that endpoint() names: a replica, or what the
environment variable CONSISTENCY_TEST_ENDPOINT says.  With "primary" the tests
themselves are tried on what every client was made for.

=cut

package RealClients;

use strict;
use warnings FATAL => 'all';

use ConsistencyCluster;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(endpoint at_replica clients_cluster client_environment run_client);

# The name of the node that clients connect to.
sub endpoint { return $ENV{CONSISTENCY_TEST_ENDPOINT} // 'near'; }

# Is that node a replica?
sub at_replica { return endpoint() ne 'primary'; }

# A primary and a replica that is always a little behind, so that a read that
# doesn't wait for what was written shows that it didn't.
sub clients_cluster
{
	my (%arg) = @_;
	return ConsistencyCluster->new(
		replicas => [ { name => 'near', delay => '10ms' } ], %arg);
}

# What libpq and its like read from the environment to connect to a node.
sub client_environment
{
	my ($cluster, $name, %more) = @_;
	my $node = $cluster->node($name);
	my $user = $more{PGUSER} // 'app';
	return (
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGDATABASE => 'postgres',
		PGUSER => $user,
		PGPASSWORD => $cluster->password_of($user) // '',
		%more);
}

# Runs a command to its end with a node's address in its environment: options
# in (standard input), env (more variables) and cwd.
sub run_client
{
	my ($cluster, $name, $command, %arg) = @_;
	local %ENV = (%ENV, client_environment($cluster, $name, %{ $arg{env} // {} }));
	my ($out, $err) = ('', '');
	my @options = $arg{cwd} ? (init => sub { chdir $arg{cwd} or die "$arg{cwd}: $!"; }) : ();
	my $limit = 3 * $PostgreSQL::Test::Utils::timeout_default;
	my $in = $arg{in} // '';

	note("at $name: @$command");
	my $finished = eval {
		IPC::Run::run($command, '<', \$in, '>', \$out, '2>', \$err,
			@options, IPC::Run::timeout($limit));
		1;
	};
	my $status = $?;
	if (!$finished)
	{
		$err .= "\ndid not end: $@";
		$status = -1;
	}
	return { status => $status, out => $out, err => $err };
}

1;
