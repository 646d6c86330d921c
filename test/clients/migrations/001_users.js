'use strict';

exports.up = async (knex) => {
    await knex.schema.createTable('users', (table) => {
        table.increments('id');
        table.string('email').notNullable().unique();
        table.enu('role', ['admin', 'user']).notNullable().defaultTo('user');
        table.jsonb('settings').defaultTo('{}');
        table.timestamps(true, true);
    });
};

exports.down = (knex) => knex.schema.dropTable('users');
