#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes are spoiled in one copy: the kernel's scrub and ours count the same,
and after ours the kernel finds nothing."""
import json
import os
import random
import re
import shutil

import kernel
from kernel import ring3, run

JUNK = 16


def chunks(image):
    for line in ring3("dump", image, "chunk", "--json").splitlines():
        item = json.loads(line)
        if item["type"] == "CHUNK_ITEM":
            yield (item["key"][2], item["length"], int(item["chunk_type"], 0),
                   [s["offset"] for s in item["stripes"]])


def places(image, kind, longest=512 << 10):
    """Where copies of extents are: [(logical, [physical, ...])]."""
    out, groups = [], list(chunks(image))
    want = 1 if kind == "data" else 6
    for line in ring3("dump", image, "extent", "--json").splitlines():
        item = json.loads(line)
        if item["type"] not in ("EXTENT_ITEM", "METADATA_ITEM"):
            continue
        logical, length = item["key"][0], item["key"][2]
        if kind == "data" and longest and length >= longest:
            continue  # one of them is preallocated: no checksums
        for start, size, flags, stripes in groups:
            if start <= logical < start + size and flags & want:
                out.append((logical, [p + logical - start for p in stripes]))
    return out


def spoil(image, physical):
    with open(image, "r+b") as f:
        f.seek(physical + 200)
        old = f.read(JUNK)
        f.seek(physical + 200)
        f.write(bytes(b ^ 0xff for b in old))


def kernel_scrub(k, image):
    """The kernel's counts, on a copy of the image."""
    copy = k.path("copy.img")
    shutil.copyfile(image, copy)
    root = k.mount(copy)
    text = run("btrfs", "scrub", "start", "-BR", root, ok=(0, 3)).decode()
    k.umount()
    return {n: int(v) for n, v in re.findall(r"(\w+): (\d+)", text)}


def our_scrub(image, *args, ok=(0, 1)):
    return json.loads(ring3("scrub", "--json", image, *args, ok=ok))


def clean(k, image, what):
    got = kernel_scrub(k, image)
    bad = {n: got[n] for n in ("read_errors", "csum_errors", "verify_errors",
                               "super_errors", "uncorrectable_errors")
           if got[n]}
    assert not bad, f"{what}: the kernel's scrub still finds {bad}"
    run("btrfs", "check", "--check-data-csum", image)


def check_dup(k, csum):
    image = k.image("a", 512 << 20, "-d", "dup", "-m", "dup", "--csum", csum)
    root = k.mount(image)
    kernel.fill(root, scale=0.3)
    k.umount()
    assert our_scrub(image, ok=(0,))["errors"] == 0
    rnd = random.Random(5)
    data = rnd.sample(places(image, "data"), 20)
    trees = rnd.sample(places(image, "tree"), 5)
    for logical, copies in data + trees:
        spoil(image, copies[rnd.randrange(2)])
    theirs = kernel_scrub(k, image)
    seen = our_scrub(image, "--readonly", ok=(1,))
    assert seen["csum_errors"] == 25 and not seen["corrected"], \
        {n: v for n, v in seen.items() if n != "problems"}
    # the kernel counts some or all sectors of a bad tree block
    assert theirs["uncorrectable_errors"] == 0, theirs
    assert theirs["csum_errors"] + theirs["verify_errors"] >= 25, theirs
    mended = our_scrub(image, ok=(0,))
    assert mended["corrected"] == 25, mended
    assert our_scrub(image, ok=(0,))["errors"] == 0
    clean(k, image, csum)


def check_lost(k):
    """SINGLE data: it can only be told, with the file's name."""
    image = k.image("b", 256 << 20, "-d", "single", "-m", "dup")
    root = k.mount(image)
    with open(f"{root}/only copy", "wb") as f:
        f.write(random.Random(3).randbytes(300000))
    k.umount()
    (logical, copies), = [p for p in places(image, "data")]
    spoil(image, copies[0] + 4096)
    theirs = kernel_scrub(k, image)
    got = our_scrub(image, ok=(1,))
    assert theirs["uncorrectable_errors"] == got["uncorrectable"] == 1, \
        (theirs, got)
    assert "only copy" in got["problems"][0], got["problems"]
    assert "offset 4096" in got["problems"][0], got["problems"]


def check_reading(k):
    """What a mount reads and finds bad in one copy it mends."""
    if not os.path.exists("/dev/fuse"):
        print("left out: there is no /dev/fuse")
        return
    image = k.image("d", 512 << 20, "-d", "dup", "-m", "dup")
    root = k.mount(image)
    with open(f"{root}/file", "wb") as f:
        f.write(random.Random(4).randbytes(3 << 20))
    want = kernel.kernel_view(root)
    k.umount()
    for _, copies in places(image, "data", longest=None):
        spoil(image, copies[0])
        spoil(image, copies[1] + 8192)
    assert our_scrub(image, "--readonly", ok=(1,))["csum_errors"] >= 2
    where = k.path("fuse")
    os.mkdir(where)
    ring3("mount", image, where)
    try:
        kernel.compare(want, kernel.kernel_view(where), "through the mount")
    finally:
        ring3("unmount", where)
    # only a bad first copy is noticed
    for _, copies in places(image, "data", longest=None):
        spoil(image, copies[1] + 8192)
    clean(k, image, "what was read")


def check_supers(k):
    image = k.image("c", 256 << 20)
    spoil(image, 64 << 20)
    assert our_scrub(image, "--readonly", ok=(1,))["super_errors"] == 1
    got = our_scrub(image, ok=(0,))
    assert got["super_errors"] == got["corrected"] == 1, got
    with open(image, "rb") as f:
        f.seek(64 << 20)
        assert f.read(4096)[0x40:0x48] == b"_BHRfS_M"
    clean(k, image, "super block")


def main():
    k = kernel.Kernel()
    for csum in ("crc32c", "sha256"):
        check_dup(k, csum)
    check_lost(k)
    check_supers(k)
    check_reading(k)
    print("scrub: the kernel agrees")


main()
