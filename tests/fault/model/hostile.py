# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile vfio-user client at the NVMe model: random messages, registers,
commands and PRP lists, from a fixed seed.  The model lives, holds no more file
descriptors and memory in the end, and serves a decent client."""
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ['MESON_BUILD_ROOT']
sys.path.insert(0, os.path.join(os.environ['MESON_SOURCE_ROOT'],
                                'tests/interop/device'))
sys.dont_write_bytecode = True
import vu       # noqa: E402

SIZE = 1 << 20
CONNECTIONS, STEPS = 60, 200
OPCODES = (0, 1, 2, 4, 5, 6, 8, 9, 10, 0xc, 0x10, 0x11, 0x7c, 0x80)
REGISTERS = (0, 0x14, 0x1c, 0x20, 0x24, 0x28, 0x30, 0x1000, 0x1004, 0x1008,
             0x2000, 0x3ff8)


class Attack:
    def __init__(self, path, rand):
        self.rand = rand
        self.c = vu.Client(path, timeout=10)
        self.c.version()
        self.fd, self.mem = vu.memfd(SIZE)
        self.c.fds.append(self.fd)

    def close(self):
        self.c.close()
        self.mem.close()

    def enable(self):
        """The controller on, with its admin queues."""
        c = self.c
        c.write(vu.CONFIG, 4, struct.pack('=H', 0x406))
        c.write(0, 0x14, bytes(4))
        c.write(0, 0x24, struct.pack('=I', 31 << 16 | 31))
        c.write(0, 0x28, struct.pack('=Q', 0))
        c.write(0, 0x30, struct.pack('=Q', 0x2000))
        c.write(0, 0x14, struct.pack('=I', 0x460001))

    def address(self):
        return self.rand.choice((0, 0x8000, 0x9000, 0x8ff8, 0xff000, 2**63, 4,
                                 1 << 40, self.rand.randrange(SIZE) & ~7))

    def word(self, *likely):
        return self.rand.choice((*likely, self.rand.randrange(2**32)))

    def commands(self):
        rand = self.rand
        at = 0 if rand.random() < .7 else 0x4000
        for i in range(32):
            struct.pack_into(
                '=BBHIQQQQIIIIII', self.mem, at + 64 * i,
                rand.choice((*OPCODES, rand.randrange(256))),
                rand.choice((0, 0, 0, 1, 0x40)), i,
                rand.choice((0, 1, 1, 2, 2**32 - 1)), 0, 0, self.address(),
                self.address(), self.word(0, 1, 2, 31 << 16 | 1, 31 << 16 | 2),
                self.word(0, 1, 3, 1 << 16 | 1), self.word(0, 7, 31),
                self.word(0), 0, 0)
        for off in range(0x8000, 0xa000, 8):
            struct.pack_into('=Q', self.mem, off, rand.choice(
                (0x10000, 0x11000, 0x8000, 0x9000, 0, 1 << 50)))
        self.c.write(0, 0x1000 + 4 * rand.randrange(6),
                     struct.pack('=I', rand.randrange(34)))

    def registers(self):
        self.c.write(self.rand.choice((0, 0, 0, 7, 1, 9)),
                     self.rand.choice((*REGISTERS,
                                       self.rand.randrange(0x5000))),
                     self.rand.randbytes(self.rand.choice((1, 2, 4, 8, 64))))

    def reading(self):
        self.c.read(self.rand.choice((0, 7, 8, 20)),
                    self.rand.randrange(0x5000),
                    self.rand.choice((1, 2, 4, 8, 4096)))

    def mapping(self):
        self.c.dma_map(self.fd, self.rand.choice((0, SIZE, 4096, 2**64 - 4096)),
                       self.rand.choice((4096, SIZE, 0, 1)),
                       self.rand.choice((0, 4096, SIZE // 2, 3)))

    def unmapping(self):
        self.c.dma_unmap(0, SIZE)

    def interrupts(self):
        rand = self.rand
        fds = [vu.eventfd() for _ in range(rand.randrange(6))]
        try:
            self.c.set_irqs(rand.randrange(6),
                            rand.choice((0x24, 0x21, 0x22, 0x0c, 0x14,
                                         rand.randrange(64))),
                            rand.randrange(6), rand.randrange(6),
                            rand.randbytes(rand.randrange(6)), fds)
        finally:
            for fd in fds:
                os.close(fd)

    def anything(self):
        self.c.call(self.rand.randrange(1, 20),
                    self.rand.randbytes(self.rand.randrange(64)),
                    [self.fd] * self.rand.randrange(3))

    def run(self):
        steps = [self.commands] * 7 + [self.registers] * 3 + \
            [self.reading] * 2 + [self.mapping] * 2 + \
            [self.interrupts] * 2 + [self.anything] * 2 + \
            [self.unmapping, self.c.reset, self.enable]
        for first in (lambda: self.c.dma_map(self.fd, 0, SIZE), self.enable):
            if self.rand.random() < .9:
                first()
        for _ in range(STEPS):
            try:
                self.rand.choice(steps)()
            except vu.Refused:
                pass


def held(pid):
    with open(f'/proc/{pid}/status') as f:
        rss = [int(line.split()[1]) for line in f
               if line.startswith('VmRSS:')][0]
    return len(os.listdir(f'/proc/{pid}/fd')), rss


def assault(path, rand, count):
    for _ in range(count):
        attack = Attack(path, rand)
        try:
            attack.run()
        except (vu.Gone, vu.Refused):
            pass        # cut off, as it may be
        finally:
            attack.close()


def main():
    rand = random.Random(7)
    with tempfile.TemporaryDirectory(prefix='r3hostile.') as folder:
        path = f'{folder}/m.sock'
        with open(f'{folder}/disk.img', 'wb') as f:
            f.truncate(16 << 20)
        with open(f'{folder}/log', 'w') as log:
            model = subprocess.Popen(
                [f'{BUILD}/ring3-model-nvme', 'm', f'file={folder}/disk.img',
                 f'listen={path}'], stderr=log)
        try:
            while not os.path.exists(path):
                assert model.poll() is None, 'not started'
                time.sleep(0.01)
            assault(path, rand, 5)
            before = held(model.pid)
            assault(path, rand, CONNECTIONS)
            after = held(model.pid)
            decent = Attack(path, rand)
            version = decent.c.read(0, 8, 4)
            decent.close()
            good = version == struct.pack('=I', 0x10400)
            why = '' if good else f'version register {version}'
        except (AssertionError, OSError, vu.Gone, socket.timeout) as e:
            good, why, before, after = False, f'{type(e).__name__} {e}', 0, 0
        ended = model.poll()
        if ended is None:
            model.send_signal(signal.SIGTERM)
            model.wait(10)
        print(f'{"" if good else "not "}ok 1 - it serves a decent client')
        print(f'{"not " if ended is not None else ""}ok 2 - it lives')
        flat = before and after[0] <= before[0] + 1
        print(f'{"" if flat else "not "}ok 3 - no more file descriptors\n1..3')
        print(f'# {why} exit {ended}, fds and KiB {before} {after}')
        if not good or ended is not None:
            with open(f'{folder}/log') as log:
                print('# ' + '# '.join(log.readlines()[-20:]))
    return 0 if good and flat and ended is None else 1


sys.exit(main())
