# A pooler in transaction mode between the nodes: PgBouncer, at the address that
# is declared.  Its sessions are shared with whoever else connects through it, so
# nothing may be left in them, and nothing be expected to be there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' unless $program;

my $cluster = ConsistencyCluster->new(replicas => [ { name => 'near' } ]);
my $near = $cluster->node('near');
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my %pooler;

# --- helpers ------------------------------------------------------------

# Starts a pooler in front of a node, with so many sessions for each role.
sub start_pooler
{
	my ($name, $sessions) = @_;
	my $node = $cluster->node($name);
	my $pooler = $pooler{$name} //= {
		host => PostgreSQL::Test::Utils::tempdir_short(),
		port => PostgreSQL::Test::Cluster::get_free_port()
	};
	my $dir = $pooler->{host};
	open my $users, '>', "$dir/users" or die $!;
	print $users qq{"$_" "$_ secret"\n} for qw(app other monitor);
	close $users;
	open my $conf, '>', "$dir/pgbouncer.ini" or die $!;
	print $conf <<"INI";
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=postgres
[pgbouncer]
unix_socket_dir = $dir
listen_port = $pooler->{port}
auth_type = scram-sha-256
auth_file = $dir/users
pool_mode = transaction
default_pool_size = @{[ $sessions // 1 ]}
server_login_retry = 1
logfile = $dir/log
pidfile = $dir/pid
INI
	close $conf;
	system_or_bail($program, '-q', '-d', "$dir/pgbouncer.ini");
	wait_until(sub { -s "$dir/pid" && -S "$dir/.s.PGSQL.$pooler->{port}" }, "the pooler before $name is up");
	return;
}

sub stop_pooler
{
	my ($name) = @_;
	my $file = "$pooler{$name}{host}/pid";
	return unless -s $file;
	my ($pid) = slurp_file($file) =~ /^(\d+)/;
	kill 'TERM', $pid;
	wait_until(sub { !kill 0, $pid }, "the pooler before $name is down");
	unlink $file;
	return;
}
END { local $?; eval { stop_pooler($_) } for keys %pooler; }

# A client of the pooler itself.
sub through
{
	my ($name, $user) = @_;
	return WireClient->new(
		host => $pooler{$name}{host},
		port => $pooler{$name}{port},
		user => $user,
		password => "$user secret");
}

sub place
{
	my ($session) = @_;
	$session->{last} = $session->row('SELECT * FROM consistency.last_read()');
	return $session->{last}{place};
}

sub routed_session
{
	my $session = $cluster->connect('primary');
	$session->do("SET consistency.routing = 'always'");
	$cluster->wait_replayed;
	wait_until(
		sub { $session->do('SELECT count(*) FROM one'); return place($session) eq 'routed'; },
		'reads are routed');
	return $session;
}

# The pooler's sessions at a node, of one role.
sub sessions_of
{
	my ($name, $user) = @_;
	return $cluster->sql($name,
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = '$user'");
}

$dba->do($_) for split /;\n/, <<'SQL';
CREATE TABLE one (i int);
INSERT INTO one VALUES (1);
CREATE TABLE pairs (i int, owner text DEFAULT current_user);
CREATE TABLE many AS SELECT g AS i, 'v ' || g AS v FROM generate_series(1, 20000) g;
CREATE TABLE accents (t text);
INSERT INTO accents VALUES ('dreißig');
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema".one AS SELECT 77 AS i;
CREATE TABLE secret (owner text, tenant text, v int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = current_user AND tenant = coalesce(current_setting('app.tenant', true), ''));
INSERT INTO secret VALUES ('app', 'a', 1), ('app', 'b', 2), ('other', 'a', 3), ('other', 'b', 4), ('app', '', 5);
GRANT USAGE ON SCHEMA "My Schema" TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app, other;
GRANT SELECT ON ALL TABLES IN SCHEMA "My Schema" TO app, other;
GRANT other TO app
SQL

# --- declared -----------------------------------------------------------

# what a client that sets nothing finds in the pooler's session
my $look = q{SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
 WHERE source = 'session' AND name NOT IN ('consistency.token', 'transaction_isolation') OR name IN ('role', 'TimeZone', 'search_path',
   'statement_timeout', 'idle_session_timeout', 'client_connection_check_interval',
   'default_transaction_isolation', 'consistency', 'consistency.routing')};
my %untouched;

foreach my $name ('near', 'primary')
{
	start_pooler($name);
	my $client = through($name, 'app');
	$untouched{$name} = $client->value($look);
	$client->close;
	$dba->do("ALTER SERVER \"$name\" OPTIONS (SET host '$pooler{$name}{host}', SET port '$pooler{$name}{port}')");
}
$cluster->wait_replayed;
$cluster->wait_all_up;
pass('the monitors reach the nodes through the pooler');

# --- the same answers ---------------------------------------------------

# sessions with settings of their own take turns on one session over there
{
	my @case = (
		[ 'SET app.tenant = $$a$$', 'SELECT v FROM secret', 1 ],
		[ 'SET app.tenant = $$b$$', 'SELECT v FROM secret', 2 ],
		[ 'SELECT 1', 'SELECT v FROM secret', 5 ],
		[ 'SET app.tenant = $$a$$; SET ROLE other', 'SELECT v FROM secret', 3 ],
		[ 'SET TimeZone = $$Asia/Tokyo$$', q{SELECT '2024-01-01 12:00+00'::timestamptz FROM one}, '2024-01-01 21:00:00+09' ],
		[ 'SET TimeZone = $$UTC$$; SET DateStyle = $$German$$', q{SELECT '2024-01-01 12:00+00'::timestamptz FROM one}, '01.01.2024 12:00:00 UTC' ],
		[ 'SET search_path = "My Schema", public', 'SELECT i FROM one', 77 ],
		[ 'SELECT 1', 'SELECT i FROM one', 1 ],
		[ 'SET client_encoding = $$LATIN1$$', 'SELECT t FROM accents', "drei\xdfig" ],
		[ 'SELECT 1', 'SELECT t FROM accents', "drei\xc3\x9fig" ],
		[ 'SET default_transaction_isolation = $$read committed$$', 'SELECT i FROM one', 1 ]);
	my @session = map { routed_session() } @case;
	$session[$_]->do($case[$_][0]) for 0 .. $#case;
	foreach my $round (1 .. 3)
	{
		foreach my $i (0 .. $#case)
		{
			is($session[$i]->value($case[$i][1]), $case[$i][2], "round $round, $case[$i][0]: $case[$i][1]");
			is(place($session[$i]), 'routed', '... from the replica') or diag explain $session[$i]{last};
		}
	}
	is(sessions_of('near', 'app'), 1, 'all over one session there');
	is(sessions_of('near', 'other'), 0, '... which is no other role\'s');

	# all at once: they wait for each other's transactions
	foreach my $round (1 .. 20)
	{
		$session[$_]->send_query($case[$_][1]) for 0 .. $#case;
		my @got = map { my $r = $_->finish; $r->{error} ? $r->{error}{message} : $r->{rows}[0][0] } @session;
		is_deeply(\@got, [ map { $_->[2] } @case ], "all at once, round $round") or last;
	}
	$_->close for @session;
}

# nothing of that was left there
{
	my $client = through('near', 'app');
	is($client->value($look), $untouched{near}, 'another client of the pooler finds what it found before');
	is($client->value('SELECT current_user'), 'app', '... is who it is');
	is($client->value('SELECT count(*) FROM pg_prepared_statements'), 0, '... and nothing prepared');
	is($client->value('SELECT count(*) FROM pg_listening_channels()'), 0, '... no channels');
	$client->close;
}

# ways to send a query
{
	my $session = routed_session();
	for (1 .. 4)
	{
		is($session->execute('SELECT v FROM many WHERE i = $1', $_)->{rows}[0][0], "v $_", "a parameter ($_)");
		is(place($session), 'routed', '... at the replica');
	}
	$session->prepare('p', 'SELECT v FROM many WHERE i = $1');
	is($session->run('p', $_)->{rows}[0][0], "v $_", "a prepared statement ($_)") for 1 .. 7;
	is(place($session), 'routed', '... at the replica');
	is(scalar @{ $session->query('SELECT * FROM many')->{rows} }, 20000, 'many rows');
	is(place($session), 'routed', '... from the replica');
	is($session->error('SELECT 1 / (i - 1) FROM one')->{code}, '22012', 'an error');
	is($session->value('SELECT count(*) FROM many'), 20000, '... and on it goes');
	$session->do('BEGIN');
	is($session->value('SELECT count(*) FROM many'), 20000, 'in a transaction');
	is(place($session), 'routed', '... at the replica');
	$session->do('COMMIT');
	$session->close;
}

# --- what a session has written and seen --------------------------------

# own writes, with another session's reads in between on the same session there
{
	my @session = map { routed_session() } 1 .. 2;
	my ($missed, $routed) = (0, 0);
	foreach my $i (1 .. 100)
	{
		foreach my $s (0, 1)
		{
			$session[$s]->do('INSERT INTO pairs VALUES ($1)' =~ s/\$1/$i * 2 + $s/er);
			$missed++ unless $session[$s]->value('SELECT count(*) FROM pairs WHERE i = ' . ($i * 2 + $s)) == 1;
			$routed++ if place($session[$s]) eq 'routed';
		}
	}
	is($missed, 0, '200 writes: each is seen by the next read');
	cmp_ok($routed, '>', 150, '... most of them at the replica');
	$_->close for @session;
}

# the position that a read has shown, though the session there told another one
{
	my @session = map { routed_session() } 1 .. 2;
	$_->do("SET consistency = 'eventual'") for @session;
	my $replayed;
	# the first session is told a position, the second one the next, which the
	# first has to learn of as well
	foreach my $i (0, 1, 0)
	{
		my $session = $session[$i];
		if (!defined $replayed || $i == 1)
		{
			$dba->do('INSERT INTO pairs VALUES (0)');
			$cluster->wait_replayed;
			$replayed = lsn_of($near->safe_psql('postgres', q{SELECT '1:1:' || pg_last_wal_replay_lsn()}));
		}
		$session->do('RESET consistency.token');
		$session->do('SELECT count(*) FROM pairs');
		my $token = $session->parameter('consistency.token');
		is(place($session), 'routed', "session $i reads at the replica");
		cmp_ok(lsn_of($token), '>=', $replayed, '... and knows what it has seen');
	}
	$_->close for @session;
}

# --- roles' own defaults ------------------------------------------------

# an isolation that replicas don't know
{
	$dba->do(q{ALTER ROLE app SET default_transaction_isolation = 'serializable'});
	$cluster->wait_replayed;
	$cluster->sql('near', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'});
	my $session = $cluster->connect('primary');
	$session->do(q{SET default_transaction_isolation = 'read committed'});
	$session->do("SET consistency.routing = 'always'");
	wait_until(
		sub { $session->do('SELECT count(*) FROM one'); return place($session) eq 'routed'; },
		'a role that is serializable by default: reads are routed');
	is($session->value('SELECT count(*) FROM one'), 1, 'a role that is serializable by default: answered');
	is(place($session), 'routed', '... by the replica') or diag explain $session->{last};
	$session->close;
	$dba->do('ALTER ROLE app RESET default_transaction_isolation');
}

# --- from a replica to the primary --------------------------------------

{
	my @session = map { $cluster->connect('near') } 1 .. 3;
	foreach my $i (0 .. 2)
	{
		$session[$i]->do("SET client_min_messages = 'error'");
		$session[$i]->do("SET consistency = 'linearizable'");
		$session[$i]->do("SET app.tenant = '" . ('a', 'b', '')[$i] . "'");
	}
	foreach my $round (1 .. 5)
	{
		$dba->do("INSERT INTO one VALUES ($round)");
		foreach my $i (0 .. 2)
		{
			is($session[$i]->value('SELECT count(*) FROM one'), 1 + $round, "linearizable at the replica, round $round: fresh");
			is(place($session[$i]), 'forwarded', '... from the primary');
			is($session[$i]->value('SELECT v FROM secret'), (1, 2, 5)[$i], '... under the session\'s settings');
		}
	}
	$dba->do('DELETE FROM one WHERE ctid > $$(0,1)$$');
	my $client = through('primary', 'app');
	is($client->value($look), $untouched{primary}, 'nothing is left at the primary either');
	$client->close;
	$_->close for @session;
}

# writes, by sessions that take turns
{
	my @session = map { $cluster->connect('near') } 0 .. 2;
	my @tenant = ('a', 'b', '');
	$dba->do($_) for 'CREATE TABLE written (k int, who text DEFAULT current_user, tenant text DEFAULT current_setting($$app.tenant$$, true))',
	  'GRANT ALL ON written TO app, other';
	$cluster->wait_replayed;
	$session[$_]->do("SET app.tenant = '$tenant[$_]'") for 0 .. 2;
	$session[2]->do('SET ROLE other');
	my $missed = 0;
	foreach my $k (1 .. 30)
	{
		foreach my $i (0 .. 2)
		{
			my $n = $k * 3 + $i;
			$session[$i]->do("INSERT INTO written (k) VALUES ($n)");
			my $seen = $session[$i]->text("SELECT who || tenant FROM written WHERE k = $n");
			$missed++ unless $seen eq ($i == 2 ? 'other' : 'app') . $tenant[$i];
		}
	}
	is($missed, 0, 'writes at a replica, through the pooler: each is seen at once, with its settings');

	# a transaction with savepoints, while others go on
	my ($one, $two) = @session;
	stop_pooler('primary');
	start_pooler('primary', 2);
	wait_until(sub { $one->query('DELETE FROM written')->{error} ? 0 : 1 }, 'writes go on behind a new pooler', 30);
	$one->do($_) for 'BEGIN', 'INSERT INTO written (k) VALUES (1)', 'SAVEPOINT s', 'SET app.tenant = $$z$$', 'SET ROLE other',
	  'INSERT INTO written (k) VALUES (2)', 'ROLLBACK TO s', 'INSERT INTO written (k) VALUES (3)';
	$two->do('INSERT INTO written (k) VALUES (4)');
	is($one->text('SELECT k || who || tenant FROM written ORDER BY k'), "1appa\n3appa\n4appb", 'a transaction through the pooler');
	$one->do('COMMIT');
	is($one->text('SELECT k || who || tenant FROM written ORDER BY k'), "1appa\n3appa\n4appb", '... is committed');
	$one->do($_) for 'BEGIN', 'DELETE FROM written', 'ROLLBACK';
	is($one->value('SELECT count(*) FROM written'), 3, '... or rolled back');
	is($one->error('INSERT INTO written (k) VALUES (1 / 0)')->{code}, '22012', 'an error');
	$one->do($_) for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'UPDATE written SET k = k + 10', 'COMMIT';
	is($one->value('SELECT min(k) FROM written'), 11, 'repeatable read');
	my $client = through('primary', 'app');
	is($client->value($look), $untouched{primary}, 'nothing is left at the primary');
	$client->close;
	$_->close for @session;
}

# --- the pooler fails ---------------------------------------------------

{
	my $session = routed_session();
	stop_pooler('near');
	is($session->value('SELECT i FROM one'), 1, 'the pooler is gone: the primary answers');
	isnt(place($session), 'routed', '... itself');
	start_pooler('near');
	wait_until(
		sub { $session->do('SELECT i FROM one'); return place($session) eq 'routed'; },
		'the pooler is back: reads are routed again');
	pass('the pooler is back');
	$session->close;
}

stop_pooler($_) for keys %pooler;
$cluster->node($_)->stop for qw(near primary);
done_testing();
