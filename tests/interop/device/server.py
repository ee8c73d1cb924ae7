#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3's vfio-user client against a server written from the specification.

The client is `ring3 device show vfio-user:PATH`.  First the server behaves, in
every way that the protocol allows, then it breaks it: the client must end with
an error, soon, and never hang or die.  Prints TAP.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lspci        # noqa: E402
import vu           # noqa: E402

RING3 = os.path.join(os.environ['MESON_BUILD_ROOT'], 'ring3')
CASES = []


def case(name, **how):
    def add(fn):
        CASES.append((name, how, fn))
        return fn
    return add


def config_space():
    """An Ethernet controller with MSI-X and power management."""
    c = bytearray(256)
    struct.pack_into('=HHHHI', c, 0, 0x8086, 0x10d3, 2, 0x10, 0x02000003)
    struct.pack_into('=I', c, 0x10, 0xfe000000)
    struct.pack_into('=HH', c, 0x2c, 0x8086, 0xa01f)
    c[0x34] = 0xc8
    struct.pack_into('=BBHHH', c, 0xc8, 1, 0xa0, 3, 0, 0)
    struct.pack_into('=BBHII', c, 0xa0, 0x11, 0, 4, 3, 0x2003)
    return c


class Server(threading.Thread):
    """One client; `wrong` may change a reply before it is sent."""

    def __init__(self, path, wrong=None, regions=9, irqs=5, version=None,
                 pieces=False, strangers=0, silent=None):
        super().__init__(daemon=True)
        self.listen = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listen.bind(path)
        self.listen.listen(4)
        self.wrong, self.regions, self.irqs = wrong, regions, irqs
        self.version, self.pieces = version, pieces
        self.strangers, self.silent = strangers, silent
        self.config, self.seen, self.error = config_space(), [], None
        self.mem = vu.memfd(0x20000)[0]

    def run(self):
        try:
            self.sock, _ = self.listen.accept()
            while self.one():
                pass
        except (OSError, EOFError):
            pass
        except Exception as e:      # told by the main thread
            self.error = e

    def take(self, count):
        data = b''
        while len(data) < count:
            part, fds, _, _ = socket.recv_fds(self.sock, count - len(data), 8)
            for fd in fds:
                os.close(fd)
            if not part:
                raise EOFError
            data += part
        return data

    def one(self):
        number, command, size, flags, error = struct.unpack(
            '=HHIII', self.take(16))
        assert error == 0 and flags & 0xf == 0
        payload = self.take(size - 16)
        self.seen.append(command)
        if command == self.silent:
            return True
        for _ in range(self.strangers):
            self.sock.sendall(struct.pack('=HHIIIQQ', 7, 11, 32, 0, 0, 0x1000,
                                          4))
            answer = struct.unpack('=HHIII', self.take(16))
            assert answer[:2] == (7, 11) and answer[3] & 0x21 == 0x21, answer
        out, fds = self.answer(command, payload)
        reply = dict(id=number, command=command, size=16 + len(out), flags=1,
                     error=0, data=out, fds=fds)
        if out is None:
            reply.update(size=16, flags=0x21, error=22, data=b'')
        if self.wrong:
            self.wrong(command, payload, reply)
        if flags & vu.NO_REPLY:
            return True
        data = struct.pack('=HHIII', reply['id'], reply['command'],
                           reply['size'], reply['flags'], reply['error']) \
            + reply['data']
        if self.pieces:
            for i in range(len(data)):
                socket.send_fds(self.sock, [data[i:i + 1]],
                                reply['fds'] if i == 0 else [])
        else:
            socket.send_fds(self.sock, [data], reply['fds'])
        return True

    def answer(self, command, p):
        if command == vu.VERSION:
            major, minor = struct.unpack('=HH', p[:4])
            assert (major, p[-1]) == (0, 0)
            caps = json.loads(p[4:-1])['capabilities']
            assert caps['max_msg_fds'] >= 1
            text = self.version
            if text is None:
                text = json.dumps({'capabilities': {
                    'max_msg_fds': 1, 'max_data_xfer_size': 100}}).encode() \
                    + b'\0'
            return struct.pack('=HH', 0, min(minor, 1)) + text, []
        if command == vu.GET_INFO:
            assert struct.unpack('=IIII', p) == (16, 0, 0, 0)
            return struct.pack('=IIII', 16, 3, self.regions, self.irqs), []
        if command == vu.REGION_INFO:
            return self.region_info(p)
        if command == vu.IRQ_INFO:
            index = struct.unpack('=IIII', p)[2]
            return struct.pack('=IIII', 16, 1, index,
                               (1, 0, 5, 0, 0)[index] if index < 5 else 0), []
        if command in (vu.READ, vu.WRITE):
            offset, region, count = struct.unpack('=QII', p[:16])
            most = 100 if self.version is None else 1 << 20
            assert region == 7 and count <= most and offset + count <= 256
            if command == vu.READ:
                return p + bytes(self.config[offset:offset + count]), []
            return p[:16], []
        return None, []

    def region_info(self, p):
        argsz, _, index, _, _, _ = struct.unpack('=IIIIQQ', p)
        assert argsz >= 32
        if index == 0:
            cap = struct.pack('=HHIIIQQQQ', 1, 1, 0, 2, 0, 0, 0x1000, 0x8000,
                              0x2000)
            return struct.pack('=IIIIQQ', 32 + len(cap), 15, 0, 32, 0x20000,
                               0) + cap, [self.mem]
        size = 256 if index == 7 else 0
        return struct.pack('=IIIIQQ', 32, 3 if size else 0, index, 0, size,
                           0), []


