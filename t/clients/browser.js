// For a page: @aws-sdk/client-s3 and fetch() abort an upload, and tell what the
// page can know of the answer.  t/browser_cors.t bundles it.

import { S3Client, AbortMultipartUploadCommand } from '@aws-sdk/client-s3';

window.abortWithKey = async (endpoint, credentials, input) => {
    const client = new S3Client({
        endpoint,
        region: 'kr-standard',
        forcePathStyle: true,
        maxAttempts: 1,
        credentials,
    });

    try {
        const answer = await client.send(new AbortMultipartUploadCommand(input));
        return [answer.$metadata.httpStatusCode, 'ok',
            answer.$metadata.requestId];

    } catch (error) {
        return [error.$metadata?.httpStatusCode ?? 0, error.name,
            error.$metadata?.requestId];
    }
};

window.abortWithUrl = async (url, options = {}) => {
    try {
        const answer = await fetch(url, { method: 'DELETE', ...options });
        const body = await answer.text();
        const error = new DOMParser().parseFromString(body || '<none/>',
            'application/xml');

        return [answer.status, answer.ok ? 'ok'
            : error.querySelector('Error > Code').textContent,
            answer.headers.get('x-amz-request-id')];

    } catch (error) {
        return [0, error.name];
    }
};
