// @aws-sdk/client-s3, and with "presigned" @aws-sdk/s3-request-presigner.
// t/clients.t says what goes in and what comes out.

'use strict';

const fs = require('fs');
const { S3Client, AbortMultipartUploadCommand }
    = require('@aws-sdk/client-s3');
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner');

const presigned = process.argv[2] === 'presigned';
const { endpoint, cases } = JSON.parse(fs.readFileSync(0));

async function abort(c) {
    const client = new S3Client({
        endpoint,
        region: c.region,
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: {
            accessKeyId: c.access_key,
            secretAccessKey: c.secret_key,
        },
    });
    const command = new AbortMultipartUploadCommand({
        Bucket: c.bucket,
        Key: c.key,
        UploadId: c.upload_id,
    });

    if (presigned) {
        const url = await getSignedUrl(client, command, { expiresIn: 60 });
        const response = await fetch(url, { method: 'DELETE' });
        const body = await response.text();

        return response.ok ? 'ok' : body.match(/<Code>(.*)<\/Code>/)[1];
    }

    try {
        await client.send(command);
        return 'ok';

    } catch (error) {
        return error.name;

    } finally {
        client.destroy();
    }
}

(async () => {
    const outcomes = {};

    for (const c of cases) {
        outcomes[c.name] = await abort(c);
    }

    console.log(JSON.stringify(outcomes));
})();
