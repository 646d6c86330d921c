// What the programs beside this share: they print one line for each check, which
// test/t/043_node.t counts as its own, and one at the end.
'use strict';

const assert = require('node:assert');

// is the server at the other end a replica?
const atReplica = process.env.AT_REPLICA === '1';

function ok(condition, what) {
    console.log(`${condition ? 'ok' : 'not ok'} - ${what}`);
}

// Equal in depth; tells both if not.
function is(got, expected, what) {
    try {
        assert.deepStrictEqual(got, expected);
        ok(true, what);
    } catch (error) {
        ok(false, what);
        console.error(`${what}: ${error.message}`);
    }
}

// Fails with an error that has these fields; returns the error.
async function fails(promise, fields, what) {
    let error = null;
    try {
        await (typeof promise === 'function' ? promise() : promise);
    } catch (caught) {
        error = caught;
    }
    if (!error) {
        ok(false, `${what}: fails`);
        return new Error('did not fail');
    }
    const got = {};
    for (const name of Object.keys(fields)) got[name] = error[name];
    is(got, fields, what);
    return error;
}

// Waits until a function returns something true.
async function until(what, condition) {
    for (let i = 0; i < 500; i++) {
        if (await condition()) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`waited in vain: ${what}`);
}

// Runs the program and says whether it came to its end.
function run(main) {
    main().then(
        () => console.log('done'),
        (error) => {
            console.error(error);
            // at once: idle connections of a pool would be waited for
            process.exit(1);
        }
    );
}

module.exports = { atReplica, ok, is, fails, until, run };
