# SPDX-License-Identifier: GPL-2.0-or-later
"""What a former life of the driver left behind is no more trusted than what a
client sends: rubbish in the kept page and in the inflight region, with a client
that stays connected, and then SIGKILL.

The next life has to come up, and a client to be served: the old one if it can
be resumed, else one that connects anew.
"""
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time

import front
from front import Front, Gone
from hostnode import Node, serves

PRIVATE, STATE, NOTE = 4096, 8192, 64   # bytes: the runtime's, vub's, blk's
HEAD = 8        # magic, open, busy, own_inflight, padding
ROUNDS = 60


def page_of(node):
    """The kept page of nvme0 is a memfd that the supervisor holds."""
    fds = f'/proc/{node.units()["supervisor"]["pid"]}/fd'
    for fd in os.listdir(fds):
        try:
            name = os.readlink(f'{fds}/{fd}')
        except FileNotFoundError:
            continue    # who asked for the status has just left
        if name.startswith('/memfd:nvme0'):
            with open(f'{fds}/{fd}', 'r+b') as f:
                return mmap.mmap(f.fileno(), 0)
    raise AssertionError('no kept page')


def flip(rand, mem, start, end, count):
    for _ in range(count):
        mem[rand.randrange(start, end)] = rand.choice(
            (0, 1, 0x7f, 0x80, 0xff, rand.randrange(256)))


def numbers(rand, mem, start, end, count):
    """Whole words: sizes, addresses, indices at their edges."""
    for _ in range(count):
        at = rand.randrange(start, end - 8) & ~7
        struct.pack_into('=Q', mem, at, rand.choice(
            (0, 1, 4096, 2**63, 2**64 - 1, 2**64 - 4096, 1 << 20,
             rand.randrange(2**64))))


def all_random(rand, page, f):
    page[PRIVATE:PRIVATE + STATE + NOTE] = rand.randbytes(STATE + NOTE)


def random_behind_the_head(rand, page, f):
    page[PRIVATE + HEAD:PRIVATE + STATE] = rand.randbytes(STATE - HEAD)


def head(rand, page, f):
    flip(rand, page, PRIVATE, PRIVATE + HEAD, 2)


def bytes_of_state(rand, page, f):
    flip(rand, page, PRIVATE + HEAD, PRIVATE + 40 + 32 * 34, 4)


def words_of_state(rand, page, f):
    numbers(rand, page, PRIVATE + HEAD, PRIVATE + 48 + 32 * 3, 1)


def queues(rand, page, f):
    numbers(rand, page, PRIVATE + 48 + 32 * 32, PRIVATE + 48 + 32 * 36, 2)


def note(rand, page, f):
    numbers(rand, page, PRIVATE + STATE, PRIVATE + STATE + NOTE, 4)


def inflight(rand, page, f):
    if f.region:
        flip(rand, f.region, 0, 16 + 16 * 128, 20)
        struct.pack_into('=Q', f.region, 0, 0)


def inflight_words(rand, page, f):
    if f.region:
        numbers(rand, f.region, 0, 2000, 4)


def rings(rand, page, f):
    f.mem[:0x3000] = rand.randbytes(0x3000)


KINDS = [all_random, random_behind_the_head, head, bytes_of_state,
         words_of_state, queues, note, inflight,
         inflight_words, rings]


def client(node, packed):
    """With some requests in flight or done, and an inflight region."""
    f = Front(node.sock)
    f.hello(front.VERSION_1 | (front.PACKED if packed else 0))
    f.share()
    got = f.ask(front.GET_INFLIGHT, struct.pack('=QQHHI', 0, 0, 4, 128, 0))
    length, off, queues_, size = struct.unpack('=QQHH', got[:20])
    f.region = mmap.mmap(f.fds[-1], length)
    f.send(front.SET_INFLIGHT, struct.pack('=QQHHI', length, off, queues_,
                                           size, 0), [f.fds[-1]])
    f.queue()
    f.ping()
    if not packed:
        for i in range(3):
            f.request(0, 8 * i, at=3 * i)
    return f


def wait_up(node, pid):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        unit = node.units()['nvme0']
        if unit['state'] == 'up' and unit['pid'] != pid:
            return unit
        if unit['state'] == 'failed':
            break
        time.sleep(0.005)
    raise AssertionError(f'not up again: {unit["state"]}, '
                         f'{unit["last_death"]}')


def round_of(node, rand, kind, packed):
    page = page_of(node)
    with client(node, packed) as f:
        pid = node.units()['nvme0']['pid']
        os.kill(pid, signal.SIGSTOP)
        kind(rand, page, f)
        os.kill(pid, signal.SIGKILL)
        unit = wait_up(node, pid)
        assert unit['last_death'] == 'signal SIGKILL', unit['last_death']
        try:
            os.eventfd_write(f.kick, 1)
            f.ping()
        except (Gone, OSError):
            pass
    serves(node, kind.__name__)
    after = node.units()['nvme0']
    assert after['pid'] == unit['pid'], f'died: {after["last_death"]}'


def fill(fd):
    """A call of the driver's may come in between."""
    while True:
        try:
            os.eventfd_read(fd)
        except BlockingIOError:
            pass
        try:
            os.eventfd_write(fd, 2**64 - 2)
            return
        except BlockingIOError:
            pass


def a_full_call(node):
    """The call fd blocking and full: nobody waits for it to be read."""
    pid = node.units()['nvme0']['pid']
    with Front(node.sock) as f:
        f.ready()
        for i in range(3):
            os.set_blocking(f.call, False)
            fill(f.call)
            os.set_blocking(f.call, True)
            f.request(0, 8 * i)
            f.ping()
    serves(node, 'after a full call')
    assert node.units()['nvme0']['pid'] == pid, 'died'


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    rand = random.Random(seed)
    folder = tempfile.mkdtemp(prefix='r3kept.')
    node = Node(folder)
    failed = 0
    try:
        node.up()
        serves(node, 'first')
        for i in range(rounds):
            kind = KINDS[i % len(KINDS)]
            try:
                round_of(node, rand, kind, i // len(KINDS) % 3 == 2)
            except (AssertionError, Gone, TimeoutError) as e:
                print(f'# round {i} {kind.__name__}: {type(e).__name__} {e}')
                print('# ' + node.logs().replace('\n', '\n# ')[-3000:])
                failed += 1
                break
        held = node.held()
        print(f'# {rounds} rounds, seed {seed}; fds and KiB {json.dumps(held)}')
        print(f'{"not " if failed else ""}ok 1 - rubbish in what was kept')
        good = held['nvme0'][0] < 25 and held['supervisor'][0] < 30
        failed += not good
        print(f'{"" if good else "not "}ok 2 - nothing leaks')
        try:
            a_full_call(node)
            print('ok 3 - a full call fd stops nobody')
        except (AssertionError, Gone, TimeoutError) as e:
            failed += 1
            print(f'not ok 3 - a full call fd stops nobody\n# {e}')
            print('# ' + node.logs().replace('\n', '\n# ')[-3000:])
        print('1..3')
    finally:
        node.down()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
