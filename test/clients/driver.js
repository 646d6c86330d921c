// The driver "pg": a pool, transactions, parameters, prepared statements, errors,
// cursors.  Where to connect is in the environment, as libpq has it.
'use strict';

const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const { atReplica, ok, is, fails, until, run } = require('./tap');

async function value(db, text, values) {
    const result = await db.query({ text, values, rowMode: 'array' });
    return result.rows.length ? result.rows[0][0] : undefined;
}

async function statements(pool) {
    let result = await pool.query(`CREATE TABLE person (
        id serial PRIMARY KEY, name text NOT NULL CONSTRAINT person_name_key UNIQUE,
        age int CHECK (age >= 0), data jsonb, born timestamptz, raw bytea, tags text[])`);
    is(result.command, 'CREATE', 'DDL: command');
    result = await pool.query('INSERT INTO person (name, age) VALUES ($1, $2) RETURNING id, name', [
        'Ann', 30
    ]);
    is(result.command, 'INSERT', 'insert: command');
    is(result.rowCount, 1, 'insert: rowCount');
    is(result.rows, [{ id: 1, name: 'Ann' }], 'insert: RETURNING');
    is(result.fields.map((field) => field.name), ['id', 'name'], 'insert: fields');
    ok(result.fields[0].tableID > 0 && result.fields[0].columnID === 1, 'insert: where a field is from');
    is(await value(pool, 'SELECT name FROM person WHERE id = $1', [1]), 'Ann', 'reads it, by any connection');

    const when = new Date('2024-02-29T12:34:56.789Z');
    const raw = Buffer.from([0, 1, 2, 254, 255]);
    await pool.query(
        'INSERT INTO person (name, age, data, born, raw, tags) VALUES ($1, $2, $3, $4, $5, $6)',
        ['Bob', null, { a: [1, { b: 'ü' }] }, when, raw, ['x y', '"', null]]
    );
    result = await pool.query('SELECT * FROM person WHERE name = $1', ['Bob']);
    is(
        result.rows[0],
        { id: 2, name: 'Bob', age: null, data: { a: [1, { b: 'ü' }] }, born: when, raw, tags: ['x y', '"', null] },
        'values come back as they were'
    );
    result = await pool.query('UPDATE person SET age = coalesce(age, 0) + $1', [1]);
    is([result.command, result.rowCount], ['UPDATE', 2], 'update');
    result = await pool.query('DELETE FROM person WHERE age > $1', [100]);
    is([result.command, result.rowCount], ['DELETE', 0], 'delete: none');
    result = await pool.query(`WITH moved AS (UPDATE person SET age = age + 1 RETURNING age)
        SELECT sum(age)::int AS sum FROM moved`);
    is([result.command, result.rows], ['SELECT', [{ sum: 34 }]], 'a query that writes');
    result = await pool.query('SELECT 1 AS a; UPDATE person SET age = age - 1; SELECT sum(age)::int AS b FROM person');
    is(result.map((one) => one.command), ['SELECT', 'UPDATE', 'SELECT'], 'several statements: commands');
    is(result[2].rows, [{ b: 32 }], '... the last sees what the one before did');
    await fails(pool.query('UPDATE person SET age = 99; SELECT 1 / 0'), { code: '22012' }, 'several statements: fail');
    // The pool has given up the connection that failed: the next one is another session, which need not have seen
    // what that one did.
    is(await value(pool, "/*consistency='linearizable'*/ SELECT max(age) FROM person"), 31, '... all of them');
    result = await pool.query({ text: 'INSERT INTO person (name) VALUES ($1) RETURNING id, age', values: ['Cid'],
        rowMode: 'array' });
    is(result.rows, [[3, null]], 'rows as arrays');
    is((await pool.query('')).command, null, 'nothing');
    is((await pool.query('SELECT FROM person')).rowCount, 3, 'no columns');
}

