# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile front end at the NVMe driver's socket: it may lose its connection,
the driver may not lose its life, nor anything else a decent client needs.

After each attack the driver is the same process, still up, and serves a decent
client; after all of them neither it nor its supervisor holds more file
descriptors or much more memory.
"""
import mmap
import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import time

import front
from front import Front, Gone, memory
from hostnode import HANG_MS, Node, sanitized, serves

# ---- attacks: each gets a function that connects ----------------------------

def garbage(connect):
    rand = random.Random(1)
    for _ in range(50):
        with connect() as f:
            f.raw(rand.randbytes(rand.randrange(1, 2000)))


def sizes(connect):
    for size in (9, 268, 0x10000, 0x7fffffff, 0xffffffff):
        for request in (front.SET_FEATURES, front.SET_MEM_TABLE,
                        front.SET_CONFIG, 0, 99, 0xffffffff):
            with connect() as f:
                f.send(request, b'x' * 64, size=size)


def every_request_empty(connect):
    for request in range(64):
        for size in (0, 8, 20, 40):
            with connect() as f:
                f.hello()
                f.send(request, b'\xff' * size)


def every_request_with_fds(connect):
    null = os.open('/dev/null', os.O_RDWR)
    try:
        for request in range(40):
            with connect() as f:
                f.hello()
                f.send(request, b'\0' * 8, [null] * 8)
        for n in (9, 64, 253):
            with connect() as f:
                f.send(front.SET_OWNER, b'', [null] * n)
    finally:
        os.close(null)


def table_tricks(connect):
    pipe = os.pipe()
    fds = {
        'pipe': pipe[0], 'folder': os.open('/tmp', os.O_RDONLY),
        'null': os.open('/dev/zero', os.O_RDWR), 'empty': memory(0),
        'short': memory(4096), 'good': memory(),
        'reading': os.open('/proc/self/exe', os.O_RDONLY),
        'on disk': os.open('/var/tmp', os.O_RDWR | os.O_TMPFILE),
    }
    os.ftruncate(fds['on disk'], front.SIZE)
    size = front.SIZE
    tables = [[(0, size, 0, 0, fds[n])] for n in fds] + [
        [(0, size, 0, 0, fds['good']), (4096, size, size, 0, fds['good'])],
        [(0, size, 0, 0, fds['good']), (size, size, 0, 0, fds['good'])],
        [(2**64 - 4096, 4096, 0, 0, fds['good'])],
        [(0, size, 2**64 - 4096, 0, fds['good'])],
        [(0, 4096, 0, 2**64 - 4096, fds['good'])],
        [(0, 4096, 0, 2**63, fds['good'])],
        [(0, 2**63, 0, 0, fds['good'])], [(0, 0, 0, 0, fds['good'])],
        [(1, size, 0, 0, fds['good'])], [(0, size - 1, 0, 0, fds['good'])],
    ]
    try:
        for table in tables:
            with connect() as f:
                f.hello()
                f.table(*table)
                f.queue()
                f.ping()
    finally:
        for fd in [*fds.values(), pipe[1]]:
            os.close(fd)


def counts_that_lie(connect):
    for count in (2, 8, 9, 2**31, 2**32 - 1):
        with connect() as f:
            f.hello()
            fd = f.own(memory())
            f.send(front.SET_MEM_TABLE, struct.pack('=IIQQQQ', count, 0, 0,
                                                    front.SIZE, 0, 0), [fd])


def many_regions(connect):
    with connect() as f:
        f.hello()
        fd = f.own(memory())
        for i in range(64):
            f.send(front.ADD_REGION,
                   struct.pack('=QQQQQ', 0, i * front.SIZE, front.SIZE,
                               i * front.SIZE, 0), [fd])
        f.gone()


def truncated_memory(connect):
    for sealed in (False, True):
        with connect() as f:
            f.hello()
            fd = f.own(memory(sealed=sealed))
            f.share(fd)
            f.queue()
            f.ping()
            if not sealed:
                os.ftruncate(fd, 0)
            os.eventfd_write(f.kick, 1)
            time.sleep(0.05)


def no_huge_page_left(connect):
    """A sealed file, and yet touching it is SIGBUS."""
    try:
        fd = os.memfd_create('huge', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING |
                             os.MFD_HUGETLB)
        os.ftruncate(fd, 1 << 30)
        front.fcntl.fcntl(fd, *front.SEALS)
    except OSError:
        return
    with connect() as f:
        f.own(fd)
        f.hello()
        f.table((0, 1 << 30, 0, 0, fd))
        f.queue()
        f.ping()


def rings(connect):
    """Descriptors, indices and heads that make no sense."""
    def loop(f):
        f.describe(0, front.DATA, 16, front.NEXT, 0)
        f.offer(0)

    def long_loop(f):
        for i in range(128):
            f.describe(i, front.DATA, 16, front.NEXT, (i + 1) % 128)
        f.offer(0)

    def next_outside(f):
        f.describe(0, front.DATA, 16, front.NEXT, 60000)
        f.offer(0)

    def outside(f):
        f.describe(0, 2**40, 16, front.NEXT, 1)
        f.offer(0)

    def wraps(f):
        f.describe(0, 2**64 - 8, 16, front.NEXT, 1)
        f.offer(0)

    def past_the_end(f):
        f.describe(0, front.SIZE - 8, 16, front.WRITE)
        f.offer(0)

    def no_length(f):
        f.describe(0, front.DATA, 0, front.WRITE)
        f.offer(0)

    def ran_ahead(f):
        f.offer(0, run=129)

    def far_ahead(f):
        f.offer(0, run=40000)

    def head_outside(f):
        f.offer(128)

    def twice(f):
        f.describe(0, front.DATA, 16, front.NEXT, 1)
        f.describe(1, front.DATA + 16, 1, front.WRITE)
        f.offer(0, 0)

    def table(f):
        f.describe(0, 2**40, 32, front.TABLE)
        f.offer(0)

    def in_itself(f):
        f.describe(0, front.DESC, 16, front.TABLE)
        f.offer(0)

    def no_status(f):
        f.describe(0, front.DATA, 16)
        f.offer(0)

    for attack in (loop, long_loop, next_outside, outside, wraps,
                   past_the_end, no_length, ran_ahead, far_ahead,
                   head_outside, twice, table, in_itself, no_status):
        for features in (front.VERSION_1, front.VERSION_1 | front.INDIRECT |
                         front.EVENT_IDX):
            with connect() as f:
                f.ready(features)
                attack(f)
                f.gone(0.2)


def random_rings(connect):
    rand = random.Random(2)
    for features in (0, front.INDIRECT | front.EVENT_IDX, front.PACKED,
                     front.PACKED | front.INDIRECT | front.EVENT_IDX):
        for _ in range(8):
            with connect() as f:
                f.ready(features | front.VERSION_1)
                for _ in range(20):
                    f.mem[:0x3000] = rand.randbytes(0x3000)
                    os.eventfd_write(f.kick, 1)


def requests_at_the_edge(connect):
    for kind in (0, 1, 4, 8, 11, 13, 14, 0xffff, 2**32 - 1):
        for sector in (0, 2**17 - 1, 2**17, 2**55, 2**64 - 1):
            for length in (1, 511, 512, 4096, 0x8000):
                with connect() as f:
                    f.ready()
                    f.request(kind, sector, length)


def endless_work(connect):
    """The longest requests there are, at odd addresses, as many as the ring
    holds, for longer than the driver may be silent."""
    pieces, tables, data = 120, 0x4000, 0x50000
    with connect() as f:
        f.ready(front.VERSION_1 | front.INDIRECT)
        for slot in range(128):
            head, at = data + 16 * slot, tables + 0x800 * slot
            rows = [(head, 16, front.NEXT)]
            rows += [(data + 0x1001 + 37 * i, 512, front.NEXT | front.WRITE)
                     for i in range(pieces)]
            rows += [(front.SIZE - 256 + slot, 1, front.WRITE)]
            struct.pack_into('=IIQ', f.mem, head, 0, 0, 8 * slot)
            for i, (addr, length, flags) in enumerate(rows):
                f.describe(i, addr, length, flags, i + 1, at)
            f.describe(slot, at, 16 * len(rows), front.TABLE)
        end = time.monotonic() + 1.5 * HANG_MS / 1000
        f.offer(*range(128))
        while time.monotonic() < end:
            seen = f.used
            f.wait()
            while seen != f.used:
                used = front.USED + 4 + 8 * (seen % 128)
                f.offer(struct.unpack_from('=I', f.mem, used)[0])
                seen = (seen + 1) & 65535
        assert f.mem[front.SIZE - 256] == 0, 'a request of it failed'


def rings_elsewhere(connect):
    """Rings at odd addresses, outside the memory, on top of each other."""
    for desc, avail, used in ((2**40, 0x1000, 0x2000), (0, 2**40, 0x2000),
                              (0, 0x1000, 2**40), (8, 0x1000, 0x2000),
                              (0, 0x1001, 0x2000), (0, 0x1000, 0x2001),
                              (0, 0, 0), (front.SIZE - 16, 0x1000, 0x2000),
                              (2**64 - 16, 0x1000, 0x2000)):
        with connect() as f:
            f.hello()
            f.share()
            f.queue(desc=desc, avail=avail, used=used)
            f.ping()
            os.eventfd_write(f.kick, 1)
            f.ping()
    for size in (0, 3, 257, 32768, 65536 + 128, 2**32 - 1):
        with connect() as f:
            f.hello()
            f.share()
            f.queue(size=size)
            f.ping()


def strange_kicks(connect):
    pipe, pair = os.pipe(), socket.socketpair()
    gone = os.pipe()
    os.close(gone[1])
    fds = [os.open('/dev/null', os.O_RDWR), os.open('/tmp', os.O_RDONLY),
           os.open('/dev/zero', os.O_RDWR), pipe[0], pipe[1], gone[0],
           pair[0].fileno(), memory()]
    try:
        for kick in fds:
            for call in (None, kick):
                with connect(timeout=0.1) as f:
                    f.hello()
                    f.share()
                    f.queue(kick=kick, call=call)
                    f.ping()
                    f.request(0, 0)
    finally:
        for fd in [pipe[1], *fds[:6], fds[7]]:
            try:
                os.close(fd)
            except OSError:
                pass
        pair[0].close()
        pair[1].close()


def full_call(connect):
    """An eventfd whose counter is full, blocking again behind our back."""
    with connect() as f:
        f.hello()
        f.share()
        f.queue()
        f.ping()
        os.eventfd_write(f.call, 2**64 - 2)
        f.describe(0, front.DATA, 16, front.NEXT, 1)
        f.describe(1, front.DATA + 16, 1, front.WRITE)
        f.offer(0)
        time.sleep(0.05)
        f.ping()


def inflight(connect):
    """Regions that are too short, of another size, or full of garbage."""
    rand = random.Random(3)
    for features in (0, front.PACKED):
        for queues, size, length, off in (
                (1, 128, 1 << 16, 0), (4, 256, 1 << 17, 0), (1, 128, 64, 0),
                (1, 4, 1 << 16, 0), (9999, 128, 1 << 16, 0),
                (0, 0, 0, 0), (1, 128, 2**64 - 1, 0), (1, 128, 4096, 1 << 40),
                (1, 128, 1 << 16, 3), (1, 65535, 1 << 16, 0)):
            for version in (0, 1):
                with connect() as f:
                    f.hello(features | front.VERSION_1)
                    f.share()
                    fd = f.own(memory())
                    with mmap.mmap(fd, front.SIZE) as m:
                        m[:0x4000] = rand.randbytes(0x4000)
                        struct.pack_into('=QHH', m, 0, 0, version, 128)
                    f.send(front.SET_INFLIGHT,
                           struct.pack('=QQHHI', length, off, queues, size, 0),
                           [fd])
                    f.queue()
                    f.ping()
        for queues, size in ((0, 0), (65535, 65535), (1, 0), (0, 128)):
            with connect() as f:
                f.hello()
                f.ask(front.GET_INFLIGHT,
                      struct.pack('=QQHHI', 0, 0, queues, size, 0))


def a_flood(connect):
    """Messages as fast as they go, with replies that nobody reads."""
    with connect(timeout=2) as f:
        try:
            for _ in range(20000):
                f.send(front.GET_FEATURES)
        except socket.timeout:
            pass
    with connect(timeout=2) as f:
        f.hello()
        f.share()
        for i in range(2000):
            fd = os.eventfd(0)
            f.number(front.SET_CALL, i & 3, [fd])
            os.close(fd)
        f.ping()


def connections(connect):
    """A crowd that connects and leaves."""
    for _ in range(1000):
        with connect():
            pass


def settings_while_running(connect):
    for request, payload in (
            (front.SET_NUM, struct.pack('=II', 0, 64)),
            (front.SET_BASE, struct.pack('=II', 0, 7)),
            (front.SET_FEATURES, struct.pack('=Q', 0)),
            (front.SET_ADDR, struct.pack('=IIQQQQ', 0, 0, 64, 64, 64, 0)),
            (front.SET_ENABLE, struct.pack('=II', 99, 1)),
            (front.SET_ENABLE, struct.pack('=II', 0, 0)),
            (front.GET_BASE, struct.pack('=II', 99, 1)),
            (front.SET_MEM_TABLE, struct.pack('=II', 0, 0)),
            (front.SET_MEM_TABLE, struct.pack('=II', 0, 0) + b'\0' * 256)):
        with connect() as f:
            f.ready()
            for i in range(8):
                f.describe(2 * i, front.DATA, 16, front.NEXT, 2 * i + 1)
                f.describe(2 * i + 1, front.DATA + 16, 1, front.WRITE)
            f.offer(*range(0, 16, 2))
            f.send(request, payload)
            f.send(front.SET_KICK, struct.pack('=Q', 0x100))
            f.gone(0.1)


def left_in_the_middle(connect):
    """Half a message, a message without its fds, then away."""
    whole = struct.pack('=IIIIIQQQQ', front.SET_MEM_TABLE, 1, 40, 1, 0, 0,
                        front.SIZE, 0, 0)
    for cut in range(1, len(whole), 5):
        with connect() as f:
            f.hello()
            f.raw(whole[:cut], [f.own(memory())])


def half_a_message(connect):
    """And then silence, with the connection open: others wait 5 s, no more."""
    f = connect(timeout=8)
    f.hello()
    f.ping()
    f.raw(struct.pack('=III', front.SET_FEATURES, 1, 8) + b'1234')
    LEFT_OPEN.append(f)


LEFT_OPEN = []
ATTACKS = [garbage, sizes, every_request_empty, every_request_with_fds,
           table_tricks, counts_that_lie, many_regions, truncated_memory,
           no_huge_page_left, rings, random_rings, requests_at_the_edge,
           endless_work, rings_elsewhere, strange_kicks, full_call, inflight,
           a_flood, connections, settings_while_running, left_in_the_middle,
           half_a_message]


# ---- and what it may not do -------------------------------------------------

def attempt(node, attack):
    before = node.units()

    def connect(timeout=3):
        return Careful(node.sock, timeout)

    started = time.monotonic()
    try:
        attack(connect)
        serves(node, attack.__name__)
    except (Gone, TimeoutError, socket.timeout, AssertionError) as e:
        return f'then a decent client was not served: {type(e).__name__} {e}'
    after = node.units()
    for name, unit in after.items():
        if unit['pid'] != before[name]['pid']:
            return f'{name} died: {unit.get("last_death")}'
    print(f'# {attack.__name__} took {time.monotonic() - started:.1f} s')
    return None


class Careful(Front):
    """Being cut off is what an attack expects."""

    def __exit__(self, kind, *_):
        super().__exit__()
        return kind in (Gone, TimeoutError, socket.timeout) or \
            kind is not None and issubclass(kind, OSError)


def main():
    folder = tempfile.mkdtemp(prefix='r3hostile.')
    failed = 0
    chosen = [a for a in ATTACKS if len(sys.argv) < 2 or
              a.__name__ in sys.argv[1:]]
    node = Node(folder)
    try:
        node.up()
        serves(node, 'first')
        connections(lambda: Careful(node.sock))
        before = node.held()
        for number, attack in enumerate(chosen, 1):
            why = attempt(node, attack)
            failed += why is not None
            print(f'{"not " if why else ""}ok {number} - '
                  f'{attack.__name__.replace("_", " ")}', flush=True)
            if why:
                print(f'# {why}')
                print('# ' + node.logs().replace(
                    '\n', '\n# ')[-3000:])
        after = node.held()
        print(f'# fds and KiB before {before} after {after}')
        kept = all(after[n][0] <= before[n][0] + 2 and
                   (sanitized() or after[n][1] <= before[n][1] + 2048)
                   for n in before)
        failed += not kept
        print(f'{"" if kept else "not "}ok {len(chosen) + 1} - nothing leaks')
        print(f'1..{len(chosen) + 1}')
    finally:
        node.down()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
