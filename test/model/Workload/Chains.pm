# Causal chains: who has written sends a message, with its token, to another client,
# who imports the token, reads all keys, writes its own, and sends a message in turn.
# Clients stay at different nodes, so what they know of each other is in tokens.

package Workload::Chains;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use Socket qw(SOCK_DGRAM);
use parent 'Workload';
use Workload;

sub clients { return 6; }

sub _keys { my ($self) = @_; return map { "c$_" } 1 .. $self->clients; }

sub setup_ops { my ($self) = @_; return map { [ 'w', $_, '0:setup' ] } $self->_keys; }

sub _box { my ($self, $number) = @_; return "$self->{mail}/$number"; }

sub start
{
	my ($self, $client) = @_;
	$client->{on_session} = $self->reads_first('reg', $self->_keys);
	$self->{box} = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $self->_box($self->{number})) or die "no mail box: $!";
	return;
}

sub step
{
	my ($self, $client) = @_;
	return unless $client->ready;
	my %received = $self->_receive($client);
	return unless $client->{wire};
	if (%received || Workload::chance(0.3))
	{
		return unless $client->operation([ map { [ 'r', $_ ] } $self->_keys ],
			sub { Store::run(@_, Workload::way()) }, %received) eq 'ok';
	}
	return unless $client->ready;
	my $message = "$self->{number}." . ++$self->{serial};
	my $outcome = $client->operation([ [ 'w', "c$self->{number}", "$self->{serial}:$self->{number}" ] ],
		sub { Store::run(@_, Workload::way()) }, sent => $message);
	return unless $outcome eq 'ok' && $client->token;
	my $to = Workload::any(grep { $_ != $self->{number} } 1 .. $self->clients);
	my $out = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $self->_box($to), Blocking => 0) or return;
	$out->send(JSON::PP::encode_json([ $message, $client->token ]));
	return;
}

# What the next operation knows of: the newest messages.
sub _receive
{
	my ($self, $client) = @_;
	my @received;
	while (@received < 5 && IO::Select->new($self->{box})->can_read(@received ? 0 : 0.002))
	{
		$self->{box}->recv(my $text, 4096);
		my ($message, $token) = @{ JSON::PP::decode_json($text) };
		return () unless $client->import_token($token);
		push @received, $message;
	}
	return @received ? (received => \@received) : ();
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', $self->_keys); }

# session's "session" takes in those whose token was handed over, but not whom it
# has read from: that is what causal adds.

1;
