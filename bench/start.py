#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Start of a server, fork to READY with its sandbox, and what it weighs.

    bench/start.py [BUILD]      default: build/

The peer is the same program spawned without any of it, until it has printed
its help and ended: what fork and exec alone cost here.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 100
TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1
                        else os.path.join(TREE, 'build'))

CONF = '''[node]
name = bench
[model disk0]
type = nvme
file = disk.img
'''
DRIVER = '''[driver nvme0]
type = nvme
device = disk0
'''


def call(folder, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f'{folder}/run/bench/control.sock')
        s.sendall(line.encode() + b'\n')
        return json.loads(s.makefile().readline())


def spawn_us(program):
    start = time.perf_counter()
    subprocess.run([program, '--help'], stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1e6


def rss_kib(pid):
    with open(f'/proc/{pid}/status') as f:
        lines = dict(line.split(':', 1) for line in f if ':' in line)
    return {key: int(lines[key].split()[0])
            for key in ('VmRSS', 'RssAnon', 'RssFile', 'RssShmem')}


def measure(folder, names):
    for name in names:
        started, restarted, plain = [], [], []
        program = f'{BUILD}/ring3-{"driver" if "nvme" in name else "model"}' \
            '-nvme'
        for _ in range(ROUNDS):
            call(folder, f'kill {name} KILL')
            got = call(folder, f'up {name}')
            started.append(got['start_us'])
            restarted.append(got['took_us'])
            plain.append(spawn_us(program))
        ours, peer = statistics.median(started), statistics.median(plain)
        print(f'{name}: fork to READY median {ours / 1000:.2f} ms; spawned '
              f'plain, to its end {peer / 1000:.2f} ms; ratio '
              f'{ours / peer:.2f}; SIGKILL to READY median '
              f'{statistics.median(restarted) / 1000:.2f} ms, worst '
              f'{max(restarted) / 1000:.2f} ms (n={ROUNDS})')


def node(folder, text, names):
    """Start a node, weigh it all, measure some of it."""
    env = dict(os.environ, R3_RUNDIR=f'{folder}/run')
    with open(f'{folder}/n.conf', 'w') as f:
        f.write(text)
    subprocess.run([f'{BUILD}/ring3', 'up', '-q', f'{folder}/n.conf'],
                   env=env, check=True)
    try:
        measure(folder, names)
        status = call(folder, 'status')
        pids = [('supervisor', status['pid'])]
        pids += [(s['name'], s['pid']) for s in status['servers']]
        for name, pid in pids:
            print(f'{name}: ' + ', '.join(
                f'{key} {kib} KiB' for key, kib in rss_kib(pid).items()))
    finally:
        subprocess.run([f'{BUILD}/ring3', 'down', '-q', 'bench'], env=env)


def main():
    with tempfile.TemporaryDirectory(prefix='r3b.') as folder:
        with open(f'{folder}/disk.img', 'wb') as f:
            f.truncate(64 << 20)
        # alone: a driver that lost its model would want the CPU meanwhile
        node(folder, CONF, ['disk0'])
        node(folder, CONF + DRIVER, ['nvme0'])


main()
