#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel sends, ring3 receives: the kernel then mounts what the kernel sent.
Full streams of every kind, chains of differences, chains in which both send and
receive by turns, streams that are cut off, crashes, parents that are missing.

R3_SEED chooses what happens between two snapshots and is printed."""
import json
import os
import random
import subprocess
import sys

import kernel
from kernel import ring3, run
from send_diff import Changer

ROWS = [
    ("version 1", "noatime", ["--proto", "1"]),
    ("version 2", "noatime", ["--proto", "2"]),
    ("zstd", "noatime,compress-force=zstd", ["--compressed-data"]),
    ("zlib", "noatime,compress-force=zlib", ["--compressed-data"]),
    ("lzo", "noatime,compress-force=lzo", ["--compressed-data"]),
]
ROUNDS, STEPS = 4, 150


def send(k, path, *args):
    stream = k.path("stream")
    run("btrfs", "send", "-q", *args, "-f", stream, path)
    return stream


def judge(k, image, want, name):
    """Both checks, and each subvolume of @want as the kernel shows it."""
    ring3("check", "--data", image)
    run("btrfs", "check", "--check-data-csum", image)
    root = k.mount(image, name="judge")
    for subvol, view in want.items():
        kernel.compare(view, kernel.kernel_view(f"{root}/{subvol}"),
                       f"{name}: {subvol}")
        shown = run("btrfs", "subvolume", "show", f"{root}/{subvol}")
        assert b"readonly" in shown, shown
        assert name == "chain" or b"Received UUID: \t\t-" not in shown, shown
    run("btrfs", "scrub", "start", "-B", root)
    k.umount()


def check_full(k, name, options, args):
    image = k.image("from", 700 << 20)
    root = k.mount(image, options)
    run("btrfs", "subvolume", "create", f"{root}/v")
    kernel.fill(f"{root}/v", scale=0.5)
    for i in range(5):
        kernel.reflink(f"{root}/v/big", f"{root}/v/clone{i}")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s")
    want = {"s": kernel.kernel_view(f"{root}/s")}
    ctimes = {p: os.lstat(f"{root}/s/{p}").st_ctime_ns for p in want["s"]}
    stream = send(k, f"{root}/s", *args)
    k.umount()
    target = k.image("target", 700 << 20)
    ring3("receive", "-f", stream, target)
    judge(k, target, want, name)
    root = k.mount(target, name="judge")
    for path, ctime in ctimes.items():
        assert os.lstat(f"{root}/s/{path}").st_ctime_ns == ctime, path
    assert os.stat(f"{root}/s/sparse").st_blocks < 100, "holes"
    k.umount()
    print("ok:", name, os.path.getsize(stream))


def check_clones(k):
    """btrfs send -c, and several subvolumes in one stream."""
    image = k.image("from", 700 << 20)
    root = k.mount(image)
    for name in "ab":
        run("btrfs", "subvolume", "create", f"{root}/{name}")
    for i in range(4):
        with open(f"{root}/a/f{i}", "wb") as f:
            f.write(os.urandom(1000000 + i))
    for name in "ab":
        run("btrfs", "subvolume", "snapshot", "-r", f"{root}/{name}",
            f"{root}/{name}0")
    for i in range(4):
        kernel.reflink(f"{root}/a/f{i}", f"{root}/b/g{i}")
    os.truncate(f"{root}/b/g1", 345678)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/b", f"{root}/b1")
    want = {n: kernel.kernel_view(f"{root}/{n}") for n in ("a0", "b0", "b1")}
    both = k.path("both")
    with open(both, "wb") as f:
        subprocess.run(["btrfs", "send", "-q", f"{root}/a0", f"{root}/b0"],
                       stdout=f, check=True, stderr=subprocess.DEVNULL)
    stream = send(k, f"{root}/b1", "-p", f"{root}/b0", "-c", f"{root}/a0")
    k.umount()
    dump = ring3("stream", "dump", stream)
    assert b"command=clone" in dump
    target = k.image("target", 700 << 20)
    done = subprocess.run([kernel.RING3, "btrfs", "receive", target],
                          stdin=open(stream, "rb"), stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"parent" in done.stderr, done
    told = ring3("receive", "--json", "-f", both, target).splitlines()
    assert [json.loads(line)["path"] for line in told] == ["a0", "b0"]
    used = used_bytes(target)
    ring3("receive", "-f", stream, target)
    assert used_bytes(target) - used < 1 << 20, "the clones share nothing"
    judge(k, target, want, "clones")
    # there already
    done = subprocess.run([kernel.RING3, "btrfs", "receive", "-f", stream,
                           target], stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"exists" in done.stderr, done
    # a parent without the clone source
    target = k.image("target", 700 << 20)
    root = k.mount(image)
    alone = k.path("alone")
    run("btrfs", "send", "-q", "-f", alone, f"{root}/b0")
    source = run("btrfs", "subvolume", "show", f"{root}/a0").decode()
    source = source.split("UUID:")[1].split()[0].encode()
    k.umount()
    ring3("receive", "-f", alone, target)
    done = subprocess.run([kernel.RING3, "btrfs", "receive", "-f", stream,
                           target], stderr=subprocess.PIPE)
    assert done.returncode == 1 and source in done.stderr, done
    judge(k, target, {"b0": want["b0"]}, "no clone source")
    print("ok: clones, several in one, what is missing")


def used_bytes(image):
    info = json.loads(ring3("info", "--json", image))
    return info["bytes_used"]


def check_chain(k, seed, options, kernel_args, our_args):
    """Both send and receive by turns: the subvolume changes where it was last
    received, so parents are found by the uuid and by the received uuid."""
    rnd = random.Random(seed)
    images = [k.image("left", 800 << 20), k.image("right", 800 << 20)]
    want, stream = {}, k.path("stream")
    for i in range(ROUNDS):
        side = i // 2 % 2
        root = k.mount(images[side], options, name="side")
        if i:
            run("btrfs", "subvolume", "snapshot", f"{root}/s{i - 1}",
                f"{root}/v")
        else:
            run("btrfs", "subvolume", "create", f"{root}/v")
        Changer(f"{root}/v", rnd).steps(STEPS)
        run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v",
            f"{root}/s{i}")
        run("btrfs", "subvolume", "delete", f"{root}/v")
        want[f"s{i}"] = kernel.kernel_view(f"{root}/s{i}")
        if i % 2 == 0:
            parent = ["-p", f"{root}/s{i - 1}"] if i else []
            send(k, f"{root}/s{i}", *parent, *kernel_args)
            k.umount()
            ring3("receive", "-f", stream, images[1 - side])
            continue
        k.umount()
        ring3("send", "-p", f"/s{i - 1}", *our_args, "-o", stream,
              images[side], f"/s{i}")
        if i % 4 == 1:
            root = k.mount(images[1 - side], name="side")
            run("btrfs", "receive", "-q", "-f", stream, root)
            k.umount()
        else:
            ring3("receive", "-f", stream, images[1 - side])
    for image in images:
        judge(k, image, want, "chain")
    print("ok: chain", options, kernel_args, our_args)


def check_cut(k):
    """Cut off, or damaged, anywhere: nothing of it is there, and what was there
    stays; nothing is left to clean either."""
    rnd = random.Random(5)
    image = k.image("from", 400 << 20)
    root = k.mount(image, "noatime,compress-force=zstd")
    run("btrfs", "subvolume", "create", f"{root}/v")
    Changer(f"{root}/v", rnd).steps(60)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s0")
    Changer(f"{root}/v", rnd).steps(100)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s1")
    want = {n: kernel.kernel_view(f"{root}/{n}") for n in ("s0", "s1")}
    first = k.path("first")
    run("btrfs", "send", "-q", "-f", first, f"{root}/s0")
    stream = send(k, f"{root}/s1", "-p", f"{root}/s0", "--compressed-data")
    k.umount()
    with open(stream, "rb") as f:
        whole = f.read()
    target = k.image("target", 400 << 20)
    ring3("receive", "-f", first, target)
    cuts = [0, 10, 17, 20, 27, len(whole) - 1, len(whole) - 10] + \
        [rnd.randrange(len(whole)) for _ in range(40)]
    for i, cut in enumerate(cuts):
        data = bytearray(whole[:cut]) if i % 3 else bytearray(whole)
        if not i % 3:
            data[cut] ^= 1 << rnd.randrange(8)
        with open(stream, "wb") as f:
            f.write(data)
        done = subprocess.run([kernel.RING3, "btrfs", "receive", "-f", stream,
                               target], stderr=subprocess.PIPE)
        assert done.returncode == 1, (cut, done)
        assert b"byte " in done.stderr, (cut, done)
        left = [json.loads(line) for line in
                ring3("subvolume", "list", "--json", target).splitlines()]
        assert [v["path"] for v in left] == ["s0"], (cut, left)
        if i % 8 == 0:
            ring3("check", "--data", target)
            run("btrfs", "check", target)
    judge(k, target, {"s0": want["s0"]}, "cut")
    with open(stream, "wb") as f:
        f.write(whole)
    ring3("receive", "-f", stream, target)
    judge(k, target, want, "whole after cut")
    print("ok: cut off and damaged,", len(cuts), "places")


def check_crash(k, recv_cut):
    """A power cut after a commit in the middle: nobody sees the subvolume; the
    kernel, or ring3, gives its space back; then it can be received."""
    image = k.image("from", 400 << 20)
    root = k.mount(image, "noatime,compress-force=lzo")
    run("btrfs", "subvolume", "create", f"{root}/v")
    changer = Changer(f"{root}/v", random.Random(9))
    changer.steps(80)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s0")
    changer.steps(120)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s1")
    want = {n: kernel.kernel_view(f"{root}/{n}") for n in ("s0", "s1")}
    first = k.path("first")
    run("btrfs", "send", "-q", "-f", first, f"{root}/s0")
    stream = send(k, f"{root}/s1", "-p", f"{root}/s0", "--compressed-data")
    k.umount()
    size = os.path.getsize(stream)
    target = k.image("target", 400 << 20)
    root = k.mount(target)
    run("btrfs", "quota", "enable", root)
    kernel.rescan(root)
    k.umount()
    ring3("receive", "-f", first, target)
    used = used_bytes(target)
    for i, cut in enumerate((1000, size // 4, size // 2, size - 50)):
        run(recv_cut, target, stream, str(cut))
        run("btrfs", "check", "--check-data-csum", target)
        ring3("check", "--data", target)
        root = k.mount(target, name="judge")
        assert sorted(os.listdir(root)) == ["s0"]
        if i % 2:
            run("btrfs", "subvolume", "sync", root)
            run("btrfs", "filesystem", "sync", root)
        k.umount()
        if not i % 2:
            ring3("subvolume", "clean", target)
        run("btrfs", "check", target)
        ring3("check", target)
        assert used_bytes(target) < used + (1 << 20), (used, cut)
    ring3("receive", "-f", stream, target)
    judge(k, target, want, "after crashes")
    root = k.mount(target, name="judge")
    ours = run("btrfs", "qgroup", "show", "--raw", root)
    kernel.rescan(root)
    assert run("btrfs", "qgroup", "show", "--raw", root) == ours
    k.umount()
    print("ok: crashes in the middle, with quotas")


def main():
    seed = int(os.environ.get("R3_SEED", "1"))
    print("seed:", seed)
    k = kernel.Kernel()
    for row in ROWS:
        check_full(k, *row)
    check_clones(k)
    check_cut(k)
    check_crash(k, sys.argv[1])
    check_chain(k, seed, "noatime", ["--proto", "1"], [])
    check_chain(k, seed + 1, "noatime,compress-force=zstd",
                ["--compressed-data"], ["--compressed"])
    assert not k.new_complaints(), k.new_complaints()
    k.close()


main()
