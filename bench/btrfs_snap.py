#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A thousand snapshots of a subvolume, beside the kernel's ioctl.

    bench/btrfs_snap.py [--build DIR] [--runs N] [--count N] [--kernel N]

Needs root: the kernel's file system is loop-mounted.  It gets one ioctl a
snapshot, each of which is a commit; ring3 makes them in one, on the image, not
mounted, and its time has opening the image and the flush at the end in it.
A snapshot adds a reference to each block that the source's root points to: few
when the tree has just got its third level, hundreds just before that.
"""
import argparse
import fcntl
import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
SNAP_CREATE_V2 = 0x50009417  # linux/btrfs.h: struct btrfs_ioctl_vol_args_v2
READ_ONLY = 2


def run(*cmd, **kw):
    subprocess.run(cmd, check=True, **QUIET, **kw)


class open_folder:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def kernel_snapshots(mnt, name, count):
    with open_folder(f"{mnt}/v") as source, open_folder(mnt) as folder:
        start = time.monotonic()
        for i in range(count):
            args = struct.pack("=qQQ32x4040s", source.fd, 0, READ_ONLY,
                               f"{name}{i}".encode())
            fcntl.ioctl(folder.fd, SNAP_CREATE_V2, bytearray(args))
        os.fsync(folder.fd)
        return count / (time.monotonic() - start)


def our_snapshots(ring3, image, name, count):
    names = "".join(f"/{name}{i}\n" for i in range(count))
    start = time.monotonic()
    run(ring3, "btrfs", "snapshot", "-r", image, "/v", "-",
        input=names.encode())
    return count / (time.monotonic() - start)


def make_source(image, mnt, files):
    with open(image, "wb") as f:
        f.truncate(1 << 30)
    run("mkfs.btrfs", "-q", "-f", image)
    run("mount", "-o", "loop,noatime", image, mnt)
    try:
        run("btrfs", "subvolume", "create", f"{mnt}/v")
        for i in range(files):
            with open(f"{mnt}/v/f{i}", "wb") as f:
                f.write(b"x" * 100)
    finally:
        run("umount", mnt)


def measure(args, ring3, tmp, files):
    image, mnt, copy = tmp + "/image", tmp + "/mnt", tmp + "/copy"
    make_source(image, mnt, files)
    theirs, ours = [], []
    shutil.copyfile(image, copy)
    run("mount", "-o", "loop,noatime", copy, mnt)
    try:
        for n in range(args.runs):
            theirs.append(kernel_snapshots(mnt, f"k{n}.", args.kernel))
    finally:
        run("umount", mnt)
    for n in range(args.runs):
        shutil.copyfile(image, copy)
        os.sync()
        ours.append(our_snapshots(ring3, copy, f"r{n}.", args.count))
    run(ring3, "btrfs", "check", copy)
    a, b = statistics.median(theirs), statistics.median(ours)
    print(f"snapshots a second of {files:6} files: kernel {a:.0f}   "
          f"ring3 {b:.0f}   ratio {b / a:.0f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--kernel", type=int, default=100,
                        help="snapshots that the kernel makes")
    args = parser.parse_args()
    ring3 = os.path.abspath(os.path.join(args.build, "ring3"))
    print(f"medians of {args.runs} runs")
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        os.mkdir(tmp + "/mnt")
        for files in (20, 5000, 20000):
            measure(args, ring3, tmp, files)


if __name__ == "__main__":
    main()
