#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""names.py - names and attributes that ring3 changed, judged by the kernel

Random lists of operations on two images, one through a kernel mount and one
through the library: results and trees must be equal.  Then what needs a crash,
many links, or names of one hash.
"""
import errno
import fcntl
import json
import os
import random
import subprocess
import sys
import time

from kernel import (BUILD, EXCHANGE, NOREPLACE, RING3, Kernel, compare,
                    kernel_view, renameat2, ring3, ring3_view, run)

OPS = os.path.join(BUILD, "tests/interop/btrfs/names_ops")
CREATE, REPLACE = 1, 2


def encode(op):
    """A line for names_ops."""
    words = [op[0]]
    for arg in op[1:]:
        if not isinstance(arg, bytes):
            arg = str(arg).encode()
        words.append(arg.hex() or "-")
    return " ".join(words)


def library(image, ops):
    done = subprocess.run([OPS, image], timeout=200, stdout=subprocess.PIPE,
                          input="\n".join(map(encode, ops)).encode() + b"\n",
                          stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr[-2000:]
    return [int(n) for n in done.stdout.split()]


def by_kernel(root, op):
    """The same operation on a mount; its errno."""
    root = root.encode() + b"/"
    name, args = op[0], op[1:]
    try:
        if name == "make":
            mode, path = int(args[0], 8), root + args[1]
            if mode & 0o170000 == 0o120000:
                os.symlink(args[2], path)
            elif mode & 0o170000 == 0o040000:
                os.mkdir(path)
            else:
                os.mknod(path, mode, 0x103)
            if mode & 0o170000 != 0o120000:
                os.chmod(path, mode & 0o7777)
        elif name == "link":
            os.link(root + args[0], root + args[1], follow_symlinks=False)
        elif name == "unlink":
            os.unlink(root + args[0])
        elif name == "rmdir":
            os.rmdir(root + args[0])
        elif name == "rename":
            renameat2(root + args[1], root + args[2], args[0])
        elif name == "setxattr":
            os.setxattr(root + args[1], args[2], args[3], args[0],
                        follow_symlinks=False)
        elif name == "removexattr":
            os.removexattr(root + args[0], args[1], follow_symlinks=False)
        elif name == "setattr":
            path = root + args[0]
            os.chown(path, args[2], args[3], follow_symlinks=False)
            if not os.path.islink(path):
                os.chmod(path, int(args[1], 8))
            os.utime(path, ns=(0, args[4] * 10**9 + 123456789),
                     follow_symlinks=False)
    except OSError as why:
        return why.errno
    return 0


# ---- names of one hash

def crc_table():
    table = []
    for c in range(256):
        for _ in range(8):
            c = c >> 1 ^ 0x82f63b78 if c & 1 else c >> 1
        table.append(c)
    return table


TABLE = crc_table()
BACK = {c >> 24: i for i, c in enumerate(TABLE)}


def same_hash(want, head, length):
    """A name that begins with head and has this hash, or None."""
    head = head.ljust(length - 4, b"x")
    c = 0xfffffffe
    for byte in head:
        c = c >> 8 ^ TABLE[(c ^ byte) & 255]
    v = want
    for _ in range(4):
        i = BACK[v >> 24]
        v = ((v ^ TABLE[i]) << 8 | i) & 0xffffffff
    tail = (v ^ c).to_bytes(4, "little")
    return None if b"/" in tail or b"\0" in tail else head + tail


def colliding(count, length, want, head=b""):
    names, n = [], 0
    while len(names) < count:
        name = same_hash(want, head + b"%d." % n, length)
        n += 1
        if name:
            names.append(name)
    return names


# ---- random operations

class Random:
    """Operations on what a mount holds at the time."""

    def __init__(self, seed):
        self.rnd = random.Random(seed)
        self.names = (colliding(10, 30, 4711) + colliding(12, 240, 1234) +
                      [b"n%d" % i for i in range(12)] + [b"L" * 255])
        self.xattrs = (colliding(3, 40, 99, b"user.") +
                       [b"user.a", b"user.b", b"trusted.t"])

    def see(self, root):
        root = root.encode()
        self.dirs, self.paths = [b""], []
        for folder, dirs, files in os.walk(root):
            folder = os.path.relpath(folder, root) if folder != root else b""
            self.paths += [os.path.join(folder, n) for n in dirs + files]
            if folder.count(b"/") < 4:
                self.dirs += [os.path.join(folder, n) for n in dirs]

    def new_path(self):
        return os.path.join(self.rnd.choice(self.dirs),
                            self.rnd.choice(self.names))

    def path(self):
        if self.paths and self.rnd.random() < 0.9:
            return self.rnd.choice(self.paths)
        return self.new_path()

    def op(self):
        rnd, kind = self.rnd, self.rnd.random()
        if kind < 0.2:
            return ("make", rnd.choice(["100644", "104755", "010600",
                                        "020640", "060600", "140755"]),
                    self.new_path())
        if kind < 0.3:
            return ("make", rnd.choice(["040755", "041777", "042750"]),
                    self.new_path())
        if kind < 0.35:
            return ("make", "120777", self.new_path(),
                    b"t" * rnd.choice([1, 60, 1500]))
        if kind < 0.5:
            return ("link", self.path(), self.new_path())
        if kind < 0.57:
            return ("unlink", self.path())
        if kind < 0.6:
            return ("rmdir", self.path())
        if kind < 0.8:
            to = rnd.choice([self.path, self.new_path])()
            return ("rename", rnd.choice([0, 0, NOREPLACE, EXCHANGE]),
                    self.path(), to)
        if kind < 0.9:
            return ("setxattr", rnd.choice([0, 0, CREATE, REPLACE]),
                    self.path(), rnd.choice(self.xattrs),
                    b"v" * rnd.choice([0, 1, 100, 1000]))
        if kind < 0.93:
            return ("removexattr", self.path(), rnd.choice(self.xattrs))
        return ("setattr", self.path(), "%o" % rnd.randrange(0o1000),
                rnd.randrange(70000), rnd.randrange(70000),
                rnd.randrange(2**33))

    def on(self, root, count):
        """Do them; what was done, with its result."""
        done = []
        for i in range(count):
            if i % 10 == 0:
                self.see(root)
            op = self.op()
            done.append((op, by_kernel(root, op)))
        return done


def same(op, ours, theirs):
    """Some refusals have two reasons, and either may be named."""
    if ours == theirs:
        return True
    # on the way a mount follows symbolic links, here to nowhere
    if ours == errno.ENOTDIR and theirs in (errno.ENOENT,
                                            errno.ENAMETOOLONG):
        return True
    # a name above the other one: the kernel says so before it asks what it is
    if op[0] == "rename" and ours == errno.EISDIR and \
            theirs == errno.ENOTEMPTY:
        return op[2].startswith(op[3])
    # the kernel looks at the file system's own xattr rules first
    return op[0] in ("setxattr", "removexattr") and \
        theirs in (errno.EPERM, errno.EOPNOTSUPP)


def usable(op, kernel_result):
    """user.* belongs to files and directories only; the library, which is
    below such rules, would do it."""
    return kernel_result not in (errno.EPERM, errno.EOPNOTSUPP) or \
        op[0] not in ("setxattr", "removexattr")


def clean(image):
    run("btrfs", "check", "--check-data-csum", image)
    ring3("check", "--data", image)


def times_of(view):
    """Without the times that are when the test ran."""
    return {path: {k: v for k, v in d.items()
                   if k != "mtime" or v % 10**9 == 123456789}
            for path, d in view.items()}


def sizes(root):
    return {os.path.relpath(d, root): os.lstat(d).st_size
            for d, _, _ in os.walk(os.fsencode(root))
            for d in [os.fsdecode(d)]}


def follow(image, done, what):
    """The same through the library."""
    done = [(op, n) for op, n in done if usable(op, n)]
    got = library(image, [op for op, _ in done] + [("sync",)])
    for (op, theirs), ours in zip(done, got):
        assert same(op, ours, theirs), \
            f"{what}: {op}: {ours}, kernel {theirs}"
    clean(image)


def check_random(kernel, seed, nodesize):
    what = f"seed {seed} nodesize {nodesize}"
    ops = Random(seed)
    theirs = kernel.image("theirs", 256 << 20, "-n", nodesize)
    ours = kernel.image("ours", 256 << 20, "-n", nodesize)
    root = kernel.mount(theirs)
    done = ops.on(root, 1500)
    want, want_sizes = kernel_view(root), sizes(root)
    kernel.umount()
    follow(ours, done, what)
    root = kernel.mount(ours)
    compare(times_of(want), times_of(kernel_view(root)), what)
    assert sizes(root) == want_sizes
    # and turned round: the kernel goes on with ours, we with the kernel's
    more = ops.on(root, 500)
    kernel.umount()
    clean(ours)
    follow(theirs, more, what)
    compare(times_of(ring3_view(ours)), times_of(ring3_view(theirs)), what)
    print(f"{what}: {len(done + more)} operations, "
          f"{sum(n == 0 for _, n in done + more)} of them changed something")


# ---- links

def check_links(kernel):
    image = kernel.image("links", 256 << 20)
    names = [b"d/" + b"%03d" % i + b"n" * 150 for i in range(300)]
    ops = [("make", "040755", b"d"), ("make", "100644", b"d/first")]
    ops += [("link", b"d/first", n) for n in names]
    assert not any(library(image, ops + [("sync",)]))
    assert b"INODE_EXTREF" in ring3("dump", image, "fs")
    clean(image)
    root = kernel.mount(image)
    assert os.stat(f"{root}/d/first").st_nlink == 301
    assert len(os.listdir(f"{root}/d")) == 301
    # the kernel removes some of each kind, and adds its own
    for n in names[::3]:
        os.unlink(root.encode() + b"/" + n)
    for i in range(50):
        os.link(f"{root}/d/first", f"{root}/d/kernel{i:03d}" + "k" * 200)
    kernel.umount()
    clean(image)
    ops = [("unlink", n) for i, n in enumerate(names) if i % 3]
    ops += [("rename", 0, b"d/first", b"again")]
    assert not any(library(image, ops + [("sync",)]))
    clean(image)
    root = kernel.mount(image)
    assert os.stat(f"{root}/again").st_nlink == 51
    assert len(os.listdir(f"{root}/d")) == 50
    kernel.umount()


# ---- orphans

def orphans(image):
    return ring3("dump", image, "fs").count(b"ORPHAN_ITEM")


def check_our_orphans(kernel):
    """Held inodes without a name at a crash: the kernel removes them."""
    image = kernel.image("orphans", 256 << 20)
    ops = [("make", "040755", b"dir"), ("make", "100644", b"file"),
           ("make", "100644", b"big"), ("make", "120777", b"link", b"x"),
           ("write", b"big", b"B" * 4096, 2000)]
    ops += [("setxattr", 0, b"dir", b"user.%d" % i, b"x" * 900)
            for i in range(300)]
    held = [b"dir", b"file", b"big", b"link"]
    ops += [("hold", n) for n in held]
    ops += [("rmdir", b"dir")] + [("unlink", n) for n in held[1:]]
    assert not any(library(image, ops + [("sync",)]))
    assert orphans(image) == 4
    run("btrfs", "check", image)
    # whoever comes next cleans: a copy for us, the original for the kernel
    copy = kernel.path("copy.img")
    run("cp", "--sparse=always", image, copy)
    root = kernel.mount(image)
    assert os.listdir(root) == []
    kernel.umount()
    assert orphans(image) == 0
    clean(image)
    library(copy, [("sync",)])
    assert orphans(copy) == 0
    assert b"EXTENT_DATA" not in ring3("dump", copy, "fs")
    clean(copy)


def check_kernel_orphans(kernel):
    """A file that a kernel has open without a name, at a crash."""
    image = kernel.image("orphans2", 256 << 20)
    root = kernel.mount(image)
    fd = os.open(f"{root}/open", os.O_RDWR | os.O_CREAT)
    for i in range(2000):
        os.pwrite(fd, b"x" * 4096, i * 8192)
    os.unlink(f"{root}/open")
    run("btrfs", "filesystem", "sync", root)
    copy = kernel.path("copy.img")
    run("cp", "--sparse=always", image, copy)
    os.close(fd)
    kernel.umount()
    assert orphans(copy) == 1
    library(copy, [("sync",)])
    assert orphans(copy) == 0
    clean(copy)


# ---- times

def stamps_kernel(root):
    found = {}
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            st = os.lstat(os.path.join(folder, name))
            found[st.st_ino] = (st.st_mtime_ns, st.st_ctime_ns, st.st_atime_ns)
    return found


def stamps_ours(image):
    found = {}
    for line in ring3("ls", "-R", "--json", image).splitlines():
        e = json.loads(line, parse_float=str)
        found[e["ino"]] = (e["mtime"], e["ctime"], e["atime"])
    return found


def changes(before, after):
    """Which inode's mtime, ctime, atime an operation set."""
    return {ino: [a != b for a, b in zip(before[ino], after[ino])]
            for ino in before.keys() & after.keys()
            if before[ino] != after[ino]}


