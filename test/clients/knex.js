// The query builder "knex", behind the migrations that its command has run.
'use strict';

const knex = require('knex')(require('./knexfile'));
const { atReplica, ok, is, fails, run } = require('./tap');

async function queries() {
    const [ann] = await knex('users').insert({ email: 'ann@example.org', settings: { theme: 'dark' } })
        .returning(['id', 'email', 'settings', 'role', 'created_at']);
    is([ann.email, ann.settings, ann.role], ['ann@example.org', { theme: 'dark' }, 'user'], 'insert returning');
    ok(ann.created_at instanceof Date, '... a default of the server');
    is((await knex('users').where('id', ann.id).first()).email, 'ann@example.org', 'first');
    is(await knex('users').where('id', ann.id).update({ role: 'admin' }), 1, 'update');
    is((await knex('users').where('role', 'admin').orderBy('email').pluck('email')),
        ['ann@example.org', 'root@example.org'], 'pluck');
    await knex('users').insert({ email: 'ann@example.org', role: 'user' }).onConflict('email').merge(['role']);
    is((await knex('users').where('email', 'ann@example.org').first('role')).role, 'user', 'onConflict merge');
    await knex('users').insert({ email: 'ann@example.org' }).onConflict('email').ignore();
    is(Number((await knex('users').count('* as n').first()).n), 3, 'onConflict ignore, count');
    is((await knex('users').where('id', ann.id).increment('post_count', 5).returning('post_count')), [{ post_count: 5 }],
        'increment');
    await knex('posts').insert([1, 2, 3].map((i) => ({ user_id: ann.id, title: `post ${i}` })));
    is((await knex('users').where('id', ann.id).first('post_count')).post_count, 8, "a trigger's work is seen");
    is((await knex('users').join('posts', 'users.id', 'posts.user_id').where('users.id', ann.id)
        .select('email', 'title').orderBy('posts.id')).map((row) => row.title), ['post 1', 'post 2', 'post 3'], 'join');
    is((await knex('titles').where('email', 'root@example.org')).length, 1, 'a view');
    await fails(() => knex('users').insert({ email: 'ann@example.org' }),
        { code: '23505', constraint: 'users_email_unique', table: 'users' }, 'unique violation');
    await fails(() => knex('users').insert({ email: 'x', role: 'god' }), { code: '23514' }, 'enum check');
    const rows = [...Array(500).keys()].map((i) => ({ user_id: ann.id, title: `batch ${i}` }));
    const ids = await knex.batchInsert('posts', rows, 100).returning('id');
    is(ids.length, 500, 'batchInsert, in one transaction');
    let streamed = 0;
    for await (const row of knex('posts').where('title', 'like', 'batch%').stream()) streamed += row.id ? 1 : 0;
    is(streamed, 500, 'stream');
    is(await knex('posts').where('title', 'like', 'batch%').del(), 500, 'del');
}

async function transactions() {
    const count = async (db) => Number((await db('users').count('* as n').first()).n);
    await fails(() => knex.transaction(async (trx) => {
        await trx('users').insert({ email: 'gone@example.org' });
        is(await count(trx), 4, 'transaction: sees its own');
        is(await count(knex), 3, '... alone');
        throw new Error('changed my mind');
    }), { message: 'changed my mind' }, 'transaction: rejected');
    is(await count(knex), 3, '... is rolled back');

    await knex.transaction(async (trx) => {
        await trx('users').insert({ email: 'kept@example.org' });
        await fails(() => trx.transaction(async (nested) => {
            await nested('users').insert({ email: 'kept@example.org' });
        }), { code: '23505' }, 'nested transaction: fails');
        await trx.transaction((nested) => nested('users').insert({ email: 'nested@example.org' }));
        is(await count(trx), 5, '... and the outer goes on');
    });
    is(await count(knex), 5, 'committed');

    await knex.transaction(async (trx) => {
        const row = await trx('users').where('email', 'kept@example.org').forUpdate().first();
        await trx('users').where('id', row.id).update({ post_count: 7 });
    }, { isolationLevel: 'repeatable read' });
    is((await knex('users').where('email', 'kept@example.org').first()).post_count, 7, 'forUpdate, isolationLevel');
    const trx = await knex.transaction({ readOnly: true });
    await fails(() => trx('users').del(), { code: '25006' }, 'readOnly');
    await trx.rollback();
    is(await count(knex), 5, 'nothing was deleted');
}

async function schema() {
    ok(await knex.schema.hasTable('users'), 'hasTable');
    ok(await knex.schema.hasColumn('users', 'post_count'), 'hasColumn');
    is((await knex('tags').orderBy('name').pluck('name')), ['fun', 'news'], 'a migration without a transaction');
    is((await knex.migrate.list())[1].length, 0, 'no migration is left');
    await knex.schema.createTableLike('users_copy', 'users');
    await knex('users_copy').insert({ id: 1, email: 'copy@example.org' });
    await knex.schema.alterTable('users_copy', (table) => {
        table.string('nick', 20);
        table.renameColumn('email', 'mail');
    });
    is((await knex('users_copy').first()).mail, 'copy@example.org', 'renamed');
    is(Object.keys(await knex('users_copy').columnInfo()).includes('nick'), true, 'columnInfo');
    await knex('users_copy').truncate();
    await knex.schema.dropTable('users_copy');
    is(await knex.schema.hasTable('users_copy'), false, 'dropped');
}

// The table is made and filled by one transaction.
async function together() {
    const config = { directory: `${__dirname}/together`, tableName: 'together' };
    if (atReplica) {
        await fails(() => knex.migrate.latest(config), { code: '42P01' },
            'made and filled in one transaction: not from a replica');
        is(await knex.schema.hasTable('colours'), false, '... and nothing is left of it');
        is((await knex.migrate.list(config))[1].length, 1, '... which knex knows');
    } else {
        await knex.migrate.latest(config);
        is(await knex('colours').pluck('name'), ['red'], 'made and filled in one transaction');
        await knex.migrate.rollback(config, true);
    }
    await knex.schema.dropTable('together');
    await knex.schema.dropTable('together_lock');
}

run(async () => {
    is((await knex.raw('SELECT pg_is_in_recovery() AS it')).rows[0].it, atReplica, 'where it should be');
    await queries();
    await transactions();
    await schema();
    await together();
    await knex.destroy();
});
