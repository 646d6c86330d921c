
=pod

=head1 NAME

Sketch - a history in short, for tests

=head1 SYNOPSIS

  use Sketch;

  my $history = sketch(<<'HISTORY');
  s  *        w:x:0 w:y:0      # the set-up
  a  10-20    w:x:1
  b  15-?     w:x:2            # nobody knows
  b  30!40    w:x:3            # failed
  c2 50-60    r:x:1 r:y:0      # the second session of process c
  c2 70-80 @far >m $           # at another node, sends a message, final read
  HISTORY

=head1 DESCRIPTION

A line is an operation: process (letters) and session (a number, 1 if it isn't
there), times, and then in any order micro-operations and flags.  "begin-end" is
ok, "begin!end" failed, "begin-?" unknown; without a time an operation follows
the one above, and "?" or "!" stands for its outcome.

  w:x:1  a:x:1 (append)  i:x:1 (inc)  r:x:1  r:x:- (null)  r:x:[1,2]  r:x:[]
  c:x:1>2 (cas)  c:x:1/2 (cas that missed)
  *  set-up      $  final      @node      >m sent      <m received
  =t token       <=t imported  ~9 bound   %1-2 reference clock

=cut

package Sketch;

use strict;
use warnings FATAL => 'all';

use Carp;
use Exporter 'import';
use History;

our @EXPORT = qw(sketch);

my %function = (w => 'w', a => 'append', i => 'inc', r => 'r', c => 'cas');

sub sketch
{
	my ($text) = @_;
	my $history = History->new;
	my $now = 0;
	foreach my $line (split /\n/, $text)
	{
		$line =~ s/(?:^|\s)#.*//;
		my ($who, @words) = split ' ', $line or next;
		$now = _add($history, $who, $now, @words);
	}
	return $history->finish;
}

# Adds what a line says; returns the time after it.
sub _add
{
	my ($history, $who, $now, @words) = @_;
	my ($process, $session) = $who =~ /^([a-z]+)(\d*)$/ or croak "no process: \"$who\"";
	my %op = (
		process => $process,
		session => $session || 1,
		node => 'primary',
		level => 'session',
		invoked => $now + 1,
		completed => $now + 2,
		outcome => 'ok',
		ops => []);
	foreach my $word (@words)
	{
		if ($word =~ /^(\d+)([-!])(\d+|\?)$/)
		{
			@op{qw(invoked completed)} = ($1, $3 eq '?' ? undef : $3);
			$op{outcome} = $3 eq '?' ? 'unknown' : $2 eq '!' ? 'failed' : 'ok';
		}
		elsif ($word eq '?') { @op{qw(outcome completed)} = ('unknown', undef); }
		elsif ($word eq '!') { $op{outcome} = 'failed'; }
		elsif ($word =~ /^([waric]):([^:]+):(.*)$/) { push @{ $op{ops} }, _micro($1, $2, $3); }
		else { _flag(\%op, $word); }
	}
	$history->add(%op);
	my $end = $op{completed} // $op{invoked} + 1;
	return $end > $now ? $end : $now;
}

sub _micro
{
	my ($f, $key, $text) = @_;
	return [ 'cas', $key, [ $1 eq '-' ? undef : $1, $3 ], $2 eq '>' ? 1 : 0 ] if $f eq 'c' && $text =~ m{^(\S+)([>/])(\S+)$};
	my $value = $text =~ /^\[(.*)\]$/ ? [ split /,/, $1 ] : $text eq '-' ? undef : $text;
	return [ $function{$f}, $key, $value ];
}

sub _flag
{
	my ($op, $word) = @_;
	if ($word eq '*') { $op->{setup} = 1; }
	elsif ($word eq '$') { $op->{final} = 1; }
	elsif ($word =~ /^@(.+)/) { $op->{node} = $1; }
	elsif ($word =~ /^>(.+)/) { push @{ $op->{sent} }, $1; }
	elsif ($word =~ /^<=(.+)/) { push @{ $op->{imported} }, $1; }
	elsif ($word =~ /^<(.+)/) { push @{ $op->{received} }, $1; }
	elsif ($word =~ /^=(.+)/) { $op->{token} = $1; }
	elsif ($word =~ /^~(\d+)$/) { $op->{bound} = $1; }
	elsif ($word =~ /^%(\d+)-(\d+)$/) { $op->{clock} = [ $1, $2 ]; }
	else { croak "not understood: \"$word\""; }
	return;
}

1;
