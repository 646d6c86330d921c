'use strict';

exports.up = async (knex) => {
    await knex.schema
        .createTable('posts', (table) => {
            table.bigIncrements('id');
            table.integer('user_id').notNullable().references('users.id').onDelete('CASCADE');
            table.text('title').notNullable();
            table.text('body');
            table.index(['user_id', 'title']);
        })
        .raw('CREATE VIEW titles AS SELECT email, title FROM users JOIN posts ON users.id = user_id')
        .raw("COMMENT ON TABLE posts IS 'what users write'");
    await knex.schema.alterTable('users', (table) => {
        table.integer('post_count').notNullable().defaultTo(0);
    });
};

exports.down = async (knex) => {
    await knex.schema.raw('DROP VIEW titles');
    await knex.schema.alterTable('users', (table) => table.dropColumn('post_count'));
    await knex.schema.dropTable('posts');
};
