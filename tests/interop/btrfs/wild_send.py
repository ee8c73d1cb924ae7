#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams between ring3 and the kernel: random snapshots of two subvolumes,
each sent as a difference to a random earlier one with random clone sources.
What the kernel receives of ours, and we of the kernel's and of ours, is what
was sent; both checks are content, and quota numbers are those of a rescan.

wild_send.py [FIRST_SEED [SEEDS [ROUNDS [STEPS]]]]"""
import os
import random
import subprocess

import kernel
import wild
from kernel import RING3, ring3, run

SIZE = 1000 << 20
OPTIONS = ["noatime", "noatime,compress=zstd", "noatime,compress-force=lzo",
           "noatime,max_inline=0"]
MKFS = [[], ["-n", "4096"], ["-O", "^no-holes"], ["-n", "65536"]]


def snapshots(k, rnd, rounds, steps, huge):
    """An image, and what its read-only snapshots look like, by name."""
    image = k.image("from", SIZE, *rnd.choice(MKFS))
    root = k.mount(image, rnd.choice(OPTIONS), name="from")
    for name in "vw":
        run("btrfs", "subvolume", "create", f"{root}/{name}")
    changers = wild.pair(wild.Wild, root, rnd, huge)
    views = {}
    for i in range(rounds):
        source = rnd.choice("vvw")
        changers[source].steps(steps)
        name = f"s{i}{source}"
        run("btrfs", "subvolume", "snapshot", "-r", f"{root}/{source}",
            f"{root}/{name}")
        views[name] = wild.view(f"{root}/{name}")
    k.umount()
    return image, views


def differences(rnd, names):
    """For each: its name, what it is a difference to, what it clones from."""
    for i, name in enumerate(names):
        before = names[:i]
        parent = rnd.choice(before) if before and rnd.random() < .9 else None
        yield name, parent, [c for c in before if parent and c != parent
                             and rnd.random() < .5]


def arguments(root, parent, clones):
    """-p and -c of both programs, with paths below a root."""
    args = ["-p", f"{root}/{parent}"] if parent else []
    for clone in clones:
        args += ["-c", f"{root}/{clone}"]
    return args


def send(k, rnd, image, chain):
    for name, *others in chain:
        proto = rnd.choice([[], ["--compressed"]])
        ring3("send", *arguments("", *others), *proto, "-o",
              k.path("ours." + name), image, "/" + name)


def kernel_sends(k, rnd, image, chain):
    root = k.mount(image, "ro,noatime", name="from")
    for name, *others in chain:
        proto = rnd.choice([[], ["--proto", "2"], ["--compressed-data"]])
        run("btrfs", "send", "-q", *proto, *arguments(root, *others), "-f",
            k.path("kernel." + name), f"{root}/{name}")
    k.umount()


def kernel_receives(k, views):
    root = k.mount(k.image("to", SIZE), name="to")
    for name, want in views.items():
        run("btrfs", "receive", "-q", "-f", k.path("ours." + name), root)
        kernel.compare(want, wild.view(f"{root}/{name}"),
                       f"the kernel's {name} of our stream")
    k.umount()


def refused_by_both(k, target, stream):
    """The kernel's send makes streams that its receive can't do either."""
    root = k.mount(target, name="to")
    done = subprocess.run(["btrfs", "receive", "-q", "-f", stream, root],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    k.umount()
    return done.returncode != 0


def we_receive(k, rnd, views, who):
    """False where a stream of the kernel's was no good."""
    target = k.image("to", SIZE, *rnd.choice(MKFS))
    quota = rnd.random() < .5
    if quota:
        ring3("quota", "enable", target)
    for name in views:
        stream = k.path(f"{who}.{name}")
        done = subprocess.run([RING3, "btrfs", "receive", "-f", stream,
                               target], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
        if done.returncode:
            assert who == "kernel" and refused_by_both(k, target, stream), \
                f"only ring3 refuses {who}'s {name}: {done.stderr.decode()}"
            return False
    judge(k, target, views, quota, f"our %s of the stream of {who}")
    return True


def judge(k, image, views, quota, what):
    ring3("check", "--data", "--qgroups", image)
    run("btrfs", "check", "--check-data-csum", image)
    before = kernel.group_numbers(image) if quota else None
    root = k.mount(image, name="to")
    for name, want in views.items():
        kernel.compare(want, wild.view(f"{root}/{name}"), what % name)
    if quota:
        kernel.rescan(root)
    k.umount()
    after = kernel.group_numbers(image) if quota else None
    assert before == after, f"the kernel counts {after}, ring3 {before}"


def one(k, seed, rounds, steps):
    rnd = random.Random(seed)
    # The kernel sends holes as zeros: what has huge ones only ring3 sends.
    huge = rnd.random() < .3
    image, views = snapshots(k, rnd, rounds, steps, huge)
    chain = list(differences(rnd, list(views)))
    senders = ["ours"] if huge else ["ours", "kernel"]
    send(k, rnd, image, chain)
    if not huge:
        kernel_sends(k, rnd, image, chain)
    kernel_receives(k, views)
    good = [who for who in senders if we_receive(k, rnd, views, who)]
    sizes = {who: sum(os.path.getsize(k.path(f"{who}.{name}"))
                      for name in views) >> 20 for who in senders}
    assert not k.new_complaints(), "\n".join(k.new_complaints())
    for name in views:
        for who in senders:
            os.unlink(k.path(f"{who}.{name}"))
    files = max(map(len, views.values()))
    print(f"ok: {len(views)} snapshots of up to {files} files"
          f"{' with huge holes' * huge}, streams' MiB {sizes}, "
          f"received by ring3: {' and '.join(good)}")


wild.each_seed(one, [kernel.Kernel()], 1, 1, 4, 60)
