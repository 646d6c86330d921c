
=pod

=head1 NAME

Store - how micro-operations become SQL

=head1 DESCRIPTION

Registers lie in a table "reg" (k, v), lists in "list", where an append is an
UPDATE that adds an element to an array.  Values are unique for each key.  If they
begin with a version ("7:whatever"), only a higher one replaces a lower one.

run() is what an operation of Recorder does: one statement that is a transaction
of its own, if its micro-operations can be had so; otherwise a transaction block.

Options of run():

  isolation  READ COMMITTED (default), REPEATABLE READ, SERIALIZABLE
  block      true: a block even where one statement would do
  extended   true: parameters by the extended protocol

=cut

package Store;

use strict;
use warnings FATAL => 'all';

use Carp;

# For set-up, as the role "app".
sub create_sql
{
	return <<'SQL';
DROP TABLE IF EXISTS reg, list;
CREATE TABLE reg (k text PRIMARY KEY, v text NOT NULL) WITH (fillfactor = 20);
CREATE TABLE list (k text PRIMARY KEY, v int[] NOT NULL) WITH (fillfactor = 20);
SQL
}

my %type = (w => 'reg', cas => 'reg', append => 'list');

# kind says of keys that are only read where they lie: reg or list.
sub run
{
	my ($c, $ops, %how) = @_;
	my %kind = map { $_->[1] => $type{ $_->[0] } } grep { $_->[0] ne 'r' } @$ops;
	my @reads = grep { $_->[0] eq 'r' } @$ops;
	$kind{ $_->[1] } //= $how{kind} // 'reg' for @reads;
	if (!$how{block} && @reads == @$ops && !grep { $kind{ $_->[1] } ne $kind{ $reads[0][1] } } @reads)
	{
		_read($c, \%kind, \%how, @reads);
		return;
	}
	if (!$how{block} && @$ops == 1) { _write($c, 'commits', \%how, $ops->[0]); return; }
	_block($c, $ops, \%kind, \%how);
	return;
}

sub _block
{
	my ($c, $ops, $kind, $how) = @_;
	my $writes = grep { $_->[0] ne 'r' } @$ops;
	$c->reads('BEGIN' . ($how->{isolation} ? " ISOLATION LEVEL $how->{isolation}" : '') . ($how->{read_only} && !$writes ? ' READ ONLY' : ''));
	foreach my $micro (@$ops)
	{
		if ($micro->[0] eq 'r') { _read($c, $kind, $how, $micro); }
		else { _write($c, 'reads', $how, $micro); }
	}
	my $result = $writes ? $c->commits('COMMIT') : $c->reads('COMMIT');
	croak 'COMMIT did not commit' unless $result->{tag} eq 'COMMIT';
	return;
}

# Reads some keys of one table by one statement.
sub _read
{
	my ($c, $kind, $how, @reads) = @_;
	my $table = $kind->{ $reads[0][1] };
	my $keys = '{' . join(',', map { $_->[1] } @reads) . '}';
	my $result =
	    $how->{extended}
	  ? $c->reads("SELECT k, v FROM $table WHERE k = ANY(\$1)", $keys)
	  : $c->reads("SELECT k, v FROM $table WHERE k = ANY('$keys')");
	my %value = map { @$_ } @{ $result->{rows} };
	$_->[2] = $table eq 'list' ? _list($value{ $_->[1] }) : $value{ $_->[1] } for @reads;
	return;
}

sub _list
{
	my ($text) = @_;
	return [] unless defined $text;
	return [ map { 0 + $_ } $text =~ /(\d+)/g ];
}

# One write; by commits() or reads(), as it may commit by itself or not.
sub _write
{
	my ($c, $by, $how, $micro) = @_;
	my ($f, $key, $value) = @$micro;
	my ($sql, @parameters) =
	    $f eq 'w' ? ('UPDATE reg SET v = $2 WHERE k = $1', $key, $value)
	  : $f eq 'append' ? ('UPDATE list SET v = v || $2::int WHERE k = $1', $key, $value)
	  : ('UPDATE reg SET v = $3 WHERE k = $1 AND v = $2', $key, @$value);
	if (!$how->{extended})
	{
		$sql =~ s/\$(\d)/'$parameters[$1 - 1]'/g;
		@parameters = ();
	}
	# A write whose outcome is unknown may happen late, when the session is long past
	# it.  Where values tell their version, that must not undo a later one.
	$sql .= " AND split_part(v, ':', 1)::int < $1" if $f eq 'w' && $value =~ /^(\d+):/;
	my $result = $c->$by($sql, @parameters);
	my ($count) = $result->{tag} =~ /^UPDATE (\d+)$/;
	if ($f eq 'cas') { $micro->[3] = $count ? 1 : 0; }
	else { die "key \"$key\" is not there\n" unless $count; }
	return;
}

1;
