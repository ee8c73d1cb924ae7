#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees that ring3 changed at random: btrfs check finds nothing, and the kernel
reads, changes and deletes what is in them.  And images that ring3 can read but
not change: it says why."""
import glob
import os
import subprocess

import kernel
from kernel import BUILD, ring3, run

SEEDS = (0, 1)
REFUSED = (
    (["--mixed"], b"share block groups"),
    (["-R", "^free-space-tree"], b"no free space tree"),
    (["-O", "^skinny-metadata"], b"SKINNY_METADATA"),
)


def check(image):
    run("btrfs", "check", "--check-data-csum", image)
    ring3("check", "--data", image)


def kernel_works_on(k, image):
    """Touches every attribute, then takes snapshots away."""
    root = k.mount(image)
    kernel.kernel_view(root)
    snaps = sorted(glob.glob(os.path.join(root, "snap*")))
    for i, where in enumerate([root] + snaps):
        for name in os.listxattr(where)[i % 2::2]:
            os.setxattr(where, name, b"from the kernel")
    run("btrfs", "filesystem", "sync", root)
    for where in snaps[::2]:
        run("btrfs", "subvolume", "delete", "-c", where)
    run("btrfs", "subvolume", "sync", root)
    run("btrfs", "scrub", "start", "-BR", root)
    k.umount()


def refuses(k):
    for options, text in REFUSED:
        image = k.image("refused", 256 << 20, *options)
        done = subprocess.run([kernel.RING3, "btrfs", "mkdir", image, "/new"],
                              stderr=subprocess.PIPE)
        assert done.returncode == 1 and text in done.stderr, done
        ring3("check", image)
        os.unlink(image)


def mounted(k):
    """A file that a kernel has mounted is the kernel's, but for reading."""
    image = k.image("mounted", 256 << 20)
    k.mount(image)
    for args in (["mkdir", image, "/new"], ["mkfs", "--force", image]):
        done = subprocess.run([kernel.RING3, "btrfs", *args],
                              stderr=subprocess.PIPE)
        assert done.returncode == 1 and b"mounted" in done.stderr, done
    ring3("info", image)
    k.umount()
    ring3("mkdir", image, "/new")
    os.unlink(image)


def main():
    k = kernel.Kernel()
    refuses(k)
    mounted(k)
    test = os.path.join(BUILD, "tests/unit/btrfs/test_btrfs_edit")
    for seed in SEEDS:
        subprocess.run([test, k.dir, str(seed)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        images = sorted(glob.glob(k.path("*_*k.img")))
        assert len(images) >= 4, images
        for image in images:
            check(image)
            kernel_works_on(k, image)
            check(image)
            os.unlink(image)
    assert not k.new_complaints(), "\n".join(k.new_complaints())


main()