def check_times(kernel):
    first = [("make", "040755", b"a"), ("make", "040755", b"b"),
             ("make", "100644", b"a/f"), ("make", "100644", b"a/g"),
             ("make", "100644", b"b/h"), ("make", "040755", b"b/d")]
    ops = [("make", "100644", b"a/new"), ("link", b"a/f", b"b/f"),
           ("unlink", b"b/f"), ("rename", 0, b"a/f", b"a/f2"),
           ("rename", 0, b"a/f2", b"b/f3"), ("rename", 0, b"b/f3", b"b/h"),
           ("rename", EXCHANGE, b"a/g", b"b/h"),
           ("rename", 0, b"b/d", b"a/d"), ("rmdir", b"a/d"),
           ("link", b"a/g", b"b/l"), ("rename", 0, b"a/g", b"b/l"),
           ("setxattr", 0, b"a/new", b"user.x", b"1"),
           ("setxattr", 0, b"a/new", b"user.x", b"22"),
           ("removexattr", b"a/new", b"user.x")]
    theirs, ours = (kernel.image(n, 256 << 20) for n in ("theirs", "ours"))
    root = kernel.mount(theirs)
    assert not any(by_kernel(root, op) for op in first)
    want = []
    for op in ops:
        before = stamps_kernel(root)
        time.sleep(0.02)
        assert by_kernel(root, op) == 0
        want.append(changes(before, stamps_kernel(root)))
    kernel.umount()
    assert not any(library(ours, first + [("sync",)]))
    for op, expected in zip(ops, want):
        before = stamps_ours(ours)
        assert not any(library(ours, [op, ("sync",)]))
        got = changes(before, stamps_ours(ours))
        assert got == expected, f"{op}: {got}, kernel {expected}"


