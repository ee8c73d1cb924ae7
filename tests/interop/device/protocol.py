#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3's vfio-user server against a client written from the specification.

Each case restates a sentence of the protocol, or breaks it.  The device is
ring3's NVMe model; a small driver in here makes it do DMA and raise
interrupts.  Prints TAP.
"""
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lspci        # noqa: E402
import vu           # noqa: E402
from vu import Client, Gone, Refused        # noqa: E402

BUILD = os.environ['MESON_BUILD_ROOT']
EINVAL, EEXIST, ENOENT = errno.EINVAL, errno.EEXIST, errno.ENOENT
CASES = []


def case(name):
    def add(fn):
        CASES.append((name, fn))
        return fn
    return add


def refused(code, fn, *args, **kw):
    try:
        fn(*args, **kw)
    except Refused as e:
        assert e.errno == code, f'{e} is not {os.strerror(code)}'
        return
    raise AssertionError('not refused')


def gone(fn, *args, **kw):
    try:
        fn(*args, **kw)
    except Gone:
        return
    raise AssertionError('still connected')


class Server:
    """ring3's NVMe model on a socket."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'sock')
        self.log = os.path.join(folder, 'log')
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.truncate(16 << 20)
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [f'{BUILD}/ring3-model-nvme', 'peer', f'file={disk}',
                 f'listen={self.path}'], stderr=log)
        for _ in range(500):
            if os.path.exists(self.path):
                return
            time.sleep(0.01)
        raise AssertionError('the server did not come up')

    def client(self, **kw):
        c = Client(self.path, **kw)
        c.version()
        return c

    def stop(self):
        self.process.terminate()
        return self.process.wait(5)


# ---- version ------------------------------------------------------------

@case('version 0.1 with capabilities')
def _(s):
    c = Client(s.path)
    (major, minor), data = c.version()
    caps = data['capabilities']
    assert (major, minor) == (0, 1)
    assert caps['max_msg_fds'] >= 1 and caps['max_data_xfer_size'] >= 4096
    assert 'write_multiple' not in caps, 'was not proposed'
    c.close()


@case('an older minor version is taken, a newer one answered with ours')
def _(s):
    for asked, want in ((0, 0), (1, 1), (77, 1)):
        c = Client(s.path)
        assert c.version(minor=asked)[0] == (0, want)
        c.close()


@case('no JSON at all, and no capabilities')
def _(s):
    for data in (b'', '{}', '{"capabilities":{}}', '{"other":1}'):
        c = Client(s.path)
        c.version(data=data)
        c.info()
        c.close()


@case('unknown capabilities are ignored')
def _(s):
    c = Client(s.path)
    _, data = c.version(data=json.dumps({'capabilities': {
        'max_msg_fds': 8, 'twin_socket': {'supported': True},
        'migration': {'pgsize': 4096}, 'new': [1, 2]}}))
    assert not data['capabilities'].get('twin_socket', {}).get('supported')
    c.close()


@case('another major version: an error, then the end')
def _(s):
    c = Client(s.path)
    refused(EINVAL, c.version, major=1)
    gone(c.receive, 1)


@case('JSON that is none: an error, then the end')
def _(s):
    for data in ('{', '[]', 'x', '{"capabilities":7}',
                 '{"capabilities":{"max_msg_fds":-1}}',
                 '{"capabilities":{"max_msg_fds":"8"}}',
                 '{"capabilities":{"max_data_xfer_size":0}}',
                 '{"capabilities":{"pgsizes":0}}',
                 b'{}', b'{}\0x\0', b'\0', '[' * 4000):
        c = Client(s.path)
        refused(EINVAL, c.version, data=data)
        gone(c.receive, 1)


@case('version data too long')
def _(s):
    c = Client(s.path)
    refused(EINVAL, c.version, data=' ' * 5000 + '{}')
    gone(c.receive, 1)


@case('anything before the version: an error, then the end')
def _(s):
    c = Client(s.path)
    refused(EINVAL, c.info)
    gone(c.receive, 1)


