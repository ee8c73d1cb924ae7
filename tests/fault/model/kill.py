#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kill the NVMe driver and the model at random instants, again and again.

    kill.py [--kills N] [--pace MS] [--only SERVER] [--first] [--keep]
            [--signals KILL,SEGV,STOP] [--verify KEY=VALUE...]

A node with a model and a driver runs under its supervisor; blkverify loads the
driver's vhost-user socket all the while.  Nothing that it sees may be wrong:
no I/O error, no byte that differs from what was acknowledged, and every
request ends.  Most kills come whenever they come, also while the last one is
being recovered from; --pace waits that long between them, to measure what one
alone costs.  Prints the pauses that the client saw.
"""
import argparse
import bisect
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.environ.get('MESON_SOURCE_ROOT') or os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get('MESON_BUILD_ROOT') or f'{ROOT}/build'
CONF = '''[node]
name = kill-{pid}

[model disk0]
type = nvme
file = {folder}/disk.img
size = 64M
limit = 1000
{model}

[driver nvme0]
type = nvme
device = disk0
limit = 1000
{driver}
'''


class Node:
    def __init__(self, folder, model='', driver=''):
        self.conf = f'{folder}/node.conf'
        self.name = f'kill-{os.getpid()}'
        with open(f'{folder}/disk.img', 'wb') as f:
            f.truncate(64 << 20)
        with open(self.conf, 'w') as f:
            f.write(CONF.format(pid=os.getpid(), folder=folder, model=model,
                                driver=driver))

    def ring3(self, *words):
        return subprocess.run([f'{BUILD}/ring3', *words], text=True,
                              stdout=subprocess.PIPE, timeout=60)

    def up(self):
        if self.ring3('up', self.conf).returncode:
            raise SystemExit('not ok 1 - the node comes up')

    def down(self):
        self.ring3('down', self.name)

    def status(self):
        shown = self.ring3('status', '--json', self.name)
        return json.loads(shown.stdout)

    def servers(self):
        return {s['name']: s for s in self.status()['servers']}

    def logs(self):
        return self.ring3('logs', '-n', self.name).stdout


def come_first(node):
    for pid in ['self', node.status()['pid'],
                *(s['pid'] for s in node.servers().values())]:
        with open(f'/proc/{pid}/autogroup', 'w') as f:
            f.write('-20')
        os.setpriority(os.PRIO_PROCESS, 0 if pid == 'self' else pid, -20)


def send(pid, number):
    """True: it was there."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


class Killer:
    def __init__(self, node, rng, signals, only):
        self.node, self.rng = node, rng
        self.signals, self.only = signals, only
        self.done = []          # (time, server, signal)
        self.missed = 0
        self.given_up = None

    def choose_signal(self):
        names = [s for s in self.signals for _ in range(8 if s == 'KILL'
                                                        else 1)]
        return self.rng.choice(names)

    def kill_one(self):
        servers = self.node.servers()
        name = self.only or self.rng.choice(['nvme0', 'nvme0', 'disk0'])
        server = servers[name]
        if server['state'] == 'failed':
            self.given_up = f'{name}: {server["last_death"]}'
            return
        pid, kind = server['pid'], self.choose_signal()
        if pid <= 0:
            self.missed += 1
            return
        if kind == 'STOP':
            if not send(pid, signal.SIGSTOP):
                self.missed += 1
                return
            time.sleep(self.rng.random() * 0.03)
        at = time.monotonic_ns()
        number = signal.SIGSEGV if kind == 'SEGV' else signal.SIGKILL
        if send(pid, number):
            self.done.append((at, name, kind))
        else:
            self.missed += 1


def pauses(kills, gaps, alone_ms):
    """How long the client waited after each kill that no other was near."""
    ends = [end for _, end in gaps]
    got = {}
    for i, (at, name, kind) in enumerate(kills):
        after = kills[i + 1][0] if i + 1 < len(kills) else None
        if after and after - at < alone_ms * 1e6:
            continue
        k = bisect.bisect_right(ends, at)
        took = 0.0
        # the pause that the kill fell into, or the next, if it is soon
        if k < len(gaps) and gaps[k][0] < at + 20e6:
            took = (gaps[k][1] - at) / 1e6
        got.setdefault((name, kind), []).append(took)
    return got


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


