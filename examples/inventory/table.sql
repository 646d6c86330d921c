CREATE TABLE stock (
    item text PRIMARY KEY,
    n bcounter NOT NULL
);
SELECT consistency.attach('stock');
