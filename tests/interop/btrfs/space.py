#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""References and space under churn, on images of all shapes: btrfs check finds
nothing, the kernel mounts, scrubs and goes on writing, and then ring3 does."""
import os
import sys

import kernel
from kernel import ring3, run

CHURN = sys.argv[1]
# name, size in MiB, how it is made
ROWS = [
    ("kernel's mkfs", 1024, ["mkfs.btrfs", "-q"]),
    ("4K nodes, metadata once", 400, ["mkfs.btrfs", "-q", "-n", "4096",
                                      "-m", "single"]),
    ("64K nodes, data twice", 900, ["mkfs.btrfs", "-q", "-n", "65536",
                                    "-d", "dup"]),
    ("block group tree", 500, [kernel.RING3, "btrfs", "mkfs",
                               "--block-group-tree"]),
    ("ours", 300, [kernel.RING3, "btrfs", "mkfs"]),
    ("ours, small", 120, [kernel.RING3, "btrfs", "mkfs", "--nodesize", "4K",
                         "--block-group-tree"]),
    ("names alone", 48, [kernel.RING3, "btrfs", "mkfs"]),
]
MODES = ["share", "holes", "unshare", "plug", "fill"]


def make(k, size, how):
    image = k.path("space.img")
    if os.path.exists(image):
        os.unlink(image)
    with open(image, "wb") as f:
        f.truncate(size << 20)
    run(*how, image)
    return image


def judge(image):
    ring3("check", "--data", image)
    run("btrfs", "check", "--check-data-csum", image)


def kernel_goes_on(k, image, n, writes):
    root = k.mount(image)
    out = run("btrfs", "scrub", "start", "-B", root)
    assert b"no errors found" in out, out
    if not writes:  # with metadata alone it commits for every name
        k.umount()
        return
    for name in os.listdir(root):
        if name.startswith("last"):  # nothing fits beside them
            os.unlink(f"{root}/{name}")
    os.sync()
    for i in range(40):
        with open(f"{root}/kernel{n}.{i}", "wb") as f:
            f.write(os.urandom(5000 + i * 999))
    os.sync()
    for i in range(0, 40, 2):
        os.unlink(f"{root}/kernel{n}.{i}")
    k.umount()
    judge(image)


def bitmaps(image):
    """How many there are; one for 8 MiB."""
    out = ring3("dump", image, "free-space").decode()
    return out.count("FREE_SPACE_BITMAP")


def main():
    k = kernel.Kernel()
    for seed, (name, size, how) in enumerate(ROWS):
        print(name, flush=True)
        image = make(k, size, how)
        for n, mode in enumerate(MODES if size > 64 else ["inline"]):
            if mode == "fill" and size > 300:
                continue
            run(CHURN, image, mode, str(seed))
            judge(image)
            if mode == "holes":
                assert bitmaps(image), "no bitmaps"
            # a group below about 70 MiB never goes back to extents
            if mode == "plug" and size >= 1024:
                assert bitmaps(image) < 5, "still bitmaps"
            kernel_goes_on(k, image, n, mode != "inline")
    assert not k.new_complaints(), k.new_complaints()


main()