// many writes by many connections, each read back by any of them
async function readsOwnWrites(pool) {
    await pool.query('CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)');
    await pool.query('INSERT INTO counter SELECT i, 0 FROM generate_series(0, 3) i');
    let misses = 0;
    await Promise.all([0, 1, 2, 3].map(async (id) => {
        const client = await pool.connect();
        try {
            for (let i = 1; i <= 50; i++) {
                await client.query('UPDATE counter SET n = n + 1 WHERE id = $1', [id]);
                if (await value(client, 'SELECT n FROM counter WHERE id = $1', [id]) !== i) misses++;
            }
        } finally {
            client.release();
        }
    }));
    is(misses, 0, 'each sees what it wrote');
    is(await value(pool, 'SELECT sum(n)::int FROM counter'), 200, 'each write was done once');
}

async function transactions(pool) {
    const client = await pool.connect();
    const count = (db) => value(db, 'SELECT count(*)::int FROM person');
    await client.query('BEGIN');
    is(await count(client), 3, 'transaction: a read first');
    await client.query("INSERT INTO person (name) VALUES ('Dan')");
    is(await count(client), 4, 'transaction: sees its own write');
    const witness = await pool.connect();
    is(await count(witness), 3, '... alone');
    witness.release();
    await client.query('ROLLBACK');
    is(await count(client), 3, 'transaction: rolled back');

    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await client.query("INSERT INTO person (name) VALUES ('Dan')");
    await client.query('SAVEPOINT s');
    await fails(client.query("INSERT INTO person (name) VALUES ('Dan')"), { code: '23505' }, 'savepoint: an error');
    await fails(client.query('SELECT 1'), { code: '25P02' }, 'savepoint: nothing goes on');
    await client.query('ROLLBACK TO SAVEPOINT s');
    is(await count(client), 4, 'savepoint: rolled back to');
    is((await client.query('COMMIT')).command, 'COMMIT', 'transaction: committed');
    is(await count(client), 4, '... and seen');

    await client.query('BEGIN');
    await fails(client.query('UPDATE person SET age = -1'), { code: '23514' }, 'failed transaction: an error');
    is((await client.query('COMMIT')).command, 'ROLLBACK', 'failed transaction: COMMIT rolls back');

    await client.query('BEGIN READ ONLY');
    await fails(client.query('UPDATE person SET age = 1'), { code: '25006' }, 'READ ONLY');
    await client.query('ROLLBACK');

    await client.query('BEGIN');
    is((await client.query("SELECT id FROM person WHERE name = 'Ann' FOR UPDATE")).rowCount, 1, 'FOR UPDATE');
    const other = await pool.connect();
    await fails(other.query("SELECT id FROM person WHERE name = 'Ann' FOR UPDATE NOWAIT"), { code: '55P03' },
        '... locks others out');
    await client.query('COMMIT');
    is((await other.query("SELECT id FROM person WHERE name = 'Ann' FOR UPDATE SKIP LOCKED")).rowCount, 1,
        '... until the end');

    await client.query("SET SESSION statement_timeout = '100ms'");
    await fails(client.query('UPDATE person SET name = name || pg_sleep(10)'), { code: '57014' }, 'statement_timeout');
    await client.query('RESET statement_timeout');
    other.release();
    client.release();
}

// two sessions that each wait for the other: one is told so, and can try again
async function deadlock(pool) {
    const [a, b] = [await pool.connect(), await pool.connect()];
    const set = (db, name) => db.query('UPDATE person SET age = 1 WHERE name = $1', [name]);
    await a.query('BEGIN');
    await b.query('BEGIN');
    await set(a, 'Ann');
    await set(b, 'Bob');
    const results = await Promise.allSettled([set(a, 'Bob'), set(b, 'Ann')]);
    is(results.map((result) => result.status).sort(), ['fulfilled', 'rejected'], 'deadlock: one of two fails');
    is(results.find((result) => result.reason).reason.code, '40P01', 'deadlock: its code');
    await a.query('ROLLBACK');
    await b.query('ROLLBACK');
    a.release();
    b.release();
}

