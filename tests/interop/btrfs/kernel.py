# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.py - images that the kernel's Btrfs filled, and the kernel's view

Used by the tests beside it.  Everything is made below one temporary folder;
Kernel.close() unmounts and removes all of it, whatever happened.
"""
import atexit
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("MESON_BUILD_ROOT", "build")
RING3 = os.path.join(BUILD, "ring3")
IMAGE_MAX = 1 << 30
SPARSE_MIN = 1 << 26    # a file that may be larger than what is in it
LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2                  # renameat2(2)
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16    # fallocate(2)
# At its time limit a test is told to end: what it mounted and made goes then.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


def run(*cmd, ok=(0,), **kw):
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=300, **kw)
    if done.returncode not in ok:
        raise AssertionError(f"{cmd}: exit {done.returncode}\n"
                             f"{done.stdout.decode(errors='replace')[-3000:]}"
                             f"{done.stderr.decode(errors='replace')[-3000:]}")
    return done.stdout


def ring3(*args, ok=(0,)):
    return run(RING3, "btrfs", *args, ok=ok)


def check_libc(value):
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return value


def renameat2(old, new, flags):
    at_fdcwd = -100
    check_libc(LIBC.renameat2(at_fdcwd, os.fsencode(old), at_fdcwd,
                              os.fsencode(new), flags))


def fallocate(fd, mode, off, length):
    check_libc(LIBC.fallocate(fd, mode, ctypes.c_long(off),
                              ctypes.c_long(length)))


def acl_bytes(*entries):
    """(tag, permissions, id) as linux/posix_acl_xattr.h packs them."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, perm, who & 0xffffffff)
        for tag, perm, who in entries)


def group_numbers(image):
    """{group: (referenced, exclusive)} as ring3 shows them."""
    lines = ring3("qgroup", "show", "--json", image).splitlines()
    return {g["qgroup"]: (g["referenced"], g["exclusive"])
            for g in map(json.loads, lines)}


def rescan(root):
    """Have the kernel count its quota numbers anew.  "quota enable" and "qgroup
    assign" begin a rescan by themselves, and "rescan -w" only joins it, though
    it may have begun before the last change: wait for that one first."""
    run("btrfs", "filesystem", "sync", root)
    run("btrfs", "quota", "rescan", "-W", root)
    run("btrfs", "filesystem", "sync", root)
    run("btrfs", "quota", "rescan", "-w", root)
    run("btrfs", "filesystem", "sync", root)


def dmesg_btrfs(device, since):
    """Lines of the kernel's log that complain about Btrfs on a device, from a
    time of CLOCK_MONOTONIC on.  Other tests use other devices meanwhile."""
    done = subprocess.run(["dmesg"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    known = ("space cache v1", "qgroup inherit needs a rescan")
    out = []
    for line in done.stdout.decode(errors="replace").splitlines():
        stamp = re.match(r"\[ *(\d+\.\d+)\]", line)
        if stamp and float(stamp[1]) >= since and "BTRFS" in line and \
                re.search(rf"\b{device}\b", line) and \
                re.search("warning|error|critical", line) and \
                not any(word in line for word in known):
            out.append(line)
    return out


def own_mounts():
    """What this test mounts nobody else's new mount namespace gets a copy of:
    a copy would keep it mounted after an unmount here."""
    clone_newns = 0x20000
    if not os.geteuid() and not LIBC.unshare(clone_newns):
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)


own_mounts()


class Kernel:
    """Loop mounts in a folder of their own."""

    def __init__(self):
        if os.geteuid():
            skip("mounting needs root")
        if not shutil.which("mkfs.btrfs"):
            skip("there is no mkfs.btrfs")
        self.dir = tempfile.mkdtemp(prefix="r3btrfs.")
        self.mounts = []
        self.complaints = []
        atexit.register(self.close)
        image = self.image("probe", 128 << 20)
        try:
            self.mount(image)
        except AssertionError as why:
            skip(f"the kernel can't loop-mount Btrfs here: {why}")
        self.umount()

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, name, size, *mkfs):
        assert size <= IMAGE_MAX
        path = self.path(name + ".img")
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "wb") as f:
            f.truncate(size)
        run("mkfs.btrfs", "-q", *mkfs, path)
        return path

    def mount(self, image, options="noatime", name="mnt"):
        where = self.path(name)
        os.makedirs(where, exist_ok=True)
        since = time.monotonic()
        run("mount", "-t", "btrfs", "-o", "loop," + options, image, where)
        device = run("findmnt", "-n", "-o", "SOURCE", where).decode()
        self.mounts.append((where, os.path.basename(device.split("[")[0]
                                                    .strip()), since))
        return where

    def umount(self):
        where, device, since = self.mounts[-1]
        run("umount", where)
        self.mounts.pop()
        self.complaints += dmesg_btrfs(device, since)

    def new_complaints(self):
        now = [line for _, device, since in self.mounts
               for line in dmesg_btrfs(device, since)]
        return self.complaints + now

    def close(self):
        for where, _, _ in reversed(self.mounts):
            subprocess.run(["umount", "-l", where])
        self.mounts = []
        shutil.rmtree(self.dir, ignore_errors=True)


