#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sending a snapshot, whole and as a difference, beside btrfs send.

    bench/btrfs_send.py [--build DIR] [--runs N]

Needs root: btrfs send reads a mounted file system; ring3 reads the image, not
mounted.  Streams go to a file that is thrown away; caches are warm for both.
"""
import argparse
import os
import random
import statistics
import subprocess
import tempfile
import time

from btrfs_mkfs import QUIET, make_tree


def run(*cmd):
    subprocess.run(cmd, check=True, **QUIET)


def timed(argv, stream):
    start = time.monotonic()
    run(*argv)
    wall = time.monotonic() - start
    size = os.path.getsize(stream)
    os.unlink(stream)
    return wall, size


def change(top):
    """About what a day does to a tree: 430 files changed, 200 new."""
    rnd = random.Random(1)
    files = [os.path.join(folder, name)
             for folder, _, names in os.walk(top) for name in names]
    for path in rnd.sample(sorted(files), 430):
        with open(path, "ab") as f:
            f.write(rnd.randbytes(100))
    for path in rnd.sample(sorted(files), 156):
        os.unlink(path)
    for i in range(200):
        with open(f"{top}/new{i}", "wb") as f:
            f.write(rnd.randbytes(2000))
    os.rename(f"{top}/usr/include/linux", f"{top}/moved")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    ring3 = os.path.abspath(os.path.join(args.build, "ring3"))
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        tree, image, mnt = tmp + "/tree", tmp + "/image", tmp + "/mnt"
        out = tmp + "/stream"
        count, size = make_tree(tree, 16000, 450)
        print(f"tree: {count} files, {size >> 20} MiB; medians of "
              f"{args.runs} runs")
        with open(image, "wb") as f:
            f.truncate(2 << 30)
        run("mkfs.btrfs", "-q", image)
        os.mkdir(mnt)
        rows = {"full": [], "difference": []}
        theirs = {"full": [], "difference": []}
        run("mount", "-o", "loop,noatime", image, mnt)
        try:
            run("btrfs", "subvolume", "create", f"{mnt}/v")
            run("cp", "-a", tree + "/.", f"{mnt}/v")
            run("btrfs", "subvolume", "snapshot", "-r", f"{mnt}/v",
                f"{mnt}/a")
            change(f"{mnt}/v")
            run("btrfs", "subvolume", "snapshot", "-r", f"{mnt}/v",
                f"{mnt}/b")
            run("sync", "-f", mnt)
            for _ in range(args.runs):
                theirs["full"].append(timed(
                    ["btrfs", "send", "-q", "-f", out, f"{mnt}/b"], out))
                theirs["difference"].append(timed(
                    ["btrfs", "send", "-q", "-p", f"{mnt}/a", "-f", out,
                     f"{mnt}/b"], out))
        finally:
            run("umount", mnt)
        for _ in range(args.runs):
            rows["full"].append(timed(
                [ring3, "btrfs", "send", "-o", out, image, "/b"], out))
            rows["difference"].append(timed(
                [ring3, "btrfs", "send", "-p", "/a", "-o", out, image, "/b"],
                out))
        for name in rows:
            a, b = (statistics.median(t for t, _ in r[name])
                    for r in (theirs, rows))
            print(f"{name:12} btrfs send {a:6.3f} s "
                  f"({theirs[name][0][1]} bytes)   ring3 {b:6.3f} s "
                  f"({rows[name][0][1]} bytes)   ratio {b / a:.2f}")


if __name__ == "__main__":
    main()
