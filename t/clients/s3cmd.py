# s3cmd, a few processes at a time.  t/clients.t says what goes in and what
# comes out.

import concurrent.futures
import json
import os
import re
import subprocess
import sys


def main():
    todo = json.load(sys.stdin)
    cases = todo['cases']

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda c: abort(todo, c), cases)
        outcomes = {c['name']: o for c, o in zip(cases, found)}

    print(json.dumps(outcomes, ensure_ascii=False))


def abort(todo, c):
    host = todo['endpoint'].replace('http://', '')
    run = subprocess.run(
        ['/usr/bin/s3cmd', '--config', os.devnull, '--no-ssl',
         '--host', host, '--host-bucket', host, '--region', c['region'],
         '--access_key', c['access_key'], '--secret_key', c['secret_key'],
         'abortmp', f"s3://{c['bucket']}/{c['key']}", c['upload_id']],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True)
    code = re.search(r'\((\w+)\)', run.stderr)

    return ' '.join(['exit', str(run.returncode)] + ([code[1]] if code else []))


main()