@case('a second version is refused, the connection stays')
def _(s):
    c = s.client()
    refused(EINVAL, c.version)
    c.info()
    c.close()


@case('the version in single bytes')
def _(s):
    c = Client(s.path)
    payload = struct.pack('=HH', 0, 1)
    for b in c.head(vu.VERSION, len(payload)) + payload:
        c.send(bytes([b]))
    c.reply(vu.VERSION)
    c.close()


# ---- the stream ---------------------------------------------------------

@case('a size below the head, and above any message: the end')
def _(s):
    for size in (0, 15, 1 << 20, 0xffffffff):
        c = s.client()
        c.send(c.head(vu.GET_INFO, 16, size=size))
        gone(c.receive, 1)


@case('a reply that nobody asked for: the end')
def _(s):
    c = s.client()
    c.send(c.head(vu.GET_INFO, 0, flags=1))
    gone(c.receive, 1)


@case('half a message, then nothing: cut off within 10 s')
def _(s):
    c = s.client(timeout=10)
    c.send(c.head(vu.GET_INFO, 16)[:9])
    gone(c.receive, 1)


@case('unknown commands are refused')
def _(s):
    c = s.client()
    for command in (0, 11, 12, 14, 19, 0xffff):
        refused(EINVAL, c.call, command, b'x' * 16)
    for command in (vu.FEATURE, vu.MIG_READ):
        refused(errno.EOPNOTSUPP, c.call, command, b'x' * 16)
    c.close()


@case('pipelined commands are answered in order')
def _(s):
    c = s.client()
    q = struct.pack('=QII', 0, vu.CONFIG, 4)
    heads = [c.head(vu.READ, len(q)) for _ in range(200)]
    c.send(b''.join(h + q for h in heads))
    first = c.id - 199
    for i in range(200):
        c.id = first + i
        assert len(c.reply(vu.READ)) == 20
    c.close()


@case('no reply where none is wanted')
def _(s):
    c = s.client()
    q = struct.pack('=QII', 0x3c, vu.CONFIG, 1) + b'\x0b'
    c.send(c.head(vu.WRITE, len(q), flags=vu.NO_REPLY) + q)
    assert c.read(vu.CONFIG, 0x3c, 1) == b'\x0b'
    c.close()


@case('a client that does not read its replies holds up nobody else')
def _(s):
    c = s.client()
    q = struct.pack('=QII', 0, vu.CONFIG, 4096)
    c.sock.settimeout(0.5)
    try:
        for _ in range(5000):
            c.send(c.head(vu.READ, len(q)) + q)
    except (socket.timeout, Gone):
        pass
    c.close()
    s.client().close()


@case('a second client waits until the first has left')
def _(s):
    c = s.client()
    d = Client(s.path, timeout=0.3)
    try:
        d.version()
        raise AssertionError('was served')
    except socket.timeout:
        pass
    c.close()
    d.sock.settimeout(5)
    d.reply(vu.VERSION)
    d.info()
    d.close()


# ---- what the device has ------------------------------------------------

@case('device, region and interrupt information')
def _(s):
    c = s.client()
    flags, regions, irqs = c.info()
    assert flags & 3 == 3 and regions == 9 and irqs == 5
    bar = c.region_info(0)
    assert bar['size'] >= 0x2000 and bar['flags'] & 3 == 3
    assert c.region_info(vu.CONFIG)['size'] in (256, 4096)
    assert c.region_info(1)['size'] == 0 or c.region_info(1)['flags']
    refused(EINVAL, c.region_info, 9)
    refused(EINVAL, c.region_info, 0xffffffff)
    refused(EINVAL, c.region_info, 0, argsz=31)
    flags, count = c.irq_info(vu.MSIX)
    assert flags & 1 and count >= 2
    refused(EINVAL, c.irq_info, 5)
    c.close()


@case('argsz too small for the areas: told how much, no fd')
def _(s):
    c = s.client()
    whole = c.region_info(0)
    if whole['areas']:
        assert whole['flags'] & 4 and len(c.fds) == 1
        c.fds.clear()
        short = c.region_info(0, argsz=32)
        assert short['need'] == whole['need'] and short['cap'] == 0
        assert not c.fds
    c.close()


