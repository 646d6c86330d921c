// Data, and a trigger: of tables that earlier migrations made.
'use strict';

exports.up = async (knex) => {
    await knex('users').insert([{ email: 'root@example.org', role: 'admin' }, { email: 'bob@example.org' }]);
    await knex.raw(`CREATE FUNCTION count_posts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE users SET post_count = post_count + 1 WHERE id = NEW.user_id;
            RETURN NEW;
        END $$`);
    await knex.raw('CREATE TRIGGER count_posts AFTER INSERT ON posts FOR EACH ROW EXECUTE FUNCTION count_posts()');
    const root = await knex('users').where({ role: 'admin' }).first();
    await knex('posts').insert({ user_id: root.id, title: 'welcome' });
};

exports.down = async (knex) => {
    await knex.raw('DROP TRIGGER count_posts ON posts');
    await knex.raw('DROP FUNCTION count_posts()');
    await knex('users').del();
};
