// minio.  t/clients.t says what goes in and what comes out.

'use strict';

const fs = require('fs');
const { Client } = require('minio');

const { endpoint, cases } = JSON.parse(fs.readFileSync(0));
const { hostname, port } = new URL(endpoint);

async function abort(c) {
    const client = new Client({
        endPoint: hostname,
        port: Number(port),
        useSSL: false,
        region: c.region,
        accessKey: c.access_key,
        secretKey: c.secret_key,
    });

    try {
        await client.abortMultipartUpload(c.bucket, c.key, c.upload_id);
        return 'ok';

    } catch (error) {
        return error.code || String(error);
    }
}

(async () => {
    const outcomes = {};

    for (const c of cases) {
        outcomes[c.name] = await abort(c);
    }

    console.log(JSON.stringify(outcomes));
})();
