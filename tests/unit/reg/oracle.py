#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`ring3 reg oracle` against what a real kernel reported, file by file.

oracle/CC.txt: after a user's hint for that country; oracle/hints/NAME.txt:
after a row of events, which the file's name tells.  docs/reg-oracle.md has the
format.
"""
import difflib
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RING3 = os.path.join(os.environ['MESON_BUILD_ROOT'], 'ring3')
DB = ['--db', os.path.join(HERE, 'data/regulatory.db')]

NAMED = {
    'bh-before': ('', 2),
    'bh-after': ('beacon:0:5180', 2),
    'core00-ieDE': ('ie:0:DE', 2),
    'core00-ieDE-userUS': ('ie:0:DE,user:US', 2),
    'core00-ieDE-userUS-disc': ('ie:0:DE,user:US,disconnect:0', 2),
    'drvstrict-DE': ('drvstrict:0:DE', 1),
    'drvstrict-DE-user-US': ('drvstrict:0:DE,user:US', 1),
}


def events(name):
    """The LIST and the number of radios behind a file's name."""
    if name in NAMED:
        return NAMED[name]
    part = name.split('-')
    if part[0] == 'drv':
        return f'drv:0:{part[1]},drv:1:{part[3]}', 2
    users = {'boot': '', 'userFR': ',user:FR', 'userFR-JP': ',user:FR,user:JP'}
    return f'regtest:{part[0][2:]}' + users['-'.join(part[1:])], 6


def check(number, name, path, args):
    got = subprocess.run([RING3, 'reg', 'oracle', *args, *DB], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with open(path) as f:
        want = f.read()
    same = got.returncode == 0 and got.stdout == want
    print(f'{"ok" if same else "not ok"} {number} - {name}')
    if not same:
        for line in list(difflib.unified_diff(
                want.splitlines(), got.stdout.splitlines(), 'kernel', 'ours',
                lineterm='', n=0))[:20]:
            print('#', line)
    return same


def main():
    cases = [(os.path.basename(p)[:-4], p, [os.path.basename(p)[:-4]])
             for p in sorted(glob.glob(f'{HERE}/oracle/??.txt'))]
    for path in sorted(glob.glob(f'{HERE}/oracle/hints/*.txt')):
        name = os.path.basename(path)[:-4]
        row, radios = events(name)
        cases.append((name, path, ['--hints', row, '--radios', str(radios)]))
    good = [check(i + 1, *case) for i, case in enumerate(cases)]
    print(f'1..{len(cases)}')
    return 0 if len(cases) > 100 and all(good) else 1


sys.exit(main())
