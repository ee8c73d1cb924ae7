#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What was synced is there after the server is killed, and the image whole.

SIGKILL comes at any time; what it leaves is checked by btrfs check, read by the
kernel, and mounted again.
"""
import errno
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

import fuse
import kernel
from kernel import RING3, run

SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))


def judge(image):
    run(RING3, "btrfs", "check", "--data", image)
    if shutil.which("btrfs"):
        run("btrfs", "check", "--check-data-csum", image)


def close_dead(fd):
    try:
        os.close(fd)
    except OSError as e:
        assert e.errno == errno.ENOTCONN, e


def what_fsync_promised(f, k):
    image = f.image("sync", 256 << 20)
    root = f.mount(image, "--sync-interval", "3600")
    os.mkdir(root + "/d")
    block = os.urandom(300000)
    fd = os.open(root + "/d/kept", os.O_RDWR | os.O_CREAT)
    os.write(fd, block)
    os.fsync(fd)
    os.fsync(fd)  # nothing new: answered too
    os.ftruncate(fd, 200000)
    folder = os.open(root, os.O_RDONLY)
    os.fsync(folder)
    with open(root + "/d/lost", "wb"):
        pass
    f.kill(image)
    for dead in (fd, folder):
        try:
            os.fsync(dead)
            raise AssertionError("a dead mount syncs")
        except OSError as e:
            assert e.errno == errno.ENOTCONN, e
        close_dead(dead)
    judge(image)
    if k:
        root = k.mount(image)
        assert os.path.getsize(root + "/d/kept") == 200000
        assert set(os.listdir(root + "/d")) - {"lost"} == {"kept"}
        k.umount()
    root = f.mount(image)
    with open(root + "/d/kept", "rb") as file:
        assert file.read(1000) == block[:1000]
    f.unmount()
    print("ok: what fsync promised")


def without_a_name(f):
    """A file that was open without a name at the kill takes no space then."""
    image = f.image("orphan", 256 << 20)
    root = f.mount(image)
    fd = os.open(root + "/gone", os.O_RDWR | os.O_CREAT)
    os.write(fd, os.urandom(50 << 20))
    os.unlink(root + "/gone")
    os.fsync(fd)
    f.kill(image)
    close_dead(fd)
    judge(image)
    root = f.mount(image)
    fuse.wait(lambda: os.statvfs(root).f_bfree * 4096 > 190 << 20)
    f.unmount()
    judge(image)
    print("ok: without a name")


def timer(f):
    """Without any sync: after the interval, or at rest."""
    image = f.image("timer", 256 << 20)
    root = f.mount(image, "--sync-interval", "1")
    end = time.monotonic() + 2.5
    count = 0
    while time.monotonic() < end:  # never at rest
        os.mkdir(f"{root}/{count}")
        count += 1
    before = count
    time.sleep(0.3)
    f.kill(image)
    there = len(kernel.ring3("ls", image).splitlines())
    assert there > before // 10, (there, before)
    root = f.mount(image, "--sync-interval", "3600")
    os.mkdir(root + "/at rest")
    fuse.wait(lambda: b"at rest" in kernel.ring3("ls", image))
    at = generation(image)
    time.sleep(0.5)
    assert generation(image) == at, "commits of nothing"
    f.kill(image)
    judge(image)
    print("ok: timer")


def mounted(where):
    with open("/proc/self/mountinfo") as m:
        return f" {where} " in m.read()


def at_the_end(f):
    """However a mount ends, what was changed before is in the image."""
    image = f.image("end", 256 << 20)
    server, keeper = (lambda: fuse.processes(image)[1],
                      lambda: fuse.processes(image)[0])

    def signalled(who, which):
        return lambda root: os.kill(who(), which)

    def aborted(root):
        dev = os.minor(os.stat(root).st_dev)
        with open(f"/sys/fs/fuse/connections/{dev}/abort", "w") as file:
            file.write("1")

    ways = {
        "fusermount3": lambda root: run("fusermount3", "-u", root),
        "fusermount3 -z": lambda root: run("fusermount3", "-uz", root),
        "unmount --lazy": lambda root: run(RING3, "btrfs", "unmount",
                                           "--lazy", root),
    }
    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        ways[f"{which.name} to the server"] = signalled(server, which)
        ways[f"{which.name} to the keeper"] = signalled(keeper, which)
    if os.geteuid() == 0:
        ways["umount"] = lambda root: run("umount", root)
        ways["umount -l"] = lambda root: run("umount", "-l", root)
        ways["umount -f"] = lambda root: run("umount", "-f", root)
        if os.path.ismount("/sys/fs/fuse/connections"):
            ways["abort"] = aborted
    for number, (way, end) in enumerate(ways.items()):
        root = f.mount(image, "--sync-interval", "3600")
        with open(f"{root}/{number}", "w") as file:
            file.write(way)
        end(root)
        fuse.wait(lambda: not fuse.processes(image))
        assert mounted(root) == (way == "abort"), way
        if mounted(root):
            f.unmount()
        else:
            f.mounts.remove(root)
        assert kernel.ring3("cat", image, str(number)) == way.encode(), way
    # and what is changed by who still has files open after that
    for way in ("SIGTERM to the server", "unmount --lazy"):
        root = f.mount(image, "--sync-interval", "3600")
        with open(f"{root}/late", "w") as file:
            ways[way](root)
            fuse.wait(lambda: not mounted(root))
            file.write(way)
        f.mounts.remove(root)
        fuse.wait(lambda: not fuse.processes(image))
        assert kernel.ring3("cat", image, "late") == way.encode(), way
    # the second SIGTERM ends it with files open
    root = f.mount(image, "--sync-interval", "3600")
    fd = os.open(f"{root}/two", os.O_CREAT | os.O_WRONLY)
    os.kill(server(), signal.SIGTERM)
    fuse.wait(lambda: not mounted(root))
    os.kill(server(), signal.SIGTERM)
    f.mounts.remove(root)
    fuse.wait(lambda: not fuse.processes(image))
    close_dead(fd)
    assert b"two" in kernel.ring3("ls", image)
    judge(image)
    print("ok: at the end")


def ioctls(f):
    """What btrfs-progs sync with, on files and directories."""
    image = f.image("ioctls", 256 << 20)
    root = f.mount(image, "--sync-interval", "3600")
    for number, (cmd, arg) in enumerate([
            (0x9408, 0),                 # BTRFS_IOC_SYNC
            (0x80089418, bytes(8))]):    # BTRFS_IOC_START_SYNC
        with open(f"{root}/{number}", "w") as file:
            out = fcntl.ioctl(file, cmd, arg)
        if arg:
            assert struct.unpack("Q", out)[0] == generation(image)
        assert str(number).encode() in kernel.ring3("ls", image)
        folder = os.open(root, os.O_RDONLY)
        fcntl.ioctl(folder, cmd, arg)
        fcntl.ioctl(folder, 0x40089416, bytes(8))  # BTRFS_IOC_WAIT_SYNC
        try:
            fcntl.ioctl(folder, 0x9402, 0)  # BTRFS_IOC_DEFRAG
            raise AssertionError("it can't be done")
        except OSError as e:
            assert e.errno == errno.ENOTTY, e
        os.close(folder)
    if shutil.which("btrfs"):
        os.mkdir(root + "/progs")
        run("btrfs", "filesystem", "sync", root)
        assert b"progs" in kernel.ring3("ls", image)
    f.kill(image)
    judge(image)
    print("ok: ioctls")


def many_fsyncs(f):
    """Those who wait together get one commit, and an error reaches all."""
    image = f.image("many", 256 << 20)
    root = f.mount(image)

    def work(n):
        with open(f"{root}/{n}", "wb") as file:
            for _ in range(10):
                file.write(b"x")
                file.flush()
                os.fsync(file.fileno())

    before = generation(image)
    jobs = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for j in jobs:
        j.start()
    for j in jobs:
        j.join()
    commits = generation(image) - before
    assert commits < 160, commits
    f.unmount()
    judge(image)
    print(f"ok: 160 fsyncs, {commits} commits")


def generation(image):
    for line in kernel.ring3("info", image).decode().splitlines():
        if line.startswith("generation"):
            return int(line.split()[1])


WORKER = """
import os, sys
root, who = sys.argv[1:]
i = 0
while True:
    path = f"{root}/{who}/{i % 50}"
    with open(path + ".new", "wb") as f:
        f.write(f"{i} ".encode() * (i * 7 % 4000 + 1))
        f.flush()
        if i % 5 == 0:
            os.fsync(f.fileno())
    os.rename(path + ".new", path)
    if i % 5 == 0:
        d = os.open(f"{root}/{who}", os.O_RDONLY)
        os.fsync(d)
        os.close(d)
        print(i, flush=True)  # from here on it must be there
    if i % 7 == 0:
        os.unlink(f"{root}/{who}/{i % 50}")
    i += 1