# ---- subvolumes that move

def subvol_image(kernel, name):
    image = kernel.image(name, 256 << 20)
    root = kernel.mount(image)
    for sub in ("A", "A/in", "B", "C"):
        run("btrfs", "subvolume", "create", f"{root}/{sub}")
    for d in ("d", "d2", "empty", "A/e"):
        os.mkdir(f"{root}/{d}")
    for f in ("f", "A/f", "B/f"):
        with open(f"{root}/{f}", "wb"):
            pass
    run("btrfs", "subvolume", "snapshot", f"{root}/A", f"{root}/S")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/A", f"{root}/R")
    kernel.umount()
    return image


def check_subvols(kernel):
    ops = [("rename", flags, old, new) for flags, old, new in (
        (0, b"A", b"d/A"),                     # with what is in it
        (0, b"d/A/f", b"B/f2"),                # EXDEV
        (0, b"d/A", b"d/A/in/x"),              # into itself
        (0, b"d", b"d/A/d"),                   # its directory likewise
        (EXCHANGE, b"d/A", b"B"),
        (EXCHANGE, b"B", b"f"),                # with a file beside it
        (EXCHANGE, b"d/A/f", b"f"),            # a file elsewhere: EXDEV
        (0, b"R", b"R2"),                      # read-only: its name may
        (0, b"R2", b"d/R2"),                   # but not its directory
        (0, b"d2", b"C"),                      # a subvolume in the way
        (0, b"f", b"empty"),                   # subvolume for a directory
        (NOREPLACE, b"C", b"d2"),
        (0, b"C", b"f/C"),
        (0, b"S/in", b"S/x"),                  # only shown by the snapshot
        (0, b"S/e", b"S/in"),
        (0, b"C", b"C"),
    )] + [("rmdir", b"S/in"), ("rmdir", b"S/e"), ("unlink", b"d"),
          ("rmdir", b"d2"), ("link", b"d/f", b"S/l")]
    theirs, ours = (subvol_image(kernel, n) for n in ("theirs", "ours"))
    root = kernel.mount(theirs)
    done = [(op, by_kernel(root, op)) for op in ops]
    kernel.umount()
    got = library(ours, ops + [("sync",)])
    for (op, want), n in zip(done, got):
        assert n == want, f"{op}: {n}, kernel {want}"
    clean(ours)
    compare(times_of(ring3_view(theirs)), times_of(ring3_view(ours)),
            "subvolumes that move")
    root = kernel.mount(ours)
    view = kernel_view(root)
    kernel.umount()
    compare(times_of(ring3_view(theirs)), times_of(view),
            "in the kernel's eyes")


