
=pod

=head1 NAME

Prometheus - the packaged prometheus and postgres_exporter, and what they say

=head1 SYNOPSIS

  use Prometheus;

  my $port = start_exporter($node, 'watcher', 'queries.yaml');
  my $prometheus = Prometheus->new(targets => { primary => $port }, rules => 'rules.yaml');
  my $series = $prometheus->query('up');     # [ { metric => {...}, value => [...] } ]
  my $answer = $prometheus->get('/api/v1/rules');

=head1 DESCRIPTION

All listen on free ports of the loopback interface, have their files in
temporary directories, and end with the test.  Every target is scraped each
other second; the label "instance" is its name.

=cut

package Prometheus;

use strict;
use warnings FATAL => 'all';

use Carp;
use Exporter 'import';
use FindBin;
use HTTP::Tiny;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(start_exporter promtool);

# Those that run, to be stopped at the end whatever happens.
my @running;

# A program that is installed, or that tools/install_packages has unpacked.
sub _program
{
	my ($name) = @_;
	foreach my $dir (split(/:/, $ENV{PATH}), "$FindBin::RealBin/../clients/debian/usr/bin")
	{
		return "$dir/$name" if -x "$dir/$name";
	}
	croak "$name is not there: run tools/install_packages --test";
}

# Starts a program and waits until that path of its port can be got.
sub _start
{
	my ($port, $path, $name, @arguments) = @_;
	my $output = PostgreSQL::Test::Utils::tempdir($name) . '/output';
	my $process =
	  IPC::Run::start([ _program($name), @arguments ], '<', \undef, '>&', $output);
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	push @running, $process;
	while (time < $end)
	{
		return if HTTP::Tiny->new(timeout => 5)->get("http://127.0.0.1:$port$path")->{success};
		usleep(50_000);
	}
	croak "$name doesn't start: " . slurp_file($output);
}

# An exporter for a node, which logs in without a password.  Returns its port.
sub start_exporter
{
	my ($node, $role, $queries) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	local $ENV{DATA_SOURCE_NAME} =
	    "host=" . $node->host . " port=" . $node->port
	  . " user=$role dbname=postgres sslmode=disable";

	_start($port, '/', 'prometheus-postgres-exporter', "--extend.query-path=$queries",
		"--web.listen-address=127.0.0.1:$port", '--disable-default-metrics',
		'--disable-settings-metrics', '--no-collector.database', '--no-collector.bgwriter');
	return $port;
}

# Runs promtool; returns its output, and in list context whether it succeeded too.
sub promtool
{
	my (@arguments) = @_;
	my $output = '';
	my $success = IPC::Run::run([ _program('promtool'), @arguments ], '>&', \$output);
	return wantarray ? ($success, $output) : $output;
}

sub new
{
	my ($class, %arg) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('prometheus');
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $self = bless { url => "http://127.0.0.1:$port" }, $class;
	my $config = <<"CONFIG";
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}
rule_files: ['$arg{rules}']
scrape_configs:
  - job_name: consistency
    static_configs:
CONFIG

	$config .= "      - {targets: ['127.0.0.1:$arg{targets}{$_}'], labels: {instance: '$_'}}\n"
	  for sort keys %{ $arg{targets} };
	append_to_file("$dir/config", $config);
	_start($port, '/-/ready', 'prometheus', "--config.file=$dir/config",
		"--storage.tsdb.path=$dir/data", "--web.listen-address=127.0.0.1:$port",
		'--log.level=warn');
	return $self;
}

# What a path of its API answers, decoded.
sub get
{
	my ($self, $path, %parameters) = @_;
	my $http = HTTP::Tiny->new(timeout => 10);
	my $response = $http->get("$self->{url}$path?" . $http->www_form_urlencode(\%parameters));
	my $answer = eval { JSON::PP::decode_json($response->{content}) }
	  or croak "$path: $response->{content}";

	croak "$path: $answer->{error}" if $answer->{status} ne 'success';
	return $answer->{data};
}

# The series that an expression has now.
sub query
{
	my ($self, $expression) = @_;
	return $self->get('/api/v1/query', query => $expression)->{result};
}

END
{
	local $?;
	foreach my $process (@running)
	{
		$process->signal('KILL');
		eval { $process->finish };
	}
}

1;
