#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences between snapshots: ring3 sends, the kernel receives them in a
chain, and each result is the snapshot.  What happens between two snapshots is
random; R3_SEED chooses it and is printed."""
import os
import random
import resource
import shutil
import stat

import kernel
from kernel import ring3, run

ROUNDS, STEPS = 6, 200


class Changer:
    """Random operations on a tree."""

    def __init__(self, root, rnd):
        self.root, self.rnd = root, rnd
        self.count = 0

    def all(self, want):
        found = []
        for folder, dirs, files in os.walk(self.root):
            for name in dirs + files:
                path = os.path.join(folder, name)
                if want(os.lstat(path).st_mode):
                    found.append(path)
        return found

    def dir(self):
        return self.rnd.choice(self.all(stat.S_ISDIR) + [self.root] * 3)

    def file(self):
        files = self.all(stat.S_ISREG)
        return self.rnd.choice(files) if files else self.create()

    def name(self):
        """Few names, so that they come again for something else."""
        path = os.path.join(self.dir(), f"n{self.rnd.randrange(60)}")
        if len(path) > 900:
            path = os.path.join(self.root, f"n{self.rnd.randrange(60)}")
        return path

    def free(self):
        path = self.name()
        if os.path.lexists(path):
            self.remove(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def remove(self, path=None):
        path = path or self.name()
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def create(self):
        path = self.free()
        with open(path, "wb") as f:
            f.write(self.rnd.randbytes(self.rnd.choice(
                [0, 10, 2000, 5000, 70000, 300000])))
        return path

    def write(self):
        with open(self.file(), "r+b") as f:
            f.seek(self.rnd.randrange(200000))
            f.write(self.rnd.randbytes(self.rnd.choice([1, 4096, 30000])))

    def truncate(self):
        os.truncate(self.file(), self.rnd.randrange(250000))

    def punch(self):
        off = self.rnd.randrange(20) * 4096
        with open(self.file(), "r+b") as f:
            kernel.fallocate(f.fileno(), kernel.PUNCH_HOLE | kernel.KEEP_SIZE,
                             off, 40960)

    def prealloc(self):
        with open(self.file(), "r+b") as f:
            os.posix_fallocate(f.fileno(), self.rnd.randrange(100) * 4096,
                               65536)

    def mkdir(self):
        os.mkdir(self.free())

    def symlink(self):
        os.symlink(f"to{self.rnd.randrange(100)}", self.free())

    def fifo(self):
        os.mkfifo(self.free())

    def link(self):
        source = self.file()
        path = self.free()
        if os.path.exists(source):
            os.link(source, path)

    def rename(self):
        found = self.all(lambda mode: True)
        if not found:
            return
        source, path = self.rnd.choice(found), self.name()
        if (path + "/").startswith(source + "/") or \
                (source + "/").startswith(path + "/"):
            return
        if os.path.lexists(path):
            self.remove(path)
        if os.path.isdir(os.path.dirname(path)):
            os.rename(source, path)

    def swap(self):
        """A moves into B's place, B below A: the hard case."""
        dirs = self.all(stat.S_ISDIR)
        if len(dirs) < 2:
            return
        a, b = self.rnd.sample(dirs, 2)
        if b.startswith(a + "/") and len(b) < 800:
            temp = os.path.join(self.root, f"swap{self.count}")
            os.rename(b, temp)
            os.rename(a, os.path.join(temp, "under"
                                      + str(self.rnd.randrange(9999))))
            os.rename(temp, a)

    def chmod(self):
        os.chmod(self.file(), self.rnd.choice([0o600, 0o4755, 0o444]))

    def chown(self):
        os.chown(self.rnd.choice([self.file(), self.dir()]),
                 self.rnd.randrange(1000), 7)

    def xattr(self):
        path = self.rnd.choice([self.file(), self.dir()])
        name = f"user.x{self.rnd.randrange(4)}"
        if self.rnd.random() < 0.3 and name in os.listxattr(path):
            os.removexattr(path, name)
        else:
            os.setxattr(path, name, self.rnd.randbytes(
                self.rnd.randrange(50)))

    def reflink(self):
        source = self.file()
        path = self.free()
        if os.path.exists(source):
            kernel.reflink(source, path)

    OPS = [create, create, create, write, write, truncate, punch, prealloc,
           mkdir, mkdir, symlink, fifo, link, link, rename, rename, rename,
           swap, swap, chmod, chown, xattr, reflink]

    def steps(self, n):
        for _ in range(n):
            self.count += 1
            self.rnd.choice(self.OPS)(self)
            if self.rnd.random() < 0.01:
                self.remove()
            if self.rnd.random() < 0.05:
                os.sync()


CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def check_capabilities(k):
    """The kernel takes a file's capability away when it is written, gets another
    size or owner; whoever receives does too, before or after it is told."""
    changes = {
        "owner": lambda p: os.chown(p, 5, 6),
        "written": lambda p: open(p, "r+b").write(b"new"),
        "longer": lambda p: os.truncate(p, 100000),
        "shorter": lambda p: os.truncate(p, 10),
        "removed": lambda p: os.removexattr(p, "security.capability"),
        "mode": lambda p: os.chmod(p, 0o4711),
    }
    image = k.image("from", 300 << 20)
    root = k.mount(image, name="from")
    run("btrfs", "subvolume", "create", f"{root}/v")
    paths = {f"{name} {again}": change for name, change in changes.items()
             for again in (False, True)}
    for name in paths:
        with open(f"{root}/v/{name}", "wb") as f:
            f.write(os.urandom(9000))
        os.setxattr(f"{root}/v/{name}", "security.capability", CAPABILITY)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s0")
    for name, change in paths.items():
        change(f"{root}/v/{name}")
        if name.endswith("True"):
            os.setxattr(f"{root}/v/{name}", "security.capability",
                        CAPABILITY)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s1")
    want = kernel.kernel_view(f"{root}/s1")
    k.umount()
    target = k.mount(k.image("target", 300 << 20), name="target")
    for args in ([], ["--parent", "/s0"]):
        stream = k.path("stream")
        name = "s1" if args else "s0"
        ring3("send", *args, "-o", stream, image, "/" + name)
        run("btrfs", "receive", "-q", "-f", stream, target)
    kernel.compare(want, kernel.kernel_view(f"{target}/s1"), "capabilities")
    k.umount()
    print("ok: capabilities")


def check_links(k):
    """A file with very many names, of which two change: comparing the others
    must not take the square of their number."""
    count = 30000
    image = k.image("from", 300 << 20)
    root = k.mount(image, name="from")
    run("btrfs", "subvolume", "create", f"{root}/v")
    os.mkdir(f"{root}/v/links")
    with open(f"{root}/v/file", "w") as f:
        f.write("linked")
    for i in range(count):
        os.link(f"{root}/v/file", f"{root}/v/links/{i}")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s0")
    os.unlink(f"{root}/v/links/77")
    os.link(f"{root}/v/file", f"{root}/v/links/new")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s1")
    k.umount()
    streams = [k.path("s0"), k.path("s1")]
    ring3("send", "-o", streams[0], image, "/s0")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    ring3("send", "--parent", "/s0", "-o", streams[1], image, "/s1")
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert took < 1.5, f"{took} s for two names of {count}"
    assert os.path.getsize(streams[1]) < 1000
    target = k.mount(k.image("target", 300 << 20), name="target")
    for stream in streams:
        run("btrfs", "receive", "-q", "-f", stream, target)
    names = set(os.listdir(f"{target}/s1/links"))
    assert names == {str(i) for i in range(count) if i != 77} | {"new"}
    assert os.stat(f"{target}/s1/file").st_nlink == count + 1
    k.umount()
    print("ok: many links")


def main():
    seed = int(os.environ.get("R3_SEED", "1"))
    print("seed:", seed)
    k = kernel.Kernel()
    check_capabilities(k)
    check_links(k)
    for turn, options in enumerate(("noatime", "noatime,compress-force=zstd")):
        rnd = random.Random(seed * 2 + turn)
        image = k.image("from", 900 << 20)
        root = k.mount(image, options, name="from")
        run("btrfs", "subvolume", "create", f"{root}/v")
        changer = Changer(f"{root}/v", rnd)
        views = []
        for i in range(ROUNDS):
            changer.steps(STEPS)
            run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v",
                f"{root}/s{i}")
            views.append(kernel.kernel_view(f"{root}/s{i}"))
        k.umount()
        target = k.mount(k.image("target", 900 << 20), name="target")
        for i in range(ROUNDS):
            stream = k.path("stream")
            parent = ["--parent", f"/s{i - 1}"] if i else []
            proto = ["--compressed"] if turn else []
            ring3("send", *parent, *proto, "-o", stream, image, f"/s{i}")
            ring3("stream", "dump", stream)
            run("btrfs", "receive", "-q", "-f", stream, target)
            kernel.compare(views[i], kernel.kernel_view(f"{target}/s{i}"),
                           f"turn {turn} snapshot {i}")
        # and back, over several: the first from the last
        ring3("send", "-p", f"/s{ROUNDS - 1}", "-o", stream, image, "/s0")
        run("btrfs", "subvolume", "delete", f"{target}/s0")
        run("btrfs", "receive", "-q", "-f", stream, target)
        kernel.compare(views[0], kernel.kernel_view(f"{target}/s0"), "back")
        # nothing changed: hardly anything is sent
        ring3("send", "-p", "/s3", "-o", stream, image, "/s3")
        assert os.path.getsize(stream) < 400, os.path.getsize(stream)
        k.umount()
        ring3("check", "--data", k.path("target.img"))
        print("ok:", options, len(views[-1]), "files in the last")
    assert not k.new_complaints(), k.new_complaints()
    k.close()


if __name__ == "__main__":
    main()
