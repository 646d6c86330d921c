
=pod

=head1 NAME

TwoWays - two servers whose tables replicate both ways

=head1 SYNOPSIS

  my $nodes = TwoWays->new;
  $nodes->story('count', 'CREATE TABLE count (...)', sub {
      $nodes->cut($nodes->one);         # receives nothing any more
      $nodes->join($nodes->one);        # goes on receiving
      $nodes->poll($nodes->one, 'SELECT ...', 'what is awaited');
  });

=head1 DESCRIPTION

Servers "one" and "two", without the extension, or with extension => 1.  In a story the tables that its SQL
makes at both are published by both, and each subscribes to what the other one
publishes, everything PostgreSQL's defaults but for the initial copy.  With the
extension a story's table is attached, deletions and TRUNCATE aren't published, but
tombstones are.  Publication and table have the story's name; name_at($node) is that of the subscription
at $node, of its slot, and of its connection.  Then all of that is dropped.

=cut

package TwoWays;

use strict;
use warnings FATAL => 'all';

use Carp;
use PostgreSQL::Test::Cluster;
use Test::More;

sub new
{
	my ($class, %arg) = @_;
	my $self = bless { extension => $arg{extension} // 0 }, $class;
	foreach my $name (qw(one two))
	{
		my $node = $self->{$name} = PostgreSQL::Test::Cluster->new($name);
		$node->init(allows_streaming => 'logical', extra => [ '--no-locale', '--encoding=UTF8' ]);
		$node->append_conf('postgresql.conf', "wal_retrieve_retry_interval = '50ms'\nwal_writer_delay = '10ms'\nautovacuum = off\nshared_buffers = 16MB\n");
		$node->append_conf('postgresql.conf', "shared_preload_libraries = 'consistency'") if $self->{extension};
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION consistency') if $self->{extension};
	}
	return $self;
}

sub one { my ($self) = @_; return $self->{one}; }

sub two { my ($self) = @_; return $self->{two}; }

sub other { my ($self, $node) = @_; return $node == $self->{one} ? $self->{two} : $self->{one}; }

# The subscription at a node.
sub name_at { my ($self, $node) = @_; return "$self->{story}_" . $node->name; }

# Tells a story, and drops what belonged to it.  With the extension further arguments
# are those of attach().
sub story
{
	my ($self, $name, $tables, $tell, @attach) = @_;
	$self->{story} = $name;
	my @nodes = ($self->{one}, $self->{two});
	foreach my $node (@nodes)
	{
		$node->safe_psql('postgres', $tables);
		$node->safe_psql('postgres', !$self->{extension} ? "CREATE PUBLICATION $name FOR TABLE $name"
			: "SELECT consistency.attach(" . CORE::join(', ', "'$name'", @attach) . ");
				CREATE PUBLICATION $name FOR TABLE $name, consistency.tombstones WITH (publish = 'insert, update')");
	}
	foreach my $node (@nodes)
	{
		my $from = $self->other($node)->connstr('postgres') =~ s/'/''/gr;
		$node->safe_psql('postgres', sprintf q{CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION %s WITH (copy_data = false)},
			$self->name_at($node), $from, $name);
	}
	note("the story of \"$name\"");
	$tell->();
	$self->cut($_) for @nodes;
	$_->safe_psql('postgres', 'DROP SUBSCRIPTION ' . $self->name_at($_)) for @nodes;
	$_->safe_psql('postgres', "DROP PUBLICATION $name; DROP TABLE $name") for @nodes;
	return;
}

# From here on table "seen" of each node has what is written to column v of a table,
# in order: also by the apply worker.
sub note_writes
{
	my ($self, $table) = @_;
	$_->safe_psql('postgres', qq{
		DROP TABLE IF EXISTS seen;
		CREATE TABLE seen (n int GENERATED ALWAYS AS IDENTITY, v int);
		CREATE OR REPLACE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN INSERT INTO public.seen (v) VALUES (NEW.v); RETURN NULL; END';
		CREATE TRIGGER see AFTER INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION see();
		ALTER TABLE $table ENABLE ALWAYS TRIGGER see}) for $self->{one}, $self->{two};
	return;
}

# A node receives nothing any more; returns once it has stopped.
sub cut
{
	my ($self, $node) = @_;
	$node->safe_psql('postgres', 'ALTER SUBSCRIPTION ' . $self->name_at($node) . ' DISABLE');
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_subscription WHERE pid IS NOT NULL})
	  or croak 'the apply worker does not end';
	# its slot is free a little later
	$self->other($node)->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_replication_slots WHERE active})
	  or croak 'the slot is still in use';
	return;
}

sub join
{
	my ($self, $node) = @_;
	$node->safe_psql('postgres', 'ALTER SUBSCRIPTION ' . $self->name_at($node) . ' ENABLE');
	return;
}

# Waits until the query says true.
sub poll
{
	my ($self, $node, $query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
	return;
}

1;
