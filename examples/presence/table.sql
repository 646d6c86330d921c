CREATE TABLE presence (
    person text PRIMARY KEY,
    online ew_flag NOT NULL DEFAULT '{}',
    share_location dw_flag NOT NULL DEFAULT '{}',
    last_seen timestamptz
);
SELECT consistency.attach('presence', '{"last_seen": "highest"}');
