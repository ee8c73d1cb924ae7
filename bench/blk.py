#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""4 KiB random reads and writes through driver and model, beside
qemu-storage-daemon's vhost-user-blk export of the same file.

    bench/blk.py [--build DIR] [--rounds N] [--seconds S] [--first]
                 [--driver KEY=VALUE...] [--model KEY=VALUE...] [--piece BYTES]

Same client (bench/blk_load.c), same file, in turns within one run.  The peer
runs with cache writeback (as we do) in every way it has: aio=io_uring and
aio=threads, in its main loop and in an iothread; the best of these, by median
and for each row, is what we are compared with.  The file is filled as a guest does,
in small pieces: in larger ones ext4 keeps it in larger folios (Linux 6.16), and
goes through all of one's blocks for each 4 KiB that is written, whoever writes.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# operation, depth, microseconds for which the client looks before it sleeps:
# most clients are guests, which sleep; some poll
ROWS = [(op, depth, spin) for spin in (0, 50) for depth in (1, 32)
        for op in ('read', 'write')]
MIB = 1 << 20


def wait_for(path, child):
    """Until somebody listens there."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if child.poll() is not None:
            raise SystemExit(f'{child.args[0]} has ended: {child.returncode}')
        if os.path.exists(path):
            return
        time.sleep(0.01)
    raise SystemExit(f'{child.args[0]} does not listen at {path}')


class Server:
    def __init__(self, folder, name):
        self.name, self.folder = name, folder
        self.path = f'{folder}/{name}.sock'
        self.children = []

    def spawn(self, path, *words):
        child = subprocess.Popen(words, stderr=self.log(),
                                 stdout=subprocess.DEVNULL)
        self.children.append(child)
        wait_for(path, child)

    def log(self):
        return open(f'{self.folder}/{self.name}.log', 'a')

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children = []


class Ours(Server):
    TRIES = 1

    def __init__(self, folder, name, build, driver_keys, model_keys):
        super().__init__(folder, name)
        self.build, self.keys = build, (driver_keys, model_keys)

    def start(self, file):
        nvme = f'{self.folder}/{self.name}.nvme'
        for path in (nvme, self.path):
            if os.path.exists(path):
                os.unlink(path)
        self.spawn(nvme, f'{self.build}/ring3-model-nvme', 'disk0',
                   f'file={file}', f'listen={nvme}', *self.keys[1])
        self.spawn(self.path, f'{self.build}/ring3-driver-nvme', 'nvme0',
                   f'device=vfio-user:{nvme}', f'listen={self.path}',
                   *self.keys[0])


class Peer(Server):
    TRIES = 3  # it refuses a client while the last one is still leaving

    def __init__(self, folder, aio, iothread):
        super().__init__(folder, 'qsd-' + aio + ('-iothread' if iothread
                                                 else ''))
        self.aio, self.iothread = aio, iothread

    def start(self, file):
        if os.path.exists(self.path):
            os.unlink(self.path)
        words = ['qemu-storage-daemon', '--blockdev',
                 f'driver=file,node-name=f,filename={file},aio={self.aio},'
                 'cache.direct=off,cache.no-flush=off,locking=off']
        export = ('type=vhost-user-blk,id=e,node-name=f,writable=on,'
                  f'num-queues=1,addr.type=unix,addr.path={self.path}')
        if self.iothread:
            words += ['--object', 'iothread,id=t']
            export += ',iothread=t'
        self.spawn(self.path, *words, '--export', export)


def measure(load, server, op, depth, spin, seconds):
    """(requests/s, median us, 99th percentile us)"""
    for _ in range(server.TRIES):
        out = subprocess.run([load, server.path, op, str(depth), str(seconds),
                              '4096', str(spin)],
                             stdout=subprocess.PIPE, text=True, timeout=60)
        if not out.returncode:
            return tuple(float(word) for word in out.stdout.split())
        time.sleep(0.2)
    raise SystemExit(f'{server.name}: the load failed; see {server.folder}')


def medians(results):
    return tuple(statistics.median(column) for column in zip(*results))


def name_of(row):
    return f'{row[0]:6}QD{row[1]:<3} {"polls" if row[2] else "sleeps"}  '


def report(servers, got):
    print(f'{"":12} client  {"server":23}{"req/s":>9}{"median us":>11}'
          f'{"p99 us":>9}')
    for row in ROWS:
        best = max((s for s in servers if s.name != 'ring3'),
                   key=lambda s: medians(got[s.name, row])[0])
        for s in servers:
            rate, mid, p99 = medians(got[s.name, row])
            mark = ' *' if s is best else ''
            print(f'{name_of(row):21}{s.name:23}{rate:9.0f}{mid:11.1f}'
                  f'{p99:9.1f}{mark}')
        ratio = (medians(got['ring3', row])[0] /
                 medians(got[best.name, row])[0])
        pairs = [a[0] / b[0] for a, b in zip(got['ring3', row],
                                             got[best.name, row])]
        print(f'{name_of(row):21}ratio ring3 / {best.name}: {ratio:.2f} '
              f'(rounds {min(pairs):.2f} to {max(pairs):.2f})', flush=True)


def come_first():
    """All of us, in an autogroup of our own."""
    if os.getpid() != os.getsid(0):
        if os.fork():
            os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
        os.setsid()
    os.nice(-20)
    try:
        with open('/proc/self/autogroup', 'w') as f:
            f.write('-20')
    except OSError:
        pass


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = argparse.ArgumentParser()
    p.add_argument('--build', default=f'{root}/build')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--seconds', type=float, default=1)
    p.add_argument('--size', type=int, default=256, help='MiB')
    p.add_argument('--piece', type=int, default=4096,
                   help='bytes that the file is filled with at a time')
    p.add_argument('--driver', nargs='*', default=[], metavar='KEY=VALUE')
    p.add_argument('--model', nargs='*', default=[], metavar='KEY=VALUE')
    p.add_argument('--peers', default='io_uring,threads,io_uring+,threads+',
                   help='aio modes; + means in an iothread; "" for none')
    p.add_argument('--first', action='store_true',
                   help='before all others on a machine that is not quiet')
    args = p.parse_args()
    if args.first:
        come_first()
    folder = tempfile.mkdtemp(dir=os.environ.get('TMPDIR', '/var/tmp'))
    file = f'{folder}/disk.img'
    with open(file, 'wb', buffering=0) as f:
        for _ in range(args.size * (MIB // args.piece)):
            f.write(os.urandom(args.piece))
        os.fsync(f.fileno())
    servers = [Ours(folder, 'ring3', args.build, args.driver, args.model)]
    servers += [Peer(folder, word.rstrip('+'), '+' in word)
                for word in args.peers.split(',') if word]
    got = {}
    try:
        for _ in range(args.rounds):
            for s in servers:
                s.start(file)
                for row in ROWS:
                    got.setdefault((s.name, row), []).append(measure(
                        f'{args.build}/bench/blk_load', s, *row,
                        args.seconds))
                s.stop()
        print(f'{args.rounds} rounds of {args.seconds} s, {args.size} MiB '
              f'file in the page cache, {os.cpu_count()} CPUs, load '
              f'{os.getloadavg()[0]:.1f}')
        if args.peers:
            report(servers, got)
        else:
            for row in ROWS:
                rate, mid, p99 = medians(got['ring3', row])
                print(f'{name_of(row)}{rate:9.0f}{mid:9.1f}{p99:9.1f}')
    finally:
        for s in servers:
            s.stop()
        shutil.rmtree(folder)
    return 0


sys.exit(main())
