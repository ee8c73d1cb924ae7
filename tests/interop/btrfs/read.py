#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel writes, ring3 reads: every file, link and attribute is equal."""
import json
import os
import shutil
import subprocess

import kernel
from kernel import ring3, run

# name, arguments of mkfs.btrfs, mount options
ROWS = [
    ("plain", [], "noatime"),
    ("xxhash, zlib", ["--csum", "xxhash"], "noatime,compress-force=zlib"),
    ("sha256, lzo, 4K nodes", ["--csum", "sha256", "-n", "4096"],
     "noatime,compress-force=lzo"),
    ("blake2, zstd, 64K nodes", ["--csum", "blake2", "-n", "65536"],
     "noatime,compress-force=zstd:3"),
    ("mixed groups", ["--mixed", "-n", "4096"], "noatime,compress=zstd"),
    ("block group tree", ["-R", "block-group-tree"], "noatime"),
    ("holes kept, no free space tree", ["-O", "^no-holes", "-R",
                                        "^free-space-tree"], "noatime"),
    ("single, nodatasum", ["-m", "single", "-d", "dup"],
     "noatime,nodatasum"),
]


def check_row(k, name, mkfs, options):
    try:
        image = k.image("a", 700 << 20, *mkfs)
    except AssertionError as why:
        if b"unrecognized" not in str(why).encode():
            raise
        print("not here:", name, "(mkfs.btrfs does not know it)")
        return
    root = k.mount(image, options)
    kernel.fill(root)
    kernel.subvolumes(root)
    k.umount()
    root = k.mount(image, "ro")
    want = kernel.kernel_view(root)
    k.umount()
    kernel.compare(want, kernel.ring3_view(image), name)
    dest = k.path("out")
    shutil.rmtree(dest, ignore_errors=True)
    ring3("get", image, "/", dest)
    got = kernel.kernel_view(dest)
    for path in got:  # a snapshot's stubs have the time of looking
        if path.endswith("/inner") and path != "sv/inner":
            got[path].pop("mtime")
        if path.endswith("xattrs"):  # more than most file systems hold
            got[path].pop("xattrs")
    kernel.compare(want, got, name + ": get")
    info = json.loads(ring3("info", "--json", image))
    assert info["bad_copies"] == 0, info
    assert info["subvolumes"] == 7, info["subvolumes"]
    for tree in ("root", "extent", "chunk", "dev", "fs", "csum", "uuid",
                 "data-reloc", "super", "256"):
        for line in ring3("dump", image, tree, "--json").splitlines():
            json.loads(line)
    print("ok:", name)


def damaged_copy_is_replaced(k):
    """One copy of a tree block and of a super block is lost."""
    image = k.image("b", 256 << 20)
    root = k.mount(image)
    kernel.fill(root, scale=0.2)
    k.umount()
    want = kernel.ring3_view(image)
    info = json.loads(ring3("info", "--json", image))
    chunk = next(c for c in json.loads(ring3("info", "--json", image))
                 ["chunks"] if c["type"] == "metadata")
    physical = None
    for line in ring3("dump", image, "chunk", "--json").splitlines():
        item = json.loads(line)
        if item["type"] == "CHUNK_ITEM" and \
                item["key"][2] == chunk["logical"]:
            physical = item["stripes"][0]["offset"]
    with open(image, "r+b") as f:
        f.seek(65536)
        f.write(bytes(4096))
        end = physical + chunk["length"]
        while physical < end:
            if physical != 64 << 20:  # the second super block
                f.seek(physical)
                f.write(bytes(65536))
            physical += 65536
    kernel.compare(want, kernel.ring3_view(image), "after damage")
    after = json.loads(ring3("info", "--json", image))
    assert after["super"] == 2 and after["supers_good"] == 1, after
    assert after["bad_copies"] > 0 and info["bad_copies"] == 0
    print("ok: the second copies are used")


