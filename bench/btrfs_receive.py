#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Receiving a stream of 16,000 files, and a difference to it, beside btrfs
receive.

    bench/btrfs_receive.py [--build DIR] [--runs N]

Needs root: btrfs receive writes to a mounted file system; ring3 writes to the
image.  Streams are the kernel's, version 1; each run gets a fresh image, and
ends when its data is on the disk.  Both take turns.
"""
import argparse
import os
import statistics
import subprocess
import tempfile

from btrfs_mkfs import QUIET, make_tree, timed
from btrfs_send import change


def run(*cmd):
    subprocess.run(cmd, check=True, **QUIET)


def fresh(image):
    if os.path.exists(image):
        os.unlink(image)
    with open(image, "wb") as f:
        f.truncate(2 << 30)
    run("mkfs.btrfs", "-q", image)


def make_streams(tmp):
    """a, then b - a."""
    tree, image, mnt = tmp + "/tree", tmp + "/image", tmp + "/mnt"
    count, size = make_tree(tree, 16000, 450)
    fresh(image)
    run("mount", "-o", "loop,noatime", image, mnt)
    try:
        run("btrfs", "subvolume", "create", f"{mnt}/v")
        run("cp", "-a", tree + "/.", f"{mnt}/v")
        run("btrfs", "subvolume", "snapshot", "-r", f"{mnt}/v", f"{mnt}/a")
        run("btrfs", "send", "-q", "-f", tmp + "/full", f"{mnt}/a")
        change(f"{mnt}/v")
        run("btrfs", "subvolume", "snapshot", "-r", f"{mnt}/v", f"{mnt}/b")
        run("btrfs", "send", "-q", "-p", f"{mnt}/a", "-f",
            tmp + "/difference", f"{mnt}/b")
    finally:
        run("umount", mnt)
    print(f"tree: {count} files, {size >> 20} MiB; streams of "
          f"{os.path.getsize(tmp + '/full')} and "
          f"{os.path.getsize(tmp + '/difference')} bytes")


def theirs(tmp, rows):
    """The mount is there before, so its time is not counted."""
    image, mnt = tmp + "/image", tmp + "/mnt"
    fresh(image)
    run("mount", "-o", "loop,noatime", image, mnt)
    try:
        for name in rows:
            rows[name].append(timed(
                f"btrfs receive -q -f {tmp}/{name} {mnt} && sync -f {mnt}",
                image, shell=True))
    finally:
        run("umount", mnt)


def ours(tmp, ring3, rows):
    image = tmp + "/image"
    fresh(image)
    for name in rows:
        rows[name].append(timed([ring3, "btrfs", "receive", "-f",
                                 f"{tmp}/{name}", image], image))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    ring3 = os.path.abspath(os.path.join(args.build, "ring3"))
    a = {"full": [], "difference": []}
    b = {"full": [], "difference": []}
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        os.mkdir(tmp + "/mnt")
        make_streams(tmp)
        for _ in range(args.runs):
            theirs(tmp, a)
            ours(tmp, ring3, b)
    for name in a:
        (peer, _), (wall, cpu) = (
            [statistics.median(column) for column in zip(*r[name])]
            for r in (a, b))
        print(f"{name:12} btrfs receive {peer:6.3f} s   ring3 {wall:6.3f} s "
              f"(CPU {cpu:.3f} s)   ratio {wall / peer:.2f}")


if __name__ == "__main__":
    main()
