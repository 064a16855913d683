// Signs an abort as it came, unjudged.  Each request has a virtual machine of
// its own, so nothing is cached.  For comparison only: paths must need no
// encoding.

import crypto from 'crypto';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const SCOPE = '/kr-standard/s3/aws4_request';
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const SIGNED = 'host;x-amz-content-sha256;x-amz-date';

function hmac(key, data, encoding) {
    return crypto.createHmac('sha256', key).update(data).digest(encoding);
}

function time(r) {
    return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

function authorization(r) {
    const now = r.variables.amz_date;
    const date = now.slice(0, 8);
    const canonical = `DELETE\n${r.variables.uri}\n${r.variables.args}\n`
        + `host:storage.test\nx-amz-content-sha256:${EMPTY}\n`
        + `x-amz-date:${now}\n\n${SIGNED}\n${EMPTY}`;
    const hash = crypto.createHash('sha256').update(canonical).digest('hex');
    const string = `AWS4-HMAC-SHA256\n${now}\n${date}${SCOPE}\n${hash}`;

    let key = hmac('AWS4' + SECRET, date);
    key = hmac(key, 'kr-standard');
    key = hmac(key, 's3');
    key = hmac(key, 'aws4_request');

    return `AWS4-HMAC-SHA256 Credential=STORAGEKEY/${date}${SCOPE}, `
        + `SignedHeaders=${SIGNED}, Signature=${hmac(key, string, 'hex')}`;
}

export default { authorization, time };