# ---- what is inherited

def set_flags(path, flags):
    fd = os.open(path, os.O_RDONLY)
    fcntl.ioctl(fd, 0x40086602, flags.to_bytes(8, "little"))
    os.close(fd)


def check_inherit(kernel):
    """New inodes of every kind, made by both in directories that hand
    something down."""
    image = kernel.image("inherit", 256 << 20)
    root = kernel.mount(image)
    kinds = {b"file": "100644", b"dir": "040755", b"fifo": "010644",
             b"link": "120777"}
    dirs = ["plain", "zstd", "zlib", "lzo", "none", "nocow", "compr",
            "nocompr", "zstd3"]
    for name in dirs:
        os.mkdir(f"{root}/{name}")
    for name in ("zstd", "zlib", "lzo", "none"):
        os.setxattr(f"{root}/{name}", "btrfs.compression", name.encode())
    try:
        os.setxattr(f"{root}/zstd3", "btrfs.compression", b"zstd:3")
    except OSError:  # kernels that know no levels there
        pass
    set_flags(f"{root}/nocow", 0x800000)
    set_flags(f"{root}/compr", 0x4)
    set_flags(f"{root}/nocompr", 0x400)
    todo = [("make", mode, os.path.join(d.encode(), who + kind), b"target")
            for who in (b"k-", b"r-") for d in dirs
            for kind, mode in kinds.items()]
    for op in todo:
        if b"/k-" in op[2]:
            assert by_kernel(root, op) == 0
    kernel.umount()
    assert not any(library(image, [op for op in todo if b"/r-" in op[2]] +
                           [("setxattr", 0, b"plain/r-dir",
                             b"btrfs.compression", b"lzo"),
                            ("make", "100644", b"plain/r-dir/r-file"),
                            ("sync",)]))
    clean(image)
    seen = {}
    for line in ring3("ls", "-R", "-x", "--json", image).splitlines():
        e = json.loads(line)
        seen[e["name"]] = (e["flags"], e["xattrs"], e["size"], e["nlink"])
    for name, what in seen.items():
        if "/k-" in name:
            ours = seen[name.replace("/k-", "/r-")]
            assert ours == what or name == "plain/k-dir", (name, ours, what)
    assert seen["plain/r-dir/r-file"][:2] == seen["lzo/k-file"][:2]
    # a kernel reads properties when it reads inodes, and has to like them
    root = kernel.mount(image)
    with open(f"{root}/plain/r-dir/k-new", "wb"):
        pass
    assert os.getxattr(f"{root}/plain/r-dir/k-new",
                       "btrfs.compression") == b"lzo"
    kernel.umount()
    got = library(image, [
        ("setxattr", 0, b"plain/r-file", b"btrfs.compression", b"lz"),
        ("setxattr", 0, b"plain/r-file", b"btrfs.other", b"1"),
        ("setxattr", 0, b"nocow/r-file", b"btrfs.compression", b"zlib"),
        ("setxattr", 0, b"zstd/r-file", b"btrfs.compression", b"zlib"),
        ("removexattr", b"zlib/r-file", b"btrfs.compression"), ("sync",)])
    assert got == [errno.EINVAL] * 3 + [0] * 3, got
    clean(image)


