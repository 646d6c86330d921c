CREATE TABLE preference (
    person text PRIMARY KEY,
    theme text NOT NULL DEFAULT 'light',
    language text NOT NULL DEFAULT 'en',
    volume int NOT NULL DEFAULT 5,
    signature lww_register NOT NULL DEFAULT '{}'
);
SELECT consistency.attach('preference', last_writer => 'column');
