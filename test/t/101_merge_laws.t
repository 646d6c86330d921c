# Random histories of three copies of a table: rows are changed at any of them, and
# their states are sent to the others late, twice or in another order.  Once all have
# got all, in whatever order, all have the same rows, versions and tombstones, and
# nothing that is sent again changes anything.
#
# All rules, deletions that win or lose, last writers of the row or of each column;
# copies have their columns in another order, dropped ones between them, or
# partitions; rows that were there before; nulls; values that are equal and not the
# same, such as 1.0 and 1.00; long ones.  CONSISTENCY_TEST_SEED begins elsewhere,
# CONSISTENCY_TEST_HISTORIES says how many there are of each kind.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CONSISTENCY_TEST_SEED} // 1;
my $histories = $ENV{CONSISTENCY_TEST_HISTORIES} // 25;
my $steps = 60;

my $node = PostgreSQL::Test::Cluster->new('laws');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'consistency'
fsync = off
log_min_messages = fatal
TimeZone = 'UTC'
CONF
$node->start;

# What the copies have in common, and how rows get from one to another.
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION consistency;
CREATE FUNCTION united(text[], text[]) RETURNS text[] IMMUTABLE LANGUAGE sql AS
$$ SELECT array_agg(DISTINCT x ORDER BY x) FROM unnest($1 || $2) x $$;
CREATE FUNCTION fails(text, text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;

CREATE TABLE sent (n serial PRIMARY KEY, target text, relation text, key text, names text[], texts text[], version row_version, image jsonb);

-- where a copy has the rows of a key: c3 is partitioned
CREATE FUNCTION place(copy text, id int) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT copy || CASE WHEN copy <> 'c3' THEN '.t' WHEN id < 3 THEN '.t_low' ELSE '.t_high' END $$;

-- the state of a key at a copy is on its way to another one
CREATE FUNCTION send(copy text, target text, h int, id int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	source text := place(copy, id);
	columns text[];
BEGIN
	SELECT array_agg(quote_ident(attname)) INTO columns FROM pg_attribute
	WHERE attrelid = source::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
	EXECUTE format('INSERT INTO sent (target, relation, names, texts) SELECT %L, %L, %L, ARRAY[%s] FROM %s WHERE h = %s AND id = %s',
		target, place(target, id), columns, array_to_string(columns, '::text, ') || '::text', source, h, id);
	INSERT INTO sent (target, relation, key, version, image)
	SELECT send.target, place(send.target, send.id), t.key, t.version, t.image FROM consistency.tombstones t
	WHERE t.relation = source AND t.key = format('["%s", "%s"]', h, send.id);
END $$;

-- it arrives; returns whether anything came of it
CREATE FUNCTION receive(message sent) RETURNS boolean LANGUAGE sql AS $$
	SELECT CASE WHEN message.key IS NULL
		THEN consistency.merge_row(message.relation::regclass, message.names, message.texts) NOT IN ('unchanged', 'deleted')
		ELSE consistency.merge_tombstone(message.relation::regclass, message.key, message.version, message.image) END $$;
SQL

my @columns = (
	'h int', 'id int', 'a text', 'b numeric', 'high numeric', 'low timestamptz', 'creator text', 'motto text', 'price numeric',
	'tags text[]', 'sad text', "likes gcounter DEFAULT '{}'", "stock pncounter NOT NULL DEFAULT '{}'",
	"words orset NOT NULL DEFAULT '{}'", 'body text', 'twice numeric GENERATED ALWAYS AS (b * 2) STORED');
my $rules = '{"high": "highest", "low": "lowest", "creator": "first", "motto": "multi_value", "price": "multi_value",'
  . ' "tags": "public.united(text[],text[])", "sad": "public.fails(text,text)"}';
my %values = (
	a => [ 'NULL', "'x'", "'y'", "'Y'", "'zz'", "''" ],
	b => [ 'NULL', '1', '1.0', '1.00', '2', "'NaN'" ],
	high => [ 'NULL', '1', '1.0', '1.00', '2', "'NaN'", '-1' ],
	low => [ 'NULL', "'2026-01-01 12:00+00'", "'2026-01-01 12:00+02'", "'infinity'" ],
	motto => [ 'NULL', "'p'", "'q'", "'r'", "repeat('long', 900)" ],
	price => [ 'NULL', '1', '1.0', '2' ],
	tags => [ 'NULL', "'{}'", "'{a}'", "'{b,NULL}'", "'{c,a}'" ],
	sad => [ 'NULL', "'1'", "'2'", "'3'" ],
	likes => [ 'likes + 1' ],
	stock => [ 'stock + 2', 'stock - 1' ],
	words => [ "add(words, jsonb '\"u\"')", "add(words, jsonb '\"v\"')", "remove(words, jsonb '\"u\"')" ],
	body => [ 'NULL', "repeat('b', 3000)", "repeat('c', 3000)", "'short'" ]);
my %inserted = (%values, likes => ["'{}'"], stock => ["'{}'"], words => ["'{}'"]);

sub one_of { return $_[ int rand @_ ]; }

# A copy is made with rows that are there before it is attached.
sub create_copy
{
	my ($copy, $deletes, $last_writer) = @_;
	my @ordered = $copy eq 'c1' ? @columns : reverse @columns;
	splice @ordered, 5, 0, 'gone int DEFAULT 5' if $copy eq 'c2';
	my $sql = "DROP SCHEMA IF EXISTS $copy CASCADE; CREATE SCHEMA $copy;"
	  . " CREATE TABLE $copy.t (" . join(', ', @ordered) . ', PRIMARY KEY (h, id))';
	$sql .= $copy ne 'c3' ? ';'
	  : ' PARTITION BY RANGE (id); CREATE TABLE c3.t_low PARTITION OF c3.t FOR VALUES FROM (0) TO (3);'
	  . ' CREATE TABLE c3.t_high PARTITION OF c3.t FOR VALUES FROM (3) TO (9);';
	$sql .= "ALTER TABLE $copy.t ALTER body SET STORAGE EXTERNAL;";
	foreach my $h (1 .. $histories)
	{
		$sql .= insert($copy, $h, 1) if rand() < 0.5;
	}
	$sql .= "ALTER TABLE $copy.t DROP gone;" if $copy eq 'c2';
	$sql .= "SELECT consistency.attach('$copy.t', '$rules', '$deletes', '$last_writer');\n";
	return $sql;
}

sub insert
{
	my ($copy, $h, $id) = @_;
	my @some = grep { rand() < 0.6 } sort keys %inserted;
	return "INSERT INTO $copy.t (" . join(', ', 'h', 'id', @some) . ") VALUES ("
	  . join(', ', $h, $id, map { one_of(@{ $inserted{$_} }) } @some) . ') ON CONFLICT DO NOTHING;';
}

sub update
{
	my ($copy, $h, $id) = @_;
	my @some = grep { rand() < 0.25 } sort keys %values;
	@some = ('creator') unless @some;
	return "UPDATE $copy.t SET " . join(', ', map { "$_ = " . ($_ eq 'creator' ? "coalesce(creator, '$copy')" : one_of(@{ $values{$_} })) } @some)
	  . " WHERE h = $h AND id = $id;";
}

# One history, as statements.
sub history
{
	my ($h) = @_;
	my @copies = ('c1', 'c2', 'c3');
	my @sql;

	foreach my $step (1 .. $steps)
	{
		my $copy = one_of(@copies);
		my $id = 1 + int rand 4;
		my $what = rand();

		if ($what < 0.5)
		{
			push @sql, "SET consistency.replica_id = '" . substr($copy, 1) . "';",
			  $what < 0.12 ? insert($copy, $h, $id)
			  : $what < 0.19 ? "DELETE FROM $copy.t WHERE h = $h AND id = $id;"
			  : update($copy, $h, $id);
		}
		elsif ($what < 0.8)
		{
			my $target = one_of(grep { $_ ne $copy } @copies);
			push @sql, "SELECT send('$copy', '$target', $h, $id);";
		}
		else
		{
			# any that was sent, and maybe it comes again
			my $order = one_of('n', 'n DESC', "md5(n::text || '$step')");
			my $one = "WHERE n = (SELECT n FROM sent WHERE target = '$copy' ORDER BY $order LIMIT 1)";
			push @sql, "SET consistency.replica_id = '" . substr($copy, 1) . "';",
			  rand() < 0.7 ? "DELETE FROM sent $one RETURNING receive(sent);" : "SELECT receive(sent) FROM sent $one;";
		}
	}
	push @sql, everything($h, int rand 1e6) for 1 .. 3;
	return join "\n", @sql;
}

# All that any copy has gets to all, in some order.
sub everything
{
	my ($h, $order) = @_;
	return "SELECT send(c, d, $h, id) FROM unnest('{c1,c2,c3}'::text[]) c, unnest('{c1,c2,c3}'::text[]) d, generate_series(1, 4) id WHERE c <> d;\n"
	  . "SELECT receive(sent) FROM sent ORDER BY md5(n::text || '$order'); TRUNCATE sent;";
}

# Of long ones the beginning and the length.
my $shown = join ', ', map { "left($_, 30) || length($_)" } map { (split ' ')[0] . '::text' } @columns, 'row_version';
$shown =~ s/left\((row_version::text), 30\)/$1/;

foreach my $deletes ('remove_wins', 'add_wins')
{
	foreach my $last_writer ('row', 'column')
	{
		my $kind = "$deletes, by $last_writer";
		my $start = $seed++;

		srand($start);
		note "seed $start: $kind";
		my $sql = "SET client_min_messages = error; TRUNCATE consistency.tombstones, sent; CREATE TABLE IF NOT EXISTS rest (h int, changed boolean); TRUNCATE rest;\n"
		  . "SET consistency.conflict_log = off;\n";
		$sql .= create_copy($_, $deletes, $last_writer) for ('c1', 'c2', 'c3');
		$sql .= history($_) . "\n" for 1 .. $histories;
		# once more, and now nothing may come of it
		$sql .= "SELECT send(c, d, h, id) FROM unnest('{c1,c2,c3}'::text[]) c, unnest('{c1,c2,c3}'::text[]) d, generate_series(1, $histories) h, generate_series(1, 4) id WHERE c <> d;\n"
		  . "INSERT INTO rest SELECT (coalesce(key::jsonb ->> 0, texts[array_position(names, 'h')]))::int, receive(sent) FROM sent;\n";
		my $file = PostgreSQL::Test::Utils::tempdir() . "/$start.sql";
		append_to_file($file, $sql);
		my ($status, $out, $errors) = $node->psql('postgres', "\\i $file", on_error_stop => 1);
		is($errors, '', "$kind: no error") or next;
		foreach my $copy ('c2', 'c3')
		{
			is($node->safe_psql('postgres', "(SELECT $shown FROM c1.t EXCEPT SELECT $shown FROM $copy.t)"
				  . " UNION ALL (SELECT $shown FROM $copy.t EXCEPT SELECT $shown FROM c1.t) ORDER BY 1, 2"),
				'', "$kind: $copy has the rows of c1");
			my $tombstones = "SELECT key, version::text, image::text FROM consistency.tombstones WHERE relation LIKE";
			is($node->safe_psql('postgres', "($tombstones 'c1.%' EXCEPT $tombstones '$copy.%') UNION ALL ($tombstones '$copy.%' EXCEPT $tombstones 'c1.%') ORDER BY 1"),
				'', "$kind: $copy has the tombstones of c1");
		}
		is($node->safe_psql('postgres', 'SELECT DISTINCT h FROM rest WHERE changed'), '', "$kind: nothing comes of what is known");
		cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM c1.t'), '>', $histories, "$kind: there are rows");
		cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM consistency.tombstones WHERE relation LIKE 'c1.%'"), '>', $histories / 10, "$kind: and tombstones");
	}
}

done_testing();
