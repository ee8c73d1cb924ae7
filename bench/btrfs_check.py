#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 btrfs check beside btrfs check: one tree; the same with its data; and
three trees with many snapshots and quota numbers, where the kernel's own
rescan is shown too.

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
    subprocess.run(argv, check=True, timeout=300, **QUIET)
    return time.monotonic() - start


def row(name, peer, ours, runs):
    times = {"peer": [], "ours": []}
    for _ in range(runs):
        times["peer"].append(timed(peer))
        times["ours"].append(timed(ours))
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
        row("one tree", ["btrfs", "check", image],
            [ring3, "btrfs", "check", image], args.runs)
        row("with data", ["btrfs", "check", "--check-data-csum", image],
            [ring3, "btrfs", "check", "--data", image], args.runs)
        if os.geteuid():
            return
        os.unlink(image)
        with open(image, "wb") as f:
            f.truncate(3 << 30)
        snapshots(image, tree, args.snapshots)
        row("snapshots, quota numbers", ["btrfs", "check", "--qgroup-report",
                                         image],
            [ring3, "btrfs", "check", "--qgroups", image],
            min(args.runs, 3))


if __name__ == "__main__":
    main()
