#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the first inputs of btrfs_image, btrfs_change, btrfs_stream and
btrfs_receive with the kernel.

    sudo tests/fuzz/btrfs_seeds.py     (from the root of the tree)
"""
import os
import stat
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__),
                                "../interop/btrfs"))
import kernel  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = [
    ("crc32c-mixed", ["--mixed", "-n", "4096"], "noatime,compress-force=zlib"),
    ("xxhash-quota", ["--mixed", "-n", "4096", "--csum", "xxhash",
                      "-R", "quota"], "noatime,compress-force=zstd"),
    ("lzo-holes", ["--mixed", "-n", "4096", "-O", "^no-holes"],
     "noatime,compress-force=lzo"),
]


def fill(root):
    with open(f"{root}/text", "wb") as f:
        f.write(b"compress me " * 2000)
    with open(f"{root}/inline", "wb") as f:
        f.write(b"small" * 30)
    with open(f"{root}/sparse", "wb") as f:
        f.write(b"x" * 9000)
        f.seek(100000)
        f.write(b"y" * 5000)
        f.flush()
        os.posix_fallocate(f.fileno(), 200000, 40000)
    os.mkdir(f"{root}/dir")
    for i in range(12):
        os.link(f"{root}/inline", f"{root}/dir/" + "n" * 200 + str(i))
    os.symlink("text", f"{root}/link")
    os.setxattr(f"{root}/text", "user.name", b"value")
    subprocess.run(["btrfs", "-q", "subvolume", "create", f"{root}/sub"])
    with open(f"{root}/sub/file", "wb") as f:
        f.write(b"in a subvolume" * 700)
    os.sync()
    subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r",
                    f"{root}/sub", f"{root}/snap"])
    with open(f"{root}/sub/file", "r+b") as f:
        f.write(b"changed")
    kernel.reflink(f"{root}/text", f"{root}/sub/clone")
    os.sync()


def pages(image):
    out = bytearray()
    with open(image, "rb") as f:
        for n in range((64 << 20) // 4096):
            page = f.read(4096)
            if page.strip(b"\0"):
                out += struct.pack("<I", n) + page
    return out


def differences(k):
    """For btrfs_receive: differences to the parent that it has."""
    image = k.image("seed", 256 << 20)
    root = k.mount(image, "noatime,compress-force=zstd")
    run = kernel.run
    run("btrfs", "subvolume", "create", f"{root}/p")
    os.mkdir(f"{root}/p/d")
    with open(f"{root}/p/f", "wb") as f:
        f.write(b"\0" * 70000)
    with open(f"{root}/p/d/g", "wb") as f:
        f.write(b"small")
    os.link(f"{root}/p/d/g", f"{root}/p/h")
    os.symlink("d", f"{root}/p/l")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/p", f"{root}/p0")
    kernel.reflink(f"{root}/p/f", f"{root}/p/clone")
    with open(f"{root}/p/packed", "wb") as f:
        f.write(b"compress me " * 500)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/p", f"{root}/p1")
    os.mkdir(f"{root}/p/e")
    os.rename(f"{root}/p/d", f"{root}/p/e/d2")
    os.unlink(f"{root}/p/h")
    os.truncate(f"{root}/p/f", 30001)
    os.setxattr(f"{root}/p/e/d2/g", "user.a", b"value")
    os.chown(f"{root}/p/e", 5, 6)
    os.mkfifo(f"{root}/p/pipe")
    os.mknod(f"{root}/p/dev", 0o600 | stat.S_IFBLK, os.makedev(7, 3))
    os.symlink("x" * 100, f"{root}/p/e/long")
    with open(f"{root}/p/e/d2/g", "r+b") as f:
        f.write(b"other")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/p", f"{root}/p2")
    for name, proto in (("p1", "1"), ("p1", "2"), ("p2", "1"), ("p2", "2")):
        out = f"{HERE}/corpus/btrfs_receive/{name}-v{proto}"
        packed = ["--compressed-data"] if proto == "2" else []
        run("btrfs", "send", "-q", "--proto", proto, *packed, "-p",
            f"{root}/p0", "-f", out, f"{root}/{name}")
        with open(out, "rb") as f:
            data = f.read()
        # the parent's uuid: the target puts the right one in
        at = data.index(b"\x14\0\x10\0") + 4
        with open(out, "wb") as f:
            f.write(data.replace(data[at:at + 16], b"P" * 16))
    k.umount()


def changeable(k):
    """Data and metadata apart, which mkfs.btrfs can't do this small."""
    for name, options in (("plain", ()), ("groups", ("--block-group-tree",))):
        image = k.path("small.img")
        kernel.ring3("mkfs", "-f", "--size", "64M", "--nodesize", "4K",
                     *options, image)
        fill(k.mount(image))
        k.umount()
        kernel.run("fstrim", k.mount(image))
        k.umount()
        with open(f"{HERE}/corpus/btrfs_change/{name}", "wb") as f:
            f.write(pages(image))


def main():
    k = kernel.Kernel()
    differences(k)
    for name, mkfs, options in ROWS:
        image = k.image("seed", 64 << 20, *mkfs)
        root = k.mount(image, options)
        fill(root)
        for proto in ("1", "2"):
            out = f"{HERE}/corpus/btrfs_stream/{name}-v{proto}"
            kernel.run("btrfs", "send", "-q", "--proto", proto, "-f", out,
                       f"{root}/snap")
        k.umount()
        root = k.mount(image)  # and forget blocks of older transactions
        kernel.run("fstrim", root)
        k.umount()
        with open(f"{HERE}/corpus/btrfs_image/{name}", "wb") as f:
            f.write(pages(image))
    changeable(k)
    k.close()


main()
