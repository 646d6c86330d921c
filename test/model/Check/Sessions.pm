
=pod

=head1 NAME

Check::Sessions - the four session guarantees (Terry et al., PDIS 1994)

=head1 DESCRIPTION

For registers and lists whose version order is known (see Versions.pm).

  read-your-writes     a read misses an earlier write of its own session
  monotonic-reads      a read shows less than an earlier one of its session did
  monotonic-writes     two writes of a session are installed in the other order;
                       or who sees the later one misses the earlier one
  writes-follow-reads  a write is installed before what its session had read of
                       that key; or who sees the write misses what its session
                       had read before it

Who sees: what a session has seen once counts for all its later reads, as
somebody who relies on all four guarantees may expect.

An operation whose outcome is unknown has seen nothing, and its session needn't
see what it wrote; but what it wrote still follows what its session had done.

Options: snapshots => 0 if the reads of one operation are not of one snapshot
(READ COMMITTED with several statements); they are then taken one after the other.

=cut

package Check::Sessions;

use strict;
use warnings FATAL => 'all';

use Check;
use History;
use Versions;

sub check
{
	my ($history, $options) = @_;
	my $self = {
		versions => Versions->new($history, $options),
		report => Check::report($options),
		snapshots => $options->{snapshots} // 1,
		before => {} };
	$self->{report}->add_all($self->{versions}->problems);
	my @sessions = $history->sessions;
	_collect($self, $_) for @sessions;
	_judge($self, $_) for @sessions;
	return $self->{report}->result;
}

# Remembers, for each operation that writes, what its session had written and
# read before: { key => [ version, operation ] }.
sub _collect
{
	my ($self, $session) = @_;
	my ($name, @ops) = @$session;
	my (%wrote, %read);
	foreach my $op (@ops)
	{
		next if $op->{outcome} eq 'failed';
		my %read_before = %read;
		_reads_of($self, $op, \%read_before) if $op->{outcome} eq 'ok';
		$self->{before}{ $op->{index} } = { wrote => {%wrote}, read => \%read_before }
		  if History::writes($op) && $self->{versions}->op_happened($op);
		next unless $op->{outcome} eq 'ok';
		%read = %read_before;
		foreach my $micro (History::writes($op))
		{
			_raise(\%wrote, $micro->[1], $self->{versions}->of_write(@$micro[ 1, 2 ]), $op);
		}
	}
	return;
}

sub _reads_of
{
	my ($self, $op, $read) = @_;
	foreach my $micro (History::external_reads($op))
	{
		_raise($read, $micro->[1], $self->{versions}->of_read(@$micro[ 1, 2 ]), $op);
	}
	return;
}

# Keeps the highest version of a key, and why.
sub _raise
{
	my ($map, $key, $version, @why) = @_;
	$map->{$key} = [ $version, @why ] if !$map->{$key} || $map->{$key}[0] < $version;
	return;
}

# One session: $state has wrote and read, as above, and need: what has to be seen
# because of what was seen, { key => [ version, its operation, guarantee, the
# operation seen ] }.
sub _judge
{
	my ($self, $session) = @_;
	my ($name, @ops) = @$session;
	my $state = { wrote => {}, read => {}, need => {} };
	foreach my $op (grep { $_->{outcome} eq 'ok' } @ops)
	{
		if ($self->{snapshots}) { _saw($self, $state, $op, $_) for History::external_reads($op); }
		my %own;
		foreach my $micro (@{ $op->{ops} })
		{
			my ($f, $key) = @$micro;
			if ($f ne 'r') { _judge_write($self, $state, $op, $micro); $own{$key} = 1; next; }
			_saw($self, $state, $op, $micro) unless $own{$key};
			_judge_read($self, $state, $op, $micro);
		}
	}
	return;
}

# Who sees a write has to see what came before it in its session.
sub _saw
{
	my ($self, $state, $op, $micro) = @_;
	my (undef, $key, $value) = @$micro;
	my @values = ref $value ? @$value : ($value);
	my $done = ref $value ? $state->{done}{$key} // 0 : 0;
	# of a list, what this session has looked at before needs no second look
	foreach my $seen (@values[ $done .. $#values ])
	{
		my $writer = $self->{versions}->writer($key, $seen);
		# its own session's is another guarantee
		next if !$writer || History::session_of($writer) eq History::session_of($op);
		my $before = $self->{before}{ $writer->{index} } or next;
		foreach my $pair ([ 'wrote', 'monotonic-writes' ], [ 'read', 'writes-follow-reads' ])
		{
			my ($which, $guarantee) = @$pair;
			my $map = $before->{$which};
			foreach my $other (keys %$map)
			{
				my $have = $state->{need}{$other};
				next if $have && $have->[0] >= $map->{$other}[0];
				$state->{need}{$other} = [ @{ $map->{$other} }, $guarantee, $writer ];
			}
		}
	}
	$state->{done}{$key} = @values if ref $value && @values > $done;
	return;
}

sub _judge_read
{
	my ($self, $state, $op, $micro) = @_;
	my (undef, $key, $value) = @$micro;
	my $version = $self->{versions}->of_read($key, $value);
	my $report = $self->{report};
	my $shows = 'the read of "' . $key . '" shows ' . Versions::name_of($version);
	$report->judged;
	if (my $wrote = $state->{wrote}{$key})
	{
		$report->add('read-your-writes', "$shows, but its session had written " . Versions::name_of($wrote->[0]) . '.', [ $wrote->[1], $op ])
		  if $version < $wrote->[0];
	}
	if (my $read = $state->{read}{$key})
	{
		$report->add('monotonic-reads', "$shows, but its session had read " . Versions::name_of($read->[0]) . '.', [ $read->[1], $op ])
		  if $version < $read->[0];
	}
	if (my $need = $state->{need}{$key})
	{
		my ($least, $first, $guarantee, $writer) = @$need;
		my $did = $guarantee eq 'monotonic-writes' ? 'written' : 'read';
		$report->add($guarantee, "$shows, but its session had seen a write whose session had $did "
			  . Versions::name_of($least) . ' before.', [ $first, $writer, $op ])
		  if $version < $least;
	}
	_raise($state->{read}, $key, $version, $op);
	return;
}

sub _judge_write
{
	my ($self, $state, $op, $micro) = @_;
	my (undef, $key, $value) = @$micro;
	my $version = $self->{versions}->of_write($key, $value);
	my $report = $self->{report};
	my $made = 'the write of "' . $key . '" has made ' . Versions::name_of($version);
	if (my $wrote = $state->{wrote}{$key})
	{
		$report->judged;
		$report->add('monotonic-writes', "$made, but its session had written " . Versions::name_of($wrote->[0]) . ' before.', [ $wrote->[1], $op ])
		  if $version < $wrote->[0];
	}
	if (my $read = $state->{read}{$key})
	{
		$report->judged;
		$report->add('writes-follow-reads', "$made, but its session had read " . Versions::name_of($read->[0]) . ' before.', [ $read->[1], $op ])
		  if $version < $read->[0];
	}
	_raise($state->{wrote}, $key, $version, $op);
	return;
}

1;
