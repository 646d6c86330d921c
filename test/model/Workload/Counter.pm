# Counters: a CRDT column that everybody counts up and down, at every entry point.

package Workload::Counter;

use strict;
use warnings FATAL => 'all';

use Time::HiRes qw(usleep);
use parent 'Workload';
use Workload;

sub clients { return 6; }

sub _keys { return qw(n1 n2); }

sub tables { return qw(tally); }

sub setup_sql
{
	return ('DROP TABLE IF EXISTS tally', 'CREATE TABLE tally (k text PRIMARY KEY, v pncounter NOT NULL)',
		"INSERT INTO tally SELECT k, pncounter(0) FROM unnest(ARRAY['n1', 'n2']) k");
}

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client, 0.1);
	return unless $client->ready;
	usleep(2000);	# judging takes the square of how many there are
	my $key = Workload::any($self->_keys);
	return $self->_look($client, $key) if Workload::chance(0.4);
	my $by = 1 + int rand 3;
	$by = -$by if $key eq 'n2' && Workload::chance(0.5);
	my $sign = $by < 0 ? '-' : '+';
	return $client->operation([ [ 'inc', $key, $by ] ],
		sub { $_[0]->commits("UPDATE tally SET v = v $sign " . abs($by) . " WHERE k = '$key'") });
}

sub _look
{
	my ($self, $client, $key, @note) = @_;
	return $client->operation([ [ 'r', $key ] ], sub {
		my ($c, $ops) = @_;
		$ops->[0][2] = $c->reads("SELECT value(v) FROM tally WHERE k = '$key'")->{rows}[0][0];
	}, @note);
}

sub at_end
{
	my ($self, $client) = @_;
	foreach my $key ($self->_keys)
	{
		foreach my $try (1 .. 20) { last if $client->ready && $self->_look($client, $key, final => 1) eq 'ok'; }
	}
	return;
}

sub checkers
{
	my ($self, $level) = @_;
	return $self->{lossy} ? () : [ 'Counter', { realtime => $level eq 'linearizable' ? 1 : 0 } ];
}

1;
