#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3-model-nvme through its socket, by a client made of nothing but bytes.

The client speaks vfio-user (QEMU docs/interop/vfio-user.rst) and NVMe 1.4
from their texts, not through ring3's code, so that both halves of ring3 can't
agree on the same mistake.
"""
import array
import json
import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

MODEL = os.path.join(os.environ['MESON_BUILD_ROOT'], 'ring3-model-nvme')
BASE = 0x100000         # our memory's address, as the device sees it
MEM = 1 << 20
SIZE = 8 << 20          # of the namespace
VERSION, DMA_MAP, DMA_UNMAP, INFO, REGION, IO_FDS, IRQ_INFO, SET_IRQS = \
    range(1, 9)
READ, WRITE, RESET = 9, 10, 13
CONFIG = 7              # region
# where things lie in our memory
ASQ, ACQ, SQ, CQ, DB, EI, DATA = 0, 4096, 8192, 12288, 16384, 20480, 65536

count = 0


def ok(condition, name):
    global count
    count += 1
    print(f'{"ok" if condition else "not ok"} {count} - {name}', flush=True)
    if not condition:
        raise SystemExit(1)


class Model:
    """The server's process."""

    def __init__(self, folder, *keys):
        self.file = f'{folder}/disk.img'
        self.path = f'{folder}/nvme.sock'
        if not os.path.exists(self.file):
            with open(self.file, 'wb') as f:
                f.truncate(SIZE)
        self.child = subprocess.Popen(
            [MODEL, 'nvme0', f'file={self.file}', f'listen={self.path}',
             *keys])

    def stop(self, number=signal.SIGTERM):
        self.child.send_signal(number)
        return self.child.wait(10)


class Cramped(Model):
    """The same with a file that has room for 1 MiB of its 8."""

    def __init__(self, folder):
        self.path = f'{folder}/small.sock'
        os.mkdir(f'{folder}/small')
        self.child = subprocess.Popen(
            ['unshare', '-m', 'sh', '-ec',
             # what other tests have mounted is not to be kept
             'umount -ai -t btrfs,fuse.ring3-btrfs || :; '
             'mount -t tmpfs -o size=1M none "$1"; : > "$1/disk.img"; '
             'exec "$2" nvme0 "file=$1/disk.img" "listen=$3" size=8M', 'sh',
             f'{folder}/small', MODEL, self.path])


class Supervised:
    """The same under its supervisor: in its sandbox."""

    def __init__(self, folder):
        self.name = f'model-{os.getpid()}'
        self.file = f'{folder}/disk.img'
        self.path = f'/run/ring3/{self.name}/nvme0.sock'
        with open(self.file, 'wb') as f:
            f.truncate(SIZE)
        with open(f'{folder}/node.conf', 'w') as f:
            f.write(f'[node]\nname = {self.name}\n'
                    f'[model nvme0]\ntype = nvme\nfile = {self.file}\n')
        self.ring3('up', f'{folder}/node.conf')

    def ring3(self, *words):
        program = os.path.join(os.environ['MESON_BUILD_ROOT'], 'ring3')
        done = subprocess.run([program, *words], text=True, timeout=60,
                              stdout=subprocess.PIPE, check=True)
        return done.stdout

    def stop(self):
        """0 when it never died."""
        shown = json.loads(self.ring3('status', '--json', self.name))
        self.ring3('down', self.name)
        shutil.rmtree(f'/run/ring3/{self.name}', ignore_errors=True)
        if shown['servers'][0]['restarts']:
            print('# ' + shown['servers'][0]['last_death'])
        return shown['servers'][0]['restarts']