async function prepared(pool) {
    const client = await pool.connect();
    const insert = { name: 'add', text: 'INSERT INTO person (name, age) VALUES ($1, $2) RETURNING id' };
    const select = { name: 'get', text: 'SELECT age FROM person WHERE name = $1' };
    let misses = 0;
    for (let i = 0; i < 20; i++) {
        await client.query({ ...insert, values: [`p${i}`, i] });
        const result = await client.query({ ...select, values: [`p${i}`] });
        if (result.rowCount !== 1 || result.rows[0].age !== i) misses++;
    }
    is(misses, 0, 'named prepared statements');
    await fails(client.query({ ...insert, values: ['p1', 1] }), { code: '23505' }, 'prepared: an error');
    is((await client.query({ ...insert, values: ['p20', 1] })).rowCount, 1, '... and again');
    await client.query('BEGIN');
    await client.query({ ...insert, values: ['r1', 1] });
    is((await client.query({ ...select, values: ['r1'] })).rows, [{ age: 1 }], 'prepared: in a transaction');
    await client.query('ROLLBACK');
    is((await client.query({ ...select, values: ['r1'] })).rowCount, 0, '... that is rolled back');
    client.release();
}

async function errors(pool) {
    let error = await fails(pool.query("INSERT INTO person (name) VALUES ('Ann')"),
        { name: 'error', severity: 'ERROR', code: '23505', schema: 'public', table: 'person',
            constraint: 'person_name_key', detail: 'Key (name)=(Ann) already exists.' },
        'unique violation');
    ok(/^duplicate key value violates unique constraint "person_name_key"$/.test(error.message), '... message');
    await fails(pool.query('INSERT INTO person (age) VALUES (1)'),
        { code: '23502', column: 'name', table: 'person', schema: 'public' }, 'not-null violation');
    await fails(pool.query('UPDATE person SET age = $1', [-1]), { code: '23514', constraint: 'person_age_check' },
        'check violation');
    await fails(pool.query('INSERT INTO person (nme) VALUES (1)'), { code: '42703', position: '21' }, 'no such column');
    await fails(pool.query("UPDATE person SET age = 'old'"), { code: '22P02', position: '25' }, 'not a number');
    await fails(pool.query('UPDATE person SET age = $1', ['old']), { code: '22P02', position: undefined },
        'not a number, as parameter');
    await fails(pool.query('UPDAT person SET age = 1'), { code: '42601', position: '1' }, 'syntax');
    await fails(pool.query('CREATE TABLE person (i int)'), { code: '42P07' }, 'exists already');
    await fails(pool.query("CREATE TABLE x (i nosuch)"), { code: '42704', position: '19' }, 'DDL: position');
    error = await fails(pool.query(`DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h',
        COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 't', TABLE = 'b', SCHEMA = 's'; END $$`),
    { code: 'AB123', message: 'no', detail: 'd', hint: 'h', column: 'c', constraint: 'k', dataType: 't', table: 'b',
        schema: 's' }, 'all fields');
    ok(/PL\/pgSQL function inline_code_block line 1 at RAISE/.test(error.where), '... and the context');

    const client = await pool.connect();
    const notices = [];
    client.on('notice', (notice) => notices.push(`${notice.severity} ${notice.code} ${notice.message}`));
    await client.query("DO $$ BEGIN RAISE WARNING 'careful'; INSERT INTO person (name) VALUES ('warned'); END $$");
    await client.query('DROP TABLE IF EXISTS nothing');
    is(notices, ['WARNING 01000 careful', 'NOTICE 00000 table "nothing" does not exist, skipping'], 'notices');
    client.release();
    is(await value(pool, 'SELECT 1'), 1, 'the connections are fine');
}

