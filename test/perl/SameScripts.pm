=pod

=head1 NAME

SameScripts - a replica's client gets the answers that one of the primary gets

=head1 SYNOPSIS

  use SameScripts;

  my $same = SameScripts->new($cluster, replica => 'near',
      tables => [ 't' ], reset => [ 'TRUNCATE t', ... ]);
  $same->run('what it is about', 'BEGIN', 'INSERT INTO t VALUES (1)', 'COMMIT');

=head1 DESCRIPTION

Runs a script of statements in a session at the primary, and from the same start
in a session at a replica.  All answers must be alike: rows, command tags,
errors, notices, whether the session is in a transaction; and what is in the
tables in the end.

A step is SQL for the simple protocol; or [ SQL, parameters... ] for the extended
one; or code that gets the session and returns what finish() does.

=cut

package SameScripts;

use strict;
use warnings FATAL => 'all';

use Scalar::Util qw(reftype);
use Test::More;

sub new
{
	my ($class, $cluster, %arg) = @_;
	return bless {
		%arg,
		setup => $cluster->connect('primary'),
		session => [ $cluster->connect('primary'), $cluster->connect($arg{replica}) ]
	}, $class;
}

# The session at the replica.
sub replica { my ($self) = @_; return $self->{session}[1]; }

# Puts the tables back; returns the position from which on they are like that.
sub reset_tables
{
	my ($self) = @_;
	$self->{setup}->do($_) for @{ $self->{reset} };
	return $self->{setup}->parameter('consistency.token');
}

sub run
{
	my ($self, $name, @steps) = @_;
	my ($expected, $got) = map { $self->_answers($_, @steps) } @{ $self->{session} };
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $same = is_deeply($got, $expected, $name);
	_show($expected, $got, @steps) unless $same;
	return $same;
}

# What led to the first difference.
sub _show
{
	my ($expected, $got, @steps) = @_;
	foreach my $i (0 .. $#$expected)
	{
		my $step = $steps[$i] // 'table';
		diag ref $step eq 'ARRAY' ? join(', ', @$step) : $step, "\n    primary: $expected->[$i]";
		next if $got->[$i] eq $expected->[$i];
		diag "    replica: $got->[$i]";
		last;
	}
	return;
}

sub _answers
{
	my ($self, $session, @steps) = @_;
	my $token = $self->reset_tables;
	$session->do("SET consistency.token = '$token'");
	my @answers = map { _run_step($session, $_) } @steps;

	# the session can be used, and knows what it has done
	$session->query('ROLLBACK') if $session->status ne 'I';
	$token = $session->parameter('consistency.token');
	$session->do('RESET ALL');	# the token as well
	$session->do("SET consistency.token = '$token'");
	$session->do('DEALLOCATE ALL');
	push @answers, map { "$_ " . $session->text("SELECT * FROM $_ ORDER BY 1") } @{ $self->{tables} };
	return \@answers;
}

sub _run_step
{
	my ($session, $step) = @_;
	my @results;
	if (ref $step && reftype($step) eq 'CODE') { @results = $step->($session); }
	elsif (ref $step) { @results = $session->execute(@$step); }
	else { @results = $session->query($step); }
	return join ' / ', (map { _line_of($_) } @results),
	  (map { "$_->{severity} $_->{message}" } @{ $results[-1]{notices} }), $session->status;
}

sub _line_of
{
	my ($result) = @_;
	my $error = $result->{error};
	my $rows = join ' ', map { join '|', map { $_ // 'NULL' } @$_ } @{ $result->{rows} };
	return join ' ', $result->{tag} // '-', "[$rows]",
	  $error ? "$error->{code} $error->{message} ($error->{detail})" : ();
}

1;
