
=pod

=head1 NAME

WireClient - a PostgreSQL client that shows what travels

=head1 SYNOPSIS

  my $c = WireClient->new(host => '/tmp/dir', port => 5432,
      user => 'app', password => 'secret', dbname => 'postgres');

  $c->value('SELECT 1');                       # simple protocol, dies on error
  $c->execute('SELECT $1::int + 1', 41);       # extended protocol, unnamed
  $c->prepare('p', 'SELECT $1::int');          # named statement
  $c->run('p', 7)->{rows};
  $c->parameter('consistency.token');          # as PQparameterStatus gives it

=head1 DESCRIPTION

psql shows neither parameter status messages nor when they come, and can't
hold an extended-protocol query halfway.  So the tests talk the frontend
protocol, version 3, themselves: it needs nothing but core Perl modules.

A result is a hash: rows (array of arrays; undef is NULL), fields (names),
types (OIDs), tag, error (undef, or a hash with code, message, detail, hint,
context), notices (array of the same), wire (the type letters of all messages
up to ReadyForQuery, in order of arrival) and parameters (a hash of the
parameter status messages that came with it).

Every wait has a limit (PG_TEST_TIMEOUT_DEFAULT): a hang is a failed test and
never a stuck one.

=cut

package WireClient;

use strict;
use warnings FATAL => 'all';

use Carp;
use Digest::SHA qw(hmac_sha256 sha256);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use MIME::Base64 qw(decode_base64 encode_base64);
use Time::HiRes qw(time);

our $timeout = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;

