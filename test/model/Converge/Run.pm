
=pod

=head1 NAME

Converge::Run - attacks a group, lets it come to rest, and judges

=head1 SYNOPSIS

  my $result = Converge::Run->new(nodes => $nodes, seed => 7, seconds => 20, kinds => [ ... ], directory => $dir)->go;
  print "$_->{name}: $_->{message}\n" foreach @{ $result->{anomalies} };

=head1 DESCRIPTION

Clients work at all members while faults happen.  Then these end, and the members
come to rest: each has confirmed all that the others have sent, and the log doesn't
grow any more.  An update that apply has skipped, since its row moved under it, leaves
members that differ: then rows are repaired, if such updates were counted.  What the
judge (Converge::Judge) finds, and

  restless        rows are written again and again although nobody writes
  not-confirmed   a member doesn't get to the end of what another one sends
  apply-error     an error of an apply worker that isn't explained by a fault
  disabled        a subscription isn't enabled
  cut-off         what is written at one member in the end doesn't reach another one
  both            a key has a row and a tombstone
  unaccounted     members had to be repaired, but no skipped update was counted; or no
                  conflict was counted at all; or compare() sees it otherwise

is returned: anomalies, judged (how much of each kind), counts (by outcome), errors
(that clients met), faults (the log), rest (how long it took, seconds), skipped (updates),
repaired (rows).

=cut

package Converge::Run;

use strict;
use warnings FATAL => 'all';

use Converge::Client;
use Converge::Faults;
use Converge::Judge;
use Converge::Tables;
use JSON::PP ();
use List::Util qw(max sum);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

# how long a group may take to come to rest, seconds
my $patience = 60;

# how often, a tenth of a second apart, nothing must have moved: an echo takes less
my $calm_enough = 10;

sub new
{
	my ($class, %arg) = @_;
	return bless { clients => 2, pause => 2000, anomalies => [], tables => [ Converge::Tables::names() ], patience => $patience, %arg }, $class;
}

