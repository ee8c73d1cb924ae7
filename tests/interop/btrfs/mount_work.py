#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs work in a mount; then btrfs check and the kernel look at the image.

cp, git, tar, rsync, make and gcc; system calls that they don't make, each
beside what the kernel's tmpfs or Btrfs does.
"""
import errno
import fcntl
import mmap
import os
import shutil
import stat
import subprocess
import threading

import fuse
import kernel
from kernel import (EXCHANGE, KEEP_SIZE, NOREPLACE, PUNCH_HOLE, RING3,
                    ZERO_RANGE, acl_bytes, fallocate, renameat2, run)


def fails(number, call, *args, **kw):
    try:
        call(*args, **kw)
    except OSError as e:
        assert e.errno == number, e
        return
    raise AssertionError(f"{call} does not fail")


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def get(path):
    with open(path, "rb") as f:
        return f.read()


def judge(k, f, image, what):
    """Unmount; both checks; the kernel sees the same tree."""
    want = kernel.kernel_view(f.mounts[-1])
    f.unmount()
    run(RING3, "btrfs", "check", "--data", image)
    if not shutil.which("btrfs"):
        return
    run("btrfs", "check", "--check-data-csum", image)
    if k:
        root = k.mount(image, "ro,noatime")
        kernel.compare(want, kernel.kernel_view(root), what)
        k.umount()


# ---- programs -----------------------------------------------------------------

PROJECT_MAKE = """
OBJS = $(patsubst %.c,%.o,$(wildcard *.c))
prog: $(OBJS) ; $(CC) -o $@ $^
%.o: %.c all.h ; $(CC) -O1 -c -o $@ $<
"""


def programs(root):
    run("cp", "-a", "/usr/include/linux", root + "/cp")
    run("diff", "-r", "--no-dereference", "/usr/include/linux", root + "/cp")
    run("tar", "-C", root, "-cf", root + "/a.tar", "cp")
    os.mkdir(root + "/tar")
    run("tar", "-C", root + "/tar", "-xf", root + "/a.tar")
    run("diff", "-r", root + "/cp", root + "/tar/cp")
    if shutil.which("rsync"):
        run("rsync", "-aHAX", root + "/cp/", root + "/rsync/")
        os.unlink(root + "/rsync/fuse.h")
        put(root + "/rsync/extra", b"x")
        run("rsync", "-aHAX", "--delete", root + "/cp/", root + "/rsync/")
        run("diff", "-r", root + "/cp", root + "/rsync")

    def git(*args):
        return run("git", "-C", root + "/git", "-c", "user.name=n", "-c",
                   "user.email=e@x", *args)

    os.mkdir(root + "/git")
    git("init", "-q")
    run("cp", "-r", root + "/cp/netfilter", root + "/git/")
    git("add", ".")
    git("commit", "-qm", "one")
    run("sh", "-c", f"for f in {root}/git/netfilter/*; do echo x >> $f; done")
    git("commit", "-qam", "two")
    git("gc", "-q")
    git("fsck", "--strict")
    git("checkout", "-q", "HEAD^")
    assert not git("status", "--porcelain")
    if shutil.which("gcc") and shutil.which("make"):
        os.mkdir(root + "/c")
        names = [f"f{i}" for i in range(20)]
        put(root + "/c/all.h", "".join(f"int {n}(void);\n" for n in names)
            .encode())
        for n in names:
            put(f"{root}/c/{n}.c", f'#include "all.h"\nint {n}(void)'
                '{ return 1; }\n'.encode())
        put(root + "/c/main.c", ('#include "all.h"\nint main(void){return ' +
                                 "+".join(n + "()" for n in names) +
                                 ";}\n").encode())
        put(root + "/c/Makefile", PROJECT_MAKE.encode())
        run("make", "-s", "-j2", "-C", root + "/c", "prog")
        run(root + "/c/prog", ok=(20,))
        assert b"up to date" in run("make", "-C", root + "/c", "prog")


# ---- names ----------------------------------------------------------------------

def names(root):
    d = root + "/names"
    os.mkdir(d)
    a, b = put(d + "/a", b"a"), put(d + "/b", b"b")
    fails(errno.EEXIST, renameat2, a, b, NOREPLACE)
    renameat2(a, b, EXCHANGE)
    assert get(a) == b"b" and get(b) == b"a"
    renameat2(a, d + "/c", NOREPLACE)
    fails(errno.ENOENT, renameat2, a, b, EXCHANGE)
    os.mkdir(d + "/dir")
    put(d + "/dir/in", b"")
    renameat2(d + "/dir", d + "/c", EXCHANGE)
    assert os.listdir(d + "/c") == ["in"]
    fails(errno.ENOTEMPTY, os.rmdir, d + "/c")
    fails(errno.EISDIR, os.unlink, d + "/c")
    fails(errno.ENOTDIR, os.rmdir, b)
    fails(errno.EINVAL, os.rename, d + "/c", d + "/c/x")
    os.link(b, d + "/c/hard")
    assert os.stat(b).st_nlink == 2
    fails(errno.EPERM, os.link, d + "/c", d + "/e")
    os.unlink(b)
    assert os.stat(d + "/c/hard").st_nlink == 1
    fails(errno.ENAMETOOLONG, put, d + "/" + "n" * 256, b"")
    put(d + "/" + "n" * 255, b"")
    os.mkfifo(d + "/fifo")
    os.mknod(d + "/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    assert os.stat(d + "/null").st_rdev == os.makedev(1, 3)
    os.symlink("t" * 1000, d + "/sym")
    assert os.readlink(d + "/sym") == "t" * 1000
    # entries come and go while a directory is being read
    many = d + "/many"
    os.mkdir(many)
    for i in range(3000):
        put(f"{many}/{i}", b"")
    seen = 0
    with os.scandir(many) as entries:
        for e in entries:
            os.unlink(e.path)
            seen += 1
    assert seen == 3000 and not os.listdir(many)


def open_without_a_name(root):
    path = put(root + "/temp", b"1" * 10000)
    fd = os.open(path, os.O_RDWR)
    os.unlink(path)
    os.pwrite(fd, b"2" * 10000, 10000)
    os.fsync(fd)
    assert os.pread(fd, 30000, 0) == b"1" * 10000 + b"2" * 10000
    assert os.fstat(fd).st_nlink == 0
    put(path, b"another")
    assert os.fstat(fd).st_size == 20000
    replaced = os.open(path, os.O_RDONLY)
    put(root + "/new", b"new")
    os.rename(root + "/new", path)
    assert os.read(replaced, 100) == b"another" and get(path) == b"new"
    os.close(fd)
    os.close(replaced)
    where = os.getcwd()
    os.mkdir(root + "/gone")
    os.chdir(root + "/gone")
    os.rmdir(root + "/gone")
    assert os.listdir(".") == []
    fails(errno.ENOENT, put, "x", b"")
    os.chdir(where)


# ---- data -----------------------------------------------------------------------

def holes(fd):
    """Where data and holes begin."""
    found, at, size = [], 0, os.fstat(fd).st_size
    while at < size:
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            try:
                at = os.lseek(fd, at, whence)
            except OSError as e:
                assert e.errno == errno.ENXIO
                return found
            found.append(at)
    return found


def data(root):
    path = root + "/data"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fallocate(fd, 0, 0, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
    assert os.fstat(fd).st_blocks * 512 >= 1 << 20
    os.pwrite(fd, b"x" * 8192, 65536)
    # not written back yet: still no hole
    assert holes(fd) == [65536, 73728], holes(fd)
    fallocate(fd, KEEP_SIZE, 1 << 20, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
    os.pwrite(fd, b"y" * (1 << 20), 0)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 100000, 200000)
    assert os.pread(fd, 300000, 50000) == \
        b"y" * 50000 + bytes(200000) + b"y" * 50000
    fallocate(fd, ZERO_RANGE, 4000, 100)
    assert os.pread(fd, 200, 3950) == b"y" * 50 + bytes(100) + b"y" * 50
    fails(errno.EOPNOTSUPP, fallocate, fd, 8, 0, 4096)  # COLLAPSE_RANGE
    os.ftruncate(fd, 5000)
    os.ftruncate(fd, 10000)
    assert os.pread(fd, 10000, 4500) == b"y" * 500 + bytes(5000)
    os.close(fd)
    mapped(root)
    copies(root)
    direct(root)
    appends(root)


def mapped(root):
    path = put(root + "/map", bytes(100000))
    with open(path, "r+b") as f:
        with mmap.mmap(f.fileno(), 0) as m:
            m[5000:5010] = b"0123456789"
            m[99999:100000] = b"!"
            m.flush()
            assert os.pread(f.fileno(), 10, 5000) == b"0123456789"
    assert get(path)[99999:] == b"!"


def copies(root):
    source = put(root + "/from", os.urandom(300000))
    for off, length, to in ((0, 300000, 0), (4096, 8192, 0), (100, 5000, 33),
                            (0, 5000, 4096), (299000, 5000, 0)):
        path = put(root + "/to", b"o" * 20000)
        with open(source, "rb") as a, open(path, "r+b") as b:
            left = min(length, 300000 - off)
            done = 0
            while done < left:
                done += os.copy_file_range(a.fileno(), b.fileno(), left - done,
                                           off + done, to + done)
        want = bytearray(b"o" * 20000)
        want[to:to + left] = get(source)[off:off + left]
        assert get(path) == bytes(want), (off, length, to)
    # cp shares, and says so in the space left
    before = os.statvfs(root).f_bfree
    big = put(root + "/big", os.urandom(16 << 20))
    os.sync()
    middle = os.statvfs(root).f_bfree
    run("cp", big, big + "2")
    after = os.statvfs(root).f_bfree
    assert (before - middle) * 4096 > 15 << 20
    assert (middle - after) * 4096 < 4 << 20
    assert get(big) == get(big + "2")


def direct(root):
    path = put(root + "/direct", b"c" * 8192)
    try:
        fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    except OSError:
        return
    page = mmap.mmap(-1, 4096)
    page.write(b"D" * 4096)
    assert os.pwritev(fd, [page], 4096) == 4096
    assert os.preadv(fd, [page], 0) == 4096 and page[:] == b"c" * 4096
    os.close(fd)
    assert get(path) == b"c" * 4096 + b"D" * 4096


def appends(root):
    """Two processes append to one file, and two lock it."""
    path = put(root + "/log", b"")
    script = 'i=0; while [ $i -lt 500 ]; do echo "$1 $i" >> "$2"; ' \
             'i=$((i+1)); done'
    jobs = [subprocess.Popen(["sh", "-c", script, "sh", who, path])
            for who in "ab"]
    assert [j.wait() for j in jobs] == [0, 0]
    lines = get(path).decode().splitlines()
    for who in "ab":
        assert [x for x in lines if x[0] == who] == \
            [f"{who} {i}" for i in range(500)]
    with open(path) as a, open(path) as b:
        fcntl.flock(a, fcntl.LOCK_EX)
        fails(errno.EAGAIN, fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ---- attributes -----------------------------------------------------------------

def attributes(root):
    path = put(root + "/attr", b"x")
    os.chmod(path, 0o6755)
    os.chown(path, 1000, 1000)
    assert os.stat(path).st_mode & 0o7777 == 0o755
    os.utime(path, ns=(10**18 + 1, 10**18 + 2))
    st = os.stat(path)
    assert (st.st_atime_ns, st.st_mtime_ns) == (10**18 + 1, 10**18 + 2)
    os.setxattr(path, "user.a", b"1")
    fails(errno.EEXIST, os.setxattr, path, "user.a", b"2", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, path, "user.b", b"2", os.XATTR_REPLACE)
    os.setxattr(path, "user.b", b"v" * 10000)
    assert os.getxattr(path, "user.b") == b"v" * 10000
    assert sorted(os.listxattr(path)) == ["user.a", "user.b"]
    os.removexattr(path, "user.a")
    fails(errno.ENODATA, os.getxattr, path, "user.a")
    fails(errno.ENOSPC, os.setxattr, path, "user.c", b"v" * 20000)
    os.mkdir(root + "/sgid")
    os.chown(root + "/sgid", 0, 1234)
    os.chmod(root + "/sgid", 0o2775)
    os.mkdir(root + "/sgid/d")
    put(root + "/sgid/f", b"")
    assert os.stat(root + "/sgid/f").st_gid == 1234
    st = os.stat(root + "/sgid/d")
    assert st.st_gid == 1234 and st.st_mode & stat.S_ISGID


def other_user(call, *args):
    """As nobody, who is in no group of ours."""
    pid = os.fork()
    if not pid:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        call(*args)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def sugid_steps(root):
    """What takes setuid and setgid away, and from which modes."""
    path = put(root + "/sugid", b"x" * 9000)
    seen = []

    def write(length):
        with open(path, "r+b") as f:
            f.write(b"w" * length)

    for mode in (0o6757, 0o6747, 0o2777, 0o4777):
        for step in (lambda: other_user(write, 5000), lambda: write(10),
                     lambda: other_user(os.truncate, path, 100),
                     lambda: os.truncate(path, 50),
                     lambda: os.chown(path, 1, 1),
                     lambda: os.chown(path, -1, 2)):
            os.chown(path, 0, 0)
            os.chmod(path, mode)
            step()
            seen.append(oct(os.stat(path).st_mode))
    return seen


def acl_steps(root):
    """Something to do with lists; what comes of it, to compare."""
    default = acl_bytes((1, 7, -1), (2, 6, 1000), (4, 5, -1), (0x10, 7, -1),
                        (0x20, 0, -1))
    plain = acl_bytes((1, 7, -1), (4, 5, -1), (0x20, 1, -1))
    seen = []

    def note(path):
        st = os.stat(path)
        seen.append((os.path.relpath(path, root), oct(st.st_mode), {
            n: os.getxattr(path, n).hex() for n in sorted(os.listxattr(path))
            if n.startswith("system.posix")}))

    os.umask(0o027)
    d = root + "/acl"
    os.mkdir(d)
    os.setxattr(d, "system.posix_acl_default", default)
    note(d)
    os.mkdir(d + "/sub", 0o755)
    note(d + "/sub")
    os.close(os.open(d + "/file", os.O_CREAT | os.O_WRONLY, 0o666))
    note(d + "/file")
    os.chmod(d + "/file", 0o640)
    note(d + "/file")
    os.setxattr(d + "/file", "system.posix_acl_access", plain)
    note(d + "/file")
    os.setxattr(d + "/file", "system.posix_acl_access",
                acl_bytes((1, 6, -1), (2, 4, 1000), (4, 4, -1), (0x10, 6, -1),
                          (0x20, 0, -1)))
    note(d + "/file")
    os.mkdir(root + "/plain", 0o777)
    os.setxattr(root + "/plain", "system.posix_acl_default", plain)
    os.close(os.open(root + "/plain/f", os.O_CREAT | os.O_WRONLY, 0o666))
    note(root + "/plain/f")
    os.removexattr(d, "system.posix_acl_default")
    os.close(os.open(d + "/last", os.O_CREAT | os.O_WRONLY, 0o666))
    note(d + "/last")
    os.umask(0o022)
    return seen


def rights(k, root):
    """As the kernel's own Btrfs does."""
    other = k.mount(k.image("rights", 256 << 20))
    os.chmod(k.dir, 0o755)
    for step in (acl_steps, sugid_steps):
        ours, theirs = step(root), step(other)
        assert ours == theirs, (ours, theirs)
    k.umount()


