# SPDX-License-Identifier: GPL-2.0-or-later
"""A node of test servers in a folder of its own, and TAP for its tests."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback

RING3 = os.environ['R3_TEST_RING3']
SERVER = os.environ['R3_TEST_SERVER']
BUILD = os.environ['MESON_BUILD_ROOT']


class Failed(Exception):
    """A test's expectation was not met; the text says which."""


def expect(what, got, want):
    if got != want:
        raise Failed(f'{what}: got {got!r}, expected {want!r}')


def wait_for(what, test, seconds=10):
    """Call test() until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > end:
            raise Failed(f'waited {seconds} s for: {what}')
        time.sleep(0.005)


class Place:
    """A folder with the programs, a run directory and configuration files."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix='r3n.')
        self.lib = os.path.join(self.dir, 'lib')
        os.mkdir(self.lib)
        for name in ('ring3-test-server', 'ring3-test-user'):
            os.symlink(SERVER, os.path.join(self.lib, name))
        os.symlink(os.path.join(BUILD, 'ring3-supervisor'),
                   os.path.join(self.lib, 'ring3-supervisor'))
        self.env = dict(os.environ, R3_LIBEXEC=self.lib,
                        R3_RUNDIR=os.path.join(self.dir, 'run'))
        self.env.setdefault('ASAN_OPTIONS', 'detect_leaks=0')
        return self

    def __exit__(self, *_):
        self.ring3('down', 'n', check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def write(self, text, name='n.conf'):
        path = os.path.join(self.dir, name)
        with open(path, 'w') as f:
            f.write(text)
        return path

    def ring3(self, *args, check=True, **more):
        done = subprocess.run([RING3, *args], env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=90, **more)
        if check and done.returncode != 0:
            raise Failed(f'ring3 {" ".join(args)}: {done.returncode}: '
                         f'{done.stderr}')
        return done

    # -- a node that runs

    def up(self, text):
        self.ring3('up', '-q', self.write('[node]\nname = n\n' + text))

    def status(self, name=None):
        whole = json.loads(self.ring3('status', '--json', 'n').stdout)
        if name is None:
            return whole
        for unit in whole['servers'] + whole['guests']:
            if unit['name'] == name:
                return unit
        raise Failed(f'status has no {name}')

    def ask(self, verb, name='a', timeout=20, fds=()):
        """Tell a test server what to do; '' when it died of it."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(os.path.join(self.dir, 'run', 'n', name + '.sock'))
            try:
                socket.send_fds(s, [verb.encode() + b'\n'], fds)
                return s.makefile().readline().rstrip('\n').rstrip()
            except ConnectionResetError:
                return ''

    def control(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(os.path.join(self.dir, 'run', 'n', 'control.sock'))
            s.sendall(line.encode() + b'\n')
            return json.loads(s.makefile().readline())

    def died(self, name, restarts):
        """Wait until a server has been started again so often and is up."""
        def look():
            unit = self.status(name)
            return unit['restarts'] == restarts and unit['state'] == 'up' \
                and unit
        return wait_for(f'{name} restarted {restarts} times', look)

    def log(self, name):
        with open(os.path.join(self.dir, 'run/n/log', name + '.log'),
                  errors='replace') as f:
            return f.read()


def main(tests):
    """Run functions as TAP cases; each gets a Place."""
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace('_', ' ')
        try:
            with Place() as place:
                try:
                    test(place)
                except Exception:
                    for log in ('supervisor', 'a', 'b'):
                        try:
                            text = place.log(log)
                        except OSError:
                            continue
                        print(f'# {log}: ' + text.replace('\n', '\n# '))
                    raise
            print(f'ok {number} - {name}')
        except Failed as why:
            failed += 1
            print(f'not ok {number} - {name}\n# {why}')
        except Exception:  # what nobody expected; the others tell more
            failed += 1
            print(f'not ok {number} - {name}\n# ' +
                  traceback.format_exc().replace('\n', '\n# '))
        sys.stdout.flush()
    print(f'1..{len(tests)}')
    sys.exit(1 if failed else 0)
