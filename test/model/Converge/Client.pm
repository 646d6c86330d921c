
=pod

=head1 NAME

Converge::Client - changes hot rows at random, and writes down what became of it

=head1 SYNOPSIS

  my $client = Converge::Client->start(nodes => $nodes, node => 'alpha', number => 3, base => 0, began => $now, seed => 7, file => $file);
  $client->end;                       # returns once it has gone
  my @history = Converge::Client::history($file, ...);

=head1 DESCRIPTION

A process with a connection to one member, where it goes on when that is back.  A
transaction is written down before it begins, as of unknown outcome, and again when
it is over:

  { id, client, node, begin, end, outcome, done: [ ... ] }

Times are nanoseconds by one monotonic clock.  Outcomes: ok, it was acknowledged;
failed, it certainly had no effect; unknown, the connection was lost while it may
have committed.  What it did is told as Converge::Tables tells it.  Errors are
counted by their code in the line { client, errors }.

What a client draws depends on its seed alone.

=cut

package Converge::Client;

use strict;
use warnings FATAL => 'all';

use Converge::Random;
use Converge::Tables;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);
use WireClient;

# how long a client waits for an answer, seconds
my $patience = 10;

sub now { return int(clock_gettime(CLOCK_MONOTONIC) * 1e9); }

sub start
{
	my ($class, %arg) = @_;
	my $self = bless { serial => 0, texts => [], errors => {}, %arg }, $class;
	$self->{pid} = fork // die "could not fork: $!";
	return $self if $self->{pid};
	my $good = eval { $self->_work; 1 };
	print STDERR "client $self->{number}: $@" unless $good;
	POSIX::_exit($good ? 0 : 1);    # without what the others would clean up
}

# Ends it; false if it had broken.
sub end
{
	my ($self) = @_;
	kill 'TERM', $self->{pid};
	waitpid delete $self->{pid}, 0;
	return $? == 0;
}

sub DESTROY
{
	my ($self) = @_;
	return unless $self->{pid};
	local ($@, $!, $?);
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

# --- what steps ask for ---------------------------------------------------

# A text that nobody else writes.
sub text
{
	my ($self) = @_;
	push @{ $self->{texts} }, "$self->{number}:" . ++$self->{texts_made};
	shift @{ $self->{texts} } if @{ $self->{texts} } > 30;
	return $self->{texts}[-1];
}

sub old_text { my ($self, $random) = @_; return $random->any(@{ $self->{texts} }) // 'none'; }

# Behind which the keys of the run are.
sub base { my ($self) = @_; return $self->{base}; }

# Ten new keys a second, of which the last twenty are in use.
sub new_key
{
	my ($self) = @_;
	return $self->{base} + 1000 + int((now() - $self->{began}) / 1e8) - $self->{random}->between(0, 20) + 20;
}

# --- its work -------------------------------------------------------------

sub _work
{
	my ($self) = @_;
	my $stop = 0;
	local @SIG{qw(TERM INT)} = (sub { $stop = 1 }, 'IGNORE');
	$WireClient::timeout = $patience;
	$self->{random} = Converge::Random->new("$self->{seed}/client/$self->{number}");
	open $self->{out}, '>', $self->{file} or die "$self->{file}: $!";
	$self->{out}->autoflush(1);
	until ($stop)
	{
		if (!$self->_connected) { usleep(50_000); next; }
		$self->_transaction;
		usleep($self->{random}->between(0, 2 * ($self->{pause} // 0))) if $self->{pause};
	}
	$self->_write({ client => $self->{number}, errors => $self->{errors} });
	return;
}

sub _connected
{
	my ($self) = @_;
	return 1 if $self->{wire};
	$self->{wire} = eval { $self->{nodes}->connect($self->{node}, application_name => "client $self->{number}") };
	return $self->{wire} ? 1 : 0;
}

sub _write
{
	my ($self, $line) = @_;
	print { $self->{out} } JSON::PP->new->canonical->encode($line) . "\n";
	return;
}

sub _transaction
{
	my ($self) = @_;
	my $random = $self->{random};
	my $many = $random->chance(0.25) ? $random->between(2, 4) : 1;
	my @steps = map { [ Converge::Tables::step($random, $self) ] } 1 .. $many;
	my $level = $random->chance(0.1) ? 'REPEATABLE READ' : 'READ COMMITTED';
	my $end = $random->chance(0.1) ? 'ROLLBACK' : 'COMMIT';
	my %line = (
		id => "$self->{number}/" . ++$self->{serial}, client => $self->{number}, node => $self->{node},
		begin => now(), outcome => 'unknown', done => [ map { @$_[ 1 .. $#$_ ] } @steps ]);
	$self->_write(\%line);
	my ($outcome, @did) = $many == 1 ? $self->_alone($steps[0]) : $self->_together($level, $end, @steps);
	@line{qw(outcome end)} = ($outcome, now());
	$line{done} = \@did if $outcome eq 'ok';
	$self->_write(\%line) unless $outcome eq 'unknown';
	return;
}

# A statement's result: did it do something?  Undef: the connection is gone, 0: error.
sub _run
{
	my ($self, $sql) = @_;
	my $result = eval { $self->{wire}->query($sql) };
	if (!$result) { (delete $self->{wire})->abandon; return undef; }
	return $result unless $result->{error};
	$self->{errors}{"$result->{error}{code} $result->{error}{message}"}++;
	return 0;
}

sub _changed { my ($result) = @_; return ($result->{tag} // '') =~ / [1-9]\d*$/; }

sub _alone
{
	my ($self, $step) = @_;
	my ($sql, @does) = @$step;
	my $result = $self->_run($sql) // return 'unknown';
	return 'failed' unless $result;
	return ('ok', _changed($result) ? @does : ());
}

sub _together
{
	my ($self, $level, $end, @steps) = @_;
	my @did;
	$self->_run("BEGIN ISOLATION LEVEL $level") or return 'failed';
	foreach my $step (@steps)
	{
		my ($sql, @does) = @$step;
		my $result = $self->_run($sql) // return 'failed';
		if (!$result) { $self->_run('ROLLBACK'); return 'failed'; }
		push @did, @does if _changed($result);
	}
	my $result = $self->_run($end) // return $end eq 'COMMIT' ? 'unknown' : 'failed';
	return $result && $result->{tag} eq 'COMMIT' ? ('ok', @did) : 'failed';
}

# --- reading it -------------------------------------------------------------

# The transactions of these files in the order in which they began, and how often each
# error was met.
sub history
{
	my (@files) = @_;
	my (%transaction, %errors);
	foreach my $file (@files)
	{
		open my $in, '<', $file or die "$file: $!";
		while (my $line = <$in>)
		{
			my $entry = JSON::PP::decode_json($line);
			if ($entry->{errors}) { $errors{$_} += $entry->{errors}{$_} for keys %{ $entry->{errors} }; next; }
			$transaction{ $entry->{id} } = $entry;
		}
	}
	return ([ sort { $a->{begin} <=> $b->{begin} } values %transaction ], \%errors);
}

1;