@case('no fd for a client that takes none')
def _(s):
    c = Client(s.path)
    c.version(data='{"capabilities":{"max_msg_fds":0}}')
    assert not c.region_info(0)['flags'] & 4 and not c.fds
    assert c.io_fds(0) == [] and not c.fds
    c.close()


@case('several writes in one message, where that was agreed')
def _(s):
    two = struct.pack('=Q', 2) + \
        struct.pack('=QII8s', 0x3c, vu.CONFIG, 1, b'\x33') + \
        struct.pack('=QII8s', vu.CONFIG, 0, 0, b'')
    c = s.client()
    refused(errno.EOPNOTSUPP, c.call, vu.WRITE_MULTI, two)
    c.close()
    c = Client(s.path)
    _, data = c.version(data='{"capabilities":{"write_multiple":true}}')
    assert data['capabilities']['write_multiple'] is True
    good = struct.pack('=Q', 2) + \
        struct.pack('=QII8s', 0x3c, vu.CONFIG, 1, b'\x11') + \
        struct.pack('=QII8s', 0x0c, vu.CONFIG, 1, b'\x22')
    assert c.call(vu.WRITE_MULTI, good) == good[:8]
    assert c.read(vu.CONFIG, 0x3c, 1) + c.read(vu.CONFIG, 0x0c, 1) == \
        b'\x11\x22'
    for wrong in (two, good[:-1], good + b'x', good[:8], b'\xff' * 8 + good[8:],
                  struct.pack('=Q', 1) +
                  struct.pack('=QII8s', 0x3c, vu.CONFIG, 9, b'')):
        refused(EINVAL, c.call, vu.WRITE_MULTI, wrong)
    c.close()


@case('short payloads are refused')
def _(s):
    c = s.client()
    for command, length in ((vu.GET_INFO, 16), (vu.REGION_INFO, 32),
                            (vu.IO_FDS, 16), (vu.IRQ_INFO, 16),
                            (vu.SET_IRQS, 20), (vu.READ, 16),
                            (vu.WRITE, 17), (vu.DMA_MAP, 32),
                            (vu.DMA_UNMAP, 24)):
        for n in (0, 4, length - 1):
            refused(EINVAL, c.call, command, b'\xff' * n)
    c.close()


@case('reads and writes outside of a region')
def _(s):
    c = s.client()
    size = c.region_info(0)['size']
    limit = c.region_info(vu.CONFIG)['size']
    c.read(vu.CONFIG, limit - 1, 1)
    for region, offset, count in ((vu.CONFIG, limit, 1),
                                  (vu.CONFIG, limit - 1, 2),
                                  (0, size, 4), (0, size - 3, 4),
                                  (0, 0, 0), (0, 2 ** 64 - 1, 2),
                                  (9, 0, 4), (0xffffffff, 0, 4),
                                  (0, 0, 0xffffffff)):
        refused(EINVAL, c.read, region, offset, count)
    refused(EINVAL, c.call, vu.WRITE,
            struct.pack('=QII', 0, 0, 8) + b'1234567')
    refused(EINVAL, c.call, vu.READ, struct.pack('=QII', 0, 0, 4) + b'x')
    c.close()


@case('configuration space is what lspci and ring3 device show say')
def _(s):
    c = s.client()
    config = c.read(vu.CONFIG, 0, c.region_info(vu.CONFIG)['size'])
    c.close()
    lspci.check_dump(f'{BUILD}/ring3', f'vfio-user:{s.path}', config)


# ---- memory -------------------------------------------------------------

