#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images from a tree of files, beside mkfs.btrfs --rootdir, mke2fs -d, and the
kernel (mkfs + loop mount + cp -a) where compression is wanted.

    bench/btrfs_mkfs.py [--build DIR] [--runs N] [--files N] [--mib N]

The tree is copied from /usr once.  Peers and ours take turns; the medians of
wall clock (with sync of the image) and of CPU time are printed, with ratios.
"""
import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

LARGE, LARGE_MAX = 400, 8 << 20  # files, bytes of one
# Never with a timeout: Python then looks for the end in steps of up to 50 ms.
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def usr_files():
    for top in ("/usr/include", "/usr/lib/python3", "/usr/share", "/usr/lib",
                "/usr/bin"):
        for folder, dirs, names in os.walk(top):
            dirs.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path, os.path.getsize(path)


def copy(root, path):
    dest = root + path
    os.makedirs(os.path.dirname(dest), exist_ok=True)
    shutil.copy2(path, dest)


def make_tree(root, files, mib):
    """Small files of /usr, in its own folders, then as many large ones, none
    below what they must have on average, as bring the size."""
    count = size = 0
    for path, length in usr_files():
        if count >= files - LARGE:
            break
        if length <= 100000:
            copy(root, path)
            count += 1
            size += length
    for path, length in usr_files():
        left = (mib << 20) - size
        if count >= files or left <= 0:
            break
        if left / (files - count) <= length <= min(left, LARGE_MAX):
            copy(root, path)
            count += 1
            size += length
    return count, size


def timed(argv, image, shell=False):
    """Wall and CPU seconds of a command, with its image on the disk, which has
    nothing else to write then."""
    os.sync()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(argv, check=True, shell=shell, **QUIET)
    fd = os.open(image, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, (after.ru_utime - before.ru_utime +
                  after.ru_stime - before.ru_stime)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=16000)
    parser.add_argument("--mib", type=int, default=450)
    args = parser.parse_args()
    ring3 = os.path.abspath(os.path.join(args.build, "ring3"))
    with tempfile.TemporaryDirectory(prefix="r3bench.") as tmp:
        tree, image = tmp + "/tree", tmp + "/image"
        count, size = make_tree(tree, args.files, args.mib)
        print(f"tree: {count} files, {size >> 20} MiB; medians of "
              f"{args.runs} runs")
        kernel = (f"mkfs.btrfs -q -f {image} && mkdir -p {tmp}/m && "
                  f"mount -o loop,compress-force=zstd:3 {image} {tmp}/m && "
                  f"cp -a {tree}/. {tmp}/m && umount {tmp}/m")
        rows = [
            ("mkfs.btrfs --rootdir", ["mkfs.btrfs", "-q", "--rootdir", tree,
                                      image], False),
            ("mke2fs -d", ["mke2fs", "-q", "-t", "ext4", "-d", tree, image],
             False),
            ("ring3", [ring3, "btrfs", "mkfs", image, "--rootdir", tree],
             False),
            ("kernel cp -a, zstd:3", kernel, True),
            ("ring3, zstd:3", [ring3, "btrfs", "mkfs", image, "--rootdir",
                               tree, "--compress", "zstd:3"], False),
        ]
        times = {name: [] for name, _, _ in rows}
        for _ in range(args.runs):
            for name, argv, shell in rows:
                if os.path.exists(image):
                    os.unlink(image)
                with open(image, "wb") as f:
                    f.truncate(1 << 30)
                if shell and os.geteuid():
                    continue
                times[name].append(timed(argv, image, shell))
        median = {name: [statistics.median(t[i] for t in runs)
                         for i in (0, 1)]
                  for name, runs in times.items() if runs}
        for name, (wall, cpu) in median.items():
            runs = " ".join(f"{t[0]:.2f}" for t in times[name])
            print(f"{name:24} wall {wall:6.2f} s  cpu {cpu:6.2f} s   "
                  f"({runs})")
        for peer, ours in (("mkfs.btrfs --rootdir", "ring3"),
                           ("mke2fs -d", "ring3"),
                           ("kernel cp -a, zstd:3", "ring3, zstd:3")):
            if peer in median:
                print(f"{ours} / {peer}: wall "
                      f"{median[ours][0] / median[peer][0]:.2f}  cpu "
                      f"{median[ours][1] / median[peer][1]:.2f}")


if __name__ == "__main__":
    main()
