# SPDX-License-Identifier: GPL-2.0-or-later
"""fuse.py - images mounted by 'ring3 btrfs mount'

Used by the tests beside it.  Mounts that a test leaves behind are taken down
at exit.
"""
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time

from kernel import RING3, run, skip

PROGRAM = "ring3-btrfs-mount"


def need():
    """Skip where nothing can be mounted."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as why:
        skip(f"/dev/fuse: {why.strerror}")
    if os.geteuid() and not shutil.which("fusermount3"):
        skip("there is no fusermount3")


def processes(image):
    """[keeper, server] of an image's mount: the server has no rights."""
    found = []
    want = f"image={image}".encode()
    # bytes: others' words, of tests that run beside us, need not be text
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{pid}/status", "rb") as f:
                locked = b"Seccomp:\t2" in f.read()
        except OSError:
            continue
        if words[0].endswith(PROGRAM.encode()) and want in words:
            found.append((locked, int(pid)))
    return [pid for _, pid in sorted(found)]


class Folder:
    """A folder of a test's own, and its mounts."""

    def __init__(self):
        need()
        self.dir = tempfile.mkdtemp(prefix="r3fuse.")
        os.chmod(self.dir, 0o755)
        self.mounts = []
        atexit.register(self.close)

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, name="fs", size=1 << 30, *args):
        path = self.path(name + ".img")
        run(RING3, "btrfs", "mkfs", path, "--size", str(size), "--force",
            *args)
        return path

    def mount(self, image, *args, name="mnt"):
        where = self.path(name)
        os.makedirs(where, exist_ok=True)
        run(RING3, "btrfs", "mount", *args, image, where)
        self.mounts.append(where)
        return where

    def unmount(self, where=None):
        where = where or self.mounts[-1]
        run(RING3, "btrfs", "unmount", where)
        self.mounts.remove(where)

    def kill(self, image):
        """The server dies; what is left of its mount goes."""
        os.kill(processes(image)[1], signal.SIGKILL)
        wait(lambda: not processes(image))
        self.unmount()

    def close(self):
        for where in self.mounts:
            subprocess.run(["fusermount3", "-uz", where],
                           stderr=subprocess.DEVNULL)
        self.mounts = []
        shutil.rmtree(self.dir, ignore_errors=True)


def wait(what, seconds=10):
    """Until what() is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)
