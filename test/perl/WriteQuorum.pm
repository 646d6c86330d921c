
=pod

=head1 NAME

WriteQuorum - commits that several nodes have to apply

=head1 SYNOPSIS

  use WriteQuorum;

  my $session = write_session($cluster, 'primary', 2, on_unconfirmed => 'warning');
  is(codes($session->query('INSERT INTO t VALUES (1)')), 'ok', 'two nodes have it');
  is(seen($cluster, 1, 'near', 'far'), 1, '... one of them a replica');

=cut

package WriteQuorum;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT = qw(write_session codes seen);

# A session at a node with a quorum, and other settings of the extension.
sub write_session
{
	my ($cluster, $where, $quorum, %setting) = @_;
	my $session = $cluster->connect($where);
	$setting{write_quorum_timeout} //= '300ms';
	$session->do("SET consistency.write_quorum = '$quorum'");
	$session->do("SET consistency.$_ = '$setting{$_}'") foreach sort keys %setting;
	return $session;
}

# The codes of a result's error, or "ok", and of its notices.
sub codes
{
	my ($result) = @_;
	return join ' ', ($result->{error} ? $result->{error}{code} : 'ok'),
	  map { $_->{code} } @{ $result->{notices} // [] };
}

# At how many nodes is a row of table t to be seen, without any promise?
sub seen
{
	my ($cluster, $i, @nodes) = @_;
	return scalar grep { $cluster->sql($_, "SELECT count(*) FROM t WHERE i = $i") > 0 } @nodes;
}

1;