class Client:
    """vfio-user messages."""

    def __init__(self, path):
        end = time.monotonic() + 10
        while True:
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.sock.settimeout(10)
        self.id = 0
        self.memfd = os.memfd_create('client', os.MFD_ALLOW_SEALING)
        os.truncate(self.memfd, MEM)
        import fcntl
        fcntl.fcntl(self.memfd, 1033, 2)    # F_ADD_SEALS, F_SEAL_SHRINK
        self.mem = mmap.mmap(self.memfd, MEM)
        self.call(VERSION, struct.pack('<HH', 0, 1) + b'{}\0')

    def call(self, command, body=b'', fds=()):
        """The reply's body; its fds in self.fds; OSError by its error."""
        self.id += 1
        head = struct.pack('<HHIII', self.id, command, 16 + len(body), 0, 0)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                   array.array('i', fds))] if fds else []
        self.sock.sendmsg([head + body], rights)
        head, control, *_ = self.sock.recvmsg(16, socket.CMSG_SPACE(16 * 4))
        self.fds = array.array('i')
        for _, _, data in control:
            self.fds.frombytes(data)
        number, got, size, flags, error = struct.unpack('<HHIII', head)
        assert number == self.id and got == command and flags & 15 == 1
        body = b''
        while len(body) < size - 16:
            part = self.sock.recv(size - 16 - len(body))
            assert part, 'connection closed in a reply'
            body += part
        if flags & 32:
            raise OSError(error, os.strerror(error))
        return body

    def map(self):
        self.call(DMA_MAP, struct.pack('<IIQQQ', 32, 3, 0, BASE, MEM),
                  [self.memfd])

    def read(self, region, off, size):
        body = self.call(READ, struct.pack('<QII', off, region, size))
        return body[16:]

    def write(self, region, off, data):
        self.call(WRITE, struct.pack('<QII', off, region, len(data)) + data)

    def get(self, off):
        return struct.unpack('<I', self.read(0, off, 4))[0]

    def set(self, off, value):
        self.write(0, off, struct.pack('<I', value))

    def close(self):
        self.sock.close()


class Host(Client):
    """A minimal NVMe driver: 16 entries in every queue, phase by phase."""

    def start(self):
        self.mem[:DATA] = bytes(DATA)
        self.tail, self.head, self.phase = [0, 0], [0, 0], [1, 1]
        self.write(CONFIG, 4, struct.pack('<H', 6))     # memory, bus master
        self.set(0x14, 0)
        self.wait_ready(0)
        self.set(0x24, 15 << 16 | 15)
        self.write(0, 0x28, struct.pack('<Q', BASE + ASQ))
        self.write(0, 0x30, struct.pack('<Q', BASE + ACQ))
        self.set(0x14, 4 << 20 | 6 << 16 | 1)
        self.wait_ready(1)

    def wait_ready(self, want):
        end = time.monotonic() + 10
        while self.get(0x1c) & 1 != want:
            assert time.monotonic() < end and not self.get(0x1c) & 2
            time.sleep(0.001)

    def put(self, q, opcode, nsid=0, prp1=0, prp2=0, dw=(), flags=0):
        dw = list(dw) + [0] * (6 - len(dw))
        entry = struct.pack('<BBHIQQQQ6I', opcode, flags, self.tail[q] + 100,
                            nsid, 0, 0, prp1, prp2, *dw)
        at = (SQ if q else ASQ) + 64 * self.tail[q]
        self.mem[at:at + 64] = entry
        self.tail[q] = (self.tail[q] + 1) % 16

    def ring(self, q):
        self.set(0x1000 + 8 * q, self.tail[q])

    def take(self, q, seconds=10):
        """(status, dw0) of the next completion."""
        at = (CQ if q else ACQ) + 16 * self.head[q]
        end = time.monotonic() + seconds
        while self.mem[at + 14] & 1 != self.phase[q]:
            if time.monotonic() > end:
                return None
            time.sleep(0.0005)
        dw0, _, _, _, _, status = struct.unpack('<IIHHHH',
                                                self.mem[at:at + 16])
        self.head[q] = (self.head[q] + 1) % 16
        if not self.head[q]:
            self.phase[q] ^= 1
        self.set(0x1004 + 8 * q, self.head[q])
        return status >> 1 & 0x7ff, dw0

    def run(self, q, *args, **named):
        self.put(q, *args, **named)
        self.ring(q)
        return self.take(q)

    def queues(self):
        done = self.run(0, 5, prp1=BASE + CQ, dw=(15 << 16 | 1, 1 << 16 | 3))
        done2 = self.run(0, 1, prp1=BASE + SQ, dw=(15 << 16 | 1, 1 << 16 | 1))
        return done[0] == 0 and done2[0] == 0

    def rw(self, opcode, lba, blocks, prp1, prp2=0, fua=False):
        return self.run(1, opcode, nsid=1, prp1=prp1, prp2=prp2,
                        dw=(lba, 0, blocks - 1 | (1 << 30 if fua else 0)))[0]


