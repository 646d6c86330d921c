# The checkers that judge recorded histories (test/model), judged themselves.
#
# A checker that always says yes fails here: the cases in test/model/cases are
# short histories, valid and invalid, most of them well known, and each invalid
# one must be caught by the names given for it, and by no others.  Then random
# ones: what a model cluster (Simulate.pm) can show is never blamed, and what it
# can't is caught.  No server is needed.
#
# CONSISTENCY_TEST_SEED says with which seed to begin, CONSISTENCY_TEST_RUNS how
# many seeds there are.

use strict;
use warnings FATAL => 'all';

use File::Temp;
use FindBin;
use lib "$FindBin::RealBin/../model";

use Check;
use Export;
use History;
use JSON::PP;
use Simulate;
use Sketch;
use Test::More;

my $seed = $ENV{CONSISTENCY_TEST_SEED} // 1;
my $runs = $ENV{CONSISTENCY_TEST_RUNS} || 60;

sub names { my ($anomalies) = @_; my %name = map { $_->{name} => 1 } @$anomalies; return join ' ', sort keys %name; }

sub slurp
{
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

# --- cases by hand --------------------------------------------------------

foreach my $file (sort glob "$FindBin::RealBin/../model/cases/*.txt")
{
	my ($checker) = $file =~ m{(\w+)\.txt$};
	my %count = (valid => 0, invalid => 0);
	my (undef, @cases) = split /^== /m, slurp($file);
	foreach my $case (@cases)
	{
		my ($title, $names, $sketch) = $case =~ /\A([^\n]*) -> ([^\n]*)\n(.*)/s or die "$file: $case";
		my $options = $sketch =~ s/^options: (.*)\n// ? decode_json($1) : {};
		my ($anomalies, $judged) = eval { Check::checker($checker)->(sketch($sketch), $options) };
		die "$file: $title: $@" if $@;
		my $expected = $names eq 'fine' ? '' : join ' ', sort split / /, $names;
		is(names($anomalies), $expected, "$checker: $title") or diag map { Check::text($_) . "\n" } @$anomalies;
		$count{ $names eq 'fine' ? 'valid' : 'invalid' }++;
	}
	cmp_ok($count{$_}, '>=', 5, "$checker: $_ cases") for sort keys %count;
}

# --- what an anomaly says ---------------------------------------------------

{
	my $history = sketch("s * w:x:0\na w:x:1\na r:x:0\nb w:y:0\n");
	my ($anomalies, $judged) = Check::judge($history, level => 'session');
	is(join(' ', map { $_->{index} } @{ $anomalies->[0]{operations} }), '1 2', 'an anomaly names the operations involved');
	like(Check::text($anomalies->[0]), qr/^read-your-writes: .*version 0.*version 1.*\n.*#1 \(a\/1.*w x 1\)\n.*#2/s, '... and says it in words');
	is($judged->{Sessions}, 1, 'how much was judged is told');
	is($anomalies->[0]{checker}, 'Sessions', '... and by which checker');

	$history = sketch("s * w:x:0\na w:x:1\n" . "a r:x:0\n" x 50);
	my @found = grep { $_->{name} eq 'read-your-writes' } @{ Check::judge($history, level => 'session', limit => 3) };
	is(scalar @found, 3, 'the limit is kept');
	is($found[-1]{more}, 47, '... and what is beyond it is counted');
	like(Check::text($found[-1]), qr/and 47 more/, '... and told');
	eval { Check::judge(sketch("a w:x:1\nb w:x:1\n"), level => 'session') };
	like($@, qr/"1" is written to key "x" more than once/, 'what can not be judged is no yes');
	eval { Check::judge(sketch("a w:x:one\nb r:x:one\n"), level => 'session') };
	like($@, qr/"one", of key "x", has no version/, '... nor is a register without versions');
	is(names(Check::checker('Sessions')->(sketch("a w:x:one\na r:x:two\nb w:x:two\n"), { versions => { x => [qw(two one)] } })),
		'monotonic-writes read-your-writes' =~ s/monotonic-writes //r, '... unless they are given');
	my ($two) = Check::checker('Linearizable')->(sketch("s * w:x:0 w:y:0\na w:x:1\na w:y:1\nb r:x:0\nb r:y:0"));
	is(scalar @$two, 2, 'keys that only the set-up touches together are judged one by one');
	foreach my $level (@History::levels)
	{
		my $fork = sketch("s 1-2 * w:x:0 w:y:0\na 10-20 w:x:1\nb 10-20 w:y:1\nc 30-40 r:x:1 r:y:0 ~5\nd 30-40 r:x:0 r:y:1 ~5");
		my $guilty = names(Check::judge($fork, level => $level));
		my %expected = (weak => qr/^$/, session => qr/^$/, bounded => qr/^too-stale$/, linearizable => qr/long-fork not-linearizable/);
		like($guilty, $expected{$level} // qr/^long-fork$/, "level $level and the long fork");
	}
}

# --- the format -----------------------------------------------------------

{
	my $dir = File::Temp->newdir;
	my $history = simulate(seed => $seed, kind => 'register', level => 'causal', unknown => 0.2);
	$history->write("$dir/all");
	my $again = History->read("$dir/all");
	is($again->text, $history->text, 'written and read: the same');
	is($again->about->{level}, 'causal', '... with what is said about it');
	foreach my $n (0, 1)
	{
		open my $part, '>', "$dir/part$n" or die $!;
		print $part map { History::line(%$_) } grep { $_->{index} % 2 == $n } reverse $history->operations;
		close $part or die $!;
	}
	is_deeply([ History->read("$dir/part0", "$dir/part1")->operations ], [ $history->operations ], 'the files of several clients are one history');

	my %op = (process => 1, session => 1, node => 'n', level => 'causal', invoked => 5, completed => undef, outcome => 'unknown',
		ops => [ [ 'w', 'x', 1 ] ], id => 'first');
	my $both = History->parse(History::line(%op) . History::line(%op, completed => 9, outcome => 'ok'));
	is(join(' ', map { $_->{outcome} } $both->operations), 'ok', 'written down before and after: one operation');

	my %wrong = (
		'"node" is missing' => { node => 'DELETE' },
		'"levle" is unknown' => { levle => 1 },
		'"level" is not a level' => { level => 'strict' },
		'"invoked" is not nanoseconds' => { invoked => 'now' },
		'"outcome" is not ok, failed or unknown' => { outcome => 'maybe' },
		'"completed" must be null' => { completed => 7 },
		'"completed" is null, but' => { outcome => 'failed' },
		'"completed" is before' => { outcome => 'ok', completed => 1 },
		'"ops" is not a list' => { ops => [] },
		'is not [f, key, value]' => { ops => ['w'] },
		'"delete" is no function' => { ops => [ [ 'delete', 'x' ] ] },
		'"w x" has no value' => { ops => [ [ 'w', 'x' ] ] },
		'what "r x" has read is missing' => { outcome => 'ok', completed => 9, ops => [ [ 'r', 'x' ] ] },
		'neither a value nor a list' => { ops => [ [ 'r', 'x', { a => 1 } ] ] },
		'"cas x" has no [old, new]' => { ops => [ [ 'cas', 'x', 1 ] ] },
		'is not by an integer' => { ops => [ [ 'inc', 'x', 'much' ] ] },
		'"w x" doesn\'t know its version' => { outcome => 'ok', completed => 9, ops => [ [ 'w', 'x', '?:7' ] ] });
	foreach my $error (sort keys %wrong)
	{
		my %bad = (%op, %{ $wrong{$error} });
		delete $bad{$_} for grep { !ref $bad{$_} && ($bad{$_} // '') eq 'DELETE' } keys %bad;
		eval { History->parse("\n" . encode_json(\%bad)) };
		like($@, qr/^not a history:\nline 2: .*\Q$error\E/s, "refused: $error");
	}
	foreach my $case (
		[ 'not a JSON object', '{"process"' ],
		[ 'was not done with', "a 10-30 w:x:1\na 20-40 w:x:2" ],
		[ 'goes back to a session', "a1 w:x:1\na2 w:x:2\na1 w:x:3" ],
		[ 'is a register and a list', "a w:x:1\nb a:x:2" ],
		[ 'but one value was read', "a a:x:1\nb r:x:1" ],
		[ 'was never sent', 'a w:x:1 <m' ],
		[ 'was sent twice', "a w:x:1 >m\nb w:x:2 >m" ],
		[ 'was received before it was sent', "a 1-2 w:x:1 <m\nb 3-4 w:x:2 >m" ])
	{
		eval { $case->[1] =~ /^\{/ ? History->parse($case->[1]) : sketch($case->[1]) };
		like($@, qr/^not a history:.*\Q$case->[0]\E/s, "refused: $case->[0]");
	}
	my $tagged = sketch("a 1-? w:x:?:a1\nb 2-? w:x:?:b1\nc 5-6 r:x:4:a1");
	is(join(' ', map { $_->{ops}[0][2] } $tagged->operations), '4:a1 ?:b1 4:a1', 'a version that the writer never heard of is found');
}

# --- the forms of others ----------------------------------------------------

is(elle(sketch("a 1-4 a:x:1 r:y:[]\nb 2-? a:y:2\nb 5-6 r:y:[2] r:x:-\nc 7!8 r:z:[a,b]")), <<'EDN', 'EDN for Elle');
{:index 0, :time 1, :type :invoke, :process 0, :f :txn, :value [[:append "x" 1] [:r "y" nil]]}
{:index 1, :time 2, :type :invoke, :process 1, :f :txn, :value [[:append "y" 2]]}
{:index 2, :time 4, :type :ok, :process 0, :f :txn, :value [[:append "x" 1] [:r "y" []]]}
{:index 3, :time 5, :type :invoke, :process 2, :f :txn, :value [[:r "y" nil] [:r "x" nil]]}
{:index 4, :time 6, :type :ok, :process 2, :f :txn, :value [[:r "y" [2]] [:r "x" nil]]}
{:index 5, :time 7, :type :invoke, :process 3, :f :txn, :value [[:r "z" nil]]}
{:index 6, :time 8, :type :fail, :process 3, :f :txn, :value [[:r "z" nil]]}
{:index 7, :time 8, :type :info, :process 1, :f :txn, :value [[:append "y" 2]]}
EDN
is(elle(sketch('a 1-4 w:x:1 r:y:q"')), <<'EDN', '... of registers');
{:index 0, :time 1, :type :invoke, :process 0, :f :txn, :value [[:w "x" 1] [:r "y" nil]]}
{:index 1, :time 4, :type :ok, :process 0, :f :txn, :value [[:w "x" 1] [:r "y" "q\""]]}
EDN
is(porcupine(sketch("a 1-4 w:x:1\nb 2-? w:x:2\nb 3-5 r:x:-\nc 4-9 c:x:1>2\nd 4!9 w:x:3\ne 4-9 w:y:3\nc 9-11 c:x:7/8\nf 12-13 r:x:2"), 'x') =~ s/^INFO  jepsen.util - //gmr,
	<<"LOG", 'a log for Porcupine');
0\t:invoke\t:write\t1
1\t:invoke\t:write\t2
2\t:invoke\t:read\tnil
3\t:invoke\t:cas\t[1 2]
0\t:ok\t:write\t1
2\t:ok\t:read\tnil
3\t:ok\t:cas\t[1 2]
3\t:invoke\t:cas\t[7 8]
3\t:fail\t:cas\t[7 8]
4\t:invoke\t:read\tnil
4\t:ok\t:read\t2
1\t:info\t:write\t:timed-out
LOG

is(elle(sketch("a1 1-2 a:x:1\na2 3-4 r:x:[1]")) =~ s/.*:type (:\w+), (:process \d).*/$1 $2/gr, <<'TEXT', 'a new session is a new process to Elle');
:invoke :process 0
:ok :process 0
:invoke :process 1
:ok :process 1
TEXT
{
	my $registers = sketch("s 1-2 * w:x:0 w:y:0:set\na 10-20 w:x:2:b r:y:0:set\nb 10-? w:x:1:a\nb 12-? w:x:3:c\nc 30-40 r:x:1:a\nc 50-60 r:x:3:c r:z:-\nd 5!6 w:y:1:f");
	my @text = map { History::describe($_) =~ s/.*: (.*)\)/$1/r } lists($registers)->operations;
	is_deeply(\@text,
		[ 'append x 0 append y 0:set', 'append y 1:f', 'append x 2:b r y [0:set]', 'append x 1:a', 'append x 3:c', 'r x [0,1:a]', 'r x [0,1:a,2:b,3:c] r z null' ],
		'registers with versions, as lists');
	@text = map { History::describe($_) =~ s/.*: (.*)\)/$1/r } lists(sketch("a 1-? w:x:?:b w:y:1:b w:z:1:b\nb 1-? w:x:?:d\nc 5-6 r:y:1:b\nd 7-8 w:z:2:e\nd 9-10 r:z:2:e"))->operations;
	is_deeply(\@text, [ 'append y 1:b append z 1:b', 'r y [1:b]', 'append z 2:e', 'r z [1:b,2:e]' ], '... but those that have no place in it');
	my @two = map { $_->{ops}[0][2] } lists(sketch("a w:x:1:a\nb w:x:1:b\nc r:x:1:a\nd r:x:1:b"))->operations;
	is_deeply([ @two[ 2, 3 ] ], [ ['1:a'], ['1:b'] ], '... of two values of one version neither has seen the other');
	eval { lists(sketch("a w:x:one\nb r:x:one")) };
	like($@, qr/"one" has no version/, '... but not without versions');
	# what a list shows, a register with versions shows as well
	my $same = 0;
	foreach my $n ($seed .. $seed + 9)
	{
		my $history = simulate(seed => $n, kind => 'register', level => 'causal', unknown => 0.1, break => $n % 2 ? 'fork' : '');
		$same++ if names(Check::judge($history, checkers => ['Prefix'])) eq names(Check::judge(lists($history), checkers => ['Prefix']));
	}
	is($same, 10, '... are judged alike');
}
{
	my $log = "s 1-2 * w:x:0 w:y:7\na 3-4 w:x:1\nb 5-6 r:y:7\nc 7!8 w:x:3 w:y:3\n";
	is(porcupine(sketch($log), 'x') =~ s/^INFO  jepsen.util - //gmr, <<"LOG", 'a set-up of several registers is a write of each');
0\t:invoke\t:write\t0
0\t:ok\t:write\t0
1\t:invoke\t:write\t1
1\t:ok\t:write\t1
LOG
	is(join(' ', registers(sketch($log))), 'x y', '... and has a log');
	is(join(' ', registers(sketch("$log d r:x:1 r:y:7\nd a:l:1\nd r:z:-\ne c:v:->1"))), 'z', '... but not what is touched together, is a list, or compared with null');
	eval { porcupine(sketch("$log d r:x:1 r:y:7"), 'x') };
	like($@, qr/more than one register/, '... which is refused');
	is(porcupine(sketch("a w:x:1:b\nb r:x:1:b\nb c:x:1:b>007"), 'x') =~ s/^.*\t:(?:invoke|ok)\t//gmr,
		":write\t1\n:write\t1\n:read\tnil\n:read\t1\n:cas\t[1 2]\n:cas\t[1 2]\n", 'values that are no numbers are numbered');
}

# --- random histories -------------------------------------------------------

# What each level of the model cluster must pass.
my $ordered = [ 'Transactions', { model => 'snapshot-isolation', orders => ['session'] } ];
my %must_pass = (
	eventual => [ 'Prefix', 'Transactions' ],
	bounded => [ [ 'Staleness', { bound => 60 } ], 'Prefix' ],
	session => [ 'Sessions', [ 'Prefix', { sessions => 1 } ] ],
	causal => [ 'Sessions', 'Causal', $ordered ],
	sequential => [ 'Sessions', 'Causal', [ 'Prefix', { sessions => 1 } ], $ordered ],
	linearizable => [
		'Linearizable', 'Causal', 'Quorum', [ 'Prefix', { sessions => 1, realtime => 1 } ],
		[ 'Transactions', { orders => [ 'session', 'realtime' ] } ], [ 'Staleness', { bound => 0 } ] ]);
{
	my (%blamed, %judged);
	my $count = 0;
	foreach my $n ($seed .. $seed + $runs - 1)
	{
		foreach my $kind (qw(register list))
		{
			foreach my $level (sort keys %must_pass)
			{
				my $history = simulate(seed => $n, kind => $kind, level => $level, keys => 1 + $n % 5, size => 1 + $n % 4, unknown => 0.1);
				my ($anomalies, $counts) = Check::judge($history, checkers => $must_pass{$level});
				$blamed{"seed $n, $kind, $level: " . names($anomalies)} = 1 if @$anomalies;
				$judged{$_} += $counts->{$_} for keys %$counts;
				$count++;
			}
		}
	}
	is_deeply([ sort keys %blamed ], [], "none of $count random valid histories is blamed");
	cmp_ok($judged{$_}, '>', 20 * $runs, "... $_ has judged $judged{$_}") for sort keys %judged;
}

# What a cluster shows that breaks its promises, all histories together.
{
	my %caught;
	foreach my $n ($seed .. $seed + 9)
	{
		foreach my $break (qw(position fork))
		{
			my $history = simulate(seed => $n, kind => $n % 2 ? 'list' : 'register', level => 'causal', break => $break);
			foreach my $checker ('Sessions', 'Causal', 'Linearizable', [ 'Prefix', { sessions => 1 } ], $ordered)
			{
				my $anomalies = Check::judge($history, checkers => [$checker]);
				$caught{ (ref $checker ? $checker->[0] : $checker) . ", $break" }++ if @$anomalies;
			}
		}
	}
	cmp_ok($caught{$_} // 0, '>=', 8, "a broken cluster is caught: $_")
	  for map { my $c = $_; map { "$c, $_" } qw(position fork) } qw(Sessions Causal Linearizable Prefix Transactions);
}

# Valid histories in which one read was changed to what no order allows.

# Reads of acknowledged operations that show a value: [ op, micro ].
sub reads_of
{
	my ($history) = @_;
	my @reads;
	foreach my $op (grep { $_->{outcome} eq 'ok' } $history->operations)
	{
		push @reads, map { [ $op, $_ ] } grep { defined $_->[2] && (!ref $_->[2] || @{ $_->[2] }) } History::external_reads($op);
	}
	return @reads;
}

# Each returns the reads it can change, and how: sub ($micro).
my %corruption = (
	'a value of nobody' => sub { return (1, sub { my ($micro) = @_; $micro->[2] = ref $micro->[2] ? [ @{ $micro->[2] }, 99999 ] : '99999:99999'; }); },
	'the state before the set-up' => sub { return (1, sub { my ($micro) = @_; $micro->[2] = ref $micro->[2] ? [] : undef; }); });
my %must_catch = (
	'a value of nobody' => [ qw(Sessions Causal Linearizable Prefix Transactions Quorum), [ 'Staleness', { bound => 0 } ], 'LostWrites' ],
	'the state before the set-up' => [
		'Causal', 'Linearizable', 'Quorum', [ 'Prefix', { sessions => 1 } ],
		[ 'Staleness', { bound => 0 } ], [ 'Transactions', { orders => [ 'session', 'realtime' ] } ] ]);
foreach my $what (sort keys %corruption)
{
	my %missed;
	my $count = 0;
	foreach my $n ($seed .. $seed + $runs - 1)
	{
		my $history = simulate(seed => $n, kind => $n % 2 ? 'list' : 'register', level => 'linearizable', unknown => 0.1);
		my @reads = reads_of($history) or next;
		my ($ok, $change) = $corruption{$what}->();
		my ($op, $micro) = @{ $reads[ rand @reads ] };
		$change->($micro);
		foreach my $checker (@{ $must_catch{$what} })
		{
			my ($name, $options) = ref $checker ? @$checker : ($checker, {});
			$missed{"$name, seed $n"} = 1 unless @{ Check::judge($history, checkers => [$checker]) };
			$count++;
		}
	}
	is_deeply([ sort keys %missed ], [], "$what: caught each time ($count)");
}

# Elements of a list that change places, where another read shows both.
{
	my ($missed, $count) = (0, 0);
	foreach my $n ($seed .. $seed + $runs - 1)
	{
		my $history = simulate(seed => $n, kind => 'list', level => 'eventual', keys => 2);
		my %long;
		my @reads = grep { @{ $_->[1][2] } > 1 && $long{ $_->[1][1] }++ } reads_of($history) or next;
		my $list = $reads[ rand @reads ][1][2];
		@$list[ 0, 1 ] = @$list[ 1, 0 ];
		foreach my $checker (qw(Sessions Causal Prefix Transactions Staleness LostWrites))
		{
			$missed++ unless names(Check::judge($history, checkers => [$checker])) =~ /incompatible-order/;
			$count++;
		}
	}
	is($missed, 0, "elements of a list that change places: caught each time ($count)");
}

done_testing();
