#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that kill the driver, and controllers that misbehave.

A request at which the driver dies or hangs twice fails, alone, and is counted;
what else was in flight is done.  A controller that completes unknown commands,
reports a fatal status, or stops answering is reset, and nobody notices; one
that never gets ready is given up, in bounded time, by name.  Prints TAP.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.environ.get('MESON_SOURCE_ROOT') or os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get('MESON_BUILD_ROOT') or f'{ROOT}/build'
VERIFY = f'{BUILD}/tests/fault/model/blkverify'
LBA = 5000          # of 512 bytes, at which the driver is hurt
SIZE = 64 << 20

NODE = '''[node]
name = {name}

[model disk0]
type = nvme
file = {folder}/disk.img
size = 64M

[driver nvme0]
type = nvme
device = disk0
inject = {inject}
'''

number = bad = 0


def ok(good, name, *more):
    global number, bad
    number += 1
    bad += not good
    print(f'{"ok" if good else "not ok"} {number} - {name}')
    if not good:
        for text in more:
            for line in str(text).splitlines()[-30:]:
                print('# ' + line)
    sys.stdout.flush()


def ring3(*words):
    return subprocess.run([f'{BUILD}/ring3', *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60).stdout


def verify(sock, *keys):
    """What a client notices under load: (result, stderr)"""
    p = subprocess.run([VERIFY, sock, f'size={SIZE}', 'gap_us=100000', *keys],
                       text=True, capture_output=True, timeout=100)
    try:
        return json.loads(p.stdout), p.stderr
    except ValueError:
        return {'ok': False, 'errors': -1, 'corrupt': -1}, p.stderr


def quarantine(folder, how, limit_s):
    """Load, while whoever touches one block hurts the driver."""
    name = f'trouble-{os.getpid()}-{how}'
    with open(f'{folder}/disk.img', 'wb') as f:
        f.truncate(SIZE)
    with open(f'{folder}/node.conf', 'w') as f:
        f.write(NODE.format(name=name, folder=folder,
                            inject=f'{how}-lba:{LBA}'))
    up = ring3('up', f'{folder}/node.conf')
    try:
        # blocks 0 to 8191, one in 64 requests or so touches LBA
        p = subprocess.Popen(
            [f'{BUILD}/tests/fault/driver/blk_poison',
             f'/run/ring3/{name}/nvme0.sock', str(LBA), str(limit_s)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = p.communicate(timeout=limit_s + 10)
        servers = {s['name']: s for s in json.loads(
            ring3('status', '--json', name))['servers']}
        logs = ring3('logs', '-n', name)
        ok(p.returncode == 0, f'{how}: the poison fails, the others do not',
           up, out, logs)
        ok(servers['nvme0']['quarantined'] == 1, f'{how}: one is counted',
           servers['nvme0'])
        ok('killed this driver twice' in logs, f'{how}: and reported', logs)
    finally:
        ring3('down', name)
        shutil.rmtree(f'/run/ring3/{name}', ignore_errors=True)


class ByHand:
    """Model and driver without a supervisor."""
    def __init__(self, folder, inject, *driver):
        self.folder = folder
        self.log = open(f'{folder}/log', 'w+')
        for leftover in ('m.sock', 'b.sock', 'hand.img'):
            if os.path.exists(f'{folder}/{leftover}'):
                os.unlink(f'{folder}/{leftover}')
        with open(f'{folder}/hand.img', 'wb') as f:
            f.truncate(SIZE)
        self.model = self.start('ring3-model-nvme', 'disk0',
                                f'file={folder}/hand.img',
                                f'listen={folder}/m.sock', f'inject={inject}')
        self.wait_for('m.sock')
        self.driver = self.start('ring3-driver-nvme', 'nvme0',
                                 f'device=vfio-user:{folder}/m.sock',
                                 f'listen={folder}/b.sock', *driver)

    def start(self, *argv):
        return subprocess.Popen([f'{BUILD}/{argv[0]}', *argv[1:]],
                                stdout=self.log, stderr=self.log)

    def wait_for(self, name):
        end = time.monotonic() + 10
        while not os.path.exists(f'{self.folder}/{name}') and \
                time.monotonic() < end:
            time.sleep(0.01)

    def logs(self):
        with open(f'{self.folder}/log') as f:
            return f.read()

    def close(self):
        for p in (self.driver, self.model):
            p.send_signal(signal.SIGKILL)
            p.wait()


ROWS = [     # name, inject, word in the log
    ('completes unknown commands', 'unknown-cid:200', 'unknown command'),
    ('reports a fatal status', 'fatal:300', 'fatal status'),
    ('stops answering', 'stall:400', 'not completed in time'),
]


def misbehaves(folder, name, inject, word):
    hand = ByHand(folder, inject, 'timeout_ms=200')
    try:
        hand.wait_for('b.sock')
        result, err = verify(f'{folder}/b.sock', 'seconds=3')
        ok(result['ok'] and result['errors'] == 0, f'{name}: no error',
           result, err, hand.logs())
        ok(word in hand.logs() and '[nvme0]' in hand.logs(),
           f'{name}: the log says so', hand.logs())
    finally:
        hand.close()


def never_ready(folder):
    hand = ByHand(folder, 'never-ready')
    try:
        rc = hand.driver.wait(timeout=60)
        ok(rc == 1 and 'nvme0' in hand.logs() and
           'did not get ready in time' in hand.logs(),
           'never ready: given up in time, by name', hand.logs())
    except subprocess.TimeoutExpired:
        ok(False, 'never ready: given up in time', hand.logs())
    finally:
        hand.close()


def main():
    if os.geteuid():
        print('SKIP: a node needs root')
        return 77
    folder = tempfile.mkdtemp(dir='/var/tmp')
    try:
        quarantine(folder, 'crash', 20)
        quarantine(folder, 'hang', 40)
        for row in ROWS:
            misbehaves(folder, *row)
        never_ready(folder)
    finally:
        shutil.rmtree(folder)
    print(f'1..{number}')
    return 1 if bad else 0


sys.exit(main())
