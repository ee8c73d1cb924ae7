#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Exact quota numbers of three trees and many snapshots, beside the kernel.

    bench/btrfs_quota.py [--build DIR] [--runs N] [--snapshots N] [--files N]

Needs root: the kernel makes the image on a loop mount.  Both sides turn quotas
on, which counts everything: the kernel on its mount, until its rescan is done;
ring3 on the image, opening and flush in it.  The numbers must be the same.

Then what quotas cost ring3 with so many snapshots: a commit that changes one
file, and one that takes a snapshot.
"""
import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time

from btrfs_mkfs import QUIET, make_tree


def run(*cmd):
    return subprocess.run(cmd, check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout.decode()


def timed(*cmd):
    start = time.monotonic()
    subprocess.run(cmd, check=True, **QUIET)
    return time.monotonic() - start


def fill(mnt, tree, count):
    for i in range(3):
        run("btrfs", "subvolume", "create", f"{mnt}/t{i}")
        run("cp", "-a", tree + "/.", f"{mnt}/t{i}")
    for i in range(count):
        run("btrfs", "subvolume", "snapshot", f"{mnt}/t{i % 3}",
            f"{mnt}/s{i}")
        with open(f"{mnt}/s{i}/own", "wb") as f:
            f.write(os.urandom(5000))


def kernel_numbers(mnt):
    run("btrfs", "filesystem", "sync", mnt)
    return re.findall(r"^(\d+/\d+)\s+(\d+)\s+(\d+)",
                      run("btrfs", "qgroup", "show", "--raw", mnt), re.M)


def kernel_enable(image, mnt):
    run("mount", "-o", "loop,noatime", image, mnt)
    try:
        start = time.monotonic()
        run("btrfs", "quota", "enable", mnt)
        run("btrfs", "quota", "rescan", "-w", mnt)
        took = time.monotonic() - start
        numbers = kernel_numbers(mnt)
        run("btrfs", "quota", "disable", mnt)
    finally:
        run("umount", mnt)
    return took, numbers


def our_enable(ring3, image):
    took = timed(ring3, "btrfs", "quota", "enable", image)
    numbers = re.findall(r"^(\d+/\d+)\s+(\d+)\s+(\d+)",
                         run(ring3, "btrfs", "qgroup", "show", image), re.M)
    return took, numbers


def commits(ring3, image, runs, name):
    """Of a directory made, and of a snapshot: medians, in ms."""
    took = [[], []]
    for i in range(runs):
        took[0].append(timed(ring3, "btrfs", "mkdir", image,
                             f"/t0/{name}{i}"))
        took[1].append(timed(ring3, "btrfs", "snapshot", image, "/t1",
                             f"/{name}{i}"))
    return [1000 * statistics.median(t) for t in took]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--snapshots", type=int, default=600)
    parser.add_argument("--files", type=int, default=16000)
    args = parser.parse_args()
    ring3 = os.path.abspath(os.path.join(args.build, "ring3"))
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        tree, image, mnt = tmp + "/tree", tmp + "/image", tmp + "/mnt"
        os.mkdir(mnt)
        count, size = make_tree(tree, args.files, args.files * 450 // 16000)
        with open(image, "wb") as f:
            f.truncate(3 << 30)
        run("mkfs.btrfs", "-q", "-f", image)
        run("mount", "-o", "loop,noatime", image, mnt)
        try:
            fill(mnt, tree, args.snapshots)
        finally:
            run("umount", mnt)
        print(f"3 trees of {count} files, {size >> 20} MiB; "
              f"{args.snapshots} snapshots; medians of {args.runs} runs")
        off = commits(ring3, image, args.runs, "off")
        theirs, ours = [], []
        for _ in range(args.runs):
            took, numbers = our_enable(ring3, image)
            ours.append(took)
            run(ring3, "btrfs", "quota", "disable", image)
            took, wanted = kernel_enable(image, mnt)
            theirs.append(took)
            assert numbers == wanted, "the numbers differ"
        a, b = statistics.median(theirs), statistics.median(ours)
        print(f"enable, exact numbers   kernel {a:7.3f} s   ring3 {b:7.3f} s"
              f"   ratio {b / a:.4f}")
        run(ring3, "btrfs", "quota", "enable", image)
        on = commits(ring3, image, args.runs, "on")
        for i, what in enumerate(("mkdir, one commit", "snapshot")):
            print(f"{what:20} quotas off {off[i]:6.1f} ms   "
                  f"on {on[i]:6.1f} ms")
        run(ring3, "btrfs", "check", "--qgroups", image)


if __name__ == "__main__":
    main()
