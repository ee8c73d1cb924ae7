# SPDX-License-Identifier: GPL-2.0-or-later
"""A node of a model and a driver, for those who attack it."""
import json
import os
import subprocess

from front import Front

BUILD = os.environ['MESON_BUILD_ROOT']
HANG_MS = 2000
CONF = '''
[node]
name = hostile{pid}
[model disk0]
type = nvme
file = {folder}/disk.img
listen = {folder}/nvme.sock
[driver nvme0]
type = nvme
device = disk0
listen = {folder}/blk.sock
hang_ms = {hang_ms}
'''


def sanitized():
    """A sanitizer keeps freed memory: then its size says nothing."""
    with open(f'{BUILD}/meson-info/intro-buildoptions.json') as f:
        return any(o['name'] == 'b_sanitize' and o['value'] != 'none'
                   for o in json.load(f))


def ring3(*args):
    return subprocess.run([f'{BUILD}/ring3', *args], text=True, check=True,
                          timeout=60, stdout=subprocess.PIPE).stdout


class Node:
    def __init__(self, folder):
        self.name = f'hostile{os.getpid()}'
        self.sock = f'{folder}/blk.sock'
        with open(f'{folder}/disk.img', 'wb') as f:
            f.truncate(64 << 20)
        with open(f'{folder}/n.conf', 'w') as f:
            f.write(CONF.format(pid=os.getpid(), folder=folder,
                                hang_ms=HANG_MS))
        self.conf = f'{folder}/n.conf'
        os.environ['R3_RUNDIR'] = f'{folder}/run'

    def up(self):
        ring3('up', '-q', self.conf)

    def down(self):
        subprocess.run([f'{BUILD}/ring3', 'down', '-q', self.name],
                       timeout=60)

    def logs(self):
        return ring3('logs', '-n', self.name)

    def units(self):
        status = json.loads(ring3('status', '--json', self.name))
        units = {u['name']: u for u in status['servers']}
        units['supervisor'] = {'pid': status['pid'], 'state': 'up',
                               'restarts': 0}
        return units

    def held(self):
        """fds and resident KiB of each process"""
        out = {}
        for name, unit in self.units().items():
            pid = unit['pid']
            with open(f'/proc/{pid}/status') as f:
                rss = [int(line.split()[1]) for line in f
                       if line.startswith('VmRSS:')][0]
            out[name] = len(os.listdir(f'/proc/{pid}/fd')), rss
        return out


def serves(node, text):
    """A decent client writes and reads."""
    data = (text * 4096).encode()[:4096]
    with Front(node.sock, timeout=10) as f:
        f.ready()
        f.fill(data)
        assert f.request(1, 80) == 0, 'write failed'
        f.fill(bytes(4096))
        assert f.request(0, 80) == 0, 'read failed'
        assert f.data() == data, 'other bytes read than written'