def report(killer, result, seconds):
    count = {}
    for _, name, kind in killer.done:
        count[name, kind] = count.get((name, kind), 0) + 1
    shown = ', '.join(f'{name} {kind} {n}'
                      for (name, kind), n in sorted(count.items()))
    print(f'# {len(killer.done)} kills in {seconds:.0f} s: {shown}; '
          f'{killer.missed} came too late')
    for (name, kind), v in sorted(pauses(killer.done, result['gaps'],
                                         100).items()):
        print(f'# {name} {kind}: to the next completion median '
              f'{statistics.median(v):.1f} ms, p99 '
              f'{percentile(v, 0.99):.1f} ms, worst {max(v):.1f} ms '
              f'({len(v)} kills alone)')
    print(f'# client: {result["reads"]} reads, {result["writes"]} writes, '
          f'{result["zeroes"]} zeroes, {result["flushes"]} flushes, '
          f'{result["sectors_verified"]} sectors compared, longest pause '
          f'{result["gap_max_ms"]:.1f} ms, {result["reconnects"]} '
          f'connections anew')


class Tap:
    def __init__(self):
        self.count = self.bad = 0

    def ok(self, good, name):
        self.count += 1
        self.bad += not good
        print(f'{"ok" if good else "not ok"} {self.count} - {name}',
              flush=True)


def run(node, args, rng):
    """(result, killer, seconds)"""
    sock = f'/run/ring3/{node.name}/nvme0.sock'
    load = subprocess.Popen(
        [f'{BUILD}/tests/fault/model/blkverify', sock, 'seconds=3600',
         'size=64M', 'gap_us=500', f'seed={args.seed}', *args.verify],
        stdout=subprocess.PIPE, text=True)
    killer = Killer(node, rng, args.signals.split(','), args.only)
    time.sleep(0.3)
    start = time.monotonic()
    while len(killer.done) < args.kills and not killer.given_up and \
            load.poll() is None and \
            time.monotonic() - start < args.limit:
        killer.kill_one()
        if args.pace:
            time.sleep(args.pace / 1000 * (0.75 + rng.random() / 2))
        else:
            time.sleep(rng.random() ** 3 * 0.15)
    seconds = time.monotonic() - start
    load.terminate()
    try:
        out, _ = load.communicate(timeout=1 if killer.given_up else 90)
    except subprocess.TimeoutExpired:
        load.kill()
        out = ''
    return json.loads(out) if out.strip() else None, killer, seconds


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--kills', type=int, default=1000)
    p.add_argument('--pace', type=float, default=0, help='ms')
    p.add_argument('--only', help='disk0 or nvme0')
    p.add_argument('--signals', default='KILL,SEGV,STOP')
    p.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    p.add_argument('--limit', type=float, default=240, help='seconds')
    p.add_argument('--verify', nargs='*', default=[], metavar='KEY=VALUE')
    p.add_argument('--first', action='store_true',
                   help='before all others on a machine that is not quiet')
    p.add_argument('--keep', action='store_true', help='the logs')
    args = p.parse_args()
    if os.geteuid():
        print('SKIP: a node needs root')
        return 77
    print(f'# seed {args.seed}', flush=True)
    folder = tempfile.mkdtemp(dir='/var/tmp')
    node, tap = Node(folder), Tap()
    try:
        node.up()
        if args.first:
            come_first(node)
        result, killer, seconds = run(node, args, random.Random(args.seed))
        servers = node.servers()
        tap.ok(not killer.given_up, 'no server was given up')
        if killer.given_up:
            print(f'# {killer.given_up} after {len(killer.done)} kills')
        tap.ok(result is not None, 'the client ends')
        if result:
            report(killer, result, seconds)
            tap.ok(len(killer.done) >= args.kills,
                   f'{args.kills} kills ({len(killer.done)} done)')
            tap.ok(result['errors'] == 0, 'no I/O error')
            tap.ok(result['corrupt'] == 0, 'no lost or corrupt write')
            tap.ok(result['ok'], 'every request has ended')
        quarantined = sum(s['quarantined'] for s in servers.values())
        tap.ok(quarantined == 0, 'nothing was put in quarantine')
        print('# resubmitted: ' + str(sum(s['resubmitted']
                                          for s in servers.values())))
        if tap.bad or args.keep:
            for line in node.logs().splitlines()[-100:]:
                print('# ' + line)
    finally:
        node.down()
        shutil.rmtree(folder)
        shutil.rmtree(f'/run/ring3/{node.name}', ignore_errors=True)
    print(f'1..{tap.count}')
    return 1 if tap.bad else 0


sys.exit(main())
