
=pod

=head1 NAME

SameAnswers - two sessions that must be told the same

=head1 SYNOPSIS

  my $pair = SameAnswers->new($cluster, replica => 'near', setup => $sql);
  $pair->statement('INSERT INTO t VALUES (1)');      # in all ways
  $pair->same('what it is', sub { my ($c) = @_; $c->query('SELECT 1'); });
  $pair->raw('what it is', [ P => '', 'SELECT $1::int' ], [ B => '', '', [5] ],
      [ D => 'P', '' ], [ E => '', 0 ], ['S']);

=head1 DESCRIPTION

One session is connected to the primary, in a database without the extension:
it shows what PostgreSQL says.  The other one is connected to a replica, in a
database that was the same at the start, with the extension.  Both are given
the same messages, and what they answer is compared: every message but those
that belong to the extension, with all their fields but the place in the server's
source.  OIDs of what was made later are compared as names.

=cut

package SameAnswers;

use strict;
use warnings FATAL => 'all';

use Test::More;

my $first_oid = 16384;

sub new
{
	my ($class, $cluster, %arg) = @_;
	my $self = bless { cluster => $cluster, %arg }, $class;

	$cluster->sql('primary', 'CREATE DATABASE direct');
	$cluster->sql('primary', $arg{setup}, 'direct');
	$cluster->sql('primary', 'CREATE DATABASE forwarded TEMPLATE direct');
	$cluster->declare('forwarded');
	$cluster->sql('primary',
		'GRANT CREATE ON DATABASE direct TO app; GRANT CREATE ON DATABASE forwarded TO app');
	$cluster->wait_replayed;
	$self->connect;
	foreach my $side (qw(direct forwarded))
	{
		$self->{names}{$side} =
		  $cluster->connect('primary', user => $cluster->superuser, dbname => $side);
	}
	return $self;
}

# New sessions on both sides.
sub connect
{
	my ($self, %arg) = @_;
	my $cluster = $self->{cluster};
	$self->{direct} = $cluster->connect('primary', dbname => 'direct', %arg);
	$self->{forwarded} = $cluster->connect($self->{replica}, dbname => 'forwarded', %arg);
	return;
}

# --- comparisons --------------------------------------------------------

# What both sessions are told while the function runs is the same.  Changes, if
# given, is done to both texts before.  Returns what the forwarded one was told.
sub same
{
	my ($self, $what, $code, $change) = @_;
	my %told;
	foreach my $side (qw(direct forwarded))
	{
		my $trace = $self->{$side}->trace;
		eval { $code->($self->{$side}, $side); 1 } or push @$trace, [ '!', "$@" ];
		my $text = join("\n", map { $self->_show($side, @$_) } @$trace) . "\n";
		$text = $change->($text) if $change;
		$told{$side} = $text;
	}
	is($told{forwarded}, $told{direct}, $what);
	return $told{forwarded};
}

# A statement, in the ways that drivers send it: by both protocols, and both in a
# transaction that is rolled back, and as one of its own.  "undo" is run behind
# each of the latter.  "half": by one protocol in the one way, by the other in the
# other.
sub statement
{
	my ($self, $sql, %arg) = @_;
	my %way = (
		simple => sub { $_[0]->query($sql); },
		extended => sub { $_[0]->execute($sql); });
	my $what = $sql =~ s/\s+/ /gr;
	$what = substr($what, 0, 90) . '...' if length $what > 93;
	my @told;
	foreach my $way (sort keys %way)
	{
		push @told, $self->same("$what: $way, in a transaction",
			sub { $_[0]->query('BEGIN'); $way{$way}->(@_); $_[0]->query('ROLLBACK'); }, $arg{change})
		  unless $arg{alone} || ($arg{half} && $way eq 'simple');
		next if $arg{block} || ($arg{half} && $way eq 'extended');
		push @told, $self->same("$what: $way", $way{$way}, $arg{change});
		next unless $arg{undo};
		$self->{$_}->query($arg{undo}) foreach qw(direct forwarded);
	}
	return @told;
}

