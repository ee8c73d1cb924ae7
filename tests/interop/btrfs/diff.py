#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same random operations on a kernel mount and through ring3: each has the
same result, and trees, extents' shape and quota numbers are equal in the end.

diff.py [FIRST_SEED [SEEDS [COUNT]]]"""
import difflib
import os
import subprocess
import sys

import kernel
from kernel import ring3, run

SIZE = 1 << 30
OPS = os.path.join(kernel.BUILD, "tests/interop/btrfs/btrfs_ops")
# arguments of mkfs.btrfs, or of ring3's mkfs for what the former doesn't know
SETUPS = [
    ["-n", "4096", "--csum", "xxhash"],
    [],
    ["-m", "single", "-O", "^no-holes"],
    ["ring3", "--block-group-tree", "--nodesize", "32768"],
]


def operations(*args):
    done = subprocess.run([OPS, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, \
        f"{args}: {done.stderr.decode()}{done.stdout[-500:].decode()}"
    return done.stdout.decode().splitlines()


def view(k, image):
    root = k.mount(image, "noatime,ro")
    tree = kernel.kernel_view(root)
    k.umount()
    for name in tree:
        tree[name].pop("mtime")
    return tree


def make(k, name, setup):
    if setup[:1] != ["ring3"]:
        return k.image(name, SIZE, *setup)
    image = k.path(name + ".img")
    ring3("mkfs", "--force", "--size", str(SIZE), *setup[1:], image)
    return image


def one(k, seed, count, setup):
    theirs, ours = make(k, "theirs", setup), make(k, "ours", setup)
    ring3("quota", "enable", ours)
    root = k.mount(theirs, "noatime,commit=1")  # its cleaner waits for it
    want = operations("posix", root, str(seed), str(count))
    run("btrfs", "subvolume", "sync", root)
    k.umount()
    got = operations("lib", ours, str(seed), str(count))
    if want != got:
        diff = list(difflib.unified_diff(want, got, "kernel", "ring3",
                                         lineterm="", n=2))
        raise AssertionError(f"seed {seed}:\n" + "\n".join(diff[:30]))
    run("btrfs", "check", "--check-data-csum", ours)
    ring3("check", "--data", "--qgroups", ours)
    kernel.compare(view(k, theirs), view(k, ours), f"seed {seed}")
    before = kernel.group_numbers(ours)
    root = k.mount(ours)
    kernel.rescan(root)
    k.umount()
    after = kernel.group_numbers(ours)
    assert before == after, f"seed {seed}: the kernel counts {after}, " \
        f"ring3 {before}"
    failed = sum(not line.endswith(": ok") for line in want)
    print(f"seed {seed}: {count} operations ({failed} refused by both), "
          f"{len(before)} groups")


def main():
    first, seeds, count = (int(a) for a in
                           (sys.argv[1:] + ["1", "4", "400"]
                            [len(sys.argv) - 1:]))
    k = kernel.Kernel()
    for seed in range(first, first + seeds):
        one(k, seed, count, SETUPS[(seed - 1) % len(SETUPS)])
    complaints = k.new_complaints()
    assert not complaints, "\n".join(complaints)


main()
