#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A mount of ours beside libfuse's own example over tmpfs, and fuse2fs.

    bench/btrfs_fuse.py [--build DIR] [--runs N] [--files N] [--mib N]

passthrough_ll hands each request on to tmpfs: what FUSE itself takes on this
machine, with threads (as it runs by itself) and with one.  It checks no
permissions and has no xattrs, which saves it a request for each file made or
removed, and another for each written.  So a file takes, here and there: to make
3 requests and 4, with 4 KiB in it 5 and 5, to read 2 and 5, to remove 4 and 3
that somebody waits for.  It is compiled from libfuse3-dev's
examples.  All images lie in /dev/shm, so that no disk is measured.  Mounts are
made anew between creating, looking and removing, so that the kernel has to ask;
peers and ours take turns, and the medians are printed, with ratios.
"""
import argparse
import glob
import os
import shutil
import statistics
import subprocess
import tempfile
import time

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
BLOCK = os.urandom(1 << 20)


class Passthrough:
    name = "passthrough_ll"
    threads = []

    def __init__(self, tmp, size):
        self.dir, self.mnt = f"{tmp}/{self.name}.dir", f"{tmp}/{self.name}"
        source = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c"
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"],
                               check=True, stdout=subprocess.PIPE)
        self.program = f"{tmp}/{self.name}.exe"
        subprocess.run(["gcc", "-O2", "-w", "-o", self.program, source,
                        *flags.stdout.decode().split()], check=True)
        os.makedirs(self.dir)
        os.makedirs(self.mnt)

    def mount(self):
        subprocess.run([self.program, *self.threads, "-o", f"source={self.dir},cache=always,"
                        "writeback", self.mnt], check=True, **QUIET)

    def unmount(self):
        subprocess.run(["fusermount3", "-u", self.mnt], check=True)


class OneThread(Passthrough):
    name = "passthrough_ll-s"
    threads = ["-s"]


class Fuse2fs:
    name = "fuse2fs"

    def __init__(self, tmp, size):
        self.image, self.mnt = tmp + "/ext4", tmp + "/ext4.mnt"
        with open(self.image, "wb") as f:
            f.truncate(size)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", self.image], check=True)
        os.makedirs(self.mnt)

    def mount(self):
        subprocess.run(["fuse2fs", self.image, self.mnt], check=True, **QUIET)

    def unmount(self):
        subprocess.run(["fusermount3", "-u", self.mnt], check=True)


class Ours:
    name = "ring3"

    def __init__(self, tmp, size):
        self.image, self.mnt = tmp + "/btrfs", tmp + "/btrfs.mnt"
        self.program = RING3
        subprocess.run([RING3, "btrfs", "mkfs", self.image, "--size",
                        str(size)], check=True, **QUIET)
        os.makedirs(self.mnt)

    def mount(self):
        subprocess.run([RING3, "btrfs", "mount", self.image, self.mnt],
                       check=True)

    def unmount(self):
        subprocess.run([RING3, "btrfs", "unmount", self.mnt], check=True)


def rate(count, call):
    start = time.monotonic()
    call()
    return count / (time.monotonic() - start)


def create(mnt, files, data):
    for i in range(files):
        if i % 1000 == 0:
            os.mkdir(f"{mnt}/d{i // 1000}")
        fd = os.open(f"{mnt}/d{i // 1000}/{i}", os.O_CREAT | os.O_WRONLY)
        if data:
            os.write(fd, data)
        os.close(fd)


def each(mnt, files, call):
    for i in range(files):
        call(f"{mnt}/d{i // 1000}/{i}")


def remove(mnt, files):
    each(mnt, files, os.unlink)
    for d in glob.glob(mnt + "/d*"):
        os.rmdir(d)


def write(path, mib):
    with open(path, "wb", buffering=0) as f:
        for _ in range(mib):
            f.write(BLOCK)


def read(path):
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 20):
            pass


def measure(peer, files, mib):
    """Figures of one peer, by name."""
    out = {}
    mnt = peer.mnt

    def step(name, count, call):
        peer.mount()
        try:
            out[name] = rate(count, call)
        finally:
            peer.unmount()

    big = mnt + "/big"
    step("create empty /s", files, lambda: create(mnt, files, b""))
    step("stat /s", files, lambda: each(mnt, files, os.stat))
    step("unlink /s", files, lambda: remove(mnt, files))
    step("create 4 KiB /s", files, lambda: create(mnt, files, BLOCK[:4096]))
    step("read 4 KiB /s", files, lambda: each(mnt, files, read))
    step("find + stat /s", files, lambda: [os.lstat(os.path.join(d, n))
         for d, _, names in os.walk(mnt) for n in names])
    step("unlink 4 KiB /s", files, lambda: remove(mnt, files))
    step("write MiB/s", mib, lambda: write(big, mib))
    step("read MiB/s", mib, lambda: read(big))
    step("remove", 1, lambda: os.unlink(big))
    del out["remove"]
    return out


def main():
    global RING3
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--mib", type=int, default=256)
    args = parser.parse_args()
    RING3 = os.path.abspath(os.path.join(args.build, "ring3"))
    kinds = [Passthrough, OneThread, Ours]
    if shutil.which("fuse2fs"):
        kinds.append(Fuse2fs)
    with tempfile.TemporaryDirectory(prefix="r3bench.", dir="/dev/shm") as tmp:
        peers = [k(tmp, (args.mib << 20) + (512 << 20)) for k in kinds]
        runs = {p.name: [] for p in peers}
        for _ in range(args.runs):
            for p in peers:
                runs[p.name].append(measure(p, args.files, args.mib))
    names = [p.name for p in peers]
    print(f"{args.files} files, {args.mib} MiB, medians of {args.runs} runs")
    print(f"{'':18}" + "".join(f"{n:>18}" for n in names) +
          f"{'ring3 / better':>18}")
    for what in runs["ring3"][0]:
        v = {n: statistics.median(r[what] for r in runs[n]) for n in names}
        best = max(v[Passthrough.name], v[OneThread.name])
        print(f"{what:18}" + "".join(f"{v[n]:18.0f}" for n in names) +
              f"{v['ring3'] / best:18.2f}")


if __name__ == "__main__":
    main()