# What PostgreSQL finds when it plans a query, it tells ahead of BindComplete; the
# plan of a query that runs at the primary is made there, when it is run.
sub planned_late { my ($text) = @_; return $text =~ s/^2 \nn \n(?=E )//mgr; }

# A notice may come a row earlier than where it was made, and several rows earlier
# where rows are fetched in portions.
sub notices_first
{
	my ($text) = @_;
	my @lines = split /^(?=[A-Za-z0-9] )/m, $text;
	return join('', (grep { /^N / } @lines), (grep { !/^N / } @lines));
}

sub statements { my ($self, @sql) = @_; $self->statement($_) foreach @sql; return; }

# Messages as they are: letter and fields.  Ends with what is told up to the last
# Sync or simple query.
sub raw
{
	my ($self, $what, @messages) = @_;
	return $self->same($what, sub { send_messages($_[0], @messages); });
}

sub send_messages
{
	my ($session, @messages) = @_;
	my $data = '';
	my $answers = 0;
	foreach my $message (@messages)
	{
		my ($type, @field) = @$message;
		my $body = '';
		if ($type eq 'P')
		{
			$body = "$field[0]\0$field[1]\0" . pack('n/N*', @{ $field[2] // [] });
		}
		elsif ($type eq 'B')
		{
			# portal, statement, values, their formats, formats of the result
			$body = "$field[0]\0$field[1]\0" . pack('n/n*', @{ $field[3] // [] });
			$body .= pack('n', scalar @{ $field[2] // [] });
			$body .= defined $_ ? pack('N/a*', $_) : pack('N', 0xFFFFFFFF) foreach @{ $field[2] // [] };
			$body .= pack('n/n*', @{ $field[4] // [] });
		}
		elsif ($type eq 'D' || $type eq 'C') { $body = "$field[0]$field[1]\0"; }
		elsif ($type eq 'E') { $body = "$field[0]\0" . pack('N', $field[1] // 0); }
		elsif ($type eq 'Q' || $type eq 'f') { $body = "$field[0]\0"; }
		elsif ($type eq 'd') { $body = $field[0]; }
		$answers++ if $type eq 'Q' || $type eq 'S';
		utf8::encode($body) if utf8::is_utf8($body);
		$data .= $type . pack('N', length($body) + 4) . $body;
	}
	$session->send_bytes($data, $answers);
	$session->finish foreach 1 .. $answers;
	return;
}

# --- what a message says ------------------------------------------------

sub _show
{
	my ($self, $side, $type, $body) = @_;
	if ($type eq 'E' || $type eq 'N')
	{
		my @fields = grep { !/^[FLRV]/ } split /\0/, $body;
		s/\b(direct|forwarded)\b/DATABASE/g foreach @fields;
		return join(' ', $type, map { "[$_]" } @fields);
	}
	if ($type eq 'S')
	{
		my ($name, $value) = split /\0/, $body, -1;
		return $name =~ /^consistency/ ? () : "S $name=$value";
	}
	return join(' ', 'T', map { "[$_]" } $self->_columns($side, $body)) if $type eq 'T';
	if ($type eq 't')
	{
		my (undef, @types) = unpack('nN*', $body);
		return join(' ', 't', map { $self->_name($side, 'regtype', $_) } @types);
	}
	if ($type eq 'D')
	{
		my ($count, @values) = unpack('n', $body);
		my $at = 2;
		for (1 .. $count)
		{
			my $length = unpack('N', substr($body, $at, 4));
			$at += 4;
			push @values, $length == 0xFFFFFFFF ? 'NULL' : '"' . _short(substr($body, $at, $length)) . '"';
			$at += $length if $length != 0xFFFFFFFF;
		}
		return join(' ', 'D', @values);
	}
	return "$type " . _short($body);
}

sub _columns
{
	my ($self, $side, $body) = @_;
	my ($count, $rest) = unpack('n a*', $body);
	my @columns;
	for (1 .. $count)
	{
		my ($name, $table, $column, $type, @other) = unpack('Z* N n N n N n a*', $rest);
		$rest = pop @other;
		push @columns, join(',', $name, $self->_name($side, 'regclass', $table), $column,
			$self->_name($side, 'regtype', $type), @other);
	}
	return @columns;
}

# OIDs of the system are the same everywhere.
sub _name
{
	my ($self, $side, $kind, $oid) = @_;
	return $oid if $oid < $first_oid;
	return $self->{known}{$side}{"$kind $oid"} //= $self->{names}{$side}->value("SELECT $oid\::$kind");
}

sub _short
{
	my ($data) = @_;
	return length($data) . ' bytes with sum ' . unpack('%32C*', $data) if length $data > 2000;
	return $data =~ s/([^\x20-\x7e])/sprintf('\\x%02x', ord $1)/ger;
}

1;
