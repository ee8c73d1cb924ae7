# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache folder: things that are fetched or built once and then kept.

A thing is made in a temporary folder beside its place and renamed when it is
whole, under a lock; so a killed run leaves nothing half made, and of two runs
at once the second waits and then uses what the first one made.
"""
import contextlib
import fcntl
import os
import shutil
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def folder(*parts):
    """The folder at `parts` in the cache ($R3_CACHE or cache/ in the tree)."""
    base = os.environ.get('R3_CACHE') or os.path.join(TREE, 'cache')
    path = os.path.join(os.path.abspath(base), *parts)
    os.makedirs(path, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name):
    """Hold the cache's lock `name`; other processes wait for it."""
    with open(os.path.join(folder('locks'), name), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made(path, make, lock=None):
    """Return `path`; where it is missing, call make(temporary path) first."""
    if os.path.exists(path):
        return path
    with locked(lock or os.path.basename(path)):
        if os.path.exists(path):
            return path
        temp = tempfile.mkdtemp(prefix='.new-', dir=os.path.dirname(path))
        try:
            new = os.path.join(temp, 'new')
            make(new)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            os.rename(new, path)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    return path


def point(link, path):
    """Let the symbolic link `link` lead to `path`, at once; return it."""
    target = os.path.relpath(path, os.path.dirname(link))
    if not os.path.islink(link) or os.readlink(link) != target:
        temp = f'{link}.new-{os.getpid()}'
        os.symlink(target, temp)
        os.rename(temp, link)
    return link
