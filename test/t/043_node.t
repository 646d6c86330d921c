# Node.js where its session is at a replica: the driver "pg", the query builder
# "knex" with its migrations, and the ORM "sequelize".  The programs are in
# test/clients; each prints a line for each check.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Utils;
use RealClients;
use Test::More;

my $programs = "$FindBin::RealBin/../clients";
BAIL_OUT("no packages in $programs: run tools/install_packages --test")
  if !-d "$programs/node_modules/pg";

my $cluster = clients_cluster();
my $endpoint = endpoint();
my $truth = $cluster->connect('primary');

# Runs a program at the endpoint and counts its checks as ours.
sub program
{
	my ($name) = @_;
	my $run = run_client($cluster, $endpoint, [ 'node', "$programs/$name.js" ],
		env => { AT_REPLICA => at_replica() ? 1 : 0, NODE_ENV => 'test' });
	foreach my $line (split /\n/, $run->{out})
	{
		if ($line =~ /^(ok|not ok) - (.*)/) { ok($1 eq 'ok', "$name: $2"); }
		elsif ($line ne 'done') { note("$name: $line"); }
	}
	like($run->{out}, qr/^done$/m, "$name: came to its end");
	is($run->{status}, 0, "$name: exit status");
	diag($run->{err}) if $run->{err} ne '';
	return;
}

# The command that people run before their program.
sub knex
{
	my ($command, $expected) = @_;
	my $run = run_client($cluster, $endpoint,
		[ 'node', "$programs/node_modules/.bin/knex", '--knexfile', "$programs/knexfile.js", @$command ],
		cwd => $programs);
	is($run->{status}, 0, "knex @$command: exit status") or diag "$run->{out}$run->{err}";
	like($run->{out}, $expected, "knex @$command: what it says");
	return;
}

# What a dump shows of the tables that knex made.
sub schema
{
	my ($where) = @_;
	my $dump = run_client($cluster, $where, [ 'pg_dump', '--schema-only', '-t', 'users', '-t', 'posts', '-t', 'tags', '-t', 'knex*' ]);
	is($dump->{status}, 0, "pg_dump at $where") or diag $dump->{err};
	# a word of pg_dump's own that differs each time
	return $dump->{out} =~ s/^\\(un)?restrict .*$//mgr;
}

program('driver');

# migrations up, down, and up one by one
knex([ 'migrate:latest' ], qr/Batch 1 run: 4 migrations/);
is($truth->value('SELECT count(*) FROM knex_migrations'), 4, 'knex: its own table tells of them');
is($truth->value('SELECT is_locked FROM knex_migrations_lock'), 0, 'knex: its lock is free');
is($truth->value('SELECT count(*) FROM users'), 2, 'knex: data is there');
my $by_primary = schema('primary');
$cluster->wait_replayed;
is(schema('near'), $by_primary, 'knex: the same schema at both');
knex([ 'migrate:status' ], qr/Found 4 Completed Migration.*No Pending Migration/s);
knex([ 'migrate:rollback', '--all' ], qr/Batch 1 rolled back: 4 migrations/);
is($truth->value(q{SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename !~ 'knex'}),
	0, 'knex: nothing is left of them');
knex([ 'migrate:up' ], qr/Batch 1 ran the following migrations:\s+001_users.js/);
knex([ 'migrate:latest' ], qr/Batch 2 run: 3 migrations/);
knex([ 'migrate:latest' ], qr/Already up to date/);
program('knex');

program('sequelize');

done_testing();
