#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random system calls in a mount of ours and in the kernel's Btrfs (or tmpfs):
each has the same result, and the trees are equal.

mount_random.py [SEED [COUNT]].  Files stay open over their removal, two
descriptors see one file, maps are written to.  In between the mount is made
anew, and a read-only snapshot of it all, which has to stay as it is.
"""
import errno
import mmap
import os
import random
import stat
import sys

import fuse
import kernel
from kernel import RING3, run

DATA = random.Random(7).randbytes(1 << 20)
NAMES = ["a", "b", "c", "d", "e", "long" * 50, "\u00e4\u6587", "f", "g"]
FILE_MAX = 1 << 20
SNAP = "snap."


class World:
    """One file system, and what is open in it."""

    def __init__(self, root):
        self.root = root
        self.open = {}

    def path(self, name):
        return os.path.join(self.root, name)

    def fd(self, slot):
        return self.open[slot]

    def close_all(self):
        for fd in self.open.values():
            os.close(fd)
        self.open = {}


def file_stat(st):
    """What has to be equal.  The time is kept where a test has set it."""
    out = [stat.S_IFMT(st.st_mode), st.st_mode & 0o7777, st.st_uid, st.st_gid]
    if not stat.S_ISDIR(st.st_mode):
        out += [st.st_nlink, st.st_size]
    return out


# ---- the calls: (world, random) -> a result, the random numbers the same -------

def some_path(r):
    return "/".join(r.choice(NAMES) for _ in range(r.choice([1, 1, 2, 2, 3])))


def some_range(r):
    """Offsets and lengths around what matters."""
    around = r.choice([0, 4096, 8192, 65536, 131072, 262144, 400000])
    off = max(0, around + r.choice([-1, 0, 1, 0, r.randrange(-4096, 4096)]))
    length = r.choice([1, 100, 2048, 4095, 4096, 4097, 8192, 50000, 131072,
                       r.randrange(1, 300000)])
    return off, length


def op_create(w, r):
    path, slot = some_path(r), r.randrange(6)
    flags = r.choice([0, os.O_TRUNC, os.O_EXCL, os.O_APPEND])
    mode = r.choice([0o644, 0o600, 0o777])
    fd = os.open(w.path(path), os.O_RDWR | os.O_CREAT | flags, mode)
    if slot in w.open:
        os.close(w.open[slot])
    w.open[slot] = fd
    return "open"


def op_open(w, r):
    path, slot = some_path(r), r.randrange(6)
    fd = os.open(w.path(path), os.O_RDWR | r.choice([0, os.O_TRUNC]))
    if slot in w.open:
        os.close(w.open[slot])
    w.open[slot] = fd
    return "open"


def op_close(w, r):
    slot = r.randrange(6)
    if slot in w.open:
        os.close(w.open.pop(slot))
    return slot


def on_fd(call):
    def op(w, r):
        slot = r.randrange(6)
        # the numbers are drawn whether it is open or not
        rest = random.Random(r.randrange(1 << 32))
        return call(w.open[slot], rest) if slot in w.open else "closed"
    op.__name__ = "op_" + call.__name__
    return op


@on_fd
def write(fd, r):
    off, length = some_range(r)
    at = r.randrange(len(DATA) - length)
    data = DATA[at:at + length] if r.random() < .8 else bytes(length)
    return os.pwrite(fd, data, off)


@on_fd
def read(fd, r):
    off, length = some_range(r)
    return hash(os.pread(fd, length, off))


@on_fd
def truncate(fd, r):
    os.ftruncate(fd, r.choice([0, 1, 4095, 4096, 4097, 100000,
                               r.randrange(FILE_MAX)]))


@on_fd
def allocate(fd, r):
    off, length = some_range(r)
    mode = r.choice([0, 1, 3, 3, 16, 17])
    kernel.fallocate(fd, mode, off, length)


@on_fd
def sparse_copy(fd, r):
    """What cp --sparse copies: all of it, also what was just written."""
    size, at, out = os.fstat(fd).st_size, 0, b""
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            assert e.errno == errno.ENXIO
            break
        end = os.lseek(fd, start, os.SEEK_HOLE)
        out += bytes(start - at) + os.pread(fd, end - start, start)
        at = end
    out += bytes(size - len(out))
    assert out == os.pread(fd, size, 0), "data in a hole"
    return hash(out)


@on_fd
def fsync(fd, r):
    os.fsync(fd)


@on_fd
def info(fd, r):
    return file_stat(os.fstat(fd))


@on_fd
def attributes(fd, r):
    which = r.randrange(5)
    name = "user." + r.choice("xyz")
    if which == 0:
        os.fchmod(fd, r.choice([0o600, 0o644, 0o755, 0o4755]))
    elif which == 1:
        os.fchown(fd, r.randrange(3), r.randrange(3))
    elif which == 2:
        os.utime(fd, ns=(10**18, r.randrange(10**18)))
    elif which == 3:
        os.setxattr(fd, name, DATA[:r.choice([0, 1, 100, 3000])],
                    r.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE]))
    else:
        os.removexattr(fd, name)


@on_fd
def mapped(fd, r):
    size = os.fstat(fd).st_size
    if not size:
        return "empty"
    with mmap.mmap(fd, size) as m:
        at = r.randrange(size)
        length = min(size - at, r.randrange(1, 20000))
        m[at:at + length] = DATA[:length]
        if r.random() < .5:
            m.flush()
        return hash(m[:at // 2])


def op_copy(w, r):
    a, b = r.randrange(6), r.randrange(6)
    off, length = some_range(r)
    to, _ = some_range(r)
    if r.random() < .5:
        off, to = off & ~4095, to & ~4095
    if a not in w.open or b not in w.open:
        return "closed"
    same = os.path.samestat(os.fstat(w.open[a]), os.fstat(w.open[b]))
    if same and abs(off - to) < length:
        return "overlaps"
    left = max(0, min(length, os.fstat(w.open[a]).st_size - off))
    while left > 0:
        n = os.copy_file_range(w.open[a], w.open[b], left, off, to)
        if not n:
            break
        off, to, left = off + n, to + n, left - n
    return "copied"


def op_mkdir(w, r):
    os.mkdir(w.path(some_path(r)), r.choice([0o755, 0o700, 0o2775]))


def op_rmdir(w, r):
    os.rmdir(w.path(some_path(r)))


def op_unlink(w, r):
    os.unlink(w.path(some_path(r)))


def op_link(w, r):
    os.link(w.path(some_path(r)), w.path(some_path(r)), follow_symlinks=False)


def op_symlink(w, r):
    os.symlink(r.choice(["a", "x" * 500, "../b"]), w.path(some_path(r)))


def op_mknod(w, r):
    os.mknod(w.path(some_path(r)), r.choice([stat.S_IFIFO, stat.S_IFSOCK])
             | 0o640)


def op_rename(w, r):
    a, b = w.path(some_path(r)), w.path(some_path(r))
    kernel.renameat2(a, b, r.choice([0, 0, 0, 1, 2]))


def op_lstat(w, r):
    return file_stat(os.lstat(w.path(some_path(r))))


def op_list(w, r):
    path = w.path(some_path(r)) if r.random() < .7 else w.root
    return sorted(n for n in os.listdir(path) if not n.startswith(SNAP))


def op_readlink(w, r):
    return os.readlink(w.path(some_path(r)))


def op_xattrs(w, r):
    path = w.path(some_path(r))
    return sorted((n, os.getxattr(path, n, follow_symlinks=False)) for n in
                  os.listxattr(path, follow_symlinks=False)
                  if n.startswith("user."))


OPS = [(op_create, 20), (op_open, 10), (op_close, 6), (write, 40), (read, 20),
       (truncate, 8), (allocate, 8), (sparse_copy, 5), (fsync, 2), (info, 8), (attributes, 10),
       (mapped, 6), (op_copy, 8), (op_mkdir, 12), (op_rmdir, 6),
       (op_unlink, 10), (op_link, 8), (op_symlink, 4), (op_mknod, 2),
       (op_rename, 16), (op_lstat, 10), (op_list, 4), (op_readlink, 3),
       (op_xattrs, 5)]


def outcome(call, world, seed):
    try:
        return call(world, random.Random(seed))
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno)


def view(root):
    """Trees, without snapshots, and the times that nobody has set."""
    tree = {name: entry for name, entry in kernel.kernel_view(root).items()
            if not name.startswith(SNAP)}
    for entry in tree.values():
        if entry["mtime"] > 10**18:
            entry.pop("mtime")
        entry["xattrs"] = {n: v for n, v in entry["xattrs"].items()
                           if n.startswith("user.")}
    return tree


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else \
        random.randrange(1 << 32)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    print("SEED", seed, flush=True)
    r = random.Random(seed)
    f = fuse.Folder()
    image = f.image("fs", 1 << 30)
    args = r.choice([[], ["--compress", "zstd"], ["--sync-interval", "1"]])
    ours = World(f.mount(image, *args))
    if os.geteuid() == 0:
        k = kernel.Kernel()
        theirs = World(k.mount(k.image("theirs", 1 << 30)))
    else:
        k = None
        theirs = World(f.path("theirs"))
        os.mkdir(theirs.root)
    calls = [c for c, n in OPS for _ in range(n)]
    done, snaps = {}, {}
    for i in range(count):
        call, one = r.choice(calls), r.randrange(1 << 62)
        a, b = outcome(call, ours, one), outcome(call, theirs, one)
        assert a == b, f"step {i} {call.__name__}: ours {a!r:.200}, " \
            f"theirs {b!r:.200}"
        done[call.__name__] = done.get(call.__name__, 0) + \
            (not isinstance(a, str) or not a.startswith("E"))
        if i % 1000 == 999:
            kernel.compare(view(theirs.root), view(ours.root), f"step {i}")
        if i % 2000 == 1999:
            ours.close_all()
            theirs.close_all()
            f.unmount()
            run(RING3, "btrfs", "check", "--data", image)
            snap = SNAP + str(i)
            run(RING3, "btrfs", "snapshot", "-r", image, "/", "/" + snap)
            snaps[snap] = view(theirs.root)
            f.mount(image, *args)
    ours.close_all()
    theirs.close_all()
    want = view(theirs.root)
    kernel.compare(want, view(ours.root), "the end")
    for snap, then in snaps.items():
        kernel.compare(then, view(ours.path(snap)), snap)
    f.unmount()
    run(RING3, "btrfs", "check", "--data", image)
    if k:
        k.umount()
        run("btrfs", "check", "--check-data-csum", image)
        root = k.mount(image, "ro")
        kernel.compare(want, view(root), "seen by the kernel")
        k.umount()
        k.close()
    f.close()
    print("done without errors:", done)


main()
