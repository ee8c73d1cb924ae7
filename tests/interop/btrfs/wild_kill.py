#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The server of a mount is killed in the middle of random work, on an image
with quotas that gets full, with removed files open: what was fsynced is there,
the image whole, and the kernel's rescan changes no number.

wild_kill.py [FIRST_SEED [SEEDS [ROUNDS [STEPS]]]]"""
import errno
import os
import random
import time

import fuse
import kernel
import wild
from kernel import ring3, run


def look(root, synced, what):
    for name, want in synced.items():
        with open(f"{root}/{name}", "rb") as f:
            assert f.read() == want, f"{what}: {name} was synced, and differs"


def put(root, name, data):
    """Written and synced, as the directory is that it is in."""
    with open(f"{root}/{name}", "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    fd = os.open(root, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_open(changer, held):
    """A file's descriptor stays, its name goes."""
    path = changer.file()
    held.append(os.open(path, os.O_RDWR))
    os.unlink(path)


def work(rnd, root, turn, steps, synced):
    """Until it is time to kill; returns what is still open."""
    changers = wild.pair(wild.Ours, root, rnd)
    held = []
    for i in range(rnd.randrange(2, 8)):
        changers[rnd.choice("vvw")].steps(steps)
        name = f"safe{turn}-{i}"
        data = rnd.randbytes(rnd.choice([100, 5000, 200000]))
        try:
            put(root, name, data)
            synced[name] = data
            remove_open(changers["v"], held)
        except OSError as e:
            assert e.errno in wild.Ours.REFUSED, e
    time.sleep(rnd.random())
    return held


def close_dead(fds):
    for fd in fds:
        try:
            os.close(fd)
        except OSError as e:
            assert e.errno == errno.ENOTCONN, e


def kernel_looks(k, image, synced):
    ring3("subvolume", "clean", image)
    before = kernel.group_numbers(image)
    root = k.mount(image)
    look(root, synced, "the kernel")
    kernel.rescan(root)
    k.umount()
    after = kernel.group_numbers(image)
    assert before == after, f"ring3 counts {before},\nthe kernel {after}"


def one(f, k, seed, rounds, steps):
    rnd = random.Random(seed)
    image = f.image("fs", rnd.choice([150, 300]) << 20)
    ring3("quota", "enable", image)
    ring3("subvolume", "create", image, "v", "w")
    synced = {}
    for turn in range(rounds):
        root = f.mount(image, "--sync-interval", "1",
                       *rnd.choice([[], ["--compress", "lzo"]]))
        look(root, synced, "mounted again")
        held = work(rnd, root, turn, steps, synced)
        f.kill(image)
        close_dead(held)
        ring3("check", "--data", "--qgroups", image)
        run("btrfs", "check", "--check-data-csum", image)
        if turn % 2:
            kernel_looks(k, image, synced)
    assert not k.new_complaints(), "\n".join(k.new_complaints())
    os.unlink(image)
    print(f"ok: {rounds} kills, {len(synced)} synced files kept")


wild.each_seed(one, [fuse.Folder(), kernel.Kernel()], 1, 1, 2, 10)
