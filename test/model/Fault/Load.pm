# What other clients do to a cluster: long queries and vacuum, definitions, many
# connections, checkpoints; and slow commits, as a slow disk makes them.

package Fault::Load;

use strict;
use warnings FATAL => 'all';

use Fault::Process;

our %faults = (conflict => \&conflict, ddl => \&ddl, storm => \&storm, checkpoint => \&checkpoint, slow_commit => \&slow_commit);

sub _tables { my ($faults) = @_; return @{ $faults->{tables} // [qw(reg list)] }; }

# A long query at a replica, while rows that it may want are vacuumed away.
sub conflict
{
	my ($faults) = @_;
	my $name = $faults->any_replica;
	my @sessions;
	return {
		what => "long queries at $name, and vacuum",
		begin => sub {
			foreach (1 .. 2)
			{
				my $session = $faults->cluster->connect($name, user => $faults->cluster->superuser, directly => 1);
				$session->do("SET consistency = 'weak'; SET consistency.routing = 'off'");
				$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
				$session->do("SELECT count(*) FROM $_") for _tables($faults);
				push @sessions, $session;
			}
		},
		during => sub { $faults->try_sql($faults->primary, "VACUUM $_") for _tables($faults); },
		heal => sub { $_->abandon for @sessions; } };
}

# Tables change their columns, are rewritten and indexed anew, at any entry point.
sub ddl
{
	my ($faults) = @_;
	my $count = 0;
	my $where = $faults->any_node;
	return {
		what => "definitions, at $where",
		begin => sub { },
		during => sub {
			return if $count++ % 8;
			my $table = $faults->any(_tables($faults));
			my $sql = $faults->any(
				"ALTER TABLE $table ADD COLUMN IF NOT EXISTS extra int DEFAULT 7; ALTER TABLE $table DROP COLUMN extra",
				"CREATE INDEX IF NOT EXISTS another ON $table (k, v); DROP INDEX another",
				"ALTER TABLE $table SET (fillfactor = " . $faults->any(20, 50, 100) . ')',
				"VACUUM FULL $table", "REINDEX TABLE $table", "ANALYZE $table");
			local $WireClient::timeout = 3;
			my $ok = eval {
				my $session = $faults->cluster->connect($where);
				$session->do($_) for 'SET lock_timeout = 1000', split /; /, $sql;
				$session->close;
				1;
			};
			$faults->note("ddl: $@") unless $ok;
		} };
}

sub storm
{
	my ($faults) = @_;
	my $name = $faults->any_node;
	my @sessions;
	return {
		what => "many connections to $name",
		begin => sub { },
		during => sub {
			local $WireClient::timeout = 1;
			push @sessions, eval { $faults->cluster->connect($name) } // ();
			eval { $sessions[-1]->send_query('SELECT count(*) FROM ' . (_tables($faults))[0]); } if @sessions;
			@sessions = () if @sessions > 40;
		},
		heal => sub { $_->abandon for @sessions; } };
}

sub checkpoint
{
	my ($faults) = @_;
	my $count = 0;
	return {
		what => 'checkpoints, restart points and new segments',
		begin => sub { },
		during => sub {
			return if $count++ % 5;
			$faults->try_sql($faults->primary, 'SELECT pg_switch_wal()');
			$faults->try_sql($_, 'CHECKPOINT') for $faults->any_node;
		} };
}

# Every flush of a commit takes so much longer, as on a disk that is slow.
sub slow_commit
{
	my ($faults) = @_;
	my $milliseconds = $faults->any(5, 50, 100);
	my $set = sub {
		my ($sql) = @_;
		my $primary = $faults->primary;
		$faults->try_sql($primary, $sql);
		Fault::Process::reload($faults->cluster->node($primary));
	};
	return {
		what => "commits take $milliseconds ms longer",
		begin => sub {
			$faults->try_sql($faults->primary, 'ALTER SYSTEM SET commit_siblings = 0');
			$set->('ALTER SYSTEM SET commit_delay = ' . 1000 * $milliseconds);
		},
		heal => sub { $set->('ALTER SYSTEM RESET commit_delay') } };
}

1;
