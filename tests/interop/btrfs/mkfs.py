#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 makes images; the kernel, btrfs check and our own check agree with
every one of them, and the kernel can go on writing."""
import json
import os
import subprocess

import kernel
from kernel import ring3, run

SUBVOLS = ["--subvol", "many", "--subvol", "ro:links",
           "--subvol", "default:many/3", "--subvol", "deep/d0/d1"]
# name, arguments, runs on the source with subvolumes
ROWS = [
    ("plain", []),
    ("zlib, xxhash, 4K nodes", ["--compress", "zlib:9", "--csum", "xxhash64",
                                "--nodesize", "4K"]),
    ("lzo, sha256, 64K nodes", ["--compress", "lzo", "--csum", "sha256",
                                "--nodesize", "64K"]),
    ("zstd, blake2b, subvolumes", ["--compress", "zstd:3", "--csum",
                                   "blake2b", *SUBVOLS]),
    ("block group tree, one thread", ["--block-group-tree", "--size", "900M",
                                      "--compress", "zstd", "--threads", "1",
                                      *SUBVOLS]),
    ("fixed size, just enough", ["--size", "300M", "--label", "a label"]),
]


def check_row(k, source, want, name, args):
    image = k.path("made.img")
    if os.path.exists(image):
        os.unlink(image)
    ring3("mkfs", image, "--rootdir", source, *args)
    ring3("check", "--data", image)
    run("btrfs", "check", "--check-data-csum", image)
    by_us = kernel.ring3_view(image)
    kernel.compare(without_stubs(want), by_us, name + ": our view")
    root = k.mount(image, "noatime,subvolid=5")
    kernel.compare(want, kernel.kernel_view(root), name + ": kernel's view")
    out = run("btrfs", "scrub", "start", "-B", root)
    assert b"no errors found" in out, out
    if "--subvol" in args:
        listed = run("btrfs", "subvolume", "list", root).decode()
        assert len(listed.splitlines()) == 4, listed
        assert b"many/3" in run("btrfs", "subvolume", "get-default", root)
        assert b"ro=true" in run("btrfs", "property", "get",
                                 f"{root}/links", "ro")
        uuid = json.loads(ring3("dump", "--json", image, "uuid")
                          .splitlines()[0])
        assert uuid["subvolume"] in (5, 256, 257, 258, 259)
    # the kernel goes on from there
    run("btrfs", "subvolume", "snapshot", root, f"{root}/after")
    with open(f"{root}/after/new", "wb") as f:
        f.write(os.urandom(3 << 20))
    os.unlink(f"{root}/after/text")
    if "just enough" not in name:
        run("btrfs", "balance", "start", "-d", "-m", "--full-balance", root,
            ok=(0, 1))
    run("btrfs", "quota", "enable", root)
    kernel.rescan(root)
    run("btrfs", "filesystem", "sync", root)
    k.umount()
    ring3("check", "--data", "--qgroups", image)
    run("btrfs", "check", "--check-data-csum", image)
    print("ok:", name)


def without_stubs(view):
    return {path: {key: value for key, value in d.items()
                   if key != "sha256"} for path, d in view.items()}


def send_from_ours(k, source):
    """The kernel sends a read-only subvolume that we made, and receives it."""
    image = k.path("made.img")
    os.unlink(image)
    ring3("mkfs", image, "--rootdir", source, "--subvol", "ro:many")
    root = k.mount(image)
    stream = k.path("stream")
    run("btrfs", "send", "-q", "-f", stream, f"{root}/many")
    os.mkdir(f"{root}/received")
    run("btrfs", "receive", "-q", "-f", stream, f"{root}/received")
    kernel.compare(kernel.kernel_view(f"{root}/many"),
                   kernel.kernel_view(f"{root}/received/many"), "send")
    k.umount()
    ring3("check", image)
    print("ok: the kernel sends and receives it")


def many_links(k):
    """More names than an INODE_REF holds, and than one leaf."""
    source = k.path("names")
    os.makedirs(f"{source}/d1")
    os.makedirs(f"{source}/d2")
    with open(f"{source}/file", "wb") as f:
        f.write(b"x" * 10000)
    for i in range(3000):
        os.link(f"{source}/file", f"{source}/d{i % 2 + 1}/" + "n" * 100 +
                str(i))
    want = kernel.kernel_view(source)
    for size in ("4K", "16K"):
        image = k.path("made.img")
        os.unlink(image)
        ring3("mkfs", image, "--rootdir", source, "--nodesize", size)
        ring3("check", "--data", image)
        run("btrfs", "check", image)
        root = k.mount(image, "ro")
        kernel.compare(want, kernel.kernel_view(root), "links")
        k.umount()
    print("ok: many names")


def refused(k, source):
    image = k.path("no.img")
    with open(f"{source}/more", "wb") as f:
        f.write(os.urandom(40 << 20))
    rows = [
        (["--size", "33M"], b"not enough"),
        (["--size", "1M"], b"32 MiB"),
        (["--csum", "md5"], b"there is no checksum"),
        (["--subvol", "nowhere"], b"no such directory"),
        (["--nodesize", "5000"], b"power of 2"),
    ]
    for args, word in rows:
        if os.path.exists(image):
            os.unlink(image)
        done = subprocess.run([kernel.RING3, "btrfs", "mkfs", image,
                               "--rootdir", source, *args],
                              stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL)
        assert done.returncode == 1 and word in done.stderr, (args, done)
        ring3("info", image, ok=(1,))  # not half a file system either
    # a file keeps its size, unless what the message says is done
    with open(image, "wb") as f:
        f.truncate(35 << 20)
    done = subprocess.run([kernel.RING3, "btrfs", "mkfs", image, "--rootdir",
                           source], stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"--size gives more" in done.stderr, done
    ring3("mkfs", image, "--force", "--rootdir", source, "--size", "300M")
    ring3("check", image)
    with open(image, "wb") as f:
        f.write(b"precious")
    ring3("mkfs", image, ok=(1,))
    ring3("mkfs", image, "--compress", "gzip", ok=(2,))
    ring3("mkfs", image, "--force")
    ring3("check", image)
    print("ok: refused:", len(rows) + 2)


def empty(k):
    image = k.image("empty", 300 << 20)
    ring3("mkfs", image, "--force")
    assert os.path.getsize(image) == 300 << 20
    run("btrfs", "check", image)
    root = k.mount(image)
    kernel.fill(root, scale=0.2)
    want = kernel.kernel_view(root)
    k.umount()
    kernel.compare(without_stubs(want), kernel.ring3_view(image), "empty")
    ring3("check", "--data", image)
    run("btrfs", "check", image)
    print("ok: empty, filled by the kernel")


def main():
    k = kernel.Kernel()
    # the source is on Btrfs: it holds every xattr and hole
    image = k.image("source", 600 << 20)
    source = k.mount(image, name="source")
    kernel.fill(source, scale=1)
    want = kernel.kernel_view(source)
    for row in ROWS:
        check_row(k, source, want, *row)
    send_from_ours(k, source)
    refused(k, source)
    k.umount()
    many_links(k)
    empty(k)
    assert not k.new_complaints(), k.new_complaints()
    k.close()


main()
