-- What each database of the examples has.
CREATE EXTENSION consistency;
ALTER DATABASE :"DBNAME" SET statement_timeout = '60s';

-- Stops the script unless what it claims is so.
CREATE FUNCTION expect(claim text, holds boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF holds IS NOT TRUE THEN
        RAISE EXCEPTION 'not so: %', claim;
    END IF;
    RETURN 'ok: ' || claim;
END $$;

-- Nothing of what others write comes in any more, as if the link were cut.
CREATE PROCEDURE cut_link() LANGUAGE plpgsql AS $$
DECLARE
    subscription name;
BEGIN
    FOR subscription IN SELECT subname FROM pg_stat_subscription GROUP BY subname LOOP
        EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', subscription);
    END LOOP;
    COMMIT;
    WHILE EXISTS (SELECT FROM pg_stat_subscription WHERE pid IS NOT NULL) LOOP
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
    END LOOP;
END $$;

CREATE PROCEDURE heal_link() LANGUAGE plpgsql AS $$
DECLARE
    subscription name;
BEGIN
    FOR subscription IN SELECT subname FROM pg_stat_subscription GROUP BY subname LOOP
        EXECUTE format('ALTER SUBSCRIPTION %I ENABLE', subscription);
    END LOOP;
END $$;

-- Waits until the others have all that has been written here, or that came in.
CREATE PROCEDURE wait_delivered() LANGUAGE plpgsql AS $$
DECLARE
    written pg_lsn := pg_current_wal_insert_lsn();
BEGIN
    WHILE EXISTS (SELECT FROM pg_replication_slots
                   WHERE slot_name ^@ 'consistency_' AND confirmed_flush_lsn < written) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- Waits until rows that were there before have been copied.
CREATE PROCEDURE wait_copied() LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r') LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
