// Makes a table and fills it at once.  In one transaction that can't be had at a
// replica, which doesn't know the table before the commit; so there is none.
'use strict';

exports.config = { transaction: false };

exports.up = async (knex) => {
    await knex.schema.createTable('tags', (table) => {
        table.text('name').primary();
    });
    await knex('tags').insert([{ name: 'news' }, { name: 'fun' }]);
};

exports.down = (knex) => knex.schema.dropTable('tags');