sub go
{
	my ($self) = @_;
	my $nodes = $self->{nodes};
	mkdir $self->{directory};
	# keys of a run are its own: what was there before is of no account
	$self->{base} = 1_000_000 * $nodes->{runs}++;
	$nodes->proxy->set('*', '*', 'both', 'cut');
	foreach my $name ($nodes->names) { $nodes->sql($name, $_) for Converge::Tables::fill($self->{base}); }
	$nodes->proxy->heal;
	%{ $self->{skipped_before} } = map { $nodes->incarnation($_) . $_ => $self->_conflicts($_, "kind = 'update_missing'") } $nodes->names
	  unless $nodes->bare;
	my %log_from = map { $_ => -s $_ } map { $nodes->logs($_) } $nodes->names;
	my $faults = Converge::Faults->new(nodes => $nodes, seed => $self->{seed}, kinds => $self->{kinds} // \@Converge::Faults::all);
	my @clients = $self->_start_clients;
	if (!eval { $faults->go_on_until(time + $self->{seconds}); 1 })
	{
		my $error = $@;
		print "# $_\n" for $nodes->activity;
		die $error;
	}
	$_->end or die "client $_->{number} broke\n" for @clients;
	$faults->end;
	my $calm = $self->_come_to_rest;
	my $members = { map { $_ => $self->_look_at($_) } $nodes->names };
	$members = $self->_repaired($members) unless $nodes->bare;
	$self->_reach_everybody if $calm;
	$self->_subscriptions;
	$self->_apply_errors($_, \%log_from) for $nodes->names;
	my ($history, $errors) = Converge::Client::history(map { $_->{file} } @clients);
	_mark_lost($history, $faults->lost);
	my ($anomalies, $judged) = Converge::Judge::judge($history, $members);
	my %counts = map { $_ => 0 } qw(ok failed unknown);
	$counts{ $_->{outcome} }++ for @$history;
	return { anomalies => [ @{ $self->{anomalies} }, @$anomalies ], judged => $judged, counts => \%counts, errors => $errors, faults => [ $faults->log ],
		%$self{qw(rest skipped repaired)} };
}

sub _guilty { my ($self, $name, $message) = @_; push @{ $self->{anomalies} }, { name => $name, message => $message }; return; }

sub _start_clients
{
	my ($self) = @_;
	my $began = Converge::Client::now();
	my @clients;
	foreach my $node ($self->{nodes}->names)
	{
		foreach (1 .. $self->{clients})
		{
			my $number = @clients + 1;
			push @clients, Converge::Client->start(nodes => $self->{nodes}, node => $node, number => $number, seed => $self->{seed},
				base => $self->{base}, pause => $self->{pause}, began => $began, file => "$self->{directory}/$number.jsonl");
		}
	}
	return @clients;
}

# What was acknowledged in a place that is gone, and that nobody else is sure to have,
# may have happened or not.  Each transaction is told how many places were gone before.
sub _mark_lost
{
	my ($history, @lost) = @_;
	foreach my $transaction (@$history)
	{
		my @here = grep { $_->{node} eq $transaction->{node} } @lost;
		$transaction->{place} = grep { $transaction->{begin} > $_->{to} } @here;
		next if $transaction->{outcome} ne 'ok' || !grep { $transaction->{end} > $_->{from} && $transaction->{begin} < $_->{to} } @here;
		@$transaction{qw(outcome end)} = ('unknown', undef);
	}
	return;
}

# --- rest -------------------------------------------------------------------

# How many transactions have written at each member, and what is left to be confirmed.
sub _state
{
	my ($self) = @_;
	my $nodes = $self->{nodes};
	my (%state, %wait);
	foreach my $name ($nodes->names)
	{
		$state{$name} = $nodes->sql($name, 'SELECT pg_current_wal_insert_lsn()');
	}
	foreach my $name ($nodes->names)
	{
		my $left = $nodes->sql($name, "SELECT string_agg(slot_name || ' ' || confirmed_flush_lsn, ', ') FROM pg_replication_slots
			WHERE slot_type = 'logical' AND confirmed_flush_lsn < '$state{$name}'");
		$wait{$name} = $left if $left ne '';
	}
	return (join(' ', map { $nodes->changes($_) } $nodes->names), \%wait);
}

# Waits until nothing moves; true if that comes.
sub _come_to_rest
{
	my ($self) = @_;
	my ($end, $began, $last, $calm, $moves, $wait) = (time + $self->{patience}, time, '', 0, 0);
	while (time < $end && $calm < $calm_enough)
	{
		my $now;
		($now, $wait) = $self->_state;
		$moves = $now ne $last;
		$calm = $moves || %$wait ? 0 : $calm + 1;
		$last = $now;
		usleep(100_000);
	}
	$self->{rest} = time - $began;
	return 1 if $calm >= $calm_enough;
	print "# $_\n" for $self->{nodes}->activity;
	$self->_guilty('not-confirmed', "$_ waits for $wait->{$_}") for sort keys %$wait;
	$self->_guilty('restless', "rows are still written after $self->{patience} s") if $moves;
	return 0;
}

# How many conflicts a member has counted.
sub _conflicts
{
	my ($self, $name, $condition) = @_;
	return $self->{nodes}->sql($name, "SELECT coalesce(sum(count), 0) FROM consistency.stat_conflicts WHERE $condition");
}

# What members hold once the updates that were skipped are made up for.
sub _repaired
{
	my ($self, $members) = @_;
	my $nodes = $self->{nodes};
	# what takes the place of a member begins to count anew, or where its backup was
	$self->{skipped} = sum(map { max(0, $self->_conflicts($_, "kind = 'update_missing'") - ($self->{skipped_before}{ $nodes->incarnation($_) . $_ } // 0)) } $nodes->names);
	$self->{repaired} = 0;
	$self->_guilty('unaccounted', 'not a single conflict was counted') unless sum(map { $self->_conflicts($_, 'true') } $nodes->names);
	my $differ = grep { $_->{name} eq 'diverged' } @{ (Converge::Judge::judge([], $members))[0] };
	if ($differ && !$self->{skipped})
	{
		$self->_guilty('unaccounted', 'members differ, and no update was skipped');
		return $members;
	}
	my $found = eval { $nodes->compare };
	$self->_guilty('unaccounted', ($differ ? 'members differ' : 'members are equal') . ', and compare() finds ' . ($found // $@))
	  if ($found // -1) < 0 || !$found != !$differ;
	return $members unless $differ;
	$self->{repaired} = $nodes->repair;
	$self->_come_to_rest;
	return { map { $_ => $self->_look_at($_) } $nodes->names };
}

sub _look_at
{
	my ($self, $name) = @_;
	my $nodes = $self->{nodes};
	my %tables = map { $_ => $nodes->sql($name, Converge::Tables::digest_query($_)) } @{ $self->{tables} };
	$tables{tombstones} = $nodes->sql($name, Converge::Tables::tombstones_query()) unless $self->{nodes}->bare;
	my $values = JSON::PP->new->decode($nodes->sql($name,
		'SELECT coalesce(json_agg(json_build_array(w, k, v)), $$[]$$) FROM (' . Converge::Tables::values_query() . ') x (w, k, v)'));
	$self->_both($name) unless $self->{nodes}->bare;
	return { tables => \%tables, values => $values };
}

sub _both
{
	my ($self, $name) = @_;
	foreach my $table (@{ $self->{tables} })
	{
		my $n = $self->{nodes}->sql($name, "SELECT count(*) FROM $table t JOIN consistency.tombstones d
			ON d.relation = 'public.$table' AND d.key::jsonb ->> 0 = t.id::text");
		$self->_guilty('both', "$name: $n keys of $table have a row and a tombstone") if $n;
	}
	return;
}

# What is written now arrives everywhere, by every link.
sub _reach_everybody
{
	my ($self) = @_;
	my $nodes = $self->{nodes};
	my $key = $self->{base} + 900_000;
	foreach my $name ($nodes->names)
	{
		$nodes->sql($name, "INSERT INTO counters AS t (id, likes) VALUES ($key, gcounter(1)) ON CONFLICT (id) DO UPDATE SET likes = t.likes + 1");
	}
	my $n = () = $nodes->names;
	foreach my $name ($nodes->names)
	{
		eval { $nodes->poll($name, "SELECT value(likes) = $n FROM counters WHERE id = $key", 'what everybody wrote in the end', 10); 1 }
		  or $self->_guilty('cut-off', $@);
	}
	return;
}

sub _subscriptions
{
	my ($self) = @_;
	foreach my $name ($self->{nodes}->names)
	{
		my $disabled = $self->{nodes}->sql($name, q{SELECT string_agg(subname, ', ') FROM pg_subscription WHERE NOT subenabled});
		$self->_guilty('disabled', "$name: $disabled") if $disabled ne '';
	}
	return;
}

# Errors that a fault explains, and conflicts between transactions that PostgreSQL
# ends by an error: the worker tries again.
my $explained = qr/
	could\ not\ (?:connect|receive|send|start\ WAL|fetch|create\ replication\ slot|drop)
	| terminating | replication\ origin\ .*\ already\ active | replication\ slot\ .* (?:does\ not\ exist|is\ active) | connection .* (?:lost|closed|fail)
	| server\ closed | SSL | timeout | deadlock\ detected | could\ not\ serialize/x;

sub _apply_errors
{
	my ($self, $name, $from) = @_;
	my %seen;
	my $log = join '', map { slurp_file($_, $from->{$_} // 0) } $self->{nodes}->logs($name);
	while ($log =~ /^\S+ \S+ \S+ \[\d+\] logical replication (?:\w+ )?worker (\S+) ERROR:  (.*)$/mg)
	{
		my ($code, $message) = ($1, $2);
		$seen{"$code $message"}++ unless $message =~ $explained || $code =~ /^(?:40001|40P01|57P01|57P02|57P03)$/;
	}
	$self->_guilty('apply-error', "$name: $_ ($seen{$_} times)") for sort keys %seen;
	return;
}

1;
