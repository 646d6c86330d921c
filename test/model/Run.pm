
=pod

=head1 NAME

Run - one workload under one level with one schedule of faults, judged

=head1 SYNOPSIS

  my $run = Run->new(cluster => $cluster, workload => 'Pairs', level => 'causal',
      faults => 'mild', seed => 3, seconds => 10, directory => $dir);
  my $result = $run->go;      # { anomalies, judged, counts, faults, history, file }

=head1 DESCRIPTION

Clients are processes; each writes a history of its own, and all of them become
the run's.  Half of them stay at a node each, the others move; every sixth one lets
whatever can be routed be routed.  With pooled => 'token' those that move go by a
pooler in transaction mode and hand in their tokens; with pooled => 'forgetful' they
don't.  The faults happen in this process.  When time is up, all is healed, clients look at the end state,
and stop.

What clients and faults draw at random depends on the seed alone.  How they meet
doesn't: a run can't be repeated to the letter, only made again.

=cut

package Run;

use strict;
use warnings FATAL => 'all';

use Carp;
use Check;
use Faults;
use History;
use POSIX ();
use PooledRecorder;
use PostgreSQL::Test::Utils;
use Recorder;
use Store;
use Time::HiRes qw(time usleep);

# clients that run, by process id: who started them
my %started;

sub new
{
	my ($class, %arg) = @_;
	my $self = bless { faults => 'none', seconds => 5, seed => 1, %arg, arg_workload => $arg{workload} }, $class;
	$self->{all_healed} = "$arg{directory}/healed";
	$self->{workload} = $self->_workload(0);
	return $self;
}

