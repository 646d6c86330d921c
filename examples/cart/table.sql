CREATE TABLE cart (
    owner text PRIMARY KEY,
    items orset NOT NULL DEFAULT '{}'
);
SELECT consistency.attach('cart');
