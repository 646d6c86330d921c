CREATE TABLE todo (
    id int PRIMARY KEY,
    title text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    labels orset NOT NULL DEFAULT '{}'
);
SELECT consistency.attach('todo', '{"title": "multi_value"}', deletes => 'add_wins', last_writer => 'column');
