#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL of the driver, and of the model, to the client's next completion.

    bench/restart.py [--kills N] [--first]

A node under its supervisor, a client that writes and reads back and verifies;
one kill every 100 ms (tests/fault/model/kill.py).  There is no peer: other
vhost-user back ends end with an error, or wait for someone to start them.
Aim: median 10 ms, 99th percentile 50 ms.
"""
import argparse
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--kills', type=int, default=100)
    p.add_argument('--first', action='store_true',
                   help='before all others on a machine that is not quiet')
    args = p.parse_args()
    bad = 0
    print(f'{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}')
    for server in ('nvme0', 'disk0'):
        words = ['setsid', '-w', sys.executable,
                 f'{ROOT}/tests/fault/model/kill.py', '--only', server,
                 '--signals', 'KILL', '--pace', '100', '--kills',
                 str(args.kills), '--verify', 'depth=8']
        done = subprocess.run(words + ['--first'] * args.first, text=True,
                              stdout=subprocess.PIPE)
        bad |= done.returncode
        for line in done.stdout.splitlines():
            if 'next completion' in line or line.startswith('not ok'):
                print(line.removeprefix('# '), flush=True)
    return bad


sys.exit(main())
