# SPDX-License-Identifier: GPL-2.0-or-later
"""A vfio-user client written from the specification (QEMU
docs/interop/vfio-user.rst) alone: an independent peer of ring3's server.

It sends what it is told, sane or not, and returns what came back.
"""
import array
import json
import mmap
import os
import socket
import struct

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, REGION_INFO, IO_FDS = 1, 2, 3, 4, 5, 6
IRQ_INFO, SET_IRQS, READ, WRITE = 7, 8, 9, 10
RESET, WRITE_MULTI, FEATURE, MIG_READ = 13, 15, 16, 17
NO_REPLY, ERROR = 0x10, 0x20
CONFIG = 7
MSIX = 2
DATA_NONE, DATA_BOOL, DATA_EVENTFD = 1, 2, 4
MASK, UNMASK, TRIGGER = 8, 16, 32


class Gone(Exception):
    """The server has closed the connection."""


class Refused(Exception):
    """The server has answered with an error."""

    def __init__(self, errno):
        super().__init__(os.strerror(errno))
        self.errno = errno


class Client:
    def __init__(self, path, timeout=5):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.id = 0
        self.fds = []

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.sock.close()

    # ---- messages -------------------------------------------------------

    def send(self, data, fds=()):
        try:
            socket.send_fds(self.sock, [data], fds)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Gone from e

    def head(self, command, length, flags=0, size=None):
        self.id = (self.id + 1) & 0xffff
        return struct.pack('=HHIII', self.id, command,
                           16 + length if size is None else size, flags, 0)

    def receive(self, count):
        data = b''
        while len(data) < count:
            try:
                part, fds, _, _ = socket.recv_fds(self.sock,
                                                  count - len(data), 64)
            except ConnectionResetError as e:
                raise Gone from e
            self.fds += fds
            if not part:
                raise Gone
            data += part
        return data

    def reply(self, command):
        got, cmd, size, flags, errno = struct.unpack('=HHIII',
                                                     self.receive(16))
        assert (got, cmd) == (self.id, command), (got, self.id, cmd, command)
        assert flags & 0xf == 1, flags
        if flags & ERROR:
            assert size == 16, 'an error reply has only its head'
            raise Refused(errno)
        return self.receive(size - 16)

    def call(self, command, payload=b'', fds=()):
        self.send(self.head(command, len(payload)) + payload, fds)
        return self.reply(command)

    # ---- commands -------------------------------------------------------

    def version(self, major=0, minor=1, data=None):
        if data is None:
            data = json.dumps({'capabilities': {'max_msg_fds': 8}})
        if isinstance(data, str):
            data = data.encode() + b'\0'
        got = self.call(VERSION, struct.pack('=HH', major, minor) + data)
        text = got[4:]
        assert not text or (text[-1] == 0 and 0 not in text[:-1])
        return struct.unpack('=HH', got[:4]), \
            json.loads(text[:-1]) if text else {}

    def info(self):
        """flags, regions, irqs"""
        got = self.call(GET_INFO, struct.pack('=IIII', 16, 0, 0, 0))
        argsz, *rest = struct.unpack('=IIII', got)
        assert argsz == 16
        return rest

    def region_info(self, index, argsz=4096):
        got = self.call(REGION_INFO,
                        struct.pack('=IIIIQQ', argsz, 0, index, 0, 0, 0))
        need, flags, index2, cap, size, offset = struct.unpack('=IIIIQQ',
                                                               got[:32])
        assert index2 == index
        return dict(need=need, flags=flags, cap=cap, size=size, offset=offset,
                    areas=self.areas(got, cap) if cap else [])

    @staticmethod
    def areas(got, at):
        cap_id, _, _, count, _ = struct.unpack('=HHIII', got[at:at + 16])
        assert cap_id == 1
        return [struct.unpack('=QQ', got[at + 16 + i * 16:at + 32 + i * 16])
                for i in range(count)]

    def io_fds(self, index):
        """[(offset, size, fd_index, type)]"""
        got = self.call(IO_FDS, struct.pack('=IIII', 16384, 0, index, 0))
        argsz, _, _, count = struct.unpack('=IIII', got[:16])
        assert argsz == len(got) == 16 + 40 * count
        return [struct.unpack('=QQIIIIQ', got[16 + i * 40:56 + i * 40])[:4]
                for i in range(count)]

    def irq_info(self, index):
        """flags, count"""
        got = self.call(IRQ_INFO, struct.pack('=IIII', 16, 0, index, 0))
        _, flags, index2, count = struct.unpack('=IIII', got)
        assert index2 == index
        return flags, count

    def set_irqs(self, index, flags, start, count, data=b'', fds=()):
        return self.call(SET_IRQS, struct.pack(
            '=IIIII', 20 + len(data), flags, index, start, count) + data, fds)

    def read(self, region, offset, count):
        q = struct.pack('=QII', offset, region, count)
        got = self.call(READ, q)
        assert got[:16] == q and len(got) == 16 + count
        return got[16:]

    def write(self, region, offset, data):
        q = struct.pack('=QII', offset, region, len(data))
        assert self.call(WRITE, q + data) == q

    def dma_map(self, fd, addr, size, offset=0, flags=3):
        fds = [] if fd is None else fd if isinstance(fd, list) else [fd]
        return self.call(DMA_MAP, struct.pack('=IIQQQ', 32, flags, offset,
                                              addr, size), fds)

    def dma_unmap(self, addr, size, flags=0):
        q = struct.pack('=IIQQ', 24, flags, addr, size)
        assert self.call(DMA_UNMAP, q) == q

    def reset(self):
        assert self.call(RESET) == b''


def memfd(size, sealed=True):
    """A memory file, and our view of it."""
    import fcntl
    fd = os.memfd_create('peer', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if sealed:
        fcntl.fcntl(fd, 1033, 2 | 4)    # F_ADD_SEALS: SHRINK, GROW
    return fd, mmap.mmap(fd, size)


def eventfd():
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def fired(fd, wait=0.0):
    import select
    if not select.select([fd], [], [], wait)[0]:
        return 0
    return array.array('Q', os.read(fd, 8))[0]
