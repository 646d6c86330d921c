# Random numbers that depend on a seed and on nothing else that draws some.

package Converge::Random;

use strict;
use warnings FATAL => 'all';

use Digest::SHA qw(sha256);

sub new { my ($class, $seed) = @_; return bless { seed => $seed, drawn => 0 }, $class; }

# From 0 to less than 1.
sub part
{
	my ($self) = @_;
	return unpack('N', sha256("$self->{seed}/" . $self->{drawn}++)) / 4294967296;
}

# From one number to another one, both included.
sub between { my ($self, $from, $to) = @_; return $from + int($self->part * ($to - $from + 1)); }

sub any { my ($self, @of) = @_; return $of[ int($self->part * @of) ]; }

sub chance { my ($self, $p) = @_; return $self->part < $p; }

1;
