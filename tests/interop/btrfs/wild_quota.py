#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Quota groups under random work, limits, snapshots and deletions, in a mount
of ours and in the kernel's by turns, on images that are too small for it: the
kernel's rescan changes no number of ours.

wild_quota.py [FIRST_SEED [SEEDS [ROUNDS [STEPS]]]]"""
import errno
import json
import os
import random
import subprocess

import fuse
import kernel
import wild
from kernel import RING3, ring3, run


def make(f, k, rnd):
    """Made by ring3 or by mkfs.btrfs, with groups in three levels."""
    size = rnd.choice([130, 200, 400]) << 20
    if rnd.random() < .5:
        image = f.image("fs", size, *rnd.choice([[], ["--nodesize", "4096"]]))
    else:
        image = k.image("fs", size, *rnd.choice([[], ["-n", "4096"]]))
    ring3("quota", "enable", image)
    ring3("subvolume", "create", image, "v", "w")
    for group in ("1/0", "1/1", "2/0"):
        ring3("qgroup", "create", image, group)
    ring3("qgroup", "assign", image, "1/0", "2/0")
    return image


def change_groups(rnd, image):
    """Limits, some lower than what is used; who belongs to whom."""
    groups = kernel.group_numbers(image)
    for _ in range(rnd.randrange(4)):
        group = rnd.choice(list(groups))
        used = groups[group][0]
        limit = rnd.choice(["none", used + rnd.randrange(1 << 24),
                            used + rnd.randrange(1 << 18), used // 2 + 4096])
        ring3("qgroup", "limit", *rnd.choice([[], ["-e"]]), image, group,
              str(limit), ok=(0, 1))
    if rnd.random() < .5:
        group = rnd.choice([g for g in groups if g.startswith("0/")])
        ring3("qgroup", rnd.choice(["assign", "assign", "remove"]), image,
              group, rnd.choice(["1/0", "1/1"]), ok=(0, 1))


class Snapshots:
    def __init__(self, rnd, image):
        self.rnd, self.image = rnd, image
        self.names, self.count = [], 0

    def make(self):
        name = f"s{self.count}"
        self.count += 1
        done = subprocess.run(
            [RING3, "btrfs", "snapshot",
             *self.rnd.choice([[], ["-r"], ["-i", "1/1"]]), self.image,
             self.rnd.choice(["/v", "/w"]), "/" + name],
            stderr=subprocess.PIPE)
        if done.returncode == 0:
            self.names.append(name)
        else:
            assert any(word in done.stderr for word in
                       (b"space", b"quota", b"limit")), done.stderr

    def delete(self):
        """Always possible, however full it is."""
        name = self.names.pop(self.rnd.randrange(len(self.names)))
        ring3("subvolume", "delete", *self.rnd.choice([[], ["--no-clean"]]),
              self.image, "/" + name)

    def change(self):
        for _ in range(self.rnd.randrange(3)):
            self.make()
        if self.names and self.rnd.random() < .4:
            self.delete()


def work(rnd, kind, where, steps):
    changers = wild.pair(kind, where, rnd)
    for _ in range(4):
        changers[rnd.choice("vw")].steps(steps // 4)
    refused = {}
    for changer in changers.values():
        for name, count in changer.refused.items():
            refused[name] = refused.get(name, 0) + count
    return refused


def our_turn(f, rnd, image, steps):
    where = f.mount(image, *rnd.choice([[], ["--compress", "zstd"]]))
    refused = work(rnd, wild.Ours, where, steps)
    try:
        open(f"{where}/probe", "w").close()
    except OSError as e:
        assert e.errno in (errno.ENOSPC, errno.EDQUOT), e
    assert not json.loads(ring3("info", "--json", where))["stopped"]
    f.unmount()
    ring3("check", "--data", "--qgroups", image)
    run("btrfs", "check", "--check-data-csum", image)
    return refused


def judge(k, image):
    """What is deleted may be there in part, when a mount of ours ends before
    its cleaner: ring3 clears it away in a copy, in the image the kernel.  When
    that is done the group is gone, and what was shared is others' alone."""
    copy = k.path("copy.img")
    run("cp", "--sparse=always", image, copy)
    ring3("subvolume", "clean", copy)
    ring3("check", "--qgroups", copy)
    ours = kernel.group_numbers(copy)
    os.unlink(copy)
    recount(k, image)
    theirs = kernel.group_numbers(image)
    assert ours == theirs, f"ring3 counts {ours},\nthe kernel {theirs}"


def recount(k, image):
    root = k.mount(image, "noatime,commit=1")   # its cleaner waits for it
    run("btrfs", "subvolume", "sync", root)
    kernel.rescan(root)
    k.umount()


def kernel_turn(k, rnd, image, steps):
    refused = work(rnd, wild.Mounted, k.mount(image), steps)
    k.umount()
    ring3("check", "--data", image)
    run("btrfs", "check", "--check-data-csum", image)
    recount(k, image)   # it gives up counting, sometimes
    return refused


def one(f, k, seed, rounds, steps):
    rnd = random.Random(seed)
    image = make(f, k, rnd)
    snapshots = Snapshots(rnd, image)
    for i in range(rounds):
        change_groups(rnd, image)
        snapshots.change()
        if rnd.random() < .75:
            who, refused = "ring3", our_turn(f, rnd, image, steps)
            judge(k, image)
        else:
            who, refused = "kernel", kernel_turn(k, rnd, image, steps)
        print(f"ok: round {i} {who}, refused {refused}")
    assert not k.new_complaints(), "\n".join(k.new_complaints())
    os.unlink(image)


wild.each_seed(one, [fuse.Folder(), kernel.Kernel()], 1, 1, 4, 60)
