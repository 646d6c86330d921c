# Everything that can make a primary and its replicas show commits in different order:
# two writers of a key each who wait for their standbys in different ways, now and then
# by two-phase commit; readers by statements, cursors, prepared statements and
# REPEATABLE READ, routed or not.  Not to be combined with faults that take commits
# back: what wasn't waited for may be lost.

package Workload::Mixed;

use strict;
use warnings FATAL => 'all';

use parent 'Workload';
use Workload;

my @keys = qw(x y);

sub clients { return 7; }

sub setup_ops { return map { [ 'w', $_, '0:setup' ] } @keys; }

sub start
{
	my ($self, $client) = @_;
	$client->{on_session} = $self->reads_first('reg', @keys);
	return;
}

# Without the extension only the primary takes writes.
sub home { my ($self) = @_; return $ConsistencyCluster::plain && $self->{number} <= 2 ? 'primary' : undef; }

sub step
{
	my ($self, $client) = @_;
	$self->maybe_move($client, 0.05) if $self->{number} > 2;
	return unless $client->ready;
	return $self->{number} <= 2 ? $self->_write($client) : $self->_read($client);
}

sub _write
{
	my ($self, $client) = @_;
	my $key = $keys[ $self->{number} - 1 ];
	my $wait = Workload::any(qw(on local off remote_write remote_apply));
	my $value = ++$self->{serial} . ":$wait";
	my $two_phase = $client->node eq 'primary' && Workload::chance(0.1);
	return $client->operation([ [ 'w', $key, $value ] ], sub {
		my ($c, $ops) = @_;
		$c->reads("SET synchronous_commit = $wait");
		if (!$two_phase) { Store::run($c, $ops, Workload::way(), block => Workload::chance(0.3)); return; }
		$c->reads('BEGIN');
		$c->reads("UPDATE reg SET v = '$value' WHERE k = '$key'");
		$c->commits("PREPARE TRANSACTION '$value'");
		$c->commits("COMMIT PREPARED '$value'");
	});
}

sub _read
{
	my ($self, $client) = @_;
	my $how = Workload::any(qw(statement statement statement cursor prepared repeatable));
	return $client->operation([ map { [ 'r', $_ ] } @keys ], sub { my $by = "_by_$how"; $self->$by(@_); });
}

sub _by_statement { my ($self, $c, $ops) = @_; Store::run($c, $ops, Workload::way()); return; }

sub _by_repeatable
{
	my ($self, $c, $ops) = @_;
	Store::run($c, $ops, Workload::way(), block => 1, isolation => 'REPEATABLE READ', read_only => 1);
	return;
}

sub _take
{
	my ($ops, @rows) = @_;
	my %value = map { @$_ } @rows;
	$_->[2] = $value{ $_->[1] } for @$ops;
	return;
}

sub _by_cursor
{
	my ($self, $c, $ops) = @_;
	$c->reads('BEGIN');
	$c->reads('DECLARE c NO SCROLL CURSOR FOR SELECT k, v FROM reg ORDER BY k');
	my @rows = map { @{ $c->reads('FETCH 1 FROM c')->{rows} } } @keys;
	$c->reads('COMMIT');
	_take($ops, @rows);
	return;
}

# A plan that outlives what it was made for.
sub _by_prepared
{
	my ($self, $c, $ops) = @_;
	$c->reads('DEALLOCATE ALL') if Workload::chance(0.05);
	my $there = $c->reads("SELECT count(*) FROM pg_prepared_statements WHERE name = 'pair'")->{rows}[0][0];
	$c->reads('PREPARE pair (text, text) AS SELECT k, v FROM reg WHERE k IN ($1, $2)') unless $there;
	_take($ops, @{ $c->reads("EXECUTE pair ('x', 'y')")->{rows} });
	return;
}

sub at_end { my ($self, $client) = @_; return $self->read_finally($client, 'reg', @keys); }

1;
