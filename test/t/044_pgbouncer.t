# Clients behind pgbouncer in transaction mode: whose token each gets, what the
# client has to do for that, and that it then reads what it wrote.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ConsistencyCluster;
use PgBouncer;
use PostgreSQL::Test::Utils;
use RealClients;
use Test::More;

# late enough that a read right behind a write misses it, if nothing is done
my $cluster = ConsistencyCluster->new(
	replicas => [ { name => 'near', delay => '20ms' } ],
	primary_conf => "log_disconnections = on");
my $endpoint = endpoint();
my $dba = $cluster->connect('primary', user => $cluster->superuser);
my $app = $cluster->connect('primary');

# --- helpers ------------------------------------------------------------

sub pooler
{
	my (%settings) = @_;
	return PgBouncer->new(
		nodes => { map { $_ => $cluster->node($_) } $cluster->names },
		user => 'app',
		password => $cluster->password_of('app'),
		settings => { default_pool_size => 1, %settings });
}

# What a client was last told.
sub token { my ($client) = @_; return $client->parameter('consistency.token') // ''; }
sub told { my ($client) = @_; return token($client) eq '' ? 0 : lsn_of(token($client)); }

# The statement that gives a client's own token to the server connection that it
# got, and takes from that what it knew.
sub carry
{
	my ($client, $local) = @_;
	my $set = $local ? 'SET LOCAL' : 'SET';
	return "$set consistency.token = ''; $set consistency.token = '" . token($client) . "'; ";
}

# The position of a commit made just now by somebody else.
sub commit_elsewhere
{
	$dba->do('INSERT INTO own VALUES (-1, 0) ON CONFLICT (id) DO UPDATE SET n = own.n + 1');
	return lsn_of($dba->value('SELECT consistency.token()'));
}

$app->do('CREATE TABLE own (id int PRIMARY KEY, n int NOT NULL)');
$app->do('INSERT INTO own SELECT i, 0 FROM generate_series(1, 100) i');
$cluster->wait_replayed;

# --- what works by itself -------------------------------------------------

# two clients of one server connection
{
	my $pooler = pooler();
	my ($ann, $bob) = map { $pooler->connect($endpoint) } 1 .. 2;
	is(token($ann), '', 'a new client has an empty token');
	is($pooler->connect($endpoint)->value('SELECT pg_is_in_recovery()'),
		at_replica() ? 't' : 'f', 'where it should be');

	my $result = $ann->do('UPDATE own SET n = n + 1 WHERE id = 1');
	like($result->{wire}, qr/SZ$/, 'told with the answer of a write');
	my $anns = told($ann);
	cmp_ok($anns, '>', 0, '... where it is');
	is(token($bob), '', 'who wrote nothing is told nothing');

	$result = $bob->execute('UPDATE own SET n = n + 1 WHERE id = $1', 2);
	is($result->{error}, undef, 'extended protocol');
	like($result->{wire}, qr/SZ$/, '... told with the answer');
	cmp_ok(told($bob), '>', $anns, '... and of the own write');
	is(told($ann), $anns, 'the other keeps its own');

	$bob->do('BEGIN');
	$bob->do('UPDATE own SET n = n + 1 WHERE id = 2');
	my $before = told($bob);
	$result = $bob->do('COMMIT');
	is($result->{wire}, 'CSZ', 'told with COMMIT');
	cmp_ok(told($bob), '>', $before, '... and moved');
	my $late = $pooler->connect($endpoint);
	is(token($late), '', 'a later client has an empty token, too');
	$bob->do('BEGIN');
	$bob->do('UPDATE own SET n = n + 1 WHERE id = 2');
	$bob->do('ROLLBACK');
	is(told($ann), $anns, 'the other still keeps its own');
	my ($connections) = $cluster->sql($endpoint,
		q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name !~ 'consistency'
			AND client_port IS NOT NULL AND pid <> } . $app->pid);
	is($connections, 1, 'all of this was one server connection');
}

# --- what stays in the server connection ------------------------------------