# ---- commands

def refused(text, *args, code=1):
    done = subprocess.run([RING3, "btrfs", *args], stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == code and text in done.stderr.decode(), \
        (args, done.stderr)


def check_commands(kernel):
    image = kernel.image("commands", 256 << 20)
    root = kernel.mount(image)
    for name in ("file", "tree/a/b", "tree/c"):
        os.makedirs(f"{root}/{os.path.dirname(name)}", exist_ok=True)
        with open(f"{root}/{name}", "wb") as f:
            f.write(os.urandom(300000))
    for i in range(700):
        os.mkdir(f"{root}/tree/d{i}")
    run("btrfs", "subvolume", "create", f"{root}/sub")
    run("btrfs", "subvolume", "create", f"{root}/sub/nested")
    run("btrfs", "subvolume", "snapshot", f"{root}/sub", f"{root}/snap")
    kernel.umount()
    ring3("mkdir", "-p", "-m", "2750", image, "x/y/z", "x/w")
    ring3("mkdir", image, "x/y/z/one", "x/y/z/two")
    ring3("ln", image, "file", "x/hard")
    ring3("ln", "-s", image, "any text", "x/soft")
    ring3("mv", image, "x/hard", "x/soft", "x/y")
    ring3("mv", "--exchange", image, "x/y", "x/w")
    ring3("mv", image, "sub", "x/moved")
    ring3("chmod", image, "u=rwx,g+s,o-r", "file")
    ring3("chown", image, "12:34", "x/w/soft", "file")
    ring3("chown", image, "root", "x")
    ring3("xattr", "set", image, "file", "user.k", "value")
    ring3("xattr", "set", "--hex", image, "x", "user.h", "00ff")
    ring3("xattr", "set", image, "x", "btrfs.compression", "zstd")
    ring3("mkdir", image, "x/inherits")
    assert ring3("xattr", "get", image, "file", "user.k") == b"value"
    assert ring3("xattr", "list", image, "x/inherits") == \
        b"btrfs.compression\n"
    ring3("xattr", "remove", image, "file", "user.k")
    ring3("rm", "-f", image, "nothing")
    ring3("rm", "-r", image, "tree")
    ring3("rm", "-r", image, "snap/nested")  # only a place in the snapshot
    # what is refused names its path, and has changed nothing
    before = ring3("ls", "-R", "-x", "--json", image)
    refused("x/no: No such file", "rm", image, "file", "x/no")
    refused("subvolume", "rm", "-r", image, "x")
    refused("sub/x: No such file", "mv", image, "file", "x/w", "sub/x")
    refused("x/w/soft: File exists", "ln", image, "file", "x/w/soft")
    refused("x: File exists", "mkdir", image, "new", "x")
    refused("another", "mv", image, "file", "x/moved/file")
    refused("itself", "mv", image, "x", "x/w")
    for digits in ("0", "0x", "+1", " 1", "0g"):
        refused("two digits", "xattr", "set", "--hex", image, "x", "user.h",
                digits, code=2)
    assert ring3("ls", "-R", "-x", "--json", image) == before
    clean(image)
    root = kernel.mount(image)
    st = os.stat(f"{root}/file")
    assert (st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_nlink) == \
        (0o2740, 12, 34, 2), (oct(st.st_mode), st)
    assert os.readlink(f"{root}/x/w/soft") == "any text"
    assert os.stat(f"{root}/x/y").st_mode & 0o7777 == 0o2750
    assert os.getxattr(f"{root}/x", "user.h") == b"\0\xff"
    assert os.getxattr(f"{root}/x/inherits", "btrfs.compression") == b"zstd"
    assert os.stat(f"{root}/x/moved").st_ino == 256
    assert os.listdir(f"{root}/x/moved") == ["nested"]
    assert os.listdir(f"{root}/snap") == []
    assert not os.path.exists(f"{root}/tree")
    # what inherits in the kernel's eyes is the same
    with open(f"{root}/x/inherits/new", "wb") as f:
        f.write(b"z" * 100000)
    assert os.getxattr(f"{root}/x/inherits/new", "btrfs.compression") == \
        b"zstd"
    kernel.umount()
    clean(image)


def check_modes(kernel):
    """chmod(1) says what a mode means."""
    texts = ["0", "644", "7777", "00755", "u+x", "go-rwx", "a=r", "=rx", "+w", "-r",
             "u=rwX,g=u-w,o=g", "+X", "a-x+X", "u+s,g+s", "+t", "o+t", "u-s",
             "g=", "u=", "o=", "ug=rwxs", "u+rw-x", "o=u-w", "a+st", "=",
             "u=g,g=o", "g-s", "a=rX"]
    starts = [0o644, 0o4750, 0o2711, 0o1777, 0]
    image = kernel.image("modes", 256 << 20)
    root = kernel.mount(image)
    old = os.umask(0o027)
    try:
        paths = []
        for text in texts:
            for start in starts:
                for kind in "fd":
                    name = f"{text}.{start:o}.{kind}".replace("/", "")
                    path = f"{root}/{name}"
                    if kind == "d":
                        os.mkdir(path)
                    else:
                        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                    os.chmod(path, start)
                    os.mkdir(path + "~") if kind == "d" else \
                        os.close(os.open(path + "~", os.O_CREAT))
                    os.chmod(path + "~", start)
                    paths.append((text, name))
        for text in texts:
            run("chmod", "--", text, *[f"{root}/{n}~" for t, n in paths
                                       if t == text])
        kernel.umount()
        for text in texts:
            ring3("chmod", image, "--", text, *[n for t, n in paths
                                                if t == text])
    finally:
        os.umask(old)
    modes = {}
    for line in ring3("ls", "--json", image).splitlines():
        e = json.loads(line)
        modes[e["name"]] = e["mode"]
    for _, name in paths:
        assert modes[name] == modes[name + "~"], \
            f"{name}: {modes[name]:o}, chmod makes it {modes[name + '~']:o}"


def main():
    kernel = Kernel()
    for seed, nodesize in ((1, "16384"), (2, "4096"), (3, "65536")):
        check_random(kernel, seed, nodesize)
    check_links(kernel)
    check_our_orphans(kernel)
    check_kernel_orphans(kernel)
    check_times(kernel)
    check_subvols(kernel)
    check_inherit(kernel)
    check_commands(kernel)
    check_modes(kernel)
    complaints = kernel.new_complaints()
    assert not complaints, complaints
    print("names: fine")


if __name__ == "__main__":
    sys.exit(main())
