CREATE TABLE post (
    id int PRIMARY KEY,
    title text NOT NULL,
    likes gcounter NOT NULL DEFAULT '{}'
);
SELECT consistency.attach('post');
