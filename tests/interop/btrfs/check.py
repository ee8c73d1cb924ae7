#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 btrfs check: silent about what the kernel wrote, and about nothing
that btrfs-progs or a damaged byte makes wrong."""
import json
import os
import random
import shutil
import struct
import subprocess

import kernel
from kernel import ring3, run

ROWS = [
    ("plain", [], "noatime"),
    ("xxhash, zlib", ["--csum", "xxhash"], "noatime,compress-force=zlib"),
    ("4K nodes, lzo", ["-n", "4096", "--csum", "sha256"],
     "noatime,compress-force=lzo"),
    ("64K nodes", ["-n", "65536", "--csum", "blake2"], "noatime"),
    ("mixed", ["--mixed", "-n", "4096"], "noatime"),
    ("no free space tree", ["-O", "^no-holes", "-R", "^free-space-tree"],
     "noatime"),
    ("nodatasum, dup data", ["-d", "dup", "-m", "single"],
     "noatime,nodatasum"),
    ("quota", ["-R", "quota"], "noatime"),
]


def quota_work(root):
    """The kernel keeps exact numbers through these (no nested groups)."""
    blob = os.urandom(1 << 20)
    for name in "AB":
        run("btrfs", "subvolume", "create", f"{root}/{name}")
    with open(f"{root}/A/f1", "wb") as f:
        f.write(blob)
    with open(f"{root}/B/g", "wb") as f:
        f.write(blob[:524288])
    os.sync()
    run("btrfs", "subvolume", "snapshot", f"{root}/A", f"{root}/S")
    with open(f"{root}/A/f1", "r+b") as f:
        f.write(blob[:262144])
    kernel.reflink(f"{root}/B/g", f"{root}/A/g")
    os.truncate(f"{root}/A/f1", 100 << 20)
    with open(f"{root}/B/pre", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, 1 << 20)
    run("btrfs", "filesystem", "sync", root)
    run("btrfs", "qgroup", "create", "1/1", root)
    for member in ("0/256", "0/258"):
        subprocess.run(["btrfs", "qgroup", "assign", member, "1/1", root],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kernel.rescan(root)
    run("btrfs", "filesystem", "sync", root)


def fragment(root):
    """Free space in so many pieces that the kernel turns to bitmaps."""
    for i in range(3000):
        with open(f"{root}/frag{i:05d}", "wb") as f:
            f.write(os.urandom(4096))
    os.sync()
    for i in range(0, 3000, 2):
        os.unlink(f"{root}/frag{i:05d}")
    os.sync()


def clean(k, name, mkfs, options):
    image = k.image("a", 700 << 20, *mkfs)
    root = k.mount(image, options)
    if name == "quota":
        quota_work(root)
    else:
        kernel.fill(root)
        kernel.subvolumes(root)
        fragment(root)
    k.umount()
    ring3("check", "--data", image)
    ring3("check", "--qgroups", image)
    result = json.loads(ring3("check", "--json", image))
    assert result["problems"] == [] and result["inodes"] > 3, result
    run("btrfs", "check", image)
    print("ok: clean:", name)
    return image


def quota_by_script(k):
    """Counted numbers equal the kernel's after a rescan, groups of groups
    included; and a stale state is only reported when asked for."""
    image = k.image("q", 700 << 20)
    root = k.mount(image)
    run("btrfs", "quota", "enable", root)
    quota_work(root)
    run("btrfs", "qgroup", "create", "2/1", root)
    subprocess.run(["btrfs", "qgroup", "assign", "1/1", "2/1", root],
                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    run("btrfs", "subvolume", "snapshot", "-i", "1/1", f"{root}/A",
        f"{root}/T")
    for i in range(60):
        run("btrfs", "subvolume", "snapshot", f"{root}/A", f"{root}/m{i}")
        with open(f"{root}/m{i}/own", "wb") as f:
            f.write(os.urandom(5000 + i * 4096))
    run("btrfs", "subvolume", "delete", f"{root}/S")
    run("btrfs", "subvolume", "sync", root)
    run("btrfs", "filesystem", "sync", root)
    stale = k.path("stale.img")
    k.umount()
    shutil.copy(image, stale)
    root = k.mount(image)
    kernel.rescan(root)
    run("btrfs", "filesystem", "sync", root)
    k.umount()
    ring3("check", "--qgroups", image)
    ring3("check", stale)
    out = ring3("check", "--qgroups", stale, ok=(0, 1)).decode()
    print("ok: quota; while stale:", out.splitlines()[0][:70])
    os.unlink(stale)


def deleting(k):
    """A subvolume in the middle of its deletion is no damage."""
    image = k.image("d", 512 << 20, "-n", "4096")
    root = k.mount(image)
    run("btrfs", "subvolume", "create", f"{root}/victim")
    for i in range(6000):
        with open(f"{root}/victim/f{i:05d}", "wb") as f:
            f.write(b"x" * 300)
    run("btrfs", "filesystem", "sync", root)
    run("btrfs", "subvolume", "delete", "-c", f"{root}/victim")
    copy = k.path("mid.img")
    # fsfreeze gives a committed state while the cleaner has work left
    subprocess.run(["fsfreeze", "-f", root])
    shutil.copy(image, copy)
    subprocess.run(["fsfreeze", "-u", root])
    k.umount()
    ring3("check", copy)
    ring3("check", image)
    print("ok: a deletion under way")
    os.unlink(copy)


def damage(k, image):
    """Bytes in tree blocks are overwritten, in both copies: each is found."""
    rnd = random.Random(7)
    info = json.loads(ring3("info", "--json", image))
    stripes = []
    for line in ring3("dump", image, "chunk", "--json").splitlines():
        item = json.loads(line)
        if item["type"] == "CHUNK_ITEM" and \
                item["key"][2] in [c["logical"] for c in info["chunks"]
                                   if c["type"] == "metadata"]:
            stripes = [s["offset"] for s in item["stripes"]]
            logical = item["key"][2]
    blocks = {}
    for tree in ("extent", "fs", "csum", "root", "256"):
        for line in ring3("dump", image, tree, "--json").splitlines():
            blocks[json.loads(line)["block"]] = tree
    found = 0
    for block in rnd.sample(sorted(blocks), min(20, len(blocks))):
        at = block - logical
        if not 0 <= at:
            continue
        with open(image, "r+b") as f:
            saved = []
            for s in stripes:
                f.seek(s + at + 3000)
                saved.append(f.read(8))
                f.seek(s + at + 3000)
                f.write(bytes(b ^ 0x55 for b in saved[-1]))
        # without the root tree's root it does not open, and says so
        done = subprocess.run([kernel.RING3, "btrfs", "check", image],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        out = done.stdout.decode()
        assert done.returncode == 1 and str(block) in out, (block, out[:500])
        found += 1
        with open(image, "r+b") as f:
            for s, old in zip(stripes, saved):
                f.seek(s + at + 3000)
                f.write(old)
    assert found > 5
    ring3("check", image)
    print("ok: damage is found and named:", found)


class Leaf:
    """Items of an image's trees, changed in place with checksums put right."""

    TABLE = None

    def __init__(self, image):
        self.image = image
        self.chunks = []
        self.info = json.loads(ring3("info", "--json", image))
        for line in ring3("dump", image, "chunk", "--json").splitlines():
            item = json.loads(line)
            if item["type"] == "CHUNK_ITEM":
                self.chunks.append((item["key"][2], item["length"],
                                    [s["offset"] for s in item["stripes"]]))

    def places(self, block):
        for logical, length, stripes in self.chunks:
            if logical <= block < logical + length:
                return [s + block - logical for s in stripes]
        raise AssertionError(block)

    @classmethod
    def crc32c(cls, data):
        if not cls.TABLE:
            cls.TABLE = []
            for n in range(256):
                for _ in range(8):
                    n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
                cls.TABLE.append(n)
        crc = 0xffffffff
        for byte in data:
            crc = cls.TABLE[(crc ^ byte) & 255] ^ crc >> 8
        return crc ^ 0xffffffff

    def find(self, tree, type_name, want=lambda item: True):
        for line in ring3("dump", self.image, tree, "--json").splitlines():
            item = json.loads(line)
            if item["type"] == type_name and want(item):
                return item
        raise AssertionError(type_name)

    def patch(self, item, offset, data):
        """Returns a function that undoes it."""
        places = self.places(item["block"])
        size = self.info["nodesize"]
        with open(self.image, "r+b") as f:
            f.seek(places[0])
            old = f.read(size)
            new = bytearray(old)
            key = struct.pack("<QBQ", *(n & (1 << 64) - 1
                                        for n in item["key"]))
            at = old.index(key, 101)
            start = 101 + int.from_bytes(old[at + 17:at + 21], "little")
            new[start + offset:start + offset + len(data)] = data
            new[0:4] = self.crc32c(new[32:]).to_bytes(4, "little")
            for place in places:
                f.seek(place)
                f.write(new)

        def undo():
            with open(self.image, "r+b") as f:
                for place in places:
                    f.seek(place)
                    f.write(old)
        return undo