@case('DMA map: alignment, overlap, wrap, files')
def _(s):
    c = s.client()
    fd, _ = vu.memfd(0x4000)
    c.dma_map(fd, 0x10000, 0x2000)
    refused(EEXIST, c.dma_map, fd, 0x10000, 0x2000)
    refused(EEXIST, c.dma_map, fd, 0x11000, 0x1000)
    refused(EEXIST, c.dma_map, fd, 0xf000, 0x2000)
    c.dma_map(fd, 0x12000, 0x1000)
    c.dma_map(fd, 0xf000, 0x1000, offset=0x3000)
    refused(EINVAL, c.dma_map, fd, 0x20800, 0x1000)
    refused(EINVAL, c.dma_map, fd, 0x20000, 0x800)
    refused(EINVAL, c.dma_map, fd, 0x20000, 0x1000, offset=0x10)
    refused(EINVAL, c.dma_map, fd, 0x20000, 0)
    refused(EINVAL, c.dma_map, fd, 0x20000, 0x1000, flags=0)
    refused(EINVAL, c.dma_map, fd, 0x20000, 0x1000, flags=4)
    refused(errno.EOVERFLOW, c.dma_map, fd, 0x20000, 0x1000,
            offset=2 ** 64 - 0x1000)
    refused(errno.ENXIO, c.dma_map, fd, 0x20000, 0x1000, offset=0x4000)
    refused(errno.ENXIO, c.dma_map, fd, 0x20000, 0x5000)
    refused(errno.EOPNOTSUPP, c.dma_map, None, 0x20000, 0x1000)
    refused(EINVAL, c.dma_map, [fd, fd], 0x20000, 0x1000)
    for addr in (2 ** 64 - 0x1000, 2 ** 64 - 0x2000):
        refused(errno.EOVERFLOW if addr == 2 ** 64 - 0x1000
                else errno.ERANGE, c.dma_map, fd, addr, 0x2000)
    c.close()


@case('DMA unmap: exactly what was mapped')
def _(s):
    c = s.client()
    fd, _ = vu.memfd(0x4000)
    c.dma_map(fd, 0x10000, 0x4000)
    for addr, size in ((0x10000, 0x1000), (0x11000, 0x3000),
                       (0x10000, 0x5000), (0x20000, 0x1000), (0x10000, 0)):
        refused(ENOENT, c.dma_unmap, addr, size)
    refused(errno.EOPNOTSUPP, c.dma_unmap, 0x10000, 0x4000, flags=1)
    refused(EINVAL, c.dma_unmap, 0x10000, 0x4000, flags=4)
    c.dma_unmap(0x10000, 0x4000)
    refused(ENOENT, c.dma_unmap, 0x10000, 0x4000)
    c.dma_map(fd, 0x10000, 0x4000)
    c.dma_unmap(0, 0, flags=2)
    c.dma_map(fd, 0x10000, 0x4000)
    c.close()


@case('memory that its owner could truncate is refused')
def _(s):
    c = s.client()
    fd, _ = vu.memfd(0x1000, sealed=False)
    refused(errno.EPERM, c.dma_map, fd, 0x10000, 0x1000)
    fd, _ = vu.memfd(0x1000)
    c.dma_map(fd, 0x10000, 0x1000)
    c.close()


@case('mappings end with the table, not with the server')
def _(s):
    c = s.client()
    fd, _ = vu.memfd(0x1000)
    limit = 1024
    for i in range(limit):
        c.dma_map(fd, i << 12, 0x1000)
    refused(errno.ENOSPC, c.dma_map, fd, limit << 12, 0x1000)
    c.dma_unmap(5 << 12, 0x1000)
    c.dma_map(fd, limit << 12, 0x1000)
    c.close()


@case('fds where none belong are refused and closed')
def _(s):
    c = s.client()
    count = len(os.listdir(f'/proc/{s.process.pid}/fd'))
    for _ in range(50):
        refused(EINVAL, c.call, vu.GET_INFO,
                struct.pack('=IIII', 16, 0, 0, 0), [0, 1])
    assert len(os.listdir(f'/proc/{s.process.pid}/fd')) == count
    c.close()


@case('too many fds in a message: the end, and none leaks')
def _(s):
    c = s.client()      # it is served when the last one has left
    before = len(os.listdir(f'/proc/{s.process.pid}/fd'))
    fd = vu.eventfd()
    c.send(c.head(vu.GET_INFO, 16), [fd] * 17)
    gone(c.receive, 1)
    d = s.client()
    assert len(os.listdir(f'/proc/{s.process.pid}/fd')) == before
    c.close()
    d.close()


