
=pod

=head1 NAME

Converge::Tables - the tables that are attacked, and what may be done to their rows

=head1 DESCRIPTION

  counters  counters of all kinds; rows are inserted everywhere, never deleted
  docs      columns that merge by rules, the others by last writer, column by column
  carts_rw  rows come and go, removing wins; last writer of the whole row
  carts_aw  the same, adding wins
  ids       replica ids that rights can be given to

A step is a statement, and what it does if it does something: a list of

  [ 'add', table.column, key, n ]     a counter is raised, or with n < 0 lowered
  [ 'set', table.column, key, text ]  a value is written
  [ 'in', 'docs.tags', key, text ]    an element is added, that nobody else adds
  [ 'out', 'docs.tags', key, text ]   an element may be removed
  [ 'put', table, key ], [ 'gone', table, key ]   a row is inserted or changed; deleted

=cut

package Converge::Tables;

use strict;
use warnings FATAL => 'all';

# rows that are there from the beginning of a run, whose keys follow its base
our $hot = 3;
our $stock = 60;

sub names { return qw(carts_aw carts_rw counters docs ids); }

# SQL that makes them; bare: without what merges.
sub make
{
	my ($bare) = @_;
	return (
		'CREATE EXTENSION consistency',
		q{CREATE TABLE counters (id int PRIMARY KEY, likes gcounter NOT NULL DEFAULT '{}', votes pncounter NOT NULL DEFAULT '{}',
			stock bcounter NOT NULL DEFAULT '{}', note text)},
		q{CREATE TABLE docs (id int PRIMARY KEY, hi int, lo int, creator text, title text, one text, two text,
			tags orset NOT NULL DEFAULT '{}', map ormap NOT NULL DEFAULT '{}')},
		q{CREATE TABLE carts_rw (id int PRIMARY KEY, n gcounter NOT NULL DEFAULT '{}', x text, y text)},
		q{CREATE TABLE carts_aw (LIKE carts_rw INCLUDING ALL)},
		q{CREATE TABLE ids (id text PRIMARY KEY)},
		# updates that aren't HOT are those that move under apply
		q{CREATE INDEX ON docs (one)}, q{CREATE INDEX ON carts_rw (x)}, q{CREATE INDEX ON counters (note)},
		q{GRANT ALL ON ALL TABLES IN SCHEMA public TO app},
		$bare ? () : q{SELECT consistency.attach('counters'), consistency.attach('ids'), consistency.attach('carts_rw'),
			consistency.attach('carts_aw', deletes => 'add_wins'),
			consistency.attach('docs', last_writer => 'column',
				columns => '{"hi": "highest", "lo": "lowest", "creator": "first", "title": "multi_value"}')});
}

# SQL that begins a run, at each member: so its keys are inserted everywhere at once.
sub fill
{
	my ($base) = @_;
	return (
		"INSERT INTO counters (id, stock) SELECT $base + i, bcounter(0, $stock) FROM generate_series(1, $hot) i",
		"INSERT INTO docs (id) SELECT $base + i FROM generate_series(1, $hot) i",
		'INSERT INTO ids VALUES (consistency.replica_id()) ON CONFLICT DO NOTHING');
}

# --- steps --------------------------------------------------------------

# A step of a transaction, at random.  Returns SQL and what it does.
sub step
{
	my ($random, $client) = @_;
	my $kind = $random->any(qw(like like like vote vote stock stock transfer new new doc doc doc tag tag map cart cart cart cart drop drop));
	return __PACKAGE__->can("_$kind")->($random, $client);
}

sub _key { my ($random, $client) = @_; return $client->base + $random->between(1, $hot); }

sub _like
{
	my ($random, $client) = @_;
	my ($key, $n) = (_key($random, $client), $random->between(1, 3));
	return ("UPDATE counters SET likes = likes + $n WHERE id = $key", [ 'add', 'counters.likes', $key, $n ]);
}

sub _vote
{
	my ($random, $client) = @_;
	my ($key, $n, $text) = (_key($random, $client), $random->any(-3, -1, 1, 2, 5), $client->text);
	my $change = $n < 0 ? '- ' . -$n : "+ $n";
	return ("UPDATE counters SET votes = votes $change, note = '$text' WHERE id = $key",
		[ 'add', 'counters.votes', $key, $n ], [ 'set', 'counters.note', $key, $text ]);
}

sub _stock
{
	my ($random, $client) = @_;
	my ($key, $n) = (_key($random, $client), $random->any(-4, -3, -2, -1, -1, 1, 2));
	my $change = $n < 0 ? '- ' . -$n : "+ $n";
	return ("UPDATE counters SET stock = stock $change WHERE id = $key", [ 'add', 'counters.stock', $key, $n ]);
}

