# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial RAM disks: busybox, some kernel modules and an init script.

Written as a cpio archive by ourselves (format "newc", Linux'
Documentation/driver-api/early-userspace/buffer-format.rst), because making a
device node in a folder needs root and writing one into an archive does not.
"""
import hashlib
import lzma
import os
import stat
import subprocess

import r3cache

BUSYBOX = '/bin/busybox'


class Archive:
    def __init__(self):
        self.parts = []
        self.count = 0

    def add(self, name, mode, data=b'', rdev=(0, 0)):
        self.count += 1
        path = name.encode() + b'\0'
        head = b'070701' + b''.join(b'%08x' % field for field in (
            self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev,
            len(path), 0))
        self.parts += [head + path, b'\0' * (-(len(head) + len(path)) % 4),
                       data, b'\0' * (-len(data) % 4)]

    def folder(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self.add(name, stat.S_IFREG | mode, data)

    def bytes(self):
        self.add('TRAILER!!!', 0)
        return b''.join(self.parts)


def module_files(kernel, release, names):
    """Return the files of modules `names` and what they need, in load order."""
    files = []
    for name in names:
        shown = subprocess.run(
            ['modprobe', '-C', '/dev/null', '-S', release, '-d', kernel,
             '--show-depends', name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if shown.returncode != 0:
            raise LookupError(f'kernel {release} has no module {name}')
        for line in shown.stdout.splitlines():
            verb, _, path = line.strip().partition(' ')
            path = path.split(' ')[0]
            if verb == 'insmod' and path not in files:
                files.append(path)
    return files


def read_module(path):
    with open(path, 'rb') as f:
        data = f.read()
    return lzma.decompress(data) if path.endswith('.xz') else data


def build(kernel, release, modules, init):
    archive = Archive()
    for name in ('bin', 'dev', 'proc', 'sys', 'new', 'modules'):
        archive.folder(name)
    archive.add('dev/console', stat.S_IFCHR | 0o600, rdev=(5, 1))
    with open(BUSYBOX, 'rb') as f:
        archive.file('bin/busybox', f.read())
    archive.file('init', init)
    order = []
    for path in module_files(kernel, release, modules):
        name = os.path.basename(path).removesuffix('.xz')
        archive.file(f'modules/{name}', read_module(path), 0o644)
        order.append(name)
    archive.file('modules/order', ''.join(f'{n}\n' for n in order).encode())
    return archive.bytes()


def initrd(kernel, modules, init_path):
    """Return the cached initrd with these modules and this init script.

    init finds the modules in /modules, their load order in /modules/order.
    """
    with open(os.path.join(kernel, 'release')) as f:
        release = f.read().strip()
    with open(init_path, 'rb') as f:
        init = f.read()
    busybox = os.stat(BUSYBOX)
    key = hashlib.sha256(repr((os.path.basename(kernel), modules, init,
                               busybox.st_size, busybox.st_mtime_ns)).encode())
    path = os.path.join(r3cache.folder('initrd'), key.hexdigest()[:24])

    def make(new):
        with open(new, 'wb') as f:
            f.write(build(kernel, release, modules, init))
    return r3cache.made(path, make)
