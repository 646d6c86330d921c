// For the command "knex" and the program migrate.js.  Where to connect is in the
// environment, as libpq has it.
'use strict';

module.exports = {
    client: 'pg',
    connection: {},
    pool: { min: 0, max: 4 },
    migrations: { directory: `${__dirname}/migrations` }
};
