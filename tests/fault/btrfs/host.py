#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The file system that an image lies on has no room for one of its blocks: that
of the second super block, which is written last and has no flush behind it.
The command says so, and where; what it did is there all the same.

A write that fails at once (an image in tmpfs) and one that fails when the
system gets round to it (a loop device above that).

And what a failed receive wrote does not stay in the file."""
import errno
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../interop/btrfs"))
import kernel  # noqa: E402
from kernel import RING3, ring3, run  # noqa: E402

SIZE, SUPER_2 = 72 << 20, 64 << 20


def punch(path, at, size):
    run("fallocate", "--punch-hole", "--keep-size", "--offset", str(at),
        "--length", str(size), path)


def fill(folder):
    """Until not a single block is left."""
    with open(os.path.join(folder, "fill"), "wb", buffering=0) as f:
        for piece in (1 << 20, 4096):
            try:
                while True:
                    f.write(bytes(piece))
            except OSError as e:
                assert e.errno == errno.ENOSPC, e


def fails(told, *args, **kw):
    done = subprocess.run([RING3, "btrfs", *args], stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, timeout=60, **kw)
    assert done.returncode == 1, done
    assert told.encode() in done.stderr, done.stderr
    return done.stderr


class Host:
    def __init__(self, k, size):
        self.dir = k.path("host")
        os.makedirs(self.dir, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.dir)
        k.mounts.append((self.dir, "none", 0))
        self.image = os.path.join(self.dir, "image")

    def make(self, size):
        """An image that has all its blocks."""
        ring3("mkfs", "--size", str(size), self.image)
        with open(self.image, "rb+") as f:
            os.posix_fallocate(f.fileno(), 0, size)


def check_last_write(k, stream):
    where = f"writing at byte {SUPER_2}: "
    told = where + "no space left where the image lies"
    host = Host(k, SIZE + (2 << 20))
    host.make(SIZE)
    punch(host.image, SUPER_2, 4096)
    fill(host.dir)
    fails(told, "mkdir", host.image, "/made")
    fails(told, "receive", "-f", stream, host.image)
    told = ring3("check", "--data", host.image, ok=(1,))
    assert b"only 1 of 2 copies" in told and b" 1 problems" in told, told
    run("btrfs", "check", "--check-data-csum", host.image)
    assert b"made" in ring3("ls", host.image, "/")
    assert b" s" in ring3("subvolume", "list", host.image)
    loop = run("losetup", "--show", "-f", host.image).decode().strip()
    try:
        fails(where, "mkdir", loop, "/late")
    finally:
        run("losetup", "-d", loop)
    assert b"late" in ring3("ls", host.image, "/")
    k.umount()
    print("ok: the last write fails")


def blocks(path):
    return os.stat(path).st_blocks * 512


def check_given_back(k, stream):
    """A stream that ends too early: the image has hardly more blocks than before,
    but those that its owner gave it."""
    image, cut = k.path("sparse.img"), k.path("cut")
    with open(stream, "rb") as f, open(cut, "wb") as to:
        to.write(f.read()[:-1000])
    ring3("mkfs", "--size", str(1 << 30), image)
    ring3("receive", "-f", stream, image)  # something that stays
    ring3("mv", image, "/s", "/kept")
    before = blocks(image)
    for _ in range(2):
        fails("is cut off", "receive", "-f", cut, image)
    grown = blocks(image) - before
    assert grown < 256 << 10, grown
    ring3("check", "--data", image)
    run("btrfs", "check", "--check-data-csum", image)
    root = k.mount(image)
    with open(k.path("data"), "rb") as a, \
            open(f"{root}/kept/data", "rb") as b:
        assert a.read() == b.read()
    k.umount()
    with open(image, "rb+") as f:
        os.posix_fallocate(f.fileno(), 0, 1 << 30)
    before = blocks(image)
    fails("is cut off", "receive", "-f", cut, image)
    assert blocks(image) == before, blocks(image)
    print("ok: what was received in vain is given back")


def make_stream(k):
    """Of the subvolume s, with 2 MB in it."""
    image, stream = k.path("from.img"), k.path("stream")
    with open(k.path("data"), "wb") as f:
        f.write(os.urandom(2 << 20))
    ring3("mkfs", "--size", str(128 << 20), image)
    ring3("subvolume", "create", image, "/v")
    ring3("put", image, k.path("data"), "/v/")
    ring3("snapshot", "-r", image, "/v", "/s")
    with open(stream, "wb") as f:
        f.write(ring3("send", image, "/s"))
    return stream


def main():
    k = kernel.Kernel()
    stream = make_stream(k)
    check_last_write(k, stream)
    check_given_back(k, stream)
    return 0


if __name__ == "__main__":
    sys.exit(main())
