// What migrations/004_tags.js avoids.
'use strict';

exports.up = async (knex) => {
    await knex.schema.createTable('colours', (table) => {
        table.text('name').primary();
    });
    await knex('colours').insert({ name: 'red' });
};

exports.down = (knex) => knex.schema.dropTable('colours');