sub _transfer
{
	my ($random, $client) = @_;
	my ($key, $n, $salt) = (_key($random, $client), $random->between(1, 5), $random->between(1, 1000));
	return ("UPDATE counters SET stock = transfer(stock, (SELECT id FROM ids ORDER BY md5(id || '$salt') LIMIT 1), $n) WHERE id = $key");
}

# The same new keys come up everywhere at about the same time.
sub _new
{
	my ($random, $client) = @_;
	my ($key, $n) = ($client->new_key, $random->between(1, 3));
	return ("INSERT INTO counters AS t (id, likes, votes) VALUES ($key, gcounter($n), pncounter(-$n))
		ON CONFLICT (id) DO UPDATE SET likes = t.likes + $n, votes = t.votes - $n",
		[ 'add', 'counters.likes', $key, $n ], [ 'add', 'counters.votes', $key, -$n ]);
}

sub _doc
{
	my ($random, $client) = @_;
	my ($key, $text) = (_key($random, $client), $client->text);
	my $column = $random->any(qw(hi lo creator title title one one two));
	my $value = $column =~ /hi|lo/ ? $random->between(-1000000, 1000000) : "'$text'";
	return ("UPDATE docs SET $column = $value WHERE id = $key", [ 'set', "docs.$column", $key, $value =~ tr/'//dr ]);
}

sub _tag
{
	my ($random, $client) = @_;
	my ($key, $text) = (_key($random, $client), $client->text);
	return (qq{UPDATE docs SET tags = tags + '"$text"' WHERE id = $key}, [ 'in', 'docs.tags', $key, $text ]) if $random->chance(0.5);
	# one of its own, which may be in the set or not
	my $old = $client->old_text($random);
	return (qq{UPDATE docs SET tags = tags - '"$old"' WHERE id = $key}, [ 'out', 'docs.tags', $key, $old ]);
}

sub _map
{
	my ($random, $client) = @_;
	my ($key, $n, $name) = (_key($random, $client), $random->between(1, 3), $random->any('a', 'b'));
	return ("UPDATE docs SET map = put(map, '$name', get(map, '$name', NULL::pncounter) + $n) WHERE id = $key",
		[ 'add', "docs.map.$name", $key, $n ]);
}

sub _cart
{
	my ($random, $client) = @_;
	my ($table, $key, $n, $text) = ($random->any('carts_rw', 'carts_aw'), _key($random, $client), $random->between(1, 3), $client->text);
	my $column = $random->any('x', 'y');
	return ("UPDATE $table SET n = n + $n, $column = '$text' WHERE id = $key", [ 'put', $table, $key, $n ]) if $random->chance(0.4);
	return ("INSERT INTO $table AS t (id, n, $column) VALUES ($key, gcounter($n), '$text')
		ON CONFLICT (id) DO UPDATE SET n = t.n + $n, $column = excluded.$column", [ 'put', $table, $key, $n ]);
}

sub _drop
{
	my ($random, $client) = @_;
	my ($table, $key) = ($random->any('carts_rw', 'carts_aw'), _key($random, $client));
	return ("DELETE FROM $table WHERE id = $key", [ 'gone', $table, $key ]);
}

# --- what there is in the end -------------------------------------------------

# A query for what a table holds, the same everywhere if and only if it has converged.
# row_version is in it.
sub digest_query
{
	my ($table) = @_;
	return "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), '') FROM $table t";
}

sub tombstones_query
{
	return 'SELECT coalesce(string_agg(concat_ws($$ $$, relation, key, version, image), E\'\n\' ORDER BY relation, key), $$$$) FROM consistency.tombstones';
}

# Values as users see them: rows of what ("table.column"), key, value.
sub values_query
{
	return q{
		SELECT 'counters.likes', id, value(likes)::text FROM counters
		UNION ALL SELECT 'counters.votes', id, value(votes)::text FROM counters
		UNION ALL SELECT 'counters.stock', id, value(stock)::text FROM counters
		UNION ALL SELECT 'counters.note', id, note FROM counters
		UNION ALL SELECT 'docs.' || column_name, id, text FROM docs,
			LATERAL (VALUES ('hi', hi::text), ('lo', lo::text), ('creator', creator), ('title', title), ('one', one), ('two', two),
				('tags', value(tags)::text), ('map.a', coalesce(value(map) ->> 'a', '0')), ('map.b', coalesce(value(map) ->> 'b', '0'))) v (column_name, text)
		UNION ALL SELECT 'carts_rw.n', id, value(n)::text FROM carts_rw
		UNION ALL SELECT 'carts_aw.n', id, value(n)::text FROM carts_aw};
}

1;
