#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Create, stat and unlink of small files: through the library, beside the
kernel on a loop mount.  Each with its sync at the end.

    bench/btrfs_ops.py [--build DIR] [--runs N] [--count N]

Needs root for the mount.
"""
import argparse
import os
import statistics
import subprocess
import tempfile

from btrfs_mkfs import QUIET


def rates(argv):
    out = subprocess.run(argv, check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    return {line.split()[0]: float(line.split()[1])
            for line in out.splitlines()}


def fresh(image):
    if os.path.exists(image):
        os.unlink(image)
    with open(image, "wb") as f:
        f.truncate(2 << 30)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, **QUIET)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=50000)
    args = parser.parse_args()
    ops = os.path.abspath(os.path.join(args.build, "bench/btrfs_ops"))
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        image, mnt = tmp + "/image", tmp + "/mnt"
        os.mkdir(mnt)
        for size in (0, 4096):
            kernel, ours = [], []
            for _ in range(args.runs):
                fresh(image)
                subprocess.run(["mount", "-o", "loop,noatime", image, mnt],
                               check=True)
                try:
                    kernel.append(rates([ops, "mount", mnt, str(args.count),
                                         str(size)]))
                finally:
                    subprocess.run(["umount", mnt], check=True)
                fresh(image)
                ours.append(rates([ops, "image", image, str(args.count),
                                   str(size)]))
            print(f"{args.count} files of {size} bytes, medians of "
                  f"{args.runs} runs, operations a second")
            for what in kernel[0]:
                a, b = (statistics.median(r[what] for r in runs)
                        for runs in (kernel, ours))
                print(f"  {what:8} kernel {a:9.0f}   ring3 {b:9.0f}   "
                      f"ratio {b / a:.2f}")


if __name__ == "__main__":
    main()
