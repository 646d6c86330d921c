-- Presence: who is online, who lets others see where, and when somebody was last seen.
--
-- Two flags, with opposite wishes for what happens at the same time.  Of an
-- ew_flag, enabling wins: who is online on one device is online.  Of a dw_flag,
-- disabling wins: who takes a consent back has taken it back.  The time somebody
-- was last seen is the "highest" one, in whatever order messages come.

\connect service=london
\ir table.sql
\connect service=paris
\ir table.sql
\ir ../join.sql

\connect service=london
INSERT INTO presence VALUES ('ann', enable('{}'::ew_flag), enable('{}'::dw_flag), '2026-01-01 12:00+00');
CALL wait_delivered();

\ir ../cut.sql

-- The laptop at paris is closed, and consent withdrawn there.
\connect service=paris
UPDATE presence SET online = disable(online), share_location = disable(share_location),
       last_seen = '2026-01-01 12:03+00' WHERE person = 'ann';
SELECT 'paris' AS at, value(online) AS online, value(share_location) AS shares, last_seen FROM presence;
-- The phone at london is still there, and says so; its app asks for consent again.
\connect service=london
UPDATE presence SET online = enable(online), share_location = enable(share_location),
       last_seen = '2026-01-01 12:05+00' WHERE person = 'ann';
-- A message that was late.
UPDATE presence SET last_seen = '2026-01-01 12:01+00' WHERE person = 'ann';
SELECT 'london' AS at, value(online) AS online, value(share_location) AS shares, last_seen FROM presence;

\ir ../heal.sql

\connect service=paris
SELECT 'paris' AS at, value(online) AS online, value(share_location) AS shares, last_seen FROM presence;
SELECT presence AS paris FROM presence \gset
SELECT expect('online on one device is online', (SELECT value(online) FROM presence));
SELECT expect('consent that was withdrawn stays so', (SELECT NOT value(share_location) FROM presence));
SELECT expect('last seen is the highest', (SELECT last_seen = '2026-01-01 12:05+00' FROM presence));
\connect service=london
SELECT 'london' AS at, value(online) AS online, value(share_location) AS shares, last_seen FROM presence;
SELECT expect('london has the same', (SELECT presence::text = :'paris' FROM presence));

-- Going offline everywhere: a change that has seen the others counts.
UPDATE presence SET online = disable(online) WHERE person = 'ann';
CALL wait_delivered();
\connect service=paris
SELECT expect('offline at last', (SELECT NOT value(online) FROM presence));