# ---- interrupts ---------------------------------------------------------

@case('interrupts: ranges, counts, flags')
def _(s):
    c = s.client()
    fds = [vu.eventfd() for _ in range(4)]
    _, count = c.irq_info(vu.MSIX)
    on = vu.DATA_EVENTFD | vu.TRIGGER
    c.set_irqs(vu.MSIX, on, 0, 2, fds=fds[:2])
    c.set_irqs(vu.MSIX, on, count - 1, 1, fds=fds[2:3])
    for index, flags, start, n, data, given in (
            (vu.MSIX, on, count, 1, b'', 1),
            (vu.MSIX, on, count - 1, 2, b'', 2),
            (vu.MSIX, on, 0xffffffff, 1, b'', 1),
            (vu.MSIX, on, 1, 0xffffffff, b'', 1),
            (vu.MSIX, on, 0, 2, b'', 1),
            (vu.MSIX, on, 0, 1, b'', 2),
            (5, on, 0, 1, b'', 1),
            (vu.MSIX, vu.DATA_NONE | vu.DATA_BOOL | vu.TRIGGER, 0, 1, b'1', 0),
            (vu.MSIX, vu.DATA_NONE | vu.TRIGGER | vu.MASK, 0, 1, b'', 0),
            (vu.MSIX, vu.DATA_NONE, 0, 1, b'', 0),
            (vu.MSIX, vu.TRIGGER, 0, 1, b'', 0),
            (vu.MSIX, on | 64, 0, 1, b'', 1),
            (vu.MSIX, vu.DATA_BOOL | vu.TRIGGER, 0, 2, b'1', 0),
            (vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 1, 0, b'', 0),
            (vu.MSIX, vu.DATA_NONE | vu.MASK, 0, 0, b'', 0)):
        refused(EINVAL, c.set_irqs, index, flags, start, n, data, fds[:given])
    c.close()


@case('interrupts: raised, masked, by booleans, taken away')
def _(s):
    c = s.client()
    fds = [vu.eventfd() for _ in range(3)]
    c.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 0, 2, fds=fds[:2])
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 0, 2)
    assert [vu.fired(f) for f in fds] == [1, 1, 0]
    c.set_irqs(vu.MSIX, vu.DATA_BOOL | vu.TRIGGER, 0, 2, b'\0\1')
    assert [vu.fired(f) for f in fds] == [0, 1, 0]
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.MASK, 1, 1)
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 1, 1)
    assert not vu.fired(fds[1])
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.UNMASK, 1, 1)
    assert vu.fired(fds[1])
    c.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 1, 1)
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 0, 2)
    assert [vu.fired(f) for f in fds] == [1, 0, 0]
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 0, 0)
    c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 0, 1)
    assert not vu.fired(fds[0])
    c.close()


@case('an eventfd whose counter is full does not stop the server')
def _(s):
    c = s.client()
    fd = vu.eventfd()
    c.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=[fd])
    os.set_blocking(fd, True)
    for _ in range(2):
        os.write(fd, struct.pack('=Q', 2 ** 64 - 2))
        c.set_irqs(vu.MSIX, vu.DATA_NONE | vu.TRIGGER, 0, 1)
        c.info()
        os.read(fd, 8)
    c.close()


@case('an interrupt that is no eventfd is refused')
def _(s):
    c = s.client()
    with socket.socket() as sock, open('/dev/zero', 'r+b', 0) as zero:
        for fd in (sock.fileno(), zero.fileno(), vu.memfd(4096)[0]):
            refused(EINVAL, c.set_irqs, vu.MSIX,
                    vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=[fd])
    c.info()
    c.close()


# ---- the device at work -------------------------------------------------