def wrong_content(k):
    """Sound blocks that say what is not true; btrfs check sees it too."""
    image = k.image("w", 256 << 20, "-n", "4096")
    root = k.mount(image)
    kernel.fill(root, scale=0.3)
    run("btrfs", "subvolume", "create", f"{root}/sub")
    run("btrfs", "quota", "enable", root)
    kernel.rescan(root)
    k.umount()
    ring3("check", image)
    leaf = Leaf(image)
    ino = leaf.find("fs", "DIR_INDEX", lambda i: i["entries"][0]["name"] ==
                    "big")["entries"][0]["location"].split()[0][1:]

    def of_file(item):
        return item["key"][0] == int(ino)

    four = (77777).to_bytes(4, "little")
    eight = (4096 * 77).to_bytes(8, "little")
    rows = [  # tree, type, which, offset in the item, bytes, seen by progs
        ("fs", "INODE_ITEM", of_file, 40, four, True),      # nlink
        ("fs", "INODE_ITEM", of_file, 24, eight, True),     # nbytes
        ("fs", "INODE_ITEM", of_file, 53, b"\x61", True),   # a device
        ("fs", "INODE_REF", of_file, 0, four, True),        # index
        ("fs", "INODE_REF", of_file, 10, b"X", True),       # name
        ("fs", "DIR_INDEX", lambda i: i["entries"][0]["name"] == "big", 30,
         b"X", True),
        ("fs", "INODE_ITEM", lambda i: i["key"][0] == 256, 16, eight, True),
        ("fs", "EXTENT_DATA", lambda i: of_file(i) and
         i["key"][2] == 0, 29, eight, True),            # disk length
        ("extent", "EXTENT_ITEM", lambda i: True, 0, four, True),  # refs
        ("extent", "EXTENT_ITEM", lambda i: True, 29 + 8, eight, True),
        ("extent", "BLOCK_GROUP_ITEM", lambda i: True, 0, eight, True),
        ("free-space", "FREE_SPACE_INFO",
         lambda i: i["key"][0] == leaf.chunks[0][0], 0, four, True),
        ("root", "ROOT_REF", lambda i: i["key"][0] == 5, 18, b"X", True),
        ("quota", "QGROUP_INFO", lambda i: True, 8, eight, False),
        ("dev", "DEV_EXTENT", lambda i: True, 24, eight, True),
    ]
    for tree, type_name, which, offset, data, progs in rows:
        item = leaf.find(tree, type_name, which)
        undo = leaf.patch(item, offset, data)
        out = ring3("check", image, ok=(1,)).decode()
        assert "Traceback" not in out
        done = subprocess.run(["btrfs", "check", image],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        if progs and not done.returncode:
            raise AssertionError(f"btrfs check sees no {type_name}+{offset}")
        print(f"   {type_name}+{offset}:", out.splitlines()[0][:100])
        undo()
    ring3("check", image)
    print("ok: wrong content is found:", len(rows))


def directory_loop(k):
    """A directory that holds itself: named, and no walk goes round in it."""
    image = k.image("x", 256 << 20, "-n", "4096")
    root = k.mount(image)
    os.makedirs(root + "/a/b")
    k.umount()
    leaf = Leaf(image)
    top = leaf.find("fs", "DIR_INDEX", lambda i: i["key"][0] == 256)
    a = int(top["entries"][0]["location"].split()[0][1:])
    for type_name in ("DIR_ITEM", "DIR_INDEX"):
        item = leaf.find("fs", type_name, lambda i: i["key"][0] == a)
        leaf.patch(item, 0, struct.pack("<Q", a))  # a/b leads to a
    done = subprocess.run([kernel.RING3, "btrfs", "ls", "-R", image],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=20)
    assert done.returncode == 1 and b"not that directory" in done.stderr
    ring3("get", image, "/", k.path("looped"), ok=(1,))
    out = ring3("check", image, ok=(1,)).decode()
    assert f"tree 5 key ({a} INODE_ITEM 0): nlink is 1, found 2" in out, out
    print("ok: a directory in itself")


def bad_data(k):
    image = k.image("c", 256 << 20)
    root = k.mount(image)
    os.mkdir(root + "/dir")
    with open(root + "/dir/file", "wb") as f:
        f.write(os.urandom(1 << 20))
    k.umount()
    for line in ring3("dump", image, "fs", "--json").splitlines():
        item = json.loads(line)
        if item["type"] == "EXTENT_DATA":
            logical = item["disk_bytenr"]
    with open(image, "r+b") as f:
        f.seek(logical + 300000)
        f.write(b"damage")
    ring3("check", image)
    out = ring3("check", "--data", image, ok=(1,))
    assert b"offset 299008: dir/file" in out, out
    print("ok: bad data is named by its file")


def main():
    k = kernel.Kernel()
    image = None
    for row in ROWS:
        made = clean(k, *row)
        if row[0] == "plain":
            image = k.path("plain.img")
            shutil.copy(made, image)
    damage(k, image)
    os.unlink(image)
    quota_by_script(k)
    deleting(k)
    bad_data(k)
    directory_loop(k)
    wrong_content(k)
    k.close()


main()
