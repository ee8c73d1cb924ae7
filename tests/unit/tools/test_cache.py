#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache folder: made once, whole or not at all."""
import multiprocessing
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.environ['MESON_SOURCE_ROOT'], 'tools'))
import r3cache   # noqa: E402


def slow(path):
    """Make `path` in two steps, so that half of it can be seen."""
    with open(path, 'w') as f:
        f.write('half')
        f.flush()
        time.sleep(0.3)
        f.write(f' {os.getpid()}')


def stuck(path):
    with open(path, 'w') as f:
        f.write('half')
    time.sleep(60)


def broken(path):
    with open(path, 'w') as f:
        f.write('half')
    raise OSError('no room')


def make_in_process(path, make):
    process = multiprocessing.Process(target=r3cache.made, args=(path, make))
    process.start()
    return process


def content(path):
    with open(path) as f:
        return f.read()


def failed_leaves_nothing(path):
    try:
        r3cache.made(path, broken)
    except OSError:
        return os.listdir(os.path.dirname(path)) == []
    return False


def killed_leaves_nothing_in_place(path):
    process = make_in_process(path, stuck)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return not os.path.exists(path)


def made_after_all(path):
    r3cache.made(path, slow)
    return content(path) == f'half {os.getpid()}'


def two_at_once_make_one(path):
    processes = [make_in_process(path, slow) for _ in range(4)]
    for process in processes:
        process.join()
    return content(path).split()[1] in [str(p.pid) for p in processes] and \
        all(p.exitcode == 0 for p in processes)


def kept(path):
    before = content(path)
    r3cache.made(path, slow)
    return content(path) == before


ROWS = [
    ('a', failed_leaves_nothing), ('a', killed_leaves_nothing_in_place),
    ('a', made_after_all), ('a', kept), ('b', two_at_once_make_one),
]


def main():
    bad = 0
    print(f'1..{len(ROWS)}')
    with tempfile.TemporaryDirectory() as temp:
        os.environ['R3_CACHE'] = temp
        for number, (name, case) in enumerate(ROWS, 1):
            good = case(os.path.join(r3cache.folder('things'), name))
            bad += not good
            print(f'{"" if good else "not "}ok {number} - '
                  f'{case.__name__.replace("_", " ")}', flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
