#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 sends, the kernel receives: the subvolume is the same."""
import os
import subprocess

import kernel
from kernel import ring3, run

ROWS = [
    ("version 1", ["--proto", "1"]),
    ("version 2", ["--proto", "2"]),
    ("compressed", ["--compressed"]),
]


def received(k, name, args, image, want, subvol):
    stream = k.path("stream")
    ring3("send", *args, "-o", stream, image, subvol)
    run("btrfs", "receive", "--dump", "-f", stream)
    ring3("stream", "dump", stream)
    target = k.mount(k.image("target", 700 << 20), name="target")
    run("btrfs", "receive", "-q", "-f", stream, target)
    got = kernel.kernel_view(f"{target}/{os.path.basename(subvol)}")
    shown = run("btrfs", "subvolume", "show",
                f"{target}/{os.path.basename(subvol)}")
    assert b"readonly" in shown and b"Received UUID: \t\t-" not in shown
    k.umount()
    kernel.compare(want, got, name)
    ring3("check", "--data", k.path("target.img"))
    return os.path.getsize(stream)


def check_image(k, options, name):
    image = k.image("from", 700 << 20)
    root = k.mount(image, options)
    run("btrfs", "subvolume", "create", f"{root}/v")
    kernel.fill(f"{root}/v")
    for i in range(20):
        kernel.reflink(f"{root}/v/big", f"{root}/v/clone{i}")
    run("btrfs", "subvolume", "create", f"{root}/v/nested")
    os.makedirs(f"{root}/dir")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v",
        f"{root}/dir/snap")
    want = kernel.kernel_view(f"{root}/dir/snap")
    del want["nested"]  # not part of the subvolume
    theirs = k.path("theirs")
    run("btrfs", "send", "-q", "-f", theirs, f"{root}/dir/snap")
    k.umount()
    sizes = {row: received(k, f"{name}, {row}", args, image, want,
                           "/dir/snap") for row, args in ROWS}
    # 20 clones of 8 MiB are not 20 times 8 MiB
    assert sizes["version 1"] < os.path.getsize(theirs) * 1.2, sizes
    if "compress" in options:
        assert sizes["compressed"] < sizes["version 2"], sizes
    done = subprocess.run([kernel.RING3, "btrfs", "send", "-o", "/dev/null",
                           image, "/v"], stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"not read-only" in done.stderr, done
    ring3("send", "-o", "/dev/null", image, "/dir", ok=(1,))
    ring3("send", "-o", "/dev/null", "--compressed", "--proto", "1", image,
          "/dir/snap", ok=(1,))
    os.unlink(image)
    print("ok:", name, sizes)


def check_clones(k):
    """A second subvolume with data of the first: whole files with odd ends, the
    middle of one, one that is cut shorter; and something of its own."""
    image = k.image("from", 700 << 20)
    root = k.mount(image)
    for name in "ab":
        run("btrfs", "subvolume", "create", f"{root}/{name}")
    for i in range(5):
        with open(f"{root}/a/f{i}", "wb") as f:
            f.write(os.urandom(2000000 + i))
        kernel.reflink(f"{root}/a/f{i}", f"{root}/b/g{i}")
    os.truncate(f"{root}/b/g1", 1234567)
    with open(f"{root}/b/g2", "r+b") as f:
        f.seek(400000)
        f.write(b"its own" * 1000)
    kernel.reflink_range(f"{root}/a/f3", 65536, f"{root}/b/middle", 131072,
                         524288)
    with open(f"{root}/b/own", "wb") as f:
        f.write(os.urandom(300000))
    for name in "ab":
        run("btrfs", "subvolume", "snapshot", "-r", f"{root}/{name}",
            f"{root}/{name}1")
    kernel.reflink(f"{root}/a/f4", f"{root}/b/later")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/b", f"{root}/b2")
    want = {name: kernel.kernel_view(f"{root}/{name}")
            for name in ("a1", "b1", "b2")}
    k.umount()
    target = k.mount(k.image("target", 700 << 20), name="target")
    stream = k.path("stream")
    for name, most, args in (("a1", 11 << 20, []),
                             ("b1", 400000, ["-c", "/b1", "-c", "/a1"]),
                             ("b2", 3000, ["-p", "/b1", "-c", "/a1"])):
        ring3("send", *args, "-o", stream, image, "/" + name)
        assert os.path.getsize(stream) < most, os.path.getsize(stream)
        run("btrfs", "receive", "-q", "-f", stream, target)
        kernel.compare(want[name], kernel.kernel_view(f"{target}/{name}"),
                       f"clones: {name}")
    k.umount()
    ring3("check", "--data", k.path("target.img"))
    ring3("send", "--no-data", "-o", stream, image, "/a1")
    assert os.path.getsize(stream) < 5000
    assert b"update_extent" in ring3("stream", "dump", stream)
    print("ok: clone sources")


def main():
    k = kernel.Kernel()
    check_image(k, "noatime", "plain")
    for algo in ("zstd", "zlib", "lzo"):
        check_image(k, f"noatime,compress-force={algo}", algo)
    check_clones(k)
    # and an image of our own
    image = k.path("own.img")
    source = k.mount(k.image("source", 400 << 20), name="source")
    os.mkdir(f"{source}/sub")
    kernel.fill(f"{source}/sub", scale=0.4)
    want = kernel.kernel_view(f"{source}/sub")
    ring3("mkfs", image, "--rootdir", source, "--subvol", "ro:sub",
          "--compress", "zstd")
    k.umount()
    received(k, "own", ["--compressed"], image, want, "/sub")
    print("ok: an image of our own")
    assert not k.new_complaints(), k.new_complaints()
    k.close()


main()