# nothing is reset between transactions, unless pgbouncer is told to
{
	my $pooler = pooler(server_reset_query => 'DISCARD ALL');
	my ($ann, $bob) = map { $pooler->connect($endpoint) } 1 .. 2;
	$ann->do('UPDATE own SET n = n + 1 WHERE id = 1');
	is($bob->value('SHOW consistency.token'), token($ann),
		'server_reset_query alone: the next client waits for what the one before has seen');
	my $result = $bob->do('SELECT n FROM own WHERE id = 1');
	is($result->{wire}, 'TDCZ', '... and its read tells it nothing, as the one before knows it');
	is(token($bob), '', '... so that it has no token');

	# who brings its token along is told all that it now relies on
	$result = $bob->do(q{SET consistency.token = ''; SELECT n FROM own WHERE id = 1});
	cmp_ok(told($bob), '>=', told($ann), 'who sets its token, be it none, is told what it reads');
	my $anns = token($ann);
	$result = $bob->do("SET consistency.token = '" . token($bob) . "'; SELECT n FROM own WHERE id = 1");
	like($result->{wire}, qr/SZ$/, '... each time');
	is(token($ann), $anns, '... and nobody else');

	# an own token in front doesn't take away what is there; clearing it before does
	my $old = token($bob);
	$ann->do('UPDATE own SET n = n + 1 WHERE id = 1');
	$bob->do("SET consistency.token = '$old'");
	is(token($bob), token($ann), 'an own token is added to what the server connection knows');
	$ann->do('UPDATE own SET n = n + 1 WHERE id = 1');
	$bob->do("SET consistency.token = ''; SET consistency.token = '$old'");
	is(token($bob), $old, '... clearing it before leaves the own one alone');

	# other settings are left behind as well
	$ann->do(q{SET consistency = 'eventual'});
	is($bob->value('SHOW consistency'), 'eventual', "one client's SET is the next one's level");
	$ann->do(q{RESET consistency});
	$ann->do(q{BEGIN; SET LOCAL consistency = 'eventual'; COMMIT});
	is($bob->value('SHOW consistency'), 'session', '... and SET LOCAL is not');
}

foreach my $reset ('RESET consistency.token', 'DISCARD ALL')
{
	my $pooler = pooler(server_reset_query => $reset, server_reset_query_always => 1);
	my ($ann, $bob) = map { $pooler->connect($endpoint) } 1 .. 2;
	my $what = "server_reset_query_always, $reset";
	$ann->do('UPDATE own SET n = n + 1 WHERE id = 1');
	my $anns = told($ann);
	cmp_ok($anns, '>', 0, "$what: told");
	is($bob->value('SHOW consistency.token'), '', "$what: the next client starts afresh");
	is(told($ann), $anns, "$what: the reset is told to nobody");
	$bob->do('SELECT n FROM own WHERE id = 1');
	# a replica may not have replayed it yet: nobody asked
	cmp_ok(told($bob), '>', 0, "$what: the next client is told of its own reads");
	$bob->do(carry($bob) . 'SELECT n FROM own WHERE id = 1');
	is(told($ann), $anns, "$what: ... alone");
	$ann->do(q{SET consistency = 'eventual'});
	is($bob->value('SHOW consistency'), $reset eq 'DISCARD ALL' ? 'session' : 'eventual',
		"$what: and settings");
}

# --- ways to hand a token in ---------------------------------------------------

{
	my $pooler = pooler(default_pool_size => 2);
	my $theirs = commit_elsewhere();
	my $there = '' . $dba->value('SELECT consistency.token()');
	foreach my $startup ({ 'consistency.token' => $there }, { options => "-c consistency.token=$there" })
	{
		my ($name) = keys %$startup;
		eval { $pooler->connect($endpoint, startup => $startup) };
		like($@, qr/unsupported startup parameter.*: (\Q$name\E|consistency\.token)/, "$name in the startup packet is refused");
	}
	my $ignoring = pooler(ignore_startup_parameters => 'options,consistency.token');
	my $client = $ignoring->connect($endpoint, startup => { 'consistency.token' => $there });
	is($client->value('SHOW consistency.token'), '', '... or ignored, if pgbouncer is told so');
	$ignoring->stop;

	# paused: a read that needs more waits in vain
	$cluster->pause('near');
	my $needed = commit_elsewhere();
	my $token = $dba->value('SELECT consistency.token()');
	my ($ann, $bob) = map { $pooler->connect('near') } 1 .. 2;
	my $strict = q{SET LOCAL consistency.wait_timeout = '100ms'; SET LOCAL consistency.on_timeout = 'error'; };
	my $read = 'SELECT n FROM own WHERE id = -1';
	my %way = (
		'SET LOCAL in the transaction' => sub {
			$ann->do("BEGIN; $strict");
			$ann->do("SET LOCAL consistency.token = '$token'");
			return $ann->query($read);
		},
		'SET in the transaction' => sub {
			$ann->do("BEGIN; $strict");
			$ann->do("SET consistency.token = '$token'");
			return $ann->query($read);
		},
		'SET in the same message' => sub {
			return scalar $ann->query("BEGIN; $strict SET consistency.token = '$token'; $read");
		},
		'set_config() in the transaction' => sub {
			$ann->do("BEGIN; $strict");
			$ann->do("SELECT set_config('consistency.token', '$token', true)");
			return $ann->query($read);
		});
	foreach my $name (sort keys %way)
	{
		my $result = $way{$name}->();
		is($result->{error} && $result->{error}{code}, 'YC001', "$name: the read behind it waits");
		$ann->do('ROLLBACK');
		$ann->do('RESET consistency.token');
	}
	# alone it goes to any server connection: here to that which the read doesn't get
	$ann->do(q{SET consistency.wait_timeout = '100ms'});
	$ann->do("SET consistency.token = '$token'");
	$bob->do('RESET consistency.token; RESET consistency.wait_timeout');
	$bob->do('BEGIN');
	my $first = $bob->value('SELECT pg_backend_pid()');
	$ann->do("BEGIN; $strict");
	isnt($ann->value('SELECT pg_backend_pid()'), $first, 'another server connection');
	my $result = $ann->query($read);
	is($result->{error}, undef, 'SET in a transaction of its own: the read does not wait');
	$ann->do('ROLLBACK');
	$bob->do('ROLLBACK');
	$cluster->resume('near');
}

