#!/usr/bin/perl

=pod

=head1 NAME

peers.pl - do Elle and Porcupine judge histories as the checkers here do?

=head1 SYNOPSIS

  PORCUPINE=program ELLE='java -jar elle-cli.jar' peers.pl [option ...] [history.jsonl ...]

Judges cases/*.txt, random histories of the model cluster (Simulate.pm), and
recorded histories by both, tells where the verdicts differ, and how many were
compared.  Only those whose variable is set are asked:

  ELLE       a command like elle-cli: with --model list-append
             --consistency-models MODEL FILE ... it prints a line for each file,
             its name and true, false or unknown
  PORCUPINE  a program that reads each FILE as the etcd tests of Porcupine do
             (parseJepsenLog, etcdModel) and prints a line for each, its name and
             Ok, Illegal or Unknown

Options:

  --seeds N       so many random histories of each kind (default: 10)
  --seed N        of the first (default: 1)
  --no-cases      without cases/*.txt
  --directory D   where the files go (default: a temporary one)

Exit status: 0 if all verdicts are the same, 1 if not, or if nothing was compared.

=cut

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Check;
use Export;
use File::Temp;
use Getopt::Long;
use History;
use Simulate;
use Sketch;

my %option = (seeds => 10, seed => 1, cases => 1);
GetOptions(\%option, 'seeds=i', 'seed=i', 'cases!', 'directory=s') or exit 2;
die "set ELLE or PORCUPINE, or both\n" unless $ENV{ELLE} || $ENV{PORCUPINE};
my $directory = $option{directory} // File::Temp->newdir;
$| = 1;

# --- histories ----------------------------------------------------------

# ([ title, history ], ...)
sub cases
{
	my @cases;
	foreach my $file (sort glob "$FindBin::RealBin/cases/*.txt")
	{
		open my $in, '<', $file or die "$file: $!";
		local $/;
		my ($name) = $file =~ m{(\w+)\.txt$};
		my (undef, @texts) = split /^== /m, scalar <$in>;
		foreach my $text (@texts)
		{
			my ($title, $sketch) = $text =~ /\A([^\n]*) -> [^\n]*\n(?:options: [^\n]*\n)?(.*)/s or die "$file: $text";
			push @cases, [ "$name: $title", sketch($sketch) ];
		}
	}
	return @cases;
}

sub simulated
{
	my ($kind, @sizes) = @_;
	my @histories;
	foreach my $seed ($option{seed} .. $option{seed} + $option{seeds} - 1)
	{
		foreach my $level (qw(eventual session causal sequential linearizable))
		{
			foreach my $break ('', 'position', 'fork')
			{
				my %how = (seed => $seed, level => $level, break => $break, kind => $kind);
				my $size = $sizes[ $seed % @sizes ];
				push @histories, [ join('/', $kind, map { "$_=$how{$_}" } qw(level break seed)),
					simulate(%how, size => $size, keys => 1 + $seed % 4, unknown => 0.1) ];
			}
		}
	}
	return @histories;
}

# Histories of lists in which some reads were changed afterwards.
sub damaged
{
	my @histories;
	foreach my $seed ($option{seed} .. $option{seed} + 9 * $option{seeds} - 1)
	{
		my $history = simulate(
			seed => $seed, kind => 'list', level => 'linearizable', size => 1 + $seed % 4, keys => 1 + $seed % 3,
			unknown => 0.1, failed => 0.1);
		my @ops = $history->operations;
		my @reads = grep { $_->[0] eq 'r' && ref $_->[2] && @{ $_->[2] } > 1 } map { @{ $_->{ops} } } grep { $_->{outcome} eq 'ok' } @ops;
		foreach (1 .. 1 + $seed % 2)
		{
			my (undef, $key, $list) = @{ $reads[ rand @reads ] };
			my @failed = map { $_->[2] } grep { $_->[0] eq 'append' && $_->[1] eq $key } map { @{ $_->{ops} } } grep { $_->{outcome} eq 'failed' } @ops;
			my $how = int rand 4;
			if ($how == 0 || @$list < 2) { pop @$list; }
			elsif ($how == 1) { @$list[ -1, -2 ] = @$list[ -2, -1 ]; }
			elsif ($how == 2 || !@failed) { splice @$list, int(rand @$list), 1; }
			else { push @$list, $failed[ rand @failed ]; }
		}
		push @histories, [ "damaged/seed=$seed", $history ];
	}
	return @histories;
}

sub recorded { return map { [ $_, History->read($_) ] } @ARGV; }

sub write_file
{
	my ($name, $text) = @_;
	open my $out, '>', "$directory/$name" or die "$directory/$name: $!";
	print $out $text;
	close $out or die "$directory/$name: $!";
	return "$directory/$name";
}

# What a program says of files: { file => word }.  It may break at one of them.
sub ask
{
	my ($command, @files) = @_;
	my %verdict;
	while (@files)
	{
		my @some = @files[ 0 .. ($#files < 499 ? $#files : 499) ];
		open my $in, '-|', "$command @some" or die "$command: $!";
		while (my $line = <$in>) { $verdict{$1} = $2 if $line =~ /^(\S+)\s+(\w+)\s*$/; }
		close $in;
		my ($broke) = grep { !$verdict{$_} } @some;
		$verdict{$broke} = 'broken' if $broke;
		@files = grep { !$verdict{$_} } @files;
	}
	return \%verdict;
}

# --- comparing ------------------------------------------------------------

my ($wrong, $compared) = (0, 0);

# Prints what was compared.  $tasks: [ title, file, our anomalies ]; $good and $bad:
# how the peer says so.
sub compare
{
	my ($what, $tasks, $verdicts, $good, $bad) = @_;
	my %count = (good => 0, bad => 0, open => 0);
	$compared += @$tasks;
	foreach my $task (@$tasks)
	{
		my ($title, $file, $anomalies) = @$task;
		my $theirs = $verdicts->{$file} // 'no verdict';
		my %names = map { $_->{name} => 1 } @$anomalies;
		my $ours = %names ? $bad : $good;
		if ($theirs eq $ours) { $count{ $ours eq $good ? 'good' : 'bad' }++; next; }
		if ($theirs =~ /^unknown$/i && $ours eq $good) { $count{open}++; next; }
		$wrong++;
		print "DIFFERENT: $what, $title: they say $theirs, we say " . (join(' ', sort keys %names) || 'fine') . " ($file)\n";
	}
	printf "%s: %d compared, %d fine and %d guilty by both, %d fine that they leave open\n", $what, scalar @$tasks, @count{qw(good bad open)};
	return;
}

# --- Porcupine ------------------------------------------------------------

# The operations that touch a key, by themselves.
sub part
{
	my ($history, $key) = @_;
	my $part = History->new;
	foreach my $op ($history->operations)
	{
		my @ops = grep { $_->[1] eq $key } @{ $op->{ops} };
		my %op = map { $_ => $op->{$_} } qw(process session node level invoked completed outcome);
		$part->add(%op, ops => \@ops) if @ops;
	}
	return $part->finish;
}

sub porcupine_tasks
{
	my ($prefix, @histories) = @_;
	my @tasks;
	foreach my $entry (@histories)
	{
		my ($title, $history) = @$entry;
		foreach my $key (registers($history))
		{
			my $file = write_file("$prefix" . @tasks . '.log', porcupine($history, $key));
			push @tasks, [ "$title, key $key", $file, scalar Check::checker('Linearizable')->(part($history, $key), {}) ];
		}
	}
	return @tasks;
}

sub with_porcupine
{
	my ($what, @histories) = @_;
	my @tasks = porcupine_tasks("$what-", @histories);
	compare("Porcupine, $what", \@tasks, ask($ENV{PORCUPINE}, map { $_->[1] } @tasks), 'Ok', 'Illegal');
	return;
}

# --- Elle ---------------------------------------------------------------

# The same promise in words of Elle and of Check::Transactions.  What contradicts
# itself within a transaction is no matter of read-committed to Elle.
my @models = (
	[ 'read-committed', model => 'read-committed', allow => ['internal'] ],
	[ 'snapshot-isolation', model => 'snapshot-isolation' ],
	[ 'serializable', model => 'serializable' ],
	[ 'strong-session-snapshot-isolation', model => 'snapshot-isolation', orders => ['session'] ],
	[ 'strong-snapshot-isolation', model => 'snapshot-isolation', orders => [ 'session', 'realtime' ] ],
	[ 'strict-serializable', model => 'serializable', orders => [ 'session', 'realtime' ] ]);

# The history with sessions as Elle sees them: what has an unknown outcome is before
# and after nothing.
sub with_sessions_cut
{
	my ($history) = @_;
	my $cut = History->new;
	my %part;
	foreach my $op ($history->operations)
	{
		my $part = \$part{ History::session_of($op) };
		$$part++ if $op->{outcome} eq 'unknown';
		$cut->add(%$op, session => "$op->{session}." . ($$part // 0));
		$$part++ if $op->{outcome} eq 'unknown';
	}
	return $cut->finish;
}

# Those that Elle can be asked about, in files: [ file, title, history ].  It has no
# verdict on values that nobody wrote, but stops.
sub elle_files
{
	my ($what, @histories) = @_;
	my @files;
	foreach my $entry (@histories)
	{
		my ($title, $history) = @$entry;
		my $lists = eval { lists($history) } or next;
		my $problems = eval { scalar Check::checker('Transactions')->($lists, { model => 'read-committed' }) } or next;
		next if grep { $_->{name} eq 'unwritten-value' } @$problems;
		push @files, [ write_file("$what-" . @files . '.edn', elle($lists)), $title, with_sessions_cut($lists) ];
	}
	return @files;
}

sub with_elle
{
	my ($what, @histories) = @_;
	my @files = elle_files($what, @histories);
	foreach my $model (@models)
	{
		my ($name, %ours) = @$model;
		my @tasks;
		foreach my $entry (@files)
		{
			my ($file, $title, $history) = @$entry;
			push @tasks, [ $title, $file, scalar Check::checker('Transactions')->($history, \%ours) ];
		}
		my $verdicts = ask("$ENV{ELLE} --model list-append --consistency-models $name", map { $_->[1] } @tasks);
		compare("Elle, $what, $name", \@tasks, $verdicts, 'true', 'false');
	}
	return;
}

# --- all of it ------------------------------------------------------------

my %histories = (
	cases => $option{cases} ? [ cases() ] : [],
	recorded => [ recorded() ]);
if ($ENV{PORCUPINE})
{
	with_porcupine('cases', @{ $histories{cases} }) if $option{cases};
	with_porcupine('simulated', simulated('register', 1)) if $option{seeds};
	with_porcupine('recorded', @{ $histories{recorded} }) if @ARGV;
}
if ($ENV{ELLE})
{
	with_elle('cases', @{ $histories{cases} }) if $option{cases};
	with_elle('simulated', simulated('list', 1 .. 4), simulated('register', 1 .. 4)) if $option{seeds};
	with_elle('damaged', damaged()) if $option{seeds};
	with_elle('recorded', @{ $histories{recorded} }) if @ARGV;
}
exit($wrong || !$compared ? 1 : 0);