# ---- limits ---------------------------------------------------------------------

def full(f):
    """ENOSPC arrives; deleting works; then there is space again."""
    image = f.image("full", 256 << 20)
    root = f.mount(image)
    block = os.urandom(1 << 20)
    fd = os.open(root + "/fill", os.O_WRONLY | os.O_CREAT)
    count = 0
    try:
        while count < 300:
            os.write(fd, block)
            count += 1
            if count % 8 == 0:
                os.fsync(fd)
        raise AssertionError("300 MiB in 256")
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
    try:
        os.close(fd)
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
    assert count > 100
    os.unlink(root + "/fill")
    put(root + "/after", block)
    f.unmount()
    run(RING3, "btrfs", "check", "--data", image)


def quota(f):
    image = f.image("quota", 256 << 20)
    run(RING3, "btrfs", "quota", "enable", image)
    run(RING3, "btrfs", "qgroup", "limit", image, "0/5", "4M")
    root = f.mount(image)
    fd = os.open(root + "/f", os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(16):
            os.write(fd, os.urandom(1 << 20))
            os.fsync(fd)
        raise AssertionError("16 MiB within a limit of 4")
    except OSError as e:
        assert e.errno == errno.EDQUOT, e
    try:
        os.close(fd)
    except OSError as e:
        assert e.errno == errno.EDQUOT, e
    os.unlink(root + "/f")
    f.unmount()
    run(RING3, "btrfs", "check", "--data", "--qgroups", image)


def threads(root):
    """Many at once, in directories of their own and in one together."""
    errors = []

    def work(n):
        try:
            d = f"{root}/t{n}"
            os.mkdir(d)
            for i in range(150):
                p = put(f"{d}/{i}", bytes([n]) * (i * 37))
                os.rename(p, f"{root}/shared/{n}.{i}")
                if i % 3:
                    assert get(f"{root}/shared/{n}.{i}") == \
                        bytes([n]) * (i * 37)
                    os.unlink(f"{root}/shared/{n}.{i}")
        except (OSError, AssertionError) as e:
            errors.append(e)

    os.mkdir(root + "/shared")
    jobs = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for j in jobs:
        j.start()
    for j in jobs:
        j.join()
    assert not errors, errors
    assert len(os.listdir(root + "/shared")) == 6 * 50


def subvolumes(k, f):
    """They are directories; a read-only one is, and an empty one goes."""
    image = f.image("subvol", 256 << 20)
    run(RING3, "btrfs", "subvolume", "create", image, "/sv")
    root = f.mount(image)
    put(root + "/sv/file", b"1")
    fails(errno.EXDEV, os.rename, root + "/sv/file", root + "/file")
    fails(errno.EXDEV, os.link, root + "/sv/file", root + "/file")
    f.unmount()
    run(RING3, "btrfs", "snapshot", "--readonly", image, "/sv", "/snap")
    run(RING3, "btrfs", "subvolume", "create", image, "/empty")
    root = f.mount(image)
    for call in (lambda: open(root + "/snap/file", "r+b"),
                 lambda: os.unlink(root + "/snap/file"),
                 lambda: os.mkdir(root + "/snap/d"),
                 lambda: os.chmod(root + "/snap/file", 0o600)):
        fails(errno.EROFS, call)
    put(root + "/sv/file", b"2")
    assert get(root + "/snap/file") == b"1" and get(root + "/sv/file") == b"2"
    assert os.stat(root + "/snap").st_ino != os.stat(root + "/sv").st_ino
    fails(errno.ENOTEMPTY, os.rmdir, root + "/sv")
    os.rmdir(root + "/empty")
    assert sorted(os.listdir(root)) == ["snap", "sv"]
    judge(k, f, image, "subvolumes")


def main():
    f = fuse.Folder()
    k = kernel.Kernel() if os.geteuid() == 0 and shutil.which("mkfs.btrfs") \
        else None
    for args, steps in (([], (programs, names, open_without_a_name, data,
                              attributes, threads)),
                        (["--compress", "zstd:3"], (data, threads))):
        image = f.image()
        root = f.mount(image, "--sync-interval", "1", *args)
        for step in steps:
            step(root)
            print("ok:", step.__name__, *args)
        judge(k, f, image, "work")
    if k:
        image = f.image()
        rights(k, f.mount(image, "-o", "allow_other"))
        judge(k, f, image, "rights")
    subvolumes(k, f)
    full(f)
    quota(f)
    if k:
        k.close()
    f.close()


main()
