#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 btrfs check beside btrfs check: one tree; the same with its data; and
three trees with many snapshots and quota numbers, where the kernel's own
rescan is shown too.

btrfs check drops what the system has of the image in memory, when it begins and
when it ends.  So before each run either all of it is dropped (cold), which for
the data measures the disk, or read (warm): what a check right after writing an
image finds, and what only ring3 makes use of.

    bench/btrfs_check.py [--build DIR] [--runs N] [--snapshots N]

Needs root: the kernel makes the second image on a loop mount.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time

from btrfs_mkfs import QUIET, make_tree


def timed(argv):
    start = time.monotonic()
    subprocess.run(argv, check=True, **QUIET)
    return time.monotonic() - start


def drop(image):
    fd = os.open(image, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def read(image):
    with open(image, "rb", buffering=0) as f:
        while f.read(1 << 20):
            pass


def row(name, image, before, peer, ours, runs):
    times = {"peer": [], "ours": []}
    for _ in range(runs):
        for key, command in (("peer", peer), ("ours", ours)):
            before(image)
            times[key].append(timed([*command, image]))
    a, b = (statistics.median(times[k]) for k in ("peer", "ours"))
    print(f"{name:28} btrfs check {a:7.3f} s   ring3 {b:7.3f} s   "
          f"ratio {b / a:.2f}")


def snapshots(image, tree, count):
    """Three subvolumes and many snapshots, each changed a little."""
    mnt = os.path.dirname(image) + "/mnt"
    os.makedirs(mnt, exist_ok=True)

    def run(*cmd):
        subprocess.run(cmd, check=True, **QUIET)

    run("mkfs.btrfs", "-q", "-f", image)
    run("mount", "-o", "loop,noatime", image, mnt)
    try:
        for i in range(3):
            run("btrfs", "subvolume", "create", f"{mnt}/t{i}")
            run("cp", "-a", "--reflink=auto", tree + "/.", f"{mnt}/t{i}")
        for i in range(count):
            run("btrfs", "subvolume", "snapshot", f"{mnt}/t{i % 3}",
                f"{mnt}/s{i}")
            with open(f"{mnt}/s{i}/own", "wb") as f:
                f.write(os.urandom(5000))
        run("sync", "-f", mnt)
        start = time.monotonic()
        run("btrfs", "quota", "enable", mnt)
        run("btrfs", "quota", "rescan", "-w", mnt)
        print(f"kernel's quota rescan        {time.monotonic() - start:7.3f} "
              f"s ({count} snapshots)")
    finally:
        run("umount", mnt)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--snapshots", type=int, default=600)
    args = parser.parse_args()
    ring3 = os.path.abspath(os.path.join(args.build, "ring3"))
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        tree, image = tmp + "/tree", tmp + "/image"
        count, size = make_tree(tree, 16000, 450)
        print(f"tree: {count} files, {size >> 20} MiB; medians of "
              f"{args.runs} runs")
        subprocess.run([ring3, "btrfs", "mkfs", image, "--rootdir", tree],
                       check=True, **QUIET)
        for name, before in (("cold", drop), ("warm", read)):
            row("one tree, " + name, image, before, ["btrfs", "check"],
                [ring3, "btrfs", "check"], args.runs)
            row("with data, " + name, image, before,
                ["btrfs", "check", "--check-data-csum"],
                [ring3, "btrfs", "check", "--data"], args.runs)
        if os.geteuid():
            return
        os.unlink(image)
        with open(image, "wb") as f:
            f.truncate(3 << 30)
        snapshots(image, tree, args.snapshots)
        row("snapshots, quota numbers", image, drop,
            ["btrfs", "check", "--qgroup-report"],
            [ring3, "btrfs", "check", "--qgroups"], min(args.runs, 3))


if __name__ == "__main__":
    main()
