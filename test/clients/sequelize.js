// The ORM "sequelize": its tables, and what a program does with them.
'use strict';

const { Sequelize, DataTypes, Op, Transaction } = require('sequelize');
const { atReplica, ok, is, fails, run } = require('./tap');

const env = process.env;
const sequelize = new Sequelize(env.PGDATABASE, env.PGUSER, env.PGPASSWORD, {
    dialect: 'postgres', host: env.PGHOST, port: env.PGPORT, logging: false, pool: { max: 4 }
});

const Author = sequelize.define('Author', {
    name: { type: DataTypes.STRING, allowNull: false, unique: true },
    mood: { type: DataTypes.ENUM('sad', 'ok', 'happy'), defaultValue: 'ok' },
    langs: DataTypes.ARRAY(DataTypes.STRING),
    info: DataTypes.JSONB,
    books: { type: DataTypes.INTEGER, defaultValue: 0 }
}, { paranoid: true });
const Book = sequelize.define('Book', {
    id: { type: DataTypes.UUID, defaultValue: DataTypes.UUIDV4, primaryKey: true },
    title: { type: DataTypes.TEXT, allowNull: false },
    price: { type: DataTypes.DECIMAL(8, 2), validate: { min: 0 } }
}, { indexes: [{ fields: ['title'] }], version: true });
Author.hasMany(Book, { onDelete: 'CASCADE', foreignKey: { allowNull: false } });
Book.belongsTo(Author);
const Tag = sequelize.define('Tag', { label: DataTypes.STRING });
Book.belongsToMany(Tag, { through: 'BookTag' });
Tag.belongsToMany(Book, { through: 'BookTag' });

async function records() {
    const ann = await Author.create({ name: 'Ann', langs: ['en', 'de'], info: { a: 1 } });
    ok(ann.id === 1 && ann.createdAt instanceof Date, 'create');
    is((await Author.findByPk(ann.id)).langs, ['en', 'de'], 'findByPk');
    ann.mood = 'happy';
    await ann.save();
    is((await ann.reload()).mood, 'happy', 'save, reload');
    await Book.bulkCreate([1, 2, 3].map((i) => ({ title: `book ${i}`, price: i, AuthorId: ann.id })));
    is(await Book.count(), 3, 'bulkCreate, count');
    is((await Author.findAll({ include: Book, order: [[Book, 'title']] }))[0].Books.map((book) => book.title),
        ['book 1', 'book 2', 'book 3'], 'include');
    is(await Book.update({ price: 9 }, { where: { title: { [Op.like]: '%3' } } }), [1], 'update');
    is((await Book.findOne({ where: { title: 'book 3' } })).price, '9.00', 'findOne');
    const { count, rows } = await Book.findAndCountAll({ limit: 2, order: ['title'] });
    is([count, rows.length], [3, 2], 'findAndCountAll');
    await ann.increment('books', { by: 3 });
    is((await ann.reload()).books, 3, 'increment');
    const [bob, made] = await Author.upsert({ name: 'Bob', mood: 'sad' });
    ok(bob.name === 'Bob' && made !== false, 'upsert: inserts');
    await Author.bulkCreate([{ name: 'Bob', mood: 'happy' }, { name: 'Cid' }], { updateOnDuplicate: ['mood'] });
    is((await Author.findOne({ where: { name: 'Bob' } })).mood, 'happy', 'bulkCreate: updateOnDuplicate');
    await (await Author.findOne({ where: { name: 'Cid' } })).destroy();
    is([await Author.count(), await Author.count({ paranoid: false })], [2, 3], 'destroy, paranoid');
    await Author.restore({ where: { name: 'Cid' } });
    is(await Author.count(), 3, 'restore');
    const book = await Book.findOne({ where: { title: 'book 1' } });
    await book.setTags([await Tag.create({ label: 'x' }), await Tag.create({ label: 'y' })]);
    is((await book.getTags()).length, 2, 'many to many');
    is(await book.countTags({ where: { label: 'x' } }), 1, '... counted');
    const [found, created] = await Author.findCreateFind({ where: { name: 'Dan' } });
    ok(created && found.name === 'Dan', 'findCreateFind');
    is((await sequelize.query('SELECT name FROM "Authors" WHERE mood = :mood ORDER BY name',
        { replacements: { mood: 'happy' }, type: Sequelize.QueryTypes.SELECT })).map((row) => row.name),
    ['Ann', 'Bob'], 'raw query');
    is((await sequelize.query('UPDATE "Authors" SET books = books + $n', { bind: { n: 1 } }))[1].rowCount, 4,
        'raw update');
    is(await Author.sum('books'), 7, 'sum');
}