def show(path, limit=15):
    start = time.monotonic()
    done = subprocess.run([RING3, 'device', 'show', '--json',
                           f'vfio-user:{path}'], timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert time.monotonic() - start < limit, 'took too long'
    return done


def good(server, path):
    done = show(path)
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)
    assert ours['id'] == '8086:10d3' and ours['class'] == '020000'
    assert ours['bars'][0]['size'] == 0x20000
    assert ours['msix']['vectors'] == 5 and ours['pm']['state'] == 0
    return ours


def bad(server, path):
    done = show(path)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert path.encode() in done.stderr


@case('a server as the specification has it')
def _(server, path):
    good(server, path)
    assert server.seen[0] == vu.VERSION and vu.DMA_MAP not in server.seen


@case('lspci decodes the same')
def _(server, path):
    lspci.check_dump(RING3, f'vfio-user:{path}', server.config)


for label, options in (
        ('replies in single bytes', dict(pieces=True)),
        ('no capabilities said', dict(version=b'')),
        ('unknown capabilities', dict(version=b'{"capabilities":{"x":1}}\0')),
        ('a device with more regions than we look at', dict(regions=40)),
        ('more kinds of interrupt than we look at', dict(irqs=40)),
        ('commands of its own before each reply', dict(strangers=3))):
    case(label, **options)(good)


def change(at, **fields):
    """Wrong in one field of the reply to one command."""
    def wrong(cmd, _, reply):
        if cmd == at:
            reply.update(fields)
    return wrong


def cut(command, count):
    def wrong(cmd, _, reply):
        if cmd == command:
            reply['data'] = reply['data'][:-count]
            reply['size'] -= count
    return wrong


def longer(command, count):
    def wrong(cmd, _, reply):
        if cmd == command:
            reply['data'] += b'x' * count
            reply['size'] += count
    return wrong


def patch(command, offset, data):
    def wrong(cmd, payload, reply):
        if cmd == command and reply['data']:
            d = bytearray(reply['data'])
            d[offset:offset + len(data)] = data
            reply['data'] = bytes(d)
    return wrong


for label, options in (
        ('another id', dict(wrong=change(vu.GET_INFO, id=999))),
        ('another command', dict(wrong=change(vu.GET_INFO, command=5))),
        ('a size below the head', dict(wrong=change(vu.GET_INFO, size=15))),
        ('a size of 4 GiB', dict(wrong=change(vu.GET_INFO,
                                              size=0xffffffff))),
        ('neither command nor reply', dict(wrong=change(vu.GET_INFO,
                                                        flags=2))),
        ('an error without a number', dict(wrong=change(
            vu.GET_INFO, flags=0x21, size=16, data=b''))),
        ('an error', dict(wrong=change(vu.REGION_INFO, flags=0x21, size=16,
                                       data=b'', error=5, fds=[]))),
        ('an error number of 32 bits', dict(wrong=change(
            vu.REGION_INFO, flags=0x21, size=16, data=b'', fds=[],
            error=0xffffffff))),
        ('device information cut', dict(wrong=cut(vu.GET_INFO, 1))),
        ('region information cut', dict(wrong=cut(vu.REGION_INFO, 1))),
        ('interrupt information cut', dict(wrong=cut(vu.IRQ_INFO, 4))),
        ('data cut', dict(wrong=cut(vu.READ, 1))),
        ('data longer than asked', dict(wrong=longer(vu.READ, 1))),
        ('data of another offset', dict(wrong=patch(vu.READ, 0, b'\4'))),
        ('not a PCI device', dict(wrong=patch(vu.GET_INFO, 4, b'\1'))),
        ('no configuration space', dict(regions=7)),
        ('another major version', dict(wrong=patch(vu.VERSION, 0, b'\1'))),
        ('a newer minor version than asked', dict(wrong=patch(
            vu.VERSION, 2, b'\2'))),
        ('JSON that is none', dict(version=b'{\0')),
        ('JSON without its NUL', dict(version=b'{}')),
        ('areas past the region', dict(wrong=patch(
            vu.REGION_INFO, 32 + 16 + 8, struct.pack('=Q', 1 << 40)))),
        ('more areas than bytes', dict(wrong=patch(
            vu.REGION_INFO, 32 + 8, struct.pack('=I', 0x10000000)))),
        ('capabilities in a loop', dict(wrong=patch(
            vu.REGION_INFO, 32 + 4, struct.pack('=I', 32)))),
        ('3 billion interrupts', dict(wrong=patch(
            vu.IRQ_INFO, 12, b'\xff\xff\xff\xbf'))),
        ('no reply to the version', dict(silent=vu.VERSION)),
        ('no reply to a read', dict(silent=vu.READ)),
        ('too many fds', dict(wrong=lambda c, _, r: c == vu.GET_INFO and
                              r.update(fds=[0] * 40))),
        ('commands of its own without end', dict(strangers=1000))):
    case(label, **options)(bad)


def main():
    failed = 0
    for i, (name, how, fn) in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'sock')
            server = Server(path, **how)
            server.start()
            try:
                fn(server, path)
                if server.error:
                    raise server.error
                print(f'ok {i} - {name}', flush=True)
            except Exception as e:
                failed += 1
                print(f'not ok {i} - {name}\n# {type(e).__name__}: {e} '
                      f'(server: {server.error!r})')
    print(f'1..{len(CASES)}')
    return 1 if failed else 0


sys.exit(main())