# --- many clients, few server connections ---------------------------------------

# Clients that write their own row at one node and read it at another at once,
# each as the given function makes the statement of it.  Returns the number of
# reads that missed the write, and of tokens that went backwards.
sub hammer
{
	my ($pooler, $rounds, $read) = @_;
	my @writers = map { $pooler->connect($endpoint) } 1 .. 12;
	my @readers = at_replica() ? @writers : map { $pooler->connect('near') } 1 .. 12;
	my ($misses, $backwards) = (0, 0);
	my $write = sub { my ($i) = @_; return "UPDATE own SET n = n + 1 WHERE id = $i + 20 RETURNING n"; };

	foreach my $round (1 .. $rounds)
	{
		my @wrote;
		my @before = map { told($_) } @writers;
		$writers[$_]->send_query($write->($_)) for 0 .. $#writers;
		$wrote[$_] = ($writers[$_]->finish)[0]{rows}[0][0] for 0 .. $#writers;
		$backwards += told($writers[$_]) <= $before[$_] for 0 .. $#writers;
		$readers[$_]->send_query($read->($writers[$_], "SELECT n FROM own WHERE id = $_ + 20"))
		  for 0 .. $#readers;
		foreach my $i (0 .. $#readers)
		{
			my ($answer) = grep { $_->{error} || @{ $_->{rows} } } $readers[$i]->finish;
			die $answer->{error}{message} if $answer->{error};
			$misses += $answer->{rows}[0][0] != $wrote[$i];
		}
	}
	return ($misses, $backwards);
}

my $set = sub {
	my ($client, $read) = @_;
	return "SET consistency.token = '" . token($client) . "'; $read";
};
my $set_local = sub {
	my ($client, $read) = @_;
	return "BEGIN; SET LOCAL consistency.token = '" . token($client) . "'; $read; COMMIT";
};
my $clear_and_set = sub { my ($client, $read) = @_; return carry($client) . $read; };
my $nothing = sub { my ($client, $read) = @_; return $read; };
my @always = (server_reset_query => 'RESET consistency.token', server_reset_query_always => 1);

foreach my $case (
	[ 'SET in front', $set ],
	[ 'SET LOCAL in front', $set_local ],
	[ 'cleared and set in front', $clear_and_set ],
	[ 'SET in front, reset after each', $set, @always ])
{
	my ($what, $read, @settings) = @$case;
	my $pooler = pooler(default_pool_size => 3, @settings);
	my ($misses, $backwards) = hammer($pooler, 40, $read);
	is($misses, 0, "$what: no read misses the client's own write");
	is($backwards, 0, "$what: each write moves the client's token");
}
{
	my $pooler = pooler(default_pool_size => 3, @always);
	my ($misses) = hammer($pooler, 10, $nothing);
	cmp_ok($misses, '>', 0, 'who hands in no token misses own writes');
}

SKIP:
{
	my ($version) = PgBouncer->version =~ /^(\d+\.\d+)/;
	skip "pgbouncer $version cannot carry the token", 2
	  if eval "v$version lt v1.20";
	my $pooler = pooler(default_pool_size => 3, track_extra_parameters => 'consistency.token');
	my ($misses, $backwards) = hammer($pooler, 40, $nothing);
	is($misses, 0, 'carried by the pooler: no read misses the own write');
	is($backwards, 0, '... and each write moves the token');
}

# Reads of one client here and there never go backwards, while others write by
# the same server connections.
sub goes_backwards
{
	my ($pooler, $read) = @_;
	my $writer = $pooler->connect('primary');
	my %reader = map { $_ => $pooler->connect($_) } ('primary', 'near');
	my ($token, $last, $count) = ('', 0, 0);
	foreach my $round (1 .. 60)
	{
		$writer->do('UPDATE own SET n = n + 1 WHERE id = 3');
		foreach my $where ('primary', 'near')
		{
			my ($answer) = grep { @{ $_->{rows} } }
			  $reader{$where}->query($read->($token, 'SELECT n FROM own WHERE id = 3'));
			$count++ if $answer->{rows}[0][0] < $last;
			$last = $answer->{rows}[0][0];
			$token = token($reader{$where});
		}
	}
	return $count;
}

my $carry = sub { my ($token, $read) = @_; return "SET consistency.token = '$token'; $read"; };
is(goes_backwards(pooler(), $carry), 0, 'reads of a client that hands in its token never go backwards');
is(goes_backwards(pooler(@always), $carry), 0, '... with a reset after each transaction neither');
cmp_ok(goes_backwards(pooler(@always), sub { return $_[1]; }),
	'>', 0, '... without its token they do');

done_testing();