def content(path, size):
    """A sum of what is read. Of a large file that of its blocks which are not
    zeros, with their places: wherever its holes are."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        if size < SPARSE_MIN:
            while block := f.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
        at = 0
        while (at := next_data(f, at)) is not None:
            block = os.pread(f.fileno(), 4096, at)
            if block.strip(b"\0"):
                digest.update(struct.pack("<Q", at) + block)
            at += 4096
    return digest.hexdigest()


def next_data(f, at):
    """The block, from one on, that has data; None behind the last."""
    try:
        return os.lseek(f.fileno(), at, os.SEEK_DATA) & ~4095
    except OSError as e:
        if e.errno != errno.ENXIO:
            raise
        return None


def describe(path, st):
    """What a test compares of one inode."""
    kind = {stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c",
            stat.S_IFBLK: "b", stat.S_IFIFO: "p",
            stat.S_IFSOCK: "s"}.get(stat.S_IFMT(st.st_mode), "-")
    d = {"type": kind, "mode": st.st_mode & 0o7777, "uid": st.st_uid,
         "gid": st.st_gid, "mtime": st.st_mtime_ns}
    if kind != "d":
        d["nlink"] = st.st_nlink
    if kind in "-l":
        d["size"] = st.st_size
    if kind in "cb":
        d["rdev"] = f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}"
    if kind == "l":
        d["target"] = os.readlink(path)
    names = os.listxattr(path, follow_symlinks=False)
    d["xattrs"] = {n: os.getxattr(path, n, follow_symlinks=False)
                   .hex() for n in names}
    if kind == "-":
        d["sha256"] = content(path, st.st_size)
    return d


def kernel_view(root, same_dev=False):
    view = {}
    dev = os.lstat(root).st_dev
    for folder, dirs, files in os.walk(root):
        if same_dev:
            dirs[:] = [d for d in dirs
                       if os.lstat(os.path.join(folder, d)).st_dev == dev]
        for name in dirs + files:
            path = os.path.join(folder, name)
            view[os.path.relpath(path, root)] = \
                describe(path, os.lstat(path))
    return view


def ring3_view(image):
    """The same through ring3, without file contents."""
    view = {}
    for line in ring3("ls", "-R", "-x", "--json", image).splitlines():
        e = json.loads(line.decode(), parse_float=str)
        sec, nsec = e["mtime"].split(".")
        d = {"type": e["type"], "mode": e["mode"], "uid": e["uid"],
             "gid": e["gid"], "mtime": int(sec) * 10**9 + int(nsec),
             "xattrs": e["xattrs"]}
        if e["ino"] == 2:
            del d["mtime"]  # of a snapshot's stub: the time of looking
        if e["type"] != "d":
            d["nlink"] = e["nlink"]
        if e["type"] in "-l":
            d["size"] = e["size"]
        if e["type"] in "cb":
            d["rdev"] = e["rdev"]
        if e["type"] == "l":
            d["target"] = e["target"]
        view[e["name"]] = d
    return view


def compare(want, got, what):
    """Assert that two views are equal; says where they are not."""
    problems = [f"{p}: missing" for p in want if p not in got]
    problems += [f"{p}: extra" for p in got if p not in want]
    for path in want.keys() & got.keys():
        for key in want[path].keys() & got[path].keys():
            if want[path][key] != got[path][key]:
                problems.append(f"{path}: {key}: {want[path][key]!r:.80} "
                                f"!= {got[path][key]!r:.80}")
    assert not problems, f"{what}:\n" + "\n".join(sorted(problems)[:20])


def fill(root, seed=1, scale=1.0):
    """Files of every kind of extent, links, xattrs, special files."""
    rnd = random.Random(seed)
    blob = rnd.randbytes(1 << 20)
    text = (b"the quick brown fox jumps over the lazy dog %d\n" * 4000)

    def put(name, data):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    for i in range(int(300 * scale)):
        size = rnd.choice([0, 1, 100, 2000, 2048, 2049, 4095, 4096, 4097,
                           20000])
        put(f"many/{i % 7}/file{i:04d}", blob[i:i + size])
    put("text", text)
    put("big", blob * max(1, int(8 * scale)))
    put("random", blob[:777777])
    put("tail", text[:130000] + blob[:5000])
    # holes, preallocation, overwritten middle, punched hole
    path = put("sparse", b"start")
    os.truncate(path, 3 << 20)
    with open(path, "r+b") as f:
        f.seek(1 << 20)
        f.write(blob[:10000])
    path = put("prealloc", b"x" * 5000)
    with open(path, "r+b") as f:
        os.posix_fallocate(f.fileno(), 0, 1 << 20)
        f.seek(200000)
        f.write(blob[:8192])
        f.flush()
        os.fsync(f.fileno())
    path = put("overwritten", blob)
    os.sync()
    with open(path, "r+b") as f:
        for i in range(0, 1 << 20, 65536):
            f.seek(i + 4096)
            f.write(b"O" * 8192)
    path = put("punched", blob)
    subprocess.run(["fallocate", "-p", "-o", "65536", "-l", "131072", path],
                   check=True)
    # names and links
    os.makedirs(os.path.join(root, "links"), exist_ok=True)
    first = put("links/first", b"linked")
    for i in range(int(400 * scale)):
        os.link(first, os.path.join(root, "links", f"l{i:04d}" + "n" * 150))
    os.symlink("text", os.path.join(root, "short"))
    os.symlink("x" * 1500, os.path.join(root, "long"))
    put("name \u00e4\u6587 \"quoted\" back\\slash\n", b"odd name")
    put("deep/" + "/".join("d%d" % i for i in range(40)) + "/leaf", b"leaf")
    # special files, modes, owners, times
    os.mkfifo(os.path.join(root, "fifo"))
    os.mknod(os.path.join(root, "chr"), 0o640 | stat.S_IFCHR,
             os.makedev(250, 70000))
    os.mknod(os.path.join(root, "blk"), 0o600 | stat.S_IFBLK,
             os.makedev(7, 3))
    os.mknod(os.path.join(root, "sock"), 0o755 | stat.S_IFSOCK)
    path = put("owned", b"mine")
    os.chown(path, 1234, 70000)
    os.chmod(path, 0o4751)
    os.utime(path, ns=(123456789, 987654321987654321))
    # xattrs: many, and large
    path = put("xattrs", b"")
    for i in range(50):
        os.setxattr(path, f"user.n{i}", blob[i:i + i * 3])
    os.setxattr(path, "user.big", blob[:3000])
    os.setxattr(os.path.join(root, "many"), "user.dir", b"on a directory")


def reflink(src, dst):
    with open(src, "rb") as a, open(dst, "wb") as b:
        fcntl.ioctl(b, 0x40049409, a.fileno())  # FICLONE


def reflink_range(src, src_off, dst, dst_off, length):
    with open(dst, "ab"):
        pass
    with open(src, "rb") as a, open(dst, "r+b") as b:
        fcntl.ioctl(b, 0x4020940d,  # FICLONERANGE
                    struct.pack("<qQQQ", a.fileno(), src_off, length, dst_off))


def subvolumes(root, seed=2):
    """Subvolumes in each other, snapshots changed afterwards, reflinks."""
    rnd = random.Random(seed)
    run("btrfs", "subvolume", "create", f"{root}/sv")
    fill(f"{root}/sv", seed, 0.3)
    run("btrfs", "subvolume", "create", f"{root}/sv/inner")
    with open(f"{root}/sv/inner/file", "wb") as f:
        f.write(b"inner")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/sv", f"{root}/snap0")
    for i in range(1, 5):
        run("btrfs", "subvolume", "snapshot", f"{root}/sv", f"{root}/snap{i}")
        with open(f"{root}/snap{i}/changed", "wb") as f:
            f.write(rnd.randbytes(100000))
        os.unlink(f"{root}/snap{i}/text")
        with open(f"{root}/sv/many/0/file{7 * i:04d}", "ab") as f:
            f.write(b"more" * 2000)
        os.sync()
    reflink(f"{root}/sv/big", f"{root}/cloned")
    for i in range(40):
        reflink(f"{root}/sv/random", f"{root}/snap1/clone{i}")
    run("btrfs", "subvolume", "create", f"{root}/gone")
    run("btrfs", "subvolume", "delete", "-c", f"{root}/gone")