def looks_like_nvme(c):
    config = c.read(CONFIG, 0, 256)
    ok(config[9:12] == bytes((2, 8, 1)), 'class is NVMe')
    ok(struct.unpack_from('<I', config, 0x10)[0] & 15 == 4,
       'BAR 0 is 64-bit memory')
    c.write(CONFIG, 0x10, b'\xff' * 8)
    size, = struct.unpack('<Q', c.read(CONFIG, 0x10, 8))
    ok(-(size & ~15) & (1 << 64) - 1 == 0x4000, 'BAR 0 is 16 KiB')
    caps, at = set(), config[0x34]
    while at and len(caps) < 40:
        caps.add(config[at])
        at = config[at + 1]
    ok(caps >= {1, 0x10, 0x11}, 'has PM, PCI Express and MSI-X')
    ok(c.get(8) == 0x10400, 'version 1.4')
    info = c.call(REGION, struct.pack('<IIIIQQ', 32, 0, 0, 0, 0, 0))
    ok(struct.unpack_from('<Q', info, 16)[0] == 0x4000, 'region 0 is there')


def data_goes_through(c, path):
    c.map()
    c.start()
    ok(c.run(0, 6, prp1=BASE + DATA, dw=(1,))[0] == 0 and
       c.mem[DATA + 4:DATA + 9] == b'nvme0', 'identifies itself')
    ok(c.queues(), 'makes a queue pair')
    block = os.urandom(8192)
    c.mem[DATA:DATA + 8192] = block
    ok(c.rw(1, 16, 16, BASE + DATA, BASE + DATA + 4096) == 0, 'writes')
    with open(path, 'rb') as f:
        f.seek(8192)
        ok(f.read(8192) == block, 'what was written is in the file')
    ok(c.rw(2, 17, 8, BASE + DATA + 0x4000) == 0 and
       c.mem[DATA + 0x4000:DATA + 0x5000] == block[512:512 + 4096], 'reads')
    ok(c.rw(1, 0, 1, BASE + DATA, fua=True) == 0, 'writes with FUA')
    ok(c.run(1, 0, nsid=1)[0] == 0, 'flushes')
    ok(c.run(1, 8, nsid=1, dw=(16, 0, 7))[0] == 0 and
       c.rw(2, 16, 16, BASE + DATA, BASE + DATA + 4096) == 0 and
       c.mem[DATA:DATA + 8192] == bytes(4096) + block[4096:],
       'writes zeroes')
    c.mem[DATA:DATA + 16] = struct.pack('<IIQ', 0, 8, 24)
    ok(c.run(1, 9, nsid=1, prp1=BASE + DATA, dw=(0, 4))[0] == 0 and
       c.rw(2, 24, 8, BASE + DATA) == 0 and
       c.mem[DATA:DATA + 4096] == bytes(4096), 'deallocates')
    ok(c.rw(2, SIZE // 512, 1, BASE + DATA) == 0x80, 'past the end: refused')
    ok(c.rw(2, 0, 1, BASE + MEM) == 4, 'outside the memory: refused')


def large_and_unaligned(c):
    pages = [BASE + DATA + 4096 * i for i in range(1, 100, 2)]
    c.mem[EI:EI + 8 * 50] = struct.pack('<50Q', *pages)
    data = os.urandom(200 * 1024)
    for i in range(50):
        at = DATA + 4096 * (2 * i + 1)
        c.mem[at:at + 4096] = data[4096 * i:4096 * i + 4096]
    first = 512
    c.mem[DATA + 4096 - first:DATA + 4096] = data[-first:]
    # 512 bytes at a page's end, then 50 pages
    ok(c.rw(1, 1000, 401, BASE + DATA + 4096 - first, BASE + EI) == 0,
       'writes 200 KiB through a list')
    c.mem[DATA:DATA + 4096 * 100] = bytes(4096 * 100)
    ok(c.rw(2, 1000, 401, BASE + DATA + 4096 - first, BASE + EI) == 0,
       'reads it')
    same = all(c.mem[DATA + 4096 * (2 * i + 1):DATA + 4096 * (2 * i + 2)] ==
               data[4096 * i:4096 * i + 4096] for i in range(50))
    ok(same and c.mem[DATA + 4096 - first:DATA + 4096] == data[-first:],
       'every byte in its place')


def interrupts(c):
    event = os.eventfd(0, os.EFD_NONBLOCK)
    c.call(SET_IRQS, struct.pack('<IIIII', 20, 1 << 2 | 1 << 5, 2, 1, 1),
           [event])
    c.rw(2, 0, 1, BASE + DATA)
    end = time.monotonic() + 5
    value = 0
    while not value and time.monotonic() < end:
        try:
            value = os.eventfd_read(event)
        except BlockingIOError:
            time.sleep(0.001)
    ok(value >= 1, 'interrupts by MSI-X')
    os.close(event)


def shadow_doorbells(c):
    ok(c.run(0, 0x7c, prp1=BASE + DB, prp2=BASE + EI)[0] == 0,
       'takes doorbell buffers')
    c.call(IO_FDS, struct.pack('<IIII', 4096, 0, 0, 0))
    ok(len(c.fds) == 1, 'one eventfd for all doorbells')
    bell = c.fds[0]
    for i in range(40):
        c.put(1, 2, nsid=1, prp1=BASE + DATA, dw=(i, 0, 0))
        before, = struct.unpack_from('<I', c.mem, DB + 8)
        now = c.tail[1]
        c.mem[DB + 8:DB + 12] = struct.pack('<I', now)
        event, = struct.unpack_from('<I', c.mem, EI + 8)
        if (now - event - 1) % 65536 < (now - before) % 65536:
            os.eventfd_write(bell, 1)
        done = c.take(1, 5)
        c.mem[DB + 12:DB + 16] = struct.pack('<I', c.head[1])
        if done is None or done[0]:
            ok(False, f'request {i} by shadow doorbell: {done}')
    ok(True, 'forty requests by shadow doorbell')


def client_comes_and_goes(c, model):
    c.put(1, 2, nsid=1, prp1=BASE + DATA, dw=(0, 0, 0))
    c.close()
    c = Host(model.path)
    ok(c.get(0x1c) & 1 == 1, 'the controller kept its state')
    c.map()
    c.start()
    ok(c.queues() and c.rw(2, 0, 1, BASE + DATA) == 0,
       'a new client resets it and goes on')
    c.call(RESET)
    ok(c.get(0x1c) == 0 and c.get(0x28) == 0, 'reset')
    c.write(CONFIG, 4, struct.pack('<H', 6))
    c.start()
    ok(c.queues() and c.rw(2, 0, 1, BASE + DATA) == 0, 'and again')
    c.call(DMA_UNMAP, struct.pack('<IIQQ', 24, 0, BASE, MEM))
    c.set(0x1000, 5)
    c.set(0x1008, 5)
    ok(c.get(0x1c) & 1 == 1, 'without memory it just waits')
    c.close()


def direct(model):
    c = Host(model.path)
    c.map()
    c.start()
    data = os.urandom(8192)
    c.mem[DATA:DATA + 8192] = data
    ok(c.queues() and c.rw(1, 1, 2, BASE + DATA, BASE + DATA + 4096) == 0 and
       c.rw(2, 1, 2, BASE + DATA + 0x4000, BASE + DATA + 0x5000) == 0 and
       c.mem[DATA + 0x4000:DATA + 0x6000] == data, 'direct: data comes back')
    c.mem[DATA + 256:DATA + 256 + 4096] = data[:4096]
    ok(c.rw(1, 3, 1, BASE + DATA + 256, BASE + DATA + 4096) == 0 and
       c.rw(2, 3, 1, BASE + DATA + 0x4100, BASE + DATA + 0x5000) == 0 and
       c.mem[DATA + 0x4100:DATA + 0x5100] ==
       c.mem[DATA + 256:DATA + 256 + 4096], 'direct: unaligned memory')
    c.close()


def no_space(model):
    c = Host(model.path)
    c.map()
    c.start()
    c.queues()
    # 2 MiB as 128 KiB each, twice: pages that are there stay writable
    c.mem[EI:EI + 8 * 31] = struct.pack(
        '<31Q', *(BASE + DATA + 4096 * i for i in range(1, 32)))
    said = [c.rw(1, 256 * (i % 16), 256, BASE + DATA, BASE + EI)
            for i in range(32)]
    ok(said[0] == 0 and said[16] == 0 and said[15] == 0x81 and
       set(said) == {0, 0x81}, 'no space: says so, and goes on')
    ok(c.rw(2, 256 * 15, 8, BASE + DATA) == 0, 'no space: reads')
    ok(c.run(1, 0, nsid=1)[0] == 0, 'no space: flushes')
    c.close()


def hostile(model):
    """None of these may end the server."""
    for junk in (b'\0' * 16, b'\xff' * 64, os.urandom(4096),
                 struct.pack('<HHIII', 1, 1, 0xffffffff, 0, 0)):
        s = socket.socket(socket.AF_UNIX)
        s.connect(model.path)
        try:
            s.send(junk)
        except OSError:
            pass
        s.close()
    c = Host(model.path)
    for off in range(0, 0x1100, 4):
        c.set(off, 0xffffffff)
    c.write(CONFIG, 0, b'\xff' * 256)
    c.set(0x14, 0)
    c.map()
    c.start()
    ok(c.queues() and c.rw(2, 0, 1, BASE + DATA) == 0,
       'works after all that was hostile')
    c.close()


def everything(model):
    c = Host(model.path)
    looks_like_nvme(c)
    data_goes_through(c, model.file)
    large_and_unaligned(c)
    interrupts(c)
    shadow_doorbells(c)
    client_comes_and_goes(c, model)
    hostile(model)


def with_model(model, test):
    try:
        test(model)
        ok(model.stop() == 0, 'ends when asked to')
    finally:
        if model.child.poll() is None:
            model.child.kill()
            model.child.wait()


def by_hand(folder):
    with_model(Model(folder), everything)
    with_model(Model(folder, 'direct=yes', 'block_size=4096'), direct)
    if not os.geteuid():
        with_model(Cramped(folder), no_space)


def supervised(folder):
    model = Supervised(folder)
    try:
        everything(model)
    finally:
        ok(model.stop() == 0, 'never died in its sandbox')


def main():
    if '--node' in sys.argv and os.geteuid():
        print('SKIP: a node needs root')
        return 77
    folder = tempfile.mkdtemp()
    try:
        supervised(folder) if '--node' in sys.argv else by_hand(folder)
    finally:
        shutil.rmtree(folder)
    print(f'1..{count}')
    return 0


sys.exit(main())
