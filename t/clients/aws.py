# The aws command, each time as from its own command line, but without a new
# process.  t/clients.t says what goes in and what comes out.

import contextlib
import io
import json
import os
import re
import sys

from awscli.clidriver import create_clidriver


def main():
    todo = json.load(sys.stdin)
    outcomes = {c['name']: abort(todo, c) for c in todo['cases']}
    print(json.dumps(outcomes, ensure_ascii=False))


def abort(todo, c):
    os.environ.update(AWS_ACCESS_KEY_ID=c['access_key'],
                      AWS_SECRET_ACCESS_KEY=c['secret_key'],
                      AWS_MAX_ATTEMPTS='1',
                      AWS_CONFIG_FILE=os.devnull,
                      AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    output = io.StringIO()

    with contextlib.redirect_stderr(output):
        status = create_clidriver().main([
            '--endpoint-url', todo['endpoint'], '--region', c['region'],
            's3api', 'abort-multipart-upload', '--bucket', c['bucket'],
            '--key', c['key'], '--upload-id', c['upload_id']])

    return outcome(status, re.search(r'\((\w+)\)', output.getvalue()))


def outcome(status, code):
    return ' '.join(['exit', str(status)] + ([code[1]] if code else []))


main()
