# SPDX-License-Identifier: GPL-2.0-or-later
"""wild.py - random operations, more and stranger than those of send_diff.py,
on the kernel's mounts and on ours; and what the tests that do them share.
"""
import errno
import os
import shutil
import stat
import subprocess
import sys

import kernel
from send_diff import CAPABILITY, Changer


class Wild(Changer):
    """HUGE: files of up to 16 TiB, nearly all of it holes."""

    # what an operation may be refused with
    REFUSED = {errno.ENOSPC, errno.EINVAL, errno.ENAMETOOLONG}

    def __init__(self, root, rnd, huge=False):
        super().__init__(root, rnd)
        self.huge_files = huge
        self.other = None   # to clone from: another subvolume's
        self.refused = {}

    def any(self):
        """Something that is there, of any type; the root where nothing is."""
        found = self.all(lambda mode: True)
        return self.rnd.choice(found) if found else self.root

    def name(self):
        r = self.rnd
        name = f"n{r.randrange(40)}"
        kind = r.random()
        if kind < 0.15:
            name += "L" * (255 - len(name))
        elif kind < 0.2:
            name = os.fsdecode(b"\xff\xfe" + bytes([r.randrange(1, 47)])
                               + name.encode() + b"\n")
        elif kind < 0.25:   # as a receiver's names until it knows better
            name = f"o{256 + r.randrange(300)}-{r.randrange(5, 60)}-0"
        path = os.path.join(self.dir(), name)
        if len(os.fsencode(path)) - len(self.root) > 1500:
            path = os.path.join(self.root, name)
        return path

    # ---- names and links

    def exchange(self):
        a, b = self.any(), self.any()
        if not (a + "/").startswith(b + "/") and \
                not (b + "/").startswith(a + "/"):
            kernel.renameat2(a, b, kernel.EXCHANGE)

    def many_links(self):
        """So many that references to it overflow into extended ones."""
        source, folder = self.file(), self.dir()
        for _ in range(30):
            path = os.path.join(folder, f"ml{self.rnd.randrange(60)}"
                                + "k" * 200)
            if not os.path.lexists(path):
                os.link(source, path)

    def link_any(self):
        source, path = self.any(), self.free()
        if os.path.lexists(source) and \
                (os.path.islink(source) or not os.path.isdir(source)):
            os.link(source, path, follow_symlinks=False)

    def cross(self):
        """Links move between directories, and the first name goes."""
        first, second = self.file(), self.free()
        if not os.path.lexists(first):
            return
        os.link(first, second)
        os.unlink(first)
        third = self.free()
        if os.path.lexists(second):
            os.link(second, third)

    def temporary(self):
        while True:
            path = os.path.join(self.root, f"out{self.rnd.randrange(10**6)}")
            if not os.path.lexists(path):
                return path

    def into_file(self):
        """A directory becomes a file, what was in it goes elsewhere."""
        folder = self.dir()
        if folder == self.root:
            return
        for name in os.listdir(folder):
            os.rename(os.path.join(folder, name), self.temporary())
        os.rmdir(folder)
        with open(folder, "wb") as f:
            f.write(b"now a file")

    def into_dir(self):
        """A file becomes a directory, and is in it."""
        path, aside = self.file(), self.temporary()
        os.rename(path, aside)
        os.mkdir(path)
        os.rename(aside, os.path.join(path, "in"))

    def remove_dir(self):
        folder = self.dir()
        if folder != self.root and self.rnd.random() < .3:
            shutil.rmtree(folder)

    def node(self):
        kind = self.rnd.choice([stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
        os.mknod(self.free(), kind | 0o640, os.makedev(
            self.rnd.randrange(4096), self.rnd.randrange(1 << 20)))

    # ---- content

    def huge(self):
        sizes, places = [1 << 20, (1 << 23) + 5], \
            [1 << 21, 3 << 20, (3 << 20) - 3000]
        if self.huge_files:
            sizes = [1 << 33, (1 << 34) + 5, 1 << 44]
            places = [1 << 31, 1 << 32, (1 << 32) - 3000, 5 << 35]
        with open(self.file(), "r+b") as f:
            os.ftruncate(f.fileno(), self.rnd.choice(sizes))
            f.seek(self.rnd.choice(places))
            f.write(self.rnd.randbytes(9000))

    def inline(self):
        """Around the size from which content is no longer in its item."""
        path = self.file()
        size = self.rnd.choice([0, 1, 2000, 2048, 3000, 4095])
        os.truncate(path, 0)
        with open(path, "r+b") as f:
            f.write(self.rnd.randbytes(size))
        if self.rnd.random() < .4:
            os.truncate(path, self.rnd.choice([4096, 5000, 100000,
                                               size // 2]))

    def nocow(self):
        path = self.free()
        with open(path, "wb"):
            pass
        subprocess.run(["chattr", "+C", path], check=False,
                       stderr=subprocess.DEVNULL)
        with open(path, "r+b") as f:
            f.write(self.rnd.randbytes(50000))

    def behind_end(self):
        """Preallocated, also where the file does not reach."""
        with open(self.file(), "r+b") as f:
            kernel.fallocate(f.fileno(), kernel.KEEP_SIZE,
                             self.rnd.randrange(100) * 4096, 300000)

    # ---- shared extents

    def clone_range(self):
        """Pieces of files, also of one to itself, also to the end of it."""
        a, b = self.file(), self.file()
        if self.rnd.random() < .4:
            b = a
        size = os.path.getsize(a)
        off = self.rnd.randrange(min(size, 400000) // 4096 + 1) * 4096
        length = self.rnd.randrange(1, 20) * 4096
        to = self.rnd.randrange(80) * 4096
        if off + length > size:
            to_end = self.rnd.random() < .5 and size < 1 << 30
            length = 0 if to_end else (size - off) // 4096 * 4096
            if size <= off or not (to_end or length):
                return
        kernel.reflink_range(a, off, b, to, length)

    def clone_other(self):
        """From the other subvolume: a whole file, or the begin of it."""
        source, path = self.other.file(), self.free()
        if self.rnd.random() < .5:
            kernel.reflink(source, path)
            return
        length = min(os.path.getsize(source), 200000) // 4096 * 4096
        if length:
            kernel.reflink_range(source, 0, path,
                                 self.rnd.randrange(9) * 4096, length)

    # ---- attributes

    def xattr_any(self):
        path = self.any()
        name = f"trusted.x{self.rnd.randrange(3)}" \
            + self.rnd.choice(["", "y" * 200])
        if name in os.listxattr(path, follow_symlinks=False) and \
                self.rnd.random() < .5:
            os.removexattr(path, name, follow_symlinks=False)
        else:
            size = self.rnd.choice([0, 1, 300, 3000])
            os.setxattr(path, name, self.rnd.randbytes(size),
                        follow_symlinks=False)

    def capability(self):
        os.setxattr(self.file(), "security.capability", CAPABILITY)

    def acl(self):
        path = self.rnd.choice([self.file(), self.dir()])
        who = 1000 + self.rnd.randrange(9)
        os.setxattr(path, "system.posix_acl_access", kernel.acl_bytes(
            (1, 6, -1), (2, 4, who), (4, 4, -1), (16, 6, -1), (32, 4, -1)))

    def times(self):
        mtime = self.rnd.choice([-5, 999999999, -1999999999, 1 << 61])
        os.utime(self.any(), ns=(0, mtime), follow_symlinks=False)

    OPS = Changer.OPS + [
        exchange, exchange, many_links, link_any, cross, cross,
        into_file, into_dir, remove_dir, node, huge, inline, inline, nocow,
        behind_end, clone_range, clone_range, clone_other, xattr_any,
        xattr_any, capability, acl, times]

    def steps(self, n):
        for _ in range(n):
            self.count += 1
            try:
                getattr(self, self.rnd.choice(self.OPS).__name__)()
                if self.rnd.random() < 0.01:
                    self.remove()
            except OSError as e:
                if e.errno not in self.REFUSED:
                    raise
                name = errno.errorcode[e.errno]
                self.refused[name] = self.refused.get(name, 0) + 1
            if self.rnd.random() < 0.05:
                os.sync()


class Mounted(Wild):
    """Where quotas and little space stop operations in the middle, and names
    are left as the next one doesn't expect them; in a mount of ours, too."""

    REFUSED = Wild.REFUSED | {
        errno.EDQUOT, errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY,
        errno.EISDIR, errno.ENOTDIR}

    def unlinked(self):
        path = self.file()
        fd = os.open(path, os.O_RDWR)
        try:
            os.unlink(path)
            os.pwrite(fd, self.rnd.randbytes(100000),
                      self.rnd.randrange(300000))
        finally:
            os.close(fd)

    def big(self):
        with open(self.free(), "wb") as f:
            for _ in range(self.rnd.randrange(1, 60)):
                f.write(self.rnd.randbytes(1 << 16))

    def small(self):
        folder = self.dir()
        for _ in range(60):
            path = os.path.join(folder, f"sm{self.rnd.randrange(900)}")
            with open(path, "wb") as f:
                size = self.rnd.choice([0, 100, 1900, 4000])
                f.write(self.rnd.randbytes(size))

    def owners(self):
        for path in self.all(lambda mode: True)[:200]:
            os.chown(path, self.rnd.randrange(9), 1, follow_symlinks=False)

    OPS = Wild.OPS + [unlinked, big, big, small, owners]


class Ours(Mounted):
    """FUSE has no reflinks: what would be one is copied in the server, which
    shares."""

    # EIO: what the page cache wrote later, and found no room for, is told at
    # close(2), and the kernel keeps only ENOSPC for that.
    REFUSED = Mounted.REFUSED | {errno.EIO}

    @staticmethod
    def copy(source, path, mode, length, off=0, to=0):
        with open(source, "rb") as a, open(path, mode) as b:
            os.copy_file_range(a.fileno(), b.fileno(), length, off, to)

    def clone_range(self):
        self.copy(self.file(), self.file(), "r+b",
                  self.rnd.randrange(1, 20) * 4096,
                  self.rnd.randrange(50) * 4096,
                  self.rnd.randrange(50) * 4096)

    def clone_other(self):
        self.copy(self.other.file(), self.free(), "wb", 1 << 20)

    def reflink(self):
        source, path = self.file(), self.free()
        if os.path.lexists(source):
            self.copy(source, path, "wb", 1 << 20)


def pair(kind, root, rnd, *args):
    """One of each of two subvolumes, v and w, that clone from each other."""
    v, w = (kind(f"{root}/{name}", rnd, *args) for name in "vw")
    v.other, w.other = w, v
    return {"v": v, "w": w}


def links(root):
    """Which names are one file."""
    names = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            names.setdefault(os.lstat(path).st_ino, []).append(
                os.path.relpath(path, root))
    return sorted(sorted(same) for same in names.values() if len(same) > 1)


def view(root):
    """A tree with its root, and which names are one file."""
    tree = kernel.kernel_view(root)
    tree["."] = kernel.describe(root, os.lstat(root))
    tree["names of one file"] = {"links": links(root)}
    return tree


def each_seed(one, places, *default):
    """one(*places, seed, rounds, steps) for the seeds that the command line asks
    for, [FIRST_SEED [SEEDS [ROUNDS [STEPS]]]]; then the places are closed."""
    given = [int(a) for a in sys.argv[1:]]
    first, seeds, *size = given + list(default)[len(given):]
    for seed in range(first, first + seeds):
        print("seed", seed, flush=True)
        try:
            one(*places, seed, *size)
        except BaseException:
            print("again:", sys.argv[0], seed, 1, *size, flush=True)
            raise
    for place in reversed(places):
        place.close()
