# SPDX-License-Identifier: GPL-2.0-or-later
"""A vhost-user-blk front end written from the specification alone (QEMU
docs/interop/vhost-user.rst; virtio 1.2, 2.7 and 5.2), for tests that want to
send what no decent front end sends."""
import fcntl
import mmap
import os
import select
import socket
import struct
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE = 1, 2, 3, 4, 5
SET_NUM, SET_ADDR, SET_BASE, GET_BASE = 8, 9, 10, 11
SET_KICK, SET_CALL, SET_ERR = 12, 13, 14
GET_PROTOCOL, SET_PROTOCOL, GET_QUEUES, SET_ENABLE = 15, 16, 17, 18
GET_CONFIG, SET_CONFIG, GET_INFLIGHT, SET_INFLIGHT = 24, 25, 31, 32
RESET_DEVICE, GET_SLOTS, ADD_REGION, DEL_REGION = 34, 36, 37, 38
REPLY_ACK = 1 << 3
PROTOCOL = 1 << 30
VERSION_1, INDIRECT, EVENT_IDX, PACKED = 1 << 32, 1 << 28, 1 << 29, 1 << 34
SIZE = 1 << 20      # of the memory
DESC, AVAIL, USED, DATA = 0, 0x1000, 0x2000, 0x10000
NEXT, WRITE, TABLE = 1, 2, 4
SEALS = 1033, 7     # F_ADD_SEALS: seal, shrink, grow


class Gone(Exception):
    """The back end has closed the connection."""


def memory(size=SIZE, sealed=True):
    fd = os.memfd_create('front', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if sealed:
        fcntl.fcntl(fd, *SEALS)
    return fd


class Front:
    def __init__(self, path, timeout=5):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        while True:
            try:
                self.sock.connect(path)
                break
            except BlockingIOError:     # many are waiting there
                time.sleep(0.001)
        self.fds = []
        self.mem = None
        self.used = 0
        self.size = 128
        self.patience = timeout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        for fd in self.fds:
            try:
                os.close(fd)
            except OSError:
                pass

    def own(self, fd):
        self.fds.append(fd)
        return fd

    # ---- messages

    def raw(self, data, fds=()):
        try:
            socket.send_fds(self.sock, [data], fds)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Gone from e

    def send(self, request, payload=b'', fds=(), flags=1, size=None):
        self.raw(struct.pack('=III', request, flags,
                             len(payload) if size is None else size) +
                 payload, fds)

    def receive(self, count):
        data = b''
        while len(data) < count:
            try:
                part, fds, _, _ = socket.recv_fds(self.sock,
                                                  count - len(data), 16)
            except ConnectionResetError as e:
                raise Gone from e
            self.fds += fds
            if not part:
                raise Gone
            data += part
        return data

    def ask(self, request, payload=b'', fds=(), flags=1):
        self.send(request, payload, fds, flags)
        size = struct.unpack('=III', self.receive(12))[2]
        return self.receive(size)

    def u64(self, request):
        return struct.unpack('=Q', self.ask(request))[0]

    def number(self, request, n, fds=()):
        self.send(request, struct.pack('=Q', n), fds)

    def ping(self):
        """All that was sent has been handled."""
        return self.u64(GET_FEATURES)

    def gone(self, seconds=3):
        """Wait until the back end has hung up."""
        self.sock.settimeout(seconds)
        try:
            while True:
                self.receive(1)
        except Gone:
            return True
        except socket.timeout:
            return False

    # ---- a session as it should be

    def hello(self, features=VERSION_1):
        self.ping()
        self.number(SET_FEATURES, features | PROTOCOL)
        self.u64(GET_PROTOCOL)
        self.number(SET_PROTOCOL, 1 | REPLY_ACK | 1 << 9 | 1 << 12 | 1 << 15)
        self.send(SET_OWNER)

    def table(self, *regions):
        """Each: guest address, length, user address, offset, fd."""
        self.send(SET_MEM_TABLE, struct.pack('=II', len(regions), 0) +
                  b''.join(struct.pack('=QQQQ', *r[:4]) for r in regions),
                  [r[4] for r in regions])

    def share(self, fd=None):
        fd = self.own(memory()) if fd is None else fd
        self.mem = mmap.mmap(fd, SIZE)
        self.table((0, SIZE, 0, 0, fd))

    def queue(self, index=0, size=128, desc=DESC, avail=AVAIL, used=USED,
              call=None, kick=None):
        self.size = size
        self.call = self.own(os.eventfd(0, os.EFD_NONBLOCK)) \
            if call is None else call
        self.kick = self.own(os.eventfd(0, os.EFD_NONBLOCK)) \
            if kick is None else kick
        self.send(SET_NUM, struct.pack('=II', index, size))
        self.send(SET_BASE, struct.pack('=II', index, 0))
        self.send(SET_ADDR, struct.pack('=IIQQQQ', index, 0, desc, used,
                                        avail, 0))
        self.number(SET_CALL, index, [self.call])
        self.number(SET_KICK, index, [self.kick])
        self.send(SET_ENABLE, struct.pack('=II', index, 1))

    def ready(self, features=VERSION_1):
        self.hello(features)
        self.share()
        self.queue()
        self.ping()

    # ---- requests, on a split queue

    def describe(self, at, addr, length, flags=0, follow=0, table=DESC):
        struct.pack_into('=QIHH', self.mem, table + 16 * at, addr, length,
                         flags, follow)

    def offer(self, *heads, run=None):
        idx = struct.unpack_from('=H', self.mem, AVAIL + 2)[0]
        for n, head in enumerate(heads):
            struct.pack_into('=H', self.mem,
                             AVAIL + 4 + 2 * ((idx + n) % self.size), head)
        # pack_into() would clear it first, for the back end to see
        with memoryview(self.mem) as m, m[AVAIL + 2:AVAIL + 4] as two, \
                two.cast('H') as word:
            word[0] = (idx + (len(heads) if run is None else run)) & 65535
        os.eventfd_write(self.kick, 1)

    def wait(self, count=1):
        """Wait for so many more used entries."""
        poll = select.poll()
        poll.register(self.call, select.POLLIN)
        poll.register(self.sock, select.POLLRDHUP)
        while True:
            idx = struct.unpack_from('=H', self.mem, USED + 2)[0]
            if (idx - self.used) & 65535 >= count:
                self.used = idx
                return
            events = poll.poll(self.patience * 1000)
            if not events:
                raise TimeoutError('no answer')
            if any(fd == self.sock.fileno() for fd, _ in events):
                raise Gone
            os.eventfd_read(self.call)

    def request(self, kind, sector, length=4096, at=0):
        """One request in three descriptors: its status."""
        struct.pack_into('=IIQ', self.mem, DATA, kind, 0, sector)
        self.mem[DATA + 16] = 0xff
        self.describe(at, DATA, 16, NEXT, at + 1)
        self.describe(at + 1, DATA + 0x1000, length,
                      NEXT | (WRITE if kind == 0 else 0), at + 2)
        self.describe(at + 2, DATA + 16, 1, WRITE)
        self.offer(at)
        self.wait()
        return self.mem[DATA + 16]

    def data(self, length=4096):
        return self.mem[DATA + 0x1000:DATA + 0x1000 + length]

    def fill(self, data):
        self.mem[DATA + 0x1000:DATA + 0x1000 + len(data)] = data