def bad_data_is_named(k):
    image = k.image("c", 256 << 20)
    root = k.mount(image)
    with open(root + "/file", "wb") as f:
        f.write(os.urandom(1 << 20))
    k.umount()
    for line in ring3("dump", image, "fs", "--json").splitlines():
        item = json.loads(line)
        if item["type"] == "EXTENT_DATA":
            logical = item["disk_bytenr"]
    with open(image, "r+b") as f:
        f.seek(logical + 300000)  # mkfs.btrfs maps data 1:1
        f.write(b"damage")
    done = subprocess.run([kernel.RING3, "btrfs", "cat", image, "/file"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"offset 299008" in done.stderr, done
    print("ok: damaged data is named by file and offset")


def refused(k):
    """What is not supported is refused by its name."""
    rows = [
        ("two devices", ["-d", "single", "-m", "raid1"], b"devices"),
        ("sectors", ["-s", "8192"], b"sectors"),
    ]
    for name, mkfs, word in rows:
        image = k.image("d", 256 << 20) if "-s" not in mkfs else None
        if name == "two devices":
            other = k.path("e.img")
            with open(other, "wb") as f:
                f.truncate(256 << 20)
            run("mkfs.btrfs", "-q", "-f", *mkfs, image, other)
        else:
            image = k.path("d.img")
            done = subprocess.run(["mkfs.btrfs", "-q", "-f", *mkfs, image],
                                  stderr=subprocess.DEVNULL)
            if done.returncode:
                continue
        done = subprocess.run([kernel.RING3, "btrfs", "info", image],
                              stderr=subprocess.PIPE)
        assert done.returncode == 1 and word in done.stderr, (name, done)
        print("ok: refused:", name)
    done = subprocess.run([kernel.RING3, "btrfs", "info", "/etc/passwd"],
                          stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"not a Btrfs volume" in done.stderr, \
        done
    done = subprocess.run([kernel.RING3, "btrfs", "info"],
                          stderr=subprocess.PIPE)
    assert done.returncode == 2


def log_tree(k):
    """Power was cut after an fsync: named, and fine once it was mounted."""
    image = k.image("l", 256 << 20)
    root = k.mount(image)
    cut = k.path("cut.img")
    with open(root + "/synced", "wb") as f:
        for _ in range(20):  # anybody's sync(1) would commit the log
            os.sync()
            f.write(b"y" * 5000)
            f.flush()
            os.fsync(f.fileno())
            shutil.copy(image, cut)
            done = subprocess.run([kernel.RING3, "btrfs", "ls", cut],
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
            if done.returncode:
                break
    k.umount()
    assert done.returncode == 1 and b"log tree" in done.stderr, done
    k.mount(cut)
    k.umount()
    assert b"synced" in ring3("ls", cut)
    os.unlink(cut)
    print("ok: a log tree is named")


def subvolumes(k):
    image = k.image("s", 256 << 20)
    root = k.mount(image)
    run("btrfs", "subvolume", "create", f"{root}/a")
    os.mkdir(f"{root}/a/dir")
    run("btrfs", "subvolume", "create", f"{root}/a/dir/b")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/a", f"{root}/r")
    run("btrfs", "filesystem", "sync", root)
    theirs = run("btrfs", "subvolume", "list", "-uq", root).decode()
    k.umount()
    ours = [json.loads(line) for line in
            ring3("subvolume", "list", "--json", image).splitlines()]
    for line in theirs.splitlines():
        word = line.split()
        mine = next(s for s in ours if s["id"] == int(word[1]))
        assert mine["path"] == word[-1], (mine, line)
        assert mine["uuid"] == word[word.index("uuid") + 1], (mine, line)
    assert len(ours) == len(theirs.splitlines()) == 3
    assert [s["readonly"] for s in ours] == [False, False, True]
    print("ok: subvolumes")


def stream_dump(k):
    """Our reading of the kernel's send streams beside btrfs receive --dump."""
    image = k.image("f", 512 << 20)
    root = k.mount(image)
    kernel.subvolumes(root)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/snap1", f"{root}/s1")
    for proto in ("1", "2"):
        out = k.path("stream")
        run("btrfs", "send", "-q", "--proto", proto, "-f", out, f"{root}/s1")
        ours = [json.loads(line) for line in
                ring3("stream", "dump", "--json", out).splitlines()]
        theirs = run("btrfs", "receive", "--dump", "-f", out).splitlines()
        known = {c["command"].encode() for c in ours}
        # an xattr's value goes through raw, line breaks and all
        names = [line.split()[0].decode() for line in theirs
                 if line.strip() and line.split()[0] in known]
        assert [c["command"] for c in ours if c["command"] != "end"] == \
            names, (len(ours), len(names))
        data = open(out, "rb").read()
        for cut in (0, 5, 17, 30, len(data) // 2, len(data) - 1):
            with open(out + ".cut", "wb") as f:
                f.write(data[:cut])
            ring3("stream", "dump", out + ".cut", ok=(1,))
    run("btrfs", "send", "-q", "-p", f"{root}/snap0", "-f", k.path("inc"),
        f"{root}/s1")
    assert b"command=snapshot" in ring3("stream", "dump", k.path("inc"))
    k.umount()
    print("ok: send streams")


def main():
    k = kernel.Kernel()
    for row in ROWS:
        check_row(k, *row)
    damaged_copy_is_replaced(k)
    bad_data_is_named(k)
    refused(k)
    log_tree(k)
    subvolumes(k)
    stream_dump(k)
    k.close()


main()