class Nvme:
    """As much of a driver as it takes (NVMe 1.4 chapters 3, 5, 7.6)."""
    CC, CSTS, AQA, ASQ, ACQ, BELL = 0x14, 0x1c, 0x24, 0x28, 0x30, 0x1000

    def __init__(self, client, base=0x100000):
        self.c, self.base, self.tail = client, base, 0
        self.fd, self.mem = vu.memfd(0x4000)
        client.dma_map(self.fd, base, 0x4000)

    def enable(self):
        command = struct.unpack('=H', self.c.read(vu.CONFIG, 4, 2))[0]
        self.c.write(vu.CONFIG, 4, struct.pack('=H', command | 6))
        self.c.write(0, self.AQA, struct.pack('=I', 7 << 16 | 7))
        self.c.write(0, self.ASQ, struct.pack('=Q', self.base))
        self.c.write(0, self.ACQ, struct.pack('=Q', self.base + 0x1000))
        self.c.write(0, self.CC, struct.pack('=I', 6 << 16 | 4 << 20 | 1))
        for _ in range(500):
            if self.csts() & 1:
                return
            time.sleep(0.01)
        raise AssertionError('not ready')

    def csts(self):
        return struct.unpack('=I', self.c.read(0, self.CSTS, 4))[0]

    def identify(self, addr):
        """The status of Identify Controller into @addr."""
        at = self.tail * 64
        self.mem[at:at + 64] = struct.pack(
            '=HHIQQQQIIIIII', 6, self.tail + 1, 0, 0, 0, addr, 0, 1, 0, 0, 0,
            0, 0)
        self.tail += 1
        self.c.write(0, self.BELL, struct.pack('=I', self.tail))
        at = 0x1000 + 16 * (self.tail - 1) + 14
        for _ in range(500):
            status = struct.unpack('=H', self.mem[at:at + 2])[0]
            if status & 1:
                return status >> 1
            time.sleep(0.01)
        raise AssertionError('no completion')


@case('DMA and an interrupt')
def _(s):
    c = s.client()
    n = Nvme(c)
    fd = vu.eventfd()
    c.set_irqs(vu.MSIX, vu.DATA_EVENTFD | vu.TRIGGER, 0, 1, fds=[fd])
    n.enable()
    assert n.identify(n.base + 0x2000) == 0
    assert bytes(n.mem[0x2004:0x2008]) == b'peer'
    assert vu.fired(fd, 2)
    c.reset()
    assert n.csts() & 1 == 0
    c.close()


@case('DMA outside: refused, reported with device, address and direction')
def _(s):
    c = s.client()
    c.reset()
    n = Nvme(c)
    n.enable()
    n.mem[0x2000:0x4000] = b'\xa5' * 0x2000
    status = n.identify(0x40000000)
    assert status & 0x7ff, 'Identify into nowhere has succeeded'
    assert bytes(n.mem[0x2000:0x4000]) == b'\xa5' * 0x2000
    with open(s.log) as f:
        report = [line for line in f if 'DMA refused' in line][-1]
    assert 'vfio-user[peer]' in report, report
    assert 'addr=0x40000000' in report, report
    assert 'direction=write' in report, report
    c.close()


@case('a client that leaves takes its memory with it; the device stays')
def _(s):
    c = s.client()
    c.reset()
    c.write(vu.CONFIG, 0x3c, b'\x2a')
    n = Nvme(c)
    n.enable()
    c.close()
    c = s.client()
    assert c.read(vu.CONFIG, 0x3c, 1) == b'\x2a'
    fd, _ = vu.memfd(0x4000)
    c.dma_map(fd, n.base, 0x4000)
    c.reset()
    assert c.read(vu.CONFIG, 0x3c, 1) == b'\0'
    c.close()


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            for i, (name, fn) in enumerate(CASES, 1):
                try:
                    fn(server)
                    assert server.process.poll() is None, 'server died'
                    print(f'ok {i} - {name}', flush=True)
                except Exception as e:      # the next case may still tell
                    failed += 1
                    print(f'not ok {i} - {name}\n# {type(e).__name__}: {e}')
                    import traceback
                    for line in traceback.format_exc().splitlines():
                        print('#', line)
        finally:
            code = server.stop()
            if failed:
                with open(server.log) as f:
                    print(''.join('# ' + line for line in f))
    print(f'1..{len(CASES)}')
    return 1 if failed or code else 0


sys.exit(main())