"""


def at_any_time(f, rounds=5):
    """Programs that sync now and then, killed; no promise is broken."""
    rnd = random.Random(SEED)
    image = f.image("kill", 512 << 20)
    for _ in range(rounds):
        root = f.mount(image, "--sync-interval", "1")
        jobs = []
        for who in "abc":
            os.makedirs(f"{root}/{who}", exist_ok=True)
            jobs.append((who, subprocess.Popen(
                [sys.executable, "-c", WORKER, root, who],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)))
        time.sleep(rnd.uniform(0.5, 1.5))
        f.kill(image)
        promises = []
        for who, job in jobs:
            out = job.communicate()[0].split()
            promises.append((who, int(out[-1]) if out else None))
        judge(image)
        root = f.mount(image)
        for who, last in promises:
            look(f"{root}/{who}", last)
        for who in os.listdir(root):
            shutil.rmtree(f"{root}/{who}")
        f.unmount()
    judge(image)
    print("ok: at any time")


def look(folder, last):
    """What was renamed before a sync is whole, and as new as that or newer.
    A later write that was not synced may be empty or short: that was allowed.
    """
    if last is None:
        return
    for slot in range(50):
        # the newest number of this slot that a sync covered
        i = last - (last - slot) % 50
        path = f"{folder}/{slot}"
        if i < 0 or i % 7 == 0 or not os.path.exists(path):
            continue
        with open(path, "rb") as file:
            words = file.read().split()
        if not words:
            continue
        n = int(words[0])
        assert set(words) == {words[0]} and n % 50 == slot, (path, words[:3])
        assert n >= i, (path, n, i)


def main():
    print("SEED", SEED)
    f = fuse.Folder()
    k = kernel.Kernel() if os.geteuid() == 0 and shutil.which("mkfs.btrfs") \
        else None
    what_fsync_promised(f, k)
    without_a_name(f)
    timer(f)
    many_fsyncs(f)
    at_the_end(f)
    ioctls(f)
    at_any_time(f)
    if k:
        k.close()
    f.close()


main()