# Connects and returns once the server is ready for a query; dies with the
# server's message otherwise.
sub new
{
	my ($class, %arg) = @_;
	my $self = bless {
		arg => \%arg,
		buffer => '',
		parameter => {},
		notices => [],
		wire => '',
		pending => 0
	}, $class;

	$self->{socket} = _open($arg{host}, $arg{port});

	my %startup = (
		user => $arg{user},
		database => $arg{dbname} // 'postgres',
		application_name => $arg{application_name} // 'wire client',
		client_encoding => 'UTF8',
		%{ $arg{startup} // {} });
	my $body = pack('N', 196608);
	$body .= "$_\0$startup{$_}\0" for sort keys %startup;
	$body .= "\0";
	$self->_write(pack('N', length($body) + 4) . $body);
	$self->_authenticate;
	return $self;
}

sub _open
{
	my ($host, $port) = @_;
	my $socket =
	  $host =~ m{^/}
	  ? IO::Socket::UNIX->new(Peer => "$host/.s.PGSQL.$port")
	  : IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port);
	croak "could not connect to $host port $port: $!" unless $socket;
	$socket->autoflush(1);
	return $socket;
}

# --- connection ---------------------------------------------------------

sub _authenticate
{
	my ($self) = @_;
	my ($first, $nonce, $server_signature);

	while (1)
	{
		my ($type, $body) = $self->_message;
		if ($type eq 'R')
		{
			my $kind = unpack('N', $body);
			my $data = substr($body, 4);
			if ($kind == 0) { next; }
			elsif ($kind == 3)
			{
				$self->_send('p', ($self->{arg}{password} // '') . "\0");
			}
			elsif ($kind == 10)
			{
				$nonce = encode_base64(join('', map { chr(int(rand(256))) } 1 .. 18), '');
				$first = "n=,r=$nonce";
				my $message = "n,,$first";
				$self->_send('p',
					"SCRAM-SHA-256\0" . pack('N', length $message) . $message);
			}
			elsif ($kind == 11)
			{
				my ($final, $signature) =
				  _scram_final($first, $data, $self->{arg}{password} // '');
				$server_signature = $signature;
				$self->_send('p', $final);
			}
			elsif ($kind == 12)
			{
				croak "the server doesn't know the password"
				  unless $data eq "v=$server_signature";
			}
			else { croak "authentication method $kind isn't known here"; }
		}
		elsif ($type eq 'K') { ($self->{pid}, $self->{key}) = unpack('NN', $body); }
		elsif ($type eq 'E') { croak _fields($body)->{message}; }
		elsif ($type eq 'Z') { $self->{status} = $body; last; }
	}
	return;
}

# The client's last message of SCRAM-SHA-256 (RFC 5802), and what the server
# must answer.
sub _scram_final
{
	my ($client_first, $server_first, $password) = @_;
	my %field = map { split /=/, $_, 2 } split /,/, $server_first;

	my $block = hmac_sha256(decode_base64($field{s}) . pack('N', 1), $password);
	my $salted = $block;
	for (2 .. $field{i})
	{
		$block = hmac_sha256($block, $password);
		$salted ^= $block;
	}
	my $client_key = hmac_sha256('Client Key', $salted);
	my $without_proof = 'c=biws,r=' . $field{r};
	my $auth = "$client_first,$server_first,$without_proof";
	my $proof = $client_key ^ hmac_sha256($auth, sha256($client_key));
	my $signature = hmac_sha256($auth, hmac_sha256('Server Key', $salted));
	return ($without_proof . ',p=' . encode_base64($proof, ''),
		encode_base64($signature, ''));
}

# Says goodbye.  The object is of no use afterwards.
sub close
{
	my ($self) = @_;
	return unless $self->{socket};
	local $SIG{PIPE} = 'IGNORE';
	eval { $self->_send('X', ''); };
	$self->{socket}->close;
	undef $self->{socket};
	return;
}

# Drops the connection without a goodbye, as a client does that dies.
sub abandon
{
	my ($self) = @_;
	$self->{socket}->close if $self->{socket};
	undef $self->{socket};
	return;
}

sub DESTROY { my ($self) = @_; local ($@, $!, $?); $self->close; return; }

# The server process behind this connection.
sub pid { my ($self) = @_; return $self->{pid}; }

# Transaction status as of the last ReadyForQuery: I, T or E.
sub status { my ($self) = @_; return $self->{status}; }

# Asks the server to cancel what this connection runs.
sub cancel
{
	my ($self) = @_;
	my $socket = _open($self->{arg}{host}, $self->{arg}{port});
	syswrite $socket, pack('NNNN', 16, 80877102, $self->{pid}, $self->{key});
	sysread $socket, my $nothing, 1;
	return;
}

# All messages as they came, type letter and body, from now on: an array that
# grows.
sub trace { my ($self) = @_; return $self->{trace} = []; }

# What the server last reported under this name.
sub parameter { my ($self, $name) = @_; return $self->{parameter}{$name}; }

# --- queries ------------------------------------------------------------

# Runs a string by the simple protocol.  Returns the result of the last
# statement in it (in list context: of all), errors included.
sub query
{
	my ($self, $sql) = @_;
	$self->send_query($sql);
	return $self->finish;
}

# The same, but dies on an error.
sub do
{
	my ($self, $sql) = @_;
	my @results = $self->query($sql);
	_check($_, $sql) for @results;
	return wantarray ? @results : $results[-1];
}

# First column of the first row; dies on an error.
sub value
{
	my ($self, $sql, @parameters) = @_;
	my $result = @parameters ? $self->execute($sql, @parameters) : $self->query($sql);
	_check($result, $sql);
	return $result->{rows}[0] ? $result->{rows}[0][0] : undef;
}

# All rows as psql -At shows them, NULL as the empty string.
sub text
{
	my ($self, $sql, @parameters) = @_;
	my $result = @parameters ? $self->execute($sql, @parameters) : $self->query($sql);
	_check($result, $sql);
	return text_of($result);
}

sub text_of
{
	my ($result) = @_;
	return join("\n",
		map { join('|', map { $_ // '' } @$_) } @{ $result->{rows} });
}

# One row as a hash by column name, or undef; dies on an error.
sub row
{
	my ($self, $sql, @parameters) = @_;
	my $result = @parameters ? $self->execute($sql, @parameters) : $self->query($sql);
	_check($result, $sql);
	return undef unless $result->{rows}[0];
	my %row;
	@row{ @{ $result->{fields} } } = @{ $result->{rows}[0] };
	return \%row;
}

# The error of a statement that is expected to have one, or undef.
sub error
{
	my ($self, $sql, @parameters) = @_;
	my $result = @parameters ? $self->execute($sql, @parameters) : $self->query($sql);
	return $result->{error};
}

sub _check
{
	my ($result, $sql) = @_;
	croak "$result->{error}{code}: $result->{error}{message}"
	  . ($result->{error}{detail} ? " ($result->{error}{detail})" : '')
	  . "\nin: $sql"
	  if $result->{error};
	return;
}

# Extended protocol, unnamed statement and portal, parameters as text.
sub execute
{
	my ($self, $sql, @parameters) = @_;
	$self->send_execute($sql, @parameters);
	return scalar $self->finish;
}

# Makes a named statement; types are OIDs, 0 where the server shall decide.
sub prepare
{
	my ($self, $name, $sql, @types) = @_;
	$self->_send('P', "$name\0$sql\0" . pack('n/N*', @types));
	$self->sync;
	my $result = $self->finish;
	_check($result, $sql);
	return;
}

# Runs a named statement and returns its result, errors included.
sub run
{
	my ($self, $name, @parameters) = @_;
	$self->send_run($name, @parameters);
	return scalar $self->finish;
}

# --- halves: send now, collect with finish() later ----------------------

sub send_query
{
	my ($self, $sql) = @_;
	$self->_send('Q', "$sql\0");
	$self->{pending}++;
	return;
}

sub send_execute
{
	my ($self, $sql, @parameters) = @_;
	$self->_write(
		_message_text('P', "\0$sql\0" . pack('n', 0))
		  . _bind('', '', \@parameters)
		  . _message_text('D', "P\0")
		  . _message_text('E', "\0" . pack('N', 0))
		  . _message_text('S', ''));
	$self->{pending}++;
	return;
}

# arg max_rows, if not zero, leaves the portal suspended after as many rows
sub send_run
{
	my ($self, $name, @parameters) = @_;
	$self->_write(
		_bind('', $name, \@parameters)
		  . _message_text('D', "P\0")
		  . _message_text('E', "\0" . pack('N', 0))
		  . _message_text('S', ''));
	$self->{pending}++;
	return;
}

# Messages as they are, in one piece, with so many ReadyForQuery to come.
sub send_bytes
{
	my ($self, $data, $answers) = @_;
	$self->_write($data);
	$self->{pending} += $answers;
	return;
}

# Raw pieces of the extended protocol, for pipelines and portals.
sub send_parse
{
	my ($self, $name, $sql) = @_;
	$self->_send('P', "$name\0$sql\0" . pack('n', 0));
	return;
}

sub send_bind
{
	my ($self, $portal, $name, @parameters) = @_;
	$self->_write(_bind($portal, $name, \@parameters));
	return;
}

sub send_fetch
{
	my ($self, $portal, $max_rows) = @_;
	$self->_send('E', "$portal\0" . pack('N', $max_rows // 0));
	return;
}

sub sync
{
	my ($self) = @_;
	$self->_send('S', '');
	$self->{pending}++;
	return;
}

# Rows for a COPY FROM STDIN that waits for them, and its end.
sub send_copy
{
	my ($self, @lines) = @_;
	$self->_send('d', "$_\n") for @lines;
	$self->_send('c', '');
	return;
}

# Asks for what is there so far without ending the pipeline.
sub flush { my ($self) = @_; $self->_send('H', ''); return; }

# Collects results up to the next ReadyForQuery.
sub finish
{
	my ($self) = @_;
	my @results;
	my $result = _new_result();

	croak 'nothing was sent' unless $self->{pending};
	$self->{wire} = '';
	while (1)
	{
		my ($type, $body) = $self->_message;
		if ($type eq 'T') { _row_description($result, $body); }
		elsif ($type eq 'D') { push @{ $result->{rows} }, _data_row($body); }
		elsif ($type eq 'd') { push @{ $result->{rows} }, [ $body =~ s/\n\z//r ]; }
		elsif ($type eq 'E') { $result->{error} = _fields($body); }
		elsif ($type eq 'C' || $type eq 'I' || $type eq 's')
		{
			$result->{tag} =
			  $type eq 'C' ? substr($body, 0, -1) : $type eq 's' ? 'suspended' : '';
			push @results, $result;
			$result = _new_result();
		}
		elsif ($type eq 'Z')
		{
			$self->{status} = $body;
			last;
		}
	}
	$self->{pending}--;
	push @results, $result if $result->{error} || !@results;
	my $last = $results[-1];
	$last->{wire} = $self->{wire};
	$last->{notices} = $self->{notices};
	$last->{parameters} = $self->{reported} // {};
	$self->{notices} = [];
	$self->{reported} = {};
	return wantarray ? @results : $last;
}

# Is anything there to be read?  Waits for it up to so many seconds.
sub ready
{
	my ($self, $seconds) = @_;
	return 1 if length $self->{buffer};
	return IO::Select->new($self->{socket})->can_read($seconds // 0) ? 1 : 0;
}

# Reads single messages: until one of these types has come; returns its body.
# For results that are looked at while they arrive.
sub read_until
{
	my ($self, @types) = @_;
	while (1)
	{
		my ($type, $body) = $self->_message;
		return ($type, $body) if grep { $_ eq $type } @types;
		croak _fields($body)->{message} if $type eq 'E';
	}
}

# --- messages -----------------------------------------------------------

sub _new_result { return { rows => [], fields => [], types => [], tag => undef, error => undef }; }

sub _bind
{
	my ($portal, $name, $parameters) = @_;
	my $body = "$portal\0$name\0" . pack('n', 0) . pack('n', scalar @$parameters);
	foreach my $p (@$parameters)
	{
		if (defined $p)
		{
			utf8::encode($p) if utf8::is_utf8($p);
			$body .= pack('N/a*', $p);
		}
		else { $body .= pack('N', 0xFFFFFFFF); }
	}
	return _message_text('B', $body . pack('n', 0));
}

sub _row_description
{
	my ($result, $body) = @_;
	my ($count, $rest) = unpack('n a*', $body);
	$result->{fields} = [];
	$result->{types} = [];
	for (1 .. $count)
	{
		my ($name, $table, $column, $type, $length, $modifier, $format, $more) =
		  unpack('Z* N n N n N n a*', $rest);
		push @{ $result->{fields} }, $name;
		push @{ $result->{types} }, $type;
		push @{ $result->{modifiers} }, $modifier;
		$rest = $more;
	}
	return;
}

sub _data_row
{
	my ($body) = @_;
	my $count = unpack('n', $body);
	my $at = 2;
	my @row;
	for (1 .. $count)
	{
		my $length = unpack('N', substr($body, $at, 4));
		$at += 4;
		if ($length == 0xFFFFFFFF) { push @row, undef; next; }
		push @row, substr($body, $at, $length);
		$at += $length;
	}
	return \@row;
}

sub _fields
{
	my ($body) = @_;
	my %name = (
		S => 'severity',
		C => 'code',
		M => 'message',
		D => 'detail',
		H => 'hint',
		W => 'context');
	my %field = map { $_ => '' } values %name;
	foreach my $part (split /\0/, $body)
	{
		my ($type, $text) = (substr($part, 0, 1), substr($part, 1));
		$field{ $name{$type} } = $text if $name{$type};
	}
	return \%field;
}

sub _message_text
{
	my ($type, $body) = @_;
	utf8::encode($body) if utf8::is_utf8($body);
	return $type . pack('N', length($body) + 4) . $body;
}

sub _send
{
	my ($self, $type, $body) = @_;
	$self->_write(_message_text($type, $body));
	return;
}

sub _write
{
	my ($self, $data) = @_;
	croak 'connection is closed' unless $self->{socket};
	local $SIG{PIPE} = 'IGNORE';
	my $at = 0;
	while ($at < length $data)
	{
		my $n = syswrite $self->{socket}, $data, length($data) - $at, $at;
		croak "could not send: $!" unless defined $n;
		$at += $n;
	}
	return;
}

sub _fill
{
	my ($self, $want) = @_;
	while (length $self->{buffer} < $want)
	{
		my $start = time;
		IO::Select->new($self->{socket})->can_read($timeout)
		  or croak "no answer within $timeout s";
		my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
		croak 'server closed the connection' unless $n;
	}
	return;
}

# The next message: type letter and body.  Notices, notifications and
# parameter status are taken note of here, since they can come at any time.
sub _message
{
	my ($self) = @_;
	croak 'connection is closed' unless $self->{socket};
	while (1)
	{
		$self->_fill(5);
		my ($type, $length) = unpack('a N', $self->{buffer});
		$self->_fill($length + 1);
		my $body = substr($self->{buffer}, 5, $length - 4);
		substr($self->{buffer}, 0, $length + 1) = '';
		$self->{wire} .= $type;
		push @{ $self->{trace} }, [ $type, $body ] if $self->{trace};
		if ($type eq 'S')
		{
			my ($name, $value) = split /\0/, $body, -1;
			$self->{parameter}{$name} = $value;
			$self->{reported}{$name} = $value;
			next;
		}
		if ($type eq 'N') { push @{ $self->{notices} }, _fields($body); next; }
		next if $type eq 'A';
		return ($type, $body);
	}
}

1;