# Where clients go: everywhere, or to one node only.
sub _nodes { my ($self) = @_; return $self->{only} // $self->{cluster}->names; }

sub _workload
{
	my ($self, $number) = @_;
	my $class = "Workload::$self->{arg_workload}";
	require "Workload/$self->{arg_workload}.pm";
	my @nodes = $self->_nodes;
	return $class->new(
		level => $self->{level}, seed => $self->{seed}, number => $number, nodes => \@nodes,
		moves => $number % 2 == 0, quorums => $self->{quorums}, mail => $self->{mail}, began => $self->{began},
		lossy => $self->{faults} =~ /lossy/ ? 1 : 0);
}

# Which level judges; and has anything to say of this workload?
sub _by { my ($self) = @_; return $self->{as} // $self->{level}; }

sub judges { my ($self) = @_; return scalar(my @checkers = $self->{workload}->checkers($self->_by)); }

sub go
{
	my ($self) = @_;
	mkdir $self->{directory};
	# the path of a socket must be short
	$self->{mail} = PostgreSQL::Test::Utils::tempdir_short();
	my $cluster = $self->{cluster};
	my $faults = Faults->new(
		cluster => $cluster, seed => $self->{seed}, kinds => $self->{faults},
		tables => [ $self->{workload}->tables ]);
	$self->_set_up;
	$cluster->start_pooler if $self->{pooled};
	$self->{began} = time;
	$self->_start_client($_) for 1 .. $self->{workload}->clients;
	my $good = eval { $self->_run($faults); 1 };
	my $error = $@;
	$cluster->stop_pooler;
	if (!$good)
	{
		kill 'KILL', grep { $_ } values %{ $self->{pid} };
		die $error;
	}
	return $self->_judge($faults);
}

sub _run
{
	my ($self, $faults) = @_;
	$faults->run_until($self->{began} + $self->{seconds});
	$self->_phase('healing');
	$faults->heal_all;
	_touch($self->{all_healed});
	$self->_phase('clients stop');
	$self->_wait_for_clients('stopped');
	# what was committed and not waited for is flushed, or else nobody sends it
	$self->{cluster}->sql($self->{cluster}->primary_name, q{SELECT pg_logical_emit_message(true, 'end', '')});
	$self->{cluster}->wait_replayed;
	_touch("$self->{directory}/finale");
	$self->_phase('clients look at the end');
	$self->_wait_for_clients;
	$self->_phase('judging');
	return;
}

# For the log.
sub _phase { my ($self, $what) = @_; printf "# run: %.1f s: %s\n", time - $self->{began}, $what; return; }

sub _touch { my ($file) = @_; open my $out, '>', $file or die "$file: $!"; close $out; return; }

# --- before ---------------------------------------------------------------

# Every key is written, by one transaction, which every node has replayed before
# any client comes.
sub _set_up
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	my $primary = $cluster->primary_name;
	my $session = $cluster->connect($primary, directly => 1, user => 'app');
	$session->do("SET consistency.routing = 'off'");
	$session->do(Store::create_sql());
	$session->do($_) for $self->{workload}->setup_sql;
	my @ops = $self->{workload}->setup_ops;
	my $invoked = Recorder::now();
	$session->do('BEGIN');
	foreach my $micro (@ops)
	{
		my ($f, $key, $value) = @$micro;
		$session->do($f eq 'w' ? "INSERT INTO reg VALUES ('$key', '$value')" : "INSERT INTO list VALUES ('$key', '{$value}')")
		  if $f eq 'w' || $f eq 'append';
	}
	$session->do('COMMIT');
	$cluster->wait_replayed;
	open my $out, '>', "$self->{directory}/setup.jsonl" or die $!;
	print $out History::line(
		process => 'setup', session => 1, node => $primary, level => $self->{level}, setup => 1,
		invoked => $invoked, completed => Recorder::now(), outcome => 'ok', ops => \@ops) if @ops;
	close $out;
	return;
}

# --- clients --------------------------------------------------------------

sub _start_client
{
	my ($self, $number) = @_;
	my $pid = fork // die "could not fork: $!";
	if ($pid == 0)
	{
		@SIG{qw(INT TERM)} = ('DEFAULT', 'DEFAULT');
		my $good = eval { $self->_client($number); 1 };
		print "# client $number: $@" unless $good;
		POSIX::_exit($good ? 0 : 1);    # without what the others would clean up
	}
	$self->{pid}{$number} = $pid;
	$started{$pid} = $$;
	return;
}

# Clients end with the process that started them, however it ends.
END
{
	local $?;
	kill 'KILL', grep { $started{$_} == $$ } keys %started;
}

sub _client
{
	my ($self, $number) = @_;
	my $workload = $self->_workload($number);
	my @nodes = $self->_nodes;
	srand($self->{seed} * 1000 + $number);
	my $pooled = $self->{pooled} && $number % 2 == 0;
	my $client = ($pooled ? 'PooledRecorder' : 'Recorder')->new(
		forgetful => $pooled && $self->{pooled} eq 'forgetful',
		cluster => $self->{cluster}, process => $number, level => $workload->level,
		settings => [ $workload->settings, "SET consistency.routing = '" . ($self->{routing} // ($number % 6 ? 'auto' : 'always')) . "'" ], home => $workload->home // $nodes[ $number % @nodes ],
		file => "$self->{directory}/client$number.jsonl");
	$workload->start($client);
	my $end = $self->{began} + $self->{seconds} + 120;
	while (!-e $self->{all_healed})
	{
		$workload->step($client);
		# more of the same proves nothing more
		usleep(int rand 3000);
		die "nobody says stop\n" if time > $end;
	}
	$client->leave;
	$client->resolve($self->{cluster}->primary_name);
	_touch("$self->{directory}/stopped$number");
	usleep(10_000) while !-e "$self->{directory}/finale";
	$workload->at_end($client);
	$client->finish;
	return;
}

# Waits until all clients have left that mark, or are gone.
sub _wait_for_clients
{
	my ($self, $mark) = @_;
	my @bad;
	my $end = time + 60;
	foreach my $number (sort { $a <=> $b } keys %{ $self->{pid} })
	{
		my $pid = $self->{pid}{$number} or next;
		my $done = 0;
		while (time < $end)
		{
			last if $mark && -e "$self->{directory}/$mark$number";
			$done = waitpid($pid, POSIX::WNOHANG()) and last;
			usleep(10_000);
		}
		next if $mark && !$done && time < $end;
		if (!$done) { kill 'KILL', $pid; waitpid $pid, 0; }
		push @bad, $number if !$done || $?;
		$self->{pid}{$number} = 0;
		delete $started{$pid};
	}
	if (@bad)
	{
		kill 'KILL', grep { $_ } values %{ $self->{pid} };
		croak "clients @bad ended badly, see the log";
	}
	return;
}

# --- after ----------------------------------------------------------------

sub _judge
{
	my ($self, $faults) = @_;
	my $directory = $self->{directory};
	my $history = History->read("$directory/setup.jsonl", map { "$directory/client$_.jsonl" } sort { $a <=> $b } keys %{ $self->{pid} });
	my %about = (
		workload => $self->{arg_workload}, level => $self->{level}, seed => $self->{seed},
		schedule => $self->{faults}, quorums => $self->{quorums}, pooled => $self->{pooled}, faults => [ $faults->log ]);
	%{ $history->about } = (%{ $history->about }, %about);
	$history->write("$directory/history.jsonl");
	my %counts = (ok => 0, failed => 0, unknown => 0);
	$counts{ $_->{outcome} }++ for $history->operations;
	my @checkers = $self->{workload}->checkers($self->_by);
	my ($anomalies, $judged) = Check::judge(
		$history, checkers => \@checkers, $self->{workload}->options($self->{cluster}));
	$self->_phase('judged');
	return {
		%about, anomalies => $anomalies, judged => $judged, counts => \%counts, history => $history,
		file => "$directory/history.jsonl" };
}

1;