async function portions(pool) {
    const client = await pool.connect();
    await client.query('CREATE TABLE many (i int)');
    await client.query('INSERT INTO many SELECT generate_series(1, 1000)');
    const cursor = client.query(new Cursor('SELECT i FROM many WHERE i > $1 ORDER BY i', [10]));
    const sizes = [];
    for (;;) {
        const rows = await cursor.read(300);
        if (!rows.length) break;
        sizes.push(rows.length);
    }
    await cursor.close();
    is(sizes, [300, 300, 300, 90], 'pg-cursor');

    let sum = 0;
    for await (const row of client.query(new QueryStream('SELECT i FROM many', [], { batchSize: 50 }))) sum += row.i;
    is(sum, 500500, 'pg-query-stream');
    // not to its end
    const early = client.query(new Cursor('SELECT i FROM many'));
    is((await early.read(5)).length, 5, 'pg-cursor, left early');
    await early.close();

    await client.query('BEGIN');
    await client.query('DELETE FROM many WHERE i > 100');
    sum = 0;
    for await (const row of client.query(new QueryStream('SELECT i FROM many', [], { batchSize: 7 }))) sum += row.i;
    is(sum, 5050, 'pg-query-stream, after a write in the transaction');
    await client.query('ROLLBACK');
    // a write read in portions
    const returning = client.query(new Cursor('UPDATE many SET i = -i WHERE i <= 10 RETURNING i'));
    is((await returning.read(4)).length, 4, 'pg-cursor of a write');
    await returning.close();
    // PostgreSQL runs a write to its end before the first row leaves
    is(await value(client, 'SELECT count(*)::int FROM many WHERE i < 0'), 10, '... which is done wholly');
    client.release();
}

async function sessions(pool) {
    const client = await pool.connect();
    if (atReplica) {
        const error = await fails(client.query('LISTEN news'),
            { code: '25006', message: 'cannot execute LISTEN during recovery' }, "LISTEN: PostgreSQL's error");
        ok(error.hint, '... with a hint');
    } else {
        const heard = [];
        client.on('notification', (message) => heard.push(message.payload));
        await client.query('LISTEN news');
        await pool.query("NOTIFY news, 'hello'");
        await until('a notification', () => heard.length);
        is(heard, ['hello'], 'LISTEN');
        await client.query('UNLISTEN *');
    }
    is(await value(client, 'SELECT 1'), 1, '... and the session goes on');

    // settings have the same effect wherever a statement runs
    await client.query("SET TIME ZONE 'Asia/Tokyo'");
    await client.query("SET app.tenant = 'a client'");
    await client.query("UPDATE person SET born = '2024-01-01 00:00' WHERE name = 'Ann'");
    is(await value(client, "SELECT born FROM person WHERE name = 'Ann'"), new Date('2023-12-31T15:00:00Z'), 'time zone');
    is(await value(client, "UPDATE person SET age = 5 WHERE name = 'Ann' RETURNING current_setting('app.tenant')"),
        'a client', 'a setting of the application');
    await client.query('SET search_path = nowhere');
    await fails(client.query('UPDATE person SET age = 1'), { code: '42P01' }, 'search_path');
    await client.query('DISCARD ALL');
    is((await client.query("UPDATE person SET age = 1 WHERE name = 'Ann'")).rowCount, 1, 'DISCARD ALL');
    is(await value(client, "SELECT age FROM person WHERE name = 'Ann'"), 1, '... and a read');
    is(await value(client, 'SELECT pg_try_advisory_lock(42)'), true, 'advisory lock');
    is(await value(client, 'SELECT pg_advisory_unlock(42)'), true, '... and unlock');
    client.release(true);

    // a client that is cancelled
    const slow = new Client();
    await slow.connect();
    const promise = slow.query('UPDATE person SET name = name || pg_sleep(60)').then(() => null, (error) => error);
    await until('it runs', async () => await value(pool, `SELECT count(*)::int FROM pg_stat_activity
        WHERE pid = $1 AND state = 'active'`, [slow.processID]) === 1);
    await value(pool, 'SELECT pg_cancel_backend($1)', [slow.processID]);
    is((await promise || {}).code, '57014', 'cancelled from another session');
    is(await value(slow, 'SELECT 1'), 1, '... and goes on');
    await slow.end();
}

run(async () => {
    const pool = new Pool({ max: 5 });
    is(await value(pool, 'SELECT pg_is_in_recovery()'), atReplica, 'where it should be');
    for (const part of [statements, readsOwnWrites, transactions, deadlock, prepared, errors, portions, sessions]) {
        await part(pool);
    }
    await pool.query('DROP TABLE person, counter, many');
    await pool.end();
});