async function findOrCreate() {
    // sequelize writes a temporary function for it, and calls that
    if (atReplica) {
        const error = await fails(() => Author.findOrCreate({ where: { name: 'Eve' } }),
            { name: 'SequelizeDatabaseError' }, 'findOrCreate: not at a replica');
        is([error.parent.code, !!error.parent.hint], ['25006', true], '... and says so');
        is(await Author.count({ where: { name: 'Eve' } }), 0, '... and nothing is left of it');
        await Author.create({ name: 'Eve' });
    } else {
        const [eve, created] = await Author.findOrCreate({ where: { name: 'Eve' } });
        ok(created && eve.name === 'Eve', 'findOrCreate: makes');
        is((await Author.findOrCreate({ where: { name: 'Eve' } }))[1], false, 'findOrCreate: finds');
    }
}

async function errors() {
    const unique = await fails(() => Author.create({ name: 'Ann' }), { name: 'SequelizeUniqueConstraintError' },
        'unique violation');
    is([unique.fields, unique.errors[0].path], [{ name: 'Ann' }, 'name'], '... which column');
    await fails(() => Book.create({ title: 'x', AuthorId: 4711 }),
        { name: 'SequelizeForeignKeyConstraintError', table: 'Books', index: 'Books_AuthorId_fkey' },
        'foreign key violation');
    await fails(() => sequelize.query('UPDATE "Authors" SET nothing = 1'), { name: 'SequelizeDatabaseError' },
        'no such column');
    const stale = await Book.findOne({ where: { title: 'book 2' } });
    await Book.update({ price: 5 }, { where: { id: stale.id } });
    await (await Book.findByPk(stale.id)).update({ price: 6 });
    await fails(() => stale.update({ price: 7 }), { name: 'SequelizeOptimisticLockError' }, 'optimistic locking');
}

async function transactions() {
    const count = (transaction) => Author.count({ transaction });
    const before = await count();
    await fails(() => sequelize.transaction(async (t) => {
        await Author.create({ name: 'gone' }, { transaction: t });
        is(await count(t), before + 1, 'managed transaction: sees its own');
        is(await count(), before, '... alone');
        throw new Error('no');
    }), { message: 'no' }, 'managed transaction: rejected');
    is(await count(), before, '... is rolled back');
    for (const level of ['READ COMMITTED', 'REPEATABLE READ']) {
        await sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS[level.replace(' ', '_')] },
            async (t) => {
                const ann = await Author.findOne({ where: { name: 'Ann' }, lock: t.LOCK.UPDATE, transaction: t });
                await ann.update({ books: ann.books + 1 }, { transaction: t });
                await sequelize.transaction({ transaction: t }, (nested) =>
                    Author.create({ name: `nested ${level}` }, { transaction: nested }));
            });
        is(await Author.count({ where: { name: `nested ${level}` } }), 1, `${level}: committed`);
    }
    const t = await sequelize.transaction();
    await Author.destroy({ where: {}, force: true, transaction: t });
    is(await count(t), 0, 'unmanaged transaction');
    await t.rollback();
    is(await count(), before + 2, '... rolled back');
    // many at a time, each reads what it wrote
    let misses = 0;
    await Promise.all([1, 2, 3, 4].map(async (n) => {
        for (let i = 0; i < 20; i++) {
            const made = await Tag.create({ label: `${n}/${i}` });
            // perhaps by another connection of the pool: that one has its own session
            await sequelize.transaction(async (t2) => {
                await made.update({ label: `${n}:${i}` }, { transaction: t2 });
                if ((await Tag.findByPk(made.id, { transaction: t2 })).label !== `${n}:${i}`) misses++;
            });
        }
    }));
    is(misses, 0, 'each sees what it wrote');
    is(await Tag.count({ where: { label: { [Op.like]: '%:%' } } }), 80, 'each write was done once');
}

async function schema() {
    await sequelize.sync();
    Author.rawAttributes.age = { type: DataTypes.INTEGER, defaultValue: 1 };
    Author.refreshAttributes();
    await sequelize.sync({ alter: true });
    is((await Author.create({ name: 'Old' })).age, 1, 'sync({ alter: true })');
    const queryInterface = sequelize.getQueryInterface();
    is((await queryInterface.showAllTables()).filter((name) => /^(Author|Book|Tag)/.test(name)).sort(),
        ['Authors', 'BookTag', 'Books', 'Tags'], 'showAllTables');
    await queryInterface.addColumn('Tags', 'colour', { type: DataTypes.STRING });
    ok((await queryInterface.describeTable('Tags')).colour, 'addColumn, describeTable');
    await queryInterface.removeColumn('Tags', 'colour');
    await Tag.truncate({ cascade: true });
    is(await Tag.count(), 0, 'truncate');
    await sequelize.drop({});
    is((await queryInterface.showAllTables()).filter((name) => /^(Author|Book|Tag)/.test(name)), [], 'drop');
}

run(async () => {
    await sequelize.authenticate();
    is((await sequelize.query('SELECT pg_is_in_recovery() AS it'))[0][0].it, atReplica, 'where it should be');
    await sequelize.sync({ force: true });
    for (const part of [records, findOrCreate, errors, transactions, schema]) await part();
    await sequelize.close();
});
