# boto3, and with "presigned" URLs that it made.  t/clients.t says what goes in
# and what comes out.

import json
import re
import sys
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PRESIGNED = sys.argv[1:] == ['presigned']


def main():
    todo = json.load(sys.stdin)
    outcomes = {c['name']: abort(todo, c) for c in todo['cases']}
    print(json.dumps(outcomes, ensure_ascii=False))


def abort(todo, c):
    client = boto3.client(
        's3',
        endpoint_url=todo['endpoint'],
        region_name=c['region'],
        aws_access_key_id=c['access_key'],
        aws_secret_access_key=c['secret_key'],
        # presigned URLs are of SigV2 unless told otherwise
        config=Config(signature_version='s3v4',
                      retries={'total_max_attempts': 1}))
    upload = {'Bucket': c['bucket'], 'Key': c['key'],
              'UploadId': c['upload_id']}

    if PRESIGNED:
        return delete(client.generate_presigned_url(
            'abort_multipart_upload', upload, ExpiresIn=60))

    try:
        client.abort_multipart_upload(**upload)
        return 'ok'
    except ClientError as error:
        return error.response['Error']['Code']


def delete(url):
    try:
        urllib.request.urlopen(urllib.request.Request(url, method='DELETE'))
        return 'ok'
    except urllib.error.HTTPError as error:
        return re.search('<Code>(.*)</Code>', error.read().decode())[1]


main()
