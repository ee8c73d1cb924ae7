#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every source file names its licence first; none ends in white space.

Prints what does not and fails.
"""
import os
import subprocess
import sys

ROOT = os.environ['MESON_SOURCE_ROOT']
KINDS = ('.c', '.h', '.py', '.sh', 'meson.build')


def files():
    """What git tracks; in a tree without git, all there is."""
    try:
        shown = subprocess.run(['git', 'ls-files'], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=True)
        return shown.stdout.splitlines()
    except (FileNotFoundError, subprocess.CalledProcessError):
        pass
    skip = ('build', 'cache', '.git')
    return [os.path.relpath(os.path.join(folder, name), ROOT)
            for folder, _, names in os.walk(ROOT) for name in names
            if not os.path.relpath(folder, ROOT).startswith(skip)]


def problems(name):
    with open(os.path.join(ROOT, name), errors='replace') as f:
        lines = f.read().split('\n')
    if not any('SPDX-License-Identifier: GPL-2.0-or-later' in line
               for line in lines[:2]):
        yield f'{name}:1: no SPDX line'
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f'{name}:{number}: white space at the end'


def main():
    found = [p for name in files()
             if name.endswith(KINDS) and os.path.exists(f'{ROOT}/{name}')
             for p in problems(name)]
    print('\n'.join(found))
    return 1 if found else 0


sys.exit(main())
