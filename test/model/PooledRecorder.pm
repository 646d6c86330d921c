
=pod

=head1 NAME

PooledRecorder - a client behind a pooler in transaction mode

=head1 DESCRIPTION

A Recorder whose every transaction may get another server connection, which others
have had before.  So nothing is left to the connection: level and settings are said
in each transaction (SET LOCAL), and so is the token, as docs/operations.md has it;
what the client is told with the answer is its token from then on.

Some transactions are one message, some are blocks.  Half of these clients clear what
the server connection knows before they hand in their own; the others wait for that as
well.

With forgetful => 1 no token is handed in: such a client must be found guilty.

=cut

package PooledRecorder;

use strict;
use warnings FATAL => 'all';

use parent 'Recorder';
use Recorder;

sub _connect
{
	my ($self) = @_;
	return $self->{cluster}->connect($self->{node}, application_name => "client $self->{process}", pooled => 1);
}

# The connection knows nothing of its client.
sub _greet { return; }

sub _new_session { my ($self) = @_; $self->{imports} = []; return $self->SUPER::_new_session; }

# For the next transaction: tokens are merged by the server.
sub import_token { my ($self, $token) = @_; push @{ $self->{imports} }, $token; return 1; }

# Only who has handed in all is told all.
sub _note_token
{
	my ($self, $outcome) = @_;
	return if $outcome ne 'ok' || $self->{forgetful};
	$self->SUPER::_note_token;
	$self->{imports} = [];
	return;
}

# What is said at the beginning of a transaction: in a block, or ahead of a statement
# in the same message.
sub _words
{
	my ($self) = @_;
	my @words = map { s/^SET /SET LOCAL /r } "SET consistency = '$self->{level}'", @{ $self->{settings} };
	return @words if $self->{forgetful};
	my @tokens = ($self->{token} // (), @{ $self->{imports} });
	unshift @tokens, '' if !@tokens || $self->{process} % 4 == 0;
	my $set = rand() < 0.5 ? 'SET' : 'SET LOCAL';
	return (@words, map { "$set consistency.token = '$_'" } @tokens);
}

sub reads
{
	my ($self, $sql, @parameters) = @_;
	return $self->SUPER::reads($sql, @parameters) if $self->{wire}->status ne 'I';
	return $self->SUPER::reads(join '; ', $sql, $self->_words) if $sql =~ /^BEGIN/;
	return $self->SUPER::reads(join '; ', $self->_words, $sql) unless @parameters;
	$self->SUPER::reads(join '; ', 'BEGIN', $self->_words);
	my $result = $self->SUPER::reads($sql, @parameters);
	my $end = $self->SUPER::reads('COMMIT');
	die "COMMIT did not commit\n" unless $end->{tag} eq 'COMMIT';
	return $result;
}

1;
